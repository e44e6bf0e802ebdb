/* approvers.h - whose approvals count in an environment: the rule `approvers` of its policy as a
 * job keeps it, and what it says of one person.
 *
 * The rule is kept with the job as JSON, {"permission","teams": [slug],"users": {login: numeric
 * id},"roles": [name]}, so that an approval is judged by the same file as the rest of the rollout;
 * NULL is the rule of a file that says nothing, write permission. People are known by GitHub's
 * number, and nobody counts who may not push. Pure; any thread. */
#ifndef KF_CORE_APPROVERS_H
#define KF_CORE_APPROVERS_H

#include <jansson.h>

#include "lib/base/buf.h"
#include "lib/core/policy_decide.h"

/* NULL when the file has no such rule; the caller drops it. */
json_t *approvers_keep(const struct policy_rule *rule) MUST_CHECK;

enum approver {
	APPROVER_NO,
	APPROVER_YES,
	APPROVER_ASK,	  /* it depends on a team that `person` has no answer about yet */
	APPROVER_UNKNOWN, /* and GitHub did not say whether they are in that team */
};
/* *team: of the last two, the one that it depends on, borrowed from the rule; else NULL. */
enum approver approvers_judge(const json_t *rule, const struct policy_person *person,
			      const char **team);

/* "one of @acme/ml-leads, @ann, role Release manager", each between `quote`s; "somebody with
 * maintain permission" where nobody is named; nothing for NULL. `repo`: whose owner has the teams.
 */
void approvers_say(const json_t *rule, const char *repo, const char *quote, struct buf *out);

#endif
