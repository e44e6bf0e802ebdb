/* test_receive.c - what each kind of request is answered, over real sockets with a real store:
 * signatures, headers, paths. Names of cases are those of the list of attacks where there is one.
 */
#include "tests/unit/cases.h"

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
};

CASES_MAIN(receive_cases, NULL, NULL)
