/* poller_impl.h - shared by the files of the poller. */
#ifndef KF_BOT_POLLER_IMPL_H
#define KF_BOT_POLLER_IMPL_H

#include "bot/poller.h"

enum { POLLER_DUTIES = 7, POLLER_SWEEP = 3, POLLER_PRUNE = 6 };

struct poller {
	struct world *world;
	struct receive *receive;
	struct hands hands;
	pthread_t thread;
	struct poller_duty {
		const char *name;
		int64_t every_ms;
		void (*run)(struct poller *poller, int64_t now_ms);
	} duties[POLLER_DUTIES];
	int64_t next_ms[POLLER_DUTIES];
	int64_t wall_ms, mono_ms; /* at the last look at the clocks */
	int64_t last_noted;	  /* job id */
	int64_t started_at_ms;
	int64_t parked; /* jobs, when they were counted last */
	int64_t sweep_interval_ms;
	struct poller_sweep *sweep; /* the pass under way */
};

/* Makes the jobs that wait for these runs ready. */
void poller_wake(struct world *world, char **refs, size_t count);

/* One turn of the look at every parked run: at most one call. Sets the time of its next turn. */
void poller_sweep(struct poller *poller, int64_t now_ms);
void poller_sweep_free(struct poller_sweep *take_sweep);

/* Takes in the deliveries that GitHub could not bring us. */
void poller_deliveries(struct poller *poller, int64_t now_ms);

/* Forgets what is noted about deliveries that GitHub does not keep any more. */
void poller_deliveries_forget(struct poller *poller, int64_t now_ms);

#endif
