/* worker.h - the threads that work on jobs: claim, ask the step, run the effect, commit.
 *
 * Each runs one step at a time: short, with at most one mutation outside, bounded by time-outs. */
#ifndef KF_BOT_WORKER_H
#define KF_BOT_WORKER_H

#include "bot/world.h"

struct workers;

enum err_class workers_start(struct workers **out, struct world *world, int count,
			     struct err *err) MUST_CHECK;

/* Waits for the threads to reach a step boundary; world->stopping must be set; after `deadline_ms`
 * (monotonic) calls under way are aborted. */
void workers_stop(struct workers *take_workers, int64_t deadline_ms);

/* Works off what is due in the calling thread, until nothing is; returns the number of steps. For
 * tests. */
int64_t worker_drain(struct hands *hands);

#endif
