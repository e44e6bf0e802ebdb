/* pipeline.c - see pipeline.h: which format it is, what both formats share, and the graph's
 * soundness.
 *
 * The readers (pipeline_ir.c, pipeline_argo.c) only collect; linking afterwards is the one place
 * that decides whether the graph holds together: every dependency is a task of the same DAG, no
 * tasks wait for each other, no DAG contains itself, nothing is too deep. All walks have explicit
 * stacks, since a document from a pull request chooses the shape. */
#include "lib/core/pipeline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/pipeline_impl.h"

int pipeline_shown_len(const char *name)
{
	size_t len = strlen(name);

	return (int)(len <= PIPELINE_SHOWN_MAX ? len : str_utf8_cut(name, PIPELINE_SHOWN_MAX));
}

void names_add(struct names *names, const char *name)
{
	if (!(names->count & (names->count - 1))) /* full at every power of two */
		names->items = mem_grow(names->items, (names->count ? 2 * names->count : 1) *
							      sizeof *names->items);
	names->items[names->count++] = str_dup(name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_sort(struct names *names)
{
	size_t kept = 0;

	if (names->count)
		qsort(names->items, names->count, sizeof *names->items, by_name);
	for (size_t i = 0; i < names->count; i++) {
		if (kept && str_eq(names->items[kept - 1], names->items[i]))
			mem_free(names->items[i]);
		else
			names->items[kept++] = names->items[i];
	}
	names->count = kept;
}

void names_dispose(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		mem_free(names->items[i]);
	mem_free(names->items);
	*names = (struct names){0};
}

void names_move(struct names *take_names, char ***out, size_t *out_count)
{
	names_sort(take_names);
	*out = take_names->items;
	*out_count = take_names->count;
	*take_names = (struct names){0};
}

static const char *json_kind(const json_t *value)
{
	static const char *const kinds[] = {"a map",	"a list", "text",  "a number",
					    "a number", "true",	  "false", "null"};

	return kinds[json_typeof(value)];
}

enum err_class pipeline_member(json_t **out, const json_t *owner, const char *key, json_type type,
			       const char *where, struct err *err)
{
	static const char *const wanted[] = {
		[JSON_OBJECT] = "a map", [JSON_ARRAY] = "a list", [JSON_STRING] = "text"};
	json_t *value = json_object_get(owner, key);

	*out = NULL;
	if (!value || json_is_null(value))
		return ERR_OK;
	if (json_typeof(value) != type)
		return PIPELINE_INVALID(err, "%s of %.*s is %s instead of %s", key,
					PIPELINE_SHOWN(where), json_kind(value), wanted[type]);
	*out = value;
	return ERR_OK;
}

char *pipeline_text(const json_t *owner, const char *key)
{
	const char *text = json_string_value(json_object_get(owner, key));

	return str_is_empty(text) ? NULL : str_dup(text);
}

int64_t pipeline_whole(const json_t *value, int64_t fallback)
{
	double real;

	if (json_is_integer(value))
		return json_integer_value(value);
	if (!json_is_real(value))
		return fallback;
	real = json_real_value(value);
	return fabs(real) < 9e15 && !(floor(real) < real) ? (int64_t)real : fallback;
}

void pipeline_set_depends(struct pipeline_task *task, struct names *take_names)
{
	names_move(take_names, &task->depends_on, &task->depends_count);
}

static enum err_class check_name(const char *what, const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (len && len <= PIPELINE_NAME_MAX)
		return ERR_OK;
	return PIPELINE_INVALID(err,
				len ? "a %s has a name longer than %d bytes" : "a %s has no name",
				what, PIPELINE_NAME_MAX);
}

enum err_class pipeline_add_task(struct pipeline_dag *dag, size_t *total, const char *name,
				 struct pipeline_task **out, struct err *err)
{
	size_t count = dag->task_count;

	if (check_name("task", name, err))
		return err->class;
	if (++*total > PIPELINE_TASKS_MAX)
		return PIPELINE_INVALID(err, "the pipeline has more than %d tasks",
					PIPELINE_TASKS_MAX);
	if (!(count & (count - 1)))
		dag->tasks = mem_grow(dag->tasks, (count ? 2 * count : 1) * sizeof *dag->tasks);
	*out = &dag->tasks[dag->task_count++];
	**out = (struct pipeline_task){.name = str_dup(name), .kind = TASK_OTHER};
	return ERR_OK;
}

enum err_class pipeline_add_param(struct pipeline *pipeline, const char *name,
				  struct pipeline_param **out, struct err *err)
{
	size_t count = pipeline->param_count;

	if (check_name("parameter", name, err))
		return err->class;
	if (count == PIPELINE_PARAMS_MAX)
		return PIPELINE_INVALID(err, "the pipeline has more than %d parameters",
					PIPELINE_PARAMS_MAX);
	if (!(count & (count - 1)))
		pipeline->params = mem_grow(pipeline->params,
					    (count ? 2 * count : 1) * sizeof *pipeline->params);
	*out = &pipeline->params[pipeline->param_count++];
	**out = (struct pipeline_param){.name = str_dup(name), .type = PARAM_STRING};
	return ERR_OK;
}

static int task_order(const void *a, const void *b)
{
	return strcmp(((const struct pipeline_task *)a)->name,
		      ((const struct pipeline_task *)b)->name);
}

static int param_order(const void *a, const void *b)
{
	return strcmp(((const struct pipeline_param *)a)->name,
		      ((const struct pipeline_param *)b)->name);
}

static int dag_order(const void *a, const void *b)
{
	return strcmp(((const struct pipeline_dag *)a)->component,
		      ((const struct pipeline_dag *)b)->component);
}

const struct pipeline_param *pipeline_param_find(const struct pipeline *pipeline, const char *name)
{
	for (size_t i = 0; i < pipeline->param_count; i++)
		if (str_eq(pipeline->params[i].name, name))
			return &pipeline->params[i];
	return NULL;
}

static size_t task_index(const struct pipeline_dag *dag, const char *name)
{
	size_t low = 0, high = dag->task_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(dag->tasks[middle].name, name);

		if (!order)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return SIZE_MAX;
}

const struct pipeline_task *pipeline_task_find(const struct pipeline_dag *dag, const char *name)
{
	size_t i = task_index(dag, name);

	return i == SIZE_MAX ? NULL : &dag->tasks[i];
}

/* Kahn's algorithm; `followers` holds, from start[i] on, the tasks that wait for task i. */
bool pipeline_dag_order(const struct pipeline_dag *dag, size_t *order)
{
	size_t count = dag->task_count, edges = 0, done = 0;
	AUTO_FREE size_t *start = mem_new(count + 2, sizeof *start);
	AUTO_FREE size_t *waits = mem_new(count, sizeof *waits);
	AUTO_FREE size_t *followers = NULL;

	for (size_t i = 0; i < count; i++) {
		waits[i] = dag->tasks[i].depends_count;
		edges += waits[i];
		for (size_t k = 0; k < waits[i]; k++)
			start[task_index(dag, dag->tasks[i].depends_on[k]) + 2]++;
	}
	for (size_t i = 2; i < count + 2; i++)
		start[i] += start[i - 1];
	followers = mem_new(edges, sizeof *followers);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < dag->tasks[i].depends_count; k++)
			followers[start[task_index(dag, dag->tasks[i].depends_on[k]) + 1]++] = i;
	for (size_t i = 0; i < count; i++)
		if (!waits[i])
			order[done++] = i;
	for (size_t at = 0; at < done; at++)
		for (size_t k = start[order[at]]; k < start[order[at] + 1]; k++)
			if (!--waits[followers[k]])
				order[done++] = followers[k];
	return done == count;
}

static enum err_class check_dag(const struct pipeline_dag *dag, size_t *dependencies,
				struct err *err)
{
	AUTO_FREE size_t *order = mem_new(dag->task_count, sizeof *order);

	for (size_t i = 0; i < dag->task_count; i++) {
		const struct pipeline_task *task = &dag->tasks[i];

		if (i && str_eq(task->name, dag->tasks[i - 1].name))
			return PIPELINE_INVALID(err, "the task %.*s is there twice",
						PIPELINE_SHOWN(task->name));
		*dependencies += task->depends_count;
		for (size_t k = 0; k < task->depends_count; k++)
			if (task_index(dag, task->depends_on[k]) == SIZE_MAX)
				return PIPELINE_INVALID(
					err, "the task %.*s waits for %.*s, which is not there",
					PIPELINE_SHOWN(task->name),
					PIPELINE_SHOWN(task->depends_on[k]));
	}
	if (*dependencies > PIPELINE_DEPENDENCIES_MAX)
		return PIPELINE_INVALID(err, "the tasks have more than %d dependencies",
					PIPELINE_DEPENDENCIES_MAX);
	if (!pipeline_dag_order(dag, order))
		return PIPELINE_INVALID(err, "tasks of %.*s wait for each other",
					PIPELINE_SHOWN(dag->component));
	return ERR_OK;
}

static const struct pipeline_dag *find_dag(const struct pipeline *pipeline, const char *component)
{
	const struct pipeline_dag key = {.component = (char *)(uintptr_t)component};

	if (pipeline->dag_count < 2)
		return NULL;
	return bsearch(&key, pipeline->dags + 1, pipeline->dag_count - 1, sizeof key, dag_order);
}

struct walk {
	size_t dag, next; /* next task to look at */
};

/* Where a depth-first walk over DAGs stands; height counts the DAG itself. */
struct heights {
	enum { NOT_SEEN, OPEN, SEEN } * state;
	int *height;
	struct walk *open;
	size_t depth;
};

static enum err_class step_into(struct pipeline *pipeline, struct heights *walk, struct walk *at,
				struct pipeline_task *task, struct err *err)
{
	size_t child;

	if (!task->dag)
		return ERR_OK;
	child = (size_t)(task->dag - pipeline->dags);
	if (walk->state[child] == OPEN) {
		if (pipeline->format == PIPELINE_IR)
			return PIPELINE_INVALID(err, "the component %.*s contains itself",
						PIPELINE_SHOWN(task->component));
		task->kind = TASK_OTHER;
		task->dag = NULL;
		return ERR_OK;
	}
	if (walk->state[child] == SEEN) {
		if (walk->height[at->dag] <= walk->height[child])
			walk->height[at->dag] = walk->height[child] + 1;
		return ERR_OK;
	}
	at->next--; /* looked at again when the child's height is known */
	walk->state[child] = OPEN;
	walk->height[child] = 1;
	walk->open[walk->depth++] = (struct walk){child, 0};
	return ERR_OK;
}

static enum err_class walk_from(struct pipeline *pipeline, struct heights *walk, size_t from,
				struct err *err)
{
	enum err_class class = ERR_OK;

	walk->state[from] = OPEN;
	walk->height[from] = 1;
	walk->open[walk->depth++] = (struct walk){from, 0};
	while (walk->depth && !class) {
		struct walk *at = &walk->open[walk->depth - 1];
		struct pipeline_dag *dag = &pipeline->dags[at->dag];

		if (at->next < dag->task_count) {
			struct pipeline_task *task = &dag->tasks[at->next++];

			class = step_into(pipeline, walk, at, task, err);
			continue;
		}
		walk->state[at->dag] = SEEN;
		if (walk->height[at->dag] > PIPELINE_DEPTH_MAX + 1)
			class = PIPELINE_INVALID(err, "sub-pipelines are nested more than %d deep",
						 PIPELINE_DEPTH_MAX);
		walk->depth--;
	}
	return class;
}

static enum err_class check_nesting(struct pipeline *pipeline, struct err *err)
{
	AUTO_FREE void *state = NULL;
	AUTO_FREE int *height = mem_new(pipeline->dag_count, sizeof *height);
	AUTO_FREE struct walk *open = mem_new(pipeline->dag_count, sizeof *open);
	struct heights walk = {.height = height, .open = open};
	enum err_class class = ERR_OK;

	state = walk.state = mem_new(pipeline->dag_count, sizeof *walk.state);
	for (size_t i = 0; i < pipeline->dag_count && !class; i++)
		if (walk.state[i] == NOT_SEEN)
			class = walk_from(pipeline, &walk, i, err);
	return class;
}

enum err_class pipeline_link(struct pipeline *pipeline, struct err *err)
{
	size_t dependencies = 0;

	if (pipeline->param_count)
		qsort(pipeline->params, pipeline->param_count, sizeof *pipeline->params,
		      param_order);
	for (size_t i = 1; i < pipeline->param_count; i++)
		if (str_eq(pipeline->params[i].name, pipeline->params[i - 1].name))
			return PIPELINE_INVALID(err, "the parameter %.*s is there twice",
						PIPELINE_SHOWN(pipeline->params[i].name));
	if (pipeline->dag_count > 2)
		qsort(pipeline->dags + 1, pipeline->dag_count - 1, sizeof *pipeline->dags,
		      dag_order);
	for (size_t i = 0; i < pipeline->dag_count; i++) {
		struct pipeline_dag *dag = &pipeline->dags[i];

		if (dag->task_count)
			qsort(dag->tasks, dag->task_count, sizeof *dag->tasks, task_order);
		for (size_t k = 0; k < dag->task_count; k++) {
			struct pipeline_task *task = &dag->tasks[k];

			if (task->kind == TASK_DAG)
				task->dag = find_dag(pipeline, task->component);
			if (task->kind == TASK_DAG && !task->dag)
				task->kind = TASK_OTHER; /* Argo: the entrypoint inside itself */
		}
		if (check_dag(dag, &dependencies, err))
			return err->class;
	}
	return check_nesting(pipeline, err);
}

/* --- which document is what --- */

static enum err_class sort_documents(const json_t *const *documents, size_t count,
				     const json_t **spec, const json_t **platform, struct err *err)
{
	*spec = *platform = NULL;
	if (count == 1 && json_is_object(json_object_get(documents[0], "pipeline_spec"))) {
		*spec = json_object_get(documents[0], "pipeline_spec");
		*platform = json_object_get(documents[0], "platform_spec");
		return ERR_OK;
	}
	for (size_t i = 0; i < count; i++) {
		const json_t *document = documents[i];
		bool is_platform = json_object_get(document, "platforms") &&
				   !json_object_get(document, "pipelineInfo");
		const json_t **slot = is_platform ? platform : spec;

		if (!json_is_object(document))
			return PIPELINE_INVALID(err, "%s",
						count == 1 ? "the pipeline is empty"
							   : "a document of the pipeline is empty");
		if (*slot)
			return PIPELINE_INVALID(err, "there are two documents of the same kind");
		*slot = document;
	}
	if (!*spec)
		return PIPELINE_INVALID(err, "%s",
					count ? "the document with pipelineInfo is missing"
					      : "the pipeline is empty");
	return ERR_OK;
}

static bool is_argo(const json_t *document)
{
	return str_eq(json_string_value(json_object_get(document, "kind")), "Workflow") &&
	       str_starts(json_string_value(json_object_get(document, "apiVersion")),
			  "argoproj.io/");
}

enum err_class pipeline_read(struct pipeline **out, const json_t *const *documents, size_t count,
			     struct err *err)
{
	struct pipeline *pipeline;
	const json_t *spec, *platform;
	struct err mine;
	enum err_class class;

	*out = NULL;
	if (!err)
		err = &mine;
	if (sort_documents(documents, count, &spec, &platform, err))
		return err->class;
	pipeline = mem_new(1, sizeof *pipeline);
	if (is_argo(spec)) {
		pipeline->format = PIPELINE_ARGO;
		class = platform ? PIPELINE_INVALID(err, "an Argo Workflow is a single document")
				 : pipeline_read_argo(pipeline, spec, err);
	} else {
		pipeline->format = PIPELINE_IR;
		class = pipeline_read_ir(pipeline, spec, platform, err);
	}
	if (!class)
		class = pipeline_link(pipeline, err);
	if (class)
		pipeline_free(pipeline);
	else
		*out = pipeline;
	return class;
}

static void free_names(char **items, size_t count)
{
	struct names names = {items, count};

	names_dispose(&names);
}

static void dispose_dag(struct pipeline_dag *dag)
{
	for (size_t i = 0; i < dag->task_count; i++) {
		struct pipeline_task *task = &dag->tasks[i];

		mem_free(task->name);
		mem_free(task->component);
		free_names(task->depends_on, task->depends_count);
		mem_free(task->condition);
		mem_free(task->trigger_strategy);
		mem_free(task->image);
	}
	mem_free(dag->tasks);
	mem_free(dag->component);
}

void pipeline_free(struct pipeline *take_pipeline)
{
	if (!take_pipeline)
		return;
	for (size_t i = 0; i < take_pipeline->param_count; i++) {
		mem_free(take_pipeline->params[i].name);
		mem_free(take_pipeline->params[i].description);
		json_decref(take_pipeline->params[i].default_value);
		json_decref(take_pipeline->params[i].literals);
	}
	for (size_t i = 0; i < take_pipeline->dag_count; i++)
		dispose_dag(&take_pipeline->dags[i]);
	free_names(take_pipeline->images, take_pipeline->image_count);
	free_names(take_pipeline->secrets, take_pipeline->secret_count);
	free_names(take_pipeline->model_outputs, take_pipeline->model_output_count);
	mem_free(take_pipeline->params);
	mem_free(take_pipeline->dags);
	mem_free(take_pipeline->name);
	mem_free(take_pipeline->display_name);
	mem_free(take_pipeline->description);
	mem_free(take_pipeline->sdk_version);
	mem_free(take_pipeline);
}
