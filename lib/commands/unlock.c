/* unlock.c - /unlock: open an environment that a person locked; the next in line starts. A lock of
 * somebody else is opened by a maintainer who says --force. */
#include <inttypes.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/core/markdown.h"

enum { ANSWER_MAX = 2000 };

/* What authorize has seen of the person decides whose lock may be opened. */
static void decide_unlock(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	json_t *args;
	char since[6];

	if (!last) {
		args = json_object();
		jval_set_str(args, "environment", jval_str(job->args, "arg", ""));
		jval_set_bool(args, "any", jval_bool(job->args, "force", false));
		common_ask(out, EFFECT_ENVIRONMENT_UNLOCK, args);
		return;
	}
	clock_hhmm(since, jval_int(last->data, "was.locked_at_ms", now_ms));
	buf_printf(&text, "`%s` is open. @%s had locked it at %s UTC on #%" PRId64,
		   jval_str(job->args, "arg", ""), jval_str(last->data, "was.person", "?"), since,
		   jval_int(last->data, "was.person_pr", 0));
	if (*jval_str(last->data, "was.reason", "")) {
		buf_puts(&text, ": ");
		markdown_code(&text, jval_str(last->data, "was.reason", ""), ANSWER_MAX / 4);
	}
	buf_puts(&text, ".\n");
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "unlocked");
}

static const struct command_flag flags[] = {
	{"force", FLAG_BOOL, NULL, "open the lock of somebody else; needs maintain permission"},
	{NULL, FLAG_BOOL, NULL, NULL},
};
static const char *const examples[] = {"/unlock production", "/unlock production --force", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	{.name = "unlock", .sentence = "unlocking", .decide = decide_unlock},
	STEP_LAST,
};

const struct command command_unlock = {
	.name = "unlock",
	.summary = "Open an environment that was locked.",
	.examples = examples,
	.flags = flags,
	.arg_name = "ENV",
	.arg_type = FLAG_NAME,
	.arg_required = true,
	.right = RIGHT_MAINTAIN,
	.scope = SCOPE_ENVIRONMENT,
	.rule = "lock",
	.read_only = true,
	.on_closed = true,
	.steps = steps,
};
