/* Tasks that store a model by themselves: found in compiled pipelines, and which one is meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/pipeline.h"
#include "tests/unit/samples.h"

#define EXECUTORS                                                                                  \
	"\"deploymentSpec\":{\"executors\":{\"exec-s\":{\"container\":{\"args\":["                 \
	"\"--executor_input\",\"{{$}}\",\"--function_to_execute\",\"kfops_materialize_model\"]}}," \
	"\"exec-t\":{\"container\":{\"args\":[\"--function_to_execute\",\"train\"]}}}}"
#define STORE  "\"comp-s\":{\"executorLabel\":\"exec-s\"}"
#define TRAIN  "\"comp-t\":{\"executorLabel\":\"exec-t\"}"
#define REF(c) "\"componentRef\":{\"name\":\"" c "\"}"
#define TO(uri)                                                                                    \
	"\"inputs\":{\"parameters\":{\"destination\":{\"runtimeValue\":{\"constant\":\"" uri       \
	"\"}}}}"
#define TASK(key, uri)                                                                             \
	"\"" key "\":{" REF("comp-s") "," TO(uri) ",\"taskInfo\":{\"name\":\"materialize-model\"}" \
						  "}"
#define ROOT(tasks)		"\"root\":{\"dag\":{\"tasks\":{" tasks "}}}"
#define SPEC(tasks, components) "[{" ROOT(tasks) ",\"components\":{" components "}," EXECUTORS "}]"

static json_t *json_of(const char *text)
{
	json_t *value = NULL;
	struct err err = {0};

	if (jval_parse(&value, text, strlen(text), &err))
		fail_msg("%s: %s", err.msg, text);
	return value;
}

static const struct {
	const char *name, *documents, *task, *output;
	const char *uri;  /* NULL: refused */
	const char *code; /* with this */
} cases[] = {
	{"one", SPEC(TASK("m", "s3://b"), STORE), NULL, NULL, "s3://b/R/", NULL},
	{"with a folder", SPEC(TASK("m", "s3://b/x//"), STORE), NULL, NULL, "s3://b/x/R/", NULL},
	{"as Kubeflow gives it back",
	 "[{\"pipeline_spec\":{" ROOT(TASK("m", "s3://b")) ",\"components\":{" STORE "}," EXECUTORS
							   "},\"platform_spec\":{}}]",
	 NULL, NULL, "s3://b/R/", NULL},
	{"below a condition",
	 SPEC("\"c\":{" REF("comp-c") "}",
	      STORE ",\"comp-c\":{\"dag\":{\"tasks\":{" TASK("m", "s3://b") "}}}"),
	 NULL, NULL, "s3://b/R/", NULL},
	{"named by its key", SPEC(TASK("m", "s3://b") "," TASK("n", "s3://c"), STORE), "n", NULL,
	 "s3://c/R/", NULL},
	{"named as people see it", SPEC(TASK("m", "s3://b"), STORE), "materialize_model", NULL,
	 "s3://b/R/", NULL},
	{"two", SPEC(TASK("m", "s3://b") "," TASK("n", "s3://c"), STORE), NULL, NULL, NULL,
	 "deploy.which_model"},
	{"two of the name that is given", SPEC(TASK("m", "s3://b") "," TASK("n", "s3://c"), STORE),
	 "materialize-model", NULL, NULL, "deploy.which_model"},
	{"another is named", SPEC(TASK("m", "s3://b"), STORE), "train", NULL, NULL,
	 "deploy.which_model"},
	{"an output is named", SPEC(TASK("m", "s3://b"), STORE), NULL, "model", NULL,
	 "deploy.which_model"},
	{"in a loop",
	 SPEC("\"c\":{" REF("comp-c") ",\"parameterIterator\":{}}",
	      STORE ",\"comp-c\":{\"dag\":{\"tasks\":{" TASK("m", "s3://b") "}}}"),
	 NULL, NULL, NULL, "deploy.which_model"},
	{"in a condition in a loop",
	 SPEC("\"l\":{" REF("comp-l") ",\"artifactIterator\":{}}",
	      STORE ",\"comp-c\":{\"dag\":{\"tasks\":{" TASK(
		      "m",
		      "s3://b") "}}},"
				"\"comp-l\":{\"dag\":{\"tasks\":{\"c\":{" REF("comp-c") "}}}}"),
	 NULL, NULL, NULL, "deploy.which_model"},
	{"a destination that only the run knows",
	 SPEC("\"m\":{" REF("comp-s") ",\"inputs\":{\"parameters\":{\"destination\":{"
				      "\"taskOutputParameter\":{}}}}}",
	      STORE),
	 NULL, NULL, NULL, "deploy.no_model"},
};

static void test_which_one_is_meant(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_JSON json_t *documents = json_of(cases[i].documents);
		AUTO_JSON json_t *stores = pipeline_stores(documents);
		AUTO_BUF struct buf uri = buf_make(200);
		const json_t *store = NULL;
		struct err err = {0};

		print_message("%s\n", cases[i].name);
		assert_true(json_array_size(stores) > 0);
		if (pipeline_store_choose(&store, stores, cases[i].task, cases[i].output, &err)) {
			assert_null(store);
			assert_int_equal(err.class, ERR_USER);
			assert_string_equal(err.code, cases[i].code ? cases[i].code : "");
			continue;
		}
		assert_non_null(cases[i].uri);
		pipeline_store_uri(&uri, store, "R");
		assert_string_equal(buf_text(&uri), cases[i].uri);
	}
}

static void test_pipelines_without_one(void **state)
{
	static const char *const none[] = {
		"[]",
		"[null]",
		"[{}]",
		"[[1]]",
		SPEC("\"t\":{" REF("comp-t") "," TO("s3://b") "}", TRAIN),
		SPEC("\"t\":{" REF("comp-none") "}", STORE),
		SPEC("\"t\":7,\"u\":{\"componentRef\":\"x\"}", STORE ",\"comp-c\":[]"),
		"[{\"root\":[],\"components\":7}]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		AUTO_JSON json_t *documents = json_of(none[i]);
		AUTO_JSON json_t *stores = pipeline_stores(documents);

		print_message("%s\n", none[i]);
		assert_int_equal(json_array_size(stores), 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_one_is_meant),
		cmocka_unit_test(test_pipelines_without_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
