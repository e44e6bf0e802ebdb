/* Times as GitHub and HTTP write them. */
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "tests/unit/cases.h"

static const struct {
	const char *name, *text;
	bool ok;
	int64_t want_ms;
} parsed[] = {
	{"utc", "2023-02-07T12:54:40Z", true, 1675774480000},
	{"offset and fraction", "2023-01-02T16:03:14.000+01:00", true, 1672671794000},
	{"negative offset", "2023-01-02T16:03:14-05:30", true, 1672695194000},
	{"milliseconds kept", "2023-02-07T12:54:40.123Z", true, 1675774480123},
	{"microseconds cut", "2023-02-07T12:54:40.123987Z", true, 1675774480123},
	{"integer seconds", "1675774480", true, 1675774480000},
	{"zero", "0", true, 0},
	{"http date", "Sun, 06 Nov 1994 08:49:37 GMT", true, 784111777000},
	{"leap day", "2024-02-29T00:00:00Z", true, 1709164800000},
	{"before the epoch", "1969-12-31T23:59:59Z", true, -1000},
	{"no zone", "2023-02-07T12:54:40", false, 0},
	{"rubbish after", "2023-02-07T12:54:40Zx", false, 0},
	{"month 13", "2023-13-07T12:54:40Z", false, 0},
	{"hour 24", "2023-01-07T24:54:40Z", false, 0},
	{"empty fraction", "2023-02-07T12:54:40.Z", false, 0},
	{"http date in another zone", "Sun, 06 Nov 1994 08:49:37 CET", false, 0},
	{"http date with a wrong month", "Sun, 06 anF 1994 08:49:37 GMT", false, 0},
	{"empty", "", false, 0},
	{"words", "yesterday", false, 0},
	{"far too large", "99999999999999", false, 0},
	{"more milliseconds than there are", "8888888888817323045", false, 0},
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parsed); i++) {
		int64_t ms = 0;

		print_message("%s\n", parsed[i].name);
		assert_int_equal(clock_parse(&ms, parsed[i].text), parsed[i].ok);
		if (parsed[i].ok)
			assert_int_equal(ms, parsed[i].want_ms);
	}
	assert_false(clock_parse(&(int64_t){0}, NULL));
}

static void test_written_is_read_back(void **state)
{
	char text[21], hhmm[6];
	int64_t ms;

	(void)state;
	for (int64_t day = -200000; day < 200000; day += 371) {
		int64_t want = day * 86400000 + 45296000;

		clock_rfc3339(text, want);
		assert_true(clock_parse(&ms, text));
		assert_int_equal(ms, want);
	}
	clock_rfc3339(text, 1795255323000);
	assert_string_equal(text, "2026-11-21T10:02:03Z");
	clock_hhmm(hhmm, 1795255323000);
	assert_string_equal(hhmm, "10:02");
}

static void test_clocks_run(void **state)
{
	int64_t mono = clock_mono_ms(), now = clock_now_ms();

	(void)state;
	assert_true(clock_mono_ms() >= mono);
	assert_true(now > 1577836800000);
}

static const struct CMUnitTest clock_tests[] = {
	cmocka_unit_test(test_parse),
	cmocka_unit_test(test_written_is_read_back),
	cmocka_unit_test(test_clocks_run),
};

CASES_MAIN(clock_tests, NULL, NULL)
