/* kfp_impl.h - what the files of the module kfp share. Nobody else includes this, except the tests
 * and fuzz targets of its parsers.
 *
 * kfp.c           a server: address, token, probe, links
 * kfp_http.c      one call: encoding, answer, error bodies as sentences, counting
 * kfp_list.c      list answers read without building them in memory
 * kfp_pipelines.c pipelines, versions, experiments
 * kfp_runs.c      runs: create, look, lists, terminate
 * kfp_causes.c    why a run failed */
#ifndef KF_SERVICES_KFP_IMPL_H
#define KF_SERVICES_KFP_IMPL_H

#include "lib/base/http.h"
#include "lib/base/secret.h"
#include "lib/services/kfp.h"

enum {
	KFP_PAGE_SIZE = 200,		   /* the server's own maximum */
	KFP_ANSWER_MAX = 32 * 1024 * 1024, /* bytes; also the server's limit for uploads */
	KFP_UPLOAD_TIMEOUT_MS = 120 * 1000,
	KFP_PATH_MAX = 32 * 1024,
	KFP_FILTER_MAX = 24 * 1024,
	KFP_TOKEN_MAX = 8 * 1024,
};

struct kfp {
	char *url;    /* without a slash at the end */
	char *ui_url; /* "" when there is none */
	bool dashboard;
	struct secret *token; /* NULL: no authentication */
};

/* --- one call --- */

struct kfp_call {
	const char *method;
	const char *path;		  /* "/apis/..." with its query */
	const json_t *body;		  /* NULL: none */
	const struct http_upload *upload; /* NULL: none */
	size_t response_max;		  /* 0: KFP_ANSWER_MAX */
	bool keeps_end;			  /* of an answer that is larger, instead of an error */
	int timeout_ms;			  /* 0: that of http.h */
	bool mutates;
};

/* Any answer of the server is an error unless it is 2xx. out->body.truncated says that the answer
 * was larger than response_max. The caller disposes of *out in every case. */
enum err_class kfp_send(struct kfp *kfp, struct http *http, const struct kfp_call *call,
			struct http_response *out, struct err *err) MUST_CHECK;

/* The same with the answer parsed as an object; the caller drops it. */
enum err_class kfp_send_json(struct kfp *kfp, struct http *http, const struct kfp_call *call,
			     json_t **out, struct err *err) MUST_CHECK;

/* The bearer token ("" when there is none), read again when the file has changed. The caller ends
 * with sign_secret_free. */
enum err_class kfp_token(struct kfp *kfp, char **out, struct err *err) MUST_CHECK;

/* Class and sentence of an answer that is not 2xx. `retry_at_ms` is 0 when it carries none. */
enum err_class kfp_error(struct err *err, int status, const char *body, size_t len,
			 int64_t retry_at_ms, bool mutates);

/* Appends "?key=value" or "&key=value", encoded; nothing when value is empty. */
void kfp_query(struct buf *path, const char *key, const char *value);

/* Appends the filter of these predicates. The server unescapes the value of `filter` once more than
 * HTTP does, so '%' and '+' inside are encoded twice. */
void kfp_filter(struct buf *path, json_t *take_predicates);

/* Appends `before`, the id encoded, and `after` ("" for none). */
void kfp_path(struct buf *path, const char *before, const char *id, const char *after);

/* One predicate more for kfp_filter. */
void kfp_predicate_text(json_t *predicates, const char *operation, const char *key,
			const char *value);
void kfp_predicate_time(json_t *predicates, const char *operation, const char *key, int64_t ms);
/* `take_values` is an array of texts. */
void kfp_predicate_in(json_t *predicates, const char *key, json_t *take_values);

/* --- lists --- */

/* Called for each member of "runs"; texts are borrowed and "" when absent. */
typedef void kfp_run_seen(void *arg, const char *run_id, const char *state);

/* Reads a list of runs without building it. False when it is not one JSON object. */
bool kfp_list_scan(const char *text, size_t len, kfp_run_seen *seen, void *arg,
		   char next_token[KFP_TOKEN_MAX]);

/* --- parsers of answers --- */

enum run_state kfp_state_parse(const char *text);
void kfp_run_parse(struct kfp_run *out, const json_t *answer);
void kfp_version_parse(struct kfp_version *out, const json_t *answer);

/* Causes from the answer of GET /apis/v1beta1/runs/ID: an array, most telling first. The pod of the
 * first is also given by its other possible name, "" when there is none. The caller drops the
 * array. */
json_t *kfp_causes_parse(const json_t *answer, char *other_pod, size_t size);

/* Keeps the last lines of a log that fit into `max` bytes. */
void kfp_log_tail(struct buf *out, const char *log, size_t len, size_t max);

#endif
