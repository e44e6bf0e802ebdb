/* rollout_watch.c - see rollout.h. The step in which a share of the traffic is held: the new model
 * is looked at until the time is over and it was found good after that, or until it is given up.
 *
 * Only what a look found is kept, in rollout.watch, so a crash costs a look. The model is never
 * asked more often than every two seconds, not even over the border of two holds. People see a hold
 * when something is wrong in it and when it is over, so that one which goes well costs no edits of
 * the comment in between. Before the first percentage the restarts alone are read: those of the
 * loading do not count. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/rollout.h"
#include "lib/core/markdown.h"
#include "lib/core/watch.h"

enum { GAP_MS = 2000, DOUBT_PART = 3, SAID_MAX = 500 };

static bool is_held(const struct job *job)
{
	return jval_int(job->data, "rollout.hold_ms", 0) > 0 &&
	       json_array_size(jval_at(job->data, "rollout.percents")) > 1;
}

/* What the new model has while it is looked at. */
static int percent_held(const struct job *job)
{
	const json_t *percents = jval_at(job->data, "rollout.percents");
	int64_t at = jval_int(job->data, "rollout.at", 0);

	return at ? rollout_real_percent(job, (int)json_integer_value(
						      json_array_get(percents, (size_t)(at - 1))))
		  : 0;
}

/* --- memory --- */

static const struct {
	const char *key;
	size_t at;
} counted[] = {
	{"looks", offsetof(struct watch_tally, looks)},
	{"asked", offsetof(struct watch_tally, asked)},
	{"failed", offsetof(struct watch_tally, failed)},
	{"bad_row", offsetof(struct watch_tally, bad_row)},
	{"unready_row", offsetof(struct watch_tally, unready_row)},
	{"slowest_ms", offsetof(struct watch_tally, slowest_ms)},
	{"restarts", offsetof(struct watch_tally, restarts)},
	{"restarted", offsetof(struct watch_tally, restarted)},
};

static int64_t *number_of(struct watch_tally *tally, size_t i)
{
	return (int64_t *)(void *)((char *)tally + counted[i].at);
}

static void read_tally(struct watch_tally *out, const json_t *watch)
{
	for (size_t i = 0; i < ARRAY_LEN(counted); i++)
		*number_of(out, i) = jval_int(watch, counted[i].key, 0);
	out->restarts = jval_int(watch, "restarts", -1);
}

static void keep_tally(struct watch_tally *tally, json_t *into)
{
	for (size_t i = 0; i < ARRAY_LEN(counted); i++)
		jval_set_int(into, counted[i].key, *number_of(tally, i));
}

/* The member of rollout, begun anew when another hold begins; borrowed. */
static json_t *watch_of(const struct job *job, int64_t now_ms, struct update *out)
{
	json_t *rollout = common_data(job, out, "rollout"),
	       *watch = json_object_get(rollout, "watch");
	int64_t at = jval_int(rollout, "at", 0);
	struct watch_tally tally = {.restarts = jval_int(watch, "restarts", -1)};

	if (!watch)
		jval_set(rollout, "watch", watch = json_object());
	if (jval_int(watch, "at", -1) == at)
		return watch;
	keep_tally(&tally, watch);
	jval_set_int(watch, "at", at);
	jval_set_int(watch, "due_ms", now_ms);
	return watch;
}

/* The row that people see of this hold. */
static void show_hold(const struct job *job, const json_t *watch, const char *said,
		      struct update *out)
{
	json_t *rollout = common_data(job, out, "rollout"),
	       *holds = json_object_get(rollout, "holds"), *hold = json_deep_copy(watch);
	size_t at = (size_t)jval_int(watch, "at", 0) - 1;

	if (!holds)
		jval_set(rollout, "holds", holds = json_array());
	jval_set_int(hold, "percent", percent_held(job));
	if (!*said)
		said = jval_str(json_array_get(holds, at), "said", "");
	jval_set_str(hold, "said", said);
	if (at < json_array_size(holds))
		must(json_array_set_new(holds, at, hold) == 0);
	else
		must(json_array_append_new(holds, hold) == 0);
}

/* --- looking --- */

/* When the next look is due: not before the model has had its rest. */
static int64_t due_of(const struct job *job, const json_t *watch)
{
	int64_t asked_ms = jval_int(watch, "asked_ms", jval_int(job->data, "sample.asked_ms", 0)),
		due_ms = jval_int(watch, "due_ms", 0);

	return due_ms < asked_ms + GAP_MS ? asked_ms + GAP_MS : due_ms;
}

static void look_at(const struct job *job, json_t *watch, int64_t due_ms, struct update *out)
{
	jval_set_int(watch, "due_ms", due_ms);
	common_wait(out, WAIT_NONE, NULL, due_of(job, watch));
}

static void ask(const struct job *job, json_t *watch, struct update *out)
{
	size_t samples = json_array_size(jval_at(job->data, "service.samples"));
	json_t *args = rollout_service_args(job);

	if (samples && jval_int(watch, "at", 0))
		jval_set_int(args, "sample", jval_int(watch, "sample", 0) % (int64_t)samples);
	common_ask(out, EFFECT_WATCH, args);
}

/* The next sample, one after the other; one that failed is asked again. */
static void keep_asked(const json_t *sample, json_t *watch, int64_t now_ms)
{
	if (!sample)
		return;
	jval_set_int(watch, "asked_ms", now_ms);
	if (jval_bool(sample, "good", false))
		jval_set_int(watch, "sample", (jval_int(watch, "sample", 0) + 1) % 1000000);
}

/* --- judging --- */

static void give_up(const struct job *job, enum watch_verdict verdict,
		    const struct watch_tally *tally, const char *said, int64_t now_ms,
		    struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ERR_MSG_MAX);
	AUTO_FREE char *row = str_printf("turned bad at %d %%", percent_held(job));

	watch_tell(&text, verdict, tally, percent_held(job), said);
	common_part(job, out, verdict == WATCH_BAD_SAMPLE ? "sample" : "model", PART_FAILED, now_ms,
		    row);
	rollout_fail(job, out, JOB_FAILED, "deploy.turned_bad", "%s", buf_text(&text));
}

static void show_doubt(const struct job *job, const struct watch_tally *tally, int64_t now_ms,
		       struct update *out)
{
	AUTO_BUF struct buf text = buf_make(200);

	buf_printf(&text, "%d %% · ", percent_held(job));
	if (tally->bad_row)
		watch_tell_samples(&text, tally);
	else
		buf_puts(&text, "not ready at the last look");
	common_part(job, out, "traffic", PART_RUNNING, now_ms, buf_text(&text));
}

static void end_hold(const struct job *job, int64_t now_ms, struct update *out)
{
	AUTO_FREE char *row = str_printf("%d %%", percent_held(job));

	jval_set_int(common_data(job, out, "rollout"), "since_ms", now_ms);
	common_part(job, out, "traffic", PART_RUNNING, now_ms, row);
	common_next(job, out);
}

/* Goes on after a look that gives nothing up. */
static void go_on(const struct job *job, json_t *watch, bool in_doubt, int64_t now_ms,
		  struct update *out)
{
	int64_t until = jval_int(job->data, "rollout.hold_until_ms", 0),
		step = job->rules->look_held_ms / (in_doubt ? DOUBT_PART : 1);

	if (!in_doubt && now_ms >= until)
		end_hold(job, now_ms, out);
	else if (!in_doubt && now_ms + step > until)
		look_at(job, watch, until, out);
	else
		look_at(job, watch, now_ms + step, out);
}

static void judge(const struct job *job, const struct effect_result *last,
		  const struct isvc_move *move, int64_t now_ms, struct update *out)
{
	json_t *watch = watch_of(job, now_ms, out);
	const json_t *sample = json_object_get(last->data, "sample");
	struct watch_look look = {
		.ready = move->kind == ISVC_DONE,
		.asked = sample != NULL,
		.good = jval_bool(sample, "good", false),
		.took_ms = jval_int(sample, "took_ms", -1),
		.restarts = jval_int(last->data, "restarts", -1),
	};
	enum watch_verdict verdict;
	struct watch_tally tally;
	const char *said = "";

	read_tally(&tally, watch);
	verdict = watch_judge(&tally, &look);
	keep_tally(&tally, watch);
	keep_asked(sample, watch, now_ms);
	if (verdict == WATCH_RESTARTED)
		said = jval_str(last->data, "restarted", "");
	else if (sample && !look.good)
		said = jval_str(sample, "verdict", "no usable answer");
	else if (!look.ready)
		said = move->why;
	if (verdict != WATCH_GOOD || now_ms >= jval_int(job->data, "rollout.hold_until_ms", 0))
		show_hold(job, watch, said, out);
	if (watch_gives_up(verdict)) {
		give_up(job, verdict, &tally, said, now_ms, out);
		return;
	}
	if (verdict == WATCH_DOUBT)
		show_doubt(job, &tally, now_ms, out);
	go_on(job, watch, verdict == WATCH_DOUBT, now_ms, out);
}

/* Somebody else at the service ends the rollout as between any two steps. */
static void is_seen(const struct job *job, const struct effect_result *last, int64_t now_ms,
		    struct update *out)
{
	struct isvc_move move = {0};

	rollout_plan(job, last, ISVC_CHECK, percent_held(job), out, &move);
	if (move.kind == ISVC_FAILED) {
		common_part(job, out, "traffic", PART_FAILED, now_ms, "failed");
		rollout_fail(job, out, JOB_FAILED, move.code, "%s", move.why);
	} else {
		judge(job, last, &move, now_ms, out);
	}
	isvc_move_dispose(&move);
}

/* The restarts of the loading are those to compare with; who cannot tell them stops nobody. */
static void before_the_first(const struct job *job, const struct effect_result *last,
			     int64_t now_ms, struct update *out)
{
	json_t *watch = watch_of(job, now_ms, out);

	if (!last) {
		ask(job, watch, out);
		return;
	}
	if (!last->err.class)
		jval_set_int(watch, "restarts", jval_int(last->data, "restarts", -1));
	common_next(job, out);
}

void rollout_watch(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	json_t *watch;

	if (rollout_is_stopped(job, now_ms, out))
		return;
	if (!is_held(job)) {
		common_next(job, out);
	} else if (!jval_int(job->data, "rollout.at", 0)) {
		before_the_first(job, last, now_ms, out);
	} else if (!last) {
		watch = watch_of(job, now_ms, out);
		if (now_ms < due_of(job, watch))
			common_wait(out, WAIT_NONE, NULL, due_of(job, watch));
		else
			ask(job, watch, out);
	} else if (!last->err.class) {
		is_seen(job, last, now_ms, out);
	} else {
		rollout_fail(job, out, JOB_FAILED,
			     last->err.code[0] ? last->err.code : "deploy.refused", "%s",
			     last->err.msg);
	}
}
