/* rollout_finish.c - see rollout.h. The model has the traffic; now the records: ours, the label,
 * GitHub's deployment. Nothing here takes the model back: it passed its sample and serves. */
#include <inttypes.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/rollout.h"

/* The model was live already, by a deployment of another commit whose place this one takes: that
 * which GitHub shows must be what a rollback marks, and the environment has this commit now. */
static bool takes_over(const struct job *job)
{
	const json_t *service = json_object_get(job->data, "service");

	return rollout_is_recorded(job, service) &&
	       jval_int(job->data, "rollout.remote_id", 0) !=
		       jval_int(service, "served.remote_id", 0);
}

static json_t *end_args(const struct job *job)
{
	int64_t of = jval_int(job->data, "rollout.of", 0);
	json_t *before = jval_at(job->data, "service.before"), *args = json_object();
	int open = rollout_left_open(job);

	jval_set_int(args, "remote_id", jval_int(job->data, "rollout.remote_id", 0));
	jval_set_str(args, "environment", rollout_environment(job));
	jval_set_bool(args, "sticks", jval_bool(job->data, "rollout.sticks", false));
	if (takes_over(job)) {
		jval_set_str(args, "state", "live");
		jval_set_int(args, "of", jval_int(job->data, "service.served.job", 0));
		jval_set_bool(args, "takes_over", true);
		jval_set_str(args, "run_id", jval_str(job->data, "run.id", ""));
		jval_set(args, "plan", rollout_record_plan(job));
		return args;
	}
	jval_set_str(args, "state", open < 0 ? "live" : "open");
	jval_set_int(args, "percent", open < 0 ? 100 : open);
	jval_set(args, "before", json_deep_copy(before)); /* with what was noted on the way */
	if (of) {
		jval_set_int(args, "of", of);
		jval_set_str(args, "was", "open");
	}
	return args;
}

void rollout_record(const struct job *job, const struct effect_result *last, int64_t now_ms,
		    struct update *out)
{
	json_t *rollout = common_data(job, out, "rollout");
	int open = rollout_left_open(job);

	(void)now_ms;
	if (rollout_is_recorded(job, json_object_get(job->data, "service")) && !takes_over(job)) {
		common_next(job, out);
	} else if (!last) {
		common_ask(out, EFFECT_DEPLOYMENT_END, end_args(job));
	} else if (last->err.class) {
		common_fail(out, &last->err);
	} else if (open >= 0) {
		jval_set_int(rollout, "open", open);
		common_jump(job, out, "tell"); /* no label, no merge: another model serves, too */
	} else {
		jval_set_bool(rollout, "live", true);
		common_next(job, out);
	}
}

/* It is the production label that other repositories' tools look for, so it moves: first it is
 * put here, then it is taken from where it was. A crash between the two leaves two, and the same
 * step then takes the old one. */
void rollout_label(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	AUTO_FREE char *label = str_printf("Deployed-to-%s", rollout_environment(job));
	json_t *args;

	(void)now_ms;
	if (!last) {
		args = json_object();
		jval_set_str(args, "label", label);
		common_ask(out, EFFECT_LABEL_MOVE, args);
		return;
	}
	if (last->err.class)
		rollout_note(job, "The label was not moved", last, out);
	common_next(job, out);
}

/* What GitHub shows of this rollout: `state`, and beside it what it is about. */
static void ask_status(const struct job *job, const char *state, int64_t id, struct update *out)
{
	int64_t open = jval_int(job->data, "rollout.open", -1);
	AUTO_FREE char *share = open < 0 ? NULL : str_printf("%" PRId64 " %% of the traffic", open);
	json_t *args = json_object();

	jval_set_int(args, "id", id);
	jval_set_str(args, "state", state);
	jval_set_str(args, "environment", rollout_environment(job));
	jval_set_str(args, "environment_url", jval_str(job->data, "service.link", ""));
	if (share)
		jval_set_str(args, "description", share);
	common_ask(out, EFFECT_DEPLOYMENT_STATUS, args);
}

static void end_open(const struct job *job, int64_t open, struct update *out)
{
	const char *environment = rollout_environment(job);

	if (open)
		common_end(out, JOB_DONE, NULL,
			   "%s gives the model of `%.7s` %" PRId64
			   " %% of the traffic. `/promote %s` goes on, `/rollback %s` takes it out",
			   environment, job->head_sha, open, environment, environment);
	else
		common_end(out, JOB_DONE, NULL,
			   "the model of `%.7s` was tried in a second service and waits there, "
			   "without traffic. `/promote %s` puts it in place, `/rollback %s` takes "
			   "it out",
			   job->head_sha, environment, environment);
}

/* GitHub makes earlier deployments inactive by itself, but none to production: of these, the one
 * that served before is told by us. What has only a share takes nothing from it. 0: none. */
static int64_t retired_by(const struct job *job)
{
	int64_t old = jval_int(job->data, "service.served.remote_id", 0);
	bool serves = jval_int(job->data, "rollout.open", -1) < 0 || takes_over(job);

	return serves && str_eq(rollout_environment(job), "production") &&
			       old != jval_int(job->data, "rollout.remote_id", 0)
		       ? old
		       : 0;
}

void rollout_tell(const struct job *job, const struct effect_result *last, int64_t now_ms,
		  struct update *out)
{
	int64_t open = jval_int(job->data, "rollout.open", -1), old = retired_by(job);
	bool retires = jval_bool(job->data, "rollout.retires", false);

	(void)now_ms;
	if (!last && retires) { /* asked again: the first is done */
		ask_status(job, "inactive", old, out);
		return;
	}
	if (!last) {
		ask_status(job, open < 0 ? "success" : "in_progress",
			   jval_int(job->data, "rollout.remote_id", 0), out);
		return;
	}
	if (last->err.class)
		rollout_note(job,
			     retires ? "GitHub's deployment before was not made inactive"
				     : "GitHub's deployment was not marked",
			     last, out);
	if (old && !retires) {
		jval_set_bool(common_data(job, out, "rollout"), "retires", true);
		ask_status(job, "inactive", old, out);
	} else if (open >= 0) {
		end_open(job, open, out);
	} else if (!common_is_last(job) && jval_bool(job->data, "rollout.merges", false)) {
		common_next(job, out);
	} else {
		common_end(out, JOB_DONE, NULL, "%s serves the model of `%.7s`",
			   rollout_environment(job), job->head_sha);
	}
}
