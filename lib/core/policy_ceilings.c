/* policy_ceilings.c - what the operator's file sets above all policies: reading the entries that
 * are about a repository, and which of them a command is under. */
#include <stdio.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/policy_impl.h"

enum { HOUR_MS = 3600000, QUOTA_COUNT_MAX = 10000 };

/* --- words --- */

bool policy_right_parse(enum right *out, const char *text)
{
	for (int right = RIGHT_READ; right <= RIGHT_ADMIN; right++)
		if (str_eq(right_name((enum right)right), text)) {
			*out = (enum right)right;
			return true;
		}
	return false;
}

const char *policy_fork_name(enum policy_fork fork)
{
	return fork == POLICY_FORK_NEVER       ? "never"
	       : fork == POLICY_FORK_OK_TO_RUN ? "ok-to-run"
					       : "";
}

bool policy_fork_parse(enum policy_fork *out, const char *text)
{
	for (int fork = POLICY_FORK_OK_TO_RUN; fork <= POLICY_FORK_NEVER; fork++)
		if (str_eq(policy_fork_name((enum policy_fork)fork), text)) {
			*out = (enum policy_fork)fork;
			return true;
		}
	return false;
}

static const struct {
	const char *name;
	int64_t ms;
} periods[] = {{"hour", HOUR_MS}, {"day", 24LL * HOUR_MS}, {"week", 7LL * 24 * HOUR_MS}};

bool policy_quota_parse(struct policy_quota *out, const char *text)
{
	const char *slash = text ? strchr(text, '/') : NULL;
	AUTO_FREE char *number = slash ? str_dup_len(text, (size_t)(slash - text)) : NULL;
	int64_t count;

	if (!number || !str_to_int64(&count, number) || count < 1 || count > QUOTA_COUNT_MAX)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(periods); i++)
		if (str_eq(periods[i].name, slash + 1)) {
			*out = (struct policy_quota){count, periods[i].ms};
			return true;
		}
	return false;
}

const char *policy_period_name(int64_t period_ms)
{
	for (size_t i = 0; i < ARRAY_LEN(periods); i++)
		if (periods[i].ms == period_ms)
			return periods[i].name;
	return "";
}

/* "Fri 16:00" to minutes of the week. */
static bool parse_moment(int *out, const char *text, size_t len)
{
	static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	AUTO_FREE char *day = len == 9 ? str_dup_len(text, 3) : NULL;
	int digits[4], at = 0;

	if (!day || text[3] != ' ' || text[6] != ':')
		return false;
	for (size_t i = 4; i < 9; i++) {
		if (i == 6)
			continue;
		if (text[i] < '0' || text[i] > '9')
			return false;
		digits[at++] = text[i] - '0';
	}
	if (digits[0] * 10 + digits[1] > 23 || digits[2] > 5)
		return false;
	for (int i = 0; i < (int)ARRAY_LEN(days); i++)
		if (str_eq_nocase(day, days[i])) {
			*out = (i * 24 + digits[0] * 10 + digits[1]) * 60 + digits[2] * 10 +
			       digits[3];
			return true;
		}
	return false;
}

bool policy_window_parse(struct policy_window *out, const char *text)
{
	const char *dash = strchr(text, '-');

	return dash && parse_moment(&out->from, text, (size_t)(dash - text)) &&
	       parse_moment(&out->to, dash + 1, strlen(dash + 1)) && out->from != out->to;
}

/* --- reading --- */

/* "owner/name", "owner/\*"; absent: every repository. */
static bool matches(const char *pattern, const char *repo)
{
	size_t len = pattern ? strlen(pattern) : 0;

	if (!len)
		return true;
	if (str_ends(pattern, "/*")) {
		AUTO_FREE char *owner = str_dup_len(repo, strcspn(repo, "/"));
		AUTO_FREE char *wanted = str_dup_len(pattern, len - 2);

		return str_eq_nocase(owner, wanted);
	}
	return str_eq_nocase(pattern, repo);
}

static size_t read_names(char ***out, const json_t *list)
{
	size_t count = 0, i;
	json_t *each;

	*out = mem_new(json_array_size(list) + 1, sizeof **out);
	json_array_foreach(list, i, each)
	{
		if (json_is_string(each))
			(*out)[count++] = str_dup(json_string_value(each));
	}
	return count;
}

static void read_environments(struct policy_ceiling *ceiling, const json_t *list)
{
	json_t *each;
	size_t i;

	ceiling->environments = mem_new(json_array_size(list) + 1, sizeof *ceiling->environments);
	json_array_foreach(list, i, each) if (json_string_value(each))
		ceiling->environments[ceiling->environment_count++] =
		str_dup(json_string_value(each));
}

/* What cannot be read must not be weaker than what was meant. */
static void read_times(struct policy_quota *out, const char *text)
{
	if (text && !policy_quota_parse(out, text))
		*out = (struct policy_quota){1, periods[ARRAY_LEN(periods) - 1].ms};
}

static void read_ceiling(struct policy_ceiling *out, const json_t *entry, int number)
{
	const char *permission = jval_str(entry, "permission", NULL);
	const char *forks = jval_str(entry, "forks", NULL);

	*out = (struct policy_ceiling){.number = number};
	out->command_count = read_names(&out->commands, jval_at(entry, "commands"));
	read_environments(out, jval_at(entry, "environments"));
	if (permission && !policy_right_parse(&out->permission, permission))
		out->permission = RIGHT_ADMIN;
	out->teams_required = jval_bool(entry, "teams_required", false);
	out->approvals = (int)jval_int(entry, "approvals", 0);
	read_times(&out->quota, jval_str(entry, "quota", NULL));
	read_times(&out->quota_repository, jval_str(entry, "quota_repository", NULL));
	if (forks && !policy_fork_parse(&out->forks, forks))
		out->forks = POLICY_FORK_NEVER;
}

void policy_ceilings_read(struct policy_ceilings *out, const json_t *list, const char *repo)
{
	json_t *entry;
	size_t i;

	*out = (struct policy_ceilings){
		.items = mem_new(json_array_size(list) + 1, sizeof *out->items)};
	json_array_foreach(list, i, entry) if (matches(jval_str(entry, "match", NULL), repo))
		read_ceiling(&out->items[out->count++], entry, (int)i);
}

void policy_ceilings_dispose(struct policy_ceilings *ceilings)
{
	for (size_t i = 0; i < ceilings->count; i++) {
		struct policy_ceiling *ceiling = &ceilings->items[i];

		for (size_t k = 0; k < ceiling->command_count; k++)
			mem_free(ceiling->commands[k]);
		for (size_t k = 0; k < ceiling->environment_count; k++)
			mem_free(ceiling->environments[k]);
		mem_free(ceiling->commands);
		mem_free(ceiling->environments);
	}
	mem_free(ceilings->items);
	*ceilings = (struct policy_ceilings){0};
}

/* --- what they are about --- */

bool policy_command_is(const struct command *command, const char *name)
{
	if (command_word_is(name, command->name) || command_word_is(name, command->alias) ||
	    command_word_is(name, command->rule))
		return true;
	for (const char *const *part = command->parts; part && *part; part++)
		if (command_word_is(name, *part))
			return true;
	return false;
}

/* `/deploy staging` is `/staging_deploy`, also where it is named as that. */
static bool is_other_word(const struct command *command, const char *environment, const char *name)
{
	AUTO_FREE char *word = environment && command->rule
				       ? str_printf("%s_%s", environment, command->rule)
				       : NULL;

	return command_word_is(name, word);
}

bool policy_ceiling_applies(const struct policy_ceiling *ceiling, const struct command *command,
			    const char *environment)
{
	bool named = ceiling->command_count == 0, here = ceiling->environment_count == 0;

	if (command->scope == SCOPE_ALWAYS)
		return false;
	for (size_t i = 0; i < ceiling->command_count && !named; i++)
		named = policy_command_is(command, ceiling->commands[i]) ||
			is_other_word(command, environment, ceiling->commands[i]);
	if (command->scope == SCOPE_ENVIRONMENT)
		for (size_t i = 0; i < ceiling->environment_count && !here; i++)
			here = str_eq(ceiling->environments[i], environment);
	return named && here;
}

/* What the policy says, or what holds when it says nothing. */
static enum policy_fork own_fork(const struct policy *policy, enum policy_fork_use use)
{
	static const enum policy_fork fallbacks[POLICY_FORK_USES] = {
		[POLICY_FORK_BUILD] = POLICY_FORK_OK_TO_RUN,
		[POLICY_FORK_RUN] = POLICY_FORK_NEVER,
		[POLICY_FORK_DEPLOY] = POLICY_FORK_NEVER,
	};

	return policy->forks[use] ? policy->forks[use] : fallbacks[use];
}

enum policy_fork policy_forks(const struct policy *policy, const struct policy_ceilings *ceilings,
			      enum policy_fork_use use)
{
	enum policy_fork fork = own_fork(policy, use);

	for (size_t i = 0; i < ceilings->count; i++)
		if (ceilings->items[i].forks > fork)
			fork = ceilings->items[i].forks;
	return fork;
}
