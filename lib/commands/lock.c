/* lock.c - /lock: keep everybody else out of an environment, with a reason and for a time. */
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/core/policy.h"

enum { ANSWER_MAX = 2000 };

static void decide_lock(const struct job *job, const struct effect_result *last, int64_t now_ms,
			struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	const char *meant = policy_environment_meant(jval_str(job->args, "arg", ""));
	int64_t length = jval_int(job->args, "for", 0);
	json_t *args;
	char until[21];

	if (!last && meant) { /* a lock that keeps nobody out is worse than none */
		common_end(out, JOB_FAILED, "lock.no_environment",
			   "there is no environment `%.100s`, so nothing was locked. Did you mean "
			   "`/lock %s`?",
			   jval_str(job->args, "arg", ""), meant);
		return;
	}
	if (!last) {
		args = json_object();
		jval_set_str(args, "environment", jval_str(job->args, "arg", ""));
		if (jval_str(job->args, "reason", NULL))
			jval_set_str(args, "reason", jval_str(job->args, "reason", ""));
		jval_set_int(args, "until_ms", length ? now_ms + length : 0);
		common_ask(out, EFFECT_ENVIRONMENT_LOCK, args);
		return;
	}
	buf_printf(&text, "`%s` is locked by @%s", jval_str(job->args, "arg", ""), job->actor);
	if (length) {
		clock_rfc3339(until, jval_int(last->data, "until_ms", now_ms + length));
		buf_printf(&text, " until %s", until);
	}
	buf_printf(&text, ". Commands of others wait in line; `/unlock %s` lets them in.\n",
		   jval_str(job->args, "arg", ""));
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "locked");
}

static const struct command_flag flags[] = {
	{"reason", FLAG_TEXT, "TEXT", "why; shown to whoever has to wait"},
	{"for", FLAG_DURATION, "4h", "for how long; until /unlock when not given"},
	{NULL, FLAG_BOOL, NULL, NULL},
};
static const char *const examples[] = {"/lock production --reason \"canary watch\" --for 4h", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	{.name = "lock", .sentence = "locking", .decide = decide_lock},
	STEP_LAST,
};

const struct command command_lock = {
	.name = "lock",
	.summary = "Keep others out of an environment.",
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
