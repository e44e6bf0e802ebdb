/* common_fork.c - see common_fork.h. The judgement is lib/core/forks.h's; here are its facts, from
 * GitHub's answer and the job's data, and what a job does with its answer. */
#include "lib/commands/common_fork.h"

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"

enum { WAITS_MAX = 4 };

bool common_is_uncached(const struct job *job)
{
	return jval_bool(job->args, "no-cache", false) || common_is_fork(job, NULL);
}

void common_fork_facts(const struct job *job, const json_t *pull, const char *sha,
		       struct fork_facts *out)
{
	static const char *const words[] = {"fork_build", "fork_run", "fork_deploy"};
	struct pin_head heads[COMMON_HEADS_MAX];
	const json_t *ok = json_object_get(pull, "ok"),
		     *policy = json_object_get(job->data, "policy");

	*out = (struct fork_facts){
		.command = command_by_name(&commands, job->command),
		.repo_id = job->repo_id,
		.base_repo_id = jval_int(pull, "base_repo_id", 0),
		.head_repo_id = jval_int(pull, "head_repo_id", 0),
		.sha = sha,
		.head = jval_str(pull, "head_sha", ""),
		.needs_head = true,
		.may_wait = jval_int(job->data, "fork.waits", 0) < WAITS_MAX,
		.ok = {.given = ok && str_eq(jval_str(ok, "sha", ""), sha),
		       .build_only = jval_bool(ok, "build_only", true),
		       .lapsed = !jval_bool(ok, "may", false)},
	};
	fork_hear(out, heads, common_heads(pull, heads));
	for (int use = 0; use < POLICY_FORK_USES; use++)
		if (!policy_fork_parse(&out->says[use], jval_str(policy, words[use], "")))
			out->says[use] = POLICY_FORK_NEVER;
}

void common_fork_wait(const struct job *job, int64_t now_ms, struct update *out)
{
	json_t *fork = common_data(job, out, "fork");
	int64_t waits = jval_int(fork, "waits", 0);

	jval_set_int(fork, "waits", waits + 1);
	out->head_sha[0] = '\0'; /* to be chosen anew */
	common_wait(out, WAIT_NONE, NULL, now_ms + (job->rules->look_service_ms << waits));
}

static void refuse(const struct job *job, const struct fork_facts *facts,
		   const struct fork_answer *answer, struct update *out)
{
	const struct policy_decision *decision = &answer->decision;
	const char *sha = answer->now ? answer->now : facts->sha;

	if (decision->verdict == POLICY_NEEDS_APPROVAL)
		common_refuse(
			out, decision->code,
			"%s `/%s` was not run on `%.7s`. A maintainer who has read `%.7s` says: "
			"`/ok-to-run %.12s`",
			decision->sentence, job->command, facts->sha, sha, sha);
	else
		common_refuse(out, decision->code, "%s `/%s` was not run.", decision->sentence,
			      job->command);
}

bool common_fork_may(const struct job *job, const struct fork_facts *facts, int64_t now_ms,
		     struct update *out)
{
	struct fork_answer answer;

	fork_judge(&answer, facts);
	if (answer.verdict == FORK_WAIT)
		common_fork_wait(job, now_ms, out);
	else if (answer.verdict == FORK_REFUSED)
		refuse(job, facts, &answer, out);
	return answer.verdict == FORK_GO;
}

/* --- the steps --- */

static void ask(const struct job *job, struct update *out)
{
	json_t *args = json_object();

	jval_set_str(args, "of", job->head_sha);
	common_ask(out, EFFECT_PULL, args);
}

static void judge(const struct job *job, const json_t *pull, bool needs_head, int64_t now_ms,
		  struct update *out)
{
	struct fork_facts facts;

	common_fork_facts(job, pull, job->head_sha, &facts);
	facts.needs_head = needs_head;
	if (!jval_bool(pull, "open", false) && !jval_bool(pull, "merged", false))
		common_refuse(out, "pull.closed",
			      "the pull request was closed meanwhile, and it "
			      "comes from a fork, so it was not gone on with");
	else if (common_fork_may(job, &facts, now_ms, out))
		common_next(job, out);
}

void common_fork(const struct job *job, const struct effect_result *last, int64_t now_ms,
		 struct update *out)
{
	if (!last)
		ask(job, out);
	else
		judge(job, last->data, true, now_ms, out);
}

/* What serves already was made of this commit, whatever was pushed since. */
void common_fork_deployed(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	if (!last)
		ask(job, out);
	else
		judge(job, last->data, false, now_ms, out);
}
