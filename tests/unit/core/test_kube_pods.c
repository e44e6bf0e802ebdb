/* One sentence out of pods. */
#include "lib/core/kube_pods.h"
#include "tests/unit/cases.h"

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "tests/unit/samples.h"

#define POD(status) "{\"metadata\":{\"name\":\"p\"},\"status\":{" status "}}"
#define READY	    POD("\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]")
#define MAIN(phase, state)                                                                         \
	POD("\"phase\":\"" phase "\",\"containerStatuses\":[{\"name\":\"kserve-container\","       \
	    "\"restartCount\":2," state "}]")
#define INIT(state)                                                                                \
	POD("\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"storage-initializer\","  \
	    "\"restartCount\":1," state                                                            \
	    "}],\"containerStatuses\":[{\"name\":\"kserve-container\","                            \
	    "\"state\":{\"waiting\":{\"reason\":\"PodInitializing\"}}}]")
#define ENDED(more) "\"terminated\":{" more "}"
#define CRASHED	    "\"waiting\":{\"reason\":\"CrashLoopBackOff\",\"message\":\"back-off 5m0s\"}"
#define OOM                                                                                        \
	MAIN("Running", "\"state\":{" CRASHED "},\"lastState\":{" ENDED(                           \
				"\"exitCode\":137,\"reason\":\"OOMKilled\"") "}")
#define UNSCHEDULABLE                                                                              \
	POD("\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":"         \
	    "\"False\",\"reason\":\"Unschedulable\",\"message\":\"0/3 nodes are available.\"}]")

static const struct {
	const char *name, *pods;
	enum kube_pods_state state;
	const char *reason, *container, *sentence;
} cases[] = {
	{"nothing", "[]", KUBE_PODS_NONE, "", "", "there is no pod"},
	{"no list", "7", KUBE_PODS_NONE, "", "", "there is no pod"},
	{"no pods", "[1,null,[],\"x\",{}]", KUBE_PODS_STARTING, "", "", "pod ? is being started"},
	{"ready", "[" READY "]", KUBE_PODS_READY, "", "", "1 of 1 pods are ready"},
	{"done", POD("\"phase\":\"Succeeded\""), KUBE_PODS_READY, "", "", "1 of 1 pods are ready"},
	{"being deleted",
	 "[{\"metadata\":{\"name\":\"p\",\"deletionTimestamp\":\"x\"},\"status\":{\"phase\":"
	 "\"Failed\"}}]",
	 KUBE_PODS_NONE, "", "", "there is no pod"},
	{"unschedulable", UNSCHEDULABLE, KUBE_PODS_STUCK, "Unschedulable", "",
	 "pod p finds no node: 0/3 nodes are available"},
	{"evicted",
	 POD("\"phase\":\"Failed\",\"reason\":\"Evicted\",\"message\":\"The node was low on "
	     "resource: memory. \""),
	 KUBE_PODS_FAILED, "Evicted", "",
	 "pod p was evicted from its node: The node was low on resource: memory"},
	{"past its deadline",
	 POD("\"phase\":\"Failed\",\"reason\":\"DeadlineExceeded\",\"message\":\"too long\""),
	 KUBE_PODS_FAILED, "DeadlineExceeded", "", "pod p failed (DeadlineExceeded): too long"},
	{"lost node", POD("\"phase\":\"Unknown\""), KUBE_PODS_STARTING, "", "",
	 "pod p is on a node that does not answer"},
	{"image",
	 MAIN("Pending", "\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\",\"message\":"
			 "\"not found\"}}"),
	 KUBE_PODS_STUCK, "ErrImagePull", "kserve-container",
	 "the image of the container kserve-container of pod p cannot be pulled (ErrImagePull): "
	 "not "
	 "found"},
	{"secret",
	 MAIN("Pending", "\"state\":{\"waiting\":{\"reason\":\"CreateContainerConfigError\","
			 "\"message\":\"secret \\\"s3\\\" not found\"}}"),
	 KUBE_PODS_STUCK, "CreateContainerConfigError", "kserve-container",
	 "the container kserve-container of pod p cannot start (CreateContainerConfigError): "
	 "secret "
	 "\"s3\" not found"},
	{"killed for memory", OOM, KUBE_PODS_STUCK, "OOMKilled", "kserve-container",
	 "the container kserve-container of pod p was killed because it used more memory than its "
	 "limit (OOMKilled) (2 restarts)"},
	{"crashed, and waits",
	 MAIN("Running", "\"state\":{" CRASHED "},\"lastState\":{" ENDED(
				 "\"exitCode\":1,\"reason\":\"Error\",\"message\":\"Traceback\\n  "
				 "File x\\nValueError: bad model\\n\"") "}"),
	 KUBE_PODS_STUCK, "Error", "kserve-container",
	 "the container kserve-container of pod p ended with exit code 1 (2 restarts): ValueError: "
	 "bad model"},
	{"crashed, nobody knows how", MAIN("Running", "\"state\":{" CRASHED "}"), KUBE_PODS_STUCK,
	 "CrashLoopBackOff", "kserve-container",
	 "the container kserve-container of pod p ends again and again (2 restarts): back-off "
	 "5m0s"},
	{"by a signal", MAIN("Failed", "\"state\":{" ENDED("\"exitCode\":0,\"signal\":9") "}"),
	 KUBE_PODS_FAILED, "Error", "kserve-container",
	 "the container kserve-container of pod p was ended by signal 9 (2 restarts)"},
	{"model is not there",
	 INIT("\"state\":{" CRASHED
	      "},\"lastState\":{" ENDED("\"exitCode\":1,\"reason\":\"Error\",\"message\":"
					"\"RuntimeError: No model found\"") "}"),
	 KUBE_PODS_STUCK, "Error", "storage-initializer",
	 "the init container storage-initializer of pod p ended with exit code 1 (1 restart): "
	 "RuntimeError: No model found"},
	{"model is being fetched", INIT("\"state\":{\"running\":{}}"), KUBE_PODS_STARTING, "",
	 "storage-initializer", "the init container storage-initializer of pod p is at work"},
	{"fetched, being made", INIT("\"state\":{" ENDED("\"exitCode\":0") "}"), KUBE_PODS_STARTING,
	 "PodInitializing", "kserve-container",
	 "the container kserve-container of pod p is being made"},
	{"not ready", MAIN("Running", "\"ready\":false,\"state\":{\"running\":{}}"),
	 KUBE_PODS_STARTING, "", "kserve-container",
	 "the container kserve-container of pod p runs, but is not ready yet"},
	{"it crashed once, but serves",
	 POD("\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
	     "\"containerStatuses\":[{\"name\":\"a\",\"ready\":true,\"lastState\":{" ENDED(
		     "\"exitCode\":1") "}}]"),
	 KUBE_PODS_READY, "", "", "1 of 1 pods are ready"},
	{"the worst of several", "[" READY "," UNSCHEDULABLE "," OOM "," UNSCHEDULABLE "]",
	 KUBE_PODS_STUCK, "OOMKilled", "kserve-container",
	 "the container kserve-container of pod p was killed because it used more memory than its "
	 "limit (OOMKilled) (2 restarts)"},
	{"words that hurt",
	 MAIN("Pending", "\"state\":{\"waiting\":{\"reason\":\"X\",\"message\":\"a\\u001b[1m\\r\\nb"
			 "\\u0000c\"}}"),
	 KUBE_PODS_STUCK, "X", "kserve-container",
	 "the container kserve-container of pod p cannot start (X): a [1m  b"},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_JSON json_t *pods = NULL;
		struct kube_pods seen;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(jval_parse(&pods, cases[i].pods, strlen(cases[i].pods), NULL),
				 ERR_OK);
		kube_pods_explain(&seen, pods);
		assert_string_equal(seen.sentence, cases[i].sentence);
		assert_int_equal(seen.state, cases[i].state);
		assert_string_equal(seen.reason, cases[i].reason);
		assert_string_equal(seen.container, cases[i].container);
		assert_string_equal(seen.pod, strstr(cases[i].sentence, "pod p") ? "p"
					      : strstr(cases[i].sentence, "?")	 ? "?"
										 : "");
	}
}

static const struct {
	const char *file;
	enum kube_pods_state state;
	const char *reason, *says;
} samples[] = {
	{"pod_build_failed.json", KUBE_PODS_FAILED, "Error",
	 "the container kaniko of pod mlbot-build-01j5zk8q-abcde ended with exit code 1: error "
	 "building image: error building stage: failed to execute command: waiting for process to "
	 "exit: exit status 1"},
	{"pod_build_imagepullbackoff.json", KUBE_PODS_STUCK, "ImagePullBackOff",
	 "cannot be pulled (ImagePullBackOff): Back-off pulling image \"registry.example.com/"},
	{"pod_build_oomkilled.json", KUBE_PODS_FAILED, "OOMKilled", "more memory than its limit"},
	{"pod_build_succeeded_digest.json", KUBE_PODS_READY, "", "1 of 1 pods are ready"},
	{"pod_unschedulable.json", KUBE_PODS_STUCK, "Unschedulable",
	 "finds no node: 0/3 nodes are available: 3 Insufficient memory"},
};

static void test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		AUTO_FREE char *name = str_printf("samples/k8s/%s", samples[i].file);
		AUTO_JSON json_t *pod = NULL;
		struct kube_pods seen;
		size_t len = 0;
		AUTO_FREE char *text = sample_read(true, name, &len);

		if (!text) {
			print_message("skipped: no shared samples\n");
			return;
		}
		print_message("  %s\n", samples[i].file);
		assert_int_equal(jval_parse(&pod, text, len, NULL), ERR_OK);
		kube_pods_explain(&seen, pod);
		assert_int_equal(seen.state, samples[i].state);
		assert_string_equal(seen.reason, samples[i].reason);
		if (!strstr(seen.sentence, samples[i].says))
			fail_msg("\"%s\"", seen.sentence);
	}
}

/* However long the words are, the sentence ends well. */
static void test_long_words(void **state)
{
	AUTO_JSON json_t *pod = json_object();
	AUTO_BUF struct buf words = buf_make(8192);
	struct kube_pods seen;
	json_t *status = json_object();

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_puts(&words, "\xc3\xa4");
	jval_set_str(status, "phase", "Failed");
	jval_set_str(status, "message", buf_text(&words));
	jval_set(pod, "status", status);
	kube_pods_explain(&seen, pod);
	assert_true(strlen(seen.sentence) < sizeof seen.sentence);
	assert_int_equal(str_utf8_cut(seen.sentence, strlen(seen.sentence)), strlen(seen.sentence));
}

#define AGAIN(count, last)                                                                         \
	POD("\"phase\":\"Running\",\"initContainerStatuses\":[{\"name\":\"i\",\"restartCount\":9}" \
	    "],"                                                                                   \
	    "\"containerStatuses\":[{\"name\":\"c\",\"ready\":true,\"restartCount\":" count last   \
	    "}]")
#define WAS_OOM ",\"lastState\":{" ENDED("\"exitCode\":137,\"reason\":\"OOMKilled\"") "}"

static const struct {
	const char *name, *pods;
	int64_t count;
	const char *sentence;
} restarted[] = {
	{"nothing", "[]", 0, ""},
	{"no list", "7", 0, ""},
	{"no pods", "[1,null,[],{}]", 0, ""},
	{"never", "[" AGAIN("0", "") "]", 0, ""},
	{"once, and ready again", "[" AGAIN("1", WAS_OOM) "]", 1,
	 "the container c of pod p was killed because it used more memory than its limit "
	 "(OOMKilled) (1 restart)"},
	{"in two pods", "[" AGAIN("2", WAS_OOM) "," AGAIN("3", "") "]", 5,
	 "the container c of pod p was killed because it used more memory than its limit "
	 "(OOMKilled) (2 restarts)"},
	{"nobody says why", "[" AGAIN("2", "") "]", 2, ""},
	{"numbers that no kubelet writes",
	 "[" AGAIN("-4", "") "," AGAIN("9000000000000000000", "") "]", 0, ""},
	{"of a pod that goes away",
	 "[{\"metadata\":{\"deletionTimestamp\":\"x\"},\"status\":{\"containerStatuses\":[{"
	 "\"restartCount\":3}]}}]",
	 0, ""},
};

static void test_restarts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(restarted); i++) {
		AUTO_JSON json_t *pods = json_loads(restarted[i].pods, JSON_DECODE_ANY, NULL);
		struct kube_restarts seen;

		print_message("  %s\n", restarted[i].name);
		kube_pods_restarts(&seen, pods);
		assert_int_equal(seen.count, restarted[i].count);
		assert_string_equal(seen.sentence, restarted[i].sentence);
	}
}

static const struct CMUnitTest kube_pods_tests[] = {
	cmocka_unit_test(test_cases),
	cmocka_unit_test(test_samples),
	cmocka_unit_test(test_restarts),
	cmocka_unit_test(test_long_words),
};

CASES_MAIN(kube_pods_tests, NULL, NULL)
