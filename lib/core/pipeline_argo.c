/* pipeline_argo.c - an Argo Workflow as kfp 1.x compiles it, into struct pipeline.
 *
 * Templates with a dag or with steps become DAGs; the entrypoint is "root" (a single task when it
 * is a container), and spec.onExit a task of root that always runs after all others. Steps are read
 * as a DAG in which each group waits for the one before. Dependencies are `dependencies`, the names
 * in `depends`, and tasks whose outputs are used, joined. Parameters are all text to Argo: their
 * types, if any, stand in the annotation that the compiler leaves. Format: argo-workflows'
 * api/jsonschema/schema.json. */
#include <ctype.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/pipeline_impl.h"

static const char annotation_key[] = "pipelines.kubeflow.org/pipeline_spec";
static const char always[] = "ALL_UPSTREAM_TASKS_COMPLETED";

struct argo {
	struct pipeline *pipeline;
	json_t *templates;  /* array */
	json_t *by_name;    /* object: name to template; owned */
	json_t *annotation; /* object or NULL; owned */
	const char *entrypoint;
	size_t tasks;
	struct err *err;
};

static json_t *metadata_of(const json_t *workflow, const char *kind, const char *key)
{
	return json_object_get(json_object_get(json_object_get(workflow, "metadata"), kind), key);
}

static enum err_class read_info(struct argo *argo, const json_t *workflow)
{
	const char *text = json_string_value(metadata_of(workflow, "annotations", annotation_key));
	struct pipeline *pipeline = argo->pipeline;
	const char *name;
	struct err ignored;

	if (text && jval_parse(&argo->annotation, text, strlen(text), &ignored))
		argo->annotation = NULL; /* only a help: the workflow runs without it */
	pipeline->name = pipeline_text(argo->annotation, "name");
	pipeline->description = pipeline_text(argo->annotation, "description");
	pipeline->sdk_version = NULL;
	text = json_string_value(
		metadata_of(workflow, "annotations", "pipelines.kubeflow.org/kfp_sdk_version"));
	if (!str_is_empty(text))
		pipeline->sdk_version = str_dup(text);
	if (pipeline->name)
		return ERR_OK;
	name = jval_str(workflow, "metadata.name", NULL);
	if (str_is_empty(name))
		name = jval_str(workflow, "metadata.generateName", NULL);
	if (str_is_empty(name))
		return PIPELINE_INVALID(argo->err, "the workflow has no name (metadata.name)");
	pipeline->name = str_dup_len(name, strlen(name) - str_ends(name, "-"));
	return ERR_OK;
}

/* --- parameters --- */

/* The compiler writes "Integer", or {"GCSPath": {...}} for types with properties, which are text.
 */
static enum param_type param_type_of(const json_t *input)
{
	static const struct {
		const char *name;
		enum param_type type;
	} types[] = {
		{"Integer", PARAM_NUMBER_INTEGER},
		{"Float", PARAM_NUMBER_DOUBLE},
		{"Double", PARAM_NUMBER_DOUBLE},
		{"Bool", PARAM_BOOLEAN},
		{"Boolean", PARAM_BOOLEAN},
		{"JsonArray", PARAM_LIST},
		{"List", PARAM_LIST},
		{"JsonObject", PARAM_STRUCT},
		{"Dict", PARAM_STRUCT},
	};
	const char *name = json_string_value(json_object_get(input, "type"));

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_eq(name, types[i].name))
			return types[i].type;
	return PARAM_STRING;
}

static void describe_param(struct pipeline_param *param, const json_t *input)
{
	param->type = param_type_of(input);
	param->description = pipeline_text(input, "description");
	param->optional = json_is_true(json_object_get(input, "optional"));
}

static const json_t *annotated_input(const struct argo *argo, const char *name)
{
	json_t *inputs = json_object_get(argo->annotation, "inputs"), *input;
	size_t i;

	json_array_foreach(inputs, i, input)
	{
		if (i == PIPELINE_PARAMS_MAX)
			break;
		if (str_eq(json_string_value(json_object_get(input, "name")), name))
			return input;
	}
	return NULL;
}

static enum err_class read_arguments(struct argo *argo, const json_t *spec)
{
	json_t *arguments, *params, *each;
	size_t i;

	if (pipeline_member(&arguments, spec, "arguments", JSON_OBJECT, "spec", argo->err) ||
	    pipeline_member(&params, arguments, "parameters", JSON_ARRAY, "arguments", argo->err))
		return argo->err->class;
	json_array_foreach(params, i, each)
	{
		const char *name = jval_str(each, "name", "");
		json_t *value = json_object_get(each, "value");
		struct pipeline_param *param;

		if (pipeline_add_param(argo->pipeline, name, &param, argo->err))
			return argo->err->class;
		describe_param(param, annotated_input(argo, name));
		if (!value || json_is_null(value))
			value = json_object_get(each, "default");
		param->default_value = json_is_null(value) ? NULL : json_incref(value);
		param->required = !param->default_value;
		param->optional = !param->required;
	}
	return ERR_OK;
}

/* --- templates --- */

static bool is_dag(const json_t *template)
{
	return json_is_object(json_object_get(template, "dag")) ||
	       json_is_array(json_object_get(template, "steps"));
}

static enum err_class index_templates(struct argo *argo, const json_t *spec)
{
	json_t *each;
	size_t i;

	if (pipeline_member(&argo->templates, spec, "templates", JSON_ARRAY, "spec", argo->err))
		return argo->err->class;
	if (json_array_size(argo->templates) > PIPELINE_COMPONENTS_MAX)
		return PIPELINE_INVALID(argo->err, "the workflow has more than %d templates",
					PIPELINE_COMPONENTS_MAX);
	argo->by_name = json_object();
	json_array_foreach(argo->templates, i, each)
	{
		const char *name = jval_str(each, "name", "");

		if (!*name || strlen(name) > PIPELINE_NAME_MAX)
			return PIPELINE_INVALID(argo->err,
						"template %zu of the workflow has no "
						"usable name",
						i + 1);
		if (json_object_get(argo->by_name, name))
			return PIPELINE_INVALID(argo->err, "the template %.*s is there twice",
						PIPELINE_SHOWN(name));
		json_object_set(argo->by_name, name, each);
	}
	argo->entrypoint = jval_str(spec, "entrypoint", "");
	if (!json_object_get(argo->by_name, argo->entrypoint))
		return PIPELINE_INVALID(argo->err, "the workflow's entrypoint is not one of its "
						   "templates");
	return ERR_OK;
}

static void add_image(struct names *images, const json_t *container)
{
	const char *image = jval_str(container, "image", "");

	if (*image)
		names_add(images, image);
}

static void read_images(struct argo *argo)
{
	static const char *const lists[] = {"initContainers", "sidecars"};
	struct names images = {0};
	json_t *template, *each;
	size_t i, k;

	json_array_foreach(argo->templates, i, template)
	{
		add_image(&images, json_object_get(template, "container"));
		add_image(&images, json_object_get(template, "script"));
		for (size_t list = 0; list < ARRAY_LEN(lists); list++)
			json_array_foreach(json_object_get(template, lists[list]), k, each)
				add_image(&images, each);
		json_array_foreach(jval_at(template, "containerSet.containers"), k, each)
			add_image(&images, each);
	}
	names_move(&images, &argo->pipeline->images, &argo->pipeline->image_count);
}

static void add_secret(struct names *secrets, const json_t *owner, const char *path)
{
	const char *name = jval_str(owner, path, "");

	if (*name)
		names_add(secrets, name);
}

static void read_secrets(struct argo *argo, const json_t *spec)
{
	static const char *const containers[] = {"container", "script"};
	struct names secrets = {0};
	json_t *template, *each;
	size_t i, k;

	json_array_foreach(argo->templates, i, template)
	{
		for (size_t c = 0; c < ARRAY_LEN(containers); c++) {
			json_t *container = json_object_get(template, containers[c]);

			json_array_foreach(json_object_get(container, "env"), k, each)
				add_secret(&secrets, each, "valueFrom.secretKeyRef.name");
			json_array_foreach(json_object_get(container, "envFrom"), k, each)
				add_secret(&secrets, each, "secretRef.name");
		}
		json_array_foreach(json_object_get(template, "volumes"), k, each)
			add_secret(&secrets, each, "secret.secretName");
	}
	json_array_foreach(json_object_get(spec, "volumes"), k, each)
		add_secret(&secrets, each, "secret.secretName");
	json_array_foreach(json_object_get(spec, "imagePullSecrets"), k, each)
		add_secret(&secrets, each, "name");
	names_move(&secrets, &argo->pipeline->secrets, &argo->pipeline->secret_count);
}

/* --- tasks --- */

static size_t word_len(const char *text)
{
	size_t len = 0;

	while (isalnum((unsigned char)text[len]) || text[len] == '-' || text[len] == '_')
		len++;
	return len;
}

/* The task names of "a && (b.Succeeded || c.Failed)". */
static void add_depends_words(struct names *names, const char *text)
{
	while (*text) {
		size_t len = word_len(text);

		if (len) {
			AUTO_FREE char *word = str_dup_len(text, len);

			names_add(names, word);
			text += len;
			if (*text == '.') /* the result that is waited for */
				text += 1 + word_len(text + 1);
		} else {
			text++;
		}
	}
}

/* The X of every {{tasks.X.outputs...}} or {{steps.X.outputs...}} that is a task of the same DAG.
 */
static void add_references(struct names *names, const json_t *siblings, const char *text)
{
	static const char *const marks[] = {"{{tasks.", "{{steps."};

	for (size_t i = 0; text && i < ARRAY_LEN(marks); i++)
		for (const char *at = strstr(text, marks[i]); at; at = strstr(at, marks[i])) {
			AUTO_FREE char *name = NULL;

			at += strlen(marks[i]);
			name = str_dup_len(at, word_len(at));
			if (json_object_get(siblings, name))
				names_add(names, name);
		}
}

static void read_depends(struct pipeline_task *task, const json_t *json, const json_t *siblings,
			 const struct names *before)
{
	struct names names = {0};
	json_t *arguments = json_object_get(json, "arguments"), *each;
	size_t i;

	for (i = 0; before && i < before->count; i++)
		names_add(&names, before->items[i]);
	json_array_foreach(json_object_get(json, "dependencies"), i, each)
	{
		if (json_is_string(each))
			names_add(&names, json_string_value(each));
	}
	add_depends_words(&names, jval_str(json, "depends", ""));
	json_array_foreach(json_object_get(arguments, "parameters"), i, each)
		add_references(&names, siblings, jval_str(each, "value", NULL));
	json_array_foreach(json_object_get(arguments, "artifacts"), i, each)
		add_references(&names, siblings, jval_str(each, "from", NULL));
	add_references(&names, siblings, jval_str(json, "when", NULL));
	add_references(&names, siblings, jval_str(json, "withParam", NULL));
	pipeline_set_depends(task, &names);
}

/* What the template says about a task that uses it. */
static void apply_template(struct pipeline_task *task, const json_t *template)
{
	json_t *limit = jval_at(template, "retryStrategy.limit");
	const json_t *labels = jval_at(template, "metadata.labels");
	int64_t retries = pipeline_whole(limit, 0);

	if (json_is_string(limit) && !str_to_int64(&retries, json_string_value(limit)))
		retries = 0;
	task->retry_max = retries;
	task->cache = str_eq(
		json_string_value(json_object_get(labels, "pipelines.kubeflow.org/enable_caching")),
		"true");
	task->parallelism = pipeline_whole(json_object_get(template, "parallelism"), 0);
	if (is_dag(template)) {
		task->kind = TASK_DAG;
	} else if (json_is_object(json_object_get(template, "container"))) {
		task->kind = TASK_CONTAINER;
		task->image = pipeline_text(json_object_get(template, "container"), "image");
	} else if (json_is_object(json_object_get(template, "script"))) {
		task->kind = TASK_CONTAINER;
		task->image = pipeline_text(json_object_get(template, "script"), "image");
	}
}

static enum err_class read_task(struct argo *argo, struct pipeline_dag *dag, const json_t *json,
				const json_t *siblings, const struct names *before)
{
	const char *name = jval_str(json, "name", ""), *uses = jval_str(json, "template", NULL);
	json_t *template = uses ? json_object_get(argo->by_name, uses) : NULL;
	struct pipeline_task *task;

	if (pipeline_add_task(dag, &argo->tasks, name, &task, argo->err))
		return argo->err->class;
	task->component = str_dup(uses ? uses : jval_str(json, "templateRef.template", "(inline)"));
	task->condition = pipeline_text(json, "when");
	task->iterates = jval_at(json, "withItems") || jval_at(json, "withParam") ||
			 jval_at(json, "withSequence");
	read_depends(task, json, siblings, before);
	if (uses && !template)
		return PIPELINE_INVALID(argo->err,
					"the task %.*s uses the template %.*s, which is "
					"not there",
					PIPELINE_SHOWN(name), PIPELINE_SHOWN(uses));
	if (template)
		apply_template(task, template);
	return ERR_OK;
}

/* The names of a list of tasks as an object, for looking up references. */
static json_t *names_of(const json_t *tasks)
{
	json_t *names = json_object(), *each;
	size_t i;

	json_array_foreach(tasks, i, each)
	{
		const char *name = jval_str(each, "name", "");

		if (*name)
			json_object_set_new(names, name, json_true());
	}
	return names;
}

static enum err_class read_tasks(struct argo *argo, struct pipeline_dag *dag, const json_t *tasks,
				 const json_t *siblings, const struct names *before)
{
	json_t *each;
	size_t i;

	json_array_foreach(tasks, i, each)
	{
		if (read_task(argo, dag, each, siblings, before))
			return argo->err->class;
	}
	return ERR_OK;
}

/* Groups of steps run one after the other; a group is a list, or a single step. */
static enum err_class read_steps(struct argo *argo, struct pipeline_dag *dag, const json_t *steps)
{
	struct names before = {0};
	enum err_class class = ERR_OK;
	json_t *group, *each;
	size_t i, k;

	json_array_foreach(steps, i, group)
	{
		AUTO_JSON json_t *list =
			json_is_array(group) ? json_incref(group) : json_pack("[O]", group);

		class = read_tasks(argo, dag, list, NULL, &before);
		if (class)
			break;
		if (!json_array_size(list))
			continue;
		names_dispose(&before);
		json_array_foreach(list, k, each) names_add(&before, jval_str(each, "name", ""));
	}
	names_dispose(&before);
	return class;
}

static enum err_class read_template(struct argo *argo, const char *component,
				    const json_t *template)
{
	struct pipeline_dag *dag = &argo->pipeline->dags[argo->pipeline->dag_count++];
	AUTO_JSON json_t *siblings = NULL;
	json_t *body, *tasks;

	dag->component = str_dup(component);
	if (json_is_array(json_object_get(template, "steps")))
		return read_steps(argo, dag, json_object_get(template, "steps"));
	if (pipeline_member(&body, template, "dag", JSON_OBJECT, component, argo->err) ||
	    pipeline_member(&tasks, body, "tasks", JSON_ARRAY, component, argo->err))
		return argo->err->class;
	siblings = names_of(tasks);
	return read_tasks(argo, dag, tasks, siblings, NULL);
}

/* An entrypoint that is a container runs as the only task. */
static enum err_class read_root(struct argo *argo)
{
	json_t *template = json_object_get(argo->by_name, argo->entrypoint), *task;
	enum err_class class;

	if (is_dag(template))
		return read_template(argo, "root", template);
	argo->pipeline->dags[argo->pipeline->dag_count++].component = str_dup("root");
	task = json_pack("{s: s, s: s}", "name", argo->entrypoint, "template", argo->entrypoint);
	class = read_task(argo, &argo->pipeline->dags[0], task, NULL, NULL);
	json_decref(task);
	return class;
}

static enum err_class read_exit(struct argo *argo, const json_t *spec)
{
	struct pipeline_dag *root = &argo->pipeline->dags[0];
	const char *name = jval_str(spec, "onExit", "");
	struct names all = {0};
	json_t *task;
	enum err_class class;

	if (!*name)
		return ERR_OK;
	for (size_t i = 0; i < root->task_count; i++)
		names_add(&all, root->tasks[i].name);
	task = json_pack("{s: s, s: s}", "name", name, "template", name);
	class = read_task(argo, root, task, NULL, &all);
	json_decref(task);
	names_dispose(&all);
	if (!class)
		root->tasks[root->task_count - 1].trigger_strategy = str_dup(always);
	return class;
}

static enum err_class read_workflow(struct argo *argo, const json_t *workflow)
{
	struct pipeline *pipeline = argo->pipeline;
	json_t *spec, *each;
	size_t i;

	if (pipeline_member(&spec, workflow, "spec", JSON_OBJECT, "the workflow", argo->err))
		return argo->err->class;
	if (read_info(argo, workflow) || read_arguments(argo, spec) || index_templates(argo, spec))
		return argo->err->class;
	pipeline->dags = mem_new(json_array_size(argo->templates) + 1, sizeof *pipeline->dags);
	if (read_root(argo))
		return argo->err->class;
	json_array_foreach(argo->templates, i, each)
	{
		const char *name = jval_str(each, "name", "");

		if (!is_dag(each) || str_eq(name, argo->entrypoint))
			continue;
		if (read_template(argo, name, each))
			return argo->err->class;
	}
	if (read_exit(argo, spec))
		return argo->err->class;
	read_images(argo);
	read_secrets(argo, spec);
	return ERR_OK;
}

enum err_class pipeline_read_argo(struct pipeline *pipeline, const json_t *workflow,
				  struct err *err)
{
	struct argo argo = {.pipeline = pipeline, .err = err};
	enum err_class class = read_workflow(&argo, workflow);

	json_decref(argo.by_name);
	json_decref(argo.annotation);
	return class;
}
