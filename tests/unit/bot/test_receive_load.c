/* test_receive_load.c - many connections, slow ones, a writer that stands still, a disk that is
 * full, and the stop in the middle of it. */
#include "tests/unit/cases.h"

#include <pthread.h>

#include "lib/store/vfs_fault.h"
#include "tests/unit/bot/hook.h"

enum { CONNECTIONS_MAX = 384 };

static struct reply reply;
static int wires[CONNECTIONS_MAX];

static void open_wires(size_t count)
{
	for (size_t i = 0; i < count; i++)
		wires[i] = wire_open();
}

static void close_wires(size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(wires[i]);
}

static void send_comment(int fd, const char *text)
{
	char *body = comment_payload(&(struct comment_spec){.text = text});
	struct buf bytes = buf_make(65536);

	hook_write(&bytes, &(struct hook){.body = body});
	assert_true(wire_send(fd, bytes.data, bytes.len));
	buf_dispose(&bytes);
	mem_free(body);
}

/* Closes the gate and sends so many commands, each on its own connection; returns when all of them
 * wait at the writer: the queue has room for just so many, and one more was told so. */
static void start_waiting(size_t count)
{
	struct receive_options options = hook_options();
	int64_t busy = deliveries("busy");

	bot_reopen(&options, count);
	open_wires(count + 1);
	gate_close();
	for (size_t i = 0; i <= count; i++)
		send_comment(wires[i], "/build");
	while (deliveries("busy") == busy)
		(void)poll(NULL, 0, 1);
	/* Which one it was is up to the loop; it goes to the end. */
	for (size_t i = 0; i < count; i++) {
		struct pollfd poller = {.fd = wires[i], .events = POLLIN};

		if (poll(&poller, 1, 0) > 0) {
			wires[i] = wires[count];
			wires[count] = poller.fd;
		}
	}
	assert_int_equal(wire_read(wires[count], &reply, 5000), 503);
	close(wires[count]);
}

/* Batches of exactly 128 events stall libmicrohttpd's own loop. While the gate is closed all
 * answers pile up, so that they, too, come in one batch. */
static void test_many_connections(void **state)
{
	static const size_t counts[] = {1, 127, 128, 129, 255, 256, 257, 384};
	int64_t start_ms;

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
		int64_t jobs = bot_job_count();

		print_message("  %zu connections\n", counts[c]);
		open_wires(counts[c]);
		for (int round = 0; round < 3; round++) {
			gate_close();
			start_ms = clock_mono_ms();
			for (size_t i = 0; i < counts[c]; i++)
				send_comment(wires[i], "/build");
			gate_open();
			for (size_t i = 0; i < counts[c]; i++)
				assert_int_equal(wire_read(wires[i], &reply, 8000), 202);
			/* A stall lasts as long as the idle limit; busy machines are just slow. */
			assert_true(clock_mono_ms() - start_ms < 8000);
		}
		close_wires(counts[c]);
		assert_int_equal(bot_job_count() - jobs, 3 * (int64_t)counts[c]);
	}
}

static void test_duplicates_at_once(void **state)
{
	enum { COUNT = 64 };
	char *body = comment_payload(&(struct comment_spec){.text = "/build"});
	struct buf bytes = buf_make(65536);
	int64_t stored = deliveries("stored"), duplicates = deliveries("duplicate");

	(void)state;
	hook_write(&bytes, &(struct hook){.body = body});
	open_wires(COUNT);
	for (int i = 0; i < COUNT; i++)
		assert_true(wire_send(wires[i], bytes.data, bytes.len));
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(wire_read(wires[i], &reply, 8000), 202);
	close_wires(COUNT);
	assert_int_equal(bot_job_count(), 1);
	assert_int_equal(deliveries("stored"), stored + 1);
	assert_int_equal(deliveries("duplicate"), duplicates + COUNT - 1);
	buf_dispose(&bytes);
	mem_free(body);
}

/* --- slow and broken senders --- */

/* Keeps sending single bytes on many connections until all are cut; meanwhile others are served. */
static void test_slow_senders_are_cut(void **state)
{
	enum { SLOW = 300, BYTE_EVERY_MS = 400 };
	static int64_t cut_ms[SLOW];
	char *body = comment_payload(&(struct comment_spec){.text = "/build"});
	struct buf bytes = buf_make(65536);
	int64_t start_ms = clock_mono_ms(), worst_ms = 0;
	size_t head, left = SLOW;

	(void)state;
	memset(cut_ms, 0, sizeof cut_ms);
	hook_write(&bytes, &(struct hook){.body = body});
	head = (size_t)(strstr(bytes.data, "\r\n\r\n") - bytes.data) + 4;
	open_wires(SLOW);
	/* A third waits without a word, a third in the middle of the head, a third in the body. */
	for (int i = 0; i < SLOW; i++)
		if (i % 3)
			assert_true(wire_send(wires[i], bytes.data, i % 3 == 1 ? 40 : head + 40));
	for (size_t at = head + 40; left > 0; at++) {
		int64_t asked_ms = clock_mono_ms(), took_ms;

		assert_true(asked_ms - start_ms < 15000);
		assert_int_equal(comment_send(&(struct comment_spec){.text = "/build"}, NULL), 202);
		took_ms = clock_mono_ms() - asked_ms;
		worst_ms = took_ms > worst_ms ? took_ms : worst_ms;
		for (int i = 0; i < SLOW; i++) {
			if (cut_ms[i])
				continue;
			if (wire_is_closed(wires[i], 0)) {
				cut_ms[i] = clock_mono_ms() - start_ms;
				left--;
			} else if (i % 3) {
				(void)wire_send(wires[i], i % 3 == 1 ? "a" : bytes.data + at, 1);
			}
		}
		(void)poll(NULL, 0, BYTE_EVERY_MS);
	}
	for (int i = 0; i < SLOW; i++)
		assert_in_range(cut_ms[i], 8000, 12000);
	print_message("  slowest other delivery: %d ms\n", (int)worst_ms);
	assert_true(worst_ms < 1000);
	close_wires(SLOW);
	buf_dispose(&bytes);
	mem_free(body);
}

static void test_senders_that_go_away(void **state)
{
	static const struct {
		const char *name;
		bool reset, in_head;
	} cases[] = {
		{"closed in the head", false, true},
		{"closed in the body", false, false},
		{"reset in the head", true, true},
		{"reset in the body", true, false},
	};
	char *body = comment_payload(&(struct comment_spec){.text = "/build"});
	struct buf bytes = buf_make(65536);

	(void)state;
	hook_write(&bytes, &(struct hook){.body = body});
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct linger hard = {.l_onoff = 1};
		int fd = wire_open();

		print_message("  %s\n", cases[i].name);
		assert_true(wire_send(fd, bytes.data, cases[i].in_head ? 100 : bytes.len - 10));
		if (cases[i].reset)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
		close(fd);
	}
	assert_int_equal(comment_send(&(struct comment_spec){.text = "/build"}, NULL), 202);
	assert_int_equal(bot_job_count(), 1);
	buf_dispose(&bytes);
	mem_free(body);
}

/* Gone while waiting for the commit: stored all the same, though nobody takes the answer. */
static void test_senders_that_do_not_wait(void **state)
{
	static const struct {
		const char *name;
		bool reset;
	} cases[] = {{"closed", false}, {"reset", true}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct linger hard = {.l_onoff = cases[i].reset};
		int64_t jobs = bot_job_count();

		print_message("  %s\n", cases[i].name);
		start_waiting(3);
		for (int w = 0; w < 3; w++) {
			setsockopt(wires[w], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
			close(wires[w]);
		}
		gate_open();
		while (bot_job_count() < jobs + 3)
			(void)poll(NULL, 0, 1);
		assert_int_equal(comment_send(&(struct comment_spec){.text = "/build"}, NULL), 202);
		assert_int_equal(bot_job_count(), jobs + 4);
	}
}

/* --- limits --- */

static void test_connections_of_one_address(void **state)
{
	struct receive_options options = hook_options();

	(void)state;
	options.connections_per_address_max = 4;
	bot_reopen(&options, 1024);
	open_wires(6);
	for (int i = 0; i < 4; i++) {
		send_comment(wires[i], "/build");
		assert_int_equal(wire_read(wires[i], &reply, 5000), 202);
	}
	assert_true(wire_is_closed(wires[4], 5000));
	assert_true(wire_is_closed(wires[5], 5000));
	close_wires(6);
}

/* When all places are taken, idle connections make room for one that has something to say. */
static void test_idle_connections_make_room(void **state)
{
	struct receive_options options = hook_options();

	(void)state;
	options.connections_max = 16;
	bot_reopen(&options, 1024);
	open_wires(16);
	for (int i = 0; i < 14; i++) {
		send_comment(wires[i], "/build");
		assert_true(wire_read(wires[i], &reply, 5000) == 202 || i > 0);
	}
	for (int i = 0; i < 20; i++)
		assert_int_equal(comment_send(&(struct comment_spec){.text = "/build"}, NULL), 202);
	close_wires(16);
}

/* --- when it cannot be stored --- */

static void test_a_full_queue_is_said(void **state)
{
	struct receive_options options = hook_options();
	int64_t busy = deliveries("busy");

	(void)state;
	bot_reopen(&options, 3);
	open_wires(5);
	gate_close();
	for (int i = 0; i < 3; i++)
		send_comment(wires[i], "/build");
	/* Order over several connections is the loop's, so three of five get the places. */
	for (int i = 3; i < 5; i++)
		send_comment(wires[i], "/build");
	while (deliveries("busy") < busy + 2)
		(void)poll(NULL, 0, 1);
	gate_open();
	for (int i = 0, stored = 0; i < 5; i++) {
		int status = wire_read(wires[i], &reply, 5000);

		assert_true(status == 202 || status == 503);
		assert_true(status == 202 || strstr(reply.text, "Retry-After: "));
		stored += status == 202;
		assert_true(i < 4 || stored == 3);
	}
	close_wires(5);
	assert_int_equal(bot_job_count(), 3);
}

static void test_a_full_disk_is_said(void **state)
{
	struct disk_limits limits = {.path = bot.scratch.db,
				     .free_min_bytes = INT64_MAX / 4,
				     .free_min_percent = -1,
				     .ballast_bytes = -1};
	struct err err;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR + 1);
	assert_int_equal(writer_watch_disk(bot.writer, &limits, &err), ERR_OK);
	print_message("  a command is refused\n");
	assert_int_equal(comment_send(&(struct comment_spec){.text = "/build"}, NULL), 503);
	print_message("  what is irrelevant is not\n");
	assert_int_equal(comment_send(&(struct comment_spec){.text = "fine"}, NULL), 202);
	assert_int_equal(bot_job_count(), 0);
}

static void test_a_failed_commit_is_said(void **state)
{
	int64_t failed = deliveries("failed");

	(void)state;
	bot_teardown(NULL);
	vfs_fault_arm("write:1000000:full");
	bot_setup(NULL);
	log_set_level(LOG_LEVEL_ERROR + 1);
	assert_int_equal(comment_send(&(struct comment_spec){.text = "/build"}, NULL), 202);
	vfs_fault_arm("write:1:full:persistent");
	assert_int_equal(comment_send(&(struct comment_spec){.text = "/build"}, NULL), 503);
	assert_int_equal(deliveries("failed"), failed + 1);
	vfs_fault_arm(NULL);
	/* For a second new commands are refused, then all is well again. */
	for (int64_t end_ms = clock_mono_ms() + 5000; clock_mono_ms() < end_ms;)
		if (comment_send(&(struct comment_spec){.text = "/build"}, NULL) == 202)
			break;
	assert_int_equal(bot_job_count(), 2);
}

/* --- the stop --- */

static void *stop_receive(void *arg)
{
	(void)arg;
	receive_stop(bot.receive);
	bot.receive = NULL;
	return NULL;
}

static void test_stop_while_waiting_for_the_commit(void **state)
{
	enum { COUNT = 50 };
	pthread_t stopper;

	(void)state;
	start_waiting(COUNT);
	assert_int_equal(pthread_create(&stopper, NULL, stop_receive, NULL), 0);
	print_message("  no new connection is taken\n");
	for (int64_t end_ms = clock_mono_ms() + 5000; clock_mono_ms() < end_ms;) {
		struct sockaddr_in to = {.sin_family = AF_INET,
					 .sin_port = htons((uint16_t)bot.port),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int rc = connect(fd, (struct sockaddr *)&to, sizeof to);

		close(fd);
		if (rc != 0)
			break;
	}
	gate_open();
	print_message("  what was waiting is answered\n");
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(wire_read(wires[i], &reply, 5000), 202);
		assert_true(wire_is_closed(wires[i], 5000));
	}
	pthread_join(stopper, NULL);
	close_wires(COUNT);
	assert_int_equal(bot_job_count(), COUNT);
}

static void test_stop_while_the_writer_hangs(void **state)
{
	enum { COUNT = 20 };
	int64_t start_ms;
	pthread_t stopper;

	(void)state;
	start_waiting(COUNT);
	start_ms = clock_mono_ms();
	assert_int_equal(pthread_create(&stopper, NULL, stop_receive, NULL), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(wire_read(wires[i], &reply, 5000), 503);
	assert_in_range(clock_mono_ms() - start_ms, 1900, 4000);
	gate_open(); /* late, but what was asked for is stored and its memory given back */
	pthread_join(stopper, NULL);
	close_wires(COUNT);
	writer_stop(bot.writer);
	bot.writer = NULL;
	assert_int_equal(bot_job_count(), COUNT);
}

static void test_stop_with_idle_and_half_done_ones(void **state)
{
	int64_t start_ms;

	(void)state;
	open_wires(9);
	for (int i = 0; i < 3; i++) {
		send_comment(wires[i], "/build");
		assert_int_equal(wire_read(wires[i], &reply, 5000), 202);
	}
	for (int i = 3; i < 6; i++)
		assert_true(wire_send(wires[i], "POST /webhook HTTP/1.1\r\nHo", 26));
	start_ms = clock_mono_ms();
	stop_receive(NULL);
	assert_true(clock_mono_ms() - start_ms < 4000);
	for (int i = 0; i < 9; i++)
		assert_true(wire_is_closed(wires[i], 1000));
	close_wires(9);
}

static void test_stop_before_start(void **state)
{
	struct receive_options options = hook_options();
	struct err err;

	(void)state;
	receive_stop(bot.receive);
	assert_int_equal(receive_open(&bot.receive, &options, bot.writer, &err), ERR_OK);
	assert_true(receive_port(bot.receive) > 0);
	receive_stop(bot.receive);
	bot.receive = NULL;
	receive_stop(NULL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, bot_setup, bot_teardown)
static const struct CMUnitTest receive_load_cases[] = {
	CASE(test_many_connections),
	CASE(test_duplicates_at_once),
	CASE(test_slow_senders_are_cut),
	CASE(test_senders_that_go_away),
	CASE(test_senders_that_do_not_wait),
	CASE(test_connections_of_one_address),
	CASE(test_idle_connections_make_room),
	CASE(test_a_full_queue_is_said),
	CASE(test_a_full_disk_is_said),
	CASE(test_a_failed_commit_is_said),
	CASE(test_stop_while_waiting_for_the_commit),
	CASE(test_stop_while_the_writer_hangs),
	CASE(test_stop_with_idle_and_half_done_ones),
	CASE(test_stop_before_start),
};

CASES_MAIN(receive_load_cases, NULL, NULL)
