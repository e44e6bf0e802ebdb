/* kfp_http.c - one call: encoding, answer, error bodies as sentences, counting.
 *
 * The server speaks through three mouths: gRPC's gateway ({code, message, details[0].message}), the
 * upload handlers ({error_message, error_details}, some text/plain), and whatever stands before it
 * (Envoy, the UI's proxy, a login page). All end as one sentence. A 404 counts as "not there" only
 * when the gateway itself says so, because a proxy without a route answers 404 as well, and a run
 * that is taken for absent would be created twice. */
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/services/kfp_impl.h"

enum { SENTENCE_MAX = 700, RETRY_MAX_MS = 60 * 60 * 1000, PLAIN_MAX = 300 };

/* --- errors --- */

/* The server's words for people, borrowed from the parsed body; NULL when it has none. */
static const char *words_of(const json_t *body)
{
	const json_t *first = json_array_get(json_object_get(body, "details"), 0);
	const char *candidates[] = {
		jval_str(first, "message", NULL),      jval_str(first, "error_message", NULL),
		jval_str(body, "error_message", NULL), jval_str(body, "message", NULL),
		jval_str(body, "error", NULL),
	};

	for (size_t i = 0; i < ARRAY_LEN(candidates); i++)
		if (!str_is_empty(candidates[i]))
			return candidates[i];
	return NULL;
}

/* One line of valid text, cut. */
static void one_line(char out[SENTENCE_MAX], const char *text, size_t len)
{
	char *clean = jval_clean_utf8(text, len);

	for (char *at = clean; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = ' ';
	str_copy(out, SENTENCE_MAX, clean);
	mem_free(clean);
}

static void sentence_of(char out[SENTENCE_MAX], const json_t *parsed, const char *body, size_t len)
{
	const char *words = words_of(parsed);

	out[0] = '\0';
	if (words)
		one_line(out, words, strlen(words));
	else if (!parsed && len && body[0] != '<')
		one_line(out, body, len < PLAIN_MAX ? len : PLAIN_MAX);
	for (size_t n = strlen(out); n && (out[n - 1] == ' ' || out[n - 1] == '.'); n--)
		out[n - 1] = '\0';
}

static enum err_class class_of(int status, bool is_gateway_not_found)
{
	switch (status) {
	case 400:
	case 413:
	case 422:
		return ERR_USER;
	case 401:
		return ERR_CONFIG;
	case 403:
		return ERR_DENIED;
	case 404:
		return is_gateway_not_found ? ERR_NOT_FOUND : ERR_TRANSIENT;
	case 409:
		return ERR_CONFLICT;
	case 408:
	case 499: /* cancelled on the way */
		return ERR_TRANSIENT;
	case 429:
		return ERR_THROTTLED;
	case 501:
		return ERR_CONFIG;
	default:
		return status >= 500 ? ERR_TRANSIENT : ERR_CONFIG;
	}
}

/* A 403 in words of its own is Kubeflow's; a mesh or a gateway before it has nothing to say of
 * namespaces ("RBAC: access denied", a page). */
static bool is_from_before(int status, const json_t *parsed)
{
	return status == 403 && !words_of(parsed);
}

/* Of answers that end a job. Others are tried again, and what ends it then is the patience. */
static const char *code_of(enum err_class class)
{
	switch (class) {
	case ERR_USER:
		return "kfp.invalid";
	case ERR_DENIED:
		return "kfp.denied";
	case ERR_NOT_FOUND:
		return "kfp.not_found";
	case ERR_CONFLICT:
		return "kfp.conflict";
	case ERR_CONFIG:
		return "kfp.refused";
	default:
		return "";
	}
}

static const char *stock_sentence(int status)
{
	if (status >= 300 && status < 400)
		return "it redirects, as gateways do to their login page: the address or the token "
		       "is not the right one";
	switch (status) {
	case 401:
		return "it does not accept the token";
	case 403:
		return "it does not allow this";
	case 404:
		return "its address has no such path at the moment";
	case 413:
		return "the request is too large for it";
	case 429:
		return "it asks to wait";
	default:
		return status >= 500 ? "it failed inside" : "it does not say why";
	}
}

enum err_class kfp_error(struct err *err, int status, const char *body, size_t len,
			 int64_t retry_at_ms, bool mutates)
{
	AUTO_JSON json_t *parsed = NULL;
	char sentence[SENTENCE_MAX];
	enum err_class class;
	struct err ignored;

	if (jval_parse(&parsed, body, len, &ignored) || !json_is_object(parsed))
		jval_drop(&parsed);
	sentence_of(sentence, parsed, body, len);
	class = class_of(status, jval_int(parsed, "code", 0) == 5);
	/* Older servers wrap what the caller got wrong as if it were their own fault. */
	if (status == 500 && strstr(sentence, "InvalidInputError"))
		class = ERR_USER;
	err_code(err, class, is_from_before(status, parsed) ? "kfp.proxy" : code_of(class),
		 "%s answers %d: %s",
		 is_from_before(status, parsed) ? "something before Kubeflow Pipelines"
						: "Kubeflow Pipelines",
		 status,
		 *sentence && (status < 300 || status >= 400) ? sentence : stock_sentence(status));
	if (!err)
		return class;
	if (class == ERR_THROTTLED)
		err->retry_at_ms = retry_at_ms;
	/* A 5xx may follow a row that was stored, or come from a proxy that gave up waiting. */
	err->in_doubt =
		mutates && class != ERR_USER && (status >= 500 || status == 408 || status == 499);
	return class;
}

/* --- queries --- */

void kfp_query(struct buf *path, const char *key, const char *value)
{
	if (str_is_empty(value))
		return;
	buf_putc(path, strchr(buf_text(path), '?') ? '&' : '?');
	buf_puts(path, key);
	buf_putc(path, '=');
	http_escape(path, value);
}

void kfp_filter(struct buf *path, json_t *take_predicates)
{
	AUTO_BUF struct buf once = buf_make(KFP_FILTER_MAX);
	AUTO_JSON json_t *filter = json_object();
	AUTO_FREE char *text = NULL;

	jval_set(filter, "predicates", take_predicates);
	text = jval_dump(filter);
	for (const char *at = text; *at; at++) {
		if (*at == '%')
			buf_puts(&once, "%25");
		else if (*at == '+')
			buf_puts(&once, "%2B");
		else
			buf_putc(&once, *at);
	}
	must(!once.truncated);
	kfp_query(path, "filter", buf_text(&once));
}

static json_t *add_predicate(json_t *predicates, const char *operation, const char *key)
{
	json_t *predicate = json_object();

	jval_set_str(predicate, "operation", operation);
	jval_set_str(predicate, "key", key);
	must(json_array_append_new(predicates, predicate) == 0);
	return predicate;
}

void kfp_predicate_text(json_t *predicates, const char *operation, const char *key,
			const char *value)
{
	jval_set_str(add_predicate(predicates, operation, key), "string_value", value);
}

void kfp_predicate_time(json_t *predicates, const char *operation, const char *key, int64_t ms)
{
	char text[21];

	clock_rfc3339(text, ms > 0 ? ms : 0);
	jval_set_str(add_predicate(predicates, operation, key), "timestamp_value", text);
}

void kfp_predicate_in(json_t *predicates, const char *key, json_t *take_values)
{
	json_t *values = json_object();

	jval_set(values, "values", take_values);
	jval_set(add_predicate(predicates, "IN", key), "string_values", values);
}

void kfp_path(struct buf *path, const char *before, const char *id, const char *after)
{
	buf_puts(path, before);
	http_escape(path, id);
	buf_puts(path, after);
}

/* --- calls --- */

static void count_call(const struct kfp_call *call, const struct http_response *response,
		       enum err_class class)
{
	char path[128];

	str_copy(path, sizeof path, call->path);
	path[strcspn(path, "?")] = '\0';
	metrics_call("kfp", class ? 0 : response->status, response->took_ms);
	log_debug("kfp_call", LOG_S("method", call->method), LOG_S("path", path),
		  LOG_I("status", response->status), LOG_I("ms", response->took_ms));
}

static enum err_class do_request(struct http *http, const struct kfp_call *call,
				 const struct http_request *request, struct http_response *out,
				 struct err *err)
{
	enum err_class class;

	if (call->mutates)
		CRASH_POINT("kfp.before_write");
	class = http_do(http, request, out, err);
	if (call->mutates)
		CRASH_POINT("kfp.after_write");
	count_call(call, out, class);
	return class;
}

enum err_class kfp_send(struct kfp *kfp, struct http *http, const struct kfp_call *call,
			struct http_response *out, struct err *err)
{
	AUTO_FREE char *url = str_printf("%s%s", kfp->url, call->path);
	AUTO_FREE char *body = call->body ? jval_dump(call->body) : NULL;
	struct http_request request = {
		.method = call->method,
		.url = url,
		.headers = {{"Accept", "application/json"}},
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.upload = call->upload,
		.timeout_ms = call->timeout_ms,
		.response_max = call->response_max ? call->response_max : KFP_ANSWER_MAX,
		.keeps_end = call->keeps_end,
	};
	char *token = NULL, *bearer = NULL;
	enum err_class class;
	size_t headers = 1;

	*out = (struct http_response){.body = buf_make(0), .headers = buf_make(0)};
	class = kfp_token(kfp, &token, err);
	if (class)
		return class;
	if (body)
		request.headers[headers++] =
			(struct http_header){"Content-Type", "application/json"};
	if (*token) {
		bearer = str_printf("Bearer %s", token);
		request.headers[headers++] = (struct http_header){"Authorization", bearer};
	}
	class = do_request(http, call, &request, out, err);
	sign_secret_free(bearer);
	sign_secret_free(token);
	if (class) {
		err_wrap(err, "Kubeflow Pipelines");
		return class;
	}
	if (out->status >= 200 && out->status < 300)
		return ERR_OK;
	return kfp_error(err, out->status, buf_text(&out->body), out->body.len,
			 http_retry_at_ms(out, RETRY_MAX_MS), call->mutates);
}

enum err_class kfp_send_json(struct kfp *kfp, struct http *http, const struct kfp_call *call,
			     json_t **out, struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	enum err_class class = kfp_send(kfp, http, call, &response, err);
	struct err fault;

	*out = NULL;
	if (class)
		return class;
	if (!jval_parse(out, buf_text(&response.body), response.body.len, &fault) &&
	    json_is_object(*out))
		return ERR_OK;
	jval_drop(out);
	class = err_set(err, ERR_TRANSIENT,
			"Kubeflow Pipelines answers %d with something that is not a JSON object",
			response.status);
	if (err)
		err->in_doubt = call->mutates;
	return class;
}
