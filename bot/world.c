/* world.c - see world.h. One condition variable wakes workers, reporter and poller alike: each
 * looks with its read-only connection whether there is something for it, which costs microseconds,
 * and a wake-up too many is harmless. */
#include "bot/world.h"

#include <errno.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

enum { COMMIT_AGE_MAX_MS = 30000, CONFIRM_NAP_MS = 500 };

void world_committed(void *arg)
{
	struct world *world = arg;

	atomic_store(&world->committed_boot_ms, clock_boot_ms());
	world_poke(world);
}

static enum err_class run_confirm(struct db *db, void *arg, struct err *err)
{
	(void)arg;
	return db_confirm(db, clock_now_ms(), err);
}

enum err_class world_may_act(struct world *world, struct err *err)
{
	enum err_class class = ERR_OK;

	while (clock_boot_ms() - atomic_load(&world->committed_boot_ms) > COMMIT_AGE_MAX_MS) {
		class = writer_call(world->writer, run_confirm, NULL, err);
		if (class == ERR_OK)
			break;
		log_error("store_unconfirmed", LOG_S("message", err->msg));
		if (class != ERR_TRANSIENT || atomic_load(&world->stopping))
			break;
		world_nap(world, CONFIRM_NAP_MS);
	}
	return class;
}

void world_poke(struct world *world)
{
	pthread_mutex_lock(&world->mutex);
	world->commits++;
	pthread_cond_broadcast(&world->work);
	pthread_mutex_unlock(&world->mutex);
}

/* On the clock that nobody sets: a wall clock put back by an hour must not make anyone sleep for
 * one. */
static struct timespec after(int64_t ms)
{
	int64_t at_ms = clock_mono_ms() + (ms > 0 ? ms : 0);

	return (struct timespec){.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
}

uint64_t world_wait(struct world *world, uint64_t seen, int64_t until_ms)
{
	struct timespec until = after(until_ms - clock_now_ms());
	uint64_t now;
	int rc = 0;

	pthread_mutex_lock(&world->mutex);
	while (world->commits == seen && !atomic_load(&world->stopping) && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&world->work, &world->mutex, &until);
	now = world->commits;
	pthread_mutex_unlock(&world->mutex);
	return now;
}

void world_nap(struct world *world, int64_t ms)
{
	struct timespec until = after(ms);
	int rc = 0;

	pthread_mutex_lock(&world->mutex);
	while (!atomic_load(&world->stopping) && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&world->work, &world->mutex, &until);
	pthread_mutex_unlock(&world->mutex);
}

void world_note_namespace(struct world *world, size_t cluster, const char *name, int64_t now_ms)
{
	struct world_namespace *each;
	bool known = false;

	pthread_mutex_lock(&world->mutex);
	for (size_t i = 0; i < world->namespace_count && !known; i++)
		known = world->namespaces[i].cluster == cluster &&
			str_eq(world->namespaces[i].name, name);
	if (!known && world->namespace_count < WORLD_NAMESPACES_MAX) {
		world->namespaces = mem_grow(world->namespaces, (world->namespace_count + 1) *
									sizeof *world->namespaces);
		each = &world->namespaces[world->namespace_count++];
		*each = (struct world_namespace){
			.cluster = cluster, .name = str_dup(name), .seen_until_ms = now_ms};
	}
	pthread_mutex_unlock(&world->mutex);
}

enum err_class world_cluster_of(const struct world *world, const char *repo, size_t *out,
				struct err *err)
{
	int at = config_cluster_of_repo(world->config, repo);

	if (at < 0 || (size_t)at >= world->cluster_count)
		return err_code(
			err, ERR_CONFIG, "config.no_cluster",
			"the operator's file names no Kubeflow cluster for the repository %s",
			repo);
	*out = (size_t)at;
	return ERR_OK;
}

void world_join(pthread_t thread, int64_t deadline_ms)
{
	int64_t until_ms = clock_now_ms() + deadline_ms - clock_mono_ms();
	struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};

	if (pthread_timedjoin_np(thread, NULL, &until) == 0)
		return;
	http_abort_all();
	pthread_join(thread, NULL);
}

static struct http *open_http(const struct world *world, const char *ca_file, bool allow_http)
{
	struct http_options options = {
		.user_agent = "kfops/" KFOPS_VERSION,
		.ca_file = ca_file,
		.allow_http = allow_http,
	};

	(void)world;
	return http_new(&options);
}

enum err_class hands_open(struct hands *out, struct world *world, struct err *err)
{
	*out = (struct hands){.world = world};
	if (db_open_reader(&out->reader, world->db_path, err))
		return err->class;
	/* config_load has refused plain http where it would leave the machine or the cluster */
	out->github_http = open_http(world, config_text(world->config, "github.ca_file"), true);
	return ERR_OK;
}

void hands_close(struct hands *hands)
{
	for (size_t i = 0; i < WORLD_CLUSTERS_MAX; i++)
		if (hands->kfp_http[i])
			http_free(hands->kfp_http[i]);
	if (hands->cluster_http)
		http_free(hands->cluster_http);
	if (hands->github_http)
		http_free(hands->github_http);
	if (hands->reader)
		db_close(hands->reader);
}

struct http *hands_kfp_http(struct hands *hands, size_t cluster)
{
	must(cluster < WORLD_CLUSTERS_MAX);
	if (!hands->kfp_http[cluster])
		hands->kfp_http[cluster] = open_http(
			hands->world,
			config_cluster_text(hands->world->config, cluster, "kfp_ca_file"), true);
	return hands->kfp_http[cluster];
}

struct http *hands_cluster_http(struct hands *hands)
{
	if (!hands->cluster_http)
		hands->cluster_http = open_http(hands->world, NULL, true);
	return hands->cluster_http;
}
