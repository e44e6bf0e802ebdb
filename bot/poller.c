/* poller.c - see poller.h.
 *
 * Each duty is a line of a table: how often, and a function. A duty that fails is tried again at
 * its next time; nothing is lost, because every state it looks at stays where it is. The look at
 * every parked run is in poller_sweep.c; what was missed is in poller_deliveries.c and
 * poller_comments.c. */
#include "bot/poller.h"

#include <dirent.h>
#include <string.h>

#include "bot/poller_impl.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/store/queue_wake.h"

enum {
	OVERLAP_MS = 600000, /* the feed looks back: rows appear late on the server */
	NOTE_BATCH = 200,
	PRUNE_BATCH = 500,
	TICK_MAX_MS = 1000,
	JUMP_MS = 5000,
	LOOK_BACK_MS = 3 * 86400000, /* after a restart; the sweep sees what is older */
};

static void free_list(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		mem_free(list[i]);
	mem_free(list);
}

/* --- the feed: runs of a namespace that have finished --- */

static enum err_class feed_one(struct poller *poller, size_t cluster, const char *name,
			       int64_t since_ms)
{
	struct world *world = poller->world;
	char **ids = NULL;
	size_t count = 0;
	struct err err;
	enum err_class class =
		kfp_runs_finished(world->clusters[cluster], hands_kfp_http(&poller->hands, cluster),
				  name, since_ms, &ids, &count, &err);

	if (class) {
		log_info("feed_failed", LOG_S("namespace", name), LOG_S("message", err.msg));
		return class;
	}
	poller_wake(world, ids, count);
	free_list(ids, count);
	return ERR_OK;
}

/* A namespace that is refused (it was deleted, a right was taken back) says nothing about the
 * others. */
static bool is_cluster_away(enum err_class class)
{
	return err_is_retried(class) || class == ERR_CONFIG;
}

/* Namespaces are only ever added, so an index stays good between the two locks. The cursor moves
 * only after a list that worked: an outage of hours loses no finish. */
static void duty_feed(struct poller *poller, int64_t now_ms)
{
	struct world *world = poller->world;
	bool is_away[WORLD_CLUSTERS_MAX] = {
		false}; /* costs its time-out once a turn, not once a namespace */

	for (size_t i = 0;; i++) {
		AUTO_FREE char *name = NULL;
		int64_t since_ms = 0;
		size_t cluster = 0;
		enum err_class class;

		pthread_mutex_lock(&world->mutex);
		if (i < world->namespace_count) {
			name = str_dup(world->namespaces[i].name);
			cluster = world->namespaces[i].cluster;
			since_ms = world->namespaces[i].seen_until_ms - OVERLAP_MS;
		}
		pthread_mutex_unlock(&world->mutex);
		if (!name || atomic_load(&world->stopping))
			return;
		if (is_away[cluster])
			continue;
		poller_due(poller, clock_now_ms());
		class = feed_one(poller, cluster, name, since_ms);
		is_away[cluster] = is_cluster_away(class);
		if (class)
			continue;
		pthread_mutex_lock(&world->mutex);
		world->namespaces[i].seen_until_ms = now_ms;
		pthread_mutex_unlock(&world->mutex);
	}
}

/* --- credentials that were refused and are replaced --- */

/* Where nothing waits, the looks for what was missed find out whether the new ones are taken; what
 * was refused to them is asked for again. */
static void look_again(struct poller *poller, int64_t now_ms)
{
	poller->next_ms[POLLER_DELIVERIES] = poller->next_ms[POLLER_COMMENTS] = now_ms;
	for (size_t i = 0; i < poller->repo_count; i++)
		poller->repos[i].ask_hook_ms = 0;
}

static void duty_credentials(struct poller *poller, int64_t now_ms)
{
	if (!credentials_look(&poller->credentials, poller->world))
		return;
	log_info("credentials_replaced", LOG_S("effect", "what waits is tried again"));
	look_again(poller, now_ms);
	poller_retry_now(poller->world, now_ms);
}

/* --- gauges --- */

static void duty_gauges(struct poller *poller, int64_t now_ms)
{
	struct queue_counts counts;
	struct err err;

	if (queue_count(poller->hands.reader, now_ms, &counts, &err))
		return;
	poller->parked = counts.by_state[JOB_PARKED];
	for (int state = 0; state < 16; state++)
		if (!str_eq(job_state_name((enum job_state)state), "unknown"))
			metrics_set(METRIC_JOBS, job_state_name((enum job_state)state),
				    counts.by_state[state]);
	metrics_set(METRIC_OVERDUE, NULL, counts.overdue);
	metrics_set(METRIC_OUTBOX_WAITING, NULL, counts.outbox_waiting);
	metrics_set(METRIC_OUTBOX_AGE, NULL, counts.outbox_age_ms / 1000);
}

/* --- clocks --- */

/* The clock was ahead and was put right: what is due by the wrong time is brought back, and the
 * feed asks again for the time in which it looked too far ahead. */
static void go_back(struct poller *poller, int64_t now_ms, int64_t by_ms)
{
	struct world *world = poller->world;
	int64_t since_ms = now_ms - (by_ms < LOOK_BACK_MS ? by_ms : LOOK_BACK_MS);

	poller_bring_back(world, now_ms);
	pthread_mutex_lock(&world->mutex);
	for (size_t i = 0; i < world->namespace_count; i++)
		if (world->namespaces[i].seen_until_ms > since_ms)
			world->namespaces[i].seen_until_ms = since_ms;
	pthread_mutex_unlock(&world->mutex);
}

/* A jump ahead needs no help: everything falls due at once, and the budgets of the far sides and
 * the number of workers spread it. */
static void duty_clock(struct poller *poller, int64_t now_ms)
{
	int64_t mono_ms = clock_boot_ms();
	int64_t jump = (now_ms - poller->wall_ms) - (mono_ms - poller->mono_ms);

	if (poller->wall_ms && (jump > JUMP_MS || jump < -JUMP_MS)) {
		metrics_add(METRIC_CLOCK_JUMPS, NULL, 1);
		log_warn("clock_jump", LOG_I("ms", jump));
	}
	if (poller->wall_ms && jump < -JUMP_MS)
		go_back(poller, now_ms, -jump);
	poller->wall_ms = now_ms;
	poller->mono_ms = mono_ms;
}

/* --- old rows, old mirrors, folders left behind --- */

/* A job cleans up after its end is stored; a process that ended between the two has left its
 * folder. */
static void sweep_work(struct poller *poller)
{
	enum { UID_LEN = 26 };
	DIR *dir = opendir(poller->world->work_dir);
	struct dirent *entry;
	struct err err;
	bool is_open;

	while (dir && !atomic_load(&poller->world->stopping) && (entry = readdir(dir))) {
		AUTO_FREE char *path = str_printf("%s/%s", poller->world->work_dir, entry->d_name);

		if (strlen(entry->d_name) != UID_LEN ||
		    queue_is_open(poller->hands.reader, entry->d_name, &is_open, &err) || is_open)
			continue;
		log_info("work_swept", LOG_S("folder", entry->d_name));
		repo_remove_tree(path);
	}
	if (dir)
		closedir(dir);
}

struct prune_op {
	int64_t now_ms, deliveries_ms, jobs_ms;
	bool more;
};

static enum err_class run_prune(struct db *db, void *arg, struct err *err)
{
	struct prune_op *op = arg;

	return queue_prune(db, op->now_ms, op->deliveries_ms, op->jobs_ms, PRUNE_BATCH, &op->more,
			   err);
}

static void duty_prune(struct poller *poller, int64_t now_ms)
{
	const struct config *config = poller->world->config;
	struct prune_op op = {
		.now_ms = now_ms,
		.deliveries_ms = config_ms(config, "retention.deliveries"),
		.jobs_ms = config_ms(config, "retention.jobs"),
		.more = true,
	};
	struct err err;

	sweep_work(poller);
	repo_store_prune(poller->world->repos, config_ms(config, "retention.mirrors"));
	poller_deliveries_forget(poller, now_ms);
	while (op.more && !atomic_load(&poller->world->stopping))
		if (writer_call(poller->world->writer, run_prune, &op, &err))
			return;
}

/* --- the thread --- */

static void set_up_duties(struct poller *poller)
{
	const struct config *config = poller->world->config;
	const struct poller_duty duties[] = {
		{"due", 0, poller_due},
		{"clock", 1000, duty_clock},
		{"credentials", 1000, duty_credentials},
		{"feed", config_ms(config, "poll.finished_interval"), duty_feed},
		{"sweep", config_ms(config, "poll.sweep_interval"), poller_sweep},
		{"repositories", 3600000, poller_repositories},
		{"deliveries", config_ms(config, "poll.deliveries_interval"), poller_deliveries},
		{"comments", config_ms(config, "poll.comments_interval"), poller_comments},
		{"gauges", 5000, duty_gauges},
		{"prune", 3600000, duty_prune},
	};

	_Static_assert(sizeof duties == sizeof poller->duties, "one place a duty");
	memcpy(poller->duties, duties, sizeof duties);
	poller->sweep_interval_ms = poller->duties[POLLER_SWEEP].every_ms;
}

static int64_t nap_until(struct poller *poller, int64_t now_ms)
{
	int64_t parked_ms = INT64_MAX, until = now_ms + TICK_MAX_MS;
	struct err err;

	if (!queue_parked_due(poller->hands.reader, &parked_ms, &err) && parked_ms < until)
		until = parked_ms;
	for (size_t i = 1; i < POLLER_DUTIES; i++)
		if (poller->next_ms[i] < until)
			until = poller->next_ms[i];
	return until;
}

/* Namespaces with runs under way, from before a restart. Their cursor goes some days back: the
 * first list says what has finished while nobody looked. */
static bool note_parked(void *arg, const struct queue_ref *ref)
{
	struct poller *poller = arg;
	size_t cluster;
	struct err err;

	if (!world_cluster_of(poller->world, ref->repo, &cluster, &err))
		world_note_namespace(poller->world, cluster, ref->ns,
				     poller->started_at_ms - LOOK_BACK_MS);
	poller->last_noted = ref->job_id;
	return true;
}

static void note_all_parked(struct poller *poller)
{
	int64_t before;
	struct err err;

	do {
		before = poller->last_noted;
		if (queue_parked(poller->hands.reader, WAIT_RUN, before, NOTE_BATCH, note_parked,
				 poller, &err))
			return;
	} while (poller->last_noted != before && !atomic_load(&poller->world->stopping));
}

static void *poller_main(void *arg)
{
	struct poller *poller = arg;
	uint64_t seen = 0;

	note_all_parked(poller);
	sweep_work(poller);
	while (!atomic_load(&poller->world->stopping)) {
		for (size_t i = 0; i < POLLER_DUTIES; i++) {
			int64_t now_ms = clock_now_ms();

			if (poller->next_ms[i] > now_ms &&
			    poller->next_ms[i] - now_ms <= poller->duties[i].every_ms)
				continue;
			poller->duties[i].run(poller, now_ms);
			poller->next_ms[i] = now_ms + poller->duties[i].every_ms;
		}
		seen = world_wait(poller->world, seen, nap_until(poller, clock_now_ms()));
	}
	return NULL;
}

enum err_class poller_start(struct poller **out, struct world *world, struct receive *receive,
			    struct err *err)
{
	struct poller *poller = mem_new(1, sizeof *poller);

	*out = poller;
	poller->world = world;
	poller->receive = receive;
	if (hands_open(&poller->hands, world, err))
		return err->class;
	poller->started_at_ms = clock_now_ms();
	set_up_duties(poller);
	poller->next_ms[POLLER_PRUNE] = clock_now_ms() + 60000;
	poller->next_ms[POLLER_SWEEP] = clock_now_ms() + 60000;
	if (pthread_create(&poller->thread, NULL, poller_main, poller))
		return err_code(err, ERR_CONFIG, "start.os", "cannot start the poller thread");
	return ERR_OK;
}

void poller_stop(struct poller *take_poller, int64_t deadline_ms)
{
	world_join(take_poller->thread, deadline_ms);
	poller_sweep_free(take_poller->sweep);
	poller_repos_free(take_poller);
	hands_close(&take_poller->hands);
	mem_free(take_poller);
}
