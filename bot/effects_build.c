/* effects_build.c - effects on this machine: checkout, settings, compile. What they write stays in
 * the job's work folder, so they can be done again at any time. */
#include <string.h>

#include "bot/effects_impl.h"
#include "bot/policies.h"
#include "config/settings.h"
#include "lib/base/sign.h"
#include "lib/base/yaml.h"
#include "lib/core/policy.h"

enum {
	SETTINGS_MAX = 256 << 10,
	REPORT_MAX = 16 << 10,
	UPLOAD_MAX = 32 << 20,
	APPEARS_AFTER_TRIES = 4,
};
static const char settings_path[] = "config_files/config.yaml";

/* Which policy file is in the checkout, by git's name of its content: "" for none, "odd" for
 * something that is no file of that kind. */
static void keep_policy_here(struct effect_call *call, const char *source)
{
	const char *known = jval_str(call->job->data, "policy.sha", "");
	AUTO_FREE char *text = NULL;
	char name[65] = "odd";
	struct err ignored = {0};
	size_t len;
	enum err_class class =
		repo_read_file(source, POLICIES_PATH, POLICY_TEXT_MAX, &text, &len, &ignored);

	if (class == ERR_NOT_FOUND)
		name[0] = '\0';
	else if (!class)
		sign_git_blob_hex(name, strlen(known) == 64 ? 64 : 40, text, len);
	jval_set_str(call->data, "policy_here", name);
}

enum err_class effect_checkout(struct effect_call *call, struct err *err)
{
	struct world *world = call->hands->world;
	struct github_target to = effect_target(call);
	AUTO_FREE char *dest = effect_path(world, call->job, "src");
	AUTO_FREE char *url = str_printf("%s/%s.git", config_text(world->config, "github.web_url"),
					 call->job->repo);
	AUTO_FREE char *ref = str_printf("refs/pull/%lld/head", (long long)call->job->pr);
	struct repo_request request = {.repo_id = call->job->repo_id,
				       .url = url,
				       .ref = ref,
				       .sha = call->job->head_sha,
				       .dest = dest};
	struct repo_tree tree;
	enum err_class class;
	char *token = NULL;

	if (github_git_token(world->github, call->hands->github_http, &to, &token, err))
		return err->class;
	if (effect_write_file(world, call->job, ".kfops", "", 0, err)) {
		sign_secret_free(token);
		return err->class;
	}
	repo_remove_tree(dest);
	request.token = token;
	class = repo_checkout_apart(world->repos, &request, &tree, err);
	if (class == ERR_DENIED && call->job->tries < APPEARS_AFTER_TRIES) {
		github_git_token_refused(world->github, token);
		class = err->class = ERR_TRANSIENT;
	}
	sign_secret_free(token);
	/* refs/pull/N/head lags by seconds: behind a push, and of a new pull request it is not
	 * there */
	if ((class == ERR_CONFLICT || class == ERR_NOT_FOUND) &&
	    call->job->tries < APPEARS_AFTER_TRIES)
		return err->class = ERR_TRANSIENT;
	if (class)
		return class;
	jval_set_int(call->data, "files", tree.files);
	jval_set_int(call->data, "bytes", tree.bytes);
	keep_policy_here(call, dest);
	return ERR_OK;
}

void effect_annotate(struct effect_call *call, const char *path, int line, const char *message)
{
	json_t *place = json_object();

	jval_set_str(place, "path", path);
	jval_set_int(place, "line", line > 0 ? line : 1);
	jval_set_str(place, "message", message);
	jval_set(call->data, "annotation", place);
}

enum err_class effect_settings(struct effect_call *call, struct err *err)
{
	AUTO_FREE char *source = effect_path(call->hands->world, call->job, "src"), *text = NULL;
	AUTO_BUF struct buf report = buf_make(REPORT_MAX);
	json_t *settings = NULL;
	enum err_class class;
	size_t len = 0;
	int line = 0;

	class = repo_read_file(source, settings_path, SETTINGS_MAX, &text, &len, err);
	if (class == ERR_NOT_FOUND)
		return err_code(err, ERR_USER, "settings.missing",
				"%s is not in this commit. It names the pipeline to build: "
				"repository.owner and name, pipeline.name, namespace, "
				"experiment_name and pipeline_path (kfops' "
				"docs/getting-started.md has an example)",
				settings_path);
	if (class)
		return class;
	class = settings_parse(&settings, text, len, call->job->repo, &report, &line, err);
	if (class) {
		effect_annotate(call, settings_path, line,
				report.len ? buf_text(&report) : err->msg);
		jval_set_str(call->data, "log", buf_text(&report));
		return class;
	}
	json_decref(call->data);
	call->data = settings;
	/* a Kubeflow that does not answer now is asked again before anything is made */
	if (effect_namespace_allowed(call, jval_str(settings, "pipeline.namespace", ""), err) !=
	    ERR_DENIED)
		return ERR_OK;
	effect_annotate(call, settings_path, line, err->msg);
	return ERR_DENIED;
}

/* The documents as one file; NULL when that is more than Kubeflow takes. */
static char *write_documents(const json_t *documents, size_t *out_len)
{
	AUTO_BUF struct buf text = buf_make(UPLOAD_MAX);
	json_t *document;
	size_t i;

	json_array_foreach(documents, i, document)
	{
		AUTO_FREE char *yaml = yaml_dump(document);

		buf_puts(&text, i ? "---\n" : "");
		buf_puts(&text, yaml);
	}
	if (text.truncated) /* a cut pipeline must never be taken for the whole one */
		return NULL;
	*out_len = text.len;
	return buf_take(&text);
}

static size_t count_tasks(const struct pipeline *pipeline)
{
	size_t count = 0;

	for (size_t i = 0; i < pipeline->dag_count; i++)
		for (size_t k = 0; k < pipeline->dags[i].task_count; k++)
			count += pipeline->dags[i].tasks[k].kind != TASK_DAG;
	return count;
}

/* Kfops gives every pipeline that asks for it the name of its version. An upload may still take
 * another name; `names_version` says that the parameter follows it. */
static void give_version_id(const struct pipeline *pipeline, const char *version, json_t *given,
			    json_t *into)
{
	for (size_t i = 0; version && i < pipeline->param_count; i++)
		if (str_eq(pipeline->params[i].name, "version_id") &&
		    !json_object_get(given, "version_id")) {
			jval_set_str(given, "version_id", version);
			jval_set_bool(into, "names_version", true);
		}
}

/* The mode says which of the two kinds of compiled files is meant; "" when nobody asks. */
static enum err_class check_mode(struct effect_call *call, const struct pipeline *pipeline,
				 struct err *err)
{
	const char *mode = jval_str(call->args, "mode", ""),
		   *path = jval_str(call->args, "path", "");
	bool is_argo = pipeline->format == PIPELINE_ARGO, wants_argo = str_eq(mode, "V1_LEGACY");

	if (!*mode || is_argo == wants_argo)
		return ERR_OK;
	err_code(err, ERR_USER, "compile.mode",
		 is_argo ? "`%s` is an Argo Workflow of kfp 1; say so in config_files/config.yaml: "
			   "`pipeline_execution_mode: V1_LEGACY`"
			 : "`%s` is a pipeline of kfp 2, but `pipeline_execution_mode` is "
			   "`V1_LEGACY`; "
			   "remove that line, or write `V2_ENGINE`",
		 path);
	effect_annotate(call, path, 1, err->msg);
	return err->class;
}

static enum err_class take_pipeline(struct effect_call *call, const struct pipeline *pipeline,
				    const json_t *given, json_t *into, struct err *err)
{
	AUTO_JSON json_t *mine = json_is_object(given) ? json_deep_copy(given) : json_object();
	json_t *parameters = NULL, *images = json_array();

	jval_set_str(into, "name", pipeline->name);
	jval_set_int(into, "tasks", (int64_t)count_tasks(pipeline));
	for (size_t i = 0; i < pipeline->image_count && i < 50; i++)
		json_array_append_new(images, json_string(pipeline->images[i]));
	jval_set(into, "images", images);
	if (check_mode(call, pipeline, err))
		return err->class;
	give_version_id(pipeline, jval_str(call->args, "version_name", NULL), mine, into);
	if (pipeline_check_params(pipeline, mine, &parameters, err))
		return err->class;
	jval_set(into, "parameters", parameters);
	return ERR_OK;
}

/* Where the run will store its model by itself, if it does. */
static void put_stores(const json_t *documents, json_t *into)
{
	json_t *stores = pipeline_stores(documents);

	if (json_array_size(stores))
		jval_set(into, "stores", stores);
	else
		json_decref(stores);
}

enum err_class effect_take_documents(struct effect_call *call, json_t *documents,
				     const json_t *given, json_t *into, struct err *err)
{
	AUTO_FREE char *text = jval_dump(documents);
	struct pipeline *pipeline = NULL;
	const json_t *list[2];
	size_t count = json_array_size(documents);
	enum err_class class;

	if (count > 2)
		return err_code(err, ERR_USER, "pipeline.invalid",
				"the compiled pipeline has %zu documents; one or two are allowed",
				count);
	for (size_t i = 0; i < count; i++)
		list[i] = json_array_get(documents, i);
	if (pipeline_read(&pipeline, list, count, err))
		return err->class;
	class = take_pipeline(call, pipeline, given, into, err);
	pipeline_free(pipeline);
	if (class)
		return class;
	put_stores(documents, into);
	return effect_write_file(call->hands->world, call->job, "pipeline.json", text, strlen(text),
				 err);
}

/* By which the version is known again; and whether there is a document that Kubeflow may lose. */
static enum err_class put_digest(const json_t *documents, json_t *into, struct err *err)
{
	const json_t *list[2] = {json_array_get(documents, 0), json_array_get(documents, 1)};
	char content[PIPELINE_DIGEST_SIZE];

	if (!pipeline_digest(content, list, json_array_size(documents)))
		return err_code(err, ERR_USER, "pipeline.too_large",
				"the compiled pipeline has more than the 32 MiB that Kubeflow "
				"Pipelines takes");
	jval_set_str(into, "content", content);
	jval_set_bool(into, "platform",
		      jval_at(list[0], "platforms") || jval_at(list[1], "platforms"));
	return ERR_OK;
}

/* Keeps the file that is to be uploaded, and by what it is known. */
static enum err_class keep_file(struct effect_call *call, const char *yaml, size_t len,
				const json_t *documents, json_t *into, struct err *err)
{
	char digest[2 * SIGN_SHA256_LEN + 1];

	if (put_digest(documents, into, err))
		return err->class;
	sign_sha256_hex(digest, yaml, len);
	jval_set_str(into, "sha256", digest);
	jval_set_int(into, "bytes", (int64_t)len);
	return effect_write_file(call->hands->world, call->job, "pipeline.yaml", yaml, len, err);
}

enum err_class effect_keep_uncached(struct effect_call *call, json_t *documents, json_t *into,
				    struct err *err)
{
	AUTO_FREE char *yaml = NULL;
	size_t len = 0;

	pipeline_disable_cache(documents);
	yaml = write_documents(documents, &len);
	if (!yaml)
		return err_code(err, ERR_USER, "pipeline.too_large",
				"with `--no-cache` the compiled pipeline has more than the 32 MiB "
				"that Kubeflow Pipelines takes");
	return keep_file(call, yaml, len, documents, into, err);
}

static enum err_class keep_compiled(struct effect_call *call, struct compile_result *made,
				    struct err *err)
{
	if (effect_take_documents(call, made->documents, json_object_get(call->args, "parameters"),
				  call->data, err))
		return err->class;
	if (jval_bool(call->args, "no_cache", false))
		return effect_keep_uncached(call, made->documents, call->data, err);
	return keep_file(call, made->yaml, made->yaml_len, made->documents, call->data, err);
}

/* What kfops.model.materialize_model is to know: names of things, no keys. */
static void put_model_store(const struct effect_call *call, const char *env[9])
{
	static const struct {
		const char *name, *key, *other;
	} variables[] = {
		{"KFOPS_MODEL_STORE", "model_store", NULL},
		{"KFOPS_MODEL_ENDPOINT", "model_store_url", "s3_url"},
		{"KFOPS_MODEL_REGION", "s3_region", NULL},
		{"KFOPS_MODEL_SECRET", "model_store_secret", NULL},
	};
	size_t count = 0;

	for (size_t i = 0; effect_cluster_text(call, "model_store") && i < ARRAY_LEN(variables);
	     i++) {
		const char *value = effect_cluster_text(call, variables[i].key);

		if (!value && variables[i].other)
			value = effect_cluster_text(call, variables[i].other);
		if (!value)
			continue;
		env[count++] = variables[i].name;
		env[count++] = value;
	}
	env[count] = NULL;
}

struct compile_options effect_compile_options(const struct effect_call *call)
{
	struct compile_options options = call->hands->world->compile;

	if (!jval_bool(call->job->data, "pull.fork", false))
		return options;
	options.timeout_ms /= 2;
	options.memory_bytes_max /= 2;
	options.output_bytes_max /= 2;
	options.processes_max = options.processes_max / 2 + options.processes_max % 2;
	return options;
}

enum err_class effect_compile(struct effect_call *call, struct err *err)
{
	struct world *world = call->hands->world;
	struct compile_options options = effect_compile_options(call);
	const char *env[9];
	AUTO_FREE char *source = effect_path(world, call->job, "src");
	struct compile_request request = {
		.source_dir = source,
		.pipeline_path = jval_str(call->args, "path", ""),
		.function_name = jval_str(call->args, "function", NULL),
		.env = env,
	};
	struct compile_result made = {0};
	enum err_class class;

	put_model_store(call, env);
	if (str_is_empty(request.function_name))
		request.function_name = NULL;
	if (str_eq(jval_str(call->args, "mode", ""), "V1_LEGACY") &&
	    str_ends(request.pipeline_path, ".py"))
		return err_code(
			err, ERR_USER, "compile.legacy_source",
			"pipeline_execution_mode V1_LEGACY needs a compiled Argo file: today's kfp "
			"cannot compile kfp 1 code. Commit the compiled .yaml and name it in "
			"pipeline_path, or port the pipeline to kfp 2 and remove the mode");
	class = compile_run(&options, &request, &made, err);
	if (made.log)
		jval_set_str(call->data, "log", made.log);
	if (class && made.error.path)
		effect_annotate(call, made.error.path, made.error.line,
				made.error.message ? made.error.message : err->msg);
	if (!class)
		class = keep_compiled(call, &made, err);
	compile_result_dispose(&made);
	return class;
}
