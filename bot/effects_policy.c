/* effects_policy.c - what the decision who may needs to know: the policy, GitHub's word on the
 * person, teams, numeric ids, how often. All of it is asked by one effect, because the policy says
 * what else there is to ask. */
#include <inttypes.h>

#include "bot/effects_impl.h"
#include "bot/policies.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/commands/commands.h"
#include "lib/commands/rights.h"
#include "lib/services/github_policy.h"
#include "lib/store/environments.h"
#include "lib/store/policies.h"
#include "lib/store/queue.h"

static enum err_class ask_person(struct effect_call *call, struct err *err)
{
	struct github_target to = effect_target(call);
	struct github_permission seen = {0};
	enum err_class class =
		github_permission(call->hands->world->github, call->hands->github_http, &to,
				  call->job->actor, &seen, err);

	/* somebody GitHub does not know here has no rights: an answer, not a failure */
	if (class && class != ERR_NOT_FOUND)
		return err_wrap(err, "could not verify what %s may do", call->job->actor);
	err->class = ERR_OK;
	jval_set_int(call->data, "user_id", seen.user_id);
	jval_set_bool(call->data, "pull", seen.pull);
	jval_set_bool(call->data, "triage", seen.triage);
	jval_set_bool(call->data, "push", seen.push);
	jval_set_bool(call->data, "maintain", seen.maintain);
	jval_set_bool(call->data, "admin", seen.admin);
	jval_set_str(call->data, "role", seen.role);
	return ERR_OK;
}

/* --- who the logins of the file are --- */

struct users_op {
	int64_t repo_id;
	json_t *users;
};

static enum err_class run_keep(struct db *db, void *arg, struct err *err)
{
	struct users_op *op = arg;

	return policies_keep_users(db, op->repo_id, op->users, clock_now_ms(), err);
}

/* An id that is kept, or else GitHub's. *new: GitHub was asked. */
static enum err_class resolve(struct effect_call *call, const json_t *kept, const char *login,
			      json_t *users, bool *new, struct err *err)
{
	struct github_target to = effect_target(call);
	const char *name;
	json_t *id;
	int64_t found = -1;

	json_object_foreach((json_t *)(uintptr_t)kept, name, id) if (str_eq_nocase(name, login))
		found = json_integer_value(id);
	if (found < 0) {
		*new = true;
		if (github_user_id(call->hands->world->github, call->hands->github_http, &to, login,
				   &found, err))
			return err_wrap(err, "could not learn who %s is", login);
	}
	jval_set_int(users, login, found);
	return ERR_OK;
}

static enum err_class ask_users(struct effect_call *call, const struct policy *policy,
				struct err *err)
{
	AUTO_JSON json_t *logins = policy_logins(policy);
	AUTO_JSON json_t *kept = NULL;
	struct users_op op = {.repo_id = call->job->repo_id, .users = json_object()};
	bool new = false;
	json_t *login;
	size_t i;

	jval_set(call->data, "users", op.users);
	if (policies_users(call->hands->reader, op.repo_id, &kept, err))
		return err->class;
	json_array_foreach(logins, i, login)
	{
		if (resolve(call, kept, json_string_value(login), op.users, &new, err))
			return err->class;
	}
	if (!new &&json_object_size(kept) == json_object_size(op.users))
		return ERR_OK;
	return writer_call(call->hands->world->writer, run_keep, &op, err);
}

/* --- teams, uses --- */

static enum err_class ask_teams(struct effect_call *call, const json_t *slugs, json_t *teams,
				struct err *err)
{
	struct github_target to = effect_target(call);
	enum github_member member;
	json_t *slug;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)slugs, i, slug)
	{
		const char *name = json_string_value(slug);

		if (json_object_get(teams, name))
			continue;
		if (github_team_member(call->hands->world->github, call->hands->github_http, &to,
				       name, call->job->actor, &member, err))
			return err_wrap(err, "could not learn whether %s is in the team %s",
					call->job->actor, name);
		if (member == GITHUB_MEMBER_UNKNOWN) {
			log_info("policy_team_unknown", LOG_S("repo", call->job->repo),
				 LOG_S("team", name));
			jval_set(teams, name, json_null());
		} else {
			jval_set_bool(teams, name, member == GITHUB_MEMBER_YES);
		}
	}
	return ERR_OK;
}

static enum err_class count_uses(struct effect_call *call, const json_t *wanted, struct err *err)
{
	json_t *use, *uses = json_object_get(call->data, "uses"),
		     *nexts = json_object_get(call->data, "nexts");
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)wanted, i, use)
	{
		int64_t period_ms = jval_int(use, "period_ms", 0);
		struct policies_quota quota = {
			.commands = jval_at(use, "commands"),
			.since_ms = clock_now_ms() - period_ms,
			.is_repository = jval_bool(use, "repository", false),
			.count = jval_int(use, "quota", 0),
		};
		struct policies_use seen;

		if (policies_count(call->hands->reader, call->job, &quota, &seen, err))
			return err->class;
		jval_set_int(uses, jval_str(use, "key", ""), seen.count);
		if (seen.filled_at_ms)
			jval_set_int(nexts, jval_str(use, "key", ""),
				     seen.filled_at_ms + period_ms);
	}
	return ERR_OK;
}

static enum err_class ask_needs(struct effect_call *call, const struct policy *policy,
				const struct policy_ceilings *ceilings,
				const struct command *command, struct err *err)
{
	struct policy_question question = {
		.command = command,
		.table = &commands,
		.environment = policy_environment_of(command, call->job->args),
	};
	AUTO_JSON json_t *needs = policy_needs(policy, ceilings, &question);
	enum err_class class =
		ask_teams(call, jval_at(needs, "teams"), json_object_get(call->data, "teams"), err);

	return class ? class : count_uses(call, jval_at(needs, "uses"), err);
}

/* Whatever any command might ask for; "all_teams" says which teams there are. */
static enum err_class ask_everything(struct effect_call *call, const struct policy *policy,
				     const struct policy_ceilings *ceilings, struct err *err)
{
	AUTO_JSON json_t *slugs = policy_team_slugs(policy);
	json_t *teams = json_object_get(call->data, "teams"), *all = json_object(), *member;
	enum err_class class = ask_teams(call, slugs, teams, err);
	const char *slug;

	jval_set(call->data, "all_teams", all);
	json_object_foreach(teams, slug, member) jval_set_bool(all, slug, !json_is_null(member));
	for (size_t i = 0; i < commands.count && !class; i++) {
		struct policy_question question = {.command = commands.items[i],
						   .table = &commands,
						   .environment = "production"};
		AUTO_JSON json_t *needs = policy_needs(policy, ceilings, &question);

		class = count_uses(call, jval_at(needs, "uses"), err);
	}
	return class;
}

static enum err_class ask_policy(struct effect_call *call, const struct command *command,
				 struct err *err)
{
	const struct command *as = command_by_name(&commands, command->as);
	bool fresh = jval_bool(call->args, "fresh", false);
	const json_t *list = config_ceilings(call->hands->world->config);
	AUTO_POLICY struct policy *policy = NULL;
	struct policy_ceilings ceilings;
	json_t *facts = NULL;
	enum err_class class = policies_get(call->hands, call->job, fresh, &facts, err);

	if (class)
		return class;
	jval_set(call->data, "policy", facts);
	if (list)
		jval_set(call->data, "ceilings", json_deep_copy(list));
	jval_set_int(call->data, "operator_approvals",
		     config_approvals_of_repo(call->hands->world->config, call->job->repo));
	jval_set(call->data, "teams", json_object());
	jval_set(call->data, "uses", json_object());
	jval_set(call->data, "nexts", json_object());
	policy = rights_policy(call->data);
	if (policy->fault_count)
		return ERR_OK; /* it denies, whoever asks */
	class = ask_users(call, policy, err);
	policy_ceilings_read(&ceilings, list, call->job->repo);
	if (!class && jval_bool(call->args, "whole", false))
		class = ask_everything(call, policy, &ceilings, err);
	else if (!class)
		class = ask_needs(call, policy, &ceilings, command, err);
	if (!class && as)
		class = ask_needs(call, policy, &ceilings, as, err);
	policy_ceilings_dispose(&ceilings);
	return class;
}

/* Facts as rights.h has them. */
enum err_class effect_permission(struct effect_call *call, struct err *err)
{
	const struct command *command = command_by_name(&commands, call->job->command);
	enum err_class class = ask_person(call, err);

	if (class || !command ||
	    (command->scope == SCOPE_ALWAYS && !jval_bool(call->args, "whole", false)))
		return class;
	return ask_policy(call, command, err);
}

/* --- what a refusal tells --- */

/* "lock": who has the environment, as environment_list has it. */
static enum err_class add_lock(struct effect_call *call, struct err *err)
{
	const struct command *command = command_by_name(&commands, call->job->command);
	AUTO_JSON json_t *lines = NULL;
	const json_t *line;
	size_t i;

	if (!command || !str_eq(command->rule, "lock"))
		return ERR_OK;
	if (environment_list(call->hands->reader, call->job->repo_id, clock_now_ms(), &lines, err))
		return err->class;
	json_array_foreach(lines, i,
			   line) if (str_eq(jval_str(line, "environment", ""),
					    policy_environment_of(command, call->job->args)))
		jval_set(call->data, "lock", json_deep_copy(line));
	return ERR_OK;
}

/* "policy_here" as effect_checkout has it, of the newest head that we have heard of. It only adds a
 * sentence to a refusal, so what GitHub does not say is left out. */
enum err_class effect_refusal(struct effect_call *call, struct err *err)
{
	struct github_target to = effect_target(call);
	struct github_file_question question = {.path = POLICIES_PATH, .max = POLICY_TEXT_MAX};
	AUTO_JSON json_t *heads = NULL;
	struct github_file file = {0};

	jval_set_bool(call->data, "asked", true);
	if (add_lock(call, err) ||
	    queue_heads(call->hands->reader, call->job->repo_id, call->job->pr, &heads, err))
		return err->class;
	question.ref = jval_str(json_array_get(heads, 0), "sha", NULL);
	if (!question.ref || github_file(call->hands->world->github, call->hands->github_http, &to,
					 &question, &file, err))
		return err->class = ERR_OK;
	jval_set_str(call->data, "policy_here",
		     file.state == GITHUB_FILE_FOUND  ? file.sha
		     : file.state == GITHUB_FILE_NONE ? ""
						      : "odd");
	github_file_dispose(&file);
	return ERR_OK;
}

/* --- holds --- */

struct hold_op {
	const struct effect_call *call;
	json_t *was;
};

static enum err_class run_hold(struct db *db, void *arg, struct err *err)
{
	struct hold_op *op = arg;

	return policies_hold(db, op->call->job, jval_str(op->call->args, "reason", NULL),
			     clock_now_ms(), err);
}

enum err_class effect_hold(struct effect_call *call, struct err *err)
{
	struct hold_op op = {.call = call};

	return writer_call(call->hands->world->writer, run_hold, &op, err);
}

static enum err_class run_unhold(struct db *db, void *arg, struct err *err)
{
	struct hold_op *op = arg;

	return policies_unhold(db, op->call->job, clock_now_ms(), &op->was, err);
}

/* In doubt, it is enough that there is no hold. */
enum err_class effect_unhold(struct effect_call *call, struct err *err)
{
	struct hold_op op = {.call = call};
	enum err_class class = writer_call(call->hands->world->writer, run_unhold, &op, err);

	if (class == ERR_NOT_FOUND && call->in_doubt)
		return err->class = ERR_OK;
	if (class)
		return class;
	jval_set(call->data, "was", op.was);
	return ERR_OK;
}
