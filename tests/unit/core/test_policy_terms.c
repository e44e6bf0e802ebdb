/* What holds beside who may: the facts that are asked for, the terms of an environment, freezes,
 * and what the operator's ceilings cut. */
#include "lib/core/policy_decide.h"

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "tests/unit/cases.h"
#include "tests/unit/core/policy_commands.h"
#include "tests/unit/core/policy_texts.h"

/* --- what to ask --- */

static void test_needs(void **state)
{
	AUTO_POLICY struct policy *policy = read_text("commands:\n"
						      "  build: { teams: [ml, infra] }\n"
						      "  run: { teams: [ml], quota: 5/hour }\n");
	struct policy_ceilings ceilings;
	struct policy_question question = {.command = command_by_name(some_table(), "build_run"),
					   .table = some_table()};
	json_t *needs;
	AUTO_FREE char *text = NULL;

	(void)state;
	read_ceilings(&ceilings,
		      "[{\"forks\": \"never\"}, {\"commands\": [\"run\"], \"quota\": \"9/day\"}]",
		      "acme/model");
	needs = policy_needs(policy, &ceilings, &question);
	text = jval_dump(needs);
	assert_string_equal(text,
			    "{\"teams\":[\"ml\",\"infra\"],\"uses\":[{\"commands\":[\"run\","
			    "\"build_run\"],\"key\":\"run\",\"period_ms\":3600000,\"quota\":5},{"
			    "\"commands\":[\"run\",\"build_run\"],\"key\":\"ceilings[1]\","
			    "\"period_ms\":86400000,\"quota\":9}]}");
	json_decref(needs);
	policy_ceilings_dispose(&ceilings);
}

/* --- environments --- */

static const char with_terms[] =
	"environments:\n"
	"  production:\n"
	"    require: [checks]\n"
	"    after: staging\n"
	"    canary: [10]\n"
	"    merge: squash\n"
	"    namespace: ml-prod\n"
	"    approvers: { teams: [ml] }\n"
	"    freeze: [\"Fri 16:00-Sun 10:00\", \"sun 09:00-Mon 08:00\"]\n"
	"  qa: { merge: true, require: [] }\n"
	"  never: { freeze: [\"Mon 00:00-Sun 00:00\", \"Sun 00:00-Mon 00:00\"] }\n";

static void test_terms(void **state)
{
	AUTO_POLICY struct policy *policy = read_text(with_terms), *none = policy_default();
	const struct command *deploy = command_by_name(some_table(), "deploy");
	struct policy_ceilings ceilings;
	struct policy_terms terms;

	(void)state;
	assert_int_equal(policy->fault_count, 0);
	read_ceilings(&ceilings, "[{\"environments\": [\"production\"], \"approvals\": 2}]", "a/b");
	policy_terms(&terms, policy, &ceilings, deploy, "production");
	assert_int_equal(terms.approvals, 2);
	assert_true(terms.checks && !terms.up_to_date && terms.merges);
	assert_string_equal(terms.after, "staging");
	assert_string_equal(terms.method, "squash");
	assert_string_equal(terms.namespace, "ml-prod");
	assert_int_equal(terms.step_count, 2);
	assert_string_equal(policy_namespace_owner(policy, "ml-prod"), "production");
	assert_null(policy_namespace_owner(policy, "ml"));
	policy_terms(&terms, policy, &ceilings, deploy, "qa");
	assert_true(!terms.checks && !terms.up_to_date && terms.merges && !terms.method);
	policy_terms(&terms, none, &no_ceilings, deploy, "production");
	assert_true(terms.checks && terms.up_to_date && terms.merges && !terms.approvals);
	policy_terms(&terms, none, &no_ceilings, deploy, "staging");
	assert_false(terms.merges);
	policy_ceilings_dispose(&ceilings);
}

enum { HOUR_MS = 3600000 };
/* 2026-11-27 was a Friday. */
static const int64_t friday = 1795737600000;

static const struct {
	const char *name, *environment;
	int64_t at_ms, until_ms; /* from Friday 00:00; until -1: not frozen */
} times[] = {
	{"before", "production", 16 * HOUR_MS - 1, -1},
	{"its first moment", "production", 16 * HOUR_MS, 80 * HOUR_MS},
	{"Saturday", "production", 40 * HOUR_MS + 7, 80 * HOUR_MS},
	{"in both windows", "production", 57 * HOUR_MS + 30 * 60000, 80 * HOUR_MS},
	{"the last minute", "production", 80 * HOUR_MS - 1, 80 * HOUR_MS},
	{"the end", "production", 80 * HOUR_MS, -1},
	{"Wednesday", "production", 120 * HOUR_MS, -1},
	{"the next week", "production", 184 * HOUR_MS, 248 * HOUR_MS},
	{"another environment", "qa", 40 * HOUR_MS, -1},
	{"one that is not in the file", "staging", 40 * HOUR_MS, -1},
};

static void test_freeze(void **state)
{
	AUTO_POLICY struct policy *policy = read_text(with_terms);
	int64_t until;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		bool frozen = policy_is_frozen(policy, times[i].environment,
					       friday + times[i].at_ms, &until);

		print_message("%s\n", times[i].name);
		assert_int_equal(frozen, times[i].until_ms >= 0);
		if (frozen)
			assert_int_equal(until, friday + times[i].until_ms);
	}
	assert_true(policy_is_frozen(policy, "never", friday, &until));
	assert_int_equal(until, 0); /* it does not end */
}

/* --- cuts --- */

static void collect(void *arg, const char *sentence)
{
	buf_printf(arg, "%s\n", sentence);
}

static void test_cuts(void **state)
{
	AUTO_POLICY struct policy *policy =
		read_text("commands:\n  run: { permission: write, quota: 10/day }\n"
			  "environments:\n  production: { deploy: { permission: maintain } }\n");
	AUTO_BUF struct buf text = buf_make(8192);
	struct policy_ceilings ceilings;

	(void)state;
	read_ceilings(
		&ceilings,
		"[{\"forks\": \"never\"}, {\"environments\": [\"production\"], "
		"\"teams_required\": true, \"approvals\": 1},"
		" {\"commands\": [\"run\"], \"permission\": \"maintain\", \"quota\": \"20/week\"}]",
		"acme/model");
	policy_cuts(policy, &ceilings, some_table(), collect, &text);
	assert_string_equal(
		buf_text(&text),
		"ceilings[0]: forks.build ok-to-run; the operator asks for never\n"
		"ceilings[1]: environments.production.deploy, line 4 names nobody; the operator "
		"asks for teams, users or roles\n"
		"ceilings[1]: environments.production asks for 0 approvals; the operator asks for "
		"1\n"
		"ceilings[2]: commands.run, line 2 asks for write permission; the operator asks "
		"for maintain\n"
		"ceilings[2]: commands.run, line 2 allows more; the operator asks for at most 20 a "
		"week\n");
	policy_ceilings_dispose(&ceilings);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_needs),
	cmocka_unit_test(test_terms),
	cmocka_unit_test(test_freeze),
	cmocka_unit_test(test_cuts),
};
CASES_MAIN(tests, NULL, NULL)
