/* poller_sweep.c - the look at every parked run, once an interval: it finds runs that were deleted,
 * ends that the feed did not show, and what a wrong clock hid.
 *
 * Jobs are read in order of their number and gathered by namespace, so that a call asks for two
 * hundred runs although neighbours belong to different teams. A pass is spread over the interval,
 * one call at a turn: with 100,000 runs it is a call every few seconds, where all of them at once
 * would be five hundred. What is gathered is bounded, so memory does not grow with the number of
 * runs. */
#include "bot/poller_impl.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/store/queue_wake.h"

enum {
	CALL_MAX = 200,	   /* Kubeflow's largest page */
	HELD_MAX = 4000,   /* runs gathered at a time */
	READ_MAX = 2000,   /* jobs read in one turn */
	GAP_MAX_MS = 5000, /* between two calls: a pass over few runs is short */
};

struct group {
	size_t cluster, count;
	char *ns, *run_ids[CALL_MAX];
};

struct poller_sweep {
	struct poller *poller;
	int64_t began_ms, gap_ms, last_job_id;
	bool at_end; /* all jobs have been read */
	struct group **groups;
	size_t group_count, held, read;
};

static struct group *find_group(struct poller_sweep *sweep, size_t cluster, const char *ns)
{
	struct group *made;

	for (size_t i = 0; i < sweep->group_count; i++)
		if (sweep->groups[i]->cluster == cluster && str_eq(sweep->groups[i]->ns, ns))
			return sweep->groups[i];
	sweep->groups = mem_grow(sweep->groups, (sweep->group_count + 1) * sizeof *sweep->groups);
	made = mem_new(1, sizeof *made);
	made->cluster = cluster;
	made->ns = str_dup(ns);
	sweep->groups[sweep->group_count++] = made;
	return made;
}

static struct group *fullest(const struct poller_sweep *sweep)
{
	struct group *found = NULL;

	for (size_t i = 0; i < sweep->group_count; i++)
		if (!found || sweep->groups[i]->count > found->count)
			found = sweep->groups[i];
	return found;
}

static void empty_group(struct poller_sweep *sweep, struct group *group)
{
	for (size_t i = 0; i < group->count; i++)
		mem_free(group->run_ids[i]);
	sweep->held -= group->count;
	group->count = 0;
}

/* Stops when a group is full: then there is something to ask. */
static bool gather(void *arg, const struct queue_ref *ref)
{
	struct poller_sweep *sweep = arg;
	struct group *group;
	size_t cluster;
	struct err err;

	sweep->last_job_id = ref->job_id;
	sweep->read++;
	if (world_cluster_of(sweep->poller->world, ref->repo, &cluster, &err))
		return true;
	group = find_group(sweep, cluster, ref->ns);
	group->run_ids[group->count++] = str_dup(ref->wait_ref);
	sweep->held++;
	return group->count < CALL_MAX && sweep->held < HELD_MAX;
}

/* Reads on until there is a call's worth, or enough for one turn. */
static void read_on(struct poller_sweep *sweep)
{
	size_t before = 0;
	struct group *group;
	struct err err;

	sweep->read = 0;
	while (!sweep->at_end && sweep->read < READ_MAX) {
		group = fullest(sweep);
		if (group && (group->count == CALL_MAX || sweep->held >= HELD_MAX))
			return;
		before = sweep->read;
		if (queue_parked(sweep->poller->hands.reader, WAIT_RUN, sweep->last_job_id,
				 CALL_MAX, gather, sweep, &err))
			return;
		sweep->at_end = sweep->read == before;
	}
}

static void ask(struct poller_sweep *sweep, struct group *group)
{
	struct poller *poller = sweep->poller;
	char **ended = NULL;
	size_t count = 0;
	struct err err;

	if (kfp_runs_ended(poller->world->clusters[group->cluster],
			   hands_kfp_http(&poller->hands, group->cluster), group->ns,
			   (const char *const *)group->run_ids, group->count, &ended, &count, &err))
		log_info("sweep_failed", LOG_S("namespace", group->ns), LOG_S("message", err.msg));
	else
		poller_wake(poller->world, ended, count);
	for (size_t i = 0; i < count; i++)
		mem_free(ended[i]);
	mem_free(ended);
	empty_group(sweep, group);
}

static struct poller_sweep *begin(struct poller *poller, int64_t now_ms)
{
	struct poller_sweep *sweep = mem_new(1, sizeof *sweep);
	int64_t calls;

	pthread_mutex_lock(&poller->world->mutex);
	calls = poller->parked / CALL_MAX + (int64_t)poller->world->namespace_count + 1;
	pthread_mutex_unlock(&poller->world->mutex);
	sweep->poller = poller;
	sweep->began_ms = now_ms;
	sweep->gap_ms = poller->sweep_interval_ms / calls;
	if (sweep->gap_ms > GAP_MAX_MS)
		sweep->gap_ms = GAP_MAX_MS;
	if (sweep->gap_ms < 1)
		sweep->gap_ms = 1;
	return sweep;
}

void poller_sweep_free(struct poller_sweep *take_sweep)
{
	if (!take_sweep)
		return;
	for (size_t i = 0; i < take_sweep->group_count; i++) {
		empty_group(take_sweep, take_sweep->groups[i]);
		mem_free(take_sweep->groups[i]->ns);
		mem_free(take_sweep->groups[i]);
	}
	mem_free(take_sweep->groups);
	mem_free(take_sweep);
}

void poller_sweep(struct poller *poller, int64_t now_ms)
{
	struct poller_duty *duty = &poller->duties[POLLER_SWEEP];
	struct group *group;
	int64_t left_ms;

	if (!poller->sweep)
		poller->sweep = begin(poller, now_ms);
	read_on(poller->sweep);
	group = fullest(poller->sweep);
	if (group && group->count)
		ask(poller->sweep, group);
	if (!poller->sweep->at_end || poller->sweep->held) {
		duty->every_ms = poller->sweep->gap_ms;
		return;
	}
	left_ms = poller->sweep->began_ms + poller->sweep_interval_ms - now_ms;
	duty->every_ms = left_ms > poller->sweep->gap_ms ? left_ms : poller->sweep->gap_ms;
	poller_sweep_free(poller->sweep);
	poller->sweep = NULL;
}
