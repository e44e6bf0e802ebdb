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
	}
	return good;
}
