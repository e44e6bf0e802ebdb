/* isvc_refuse.c - what a repository must not set in its InferenceService.
 *
 * The document comes from a pull request, and what it becomes runs with the rights of the models'
 * namespace. So at the top only what is known is taken (a list of what is allowed), and deeper down
 * the members by which a pod reaches its node are refused wherever they stand. What remains is
 * judged by the cluster's own admission. One walk with an explicit stack. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc_impl.h"

enum { VALUES_MAX = 20000 };

#define REFUSE(err, ...) err_code((err), ERR_USER, "deploy.template", __VA_ARGS__)

/* Members that reach the node, whatever they belong to; `when_true`: only that value does. */
static const struct {
	const char *key;
	bool when_true;
} node_members[] = {
	{"hostPath", false},   {"hostNetwork", true}, {"hostPID", true},    {"hostIPC", true},
	{"hostPort", false},   {"privileged", true},  {"procMount", false}, {"nodeName", false},
	{"hostProcess", true}, {"flexVolume", false}, {"hostUsers", true},
};

static const char *const volume_kinds[] = {
	"name",	     "configMap", "secret",	 "emptyDir",
	"projected", "ephemeral", "downwardAPI", "persistentVolumeClaim",
};

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(text, words[i]))
			return true;
	return false;
}

static enum err_class check_volumes(const json_t *volumes, struct err *err)
{
	const json_t *volume, *value;
	const char *key;
	size_t at;

	json_array_foreach(volumes, at, volume)
		json_object_foreach((json_t *)(uintptr_t)volume, key, value) if (
			!is_one_of(
				key, volume_kinds,
				ARRAY_LEN(volume_kinds))) return REFUSE(err,
									"The InferenceService asks "
									"for a volume of the kind "
									"%.40s, which kfops does "
									"not allow.",
									key);
	return ERR_OK;
}

static enum err_class check_capabilities(const json_t *added, struct err *err)
{
	const json_t *name;
	size_t at;

	json_array_foreach(
		added, at,
		name) if (!str_eq(json_string_value(name),
				  "NET_BIND_SERVICE")) return REFUSE(err,
								     "The InferenceService asks "
								     "for more rights on its node "
								     "(capabilities), which kfops "
								     "does not allow.");
	return ERR_OK;
}

static enum err_class check_member(const char *key, const json_t *value, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(node_members); i++)
		if (str_eq(key, node_members[i].key) &&
		    (!node_members[i].when_true || !json_is_false(value)))
			return REFUSE(err,
				      "The InferenceService sets %s, which kfops does not allow "
				      "because it reaches the node.",
				      key);
	if (str_eq(key, "volumes"))
		return check_volumes(value, err);
	if (str_eq(key, "capabilities"))
		return check_capabilities(jval_at(value, "add"), err);
	return ERR_OK;
}

static enum err_class walk(const json_t *spec, struct err *err)
{
	AUTO_JSON json_t *stack = json_array();
	size_t seen = 0;

	must(json_array_append(stack, (json_t *)(uintptr_t)spec) == 0);
	while (json_array_size(stack)) {
		AUTO_JSON json_t *top =
			json_incref(json_array_get(stack, json_array_size(stack) - 1));
		enum err_class class;
		const char *key;
		json_t *value;
		size_t at;

		must(json_array_remove(stack, json_array_size(stack) - 1) == 0);
		if (++seen > VALUES_MAX)
			return REFUSE(err, "The InferenceService is too large.");
		json_object_foreach(top, key, value)
		{
			class = check_member(key, value, err);
			if (class)
				return class;
			must(json_array_append(stack, value) == 0);
		}
		json_array_foreach(top, at, value) must(json_array_append(stack, value) == 0);
	}
	return ERR_OK;
}

static enum err_class check_marks(const json_t *object, const char *where, struct err *err)
{
	const json_t *value;
	const char *key;

	if (object && !json_is_object(object))
		return REFUSE(err, "%s of the InferenceService are not a map.", where);
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		if (str_starts(key, ISVC_MARK))
			return REFUSE(err, "%s with %s are set by kfops itself.", where, ISVC_MARK);
		if (str_eq(key, ISVC_STOP))
			return REFUSE(err, "The InferenceService asks to be stopped (%s).",
				      ISVC_STOP);
		if (!json_is_string(value))
			return REFUSE(err,
				      "%s of the InferenceService must be text: put the value of "
				      "%.80s into quotes.",
				      where, key);
	}
	return ERR_OK;
}

/* Where the model is, kfops alone says: beside the server, or inside model or its older names. */
static enum err_class check_storage(const json_t *owner, struct err *err)
{
	static const char *const ours[] = {"storageUris", "storage"};

	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (json_object_get(owner, ours[i]))
			return REFUSE(
				err,
				"The InferenceService sets %s; kfops puts the model's address "
				"into storageUri itself.",
				ours[i]);
	return ERR_OK;
}

static enum err_class check_component(const char *name, const json_t *component, struct err *err)
{
	enum err_class class = check_storage(component, err);
	const json_t *member;
	const char *key;

	if (!json_is_object(component))
		return REFUSE(err, "spec.%s of the InferenceService is not a map.", name);
	json_object_foreach((json_t *)(uintptr_t)component, key, member) if (!class) class =
		check_storage(member, err);
	if (!class)
		class = check_marks(jval_at(component, "annotations"), "Annotations", err);
	return class ? class : check_marks(jval_at(component, "labels"), "Labels", err);
}

static enum err_class check_spec(const json_t *spec, struct err *err)
{
	static const char *const components[] = {"predictor", "transformer", "explainer"};
	const json_t *component;
	enum err_class class;
	const char *name;

	if (!json_is_object(jval_at(spec, "predictor")))
		return REFUSE(err, "The InferenceService has no spec.predictor.");
	json_object_foreach((json_t *)(uintptr_t)spec, name, component)
	{
		if (!is_one_of(name, components, ARRAY_LEN(components)))
			return REFUSE(err,
				      "The InferenceService sets spec.%.40s, which is for kfops to "
				      "set or unknown.",
				      name);
		class = check_component(name, component, err);
		if (class)
			return class;
	}
	return walk(spec, err);
}

enum err_class isvc_refuse(const json_t *document, const char *ns, struct err *err)
{
	const char *kind = jval_str(document, "kind", "");
	const char *version = jval_str(document, "apiVersion", "");
	const char *named = jval_str(document, "metadata.namespace", ns);
	enum err_class class;

	if (!str_eq(kind, "InferenceService"))
		return REFUSE(err, "This must be an InferenceService, not a \"%.60s\".", kind);
	if (!str_eq(version, "serving.kserve.io/v1beta1"))
		return REFUSE(err,
			      "The InferenceService must have apiVersion: "
			      "serving.kserve.io/v1beta1, not \"%.60s\".",
			      version);
	if (!str_eq(named, ns))
		return REFUSE(
			err,
			"The InferenceService names the namespace %.63s, but this environment "
			"is %.63s: leave the namespace out.",
			named, ns);
	class = check_marks(jval_at(document, "metadata.annotations"), "Annotations", err);
	if (!class)
		class = check_marks(jval_at(document, "metadata.labels"), "Labels", err);
	return class ? class : check_spec(jval_at(document, "spec"), err);
}
