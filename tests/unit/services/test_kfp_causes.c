/* Why a run failed: Argo's manifest as causes, pod names, and the tail of the log. */
#include "lib/services/kfp_impl.h"
#include "tests/unit/samples.h"
#include "tests/unit/services/kfp_kit.h"

#define DETAIL "GET /apis/v1beta1/runs/r1 "
#define LOG_V1 "GET /apis/v1alpha1/runs/r1/nodes/wf-11/log "
#define LOG_V2 "GET /apis/v1alpha1/runs/r1/nodes/wf-impl-11/log "

/* The answer that carries this workflow; the caller drops it. */
static json_t *detail(const char *workflow)
{
	json_t *answer = json_object(), *runtime = json_object();

	jval_set_str(runtime, "workflow_manifest", workflow);
	jval_set(answer, "pipeline_runtime", runtime);
	return answer;
}

#define NODE(id, name, type, phase, message, end)                                                  \
	"\"" id "\":{\"id\":\"" id "\",\"name\":\"" name "\",\"displayName\":\"" name              \
	"\",\"type\":\"" type "\",\"phase\":\"" phase                                              \
	"\",\"templateName\":\"impl\",\"message\":\"" message                                      \
	"\",\"finishedAt\":\"2026-01-01T00:00:" end "Z\"}"
#define WORKFLOW(annotations, nodes)                                                               \
	"{\"metadata\":{\"name\":\"wf\",\"annotations\":{" annotations                             \
	"}},\"status\":{\"phase\":\"Failed\",\"message\":\"child failed\",\"nodes\":{" nodes "}}}"

/* One failed pod, as Argo packs it: base64 of gzip. */
#define PACKED                                                                                     \
	"H4sIAAAAAAACAzWLMQvCMBCF/0rJbENa0KGbi4vYOji5BXO1B0kTkhMtpf/dJEZ4cLzvvrey91g3"             \
	"DeuqlaGKp/RdxWZp4Ae4t5Y4eYkzhw88XmR9MhQGp+XSFzELidPiMrhalaqbZMj9JFFDRgQmLgn+"             \
	"U4w1cQMhyGdGw3A5oy7+iDOGCdSR0qsV7aEWTcxNiC5lf2fb9gWfY38YzAAAAA=="

static const struct {
	const char *name, *workflow, *causes, *other_pod;
} failures[] = {
	{"one pod",
	 WORKFLOW("", NODE("wf-11", "wf.root.train.executor", "Pod", "Failed",
			   "main: Error (exit code 1)", "05")),
	 "[{\"message\":\"main: Error (exit code "
	 "1)\",\"pod\":\"wf-11\",\"task\":\"train\"}]",
	 "wf-impl-11"},
	{"pods named as Argo 3.4 does",
	 WORKFLOW("\"workflows.argoproj.io/pod-name-format\":\"v2\"",
		  NODE("wf-11", "wf.root.train.executor", "Pod", "Error", "OOMKilled", "05")),
	 "[{\"message\":\"OOMKilled\",\"pod\":\"wf-impl-11\",\"task\":\"train\"}]", "wf-11"},
	{"the first to fail comes first",
	 WORKFLOW("", NODE("wf-1", "wf.root.b.executor", "Pod", "Failed", "late", "09") "," NODE(
			      "wf-2", "wf.root.a.executor", "Pod", "Failed", "early", "01")),
	 "[{\"message\":\"early\",\"pod\":\"wf-2\",\"task\":\"a\"},"
	 "{\"message\":\"late\",\"pod\":\"wf-1\",\"task\":\"b\"}]",
	 "wf-impl-2"},
	{"of several attempts the last",
	 WORKFLOW("",
		  NODE("wf-1", "wf.root.a.executor(0)", "Pod", "Failed", "first", "01") "," NODE(
			  "wf-2", "wf.root.a.executor(1)", "Pod", "Failed", "second", "02")),
	 "[{\"message\":\"second\",\"pod\":\"wf-2\",\"task\":\"a\"}]", "wf-impl-2"},
	{"an attempt that was mended is none",
	 WORKFLOW("",
		  NODE("wf-1", "wf.root.a.executor(0)", "Pod", "Failed", "first", "01") "," NODE(
			  "wf-2", "wf.root.a.executor(1)", "Pod", "Succeeded", "",
			  "02") "," NODE("wf-3", "wf.root.b.executor", "Pod", "Failed", "b", "03")),
	 "[{\"message\":\"b\",\"pod\":\"wf-3\",\"task\":\"b\"}]", "wf-impl-3"},
	{"driver", WORKFLOW("", NODE("wf-1", "train-driver", "Pod", "Error", "bad input", "01")),
	 "[{\"message\":\"bad input\",\"pod\":\"wf-1\",\"task\":\"train\"}]", "wf-impl-1"},
	{"loop",
	 WORKFLOW("", NODE("wf-1", "wf.root.for-loop-1(0:a).train(0).executor", "Pod", "Failed",
			   "x", "01")),
	 "[{\"message\":\"x\",\"pod\":\"wf-1\",\"task\":\"train\"}]", "wf-impl-1"},
	{"no pod failed, a step did",
	 WORKFLOW("", NODE("wf", "wf", "DAG", "Failed", "child 'wf-1' failed", "02") "," NODE(
			      "wf-1", "wf.root.a", "Steps", "Error", "quota exceeded", "01")),
	 "[{\"message\":\"quota exceeded\",\"pod\":\"\",\"task\":\"wf.root.a\"}]", ""},
	{"packed nodes",
	 "{\"metadata\":{\"name\":\"wf\"},\"status\":{\"message\":\"child failed\","
	 "\"compressedNodes\":\"" PACKED "\"}}",
	 "[{\"message\":\"OOMKilled\",\"pod\":\"wf-11\",\"task\":\"train\"}]", "wf-impl-11"},
	{"packed nodes that are damaged",
	 "{\"status\":{\"message\":\"child failed\",\"compressedNodes\":\"H4sIAAAA\"}}",
	 "[{\"message\":\"child failed\",\"pod\":\"\",\"task\":\"\"}]", ""},
	{"packed nodes of another kind",
	 "{\"status\":{\"message\":\"child failed\",\"compressedNodes\":[1]}}",
	 "[{\"message\":\"child failed\",\"pod\":\"\",\"task\":\"\"}]", ""},
	{"nodes kept elsewhere", "{\"status\":{\"message\":\"child failed\"}}",
	 "[{\"message\":\"child failed\",\"pod\":\"\",\"task\":\"\"}]", ""},
	{"no manifest", "", "[]", ""},
	{"a manifest of another kind", "{\"status\":{\"nodes\":[1,2],\"message\":5}}", "[]", ""},
	{"nodes of other kinds",
	 "{\"status\":{\"nodes\":{\"a\":1,\"b\":null,\"c\":{\"phase\":\"Failed\",\"type\":"
	 "\"Pod\"}}}}",
	 "[{\"message\":\"\",\"pod\":\"\",\"task\":\"\"}]", ""},
};

static void test_causes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		AUTO_JSON json_t *answer = detail(failures[i].workflow), *causes = NULL;
		AUTO_FREE char *text = NULL;
		char other[256];

		print_message("  %s\n", failures[i].name);
		causes = kfp_causes_parse(answer, other, sizeof other);
		text = jval_dump(causes);
		assert_string_equal(text, failures[i].causes);
		assert_string_equal(other, failures[i].other_pod);
	}
}

static void test_many_causes_are_cut(void **state)
{
	AUTO_BUF struct buf nodes = buf_make(1 << 20), manifest = buf_make(1 << 20);
	AUTO_JSON json_t *answer = NULL, *causes = NULL;
	char other[256];

	(void)state;
	for (int i = 0; i < 500; i++)
		buf_printf(
			&nodes,
			"%s\"wf-%d\":{\"id\":\"wf-%d\",\"name\":\"wf.root.t%d.executor\",\"type\":"
			"\"Pod\",\"phase\":\"Failed\",\"finishedAt\":\"2026-01-01T00:%02d:%02dZ\"}",
			i ? "," : "", i, i, i, (499 - i) / 60, (499 - i) % 60);
	buf_printf(&manifest, "{\"status\":{\"nodes\":{%s}}}", buf_text(&nodes));
	answer = detail(buf_text(&manifest));
	causes = kfp_causes_parse(answer, other, sizeof other);
	assert_int_equal(json_array_size(causes), 20);
	assert_string_equal(jval_str(json_array_get(causes, 0), "task", ""), "t499");
	assert_string_equal(jval_str(json_array_get(causes, 19), "task", ""), "t480");
}

static void test_sample(void **state)
{
	AUTO_FREE char *text = NULL;
	AUTO_JSON json_t *answer = NULL, *causes = NULL;
	char other[256];
	struct err err;
	size_t len;

	(void)state;
	text = sample_read(true, "samples/kfp-api/constructed/v1_run_detail_failed.json", &len);
	if (!text) {
		print_message("skipped: the sample is not there\n");
		skip();
	}
	assert_int_equal(jval_parse(&answer, text, len, &err), ERR_OK);
	causes = kfp_causes_parse(answer, other, sizeof other);
	assert_int_equal(json_array_size(causes), 1);
	assert_string_equal(jval_str(json_array_get(causes, 0), "task", ""), "train-model");
	assert_string_equal(jval_str(json_array_get(causes, 0), "message", ""),
			    "main: Error (exit code 1)");
	assert_string_equal(other, "iris-training-pipeline-x7k2p-system-container-impl-2211");
}

/* --- the log --- */

static void test_log(void **state)
{
	static const struct {
		const char *name;
		struct scripted_answer answers[2];
		int requests;
		const char *log, *pod;
	} cases[] = {
		{"by the node's id",
		 {{LOG_V1, 200, NULL, "line 1\nline 2\n"}},
		 2,
		 "line 1\nline 2\n",
		 "wf-11"},
		{"by the name of Argo 3.4",
		 {{LOG_V1, 404, NULL, "{}"}, {LOG_V2, 200, NULL, "line\n"}},
		 3,
		 "line\n",
		 "wf-impl-11"},
		{"an error inside a 200",
		 {{LOG_V1, 200, NULL, "{\"error_message\":\"no pod\"}"}, {LOG_V2, 200, NULL, ""}},
		 3,
		 NULL,
		 "wf-11"},
		{"not served",
		 {{LOG_V1, 404, NULL, ""}, {LOG_V2, 403, NULL, ""}},
		 3,
		 NULL,
		 "wf-11"},
		{"bytes that are no text",
		 {{LOG_V1, 200, NULL, "a\xff\x01z"}},
		 2,
		 "a\xef\xbf\xbd\x01z",
		 "wf-11"},
	};
	AUTO_JSON json_t *answer = detail(
		WORKFLOW("", NODE("wf-11", "wf.root.train.executor", "Pod", "Failed", "x", "01")));
	AUTO_FREE char *body = jval_dump(answer);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scripted_answer script[3] = {
			{DETAIL, 200, NULL, body}, cases[i].answers[0], cases[i].answers[1]};
		struct kit kit = kit_start_with(script, (size_t)cases[i].requests, NULL);
		AUTO_JSON json_t *causes = NULL;
		const json_t *first;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(kfp_run_causes(kit.kfp, kit.http, "r1", &causes, &kit.err),
				 ERR_OK);
		first = json_array_get(causes, 0);
		assert_true(str_eq(jval_str(first, "log", NULL), cases[i].log));
		assert_string_equal(jval_str(first, "pod", ""), cases[i].pod);
		kit_stop(&kit, cases[i].requests);
	}
}

static void test_log_tail(void **state)
{
	static const struct {
		const char *log;
		size_t max;
		const char *tail;
	} cases[] = {
		{"", 5, ""},
		{"abc", 5, "abc"},
		{"abcde", 5, "abcde"},
		{"one\ntwo\nsix\n", 8, "two\nsix\n"},
		{"one\ntwo\nsix\n", 7, "six\n"},
		{"oneline", 3, "ine"},
		{"a\nverylonglastline", 5, "tline"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF struct buf out = buf_make(64);

		kfp_log_tail(&out, cases[i].log, strlen(cases[i].log), cases[i].max);
		assert_string_equal(buf_text(&out), cases[i].tail);
	}
}

static void test_long_log_keeps_64_kilobytes(void **state)
{
	AUTO_JSON json_t *answer = detail(
		WORKFLOW("", NODE("wf-11", "wf.root.train.executor", "Pod", "Failed", "x", "01")));
	AUTO_FREE char *body = jval_dump(answer);
	AUTO_BUF struct buf log = buf_make(32 << 20); /* more than anybody would keep whole */
	struct scripted_answer script[] = {{DETAIL, 200, NULL, body}, {LOG_V1, 200, NULL, ""}};
	AUTO_JSON json_t *causes = NULL;
	const char *kept;
	struct kit kit;

	(void)state;
	for (int i = 0; i < 1500000; i++)
		buf_printf(&log, "line %d\n", i);
	assert_true(log.len > 17 << 20);
	script[1].body = buf_text(&log);
	kit = KIT_START(script);
	assert_int_equal(kfp_run_causes(kit.kfp, kit.http, "r1", &causes, &kit.err), ERR_OK);
	kept = jval_str(json_array_get(causes, 0), "log", "");
	assert_true(strlen(kept) <= 65536 && strlen(kept) > 65000);
	assert_true(str_starts(kept, "line "));
	assert_true(str_ends(kept, "line 1499999\n"));
	kit_stop(&kit, 2);
}

static void test_run_without_causes(void **state)
{
	static const struct scripted_answer script[] = {
		{DETAIL, 200, NULL, "{\"run\":{\"error\":\"workflow was rejected\"}}"},
		{DETAIL, 404, NULL, "{\"code\":5}"},
		{DETAIL, 200, NULL, "garbage"},
	};
	struct kit kit = KIT_START(script);
	json_t *causes;

	(void)state;
	assert_int_equal(kfp_run_causes(kit.kfp, kit.http, "r1", &causes, &kit.err), ERR_OK);
	assert_string_equal(jval_str(json_array_get(causes, 0), "message", ""),
			    "workflow was rejected");
	json_decref(causes);
	assert_int_equal(kfp_run_causes(kit.kfp, kit.http, "r1", &causes, &kit.err), ERR_NOT_FOUND);
	assert_int_equal(kfp_run_causes(kit.kfp, kit.http, "r1", &causes, &kit.err), ERR_TRANSIENT);
	assert_null(causes);
	kit_stop(&kit, 3);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_causes),
	cmocka_unit_test(test_many_causes_are_cut),
	cmocka_unit_test(test_sample),
	cmocka_unit_test(test_log),
	cmocka_unit_test(test_log_tail),
	cmocka_unit_test(test_long_log_keeps_64_kilobytes),
	cmocka_unit_test(test_run_without_causes),
};

CASES_MAIN(tests, NULL, NULL)
