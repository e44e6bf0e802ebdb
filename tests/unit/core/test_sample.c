/* Sample requests: recognised, sent to the right path, answers judged. */
#include "lib/core/sample.h"
#include "tests/unit/cases.h"

#include "lib/base/jval.h"
#include "tests/unit/samples.h"

static json_t *parse(const char *text)
{
	json_t *value;

	assert_int_equal(jval_parse(&value, text, strlen(text), NULL), ERR_OK);
	return value;
}

#define TENSOR "{\"name\":\"a\",\"shape\":[2,4],\"datatype\":\"FP32\",\"data\":[1]}"

static const struct {
	const char *name, *body;
	enum err_class class;
	enum sample_protocol protocol;
	size_t instances;
	const char *says;
} requests[] = {
	{"v1", "{\"instances\":[[1,2],[3,4]]}", ERR_OK, SAMPLE_V1, 2, NULL},
	{"v1 by columns", "{\"inputs\":{\"x\":[1]}}", ERR_OK, SAMPLE_V1, 0, NULL},
	{"v2", "{\"id\":\"1\",\"inputs\":[" TENSOR "]}", ERR_OK, SAMPLE_V2, 0, NULL},
	{"no instances", "{\"instances\":[]}", ERR_USER, SAMPLE_V1, 0, "not empty"},
	{"instances are no list", "{\"instances\":{\"a\":1}}", ERR_USER, SAMPLE_V1, 0, "list"},
	{"both", "{\"instances\":[1],\"inputs\":{}}", ERR_USER, SAMPLE_V1, 0, "both"},
	{"neither", "{\"model\":\"x\"}", ERR_USER, SAMPLE_V1, 0, "neither of the v1"},
	{"empty inputs", "{\"inputs\":{}}", ERR_USER, SAMPLE_V1, 0, "neither"},
	{"null", "{\"inputs\":null}", ERR_USER, SAMPLE_V1, 0, "neither"},
	{"a list", "[1]", ERR_USER, SAMPLE_V1, 0, "neither"},
	{"a number", "1", ERR_USER, SAMPLE_V1, 0, "neither"},
	{"bare tensors", "{\"inputs\":[[1,2]]}", ERR_USER, SAMPLE_V1, 0, "inputs[0] of the sample"},
	{"no name", "{\"inputs\":[{\"shape\":[1]}]}", ERR_USER, SAMPLE_V1, 0, "has no name"},
	{"no shape", "{\"inputs\":[{\"name\":\"a\",\"shape\":[\"x\"]}]}", ERR_USER, SAMPLE_V1, 0,
	 "no shape"},
	{"second without data",
	 "{\"inputs\":[" TENSOR ",{\"name\":\"a\",\"shape\":[1],\"datatype\":\"INT8\"}]}", ERR_USER,
	 SAMPLE_V1, 0, "inputs[1] of the sample request has no data"},
	{"datatype", "{\"inputs\":[{\"name\":\"a\",\"shape\":[1],\"datatype\":\"float\"}]}",
	 ERR_USER, SAMPLE_V1, 0, "no known datatype"},
};

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		AUTO_JSON json_t *body = parse(requests[i].body);
		struct sample sample;
		struct err err = {0};

		print_message("  %s\n", requests[i].name);
		assert_int_equal(sample_recognise(&sample, body, &err), requests[i].class);
		if (requests[i].class) {
			assert_string_equal(err.code, "sample.form");
			assert_non_null(strstr(err.msg, requests[i].says));
			continue;
		}
		assert_int_equal(sample.protocol, requests[i].protocol);
		assert_int_equal(sample.instances, requests[i].instances);
	}
}

static void test_paths(void **state)
{
	struct sample v1 = {SAMPLE_V1, 1}, v2 = {SAMPLE_V2, 0};
	AUTO_BUF struct buf first = buf_make(100), second = buf_make(100);

	(void)state;
	sample_request_path(&first, &v1, "iris");
	assert_string_equal(buf_text(&first), "/v1/models/iris:predict");
	sample_request_path(&second, &v2, "../a b?");
	assert_string_equal(buf_text(&second), "/v2/models/..%2Fa%20b%3F/infer");
}

#define SCHEMA                                                                                     \
	"{\"type\":\"object\",\"properties\":{\"predictions\":{\"items\":{\"enum\":[0,1,2]}}}}"

static const char *const fields[] = {"model_name", "meta.id"};

static const struct {
	const char *name;
	struct sample sample;
	struct sample_wanted wanted;
	int status;
	const char *body; /* NULL: not JSON */
	const char *code, *says;
} answers[] = {
	{"v1", {SAMPLE_V1, 2}, {0}, 200, "{\"predictions\":[1,1]}", "", "answers 200 in 12 ms"},
	{"v1, 201", {SAMPLE_V1, 2}, {0}, 201, "{\"predictions\":[1,1]}", "", "201"},
	{"one too few",
	 {SAMPLE_V1, 2},
	 {0},
	 200,
	 "{\"predictions\":[1]}",
	 "sample.predictions",
	 "1 predictions for 2 instances"},
	{"one too many",
	 {SAMPLE_V1, 1},
	 {0},
	 200,
	 "{\"predictions\":[1,1]}",
	 "sample.predictions",
	 "2 predictions for 1 instances"},
	{"as a map", {SAMPLE_V1, 2}, {0}, 200, "{\"predictions\":{\"a\":[1,2]}}", "", NULL},
	{"empty", {SAMPLE_V1, 2}, {0}, 200, "{\"predictions\":[]}", "sample.predictions", "empty"},
	{"none",
	 {SAMPLE_V1, 2},
	 {0},
	 200,
	 "{\"outputs\":[1,2]}",
	 "sample.predictions",
	 "no predictions"},
	{"null", {SAMPLE_V1, 2}, {0}, 200, "{\"predictions\":null}", "sample.predictions", "no "},
	{"text",
	 {SAMPLE_V1, 2},
	 {0},
	 200,
	 "{\"predictions\":\"yes\"}",
	 "sample.predictions",
	 "empty"},
	{"a list", {SAMPLE_V1, 2}, {0}, 200, "[1,1]", "sample.predictions", "no predictions"},
	{"by columns", {SAMPLE_V1, 0}, {0}, 200, "{\"outputs\":[1,2]}", "", NULL},
	{"v2", {SAMPLE_V2, 0}, {0}, 200, "{\"outputs\":[{\"name\":\"a\",\"data\":[1]}]}", "", NULL},
	{"v2 without outputs",
	 {SAMPLE_V2, 0},
	 {0},
	 200,
	 "{\"outputs\":[]}",
	 "sample.predictions",
	 "no outputs"},
	{"v2 without data",
	 {SAMPLE_V2, 0},
	 {0},
	 200,
	 "{\"outputs\":[{\"name\":\"a\",\"data\":[]}]}",
	 "sample.predictions",
	 "outputs[0] has no name or no data"},
	{"error",
	 {SAMPLE_V1, 2},
	 {0},
	 500,
	 "{\"error\":\"ValueError : X has 3\\nfeatures\"}",
	 "sample.status",
	 "answers 500: ValueError : X has 3 features"},
	{"error in HTML", {SAMPLE_V1, 2}, {0}, 503, NULL, "sample.status", "answers 503"},
	{"detail",
	 {SAMPLE_V1, 2},
	 {0},
	 404,
	 "{\"detail\":\"no model\"}",
	 "sample.status",
	 "no model"},
	{"not JSON", {SAMPLE_V1, 2}, {0}, 200, NULL, "sample.json", "not JSON"},
	{"wanted refusal", {SAMPLE_V1, 2}, {.status = 400}, 400, "{\"error\":\"x\"}", "", NULL},
	{"wanted refusal, but it answers",
	 {SAMPLE_V1, 2},
	 {.status = 400},
	 200,
	 "{\"predictions\":[1,1]}",
	 "sample.status",
	 "answers 200 instead of 400"},
	{"exactly 200",
	 {SAMPLE_V1, 2},
	 {.status = 200},
	 201,
	 "{\"predictions\":[1,1]}",
	 "sample.status",
	 "201 instead of 200"},
	{"fields",
	 {SAMPLE_V1, 1},
	 {.fields = fields, .field_count = 2},
	 200,
	 "{\"predictions\":[1],\"model_name\":\"x\",\"meta\":{\"id\":0}}",
	 "",
	 NULL},
	{"field is missing",
	 {SAMPLE_V1, 1},
	 {.fields = fields, .field_count = 2},
	 200,
	 "{\"predictions\":[1],\"model_name\":\"x\"}",
	 "sample.field",
	 "no meta.id"},
	{"in time", {SAMPLE_V1, 1}, {.latency_max_ms = 12}, 200, "{\"predictions\":[1]}", "", NULL},
	{"too slow",
	 {SAMPLE_V1, 1},
	 {.latency_max_ms = 11},
	 200,
	 "{\"predictions\":[1]}",
	 "sample.latency",
	 "took 12 ms; at most 11 ms"},
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		AUTO_JSON json_t *body = answers[i].body ? parse(answers[i].body) : NULL;
		struct sample_answer answer = {answers[i].status, body, 12};
		struct sample_verdict verdict;

		print_message("  %s\n", answers[i].name);
		sample_judge(&verdict, &answers[i].sample, &answers[i].wanted, &answer);
		assert_string_equal(verdict.code, answers[i].code);
		assert_int_equal(verdict.is_good, !*answers[i].code);
		if (answers[i].says && !strstr(verdict.sentence, answers[i].says))
			fail_msg("\"%s\"", verdict.sentence);
		assert_null(strchr(verdict.sentence, '\n'));
	}
}

/* An answer that may take ten minutes is waited for as long. */
static void test_a_late_answer_is_waited_for(void **state)
{
	(void)state;
	assert_int_equal(sample_timeout_ms(0), 30000);
	assert_int_equal(sample_timeout_ms(12), 30000);
	assert_int_equal(sample_timeout_ms(25001), 30001);
	assert_int_equal(sample_timeout_ms(600000), 605000);
	assert_int_equal(sample_timeout_ms(INT64_MAX), 3605000);
}

static void test_answer_against_a_schema(void **state)
{
	AUTO_JSON json_t *schema = parse(SCHEMA), *good = parse("{\"predictions\":[1,2]}"),
			 *bad = parse("{\"predictions\":[1,7]}");
	struct sample sample = {SAMPLE_V1, 2};
	struct sample_wanted wanted = {.schema = schema};
	struct sample_answer answer = {200, good, 1};
	struct sample_verdict verdict;

	(void)state;
	sample_judge(&verdict, &sample, &wanted, &answer);
	assert_true(verdict.is_good);
	answer.body = bad;
	sample_judge(&verdict, &sample, &wanted, &answer);
	assert_string_equal(verdict.code, "sample.answer");
	assert_string_equal(verdict.sentence, "the answer does not fit its schema: "
					      "predictions[1]: it is none of the values in enum");
}

/* --- schemas --- */

static const struct {
	const char *name, *schema, *says; /* NULL: taken */
} schemas[] = {
	{"empty", "{}", NULL},
	{"everything",
	 "{\"type\":[\"object\",\"null\"],\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":"
	 "\"array\",\"items\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1},\"minItems\":1,"
	 "\"maxItems\":3},\"b\":{\"enum\":[null,1]}}}",
	 NULL},
	{"a name like a keyword", "{\"properties\":{\"pattern\":{}}}", NULL},
	{"not a map", "[]", "the schema at the top: it must be a map"},
	{"true", "true", "it must be a map"},
	{"unknown keyword", "{\"properties\":{\"a\":{\"items\":{\"pattern\":\"x\"}}}}",
	 "the schema at a[0]: \"pattern\" is not understood"},
	{"reference", "{\"$ref\":\"http://169.254.169.254/\"}", "\"$ref\" is not understood"},
	{"type", "{\"type\":\"float\"}", "names a type that does not exist"},
	{"types", "{\"type\":[\"object\",\"x\"]}", "names a type that does not exist"},
	{"no types", "{\"type\":[]}", "must be a name or a list"},
	{"type as a number", "{\"type\":1}", "must be a name or a list"},
	{"required", "{\"required\":\"a\"}", "list of names"},
	{"required numbers", "{\"required\":[1]}", "list of names"},
	{"properties", "{\"properties\":[]}", "map of schemas"},
	{"a property", "{\"properties\":{\"a\":1}}", "the schema at a: it must be a map"},
	{"items", "{\"items\":[{}]}", "one schema"},
	{"minItems", "{\"minItems\":-1}", "a number from 0"},
	{"maxItems", "{\"maxItems\":1.5}", "a number from 0"},
	{"enum", "{\"enum\":[]}", "not empty"},
	{"minimum", "{\"minimum\":\"1\"}", "must be a number"},
};

static void test_schemas(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
		AUTO_JSON json_t *schema = parse(schemas[i].schema);
		struct err err = {0};

		print_message("  %s\n", schemas[i].name);
		assert_int_equal(sample_schema_lint(schema, &err),
				 schemas[i].says ? ERR_USER : ERR_OK);
		assert_string_equal(err.code, schemas[i].says ? "sample.schema" : "");
		if (schemas[i].says && !strstr(err.msg, schemas[i].says))
			fail_msg("\"%s\"", err.msg);
	}
	assert_int_equal(sample_schema_lint(NULL, NULL), ERR_USER);
}

static void test_deep_schema(void **state)
{
	(void)state;
	for (int levels = 31; levels <= 32; levels++) {
		AUTO_JSON json_t *schema = json_object();
		struct err err = {0};

		for (int i = 0; i < levels; i++) {
			json_t *outer = json_object();

			jval_set(outer, "items", schema);
			schema = outer;
		}
		assert_int_equal(sample_schema_lint(schema, &err), levels < 32 ? ERR_OK : ERR_USER);
	}
}

static const struct {
	const char *schema, *value, *fault; /* NULL: fits */
} fits[] = {
	{"{}", "[1]", NULL},
	{"{\"type\":\"integer\"}", "1", NULL},
	{"{\"type\":\"integer\"}", "1.0", NULL},
	{"{\"type\":\"integer\"}", "1.5", "the answer: it is of type number"},
	{"{\"type\":\"integer\"}", "1e300", "the answer: it is of type number"},
	{"{\"type\":\"number\"}", "1", NULL},
	{"{\"type\":\"boolean\"}", "false", NULL},
	{"{\"type\":\"null\"}", "0", "the answer: it is of type integer"},
	{"{\"type\":[\"null\",\"string\"]}", "\"\"", NULL},
	{"{\"enum\":[1,\"a\",{\"b\":[2]}]}", "1.0", NULL},
	{"{\"enum\":[1,\"a\",{\"b\":[2]}]}", "{\"b\":[2]}", NULL},
	{"{\"enum\":[1]}", "true", "the answer: it is none of the values in enum"},
	{"{\"required\":[\"a\"]}", "{\"a\":null}", NULL},
	{"{\"required\":[\"a\"]}", "{}", "the answer: there is no \"a\""},
	{"{\"required\":[\"a\"]}", "[]", NULL},
	{"{\"minItems\":2}", "[1]", "the answer: 1 items, but at least 2 are wanted"},
	{"{\"maxItems\":0}", "[1]", "the answer: 1 items, but at most 0 are wanted"},
	{"{\"minItems\":2}", "1", NULL},
	{"{\"minimum\":0,\"maximum\":1}", "0.5", NULL},
	{"{\"minimum\":0}", "-1", "the answer: -1 is below 0"},
	{"{\"maximum\":1}", "1.25", "the answer: 1.25 is above 1"},
	{"{\"maximum\":1}", "\"5\"", NULL},
	{"{\"properties\":{\"a\":{\"items\":{\"properties\":{\"b\":{\"type\":\"string\"}}}}}}",
	 "{\"a\":[{\"b\":\"x\"},{},7,{\"b\":1}]}", "a[3].b: it is of type integer"},
	{"{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}}}",
	 "{\"b\":1,\"c\":2}", "b: it is of type integer"},
	{"{\"items\":{\"items\":{\"maximum\":1}}}", "[[0,1],[],[0,2]]", "[2][1]: 2 is above 1"},
};

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fits); i++) {
		AUTO_JSON json_t *schema = parse(fits[i].schema), *value = parse(fits[i].value);
		AUTO_BUF struct buf fault = buf_make(200);

		print_message("  %s %s\n", fits[i].schema, fits[i].value);
		assert_int_equal(sample_schema_lint(schema, NULL), ERR_OK);
		assert_int_equal(sample_schema_fits(schema, value, &fault), !fits[i].fault);
		assert_string_equal(buf_text(&fault), fits[i].fault ? fits[i].fault : "");
	}
}

/* --- the shared samples --- */

static json_t *shared(const char *file)
{
	AUTO_FREE char *name = str_printf("samples/kserve/%s", file);
	size_t len = 0;
	AUTO_FREE char *text = sample_read(true, name, &len);

	return text ? parse(text) : NULL;
}

static void test_samples(void **state)
{
	static const struct {
		const char *request, *answer;
		int status;
		bool is_good;
	} pairs[] = {
		{"predict_v1_request.json", "predict_v1_response.json", 200, true},
		{"predict_v1_request.json", "predict_v1_error_500.json", 500, false},
		{"predict_v1_request.json", "model_ready_v1.json", 200, false},
		{"infer_v2_request.json", "infer_v2_response.json", 200, true},
		{"infer_v2_request.json", "predict_v1_response.json", 200, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		AUTO_JSON json_t *request = shared(pairs[i].request),
				 *body = shared(pairs[i].answer);
		struct sample_answer answer = {pairs[i].status, body, 1};
		struct sample_wanted nothing = {0};
		struct sample_verdict verdict;
		struct sample sample;

		if (!request) {
			print_message("skipped: no shared samples\n");
			return;
		}
		assert_int_equal(sample_recognise(&sample, request, NULL), ERR_OK);
		sample_judge(&verdict, &sample, &nothing, &answer);
		assert_int_equal(verdict.is_good, pairs[i].is_good);
	}
}

static const struct CMUnitTest sample_tests[] = {
	cmocka_unit_test(test_requests),
	cmocka_unit_test(test_paths),
	cmocka_unit_test(test_answers),
	cmocka_unit_test(test_answer_against_a_schema),
	cmocka_unit_test(test_a_late_answer_is_waited_for),
	cmocka_unit_test(test_schemas),
	cmocka_unit_test(test_deep_schema),
	cmocka_unit_test(test_values),
	cmocka_unit_test(test_samples),
};

CASES_MAIN(sample_tests, NULL, NULL)
