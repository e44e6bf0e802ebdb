/* test_cost.c - what a command and a step cost the store, counted rather than timed: pages that a
 * commit appends to the log, and instructions of SQLite's machine. Both are the same on every
 * machine, so a budget can be close; it is about a fifth above what was counted when it was set.
 * Whoever adds an index or a statement to one of the two paths finds it here, and either takes
 * something else out or raises the budget knowingly. */
#include "tests/unit/store/store_kit.h"

enum { STORED = 2048, COUNTED = 256 };

/* Since the database was opened. */
struct spent {
	int64_t pages, instructions;
};

static struct spent spent(const struct kit *kit)
{
	struct spent all = {.pages = kit->db->wal_pages};

	for (size_t i = 0; i < STMT_COUNT; i++)
		if (kit->db->stmts[i])
			all.instructions += sqlite3_stmt_status(kit->db->stmts[i],
								SQLITE_STMTSTATUS_VM_STEP, 0);
	return all;
}

/* A command on a pull request of its own, as they come from everywhere: GUIDs in no order. */
static void receive_one(struct kit *kit)
{
	static unsigned count;
	enum queue_outcome out;

	count++;
	assert_ok(kit, kit_receive_raw(kit,
				       &(struct kit_event){.pr = count,
							   .comment_id = 2000000000 + count,
							   .guid = count * 2654435761u,
							   .commands = "build"},
				       &out));
	assert_int_equal(out, QUEUE_STORED);
}

/* Claims, records an effect, goes on to the next step in a minute. */
static void step_one(struct kit *kit)
{
	struct effect effect = {.kind = EFFECT_RUN_GET};
	struct effect_result got = {.took_ms = 5};
	struct queue_result result = {.effect = &effect, .result = &got, .now_ms = T0};
	static int at;
	struct job job;
	int64_t due;

	assert_ok(kit, queue_claim(kit->db, T0, 0, &job, &due, &kit->err));
	snprintf(job.step, sizeof job.step, "s%d", ++at);
	job.state = JOB_READY;
	job.due_at_ms = T0 + 60000;
	result.job = &job;
	assert_ok(kit, queue_step_result(kit->db, &result, &kit->err));
	job_dispose(&job);
}

/* Claims and ends: the audit has one row of it. */
static void end_one(struct kit *kit)
{
	struct queue_result result = {.now_ms = T0};
	struct job job;
	int64_t due;

	assert_ok(kit, queue_claim(kit->db, T0, 0, &job, &due, &kit->err));
	job.state = JOB_DONE;
	result.job = &job;
	assert_ok(kit, queue_step_result(kit->db, &result, &kit->err));
	job_dispose(&job);
}

/* Claims, is about to change something outside, and has: two rows. */
static void change_one(struct kit *kit)
{
	struct effect effect = {.kind = EFFECT_LABEL_MOVE};
	struct effect_result got = {.took_ms = 5};
	struct queue_result result = {.effect = &effect, .result = &got, .now_ms = T0};
	static int at;
	struct job job;
	int64_t due;

	assert_ok(kit, queue_claim(kit->db, T0, 0, &job, &due, &kit->err));
	assert_ok(kit, queue_step_intent(kit->db, &job, &effect, T0, &kit->err));
	snprintf(job.step, sizeof job.step, "c%d", ++at);
	job.state = JOB_READY;
	job.due_at_ms = T0 + 60000;
	result.job = &job;
	assert_ok(kit, queue_step_result(kit->db, &result, &kit->err));
	job_dispose(&job);
}

static void repeat(struct kit *kit, void (*one)(struct kit *kit), int count, int a_commit)
{
	for (int done = 0; done < count; done += a_commit) {
		KIT_BEGIN(kit);
		for (int i = 0; i < a_commit; i++)
			one(kit);
		KIT_COMMIT(kit);
	}
}

static void test_budgets(void **state)
{
	static const struct {
		const char *name;
		void (*one)(struct kit *kit);
		int a_commit;
		double pages_max, instructions_max; /* of one */
	} cases[] = {
		{"a command, alone in its commit", receive_one, 1, 11, 390},
		{"a command, sixteen a commit", receive_one, 16, 2.6, 390},
		{"a step, alone in its commit", step_one, 1, 6.4, 600},
		{"a step, sixteen a commit", step_one, 16, 0.7, 600},
		{"an end, sixteen a commit", end_one, 16, 1.5, 1100},
		{"a change outside, sixteen a commit", change_one, 16, 1.05, 910},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct spent before, after;
		double pages, instructions;
		struct kit kit;

		kit_start(&kit);
		repeat(&kit, receive_one, STORED, 64);
		before = spent(&kit);
		repeat(&kit, cases[i].one, COUNTED, cases[i].a_commit);
		after = spent(&kit);
		pages = (double)(after.pages - before.pages) / COUNTED;
		instructions = (double)(after.instructions - before.instructions) / COUNTED;
		print_message("%s: %.2f pages, %.0f instructions\n", cases[i].name, pages,
			      instructions);
		if (pages > cases[i].pages_max || instructions > cases[i].instructions_max)
			fail_msg(
				"%s costs %.2f pages and %.0f instructions, more than %.1f or %.0f",
				cases[i].name, pages, instructions, cases[i].pages_max,
				cases[i].instructions_max);
		kit_end(&kit);
	}
}

/* Jobs of one repository in one state, as copies of the first job. */
static void fill(struct kit *kit, int64_t repo_id, int state, int64_t count)
{
	char sql[1024];

	snprintf(sql, sizeof sql,
		 "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
		 "INSERT INTO jobs (id, uid, installation_id, repo_id, pr, comment_id, cmd_no, "
		 "state, read_only, keep_going, due_at, deadline_at, comment_at, created_at, "
		 "actor_id, repo, actor, command, line, args) "
		 "SELECT %d * 1000000 + i, uid, installation_id, %d, i, i, 0, %d, read_only, "
		 "keep_going, due_at, deadline_at, comment_at, created_at, actor_id, repo, actor, "
		 "command, line, args FROM jobs, n WHERE id = 1",
		 (int)count, (int)repo_id, (int)repo_id, state);
	assert_int_equal(sqlite3_exec(kit->db->sql, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* Instructions of claiming a job and giving it its next step, the mean of some. */
static double cost_of_steps(struct kit *kit)
{
	int64_t before = spent(kit).instructions;

	repeat(kit, step_one, COUNTED, 16);
	return (double)(spent(kit).instructions - before) / COUNTED;
}

static void test_what_waits_costs_nothing(void **state)
{
	static const struct {
		const char *name;
		int64_t repo_id; /* 2: another's than the one of which jobs are claimed */
		int state;
		int64_t count;
	} cases[] = {
		{"parked", REPO, JOB_PARKED, 100000},
		{"parked, of another repository", 2, JOB_PARKED, 100000},
		{"due", REPO, JOB_READY, 20000},
		{"due, of another repository", 2, JOB_READY, 20000},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		double before, after;
		struct kit kit;

		kit_start(&kit);
		repeat(&kit, receive_one, STORED, 64);
		before = cost_of_steps(&kit);
		fill(&kit, cases[i].repo_id, cases[i].state, cases[i].count);
		after = cost_of_steps(&kit);
		print_message("beside many that are %s: %.0f, before %.0f instructions\n",
			      cases[i].name, after, before);
		if (after > before * 1.05 + 10)
			fail_msg("%s: %.0f instructions a step, %.0f before", cases[i].name, after,
				 before);
		kit_end(&kit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budgets),
		cmocka_unit_test(test_what_waits_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
