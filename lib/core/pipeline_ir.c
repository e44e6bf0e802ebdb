/* pipeline_ir.c - KFP v2 IR (PipelineSpec and its platform document) into struct pipeline.
 *
 * Member names as in api/v2alpha1/pipeline_spec.proto of kubeflow/pipelines. What the server would
 * refuse in a way that people understand badly is refused here in a sentence: an unknown member at
 * the top, no name, no root, a reference into nothing. What only newer servers know inside a
 * component is left alone. dependentTasks does not always name every producer of an input, so both
 * are joined. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/pipeline_impl.h"

struct ir {
	struct pipeline *pipeline;
	json_t *components; /* object or NULL */
	json_t *executors;
	size_t tasks;
	struct err *err;
};

static const struct {
	const char *name;
	enum param_type type;
} param_types[] = {
	{"NUMBER_DOUBLE", PARAM_NUMBER_DOUBLE},
	{"NUMBER_INTEGER", PARAM_NUMBER_INTEGER},
	{"STRING", PARAM_STRING},
	{"BOOLEAN", PARAM_BOOLEAN},
	{"LIST", PARAM_LIST},
	{"STRUCT", PARAM_STRUCT},
	{"TASK_FINAL_STATUS", PARAM_TASK_FINAL_STATUS},
	{"TASK_CONFIG", PARAM_TASK_CONFIG},
	{"INT", PARAM_NUMBER_INTEGER}, /* of documents from before 2.0 */
	{"DOUBLE", PARAM_NUMBER_DOUBLE},
};

static enum err_class check_top(const json_t *spec, struct err *err)
{
	static const char *const known[] = {"pipelineInfo",	   "schemaVersion", "sdkVersion",
					    "defaultPipelineRoot", "root",	    "components",
					    "deploymentSpec"};
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)spec, key, value)
	{
		const char *near = str_nearest(key, known, ARRAY_LEN(known), 3);
		bool is_known = near && str_eq(near, key);

		if (is_known)
			continue;
		return PIPELINE_INVALID(err, "%.*s is not a member of a compiled pipeline%s%s",
					PIPELINE_SHOWN(key), near ? "; did you mean " : "",
					near ? near : "");
	}
	return ERR_OK;
}

static enum err_class read_info(struct ir *ir, const json_t *spec)
{
	struct pipeline *pipeline = ir->pipeline;
	json_t *info;

	if (pipeline_member(&info, spec, "pipelineInfo", JSON_OBJECT, "the pipeline", ir->err))
		return ir->err->class;
	pipeline->name = pipeline_text(info, "name");
	if (!pipeline->name)
		return PIPELINE_INVALID(ir->err, "the pipeline has no name (pipelineInfo.name)");
	if (strlen(pipeline->name) > PIPELINE_NAME_MAX)
		return PIPELINE_INVALID(ir->err, "the pipeline's name is too long");
	pipeline->display_name = pipeline_text(info, "displayName");
	pipeline->description = pipeline_text(info, "description");
	pipeline->sdk_version = pipeline_text(spec, "sdkVersion");
	return ERR_OK;
}

static enum err_class read_param(struct ir *ir, const char *name, const json_t *definition)
{
	const char *type = json_string_value(json_object_get(definition, "parameterType"));
	json_t *fallback = json_object_get(definition, "defaultValue"), *literals;
	struct pipeline_param *param;
	bool is_known = false;

	if (pipeline_add_param(ir->pipeline, name, &param, ir->err))
		return ir->err->class;
	if (!type)
		type = json_string_value(json_object_get(definition, "type"));
	for (size_t i = 0; i < ARRAY_LEN(param_types); i++)
		if (str_eq(type, param_types[i].name)) {
			param->type = param_types[i].type;
			is_known = true;
		}
	if (!is_known)
		return PIPELINE_INVALID(ir->err, "the parameter %.*s has the unknown type %.*s",
					PIPELINE_SHOWN(name),
					PIPELINE_SHOWN(type ? type : "(none)"));
	if (pipeline_member(&literals, definition, "literals", JSON_ARRAY, name, ir->err))
		return ir->err->class;
	param->default_value = json_is_null(fallback) ? NULL : json_incref(fallback);
	param->literals = json_array_size(literals) ? json_incref(literals) : NULL;
	param->optional = json_is_true(json_object_get(definition, "isOptional"));
	param->required = !param->optional && !param->default_value;
	param->description = pipeline_text(definition, "description");
	return ERR_OK;
}

static enum err_class read_params(struct ir *ir, const json_t *root)
{
	json_t *inputs, *params, *definition;
	const char *name;

	if (pipeline_member(&inputs, root, "inputDefinitions", JSON_OBJECT, "root", ir->err) ||
	    pipeline_member(&params, inputs, "parameters", JSON_OBJECT, "inputDefinitions",
			    ir->err))
		return ir->err->class;
	json_object_foreach(params, name, definition)
	{
		if (read_param(ir, name, definition))
			return ir->err->class;
	}
	return ERR_OK;
}

/* Producers of the inputs of one kind: {"x": {"taskOutputParameter": {"producerTask": "t"}}}. */
static enum err_class add_producers(struct ir *ir, struct names *names, const json_t *inputs,
				    const char *kind, const char *task)
{
	static const char *const sources[] = {"taskOutputParameter", "taskOutputArtifact",
					      "taskFinalStatus"};
	json_t *of_kind, *input;
	const char *name;

	if (pipeline_member(&of_kind, inputs, kind, JSON_OBJECT, task, ir->err))
		return ir->err->class;
	json_object_foreach(of_kind, name, input)
	{
		for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
			json_t *source = json_object_get(input, sources[i]);
			const char *producer =
				json_string_value(json_object_get(source, "producerTask"));

			if (producer)
				names_add(names, producer);
		}
	}
	return ERR_OK;
}

static enum err_class read_depends(struct ir *ir, struct pipeline_task *task, const json_t *json)
{
	struct names names = {0};
	json_t *listed, *inputs, *each;
	enum err_class class;
	size_t i;

	class = pipeline_member(&listed, json, "dependentTasks", JSON_ARRAY, task->name, ir->err);
	if (!class)
		class = pipeline_member(&inputs, json, "inputs", JSON_OBJECT, task->name, ir->err);
	if (class)
		return class;
	json_array_foreach(listed, i, each)
	{
		if (json_is_string(each))
			names_add(&names, json_string_value(each));
		else
			class = PIPELINE_INVALID(ir->err,
						 "dependentTasks of %.*s has a member that "
						 "is not text",
						 PIPELINE_SHOWN(task->name));
	}
	if (!class)
		class = add_producers(ir, &names, inputs, "parameters", task->name);
	if (!class)
		class = add_producers(ir, &names, inputs, "artifacts", task->name);
	pipeline_set_depends(task, &names);
	return class;
}

/* Container, importer or sub-DAG, from the component that the task refers to. */
static enum err_class read_kind(struct ir *ir, struct pipeline_task *task)
{
	json_t *component = json_object_get(ir->components, task->component), *executor;
	const char *label = json_string_value(json_object_get(component, "executorLabel"));

	if (!json_is_object(component))
		return PIPELINE_INVALID(ir->err,
					"the task %.*s uses the component %.*s, which is "
					"not there",
					PIPELINE_SHOWN(task->name),
					PIPELINE_SHOWN(task->component));
	if (json_object_get(component, "dag")) {
		task->kind = TASK_DAG;
		return ERR_OK;
	}
	executor = label ? json_object_get(ir->executors, label) : NULL;
	if (!json_is_object(executor))
		return PIPELINE_INVALID(ir->err,
					"the component %.*s has neither a dag nor an "
					"executor",
					PIPELINE_SHOWN(task->component));
	if (json_object_get(executor, "container")) {
		task->kind = TASK_CONTAINER;
		task->image = pipeline_text(json_object_get(executor, "container"), "image");
	} else if (json_object_get(executor, "importer")) {
		task->kind = TASK_IMPORTER;
	}
	return ERR_OK;
}

static enum err_class read_task(struct ir *ir, struct pipeline_dag *dag, const char *name,
				const json_t *json)
{
	struct pipeline_task *task;
	json_t *trigger;

	if (!json_is_object(json))
		return PIPELINE_INVALID(ir->err, "the task %.*s is not a map",
					PIPELINE_SHOWN(name));
	if (pipeline_add_task(dag, &ir->tasks, name, &task, ir->err))
		return ir->err->class;
	task->component = pipeline_text(json_object_get(json, "componentRef"), "name");
	if (!task->component)
		return PIPELINE_INVALID(ir->err, "the task %.*s names no component",
					PIPELINE_SHOWN(name));
	if (pipeline_member(&trigger, json, "triggerPolicy", JSON_OBJECT, name, ir->err))
		return ir->err->class;
	task->condition = pipeline_text(trigger, "condition");
	task->trigger_strategy = pipeline_text(trigger, "strategy");
	task->iterates = json_is_object(json_object_get(json, "parameterIterator")) ||
			 json_is_object(json_object_get(json, "artifactIterator"));
	task->parallelism = pipeline_whole(jval_at(json, "iteratorPolicy.parallelismLimit"), 0);
	task->retry_max = pipeline_whole(jval_at(json, "retryPolicy.maxRetryCount"), 0);
	task->cache = json_is_true(jval_at(json, "cachingOptions.enableCache"));
	if (read_depends(ir, task, json))
		return ir->err->class;
	return read_kind(ir, task);
}

static enum err_class read_dag(struct ir *ir, const char *component, const json_t *definition)
{
	struct pipeline_dag *dag = &ir->pipeline->dags[ir->pipeline->dag_count++];
	json_t *body, *tasks, *each;
	const char *name;

	dag->component = str_dup(component);
	if (pipeline_member(&body, definition, "dag", JSON_OBJECT, component, ir->err) ||
	    pipeline_member(&tasks, body, "tasks", JSON_OBJECT, component, ir->err))
		return ir->err->class;
	json_object_foreach(tasks, name, each)
	{
		if (read_task(ir, dag, name, each))
			return ir->err->class;
	}
	return ERR_OK;
}

static enum err_class read_dags(struct ir *ir, const json_t *root)
{
	size_t count = json_object_size(ir->components);
	const char *name;
	json_t *each;

	if (count > PIPELINE_COMPONENTS_MAX)
		return PIPELINE_INVALID(ir->err, "the pipeline has more than %d components",
					PIPELINE_COMPONENTS_MAX);
	if (!json_is_object(json_object_get(root, "dag")))
		return PIPELINE_INVALID(ir->err, "the pipeline has no tasks (root.dag)");
	ir->pipeline->dags = mem_new(count + 1, sizeof *ir->pipeline->dags);
	if (read_dag(ir, "root", root))
		return ir->err->class;
	json_object_foreach(ir->components, name, each)
	{
		if (!json_object_get(each, "dag"))
			continue;
		if (str_eq(name, "root"))
			return PIPELINE_INVALID(ir->err, "a component may not be called root");
		if (read_dag(ir, name, each))
			return ir->err->class;
	}
	return ERR_OK;
}

static void read_images(struct ir *ir)
{
	struct names images = {0};
	const char *label;
	json_t *executor;

	json_object_foreach(ir->executors, label, executor)
	{
		const char *image = jval_str(executor, "container.image", "");

		if (*image)
			names_add(&images, image);
	}
	names_move(&images, &ir->pipeline->images, &ir->pipeline->image_count);
}

static void read_model_outputs(struct ir *ir)
{
	struct names outputs = {0};
	const char *component, *artifact;
	json_t *definition, *each;

	json_object_foreach(ir->components, component, definition)
	{
		json_object_foreach(jval_at(definition, "outputDefinitions.artifacts"), artifact,
				    each)
		{
			const char *title = jval_str(each, "artifactType.schemaTitle", "");

			if (str_eq(title, "system.Model")) {
				AUTO_FREE char *name = str_printf("%s.%s", component, artifact);

				names_add(&outputs, name);
			}
		}
	}
	names_move(&outputs, &ir->pipeline->model_outputs, &ir->pipeline->model_output_count);
}

/* The Secret that one entry names; "<dynamic>" when only the run will know. */
static const char *secret_of(const json_t *entry)
{
	const char *name = json_string_value(json_object_get(entry, "secretName"));
	json_t *parameter = json_object_get(entry, "secretNameParameter");
	const char *constant = jval_str(parameter, "runtimeValue.constant", NULL);

	if (constant)
		return constant;
	return parameter ? "<dynamic>" : name;
}

static void read_secrets(struct ir *ir, const json_t *platform)
{
	static const char *const kinds[] = {"secretAsEnv", "secretAsVolume", "imagePullSecret"};
	struct names secrets = {0};
	json_t *executor, *entry;
	const char *label;
	size_t i;

	json_object_foreach(jval_at(platform, "platforms.kubernetes.deploymentSpec.executors"),
			    label, executor)
	{
		for (size_t kind = 0; kind < ARRAY_LEN(kinds); kind++) {
			json_array_foreach(json_object_get(executor, kinds[kind]), i, entry)
			{
				const char *name = secret_of(entry);

				if (!str_is_empty(name))
					names_add(&secrets, name);
			}
		}
	}
	names_move(&secrets, &ir->pipeline->secrets, &ir->pipeline->secret_count);
}

enum err_class pipeline_read_ir(struct pipeline *pipeline, const json_t *spec,
				const json_t *platform, struct err *err)
{
	struct ir ir = {.pipeline = pipeline, .err = err};
	json_t *deployment, *root;

	if (check_top(spec, err) || read_info(&ir, spec))
		return err->class;
	if (pipeline_member(&root, spec, "root", JSON_OBJECT, "the pipeline", err) ||
	    pipeline_member(&ir.components, spec, "components", JSON_OBJECT, "the pipeline", err) ||
	    pipeline_member(&deployment, spec, "deploymentSpec", JSON_OBJECT, "the pipeline",
			    err) ||
	    pipeline_member(&ir.executors, deployment, "executors", JSON_OBJECT, "deploymentSpec",
			    err))
		return err->class;
	if (json_object_size(ir.executors) > PIPELINE_COMPONENTS_MAX)
		return PIPELINE_INVALID(err, "the pipeline has more than %d executors",
					PIPELINE_COMPONENTS_MAX);
	if (read_params(&ir, root) || read_dags(&ir, root))
		return err->class;
	read_images(&ir);
	read_model_outputs(&ir);
	read_secrets(&ir, platform);
	pipeline->has_platform_spec = json_is_object(platform);
	return ERR_OK;
}
