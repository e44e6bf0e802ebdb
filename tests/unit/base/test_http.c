/* HTTP out, against a scripted server on loopback. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
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

/* --- TLS, with the openssl program as the far side --- */

static pid_t run_openssl(const char *const *argv, int *out_fd)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(open("/dev/null", O_RDWR), STDERR_FILENO);
		execvp("openssl", (char *const *)argv);
		_exit(127);
	}
	close(fds[1]);
	*out_fd = fds[0];
	return pid;
}

/* s_server prints "ACCEPT 127.0.0.1:PORT" when it is ready. */
static int port_of(int fd)
{
	char text[1024] = "";
	size_t len = 0;
	int port = 0;

	while (len < sizeof text - 1) {
		const char *line = strstr(text, "ACCEPT ");
		ssize_t n;

		if (line && strchr(line, '\n'))
			return sscanf(line, "ACCEPT 127.0.0.1:%d", &port) == 1 ? port : 0;
		n = read(fd, text + len, sizeof text - 1 - len);
		if (n <= 0)
			return 0;
		len += (size_t)n;
		text[len] = '\0';
	}
	return 0;
}

static void expect_tls_with(const struct http_options *options, int port, const char *host,
			    enum err_class want, const char *says)
{
	struct http *http = http_new(options);
	AUTO_RESPONSE struct http_response response;
	AUTO_FREE char *url = str_printf("https://%s:%d/", host, port);
	struct http_request request = {.method = "GET", .url = url, .timeout_ms = 5000};
	struct err err = {0};

	assert_int_equal(http_do(http, &request, &response, &err), want);
	if (says && !strstr(err.msg, says))
		fail_msg("\"%s\"", err.msg);
	http_free(http);
}

static void expect_tls(int port, const char *host, const char *ca_file, enum err_class want,
		       const char *says)
{
	struct http_options options = {.ca_file = ca_file};

	expect_tls_with(&options, port, host, want, says);
}

/* A folder of hashed certificates vouches like a file; a name that only looks hashed does not. */
static void expect_tls_by_folder(int port, const char *above, const char *cert)
{
	AUTO_FREE char *dir = str_printf("%s/hashed", above), *copy = str_printf("%s/c.pem", dir);
	const char *rehash[] = {"openssl", "rehash", dir, NULL};
	struct http_options options = {.ca_dir = dir};
	struct dirent *entry;
	int fd, status;
	pid_t pid;
	DIR *list;

	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(link(cert, copy), 0);
	expect_tls_with(&options, port, "127.0.0.1", ERR_CONFIG, "certificate");
	pid = run_openssl(rehash, &fd);
	waitpid(pid, &status, 0);
	close(fd);
	assert_int_equal(status, 0);
	expect_tls_with(&options, port, "127.0.0.1", ERR_OK, NULL);
	expect_tls_with(&options, port, "localhost", ERR_CONFIG, "localhost");
	list = opendir(dir);
	while ((entry = readdir(list)))
		if (entry->d_name[0] != '.')
			assert_int_equal(unlinkat(dirfd(list), entry->d_name, 0), 0);
	assert_int_equal(symlinkat("/dev/null", dirfd(list), "0123abcd.0"), 0);
	expect_tls_with(&options, port, "127.0.0.1", ERR_CONFIG, "certificate");
	assert_int_equal(unlinkat(dirfd(list), "0123abcd.0", 0), 0);
	closedir(list);
	assert_int_equal(rmdir(dir), 0);
}

static char *read_text(const char *path)
{
	AUTO_BUF struct buf text = buf_make(1 << 16);
	FILE *file = fopen(path, "re");
	char chunk[4096];

	assert_non_null(file);
	for (size_t got; (got = fread(chunk, 1, sizeof chunk, file)) > 0;)
		buf_add(&text, chunk, got);
	fclose(file);
	return buf_take(&text);
}

static enum err_class ask_with(struct http *http, int port, const char *host,
			       const struct http_tls *tls)
{
	AUTO_RESPONSE struct http_response response;
	AUTO_FREE char *url = str_printf("https://%s:%d/", host, port);
	AUTO_FREE char *there = str_printf("127.0.0.1:%d", port);
	struct http_request request = {.method = "GET", .url = url, .timeout_ms = 5000, .tls = tls};

	if (str_eq(host, "kubernetes.default"))
		request.connect_to = there;
	return http_do(http, &request, &response, NULL);
}

/* What one request trusts says nothing about the next, on the same client. */
static void expect_tls_in_memory(int port, const char *cert_file)
{
	static const char other[] =
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	AUTO_FREE char *ca = read_text(cert_file);
	struct http_tls trusting = {.ca = ca}, wrong = {.ca = other}, open = {.unverified = true};
	struct http *http = http_new(&(struct http_options){.user_agent = "kfops/test"});

	assert_int_equal(ask_with(http, port, "127.0.0.1", &trusting), ERR_OK);
	assert_int_equal(ask_with(http, port, "127.0.0.1", NULL), ERR_CONFIG);
	assert_int_equal(ask_with(http, port, "127.0.0.1", &wrong), ERR_CONFIG);
	assert_int_equal(ask_with(http, port, "localhost", &trusting), ERR_CONFIG);
	assert_int_equal(ask_with(http, port, "kubernetes.default", &trusting), ERR_OK);
	assert_int_equal(ask_with(http, port, "localhost", &open), ERR_OK);
	assert_int_equal(ask_with(http, port, "localhost", &trusting), ERR_CONFIG);
	http_free(http);
}

/* The far side wants to see a certificate of ours. */
static void expect_client_certificate(const char *cert_file, const char *key_file)
{
	const char *serve[] = {"openssl", "s_server",
			       "-accept", "127.0.0.1:0",
			       "-cert",	  cert_file,
			       "-key",	  key_file,
			       "-www",	  "-Verify",
			       "1",	  "-CAfile",
			       cert_file, "-verify_return_error",
			       NULL};
	AUTO_FREE char *cert = read_text(cert_file), *key = read_text(key_file);
	struct http_tls with = {.ca = cert, .cert = cert, .key = key}, without = {.ca = cert};
	struct http_tls broken = {.ca = cert, .cert = cert, .key = cert};
	struct http *http = http_new(&(struct http_options){.user_agent = "kfops/test"});
	int fd, port, status;
	pid_t pid = run_openssl(serve, &fd);

	port = port_of(fd);
	assert_true(port > 0);
	assert_int_equal(ask_with(http, port, "127.0.0.1", &with), ERR_OK);
	assert_true(ask_with(http, port, "127.0.0.1", &without) != ERR_OK);
	assert_int_equal(ask_with(http, port, "127.0.0.1", &broken), ERR_CONFIG);
	http_free(http);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(fd);
}

static void test_tls_is_verified(void **state)
{
	char dir[] = "/tmp/kfops-tls-XXXXXX", cert[64], key[64];
	const char *make[] = {"openssl",  "req",
			      "-x509",	  "-newkey",
			      "rsa:2048", "-nodes",
			      "-days",	  "2",
			      "-subj",	  "/CN=kfops test",
			      "-addext",  "subjectAltName=IP:127.0.0.1,DNS:kubernetes.default",
			      "-keyout",  key,
			      "-out",	  cert,
			      NULL};
	const char *serve[] = {"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
			       cert,	  "-key",     key,	 "-www",	NULL};
	int fd, status, port;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(cert, sizeof cert, "%s/cert.pem", dir);
	snprintf(key, sizeof key, "%s/key.pem", dir);
	pid = run_openssl(make, &fd);
	waitpid(pid, &status, 0);
	close(fd);
	if (status) {
		rmdir(dir);
		print_message("skipped: no openssl program\n");
		return;
	}
	pid = run_openssl(serve, &fd);
	port = port_of(fd);
	assert_true(port > 0);
	expect_tls(port, "127.0.0.1", cert, ERR_OK, NULL);
	expect_tls(port, "127.0.0.1", NULL, ERR_CONFIG, "certificate");
	expect_tls(port, "localhost", cert, ERR_CONFIG, "localhost");
	expect_tls(port, "127.0.0.1", "/nonexistent.pem", ERR_CONFIG, NULL);
	expect_tls_by_folder(port, dir, cert);
	expect_tls_in_memory(port, cert);
	expect_client_certificate(cert, key);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(fd);
	unlink(cert);
	unlink(key);
	rmdir(dir);
}

static void test_plain_text_on_a_tls_address(void **state)
{
	static const struct scripted_answer script[] = {{.expect = "GET", .status = 200}};
	struct scripted_server *server = scripted_start(script, ARRAY_LEN(script));
	struct http *http = http_new(&plain_options);
	AUTO_FREE char *url = str_printf("https://127.0.0.1:%d/", server->port);
	struct http_request request = {.method = "GET", .url = url, .timeout_ms = 1000};
	AUTO_RESPONSE struct http_response response;
	struct err err = {0};

	(void)state;
	assert_true(http_do(http, &request, &response, &err) != ERR_OK);
	assert_false(err.in_doubt);
	http_free(http);
	scripted_stop(server);
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
	cmocka_unit_test(test_tls_is_verified),
	cmocka_unit_test(test_plain_text_on_a_tls_address),
};

CASES_MAIN(http_tests, global_init, NULL)
