/* test_budget.c - the bucket of progress edits. */
#include "tests/unit/cases.h"

#include "lib/base/mem.h"
#include "lib/core/budget.h"

static const struct {
	const char *name;
	int64_t writes_per_hour, want_cost_ms;
} costs[] = {
	{"GitHub's allowance less our margin", 450, 10285},
	{"the most that GitHub allows", 500, 9000},
	{"less than the reserve", 50, 360000},
};

static void costs_follow_the_allowance(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(costs); i++)
		assert_int_equal(budget_cost_ms(costs[i].writes_per_hour), costs[i].want_cost_ms);
}

static void a_burst_goes_at_once_then_evenly(void **state)
{
	struct budget budget = {0};
	int64_t now_ms = 1000000000;

	(void)state;
	for (int i = 0; i < BUDGET_BURST; i++) {
		assert_int_equal(budget_due_ms(&budget, 450, now_ms), now_ms);
		budget_spend(&budget, 450, now_ms);
	}
	assert_int_equal(budget_due_ms(&budget, 450, now_ms), now_ms + budget_cost_ms(450));
	now_ms += budget_cost_ms(450);
	assert_int_equal(budget_due_ms(&budget, 450, now_ms), now_ms);
}

/* The clock was ahead when the burst was spent and is put right: no hour of silence follows. */
static void a_clock_put_back_costs_one_filling(void **state)
{
	struct budget budget = {0};
	int64_t now_ms = 1000000000, ahead_ms = now_ms + 5 * 3600000;

	(void)state;
	for (int i = 0; i < BUDGET_BURST; i++)
		budget_spend(&budget, 450, ahead_ms);
	assert_int_equal(budget_due_ms(&budget, 450, now_ms), now_ms + budget_cost_ms(450));
	now_ms += budget_cost_ms(450);
	budget_spend(&budget, 450, now_ms);
	assert_in_range(budget_due_ms(&budget, 450, now_ms), now_ms, now_ms + budget_cost_ms(450));
}

/* Whatever is asked in whichever rhythm, an hour never has more than the burst and the even share.
 */
static void an_hour_keeps_the_reserve(void **state)
{
	(void)state;
	for (int64_t step_ms = 50; step_ms < 60000; step_ms = step_ms * 3 + 7) {
		struct budget budget = {0};
		int64_t now_ms = 5, sent = 0;

		for (; now_ms < 3600000; now_ms += step_ms)
			if (budget_due_ms(&budget, 450, now_ms) <= now_ms) {
				budget_spend(&budget, 450, now_ms);
				sent++;
			}
		assert_true(sent <= 350 + BUDGET_BURST);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(costs_follow_the_allowance),
		cmocka_unit_test(a_burst_goes_at_once_then_evenly),
		cmocka_unit_test(an_hour_keeps_the_reserve),
		cmocka_unit_test(a_clock_put_back_costs_one_filling),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
