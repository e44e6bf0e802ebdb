/* JSON with bounds. */
#include "lib/base/jval.h"

#include "lib/base/str.h"
#include "tests/unit/cases.h"

static const struct {
	const char *name, *text;
	const char *want; /* NULL: refused */
	const char *msg;  /* what the refusal says */
} parsed[] = {
	{"sorted and compact", "{ \"b\": 1, \"a\": [ true , null ] }",
	 "{\"a\":[true,null],\"b\":1}", 0},
	{"any value", "\"x\"", "\"x\"", NULL},
	{"64-bit numbers", "[9223372036854775807]", "[9223372036854775807]", NULL},
	{"brackets inside text", "[\"[[[[{{\\\"[[\"]", "[\"[[[[{{\\\"[[\"]", NULL},
	{"place of the fault", "{\n \"a\": }", NULL, "line 2, column 7"},
	{"empty", "", NULL, "line 1"},
	{"two values", "{}{}", NULL, "end of file expected"},
	{"number too large", "[9223372036854775808]", NULL, "too big integer"},
	{"lone surrogate", "[\"\\ud800\"]", NULL, "invalid Unicode"},
	{"bad utf-8", "[\"\xff\"]", NULL, "unable to decode byte"},
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parsed); i++) {
		AUTO_JSON json_t *value = NULL;
		struct err err = {0};
		enum err_class class =
			jval_parse(&value, parsed[i].text, strlen(parsed[i].text), &err);

		print_message("%s\n", parsed[i].name);
		if (parsed[i].want) {
			AUTO_FREE char *text = NULL;

			assert_int_equal(class, ERR_OK);
			text = jval_dump(value);
			assert_string_equal(text, parsed[i].want);
		} else {
			assert_int_equal(class, ERR_USER);
			assert_null(value);
			if (!strstr(err.msg, parsed[i].msg))
				fail_msg("\"%s\"", err.msg);
		}
	}
}

static void test_a_cut_answer_does_not_show_its_secret(void **state)
{
	static const char text[] = "{\"token\": \"ghs_SECRETSECRET";
	AUTO_JSON json_t *value = NULL;
	struct err err;

	(void)state;
	assert_int_equal(jval_parse(&value, text, strlen(text), &err), ERR_USER);
	assert_null(strstr(err.msg, "SECRET"));
	assert_int_equal(jval_parse(&value, "[ghs_SECRET]", 12, &err), ERR_USER);
	assert_null(strstr(err.msg, "SECRET"));
}

static void test_depth(void **state)
{
	char text[1000];

	(void)state;
	for (int depth = 198; depth < 203; depth++) {
		AUTO_JSON json_t *value = NULL;
		struct err err;

		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		assert_int_equal(jval_parse(&value, text, 2 * (size_t)depth, &err),
				 depth <= 200 ? ERR_OK : ERR_USER);
	}
}

static void test_a_bare_nul_is_refused(void **state)
{
	static const char *const texts[] = {"[1\0]", "[\0]", "\0[]", "[]\0", "\"a\0b\""};
	static const size_t lens[] = {4, 3, 3, 3, 5};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO_JSON json_t *value = NULL;
		struct err err;

		assert_int_equal(jval_parse(&value, texts[i], lens[i], &err), ERR_USER);
		assert_non_null(strstr(err.msg, "NUL byte"));
	}
}

static void test_nul_is_kept(void **state)
{
	AUTO_JSON json_t *value = NULL;
	AUTO_FREE char *text = NULL;

	(void)state;
	assert_int_equal(jval_parse(&value, "[\"a\\u0000b\"]", 12, NULL), ERR_OK);
	assert_int_equal(json_string_length(json_array_get(value, 0)), 3);
	text = jval_dump(value);
	assert_string_equal(text, "[\"a\\u0000b\"]");
}

static void test_paths(void **state)
{
	static const char text[] =
		"{\"user\":{\"id\":17,\"permissions\":{\"push\":true},\"n\":null},"
		"\"s\":\"x\"}";
	AUTO_JSON json_t *value = NULL;

	(void)state;
	assert_int_equal(jval_parse(&value, text, strlen(text), NULL), ERR_OK);
	assert_true(jval_bool(value, "user.permissions.push", false));
	assert_false(jval_bool(value, "user.permissions.admin", false));
	assert_true(jval_bool(value, "user.permissions.admin", true));
	assert_int_equal(jval_int(value, "user.id", 0), 17);
	assert_int_equal(jval_int(value, "s", -1), -1);
	assert_int_equal(jval_int(value, "user.id.deeper", -1), -1);
	assert_string_equal(jval_str(value, "s", ""), "x");
	assert_null(jval_str(value, "user.id", NULL));
	assert_null(jval_at(value, "user.n"));
	assert_null(jval_at(value, "user.n.x"));
	assert_null(jval_at(NULL, "a.b"));
	assert_null(jval_at(value, ""));
}

/* Members have the names that people give them: a setting may list ones of 200 bytes. */
static void test_a_path_of_long_names(void **state)
{
	AUTO_FREE char *name = mem_new(301, 1);
	AUTO_FREE char *path = NULL;
	AUTO_JSON json_t *value = json_object(), *inner = json_object();

	(void)state;
	memset(name, 'a', 300);
	path = str_printf("%s.%s", name, name);
	assert_null(jval_at(value, path));
	jval_set_int(inner, name, 17);
	jval_set(value, name, json_incref(inner));
	assert_int_equal(jval_int(value, path, 0), 17);
	assert_null(jval_at(value, path + 1));
}

static void test_set(void **state)
{
	AUTO_JSON json_t *object = json_object();
	AUTO_FREE char *text = NULL;

	(void)state;
	jval_set_str(object, "bad",
		     "a\xff"
		     "b");
	jval_set_str(object, "none", NULL);
	jval_set_int(object, "int", INT64_MIN);
	jval_set_bool(object, "yes", true);
	jval_set(object, "list", json_array());
	text = jval_dump(object);
	assert_string_equal(text, "{\"bad\":\"a\xef\xbf\xbd"
				  "b\",\"int\":-9223372036854775808,"
				  "\"list\":[],\"none\":null,\"yes\":true}");
}

#define BAD "\xef\xbf\xbd"
static const struct {
	const char *name, *bytes;
	size_t len;
	const char *want;
} cleaned[] = {
	{"plain", "abc", 3, "abc"},
	{"nul dropped", "a\0b", 3, "ab"},
	{"valid of every length", "\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 13,
	 "\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
	{"overlong slash", "\xc0\xaf", 2, BAD BAD},
	{"overlong of three", "\xe0\x9f\xbf", 3, BAD BAD BAD},
	{"surrogate", "\xed\xa0\x80", 3, BAD BAD BAD},
	{"above U+10FFFF", "\xf4\x90\x80\x80", 4, BAD BAD BAD BAD},
	{"cut at the end", "a\xe2\x82", 3, "a" BAD BAD},
	{"lone continuation", "\x80z", 2, BAD "z"},
	{"bad second byte", "\xc3(", 2, BAD "("},
	{"empty", "", 0, ""},
};

static void test_clean_utf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cleaned); i++) {
		AUTO_FREE char *text = jval_clean_utf8(cleaned[i].bytes, cleaned[i].len);
		AUTO_JSON json_t *accepted = json_string(text);

		print_message("%s\n", cleaned[i].name);
		assert_string_equal(text, cleaned[i].want);
		assert_non_null(accepted);
	}
}

static void test_shown_as_written(void **state)
{
	static const char *const texts[] = {"[5.1,0.2,-6.7]", "[1e300,0.123456789012345]",
					    "[3,true]"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO_JSON json_t *value = NULL;
		AUTO_FREE char *text = NULL;
		struct err err;

		assert_int_equal(jval_parse(&value, texts[i], strlen(texts[i]), &err), ERR_OK);
		text = jval_show(value);
		assert_string_equal(text, texts[i]);
	}
}

static const struct CMUnitTest jval_tests[] = {
	cmocka_unit_test(test_parse),
	cmocka_unit_test(test_a_cut_answer_does_not_show_its_secret),
	cmocka_unit_test(test_depth),
	cmocka_unit_test(test_a_bare_nul_is_refused),
	cmocka_unit_test(test_nul_is_kept),
	cmocka_unit_test(test_paths),
	cmocka_unit_test(test_a_path_of_long_names),
	cmocka_unit_test(test_set),
	cmocka_unit_test(test_clean_utf8),
	cmocka_unit_test(test_shown_as_written),
};

CASES_MAIN(jval_tests, NULL, NULL)
