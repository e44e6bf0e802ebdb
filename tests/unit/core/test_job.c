/* test_job.c - names, effects, and the table of moves: no state without a way out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/str.h"
#include "lib/core/job.h"

static const enum job_state all[] = {
	JOB_READY,  JOB_RUNNING,   JOB_PARKED,	   JOB_BACKOFF, JOB_BLOCKED, JOB_DONE,
	JOB_FAILED, JOB_CANCELLED, JOB_SUPERSEDED, JOB_DEAD,	JOB_EXPIRED,
};

static void test_states(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		assert_string_not_equal(job_state_name(all[i]), "unknown");
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(job_state_name(all[i]), job_state_name(all[j]));
		assert_int_equal(job_state_is_final(all[i]), i >= 5);
	}
	assert_string_equal(job_state_name((enum job_state)9), "unknown");
}

static void test_moves(void **state)
{
	static const struct {
		enum job_state from, to;
		bool may;
	} cases[] = {
		{JOB_READY, JOB_RUNNING, true},	   {JOB_RUNNING, JOB_PARKED, true},
		{JOB_PARKED, JOB_READY, true},	   {JOB_RUNNING, JOB_DEAD, true},
		{JOB_READY, JOB_DONE, false},	   {JOB_BLOCKED, JOB_RUNNING, false},
		{JOB_PARKED, JOB_RUNNING, false},  {JOB_BLOCKED, JOB_SUPERSEDED, false},
		{JOB_RUNNING, JOB_BLOCKED, false}, {JOB_READY, JOB_READY, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (job_may_move(cases[i].from, cases[i].to) != cases[i].may)
			fail_msg("%s to %s", job_state_name(cases[i].from),
				 job_state_name(cases[i].to));
}

/* Marks what can be reached from one state in any number of moves. */
static void reach(enum job_state from, bool out[ARRAY_LEN(all)])
{
	bool grown = true;

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		out[i] = all[i] == from;
	while (grown) {
		grown = false;
		for (size_t i = 0; i < ARRAY_LEN(all); i++)
			for (size_t j = 0; j < ARRAY_LEN(all); j++)
				if (out[i] && !out[j] && job_may_move(all[i], all[j]))
					grown = out[j] = true;
	}
}

static void test_no_dead_ends(void **state)
{
	bool reached[ARRAY_LEN(all)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		reach(all[i], reached);
		for (size_t j = 0; j < ARRAY_LEN(all); j++)
			if (job_state_is_final(all[i])) /* an end is the end */
				assert_int_equal(reached[j], i == j);
			else if (!reached[j])
				fail_msg("%s never gets to %s", job_state_name(all[i]),
					 job_state_name(all[j]));
	}
}

static void test_moves_are_said_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < job_move_count; i++) {
		assert_false(str_is_empty(job_moves[i].why));
		for (size_t j = 0; j < i; j++)
			assert_false(job_moves[i].from == job_moves[j].from &&
				     job_moves[i].to == job_moves[j].to);
	}
}

static void test_effects(void **state)
{
	(void)state;
	for (int i = EFFECT_NONE; i < EFFECT_COUNT; i++)
		assert_int_equal(effect_from_name(effect_name((enum effect_kind)i)), i);
	assert_int_equal(effect_from_name("nonsense"), EFFECT_NONE);
	assert_int_equal(effect_from_name(NULL), EFFECT_NONE);
	assert_string_equal(effect_name(EFFECT_COUNT), "unknown");
	assert_true(effect_mutates(EFFECT_RUN_CREATE));
	assert_false(effect_mutates(EFFECT_PULL));
	assert_false(effect_mutates(EFFECT_COUNT));
}

/* A job goes on at the step it names, wherever an upgrade has moved it. */
static void test_steps_by_name(void **state)
{
	static const struct step before[] = {{.name = "pin"}, {.name = "run"}, {.name = NULL}};
	static const struct step after[] = {{.name = "ask"},
					    {.name = "pin"},
					    {.name = "check"},
					    {.name = "run"},
					    {.name = NULL}};

	(void)state;
	assert_ptr_equal(job_step(before, ""), &before[0]);
	assert_ptr_equal(job_step(before, "run"), &before[1]);
	assert_ptr_equal(job_step(after, "run"), &after[3]);
	assert_ptr_equal(job_step(after, ""), &after[0]);
	assert_null(job_step(before, "check"));
	assert_null(job_step(before, "ru"));
}

static void test_disposing_twice(void **state)
{
	struct job job = {.repo = str_dup("a/b"), .args = json_object(), .end_code = str_dup("x")};
	struct update update = {.data = json_object(), .code = str_dup("x")};

	(void)state;
	job_dispose(&job);
	job_dispose(&job);
	update_dispose(&update);
	update_dispose(&update);
	assert_null(job.repo);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),	      cmocka_unit_test(test_moves),
		cmocka_unit_test(test_no_dead_ends),  cmocka_unit_test(test_moves_are_said_once),
		cmocka_unit_test(test_effects),	      cmocka_unit_test(test_disposing_twice),
		cmocka_unit_test(test_steps_by_name),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
