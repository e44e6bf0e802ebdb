/* rights.h - from what was learned about a person and a repository to the decision of the policy.
 *
 * The facts are one JSON object, so that they can be the result of an effect as well as a file for
 * `kfc simulate`; a member that is absent is not known:
 *   "policy"    {"text","source"}: the file; {"none": true}: there is none; else it is unusable,
 *               "why" says how that came
 *   "users"     {login: numeric id} of the logins that the policy names
 *   "ceilings"  the operator's list, as config_ceilings gives it
 *   "operator_approvals"  what the operator asks for in production, for this repository alone
 *   "user_id","pull","triage","push","maintain","admin","role"   GitHub's word on the person
 *   "teams"     {slug: true | false | null}
 *   "uses"      {key of policy_needs: how often}
 *   "nexts"     {key: when it is possible again}
 *   "approvals" that count already
 * Pure; any thread. */
#ifndef KF_COMMANDS_RIGHTS_H
#define KF_COMMANDS_RIGHTS_H

#include "lib/core/job.h"
#include "lib/core/policy_decide.h"

struct rights {
	struct policy *policy;
	struct policy_ceilings ceilings;
	struct policy_person person;
	struct policy_team *teams;
	struct policy_use *uses;
	size_t use_count;
	struct policy_next *nexts;
	size_t next_count;
	int approvals;
};

/* `facts` (NULL: nothing is known) is borrowed until rights_dispose. */
void rights_read(struct rights *out, const json_t *facts, const char *repo);
void rights_dispose(struct rights *rights);
#define AUTO_RIGHTS __attribute__((cleanup(rights_dispose)))

void rights_decide(struct policy_decision *out, const struct rights *rights,
		   const struct command *command, const json_t *args, int64_t actor_id,
		   enum policy_origin origin);

/* The same of what is under way already: quotas are left aside. */
void rights_decide_under_way(struct policy_decision *out, const struct rights *rights,
			     const struct command *command, const json_t *args, int64_t actor_id);

/* Which jobs of others they may stop, as stops.h has it: those whose command they may give, where
 * approvals that are missing and quotas that are used up do not count. What the facts leave open
 * is not allowed. The caller drops it. */
json_t *rights_stops(const struct rights *rights, int64_t actor_id) MUST_CHECK;

/* The policy of facts["policy"], with the ids of facts["users"]; the caller frees. */
struct policy *rights_policy(const json_t *facts) MUST_CHECK;

#endif
