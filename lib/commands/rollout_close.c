/* rollout_close.c - see rollout.h. A deployment that was left open, and whose service somebody
 * deleted: its record ends, GitHub's deployment is no longer in progress, and a second service of
 * it does not stay. The command that meets it does that on its way; what it cannot do is noted. */
#include <inttypes.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/rollout.h"

enum { CLOSED_HERE = 1, CLOSED_AT_GITHUB = 2 };

static const json_t *gone_of(const struct job *job)
{
	return jval_at(job->data, "service.gone");
}

static void ask_status(const struct job *job, struct update *out)
{
	json_t *args = json_object();

	jval_set_int(args, "id", jval_int(gone_of(job), "remote_id", 0));
	jval_set_str(args, "state", "inactive");
	jval_set_str(args, "environment", rollout_environment(job));
	jval_set_str(args, "description", "its service was deleted");
	jval_set_bool(args, "auto_inactive", false); /* others are as they are */
	common_ask(out, EFFECT_DEPLOYMENT_STATUS, args);
}

static void ask_look(const struct job *job, struct update *out)
{
	json_t *args = rollout_service_args(job);

	jval_set_bool(args, "second", true);
	common_ask(out, EFFECT_SERVICE_LOOK, args);
}

/* The planner deletes what is ours whatever has become of the real one. True when it has gone. */
static bool is_cleared(const struct job *job, const struct effect_result *last, struct update *out)
{
	struct isvc_look look = {.live = jval_at(last->data, "live"),
				 .second = jval_at(last->data, "second")};
	struct isvc_goal goal = {
		.before = json_object_get(gone_of(job), "before"),
		.job = jval_str(gone_of(job), "uid", ""),
		.phase = ISVC_RESTORE,
	};
	struct isvc_move move = {0};
	bool sends;

	isvc_plan(&goal, &look, &move);
	sends = move.kind == ISVC_SEND;
	if (sends)
		rollout_ask_move(job, &move.request, false, out);
	isvc_move_dispose(&move);
	return !sends;
}

static void clear_second(const struct job *job, const struct effect_result *last, int64_t now_ms,
			 struct update *out)
{
	if (!last) {
		ask_look(job, out);
	} else if (last->err.class == ERR_CONFLICT || last->err.class == ERR_NOT_FOUND) {
		common_wait(out, WAIT_NONE, NULL, rollout_next_look(job, now_ms));
	} else if (last->err.class) {
		rollout_note(job, "The second service of what was open was not deleted", last, out);
		common_next(job, out);
	} else if (!jval_at(last->data, "seen")) {
		ask_look(job, out); /* it has been sent */
	} else if (is_cleared(job, last, out)) {
		common_next(job, out);
	}
}

static void end_record(const struct job *job, struct update *out)
{
	json_t *args = json_object();

	jval_set_str(args, "state", "failed");
	jval_set_str(args, "was", "open");
	jval_set_int(args, "of", jval_int(gone_of(job), "job", 0));
	common_ask(out, EFFECT_DEPLOYMENT_END, args);
}

void rollout_close(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	int64_t closed = jval_int(job->data, "rollout.closed", 0);
	bool has_second =
		str_eq(jval_str(gone_of(job), "before.way", ""), isvc_way_name(ISVC_WAY_SECOND));

	if (!gone_of(job)) {
		common_next(job, out);
		return;
	}
	if (closed == CLOSED_AT_GITHUB) {
		clear_second(job, last, now_ms, out);
		return;
	}
	if (last) { /* of the one of the two that was asked for */
		if (last->err.class)
			rollout_note(job, "What was open was not closed", last, out);
		jval_set_int(common_data(job, out, "rollout"), "closed", ++closed);
	}
	if (!closed)
		end_record(job, out);
	else if (closed == CLOSED_HERE && jval_int(gone_of(job), "remote_id", 0))
		ask_status(job, out);
	else if (has_second)
		ask_look(job, out);
	else
		common_next(job, out);
}
