/* effects_impl.h - shared by the effects_*.c files: one function per kind of effect. */
#ifndef KF_BOT_EFFECTS_IMPL_H
#define KF_BOT_EFFECTS_IMPL_H

#include "bot/effects.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc.h"

struct effect_call {
	struct hands *hands;
	const struct job *job;
	const json_t *args;
	bool in_doubt;
	json_t *data; /* result, an object from the start */
};

typedef enum err_class effect_fn(struct effect_call *call, struct err *err);

effect_fn effect_permission, effect_refusal, effect_pull, effect_hold, effect_unhold;
effect_fn effect_ok_to_run;
effect_fn effect_checkout, effect_settings, effect_compile;
effect_fn effect_pipeline_ensure, effect_version_upload, effect_version_find, effect_experiment;
effect_fn effect_run_create, effect_run_get, effect_run_terminate, effect_run_causes;
effect_fn effect_turn_take, effect_environment_lock, effect_environment_unlock;
effect_fn effect_environments_list;
effect_fn effect_deployment_begin, effect_deployment_end, effect_run_find;
effect_fn effect_deployments_find;
effect_fn effect_merge_facts, effect_deployment_create, effect_deployment_status;
effect_fn effect_label_move, effect_merge, effect_enqueue, effect_dequeue, effect_queue_look;
effect_fn effect_branch_delete, effect_holder_look, effect_holder_free, effect_approvals,
	effect_approve;
effect_fn effect_model, effect_model_look, effect_service_make, effect_service_look,
	effect_service_before;
effect_fn effect_service_try, effect_service_send, effect_service_causes, effect_sample,
	effect_watch;
effect_fn effect_jobs_list, effect_job_cancel, effect_job_retry, effect_job_logs;

/* DENIED "denied.namespace" when the operator gives the job's repository no such namespace; asks
 * Kubeflow only where the operator's file has no list. */
enum err_class effect_namespace_allowed(const struct effect_call *call, const char *name,
					struct err *err) MUST_CHECK;
/* The same for the namespace in the arguments, in which a model is served; a list is needed. */
enum err_class effect_serving_allowed(const struct effect_call *call, struct err *err) MUST_CHECK;

/* Approvals that the deployment of a job needs: the greater of what the operator's file asks for in
 * production and the policy in its environment. */
int64_t effect_approvals_needed(const struct effect_call *call, const struct job *about);

struct github_target effect_target(const struct effect_call *call);

/* Of a pull request from a fork: what a maintainer said of the commit args["of"], or of the head,
 * as "ok" of lib/store/forks.h with "may": that person still has the right to say so; and the
 * heads that begin as args["typed"], as typed["heads"]. Asks nothing for others. */
enum err_class effect_fork_facts(struct effect_call *call, const struct github_pull *pull,
				 struct err *err) MUST_CHECK;

/* The operator's limits for what a repository's Python may use; half of each for that of a fork. */
struct compile_options effect_compile_options(const struct effect_call *call);

/* The services of the job's cluster; CONFIG "deploy.not_served" where nothing is deployed. */
enum err_class effect_kube(const struct effect_call *call, struct kube **out,
			   struct err *err) MUST_CHECK;
enum err_class effect_s3(const struct effect_call *call, struct s3 **out,
			 struct err *err) MUST_CHECK;
enum err_class effect_mlmd(const struct effect_call *call, struct mlmd **out,
			   struct err *err) MUST_CHECK;
/* A text of the job's cluster in the operator's file; NULL. */
const char *effect_cluster_text(const struct effect_call *call, const char *key);

/* Asks the model that these objects stage for one of its samples; what it answered, and whether
 * that will do, is put into call->data, which is emptied. */
enum err_class effect_sample_once(struct effect_call *call, const struct isvc_look *look,
				  size_t which, struct err *err) MUST_CHECK;
/* The pods of the new model; the caller drops *out. */
enum err_class effect_pods(struct effect_call *call, const struct isvc_look *look, json_t **out,
			   struct err *err) MUST_CHECK;

/* Keeps a place in their files for the check run. */
void effect_annotate(struct effect_call *call, const char *path, int line, const char *message);

/* "<work>/<uid>/<name>"; the caller frees. */
char *effect_path(const struct world *world, const struct job *job, const char *name) MUST_CHECK;

/* Writes a file of the job's work folder, 0600; TRANSIENT when the disk refuses. */
enum err_class effect_write_file(const struct world *world, const struct job *job, const char *name,
				 const char *data, size_t len, struct err *err) MUST_CHECK;
enum err_class effect_read_file(const struct world *world, const struct job *job, const char *name,
				char **out, size_t *out_len, struct err *err) MUST_CHECK;

/* Reads the documents, checks the parameters against them, keeps pipeline.json, and puts name,
 * tasks, images and effective parameters into call->data's object `into`. */
enum err_class effect_take_documents(struct effect_call *call, json_t *documents,
				     const json_t *given, json_t *into, struct err *err) MUST_CHECK;

/* Switches caching off in the documents, in place, and keeps them as pipeline.yaml for an upload;
 * sha256, content, platform and bytes go into `into`. */
enum err_class effect_keep_uncached(struct effect_call *call, json_t *documents, json_t *into,
				    struct err *err) MUST_CHECK;

#endif
