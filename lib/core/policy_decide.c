/* policy_decide.c - see policy_decide.h.
 *
 * The answer is looked for in a fixed order, and the first "no" is it: who is asking, is the policy
 * whole, the rule's permission and people, the operator's ceilings, forks, quotas. Approvals come
 * last, because they are the only thing that others can still add. Each right is read from its own
 * boolean and none is derived from another: an answer with "admin" but without "push" does not
 * allow what needs write permission. */
#include "lib/core/policy_decide.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/policy_impl.h"

enum { WHO_MAX = 300 };

const char *policy_verdict_name(enum policy_verdict verdict)
{
	static const char *const names[] = {"deny", "unknown", "needs approval", "allow"};

	return names[verdict];
}

bool policy_person_has(const struct policy_person *person, enum right right)
{
	switch (right) {
	case RIGHT_ANYONE:
		return true;
	case RIGHT_READ:
		return person->pull;
	case RIGHT_TRIAGE:
		return person->triage;
	case RIGHT_WRITE:
		return person->push;
	case RIGHT_MAINTAIN:
		return person->maintain;
	case RIGHT_ADMIN:
		return person->admin;
	}
	return false;
}

const char *policy_environment_of(const struct command *command, const json_t *args)
{
	if (command->scope != SCOPE_ENVIRONMENT)
		return NULL;
	return command->environment ? command->environment : jval_str(args, "arg", "production");
}

/* --- which rules --- */

static const struct policy_rule *environment_rule(const struct policy *policy,
						  const struct command *command,
						  const char *environment, const char **name)
{
	const struct policy_environment *terms = policy_environment(policy, environment);

	*name = "deploy";
	if (!terms)
		return NULL;
	if (str_eq(command->rule, "rollback") && terms->rollback.set) {
		*name = "rollback";
		return &terms->rollback;
	}
	if (str_eq(command->rule, "lock") && terms->lock.set) {
		*name = "lock";
		return &terms->lock;
	}
	return terms->deploy.set ? &terms->deploy : NULL;
}

/* Adds one; without a rule of the file the default one. */
static void add_needed(struct policy_needed_list *list, const struct command *command,
		       const struct policy_rule *rule, const char *name)
{
	struct policy_needed *needed = &list->items[list->count];

	must(list->count < POLICY_PARTS_MAX);
	needed->command = command;
	if (rule) {
		needed->rule = rule;
		(void)snprintf(needed->name, sizeof needed->name, "%s, line %d", name, rule->line);
	} else {
		list->defaults[list->count].permission = command->right;
		needed->rule = &list->defaults[list->count];
		(void)snprintf(needed->name, sizeof needed->name, "default of /%s", command->name);
	}
	list->count++;
}

static void add_command(struct policy_needed_list *list, const struct policy *policy,
			const struct command *command)
{
	char name[POLICY_RULE_MAX];

	(void)snprintf(name, sizeof name, "commands.%s", command->name);
	add_needed(list, command, policy_own_rule(policy, command), name);
}

void policy_needed(struct policy_needed_list *out, const struct policy *policy,
		   const struct command_table *table, const struct command *command,
		   const char *environment)
{
	char name[POLICY_RULE_MAX];

	*out = (struct policy_needed_list){0};
	if (command->scope == SCOPE_ENVIRONMENT) {
		const char *rule_name;
		const struct policy_rule *rule =
			environment_rule(policy, command, environment, &rule_name);

		(void)snprintf(name, sizeof name, "environments.%s.%s", environment, rule_name);
		add_needed(out, command, rule, name);
	} else if (command->parts && !policy_own_rule(policy, command)) {
		for (const char *const *part = command->parts; *part; part++) {
			const struct command *one = command_by_name(table, *part);

			must(one);
			add_command(out, policy, one);
		}
	} else {
		add_command(out, policy, command);
	}
}

/* --- answers --- */

static void verdict(struct policy_decision *out, enum policy_verdict verdict, const char *code,
		    const char *rule, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
static void verdict(struct policy_decision *out, enum policy_verdict verdict, const char *code,
		    const char *rule, const char *fmt, ...)
{
	va_list args;

	out->verdict = verdict;
	out->code = code;
	(void)str_copy(out->rule, sizeof out->rule, rule);
	va_start(args, fmt);
	(void)vsnprintf(out->sentence, sizeof out->sentence, fmt, args);
	va_end(args);
	out->sentence[str_utf8_cut(out->sentence, strlen(out->sentence))] = '\0';
}

static bool identified(struct policy_decision *out, const struct policy_question *question)
{
	const struct policy_person *person = question->person;

	if (!person || person->user_id <= 0 || question->actor_id <= 0)
		verdict(out, POLICY_UNKNOWN, "denied.unverified", "the person",
			"Your permission on this repository could not be verified.");
	else if (person->user_id != question->actor_id)
		verdict(out, POLICY_DENY, "denied.identity", "the person",
			"The account that wrote the comment is not the one that has this name "
			"now.");
	else
		return true;
	return false;
}

/* A fault is for those who can mend it. */
static bool is_whole(struct policy_decision *out, const struct policy *policy,
		     const struct policy_person *person)
{
	if (!policy->fault_count)
		return true;
	if (person->maintain || person->admin)
		verdict(out, POLICY_DENY, "policy.invalid", policy->source,
			"The policy file has a fault, so nothing is allowed until it is mended on "
			"the default branch: %.120s, line %d, column %d: %.200s%s.",
			policy->source, policy->faults[0].line, policy->faults[0].column,
			policy->faults[0].text, policy->fault_count > 1 ? " (and more)" : "");
	else
		verdict(out, POLICY_DENY, "policy.invalid", policy->source,
			"The policy file of this repository has a fault, so nothing is allowed. A "
			"maintainer who gives the command is told what it is.");
	return false;
}

/* --- people --- */

bool policy_names_people(const struct policy_rule *rule)
{
	return rule->team_count || rule->user_count || rule->role_count;
}

static enum policy_membership member_of(const struct policy_person *person, const char *slug)
{
	for (size_t i = 0; i < person->team_count; i++)
		if (str_eq(person->teams[i].slug, slug))
			return person->teams[i].member;
	return POLICY_MEMBER_UNKNOWN;
}

bool policy_is_among(const struct policy_rule *rule, const struct policy_person *person,
		     const char **unknown)
{
	*unknown = NULL;
	for (size_t i = 0; i < rule->user_count; i++)
		if (rule->users[i].id > 0 && rule->users[i].id == person->user_id)
			return true;
	for (size_t i = 0; i < rule->role_count; i++)
		if (str_eq(rule->roles[i], person->role))
			return true;
	for (size_t i = 0; i < rule->team_count; i++) {
		enum policy_membership member = member_of(person, rule->teams[i]);

		if (member == POLICY_MEMBER_YES)
			return true;
		if (member == POLICY_MEMBER_UNKNOWN && !*unknown)
			*unknown = rule->teams[i];
	}
	return false;
}

static void put_names(struct buf *out, const char *what, char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s%s `%s`", out->len ? ", " : "", what, names[i]);
}

static void say_people(struct buf *out, const struct policy_rule *rule)
{
	put_names(out, "team", rule->teams, rule->team_count);
	for (size_t i = 0; i < rule->user_count; i++)
		buf_printf(out, "%suser `%s`", out->len ? ", " : "", rule->users[i].login);
	put_names(out, "role", rule->roles, rule->role_count);
}

static bool meets_rule(struct policy_decision *out, const struct policy_needed *needed,
		       const struct policy_person *person)
{
	const struct policy_rule *rule = needed->rule;
	AUTO_BUF struct buf who = buf_make(WHO_MAX);
	enum right least = needed->command->right_is_least ? needed->command->right : RIGHT_ANYONE;
	enum right right = rule->permission > least ? rule->permission : least;
	const char *unknown;

	if (!policy_person_has(person, right)) {
		verdict(out, POLICY_DENY, "denied.permission", needed->name,
			"This needs %s permission on this repository, which its maintainers can "
			"give.",
			right_name(right));
		return false;
	}
	if (!policy_names_people(rule) || policy_is_among(rule, person, &unknown))
		return true;
	if (unknown) {
		verdict(out, POLICY_UNKNOWN, "denied.team_unknown", needed->name,
			"Whether you belong to the team `%s`, which the policy names (%s), could "
			"not be learned: there is no such team, or the bot may not see it.",
			unknown, needed->name);
		return false;
	}
	say_people(&who, rule);
	verdict(out, POLICY_DENY, "denied.team", needed->name,
		"The policy allows this to others (%s): %s%s.", needed->name, buf_text(&who),
		who.truncated ? "…" : "");
	return false;
}

static bool meets_rules(struct policy_decision *out, const struct policy_needed_list *list,
			const struct policy_person *person)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!meets_rule(out, &list->items[i], person))
			return false;
		(void)str_copy(out->rule, sizeof out->rule, list->items[i].name);
	}
	return true;
}

/* --- ceilings --- */

static bool all_name_people(const struct policy_needed_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (!policy_names_people(list->items[i].rule))
			return false;
	return true;
}

static bool under_ceiling(struct policy_decision *out, const struct policy_ceiling *ceiling,
			  const struct policy_needed_list *list, const struct policy_person *person)
{
	char name[POLICY_RULE_MAX];

	(void)snprintf(name, sizeof name, "ceilings[%d] of the operator", ceiling->number);
	if (!policy_person_has(person, ceiling->permission))
		verdict(out, POLICY_DENY, "denied.ceiling", name,
			"The operator of this bot asks for %s permission here, whatever the "
			"repository's policy says.",
			right_name(ceiling->permission));
	else if (ceiling->teams_required && !all_name_people(list))
		verdict(out, POLICY_DENY, "denied.ceiling", name,
			"The operator of this bot asks that the policy name teams, users or roles "
			"for this (%s); until it does, nobody may.",
			list->items[0].name);
	else
		return true;
	return false;
}

static bool under_ceilings(struct policy_decision *out, const struct policy_ceilings *ceilings,
			   const struct policy_question *question,
			   const struct policy_needed_list *list)
{
	for (size_t i = 0; i < ceilings->count; i++)
		if (policy_ceiling_applies(&ceilings->items[i], question->command,
					   question->environment) &&
		    !under_ceiling(out, &ceilings->items[i], list, question->person))
			return false;
	return true;
}

/* --- forks --- */

/* UNSET: the command does nothing with what is in the pull request. */
static enum policy_fork strictest(const enum policy_fork says[POLICY_FORK_USES], unsigned uses)
{
	enum policy_fork fork = POLICY_FORK_UNSET, one;

	for (int use = 0; use < POLICY_FORK_USES; use++) {
		if (!(uses & (1u << use)))
			continue;
		one = says[use] == POLICY_FORK_UNSET ? POLICY_FORK_NEVER : says[use];
		fork = one > fork ? one : fork;
	}
	return fork;
}

bool policy_decide_fork(struct policy_decision *out, const enum policy_fork says[POLICY_FORK_USES],
			const struct command *command, enum policy_origin origin)
{
	enum policy_fork fork = strictest(says, command->uses);

	if (fork == POLICY_FORK_UNSET || origin == POLICY_ORIGIN_BRANCH ||
	    origin == POLICY_ORIGIN_LATER)
		return true;
	if (origin == POLICY_ORIGIN_UNKNOWN)
		verdict(out, POLICY_UNKNOWN, "denied.unverified", "forks",
			"Whether this pull request comes from a fork could not be learned.");
	else if (fork == POLICY_FORK_NEVER)
		verdict(out, POLICY_DENY, "fork.never", "forks",
			"This pull request comes from a fork, and `/%s` is never for forks here, "
			"by "
			"`forks` in the policy file or the operator's word. A maintainer can push "
			"the branch to this repository and open a pull request from there.",
			command->name);
	else if (origin == POLICY_ORIGIN_FORK)
		verdict(out, POLICY_NEEDS_APPROVAL, "fork.not_approved", "forks",
			"This pull request comes from a fork. A maintainer who has read this very "
			"commit can allow it.");
	else if (origin == POLICY_ORIGIN_FORK_BUILD && (command->uses & ~(unsigned)USE_BUILD))
		verdict(out, POLICY_NEEDS_APPROVAL, "fork.build_only", "forks",
			"This pull request comes from a fork, and a maintainer has allowed this "
			"commit to be built only. `/%s` does more.",
			command->name);
	else
		return true;
	return false;
}

static bool from_allowed_place(struct policy_decision *out, const struct policy *policy,
			       const struct policy_ceilings *ceilings,
			       const struct policy_question *question)
{
	enum policy_fork says[POLICY_FORK_USES];

	for (int use = 0; use < POLICY_FORK_USES; use++)
		says[use] = policy_forks(policy, ceilings, (enum policy_fork_use)use);
	return policy_decide_fork(out, says, question->command, question->origin);
}

/* --- quotas --- */

static int64_t used(const struct policy_question *question, const char *key)
{
	for (size_t i = 0; i < question->use_count; i++)
		if (str_eq(question->uses[i].key, key))
			return question->uses[i].count;
	return -1;
}

/* " The next one is possible on Sat 09:31 UTC.", or nothing. A begun minute is over by then. */
static void tell_next(char out[64], const struct policy_question *question, const char *key)
{
	enum { MINUTE_MS = 60000 };
	char moment[16];

	out[0] = '\0';
	for (size_t i = 0; i < question->next_count; i++) {
		if (!str_eq(question->nexts[i].key, key))
			continue;
		policy_moment(moment, question->nexts[i].at_ms + MINUTE_MS - 1);
		(void)snprintf(out, 64, " The next one is possible on %s.", moment);
	}
}

static bool within_quota(struct policy_decision *out, const struct policy_question *question,
			 const struct policy_quota *quota, const char *key, const char *name)
{
	int64_t count = quota->count ? used(question, key) : 0;
	char next[64];

	if (!quota->count || (count >= 0 && count < quota->count))
		return true;
	tell_next(next, question, key);
	if (count < 0)
		verdict(out, POLICY_UNKNOWN, "denied.unverified", name,
			"How often you did this lately could not be counted.");
	else
		verdict(out, POLICY_DENY, "denied.quota", name,
			"You did this %" PRId64 " times in the last %s, and %" PRId64
			" are allowed (%s).%s",
			count, policy_period_name(quota->period_ms), quota->count, name, next);
	return false;
}

static bool within_repository_quota(struct policy_decision *out,
				    const struct policy_question *question,
				    const struct policy_quota *quota, const char *key,
				    const char *name)
{
	char own_key[POLICY_KEY_MAX], next[64];
	int64_t count;

	policy_repository_key(own_key, key);
	count = quota->count ? used(question, own_key) : 0;
	if (!quota->count || (count >= 0 && count < quota->count))
		return true;
	tell_next(next, question, own_key);
	if (count < 0)
		verdict(out, POLICY_UNKNOWN, "denied.unverified", name,
			"How often this was done here lately could not be counted.");
	else
		verdict(out, POLICY_DENY, "denied.quota_repository", name,
			"All people together did this %" PRId64
			" times in the last %s in this repository, and %" PRId64
			" are allowed (%s).%s",
			count, policy_period_name(quota->period_ms), quota->count, name, next);
	return false;
}

void policy_ceiling_key(char out[POLICY_KEY_MAX], const struct policy_ceiling *ceiling)
{
	(void)snprintf(out, POLICY_KEY_MAX, "ceilings[%d]", ceiling->number);
}

void policy_repository_key(char out[POLICY_KEY_MAX], const char *key)
{
	(void)snprintf(out, POLICY_KEY_MAX, "repository %s", key);
}

static bool within_quotas(struct policy_decision *out, const struct policy_ceilings *ceilings,
			  const struct policy_question *question,
			  const struct policy_needed_list *list)
{
	char key[POLICY_KEY_MAX];

	for (size_t i = 0; i < list->count; i++) {
		const struct policy_needed *needed = &list->items[i];

		if (!within_quota(out, question, &needed->rule->quota, needed->command->name,
				  needed->name) ||
		    !within_repository_quota(out, question, &needed->rule->quota_repository,
					     needed->command->name, needed->name))
			return false;
	}
	for (size_t i = 0; i < ceilings->count; i++) {
		const struct policy_ceiling *ceiling = &ceilings->items[i];

		policy_ceiling_key(key, ceiling);
		if (policy_ceiling_applies(ceiling, question->command, question->environment) &&
		    (!within_quota(out, question, &ceiling->quota, key, key) ||
		     !within_repository_quota(out, question, &ceiling->quota_repository, key, key)))
			return false;
	}
	return true;
}

/* --- all --- */

int policy_approvals_of(const struct policy *policy, const struct policy_ceilings *ceilings,
			const struct command *command, const char *environment)
{
	const struct policy_environment *terms = policy_environment(policy, environment);
	int approvals = terms ? terms->approvals : 0;

	if (!str_eq(command->rule, "deploy"))
		return 0;
	for (size_t i = 0; i < ceilings->count; i++)
		if (ceilings->items[i].approvals > approvals &&
		    policy_ceiling_applies(&ceilings->items[i], command, environment))
			approvals = ceilings->items[i].approvals;
	return approvals;
}

static void decide_always(struct policy_decision *out, const struct policy_question *question)
{
	const struct command *command = question->command;
	struct policy_rule rule = {.permission = command->right};
	struct policy_needed needed = {.command = command, .rule = &rule};

	(void)snprintf(needed.name, sizeof needed.name, "default of /%s", command->name);
	if (command->right != RIGHT_ANYONE &&
	    (!identified(out, question) || !meets_rule(out, &needed, question->person)))
		return;
	verdict(out, POLICY_ALLOW, "", needed.name, "%s", "");
}

void policy_decide(struct policy_decision *out, const struct policy *policy,
		   const struct policy_ceilings *ceilings, const struct policy_question *question)
{
	struct policy_needed_list list;

	*out = (struct policy_decision){.code = ""};
	if (question->command->scope == SCOPE_ALWAYS) {
		decide_always(out, question);
		return;
	}
	if (!identified(out, question) || !is_whole(out, policy, question->person))
		return;
	policy_needed(&list, policy, question->table, question->command, question->environment);
	if (!meets_rules(out, &list, question->person) ||
	    !under_ceilings(out, ceilings, question, &list) ||
	    (!question->is_under_way && !within_quotas(out, ceilings, question, &list)))
		return;
	out->approvals =
		policy_approvals_of(policy, ceilings, question->command, question->environment);
	if (!from_allowed_place(out, policy, ceilings, question))
		return;
	if (out->approvals > question->approvals) {
		char rule[POLICY_RULE_MAX];

		(void)snprintf(rule, sizeof rule, "environments.%s.approvals",
			       question->environment);
		verdict(out, POLICY_NEEDS_APPROVAL, "denied.approvals", rule,
			"This needs %d approvals of this very commit; there are %d.",
			out->approvals, question->approvals);
		return;
	}
	out->verdict = POLICY_ALLOW; /* the rule is there already */
}
