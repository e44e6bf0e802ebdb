/* policy_cuts.c - what the operator's ceilings make stricter of a policy, said for /config. */
#include <stdio.h>

#include "lib/core/policy_impl.h"

struct cutting {
	const struct policy *policy;
	const struct policy_ceiling *ceiling;
	void (*each)(void *arg, const char *sentence);
	void *arg;
};

static void cut(const struct cutting *cutting, const char *name, const char *says,
		const char *wants)
{
	char sentence[POLICY_SENTENCE_MAX];

	(void)snprintf(sentence, sizeof sentence, "ceilings[%d]: %s %s; the operator asks for %s",
		       cutting->ceiling->number, name, says, wants);
	cutting->each(cutting->arg, sentence);
}

static void cut_quota(const struct cutting *cutting, const char *name,
		      const struct policy_quota *own, const struct policy_quota *ceiling,
		      const char *of)
{
	char says[80], wants[80];

	if (!ceiling->count ||
	    (own->count && own->count * ceiling->period_ms <= ceiling->count * own->period_ms))
		return;
	(void)snprintf(says, sizeof says, own->count ? "allows more%s" : "sets no quota%s", of);
	(void)snprintf(wants, sizeof wants, "at most %d a %s%s", (int)ceiling->count,
		       policy_period_name(ceiling->period_ms), of);
	cut(cutting, name, says, wants);
}

static void cut_rule(const struct cutting *cutting, const struct policy_needed *needed)
{
	const struct policy_ceiling *ceiling = cutting->ceiling;
	const struct policy_rule *rule = needed->rule;
	char says[80];

	if (ceiling->permission > rule->permission) {
		(void)snprintf(says, sizeof says, "asks for %s permission",
			       right_name(rule->permission));
		cut(cutting, needed->name, says, right_name(ceiling->permission));
	}
	if (ceiling->teams_required && !(rule->team_count + rule->user_count + rule->role_count))
		cut(cutting, needed->name, "names nobody", "teams, users or roles");
	cut_quota(cutting, needed->name, &rule->quota, &ceiling->quota, "");
	cut_quota(cutting, needed->name, &rule->quota_repository, &ceiling->quota_repository,
		  " for the repository");
}

static void cut_command(const struct cutting *cutting, const struct command_table *table,
			const struct command *command, const char *environment)
{
	struct policy_needed_list needed;

	if (!policy_ceiling_applies(cutting->ceiling, command, environment))
		return;
	if (command->parts && !policy_own_rule(cutting->policy, command))
		return; /* said of its parts */
	policy_needed(&needed, cutting->policy, table, command, environment);
	for (size_t i = 0; i < needed.count; i++)
		cut_rule(cutting, &needed.items[i]);
}

static void cut_environment(const struct cutting *cutting, const struct command_table *table,
			    const char *name)
{
	const struct policy_environment *terms = policy_environment(cutting->policy, name);
	const struct command *deploy = command_by_name(table, "deploy");
	char where[100], says[60], wants[60];

	if (!deploy || !policy_ceiling_applies(cutting->ceiling, deploy, name))
		return;
	cut_command(cutting, table, deploy, name);
	if (cutting->ceiling->approvals > (terms ? terms->approvals : 0)) {
		(void)snprintf(where, sizeof where, "environments.%s", name);
		(void)snprintf(says, sizeof says, "asks for %d approvals",
			       terms ? terms->approvals : 0);
		(void)snprintf(wants, sizeof wants, "%d", cutting->ceiling->approvals);
		cut(cutting, where, says, wants);
	}
}

static void cut_forks(const struct cutting *cutting)
{
	static const char *const names[] = {"forks.build", "forks.run", "forks.deploy"};
	static const struct policy_ceilings none;
	enum policy_fork says;

	for (int use = 0; use < POLICY_FORK_USES; use++) {
		says = policy_forks(cutting->policy, &none, (enum policy_fork_use)use);
		if (cutting->ceiling->forks > says)
			cut(cutting, names[use], policy_fork_name(says),
			    policy_fork_name(cutting->ceiling->forks));
	}
}

void policy_cuts(const struct policy *policy, const struct policy_ceilings *ceilings,
		 const struct command_table *table, void (*each)(void *arg, const char *sentence),
		 void *arg)
{
	static const char *const always[] = {"staging", "production"};

	for (size_t i = 0; i < ceilings->count; i++) {
		struct cutting cutting = {policy, &ceilings->items[i], each, arg};

		cut_forks(&cutting);
		for (size_t k = 0; k < table->count; k++)
			if (table->items[k]->scope == SCOPE_REPOSITORY)
				cut_command(&cutting, table, table->items[k], NULL);
		for (size_t k = 0; k < ARRAY_LEN(always); k++)
			if (!policy_environment(policy, always[k]))
				cut_environment(&cutting, table, always[k]);
		for (size_t k = 0; k < policy->environment_count; k++)
			cut_environment(&cutting, table, policy->environments[k].name);
	}
}
