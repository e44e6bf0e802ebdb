/* rollback_target.c - see rollback.h. To which deployment, and by which way.
 *
 * Two ways lead back. Where the service still carries the mark of the deployment that is undone,
 * the way recorded before that one leads to what served then: the old revision, the canary taken
 * out, the old spec. It is the shorter one, and the only one for what was left open. Otherwise,
 * after a rollback before this one or to a deployment that was named, the recorded model is rolled
 * out anew: at 0 %, ready, asked its sample, and then all traffic. */
#include <inttypes.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/rollback.h"

/* --- which deployment --- */

/* It once had all traffic, and has it no more. */
static bool has_served(const json_t *deployment)
{
	const char *state = jval_str(deployment, "state", "");

	return (str_eq(state, "replaced") || str_eq(state, "rolled back")) &&
	       jval_int(deployment, "percent", 0) == 100;
}

/* The one that was named; NULL, with the update filled, when nothing leads there. */
static const json_t *choose_named(const struct job *job, const json_t *found, int64_t to,
				  struct update *out)
{
	const char *environment = rollout_environment(job);
	const json_t *named = json_object_get(found, "named");

	if (!named)
		common_end(out, JOB_FAILED, "rollback.no_deployment",
			   "this repository has no deployment %" PRId64
			   ". `/status` shows the numbers that there are",
			   to);
	else if (!str_eq(jval_str(named, "environment", ""), environment))
		common_end(out, JOB_FAILED, "rollback.other_environment",
			   "deployment %" PRId64 " was made in %s, not in %s", to,
			   jval_str(named, "environment", "?"), environment);
	else if (str_eq(jval_str(named, "state", ""), "live"))
		common_end(out, JOB_FAILED, "rollback.is_live",
			   "deployment %" PRId64 " is the one that serves: the model of `%.7s`", to,
			   jval_str(named, "sha", "?"));
	else if (!has_served(named))
		common_end(out, JOB_FAILED, "rollback.never_served",
			   "number %" PRId64
			   " never had all the traffic of %s, so it is not known to "
			   "be good. `/status` shows those that had",
			   to, environment);
	else
		return named;
	return NULL;
}

/* What is gone back to: NULL with no end when what was left open stood over nothing of ours. */
static const json_t *choose(const struct job *job, const json_t *found, struct update *out)
{
	const json_t *live = json_object_get(found, "live"), *open = json_object_get(found, "open"),
		     *before = json_object_get(found, "before");
	int64_t to = jval_int(job->args, "to", 0);

	if (to)
		return choose_named(job, found, to, out);
	if (open)
		return live;
	if (live && before)
		return before;
	common_end(out, JOB_FAILED, "rollback.nothing",
		   "%s has had no model before this one, so there is nothing to go back to",
		   rollout_environment(job));
	return NULL;
}

static void keep_undone(const struct job *job, const json_t *undone, bool open, struct update *out)
{
	json_t *rollout = common_data(job, out, "rollout");

	jval_set_str(rollout, "undoes", jval_str(undone, "uid", ""));
	jval_set_int(rollout, "undoes_pr", jval_int(undone, "pr", 0));
	jval_set_int(rollout, "undoes_remote_id", jval_int(undone, "remote_id", 0));
	jval_set_bool(rollout, "undoes_open", open);
}

static void keep_target(const struct job *job, const json_t *target, struct update *out)
{
	json_t *rollout = common_data(job, out, "rollout");

	jval_set_int(rollout, "returns_to", jval_int(target, "id", 0));
	jval_set_int(rollout, "returns_to_pr", jval_int(target, "pr", 0));
	jval_set_int(rollout, "returns_to_remote_id", jval_int(target, "remote_id", 0));
	jval_set_str(rollout, "returns_to_sha", jval_str(target, "sha", ""));
}

/* The objects of the way that leads back from what is undone. */
static void keep_way_back(const struct job *job, const json_t *undone, struct update *out)
{
	json_t *service = common_data(job, out, "service");

	jval_set(service, "before", json_deep_copy(json_object_get(undone, "before")));
	jval_set(service, "wanted", json_deep_copy(json_object_get(undone, "template")));
	(void)json_object_del(service, "undone");
	jval_set_str(common_data(job, out, "rollout"), "mark", jval_str(undone, "uid", ""));
	jval_set_bool(common_data(job, out, "rollout"), "back", true);
}

/* Of what is undone: which of ours has the traffic while the rollout anew goes on. */
static void keep_served(const struct job *job, const json_t *live, struct update *out)
{
	json_t *served;

	if (!live)
		return;
	served = json_object();
	jval_set_str(served, "sha", jval_str(live, "sha", ""));
	jval_set_int(served, "pr", jval_int(live, "pr", 0));
	jval_set(common_data(job, out, "service"), "served", served);
}

/* Asked when the environment is ours: before that, what is live may change. */
void rollback_target(const struct job *job, const struct effect_result *last, int64_t now_ms,
		     struct update *out)
{
	const json_t *target, *live, *open, *undone;
	json_t *args;

	if (!last) {
		args = json_object();
		jval_set_str(args, "environment", rollout_environment(job));
		jval_set_int(args, "to", jval_int(job->args, "to", 0));
		common_ask(out, EFFECT_DEPLOYMENTS_FIND, args);
		common_part(job, out, "turn", PART_DONE, now_ms, rollout_environment(job));
		return;
	}
	if (last->err.class) {
		common_fail(out, &last->err);
		return;
	}
	live = json_object_get(last->data, "live");
	open = json_object_get(last->data, "open");
	if (live && jval_int(job->args, "to", 0))
		open = NULL; /* while it is there, the way is refused; it may have gone by hand */
	undone = open ? open : live;
	target = choose(job, last->data, out);
	if (!target && out->kind == UPDATE_END)
		return;
	rollout_take_up(job, target ? target : undone, out);
	keep_undone(job, undone, open != NULL, out);
	if (jval_str(job->args, "reason", NULL))
		jval_set_str(common_data(job, out, "rollout"), "reason",
			     jval_str(job->args, "reason", ""));
	keep_target(job, target, out);
	keep_served(job, live, out);
	jval_set(common_data(job, out, "service"), "undone", json_deep_copy(undone));
	jval_set_int(common_data(job, out, "rollout"), "since_ms", now_ms);
	common_next(job, out);
}

/* --- which way --- */

static void go_anew(const struct job *job, struct update *out)
{
	json_t *service = common_data(job, out, "service");
	json_t *wanted = isvc_again(json_object_get(service, "wanted"), job->uid);

	jval_set(service, "wanted", wanted);
	(void)json_object_del(service, "before");
	(void)json_object_del(service, "undone");
	common_next(job, out);
}

static void ask_mark(const struct job *job, const char *mark, struct update *out)
{
	json_t *args = json_object();

	jval_set_str(args, "environment", rollout_environment(job));
	jval_set_str(args, "mark", mark);
	common_ask(out, EFFECT_DEPLOYMENTS_FIND, args);
}

/* Does the way that was recorded lead to the target? Not where nothing was before, and not where
 * somebody else's model was in between. */
static bool leads_to_target(const struct job *job, const json_t *undone)
{
	const json_t *before = json_object_get(undone, "before");

	return jval_bool(before, "existed", false) &&
	       (!jval_at(before, "spec") ||
		str_eq(jval_str(before, "storage_uri", ""), jval_str(job->data, "model.uri", "")));
}

/* What was open went with its service: there is nothing to take out but a second service, and the
 * records end. */
static void end_gone(const struct job *job, const json_t *undone, struct update *out)
{
	json_t *rollout = common_data(job, out, "rollout");

	keep_way_back(job, undone, out);
	jval_set_bool(rollout, "touched", true);
	jval_set_int(rollout, "of", jval_int(undone, "job", 0));
	jval_set_int(rollout, "remote_id", jval_int(undone, "remote_id", 0));
	rollout_fail(job, out, JOB_FAILED, "deploy.deleted",
		     "Somebody deleted `%s`, and deployment %" PRId64
		     ", which was open, is closed with it. `/rollback %s --to NUMBER` makes the "
		     "service anew, and `/status` shows the numbers",
		     jval_str(job->data, "rollout.service", "?"), jval_int(undone, "id", 0),
		     rollout_environment(job));
}

/* By the mark on the service: whose it is decides which way leads back. */
static void read_mark(const struct job *job, const json_t *live, struct update *out)
{
	const json_t *undone = jval_at(job->data, "service.undone");
	const char *undoes = jval_str(job->data, "rollout.undoes", ""), *mark;
	bool named = jval_int(job->args, "to", 0) != 0, ours,
	     open = jval_bool(job->data, "rollout.undoes_open", false);
	struct isvc_state state;

	isvc_read(&state, live);
	mark = state.marks.job ? state.marks.job : "";
	ours = str_eq(mark, undoes);
	if (open && isvc_is_gone(json_object_get(undone, "before"), live)) {
		end_gone(job, undone, out);
		return;
	}
	if (!live && !named) {
		common_end(
			out, JOB_FAILED, "deploy.deleted",
			"somebody deleted `%s`; it is not made again silently. `/rollback %s --to "
			"NUMBER` makes it anew, and `/status` shows the numbers",
			jval_str(job->data, "rollout.service", "?"), rollout_environment(job));
		return;
	}
	if (open || (!named && ours && leads_to_target(job, undone))) {
		keep_way_back(job, undone, out);
		common_next(job, out);
	} else if (named || ours) {
		go_anew(job, out);
	} else {
		ask_mark(job, mark, out);
	}
}

void rollback_way(const struct job *job, const struct effect_result *last, int64_t now_ms,
		  struct update *out)
{

	(void)now_ms;
	if (!last) {
		rollout_ask_look(job, out);
	} else if (last->err.class) {
		common_fail(out, &last->err);
	} else if (jval_at(last->data, "seen")) {
		read_mark(job, jval_at(last->data, "live"), out);
	} else if (jval_int(last->data, "marked", 0)) {
		go_anew(job, out); /* a rollback of ours left it so */
	} else {
		common_end(
			out, JOB_FAILED, "deploy.changed",
			"somebody else changed `%s` since it was deployed, so its traffic is left "
			"alone. `/status` shows the deployments; `/rollback %s --to NUMBER` puts "
			"one "
			"of them over what is there now",
			jval_str(job->data, "rollout.service", "?"), rollout_environment(job));
	}
}
