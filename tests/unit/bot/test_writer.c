/* test_writer.c - the writer on a real database. A gate, an operation that waits inside its
 * transaction until it is opened, makes sure that what is submitted meanwhile forms one batch, so
 * no test depends on timing. */
#include "tests/unit/cases.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "bot/writer.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/store/vfs_fault.h"
#include "tests/unit/bot/scratch.h"

enum { MANY = 600, EXIT_DAMAGED = 75 };

static struct scratch scratch;
static struct db *db;
static struct writer *writer;

/* One operation that stores its key, or fails after having stored it. */
struct probe {
	struct writer_op op;
	char key[32];
	enum err_class fails;
	enum err_class class; /* as `done` heard it */
	char code[ERR_CODE_MAX];
	int order; /* of `done`, from 1; 0: not called */
};

static struct probe probes[MANY];
static atomic_int done_count;

static enum err_class run_probe(struct db *on, void *arg, struct err *err)
{
	struct probe *probe = arg;
	enum err_class class = db_meta_set(on, probe->key, "stored", err);

	if (class == ERR_OK && probe->fails)
		return err_code(err, probe->fails, "test.failed", "made to fail");
	return class;
}

static void done_probe(void *arg, enum err_class class, const struct err *err)
{
	struct probe *probe = arg;

	probe->class = class;
	str_copy(probe->code, sizeof probe->code, class ? err->code : "");
	probe->order = atomic_fetch_add(&done_count, 1) + 1;
}

static struct gate {
	struct writer_op op;
	sem_t entered, open;
} gate;

static enum err_class run_gate(struct db *on, void *arg, struct err *err)
{
	(void)on;
	(void)arg;
	(void)err;
	sem_post(&gate.entered);
	sem_wait(&gate.open);
	return ERR_OK;
}

static void done_gate(void *arg, enum err_class class, const struct err *err)
{
	(void)arg;
	(void)class;
	(void)err;
}

/* Returns when the writer is inside a transaction and stays there. */
static void close_gate(void)
{
	gate.op = (struct writer_op){.run = run_gate, .done = done_gate};
	assert_int_equal(writer_submit(writer, &gate.op, NULL), ERR_OK);
	sem_wait(&gate.entered);
}

static bool probes_may_repeat;

static void submit(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct probe *probe = &probes[i];

		snprintf(probe->key, sizeof probe->key, "probe-%zu", i);
		probe->op = (struct writer_op){.run = run_probe, .done = done_probe, .arg = probe};
		assert_int_equal(writer_submit(writer, &probe->op, NULL), ERR_OK);
	}
}

static enum err_class run_nothing(struct db *on, void *arg, struct err *err)
{
	(void)on;
	(void)arg;
	(void)err;
	return ERR_OK;
}

/* Operations are done in order, so when this one is all before it are. */
static void settle(void)
{
	struct err err;

	while (writer_call(writer, run_nothing, NULL, &err) != ERR_OK)
		assert_string_equal(err.code, "writer.queue_full");
}

/* The same when this one, too, may meet the fault. */
static void settle_after_failure(void)
{
	enum err_class class = writer_call(writer, run_nothing, NULL, NULL);

	assert_true(class == ERR_OK || class == ERR_TRANSIENT || class == ERR_CORRUPT);
}

static bool is_stored(const char *key)
{
	struct db *reader;
	struct err err;
	char value[16];
	enum err_class class;

	assert_int_equal(db_open_reader(&reader, scratch.db, &err), ERR_OK);
	class = db_meta_get(reader, key, value, sizeof value, &err);
	db_close(reader);
	assert_true(class == ERR_OK || class == ERR_NOT_FOUND);
	return class == ERR_OK && str_eq(value, "stored");
}

static void open_all(size_t queue_max)
{
	struct err err;

	memset(probes, 0, sizeof probes);
	atomic_store(&done_count, 0);
	if (db_open(&db, scratch.db, clock_now_ms(), &err) != ERR_OK ||
	    writer_start(&writer, db, queue_max, &err) != ERR_OK)
		fail_msg("%s", err.msg);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR + 1); /* faults are made here */
	scratch_make(&scratch);
	sem_init(&gate.entered, 0, 0);
	sem_init(&gate.open, 0, 0);
	vfs_fault_arm(NULL);
	open_all(MANY);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vfs_fault_arm(NULL);
	writer_stop(writer);
	writer = NULL;
	db_close(db);
	scratch_drop(&scratch);
	return 0;
}

static int64_t commits(void)
{
	return metrics_get(METRIC_COMMITS, "ok");
}

static void test_what_queued_up_is_one_commit(void **state)
{
	int64_t before;

	(void)state;
	close_gate();
	submit(100);
	before = commits();
	sem_post(&gate.open);
	settle();
	/* the gate's, and one for the hundred and the settling call, which may come later */
	assert_in_range(commits() - before, 2, 3);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(probes[i].class, ERR_OK);
		assert_int_equal(probes[i].order, i + 1);
		assert_true(is_stored(probes[i].key));
	}
}

static void test_a_batch_has_at_most_256_operations(void **state)
{
	int64_t before;

	(void)state;
	close_gate();
	submit(MANY);
	before = commits();
	sem_post(&gate.open);
	settle();
	assert_in_range(commits() - before, 4, 5); /* the gate, 256, 256, 88 (and the call) */
	for (int i = 0; i < MANY; i++)
		assert_int_equal(probes[i].order, i + 1);
}

static void test_an_operation_fails_alone(void **state)
{
	static const struct {
		const char *name;
		size_t count, failing;
		bool may_repeat;
	} cases[] = {
		{"in the middle of a batch", 5, 2, false},
		{"first of a batch", 5, 0, false},
		{"last of a batch", 5, 4, false},
		{"the only one of its batch", 1, 0, false},
		{"in the middle of a batch that is run again", 5, 2, true},
		{"first of a batch that is run again", 5, 0, true},
		{"last of a batch that is run again", 5, 4, true},
	};

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		struct probe *failing = &probes[cases[c].failing];

		print_message("  %s\n", cases[c].name);
		teardown(NULL);
		setup(NULL);
		close_gate();
		failing->fails = ERR_CONFLICT;
		probes_may_repeat = cases[c].may_repeat;
		submit(cases[c].count);
		sem_post(&gate.open);
		settle();
		for (size_t i = 0; i < cases[c].count; i++) {
			bool fails = i == cases[c].failing;

			assert_int_equal(probes[i].class, fails ? ERR_CONFLICT : ERR_OK);
			assert_int_equal(is_stored(probes[i].key), !fails);
		}
		assert_string_equal(failing->code, "test.failed");
	}
	probes_may_repeat = false;
}

static void test_a_full_queue_refuses(void **state)
{
	struct probe extra = {.key = "extra"};
	struct err err;

	(void)state;
	teardown(NULL);
	scratch_make(&scratch);
	open_all(4);
	close_gate();
	submit(4);
	extra.op = (struct writer_op){.run = run_probe, .done = done_probe, .arg = &extra};
	assert_int_equal(writer_submit(writer, &extra.op, &err), ERR_TRANSIENT);
	assert_string_equal(err.code, "writer.queue_full");
	sem_post(&gate.open);
	settle();
	assert_int_equal(extra.order, 0);
	assert_int_equal(atomic_load(&done_count), 4);
	assert_false(is_stored("extra"));
}

static void *stop_writer(void *arg)
{
	(void)arg;
	writer_stop(writer);
	return NULL;
}

static void test_stopping_drains_the_queue(void **state)
{
	pthread_t stopper;
	struct err err;
	struct probe late = {.key = "late"};

	(void)state;
	close_gate();
	submit(300);
	assert_int_equal(pthread_create(&stopper, NULL, stop_writer, NULL), 0);
	late.op = (struct writer_op){.run = run_probe, .done = done_probe, .arg = &late};
	/* Until the stop is seen, submits are taken; from then on they are refused. */
	while (writer_submit(writer, &late.op, &err) == ERR_OK) {
		sem_post(&gate.open);
		pthread_join(stopper, NULL);
		writer = NULL;
		assert_int_equal(late.class, ERR_OK);
		assert_int_equal(atomic_load(&done_count), 301);
		return;
	}
	assert_string_equal(err.code, "writer.stopping");
	sem_post(&gate.open);
	pthread_join(stopper, NULL);
	writer = NULL;
	assert_int_equal(atomic_load(&done_count), 300);
	for (int i = 0; i < 300; i++)
		assert_true(is_stored(probes[i].key));
}

/* `done` runs after the commit: another connection sees what was written. */
static bool seen_in_done;

static void done_look(void *arg, enum err_class class, const struct err *err)
{
	struct probe *probe = arg;

	seen_in_done = is_stored(probe->key);
	done_probe(arg, class, err);
}

static void test_done_comes_after_the_commit(void **state)
{
	struct probe *probe = &probes[0];

	(void)state;
	str_copy(probe->key, sizeof probe->key, "look");
	probe->op = (struct writer_op){.run = run_probe, .done = done_look, .arg = probe};
	seen_in_done = false;
	assert_int_equal(writer_submit(writer, &probe->op, NULL), ERR_OK);
	settle();
	assert_true(seen_in_done);
}

static void count_commit(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void test_commits_are_announced(void **state)
{
	static atomic_int announced;

	(void)state;
	atomic_store(&announced, 0);
	writer_on_commit(writer, count_commit, &announced);
	submit(1);
	settle();
	settle(); /* the announcement comes after the answers of its own batch */
	assert_true(atomic_load(&announced) >= 1);
	writer_on_commit(writer, NULL, NULL);
}

/* Quiet submits wait for the wake, and the answers of a batch are announced together. */
static void test_quiet_submits(void **state)
{
	static atomic_int announced;

	(void)state;
	atomic_store(&announced, 0);
	writer_on_answered(writer, count_commit, &announced);
	for (int i = 0; i < 10; i++) {
		struct probe *probe = &probes[i];

		snprintf(probe->key, sizeof probe->key, "quiet-%d", i);
		probe->op = (struct writer_op){.run = run_probe, .done = done_probe, .arg = probe};
		assert_int_equal(writer_submit_quietly(writer, &probe->op, NULL), ERR_OK);
	}
	writer_wake(writer);
	settle(); /* perhaps in the same batch, whose hook runs after the last `done` */
	settle();
	assert_in_range(atomic_load(&announced), 1, 4);
	writer_on_answered(writer, NULL, NULL);
	assert_int_equal(atomic_load(&done_count), 10);
	assert_true(is_stored("quiet-9"));
}

static enum err_class run_count(struct db *on, void *arg, struct err *err)
{
	char text[32] = "0";
	enum err_class class = db_meta_get(on, "count", text, sizeof text, err);
	int64_t count = 0;

	(void)arg;
	if (class != ERR_OK && class != ERR_NOT_FOUND)
		return class;
	if (class == ERR_OK && !str_to_int64(&count, text))
		return err_set(err, ERR_CORRUPT, "not a number");
	snprintf(text, sizeof text, "%d", (int)count + 1);
	return db_meta_set(on, "count", text, err);
}

enum { CALLERS = 8, CALLS = 100 };

static void *call_often(void *arg)
{
	intptr_t failed = 0;

	(void)arg;
	for (int i = 0; i < CALLS; i++)
		failed += writer_call(writer, run_count, NULL, NULL) != ERR_OK;
	return (void *)failed;
}

static void test_calls_from_many_threads(void **state)
{
	pthread_t callers[CALLERS];
	char text[32];
	void *failed;
	struct err err;

	(void)state;
	for (int i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&callers[i], NULL, call_often, NULL), 0);
	for (int i = 0; i < CALLERS; i++) {
		pthread_join(callers[i], &failed);
		assert_null(failed);
	}
	writer_stop(writer);
	writer = NULL;
	assert_int_equal(db_meta_get(db, "count", text, sizeof text, &err), ERR_OK);
	assert_string_equal(text, "800");
}

static enum err_class run_fail(struct db *on, void *arg, struct err *err)
{
	(void)on;
	(void)arg;
	return err_code(err, ERR_NOT_FOUND, "test.nothing", "nothing is due");
}

static void test_a_call_brings_its_error(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(writer_call(writer, run_fail, NULL, &err), ERR_NOT_FOUND);
	assert_string_equal(err.code, "test.nothing");
	assert_string_equal(err.msg, "nothing is due");
	assert_int_equal(writer_call(writer, run_fail, NULL, NULL), ERR_NOT_FOUND);
}

/* A disk that is full loses the batch, not the process; with room again everything goes on. */
static void test_a_full_disk_is_survived(void **state)
{
	(void)state;
	teardown(NULL);
	vfs_fault_arm("write:1000000:full"); /* puts the layer in place */
	setup(NULL);
	assert_true(writer_is_healthy(writer));
	close_gate();
	submit(10);
	vfs_fault_arm("write:1:full:persistent");
	sem_post(&gate.open);
	settle_after_failure();
	assert_int_equal(atomic_load(&done_count), 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(probes[i].class, ERR_TRANSIENT);
	assert_string_equal(probes[0].code, "store.full");
	assert_false(writer_is_healthy(writer));

	vfs_fault_arm(NULL);
	submit(1);
	settle();
	assert_int_equal(probes[0].class, ERR_OK);
	for (int64_t end_ms = clock_mono_ms() + 5000; !writer_is_healthy(writer);) {
		assert_true(clock_mono_ms() < end_ms);
		settle();
	}
}

/* In a child: after an I/O error the batch hears of it and the process ends with 75. */
static int die_of(const char *fault)
{
	int status = 0, fds[2];
	char heard = 0;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		log_set_level(LOG_LEVEL_ERROR + 1);
		vfs_fault_arm("write:1000000:ioerr");
		open_all(MANY);
		close_gate();
		submit(3);
		vfs_fault_arm(fault);
		sem_post(&gate.open);
		settle_after_failure();
		for (int i = 0; i < 3; i++)
			heard = (char)(heard + (probes[i].class == ERR_CORRUPT));
		if (write(fds[1], &heard, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(read(fds[0], &heard, 1), 1);
	close(fds[0]);
	assert_int_equal(heard, 3);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_an_io_error_ends_the_process(void **state)
{
	static const char *const faults[] = {"sync:1:ioerr", "write:1:ioerr"};

	(void)state;
	teardown(NULL);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		scratch_make(&scratch);
		print_message("  %s\n", faults[i]);
		assert_int_equal(die_of(faults[i]), EXIT_DAMAGED);
		scratch_drop(&scratch);
	}
	setup(NULL);
}

static void test_the_disk_is_watched(void **state)
{
	struct disk_limits limits = {.path = scratch.db,
				     .free_min_bytes = INT64_MAX / 4,
				     .free_min_percent = -1,
				     .ballast_bytes = -1};
	struct err err;

	(void)state;
	assert_true(writer_is_healthy(writer));
	assert_int_equal(writer_watch_disk(writer, &limits, &err), ERR_OK);
	assert_false(writer_is_healthy(writer));
	/* Work in hand is still recorded. */
	submit(1);
	settle();
	assert_int_equal(probes[0].class, ERR_OK);
	assert_true(is_stored("probe-0"));
	assert_false(writer_is_healthy(writer));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
static const struct CMUnitTest writer_cases[] = {
	CASE(test_what_queued_up_is_one_commit), CASE(test_a_batch_has_at_most_256_operations),
	CASE(test_an_operation_fails_alone),	 CASE(test_a_full_queue_refuses),
	CASE(test_stopping_drains_the_queue),	 CASE(test_done_comes_after_the_commit),
	CASE(test_commits_are_announced),	 CASE(test_quiet_submits),
	CASE(test_calls_from_many_threads),	 CASE(test_a_call_brings_its_error),
	CASE(test_a_full_disk_is_survived),	 CASE(test_an_io_error_ends_the_process),
	CASE(test_the_disk_is_watched),
};

CASES_MAIN(writer_cases, NULL, NULL)
