/* rollback.c - /rollback: a model that served before, back into an environment; also on closed pull
 * requests, because that is where one stands after a merge.
 *
 * Without a number it goes to the deployment before the live one, or takes out what was left open;
 * with one, to that deployment. rollback_target.c says by which of two ways. Like every rollout it
 * waits for its turn, reads back what serves then, and writes it down: the deployment that serves
 * again is the old one, by its old number. */
#include <inttypes.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/rollback.h"
#include "lib/commands/rollout_steps.h"
#include "lib/core/markdown.h"

static bool goes_back(const struct job *job)
{
	return jval_bool(job->data, "rollout.back", false);
}

/* Where the old pods run on, no file is read; all else starts from the files. */
static void decide_model(const struct job *job, const struct effect_result *last, int64_t now_ms,
			 struct update *out)
{
	bool runs_on = str_eq(jval_str(job->data, "service.before.way", ""),
			      isvc_way_name(ISVC_WAY_KNATIVE)) ||
		       jval_bool(job->data, "rollout.undoes_open", false);

	if (goes_back(job) && runs_on)
		common_next(job, out);
	else
		rollout_same_model(job, last, now_ms, out);
}

static json_t *begin_args(const struct job *job)
{
	const char *reason = jval_str(job->data, "rollout.reason", NULL);
	json_t *args = json_object();

	if (reason)
		jval_set_str(args, "reason", reason);
	jval_set_str(args, "environment", rollout_environment(job));
	jval_set_str(args, "namespace", jval_str(job->data, "rollout.namespace", ""));
	jval_set_str(args, "service", jval_str(job->data, "rollout.service", ""));
	jval_set_str(args, "storage_uri", jval_str(job->data, "model.uri", ""));
	jval_set_int(args, "fence", jval_int(job->data, "rollout.fence", 0));
	return args;
}

/* What serves now is kept by whoever goes another way than it was recorded. */
static bool keep_before(const struct job *job, const struct effect_result *last, struct update *out)
{
	json_t *service;

	if (!jval_at(last->data, "before"))
		return false;
	service = common_data(job, out, "service");
	jval_set(service, "before", json_incref(jval_at(last->data, "before")));
	jval_set(service, "wanted", json_incref(jval_at(last->data, "wanted")));
	if (jval_at(last->data, "gone"))
		jval_set(service, "gone", json_incref(jval_at(last->data, "gone")));
	return true;
}

static void decide_begin(const struct job *job, const struct effect_result *last, int64_t now_ms,
			 struct update *out)
{
	json_t *args;

	(void)now_ms;
	if (last && last->err.class) {
		common_fail(out, &last->err);
	} else if (!last && !goes_back(job)) {
		args = begin_args(job);
		jval_set(args, "wanted", json_deep_copy(jval_at(job->data, "service.wanted")));
		jval_set_bool(args, "try_first", rollout_tries_first(job));
		common_ask(out, EFFECT_SERVICE_BEFORE, args);
	} else if (!last || keep_before(job, last, out)) {
		common_ask(out, EFFECT_DEPLOYMENT_BEGIN, begin_args(job));
	} else {
		common_jump(job, out, goes_back(job) ? "back" : "close");
	}
}

/* The record of the try is closed before the job ends. */
static void end_not_back(const struct job *job, const char *code, const char *why, int64_t now_ms,
			 struct update *out)
{
	json_t *failed = common_data(job, out, "failed");

	jval_set_str(failed, "code", code);
	jval_set_str(failed, "message", why);
	common_part(job, out, "traffic", PART_FAILED, now_ms, "not put back");
	common_jump(job, out, "record");
}

static void decide_back(const struct job *job, const struct effect_result *last, int64_t now_ms,
			struct update *out)
{
	bool late = rollout_is_late(job, now_ms);
	struct isvc_move move = {0};

	if (!last) {
		rollout_ask_look(job, out);
		common_part(job, out, "traffic", PART_RUNNING, now_ms, "going back");
		return;
	}
	/* somebody was faster, or we before a crash: what is deleted already is no failure */
	if (last->err.class == ERR_CONFLICT || last->err.class == ERR_NOT_FOUND ||
	    (!last->err.class && !jval_at(last->data, "seen"))) {
		common_wait(out, WAIT_NONE, NULL, rollout_next_look(job, now_ms));
		return;
	}
	if (last->err.class) {
		end_not_back(job, last->err.code[0] ? last->err.code : "rollback.refused",
			     last->err.msg, now_ms, out);
		return;
	}
	rollout_plan(job, last, ISVC_RESTORE, 0, out, &move);
	if (move.kind == ISVC_SEND) {
		rollout_ask_move(job, &move.request, false, out);
	} else if (move.kind == ISVC_WAIT && !late) {
		common_wait(out, WAIT_NONE, NULL, rollout_next_look(job, now_ms));
	} else if (move.kind == ISVC_DONE) {
		common_part(job, out, "traffic", PART_DONE, now_ms, "back to the model before");
		common_jump(job, out, "record");
	} else {
		end_not_back(job, move.code[0] ? move.code : "rollback.not_ready", move.why, now_ms,
			     out);
	}
	isvc_move_dispose(&move);
}

static void decide_record(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	const json_t *failed = json_object_get(job->data, "failed");
	json_t *args;

	(void)now_ms;
	if (!last) {
		args = json_object();
		jval_set_str(args, "state", failed ? "failed" : "rolled back");
		if (!failed)
			jval_set_int(args, "returned_to",
				     jval_int(job->data, "rollout.returns_to", 0));
		common_ask(out, EFFECT_DEPLOYMENT_END, args);
	} else if (last->err.class) {
		common_fail(out, &last->err);
	} else if (failed) {
		common_end(out, JOB_FAILED, jval_str(failed, "code", "rollback.refused"),
			   "the model before could not be brought back: %s",
			   jval_str(failed, "message", ""));
	} else {
		common_next(job, out);
	}
}

static void decide_label(const struct job *job, const struct effect_result *last, int64_t now_ms,
			 struct update *out)
{
	AUTO_FREE char *label = str_printf("Deployed-to-%s", rollout_environment(job));
	int64_t pr = jval_int(job->data, "rollout.returns_to_pr", 0);
	json_t *args;

	(void)now_ms;
	if (!last && pr && !jval_bool(job->data, "rollout.undoes_open", false)) {
		args = json_object();
		jval_set_str(args, "label", label);
		jval_set_int(args, "pr", pr);
		common_ask(out, EFFECT_LABEL_MOVE, args);
		return;
	}
	if (last && last->err.class)
		rollout_note(job, "The label was not moved", last, out);
	common_next(job, out);
}

/* --- at GitHub --- */

static void ask_status(const struct job *job, const char *state, int64_t id, struct update *out)
{
	json_t *args = json_object();

	jval_set_int(args, "id", id);
	jval_set_str(args, "state", state);
	jval_set_str(args, "environment", rollout_environment(job));
	if (str_eq(state, "success"))
		jval_set_str(args, "environment_url", jval_str(job->data, "service.link", ""));
	/* the one that is undone is named by us; others are as they are */
	jval_set_bool(args, "auto_inactive", false);
	common_ask(out, EFFECT_DEPLOYMENT_STATUS, args);
}

/* A deployment at GitHub whose success was long ago does not show that it serves again: it gets a
 * new one. What was left open took nothing from the one that serves. */
static void decide_tell_again(const struct job *job, const struct effect_result *last,
			      int64_t now_ms, struct update *out)
{
	int64_t id = jval_int(job->data, "rollout.returns_to_remote_id", 0);

	(void)now_ms;
	if (!last && id && !jval_bool(job->data, "rollout.undoes_open", false)) {
		ask_status(job, "success", id, out);
		return;
	}
	if (last && last->err.class)
		rollout_note(job, "GitHub's deployment was not marked", last, out);
	common_next(job, out);
}

static void decide_tell(const struct job *job, const struct effect_result *last, int64_t now_ms,
			struct update *out)
{
	int64_t id = jval_int(job->data, "rollout.undoes_remote_id", 0),
		pr = jval_int(job->data, "rollout.returns_to_pr", 0);
	const char *sha = jval_str(job->data, "rollout.returns_to_sha", "?");
	bool open = jval_bool(job->data, "rollout.undoes_open", false);

	(void)now_ms;
	if (!last && id) {
		ask_status(job, "inactive", id, out);
		return;
	}
	if (last && last->err.class)
		rollout_note(job, "GitHub's deployment was not marked", last, out);
	if (!pr)
		common_end(out, JOB_DONE, NULL,
			   "the model of `%.7s` was taken out, and %s serves what it served before",
			   job->head_sha, rollout_environment(job));
	else
		common_end(out, JOB_DONE, NULL,
			   "%s serves the model of `%.7s` (pull request %" PRId64 ") %s",
			   rollout_environment(job), sha, pr, open ? "alone again" : "again");
}

static const struct command_flag flags[] = {
	{"to", FLAG_INT, "DEPLOYMENT",
	 "its number, as /status shows it; the one before is the default"},
	{"reason", FLAG_TEXT, "TEXT", "why; shown here, and kept in the audit"},
	{NULL, FLAG_BOOL, NULL, NULL},
};
static const char *const examples[] = {"/rollback production --reason \"wrong labels\"",
				       "/rollback production --to 12", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	ROLLOUT_STEP("turn", "waiting for the environment", rollout_turn),
	STEP_CONFIRM,
	ROLLOUT_STEP("target", "looking for what served before", rollback_target),
	ROLLOUT_STEP("way", "looking at what serves now", rollback_way),
	ROLLOUT_STEP("model", "comparing the model's files", decide_model),
	ROLLOUT_STEP("begin", "writing down what serves now", decide_begin),
	ROLLOUT_TRAFFIC("back", "putting the traffic back", decide_back),
	ROLLOUT_LOAD,
	ROLLOUT_SHIFT,
	ROLLOUT_ACT("record", "writing down what serves now", decide_record),
	ROLLOUT_EXTRA("label", "moving the label", decide_label),
	ROLLOUT_EXTRA("tell_again", "telling GitHub", decide_tell_again),
	ROLLOUT_EXTRA("tell", "telling GitHub", decide_tell),
	ROLLOUT_BACK,
	STEP_LAST,
};

const struct command command_rollback = {
	.name = "rollback",
	.summary = "Bring back the model that served before, or an earlier one.",
	.examples = examples,
	.flags = flags,
	.arg_name = "ENV",
	.arg_type = FLAG_NAME,
	.arg_required = true,
	.right = RIGHT_MAINTAIN,
	.scope = SCOPE_ENVIRONMENT,
	.rule = "rollback",
	.on_closed = true,
	.steps = steps,
};
