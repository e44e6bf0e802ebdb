/* pipeline_cache.c - a pipeline whose every task really runs.
 *
 * A deterministic edit of the compiled documents, so that the same pipeline without caching is the
 * same bytes again. In IR each task of each DAG says by itself whether it is cached; an empty
 * cachingOptions means no. In an Argo Workflow of kfp 1 a pod says how old a result it takes: P0D,
 * none. */
#include "lib/base/jval.h"
#include "lib/core/pipeline.h"

static const char staleness[] = "pipelines.kubeflow.org/max_cache_staleness";

static void clear_dag(json_t *component)
{
	json_t *tasks = jval_at(component, "dag.tasks"), *task;
	const char *name;

	json_object_foreach(tasks, name, task) if (json_is_object(task))
		json_object_set_new(task, "cachingOptions", json_object());
}

/* The object under `key`, made when it is not there. Borrowed. */
static json_t *object_below(json_t *object, const char *key)
{
	json_t *found = json_object_get(object, key);

	if (json_is_object(found))
		return found;
	json_object_set_new(object, key, json_object());
	return json_object_get(object, key);
}

static void clear_template(json_t *template)
{
	if (!json_object_get(template, "container") && !json_object_get(template, "script"))
		return;
	jval_set_str(object_below(object_below(template, "metadata"), "annotations"), staleness,
		     "P0D");
}

void pipeline_disable_cache(json_t *documents)
{
	json_t *document, *part;
	const char *name;
	size_t i, k;

	json_array_foreach(documents, i, document)
	{
		clear_dag(json_object_get(document, "root"));
		json_object_foreach(json_object_get(document, "components"), name, part)
			clear_dag(part);
		json_array_foreach(jval_at(document, "spec.templates"), k, part)
			clear_template(part);
	}
}
