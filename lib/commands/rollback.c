/* rollback.c - /rollback: the model that served before, back into an environment; also on closed
 * pull requests, because that is where one stands after a merge.
 *
 * It goes back the way that the last rollout recorded: to the revision, canary or object that
 * served before it. Like every rollout it waits for its turn, reads back what serves then, and
 * writes it down. */
#include <inttypes.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/rollout.h"
#include "lib/core/markdown.h"

static void keep_target(const struct job *job, const json_t *found, struct update *out)
{
	json_t *rollout = common_data(job, out, "rollout"), *service;

	jval_set_str(rollout, "environment", rollout_environment(job));
	jval_set_str(rollout, "namespace", jval_str(found, "live.namespace", ""));
	jval_set_str(rollout, "service", jval_str(found, "live.service", ""));
	jval_set_str(rollout, "undoes", jval_str(found, "live.uid", ""));
	jval_set_int(rollout, "undoes_pr", jval_int(found, "live.pr", 0));
	jval_set_int(rollout, "undoes_remote_id", jval_int(found, "live.remote_id", 0));
	jval_set_int(rollout, "returns_to", jval_int(found, "before.id", 0));
	jval_set_int(rollout, "returns_to_pr", jval_int(found, "before.pr", 0));
	jval_set_str(rollout, "returns_to_sha", jval_str(found, "before.sha", ""));
	jval_set_int(rollout, "timeout_ms", 600000);
	service = common_data(job, out, "service");
	jval_set(service, "before", json_incref(jval_at(found, "live.before")));
	jval_set(service, "wanted", json_incref(jval_at(found, "live.template")));
	str_copy(out->head_sha, sizeof out->head_sha, jval_str(found, "before.sha", ""));
}

/* Asked when the environment is ours: before that, what is live may change. */
static void decide_target(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	json_t *args, *rollout;

	if (!last) {
		args = json_object();
		jval_set_str(args, "environment", rollout_environment(job));
		common_ask(out, EFFECT_ROLLBACK_FIND, args);
		common_part(job, out, "turn", PART_DONE, now_ms, rollout_environment(job));
		return;
	}
	if (last->err.class == ERR_NOT_FOUND) {
		common_end(out, JOB_FAILED, "rollback.nothing",
			   "%s has had no model before this one, so there is nothing to go back "
			   "to",
			   rollout_environment(job));
		return;
	}
	if (last->err.class) {
		common_fail(out, &last->err);
		return;
	}
	keep_target(job, last->data, out);
	rollout = common_data(job, out, "rollout");
	jval_set_int(rollout, "since_ms", now_ms);
	common_next(job, out);
}

static void decide_begin(const struct job *job, const struct effect_result *last, int64_t now_ms,
			 struct update *out)
{
	json_t *args;

	(void)now_ms;
	if (!last) {
		args = json_object();
		jval_set_str(args, "environment", rollout_environment(job));
		jval_set_str(args, "namespace", jval_str(job->data, "rollout.namespace", ""));
		jval_set_str(args, "service", jval_str(job->data, "rollout.service", ""));
		jval_set_int(args, "fence", jval_int(job->data, "rollout.fence", 0));
		common_ask(out, EFFECT_DEPLOYMENT_BEGIN, args);
	} else if (last->err.class) {
		common_fail(out, &last->err);
	} else {
		common_next(job, out);
	}
}

static void plan_back(const struct job *job, const struct effect_result *last, struct update *out,
		      struct isvc_move *move)
{
	struct isvc_look look = {.live = jval_at(last->data, "live"),
				 .second = jval_at(last->data, "second")};
	struct isvc_goal goal = {
		.wanted = jval_at(job->data, "service.wanted"),
		.before = jval_at(job->data, "service.before"),
		.job = jval_str(job->data, "rollout.undoes", ""),
		.phase = ISVC_RESTORE,
	};

	isvc_plan(&goal, &look, move);
	if (move->note)
		isvc_note(json_object_get(common_data(job, out, "service"), "before"), move->note);
}

static void ask_look(const struct job *job, struct update *out)
{
	json_t *args = json_object();

	jval_set_str(args, "namespace", jval_str(job->data, "rollout.namespace", ""));
	jval_set_str(args, "service", jval_str(job->data, "rollout.service", ""));
	common_ask(out, EFFECT_SERVICE_LOOK, args);
}

/* The record of the try is closed before the job ends. */
static void end_not_back(const struct job *job, const char *code, const char *why, int64_t now_ms,
			 struct update *out)
{
	json_t *failed = common_data(job, out, "failed");

	jval_set_str(failed, "code", code);
	jval_set_str(failed, "message", why);
	common_part(job, out, "traffic", PART_FAILED, now_ms, "not put back");
	common_next(job, out);
}

static void decide_back(const struct job *job, const struct effect_result *last, int64_t now_ms,
			struct update *out)
{
	bool late = now_ms - jval_int(job->data, "rollout.since_ms", now_ms) >=
		    jval_int(job->data, "rollout.timeout_ms", 0);
	struct isvc_move move = {0};

	if (!last) {
		ask_look(job, out);
		common_part(job, out, "traffic", PART_RUNNING, now_ms, "going back");
		return;
	}
	if (last->err.class == ERR_CONFLICT || (!last->err.class && !jval_at(last->data, "seen"))) {
		common_wait(out, WAIT_NONE, NULL, rollout_next_look(job, now_ms));
		return;
	}
	if (last->err.class) {
		end_not_back(job, last->err.code[0] ? last->err.code : "rollback.refused",
			     last->err.msg, now_ms, out);
		return;
	}
	plan_back(job, last, out, &move);
	if (move.kind == ISVC_SEND) {
		rollout_ask_move(job, &move.request, false, out);
	} else if (move.kind == ISVC_WAIT && !late) {
		common_wait(out, WAIT_NONE, NULL, rollout_next_look(job, now_ms));
	} else if (move.kind == ISVC_DONE) {
		common_part(job, out, "traffic", PART_DONE, now_ms, "back to the model before");
		common_next(job, out);
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
	json_t *args;

	(void)now_ms;
	if (!last) {
		args = json_object();
		jval_set_str(args, "label", label);
		jval_set_int(args, "pr", jval_int(job->data, "rollout.returns_to_pr", job->pr));
		common_ask(out, EFFECT_LABEL_MOVE, args);
		return;
	}
	if (last->err.class)
		rollout_note(job, "The label was not moved", last, out);
	common_next(job, out);
}

static void decide_tell(const struct job *job, const struct effect_result *last, int64_t now_ms,
			struct update *out)
{
	int64_t id = jval_int(job->data, "rollout.undoes_remote_id", 0),
		pr = jval_int(job->data, "rollout.returns_to_pr", 0);
	const char *sha = jval_str(job->data, "rollout.returns_to_sha", "?");
	json_t *args;

	(void)now_ms;
	if (!last && id) {
		args = json_object();
		jval_set_int(args, "id", id);
		jval_set_str(args, "state", "inactive");
		jval_set_str(args, "environment", rollout_environment(job));
		common_ask(out, EFFECT_DEPLOYMENT_STATUS, args);
		return;
	}
	if (last && last->err.class)
		rollout_note(job, "GitHub's deployment was not marked", last, out);
	common_end(out, JOB_DONE, NULL,
		   "%s serves the model of `%.7s` (pull request %" PRId64 ") again",
		   rollout_environment(job), sha, pr);
}

static const struct command_flag flags[] = {
	{"reason", FLAG_TEXT, "TEXT", "why; kept with the deployment"},
	{NULL, FLAG_BOOL, NULL, NULL},
};
static const char *const examples[] = {"/rollback production --reason \"wrong labels\"", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	ROLLOUT_STEP("turn", "waiting for the environment", rollout_turn),
	STEP_CONFIRM,
	ROLLOUT_STEP("target", "looking for what served before", decide_target),
	ROLLOUT_STEP("begin", "writing down what serves now", decide_begin),
	ROLLOUT_TRAFFIC("back", "putting the traffic back", decide_back),
	ROLLOUT_ACT("record", "writing down what serves now", decide_record),
	ROLLOUT_EXTRA("label", "moving the label", decide_label),
	ROLLOUT_EXTRA("tell", "telling GitHub", decide_tell),
	STEP_LAST,
};

const struct command command_rollback = {
	.name = "rollback",
	.summary = "Bring back the model that served before.",
	.examples = examples,
	.flags = flags,
	.arg_name = "ENV",
	.arg_type = FLAG_NAME,
	.arg_required = true,
	.right = RIGHT_MAINTAIN,
	.on_closed = true,
	.steps = steps,
};
