/* test_receive_bodies.c - bodies that are large, slow, broken or hostile, over real sockets. Names
 * of cases are those of the list of attacks where there is one. */
#include "tests/unit/cases.h"

#include "tests/unit/bot/hook.h"

static struct reply reply;

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
		{"25 MiB of an event that is not used", "workflow_run", 25 << 20, false, 202},
		{"the same, changed after signing", "workflow_run", 25 << 20, true, 401},
		{"a push of very many commits may be lost", "push", (1 << 20) + 1, false, 202},
		{"1 MiB and one byte of an event that is read", "issue_comment", (1 << 20) + 1,
		 false, 413},
		{"the same, changed after signing", "issue_comment", (1 << 20) + 1, true, 401},
		{"1 MiB of an event that is read, but not JSON", "issue_comment", 1 << 20, false,
		 400},
		{"64 KiB and one byte of an event that is not used", "workflow_run", (64 << 10) + 1,
		 false, 202},
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

#define CASE(test) cmocka_unit_test_setup_teardown(test, bot_setup, bot_teardown)
static const struct CMUnitTest body_cases[] = {
	CASE(test_oversize), CASE(test_endless_chunked_body), CASE(test_the_largest_body),
	CASE(test_bad_json), CASE(test_deep_json_bomb),	      CASE(test_ways_of_sending),
};

CASES_MAIN(body_cases, NULL, NULL)
