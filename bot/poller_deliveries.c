/* poller_deliveries.c - deliveries that were not answered 2xx.
 *
 * GitHub keeps them for three days and never repeats one by itself. Every minute the newest page of
 * the App's deliveries, or in token mode of the hooks of some repositories, is read back to where
 * the last look began (by GitHub's clock: ours may be another); of each GUID that no attempt
 * brought, the payload is fetched over our own authenticated connection and taken in like a
 * webhook. The queue's two keys against doubles make a second look harmless. A GUID that failed
 * three times is left alone, so a payload that breaks something cannot come back for ever; that
 * GitHub or the disk cannot just now does not count, and the next look begins where this one did.
 */
#include <string.h>

#include "bot/credentials.h"
#include "bot/poller_impl.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/core/event.h"
#include "lib/services/github_missed.h"

enum {
	MISSED_MAX = 500,
	TRIES_MAX = 3,
	OVERLAP_MS = 600000,
	KEPT_MS = 3 * 86400000,
	HOOKS_A_TURN = 10,	 /* repositories; two calls each */
	HOOK_AGAIN_MS = 3600000, /* until it is asked again whether we may look */
};

struct missed {
	int64_t id;
	char guid[64], event[64];
};

struct look {
	struct poller *poller;
	const struct github_hook *hook; /* NULL: the App's */
	int64_t since_ms; /* GitHub's clock, like what it is compared with; 0: from the beginning */
	int64_t newest_ms; /* of what GitHub has */
	bool again;	   /* not all of it was looked at, or came in */
	struct missed items[MISSED_MAX];
	size_t count;
	char (*brought)[64]; /* GUIDs that some attempt brought */
	size_t brought_count;
};

static bool is_brought(const struct look *look, const char *guid)
{
	for (size_t i = 0; i < look->brought_count; i++)
		if (str_eq(look->brought[i], guid))
			return true;
	return false;
}

int64_t poller_noted(struct poller *poller, const char *key, int64_t fallback)
{
	char text[64], *at;
	struct err err;
	int64_t value;

	if (db_meta_get(poller->hands.reader, key, text, sizeof text, &err))
		return fallback;
	at = strchr(text, '@');
	if (at)
		*at = '\0';
	return str_to_int64(&value, text) ? value : fallback;
}

static int64_t tries_of(struct poller *poller, const char *guid)
{
	AUTO_FREE char *key = str_printf("redeliver:%s", guid);

	return poller_noted(poller, key, 0);
}

/* It is in, or was given up. */
static bool is_settled(struct poller *poller, const char *guid)
{
	return tries_of(poller, guid) >= TRIES_MAX;
}

/* Newest first, so a later successful attempt is seen before the one that failed. */
static bool collect(void *arg, const struct github_delivery *delivery)
{
	struct look *look = arg;
	struct missed *missed;

	if (!look->newest_ms) {
		look->newest_ms = delivery->delivered_at_ms;
		if (look->newest_ms < look->since_ms) /* GitHub's clock was put back */
			look->since_ms = 0;
	}
	if (delivery->delivered_at_ms < look->since_ms)
		return false;
	if (delivery->ok) {
		look->brought =
			mem_grow(look->brought, (look->brought_count + 1) * sizeof *look->brought);
		str_copy(look->brought[look->brought_count++], 64, delivery->guid);
		return true;
	}
	if (!event_is_read(delivery->event) || event_is_hint(delivery->event) ||
	    is_brought(look, delivery->guid))
		return true;
	for (size_t i = 0; i < look->count; i++)
		if (str_eq(look->items[i].guid, delivery->guid))
			return true;
	if (is_settled(look->poller, delivery->guid))
		return true;
	if (look->count == MISSED_MAX) {
		look->again = true; /* the older ones are next, when these are settled */
		return false;
	}
	missed = &look->items[look->count++];
	missed->id = delivery->id;
	str_copy(missed->guid, sizeof missed->guid, delivery->guid);
	str_copy(missed->event, sizeof missed->event, delivery->event);
	return true;
}

struct meta_op {
	const char *key, *value;
	int64_t before_ms;
};

static enum err_class run_meta_set(struct db *db, void *arg, struct err *err)
{
	struct meta_op *op = arg;

	return db_meta_set(db, op->key, op->value, err);
}

static enum err_class run_meta_forget(struct db *db, void *arg, struct err *err)
{
	struct meta_op *op = arg;

	return db_meta_forget(db, op->key, op->before_ms, err);
}

/* Values are "NUMBER@TIME", so that old ones can be forgotten. */
void poller_note(struct poller *poller, const char *key, int64_t value, int64_t now_ms)
{
	AUTO_FREE char *text = str_printf("%lld@%lld", (long long)value, (long long)now_ms);
	struct meta_op op = {.key = key, .value = text};
	struct err err;

	if (writer_call(poller->world->writer, run_meta_set, &op, &err))
		log_warn("meta_failed", LOG_S("message", err.msg));
}

/* The try is counted before the payload is read, which may be what ends the process. False: not
 * now, for a reason that passes. */
static bool recover(struct look *look, const struct missed *missed, int64_t now_ms)
{
	struct poller *poller = look->poller;
	AUTO_FREE char *key = str_printf("redeliver:%s", missed->guid), *payload = NULL;
	int64_t tries = tries_of(poller, missed->guid);
	struct err err = {0};
	enum err_class class =
		github_delivery_payload(poller->world->github, poller->hands.github_http,
					look->hook, missed->id, &payload, &err);
	bool fetched = class == ERR_OK;

	if (err_is_retried(class))
		return false;
	poller_note(poller, key, tries + 1, now_ms);
	if (fetched)
		class = receive_payload(poller->receive, missed->event, missed->guid, payload,
					strlen(payload), 1, &err);
	if (err_is_retried(class)) {
		poller_note(poller, key, tries, now_ms);
		return false;
	}
	if (class) {
		log_info("recover_failed", LOG_S("delivery", missed->guid),
			 LOG_S("message", err.msg));
		if (tries + 1 == TRIES_MAX)
			log_error("delivery_quarantined", LOG_S("delivery", missed->guid));
		return tries + 1 >= TRIES_MAX;
	}
	poller_note(poller, key, TRIES_MAX, now_ms); /* it is in: not to be fetched again */
	log_info("delivery_recovered", LOG_S("delivery", missed->guid),
		 LOG_S("kind", missed->event));
	return true;
}

void poller_deliveries_forget(struct poller *poller, int64_t now_ms)
{
	struct meta_op op = {.key = "redeliver:", .before_ms = now_ms - 2 * (int64_t)KEPT_MS};
	struct err err;

	if (writer_call(poller->world->writer, run_meta_forget, &op, &err))
		log_warn("meta_failed", LOG_S("message", err.msg));
}

/* `hook` NULL: the App's. */
static void look_back(struct poller *poller, const struct github_hook *hook, int64_t now_ms)
{
	AUTO_FREE char *key = hook ? str_printf("deliveries_looked_at:%s", hook->repo.repo)
				   : str_dup("deliveries_looked_at");
	struct look *look = mem_new(1, sizeof *look);
	int64_t noted_ms;
	struct err err = {0};

	look->poller = poller;
	look->hook = hook;
	look->since_ms = noted_ms = poller_noted(poller, key, 0);
	err.class = github_deliveries(poller->world->github, poller->hands.github_http, hook,
				      collect, look, &err);
	credentials_note(poller->world, CREDENTIALS_GITHUB, &err);
	if (err.class) {
		log_info("deliveries_failed", LOG_S("message", err.msg));
	} else {
		/* oldest first, as they would have come */
		for (size_t i = look->count; i > 0 && !atomic_load(&poller->world->stopping); i--)
			look->again |= !recover(look, &look->items[i - 1], now_ms);
		look->again |= atomic_load(&poller->world->stopping);
		if (!look->again && look->newest_ms && look->newest_ms - OVERLAP_MS != noted_ms)
			poller_note(poller, key, look->newest_ms - OVERLAP_MS, now_ms);
	}
	mem_free(look->brought);
	mem_free(look);
}

/* The webhook of a repository that brings us its events. That we may not look is said once: it
 * takes more rights than the rest of the work, and the comments are looked at in any case. */
static bool find_hook(struct poller *poller, struct poller_repo *repo, int64_t now_ms)
{
	const struct github_target target = poller_repo_target(repo);
	struct err err = {0};

	if (repo->hook_id || now_ms < repo->ask_hook_ms)
		return repo->hook_id != 0;
	if (!github_hook_find(poller->world->github, poller->hands.github_http, &target,
			      config_text(poller->world->config, "server.webhook_path"),
			      &repo->hook_id, &err))
		return true;
	if (!err_is_retried(err.class)) {
		repo->ask_hook_ms = now_ms + HOOK_AGAIN_MS;
		if (!poller->said_no_hooks)
			log_info("hook_unread", LOG_S("repo", repo->name),
				 LOG_S("message", err.msg),
				 LOG_S("effect", "missed commands are found by their comments"));
		poller->said_no_hooks = true;
	}
	return false;
}

/* Each repository has a hook of its own, so that a turn looks at some of them only. */
static void look_at_hooks(struct poller *poller, int64_t now_ms)
{
	if (!poller->next_hook)
		poller_repos_read(poller);
	for (int i = 0; i < HOOKS_A_TURN && poller->next_hook < poller->repo_count; i++) {
		struct poller_repo *repo = &poller->repos[poller->next_hook++];
		struct github_hook hook = {.repo = poller_repo_target(repo)};

		if (atomic_load(&poller->world->stopping) || !find_hook(poller, repo, now_ms))
			continue;
		hook.id = repo->hook_id;
		look_back(poller, &hook, now_ms);
	}
	if (poller->next_hook == poller->repo_count)
		poller->next_hook = 0;
}

void poller_deliveries(struct poller *poller, int64_t now_ms)
{
	if (!poller->receive)
		return;
	if (poller->world->app_mode)
		look_back(poller, NULL, now_ms);
	else
		look_at_hooks(poller, now_ms);
}
