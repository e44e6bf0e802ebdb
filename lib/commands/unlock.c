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

static void put_lock(struct buf *out, const json_t *was, int64_t now_ms)
{
	char since[6];

	if (!jval_str(was, "person", NULL))
		return;
	clock_hhmm(since, jval_int(was, "locked_at_ms", now_ms));
	buf_printf(out, " @%s had locked it at %s UTC on #%" PRId64, jval_str(was, "person", "?"),
		   since, jval_int(was, "person_pr", 0));
	if (*jval_str(was, "reason", "")) {
		buf_puts(out, ": ");
		markdown_code(out, jval_str(was, "reason", ""), ANSWER_MAX / 4);
	}
	buf_puts(out, ".");
}

static void put_kept(struct buf *out, const json_t *was)
{
	if (jval_int(was, "kept_pr", 0))
		buf_printf(out, " It stayed with #%" PRId64 ", from which @%s had deployed.",
			   jval_int(was, "kept_pr", 0), jval_str(was, "keeper", "?"));
}

/* What authorize has seen of the person decides whose lock may be opened. */
static void decide_unlock(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	json_t *args;

	if (!last && jval_bool(job->args, "force", false) &&
	    !jval_bool(job->data, "policy.maintain", false)) {
		common_ask(out, EFFECT_REFUSAL, NULL);
		return;
	}
	if (last && jval_at(last->data, "asked")) {
		common_say_lock(last->data, jval_str(job->args, "arg", ""), &text);
		common_refuse(out, "denied.permission",
			      "`--force` needs maintain permission on this repository.%s",
			      buf_text(&text));
		return;
	}
	if (!last) {
		args = json_object();
		jval_set_str(args, "environment", jval_str(job->args, "arg", ""));
		jval_set_bool(args, "any", jval_bool(job->args, "force", false));
		common_ask(out, EFFECT_ENVIRONMENT_UNLOCK, args);
		return;
	}
	buf_printf(&text, "`%s` is open.", jval_str(job->args, "arg", ""));
	put_lock(&text, jval_at(last->data, "was"), now_ms);
	put_kept(&text, jval_at(last->data, "was"));
	buf_puts(&text, "\n");
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
