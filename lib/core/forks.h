/* forks.h - may a job go on with the commit it has, when its pull request comes from a fork.
 *
 * The policy says what forks may ever do (policy_decide.h); a maintainer says it of one commit.
 * That word holds while the commit is the head, so every push makes a new one necessary. What is
 * not known denies. Pure; any thread. */
#ifndef KF_CORE_FORKS_H
#define KF_CORE_FORKS_H

#include "lib/core/pin.h"
#include "lib/core/policy_decide.h"

/* What a maintainer said of the commit; zeroed: nothing. */
struct fork_ok {
	bool given;
	bool build_only;
	bool lapsed; /* who said it has not the right to any more */
};

/* Texts behind pointers are borrowed. */
struct fork_facts {
	const struct command *command;
	enum policy_fork says[POLICY_FORK_USES]; /* by policy and ceilings; UNSET: not known */
	int64_t repo_id;			 /* of the job */
	int64_t base_repo_id, head_repo_id;	 /* as GitHub says; head 0: the fork is gone */
	const char *sha;			 /* of the job */
	const char *head;			 /* of the pull request, as GitHub names it now */
	char heard[PIN_SHA_SIZE]; /* by its newest event, see fork_hear; "": none came */
	bool needs_head;	  /* false: it goes on with what was deployed from this commit */
	bool may_wait;		  /* what is behind may still catch up */
	struct fork_ok ok;	  /* of `sha` */
};

enum fork_verdict {
	FORK_GO,
	FORK_WAIT, /* GitHub and its events name two heads: ask again */
	FORK_REFUSED,
};

struct fork_answer {
	enum fork_verdict verdict;
	struct policy_decision decision; /* when refused */
	const char *now; /* "fork.moved": the head there is; borrowed from the facts */
};

/* Which head the events tell of: the newest one's, in whatever order they came. Where several have
 * its second it is not known which was last, and `sha` is taken if it is one of them. */
void fork_hear(struct fork_facts *facts, const struct pin_head *heads, size_t count);
/* Is it a fork? Known only when the base is the job's repository. */
bool fork_is_one(const struct fork_facts *facts);
void fork_judge(struct fork_answer *out, const struct fork_facts *facts);

#endif
