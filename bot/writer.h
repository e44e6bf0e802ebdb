/* writer.h - the one thread that writes SQLite, with natural group commit.
 *
 * Whatever queued up while the last fsync ran goes into the next transaction: at most 256
 * operations. An operation that fails is undone alone. No
 * timer, so no latency is added when idle. More than queue_max waiting, or the oldest waiting 5 s:
 * refused at once. */
#ifndef KF_BOT_WRITER_H
#define KF_BOT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bot/disk.h"
#include "lib/base/err.h"
#include "lib/store/db.h"

struct writer;

/* One operation; embedded by its owner. `run` is called on the writer's thread inside the
 * transaction; `done` after the commit (class ERR_OK) or its failure, also on the writer's thread,
 * and must be quick. The op belongs to the writer from submit until `done`. */
struct writer_op {
	enum err_class (*run)(struct db *db, void *arg, struct err *err);
	void (*done)(void *arg, enum err_class class, const struct err *err);
	void *arg;
	bool may_repeat;	/* `run` may be called again after what it did was undone */
	struct writer_op *next; /* the writer's */
	int64_t queued_at_ms;	/* the writer's */
	struct err err;		/* the writer's */
	enum err_class class;	/* the writer's */
};

enum err_class writer_start(struct writer **out, struct db *db, size_t queue_max,
			    struct err *err) MUST_CHECK;

/* Watches the disk from now on; without it only SQLite's own word counts. Before the first submit.
 */
enum err_class writer_watch_disk(struct writer *writer, const struct disk_limits *limits,
				 struct err *err) MUST_CHECK;

/* Queues an operation. TRANSIENT: the queue is full or the writer stops; `done` is not called then.
 */
enum err_class writer_submit(struct writer *writer, struct writer_op *op,
			     struct err *err) MUST_CHECK;

/* For who submits many in one go: queues without waking the writer, which takes the operation along
 * if it is busy anyway, but else only after writer_wake. */
enum err_class writer_submit_quietly(struct writer *writer, struct writer_op *op,
				     struct err *err) MUST_CHECK;
void writer_wake(struct writer *writer);

/* Runs an operation and waits for its commit. Not from the receiving thread. */
enum err_class writer_call(struct writer *writer,
			   enum err_class (*run)(struct db *db, void *arg, struct err *err),
			   void *arg, struct err *err) MUST_CHECK;

/* True while commits work; false in disk-full mode, in which operations are still tried (work in
 * hand must be recorded) but no new work should be accepted. Any thread. */
bool writer_is_healthy(const struct writer *writer);

/* Called on the writer's thread after each batch that committed, e.g. to wake workers. */
void writer_on_commit(struct writer *writer, void (*notify)(void *arg), void *arg);

/* Called on the writer's thread when all operations of a batch have had their `done`, whatever came
 * of them: so who wakes somebody in answer does it once. Must be quick and must not call the
 * writer. With NULL it is taken away, and is not running any more on return. */
void writer_on_answered(struct writer *writer, void (*notify)(void *arg), void *arg);

/* Drains the queue, checkpoints, ends the thread. The database stays open. */
void writer_stop(struct writer *take_writer);

#endif
