/* test_pipeline_digest.c - which changes of notation leave a pipeline the same, and which do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/base/yaml.h"
#include "lib/core/pipeline.h"

enum { DOCS_MAX = 4 };

/* Digest of YAML with one or more documents (JSON is YAML, too); "" when there is none. */
static void digest_of(char out[PIPELINE_DIGEST_SIZE], const char *text)
{
	struct yaml_node **docs;
	const json_t *list[DOCS_MAX];
	size_t count;
	struct err err;

	if (yaml_parse(&docs, &count, text, strlen(text), &err))
		fail_msg("%s: %s", text, err.msg);
	assert_true(count <= DOCS_MAX);
	for (size_t i = 0; i < count; i++)
		list[i] = yaml_to_json(docs[i]);
	if (!pipeline_digest(out, list, count))
		assert_string_equal(out, "");
	for (size_t i = 0; i < count; i++)
		json_decref((json_t *)(uintptr_t)list[i]);
	yaml_docs_free(docs, count);
}

static const struct {
	const char *name, *a, *b;
	bool same;
} cases[] = {
	{"order of keys", "{a: 1, b: 2}", "{b: 2, a: 1}", true},
	{"comments and style", "# x\na:\n- b\n", "{\"a\": [\"b\"]}", true},
	{"3.0 is 3", "{a: 3.0, b: [10.0, -2.0]}", "{a: 3, b: [10, -2]}", true},
	{"large numbers as doubles", "{a: 9007199254740993}", "{a: 9007199254740992.0}", true},
	{"exponents", "{a: 1.5e+3}", "{a: 1500}", true},
	{"folded text", "a: >-\n  b\n  c\n", "{\"a\": \"b c\"}", true},
	{"documents in another order", "{a: 1}\n--- \n{b: 2}\n", "{b: 2}\n---\n{a: 1}\n", true},
	{"an empty document", "{a: 1}\n---\n{}\n", "{a: 1}", true},
	{"another value", "{a: x}", "{a: y}", false},
	{"another number", "{a: 3}", "{a: 3.0000001}", false},
	{"text is no number", "{a: '3'}", "{a: 3}", false},
	{"numbers in text", "{a: 'x 3.0'}", "{a: 'x 3'}", false},
	{"text after a quote", "{a: 'x\\\"', b: 3.0}", "{a: 'x\\\"', b: 4.0}", false},
	{"true is no text", "{a: true}", "{a: 'true'}", false},
	{"absent is not empty", "{a: 1, b: {}}", "{a: 1}", false},
	{"absent is not null", "{a: 1, b: null}", "{a: 1}", false},
	{"absent is not false", "{a: 1, b: false}", "{a: 1}", false},
	{"order of a list", "{a: [x, y]}", "{a: [y, x]}", false},
	{"a document more", "{a: 1}", "{a: 1}\n---\n{b: 2}\n", false},
	{"one document is not two", "{a: 1, b: 2}", "{a: 1}\n---\n{b: 2}\n", false},
};

static void test_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char a[PIPELINE_DIGEST_SIZE], b[PIPELINE_DIGEST_SIZE];

		digest_of(a, cases[i].a);
		digest_of(b, cases[i].b);
		assert_int_equal(strlen(a), 64);
		if (str_eq(a, b) != cases[i].same)
			fail_msg("%s", cases[i].name);
	}
}

static void test_nothing_has_no_digest(void **state)
{
	static const char *const texts[] = {"", "{}", "a", "[1]",
					    "{a: 1}\n---\n{b: 1}\n---\n{c: 1}\n"};
	char out[PIPELINE_DIGEST_SIZE];
	const json_t *absent[2] = {NULL, NULL};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		digest_of(out, texts[i]);
		assert_string_equal(out, "");
	}
	assert_false(pipeline_digest(out, absent, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_nothing_has_no_digest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
