/* test_pipeline_params.c - what may be given to a run, what it becomes, and what is said when not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/core/pipeline_sample.h"

static const struct {
	const char *name, *given, *taken;
} good[] = {
	{"text to every type",
	 "{\"label\": \"3\", \"rate\": \"1e-3\", \"epochs\": \"20\", \"fast\": \"True\", "
	 "\"folds\": \"[1, {\\\"a\\\": 2}]\", \"options\": \"{\\\"a\\\": [1]}\", \"kind\": "
	 "\"forest\"}",
	 "{\"label\": \"3\", \"rate\": 0.001, \"epochs\": 20, \"fast\": true, "
	 "\"folds\": [1, {\"a\": 2}], \"options\": {\"a\": [1]}, \"kind\": \"forest\"}"},
	{"values of their type",
	 "{\"label\": \"x\", \"rate\": 2, \"epochs\": 5, \"fast\": false, \"folds\": [], "
	 "\"options\": {}}",
	 "{\"label\": \"x\", \"rate\": 2.0, \"epochs\": 5, \"fast\": false, \"folds\": [], "
	 "\"options\": {}}"},
	{"whole floats are integers", "{\"label\": \"x\", \"rate\": 0.5, \"epochs\": 5.0}",
	 "{\"label\": \"x\", \"rate\": 0.5, \"epochs\": 5}"},
	{"whole float as text", "{\"label\": \"x\", \"rate\": \"-.5\", \"epochs\": \"5.0\"}",
	 "{\"label\": \"x\", \"rate\": -0.5, \"epochs\": 5}"},
	{"null is not given", "{\"label\": \"x\", \"rate\": 1.0, \"fast\": null}",
	 "{\"label\": \"x\", \"rate\": 1.0}"},
	{"yes as in YAML 1.1", "{\"label\": \"yes\", \"rate\": 1.0, \"fast\": \"yes\"}",
	 "{\"label\": \"yes\", \"rate\": 1.0, \"fast\": true}"},
	{"off as in YAML 1.1", "{\"label\": \"x\", \"rate\": 1.0, \"fast\": \"Off\"}",
	 "{\"label\": \"x\", \"rate\": 1.0, \"fast\": false}"},
	{"empty text", "{\"label\": \"\", \"rate\": 1.0}", "{\"label\": \"\", \"rate\": 1.0}"},
};

static const struct {
	const char *name, *given, *code, *says[4];
} bad[] = {
	{"nothing", NULL, "run.missing_parameter", {"`label` is required", "`rate` is required"}},
	{"null for a required one",
	 "{\"label\": null, \"rate\": 1}",
	 "run.missing_parameter",
	 {"`label` is required"}},
	{"near name",
	 "{\"label\": \"x\", \"rate\": 1, \"epoch\": 1}",
	 "run.unknown_parameter",
	 {"there is no parameter `epoch` (did you mean `epochs`?)"}},
	{"far name",
	 "{\"label\": \"x\", \"rate\": 1, \"zzzzzzzz\": 1}",
	 "run.unknown_parameter",
	 {"`zzzzzzzz` (the pipeline has `epochs`, `fast`, `folds`, `kind`, `label`, `options`, "
	  "`rate`, "
	  "`status`)"}},
	{"integer is text",
	 "{\"label\": \"x\", \"rate\": 1, \"epochs\": \"many\"}",
	 "run.parameter_type",
	 {"`epochs` must be a whole number (NUMBER_INTEGER), not \"many\""}},
	{"integer is a fraction",
	 "{\"label\": \"x\", \"rate\": 1, \"epochs\": 1.5}",
	 "run.parameter_type",
	 {"`epochs` must be a whole number"}},
	{"integer is too large",
	 "{\"label\": \"x\", \"rate\": 1, \"epochs\": \"9007199254740993\"}",
	 "run.parameter_type",
	 {"epochs"}},
	{"integer is true",
	 "{\"label\": \"x\", \"rate\": 1, \"epochs\": true}",
	 "run.parameter_type",
	 {"epochs"}},
	{"integer with blanks",
	 "{\"label\": \"x\", \"rate\": 1, \"epochs\": \" 1\"}",
	 "run.parameter_type",
	 {"epochs"}},
	{"integer is hexadecimal",
	 "{\"label\": \"x\", \"rate\": 1, \"epochs\": \"0x10\"}",
	 "run.parameter_type",
	 {"epochs"}},
	{"double is infinite",
	 "{\"label\": \"x\", \"rate\": \"inf\"}",
	 "run.parameter_type",
	 {"`rate` must be a number (NUMBER_DOUBLE), not \"inf\""}},
	{"double overflows",
	 "{\"label\": \"x\", \"rate\": \"1e999\"}",
	 "run.parameter_type",
	 {"rate"}},
	{"double is cut", "{\"label\": \"x\", \"rate\": \"1e\"}", "run.parameter_type", {"rate"}},
	{"double is a dot", "{\"label\": \"x\", \"rate\": \".\"}", "run.parameter_type", {"rate"}},
	{"boolean is a word",
	 "{\"label\": \"x\", \"rate\": 1, \"fast\": \"y\"}",
	 "run.parameter_type",
	 {"`fast` must be true or false (BOOLEAN)"}},
	{"boolean is a number",
	 "{\"label\": \"x\", \"rate\": 1, \"fast\": 1}",
	 "run.parameter_type",
	 {"fast"}},
	{"text is a number",
	 "{\"label\": 3, \"rate\": 1}",
	 "run.parameter_type",
	 {"`label` must be text (STRING): put it in quotes, not 3"}},
	{"list is an object",
	 "{\"label\": \"x\", \"rate\": 1, \"folds\": \"{}\"}",
	 "run.parameter_type",
	 {"`folds` must be a JSON list"}},
	{"list is broken",
	 "{\"label\": \"x\", \"rate\": 1, \"folds\": \"[1\"}",
	 "run.parameter_type",
	 {"folds"}},
	{"struct is a list",
	 "{\"label\": \"x\", \"rate\": 1, \"options\": []}",
	 "run.parameter_type",
	 {"`options` must be a JSON object"}},
	{"not allowed",
	 "{\"label\": \"x\", \"rate\": 1, \"kind\": \"bush\"}",
	 "run.parameter_literal",
	 {"`kind` may not be \"bush\"; allowed is one of [\"tree\",\"forest\"]"}},
	{"filled in by Kubeflow",
	 "{\"label\": \"x\", \"rate\": 1, \"status\": \"x\"}",
	 "run.parameter_type",
	 {"`status` is filled in by Kubeflow"}},
	{"all at once",
	 "{\"epoch\": 1, \"rate\": \"x\", \"kind\": \"bush\"}",
	 "run.unknown_parameter",
	 {"did you mean `epochs`?", "`rate` must be a number", "`kind` may not be",
	  "`label` is required"}},
};

static struct pipeline *churn(const char *file)
{
	struct pipeline *pipeline = pipeline_from_file(false, file);

	assert_non_null(pipeline);
	return pipeline;
}

static void check_good(const struct pipeline *pipeline, const char *name, const char *given_text,
		       const char *taken_text)
{
	json_t *given = json_loads(given_text, 0, NULL), *want = json_loads(taken_text, 0, NULL);
	struct err err = {0};
	json_t *got;

	assert_non_null(given);
	assert_non_null(want);
	if (pipeline_check_params(pipeline, given, &got, &err))
		fail_msg("%s: %s", name, err.msg);
	if (!json_equal(got, want))
		fail_msg("%s: %s", name, json_dumps(got, 0));
	json_decref(given);
	json_decref(want);
	json_decref(got);
}

static void check_bad(const struct pipeline *pipeline, size_t i)
{
	json_t *given = bad[i].given ? json_loads(bad[i].given, 0, NULL) : NULL;
	json_t *got = NULL;
	struct err err = {0};

	if (pipeline_check_params(pipeline, given, &got, &err) != ERR_USER)
		fail_msg("%s: not refused", bad[i].name);
	assert_null(got);
	if (strcmp(err.code, bad[i].code))
		fail_msg("%s: %s instead of %s", bad[i].name, err.code, bad[i].code);
	for (size_t k = 0; k < ARRAY_LEN(bad[i].says) && bad[i].says[k]; k++)
		if (!strstr(err.msg, bad[i].says[k]))
			fail_msg("%s: \"%s\" without \"%s\"", bad[i].name, err.msg, bad[i].says[k]);
	json_decref(given);
}

static void test_ir(void **state)
{
	struct pipeline *pipeline = churn("pipeline/churn.yaml");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		check_good(pipeline, good[i].name, good[i].given, good[i].taken);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_bad(pipeline, i);
	pipeline_free(pipeline);
}

static void test_argo_takes_text(void **state)
{
	struct pipeline *pipeline = churn("pipeline/churn-argo.yaml");
	struct err err = {0};
	json_t *got, *given;

	(void)state;
	check_good(pipeline, "text stays",
		   "{\"label\": \"x\", \"path\": \"gs://b\", \"epochs\": \"07\"}",
		   "{\"label\": \"x\", \"path\": \"gs://b\", \"epochs\": \"07\"}");
	check_good(pipeline, "values become text",
		   "{\"label\": 3, \"path\": [1, \"a\"], \"epochs\": 7, \"fast\": false}",
		   "{\"label\": \"3\", \"path\": \"[1,\\\"a\\\"]\", \"epochs\": \"7\", \"fast\": "
		   "\"false\"}");
	given = json_pack("{s: s, s: s}", "label", "x", "epochs", "many");
	assert_int_equal(pipeline_check_params(pipeline, given, &got, &err), ERR_USER);
	assert_string_equal(err.code, "run.parameter_type");
	assert_non_null(strstr(err.msg, "`path` is required"));
	json_decref(given);
	pipeline_free(pipeline);
}

/* The message stays within its bound, and says that there is more. */
static void test_many_faults(void **state)
{
	struct pipeline *pipeline = churn("pipeline/churn.yaml");
	json_t *given = json_object(), *got;
	struct err err = {0};

	(void)state;
	for (int i = 0; i < 300; i++) {
		char *name = str_printf("a-name-that-is-quite-long-%d", i);

		json_object_set_new(given, name, json_integer(i));
		mem_free(name);
	}
	assert_int_equal(pipeline_check_params(pipeline, given, &got, &err), ERR_USER);
	assert_in_range(strlen(err.msg), 500, ERR_MSG_MAX - 50);
	assert_non_null(strstr(err.msg, "; and 29"));
	assert_true(str_ends(err.msg, " more"));
	json_decref(given);
	pipeline_free(pipeline);
}

static void test_long_names_are_cut(void **state)
{
	struct pipeline *pipeline = churn("pipeline/churn.yaml");
	char name[4001];
	struct err err = {0};
	json_t *given, *got;

	(void)state;
	for (size_t i = 0; i < 4000; i += 2)
		memcpy(name + i, "\xc3\xa4", 3);
	given = json_pack("{s: s, s: s, s: i}", name, "x", "epochs", name, "rate", 1);
	json_object_set_new(given, "label", json_string("x"));
	assert_int_equal(pipeline_check_params(pipeline, given, &got, &err), ERR_USER);
	assert_in_range(strlen(err.msg), 100, 600);
	assert_non_null(strstr(err.msg, "`epochs` must be a whole number"));
	json_decref(given);
	pipeline_free(pipeline);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ir),
		cmocka_unit_test(test_argo_takes_text),
		cmocka_unit_test(test_many_faults),
		cmocka_unit_test(test_long_names_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
