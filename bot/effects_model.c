/* effects_model.c - effects that find the model of a run and make the object that serves it.
 *
 * Where a model lies is asked of ML Metadata, not guessed from the run's id: a task taken from the
 * cache has its model in another run's folder. What lies there is listed before anything is
 * touched, because a server that finds nothing says so minutes later, in a pod's log. Only a task
 * of kfops.model.materialize_model has its model where the run's id says. */
#include <string.h>

#include "bot/credentials.h"
#include "bot/effects_impl.h"
#include "lib/base/yaml.h"
#include "lib/core/isvc.h"
#include "lib/core/mlmd.h"
#include "lib/core/model_files.h"
#include "lib/core/pipeline.h"
#include "lib/core/sample.h"
#include "lib/services/compile.h"
#include "lib/services/mlmd.h"
#include "lib/services/s3.h"

enum { OBJECTS_MAX = 2000, FILE_BYTES_MAX = 1 << 20, SAMPLE_BYTES_MAX = 1 << 20 };
enum { METRICS_MAX = 200, METRIC_TEXT_MAX = 64 };

/* --- where it lies --- */

static enum err_class ask_outputs(struct effect_call *call, json_t **out, struct err *err)
{
	struct mlmd *mlmd;

	if (effect_mlmd(call, &mlmd, err))
		return err->class;
	return mlmd_run_outputs(mlmd, hands_cluster_http(call->hands),
				jval_str(call->args, "run_id", ""), out, err);
}

static enum err_class list(struct effect_call *call, const struct s3_uri *uri,
			   struct s3_listing *out, struct err *err)
{
	struct s3_list_request request = {
		.bucket = uri->bucket, .prefix = uri->key, .max = OBJECTS_MAX};
	enum err_class class;
	struct s3 *s3;

	*out = (struct s3_listing){0};
	if (effect_s3(call, &s3, err))
		return err->class;
	class = s3_list(s3, hands_cluster_http(call->hands), &request, out, err);
	credentials_note_store(call->hands->world, call->job, class ? err : &(struct err){0});
	return class;
}

/* KServe lists by prefix, so "…/model" would take "…/model2" as well: a folder gets its slash. */
static void close_folder(struct s3_uri *uri, const struct s3_listing *listing)
{
	size_t len = strlen(uri->key);

	if (!len || uri->key[len - 1] == '/' || len + 1 >= sizeof uri->key || !listing->count)
		return;
	for (size_t i = 0; i < listing->count; i++)
		if (str_eq(listing->objects[i].key, uri->key))
			return; /* an object of its own */
	for (size_t i = 0; i < listing->count; i++)
		if (listing->objects[i].key[len] == '/') {
			uri->key[len] = '/';
			uri->key[len + 1] = '\0';
			return;
		}
}

static enum err_class read_listing(struct effect_call *call, const char *where, struct s3_uri *uri,
				   struct s3_listing *listing, struct err *err)
{
	if (s3_uri_parse(uri, where, err) || list(call, uri, listing, err))
		return err->class;
	close_folder(uri, listing);
	s3_listing_dispose(listing);
	return list(call, uri, listing, err);
}

static void keep_listing(struct effect_call *call, const struct s3_uri *uri,
			 const struct s3_listing *found)
{
	struct model_listing listing = {uri, found->objects, found->count, found->complete};
	AUTO_BUF struct buf text = buf_make(S3_BUCKET_MAX + S3_KEY_MAX + 16);
	char digest[MODEL_DIGEST_LEN] = "";

	s3_uri_print(&text, uri);
	if (found->complete)
		model_files_digest(digest, &listing);
	jval_set_str(call->data, "uri", buf_text(&text));
	jval_set_str(call->data, "digest", digest);
	jval_set_int(call->data, "files", (int64_t)found->count);
	jval_set_int(call->data, "bytes", model_files_bytes(&listing));
	jval_set_bool(call->data, "found", found->count > 0);
	if (!found->count)
		jval_set_str(call->data, "why", "nothing lies at its address any more");
}

static enum err_class look_at(struct effect_call *call, const char *where, struct err *err)
{
	struct s3_listing listing = {0};
	struct s3_uri uri;

	if (read_listing(call, where, &uri, &listing, err)) {
		s3_listing_dispose(&listing);
		return err_wrap(err, "cannot look at the model");
	}
	keep_listing(call, &uri, &listing);
	s3_listing_dispose(&listing);
	return ERR_OK;
}

/* Its metrics, if they are few enough to be kept with the run. What is no number is kept to be
 * told, not whole. */
static void keep_metrics(struct effect_call *call, const json_t *outputs)
{
	json_t *metrics = json_object_get(outputs, "metrics"), *each;
	char cut[METRIC_TEXT_MAX];
	size_t i;

	if (json_array_size(metrics) > METRICS_MAX)
		return;
	json_array_foreach(metrics, i, each)
	{
		if (!json_is_string(json_object_get(each, "value")))
			continue;
		str_copy(cut, sizeof cut, jval_str(each, "value", ""));
		cut[str_utf8_cut(cut, strlen(cut))] = '\0';
		jval_set_str(each, "value", cut);
	}
	jval_set(call->data, "metrics", json_incref(metrics));
}

/* Where the model itself is found without ML Metadata: "need" them, or only "try". A run that is
 * not known there has recorded none. */
static enum err_class ask_metrics(struct effect_call *call, struct err *err)
{
	const char *wish = jval_str(call->args, "metrics", "");
	AUTO_JSON json_t *outputs = NULL;
	struct err cause = {0};
	enum err_class class;

	if (!*wish)
		return ERR_OK;
	class = ask_outputs(call, &outputs, &cause);
	if (!class)
		keep_metrics(call, outputs);
	else if (class == ERR_NOT_FOUND)
		jval_set(call->data, "metrics", json_array());
	else if (str_eq(wish, "need")) {
		*err = cause;
		return err_wrap(err, "cannot ask for the metrics of the run");
	}
	return ERR_OK;
}

/* Stored by a task of its pipeline under the run's id: its address needs no more than that. */
static enum err_class stored_model(struct effect_call *call, const json_t *stores, struct err *err)
{
	AUTO_BUF struct buf where = buf_make(S3_BUCKET_MAX + S3_KEY_MAX + 16);
	const json_t *store;

	if (ask_metrics(call, err))
		return err->class;
	if (pipeline_store_choose(&store, stores, jval_str(call->args, "model.task", NULL),
				  jval_str(call->args, "model.output", NULL), err))
		return err->class;
	pipeline_store_uri(&where, store, jval_str(call->args, "run_id", ""));
	if (look_at(call, buf_text(&where), err))
		return err->class;
	if (!jval_bool(call->data, "found", false))
		jval_set_str(call->data, "why",
			     "its pipeline stores it by materialize_model, but nothing lies there: "
			     "did that task run?");
	jval_set_str(call->data, "task", jval_str(store, "task", ""));
	jval_set_str(call->data, "output", "");
	jval_set_bool(call->data, "cached", false);
	return ERR_OK;
}

/* The one that ML Metadata knows of. */
static enum err_class made_model(struct effect_call *call, struct err *err)
{
	const char *task = jval_str(call->args, "model.task", NULL);
	const char *output = jval_str(call->args, "model.output", NULL);
	AUTO_JSON json_t *outputs = NULL;
	const json_t *model = NULL;

	if (ask_outputs(call, &outputs, err))
		return err_wrap(err, "cannot ask which models the run has made");
	keep_metrics(call, outputs);
	if (model_choose(&model, json_object_get(outputs, "models"), task, output, err))
		return err->class;
	if (look_at(call, jval_str(model, "uri", ""), err))
		return err->class;
	jval_set_str(call->data, "task", jval_str(model, "task", ""));
	jval_set_str(call->data, "output", jval_str(model, "output", ""));
	jval_set_bool(call->data, "cached", jval_bool(model, "cached", false));
	return ERR_OK;
}

/* At the address that a deployment has recorded; or of a run: what its pipeline has stored by
 * itself, else what ML Metadata knows. A pipeline that stores a model means that one: when it is
 * not there, no other is taken in its place. */
enum err_class effect_model(struct effect_call *call, struct err *err)
{
	const json_t *stores = jval_at(call->args, "stores");

	if (jval_str(call->args, "uri", NULL))
		return look_at(call, jval_str(call->args, "uri", ""), err);
	return json_array_size(stores) ? stored_model(call, stores, err) : made_model(call, err);
}

/* The same files still? They may have been looked at days ago. */
enum err_class effect_model_look(struct effect_call *call, struct err *err)
{
	struct s3_listing listing = {0};
	struct s3_uri uri;
	enum err_class class =
		read_listing(call, jval_str(call->args, "uri", ""), &uri, &listing, err);

	if (class)
		(void)err_wrap(err, "cannot look at the model once more");
	else
		keep_listing(call, &uri, &listing);
	s3_listing_dispose(&listing);
	return class;
}

/* --- the object --- */

static enum err_class read_documents(const struct effect_call *call, const char *source,
				     json_t **out, struct err *err)
{
	const char *path = jval_str(call->args, "path", "");
	struct yaml_node **docs = NULL;
	AUTO_FREE char *text = NULL;
	size_t len, count = 0;
	struct err cause = {0};

	if (repo_read_file(source, path, FILE_BYTES_MAX, &text, &len, &cause))
		return err_code(err, ERR_USER, "deploy.no_file",
				"inference_service_function_path names %s, which cannot be read at "
				"this commit: %s",
				path, cause.msg);
	if (yaml_parse(&docs, &count, text, len, &cause))
		return err_code(err, ERR_USER, "deploy.template", "%s: %s", path, cause.msg);
	*out = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(*out, yaml_to_json(docs[i]));
	yaml_docs_free(docs, count);
	return ERR_OK;
}

/* Python is evaluated in the sandbox, like the pipeline; a plain document is read as it is. */
static enum err_class make_documents(struct effect_call *call, const char *source, json_t **out,
				     struct err *err)
{
	struct compile_service wish = {
		.name = jval_str(call->args, "service", ""),
		.ns = jval_str(call->args, "namespace", ""),
		.storage_uri = jval_str(call->args, "storage_uri", ""),
	};
	struct compile_request request = {.source_dir = source,
					  .pipeline_path = jval_str(call->args, "path", ""),
					  .service = &wish};
	struct compile_options options = effect_compile_options(call);
	struct compile_result made = {0};
	enum err_class class;

	if (!str_ends(request.pipeline_path, ".py"))
		return read_documents(call, source, out, err);
	class = compile_run(&options, &request, &made, err);
	if (made.log)
		jval_set_str(call->data, "log", made.log);
	if (class && made.error.path)
		effect_annotate(call, made.error.path, made.error.line,
				made.error.message ? made.error.message : err->msg);
	if (!class)
		*out = json_incref(made.documents);
	compile_result_dispose(&made);
	return class;
}

static enum err_class build(struct effect_call *call, const json_t *documents, json_t **out,
			    struct err *err)
{
	struct isvc_wish wish = {
		.name = jval_str(call->args, "service", ""),
		.ns = jval_str(call->args, "namespace", ""),
		.storage_uri = jval_str(call->args, "storage_uri", ""),
		.marks = {.job = call->job->uid,
			  .run = jval_str(call->args, "run_id", ""),
			  .sha = call->job->head_sha,
			  .repo = call->job->repo},
	};
	const json_t *items[4];
	size_t count = json_array_size(documents);

	for (size_t i = 0; i < count && i < ARRAY_LEN(items); i++)
		items[i] = json_array_get(documents, i);
	return isvc_build(out, items, count < ARRAY_LEN(items) ? count : ARRAY_LEN(items), &wish,
			  err);
}

/* Can the runtime that will serve it load what lies there? A fact for the gates, not a failure. */
static enum err_class judge_files(struct effect_call *call, const json_t *wanted, struct err *err)
{
	const json_t *model = jval_at(wanted, "spec.predictor.model");
	json_t *fits = json_object();
	struct s3_listing found = {0};
	struct err why = {0};
	struct s3_uri uri;
	enum err_class class =
		read_listing(call, jval_str(call->args, "storage_uri", ""), &uri, &found, err);
	struct model_listing listing = {&uri, found.objects, found.count, found.complete};

	jval_set(call->data, "fits", fits);
	if (!class && model) {
		bool good = !model_files_check(&listing, jval_str(model, "runtime", NULL),
					       jval_str(model, "modelFormat.name", NULL), &why);

		jval_set_bool(fits, "fits", good);
		if (!good)
			jval_set_str(fits, "why", why.msg);
	} else {
		jval_set_bool(fits, "fits", !class); /* a server of its own takes what it likes */
	}
	s3_listing_dispose(&found);
	return class;
}

/* A JSON file of the repository; `kind` is what it is for, in the sentence about it. */
static enum err_class read_json(const char *source, const char *path, const char *kind,
				json_t **out, struct err *err)
{
	AUTO_FREE char *text = NULL;
	struct err cause = {0};
	size_t len;

	if (!repo_read_file(source, path, SAMPLE_BYTES_MAX, &text, &len, &cause) &&
	    !jval_parse(out, text, len, &cause))
		return ERR_OK;
	if (err_is_retried(cause.class)) {
		*err = cause;
		return cause.class;
	}
	return err_code(err, ERR_USER, "deploy.sample_file", "the %s %s is not usable: %s", kind,
			path, cause.msg);
}

static enum err_class add_sample(const char *source, const char *path, json_t *samples,
				 struct err *err)
{
	AUTO_JSON json_t *value = NULL;
	struct sample sample;
	struct err cause = {0};

	if (read_json(source, path, "sample request", &value, err))
		return err->class;
	if (sample_recognise(&sample, value, &cause))
		return err_code(err, ERR_USER, "deploy.sample_file",
				"the sample request %s is not usable: %s", path, cause.msg);
	json_array_append(samples, value);
	return ERR_OK;
}

/* The requests, and the schema that their answers must fit, as they are at this commit. */
static enum err_class read_samples(struct effect_call *call, const char *source, struct err *err)
{
	const char *first = jval_str(call->args, "sample_path", "");
	const char *schema_path = jval_str(call->args, "expect.schema_path", NULL);
	json_t *more = jval_at(call->args, "expect.more_paths"), *path, *schema = NULL;
	json_t *samples = json_array();
	enum err_class class = ERR_OK;
	size_t i;

	jval_set(call->data, "samples", samples);
	if (*first)
		class = add_sample(source, first, samples, err);
	json_array_foreach(more, i, path) if (!class && i < SAMPLE_MORE_MAX) class =
		add_sample(source, json_string_value(path), samples, err);
	if (class || !schema_path)
		return class;
	class = read_json(source, schema_path, "schema", &schema, err);
	if (class)
		return class;
	jval_set(call->data, "schema", schema);
	return sample_schema_lint(schema, err);
}

enum err_class effect_service_make(struct effect_call *call, struct err *err)
{
	AUTO_FREE char *source = effect_path(call->hands->world, call->job, "src");
	AUTO_JSON json_t *documents = NULL;
	json_t *wanted = NULL;
	enum err_class class = effect_serving_allowed(call, err);

	if (!class)
		class = make_documents(call, source, &documents, err);
	if (!class)
		class = build(call, documents, &wanted, err);
	if (class)
		return class;
	jval_set(call->data, "wanted", wanted);
	class = judge_files(call, wanted, err);
	return class ? class : read_samples(call, source, err);
}
