/* effects_github.c - effects that ask GitHub. */
#include "bot/effects_impl.h"
#include "lib/store/queue.h"

enum { APPEARS_AFTER_TRIES = 3 };

enum err_class effect_permission(struct effect_call *call, struct err *err)
{
	struct github_target to = effect_target(call);
	struct github_permission seen = {0};
	enum err_class class =
		github_permission(call->hands->world->github, call->hands->github_http, &to,
				  call->job->actor, &seen, err);

	/* somebody GitHub does not know here has no rights: an answer, not a failure */
	if (class && class != ERR_NOT_FOUND)
		return err_wrap(err, "could not verify what %s may do", call->job->actor);
	err->class = ERR_OK;
	jval_set_int(call->data, "user_id", seen.user_id);
	jval_set_bool(call->data, "pull", seen.pull);
	jval_set_bool(call->data, "triage", seen.triage);
	jval_set_bool(call->data, "push", seen.push);
	jval_set_bool(call->data, "maintain", seen.maintain);
	jval_set_bool(call->data, "admin", seen.admin);
	return ERR_OK;
}

enum err_class effect_pull(struct effect_call *call, struct err *err)
{
	struct github_target to = effect_target(call);
	struct github_pull pull;
	char recorded[65];
	enum err_class class = github_pull(call->hands->world->github, call->hands->github_http,
					   &to, call->job->pr, &pull, err);

	/* the webhook may be faster than the API */
	if (class == ERR_NOT_FOUND && call->job->tries < APPEARS_AFTER_TRIES)
		return err->class = ERR_TRANSIENT;
	if (class)
		return err_wrap(err, "cannot read the pull request");
	jval_set_bool(call->data, "open", pull.open);
	jval_set_bool(call->data, "merged", pull.merged);
	jval_set_bool(call->data, "draft", pull.draft);
	jval_set_bool(call->data, "locked", pull.locked);
	jval_set_str(call->data, "head_sha", pull.head_sha);
	jval_set_str(call->data, "head_ref", pull.head_ref);
	jval_set_str(call->data, "base_ref", pull.base_ref);
	jval_set_str(call->data, "html_url", pull.html_url);
	jval_set_int(call->data, "head_repo_id", pull.head_repo_id);
	jval_set_int(call->data, "base_repo_id", pull.base_repo_id);
	class = queue_head(call->hands->reader, call->job->repo_id, call->job->pr,
			   call->job->comment_at_ms, recorded, err);
	if (class && class != ERR_NOT_FOUND)
		return class;
	err->class = ERR_OK;
	if (!class)
		jval_set_str(call->data, "recorded_sha", recorded);
	return ERR_OK;
}
