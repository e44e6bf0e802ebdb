/* When something may be sent to GitHub: pure decisions with a clock of the test's own. */
#include "lib/base/str.h"
#include "lib/services/github_impl.h"
#include "tests/unit/cases.h"

static const struct github_limits limits = {
	.writes_per_minute = 60, .writes_per_hour = 450, .write_gap_ms = 1000};

enum { T0 = 5000000 };

static int64_t due(const struct github_pace *pace, enum github_kind kind, int64_t now_ms)
{
	return github_pace_due_ms(pace, &limits, kind, GITHUB_CORE, now_ms);
}

static void send(struct github_pace *pace, enum github_kind kind, int64_t at_ms)
{
	assert_true(due(pace, kind, at_ms) <= at_ms);
	github_pace_begin(pace, &limits, kind, at_ms);
	github_pace_end(pace, kind, at_ms);
}

static void test_first_requests_go_at_once(void **state)
{
	struct github_pace pace = {0};

	(void)state;
	for (int kind = GITHUB_READ; kind <= GITHUB_MINT; kind++)
		assert_true(due(&pace, (enum github_kind)kind, T0) <= T0);
}

static void test_gaps(void **state)
{
	struct github_pace pace = {0};

	(void)state;
	send(&pace, GITHUB_WRITE, T0);
	assert_int_equal(due(&pace, GITHUB_WRITE, T0), T0 + 1000);
	assert_int_equal(due(&pace, GITHUB_NOTIFY, T0), T0 + 1000);
	assert_true(due(&pace, GITHUB_READ, T0) <= T0);
	assert_true(due(&pace, GITHUB_MINT, T0) <= T0);
	send(&pace, GITHUB_NOTIFY, T0 + 1000);
	assert_int_equal(due(&pace, GITHUB_WRITE, T0 + 1000), T0 + 2000);
	assert_int_equal(due(&pace, GITHUB_NOTIFY, T0 + 1000), T0 + 4000);
	send(&pace, GITHUB_WRITE, T0 + 3900);
	assert_int_equal(due(&pace, GITHUB_NOTIFY, T0 + 4000), T0 + 4900);
	github_pace_dispose(&pace);
}

static void test_writes_are_serial_and_ten_are_in_flight(void **state)
{
	struct github_pace pace = {0};

	(void)state;
	github_pace_begin(&pace, &limits, GITHUB_WRITE, T0);
	assert_true(due(&pace, GITHUB_WRITE, T0 + 60000) > T0 + 60000);
	assert_true(due(&pace, GITHUB_READ, T0 + 60000) <= T0 + 60000);
	for (int i = 0; i < 9; i++)
		github_pace_begin(&pace, &limits, GITHUB_READ, T0);
	assert_true(due(&pace, GITHUB_READ, T0 + 60000) > T0 + 60000);
	github_pace_end(&pace, GITHUB_WRITE, T0 + 60000);
	assert_true(due(&pace, GITHUB_READ, T0 + 60000) <= T0 + 60000);
	assert_int_equal(due(&pace, GITHUB_WRITE, T0 + 60000), T0 + 61000);
	github_pace_dispose(&pace);
}

/* Writes as early as allowed for three hours; no window may hold more than the limit. */
static void test_windows_hold(void **state)
{
	static const struct github_limits tight[] = {
		{.writes_per_minute = 60, .writes_per_hour = 450, .write_gap_ms = 1000},
		{.writes_per_minute = 5, .writes_per_hour = 450, .write_gap_ms = 1},
		{.writes_per_minute = 80, .writes_per_hour = 7, .write_gap_ms = 1},
		{.writes_per_minute = 1, .writes_per_hour = 1, .write_gap_ms = 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tight); i++) {
		struct github_pace pace = {0};
		int64_t now = T0, times[5000];
		int count = 0;

		while (now < T0 + 3 * 3600000) {
			int64_t at = github_pace_due_ms(&pace, &tight[i], GITHUB_WRITE, GITHUB_CORE,
							now);

			if (at > now) {
				now = at;
				continue;
			}
			github_pace_begin(&pace, &tight[i], GITHUB_WRITE, now);
			github_pace_end(&pace, GITHUB_WRITE, now);
			assert_true(count < 5000);
			times[count++] = now;
		}
		for (int k = 0; k < count; k++) {
			int minute = 0, hour = 0;

			for (int m = k; m >= 0 && times[m] > times[k] - 3600000; m--) {
				hour++;
				minute += times[m] > times[k] - 60000;
			}
			assert_true(minute <= tight[i].writes_per_minute);
			assert_true(hour <= tight[i].writes_per_hour);
		}
		/* Not slower than it has to be either. */
		assert_true(count >= 3 * tight[i].writes_per_hour ||
			    count >= 3 * 60 * tight[i].writes_per_minute);
		github_pace_dispose(&pace);
	}
}

/* status, resource, then what the answer says (-1: nothing) */
#define FACTS(status_, resource_, retry_after, left, reset, secondary, limited)                    \
	{                                                                                          \
		.status = (status_), .resource = (resource_), .retry_after_ms = (retry_after),     \
		.remaining = (left), .reset_in_ms = (reset), .says_secondary = (secondary),        \
		.says_limited = (limited),                                                         \
	}

static const struct {
	const char *name;
	struct github_facts facts;
	enum github_wait want;
	int64_t core_ms, graphql_ms; /* pauses */
} learned[] = {
	{"fine", FACTS(200, GITHUB_CORE, -1, -1, -1, false, false), GITHUB_WAIT_NONE, 0, 0},
	{"permission", FACTS(403, GITHUB_CORE, -1, 4000, -1, false, false), GITHUB_WAIT_NONE, 0, 0},
	{"retry-after comes first", FACTS(403, GITHUB_CORE, 30000, 0, 900000, true, false),
	 GITHUB_WAIT_RETRY_AFTER, 30000, 30000},
	{"retry-after of zero still waits a second",
	 FACTS(429, GITHUB_CORE, 0, -1, -1, false, false), GITHUB_WAIT_RETRY_AFTER, 1000, 1000},
	{"budget spent comes before the text", FACTS(403, GITHUB_CORE, -1, 0, 900000, true, false),
	 GITHUB_WAIT_PRIMARY, 901000, 0},
	{"budget of GraphQL spent", FACTS(200, GITHUB_GRAPHQL, -1, 0, 900000, false, true),
	 GITHUB_WAIT_PRIMARY, 0, 901000},
	{"budget spent, reset in the past", FACTS(429, GITHUB_CORE, -1, 0, 0, false, false),
	 GITHUB_WAIT_PRIMARY, 1000, 0},
	{"budget spent, no reset", FACTS(429, GITHUB_CORE, -1, 0, -1, false, false),
	 GITHUB_WAIT_PRIMARY, 61000, 0},
	{"secondary by its text", FACTS(403, GITHUB_CORE, -1, 14, -1, true, false),
	 GITHUB_WAIT_SECONDARY, 60000, 60000},
	{"429 without a word", FACTS(429, GITHUB_CORE, -1, -1, -1, false, false),
	 GITHUB_WAIT_SECONDARY, 60000, 60000},
	{"absurd wait is cut", FACTS(429, GITHUB_CORE, 864000000000, -1, -1, false, false),
	 GITHUB_WAIT_RETRY_AFTER, 7200000, 7200000},
	{"last call of the budget", FACTS(200, GITHUB_CORE, -1, 0, 5000, false, false),
	 GITHUB_WAIT_NONE, 6000, 0},
	{"overload with a time", FACTS(503, GITHUB_CORE, 20000, -1, -1, false, false),
	 GITHUB_WAIT_NONE, 20000, 20000},
	{"overload without", FACTS(503, GITHUB_CORE, -1, -1, -1, false, false), GITHUB_WAIT_NONE, 0,
	 0},
	{"404 with an empty budget is a 404", FACTS(404, GITHUB_CORE, -1, 0, 5000, false, false),
	 GITHUB_WAIT_NONE, 0, 0},
};

static void test_learn(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(learned); i++) {
		struct github_pace pace = {0};

		print_message("%s\n", learned[i].name);
		assert_int_equal(github_wait_of(&learned[i].facts), learned[i].want);
		assert_int_equal(github_pace_learn(&pace, &learned[i].facts, T0), learned[i].want);
		assert_int_equal(pace.paused_until_ms[GITHUB_CORE],
				 learned[i].core_ms ? T0 + learned[i].core_ms : 0);
		assert_int_equal(pace.paused_until_ms[GITHUB_GRAPHQL],
				 learned[i].graphql_ms ? T0 + learned[i].graphql_ms : 0);
		if (learned[i].core_ms)
			for (int kind = GITHUB_READ; kind <= GITHUB_MINT; kind++)
				assert_int_equal(due(&pace, (enum github_kind)kind, T0 + 1),
						 T0 + learned[i].core_ms);
	}
}

static void test_secondary_doubles_until_an_answer_is_good(void **state)
{
	static const struct github_facts limited =
						 FACTS(429, GITHUB_CORE, -1, -1, -1, false, false),
					 good = FACTS(200, GITHUB_CORE, -1, -1, -1, false, false);
	static const int64_t want[] = {60, 120, 240, 480, 960, 1920, 3840, 3840};
	struct github_pace pace = {0};
	int64_t now = T0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		github_pace_learn(&pace, &limited, now);
		assert_int_equal(pace.paused_until_ms[GITHUB_CORE] - now, want[i] * 1000);
		now = pace.paused_until_ms[GITHUB_CORE];
	}
	github_pace_learn(&pace, &good, now);
	github_pace_learn(&pace, &limited, now);
	assert_int_equal(pace.paused_until_ms[GITHUB_CORE] - now, 60000);
}

static void test_a_later_answer_does_not_shorten_a_pause(void **state)
{
	struct github_facts long_wait = FACTS(429, GITHUB_CORE, 100000, -1, -1, false, false);
	struct github_facts short_wait = FACTS(429, GITHUB_CORE, 1000, -1, -1, false, false);
	struct github_pace pace = {0};

	(void)state;
	github_pace_learn(&pace, &long_wait, T0);
	github_pace_learn(&pace, &short_wait, T0 + 10);
	assert_int_equal(pace.paused_until_ms[GITHUB_CORE], T0 + 100000);
}

static const struct {
	const char *name, *headers, *body;
	int status;
	struct github_facts want;
} read_off[] = {
	{"nothing", "", "", 200, FACTS(200, GITHUB_CORE, -1, -1, -1, false, false)},
	{"seconds", "retry-after: 60\n", "", 429,
	 FACTS(429, GITHUB_CORE, 60000, -1, -1, false, false)},
	{"a date against GitHub's own clock",
	 "date: Sun, 06 Nov 1994 08:49:37 GMT\nretry-after: Sun, 06 Nov 1994 08:50:07 GMT\n", "",
	 429, FACTS(429, GITHUB_CORE, 30000, -1, -1, false, false)},
	{"reset against GitHub's own clock",
	 "date: Sun, 06 Nov 1994 08:49:37 GMT\nx-ratelimit-remaining: 0\nx-ratelimit-reset: "
	 "784111877\n",
	 "", 403, FACTS(403, GITHUB_CORE, -1, 0, 100000, false, false)},
	{"reset in the past", "x-ratelimit-remaining: 3\nx-ratelimit-reset: 1000\n", "", 200,
	 FACTS(200, GITHUB_CORE, -1, 3, 0, false, false)},
	{"nonsense", "retry-after: soon\nx-ratelimit-remaining: many\nx-ratelimit-reset: x\n", "",
	 403, FACTS(403, GITHUB_CORE, -1, -1, -1, false, false)},
	{"negative", "retry-after: -5\n", "", 403,
	 FACTS(403, GITHUB_CORE, 0, -1, -1, false, false)},
	{"secondary", "content-type: application/json\n",
	 "{\"message\":\"You have exceeded a SECONDARY rate limit.\"}", 403,
	 FACTS(403, GITHUB_CORE, -1, -1, -1, true, false)},
	{"a comment that speaks of it", "content-type: application/json\n",
	 "{\"body\":\"secondary rate limit\"}", 200,
	 FACTS(200, GITHUB_CORE, -1, -1, -1, false, false)},
};

static void test_facts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(read_off); i++) {
		struct http_response response = {.status = read_off[i].status,
						 .body = buf_make(1000),
						 .headers = buf_make(1000)};
		struct github_facts facts;

		print_message("%s\n", read_off[i].name);
		buf_puts(&response.body, read_off[i].body);
		buf_puts(&response.headers, read_off[i].headers);
		github_facts_read(&facts, &response, GITHUB_CORE, 1600000000000);
		assert_int_equal(facts.status, read_off[i].want.status);
		assert_int_equal(facts.retry_after_ms, read_off[i].want.retry_after_ms);
		assert_int_equal(facts.remaining, read_off[i].want.remaining);
		assert_int_equal(facts.reset_in_ms, read_off[i].want.reset_in_ms);
		assert_int_equal(facts.says_secondary, read_off[i].want.says_secondary);
		http_response_dispose(&response);
	}
}

static const struct CMUnitTest github_pace_tests[] = {
	cmocka_unit_test(test_first_requests_go_at_once),
	cmocka_unit_test(test_gaps),
	cmocka_unit_test(test_writes_are_serial_and_ten_are_in_flight),
	cmocka_unit_test(test_windows_hold),
	cmocka_unit_test(test_learn),
	cmocka_unit_test(test_secondary_doubles_until_an_answer_is_good),
	cmocka_unit_test(test_a_later_answer_does_not_shorten_a_pause),
	cmocka_unit_test(test_facts),
};

CASES_MAIN(github_pace_tests, NULL, NULL)
