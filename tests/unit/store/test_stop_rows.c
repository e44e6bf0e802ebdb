/* test_stop_rows.c - whose jobs a /cancel stops: one's own, by the number of the job's row, and
 * those that the kept map allows. */
#include "lib/store/queue.h"

#include "tests/unit/cases.h"
#include "tests/unit/core/policy_commands.h"
#include "tests/unit/store/store_kit.h"

enum { ANN = 5, OTHER = 6 }; /* as the kit's events have them; both have the login ann */

/* Three jobs: Ann's /build, the other's /deploy to production, and Ann's that is like it. */
static const char three_jobs[] =
	"UPDATE jobs SET actor_id = 6, actor = 'ben', command = 'deploy', "
	"args = '{\"arg\":\"production\"}' WHERE id = 2;"
	"UPDATE jobs SET command = 'deploy', args = '{\"arg\":\"staging\"}' WHERE id = 3";

static void start(struct kit *kit)
{
	kit_start(kit);
	kit_receive(kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
	kit_receive(kit, &(struct kit_event){.pr = 1, .comment_id = 2, .commands = "run"});
	kit_receive(kit, &(struct kit_event){.pr = 1, .comment_id = 3, .commands = "build_run"});
	assert_int_equal(sqlite3_exec(kit->db->sql, three_jobs, 0, 0, 0), SQLITE_OK);
}

/* "1 cancelled, 2 left deploy production": what the answer has; or the error's code. */
static const char *cancel(struct kit *kit, int64_t actor_id, int64_t job_id, const char *map,
			  bool is_again)
{
	static char said[400];
	json_t *stops AUTO_JSON = NULL;
	json_t *rows AUTO_JSON = NULL, *row;
	struct job asking = kit_bob(1);
	struct queue_stop stop = {
		.asking = &asking, .job_id = job_id, .table = some_table(), .is_again = is_again};
	enum err_class class;
	size_t i;

	asking.actor_id = actor_id;
	if (map)
		assert_int_equal(jval_parse(&stops, map, strlen(map), &kit->err), ERR_OK);
	stop.stops = stops;
	KIT_BEGIN(kit);
	class = queue_cancel(kit->db, &stop, T0, &rows, &kit->err);
	KIT_COMMIT(kit);
	said[0] = '\0';
	if (class)
		str_copy(said, sizeof said, kit->err.code);
	json_array_foreach(rows, i, row)
	{
		size_t used = strlen(said);
		bool left = jval_bool(row, "left", false);

		snprintf(said + used, sizeof said - used, "%s%d %s%s", used ? ", " : "",
			 (int)jval_int(row, "id", 0), left ? "left " : "",
			 jval_str(row, left ? "right" : "now", "?"));
	}
	return said;
}

static const struct {
	const char *name, *map;
	int64_t actor_id, job_id;
	const char *want, *line;
} cases[] = {
	{"one's own", NULL, ANN, 1, "1 cancelled", "1 ready>cancelled, 2 ready, 3 blocked"},
	{"one's own, which one may not give any more", "{\"build\":false}", ANN, 1, "1 cancelled",
	 "1 ready>cancelled, 2 ready, 3 blocked"},
	{"that of another", NULL, ANN, 2, "2 left deploy production",
	 "1 ready, 2 blocked, 3 blocked"},
	{"with the right for elsewhere", "{\"build\":true,\"deploy staging\":true}", ANN, 2,
	 "2 left deploy production", "1 ready, 2 blocked, 3 blocked"},
	{"with the right", "{\"deploy production\":true}", ANN, 2, "2 cancelled",
	 "1 ready, 2 ready>cancelled, 3 blocked"},
	{"the login alone is nobody", NULL, 77, 1, "1 left build", "1 ready, 2 blocked, 3 blocked"},
	{"all: one's own", NULL, ANN, 0, "1 cancelled, 2 left deploy production, 3 cancelled",
	 "1 ready>cancelled, 2 ready, 3 ready>cancelled"},
	{"all: what one may", "{\"build\":true,\"deploy production\":true}", OTHER, 0,
	 "1 cancelled, 2 cancelled, 3 left deploy staging",
	 "1 ready>cancelled, 2 ready>cancelled, 3 ready"},
	{"all: of somebody who may nothing", "{}", 77, 0,
	 "1 left build, 2 left deploy production, 3 left deploy staging",
	 "1 ready, 2 blocked, 3 blocked"},
	{"who asked is not known on either side", NULL, 0, 1, "1 left build",
	 "1 ready, 2 blocked, 3 blocked"},
	{"there is none", "{\"build\":true}", ANN, 9, "job.unknown",
	 "1 ready, 2 blocked, 3 blocked"},
};

static void test_whose(void **state)
{
	struct kit kit;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].name);
		start(&kit);
		if (!cases[i].actor_id)
			assert_int_equal(
				sqlite3_exec(kit.db->sql, "UPDATE jobs SET actor_id = 0", 0, 0, 0),
				SQLITE_OK);
		assert_string_equal(
			cancel(&kit, cases[i].actor_id, cases[i].job_id, cases[i].map, false),
			cases[i].want);
		assert_string_equal(kit_line(&kit, 3), cases[i].line);
		assert_int_equal(kit_number(&kit, "SELECT count(*) FROM audit WHERE effect = "
						  "'store.cancel'"),
				 kit_number(&kit, "SELECT count(*) FROM jobs WHERE cancel"));
		kit_end(&kit);
	}
}

/* Rows that nobody can read the right of: their own requester alone. */
static void test_unclear(void **state)
{
	static const char map[] = "{\"build\":true,\"train\":true,\"deploy production\":true}";
	struct kit kit;

	(void)state;
	start(&kit);
	assert_int_equal(sqlite3_exec(kit.db->sql,
				      "UPDATE jobs SET command = 'train' WHERE id = 1;"
				      "UPDATE jobs SET args = '{' WHERE id = 2",
				      0, 0, 0),
			 SQLITE_OK);
	assert_string_equal(cancel(&kit, 77, 1, map, false), "1 left train");
	assert_string_equal(cancel(&kit, 77, 2, map, false), "2 left deploy");
	assert_string_equal(cancel(&kit, ANN, 1, map, false), "1 cancelled");
	assert_string_equal(cancel(&kit, OTHER, 2, NULL, false), "2 cancelled");
	kit_end(&kit);
}

/* The process ended after the commit: the same is said, and nothing is done twice. */
static void test_again(void **state)
{
	static const char want[] = "1 cancelled, 2 left deploy production, 3 cancelled";
	struct kit kit;

	(void)state;
	start(&kit);
	assert_string_equal(cancel(&kit, ANN, 2, NULL, false), "2 left deploy production");
	assert_string_equal(cancel(&kit, ANN, 2, NULL, true), "2 left deploy production");
	assert_string_equal(cancel(&kit, ANN, 0, NULL, false), want);
	assert_string_equal(cancel(&kit, ANN, 0, NULL, true), want);
	assert_string_equal(cancel(&kit, ANN, 0, NULL, false), "2 left deploy production");
	assert_string_equal(kit_line(&kit, 3), "1 ready>cancelled, 2 ready, 3 ready>cancelled");
	kit_work(&kit, JOB_DONE, T0); /* one of them has ended meanwhile */
	kit_work(&kit, JOB_DONE, T0);
	kit_work(&kit, JOB_DONE, T0);
	assert_string_equal(cancel(&kit, ANN, 1, NULL, true), "job.ended");
	assert_string_equal(cancel(&kit, ANN, 2, NULL, true), "2 left deploy production");
	kit_end(&kit);
}

/* A repeated job is of whoever had it repeated, by comment or by button. */
static void test_repeated(void **state)
{
	struct kit kit;
	struct job as = kit_bob(1);
	json_t *made AUTO_JSON = NULL;
	char uid[27];

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "build"});
	kit_work(&kit, JOB_FAILED, T0);
	as.comment_id = 50;
	KIT_BEGIN(&kit);
	assert_ok(&kit, queue_retry(kit.db, 1, &as, T0, &made, &kit.err));
	KIT_COMMIT(&kit);
	assert_string_equal(cancel(&kit, ANN, 2, NULL, false), "2 left build");
	assert_string_equal(cancel(&kit, as.actor_id, 2, NULL, false), "2 cancelled");
	kit_work(&kit, JOB_DONE, T0);
	kit_text(&kit, uid, sizeof uid, "SELECT uid FROM jobs WHERE id = 1");
	assert_int_equal(kit_receive(&kit, &(struct kit_event){.kind = EVENT_CHECK_RERUN,
							       .external_id = uid,
							       .is_other = true}),
			 QUEUE_STORED);
	assert_string_equal(cancel(&kit, ANN, 3, NULL, false), "3 left build");
	assert_string_equal(cancel(&kit, OTHER, 3, NULL, false), "3 cancelled");
	kit_end(&kit);
}

/* What is on its way out for another reason keeps that. */
static void test_superseded(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "run"});
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 2, .commands = "build"});
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 3, .commands = "build"});
	assert_string_equal(kit_line(&kit, 3), "1 ready, 2 ready>superseded, 3 blocked");
	assert_string_equal(cancel(&kit, ANN, 2, NULL, false), "2 superseded");
	assert_string_equal(cancel(&kit, OTHER, 2, NULL, false), "2 left build");
	assert_string_equal(cancel(&kit, ANN, 0, NULL, false), "1 cancelled, 3 cancelled");
	assert_string_equal(kit_line(&kit, 3),
			    "1 ready>cancelled, 2 ready>superseded, 3 ready>cancelled");
	kit_end(&kit);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_whose),	   cmocka_unit_test(test_unclear),
	cmocka_unit_test(test_again),	   cmocka_unit_test(test_repeated),
	cmocka_unit_test(test_superseded),
};
CASES_MAIN(tests, NULL, NULL)
