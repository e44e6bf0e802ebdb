/* effects_forks.c - what is known of a pull request from a fork: whether a maintainer has allowed
 * its commit, and whether that person still may. */
#include "bot/effects_impl.h"
#include "lib/base/clock.h"
#include "lib/store/forks.h"

/* Rights that were lost since count as lost; a name that somebody else has now is nobody's. */
static enum err_class keep_may(struct effect_call *call, json_t *ok, struct err *err)
{
	struct github_target to = effect_target(call);
	const char *login = jval_str(ok, "person", "");
	struct github_permission seen = {0};
	enum err_class class = github_permission(call->hands->world->github,
						 call->hands->github_http, &to, login, &seen, err);

	if (class && class != ERR_NOT_FOUND)
		return err_wrap(err, "could not verify what %.60s may do", login);
	jval_set_bool(ok, "may",
		      !class && seen.maintain && seen.user_id == jval_int(ok, "person_id", 0));
	return ERR_OK;
}

static enum err_class keep_ok(struct effect_call *call, const char *sha, struct err *err)
{
	json_t *ok = NULL;
	enum err_class class =
		fork_ok_get(call->hands->reader, call->job->repo_id, call->job->pr, sha, &ok, err);

	if (class == ERR_NOT_FOUND)
		return ERR_OK;
	if (class)
		return class;
	jval_set(call->data, "ok", ok);
	return keep_may(call, ok, err);
}

/* A short name must be that of one commit only, also of those that were heads before. */
static enum err_class keep_alike(struct effect_call *call, const char *typed, struct err *err)
{
	json_t *alike = NULL, *found = json_object_get(call->data, "typed");
	enum err_class class = fork_heads_alike(call->hands->reader, call->job->repo_id,
						call->job->pr, typed, &alike, err);

	if (class)
		return class;
	must(found);
	jval_set(found, "heads", alike);
	return ERR_OK;
}

enum err_class effect_fork_facts(struct effect_call *call, const struct github_pull *pull,
				 struct err *err)
{
	const char *of = jval_str(call->args, "of", pull->head_sha);
	const char *typed = jval_str(call->args, "typed", NULL);

	if (pull->head_repo_id == pull->base_repo_id)
		return ERR_OK;
	if (pull->open && typed && keep_alike(call, typed, err))
		return err->class;
	return keep_ok(call, of, err);
}

struct ok_op {
	const struct effect_call *call;
};

static enum err_class run_ok(struct db *db, void *arg, struct err *err)
{
	const struct effect_call *call = ((struct ok_op *)arg)->call;

	return fork_ok_add(db, call->job, jval_bool(call->args, "build_only", false),
			   clock_now_ms(), err);
}

enum err_class effect_ok_to_run(struct effect_call *call, struct err *err)
{
	struct ok_op op = {.call = call};

	return writer_call(call->hands->world->writer, run_ok, &op, err);
}
