/* forks.c - see forks.h. Asked in this order: is it a fork, may forks ever, is the commit still the
 * head, has a maintainer allowed it. */
#include "lib/core/forks.h"

#include <stdio.h>

#include "lib/base/str.h"

bool fork_is_one(const struct fork_facts *facts)
{
	return facts->base_repo_id <= 0 || facts->base_repo_id != facts->repo_id ||
	       facts->head_repo_id != facts->base_repo_id;
}

void fork_hear(struct fork_facts *facts, const struct pin_head *heads, size_t count)
{
	int64_t newest_ms = 0;

	facts->heard[0] = '\0';
	for (size_t i = 0; i < count; i++)
		if (heads[i].at_ms > newest_ms ||
		    (heads[i].at_ms == newest_ms && str_eq(heads[i].sha, facts->sha))) {
			newest_ms = heads[i].at_ms;
			(void)str_copy(facts->heard, sizeof facts->heard, heads[i].sha);
		}
}

static enum policy_origin origin_of(const struct fork_facts *facts)
{
	if (facts->base_repo_id <= 0 || facts->base_repo_id != facts->repo_id)
		return POLICY_ORIGIN_UNKNOWN;
	if (!fork_is_one(facts))
		return POLICY_ORIGIN_BRANCH;
	if (!facts->ok.given || facts->ok.lapsed)
		return POLICY_ORIGIN_FORK;
	return facts->ok.build_only ? POLICY_ORIGIN_FORK_BUILD : POLICY_ORIGIN_FORK_OK;
}

static void refuse(struct fork_answer *out, const char *code, const char *sentence)
{
	out->verdict = FORK_REFUSED;
	out->decision = (struct policy_decision){.verdict = POLICY_NEEDS_APPROVAL, .code = code};
	(void)str_copy(out->decision.rule, sizeof out->decision.rule, "forks");
	(void)str_copy(out->decision.sentence, sizeof out->decision.sentence, sentence);
}

/* True when the commit is the head by all that is known; else the answer is filled. */
static bool is_head(struct fork_answer *out, const struct fork_facts *facts)
{
	bool by_github = str_eq(facts->head, facts->sha);
	bool by_events = str_is_empty(facts->heard) || str_eq(facts->heard, facts->sha);

	if (by_github && by_events)
		return true;
	if (by_github != by_events && facts->may_wait) {
		out->verdict = FORK_WAIT;
		return false;
	}
	refuse(out, "fork.moved",
	       "There was a push to the fork, and what a maintainer allows is one commit only.");
	out->now = by_github ? facts->heard : facts->head;
	return false;
}

void fork_judge(struct fork_answer *out, const struct fork_facts *facts)
{
	enum policy_origin origin = origin_of(facts);

	*out = (struct fork_answer){.verdict = FORK_GO};
	out->decision.code = "";
	if (!facts->command->uses || origin == POLICY_ORIGIN_BRANCH)
		return;
	out->verdict = FORK_REFUSED;
	/* what no word of a maintainer's could change goes first */
	if (!policy_decide_fork(&out->decision, facts->says, facts->command,
				origin == POLICY_ORIGIN_UNKNOWN ? origin : POLICY_ORIGIN_FORK_OK))
		return;
	if (facts->needs_head && !is_head(out, facts))
		return;
	if (facts->ok.given && facts->ok.lapsed)
		refuse(out, "fork.ok_lapsed",
		       "Whoever allowed this commit of a fork may not do so any more, so it has to "
		       "be "
		       "allowed anew.");
	else if (policy_decide_fork(&out->decision, facts->says, facts->command, origin))
		out->verdict = FORK_GO;
}
