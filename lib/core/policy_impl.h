/* policy_impl.h - what the files of the policy share; nobody else includes it. */
#ifndef KF_CORE_POLICY_IMPL_H
#define KF_CORE_POLICY_IMPL_H

#include "lib/core/policy_decide.h"

void policy_fault(struct policy *policy, int line, int column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

const char *policy_period_name(int64_t period_ms); /* "day" */

/* "Fri 16:00-Mon 08:00". */
bool policy_window_parse(struct policy_window *out, const char *text);

/* The rule of the file for a command that has one of its own; NULL. */
const struct policy_rule *policy_own_rule(const struct policy *policy,
					  const struct command *command);

/* The rules that all have to hold for a command: those of its parts when it has none. */
enum { POLICY_PARTS_MAX = 4 };
struct policy_needed {
	const struct command *command; /* in whose name */
	const struct policy_rule *rule;
	char name[POLICY_RULE_MAX]; /* "commands.run, line 3" */
};
struct policy_needed_list {
	struct policy_rule defaults[POLICY_PARTS_MAX]; /* of those that the file does not name */
	struct policy_needed items[POLICY_PARTS_MAX];
	size_t count;
};
void policy_needed(struct policy_needed_list *out, const struct policy *policy,
		   const struct command_table *table, const struct command *command,
		   const char *environment);

/* The ceiling is about this command in this environment. */
bool policy_ceiling_applies(const struct policy_ceiling *ceiling, const struct command *command,
			    const char *environment);

/* The command or, for one that has parts, one of them is named by that word of a person. */
bool policy_command_is(const struct command *command, const char *name);

/* It names teams, users or roles. */
bool policy_names_people(const struct policy_rule *rule);
/* The person is one of them; else *unknown gets a team that could have been it, or NULL. */
bool policy_is_among(const struct policy_rule *rule, const struct policy_person *person,
		     const char **unknown);

/* Approvals that the command needs there, by policy and ceilings. */
int policy_approvals_of(const struct policy *policy, const struct policy_ceilings *ceilings,
			const struct command *command, const char *environment);

enum { POLICY_KEY_MAX = 64 };
void policy_ceiling_key(char out[POLICY_KEY_MAX], const struct policy_ceiling *ceiling);
/* Of the quota of all together that stands beside the one of this key. */
void policy_repository_key(char out[POLICY_KEY_MAX], const char *key);

bool policy_person_has(const struct policy_person *person, enum right right);

#endif
