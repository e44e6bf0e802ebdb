/* world.h - what the threads of the daemon share, made once at start and constant afterwards.
 *
 * `struct hands` is what one thread needs of its own: connections that must not be shared. */
#ifndef KF_BOT_WORLD_H
#define KF_BOT_WORLD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bot/writer.h"
#include "config/config.h"
#include "lib/base/http.h"
#include "lib/core/job.h"
#include "lib/services/compile.h"
#include "lib/services/github.h"
#include "lib/services/kfp.h"
#include "lib/services/kube.h"
#include "lib/services/mlmd.h"
#include "lib/services/repo.h"
#include "lib/services/s3.h"
#include "lib/store/db.h"

enum { WORLD_CLUSTERS_MAX = 16, WORLD_NAMESPACES_MAX = 1000 };

struct world {
	const struct config *config;
	char *db_path;
	char *work_dir; /* a folder per job under way */
	struct writer *writer;
	struct github *github;
	struct policies *policies; /* see policies.h */
	bool app_mode;
	struct kfp *clusters[WORLD_CLUSTERS_MAX];
	struct world_serving { /* of the cluster of the same index; NULL where it deploys nothing */
		struct kube *kube;
		struct s3 *s3;
		struct mlmd *mlmd;
	} serving[WORLD_CLUSTERS_MAX];
	size_t cluster_count;
	atomic_bool too_old[WORLD_CLUSTERS_MAX]; /* what answers there is a 1.x server */
	struct repo_store *repos;
	struct compile_options compile;
	struct job_rules rules;
	int64_t notify_after_ms, edit_interval_ms, list_lag_ms, denial_pause_ms, patience_ms;
	int64_t in_hand_max; /* jobs of one repository that are worked on at the same time */
	atomic_bool stopping;
	_Atomic int64_t committed_boot_ms; /* the last commit */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t work;   /* something was committed; on CLOCK_MONOTONIC */
	uint64_t commits;      /* grows with each commit */
	struct world_namespace {
		size_t cluster;
		char *name;
		int64_t seen_until_ms; /* the feed's cursor */
	} * namespaces;		       /* with runs under way */
	size_t namespace_count;
};

/* The writer's notify: something was committed. */
void world_committed(void *arg);

/* Wakes the threads that wait for committed work. */
void world_poke(struct world *world);

/* Asked before anything outside is changed. A process that stood still, or whose disk has gone, may
 * have been replaced meanwhile: when the last commit is older than 30 s, one has to succeed first.
 * Costs nothing while commits flow. Waits as long as the database cannot write; then not ERR_OK:
 * the daemon stops. */
enum err_class world_may_act(struct world *world, struct err *err) MUST_CHECK;

/* Waits until a commit after `seen`, the time `until_ms` (wall clock), or the end; returns the
 * present count of commits. */
uint64_t world_wait(struct world *world, uint64_t seen, int64_t until_ms);

/* A pause after something failed, so that trying again does not become a busy loop; shorter when
 * the daemon stops. */
void world_nap(struct world *world, int64_t ms);

/* Remembers that runs of this namespace are under way, for the feed. */
void world_note_namespace(struct world *world, size_t cluster, const char *name, int64_t now_ms);

/* Index of the cluster that serves a repository; CONFIG when the operator's file allows none. */
enum err_class world_cluster_of(const struct world *world, const char *repo, size_t *out,
				struct err *err) MUST_CHECK;

/* Joins a thread; one that has not ended by `deadline_ms` (monotonic) has its calls aborted. */
void world_join(pthread_t thread, int64_t deadline_ms);

struct hands {
	struct world *world;
	struct db *reader;
	struct http *github_http;
	struct http *kfp_http[WORLD_CLUSTERS_MAX]; /* made when first used */
	struct http *cluster_http; /* Kubernetes, S3, models; made when first used */
};

enum err_class hands_open(struct hands *out, struct world *world, struct err *err) MUST_CHECK;
void hands_close(struct hands *hands);
struct http *hands_kfp_http(struct hands *hands, size_t cluster);
struct http *hands_cluster_http(struct hands *hands);

#endif
