/* settings.c - see settings.h. The table is Kfops' own schema (package/kfops/config_schema.yaml
 * there) with the checks that make a value usable: a namespace that Kubernetes takes, a path that
 * stays in the repository. What Kfops allowed and kfops does not take from a repository, the object
 * store's address and keys, is accepted and left out of the result, so that old files keep working.
 */
#include "config/settings.h"

#include <string.h>

#include "config/check.h"
#include "config/schema.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/sample.h"

static const char file_name[] = "config_files/config.yaml";

#define SECTION(path, type, need, min, max, help)                                                  \
	{                                                                                          \
		path, SCHEMA_##type, SCHEMA_##need, NULL, min, max, NULL, help                     \
	}
#define KEY(path, type, need, fallback, max, check, help)                                          \
	{                                                                                          \
		path, SCHEMA_##type, SCHEMA_##need, fallback, 1, max, check, help                  \
	}

static const struct schema_field fields[] = {
	SECTION("repository", SECTION, REQUIRED, 0, 0, "Where this file belongs."),
	KEY("repository.owner", TEXT, REQUIRED, NULL, 100, check_owner, "User or organisation."),
	KEY("repository.name", TEXT, REQUIRED, NULL, 100, check_repo_name, "Repository."),

	SECTION("pipeline", SECTION, REQUIRED, 0, 0, "What is compiled and run."),
	KEY("pipeline.name", TEXT, REQUIRED, NULL, 128, NULL, "Its name in Kubeflow."),
	{"pipeline.description", SCHEMA_TEXT, SCHEMA_OPTIONAL, "", 0, 1000, NULL, "Free text."},
	KEY("pipeline.namespace", TEXT, REQUIRED, NULL, 63, check_label, "Kubeflow profile."),
	KEY("pipeline.experiment_name", TEXT, REQUIRED, NULL, 128, NULL, "Experiment of its runs."),
	KEY("pipeline.pipeline_path", TEXT, REQUIRED, NULL, 500, check_pipeline_path,
	    "Python file, or compiled pipeline."),
	KEY("pipeline.pipeline_function_name", TEXT, OPTIONAL, NULL, 200, check_identifier,
	    "Needed when the file has several pipelines."),
	KEY("pipeline.pipeline_execution_mode", TEXT, OPTIONAL, "V2_ENGINE", 40, check_mode,
	    "V2_ENGINE, or V1_LEGACY for a compiled Argo file."),
	KEY("pipeline.pipeline_args", FREE, OPTIONAL, NULL, 0, NULL, "Parameters of every run."),

	SECTION("deployment", SECTION, OPTIONAL, 0, 0, "Where the model is served."),
	KEY("deployment.inference_service_name", TEXT, REQUIRED, NULL, 63, check_label,
	    "Name of the InferenceService."),
	KEY("deployment.inference_service_function_path", TEXT, REQUIRED, NULL, 500,
	    check_repo_path, "File that defines it."),
	KEY("deployment.pre_deployment_test_sample_input_path", TEXT, OPTIONAL, NULL, 500,
	    check_repo_path, "JSON of a sample request."),
	SECTION("deployment.sample", SECTION, OPTIONAL, 0, 0, "What the answer must be like."),
	KEY("deployment.sample.more_paths", TEXTS, OPTIONAL, NULL, 500, check_repo_path,
	    "Further sample requests; all must be answered well."),
	{"deployment.sample.status", SCHEMA_INT, SCHEMA_OPTIONAL, NULL, 100, 599, NULL,
	 "Status to expect; any 2xx when not given."},
	KEY("deployment.sample.fields", TEXTS, OPTIONAL, NULL, 200, NULL,
	    "Members that the answer must have, like predictions or metadata.id."),
	KEY("deployment.sample.max_latency", DURATION, OPTIONAL, NULL, 600000, NULL,
	    "Longest time an answer may take."),
	KEY("deployment.sample.schema_path", TEXT, OPTIONAL, NULL, 500, check_repo_path,
	    "JSON Schema that the answer must fit."),
	SECTION("deployment.model", SECTION, OPTIONAL, 0, 0, "Which model, if a run has several."),
	KEY("deployment.model.task", TEXT, OPTIONAL, NULL, 128, NULL, "Task that makes it."),
	KEY("deployment.model.output", TEXT, OPTIONAL, NULL, 128, NULL, "Its output."),
	KEY("deployment.try_first", BOOL, OPTIONAL, "true", 0, NULL,
	    "A first model is tried in a second service before it serves."),
	KEY("deployment.canary_steps", TEXT, OPTIONAL, NULL, 60, NULL,
	    "Percents of the traffic on the way up, like 10,50,100."),
	KEY("deployment.canary_hold", DURATION, OPTIONAL, NULL, 604800000, NULL,
	    "How long each of them is held."),
	KEY("deployment.timeout", DURATION, OPTIONAL, NULL, 86400000, NULL,
	    "How long a new model may take to be ready; 10m when not given."),
	KEY("deployment.merge_method", TEXT, OPTIONAL, NULL, 10, check_merge_method,
	    "merge, squash or rebase."),
	KEY("deployment.delete_branch", BOOL, OPTIONAL, "false", 0, NULL,
	    "Delete the branch of a pull request that /deploy has merged."),
	SECTION("deployment.production", SECTION, REQUIRED, 0, 0, "Where the public is served."),
	KEY("deployment.production.namespace", TEXT, REQUIRED, NULL, 63, check_label, "Namespace."),
	KEY("deployment.production.sticky_lock", BOOL, OPTIONAL, "false", 0, NULL,
	    "It stays with the pull request that deployed there until that is merged or closed."),
	SECTION("deployment.staging", SECTION, OPTIONAL, 0, 0, "Where it is tried first."),
	KEY("deployment.staging.namespace", TEXT, REQUIRED, NULL, 63, check_label, "Namespace."),
	KEY("deployment.staging.sticky_lock", BOOL, OPTIONAL, "false", 0, NULL,
	    "It stays with the pull request that deployed there until that is merged or closed."),

	SECTION("image_builder", SECTION, OPTIONAL, 0, 0, "Images built for the pipeline."),
	KEY("image_builder.container_registry_uri", TEXT, REQUIRED, NULL, 255, check_registry,
	    "Where images are pushed."),
	KEY("image_builder.insecure", BOOL, OPTIONAL, "false", 0, NULL, "Registry without TLS."),
	SECTION("image_builder.images", LIST, REQUIRED, 1, 50, "The images."),
	KEY("image_builder.images[].name", TEXT, REQUIRED, NULL, 128, check_image, "Name."),
	KEY("image_builder.images[].dockerfile_folder_path", TEXT, REQUIRED, NULL, 500,
	    check_repo_path, "Folder of its Dockerfile."),
	KEY("image_builder.images[].other_folders_path", TEXTS, OPTIONAL, NULL, 500,
	    check_repo_path, "Further folders that it needs."),
	SECTION("image_builder.minio", SECTION, OPTIONAL, 0, 0, "Kept for old files."),
	KEY("image_builder.minio.context_files_bucket_name", DROPPED, OPTIONAL, NULL, 0, NULL,
	    "Not used."),
	SECTION("image_builder.minio.credentials", SECTION, OPTIONAL, 0, 0, "Kept for old files."),
	KEY("image_builder.minio.credentials.endpoint", DROPPED, OPTIONAL, NULL, 0, NULL,
	    "Not used."),
	KEY("image_builder.minio.credentials.access_key", DROPPED, OPTIONAL, NULL, 0, NULL,
	    "Not used."),
	KEY("image_builder.minio.credentials.secret_key", DROPPED, OPTIONAL, NULL, 0, NULL,
	    "Not used."),
};

static const struct schema schema = {fields, ARRAY_LEN(fields)};

static int line_of(const json_t *lines, const char *path)
{
	json_t *line = json_object_get(lines, path);

	return json_is_integer(line) ? (int)json_integer_value(line) : 1;
}

/* All of them are asked: what would be left out is refused. */
static void check_count(const json_t *values, const json_t *lines, const char *key, size_t max,
			struct schema_faults *faults)
{
	if (json_array_size(jval_at(values, key)) > max)
		schema_fault(faults, line_of(lines, key), 1, "%s must have at most %zu entries",
			     key, max);
}

/* What no single key can say. */
static void check_together(const json_t *values, const json_t *lines, struct schema_faults *faults)
{
	static const char path_key[] = "pipeline.pipeline_path";
	static const char function_key[] = "pipeline.pipeline_function_name";
	const char *path = jval_str(values, path_key, "");
	bool is_python = str_ends(path, ".py");
	json_t *images = jval_at(values, "image_builder.images"), *each;
	AUTO_JSON json_t *seen = json_object();
	size_t i;

	if (is_python &&
	    str_eq(jval_str(values, "pipeline.pipeline_execution_mode", ""), "V1_LEGACY"))
		schema_fault(faults, line_of(lines, path_key), 1,
			     "%s must be a compiled Argo file (.yaml) with V1_LEGACY: today's kfp "
			     "cannot compile kfp 1 code",
			     path_key);
	if (*path && !is_python && jval_str(values, function_key, NULL))
		schema_fault(faults, line_of(lines, function_key), 1,
			     "%s has no meaning with a compiled pipeline; remove it", function_key);
	check_count(values, lines, "deployment.sample.more_paths", SAMPLE_MORE_MAX, faults);
	check_count(values, lines, "deployment.sample.fields", SAMPLE_FIELDS_MAX, faults);
	json_array_foreach(images, i, each)
	{
		const char *name = jval_str(each, "name", NULL);
		AUTO_FREE char *key = str_printf("image_builder.images[%zu].name", i);

		if (name && json_object_get(seen, name))
			schema_fault(faults, line_of(lines, key), 1,
				     "%s: there is another image \"%s\"", key, name);
		else if (name)
			json_object_set_new(seen, name, json_true());
	}
}

static enum err_class check_repository(const json_t *values, const json_t *lines, const char *repo,
				       struct buf *report, int *line, struct err *err)
{
	AUTO_FREE char *named = str_printf("%s/%s", jval_str(values, "repository.owner", ""),
					   jval_str(values, "repository.name", ""));

	if (str_eq_nocase(named, repo))
		return ERR_OK;
	*line = line_of(lines, "repository");
	buf_printf(report, "%s:%d:1: this file belongs to %s, not to %s\n", file_name, *line, named,
		   repo);
	return err_code(err, ERR_USER, "settings.other_repository",
			"%s belongs to the repository %s, but this one is %s; correct "
			"repository.owner and repository.name",
			file_name, named, repo);
}

enum err_class settings_parse(json_t **out, const char *text, size_t len, const char *repo,
			      struct buf *report, int *line, struct err *err)
{
	AUTO_JSON json_t *lines = json_object();
	AUTO_JSON json_t *values = NULL;
	struct schema_faults faults = {0};
	enum err_class class = ERR_OK;

	*out = NULL;
	*line = 1;
	values = schema_read(&schema, text, len, lines, &faults);
	check_together(values, lines, &faults);
	if (faults.count) {
		*line = schema_report(&faults, file_name, report);
		class = err_code(err, ERR_USER, "settings.invalid", "%s, line %d: %s%s", file_name,
				 *line, faults.items[0].text,
				 faults.count > 1 ? " (and more)" : "");
	}
	schema_faults_dispose(&faults);
	if (!class && repo)
		class = check_repository(values, lines, repo, report, line, err);
	if (!class) {
		*line = line_of(lines, "pipeline.namespace");
		*out = take(values);
	}
	return class;
}
