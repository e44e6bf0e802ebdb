/* test_failing_disk.c - a disk that fails, lies or loses its power, played by the faulty VFS: what
 * was acknowledged is there afterwards, or what is wrong is called so. */
#include "tests/unit/store/store_kit.h"

#if KFOPS_FAULTS

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
		if (run->acked[i / PER_BATCH] && !kit_has_delivery(kit, (unsigned)i + 1))
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
	kit_folder_in_memory(&kit);
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
		kit_folder_in_memory(&kit);
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

	kit_folder_in_memory(&kit);
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
			lost += run.acked[i / PER_BATCH] &&
				!kit_has_delivery(&kit, (unsigned)i + 1);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failing_disk),
		cmocka_unit_test(test_lying_disk),
		cmocka_unit_test(test_fault_specs),
		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_power_cut_finds_missing_syncs),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return 77; /* skipped: this build has no faults */
}

#endif
