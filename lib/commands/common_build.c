/* common_build.c - the steps from a commit to an uploaded pipeline version.
 *
 * The version is named by pull request and SHA, so that a repeat after a crash finds its own work.
 * What is found under that name is taken for the same only by its content; the job keeps id and
 * digest of what Kubeflow made of the upload, and by them a later /run knows it again. The
 * description is for people. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common_fork.h"

enum { VERSION_TRIES = 5 };

/* Does the command compile? Then preparations are shown in that row, else in that of the version
 * which is looked for. */
static bool compiles(const struct job *job)
{
	const struct command *command = command_by_name(&commands, job->command);

	must(command);
	for (const struct step *step = command->steps; step->name; step++)
		if (step->decide == common_compile)
			return true;
	return false;
}

static const char *first_part(const struct job *job)
{
	return compiles(job) ? "compile" : "version";
}

void common_checkout(const struct job *job, const struct effect_result *last, int64_t now_ms,
		     struct update *out)
{
	if (!last) {
		common_ask(out, EFFECT_CHECKOUT, NULL);
		return;
	}
	common_keep_policy_here(job, last, out);
	common_part(job, out, first_part(job), PART_RUNNING, now_ms, "checked out");
	common_next(job, out);
}

/* A fault in their files: the place becomes an annotation, the log is folded under the message. */
static void fail_build(const struct job *job, const struct effect_result *last, int64_t now_ms,
		       struct update *out)
{
	json_t *failure = common_data(job, out, "failure");
	json_t *annotation = last->data ? json_object_get(last->data, "annotation") : NULL;
	const char *log = jval_str(last->data, "log", NULL);

	jval_set_str(failure, "part", first_part(job));
	if (annotation)
		jval_set(failure, "annotation", json_incref(annotation));
	if (log)
		jval_set_str(failure, "log", log);
	common_part(job, out, first_part(job), PART_FAILED, now_ms, "failed");
	common_fail(out, &last->err);
}

/* What later steps need of config_files/config.yaml. */
static void keep_settings(const struct job *job, const json_t *settings, struct update *out)
{
	static const struct {
		const char *ours, *theirs, *fallback;
	} fields[] = {
		{"namespace", "pipeline.namespace", ""},
		{"experiment", "pipeline.experiment_name", "Default"},
		{"pipeline", "pipeline.name", ""},
		{"description", "pipeline.description", ""},
		{"path", "pipeline.pipeline_path", ""},
		{"function", "pipeline.pipeline_function_name", ""},
		{"mode", "pipeline.pipeline_execution_mode", "V2_ENGINE"},
	};
	json_t *mine = common_data(job, out, "settings");
	json_t *args = jval_at(settings, "pipeline.pipeline_args");
	json_t *model = jval_at(settings, "deployment.model");

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		jval_set_str(mine, fields[i].ours,
			     jval_str(settings, fields[i].theirs, fields[i].fallback));
	if (jval_str(job->args, "experiment", NULL))
		jval_set_str(mine, "experiment", jval_str(job->args, "experiment", ""));
	jval_set(mine, "args", args ? json_deep_copy(args) : json_object());
	if (jval_at(settings, "deployment"))
		jval_set(mine, "model", model ? json_deep_copy(model) : json_object());
}

void common_settings(const struct job *job, const struct effect_result *last, int64_t now_ms,
		     struct update *out)
{
	if (!last) {
		common_ask(out, EFFECT_SETTINGS, NULL);
		return;
	}
	if (last->err.class) {
		fail_build(job, last, now_ms, out);
		return;
	}
	keep_settings(job, last->data, out);
	if (compiles(job))
		common_part(job, out, "compile", PART_RUNNING, now_ms, "compiling");
	common_next(job, out);
}

/* pull request and SHA, or that of the version which is run without caching; and a number when the
 * name is taken by other content */
static char *version_name(const struct job *job, int64_t attempt)
{
	const char *base = jval_str(job->data, "version.base", NULL);
	AUTO_FREE char *name = base ? str_printf("%s-nocache", base)
				    : str_printf("pr-%" PRId64 "-%.12s", job->pr, job->head_sha);

	return attempt > 1 ? str_printf("%s-%" PRId64, name, attempt) : take(name);
}

json_t *common_given_parameters(const struct job *job)
{
	json_t *given = json_object();
	json_t *defaults = jval_at(job->data, "settings.args"),
	       *typed = jval_at(job->args, "param");

	if (json_is_object(defaults))
		json_object_update(given, defaults);
	if (json_is_object(typed))
		json_object_update(given, typed);
	return given;
}

static json_t *compile_args(const struct job *job)
{
	AUTO_FREE char *name = version_name(job, 1);
	json_t *args = json_object();

	jval_set_str(args, "path", jval_str(job->data, "settings.path", ""));
	jval_set_str(args, "function", jval_str(job->data, "settings.function", ""));
	jval_set_str(args, "mode", jval_str(job->data, "settings.mode", ""));
	jval_set_bool(args, "no_cache", common_is_uncached(job));
	jval_set_str(args, "version_name", name);
	jval_set(args, "parameters", common_given_parameters(job));
	return args;
}

void common_compile(const struct job *job, const struct effect_result *last, int64_t now_ms,
		    struct update *out)
{
	AUTO_FREE char *text = NULL;
	json_t *mine;

	if (!last) {
		common_ask(out, EFFECT_COMPILE, compile_args(job));
		return;
	}
	if (last->err.class) {
		fail_build(job, last, now_ms, out);
		return;
	}
	mine = common_data(job, out, "compile");
	json_object_update(mine, last->data);
	text = str_printf("%" PRId64 " task%s", jval_int(last->data, "tasks", 0),
			  jval_int(last->data, "tasks", 0) == 1 ? "" : "s");
	common_part(job, out, "compile", PART_DONE, now_ms, text);
	common_next(job, out);
}

static const char *pipeline_name(const struct job *job)
{
	const char *name = jval_str(job->data, "settings.pipeline", "");

	return *name ? name : jval_str(job->data, "compile.name", "");
}

void common_pipeline(const struct job *job, const struct effect_result *last, int64_t now_ms,
		     struct update *out)
{
	json_t *args, *version;

	if (!last) {
		args = json_object();
		jval_set_str(args, "namespace", jval_str(job->data, "settings.namespace", ""));
		jval_set_str(args, "name", pipeline_name(job));
		jval_set_str(args, "description", jval_str(job->data, "settings.description", ""));
		common_ask(out, EFFECT_PIPELINE_ENSURE, args);
		common_part(job, out, "upload", PART_RUNNING, now_ms, "uploading");
		return;
	}
	version = common_data(job, out, "version");
	jval_set_str(version, "pipeline_id", jval_str(last->data, "pipeline_id", ""));
	common_next(job, out);
}

/* The row in which an upload is shown: its own, or that of the version that was found. */
static const char *upload_part(const struct job *job)
{
	return compiles(job) ? "upload" : "version";
}

static void ask_upload(const struct job *job, int64_t attempt, struct update *out)
{
	AUTO_FREE char *name = version_name(job, attempt);
	bool is_uncached = common_is_uncached(job);
	AUTO_FREE char *description = str_printf(
		"bot=kfops repo=%s pr=%" PRId64 " sha=%s op=%s sha256=%s%s", job->repo, job->pr,
		job->head_sha, job->uid, jval_str(job->data, "compile.sha256", ""),
		is_uncached ? " caching=off" : "");
	json_t *args = json_object();

	jval_set_str(args, "pipeline_id", jval_str(job->data, "version.pipeline_id", ""));
	jval_set_str(args, "name", name);
	jval_set_str(args, "description", description);
	jval_set_str(args, "sha256", jval_str(job->data, "compile.sha256", ""));
	jval_set_str(args, "content", jval_str(job->data, "compile.content", ""));
	jval_set_bool(args, "platform", jval_bool(job->data, "compile.platform", false));
	common_ask(out, EFFECT_VERSION_UPLOAD, args);
}

/* The parameter that tells a pipeline its version is known only now. */
static void follow_name(const struct job *job, const char *name, struct update *out)
{
	json_t *compile = common_data(job, out, "compile");

	if (jval_bool(compile, "names_version", false))
		jval_set_str(json_object_get(compile, "parameters"), "version_id", name);
}

void common_upload(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	int64_t attempt = jval_int(job->data, "version.try", 1);
	AUTO_BUF struct buf text = buf_make(1024);
	json_t *version;

	if (!last) {
		ask_upload(job, attempt, out);
		return;
	}
	version = common_data(job, out, "version");
	if (last->err.class == ERR_CONFLICT && attempt < VERSION_TRIES) {
		jval_set_int(version, "try", attempt + 1);
		ask_upload(job, attempt + 1, out);
		return;
	}
	if (last->err.class) {
		jval_set_str(common_data(job, out, "failure"), "part", upload_part(job));
		common_part(job, out, upload_part(job), PART_FAILED, now_ms, "failed");
		common_fail(out, &last->err);
		return;
	}
	jval_set_str(version, "id", jval_str(last->data, "version_id", ""));
	jval_set_str(version, "name", jval_str(last->data, "version_name", ""));
	jval_set_bool(version, "adopted", jval_bool(last->data, "adopted", false));
	jval_set_str(version, "link", jval_str(last->data, "link", ""));
	jval_set_str(version, "content", jval_str(last->data, "content", ""));
	follow_name(job, jval_str(version, "name", ""), out);
	buf_printf(&text, "version `%s`%s", jval_str(version, "name", ""),
		   jval_bool(version, "adopted", false) ? " (was there already)" : "");
	common_part(job, out, upload_part(job), PART_DONE, now_ms, buf_text(&text));
	if (common_is_last(job))
		common_end(out, JOB_DONE, NULL, "version %s is in Kubeflow",
			   jval_str(version, "name", ""));
	else
		common_next(job, out);
}

/* A version cannot be told at a run to take nothing from the cache: each task says by itself
 * whether it is cached. So the version is uploaded again without, under a name of its own, and that
 * one is run. */
void common_variant(const struct job *job, const struct effect_result *last, int64_t now_ms,
		    struct update *out)
{
	if (!jval_bool(job->data, "compile.variant", false)) {
		common_next(job, out);
		return;
	}
	common_upload(job, last, now_ms, out);
}
