/* One line per event, whatever the values hold. */
#include <fcntl.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "tests/unit/cases.h"

static int saved_stderr = -1;
static int pipe_fds[2];

static int capture(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_DEBUG);
	assert_int_equal(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
	saved_stderr = dup(STDERR_FILENO);
	return dup2(pipe_fds[1], STDERR_FILENO) < 0;
}

static int restore(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return 0;
}

/* What was logged since the last call, without the time. */
static const char *logged(void)
{
	static char text[20000];
	ssize_t n = read(pipe_fds[0], text, sizeof text - 1);

	text[n > 0 ? n : 0] = '\0';
	if (n <= 0)
		return "";
	assert_true(str_starts(text, "time=20"));
	assert_true(str_starts(text + 25, " level="));
	return text + 26;
}

static void test_plain_line(void **state)
{
	(void)state;
	log_info("job.started", LOG_S("job", "01ABC"), LOG_I("pr", 7), LOG_S("empty", ""));
	assert_string_equal(logged(), "level=info event=job.started job=01ABC pr=7 empty=\"\"\n");
}

static const struct {
	const char *name, *value, *want;
} values[] = {
	{"spaces", "a b", "\"a b\""},
	{"quotes and backslash", "a\"b\\c", "\"a\\\"b\\\\c\""},
	{"a line end cannot start a line", "x\ntime=1 level=error", "\"x\\ntime=1 level=error\""},
	{"escape sequences are shown", "\x1b[31mred\x7f", "\"\\x1b[31mred\\x7f\""},
	{"controls beyond ASCII",
	 "a\xc2\x9b"
	 "31m",
	 "\"a\\xc2\\x9b31m\""},
	{"carriage return", "a\rb", "\"a\\x0db\""},
	{"equals sign", "a=b", "\"a=b\""},
	{"utf-8 is kept", "\xc3\xa4", "\"\xc3\xa4\""},
	{"null", NULL, "\"\""},
};

static void test_values(void **state)
{
	char want[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		log_warn("e", LOG_S("v", values[i].value));
		snprintf(want, sizeof want, "level=warn event=e v=%s\n", values[i].want);
		assert_string_equal(logged(), want);
	}
}

static void test_long_values_are_cut(void **state)
{
	char value[1000];
	const char *line;

	(void)state;
	memset(value, 'y', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	memcpy(value + 199, "\xe2\x82\xac", 3);
	log_error("e", LOG_S("v", value));
	line = logged();
	assert_true(str_ends(line, "yyy...\"\n"));
	assert_int_equal(strlen(line), strlen("level=error event=e v=") + 1 + 199 + 5);
}

static void test_a_full_line_still_ends(void **state)
{
	struct log_field fields[100];
	char value[200];
	const char *line;

	(void)state;
	memset(value, 'z', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		fields[i] = LOG_S("k", value);
	log_write(LOG_LEVEL_INFO, "e", fields, ARRAY_LEN(fields));
	line = logged();
	assert_true(strlen(line) < 8300);
	assert_int_equal(line[strlen(line) - 1], '\n');
}

static void test_levels(void **state)
{
	enum log_level level = LOG_LEVEL_DEBUG;

	(void)state;
	assert_true(log_level_from_name(&level, "warn"));
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_false(log_level_from_name(&level, "loud"));
	assert_false(log_level_from_name(&level, NULL));
	log_set_level(level);
	log_info("hidden", LOG_I("n", 1));
	log_debug("hidden", LOG_I("n", 1));
	assert_string_equal(logged(), "");
	log_warn("shown", LOG_I("n", -1));
	assert_string_equal(logged(), "level=warn event=shown n=-1\n");
}

static const struct CMUnitTest log_tests[] = {
	cmocka_unit_test_setup_teardown(test_plain_line, capture, restore),
	cmocka_unit_test_setup_teardown(test_values, capture, restore),
	cmocka_unit_test_setup_teardown(test_long_values_are_cut, capture, restore),
	cmocka_unit_test_setup_teardown(test_a_full_line_still_ends, capture, restore),
	cmocka_unit_test_setup_teardown(test_levels, capture, restore),
};

CASES_MAIN(log_tests, NULL, NULL)
