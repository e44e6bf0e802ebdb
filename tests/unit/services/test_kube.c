/* The calls, against a scripted server: what is sent, what comes back, credentials that change. */
#include "tests/unit/services/kube_kit.h"

#define OBJECT	   "{\"metadata\":{\"name\":\"iris\",\"resourceVersion\":\"7\"}}"
#define STATUS_401 "{\"kind\":\"Status\",\"reason\":\"Unauthorized\",\"message\":\"Unauthorized\"}"

static void test_get(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET " ISVC_PATH "/iris HTTP", 200, NULL, OBJECT},
		{"GET /api/v1/namespaces/ml/pods/p-0.x HTTP", 200, NULL, "<html>"},
	};
	struct kube_ref pod = {"", "v1", "pods", "ml", "p-0.x"};
	struct kit kit = KIT_START(script);
	char *ns = kube_namespace(kit.kube);
	json_t *object;

	(void)state;
	assert_string_equal(ns, "ml");
	mem_free(ns);
	assert_int_equal(kube_get(kit.kube, kit.http, &iris, &object, &kit.err), ERR_OK);
	assert_string_equal(jval_str(object, "metadata.resourceVersion", ""), "7");
	json_decref(object);
	assert_string_equal(scripted_header(&kit.server->requests[0], "authorization"),
			    "Bearer t0p");
	assert_string_equal(scripted_header(&kit.server->requests[0], "accept"),
			    "application/json");
	assert_int_equal(kube_get(kit.kube, kit.http, &pod, &object, &kit.err), ERR_TRANSIENT);
	assert_null(object);
	assert_string_equal(kit.err.code, "kube.proxy");
	assert_null(strstr(kit.err.msg, "t0p"));
	kit_stop(&kit, 2);
}

/* Nothing that comes from a repository becomes a path. */
static void test_bad_names(void **state)
{
	static const char *const bad[] = {
		"",	"..",	".",	 "a/b",	   "a%2fb",	    "A",  "a b", "-a",	    "a-",
		"a..b", "a.-b", "a?x=1", "a\r\nb", "../../secrets", ".a", "a.",	 "\xc3\xa4"};
	static const struct scripted_answer script[] = {{"GET /never", 200}};
	struct kit kit = KIT_START(script);
	AUTO_BUF struct buf log = buf_make(100);
	struct kube_log_options options = {0};
	char long_name[300];

	(void)state;
	memset(long_name, 'a', sizeof long_name);
	long_name[sizeof long_name - 1] = '\0';
	for (size_t i = 0; i <= ARRAY_LEN(bad); i++) {
		const char *name = i < ARRAY_LEN(bad) ? bad[i] : long_name;
		struct kube_ref by_name = iris, by_ns = iris;
		json_t *object;

		by_name.name = name;
		by_ns.ns = name;
		assert_int_equal(kube_get(kit.kube, kit.http, &by_name, &object, &kit.err),
				 ERR_USER);
		assert_string_equal(kit.err.code, "kube.name");
		assert_int_equal(kube_get(kit.kube, kit.http, &by_ns, &object, &kit.err), ERR_USER);
		assert_int_equal(kube_delete(kit.kube, kit.http, &by_name, "u", &kit.err),
				 ERR_USER);
		assert_int_equal(
			kube_pod_log(kit.kube, kit.http, "ml", name, &options, &log, &kit.err),
			ERR_USER);
	}
	kit_stop(&kit, 0);
}

/* --- lists --- */

static void test_list_by_pages(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET /api/v1/namespaces/ml/pods?labelSelector=a%3Db%2Cc%21%3Dd&limit=3 ", 200,
		 NULL, "{\"metadata\":{\"continue\":\"x/y=\"},\"items\":[{\"n\":1},{\"n\":2}]}"},
		{"GET /api/v1/namespaces/ml/pods?labelSelector=a%3Db%2Cc%21%3Dd&limit=1&continue="
		 "x%2Fy%3D ",
		 200, NULL, "{\"metadata\":{\"continue\":\"z\"},\"items\":[{\"n\":3},{\"n\":4}]}"},
		{"GET " ISVC_PATH "?limit=200 ", 200, NULL, "{\"metadata\":{},\"items\":null}"},
		{"GET " ISVC_PATH "?limit=200 ", 200, NULL, "{\"metadata\":{},\"items\":{}}"},
	};
	struct kube_ref pods = {"", "v1", "pods", "ml", NULL};
	struct kube_list_options options = {.label_selector = "a=b,c!=d", .items_max = 3};
	struct kit kit = KIT_START(script);
	bool complete;
	json_t *items;

	(void)state;
	assert_int_equal(
		kube_list(kit.kube, kit.http, &pods, &options, &items, &complete, &kit.err),
		ERR_OK);
	assert_int_equal(json_array_size(items), 3);
	assert_int_equal(jval_int(json_array_get(items, 2), "n", 0), 3);
	assert_false(complete);
	json_decref(items);
	assert_int_equal(
		kube_list(kit.kube, kit.http, &all_services, NULL, &items, &complete, &kit.err),
		ERR_OK);
	assert_int_equal(json_array_size(items), 0);
	assert_true(complete);
	json_decref(items);
	assert_int_equal(kube_list(kit.kube, kit.http, &all_services, NULL, &items, NULL, &kit.err),
			 ERR_TRANSIENT);
	assert_null(items);
	kit_stop(&kit, 4);
}

static void test_list_grown_too_old(void **state)
{
	static const char expired[] = "{\"kind\":\"Status\",\"reason\":\"Expired\",\"message\":"
				      "\"The provided continue parameter is too old\"}";
	static const struct scripted_answer script[] = {
		{"GET " ISVC_PATH "?limit=200 ", 200, NULL,
		 "{\"metadata\":{\"continue\":\"a\"},\"items\":[{\"n\":1}]}"},
		{"GET " ISVC_PATH "?limit=200&continue=a ", 410, NULL, expired},
		{"GET " ISVC_PATH "?limit=200 ", 200, NULL,
		 "{\"metadata\":{\"continue\":\"b\"},\"items\":[{\"n\":5}]}"},
		{"GET " ISVC_PATH "?limit=200&continue=b ", 410, NULL, expired},
	};
	struct kit kit = KIT_START(script);
	json_t *items;

	(void)state;
	assert_int_equal(kube_list(kit.kube, kit.http, &all_services, NULL, &items, NULL, &kit.err),
			 ERR_TRANSIENT);
	assert_string_equal(kit.err.code, "kube.expired");
	kit_stop(&kit, 4);
}

/* A server that never ends its list does not keep us for ever. */
static void test_list_without_end(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET " ISVC_PATH, 200, NULL, "{\"metadata\":{\"continue\":\"a\"},\"items\":[]}",
		 .always = true}};
	struct kit kit = KIT_START(script);
	bool complete;
	json_t *items;

	(void)state;
	assert_int_equal(
		kube_list(kit.kube, kit.http, &all_services, NULL, &items, &complete, &kit.err),
		ERR_OK);
	assert_false(complete);
	json_decref(items);
	kit_stop(&kit, 50);
}

/* --- writes --- */

#define STRICT "?fieldManager=kfops&fieldValidation=Strict"

static void test_writes(void **state)
{
	static const struct scripted_answer script[] = {
		{"PATCH " ISVC_PATH "/iris" STRICT " ", 201, NULL, OBJECT},
		{"PATCH " ISVC_PATH "/iris" STRICT "&force=true&dryRun=All ", 200, NULL, OBJECT},
		{"PATCH " ISVC_PATH "/iris" STRICT "&dryRun=All ", 200, NULL, OBJECT},
		{"POST " ISVC_PATH STRICT " ", 201, NULL, OBJECT},
		{"DELETE " ISVC_PATH "/iris ", 202, NULL, "{\"kind\":\"Status\"}"},
	};
	struct kit kit = KIT_START(script);
	AUTO_JSON json_t *body = json_pack("{s:s}", "kind", "InferenceService");
	json_t *object;

	(void)state;
	assert_int_equal(kube_apply(kit.kube, kit.http, &iris, body, KUBE_WRITE, &object, &kit.err),
			 ERR_OK);
	assert_string_equal(jval_str(object, "metadata.name", ""), "iris");
	json_decref(object);
	assert_int_equal(kube_apply(kit.kube, kit.http, &iris, body, KUBE_FORCE | KUBE_DRY_RUN,
				    NULL, &kit.err),
			 ERR_OK);
	assert_int_equal(kube_merge(kit.kube, kit.http, &iris, body, KUBE_FORCE | KUBE_DRY_RUN,
				    NULL, &kit.err),
			 ERR_OK);
	assert_int_equal(kube_create(kit.kube, kit.http, &iris, body, KUBE_WRITE, NULL, &kit.err),
			 ERR_OK);
	assert_int_equal(kube_delete(kit.kube, kit.http, &iris, "u-1", &kit.err), ERR_OK);
	assert_string_equal(scripted_header(&kit.server->requests[0], "content-type"),
			    "application/apply-patch+yaml");
	assert_string_equal(kit.server->requests[0].body, "{\"kind\":\"InferenceService\"}");
	assert_string_equal(scripted_header(&kit.server->requests[2], "content-type"),
			    "application/merge-patch+json");
	assert_string_equal(scripted_header(&kit.server->requests[3], "content-type"),
			    "application/json");
	assert_string_equal(kit.server->requests[4].body,
			    "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"preconditions\":{"
			    "\"uid\":\"u-1\"},\"propagationPolicy\":\"Background\"}");
	kit_stop(&kit, 5);
}

/* What is known of a write after an answer that is none. */
static const struct {
	const char *name;
	struct scripted_answer answer;
	enum kube_write flags;
	enum err_class class;
	bool in_doubt;
} doubts[] = {
	{"reset", {"PATCH", .fault = SCRIPTED_RESET}, KUBE_WRITE, ERR_TRANSIENT, true},
	{"reset of a dry run",
	 {"PATCH", .fault = SCRIPTED_RESET},
	 KUBE_DRY_RUN,
	 ERR_TRANSIENT,
	 false},
	{"half an answer",
	 {"PATCH", 200, NULL, OBJECT, .fault = SCRIPTED_CUT},
	 KUBE_WRITE,
	 ERR_TRANSIENT,
	 true},
	{"not JSON", {"PATCH", 200, NULL, "ok"}, KUBE_WRITE, ERR_TRANSIENT, true},
	{"not JSON of a dry run", {"PATCH", 200, NULL, "ok"}, KUBE_DRY_RUN, ERR_TRANSIENT, false},
	{"504", {"PATCH", 504, NULL, "upstream timed out"}, KUBE_WRITE, ERR_TRANSIENT, true},
	{"504 of a dry run", {"PATCH", 504, NULL, "late"}, KUBE_DRY_RUN, ERR_TRANSIENT, false},
	{"429", {"PATCH", 429, "Retry-After: 2\r\n", "{}"}, KUBE_WRITE, ERR_THROTTLED, false},
};

static void test_doubt(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(doubts); i++) {
		struct kit kit = kit_start_with(&doubts[i].answer, 1, "{token: t}");
		AUTO_JSON json_t *body = json_object();
		int64_t before_ms = clock_now_ms();

		print_message("  %s\n", doubts[i].name);
		assert_int_equal(kube_apply(kit.kube, kit.http, &iris, body, doubts[i].flags, NULL,
					    &kit.err),
				 doubts[i].class);
		assert_int_equal(kit.err.in_doubt, doubts[i].in_doubt);
		if (doubts[i].class == ERR_THROTTLED)
			assert_true(kit.err.retry_at_ms >= before_ms + 2000);
		kit_stop(&kit, 1);
	}
}

/* --- credentials --- */

static void test_401_is_tried_once_with_what_is_new(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET " ISVC_PATH "/iris", 401, NULL, STATUS_401},
		{"GET " ISVC_PATH "/iris", 200, NULL, OBJECT},
		{"PATCH " ISVC_PATH "/iris", 401, NULL, STATUS_401},
		{"PATCH " ISVC_PATH "/iris", 200, NULL, OBJECT},
		{"GET " ISVC_PATH "/iris", 401, NULL, STATUS_401},
	};
	struct kit kit = KIT_START(script);
	AUTO_JSON json_t *body = json_object();
	json_t *object;

	(void)state;
	/* The whole file is replaced; the new one names a file, relative to itself. */
	kit_write(kit.dir, "token", "second\n", 0600);
	kit_configure(&kit, "{tokenFile: token}");
	assert_int_equal(kube_get(kit.kube, kit.http, &iris, &object, &kit.err), ERR_OK);
	json_decref(object);
	assert_string_equal(scripted_header(&kit.server->requests[0], "authorization"),
			    "Bearer t0p");
	assert_string_equal(scripted_header(&kit.server->requests[1], "authorization"),
			    "Bearer second");
	kit_write(kit.dir, "token", "third\n", 0600);
	assert_int_equal(kube_apply(kit.kube, kit.http, &iris, body, KUBE_WRITE, NULL, &kit.err),
			 ERR_OK);
	assert_string_equal(scripted_header(&kit.server->requests[3], "authorization"),
			    "Bearer third");
	/* Nothing new: the server's word stands, and a broken file does not replace what is there.
	 */
	kit_write(kit.dir, "config", "clusters: [", 0600);
	assert_int_equal(kube_get(kit.kube, kit.http, &iris, &object, &kit.err), ERR_CONFIG);
	assert_string_equal(kit.err.code, "kube.unauthorized");
	kit_stop(&kit, 5);
}

static void test_credentials_are_read_again_with_time(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET " ISVC_PATH "/iris", 200, NULL, OBJECT},
		{"GET " ISVC_PATH "/iris", 200, NULL, OBJECT},
	};
	struct kit kit = KIT_START(script);
	json_t *object;

	(void)state;
	kit_configure(&kit, "{token: later}");
	assert_int_equal(kube_get(kit.kube, kit.http, &iris, &object, &kit.err), ERR_OK);
	json_decref(object);
	kit.kube->read_at_ms -= KUBE_FRESH_MS;
	assert_int_equal(kube_get(kit.kube, kit.http, &iris, &object, &kit.err), ERR_OK);
	json_decref(object);
	assert_string_equal(scripted_header(&kit.server->requests[0], "authorization"),
			    "Bearer t0p");
	assert_string_equal(scripted_header(&kit.server->requests[1], "authorization"),
			    "Bearer later");
	kit_stop(&kit, 2);
}

static void test_plugin_is_asked_when_needed(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET " ISVC_PATH "/iris", 200, NULL, OBJECT},
		{"GET " ISVC_PATH "/iris", 200, NULL, OBJECT},
		{"GET " ISVC_PATH "/iris", 401, NULL, STATUS_401},
		{"GET " ISVC_PATH "/iris", 200, NULL, OBJECT},
		{"GET " ISVC_PATH "/iris", 200, NULL, OBJECT},
	};
	static const char plugin[] =
		"#!/bin/sh\ncd \"${0%/*}\" && echo x >>runs && n=$(wc -l <runs)\n"
		"echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":"
		"\"ExecCredential\",\"status\":{\"token\":\"run-'$n'\",\"expirationTimestamp\":"
		"\"2999-01-01T00:00:00Z\"}}'\n";
	static const char *const tokens[] = {"Bearer run-1", "Bearer run-1", "Bearer run-1",
					     "Bearer run-2", "Bearer run-3"};
	struct kit kit = KIT_START(script);

	(void)state;
	kit_write(kit.dir, "plugin", plugin, 0700);
	kit_configure(&kit, "{exec: {apiVersion: client.authentication.k8s.io/v1, command: "
			    "./plugin, args: [a]}}");
	kit.kube->read_at_ms -= KUBE_FRESH_MS;
	for (int i = 0; i < 4; i++) {
		json_t *object;

		if (i == 3) /* the time to renew has come */
			kit.kube->plugin.renew_at_ms = clock_now_ms();
		assert_int_equal(kube_get(kit.kube, kit.http, &iris, &object, &kit.err), ERR_OK);
		json_decref(object);
	}
	for (int i = 0; i < 5; i++)
		assert_string_equal(scripted_header(&kit.server->requests[i], "authorization"),
				    tokens[i]);
	kit_stop(&kit, 5);
}

static void *get_with_own_client(void *arg)
{
	static const struct http_options plain = {.user_agent = "kfops/test", .allow_http = true};
	struct http *http = http_new(&plain);
	struct kit *kit = arg;
	json_t *object;
	enum err_class class = kube_get(kit->kube, http, &iris, &object, NULL);

	json_decref(object);
	http_free(http);
	return class ? kit : NULL;
}

/* Whoever comes first asks; the others wait for what it brings. */
static void test_threads_share_one_answer_of_a_plugin(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET " ISVC_PATH "/iris", 200, NULL, OBJECT, .always = true}};
	struct kit kit = KIT_START(script);
	pthread_t threads[4];

	(void)state;
	kit_write(kit.dir, "plugin",
		  "#!/bin/sh\ncd \"${0%/*}\" && echo x >>runs && n=$(wc -l <runs)\n"
		  "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":"
		  "\"ExecCredential\",\"status\":{\"token\":\"run-'$n'\"}}'\n",
		  0700);
	kit_configure(&kit, "{exec: {apiVersion: client.authentication.k8s.io/v1, command: "
			    "./plugin}}");
	kit.kube->read_at_ms -= KUBE_FRESH_MS;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, get_with_own_client, &kit), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	for (int i = 0; i < (int)ARRAY_LEN(threads); i++)
		assert_string_equal(scripted_header(&kit.server->requests[i], "authorization"),
				    "Bearer run-1");
	kit_stop(&kit, (int)ARRAY_LEN(threads));
}

/* While an old answer still holds, a plugin that fails is no trouble. */
static void test_plugin_that_fails_later(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET " ISVC_PATH "/iris", 200, NULL, OBJECT},
		{"GET " ISVC_PATH "/iris", 200, NULL, OBJECT},
	};
	struct kit kit = KIT_START(script);
	json_t *object;

	(void)state;
	kit_write(kit.dir, "plugin",
		  "#!/bin/sh\n[ -e ${0%/*}/broken ] && exit 1\n"
		  "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":"
		  "\"ExecCredential\",\"status\":{\"token\":\"t\",\"expirationTimestamp\":"
		  "\"2999-01-01T00:00:00Z\"}}'\n",
		  0700);
	kit_configure(&kit, "{exec: {apiVersion: client.authentication.k8s.io/v1, command: "
			    "./plugin}}");
	kit.kube->read_at_ms -= KUBE_FRESH_MS;
	for (int i = 0; i < 3; i++) {
		enum err_class want = i < 2 ? ERR_OK : ERR_TRANSIENT;

		assert_int_equal(kube_get(kit.kube, kit.http, &iris, &object, &kit.err), want);
		json_decref(object);
		kit_write(kit.dir, "broken", "", 0600);
		kit.kube->plugin.renew_at_ms = clock_now_ms();
		if (i == 1)
			kit.kube->plugin.expires_at_ms = clock_now_ms();
	}
	assert_string_equal(kit.err.code, "kube.exec");
	kit_stop(&kit, 2);
}

/* --- logs, version, probes --- */

static void test_pod_log(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET /api/v1/namespaces/ml/pods/p/log?container=kserve-container&tailLines=50&"
		 "limitBytes=1048576&previous=true ",
		 200, NULL, "first line\nsecond\nthird\n"},
		{"GET /api/v1/namespaces/ml/pods/p/log?tailLines=200&limitBytes=1048576 ", 200,
		 NULL, "one endless line"},
		{"GET /api/v1/namespaces/ml/pods/p/log", 400, NULL,
		 "{\"kind\":\"Status\",\"reason\":\"BadRequest\",\"message\":\"container \\\"x\\\" "
		 "in pod \\\"p\\\" is waiting to start: ContainerCreating\"}"},
		{"GET /api/v1/namespaces/ml/pods/p/log", 403, NULL,
		 "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"pods \\\"p\\\" is "
		 "forbidden: User \\\"u\\\" cannot get resource \\\"pods/log\\\" in API group "
		 "\\\"\\\" in the namespace \\\"ml\\\"\"}"},
	};
	struct kube_log_options first = {.container = "kserve-container",
					 .lines_max = 50,
					 .previous = true},
				plain = {0};
	AUTO_BUF struct buf log = buf_make(14), cut = buf_make(6);
	struct kit kit = KIT_START(script);

	(void)state;
	assert_int_equal(kube_pod_log(kit.kube, kit.http, "ml", "p", &first, &log, &kit.err),
			 ERR_OK);
	assert_string_equal(buf_text(&log), "second\nthird\n");
	assert_int_equal(kube_pod_log(kit.kube, kit.http, "ml", "p", &plain, &cut, &kit.err),
			 ERR_OK);
	assert_string_equal(buf_text(&cut), "s line");
	assert_int_equal(kube_pod_log(kit.kube, kit.http, "ml", "p", &plain, &cut, &kit.err),
			 ERR_NOT_FOUND);
	assert_string_equal(kit.err.code, KUBE_LOG_NOT_YET);
	assert_int_equal(kube_pod_log(kit.kube, kit.http, "ml", "p", &plain, &cut, &kit.err),
			 ERR_DENIED);
	expect_says(&kit.err, "\"u\" get pods/log in the namespace \"ml\"");
	kit_stop(&kit, 4);
}

#define GROUP	   "GET /apis/serving.kserve.io/v1beta1 "
#define GROUP_LIST "{\"resources\":[{\"name\":\"inferenceservices\"}]}"
#define OPENAPI	   "GET /openapi/v3/apis/serving.kserve.io/v1beta1 "
#define INDEX	   "GET /openapi/v3 "
#define NO_INDEX                                                                                   \
	{                                                                                          \
		INDEX, 404, NULL, "404 page not found\n"                                           \
	}
#define SCHEMAS(hash)                                                                              \
	"{\"paths\":{\"apis/serving.kserve.io/v1beta1\":{\"serverRelativeURL\":"                   \
	"\"/openapi/v3/apis/serving.kserve.io/v1beta1?hash=" hash "\"}}}"
#define SCHEMA(members)                                                                            \
	"{\"components\":{\"schemas\":{\"io.kserve.serving.v1beta1.InferenceServiceList\":{},"     \
	"\"io.kserve.serving.v1beta1.InferenceService\":{\"properties\":{\"spec\":{"               \
	"\"properties\":{" members "}}}}}}}"
#define CRD                                                                                        \
	"GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions/"                             \
	"inferenceservices.serving.kserve.io "
#define FORBIDDEN "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"it is forbidden\"}"

static const struct {
	const char *name;
	struct scripted_answer script[4];
	int requests;
	enum err_class class;
	bool is_there;
	enum kube_known canary;
} kserves[] = {
	{"0.20",
	 {{GROUP, 200, NULL, GROUP_LIST},
	  NO_INDEX,
	  {OPENAPI, 200, NULL, SCHEMA("\"canary\":{},\"predictor\":{}")}},
	 3,
	 ERR_OK,
	 true,
	 KUBE_YES},
	{"0.19",
	 {{GROUP, 200, NULL, GROUP_LIST},
	  NO_INDEX,
	  {OPENAPI, 200, NULL, SCHEMA("\"predictor\":{}")}},
	 3,
	 ERR_OK,
	 true,
	 KUBE_NO},
	{"no KServe", {{GROUP, 404, NULL, "404 page not found\n"}}, 1, ERR_OK, false, KUBE_UNKNOWN},
	{"another kind of that group",
	 {{GROUP, 200, NULL, "{\"resources\":[{\"name\":\"x\"}]}"}},
	 1,
	 ERR_OK,
	 false,
	 KUBE_UNKNOWN},
	{"old server, definition hidden",
	 {{GROUP, 200, NULL, GROUP_LIST},
	  NO_INDEX,
	  {OPENAPI, 404, NULL, "404 page not found\n"},
	  {CRD, 403, NULL, FORBIDDEN}},
	 4,
	 ERR_OK,
	 true,
	 KUBE_UNKNOWN},
	{"old server, definition shown",
	 {{GROUP, 200, NULL, GROUP_LIST},
	  NO_INDEX,
	  {OPENAPI, 404, NULL, "404 page not found\n"},
	  {CRD, 200, NULL,
	   "{\"spec\":{\"versions\":[{\"name\":\"v1beta1\",\"schema\":{\"openAPIV3Schema\":"
	   "{\"properties\":{\"spec\":{\"properties\":{\"canary\":{}}}}}}}]}}"}},
	 4,
	 ERR_OK,
	 true,
	 KUBE_YES},
	{"down in between",
	 {{GROUP, 200, NULL, GROUP_LIST}, NO_INDEX, {OPENAPI, 503, NULL, "no"}},
	 3,
	 ERR_TRANSIENT,
	 true,
	 KUBE_UNKNOWN},
	{"a proxy without a route",
	 {{GROUP, 404, NULL, "<html>"}},
	 1,
	 ERR_TRANSIENT,
	 false,
	 KUBE_UNKNOWN},
};

static void test_probe_kserve(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kserves); i++) {
		struct kit kit = kit_start_with(kserves[i].script, (size_t)kserves[i].requests,
						"{token: t}");
		struct kube_kserve seen;

		print_message("  %s\n", kserves[i].name);
		assert_int_equal(kube_probe_kserve(kit.kube, kit.http, &seen, &kit.err),
				 kserves[i].class);
		assert_int_equal(seen.is_there, kserves[i].is_there);
		assert_int_equal(seen.canary, kserves[i].canary);
		kit_stop(&kit, kserves[i].requests);
	}
}

/* The large document is read again when the server says that it is another one. */
static void test_a_schema_is_read_once(void **state)
{
	static const struct scripted_answer script[] = {
		{GROUP, 200, NULL, GROUP_LIST},
		{INDEX, 200, NULL, SCHEMAS("A1")},
		{OPENAPI, 200, NULL, SCHEMA("\"predictor\":{}")},
		{GROUP, 200, NULL, GROUP_LIST},
		{INDEX, 200, NULL, SCHEMAS("A1")},
		{GROUP, 200, NULL, GROUP_LIST},
		{INDEX, 200, NULL, SCHEMAS("B2")},
		{OPENAPI, 200, NULL, SCHEMA("\"canary\":{},\"predictor\":{}")},
		{GROUP, 200, NULL, GROUP_LIST},
		{INDEX, 503, NULL, "no"},
		{OPENAPI, 200, NULL, SCHEMA("\"predictor\":{}")},
	};
	static const enum kube_known wanted[] = {KUBE_NO, KUBE_NO, KUBE_YES, KUBE_NO};
	struct kit kit = KIT_START(script);
	struct kube_kserve seen;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		assert_int_equal(kube_probe_kserve(kit.kube, kit.http, &seen, &kit.err), ERR_OK);
		assert_int_equal(seen.canary, wanted[i]);
	}
	kit_stop(&kit, ARRAY_LEN(script));
}

static void test_version_and_rights(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET /version ", 200, NULL, "{\"gitVersion\":\"v1.34.1\"}"},
		{"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews ", 201, NULL,
		 "{\"status\":{\"allowed\":true}}"},
		{"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews ", 201, NULL,
		 "{\"status\":{\"allowed\":false,\"reason\":\"no\"}}"},
		{"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews ", 503, NULL, "x"},
	};
	struct kube_right patch = {"patch", "serving.kserve.io", "inferenceservices", NULL, "ml"};
	struct kube_right log = {"get", "", "pods", "log", "ml"};
	struct kit kit = KIT_START(script);
	char version[64];
	bool allowed;

	(void)state;
	assert_int_equal(kube_version(kit.kube, kit.http, version, &kit.err), ERR_OK);
	assert_string_equal(version, "v1.34.1");
	assert_int_equal(kube_may(kit.kube, kit.http, &patch, &allowed, &kit.err), ERR_OK);
	assert_true(allowed);
	assert_non_null(strstr(kit.server->requests[1].body,
			       "\"resourceAttributes\":{\"group\":\"serving.kserve.io\","
			       "\"namespace\":\"ml\",\"resource\":\"inferenceservices\",\"verb\":"
			       "\"patch\"}"));
	assert_int_equal(kube_may(kit.kube, kit.http, &log, &allowed, &kit.err), ERR_OK);
	assert_false(allowed);
	assert_int_equal(kube_may(kit.kube, kit.http, &log, &allowed, &kit.err), ERR_TRANSIENT);
	assert_false(allowed);
	assert_false(kit.err.in_doubt);
	kit_stop(&kit, 4);
}

/* --- answers made to hurt --- */

static void test_bounds(void **state)
{
	AUTO_BUF struct buf deep = buf_make(4096), large = buf_make(KUBE_ANSWER_MAX + 64);
	struct scripted_answer script[2] = {{"GET", 200}, {"GET", 200}};
	json_t *object;
	struct kit kit;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_puts(&deep, "[");
	buf_puts(&large, "{\"a\":\"");
	while (!large.truncated)
		buf_puts(&large, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	script[0].body = buf_text(&deep);
	script[1].body = buf_text(&large);
	kit = kit_start_with(script, 2, "{token: t}");
	assert_int_equal(kube_get(kit.kube, kit.http, &iris, &object, &kit.err), ERR_TRANSIENT);
	assert_int_equal(kube_get(kit.kube, kit.http, &iris, &object, &kit.err), ERR_TRANSIENT);
	expect_says(&kit.err, "larger than 8388608 bytes");
	kit_stop(&kit, 2);
}

static const struct CMUnitTest kube_tests[] = {
	cmocka_unit_test(test_get),
	cmocka_unit_test(test_bad_names),
	cmocka_unit_test(test_list_by_pages),
	cmocka_unit_test(test_list_grown_too_old),
	cmocka_unit_test(test_list_without_end),
	cmocka_unit_test(test_writes),
	cmocka_unit_test(test_doubt),
	cmocka_unit_test(test_401_is_tried_once_with_what_is_new),
	cmocka_unit_test(test_a_schema_is_read_once),
	cmocka_unit_test(test_credentials_are_read_again_with_time),
	cmocka_unit_test(test_plugin_is_asked_when_needed),
	cmocka_unit_test(test_threads_share_one_answer_of_a_plugin),
	cmocka_unit_test(test_plugin_that_fails_later),
	cmocka_unit_test(test_pod_log),
	cmocka_unit_test(test_probe_kserve),
	cmocka_unit_test(test_version_and_rights),
	cmocka_unit_test(test_bounds),
};

CASES_MAIN(kube_tests, NULL, NULL)
