/* pipeline_impl.h - what the files pipeline*.c share: growing lists of names, bounds, and the
 * checks that IR and Argo have in common. Nobody else includes it. Any thread. */
#ifndef KF_CORE_PIPELINE_IMPL_H
#define KF_CORE_PIPELINE_IMPL_H

#include "lib/core/pipeline.h"

enum {
	PIPELINE_TASKS_MAX = 2000,
	PIPELINE_COMPONENTS_MAX = 2000,
	PIPELINE_PARAMS_MAX = 200,
	PIPELINE_DEPENDENCIES_MAX = 20000, /* over all tasks */
	PIPELINE_DEPTH_MAX = 16,	   /* sub-DAGs inside each other */
	PIPELINE_NAME_MAX = 1000,	   /* bytes of any name */
	PIPELINE_SHOWN_MAX = 80,	   /* bytes of a foreign name in a message */
};

/* "%.*s" with a name cut on a code-point boundary. */
#define PIPELINE_SHOWN(name) pipeline_shown_len(name), (name)
int pipeline_shown_len(const char *name);

#define PIPELINE_INVALID(err, ...) err_code((err), ERR_USER, "pipeline.invalid", __VA_ARGS__)

struct names {
	char **items;
	size_t count;
};

void names_add(struct names *names, const char *name);
/* Sorts and drops doubles. */
void names_sort(struct names *names);
void names_dispose(struct names *names);
/* Hands a finished list over to a field of a pipeline. */
void names_move(struct names *take_names, char ***out, size_t *out_count);

/* A member that may be absent (or null: *out is NULL), but must have this type if it is there.
 * `where` is the owner's name for the message. */
enum err_class pipeline_member(json_t **out, const json_t *owner, const char *key, json_type type,
			       const char *where, struct err *err) MUST_CHECK;

/* A copy of a text member: NULL when it is absent, empty or not text. */
char *pipeline_text(const json_t *owner, const char *key) MUST_CHECK;

/* Whole number of a member: IR writes 2 as 2.0; the fallback for anything else. */
int64_t pipeline_whole(const json_t *value, int64_t fallback);

/* Sets a task's sorted list of dependencies. */
void pipeline_set_depends(struct pipeline_task *task, struct names *take_names);

/* Adds an empty task; USER past the bounds. The pointer is good until the next one is added. */
enum err_class pipeline_add_task(struct pipeline_dag *dag, size_t *total, const char *name,
				 struct pipeline_task **out, struct err *err) MUST_CHECK;

/* Adds a parameter with its name; USER past the bounds. */
enum err_class pipeline_add_param(struct pipeline *pipeline, const char *name,
				  struct pipeline_param **out, struct err *err) MUST_CHECK;

const struct pipeline_param *pipeline_param_find(const struct pipeline *pipeline, const char *name);
const struct pipeline_task *pipeline_task_find(const struct pipeline_dag *dag, const char *name);

/* Writes the indices of the tasks in an order in which each comes after those it depends on; false
 * when there is none, because tasks wait for each other. */
bool pipeline_dag_order(const struct pipeline_dag *dag, size_t *order);

/* Sorts everything, checks dependencies, and joins tasks of kind DAG with their DAGs. A DAG inside
 * itself is refused, except in Argo's format, which knows recursion: there the task becomes
 * TASK_OTHER. */
enum err_class pipeline_link(struct pipeline *pipeline, struct err *err) MUST_CHECK;

enum err_class pipeline_read_ir(struct pipeline *pipeline, const json_t *spec,
				const json_t *platform, struct err *err) MUST_CHECK;
enum err_class pipeline_read_argo(struct pipeline *pipeline, const json_t *workflow,
				  struct err *err) MUST_CHECK;

#endif
