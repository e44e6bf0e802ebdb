/* poller_impl.h - shared by the files of the poller. */
#ifndef KF_BOT_POLLER_IMPL_H
#define KF_BOT_POLLER_IMPL_H

#include "bot/credentials.h"
#include "bot/poller.h"

enum {
	POLLER_DUTIES = 10,
	POLLER_SWEEP = 4,
	POLLER_DELIVERIES = 6,
	POLLER_COMMENTS = 7,
	POLLER_PRUNE = 9,
	POLLER_REPOS_MAX = 1000
};

/* A repository that is asked for what was missed. */
struct poller_repo {
	char *name;
	int64_t id, installation_id; /* 0: not known yet */
	int64_t hook_id;	     /* token mode; 0: not known */
	int64_t ask_hook_ms;	     /* not before, after we were refused */
};

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
	struct credentials_watch credentials;
	struct poller_repo *repos;
	size_t repo_count, next_hook, next_comments;
	int64_t comments_began_ms;
	bool said_no_hooks;	    /* that the log of a repository's hook is not ours to read */
	struct poller_sweep *sweep; /* the pass under way */
};

/* Makes the jobs that wait for these runs ready. */
void poller_wake(struct world *world, char **refs, size_t count);

/* Makes the parked jobs ready whose time has come. */
void poller_due(struct poller *poller, int64_t now_ms);

/* Tries all at once that waits for a far side that refused us. */
void poller_retry_now(struct world *world, int64_t now_ms);

/* Brings back what is due only by a clock that was ahead. */
void poller_bring_back(struct world *world, int64_t now_ms);

/* One turn of the look at every parked run: at most one call. Sets the time of its next turn. */
void poller_sweep(struct poller *poller, int64_t now_ms);
void poller_sweep_free(struct poller_sweep *take_sweep);

/* Asks GitHub which repositories a star of the operator's file means; token mode. */
void poller_repositories(struct poller *poller, int64_t now_ms);

/* Reads which repositories there are. */
void poller_repos_read(struct poller *poller);
void poller_repos_free(struct poller *poller);
struct github_target poller_repo_target(const struct poller_repo *repo);

/* A number that is kept over restarts, with the time of noting it. */
int64_t poller_noted(struct poller *poller, const char *key, int64_t fallback);
void poller_note(struct poller *poller, const char *key, int64_t value, int64_t now_ms);

/* One turn of the look at the comments of the repositories: at most one of these. */
void poller_comments(struct poller *poller, int64_t now_ms);

/* Takes in the deliveries that GitHub could not bring us. */
void poller_deliveries(struct poller *poller, int64_t now_ms);

/* Forgets what is noted about deliveries that GitHub does not keep any more. */
void poller_deliveries_forget(struct poller *poller, int64_t now_ms);

#endif
