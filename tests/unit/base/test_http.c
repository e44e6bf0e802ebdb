/* HTTP out, against a scripted server on loopback. */
#include <sys/wait.h>

#include "lib/base/http.h"
#include "tests/unit/cases.h"
#include "tests/unit/scripted_server.h"

/* {"a":1} after gzip. */
static const char gzip_small[] =
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x54\xb2\x32\xac\x05\x00"
	"\xaf\xac\x1b\x56\x07\x00\x00\x00";
static const struct http_options plain_options = {.user_agent = "kfops/test", .allow_http = true};

static struct http_request request_to(const struct scripted_server *server, const char *method,
				      const char *path)
{
	static char url[4096];

	snprintf(url, sizeof url, "%s%s", server->url, path);
	return (struct http_request){.method = method, .url = url, .timeout_ms = 3000};
}

static void test_sends_what_it_was_given(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "POST /a?b=c HTTP/1.1\r\n",
		 .status = 201,
		 .body = "made",
		 .headers = "X-Two: 2\r\nx-TWO: 3\r\nEmpty:\r\n"},
		{.expect = "GET /", .status = 302, .headers = "Location: http://elsewhere/\r\n"},
		{.expect = "DELETE /x", .status = 204},
		{.expect = "PATCH /x", .status = 500, .body = "oops"},
	};
	struct scripted_server *server = scripted_start(script, ARRAY_LEN(script));
	struct http *http = http_new(&plain_options);
	struct http_request request = request_to(server, "POST", "/a?b=c");
	char value[16];

	(void)state;
	request.headers[0] = (struct http_header){"Content-Type", "application/json"};
	request.headers[1] = (struct http_header){"Authorization", "Bearer abc"};
	request.body = "{\"a\":\0}";
	request.body_len = 7;
	{
		AUTO_RESPONSE struct http_response response;

		assert_int_equal(http_do(http, &request, &response, NULL), ERR_OK);
		assert_int_equal(response.status, 201);
		assert_string_equal(buf_text(&response.body), "made");
		assert_string_equal(http_response_header(&response, "x-two", value, sizeof value),
				    "2");
		assert_string_equal(http_response_header(&response, "empty", value, sizeof value),
				    "");
		assert_string_equal(http_response_header(&response, "two", value, sizeof value),
				    "");
		assert_true(response.took_ms >= 0);
	}
	{
		const struct scripted_request *seen = &server->requests[0];

		assert_int_equal(scripted_count(server), 1);
		assert_int_equal(seen->body_len, 7);
		assert_memory_equal(seen->body, "{\"a\":\0}", 7);
		assert_string_equal(scripted_header(seen, "content-type"), "application/json");
		assert_string_equal(scripted_header(seen, "authorization"), "Bearer abc");
		assert_string_equal(scripted_header(seen, "user-agent"), "kfops/test");
		assert_string_equal(scripted_header(seen, "accept-encoding"), "gzip");
		assert_string_equal(scripted_header(seen, "expect"), "");
	}
	{
		static const struct {
			const char *method, *path;
			int status;
		} more[] = {{"GET", "/", 302}, {"DELETE", "/x", 204}, {"PATCH", "/x", 500}};

		for (size_t i = 0; i < ARRAY_LEN(more); i++) {
			AUTO_RESPONSE struct http_response response;

			request = request_to(server, more[i].method, more[i].path);
			assert_int_equal(http_do(http, &request, &response, NULL), ERR_OK);
			assert_int_equal(response.status, more[i].status);
		}
	}
	/* Nothing of the first request is left in the later ones, and the connection was kept. */
	for (int i = 1; i < 4; i++) {
		assert_int_equal(server->requests[i].connection, 0);
		assert_string_equal(scripted_header(&server->requests[i], "authorization"), "");
		assert_int_equal(server->requests[i].body_len, 0);
	}
	assert_string_equal(scripted_header(&server->requests[3], "content-length"), "0");
	assert_string_equal(scripted_header(&server->requests[2], "content-length"), "");
	assert_int_equal(scripted_count(server), 4);
	assert_int_equal(server->unexpected, 0);
	http_free(http);
	scripted_stop(server);
}

static const struct {
	const char *name;
	struct scripted_answer answer;
	const char *method;
	size_t response_max;
	int timeout_ms;
	enum err_class want;
	bool in_doubt;
	const char *says;
} faults[] = {
	{"reset after a write", {.fault = SCRIPTED_RESET}, "POST", 0, 0, ERR_TRANSIENT, true, NULL},
	{"reset after a read", {.fault = SCRIPTED_RESET}, "GET", 0, 0, ERR_TRANSIENT, false, NULL},
	{"silence after a write",
	 {.fault = SCRIPTED_SILENT},
	 "PUT",
	 0,
	 300,
	 ERR_TRANSIENT,
	 true,
	 "timed out"},
	{"silence after a delete",
	 {.fault = SCRIPTED_SILENT},
	 "DELETE",
	 0,
	 300,
	 ERR_TRANSIENT,
	 true,
	 "timed out"},
	{"half a body",
	 {.status = 201, .body = "0123456789", .fault = SCRIPTED_CUT},
	 "POST",
	 0,
	 0,
	 ERR_TRANSIENT,
	 true,
	 NULL},
	{"exactly the cap",
	 {.status = 200, .body = "0123456789"},
	 "GET",
	 10,
	 0,
	 ERR_OK,
	 false,
	 NULL},
	{"one over the cap",
	 {.status = 200, .body = "0123456789"},
	 "GET",
	 9,
	 0,
	 ERR_TRANSIENT,
	 false,
	 "larger than 9 bytes"},
	{"over the cap after a write",
	 {.status = 201, .body = "0123456789"},
	 "POST",
	 9,
	 0,
	 ERR_TRANSIENT,
	 true,
	 "larger than 9 bytes"},
	{"not HTTP",
	 {.fault = SCRIPTED_RAW, .body = "SSH-2.0-x\r\n"},
	 "GET",
	 0,
	 0,
	 ERR_TRANSIENT,
	 false,
	 NULL},
	{"bad gzip",
	 {.status = 200, .headers = "Content-Encoding: gzip\r\n", .body = "xxxxxxxxxxxxx"},
	 "GET",
	 0,
	 0,
	 ERR_TRANSIENT,
	 false,
	 NULL},
	{"interim answer first",
	 {.fault = SCRIPTED_RAW,
	  .body = "HTTP/1.1 103 hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: "
		  "2\r\n\r\nok"},
	 "GET",
	 0,
	 0,
	 ERR_OK,
	 false,
	 NULL},
};

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct scripted_answer script = faults[i].answer;
		struct scripted_server *server;
		AUTO_RESPONSE struct http_response response;
		struct http *http = http_new(&plain_options);
		struct http_request request;
		struct err err = {0};

		print_message("%s\n", faults[i].name);
		script.expect = faults[i].method;
		server = scripted_start(&script, 1);
		request = request_to(server, faults[i].method, "/p?secret=1");
		request.response_max = faults[i].response_max;
		if (faults[i].timeout_ms)
			request.timeout_ms = faults[i].timeout_ms;
		request.body = str_eq(faults[i].method, "POST") ? "body" : NULL;
		request.body_len = request.body ? 4 : 0;
		assert_int_equal(http_do(http, &request, &response, &err), faults[i].want);
		assert_int_equal(err.in_doubt, faults[i].in_doubt);
		if (faults[i].says && !strstr(err.msg, faults[i].says))
			fail_msg("\"%s\"", err.msg);
		if (faults[i].want)
			assert_non_null(strstr(err.msg, "127.0.0.1"));
		assert_null(strstr(err.msg, "secret"));
		assert_int_equal(scripted_count(server), 1);
		http_free(http);
		scripted_stop(server);
	}
}

static void test_gzip_is_decoded_and_capped(void **state)
{
	static char bomb[1 << 20];
	size_t bomb_len = 0;
	FILE *file = NULL;
	char path[] = "/tmp/kfops-gzip-XXXXXX";
	int fd = mkstemp(path), status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		dup2(fd, STDOUT_FILENO);
		execlp("sh", "sh", "-c", "head -c 20000000 /dev/zero | gzip -9", (char *)NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	file = fopen(path, "rb");
	bomb_len = fread(bomb, 1, sizeof bomb, file);
	fclose(file);
	close(fd);
	unlink(path);
	assert_true(bomb_len > 1000 && bomb_len < 100000);
	{
		const struct scripted_answer script[] = {
			{.expect = "GET /small",
			 .status = 200,
			 .body = gzip_small,
			 .body_len = sizeof gzip_small - 1,
			 .headers = "Content-Encoding: gzip\r\n"},
			{.expect = "GET /bomb",
			 .status = 200,
			 .body = bomb,
			 .body_len = bomb_len,
			 .headers = "Content-Encoding: gzip\r\n"},
		};
		struct scripted_server *server = scripted_start(script, ARRAY_LEN(script));
		struct http *http = http_new(&plain_options);
		struct http_request request = request_to(server, "GET", "/small");
		AUTO_RESPONSE struct http_response small, large;
		struct err err;

		assert_int_equal(http_do(http, &request, &small, NULL), ERR_OK);
		assert_string_equal(buf_text(&small.body), "{\"a\":1}");
		request = request_to(server, "GET", "/bomb");
		assert_int_equal(http_do(http, &request, &large, &err), ERR_TRANSIENT);
		assert_non_null(strstr(err.msg, "larger than 8388608 bytes"));
		assert_true(large.body.cap <= 2 * 8388608);
		http_free(http);
		scripted_stop(server);
	}
}

/* A keep-alive connection that the far side closed may be replaced for a read, but a write that was
 * perhaps acted on is not sent a second time behind the caller's back. */
static void test_a_write_is_never_sent_twice(void **state)
{
	static const struct {
		const char *method;
		enum err_class want;
		int want_requests;
	} cases[] = {{"GET", ERR_OK, 3}, {"POST", ERR_TRANSIENT, 2}, {"DELETE", ERR_TRANSIENT, 2}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct scripted_answer script[] = {
			{.expect = "GET /first", .status = 200},
			{.expect = cases[i].method, .fault = SCRIPTED_RESET},
			{.expect = cases[i].method, .status = 200},
		};
		struct scripted_server *server = scripted_start(script, ARRAY_LEN(script));
		struct http *http = http_new(&plain_options);
		struct http_request request = request_to(server, "GET", "/first");
		AUTO_RESPONSE struct http_response first, second;
		struct err err = {0};

		print_message("%s\n", cases[i].method);
		assert_int_equal(http_do(http, &request, &first, NULL), ERR_OK);
		request = request_to(server, cases[i].method, "/second");
		assert_int_equal(http_do(http, &request, &second, &err), cases[i].want);
		assert_int_equal(err.in_doubt, cases[i].want != ERR_OK);
		assert_int_equal(scripted_count(server), cases[i].want_requests);
		http_free(http);
		scripted_stop(server);
	}
}

static const struct {
	const char *name, *url;
	bool allow_http;
	enum err_class want;
	const char *says;
} places[] = {
	{"nobody listens", "http://127.0.0.1:1/", true, ERR_TRANSIENT, "127.0.0.1:1"},
	{"no such name", "https://no-such-host.invalid/x", false, ERR_TRANSIENT,
	 "no-such-host.invalid"},
	{"http not allowed", "http://127.0.0.1:1/", false, ERR_CONFIG, "http"},
	{"file", "file:///etc/passwd", true, ERR_CONFIG, NULL},
	{"gopher", "gopher://127.0.0.1:1/x", true, ERR_CONFIG, NULL},
	{"no address", "", true, ERR_CONFIG, NULL},
	{"bad port", "http://127.0.0.1:99999/", true, ERR_CONFIG, NULL},
	{"user in the address", "http://user:s3cret@127.0.0.1:1/?t=s3cret", true, ERR_TRANSIENT,
	 NULL},
};

static void test_places(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct http_options options = {.allow_http = places[i].allow_http,
					       .connect_timeout_ms = 2000};
		struct http_request request = {
			.method = "POST", .url = places[i].url, .body = "x", .body_len = 1};
		AUTO_RESPONSE struct http_response response;
		struct http *http = http_new(&options);
		struct err err = {0};

		print_message("%s\n", places[i].name);
		assert_int_equal(http_do(http, &request, &response, &err), places[i].want);
		assert_false(err.in_doubt);
		assert_null(strstr(err.msg, "s3cret"));
		if (places[i].says && !strstr(err.msg, places[i].says))
			fail_msg("\"%s\"", err.msg);
		http_free(http);
	}
}

static const struct {
	const char *name, *url;
	enum http_reach reach;
	enum err_class want;
} reaches[] = {
	{"loopback as a service", "http://127.0.0.1:%d/", HTTP_REACH_SERVICE, ERR_OK},
	{"loopback", "http://127.0.0.1:%d/", HTTP_REACH_LOOPBACK, ERR_OK},
	{"loopback by name", "http://localhost:%d/", HTTP_REACH_LOOPBACK, ERR_OK},
	{"elsewhere", "http://192.0.2.1:%d/", HTTP_REACH_LOOPBACK, ERR_CONFIG},
	{"metadata", "http://169.254.169.254/", HTTP_REACH_SERVICE, ERR_CONFIG},
	{"metadata as one number", "http://2852039166/", HTTP_REACH_SERVICE, ERR_CONFIG},
	{"metadata in hex", "http://0xa9fea9fe/", HTTP_REACH_SERVICE, ERR_CONFIG},
	{"metadata in IPv6", "http://[::ffff:169.254.169.254]/", HTTP_REACH_SERVICE, ERR_CONFIG},
	{"link-local", "http://[fe80::1]/", HTTP_REACH_SERVICE, ERR_CONFIG},
	{"no host", "http://0.0.0.0:%d/", HTTP_REACH_SERVICE, ERR_CONFIG},
};

static void test_reach(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "GET /", .status = 200, .always = true}};
	struct scripted_server *server = scripted_start(script, ARRAY_LEN(script));
	int answered = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reaches); i++) {
		struct http *http = http_new(&plain_options);
		AUTO_RESPONSE struct http_response response;
		struct http_request request = {.method = "GET", .reach = reaches[i].reach};
		struct err err = {0};
		char url[128], *port;

		print_message("  %s\n", reaches[i].name);
		str_copy(url, sizeof url, reaches[i].url);
		if ((port = strstr(url, "%d")))
			snprintf(port, sizeof url - (size_t)(port - url), "%d/", server->port);
		request.url = url;
		assert_int_equal(http_do(http, &request, &response, &err), reaches[i].want);
		if (reaches[i].want)
			assert_string_equal(err.code, "http.out_of_reach");
		answered += !reaches[i].want;
		assert_int_equal(scripted_count(server), answered);
		http_free(http);
	}
	scripted_stop(server);
}

/* A proxy would resolve the name by itself. */
static void test_a_bounded_reach_needs_no_proxy(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "GET http://127.0.0.1:1/", .status = 200, .always = true}};
	struct scripted_server *proxy = scripted_start(script, ARRAY_LEN(script));
	struct http_request request = {.method = "GET", .url = "http://127.0.0.1:1/"};

	(void)state;
	assert_int_equal(setenv("http_proxy", proxy->url, 1), 0);
	for (enum http_reach reach = HTTP_REACH_ANY; reach <= HTTP_REACH_LOOPBACK; reach++) {
		struct http *http = http_new(&plain_options);
		AUTO_RESPONSE struct http_response response;

		request.reach = reach;
		assert_int_equal(http_do(http, &request, &response, NULL),
				 reach == HTTP_REACH_ANY ? ERR_OK : ERR_TRANSIENT);
		http_free(http);
	}
	unsetenv("http_proxy");
	assert_int_equal(scripted_count(proxy), 1);
	scripted_stop(proxy);
}

static void test_connect_to(void **state)
{
	static const struct scripted_answer script[] = {{.expect = "GET /x", .status = 200}};
	struct scripted_server *server = scripted_start(script, ARRAY_LEN(script));
	struct http *http = http_new(&plain_options);
	AUTO_FREE char *there = str_printf("127.0.0.1:%d", server->port);
	struct http_request request = {.method = "GET",
				       .url = "http://iris.models.invalid/x",
				       .connect_to = there,
				       .reach = HTTP_REACH_SERVICE};
	AUTO_RESPONSE struct http_response response, after;

	(void)state;
	assert_int_equal(http_do(http, &request, &response, NULL), ERR_OK);
	assert_int_equal(scripted_count(server), 1);
	assert_string_equal(scripted_header(&server->requests[0], "host"), "iris.models.invalid");
	request.connect_to = "169.254.169.254:80";
	assert_int_equal(http_do(http, &request, &after, NULL), ERR_CONFIG);
	http_free(http);
	scripted_stop(server);
}

static void test_a_header_cannot_start_another(void **state)
{
	struct http *http = http_new(&plain_options);
	struct http_request request = {
		.method = "GET",
		.url = "http://127.0.0.1:1/",
		.headers = {{"Authorization", "Bearer a\r\nX-Evil: 1"}},
	};
	AUTO_RESPONSE struct http_response response;
	struct err err;

	(void)state;
	assert_int_equal(http_do(http, &request, &response, &err), ERR_CONFIG);
	assert_non_null(strstr(err.msg, "Authorization"));
	assert_null(strstr(err.msg, "Bearer"));
	http_free(http);
}

static void test_upload(void **state)
{
	static const struct scripted_answer script[] = {{.expect = "POST /up", .status = 200}};
	struct scripted_server *server = scripted_start(script, ARRAY_LEN(script));
	struct http *http = http_new(&plain_options);
	struct http_request request = request_to(server, "POST", "/up");
	struct http_upload upload = {"uploadfile", "p\"i.yaml", "application/yaml", "a: \0b", 5};
	AUTO_RESPONSE struct http_response response;
	const struct scripted_request *seen = &server->requests[0];

	(void)state;
	request.upload = &upload;
	assert_int_equal(http_do(http, &request, &response, NULL), ERR_OK);
	assert_int_equal(scripted_count(server), 1);
	assert_true(str_starts(scripted_header(seen, "content-type"),
			       "multipart/form-data; boundary="));
	assert_non_null(strstr(seen->body, "name=\"uploadfile\"; filename=\"p%22i.yaml\""));
	assert_non_null(strstr(seen->body, "Content-Type: application/yaml"));
	assert_non_null(memmem(seen->body, seen->body_len, "\r\n\r\na: \0b\r\n--", 13));
	http_free(http);
	scripted_stop(server);
}

static void *abort_soon(void *arg)
{
	struct scripted_server *server = arg;

	/* The request has arrived, so it is under way. */
	while (!scripted_count(server))
		usleep(1000);
	http_abort_all();
	return NULL;
}

static void test_abort(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "POST /slow", .fault = SCRIPTED_SILENT},
		{.expect = "GET /after", .status = 200},
	};
	struct scripted_server *server = scripted_start(script, ARRAY_LEN(script));
	struct http *http = http_new(&plain_options);
	struct http_request request = request_to(server, "POST", "/slow");
	AUTO_RESPONSE struct http_response slow, after;
	struct err err;
	pthread_t thread;

	(void)state;
	request.timeout_ms = 60000;
	pthread_create(&thread, NULL, abort_soon, server);
	assert_int_equal(http_do(http, &request, &slow, &err), ERR_TRANSIENT);
	pthread_join(thread, NULL);
	assert_true(slow.took_ms < 5000);
	assert_true(err.in_doubt);
	assert_non_null(strstr(err.msg, "kfops stops"));
	request = request_to(server, "GET", "/after");
	assert_int_equal(http_do(http, &request, &after, NULL), ERR_OK);
	http_free(http);
	scripted_stop(server);
}

static void test_escape(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", ""},
		{"aZ09-._~", "aZ09-._~"},
		{"a/b c?d=e&f#g%h+i", "a%2Fb%20c%3Fd%3De%26f%23g%25h%2Bi"},
		{"\xc3\xa4\n", "%C3%A4%0A"},
		{"../..", "..%2F.."},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF struct buf out = buf_make(1000);

		http_escape(&out, cases[i].text);
		assert_string_equal(buf_text(&out), cases[i].want);
	}
}

static int global_init(void **state)
{
	(void)state;
	http_global_init();
	return 0;
}

static const struct CMUnitTest http_tests[] = {
	cmocka_unit_test(test_sends_what_it_was_given),
	cmocka_unit_test(test_faults),
	cmocka_unit_test(test_gzip_is_decoded_and_capped),
	cmocka_unit_test(test_a_write_is_never_sent_twice),
	cmocka_unit_test(test_places),
	cmocka_unit_test(test_reach),
	cmocka_unit_test(test_a_bounded_reach_needs_no_proxy),
	cmocka_unit_test(test_connect_to),
	cmocka_unit_test(test_a_header_cannot_start_another),
	cmocka_unit_test(test_upload),
	cmocka_unit_test(test_abort),
	cmocka_unit_test(test_escape),
};

CASES_MAIN(http_tests, global_init, NULL)
