/* test_pipeline_cache.c - caching is switched off in every task, and nothing else changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/pipeline.h"

static const struct {
	const char *name, *before, *after;
} cases[] = {
	{"tasks of the root and of components",
	 "[{\"root\":{\"dag\":{\"tasks\":{\"a\":{\"cachingOptions\":{\"enableCache\":true}},"
	 "\"b\":{\"x\":1}}}},\"components\":{\"comp-c\":{\"dag\":{\"tasks\":{\"d\":{"
	 "\"cachingOptions\":{\"enableCache\":true,\"cacheKey\":\"k\"}}}}},"
	 "\"comp-e\":{\"executorLabel\":\"e\"}}}]",
	 "[{\"root\":{\"dag\":{\"tasks\":{\"a\":{\"cachingOptions\":{}},\"b\":{\"x\":1,"
	 "\"cachingOptions\":{}}}}},\"components\":{\"comp-c\":{\"dag\":{\"tasks\":{\"d\":{"
	 "\"cachingOptions\":{}}}}},\"comp-e\":{\"executorLabel\":\"e\"}}}]"},
	{"the pipeline is the second document",
	 "[{\"platforms\":{}},{\"root\":{\"dag\":{\"tasks\":{\"a\":{}}}}}]",
	 "[{\"platforms\":{}},{\"root\":{\"dag\":{\"tasks\":{\"a\":{\"cachingOptions\":{}}}}}}]"},
	{"pods of an Argo Workflow",
	 "[{\"spec\":{\"templates\":[{\"name\":\"a\",\"container\":{}},{\"name\":\"b\",\"script\":"
	 "{},\"metadata\":{\"annotations\":{\"pipelines.kubeflow.org/"
	 "max_cache_staleness\":\"P30D\","
	 "\"x\":\"y\"},\"labels\":{}}},{\"name\":\"c\",\"dag\":{}}]}}]",
	 "[{\"spec\":{\"templates\":[{\"name\":\"a\",\"container\":{},\"metadata\":{"
	 "\"annotations\":"
	 "{\"pipelines.kubeflow.org/max_cache_staleness\":\"P0D\"}}},{\"name\":\"b\",\"script\":"
	 "{},\"metadata\":{\"annotations\":{\"pipelines.kubeflow.org/max_cache_staleness\":\"P0D\","
	 "\"x\":\"y\"},\"labels\":{}}},{\"name\":\"c\",\"dag\":{}}]}}]"},
	{"nothing of the kind", "[{\"a\":1},[],3,{\"root\":[],\"components\":4,\"spec\":\"x\"}]",
	 "[{\"a\":1},[],3,{\"root\":[],\"components\":4,\"spec\":\"x\"}]"},
	{"members of another kind",
	 "[{\"root\":{\"dag\":{\"tasks\":{\"a\":3}}},\"spec\":{\"templates\":[1,{\"container\":{},"
	 "\"metadata\":5}]}}]",
	 "[{\"root\":{\"dag\":{\"tasks\":{\"a\":3}}},\"spec\":{\"templates\":[1,{\"container\":{},"
	 "\"metadata\":{\"annotations\":{\"pipelines.kubeflow.org/"
	 "max_cache_staleness\":\"P0D\"}}}]}"
	 "}]"},
};

static void test_switched_off(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_JSON json_t *got = NULL, *want = NULL;
		AUTO_FREE char *text = NULL;

		assert_int_equal(jval_parse(&got, cases[i].before, strlen(cases[i].before), NULL),
				 ERR_OK);
		assert_int_equal(jval_parse(&want, cases[i].after, strlen(cases[i].after), NULL),
				 ERR_OK);
		pipeline_disable_cache(got);
		text = jval_dump(got);
		if (!json_equal(got, want))
			fail_msg("%s: %s", cases[i].name, text);
		pipeline_disable_cache(got); /* once more changes nothing */
		assert_true(json_equal(got, want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_switched_off)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
