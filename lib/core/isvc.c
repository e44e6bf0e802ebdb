/* isvc.c - the wanted object, made of what the repository has.
 *
 * Only what the document says about the model's server is taken: spec, labels and annotations.
 * Name, namespace, the model's address and the marks are put in here; traffic is left out, because
 * how it is moved depends on what runs already (isvc_plan). The old form `predictor.sklearn: {...}`
 * is rewritten as KServe's webhook would, so that what is sent is what is read back. */
#include "lib/core/isvc.h"

#include <ctype.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc_impl.h"

enum { OBJECT_MAX = 256 * 1024 };

#define REFUSE(err, ...) err_code((err), ERR_USER, "deploy.template", __VA_ARGS__)

/* The members that name a framework, and the modelFormat each stands for. */
static const char *const frameworks[] = {
	"sklearn", "xgboost", "lightgbm", "pmml",	"paddle",
	"onnx",	   "pytorch", "triton",	  "tensorflow", "huggingface",
};

json_t *isvc_member(json_t *object, const char *key)
{
	json_t *member = json_object_get(object, key);

	if (json_is_object(member))
		return member;
	jval_set(object, key, json_object());
	return json_object_get(object, key);
}

static bool is_label(const char *text, size_t max)
{
	size_t len = text ? strlen(text) : 0;

	if (!len || len > max || !islower((unsigned char)text[0]) || text[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i]) &&
		    text[i] != '-')
			return false;
	return true;
}

/* --- the model --- */

static enum err_class rewrite_framework(json_t *predictor, struct err *err)
{
	json_t *model;

	for (size_t i = 0; i < ARRAY_LEN(frameworks); i++) {
		json_t *old = json_object_get(predictor, frameworks[i]), *format;

		if (!old)
			continue;
		if (json_object_get(predictor, "model"))
			return REFUSE(
				err,
				"spec.predictor of the InferenceService has both model and %s; "
				"leave one out.",
				frameworks[i]);
		model = json_is_object(old) ? json_deep_copy(old) : json_object();
		format = isvc_member(model, "modelFormat");
		jval_set_str(format, "name", frameworks[i]);
		jval_set(predictor, "model", model);
		must(json_object_del(predictor, frameworks[i]) == 0);
	}
	model = json_object_get(predictor, "model");
	if (model && !json_is_object(model))
		return REFUSE(err, "spec.predictor.model of the InferenceService is not a map.");
	return ERR_OK;
}

/* A server of one's own gets the address the way KServe hands it to them. */
static void put_into_container(json_t *container, const char *uri)
{
	json_t *env = json_object_get(container, "env"), *entry = NULL;
	size_t at;

	if (!json_is_array(env)) {
		env = json_array();
		jval_set(container, "env", env);
	}
	json_array_foreach(env, at,
			   entry) if (str_eq(jval_str(entry, "name", NULL), "STORAGE_URI")) break;
	if (at == json_array_size(env)) {
		entry = json_object();
		jval_set_str(entry, "name", "STORAGE_URI");
		must(json_array_append_new(env, entry) == 0);
	}
	must(json_object_del(entry, "valueFrom") <= 0);
	jval_set_str(entry, "value", uri);
}

static enum err_class put_address(json_t *predictor, const char *uri, struct err *err)
{
	json_t *model = json_object_get(predictor, "model");
	json_t *container = json_array_get(json_object_get(predictor, "containers"), 0);

	if (model && str_is_empty(jval_str(model, "modelFormat.name", NULL)))
		return REFUSE(err, "spec.predictor.model of the InferenceService needs "
				   "modelFormat.name, for example sklearn.");
	if (model)
		jval_set_str(model, "storageUri", uri);
	else if (json_is_object(container))
		put_into_container(container, uri);
	else
		return REFUSE(err, "spec.predictor of the InferenceService has neither model nor "
				   "containers: nothing would serve the model.");
	return ERR_OK;
}

const char *isvc_storage_uri(const json_t *component)
{
	const json_t *env = jval_at(json_array_get(jval_at(component, "containers"), 0), "env");
	const char *uri = jval_str(component, "model.storageUri", NULL);
	const json_t *entry;
	size_t at;

	if (uri)
		return uri;
	json_array_foreach(env, at, entry) if (str_eq(jval_str(entry, "name", NULL),
						      "STORAGE_URI")) return jval_str(entry,
										      "value", "");
	return "";
}

/* --- the rest --- */

static void put_marks(json_t *metadata, const struct isvc_marks *marks)
{
	const struct {
		const char *key, *value;
	} all[] = {
		{ISVC_MARK "job", marks->job},	 {ISVC_MARK "fence", marks->fence},
		{ISVC_MARK "run", marks->run},	 {ISVC_MARK "sha", marks->sha},
		{ISVC_MARK "repo", marks->repo},
	};
	json_t *annotations = isvc_member(metadata, "annotations");

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i].value)
			jval_set_str(annotations, all[i].key, all[i].value);
	if (!json_object_get(annotations, ISVC_TAG_ROUTING))
		jval_set_str(annotations, ISVC_TAG_ROUTING, "true");
}

/* In a merge patch null would delete, and in an object it says nothing. */
static void drop_nulls(json_t *object)
{
	AUTO_JSON json_t *stack = json_array();

	must(json_array_append(stack, object) == 0);
	while (json_array_size(stack)) {
		AUTO_JSON json_t *top =
			json_incref(json_array_get(stack, json_array_size(stack) - 1));
		json_t *value;
		const char *key;
		size_t at;
		void *next;

		must(json_array_remove(stack, json_array_size(stack) - 1) == 0);
		json_array_foreach(top, at, value) must(json_array_append(stack, value) == 0);
		json_object_foreach_safe(top, next, key, value)
		{
			if (json_is_null(value))
				must(json_object_del(top, key) == 0);
			else
				must(json_array_append(stack, value) == 0);
		}
	}
}

static json_t *assemble(const json_t *document, const struct isvc_wish *wish)
{
	static const char *const kept[] = {"annotations", "labels"};
	json_t *out = json_object(), *metadata = json_object(), *spec, *component;
	const char *name;

	jval_set_str(out, "apiVersion", "serving.kserve.io/v1beta1");
	jval_set_str(out, "kind", "InferenceService");
	jval_set_str(metadata, "name", wish->name);
	jval_set_str(metadata, "namespace", wish->ns);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const json_t *old = jval_at(jval_at(document, "metadata"), kept[i]);

		if (old)
			jval_set(metadata, kept[i], json_deep_copy(old));
	}
	put_marks(metadata, &wish->marks);
	jval_set(out, "metadata", metadata);
	spec = json_deep_copy(jval_at(document, "spec"));
	jval_set(out, "spec", spec);
	json_object_foreach(spec, name, component)(void)
		json_object_del(component, "canaryTrafficPercent");
	drop_nulls(spec);
	return out;
}

static enum err_class check_wish(const struct isvc_wish *wish, struct err *err)
{
	if (!is_label(wish->name, ISVC_NAME_MAX))
		return REFUSE(err,
			      "\"%.80s\" cannot be the name of an InferenceService: small letters, "
			      "digits and \"-\", a letter first, at most %d.",
			      wish->name ? wish->name : "", ISVC_NAME_MAX);
	if (str_is_empty(wish->ns) || str_is_empty(wish->storage_uri) ||
	    str_is_empty(wish->marks.job))
		return err_set(err, ERR_BUG, "an InferenceService without namespace, model or job");
	if (str_starts(wish->storage_uri, "minio://"))
		return err_set(err, ERR_BUG, "KServe does not know minio://");
	return ERR_OK;
}

enum err_class isvc_build(json_t **out, const json_t *const *documents, size_t count,
			  const struct isvc_wish *wish, struct err *err)
{
	AUTO_JSON json_t *wanted = NULL;
	AUTO_FREE char *text = NULL;
	enum err_class class = check_wish(wish, err);
	json_t *predictor;

	*out = NULL;
	if (class)
		return class;
	if (count != 1)
		return REFUSE(err,
			      "The InferenceService's file must hold exactly one document, not "
			      "%zu.",
			      count);
	class = isvc_refuse(documents[0], wish->ns, err);
	if (class)
		return class;
	wanted = assemble(documents[0], wish);
	predictor = jval_at(wanted, "spec.predictor");
	class = rewrite_framework(predictor, err);
	if (!class)
		class = put_address(predictor, wish->storage_uri, err);
	if (class)
		return class;
	text = jval_dump(wanted);
	if (strlen(text) > OBJECT_MAX)
		return REFUSE(err, "The InferenceService is larger than %d KiB.",
			      OBJECT_MAX / 1024);
	*out = take(wanted);
	return ERR_OK;
}

char *isvc_second_name(const char *name)
{
	return str_printf("%s-canary", name);
}

bool isvc_second_fits(const char *name)
{
	return strlen(name) <= ISVC_SECOND_MAX;
}

const char *isvc_protocol(const json_t *wanted)
{
	const char *given = jval_str(wanted, "spec.predictor.model.protocolVersion", "v1");

	return str_ends(given, "v2") ? "v2" : "v1";
}

json_t *isvc_again(const json_t *wanted, const char *job)
{
	json_t *again = json_deep_copy(wanted);

	jval_set_str(isvc_member(isvc_member(again, "metadata"), "annotations"), ISVC_MARK "job",
		     job);
	return again;
}
