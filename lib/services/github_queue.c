/* github_queue.c - see github_queue.h.
 *
 * GitHub's words for a refusal are many and change, so they are only passed on: what a refusal
 * means is read from the pull request as it is afterwards. */
#include "lib/services/github_queue.h"

#include <string.h>

#include "lib/base/str.h"
#include "lib/services/github_impl.h"

static const char enqueue_order[] =
	"mutation($id: ID!, $oid: GitObjectID!) { enqueuePullRequest(input: {pullRequestId: $id, "
	"expectedHeadOid: $oid}) { mergeQueueEntry { id position state } } }";
static const char dequeue_order[] = "mutation($id: ID!) { dequeuePullRequest(input: {id: $id}) { "
				    "mergeQueueEntry { id } } }";
static const char delete_order[] =
	"mutation($repo: ID!, $name: GitRefname!, $before: GitObjectID!, $after: GitObjectID!) { "
	"updateRefs(input: {repositoryId: $repo, refUpdates: [{name: $name, beforeOid: $before, "
	"afterOid: $after}]}) { clientMutationId } }";

enum err_class github_queue_look(struct github *gh, struct http *http,
				 const struct github_target *to, int64_t pr, json_t **out,
				 struct err *err)
{
	static const char *const kept[] = {"pull_id",	 "open",     "merged",
					   "merged_sha", "head_sha", "queue"};
	AUTO_JSON json_t *state = json_object();
	enum err_class class = github_pull_state(gh, http, to, pr, state, err);

	*out = NULL;
	if (class)
		return class;
	*out = json_object();
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (json_object_get(state, kept[i]))
			jval_set(*out, kept[i], json_incref(json_object_get(state, kept[i])));
	return ERR_OK;
}

/* Is what was wanted the case, whoever did it? */
static bool is_settled(const json_t *state, const char *sha)
{
	return str_eq(jval_str(state, "head_sha", ""), sha) &&
	       (jval_bool(state, "merged", false) || jval_bool(state, "queue.in", false));
}

/* After a refusal; `err` holds GitHub's words. */
static enum err_class refusal(const json_t *state, const char *sha, struct err *err)
{
	if (!str_eq(jval_str(state, "head_sha", ""), sha))
		return err_code(err, ERR_CONFLICT, "merge.moved",
				"the head of the pull request is another commit now");
	if (!jval_bool(state, "open", false))
		return err_code(err, ERR_USER, "merge.closed", "the pull request is closed");
	str_copy(err->code, sizeof err->code, "merge.refused");
	return err->class = ERR_USER;
}

static enum err_class send_enqueue(struct github *gh, struct http *http,
				   const struct github_target *to, const char *pull_id,
				   const char *sha, json_t *out, struct err *err)
{
	AUTO_ANSWER struct github_answer answer = {0};
	struct github_query query = {enqueue_order, json_object(), GITHUB_WRITE};
	json_t *queue = json_object();
	enum err_class class;

	jval_set_str(query.variables, "id", pull_id);
	jval_set_str(query.variables, "oid", sha);
	class = github_graphql(gh, http, to, &query, &answer, err);
	jval_set_bool(queue, "in", true);
	jval_set_int(queue, "position",
		     jval_int(answer.json, "data.enqueuePullRequest.mergeQueueEntry.position", 0));
	jval_set(out, "queue", queue);
	return class;
}

/* The look before gives the node's id, and shows what was done before a crash. */
enum err_class github_enqueue(struct github *gh, struct http *http, const struct github_target *to,
			      const struct github_merge_question *question, json_t **out,
			      struct err *err)
{
	AUTO_JSON json_t *before = NULL, *after = NULL;
	struct err unwanted = {0}, unread = {0};
	enum err_class class;

	err = err ? err : &unwanted;
	*out = NULL;
	class = github_queue_look(gh, http, to, question->pr, &before, err);
	if (class)
		return class;
	if (is_settled(before, question->sha)) {
		*out = take(before);
		return ERR_OK;
	}
	if (!str_eq(jval_str(before, "head_sha", ""), question->sha) ||
	    !jval_bool(before, "open", false))
		return refusal(before, question->sha, err);
	class = send_enqueue(gh, http, to, jval_str(before, "pull_id", ""), question->sha, before,
			     err);
	if (!class)
		*out = take(before);
	if (!class || err_is_retried(class) || class == ERR_CONFIG)
		return class;
	if (github_queue_look(gh, http, to, question->pr, &after, &unread)) {
		*err = unread;
		return unread.class;
	}
	if (!is_settled(after, question->sha))
		return refusal(after, question->sha, err);
	*out = take(after);
	return err->class = ERR_OK;
}

enum err_class github_dequeue(struct github *gh, struct http *http, const struct github_target *to,
			      int64_t pr, struct err *err)
{
	AUTO_JSON json_t *state = NULL;
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = github_queue_look(gh, http, to, pr, &state, err);
	struct github_query query = {.text = dequeue_order, .kind = GITHUB_WRITE};

	if (class || !jval_bool(state, "queue.in", false))
		return class;
	query.variables = json_object();
	jval_set_str(query.variables, "id", jval_str(state, "pull_id", ""));
	return github_graphql(gh, http, to, &query, &answer, err);
}

/* --- the branch that is left --- */

/* Whether a ruleset forbids that it is deleted; rules that cannot be read forbid it. */
static enum err_class ask_rules(struct github *gh, struct http *http,
				const struct github_target *to, const char *segment, bool *forbids,
				struct err *err)
{
	AUTO_FREE char *url =
		github_repo_url(gh, to, "/rules/branches/%.1000s?per_page=100", segment);
	struct github_call call = {.method = "GET", .url = url, .to = to};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = github_call(gh, http, &call, &answer, err);
	const json_t *rule;
	size_t i;

	if (class && err_is_retried(class))
		return class;
	*forbids = class || answer.next;
	json_array_foreach(answer.json, i, rule) *forbids |=
		str_eq(jval_str(rule, "type", ""), "deletion");
	return ERR_OK;
}

/* Sets *why when the branch stays, *is_gone when there is none. */
static enum err_class look_at_branch(struct github *gh, struct http *http,
				     const struct github_target *to,
				     const struct github_branch *branch, bool *is_gone, char *why,
				     struct err *err)
{
	AUTO_FREE char *segment = github_segment(branch->name);
	AUTO_FREE char *url = github_repo_url(gh, to, "/branches/%.1000s", segment);
	struct github_call call = {.method = "GET", .url = url, .to = to};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = github_call(gh, http, &call, &answer, err);
	bool forbids = false;

	*is_gone = class == ERR_NOT_FOUND;
	if (class)
		return *is_gone ? ERR_OK : class;
	if (!str_eq(jval_str(answer.json, "commit.sha", ""), branch->sha)) {
		str_copy(why, ERR_MSG_MAX, "somebody has pushed to it");
		return ERR_OK;
	}
	if (jval_bool(answer.json, "protected", true))
		forbids = true;
	else if (ask_rules(gh, http, to, segment, &forbids, err))
		return err->class;
	if (forbids)
		str_copy(why, ERR_MSG_MAX, "it is protected");
	return ERR_OK;
}

enum err_class github_branch_delete(struct github *gh, struct http *http,
				    const struct github_target *to,
				    const struct github_branch *branch, char *why, struct err *err)
{
	AUTO_FREE char *zeros = str_dup(branch->sha);
	AUTO_FREE char *ref = str_printf("refs/heads/%s", branch->name);
	AUTO_ANSWER struct github_answer answer = {0};
	struct err unwanted = {0};
	struct github_query query = {.text = delete_order, .kind = GITHUB_WRITE};
	bool is_gone = false;
	enum err_class class;

	err = err ? err : &unwanted;
	why[0] = '\0';
	class = look_at_branch(gh, http, to, branch, &is_gone, why, err);
	if (class || is_gone || *why)
		return class;
	memset(zeros, '0', strlen(zeros));
	query.variables = json_object();
	jval_set_str(query.variables, "repo", branch->repository_id);
	jval_set_str(query.variables, "name", ref);
	jval_set_str(query.variables, "before", branch->sha);
	jval_set_str(query.variables, "after", zeros);
	class = github_graphql(gh, http, to, &query, &answer, err);
	if (!class || err_is_retried(class))
		return class;
	str_copy(why, ERR_MSG_MAX, err->msg);
	return err->class = ERR_OK;
}
