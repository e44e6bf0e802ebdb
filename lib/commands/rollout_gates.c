/* rollout_gates.c - see rollout.h. From what the job has found out to the facts that the gates ask
 * about, and from their verdicts to what people read. The verdicts are asked for three times:
 * early, with what GitHub alone knows, so that a closed pull request costs no checkout; when all is
 * known; and once more when the environment is ours. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/rollout.h"
#include "lib/core/approvers.h"
#include "lib/core/policy.h"
#include "lib/core/thresholds.h"

enum {
	ASK_AGAIN_MAX_MS = 30000,
	ASK_MAX = 20,	  /* about nine minutes in all */
	BLOCKED_SURE = 3, /* GitHub works rules out a little later than checks */
};

/* The newest of a topic: the update's copy, else the job's. */
static const json_t *topic(const struct job *job, const struct update *out, const char *name)
{
	const json_t *mine = out && out->data ? json_object_get(out->data, name) : NULL;

	return mine ? mine : json_object_get(job->data, name);
}

/* A boolean that is there says yes or no; anything else is not known. */
static enum fact fact_of(const json_t *from, const char *path)
{
	const json_t *value = jval_at(from, path);

	if (!json_is_boolean(value))
		return FACT_UNKNOWN;
	return json_is_true(value) ? FACT_YES : FACT_NO;
}

static enum fact fact_from(bool value)
{
	return value ? FACT_YES : FACT_NO;
}

static void pull_facts(const json_t *seen, const struct job *job, struct gate_facts *facts)
{
	facts->pull_author = jval_str(seen, "author", NULL);
	facts->pull_open = fact_of(seen, "open");
	facts->pull_draft = fact_of(seen, "draft");
	facts->pull_merged = fact_of(seen, "merged");
	facts->pull_conflicts = str_eq(jval_str(seen, "mergeable_state", ""), "dirty") ? FACT_YES
				: jval_at(seen, "mergeable")			       ? FACT_NO
							     : FACT_UNKNOWN;
	facts->base = jval_str(seen, "base_ref", NULL);
	facts->base_wanted = jval_str(seen, "default_branch", NULL);
	facts->base_right = facts->base && facts->base_wanted
				    ? fact_from(str_eq(facts->base, facts->base_wanted))
				    : FACT_UNKNOWN;
	facts->head = jval_str(seen, "head_sha", NULL);
	facts->sha_is_head =
		facts->head ? fact_from(str_eq(facts->head, job->head_sha)) : FACT_UNKNOWN;
	facts->sha_before = jval_str(job->data, "pin.moved_from", NULL);
	facts->sha_provable = fact_from(!str_eq(jval_str(job->data, "pin.source", "api"), "api"));
}

static void run_facts(const json_t *run, const struct job *job, struct gate_facts *facts)
{
	facts->run_id = jval_str(run, "id", NULL);
	facts->run_sha = jval_str(run, "sha", NULL);
	facts->run_state = jval_str(run, "state", NULL);
	facts->run_found = fact_from(facts->run_id != NULL);
	facts->run_ours = facts->run_found;
	facts->run_succeeded = fact_from(str_eq(facts->run_state, "SUCCEEDED"));
	facts->run_of_pull = fact_from(jval_int(run, "pr", 0) == job->pr);
	facts->run_of_sha = fact_from(str_eq(facts->run_sha, job->head_sha));
}

static void model_facts(const json_t *model, struct gate_facts *facts)
{
	facts->model_uri = jval_str(model, "uri", NULL);
	facts->model_why = jval_str(model, "why", NULL);
	facts->model_unclear = str_eq(jval_str(model, "code", ""), "deploy.which_model");
	facts->model_found = fact_of(model, "found");
	facts->model_fits = fact_of(model, "fits");
	facts->model_same = fact_of(model, "same");
}

static void merge_facts(const json_t *seen, struct gate_facts *facts)
{
	const json_t *behind = jval_at(seen, "behind_by");

	facts->checks_complete = fact_of(seen, "checks.complete");
	facts->checks_passed = fact_of(seen, "checks.passed");
	facts->checks_pending = jval_bool(seen, "checks.pending", false);
	facts->checks_names = jval_str(seen, "checks.names", NULL);
	facts->up_to_date =
		json_is_integer(behind) ? fact_from(json_integer_value(behind) == 0) : FACT_UNKNOWN;
	facts->behind_by = jval_int(seen, "behind_by", 0);
	facts->mergeable = fact_of(seen, "mergeable");
	facts->mergeable_why = jval_str(seen, "mergeable_why", NULL);
	facts->methods = jval_str(seen, "methods", NULL);
	facts->queue_required = fact_of(seen, "merge_queue");
	facts->in_queue_already = fact_of(seen, "queue.in");
	facts->workflows_touched = fact_of(seen, "touches_workflows");
	facts->workflows_allowed = fact_of(seen, "may_workflows");
}

static void approval_facts(const json_t *approvals, const json_t *policy, const struct job *job,
			   struct gate_facts *facts)
{
	AUTO_BUF struct buf by = buf_make(sizeof facts->approvals_by);
	const char *unknown = jval_str(approvals, "unknown", "");

	facts->approvals_need = (int)jval_int(approvals, "need", 0);
	facts->approvals_have = (int)jval_int(approvals, "have", 0);
	facts->approvals =
		approvals && !facts->approvals_need ? FACT_UNUSED : fact_of(approvals, "enough");
	facts->approvals_unknown = *unknown ? unknown : NULL;
	approvers_say(jval_at(policy, "approvers"), job->repo, "", &by);
	str_copy(facts->approvals_by, sizeof facts->approvals_by, buf_text(&by));
	facts->approvals_wait = true;
	facts->approvals_job = str_eq(job->command, "plan") ? 0 : job->id;
	facts->changes_requested = fact_of(approvals, "changes_requested");
	facts->changes_by = jval_str(approvals, "changes_by", NULL);
}

/* GitHub's word on the whole: "clean", "unstable" and "has_hooks" mean that no rule is in the way.
 */
static bool is_free(const json_t *seen)
{
	const char *state = jval_str(seen, "mergeable_state", "");

	return str_eq(state, "clean") || str_eq(state, "unstable") || str_eq(state, "has_hooks");
}

/* A review may be asked for by rules that GitHub's own summary does not know. */
static enum fact reviews_of(const json_t *seen)
{
	const char *review = jval_str(seen, "review", "");

	if (str_eq(review, "approved"))
		return FACT_YES;
	if (str_eq(review, "review_required") || str_eq(review, "changes_requested"))
		return FACT_NO;
	if (str_eq(review, "none") && !jval_bool(seen, "reviews_required", false))
		return FACT_UNUSED;
	return is_free(seen) ? FACT_YES : FACT_UNKNOWN;
}

static bool has_name(const json_t *names, const char *name)
{
	const json_t *each;
	size_t i;

	json_array_foreach(names, i, each)
	{
		if (str_eq(json_string_value(each), name))
			return true;
	}
	return false;
}

/* Environments that rules want to have had this commit. That to which it goes now comes by itself:
 * the merge is last. */
static void deployment_facts(const json_t *seen, struct gate_facts *facts)
{
	const json_t *wanted = jval_at(seen, "deployments_required"), *each,
		     *deployed = jval_at(seen, "deployed");
	size_t i;

	facts->deployed_before = json_array_size(wanted) ? FACT_YES : FACT_UNUSED;
	json_array_foreach(wanted, i, each)
	{
		const char *name = json_string_value(each);

		if (has_name(deployed, name))
			continue;
		if (str_eq(name, facts->environment)) {
			facts->deploys_what_is_missing = true;
		} else if (!facts->deployment_missing) {
			facts->deployed_before = deployed ? FACT_NO : FACT_UNKNOWN;
			facts->deployment_missing = name;
		}
	}
}

static void rule_facts(const json_t *seen, const json_t *rollout, struct gate_facts *facts)
{
	const char *state = jval_str(seen, "mergeable_state", "");
	const json_t *open = jval_at(seen, "threads_open");

	facts->reviews = reviews_of(seen);
	facts->reviews_refused = str_eq(jval_str(seen, "review", ""), "changes_requested");
	facts->threads_open = jval_int(seen, "threads_open", 0);
	if (!jval_bool(seen, "conversations_required", false))
		facts->conversations = FACT_UNUSED;
	else if (open)
		facts->conversations = fact_from(facts->threads_open == 0);
	else
		facts->conversations = is_free(seen) ? FACT_YES : FACT_UNKNOWN;
	deployment_facts(seen, facts);
	facts->other_rules = jval_str(seen, "other_rules", NULL);
	facts->blocked_surely = jval_int(rollout, "blocked_seen", 0) >= BLOCKED_SURE;
	if (str_eq(state, "unknown"))
		facts->mergeable = FACT_UNKNOWN;
	if (!*state || str_eq(state, "unknown"))
		return;
	facts->behind_rule = fact_from(str_eq(state, "behind"));
	facts->blocked = fact_from(str_eq(state, "blocked"));
}

/* What the policy asks for beside the right; `seen` has what was found out about it. */
static void policy_facts(const json_t *policy, const json_t *seen, struct gate_facts *facts)
{
	facts->may_force = fact_of(policy, "maintain");
	facts->allowed = jval_at(policy, "allowed") ? fact_of(policy, "allowed") : FACT_YES;
	facts->allowed_why = jval_str(policy, "why", NULL);
	if (!jval_bool(policy, "checks", true))
		facts->checks_complete = facts->checks_passed = FACT_UNUSED;
	if (!jval_bool(policy, "up_to_date", true))
		facts->up_to_date = FACT_UNUSED;
	facts->previous = jval_str(policy, "after", NULL);
	facts->previous_has_sha = facts->previous ? fact_of(seen, "previous_has_sha") : FACT_UNUSED;
	facts->held = fact_of(seen, "held");
	facts->held_by = jval_str(seen, "held_by", NULL);
	facts->held_reason = jval_str(seen, "held_reason", NULL);
	facts->allowed_again = FACT_UNUSED;
	facts->sha_is_head_again = FACT_UNUSED;
}

/* Kept as a boolean by a job of an earlier version: then nobody can compare them, and they are not
 * met. */
static void metric_facts(const json_t *policy, const json_t *seen, const json_t *model,
			 struct gate_facts *facts)
{
	const json_t *thresholds = json_object_get(policy, "metrics");
	struct thresholds found;

	facts->metrics = FACT_UNUSED;
	if (json_is_true(thresholds))
		facts->metrics = FACT_UNKNOWN;
	if (!json_array_size(thresholds))
		return;
	thresholds_judge(&found, thresholds, json_object_get(model, "metrics"),
			 json_object_get(seen, "live"));
	facts->metrics = found.met;
	facts->metrics_code = found.code;
	str_copy(facts->metrics_said, sizeof facts->metrics_said, found.said);
}

static void freeze_facts(const json_t *policy, int64_t now_ms, struct gate_facts *facts)
{
	struct policy_window windows[POLICY_WINDOWS_MAX];
	const json_t *list = jval_at(policy, "freeze"), *each;
	size_t count = 0, i;
	int64_t until_ms;

	json_array_foreach((json_t *)(uintptr_t)list, i, each) if (count < POLICY_WINDOWS_MAX)
		windows[count++] =
			(struct policy_window){(int)json_integer_value(json_array_get(each, 0)),
					       (int)json_integer_value(json_array_get(each, 1))};
	facts->frozen = FACT_UNUSED;
	if (!count)
		return;
	facts->frozen = fact_from(policy_in_windows(windows, count, now_ms, &until_ms));
	if (until_ms)
		policy_moment(facts->frozen_until, until_ms);
}

/* Is the word one of "merge, squash"? */
static bool is_listed(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (; *list; list += strspn(list, ", ")) {
		size_t next = strcspn(list, ", ");

		if (next == len && !strncmp(list, word, len))
			return true;
		list += next;
	}
	return false;
}

/* GitHub is asked before the settings are read, so it tells which ways there are, and whether the
 * one that is taken is among them is seen here. A way that the policy names is the only one. */
static void method_facts(const json_t *policy, struct gate_facts *facts)
{
	const char *method = jval_str(policy, "method", NULL);

	facts->method_allowed =
		facts->methods ? fact_from(is_listed(facts->methods, facts->method)) : FACT_UNKNOWN;
	if (method && !str_eq(method, facts->method)) {
		facts->method_allowed = FACT_NO;
		facts->methods = method;
	}
}

static void lock_facts(const json_t *rollout, struct gate_facts *facts)
{
	facts->lock = jval_int(rollout, "fence", 0) ? LOCK_OURS : LOCK_FREE;
}

/* Somebody merged it while its model was tried; nothing is left to ask of that. */
static void merged_facts(struct gate_facts *facts)
{
	facts->pull_open = FACT_YES;
	facts->pull_draft = facts->pull_merged = facts->pull_conflicts = FACT_NO;
	facts->checks_passed = facts->up_to_date = FACT_UNUSED;
}

static const char *merge_method(const struct job *job, const json_t *policy)
{
	return jval_str(job->args, "merge-method", jval_str(policy, "method", "merge"));
}

void rollout_facts(const struct job *job, const struct update *out, int64_t now_ms,
		   struct gate_facts *facts)
{
	const json_t *seen = topic(job, out, "facts"), *rollout = topic(job, out, "rollout");
	const json_t *policy = topic(job, out, "policy");

	*facts = (struct gate_facts){0};
	facts->environment = rollout_environment(job);
	facts->command = jval_str(seen, "line", NULL);
	facts->sha = job->head_sha;
	facts->pull = job->pr;
	facts->merges = jval_bool(rollout, "merges",
				  jval_bool(policy, "merges", false) &&
					  !jval_bool(job->args, "no-merge", false));
	facts->method = jval_str(rollout, "method", merge_method(job, policy));
	facts->force_reason = jval_str(job->args, "force", NULL);
	pull_facts(seen, job, facts);
	if (!str_eq(facts->environment, "production") && !facts->merges)
		facts->base_right = FACT_UNUSED;
	run_facts(topic(job, out, "run"), job, facts);
	model_facts(topic(job, out, "model"), facts);
	merge_facts(seen, facts);
	rule_facts(seen, rollout, facts);
	approval_facts(topic(job, out, "approvals"), policy, job, facts);
	policy_facts(policy, seen, facts);
	metric_facts(policy, seen, topic(job, out, "model"), facts);
	method_facts(policy, facts);
	freeze_facts(policy, now_ms, facts);
	lock_facts(rollout, facts);
	if (jval_int(rollout, "of", 0)) /* the commit is given by what is open */
		facts->sha_is_head = facts->sha_provable = FACT_YES;
	if (jval_bool(rollout, "merged_already", false))
		merged_facts(facts);
}

void rollout_keep_verdicts(const struct job *job, struct update *out,
			   const struct gate_report *report)
{
	json_t *list = json_array();

	for (int i = 0; i < GATE_COUNT; i++) {
		const struct gate_verdict *verdict = &report->items[i];
		json_t *row = json_object();

		jval_set_str(row, "gate", gate_name(verdict->gate));
		jval_set_str(row, "result", gate_result_name(verdict->result));
		jval_set_str(row, "code", verdict->code);
		jval_set_str(row, "sentence", verdict->sentence);
		jval_set_str(row, "line", verdict->line);
		json_array_append_new(list, row);
	}
	(void)job;
	if (!out->data)
		out->data = json_object();
	jval_set(out->data, "gates", list);
}

static void end_by_gate(const struct job *job, const struct gate_report *report, int64_t now_ms,
			struct update *out)
{
	const struct gate_verdict *first = &report->items[report->first];
	const char *line = first->line;
	bool leads_on = str_ends(first->sentence, ":"); /* to the line */

	common_part(job, out, "gates", PART_FAILED, now_ms, gate_name(first->gate));
	common_refuse(out, first->code, "%s%s%s%s%s", first->sentence,
		      leads_on || str_ends(first->sentence, ".") ? "" : ".",
		      !*line	 ? ""
		      : leads_on ? " `"
				 : " Next: `",
		      line, *line ? "`" : "");
}

/* --- what GitHub alone knows --- */

static void ask_github(const struct job *job, struct update *out)
{
	json_t *args = json_object();

	jval_set_str(args, "sha", job->head_sha);
	if (jval_str(job->data, "policy.after", NULL))
		jval_set_str(args, "after", jval_str(job->data, "policy.after", ""));
	jval_set(args, "against", thresholds_against(jval_at(job->data, "policy.metrics")));
	common_ask(out, EFFECT_MERGE_FACTS, args);
}

static void keep_facts(const struct job *job, const struct effect_result *last, struct update *out)
{
	json_t *facts = common_data(job, out, "facts"), *rollout = common_data(job, out, "rollout");
	AUTO_FREE char *line = rollout_line(job);
	int64_t seen = jval_int(rollout, "blocked_seen", 0);

	json_object_clear(facts);
	json_object_update(facts, last->data);
	jval_set_str(facts, "line", line);
	if (str_eq(jval_str(facts, "mergeable_state", ""), "blocked"))
		jval_set_int(rollout, "blocked_seen", seen + 1);
	else
		json_object_del(rollout, "blocked_seen");
}

/* Refuses at once what no run and no model could change; the rest is asked about later. */
void rollout_ask(const struct job *job, const struct effect_result *last, int64_t now_ms,
		 struct update *out)
{
	const struct command *command = command_by_name(&commands, job->command);
	struct gate_report report;
	struct gate_facts facts;

	if (!last) {
		ask_github(job, out);
		jval_set_str(common_data(job, out, "rollout"), "environment",
			     rollout_environment(job));
		common_part(job, out, "gates", PART_RUNNING, now_ms, "asking GitHub");
		return;
	}
	if (last->err.class) {
		common_fail(out, &last->err);
		return;
	}
	keep_facts(job, last, out);
	rollout_facts(job, out, now_ms, &facts);
	gates_ask(&report, &facts);
	if (report.first < GATE_RUN && report.items[report.first].result == GATE_FAILED &&
	    !command->read_only) {
		rollout_keep_verdicts(job, out, &report);
		end_by_gate(job, &report, now_ms, out);
		return;
	}
	common_next(job, out);
}

/* --- all of them --- */

/* Soon at first, because GitHub works out in a second what can be merged; then slower and slower.
 */
static int64_t ask_again_ms(const struct job *job, int64_t tries)
{
	int64_t wait = job->rules->look_service_ms;

	for (int64_t i = 0; i < tries && wait < ASK_AGAIN_MAX_MS; i++)
		wait *= 2;
	return wait < ASK_AGAIN_MAX_MS ? wait : ASK_AGAIN_MAX_MS;
}

/* GitHub is working it out, or checks are going on: asked again, for a while, each of the two times
 * that the gates are asked. */
static bool waits_for_github(const struct job *job, const struct gate_report *report,
			     int64_t now_ms, struct update *out)
{
	const struct gate_verdict *first = &report->items[report->first];
	json_t *rollout = common_data(job, out, "rollout");
	int64_t tries = jval_int(rollout, "tries", 0);

	if (first->result != GATE_WAITS || first->gate == GATE_LOCK ||
	    first->gate == GATE_APPROVALS || tries >= ASK_MAX)
		return false;
	jval_set_int(rollout, "tries", tries + 1);
	common_part(job, out, "gates", PART_RUNNING, now_ms, first->sentence);
	common_wait(out, WAIT_NONE, NULL, now_ms + ask_again_ms(job, tries));
	return true;
}

/* Answers that GitHub itself has not settled on yet. */
static bool is_worked_out(const char *code)
{
	return str_eq(code, "deploy.mergeable_unknown") || str_eq(code, "deploy.blocked");
}

/* Approvals are waited for last: whoever is asked for one looks at something that may go. */
static void put_approvals_off(struct gate_report *report)
{
	if (report->first != GATE_APPROVALS || report->items[GATE_APPROVALS].result != GATE_WAITS)
		return;
	for (int i = GATE_APPROVALS + 1; i <= GATE_COUNT; i++) {
		report->first = (enum gate)i;
		if (i == GATE_COUNT || report->items[i].result >= GATE_WAITS)
			return;
	}
}

static void judge(const struct job *job, int64_t now_ms, struct update *out)
{
	const struct command *command = command_by_name(&commands, job->command);
	struct gate_report report;
	struct gate_facts facts;

	rollout_facts(job, out, now_ms, &facts);
	gates_ask(&report, &facts);
	rollout_keep_verdicts(job, out, &report);
	if (command->read_only) { /* /plan: all verdicts are its answer, when GitHub has its own */
		if (report.first < GATE_COUNT && is_worked_out(report.items[report.first].code) &&
		    waits_for_github(job, &report, now_ms, out))
			return;
		common_next(job, out);
		return;
	}
	put_approvals_off(&report);
	if (report.first == GATE_COUNT || report.first == GATE_LOCK) {
		common_part(job, out, "gates", PART_DONE, now_ms,
			    report.items[GATE_APPROVALS].result == GATE_WAITS
				    ? "all passed but the approvals"
				    : "all passed");
		(void)json_object_del(common_data(job, out, "rollout"), "tries");
		common_next(job, out);
	} else if (!waits_for_github(job, &report, now_ms, out)) {
		end_by_gate(job, &report, now_ms, out);
	}
}

void rollout_gates(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	if (!last && jval_int(job->data, "rollout.tries", 0)) { /* it has waited */
		ask_github(job, out);
		return;
	}
	if (last && last->err.class) {
		common_fail(out, &last->err);
		return;
	}
	if (last)
		keep_facts(job, last, out);
	judge(job, now_ms, out);
}

/* --- once more, with the environment in hand --- */

/* Pushes, reviews and rights may have changed while it stood in line. */
void rollout_again(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	struct gate_report report;
	struct gate_facts facts;

	if (!last) {
		ask_github(job, out);
		return;
	}
	if (last->err.class) {
		common_fail(out, &last->err);
		return;
	}
	if (jval_at(last->data, "need")) {
		rollout_keep_approvals(job, last, out);
	} else {
		keep_facts(job, last, out);
		if (rollout_needs_approvals(job, out)) {
			rollout_ask_approvals(job, out);
			return;
		}
	}
	rollout_facts(job, out, now_ms, &facts);
	facts.approvals_wait = false;	/* the environment is not kept from others for that */
	facts.allowed_again = FACT_YES; /* confirm has passed */
	facts.sha_is_head_again = facts.sha_is_head;
	gates_ask(&report, &facts);
	rollout_keep_verdicts(job, out, &report);
	if (report.first == GATE_COUNT) {
		if (report.forced) /* for the audit: who passed over a gate, and why */
			out->authorized = str_printf("--force: %s", facts.force_reason);
		common_next(job, out);
	} else if (!waits_for_github(job, &report, now_ms, out)) {
		end_by_gate(job, &report, now_ms, out);
	}
}
