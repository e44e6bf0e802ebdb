/* worker.c - see worker.h.
 *
 * The loop of a job: its step decides (pure), the update is carried out, the outcome is committed
 * with the comment rows it causes in one transaction, and the next step follows under the same
 * lease. Before an effect that changes something its intent is committed; an open intent found at
 * claim means that it may have happened, and the effect is run "in doubt". Errors that waiting may
 * cure never reach a step: they become a back-off here, shown on the pull request as trouble, until
 * patience or deadline ends. */
#include "bot/worker.h"

#include <inttypes.h>
#include <string.h>

#include "bot/effects.h"
#include "bot/wishes.h"
#include "lib/base/blame.h"
#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/core/backoff.h"
#include "lib/store/queue_wake.h"

enum {
	CRASHES_MAX = 3,
	OPTIONAL_TRIES = 3,	/* of an effect that the job can do without */
	SHORT_PAUSE_MS = 60000, /* is waited for even past the deadline */
	BACKOFF_BASE_MS = 1000,
	BACKOFF_CAP_MS = 300000,
	STEPS_MAX = 1000,
	NAP_MS = 5000,
	HELD_BACK_MS = 50,
	STORE_NAP_MS =
		500, /* between tries to store something while the disk or the queue is full */
	GIVEN_BACK_MS = 30000, /* until a job is claimed again whose result could not be stored */
};

struct workers {
	struct world *world;
	pthread_mutex_t claiming; /* held by the one that looks for work */
	uint64_t seen;		  /* commits, when it looked last */
	int count;
	struct worker {
		struct workers *workers;
		struct hands hands;
		pthread_t thread;
	} * each;
};

struct task {
	struct hands *hands;
	struct job job;
	const struct command *command;
	const struct step *step; /* the present one; NULL before the job is begun */
	struct effect effect;	 /* asked for; kind NONE: none */
	bool in_doubt;
	struct effect_result result;
	bool has_result;
	bool was_in_doubt; /* the effect of the result was run in doubt */
	bool over;	   /* nothing more to do under this lease */
	bool leased;	   /* as far as the store knows */
	char *authorized;  /* for the audit, with the next commit */
	bool refused, is_member;
	struct pipeline *pipeline;
	bool pipeline_known;
};

static void task_dispose(struct task *task)
{
	job_dispose(&task->job);
	json_decref(task->effect.args);
	json_decref(task->result.data);
	mem_free(task->authorized);
	if (task->pipeline)
		pipeline_free(task->pipeline);
}

/* --- operations for the writer; a crash in one is the job's, whose thread waits for it --- */

struct claim_op {
	struct job *job;
	int64_t now_ms, in_hand_max, next_due_ms;
};

static enum err_class run_claim(struct db *db, void *arg, struct err *err)
{
	struct claim_op *op = arg;

	return queue_claim(db, op->now_ms, op->in_hand_max, op->job, &op->next_due_ms, err);
}

struct intent_op {
	const struct job *job;
	const struct effect *effect;
	int64_t now_ms;
};

static enum err_class run_intent(struct db *db, void *arg, struct err *err)
{
	struct intent_op *op = arg;
	enum err_class class;

	blame_job(op->job->id);
	class = queue_step_intent(db, op->job, op->effect, op->now_ms, err);
	blame_job(0);
	return class;
}

static enum err_class run_result(struct db *db, void *arg, struct err *err)
{
	const struct queue_result *op = arg;
	enum err_class class;

	blame_job(op->job->id);
	class = queue_step_result(db, op, err);
	blame_job(0);
	return class;
}

struct give_back_op {
	int64_t job_id, due_ms;
};

static enum err_class run_give_back(struct db *db, void *arg, struct err *err)
{
	struct give_back_op *op = arg;

	return queue_give_back(db, op->job_id, op->due_ms, err);
}

/* While the disk or the writer's queue is full the thread waits: nothing else could be recorded
 * either, and what an effect has brought is kept. Only the end of the daemon cuts it short. */
static enum err_class store(struct world *world,
			    enum err_class (*run)(struct db *db, void *arg, struct err *err),
			    void *arg, struct err *err)
{
	enum err_class class = writer_call(world->writer, run, arg, err);

	if (class == ERR_TRANSIENT)
		log_error("store_waits", LOG_S("message", err->msg));
	while (class == ERR_TRANSIENT && !atomic_load(&world->stopping)) {
		world_nap(world, STORE_NAP_MS);
		class = writer_call(world->writer, run, arg, err);
	}
	return class;
}

/* --- committing --- */

static const struct pipeline *pipeline_of(struct task *task)
{
	if (!task->pipeline_known && jval_str(task->job.data, "compile.name", NULL)) {
		task->pipeline = effects_pipeline(task->hands->world, &task->job);
		task->pipeline_known = true;
	}
	return task->pipeline;
}

/* Strangers may ask as often as they like, and the calls that make comments are few. When the store
 * cannot say, it is said once more. */
static bool was_told_before(const struct task *task, int64_t now_ms)
{
	const struct world *world = task->hands->world;
	const struct job *job = &task->job;
	struct err err = {0};
	bool told = false;

	if (!job_state_is_final(job->state) || !world->denial_pause_ms || !job->code ||
	    !str_eq(job->code, "denied.permission"))
		return false;
	if (queue_was_denied(task->hands->reader, job, now_ms - world->denial_pause_ms, &told,
			     &err))
		return false;
	return told;
}

/* Stores the job as it is now, what the effect brought, and what GitHub is to show. When that
 * fails, the job goes no further under this lease. */
static enum err_class commit(struct task *task, int64_t now_ms, bool *cancelled, struct err *err)
{
	struct wishes wishes;
	struct queue_result op = {.job = &task->job,
				  .now_ms = now_ms,
				  .cancelled = cancelled,
				  .authorized = task->authorized,
				  .is_member = task->is_member,
				  .refused = task->refused};
	struct wishes_view about = {
		.world = task->hands->world, .pipeline = pipeline_of(task), .now_ms = now_ms};
	enum err_class class;

	about.told_before = was_told_before(task, now_ms);
	if (task->has_result) {
		op.effect = &task->effect;
		op.step = task->step->name;
		op.result = &task->result;
	}
	if (task->job.is_quiet)
		wishes = (struct wishes){0};
	else
		wishes_make(&wishes, &about, &task->job);
	op.wishes = wishes.items;
	op.wish_count = wishes.count;
	class = store(task->hands->world, run_result, &op, err);
	wishes_dispose(&wishes);
	if (class) {
		log_error("commit_failed", LOG_I("job", task->job.id), LOG_S("message", err->msg));
		task->over = true;
	} else {
		task->leased = task->job.state == JOB_RUNNING;
		mem_free(take(task->authorized));
	}
	return class;
}

static void log_state(const struct task *task)
{
	const struct job *job = &task->job;

	log_info("job_state", LOG_I("job", job->id), LOG_S("step", job->step),
		 LOG_S("repo", job->repo), LOG_I("pr", job->pr),
		 LOG_S("state", job_state_name(job->state)), LOG_S("command", job->command),
		 LOG_S("code", job->code ? job->code : ""));
}

/* A row that still runs when its job ends has ended with it. */
static void close_parts(struct job *job, int64_t now_ms)
{
	json_t *parts = json_object_get(job->data, "parts"), *part;
	bool failed = job->state == JOB_FAILED || job->state == JOB_DEAD;
	size_t i;

	json_array_foreach(parts, i, part)
	{
		if (!str_eq(jval_str(part, "state", ""), "running"))
			continue;
		jval_set_str(part, "state", failed ? "failed" : "cancelled");
		jval_set_str(part, "text", failed ? "failed" : "stopped");
		jval_set_int(part, "ended_at_ms", now_ms);
	}
}

static void end_job(struct task *task, enum job_state state, const char *code, const char *message,
		    int64_t now_ms)
{
	struct job *job = &task->job;
	struct err err = {0};

	job->state = state;
	mem_free(job->code);
	mem_free(job->message);
	job->code = str_dup(code);
	job->message = str_dup(message);
	job->finished_at_ms = now_ms;
	json_object_del(job->data, "trouble");
	close_parts(job, now_ms);
	task->over = true;
	if (commit(task, now_ms, NULL, &err))
		return;
	effects_clean(task->hands->world, job);
	metrics_add(METRIC_JOBS_ENDED, job_state_name(state), 1);
	log_state(task);
}

/* --- errors --- */

/* A run is under way, or may be: it is waited for. One that was not even asked for is none. */
static bool is_patient(const struct task *task)
{
	bool nothing_sent = task->effect.kind == EFFECT_RUN_CREATE && !task->was_in_doubt &&
			    !task->result.err.in_doubt;

	return task->step->handles_cancel && !nothing_sent;
}

/* What the operator has to put right at GitHub or Kubeflow: a key or token that is refused, an
 * address, a certificate. No person on the pull request can do anything about it, and the command
 * is as good as before once it is mended. That no cluster serves the repository takes another file
 * of the operator's and a restart, a server that is too old takes a migration, and what compiles is
 * on this machine: these are told at once. */
static bool is_operators(const struct task *task)
{
	return task->result.err.class == ERR_CONFIG && task->effect.kind != EFFECT_COMPILE &&
	       !str_eq(task->result.err.code, "config.no_cluster") &&
	       !str_eq(task->result.err.code, "kfp.too_old");
}

/* Errors that waiting may cure. */
static bool is_waited_out(const struct task *task)
{
	return err_is_retried(task->result.err.class) || is_operators(task);
}

/* The far side says until when. One that only asks to send less is as one that does not answer:
 * nobody knows when that ends, so it is shown, and waited for as long as others. */
static bool has_a_time(const struct err *err)
{
	return err->class == ERR_THROTTLED && err->retry_at_ms;
}

/* GitHub wants its writes apart: that is no refusal, and no reason to leave a word unsaid. */
static bool is_short_pause(const struct err *err, int64_t now_ms)
{
	return has_a_time(err) && err->retry_at_ms - now_ms <= SHORT_PAUSE_MS;
}

/* What is not needed is not waited for: its step hears of the error. */
static bool is_done_without(const struct task *task, int64_t now_ms)
{
	if (!task->step->is_optional)
		return false;
	return task->job.tries >= OPTIONAL_TRIES ||
	       (now_ms >= task->job.deadline_at_ms && !is_short_pause(&task->result.err, now_ms));
}

/* Since when waiting for an answer has lasted too long. A step that must finish waits on, and one
 * that is optional has its own end. */
static bool is_too_long(const struct task *task, int64_t since_ms, int64_t now_ms)
{
	bool is_short = task->step->is_only_asking || (!is_patient(task) && !is_operators(task));

	if (task->step->must_finish || task->step->is_optional)
		return false;
	return now_ms >= task->job.deadline_at_ms ||
	       (is_short && now_ms - since_ms > task->hands->world->patience_ms);
}

static void note_trouble(struct task *task, int64_t now_ms)
{
	json_t *trouble = json_object_get(task->job.data, "trouble");

	if (!trouble) {
		trouble = json_object();
		jval_set_int(trouble, "since_ms", now_ms);
		jval_set(task->job.data, "trouble", trouble);
	}
	jval_set_str(trouble, "message", task->result.err.msg);
}

static int64_t retry_at(const struct task *task, int64_t now_ms)
{
	const struct err *err = &task->result.err;
	uint64_t random;

	sign_random(&random, sizeof random);
	if (err->class == ERR_THROTTLED && err->retry_at_ms > now_ms)
		return err->retry_at_ms +
		       (int64_t)(random % (uint64_t)((err->retry_at_ms - now_ms) / 10 + 1));
	return now_ms + backoff_ms((int)task->job.tries, BACKOFF_BASE_MS, BACKOFF_CAP_MS, random);
}

/* Waits and tries again, or gives up when it has gone on for too long. True when that settled it;
 * else the step is to hear of the error. */
static bool settle_retry(struct task *task, int64_t now_ms)
{
	struct job *job = &task->job;
	const struct err *seen = &task->result.err;
	struct err err = {0};
	int64_t since;

	if (!is_waited_out(task) || is_done_without(task, now_ms))
		return false;
	if (!has_a_time(seen))
		note_trouble(task, now_ms);
	since = jval_int(job->data, "trouble.since_ms", now_ms);
	if (is_too_long(task, since, now_ms)) {
		if (task->step->is_only_asking ||
		    (task->step->hears_the_end && now_ms >= job->deadline_at_ms))
			return false;
		end_job(task, JOB_FAILED, seen->code[0] ? seen->code : "gave_up", seen->msg,
			now_ms);
		return true;
	}
	log_info("step_retry", LOG_I("job", job->id), LOG_S("step", task->step->name),
		 LOG_S("class", err_class_name(seen->class)), LOG_I("tries", job->tries),
		 LOG_S("message", seen->msg));
	job->due_at_ms = retry_at(task, now_ms);
	job->tries += !has_a_time(seen) || now_ms >= job->deadline_at_ms;
	job->state = JOB_BACKOFF;
	/* an intent whose outcome is unknown stays open, so the next try looks before it acts; that
	 * the look failed as well has made nothing clearer */
	if ((seen->in_doubt || task->was_in_doubt) && effect_mutates(task->effect.kind))
		task->has_result = false;
	task->over = true;
	(void)!commit(task, now_ms, NULL, &err);
	return true;
}

/* --- effects --- */

static void run_effect(struct task *task)
{
	struct world *world = task->hands->world;
	struct job *job = &task->job;
	struct intent_op op = {.job = job, .effect = &task->effect};

	json_decref(task->result.data);
	task->result = (struct effect_result){0};
	if (!task->effect.args)
		task->effect.args = json_object();
	if (!task->in_doubt && effect_mutates(task->effect.kind)) {
		effects_prepare(&task->effect);
		op.now_ms = clock_now_ms();
		if (store(world, run_intent, &op, &task->result.err)) {
			log_error("intent_failed", LOG_I("job", job->id),
				  LOG_S("message", task->result.err.msg));
			task->over = true; /* nothing happened */
			return;
		}
	}
	if (effect_mutates(task->effect.kind) && world_may_act(world, &task->result.err)) {
		task->over = true; /* nothing happened */
		return;
	}
	CRASH_POINT("worker.before_effect");
	effects_run(task->hands, job, &task->effect, task->in_doubt, &task->result);
	CRASH_POINT("worker.after_effect");
	metrics_observe_ms(METRIC_STEP_SECONDS, task->step->name, task->result.took_ms);
	task->has_result = true;
	task->was_in_doubt = task->in_doubt;
	task->in_doubt = false;
}

/* --- updates --- */

static void merge(struct job *job, struct update *update)
{
	if (update->data)
		json_object_update(job->data, update->data);
	if (update->head_sha[0])
		str_copy(job->head_sha, sizeof job->head_sha, update->head_sha);
}

static void start_effect(struct task *task, struct update *update)
{
	struct err err = {0};

	/* a step may ask for a second effect: the first one's result is committed before */
	if (task->has_result) {
		if (commit(task, clock_now_ms(), NULL, &err))
			return;
		task->has_result = false;
	}
	json_decref(task->effect.args);
	task->effect = update->effect;
	update->effect.args = NULL;
	run_effect(task);
}

static void go_on(struct task *task, const struct update *update, int64_t now_ms)
{
	struct job *job = &task->job;
	struct err err = {0};
	bool cancelled = false;

	str_copy(job->step, sizeof job->step, update->step);
	job->tries = 0;
	json_object_del(job->data, "trouble");
	job->state = atomic_load(&task->hands->world->stopping) ? JOB_READY : JOB_RUNNING;
	job->due_at_ms = now_ms;
	task->over = job->state == JOB_READY;
	if (commit(task, now_ms, &cancelled, &err))
		return;
	task->has_result = false;
	task->step = job_step(task->command->steps, job->step);
	must(task->step);
	if (!cancelled || task->over)
		return;
	/* who asked stands in the row: it is claimed again, with that */
	job->state = JOB_READY;
	task->over = true;
	(void)!commit(task, now_ms, NULL, &err);
}

static void park(struct task *task, struct update *update, int64_t now_ms)
{
	struct job *job = &task->job;
	struct err err = {0};
	size_t cluster;

	job->state = JOB_PARKED;
	job->tries = 0;
	json_object_del(job->data, "trouble");
	job->wait_kind = update->wait_kind;
	mem_free(job->wait_ref);
	job->wait_ref = take(update->wait_ref);
	job->due_at_ms = update->due_at_ms;
	task->over = true;
	if (job->wait_kind == WAIT_RUN &&
	    !world_cluster_of(task->hands->world, job->repo, &cluster, &err))
		world_note_namespace(task->hands->world, cluster,
				     jval_str(job->data, "settings.namespace", ""), now_ms);
	(void)!commit(task, now_ms, NULL, &err);
}

static void apply(struct task *task, struct update *update)
{
	int64_t now_ms = clock_now_ms();

	merge(&task->job, update);
	mem_free(task->authorized);
	task->authorized = take(update->authorized);
	task->refused = update->refused;
	task->is_member = update->is_member;
	if (update->is_member)
		task->job.is_stranger = task->job.is_quiet = false;
	switch (update->kind) {
	case UPDATE_EFFECT:
		start_effect(task, update);
		break;
	case UPDATE_NEXT:
		go_on(task, update, now_ms);
		break;
	case UPDATE_WAIT:
		park(task, update, now_ms);
		break;
	case UPDATE_END:
		end_job(task, update->state, update->code, update->message, now_ms);
		break;
	}
}

/* Asks the present step what to do, with the result of its effect if one has run. */
static void ask_step(struct task *task)
{
	const struct step *step = task->step;
	int64_t now_ms = clock_now_ms();
	struct update update = {0};

	if (!task->has_result && task->job.cancel && !step->handles_cancel) {
		AUTO_FREE char *code = str_dup(job_stop_code(&task->job)),
			       *message = job_stop_words(&task->job, "cancelled");

		end_job(task, JOB_CANCELLED, code, message, now_ms);
		return;
	}
	if (!task->has_result && now_ms >= task->job.deadline_at_ms && !step->handles_cancel) {
		end_job(task, JOB_EXPIRED, "job.deadline", "its deadline passed before it was done",
			now_ms);
		return;
	}
	if (task->has_result && settle_retry(task, now_ms))
		return;
	if (task->has_result && task->result.err.class && !step->handles_errors) {
		const struct err *err = &task->result.err;

		task->refused = err->class == ERR_DENIED;
		end_job(task, JOB_FAILED, err->code[0] ? err->code : err_class_name(err->class),
			err->msg, now_ms);
		return;
	}
	step->decide(&task->job, task->has_result ? &task->result : NULL, now_ms, &update);
	apply(task, &update);
	update_dispose(&update);
}

/* An end that the store asked for, and the end of a job that keeps killing the process. */
static bool settle_wanted_end(struct task *task)
{
	struct job *job = &task->job;
	int64_t now_ms = clock_now_ms();

	if (job->end_state) {
		AUTO_FREE char *code = take(job->end_code), *message = take(job->end_message);

		end_job(task, job->end_state, code, message, now_ms);
		return true;
	}
	if (job->crashes >= CRASHES_MAX) {
		log_error("job_dead", LOG_I("job", job->id), LOG_I("crashes", job->crashes));
		end_job(task, JOB_DEAD, "job.poison",
			"this command crashed the bot three times in a row, so it is not tried "
			"again; the "
			"operator's log says more",
			now_ms);
		return true;
	}
	return false;
}

/* An intent without a result: the effect may have happened before a crash or an unclear answer. */
static void resume_intent(struct task *task)
{
	struct err err = {0};
	enum err_class class =
		queue_step_open(task->hands->reader, &task->job, &task->effect, &err);

	if (class == ERR_NOT_FOUND)
		return;
	if (class) { /* not knowing is no reason to act as if there were none */
		log_error("step_unread", LOG_I("job", task->job.id), LOG_S("message", err.msg));
		task->over = true;
		return;
	}
	log_info("step_in_doubt", LOG_I("job", task->job.id),
		 LOG_S("effect", effect_name(task->effect.kind)));
	task->in_doubt = true;
	run_effect(task);
}

/* The lease of a job that could not be stored must not stay with nobody until the next start. */
static void give_back(struct task *task)
{
	struct give_back_op op = {.job_id = task->job.id, .due_ms = clock_now_ms() + GIVEN_BACK_MS};
	struct err err = {0};

	if (store(task->hands->world, run_give_back, &op, &err))
		log_error("give_back_failed", LOG_I("job", task->job.id),
			  LOG_S("message", err.msg));
}

/* Finds what the row names. Another version of the bot may have written it: a command or a step
 * that this one does not have cannot be gone on with, and to guess would be to do something else.
 */
static bool find_step(struct task *task)
{
	struct job *job = &task->job;

	task->command = command_by_name(&commands, job->command);
	task->step = task->command ? job_step(task->command->steps, job->step) : NULL;
	if (task->step) {
		str_copy(job->step, sizeof job->step, task->step->name);
		return true;
	}
	log_error("unknown_step", LOG_I("job", job->id), LOG_S("command", job->command),
		  LOG_S("step", job->step));
	end_job(task, JOB_FAILED, "job.unknown_step",
		"the bot was replaced by another version while this command was under way, and "
		"that "
		"version does not know the step it had reached, so it stops here. `/retry` does "
		"the "
		"command again from its beginning",
		clock_now_ms());
	return false;
}

static void work(struct task *task)
{
	task->job.rules = &task->hands->world->rules;
	if (!task->job.started_at_ms)
		task->job.started_at_ms = clock_now_ms();
	if (settle_wanted_end(task) || !find_step(task))
		return;
	resume_intent(task);
	for (int i = 0; i < STEPS_MAX && !task->over; i++)
		ask_step(task);
}

/* Claims the job whose turn it is. False when there is none; *due_ms says when to look again,
 * unless a commit comes before. The writer is asked only when there is something, because an
 * operation that fails makes it go through its batch once more. */
static bool claim(struct task *task, int64_t *due_ms)
{
	struct hands *hands = task->hands;
	struct claim_op op = {.job = &task->job,
			      .now_ms = clock_now_ms(),
			      .in_hand_max = hands->world->in_hand_max};
	struct err err = {0};
	enum err_class class;

	*due_ms = INT64_MAX;
	if (queue_claim_due(hands->reader, op.now_ms, op.in_hand_max, due_ms, &err) ||
	    *due_ms > op.now_ms)
		return false;
	*due_ms = op.now_ms + HELD_BACK_MS; /* one that has to wait for another's end */
	class = writer_call(hands->world->writer, run_claim, &op, &err);
	if (class && class != ERR_NOT_FOUND)
		world_nap(hands->world, STORE_NAP_MS);
	task->leased = class == ERR_OK;
	return task->leased;
}

/* Works on the claimed job until it waits or ends. */
static void work_off(struct task *task)
{
	blame_job(task->job.id);
	work(task);
	blame_job(0);
	if (task->leased && !atomic_load(&task->hands->world->stopping))
		give_back(task);
}

int64_t worker_drain(struct hands *hands)
{
	int64_t count = 0;
	bool found = true;

	while (found) {
		struct task task = {.hands = hands};
		int64_t due_ms;

		found = claim(&task, &due_ms);
		if (found)
			work_off(&task);
		task_dispose(&task);
		count += found;
	}
	return count;
}

/* Waits until there is a job and claims it; false when the daemon stops. One worker at a time is in
 * here: a commit wakes that one, not all of them, and the next takes its place when it has a job.
 */
static bool wait_for_job(struct workers *workers, struct task *task)
{
	struct world *world = workers->world;
	bool found = false;

	pthread_mutex_lock(&workers->claiming);
	while (!found && !atomic_load(&world->stopping)) {
		int64_t until = clock_now_ms() + NAP_MS, due_ms;

		found = claim(task, &due_ms);
		if (!found)
			workers->seen =
				world_wait(world, workers->seen, due_ms < until ? due_ms : until);
	}
	pthread_mutex_unlock(&workers->claiming);
	return found;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	bool found = true;

	blame_thread_begin();
	while (found) {
		struct task task = {.hands = &worker->hands};

		found = wait_for_job(worker->workers, &task);
		if (found)
			work_off(&task);
		task_dispose(&task);
	}
	blame_thread_end();
	return NULL;
}

enum err_class workers_start(struct workers **out, struct world *world, int count, struct err *err)
{
	struct workers *workers = mem_new(1, sizeof *workers);

	workers->world = world;
	workers->each = mem_new((size_t)count, sizeof *workers->each);
	pthread_mutex_init(&workers->claiming, NULL);
	*out = workers;
	for (int i = 0; i < count; i++) {
		workers->each[i].workers = workers;
		if (hands_open(&workers->each[i].hands, world, err))
			return err->class;
		if (pthread_create(&workers->each[i].thread, NULL, worker_main, &workers->each[i]))
			return err_code(err, ERR_CONFIG, "start.os",
					"cannot start a worker thread");
		workers->count++;
	}
	return ERR_OK;
}

void workers_stop(struct workers *take_workers, int64_t deadline_ms)
{
	for (int i = 0; i < take_workers->count; i++) {
		world_join(take_workers->each[i].thread, deadline_ms);
		hands_close(&take_workers->each[i].hands);
	}
	pthread_mutex_destroy(&take_workers->claiming);
	mem_free(take_workers->each);
	mem_free(take_workers);
}
