/* github_commits.c - see github_commits.h.
 *
 * A short name is never handed to an operation that resolves names: a branch may be called like the
 * beginning of a commit, and every object of the whole network of forks can be read through the
 * base repository. So the pull request's own commits are listed and compared here. GitHub lists at
 * most 250 of them; past that, only a whole name is looked for, which GitHub allows no branch to
 * have: it must be an ancestor of the head, and not one of the base. */
#include "lib/services/github_commits.h"

#include <inttypes.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/services/github_impl.h"

enum { COMMITS_LISTED_MAX = 250, COMMITS_PAGE = 100, BIG_ANSWER = 32 * 1024 * 1024 };

/* --- pushes --- */

/* Every App that may write checks gets a suite for each commit that is pushed, at once. The last
 * commit of the connection is the head. */
static const char pushes_query[] =
	"query($id: ID!) { node(id: $id) { ... on PullRequest { createdAt headRefOid headRefName "
	"isCrossRepository commits(last: 1) { nodes { commit { oid checkSuites(first: 50) { nodes "
	"{ createdAt branch { name } } } } } } "
	"timelineItems(last: 1, itemTypes: [HEAD_REF_FORCE_PUSHED_EVENT]) { nodes { "
	"... on HeadRefForcePushedEvent { createdAt afterCommit { oid } } } } } } }";

static int64_t time_at(const json_t *from, const char *path)
{
	int64_t at_ms = 0;

	return clock_parse(&at_ms, jval_str(from, path, NULL)) ? at_ms : 0;
}

/* The earliest suite of the commit on this branch; 0: there is none. */
static int64_t came_at_ms(const json_t *commit, const char *branch)
{
	const json_t *suites = jval_at(commit, "checkSuites.nodes"), *suite;
	int64_t first_ms = 0;
	size_t i;

	json_array_foreach(suites, i, suite)
	{
		int64_t at_ms = time_at(suite, "createdAt");

		if (at_ms && str_eq(jval_str(suite, "branch.name", NULL), branch) &&
		    (!first_ms || at_ms < first_ms))
			first_ms = at_ms;
	}
	return first_ms;
}

/* False when it is no answer about a pull request. */
static bool read_pushes(const json_t *node, const char *head_sha, struct pin_pushes *out)
{
	const json_t *forced = json_array_get(jval_at(node, "timelineItems.nodes"), 0);
	const json_t *commit = jval_at(json_array_get(jval_at(node, "commits.nodes"), 0), "commit");
	const char *head = jval_str(node, "headRefOid", NULL);

	out->opened_at_ms = time_at(node, "createdAt");
	if (!out->opened_at_ms || !head || !jval_at(node, "timelineItems.nodes"))
		return false;
	if (forced) {
		out->forced_at_ms = time_at(forced, "createdAt");
		if (!out->forced_at_ms)
			return false;
		str_copy(out->forced_to, sizeof out->forced_to,
			 jval_str(forced, "afterCommit.oid", ""));
	}
	if (str_eq(head, head_sha) && str_eq(jval_str(commit, "oid", NULL), head) &&
	    !jval_bool(node, "isCrossRepository", true))
		out->pushed_at_ms = came_at_ms(commit, jval_str(node, "headRefName", NULL));
	return true;
}

enum err_class github_pushes(struct github *gh, struct http *http, const struct github_target *to,
			     const struct github_pull *pull, struct pin_pushes *out,
			     struct err *err)
{
	AUTO_JSON json_t *body = json_object();
	json_t *variables = json_object();
	struct github_call call = {.method = "POST",
				   .url = gh->graphql_url,
				   .body = body,
				   .resource = GITHUB_GRAPHQL,
				   .to = to};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class;

	*out = (struct pin_pushes){0};
	jval_set_str(variables, "id", pull->node_id);
	jval_set_str(body, "query", pushes_query);
	jval_set(body, "variables", variables);
	class = github_call(gh, http, &call, &answer, err);
	if (class)
		return class;
	if (!read_pushes(jval_at(answer.json, "data.node"), pull->head_sha, out)) {
		*out = (struct pin_pushes){0};
		return err_set(err, ERR_NOT_FOUND,
			       "GitHub says nothing about the pushes of the pull request");
	}
	return ERR_OK;
}

/* --- commits --- */

static size_t keep_commits(json_t *found, const json_t *page, const char *text)
{
	size_t count = json_array_size(page);

	for (size_t i = 0; i < count; i++) {
		const char *sha = jval_str(json_array_get(page, i), "sha", NULL);

		if (str_is_object_name(sha) && str_starts(sha, text))
			json_array_append_new(found, json_string(sha));
	}
	return count;
}

static enum err_class list_commits(struct github *gh, struct http *http,
				   const struct github_target *to,
				   const struct github_commit_search *search, json_t *out,
				   struct err *err)
{
	json_t *found = json_array();
	char *url = github_repo_url(gh, to, "/pulls/%" PRId64 "/commits?per_page=%d", search->pr,
				    COMMITS_PAGE);
	enum err_class class = ERR_OK;
	size_t count = 0;

	jval_set(out, "commits", found);
	while (url && !class && count < COMMITS_LISTED_MAX) {
		AUTO_ANSWER struct github_answer answer = {0};
		struct github_call call = {
			.method = "GET", .url = url, .to = to, .response_max = BIG_ANSWER};

		class = github_call(gh, http, &call, &answer, err);
		mem_free(url);
		url = class || !answer.next ? NULL : github_same_origin(gh->api_url, answer.next);
		if (!class)
			count += keep_commits(found, answer.json, search->text);
	}
	mem_free(url);
	jval_set_bool(out, "cut", count >= COMMITS_LISTED_MAX);
	return class;
}

/* How many commits `to_sha` has that `from_sha` has not; both are whole names. -1: GitHub knows no
 * common history of them. */
static enum err_class count_between(struct github *gh, struct http *http,
				    const struct github_target *to, const char *from_sha,
				    const char *to_sha, int64_t *out, struct err *err)
{
	AUTO_FREE char *url =
		github_repo_url(gh, to, "/compare/%s...%s?per_page=1&page=2", from_sha, to_sha);
	struct github_call call = {
		.method = "GET", .url = url, .to = to, .response_max = BIG_ANSWER};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = github_call(gh, http, &call, &answer, err);

	*out = class ? -1 : jval_int(answer.json, "ahead_by", -1);
	if (class == ERR_NOT_FOUND || class == ERR_USER)
		return err->class = ERR_OK;
	return class;
}

static enum err_class look_inside(struct github *gh, struct http *http,
				  const struct github_target *to,
				  const struct github_commit_search *search, json_t *out,
				  struct err *err)
{
	const struct github_pull *pull = search->pull;
	int64_t past_head = -1, past_base = -1;
	enum err_class class =
		count_between(gh, http, to, pull->head_sha, search->text, &past_head, err);

	if (!class && past_head == 0 && str_is_object_name(pull->base_sha))
		class = count_between(gh, http, to, pull->base_sha, search->text, &past_base, err);
	jval_set_bool(out, "is_inside", past_head == 0 && past_base > 0);
	return class;
}

enum err_class github_commits_find(struct github *gh, struct http *http,
				   const struct github_target *to,
				   const struct github_commit_search *search, json_t **out,
				   struct err *err)
{
	AUTO_JSON json_t *found = json_object();
	enum err_class class = list_commits(gh, http, to, search, found, err);

	if (!class && jval_bool(found, "cut", false) && str_is_object_name(search->text) &&
	    !json_array_size(json_object_get(found, "commits")))
		class = look_inside(gh, http, to, search, found, err);
	if (!class)
		*out = take(found);
	return class;
}
