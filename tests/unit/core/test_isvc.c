/* InferenceServices without a rollout: what is built and refused, what is read from the samples,
 * which way is chosen, what differs, and where a model is tried. */
#include "lib/core/isvc.h"

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/base/yaml.h"
#include "lib/core/isvc_impl.h"
#include "tests/unit/cases.h"
#include "tests/unit/samples.h"

static const char uri[] = "s3://mlpipeline/v2/run-9/model/";

static json_t *json_of(const char *yaml)
{
	struct yaml_node **docs;
	size_t count;
	json_t *out;
	struct err err = {0};

	if (yaml_parse(&docs, &count, yaml, strlen(yaml), &err))
		fail_msg("%s", err.msg);
	out = yaml_to_json(docs[0]);
	yaml_docs_free(docs, count);
	return out;
}

static enum err_class build(json_t **out, const char *yaml, struct err *err)
{
	AUTO_JSON json_t *document = json_of(yaml);
	const json_t *documents[] = {document};
	struct isvc_wish wish = {"iris", "ml-prod", uri, {"job-9", "3", "run-9", "abc", "o/r"}};

	return isvc_build(out, documents, 1, &wish, err);
}

#define HEAD  "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n"
#define MODEL "spec: {predictor: {model: {modelFormat: {name: sklearn}}}}\n"

/* --- built --- */

static void test_build(void **state)
{
	AUTO_JSON json_t *wanted = NULL;
	AUTO_FREE char *text = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(build(&wanted,
			       HEAD
			       "metadata: {name: other, labels: {team: a}, annotations: "
			       "{serving.kserve.io/deploymentMode: Knative}, finalizers: [x]}\n"
			       "spec:\n"
			       "  predictor:\n"
			       "    canaryTrafficPercent: 50\n"
			       "    minReplicas: 1\n"
			       "    nodeSelector: null\n"
			       "    sklearn: {storageUri: 's3://old', protocolVersion: v2}\n"
			       "status: {url: x}\n",
			       &err),
			 ERR_OK);
	text = jval_dump(wanted);
	assert_string_equal(
		text,
		"{\"apiVersion\":\"serving.kserve.io/v1beta1\",\"kind\":\"InferenceService\","
		"\"metadata\":{\"annotations\":{\"kfops.dev/fence\":\"3\",\"kfops.dev/"
		"job\":\"job-9\","
		"\"kfops.dev/repo\":\"o/r\",\"kfops.dev/run\":\"run-9\",\"kfops.dev/sha\":\"abc\","
		"\"serving.kserve.io/deploymentMode\":\"Knative\","
		"\"serving.kserve.io/enable-tag-routing\":\"true\"},\"labels\":{\"team\":\"a\"},"
		"\"name\":\"iris\",\"namespace\":\"ml-prod\"},\"spec\":{\"predictor\":{"
		"\"minReplicas\":1,\"model\":{\"modelFormat\":{\"name\":\"sklearn\"},"
		"\"protocolVersion\":\"v2\",\"storageUri\":\"s3://mlpipeline/v2/run-9/model/"
		"\"}}}}");
	assert_string_equal(isvc_protocol(wanted), "v2");
}

static void test_build_own_server(void **state)
{
	AUTO_JSON json_t *wanted = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(build(&wanted,
			       HEAD
			       "spec: {predictor: {containers: [{name: kserve-container, image: "
			       "a/b, env: [{name: STORAGE_URI, valueFrom: {x: y}}]}]}}\n",
			       &err),
			 ERR_OK);
	assert_string_equal(isvc_storage_uri(jval_at(wanted, "spec.predictor")), uri);
	assert_string_equal(isvc_protocol(wanted), "v1");
}

static const struct {
	const char *name, *yaml, *says;
} refused[] = {
	{"another kind", "apiVersion: v1\nkind: Pod\n", "must be an InferenceService"},
	{"another version", "apiVersion: serving.kubeflow.org/v1beta1\nkind: InferenceService\n",
	 "apiVersion"},
	{"no document at all", "[]", "must be an InferenceService"},
	{"another namespace", HEAD "metadata: {namespace: kube-system}\n" MODEL, "kube-system"},
	{"our marks", HEAD "metadata: {annotations: {kfops.dev/job: x}}\n" MODEL, "kfops itself"},
	{"our marks as labels", HEAD "metadata: {labels: {kfops.dev/x: x}}\n" MODEL,
	 "kfops itself"},
	{"our marks on the pods",
	 HEAD "spec: {predictor: {annotations: {kfops.dev/job: x}, model: {}}}\n", "kfops itself"},
	{"stopped", HEAD "metadata: {annotations: {serving.kserve.io/stop: 'true'}}\n" MODEL,
	 "stopped"},
	{"a number as annotation", HEAD "metadata: {annotations: {a: 1}}\n" MODEL, "quotes"},
	{"no predictor", HEAD "spec: {}\n", "no spec.predictor"},
	{"predictor of nothing", HEAD "spec: {predictor: {minReplicas: 1}}\n", "neither model nor"},
	{"no format", HEAD "spec: {predictor: {model: {}}}\n", "modelFormat.name"},
	{"two models", HEAD "spec: {predictor: {model: {modelFormat: {name: x}}, sklearn: {}}}\n",
	 "both model"},
	{"two frameworks", HEAD "spec: {predictor: {xgboost: {}, sklearn: {}}}\n", "both model"},
	{"a canary", HEAD "spec: {canary: [], predictor: {sklearn: {}}}\n", "spec.canary"},
	{"unknown member", HEAD "spec: {worker: {}, predictor: {sklearn: {}}}\n", "spec.worker"},
	{"storage", HEAD "spec: {predictor: {sklearn: {storage: {key: x}}}}\n", "storageUri"},
	{"storageUris", HEAD "spec: {predictor: {storageUris: [x], sklearn: {}}}\n", "storageUri"},
	{"the node's files",
	 HEAD "spec: {predictor: {sklearn: {}, volumes: [{name: a, hostPath: {path: /}}]}}\n",
	 "hostPath"},
	{"a volume of another kind",
	 HEAD "spec: {predictor: {sklearn: {}, volumes: [{name: a, nfs: {server: x}}]}}\n", "nfs"},
	{"the node's network", HEAD "spec: {predictor: {hostNetwork: true, sklearn: {}}}\n",
	 "hostNetwork"},
	{"the node's network, as text",
	 HEAD "spec: {predictor: {hostNetwork: 'true', sklearn: {}}}\n", "hostNetwork"},
	{"the node's processes", HEAD "spec: {predictor: {hostPID: true, sklearn: {}}}\n",
	 "hostPID"},
	{"a port of the node", HEAD "spec: {predictor: {sklearn: {ports: [{hostPort: 22}]}}}\n",
	 "hostPort"},
	{"a chosen node", HEAD "spec: {predictor: {nodeName: a, sklearn: {}}}\n", "nodeName"},
	{"privileged",
	 HEAD "spec: {predictor: {containers: [{securityContext: {privileged: true}}]}}\n",
	 "privileged"},
	{"privileged in the transformer",
	 HEAD "spec: {transformer: {initContainers: [{securityContext: {privileged: true}}]}, "
	      "predictor: {sklearn: {}}}\n",
	 "privileged"},
	{"capabilities",
	 HEAD
	 "spec: {predictor: {sklearn: {securityContext: {capabilities: {add: [SYS_ADMIN]}}}}}\n",
	 "capabilities"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		json_t *wanted = NULL;
		struct err err = {0};

		print_message("%s\n", refused[i].name);
		assert_int_equal(build(&wanted, refused[i].yaml, &err), ERR_USER);
		assert_null(wanted);
		assert_string_equal(err.code, "deploy.template");
		assert_non_null(strstr(err.msg, refused[i].says));
	}
}

static void test_allowed(void **state)
{
	static const char *const fine[] = {
		HEAD
		"spec: {predictor: {serviceAccountName: models, hostNetwork: false, sklearn: {}, "
		"volumes: [{name: a, emptyDir: {}}, {name: b, secret: {secretName: x}}]}}\n",
		HEAD
		"metadata: {namespace: ml-prod}\nspec: {predictor: {sklearn: {securityContext: "
		"{capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}}}}\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
		AUTO_JSON json_t *wanted = NULL;
		struct err err = {0};

		assert_int_equal(build(&wanted, fine[i], &err), ERR_OK);
	}
}

static void test_documents_and_names(void **state)
{
	static const char *const names[] = {"", "Iris", "1iris", "iris-", "iris/x", "iris.x"};
	AUTO_JSON json_t *document = json_of(HEAD MODEL);
	const json_t *documents[] = {document, document};
	struct isvc_wish wish = {"iris", "ml-prod", uri, {.job = "j"}};
	json_t *wanted = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(isvc_build(&wanted, documents, 2, &wish, &err), ERR_USER);
	assert_int_equal(isvc_build(&wanted, documents, 0, &wish, &err), ERR_USER);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		wish.name = names[i];
		assert_int_equal(isvc_build(&wanted, documents, 1, &wish, &err), ERR_USER);
	}
	wish = (struct isvc_wish){"iris", "ml-prod", "minio://b/k", {.job = "j"}};
	assert_int_equal(isvc_build(&wanted, documents, 1, &wish, &err), ERR_BUG);
}

static void test_too_large(void **state)
{
	AUTO_JSON json_t *document = json_of(HEAD MODEL);
	const json_t *documents[] = {document};
	struct isvc_wish wish = {"iris", "ml-prod", uri, {.job = "j"}};
	char *text = mem_new(300001, 1);
	json_t *wanted = NULL, *many = json_array();
	struct err err = {0};

	(void)state;
	memset(text, 'x', 300000);
	jval_set_str(jval_at(document, "spec.predictor.model"), "runtime", text);
	mem_free(text);
	assert_int_equal(isvc_build(&wanted, documents, 1, &wish, &err), ERR_USER);
	for (int i = 0; i < 30000; i++)
		json_array_append_new(many, json_integer(i));
	jval_set(jval_at(document, "spec.predictor.model"), "runtime", many);
	assert_int_equal(isvc_build(&wanted, documents, 1, &wish, &err), ERR_USER);
	assert_non_null(strstr(err.msg, "too large"));
}

/* --- read --- */

static json_t *sample(const char *name)
{
	AUTO_FREE char *path = str_printf("samples/kserve/%s.json", name);
	size_t len;
	AUTO_FREE char *text = sample_read(true, path, &len);
	json_t *out = NULL;
	struct err err;

	if (!text)
		print_message("skipped: no shared samples\n");
	else
		assert_int_equal(jval_parse(&out, text, len, &err), ERR_OK);
	return out;
}

static const struct {
	const char *name;
	int percent;
	const char *created, *ready_revision, *rolledout, *previous;
	enum isvc_ready ready;
	enum isvc_load load;
	int old_share, new_share; /* of 00001, 00002 */
} read[] = {
	{"isvc_1_first_version_ready", -1, "iris-predictor-00001", "iris-predictor-00001",
	 "iris-predictor-00001", "", ISVC_READY, ISVC_LOAD_DONE, 100, 0},
	{"isvc_2_canary0_in_progress", 0, "iris-predictor-00002", "iris-predictor-00001",
	 "iris-predictor-00001", "", ISVC_UNKNOWN, ISVC_LOAD_GOING_ON, 100, 0},
	{"isvc_3_canary0_ready", 0, "iris-predictor-00002", "iris-predictor-00002",
	 "iris-predictor-00001", "", ISVC_READY, ISVC_LOAD_DONE, 100, 0},
	{"isvc_4_promoted_100", 100, "iris-predictor-00002", "iris-predictor-00002",
	 "iris-predictor-00002", "iris-predictor-00001", ISVC_READY, ISVC_LOAD_DONE, 0, 100},
	{"isvc_5_rolled_back_to_previous", 0, "iris-predictor-00002", "iris-predictor-00002",
	 "iris-predictor-00001", "iris-predictor-00001", ISVC_READY, ISVC_LOAD_DONE, 100, 0},
	{"isvc_6_model_load_failed", 0, "iris-predictor-00003", "iris-predictor-00002",
	 "iris-predictor-00002", "iris-predictor-00001", ISVC_NOT_READY, ISVC_LOAD_FAILED, 0, 100},
	{"isvc_standard_mode_ready", -1, "", "", "", "", ISVC_READY, ISVC_LOAD_DONE, 0, 0},
};

static void test_read_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(read); i++) {
		AUTO_JSON json_t *object = sample(read[i].name);
		struct isvc_state got;

		if (!object)
			return;
		print_message("%s\n", read[i].name);
		isvc_read(&got, object);
		assert_int_equal(got.percent, read[i].percent);
		assert_string_equal(got.created, read[i].created);
		assert_string_equal(got.ready_revision, read[i].ready_revision);
		assert_string_equal(got.rolledout, read[i].rolledout);
		assert_string_equal(got.previous, read[i].previous);
		assert_int_equal(got.ready, read[i].ready);
		assert_int_equal(got.load, read[i].load);
		assert_int_equal(isvc_share(&got, "iris-predictor-00001"), read[i].old_share);
		assert_int_equal(isvc_share(&got, "iris-predictor-00002"), read[i].new_share);
		assert_string_equal(got.uid, "7b0f5f52-5a5b-4b7e-9d9a-0d3a9f0e6a11");
	}
}

static void test_cause(void **state)
{
	AUTO_JSON json_t *object = sample("isvc_6_model_load_failed");
	AUTO_BUF struct buf cause = buf_make(2000);

	(void)state;
	if (!object)
		return;
	isvc_cause(&cause, object);
	assert_true(
		str_starts(cause.data, "ModelLoadFailed: RuntimeError: Failed to fetch model."));
	assert_non_null(strstr(cause.data, "Initial scale was never achieved."));
	assert_true(cause.len <= 600);
}

/* Whatever is missing or of another type reads as absent. */
static void test_read_rubbish(void **state)
{
	static const char *const rubbish[] = {
		"{}",
		"[]",
		"{metadata: [], spec: 3, status: x}",
		"{metadata: {annotations: [], generation: x}, spec: {predictor: [], canary: {}}}",
		"{status: {conditions: [1, {}, {type: Ready}], components: {predictor: {traffic: "
		"[1, "
		"{revisionName: a, percent: x}, {revisionName: a, percent: -5}]}}}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rubbish); i++) {
		AUTO_JSON json_t *object = json_of(rubbish[i]);
		AUTO_BUF struct buf text = buf_make(1000);
		struct isvc_state got;

		isvc_read(&got, object);
		assert_string_equal(got.uid, "");
		assert_int_equal(got.ready, ISVC_UNKNOWN);
		assert_int_equal(isvc_share(&got, "a"), 0);
		isvc_cause(&text, object);
		isvc_failure(&text, object, "");
	}
}

/* --- which way --- */

static const struct {
	const char *sample; /* NULL: absent */
	const char *yaml;
	struct isvc_rules rules;
	enum isvc_way way;
} ways[] = {
	{NULL, HEAD MODEL, {0}, ISVC_WAY_FIRST},
	{NULL, HEAD MODEL, {.test_first = true}, ISVC_WAY_SECOND},
	{"isvc_1_first_version_ready", HEAD MODEL, {0}, ISVC_WAY_KNATIVE},
	{"isvc_4_promoted_100", HEAD MODEL, {.crd_has_canary = true}, ISVC_WAY_KNATIVE},
	{"isvc_1_first_version_ready",
	 HEAD "spec: {transformer: {containers: [{image: x}]}, predictor: {sklearn: {}}}\n",
	 {0},
	 ISVC_WAY_SECOND},
	{"isvc_standard_mode_ready", HEAD MODEL, {0}, ISVC_WAY_SECOND},
	{"isvc_standard_mode_ready",
	 HEAD MODEL,
	 {.crd_has_canary = true},
	 ISVC_WAY_STANDARD_CANARY},
	{"isvc_standard_mode_ready",
	 HEAD "metadata: {labels: {new: x}}\n" MODEL,
	 {.crd_has_canary = true},
	 ISVC_WAY_SECOND},
};

static void test_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		AUTO_JSON json_t *live = ways[i].sample ? sample(ways[i].sample) : NULL;
		AUTO_JSON json_t *wanted = NULL;
		struct err err = {0};
		const char *why;

		if (ways[i].sample && !live)
			return;
		assert_int_equal(build(&wanted, ways[i].yaml, &err), ERR_OK);
		assert_int_equal(isvc_way(live, wanted, &ways[i].rules, &why), ways[i].way);
		assert_true(why[0]);
	}
}

/* What is live already, written as a repository writes it: amounts, defaults, no traffic. */
static void test_live_already(void **state)
{
	AUTO_JSON json_t *live = sample("isvc_4_promoted_100");
	AUTO_JSON json_t *wanted = NULL;
	struct isvc_rules rules = {0};
	struct err err = {0};
	const char *why;
	json_t *model;

	(void)state;
	if (!live)
		return;
	assert_int_equal(build(&wanted,
			       HEAD
			       "spec: {predictor: {minReplicas: 1, serviceAccountName: models, "
			       "model: {modelFormat: {name: sklearn}, resources: {requests: "
			       "{cpu: 0.1, memory: 1024Mi}}}}}\n",
			       &err),
			 ERR_OK);
	model = jval_at(live, "spec.predictor.model");
	jval_set(model, "resources",
		 json_pack("{s:{s:s,s:s}}", "requests", "cpu", "100m", "memory", "1Gi"));
	jval_set_str(jval_at(wanted, "spec.predictor.model"), "storageUri",
		     jval_str(model, "storageUri", ""));
	assert_int_equal(isvc_way(live, wanted, &rules, &why), ISVC_WAY_NONE);
	jval_set_int(jval_at(wanted, "spec.predictor"), "minReplicas", 2);
	assert_int_equal(isvc_way(live, wanted, &rules, &why), ISVC_WAY_KNATIVE);
}

static void test_before_refuses(void **state)
{
	AUTO_JSON json_t *live = sample("isvc_1_first_version_ready");
	AUTO_JSON json_t *canary = sample("isvc_standard_mode_spec_canary_0.20");
	AUTO_JSON json_t *wanted = NULL;
	struct isvc_rules rules = {.crd_has_canary = true, .other_over = true};
	json_t *before = NULL;
	struct err err = {0};

	(void)state;
	if (!live)
		return;
	assert_int_equal(build(&wanted, HEAD MODEL, &err), ERR_OK);
	jval_set_str(jval_at(live, "metadata.annotations"), "serving.kserve.io/stop", "true");
	assert_int_equal(isvc_before(&before, live, NULL, wanted, &rules, &err), ERR_USER);
	assert_string_equal(err.code, "deploy.stopped");
	jval_set_str(json_object_get(live, "metadata"), "deletionTimestamp", "x");
	assert_int_equal(isvc_before(&before, live, NULL, wanted, &rules, &err), ERR_USER);
	assert_string_equal(err.code, "deploy.deleting");
	/* A canary of somebody else is never replaced, even at 0 %. */
	assert_int_equal(isvc_before(&before, canary, NULL, wanted, &rules, &err), ERR_USER);
	assert_string_equal(err.code, "deploy.canary_open");
	assert_non_null(strstr(err.msg, "kfops did not make"));
	assert_null(before);
}

/* --- one look at each sample --- */

static const struct {
	const char *sample, *created, *tested; /* of before */
	enum isvc_phase phase;
	int percent;
	enum isvc_move_kind kind;
	const char *says;
} looks[] = {
	{"isvc_2_canary0_in_progress", "iris-predictor-00001", "", ISVC_STAGE, 0, ISVC_WAIT,
	 "starting"},
	{"isvc_2_canary0_in_progress", "iris-predictor-00002", "", ISVC_STAGE, 0, ISVC_WAIT,
	 "has not made a revision"},
	{"isvc_3_canary0_ready", "iris-predictor-00001", "", ISVC_STAGE, 0, ISVC_DONE,
	 "iris-predictor-00002 is ready at 0 %"},
	{"isvc_3_canary0_ready", "iris-predictor-00001", "iris-predictor-00002", ISVC_SHIFT, 10,
	 ISVC_SEND, "Moving traffic"},
	{"isvc_3_canary0_ready", "iris-predictor-00001", "iris-predictor-00002", ISVC_CHECK, 100,
	 ISVC_FAILED, "0 % instead of 100 %"},
	{"isvc_4_promoted_100", "iris-predictor-00001", "iris-predictor-00002", ISVC_CHECK, 100,
	 ISVC_DONE, "100 %"},
	{"isvc_4_promoted_100", "iris-predictor-00001", "iris-predictor-00002", ISVC_SHIFT, 50,
	 ISVC_FAILED, "100 % instead of 50 %"},
	{"isvc_4_promoted_100", "iris-predictor-00001", "iris-predictor-00002", ISVC_RESTORE, 0,
	 ISVC_SEND, "back"},
	{"isvc_5_rolled_back_to_previous", "iris-predictor-00001", "iris-predictor-00002",
	 ISVC_RESTORE, 0, ISVC_DONE, "iris-predictor-00001"},
};

static void test_one_look(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
		AUTO_JSON json_t *live = sample(looks[i].sample);
		AUTO_JSON json_t *before = NULL;
		struct isvc_goal goal = {
			.job = "job-9", .phase = looks[i].phase, .percent = looks[i].percent};
		struct isvc_look look = {.live = live};
		struct isvc_move move;

		if (!live)
			return;
		print_message("%zu %s\n", i, looks[i].sample);
		before = json_pack("{s:s,s:b,s:s,s:s,s:s,s:s}", "way", "knative", "existed", 1,
				   "uid", jval_str(live, "metadata.uid", ""), "created",
				   looks[i].created, "rolledout", "iris-predictor-00001", "tested",
				   looks[i].tested);
		jval_set_str(jval_at(live, "metadata.annotations"), "kfops.dev/job", "job-9");
		goal.before = before;
		goal.wanted = live;
		isvc_plan(&goal, &look, &move);
		assert_int_equal(move.kind, looks[i].kind);
		assert_non_null(strstr(move.why, looks[i].says));
		isvc_move_dispose(&move);
	}
}

/* A failure that was there before says nothing about the new model; a new one does. */
static void test_old_failure_is_not_the_new_one(void **state)
{
	AUTO_JSON json_t *live = sample("isvc_6_model_load_failed");
	AUTO_BUF struct buf failure = buf_make(4000);
	AUTO_JSON json_t *before = NULL;
	struct isvc_goal goal = {.job = "job-9", .wanted = live};
	struct isvc_look look = {.live = live};
	struct isvc_move move;

	(void)state;
	if (!live)
		return;
	jval_set_str(jval_at(live, "metadata.annotations"), "kfops.dev/job", "job-9");
	before = json_pack("{s:s,s:b,s:s,s:s,s:s}", "way", "knative", "existed", 1, "uid",
			   jval_str(live, "metadata.uid", ""), "created", "iris-predictor-00002",
			   "rolledout", "iris-predictor-00002");
	goal.before = before;
	isvc_plan(&goal, &look, &move);
	assert_int_equal(move.kind, ISVC_FAILED);
	assert_string_equal(move.code, "deploy.model_failed");
	assert_non_null(strstr(move.why, "No model found in s3://"));
	isvc_move_dispose(&move);
	isvc_failure(&failure, live, "iris-predictor-00003");
	jval_set_str(before, "failure", buf_text(&failure));
	isvc_plan(&goal, &look, &move);
	assert_int_equal(move.kind, ISVC_WAIT);
	isvc_move_dispose(&move);
}

/* --- what differs --- */

static void test_diff(void **state)
{
	AUTO_JSON json_t *live = sample("isvc_4_promoted_100");
	AUTO_JSON json_t *wanted = NULL;
	AUTO_BUF struct buf out = buf_make(8000);
	struct err err = {0};

	(void)state;
	if (!live)
		return;
	assert_int_equal(build(&wanted,
			       HEAD
			       "spec: {predictor: {minReplicas: 2, model: {modelFormat: {name: "
			       "sklearn}, env: [{name: A, value: s3cret}], args: ['`x']}}}\n",
			       &err),
			 ERR_OK);
	assert_int_equal(isvc_diff(&out, wanted, live), 6);
	assert_non_null(strstr(out.data, "predictor.minReplicas: 1 -> 2\n"));
	assert_non_null(strstr(out.data, "predictor.serviceAccountName: models -> (none)\n"));
	assert_non_null(strstr(
		out.data, "predictor.model.storageUri: s3://mlpipeline/v2/artifacts/iris/run-2/"
			  "train-model/bbbb/model/ -> s3://mlpipeline/v2/run-9/model/\n"));
	assert_non_null(strstr(out.data, "predictor.model.env: (none) -> (not shown)\n"));
	assert_non_null(strstr(out.data, "enable-tag-routing: (none) -> true\n"));
	assert_null(strstr(out.data, "s3cret"));
	assert_null(strchr(out.data, '`'));
	assert_null(strstr(out.data, "kfops.dev"));
}

static void test_diff_is_capped(void **state)
{
	AUTO_JSON json_t *wanted = json_of(HEAD MODEL);
	AUTO_JSON json_t *live = json_of("{spec: {predictor: {}}}");
	AUTO_BUF struct buf out = buf_make(100000);

	(void)state;
	for (int i = 0; i < 100; i++) {
		AUTO_FREE char *key = str_printf("member-%d", i);

		jval_set_int(jval_at(wanted, "spec.predictor"), key, i);
	}
	assert_int_equal(isvc_diff(&out, wanted, live), 101);
	assert_non_null(strstr(out.data, "and 61 more\n"));
}

/* --- where --- */

static void check_places(const char *way, const char *tested, const json_t *live,
			 const json_t *second, const char *ingress, const char *want)
{
	AUTO_JSON json_t *before = json_pack("{s:s,s:s}", "way", way, "tested", tested);
	struct isvc_goal goal = {.before = before, .job = "j", .wanted = live};
	struct isvc_look look = {live, second};
	AUTO_JSON json_t *places = NULL;
	AUTO_BUF struct buf text = buf_make(4000);
	struct err err = {0};
	const json_t *place;
	size_t at;

	if (!want) {
		assert_int_equal(isvc_addresses(&places, &goal, &look, ingress, &err), ERR_CONFIG);
		assert_string_equal(err.code, "deploy.unreachable");
		assert_null(places);
		return;
	}
	assert_int_equal(isvc_addresses(&places, &goal, &look, ingress, &err), ERR_OK);
	json_array_foreach(places, at, place)
		buf_printf(&text, "%s %s %s%s%s\n", jval_str(place, "by", ""),
			   jval_str(place, "model", ""), jval_str(place, "url", ""),
			   jval_at(place, "host") ? " " : "", jval_str(place, "host", ""));
	assert_string_equal(buf_text(&text), want);
}

static json_t *tagged(const char *url)
{
	return json_pack("{s:{s:s,s:s},s:{s:s,s:s,s:{s:{s:[{s:s,s:s,s:i,s:s}]}}}}", "metadata",
			 "name", "iris", "namespace", "ml", "status", "deploymentMode", "Knative",
			 "url", "http://iris.ml.example.com", "components", "predictor", "traffic",
			 "revisionName", "iris-predictor-00002", "tag", "latest", "percent", 0,
			 "url", url);
}

static json_t *service(const char *name, const char *mode, const char *url)
{
	return json_pack("{s:{s:s,s:s},s:{s:s,s:s}}", "metadata", "name", name, "namespace", "ml",
			 "status", "deploymentMode", mode, "url", url);
}

static json_t *marked(const char *name, const char *job)
{
	json_t *made = service(name, "Standard", "");

	jval_set(jval_at(made, "metadata"), "annotations",
		 json_pack("{s:s}", "kfops.dev/job", job));
	return made;
}

static void check_pods(const json_t *live, const json_t *second, const char *want)
{
	AUTO_JSON json_t *wanted = service("iris", "", "");
	struct isvc_goal goal = {.wanted = wanted, .job = "01JOB9"};
	struct isvc_look look = {live, second};
	AUTO_FREE char *selector = isvc_pod_selector(&goal, &look);

	assert_string_equal(selector, want);
}

static void test_pods(void **state)
{
	AUTO_JSON json_t *knative = json_pack("{s:{s:s},s:{s:{s:{s:s}}}}", "metadata", "name",
					      "iris", "status", "components", "predictor",
					      "latestCreatedRevision", "iris-predictor-00002");
	AUTO_JSON json_t *canary = marked("iris", "job-1"), *other = marked("iris", "job-1");
	AUTO_JSON json_t *ours = marked("iris-canary", "01JOB9");
	AUTO_JSON json_t *theirs = marked("iris-canary", "job-8");
	static const char entry[] = "{s:[{s:i,s:{s:{s:s}}}]}";

	(void)state;
	jval_set(canary, "spec",
		 json_pack(entry, "canary", "trafficPercent", 10, "predictor", "annotations",
			   "kfops.dev/job", "01JOB9"));
	jval_set(other, "spec",
		 json_pack(entry, "canary", "trafficPercent", 10, "predictor", "annotations",
			   "kfops.dev/job", "job-8"));
	check_pods(NULL, NULL, "serving.kserve.io/inferenceservice=iris");
	check_pods(knative, NULL, "serving.knative.dev/revision=iris-predictor-00002");
	check_pods(knative, theirs, "serving.knative.dev/revision=iris-predictor-00002");
	check_pods(canary, NULL, "app=isvc.iris-kf-01job9-predictor");
	check_pods(other, NULL, "serving.kserve.io/inferenceservice=iris");
	check_pods(other, ours, "serving.kserve.io/inferenceservice=iris-canary");
	check_pods(NULL, ours, "serving.kserve.io/inferenceservice=iris-canary");
}

/* What stands under the name that a model is tried under, and is not ours, is left alone. */
static void test_a_second_of_somebody(void **state)
{
	AUTO_JSON json_t *wanted = NULL, *theirs = service("iris-canary", "Standard", "");
	struct isvc_rules rules = {.test_first = true, .other_over = true};
	json_t *before = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(build(&wanted, HEAD MODEL, &err), ERR_OK);
	assert_int_equal(isvc_before(&before, NULL, theirs, wanted, &rules, &err), ERR_USER);
	assert_string_equal(err.code, "deploy.canary_open");
	assert_non_null(strstr(err.msg, "kubectl delete inferenceservice iris-canary -n ml"));
	/* Of a job that is under way elsewhere: none of our commands leads out of that. */
	rules.other_over = false;
	jval_set(json_object_get(theirs, "metadata"), "annotations",
		 json_pack("{s:s}", "kfops.dev/job", "job-8"));
	assert_int_equal(isvc_before(&before, NULL, theirs, wanted, &rules, &err), ERR_USER);
	assert_non_null(strstr(err.msg, "made by job job-8"));
	assert_non_null(strstr(err.msg, "by hand"));
	assert_null(strstr(err.msg, "/promote"));
	assert_null(before);
}

static void test_is_gone(void **state)
{
	static const struct {
		const char *before, *live;
		bool want;
	} cases[] = {
		{"{existed: true, uid: a}", "{metadata: {uid: a}}", false},
		{"{existed: true, uid: a}", "{metadata: {uid: b}}", true},
		{"{existed: true, uid: a}", "{}", true},
		{"{existed: true, uid: a}", NULL, true},
		{"{existed: false, uid: a}", NULL, false},
		{"{}", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_JSON json_t *before = json_of(cases[i].before);
		AUTO_JSON json_t *live = cases[i].live ? json_of(cases[i].live) : NULL;

		assert_int_equal(isvc_is_gone(before, live), cases[i].want);
	}
}

static void test_addresses(void **state)
{
	static const char rev[] = "iris-predictor-00002", gate[] = "https://in.example.com";
	AUTO_JSON json_t *live = tagged("http://latest-iris-predictor.ml.example.com");
	AUTO_JSON json_t *evil = tagged("http://a@169.254.169.254/x");
	AUTO_JSON json_t *path = tagged("https://gw.example.com/serving/ml/iris/");
	AUTO_JSON json_t *plain = service("iris", "Standard", "http://iris-ml.example.com");
	AUTO_JSON json_t *second = service("iris-canary", "Knative", "http://ic.ml.example.com");

	(void)state;
	check_places("knative", rev, live, NULL, NULL,
		     "tag iris http://latest-iris-predictor.ml.svc.cluster.local\n"
		     "revision iris http://iris-predictor-00002-private.ml.svc.cluster.local\n");
	check_places("knative", rev, live, NULL, gate,
		     "tag iris https://in.example.com latest-iris-predictor.ml.example.com\n");
	check_places("knative", rev, path, NULL, gate,
		     "tag iris https://in.example.com/serving/ml/iris gw.example.com\n");
	check_places("knative", rev, evil, NULL, gate, NULL);
	check_places("standard_canary", "kf-bbbbbbbb", plain, NULL, NULL,
		     "canary iris http://iris-kf-bbbbbbbb-predictor.ml.svc.cluster.local\n"
		     "canary iris http://iris-kf-bbbbbbbb-predictor.ml.svc.cluster.local:8080\n");
	check_places("standard_canary", "kf-bbbbbbbb", plain, NULL, gate, NULL);
	check_places("second", "iris-canary", plain, second, NULL,
		     "canary iris-canary http://iris-canary-predictor.ml.svc.cluster.local\n");
	check_places("second", "iris-canary", plain, second, gate,
		     "canary iris-canary https://in.example.com ic.ml.example.com\n");
	check_places("first", "", plain, NULL, NULL,
		     "service iris http://iris-predictor.ml.svc.cluster.local\n"
		     "service iris http://iris-predictor.ml.svc.cluster.local:8080\n");
	check_places("first", "", NULL, NULL, NULL, NULL);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_build),
	cmocka_unit_test(test_build_own_server),
	cmocka_unit_test(test_refused),
	cmocka_unit_test(test_allowed),
	cmocka_unit_test(test_documents_and_names),
	cmocka_unit_test(test_too_large),
	cmocka_unit_test(test_read_samples),
	cmocka_unit_test(test_cause),
	cmocka_unit_test(test_read_rubbish),
	cmocka_unit_test(test_ways),
	cmocka_unit_test(test_live_already),
	cmocka_unit_test(test_before_refuses),
	cmocka_unit_test(test_one_look),
	cmocka_unit_test(test_old_failure_is_not_the_new_one),
	cmocka_unit_test(test_diff),
	cmocka_unit_test(test_diff_is_capped),
	cmocka_unit_test(test_pods),
	cmocka_unit_test(test_a_second_of_somebody),
	cmocka_unit_test(test_is_gone),
	cmocka_unit_test(test_addresses),
};

CASES_MAIN(tests, NULL, NULL)
