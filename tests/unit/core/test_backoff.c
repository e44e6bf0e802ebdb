/* Waiting before the next attempt: ends of the range, growth, caps, evenness. */
#include "lib/core/backoff.h"

#include "tests/unit/cases.h"

static const struct {
	const char *name;
	int tries;
	int64_t base_ms, cap_ms;
	uint64_t random;
	int64_t want;
} waits[] = {
	{"lowest", 0, 1000, 60000, 0, 0},
	{"highest of the first", 0, 1000, 60000, UINT64_MAX, 1000},
	{"middle of the first", 0, 1000, 60000, UINT64_MAX / 2, 500},
	{"second doubles", 1, 1000, 60000, UINT64_MAX, 2000},
	{"third doubles again", 2, 1000, 60000, UINT64_MAX, 4000},
	{"just below the cap", 5, 1000, 60000, UINT64_MAX, 32000},
	{"capped", 6, 1000, 60000, UINT64_MAX, 60000},
	{"far past the cap", 1000000000, 1000, 60000, UINT64_MAX, 60000},
	{"base above the cap", 0, 90000, 60000, UINT64_MAX, 60000},
	{"negative tries are none", -5, 1000, 60000, UINT64_MAX, 1000},
	{"no base", 3, 0, 60000, UINT64_MAX, 0},
	{"no cap", 3, 1000, 0, UINT64_MAX, 0},
	{"negative base", 3, -1, 60000, UINT64_MAX, 0},
	{"doubling would overflow", 200, INT64_MAX / 2 + 1, INT64_MAX, UINT64_MAX, INT64_MAX},
};

static void test_waits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
		print_message("%s\n", waits[i].name);
		assert_true(backoff_ms(waits[i].tries, waits[i].base_ms, waits[i].cap_ms,
				       waits[i].random) == waits[i].want);
	}
}

/* Tenths of the random range give tenths of the waits. */
static void test_is_even(void **state)
{
	enum { STEPS = 10000 };
	int seen[10] = {0};

	(void)state;
	for (uint64_t i = 0; i < STEPS; i++) {
		int64_t ms = backoff_ms(3, 1000, 60000, i * (UINT64_MAX / STEPS));

		assert_true(ms >= 0 && ms <= 8000);
		seen[ms == 8000 ? 9 : ms / 800]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(seen[i], STEPS / 10 - 5, STEPS / 10 + 5);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_waits),
	cmocka_unit_test(test_is_even),
};

CASES_MAIN(tests, NULL, NULL)
