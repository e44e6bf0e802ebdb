/* test_db.c - opening: who may, what is refused, what an older file becomes; batches and their
 * undoing. */
#include <inttypes.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "lib/base/clock.h"
#include "tests/unit/store/store_kit.h"

/* Migrations may be numbered with gaps. */
static int64_t newest_version(void)
{
	return store_migrations[store_migration_count - 1].version;
}

static void test_refused_files(void **state)
{
	static const struct {
		const char *name;
		const char *sql; /* makes the file; NULL: `bytes` is its content */
		const char *bytes;
		const char *code;
		enum err_class expect;
	} cases[] = {
		{"a newer one",
		 "CREATE TABLE x (a); PRAGMA user_version = 999;"
		 "PRAGMA application_id = 1262899024;",
		 NULL, "store.newer", ERR_CONFIG},
		{"somebody else's", "CREATE TABLE x (a);", NULL, "store.foreign", ERR_CONFIG},
		{"another application's", "CREATE TABLE x (a); PRAGMA application_id = 5;", NULL,
		 "store.foreign", ERR_CONFIG},
		{"no database at all", NULL,
		 "This is a text that somebody left here, long enough to be "
		 "taken for a header of a database, which it is not, and so on and on and on and "
		 "on.",
		 "store.damaged", ERR_CORRUPT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct stat before, after;
		struct kit kit;
		sqlite3 *sql;
		FILE *file;

		kit_folder(&kit);
		log_set_level(LOG_LEVEL_ERROR);
		if (cases[i].sql) {
			assert_int_equal(sqlite3_open(kit.path, &sql), SQLITE_OK);
			assert_int_equal(sqlite3_exec(sql, cases[i].sql, 0, 0, 0), SQLITE_OK);
			sqlite3_close(sql);
		} else {
			assert_non_null(file = fopen(kit.path, "w"));
			fputs(cases[i].bytes, file);
			fclose(file);
		}
		assert_int_equal(stat(kit.path, &before), 0);
		if (db_open(&kit.db, kit.path, T0, &kit.err) != cases[i].expect ||
		    !str_eq(kit.err.code, cases[i].code))
			fail_msg("%s: %s %s", cases[i].name, kit.err.code, kit.err.msg);
		assert_int_equal(stat(kit.path, &after), 0);
		assert_int_equal(before.st_size, after.st_size);
		assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
		kit_end(&kit);
	}
}

static void test_refused_places(void **state)
{
	static const struct {
		const char *path;
		const char *code;
	} cases[] = {{"/nonexistent/x.db", "store.path"}, {"/proc/x.db", "store.path"}};
	struct db *db = NULL;
	struct err err;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR + 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(db_open(&db, cases[i].path, T0, &err), ERR_CONFIG);
		assert_string_equal(err.code, cases[i].code);
		assert_null(db);
	}
}

/* A second process is refused at once, with the pid of the first, which notices nothing. */
static void test_second_process(void **state)
{
	struct db *other = NULL;
	struct kit kit;
	char pid[32];
	int64_t began;
	int status;
	pid_t child;

	(void)state;
	kit_start(&kit);
	snprintf(pid, sizeof pid, "process %d", (int)getpid());
	began = clock_mono_ms();
	child = fork();
	if (!child)
		_exit(db_open(&other, kit.path, T0, &kit.err) == ERR_CONFIG &&
				      str_eq(kit.err.code, "store.locked") &&
				      strstr(kit.err.msg, pid)
			      ? 73
			      : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 73);
	assert_true(clock_mono_ms() - began < 1000);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
	kit_end(&kit);
}

static void test_settings_hold(void **state)
{
	static const struct {
		const char *pragma;
		const char *expect;
	} cases[] = {
		{"PRAGMA journal_mode", "wal"},
		{"PRAGMA synchronous", "2"},
		{"PRAGMA wal_autocheckpoint", "0"},
		{"PRAGMA foreign_keys", "1"},
		{"PRAGMA auto_vacuum", "2"},
		{"PRAGMA mmap_size", "0"},
		{"PRAGMA temp_store", "2"},
		{"PRAGMA cache_size", "-2048"},
		{"PRAGMA journal_size_limit", "67108864"},
		{"PRAGMA cell_size_check", "1"},
		{"SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND strict = 0 "
		 "AND name NOT LIKE 'sqlite%'",
		 "0"},
	};
	struct kit kit;
	char text[64];

	(void)state;
	kit_start(&kit);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		kit_text(&kit, text, sizeof text, cases[i].pragma);
		if (!str_eq(text, cases[i].expect))
			fail_msg("%s is %s", cases[i].pragma, text);
	}
	assert_int_equal(kit_number(&kit, "PRAGMA user_version"), newest_version());
	kit_end(&kit);
}

static void test_clean_and_unclean_stops(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
	assert_true(db_was_clean(kit.db));
	assert_int_equal(db_incarnation(kit.db), 1);
	db_close(kit.db);
	kit_open(&kit);
	assert_true(db_was_clean(kit.db));
	assert_int_equal(db_incarnation(kit.db), 2);
	kit_crash(&kit);
	kit_open(&kit);
	assert_false(db_was_clean(kit.db));
	assert_int_equal(db_incarnation(kit.db), 3);
	assert_ok(&kit, db_check(kit.db, &kit.err));
	kit_end(&kit);
}

static void test_reader_sees_commits(void **state)
{
	struct db *reader;
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	assert_ok(&kit, db_open_reader(&reader, kit.path, &kit.err));
	assert_int_equal(queue_load(reader, 1, &job, &kit.err), ERR_NOT_FOUND);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
	assert_ok(&kit, queue_load(reader, 1, &job, &kit.err));
	job_dispose(&job);
	log_set_level(LOG_LEVEL_ERROR + 1);
	assert_int_not_equal(db_meta_set(reader, "a", "b", &kit.err), ERR_OK);
	db_checkpoint(kit.db, true);
	assert_ok(&kit, db_check(reader, &kit.err));
	db_close(reader);
	kit_end(&kit);
}

static void test_one_bad_operation_fails_alone(void **state)
{
	char text[16];
	struct kit kit;

	(void)state;
	kit_start(&kit);
	KIT_BEGIN(&kit);
	for (int i = 0; i < 3; i++) {
		char key[2] = {(char)('a' + i), '\0'};

		assert_ok(&kit, db_savepoint(kit.db, &kit.err));
		assert_ok(&kit, db_meta_set(kit.db, key, "1", &kit.err));
		assert_ok(&kit, db_release(kit.db, i != 1, &kit.err));
	}
	KIT_COMMIT(&kit);
	assert_ok(&kit, db_meta_get(kit.db, "a", text, sizeof text, &kit.err));
	assert_int_equal(db_meta_get(kit.db, "b", text, sizeof text, &kit.err), ERR_NOT_FOUND);
	assert_ok(&kit, db_meta_get(kit.db, "c", text, sizeof text, &kit.err));
	KIT_BEGIN(&kit);
	assert_ok(&kit, db_meta_set(kit.db, "a", "2", &kit.err));
	db_rollback(kit.db);
	assert_ok(&kit, db_meta_get(kit.db, "a", text, sizeof text, &kit.err));
	assert_string_equal(text, "1");
	kit_end(&kit);
}

static void test_meta(void **state)
{
	static const struct {
		const char *key, *value;
		bool kept; /* after forgetting "redeliver:" before 50 */
	} cases[] = {
		{"redeliver:a", "1@49", false}, {"redeliver:b", "1@50", true},
		{"redeliver:c", "3@7", false},	{"redeliver:d", "no time", true},
		{"cursor", "1@1", true},	{"redeliver", "1@1", true},
	};
	struct kit kit;
	char text[32];

	(void)state;
	kit_start(&kit);
	KIT_BEGIN(&kit);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_ok(&kit, db_meta_set(kit.db, cases[i].key, cases[i].value, &kit.err));
	assert_ok(&kit, db_meta_set(kit.db, "cursor", "2@2", &kit.err));
	assert_ok(&kit, db_meta_forget(kit.db, "redeliver:", 50, &kit.err));
	KIT_COMMIT(&kit);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(db_meta_get(kit.db, cases[i].key, text, sizeof text, &kit.err),
				 cases[i].kept ? ERR_OK : ERR_NOT_FOUND);
	assert_ok(&kit, db_meta_get(kit.db, "cursor", text, sizeof text, &kit.err));
	assert_string_equal(text, "2@2");
	kit_end(&kit);
}

static void test_log_is_folded_in(void **state)
{
	char wal[128];
	struct stat info;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	snprintf(wal, sizeof wal, "%s-wal", kit.path);
	for (int i = 0; i < 300; i++)
		kit_receive(&kit, &(struct kit_event){
					  .pr = i + 1, .comment_id = i + 1, .commands = "build"});
	assert_true(kit.db->wal_pages > 1000);
	db_checkpoint(kit.db, true);
	assert_true(kit.db->wal_pages > 1000); /* the next request may be on its way */
	kit.db->committed_mono_ms -= 1000;
	db_checkpoint(kit.db, true);
	assert_int_equal(kit.db->wal_pages, 0);
	kit.db->committed_mono_ms -= 61000;
	db_checkpoint(kit.db, true);
	assert_int_equal(stat(wal, &info), 0);
	assert_int_equal(info.st_size, 0);
	kit_end(&kit);
}

static void test_when_the_log_is_folded_in(void **state)
{
	static const struct {
		const char *name;
		int pages;
		bool idle;
		int64_t quiet_ms;
		bool folded;
	} cases[] = {
		{"short log", 1000, true, 5000, false},
		{"quiet for a while", 1001, true, 1000, true},
		{"quiet for a moment", 4000, true, 0, false},
		{"quiet for a moment, longer log", 4001, true, 0, true},
		{"busy", 16000, false, 0, false},
		{"busy, log at its limit", 16001, false, 0, true},
	};
	struct kit kit;

	(void)state;
	kit_start(&kit);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		kit.db->wal_pages = cases[i].pages;
		kit.db->committed_mono_ms = clock_mono_ms() - cases[i].quiet_ms;
		db_checkpoint(kit.db, cases[i].idle);
		if ((kit.db->wal_pages == 0) != cases[i].folded)
			fail_msg("%s", cases[i].name);
	}
	kit_end(&kit);
}

/* --- migrations --- */

/* Those of this program and one more. */
static const struct migration *one_more(const char *sql)
{
	static struct migration list[32];

	must(store_migration_count < ARRAY_LEN(list));
	memcpy(list, store_migrations, store_migration_count * sizeof *list);
	list[store_migration_count] = (struct migration){(int)newest_version() + 1, "test", sql};
	return list;
}

static void test_upgrade(void **state)
{
	static const struct {
		const char *name;
		const char *sql;
		bool works;
	} cases[] = {
		{"a good one",
		 "ALTER TABLE jobs ADD COLUMN extra TEXT; UPDATE jobs SET extra = 'x';", true},
		{"one that fails half way",
		 "ALTER TABLE jobs ADD COLUMN extra TEXT; SELECT nonsense;", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char path[128];
		enum err_class class;
		struct kit kit;

		kit_start(&kit);
		kit_receive(&kit,
			    &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
		kit_crash(&kit);
		log_set_level(LOG_LEVEL_ERROR + 1);
		class = store_open(&kit.db, kit.path, T0, one_more(cases[i].sql),
				   store_migration_count + 1, &kit.err);
		assert_int_equal(class == ERR_OK, cases[i].works);
		if (class == ERR_OK) {
			assert_int_equal(kit_number(&kit, "PRAGMA user_version"),
					 newest_version() + 1);
			assert_int_equal(
				kit_number(&kit, "SELECT count(*) FROM jobs WHERE extra = 'x'"), 1);
			assert_true(kit_is_sound(&kit));
			db_close(kit.db);
			assert_int_equal(db_open(&kit.db, kit.path, T0, &kit.err), ERR_CONFIG);
			assert_string_equal(kit.err.code, "store.newer");
		}
		kit.db = NULL;
		snprintf(path, sizeof path, "%s.v%" PRId64 ".bak", kit.path, newest_version());
		assert_int_equal(access(path, F_OK), 0);
		str_copy(kit.path, sizeof kit.path, path); /* the copy is what was there before */
		kit_open(&kit);
		assert_int_equal(kit_number(&kit, "SELECT count(*) FROM jobs"), 1);
		kit_end(&kit);
	}
}

/* The table of deployments is made anew by a migration: what was deployed before is still there. */
static void test_deployments_from_before_they_could_be_left_open(void **state)
{
	struct kit kit;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR + 1);
	kit_start(&kit);
	kit_crash(&kit);
	unlink(kit.path);
	assert_int_equal(store_open(&kit.db, kit.path, T0, store_migrations, 2, &kit.err), ERR_OK);
	assert_int_equal(
		kit_number(&kit,
			   "INSERT INTO deployments (id, repo_id, environment, state, job_id, uid, "
			   "pr, head_sha, run_id, actor_id, actor, fence, namespace, service, "
			   "storage_uri, model_digest, percent, template, before, remote_id, "
			   "started_at, ended_at) VALUES (41, 1, 'production', 2, 7, 'u', 3, 's', "
			   "'r', 1, 'ann', 5, 'ml', 'iris', 's3://b/m/', 'd', 100, '{\"a\":1}', "
			   "'{\"b\":2}', 9, 1, 2) RETURNING id"),
		41);
	kit_crash(&kit);
	assert_int_equal(store_open(&kit.db, kit.path, T0, store_migrations, store_migration_count,
				    &kit.err),
			 ERR_OK);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM deployments WHERE id = 41 AND "
					  "state = 2 AND percent = 100 AND remote_id = 9 AND "
					  "plan = '{}' AND before = '{\"b\":2}' AND ended_at = 2"),
			 1);
	assert_true(kit_is_sound(&kit));
	kit_end(&kit);
}

/* A file of the first release, kept as text, opens in this program and its work goes on. */
static void test_fixture_of_first_release(void **state)
{
	const char *source = getenv("KFOPS_SOURCE_DIR");
	char path[512], *text;
	struct kit kit;
	sqlite3 *sql;
	FILE *file;
	size_t len;

	(void)state;
	if (!source) {
		print_message("skipped: KFOPS_SOURCE_DIR is not set\n");
		skip();
	}
	kit_folder(&kit);
	snprintf(path, sizeof path, "%s/tests/data/store/v1.sql", source);
	file = fopen(path, "r");
	assert_non_null(file);
	text = mem_new(1, 1 << 20);
	len = fread(text, 1, (1 << 20) - 1, file);
	fclose(file);
	assert_true(len > 1000);
	assert_int_equal(sqlite3_open(kit.path, &sql), SQLITE_OK);
	if (sqlite3_exec(sql, text, 0, 0, 0) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(sql));
	sqlite3_close(sql);
	mem_free(text);
	kit_open(&kit);
	assert_true(kit_is_sound(&kit));
	assert_int_equal(db_incarnation(kit.db), 4);
	assert_string_equal(kit_line(&kit, 5), "1 done, 2 parked, 3 blocked, 4 ready");
	assert_int_equal(kit_work(&kit, JOB_DONE, T0), 4);
	kit_end(&kit);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_files),
		cmocka_unit_test(test_refused_places),
		cmocka_unit_test(test_second_process),
		cmocka_unit_test(test_settings_hold),
		cmocka_unit_test(test_clean_and_unclean_stops),
		cmocka_unit_test(test_reader_sees_commits),
		cmocka_unit_test(test_one_bad_operation_fails_alone),
		cmocka_unit_test(test_meta),
		cmocka_unit_test(test_log_is_folded_in),
		cmocka_unit_test(test_when_the_log_is_folded_in),
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_deployments_from_before_they_could_be_left_open),
		cmocka_unit_test(test_fixture_of_first_release),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
