/* s3_objects.c - everything that is asked of a bucket or one object.
 *
 * Each is one request. Sizes are bounded before anything is read, and an answer to a range is taken
 * as it is meant: a server may send the whole object instead, or refuse a range behind its end. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/services/s3_impl.h"

enum { URL_MAX = 64 * 1024, PUT_TIMEOUT_MS = 300 * 1000, GET_TIMEOUT_MS = 120 * 1000 };

enum err_class s3_bucket_check(struct s3 *s3, struct http *http, const char *bucket,
			       struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	struct s3_call call = {.method = "HEAD", .doing = "look into", .bucket = bucket, .key = ""};

	return s3_send(s3, http, &call, &response, err);
}

/* --- looking at one object --- */

/* A bucket's own address, where an object's is needed, would ask for something else. */
static enum err_class needs_key(const struct s3_uri *uri, struct err *err)
{
	if (*uri->key)
		return ERR_OK;
	return err_code(err, ERR_USER, "s3.uri",
			"s3://%s is a whole bucket; the address of an object is needed",
			uri->bucket);
}

static char *etag_of(const struct http_response *response)
{
	char value[256];

	return s3_etag(http_response_header(response, "etag", value, sizeof value));
}

enum err_class s3_head(struct s3 *s3, struct http *http, const struct s3_uri *from,
		       struct s3_object *out, struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	struct s3_call call = {
		.method = "HEAD", .doing = "look at", .bucket = from->bucket, .key = from->key};
	enum err_class class = needs_key(from, err);
	char value[64];

	*out = (struct s3_object){0};
	if (!class)
		class = s3_send(s3, http, &call, &response, err);
	if (class)
		return class;
	http_response_header(&response, "content-length", value, sizeof value);
	if (!str_to_int64(&out->size, value) || out->size < 0)
		return err_set(err, ERR_TRANSIENT, "%s does not say how long s3://%s/%.200s is",
			       s3->host, from->bucket, from->key);
	http_response_header(&response, "last-modified", value, sizeof value);
	if (!clock_parse(&out->modified_at_ms, value))
		out->modified_at_ms = 0;
	out->key = str_dup(from->key);
	out->etag = etag_of(&response);
	return ERR_OK;
}

/* --- reading --- */

void s3_content_dispose(struct s3_content *content)
{
	mem_free(content->data);
	mem_free(content->etag);
	*content = (struct s3_content){0};
}

static enum err_class too_large(const struct s3_get_request *request, struct err *err)
{
	return err_code(err, ERR_USER, "s3.too_large",
			"s3://%s/%.200s is larger than the %zu bytes that are read of it",
			request->from->bucket, request->from->key, request->max);
}

/* Does a part begin where it was asked for? A server that does not say is believed. */
static bool begins_right(const struct s3_get_request *request, const struct http_response *response)
{
	static const char unit[] = "bytes ";
	char value[64];
	int64_t first;

	http_response_header(response, "content-range", value, sizeof value);
	if (!str_starts(value, unit))
		return !*value;
	value[strcspn(value, "-")] = '\0';
	return str_to_int64(&first, value + sizeof unit - 1) && first == request->first;
}

/* Only the part that was asked for, of an answer that may hold more. */
static enum err_class take_part(const struct s3_get_request *request,
				const struct http_response *response, struct s3_content *out,
				struct err *err)
{
	const char *data = buf_text(&response->body);
	size_t len = response->body.len;

	if (response->status == 206 && !begins_right(request, response))
		return err_set(err, ERR_TRANSIENT,
			       "the object store answers another part of s3://%s/%.200s",
			       request->from->bucket, request->from->key);
	if (response->status != 206) { /* the whole object */
		size_t skip = (uint64_t)request->first < len ? (size_t)request->first : len;

		data += skip;
		len -= skip;
	}
	if (request->len && (uint64_t)request->len < len)
		len = (size_t)request->len;
	if (len > request->max)
		return too_large(request, err);
	out->data = mem_new(len + 1, 1);
	memcpy(out->data, data, len);
	out->len = len;
	out->etag = etag_of(response);
	return ERR_OK;
}

static void range_text(char out[64], const struct s3_get_request *request)
{
	if (request->len)
		(void)snprintf(out, 64, "bytes=%" PRId64 "-%" PRId64, request->first,
			       request->first + request->len - 1);
	else
		(void)snprintf(out, 64, "bytes=%" PRId64 "-", request->first);
}

enum err_class s3_get(struct s3 *s3, struct http *http, const struct s3_get_request *request,
		      struct s3_content *out, struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	AUTO_FREE char *etag = request->etag ? str_printf("\"%s\"", request->etag) : NULL;
	struct s3_call call = {
		.method = "GET",
		.doing = "read",
		.bucket = request->from->bucket,
		.key = request->from->key,
		.timeout_ms = GET_TIMEOUT_MS,
		.response_max = request->max > S3_ERROR_BODY_MAX ? request->max : S3_ERROR_BODY_MAX,
	};
	enum err_class class;
	char range[64];

	*out = (struct s3_content){0};
	must(request->first >= 0 && request->len >= 0 &&
	     request->len <= INT64_MAX - request->first);
	if (request->first || request->len) {
		range_text(range, request);
		call.headers[call.header_count++] = (struct sigv4_pair){"Range", range};
	}
	if (etag)
		call.headers[call.header_count++] = (struct sigv4_pair){"If-Match", etag};
	class = needs_key(request->from, err);
	if (!class)
		class = s3_send(s3, http, &call, &response, err);
	if (response.body.truncated)
		return too_large(request, err);
	if (class && response.status == 416) { /* behind the end */
		out->data = mem_new(1, 1);
		out->etag = etag_of(&response);
		return ERR_OK;
	}
	return class ? class : take_part(request, &response, out, err);
}

/* --- changing --- */

enum err_class s3_put(struct s3 *s3, struct http *http, const struct s3_put_request *request,
		      char **out_etag, struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	struct s3_call call = {
		.method = "PUT",
		.doing = "write",
		.bucket = request->to->bucket,
		.key = request->to->key,
		.headers = {{"Content-Type", request->content_type ? request->content_type
								   : "application/octet-stream"}},
		.header_count = 1,
		.body = request->data ? request->data : "",
		.body_len = request->len,
		.timeout_ms = PUT_TIMEOUT_MS,
		.mutates = true,
	};
	enum err_class class;

	if (out_etag)
		*out_etag = NULL;
	if (request->if_absent)
		call.headers[call.header_count++] = (struct sigv4_pair){"If-None-Match", "*"};
	class = needs_key(request->to, err);
	if (!class)
		class = s3_send(s3, http, &call, &response, err);
	if (!class && out_etag)
		*out_etag = etag_of(&response);
	return class;
}

enum err_class s3_delete(struct s3 *s3, struct http *http, const struct s3_uri *uri,
			 struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	struct s3_call call = {.method = "DELETE",
			       .doing = "delete",
			       .bucket = uri->bucket,
			       .key = uri->key,
			       .mutates = true};
	struct err fault = {0};
	enum err_class class = needs_key(uri, &fault);

	if (!class)
		class = s3_send(s3, http, &call, &response, &fault);
	if (class == ERR_NOT_FOUND && str_eq(fault.code, "s3.no_object"))
		return ERR_OK;
	if (class && err)
		*err = fault;
	return class;
}

/* --- pre-signed URLs --- */

enum err_class s3_presign(struct s3 *s3, struct http *http,
			  const struct s3_presign_request *request, char **out, struct err *err)
{
	AUTO_CREDENTIALS struct s3_credentials credentials = {0};
	AUTO_FREE char *host = NULL, *path = NULL;
	AUTO_BUF struct buf url = buf_make(URL_MAX);
	struct sigv4_request sign = {.method = request->method,
				     .payload_hash = SIGV4_UNSIGNED_PAYLOAD,
				     .region = s3->region,
				     .service = "s3",
				     .now_ms = 0};
	enum err_class class = s3_uri_check(request->uri->bucket, request->uri->key, err);

	*out = NULL;
	if (!class)
		class = needs_key(request->uri, err);
	if (!class &&
	    (request->expires_s < SIGV4_EXPIRES_MIN_S || request->expires_s > SIGV4_EXPIRES_MAX_S))
		class = err_set(err, ERR_CONFIG, "an address can be signed for %d to %d seconds",
				SIGV4_EXPIRES_MIN_S, SIGV4_EXPIRES_MAX_S);
	if (!class)
		class = s3_credentials_get(s3, http, &credentials, err);
	if (class)
		return class;
	if (!*credentials.access_key)
		return err_code(err, ERR_CONFIG, "s3.keys",
				"an address of %s cannot be signed: no keys are configured",
				s3->host);
	s3_place(s3, request->uri->bucket, request->uri->key, &host, &path);
	sign.host = host;
	sign.path = path;
	sign.now_ms = s3_now_ms(s3);
	buf_printf(&url, "%s://%s", s3->scheme, host);
	sigv4_presign(&url, &sign,
		      &(struct sigv4_key){credentials.access_key, credentials.secret_key,
					  credentials.session_token},
		      request->expires_s);
	must(!url.truncated);
	*out = buf_take(&url);
	return ERR_OK;
}
