/* sigv4.c - see sigv4.h.
 *
 * Both forms make the same three texts: the canonical request, the string to sign with its digest,
 * and the signature by a key that is derived from the secret in four steps. Parameters and headers
 * are sorted as pointers to encoded copies in one buffer. Buffers are sized from the texts, so
 * nothing is ever cut off and signed. libcurl's own signing was not taken: Debian 12's 7.88.1 sorts
 * and encodes queries wrongly. Keys on the stack are wiped. */
#include "lib/core/sigv4.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"

enum {
	HEX_LEN = 2 * SIGN_SHA256_LEN + 1,
	PAIRS_ALL_MAX = SIGV4_PAIRS_MAX + 6, /* with those that are added here */
	FIXED_ROOM = 2048,		     /* for all names and digests that we write ourselves */
};

static const char algorithm[] = "AWS4-HMAC-SHA256";

/* Names and values ready to be joined, sorted by name, then by value. */
struct pairs {
	struct {
		char *name, *value;
	} at[PAIRS_ALL_MAX];
	size_t count;
};

static void pairs_dispose(struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		mem_free(pairs->at[i].name);
		sign_secret_free(pairs->at[i].value);
	}
}
#define AUTO_PAIRS __attribute__((cleanup(pairs_dispose)))

/* --- encoding --- */

/* RFC 3986: all but the unreserved characters, and '/' where it is kept. */
static void add_encoded(struct buf *out, const char *text, bool keeps_slash)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text; text++) {
		if (strchr(plain, *text) || (keeps_slash && *text == '/'))
			buf_putc(out, *text);
		else
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
	}
}

static char *encoded(const char *text)
{
	AUTO_BUF struct buf out = buf_make(3 * strlen(text) + 1);

	add_encoded(&out, text, false);
	return buf_take(&out);
}

/* A header's value without blanks around it, runs of them inside as one. */
static char *trimmed(const char *text)
{
	AUTO_BUF struct buf out = buf_make(strlen(text) + 1);

	for (; *text; text++) {
		if (*text != ' ' && *text != '\t')
			buf_putc(&out, *text);
		else if (out.len && text[1] && text[1] != ' ' && text[1] != '\t')
			buf_putc(&out, ' ');
	}
	return buf_take(&out);
}

static char *lower(const char *text)
{
	char *out = str_dup(text);

	for (char *at = out; *at; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at + 32);
	return out;
}

/* --- pairs --- */

/* Inserts in order; both texts are consumed. */
static void pairs_add(struct pairs *pairs, char *take_name, char *take_value)
{
	size_t i = pairs->count++;

	must(pairs->count <= PAIRS_ALL_MAX);
	for (; i; i--) {
		int order = strcmp(pairs->at[i - 1].name, take_name);

		if (order < 0 || (!order && strcmp(pairs->at[i - 1].value, take_value) <= 0))
			break;
		pairs->at[i] = pairs->at[i - 1];
	}
	pairs->at[i].name = take_name;
	pairs->at[i].value = take_value;
}

static void add_parameter(struct pairs *pairs, const char *name, const char *value)
{
	pairs_add(pairs, encoded(name), encoded(value));
}

static void add_header(struct pairs *pairs, const char *name, const char *value)
{
	pairs_add(pairs, lower(name), trimmed(value));
}

static void parameters_of(struct pairs *out, const struct sigv4_request *request)
{
	must(request->query_count <= SIGV4_PAIRS_MAX);
	for (size_t i = 0; i < request->query_count; i++)
		add_parameter(out, request->query[i].name, request->query[i].value);
}

/* --- sizes --- */

static size_t room_of(const struct pairs *pairs)
{
	size_t room = 0;

	for (size_t i = 0; i < pairs->count; i++)
		room += strlen(pairs->at[i].name) + strlen(pairs->at[i].value) + 2;
	return room;
}

/* Enough for any text made of the request alone. */
static size_t room_for(const struct sigv4_request *request)
{
	return FIXED_ROOM + strlen(request->method) + 3 * strlen(request->path) +
	       strlen(request->host) + strlen(request->payload_hash) + strlen(request->region) +
	       strlen(request->service);
}

/* --- the texts --- */

static void write_query(struct buf *out, const struct pairs *parameters)
{
	for (size_t i = 0; i < parameters->count; i++) {
		if (i)
			buf_putc(out, '&');
		buf_puts(out, parameters->at[i].name);
		buf_putc(out, '=');
		buf_puts(out, parameters->at[i].value);
	}
}

static void write_names(struct buf *out, const struct pairs *headers)
{
	for (size_t i = 0; i < headers->count; i++) {
		if (i)
			buf_putc(out, ';');
		buf_puts(out, headers->at[i].name);
	}
}

/* "20130524/us-east-1/s3/aws4_request" */
static void write_scope(struct buf *out, const struct sigv4_request *request)
{
	char date[SIGV4_DATE_LEN];

	sigv4_date(date, request->now_ms);
	buf_printf(out, "%.8s/%s/%s/aws4_request", date, request->region, request->service);
}

static void digest_request(char out[HEX_LEN], const struct sigv4_request *request,
			   const struct pairs *parameters, const struct pairs *headers)
{
	AUTO_BUF struct buf text =
		buf_make(room_for(request) + room_of(parameters) + 2 * room_of(headers));

	buf_printf(&text, "%s\n", request->method);
	add_encoded(&text, request->path, true);
	buf_putc(&text, '\n');
	write_query(&text, parameters);
	buf_putc(&text, '\n');
	for (size_t i = 0; i < headers->count; i++) {
		buf_puts(&text, headers->at[i].name);
		buf_putc(&text, ':');
		buf_puts(&text, headers->at[i].value);
		buf_putc(&text, '\n');
	}
	buf_putc(&text, '\n');
	write_names(&text, headers);
	buf_putc(&text, '\n');
	buf_puts(&text, request->payload_hash);
	must(!text.truncated);
	sign_sha256_hex(out, text.data, text.len);
	explicit_bzero(text.data, text.len); /* the session token is one of the headers */
}

static void derive_key(unsigned char out[SIGN_SHA256_LEN], const struct sigv4_request *request,
		       const char *secret_key)
{
	char *first = str_printf("AWS4%s", secret_key), date[SIGV4_DATE_LEN];

	sigv4_date(date, request->now_ms);
	sign_hmac_sha256(out, first, strlen(first), date, 8);
	sign_secret_free(first);
	sign_hmac_sha256(out, out, SIGN_SHA256_LEN, request->region, strlen(request->region));
	sign_hmac_sha256(out, out, SIGN_SHA256_LEN, request->service, strlen(request->service));
	sign_hmac_sha256(out, out, SIGN_SHA256_LEN, "aws4_request", 12);
}

static void make_signature(char out[HEX_LEN], const struct sigv4_request *request,
			   const struct pairs *parameters, const struct pairs *headers,
			   const struct sigv4_key *key)
{
	AUTO_BUF struct buf text = buf_make(room_for(request));
	unsigned char derived[SIGN_SHA256_LEN], mac[SIGN_SHA256_LEN];
	char date[SIGV4_DATE_LEN], digest[HEX_LEN];

	digest_request(digest, request, parameters, headers);
	sigv4_date(date, request->now_ms);
	buf_printf(&text, "%s\n%s\n", algorithm, date);
	write_scope(&text, request);
	buf_printf(&text, "\n%s", digest);
	must(!text.truncated);
	derive_key(derived, request, key->secret_key);
	sign_hmac_sha256(mac, derived, sizeof derived, text.data, text.len);
	explicit_bzero(derived, sizeof derived);
	str_hex(out, mac, sizeof mac);
}

/* --- what callers ask --- */

void sigv4_date(char out[SIGV4_DATE_LEN], int64_t now_ms)
{
	char text[21];

	clock_rfc3339(text, now_ms);
	for (const char *at = text; *at; at++)
		if (*at != '-' && *at != ':')
			*out++ = *at;
	*out = '\0';
}

void sigv4_target(struct buf *out, const struct sigv4_request *request)
{
	AUTO_PAIRS struct pairs parameters = {0};

	parameters_of(&parameters, request);
	add_encoded(out, request->path, true);
	if (parameters.count)
		buf_putc(out, '?');
	write_query(out, &parameters);
}

void sigv4_authorize(struct buf *out, const struct sigv4_request *request,
		     const struct sigv4_key *key)
{
	AUTO_PAIRS struct pairs parameters = {0}, headers = {0};
	char date[SIGV4_DATE_LEN], signature[HEX_LEN];

	must(request->header_count <= SIGV4_PAIRS_MAX);
	parameters_of(&parameters, request);
	for (size_t i = 0; i < request->header_count; i++)
		add_header(&headers, request->headers[i].name, request->headers[i].value);
	sigv4_date(date, request->now_ms);
	add_header(&headers, "host", request->host);
	add_header(&headers, "x-amz-content-sha256", request->payload_hash);
	add_header(&headers, "x-amz-date", date);
	if (!str_is_empty(key->session_token))
		add_header(&headers, "x-amz-security-token", key->session_token);
	make_signature(signature, request, &parameters, &headers, key);
	buf_printf(out, "%s Credential=%s/", algorithm, key->access_key);
	write_scope(out, request);
	buf_puts(out, ",SignedHeaders=");
	write_names(out, &headers);
	buf_printf(out, ",Signature=%s", signature);
}

void sigv4_presign(struct buf *out, const struct sigv4_request *request,
		   const struct sigv4_key *key, int expires_s)
{
	AUTO_BUF struct buf credential = buf_make(room_for(request) + strlen(key->access_key));
	AUTO_PAIRS struct pairs parameters = {0}, headers = {0};
	struct sigv4_request unsigned_body = *request;
	char date[SIGV4_DATE_LEN], signature[HEX_LEN], expires[16];

	must(expires_s >= SIGV4_EXPIRES_MIN_S && expires_s <= SIGV4_EXPIRES_MAX_S);
	unsigned_body.payload_hash = SIGV4_UNSIGNED_PAYLOAD;
	buf_printf(&credential, "%s/", key->access_key);
	write_scope(&credential, request);
	sigv4_date(date, request->now_ms);
	(void)snprintf(expires, sizeof expires, "%d", expires_s);
	parameters_of(&parameters, request);
	add_parameter(&parameters, "X-Amz-Algorithm", algorithm);
	add_parameter(&parameters, "X-Amz-Credential", buf_text(&credential));
	add_parameter(&parameters, "X-Amz-Date", date);
	add_parameter(&parameters, "X-Amz-Expires", expires);
	add_parameter(&parameters, "X-Amz-SignedHeaders", "host");
	if (!str_is_empty(key->session_token))
		add_parameter(&parameters, "X-Amz-Security-Token", key->session_token);
	add_header(&headers, "host", request->host);
	make_signature(signature, &unsigned_body, &parameters, &headers, key);
	add_encoded(out, request->path, true);
	buf_putc(out, '?');
	write_query(out, &parameters);
	buf_printf(out, "&X-Amz-Signature=%s", signature);
}
