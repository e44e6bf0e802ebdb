/* effects_kfp.c - effects on Kubeflow Pipelines.
 *
 * Pipeline, version and experiment are found by name before they are made, so they may be asked for
 * again. A run is made under an id that was committed before: in doubt, the id is asked for, and
 * only the step decides (after a time of doubt) to try another. */
#include <stdlib.h>
#include <string.h>

#include "bot/effects_impl.h"
#include "lib/base/log.h"
#include "lib/store/queue.h"
#include "lib/store/queue_made.h"

enum { FIELD_MAX = 128 };

static enum err_class cluster_of(struct effect_call *call, struct kfp **kfp, struct http **http,
				 struct err *err)
{
	struct kfp_capabilities seen;
	size_t at;

	if (world_cluster_of(call->hands->world, call->job->repo, &at, err))
		return err->class;
	*kfp = call->hands->world->clusters[at];
	*http = hands_kfp_http(call->hands, at);
	if (!atomic_load(&call->hands->world->too_old[at]))
		return ERR_OK;
	/* asked at the start, and again as long as it is: the sentence says what is missing */
	return kfp_probe(*kfp, *http, &seen, err);
}

/* The same for an effect that makes something in the job's namespace. */
static enum err_class cluster_to_change(struct effect_call *call, struct kfp **kfp,
					struct http **http, struct err *err)
{
	if (effect_namespace_allowed(call, jval_str(call->job->data, "settings.namespace", ""),
				     err))
		return err->class;
	return cluster_of(call, kfp, http, err);
}

/* Kubeflow refuses a namespace that is not there with the same words as one that is not ours. What
 * something before it refuses has nothing to do with namespaces. */
static enum err_class refused_to(const struct effect_call *call, const char *act, struct err *err)
{
	struct err seen = *err;

	if (!str_eq(seen.code, "kfp.denied"))
		return err_wrap(err, "cannot %s in Kubeflow", act);
	return err_code(
		err, ERR_DENIED, seen.code,
		"Kubeflow does not let the bot into the namespace %.64s, or there is none of "
		"that name. Look at pipeline.namespace in config_files/config.yaml; if it is "
		"right, ask the operator. (%.300s)",
		jval_str(call->args, "namespace", ""), seen.msg);
}

enum err_class effect_pipeline_ensure(struct effect_call *call, struct err *err)
{
	AUTO_FREE char *source = effect_path(call->hands->world, call->job, "src"), *id = NULL;
	struct http *http = NULL;
	struct kfp *kfp = NULL;

	repo_remove_tree(source); /* compiled and committed: the checkout is not needed any more */
	if (cluster_to_change(call, &kfp, &http, err))
		return err->class;
	if (kfp_pipeline_ensure(kfp, http, jval_str(call->args, "namespace", ""),
				jval_str(call->args, "name", ""),
				jval_str(call->args, "description", ""), &id, err))
		return refused_to(call, "find or make the pipeline", err);
	jval_set_str(call->data, "pipeline_id", id);
	return ERR_OK;
}

static void put_version(struct effect_call *call, const struct kfp *kfp, const char *pipeline_id,
			const struct kfp_version *version, json_t *into, const char *id_key,
			const char *name_key)
{
	AUTO_BUF struct buf link = buf_make(2048);

	kfp_link_version(kfp, jval_str(call->job->data, "settings.namespace", ""), pipeline_id,
			 version->id, &link);
	jval_set_str(into, id_key, version->id);
	jval_set_str(into, name_key, version->name);
	jval_set_str(into, "link", buf_text(&link));
}

/* The value of "key=value" in a description that we wrote; "" when absent. */
static void word_of(const char *description, const char *key, char *out, size_t size)
{
	size_t key_len = strlen(key);
	const char *at = description;

	out[0] = '\0';
	while (at && *at) {
		if (!strncmp(at, key, key_len) && at[key_len] == '=') {
			size_t len = strcspn(at + key_len + 1, " ");

			if (len < size) {
				memcpy(out, at + key_len + 1, len);
				out[len] = '\0';
			}
			return;
		}
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
}

/* Did this very job upload the version, before a crash or an answer that got lost? */
static bool is_own_upload(const struct effect_call *call, const struct kfp_version *version)
{
	char op[FIELD_MAX];

	word_of(version->description ? version->description : "", "op", op, sizeof op);
	return str_eq(op, call->job->uid);
}

/* A version with other content under our name may still be ours: of some files Kubeflow keeps
 * another wording (an Argo Workflow gets members, a plain scalar another type). It is, when a job
 * of this pull request uploaded the same bytes as this very version, and it has not changed since.
 */
static bool is_earlier_upload(const struct effect_call *call, const struct kfp_version *version)
{
	const struct job *job = call->job;
	struct queue_upload known;
	struct err ignored;

	return version->id &&
	       !queue_find_upload(call->hands->reader, job->repo_id, job->pr, version->id, &known,
				  &ignored) &&
	       str_eq(known.sha256, jval_str(call->args, "sha256", "")) &&
	       str_eq(known.content, version->content);
}

/* Kubeflow leaves out a platform document that it does not understand, and says nothing. */
static enum err_class check_platform(const struct effect_call *call,
				     const struct kfp_version *version, struct err *err)
{
	if (!jval_bool(call->args, "platform", false) || json_object_size(version->platform_spec))
		return ERR_OK;
	return err_code(
		err, ERR_USER, "kfp.platform_dropped",
		"Kubeflow does not know everything in the platform part of this pipeline "
		"and left all of it out: it would run without its secrets, volumes and node "
		"settings. Compile it with a kfp-kubernetes that is not newer than the "
		"server");
}

enum err_class effect_version_upload(struct effect_call *call, struct err *err)
{
	struct kfp_upload upload = {
		.pipeline_id = jval_str(call->args, "pipeline_id", ""),
		.name = jval_str(call->args, "name", ""),
		.description = jval_str(call->args, "description", ""),
		.content = jval_str(call->args, "content", ""),
		.in_doubt = call->in_doubt,
	};
	struct kfp_version version = {0};
	AUTO_FREE char *yaml = NULL;
	enum err_class class;
	struct http *http;
	bool adopted = false;
	struct kfp *kfp;

	if (cluster_to_change(call, &kfp, &http, err))
		return err->class;
	if (effect_read_file(call->hands->world, call->job, "pipeline.yaml", &yaml,
			     &upload.yaml_len, err))
		return err_code(
			err, ERR_USER, "compile.lost",
			"the compiled pipeline is not on this server any more (it was moved or "
			"cleaned). `/retry` compiles it again");
	upload.yaml = yaml;
	class = kfp_version_upload(kfp, http, &upload, &version, &adopted, err);
	if (class == ERR_CONFLICT && is_earlier_upload(call, &version)) {
		class = ERR_OK;
		adopted = true;
	}
	if (class)
		err_wrap(err, "cannot upload the version to Kubeflow");
	else
		class = check_platform(call, &version, err);
	if (!class) {
		put_version(call, kfp, upload.pipeline_id, &version, call->data, "version_id",
			    "version_name");
		jval_set_str(call->data, "content", version.content);
		jval_set_bool(call->data, "adopted", adopted && !is_own_upload(call, &version));
	}
	kfp_version_dispose(&version);
	return class;
}

/* Name and description of a version can be given by anybody who may write to the pipeline. What
 * counts is our own record: a job of this pull request uploaded the version of this id, and what
 * Kubeflow holds is still what it made of that upload. */
static enum err_class check_origin(struct effect_call *call, const struct kfp_version *version,
				   struct err *err)
{
	const struct job *job = call->job;
	struct queue_upload known;
	enum err_class class = queue_find_upload(call->hands->reader, job->repo_id, job->pr,
						 version->id, &known, err);

	if (class == ERR_NOT_FOUND)
		return err_code(err, ERR_USER, "run.foreign_version",
				"version %s was not uploaded by this bot for this pull request, or "
				"too long ago, so it is not run from here. `/build_run` builds and "
				"runs this commit",
				version->name);
	if (class)
		return class;
	if (!*version->content || !str_eq(known.content, version->content)) {
		log_warn("version_changed", LOG_I("job", job->id), LOG_S("repo", job->repo),
			 LOG_I("pr", job->pr), LOG_S("version", version->id));
		return err_code(err, ERR_USER, "run.changed_version",
				"version %s in Kubeflow is not what this bot uploaded any more, so "
				"it is not run. `/build_run` builds and runs this commit",
				version->name);
	}
	jval_set_str(call->data, "sha", known.head_sha);
	return ERR_OK;
}

/* The version without caching, for an upload of its own; nothing when it has none as it is. */
static enum err_class keep_variant(struct effect_call *call, json_t *documents,
				   const struct kfp_version *version, json_t *compile,
				   struct err *err)
{
	if (effect_keep_uncached(call, documents, compile, err))
		return err->class;
	jval_set_bool(compile, "variant",
		      !str_eq(jval_str(compile, "content", ""), version->content));
	return ERR_OK;
}

static enum err_class take_version(struct effect_call *call, const struct kfp *kfp,
				   const char *pipeline_id, const struct kfp_version *version,
				   struct err *err)
{
	AUTO_JSON json_t *documents = json_array();
	json_t *compile = json_object(), *into = json_object();

	jval_set(call->data, "version", into);
	jval_set(call->data, "compile", compile);
	if (!version->spec)
		return err_set(err, ERR_TRANSIENT,
			       "Kubeflow did not send the pipeline of version %s", version->name);
	if (check_origin(call, version, err))
		return err->class;
	put_version(call, kfp, pipeline_id, version, into, "id", "name");
	jval_set_str(into, "pipeline_id", pipeline_id);
	json_array_append(documents, version->spec);
	if (version->platform_spec)
		json_array_append(documents, version->platform_spec);
	if (effect_take_documents(call, documents, json_object_get(call->args, "parameters"),
				  compile, err))
		return err->class;
	return jval_bool(call->args, "no_cache", false)
		       ? keep_variant(call, documents, version, compile, err)
		       : ERR_OK;
}

/* When no version is named, the one that was built of the commit last: a second build may have had
 * to take another name than the first. */
static enum err_class name_newest(const struct effect_call *call, json_t *args, struct err *err)
{
	const struct job *job = call->job;
	AUTO_FREE char *name = NULL;
	enum err_class class;

	if (!jval_bool(args, "newest", false))
		return ERR_OK;
	class = queue_newest_upload(call->hands->reader, job->repo_id, job->pr, job->head_sha,
				    &name, err);
	if (class == ERR_NOT_FOUND)
		return ERR_OK;
	if (class)
		return class;
	jval_set_str(args, "name", name);
	jval_set_str(args, "version_name", name);
	return ERR_OK;
}

static enum err_class find_version(struct effect_call *call, struct err *err)
{
	AUTO_FREE char *source = effect_path(call->hands->world, call->job, "src");
	AUTO_FREE char *pipeline_id = NULL;
	struct kfp_version version = {0};
	enum err_class class;
	struct http *http = NULL;
	struct kfp *kfp = NULL;

	repo_remove_tree(
		source); /* its settings are read: not to be kept for as long as a run takes */
	if (cluster_of(call, &kfp, &http, err))
		return err->class;
	class = kfp_pipeline_find(kfp, http, jval_str(call->args, "namespace", ""),
				  jval_str(call->args, "pipeline", ""), &pipeline_id, err);
	if (!class)
		class = kfp_version_find(kfp, http, pipeline_id, jval_str(call->args, "name", ""),
					 &version, err);
	if (!class)
		class = take_version(call, kfp, pipeline_id, &version, err);
	kfp_version_dispose(&version);
	return class == ERR_DENIED ? refused_to(call, "find the version", err) : class;
}

enum err_class effect_version_find(struct effect_call *call, struct err *err)
{
	AUTO_JSON json_t *args = json_deep_copy(call->args);
	struct effect_call named = *call;

	named.args = args;
	return name_newest(call, args, err) ? err->class : find_version(&named, err);
}

enum err_class effect_experiment(struct effect_call *call, struct err *err)
{
	AUTO_FREE char *id = NULL;
	struct http *http = NULL;
	struct kfp *kfp = NULL;

	if (cluster_to_change(call, &kfp, &http, err))
		return err->class;
	if (kfp_experiment_ensure(kfp, http, jval_str(call->args, "namespace", ""),
				  jval_str(call->args, "name", ""), &id, err))
		return refused_to(call, "find or make the experiment", err);
	jval_set_str(call->data, "experiment_id", id);
	return ERR_OK;
}

static void put_run(struct effect_call *call, const struct kfp *kfp, const char *run_id)
{
	AUTO_BUF struct buf link = buf_make(2048);

	kfp_link_run(kfp, jval_str(call->args, "namespace", ""), run_id, &link);
	jval_set_str(call->data, "run_id", run_id);
	jval_set_str(call->data, "link", buf_text(&link));
}

/* The run goes on whatever we may see of it: a right that was taken back is the operator's matter
 * and is waited for like a token that is refused. */
static enum err_class while_under_way(struct err *err)
{
	if (err->class == ERR_DENIED)
		err->class = ERR_CONFIG;
	return err->class;
}

/* Fills call->data from a run, or says that it is absent. */
static enum err_class look(struct effect_call *call, struct kfp *kfp, struct http *http,
			   const char *run_id, struct err *err)
{
	struct kfp_run run = {0};
	enum err_class class = kfp_run_get(kfp, http, run_id, &run, err);

	put_run(call, kfp, run_id);
	if (class == ERR_NOT_FOUND) {
		jval_set_bool(call->data, "absent", true);
		return err->class = ERR_OK;
	}
	if (class) {
		while_under_way(err);
		return err_wrap(err, "cannot look at the run in Kubeflow");
	}
	jval_set_str(call->data, "state", run_state_name(run.state));
	jval_set_bool(call->data, "final", run_state_is_final(run.state));
	jval_set_bool(call->data, "was_canceling", run.was_canceling);
	jval_set_int(call->data, "created_at_ms", run.created_at_ms);
	jval_set_int(call->data, "finished_at_ms", run.finished_at_ms);
	if (run.error)
		jval_set_str(call->data, "error", run.error);
	if (run.tasks)
		jval_set(call->data, "tasks", json_incref(run.tasks));
	kfp_run_dispose(&run);
	return ERR_OK;
}

enum err_class effect_run_create(struct effect_call *call, struct err *err)
{
	struct kfp_run_request request = {
		.run_id = jval_str(call->args, "run_id", ""),
		.display_name = jval_str(call->args, "display_name", ""),
		.description = jval_str(call->args, "description", ""),
		.experiment_id = jval_str(call->args, "experiment_id", ""),
		.pipeline_id = jval_str(call->args, "pipeline_id", ""),
		.version_id = jval_str(call->args, "version_id", ""),
		.parameters = json_object_get(call->args, "parameters"),
	};
	AUTO_FREE char *run_id = NULL;
	struct http *http = NULL;
	struct kfp *kfp = NULL;

	must(*request.run_id);
	if (cluster_of(call, &kfp, &http, err))
		return err->class;
	if (call->in_doubt)
		return look(call, kfp, http, request.run_id, err);
	if (cluster_to_change(call, &kfp, &http, err))
		return err->class;
	if (kfp_run_create(kfp, http, &request, &run_id, err)) {
		if (err->in_doubt) /* it may be there: people are told which it would be */
			put_run(call, kfp, request.run_id);
		return err_wrap(err, "cannot create the run in Kubeflow");
	}
	put_run(call, kfp, run_id);
	return ERR_OK;
}

enum err_class effect_run_get(struct effect_call *call, struct err *err)
{
	struct http *http = NULL;
	struct kfp *kfp = NULL;

	if (cluster_of(call, &kfp, &http, err))
		return err->class;
	return look(call, kfp, http, jval_str(call->args, "run_id", ""), err);
}

enum err_class effect_run_terminate(struct effect_call *call, struct err *err)
{
	enum err_class class;
	struct http *http = NULL;
	struct kfp *kfp = NULL;

	if (cluster_of(call, &kfp, &http, err))
		return err->class;
	class = kfp_run_terminate(kfp, http, jval_str(call->args, "run_id", ""), err);
	/* ended or deleted meanwhile: the next look tells which */
	if (class && class != ERR_CONFLICT && class != ERR_NOT_FOUND) {
		while_under_way(err);
		return err_wrap(err, "cannot stop the run in Kubeflow");
	}
	err->class = ERR_OK;
	jval_set_bool(call->data, "terminated", true);
	return ERR_OK;
}

enum err_class effect_run_causes(struct effect_call *call, struct err *err)
{
	json_t *causes = NULL;
	struct http *http = NULL;
	struct kfp *kfp = NULL;

	if (cluster_of(call, &kfp, &http, err))
		return err->class;
	if (kfp_run_causes(kfp, http, jval_str(call->args, "run_id", ""), &causes, err))
		return err_wrap(err, "cannot ask Kubeflow for the cause");
	jval_set(call->data, "causes", causes);
	return ERR_OK;
}
