/* test_approval_rows.c - /approve in the store: which jobs may be approved, once a person, of which
 * commit, and who is woken. */
#include "lib/store/approvals.h"
#include "tests/unit/store/store_kit.h"

#define SHA "9f8e7d6c5b4a39281706f5e4d3c2b1a098765432"

static void wait_for_approvals(struct kit *kit, struct job *job)
{
	char ref[48];

	approval_ref(ref, job->id);
	job->wait_kind = WAIT_APPROVAL;
	mem_free(job->wait_ref);
	job->wait_ref = str_dup(ref);
	job->due_at_ms = T0 + HOUR_MS;
	kit_move(kit, job, JOB_PARKED, T0);
}

/* A job on pull request 7 that waits for approvals, if it needs any. */
static int64_t waiting_job(struct kit *kit, int64_t need, const char *head)
{
	struct job job;
	int64_t id;

	kit_receive(kit, &(struct kit_event){.pr = 7, .comment_id = 70, .commands = "build"});
	assert_true(kit_claim(kit, &job, T0));
	id = job.id;
	jval_set(job.data, "approvals", json_pack("{s:I}", "need", (json_int_t)need));
	str_copy(job.head_sha, sizeof job.head_sha, head);
	wait_for_approvals(kit, &job);
	return id;
}

static enum err_class approve(struct kit *kit, const struct job *as, int64_t id, int64_t at_ms)
{
	AUTO_JSON json_t *out = NULL;
	enum err_class class;

	KIT_BEGIN(kit);
	class = approval_add(kit->db, as, id, at_ms, at_ms, &out, &kit->err);
	if (class == ERR_OK) {
		KIT_COMMIT(kit);
		assert_string_equal(jval_str(out, "sha", ""), SHA);
	} else {
		db_rollback(kit->db);
	}
	return class;
}

static struct job person(int64_t id, int64_t pr)
{
	return (struct job){.id = 90,
			    .repo_id = REPO,
			    .pr = pr,
			    .actor_id = id,
			    .actor = (char *)(uintptr_t) "kim",
			    .command = (char *)(uintptr_t) "approve"};
}

static void test_an_approval_is_of_the_job_as_it_is(void **state)
{
	struct job kim = person(11, 7), lee = person(12, 7);
	AUTO_JSON json_t *list = NULL;
	struct kit kit;
	struct job job;
	int64_t id;

	(void)state;
	kit_start(&kit);
	id = waiting_job(&kit, 2, SHA);
	assert_false(kit_claim(&kit, &job, T0 + 1));
	assert_int_equal(approve(&kit, &kim, id, T0 + 2), ERR_OK);
	assert_true(kit_claim(&kit, &job, T0 + 2)); /* it looks again at once */
	job_dispose(&job);
	assert_int_equal(approve(&kit, &kim, id, T0 + 2), ERR_OK); /* the same comment again */
	assert_int_equal(approve(&kit, &lee, id, T0 + 4), ERR_OK);
	assert_ok(&kit, approval_list(kit.db, id, &list, &kit.err));
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(jval_int(json_array_get(list, 0), "id", 0), 11);
	assert_int_equal(jval_int(json_array_get(list, 0), "at_ms", 0), T0 + 2);
	assert_string_equal(jval_str(json_array_get(list, 1), "sha", ""), SHA);
	assert_int_equal(
		kit_number(&kit, "SELECT count(*) FROM audit WHERE effect = 'store.approve'"), 2);
	kit_end(&kit);
}

/* Since then the base branch was changed, say, or changes were asked for: of a person the last word
 * holds, and a comment that is read late is not the last. */
static void test_who_approves_again_says_it_then(void **state)
{
	struct job kim = person(11, 7);
	AUTO_JSON json_t *list = NULL;
	struct kit kit;
	struct job job;
	int64_t id;

	(void)state;
	kit_start(&kit);
	id = waiting_job(&kit, 1, SHA);
	assert_int_equal(approve(&kit, &kim, id, T0 + 2), ERR_OK);
	assert_true(kit_claim(&kit, &job, T0 + 2));
	wait_for_approvals(&kit, &job);
	assert_false(kit_claim(&kit, &job, T0 + 8));
	assert_int_equal(approve(&kit, &kim, id, T0 + 9), ERR_OK);
	assert_true(kit_claim(&kit, &job, T0 + 9));
	job_dispose(&job);
	assert_int_equal(approve(&kit, &kim, id, T0 + 5), ERR_OK);
	assert_ok(&kit, approval_list(kit.db, id, &list, &kit.err));
	assert_int_equal(json_array_size(list), 1);
	assert_int_equal(jval_int(json_array_get(list, 0), "at_ms", 0), T0 + 9);
	assert_int_equal(
		kit_number(&kit, "SELECT count(*) FROM audit WHERE effect = 'store.approve'"), 2);
	kit_end(&kit);
}

/* The process ended before it could say so, and the job was quick. */
static void test_what_was_said_is_answered_when_the_job_has_ended(void **state)
{
	struct job kim = person(11, 7);
	struct kit kit;
	int64_t id;

	(void)state;
	kit_start(&kit);
	id = waiting_job(&kit, 1, SHA);
	assert_int_equal(approve(&kit, &kim, id, T0 + 2), ERR_OK);
	assert_int_equal(kit_work(&kit, JOB_DONE, T0 + 2), id);
	assert_int_equal(approve(&kit, &kim, id, T0 + 2), ERR_OK);
	assert_int_equal(approve(&kit, &kim, id, T0 + 3), ERR_CONFLICT);
	assert_string_equal(kit.err.code, "job.ended");
	kit_end(&kit);
}

static const struct {
	const char *name;
	int64_t need, pr;
	const char *head;
	bool ends, other;
	const char *code;
} refused[] = {
	{"of another pull request", 1, 8, SHA, false, false, "job.unknown"},
	{"a job that is not there", 1, 7, SHA, false, true, "job.unknown"},
	{"a job that has ended", 1, 7, SHA, true, false, "job.ended"},
	{"a job that asks for none", 0, 7, SHA, false, false, "approve.not_waiting"},
	{"a job without a commit", 1, 7, "", false, false, "approve.not_waiting"},
};

static void test_what_cannot_be_approved(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct job kim = person(11, refused[i].pr);
		struct kit kit;
		int64_t id;

		kit_start(&kit);
		id = waiting_job(&kit, refused[i].need, refused[i].head);
		if (refused[i].ends)
			assert_int_equal(kit_work(&kit, JOB_DONE, T0), 0);
		if (refused[i].ends)
			assert_ok(&kit, store_script(kit.db,
						     "UPDATE jobs SET state = 10, finished_at = 1",
						     &kit.err));
		assert_int_not_equal(approve(&kit, &kim, id + refused[i].other, T0), ERR_OK);
		if (!str_eq(kit.err.code, refused[i].code))
			fail_msg("%s: %s", refused[i].name, kit.err.code);
		/* one that has not come so far may ask for them yet */
		if (str_eq(refused[i].code, "approve.not_waiting"))
			assert_non_null(strstr(kit.err.msg, "does not wait for approvals now"));
		assert_int_equal(kit_number(&kit, "SELECT count(*) FROM approvals"), 0);
		kit_end(&kit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_approval_is_of_the_job_as_it_is),
		cmocka_unit_test(test_who_approves_again_says_it_then),
		cmocka_unit_test(test_what_was_said_is_answered_when_the_job_has_ended),
		cmocka_unit_test(test_what_cannot_be_approved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
