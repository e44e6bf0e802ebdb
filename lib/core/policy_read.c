/* policy_read.c - see policy.h: the text of a policy file becomes a policy.
 *
 * A table of keys per kind of map. All faults are kept, so that one look at the file mends it. Not
 * config/schema: its tables know their paths beforehand, while a policy's commands, environments
 * and metrics are names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/core/policy_keys.h"

enum { LOGIN_MAX = 39 };

static void read_permission(struct keys_reading *reading, struct keys_place at, void *into)
{
	static const char *const levels[] = {"read", "triage", "write", "maintain", "admin"};
	const char *text = keys_text(reading, at, "read, triage, write, maintain or admin");
	struct policy_rule *rule = into;

	if (text && !policy_right_parse(&rule->permission, text))
		keys_unknown(reading, at.node, "permission", levels, ARRAY_LEN(levels), at.path);
}

static void read_times(struct keys_reading *reading, struct keys_place at, struct policy_quota *out)
{
	static const char like[] = "a number of times like 5/day, of hour, day or week";
	const char *text = keys_text(reading, at, like);

	if (text && !policy_quota_parse(out, text))
		KEYS_FAULT(reading, at.node, "%s must be %s", at.path, like);
}

static void read_quota(struct keys_reading *reading, struct keys_place at, void *into)
{
	read_times(reading, at, &((struct policy_rule *)into)->quota);
}

static void read_quota_repository(struct keys_reading *reading, struct keys_place at, void *into)
{
	read_times(reading, at, &((struct policy_rule *)into)->quota_repository);
}

/* --- lists of names --- */

/* Why a name cannot be one; NULL when it is good. */
typedef const char *name_check(const char *text);

static const char *check_team(const char *text)
{
	if (strlen(text) <= KEYS_NAME_MAX && keys_is_all(text, KEYS_LOWER KEYS_DIGITS "-_"))
		return NULL;
	return "the short name of a team, as in its address, without organisation: ml-leads";
}

static const char *check_user(const char *text)
{
	if (strlen(text) <= LOGIN_MAX && keys_is_all(text, KEYS_LOWER KEYS_UPPER KEYS_DIGITS "-_"))
		return NULL;
	return "the login of a person, without @";
}

static const char *check_role(const char *text)
{
	static const char *const fixed[] = {"read", "triage", "write", "maintain", "admin"};

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (str_eq_nocase(text, fixed[i]))
			return "the name of a custom role; for the others there is `permission`";
	if (strlen(text) <= KEYS_NAME_MAX &&
	    keys_is_all(text, KEYS_LOWER KEYS_UPPER KEYS_DIGITS " -_."))
		return NULL;
	return "the name of a custom role: letters, digits, blanks, - _ and .";
}

static bool read_name(struct keys_reading *reading, struct keys_place list, size_t i,
		      name_check *check, char **names, size_t count)
{
	const struct yaml_node *node = list.node->items[i];
	AUTO_FREE char *path = str_printf("%s[%zu]", list.path, i);
	const char *text = keys_text(reading, (struct keys_place){node, path}, "text"), *why;

	if (!text)
		return false;
	why = check(text);
	if (why) {
		KEYS_FAULT(reading, node, "%s must be %s", path, why);
		return false;
	}
	for (size_t k = 0; k < count; k++)
		if (str_eq_nocase(names[k], text)) {
			KEYS_FAULT(reading, node, "%s: \"%s\" stands there twice", path, text);
			return false;
		}
	return true;
}

static void read_names(struct keys_reading *reading, struct keys_place at, size_t max,
		       name_check *check, char ***names, size_t *count)
{
	if (!keys_is_list(reading, at, max, "[ml-leads]"))
		return;
	if (!at.node->count)
		KEYS_FAULT(reading, at.node, "%s is empty; leave the key out, or nobody is meant",
			   at.path);
	*names = mem_new(at.node->count + 1, sizeof **names);
	for (size_t i = 0; i < at.node->count; i++)
		if (read_name(reading, at, i, check, *names, *count))
			(*names)[(*count)++] = str_dup(at.node->items[i]->text);
}

static void read_teams(struct keys_reading *reading, struct keys_place at, void *into)
{
	struct policy_rule *rule = into;

	read_names(reading, at, POLICY_TEAMS_MAX, check_team, &rule->teams, &rule->team_count);
}

static void read_roles(struct keys_reading *reading, struct keys_place at, void *into)
{
	struct policy_rule *rule = into;

	read_names(reading, at, POLICY_ROLES_MAX, check_role, &rule->roles, &rule->role_count);
}

static void read_users(struct keys_reading *reading, struct keys_place at, void *into)
{
	struct policy_rule *rule = into;
	char **names = NULL;
	size_t count = 0;

	read_names(reading, at, POLICY_USERS_MAX, check_user, &names, &count);
	rule->users = mem_new(count + 1, sizeof *rule->users);
	for (size_t i = 0; i < count; i++)
		rule->users[i].login = names[i];
	rule->user_count = count;
	mem_free(names);
}

/* --- rules --- */

#define WHO_KEYS                                                                                   \
	{"permission", read_permission}, {"teams", read_teams}, {"users", read_users},             \
	{                                                                                          \
		"roles", read_roles                                                                \
	}

static const struct key who_keys[] = {WHO_KEYS};
static const struct key command_keys[] = {
	WHO_KEYS, {"quota", read_quota}, {"quota_repository", read_quota_repository}};

/* `fallback`: the permission of a rule that names neither level nor people; `least`: of one that
 * only names people. */
static void read_rule(struct keys_reading *reading, struct keys_place at, const struct key *keys,
		      size_t count, enum right fallback, enum right least, struct policy_rule *rule)
{
	if (!keys_is_map(reading, at, "{ permission: write } or { teams: [ml-leads] }") ||
	    !at.node->count)
		return;
	rule->set = true;
	rule->line = at.node->line;
	rule->permission = RIGHT_ANYONE;
	keys_read(reading, at, keys, count, rule);
	if (rule->permission == RIGHT_ANYONE)
		rule->permission = yaml_get(at.node, "teams") || yaml_get(at.node, "users") ||
						   yaml_get(at.node, "roles")
					   ? least
					   : fallback;
}

void policy_read_who(struct keys_reading *reading, struct keys_place at, enum right fallback,
		     enum right least, struct policy_rule *rule)
{
	read_rule(reading, at, who_keys, ARRAY_LEN(who_keys), fallback, least, rule);
}

/* --- commands --- */

static void fault_command(struct keys_reading *reading, const struct yaml_node *key)
{
	const struct command *command = command_by_word(reading->table, key->text);
	const char *names[KEYS_COUNT_MAX];
	size_t count = 0;

	if (command && command->scope == SCOPE_ALWAYS) {
		KEYS_FAULT(reading, key, "/%s cannot be taken away; remove this", command->name);
	} else if (command) {
		KEYS_FAULT(reading, key,
			   "who may give /%s is said for each environment: "
			   "environments.%s.%s",
			   command->name,
			   command->environment ? command->environment : "production",
			   command->rule);
	} else {
		for (size_t i = 0; i < reading->table->count && count < KEYS_COUNT_MAX; i++)
			if (reading->table->items[i]->scope == SCOPE_REPOSITORY)
				names[count++] = reading->table->items[i]->name;
		keys_unknown(reading, key, "command", names, count, "commands");
	}
}

static void read_command(struct keys_reading *reading, const struct yaml_node *key,
			 const struct yaml_node *node)
{
	const struct command *command = command_by_word(reading->table, key->text);
	struct policy *policy = reading->policy;
	struct policy_command_rule *entry;
	char path[KEYS_PATH_MAX];

	if (!command || command->scope != SCOPE_REPOSITORY) {
		fault_command(reading, key);
		return;
	}
	for (size_t i = 0; i < policy->command_count; i++)
		if (policy->commands[i].command == command) {
			KEYS_FAULT(reading, key, "commands.%s stands there twice", command->name);
			return;
		}
	policy->commands =
		mem_grow(policy->commands, (policy->command_count + 1) * sizeof *policy->commands);
	entry = &policy->commands[policy->command_count++];
	*entry = (struct policy_command_rule){.command = command};
	(void)snprintf(path, sizeof path, "commands.%s", command->name);
	read_rule(reading, (struct keys_place){node, path}, command_keys, ARRAY_LEN(command_keys),
		  command->right, RIGHT_READ, &entry->rule);
}

static void read_commands(struct keys_reading *reading, struct keys_place at, void *into)
{
	(void)into;
	if (!keys_is_map(reading, at, ""))
		return;
	for (size_t i = 0; i < at.node->count; i++)
		read_command(reading, at.node->keys[i], at.node->items[i]);
}

/* --- forks --- */

static void read_fork(struct keys_reading *reading, struct keys_place at, enum policy_fork_use use)
{
	const char *text = keys_text(reading, at, "never or ok-to-run");

	if (text && !policy_fork_parse(&reading->policy->forks[use], text))
		KEYS_FAULT(reading, at.node, "%s must be never or ok-to-run", at.path);
}

static void read_fork_build(struct keys_reading *reading, struct keys_place at, void *into)
{
	(void)into;
	read_fork(reading, at, POLICY_FORK_BUILD);
}

static void read_fork_run(struct keys_reading *reading, struct keys_place at, void *into)
{
	(void)into;
	read_fork(reading, at, POLICY_FORK_RUN);
}

static void read_fork_deploy(struct keys_reading *reading, struct keys_place at, void *into)
{
	(void)into;
	read_fork(reading, at, POLICY_FORK_DEPLOY);
}

static void read_forks(struct keys_reading *reading, struct keys_place at, void *into)
{
	static const struct key keys[] = {
		{"build", read_fork_build}, {"run", read_fork_run}, {"deploy", read_fork_deploy}};

	if (keys_is_map(reading, at, "{ build: ok-to-run, run: never }"))
		keys_read(reading, at, keys, ARRAY_LEN(keys), into);
}

/* --- the file --- */

static int by_place(const void *a, const void *b)
{
	const struct policy_fault *left = a, *right = b;

	if (left->line != right->line)
		return left->line < right->line ? -1 : 1;
	return (left->column > right->column) - (left->column < right->column);
}

static void read_root(struct keys_reading *reading, const struct yaml_node *root)
{
	static const struct key keys[] = {{"commands", read_commands},
					  {"forks", read_forks},
					  {"environments", policy_read_environments},
					  {"metrics", policy_read_metrics}};

	if (keys_is_null(root))
		return;
	if (root->kind != YAML_MAP)
		KEYS_FAULT(reading, root,
			   "the file must be a map of commands, forks, environments and "
			   "metrics");
	else
		keys_read(reading, (struct keys_place){root, ""}, keys, ARRAY_LEN(keys), NULL);
}

struct policy *policy_read(const char *text, size_t len, const char *source,
			   const struct command_table *table)
{
	struct policy *policy = policy_default();
	struct keys_reading reading = {policy, table};
	struct yaml_node **docs = NULL;
	struct err err = {0};
	size_t count = 0, kept;
	int line, column;

	mem_free(policy->source);
	policy->source = str_dup(source);
	policy->from_file = true;
	if (len > POLICY_TEXT_MAX) {
		policy_fault(policy, 1, 1, "the file is larger than %d KiB", POLICY_TEXT_MAX >> 10);
		return policy;
	}
	if (yaml_parse(&docs, &count, text, len, &err)) {
		const char *why = yaml_fault_place(&err, &line, &column);

		policy_fault(policy, line, column, "%s", why);
		return policy;
	}
	if (count > 1)
		KEYS_FAULT(&reading, docs[1],
			   "a second document begins here; the file must be a single one");
	if (count)
		read_root(&reading, docs[0]);
	policy_check_together(policy);
	kept = policy->fault_count < POLICY_FAULTS_MAX ? policy->fault_count : POLICY_FAULTS_MAX;
	if (kept)
		qsort(policy->faults, kept, sizeof *policy->faults, by_place);
	yaml_docs_free(docs, count);
	return policy;
}
