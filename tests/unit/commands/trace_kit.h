/* trace_kit.h - plays a whole job through the pure core: a fake clock, scripted answers, and the
 * checks that the worker makes before it asks a step. What happens is narrated line by line.
 *
 * A program may set `far_side`, which answers what the script has nothing for; then waits move the
 * clock, short ones are left out of the narration, and ends are told with their sentence. Include
 * once per test program. */
#ifndef KF_TESTS_TRACE_KIT_H
#define KF_TESTS_TRACE_KIT_H

#include "tests/unit/cases.h"

#include <inttypes.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"

enum { STEPS_MAX = 400, SHORT_WAIT_MS = 15001, START_MS = 1000000 };
static const char sha[] = "9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901";

struct answer {
	const char *effect;   /* what must be asked for */
	const char *data;     /* JSON of the result */
	enum err_class class; /* instead of a result */
	const char *code, *message;
	int64_t advance_ms;    /* the clock, before the answer */
	const char *cancel_by; /* somebody cancels before the answer */
	bool by_closing;       /* the pull request, which is what cancels */
};

struct trace_case {
	const char *name;
	const char *command, *args;
	struct answer answers[40];
	const char *want;
	const char *after;   /* the model in the job's data; NULL: not looked at */
	int64_t deadline_ms; /* after the start; 0: never */
	int start;	     /* what the far side has at first; its own numbers */
};

#define ALLOWED                                                                                    \
	{                                                                                          \
		.effect = "github.permission",                                                     \
		.data = "{\"user_id\":7,\"pull\":true,\"push\":true}"                              \
	}
#define PULL(extra)                                                                                \
	{                                                                                          \
		.effect = "github.pull", .data = "{\"open\":true,\"head_sha\":"                    \
						 "\"9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901\","   \
						 "\"head_repo_id\":1,\"base_repo_id\":1" extra "}" \
	}
/* Pushed before the comment, which comes at the start. */
#define PINNED                                                                                     \
	PULL(",\"pushes\":{\"opened_at_ms\":500000},\"heads\":[{\"at_ms\":600000,\"sha\":"         \
	     "\"9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901\"}]")
#define CHECKED_OUT                                                                                \
	{                                                                                          \
		.effect = "repo.checkout", .data = "{\"files\":3}", .advance_ms = 1000             \
	}
#define SETTINGS                                                                                   \
	{                                                                                          \
		.effect = "repo.settings",                                                         \
		.data = "{\"pipeline\":{\"name\":\"iris\",\"namespace\":\"ml\",\"pipeline_path\":" \
			"\"p.py\"}}"                                                               \
	}
struct player {
	struct job job;
	const struct trace_case *script;
	size_t next_answer;
	int64_t now_ms;
	struct buf said;
	struct effect_result result;
	bool has_result;
	/* fills player->result and returns true; false: it has no answer to that */
	bool (*far_side)(struct player *player, const struct effect *effect);
	void (*time_passes)(struct player *player);
};

#define PIPELINE                                                                                   \
	{                                                                                          \
		.effect = "kfp.pipeline", .data = "{\"pipeline_id\":\"p1\"}"                       \
	}
#define UPLOADED                                                                                   \
	{                                                                                          \
		.effect = "kfp.upload_version",                                                    \
		.data = "{\"version_id\":\"v1\",\"version_name\":\"pr-7-9f8e7d6a1b2c\"}"           \
	}
#define EXPERIMENT                                                                                 \
	{                                                                                          \
		.effect = "kfp.experiment", .data = "{\"experiment_id\":\"e1\"}"                   \
	}

static inline const struct step *step_of(const struct player *player)
{
	const struct command *command = command_by_name(&commands, player->job.command);
	const struct step *step = job_step(command->steps, player->job.step);

	assert_non_null(step);
	return step;
}

static inline void last_part(const json_t *data, const char *name, char *out, size_t size)
{
	json_t *parts = json_object_get(data, "parts"), *part;
	size_t i;

	out[0] = '\0';
	json_array_foreach(parts, i, part) if (str_eq(jval_str(part, "name", ""), name)) snprintf(
		out, size, "%s: %s", jval_str(part, "state", ""), jval_str(part, "text", ""));
}

/* Rows that only begin are left out, those that count are not. */
static inline bool is_told(const char *row)
{
	return !str_starts(row, "running") || strstr(row, "tasks") || strstr(row, "in line") ||
	       strstr(row, " %") || strstr(row, "/approve");
}

/* Says which rows changed, as people would see them. */
static inline void tell_parts(struct player *player, const json_t *before)
{
	static const char *const names[] = {"compile", "upload", "version",  "run",
					    "gates",   "turn",	 "model",    "sample",
					    "traffic", "merge",	 "approvals"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char was[600], is[600];

		last_part(before, names[i], was, sizeof was);
		last_part(player->job.data, names[i], is, sizeof is);
		if (strcmp(was, is) && is_told(is))
			buf_printf(&player->said, "%s part %s\n", names[i], is);
	}
}

/* What was asked for, with those of its arguments that a reader wants to see. */
static inline void tell_effect(struct player *player, const struct effect *effect)
{
	static const char *const shown[] = {"verb", "state", "label", "run_id", "reason"};
	const char *name = jval_str(effect->args, "name", "");

	if (effect->kind == EFFECT_SERVICE_LOOK)
		return; /* before every move; nothing to see */
	buf_printf(&player->said, "%s asks %s", step_of(player)->name, effect_name(effect->kind));
	if (strstr(name, "-2"))
		buf_printf(&player->said, " named %s", name);
	for (size_t i = 0; player->far_side && i < ARRAY_LEN(shown); i++)
		if (*jval_str(effect->args, shown[i], ""))
			buf_printf(&player->said, " %s", jval_str(effect->args, shown[i], ""));
	buf_puts(&player->said, "\n");
}

static inline void take_scripted(struct player *player, const struct answer *answer)
{
	struct err err;

	player->next_answer++;
	player->now_ms += answer->advance_ms;
	if (answer->cancel_by && !player->job.cancel) {
		player->job.cancel = true;
		player->job.cancelled_by = str_dup(answer->cancel_by);
		player->job.end_code = answer->by_closing ? str_dup("pull.closed") : NULL;
	}
	if (answer->data &&
	    jval_parse(&player->result.data, answer->data, strlen(answer->data), &err))
		fail_msg("%s: %s", player->script->name, answer->data);
	/* a repository without a policy file, unless a case says otherwise */
	if (str_eq(answer->effect, "github.permission") && player->result.data &&
	    !jval_at(player->result.data, "policy"))
		jval_set(player->result.data, "policy", json_pack("{s:b}", "none", 1));
	if (answer->class)
		err_code(&player->result.err, answer->class, answer->code ? answer->code : "", "%s",
			 answer->message);
}

static inline void take_answer(struct player *player, const struct effect *effect)
{
	const struct answer *answer = &player->script->answers[player->next_answer];
	bool scripted = answer->effect && !strcmp(answer->effect, effect_name(effect->kind));

	tell_effect(player, effect);
	json_decref(player->result.data);
	player->result = (struct effect_result){0};
	player->has_result = true;
	if (scripted)
		take_scripted(player, answer);
	if (scripted && (answer->data || answer->class || !player->far_side) &&
	    (effect->kind != EFFECT_WATCH || answer->class))
		return;
	if (!player->far_side || !player->far_side(player, effect))
		fail_msg("%s: unexpected %s after:\n%s", player->script->name,
			 effect_name(effect->kind), buf_text(&player->said));
}

static inline void tell_wait(struct player *player, const struct update *update)
{
	int64_t wait_ms = update->due_at_ms - player->now_ms;

	if (!player->far_side || wait_ms > SHORT_WAIT_MS || update->wait_kind != WAIT_NONE)
		buf_printf(&player->said, "%s waits %" PRId64 " ms for %s\n", step_of(player)->name,
			   wait_ms, update->wait_ref ? update->wait_ref : "-");
	assert_true(wait_ms > 0);
	if (player->far_side && update->wait_kind == WAIT_NONE)
		player->now_ms = update->due_at_ms;
	if (player->time_passes)
		player->time_passes(player);
}

static inline void tell_end(struct player *player, enum job_state state, const char *code,
			    const char *message)
{
	assert_true(job_state_is_final(state));
	buf_printf(&player->said, "end %s", job_state_name(state));
	if (code)
		buf_printf(&player->said, " %s", code);
	if (!code || player->far_side)
		buf_printf(&player->said, ": %s", message);
	buf_puts(&player->said, "\n");
}

/* What the worker does before it asks the step. True when the job has ended. */
static inline bool ends_before(struct player *player)
{
	if (player->has_result || step_of(player)->handles_cancel)
		return false;
	if (player->job.cancel)
		tell_end(player, JOB_CANCELLED, job_stop_code(&player->job), "cancelled");
	else if (player->now_ms >= player->job.deadline_at_ms)
		tell_end(player, JOB_EXPIRED, "job.deadline", "its deadline passed");
	else
		return false;
	return true;
}

/* Carries out what the step wants. False when the job has ended. */
static inline bool carry_out(struct player *player, const struct update *update)
{
	switch (update->kind) {
	case UPDATE_EFFECT:
		take_answer(player, &update->effect);
		return true;
	case UPDATE_NEXT:
		str_copy(player->job.step, sizeof player->job.step, update->step);
		return true;
	case UPDATE_WAIT:
		tell_wait(player, update);
		return true;
	case UPDATE_END:
		tell_end(player, update->state, update->code, update->message);
		return false;
	}
	return false;
}

/* One decide, carried out as the worker would. False when the job has ended. */
static inline bool play_step(struct player *player)
{
	const struct step *step = step_of(player);
	AUTO_JSON json_t *before = json_deep_copy(player->job.data);
	struct update update = {0};
	bool go_on;

	if (ends_before(player))
		return false;
	if (player->has_result && player->result.err.class)
		assert_true(step->handles_errors);
	step->decide(&player->job, player->has_result ? &player->result : NULL, player->now_ms,
		     &update);
	if (update.data)
		json_object_update(player->job.data, update.data);
	if (update.head_sha[0])
		str_copy(player->job.head_sha, sizeof player->job.head_sha, update.head_sha);
	if (update.authorized && str_starts(update.authorized, "--"))
		buf_printf(&player->said, "audited %s\n", update.authorized);
	tell_parts(player, before);
	player->has_result = false;
	go_on = carry_out(player, &update);
	update_dispose(&update);
	return go_on;
}

static inline void player_start(struct player *player, const struct trace_case *script)
{
	static const struct job_rules rules = {.look_first_ms = 5000,
					       .look_until_ms = 1800000,
					       .doubt_ms = 150000,
					       .look_service_ms = 2000,
					       .look_held_ms = 300000};
	struct err err;

	*player = (struct player){.script = script, .now_ms = START_MS, .said = buf_make(1 << 16)};
	player->job = (struct job){
		.id = 42,
		.uid = "01J00000000000000000000000",
		.repo_id = 1,
		.repo = str_dup("o/r"),
		.pr = 7,
		.actor = str_dup("ann"),
		.actor_id = 7,
		.command = str_dup(script->command),
		.line = str_dup("/x"),
		.data = json_object(),
		.rules = &rules,
		.comment_at_ms = START_MS,
		.deadline_at_ms = script->deadline_ms ? START_MS + script->deadline_ms : INT64_MAX};
	assert_int_equal(jval_parse(&player->job.args, script->args, strlen(script->args), &err),
			 0);
}

static inline void player_end(struct player *player)
{
	job_dispose(&player->job);
	json_decref(player->result.data);
	buf_dispose(&player->said);
}

static inline void player_play(struct player *player)
{
	int i = 0;

	while (i < STEPS_MAX && play_step(player))
		i++;
	if (i == STEPS_MAX)
		fail_msg("%s: no end after:\n%s", player->script->name, buf_text(&player->said));
}

/* All cases, or those whose names fit argv[1]. */
static inline int play_cases(const char *group, const struct trace_case *cases, size_t count,
			     CMUnitTestFunction play, int argc, char **argv)
{
	struct CMUnitTest *tests = mem_new(count, sizeof *tests);
	int failed;

	for (size_t i = 0; i < count; i++)
		tests[i] = (struct CMUnitTest){.name = cases[i].name,
					       .test_func = play,
					       .initial_state = (void *)(uintptr_t)&cases[i]};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	failed = _cmocka_run_group_tests(group, tests, count, NULL, NULL);
	mem_free(tests);
	return failed;
}

#endif
