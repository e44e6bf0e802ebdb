/* isvc_knative.c - a rollout with canaryTrafficPercent.
 *
 * KServe (reconcilers/knative/ksvc_reconciler.go) gives `canaryTrafficPercent` to the latest ready
 * revision and the rest to the latest rolled-out one. A change of the template or of an annotation
 * makes a revision, a change of the percentage does not. Setting 0 without a new revision, while
 * the latest is the rolled-out one, sends all traffic to the revision before: that is how a
 * promoted model is rolled back, and it takes KServe two passes. It is also why 0 is only ever sent
 * together with a new mark, or when going back is what is wanted. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc_impl.h"

enum { BACK_SENT = 1, BACK_SEEN = 2 };

static int percent_of(const struct plan *plan)
{
	return plan->live.percent < 0 ? 100 : plan->live.percent;
}

/* Traffic as status shows it. */
static bool is_split(const struct plan *plan, const char *revision, int percent)
{
	if (isvc_share(&plan->live, revision) != percent)
		return false;
	if (percent == 100)
		return str_eq(plan->live.rolledout, revision);
	return isvc_share(&plan->live, plan_before(plan, "rolledout")) == 100 - percent;
}

static void send_percent(struct plan *plan, int percent, const char *why)
{
	json_t *patch = plan_patch(plan);

	plan_set_percent(patch, percent);
	plan_send(plan, ISVC_PATCH, plan->live.name, patch, why);
}

/* --- new model at 0 % --- */

static void stage(struct plan *plan)
{
	if (!plan_is_ours(plan)) {
		if (plan_untouched(plan))
			plan_send_wanted(plan, 0, "Sending the new model at 0 %.");
		return;
	}
	if (!plan_still_ours(plan, plan->live.storage_uri, false))
		return;
	if (percent_of(plan) != 0) {
		plan_fail(plan, "deploy.changed",
			  "Somebody gave the new model %d %% of the traffic before it was tested.",
			  percent_of(plan));
		return;
	}
	plan_note_int(plan, "our_generation", plan->live.generation);
	if (!plan_is_ready(plan, &plan->live, plan->look->live, plan_before(plan, "created"), ""))
		return;
	if (!is_split(plan, plan->live.created, 0)) {
		plan_wait(plan, "The new model is ready; its address at 0 %% is being made.");
		return;
	}
	plan_note(plan, "tested", plan->live.created);
	plan_done(plan, "Revision %.100s is ready at 0 %%.", plan->live.created);
}

/* --- steps --- */

/* True when the tested revision may get traffic; else the move is filled. */
static bool is_movable(struct plan *plan)
{
	const char *tested = plan_before(plan, "tested");
	int percent = percent_of(plan);

	if (!plan_is_ours(plan)) {
		plan_fail(plan, "deploy.changed",
			  "%s has no mark of this job any more: somebody else changed it.",
			  plan->live.name);
		return false;
	}
	if (!plan_still_ours(plan, plan->live.storage_uri, percent == plan->goal->percent))
		return false;
	if (!*tested || !str_eq(tested, plan->live.created)) {
		plan_fail(plan, "deploy.changed",
			  "There is a newer revision (%.100s) than the tested one (%.100s).",
			  plan->live.created, tested);
		return false;
	}
	return true;
}

static void shift(struct plan *plan)
{
	const char *tested = plan_before(plan, "tested");
	int percent = percent_of(plan), wanted = plan->goal->percent;

	if (!is_movable(plan))
		return;
	if (percent != wanted && (percent > wanted || plan->goal->phase == ISVC_CHECK)) {
		plan_fail(plan, "deploy.changed",
			  "Somebody set the traffic of the new model to %d %% instead of %d %%.",
			  percent, wanted);
		return;
	}
	if (!plan_is_ready(plan, &plan->live, plan->look->live, plan_before(plan, "created"), ""))
		return;
	if (percent != wanted) {
		send_percent(plan, wanted, "Moving traffic to the new model.");
		return;
	}
	if (!is_split(plan, tested, wanted)) {
		plan_wait(plan, "Traffic is being moved: %d of %d %%.",
			  isvc_share(&plan->live, tested), wanted);
		return;
	}
	plan_note_int(plan, "our_generation", plan->live.generation);
	plan_done(plan, "The new model gets %d %% of the traffic.", wanted);
}

/* --- back --- */

/* Our mark is gone: either we never sent anything, or what was before has been put back. */
static void restore_unmarked(struct plan *plan)
{
	const char *old = plan_before(plan, "rolledout");
	const char *job = plan->live.marks.job ? plan->live.marks.job : "";

	if (!str_eq(job, plan_before(plan, "job")) ||
	    !str_eq(plan->live.storage_uri, plan_before(plan, "storage_uri")))
		plan_fail(plan, "deploy.changed",
			  "Somebody else changed %s meanwhile, so its traffic is left alone.",
			  plan->live.name);
	else if (str_eq(plan->live.rolledout, old) && isvc_share(&plan->live, old) == 100)
		plan_done(plan, "All traffic is at revision %.100s.", old);
	else if (!plan_is_ready(plan, &plan->live, plan->look->live, plan_before(plan, "promoted"),
				""))
		return;
	else if (!str_eq(plan->live.rolledout, plan->live.created) ||
		 isvc_share(&plan->live, plan->live.created) != 100)
		plan_wait(plan, "The model from before is ready; traffic is being moved to it.");
	else
		plan_done(plan, "All traffic is at the model from before, as revision %.100s.",
			  plan->live.created);
}

static void restore_ours(struct plan *plan)
{
	const char *old = plan_before(plan, "rolledout");
	bool leads_back = str_eq(plan->live.rolledout, old) ||
			  (str_eq(plan->live.rolledout, plan->live.created) &&
			   str_eq(plan->live.previous, old));

	if (!leads_back) {
		plan_note(plan, "promoted", plan->live.created);
		plan_send_before(plan);
	} else if (plan->live.percent != 0) {
		plan_note_int(plan, "back", BACK_SENT);
		send_percent(plan, 0, "Moving all traffic back to the model from before.");
	} else if (!str_eq(plan->live.rolledout, old) || isvc_share(&plan->live, old) != 100) {
		plan_wait(plan,
			  "Traffic is going back to revision %.100s, which takes KServe two "
			  "passes.",
			  old);
	} else if (plan_before_int(plan, "back") == BACK_SENT) {
		/* Status may be from before the last step of the rollout: look once more. */
		plan_note_int(plan, "back", BACK_SEEN);
		plan_wait(plan, "All traffic seems to be back; looking once more.");
	} else {
		plan_done(plan, "All traffic is back at revision %.100s.", old);
	}
}

void plan_knative(struct plan *plan)
{
	if (!plan_guard(plan))
		return;
	if (plan->goal->phase == ISVC_STAGE)
		stage(plan);
	else if (plan->goal->phase != ISVC_RESTORE)
		shift(plan);
	else if (plan_is_ours(plan))
		restore_ours(plan);
	else
		restore_unmarked(plan);
}
