/* logs.c - /logs: the steps of a job with times, and the tail of what they printed. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/core/markdown.h"

enum { ANSWER_MAX = 60000, LOG_MAX = 40000, TAIL_DEFAULT = 50 };

/* The last `lines` lines of a text. */
static const char *tail_of(const char *text, int64_t lines)
{
	size_t len = strlen(text), at = len;

	while (at > 0 && lines > 0) {
		at--;
		if (text[at] == '\n' && at + 1 < len)
			lines--;
	}
	return text[at] == '\n' ? text + at + 1 : text + at;
}

/* By the name of the step, or of what it asked for. */
static bool is_wanted(const json_t *step, const char *only)
{
	return !only || str_eq(only, jval_str(step, "step", "")) ||
	       str_eq(only, jval_str(step, "name", ""));
}

static void put_step(struct buf *out, const json_t *step)
{
	int64_t from = jval_int(step, "started_at_ms", 0), to = jval_int(step, "ended_at_ms", 0);
	char took[32];

	str_duration(took, to ? to - from : 0);
	buf_printf(out, "| %s | %s | %s | %" PRId64 " | %s | ", jval_str(step, "step", "?"),
		   jval_str(step, "name", "?"), jval_str(step, "phase", "?"),
		   jval_int(step, "tries", 0), to ? took : "");
	markdown_text(out, jval_str(step, "error", ""), 300);
	buf_puts(out, " |\n");
}

static void decide_answer(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	const char *only = jval_str(job->args, "step", NULL), *log;
	json_t *args, *steps, *step;
	size_t i, shown = 0;

	(void)now_ms;
	if (!last) {
		args = json_object();
		jval_set_int(args, "job", jval_int(job->args, "arg", 0));
		common_ask(out, EFFECT_JOB_LOGS, args);
		return;
	}
	steps = json_object_get(last->data, "steps");
	buf_printf(&text,
		   "Job %" PRId64 ", `/%s`, %s.\n\n| step | asks | state | tries | took | error "
		   "|\n|---|---|---|---|---|---|\n",
		   jval_int(job->args, "arg", 0), jval_str(last->data, "command", "?"),
		   jval_str(last->data, "state", "?"));
	json_array_foreach(steps, i, step)
	{
		if (!is_wanted(step, only))
			continue;
		put_step(&text, step);
		shown++;
	}
	if (only && !shown)
		buf_printf(&text,
			   "\nThe job has done nothing in a step `%s`; `/logs %" PRId64
			   "` shows all.\n",
			   only, jval_int(job->args, "arg", 0));
	log = jval_str(last->data, "log", "");
	if (*log) {
		const char *tail = tail_of(log, jval_int(job->args, "tail", TAIL_DEFAULT));

		buf_puts(&text, "\n<details><summary>Log</summary>\n\n");
		markdown_fence(&text, "text", tail, strlen(tail), LOG_MAX);
		buf_puts(&text, "\n</details>\n");
	}
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "answered");
}

static const struct command_flag flags[] = {
	{"step", FLAG_NAME, "STEP", "only this step"},
	{"tail", FLAG_INT, "N", "the last N lines of the log; 50 when not given"},
	{NULL, FLAG_BOOL, NULL, NULL},
};
static const char *const examples[] = {"/logs 42", "/logs 42 --step compile --tail 200", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	{.name = "answer", .sentence = "collecting the log", .decide = decide_answer},
	STEP_LAST,
};

const struct command command_logs = {
	.name = "logs",
	.summary = "Show the steps of a job and the end of its log.",
	.examples = examples,
	.flags = flags,
	.arg_name = "JOB",
	.arg_type = FLAG_INT,
	.arg_required = true,
	.right = RIGHT_WRITE,
	.read_only = true,
	.on_closed = true,
	.steps = steps,
};
