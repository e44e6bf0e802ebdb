/* test_strangers.c - what people whom nobody knows may cost on a public repository: one answer per
 * person, pull request and hour; the rest in silence, paced, and out of everybody's way. */
#include "lib/store/strangers.h"
#include "tests/unit/store/store_kit.h"

/* A comment of ann, on pull request 1 unless another is given. */
static enum queue_outcome comments(struct kit *kit, const char *commands, int64_t at_ms)
{
	static int64_t comment = 1000;

	return kit_receive(kit, &(struct kit_event){.pr = 1,
						    .comment_id = ++comment,
						    .commands = commands,
						    .at_ms = at_ms,
						    .is_public = true});
}

/* Ends what is due; with `may` the person turns out to be allowed to write. */
static bool ends(struct kit *kit, bool may, int64_t now_ms)
{
	struct queue_result result = {.now_ms = now_ms, .is_member = may, .refused = !may};
	struct job job;

	if (!kit_claim(kit, &job, now_ms))
		return false;
	job.state = may ? JOB_DONE : JOB_FAILED;
	result.job = &job;
	KIT_BEGIN(kit);
	assert_ok(kit, queue_step_result(kit->db, &result, &kit->err));
	KIT_COMMIT(kit);
	job_dispose(&job);
	return true;
}

static int64_t reactions(struct kit *kit)
{
	return kit_number(kit, "SELECT count(*) FROM outbox WHERE kind = 1");
}

static void test_one_answer_an_hour(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
	comments(&kit, "build", T0);
	assert_int_equal(reactions(&kit), 1);
	assert_true(ends(&kit, false, T0));
	assert_int_equal(reactions(&kit), 2); /* and the one that takes the place of the eyes */
	for (int i = 1; i <= 5; i++)
		comments(&kit, "build run", T0 + i);
	assert_int_equal(reactions(&kit), 2);
	assert_false(ends(&kit, false, T0 + 5)); /* one every five seconds */
	assert_int_equal(kit_number(&kit, "SELECT max(due_at) FROM jobs"), T0 + 1 + 5 * 5000);
	while (ends(&kit, false, T0 + 60000))
		continue;
	assert_int_equal(reactions(&kit), 2);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM jobs WHERE stranger = 2"), 10);
	comments(&kit, "build", T0 + HOUR_MS);
	assert_int_equal(reactions(&kit), 3);
	kit_end(&kit);
}

static void test_what_does_not_parse_counts_as_well(void **state)
{
	struct kit_event wrong = {.pr = 1, .comment_id = 1, .refusal = "no", .is_public = true};
	struct kit kit;

	(void)state;
	kit_start(&kit);
	assert_int_equal(kit_receive(&kit, &wrong), QUEUE_STORED);
	for (wrong.comment_id = 2; wrong.comment_id < 50; wrong.comment_id++)
		assert_int_equal(kit_receive(&kit, &wrong), QUEUE_NOTED);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM outbox"), 2);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM audit"), 1);
	wrong.pr = 2; /* another pull request has its own */
	assert_int_equal(kit_receive(&kit, &wrong), QUEUE_STORED);
	kit_end(&kit);
}

static struct strangers_seen look(struct kit *kit, int64_t pr, int64_t now_ms)
{
	struct strangers_seen seen;

	assert_ok(kit, strangers_look(kit->db, REPO, pr, 5, now_ms, &seen, &kit->err));
	return seen;
}

/* For who finds comments that no webhook brought. */
static void test_whether_anything_will_be_said(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
	assert_false(look(&kit, 1, T0).was_answered);
	comments(&kit, "build", T0);
	assert_true(look(&kit, 1, T0).was_answered); /* the answer is on its way */
	assert_false(look(&kit, 2, T0).was_answered);
	assert_true(ends(&kit, false, T0 + 5));
	assert_true(look(&kit, 1, T0 + HOUR_MS).was_answered);
	assert_false(look(&kit, 1, T0 + 5 + HOUR_MS).was_answered);
	assert_false(look(&kit, 1, T0).is_known);
	comments(&kit, "build", T0 + 10);
	assert_true(ends(&kit, true, T0 + 10000));
	assert_true(look(&kit, 1, T0 + 10000).is_known);
	kit_end(&kit);
}

/* The line of the pull request is for those who may stand in it. */
static void test_nobody_waits_for_a_stranger(void **state)
{
	struct kit kit;
	struct job job;

	(void)state;
	kit_start(&kit);
	comments(&kit, "build", T0);
	assert_true(ends(&kit, false, T0));
	comments(&kit, "build", T0 + 1);
	kit_receive(&kit, &(struct kit_event){.pr = 1,
					      .comment_id = 5000,
					      .commands = "run",
					      .at_ms = T0 + 2,
					      .is_other = true,
					      .is_public = true});
	assert_true(kit_claim(&kit, &job, T0 + 2));
	assert_string_equal(job.command, "run");
	assert_true(job.is_stranger && !job.is_quiet);
	job_dispose(&job);
	kit_end(&kit);
}

/* What a stranger said unheard stood in no line; repeated by somebody who may, it does. */
static void test_what_is_repeated_stands_in_line(void **state)
{
	struct job ben = {.repo_id = REPO,
			  .pr = 1,
			  .comment_id = 9000,
			  .actor_id = 6,
			  .actor = (char *)(uintptr_t) "ben",
			  .command = (char *)(uintptr_t) "retry"};
	AUTO_JSON json_t *made = NULL;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	comments(&kit, "build", T0);
	assert_true(ends(&kit, false, T0));
	comments(&kit, "build", T0 + 1);
	assert_true(ends(&kit, false, T0 + 60000));
	assert_int_equal(kit_number(&kit, "SELECT read_only FROM jobs WHERE id = 2"), 1);
	KIT_BEGIN(&kit);
	assert_ok(&kit, queue_retry(kit.db, 2, &ben, T0 + 60001, &made, &kit.err));
	KIT_COMMIT(&kit);
	assert_int_equal(kit_number(&kit, "SELECT read_only FROM jobs WHERE origin_id = 2"), 0);
	assert_int_equal(kit_number(&kit, "SELECT stranger FROM jobs WHERE origin_id = 2"), 0);
	kit_end(&kit);
}

static void test_a_flood_is_not_even_stored(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
	comments(&kit, "build", T0);
	assert_true(ends(&kit, false, T0));
	for (int i = 0; i < 500; i++)
		comments(&kit, "build", T0 + 1);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM jobs"), 121);
	assert_int_equal(reactions(&kit), 2);
	kit_end(&kit);
}

static void test_people_are_not_limited(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
	comments(&kit, "build", T0);
	assert_true(ends(&kit, true, T0));
	for (int i = 0; i < 5; i++) {
		comments(&kit, "build", T0 + 1);
		assert_true(ends(&kit, i % 2, T0 + 1)); /* even when they are refused at times */
	}
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM jobs WHERE stranger <> 0"), 1);
	kit_end(&kit);
}

static void test_private_repositories_have_no_strangers(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
	for (int i = 1; i <= 5; i++) {
		kit_receive(&kit,
			    &(struct kit_event){.pr = 1, .comment_id = i, .commands = "build"});
		assert_true(ends(&kit, false, T0));
	}
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM jobs WHERE stranger <> 0"), 0);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM answers"), 0);
	kit_end(&kit);
}

static void test_answers_are_forgotten(void **state)
{
	struct kit kit;
	bool more;

	(void)state;
	kit_start(&kit);
	comments(&kit, "build", T0);
	assert_true(ends(&kit, false, T0));
	KIT_BEGIN(&kit);
	assert_ok(&kit, queue_prune(kit.db, T0 + 48 * (int64_t)HOUR_MS, 720 * (int64_t)HOUR_MS,
				    720 * (int64_t)HOUR_MS, 500, &more, &kit.err));
	KIT_COMMIT(&kit);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM answers"), 0);
	kit_end(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_answer_an_hour),
		cmocka_unit_test(test_what_does_not_parse_counts_as_well),
		cmocka_unit_test(test_whether_anything_will_be_said),
		cmocka_unit_test(test_nobody_waits_for_a_stranger),
		cmocka_unit_test(test_what_is_repeated_stands_in_line),
		cmocka_unit_test(test_a_flood_is_not_even_stored),
		cmocka_unit_test(test_people_are_not_limited),
		cmocka_unit_test(test_private_repositories_have_no_strangers),
		cmocka_unit_test(test_answers_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
