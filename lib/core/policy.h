/* policy.h - who may give a command: a person's rights on the base repository against the right
 * that the command needs.
 *
 * The rights are GitHub's answer about the person, the user id is the one of the webhook: both must
 * speak of the same account, because a login can change hands. Whatever is missing counts as "no".
 * Pure; any thread. */
#ifndef KF_CORE_POLICY_H
#define KF_CORE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/core/command.h"

struct policy_person {
	int64_t user_id;			  /* 0: GitHub did not say */
	bool pull, triage, push, maintain, admin; /* false when absent from GitHub's answer */
};

/* True when `person` (NULL: GitHub gave no answer) may do what needs the right. Otherwise *why is a
 * static sentence for the person; NULL when allowed. */
bool policy_allows(enum right needed, const struct policy_person *person, int64_t expected_user_id,
		   const char **why);

#endif
