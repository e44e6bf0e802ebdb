/* common_commit.c - see common.h: the step that settles on which commit a job works, and whether it
 * may, where that is one of a fork. */
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/common_fork.h"

void common_pin(const struct job *job, const struct effect_result *last, int64_t now_ms,
		struct update *out)
{
	const json_t *pull = last ? last->data : NULL;
	struct fork_facts fork;
	json_t *kept;

	if (!last) {
		common_pin_ask(job, out);
		return;
	}
	if (!jval_bool(pull, "open", false)) {
		common_refuse(out, "pull.closed", "the pull request is %s; reopen it, then `%s`",
			      jval_bool(pull, "merged", false) ? "merged" : "closed", job->line);
		return;
	}
	if (!str_is_object_name(jval_str(pull, "head_sha", ""))) {
		common_end(out, JOB_FAILED, "pin.unknown", "GitHub did not name the head commit");
		return;
	}
	if (!common_pin_choose(job, pull, now_ms, out))
		return;
	common_fork_facts(job, pull, out->head_sha, &fork);
	if (!common_fork_may(job, &fork, now_ms, out))
		return;
	kept = common_data(job, out, "pull");
	jval_set_bool(kept, "fork", fork_is_one(&fork));
	jval_set_str(kept, "head_ref", jval_str(pull, "head_ref", ""));
	jval_set_str(kept, "base_ref", jval_str(pull, "base_ref", ""));
	jval_set_str(kept, "html_url", jval_str(pull, "html_url", ""));
	common_next(job, out);
}

void common_pin_proven(const struct job *job, const struct effect_result *last, int64_t now_ms,
		       struct update *out)
{
	jval_set_bool(common_data(job, out, "pin"), "proves", true);
	common_pin(job, last, now_ms, out);
}
