/* test_recovery.c - kills, full and failing disks, power cuts, and a long seeded muddle.
 *
 * The promise under test is always the same: what was acknowledged (its commit returned ERR_OK) is
 * there after the next start, the file is sound, nobody is stuck, and no two jobs run on one pull
 * request. */
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

static bool has_delivery(struct kit *kit, unsigned guid)
{
	unsigned char bytes[16] = {0};
	sqlite3_stmt *stmt;
	bool found;

	memcpy(bytes, &guid, sizeof guid);
	assert_int_equal(sqlite3_prepare_v2(kit->db->sql,
					    "SELECT 1 FROM deliveries AS d JOIN jobs AS j "
					    "ON j.comment_id = d.comment_id WHERE guid = ?1",
					    -1, &stmt, NULL),
			 SQLITE_OK);
	sqlite3_bind_blob(stmt, 1, bytes, 16, SQLITE_STATIC);
	found = sqlite3_step(stmt) == SQLITE_ROW;
	sqlite3_finalize(stmt);
	return found;
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
			assert_true(has_delivery(&kit, guid));
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

		kit_folder(&kit);
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

/* --- a disk that fails --- */

enum { BATCHES = 6, PER_BATCH = 4 };

struct run {
	bool acked[BATCHES];
	bool opened;
	enum err_class worst;
	int acked_count;
};

static enum err_class one_batch(struct kit *kit, int number)
{
	enum err_class class = db_begin(kit->db, &kit->err);
	enum queue_outcome out;
	struct job job;
	int64_t next;

	for (int i = 0; class == ERR_OK && i < PER_BATCH; i++) {
		unsigned guid = (unsigned)(number * PER_BATCH + i + 1);
		struct kit_event event = {
			.pr = guid, .comment_id = guid, .guid = guid, .commands = "build"};

		class = db_savepoint(kit->db, &kit->err);
		if (class == ERR_OK)
			class = kit_receive_raw(kit, &event, &out);
		if (class == ERR_OK)
			class = db_release(kit->db, true, &kit->err);
	}
	if (class == ERR_OK)
		class = queue_claim(kit->db, T0, 0, &job, &next, &kit->err);
	if (class == ERR_OK) {
		struct queue_result result = {.job = &job, .now_ms = T0};

		job.state = JOB_DONE;
		class = queue_step_result(kit->db, &result, &kit->err);
		job_dispose(&job);
	}
	if (class == ERR_OK)
		return db_commit(kit->db, &kit->err);
	if (kit->db->in_batch)
		db_rollback(kit->db);
	return class;
}

/* Opens and works until the disk is given up; what it may not do is lie about a commit. */
static void work_on(struct kit *kit, struct run *run)
{
	enum err_class class = db_open(&kit->db, kit->path, T0, &kit->err);

	run->worst = class;
	run->opened = class == ERR_OK;
	if (!run->opened) {
		kit->db = NULL;
		return;
	}
	for (int i = 0; i < BATCHES; i++) {
		class = one_batch(kit, i);
		if (class != ERR_OK && class != ERR_TRANSIENT && class != ERR_CORRUPT)
			fail_msg("class %s: %s", err_class_name(class), kit->err.msg);
		run->acked[i] = class == ERR_OK;
		run->acked_count += class == ERR_OK;
		if (class > run->worst)
			run->worst = class;
		kit->db->wal_pages =
			i % 2 ? 20000 : kit->db->wal_pages; /* a checkpoint every other */
		db_checkpoint(kit->db, i % 2);
	}
	kit_crash(kit);
}

static void expect_acked(struct kit *kit, const struct run *run, const char *what)
{
	for (int i = 0; i < BATCHES * PER_BATCH; i++)
		if (run->acked[i / PER_BATCH] && !has_delivery(kit, (unsigned)i + 1))
			fail_msg("%s: row %d was acknowledged and is lost", what, i + 1);
	if (!kit_is_sound(kit))
		fail_msg("%s: not sound", what);
}

/* One fault at the n-th call; false when it was not reached any more. */
static bool play(const char *op, int n, const char *kind, bool persistent)
{
	struct run run = {0};
	char spec[64];
	int64_t fired;
	struct kit kit;

	snprintf(spec, sizeof spec, "%s:%d:%s%s", op, n, kind, persistent ? ":persistent" : "");
	kit_folder(&kit);
	log_set_level(LOG_LEVEL_ERROR + 1);
	assert_true(vfs_fault_arm(spec));
	work_on(&kit, &run);
	fired = vfs_fault_fired();
	assert_true(vfs_fault_arm(NULL));
	kit_open(&kit);
	expect_acked(&kit, &run, spec);
	if (fired && !persistent && str_eq(kind, "full") && run.opened &&
	    run.worst != ERR_CORRUPT && run.acked_count < BATCHES - 1)
		fail_msg("%s: a disk that was full once stopped more than one batch", spec);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 999, .commands = "run"});
	kit_end(&kit);
	return fired > 0;
}

static void test_failing_disk(void **state)
{
	static const struct {
		const char *op;
		const char *kind;
	} cases[] = {
		{"read", "ioerr"},  {"write", "ioerr"},	   {"write", "full"},
		{"write", "short"}, {"sync", "ioerr"},	   {"sync", "full"},
		{"sync", "lie"},    {"truncate", "ioerr"}, {"open", "ioerr"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (int persistent = 0; persistent < 2; persistent++) {
			int n = 1;

			while (play(cases[i].op, n, cases[i].kind, persistent))
				n += n < 40 ? 1 : 7; /* all of the start, then every seventh */
			assert_true(n > 1);
		}
}

/* A disk that drops what it said it wrote can lose data, but nothing may crash, and what is wrong
 * is called so. */
static void test_lying_disk(void **state)
{
	int harmed = 0;

	(void)state;
	for (int n = 1; n < 250; n += 3) {
		struct run run = {0};
		char spec[64];
		enum err_class class;
		struct kit kit;

		snprintf(spec, sizeof spec, "write:%d:lie", n);
		kit_folder(&kit);
		log_set_level(LOG_LEVEL_ERROR + 1);
		assert_true(vfs_fault_arm(spec));
		work_on(&kit, &run);
		assert_true(vfs_fault_arm(NULL));
		class = db_open(&kit.db, kit.path, T0, &kit.err);
		if (class == ERR_OK) {
			class = db_check(kit.db, &kit.err);
			kit_crash(&kit);
		} else
			kit.db = NULL;
		if (class != ERR_OK && class != ERR_CORRUPT && class != ERR_CONFIG)
			fail_msg("%s: %s: %s", spec, err_class_name(class), kit.err.msg);
		harmed += class != ERR_OK;
		kit_end(&kit);
	}
	assert_true(harmed > 0);
}

static void test_fault_specs(void **state)
{
	static const struct {
		const char *spec;
		bool good;
	} cases[] = {
		{"write:1:ioerr", true},
		{"sync:20:lie:persistent", true},
		{"open:3:full", true},
		{"truncate:1:short", true},
		{"", false},
		{"write", false},
		{"write:1", false},
		{"write:0:full", false},
		{"write:x:full", false},
		{"seek:1:full", false},
		{"write:1:fire", false},
		{"write:1:full:often", false},
		{"write:1:", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (vfs_fault_arm(cases[i].spec) != cases[i].good)
			fail_msg("%s", cases[i].spec);
	assert_true(vfs_fault_arm(NULL));
}

/* --- power cuts --- */

enum { BEFORE_FIRST = -2 };

/* The n-th sync fails and then the power goes: what was not synced is partly lost. Returns how many
 * acknowledged rows are gone; BEFORE_FIRST when it was a sync of opening. */
static int cut(const char *spec, uint64_t seed, bool *fired)
{
	struct run run = {0};
	int lost = 0;
	struct kit kit;

	kit_folder(&kit);
	log_set_level(LOG_LEVEL_ERROR + 1);
	assert_true(vfs_fault_arm(spec));
	vfs_fault_power_watch(true);
	if (db_open(&kit.db, kit.path, T0, &kit.err) != ERR_OK) {
		kit.db = NULL;
		vfs_fault_power_cut(seed);
		kit_end(&kit);
		return BEFORE_FIRST;
	}
	for (int i = 0; i < BATCHES && !kit.db->broken; i++) {
		run.acked[i] = one_batch(&kit, i) == ERR_OK;
		kit.db->wal_pages = i % 2 ? 20000 : kit.db->wal_pages;
		db_checkpoint(kit.db, false);
	}
	*fired = vfs_fault_fired() > 0;
	assert_true(vfs_fault_arm(NULL));
	vfs_fault_power_cut(seed);
	kit_crash(&kit);
	if (db_open(&kit.db, kit.path, T0, &kit.err) != ERR_OK) {
		kit.db = NULL;
		lost = -1;
	} else if (kit_is_sound(&kit)) {
		for (int i = 0; i < BATCHES * PER_BATCH; i++)
			lost += run.acked[i / PER_BATCH] && !has_delivery(&kit, (unsigned)i + 1);
		kit_crash(&kit);
	} else {
		lost = -1;
		kit_crash(&kit);
	}
	kit_end(&kit);
	return lost;
}

static void test_power_cut(void **state)
{
	bool fired = true;
	int cuts = 0;

	(void)state;
	/* The syncs of a first start have a test of their own. */
	for (int n = 1; fired && n < 100; n++)
		for (uint64_t seed = 1; seed <= 6; seed++) {
			char spec[64];
			int lost;

			snprintf(spec, sizeof spec, "sync:%d:ioerr:persistent", n);
			lost = cut(spec, seed * 1000 + (uint64_t)n, &fired);
			if (lost == BEFORE_FIRST)
				break;
			if (lost)
				fail_msg("%s seed %d: lost %d", spec, (int)seed, lost);
			cuts++;
		}
	assert_true(cuts > 6);
	print_message("%d power cuts, nothing acknowledged lost\n", cuts);
}

/* The instrument itself: with syncs that only pretend, the same cut must lose something. */
static void test_power_cut_finds_missing_syncs(void **state)
{
	bool fired;
	int harmed = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++)
		harmed += cut("sync:14:lie:persistent", seed, &fired) != 0;
	assert_true(harmed > 0);
}

/* --- a long muddle --- */

struct muddle {
	struct kit kit;
	struct job held[12];
	uint64_t seed;
	int64_t clock, comment;
	int64_t jobs;
};

static unsigned toss(struct muddle *it, unsigned sides)
{
	it->seed = it->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(it->seed >> 33) % sides;
}

static void muddle_say(struct muddle *it)
{
	static const char *const commands[] = {
		"build", "run", "build run", "build_run", "status", "build run build_run", "retry"};
	int64_t comment = ++it->comment;
	struct kit_event event = {.pr = toss(it, 3) + 1,
				  .at_ms = it->clock,
				  .keep_going = toss(it, 2),
				  .refuse_late = !toss(it, 15),
				  .commands = commands[toss(it, ARRAY_LEN(commands))]};

	/* one in four arrives before an older one */
	event.comment_id = toss(it, 4) ? comment * 10 : comment * 10 - 25;
	kit_receive(&it->kit, &event);
}

static struct job *muddle_held(struct muddle *it, bool free_one)
{
	size_t first = toss(it, ARRAY_LEN(it->held));

	for (size_t i = 0; i < ARRAY_LEN(it->held); i++) {
		struct job *job = &it->held[(first + i) % ARRAY_LEN(it->held)];

		if ((job->id == 0) == free_one)
			return job;
	}
	return NULL;
}

static void muddle_finish(struct muddle *it)
{
	static const enum job_state states[] = {JOB_READY, JOB_PARKED,	 JOB_PARKED, JOB_BACKOFF,
						JOB_DONE,  JOB_DONE,	 JOB_FAILED, JOB_EXPIRED,
						JOB_DEAD,  JOB_CANCELLED};
	struct job *job = muddle_held(it, false);

	if (!job)
		return;
	job->due_at_ms = it->clock + toss(it, 5000);
	job->wait_kind = WAIT_RUN;
	kit_move(&it->kit, job,
		 job->end_state ? job->end_state : states[toss(it, ARRAY_LEN(states))], it->clock);
}

static void muddle_cancel(struct muddle *it)
{
	json_t *said = NULL;
	int64_t id = it->jobs ? toss(it, (unsigned)it->jobs) + 1 : 0;
	enum err_class class;

	KIT_BEGIN(&it->kit);
	class = queue_cancel(it->kit.db, REPO, toss(it, 3) + 1, toss(it, 3) ? id : 0, 0, "bob",
			     it->clock, &said, &it->kit.err);
	assert_true(class == ERR_OK || class == ERR_NOT_FOUND || class == ERR_CONFLICT);
	KIT_COMMIT(&it->kit);
	json_decref(said);
}

static void muddle_retry(struct muddle *it)
{
	struct job *as = muddle_held(it, false);
	json_t *said = NULL;
	enum err_class class;

	if (!as)
		return;
	KIT_BEGIN(&it->kit);
	class = queue_retry(it->kit.db, 0, as, it->clock, &said, &it->kit.err);
	assert_true(class == ERR_OK || class == ERR_NOT_FOUND);
	KIT_COMMIT(&it->kit);
	json_decref(said);
}

static void muddle_wake(struct muddle *it)
{
	int64_t woken;

	KIT_BEGIN(&it->kit);
	assert_ok(&it->kit, queue_wake_due(it->kit.db, it->clock, 50, &woken, &it->kit.err));
	KIT_COMMIT(&it->kit);
}

static void muddle_restart(struct muddle *it)
{
	for (size_t i = 0; i < ARRAY_LEN(it->held); i++)
		job_dispose(&it->held[i]);
	kit_crash(&it->kit);
	kit_open(&it->kit);
	assert_int_equal(sqlite3_exec(it->kit.db->sql, "PRAGMA synchronous = OFF", 0, 0, 0),
			 SQLITE_OK);
	it->clock += HOUR_MS;
}

static void muddle_check(struct muddle *it, int step)
{
	static const struct {
		const char *name;
		const char *sql; /* counts what may not be */
	} rules[] = {
		{"two have the turn", "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE read_only = "
				      "0 AND end_state = 0 AND "
				      "state IN (0, 1, 2, 3) GROUP BY pr HAVING count(*) > 1)"},
		{"somebody waits for nobody", "SELECT count(*) FROM jobs AS b WHERE state = 4 AND "
					      "NOT EXISTS (SELECT 1 FROM jobs AS a "
					      "WHERE a.pr = b.pr AND a.read_only = 0 AND "
					      "a.end_state = 0 AND a.state IN (0, 1, 2, 3))"},
		{"a wanted end waits",
		 "SELECT count(*) FROM jobs WHERE end_state <> 0 AND state IN (2, 4)"},
		{"a started job was given an end",
		 "SELECT count(*) FROM jobs WHERE end_state <> 0 AND started_at IS NOT NULL"},
		{"a read-only one is blocked",
		 "SELECT count(*) FROM jobs WHERE read_only AND state = 4"},
		{"the table of ends is wrong",
		 "SELECT count(*) FROM ended AS e WHERE count <> (SELECT count(*) FROM jobs AS j "
		 "WHERE j.state = e.state)"},
	};

	it->jobs = kit_number(&it->kit, "SELECT coalesce(max(id), 0) FROM jobs");
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (kit_number(&it->kit, rules[i].sql))
			fail_msg("seed %llu step %d: %s", (unsigned long long)it->seed, step,
				 rules[i].name);
}

static void muddle_step(struct muddle *it)
{
	struct job *free_one;

	it->clock += toss(it, 200);
	switch (toss(it, 12)) {
	case 0:
	case 1:
	case 2:
		muddle_say(it);
		break;
	case 3:
	case 4:
	case 5:
		if ((free_one = muddle_held(it, true)))
			kit_claim(&it->kit, free_one, it->clock);
		break;
	case 6:
	case 7:
	case 8:
		muddle_finish(it);
		break;
	case 9:
		muddle_cancel(it);
		break;
	case 10:
		toss(it, 2) ? muddle_retry(it) : muddle_wake(it);
		break;
	default:
		if (!toss(it, 8))
			muddle_restart(it);
		else if (!toss(it, 4))
			kit_receive(&it->kit, &(struct kit_event){.kind = EVENT_PULL_REQUEST,
								  .action = "closed",
								  .pr = toss(it, 3) + 1,
								  .at_ms = it->clock});
	}
}

static void test_muddle(void **state)
{
	enum { SEEDS = 25, STEPS = 250 };

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct muddle it = {.seed = seed, .clock = T0};

		kit_start(&it.kit);
		log_set_level(LOG_LEVEL_ERROR + 1);
		assert_int_equal(sqlite3_exec(it.kit.db->sql, "PRAGMA synchronous = OFF", 0, 0, 0),
				 SQLITE_OK);
		for (int i = 0; i < STEPS; i++) {
			muddle_step(&it);
			muddle_check(&it, i);
		}
		/* Everybody gets home. */
		for (struct job *job; (job = muddle_held(&it, false));)
			kit_move(&it.kit, job, job->end_state ? job->end_state : JOB_DONE,
				 it.clock);
		for (int64_t i = 0; i < 2 * it.jobs + 10; i++) {
			it.clock += 6000;
			muddle_wake(&it);
			kit_work(&it.kit, JOB_DONE, it.clock);
		}
		if (kit_number(&it.kit, "SELECT count(*) FROM jobs WHERE state < 10"))
			fail_msg("seed %d: %s", (int)seed, kit_line(&it.kit, it.jobs));
		kit_end(&it.kit);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_killer_is_given_up),
		cmocka_unit_test(test_a_killer_that_cannot_even_be_ended),
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
		cmocka_unit_test(test_muddle),
#if KFOPS_FAULTS
		cmocka_unit_test(test_kill_while_starting),
		cmocka_unit_test(test_fault_specs),
		cmocka_unit_test(test_failing_disk),
		cmocka_unit_test(test_lying_disk),
		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_power_cut_finds_missing_syncs),
#endif
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
