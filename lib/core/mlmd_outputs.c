/* mlmd_outputs.c - a run's models and metrics, from its artifacts, executions and events.
 *
 * An event of type OUTPUT joins an artifact with the execution that made it; its first step is the
 * output's name. A cached task has its own execution with the artifact of an earlier run, so the
 * address of a model is taken as it stands and never made from the run's id. Artifacts without an
 * event (some importers) are kept with an empty task. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/mlmd_impl.h"
#include "lib/core/pipeline.h"

enum { EVENT_OUTPUT = 4, EVENT_DECLARED_OUTPUT = 1, STATE_CACHED = 5, SHOWN_MAX = 10 };

/* Items by a number of theirs, as text; borrowed values. The first of a kind wins. */
static json_t *index_by(const json_t *items, const char *key)
{
	json_t *index = json_object(), *item;
	char number[24];
	size_t at;

	json_array_foreach(items, at, item)
	{
		(void)snprintf(number, sizeof number, "%lld", (long long)jval_int(item, key, 0));
		if (!json_object_get(index, number))
			must(json_object_set(index, number, item) == 0);
	}
	return index;
}

static const json_t *look_up(const json_t *index, int64_t id)
{
	char number[24];

	(void)snprintf(number, sizeof number, "%lld", (long long)id);
	return json_object_get(index, number);
}

/* The events by which something came out. A sub-DAG repeats those of its tasks under its own name,
 * so the tasks come first. */
static json_t *outputs_only(const json_t *events, const json_t *executions)
{
	json_t *out = json_array(), *event;
	size_t at;

	for (int round = 0; round < 2; round++)
		json_array_foreach(events, at, event)
		{
			int64_t type = jval_int(event, "type", 0);
			const json_t *by = look_up(executions, jval_int(event, "execution_id", 0));
			bool is_dag = str_eq(jval_str(by, "type", ""), "system.DAGExecution");

			if ((type == EVENT_OUTPUT || type == EVENT_DECLARED_OUTPUT) &&
			    is_dag == (round == 1))
				must(json_array_append(out, event) == 0);
		}
	return out;
}

struct origin {
	const char *task, *output;
	bool cached;
};

static struct origin origin_of(const json_t *artifact, const json_t *events,
			       const json_t *executions)
{
	const json_t *event = look_up(events, jval_int(artifact, "id", 0));
	const json_t *execution = look_up(executions, jval_int(event, "execution_id", 0));
	const json_t *custom = jval_at(execution, "custom");

	return (struct origin){
		.task = jval_str(custom, "task_name", jval_str(custom, "display_name", "")),
		.output = jval_str(event, "key", ""),
		.cached = jval_int(execution, "state", 0) == STATE_CACHED,
	};
}

static const char *type_of(const json_t *artifact, const json_t *types)
{
	const char *type = jval_str(artifact, "type", "");
	const json_t *name = look_up(types, jval_int(artifact, "type_id", 0));

	return *type || !name ? type : json_string_value(name);
}

static const char *name_of(const json_t *artifact)
{
	return jval_str(artifact, "custom.display_name", jval_str(artifact, "name", ""));
}

static void add_model(json_t *models, const json_t *artifact, const struct origin *origin)
{
	json_t *model = json_object();

	jval_set_str(model, "uri", jval_str(artifact, "uri", ""));
	jval_set_str(model, "task", origin->task);
	jval_set_str(model, "output", origin->output);
	jval_set_str(model, "name", name_of(artifact));
	jval_set_str(model, "framework", jval_str(artifact, "custom.framework", ""));
	jval_set_bool(model, "cached", origin->cached);
	must(json_array_append_new(models, model) == 0);
}

static void add_metrics(json_t *metrics, const json_t *artifact, const struct origin *origin)
{
	json_t *value;
	const char *name;

	json_object_foreach(jval_at(artifact, "custom"), name, value)
	{
		json_t *metric;

		if (str_eq(name, "display_name") || str_eq(name, "store_session_info"))
			continue;
		metric = json_object();
		jval_set_str(metric, "task", origin->task);
		jval_set_str(metric, "output", origin->output);
		jval_set_str(metric, "name", name);
		jval_set(metric, "value", json_incref(value));
		must(json_array_append_new(metrics, metric) == 0);
	}
}

json_t *mlmd_outputs(const json_t *artifacts, const json_t *executions, const json_t *events,
		     const json_t *types)
{
	AUTO_JSON json_t *by_id = index_by(executions, "id");
	AUTO_JSON json_t *made = outputs_only(events, by_id);
	AUTO_JSON json_t *by_artifact = index_by(made, "artifact_id");
	json_t *out = json_object(), *models = json_array(), *metrics = json_array();
	const json_t *artifact;
	size_t at;

	json_array_foreach(artifacts, at, artifact)
	{
		struct origin origin = origin_of(artifact, by_artifact, by_id);
		const char *type = type_of(artifact, types);

		if (str_eq(type, "system.Model") && *jval_str(artifact, "uri", ""))
			add_model(models, artifact, &origin);
		else if (str_eq(type, "system.Metrics"))
			add_metrics(metrics, artifact, &origin);
	}
	jval_set(out, "models", models);
	jval_set(out, "metrics", metrics);
	return out;
}

/* --- which model --- */

static bool is_materialized(const json_t *model)
{
	return str_starts(jval_str(model, "task", ""), "materialize-model") ||
	       str_starts(jval_str(model, "task", ""), "materialize_model") ||
	       pipeline_same_name(jval_str(model, "output", ""), "materialized_model");
}

static bool fits(const json_t *model, const char *task, const char *output)
{
	return (!task || pipeline_same_name(jval_str(model, "task", ""), task)) &&
	       (!output || pipeline_same_name(jval_str(model, "output", ""), output));
}

struct choice {
	const json_t *first;
	size_t count;
	struct buf *list; /* "task/output" of each, a few */
};

static void consider(struct choice *choice, const json_t *model)
{
	if (!choice->count++)
		choice->first = model;
	if (choice->count <= SHOWN_MAX)
		buf_printf(choice->list, "%s%.60s/%.60s", choice->count > 1 ? ", " : "",
			   jval_str(model, "task", "?"), jval_str(model, "output", "?"));
}

static enum err_class ask_which(const struct choice *choice, struct err *err)
{
	return err_code(err, ERR_USER, "deploy.which_model",
			"The run made %zu models: %s%s. Name one in config_files/config.yaml.",
			choice->count, buf_text(choice->list),
			choice->count > SHOWN_MAX ? ", ..." : "");
}

enum err_class model_choose(const json_t **out, const json_t *models, const char *task,
			    const char *output, struct err *err)
{
	AUTO_BUF struct buf all = buf_make(900), some = buf_make(900);
	struct choice every = {.list = &all}, fitting = {.list = &some};
	bool configured = task || output;
	enum err_class class = ERR_OK;
	const json_t *model;
	size_t at;

	*out = NULL;
	json_array_foreach(models, at, model)
	{
		consider(&every, model);
		if (configured ? fits(model, task, output) : is_materialized(model))
			consider(&fitting, model);
	}
	if (fitting.count == 1)
		*out = fitting.first;
	else if (fitting.count > 1)
		class = ask_which(&fitting, err);
	else if (!every.count)
		class = err_code(err, ERR_USER, "deploy.no_model",
				 "The run made no model: give it out of a task as Output[Model].");
	else if (configured)
		class = err_code(err, ERR_USER, "deploy.no_model",
				 "The run has no model %.60s/%.60s; it made: %s.",
				 task ? task : "*", output ? output : "*", buf_text(&all));
	else if (every.count == 1)
		*out = every.first;
	else
		class = ask_which(&every, err);
	return class;
}
