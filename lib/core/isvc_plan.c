/* isvc_plan.c - the planner: which way, first versions, and nothing to do.
 *
 * A reconciler: each call compares what is wanted with what is there and says one thing. */
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc_impl.h"

/* --- nothing to do --- */

static void plan_none(struct plan *plan)
{
	if (!plan_guard(plan))
		return;
	if (plan->goal->phase == ISVC_RESTORE)
		plan_done(plan, "Nothing was changed.");
	else if (plan_untouched(plan))
		plan_done(plan, "This model is live already.");
}

/* --- the first version --- */

static bool is_known(const struct plan *plan)
{
	return plan_existed(plan) || *plan_before(plan, "made_uid");
}

static void restore_first(struct plan *plan)
{
	if (plan_existed(plan))
		plan_done(plan, "Nothing served before, so there is nothing to go back to.");
	else if (!plan->look->live)
		plan_done(plan, "The service is gone, as it was before.");
	else if (!plan_is_ours(plan))
		plan_fail(plan, "deploy.changed", "%s belongs to somebody else now.",
			  plan->live.name);
	else if (plan->live.deleting)
		plan_wait(plan, "%s is being deleted.", plan->live.name);
	else
		plan_delete(plan, &plan->live, "Deleting the service: there was none before.");
}

static void send_first(struct plan *plan)
{
	json_t *object;

	if (plan->look->live) {
		if (plan_untouched(plan))
			plan_send_wanted(plan, -1, "Sending the first version.");
		return;
	}
	object = json_deep_copy(plan->goal->wanted);
	plan_send(plan, ISVC_CREATE, jval_str(object, "metadata.name", ""), object,
		  "Making the service with its first version.");
}

static void plan_first(struct plan *plan)
{
	const char *stamp = plan_before(plan, "stamp");

	if (plan->goal->phase == ISVC_RESTORE) {
		restore_first(plan);
		return;
	}
	if (!plan_guard(plan))
		return;
	if (!plan_is_ours(plan)) {
		if (plan->goal->phase == ISVC_STAGE)
			send_first(plan);
		else
			plan_fail(plan, "deploy.changed", "Somebody changed the service.");
		return;
	}
	if (!plan_still_ours(plan, plan->live.storage_uri, false))
		return;
	if (!is_known(plan))
		plan_note(plan, "made_uid", plan->live.uid);
	plan_note_int(plan, "our_generation", plan->live.generation);
	if (!plan_is_ready(plan, &plan->live, plan->look->live, plan_before(plan, "created"),
			   stamp))
		return;
	if (isvc_is_knative(&plan->live) && isvc_share(&plan->live, plan->live.created) != 100) {
		plan_wait(plan, "The first version is ready; traffic is being turned on.");
		return;
	}
	plan_note(plan, "tested", plan->live.created);
	plan_done(plan, "The first version serves all traffic; there was none to compare it with.");
}

/* --- all --- */

static enum isvc_way way_of(const json_t *before)
{
	const char *name = jval_str(before, "way", "");

	for (int way = ISVC_WAY_NONE; way <= ISVC_WAY_SECOND; way++)
		if (str_eq(name, isvc_way_name((enum isvc_way)way)))
			return (enum isvc_way)way;
	return ISVC_WAY_NONE;
}

void isvc_plan(const struct isvc_goal *goal, const struct isvc_look *look, struct isvc_move *out)
{
	static void (*const planners[])(struct plan * plan) = {
		[ISVC_WAY_NONE] = plan_none,	   [ISVC_WAY_FIRST] = plan_first,
		[ISVC_WAY_KNATIVE] = plan_knative, [ISVC_WAY_STANDARD_CANARY] = plan_standard,
		[ISVC_WAY_SECOND] = plan_second,
	};
	struct plan plan = {.goal = goal, .look = look, .out = out};

	*out = (struct isvc_move){.kind = ISVC_FAILED};
	must(goal->job && goal->before && (goal->wanted || goal->phase == ISVC_RESTORE));
	isvc_read(&plan.live, look->live);
	isvc_read(&plan.second, look->second);
	planners[way_of(goal->before)](&plan);
}

bool isvc_plan_last(const struct isvc_goal *goal, const struct isvc_look *look,
		    struct isvc_move *out)
{
	enum isvc_way way = way_of(goal->before);
	struct plan plan = {.goal = goal, .look = look, .out = out};

	*out = (struct isvc_move){.kind = ISVC_FAILED};
	isvc_read(&plan.live, look->live);
	isvc_read(&plan.second, look->second);
	if (way == ISVC_WAY_STANDARD_CANARY)
		plan_send_promotion(&plan);
	else if (way == ISVC_WAY_SECOND && look->live)
		plan_send_wanted(&plan, -1, "Putting the tested model in place.");
	else if (way == ISVC_WAY_SECOND)
		send_first(&plan);
	return out->kind == ISVC_SEND;
}
