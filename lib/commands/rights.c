/* rights.c - see rights.h. */
#include "lib/commands/rights.h"

#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"

struct policy *rights_policy(const json_t *facts)
{
	const char *text = jval_str(facts, "policy.text", NULL);
	const char *source = jval_str(facts, "policy.source", ".github/kfops.yaml"), *login;
	struct policy *policy;
	json_t *id;

	if (text)
		policy = policy_read(text, strlen(text), source, &commands);
	else if (jval_bool(facts, "policy.none", false))
		policy = policy_default();
	else
		policy = policy_unusable(source,
					 jval_str(facts, "policy.why", "it could not be read"));
	json_object_foreach(jval_at(facts, "users"), login, id)
		policy_set_user(policy, login, json_integer_value(id));
	return policy;
}

static void read_teams(struct rights *out, json_t *teams)
{
	const char *slug;
	json_t *member;

	out->teams = mem_new(json_object_size(teams) + 1, sizeof *out->teams);
	json_object_foreach(teams, slug, member) out->teams[out->person.team_count++] =
		(struct policy_team){.slug = slug,
				     .member = json_is_true(member)    ? POLICY_MEMBER_YES
					       : json_is_false(member) ? POLICY_MEMBER_NO
								       : POLICY_MEMBER_UNKNOWN};
	out->person.teams = out->teams;
}

static void read_uses(struct rights *out, json_t *uses)
{
	const char *key;
	json_t *count;

	out->uses = mem_new(json_object_size(uses) + 1, sizeof *out->uses);
	json_object_foreach(uses, key, count) if (json_is_integer(count))
		out->uses[out->use_count++] = (struct policy_use){key, json_integer_value(count)};
}

static void read_nexts(struct rights *out, json_t *nexts)
{
	const char *key;
	json_t *at;

	out->nexts = mem_new(json_object_size(nexts) + 1, sizeof *out->nexts);
	json_object_foreach(nexts, key, at) if (json_is_integer(at)) out->nexts[out->next_count++] =
		(struct policy_next){key, json_integer_value(at)};
}

void rights_read(struct rights *out, const json_t *facts, const char *repo)
{
	*out = (struct rights){
		.policy = rights_policy(facts),
		.person = {.user_id = jval_int(facts, "user_id", 0),
			   .pull = jval_bool(facts, "pull", false),
			   .triage = jval_bool(facts, "triage", false),
			   .push = jval_bool(facts, "push", false),
			   .maintain = jval_bool(facts, "maintain", false),
			   .admin = jval_bool(facts, "admin", false),
			   .role = jval_str(facts, "role", NULL)},
		.approvals = (int)jval_int(facts, "approvals", 0),
	};
	policy_ceilings_read(&out->ceilings, jval_at(facts, "ceilings"), repo);
	read_teams(out, jval_at(facts, "teams"));
	read_uses(out, jval_at(facts, "uses"));
	read_nexts(out, jval_at(facts, "nexts"));
}

void rights_dispose(struct rights *rights)
{
	policy_free(rights->policy);
	policy_ceilings_dispose(&rights->ceilings);
	mem_free(rights->teams);
	mem_free(rights->uses);
	mem_free(rights->nexts);
	*rights = (struct rights){0};
}

static void decide(struct policy_decision *out, const struct rights *rights,
		   const struct policy_question *asked, const json_t *args)
{
	struct policy_question question = *asked;

	question.table = &commands;
	question.environment = policy_environment_of(asked->command, args);
	question.person = &rights->person;
	question.approvals = rights->approvals;
	question.uses = rights->uses;
	question.use_count = rights->use_count;
	question.nexts = rights->nexts;
	question.next_count = rights->next_count;
	policy_decide(out, rights->policy, &rights->ceilings, &question);
}

void rights_decide(struct policy_decision *out, const struct rights *rights,
		   const struct command *command, const json_t *args, int64_t actor_id,
		   enum policy_origin origin)
{
	struct policy_question asked = {
		.command = command,
		.actor_id = actor_id,
		.origin = origin,
	};

	decide(out, rights, &asked, args);
}

void rights_decide_under_way(struct policy_decision *out, const struct rights *rights,
			     const struct command *command, const json_t *args, int64_t actor_id)
{
	struct policy_question asked = {
		.command = command,
		.actor_id = actor_id,
		.origin = POLICY_ORIGIN_LATER,
		.is_under_way = true,
	};

	decide(out, rights, &asked, args);
}
