/* rollout_act.c - see rollout.h. Taking the environment, and the new model on its way to the
 * traffic.
 *
 * The planner of lib/core/isvc.h says the next move from the objects as they are; a step here
 * looks, makes that one move and looks again. So a crash anywhere is a look more. From the first
 * move on every failure, a person's stop and the end of the time lead to the steps that take it
 * back. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/rollout.h"
#include "lib/core/markdown.h"

enum {
	TURN_LOOK_MS = 15000,
	KEPT_LOOK_MS = 600000, /* between two looks at the pull request that has the environment */
	SAMPLE_TRIES_MS = 60000, /* routes converge late */
	TEXT_MAX = 300,
};

/* --- the environment's turn --- */

/* Who is in the way: a job at work, a person's lock, another pull request. */
static void put_kept(const json_t *turn, int64_t now_ms, struct buf *out)
{
	char since[21];

	clock_rfc3339(since, jval_int(turn, "kept_at_ms", now_ms));
	buf_printf(out,
		   ", which stays with #%" PRId64 ", from which @%s deployed at %s, until that is "
		   "merged or closed",
		   jval_int(turn, "kept_pr", 0), jval_str(turn, "keeper", "?"), since);
}

static void show_place(const struct job *job, const json_t *turn, int64_t now_ms,
		       struct update *out)
{
	AUTO_BUF struct buf text = buf_make(2000);
	const char *person = jval_str(turn, "person", NULL);
	char since[6];

	buf_printf(&text, "number %" PRId64 " in line for %s", jval_int(turn, "position", 1),
		   rollout_environment(job));
	if (person) {
		clock_hhmm(since, jval_int(turn, "locked_at_ms", now_ms));
		buf_printf(&text, ", which @%s has locked since %s UTC on #%" PRId64, person, since,
			   jval_int(turn, "person_pr", 0));
		if (*jval_str(turn, "reason", "")) {
			buf_puts(&text, ": ");
			markdown_code(&text, jval_str(turn, "reason", ""), TEXT_MAX);
		}
	} else if (jval_int(turn, "job", 0)) {
		buf_printf(&text, ", which job %" PRId64 " of #%" PRId64 " has",
			   jval_int(turn, "job", 0), jval_int(turn, "pr", 0));
	} else if (jval_int(turn, "kept_pr", 0)) {
		put_kept(turn, now_ms, &text);
	}
	common_part(job, out, "turn", PART_RUNNING, now_ms, buf_text(&text));
}

static void ask_turn(const struct job *job, struct update *out)
{
	json_t *args = json_object();

	jval_set_str(args, "environment", rollout_environment(job));
	common_ask(out, EFFECT_TURN_TAKE, args);
}

/* `turn`: what has been told of the line, which is compared once more before the job is parked. */
static void ask_holder(const struct job *job, int64_t pr, const json_t *turn, struct update *out)
{
	json_t *args = json_object();

	jval_set_str(args, "environment", rollout_environment(job));
	jval_set_int(args, "pr", pr);
	if (turn)
		jval_set(args, "turn", json_deep_copy(turn));
	common_ask(out, turn ? EFFECT_HOLDER_LOOK : EFFECT_HOLDER_FREE, args);
}

/* Until the line moves; at the latest when patience, a lock or the deadline ends. */
static void wait_in_line(const struct job *job, int64_t until, int64_t now_ms, struct update *out)
{
	int64_t patience = jval_int(job->args, "wait-lock", 0), due = job->deadline_at_ms;
	int64_t since = jval_int(job->data, "rollout.since_ms", now_ms);
	AUTO_FREE char *ref =
		str_printf("env:%" PRId64 ":%s", job->repo_id, rollout_environment(job));

	if (patience)
		due = since + patience;
	if (until && until < due)
		due = until;
	common_wait(out, WAIT_TURN, ref, due > now_ms ? due : now_ms + TURN_LOOK_MS);
}

/* It may have been closed without our hearing of it: whoever is next looks. */
static void look_at_holder(const struct job *job, const struct effect_result *last, int64_t now_ms,
			   struct update *out)
{
	if (jval_bool(last->data, "open", true))
		wait_in_line(job, now_ms + KEPT_LOOK_MS, now_ms, out);
	else
		ask_holder(job, jval_int(last->data, "holder", 0), NULL, out);
}

static void is_not_held(const struct job *job, const json_t *turn, int64_t now_ms,
			struct update *out)
{
	int64_t patience = jval_int(job->args, "wait-lock", 0);
	int64_t since = jval_int(job->data, "rollout.since_ms", now_ms);

	if (patience && now_ms - since >= patience) {
		common_end(out, JOB_FAILED, "deploy.lock_held",
			   "%s was not free within `--wait-lock`; nothing was changed",
			   rollout_environment(job));
		return;
	}
	show_place(job, turn, now_ms, out);
	if (jval_int(turn, "kept_pr", 0) && jval_int(turn, "position", 0) == 1)
		ask_holder(job, jval_int(turn, "kept_pr", 0), turn, out);
	else
		wait_in_line(job, jval_int(turn, "until_ms", 0), now_ms, out);
}

void rollout_turn(const struct job *job, const struct effect_result *last, int64_t now_ms,
		  struct update *out)
{
	json_t *rollout = common_data(job, out, "rollout");

	jval_set_str(rollout, "environment", rollout_environment(job));
	jval_set_int(rollout, "since_ms", jval_int(job->data, "rollout.since_ms", now_ms));
	if (!last) {
		ask_turn(job, out);
	} else if (last->err.class) {
		common_fail(out, &last->err);
	} else if (jval_at(last->data, "holder")) {
		look_at_holder(job, last, now_ms, out);
	} else if (!jval_at(last->data, "held")) {
		ask_turn(job, out); /* what kept it has let it go */
	} else if (jval_bool(last->data, "held", false)) {
		jval_set_int(rollout, "fence", jval_int(last->data, "fence", 0));
		common_part(job, out, "turn", PART_DONE, now_ms, rollout_environment(job));
		common_next(job, out);
	} else {
		is_not_held(job, last->data, now_ms, out);
	}
}

/* --- the deployment, here and at GitHub --- */

static json_t *deployment_args(const struct job *job)
{
	static const struct {
		const char *key, *path;
	} texts[] = {
		{"environment", "rollout.environment"}, {"run_id", "run.id"},
		{"namespace", "rollout.namespace"},	{"service", "rollout.service"},
		{"storage_uri", "model.uri"},		{"model_digest", "model.digest"},
	};
	json_t *args = json_object();

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		jval_set_str(args, texts[i].key, jval_str(job->data, texts[i].path, ""));
	jval_set_int(args, "fence", jval_int(job->data, "rollout.fence", 0));
	jval_set(args, "plan", rollout_record_plan(job));
	return args;
}

/* The objects as they were before anything is touched are written down with the deployment. A model
 * that is live already, by our record, is no new deployment: going back leads to what served before
 * it. */
void rollout_begin(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	json_t *service = common_data(job, out, "service"), *args;

	(void)now_ms;
	if (last && last->err.class) {
		common_fail(out, &last->err);
	} else if (!last) {
		args = json_object();
		jval_set(args, "wanted", json_deep_copy(json_object_get(service, "wanted")));
		jval_set_str(args, "namespace", jval_str(job->data, "rollout.namespace", ""));
		jval_set_str(args, "environment", rollout_environment(job));
		jval_set_int(args, "fence", jval_int(job->data, "rollout.fence", 0));
		jval_set_bool(args, "try_first", rollout_tries_first(job));
		common_ask(out, EFFECT_SERVICE_BEFORE, args);
	} else if (jval_at(last->data, "before")) {
		jval_set(service, "before", json_incref(jval_at(last->data, "before")));
		if (jval_at(last->data, "served"))
			jval_set(service, "served", json_incref(jval_at(last->data, "served")));
		if (jval_at(last->data, "gone"))
			jval_set(service, "gone", json_incref(jval_at(last->data, "gone")));
		jval_set(service, "wanted", json_incref(jval_at(last->data, "wanted")));
		if (rollout_is_recorded(job, service)) {
			common_next(job, out);
			return;
		}
		args = deployment_args(job);
		jval_set(args, "template", json_incref(jval_at(last->data, "wanted")));
		jval_set(args, "before", json_incref(jval_at(last->data, "before")));
		common_ask(out, EFFECT_DEPLOYMENT_BEGIN, args);
	} else {
		jval_set_int(common_data(job, out, "rollout"), "deployment",
			     jval_int(last->data, "deployment", 0));
		common_next(job, out);
	}
}

/* GitHub has a deployment of this model at this commit already: it is the one that is marked. */
static int64_t announced_before(const struct job *job)
{
	const json_t *service = json_object_get(job->data, "service");

	return rollout_is_recorded(job, service) &&
			       str_eq(jval_str(service, "served.sha", ""), job->head_sha)
		       ? jval_int(service, "served.remote_id", 0)
		       : 0;
}

void rollout_announce(const struct job *job, const struct effect_result *last, int64_t now_ms,
		      struct update *out)
{
	int64_t before = announced_before(job);
	json_t *args;

	(void)now_ms;
	if (before) {
		jval_set_int(common_data(job, out, "rollout"), "remote_id", before);
		common_next(job, out);
		return;
	}
	if (!last) {
		args = deployment_args(job);
		(void)json_object_del(args, "plan");
		jval_set_str(args, "sha", job->head_sha);
		common_ask(out, EFFECT_DEPLOYMENT_CREATE, args);
		return;
	}
	if (last->err.class) {
		rollout_fail(job, out, JOB_FAILED,
			     last->err.code[0] ? last->err.code : "deploy.announce",
			     "GitHub does not take the deployment, so nothing was changed: %s",
			     last->err.msg);
		return;
	}
	jval_set_int(common_data(job, out, "rollout"), "remote_id", jval_int(last->data, "id", 0));
	common_next(job, out);
}

/* --- moves --- */

/* The result of a look has this member; that of a request has not. */
static bool is_look(const struct effect_result *last)
{
	return last && !last->err.class && jval_at(last->data, "seen");
}

/* Somebody was faster, or it is gone: the next look tells. Of a namespace that is not there it
 * tells nothing but that no object is in it, for ever. */
static bool may_look_again(const struct effect_result *last)
{
	return last->err.class == ERR_CONFLICT ||
	       (last->err.class == ERR_NOT_FOUND &&
		!str_eq(last->err.code, "kube.namespace_missing"));
}

/* Carries out what the planner said. True when the phase is done. `part`: the row that shows what
 * is waited for. */
static bool carry_out(const struct job *job, struct isvc_move *move, const char *part,
		      int64_t now_ms, struct update *out)
{
	AUTO_BUF struct buf text = buf_make(2 * TEXT_MAX);

	switch (move->kind) {
	case ISVC_DONE:
		return true;
	case ISVC_SEND:
		jval_set_bool(common_data(job, out, "rollout"), "touched", true);
		rollout_ask_move(job, &move->request, false, out);
		return false;
	case ISVC_WAIT:
		if (rollout_is_late(job, now_ms)) {
			common_part(job, out, part, PART_FAILED, now_ms, "not ready in time");
			rollout_fail(job, out, JOB_FAILED, "deploy.not_ready",
				     "the new model was not ready in time: %s", move->why);
			return false;
		}
		markdown_text(&text, move->why, TEXT_MAX);
		common_part(job, out, part, PART_RUNNING, now_ms, buf_text(&text));
		common_wait(out, WAIT_NONE, NULL, rollout_next_look(job, now_ms));
		return false;
	case ISVC_FAILED:
		common_part(job, out, part, PART_FAILED, now_ms, "failed");
		rollout_fail(job, out, JOB_FAILED, move->code, "%s", move->why);
		return false;
	}
	return false;
}

/* Which generation our own change made is known from the answer to it: what is there at the next
 * look may be somebody else's already. */
static void keep_generation(const struct job *job, const struct effect_result *last,
			    struct update *out)
{
	const char *name = jval_str(last->data, "name", "");
	bool is_live = str_eq(name, jval_str(job->data, "rollout.service", ""));
	json_t *service;

	if (last->err.class || !jval_int(last->data, "generation", 0))
		return;
	service = common_data(job, out, "service");
	jval_set_int(json_object_get(service, "before"),
		     is_live ? "our_generation" : "second_generation",
		     jval_int(last->data, "generation", 0));
}

/* One turn of a phase; true when it is done. */
static bool move_on(const struct job *job, const struct effect_result *last, enum isvc_phase phase,
		    int percent, int64_t now_ms, struct update *out)
{
	struct isvc_move move = {0};
	bool done;

	if (!last) {
		rollout_ask_look(job, out);
		return false;
	}
	if (is_look(last)) {
		rollout_plan(job, last, phase, percent, out, &move);
		done = carry_out(job, &move, phase == ISVC_STAGE ? "model" : "traffic", now_ms,
				 out);
		isvc_move_dispose(&move);
		return done;
	}
	if (last->err.class && !may_look_again(last)) {
		rollout_fail(job, out, JOB_FAILED,
			     last->err.code[0] ? last->err.code : "deploy.refused", "%s",
			     last->err.msg);
		return false;
	}
	keep_generation(job, last, out);
	common_wait(out, WAIT_NONE, NULL, rollout_next_look(job, now_ms));
	return false;
}

/* Plans the move to be tried; true when there is one. */
static bool try_move(const struct job *job, const struct effect_result *last, bool is_last,
		     struct update *out)
{
	struct isvc_look look = {.live = jval_at(last->data, "live"),
				 .second = jval_at(last->data, "second")};
	struct isvc_move move = {0};
	struct isvc_goal goal;
	bool is_sent;

	if (is_last) {
		rollout_goal(job, out, ISVC_SHIFT, 100, &goal);
		is_sent = isvc_plan_last(&goal, &look, &move);
	} else {
		rollout_plan(job, last, ISVC_STAGE, 0, out, &move);
		is_sent = move.kind == ISVC_SEND;
	}
	if (is_sent)
		rollout_ask_move(job, &move.request, true, out);
	isvc_move_dispose(&move);
	return is_sent;
}

/* The first move and the last are tried without effect: admission, rights and the schema say now
 * what they have against them, not when half of the traffic has moved. */
void rollout_try(const struct job *job, const struct effect_result *last, int64_t now_ms,
		 struct update *out)
{
	bool is_tried = jval_bool(job->data, "rollout.tried", false);

	if (rollout_is_stopped(job, now_ms, out))
		return;
	if (!last) {
		rollout_ask_look(job, out);
		common_part(job, out, "model", PART_RUNNING, now_ms, "trying it without effect");
		return;
	}
	if (last->err.class && may_look_again(last)) {
		common_wait(out, WAIT_NONE, NULL, rollout_next_look(job, now_ms));
		return;
	}
	if (last->err.class) {
		rollout_fail(job, out, JOB_FAILED,
			     last->err.code[0] ? last->err.code : "deploy.refused", "%s",
			     last->err.msg);
		return;
	}
	if (is_look(last) && try_move(job, last, is_tried, out))
		return;
	if (!is_look(last) && !is_tried) {
		jval_set_bool(common_data(job, out, "rollout"), "tried", true);
		rollout_ask_look(job, out);
		return;
	}
	jval_set_int(common_data(job, out, "rollout"), "since_ms", now_ms);
	common_next(job, out);
}

void rollout_stage(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	json_t *rollout;

	if (rollout_is_stopped(job, now_ms, out))
		return;
	if (!move_on(job, last, ISVC_STAGE, 0, now_ms, out))
		return;
	common_part(job, out, "model", PART_DONE, now_ms, "loaded and ready");
	rollout = common_data(job, out, "rollout");
	jval_set_int(rollout, "since_ms", now_ms);
	jval_set_int(rollout, "at", 0);
	common_next(job, out);
}

/* --- the sample request --- */

static void sample_is_good(const struct job *job, const struct effect_result *last, int64_t now_ms,
			   struct update *out)
{
	AUTO_BUF struct buf text = buf_make(1000);
	json_t *sample = common_data(job, out, "sample");
	int64_t took_ms = jval_int(last->data, "took_ms", 0);
	char took[32];

	json_object_update(sample, last->data);
	jval_set_int(sample, "asked_ms", now_ms);
	if (took_ms < 1000)
		snprintf(took, sizeof took, "%" PRId64 " ms", took_ms);
	else
		str_duration(took, took_ms);
	buf_printf(&text, "answered %" PRId64 " in %s", jval_int(last->data, "status", 0), took);
	common_part(job, out, "sample", PART_DONE, now_ms, buf_text(&text));
	common_next(job, out);
}

void rollout_sample(const struct job *job, const struct effect_result *last, int64_t now_ms,
		    struct update *out)
{
	int64_t since = jval_int(job->data, "rollout.since_ms", now_ms);
	json_t *args, *sample;

	if (rollout_is_stopped(job, now_ms, out))
		return;
	if (!json_array_size(jval_at(job->data, "service.samples"))) {
		common_next(job, out); /* the repository has none */
		return;
	}
	if (!last) {
		args = rollout_service_args(job);
		common_ask(out, EFFECT_SAMPLE, args);
		common_part(job, out, "sample", PART_RUNNING, now_ms, "asking the new model");
		return;
	}
	if (!last->err.class && jval_bool(last->data, "good", false)) {
		sample_is_good(job, last, now_ms, out);
		return;
	}
	if ((last->err.class || jval_bool(last->data, "again", false)) &&
	    now_ms - since < SAMPLE_TRIES_MS) {
		common_wait(out, WAIT_NONE, NULL, now_ms + job->rules->look_service_ms);
		return;
	}
	sample = common_data(job, out, "sample");
	if (last->data)
		json_object_update(sample, last->data);
	if (jval_str(job->data, "rollout.mark", NULL)) /* it has traffic, which it must lose */
		jval_set_bool(common_data(job, out, "rollout"), "touched", true);
	common_part(job, out, "sample", PART_FAILED, now_ms, "refused");
	rollout_fail(job, out, JOB_FAILED, "deploy.sample", "the new model failed its sample: %s",
		     last->err.class ? last->err.msg
				     : jval_str(last->data, "verdict", "no usable answer"));
}

/* --- traffic --- */

static void reached(const struct job *job, int64_t at, int64_t now_ms, struct update *out)
{
	json_t *percents = jval_at(job->data, "rollout.percents"), *rollout;
	int64_t percent = json_integer_value(json_array_get(percents, (size_t)at));
	int real = rollout_real_percent(job, (int)percent);
	AUTO_FREE char *text = str_printf("%d %%", real);
	bool last_one = (size_t)at + 1 >= json_array_size(percents);

	rollout = common_data(job, out, "rollout");
	jval_set_int(rollout, "at", at + 1);
	jval_set_int(rollout, "hold_until_ms", now_ms + jval_int(rollout, "hold_ms", 0));
	jval_set_int(rollout, "since_ms", jval_int(rollout, "hold_until_ms", now_ms));
	common_part(job, out, "traffic", last_one ? PART_DONE : PART_RUNNING, now_ms, text);
	if (last_one)
		common_next(job, out);
	else
		common_jump(job, out, "watch");
}

/* Step by step, each read back from what KServe reports before the next. */
void rollout_shift(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	json_t *percents = jval_at(job->data, "rollout.percents");
	int64_t at = jval_int(job->data, "rollout.at", 0);
	int percent = rollout_real_percent(
		job, (int)json_integer_value(json_array_get(percents, (size_t)at)));
	enum isvc_phase phase =
		jval_bool(job->data, "rollout.sent", false) ? ISVC_CHECK : ISVC_SHIFT;

	if (rollout_is_stopped(job, now_ms, out))
		return;
	if (!last && at && now_ms < jval_int(job->data, "rollout.hold_until_ms", 0)) {
		common_jump(job, out, "watch"); /* held here by a bot that did not watch */
		return;
	}
	if (!move_on(job, last, phase, percent, now_ms, out))
		return;
	jval_set_bool(common_data(job, out, "rollout"), "sent", phase == ISVC_SHIFT);
	if (phase == ISVC_SHIFT)
		common_wait(out, WAIT_NONE, NULL, rollout_next_look(job, now_ms));
	else
		reached(job, at, now_ms, out);
}
