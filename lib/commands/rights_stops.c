/* rights_stops.c - see rights.h: whose jobs somebody may stop, from what they may do themselves.
 *
 * Every command is asked about in every environment that the policy or the operator names, and once
 * for all the others. Where a command needs less than write permission by itself (/help, /status,
 * /cancel), stopping that of somebody else needs write: on a public repository anybody may give
 * these, and could stop a maintainer's /cancel before it is looked at. */
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/rights.h"
#include "lib/core/stops.h"

enum { KEY_MAX = 1000 };

/* {environment: true} of all that somebody speaks of, and STOPS_OTHERS. */
static json_t *environments(const struct rights *rights)
{
	json_t *names = json_pack("{s:b,s:b,s:b}", "production", 1, "staging", 1, STOPS_OTHERS, 1);

	for (size_t i = 0; i < rights->policy->environment_count; i++)
		jval_set_bool(names, rights->policy->environments[i].name, true);
	for (size_t i = 0; i < rights->ceilings.count; i++) {
		const struct policy_ceiling *ceiling = &rights->ceilings.items[i];

		for (size_t k = 0; k < ceiling->environment_count; k++)
			jval_set_bool(names, ceiling->environments[k], true);
	}
	return names;
}

static bool may_stop(const struct rights *rights, const struct command *command,
		     const char *environment, int64_t actor_id)
{
	AUTO_JSON json_t *args = json_object();
	struct policy_decision decision;

	if (environment)
		jval_set_str(args, "arg", environment);
	if (command->right < RIGHT_WRITE && !rights->person.push)
		return false;
	rights_decide_under_way(&decision, rights, command, args, actor_id);
	return decision.verdict == POLICY_ALLOW || decision.verdict == POLICY_NEEDS_APPROVAL;
}

static void add(json_t *map, const struct rights *rights, const struct command *command,
		const char *environment, int64_t actor_id)
{
	AUTO_BUF struct buf key = buf_make(KEY_MAX);

	stops_key(&key, command, environment);
	jval_set_bool(map, buf_text(&key), may_stop(rights, command, environment, actor_id));
}

json_t *rights_stops(const struct rights *rights, int64_t actor_id)
{
	AUTO_JSON json_t *names = environments(rights);
	json_t *map = json_object(), *unused;
	const char *name;

	if (actor_id <= 0 || rights->person.user_id != actor_id)
		return map;
	for (size_t i = 0; i < commands.count; i++) {
		const struct command *command = commands.items[i];

		if (command->scope != SCOPE_ENVIRONMENT)
			add(map, rights, command, NULL, actor_id);
		else if (command->environment)
			add(map, rights, command, command->environment, actor_id);
		else
			json_object_foreach(names, name, unused)
				add(map, rights, command, name, actor_id);
	}
	return map;
}
