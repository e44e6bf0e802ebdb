/* test_queue_read.c - repeating jobs, heads, lists, counts, pruning; and what SQLite makes of the
 * statements. */
#include "lib/store/queue_made.h"
#include "tests/unit/store/store_kit.h"

/* --- repeating --- */

static void test_retry(void **state)
{
	static const struct {
		const char *name;
		enum job_state before;
		int64_t job_id;
		enum err_class expect;
		const char *code;
	} cases[] = {
		{"failed", JOB_FAILED, 1, ERR_OK, ""},
		{"the newest", JOB_EXPIRED, 0, ERR_OK, ""},
		{"dead", JOB_DEAD, 1, ERR_OK, ""},
		{"cancelled", JOB_CANCELLED, 1, ERR_OK, ""},
		{"succeeded", JOB_DONE, 1, ERR_CONFLICT, "job.succeeded"},
		{"nothing failed", JOB_DONE, 0, ERR_NOT_FOUND, "job.none"},
		{"unfinished", JOB_BACKOFF, 1, ERR_CONFLICT, "job.unfinished"},
		{"unknown", JOB_FAILED, 55, ERR_NOT_FOUND, "job.unknown"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct job job, as, made;
		json_t *out = NULL, *again = NULL;
		enum err_class class;
		struct kit kit;

		kit_start(&kit);
		kit_receive(&kit,
			    &(struct kit_event){.pr = 1, .comment_id = 10, .commands = "run"});
		assert_true(kit_claim(&kit, &job, T0));
		memset(job.head_sha, 'a', 40);
		job.due_at_ms = T0 + HOUR_MS;
		kit_move(&kit, &job, cases[i].before, T0);
		kit_receive(&kit,
			    &(struct kit_event){.pr = 1, .comment_id = 20, .commands = "retry"});
		assert_ok(&kit, queue_load(kit.db, 2, &as, &kit.err));
		KIT_BEGIN(&kit);
		class = queue_retry(kit.db, cases[i].job_id, &as, T0 + 9, &out, &kit.err);
		if (class != cases[i].expect || (class && !str_eq(kit.err.code, cases[i].code)))
			fail_msg("%s: %d %s", cases[i].name, (int)class, kit.err.msg);
		if (class == ERR_OK) {
			assert_ok(&kit, queue_retry(kit.db, cases[i].job_id, &as, T0 + 10, &again,
						    &kit.err));
			assert_true(json_equal(out, again));
			assert_int_equal(jval_int(out, "retry_of", 0), 1);
			assert_ok(&kit,
				  queue_load(kit.db, jval_int(out, "id", 0), &made, &kit.err));
			assert_string_equal(made.command, "run");
			assert_int_equal(strlen(made.head_sha), 40);
			assert_int_equal(made.comment_id, 20);
			assert_int_equal(made.cmd_no, 1);
			assert_int_equal(made.state, JOB_BLOCKED);
			assert_string_equal(jval_str(made.args, "arg", ""), "run");
			job_dispose(&made);
		}
		KIT_COMMIT(&kit);
		json_decref(out);
		json_decref(again);
		job_dispose(&as);
		kit_end(&kit);
	}
}

/* Whoever may not do a thing does not get it done by somebody else's word "again". */
/* What else the comment has led to is not what this line of it asks for. */
static void test_retries_of_one_comment(void **state)
{
	struct kit_event both = {.pr = 1, .comment_id = 20, .commands = "retry retry"};
	json_t *first = NULL, *second = NULL, *again = NULL;
	struct job job, as[2];
	struct kit kit;

	(void)state;
	kit_start(&kit);
	for (int64_t i = 1; i <= 2; i++) {
		kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = i, .commands = "run"});
		kit_work(&kit, JOB_FAILED, T0);
	}
	kit_receive(&kit, &both);
	KIT_BEGIN(&kit);
	for (int64_t i = 0; i < 2; i++)
		assert_ok(&kit, queue_load(kit.db, 3 + i, &as[i], &kit.err));
	assert_ok(&kit, queue_retry(kit.db, 1, &as[0], T0 + 9, &first, &kit.err));
	assert_ok(&kit, queue_retry(kit.db, 2, &as[1], T0 + 9, &second, &kit.err));
	assert_ok(&kit, queue_retry(kit.db, 1, &as[0], T0 + 10, &again, &kit.err));
	assert_int_equal(jval_int(first, "retry_of", 0), 1);
	assert_int_equal(jval_int(second, "retry_of", 0), 2);
	assert_true(json_equal(first, again));
	assert_ok(&kit, queue_load(kit.db, jval_int(second, "id", 0), &job, &kit.err));
	assert_int_equal(jval_int(job.data, "retry_of", 0), 2);
	KIT_COMMIT(&kit);
	job_dispose(&job);
	job_dispose(&as[0]);
	job_dispose(&as[1]);
	json_decref(first);
	json_decref(second);
	json_decref(again);
	kit_end(&kit);
}

static void test_retry_leaves_what_others_were_refused(void **state)
{
	static const struct {
		const char *name, *code;
		bool is_other;
		int64_t retry_of;
	} cases[] = {
		{"a stranger's", "denied.permission", true, 1},
		{"one over the quota", "denied.quota", true, 1},
		{"one's own, with the right of today", "denied.permission", false, 2},
		{"what the operator allows by now", "denied.namespace", true, 2},
		{"another's failure", "run.failed", true, 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kit_event first = {.pr = 1, .comment_id = 10, .commands = "run"};
		struct kit_event second = {.pr = 1,
					   .comment_id = 20,
					   .commands = "build_run",
					   .is_other = cases[i].is_other};
		struct kit_event again = {.pr = 1, .comment_id = 30, .commands = "retry"};
		json_t *out = NULL;
		struct job job, as;
		struct kit kit;

		kit_start(&kit);
		kit_receive(&kit, &first);
		kit_work(&kit, JOB_FAILED, T0);
		kit_receive(&kit, &second);
		assert_true(kit_claim(&kit, &job, T0));
		job.code = str_dup(cases[i].code);
		kit_move(&kit, &job, JOB_FAILED, T0);
		kit_receive(&kit, &again);
		assert_ok(&kit, queue_load(kit.db, 3, &as, &kit.err));
		KIT_BEGIN(&kit);
		assert_ok(&kit, queue_retry(kit.db, 0, &as, T0 + 9, &out, &kit.err));
		KIT_COMMIT(&kit);
		if (jval_int(out, "retry_of", 0) != cases[i].retry_of)
			fail_msg("%s: %d", cases[i].name, (int)jval_int(out, "retry_of", 0));
		json_decref(out);
		job_dispose(&as);
		kit_end(&kit);
	}
}

static void store_upload(struct kit *kit, int64_t comment_id, const char *command, const char *data)
{
	struct job job;

	kit_receive(kit,
		    &(struct kit_event){.pr = 1, .comment_id = comment_id, .commands = command});
	assert_true(kit_claim(kit, &job, T0));
	json_decref(job.data);
	assert_ok(kit, jval_parse(&job.data, data, strlen(data), &kit->err));
	memset(job.head_sha, comment_id == 10 ? 'a' : 'b', 40);
	kit_move(kit, &job, JOB_DONE, T0);
}

static void test_the_newest_upload_of_a_commit(void **state)
{
	static const char built[] =
		"{\"version\":{\"id\":\"v\",\"name\":\"%s\",\"content\":\"c\"%s}}";
	static const struct {
		int64_t comment_id;
		const char *command, *name, *more; /* comment 10 is of commit a, others of b */
		const char *of_a, *of_b;	   /* then; NULL: none */
	} rows[] = {
		{10, "build", "pr-1-a", "", "pr-1-a", NULL},
		{20, "build", "pr-1-b", "", "pr-1-a", "pr-1-b"},
		{30, "build_run", "pr-1-b-2", "", "pr-1-a", "pr-1-b-2"},
		{40, "run", "pr-1-b-2-nocache", ",\"base\":\"pr-1-b-2\"", "pr-1-a", "pr-1-b-2"},
		{50, "build", "pr-1-b", "", "pr-1-a", "pr-1-b"},
	};
	char a[41] = "", b[41] = "";
	struct kit kit;

	(void)state;
	memset(a, 'a', 40);
	memset(b, 'b', 40);
	kit_start(&kit);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *data = str_printf(built, rows[i].name, rows[i].more);
		AUTO_FREE char *of_a = NULL, *of_b = NULL, *of_other = NULL;

		store_upload(&kit, rows[i].comment_id, rows[i].command, data);
		(void)!queue_newest_upload(kit.db, REPO, 1, a, &of_a, &kit.err);
		(void)!queue_newest_upload(kit.db, REPO, 1, b, &of_b, &kit.err);
		assert_true(str_eq(of_a, rows[i].of_a));
		assert_true(str_eq(of_b, rows[i].of_b));
		assert_int_equal(queue_newest_upload(kit.db, REPO, 2, a, &of_other, &kit.err),
				 ERR_NOT_FOUND);
	}
	kit_end(&kit);
}

static void test_uploads_are_found_by_their_version(void **state)
{
	static const struct {
		int64_t repo, pr;
		const char *version;
		enum err_class expect;
		const char *sha256, *content;
	} cases[] = {
		{REPO, 1, "v1", ERR_OK, "s1", "c1"},
		{REPO, 1, "v2", ERR_OK, "s2", "c2"},
		{REPO, 1, "v3", ERR_NOT_FOUND, "", ""},
		{REPO, 2, "v1", ERR_NOT_FOUND, "", ""},
		{REPO + 1, 1, "v1", ERR_NOT_FOUND, "", ""},
		{REPO, 1, "", ERR_NOT_FOUND, "", ""},
		{REPO, 1, "v1' OR 1=1", ERR_NOT_FOUND, "", ""},
	};
	struct kit kit;

	(void)state;
	kit_start(&kit);
	store_upload(
		&kit, 10, "build",
		"{\"compile\":{\"sha256\":\"s1\"},\"version\":{\"id\":\"v1\",\"content\":\"c1\"}}");
	store_upload(
		&kit, 20, "build_run",
		"{\"compile\":{\"sha256\":\"s2\"},\"version\":{\"id\":\"v2\",\"content\":\"c2\"}}");
	store_upload(&kit, 30, "run",
		     "{\"compile\":{\"sha256\":\"s3\"},\"version\":{\"id\":\"v3\"}}");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct queue_upload upload;
		enum err_class class = queue_find_upload(kit.db, cases[i].repo, cases[i].pr,
							 cases[i].version, &upload, &kit.err);

		if (class != cases[i].expect || !str_eq(upload.sha256, cases[i].sha256) ||
		    !str_eq(upload.content, cases[i].content))
			fail_msg("%s: %d %s", cases[i].version, (int)class, upload.sha256);
		if (class == ERR_OK)
			assert_int_equal(upload.head_sha[0],
					 cases[i].version[1] == '1' ? 'a' : 'b');
	}
	kit_end(&kit);
}

static void test_rerun(void **state)
{
	struct job job;
	struct kit kit;
	char uid[27];

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 10, .commands = "build run"});
	kit_text(&kit, uid, sizeof uid, "SELECT uid FROM jobs WHERE id = 1");
	static const struct {
		const char *name;
		int64_t repo_id;
		const char *uid;
		enum job_state end_first;
		enum queue_outcome expect;
	} cases[] = {
		{"unfinished", REPO, NULL, JOB_READY, QUEUE_NOTED},
		{"not ours", REPO, "deadbeef", JOB_FAILED, QUEUE_NOTED},
		{"unknown uid", REPO, "01J0000000ZZZZZZZZZZZZZZZZ", JOB_READY, QUEUE_NOTED},
		{"another repository", 5, NULL, JOB_READY, QUEUE_NOTED},
		{"failed one", REPO, NULL, JOB_READY, QUEUE_STORED},
		{"pressed twice", REPO, NULL, JOB_READY, QUEUE_NOTED},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kit_event event = {.kind = EVENT_CHECK_RERUN,
					  .action = "rerequested",
					  .repo_id = cases[i].repo_id,
					  .external_id = cases[i].uid ? cases[i].uid : uid};

		if (cases[i].end_first)
			assert_int_equal(kit_work(&kit, cases[i].end_first, T0 + 1), 1);
		if (kit_receive(&kit, &event) != cases[i].expect)
			fail_msg("%s", cases[i].name);
	}
	assert_ok(&kit, queue_load(kit.db, 3, &job, &kit.err));
	assert_string_equal(job.command, "build");
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM audit WHERE effect = 'store.retry' "
					  "AND decision = 'done' AND job_id = 3 AND actor_id > 0 "
					  "AND before = 'job=1' AND after = 'job=3'"),
			 1);
	assert_int_equal(job.cmd_no, 2);
	assert_int_equal(job.comment_id, 10);
	job_dispose(&job);
	kit_end(&kit);
}

/* --- heads --- */

/* Events in the order in which they arrive; late and doubled ones, and those that say nothing new
 * of the head, make no difference. */
static void test_heads(void **state)
{
	static const struct {
		const char *action;
		char letter;
		int64_t at;
	} events[] = {{"synchronize", 'b', T0 + 2000}, {"opened", 'a', T0},
		      {"edited", 'c', T0 + 4000},      {"synchronize", 'e', T0 + 9000},
		      {"synchronize", 'b', T0 + 2000}, {"closed", 'd', T0 + 11000},
		      {"reopened", 'e', T0 + 12000},   {"synchronize", 'f', T0 + 9000}};
	static const char want[] = "e12 f9 e9 b2 a0 ";
	struct kit kit;
	json_t *heads = NULL, *head;
	char sha[65], seen[64] = "";
	size_t i;

	(void)state;
	kit_start(&kit);
	assert_ok(&kit, queue_heads(kit.db, REPO, 4, &heads, &kit.err));
	assert_int_equal(json_array_size(heads), 0);
	jval_drop(&heads);
	for (i = 0; i < ARRAY_LEN(events); i++) {
		memset(sha, events[i].letter, 40);
		sha[40] = '\0';
		kit_receive(&kit, &(struct kit_event){.kind = EVENT_PULL_REQUEST,
						      .pr = 4,
						      .action = events[i].action,
						      .head_sha = sha,
						      .said_at_ms = events[i].at});
	}
	assert_ok(&kit, queue_heads(kit.db, REPO, 4, &heads, &kit.err));
	json_array_foreach(heads, i, head) snprintf(
		seen + strlen(seen), sizeof seen - strlen(seen), "%c%d ",
		jval_str(head, "sha", "?")[0], (int)((jval_int(head, "at_ms", 0) - T0) / 1000));
	assert_string_equal(seen, want);
	assert_string_equal(jval_str(json_array_get(heads, 4), "action", ""), "opened");
	jval_drop(&heads);
	kit_end(&kit);
}

/* --- who was denied something not long ago --- */

static void test_was_denied(void **state)
{
	static const struct {
		const char *name, *code;
		int64_t id, actor_id, pr, since;
		bool expect;
	} cases[] = {
		{"denied", "denied.permission", 99, 0, 4, T0, true},
		{"only a longer time ago", "denied.permission", 99, 0, 4, T0 + 1, false},
		{"it was this one", "denied.permission", 1, 0, 4, T0, false},
		{"somebody else", "denied.permission", 99, 1, 4, T0, false},
		{"on another pull request", "denied.permission", 99, 0, 5, T0, false},
		{"failed by something else", "compile.failed", 99, 0, 4, T0, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct job job;
		struct kit kit;
		bool denied;

		kit_start(&kit);
		kit_receive(&kit,
			    &(struct kit_event){.pr = 4, .comment_id = 10, .commands = "build"});
		assert_true(kit_claim(&kit, &job, T0));
		job.code = str_dup(cases[i].code);
		kit_move(&kit, &job, JOB_FAILED, T0);
		job = (struct job){.repo_id = REPO,
				   .pr = cases[i].pr,
				   .id = cases[i].id,
				   .actor_id = kit_number(&kit, "SELECT actor_id FROM jobs") +
					       cases[i].actor_id};
		print_message("  %s\n", cases[i].name);
		assert_ok(&kit, queue_was_denied(kit.db, &job, cases[i].since, &denied, &kit.err));
		assert_int_equal(denied, cases[i].expect);
		kit_end(&kit);
	}
}

/* --- looking, counting, forgetting --- */

static void test_list_and_count(void **state)
{
	struct queue_counts counts;
	json_t *list = NULL;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 10, .commands = "build"});
	kit_work(&kit, JOB_FAILED, T0);
	kit_receive(&kit, &(struct kit_event){
				  .pr = 1, .comment_id = 11, .commands = "build run build_run"});
	kit_receive(&kit, &(struct kit_event){.pr = 2, .comment_id = 12, .commands = "run"});
	kit_park(&kit, "r");
	assert_ok(&kit, queue_list(kit.db, REPO, 1, 10, &list, &kit.err));
	assert_int_equal(json_array_size(list), 4);
	assert_int_equal(jval_int(json_array_get(list, 0), "id", 0), 2);
	assert_int_equal(jval_int(json_array_get(list, 2), "position", 0), 2);
	assert_string_equal(jval_str(json_array_get(list, 3), "state", ""), "failed");
	json_decref(list);
	assert_ok(&kit, queue_list(kit.db, REPO, 0, 10, &list, &kit.err));
	assert_int_equal(json_array_size(list), 5);
	json_decref(list);
	assert_ok(&kit, queue_list(kit.db, 0, 0, 2, &list, &kit.err));
	assert_int_equal(json_array_size(list), 2);
	json_decref(list);
	assert_ok(&kit, queue_count(kit.db, T0 + 100, &counts, &kit.err));
	assert_int_equal(counts.by_state[JOB_READY], 1);
	assert_int_equal(counts.by_state[JOB_PARKED], 1);
	assert_int_equal(counts.by_state[JOB_BLOCKED], 2);
	assert_int_equal(counts.by_state[JOB_FAILED], 1);
	assert_int_equal(counts.overdue, 0);
	assert_int_equal(counts.outbox_waiting, 4); /* three pairs of eyes, one end */
	assert_int_equal(counts.outbox_age_ms, 100);
	assert_ok(&kit, queue_count(kit.db, T0 + 25 * (int64_t)HOUR_MS, &counts, &kit.err));
	assert_int_equal(counts.overdue, 4);
	kit_end(&kit);
}

static void test_prune(void **state)
{
	const int64_t day = 24 * (int64_t)HOUR_MS;
	struct queue_counts counts;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 99, .comment_id = 99, .commands = "run"});
	kit_park(&kit, "long");
	for (int64_t i = 1; i <= 40; i++) {
		kit_receive(&kit, &(struct kit_event){.pr = i,
						      .comment_id = i,
						      .commands = "run",
						      .at_ms = T0 + i * day});
		if (i % 10)
			kit_work(&kit, i % 10 == 5 ? JOB_DEAD : JOB_DONE, T0 + i * day);
	}
	assert_int_equal(
		sqlite3_exec(kit.db->sql, "UPDATE outbox SET sent_version = version", 0, 0, 0),
		SQLITE_OK);
	for (bool more = true; more;) { /* times are kept to the hour, not cut to days */
		KIT_BEGIN(&kit);
		assert_ok(&kit, queue_prune(kit.db, T0 + 41 * day + 12 * (int64_t)HOUR_MS,
					    8 * day + 12 * (int64_t)HOUR_MS,
					    20 * day + 12 * (int64_t)HOUR_MS, 7, &more, &kit.err));
		KIT_COMMIT(&kit);
	}
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM deliveries"), 8);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM jobs WHERE state = 0"), 4);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM jobs WHERE state = 14"), 4);
	assert_int_equal(kit_number(&kit, "SELECT min(finished_at) FROM jobs WHERE state = 10"),
			 T0 + 21 * day);
	/* eyes, ends, and the eyes that the end of the long run will take away */
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM outbox"), 20 + 18 + 1);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM outbox WHERE slot = 'eyes:99'"), 1);
	assert_ok(&kit, queue_count(kit.db, T0, &counts, &kit.err));
	assert_int_equal(counts.by_state[JOB_DONE],
			 kit_number(&kit, "SELECT count(*) FROM jobs WHERE state = 10"));
	assert_int_equal(counts.by_state[JOB_DEAD], 4);
	kit_end(&kit);
}

/* What a run of many days has on GitHub is changed when it ends: it must be known until then. */
static void test_prune_leaves_what_is_shown_of_a_job_under_way(void **state)
{
	const int64_t day = 24 * (int64_t)HOUR_MS;
	bool more = false;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	kit_receive(&kit, &(struct kit_event){.pr = 1, .comment_id = 1, .commands = "run"});
	kit_park(&kit, "r1");
	kit_receive(&kit, &(struct kit_event){.pr = 2, .comment_id = 2, .commands = "run"});
	kit_work(&kit, JOB_DONE, T0);
	assert_int_equal(
		sqlite3_exec(kit.db->sql, "UPDATE outbox SET sent_version = version", 0, 0, 0),
		SQLITE_OK);
	KIT_BEGIN(&kit);
	assert_ok(&kit, queue_prune(kit.db, T0 + 9 * day, 30 * day, 7 * day, 500, &more, &kit.err));
	KIT_COMMIT(&kit);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM outbox WHERE slot = 'eyes:1'"), 1);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM outbox"), 1);
	kit_end(&kit);
}

/* --- no statement of the hot paths may walk a table --- */

static void test_plans(void **state)
{
	static const enum stmt hot[] = {
		STMT_DELIVERY_ADD,    STMT_JOB_ADD,
		STMT_LINE_ANY,	      STMT_LINE_NEWER,
		STMT_LINE_SUPERSEDE,  STMT_LINE_CLOSE,
		STMT_HEADS_GET,	      STMT_DENIED_SINCE,
		STMT_LINE_HELD,	      STMT_LINE_FIRST,
		STMT_LINE_HOLD_BACK,  STMT_LINE_GO,
		STMT_CLAIM,	      STMT_TURN_NEXT,
		STMT_LEASED,	      STMT_STEP_INTENT,
		STMT_STEP_OPEN,	      STMT_STEP_RESULT,
		STMT_JOB_UPDATE,      STMT_JOB_GO_ON,
		STMT_JOB_FINISH,      STMT_JOB_LEASED,
		STMT_GROUP_STOP,      STMT_WAKE_REF,
		STMT_WAKE_DUE,	      STMT_WAITING_NEXT,
		STMT_PARKED,	      STMT_CANCEL_ALL,
		STMT_RETRY_MADE,      STMT_RETRY_NEWEST,
		STMT_RERUN_UNDER_WAY, STMT_LIST_OPEN_PR,
		STMT_LIST_OPEN_REPO,  STMT_REPO_NEXT,
		STMT_PEOPLE_KNOWN,    STMT_ANSWER_GET,
		STMT_ANSWER_NEXT,     STMT_COMMENT_KNOWN,
		STMT_PARKED_TOO_FAR,  STMT_WISHES_TOO_FAR,
		STMT_LIST_FINAL_PR,   STMT_POSITION,
		STMT_ORPHANS_FREE,    STMT_JOB_LAST_ID,
		STMT_OUTBOX_PUT,      STMT_OUTBOX_INSTALLATION,
		STMT_OUTBOX_FIRST,    STMT_OUTBOX_SENT,
		STMT_OUTBOX_RETRY,    STMT_OUTBOX_REMOTE,
		STMT_OUTBOX_REPO,     STMT_ANSWER_COMING,
	};
	static const char *const texts[] = {
#define STMT(symbol, text) [STMT_##symbol] = text,
#include "lib/store/statements.def"
#undef STMT
	};
	struct kit kit;

	(void)state;
	kit_start(&kit);
	for (size_t i = 0; i < ARRAY_LEN(hot); i++) {
		char *sql = str_printf("EXPLAIN QUERY PLAN %s", texts[hot[i]]);
		sqlite3_stmt *stmt;

		assert_int_equal(sqlite3_prepare_v2(kit.db->sql, sql, -1, &stmt, NULL), SQLITE_OK);
		while (sqlite3_step(stmt) == SQLITE_ROW) {
			const char *line = (const char *)sqlite3_column_text(stmt, 3);
			bool partial = strstr(line, "_due") || strstr(line, "_waiting") ||
				       strstr(line, "_leased");

			if (str_starts(line, "SCAN") && !partial &&
			    !str_starts(line, "SCAN CONSTANT"))
				fail_msg("%s\n  %s", texts[hot[i]], line);
		}
		sqlite3_finalize(stmt);
		mem_free(sql);
	}
	kit_end(&kit);
}

/* --- every statement is one that SQLite accepts --- */

static void test_statements(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
#define STMT(symbol, text)                                                                         \
	do {                                                                                       \
		sqlite3_stmt *stmt = NULL;                                                         \
		if (sqlite3_prepare_v2(kit.db->sql, text, -1, &stmt, NULL) != SQLITE_OK)           \
			fail_msg("%s: %s", #symbol, sqlite3_errmsg(kit.db->sql));                  \
		sqlite3_finalize(stmt);                                                            \
	} while (0);
#include "lib/store/statements.def"
#undef STMT
	kit_end(&kit);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_retries_of_one_comment),
		cmocka_unit_test(test_retry_leaves_what_others_were_refused),
		cmocka_unit_test(test_uploads_are_found_by_their_version),
		cmocka_unit_test(test_the_newest_upload_of_a_commit),
		cmocka_unit_test(test_rerun),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_was_denied),
		cmocka_unit_test(test_list_and_count),
		cmocka_unit_test(test_prune),
		cmocka_unit_test(test_prune_leaves_what_is_shown_of_a_job_under_way),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
