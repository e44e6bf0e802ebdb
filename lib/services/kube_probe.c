/* kube_probe.c - what the server can do, and what we may.
 *
 * Whether KServe has spec.canary is read from the schema that the server publishes under
 * /openapi/v3, one group at a time: every authenticated identity may read that (cluster role
 * system:discovery), while the definition of the kind is for administrators. It is a document of
 * hundreds of kilobytes and costs more than all the rest of a rollout's beginning, so it is read
 * once: the server's list of schemas has a hash of each, and only what was read from a document is
 * kept, with its hash. A trial by dry run was the
 * alternative; it needs a valid object, passes through everybody's webhooks, and its refusal would
 * have to be told from theirs by its words. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/services/kube_impl.h"

enum { PROBE_TIMEOUT_MS = 20 * 1000 };

static const char kserve_api[] = "/apis/serving.kserve.io/v1beta1";
static const char openapi[] = "/openapi/v3";

static enum err_class ask(struct kube *kube, struct http *http, const char *path, json_t **out,
			  int *status, struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	struct kube_call call = {
		.verb = "get", .method = "GET", .path = path, .timeout_ms = PROBE_TIMEOUT_MS};
	enum err_class class = kube_send(kube, http, &call, &response, err);
	struct err what;

	*out = NULL;
	*status = response.status;
	if (class)
		return class;
	if (!jval_parse(out, buf_text(&response.body), response.body.len, &what) &&
	    json_is_object(*out))
		return ERR_OK;
	jval_drop(out);
	return err_code(err, ERR_TRANSIENT, "kube.proxy",
			"what answers at %s in place of Kubernetes does not speak JSON", path);
}

enum err_class kube_version(struct kube *kube, struct http *http, char out[64], struct err *err)
{
	AUTO_JSON json_t *answer = NULL;
	enum err_class class;
	int status;

	str_copy(out, 64, "unknown");
	class = ask(kube, http, "/version", &answer, &status, err);
	if (!class)
		str_copy(out, 64, jval_str(answer, "gitVersion", "unknown"));
	return class;
}

/* --- KServe --- */

static bool has_services(const json_t *list)
{
	const json_t *resources = jval_at(list, "resources");

	for (size_t i = 0; i < json_array_size(resources); i++)
		if (str_eq(jval_str(json_array_get(resources, i), "name", ""), "inferenceservices"))
			return true;
	return false;
}

/* Does the schema of an InferenceService know spec.canary? */
static enum kube_known knows_canary(const json_t *schema)
{
	const json_t *members = jval_at(schema, "properties.spec.properties");

	if (!json_object_size(members))
		return KUBE_UNKNOWN;
	return json_object_get(members, "canary") ? KUBE_YES : KUBE_NO;
}

static enum kube_known read_openapi(const json_t *document)
{
	json_t *schemas = jval_at(document, "components.schemas"), *schema;
	const char *name;

	json_object_foreach(
		schemas, name,
		schema) if (str_ends(name,
				     ".v1beta1.InferenceService")) return knows_canary(schema);
	return KUBE_UNKNOWN;
}

static enum kube_known read_definition(const json_t *definition)
{
	const json_t *versions = jval_at(definition, "spec.versions");

	for (size_t i = 0; i < json_array_size(versions); i++) {
		const json_t *version = json_array_get(versions, i);

		if (str_eq(jval_str(version, "name", ""), "v1beta1"))
			return knows_canary(jval_at(version, "schema.openAPIV3Schema"));
	}
	return KUBE_UNKNOWN;
}

/* True when the answer says that there is nothing for us to see, now or later. */
static bool is_closed(int status)
{
	return status == 403 || status == 404 || status == 405 || status == 406;
}

/* "" when the server has no such list, or no hash in it: then the document is read each time. */
static void ask_hash(struct kube *kube, struct http *http, char out[KUBE_HASH_MAX])
{
	AUTO_JSON json_t *list = NULL;
	const char *url, *hash;
	struct err fault;
	int status;

	out[0] = '\0';
	if (ask(kube, http, openapi, &list, &status, &fault))
		return; /* the next question tells what is wrong */
	url = jval_str(json_object_get(jval_at(list, "paths"), kserve_api + 1), "serverRelativeURL",
		       "");
	hash = strstr(url, "hash=");
	if (hash && !str_copy(out, KUBE_HASH_MAX, hash))
		out[0] = '\0';
}

static bool is_known_schema(struct kube *kube, const char *hash, enum kube_known *out)
{
	bool known;

	pthread_mutex_lock(&kube->lock);
	known = *hash && str_eq(hash, kube->schema_hash);
	if (known)
		*out = kube->schema_canary;
	pthread_mutex_unlock(&kube->lock);
	return known;
}

static void keep_schema(struct kube *kube, const char *hash, enum kube_known canary)
{
	pthread_mutex_lock(&kube->lock);
	str_copy(kube->schema_hash, sizeof kube->schema_hash, hash);
	kube->schema_canary = canary;
	pthread_mutex_unlock(&kube->lock);
}

static enum err_class ask_canary(struct kube *kube, struct http *http, enum kube_known *out,
				 struct err *err)
{
	static const struct {
		const char *path;
		enum kube_known (*read)(const json_t *answer);
	} sources[] = {
		{"/openapi/v3/apis/serving.kserve.io/v1beta1", read_openapi},
		{"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
		 "inferenceservices.serving.kserve.io",
		 read_definition},
	};

	char hash[KUBE_HASH_MAX];

	*out = KUBE_UNKNOWN;
	ask_hash(kube, http, hash);
	if (is_known_schema(kube, hash, out))
		return ERR_OK;
	for (size_t i = 0; i < ARRAY_LEN(sources) && *out == KUBE_UNKNOWN; i++) {
		AUTO_JSON json_t *answer = NULL;
		int status;
		enum err_class class = ask(kube, http, sources[i].path, &answer, &status, err);

		if (class && !is_closed(status))
			return class;
		if (!class)
			*out = sources[i].read(answer);
		if (i == 0 && *out != KUBE_UNKNOWN)
			keep_schema(kube, hash, *out);
	}
	return ERR_OK;
}

enum err_class kube_probe_kserve(struct kube *kube, struct http *http, struct kube_kserve *out,
				 struct err *err)
{
	AUTO_JSON json_t *list = NULL;
	enum err_class class;
	struct err fault;
	int status;

	*out = (struct kube_kserve){.canary = KUBE_UNKNOWN};
	class = ask(kube, http, kserve_api, &list, &status, &fault);
	if (class && str_eq(fault.code, KUBE_API_MISSING))
		return ERR_OK;
	if (class && err)
		*err = fault;
	if (class)
		return class;
	out->is_there = has_services(list);
	return out->is_there ? ask_canary(kube, http, &out->canary, err) : ERR_OK;
}

/* --- rights --- */

enum err_class kube_may(struct kube *kube, struct http *http, const struct kube_right *right,
			bool *out, struct err *err)
{
	AUTO_JSON json_t *review = json_object(), *answer = NULL;
	json_t *spec = json_object(), *attributes = json_object();
	struct kube_call call = {
		.verb = "create",
		.method = "POST",
		.path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
		.content_type = "application/json",
		.body = review,
	};
	enum err_class class;

	jval_set_str(attributes, "verb", right->verb);
	jval_set_str(attributes, "group", right->group);
	jval_set_str(attributes, "resource", right->resource);
	if (right->subresource)
		jval_set_str(attributes, "subresource", right->subresource);
	if (right->ns)
		jval_set_str(attributes, "namespace", right->ns);
	jval_set(spec, "resourceAttributes", attributes);
	jval_set_str(review, "apiVersion", "authorization.k8s.io/v1");
	jval_set_str(review, "kind", "SelfSubjectAccessReview");
	jval_set(review, "spec", spec);
	*out = false;
	class = kube_send_json(kube, http, &call, &answer, err);
	if (!class)
		*out = jval_bool(answer, "status.allowed", false) &&
		       !jval_bool(answer, "status.denied", false);
	return class;
}
