/* What went wrong, for a program and for a person. */
#include "lib/base/err.h"
#include "tests/unit/cases.h"

static void test_set_clears_what_was_there(void **state)
{
	struct err err = {.retry_at_ms = 5, .in_doubt = true, .code = "old"};

	(void)state;
	assert_int_equal(err_set(&err, ERR_USER, "no %s", "luck"), ERR_USER);
	assert_int_equal(err.class, ERR_USER);
	assert_string_equal(err.msg, "no luck");
	assert_string_equal(err.code, "");
	assert_int_equal(err.retry_at_ms, 0);
	assert_false(err.in_doubt);
}

static void test_code_and_null(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_code(&err, ERR_DENIED, "policy.none", "nobody may"), ERR_DENIED);
	assert_string_equal(err.code, "policy.none");
	assert_int_equal(err_set(NULL, ERR_CONFIG, "x"), ERR_CONFIG);
	assert_int_equal(err_code(NULL, ERR_CONFIG, "c", "x"), ERR_CONFIG);
}

static void test_wrap_keeps_class_and_time(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_THROTTLED, "wait");
	err.retry_at_ms = 77;
	err.in_doubt = true;
	assert_int_equal(err_wrap(&err, "comment on %s", "o/r#7"), ERR_THROTTLED);
	assert_string_equal(err.msg, "comment on o/r#7: wait");
	assert_int_equal(err.retry_at_ms, 77);
	assert_true(err.in_doubt);
}

static void test_long_messages_are_cut(void **state)
{
	char text[3 * ERR_MSG_MAX];
	struct err err;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	err_set(&err, ERR_USER, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
	err_wrap(&err, "context");
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
	assert_memory_equal(err.msg, "context: xxx", 12);
	err_wrap(&err, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
}

/* Each cut in the middle of a character of three bytes gives whole characters. */
static void test_a_cut_keeps_characters_whole(void **state)
{
	char text[2 * ERR_MSG_MAX];
	struct err err;

	(void)state;
	for (size_t before = 0; before < 3; before++) {
		memset(text, 'x', before);
		for (size_t at = before; at + 3 < sizeof text; at += 3)
			memcpy(text + at, "\xe2\x82\xac", 4);
		err_set(&err, ERR_USER, "%s", text);
		assert_int_equal((strlen(err.msg) - before) % 3, 0);
		assert_true(strlen(err.msg) >= ERR_MSG_MAX - 3);
	}
}

static const struct {
	enum err_class class;
	const char *name;
	bool is_retried;
} named[] = {
	{ERR_OK, "ok", false},
	{ERR_TRANSIENT, "transient", true},
	{ERR_THROTTLED, "throttled", true},
	{ERR_NOT_FOUND, "not_found", false},
	{ERR_CONFLICT, "conflict", false},
	{ERR_DENIED, "denied", false},
	{ERR_USER, "user", false},
	{ERR_CONFIG, "config", false},
	{ERR_CORRUPT, "corrupt", false},
	{ERR_BUG, "bug", false},
};

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_LEN(named), ERR_CLASS_COUNT);
	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		assert_string_equal(err_class_name(named[i].class), named[i].name);
		assert_int_equal(err_class_from_name(named[i].name), named[i].class);
		assert_int_equal(err_is_retried(named[i].class), named[i].is_retried);
	}
	assert_int_equal(err_class_from_name("nonsense"), ERR_BUG);
	assert_int_equal(err_class_from_name(NULL), ERR_BUG);
	assert_string_equal(err_class_name((enum err_class)99), "unknown");
}

static const struct CMUnitTest err_tests[] = {
	cmocka_unit_test(test_set_clears_what_was_there),
	cmocka_unit_test(test_code_and_null),
	cmocka_unit_test(test_wrap_keeps_class_and_time),
	cmocka_unit_test(test_long_messages_are_cut),
	cmocka_unit_test(test_a_cut_keeps_characters_whole),
	cmocka_unit_test(test_names),
};

CASES_MAIN(err_tests, NULL, NULL)
