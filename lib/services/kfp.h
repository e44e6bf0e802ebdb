/* kfp.h - the Kubeflow Pipelines API, v2beta1 (servers 2.0 to 2.17), one server per `struct kfp`.
 *
 * Shared by threads (locked inside); each brings its own `struct http`. Sends only members that the
 * oldest supported server knows; reads both shapes of error bodies and turns them into sentences.
 * Errors: NOT_FOUND, CONFLICT, DENIED, USER (400: the server's words), CONFIG (401, TLS),
 * THROTTLED, TRANSIENT (5xx, transport); in_doubt after a mutation whose answer is unknown. The
 * bearer token file is read again when it changes. Source: kubeflow/pipelines backend/api/v2beta1
 * swagger. */
#ifndef KF_SERVICES_KFP_H
#define KF_SERVICES_KFP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/http.h"

struct kfp;

struct kfp_options {
	const char *url;	/* "http://ml-pipeline.kubeflow:8888", "https://HOST/pipeline" */
	const char *ui_url;	/* for links; NULL: derived from url when it is a gateway's */
	const char *token_file; /* NULL: no authentication */
	bool dashboard;		/* links inside the central dashboard: ui_url/_/pipeline/?ns=...# */
};
enum err_class kfp_new(struct kfp **out, const struct kfp_options *options,
		       struct err *err) MUST_CHECK;
void kfp_free(struct kfp *take_kfp);

struct kfp_capabilities {
	char version[64]; /* tag_name, "unknown" */
	bool multi_user;
};
/* GET healthz. CONFIG when the server is 1.x only, with what is missing. */
enum err_class kfp_probe(struct kfp *kfp, struct http *http, struct kfp_capabilities *out,
			 struct err *err) MUST_CHECK;

/* Pipeline by name in the namespace ("" in single-user mode), made when absent. */
enum err_class kfp_pipeline_ensure(struct kfp *kfp, struct http *http, const char *ns,
				   const char *name, const char *description, char **out_id,
				   struct err *err) MUST_CHECK;

struct kfp_version {
	char *id;
	char *name;
	char *description;
	json_t *spec;	       /* pipeline_spec of the answer, NULL */
	json_t *platform_spec; /* NULL */
	char content[65];      /* pipeline_digest of both; "" when there is no spec */
};
void kfp_version_dispose(struct kfp_version *version);

struct kfp_upload {
	const char *pipeline_id;
	const char *name, *description;
	const char *yaml;
	size_t yaml_len;
	const char *content; /* pipeline_digest of its documents */
	bool in_doubt;	     /* an earlier try may have got through */
};
/* Uploads; 409 (500 on 2.0) or an unclear answer: found by name and adopted if it says the same,
 * whatever its description claims. Else CONFLICT "kfp.version_differs", and *out is the version
 * that is there. `adopted` says that it was there already. */
enum err_class kfp_version_upload(struct kfp *kfp, struct http *http,
				  const struct kfp_upload *upload, struct kfp_version *out,
				  bool *adopted, struct err *err) MUST_CHECK;
enum err_class kfp_version_find(struct kfp *kfp, struct http *http, const char *pipeline_id,
				const char *name, struct kfp_version *out,
				struct err *err) MUST_CHECK;
enum err_class kfp_pipeline_find(struct kfp *kfp, struct http *http, const char *ns,
				 const char *name, char **out_id, struct err *err) MUST_CHECK;

/* Found by name or made. */
enum err_class kfp_experiment_ensure(struct kfp *kfp, struct http *http, const char *ns,
				     const char *name, char **out_id, struct err *err) MUST_CHECK;

struct kfp_run_request {
	const char *run_id; /* ours, written down before */
	const char *display_name;
	const char *description; /* "bot=kfops repo=o/r pr=7 sha=... op=<uid>" */
	const char *experiment_id;
	const char *pipeline_id;
	const char *version_id;
	const char *service_account; /* NULL: the server's default */
	const json_t *parameters;    /* object */
};
/* One POST. Never call it twice with one run id without a kfp_run_get between. */
enum err_class kfp_run_create(struct kfp *kfp, struct http *http,
			      const struct kfp_run_request *request, char **out_run_id,
			      struct err *err) MUST_CHECK;

enum run_state {
	RUN_UNKNOWN,
	RUN_PENDING,
	RUN_RUNNING,
	RUN_PAUSED,
	RUN_CANCELING,
	RUN_SUCCEEDED,
	RUN_SKIPPED,
	RUN_FAILED,
	RUN_CANCELED
};
bool run_state_is_final(enum run_state state);
const char *run_state_name(enum run_state state);

struct kfp_run {
	enum run_state state;
	bool was_canceling; /* state_history has CANCELING: terminated by a person */
	int64_t created_at_ms, finished_at_ms; /* 0: not yet */
	char *error;			       /* NULL */
	json_t *tasks; /* {"train-model": "SUCCEEDED", ...}, executor tasks only */
};
void kfp_run_dispose(struct kfp_run *run);
/* NOT_FOUND: no such run (any more). */
enum err_class kfp_run_get(struct kfp *kfp, struct http *http, const char *run_id,
			   struct kfp_run *out, struct err *err) MUST_CHECK;

/* Ids of runs of the namespace that have finished since then; all pages, 200 a page. */
enum err_class kfp_runs_finished(struct kfp *kfp, struct http *http, const char *ns,
				 int64_t since_ms, char ***out_ids, size_t *out_count,
				 struct err *err) MUST_CHECK;
/* Of these run ids (at most 200), those that are final or gone; for the sweep. */
enum err_class kfp_runs_ended(struct kfp *kfp, struct http *http, const char *ns,
			      const char *const *ids, size_t count, char ***out_ids,
			      size_t *out_count, struct err *err) MUST_CHECK;

/* OK also when it is being stopped already, CONFLICT when it has ended. */
enum err_class kfp_run_terminate(struct kfp *kfp, struct http *http, const char *run_id,
				 struct err *err) MUST_CHECK;

/* Why a run failed, from the v1beta1 workflow manifest: [{"task","message","pod"}], and the last
 * lines of the first failed pod's log where the server gives them ("log" member). */
enum err_class kfp_run_causes(struct kfp *kfp, struct http *http, const char *run_id, json_t **out,
			      struct err *err) MUST_CHECK;

/* Links for people; "" when there is no UI address. */
void kfp_link_run(const struct kfp *kfp, const char *ns, const char *run_id, struct buf *out);
void kfp_link_version(const struct kfp *kfp, const char *ns, const char *pipeline_id,
		      const char *version_id, struct buf *out);

#endif
