/* hold.c - /hold: nothing is deployed or merged from this pull request until somebody
 * says so. A deployment that has begun to change something goes on. */
#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/core/markdown.h"

enum { ANSWER_MAX = 2000 };

static void decide_hold(const struct job *job, const struct effect_result *last, int64_t now_ms,
			struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	const char *reason = jval_str(job->args, "reason", NULL);
	json_t *args;

	(void)now_ms;
	if (!last) {
		args = json_object();
		if (reason)
			jval_set_str(args, "reason", reason);
		common_ask(out, EFFECT_HOLD, args);
		return;
	}
	buf_puts(&text, "This pull request is on hold");
	if (reason) {
		buf_puts(&text, ": ");
		markdown_code(&text, reason, ANSWER_MAX / 4);
	}
	buf_puts(&text, ". Nothing is deployed or merged from it; `/unhold` ends that.\n");
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "on hold");
}

static const struct command_flag flags[] = {
	{"reason", FLAG_TEXT, "TEXT", "why; shown to whoever wants to deploy"},
	{NULL, FLAG_BOOL, NULL, NULL},
};
static const char *const examples[] = {"/hold", "/hold --reason \"numbers look odd\"", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	{.name = "hold", .sentence = "putting it on hold", .decide = decide_hold},
	STEP_LAST,
};

const struct command command_hold = {
	.name = "hold",
	.summary = "Deploy and merge nothing from this pull request.",
	.examples = examples,
	.flags = flags,
	.right = RIGHT_WRITE,
	.read_only = true,
	.steps = steps,
};
