/* cancel.c - /cancel: stop one job of this pull request, or all. The job that is stopped says so in
 * its own comment when it has come to rest; this command's answer says what was found. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"

static void decide_cancel(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	AUTO_BUF struct buf text = buf_make(8000);
	const char *what = jval_str(job->args, "arg", "all");
	json_t *args, *rows, *row;
	size_t i;

	(void)now_ms;
	if (!last && !what[strspn(what, "0")]) { /* to the store, 0 are all */
		common_end(out, JOB_FAILED, "job.unknown",
			   "`%.40s` is not the number of a job; `/status` lists them", what);
		return;
	}
	if (!last) {
		args = json_object();
		jval_set_str(args, "job", str_eq_nocase(what, "all") ? "0" : what);
		common_ask(out, EFFECT_JOB_CANCEL, args);
		return;
	}
	rows = last->data ? json_object_get(last->data, "jobs") : NULL;
	if (!json_array_size(rows))
		buf_puts(&text, "There is nothing to cancel on this pull request.\n");
	json_array_foreach(rows, i, row)
		buf_printf(&text, "- job %" PRId64 ", `/%s`: was %s, now %s\n",
			   jval_int(row, "id", 0), jval_str(row, "command", "?"),
			   jval_str(row, "was", "?"), jval_str(row, "now", "?"));
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "answered");
}

static const struct command_flag flags[] = {{NULL, FLAG_BOOL, NULL, NULL}};
static const char *const examples[] = {"/cancel", "/cancel 42", "/cancel all", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	{.name = "cancel",
	 .sentence = "cancelling",
	 .handles_cancel = true,
	 .decide = decide_cancel},
	STEP_LAST,
};

const struct command command_cancel = {
	.name = "cancel",
	.summary = "Stop a job of this pull request, or all of them.",
	.examples = examples,
	.flags = flags,
	.arg_name = "JOB|all",
	.arg_type = FLAG_NAME,
	.right = RIGHT_WRITE,
	.read_only = true,
	.on_closed = true,
	.steps = steps,
};
