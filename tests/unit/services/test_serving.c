/* The sample request, against a scripted server: what is sent, what comes back, where it never
 * goes. */
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/jval.h"
#include "lib/services/serving.h"
#include "tests/unit/cases.h"
#include "tests/unit/scripted_server.h"

/* Scripts name only what an answer differs in from the next; the rest is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define BODY "{\"instances\":[[1,2]]}"

static struct http *client(void)
{
	static const struct http_options plain = {
		.user_agent = "kfops/test", .allow_http = true, .connect_timeout_ms = 2000};

	return http_new(&plain);
}

static void test_asks(void **state)
{
	static const struct scripted_answer script[] = {
		{"POST /v1/models/iris:predict HTTP", 200, NULL, "{\"predictions\":[1]}"},
		{"POST /v1/models/iris:predict HTTP", 200, NULL, "<html>"},
	};
	struct scripted_server *server = scripted_start(script, ARRAY_LEN(script));
	AUTO_FREE char *there = str_printf("127.0.0.1:%d", server->port);
	AUTO_FREE char *url = str_printf("%s/v1/models/iris:predict", server->url);
	char token_file[] = "/tmp/kfops-token-XXXXXX";
	struct serving_request direct = {.url = url, .body = BODY, .body_len = strlen(BODY)};
	struct serving_request ingress = {.url = "http://iris.ml.invalid/v1/models/iris:predict",
					  .connect_to = there,
					  .host = "iris.ml.example.com",
					  .token_file = token_file,
					  .body = BODY,
					  .body_len = strlen(BODY)};
	struct http *http = client();
	struct serving_answer answer;
	struct err err = {0};
	int fd = mkstemp(token_file);

	(void)state;
	assert_int_equal(write(fd, "s3cret\n", 7), 7);
	close(fd);
	assert_int_equal(serving_ask(http, &direct, &answer, &err), ERR_OK);
	assert_int_equal(answer.status, 200);
	assert_true(answer.took_ms >= 0);
	assert_int_equal(json_array_size(jval_at(answer.json, "predictions")), 1);
	assert_string_equal(answer.shown, "{\"predictions\":[1]}");
	serving_answer_dispose(&answer);
	assert_string_equal(server->requests[0].body, BODY);
	assert_string_equal(scripted_header(&server->requests[0], "content-type"),
			    "application/json");
	assert_string_equal(scripted_header(&server->requests[0], "authorization"), "");
	assert_int_equal(serving_ask(http, &ingress, &answer, &err), ERR_OK);
	assert_null(answer.json);
	assert_string_equal(answer.shown, "<html>");
	serving_answer_dispose(&answer);
	assert_string_equal(scripted_header(&server->requests[1], "host"), "iris.ml.example.com");
	assert_string_equal(scripted_header(&server->requests[1], "authorization"),
			    "Bearer s3cret");
	unlink(token_file);
	assert_int_equal(serving_ask(http, &ingress, &answer, &err), ERR_CONFIG);
	serving_answer_dispose(&answer);
	assert_int_equal(scripted_count(server), 2);
	assert_int_equal(server->unexpected, 0);
	http_free(http);
	scripted_stop(server);
}

static const struct {
	const char *name;
	struct scripted_answer answer;
	enum err_class class;
	const char *code;
	int status;
} answers[] = {
	{"not ready", {"POST", 503, NULL, "{\"error\":\"no\"}"}, ERR_OK, "", 503},
	{"bad input", {"POST", 400, NULL, "{\"error\":\"no\"}"}, ERR_OK, "", 400},
	{"redirect to a login page",
	 {"POST", 302, "Location: https://dex.example.com/auth?state=s3cret\r\n", ""},
	 ERR_CONFIG,
	 "serving.redirect",
	 302},
	{"redirect to metadata",
	 {"POST", 307, "Location: http://169.254.169.254/latest\r\n", ""},
	 ERR_CONFIG,
	 "serving.redirect",
	 307},
	{"reset", {"POST", .fault = SCRIPTED_RESET}, ERR_TRANSIENT, "serving.down", 0},
	{"closed", {"POST", .fault = SCRIPTED_RAW, .body = ""}, ERR_TRANSIENT, "serving.down", 0},
	{"half an answer",
	 {"POST", 200, NULL, "{\"predictions\":[1]}", .fault = SCRIPTED_CUT},
	 ERR_TRANSIENT,
	 "serving.down",
	 0},
	{"silence", {"POST", .fault = SCRIPTED_SILENT}, ERR_TRANSIENT, "serving.down", 0},
	{"nothing", {"POST", 200}, ERR_OK, "", 200},
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct scripted_server *server = scripted_start(&answers[i].answer, 1);
		AUTO_FREE char *url = str_printf("%s/x", server->url);
		struct serving_request request = {
			.url = url, .body = BODY, .body_len = strlen(BODY), .timeout_ms = 400};
		struct http *http = client();
		struct serving_answer answer;
		struct err err = {0};

		print_message("  %s\n", answers[i].name);
		assert_int_equal(serving_ask(http, &request, &answer, &err), answers[i].class);
		assert_string_equal(err.code, answers[i].code);
		assert_int_equal(answer.status, answers[i].status);
		assert_non_null(answer.shown);
		assert_false(err.in_doubt);
		assert_null(strstr(err.msg, "s3cret"));
		assert_int_equal(scripted_count(server), 1);
		serving_answer_dispose(&answer);
		http_free(http);
		scripted_stop(server);
	}
}

/* What a person has to mend is not tried again: here the operator's file of authorities is gone. */
static void test_no_trust(void **state)
{
	static const struct http_options options = {.ca_file = "/nonexistent.pem"};
	static const struct scripted_answer script[] = {{"POST", 200}};
	struct scripted_server *server = scripted_start(script, 1);
	AUTO_FREE char *url = str_printf("https://127.0.0.1:%d/x", server->port);
	struct serving_request request = {.url = url, .body = BODY, .body_len = strlen(BODY)};
	struct http *http = http_new(&options);
	struct serving_answer answer;
	struct err err = {0};

	(void)state;
	assert_int_equal(serving_ask(http, &request, &answer, &err), ERR_CONFIG);
	assert_string_equal(err.code, "serving.tls");
	serving_answer_dispose(&answer);
	http_free(http);
	scripted_stop(server);
}

/* 8 MiB and one byte more; a deep answer; what is shown of a long one. */
static void test_bounds(void **state)
{
	AUTO_BUF struct buf large = buf_make(SERVING_ANSWER_MAX + 1);
	struct scripted_answer script[3] = {{"POST", 200}, {"POST", 200}, {"POST", 200}};
	AUTO_BUF struct buf deep = buf_make(4096);
	struct scripted_server *server;
	struct serving_request request = {.body = BODY, .body_len = strlen(BODY)};
	struct http *http = client();
	struct serving_answer answer;
	struct err err = {0};
	char *url;

	(void)state;
	while (!large.truncated)
		buf_puts(&large, "\xc3\xa4\xc3\xa4 0123456789abcdefghijklmnopqrstuvwxyz");
	for (int i = 0; i < 400; i++)
		buf_puts(&deep, "[");
	script[0].body = buf_text(&large);
	script[0].body_len = large.len;
	script[1].body = buf_text(&deep);
	script[2].body = buf_text(&large) + 1; /* begins within a character */
	script[2].body_len = 4000;
	server = scripted_start(script, 3);
	request.url = url = str_printf("%s/x", server->url);
	assert_int_equal(serving_ask(http, &request, &answer, &err), ERR_USER);
	assert_string_equal(err.code, "serving.too_large");
	serving_answer_dispose(&answer);
	assert_int_equal(serving_ask(http, &request, &answer, &err), ERR_OK);
	assert_null(answer.json);
	assert_int_equal(strlen(answer.shown), 400);
	serving_answer_dispose(&answer);
	assert_int_equal(serving_ask(http, &request, &answer, &err), ERR_OK);
	assert_true(strlen(answer.shown) <= SERVING_SHOWN_MAX + 2);
	assert_true(str_starts(answer.shown, "\xef\xbf\xbd\xc3\xa4 0123"));
	serving_answer_dispose(&answer);
	request.body_len = SERVING_BODY_MAX + 1; /* never read */
	assert_int_equal(serving_ask(http, &request, &answer, &err), ERR_USER);
	assert_string_equal(err.code, "serving.too_large");
	serving_answer_dispose(&answer);
	mem_free(url);
	http_free(http);
	scripted_stop(server);
}

static const struct {
	const char *url, *connect_to;
} refused[] = {
	{"file:///etc/passwd", NULL},
	{"gopher://iris.ml/", NULL},
	{"HTTP://iris.ml/", NULL},
	{"iris.ml.svc.cluster.local", NULL},
	{"http://", NULL},
	{"http:///x", NULL},
	{"http://[::1/x", NULL},
	{"http://user:p@iris.ml/", NULL},
	{"http://iris.ml/\r\nX: 1", NULL},
	{"http://iris.ml\\@169.254.169.254/", NULL},
	{"http://169.254.169.254/latest/meta-data", NULL},
	{"http://169.254.169.254:80/", NULL},
	{"http://[fe80::1]/", NULL},
	{"http://[fe80::1%25eth0]/", NULL},
	{"http://[::ffff:169.254.169.254]/", NULL},
	{"http://[fd00:ec2::254]/", NULL},
	{"http://0.0.0.0/", NULL},
	{"http://2852039166/", NULL},
	{"http://0xa9fea9fe/", NULL},
	{"http://0251.0376.0251.0376/", NULL},
	{"http://metadata.google.internal/computeMetadata/v1/", NULL},
	{"https://Metadata.Google.Internal./", NULL},
	{"http://100.100.100.200/", NULL},
	{"http://iris.ml/", "169.254.169.254:80"},
	{"http://iris.ml/", "[fe80::1]:80"},
	{"http://iris.ml/", "metadata.google.internal:80"},
	{"http://iris.ml/", "a/b:80"},
	{"http://iris.ml/", ""},
};

static void test_where_it_never_goes(void **state)
{
	struct http *http = client();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct serving_request request = {.url = refused[i].url,
						  .connect_to = refused[i].connect_to,
						  .body = BODY,
						  .body_len = strlen(BODY),
						  .timeout_ms = 2000};
		struct serving_answer answer;
		struct err err = {0};

		print_message("  %s %s\n", refused[i].url,
			      refused[i].connect_to ? refused[i].connect_to : "");
		assert_int_equal(serving_ask(http, &request, &answer, &err), ERR_CONFIG);
		assert_string_equal(err.code, "serving.address");
		serving_answer_dispose(&answer);
	}
	http_free(http);
}

static const struct CMUnitTest serving_tests[] = {
	cmocka_unit_test(test_asks),
	cmocka_unit_test(test_answers),
	cmocka_unit_test(test_no_trust),
	cmocka_unit_test(test_bounds),
	cmocka_unit_test(test_where_it_never_goes),
};

CASES_MAIN(serving_tests, NULL, NULL)
