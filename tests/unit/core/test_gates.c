/* The gates before a deployment: every fact that can be wrong, what is said then and what line
 * people get; that nothing unknown passes; what --force skips and what it does not. */
#include "lib/core/gates.h"

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "tests/unit/cases.h"

static const char sha[] = "1111111111111111111111111111111111111111";
static const char other[] = "2222222222222222222222222222222222222222";

/* A deployment that may go ahead, with every gate in use. */
static struct gate_facts good(void)
{
	return (struct gate_facts){
		.environment = "production",
		.command = "/deploy production",
		.sha = sha,
		.head = sha,
		.pull = 7,
		.merges = true,
		.may_force = FACT_YES,
		.allowed = FACT_YES,
		.pull_open = FACT_YES,
		.pull_draft = FACT_NO,
		.pull_merged = FACT_NO,
		.pull_conflicts = FACT_NO,
		.base_right = FACT_YES,
		.base = "main",
		.base_wanted = "main",
		.sha_provable = FACT_YES,
		.sha_is_head = FACT_YES,
		.run_found = FACT_YES,
		.run_succeeded = FACT_YES,
		.run_ours = FACT_YES,
		.run_of_pull = FACT_YES,
		.run_of_sha = FACT_YES,
		.run_id = "9e68aca5",
		.model_found = FACT_YES,
		.model_fits = FACT_YES,
		.model_same = FACT_YES,
		.metrics = FACT_YES,
		.approvals = FACT_YES,
		.changes_requested = FACT_NO,
		.reviews = FACT_YES,
		.conversations = FACT_YES,
		.deployed_before = FACT_YES,
		.behind_rule = FACT_NO,
		.blocked = FACT_NO,
		.checks_complete = FACT_YES,
		.checks_passed = FACT_YES,
		.up_to_date = FACT_YES,
		.mergeable = FACT_YES,
		.method_allowed = FACT_YES,
		.method = "squash",
		.queue_required = FACT_NO,
		.in_queue_already = FACT_NO,
		.workflows_touched = FACT_NO,
		.previous = "staging",
		.previous_has_sha = FACT_YES,
		.held = FACT_NO,
		.frozen = FACT_NO,
		.lock = LOCK_OURS,
		.allowed_again = FACT_YES,
		.sha_is_head_again = FACT_YES,
	};
}

/* CASE(name, what is different, gate, result, code, line): one row of the decision table. */
#define CASES                                                                                      \
	CASE(stranger, f->allowed = FACT_NO, POLICY, FAILED, "deploy.not_allowed", "")             \
	CASE(closed, f->pull_open = FACT_NO, PULL, FAILED, "deploy.closed", "")                    \
	CASE(draft, f->pull_draft = FACT_YES, PULL, FAILED, "deploy.draft", "")                    \
	CASE(merged, f->pull_merged = FACT_YES, PULL, FAILED, "deploy.merged", "")                 \
	CASE(conflicts, f->pull_conflicts = FACT_YES, PULL, FAILED, "deploy.conflicts", "")        \
	CASE(base, f->base_right = FACT_NO, BASE, FAILED, "deploy.base_branch", "")                \
	CASE(base_any, f->base_right = FACT_UNUSED, BASE, SKIPPED, "", "")                         \
	CASE(moved, (f->sha_is_head = FACT_NO, f->head = other), SHA, FAILED, "deploy.head_moved", \
	     "/deploy production --sha 2222222222222222222222222222222222222222")                  \
	CASE(unproven, f->sha_provable = FACT_NO, SHA, FAILED, "deploy.sha_unproven",              \
	     "/deploy production --sha 1111111111111111111111111111111111111111")                  \
	CASE(no_run, f->run_found = FACT_NO, RUN, FAILED, "deploy.no_run", "/build_run")           \
	CASE(not_ours, f->run_ours = FACT_NO, RUN, FAILED, "deploy.foreign_run", "/build_run")     \
	CASE(of_other_pull, f->run_of_pull = FACT_NO, RUN, FAILED, "deploy.foreign_run",           \
	     "/build_run")                                                                         \
	CASE(old_run, (f->run_of_sha = FACT_NO, f->run_sha = other), RUN, FAILED,                  \
	     "deploy.old_run", "/build_run")                                                       \
	CASE(failed_run, f->run_succeeded = FACT_NO, RUN, FAILED, "deploy.run_not_done",           \
	     "/build_run")                                                                         \
	CASE(no_model, f->model_found = FACT_NO, MODEL, FAILED, "deploy.no_model", "/build_run")   \
	CASE(wrong_kind, f->model_fits = FACT_NO, MODEL, FAILED, "deploy.model_kind",              \
	     "/build_run")                                                                         \
	CASE(swapped, f->model_same = FACT_NO, MODEL, FAILED, "deploy.model_changed",              \
	     "/build_run")                                                                         \
	CASE(metrics, f->metrics = FACT_NO, METRICS, FAILED, "deploy.metrics", "")                 \
	CASE(no_metrics, f->metrics = FACT_UNUSED, METRICS, SKIPPED, "", "")                       \
	CASE(approvals, f->approvals = FACT_NO, APPROVALS, FAILED, "deploy.approvals", "")         \
	CASE(approvals_unknown,                                                                    \
	     (f->approvals = FACT_UNKNOWN, f->approvals_unknown = "who wrote the commit"),         \
	     APPROVALS, FAILED, "deploy.approvals_unknown", "")                                    \
	CASE(approvals_to_come,                                                                    \
	     (f->approvals = FACT_NO, f->approvals_wait = true, f->approvals_job = 42), APPROVALS, \
	     WAITS, "deploy.approvals", "/approve 42")                                             \
	CASE(no_approvals, (f->approvals = FACT_UNUSED, f->changes_requested = FACT_UNKNOWN),      \
	     APPROVALS, SKIPPED, "", "")                                                           \
	CASE(changes, f->changes_requested = FACT_YES, APPROVALS, FAILED,                          \
	     "deploy.changes_requested", "")                                                       \
	CASE(checks_failed, (f->checks_passed = FACT_NO, f->checks_names = "lint"), CHECKS,        \
	     FAILED, "deploy.checks", "")                                                          \
	CASE(checks_pending, (f->checks_passed = FACT_NO, f->checks_pending = true), CHECKS,       \
	     WAITS, "deploy.checks_pending", "")                                                   \
	CASE(checks_incomplete, f->checks_complete = FACT_NO, CHECKS, UNVERIFIED,                  \
	     "deploy.unverified", "/deploy production")                                            \
	CASE(no_checks, f->checks_passed = FACT_UNUSED, CHECKS, SKIPPED, "", "")                   \
	CASE(behind, (f->up_to_date = FACT_NO, f->behind_by = 3), UP_TO_DATE, FAILED,              \
	     "deploy.behind", "/build_run")                                                        \
	CASE(forced, (f->up_to_date = FACT_NO, f->force_reason = "hotfix"), UP_TO_DATE, FORCED,    \
	     "", "")                                                                               \
	CASE(force_no_reason, (f->up_to_date = FACT_NO, f->force_reason = ""), UP_TO_DATE, FAILED, \
	     "deploy.force_reason", "/deploy production --force \"REASON\"")                       \
	CASE(force_denied, (f->frozen = FACT_YES, f->force_reason = "x", f->may_force = FACT_NO),  \
	     FREEZE, FAILED, "deploy.force_denied", "")                                            \
	CASE(force_unknown,                                                                        \
	     (f->frozen = FACT_YES, f->force_reason = "x", f->may_force = FACT_UNKNOWN), FREEZE,   \
	     UNVERIFIED, "deploy.unverified", "/deploy production")                                \
	CASE(force_not_policy, (f->allowed = FACT_NO, f->force_reason = "x"), POLICY, FAILED,      \
	     "deploy.not_allowed", "")                                                             \
	CASE(force_not_checks, (f->checks_passed = FACT_NO, f->force_reason = "x"), CHECKS,        \
	     FAILED, "deploy.checks", "")                                                          \
	CASE(not_mergeable, f->mergeable = FACT_NO, MERGEABLE, FAILED, "deploy.not_mergeable", "") \
	CASE(mergeable_null, f->mergeable = FACT_UNKNOWN, MERGEABLE, WAITS,                        \
	     "deploy.mergeable_unknown", "")                                                       \
	CASE(no_merge, (f->merges = false, f->mergeable = FACT_NO), MERGEABLE, SKIPPED, "", "")    \
	CASE(method, (f->method_allowed = FACT_NO, f->methods = "merge, rebase"), METHOD, FAILED,  \
	     "deploy.merge_method", "/deploy production --merge-method merge")                     \
	CASE(queue, f->queue_required = FACT_YES, QUEUE, PASSED, "", "")                           \
	CASE(queue_has_its_method, (f->queue_required = FACT_YES, f->method_allowed = FACT_NO),    \
	     METHOD, SKIPPED, "", "")                                                              \
	CASE(in_queue, (f->queue_required = FACT_YES, f->in_queue_already = FACT_YES), QUEUE,      \
	     FAILED, "deploy.in_queue", "")                                                        \
	CASE(in_queue_unsure, (f->queue_required = FACT_YES, f->in_queue_already = FACT_UNKNOWN),  \
	     QUEUE, UNVERIFIED, "deploy.unverified", "/deploy production")                         \
	CASE(review_missing, (f->reviews = FACT_NO, f->blocked = FACT_YES), REVIEWS, FAILED,       \
	     "deploy.review_required", "")                                                         \
	CASE(review_refused, (f->reviews = FACT_NO, f->reviews_refused = true), REVIEWS, FAILED,   \
	     "deploy.changes_requested", "")                                                       \
	CASE(no_review_asked, f->reviews = FACT_UNUSED, REVIEWS, SKIPPED, "", "")                  \
	CASE(no_merge_no_review, (f->merges = false, f->reviews = FACT_NO), REVIEWS, SKIPPED, "",  \
	     "")                                                                                   \
	CASE(review_not_forced, (f->reviews = FACT_NO, f->force_reason = "x"), REVIEWS, FAILED,    \
	     "deploy.review_required", "")                                                         \
	CASE(conversations, (f->conversations = FACT_NO, f->threads_open = 2), RULES, FAILED,      \
	     "deploy.conversations", "")                                                           \
	CASE(deployment_first, (f->deployed_before = FACT_NO, f->deployment_missing = "staging"),  \
	     RULES, FAILED, "deploy.required_deployment", "/deploy staging")                       \
	CASE(behind_by_rule, f->behind_rule = FACT_YES, RULES, FAILED, "deploy.behind", "")        \
	CASE(behind_not_forced, (f->behind_rule = FACT_YES, f->force_reason = "x"), RULES, FAILED, \
	     "deploy.behind", "")                                                                  \
	CASE(blocked_yet, f->blocked = FACT_YES, RULES, WAITS, "deploy.blocked", "")               \
	CASE(blocked, (f->blocked = FACT_YES, f->blocked_surely = true), RULES, FAILED,            \
	     "deploy.blocked", "")                                                                 \
	CASE(blocked_no_merge, (f->merges = false, f->blocked = FACT_YES), RULES, SKIPPED, "", "") \
	CASE(waits_for_us, (f->blocked = FACT_YES, f->deploys_what_is_missing = true), RULES,      \
	     PASSED, "", "")                                                                       \
	CASE(waits_for_more,                                                                       \
	     (f->blocked = FACT_YES, f->blocked_surely = f->deploys_what_is_missing = true,        \
	      f->other_rules = "required_signatures"),                                             \
	     RULES, FAILED, "deploy.blocked", "")                                                  \
	CASE(workflows, (f->workflows_touched = FACT_YES, f->workflows_allowed = FACT_NO),         \
	     WORKFLOWS, FAILED, "deploy.workflows", "/deploy production --no-merge")               \
	CASE(workflows_ok, (f->workflows_touched = FACT_YES, f->workflows_allowed = FACT_YES),     \
	     WORKFLOWS, PASSED, "", "")                                                            \
	CASE(workflows_unsure, f->workflows_touched = FACT_YES, WORKFLOWS, UNVERIFIED,             \
	     "deploy.unverified", "/deploy production --no-merge")                                 \
	CASE(previous, f->previous_has_sha = FACT_NO, PREVIOUS, FAILED, "deploy.previous",         \
	     "/deploy staging")                                                                    \
	CASE(no_previous, f->previous_has_sha = FACT_UNUSED, PREVIOUS, SKIPPED, "", "")            \
	CASE(held, f->held = FACT_YES, HOLD, FAILED, "deploy.on_hold", "/unhold")                  \
	CASE(frozen, f->frozen = FACT_YES, FREEZE, FAILED, "deploy.frozen",                        \
	     "/deploy production --force \"REASON\"")                                              \
	CASE(thawed, (f->frozen = FACT_YES, f->force_reason = "hotfix"), FREEZE, FORCED, "", "")   \
	CASE(locked, (f->lock = LOCK_HELD, f->lock_job = 43), LOCK, WAITS, "deploy.lock_held",     \
	     "/cancel 43")                                                                         \
	CASE(lock_free, f->lock = LOCK_FREE, LOCK, PASSED, "", "")                                 \
	CASE(lock_unknown, f->lock = LOCK_UNKNOWN, LOCK, UNVERIFIED, "deploy.unverified",          \
	     "/deploy production")                                                                 \
	CASE(right_lost, f->allowed_again = FACT_NO, AGAIN, FAILED, "deploy.not_allowed", "")      \
	CASE(pushed, (f->sha_is_head_again = FACT_NO, f->head = other), AGAIN, FAILED,             \
	     "deploy.head_moved",                                                                  \
	     "/deploy production --sha 2222222222222222222222222222222222222222")                  \
	CASE(planned, (f->allowed_again = FACT_UNUSED, f->sha_is_head_again = FACT_UNUSED), AGAIN, \
	     SKIPPED, "", "")

#define CASE(name, change, gate, result, code, line)                                               \
	static void set_##name(struct gate_facts *f)                                               \
	{                                                                                          \
		change;                                                                            \
	}
CASES
#undef CASE

static const struct {
	const char *name;
	void (*change)(struct gate_facts *facts);
	enum gate gate;
	enum gate_result result;
	const char *code, *line;
} cases[] = {
#define CASE(name, change, gate, result, code, line)                                               \
	{#name, set_##name, GATE_##gate, GATE_##result, code, line},
	CASES
#undef CASE
};

static void test_decisions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gate_facts facts = good();
		struct gate_report report;
		bool stops = cases[i].result >= GATE_WAITS;
		const struct gate_verdict *verdict = &report.items[cases[i].gate];

		print_message("%s\n", cases[i].name);
		cases[i].change(&facts);
		gates_ask(&report, &facts);
		assert_int_equal(verdict->result, cases[i].result);
		assert_string_equal(verdict->code, cases[i].code);
		assert_string_equal(verdict->line, cases[i].line);
		assert_true(verdict->sentence[0]);
		assert_int_equal(report.first, stops ? (int)cases[i].gate : GATE_COUNT);
		assert_int_equal(report.forced, strstr(verdict->sentence, "--force.") != NULL);
	}
}

static void test_good_passes_all(void **state)
{
	struct gate_facts facts = good();
	struct gate_report report;

	(void)state;
	gates_ask(&report, &facts);
	assert_int_equal(report.first, GATE_COUNT);
	for (int i = 0; i < GATE_COUNT; i++)
		assert_int_equal(report.items[i].result, GATE_PASSED);
}

/* Forgotten facts: nothing passes, whatever the gate. */
static void test_nothing_known_passes_nothing(void **state)
{
	struct gate_facts facts = {.merges = true};
	struct gate_report report;

	(void)state;
	gates_ask(&report, &facts);
	assert_int_equal(report.first, GATE_POLICY);
	for (int i = 0; i < GATE_COUNT; i++) {
		print_message("%s\n", gate_name((enum gate)i));
		assert_true(report.items[i].result == GATE_UNVERIFIED ||
			    report.items[i].result == GATE_WAITS);
	}
}

static const struct {
	size_t offset;
	enum gate gate;
} facts_of[] = {
#define FACT(member, gate)                                                                         \
	{                                                                                          \
		offsetof(struct gate_facts, member), GATE_##gate                                   \
	}
	FACT(allowed, POLICY),
	FACT(pull_open, PULL),
	FACT(pull_draft, PULL),
	FACT(pull_merged, PULL),
	FACT(pull_conflicts, PULL),
	FACT(base_right, BASE),
	FACT(sha_provable, SHA),
	FACT(sha_is_head, SHA),
	FACT(run_found, RUN),
	FACT(run_succeeded, RUN),
	FACT(run_ours, RUN),
	FACT(run_of_pull, RUN),
	FACT(run_of_sha, RUN),
	FACT(model_found, MODEL),
	FACT(model_fits, MODEL),
	FACT(model_same, MODEL),
	FACT(metrics, METRICS),
	FACT(approvals, APPROVALS),
	FACT(changes_requested, APPROVALS),
	FACT(reviews, REVIEWS),
	FACT(conversations, RULES),
	FACT(deployed_before, RULES),
	FACT(behind_rule, RULES),
	FACT(blocked, RULES),
	FACT(checks_complete, CHECKS),
	FACT(checks_passed, CHECKS),
	FACT(up_to_date, UP_TO_DATE),
	FACT(mergeable, MERGEABLE),
	FACT(method_allowed, METHOD),
	FACT(queue_required, QUEUE),
	FACT(workflows_touched, WORKFLOWS),
	FACT(previous_has_sha, PREVIOUS),
	FACT(held, HOLD),
	FACT(frozen, FREEZE),
	FACT(allowed_again, AGAIN),
	FACT(sha_is_head_again, AGAIN),
#undef FACT
};

/* Each single fact that is missing stops its own gate and no other. */
static void test_each_unknown_denies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(facts_of); i++) {
		struct gate_facts facts = good();
		struct gate_report report;

		*(enum fact *)((char *)&facts + facts_of[i].offset) = FACT_UNKNOWN;
		gates_ask(&report, &facts);
		assert_int_equal(report.first, facts_of[i].gate);
		for (int gate = 0; gate < GATE_COUNT; gate++)
			if (gate != (int)facts_of[i].gate)
				assert_int_equal(report.items[gate].result, GATE_PASSED);
	}
}

static void test_first_in_order_answers(void **state)
{
	struct gate_facts facts = good();
	struct gate_report report;

	(void)state;
	facts.lock = LOCK_HELD;
	facts.checks_passed = FACT_NO;
	facts.run_found = FACT_NO;
	gates_ask(&report, &facts);
	assert_int_equal(report.first, GATE_RUN);
	assert_int_equal(report.items[GATE_CHECKS].result, GATE_FAILED);
	assert_int_equal(report.items[GATE_LOCK].result, GATE_WAITS);
}

/* Foreign text is cut; a line that does not fit is left out, never halved. */
static void test_long_texts(void **state)
{
	char text[2000];
	struct gate_facts facts = good();
	struct gate_report report;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	facts.held = FACT_YES;
	facts.held_by = facts.held_reason = facts.command = facts.environment = text;
	facts.lock = LOCK_HELD;
	facts.lock_holder = facts.lock_since = facts.lock_reason = text;
	facts.sha_provable = FACT_NO;
	facts.previous_has_sha = FACT_NO;
	facts.previous = text;
	gates_ask(&report, &facts);
	assert_true(strlen(report.items[GATE_HOLD].sentence) < GATE_SENTENCE_MAX);
	assert_true(strlen(report.items[GATE_LOCK].sentence) < GATE_SENTENCE_MAX);
	assert_string_equal(report.items[GATE_SHA].line, "");
	assert_string_equal(report.items[GATE_PREVIOUS].line, "");
}

static void test_lock_says_who(void **state)
{
	struct gate_facts facts = good();
	struct gate_report report;

	(void)state;
	facts.lock = LOCK_HELD;
	facts.lock_holder = "kim";
	facts.lock_pull = 1207;
	facts.lock_since = "09:12 UTC";
	facts.lock_reason = "canary watch";
	facts.lock_place = 2;
	gates_ask(&report, &facts);
	assert_string_equal(report.items[GATE_LOCK].sentence,
			    "production is locked by kim for #1207 since 09:12 UTC (canary watch). "
			    "You are number 2 in line; it starts by itself.");
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(gate_name(GATE_UP_TO_DATE), "up_to_date");
	assert_string_equal(gate_asks(GATE_LOCK), "is the environment free");
	assert_string_equal(gate_result_name(GATE_UNVERIFIED), "unverified");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_decisions),
	cmocka_unit_test(test_good_passes_all),
	cmocka_unit_test(test_nothing_known_passes_nothing),
	cmocka_unit_test(test_each_unknown_denies),
	cmocka_unit_test(test_first_in_order_answers),
	cmocka_unit_test(test_long_texts),
	cmocka_unit_test(test_lock_says_who),
	cmocka_unit_test(test_names),
};

CASES_MAIN(tests, NULL, NULL)
