/* poller_repos.c - the repositories that are asked for what was missed: those the operator's file
 * names one by one, those of which there are jobs, and, where a star allows more, those of the
 * token's user. An App needs no such list: all webhooks that failed are in its own log. */
#include "bot/poller_impl.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/services/github_missed.h"
#include "lib/store/queue.h"

static struct poller_repo *find(struct poller *poller, const char *name)
{
	for (size_t i = 0; i < poller->repo_count; i++)
		if (str_eq_nocase(poller->repos[i].name, name))
			return &poller->repos[i];
	return NULL;
}

static struct poller_repo *add(struct poller *poller, const char *name)
{
	struct poller_repo *repo = find(poller, name);

	if (repo || poller->repo_count == POLLER_REPOS_MAX ||
	    config_cluster_of_repo(poller->world->config, name) < 0)
		return repo;
	poller->repos = mem_grow(poller->repos, (poller->repo_count + 1) * sizeof *poller->repos);
	repo = &poller->repos[poller->repo_count++];
	*repo = (struct poller_repo){.name = str_dup(name)};
	return repo;
}

void poller_repos_read(struct poller *poller)
{
	struct queue_repo known = {0};
	const char *name;
	struct err err;

	for (size_t i = 0; (name = config_named_repo(poller->world->config, i)); i++)
		add(poller, name);
	while (!queue_repo_next(poller->hands.reader, known.id, &known, &err)) {
		struct poller_repo *repo = add(poller, known.name);

		if (!repo)
			continue;
		repo->id = known.id;
		repo->installation_id = known.installation_id;
	}
}

static bool note_repository(void *arg, const struct github_target *found)
{
	struct poller *poller = arg;
	struct poller_repo *repo = add(poller, found->repo);

	if (repo)
		repo->id = found->repo_id;
	return poller->repo_count < POLLER_REPOS_MAX && !atomic_load(&poller->world->stopping);
}

void poller_repositories(struct poller *poller, int64_t now_ms)
{
	struct err err = {0};

	(void)now_ms;
	if (!poller->receive || poller->world->app_mode || !config_has_star(poller->world->config))
		return;
	err.class = github_repositories(poller->world->github, poller->hands.github_http,
					note_repository, poller, &err);
	credentials_note(poller->world, CREDENTIALS_GITHUB, &err);
	if (err.class)
		log_info("repositories_unread", LOG_S("message", err.msg));
	if (poller->repo_count == POLLER_REPOS_MAX)
		log_warn("repositories_cut", LOG_I("kept", POLLER_REPOS_MAX));
}

struct github_target poller_repo_target(const struct poller_repo *repo)
{
	return (struct github_target){
		.installation_id = repo->installation_id, .repo_id = repo->id, .repo = repo->name};
}

void poller_repos_free(struct poller *poller)
{
	for (size_t i = 0; i < poller->repo_count; i++)
		mem_free(poller->repos[i].name);
	mem_free(poller->repos);
}
