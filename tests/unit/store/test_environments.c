/* test_environments.c - who holds an environment, who waits, and what was deployed there. */
#include "lib/store/deployments.h"
#include "lib/store/environments.h"
#include "tests/unit/store/store_kit.h"

/* A started job of its own pull request: numbers of both are equal. */
static int64_t start_job(struct kit *kit, bool is_other)
{
	static int64_t comment = 100;
	struct kit_event event = {
		.pr = comment + 1, .comment_id = comment + 1, .commands = "build"};
	struct job job;
	int64_t id;

	comment++;
	event.is_other = is_other;
	kit_receive(kit, &event);
	assert_true(kit_claim(kit, &job, T0));
	id = job.id;
	job_dispose(&job);
	return id;
}

static json_t *take_turn(struct kit *kit, int64_t id, const char *environment, int64_t now_ms)
{
	json_t *out = NULL;
	struct job job;

	assert_ok(kit, queue_load(kit->db, id, &job, &kit->err));
	KIT_BEGIN(kit);
	assert_ok(kit, environment_take(kit->db, &job, environment, now_ms, &out, &kit->err));
	KIT_COMMIT(kit);
	job_dispose(&job);
	return out;
}

static bool holds(struct kit *kit, int64_t id, const char *environment)
{
	AUTO_JSON json_t *turn = take_turn(kit, id, environment, T0);

	return jval_bool(turn, "held", false);
}

static int64_t place(struct kit *kit, int64_t id, const char *environment)
{
	AUTO_JSON json_t *turn = take_turn(kit, id, environment, T0);

	return jval_int(turn, "position", -1);
}

static void end_job(struct kit *kit, int64_t id, enum job_state state)
{
	struct job job;

	assert_ok(kit, queue_load(kit->db, id, &job, &kit->err));
	kit_move(kit, &job, state, T0);
}

static void park_in_line(struct kit *kit, int64_t id, const char *environment)
{
	char ref[96];
	struct job job;

	environment_ref(ref, REPO, environment);
	assert_ok(kit, queue_load(kit->db, id, &job, &kit->err));
	job.wait_kind = WAIT_TURN;
	mem_free(job.wait_ref);
	job.wait_ref = str_dup(ref);
	job.due_at_ms = T0 + HOUR_MS;
	kit_move(kit, &job, JOB_PARKED, T0);
}

/* Parks as the worker does: with what the effect has answered. Consumes `told`. */
static void park_as_told(struct kit *kit, int64_t id, json_t *told, int64_t due_ms)
{
	AUTO_JSON json_t *args = json_pack("{s:s}", "environment", "production");
	const struct effect effect = {.kind = EFFECT_TURN_TAKE, .args = args};
	struct effect_result got = {.data = told};
	struct job job;
	struct queue_result result = {.job = &job,
				      .effect = &effect,
				      .result = &got,
				      .step = "turn",
				      .now_ms = due_ms - HOUR_MS};
	char ref[96];

	environment_ref(ref, REPO, "production");
	assert_ok(kit, queue_load(kit->db, id, &job, &kit->err));
	job.state = JOB_PARKED;
	job.wait_kind = WAIT_TURN;
	mem_free(job.wait_ref);
	job.wait_ref = str_dup(ref);
	job.due_at_ms = due_ms;
	KIT_BEGIN(kit);
	assert_ok(kit, queue_step_result(kit->db, &result, &kit->err));
	KIT_COMMIT(kit);
	job_dispose(&job);
	json_decref(told);
}

static enum job_state state_of(struct kit *kit, int64_t id)
{
	enum job_state state;
	struct job job;

	assert_ok(kit, queue_load(kit->db, id, &job, &kit->err));
	state = job.state;
	job_dispose(&job);
	return state;
}

static void test_first_come_first_served(void **unused)
{
	int64_t first, second, third;
	struct kit kit;

	(void)unused;
	kit_start(&kit);
	first = start_job(&kit, false);
	second = start_job(&kit, true);
	third = start_job(&kit, false);
	assert_true(holds(&kit, first, "production"));
	assert_true(holds(&kit, first, "production")); /* asked twice, answered the same */
	assert_int_equal(place(&kit, second, "production"), 1);
	assert_int_equal(place(&kit, third, "production"), 2);
	assert_true(holds(&kit, start_job(&kit, false), "staging"));
	park_in_line(&kit, second, "production");
	park_in_line(&kit, third, "production");
	end_job(&kit, first, JOB_FAILED);
	assert_int_equal(state_of(&kit, second), JOB_READY);
	assert_int_equal(state_of(&kit, third), JOB_READY); /* woken too: its place has changed */
	assert_int_equal(place(&kit, third, "production"), 2);
	assert_true(holds(&kit, second, "production"));
	assert_int_equal(place(&kit, third, "production"), 1);
	kit_end(&kit);
}

static void test_the_holder_is_named(void **unused)
{
	AUTO_JSON json_t *turn = NULL;
	int64_t first, second;
	struct kit kit;

	(void)unused;
	kit_start(&kit);
	first = start_job(&kit, false);
	second = start_job(&kit, true);
	assert_true(holds(&kit, first, "production"));
	turn = take_turn(&kit, second, "production", T0 + 5);
	assert_int_equal(jval_int(turn, "job", 0), first);
	assert_string_equal(jval_str(turn, "actor", ""), "ann");
	assert_int_equal(jval_int(turn, "since_ms", 0), T0);
	kit_end(&kit);
}

static void test_the_fence_grows_with_each_holder(void **unused)
{
	struct kit kit;

	(void)unused;
	kit_start(&kit);
	for (int64_t fence = 1; fence <= 3; fence++) {
		int64_t id = start_job(&kit, false);
		AUTO_JSON json_t *turn = take_turn(&kit, id, "production", T0);
		AUTO_JSON json_t *again = take_turn(&kit, id, "production", T0);

		assert_int_equal(jval_int(turn, "fence", 0), fence);
		assert_int_equal(jval_int(again, "fence", 0), fence);
		end_job(&kit, id, JOB_DONE);
	}
	kit_end(&kit);
}

static void test_a_person_locks_and_unlocks(void **unused)
{
	AUTO_JSON json_t *was = NULL, *list = NULL;
	struct job locker = {.repo_id = REPO, .pr = 3, .actor_id = 6};
	struct job other = {.repo_id = REPO, .pr = 4, .actor_id = 7};
	char name[] = "kim", stranger[] = "lee";
	int64_t id, own;
	struct kit kit;

	(void)unused;
	kit_start(&kit);
	locker.actor = name;
	other.actor = stranger;
	KIT_BEGIN(&kit);
	assert_ok(&kit, environment_lock(kit.db, &locker, "production", "canary watch", T0 + 1000,
					 T0, &kit.err));
	assert_int_equal(environment_lock(kit.db, &other, "production", NULL, 0, T0, &kit.err),
			 ERR_CONFLICT);
	assert_string_equal(kit.err.code, "lock.held");
	assert_int_equal(
		environment_unlock(kit.db, &other, "production", false, T0, &was, &kit.err),
		ERR_DENIED);
	KIT_COMMIT(&kit);
	id = start_job(&kit, false);
	own = start_job(&kit, true); /* of the person who locked */
	assert_false(holds(&kit, id, "production"));
	assert_int_equal(place(&kit, id, "production"), 1);
	assert_ok(&kit, environment_list(kit.db, REPO, T0, &list, &kit.err));
	assert_string_equal(jval_str(json_array_get(list, 0), "reason", ""), "canary watch");
	assert_true(holds(&kit, own, "production")); /* theirs, and nobody else could take it */
	end_job(&kit, own, JOB_DONE);
	park_in_line(&kit, id, "production");
	KIT_BEGIN(&kit);
	assert_ok(&kit, environment_unlock(kit.db, &other, "production", true, T0, &was, &kit.err));
	KIT_COMMIT(&kit);
	assert_string_equal(jval_str(was, "person", ""), "kim");
	assert_int_equal(state_of(&kit, id), JOB_READY);
	assert_true(holds(&kit, id, "production"));
	kit_end(&kit);
}

/* Any name can be locked, and what is shown has an end. */
static void test_many_names_do_not_hide_production(void **unused)
{
	AUTO_JSON json_t *list = NULL;
	struct kit kit;
	struct job locker;
	int64_t id;

	(void)unused;
	kit_start(&kit);
	id = start_job(&kit, false);
	assert_ok(&kit, queue_load(kit.db, id, &locker, &kit.err));
	KIT_BEGIN(&kit);
	for (int i = 0; i < 150; i++) {
		AUTO_FREE char *name = str_printf("a%d", i);

		assert_ok(&kit, environment_lock(kit.db, &locker, name, NULL, 0, T0, &kit.err));
	}
	assert_ok(&kit, environment_lock(kit.db, &locker, "production", NULL, 0, T0, &kit.err));
	KIT_COMMIT(&kit);
	assert_ok(&kit, environment_list(kit.db, REPO, T0, &list, &kit.err));
	assert_int_equal(json_array_size(list), 100);
	assert_string_equal(jval_str(json_array_get(list, 0), "environment", ""), "production");
	job_dispose(&locker);
	kit_end(&kit);
}

static void test_a_lock_runs_out(void **unused)
{
	struct job locker = {.repo_id = REPO, .pr = 3, .actor_id = 6};
	AUTO_JSON json_t *before = NULL, *after = NULL;
	char name[] = "kim";
	struct kit kit;
	int64_t id;

	(void)unused;
	kit_start(&kit);
	locker.actor = name;
	KIT_BEGIN(&kit);
	assert_ok(&kit,
		  environment_lock(kit.db, &locker, "production", NULL, T0 + 1000, T0, &kit.err));
	KIT_COMMIT(&kit);
	id = start_job(&kit, false);
	before = take_turn(&kit, id, "production", T0 + 999);
	assert_false(jval_bool(before, "held", true));
	assert_int_equal(jval_int(before, "until_ms", 0), T0 + 1000);
	after = take_turn(&kit, id, "production", T0 + 1000);
	assert_true(jval_bool(after, "held", false));
	kit_end(&kit);
}

static void keep(struct kit *kit, int64_t id, const char *environment, int64_t now_ms)
{
	struct job job;

	assert_ok(kit, queue_load(kit->db, id, &job, &kit->err));
	KIT_BEGIN(kit);
	assert_ok(kit, environment_keep(kit->db, &job, environment, now_ms, &kit->err));
	KIT_COMMIT(kit);
	job_dispose(&job);
}

static int64_t pull_of(struct kit *kit, int64_t id)
{
	struct job job;
	int64_t pr;

	assert_ok(kit, queue_load(kit->db, id, &job, &kit->err));
	pr = job.pr;
	job_dispose(&job);
	return pr;
}

static void close_pull(struct kit *kit, int64_t pr, int64_t at_ms)
{
	kit_receive(kit, &(struct kit_event){.kind = EVENT_PULL_REQUEST,
					     .pr = pr,
					     .at_ms = at_ms,
					     .action = "closed"});
}

/* Another pull request waits, says for whom, and goes on when that one is closed. */
static void test_it_stays_with_a_pull_request(void **unused)
{
	AUTO_JSON json_t *turn = NULL, *list = NULL;
	int64_t first, second, pr;
	struct kit kit;

	(void)unused;
	kit_start(&kit);
	first = start_job(&kit, false);
	pr = pull_of(&kit, first);
	assert_true(holds(&kit, first, "staging"));
	keep(&kit, first, "staging", T0);
	end_job(&kit, first, JOB_DONE);
	second = start_job(&kit, true);
	turn = take_turn(&kit, second, "staging", T0);
	assert_false(jval_bool(turn, "held", true));
	assert_int_equal(jval_int(turn, "position", 0), 1);
	assert_int_equal(jval_int(turn, "kept_pr", 0), pr);
	assert_string_equal(jval_str(turn, "keeper", ""), "ann");
	assert_true(holds(&kit, second, "production")); /* the other one is nobody's */
	assert_ok(&kit, environment_list(kit.db, REPO, T0, &list, &kit.err));
	assert_int_equal(json_array_size(list), 2);
	park_in_line(&kit, second, "staging");
	close_pull(&kit, pr + 1, T0);
	assert_int_equal(state_of(&kit, second), JOB_PARKED); /* another one was closed */
	close_pull(&kit, pr, T0 - 3600000);
	assert_int_equal(state_of(&kit, second), JOB_PARKED); /* long before it deployed */
	close_pull(&kit, pr, T0);
	assert_int_equal(state_of(&kit, second), JOB_READY);
	assert_true(holds(&kit, second, "staging"));
	kit_end(&kit);
}

/* Who deployed may let it go, and so may somebody who says --force. */
static void test_what_stays_is_unlocked(void **unused)
{
	struct job other = {.repo_id = REPO, .pr = 4, .actor_id = 4711};
	char stranger[] = "lee";
	struct kit kit;

	(void)unused;
	kit_start(&kit);
	other.actor = stranger;
	for (int any = 0; any < 2; any++) {
		AUTO_JSON json_t *was = NULL;
		int64_t id = start_job(&kit, false);
		struct job own;

		assert_true(holds(&kit, id, "staging"));
		keep(&kit, id, "staging", T0);
		assert_ok(&kit, queue_load(kit.db, id, &own, &kit.err));
		KIT_BEGIN(&kit);
		assert_int_equal(
			environment_unlock(kit.db, &other, "staging", false, T0, &was, &kit.err),
			ERR_DENIED);
		assert_string_equal(kit.err.code, "lock.not_yours");
		assert_ok(&kit, environment_unlock(kit.db, any ? &other : &own, "staging", any, T0,
						   &was, &kit.err));
		assert_int_equal(jval_int(was, "kept_pr", 0), own.pr);
		json_decref(was);
		was = NULL;
		assert_int_equal(
			environment_unlock(kit.db, &other, "staging", true, T0, &was, &kit.err),
			ERR_NOT_FOUND);
		KIT_COMMIT(&kit);
		job_dispose(&own);
		end_job(&kit, id, JOB_DONE);
	}
	kit_end(&kit);
}

/* Whoever holds it may have been ended by the start itself, without anybody being told. */
static void test_a_start_wakes_the_line(void **unused)
{
	int64_t first, second;
	struct kit kit;

	(void)unused;
	kit_start(&kit);
	first = start_job(&kit, false);
	second = start_job(&kit, true);
	assert_true(holds(&kit, first, "production"));
	place(&kit, second, "production");
	park_in_line(&kit, second, "production");
	kit_crash(&kit);
	kit_open(&kit);
	assert_int_equal(state_of(&kit, second), JOB_READY);
	assert_int_equal(place(&kit, second, "production"), 1);
	kit_end(&kit);
}

/* The process is killed; the next one claims all jobs again. How often is not what is played. */
static void restart(struct kit *kit)
{
	struct job job;

	kit_crash(kit);
	kit_open(kit);
	assert_int_equal(
		sqlite3_exec(kit->db->sql, "UPDATE jobs SET crashes = 0", NULL, NULL, NULL),
		SQLITE_OK);
	while (kit_claim(kit, &job, T0 + HOUR_MS))
		job_dispose(&job);
}

/* Told that it has to wait, it parks a moment later; in between the holder ends. */
static void test_nobody_is_forgotten_between_the_answer_and_the_wait(void **unused)
{
	int64_t first, second;
	struct kit kit;

	(void)unused;
	kit_start(&kit);
	first = start_job(&kit, false);
	second = start_job(&kit, true);
	assert_true(holds(&kit, first, "production"));
	for (int late = 0; late < 2; late++) {
		json_t *told = take_turn(&kit, second, "production", T0);

		assert_int_equal(jval_int(told, "position", 0), 1);
		if (late)
			end_job(&kit, first, JOB_DONE);
		park_as_told(&kit, second, told, T0 + HOUR_MS);
		assert_int_equal(state_of(&kit, second), late ? JOB_READY : JOB_PARKED);
		restart(&kit);
	}
	assert_true(holds(&kit, second, "production"));
	kit_end(&kit);
}

static void test_a_lock_is_not_in_the_way_of_its_person(void **unused)
{
	struct job locker = {.repo_id = REPO, .pr = 3, .actor_id = 6};
	int64_t first, second, own;
	char name[] = "kim";
	struct kit kit;

	(void)unused;
	kit_start(&kit);
	locker.actor = name;
	first = start_job(&kit, false);
	second = start_job(&kit, false);
	own = start_job(&kit, true);
	assert_true(holds(&kit, first, "production"));
	assert_int_equal(place(&kit, second, "production"), 1);
	assert_int_equal(place(&kit, own, "production"), 2);
	park_in_line(&kit, second, "production");
	park_in_line(&kit, own, "production");
	KIT_BEGIN(&kit);
	assert_ok(&kit, environment_lock(kit.db, &locker, "production", NULL, 0, T0, &kit.err));
	KIT_COMMIT(&kit);
	assert_int_equal(state_of(&kit, own), JOB_READY);    /* its place has changed */
	assert_int_equal(place(&kit, own, "production"), 1); /* behind the one under way alone */
	end_job(&kit, first, JOB_DONE);
	assert_false(holds(&kit, second, "production"));
	assert_true(holds(&kit, own, "production"));
	kit_end(&kit);
}

/* --- deployments --- */

static void deploy(struct kit *kit, int64_t id, const char *environment)
{
	AUTO_JSON json_t *facts = json_pack(
		"{s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:{s:s}}", "environment", environment, "run_id", "r",
		"namespace", "ml", "service", "iris", "storage_uri", "s3://b/m/", "model_digest",
		"d", "fence", 1, "template", "kind", "InferenceService");
	int64_t row, again;
	struct job job;

	assert_ok(kit, queue_load(kit->db, id, &job, &kit->err));
	str_copy(job.head_sha, sizeof job.head_sha, "5f932f935f935f935f935f935f935f935f935f93");
	KIT_BEGIN(kit);
	assert_ok(kit, deployment_begin(kit->db, &job, facts, T0, &row, &kit->err));
	assert_ok(kit, deployment_begin(kit->db, &job, facts, T0, &again, &kit->err));
	KIT_COMMIT(kit);
	assert_int_equal(row, again);
	job_dispose(&job);
}

static void finish(struct kit *kit, int64_t id, enum deployment_state state, int64_t returned_to)
{
	struct job job;

	assert_ok(kit, queue_load(kit->db, id, &job, &kit->err));
	KIT_BEGIN(kit);
	assert_ok(kit, deployment_end(kit->db, &job, id, state, returned_to, T0, &kit->err));
	assert_ok(kit, deployment_end(kit->db, &job, id, state, returned_to, T0, &kit->err));
	KIT_COMMIT(kit);
	job_dispose(&job);
}

static int64_t live_job(struct kit *kit, const char *environment)
{
	AUTO_JSON json_t *live = NULL;
	enum err_class class = deployment_live(kit->db, REPO, environment, &live, &kit->err);

	return class == ERR_NOT_FOUND ? 0 : jval_int(live, "job", 0);
}

static void test_why_it_is_begun_is_in_the_audit(void **unused)
{
	AUTO_JSON json_t *facts =
		json_pack("{s:s,s:s,s:s,s:s}", "environment", "production", "run_id", "r",
			  "storage_uri", "s3://b/m/", "reason", "wrong labels");
	char after[500];
	struct kit kit;
	struct job job;
	int64_t row;

	(void)unused;
	kit_start(&kit);
	assert_ok(&kit, queue_load(kit.db, start_job(&kit, false), &job, &kit.err));
	KIT_BEGIN(&kit);
	assert_ok(&kit, deployment_begin(kit.db, &job, facts, T0, &row, &kit.err));
	KIT_COMMIT(&kit);
	kit_text(&kit, after, sizeof after,
		 "SELECT after FROM audit WHERE effect = 'store.deployment'");
	assert_string_equal(after, "environment=production run_id=r reason=wrong labels "
				   "storage_uri=s3://b/m/");
	job_dispose(&job);
	kit_end(&kit);
}

static void test_deployments_take_each_others_place(void **unused)
{
	AUTO_JSON json_t *before = NULL, *all = NULL;
	int64_t first, second, third, fourth;
	struct kit kit;

	(void)unused;
	kit_start(&kit);
	first = start_job(&kit, false);
	second = start_job(&kit, false);
	third = start_job(&kit, false);
	fourth = start_job(&kit, false);
	deploy(&kit, first, "production");
	assert_int_equal(live_job(&kit, "production"), 0); /* acting is not live */
	finish(&kit, first, DEPLOYMENT_LIVE, 0);
	deploy(&kit, second, "production");
	finish(&kit, second, DEPLOYMENT_FAILED, 0);
	assert_int_equal(live_job(&kit, "production"), first);
	deploy(&kit, third, "production");
	finish(&kit, third, DEPLOYMENT_LIVE, 0);
	assert_int_equal(live_job(&kit, "production"), third);
	assert_ok(&kit,
		  deployment_before(kit.db, REPO, "production", INT64_MAX, &before, &kit.err));
	assert_int_equal(jval_int(before, "job", 0), first);
	assert_string_equal(jval_str(jval_at(before, "template"), "kind", ""), "InferenceService");

	deploy(&kit, fourth, "production"); /* a rollback to the first one */
	finish(&kit, fourth, DEPLOYMENT_ROLLED_BACK, jval_int(before, "id", 0));
	assert_int_equal(live_job(&kit, "production"), first);
	assert_ok(&kit, deployment_list_live(kit.db, REPO, &all, &kit.err));
	assert_int_equal(json_array_size(all), 1);
	kit_end(&kit);
}

/* "1:live 2:replaced ...": the states of the deployments in the order in which they were begun. */
static void states_are(struct kit *kit, const char *want)
{
	char got[600];

	kit_text(kit, got, sizeof got,
		 "SELECT group_concat(id || ':' || state, ' ') FROM (SELECT id, state FROM "
		 "deployments ORDER BY id)");
	assert_string_equal(got, want);
}

static void go(struct kit *kit, int64_t job, enum deployment_state state, int64_t returned_to)
{
	deploy(kit, job, "production");
	finish(kit, job, state, returned_to);
}

static void test_back_further_back_and_on_again(void **unused)
{
	AUTO_JSON json_t *before = NULL;
	int64_t jobs[12], marked = 0;
	struct kit kit;

	(void)unused;
	kit_start(&kit);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		jobs[i] = start_job(&kit, false);
	for (size_t i = 0; i < 3; i++)
		go(&kit, jobs[i], DEPLOYMENT_LIVE, 0);
	states_are(&kit, "1:4 2:4 3:2");
	go(&kit, jobs[3], DEPLOYMENT_ROLLED_BACK, 2); /* to the one before */
	states_are(&kit, "1:4 2:2 3:5 4:5");
	go(&kit, jobs[4], DEPLOYMENT_ROLLED_BACK, 3); /* on again */
	states_are(&kit, "1:4 2:4 3:2 4:5 5:5");
	go(&kit, jobs[5], DEPLOYMENT_ROLLED_BACK, 1); /* over one away */
	states_are(&kit, "1:2 2:5 3:5 4:5 5:5 6:5");
	go(&kit, jobs[6], DEPLOYMENT_LIVE, 0);
	states_are(&kit, "1:4 2:5 3:5 4:5 5:5 6:5 7:2");
	assert_ok(&kit, deployment_before(kit.db, REPO, "production", 7, &before, &kit.err));
	assert_int_equal(jval_int(before, "id", 0), 1);

	go(&kit, jobs[7], DEPLOYMENT_OPEN, 0);
	states_are(&kit, "1:4 2:5 3:5 4:5 5:5 6:5 7:2 8:6");
	go(&kit, jobs[8], DEPLOYMENT_ROLLED_BACK, 7); /* the open one is taken out */
	states_are(&kit, "1:4 2:5 3:5 4:5 5:5 6:5 7:2 8:5 9:5");
	go(&kit, jobs[9], DEPLOYMENT_OPEN, 0);
	finish(&kit, jobs[9], DEPLOYMENT_LIVE, 0); /* and this one is promoted */
	states_are(&kit, "1:4 2:5 3:5 4:5 5:5 6:5 7:4 8:5 9:5 10:2");
	go(&kit, jobs[10], DEPLOYMENT_OPEN, 0);
	go(&kit, jobs[11], DEPLOYMENT_LIVE, 0); /* the canary of the open one has gone by hand */
	states_are(&kit, "1:4 2:5 3:5 4:5 5:5 6:5 7:4 8:5 9:5 10:4 11:5 12:2");
	assert_ok(&kit, deployment_marked(kit.db, REPO, "production", "nobody", &marked, &kit.err));
	assert_int_equal(marked, 0);
	kit_end(&kit);
}

static void test_what_is_open_is_found_and_listed(void **unused)
{
	AUTO_JSON json_t *open = NULL, *live = NULL, *earlier = NULL, *one = NULL,
			 *noted = json_pack("{s:i,s:{s:s}}", "percent", 10, "before", "tested",
					    "r2");
	AUTO_JSON json_t *all = json_pack("{s:i}", "percent", 100);
	int64_t first, second, third, marked = 0;
	struct kit kit;

	(void)unused;
	kit_start(&kit);
	first = start_job(&kit, false);
	second = start_job(&kit, false);
	third = start_job(&kit, false);
	go(&kit, first, DEPLOYMENT_LIVE, 0);
	go(&kit, second, DEPLOYMENT_LIVE, 0);
	deploy(&kit, third, "production");
	KIT_BEGIN(&kit);
	assert_ok(&kit, deployment_note(kit.db, first, all, &kit.err));
	assert_ok(&kit, deployment_note(kit.db, third, noted, &kit.err));
	KIT_COMMIT(&kit);
	assert_int_equal(deployment_open(kit.db, REPO, "production", &open, &kit.err),
			 ERR_NOT_FOUND);
	finish(&kit, third, DEPLOYMENT_OPEN, 0);
	assert_ok(&kit, deployment_open(kit.db, REPO, "production", &open, &kit.err));
	assert_string_equal(jval_str(open, "state", ""), "open");
	assert_string_equal(jval_str(open, "before.tested", ""), "r2");
	assert_ok(&kit, deployment_marked(kit.db, REPO, "production", jval_str(open, "uid", ""),
					  &marked, &kit.err));
	assert_int_equal(marked, DEPLOYMENT_OPEN);
	assert_ok(&kit, deployment_list_live(kit.db, REPO, &live, &kit.err));
	assert_int_equal(json_array_size(live), 2);
	assert_ok(&kit, deployment_list_earlier(kit.db, REPO, &earlier, &kit.err));
	assert_int_equal(json_array_size(earlier), 1);
	assert_ok(&kit, deployment_get(kit.db, REPO, 1, &one, &kit.err));
	assert_int_equal(jval_int(one, "job", 0), first);
	kit_end(&kit);
}

/* The same model is deployed once more, of another commit, so nothing is changed in the cluster. */
static void test_another_commit_takes_a_deployment_over(void **unused)
{
	static const char commit[] = "6a32f935f935f935f935f935f935f935f935f935";
	AUTO_JSON json_t *live = NULL,
			 *facts = json_pack("{s:s,s:{s:s}}", "run_id", "r2", "plan", "link", "l2");
	struct kit kit;
	struct job job;
	int64_t first, audited, again;

	(void)unused;
	kit_start(&kit);
	first = start_job(&kit, false);
	go(&kit, first, DEPLOYMENT_LIVE, 0);
	assert_ok(&kit, queue_load(kit.db, start_job(&kit, false), &job, &kit.err));
	str_copy(job.head_sha, sizeof job.head_sha, commit);
	KIT_BEGIN(&kit);
	assert_ok(&kit, deployment_take_over(kit.db, &job, first, facts, T0, &kit.err));
	audited = kit_number(&kit, "SELECT count(*) FROM audit");
	assert_ok(&kit, deployment_take_over(kit.db, &job, first, facts, T0, &kit.err));
	again = kit_number(&kit, "SELECT count(*) FROM audit");
	KIT_COMMIT(&kit);
	assert_int_equal(audited, again);
	assert_ok(&kit, deployment_live(kit.db, REPO, "production", &live, &kit.err));
	assert_int_equal(jval_int(live, "job", 0), first);
	assert_string_equal(jval_str(live, "sha", ""), commit);
	assert_int_equal(jval_int(live, "pr", 0), job.pr);
	assert_string_equal(jval_str(live, "run_id", ""), "r2");
	assert_string_equal(jval_str(live, "plan.link", ""), "l2");
	assert_string_equal(jval_str(live, "storage_uri", ""), "s3://b/m/");
	job_dispose(&job);
	kit_end(&kit);
}

static void test_what_is_known_later_is_noted(void **unused)
{
	AUTO_JSON json_t *live = NULL, *later = json_pack("{s:i,s:s}", "percent", 100, "revision",
							  "iris-predictor-00002");
	struct kit kit;
	int64_t id;

	(void)unused;
	kit_start(&kit);
	id = start_job(&kit, false);
	deploy(&kit, id, "staging");
	KIT_BEGIN(&kit);
	assert_ok(&kit, deployment_note(kit.db, id, later, &kit.err));
	KIT_COMMIT(&kit);
	finish(&kit, id, DEPLOYMENT_LIVE, 0);
	assert_ok(&kit, deployment_live(kit.db, REPO, "staging", &live, &kit.err));
	assert_int_equal(jval_int(live, "percent", 0), 100);
	assert_string_equal(jval_str(live, "revision", ""), "iris-predictor-00002");
	assert_string_equal(jval_str(live, "state", ""), "live");
	kit_end(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_come_first_served),
		cmocka_unit_test(test_the_holder_is_named),
		cmocka_unit_test(test_the_fence_grows_with_each_holder),
		cmocka_unit_test(test_a_person_locks_and_unlocks),
		cmocka_unit_test(test_it_stays_with_a_pull_request),
		cmocka_unit_test(test_what_stays_is_unlocked),
		cmocka_unit_test(test_many_names_do_not_hide_production),
		cmocka_unit_test(test_a_lock_runs_out),
		cmocka_unit_test(test_a_start_wakes_the_line),
		cmocka_unit_test(test_nobody_is_forgotten_between_the_answer_and_the_wait),
		cmocka_unit_test(test_a_lock_is_not_in_the_way_of_its_person),
		cmocka_unit_test(test_why_it_is_begun_is_in_the_audit),
		cmocka_unit_test(test_deployments_take_each_others_place),
		cmocka_unit_test(test_back_further_back_and_on_again),
		cmocka_unit_test(test_what_is_open_is_found_and_listed),
		cmocka_unit_test(test_another_commit_takes_a_deployment_over),
		cmocka_unit_test(test_what_is_known_later_is_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
