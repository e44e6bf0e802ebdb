/* pipeline.h - a compiled pipeline, read as data: KFP v2 IR, or an Argo Workflow of KFP 1.x.
 *
 * Takes the parsed document (YAML or JSON, see lib/base/yaml.h), never a file. Bounds: 2,000 tasks,
 * 200 parameters, sub-DAGs 16 deep. Format: api/v2alpha1/pipeline_spec.proto of kubeflow/pipelines.
 * Pure; any thread. */
#ifndef KF_CORE_PIPELINE_H
#define KF_CORE_PIPELINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum pipeline_format { PIPELINE_IR, PIPELINE_ARGO };

enum param_type {
	PARAM_NUMBER_DOUBLE,
	PARAM_NUMBER_INTEGER,
	PARAM_STRING,
	PARAM_BOOLEAN,
	PARAM_LIST,
	PARAM_STRUCT,
	PARAM_TASK_FINAL_STATUS,
	PARAM_TASK_CONFIG,
};

struct pipeline_param {
	char *name;
	enum param_type type;
	json_t *default_value; /* NULL: none */
	json_t *literals;      /* array of allowed values, NULL: any */
	bool optional;
	bool required; /* not optional and without default */
	char *description;
};

/* OTHER: what is neither, and in Argo's format a DAG inside itself, which that format allows. */
enum task_kind { TASK_CONTAINER, TASK_IMPORTER, TASK_DAG, TASK_OTHER };

struct pipeline_dag;

struct pipeline_task {
	char *name; /* key in the DAG */
	char *component;
	enum task_kind kind;
	char **depends_on; /* sorted union of dependentTasks and producers of inputs */
	size_t depends_count;
	char *condition;	/* CEL text, NULL */
	char *trigger_strategy; /* NULL unless given */
	bool iterates;		/* has a parameter or artifact iterator */
	int64_t parallelism;	/* 0: no limit given */
	int64_t retry_max;	/* 0: none */
	bool cache;
	char *image;			/* container image, NULL */
	const struct pipeline_dag *dag; /* kind TASK_DAG; borrowed from the pipeline */
};

struct pipeline_dag {
	char *component;	     /* "root" or the component's name */
	struct pipeline_task *tasks; /* sorted by name */
	size_t task_count;
};

struct pipeline {
	enum pipeline_format format;
	char *name;
	char *display_name;	       /* NULL */
	char *description;	       /* NULL */
	char *sdk_version;	       /* NULL */
	struct pipeline_param *params; /* sorted by name */
	size_t param_count;
	char **images; /* sorted, no doubles */
	size_t image_count;
	char **secrets; /* names of Kubernetes Secrets, sorted; "<dynamic>": the run decides */
	size_t secret_count;
	char **model_outputs; /* "component.artifact" of type system.Model, sorted */
	size_t model_output_count;
	struct pipeline_dag *dags; /* [0] is root */
	size_t dag_count;
	bool has_platform_spec;
};

/* Reads documents: one or two for IR, or the server's {"pipeline_spec", "platform_spec"} in one.
 * USER with code "pipeline.invalid" and a sentence. */
enum err_class pipeline_read(struct pipeline **out, const json_t *const *documents, size_t count,
			     struct err *err) MUST_CHECK;
void pipeline_free(struct pipeline *take_pipeline);

/* A digest (hex) of what the documents say: the same for a file and for what Kubeflow Pipelines
 * gives back of it, where nothing but the notation has changed. False, with "", when there is
 * nothing to digest or too much. */
enum { PIPELINE_DIGEST_SIZE = 65 };
bool pipeline_digest(char out[PIPELINE_DIGEST_SIZE], const json_t *const *documents,
		     size_t count) MUST_CHECK;

/* The tasks that store the run's model by themselves (kfops.model.materialize_model), wherever they
 * are in the documents (an array): [{"task","name": as people see it,"to": "s3://BUCKET/PREFIX", or
 * absent when only the run knows,"loop": bool}]. The caller drops it. */
json_t *pipeline_stores(const json_t *documents) MUST_CHECK;

/* The one to deploy from (borrowed): the only one, or that of the configured task (NULL: none).
 * USER with "deploy.which_model" when several or another are meant, "deploy.no_model" when its
 * place is not known. `stores` is not empty. */
enum err_class pipeline_store_choose(const json_t **out, const json_t *stores, const char *task,
				     const char *output, struct err *err) MUST_CHECK;

/* Appends "s3://BUCKET/PREFIX/RUN/". */
void pipeline_store_uri(struct buf *out, const json_t *store, const char *run_id);

/* "train-model" and "train_model" are one: KFP makes the first of the second. */
bool pipeline_same_name(const char *a, const char *b);

/* Switches caching off in every task of the documents (an array), in place. */
void pipeline_disable_cache(json_t *documents);

/* Checks `given` (object: name to text or JSON value) against the parameters and writes what goes
 * into runtime_config.parameters. Text is converted to the parameter's type ("3" to 3, "true" to
 * true,
 * "[1,2]" to an array). USER with codes "run.unknown_parameter" (with the nearest name),
 * "run.parameter_type", "run.parameter_literal", "run.missing_parameter"; all faults in one
 * message. */
enum err_class pipeline_check_params(const struct pipeline *pipeline, const json_t *given,
				     json_t **out, struct err *err) MUST_CHECK;

/* `states` is how tasks stand while a run goes on: {"train": "RUNNING", ...} by task name, or NULL.
 * The graph as Mermaid flowchart text (no fence), at most 50,000 bytes and 500 edges, and no more
 * than `out` has room for; past that the deepest sub-DAGs are drawn as one node, then the rest is
 * left out with a note. */
void pipeline_draw_mermaid(const struct pipeline *pipeline, const json_t *states, struct buf *out);

/* The same as an indented list for mails and apps that show no diagrams: plain text of at most
 * 1,000 lines, for a fence (it has no backtick), not yet redacted. */
void pipeline_draw_text(const struct pipeline *pipeline, const json_t *states, struct buf *out);

#endif
