/* retry.c - /retry: the same command again, on the same commit with the same arguments. */
#include <inttypes.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"

static void decide_retry(const struct job *job, const struct effect_result *last, int64_t now_ms,
			 struct update *out)
{
	AUTO_FREE char *text = NULL;
	json_t *args;

	(void)now_ms;
	if (!last) {
		args = json_object();
		jval_set_int(args, "job", jval_int(job->args, "arg", 0));
		common_ask(out, EFFECT_JOB_RETRY, args);
		return;
	}
	text = str_printf("Job %" PRId64 " does `/%s` of job %" PRId64 " again on `%.7s`.\n",
			  jval_int(last->data, "id", 0), jval_str(last->data, "command", "?"),
			  jval_int(last->data, "retry_of", 0), jval_str(last->data, "sha", ""));
	out->data = json_object();
	jval_set_str(out->data, "answer", text);
	common_end(out, JOB_DONE, NULL, "answered");
}

static const struct command_flag flags[] = {{NULL, FLAG_BOOL, NULL, NULL}};
static const char *const examples[] = {"/retry", "/retry 42", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	{.name = "retry", .sentence = "starting it again", .decide = decide_retry},
	STEP_LAST,
};

const struct command command_retry = {
	.name = "retry",
	.summary = "Do a failed job again: same commit, same arguments.",
	.examples = examples,
	.flags = flags,
	.arg_name = "JOB",
	.arg_type = FLAG_INT,
	.right = RIGHT_WRITE,
	.read_only = true,
	.steps = steps,
};
