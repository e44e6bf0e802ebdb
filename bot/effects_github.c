/* effects_github.c - effects that ask GitHub. */
#include "bot/effects_impl.h"
#include "lib/services/github_commits.h"
#include "lib/store/queue.h"

enum { APPEARS_AFTER_TRIES = 3 };

static void keep_pull(json_t *out, const struct github_pull *pull)
{
	jval_set_bool(out, "open", pull->open);
	jval_set_bool(out, "merged", pull->merged);
	jval_set_bool(out, "draft", pull->draft);
	jval_set_bool(out, "locked", pull->locked);
	jval_set_str(out, "head_sha", pull->head_sha);
	jval_set_str(out, "head_ref", pull->head_ref);
	jval_set_str(out, "base_ref", pull->base_ref);
	jval_set_str(out, "html_url", pull->html_url);
	jval_set_int(out, "head_repo_id", pull->head_repo_id);
	jval_set_int(out, "base_repo_id", pull->base_repo_id);
	jval_set_int(out, "author_id", pull->author_id);
}

/* What GitHub does not want to say proves nothing; that is told by an empty object. */
static enum err_class ask_pushes(struct effect_call *call, const struct github_pull *pull,
				 struct err *err)
{
	struct github_target to = effect_target(call);
	struct pin_pushes pushes;
	json_t *out = json_object();
	enum err_class class = github_pushes(call->hands->world->github, call->hands->github_http,
					     &to, pull, &pushes, err);

	jval_set(call->data, "pushes", out);
	if (class == ERR_TRANSIENT || class == ERR_THROTTLED)
		return class;
	err->class = ERR_OK;
	if (class)
		return ERR_OK;
	jval_set_int(out, "opened_at_ms", pushes.opened_at_ms);
	jval_set_int(out, "pushed_at_ms", pushes.pushed_at_ms);
	jval_set_int(out, "forced_at_ms", pushes.forced_at_ms);
	jval_set_str(out, "forced_to", pushes.forced_to);
	return ERR_OK;
}

static enum err_class find_typed(struct effect_call *call, const struct github_pull *pull,
				 const char *text, struct err *err)
{
	struct github_target to = effect_target(call);
	struct github_commit_search search = {call->job->pr, pull, text};
	json_t *found = NULL;
	enum err_class class = github_commits_find(
		call->hands->world->github, call->hands->github_http, &to, &search, &found, err);

	if (class)
		return err_wrap(err, "cannot list the commits of the pull request");
	jval_set(call->data, "typed", found);
	return ERR_OK;
}

enum err_class effect_pull(struct effect_call *call, struct err *err)
{
	struct github_target to = effect_target(call);
	const char *typed = jval_str(call->args, "typed", NULL);
	struct github_pull pull;
	json_t *heads = NULL;
	enum err_class class = github_pull(call->hands->world->github, call->hands->github_http,
					   &to, call->job->pr, &pull, err);

	/* the webhook may be faster than the API */
	if (class == ERR_NOT_FOUND && call->job->tries < APPEARS_AFTER_TRIES)
		return err->class = ERR_TRANSIENT;
	if (class)
		return err_wrap(err, "cannot read the pull request");
	keep_pull(call->data, &pull);
	if (pull.open && typed && (class = find_typed(call, &pull, typed, err)) != ERR_OK)
		return class;
	if (pull.open && jval_bool(call->args, "pushes", false) &&
	    (class = ask_pushes(call, &pull, err)) != ERR_OK)
		return class;
	if ((class = effect_fork_facts(call, &pull, err)) != ERR_OK)
		return class;
	/* after GitHub was asked, so that what is heard of meanwhile counts */
	class = queue_heads(call->hands->reader, call->job->repo_id, call->job->pr, &heads, err);
	if (class)
		return class;
	jval_set(call->data, "heads", heads);
	return ERR_OK;
}
