/* Quotas of a person and of a repository: which count, which is said first, when the next one is
 * possible, and what the operator's make stricter. */
#include "lib/core/policy_decide.h"

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "tests/unit/cases.h"
#include "tests/unit/core/policy_commands.h"
#include "tests/unit/core/policy_sound.h"
#include "tests/unit/core/policy_texts.h"

enum { ME = 1000001, DAY_MS = 86400000 };

/* Monday 1 January 2024, 09:30:30 UTC */
static const int64_t monday_ms = 1704101430000;

#define OF_ALL	  "commands: { run: { quota_repository: 3/day } }\n"
#define OF_BOTH	  "commands: { run: { quota: 2/day, quota_repository: 3/day } }\n"
#define OPERATORS "[{\"commands\": [\"run\"], \"quota_repository\": \"3/day\"}]"

static const struct {
	const char *name, *policy, *ceilings, *command;
	struct policy_use uses[2];
	struct policy_next next;
	const char *code, *sentence, *rule;
} cases[] = {
	{"not used up",
	 OF_ALL,
	 "[]",
	 "run",
	 {{"repository run", 2}},
	 {0},
	 "",
	 "",
	 "commands.run, line 1"},
	{"used up, and when there is room again",
	 OF_ALL,
	 "[]",
	 "run",
	 {{"repository run", 3}},
	 {"repository run", monday_ms},
	 "denied.quota_repository",
	 "All people together did this 3 times in the last day in this repository, and 3 are "
	 "allowed "
	 "(commands.run, line 1). The next one is possible on Mon 09:31 UTC.",
	 "commands.run, line 1"},
	{"used up, by a command that it is a part of",
	 OF_ALL,
	 "[]",
	 "build_run",
	 {{"repository run", 3}},
	 {0},
	 "denied.quota_repository",
	 "3 are allowed (commands.run, line 1).",
	 "commands.run, line 1"},
	{"another command",
	 OF_ALL,
	 "[]",
	 "build",
	 {{"repository run", 3}},
	 {0},
	 "",
	 "",
	 "default of /build"},
	{"nobody counted",
	 OF_ALL,
	 "[]",
	 "run",
	 {{"run", 0}},
	 {0},
	 "denied.unverified",
	 "could not be counted",
	 "commands.run, line 1"},
	{"a person's own is said first",
	 OF_BOTH,
	 "[]",
	 "run",
	 {{"run", 2}, {"repository run", 3}},
	 {"run", monday_ms + DAY_MS},
	 "denied.quota",
	 "You did this 2 times in the last day, and 2 are allowed (commands.run, line 1). The next "
	 "one is possible on Tue 09:31 UTC.",
	 "commands.run, line 1"},
	{"others have used it up",
	 OF_BOTH,
	 "[]",
	 "run",
	 {{"run", 1}, {"repository run", 3}},
	 {0},
	 "denied.quota_repository",
	 "All people together",
	 "commands.run, line 1"},
	{"the operator's",
	 "",
	 OPERATORS,
	 "build_run",
	 {{"repository ceilings[0]", 3}},
	 {"repository ceilings[0]", monday_ms},
	 "denied.quota_repository",
	 "3 are allowed (ceilings[0]). The next one is possible on Mon 09:31 UTC.",
	 "ceilings[0]"},
	{"the operator's stands above a looser one",
	 "commands: { run: { quota_repository: 100/day } }\n",
	 OPERATORS,
	 "run",
	 {{"repository run", 3}, {"repository ceilings[0]", 3}},
	 {0},
	 "denied.quota_repository",
	 "3 are allowed (ceilings[0]).",
	 "ceilings[0]"},
	{"a value of the operator's that cannot be read is the strictest",
	 "",
	 "[{\"quota_repository\": \"many\"}]",
	 "run",
	 {{"repository ceilings[0]", 1}},
	 {0},
	 "denied.quota_repository",
	 "1 times in the last week in this repository, and 1 are allowed",
	 "ceilings[0]"},
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_POLICY struct policy *policy = read_text(cases[i].policy);
		struct policy_person person = {
			.user_id = ME, .pull = true, .triage = true, .push = true};
		struct policy_question question = {
			.command = command_by_name(some_table(), cases[i].command),
			.table = some_table(),
			.actor_id = ME,
			.person = &person,
			.origin = POLICY_ORIGIN_BRANCH,
			.uses = cases[i].uses,
			.use_count = cases[i].uses[1].key ? 2 : 1,
			.nexts = &cases[i].next,
			.next_count = cases[i].next.key ? 1 : 0,
		};
		struct policy_ceilings ceilings;
		struct policy_decision decision;

		read_ceilings(&ceilings, cases[i].ceilings, "acme/model");
		policy_decide(&decision, policy, &ceilings, &question);
		policy_sound(policy, &ceilings, &question, &decision);
		print_message("%s: %s %s\n", cases[i].name, decision.code, decision.sentence);
		assert_string_equal(decision.code, cases[i].code);
		assert_non_null(strstr(decision.sentence, cases[i].sentence));
		assert_string_equal(decision.rule, cases[i].rule);
		policy_ceilings_dispose(&ceilings);
	}
}

static void test_needs(void **state)
{
	AUTO_POLICY struct policy *policy = read_text(OF_BOTH);
	struct policy_question question = {.command = command_by_name(some_table(), "run"),
					   .table = some_table()};
	AUTO_FREE char *text = NULL;
	struct policy_ceilings ceilings;
	json_t *needs;

	(void)state;
	read_ceilings(&ceilings, OPERATORS, "acme/model");
	needs = policy_needs(policy, &ceilings, &question);
	text = jval_dump(jval_at(needs, "uses"));
	assert_string_equal(
		text, "[{\"commands\":[\"run\",\"build_run\"],\"key\":\"run\",\"period_ms\":"
		      "86400000,\"quota\":2},{\"commands\":[\"run\",\"build_run\"],\"key\":"
		      "\"repository run\",\"period_ms\":86400000,\"quota\":3,\"repository\":true},"
		      "{\"commands\":[\"run\",\"build_run\"],\"key\":\"repository ceilings[0]\","
		      "\"period_ms\":86400000,\"quota\":3,\"repository\":true}]");
	json_decref(needs);
	policy_ceilings_dispose(&ceilings);
}

static void test_faults(void **state)
{
	static const char *const texts[] = {
		"commands: { run: { quota_repository: 0/day } }\n",
		"commands: { run: { quota_repository: 50 } }\n",
		"commands: { run: { quota_repository: 5/year } }\n",
		"commands: { run: { quota_repository: [5/day] } }\n",
		"environments: { staging: { deploy: { quota_repository: 5/day } } }\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO_POLICY struct policy *policy = read_text(texts[i]);

		assert_int_equal(policy->fault_count, 1);
		assert_non_null(strstr(policy->faults[0].text, "quota_repository"));
	}
}

static void collect(void *arg, const char *sentence)
{
	buf_printf(arg, "%s\n", sentence);
}

static void test_cuts(void **state)
{
	AUTO_POLICY struct policy *policy = read_text(
		"commands:\n  run: { quota_repository: 100/day }\n  build: { quota: 1/day }\n");
	AUTO_BUF struct buf text = buf_make(8192);
	struct policy_ceilings ceilings;

	(void)state;
	read_ceilings(&ceilings,
		      "[{\"commands\": [\"run\"], \"quota_repository\": \"300/week\"},"
		      " {\"commands\": [\"build\"], \"quota_repository\": \"9/hour\"}]",
		      "acme/model");
	policy_cuts(policy, &ceilings, some_table(), collect, &text);
	assert_string_equal(
		buf_text(&text),
		"ceilings[0]: commands.run, line 2 allows more for the repository; the operator "
		"asks for at most 300 a week for the repository\n"
		"ceilings[1]: commands.build, line 3 sets no quota for the repository; the "
		"operator asks for at most 9 a hour for the repository\n");
	policy_ceilings_dispose(&ceilings);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_answers),
	cmocka_unit_test(test_needs),
	cmocka_unit_test(test_faults),
	cmocka_unit_test(test_cuts),
};
CASES_MAIN(tests, NULL, NULL)
