/* kfp_pipelines.c - pipelines, versions, experiments: found by name, else made.
 *
 * Everything here has a unique name, which makes a repeat harmless: whatever an answer to "create"
 * was (409, the 500 of a 2.0 server, none at all), looking the name up decides. A version is
 * adopted only when it says the same as what is to be uploaded: a name and a description can be
 * given by anybody. The same name with other content is a conflict that the caller decides.
 * Pipelines are made without a first version, so that every build is the same plain upload_version.
 * Only `display_name` is sent where newer servers also know `name`: they take the one for the
 * other, and 2.0 knows only this. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/pipeline.h"
#include "lib/services/kfp_impl.h"

/* --- what all three share --- */

static bool is_named(const json_t *item, const char *name)
{
	/* Servers before 2.14 have only the display name, and it is the name. */
	return str_eq(jval_str(item, "name", jval_str(item, "display_name", "")), name);
}

/* First member of `list` in the answer of this name; NULL when there is none. Borrowed. */
static json_t *find_named(const json_t *answer, const char *list, const char *name)
{
	const json_t *items = json_object_get(answer, list);

	for (size_t i = 0; i < json_array_size(items); i++)
		if (is_named(json_array_get(items, i), name))
			return json_array_get(items, i);
	return NULL;
}

static enum err_class list_by_name(struct kfp *kfp, struct http *http, const char *base,
				   const char *ns, const char *key, const char *name, json_t **out,
				   struct err *err)
{
	AUTO_BUF struct buf path = buf_make(KFP_PATH_MAX);
	struct kfp_call call = {.method = "GET"};
	json_t *predicates = json_array();

	buf_puts(&path, base);
	kfp_query(&path, "namespace", ns);
	kfp_query(&path, "page_size", "10");
	kfp_predicate_text(predicates, "EQUALS", key, name);
	kfp_filter(&path, predicates);
	call.path = buf_text(&path);
	return kfp_send_json(kfp, http, &call, out, err);
}

static enum err_class post(struct kfp *kfp, struct http *http, const char *path, const json_t *body,
			   json_t **out, struct err *err)
{
	struct kfp_call call = {.method = "POST", .path = path, .body = body, .mutates = true};

	return kfp_send_json(kfp, http, &call, out, err);
}

/* Takes the id out of an answer; an answer without one is garbage. */
static enum err_class take_id(const json_t *answer, const char *key, bool mutated, char **out_id,
			      struct err *err)
{
	const char *id = jval_str(answer, key, "");
	enum err_class class;

	if (*id) {
		*out_id = str_dup(id);
		return ERR_OK;
	}
	class = err_set(err, ERR_TRANSIENT, "Kubeflow Pipelines answers without a %s", key);
	if (err)
		err->in_doubt = mutated;
	return class;
}

/* True when a failed "create" may have found or made the thing: look it up. */
static bool is_unclear(enum err_class class, const struct err *err)
{
	return class == ERR_CONFLICT || (err && err->in_doubt);
}

/* What "find or make" needs to know of a kind of thing. */
struct kind {
	const char *path, *list, *filter_key, *id_key;
};
static const struct kind kind_pipeline = {"/apis/v2beta1/pipelines", "pipelines", "name",
					  "pipeline_id"};
static const struct kind kind_experiment = {"/apis/v2beta1/experiments", "experiments",
					    "display_name", "experiment_id"};

static enum err_class find_listed(struct kfp *kfp, struct http *http, const struct kind *kind,
				  const char *ns, const char *name, char **out_id, struct err *err)
{
	AUTO_JSON json_t *answer = NULL;
	enum err_class class;
	const json_t *found;

	class = list_by_name(kfp, http, kind->path, ns, kind->filter_key, name, &answer, err);
	if (class)
		return class;
	found = find_named(answer, kind->list, name);
	if (!found)
		return err_set(err, ERR_NOT_FOUND,
			       "Kubeflow Pipelines has no \"%.128s\" among its %s", name,
			       kind->list);
	return take_id(found, kind->id_key, false, out_id, err);
}

static enum err_class make(struct kfp *kfp, struct http *http, const struct kind *kind,
			   const char *ns, const char *name, const char *description, char **out_id,
			   struct err *err)
{
	AUTO_JSON json_t *body = json_object(), *answer = NULL;
	enum err_class class;
	struct err ignored;

	jval_set_str(body, "display_name", name);
	if (!str_is_empty(description))
		jval_set_str(body, "description", description);
	if (!str_is_empty(ns))
		jval_set_str(body, "namespace", ns);
	class = post(kfp, http, kind->path, body, &answer, err);
	if (!class)
		class = take_id(answer, kind->id_key, true, out_id, err);
	if (class && is_unclear(class, err) &&
	    find_listed(kfp, http, kind, ns, name, out_id, &ignored) == ERR_OK)
		class = ERR_OK;
	return class;
}

/* --- pipelines and experiments --- */

enum err_class kfp_pipeline_find(struct kfp *kfp, struct http *http, const char *ns,
				 const char *name, char **out_id, struct err *err)
{
	AUTO_BUF struct buf path = buf_make(KFP_PATH_MAX);
	AUTO_JSON json_t *answer = NULL;
	struct kfp_call call = {.method = "GET"};
	enum err_class class;

	*out_id = NULL;
	kfp_path(&path, "/apis/v2beta1/pipelines/names/", name, "");
	kfp_query(&path, "namespace", ns);
	call.path = buf_text(&path);
	class = kfp_send_json(kfp, http, &call, &answer, err);
	return class ? class : take_id(answer, "pipeline_id", false, out_id, err);
}

enum err_class kfp_pipeline_ensure(struct kfp *kfp, struct http *http, const char *ns,
				   const char *name, const char *description, char **out_id,
				   struct err *err)
{
	enum err_class class = kfp_pipeline_find(kfp, http, ns, name, out_id, err);

	if (class != ERR_NOT_FOUND)
		return class;
	return make(kfp, http, &kind_pipeline, ns, name, description, out_id, err);
}

enum err_class kfp_experiment_ensure(struct kfp *kfp, struct http *http, const char *ns,
				     const char *name, char **out_id, struct err *err)
{
	enum err_class class;

	*out_id = NULL;
	class = find_listed(kfp, http, &kind_experiment, ns, name, out_id, err);
	if (class != ERR_NOT_FOUND)
		return class;
	return make(kfp, http, &kind_experiment, ns, name, NULL, out_id, err);
}

/* --- versions --- */

void kfp_version_dispose(struct kfp_version *version)
{
	mem_free(version->id);
	mem_free(version->name);
	mem_free(version->description);
	json_decref(version->spec);
	json_decref(version->platform_spec);
	*version = (struct kfp_version){0};
}

void kfp_version_parse(struct kfp_version *out, const json_t *answer)
{
	json_t *spec = jval_at(answer, "pipeline_spec"), *inner = jval_at(spec, "pipeline_spec");
	const json_t *documents[2];

	*out = (struct kfp_version){
		.id = str_dup(jval_str(answer, "pipeline_version_id", "")),
		.name = str_dup(jval_str(answer, "name", jval_str(answer, "display_name", ""))),
		.description = str_dup(jval_str(answer, "description", "")),
		/* Two documents travel as one object with both; one document as it is. */
		.spec = json_incref(inner ? inner : spec),
		.platform_spec = inner ? json_incref(jval_at(spec, "platform_spec")) : NULL,
	};
	documents[0] = out->spec;
	documents[1] = out->platform_spec;
	if (!pipeline_digest(out->content, documents, 2))
		out->content[0] = '\0';
}

static enum err_class take_version(const json_t *answer, bool mutated, struct kfp_version *out,
				   struct err *err)
{
	char *id = NULL;
	enum err_class class = take_id(answer, "pipeline_version_id", mutated, &id, err);

	mem_free(id);
	if (!class)
		kfp_version_parse(out, answer);
	return class;
}

enum err_class kfp_version_find(struct kfp *kfp, struct http *http, const char *pipeline_id,
				const char *name, struct kfp_version *out, struct err *err)
{
	AUTO_BUF struct buf base = buf_make(KFP_PATH_MAX);
	AUTO_JSON json_t *answer = NULL;
	enum err_class class;
	const json_t *found;

	*out = (struct kfp_version){0};
	kfp_path(&base, "/apis/v2beta1/pipelines/", pipeline_id, "/versions");
	class = list_by_name(kfp, http, buf_text(&base), "", "name", name, &answer, err);
	if (class)
		return class;
	found = find_named(answer, "pipeline_versions", name);
	if (!found)
		return err_set(err, ERR_NOT_FOUND,
			       "the pipeline has no version \"%.128s\" in Kubeflow Pipelines",
			       name);
	return take_version(found, false, out, err);
}

/* The version of this name, if it says the same. NOT_FOUND: there is none. */
static enum err_class adopt(struct kfp *kfp, struct http *http, const struct kfp_upload *upload,
			    struct kfp_version *out, struct err *err)
{
	enum err_class class =
		kfp_version_find(kfp, http, upload->pipeline_id, upload->name, out, err);

	if (class || (*out->content && str_eq(out->content, upload->content)))
		return class;
	return err_code(err, ERR_CONFLICT, "kfp.version_differs",
			"Kubeflow Pipelines already has a version \"%.128s\" with other content",
			upload->name);
}

static enum err_class send_upload(struct kfp *kfp, struct http *http,
				  const struct kfp_upload *upload, struct kfp_version *out,
				  struct err *err)
{
	struct http_upload file = {.field = "uploadfile",
				   .filename =
					   "pipeline.yaml", /* the ending decides how it is read */
				   .content_type = "application/x-yaml",
				   .data = upload->yaml,
				   .len = upload->yaml_len};
	AUTO_BUF struct buf path = buf_make(KFP_PATH_MAX);
	AUTO_JSON json_t *answer = NULL;
	struct kfp_call call = {.method = "POST",
				.upload = &file,
				.timeout_ms = KFP_UPLOAD_TIMEOUT_MS,
				.mutates = true};
	enum err_class class;

	buf_puts(&path, "/apis/v2beta1/pipelines/upload_version");
	kfp_query(&path, "name", upload->name);
	kfp_query(&path, "pipelineid", upload->pipeline_id);
	kfp_query(&path, "description", upload->description);
	call.path = buf_text(&path);
	class = kfp_send_json(kfp, http, &call, &answer, err);
	return class ? class : take_version(answer, true, out, err);
}

/* Reads the version back when the answer to the upload did not hold what the server made of it. */
static enum err_class read_back(struct kfp *kfp, struct http *http, const char *pipeline_id,
				struct kfp_version *version, struct err *err)
{
	AUTO_BUF struct buf path = buf_make(KFP_PATH_MAX);
	AUTO_JSON json_t *answer = NULL;
	struct kfp_call call = {.method = "GET"};
	enum err_class class;

	kfp_path(&path, "/apis/v2beta1/pipelines/", pipeline_id, "/versions/");
	kfp_path(&path, "", version->id, "");
	call.path = buf_text(&path);
	class = kfp_send_json(kfp, http, &call, &answer, err);
	kfp_version_dispose(version);
	return class ? class : take_version(answer, false, version, err);
}

/* Looks the name up after an upload whose answer was "taken" or none at all; `class` is that of the
 * answer, described in *err. */
static enum err_class settle(struct kfp *kfp, struct http *http, const struct kfp_upload *upload,
			     enum err_class class, struct kfp_version *out, struct err *err)
{
	struct err second;
	enum err_class looked = adopt(kfp, http, upload, out, &second);

	if (!looked || looked == ERR_CONFLICT) {
		if (looked && err)
			*err = second;
		return looked;
	}
	/* The name is taken, yet not listed: worth another look later. */
	if (class == ERR_CONFLICT && err)
		err->class = ERR_TRANSIENT;
	return class == ERR_CONFLICT ? ERR_TRANSIENT : class;
}

enum err_class kfp_version_upload(struct kfp *kfp, struct http *http,
				  const struct kfp_upload *upload, struct kfp_version *out,
				  bool *adopted, struct err *err)
{
	enum err_class class = ERR_NOT_FOUND;

	*out = (struct kfp_version){0};
	*adopted = false;
	if (upload->yaml_len > KFP_ANSWER_MAX)
		return err_code(err, ERR_USER, "pipeline.too_large",
				"the compiled pipeline has more than the 32 MiB that Kubeflow "
				"Pipelines takes");
	if (upload->in_doubt)
		class = adopt(kfp, http, upload, out, err);
	*adopted = upload->in_doubt && !class;
	if (class != ERR_NOT_FOUND)
		return class;
	class = send_upload(kfp, http, upload, out, err);
	if (class && is_unclear(class, err)) {
		class = settle(kfp, http, upload, class, out, err);
		*adopted = !class;
	}
	if (!class && !out->spec)
		class = read_back(kfp, http, upload->pipeline_id, out, err);
	return class;
}
