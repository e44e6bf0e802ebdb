/* rollout_undo.c - see rollout.h. The way back: why it failed, all traffic to what served before,
 * the records, and the end with the cause.
 *
 * The job's deadline does not count here, for it may be what led here. Taking back goes on for a
 * day: until then a job whose traffic is not back has not ended, and says so on the pull request.
 * It ends with that said when the day is over, or when the planner finds that nothing more can be
 * done (the service was deleted, somebody else changed it). */
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/rollout.h"

enum { RESTORE_MAX_MS = 24 * 3600 * 1000 };

/* The pods know more than the service: which image could not be pulled, what ran out of memory. */
void rollout_causes(const struct job *job, const struct effect_result *last, int64_t now_ms,
		    struct update *out)
{
	json_t *args, *failed, *failure;

	bool asks = jval_bool(job->data, "rollout.touched", false) &&
		    jval_int(job->data, "failed.state", 0) != JOB_CANCELLED;

	if (!last && asks) {
		args = rollout_service_args(job);
		common_ask(out, EFFECT_SERVICE_CAUSES, args);
		return;
	}
	jval_set_int(common_data(job, out, "rollout"), "since_ms", now_ms);
	if (!last) {
		common_next(job, out);
		return;
	}
	failed = common_data(job, out, "failed");
	if (!last->err.class && *jval_str(last->data, "cause", ""))
		jval_set_str(failed, "cause", jval_str(last->data, "cause", ""));
	if (!last->err.class && *jval_str(last->data, "log", "")) {
		failure = common_data(job, out, "failure");
		jval_set_str(failure, "part", "model");
		jval_set_str(failure, "log", jval_str(last->data, "log", ""));
	}
	common_next(job, out);
}

static void note_result(const struct job *job, const char *text, bool restored, int64_t now_ms,
			struct update *out)
{
	json_t *failed = common_data(job, out, "failed");

	jval_set_bool(failed, "restored", restored);
	jval_set_str(failed, "traffic", text);
	common_part(job, out, "traffic", restored ? PART_CANCELLED : PART_FAILED, now_ms,
		    !restored ? "not put back"
		    : jval_bool(job->data, "service.before.existed", true)
			    ? "back to the model before"
			    : "nothing serves, as before");
	common_next(job, out);
}

/* That the service was deleted is the failure itself. */
static bool is_said(const struct job *job, const struct isvc_move *move)
{
	return str_eq(move->code, "deploy.deleted") &&
	       str_eq(jval_str(job->data, "failed.code", ""), "deploy.deleted");
}

void rollout_restore(const struct job *job, const struct effect_result *last, int64_t now_ms,
		     struct update *out)
{
	struct isvc_move move = {0};

	if (!jval_bool(job->data, "rollout.touched", false)) {
		common_next(job, out);
		return;
	}
	if (!last && now_ms - jval_int(job->data, "rollout.since_ms", now_ms) >= RESTORE_MAX_MS) {
		note_result(job, "The traffic could not be put back within a day", false, now_ms,
			    out);
		return;
	}
	if (!last) {
		rollout_ask_look(job, out);
		return;
	}
	if (last->err.class || !jval_at(last->data, "seen")) {
		common_wait(out, WAIT_NONE, NULL, rollout_next_look(job, now_ms));
		return;
	}
	rollout_plan(job, last, ISVC_RESTORE, 0, out, &move);
	if (move.kind == ISVC_SEND)
		rollout_ask_move(job, &move.request, false, out);
	else if (move.kind == ISVC_WAIT)
		common_wait(out, WAIT_NONE, NULL, rollout_next_look(job, now_ms));
	else
		note_result(job, is_said(job, &move) ? "" : move.why, move.kind == ISVC_DONE,
			    now_ms, out);
	isvc_move_dispose(&move);
}

/* A deployment that was left open, and is as it was. */
static bool stays_open(const struct job *job)
{
	return jval_int(job->data, "rollout.of", 0) &&
	       !jval_bool(job->data, "rollout.touched", false);
}

void rollout_undo(const struct job *job, const struct effect_result *last, int64_t now_ms,
		  struct update *out)
{
	json_t *args;

	(void)now_ms;
	if (rollout_is_recorded(job, json_object_get(job->data, "service")) || stays_open(job)) {
		common_next(job, out);
		return;
	}
	if (!last) {
		args = json_object();
		jval_set_str(args, "state", "failed");
		jval_set_int(args, "remote_id", jval_int(job->data, "rollout.remote_id", 0));
		if (jval_int(job->data, "rollout.of", 0))
			jval_set_int(args, "of", jval_int(job->data, "rollout.of", 0));
		common_ask(out, EFFECT_DEPLOYMENT_END, args);
		return;
	}
	if (last->err.class)
		common_fail(out, &last->err);
	else
		common_next(job, out);
}

/* Sentences of others end in a full stop or not; ours follows them. */
static void put_without_stop(struct buf *out, const char *text)
{
	size_t len = strlen(text);

	while (len && text[len - 1] == '.')
		len--;
	buf_add(out, text, len);
}

static void end_failed(const struct job *job, struct update *out)
{
	const json_t *failed = json_object_get(job->data, "failed");
	const char *cause = jval_str(failed, "cause", ""),
		   *traffic = jval_str(failed, "traffic", "");
	AUTO_BUF struct buf text = buf_make(ERR_MSG_MAX);

	put_without_stop(&text, jval_str(failed, "message", "the rollout failed"));
	if (*cause) {
		buf_puts(&text, " (");
		put_without_stop(&text, cause);
		buf_puts(&text, ")");
	}
	if (*traffic && !str_eq(traffic, jval_str(failed, "message", ""))) {
		buf_puts(&text, ". ");
		put_without_stop(&text, traffic);
	}
	common_end(out, (enum job_state)jval_int(failed, "state", JOB_FAILED),
		   jval_str(failed, "code", "deploy.refused"), "%s", buf_text(&text));
}

void rollout_tell_failure(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	json_t *args;

	(void)now_ms;
	if (!last && jval_int(job->data, "rollout.remote_id", 0) && !stays_open(job)) {
		args = json_object();
		jval_set_int(args, "id", jval_int(job->data, "rollout.remote_id", 0));
		jval_set_str(args, "state", "failure");
		jval_set_str(args, "environment", rollout_environment(job));
		common_ask(out, EFFECT_DEPLOYMENT_STATUS, args);
		return;
	}
	end_failed(job, out);
}
