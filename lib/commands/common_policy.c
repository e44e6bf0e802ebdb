/* common_policy.c - see common.h: the steps that ask the policy, and what of it a job keeps.
 *
 * The decision is made from one effect's facts. Of the policy a job keeps what its gates will ask
 * about, so that a rollout is judged by one file, the one that was in force when it asked last. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/commands/rights.h"
#include "lib/core/approvers.h"
#include "lib/core/thresholds.h"

enum { MORE_MAX = 400 };

static void keep_windows(json_t *kept, const struct policy_environment *terms)
{
	json_t *windows = json_array();

	for (size_t i = 0; terms && i < terms->freeze_count; i++)
		json_array_append_new(
			windows, json_pack("[ii]", terms->freeze[i].from, terms->freeze[i].to));
	jval_set(kept, "freeze", windows);
}

static void keep_namespaces(json_t *kept, const struct policy *policy)
{
	json_t *owners = json_object();

	for (size_t i = 0; i < policy->environment_count; i++)
		if (policy->environments[i].namespace)
			jval_set_str(owners, policy->environments[i].namespace,
				     policy->environments[i].name);
	jval_set(kept, "namespaces", owners);
}

static void keep_terms(const struct rights *rights, const struct command *deploy,
		       const char *environment, json_t *kept)
{
	struct policy_terms terms;
	json_t *steps = json_array(), *approvers;

	policy_terms(&terms, rights->policy, &rights->ceilings, deploy, environment);
	approvers = approvers_keep(&terms.approvers);
	jval_set_int(kept, "approvals", terms.approvals);
	if (approvers)
		jval_set(kept, "approvers", approvers);
	jval_set_bool(kept, "checks", terms.checks);
	jval_set_bool(kept, "up_to_date", terms.up_to_date);
	jval_set_bool(kept, "merges", terms.merges);
	jval_set(kept, "metrics", thresholds_keep(rights->policy));
	if (terms.after)
		jval_set_str(kept, "after", terms.after);
	if (terms.method)
		jval_set_str(kept, "method", terms.method);
	if (terms.hold_ms >= 0)
		jval_set_int(kept, "hold_ms", terms.hold_ms);
	for (size_t i = 0; i < terms.step_count; i++)
		json_array_append_new(steps, json_integer(terms.steps[i]));
	jval_set(kept, "steps", steps);
	keep_windows(kept, policy_environment(rights->policy, environment));
	keep_namespaces(kept, rights->policy);
}

/* May they deploy, too? For a command that only speaks of it. */
static void keep_right(const struct rights *rights, const struct job *job,
		       const struct command *deploy, json_t *kept)
{
	struct policy_decision decision;

	rights_decide(&decision, rights, deploy, job->args, job->actor_id, POLICY_ORIGIN_LATER);
	jval_set_bool(kept, "allowed",
		      decision.verdict == POLICY_ALLOW ||
			      decision.verdict == POLICY_NEEDS_APPROVAL);
	jval_set_str(kept, "why", decision.sentence);
}

static void keep_policy(const struct job *job, const struct rights *rights, const json_t *facts,
			const struct policy_decision *decision, struct update *out)
{
	const struct command *command = command_by_name(&commands, job->command);
	const struct command *as = command_by_name(&commands, command->as);
	const struct command *deploy = as ? as : str_eq(command->rule, "deploy") ? command : NULL;
	json_t *kept = common_data(job, out, "policy");

	json_object_clear(kept);
	jval_set_str(kept, "source", rights->policy->source);
	jval_set_str(kept, "sha", jval_str(facts, "policy.sha", ""));
	jval_set_str(kept, "rule", decision->rule);
	jval_set_bool(kept, "write", rights->person.push);
	jval_set_bool(kept, "maintain", rights->person.maintain);
	for (int use = 0; use < POLICY_FORK_USES; use++) {
		static const char *const names[] = {"fork_build", "fork_run", "fork_deploy"};

		jval_set_str(kept, names[use],
			     policy_fork_name(policy_forks(rights->policy, &rights->ceilings,
							   (enum policy_fork_use)use)));
	}
	if (deploy)
		keep_terms(rights, deploy, policy_environment_of(deploy, job->args), kept);
	if (as)
		keep_right(rights, job, as, kept);
}

void common_keep_policy_here(const struct job *job, const struct effect_result *last,
			     struct update *out)
{
	const char *here = jval_str(last->data, "policy_here", NULL);

	if (here)
		jval_set_str(common_data(job, out, "pull"), "policy_here", here);
}

/* --- what it refuses --- */

void common_say_lock(const json_t *facts, const char *environment, struct buf *out)
{
	if (jval_str(facts, "lock.person", NULL))
		buf_printf(out, " `%s` was locked by @%s on #%" PRId64 ".", environment,
			   jval_str(facts, "lock.person", ""),
			   jval_int(facts, "lock.person_pr", 0));
	else if (jval_int(facts, "lock.kept_pr", 0))
		buf_printf(out, " `%s` stays with #%" PRId64 ", from which @%s deployed.",
			   environment, jval_int(facts, "lock.kept_pr", 0),
			   jval_str(facts, "lock.keeper", ""));
}

static void refuse(const struct job *job, const json_t *facts, struct update *out)
{
	const json_t *refusal = json_object_get(common_data(job, out, "policy"), "refusal");
	AUTO_BUF struct buf more = buf_make(MORE_MAX);

	common_say_lock(facts, jval_str(job->args, "arg", ""), &more);
	common_refuse(out, jval_str(refusal, "code", ""), "%s `/%s` was not run.%s",
		      jval_str(refusal, "sentence", ""), job->command, buf_text(&more));
}

/* Whoever may push may have tried to allow it to themselves in the pull request; the answer tells
 * them which file holds. Others are not worth a call, and later the checkout has told it. */
static void keep_refusal(const struct job *job, const struct effect_result *last,
			 const struct policy_decision *decision, bool looks, struct update *out)
{
	json_t *kept = common_data(job, out, "policy"), *refusal = json_object();

	json_object_clear(kept);
	jval_set_str(kept, "source", jval_str(last->data, "policy.source", ""));
	jval_set_str(kept, "sha", jval_str(last->data, "policy.sha", ""));
	jval_set_str(refusal, "code", decision->code);
	jval_set_str(refusal, "sentence", decision->sentence);
	jval_set_bool(refusal, "member", out->is_member);
	jval_set(kept, "refusal", refusal);
	if (out->is_member && looks)
		common_ask(out, EFFECT_REFUSAL, NULL);
	else
		refuse(job, NULL, out);
}

static void refuse_after_look(const struct job *job, const struct effect_result *last,
			      struct update *out)
{
	const json_t *refusal = json_object_get(common_data(job, out, "policy"), "refusal");

	out->is_member = jval_bool(refusal, "member", false);
	common_keep_policy_here(job, last, out);
	refuse(job, last->data, out);
}

static void decide(const struct job *job, const struct effect_result *last, bool looks,
		   struct update *out)
{
	const struct command *command = command_by_name(&commands, job->command);
	struct policy_decision decision;
	AUTO_RIGHTS struct rights rights = {0};

	must(command);
	rights_read(&rights, last->data, job->repo);
	rights_decide(&decision, &rights, command, job->args, job->actor_id, POLICY_ORIGIN_LATER);
	out->is_member = rights.person.push && rights.person.user_id > 0 &&
			 rights.person.user_id == job->actor_id;
	/* approvals may still come: a gate asks for them, of the very commit */
	if (out->is_member && job->is_quiet) {
		common_refuse(out, "denied.again",
			      "your permission is new; give the command again: `%.200s`",
			      job->line);
	} else if (decision.verdict == POLICY_ALLOW || decision.verdict == POLICY_NEEDS_APPROVAL) {
		keep_policy(job, &rights, last->data, &decision, out);
		out->authorized = str_dup(decision.rule);
		common_next(job, out);
	} else {
		keep_refusal(job, last, &decision, looks, out);
	}
}

bool common_is_too_often(const struct job *job, struct update *out)
{
	const struct command *command = command_by_name(&commands, job->command);

	if (!job->is_quiet || command->scope != SCOPE_ALWAYS)
		return false;
	common_refuse(out, "denied.often", "@%s had an answer here within the hour", job->actor);
	return true;
}

void common_authorize(const struct job *job, const struct effect_result *last, int64_t now_ms,
		      struct update *out)
{
	(void)now_ms;
	if (last && jval_at(last->data, "asked"))
		refuse_after_look(job, last, out);
	else if (last)
		decide(job, last, true, out);
	else if (!common_is_too_often(job, out))
		common_ask(out, EFFECT_PERMISSION, NULL);
}

/* The right may have gone while the job waited or compiled: asked again before anything changes,
 * and the policy as it is now. */
void common_confirm(const struct job *job, const struct effect_result *last, int64_t now_ms,
		    struct update *out)
{
	json_t *args;

	(void)now_ms;
	if (last) {
		decide(job, last, false, out);
		return;
	}
	if (common_is_too_often(job, out))
		return;
	args = json_object();
	jval_set_bool(args, "fresh", true);
	common_ask(out, EFFECT_PERMISSION, args);
}
