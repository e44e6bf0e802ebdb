/* approve.c - /approve: say that a job which waits for approvals may go on, with the commit that it
 * has. Whose word counts is asked anew whenever the job looks; the answer here is what it finds. */
#include <inttypes.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/commands/rollout.h"
#include "lib/core/approvers.h"

enum { ANSWER_MAX = 4000 };

static json_t *job_args(const struct job *job)
{
	json_t *args = json_object();

	jval_set_int(args, "job", jval_int(job->args, "arg", 0));
	return args;
}

static void decide_approve(const struct job *job, const struct effect_result *last, int64_t now_ms,
			   struct update *out)
{
	(void)now_ms;
	if (last)
		common_next(job, out);
	else
		common_ask(out, EFFECT_APPROVE, job_args(job));
}

static void refuse(const struct job *job, const json_t *rule, const json_t *voice,
		   struct update *out)
{
	AUTO_BUF struct buf by = buf_make(ANSWER_MAX);

	approvers_say(rule, job->repo, "`", &by);
	common_refuse(out, "approve.not_counted",
		      "Your approval of job %" PRId64 " does not count: @%s %s.%s%s%s",
		      jval_int(job->args, "arg", 0), job->actor, jval_str(voice, "why", ""),
		      by.len ? " Who counts: " : "", buf_text(&by), by.len ? "." : "");
}

static const json_t *voice_of(const json_t *topic, int64_t id)
{
	const json_t *voices = json_object_get(topic, "voices"), *each;
	size_t i;

	json_array_foreach(voices, i, each) if (jval_int(each, "id", 0) == id) return each;
	return NULL;
}

static void decide_count(const struct job *job, const struct effect_result *last, int64_t now_ms,
			 struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	AUTO_JSON json_t *topic = json_object();
	const json_t *voice;

	(void)now_ms;
	if (!last) {
		common_ask(out, EFFECT_APPROVALS, job_args(job));
		return;
	}
	rollout_judge_approvals(topic, last->data);
	voice = voice_of(topic, job->actor_id);
	if (voice && !jval_bool(voice, "counts", false)) {
		refuse(job, jval_at(last->data, "approvers"), voice, out);
		return;
	}
	buf_printf(&text, "@%s approves `%.7s` for %s, job %" PRId64 ": ", job->actor,
		   jval_str(last->data, "sha", ""), jval_str(last->data, "environment", ""),
		   jval_int(job->args, "arg", 0));
	rollout_tell_approvals(topic, &text);
	buf_puts(&text, ".\n");
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "approved");
}

static const struct command_flag flags[] = {{NULL, FLAG_BOOL, NULL, NULL}};
static const char *const examples[] = {"/approve 42", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	{.name = "approve", .sentence = "writing it down", .decide = decide_approve},
	{.name = "count", .sentence = "counting", .decide = decide_count},
	STEP_LAST,
};

const struct command command_approve = {
	.name = "approve",
	.summary = "Let a job that waits for approvals go on, with the commit that it has.",
	.examples = examples,
	.flags = flags,
	.arg_name = "JOB",
	.arg_type = FLAG_INT,
	.arg_required = true,
	.right = RIGHT_WRITE,
	.read_only = true,
	.steps = steps,
};
