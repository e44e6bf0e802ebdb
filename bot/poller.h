/* poller.h - the thread that wakes parked jobs, and keeps house.
 *
 * Finished runs through one list per namespace, every parked run once an hour, due times,
 * deliveries that GitHub could not bring, comments that no delivery brought, gauges, old rows and
 * mirrors. Its cost is per namespace, not per run. */
#ifndef KF_BOT_POLLER_H
#define KF_BOT_POLLER_H

#include "bot/receive.h"
#include "bot/world.h"

struct poller;

/* `receive` takes in recovered deliveries; NULL: none are asked for. */
enum err_class poller_start(struct poller **out, struct world *world, struct receive *receive,
			    struct err *err) MUST_CHECK;

/* world->stopping must be set; after `deadline_ms`
 * (monotonic) calls under way are aborted. */
void poller_stop(struct poller *take_poller, int64_t deadline_ms);

#endif
