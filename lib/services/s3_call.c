/* s3_call.c - one call: signing, sending, what can be mended, counting.
 *
 * A refusal that says something about us rather than about the request is mended once and the
 * request sent again: a clock that is off (the answer's Date header is right by definition), keys
 * that were replaced between two looks at their files, a session that was ended early. An answer to
 * HEAD has no words, so there a Date that is far off counts as such a refusal. */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/services/s3_impl.h"

enum { RETRY_MAX_MS = 60 * 60 * 1000, AUTHORIZATION_MAX = 16 * 1024, TARGET_MAX = 512 * 1024 };

/* What was mended for this call already. */
struct mending {
	bool clock, keys;
};

static void count_call(const struct s3_call *call, const struct http_response *response,
		       enum err_class class)
{

	metrics_call("s3", class ? 0 : response->status, response->took_ms);
	log_debug("s3_call", LOG_S("method", call->method), LOG_S("bucket", call->bucket),
		  LOG_S("key", call->key), LOG_I("status", response->status),
		  LOG_I("ms", response->took_ms));
}

/* --- one try --- */

static void add_header(struct http_request *request, const char *name, const char *value)
{
	size_t i = 0;

	while (request->headers[i].name)
		i++;
	must(i < HTTP_HEADERS_MAX - 1);
	request->headers[i] = (struct http_header){name, value};
}

static enum err_class do_request(struct http *http, const struct s3_call *call,
				 const struct http_request *request, struct http_response *out,
				 struct err *err)
{
	enum err_class class;

	if (call->mutates)
		CRASH_POINT("s3.before_write");
	class = http_do(http, request, out, err);
	if (call->mutates)
		CRASH_POINT("s3.after_write");
	count_call(call, out, class);
	return class;
}

static enum err_class send_once(struct s3 *s3, struct http *http, const struct s3_call *call,
				const struct s3_credentials *credentials, struct http_response *out,
				struct err *err)
{
	char hash[2 * SIGN_SHA256_LEN + 1], date[SIGV4_DATE_LEN];
	AUTO_BUF struct buf target = buf_make(TARGET_MAX);
	AUTO_BUF struct buf authorization = buf_make(AUTHORIZATION_MAX);
	AUTO_FREE char *host = NULL, *path = NULL, *url = NULL;
	struct sigv4_key key = {credentials->access_key, credentials->secret_key,
				credentials->session_token};
	struct sigv4_request sign = {.method = call->method,
				     .query = call->query,
				     .query_count = call->query_count,
				     .headers = call->headers,
				     .header_count = call->header_count,
				     .payload_hash = hash,
				     .region = s3->region,
				     .service = "s3",
				     .now_ms = s3_now_ms(s3)};
	struct http_request request = {.method = call->method,
				       .body = call->body,
				       .body_len = call->body_len,
				       .timeout_ms = call->timeout_ms,
				       .response_max = call->response_max};

	s3_place(s3, call->bucket, call->key, &host, &path);
	sign.host = host;
	sign.path = path;
	sign_sha256_hex(hash, call->body ? call->body : "", call->body_len);
	sigv4_date(date, sign.now_ms);
	sigv4_target(&target, &sign);
	must(!target.truncated);
	url = str_printf("%s://%s%s", s3->scheme, host, buf_text(&target));
	request.url = url;
	for (size_t i = 0; i < call->header_count; i++)
		add_header(&request, call->headers[i].name, call->headers[i].value);
	add_header(&request, "Accept-Encoding", "identity"); /* bytes as they are stored */
	if (*credentials->access_key) {
		sigv4_authorize(&authorization, &sign, &key);
		must(!authorization.truncated);
		add_header(&request, "Authorization", buf_text(&authorization));
		add_header(&request, "x-amz-content-sha256", hash);
		add_header(&request, "x-amz-date", date);
	}
	if (*credentials->session_token)
		add_header(&request, "x-amz-security-token", credentials->session_token);
	return do_request(http, call, &request, out, err);
}

/* --- after a refusal --- */

/* The server's clock less ours by the answer's Date; 0 when it has none. */
static int64_t offset_of(const struct http_response *response)
{
	int64_t theirs_ms;
	char date[64];

	if (!clock_parse(&theirs_ms, http_response_header(response, "date", date, sizeof date)))
		return 0;
	return theirs_ms - clock_now_ms();
}

static bool mend_clock(struct s3 *s3, const struct http_response *response, struct mending *mending)
{
	int64_t offset_ms = offset_of(response);

	if (mending->clock || !offset_ms)
		return false;
	mending->clock = true;
	pthread_mutex_lock(&s3->lock);
	s3->clock_offset_ms = offset_ms;
	pthread_mutex_unlock(&s3->lock);
	log_warn("s3_clock_differs", LOG_S("host", s3->host), LOG_I("offset_ms", offset_ms));
	return true;
}

static bool is_far_off(struct s3 *s3, const struct http_response *response)
{
	int64_t theirs_ms = clock_now_ms() + offset_of(response);
	int64_t apart_ms = theirs_ms - s3_now_ms(s3);

	return offset_of(response) &&
	       (apart_ms > S3_CLOCK_TOLERANCE_MS || apart_ms < -S3_CLOCK_TOLERANCE_MS);
}

/* True when the request should be sent once more. */
static bool mend(struct s3 *s3, const struct s3_fault *fault, const struct http_response *response,
		 const struct s3_credentials *credentials, struct mending *mending)
{
	bool is_silent = !*fault->code && (fault->status == 400 || fault->status == 403);

	if (!*credentials->access_key)
		return false;
	if (s3_fault_is_clock(fault) || (is_silent && is_far_off(s3, response)))
		return mend_clock(s3, response, mending);
	if (mending->keys || !(s3_fault_is_keys(fault) || (is_silent && fault->status == 400)))
		return false;
	mending->keys = true;
	return s3_credentials_renew(s3, credentials);
}

static int64_t retry_at(const struct http_response *response)
{
	int64_t now_ms = clock_now_ms(), seconds, at_ms;
	char value[64];

	http_response_header(response, "retry-after", value, sizeof value);
	if (str_to_int64(&seconds, value) && seconds >= 0)
		at_ms = now_ms + (seconds < 3600 ? seconds * 1000 : RETRY_MAX_MS);
	else if (!*value || !clock_parse(&at_ms, value))
		return 0;
	return at_ms > now_ms + RETRY_MAX_MS ? now_ms + RETRY_MAX_MS : at_ms;
}

static void read_fault(struct s3_fault *out, const struct http_response *response)
{
	char region[sizeof out->region];

	s3_fault_parse(out, response->status, buf_text(&response->body), response->body.len);
	http_response_header(response, "x-amz-bucket-region", region, sizeof region);
	if (!*out->region && !region[strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-")])
		str_copy(out->region, sizeof out->region, region);
}

static enum err_class tell(struct s3 *s3, const struct s3_call *call, const struct s3_fault *fault,
			   const struct http_response *response, bool is_signed, struct err *err)
{
	struct s3_subject subject = {.doing = call->doing,
				     .bucket = call->bucket,
				     .key = call->key,
				     .host = s3->host,
				     .region = s3->region,
				     .is_head = str_eq(call->method, "HEAD"),
				     .is_signed = is_signed,
				     .mutates = call->mutates};
	enum err_class class = s3_error(err, fault, &subject);

	if (err && class == ERR_THROTTLED)
		err->retry_at_ms = retry_at(response);
	return class;
}

/* One try with the credentials of now. *again: the answer was a refusal that is mended. */
static enum err_class try_send(struct s3 *s3, struct http *http, const struct s3_call *call,
			       struct mending *mending, struct http_response *out, bool *again,
			       struct err *err)
{
	AUTO_CREDENTIALS struct s3_credentials credentials = {0};
	enum err_class class = s3_credentials_get(s3, http, &credentials, err);
	struct s3_fault fault;

	*again = false;
	if (class) {
		err_wrap(err, "the keys of the object store");
		return class;
	}
	class = send_once(s3, http, call, &credentials, out, err);
	if (class) {
		err_wrap(err, "the object store");
		return class;
	}
	if (out->status >= 200 && out->status < 300)
		return ERR_OK;
	read_fault(&fault, out);
	*again = mend(s3, &fault, out, &credentials, mending);
	return tell(s3, call, &fault, out, *credentials.access_key != '\0', err);
}

enum err_class s3_send(struct s3 *s3, struct http *http, const struct s3_call *call,
		       struct http_response *out, struct err *err)
{
	struct mending mending = {0};
	enum err_class class;
	bool again;

	*out = (struct http_response){.body = buf_make(0), .headers = buf_make(0)};
	class = s3_uri_check(call->bucket, call->key, err);
	if (class)
		return class;
	do {
		http_response_dispose(out);
		class = try_send(s3, http, call, &mending, out, &again, err);
	} while (again); /* each way of mending is tried once */
	return class;
}

char *s3_etag(const char *text)
{
	size_t len;

	if (str_starts(text, "W/"))
		text += 2;
	len = strlen(text);
	if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
		return str_dup_len(text + 1, len - 2);
	return str_dup(text);
}
