/* test_turns.c - repositories take turns: when jobs are claimed, and when wishes are sent. */
#include "tests/unit/store/store_kit.h"

enum { REPOS = 7 };

static void receive_of(struct kit *kit, int64_t repo_id, int64_t at_ms)
{
	static int64_t count;

	count++;
	kit_receive(kit, &(struct kit_event){.repo_id = repo_id,
					     .pr = count,
					     .comment_id = count,
					     .commands = "build",
					     .at_ms = at_ms});
}

/* The repository of the job that is claimed, 0: none. */
static int64_t claim_of(struct kit *kit, int64_t in_hand_max, int64_t now_ms, int64_t *job_id)
{
	int64_t due, repo_id;
	enum err_class class;
	struct job job;

	KIT_BEGIN(kit);
	class = queue_claim(kit->db, now_ms, in_hand_max, &job, &due, &kit->err);
	KIT_COMMIT(kit);
	if (class == ERR_NOT_FOUND)
		return 0;
	assert_int_equal(class, ERR_OK);
	repo_id = job.repo_id;
	*job_id = job.id;
	job_dispose(&job);
	return repo_id;
}

static void move(struct kit *kit, int64_t job_id, enum job_state state, int64_t now_ms,
		 int64_t due_ms)
{
	struct job job;

	assert_ok(kit, queue_load(kit->db, job_id, &job, &kit->err));
	job.due_at_ms = due_ms;
	kit_move(kit, &job, state, now_ms);
}

static void test_claims_take_turns(void **state)
{
	static const int64_t expect[] = {1, 2, 3, 1, 1};
	int64_t id = 0;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	for (int i = 0; i < 20; i++)
		receive_of(&kit, 1, T0 + i);
	receive_of(&kit, 2, T0 + 50);
	receive_of(&kit, 3, T0 + 40);
	for (size_t i = 0; i < ARRAY_LEN(expect); i++)
		assert_int_equal(claim_of(&kit, 0, T0 + 99, &id), expect[i]);
	/* who has nothing in hand comes first, however late */
	receive_of(&kit, 3, T0 + 60);
	receive_of(&kit, 4, T0 + 90);
	assert_int_equal(claim_of(&kit, 0, T0 + 99, &id), 4);
	assert_int_equal(claim_of(&kit, 0, T0 + 99, &id), 3);
	assert_int_equal(claim_of(&kit, 0, T0 + 99, &id), 1);
	kit_end(&kit);
}

static void test_oldest_of_a_repository(void **state)
{
	int64_t first = 0, second = 0;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	receive_of(&kit, 1, T0 + 20);
	receive_of(&kit, 1, T0 + 10);
	claim_of(&kit, 0, T0 + 99, &first);
	claim_of(&kit, 0, T0 + 99, &second);
	assert_int_equal(first, 2);
	assert_int_equal(second, 1);
	kit_end(&kit);
}

static void assert_due(struct kit *kit, int64_t in_hand_max, int64_t expect)
{
	int64_t due = 0;

	assert_ok(kit, queue_claim_due(kit->db, T0 + 99, in_hand_max, &due, &kit->err));
	assert_true(due == expect);
}

static void test_a_repository_has_its_limit(void **state)
{
	int64_t first = 0, id;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	for (int i = 0; i < 5; i++)
		receive_of(&kit, 1, T0 + i);
	assert_int_equal(claim_of(&kit, 2, T0 + 99, &first), 1);
	assert_int_equal(claim_of(&kit, 2, T0 + 99, &id), 1);
	assert_int_equal(claim_of(&kit, 2, T0 + 99, &id), 0);
	assert_due(&kit, 2, INT64_MAX);
	assert_due(&kit, 3, T0 + 99);
	receive_of(&kit, 2, T0 + 500);
	assert_due(&kit, 2, T0 + 500);
	receive_of(&kit, 2, T0);
	assert_due(&kit, 2, T0 + 99);
	assert_int_equal(claim_of(&kit, 2, T0 + 99, &id), 2);
	move(&kit, first, JOB_DONE, T0 + 99, 0);
	assert_int_equal(claim_of(&kit, 2, T0 + 99, &id), 1);
	kit_end(&kit);
}

/* The process that held them is gone: nobody has anything in hand. */
static void test_a_restart_frees_the_limit(void **state)
{
	int64_t id;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	receive_of(&kit, 1, T0);
	assert_int_equal(claim_of(&kit, 1, T0 + 99, &id), 1);
	assert_due(&kit, 1, INT64_MAX);
	kit_crash(&kit);
	kit_open(&kit);
	assert_int_equal(claim_of(&kit, 1, T0 + 99, &id), 1);
	kit_end(&kit);
}

/* --- any schedule --- */

struct play {
	struct kit kit;
	uint64_t seed;
	int64_t now_ms, held[64];
	int held_count, passed_over[REPOS + 1];
};

static uint64_t draw(struct play *play, uint64_t below)
{
	play->seed = play->seed * 6364136223846793005u + 1442695040888963407u;
	return (play->seed >> 33) % below;
}

static int64_t jobs_of(struct play *play, const char *condition, int64_t repo_id)
{
	char sql[256];

	snprintf(sql, sizeof sql, "SELECT count(*) FROM jobs WHERE repo_id = %d AND %s",
		 (int)repo_id, condition);
	return kit_number(&play->kit, sql);
}

static void play_claim(struct play *play, int64_t in_hand_max)
{
	int64_t in_hand[REPOS + 1], due[REPOS + 1], fewest = INT64_MAX, got;
	char condition[96];

	snprintf(condition, sizeof condition, "state IN (0, 3) AND due_at <= %lld",
		 (long long)play->now_ms);
	for (int64_t repo = 1; repo <= REPOS; repo++) {
		in_hand[repo] = jobs_of(play, "lease IS NOT NULL", repo);
		due[repo] = jobs_of(play, condition, repo);
		if (due[repo] && in_hand[repo] < in_hand_max && in_hand[repo] < fewest)
			fewest = in_hand[repo];
	}
	got = claim_of(&play->kit, in_hand_max, play->now_ms, &play->held[play->held_count]);
	assert_int_equal(got != 0, fewest != INT64_MAX);
	if (!got)
		return;
	play->held_count++;
	assert_int_equal(in_hand[got], fewest);
	for (int64_t repo = 1; repo <= REPOS; repo++) {
		bool waits = due[repo] && in_hand[repo] == fewest && repo != got;

		play->passed_over[repo] = waits ? play->passed_over[repo] + 1 : 0;
		if (play->passed_over[repo] >= REPOS)
			fail_msg("repository %d was passed over %d times", (int)repo,
				 play->passed_over[repo]);
	}
}

static void play_give_up_one(struct play *play)
{
	static const enum job_state states[] = {JOB_DONE, JOB_FAILED, JOB_BACKOFF, JOB_READY};
	uint64_t at = draw(play, (uint64_t)play->held_count);

	move(&play->kit, play->held[at], states[draw(play, ARRAY_LEN(states))], play->now_ms,
	     play->now_ms + (int64_t)draw(play, 40));
	play->held[at] = play->held[--play->held_count];
}

static void test_nobody_waits_for_ever(void **state)
{
	enum { WORKERS = 8, MOVES = 400 };

	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct play play = {.seed = seed, .now_ms = T0};

		kit_folder_in_memory(&play.kit);
		kit_open(&play.kit);
		for (int i = 0; i < MOVES; i++) {
			uint64_t what = draw(&play, 10);

			play.now_ms += (int64_t)draw(&play, 5);
			if (what < 4) /* half of all commands are of the first repository */
				receive_of(&play.kit,
					   draw(&play, 2) ? 1 : 1 + (int64_t)draw(&play, REPOS),
					   play.now_ms);
			else if (play.held_count && (what < 6 || play.held_count == WORKERS))
				play_give_up_one(&play);
			else if (play.held_count < WORKERS)
				play_claim(&play, 1 + (int64_t)(seed % WORKERS));
		}
		kit_end(&play.kit);
	}
}

/* --- wishes --- */

static void put(struct kit *kit, int64_t installation, int64_t repo_id, const char *slot,
		int urgency)
{
	struct outbox_wish wish = {
		.kind = SLOT_COMMENT, .urgency = urgency, .want = json_pack("{s:s}", "body", "x")};

	str_copy(wish.slot, sizeof wish.slot, slot);
	KIT_BEGIN(kit);
	assert_ok(kit, outbox_put(kit->db, 0, installation, repo_id, 1, "acme/iris", &wish, T0,
				  &kit->err));
	KIT_COMMIT(kit);
	outbox_wish_dispose(&wish);
}

/* Sends up to `count` wishes and lists their slots; each is looked for twice, because looking
 * takes nobody's turn. */
static const char *send_some(struct kit *kit, int count)
{
	static char text[4096];
	struct outbox_row row, again;
	int64_t due;

	text[0] = '\0';
	for (int i = 0; i < count; i++) {
		if (outbox_next(kit->db, T0, NULL, 0, &again, &due, &kit->err) != ERR_OK)
			break;
		assert_ok(kit, outbox_next(kit->db, T0, NULL, 0, &row, &due, &kit->err));
		assert_int_equal(row.id, again.id);
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
			 row.slot);
		outbox_served(kit->db, &row);
		KIT_BEGIN(kit);
		assert_ok(kit, outbox_sent(kit->db, row.id, row.version, 0, NULL, &kit->err));
		KIT_COMMIT(kit);
		outbox_row_dispose(&row);
		outbox_row_dispose(&again);
	}
	return text;
}

static void flood(struct kit *kit, int64_t installation, int64_t repo_id, const char *letter,
		  int urgency, int count)
{
	char slot[32];

	for (int i = 1; i <= count; i++) {
		snprintf(slot, sizeof slot, "%s%d", letter, i);
		put(kit, installation, repo_id, slot, urgency);
	}
}

static void test_wishes_of_repositories_take_turns(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
	flood(&kit, 10, 1, "a", OUTBOX_NOW, 200);
	flood(&kit, 10, 2, "b", OUTBOX_NOW, 2);
	flood(&kit, 10, 3, "c", OUTBOX_NOW, 1);
	assert_string_equal(send_some(&kit, 7), "a1 b1 c1 a2 b2 a3 a4");
	/* whoever comes later need not wait for what is there already */
	put(&kit, 10, 9, "d1", OUTBOX_NOW);
	assert_string_equal(send_some(&kit, 2), "d1 a5");
	kit_end(&kit);
}

static void test_an_installation_has_its_own_circle(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
	flood(&kit, 10, 1, "a", OUTBOX_NOW, 3);
	flood(&kit, 10, 2, "b", OUTBOX_NOW, 3);
	flood(&kit, 10, 3, "c", OUTBOX_NOW, 3);
	flood(&kit, 20, 4, "x", OUTBOX_NOW, 9);
	/* a repository alone in its installation has every second turn */
	assert_string_equal(send_some(&kit, 18),
			    "a1 x1 b1 x2 c1 x3 a2 x4 b2 x5 c2 x6 a3 x7 b3 x8 c3 x9");
	kit_end(&kit);
}

static void test_results_do_not_wait_for_a_flood_of_eyes(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit);
	flood(&kit, 10, 1, "eyes", OUTBOX_NOW, 200);
	flood(&kit, 10, 1, "progress", OUTBOX_PROGRESS, 2);
	flood(&kit, 10, 2, "end", OUTBOX_FINAL, 3);
	assert_string_equal(send_some(&kit, 8), "eyes1 end1 eyes2 end2 eyes3 end3 eyes4 eyes5");
	kit_end(&kit);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims_take_turns),
		cmocka_unit_test(test_oldest_of_a_repository),
		cmocka_unit_test(test_a_repository_has_its_limit),
		cmocka_unit_test(test_a_restart_frees_the_limit),
		cmocka_unit_test(test_nobody_waits_for_ever),
		cmocka_unit_test(test_wishes_of_repositories_take_turns),
		cmocka_unit_test(test_an_installation_has_its_own_circle),
		cmocka_unit_test(test_results_do_not_wait_for_a_flood_of_eyes),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
