/* reporter.h - the thread that makes GitHub show what the outbox wants: newest wish per slot,
 * paced, repeated until it holds. A job's result never depends on it. */
#ifndef KF_BOT_REPORTER_H
#define KF_BOT_REPORTER_H

#include "bot/world.h"

struct reporter;

enum err_class reporter_start(struct reporter **out, struct world *world,
			      struct err *err) MUST_CHECK;

/* Waits for the call in hand; world->stopping must be set; after `deadline_ms`
 * (monotonic) calls under way are aborted. */
void reporter_stop(struct reporter *take_reporter, int64_t deadline_ms);

#endif
