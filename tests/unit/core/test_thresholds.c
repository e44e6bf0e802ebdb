/* test_thresholds.c - are the metrics good enough: values, thresholds, and what serves. */
#include "tests/unit/cases.h"

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/thresholds.h"
#include "tests/unit/core/policy_commands.h"

/* Metrics as "task/output/name=value", values as JSON has them. */
static const struct {
	const char *name, *policy, *run, *live; /* live: of production; NULL: nothing serves */
	enum fact met;
	const char *code, *said;
} cases[] = {
	{"at least", "acc: { min: 0.9 }", "t/m/acc=0.92", NULL, FACT_YES, "", "acc 0.92 (min 0.9)"},
	{"exactly", "acc: { min: 0.9 }", "t/m/acc=0.9", NULL, FACT_YES, "", "acc 0.9 (min 0.9)"},
	{"a billionth below is none", "acc: { min: 0.9 }", "t/m/acc=0.8999999999999", NULL,
	 FACT_YES, "", "acc 0.9 (min 0.9)"},
	{"below", "acc: { min: 0.91 }", "t/m/acc=0.905", NULL, FACT_NO, "deploy.metrics",
	 "acc 0.905 is 0.005 below its min of 0.91"},
	{"a whole number", "acc: { min: 1 }", "t/m/acc=1", NULL, FACT_YES, "", "acc 1 (min 1)"},
	{"below zero", "score: { min: -0.5, max: -0.1 }", "t/m/score=-0.2", NULL, FACT_YES, "",
	 "score -0.2 (min -0.5, max -0.1)"},
	{"at most", "loss: { max: 0.3 }", "t/m/loss=0.4", NULL, FACT_NO, "deploy.metrics",
	 "loss 0.4 is 0.1 above its max of 0.3"},
	{"zero at most", "loss: { max: 0 }", "t/m/loss=1e-12", NULL, FACT_NO, "deploy.metrics",
	 "loss 1e-12 is 1e-12 above its max of 0"},
	{"missing", "acc: { min: 0 }", "t/m/f1=1", NULL, FACT_NO, "deploy.metric_missing",
	 "acc was not recorded by the run"},
	{"none at all", "acc: { min: 0 }", "", NULL, FACT_NO, "deploy.metric_missing",
	 "acc was not recorded by the run"},
	{"a text", "acc: { min: 0 }", "t/m/acc=\"0.99\"", NULL, FACT_NO, "deploy.metric_no_number",
	 "acc is no number: \"0.99\""},
	{"NaN", "acc: { min: 0 }", "t/m/acc=\"NaN\"", NULL, FACT_NO, "deploy.metric_no_number",
	 "acc is no number: \"NaN\""},
	{"a boolean", "acc: { min: 0 }", "t/m/acc=true", NULL, FACT_NO, "deploy.metric_no_number",
	 "acc is no number: true"},
	{"two of them", "acc: { min: 0 }", "train/m/acc=1 eval/m/acc=1", NULL, FACT_NO,
	 "deploy.which_metric",
	 "acc was recorded 2 times (train/m, eval/m): the policy must name one, like train/acc"},
	{"two of them, one named", "eval/acc: { min: 0.5 }", "train/m/acc=1 eval/m/acc=0.4", NULL,
	 FACT_NO, "deploy.metrics", "eval/acc 0.4 is 0.1 below its min of 0.5"},
	{"named by output, too", "eval/m/acc: { min: 0.5 }", "eval/n/acc=0.1 eval/m/acc=0.6", NULL,
	 FACT_YES, "", "eval/m/acc 0.6 (min 0.5)"},
	{"the task is named as Kubeflow names it", "eval_model/acc: { min: 0.5 }",
	 "eval-model/m/acc=0.6", NULL, FACT_YES, "", "eval_model/acc 0.6 (min 0.5)"},
	{"half a name is no name", "c: { min: 0 }", "t/m/acc=1", NULL, FACT_NO,
	 "deploy.metric_missing", "c was not recorded by the run"},
	{"a task alone is no name", "t/: { min: 0 }", "t/m/acc=1", NULL, FACT_NO,
	 "deploy.metric_missing", "t/ was not recorded by the run"},
	{"a metric with a slash in its name", "val/acc: { min: 0 }", "t/m/val/acc=1", NULL,
	 FACT_YES, "", "val/acc 1 (min 0)"},
	{"a name of its own and by its task are two", "val/acc: { min: 0 }",
	 "t/m/val/acc=1 val/m/acc=0", NULL, FACT_NO, "deploy.which_metric",
	 "val/acc was recorded 2 times (t/m, val/m): the policy must name one, like t/val/acc"},
	{"nothing serves yet", "acc: { max_drop: 0.005 }", "t/m/acc=0.1", NULL, FACT_YES, "",
	 "acc 0.1 (nothing is in production yet)"},
	{"a small drop", "acc: { min: 0.9, max_drop: 0.005 }", "t/m/acc=0.932", "t/m/acc=0.936",
	 FACT_YES, "", "acc 0.932 (min 0.9, production 0.936, -0.004)"},
	{"a drop as large as may be", "acc: { max_drop: 0.005 }", "t/m/acc=0.915", "t/m/acc=0.92",
	 FACT_YES, "", "acc 0.915 (production 0.92, -0.005)"},
	{"a large drop", "acc: { min: 0.9, max_drop: 0.005 }", "t/m/acc=0.92", "t/m/acc=0.936",
	 FACT_NO, "deploy.metrics",
	 "acc 0.92 is 0.016 below the 0.936 of production, and 0.005 is allowed"},
	{"no drop at all is allowed", "acc: { max_drop: 0 }", "t/m/acc=0.919", "t/m/acc=0.92",
	 FACT_NO, "deploy.metrics",
	 "acc 0.919 is 0.001 below the 0.92 of production, and 0 is allowed"},
	{"better", "acc: { max_drop: 0 }", "t/m/acc=0.95", "x/y/acc=0.92", FACT_YES, "",
	 "acc 0.95 (production 0.92, +0.03)"},
	{"what serves has no such value", "acc: { max_drop: 1 }", "t/m/acc=1", "t/m/f1=1", FACT_NO,
	 "deploy.metric_unrecorded",
	 "acc is 1, but is not known of what serves in production, so a drop cannot be compared"},
	{"what serves was never recorded", "acc: { max_drop: 1 }", "t/m/acc=1", "unrecorded",
	 FACT_NO, "deploy.metric_unrecorded",
	 "acc is 1, but is not known of what serves in production, so a drop cannot be compared"},
	{"what serves has two", "acc: { max_drop: 1 }", "t/m/acc=1", "t/m/acc=1 u/m/acc=1", FACT_NO,
	 "deploy.metric_unrecorded",
	 "acc is 1, but was recorded more than once of what serves in production, so a drop cannot "
	 "be compared"},
	{"what serves is no number", "acc: { max_drop: 1 }", "t/m/acc=1", "t/m/acc=\"NaN\"",
	 FACT_NO, "deploy.metric_unrecorded",
	 "acc is 1, but is not known of what serves in production, so a drop cannot be compared"},
	{"nobody can tell what serves", "acc: { max_drop: 1, against: staging }", "t/m/acc=1",
	 "t/m/acc=1", FACT_NO, "deploy.metric_unrecorded",
	 "acc is 1, but is not known of what serves in staging, so a drop cannot be compared"},
	{"what fails comes first", "f1: { min: 0.5 }, acc: { min: 0.9 }, auc: { min: 0.1 }",
	 "t/m/f1=0.6 t/m/acc=0.8 t/m/auc=0.3", NULL, FACT_NO, "deploy.metrics",
	 "acc 0.8 is 0.1 below its min of 0.9; f1 0.6 (min 0.5); auc 0.3 (min 0.1)"},
	{"the first that fails has the code", "f1: { min: 0.5 }, acc: { min: 0.9 }", "t/m/acc=0.8",
	 NULL, FACT_NO, "deploy.metric_missing",
	 "f1 was not recorded by the run; acc 0.8 is 0.1 below its min of 0.9"},
};

static json_t *metrics_of(const char *text)
{
	json_t *list = json_array();
	char all[400], *save = NULL;

	str_copy(all, sizeof all, text);
	for (char *at = strtok_r(all, " ", &save); at; at = strtok_r(NULL, " ", &save)) {
		char *output = strchr(at, '/'), *name, *value = strrchr(at, '=');
		json_t *one = json_object();

		*output++ = '\0';
		name = strchr(output, '/');
		*name++ = '\0';
		*value++ = '\0';
		jval_set_str(one, "task", at);
		jval_set_str(one, "output", output);
		jval_set_str(one, "name", name);
		jval_set(one, "value", json_loads(value, JSON_DECODE_ANY, NULL));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *thresholds_of(const char *metrics)
{
	AUTO_FREE char *text = str_printf("metrics: { %s }\n", metrics);
	AUTO_POLICY struct policy *policy = policy_read(text, strlen(text), "p", some_table());

	if (policy->fault_count)
		fail_msg("%s: %s", metrics, policy->faults[0].text);
	return thresholds_keep(policy);
}

static json_t *live_of(const char *metrics)
{
	json_t *live = json_object(), *production = metrics ? json_object() : json_null();

	if (metrics && !str_eq(metrics, "unrecorded"))
		jval_set(production, "metrics", metrics_of(metrics));
	jval_set(live, "production", production);
	return live;
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_JSON json_t *thresholds = thresholds_of(cases[i].policy);
		AUTO_JSON json_t *values = metrics_of(cases[i].run);
		AUTO_JSON json_t *live = live_of(cases[i].live);
		struct thresholds got;

		thresholds_judge(&got, thresholds, values, live);
		if (got.met != cases[i].met || !str_eq(got.code, cases[i].code) ||
		    !str_eq(got.said, cases[i].said))
			fail_msg("%s: %d %s \"%s\"", cases[i].name, got.met, got.code, got.said);
	}
}

/* What was not read is not known, and nothing handed in passes nothing. */
static void test_unread(void **state)
{
	AUTO_JSON json_t *thresholds = thresholds_of("acc: { min: 0 }");
	AUTO_JSON json_t *values = metrics_of("t/m/acc=1");
	struct thresholds got;

	(void)state;
	thresholds_judge(&got, thresholds, NULL, NULL);
	assert_int_equal(got.met, FACT_UNKNOWN);
	thresholds_judge(&got, NULL, values, NULL);
	assert_int_equal(got.met, FACT_UNKNOWN);
	thresholds_judge(&got, json_true(), values, NULL);
	assert_int_equal(got.met, FACT_UNKNOWN);
}

/* As many as a policy may have, with the longest names: the sentence is cut between metrics. */
static void test_many(void **state)
{
	AUTO_JSON json_t *thresholds = json_array();
	AUTO_JSON json_t *values = json_array();
	AUTO_FREE char *name = mem_new(101, 1);
	struct thresholds got;

	(void)state;
	memset(name, 'n', 100);
	for (int i = 0; i < POLICY_METRICS_MAX; i++) {
		(void)snprintf(name + 97, 4, "%03d", i);
		json_array_append_new(thresholds, json_pack("{s:s,s:f}", "name", name, "min", 0.5));
		json_array_append_new(values, json_pack("{s:s,s:f}", "name", name, "value", 0.6));
	}
	thresholds_judge(&got, thresholds, values, NULL);
	assert_int_equal(got.met, FACT_YES);
	assert_non_null(strstr(got.said, "; and 47 more"));
	assert_int_equal(got.said[strlen(got.said) - 1], 'e');
}

static void test_against(void **state)
{
	AUTO_JSON json_t *thresholds =
		thresholds_of("a: { max_drop: 1 }, b: { max_drop: 1, against: staging }, "
			      "c: { max_drop: 2, against: production }, d: { min: 1 }");
	AUTO_JSON json_t *against = thresholds_against(thresholds);
	AUTO_FREE char *text = jval_dump(against);

	(void)state;
	assert_string_equal(text, "[\"production\",\"staging\"]");
}

static const struct CMUnitTest group[] = {
	cmocka_unit_test(test_cases),
	cmocka_unit_test(test_unread),
	cmocka_unit_test(test_many),
	cmocka_unit_test(test_against),
};

CASES_MAIN(group, NULL, NULL)
