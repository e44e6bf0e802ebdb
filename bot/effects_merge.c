/* effects_merge.c - effects on GitHub that belong to a deployment: its facts, its object, the
 * label, the merge, at once or through the queue, and the branch that is left. */
#include "bot/effects_impl.h"
#include "lib/services/github.h"
#include "lib/services/github_queue.h"
#include "lib/store/deployments.h"
#include "lib/store/policies.h"

static struct github_merge_question question_of(const struct effect_call *call)
{
	return (struct github_merge_question){
		.pr = call->job->pr,
		.sha = jval_str(call->args, "sha", ""),
		.method = jval_str(call->args, "method", "merge"),
		.known = json_object_get(call->job->data, "facts"),
	};
}

int64_t effect_approvals_needed(const struct effect_call *call, const struct job *about)
{
	int64_t operators =
		str_eq(jval_str(about->data, "rollout.environment", "production"), "production")
			? config_approvals_of_repo(call->hands->world->config, about->repo)
			: 0;
	int64_t policys = jval_int(about->data, "policy.approvals", 0);

	return operators > policys ? operators : policys;
}

/* "held", "held_by", "held_reason" of the pull request. */
static enum err_class add_hold(struct effect_call *call, struct err *err)
{
	AUTO_JSON json_t *hold = NULL;
	enum err_class class = policies_hold_get(call->hands->reader, call->job->repo_id,
						 call->job->pr, &hold, err);

	if (class && class != ERR_NOT_FOUND)
		return class;
	jval_set_bool(call->data, "held", hold != NULL);
	jval_set_str(call->data, "held_by", jval_str(hold, "person", ""));
	jval_set_str(call->data, "held_reason", jval_str(hold, "reason", ""));
	return err->class = ERR_OK;
}

/* Does the environment that comes before serve this commit, by our own record? */
static enum err_class add_previous(struct effect_call *call, struct err *err)
{
	const char *after = jval_str(call->args, "after", NULL);
	AUTO_JSON json_t *live = NULL;
	enum err_class class;

	if (!after)
		return ERR_OK;
	class = deployment_live(call->hands->reader, call->job->repo_id, after, &live, err);
	if (class && class != ERR_NOT_FOUND)
		return class;
	jval_set_bool(call->data, "previous_has_sha",
		      str_eq(jval_str(live, "sha", ""), jval_str(call->args, "sha", "?")));
	return err->class = ERR_OK;
}

/* What was recorded of what serves, for thresholds that compare: "live" of thresholds_judge. */
static enum err_class add_live(struct effect_call *call, struct err *err)
{
	const json_t *against = jval_at(call->args, "against"), *name;
	json_t *live = json_object();
	size_t i;

	jval_set(call->data, "live", live);
	json_array_foreach(against, i, name)
	{
		const char *environment = json_string_value(name);
		AUTO_JSON json_t *row = NULL;
		enum err_class class = deployment_live(call->hands->reader, call->job->repo_id,
						       environment, &row, err);
		json_t *one = class ? json_null() : json_object();

		if (class && class != ERR_NOT_FOUND)
			return class;
		if (!class && jval_at(row, "plan.metrics"))
			jval_set(one, "metrics", json_incref(jval_at(row, "plan.metrics")));
		jval_set(live, environment, one);
	}
	return err->class = ERR_OK;
}

enum err_class effect_merge_facts(struct effect_call *call, struct err *err)
{
	struct github_merge_question question = question_of(call);
	struct github_target to = effect_target(call);
	json_t *facts = NULL;

	if (github_merge_facts(call->hands->world->github, call->hands->github_http, &to, &question,
			       &facts, err))
		return err->class;
	json_object_update(call->data, facts);
	json_decref(facts);
	jval_set_int(call->data, "approvals_needed", effect_approvals_needed(call, call->job));
	if (add_hold(call, err) || add_previous(call, err) || add_live(call, err))
		return err->class;
	return ERR_OK;
}

/* GitHub merges into whatever the base is by then, and is told the head alone. A rollout takes its
 * time, and the gates have asked about the rules of the base as it was. */
static enum err_class check_base(struct effect_call *call, const struct github_target *to,
				 struct err *err)
{
	const char *base = jval_str(call->args, "base", "");
	struct github_pull pull;
	enum err_class class = github_pull(call->hands->world->github, call->hands->github_http, to,
					   call->job->pr, &pull, err);

	if (class)
		return err_wrap(err, "cannot read the pull request");
	if (pull.merged || !*base || str_eq(pull.base_ref, base))
		return ERR_OK;
	return err_code(err, ERR_USER, "merge.base_changed",
			"its base branch is `%.100s` now, not `%.100s`", pull.base_ref, base);
}

enum err_class effect_merge(struct effect_call *call, struct err *err)
{
	struct github_merge_question question = question_of(call);
	struct github_target to = effect_target(call);
	char merged[65] = "";

	if (check_base(call, &to, err))
		return err->class;
	if (github_merge(call->hands->world->github, call->hands->github_http, &to, &question,
			 call->in_doubt, merged, err))
		return err->class;
	jval_set_str(call->data, "merged_sha", merged);
	return ERR_OK;
}

enum err_class effect_enqueue(struct effect_call *call, struct err *err)
{
	struct github_merge_question question = question_of(call);
	struct github_target to = effect_target(call);
	json_t *state = NULL;

	if (check_base(call, &to, err))
		return err->class;
	if (github_enqueue(call->hands->world->github, call->hands->github_http, &to, &question,
			   &state, err))
		return err->class;
	json_object_update(call->data, state);
	json_decref(state);
	return ERR_OK;
}

enum err_class effect_dequeue(struct effect_call *call, struct err *err)
{
	struct github_target to = effect_target(call);

	if (github_dequeue(call->hands->world->github, call->hands->github_http, &to, call->job->pr,
			   err))
		return err->class;
	return ERR_OK;
}

enum err_class effect_queue_look(struct effect_call *call, struct err *err)
{
	struct github_target to = effect_target(call);
	json_t *state = NULL;

	if (github_queue_look(call->hands->world->github, call->hands->github_http, &to,
			      call->job->pr, &state, err))
		return err->class;
	json_object_update(call->data, state);
	json_decref(state);
	return ERR_OK;
}

enum err_class effect_branch_delete(struct effect_call *call, struct err *err)
{
	struct github_target to = effect_target(call);
	struct github_branch branch = {
		.repository_id = jval_str(call->args, "repository_id", ""),
		.name = jval_str(call->args, "branch", ""),
		.sha = jval_str(call->args, "sha", ""),
	};
	char why[ERR_MSG_MAX];

	if (github_branch_delete(call->hands->world->github, call->hands->github_http, &to, &branch,
				 why, err))
		return err->class;
	if (*why)
		jval_set_str(call->data, "why", why);
	return ERR_OK;
}

/* Is the pull request open that an environment is kept for? One that is gone counts as closed. */
enum err_class effect_holder_look(struct effect_call *call, struct err *err)
{
	struct github_target to = effect_target(call);
	struct github_pull pull = {0};
	enum err_class class = github_pull(call->hands->world->github, call->hands->github_http,
					   &to, jval_int(call->args, "pr", 0), &pull, err);

	if (class && class != ERR_NOT_FOUND)
		return err_wrap(err, "cannot read the pull request that has the environment");
	err->class = ERR_OK;
	json_object_update(call->data, json_object_get(call->args, "turn"));
	jval_set_int(call->data, "holder", jval_int(call->args, "pr", 0));
	jval_set_bool(call->data, "open", !class && pull.open);
	return ERR_OK;
}

/* "payload" is what a deployment that was made before a crash is known by. */
static json_t *deployment_body(const struct effect_call *call)
{
	const char *environment = jval_str(call->args, "environment", "");
	json_t *body = json_object(), *payload = json_object();

	jval_set_str(body, "ref", jval_str(call->args, "sha", ""));
	jval_set_str(body, "environment", environment);
	jval_set_bool(body, "production_environment", str_eq(environment, "production"));
	jval_set_str(body, "description", "Model of a pipeline run");
	jval_set_str(payload, "job", call->job->uid);
	jval_set_str(payload, "run_id", jval_str(call->args, "run_id", ""));
	jval_set_str(payload, "sha", jval_str(call->args, "sha", ""));
	jval_set_str(payload, "model_digest", jval_str(call->args, "model_digest", ""));
	jval_set(body, "payload", payload);
	return body;
}

enum err_class effect_deployment_create(struct effect_call *call, struct err *err)
{
	struct github_target to = effect_target(call);
	AUTO_JSON json_t *body = deployment_body(call);
	int64_t id = 0;

	if (github_deployment_create(call->hands->world->github, call->hands->github_http, &to,
				     body, call->in_doubt, &id, err))
		return err->class;
	jval_set_int(call->data, "id", id);
	return ERR_OK;
}

enum err_class effect_deployment_status(struct effect_call *call, struct err *err)
{
	static const char *const optional[] = {"environment_url", "log_url", "description"};
	struct github_target to = effect_target(call);
	AUTO_JSON json_t *body = json_object();

	jval_set_str(body, "state", jval_str(call->args, "state", ""));
	jval_set_str(body, "environment", jval_str(call->args, "environment", ""));
	jval_set_bool(body, "auto_inactive", jval_bool(call->args, "auto_inactive", true));
	for (size_t i = 0; i < ARRAY_LEN(optional); i++)
		if (*jval_str(call->args, optional[i], ""))
			jval_set_str(body, optional[i], jval_str(call->args, optional[i], ""));
	return github_deployment_status(call->hands->world->github, call->hands->github_http, &to,
					jval_int(call->args, "id", 0), body, call->in_doubt, err);
}

enum err_class effect_label_move(struct effect_call *call, struct err *err)
{
	struct github_target to = effect_target(call);

	return github_label_move(call->hands->world->github, call->hands->github_http, &to,
				 jval_int(call->args, "pr", call->job->pr),
				 jval_str(call->args, "label", ""), err);
}
