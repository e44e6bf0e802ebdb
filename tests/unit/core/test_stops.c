/* Which jobs a kept map lets somebody stop. */
#include "lib/core/stops.h"

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "tests/unit/cases.h"
#include "tests/unit/core/policy_commands.h"

static const struct {
	const char *name, *map, *command, *args;
	bool may;
} cases[] = {
	{"a command of the map", "{\"build\":true}", "build", "{}", true},
	{"one that is not theirs", "{\"build\":false}", "build", "{}", false},
	{"one that it does not have", "{\"build\":true}", "run", "{}", false},
	{"the whole is not its part", "{\"build\":true,\"run\":true}", "build_run", "{}", false},
	{"an argument is no environment", "{\"run\":true}", "run", "{\"arg\":\"v1\"}", true},
	{"production, which is not said", "{\"deploy production\":true}", "deploy", "{}", true},
	{"staging", "{\"deploy production\":true}", "deploy", "{\"arg\":\"staging\"}", false},
	{"the other word for it", "{\"deploy staging\":true}", "staging_deploy", "{}", false},
	{"its own", "{\"staging_deploy staging\":true}", "staging_deploy", "{}", true},
	{"the others", "{\"lock *\":true}", "lock", "{\"arg\":\"lab\"}", true},
	{"a named one is not among the others", "{\"lock *\":true,\"lock lab\":false}", "lock",
	 "{\"arg\":\"lab\"}", false},
	{"what is like production is not either", "{\"lock *\":true}", "lock", "{\"arg\":\"Prod\"}",
	 false},
	{"without an environment nothing is for the others", "{\"build *\":true}", "build", "{}",
	 false},
	{"only true is yes", "{\"build\":1}", "build", "{}", false},
	{"no map", "null", "build", "{}", false},
	{"a map of another kind", "[\"build\"]", "build", "{}", false},
	{"arguments of another kind", "{\"deploy production\":true}", "deploy", "[]", true},
	{"no such command any more", "{\"train\":true}", "train", "{}", false},
};

static void test_cases(void **state)
{
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_JSON json_t *map = NULL;
		AUTO_JSON json_t *args = NULL;

		print_message("%s\n", cases[i].name);
		if (strcmp(cases[i].map, "null"))
			assert_int_equal(jval_parse(&map, cases[i].map, strlen(cases[i].map), &err),
					 ERR_OK);
		assert_int_equal(jval_parse(&args, cases[i].args, strlen(cases[i].args), &err),
				 ERR_OK);
		assert_int_equal(
			stops_allow(map, command_by_name(some_table(), cases[i].command), args),
			cases[i].may);
	}
}

/* A name that is too long for a key is that of no key. */
static void test_a_long_name(void **state)
{
	AUTO_JSON json_t *map = json_pack("{s:b}", "lock *", 0);
	AUTO_JSON json_t *args = NULL;
	AUTO_BUF struct buf name = buf_make(4000);

	(void)state;
	while (name.len < 4000)
		buf_putc(&name, 'x');
	args = json_pack("{s:s}", "arg", buf_text(&name));
	assert_false(stops_allow(map, command_by_name(some_table(), "lock"), args));
	jval_set_bool(map, "lock *", true);
	assert_true(stops_allow(map, command_by_name(some_table(), "lock"), args));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_cases),
	cmocka_unit_test(test_a_long_name),
};
CASES_MAIN(tests, NULL, NULL)
