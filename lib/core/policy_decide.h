/* policy_decide.h - may this person do this here: the policy under the operator's ceilings.
 *
 * One pure function decides. It compares numeric user ids only, counts whatever is not known as
 * "no", and names the rule that made the answer. Ceilings come from the operator's file; a policy
 * can be stricter than they are, never looser. Pure; any thread. */
#ifndef KF_CORE_POLICY_DECIDE_H
#define KF_CORE_POLICY_DECIDE_H

#include "lib/core/policy.h"

enum {
	POLICY_CEILINGS_MAX = 200, /* of the operator's file */
	POLICY_SENTENCE_MAX = 480,
	POLICY_RULE_MAX = 160,
};

/* --- words of both files --- */

/* "write"; false unless it is one of the five levels. */
bool policy_right_parse(enum right *out, const char *text);
/* "5/day" of hour, day and week. */
bool policy_quota_parse(struct policy_quota *out, const char *text);
/* "never" or "ok-to-run". */
bool policy_fork_parse(enum policy_fork *out, const char *text);

/* --- the operator's ceilings --- */

struct policy_ceiling {
	int number;	 /* in the operator's file, from 0 */
	char **commands; /* none: every command that changes something */
	size_t command_count;
	char **environments; /* none: every one, and commands that have none */
	size_t environment_count;
	enum right permission; /* nobody below it */
	bool teams_required;   /* the policy's rule must name teams, users or roles */
	int approvals;	       /* at least */
	struct policy_quota quota, quota_repository;
	enum policy_fork forks;
};

struct policy_ceilings {
	struct policy_ceiling *items;
	size_t count;
};

/* From the list "ceilings" of the operator's file (values as config_load gives them; NULL: none):
 * those that match `repo`. A value that cannot be read denies all that the entry applies to. */
void policy_ceilings_read(struct policy_ceilings *out, const json_t *list, const char *repo);
void policy_ceilings_dispose(struct policy_ceilings *ceilings);

/* --- the decision --- */

enum policy_membership { POLICY_MEMBER_UNKNOWN, POLICY_MEMBER_NO, POLICY_MEMBER_YES };

struct policy_team {
	const char *slug;
	enum policy_membership member;
};

/* GitHub's answers about one person; whatever is absent counts as "no". Borrowed. */
struct policy_person {
	int64_t user_id;			  /* 0: GitHub did not say */
	bool pull, triage, push, maintain, admin; /* each from its own boolean, none derived */
	const char *role;			  /* of the repository, custom ones too; NULL */
	const struct policy_team *teams;	  /* those that were asked for */
	size_t team_count;
};

/* How often the person, or all of the repository, gave the commands that a quota counts. */
struct policy_use {
	const char *key; /* of policy_needs */
	int64_t count;
};

/* When a quota that is used up is not any more. */
struct policy_next {
	const char *key;
	int64_t at_ms;
};

enum policy_origin {
	POLICY_ORIGIN_UNKNOWN, /* denies where forks are not free */
	POLICY_ORIGIN_LATER,   /* asked when the pull request is known; not now */
	POLICY_ORIGIN_BRANCH,
	POLICY_ORIGIN_FORK,
	POLICY_ORIGIN_FORK_BUILD, /* and a maintainer has allowed to build this very commit */
	POLICY_ORIGIN_FORK_OK,	  /* and whatever else the policy lets forks do */
};

struct policy_question {
	const struct command *command;
	const struct command_table *table;
	const char *environment; /* of a command that is for one; see policy_environment_of */
	int64_t actor_id;	 /* the webhook's */
	const struct policy_person *person; /* NULL: GitHub gave no answer */
	enum policy_origin origin;
	bool is_under_way;	       /* and was counted when it began: quotas are left aside */
	int approvals;		       /* that count already */
	const struct policy_use *uses; /* what policy_needs asked for */
	size_t use_count;
	const struct policy_next *nexts; /* of those that are used up, as far as it is known */
	size_t next_count;
};

enum policy_verdict { POLICY_DENY, POLICY_UNKNOWN, POLICY_NEEDS_APPROVAL, POLICY_ALLOW };
const char *policy_verdict_name(enum policy_verdict verdict); /* "needs approval" */

struct policy_decision {
	enum policy_verdict verdict;
	const char *code;		    /* "denied.permission"; "" when allowed; static */
	char rule[POLICY_RULE_MAX];	    /* "environments.production.deploy, line 9" */
	char sentence[POLICY_SENTENCE_MAX]; /* what would be needed; "" when allowed */
	int approvals;			    /* that are needed in all */
};

void policy_decide(struct policy_decision *out, const struct policy *policy,
		   const struct policy_ceilings *ceilings, const struct policy_question *question);

/* What has to be asked before policy_decide can answer:
 * {"teams": [slug], "uses": [{"key","commands": [names that count],"period_ms","quota": how often,
 * "repository": true when everybody's count}]}; the caller drops it. */
json_t *policy_needs(const struct policy *policy, const struct policy_ceilings *ceilings,
		     const struct policy_question *question) MUST_CHECK;

/* Environment of a call: the command's own, its argument, or production; NULL: it is for none. */
const char *policy_environment_of(const struct command *command, const json_t *args);

/* What holds in an environment, from file, defaults and ceilings together. */
struct policy_terms {
	int approvals;
	struct policy_rule approvers; /* borrowed from the policy */
	bool checks, up_to_date;
	const char *after; /* NULL */
	const int *steps;
	size_t step_count;
	int64_t hold_ms; /* -1: not said */
	bool merges;
	const char *method;    /* NULL: not said */
	const char *namespace; /* NULL: any that no other environment has */
};
/* `command`: the one that deploys there. */
void policy_terms(struct policy_terms *out, const struct policy *policy,
		  const struct policy_ceilings *ceilings, const struct command *command,
		  const char *environment);
/* The environment whose namespace this is by the policy; NULL: nobody's. */
const char *policy_namespace_owner(const struct policy *policy, const char *namespace);

/* How pull requests of forks may be used at most: the policy's word under the ceilings. */
enum policy_fork policy_forks(const struct policy *policy, const struct policy_ceilings *ceilings,
			      enum policy_fork_use use);
const char *policy_fork_name(enum policy_fork fork); /* "ok-to-run" */
/* May the command be used on a pull request from there, by these words about forks (UNSET: not
 * known, denies)? Fills *out when not. */
bool policy_decide_fork(struct policy_decision *out, const enum policy_fork says[POLICY_FORK_USES],
			const struct command *command, enum policy_origin origin) MUST_CHECK;

/* Calls `each` with a sentence for every rule that a ceiling makes stricter, for /config. */
void policy_cuts(const struct policy *policy, const struct policy_ceilings *ceilings,
		 const struct command_table *table, void (*each)(void *arg, const char *sentence),
		 void *arg);

#endif
