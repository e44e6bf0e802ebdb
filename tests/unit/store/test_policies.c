/* test_policies.c - what is remembered for policies: ids of logins, holds, how often. */
#include "lib/store/policies.h"
#include "tests/unit/store/store_kit.h"

static json_t *users_of(struct kit *kit)
{
	json_t *users = NULL;

	assert_ok(kit, policies_users(kit->db, REPO, &users, &kit->err));
	return users;
}

static void keep(struct kit *kit, const char *text)
{
	AUTO_JSON json_t *users = NULL;

	assert_ok(kit, jval_parse(&users, text, strlen(text), &kit->err));
	KIT_BEGIN(kit);
	assert_ok(kit, policies_keep_users(kit->db, REPO, users, T0, &kit->err));
	KIT_COMMIT(kit);
}

static void expect_users(struct kit *kit, const char *want)
{
	AUTO_JSON json_t *users = users_of(kit);
	AUTO_FREE char *text = jval_dump(users);

	assert_string_equal(text, want);
}

/* Attack 25: the first id of a login stays for as long as the file names it. */
static void test_users_stay_who_they_were(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
	expect_users(&kit, "{}");
	keep(&kit, "{\"Ann\": 7, \"zoe\": 0}");
	expect_users(&kit, "{\"ann\":7,\"zoe\":0}");
	keep(&kit, "{\"ann\": 8, \"ZOE\": 9, \"ben\": 5}");
	expect_users(&kit, "{\"ann\":7,\"ben\":5,\"zoe\":0}");
	keep(&kit, "{\"ben\": 5}");
	keep(&kit, "{\"ann\": 8}");
	expect_users(&kit, "{\"ann\":8}");
	kit_end(&kit);
}

static struct job started(struct kit *kit, int64_t comment, const char *command)
{
	struct kit_event event = {.pr = comment, .comment_id = comment, .commands = command};
	struct job job;

	kit_receive(kit, &event);
	assert_true(kit_claim(kit, &job, T0));
	return job;
}

static struct policies_use used(struct kit *kit, const struct job *job, const char *names,
				int64_t since_ms, bool is_repository)
{
	AUTO_JSON json_t *commands = NULL;
	struct policies_quota quota = {
		.since_ms = since_ms, .is_repository = is_repository, .count = 2};
	struct policies_use found;

	assert_ok(kit, jval_parse(&commands, names, strlen(names), &kit->err));
	quota.commands = commands;
	assert_ok(kit, policies_count(kit->db, job, &quota, &found, &kit->err));
	return found;
}

static int64_t count(struct kit *kit, const struct job *job, const char *names, int64_t since_ms)
{
	return used(kit, job, names, since_ms, false).count;
}

static void test_quotas_count_what_was_not_refused(void **state)
{
	struct job first, second, third;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	first = started(&kit, 1, "run");
	assert_int_equal(count(&kit, &first, "[\"run\"]", T0 - 1), 0); /* itself does not count */
	second = started(&kit, 2, "build_run");
	assert_int_equal(count(&kit, &second, "[\"run\",\"build_run\"]", T0 - 1), 1);
	assert_int_equal(count(&kit, &second, "[\"build\"]", T0 - 1), 0);
	assert_int_equal(count(&kit, &second, "[\"run\"]", T0 + 1), 0);
	third = started(&kit, 3, "run");
	assert_int_equal(count(&kit, &third, "[\"run\",\"build_run\"]", T0 - 1), 2);
	second.code = str_dup("denied.team");
	kit_move(&kit, &second, JOB_FAILED, T0);
	assert_int_equal(count(&kit, &third, "[\"run\",\"build_run\"]", T0 - 1), 1);
	job_dispose(&first);
	job_dispose(&third);
	kit_end(&kit);
}

static void give(struct kit *kit, int64_t pr, bool is_other, bool is_public, int64_t at_ms)
{
	kit_receive(kit, &(struct kit_event){.pr = pr,
					     .comment_id = pr,
					     .commands = "run",
					     .at_ms = at_ms,
					     .is_other = is_other,
					     .is_public = is_public});
}

/* Two people, and a third time by the first: the newest but one says when two are one again. */
static void test_quotas_of_a_repository(void **state)
{
	struct policies_use own, all;
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	give(&kit, 1, false, false, T0 + 10);
	give(&kit, 2, true, false, T0 + 20);
	give(&kit, 3, false, false, T0 + 30);
	give(&kit, 4, false, false, T0 + 40); /* asks */
	give(&kit, 5, true, false, T0 + 50);  /* later ones do not count */
	kit_receive(&kit, &(struct kit_event){.pr = 6,
					      .comment_id = 6,
					      .repo_id = REPO + 1,
					      .commands = "run",
					      .at_ms = T0 + 5});
	assert_ok(&kit, queue_load(kit.db, 4, &job, &kit.err));
	own = used(&kit, &job, "[\"run\"]", T0, false);
	all = used(&kit, &job, "[\"run\"]", T0, true);
	assert_int_equal(own.count, 2);
	assert_int_equal(own.filled_at_ms, T0 + 10);
	assert_int_equal(all.count, 3);
	assert_int_equal(all.filled_at_ms, T0 + 20);
	all = used(&kit, &job, "[\"run\"]", T0 + 20, true);
	assert_int_equal(all.count, 1);
	assert_int_equal(all.filled_at_ms, 0);
	assert_int_equal(used(&kit, &job, "[\"build\"]", T0, true).count, 0);
	job_dispose(&job);
	kit_end(&kit);
}

/* On a public repository: what somebody sends whom nobody has allowed anything is not everybody's
 * expense, until it was allowed. */
static void test_strangers_use_up_nothing(void **state)
{
	struct kit kit;
	struct job job, other;

	(void)state;
	kit_start(&kit);
	for (int64_t pr = 1; pr <= 5; pr++)
		give(&kit, pr, true, true, T0 + pr);
	give(&kit, 6, false, false, T0 + 6);
	assert_ok(&kit, queue_load(kit.db, 6, &job, &kit.err));
	assert_int_equal(used(&kit, &job, "[\"run\"]", T0, true).count, 0);
	assert_true(kit_claim(&kit, &other, T0 + 9));
	assert_int_equal(other.id, 1);
	other.state = JOB_DONE;
	KIT_BEGIN(&kit);
	assert_ok(&kit, queue_step_result(kit.db,
					  &(struct queue_result){.job = &other,
								 .now_ms = T0 + 9,
								 .authorized = "its default",
								 .is_member = true},
					  &kit.err));
	KIT_COMMIT(&kit);
	assert_int_equal(used(&kit, &job, "[\"run\"]", T0, true).count, 5);
	job_dispose(&job);
	job_dispose(&other);
	kit_end(&kit);
}

static void test_holds(void **state)
{
	struct job job;
	json_t *hold = NULL;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	job = started(&kit, 1, "build");
	assert_int_equal(policies_hold_get(kit.db, REPO, 1, &hold, &kit.err), ERR_NOT_FOUND);
	KIT_BEGIN(&kit);
	assert_int_equal(policies_unhold(kit.db, &job, T0 + 9, &hold, &kit.err), ERR_NOT_FOUND);
	assert_string_equal(kit.err.code, "hold.none");
	assert_ok(&kit, policies_hold(kit.db, &job, "odd", T0, &kit.err));
	assert_ok(&kit, policies_hold(kit.db, &job, NULL, T0 + 5, &kit.err));
	KIT_COMMIT(&kit);
	assert_ok(&kit, policies_hold_get(kit.db, REPO, 1, &hold, &kit.err));
	assert_int_equal(jval_int(hold, "held_at_ms", 0), T0);
	assert_null(jval_str(hold, "reason", NULL));
	json_decref(hold);
	assert_int_equal(policies_hold_get(kit.db, REPO, 2, &hold, &kit.err), ERR_NOT_FOUND);
	KIT_BEGIN(&kit);
	assert_ok(&kit, policies_unhold(kit.db, &job, T0 + 9, &hold, &kit.err));
	KIT_COMMIT(&kit);
	assert_string_equal(jval_str(hold, "person", ""), job.actor);
	json_decref(hold);
	assert_int_equal(policies_hold_get(kit.db, REPO, 1, &hold, &kit.err), ERR_NOT_FOUND);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM audit WHERE decision = 'done' "
					  "AND effect = 'store.hold' AND before = '' "
					  "AND after GLOB 'person=* reason=odd'"),
			 1);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM audit WHERE effect = 'store.hold' "
					  "AND before GLOB '*reason=odd' AND after GLOB 'person=*' "
					  "AND after NOT GLOB '*reason*'"),
			 1);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM audit WHERE after = '' "
					  "AND effect = 'store.unhold' AND before GLOB 'person=*'"),
			 1);
	job_dispose(&job);
	kit_end(&kit);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_users_stay_who_they_were),
	cmocka_unit_test(test_quotas_count_what_was_not_refused),
	cmocka_unit_test(test_quotas_of_a_repository),
	cmocka_unit_test(test_strangers_use_up_nothing),
	cmocka_unit_test(test_holds),
};
int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
