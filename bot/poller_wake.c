/* poller_wake.c - what waits is made ready: by its run, by its time, by new credentials, by a clock
 * that was put right. */
#include "bot/poller_impl.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/store/queue_wake.h"

enum { WAKE_AT_ONCE = 200, WAKE_BATCH = 500 };

struct wake_op {
	const char *const *refs;
	size_t count;
	int64_t now_ms, woken;
};

static enum err_class run_wake(struct db *db, void *arg, struct err *err)
{
	struct wake_op *op = arg;

	return queue_wake(db, WAIT_RUN, op->refs, op->count, op->now_ms, &op->woken, err);
}

static enum err_class run_wake_due(struct db *db, void *arg, struct err *err)
{
	struct wake_op *op = arg;

	return queue_wake_due(db, op->now_ms, WAKE_BATCH, &op->woken, err);
}

static enum err_class run_retry_now(struct db *db, void *arg, struct err *err)
{
	struct wake_op *op = arg;

	return queue_retry_now(db, op->now_ms, &op->woken, err);
}

static enum err_class run_bring_back(struct db *db, void *arg, struct err *err)
{
	struct wake_op *op = arg;

	return queue_bring_back(db, op->now_ms, &op->woken, err);
}

void poller_wake(struct world *world, char **refs, size_t count)
{
	struct wake_op op = {.now_ms = clock_now_ms()};
	struct err err;

	for (size_t at = 0; at < count; at += WAKE_AT_ONCE) {
		op.refs = (const char *const *)(refs + at);
		op.count = count - at < WAKE_AT_ONCE ? count - at : WAKE_AT_ONCE;
		if (writer_call(world->writer, run_wake, &op, &err))
			log_warn("wake_failed", LOG_S("message", err.msg));
	}
}

void poller_due(struct poller *poller, int64_t now_ms)
{
	struct wake_op op = {.now_ms = now_ms};
	int64_t parked_ms;
	struct err err;

	if (queue_parked_due(poller->hands.reader, &parked_ms, &err) || parked_ms > now_ms)
		return;
	if (writer_call(poller->world->writer, run_wake_due, &op, &err))
		log_warn("wake_failed", LOG_S("message", err.msg));
}

void poller_retry_now(struct world *world, int64_t now_ms)
{
	struct wake_op op = {.now_ms = now_ms, .woken = 1};
	struct err err;

	while (op.woken && !atomic_load(&world->stopping))
		if (writer_call(world->writer, run_retry_now, &op, &err))
			return;
}

void poller_bring_back(struct world *world, int64_t now_ms)
{
	struct wake_op op = {.now_ms = now_ms};
	struct err err;

	if (writer_call(world->writer, run_bring_back, &op, &err))
		log_warn("wake_failed", LOG_S("message", err.msg));
}
