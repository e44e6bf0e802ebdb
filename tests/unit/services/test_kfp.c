/* Pipelines, versions and experiments, the probe, errors, tokens and links, against a scripted
 * server. */
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/core/pipeline.h"
#include "lib/services/kfp_impl.h"
#include "tests/unit/services/kfp_kit.h"

#define VERSIONS "GET /apis/v2beta1/pipelines/p1/versions?"
#define UPLOAD	 "POST /apis/v2beta1/pipelines/upload_version?"
#define DIGEST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SPEC	 "{\"root\":{\"a\":3}}"
#define MADE                                                                                       \
	"{\"pipeline_id\":\"p1\",\"pipeline_version_id\":\"v1\",\"display_name\":\"pr-7\","        \
	"\"name\":\"pr-7\",\"description\":\"repo=o/r sha256=" DIGEST_A                            \
	"\",\"pipeline_spec\":" SPEC "}"
/* the name and the very description of our upload, but somebody else's content */
#define OTHER                                                                                      \
	"{\"pipeline_version_id\":\"v9\",\"display_name\":\"pr-7\",\"description\":"               \
	"\"repo=o/r sha256=" DIGEST_A "\",\"pipeline_spec\":{\"root\":{\"a\":4}}}"
/* our content under another description, with numbers as Kubeflow writes them */
#define SAME                                                                                       \
	"{\"pipeline_version_id\":\"v1\",\"name\":\"pr-7\",\"description\":\"by hand\","           \
	"\"pipeline_spec\":{\"root\":{\"a\":3.0}}}"
#define LISTED "{\"pipeline_versions\":[" MADE "],\"total_size\":1}"

static const char description[] = "repo=o/r sha256=" DIGEST_A;

/* --- probe --- */

static const struct {
	const char *name;
	struct scripted_answer answers[2];
	int requests;
	enum err_class class;
	const char *version, *says;
	bool multi_user;
	const char *code;
} probes[] = {
	{"2.17",
	 {{"GET /apis/v2beta1/healthz ", 200, NULL,
	   "{\"tag_name\":\"2.17.0\",\"multi_user\":true,\"pipeline_store\":"
	   "\"database\"}"}},
	 1,
	 ERR_OK,
	 "2.17.0",
	 NULL,
	 true},
	{"home-built",
	 {{"GET /apis/v2beta1/healthz ", 200, NULL, "{}"}},
	 1,
	 ERR_OK,
	 "unknown",
	 NULL,
	 false},
	{"1.x only",
	 {{"GET /apis/v2beta1/healthz ", 404, NULL, "Not Found\n"},
	  {"GET /apis/v1beta1/healthz ", 200, NULL,
	   "{\"tag_name\":\"1.8.22\",\"multi_user\":false}"}},
	 2,
	 ERR_CONFIG,
	 "unknown",
	 "1.8.22, which has only the v1beta1 API; version 2.0",
	 false,
	 "kfp.too_old"},
	{"no server of ours",
	 {{"GET /apis/v2beta1/healthz ", 404, NULL, "<html>"},
	  {"GET /apis/v1beta1/healthz ", 404, NULL, "<html>"}},
	 2,
	 ERR_CONFIG,
	 "unknown",
	 "there is no Kubeflow Pipelines API at",
	 false,
	 "kfp.not_there"},
	{"login page",
	 {{"GET /apis/v2beta1/healthz ", 200, NULL, "<html>log in"}},
	 1,
	 ERR_CONFIG,
	 "unknown",
	 "a login page?",
	 false,
	 "kfp.not_there"},
	{"redirect to a login page",
	 {{"GET /apis/v2beta1/healthz ", 302, "Location: https://dex/\r\n", ""}},
	 1,
	 ERR_CONFIG,
	 "unknown",
	 "login page",
	 false},
	{"down",
	 {{"GET /apis/v2beta1/healthz ", 503, NULL, "no healthy upstream"}},
	 1,
	 ERR_TRANSIENT,
	 "unknown",
	 "503: no healthy upstream",
	 false},
};

static void test_probe(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
		struct kit kit =
			kit_start_with(probes[i].answers, (size_t)probes[i].requests, NULL);
		struct kfp_capabilities seen;

		print_message("  %s\n", probes[i].name);
		assert_int_equal(kfp_probe(kit.kfp, kit.http, &seen, &kit.err), probes[i].class);
		assert_string_equal(seen.version, probes[i].version);
		assert_int_equal(seen.multi_user, probes[i].multi_user);
		if (probes[i].says)
			assert_non_null(strstr(kit.err.msg, probes[i].says));
		if (probes[i].code)
			assert_string_equal(kit.err.code, probes[i].code);
		kit_stop(&kit, probes[i].requests);
	}
}

/* --- pipelines --- */

static void test_pipeline_is_found_or_made(void **state)
{
	static const char missing[] = "{\"code\":5,\"message\":\"x\",\"details\":[{\"code\":5,"
				      "\"message\":\"Pipeline iris not found\"}]}";
	static const struct scripted_answer script[] = {
		{"GET /apis/v2beta1/pipelines/names/a%2Fb%20c?namespace=team%20a ", 404, NULL,
		 missing},
		{"POST /apis/v2beta1/pipelines ", 200, NULL, "{\"pipeline_id\":\"p1\"}"},
		{"GET /apis/v2beta1/pipelines/names/iris ", 200, NULL, "{\"pipeline_id\":\"p2\"}"},
	};
	struct kit kit = KIT_START(script);
	char *id;

	(void)state;
	assert_int_equal(
		kfp_pipeline_ensure(kit.kfp, kit.http, "team a", "a/b c", "about", &id, &kit.err),
		ERR_OK);
	assert_string_equal(id, "p1");
	mem_free(id);
	assert_string_equal(kit.server->requests[1].body,
			    "{\"description\":\"about\",\"display_name\":\"a/b c\","
			    "\"namespace\":\"team a\"}");
	assert_string_equal(scripted_header(&kit.server->requests[1], "content-type"),
			    "application/json");
	assert_int_equal(kfp_pipeline_ensure(kit.kfp, kit.http, "", "iris", "", &id, &kit.err),
			 ERR_OK);
	assert_string_equal(id, "p2");
	mem_free(id);
	kit_stop(&kit, 3);
}

static void test_pipeline_made_by_another_meanwhile(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET /apis/v2beta1/pipelines/names/iris ", 404, NULL, "{\"code\":5}"},
		{"POST /apis/v2beta1/pipelines ", 409, NULL, "{\"code\":6,\"message\":\"exists\"}"},
		{"GET /apis/v2beta1/pipelines?page_size=10&filter=", 200, NULL,
		 "{\"pipelines\":[{\"pipeline_id\":\"p0\",\"display_name\":\"iris2\"},"
		 "{\"pipeline_id\":\"p1\",\"display_name\":\"iris\"}]}"},
	};
	struct kit kit = KIT_START(script);
	char *id;

	(void)state;
	assert_int_equal(kfp_pipeline_ensure(kit.kfp, kit.http, "", "iris", NULL, &id, &kit.err),
			 ERR_OK);
	assert_string_equal(id, "p1");
	mem_free(id);
	kit_stop(&kit, 3);
}

static void test_404_of_a_proxy_makes_nothing(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET /apis/v2beta1/pipelines/names/iris ", 404, NULL, "default backend - 404"},
	};
	struct kit kit = KIT_START(script);
	char *id;

	(void)state;
	assert_int_equal(kfp_pipeline_ensure(kit.kfp, kit.http, "", "iris", NULL, &id, &kit.err),
			 ERR_TRANSIENT);
	assert_null(id);
	kit_stop(&kit, 1);
}

/* --- versions --- */

struct upload_case {
	const char *name;
	struct scripted_answer answers[3];
	int requests;
	bool was_in_doubt;
	enum err_class class;
	bool adopted, in_doubt;
	const char *says;
};

static const struct upload_case upload_cases[] = {
	{"made", {{UPLOAD, 200, NULL, MADE}}, 1, false, ERR_OK, false, false, NULL},
	{"made, answer without the pipeline",
	 {{UPLOAD, 200, NULL, "{\"pipeline_version_id\":\"v1\",\"name\":\"pr-7\"}"},
	  {"GET /apis/v2beta1/pipelines/p1/versions/v1 ", 200, NULL, MADE}},
	 2,
	 false,
	 ERR_OK,
	 false,
	 false,
	 NULL},
	{"409, the same content",
	 {{UPLOAD, 409, NULL, "{\"error_message\":\"Failed to create a pipeline version\"}"},
	  {VERSIONS, 200, NULL, LISTED}},
	 2,
	 false,
	 ERR_OK,
	 true,
	 false,
	 NULL},
	{"409, the same content under another description",
	 {{UPLOAD, 409, NULL, "{\"error_message\":\"taken\"}"},
	  {VERSIONS, 200, NULL, "{\"pipeline_versions\":[" SAME "]}"}},
	 2,
	 false,
	 ERR_OK,
	 true,
	 false,
	 NULL},
	{"409, other content under our description",
	 {{UPLOAD, 409, NULL, "{\"error_message\":\"Failed to create a pipeline version\"}"},
	  {VERSIONS, 200, NULL, "{\"pipeline_versions\":[" OTHER "]}"}},
	 2,
	 false,
	 ERR_CONFLICT,
	 false,
	 false,
	 "already has a version \"pr-7\" with other content"},
	{"409, but not listed",
	 {{UPLOAD, 409, NULL, "{\"error_message\":\"taken\"}"}, {VERSIONS, 200, NULL, "{}"}},
	 2,
	 false,
	 ERR_TRANSIENT,
	 false,
	 false,
	 "taken"},
	{"500 of a 2.0 server, the same content",
	 {{UPLOAD, 500, NULL, "{\"error_message\":\"Already exist\"}"},
	  {VERSIONS, 200, NULL, LISTED}},
	 2,
	 false,
	 ERR_OK,
	 true,
	 false,
	 NULL},
	{"500 and nothing there",
	 {{UPLOAD, 500, NULL, "{\"error_message\":\"disk full\"}"}, {VERSIONS, 200, NULL, "{}"}},
	 2,
	 false,
	 ERR_TRANSIENT,
	 false,
	 true,
	 "500: disk full"},
	{"answer lost, version there",
	 {{UPLOAD, 200, NULL, MADE, 0, SCRIPTED_RESET}, {VERSIONS, 200, NULL, LISTED}},
	 2,
	 false,
	 ERR_OK,
	 true,
	 false,
	 NULL},
	{"answer cut, version there",
	 {{UPLOAD, 200, NULL, MADE, 0, SCRIPTED_CUT}, {VERSIONS, 200, NULL, LISTED}},
	 2,
	 false,
	 ERR_OK,
	 true,
	 false,
	 NULL},
	{"answer lost, not listed yet",
	 {{UPLOAD, 200, NULL, MADE, 0, SCRIPTED_RESET}, {VERSIONS, 200, NULL, "{}"}},
	 2,
	 false,
	 ERR_TRANSIENT,
	 false,
	 true,
	 NULL},
	{"answer lost, looking fails too",
	 {{UPLOAD, 200, NULL, MADE, 0, SCRIPTED_RESET}, {VERSIONS, 503, NULL, ""}},
	 2,
	 false,
	 ERR_TRANSIENT,
	 false,
	 true,
	 NULL},
	{"garbage with 200",
	 {{UPLOAD, 200, NULL, "[]"}, {VERSIONS, 200, NULL, LISTED}},
	 2,
	 false,
	 ERR_OK,
	 true,
	 false,
	 NULL},
	{"in doubt and there", {{VERSIONS, 200, NULL, LISTED}}, 1, true, ERR_OK, true, false, NULL},
	{"in doubt and another's there",
	 {{VERSIONS, 200, NULL, "{\"pipeline_versions\":[" OTHER "]}"}},
	 1,
	 true,
	 ERR_CONFLICT,
	 false,
	 false,
	 "already has a version"},
	{"in doubt and not there",
	 {{VERSIONS, 200, NULL, "{}"}, {UPLOAD, 200, NULL, MADE}},
	 2,
	 true,
	 ERR_OK,
	 false,
	 false,
	 NULL},
	{"in doubt and no answer",
	 {{VERSIONS, 503, NULL, ""}},
	 1,
	 true,
	 ERR_TRANSIENT,
	 false,
	 false,
	 NULL},
	{"bad pipeline",
	 {{UPLOAD, 400, NULL, "{\"error_message\":\"invalid spec: no root\"}"}},
	 1,
	 false,
	 ERR_USER,
	 false,
	 false,
	 "400: invalid spec: no root"},
	{"bad pipeline as plain text",
	 {{UPLOAD, 400, "Content-Type: text/plain\r\n", "file is too big\n"}},
	 1,
	 false,
	 ERR_USER,
	 false,
	 false,
	 "400: file is too big"},
};

static struct kfp_upload upload_of(const char *name)
{
	static char content[PIPELINE_DIGEST_SIZE];
	json_t *spec = NULL;
	const json_t *documents[1];

	assert_int_equal(jval_parse(&spec, SPEC, strlen(SPEC), NULL), ERR_OK);
	documents[0] = spec;
	assert_true(pipeline_digest(content, documents, 1));
	json_decref(spec);
	return (struct kfp_upload){.pipeline_id = "p1",
				   .name = name,
				   .description = description,
				   .yaml = "a: 1\n",
				   .yaml_len = 5,
				   .content = content};
}

static void test_version_upload(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(upload_cases); i++) {
		const struct upload_case *c = &upload_cases[i];
		struct kit kit = kit_start_with(c->answers, (size_t)c->requests, NULL);
		struct kfp_upload upload = upload_of("pr-7");
		struct kfp_version version;
		bool adopted = false;

		print_message("  %s\n", c->name);
		upload.in_doubt = c->was_in_doubt;
		assert_int_equal(kfp_version_upload(kit.kfp, kit.http, &upload, &version, &adopted,
						    &kit.err),
				 c->class);
		assert_int_equal(adopted, c->adopted);
		if (c->class == ERR_OK) {
			assert_string_equal(version.id, "v1");
			assert_string_equal(version.name, "pr-7");
			assert_non_null(version.spec);
		} else {
			if (c->class == ERR_CONFLICT) /* the other one, for the caller to look at */
				assert_string_equal(version.id, "v9");
			else
				assert_null(version.id);
			assert_int_equal(kit.err.in_doubt, c->in_doubt);
			assert_int_equal(kit.err.class, c->class);
		}
		if (c->says)
			assert_non_null(strstr(kit.err.msg, c->says));
		if (c->class == ERR_CONFLICT)
			assert_string_equal(kit.err.code, "kfp.version_differs");
		kfp_version_dispose(&version);
		kit_stop(&kit, c->requests);
	}
}

static void test_upload_on_the_wire(void **state)
{
	static const struct scripted_answer script[] = {{UPLOAD, 200, NULL, MADE}};
	struct kit kit = KIT_START(script);
	struct kfp_upload upload = upload_of("pr-7 a+b&c");
	struct kfp_version version;
	const char *body;
	bool adopted;

	(void)state;
	assert_int_equal(
		kfp_version_upload(kit.kfp, kit.http, &upload, &version, &adopted, &kit.err),
		ERR_OK);
	kfp_version_dispose(&version);
	assert_string_equal(kit_line(&kit, 0),
			    "POST /apis/v2beta1/pipelines/upload_version?name=pr-7%20a%2Bb%26c"
			    "&pipelineid=p1&description=repo%3Do%2Fr%20sha256%3D" DIGEST_A
			    " HTTP/1.1");
	body = kit.server->requests[0].body;
	assert_non_null(strstr(scripted_header(&kit.server->requests[0], "content-type"),
			       "multipart/form-data; boundary="));
	assert_non_null(strstr(body, "name=\"uploadfile\"; filename=\"pipeline.yaml\""));
	assert_non_null(strstr(body, "\r\n\r\na: 1\n\r\n--"));
	kit_stop(&kit, 1);
}

static void test_upload_too_large_is_not_sent(void **state)
{
	static const struct scripted_answer script[] = {{UPLOAD, 200, NULL, MADE}};
	struct kit kit = KIT_START(script);
	struct kfp_upload upload = upload_of("n");
	struct kfp_version version;
	bool adopted;

	(void)state;
	upload.yaml_len = 33u << 20;
	assert_int_equal(
		kfp_version_upload(kit.kfp, kit.http, &upload, &version, &adopted, &kit.err),
		ERR_USER);
	assert_string_equal(kit.err.code, "pipeline.too_large");
	kit_stop(&kit, 0);
}

static void test_version_with_two_documents(void **state)
{
	static const struct scripted_answer script[] = {
		{VERSIONS, 200, NULL,
		 "{\"pipeline_versions\":[{\"pipeline_version_id\":\"v3\",\"display_name\":\"pr-"
		 "7\","
		 "\"pipeline_spec\":{\"pipeline_spec\":{\"root\":{\"a\":1}},"
		 "\"platform_spec\":{\"platforms\":{}}}}]}"},
	};
	struct kit kit = KIT_START(script);
	struct kfp_version version;

	(void)state;
	assert_int_equal(kfp_version_find(kit.kfp, kit.http, "p1", "pr-7", &version, &kit.err),
			 ERR_OK);
	assert_string_equal(version.name, "pr-7");
	assert_int_equal(jval_int(version.spec, "root.a", 0), 1);
	assert_true(json_is_object(json_object_get(version.platform_spec, "platforms")));
	kfp_version_dispose(&version);
	kit_stop(&kit, 1);
}

/* --- experiments --- */

static void test_filter_is_encoded_twice(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET /apis/v2beta1/experiments?", 200, NULL,
		 "{\"experiments\":[{\"experiment_id\":\"e1\",\"display_name\":\"a+b 50% "
		 "\\\"x\\\"\"}]}"},
	};
	struct kit kit = KIT_START(script);
	char *id;

	(void)state;
	assert_int_equal(
		kfp_experiment_ensure(kit.kfp, kit.http, "ns", "a+b 50% \"x\"", &id, &kit.err),
		ERR_OK);
	assert_string_equal(id, "e1");
	mem_free(id);
	assert_string_equal(
		kit_line(&kit, 0),
		"GET /apis/v2beta1/experiments?namespace=ns&page_size=10&filter="
		"%7B%22predicates%22%3A%5B%7B%22key%22%3A%22display_name%22%2C%22operation%22%3A"
		"%22EQUALS%22%2C%22string_value%22%3A%22a%252Bb%2050%2525%20%5C%22x%5C%22%22%7D%5D"
		"%7D HTTP/1.1");
	kit_stop(&kit, 1);
}

static void test_experiment_race(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET /apis/v2beta1/experiments?", 200, NULL, "{}"},
		{"POST /apis/v2beta1/experiments ", 409, NULL,
		 "{\"code\":6,\"message\":\"exists\"}"},
		{"GET /apis/v2beta1/experiments?", 200, NULL,
		 "{\"experiments\":[{\"experiment_id\":\"e1\",\"display_name\":\"x\"}]}"},
		{"GET /apis/v2beta1/experiments?", 200, NULL, "{\"experiments\":[]}"},
		{"POST /apis/v2beta1/experiments ", 400, NULL,
		 "{\"code\":3,\"message\":\"chain\",\"details\":[{\"message\":\"no such "
		 "namespace.\"}]}"},
	};
	struct kit kit = KIT_START(script);
	char *id;

	(void)state;
	assert_int_equal(kfp_experiment_ensure(kit.kfp, kit.http, "ns", "x", &id, &kit.err),
			 ERR_OK);
	assert_string_equal(id, "e1");
	mem_free(id);
	assert_string_equal(kit.server->requests[1].body,
			    "{\"display_name\":\"x\",\"namespace\":\"ns\"}");
	assert_int_equal(kfp_experiment_ensure(kit.kfp, kit.http, "ns", "x", &id, &kit.err),
			 ERR_USER);
	assert_null(id);
	assert_string_equal(kit.err.msg, "Kubeflow Pipelines answers 400: no such namespace");
	kit_stop(&kit, 5);
}

/* --- errors --- */

static void test_errors(void **state)
{
	static const struct {
		const char *name;
		int status;
		const char *body;
		bool mutates;
		enum err_class class;
		bool in_doubt;
		const char *says;
		const char *code; /* NULL: that of the class */
	} cases[] = {
		{"gateway", 400,
		 "{\"code\":3,\"message\":\"chain\",\"details\":[{\"message\":\"why\"}]}", true,
		 ERR_USER, false, "answers 400: why"},
		{"gateway without details", 400,
		 "{\"code\":3,\"message\":\"unknown field \\\"x\\\"\"}", true, ERR_USER, false,
		 "answers 400: unknown field \"x\""},
		{"v1beta1", 400, "{\"error\":\"e\",\"details\":[{\"error_message\":\"em\"}]}",
		 false, ERR_USER, false, "answers 400: em"},
		{"upload", 400, "{\"error_message\":\"um\",\"error_details\":\"ud\"}", true,
		 ERR_USER, false, "answers 400: um"},
		{"not authenticated", 401, "", false, ERR_CONFIG, false,
		 "does not accept the token"},
		{"forbidden", 403, "{\"code\":7,\"message\":\"no\"}", false, ERR_DENIED, false,
		 "no"},
		{"forbidden by a mesh", 403, "RBAC: access denied", true, ERR_DENIED, false,
		 "something before Kubeflow Pipelines answers 403: RBAC: access denied",
		 "kfp.proxy"},
		{"forbidden by a page", 403, "<html>", false, ERR_DENIED, false,
		 "something before Kubeflow Pipelines answers 403: it does not allow", "kfp.proxy"},
		{"absent", 404, "{\"code\":5,\"message\":\"gone\"}", false, ERR_NOT_FOUND, false,
		 "gone"},
		{"no route", 404, "<html>nginx</html>", false, ERR_TRANSIENT, false,
		 "no such path"},
		{"exists", 409, "{\"code\":6}", true, ERR_CONFLICT, false, "does not say why"},
		{"too many", 429, "", true, ERR_THROTTLED, false, "asks to wait"},
		{"cancelled", 499, "", true, ERR_TRANSIENT, true, "499"},
		{"inside", 500, "{\"code\":13,\"message\":\"boom\"}", true, ERR_TRANSIENT, true,
		 "boom"},
		{"the caller's fault, wrapped", 500,
		 "{\"error_message\":\"Failed to create: InvalidInputError: unknown template\"}",
		 true, ERR_USER, false, "InvalidInputError: unknown template"},
		{"inside, read", 500, "", false, ERR_TRANSIENT, false, "failed inside"},
		{"proxy", 504, "upstream request timeout", true, ERR_TRANSIENT, true, "upstream"},
		{"not offered", 501, "{}", false, ERR_CONFIG, false, "501"},
		{"redirect", 302, "{\"message\":\"x\"}", true, ERR_CONFIG, false, "login page"},
		{"control characters and bad bytes", 400, "a\x1b[31mb\nc\xff", true, ERR_USER,
		 false, "answers 400: a [31mb c\xef\xbf\xbd"},
		{"details of another kind", 400, "{\"details\":{\"a\":1},\"message\":7}", true,
		 ERR_USER, false, "does not say why"},
	};

	static const char *const codes[] = {
		[ERR_USER] = "kfp.invalid",	   [ERR_DENIED] = "kfp.denied",
		[ERR_NOT_FOUND] = "kfp.not_found", [ERR_CONFLICT] = "kfp.conflict",
		[ERR_CONFIG] = "kfp.refused",	   [ERR_BUG] = NULL};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};

		print_message("  %s\n", cases[i].name);
		assert_int_equal(kfp_error(&err, cases[i].status, cases[i].body,
					   strlen(cases[i].body), 0, cases[i].mutates),
				 cases[i].class);
		assert_int_equal(err.in_doubt, cases[i].in_doubt);
		assert_string_equal(err.code, cases[i].code	      ? cases[i].code
					      : codes[cases[i].class] ? codes[cases[i].class]
								      : "");
		assert_non_null(strstr(err.msg, cases[i].says));
	}
}

static void test_throttled_says_when(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET /apis/v2beta1/runs/r", 429, "Retry-After: 7\r\n", "{}"},
		{"GET /apis/v2beta1/runs/r", 429, "Retry-After: 999999999999\r\n", "{}"},
		{"GET /apis/v2beta1/runs/r", 429, NULL, "{}"},
	};
	static const int64_t at_least[] = {6000, 3500000, 0}, at_most[] = {8000, 3700000, 0};
	struct kit kit = KIT_START(script);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(script); i++) {
		struct kfp_run run;
		int64_t wait_ms;

		assert_int_equal(kfp_run_get(kit.kfp, kit.http, "r", &run, &kit.err),
				 ERR_THROTTLED);
		wait_ms = kit.err.retry_at_ms ? kit.err.retry_at_ms - clock_now_ms() : 0;
		assert_true(wait_ms >= at_least[i] && wait_ms <= at_most[i]);
	}
	kit_stop(&kit, 3);
}

/* --- token --- */

static void write_token(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void test_token_is_read_again(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET /apis/v2beta1/healthz ", 200, NULL, "{}", .always = true}};
	char path[] = "/tmp/kfops-token-XXXXXX", fresh[64];
	int fd = mkstemp(path);
	struct kfp_capabilities seen;
	struct kit kit;

	(void)state;
	close(fd);
	write_token(path, "first\n");
	kit = kit_start_with(script, 1, path);
	assert_int_equal(kfp_probe(kit.kfp, kit.http, &seen, &kit.err), ERR_OK);
	snprintf(fresh, sizeof fresh, "%s.new", path); /* swapped, as Kubernetes does it */
	write_token(fresh, "other\n");
	assert_int_equal(rename(fresh, path), 0);
	assert_int_equal(kfp_probe(kit.kfp, kit.http, &seen, &kit.err), ERR_OK);
	assert_string_equal(scripted_header(&kit.server->requests[0], "authorization"),
			    "Bearer first");
	assert_string_equal(scripted_header(&kit.server->requests[1], "authorization"),
			    "Bearer other");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(kfp_probe(kit.kfp, kit.http, &seen, &kit.err), ERR_CONFIG);
	kit_stop(&kit, 2);
}

static void test_token_is_not_in_errors(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET /apis/v2beta1/healthz ", 401, NULL,
		 "{\"code\":16,\"message\":\"bad token\"}"}};
	char path[] = "/tmp/kfops-token-XXXXXX";
	int fd = mkstemp(path);
	struct kfp_capabilities seen;
	struct kit kit;

	(void)state;
	close(fd);
	write_token(path, "verysecret");
	kit = kit_start_with(script, 1, path);
	assert_int_equal(kfp_probe(kit.kfp, kit.http, &seen, &kit.err), ERR_CONFIG);
	assert_null(strstr(kit.err.msg, "verysecret"));
	unlink(path);
	kit_stop(&kit, 1);
}

/* --- addresses and links --- */

static void test_addresses(void **state)
{
	static const struct {
		const char *url, *ui_url;
		bool dashboard, ok;
		const char *run, *version;
	} cases[] = {
		{"http://ml-pipeline.kubeflow:8888", NULL, false, true, "", ""},
		{"http://ml-pipeline:8888/", "https://ui.example/", false, true,
		 "https://ui.example/#/runs/details/r%2F1",
		 "https://ui.example/#/pipelines/details/p/version/v"},
		{"https://host/pipeline", NULL, false, true,
		 "https://host/pipeline/#/runs/details/r%2F1",
		 "https://host/pipeline/#/pipelines/details/p/version/v"},
		{"https://host/pipeline/", NULL, true, true,
		 "https://host/_/pipeline/?ns=a%26b#/runs/details/r%2F1",
		 "https://host/_/pipeline/?ns=a%26b#/pipelines/details/p/version/v"},
		{"https://api/pipeline", "https://host", true, true,
		 "https://host/_/pipeline/?ns=a%26b#/runs/details/r%2F1",
		 "https://host/_/pipeline/?ns=a%26b#/pipelines/details/p/version/v"},
		{"file:///etc", NULL, false, false, NULL, NULL},
		{"http://", NULL, false, false, NULL, NULL},
		{"http://a b", NULL, false, false, NULL, NULL},
		{"http://a/?x=1", NULL, false, false, NULL, NULL},
		{"", NULL, false, false, NULL, NULL},
		{"http://a", "javascript:alert(1)", false, false, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kfp_options options = {.url = cases[i].url,
					      .ui_url = cases[i].ui_url,
					      .dashboard = cases[i].dashboard};
		AUTO_BUF struct buf run = buf_make(512), version = buf_make(512);
		struct kfp *kfp;
		struct err err;

		print_message("  %s\n", cases[i].url);
		assert_int_equal(kfp_new(&kfp, &options, &err), cases[i].ok ? ERR_OK : ERR_CONFIG);
		if (!cases[i].ok)
			continue;
		kfp_link_run(kfp, "a&b", "r/1", &run);
		kfp_link_version(kfp, "a&b", "p", "v", &version);
		assert_string_equal(buf_text(&run), cases[i].run);
		assert_string_equal(buf_text(&version), cases[i].version);
		kfp_free(kfp);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_probe),
	cmocka_unit_test(test_pipeline_is_found_or_made),
	cmocka_unit_test(test_pipeline_made_by_another_meanwhile),
	cmocka_unit_test(test_404_of_a_proxy_makes_nothing),
	cmocka_unit_test(test_version_upload),
	cmocka_unit_test(test_upload_on_the_wire),
	cmocka_unit_test(test_upload_too_large_is_not_sent),
	cmocka_unit_test(test_version_with_two_documents),
	cmocka_unit_test(test_filter_is_encoded_twice),
	cmocka_unit_test(test_experiment_race),
	cmocka_unit_test(test_errors),
	cmocka_unit_test(test_throttled_says_when),
	cmocka_unit_test(test_token_is_read_again),
	cmocka_unit_test(test_token_is_not_in_errors),
	cmocka_unit_test(test_addresses),
};

CASES_MAIN(tests, NULL, NULL)
