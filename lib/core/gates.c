/* gates.c - see gates.h. Each gate is one small function that says pass, skip, wait, fail or
 * "could not verify" about its own facts; none looks at another's verdict, so /plan can show all of
 * them. The sentences are for people who train models, not for people who know GitHub. */
#include "lib/core/gates.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

static const struct {
	const char *name, *asks;
	bool forced;
} gates[] = {
#define GATE(symbol, name, asks, forced) {name, asks, forced},
#include "lib/core/gates.def"
#undef GATE
};

const char *gate_name(enum gate gate)
{
	return gates[gate].name;
}

const char *gate_asks(enum gate gate)
{
	return gates[gate].asks;
}

const char *gate_result_name(enum gate_result result)
{
	static const char *const names[] = {"passed", "skipped", "forced",
					    "waits",  "failed",	 "unverified"};

	return names[result];
}

/* --- words --- */

static const char *or_(const char *text, const char *otherwise)
{
	return str_is_empty(text) ? otherwise : text;
}

/* The first twelve digits of a commit. */
static const char *brief(char out[16], const char *sha)
{
	str_copy(out, 13, or_(sha, "(unknown)"));
	return out;
}

static void verdict(struct gate_verdict *out, enum gate_result result, const char *code,
		    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void verdict(struct gate_verdict *out, enum gate_result result, const char *code,
		    const char *fmt, ...)
{
	va_list args;

	out->result = result;
	out->code = code;
	va_start(args, fmt);
	(void)vsnprintf(out->sentence, sizeof out->sentence, fmt, args);
	va_end(args);
	out->sentence[str_utf8_cut(out->sentence, strlen(out->sentence))] = '\0';
}

static void paste(struct gate_verdict *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void paste(struct gate_verdict *out, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(out->line, sizeof out->line, fmt, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof out->line)
		out->line[0] = '\0'; /* half a line must not be pasted */
}

static void pass(struct gate_verdict *out, const char *sentence)
{
	verdict(out, GATE_PASSED, "", "%s", sentence);
}

static void skip(struct gate_verdict *out, const char *sentence)
{
	verdict(out, GATE_SKIPPED, "", "%s", sentence);
}

static void unverified(struct gate_verdict *out, const char *what)
{
	verdict(out, GATE_UNVERIFIED, "deploy.unverified",
		"Could not verify %s, so nothing is deployed. Try again in a minute.", what);
}

static void fail(struct gate_verdict *out, const char *code, const char *sentence)
{
	verdict(out, GATE_FAILED, code, "%s", sentence);
}

static void again(struct gate_verdict *out, const struct gate_facts *facts)
{
	paste(out, "%s", or_(facts->command, "/deploy"));
}

/* --- the gates --- */

static void ask_policy(struct gate_verdict *out, const struct gate_facts *facts)
{
	if (facts->allowed == FACT_YES)
		pass(out, "You may deploy here.");
	else if (facts->allowed == FACT_NO)
		fail(out, "deploy.not_allowed",
		     or_(facts->allowed_why, "The policy of this repository does not allow you to "
					     "deploy here."));
	else
		unverified(out, "whether you may deploy here");
}

static void ask_pull(struct gate_verdict *out, const struct gate_facts *facts)
{
	if (facts->pull_merged == FACT_YES)
		fail(out, "deploy.merged",
		     "This pull request is merged already. Open a new one for the next model.");
	else if (facts->pull_open == FACT_NO)
		fail(out, "deploy.closed", "This pull request is closed. Open it again first.");
	else if (facts->pull_draft == FACT_YES)
		fail(out, "deploy.draft",
		     "This pull request is a draft. Press \"Ready for review\" first.");
	else if (facts->pull_conflicts == FACT_YES)
		fail(out, "deploy.conflicts",
		     "This pull request has conflicts with its base branch. Solve them, then run "
		     "the "
		     "pipeline again.");
	else if (facts->pull_open == FACT_YES && facts->pull_merged == FACT_NO &&
		 facts->pull_draft == FACT_NO && facts->pull_conflicts == FACT_NO)
		pass(out, "The pull request is open and has no conflicts.");
	else if (facts->pull_open == FACT_YES && facts->pull_merged == FACT_NO &&
		 facts->pull_draft == FACT_NO && facts->pull_conflicts == FACT_UNKNOWN)
		verdict(out, GATE_WAITS, "deploy.mergeable_unknown",
			"GitHub is still working out whether there are conflicts.");
	else
		unverified(out, "the state of this pull request");
}

static void ask_base(struct gate_verdict *out, const struct gate_facts *facts)
{
	if (facts->base_right == FACT_YES)
		pass(out, "It goes to the right branch.");
	else if (facts->base_right == FACT_UNUSED)
		skip(out, "Any base branch will do here.");
	else if (facts->base_right == FACT_NO)
		verdict(out, GATE_FAILED, "deploy.base_branch",
			"This pull request goes to the branch \"%.80s\", but %s is deployed from "
			"\"%.80s\". Change the base branch.",
			or_(facts->base, "?"), or_(facts->environment, "this environment"),
			or_(facts->base_wanted, "?"));
	else
		unverified(out, "where this pull request goes to");
}

static void ask_sha(struct gate_verdict *out, const struct gate_facts *facts)
{
	bool moved = facts->sha_is_head == FACT_NO;
	bool moved_before = facts->sha_provable == FACT_NO && !str_is_empty(facts->sha_before);
	char sha[16], head[16];

	if (moved || moved_before) {
		verdict(out, GATE_FAILED, "deploy.head_moved",
			"The head of this pull request moved from %s to %s around your comment. "
			"Look at the new commit, then:",
			brief(sha, moved ? facts->sha : facts->sha_before),
			brief(head, facts->head));
		if (!str_is_empty(facts->head))
			paste(out, "%s --sha %s", or_(facts->command, "/deploy"), facts->head);
	} else if (facts->sha_provable == FACT_NO) {
		verdict(out, GATE_FAILED, "deploy.sha_unproven",
			"It is not certain that %s was the head when you wrote your comment. Check "
			"it, then:",
			brief(sha, facts->sha));
		if (!str_is_empty(facts->sha))
			paste(out, "%s --sha %s", or_(facts->command, "/deploy"), facts->sha);
	} else if (facts->sha_provable == FACT_YES && facts->sha_is_head == FACT_YES) {
		pass(out, "It is the commit that you saw.");
	} else {
		unverified(out, "which commit you meant");
	}
}

static void ask_run(struct gate_verdict *out, const struct gate_facts *facts)
{
	const char *id = or_(facts->run_id, "?");
	char sha[16], of[16];

	if (facts->run_found == FACT_NO)
		verdict(out, GATE_FAILED, "deploy.no_run",
			"There is no run of commit %s yet, so there is no model to deploy. Run it "
			"first:",
			brief(sha, facts->sha));
	else if (facts->run_ours == FACT_NO)
		verdict(out, GATE_FAILED, "deploy.foreign_run",
			"Run %.40s was not started by this bot, so nobody knows from which commit "
			"it "
			"came. Run it here:",
			id);
	else if (facts->run_of_pull == FACT_NO)
		verdict(out, GATE_FAILED, "deploy.foreign_run",
			"Run %.40s belongs to another pull request or repository. Run it here:",
			id);
	else if (facts->run_of_sha == FACT_NO)
		verdict(out, GATE_FAILED, "deploy.old_run",
			"Run %.40s is of commit %s, but the head is %s. Run the head:", id,
			brief(of, facts->run_sha), brief(sha, facts->sha));
	else if (facts->run_succeeded == FACT_NO)
		verdict(out, GATE_FAILED, "deploy.run_not_done",
			"Run %.40s has not succeeded (%.40s). Wait for it or run it again:", id,
			or_(facts->run_state, "state unknown"));
	else if (facts->run_found == FACT_YES && facts->run_ours == FACT_YES &&
		 facts->run_of_pull == FACT_YES && facts->run_of_sha == FACT_YES &&
		 facts->run_succeeded == FACT_YES)
		pass(out, "A run of this commit succeeded.");
	else
		unverified(out, "the run of this commit");
	if (out->result == GATE_FAILED)
		paste(out, "/build_run");
}

static void ask_model(struct gate_verdict *out, const struct gate_facts *facts)
{
	const char *uri = or_(facts->model_uri, "its address");

	if (facts->run_found == FACT_NO)
		skip(out, "There is no run whose model could be looked at.");
	else if (facts->model_found == FACT_NO)
		verdict(out, GATE_FAILED,
			facts->model_unclear ? "deploy.which_model" : "deploy.no_model", "%.300s",
			or_(facts->model_why, "The run left no model behind. Let the pipeline give "
					      "out a model, then run it again:"));
	else if (facts->model_fits == FACT_NO)
		verdict(out, GATE_FAILED, "deploy.model_kind", "%.300s",
			or_(facts->model_why,
			    "The model's files are not of the kind that the server loads."));
	else if (facts->model_same == FACT_NO)
		verdict(out, GATE_FAILED, "deploy.model_changed",
			"The files at %.200s are not those that the run left there: somebody "
			"changed "
			"them. Run the pipeline again:",
			uri);
	else if (facts->model_found == FACT_YES &&
		 (facts->model_fits == FACT_YES || facts->model_fits == FACT_UNUSED) &&
		 (facts->model_same == FACT_YES || facts->model_same == FACT_UNUSED))
		pass(out, "The model is there.");
	else
		unverified(out, "the model's files");
	if (out->result == GATE_FAILED && !facts->model_unclear)
		paste(out, "/build_run");
}

static void ask_metrics(struct gate_verdict *out, const struct gate_facts *facts)
{
	const char *said = *facts->metrics_said ? facts->metrics_said : "see the policy";

	if (facts->metrics == FACT_UNUSED)
		skip(out, "No thresholds are set.");
	else if (facts->run_found == FACT_NO)
		skip(out, "There is no run whose metrics could be looked at.");
	else if (facts->metrics == FACT_YES)
		verdict(out, GATE_PASSED, "", "The metrics are good enough: %s.", said);
	else if (facts->metrics == FACT_NO)
		verdict(out, GATE_FAILED, or_(facts->metrics_code, "deploy.metrics"),
			"The metrics are not what the policy asks for: %s.", said);
	else
		unverified(out, "the metrics of the run");
}

static void ask_approvals(struct gate_verdict *out, const struct gate_facts *facts)
{
	char sha[16];

	if (facts->approvals == FACT_UNUSED)
		skip(out, "No approvals are asked for.");
	else if (facts->changes_requested == FACT_YES)
		verdict(out, GATE_FAILED, "deploy.changes_requested",
			"%.60s asked for changes. Settle that first.",
			or_(facts->changes_by, "A reviewer"));
	else if (facts->approvals == FACT_NO)
		verdict(out, facts->approvals_wait ? GATE_WAITS : GATE_FAILED, "deploy.approvals",
			"Commit %s has %d of %d approvals that count: of this very commit, not "
			"from "
			"its author%s%s.",
			brief(sha, facts->sha), facts->approvals_have, facts->approvals_need,
			*facts->approvals_by ? ", and by " : "", facts->approvals_by);
	else if (facts->approvals == FACT_YES && facts->changes_requested == FACT_NO)
		pass(out, "Enough people approved this commit.");
	else if (!str_is_empty(facts->approvals_unknown))
		verdict(out, GATE_FAILED, "deploy.approvals_unknown",
			"Nobody can tell %.160s, so no approval of it counts.",
			facts->approvals_unknown);
	else
		unverified(out, "the approvals of this commit");
	if (out->result == GATE_WAITS && facts->approvals_job > 0)
		paste(out, "/approve %lld", (long long)facts->approvals_job);
}

static void ask_reviews(struct gate_verdict *out, const struct gate_facts *facts)
{
	const char *base = or_(facts->base, "the base branch");

	if (!facts->merges)
		skip(out, "Nothing is merged.");
	else if (facts->reviews == FACT_UNUSED)
		skip(out, "No rule of the branch asks for a review.");
	else if (facts->reviews == FACT_YES)
		pass(out, "The reviews that the branch requires have been given.");
	else if (facts->reviews == FACT_UNKNOWN)
		unverified(out, "the reviews that the branch requires");
	else if (facts->reviews_refused)
		fail(out, "deploy.changes_requested",
		     "A reviewer asked for changes. Settle that first.");
	else
		verdict(out, GATE_FAILED, "deploy.review_required",
			"The rules of \"%.80s\" ask for a review (of code owners, perhaps) that "
			"has not been given. Ask for it, then give the command again.",
			base);
}

static void ask_checks(struct gate_verdict *out, const struct gate_facts *facts)
{
	const char *names = or_(facts->checks_names, "some");

	if (facts->checks_passed == FACT_UNUSED)
		skip(out, "No checks are asked for.");
	else if (facts->checks_complete != FACT_YES)
		unverified(out, "all checks of this commit");
	else if (facts->checks_passed == FACT_YES)
		pass(out, "All required checks passed.");
	else if (facts->checks_passed != FACT_NO)
		unverified(out, "the checks of this commit");
	else if (facts->checks_pending)
		verdict(out, GATE_WAITS, "deploy.checks_pending",
			"These checks are still going on: %.250s.", names);
	else
		verdict(out, GATE_FAILED, "deploy.checks",
			"These required checks did not pass: %.250s.", names);
}

static void ask_up_to_date(struct gate_verdict *out, const struct gate_facts *facts)
{
	if (facts->up_to_date == FACT_YES)
		pass(out, "The branch has everything of its base.");
	else if (facts->up_to_date == FACT_UNUSED)
		skip(out, "The policy does not ask for it.");
	else if (facts->up_to_date == FACT_NO)
		verdict(out, GATE_FAILED, "deploy.behind",
			"The branch lacks %lld commits of \"%.80s\", so what was tested is not "
			"what "
			"would be merged. Press \"Update branch\", then:",
			(long long)facts->behind_by, or_(facts->base, "its base"));
	else
		unverified(out, "whether the branch is up to date");
	if (out->result == GATE_FAILED)
		paste(out, "/build_run");
}

static void ask_mergeable(struct gate_verdict *out, const struct gate_facts *facts)
{
	if (!facts->merges)
		skip(out, "Nothing is merged.");
	else if (facts->mergeable == FACT_YES)
		pass(out, "GitHub can merge it.");
	else if (facts->mergeable == FACT_NO)
		verdict(out, GATE_FAILED, "deploy.not_mergeable",
			"GitHub cannot merge this pull request: %.200s.",
			or_(facts->mergeable_why, "it does not say why"));
	else
		verdict(out, GATE_WAITS, "deploy.mergeable_unknown",
			"GitHub is still working out whether this can be merged.");
}

static bool is_missing(enum fact fact)
{
	return fact == FACT_NO || fact == FACT_UNKNOWN;
}

/* Rules that have a name and do not hold. True when there is one. */
static bool ask_named_rules(struct gate_verdict *out, const struct gate_facts *facts)
{
	const char *base = or_(facts->base, "the base branch");

	if (facts->conversations == FACT_NO)
		verdict(out, GATE_FAILED, "deploy.conversations",
			"The rules of \"%.80s\" ask that all conversations of a review are "
			"resolved; %lld are not.",
			base, (long long)facts->threads_open);
	else if (facts->conversations == FACT_UNKNOWN)
		unverified(out, "whether all conversations are resolved");
	else if (facts->deployed_before == FACT_NO) {
		verdict(out, GATE_FAILED, "deploy.required_deployment",
			"The rules of \"%.80s\" ask for a deployment of this commit to \"%.60s\" "
			"before it is merged:",
			base, or_(facts->deployment_missing, "another environment"));
		paste(out, "/deploy %s", or_(facts->deployment_missing, "ENV"));
	} else if (facts->deployed_before == FACT_UNKNOWN)
		unverified(out, "to which environments this commit was deployed");
	else if (facts->behind_rule == FACT_YES)
		verdict(out, GATE_FAILED, "deploy.behind",
			"The rules of \"%.80s\" ask that the branch is up to date, and --force "
			"does "
			"not lift them. Press \"Update branch\", then run the pipeline again.",
			base);
	else
		return false;
	return true;
}

/* GitHub says that the merge is blocked. Is that said by a gate, or what the deployment mends? */
static bool is_explained(const struct gate_facts *facts)
{
	return is_missing(facts->checks_passed) || is_missing(facts->reviews) ||
	       (facts->deploys_what_is_missing && str_is_empty(facts->other_rules));
}

static void ask_rules(struct gate_verdict *out, const struct gate_facts *facts)
{
	if (!facts->merges)
		skip(out, "Nothing is merged.");
	else if (ask_named_rules(out, facts))
		return;
	else if (facts->blocked == FACT_NO && facts->behind_rule == FACT_NO)
		pass(out, "No rule of the branch is in the way.");
	else if (facts->blocked != FACT_YES && facts->mergeable == FACT_UNKNOWN)
		verdict(out, GATE_WAITS, "deploy.mergeable_unknown",
			"GitHub is still working out whether the rules of the branch hold.");
	else if (facts->blocked != FACT_YES)
		unverified(out, "whether the rules of the branch hold");
	else if (is_explained(facts))
		pass(out, facts->deploys_what_is_missing
				  ? "The rules wait for this deployment."
				  : "What the rules wait for is asked about by itself.");
	else
		verdict(out, facts->blocked_surely ? GATE_FAILED : GATE_WAITS, "deploy.blocked",
			"GitHub says that a rule of \"%.80s\" blocks the merge, and not which. "
			"%s%.120s%s The box at the end of the pull request's page may say more.",
			or_(facts->base, "the base branch"),
			str_is_empty(facts->other_rules) ? "It may be one that the bot cannot "
							   "read, or one that does not let the bot "
							   "merge."
							 : "It may be one of: ",
			or_(facts->other_rules, ""), str_is_empty(facts->other_rules) ? "" : ".");
}

static void ask_method(struct gate_verdict *out, const struct gate_facts *facts)
{
	if (!facts->merges || facts->method_allowed == FACT_UNUSED)
		skip(out, facts->merges ? "No rule limits how to merge." : "Nothing is merged.");
	else if (facts->queue_required == FACT_YES)
		skip(out, "The merge queue merges in the way that is set for it.");
	else if (facts->method_allowed == FACT_YES)
		pass(out, "The branch rules allow this way to merge.");
	else if (facts->method_allowed == FACT_NO)
		verdict(out, GATE_FAILED, "deploy.merge_method",
			"The rules of \"%.80s\" do not allow to merge by \"%.20s\", only: %.60s.",
			or_(facts->base, "the base branch"), or_(facts->method, "?"),
			or_(facts->methods, "nothing"));
	else
		unverified(out, "which ways to merge are allowed");
	if (out->result == GATE_FAILED && !str_is_empty(facts->methods))
		paste(out, "%s --merge-method %.*s", or_(facts->command, "/deploy"),
		      (int)strcspn(facts->methods, ", "), facts->methods);
}

/* One that stands in the queue may be merged at any moment: before its model was tried. */
static void ask_queue(struct gate_verdict *out, const struct gate_facts *facts)
{
	if (!facts->merges)
		skip(out, "Nothing is merged.");
	else if (facts->queue_required == FACT_NO)
		pass(out, "There is no merge queue in the way.");
	else if (facts->queue_required != FACT_YES)
		unverified(out, "whether the base branch has a merge queue");
	else if (facts->in_queue_already == FACT_YES)
		fail(out, "deploy.in_queue",
		     "This pull request is in the merge queue already, so it may be merged before "
		     "its model was tried. Take it out of the queue first.");
	else if (facts->in_queue_already == FACT_NO)
		pass(out, "It goes into the merge queue when its model serves.");
	else
		unverified(out, "whether it is in the merge queue already");
}

/* To try again does not help: a fine-grained token's permissions are told to nobody. */
static void workflows_unknown(struct gate_verdict *out, const struct gate_facts *facts)
{
	verdict(out, GATE_UNVERIFIED, "deploy.unverified", "%s",
		"Could not verify whether the bot may merge the files in .github/workflows, so "
		"nothing is deployed. GitHub tells it of an App and of a classic token (scope "
		"`workflow`), not of a fine-grained one. Deploy without merging:");
	paste(out, "%s --no-merge", or_(facts->command, "/deploy"));
}

static void ask_workflows(struct gate_verdict *out, const struct gate_facts *facts)
{
	if (!facts->merges)
		skip(out, "Nothing is merged.");
	else if (facts->workflows_touched == FACT_NO)
		pass(out, "No workflow files are touched.");
	else if (facts->workflows_touched != FACT_YES)
		unverified(out, "whether workflow files are touched");
	else if (facts->workflows_allowed != FACT_NO && facts->workflows_allowed != FACT_YES)
		workflows_unknown(out, facts);
	else if (facts->workflows_allowed == FACT_YES)
		pass(out, "The bot may merge the workflow files.");
	else {
		fail(out, "deploy.workflows",
		     "This pull request changes files in .github/workflows, and the bot has no "
		     "right "
		     "to merge those. Give it the \"workflows\" permission (a classic token: the "
		     "scope \"workflow\"), or deploy without merging:");
		paste(out, "%s --no-merge", or_(facts->command, "/deploy"));
	}
}

static void ask_previous(struct gate_verdict *out, const struct gate_facts *facts)
{
	const char *previous = or_(facts->previous, "the one before");
	char sha[16];

	if (facts->previous_has_sha == FACT_YES)
		pass(out, "The environment before it has this commit.");
	else if (facts->previous_has_sha == FACT_UNUSED)
		skip(out, "No environment comes before it.");
	else if (facts->previous_has_sha == FACT_NO) {
		verdict(out, GATE_FAILED, "deploy.previous",
			"Commit %s must be in %.60s before it goes to %.60s:",
			brief(sha, facts->sha), previous,
			or_(facts->environment, "this environment"));
		paste(out, "/deploy %s", previous);
	} else {
		unverified(out, "what the environment before it has");
	}
}

static void ask_hold(struct gate_verdict *out, const struct gate_facts *facts)
{
	if (facts->held == FACT_NO)
		pass(out, "It is not on hold.");
	else if (facts->held == FACT_UNUSED)
		skip(out, "Holds are not used here.");
	else if (facts->held == FACT_YES) {
		verdict(out, GATE_FAILED, "deploy.on_hold",
			"This pull request is on hold by %.60s%s%.150s.",
			or_(facts->held_by, "somebody"),
			str_is_empty(facts->held_reason) ? "" : ": ", or_(facts->held_reason, ""));
		paste(out, "/unhold");
	} else {
		unverified(out, "whether this pull request is on hold");
	}
}

static void ask_freeze(struct gate_verdict *out, const struct gate_facts *facts)
{
	if (facts->frozen == FACT_NO)
		pass(out, "No freeze is on.");
	else if (facts->frozen == FACT_UNUSED)
		skip(out, "No freeze is set.");
	else if (facts->frozen == FACT_YES) {
		verdict(out, GATE_FAILED, "deploy.frozen",
			"Nothing is deployed to %.60s until %.60s. A maintainer may, with a "
			"reason:",
			or_(facts->environment, "this environment"),
			or_(facts->frozen_until, "the freeze ends"));
		paste(out, "%s --force \"REASON\"", or_(facts->command, "/deploy"));
	} else {
		unverified(out, "whether a freeze is on");
	}
}

static void lock_held(struct gate_verdict *out, const struct gate_facts *facts)
{
	char pull[32] = "", place[80] = "";

	if (facts->lock_pull > 0)
		(void)snprintf(pull, sizeof pull, " for #%lld", (long long)facts->lock_pull);
	if (facts->lock_place > 0)
		(void)snprintf(place, sizeof place,
			       " You are number %d in line; it starts by itself.",
			       facts->lock_place);
	verdict(out, GATE_WAITS, "deploy.lock_held",
		"%.60s is locked by %.60s%s since %.30s%s%.100s%s.%s",
		or_(facts->environment, "The environment"), or_(facts->lock_holder, "somebody"),
		pull, or_(facts->lock_since, "some time"),
		str_is_empty(facts->lock_reason) ? "" : " (", or_(facts->lock_reason, ""),
		str_is_empty(facts->lock_reason) ? "" : ")", place);
	if (facts->lock_job > 0)
		paste(out, "/cancel %lld", (long long)facts->lock_job);
}

static void ask_lock(struct gate_verdict *out, const struct gate_facts *facts)
{
	switch (facts->lock) {
	case LOCK_FREE:
		pass(out, "The environment is free.");
		return;
	case LOCK_OURS:
		pass(out, "The environment is held for this job.");
		return;
	case LOCK_HELD:
		lock_held(out, facts);
		return;
	case LOCK_UNKNOWN:
		break;
	}
	unverified(out, "whether the environment is free");
}

static void ask_again(struct gate_verdict *out, const struct gate_facts *facts)
{
	char head[16];

	if (facts->allowed_again == FACT_UNUSED && facts->sha_is_head_again == FACT_UNUSED)
		skip(out, "Asked once more before anything changes.");
	else if (facts->allowed_again == FACT_NO)
		fail(out, "deploy.not_allowed",
		     or_(facts->allowed_why, "You may not deploy here any more."));
	else if (facts->sha_is_head_again == FACT_NO) {
		verdict(out, GATE_FAILED, "deploy.head_moved",
			"Somebody pushed %s while this waited. Look at it, then:",
			brief(head, facts->head));
		if (!str_is_empty(facts->head))
			paste(out, "%s --sha %s", or_(facts->command, "/deploy"), facts->head);
	} else if (facts->allowed_again == FACT_YES && facts->sha_is_head_again == FACT_YES) {
		pass(out, "Policy and commit still hold.");
	} else {
		unverified(out, "policy and commit once more");
	}
}

/* --- all --- */

/* --force passes over a refusal, for whom it may. */
static void force(struct gate_verdict *out, const struct gate_facts *facts, bool *forced)
{
	if (!gates[out->gate].forced || facts->force_reason == NULL ||
	    (out->result != GATE_FAILED && out->result != GATE_UNVERIFIED))
		return;
	out->line[0] = '\0';
	if (!facts->force_reason[strspn(facts->force_reason, " \t")]) {
		verdict(out, GATE_FAILED, "deploy.force_reason", "--force needs a reason.");
		paste(out, "%s --force \"REASON\"", or_(facts->command, "/deploy"));
	} else if (facts->may_force == FACT_YES) {
		verdict(out, GATE_FORCED, "", "Skipped by --force.");
		*forced = true;
	} else if (facts->may_force == FACT_NO) {
		fail(out, "deploy.force_denied",
		     "--force needs maintain permission on this repository.");
	} else {
		unverified(out, "whether you may use --force");
	}
}

void gates_ask(struct gate_report *out, const struct gate_facts *facts)
{
	static void (*const asks[])(struct gate_verdict *, const struct gate_facts *) = {
		[GATE_POLICY] = ask_policy,
		[GATE_PULL] = ask_pull,
		[GATE_BASE] = ask_base,
		[GATE_SHA] = ask_sha,
		[GATE_RUN] = ask_run,
		[GATE_MODEL] = ask_model,
		[GATE_METRICS] = ask_metrics,
		[GATE_APPROVALS] = ask_approvals,
		[GATE_REVIEWS] = ask_reviews,
		[GATE_CHECKS] = ask_checks,
		[GATE_UP_TO_DATE] = ask_up_to_date,
		[GATE_MERGEABLE] = ask_mergeable,
		[GATE_RULES] = ask_rules,
		[GATE_METHOD] = ask_method,
		[GATE_QUEUE] = ask_queue,
		[GATE_WORKFLOWS] = ask_workflows,
		[GATE_PREVIOUS] = ask_previous,
		[GATE_HOLD] = ask_hold,
		[GATE_FREEZE] = ask_freeze,
		[GATE_LOCK] = ask_lock,
		[GATE_AGAIN] = ask_again,
	};

	_Static_assert(ARRAY_LEN(asks) == GATE_COUNT, "a gate without its question");
	*out = (struct gate_report){.first = GATE_COUNT};
	for (int i = 0; i < GATE_COUNT; i++) {
		struct gate_verdict *item = &out->items[i];

		item->gate = (enum gate)i;
		asks[i](item, facts);
		force(item, facts, &out->forced);
		if (out->first == GATE_COUNT && item->result >= GATE_WAITS)
			out->first = (enum gate)i;
		if (item->result == GATE_UNVERIFIED && !item->line[0])
			again(item, facts);
	}
}
