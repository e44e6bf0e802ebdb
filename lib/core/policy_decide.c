/* policy_decide.c - see policy_decide.h. Each right is read from its own boolean and none is
 * derived from another: an answer with "admin" but without "push" does not allow what needs write
 * permission. */
#include "lib/core/policy_decide.h"

#include <stddef.h>

static const char *missing(enum right needed, const struct policy_person *person)
{
	switch (needed) {
	case RIGHT_ANYONE:
		return NULL;
	case RIGHT_READ:
		return person->pull ? NULL
				    : "This needs read permission on this repository, which its "
				      "maintainers can give.";
	case RIGHT_TRIAGE:
		return person->triage ? NULL
				      : "This needs triage permission on this repository, which "
					"its maintainers can give.";
	case RIGHT_WRITE:
		return person->push ? NULL
				    : "This needs write permission on this repository, which its "
				      "maintainers can give.";
	case RIGHT_MAINTAIN:
		return person->maintain ? NULL
					: "This needs maintain permission on this repository, "
					  "which its maintainers can give.";
	case RIGHT_ADMIN:
		return person->admin ? NULL
				     : "This needs admin permission on this repository, which its "
				       "maintainers can give.";
	}
	return "This command asks for a right that does not exist.";
}

bool policy_allows(enum right needed, const struct policy_person *person, int64_t expected_user_id,
		   const char **why)
{
	*why = NULL;
	if (needed == RIGHT_ANYONE)
		return true;
	if (!person || person->user_id <= 0 || expected_user_id <= 0)
		*why = "Your permission on this repository could not be verified.";
	else if (person->user_id != expected_user_id)
		*why = "The account that wrote the comment is not the one that has this name now.";
	else
		*why = missing(needed, person);
	return !*why;
}
