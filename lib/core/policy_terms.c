/* policy_terms.c - what must be asked before a decision, and what holds in an environment. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/policy_impl.h"

/* --- what to ask --- */

static void add_use(json_t *uses, const char *key, const struct policy_quota *quota,
		    const json_t *commands, bool is_repository)
{
	char own_key[POLICY_KEY_MAX];
	json_t *use;

	if (!quota->count)
		return;
	use = json_object();
	if (is_repository)
		policy_repository_key(own_key, key);
	jval_set_str(use, "key", is_repository ? own_key : key);
	jval_set(use, "commands", json_deep_copy(commands));
	jval_set_int(use, "period_ms", quota->period_ms);
	jval_set_int(use, "quota", quota->count);
	if (is_repository)
		jval_set_bool(use, "repository", true);
	json_array_append_new(uses, use);
}

static void add_uses(json_t *uses, const char *key, const struct policy_quota *quota,
		     const struct policy_quota *quota_repository, json_t *take_commands)
{
	add_use(uses, key, quota, take_commands, false);
	add_use(uses, key, quota_repository, take_commands, true);
	json_decref(take_commands);
}

/* The commands that count for a quota of `name`: itself, and those it is a part of. */
static json_t *counted(const struct command_table *table, const char *name)
{
	json_t *list = json_array();

	for (size_t i = 0; i < table->count; i++)
		if (policy_command_is(table->items[i], name))
			json_array_append_new(list, json_string(table->items[i]->name));
	return list;
}

static json_t *counted_under(const struct command_table *table,
			     const struct policy_ceiling *ceiling)
{
	json_t *list = json_array();

	for (size_t i = 0; i < table->count; i++)
		if (policy_ceiling_applies(ceiling, table->items[i], NULL))
			json_array_append_new(list, json_string(table->items[i]->name));
	return list;
}

static void add_teams(json_t *teams, const struct policy_rule *rule)
{
	json_t *each;
	size_t at;

	for (size_t i = 0; i < rule->team_count; i++) {
		bool there = false;

		json_array_foreach(teams, at, each) there |=
			str_eq(json_string_value(each), rule->teams[i]);
		if (!there)
			json_array_append_new(teams, json_string(rule->teams[i]));
	}
}

json_t *policy_needs(const struct policy *policy, const struct policy_ceilings *ceilings,
		     const struct policy_question *question)
{
	json_t *needs = json_object(), *teams = json_array(), *uses = json_array();
	struct policy_needed_list list;
	char key[POLICY_KEY_MAX];

	jval_set(needs, "teams", teams);
	jval_set(needs, "uses", uses);
	if (question->command->scope == SCOPE_ALWAYS || policy->fault_count)
		return needs;
	policy_needed(&list, policy, question->table, question->command, question->environment);
	for (size_t i = 0; i < list.count; i++) {
		const struct policy_needed *needed = &list.items[i];

		add_teams(teams, needed->rule);
		add_uses(uses, needed->command->name, &needed->rule->quota,
			 &needed->rule->quota_repository,
			 counted(question->table, needed->command->name));
	}
	for (size_t i = 0; i < ceilings->count; i++) {
		const struct policy_ceiling *ceiling = &ceilings->items[i];

		policy_ceiling_key(key, ceiling);
		if (policy_ceiling_applies(ceiling, question->command, question->environment))
			add_uses(uses, key, &ceiling->quota, &ceiling->quota_repository,
				 counted_under(question->table, ceiling));
	}
	return needs;
}

/* --- terms --- */

static const char *method_of(enum policy_merge merge)
{
	return merge == POLICY_MERGE_MERGE    ? "merge"
	       : merge == POLICY_MERGE_SQUASH ? "squash"
	       : merge == POLICY_MERGE_REBASE ? "rebase"
					      : NULL;
}

void policy_terms(struct policy_terms *out, const struct policy *policy,
		  const struct policy_ceilings *ceilings, const struct command *command,
		  const char *environment)
{
	const struct policy_environment *terms = policy_environment(policy, environment);

	*out = (struct policy_terms){
		.approvals = policy_approvals_of(policy, ceilings, command, environment),
		.approvers = {.permission = RIGHT_WRITE},
		.checks = true,
		.up_to_date = true,
		.hold_ms = -1,
		.merges = str_eq(environment, "production"),
	};
	if (!terms)
		return;
	if (terms->approvers.set)
		out->approvers = terms->approvers;
	if (terms->require_set) {
		out->checks = terms->require_checks;
		out->up_to_date = terms->require_up_to_date;
	}
	out->after = terms->after;
	out->steps = terms->step_count ? terms->steps : NULL;
	out->step_count = terms->step_count;
	out->hold_ms = terms->hold_ms;
	if (terms->merge != POLICY_MERGE_UNSET)
		out->merges = terms->merge != POLICY_MERGE_NO;
	out->method = method_of(terms->merge);
	out->namespace = terms->namespace;
}

const char *policy_namespace_owner(const struct policy *policy, const char *namespace)
{
	for (size_t i = 0; i < policy->environment_count; i++)
		if (str_eq(policy->environments[i].namespace, namespace))
			return policy->environments[i].name;
	return NULL;
}
