/* cancel.c - /cancel: stop one job of this pull request, or all. The job that is stopped says so in
 * its own comment when it has come to rest; this command's answer says what was found.
 *
 * Whoever asked for a job may stop it; of others, what they may do themselves. So the command
 * itself needs no more than read, and a stranger on a public repository is not asked about further:
 * they cost what a refusal costs. The store decides for each job, when it stops it. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/commands/rights.h"

enum { ANSWER_MAX = 20000, LINES_MAX = 100, LEFT_MAX = 20 };

static const char *wanted(const struct job *job)
{
	return jval_str(job->args, "arg", "all");
}

/* --- what they may stop --- */

static bool is_stranger(const struct job *job)
{
	return job->is_stranger && !jval_bool(job->data, "policy.write", false);
}

static void decide_rights(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	const char *what = wanted(job);
	AUTO_RIGHTS struct rights rights = {0};
	json_t *args;

	(void)now_ms;
	if (!last && !what[strspn(what, "0")]) { /* to the store, 0 are all */
		common_end(out, JOB_FAILED, "job.unknown",
			   "`%.40s` is not the number of a job; `/status` lists them", what);
	} else if (!last && !is_stranger(job)) {
		args = json_object();
		jval_set_bool(args, "fresh", true);
		jval_set_bool(args, "whole", true);
		common_ask(out, EFFECT_PERMISSION, args);
	} else {
		if (last && !last->err.class) {
			rights_read(&rights, last->data, job->repo);
			jval_set(common_data(job, out, "policy"), "stops",
				 rights_stops(&rights, job->actor_id));
		}
		common_next(job, out);
	}
}

/* --- the answer --- */

static void put_stopped(struct buf *out, const json_t *row)
{
	buf_printf(out, "- job %" PRId64 ", `/%s`: was %s, now %s\n", jval_int(row, "id", 0),
		   jval_str(row, "command", "?"), jval_str(row, "was", "?"),
		   jval_str(row, "now", "?"));
}

static void put_left(struct buf *out, const json_t *row)
{
	buf_printf(out,
		   "job %" PRId64
		   ", `/%s`, was asked for by %s; others need the right to `/%.100s` "
		   "to stop it",
		   jval_int(row, "id", 0), jval_str(row, "command", "?"),
		   jval_str(row, "actor", "?"), jval_str(row, "right", "?"));
}

/* GitHub was asked and did not say. */
static const char *doubt(const struct job *job)
{
	return is_stranger(job) || jval_at(job->data, "policy.stops")
		       ? ""
		       : "What you may do here could not be learned, so only your own jobs are "
			 "yours to stop; try again in a minute.";
}

static void put_rows(struct buf *out, const struct job *job, const json_t *rows)
{
	size_t stopped = 0, left = 0, i;
	json_t *row;

	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
	{
		if (!jval_bool(row, "left", false)) {
			if (stopped++ < LINES_MAX)
				put_stopped(out, row);
		} else if (left++ < LEFT_MAX) {
			buf_puts(out, "- left as it is: ");
			put_left(out, row);
			buf_puts(out, "\n");
		}
	}
	if (stopped > LINES_MAX)
		buf_printf(out, "- and %zu more\n", stopped - LINES_MAX);
	if (left > LEFT_MAX)
		buf_printf(out, "- left as they are: %zu more of others\n", left - LEFT_MAX);
	if (left && *doubt(job))
		buf_printf(out, "\n%s\n", doubt(job));
}

static void refuse(const struct job *job, const json_t *row, struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);

	put_left(&text, row);
	common_refuse(out, "cancel.not_yours", "%s.%s%s", buf_text(&text), *doubt(job) ? " " : "",
		      doubt(job));
}

static void decide_cancel(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	bool all = str_eq_nocase(wanted(job), "all");
	const json_t *rows, *stops = jval_at(job->data, "policy.stops");
	json_t *args;

	(void)now_ms;
	if (!last) {
		args = json_object();
		jval_set_str(args, "job", all ? "0" : wanted(job));
		if (stops)
			jval_set(args, "stops", json_deep_copy(stops));
		common_ask(out, EFFECT_JOB_CANCEL, args);
		return;
	}
	rows = jval_at(last->data, "jobs");
	if (!all && jval_bool(json_array_get(rows, 0), "left", false)) {
		refuse(job, json_array_get(rows, 0), out);
		return;
	}
	if (!json_array_size(rows))
		buf_puts(&text, "There is nothing to cancel on this pull request.\n");
	put_rows(&text, job, rows);
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "answered");
}

static const struct command_flag flags[] = {{NULL, FLAG_BOOL, NULL, NULL}};
static const char *const examples[] = {"/cancel", "/cancel 42", "/cancel all", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	{.name = "rights",
	 .sentence = "asking what they may stop",
	 .handles_errors = true,
	 .is_optional = true,
	 .decide = decide_rights},
	{.name = "cancel",
	 .sentence = "cancelling",
	 .handles_cancel = true,
	 .decide = decide_cancel},
	STEP_LAST,
};

const struct command command_cancel = {
	.name = "cancel",
	.summary =
		"Stop jobs of this pull request: your own, and those whose command you may give.",
	.examples = examples,
	.flags = flags,
	.arg_name = "JOB|all",
	.arg_type = FLAG_NAME,
	.right = RIGHT_READ,
	.read_only = true,
	.on_closed = true,
	.steps = steps,
};
