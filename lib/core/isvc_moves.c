/* isvc_moves.c - what the planners of all ways are made of: words, notes, guards, readiness, and
 * the requests that they send.
 *
 * What was sent before a crash is recognised by the mark in the object, never by memory. Two notes
 * are kept beside the object, because it cannot tell them: the generation that our own change made
 * (so that a later change by somebody else is seen) and the revision that was tested (so that no
 * other gets traffic). A request carries the resourceVersion of the object it was planned from. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc_impl.h"

/* --- words --- */

void isvc_move_dispose(struct isvc_move *move)
{
	jval_drop(&move->request.body);
	jval_drop(&move->note);
}

static void say(struct plan *plan, enum isvc_move_kind kind, const char *code, const char *fmt,
		va_list args) __attribute__((format(printf, 4, 0)));
static void say(struct plan *plan, enum isvc_move_kind kind, const char *code, const char *fmt,
		va_list args)
{
	plan->out->kind = kind;
	str_copy(plan->out->code, sizeof plan->out->code, code);
	(void)vsnprintf(plan->out->why, sizeof plan->out->why, fmt, args);
	plan->out->why[str_utf8_cut(plan->out->why, strlen(plan->out->why))] = '\0';
}

void plan_done(struct plan *plan, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(plan, ISVC_DONE, "", fmt, args);
	va_end(args);
}

void plan_wait(struct plan *plan, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(plan, ISVC_WAIT, "", fmt, args);
	va_end(args);
}

void plan_fail(struct plan *plan, const char *code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(plan, ISVC_FAILED, code, fmt, args);
	va_end(args);
}

void plan_send(struct plan *plan, enum isvc_verb verb, const char *name, json_t *take_body,
	       const char *why)
{
	struct isvc_request *request = &plan->out->request;

	if (!str_copy(request->name, sizeof request->name, name)) {
		json_decref(take_body);
		plan_fail(plan, "deploy.changed", "The service has a name that is too long.");
		return;
	}
	request->verb = verb;
	request->body = take_body;
	plan->out->kind = ISVC_SEND;
	plan->out->code[0] =
		'\0'; /* a failure that leaves something to clear away waits for that */
	str_copy(plan->out->why, sizeof plan->out->why, why);
}

/* --- memory --- */

const char *plan_before(const struct plan *plan, const char *key)
{
	return jval_str(plan->goal->before, key, "");
}

int64_t plan_before_int(const struct plan *plan, const char *key)
{
	return jval_int(plan->goal->before, key, 0);
}

bool plan_existed(const struct plan *plan)
{
	return jval_bool(plan->goal->before, "existed", false);
}

static json_t *note_of(struct plan *plan)
{
	if (!plan->out->note)
		plan->out->note = json_object();
	return plan->out->note;
}

void plan_note(struct plan *plan, const char *key, const char *text)
{
	if (!str_eq(plan_before(plan, key), text))
		jval_set_str(note_of(plan), key, text);
}

void plan_note_int(struct plan *plan, const char *key, int64_t number)
{
	if (plan_before_int(plan, key) != number)
		jval_set_int(note_of(plan), key, number);
}

void isvc_note(json_t *before, const json_t *note)
{
	if (note)
		must(json_object_update(before, (json_t *)(uintptr_t)note) == 0);
}

/* --- guards --- */

bool plan_is_ours(const struct plan *plan)
{
	return plan->look->live && str_eq(plan->live.marks.job, plan->goal->job);
}

/* A holder of the lock after us has put its mark there. */
static bool is_overtaken(const struct plan *plan)
{
	const char *ours = isvc_annotation(plan->goal->wanted, ISVC_MARK "fence");
	int64_t mine, theirs;

	return ours && str_to_int64(&mine, ours) && plan->live.marks.fence &&
	       str_to_int64(&theirs, plan->live.marks.fence) && theirs > mine;
}

bool plan_guard(struct plan *plan)
{
	const char *uid =
		plan_existed(plan) ? plan_before(plan, "uid") : plan_before(plan, "made_uid");
	const char *name = plan->live.name;

	if (!plan->look->live && *uid)
		plan_fail(plan, "deploy.deleted",
			  "Somebody deleted the InferenceService meanwhile; it is not made again.");
	else if (plan->look->live && *uid && !str_eq(uid, plan->live.uid))
		plan_fail(plan, "deploy.deleted",
			  "Somebody deleted %s meanwhile and made another of that name.", name);
	else if (plan->look->live && !*uid && !plan_is_ours(plan))
		plan_fail(plan, "deploy.changed", "Somebody else made %s meanwhile.", name);
	else if (plan->live.deleting)
		plan_fail(plan, "deploy.deleted", "%s is being deleted.", name);
	else if (plan->live.stopped)
		plan_fail(plan, "deploy.stopped", "Somebody stopped %s (annotation %s).", name,
			  ISVC_STOP);
	else if (plan->look->live && is_overtaken(plan))
		plan_fail(plan, "deploy.changed", "A newer job (%.40s) has changed %s.",
			  plan->live.marks.job ? plan->live.marks.job : "", name);
	else
		return true;
	return false;
}

bool plan_untouched(struct plan *plan)
{
	const char *job = plan->live.marks.job ? plan->live.marks.job : "";

	if (plan->live.generation == plan_before_int(plan, "generation") &&
	    str_eq(job, plan_before(plan, "job")))
		return true;
	plan_fail(
		plan, "deploy.changed",
		"Somebody changed %s after it was looked at and before anything was sent: give the "
		"command again.",
		plan->live.name);
	return false;
}

bool plan_still_ours(struct plan *plan, const char *storage_uri, bool arrived)
{
	const char *wanted = isvc_storage_uri(jval_at(plan->goal->wanted, "spec.predictor"));
	int64_t known = plan_before_int(plan, "our_generation");

	if (!str_eq(storage_uri, wanted))
		plan_fail(plan, "deploy.changed",
			  "Somebody put another model into %s in the middle of the rollout.",
			  plan->live.name);
	else if (known && plan->live.generation != known &&
		 !(arrived && plan->goal->phase == ISVC_SHIFT &&
		   plan->live.generation == known + 1))
		plan_fail(plan, "deploy.changed",
			  "Somebody changed %s in the middle of the rollout.", plan->live.name);
	else
		return true;
	return false;
}

/* --- ready? --- */

static void fail_with_cause(struct plan *plan, const char *code, const char *what,
			    const json_t *object)
{
	AUTO_BUF struct buf cause = buf_make(600);

	isvc_cause(&cause, object);
	plan_fail(plan, code, "%s: %.400s", what,
		  cause.len ? buf_text(&cause) : "KServe does not say why");
}

/* Something failed for good, and it is not what had failed before already. */
static bool has_failed(struct plan *plan, const json_t *object, const char *revision)
{
	AUTO_BUF struct buf failure = buf_make(4096);
	bool is_new;

	isvc_failure(&failure, object, revision);
	is_new = failure.len && (object != plan->look->live ||
				 !str_eq(buf_text(&failure), plan_before(plan, "failure")));
	if (is_new)
		fail_with_cause(plan, "deploy.model_failed", "The new model does not start",
				object);
	return is_new;
}

static void wait_with_cause(struct plan *plan, const char *what, const json_t *object)
{
	AUTO_BUF struct buf cause = buf_make(600);

	isvc_cause(&cause, object);
	plan_wait(plan, "%s%s%.400s.", what, cause.len ? ": " : "", buf_text(&cause));
}

static bool is_settled(const struct isvc_state *state)
{
	return state->ready == ISVC_READY &&
	       (state->load == ISVC_LOAD_NONE || state->load == ISVC_LOAD_DONE);
}

static bool is_old_stamp(const json_t *object, const char *stamp)
{
	AUTO_BUF struct buf now = buf_make(1024);
	bool is_old;

	isvc_stamp(&now, object);
	is_old = *stamp && str_eq(buf_text(&now), stamp);
	return is_old;
}

bool plan_is_ready(struct plan *plan, const struct isvc_state *state, const json_t *object,
		   const char *before, const char *stamp)
{
	bool knative = isvc_is_knative(state);

	if (knative && (!*state->created || str_eq(state->created, before)))
		plan_wait(plan, "KServe has not made a revision of the new model yet.");
	else if (!knative && is_old_stamp(object, stamp))
		plan_wait(plan, "KServe has not begun to start the new model yet.");
	else if (has_failed(plan, object, state->created))
		return false;
	else if (knative && !str_eq(state->ready_revision, state->created))
		wait_with_cause(plan, "The new model is starting", object);
	else if (!is_settled(state))
		wait_with_cause(plan, "The new model is being loaded", object);
	else
		return true;
	return false;
}

/* --- requests --- */

json_t *plan_patch(const struct plan *plan)
{
	json_t *patch = json_object(), *metadata = json_object();

	jval_set_str(metadata, "resourceVersion", plan->live.resource_version);
	jval_set(patch, "metadata", metadata);
	return patch;
}

void plan_set_percent(json_t *patch, int percent)
{
	json_t *predictor = isvc_member(isvc_member(patch, "spec"), "predictor");

	jval_set(predictor, "canaryTrafficPercent",
		 percent < 0 ? json_null() : json_integer(percent));
}

/* KServe lets a predictor's name change only together with its model. */
static void keep_name(const struct plan *plan, json_t *patch)
{
	json_t *predictor = jval_at(patch, "spec.predictor");

	if (!jval_at(predictor, "model.storageUri") &&
	    str_starts(jval_str(plan->look->live, "spec.predictor.name", ""), ISVC_CANARY))
		(void)json_object_del(predictor, "name");
}

void plan_send_wanted(struct plan *plan, int percent, const char *why)
{
	json_t *patch = isvc_patch(plan->look->live, plan->goal->wanted);

	keep_name(plan, patch);
	jval_set_str(isvc_member(patch, "metadata"), "resourceVersion",
		     plan->live.resource_version);
	if (percent >= 0 || plan->live.percent >= 0)
		plan_set_percent(patch, percent);
	plan_send(plan, ISVC_PATCH, plan->live.name, patch, why);
}

void plan_send_before(struct plan *plan)
{
	json_t *spec = json_object_get(plan->goal->before, "spec");
	AUTO_JSON json_t *old = json_object();
	json_t *patch, *metadata;

	if (!spec) {
		plan_fail(
			plan, "deploy.cannot_restore",
			"What %s served before is not what its spec said then, and KServe does not "
			"lead back to it by itself: deploy a model that is known to be good.",
			plan->live.name);
		return;
	}
	jval_set(old, "spec", json_incref(spec));
	patch = isvc_patch(plan->look->live, old);
	metadata = isvc_member(patch, "metadata");
	jval_set_str(metadata, "resourceVersion", plan->live.resource_version);
	jval_set(metadata, "annotations",
		 json_deep_copy(json_object_get(plan->goal->before, "annotations")));
	jval_set(metadata, "labels", json_deep_copy(json_object_get(plan->goal->before, "labels")));
	if (plan->live.percent >= 0)
		plan_set_percent(patch, -1);
	plan_send(plan, ISVC_PATCH, plan->live.name, patch, "Putting back what was served before.");
}

void plan_delete(struct plan *plan, const struct isvc_state *state, const char *why)
{
	json_t *options = json_object(), *preconditions = json_object();

	jval_set_str(options, "apiVersion", "v1");
	jval_set_str(options, "kind", "DeleteOptions");
	jval_set_str(options, "propagationPolicy", "Background");
	jval_set_str(preconditions, "uid", state->uid);
	jval_set(options, "preconditions", preconditions);
	plan_send(plan, ISVC_DELETE, state->name, options, why);
}
