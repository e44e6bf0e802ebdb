/* common_fork.h - pull requests from forks: whether a job may go on with the commit that it has.
 *
 * Asked when the commit is chosen, and again right before anything is done with it: before it is
 * compiled, uploaded, run or deployed. Other jobs pass these steps over. Pure; any thread. */
#ifndef KF_COMMANDS_COMMON_FORK_H
#define KF_COMMANDS_COMMON_FORK_H

#include "lib/commands/common.h"
#include "lib/core/forks.h"

/* Is it compiled and run without caching: because the person said so, or because what a fork makes
 * must not be what others find. */
bool common_is_uncached(const struct job *job);

/* From the answer of EFFECT_PULL and what is kept of the policy; texts are borrowed. */
void common_fork_facts(const struct job *job, const json_t *pull, const char *sha,
		       struct fork_facts *out);
/* True when the job may go on with that commit; else the update says what comes of it. */
bool common_fork_may(const struct job *job, const struct fork_facts *facts, int64_t now_ms,
		     struct update *out) MUST_CHECK;
/* Asks again a little later, with the commit chosen anew. */
void common_fork_wait(const struct job *job, int64_t now_ms, struct update *out);

STEP_DECIDE(common_fork);
STEP_DECIDE(common_fork_deployed);

/* Before each thing that is done with a commit of a fork; a command has several of them. */
#define STEP_FORK(name_)                                                                           \
	{                                                                                          \
		.name = name_, .sentence = "asking whether this commit of a fork may be used",     \
		.only_forks = true, .decide = common_fork                                          \
	}
/* The same before what serves already is brought further. */
#define STEP_FORK_DEPLOYED(name_)                                                                  \
	{                                                                                          \
		.name = name_, .sentence = "asking whether this commit of a fork may be used",     \
		.only_forks = true, .decide = common_fork_deployed                                 \
	}

#endif
