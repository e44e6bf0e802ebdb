/* status.c - /status: the jobs of this repository: running, in line and recent ones. Commands that
 * only answer are left out; they would push out what is looked for. */
#include <inttypes.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/core/markdown.h"

enum { ANSWER_MAX = 40000, LOOKED_AT = 200, SHOWN = 20 };

/* The queue's states in people's words; what is done now when it is under way. */
static void put_state(struct buf *out, const json_t *row)
{
	static const struct {
		const char *state, *words;
	} names[] = {
		{"ready", "about to start"}, {"running", "running"}, {"parked", "running"},
		{"backoff", "trying again"}, {"blocked", "in line"},
	};
	const struct command *command = command_by_name(&commands, jval_str(row, "command", ""));
	const char *state = jval_str(row, "state", "?"), *words = state;
	const struct step *step =
		command ? job_step(command->steps, jval_str(row, "step", "")) : NULL;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(names[i].state, state))
			words = names[i].words;
	if (jval_int(row, "position", 0) > 0)
		buf_printf(out, "number %" PRId64 " ", jval_int(row, "position", 0));
	buf_puts(out, words);
	if (step && !jval_int(row, "finished_at_ms", 0) && !str_eq(state, "blocked"))
		buf_printf(out, ": %s", step->sentence);
	if (*jval_str(row, "code", ""))
		buf_printf(out, " (`%s`)", jval_str(row, "code", ""));
}

static void put_job(struct buf *out, const json_t *row, int64_t now_ms)
{
	int64_t from = jval_int(row, "created_at_ms", now_ms);
	int64_t to = jval_int(row, "finished_at_ms", 0);
	char took[32];

	str_duration(took, (to ? to : now_ms) - from);
	buf_printf(out, "| %" PRId64 " | #%" PRId64 " | `/%s` | ", jval_int(row, "id", 0),
		   jval_int(row, "pr", 0), jval_str(row, "command", "?"));
	put_state(out, row);
	buf_puts(out, " | ");
	if (*jval_str(row, "sha", ""))
		buf_printf(out, "`%.7s`", jval_str(row, "sha", ""));
	buf_puts(out, " | ");
	markdown_text(out, jval_str(row, "actor", ""), 60);
	buf_printf(out, " | %s |\n", took);
}

static bool is_shown(const json_t *row)
{
	const struct command *command = command_by_name(&commands, jval_str(row, "command", ""));

	return !command || !command->read_only;
}

static void decide_answer(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	json_t *args, *rows, *row;
	char clock[6];
	int shown = 0;
	size_t i;

	(void)job;
	if (!last) {
		args = json_object();
		jval_set_int(args, "limit", LOOKED_AT);
		common_ask(out, EFFECT_JOBS_LIST, args);
		return;
	}
	rows = last->data ? json_object_get(last->data, "jobs") : NULL;
	clock_hhmm(clock, now_ms);
	json_array_foreach(rows, i, row)
	{
		if (!is_shown(row) || shown == SHOWN)
			continue;
		if (!shown++)
			buf_puts(&text,
				 "| job | pull request | command | state | commit | asked by | "
				 "since, took |\n"
				 "|---|---|---|---|---|---|---|\n");
		put_job(&text, row, now_ms);
	}
	if (!shown)
		buf_puts(&text, "No jobs yet in this repository. `/build_run` starts one.\n");
	buf_printf(&text, "\nAs of %s UTC.\n", clock);
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "answered");
}

static const struct command_flag flags[] = {{NULL, FLAG_BOOL, NULL, NULL}};
static const char *const examples[] = {"/status", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	{.name = "answer", .sentence = "listing the jobs", .decide = decide_answer},
	STEP_LAST,
};

const struct command command_status = {
	.name = "status",
	.summary = "Show the jobs of this repository: running, waiting and recent ones.",
	.examples = examples,
	.flags = flags,
	.right = RIGHT_READ,
	.read_only = true,
	.on_closed = true,
	.steps = steps,
};
