/* test_receive.c - what each kind of request is answered, over real sockets with a real store.
 * Names of cases are those of the list of attacks where there is one. */
#include "tests/unit/cases.h"

#include "lib/store/outbox.h"
#include "tests/unit/bot/hook.h"
#include "tests/unit/samples.h"

static struct reply reply;

/* --- signatures --- */

static void test_signatures(void **state)
{
	static const struct {
		const char *name;
		const char *secret; /* NULL: ours */
		const char *prefix; /* NULL: no signature header of the new kind */
		int digits;
		const char *suffix;
		bool upper, twice;
		const char *add;
		int status;
	} cases[] = {
		{"authentic", NULL, "sha256=", 64, "", false, false, NULL, 202},
		{"rotation: old key inside the window", HOOK_OLD_SECRET, "sha256=", 64, "", false,
		 false, NULL, 202},
		{"no signature", NULL, NULL, 0, "", false, false, NULL, 401},
		{"wrong secret", "guessed", "sha256=", 64, "", false, false, NULL, 401},
		{"SHA-1 only", NULL, NULL, 0, "", false, false,
		 "X-Hub-Signature: sha1=0123456789012345678901234567890123456789\r\n", 401},
		{"malformed signature: short", NULL, "sha256=", 62, "", false, false, NULL, 401},
		{"malformed signature: odd", NULL, "sha256=", 63, "", false, false, NULL, 401},
		{"malformed signature: long", NULL, "sha256=", 64, "00", false, false, NULL, 401},
		{"malformed signature: non-hex", NULL, "sha256=", 63, "g", false, false, NULL, 401},
		{"malformed signature: upper-case", NULL, "sha256=", 64, "", true, false, NULL,
		 401},
		{"malformed signature: upper-case name", NULL, "SHA256=", 64, "", false, false,
		 NULL, 401},
		{"malformed signature: trailing space", NULL, "sha256=", 64, " ", false, false,
		 NULL, 401},
		{"malformed signature: two in one", NULL, "sha256=", 64, ", sha256=00", false,
		 false, NULL, 401},
		{"malformed signature: two headers", NULL, "sha256=", 64, "", false, true, NULL,
		 401},
		{"malformed signature: no name", NULL, "", 64, "", false, false, NULL, 401},
		{"malformed signature: other name", NULL, "sha512=", 64, "", false, false, NULL,
		 401},
		{"malformed signature: empty value", NULL, "sha256=", 0, "", false, false, NULL,
		 401},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *body = comment_payload(&(struct comment_spec){.text = "/build"});
		char real[72], sent[128] = "", add[256] = "";
		int64_t jobs = bot_job_count(), refused = deliveries("refused");
		const char *secret = cases[i].secret ? cases[i].secret : HOOK_SECRET;
		struct hook hook = {.body = body, .signature = sent, .add = add};

		print_message("  %s\n", cases[i].name);
		hook_sign(real, secret, body, strlen(body));
		for (char *p = real; cases[i].upper && *p; p++)
			if (*p >= 'a' && *p <= 'f')
				*p = (char)(*p - 'a' + 'A');
		if (cases[i].prefix)
			snprintf(sent, sizeof sent, "%s%.*s%s", cases[i].prefix, cases[i].digits,
				 real + 7, cases[i].suffix);
		if (cases[i].add)
			str_copy(add, sizeof add, cases[i].add);
		if (cases[i].twice)
			snprintf(add, sizeof add, "X-Hub-Signature-256: %s\r\n", sent);
		assert_int_equal(hook_send(&hook, &reply), cases[i].status);
		assert_int_equal(bot_job_count(), jobs + (cases[i].status == 202));
		if (cases[i].status == 401) {
			assert_non_null(strstr(reply.text, "\r\n\r\nunauthorized\n"));
			assert_int_equal(deliveries("refused"), refused + 1);
		}
		mem_free(body);
	}
}

static void test_one_byte_changed(void **state)
{
	char *body = comment_payload(&(struct comment_spec){.text = "/build"});
	char signature[72];

	(void)state;
	hook_sign(signature, HOOK_SECRET, body, strlen(body));
	body[strlen(body) / 2] ^= 1;
	assert_int_equal(hook_send(&(struct hook){.body = body, .signature = signature}, &reply),
			 401);
	assert_int_equal(bot_job_count(), 0);
	mem_free(body);
}

static void test_rotation_after_the_window(void **state)
{
	struct receive_options options = hook_options();
	char *body = comment_payload(&(struct comment_spec){.text = "/build"});

	(void)state;
	options.secrets[1] = NULL;
	bot_reopen(&options, 1024);
	assert_int_equal(hook_send(&(struct hook){.body = body, .secret = HOOK_OLD_SECRET}, &reply),
			 401);
	assert_int_equal(hook_send(&(struct hook){.body = body}, &reply), 202);
	mem_free(body);
}

static void test_published_signatures(void **state)
{
	size_t len = 0;
	char *text = sample_read(true, "github/signature-vectors.json", &len);
	json_t *file, *vector;
	size_t i;

	(void)state;
	if (!text) {
		print_message("skipped: no shared samples\n");
		skip();
	}
	file = json_loadb(text, len, 0, NULL);
	assert_non_null(file);
	json_array_foreach(json_object_get(file, "vectors"), i, vector)
	{
		struct receive_options options = hook_options();
		const char *body = json_string_value(json_object_get(vector, "body_utf8"));
		const char *type = json_string_value(json_object_get(vector, "content_type"));
		bool is_json = str_eq(type, "application/json");

		if (!body || !*body)
			continue;
		print_message("  %s\n", json_string_value(json_object_get(vector, "name")));
		options.secrets[0] = json_string_value(json_object_get(vector, "secret"));
		bot_reopen(&options, 1024);
		/* An event that is not read, so that the signature alone decides. */
		assert_int_equal(
			hook_send(&(struct hook){.event = "watch",
						 .body = body,
						 .type = type,
						 .signature = json_string_value(json_object_get(
							 vector, "x_hub_signature_256"))},
				  &reply),
			is_json ? 202 : 415);
	}
	json_decref(file);
	mem_free(text);
}

static void test_empty_secret_configured(void **state)
{
	static const struct {
		const char *name;
		const char *first, *second;
		const char *listen, *path;
	} cases[] = {
		{"no secret", NULL, NULL, NULL, NULL},
		{"empty secret", "", NULL, NULL, NULL},
		{"white space", " \t\n", NULL, NULL, NULL},
		{"second one empty", HOOK_SECRET, "", NULL, NULL},
		{"no port", HOOK_SECRET, NULL, "127.0.0.1", NULL},
		{"a name", HOOK_SECRET, NULL, "localhost:0", NULL},
		{"not our address", HOOK_SECRET, NULL, "192.0.2.1:0", NULL},
		{"path without slash", HOOK_SECRET, NULL, NULL, "webhook"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct receive_options options = hook_options();
		struct receive *receive;
		struct err err = {0};

		print_message("  %s\n", cases[i].name);
		options.secrets[0] = cases[i].first;
		options.secrets[1] = cases[i].second;
		if (cases[i].listen)
			options.listen = cases[i].listen;
		if (cases[i].path)
			options.path = cases[i].path;
		assert_int_equal(receive_open(&receive, &options, bot.writer, &err), ERR_CONFIG);
		assert_true(strlen(err.msg) > 10);
	}
}

/* --- headers --- */

static void test_headers(void **state)
{
	static const struct {
		const char *name;
		const char *event, *guid, *type, *add;
		int status;
	} cases[] = {
		{"as GitHub sends it", NULL, NULL, NULL, NULL, 202},
		{"with a character set", NULL, NULL, "application/json; charset=utf-8", NULL, 202},
		{"form encoding", NULL, NULL, "application/x-www-form-urlencoded", NULL, 415},
		{"no content type", NULL, NULL, "", NULL, 415},
		{"a longer type", NULL, NULL, "application/jsonp", NULL, 415},
		{"oversize: gzip bomb", NULL, NULL, NULL, "Content-Encoding: gzip\r\n", 415},
		{"no event", "", NULL, NULL, NULL, 400},
		{"event with odd characters", "issue/comment", NULL, NULL, NULL, 400},
		{"two events", NULL, NULL, NULL, "X-GitHub-Event: ping\r\n", 400},
		{"no GUID", NULL, "", NULL, NULL, 400},
		{"GUID too short", NULL, "72d3162e-cc78-11e3-81ab-4c9367dc095", NULL, NULL, 400},
		{"GUID with a letter too far", NULL, "72d3162e-cc78-11e3-81ab-4c9367dc095g", NULL,
		 NULL, 400},
		{"GUID with a dash missing", NULL, "72d3162e0cc78-11e3-81ab-4c9367dc0958", NULL,
		 NULL, 400},
		{"GUID in upper case", NULL, "72D3162E-CC78-11E3-81AB-4C9367DC0958", NULL, NULL,
		 202},
		{"two GUIDs", NULL, NULL, NULL,
		 "X-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958\r\n", 400},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *body = comment_payload(&(struct comment_spec){.text = "/build"});
		int64_t jobs = bot_job_count();
		struct hook hook = {.body = body,
				    .event = cases[i].event,
				    .guid = cases[i].guid,
				    .type = cases[i].type,
				    .add = cases[i].add};

		print_message("  %s\n", cases[i].name);
		assert_int_equal(hook_send(&hook, &reply), cases[i].status);
		assert_int_equal(bot_job_count(), jobs + (cases[i].status == 202));
		assert_non_null(strstr(reply.text, "X-Content-Type-Options: nosniff"));
		mem_free(body);
	}
}

/* Smuggling: refused and the connection closed, whatever follows. */
static void test_smuggling(void **state)
{
#define HEAD "POST /webhook HTTP/1.1\r\nHost: bot\r\n"
	static const struct {
		const char *name;
		const char *text;
		size_t len;
		int status; /* 0: closed without a word is fine too */
	} cases[] = {
#define RAW(text_) (text_), sizeof(text_) - 1
		{"CL+TE",
		 RAW(HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
		{"TE+CL",
		 RAW(HEAD "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), 400},
		{"two CLs", RAW(HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), 400},
		{"two equal CLs", RAW(HEAD "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
		 400},
		{"list of CLs", RAW(HEAD "Content-Length: 5, 5\r\n\r\nhello"), 400},
		{"negative CL", RAW(HEAD "Content-Length: -5\r\n\r\nhello"), 400},
		{"CL with a sign", RAW(HEAD "Content-Length: +5\r\n\r\nhello"), 400},
		{"hexadecimal CL", RAW(HEAD "Content-Length: 0x5\r\n\r\nhello"), 400},
		{"two TEs",
		 RAW(HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
			  "0\r\n\r\n"),
		 400},
		{"unknown TE", RAW(HEAD "Transfer-Encoding: gzip\r\n\r\nhello"), 400},
		{"TE behind another", RAW(HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
		 400},
		{"obs-fold", RAW(HEAD "X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n"), 400},
		{"obs-fold hides a CL", RAW(HEAD "X-A: b\r\n\tContent-Length: 5\r\nX-B: c\r\n\r\n"),
		 400},
		{"NUL in header", RAW(HEAD "X-A: b\0c\r\nContent-Length: 0\r\n\r\n"), 400},
		{"NUL in a header's name", RAW(HEAD "X-\0A: b\r\nContent-Length: 0\r\n\r\n"), 400},
		{"bare LF", RAW(HEAD "X-A: b\nContent-Length: 0\r\n\r\n"), 400},
		{"bare LF at the end", RAW(HEAD "Content-Length: 0\n\n"), 400},
		{"an empty line of LF", RAW(HEAD "Content-Length: 0\r\n\n"), 400},
		{"bare LF before the empty line", RAW(HEAD "Content-Length: 0\n\r\n"), 400},
		{"bare LF after the first line",
		 RAW("POST /webhook HTTP/1.1\nHost: bot\r\nContent-Length: 0\r\n\r\n"), 400},
		{"bare CR", RAW(HEAD "X-A: b\rX-C: d\r\nContent-Length: 0\r\n\r\n"), 400},
		{"blank before the colon", RAW(HEAD "Content-Length : 5\r\n\r\nhello"), 400},
		{"line without a colon", RAW(HEAD "Content-Length\r\n\r\n"), 400},
		{"no host", RAW("POST /webhook HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), 400},
		{"not HTTP", RAW("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), 0},
		{"HTTP/2", RAW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int fd = wire_open();

		print_message("  %s\n", cases[i].name);
		assert_true(wire_send(fd, cases[i].text, cases[i].len));
		wire_read(fd, &reply, 5000);
		if (cases[i].status)
			assert_int_equal(reply.status, cases[i].status);
		else
			assert_true(reply.status == 0 || reply.status >= 400);
		assert_true(wire_is_closed(fd, 5000));
		close(fd);
	}
	assert_int_equal(bot_job_count(), 0);
#undef HEAD
}

static void test_paths_and_methods(void **state)
{
	static const struct {
		const char *name, *line, *type, *header;
		int status;
	} cases[] = {
		{"page", "GET /healthz", NULL, "text/plain; charset=utf-8", 200},
		{"page with a query", "GET /healthz?x=1", NULL, "no-store", 200},
		{"page without its body", "HEAD /healthz", NULL, "no-store", 200},
		{"page of another method", "POST /healthz", NULL, "Allow: GET, HEAD", 405},
		{"unknown page", "GET /unknown", NULL, "nosniff", 404},
		{"unknown page, other method", "DELETE /unknown", NULL, "nosniff", 404},
		{"webhook read", "GET /webhook", NULL, "Allow: POST", 405},
		{"webhook put", "PUT /webhook", NULL, "Allow: POST", 405},
		{"webhook's path with more", "POST /webhook/", NULL, "nosniff", 404},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int len = snprintf(text, sizeof text,
				   "%s HTTP/1.1\r\nHost: bot\r\nContent-Length: %d\r\n"
				   "Connection: close\r\n\r\n",
				   cases[i].line, 0);

		print_message("  %s\n", cases[i].name);
		if (str_starts(cases[i].line, "HEAD")) {
			int fd = wire_open();

			assert_true(wire_send(fd, text, (size_t)len));
			memset(&reply, 0, sizeof reply);
			assert_true(recv(fd, reply.text, REPLY_MAX - 1, 0) > 0);
			assert_non_null(strstr(reply.text, " 200 "));
			close(fd);
		} else {
			assert_int_equal(wire_ask(text, (size_t)len, &reply), cases[i].status);
		}
		assert_non_null(strstr(reply.text, cases[i].header));
	}
}

/* --- bodies --- */

static void test_oversize(void **state)
{
	static const struct {
		const char *name, *length;
		int status;
	} cases[] = {
		{"25 MiB and one byte", "26214401", 413},
		{"1 GiB", "1073741824", 413},
		{"4 GB", "4294967296", 413},
		{"past 63 bits", "9223372036854775808", 413},
		{"past 64 bits", "99999999999999999999999", 413},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf bytes = buf_make(4096);
		int fd = wire_open();

		print_message("  %s\n", cases[i].name);
		hook_write(&bytes, &(struct hook){.body = "{", .length = cases[i].length});
		assert_true(wire_send(fd, bytes.data, bytes.len));
		assert_int_equal(wire_read(fd, &reply, 5000), cases[i].status);
		assert_true(wire_is_closed(fd, 5000));
		close(fd);
		buf_dispose(&bytes);
	}
}

static void test_endless_chunked_body(void **state)
{
	static char chunk[65536 + 16];
	struct buf bytes = buf_make(4096);
	int fd = wire_open(), sent = 0;
	size_t len = 0;

	(void)state;
	hook_write(&bytes, &(struct hook){.body = "1\r\n{\r\n",
					  .length = "",
					  .add = "Transfer-Encoding: chunked\r\n"});
	assert_true(wire_send(fd, bytes.data, bytes.len));
	memcpy(chunk, "10000\r\n", 7);
	memset(chunk + 7, ' ', 65536);
	memcpy(chunk + 7 + 65536, "\r\n", 2);
	len = 7 + 65536 + 2;
	while (sent < 1000) { /* of 64 KiB */
		struct pollfd poller = {.fd = fd, .events = POLLIN};

		if (poll(&poller, 1, 0) > 0 || !wire_send(fd, chunk, len))
			break;
		sent++;
	}
	assert_in_range(sent, 390, 500); /* 400 make 25 MiB, the rest lies in the sockets */
	assert_int_equal(wire_read(fd, &reply, 5000), 413);
	assert_true(wire_is_closed(fd, 5000));
	close(fd);
	buf_dispose(&bytes);
}

static long resident_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (file) {
		if (fscanf(file, "%*d %ld", &pages) != 1)
			pages = 0;
		fclose(file);
	}
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A body of exactly the limit, of an event that is not read, is only hashed. */
static void test_the_largest_body(void **state)
{
	static const struct {
		const char *name, *event;
		size_t len;
		bool change;
		int status;
	} cases[] = {
		{"25 MiB of an event that is not used", "push", 25 << 20, false, 202},
		{"the same, changed after signing", "push", 25 << 20, true, 401},
		{"1 MiB and one byte of an event that is read", "issue_comment", (1 << 20) + 1,
		 false, 413},
		{"the same, changed after signing", "issue_comment", (1 << 20) + 1, true, 401},
		{"1 MiB of an event that is read, but not JSON", "issue_comment", 1 << 20, false,
		 400},
		{"64 KiB and one byte of an event that is not used", "push", (64 << 10) + 1, false,
		 202},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *body = mem_new(cases[i].len, 1), signature[72];
		long before;

		print_message("  %s\n", cases[i].name);
		memset(body, '[', cases[i].len);
		hook_sign(signature, HOOK_SECRET, body, cases[i].len);
		if (cases[i].change)
			body[cases[i].len - 1] = ' ';
		before = resident_kib();
		assert_int_equal(hook_send(&(struct hook){.body = body,
							  .body_len = cases[i].len,
							  .event = cases[i].event,
							  .signature = signature},
					   &reply),
				 cases[i].status);
		/* The test's own copy of the request is part of what is measured. */
		assert_true(resident_kib() - before < (long)(2 * cases[i].len >> 10) + 12000);
		mem_free(body);
	}
}

static void test_bad_json(void **state)
{
	static const struct {
		const char *name, *body;
		size_t len; /* 0: strlen */
		const char *event;
		int status;
	} cases[] = {
		{"empty body is no JSON", " ", 0, NULL, 400},
		{"cut off", "{\"action\":\"created\"", 0, NULL, 400},
		{"array", "[]", 0, NULL, 400},
		{"invalid UTF-8", "{\"action\":\"created\",\"x\":\"\xff\xfe\"}", 0, NULL, 400},
		{"NUL byte", "{\"action\":\"created\"\0}", 22, NULL, 400},
		{"1e999", "{\"action\":1e999}", 0, NULL, 400},
		{"no repository",
		 "{\"action\":\"created\",\"issue\":{\"number\":1,\"state\":\"open\","
		 "\"pull_request\":{}},\"comment\":{\"id\":1,\"body\":\"/build\"}}",
		 0, NULL, 400},
		{"id as string",
		 "{\"action\":\"created\",\"issue\":{\"number\":\"1\",\"state\":\"open\","
		 "\"pull_request\":{}},\"comment\":{\"id\":\"1\",\"body\":\"/build\",\"user\":"
		 "{\"id\":1,\"type\":\"User\"}},\"sender\":{\"type\":\"User\",\"id\":1}}",
		 0, NULL, 400},
		{"unknown action", "{\"action\":\"invented\"}", 0, NULL, 202},
		{"unknown event", "not even JSON", 0, "invented", 202},
		{"ping", "{\"zen\":\"Design for failure.\",\"hook_id\":1}", 0, "ping", 200},
		{"issue_comment under the name pull_request",
		 "{\"action\":\"created\",\"issue\":{},\"comment\":{}}", 0, "pull_request", 202},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("  %s\n", cases[i].name);
		assert_int_equal(hook_send(&(struct hook){.body = cases[i].body,
							  .body_len = cases[i].len,
							  .event = cases[i].event},
					   &reply),
				 cases[i].status);
	}
	assert_int_equal(bot_job_count(), 0);
	assert_int_equal(
		hook_send(&(struct hook){.body = "{\"zen\":\"x\"}", .event = "ping"}, &reply), 200);
	assert_non_null(strstr(reply.text, "pong"));
}

static void test_deep_json_bomb(void **state)
{
	static char bomb[100000];

	(void)state;
	memset(bomb, '[', sizeof bomb);
	assert_int_equal(hook_send(&(struct hook){.body = bomb, .body_len = sizeof bomb}, &reply),
			 400);
	assert_int_equal(
		hook_send(&(struct hook){.body = bomb, .body_len = sizeof bomb, .signature = ""},
			  &reply),
		401);
}

/* --- how a body may come --- */

static void test_ways_of_sending(void **state)
{
	char *body = comment_payload(&(struct comment_spec){.text = "/build"});
	size_t len = strlen(body);
	struct buf bytes = buf_make(65536), chunked = buf_make(65536);
	char signature[72];
	int fd = wire_open();

	(void)state;
	print_message("  byte by byte\n");
	hook_write(&bytes, &(struct hook){.body = body});
	for (size_t i = 0; i < bytes.len; i++)
		assert_true(wire_send(fd, bytes.data + i, 1));
	assert_int_equal(wire_read(fd, &reply, 5000), 202);
	print_message("  again on the same connection, two at once\n");
	assert_true(wire_send(fd, bytes.data, bytes.len));
	assert_int_equal(wire_read(fd, &reply, 5000), 202);
	close(fd);
	print_message("  in chunks\n");
	hook_sign(signature, HOOK_SECRET, body, len);
	for (size_t i = 0; i < len; i += 100) {
		size_t part = len - i < 100 ? len - i : 100;

		buf_printf(&chunked, "%zx;ext=1\r\n%.*s\r\n", part, (int)part, body + i);
	}
	buf_puts(&chunked, "0\r\nX-Trailer: x\r\n\r\n");
	assert_int_equal(hook_send(&(struct hook){.body = chunked.data,
						  .signature = signature,
						  .length = "",
						  .add = "Transfer-Encoding: chunked\r\n"},
				   &reply),
			 202);
	print_message("  asking first\n");
	assert_int_equal(
		hook_send(&(struct hook){.body = body, .add = "Expect: 100-continue\r\n"}, &reply),
		202);
	print_message("  closing after it\n");
	assert_int_equal(
		hook_send(&(struct hook){.body = body, .add = "Connection: close\r\n"}, &reply),
		202);
	assert_int_equal(bot_job_count(), 1);
	buf_dispose(&bytes);
	buf_dispose(&chunked);
	mem_free(body);
}

/* --- what is done with it --- */

static void test_comments(void **state)
{
	static const struct {
		const char *name;
		struct comment_spec spec;
		int64_t jobs;
		const char *outcome;
	} cases[] = {
		{"a command", {.text = "/build"}, 1, "stored"},
		{"two commands", {.text = "/build\\n/run"}, 2, "stored"},
		{"no command", {.text = "looks good"}, 0, "irrelevant"},
		{"nobody's command", {.text = "/assign @ann"}, 0, "irrelevant"},
		{"a marker of ours, typed by a person",
		 {.text = "<!-- kf:v1 job=1 slot=status -->\\nhello"},
		 0,
		 "irrelevant"},
		{"edited comment", {.text = "/build", .action = "edited"}, 0, "irrelevant"},
		{"own echo: our App", {.text = "/build", .app_id = HOOK_APP}, 0, "irrelevant"},
		{"own echo: our user", {.text = "/build", .user_id = HOOK_BOT}, 0, "irrelevant"},
		{"a person through another App", {.text = "/build", .app_id = 5}, 1, "stored"},
		{"a bot", {.text = "/build", .user_type = "Bot"}, 0, "irrelevant"},
		{"foreign repo", {.text = "/build", .repo = "evil/iris"}, 0, "irrelevant"},
		{"a line that does not parse", {.text = "/build --nonsense"}, 0, "stored"},
		{"closed pull request", {.text = "/build", .state = "closed"}, 0, "stored"},
		{"closed pull request, harmless command",
		 {.text = "/help", .state = "closed"},
		 1,
		 "stored"},
		{"old replay", {.text = "/build", .age_ms = INT64_C(30) * 86400000}, 1, "stored"},
		{"\\u0000 after the command", {.text = "/build\\u0000 --x"}, 0, "stored"},
		{"\\u0000 before the command", {.text = "\\u0000/build"}, 0, "irrelevant"},
		{"lone surrogate", {.text = "/build\\ud800"}, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t jobs = bot_job_count();
		int64_t before = cases[i].outcome ? deliveries(cases[i].outcome) : 0;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(comment_send(&cases[i].spec, NULL), 202);
		assert_int_equal(bot_job_count() - jobs, cases[i].jobs);
		if (cases[i].outcome)
			assert_int_equal(deliveries(cases[i].outcome), before + 1);
	}
}

/* The newest wish of a kind in the outbox, as text; the caller frees. */
static char *wished(const char *member)
{
	struct outbox_row row;
	struct db *reader;
	int64_t next;
	struct err err;
	char *text = NULL;

	for (int i = 0; i < 4 && !text; i++) {
		assert_int_equal(db_open_reader(&reader, bot.scratch.db, &err), ERR_OK);
		if (outbox_next(reader, clock_now_ms() + 1000, NULL, 0, &row, &next, &err) !=
		    ERR_OK) {
			db_close(reader);
			break;
		}
		text = str_dup(json_string_value(json_object_get(row.want, member)));
		db_close(reader);
		writer_stop(bot.writer);
		assert_int_equal(outbox_sent(bot.db, row.id, row.version, 1, NULL, &err), ERR_OK);
		assert_int_equal(writer_start(&bot.writer, bot.db, 1024, &err), ERR_OK);
		outbox_row_dispose(&row);
	}
	return text;
}

static void test_refusals_are_answered(void **state)
{
	static const struct {
		const char *name;
		struct comment_spec spec;
		const char *says, *also;
	} cases[] = {
		{"closed", {.text = "/build", .state = "closed"}, "`pull.closed`", "Reopen it"},
		{"unknown flag",
		 {.text = "/build --nonsense"},
		 "`command.unknown_flag`",
		 "nonsense"},
		{"nearly a command", {.text = "/biuld"}, "`command.unknown`", "/build"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct receive_options options = hook_options();
		char *text;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(comment_send(&cases[i].spec, NULL), 202);
		receive_stop(bot.receive);
		bot.receive = NULL;
		text = wished("body");
		assert_non_null(text);
		assert_non_null(strstr(text, cases[i].says));
		assert_non_null(strstr(text, cases[i].also));
		mem_free(text);
		bot_reopen(&options, 1024);
	}
	assert_int_equal(bot_job_count(), 0);
}

static void test_identity_learnt_later(void **state)
{
	(void)state;
	assert_int_equal(
		comment_send(&(struct comment_spec){.text = "/build", .user_id = 77}, NULL), 202);
	assert_int_equal(bot_job_count(), 1);
	receive_set_identity(bot.receive, 0, 77);
	assert_int_equal(
		comment_send(&(struct comment_spec){.text = "/build", .user_id = 77}, NULL), 202);
	assert_int_equal(bot_job_count(), 1);
}

static int rerun_send(int64_t app_id)
{
	char *body = str_printf(
		"{\"action\":\"rerequested\",\"check_run\":{\"id\":5,\"external_id\":"
		"\"01J00000000000000000000000\",\"head_sha\":"
		"\"9f8e7d6c5b4a39281706f5e4d3c2b1a098765432\",\"app\":{\"id\":%lld}},"
		"\"repository\":{\"id\":%d,\"full_name\":\"octo/iris\",\"default_branch\":"
		"\"main\"},\"sender\":{\"login\":\"ann\",\"id\":%d,\"type\":\"User\"},"
		"\"installation\":{\"id\":99}}",
		(long long)app_id, HOOK_REPO, HOOK_ANN);
	int status = hook_send(&(struct hook){.event = "check_run", .body = body}, &reply);

	mem_free(body);
	return status;
}

/* Whose button was pressed cannot be told yet: GitHub keeps the delivery. */
static void test_rerun_before_identity(void **state)
{
	int64_t stored = deliveries("stored");

	(void)state;
	receive_set_identity(bot.receive, 0, 0);
	assert_int_equal(rerun_send(HOOK_APP), 503);
	assert_int_equal(deliveries("stored"), stored);
	receive_set_identity(bot.receive, HOOK_APP, HOOK_BOT);
	assert_int_equal(rerun_send(HOOK_APP), 202);
	assert_int_equal(deliveries("stored"), stored + 1);
	assert_int_equal(rerun_send(HOOK_APP + 1), 202);
	assert_int_equal(deliveries("stored"), stored + 1);
}

/* In token mode we are a user like others, and which one GitHub says only later. */
static void test_own_comments_before_identity(void **state)
{
	static const struct {
		const char *name, *text;
		bool heard;
	} cases[] = {
		{"our answer", "<!-- kf:v1 job=01J00000000000000000000000 slot=status -->\\n/build",
		 false},
		{"our refusal", "<!-- kf:v1 refusal=5 -->\\n\\n/build", false},
		{"a quotation of it", "> <!-- kf:v1 refusal=5 -->\\n\\n/build", true},
		{"a person", "/build", true},
	};

	(void)state;
	receive_set_identity(bot.receive, 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t before = bot_job_count();

		print_message("  %s\n", cases[i].name);
		assert_int_equal(comment_send(&(struct comment_spec){.text = cases[i].text}, NULL),
				 202);
		assert_int_equal(bot_job_count() - before, cases[i].heard);
	}
}

static void test_doubles(void **state)
{
	struct comment_spec spec = {.text = "/build", .id = 555, .pr = 7};
	char guid[37];
	int64_t duplicates = deliveries("duplicate");

	(void)state;
	hook_guid(guid);
	print_message("  replay same GUID\n");
	assert_int_equal(comment_send(&spec, guid), 202);
	assert_int_equal(comment_send(&spec, guid), 202);
	assert_int_equal(bot_job_count(), 1);
	print_message("  same comment through two hooks\n");
	assert_int_equal(comment_send(&spec, NULL), 202);
	assert_int_equal(bot_job_count(), 1);
	print_message("  same GUID, other comment\n");
	assert_int_equal(comment_send(&(struct comment_spec){.text = "/run"}, guid), 202);
	assert_int_equal(bot_job_count(), 1);
	assert_int_equal(deliveries("duplicate"), duplicates + 3);
}

static void test_recovered_deliveries(void **state)
{
	char *body = comment_payload(&(struct comment_spec){.text = "/build", .id = 9, .pr = 9});
	static const struct {
		const char *name, *event, *guid, *body;
		enum err_class class;
	} cases[] = {
		{"a command", "issue_comment", "72d3162e-cc78-11e3-81ab-4c9367dc0958", NULL,
		 ERR_OK},
		{"again", "issue_comment", "72d3162e-cc78-11e3-81ab-4c9367dc0958", NULL, ERR_OK},
		{"not used", "watch", "72d3162e-cc78-11e3-81ab-4c9367dc0959", "{}", ERR_OK},
		{"no GUID", "issue_comment", "nonsense", NULL, ERR_USER},
		{"no JSON", "issue_comment", "72d3162e-cc78-11e3-81ab-4c9367dc0957", "{", ERR_USER},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *text = cases[i].body ? cases[i].body : body;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(receive_payload(bot.receive, cases[i].event, cases[i].guid, text,
						 strlen(text), 1, &err),
				 cases[i].class);
	}
	assert_int_equal(bot_job_count(), 1);
	/* And through the hook after all. */
	assert_int_equal(hook_send(&(struct hook){.body = body}, &reply), 202);
	assert_int_equal(bot_job_count(), 1);
	mem_free(body);
}

/* All payloads that GitHub publishes: none is answered with an error. */
static void send_sample(const char *name, void *arg)
{
	const char *folder = arg;
	char *path = str_printf("%s/%s", folder, name);
	char *event = str_dup_len(name, strcspn(name, "."));
	size_t len = 0;
	char *body = sample_read(true, path, &len);
	int status = 0;

	if (!str_eq(name, "index.json"))
		status = hook_send(&(struct hook){.body = body, .body_len = len, .event = event},
				   &reply);
	if (status != 0 && status != 202 && status != 200)
		fail_msg("%s was answered %d", name, status);
	mem_free(body);
	mem_free(event);
	mem_free(path);
}

static void test_all_published_payloads(void **state)
{
	static char plain[] = "github/payloads", synthetic[] = "github/payloads/synthetic";

	(void)state;
	if (sample_each(true, plain, ".json", send_sample, plain) == 0) {
		print_message("skipped: no shared samples\n");
		skip();
	}
	assert_true(sample_each(true, synthetic, ".json", send_sample, synthetic) > 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, bot_setup, bot_teardown)
static const struct CMUnitTest receive_cases[] = {
	CASE(test_signatures),
	CASE(test_one_byte_changed),
	CASE(test_rotation_after_the_window),
	CASE(test_published_signatures),
	CASE(test_empty_secret_configured),
	CASE(test_headers),
	CASE(test_smuggling),
	CASE(test_paths_and_methods),
	CASE(test_oversize),
	CASE(test_endless_chunked_body),
	CASE(test_the_largest_body),
	CASE(test_bad_json),
	CASE(test_deep_json_bomb),
	CASE(test_ways_of_sending),
	CASE(test_comments),
	CASE(test_refusals_are_answered),
	CASE(test_identity_learnt_later),
	CASE(test_rerun_before_identity),
	CASE(test_own_comments_before_identity),
	CASE(test_doubles),
	CASE(test_recovered_deliveries),
	CASE(test_all_published_payloads),
};

CASES_MAIN(receive_cases, NULL, NULL)
