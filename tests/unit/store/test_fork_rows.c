/* test_fork_rows.c - what maintainers said of commits of forks: one row a word, the newest counts,
 * nothing is said twice, whatever process ended in between. */
#include "lib/store/forks.h"
#include "tests/unit/store/store_kit.h"

#define SHA   "9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901"
#define OTHER "9f8e7d6a1b2cffffffffffffffffffffffffffff"

static struct job word(int64_t comment_id, int64_t person_id, const char *sha)
{
	struct job job = {.id = comment_id + 1000,
			  .repo_id = REPO,
			  .pr = 7,
			  .comment_id = comment_id,
			  .actor_id = person_id,
			  .actor = (char *)(uintptr_t) "ben",
			  .command = (char *)(uintptr_t) "ok-to-run"};

	str_copy(job.head_sha, sizeof job.head_sha, sha);
	return job;
}

static void say(struct kit *kit, const struct job *as, bool build_only, int64_t at_ms)
{
	KIT_BEGIN(kit);
	assert_ok(kit, fork_ok_add(kit->db, as, build_only, at_ms, &kit->err));
	KIT_COMMIT(kit);
}

/* "" for none; else "PERSON build" or "PERSON all". */
static void expect(struct kit *kit, int64_t pr, const char *sha, const char *want)
{
	AUTO_JSON json_t *ok = NULL;
	AUTO_FREE char *said = NULL;
	enum err_class class = fork_ok_get(kit->db, REPO, pr, sha, &ok, &kit->err);

	if (!*want) {
		assert_int_equal(class, ERR_NOT_FOUND);
		return;
	}
	assert_ok(kit, class);
	said = str_printf("%lld %s %.12s", (long long)jval_int(ok, "person_id", 0),
			  jval_bool(ok, "build_only", false) ? "build" : "all",
			  jval_str(ok, "sha", ""));
	assert_string_equal(said, want);
}

static int64_t audited(struct kit *kit)
{
	return kit_number(kit, "SELECT count(*) FROM audit WHERE effect = 'store.ok_to_run'");
}

static void test_a_word_is_of_one_commit_of_one_pull_request(void **state)
{
	struct job ben = word(70, 11, SHA);
	struct kit kit;

	(void)state;
	kit_start(&kit);
	expect(&kit, 7, SHA, "");
	say(&kit, &ben, false, T0);
	expect(&kit, 7, SHA, "11 all 9f8e7d6a1b2c");
	expect(&kit, 7, NULL, "11 all 9f8e7d6a1b2c");
	expect(&kit, 7, OTHER, ""); /* a push */
	expect(&kit, 8, SHA, "");   /* the same commit in another pull request */
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM fork_oks WHERE person = 'ben' "
					  "AND person_id = 11 AND job_id = 1070"),
			 1);
	assert_int_equal(kit_number(&kit, "SELECT count(*) FROM audit WHERE effect = "
					  "'store.ok_to_run' AND after = 'sha=" SHA "' AND "
					  "actor_id = 11"),
			 1);
	kit_end(&kit);
}

static void test_the_newest_word_counts(void **state)
{
	struct job first = word(70, 11, SHA), second = word(71, 12, SHA),
		   third = word(72, 11, OTHER);
	struct kit kit;

	(void)state;
	kit_start(&kit);
	say(&kit, &second, true, T0); /* written later, stored first */
	say(&kit, &first, false, T0 + 5);
	expect(&kit, 7, SHA, "12 build 9f8e7d6a1b2c");
	say(&kit, &third, false, T0 + 9);
	expect(&kit, 7, SHA, "12 build 9f8e7d6a1b2c");
	expect(&kit, 7, NULL, "11 all 9f8e7d6a1b2c");
	kit_end(&kit);
}

/* After a crash the command is done again: it finds its row, and undoes nobody's later word. */
static void test_done_again_it_changes_nothing(void **state)
{
	struct job first = word(70, 11, SHA), second = word(71, 12, SHA);
	struct kit kit;

	(void)state;
	kit_start(&kit);
	say(&kit, &first, false, T0);
	say(&kit, &second, true, T0 + 1);
	say(&kit, &first, false, T0 + 2);
	expect(&kit, 7, SHA, "12 build 9f8e7d6a1b2c");
	assert_int_equal(audited(&kit), 2);
	kit_end(&kit);
}

/* Row and audit stand or fall together. */
static void test_rolled_back_it_was_not_said(void **state)
{
	struct job ben = word(70, 11, SHA);
	struct kit kit;

	(void)state;
	kit_start(&kit);
	KIT_BEGIN(&kit);
	assert_ok(&kit, fork_ok_add(kit.db, &ben, false, T0, &kit.err));
	db_rollback(kit.db);
	expect(&kit, 7, SHA, "");
	assert_int_equal(audited(&kit), 0);
	kit_end(&kit);
}

static void test_heads_that_begin_alike(void **state)
{
	static const struct {
		const char *begin;
		size_t count;
	} asked[] = {{"9f8e7d6", 2}, {"9f8e7d6a1b2c", 2}, {SHA, 1}, {"a1b2c3d", 0}};
	struct kit kit;

	(void)state;
	kit_start(&kit);
	assert_ok(&kit,
		  store_script(kit.db,
			       "INSERT INTO heads VALUES (0, 7, 1, '" SHA "', 'opened', 1), "
			       "(0, 7, 2, '" OTHER "', 'synchronize', 2), "
			       "(0, 7, 3, '" SHA "', 'synchronize', 3), "
			       "(0, 8, 3, '9f8e7d6000000000000000000000000000000000', 'opened', 3)",
			       &kit.err));
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		AUTO_JSON json_t *found = NULL;

		assert_ok(&kit, fork_heads_alike(kit.db, 0, 7, asked[i].begin, &found, &kit.err));
		assert_int_equal(json_array_size(found), asked[i].count);
	}
	kit_end(&kit);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_word_is_of_one_commit_of_one_pull_request),
	cmocka_unit_test(test_the_newest_word_counts),
	cmocka_unit_test(test_done_again_it_changes_nothing),
	cmocka_unit_test(test_rolled_back_it_was_not_said),
	cmocka_unit_test(test_heads_that_begin_alike),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
