/* writer.c - see writer.h. One thread owns the only connection that writes. It takes everything
 * that queued up while its last fsync ran (at most BATCH_MAX) as one transaction: under load that
 * is many operations for one fsync, when idle it is one operation at once. A timer that waits for
 * more was rejected: it would add its length to every idle commit and win nothing under load.
 *
 * A savepoint for each operation would undo a failing one alone, but costs about a tenth of storing
 * one, and storing practically never fails. So a batch of operations that may be run twice is first
 * run without; if one fails, all is undone and run again with savepoints. A batch of one needs
 * none: undoing the operation is undoing the transaction.
 *
 * After a failed commit nothing of the batch counts. If the cause is the disk being full or busy,
 * life goes on and callers hear TRANSIENT. If it is an I/O error, the kernel may have dropped dirty
 * pages and call the next fsync a success, so nothing in memory can be believed any more: the batch
 * is answered as failed, and the process ends with 75 so that a fresh one reads the truth from the
 * disk. */
#include "bot/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"

enum { BATCH_MAX = 256, WAIT_MAX_MS = 5000, TICK_MS = 1000, FAREWELL_MS = 200, EXIT_DAMAGED = 75 };

struct hook {
	void (*call)(void *arg);
	void *arg;
};

struct writer {
	struct db *db;
	size_t queue_max;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t work; /* on CLOCK_MONOTONIC */
	struct writer_op *head, **tail;
	size_t queued;
	int64_t in_hand_since_ms; /* monotonic; 0: no batch is being committed */
	bool stopping;		  /* submits are refused */
	struct hook committed, answered;

	atomic_bool healthy;
	struct disk *disk;  /* the writer's thread only, after writer_watch_disk */
	int64_t full_at_ms; /* monotonic, without a disk that is watched; 0: not full */
};

struct batch {
	struct writer_op *head;
	size_t count;
	bool wrote; /* at least one operation succeeded */
};

/* --- the thread --- */

static void sleep_ms(long ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		continue;
}

/* Without a disk to look at, a second after SQLite's complaint new work may try again. */
static void look_at_disk(struct writer *writer)
{
	int64_t now_ms = clock_mono_ms();

	if (writer->disk) {
		atomic_store(&writer->healthy, disk_has_room(writer->disk, now_ms));
	} else if (writer->full_at_ms && now_ms - writer->full_at_ms >= TICK_MS) {
		writer->full_at_ms = 0;
		atomic_store(&writer->healthy, true);
	}
}

static void note_full(struct writer *writer)
{
	atomic_store(&writer->healthy, false);
	if (writer->disk) {
		disk_is_full(writer->disk, clock_mono_ms());
		return;
	}
	writer->full_at_ms = clock_mono_ms();
	log_error("disk.full", LOG_S("effect", "commands are refused for a second"));
}

static struct batch take_batch(struct writer *writer)
{
	struct batch batch = {.head = writer->head};
	struct writer_op **end = &writer->head;

	while (*end && batch.count < BATCH_MAX) {
		end = &(*end)->next;
		batch.count++;
	}
	writer->head = *end;
	*end = NULL;
	if (!writer->head)
		writer->tail = &writer->head;
	writer->queued -= batch.count;
	writer->in_hand_since_ms = clock_mono_ms();
	return batch;
}

/* Waits for operations; an empty batch says that the writer stops. */
static struct batch next_batch(struct writer *writer)
{
	struct timespec until;
	struct batch batch = {0};

	pthread_mutex_lock(&writer->lock);
	writer->in_hand_since_ms = 0;
	while (!writer->head && !writer->stopping) {
		pthread_mutex_unlock(&writer->lock);
		look_at_disk(writer);
		db_checkpoint(writer->db, true);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += TICK_MS / 1000;
		pthread_mutex_lock(&writer->lock);
		while (!writer->head && !writer->stopping)
			if (pthread_cond_timedwait(&writer->work, &writer->lock, &until) ==
			    ETIMEDOUT)
				break;
	}
	if (writer->head)
		batch = take_batch(writer);
	pthread_mutex_unlock(&writer->lock);
	return batch;
}

/* Runs one operation; with a savepoint its failure undoes it alone. Returns the state of the
 * transaction: not ERR_OK means that the whole batch is lost. */
static enum err_class run_one(struct writer *writer, struct writer_op *op, bool savepoint,
			      struct err *err)
{
	enum err_class class;

	if (savepoint) {
		class = db_savepoint(writer->db, err);
		if (class != ERR_OK)
			return class;
	}
	op->err.class = ERR_OK;
	op->err.code[0] = op->err.msg[0] = '\0';
	op->class = op->run(writer->db, op->arg, &op->err);
	if (op->class == ERR_CORRUPT) {
		*err = op->err;
		return ERR_CORRUPT;
	}
	return savepoint ? db_release(writer->db, op->class == ERR_OK, err) : ERR_OK;
}

/* Runs all, up to the first that fails when there are no savepoints. The transaction stays open
 * when there is something to be committed, which `wrote` then says. */
static enum err_class run_all(struct writer *writer, struct batch *batch, bool savepoints,
			      bool *failed, struct err *err)
{
	enum err_class class = db_begin(writer->db, err);

	batch->wrote = *failed = false;
	if (class != ERR_OK)
		return class;
	for (struct writer_op *op = batch->head; op && class == ERR_OK; op = op->next) {
		class = run_one(writer, op, savepoints, err);
		*failed |= op->class != ERR_OK;
		batch->wrote |= class == ERR_OK && op->class == ERR_OK;
		if (*failed && !savepoints)
			break;
	}
	if (class != ERR_OK || !batch->wrote || (*failed && !savepoints)) {
		db_rollback(writer->db);
		batch->wrote = false;
	}
	return class;
}

static bool all_may_repeat(const struct batch *batch)
{
	for (const struct writer_op *op = batch->head; op; op = op->next)
		if (!op->may_repeat)
			return false;
	return true;
}

static enum err_class run_batch(struct writer *writer, struct batch *batch, struct err *err)
{
	bool savepoints = batch->count > 1 && !all_may_repeat(batch), failed;
	enum err_class class = run_all(writer, batch, savepoints, &failed, err);

	if (class == ERR_OK && failed && !savepoints && batch->count > 1) {
		for (struct writer_op *op = batch->head; op; op = op->next)
			op->class = ERR_OK;
		class = run_all(writer, batch, true, &failed, err);
	}
	if (class != ERR_OK || !batch->wrote)
		return class;
	CRASH_POINT("writer.before_commit");
	class = db_commit(writer->db, err);
	CRASH_POINT("writer.after_commit");
	return class;
}

static bool says_full(enum err_class class, const struct err *err)
{
	return class == ERR_TRANSIENT && str_eq(err->code, "store.full");
}

/* Hands the operations back, in order. An operation is its owner's again when `done` is called. */
static void answer_batch(struct writer *writer, struct batch *batch, enum err_class class,
			 const struct err *err)
{
	struct writer_op *next;

	for (struct writer_op *op = batch->head; op; op = next) {
		next = op->next;
		if (class != ERR_OK && op->class == ERR_OK) {
			op->class = class;
			op->err = *err;
		}
		op->done(op->arg, op->class, &op->err);
	}
	/* Under the lock, so that whoever takes the hook away knows that it is not running. */
	pthread_mutex_lock(&writer->lock);
	if (writer->answered.call)
		writer->answered.call(writer->answered.arg);
	pthread_mutex_unlock(&writer->lock);
}

static _Noreturn void leave(struct writer *writer, const struct err *err)
{
	struct batch rest;

	log_error("writer.damaged", LOG_S("cause", err->msg),
		  LOG_S("effect", "the process ends and must be started again"));
	atomic_store(&writer->healthy, false);
	pthread_mutex_lock(&writer->lock);
	writer->stopping = true;
	rest = (struct batch){.head = writer->head};
	writer->head = NULL;
	pthread_mutex_unlock(&writer->lock);
	for (struct writer_op *op = rest.head; op; op = op->next)
		op->class = ERR_OK;
	answer_batch(writer, &rest, ERR_CORRUPT, err);
	/* Time for the answers to get out; they are worth having, but nothing depends on them. */
	sleep_ms(FAREWELL_MS);
	_exit(EXIT_DAMAGED);
}

static void commit_batch(struct writer *writer, struct batch *batch)
{
	int64_t start_ms = clock_mono_ms();
	enum err_class class;
	struct err err;
	bool full;

	err.class = ERR_OK;
	err.code[0] = '\0';
	err.msg[0] = '\0';
	for (struct writer_op *op = batch->head; op; op = op->next)
		op->class = ERR_OK;
	class = run_batch(writer, batch, &err);
	full = says_full(class, &err);
	for (struct writer_op *op = batch->head; op && !full; op = op->next)
		full = says_full(op->class, &op->err);
	if (full)
		note_full(writer);
	metrics_observe_ms(METRIC_WRITER_SECONDS, NULL, clock_mono_ms() - start_ms);
	metrics_add(METRIC_COMMITS, class == ERR_OK ? "ok" : "failed", 1);
	if (class == ERR_OK)
		metrics_add(METRIC_WRITER_BATCH, NULL, (int64_t)batch->count);
	else
		log_warn("writer.batch_failed", LOG_S("class", err_class_name(class)),
			 LOG_I("operations", batch->count), LOG_S("cause", err.msg));
	answer_batch(writer, batch, class, &err);
	if (class == ERR_CORRUPT)
		leave(writer, &err);
}

static void announce(struct writer *writer)
{
	struct hook hook;

	pthread_mutex_lock(&writer->lock);
	hook = writer->committed;
	pthread_mutex_unlock(&writer->lock);
	if (hook.call)
		hook.call(hook.arg);
}

static void *write_all(void *arg)
{
	struct writer *writer = arg;
	struct batch batch;

	for (batch = next_batch(writer); batch.head; batch = next_batch(writer)) {
		commit_batch(writer, &batch);
		if (batch.wrote)
			announce(writer);
		db_checkpoint(writer->db, false);
		look_at_disk(writer);
	}
	db_checkpoint(writer->db, true);
	return NULL;
}

/* --- for everybody --- */

enum err_class writer_start(struct writer **out, struct db *db, size_t queue_max, struct err *err)
{
	struct writer *writer = mem_new(1, sizeof *writer);
	pthread_condattr_t attr;
	int rc;

	writer->db = db;
	writer->queue_max = queue_max;
	writer->tail = &writer->head;
	atomic_init(&writer->healthy, true);
	pthread_mutex_init(&writer->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->work, &attr);
	pthread_condattr_destroy(&attr);
	rc = pthread_create(&writer->thread, NULL, write_all, writer);
	if (rc != 0) {
		pthread_cond_destroy(&writer->work);
		pthread_mutex_destroy(&writer->lock);
		mem_free(writer);
		return err_code(err, ERR_CONFIG, "start.os", "cannot start the writer's thread: %s",
				strerror(rc));
	}
	*out = writer;
	return ERR_OK;
}

struct watch {
	struct writer *writer;
	struct disk *disk;
};

static enum err_class take_watch(struct db *db, void *arg, struct err *err)
{
	struct watch *watch = arg;

	(void)db;
	(void)err;
	watch->writer->disk = watch->disk;
	return ERR_OK;
}

enum err_class writer_watch_disk(struct writer *writer, const struct disk_limits *limits,
				 struct err *err)
{
	struct watch watch = {.writer = writer};
	enum err_class class = disk_open(&watch.disk, limits, err);

	if (class != ERR_OK)
		return class;
	atomic_store(&writer->healthy, disk_has_room(watch.disk, clock_mono_ms()));
	/* Handed over as an operation, so that only the writer's thread ever touches it. */
	class = writer_call(writer, take_watch, &watch, err);
	if (class != ERR_OK)
		disk_close(watch.disk);
	return class;
}

enum err_class writer_submit_quietly(struct writer *writer, struct writer_op *op, struct err *err)
{
	int64_t now_ms = clock_mono_ms(), oldest_ms;
	const char *code = NULL;

	pthread_mutex_lock(&writer->lock);
	oldest_ms = writer->in_hand_since_ms ? writer->in_hand_since_ms : now_ms;
	if (writer->head && writer->head->queued_at_ms < oldest_ms)
		oldest_ms = writer->head->queued_at_ms;
	if (writer->stopping)
		code = "writer.stopping";
	else if (writer->queued >= writer->queue_max)
		code = "writer.queue_full";
	else if (now_ms - oldest_ms > WAIT_MAX_MS)
		code = "writer.stuck";
	if (!code) {
		op->next = NULL;
		op->queued_at_ms = now_ms;
		*writer->tail = op;
		writer->tail = &op->next;
		writer->queued++;
	}
	pthread_mutex_unlock(&writer->lock);
	return code ? err_code(err, ERR_TRANSIENT, code, "the database is not taking more work now")
		    : ERR_OK;
}

void writer_wake(struct writer *writer)
{
	pthread_cond_signal(&writer->work);
}

enum err_class writer_submit(struct writer *writer, struct writer_op *op, struct err *err)
{
	enum err_class class = writer_submit_quietly(writer, op, err);

	if (class == ERR_OK)
		writer_wake(writer);
	return class;
}

struct call {
	struct writer_op op;
	struct writer *writer;
	enum err_class (*run)(struct db *db, void *arg, struct err *err);
	void *arg;
	pthread_cond_t answered;
	bool is_answered;
};

static enum err_class run_call(struct db *db, void *arg, struct err *err)
{
	struct call *call = arg;

	return call->run(db, call->arg, err);
}

static void answer_call(void *arg, enum err_class class, const struct err *err)
{
	struct call *call = arg;
	struct writer *writer = call->writer;

	(void)class;
	(void)err;
	/* The caller's stack holds the call: it is gone once the lock is released. */
	pthread_mutex_lock(&writer->lock);
	call->is_answered = true;
	pthread_cond_signal(&call->answered);
	pthread_mutex_unlock(&writer->lock);
}

enum err_class writer_call(struct writer *writer,
			   enum err_class (*run)(struct db *db, void *arg, struct err *err),
			   void *arg, struct err *err)
{
	struct call call = {.writer = writer,
			    .run = run,
			    .arg = arg,
			    .op = {.run = run_call, .done = answer_call}};
	enum err_class class;

	call.op.arg = &call;
	pthread_cond_init(&call.answered, NULL);
	class = writer_submit(writer, &call.op, err);
	if (class == ERR_OK) {
		pthread_mutex_lock(&writer->lock);
		while (!call.is_answered)
			pthread_cond_wait(&call.answered, &writer->lock);
		pthread_mutex_unlock(&writer->lock);
		class = call.op.class;
		if (class != ERR_OK && err)
			*err = call.op.err;
	}
	pthread_cond_destroy(&call.answered);
	return class;
}

bool writer_is_healthy(const struct writer *writer)
{
	return atomic_load_explicit(&writer->healthy, memory_order_relaxed);
}

void writer_on_commit(struct writer *writer, void (*notify)(void *arg), void *arg)
{
	pthread_mutex_lock(&writer->lock);
	writer->committed = (struct hook){.call = notify, .arg = arg};
	pthread_mutex_unlock(&writer->lock);
}

void writer_on_answered(struct writer *writer, void (*notify)(void *arg), void *arg)
{
	pthread_mutex_lock(&writer->lock);
	writer->answered = (struct hook){.call = notify, .arg = arg};
	pthread_mutex_unlock(&writer->lock);
}

void writer_stop(struct writer *take_writer)
{
	if (!take_writer)
		return;
	pthread_mutex_lock(&take_writer->lock);
	take_writer->stopping = true;
	pthread_cond_signal(&take_writer->work);
	pthread_mutex_unlock(&take_writer->lock);
	pthread_join(take_writer->thread, NULL);
	disk_close(take_writer->disk);
	pthread_cond_destroy(&take_writer->work);
	pthread_mutex_destroy(&take_writer->lock);
	mem_free(take_writer);
}
