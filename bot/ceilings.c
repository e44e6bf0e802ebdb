/* ceilings.c - see ceilings.h. */
#include "bot/ceilings.h"

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"

static bool check_name(const struct config *config, const char *file, const char *path,
		       const char *word, struct buf *report)
{
	const struct command *command = command_by_word(&commands, word);
	const char *near = command_nearest(&commands, word);

	if (command && command->scope != SCOPE_ALWAYS)
		return true;
	buf_printf(report, "%s:%d:1: %s: ", file, config_line(config, path), path);
	if (command)
		buf_printf(report, "/%s is always allowed\n", command->name);
	else
		buf_printf(report, "there is no command \"%s\"%s%s%s\n", word,
			   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	return false;
}

/* Does a command ever go to one of these environments? */
static bool goes_to(const struct command *command, const json_t *environments)
{
	const json_t *name;
	size_t i;

	if (command->scope != SCOPE_ENVIRONMENT)
		return false;
	json_array_foreach(environments, i, name)
	{
		if (!command->environment || str_eq(command->environment, json_string_value(name)))
			return true;
	}
	return false;
}

/* Said of a command for which it could never hold, a ceiling would only look like one. */
static bool check_reach(const struct config *config, const char *file, const char *path,
			const json_t *entry, struct buf *report)
{
	const json_t *environments = jval_at(entry, "environments"), *word;
	bool good = true, deploys = false;
	size_t i;

	json_array_foreach(jval_at(entry, "commands"), i, word)
	{
		const struct command *command = command_by_word(&commands, json_string_value(word));

		if (!command || command->scope == SCOPE_ALWAYS)
			return true; /* is said already */
		deploys |= str_eq(command->rule, "deploy");
		if (!json_array_size(environments) || goes_to(command, environments))
			continue;
		good = false;
		buf_printf(report, "%s:%d:1: %s: /%s does not go to these environments\n", file,
			   config_line(config, path), path, command->name);
	}
	if (i && !deploys && jval_int(entry, "approvals", 0)) {
		good = false;
		buf_printf(report, "%s:%d:1: %s: approvals are asked for by deploy only\n", file,
			   config_line(config, path), path);
	}
	return good;
}

bool ceilings_check(const struct config *config, const char *file, struct buf *report)
{
	json_t *entry, *name;
	bool good = true;
	size_t i, k;

	json_array_foreach(config_ceilings(config), i, entry)
	{
		AUTO_FREE char *path = str_printf("ceilings[%zu].commands", i);

		json_array_foreach(jval_at(entry, "commands"), k, name) good &=
			check_name(config, file, path, json_string_value(name), report);
		good &= check_reach(config, file, path, entry, report);
	}
	return good;
}
