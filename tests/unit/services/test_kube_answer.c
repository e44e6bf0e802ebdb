/* Answers that are not 2xx: which class and code, and whether the sentence helps. */
#include "tests/unit/services/kube_kit.h"

#define STATUS(reason, message, more)                                                              \
	"{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"" reason                         \
	"\",\"message\":\"" message "\"" more "}"

static const struct {
	const char *name;
	int status;
	const char *body;
	enum err_class class;
	const char *code, *says;
} cases[] = {
	{"webhook", 400,
	 STATUS("BadRequest",
		"admission webhook \\\"inferenceservice.kserve-webhook-server.validator\\\" denied "
		"the request: the InferenceService \\\"iris\\\" is invalid: no runtime",
		""),
	 ERR_USER, "kube.refused", "validator\" denied the request: the InferenceService"},
	{"webhook by 403", 403,
	 STATUS("Forbidden", "admission webhook \\\"x\\\" denied the request: policy", ""),
	 ERR_USER, "kube.refused", "policy"},
	{"quota", 403, STATUS("Forbidden", "pods \\\"x\\\" is forbidden: exceeded quota: q", ""),
	 ERR_DENIED, "kube.quota", "exceeded quota"},
	{"namespace ends", 403,
	 STATUS("Forbidden",
		"unable to create new content in namespace ml because it is being "
		"terminated",
		",\"details\":{\"causes\":[{\"reason\":\"NamespaceTerminating\"}]}"),
	 ERR_NOT_FOUND, KUBE_NAMESPACE_MISSING, "the namespace \"ml\" is being deleted"},
	{"a mesh", 403, "RBAC: access denied", ERR_DENIED, "kube.proxy",
	 "something before Kubernetes answers 403: RBAC: access denied"},
	{"forbidden without words", 403, STATUS("Forbidden", "no", ""), ERR_DENIED,
	 "kube.forbidden",
	 "does not let kfops patch inferenceservices.serving.kserve.io in the namespace \"ml\""},
	{"create is missing", 403,
	 STATUS("Forbidden",
		"inferenceservices.serving.kserve.io is forbidden: User \\\"sa\\\" cannot create "
		"resource \\\"inferenceservices\\\" in API group \\\"serving.kserve.io\\\" in the "
		"namespace \\\"ml\\\"",
		""),
	 ERR_DENIED, "kube.forbidden",
	 "does not let \"sa\" create inferenceservices.serving.kserve.io in the namespace \"ml\"; "
	 "grant that verb"},
	{"no namespace", 404,
	 STATUS("NotFound", "namespaces \\\"ml\\\" not found",
		",\"details\":{\"name\":\"ml\",\"kind\":\"namespaces\"}"),
	 ERR_NOT_FOUND, KUBE_NAMESPACE_MISSING, "the namespace \"ml\" does not exist"},
	{"no such kind", 404,
	 STATUS("NotFound", "the server could not find the requested resource", ",\"details\":{}"),
	 ERR_CONFIG, KUBE_API_MISSING,
	 "does not know inferenceservices of serving.kserve.io/v1beta1"},
	{"no such group", 404, "404 page not found\n", ERR_CONFIG, KUBE_API_MISSING, NULL},
	{"something it needs", 404,
	 STATUS("NotFound", "serviceaccounts \\\"models\\\" not found",
		",\"details\":{\"name\":\"models\",\"kind\":\"serviceaccounts\"}"),
	 ERR_NOT_FOUND, "kube.not_found", "serviceaccounts \"models\" not found"},
	{"a proxy without route", 404, "default backend - 404", ERR_TRANSIENT, "kube.proxy", NULL},
	{"a proxy's page", 404, "<html>s3cret</html>", ERR_TRANSIENT, "kube.proxy", NULL},
	{"login page", 302, "<html>", ERR_CONFIG, "kube.proxy", "as login pages do"},
	{"another uid", 409,
	 STATUS("Conflict", "Precondition failed: UID in precondition: a, UID in object meta: b",
		""),
	 ERR_CONFLICT, KUBE_STALE, "\"iris\" in the namespace \"ml\" was changed or replaced"},
	{"quota race", 409,
	 STATUS("Conflict", "Operation cannot be fulfilled on resourcequotas",
		",\"details\":{\"name\":\"q\",\"kind\":\"resourcequotas\"}"),
	 ERR_TRANSIENT, "kube.failed", NULL},
	{"unknown field", 400,
	 STATUS("BadRequest", "strict decoding error: unknown field \\\"spec.canary\\\"", ""),
	 ERR_USER, "kube.unknown_field", "unknown field \"spec.canary\""},
	{"bad request", 400, STATUS("BadRequest", "no", ""), ERR_USER, "kube.bad_request", "no"},
	{"bad request of a proxy", 400, "Client sent an HTTP request to an HTTPS server.",
	 ERR_CONFIG, "kube.proxy", "HTTP request to an HTTPS server"},
	{"too large", 413, "", ERR_USER, "kube.too_large", "413"},
	{"media type", 415, STATUS("UnsupportedMediaType", "no", ""), ERR_CONFIG, "kube.odd", NULL},
	{"webhook down", 500,
	 STATUS("InternalError",
		"Internal error occurred: failed calling webhook \\\"x\\\": refused", ""),
	 ERR_TRANSIENT, "kube.webhook_down", "failed calling webhook \"x\""},
	{"inside", 500, STATUS("InternalError", "etcdserver: leader changed", ""), ERR_TRANSIENT,
	 "kube.failed", "leader changed"},
	{"down", 503, "no healthy upstream", ERR_TRANSIENT, "kube.proxy", "no healthy upstream"},
	{"nothing", 502, "", ERR_TRANSIENT, "kube.proxy", "502"},
	{"lines and colours", 500, STATUS("x", "a\\u001b[31m\\nb\\r\\u0000c", ""), ERR_TRANSIENT,
	 "kube.failed", "a [31m b"},
	{"invalid without causes", 422, STATUS("Invalid", "it is invalid", ""), ERR_USER,
	 "kube.invalid", "it is invalid"},
};

static const struct kube_call patch = {.verb = "patch",
				       .method = "PATCH",
				       .path = ISVC_PATH "/iris?x=y",
				       .ref = &iris,
				       .mutates = true};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};

		print_message("  %s\n", cases[i].name);
		assert_int_equal(kube_error(&err, &patch, cases[i].status, cases[i].body,
					    strlen(cases[i].body), 0),
				 cases[i].class);
		assert_string_equal(err.code, cases[i].code);
		expect_says(&err, cases[i].says);
		assert_null(strstr(err.msg, "s3cret"));
		assert_null(strpbrk(err.msg, "\n\r\x1b"));
		assert_int_equal(err.in_doubt, cases[i].status >= 500);
	}
}

static const struct {
	const char *file;
	int status;
	enum err_class class;
	const char *code, *says;
} samples[] = {
	{"status_401.json", 401, ERR_CONFIG, "kube.unauthorized", "credentials"},
	{"status_403.json", 403, ERR_DENIED, "kube.forbidden",
	 "does not let \"system:serviceaccount:mlbot:mlbot\" patch "
	 "inferenceservices.serving.kserve.io in the namespace \"ml-prod\""},
	{"status_404.json", 404, ERR_NOT_FOUND, KUBE_OBJECT_MISSING,
	 "there is no inferenceservices.serving.kserve.io \"iris\" in the namespace \"ml\""},
	{"status_409_already_exists.json", 409, ERR_CONFLICT, KUBE_ALREADY_EXISTS,
	 "already exists"},
	{"status_409_apply_conflict.json", 409, ERR_CONFLICT, KUBE_APPLY_CONFLICT,
	 ".spec.predictor.model.storageUri belongs to \"kubectl-client-side-apply\""},
	{"status_409_update_conflict.json", 409, ERR_CONFLICT, KUBE_STALE, "somebody else"},
	{"status_422_invalid.json", 422, ERR_USER, "kube.invalid",
	 "spec.template.spec.restartPolicy: Required value"},
	{"status_429.json", 429, ERR_THROTTLED, "kube.throttled", "try again later"},
};

static void test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		AUTO_FREE char *name = str_printf("samples/k8s/%s", samples[i].file);
		struct err err = {0};
		size_t len = 0;
		char *text = sample_read(true, name, &len);

		if (!text) {
			print_message("skipped: no shared samples\n");
			return;
		}
		print_message("  %s\n", samples[i].file);
		assert_int_equal(kube_error(&err, &patch, samples[i].status, text, len, 77),
				 samples[i].class);
		assert_string_equal(err.code, samples[i].code);
		expect_says(&err, samples[i].says);
		assert_int_equal(err.retry_at_ms, samples[i].status == 429 ? 77 : 0);
		mem_free(text);
	}
}

/* Many causes are named, none floods the message. */
static void test_many_causes(void **state)
{
	AUTO_BUF struct buf body = buf_make(1 << 20);
	struct err err = {0};

	(void)state;
	buf_puts(&body, "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"details\":{\"causes\":[");
	for (int i = 0; i < 100; i++)
		buf_printf(&body,
			   "%s{\"reason\":\"FieldManagerConflict\",\"field\":\".spec.f%d\","
			   "\"message\":\"conflict with \\\"m%d\\\" using v1\"}",
			   i ? "," : "", i, i);
	buf_puts(&body, "]}}");
	kube_error(&err, &patch, 409, buf_text(&body), body.len, 0);
	expect_says(&err, ": .spec.f0 belongs to \"m0\"; .spec.f1 belongs to \"m1\"");
	expect_says(&err, ".spec.f4 belongs to \"m4\"; and 95 more");
}

/* A path outside the objects. */
static void test_without_object(void **state)
{
	static const struct kube_call call = {.verb = "get", .method = "GET", .path = "/version?a"};
	struct err err = {0};

	(void)state;
	kube_error(&err, &call, 404, "404 page not found", 18, 0);
	expect_says(&err, "the cluster does not know /version");
	kube_error(&err, &call, 403, STATUS("Forbidden", "x", ""), 20, 0);
	assert_string_equal(err.code, "kube.proxy"); /* cut JSON is nobody's Status */
	kube_error(&err, &call, 403, STATUS("Forbidden", "x", ""),
		   strlen(STATUS("Forbidden", "x", "")), 0);
	expect_says(&err, "does not let kfops get /version;");
}

static const struct CMUnitTest kube_answer_tests[] = {
	cmocka_unit_test(test_answers),
	cmocka_unit_test(test_samples),
	cmocka_unit_test(test_many_causes),
	cmocka_unit_test(test_without_object),
};

CASES_MAIN(kube_answer_tests, NULL, NULL)
