/* test_recovery.c - what the store does after a process has died: who is to blame, who goes on,
 * what a wrong clock left behind, and that kill -9 loses nothing. */
#include <signal.h>
#include <time.h>

#include "lib/base/crash.h"
#include "tests/unit/store/store_kit.h"

/* --- jobs that end the process --- */

static void test_a_killer_is_given_up(void **state)
{
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 2, .commands = "run"});
	log_set_level(LOG_LEVEL_ERROR + 1);
	for (int64_t i = 0; i < 3; i++) {
		assert_true(kit_claim(&kit, &job, T0));
		assert_int_equal(job.crashes, i);
		job_dispose(&job);
		kit_crash_over(&kit, 1);
		kit_open(&kit);
	}
	assert_true(kit_claim(&kit, &job, T0));
	assert_int_equal(job.id, 1);
	assert_int_equal(job.crashes, 3); /* the worker ends it */
	kit_move(&kit, &job, JOB_DEAD, T0);
	assert_string_equal(kit_line(&kit, 2), "1 dead, 2 ready");
	kit_end(&kit);
}

static void test_a_killer_that_cannot_even_be_ended(void **state)
{
	char text[256];
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 2, .commands = "run"});
	log_set_level(LOG_LEVEL_ERROR + 1);
	for (int i = 0; i < 6; i++) {
		assert_true(kit_claim(&kit, &job, T0));
		assert_int_equal(job.id, 1);
		job_dispose(&job);
		kit_crash_over(&kit, 1);
		kit_open(&kit);
	}
	assert_string_equal(kit_line(&kit, 2), "1 dead, 2 ready");
	kit_text(&kit, text, sizeof text, "SELECT want FROM outbox WHERE slot LIKE 'final:%'");
	assert_non_null(strstr(text, "Job 1: it stopped kfops again and again"));
	kit_end(&kit);
}

/* Nobody knows why the process died: no job is blamed, but one that is under way each time waits,
 * so that the others get on. */
/* It ends like any other job: what follows it in its comment is not started, unless that was asked
 * for, and what waits behind it in the line of its environment goes on. */
static void test_a_burial_is_an_end(void **state)
{
	static const struct {
		bool keep_going;
		const char *line;
	} cases[] = {
		{false, "1 dead, 2 ready>cancelled, 3 ready"},
		{true, "1 dead, 2 ready, 3 blocked"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kit_event both = {.pr = 1,
					 .comment_id = 10,
					 .commands = "build run",
					 .keep_going = cases[i].keep_going};
		struct job job;
		struct kit kit;

		kit_start(&kit);
		log_set_level(LOG_LEVEL_ERROR + 1);
		kit_receive(&kit, &both);
		kit_receive(&kit, &(struct kit_event){
					  .pr = 1, .comment_id = 11, .commands = "build_run"});
		for (int crash = 0; crash < STORE_CRASHES_MAX; crash++) {
			assert_true(kit_claim(&kit, &job, T0));
			assert_int_equal(job.id, 1);
			job_dispose(&job);
			if (!crash) {
				KIT_BEGIN(&kit);
				assert_ok(&kit,
					  store_exec(kit.db, STMT_TURN_STAND, &kit.err, B_INT(REPO),
						     B_TEXT("production"), B_INT(1), B_INT(T0)));
				KIT_COMMIT(&kit);
			}
			kit_crash_over(&kit, 1);
			kit_open(&kit);
		}
		assert_string_equal(kit_line(&kit, 3), cases[i].line);
		assert_int_equal(kit_number(&kit, "SELECT count(*) FROM environment_line"), 0);
		kit_end(&kit);
	}
}

static void test_deaths_delay_and_never_end(void **state)
{
	static const int64_t due_after_s[] = {0, 0, 1, 2, 4, 8, 16, 32, 64, 64, 64};
	int64_t now_ms = T0;
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
	for (size_t i = 0; i < ARRAY_LEN(due_after_s); i++) {
		assert_true(kit_claim(&kit, &job, now_ms));
		assert_int_equal(job.crashes, 0);
		job_dispose(&job);
		kit_crash(&kit);
		kit_open(&kit);
		now_ms = T0 + 1000 * due_after_s[i];
		assert_false(kit_claim(&kit, &job, now_ms - 1));
	}
	assert_true(kit_claim(&kit, &job, now_ms));
	kit_move(&kit, &job, JOB_READY, T0); /* a step got done: the count begins again */
	assert_int_equal(kit_number(&kit, "SELECT deaths FROM jobs"), 0);
	kit_end(&kit);
}

/* Two are under way and one of them crashes the process: only that one is suspected. */
static void test_the_one_beside_is_not_blamed(void **state)
{
	struct kit kit;
	struct job jobs[2];

	(void)state;
	kit_start(&kit);
	log_set_level(LOG_LEVEL_ERROR + 1);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
	kit_receive(&kit, &(struct kit_event){.pr = 2, .comment_id = 2, .commands = "build"});
	for (int i = 0; i < 2; i++) {
		assert_true(kit_claim(&kit, &jobs[0], T0));
		assert_true(kit_claim(&kit, &jobs[1], T0));
		job_dispose(&jobs[0]);
		job_dispose(&jobs[1]);
		kit_crash_over(&kit, 2);
		kit_open(&kit);
	}
	assert_int_equal(kit_number(&kit, "SELECT crashes FROM jobs WHERE id = 1"), 0);
	assert_int_equal(kit_number(&kit, "SELECT crashes FROM jobs WHERE id = 2"), 2);
	assert_true(kit_claim(&kit, &jobs[0], T0));
	assert_false(kit_claim(&kit, &jobs[1], T0)); /* the suspect works alone */
	job_dispose(&jobs[0]);
	kit_end(&kit);
}

/* A note is of the process that died last, of a job that was under way, and whole. */
static void test_notes_that_do_not_count(void **state)
{
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	log_set_level(LOG_LEVEL_ERROR + 1);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
	kit_crash_over(&kit, 1); /* not under way */
	kit_open(&kit);
	assert_true(kit_claim(&kit, &job, T0));
	job_dispose(&job);
	kit_crash(&kit); /* the note is of the process before this one */
	kit_open(&kit);
	assert_true(kit_claim(&kit, &job, T0));
	job_dispose(&job);
	kit_crash_over(&kit, 1);
	{
		char path[sizeof kit.path + 8];

		snprintf(path, sizeof path, "%s.crash", kit.path);
		assert_int_equal(truncate(path, 23), 0); /* half a note */
	}
	kit_open(&kit);
	assert_int_equal(kit_number(&kit, "SELECT crashes FROM jobs"), 0);
	assert_int_equal(kit_number(&kit, "SELECT deaths FROM jobs"), 2);
	kit_end(&kit);
}

static void test_results_and_clean_stops_forgive(void **state)
{
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
	for (int i = 0; i < 10; i++) {
		assert_true(kit_claim(&kit, &job, T0));
		assert_int_equal(job.crashes, 0);
		if (i % 2) {
			job_dispose(&job);
			db_close(kit.db); /* stopped in mid-step, but on purpose */
		} else {
			kit_move(&kit, &job, JOB_READY, T0);
			kit_crash(&kit);
		}
		kit_open(&kit);
	}
	kit_end(&kit);
}

static void test_open_intent_survives(void **state)
{
	struct effect effect = {.kind = EFFECT_RUN_CREATE}, open = {0};
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "run"});
	assert_true(kit_claim(&kit, &job, T0));
	effect.args = json_pack("{s:s}", "run_id", "chosen");
	KIT_BEGIN(&kit);
	assert_ok(&kit, queue_step_intent(kit.db, &job, &effect, T0, &kit.err));
	KIT_COMMIT(&kit);
	json_decref(effect.args);
	job_dispose(&job);
	kit_crash(&kit);
	kit_open(&kit);
	assert_true(kit_claim(&kit, &job, T0));
	assert_ok(&kit, queue_step_open(kit.db, &job, &open, &kit.err));
	assert_int_equal(open.kind, EFFECT_RUN_CREATE);
	assert_string_equal(jval_str(open.args, "run_id", ""), "chosen");
	json_decref(open.args);
	job_dispose(&job);
	kit_end(&kit);
}

static void test_clock_that_was_ahead(void **state)
{
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "run"});
	assert_true(kit_claim(&kit, &job, T0));
	job.due_at_ms = T0 + 20 * (int64_t)HOUR_MS;
	kit_move(&kit, &job, JOB_BACKOFF, T0);
	kit_crash(&kit);
	kit_open(&kit);
	assert_int_equal(kit_work(&kit, JOB_DONE, T0), 1);
	kit_end(&kit);
}

/* The same at run time, by the clock that is handed in. What waits for a run is left alone: its
 * time is a deadline, which may lie days ahead. */
static void test_clock_that_is_put_back(void **state)
{
	static const struct {
		const char *name;
		enum job_state state;
		enum wait_kind kind;
		int64_t ahead_ms;
		bool moves;
	} cases[] = {
		{"a back-off of before", JOB_BACKOFF, WAIT_NONE, 5 * (int64_t)HOUR_MS, true},
		{"a back-off of now", JOB_BACKOFF, WAIT_NONE, 300000, false},
		{"the longest wait GitHub asks for", JOB_BACKOFF, WAIT_NONE, HOUR_MS, false},
		{"a short wait of before", JOB_PARKED, WAIT_NONE, 5 * (int64_t)HOUR_MS, true},
		{"a run that goes on", JOB_PARKED, WAIT_RUN, 5 * (int64_t)HOUR_MS, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kit kit;
		struct job job;
		int64_t moved;

		kit_start(&kit);
		kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "run"});
		assert_true(kit_claim(&kit, &job, T0));
		job.due_at_ms = T0 + cases[i].ahead_ms;
		job.wait_kind = cases[i].kind;
		job.wait_ref = str_dup(cases[i].kind ? "a-run" : NULL);
		kit_move(&kit, &job, cases[i].state, T0);
		KIT_BEGIN(&kit);
		assert_ok(&kit, queue_bring_back(kit.db, T0, &moved, &kit.err));
		KIT_COMMIT(&kit);
		if ((kit_number(&kit, "SELECT due_at FROM jobs") == T0) != cases[i].moves)
			fail_msg("%s", cases[i].name);
		kit_end(&kit);
	}
}

static void test_wishes_of_a_clock_that_was_ahead(void **state)
{
	struct kit kit;
	int64_t moved;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1,
					      .comment_id = 1,
					      .commands = "run",
					      .at_ms = T0 + 5 * (int64_t)HOUR_MS});
	KIT_BEGIN(&kit);
	assert_ok(&kit, queue_bring_back(kit.db, T0, &moved, &kit.err));
	KIT_COMMIT(&kit);
	assert_int_equal(moved, 2); /* the job and its eyes */
	assert_int_equal(kit_number(&kit, "SELECT due_at FROM outbox"), T0);
	kit_end(&kit);
}

/* What was put off because a far side refused us is due when that has changed. */
static void test_retrying_now(void **state)
{
	struct kit kit;
	struct job job;
	int64_t moved;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "run"});
	assert_true(kit_claim(&kit, &job, T0));
	job.due_at_ms = T0 + 300000;
	kit_move(&kit, &job, JOB_BACKOFF, T0);
	KIT_BEGIN(&kit);
	assert_ok(&kit, outbox_retry(kit.db, 1, T0 + 300000, false, "refused", &kit.err));
	assert_ok(&kit, queue_retry_now(kit.db, T0, &moved, &kit.err));
	assert_int_equal(moved, 2);
	assert_ok(&kit, queue_retry_now(kit.db, T0, &moved, &kit.err));
	assert_int_equal(moved, 0);
	KIT_COMMIT(&kit);
	assert_int_equal(kit_work(&kit, JOB_DONE, T0), 1);
	kit_end(&kit);
}

/* --- kill -9 --- */

static void write_all_the_time(const char *path, int ack, unsigned from)
{
	struct kit kit = {.guid = from};

	str_copy(kit.path, sizeof kit.path, path);
	if (db_open(&kit.db, kit.path, T0, &kit.err) != ERR_OK)
		_exit(2);
	for (;;) {
		unsigned first = kit.guid + 1;
		enum queue_outcome out;

		if (db_begin(kit.db, &kit.err) != ERR_OK)
			_exit(3);
		for (int i = 0; i < 5; i++) {
			unsigned guid = ++kit.guid;
			struct kit_event event = {.pr = guid % 7 + 1,
						  .comment_id = guid,
						  .guid = guid,
						  .commands = "build"};

			if (kit_receive_raw(&kit, &event, &out) != ERR_OK)
				_exit(4);
		}
		if (db_commit(kit.db, &kit.err) != ERR_OK)
			_exit(5);
		db_checkpoint(kit.db, first % 3 == 0);
		for (unsigned guid = first; guid <= kit.guid; guid++)
			if (write(ack, &guid, sizeof guid) != sizeof guid)
				_exit(6);
	}
}

static void test_kill_under_load(void **state)
{
	enum { ROUNDS = 20 };
	unsigned acked = 0, last = 0, guid;
	struct kit kit;

	(void)state;
	kit_folder(&kit);
	srandom(20261122);
	for (int round = 0; round < ROUNDS; round++) {
		struct timespec nap = {.tv_nsec = 5000000 + random() % 60000000};
		int ends[2], status;
		pid_t child;

		assert_int_equal(pipe(ends), 0);
		child = fork();
		if (!child) {
			close(ends[0]);
			write_all_the_time(kit.path, ends[1], last);
		}
		close(ends[1]);
		nanosleep(&nap, NULL);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		kit_open(&kit);
		last = (unsigned)kit_number(&kit, "SELECT coalesce(max(comment_id), 0) FROM jobs");
		while (read(ends[0], &guid, sizeof guid) == sizeof guid) {
			assert_true(kit_has_delivery(&kit, guid));
			acked++;
		}
		close(ends[0]);
		assert_true(kit_is_sound(&kit));
		kit_crash(&kit);
	}
	assert_true(acked > 0);
	print_message("%u acknowledged, 0 lost in %d kills\n", acked, ROUNDS);
	kit_end(&kit);
}

/* Exits hard at the n-th crash point of a first start; the next start must work. */
static void test_kill_while_starting(void **state)
{
	int status = 0, n = 0;

	(void)state;
	do {
		char at[16];
		struct kit kit;
		pid_t child;

		kit_folder_in_memory(&kit);
		snprintf(at, sizeof at, "%d", ++n);
		child = fork();
		if (!child) {
			setenv("KFOPS_CRASH_AT", at, 1);
			crash_init();
			_exit(db_open(&kit.db, kit.path, T0, &kit.err) == ERR_OK ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
		kit_open(&kit);
		assert_true(kit_is_sound(&kit));
		kit_end(&kit);
	} while (WEXITSTATUS(status) != 0 && n < 50);
	assert_true(n > 2 && n < 50);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_killer_is_given_up),
		cmocka_unit_test(test_a_killer_that_cannot_even_be_ended),
		cmocka_unit_test(test_a_burial_is_an_end),
		cmocka_unit_test(test_deaths_delay_and_never_end),
		cmocka_unit_test(test_the_one_beside_is_not_blamed),
		cmocka_unit_test(test_notes_that_do_not_count),
		cmocka_unit_test(test_results_and_clean_stops_forgive),
		cmocka_unit_test(test_open_intent_survives),
		cmocka_unit_test(test_clock_that_was_ahead),
		cmocka_unit_test(test_clock_that_is_put_back),
		cmocka_unit_test(test_wishes_of_a_clock_that_was_ahead),
		cmocka_unit_test(test_retrying_now),
		cmocka_unit_test(test_kill_under_load),
#if KFOPS_FAULTS
		cmocka_unit_test(test_kill_while_starting),
#endif
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
