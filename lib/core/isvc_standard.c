/* isvc_standard.c - a rollout with spec.canary, in Standard mode since KServe 0.20.
 *
 * The canary is an entry of spec.canary with a predictor of a name of its own. Promoting makes that
 * predictor the stable one under the same name, so the pods that were tested go on serving; going
 * back before that drops the entry. The marks are annotations of the predictor, not of the object:
 * those of the object are copied to the stable pods too and would restart them. Traffic is split by
 * Gateway API only; with an Ingress status shows the percentage all the same. */
#include <ctype.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc_impl.h"

enum { JOB_TAIL = 8 };

void plan_predictor_name(char out[16], const char *job)
{
	size_t len = strlen(job), at = strlen(ISVC_CANARY);

	memcpy(out, ISVC_CANARY, at);
	for (size_t i = len > JOB_TAIL ? len - JOB_TAIL : 0; i < len; i++)
		out[at++] =
			isalnum((unsigned char)job[i]) ? (char)tolower((unsigned char)job[i]) : '0';
	out[at] = '\0';
}

/* The wanted predictor under its own name, with the marks on it. */
static json_t *named_predictor(const struct plan *plan)
{
	json_t *predictor = json_deep_copy(jval_at(plan->goal->wanted, "spec.predictor"));
	json_t *marks = isvc_member(predictor, "annotations"), *value;
	const char *key;
	char name[16];

	plan_predictor_name(name, plan->goal->job);
	jval_set_str(predictor, "name", name);
	json_object_foreach(jval_at(plan->goal->wanted, "metadata.annotations"), key,
			    value) if (str_starts(key, ISVC_MARK))
		jval_set(marks, key, json_incref(value));
	/* The CRD asks for this member inside canary. */
	jval_set_str(isvc_member(predictor, "model"), "name", "");
	return predictor;
}

static json_t *canary_entry(const struct plan *plan, int percent)
{
	static const char *const scaling[] = {"maxReplicas", "scaleTarget", "scaleMetric",
					      "scaleMetricType", "autoScaling"};
	json_t *entry = json_object(), *predictor = named_predictor(plan);

	for (size_t i = 0; i < ARRAY_LEN(scaling); i++)
		(void)json_object_del(predictor, scaling[i]);
	jval_set_int(predictor, "minReplicas", 1); /* else there is no pod at 0 % */
	jval_set_int(entry, "trafficPercent", percent);
	jval_set(entry, "predictor", predictor);
	return entry;
}

static void send_canary(struct plan *plan, int percent, const char *why)
{
	json_t *patch = plan_patch(plan), *list = json_array();

	must(json_array_append_new(list, canary_entry(plan, percent)) == 0);
	jval_set(isvc_member(patch, "spec"), "canary", list);
	plan_send(plan, ISVC_PATCH, plan->live.name, patch, why);
}

static const char *canary_job(const struct plan *plan)
{
	struct isvc_marks marks = {0};

	isvc_marks_read(&marks, jval_at(plan->live.canary, "predictor.annotations"));
	return marks.job ? marks.job : "";
}

static bool is_our_canary(const struct plan *plan)
{
	return plan->live.canary && str_eq(canary_job(plan), plan->goal->job);
}

static bool is_our_status(const struct plan *plan)
{
	char name[16];

	plan_predictor_name(name, plan->goal->job);
	return str_eq(jval_str(plan->live.canary_status, "name", ""), name);
}

/* True when KServe shows our canary ready; else the move is filled. */
static bool is_canary_ready(struct plan *plan)
{
	const json_t *model = jval_at(plan->live.canary_status, "modelStatus");
	const char *move = jval_str(model, "transitionStatus", "UpToDate");
	AUTO_BUF struct buf cause = buf_make(600);
	bool ready = false;

	isvc_cause(&cause, plan->look->live);
	if (!is_our_status(plan))
		plan_wait(plan, "KServe has not begun to start the canary yet.");
	else if (str_eq(move, "BlockedByFailedLoad") || str_eq(move, "InvalidSpec"))
		plan_fail(plan, "deploy.model_failed", "The new model does not start: %.400s",
			  cause.len ? buf_text(&cause) : "KServe does not say why");
	else if (!jval_bool(plan->live.canary_status, "ready", false) || !str_eq(move, "UpToDate"))
		plan_wait(plan, "The new model is starting%s%.400s.", cause.len ? ": " : "",
			  buf_text(&cause));
	else
		ready = true;
	return ready;
}

/* --- new model at 0 % --- */

static void stage_anew(struct plan *plan)
{
	if (*plan_before(plan, "tested") || plan_before_int(plan, "our_generation"))
		plan_fail(plan, "deploy.changed", "Somebody took the canary out of %s.",
			  plan->live.name);
	else if (!str_eq(canary_job(plan), plan_before(plan, "canary_job")))
		plan_fail(plan, "deploy.changed", "Somebody else put a canary into %s meanwhile.",
			  plan->live.name);
	else if (plan_untouched(plan))
		send_canary(plan, 0, "Adding the new model as a canary at 0 %.");
}

static void stage(struct plan *plan)
{
	char name[16];

	if (!is_our_canary(plan)) {
		stage_anew(plan);
		return;
	}
	if (!plan_still_ours(plan, isvc_storage_uri(jval_at(plan->live.canary, "predictor")),
			     false))
		return;
	if (jval_int(plan->live.canary, "trafficPercent", 0) != 0) {
		plan_fail(plan, "deploy.changed",
			  "Somebody gave the canary traffic before it was tested.");
		return;
	}
	plan_note_int(plan, "our_generation", plan->live.generation);
	if (!is_canary_ready(plan))
		return;
	plan_predictor_name(name, plan->goal->job);
	plan_note(plan, "tested", name);
	plan_done(plan, "The canary is ready at 0 %%.");
}

/* --- steps --- */

void plan_send_promotion(struct plan *plan)
{
	AUTO_JSON json_t *target = json_object();
	json_t *spec = json_deep_copy(jval_at(plan->goal->wanted, "spec")), *patch;
	AUTO_BUF struct buf stamp = buf_make(1024);

	jval_set(spec, "predictor", named_predictor(plan));
	jval_set(target, "spec", spec);
	patch = isvc_patch(plan->look->live, target); /* also drops spec.canary */
	jval_set_str(isvc_member(patch, "metadata"), "resourceVersion",
		     plan->live.resource_version);
	isvc_stamp(&stamp, plan->look->live);
	plan_note(plan, "promotion_stamp", buf_text(&stamp));
	plan_send(plan, ISVC_PATCH, plan->live.name, patch, "Giving the new model all traffic.");
}

static void check_promoted(struct plan *plan)
{
	if (!plan_still_ours(plan, plan->live.storage_uri, true))
		return;
	if (plan->goal->percent != 100)
		plan_fail(plan, "deploy.changed", "Somebody gave the new model all traffic.");
	else if (plan->live.canary)
		plan_fail(plan, "deploy.changed", "Somebody added a canary to %s.",
			  plan->live.name);
	else if (is_our_status(plan))
		plan_wait(plan, "KServe has not yet taken the new model as the stable one.");
	else if (plan_is_ready(plan, &plan->live, plan->look->live, "", "")) {
		plan_note_int(plan, "our_generation", plan->live.generation);
		plan_done(plan, "The new model gets 100 %% of the traffic.");
	}
}

static void shift_canary(struct plan *plan)
{
	int64_t percent = jval_int(plan->live.canary, "trafficPercent", 0);
	int wanted = plan->goal->percent;

	if (!plan_still_ours(plan, isvc_storage_uri(jval_at(plan->live.canary, "predictor")),
			     percent == wanted) ||
	    !is_canary_ready(plan))
		return;
	if (percent > wanted || (percent != wanted && plan->goal->phase == ISVC_CHECK))
		plan_fail(plan, "deploy.changed",
			  "Somebody set the traffic of the canary to %d %% instead of %d %%.",
			  (int)percent, wanted);
	else if (wanted == 100)
		plan_send_promotion(plan);
	else if (percent != wanted)
		send_canary(plan, wanted, "Moving traffic to the new model.");
	else if (jval_int(plan->live.canary_status, "trafficPercent", 0) != wanted)
		plan_wait(plan, "Traffic is being moved to the new model.");
	else {
		plan_note_int(plan, "our_generation", plan->live.generation);
		plan_done(plan, "The new model gets %d %% of the traffic.", wanted);
	}
}

static void shift(struct plan *plan)
{
	if (plan_is_ours(plan))
		check_promoted(plan);
	else if (!is_our_canary(plan) || !*plan_before(plan, "tested"))
		plan_fail(plan, "deploy.changed", "The tested canary is not in %s any more.",
			  plan->live.name);
	else
		shift_canary(plan);
}

/* --- back --- */

static void restore(struct plan *plan)
{
	const char *job = plan->live.marks.job ? plan->live.marks.job : "";
	json_t *patch;

	if (plan_is_ours(plan)) {
		AUTO_BUF struct buf stamp = buf_make(1024);

		isvc_stamp(&stamp, plan->look->live);
		plan_note(plan, "restore_stamp", buf_text(&stamp));
		plan_send_before(plan);
	} else if (!str_eq(job, plan_before(plan, "job")) ||
		   !str_eq(plan->live.storage_uri, plan_before(plan, "storage_uri"))) {
		plan_fail(plan, "deploy.changed",
			  "Somebody else changed %s meanwhile, so it is left alone.",
			  plan->live.name);
	} else if (is_our_canary(plan)) {
		patch = plan_patch(plan);
		jval_set(isvc_member(patch, "spec"), "canary", json_null());
		plan_send(plan, ISVC_PATCH, plan->live.name, patch, "Taking the canary out.");
	} else if (is_our_status(plan)) {
		plan_wait(plan, "The canary is being taken out.");
	} else if (!*plan_before(plan, "restore_stamp")) {
		plan_done(plan, "All traffic is at the model from before.");
	} else if (plan_is_ready(plan, &plan->live, plan->look->live, "",
				 plan_before(plan, "restore_stamp"))) {
		plan_done(plan, "All traffic is back at the model from before.");
	}
}

void plan_standard(struct plan *plan)
{
	if (!plan_guard(plan))
		return;
	if (plan->goal->phase == ISVC_RESTORE)
		restore(plan);
	else if (plan->goal->phase != ISVC_STAGE)
		shift(plan);
	else if (plan_is_ours(plan))
		plan_done(plan, "The new model is in place already.");
	else
		stage(plan);
}
