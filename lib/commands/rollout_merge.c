/* rollout_merge.c - see rollout.h. The merge of exactly the deployed commit: at once, or through
 * the merge queue where the branch demands one; then the branch, if the repository wants it
 * deleted.
 *
 * Nothing here takes the model back: it passed its sample and serves. When GitHub does not merge,
 * that is said plainly, with the two ways on. What stands in the queue is looked at until it is
 * merged or thrown out; the environment stays ours for that time, for a bounded one. */
#include <inttypes.h>
#include <stdio.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/rollout.h"
#include "lib/core/markdown.h"

enum {
	QUEUE_MAX_MS = 6 * 3600 * 1000, /* the longest time that a queue waits for its checks */
	QUEUE_LOOK_MAX_MS = 60000,
	ABSENT_SURE = 3, /* looks that do not find it in the queue, before that is believed */
	REASON_MAX = 80,
	PULL_REF_MAX = 64,
};

/* --- ends --- */

static void end_merged(const struct job *job, struct update *out)
{
	bool deleted = jval_bool(out->data ? json_object_get(out->data, "rollout") : NULL,
				 "branch_deleted", false);

	common_end(out, JOB_DONE, NULL, "%s serves the model of `%.7s`, which is merged%s",
		   rollout_environment(job), job->head_sha,
		   deleted ? "; its branch is deleted" : "");
}

static void is_merged(const struct job *job, int64_t now_ms, struct update *out)
{
	AUTO_FREE char *text = str_printf("`%.7s` into `%s`", job->head_sha,
					  jval_str(job->data, "facts.base_ref", "?"));

	common_part(job, out, "merge", PART_DONE, now_ms, text);
	if (!common_is_last(job) && jval_bool(job->data, "rollout.delete_branch", false))
		common_jump(job, out, "branch");
	else
		end_merged(job, out);
}

/* Deployed, and not merged: what happened, and what can be done. */
static void end_unmerged(const struct job *job, const char *code, const char *what,
			 const char *then, int64_t now_ms, struct update *out)
{
	const char *environment = rollout_environment(job);

	common_part(job, out, "merge", PART_FAILED, now_ms, "not merged");
	common_end(out, JOB_FAILED, code,
		   "%s serves the model of `%.7s`, but %s. %s, or `/rollback %s` brings the model "
		   "before back",
		   environment, job->head_sha, what, then, environment);
}

static void end_moved(const struct job *job, int64_t now_ms, struct update *out)
{
	end_unmerged(job, "deploy.moved", "the pull request was not merged: its head has moved",
		     "`/build_run` takes the new commit the same way", now_ms, out);
}

static void end_closed(const struct job *job, int64_t now_ms, struct update *out)
{
	end_unmerged(job, "deploy.closed_unmerged",
		     "the pull request was closed without being merged",
		     "Reopen it and give the command again", now_ms, out);
}

static void end_refused(const struct job *job, const struct err *err, int64_t now_ms,
			struct update *out)
{
	AUTO_FREE char *what = str_printf("the pull request was not merged: %s", err->msg);

	if (err->class == ERR_CONFLICT)
		end_moved(job, now_ms, out);
	else if (str_eq(err->code, "merge.closed"))
		end_closed(job, now_ms, out);
	else
		end_unmerged(job, err->code[0] ? err->code : "deploy.merge_refused", what,
			     "Merge it by hand when that is mended", now_ms, out);
}

/* `row` is what the row of the merge shows, `how` what became of the pull request. */
static void end_stopped(const struct job *job, const char *row, const char *how, int64_t now_ms,
			struct update *out)
{
	const char *environment = rollout_environment(job);
	AUTO_FREE char *words = job_stop_words(job, "stopped");

	common_part(job, out, "merge", PART_CANCELLED, now_ms, row);
	common_end(out, JOB_CANCELLED, job_stop_code(job),
		   "%s: %s serves the model of `%.7s`, and the pull request %s. "
		   "`/rollback %s` brings the model before back",
		   words, environment, job->head_sha, how, environment);
}

/* Somebody who stops it now wants no merge; what was sent already is not called back. A closed pull
 * request ends as if GitHub had said it. True when the update is filled. */
static bool is_stopped(const struct job *job, const struct effect_result *last, int64_t now_ms,
		       struct update *out)
{
	if (last || !job->cancel)
		return false;
	if (job_is_closed(job))
		end_closed(job, now_ms, out);
	else
		end_stopped(job, "not merged", "is not merged", now_ms, out);
	return true;
}

/* --- at once --- */

void rollout_merge(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	json_t *args;

	if (jval_bool(job->data, "facts.merge_queue", false)) {
		common_jump(job, out, "enqueue");
		return;
	}
	if (is_stopped(job, last, now_ms, out))
		return;
	if (!last) {
		args = json_object();
		jval_set_str(args, "sha", job->head_sha);
		jval_set_str(args, "method", jval_str(job->data, "rollout.method", "merge"));
		jval_set_str(args, "base", jval_str(job->data, "facts.base_ref", ""));
		common_ask(out, EFFECT_MERGE, args);
		common_part(job, out, "merge", PART_RUNNING, now_ms, "merging");
		return;
	}
	if (last->err.class)
		end_refused(job, &last->err, now_ms, out);
	else
		is_merged(job, now_ms, out);
}

/* --- through the queue --- */

void rollout_enqueue(const struct job *job, const struct effect_result *last, int64_t now_ms,
		     struct update *out)
{
	json_t *args, *rollout;

	if (is_stopped(job, last, now_ms, out))
		return;
	if (!last) {
		args = json_object();
		jval_set_str(args, "sha", job->head_sha);
		jval_set_str(args, "base", jval_str(job->data, "facts.base_ref", ""));
		common_ask(out, EFFECT_ENQUEUE, args);
		common_part(job, out, "merge", PART_RUNNING, now_ms, "into the merge queue");
		return;
	}
	if (last->err.class) {
		end_refused(job, &last->err, now_ms, out);
		return;
	}
	rollout = common_data(job, out, "rollout");
	jval_set_int(rollout, "since_ms", now_ms);
	jval_set_str(rollout, "removed_before", jval_str(last->data, "queue.removed_at", ""));
	common_part(job, out, "merge", PART_RUNNING, now_ms, "in the merge queue");
	common_next(job, out);
}

/* Bounded, whatever is seen: what has not left the queue by then is left to GitHub. */
static void wait_in_queue(const struct job *job, int64_t now_ms, struct update *out)
{
	int64_t waited = now_ms - jval_int(job->data, "rollout.since_ms", now_ms);
	int64_t step = waited / 10, first = job->rules->look_service_ms;
	char ref[PULL_REF_MAX];

	if (waited >= QUEUE_MAX_MS || now_ms >= job->deadline_at_ms) {
		end_unmerged(job, "deploy.queue_slow",
			     "the pull request is still in the merge queue of GitHub, which merges "
			     "it when its checks have passed",
			     "Look at the queue", now_ms, out);
		return;
	}
	if (step < first)
		step = first;
	snprintf(ref, sizeof ref, "pull:%" PRId64 ":%" PRId64, job->repo_id, job->pr);
	common_wait(out, WAIT_PULL, ref,
		    now_ms + (step < QUEUE_LOOK_MAX_MS ? step : QUEUE_LOOK_MAX_MS));
}

static void is_queued(const struct job *job, const json_t *queue, int64_t now_ms,
		      struct update *out)
{
	static const struct {
		const char *state, *words;
	} states[] = {{"awaiting_checks", "its checks are going on"},
		      {"mergeable", "its checks have passed"},
		      {"locked", "it is being merged"},
		      {"unmergeable", "it does not fit with what stands before it"}};
	AUTO_BUF struct buf text = buf_make(400);
	const char *words = NULL;

	json_object_del(common_data(job, out, "rollout"), "absent");
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (str_eq(states[i].state, jval_str(queue, "state", "")))
			words = states[i].words;
	buf_puts(&text, "in the merge queue");
	if (jval_int(queue, "position", 0))
		buf_printf(&text, ", position %" PRId64, jval_int(queue, "position", 0));
	if (words)
		buf_printf(&text, ": %s", words);
	common_part(job, out, "merge", PART_RUNNING, now_ms, buf_text(&text));
	wait_in_queue(job, now_ms, out);
}

/* Thrown out, or taken out by a person. A look may be older than the merge, so one is not believed.
 */
static void is_not_queued(const struct job *job, const json_t *queue, int64_t now_ms,
			  struct update *out)
{
	json_t *rollout = common_data(job, out, "rollout");
	int64_t absent = jval_int(rollout, "absent", 0) + 1;
	const char *at = jval_str(queue, "removed_at", "");
	AUTO_BUF struct buf text = buf_make(1000);

	jval_set_int(rollout, "absent", absent);
	if (absent < ABSENT_SURE) {
		common_wait(out, WAIT_NONE, NULL, now_ms + job->rules->look_service_ms);
		return;
	}
	buf_puts(&text, "the pull request was removed from the merge queue and is not merged");
	if (*at && !str_eq(at, jval_str(rollout, "removed_before", ""))) {
		buf_puts(&text, " (GitHub's reason: ");
		markdown_code(&text, jval_str(queue, "reason", "none"), REASON_MAX);
		buf_puts(&text, ")");
	}
	end_unmerged(job, "deploy.dequeued", buf_text(&text),
		     "Put it into the queue again when that is mended", now_ms, out);
}

static void judge_queue(const struct job *job, const json_t *seen, int64_t now_ms,
			struct update *out)
{
	bool is_ours = str_eq(jval_str(seen, "head_sha", ""), job->head_sha);
	const json_t *queue = json_object_get(seen, "queue");

	if (is_ours && jval_bool(seen, "merged", false))
		is_merged(job, now_ms, out);
	else if (!is_ours)
		end_moved(job, now_ms, out);
	else if (!jval_bool(seen, "open", false))
		end_closed(job, now_ms, out);
	else if (!queue)
		wait_in_queue(job, now_ms, out); /* GitHub did not say */
	else if (jval_bool(queue, "in", false))
		is_queued(job, queue, now_ms, out);
	else if (job->cancel)
		end_stopped(job, "taken out of the merge queue",
			    "was taken out of the merge queue and is not merged", now_ms, out);
	else
		is_not_queued(job, queue, now_ms, out);
}

/* Somebody who stops it wants no merge: it is taken out, and the look after that tells. GitHub
 * itself takes out what is closed. */
void rollout_queue(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	bool leaves =
		job->cancel && !job_is_closed(job) && !jval_bool(job->data, "rollout.left", false);

	if (!last) {
		jval_set_bool(common_data(job, out, "rollout"), "leaves", leaves);
		common_ask(out, leaves ? EFFECT_DEQUEUE : EFFECT_QUEUE_LOOK, NULL);
		return;
	}
	/* only an answer settles it: an order that had to wait is given again */
	if (!jval_at(last->data, "head_sha") && jval_bool(job->data, "rollout.leaves", false))
		jval_set_bool(common_data(job, out, "rollout"), "left", true);
	if (!jval_at(last->data, "head_sha")) {
		if (last->err.class)
			wait_in_queue(job, now_ms, out); /* refused; perhaps it is merged */
		else
			common_ask(out, EFFECT_QUEUE_LOOK, NULL);
		return;
	}
	judge_queue(job, last->data, now_ms, out);
}

/* --- the branch that is left --- */

static void note(const struct job *job, struct update *out, const char *why)
{
	json_t *rollout = common_data(job, out, "rollout"),
	       *notes = json_object_get(rollout, "notes");
	AUTO_FREE char *text = str_printf("The branch was not deleted: %s", why);

	if (!notes) {
		notes = json_array();
		jval_set(rollout, "notes", notes);
	}
	json_array_append_new(notes, json_string(text));
}

/* What no look at GitHub is needed for. */
static const char *why_it_stays(const json_t *facts)
{
	const char *name = jval_str(facts, "head_ref", "");

	if (jval_bool(facts, "is_fork", true))
		return "it belongs to another repository";
	if (!*name || str_eq(name, jval_str(facts, "base_ref", "")) ||
	    str_eq(name, jval_str(facts, "default_branch", "")))
		return "it is the base branch or the default branch";
	return NULL;
}

void rollout_branch(const struct job *job, const struct effect_result *last, int64_t now_ms,
		    struct update *out)
{
	const json_t *facts = json_object_get(job->data, "facts");
	const char *why = why_it_stays(facts);
	json_t *args;

	(void)now_ms;
	if (!last && !why) {
		args = json_object();
		jval_set_str(args, "branch", jval_str(facts, "head_ref", ""));
		jval_set_str(args, "repository_id", jval_str(facts, "repository_id", ""));
		jval_set_str(args, "sha", job->head_sha);
		common_ask(out, EFFECT_BRANCH_DELETE, args);
		return;
	}
	if (last)
		why = last->err.class ? last->err.msg : jval_str(last->data, "why", NULL);
	if (why)
		note(job, out, why);
	else
		jval_set_bool(common_data(job, out, "rollout"), "branch_deleted", true);
	end_merged(job, out);
}
