/* test_muddle.c - commands, claims, ends, cancels, retries and restarts in any order: after each
 * step the rules of the queue hold, and in the end everybody gets home. */
#include "tests/unit/store/store_kit.h"

struct muddle {
	struct kit kit;
	struct job held[12];
	uint64_t seed;
	int64_t clock, comment;
	int64_t jobs;
};

static unsigned toss(struct muddle *it, unsigned sides)
{
	it->seed = it->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(it->seed >> 33) % sides;
}

static void muddle_say(struct muddle *it)
{
	static const char *const commands[] = {
		"build", "run", "build run", "build_run", "status", "build run build_run", "retry"};
	int64_t comment = ++it->comment;
	struct kit_event event = {.pr = toss(it, 3) + 1,
				  .at_ms = it->clock,
				  .keep_going = toss(it, 2),
				  .refuse_late = !toss(it, 15),
				  .commands = commands[toss(it, ARRAY_LEN(commands))]};

	/* one in four arrives before an older one */
	event.comment_id = toss(it, 4) ? comment * 10 : comment * 10 - 25;
	kit_receive(&it->kit, &event);
}

static struct job *muddle_held(struct muddle *it, bool free_one)
{
	size_t first = toss(it, ARRAY_LEN(it->held));

	for (size_t i = 0; i < ARRAY_LEN(it->held); i++) {
		struct job *job = &it->held[(first + i) % ARRAY_LEN(it->held)];

		if ((job->id == 0) == free_one)
			return job;
	}
	return NULL;
}

static void muddle_finish(struct muddle *it)
{
	static const enum job_state states[] = {JOB_READY, JOB_PARKED,	 JOB_PARKED, JOB_BACKOFF,
						JOB_DONE,  JOB_DONE,	 JOB_FAILED, JOB_EXPIRED,
						JOB_DEAD,  JOB_CANCELLED};
	struct job *job = muddle_held(it, false);

	if (!job)
		return;
	job->due_at_ms = it->clock + toss(it, 5000);
	job->wait_kind = WAIT_RUN;
	kit_move(&it->kit, job,
		 job->end_state ? job->end_state : states[toss(it, ARRAY_LEN(states))], it->clock);
}

static void muddle_cancel(struct muddle *it)
{
	json_t *said = NULL;
	int64_t id = it->jobs ? toss(it, (unsigned)it->jobs) + 1 : 0;
	struct job bob = kit_bob(toss(it, 3) + 1);
	enum err_class class;

	KIT_BEGIN(&it->kit);
	class = kit_cancel_raw(&it->kit, &bob, toss(it, 3) ? id : 0, it->clock, &said);
	assert_true(class == ERR_OK || class == ERR_NOT_FOUND || class == ERR_CONFLICT);
	KIT_COMMIT(&it->kit);
	json_decref(said);
}

static void muddle_retry(struct muddle *it)
{
	struct job *as = muddle_held(it, false);
	json_t *said = NULL;
	enum err_class class;

	if (!as)
		return;
	KIT_BEGIN(&it->kit);
	class = queue_retry(it->kit.db, 0, as, it->clock, &said, &it->kit.err);
	assert_true(class == ERR_OK || class == ERR_NOT_FOUND);
	KIT_COMMIT(&it->kit);
	json_decref(said);
}

static void muddle_wake(struct muddle *it)
{
	int64_t woken;

	KIT_BEGIN(&it->kit);
	assert_ok(&it->kit, queue_wake_due(it->kit.db, it->clock, 50, &woken, &it->kit.err));
	KIT_COMMIT(&it->kit);
}

static void muddle_restart(struct muddle *it)
{
	for (size_t i = 0; i < ARRAY_LEN(it->held); i++)
		job_dispose(&it->held[i]);
	kit_crash(&it->kit);
	kit_open(&it->kit);
	assert_int_equal(sqlite3_exec(it->kit.db->sql, "PRAGMA synchronous = OFF", 0, 0, 0),
			 SQLITE_OK);
	it->clock += HOUR_MS;
}

static void muddle_check(struct muddle *it, int step)
{
	static const struct {
		const char *name;
		const char *sql; /* counts what may not be */
	} rules[] = {
		{"two have the turn", "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE read_only = "
				      "0 AND end_state = 0 AND "
				      "state IN (0, 1, 2, 3) GROUP BY pr HAVING count(*) > 1)"},
		{"somebody waits for nobody", "SELECT count(*) FROM jobs AS b WHERE state = 4 AND "
					      "NOT EXISTS (SELECT 1 FROM jobs AS a "
					      "WHERE a.pr = b.pr AND a.read_only = 0 AND "
					      "a.end_state = 0 AND a.state IN (0, 1, 2, 3))"},
		{"a wanted end waits",
		 "SELECT count(*) FROM jobs WHERE end_state <> 0 AND state IN (2, 4)"},
		{"a started job was given an end",
		 "SELECT count(*) FROM jobs WHERE end_state <> 0 AND started_at IS NOT NULL"},
		{"a read-only one is blocked",
		 "SELECT count(*) FROM jobs WHERE read_only AND state = 4"},
		{"the table of ends is wrong",
		 "SELECT count(*) FROM ended AS e WHERE count <> (SELECT count(*) FROM jobs AS j "
		 "WHERE j.state = e.state)"},
	};

	it->jobs = kit_number(&it->kit, "SELECT coalesce(max(id), 0) FROM jobs");
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (kit_number(&it->kit, rules[i].sql))
			fail_msg("seed %llu step %d: %s", (unsigned long long)it->seed, step,
				 rules[i].name);
}

static void muddle_step(struct muddle *it)
{
	struct job *free_one;

	it->clock += toss(it, 200);
	switch (toss(it, 12)) {
	case 0:
	case 1:
	case 2:
		muddle_say(it);
		break;
	case 3:
	case 4:
	case 5:
		if ((free_one = muddle_held(it, true)))
			kit_claim(&it->kit, free_one, it->clock);
		break;
	case 6:
	case 7:
	case 8:
		muddle_finish(it);
		break;
	case 9:
		muddle_cancel(it);
		break;
	case 10:
		toss(it, 2) ? muddle_retry(it) : muddle_wake(it);
		break;
	default:
		if (!toss(it, 8))
			muddle_restart(it);
		else if (!toss(it, 4))
			kit_receive(&it->kit, &(struct kit_event){.kind = EVENT_PULL_REQUEST,
								  .action = "closed",
								  .pr = toss(it, 3) + 1,
								  .at_ms = it->clock});
	}
}

static void test_muddle(void **state)
{
	enum { SEEDS = 25, STEPS = 250 };

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct muddle it = {.seed = seed, .clock = T0};

		kit_folder_in_memory(&it.kit);
		kit_open(&it.kit);
		log_set_level(LOG_LEVEL_ERROR + 1);
		assert_int_equal(sqlite3_exec(it.kit.db->sql, "PRAGMA synchronous = OFF", 0, 0, 0),
				 SQLITE_OK);
		for (int i = 0; i < STEPS; i++) {
			muddle_step(&it);
			muddle_check(&it, i);
		}
		/* Everybody gets home. */
		for (struct job *job; (job = muddle_held(&it, false));)
			kit_move(&it.kit, job, job->end_state ? job->end_state : JOB_DONE,
				 it.clock);
		for (int64_t i = 0; i < 2 * it.jobs + 10; i++) {
			it.clock += 6000;
			muddle_wake(&it);
			kit_work(&it.kit, JOB_DONE, it.clock);
		}
		if (kit_number(&it.kit, "SELECT count(*) FROM jobs WHERE state < 10"))
			fail_msg("seed %d: %s", (int)seed, kit_line(&it.kit, it.jobs));
		kit_end(&it.kit);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_muddle),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
