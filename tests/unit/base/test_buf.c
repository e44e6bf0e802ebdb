/* Bytes that grow up to a maximum. */
#include "lib/base/buf.h"
#include "tests/unit/cases.h"

static void test_empty_is_text(void **state)
{
	AUTO_BUF struct buf buf = buf_make(10);
	char *text;

	(void)state;
	assert_string_equal(buf_text(&buf), "");
	text = buf_take(&buf);
	assert_string_equal(text, "");
	mem_free(text);
}

static void test_appends_in_order(void **state)
{
	AUTO_BUF struct buf buf = buf_make(100);

	(void)state;
	buf_puts(&buf, "ab");
	buf_putc(&buf, 'c');
	buf_add(&buf, "d\0e", 3);
	buf_printf(&buf, "%d%s", 7, "f");
	assert_int_equal(buf.len, 8);
	assert_memory_equal(buf.data, "abcd\0e7f", 9);
	assert_false(buf.truncated);
}

static const struct {
	const char *name;
	size_t max;
	const char *first, *second, *want;
	bool truncated;
} cuts[] = {
	{"all fits", 6, "abc", "def", "abcdef", false},
	{"one byte too many", 5, "abc", "def", "abcde", true},
	{"full before", 3, "abc", "def", "abc", true},
	{"no room at all", 0, "abc", "", "", true},
	{"nothing added to a full one", 3, "abc", "", "abc", false},
};

static void test_keeps_what_fits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++)
		for (int printed = 0; printed < 2; printed++) {
			AUTO_BUF struct buf buf = buf_make(cuts[i].max);

			print_message("%s\n", cuts[i].name);
			buf_puts(&buf, cuts[i].first);
			if (printed)
				buf_printf(&buf, "%s", cuts[i].second);
			else
				buf_puts(&buf, cuts[i].second);
			assert_string_equal(buf_text(&buf), cuts[i].want);
			assert_int_equal(buf.truncated, cuts[i].truncated);
			assert_true(buf.len <= cuts[i].max);
		}
}

static void test_clear_keeps_memory(void **state)
{
	AUTO_BUF struct buf buf = buf_make(3);
	char *memory;

	(void)state;
	buf_puts(&buf, "abcd");
	memory = buf.data;
	buf_clear(&buf);
	assert_ptr_equal(buf.data, memory);
	assert_false(buf.truncated);
	assert_string_equal(buf_text(&buf), "");
}

static void test_take_leaves_a_usable_buffer(void **state)
{
	AUTO_BUF struct buf buf = buf_make(4);
	char *text;

	(void)state;
	buf_puts(&buf, "abcdef");
	text = buf_take(&buf);
	assert_string_equal(text, "abcd");
	mem_free(text);
	buf_puts(&buf, "wxyz!");
	assert_string_equal(buf_text(&buf), "wxyz");
}

static void test_grows_far(void **state)
{
	AUTO_BUF struct buf buf = buf_make(1 << 20);

	(void)state;
	for (int i = 0; i < 1 << 18; i++)
		buf_puts(&buf, "12345");
	assert_int_equal(buf.len, 1 << 20);
	assert_true(buf.truncated);
	assert_int_equal(buf.data[buf.len], 0);
}

static const struct CMUnitTest buf_tests[] = {
	cmocka_unit_test(test_empty_is_text),
	cmocka_unit_test(test_appends_in_order),
	cmocka_unit_test(test_keeps_what_fits),
	cmocka_unit_test(test_clear_keeps_memory),
	cmocka_unit_test(test_take_leaves_a_usable_buffer),
	cmocka_unit_test(test_grows_far),
};

CASES_MAIN(buf_tests, NULL, NULL)
