/* github_comments.c - comments and reactions on pull requests.
 *
 * A comment is ours only when our own identity wrote it: everybody can copy a hidden marker. In App
 * mode that is the App's id (a person who writes through an App stays a person), in token mode the
 * numeric user id. Lists are read a few comments at a time, because each may be a quarter of a
 * megabyte. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/services/github_impl.h"

enum { LIST_PAGE = 30, LIST_PAGES_MAX = 60, LIST_BYTES_MAX = 32 * 1024 * 1024 };

static const char minimize_query[] =
	"mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) "
	"{ minimizedComment { isMinimized } } }";

static enum err_class no_id(struct err *err)
{
	err_code(err, ERR_TRANSIENT, "github.odd", "GitHub's answer lacks the id of what was made");
	if (err)
		err->in_doubt = true;
	return ERR_TRANSIENT;
}

enum err_class github_reaction_add(struct github *gh, struct http *http,
				   const struct github_target *to, int64_t comment_id,
				   const char *content, int64_t *out_id, struct err *err)
{
	AUTO_FREE char *url =
		github_repo_url(gh, to, "/issues/comments/%" PRId64 "/reactions", comment_id);
	AUTO_JSON json_t *body = json_object();
	struct github_call call = {
		.method = "POST", .url = url, .body = body, .kind = GITHUB_WRITE, .to = to};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class;

	*out_id = 0;
	jval_set_str(body, "content", content);
	class = github_call(gh, http, &call, &answer, err);
	if (class)
		return class;
	*out_id = jval_int(answer.json, "id", 0);
	return *out_id ? ERR_OK : no_id(err);
}

enum err_class github_reaction_remove(struct github *gh, struct http *http,
				      const struct github_target *to, int64_t comment_id,
				      int64_t reaction_id, struct err *err)
{
	AUTO_FREE char *url = github_repo_url(
		gh, to, "/issues/comments/%" PRId64 "/reactions/%" PRId64, comment_id, reaction_id);
	struct github_call call = {.method = "DELETE", .url = url, .kind = GITHUB_WRITE, .to = to};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = github_call(gh, http, &call, &answer, err);

	return class == ERR_NOT_FOUND ? ERR_OK : class; /* what was to go is gone */
}

/* Takes id and node id over; the node id is needed to fold the comment away later. */
static enum err_class read_comment(const json_t *json, struct github_comment *out, struct err *err)
{
	out->id = jval_int(json, "id", 0);
	if (!str_copy(out->node_id, sizeof out->node_id, jval_str(json, "node_id", "")))
		out->node_id[0] = '\0';
	return out->id ? ERR_OK : no_id(err);
}

enum err_class github_comment_create(struct github *gh, struct http *http,
				     const struct github_target *to, int64_t pr, const char *body,
				     struct github_comment *out, struct err *err)
{
	AUTO_FREE char *url = github_repo_url(gh, to, "/issues/%" PRId64 "/comments", pr);
	AUTO_JSON json_t *content = json_object();
	struct github_call call = {
		.method = "POST", .url = url, .body = content, .kind = GITHUB_NOTIFY, .to = to};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class;

	*out = (struct github_comment){0};
	jval_set_str(content, "body", body);
	class = github_call(gh, http, &call, &answer, err);
	return class ? class : read_comment(answer.json, out, err);
}

enum err_class github_comment_update(struct github *gh, struct http *http,
				     const struct github_target *to, int64_t comment_id,
				     const char *body, struct err *err)
{
	AUTO_FREE char *url = github_repo_url(gh, to, "/issues/comments/%" PRId64, comment_id);
	AUTO_JSON json_t *content = json_object();
	struct github_call call = {
		.method = "PATCH", .url = url, .body = content, .kind = GITHUB_WRITE, .to = to};
	AUTO_ANSWER struct github_answer answer = {0};

	jval_set_str(content, "body", body);
	return github_call(gh, http, &call, &answer, err);
}

static bool is_ours(const json_t *comment, const struct github_identity *self)
{
	int64_t via = jval_int(comment, "performed_via_github_app.id", 0);

	if (!self->is_app)
		return jval_int(comment, "user.id", 0) == self->user_id;
	/* The name of a bot account cannot be taken by a person: "[" is not allowed in a login. */
	return str_eq(jval_str(comment, "user.type", NULL), "Bot") &&
	       (via ? via == self->app_id
		    : str_eq_nocase(jval_str(comment, "user.login", NULL), self->login));
}

static const json_t *find_ours(const json_t *list, const struct github_identity *self,
			       const char *marker, int64_t since_ms)
{
	size_t count = json_array_size(list);

	for (size_t i = 0; i < count; i++) {
		const json_t *comment = json_array_get(list, i);
		int64_t created_ms;

		if (is_ours(comment, self) && str_starts(jval_str(comment, "body", NULL), marker) &&
		    clock_parse(&created_ms, jval_str(comment, "created_at", NULL)) &&
		    created_ms >= since_ms)
			return comment;
	}
	return NULL;
}

enum err_class github_comment_find(struct github *gh, struct http *http,
				   const struct github_target *to, int64_t pr, const char *marker,
				   int64_t since_ms, struct github_comment *out, struct err *err)
{
	struct github_identity self;
	enum err_class class = github_identity_load(gh, http, &self, err);
	AUTO_FREE char *url = NULL;
	char since[21];

	*out = (struct github_comment){0};
	if (class)
		return class;
	since_ms =
		since_ms < 0 ? 0 : since_ms / 1000 * 1000; /* GitHub's times have whole seconds */
	clock_rfc3339(since, since_ms);
	url = github_repo_url(gh, to, "/issues/%" PRId64 "/comments?since=%s&per_page=%d", pr,
			      since, LIST_PAGE);
	for (int page = 0; url && page < LIST_PAGES_MAX; page++) {
		struct github_call call = {
			.method = "GET", .url = url, .to = to, .response_max = LIST_BYTES_MAX};
		AUTO_ANSWER struct github_answer answer = {0};
		const json_t *found;
		char *next;

		class = github_call(gh, http, &call, &answer, err);
		if (class)
			return class;
		found = find_ours(answer.json, &self, marker, since_ms);
		if (found)
			return read_comment(found, out, err);
		next = answer.next ? github_same_origin(gh->api_url, answer.next) : NULL;
		mem_free(url);
		url = next;
	}
	if (url)
		log_warn("github_list_cut", LOG_S("repo", to->repo), LOG_I("pr", pr));
	return err_code(err, ERR_NOT_FOUND, "github.none", "there is no such comment of the bot");
}

enum err_class github_comment_minimize(struct github *gh, struct http *http,
				       const struct github_target *to, const char *node_id,
				       struct err *err)
{
	struct github_query query = {minimize_query, json_object(), GITHUB_WRITE};
	AUTO_ANSWER struct github_answer answer = {0};

	jval_set_str(query.variables, "id", node_id);
	return github_graphql(gh, http, to, &query, &answer, err);
}
