/* test_yaml.c - yaml.h: what is read, what is refused and where, and that dumps read back the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/yaml.h"
#include "tests/unit/samples.h"

static json_t *read_json(const char *text, size_t len)
{
	struct yaml_node **docs;
	struct err err = {0};
	json_t *value;
	size_t count;

	if (yaml_parse(&docs, &count, text, len, &err)) {
		fail_msg("%s\n%.200s", err.msg, text);
		return NULL;
	}
	value = count ? yaml_to_json(docs[0]) : json_null();
	yaml_docs_free(docs, count);
	return value;
}

static const struct {
	const char *name, *yaml, *json;
} values[] = {
	{"nulls", "[~, null, Null, NULL, ]", "[null, null, null, null]"},
	{"empty value", "a:\nb: 1", "{\"a\": null, \"b\": 1}"},
	{"booleans", "[true, True, TRUE, false, False, FALSE]",
	 "[true, true, true, false, false, false]"},
	{"words that stay text", "[yes, no, on, off, y, n, tRUE, nUll]",
	 "[\"yes\", \"no\", \"on\", \"off\", \"y\", \"n\", \"tRUE\", \"nUll\"]"},
	{"integers", "[0, 7, -7, +7, 1_000, 017, 0x1F, 0b101, -0x10]",
	 "[0, 7, -7, 7, 1000, 15, 31, 5, -16]"},
	{"largest integers", "[9223372036854775807, -9223372036854775807]",
	 "[9223372036854775807, -9223372036854775807]"},
	{"past the largest integer", "[9223372036854775808]", "[9.223372036854775808e18]"},
	{"not integers", "[08, 0x, 1-2, -, +, 0b2, 0b_, 1a]",
	 "[\"08\", \"0x\", \"1-2\", \"-\", \"+\", \"0b2\", \"0b_\", \"1a\"]"},
	{"floats", "[3.0, -0.5, .5, 1., 1.5e+3, 1.5E-3, 1_0.5]",
	 "[3.0, -0.5, 0.5, 1.0, 1500.0, 0.0015, 10.5]"},
	{"not floats", "[1e5, 1.5e3, ., .e+1, 1.2.3, .inf, .nan, -.inf, _.1, 1.0e+]",
	 "[\"1e5\", \"1.5e3\", \".\", \".e+1\", \"1.2.3\", \".inf\", \".nan\", \"-.inf\", \"_.1\", "
	 "\"1.0e+\"]"},
	{"beyond a double", "[1.0e+999]", "[\"1.0e+999\"]"},
	{"times and dates", "[12:30, 2021-11-03, 1.8.22]",
	 "[\"12:30\", \"2021-11-03\", \"1.8.22\"]"},
	{"quoted is text", "['3', \"true\", '', \"null\"]", "[\"3\", \"true\", \"\", \"null\"]"},
	{"block is text", "a: |\n  3\nb: >\n  x\n  y\n", "{\"a\": \"3\\n\", \"b\": \"x y\\n\"}"},
	{"single quotes", "a: 'it''s'", "{\"a\": \"it's\"}"},
	{"folded plain", "a: x\n  == 'y'", "{\"a\": \"x == 'y'\"}"},
	{"continued double", "a: \"x\\\n  \\ y\\n\"", "{\"a\": \"x y\\n\"}"},
	{"list below its key", "a:\n- 1\n- b: 2\n  c: 3\n", "{\"a\": [1, {\"b\": 2, \"c\": 3}]}"},
	{"flow", "{a: [1, {b: 2}], c: {}}", "{\"a\": [1, {\"b\": 2}], \"c\": {}}"},
	{"is also JSON", "{\"a\": [1, 2.5, null, true, \"x\\ty\"]}",
	 "{\"a\": [1, 2.5, null, true, \"x\\ty\"]}"},
	{"core tags", "[!!str 3, ! 4, !!int 5, !!null ~, !!bool true, !!float 1.5]",
	 "[\"3\", \"4\", 5, null, true, 1.5]"},
	{"byte order mark",
	 "\xef\xbb\xbf"
	 "a: 1",
	 "{\"a\": 1}"},
	{"unicode", "a: \xc3\xa4\xf0\x9f\x9a\x80 \xe2\x82\xac",
	 "{\"a\": \"\xc3\xa4\xf0\x9f\x9a\x80 \xe2\x82\xac\"}"},
	{"number keys", "1: a\n", "{\"1\": \"a\"}"},
	{"comments", "# c\na: 1 # d\n", "{\"a\": 1}"},
	{"long key form", "? a\n: 1\n", "{\"a\": 1}"},
};

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		json_t *got = read_json(values[i].yaml, strlen(values[i].yaml));
		json_t *want = json_loads(values[i].json, JSON_DECODE_ANY, NULL);

		assert_non_null(want);
		if (!json_equal(got, want)) {
			char *text = json_dumps(got, JSON_ENCODE_ANY);

			fail_msg("%s: got %s", values[i].name, text);
		}
		json_decref(got);
		json_decref(want);
	}
}

static const struct {
	const char *name, *yaml;
	size_t len; /* 0: strlen */
	int line, column;
	const char *says;
} refused[] = {
	{"alias", "a: &x 1\nb: *x\n", 0, 1, 4, "anchor"},
	{"anchor on a map", "a: &x {b: 1}\n", 0, 1, 4, "anchor"},
	{"anchor on a list", "- 1\n- &x [1]\n", 0, 2, 3, "anchor"},
	{"alias alone", "a: 1\nb: *x\n", 0, 2, 4, "alias"},
	{"billion laughs", "a: &a [l, l]\nb: &b [*a, *a]\nc: [*b, *b]\n", 0, 1, 4, "anchor"},
	{"merge key", "a: 1\n<<: {b: 2}\n", 0, 2, 1, "merge"},
	{"doubled key", "a: 1\nb: 2\na: 3\n", 0, 3, 1, "\"a\" is here twice, first in line 1"},
	{"doubled key inside", "x:\n  - {k: 1, \"k\": 2}\n", 0, 2, 12, "\"k\" is here twice"},
	{"first of many doubled", "z: 1\na: 1\nz: 2\na: 2\n", 0, 3, 1, "\"z\""},
	{"list as key", "[1]: 2\n", 0, 1, 1, "key must be plain text"},
	{"map as key", "? {a: 1}\n: 2\n", 0, 1, 3, "key must be plain text"},
	{"empty key", "a: 1\n? \n: 2\n", 0, 2, 2, "key must be plain text"},
	{"foreign tag", "a: !!python/object:os.system x\n", 0, 1, 4, "tag"},
	{"foreign tag on a map", "a: !thing {}\n", 0, 1, 4, "tag"},
	{"foreign tag on a list", "- !thing []\n", 0, 1, 3, "tag"},
	{"binary", "a: !!binary aGk=\n", 0, 1, 4, "tag"},
	{"tag and value differ", "a: !!int x\n", 0, 1, 4, "not what its tag says"},
	{"tab as indent", "a:\n\tb: 1\n", 0, 2, 1, "tab"},
	{"colon twice", "a: b: c\n", 0, 1, 5, "mapping values"},
	{"open quote", "a: 1\nb: 'x\nc: y\n", 0, 4, 1, "that starts in line 2"},
	{"open bracket", "a: [1, 2\n", 0, 2, 1, "expected ',' or ']'"},
	{"wrong indent", "a:\n  b: 1\n c: 2\n", 0, 3, 2, ""},
	{"NUL by escape", "a: \"x\\0y\"\n", 0, 1, 4, "NUL"},
	{"NUL byte", "a: x\0y\n", 7, 1, 5, "control characters"},
	{"bad UTF-8", "a: 1\nb: x\xff\n", 0, 2, 5, "UTF-8"},
	{"overlong UTF-8", "a: \xc0\xaf\n", 0, 1, 4, "UTF-8"},
	{"cut UTF-8", "a: \xc3\xa4\xe2\x82", 0, 1, 5, "UTF-8"},
	{"surrogate in UTF-8", "a: \xed\xa0\x80\n", 0, 1, 4, "Unicode"},
	{"surrogate by escape", "a: \"\\ud800\"\n", 0, 1, 7, "Unicode"},
	{"UTF-16",
	 "\xff\xfe"
	 "a\0:\0",
	 6, 1, 1, "UTF-8"},
	{"escape character", "a: \x1b[31m\n", 0, 1, 4, "control characters"},
	{"fault in the second document", "a: 1\n---\nb: [\n", 0, 4, 1, ""},
	{"unknown directive version", "%YAML 9.9\n---\na: 1\n", 0, 1, 1, "incompatible"},
};

static void assert_refused(const char *name, const char *text, size_t len, int line, int column,
			   const char *says)
{
	struct yaml_node **docs;
	struct err err = {0};
	char place[64];
	size_t count;

	snprintf(place, sizeof place, "line %d, column %d: ", line, column);
	if (yaml_parse(&docs, &count, text, len, &err) != ERR_USER)
		fail_msg("%s: not refused", name);
	assert_null(docs);
	assert_int_equal(count, 0);
	if (!str_starts(err.msg, place) || !strstr(err.msg, says))
		fail_msg("%s: \"%s\" instead of \"%s...%s\"", name, err.msg, place, says);
}

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		assert_refused(refused[i].name, refused[i].yaml,
			       refused[i].len ? refused[i].len : strlen(refused[i].yaml),
			       refused[i].line, refused[i].column, refused[i].says);
}

static void repeat(struct buf *out, const char *text, int times)
{
	for (int i = 0; i < times; i++)
		buf_puts(out, text);
}

static void test_bounds(void **state)
{
	AUTO_BUF struct buf text = buf_make(64 << 20);

	(void)state;
	repeat(&text, "[", 100);
	repeat(&text, "]", 100);
	json_decref(read_json(text.data, text.len));
	buf_clear(&text);
	repeat(&text, "[", 200000);
	assert_refused("deep flow", text.data, text.len, 1, 101, "nested more than 100 deep");
	buf_clear(&text);
	repeat(&text, "- ", 5000);
	assert_refused("deep block", text.data, text.len, 1, 201, "nested more than 100 deep");
	buf_clear(&text);
	repeat(&text, "? ", 5000);
	assert_refused("keys in keys", text.data, text.len, 1, 3, "key must be plain text");
	buf_clear(&text);
	repeat(&text, "{a: ", 101);
	assert_refused("deep maps", text.data, text.len, 1, 401, "nested more than 100 deep");
	buf_clear(&text);
	repeat(&text, "- 1\n", 500000);
	assert_refused("many values", text.data, text.len, 500000, 3, "more than 500000 values");
	buf_clear(&text);
	repeat(&text, "%TAG !a! x\n", 1000000);
	assert_refused("many directives", text.data, text.len, 17, 1, "lines that begin with %");
	buf_clear(&text);
	repeat(&text, "# 3456789012345\n", (32 << 16) + 1);
	assert_refused("much text", text.data, text.len, 1, 1, "32 MiB");
}

static void test_many_keys(void **state)
{
	AUTO_BUF struct buf text = buf_make(64 << 20);

	(void)state;
	for (int i = 0; i < 50000; i++)
		buf_printf(&text, "key-%d: 1\n", i);
	json_decref(read_json(text.data, text.len));
	buf_puts(&text, "key-77: 2\n");
	assert_refused("late double", text.data, text.len, 50001, 1, "first in line 78");
}

static void test_documents_and_places(void **state)
{
	static const char text[] = "# head\na:\n  b: [x, 'y']\n---\n- 1\n---\n";
	const struct yaml_node *list;
	struct yaml_node **docs;
	struct err err = {0};
	size_t count;

	(void)state;
	assert_int_equal(yaml_parse(&docs, &count, text, strlen(text), &err), ERR_OK);
	assert_int_equal(count, 3);
	list = yaml_get(yaml_get(docs[0], "a"), "b");
	assert_non_null(list);
	assert_int_equal(list->kind, YAML_LIST);
	assert_int_equal(list->items[1]->line, 3);
	assert_int_equal(list->items[1]->column, 10);
	assert_true(list->items[1]->quoted);
	assert_false(list->items[0]->quoted);
	assert_null(yaml_get(docs[0], "z"));
	assert_null(yaml_get(docs[1], "a"));
	assert_null(yaml_get(NULL, "a"));
	assert_int_equal(docs[2]->kind, YAML_SCALAR);
	yaml_docs_free(docs, count);
	assert_int_equal(yaml_parse(&docs, &count, "# nothing\n", 10, &err), ERR_OK);
	assert_int_equal(count, 0);
	yaml_docs_free(docs, count);
}

static void assert_dump_reads_back(const char *name, const json_t *value)
{
	char *text = yaml_dump(value);
	json_t *again = read_json(text, strlen(text));

	if (!json_equal(value, again))
		fail_msg("%s reads back differently:\n%.500s", name, text);
	json_decref(again);
	mem_free(text);
}

static void test_dump(void **state)
{
	static const char *const texts[] = {
		"{\"a\": [], \"b\": {}, \"c\": [[1, [2]], {\"d\": [{}]}]}",
		"[\"\", \" \", \"- a\", \"a: b\", \"a #b\", \"yes\", \"No\", \"~\", \"3\", "
		"\"1e5\", \"0x1F\"]",
		"[\"x\\ny\", \"\\ttab\", \"q\\\"q\", \"b\\\\s\", \"\\u0001\\u007f\\u0085\\u00a0\"]",
		"[\"\\u2028\\u2029\\ufeff\\uffff\\ue000\\ud83d\\ude80\", "
		"\"{{$.inputs.parameters['x']}}\"]",
		"[0.1, 3.0, 1e20, 1e-7, -2.5e-300, 123456789.125, 5e-324, 1.7976931348623157e308]",
		"[1, -1, 9223372036854775807, null, true, false]",
		"{\"yes\": 1, \"\": {\"\": 2}, \"a b\": [{\"c d\": {\"e\": 1}, \"f\": 2}]}",
		"\"alone\"",
		"3.0",
		"{}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		json_t *value = json_loads(texts[i], JSON_DECODE_ANY, NULL);

		assert_non_null(value);
		assert_dump_reads_back(texts[i], value);
		json_decref(value);
	}
}

static void test_dump_form(void **state)
{
	json_t *value = json_loads(
		"{\"a\": [{\"b\": \"x\", \"c\": [1.0, \"y z\"]}], \"d\": {\"e\": null}}", 0, NULL);
	char *text = yaml_dump(value);

	(void)state;
	assert_string_equal(text,
			    "a:\n  - b: x\n    c:\n      - 1.0\n      - \"y z\"\nd:\n  e: null\n");
	mem_free(text);
	json_decref(value);
}

static void test_dump_long_key_and_depth(void **state)
{
	AUTO_BUF struct buf key = buf_make(10000);
	json_t *value = json_object(), *deep = json_integer(1);
	char *text;

	(void)state;
	repeat(&key, "\x01key ", 600);
	json_object_set_new(value, key.data, json_pack("[{s: i}]", key.data, 1));
	assert_dump_reads_back("long key", value);
	json_decref(value);
	for (int i = 0; i < 1000; i++)
		deep = json_pack("[o]", deep);
	text = yaml_dump(deep);
	assert_memory_equal(text, "- - - - ", 8);
	mem_free(text);
	json_decref(deep);
}

/* The document of a sample, or of two documents the pair that the server's answer has. */
static json_t *sample_json(const char *text, size_t len)
{
	struct yaml_node **docs;
	struct err err = {0};
	json_t *value;
	size_t count;

	assert_int_equal(yaml_parse(&docs, &count, text, len, &err), ERR_OK);
	assert_in_range(count, 1, 2);
	value = count == 1 ? yaml_to_json(docs[0])
			   : json_pack("{s: o, s: o}", "pipeline_spec", yaml_to_json(docs[0]),
				       "platform_spec", yaml_to_json(docs[1]));
	yaml_docs_free(docs, count);
	return value;
}

static void check_sample(const char *name, void *arg)
{
	char *yaml_name = str_printf("samples/kfp-ir/%s", name);
	char *json_name = str_printf("samples/kfp-ir/json/%.*s.json", (int)strlen(name) - 5, name);
	size_t yaml_len, json_len;
	char *yaml = sample_read(true, yaml_name, &yaml_len);
	char *json = sample_read(true, json_name, &json_len);
	json_t *got = sample_json(yaml, yaml_len), *want = json_loadb(json, json_len, 0, NULL);

	(void)arg;
	assert_non_null(want);
	if (!json_equal(got, want))
		fail_msg("%s is not its JSON twin", name);
	assert_dump_reads_back(name, want);
	json_decref(got);
	json_decref(want);
	mem_free(yaml);
	mem_free(json);
	mem_free(yaml_name);
	mem_free(json_name);
}

static void test_samples(void **state)
{
	size_t count = sample_each(true, "samples/kfp-ir", ".yaml", check_sample, NULL);

	(void)state;
	if (!count) {
		print_message("skipped: no shared samples\n");
		skip();
	}
	assert_int_equal(count, 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_documents_and_places),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_dump_form),
		cmocka_unit_test(test_dump_long_key_and_depth),
		cmocka_unit_test(test_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
