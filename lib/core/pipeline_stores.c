/* pipeline_stores.c - where a pipeline stores its model by itself: tasks that
 * kfops.model.materialize_model made.
 *
 * They copy a model to DESTINATION/RUN ID/ in the object store. The run's id is ours and the
 * destination stands in the compiled pipeline, which is known by its digest, so the address needs
 * neither ML Metadata nor the run's word. Such a task in a loop would put several models into one
 * place, and one whose destination is worked out by another task tells nothing before the run:
 * both are kept here as what they are, and refused when a model is asked for. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/pipeline_impl.h"

enum { STORES_MAX = 20, NAMES_SHOWN = 300 };

static const char function_name[] = "kfops_materialize_model";

/* --- in the compiled pipeline --- */

static bool is_store(const json_t *spec, const json_t *component)
{
	const char *label = jval_str(component, "executorLabel", "");
	const json_t *executor = json_object_get(jval_at(spec, "deploymentSpec.executors"), label);
	const json_t *argument;
	size_t at;

	json_array_foreach(jval_at(executor, "container.args"), at, argument)
	{
		if (str_eq(json_string_value(argument), function_name))
			return true;
	}
	return false;
}

bool pipeline_same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b))
			return false;
	return *a == *b;
}

static const char *component_of(const json_t *task)
{
	return jval_str(task, "componentRef.name", "");
}

/* The components that run several times: {"comp-for-loop-1": true}, with all that is in them. */
static json_t *find_looped(const json_t *spec)
{
	json_t *components = json_object_get(spec, "components");
	json_t *looped = json_object(), *component, *task;
	const char *name, *key;

	for (int depth = 0; depth <= PIPELINE_DEPTH_MAX; depth++) {
		json_object_foreach(jval_at(spec, "root.dag.tasks"), key, task)
		{
			if (jval_at(task, "parameterIterator") || jval_at(task, "artifactIterator"))
				jval_set_bool(looped, component_of(task), true);
		}
		json_object_foreach(components, name, component)
		{
			bool inside = json_object_get(looped, name) != NULL;

			json_object_foreach(jval_at(component, "dag.tasks"), key, task)
			{
				if (inside || jval_at(task, "parameterIterator") ||
				    jval_at(task, "artifactIterator"))
					jval_set_bool(looped, component_of(task), true);
			}
		}
	}
	return looped;
}

static void add_stores(json_t *out, const json_t *spec, json_t *tasks, const json_t *looped)
{
	const json_t *components = json_object_get(spec, "components");
	const char *key;
	json_t *task;

	json_object_foreach(tasks, key, task)
	{
		const char *to =
			jval_str(task, "inputs.parameters.destination.runtimeValue.constant", NULL);
		json_t *store;

		if (!is_store(spec, json_object_get(components, component_of(task))) ||
		    json_array_size(out) >= STORES_MAX)
			continue;
		store = json_object();
		jval_set_str(store, "task", key);
		jval_set_str(store, "name", jval_str(task, "taskInfo.name", key));
		if (to)
			jval_set_str(store, "to", to);
		jval_set_bool(store, "loop", json_object_get(looped, component_of(task)) != NULL);
		must(json_array_append_new(out, store) == 0);
	}
}

json_t *pipeline_stores(const json_t *documents)
{
	const json_t *first = json_array_get(documents, 0);
	const json_t *inner = json_object_get(first, "pipeline_spec");
	const json_t *spec = inner ? inner : first;
	AUTO_JSON json_t *looped = find_looped(spec);
	json_t *out = json_array(), *component;
	const char *name;

	add_stores(out, spec, jval_at(spec, "root.dag.tasks"), looped);
	json_object_foreach(json_object_get(spec, "components"), name, component)
		add_stores(out, spec, jval_at(component, "dag.tasks"), looped);
	return out;
}

/* --- which one --- */

static bool has_name(const json_t *store, const char *name)
{
	return pipeline_same_name(jval_str(store, "task", ""), name) ||
	       pipeline_same_name(jval_str(store, "name", ""), name);
}

static enum err_class ask_which(const json_t *stores, const char *task, struct err *err)
{
	AUTO_BUF struct buf names = buf_make(NAMES_SHOWN);
	const json_t *store;
	size_t at;

	json_array_foreach(stores, at, store)
		buf_printf(&names, "%s%.60s", at ? ", " : "", jval_str(store, "task", "?"));
	if (task)
		return err_code(err, ERR_USER, "deploy.which_model",
				"The pipeline stores its model by materialize_model (%s), and "
				"deployment.model in config_files/config.yaml names another one "
				"(%.60s). Leave one of the two out.",
				buf_text(&names), task);
	return err_code(err, ERR_USER, "deploy.which_model",
			"The pipeline stores %zu models by materialize_model: %s. Name one as "
			"deployment.model.task in config_files/config.yaml.",
			json_array_size(stores), buf_text(&names));
}

/* The only one that is meant; NULL when there is none, or several. */
static const json_t *find(const json_t *stores, const char *task, const char *output)
{
	const json_t *store, *found = NULL;
	size_t at;

	json_array_foreach(stores, at, store)
	{
		if (output || (task && !has_name(store, task)))
			continue;
		if (found)
			return NULL;
		found = store;
	}
	return found;
}

enum err_class pipeline_store_choose(const json_t **out, const json_t *stores, const char *task,
				     const char *output, struct err *err)
{
	const json_t *store = find(stores, task, output);

	*out = NULL;
	if (!store)
		return ask_which(stores, task ? task : output, err);
	if (jval_bool(store, "loop", false))
		return err_code(err, ERR_USER, "deploy.which_model",
				"The task %.60s is in a loop: several models go to one address. "
				"Choose one in the pipeline, and store that.",
				jval_str(store, "task", "?"));
	if (!jval_str(store, "to", NULL))
		return err_code(err, ERR_USER, "deploy.no_model",
				"Where the task %.60s stores the model is worked out in the run: "
				"give materialize_model its destination as a plain text.",
				jval_str(store, "task", "?"));
	*out = store;
	return ERR_OK;
}

void pipeline_store_uri(struct buf *out, const json_t *store, const char *run_id)
{
	const char *to = jval_str(store, "to", "");
	size_t len = strlen(to);

	while (len && to[len - 1] == '/')
		len--;
	buf_printf(out, "%.*s/%s/", (int)len, to, run_id);
}
