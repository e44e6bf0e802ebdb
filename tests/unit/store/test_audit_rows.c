/* test_audit_rows.c - the audit in the store: who gets a row and when, that rows stay, and that a
 * broken chain is found where it breaks. */
#include "lib/store/audit.h"
#include "lib/store/audit_impl.h"
#include "lib/store/deployments.h"
#include "lib/store/environments.h"
#include "tests/unit/store/store_kit.h"

/* "1 done, 2 refused denied.permission, ...": decision, effect and code of each row. */
struct said {
	char text[2048];
};

static bool say(void *arg, const struct audit_row *row)
{
	struct said *said = arg;
	size_t used = strlen(said->text);

	snprintf(said->text + used, sizeof said->text - used, "%s%s%s%s%s%s", used ? ", " : "",
		 row->decision, *row->effect ? " " : "", row->effect, *row->code ? " " : "",
		 row->code);
	return true;
}

static const char *rows(struct kit *kit, struct said *said, const struct audit_filter *filter)
{
	said->text[0] = '\0';
	assert_ok(kit, audit_find(kit->db, filter, say, said, &kit->err));
	return said->text;
}

static void assert_sound(struct kit *kit, int64_t count)
{
	struct audit_verdict verdict;

	assert_ok(kit, audit_verify(kit->db, NULL, &verdict, &kit->err));
	if (verdict.broken_at)
		fail_msg("breaks at %d: %s", (int)verdict.broken_at, verdict.why);
	assert_int_equal(verdict.rows, count);
}

static void claim_one(struct kit *kit, struct job *job)
{
	static int64_t comment;

	comment++;
	kit_receive(kit, &(struct kit_event){
				 .pr = 500 + comment, .comment_id = comment, .commands = "build"});
	assert_true(kit_claim(kit, job, T0));
}

/* --- who gets a row --- */

static const struct {
	const char *name;
	enum effect_kind effect;
	struct err err;
	const char *authorized;
	bool refused;
	enum job_state state;
	const char *code;
	const char *want;
} results[] = {
	{"a step that asks and goes on", EFFECT_RUN_GET, {0}, NULL, false, JOB_READY, NULL, ""},
	{"a right that was given",
	 EFFECT_PERMISSION,
	 {0},
	 "write",
	 false,
	 JOB_READY,
	 NULL,
	 "authorized write"},
	{"one that was not",
	 EFFECT_PERMISSION,
	 {0},
	 NULL,
	 true,
	 JOB_FAILED,
	 "denied.permission",
	 "refused denied.permission"},
	{"a change outside", EFFECT_MERGE, {0}, NULL, false, JOB_READY, NULL, "done github.merge"},
	{"one that failed",
	 EFFECT_MERGE,
	 {.class = ERR_CONFLICT, .code = "merge.head_moved"},
	 NULL,
	 false,
	 JOB_FAILED,
	 "merge.head_moved",
	 "failed github.merge merge.head_moved, failed merge.head_moved"},
	{"one of which nobody knows",
	 EFFECT_MERGE,
	 {.class = ERR_TRANSIENT, .in_doubt = true},
	 NULL,
	 false,
	 JOB_BACKOFF,
	 NULL,
	 "unclear github.merge transient"},
	{"an end", EFFECT_NONE, {0}, NULL, false, JOB_DONE, NULL, "done"},
	{"an end by a person",
	 EFFECT_NONE,
	 {0},
	 NULL,
	 false,
	 JOB_CANCELLED,
	 "job.cancelled",
	 "cancelled job.cancelled"},
	{"a change in our own tables, which has written its row itself",
	 EFFECT_TURN_TAKE,
	 {0},
	 NULL,
	 false,
	 JOB_READY,
	 NULL,
	 ""},
};

static void test_results(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		struct effect effect = {.kind = results[i].effect};
		struct effect_result got = {.err = results[i].err};
		struct queue_result result = {.effect = &effect,
					      .result = &got,
					      .authorized = results[i].authorized,
					      .refused = results[i].refused,
					      .now_ms = T0};
		struct said said;
		struct kit kit;
		struct job job;

		kit_start(&kit);
		claim_one(&kit, &job);
		job.state = results[i].state;
		job.code = str_dup(results[i].code);
		result.job = &job;
		KIT_BEGIN(&kit);
		assert_ok(&kit, queue_step_result(kit.db, &result, &kit.err));
		KIT_COMMIT(&kit);
		rows(&kit, &said, &(struct audit_filter){0});
		if (!str_eq(said.text, results[i].want))
			fail_msg("%s: %s", results[i].name, said.text);
		job_dispose(&job);
		kit_end(&kit);
	}
}

static void test_an_intent_is_a_row_of_its_own(void **state)
{
	static const struct {
		enum effect_kind kind;
		const char *want;
	} cases[] = {
		{EFFECT_RUN_CREATE, "intent kfp.create_run"},
		{EFFECT_ENVIRONMENT_LOCK, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct effect effect = {.kind = cases[i].kind};
		struct said said;
		struct kit kit;
		struct job job;

		kit_start(&kit);
		claim_one(&kit, &job);
		KIT_BEGIN(&kit);
		assert_ok(&kit, queue_step_intent(kit.db, &job, &effect, T0, &kit.err));
		KIT_COMMIT(&kit);
		assert_string_equal(rows(&kit, &said, &(struct audit_filter){0}), cases[i].want);
		job_dispose(&job);
		kit_end(&kit);
	}
}

static void test_locks_cancels_and_refusals(void **state)
{
	json_t *was = NULL, *said_jobs = NULL;
	struct said said;
	struct kit kit;
	struct job job, asking;

	(void)state;
	kit_start(&kit);
	claim_one(&kit, &job);
	KIT_BEGIN(&kit);
	assert_ok(&kit, environment_lock(kit.db, &job, "production",
					 "ghp_"
					 "abcdefghijklmnopqrstuvwxyz"
					 "0123456789",
					 T0 + 5000, T0, &kit.err));
	assert_ok(&kit, environment_unlock(kit.db, &job, "production", true, T0, &was, &kit.err));
	KIT_COMMIT(&kit);
	json_decref(was);
	kit_receive(&kit, &(struct kit_event){.pr = 9, .comment_id = 900, .commands = "run"});
	KIT_BEGIN(&kit);
	asking = job;
	asking.pr = 9;
	assert_ok(&kit, kit_cancel_raw(&kit, &asking, 0, T0, &said_jobs));
	KIT_COMMIT(&kit);
	json_decref(said_jobs);
	kit_receive(&kit, &(struct kit_event){.pr = 9, .comment_id = 901, .refusal = "no"});
	assert_string_equal(rows(&kit, &said, &(struct audit_filter){0}),
			    "done store.lock, done store.unlock, done store.cancel, refused");
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM audit WHERE after LIKE '%ghp_%' "
					  "OR before LIKE '%ghp_%'"),
			 0);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM audit WHERE after LIKE "
					  "'environment=production person=ann until=%[redacted]'"),
			 1);
	assert_int_equal(kit_number(&kit, "SELECT actor_id FROM audit WHERE effect = "
					  "'store.cancel'"),
			 5);
	assert_sound(&kit, 4);
	job_dispose(&job);
	kit_end(&kit);
}

static void test_receiving_a_command_writes_none(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build run"});
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM audit"), 0);
	kit_end(&kit);
}

static bool count_one(void *arg, const struct audit_row *row)
{
	(void)row;
	return ++*(int *)arg < 3;
}

static void test_filters(void **state)
{
	struct said said;
	struct kit kit;
	int seen = 0;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
	assert_int_equal(kit_work(&kit, JOB_DONE, T0), 1);
	kit_receive(&kit, &(struct kit_event){
				  .pr = 1, .comment_id = 2, .commands = "run", .repo_id = 78});
	assert_int_equal(kit_work(&kit, JOB_FAILED, T0 + 1000), 2);
	assert_string_equal(rows(&kit, &said, &(struct audit_filter){.repo = "ACME/iris"}),
			    "done, failed");
	assert_string_equal(rows(&kit, &said, &(struct audit_filter){.repo = "78"}), "failed");
	assert_string_equal(rows(&kit, &said, &(struct audit_filter){.repo = "acme/none"}), "");
	assert_string_equal(rows(&kit, &said, &(struct audit_filter){.job_id = 1}), "done");
	assert_string_equal(rows(&kit, &said, &(struct audit_filter){.since_ms = T0 + 1}),
			    "failed");
	for (int i = 3; i < 8; i++) {
		kit_receive(&kit,
			    &(struct kit_event){.pr = i, .comment_id = i, .commands = "build"});
		kit_work(&kit, JOB_DONE, T0 + 1000);
	}
	assert_ok(&kit, audit_find(kit.db, &(struct audit_filter){0}, count_one, &seen, &kit.err));
	assert_int_equal(seen, 3);
	kit_end(&kit);
}

/* --- rows stay --- */

static void test_the_table_only_grows(void **state)
{
	static const char *const tries[] = {
		"UPDATE audit SET actor = 'bob'",
		"DELETE FROM audit",
		"DELETE FROM audit WHERE no = 2",
		"INSERT OR REPLACE INTO audit SELECT 1, at, actor_id, 'bob', command, decision, "
		"code, sha, repo_id, repo, pr, job_id, effect, before, after, previous, digest "
		"FROM audit WHERE no = 1",
		"INSERT INTO audit SELECT 9, at, actor_id, actor, command, decision, code, sha, "
		"repo_id, repo, pr, job_id, effect, before, after, previous, digest FROM audit "
		"WHERE no = 1",
	};
	struct kit kit;

	(void)state;
	kit_start(&kit);
	for (int i = 1; i <= 3; i++) {
		kit_receive(&kit,
			    &(struct kit_event){.pr = i, .comment_id = i, .commands = "build"});
		kit_work(&kit, JOB_DONE, T0);
	}
	log_set_level(LOG_LEVEL_ERROR + 1);
	for (size_t i = 0; i < ARRAY_LEN(tries); i++)
		assert_int_equal(sqlite3_exec(kit.db->sql, tries[i], NULL, NULL, NULL),
				 SQLITE_CONSTRAINT_TRIGGER);
	assert_sound(&kit, 3);
	assert_true(kit_is_sound(&kit));
	kit_end(&kit);
}

/* What is undone leaves neither a row nor a gap. */
static void test_what_is_undone_is_not_told(void **state)
{
	struct queue_result result = {.now_ms = T0};
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	claim_one(&kit, &job);
	job.state = JOB_DONE;
	result.job = &job;
	KIT_BEGIN(&kit);
	assert_ok(&kit, db_savepoint(kit.db, &kit.err));
	assert_ok(&kit, store_audit_change(kit.db, &job, "store.lock", "", "", T0, &kit.err));
	assert_ok(&kit, db_release(kit.db, true, &kit.err));
	assert_ok(&kit, db_savepoint(kit.db, &kit.err));
	assert_ok(&kit, queue_step_result(kit.db, &result, &kit.err));
	assert_int_equal(kit.db->told_count, 2);
	assert_ok(&kit, db_release(kit.db, false, &kit.err));
	assert_int_equal(kit.db->told_count, 1);
	KIT_COMMIT(&kit);
	assert_int_equal(kit.db->told_count, 0);
	assert_sound(&kit, 1);
	KIT_BEGIN(&kit);
	assert_ok(&kit, queue_step_result(kit.db, &result, &kit.err));
	db_rollback(kit.db);
	assert_int_equal(kit.db->told_count, 0);
	assert_sound(&kit, 1);
	job_dispose(&job);
	kit_end(&kit);
}

/* --- a chain that does not fit --- */

enum { LONG = 1203 }; /* more than a reader takes in one bite */

static void fill(struct kit *kit)
{
	struct job job;

	claim_one(kit, &job);
	KIT_BEGIN(kit);
	for (int i = 0; i < LONG; i++) {
		char after[32];

		snprintf(after, sizeof after, "step=%d", i);
		assert_ok(kit, store_audit_change(kit->db, &job, "store.lock", "", after, T0 + i,
						  &kit->err));
	}
	KIT_COMMIT(kit);
	job_dispose(&job);
}

static const struct {
	const char *name;
	const char *sql;
	bool keeps; /* the newest row as it was before, elsewhere */
	int64_t broken_at;
	const char *why;
} breaks[] = {
	{"nothing", "SELECT 1", true, 0, ""},
	{"a text", "UPDATE audit SET actor = 'bob' WHERE no = 700", false, 700, "digest"},
	{"the person's number", "UPDATE audit SET actor_id = 6 WHERE no = 1", false, 1, "digest"},
	{"the digest alone", "UPDATE audit SET digest = zeroblob(32) WHERE no = 5", false, 5,
	 "digest"},
	{"a row in the middle", "DELETE FROM audit WHERE no = 500", false, 500, "missing"},
	{"the first", "DELETE FROM audit WHERE no = 1", false, 1, "missing"},
	{"two change places",
	 "UPDATE audit SET no = -1 WHERE no = 7; UPDATE audit SET no = 7 WHERE no = 8; "
	 "UPDATE audit SET no = 8 WHERE no = -1",
	 false, 7, "does not follow"},
	{"one before the first",
	 "INSERT INTO audit SELECT -5, at, actor_id, actor, command, decision, code, sha, repo_id, "
	 "repo, pr, job_id, effect, before, after, previous, digest FROM audit WHERE no = 1",
	 false, 1, "missing"},
	{"the end, which the chain itself cannot show", "DELETE FROM audit WHERE no > 1200", false,
	 0, ""},
	{"the end, with the head kept elsewhere", "DELETE FROM audit WHERE no > 1200", true, 1201,
	 "missing"},
};

static void test_a_broken_chain_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(breaks); i++) {
		struct audit_verdict verdict;
		struct audit_mark head;
		struct kit kit;

		kit_start(&kit);
		fill(&kit);
		assert_ok(&kit, audit_head(kit.db, &head, &kit.err));
		assert_int_equal(head.no, LONG);
		assert_ok(&kit, store_script(kit.db,
					     "DROP TRIGGER audit_stays; DROP TRIGGER audit_keeps; "
					     "DROP TRIGGER audit_goes_on;",
					     &kit.err));
		assert_ok(&kit, store_script(kit.db, breaks[i].sql, &kit.err));
		assert_ok(&kit,
			  audit_verify(kit.db, breaks[i].keeps ? &head : NULL, &verdict, &kit.err));
		if (verdict.broken_at != breaks[i].broken_at || !strstr(verdict.why, breaks[i].why))
			fail_msg("%s: breaks at %d: %s", breaks[i].name, (int)verdict.broken_at,
				 verdict.why);
		kit_end(&kit);
	}
}

/* Somebody with the file in hand writes everything anew, digests and all: only what was kept
 * elsewhere tells. */
static void test_a_chain_that_was_written_anew(void **state)
{
	struct audit_verdict verdict;
	struct audit_mark kept;
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	fill(&kit);
	assert_ok(&kit, audit_head(kit.db, &kept, &kit.err));
	assert_ok(&kit, store_script(kit.db,
				     "DROP TRIGGER audit_keeps; DELETE FROM audit WHERE no = 1203;",
				     &kit.err));
	claim_one(&kit, &job);
	KIT_BEGIN(&kit);
	assert_ok(&kit, store_audit_change(kit.db, &job, "store.lock", "", "", T0, &kit.err));
	KIT_COMMIT(&kit);
	assert_sound(&kit, LONG);
	assert_ok(&kit, audit_verify(kit.db, &kept, &verdict, &kit.err));
	assert_int_equal(verdict.broken_at, LONG);
	assert_non_null(strstr(verdict.why, "kept elsewhere"));
	job_dispose(&job);
	kit_end(&kit);
}

static void test_marks(void **state)
{
	static const char digest[] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{"12:%s", true},
		{"%s", false},
		{"0:%s", false},
		{"-1:%s", false},
		{"12:%sa", false},
		{"12:", false},
		{":%s", false},
		{"x:%s", false},
		{"12 :%s", false},
		{"12:X%s", false},
		{"99999999999999999999999999:%s", false},
	};
	struct audit_mark mark;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *rest = strstr(cases[i].text, "%s");
		AUTO_FREE char *text = rest ? str_printf("%.*s%s%s", (int)(rest - cases[i].text),
							 cases[i].text, digest, rest + 2)
					    : str_dup(cases[i].text);

		if (audit_mark_read(&mark, text) != cases[i].good)
			fail_msg("%s", text);
	}
	assert_true(audit_mark_read(&mark, "12:0123456789abcdef0123456789abcdef0123456789abcdef"
					   "0123456789abcdef"));
	assert_int_equal(mark.no, 12);
	assert_string_equal(mark.digest, digest);
}

/* --- a file from before --- */

static void test_an_older_file(void **state)
{
	struct audit_verdict verdict;
	struct audit_mark head;
	struct db *reader;
	struct kit kit;
	size_t before = 0;

	(void)state;
	while (!str_ends(store_migrations[before].name, "_audit"))
		before++;
	kit_folder(&kit);
	assert_ok(&kit, store_open(&kit.db, kit.path, T0, store_migrations, before, &kit.err));
	db_close(kit.db);
	assert_ok(&kit, db_open_reader(&reader, kit.path, &kit.err));
	assert_int_equal(audit_head(reader, &head, &kit.err), ERR_CONFIG);
	assert_string_equal(kit.err.code, "store.older");
	assert_int_equal(audit_verify(reader, NULL, &verdict, &kit.err), ERR_CONFIG);
	db_close(reader);
	kit_open(&kit);
	assert_sound(&kit, 0);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
	assert_int_equal(kit_work(&kit, JOB_DONE, T0), 1);
	assert_sound(&kit, 1);
	kit_end(&kit);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_an_intent_is_a_row_of_its_own),
		cmocka_unit_test(test_locks_cancels_and_refusals),
		cmocka_unit_test(test_receiving_a_command_writes_none),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_the_table_only_grows),
		cmocka_unit_test(test_what_is_undone_is_not_told),
		cmocka_unit_test(test_a_broken_chain_is_found),
		cmocka_unit_test(test_a_chain_that_was_written_anew),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_an_older_file),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
