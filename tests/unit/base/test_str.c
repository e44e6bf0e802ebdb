/* Text helpers. */
#include "lib/base/str.h"
#include "tests/unit/cases.h"

static const struct {
	const char *text;
	size_t size;
	const char *want;
	bool fits;
} copies[] = {
	{"abc", 4, "abc", true},
	{"abc", 3, "ab", false},
	{"abc", 1, "", false},
	{NULL, 4, "", true},
	{"", 1, "", true},
	{"a\xc3\xa4", 4, "a\xc3\xa4", true},
	{"a\xc3\xa4", 3, "a", false},
	{"\xe2\x82\xac\xe2\x82\xac", 6, "\xe2\x82\xac", false},
	{"\xf0\x9f\x9a\x80x", 4, "", false},
};

static void test_copy(void **state)
{
	char out[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
		memset(out, '#', sizeof out);
		assert_int_equal(str_copy(out, copies[i].size, copies[i].text), copies[i].fits);
		assert_string_equal(out, copies[i].want);
	}
}

static void test_compare(void **state)
{
	(void)state;
	assert_true(str_eq("a", "a"));
	assert_false(str_eq("a", "A"));
	assert_false(str_eq("a", NULL));
	assert_true(str_eq(NULL, NULL));
	assert_true(str_eq_nocase("Retry-After", "retry-aftER"));
	assert_false(str_eq_nocase(NULL, "x"));
	assert_true(str_starts("abc", "ab"));
	assert_false(str_starts("ab", "abc"));
	assert_false(str_starts(NULL, "a"));
	assert_true(str_ends("kfops[bot]", "[bot]"));
	assert_false(str_ends("bot]", "[bot]"));
	assert_true(str_is_empty(NULL) && str_is_empty("") && !str_is_empty(" "));
}

static const struct {
	const char *text;
	bool is_name;
} names[] = {
	{"0123456789abcdef0123456789abcdef01234567", true},
	{"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", true},
	{"0123456789ABCDEF0123456789abcdef01234567", false},
	{"0123456789abcdef0123456789abcdef0123456", false},
	{"0123456789abcdef0123456789abcdef012345678", false},
	{"0123456789abcdef0123456789abcdef0123456\n", false},
	{"", false},
	{NULL, false},
	{"main", false},
};

static void test_object_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(str_is_object_name(names[i].text), names[i].is_name);
}

static void test_hex(void **state)
{
	unsigned char bytes[3];
	char text[7];

	(void)state;
	str_hex(text, (const unsigned char *)"\x00\xfe\x7a", 3);
	assert_string_equal(text, "00fe7a");
	assert_true(str_unhex(bytes, "00Fe7A", 3));
	assert_memory_equal(bytes, "\x00\xfe\x7a", 3);
	assert_false(str_unhex(bytes, "00fe7", 3));
	assert_false(str_unhex(bytes, "00fg7a", 3));
	assert_false(str_unhex(bytes, "", 3));
}

static const struct {
	const char *text;
	bool ok;
	int64_t want;
} numbers[] = {
	{"0", true, 0},
	{"-17", true, -17},
	{"9223372036854775807", true, INT64_MAX},
	{"-9223372036854775808", true, INT64_MIN},
	{"9223372036854775808", false, 0},
	{"1x", false, 0},
	{" 1", false, 0},
	{"+1", false, 0},
	{"-", false, 0},
	{"", false, 0},
	{NULL, false, 0},
	{"0x10", false, 0},
};

static void test_to_int64(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		int64_t value = 0;

		assert_int_equal(str_to_int64(&value, numbers[i].text), numbers[i].ok);
		assert_int_equal(value, numbers[i].want);
	}
}

static const struct {
	const char *text;
	bool ok;
	int64_t want_ms;
} durations[] = {
	{"90s", true, 90000},	  {"15m", true, 900000},
	{"6h", true, 21600000},	  {"2d", true, 172800000},
	{"1h30m", true, 5400000}, {"250ms", true, 250},
	{"1m1ms", true, 60001},	  {"0s", true, 0},
	{"5", false, 0},	  {"", false, 0},
	{"s", false, 0},	  {"-1s", false, 0},
	{"1 s", false, 0},	  {"1w", false, 0},
	{"1.5h", false, 0},	  {"9999999999d", false, 0},
	{"40000d", false, 0},	  {NULL, false, 0},
};

static void test_to_duration(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		int64_t ms = 0;

		assert_int_equal(str_to_duration_ms(&ms, durations[i].text), durations[i].ok);
		if (durations[i].ok)
			assert_int_equal(ms, durations[i].want_ms);
	}
}

static const struct {
	int64_t ms;
	const char *want;
} said[] = {
	{0, "0.0 s"},
	{940, "0.9 s"},
	{-5, "0.0 s"},
	{12999, "12 s"},
	{119999, "119 s"},
	{120000, "2 min"},
	{3599999, "59 min"},
	{3 * 3600000 + 5 * 60000, "3 h 05 min"},
	{9LL * 86400000 + 2 * 3600000, "9 d 2 h"},
};

static void test_duration(void **state)
{
	char out[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		str_duration(out, said[i].ms);
		assert_string_equal(out, said[i].want);
	}
}

static const struct {
	const char *a, *b;
	int want;
} distances[] = {
	{"build", "build", 0}, {"biuld", "build", 1},	 {"buil", "build", 1},
	{"bulid", "build", 1}, {"", "abc", 3},		 {"run", "retry", 4},
	{"a", "b", 1},	       {"kitten", "sitting", 3}, {"x", "yyyyyyyyyy", 5},
};

static void test_distance(void **state)
{
	char longer[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(distances); i++) {
		assert_int_equal(str_distance(distances[i].a, distances[i].b, 4),
				 distances[i].want);
		assert_int_equal(str_distance(distances[i].b, distances[i].a, 4),
				 distances[i].want);
	}
	memset(longer, 'a', sizeof longer);
	longer[99] = '\0';
	assert_int_equal(str_distance(longer, "a", 2), 3);
}

static void test_nearest(void **state)
{
	static const char *const words[] = {"build", "build_run", "run", "help"};

	(void)state;
	assert_string_equal(str_nearest("biuld", words, 4, 2), "build");
	assert_string_equal(str_nearest("rnu", words, 4, 2), "run");
	assert_null(str_nearest("deploy", words, 4, 2));
	assert_null(str_nearest("x", words, 0, 2));
}

static void test_utf8_cut(void **state)
{
	static const char text[] = "a\xc3\xa4\xe2\x82\xac";
	static const size_t want[] = {0, 1, 1, 3, 3, 3, 6};

	(void)state;
	for (size_t len = 0; len < ARRAY_LEN(want); len++)
		assert_int_equal(str_utf8_cut(text, len), want[len]);
}

static void test_ids(void **state)
{
	static const unsigned char zero[16], ones[16] = {255, 255, 255, 255, 255, 255, 255, 255,
							 255, 255, 255, 255, 255, 255, 255, 255};
	char ulid[27], later[27], uuid[37];

	(void)state;
	str_ulid(ulid, 0, zero);
	assert_string_equal(ulid, "00000000000000000000000000");
	str_ulid(ulid, 1469918176385, ones); /* the example time of the ULID specification */
	assert_string_equal(ulid, "01ARYZ6S41ZZZZZZZZZZZZZZZZ");
	str_ulid(later, 1469918176386, zero);
	assert_true(strcmp(ulid, later) < 0);
	str_uuid(uuid, ones);
	assert_string_equal(uuid, "ffffffff-ffff-4fff-bfff-ffffffffffff");
	str_uuid(uuid, zero);
	assert_string_equal(uuid, "00000000-0000-4000-8000-000000000000");
}

static void test_printf_and_dup(void **state)
{
	char *text = str_printf("%s-%d", "a", 5), *copy = str_dup_len("abcdef", 3);

	(void)state;
	assert_string_equal(text, "a-5");
	assert_string_equal(copy, "abc");
	assert_null(str_dup(NULL));
	mem_free(text);
	mem_free(copy);
}

static void test_unbase64(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} cases[] = {
		{"", ""},
		{"Zg==", "f"},
		{"Zm8=", "fo"},
		{"Zm9v", "foo"},
		{"Zm9vYg==", "foob"},
		{"Zm9v\nYmFy\n", "foobar"},
		{"/+A=", "\xff\xe0"},
		{"Zg", NULL},
		{"Zg=", NULL},
		{"Zg===", NULL},
		{"=", NULL},
		{"====", NULL},
		{"Zg==Zg==", NULL},
		{"Zm9-", NULL},
		{"Zm9v!", NULL},
		{"A===", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = 99;
		char *bytes = str_unbase64(cases[i].text, &len);

		print_message("  %s\n", cases[i].text);
		assert_int_equal(!bytes, !cases[i].want);
		if (bytes) {
			assert_string_equal(bytes, cases[i].want);
			assert_int_equal(len, strlen(cases[i].want));
		}
		mem_free(bytes);
	}
}

static const struct CMUnitTest str_tests[] = {
	cmocka_unit_test(test_unbase64),
	cmocka_unit_test(test_copy),
	cmocka_unit_test(test_compare),
	cmocka_unit_test(test_object_name),
	cmocka_unit_test(test_hex),
	cmocka_unit_test(test_to_int64),
	cmocka_unit_test(test_to_duration),
	cmocka_unit_test(test_duration),
	cmocka_unit_test(test_distance),
	cmocka_unit_test(test_nearest),
	cmocka_unit_test(test_utf8_cut),
	cmocka_unit_test(test_ids),
	cmocka_unit_test(test_printf_and_dup),
};

CASES_MAIN(str_tests, NULL, NULL)
