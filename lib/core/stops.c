/* stops.c - see stops.h. */
#include "lib/core/stops.h"

#include "lib/core/policy_decide.h"

enum { KEY_MAX = 1000 };

void stops_key(struct buf *out, const struct command *command, const char *environment)
{
	buf_printf(out, "%s%s%s", command->name, environment ? " " : "",
		   environment ? environment : "");
}

static json_t *entry(const json_t *map, const struct command *command, const char *environment)
{
	AUTO_BUF struct buf key = buf_make(KEY_MAX);

	stops_key(&key, command, environment);
	return key.truncated ? NULL : json_object_get(map, buf_text(&key));
}

bool stops_allow(const json_t *map, const struct command *command, const json_t *args)
{
	const char *environment = command ? policy_environment_of(command, args) : NULL;
	json_t *found = command ? entry(map, command, environment) : NULL;

	/* what is like one of the two is none of the others: who meant what is not clear */
	if (!found && environment && !policy_environment_meant(environment))
		found = entry(map, command, STOPS_OTHERS);
	return json_is_true(found);
}
