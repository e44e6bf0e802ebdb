/* promote.c - /promote: a deployment that was left open with a share of the traffic, further up or
 * to its end.
 *
 * It goes on with the rollout of another job: the objects carry that job's mark, the record is that
 * job's, and the commit is that of the deployment, never the present head. At 100 % it ends as
 * /deploy would have, so with the merge of that commit unless that deploy said --no-merge. Until
 * something is changed, every refusal leaves the deployment as it was; from then on a failure takes
 * the new model out, as with /deploy. */
#include <inttypes.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/rollout_steps.h"

/* --- which deployment --- */

static void refuse_nothing(const struct job *job, const json_t *live, struct update *out)
{
	if (live)
		common_end(out, JOB_FAILED, "promote.nothing",
			   "nothing is open in %s: deployment %" PRId64
			   ", the model of `%.7s` of pull request %" PRId64 ", has all the traffic",
			   rollout_environment(job), jval_int(live, "id", 0),
			   jval_str(live, "sha", "?"), jval_int(live, "pr", 0));
	else
		common_end(out, JOB_FAILED, "promote.nothing",
			   "nothing is open in %s: nothing was deployed there",
			   rollout_environment(job));
}

/* True when the deployment may be brought to this percent from here; else the update is filled. */
static bool may_promote(const struct job *job, const json_t *open, int64_t to, struct update *out)
{
	const char *environment = rollout_environment(job), *sha = jval_str(open, "sha", "?");
	int64_t pr = jval_int(open, "pr", 0), percent = jval_int(open, "percent", 0);

	if (pr != job->pr)
		common_end(out, JOB_FAILED, "promote.other_pull",
			   "what is open in %s is the model of `%.7s` of pull request %" PRId64
			   ": give the command there",
			   environment, sha, pr);
	else if (to < 1 || to > 100)
		common_end(out, JOB_FAILED, "promote.percent",
			   "`--to` must be a percent of the traffic from 1 to 100");
	else if (to < 100 &&
		 str_eq(jval_str(open, "before.way", ""), isvc_way_name(ISVC_WAY_SECOND)))
		common_end(
			out, JOB_FAILED, "promote.no_split",
			"KServe cannot split traffic here: the new model waits in a second service "
			"and gets all of it or none. `/promote %s` puts it in place",
			environment);
	else if (to <= percent)
		common_end(out, JOB_FAILED, "promote.not_above",
			   "the model of `%.7s` has %" PRId64
			   " %% of the traffic already. `/promote %s` gives it all, `/rollback %s` "
			   "takes it out",
			   sha, percent, environment, environment);
	else
		return true;
	return false;
}

static void keep_target(const struct job *job, const json_t *found, int64_t to, int64_t now_ms,
			struct update *out)
{
	const json_t *open = json_object_get(found, "open");
	json_t *rollout, *percents, *service, *live = json_object_get(found, "live");

	rollout_take_up(job, open, out);
	rollout = common_data(job, out, "rollout");
	percents = json_object_get(rollout, "percents");
	must(json_array_set_new(percents, 0, json_integer(to)) == 0);
	jval_set_int(rollout, "of", jval_int(open, "job", 0));
	jval_set_str(rollout, "mark", jval_str(open, "uid", ""));
	jval_set_int(rollout, "was", jval_int(open, "percent", 0));
	jval_set_int(rollout, "remote_id", jval_int(open, "remote_id", 0));
	jval_set_int(rollout, "since_ms", now_ms);
	jval_set_bool(rollout, "merges",
		      to == 100 && jval_bool(rollout, "merges", false) &&
			      !jval_bool(job->args, "no-merge", false));
	jval_set_str(rollout, "method",
		     jval_str(job->args, "merge-method", jval_str(rollout, "method", "merge")));
	jval_set_str(common_data(job, out, "pin"), "source", "kept");
	service = common_data(job, out, "service");
	if (live) {
		json_t *served = json_object();

		jval_set_str(served, "sha", jval_str(live, "sha", ""));
		jval_set_int(served, "pr", jval_int(live, "pr", 0));
		jval_set_int(served, "remote_id", jval_int(live, "remote_id", 0));
		jval_set(service, "served", served);
	}
}

/* Asked when the environment is ours: before that, what is open may change. */
static void decide_target(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	int64_t to = jval_int(job->args, "to", 100);
	const json_t *open;
	json_t *args;

	if (!last) {
		args = json_object();
		jval_set_str(args, "environment", rollout_environment(job));
		common_ask(out, EFFECT_DEPLOYMENTS_FIND, args);
		return;
	}
	open = json_object_get(last->data, "open");
	if (!open) {
		refuse_nothing(job, json_object_get(last->data, "live"), out);
	} else if (may_promote(job, open, to, out)) {
		keep_target(job, last->data, to, now_ms, out);
		common_next(job, out);
	}
}

/* --- may it be merged --- */

/* GitHub's answer before the gates see it: the commit is given by what is open, so a head that
 * moved is no question of which one was meant. True when the update is filled. */
static bool settles_head(const struct job *job, const json_t *facts, struct update *out)
{
	const char *head = jval_str(facts, "head_sha", "");
	json_t *rollout;

	if (jval_bool(job->data, "rollout.merges", false) && !str_eq(head, job->head_sha)) {
		common_end(
			out, JOB_FAILED, "promote.head_moved",
			"the head of this pull request is `%.7s` now, and a merge would take more "
			"than what was tried, `%.7s`. `/promote %s --no-merge` goes on without it; "
			"or `/rollback %s`, then `/build_run` and `/deploy %s` for the new head",
			head, job->head_sha, rollout_environment(job), rollout_environment(job),
			rollout_environment(job));
		return true;
	}
	if (jval_bool(facts, "merged", false)) {
		rollout = common_data(job, out, "rollout");
		jval_set_bool(rollout, "merges", false);
		jval_set_bool(rollout, "merged_already", true);
	}
	return false;
}

static void decide_again(const struct job *job, const struct effect_result *last, int64_t now_ms,
			 struct update *out)
{
	if (last && !last->err.class && settles_head(job, last->data, out))
		return;
	rollout_again(job, last, now_ms, out);
}

/* --- is it as it was left --- */

/* With its service it went; what was open is closed, here and at GitHub. */
static void end_gone(const struct job *job, const struct isvc_move *move, struct update *out)
{
	jval_set_bool(common_data(job, out, "rollout"), "touched", true);
	rollout_fail(job, out, JOB_FAILED, move->code,
		     "%s Deployment %" PRId64 ", which was open, is closed with it", move->why,
		     jval_int(job->data, "rollout.deployment", 0));
}

static void end_not_as_left(const struct isvc_move *move, struct update *out)
{
	common_end(out, JOB_FAILED, move->kind == ISVC_WAIT ? "deploy.not_ready" : move->code,
		   "%s Nothing was changed by this command", move->why);
}

/* Read back before anything is sent: the share that the new model has, by what KServe reports. */
static void decide_check(const struct job *job, const struct effect_result *last, int64_t now_ms,
			 struct update *out)
{
	int was = (int)jval_int(job->data, "rollout.was", 0);
	bool late = rollout_is_late(job, now_ms);
	AUTO_FREE char *text = str_printf("%d %%", was);
	struct isvc_move move = {0};

	if (!last) {
		rollout_ask_look(job, out);
		return;
	}
	if (last->err.class) {
		common_fail(out, &last->err);
		return;
	}
	rollout_plan(job, last, ISVC_CHECK, was, out, &move);
	if (move.kind == ISVC_DONE) {
		jval_set_int(common_data(job, out, "rollout"), "since_ms", now_ms);
		common_part(job, out, "traffic", PART_RUNNING, now_ms, text);
		common_next(job, out);
	} else if (move.kind == ISVC_WAIT && !late) {
		common_wait(out, WAIT_NONE, NULL, rollout_next_look(job, now_ms));
	} else if (str_eq(move.code, "deploy.deleted")) {
		end_gone(job, &move, out);
	} else {
		end_not_as_left(&move, out);
	}
	isvc_move_dispose(&move);
}

static const struct command_flag flags[] = {
	{"to", FLAG_INT, "50|100", "percent of the traffic; 100 when not given"},
	{"no-merge", FLAG_BOOL, NULL, "leave the pull request open"},
	{"merge-method", FLAG_NAME, "merge|squash|rebase", "how it is merged"},
	{"force", FLAG_TEXT, "REASON", "go on though the branch is behind its base"},
	{"wait-lock", FLAG_DURATION, "2h", "how long to wait in line for the environment"},
	{NULL, FLAG_BOOL, NULL, NULL},
};
static const char *const examples[] = {"/promote production", "/promote production --to 50", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	ROLLOUT_STEP("turn", "waiting for the environment", rollout_turn),
	STEP_CONFIRM,
	ROLLOUT_STEP("target", "looking for what is open", decide_target),
	ROLLOUT_STEP("model", "comparing the model's files", rollout_same_model),
	ROLLOUT_STEP("again", "checking the gates", decide_again),
	STEP_FORK_DEPLOYED("fork_deploy"),
	ROLLOUT_STEP("check", "reading the traffic", decide_check),
	ROLLOUT_SHIFT,
	ROLLOUT_FINISH,
	ROLLOUT_BACK,
	STEP_LAST,
};

const struct command command_promote = {
	.name = "promote",
	.summary = "Give a model that was left open with a share of the traffic more, or all.",
	.examples = examples,
	.flags = flags,
	.arg_name = "ENV",
	.arg_type = FLAG_NAME,
	.arg_required = true,
	.right = RIGHT_MAINTAIN,
	.on_closed = true,
	.uses = USE_DEPLOY,
	.scope = SCOPE_ENVIRONMENT,
	.rule = "deploy",
	.steps = steps,
};
