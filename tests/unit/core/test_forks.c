/* test_forks.c - may a job go on with a commit of a fork: every combination of fork, word of a
 * maintainer, push since, policy, ceiling and command against the rule as the documentation has it;
 * and the sentences that people read. */
#include "lib/core/forks.h"
#include "tests/unit/cases.h"
#include "tests/unit/core/policy_commands.h"

#include <stdio.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"

#define SHA   "9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901"
#define OTHER "a1b2c3d4e5f60718293a4b5c6d7e8f9019f8e7d6"

enum { REPO = 7, FORK = 8 };

/* --- all combinations --- */

static const struct {
	const char *name;
	int64_t base, head;
	bool known, fork;
} places[] = {
	{"this repository", REPO, REPO, true, false},
	{"a fork", REPO, FORK, true, true},
	{"a fork that is gone", REPO, 0, true, true},
	{"another base", FORK, FORK, false, false},
	{"no base", 0, 0, false, false},
};

static const struct {
	const char *name;
	struct fork_ok ok;
	bool builds, does_all;
} words[] = {
	{"nothing", {0}, false, false},
	{"all", {.given = true}, true, true},
	{"build only", {.given = true, .build_only = true}, true, false},
	{"all, by one who may not any more", {.given = true, .lapsed = true}, false, false},
	{"build only, lapsed", {true, true, true}, false, false},
};

static const struct {
	const char *name, *head, *heard;
	bool same, clear;
} heads[] = {
	{"the head", SHA, SHA, true, true},	     {"nothing heard", SHA, "", true, true},
	{"a push", OTHER, OTHER, false, true},	     {"a push unheard of", OTHER, "", false, false},
	{"GitHub behind", SHA, OTHER, false, false}, {"event behind", OTHER, SHA, false, false},
	{"no head", "", "", false, false},
};

static const char *const policies[] = {
	NULL,
	"forks: { build: ok-to-run, run: ok-to-run, deploy: ok-to-run }\n",
	"forks: { build: never, run: ok-to-run, deploy: ok-to-run }\n",
	"forks: { run: ok-to-run }\n",
	"commands: { build: { permision: write } }\n", /* a fault */
};

static const char *const ceilings[] = {"[]", "[{\"forks\": \"ok-to-run\"}]",
				       "[{\"forks\": \"never\"}]"};

/* By the page on permissions: policy, ceiling, use. */
static bool ever(size_t policy, size_t ceiling, enum policy_fork_use use)
{
	static const bool says[][POLICY_FORK_USES] = {{true, false, false},
						      {true, true, true},
						      {false, true, true},
						      {true, true, false},
						      {true, false, false}};

	return ceiling != 2 && says[policy][use];
}

static bool ever_all(size_t policy, size_t ceiling, unsigned uses)
{
	for (int use = 0; use < POLICY_FORK_USES; use++)
		if ((uses & (1u << use)) && !ever(policy, ceiling, (enum policy_fork_use)use))
			return false;
	return true;
}

static enum fork_verdict expected(size_t policy, size_t ceiling, size_t place, size_t word,
				  size_t head, const struct fork_facts *facts)
{
	unsigned uses = facts->command->uses;
	bool is_said = uses == USE_BUILD ? words[word].builds : words[word].does_all;

	if (!uses || (places[place].known && !places[place].fork))
		return FORK_GO;
	if (!places[place].known || !ever_all(policy, ceiling, uses))
		return FORK_REFUSED;
	if (facts->needs_head && !heads[head].same)
		return facts->may_wait && !heads[head].clear ? FORK_WAIT : FORK_REFUSED;
	return is_said ? FORK_GO : FORK_REFUSED;
}

static void check(const struct fork_facts *facts, enum fork_verdict want, const char *about)
{
	struct fork_answer answer;

	fork_judge(&answer, facts);
	if (answer.verdict != want)
		fail_msg("%s: %d, not %d (%s)", about, answer.verdict, want, answer.decision.code);
	assert_true((answer.verdict == FORK_REFUSED) == (*answer.decision.code != '\0'));
	if (answer.verdict == FORK_REFUSED)
		assert_true(*answer.decision.sentence && *answer.decision.rule);
	if (str_eq(answer.decision.code, "fork.moved"))
		assert_false(str_eq(answer.now, facts->sha));
}

static size_t check_commands(struct fork_facts *facts, size_t policy, size_t ceiling, size_t place)
{
	size_t count = 0;

	for (size_t c = 0; c < SOME_COMMANDS; c++)
		for (size_t word = 0; word < ARRAY_LEN(words); word++)
			for (size_t head = 0; head < ARRAY_LEN(heads); head++)
				for (int bits = 0; bits < 4; bits++) {
					char about[200];

					facts->command = &some_commands[c];
					facts->ok = words[word].ok;
					facts->head = heads[head].head;
					str_copy(facts->heard, sizeof facts->heard,
						 heads[head].heard);
					facts->needs_head = bits & 1;
					facts->may_wait = bits & 2;
					(void)snprintf(about, sizeof about,
						       "/%s, %s, %s, %s, policy %zu/%zu, %d",
						       facts->command->name, places[place].name,
						       words[word].name, heads[head].name, policy,
						       ceiling, bits);
					check(facts,
					      expected(policy, ceiling, place, word, head, facts),
					      about);
					count++;
				}
	return count;
}

static void read_says(struct fork_facts *facts, size_t policy, size_t ceiling)
{
	const char *text = policies[policy];
	AUTO_POLICY struct policy *read =
		text ? policy_read(text, strlen(text), "p", some_table()) : policy_default();
	AUTO_JSON json_t *list = NULL;
	struct policy_ceilings above;
	struct err err;

	assert_int_equal(jval_parse(&list, ceilings[ceiling], strlen(ceilings[ceiling]), &err), 0);
	policy_ceilings_read(&above, list, "acme/model");
	for (int use = 0; use < POLICY_FORK_USES; use++)
		facts->says[use] = policy_forks(read, &above, (enum policy_fork_use)use);
	policy_ceilings_dispose(&above);
}

static void test_all_combinations(void **state)
{
	size_t count = 0;

	(void)state;
	for (size_t policy = 0; policy < ARRAY_LEN(policies); policy++)
		for (size_t ceiling = 0; ceiling < ARRAY_LEN(ceilings); ceiling++) {
			struct fork_facts facts = {.repo_id = REPO, .sha = SHA};

			read_says(&facts, policy, ceiling);
			for (size_t place = 0; place < ARRAY_LEN(places); place++) {
				facts.base_repo_id = places[place].base;
				facts.head_repo_id = places[place].head;
				count += check_commands(&facts, policy, ceiling, place);
			}
		}
	assert_true(count > 100000);
}

/* Zeroed memory lets nothing of a fork through. */
static void test_what_is_not_known_denies(void **state)
{
	struct fork_facts facts = {.command = command_by_name(some_table(), "build"),
				   .sha = SHA,
				   .head = SHA,
				   .heard = SHA};

	(void)state;
	check(&facts, FORK_REFUSED, "nothing is known");
	facts.repo_id = facts.base_repo_id = REPO;
	check(&facts, FORK_REFUSED, "no word of a policy");
	facts.says[POLICY_FORK_BUILD] = POLICY_FORK_OK_TO_RUN;
	check(&facts, FORK_REFUSED, "no word of a maintainer");
	facts.ok.given = true;
	check(&facts, FORK_GO, "allowed");
}

/* --- sentences --- */

static const struct {
	const char *name, *command;
	struct fork_facts facts;
	const char *code, *sentence, *now;
} said[] = {
	{"no word",
	 "build",
	 {.head = SHA, .heard = SHA},
	 "fork.not_approved",
	 "A maintainer who has read this very commit can allow it.",
	 NULL},
	{"build only",
	 "build_run",
	 {.head = SHA, .ok = {true, true, false}},
	 "fork.build_only",
	 "to be built only. `/build_run` does more.",
	 NULL},
	{"lapsed",
	 "build",
	 {.head = SHA, .ok = {true, false, true}},
	 "fork.ok_lapsed",
	 "may not do so any more",
	 NULL},
	{"moved",
	 "build",
	 {.head = OTHER, .heard = OTHER, .ok = {.given = true}},
	 "fork.moved",
	 "There was a push to the fork",
	 OTHER},
	{"moved, as an event says",
	 "build",
	 {.head = SHA, .heard = OTHER, .ok = {.given = true}},
	 "fork.moved",
	 "There was a push to the fork",
	 OTHER},
};

static void test_sentences(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		struct fork_facts facts = said[i].facts;
		struct fork_answer answer;

		print_message("%s\n", said[i].name);
		facts.command = command_by_name(some_table(), said[i].command);
		facts.repo_id = facts.base_repo_id = REPO;
		facts.sha = SHA;
		facts.needs_head = true;
		for (int use = 0; use < POLICY_FORK_USES; use++)
			facts.says[use] = POLICY_FORK_OK_TO_RUN;
		fork_judge(&answer, &facts);
		assert_int_equal(answer.verdict, FORK_REFUSED);
		assert_string_equal(answer.decision.code, said[i].code);
		assert_non_null(strstr(answer.decision.sentence, said[i].sentence));
		if (said[i].now)
			assert_string_equal(answer.now, said[i].now);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_all_combinations),
	cmocka_unit_test(test_what_is_not_known_denies),
	cmocka_unit_test(test_sentences),
};

CASES_MAIN(tests, NULL, NULL)
