/* unhold.c - /unhold: ends what /hold began, whoever said it. */
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/core/markdown.h"

enum { ANSWER_MAX = 2000 };

static void decide_unhold(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	char since[21];

	(void)job;
	if (!last) {
		common_ask(out, EFFECT_UNHOLD, NULL);
		return;
	}
	clock_rfc3339(since, jval_int(last->data, "was.held_at_ms", now_ms));
	buf_puts(&text, "This pull request is not on hold any more. It was by ");
	markdown_text(&text, jval_str(last->data, "was.person", "?"), ANSWER_MAX / 4);
	buf_printf(&text, " since %s", since);
	if (*jval_str(last->data, "was.reason", "")) {
		buf_puts(&text, ": ");
		markdown_code(&text, jval_str(last->data, "was.reason", ""), ANSWER_MAX / 4);
	}
	buf_puts(&text, ".\n");
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "not on hold");
}

static const struct command_flag flags[] = {{NULL, FLAG_BOOL, NULL, NULL}};
static const char *const examples[] = {"/unhold", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	{.name = "unhold", .sentence = "ending the hold", .decide = decide_unhold},
	STEP_LAST,
};

const struct command command_unhold = {
	.name = "unhold",
	.summary = "End the hold of this pull request.",
	.examples = examples,
	.flags = flags,
	.right = RIGHT_WRITE,
	.read_only = true,
	.steps = steps,
};
