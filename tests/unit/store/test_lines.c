/* test_lines.c - random schedules before an environment, held against a model.
 *
 * Jobs of two people come, are told their place, park, are woken, act and end in every way; the two
 * lock the environment for each other, for a time or until they unlock it; the clock moves; the
 * process is killed, also between the answer and the wait. After each move: the holder, its fence
 * and the line are those of the model, whoever may act is not asleep, and at the end everybody had
 * their turn. KFOPS_SEED=N plays one schedule; else some that are fixed and one of the day. */
#include <time.h>

#include "lib/store/environments.h"
#include "tests/unit/store/store_kit.h"

enum {
	JOBS = 10,
	MOVES = 300,
	FIRST = 28, /* these find a line that is not woken when a lock changes */
	SCHEDULES = 12,
	STEP_MS = 400,
	FAR_MS = 20 * HOUR_MS, /* before the deadline, after the end of every schedule */
};

static const char place_name[] = "production";

struct member {
	int64_t id, actor_id;
	json_t *told; /* has been answered and has not parked yet */
};

struct model {
	struct kit kit;
	unsigned seed;
	int64_t now_ms;
	struct member line[JOBS]; /* in the order of coming; the holder stands in it */
	size_t count, coming;	  /* coming: received, and not yet asked */
	int64_t holder, fence, comment;
	int64_t person, until_ms; /* a lock; until 0: without an end */
};

static unsigned dice(struct model *model, unsigned sides)
{
	return (unsigned)rand_r(&model->seed) % sides;
}

/* --- what the model says --- */

static bool is_locked_for(const struct model *model, int64_t actor_id)
{
	return model->person && model->person != actor_id &&
	       (!model->until_ms || model->until_ms > model->now_ms);
}

/* The one who may act now: the first whom no lock keeps out. NULL: nobody. */
static struct member *next_of(struct model *model)
{
	for (size_t i = 0; i < model->count && !model->holder; i++)
		if (!is_locked_for(model, model->line[i].actor_id))
			return &model->line[i];
	return NULL;
}

static struct member *member_of(struct model *model, int64_t id)
{
	for (size_t i = 0; i < model->count; i++)
		if (model->line[i].id == id)
			return &model->line[i];
	return NULL;
}

static void remove_member(struct model *model, struct member *member)
{
	size_t at = (size_t)(member - model->line);

	json_decref(member->told);
	if (model->holder == member->id)
		model->holder = 0;
	memmove(member, member + 1, (model->count - at - 1) * sizeof *member);
	model->count--;
}

/* --- what the store says --- */

static enum job_state state_of(struct model *model, int64_t id)
{
	enum job_state state;
	struct job job;

	assert_ok(&model->kit, queue_load(model->kit.db, id, &job, &model->kit.err));
	state = job.state;
	job_dispose(&job);
	return state;
}

static void check(struct model *model)
{
	AUTO_JSON json_t *list = NULL;
	const json_t *row, *waiting;
	const struct member *next = next_of(model);
	size_t at = 0;

	assert_ok(&model->kit,
		  environment_list(model->kit.db, REPO, model->now_ms, &list, &model->kit.err));
	assert_true(json_array_size(list) <= 1);
	row = json_array_get(list, 0);
	waiting = jval_at(row, "waiting");
	assert_int_equal(jval_int(row, "job", 0), model->holder);
	assert_int_equal(json_array_size(waiting), model->count - (model->holder ? 1 : 0));
	for (size_t i = 0; i < model->count; i++)
		if (model->line[i].id != model->holder)
			assert_int_equal(json_integer_value(json_array_get(waiting, at++)),
					 model->line[i].id);
	if (next && !next->told) /* nobody else would wake it */
		assert_int_not_equal(state_of(model, next->id), JOB_PARKED);
}

/* --- moves --- */

static void come(struct model *model)
{
	struct kit_event event = {.pr = model->comment + 1,
				  .comment_id = model->comment + 1,
				  .commands = "build",
				  .at_ms = model->now_ms,
				  .is_other = dice(model, 2)};

	if (model->count + model->coming == JOBS)
		return;
	model->comment++;
	model->coming++;
	kit_receive(&model->kit, &event);
}

/* A worker claims a job and asks for its turn. */
static void ask(struct model *model, struct job *job)
{
	struct member *member = member_of(model, job->id);
	json_t *told = NULL;
	bool may;

	if (!member) {
		model->coming--;
		member = &model->line[model->count++];
		*member = (struct member){.id = job->id, .actor_id = job->actor_id};
	}
	may = model->holder == job->id || next_of(model) == member;
	KIT_BEGIN(&model->kit);
	assert_ok(&model->kit, environment_take(model->kit.db, job, place_name, model->now_ms,
						&told, &model->kit.err));
	KIT_COMMIT(&model->kit);
	assert_int_equal(jval_bool(told, "held", false), may);
	if (may && model->holder != job->id) {
		model->holder = job->id;
		model->fence++;
	}
	if (may)
		assert_int_equal(jval_int(told, "fence", 0), model->fence);
	json_decref(member->told);
	member->told = may ? NULL : json_incref(told);
	json_decref(told);
}

static bool work(struct model *model)
{
	struct job job;

	if (!kit_claim(&model->kit, &job, model->now_ms))
		return false;
	ask(model, &job);
	job_dispose(&job);
	return true;
}

/* As rollout_turn does: until the lock ends, else until the deadline. */
static void park(struct model *model, struct member *member)
{
	AUTO_JSON json_t *args = json_pack("{s:s}", "environment", place_name);
	const struct effect effect = {.kind = EFFECT_TURN_TAKE, .args = args};
	struct effect_result got = {.data = member->told};
	struct job job;
	struct queue_result result = {.job = &job,
				      .effect = &effect,
				      .result = &got,
				      .step = "turn",
				      .now_ms = model->now_ms};
	int64_t until = jval_int(member->told, "until_ms", 0);
	char ref[96];

	environment_ref(ref, REPO, place_name);
	assert_ok(&model->kit, queue_load(model->kit.db, member->id, &job, &model->kit.err));
	job.state = JOB_PARKED;
	job.wait_kind = WAIT_TURN;
	mem_free(job.wait_ref);
	job.wait_ref = str_dup(ref);
	job.due_at_ms = until ? until : T0 + FAR_MS;
	KIT_BEGIN(&model->kit);
	assert_ok(&model->kit, queue_step_result(model->kit.db, &result, &model->kit.err));
	KIT_COMMIT(&model->kit);
	job_dispose(&job);
	json_decref(take(member->told));
}

static void park_one(struct model *model)
{
	for (size_t i = 0; i < model->count; i++)
		if (model->line[i].told) {
			park(model, &model->line[i]);
			return;
		}
}

/* Ends in one of the ways in which jobs end; one that is not at work is stopped by a person. */
static void end(struct model *model, struct member *member)
{
	static const enum job_state ends[] = {JOB_DONE, JOB_FAILED, JOB_CANCELLED, JOB_DEAD,
					      JOB_EXPIRED};
	AUTO_JSON json_t *rows = NULL;
	struct job job, bob;

	assert_ok(&model->kit, queue_load(model->kit.db, member->id, &job, &model->kit.err));
	if (job.state != JOB_RUNNING) {
		KIT_BEGIN(&model->kit);
		bob = kit_bob(job.pr);
		assert_ok(&model->kit, kit_cancel_raw(&model->kit, &bob, job.id, T0, &rows));
		KIT_COMMIT(&model->kit);
		job_dispose(&job);
		do { /* others may be due, too */
			assert_true(kit_claim(&model->kit, &job, model->now_ms));
			if (job.id != member->id) {
				ask(model, &job);
				job_dispose(&job);
			}
		} while (job.id != member->id);
	}
	kit_move(&model->kit, &job, ends[dice(model, ARRAY_LEN(ends))], model->now_ms);
	remove_member(model, member);
}

static void lock(struct model *model)
{
	char name[] = "kim";
	struct job by = {.repo_id = REPO, .pr = 3, .actor_id = dice(model, 2) ? 6 : 5};
	int64_t until = dice(model, 2) ? model->now_ms + 1 + dice(model, 3 * STEP_MS) : 0;
	bool refused = is_locked_for(model, by.actor_id);
	enum err_class class;

	by.actor = name;
	KIT_BEGIN(&model->kit);
	class = environment_lock(model->kit.db, &by, place_name, NULL, until, model->now_ms,
				 &model->kit.err);
	KIT_COMMIT(&model->kit);
	assert_int_equal(class, refused ? ERR_CONFLICT : ERR_OK);
	if (refused)
		return;
	model->person = by.actor_id;
	model->until_ms = until;
}

static void unlock(struct model *model, bool any)
{
	struct job by = {.repo_id = REPO, .pr = 3, .actor_id = dice(model, 2) ? 6 : 5};
	bool there = is_locked_for(model, 0), may = any || by.actor_id == model->person;
	AUTO_JSON json_t *was = NULL;
	enum err_class class;

	KIT_BEGIN(&model->kit);
	class = environment_unlock(model->kit.db, &by, place_name, any, model->now_ms, &was,
				   &model->kit.err);
	KIT_COMMIT(&model->kit);
	assert_int_equal(class, !there ? ERR_NOT_FOUND : may ? ERR_OK : ERR_DENIED);
	if (class == ERR_OK)
		model->person = model->until_ms = 0;
}

static void pass_time(struct model *model)
{
	int64_t woken;

	model->now_ms += 1 + dice(model, STEP_MS);
	KIT_BEGIN(&model->kit);
	assert_ok(&model->kit,
		  queue_wake_due(model->kit.db, model->now_ms, 500, &woken, &model->kit.err));
	KIT_COMMIT(&model->kit);
}

/* What was answered and not stored is gone with the process. How often is not what is played. */
static void kill_process(struct model *model)
{
	kit_crash(&model->kit);
	kit_open(&model->kit);
	assert_int_equal(
		sqlite3_exec(model->kit.db->sql, "UPDATE jobs SET crashes = 0", NULL, NULL, NULL),
		SQLITE_OK);
	for (size_t i = 0; i < model->count; i++)
		json_decref(take(model->line[i].told));
}

static void move(struct model *model)
{
	unsigned what = dice(model, 24);
	struct member *any =
		model->count ? &model->line[dice(model, (unsigned)model->count)] : NULL;

	if (what < 6)
		(void)work(model);
	else if (what < 10)
		park_one(model);
	else if (what < 14)
		come(model);
	else if (what < 16 && model->holder)
		end(model, member_of(model, model->holder));
	else if (what < 17 && any)
		end(model, any);
	else if (what < 18)
		lock(model);
	else if (what < 20)
		unlock(model, what == 19);
	else if (what < 23)
		pass_time(model);
	else
		kill_process(model);
}

/* Nobody comes and nobody locks any more: everybody who stands there gets their turn, in order. */
static void drain(struct model *model)
{
	unlock(model, true);
	for (int round = 0; model->count + model->coming; round++) {
		size_t before = model->count + model->coming;
		bool is_held = model->holder != 0; /* by somebody whom a lock let pass, perhaps */

		assert_true(round < JOBS + 1);
		while (work(model))
			;
		while (model->count && !model->holder) { /* those that had been told otherwise */
			park_one(model);
			assert_true(work(model));
		}
		for (size_t i = 0; i < model->count; i++)
			if (model->line[i].told)
				park(model, &model->line[i]);
		check(model);
		if (!is_held)
			assert_int_equal(model->holder, model->line[0].id);
		end(model, member_of(model, model->holder));
		check(model);
		assert_int_equal(model->count + model->coming, before - 1);
	}
}

static void play(unsigned seed)
{
	struct model model = {.seed = seed, .now_ms = T0, .comment = 100};

	print_message("schedule KFOPS_SEED=%u\n", seed);
	kit_start(&model.kit);
	for (int i = 0; i < MOVES; i++) {
		move(&model);
		check(&model);
	}
	drain(&model);
	assert_true(kit_is_sound(&model.kit));
	kit_end(&model.kit);
}

static void test_random_schedules(void **state)
{
	const char *wanted = getenv("KFOPS_SEED");
	int64_t seed;

	(void)state;
	if (wanted && str_to_int64(&seed, wanted)) {
		play((unsigned)seed);
		return;
	}
	for (unsigned fixed = FIRST; fixed < FIRST + SCHEDULES; fixed++)
		play(fixed);
	play((unsigned)(time(NULL) / 86400));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_schedules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
