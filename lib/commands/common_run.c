/* common_run.c - the steps from an uploaded version to a finished run.
 *
 * The run's id is ours: it is written down, then sent. After a crash or an unclear answer the
 * server is asked for that id; a run that is not found may still turn up (the workflow comes before
 * the row), so a new id is taken only after `doubt_ms`, and at most twice. A run that goes on for
 * days is looked at in growing intervals; after `look_until_ms` only the poller's feed and sweep
 * wake the job. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/common_fork.h"
#include "lib/core/markdown.h"

enum {
	RUN_ID_TRIES = 3,
	STOP_MAX_MS = 3600000,
	TASK_NAME_MAX = 80,
	TITLE_MAX = 96, /* with the uid 128 bytes: names of all releases of Kubeflow hold that */
	PIPELINE_SHOWN_MAX = 64,
	ERROR_SHOWN_MAX = 400,
};

static int shown_len(const char *text, size_t max)
{
	size_t len = strlen(text);

	return (int)(len <= max ? len : str_utf8_cut(text, max));
}

static void fail_part(const struct job *job, const char *part, const struct effect_result *last,
		      int64_t now_ms, struct update *out)
{
	jval_set_str(common_data(job, out, "failure"), "part", part);
	common_part(job, out, part, PART_FAILED, now_ms, "failed");
	common_fail(out, &last->err);
}

/* An error that ends the job while a run is, or may be, under way: who asked has to know. */
static void fail_beside_run(const struct job *job, const char *run_id,
			    const struct effect_result *last, int64_t now_ms, struct update *out)
{
	bool is_late = now_ms >= job->deadline_at_ms, told;

	told = jval_int(job->data, "run.terminated_at_ms", 0) != 0;
	jval_set_str(common_data(job, out, "failure"), "part", "run");
	common_part(job, out, "run", PART_FAILED, now_ms, told ? "told to stop" : "may go on");
	common_end(out, JOB_FAILED,
		   is_late	       ? "run.not_stopped"
		   : last->err.code[0] ? last->err.code
				       : err_class_name(last->err.class),
		   "the run `%s` %s%s. Look after it in Kubeflow, and stop it there if it is not "
		   "wanted any more. (%.*s)",
		   run_id,
		   told ? "was told to stop, and nobody knows whether it has"
			: "may still be going in Kubeflow",
		   is_late ? ": the deadline of this command has passed" : "",
		   shown_len(last->err.msg, ERROR_SHOWN_MAX), last->err.msg);
}

/* --- /run: which version --- */

static json_t *find_args(const struct job *job)
{
	const char *given = jval_str(job->args, "arg", NULL);
	AUTO_FREE char *name =
		given ? str_dup(given) : str_printf("pr-%" PRId64 "-%.12s", job->pr, job->head_sha);
	json_t *args = json_object();

	jval_set_str(args, "namespace", jval_str(job->data, "settings.namespace", ""));
	jval_set_str(args, "pipeline", jval_str(job->data, "settings.pipeline", ""));
	jval_set_str(args, "name", name);
	jval_set_str(args, "version_name", name);
	jval_set_bool(args, "newest", !given);
	jval_set_bool(args, "no_cache", common_is_uncached(job));
	jval_set(args, "parameters", common_given_parameters(job));
	return args;
}

void common_find_version(const struct job *job, const struct effect_result *last, int64_t now_ms,
			 struct update *out)
{
	AUTO_BUF struct buf text = buf_make(512);
	json_t *version, *compile;

	if (!last) {
		common_ask(out, EFFECT_VERSION_FIND, find_args(job));
		common_part(job, out, "version", PART_RUNNING, now_ms, "looking for it");
		return;
	}
	if (last->err.class == ERR_NOT_FOUND) {
		common_part(job, out, "version", PART_FAILED, now_ms, "not found");
		if (jval_str(job->args, "arg", NULL))
			common_end(out, JOB_FAILED, "run.no_version",
				   "this pipeline has no version `%s`. To build and run this "
				   "commit: `/build_run`",
				   jval_str(job->args, "arg", ""));
		else
			common_end(out, JOB_FAILED, "run.no_version",
				   "there is no version of `%.7s` to run. Build and run it: "
				   "`/build_run`",
				   job->head_sha);
		return;
	}
	if (last->err.class) {
		fail_part(job, "version", last, now_ms, out);
		return;
	}
	version = common_data(job, out, "version");
	compile = common_data(job, out, "compile");
	/* a version that the person named is of its own commit: what runs is what is shown */
	str_copy(out->head_sha, sizeof out->head_sha, jval_str(last->data, "sha", job->head_sha));
	json_object_update(version, json_object_get(last->data, "version"));
	jval_set_str(version, "base", jval_str(version, "name", ""));
	json_object_update(compile, json_object_get(last->data, "compile"));
	buf_printf(&text, "`%s`", jval_str(version, "name", ""));
	common_part(job, out, "version", PART_DONE, now_ms, buf_text(&text));
	common_next(job, out);
}

/* --- experiment --- */

void common_experiment(const struct job *job, const struct effect_result *last, int64_t now_ms,
		       struct update *out)
{
	json_t *args;

	if (!last) {
		args = json_object();
		jval_set_str(args, "namespace", jval_str(job->data, "settings.namespace", ""));
		jval_set_str(args, "name", jval_str(job->data, "settings.experiment", "Default"));
		common_ask(out, EFFECT_EXPERIMENT, args);
		common_part(job, out, "run", PART_RUNNING, now_ms, "starting");
		return;
	}
	jval_set_str(common_data(job, out, "experiment"), "id",
		     jval_str(last->data, "experiment_id", ""));
	common_next(job, out);
}

/* --- creating the run --- */

static json_t *run_args(const struct job *job)
{
	const char *title = jval_str(job->args, "name", NULL);
	json_t *args = json_object(), *parameters = jval_at(job->data, "compile.parameters");
	const char *pipeline = jval_str(job->data, "compile.name", "pipeline");
	AUTO_FREE char *name =
		title ? str_printf("%.*s [%s]", shown_len(title, TITLE_MAX), title, job->uid)
		      : str_printf("%.*s PR#%" PRId64 " %.7s [%s]",
				   shown_len(pipeline, PIPELINE_SHOWN_MAX), pipeline, job->pr,
				   job->head_sha, job->uid);
	AUTO_FREE char *description = str_printf("bot=kfops repo=%s pr=%" PRId64 " sha=%s op=%s",
						 job->repo, job->pr, job->head_sha, job->uid);

	jval_set_str(args, "display_name", name);
	jval_set_str(args, "description", description);
	jval_set_str(args, "namespace", jval_str(job->data, "settings.namespace", ""));
	jval_set_str(args, "experiment_id", jval_str(job->data, "experiment.id", ""));
	jval_set_str(args, "pipeline_id", jval_str(job->data, "version.pipeline_id", ""));
	jval_set_str(args, "version_id", jval_str(job->data, "version.id", ""));
	jval_set(args, "parameters", parameters ? json_deep_copy(parameters) : json_object());
	return args;
}

static json_t *run_ref(const struct job *job)
{
	json_t *args = json_object();

	jval_set_str(args, "run_id", jval_str(job->data, "run.id", ""));
	jval_set_str(args, "namespace", jval_str(job->data, "settings.namespace", ""));
	return args;
}

static void run_is_there(const struct job *job, const struct effect_result *last, int64_t now_ms,
			 struct update *out)
{
	json_t *run = common_data(job, out, "run");

	jval_set_str(run, "id", jval_str(last->data, "run_id", jval_str(job->data, "run.id", "")));
	jval_set_str(run, "link", jval_str(last->data, "link", jval_str(run, "link", "")));
	jval_set_int(run, "created_at_ms", now_ms);
	json_object_del(run, "absent_at_ms");
	common_part(job, out, "run", PART_RUNNING, now_ms, "created");
	common_next(job, out);
}

/* The id that was sent is not there. It may turn up yet; when it has not after the time of doubt,
 * the next try takes a new id, because the old one must never be sent twice. */
static void run_is_absent(const struct job *job, int64_t now_ms, struct update *out)
{
	int64_t since = jval_int(job->data, "run.absent_at_ms", 0);
	json_t *run = common_data(job, out, "run");

	if (!since)
		jval_set_int(run, "absent_at_ms", since = now_ms);
	if (now_ms - since < job->rules->doubt_ms) {
		common_wait(out, WAIT_NONE, NULL, now_ms + job->rules->doubt_ms / 10 + 1);
		return;
	}
	if (job->cancel) {
		common_part(job, out, "run", PART_CANCELLED, now_ms, "stopped");
		common_end(out, JOB_CANCELLED, "job.cancelled",
			   "cancelled; the run that was asked for has not turned up in Kubeflow");
		return;
	}
	if (jval_int(run, "id_try", 1) >= RUN_ID_TRIES) {
		common_part(job, out, "run", PART_FAILED, now_ms, "not created");
		common_end(
			out, JOB_FAILED, "run.not_created",
			"Kubeflow took the run %d times, but it is not there. `/retry` tries again",
			RUN_ID_TRIES);
		return;
	}
	jval_set_int(run, "id_try", jval_int(run, "id_try", 1) + 1);
	json_object_del(run, "id");
	json_object_del(run, "absent_at_ms");
	common_ask(out, EFFECT_RUN_CREATE, run_args(job));
}

/* Of the run that was asked for last nobody may know: its id is in the answer then. */
static void run_is_unclear(const struct job *job, const struct effect_result *last, int64_t now_ms,
			   struct update *out)
{
	const char *id = jval_str(last->data, "run_id", jval_str(job->data, "run.id", ""));
	json_t *run;

	if (!*id) {
		common_part(job, out, "run", PART_FAILED, now_ms, "not created");
		if (err_is_retried(last->err.class))
			common_end(out, JOB_FAILED, "gave_up", "%s", last->err.msg);
		else
			common_fail(out, &last->err);
		return;
	}
	run = common_data(job, out, "run");
	jval_set_str(run, "id", id);
	jval_set_str(run, "link", jval_str(last->data, "link", jval_str(run, "link", "")));
	fail_beside_run(job, id, last, now_ms, out);
}

void common_create_run(const struct job *job, const struct effect_result *last, int64_t now_ms,
		       struct update *out)
{
	bool sent = jval_str(job->data, "run.id", NULL) != NULL;

	if (!last && !sent && job->cancel) {
		common_end(out, JOB_CANCELLED, "job.cancelled",
			   "cancelled before a run was created");
		return;
	}
	if (!last && !sent && now_ms >= job->deadline_at_ms) {
		common_end(out, JOB_EXPIRED, "job.deadline",
			   "its deadline passed before a run was created");
		return;
	}
	if (!last && sent) {
		common_ask(out, EFFECT_RUN_GET, run_ref(job));
		return;
	}
	if (!last) {
		common_ask(out, EFFECT_RUN_CREATE, run_args(job));
		return;
	}
	if (last->err.class) {
		run_is_unclear(job, last, now_ms, out);
		return;
	}
	if (jval_bool(last->data, "absent", false)) {
		if (jval_str(last->data, "run_id", NULL))
			jval_set_str(common_data(job, out, "run"), "id",
				     jval_str(last->data, "run_id", ""));
		run_is_absent(job, now_ms, out);
		return;
	}
	run_is_there(job, last, now_ms, out);
}

/* --- following it --- */

static void describe_progress(const struct job *job, json_t *tasks, struct buf *text)
{
	size_t done = 0, seen = json_object_size(tasks);
	size_t known = (size_t)jval_int(job->data, "compile.tasks", 0),
	       all = seen > known ? seen : known;
	const char *name, *running = NULL;
	json_t *state;

	if (!seen) {
		buf_puts(text, "running");
		return;
	}
	json_object_foreach(tasks, name, state)
	{
		if (str_eq(json_string_value(state), "SUCCEEDED") ||
		    str_eq(json_string_value(state), "SKIPPED"))
			done++;
		else if (str_eq(json_string_value(state), "RUNNING") && !running)
			running = name;
	}
	buf_printf(text, "%zu of %zu tasks", done, all);
	if (running) {
		/* the name is the pipeline's: foreign text */
		buf_puts(text, " · ");
		markdown_code(text, running, TASK_NAME_MAX);
		buf_puts(text, " running");
	}
}

/* The next look: soon for a young run, later for an old one, never for one that only the feed and
 * the sweep watch. The time-out of the person and the job's deadline come first. */
static int64_t next_look(const struct job *job, int64_t now_ms)
{
	int64_t created = jval_int(job->data, "run.created_at_ms", now_ms), age = now_ms - created;
	int64_t limit = jval_int(job->args, "timeout", 0), due = job->deadline_at_ms;
	int64_t told = jval_int(job->data, "run.terminated_at_ms", 0);

	if (limit && created + limit < due)
		due = created + limit;
	if (told && told + STOP_MAX_MS < due)
		due = told + STOP_MAX_MS;
	if (age < job->rules->look_until_ms) {
		int64_t step =
			age / 3 > job->rules->look_first_ms ? age / 3 : job->rules->look_first_ms;

		if (now_ms + step < due)
			due = now_ms + step;
	}
	return due > now_ms ? due : now_ms + job->rules->look_first_ms;
}

static bool is_out_of_time(const struct job *job, int64_t now_ms)
{
	int64_t limit = jval_int(job->args, "timeout", 0);

	return now_ms >= job->deadline_at_ms ||
	       (limit && now_ms >= jval_int(job->data, "run.created_at_ms", now_ms) + limit);
}

static void finish_stopped(const struct job *job, int64_t now_ms, struct update *out)
{
	const char *why = jval_str(job->data, "run.terminating", "");

	if (str_eq(why, "timeout")) {
		common_part(job, out, "run", PART_FAILED, now_ms, "stopped: out of time");
		if (now_ms >= job->deadline_at_ms)
			common_end(out, JOB_EXPIRED, "run.deadline",
				   "the run did not end before the deadline of this command and "
				   "was stopped");
		else
			common_end(out, JOB_FAILED, "run.timeout",
				   "the run took longer than `--timeout` and was stopped");
	} else if (job->cancel) {
		common_part(job, out, "run", PART_CANCELLED, now_ms, "stopped");
		common_end(out, JOB_CANCELLED, "job.cancelled",
			   "stopped by %s; the run was terminated",
			   job->cancelled_by ? job->cancelled_by : "a person");
	} else {
		common_part(job, out, "run", PART_CANCELLED, now_ms, "terminated in Kubeflow");
		common_end(out, JOB_CANCELLED, "run.terminated",
			   "the run was terminated in Kubeflow, not through this bot");
	}
}

static void run_has_ended(const struct job *job, const json_t *seen, const char *state,
			  int64_t now_ms, struct update *out)
{
	AUTO_BUF struct buf text = buf_make(256);

	if (str_eq(state, "SUCCEEDED") || str_eq(state, "SKIPPED")) {
		describe_progress(job, json_object_get(seen, "tasks"), &text);
		common_part(job, out, "run", PART_DONE, now_ms, buf_text(&text));
		common_jump(job, out, "keep_model");
	} else if (str_eq(state, "CANCELED") || jval_bool(seen, "was_canceling", false) ||
		   *jval_str(job->data, "run.terminating", "")) {
		finish_stopped(job, now_ms, out);
	} else {
		common_next(job, out);
	}
}

static void ask_terminate(const struct job *job, const char *why, int64_t now_ms,
			  struct update *out)
{
	jval_set_str(common_data(job, out, "run"), "terminating", why);
	common_part(job, out, "run", PART_RUNNING, now_ms, "being stopped");
	common_ask(out, EFFECT_RUN_TERMINATE, run_ref(job));
}

/* Kubeflow has taken the request to stop, but the run goes on and on: the person is told. */
static bool is_deaf(const struct job *job, int64_t now_ms)
{
	int64_t told = jval_int(job->data, "run.terminated_at_ms", 0);

	return told && now_ms - told >= STOP_MAX_MS;
}

static void look_at_run(const struct job *job, const json_t *seen, int64_t now_ms,
			struct update *out)
{
	const char *state = jval_str(seen, "state", "UNKNOWN"),
		   *why = jval_str(job->data, "run.terminating", "");
	bool stopping = jval_int(job->data, "run.terminated_at_ms", 0) != 0;
	json_t *run = common_data(job, out, "run"), *tasks = json_object_get(seen, "tasks");
	AUTO_BUF struct buf text = buf_make(256);

	jval_set_str(run, "state", state);
	json_object_del(run, "absent_at_ms");
	if (tasks)
		jval_set(run, "tasks", json_incref(tasks));
	if (jval_bool(seen, "final", false)) {
		run_has_ended(job, seen, state, now_ms, out);
		return;
	}
	if (is_deaf(job, now_ms)) {
		common_part(job, out, "run", PART_FAILED, now_ms, "does not stop");
		common_end(out, JOB_FAILED, "run.not_stopped",
			   "Kubeflow was asked to stop the run an hour ago, and it goes on; look "
			   "after it there");
		return;
	}
	if (!stopping) {
		/* asked for before, but the request never got through: again */
		if (*why || job->cancel || is_out_of_time(job, now_ms)) {
			ask_terminate(job,
				      *why	    ? why
				      : job->cancel ? "cancel"
						    : "timeout",
				      now_ms, out);
			return;
		}
		describe_progress(job, tasks, &text);
		common_part(job, out, "run", PART_RUNNING, now_ms, buf_text(&text));
	}
	common_wait(out, WAIT_RUN, jval_str(job->data, "run.id", ""), next_look(job, now_ms));
}

/* One answer that does not know the run may be an old one; only when it stays away for the time of
 * doubt has somebody deleted it. */
static void run_is_missing(const struct job *job, int64_t now_ms, struct update *out)
{
	int64_t since = jval_int(job->data, "run.absent_at_ms", now_ms);

	if (job->cancel) {
		finish_stopped(job, now_ms, out);
		return;
	}
	if (now_ms - since < job->rules->doubt_ms) {
		jval_set_int(common_data(job, out, "run"), "absent_at_ms", since);
		common_part(job, out, "run", PART_RUNNING, now_ms, "not found, looking again");
		common_wait(out, WAIT_NONE, NULL, now_ms + job->rules->doubt_ms / 10 + 1);
		return;
	}
	common_part(job, out, "run", PART_FAILED, now_ms, "gone");
	common_end(out, JOB_FAILED, "run.gone",
		   "the run is not in Kubeflow any more; somebody deleted it. `/retry` starts it "
		   "again");
}

/* No look has worked until the deadline, or none ever will. Past the deadline the run is told to
 * stop without having been seen; once, for then the job ends. */
static void run_is_out_of_sight(const struct job *job, const struct effect_result *last,
				int64_t now_ms, struct update *out)
{
	if (now_ms >= job->deadline_at_ms && !*jval_str(job->data, "run.terminating", ""))
		ask_terminate(job, job->cancel ? "cancel" : "timeout", now_ms, out);
	else
		fail_beside_run(job, jval_str(job->data, "run.id", ""), last, now_ms, out);
}

void common_follow(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	if (!last) {
		common_ask(out, EFFECT_RUN_GET, run_ref(job));
		return;
	}
	if (jval_bool(last->data, "absent", false)) {
		run_is_missing(job, now_ms, out);
		return;
	}
	if (jval_bool(last->data, "terminated", false) || last->err.class == ERR_CONFLICT) {
		jval_set_int(common_data(job, out, "run"), "terminated_at_ms", now_ms);
		common_wait(out, WAIT_RUN, jval_str(job->data, "run.id", ""),
			    now_ms + job->rules->look_first_ms);
		return;
	}
	if (last->err.class) {
		run_is_out_of_sight(job, last, now_ms, out);
		return;
	}
	look_at_run(job, last->data, now_ms, out);
}

/* --- why it failed --- */

void common_causes(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	json_t *failure, *causes;
	const char *task, *message;

	if (!last) {
		common_ask(out, EFFECT_RUN_CAUSES, run_ref(job));
		return;
	}
	failure = common_data(job, out, "failure");
	jval_set_str(failure, "part", "run");
	causes = last->data ? json_object_get(last->data, "causes") : NULL;
	if (json_array_size(causes)) {
		jval_set(failure, "causes", json_incref(causes));
		jval_set_str(failure, "log", jval_str(json_array_get(causes, 0), "log", NULL));
	}
	common_part(job, out, "run", PART_FAILED, now_ms, "failed");
	task = jval_str(json_array_get(causes, 0), "task", NULL);
	message = jval_str(json_array_get(causes, 0), "message", "no message");
	if (task)
		common_end(out, JOB_FAILED, "run.failed", "task %s failed: %s", task, message);
	else
		common_end(out, JOB_FAILED, "run.failed",
			   "the run failed; Kubeflow does not say why");
}
