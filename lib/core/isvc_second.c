/* isvc_second.c - a rollout through a second service, <name>-canary.
 *
 * Works with every KServe and every mode, for the price of a second pod and without a split of
 * traffic: the wanted object is made under the second name, tried there, and then sent over the
 * real one in one request; the second is deleted. Going back sends what was there before. Where a
 * mode has no revisions, "KServe has worked on it" is seen by a status that is not the one from
 * before the request.
 *
 * A first version goes the same way, because KServe gives it all traffic whatever its spec says.
 * There the second service goes before the real one is made: nobody is served meanwhile, and the
 * cluster need not have room for both. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc_impl.h"

static bool is_our_second(const struct plan *plan)
{
	return plan->look->second && str_eq(plan->second.marks.job, plan->goal->job);
}

static void send_second(struct plan *plan)
{
	json_t *object = json_deep_copy(plan->goal->wanted), *labels;
	AUTO_FREE char *name = isvc_second_name(jval_str(plan->goal->wanted, "metadata.name", ""));

	if (!isvc_second_fits(jval_str(plan->goal->wanted, "metadata.name", ""))) {
		json_decref(object);
		plan_fail(
			plan, "deploy.template",
			"The name %.63s is too long to try the model in a second service: at most "
			"%d characters.",
			jval_str(plan->goal->wanted, "metadata.name", ""), ISVC_SECOND_MAX);
		return;
	}
	jval_set_str(isvc_member(object, "metadata"), "name", name);
	/* It is asked under its own name; a tag before that may make it too long for a host. */
	(void)json_object_del(isvc_member(isvc_member(object, "metadata"), "annotations"),
			      ISVC_TAG_ROUTING);
	if (!jval_bool(plan->goal->before, "second_public", false)) {
		labels = isvc_member(isvc_member(object, "metadata"), "labels");
		jval_set_str(labels, "networking.knative.dev/visibility", "cluster-local");
		jval_set_str(labels, "networking.kserve.io/visibility", "cluster-local");
	}
	plan_send(plan, ISVC_CREATE, name, object, "Making a second service with the new model.");
}

/* --- the new model in the second service --- */

static void stage_absent(struct plan *plan)
{
	if (*plan_before(plan, "second_made"))
		plan_fail(plan, "deploy.deleted",
			  "Somebody deleted the second service meanwhile; it is not made again.");
	else
		send_second(plan);
}

static void stage_ours(struct plan *plan)
{
	const char *known = plan_before(plan, "second_made");
	const char *uri = isvc_storage_uri(jval_at(plan->goal->wanted, "spec.predictor"));
	int64_t generation = plan_before_int(plan, "second_generation");

	if ((*known && !str_eq(known, plan->second.uid)) ||
	    !str_eq(plan->second.storage_uri, uri) ||
	    (generation && generation != plan->second.generation)) {
		plan_fail(plan, "deploy.changed", "Somebody changed %s meanwhile.",
			  plan->second.name);
		return;
	}
	plan_note(plan, "second_made", plan->second.uid);
	plan_note_int(plan, "second_generation", plan->second.generation);
	if (!plan_is_ready(plan, &plan->second, plan->look->second, "", ""))
		return;
	plan_note(plan, "tested", plan->second.name);
	plan_done(plan, "The new model is ready in the second service %s.", plan->second.name);
}

static void stage(struct plan *plan)
{
	if (plan_is_ours(plan))
		plan_done(plan, "The new model is in place already.");
	else if (plan->look->live && !plan_untouched(plan))
		return;
	else if (!plan->look->second)
		stage_absent(plan);
	else if (plan->second.deleting)
		plan_wait(plan, "An older %s is being deleted.", plan->second.name);
	else if (is_our_second(plan))
		stage_ours(plan);
	else if (*plan->second.uid && str_eq(plan->second.uid, plan_before(plan, "second_uid")))
		plan_delete(plan, &plan->second, "Deleting what an earlier job left.");
	else
		plan_fail(plan, "deploy.changed", "Somebody else made %s meanwhile.",
			  plan->second.name);
}

/* --- the real one --- */

static bool is_second_tested(struct plan *plan)
{
	if (*plan_before(plan, "tested") && is_our_second(plan) && !plan->second.deleting &&
	    str_eq(plan->second.uid, plan_before(plan, "second_made")) &&
	    plan->second.generation == plan_before_int(plan, "second_generation"))
		return true;
	plan_fail(plan, "deploy.changed",
		  "The second service is not the one that was tested any more.");
	return false;
}

/* Nothing serves: that the second one has passed is noted, it goes, and the real one is made. */
static void send_first(struct plan *plan)
{
	json_t *object;

	if (is_our_second(plan) && plan->second.deleting) {
		plan_wait(plan, "%s is being deleted.", plan->second.name);
	} else if (is_our_second(plan) || !*plan_before(plan, "passed")) {
		if (!is_second_tested(plan))
			return;
		plan_note(plan, "passed", plan->second.uid);
		plan_delete(plan, &plan->second,
			    "Deleting the second service: the model has passed.");
	} else {
		object = json_deep_copy(plan->goal->wanted);
		plan_send(plan, ISVC_CREATE, jval_str(object, "metadata.name", ""), object,
			  "Making the service with the tested model.");
	}
}

static void send_live(struct plan *plan)
{
	AUTO_BUF struct buf stamp = buf_make(1024);

	if (plan->goal->phase == ISVC_CHECK) {
		plan_fail(plan, "deploy.changed", "The new model is not in place.");
		return;
	}
	if (!plan->look->live) {
		send_first(plan);
		return;
	}
	if (!plan_untouched(plan) || !is_second_tested(plan))
		return;
	isvc_stamp(&stamp, plan->look->live);
	plan_note(plan, "promotion_stamp", buf_text(&stamp));
	plan_send_wanted(plan, -1, "Putting the tested model in place.");
}

static bool serves_all(struct plan *plan)
{
	const struct isvc_state *live = &plan->live;

	if (!isvc_is_knative(live) ||
	    (str_eq(live->rolledout, live->created) && isvc_share(live, live->created) == 100))
		return true;
	plan_wait(plan, "The new model is ready; traffic is being moved to it.");
	return false;
}

static void check_live(struct plan *plan)
{
	const char *stamp = plan_before(plan, "promotion_stamp");

	if (!plan_still_ours(plan, plan->live.storage_uri, false))
		return;
	if (!plan_existed(plan))
		plan_note(plan, "made_uid", plan->live.uid);
	plan_note_int(plan, "our_generation", plan->live.generation);
	if (!plan_is_ready(plan, &plan->live, plan->look->live, plan_before(plan, "created"),
			   stamp) ||
	    !serves_all(plan))
		return;
	if (plan->goal->phase == ISVC_SHIFT && is_our_second(plan) && !plan->second.deleting)
		plan_delete(plan, &plan->second, "Deleting the second service.");
	else
		plan_done(plan, "The new model serves all traffic.");
}

/* Whatever the percent, the tested model waits in the second service. */
static void wait_there(struct plan *plan)
{
	if ((!plan->look->live || plan_untouched(plan)) && is_second_tested(plan) &&
	    plan_is_ready(plan, &plan->second, plan->look->second, "", ""))
		plan_done(plan, "There are no steps between 0 and 100 %% in this way.");
}

static void shift(struct plan *plan)
{
	if (plan_is_ours(plan))
		check_live(plan);
	else if (plan->goal->percent < 100)
		wait_there(plan);
	else
		send_live(plan);
}

/* --- back --- */

/* The real service is as before; the second one goes. */
static void restore_second(struct plan *plan)
{
	if (is_our_second(plan) && !plan->second.deleting)
		plan_delete(plan, &plan->second, "Deleting the second service.");
	else if (plan_existed(plan))
		plan_done(plan, "The model from before serves all traffic.");
	else
		plan_done(plan, "Nothing serves, as before.");
}

static void restore_unmarked(struct plan *plan)
{
	const char *job = plan->live.marks.job ? plan->live.marks.job : "";
	const char *stamp = plan_before(plan, "restore_stamp");

	if (!str_eq(job, plan_before(plan, "job")) ||
	    !str_eq(plan->live.storage_uri, plan_before(plan, "storage_uri")))
		plan_fail(plan, "deploy.changed",
			  "Somebody else changed %s meanwhile, so it is left alone.",
			  plan->live.name);
	else if (!*stamp && plan->live.generation == plan_before_int(plan, "generation"))
		restore_second(plan);
	else if (plan_is_ready(plan, &plan->live, plan->look->live, plan_before(plan, "promoted"),
			       stamp) &&
		 serves_all(plan))
		restore_second(plan);
}

static void restore_ours(struct plan *plan)
{
	AUTO_BUF struct buf stamp = buf_make(1024);

	if (!plan_existed(plan)) {
		if (plan->live.deleting)
			plan_wait(plan, "%s is being deleted.", plan->live.name);
		else
			plan_delete(plan, &plan->live,
				    "Deleting the service: there was none before.");
		return;
	}
	isvc_stamp(&stamp, plan->look->live);
	plan_note(plan, "restore_stamp", buf_text(&stamp));
	plan_note(plan, "promoted", plan->live.created);
	plan_send_before(plan);
}

static void restore(struct plan *plan)
{
	if (!plan->look->live && !plan_existed(plan))
		restore_second(plan);
	else if (plan_is_ours(plan) && !plan_existed(plan))
		restore_ours(plan);
	else if (plan_guard(plan)) {
		if (plan_is_ours(plan))
			restore_ours(plan);
		else
			restore_unmarked(plan);
	}
	/* Whatever has become of the real one, ours does not stay. */
	if (plan->out->kind == ISVC_FAILED && is_our_second(plan) && !plan->second.deleting)
		plan_delete(plan, &plan->second, "Deleting the second service.");
}

void plan_second(struct plan *plan)
{
	if (plan->goal->phase == ISVC_RESTORE)
		restore(plan);
	else if (!plan_guard(plan))
		return;
	else if (plan->goal->phase == ISVC_STAGE)
		stage(plan);
	else
		shift(plan);
}
