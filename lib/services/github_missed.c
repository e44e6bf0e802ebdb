/* github_missed.c - see github_missed.h. What comes over our own authenticated connection needs no
 * signature. An item that cannot be read must not hide the others. Lists end after a number of
 * pages; whoever asks keeps where it was. */
#include "lib/services/github_missed.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/core/event.h"
#include "lib/services/github_impl.h"

enum {
	PAGES_MAX = 300,
	PAYLOAD_MAX = 4 * 1024 * 1024,
	COMMENTS_PAGE = 30, /* each may be a quarter of a megabyte */
	COMMENTS_BYTES_MAX = 32 * 1024 * 1024,
};

/* One page of a list; false stops. */
typedef bool page_fn(void *arg, const json_t *list);

/* Follows the pages of a list, on behalf of `to` or as ourselves. */
static enum err_class read_pages(struct github *gh, struct http *http,
				 const struct github_target *to, char *take_url, page_fn *page,
				 void *arg, struct err *err)
{
	AUTO_FREE char *url = take_url;
	enum err_class class = ERR_OK;

	for (int i = 0; !class && url && i < PAGES_MAX; i++) {
		struct github_call call = {
			.method = "GET", .url = url, .to = to, .response_max = COMMENTS_BYTES_MAX};
		AUTO_ANSWER struct github_answer answer = {0};
		char *next = NULL;

		class = to ? github_call(gh, http, &call, &answer, err)
			   : github_call_own(gh, http, &call, &answer, err);
		if (!class && page(arg, answer.json) && answer.next)
			next = github_same_origin(gh->api_url, answer.next);
		mem_free(url);
		url = next;
	}
	if (url)
		log_warn("github_list_cut", LOG_S("repo", to ? to->repo : ""));
	return class;
}

/* --- repositories --- */

struct repo_reader {
	bool (*each)(void *arg, const struct github_target *repo);
	void *arg;
};

static bool tell_repositories(void *arg, const json_t *list)
{
	struct repo_reader *reader = arg;
	size_t count = json_array_size(list);

	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(list, i);
		struct github_target repo = {
			.repo_id = jval_int(item, "id", 0),
			.repo = jval_str(item, "full_name", ""),
		};

		if (repo.repo_id > 0 && event_is_repo(repo.repo) &&
		    !jval_bool(item, "archived", false) && !reader->each(reader->arg, &repo))
			return false;
	}
	return true;
}

enum err_class github_repositories(struct github *gh, struct http *http,
				   bool (*each)(void *arg, const struct github_target *repo),
				   void *arg, struct err *err)
{
	struct repo_reader reader = {.each = each, .arg = arg};

	if (gh->app_id)
		return err_set(err, ERR_BUG, "an App has no list of repositories of its own");
	return read_pages(gh, http, NULL, str_printf("%s/user/repos?per_page=100", gh->api_url),
			  tell_repositories, &reader, err);
}

/* --- hooks and deliveries --- */

struct hook_search {
	const char *path;
	int64_t id;
};

static bool find_hook(void *arg, const json_t *list)
{
	struct hook_search *search = arg;
	size_t count = json_array_size(list);

	for (size_t i = 0; i < count && !search->id; i++) {
		const json_t *hook = json_array_get(list, i);
		AUTO_FREE char *url = str_dup(jval_str(hook, "config.url", ""));

		url[strcspn(url, "?#")] = '\0';
		if (jval_bool(hook, "active", false) && str_ends(url, search->path))
			search->id = jval_int(hook, "id", 0);
	}
	return !search->id;
}

enum err_class github_hook_find(struct github *gh, struct http *http,
				const struct github_target *repo, const char *path, int64_t *out_id,
				struct err *err)
{
	struct hook_search search = {.path = path};
	enum err_class class =
		read_pages(gh, http, repo, github_repo_url(gh, repo, "/hooks?per_page=100"),
			   find_hook, &search, err);

	*out_id = search.id;
	if (class || search.id)
		return class;
	return err_code(err, ERR_NOT_FOUND, "github.none",
			"no active webhook of %s has an address that ends with %s", repo->repo,
			path);
}

static enum err_class refuse_token_mode(const struct github *gh, const struct github_hook *hook,
					struct err *err)
{
	return hook || gh->app_id
		       ? ERR_OK
		       : err_set(err, ERR_BUG, "this list of deliveries belongs to a GitHub App");
}

static char *deliveries_url(const struct github *gh, const struct github_hook *hook,
			    const char *rest)
{
	if (!hook)
		return str_printf("%s/app/hook/deliveries%s", gh->api_url, rest);
	return github_repo_url(gh, &hook->repo, "/hooks/%" PRId64 "/deliveries%s", hook->id, rest);
}

struct delivery_reader {
	bool (*each)(void *arg, const struct github_delivery *delivery);
	void *arg;
};

static bool tell_deliveries(void *arg, const json_t *list)
{
	struct delivery_reader *reader = arg;
	size_t count = json_array_size(list);

	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(list, i);
		struct github_delivery delivery = {
			.id = jval_int(item, "id", 0),
			.status_code = (int)jval_int(item, "status_code", 0),
		};

		delivery.ok = delivery.status_code >= 200 && delivery.status_code <= 299;
		if (!delivery.id ||
		    !str_copy(delivery.guid, sizeof delivery.guid, jval_str(item, "guid", "")) ||
		    !str_copy(delivery.event, sizeof delivery.event, jval_str(item, "event", "")) ||
		    !clock_parse(&delivery.delivered_at_ms, jval_str(item, "delivered_at", NULL)))
			continue;
		if (!reader->each(reader->arg, &delivery))
			return false;
	}
	return true;
}

enum err_class github_deliveries(struct github *gh, struct http *http,
				 const struct github_hook *hook,
				 bool (*each)(void *arg, const struct github_delivery *delivery),
				 void *arg, struct err *err)
{
	struct delivery_reader reader = {each, arg};
	enum err_class class = refuse_token_mode(gh, hook, err);

	if (class)
		return class;
	return read_pages(gh, http, hook ? &hook->repo : NULL,
			  deliveries_url(gh, hook, "?per_page=100"), tell_deliveries, &reader, err);
}

enum err_class github_delivery_payload(struct github *gh, struct http *http,
				       const struct github_hook *hook, int64_t id, char **out,
				       struct err *err)
{
	AUTO_FREE char *rest = str_printf("/%" PRId64, id), *url = deliveries_url(gh, hook, rest);
	struct github_call call = {.method = "GET",
				   .url = url,
				   .to = hook ? &hook->repo : NULL,
				   .response_max = PAYLOAD_MAX};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = refuse_token_mode(gh, hook, err);
	const json_t *payload;

	*out = NULL;
	if (!class)
		class = hook ? github_call(gh, http, &call, &answer, err)
			     : github_call_own(gh, http, &call, &answer, err);
	if (class)
		return class;
	payload = jval_at(answer.json, "request.payload");
	if (!json_is_object(payload))
		return err_code(err, ERR_NOT_FOUND, "github.no_payload",
				"GitHub keeps no payload of this delivery any more");
	*out = jval_dump(payload);
	return ERR_OK;
}

/* --- comments --- */

struct comment_reader {
	bool (*each)(void *arg, const json_t *comment);
	void *arg;
};

static bool tell_comments(void *arg, const json_t *list)
{
	struct comment_reader *reader = arg;
	size_t count = json_array_size(list);
	bool go_on = true;

	for (size_t i = 0; i < count && go_on; i++)
		go_on = reader->each(reader->arg, json_array_get(list, i));
	return go_on;
}

enum err_class github_comments_since(struct github *gh, struct http *http,
				     const struct github_target *repo, int64_t since_ms,
				     bool (*each)(void *arg, const json_t *comment), void *arg,
				     struct err *err)
{
	struct comment_reader reader = {each, arg};
	char since[21];

	clock_rfc3339(since, since_ms < 0 ? 0 : since_ms);
	return read_pages(
		gh, http, repo,
		github_repo_url(gh, repo,
				"/issues/comments?since=%s&sort=updated&direction=asc&per_page=%d",
				since, COMMENTS_PAGE),
		tell_comments, &reader, err);
}

static const char edited_query[] =
	"query($id: ID!) { node(id: $id) { ... on IssueComment { lastEditedAt } } }";

enum err_class github_comment_was_edited(struct github *gh, struct http *http,
					 const struct github_target *repo, const char *node_id,
					 bool *out, struct err *err)
{
	AUTO_JSON json_t *body = json_object();
	json_t *variables = json_object();
	struct github_call call = {.method = "POST",
				   .url = gh->graphql_url,
				   .body = body,
				   .resource = GITHUB_GRAPHQL,
				   .to = repo};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class;
	const json_t *at;

	*out = true; /* what is not known to be as it was written counts as changed */
	jval_set_str(variables, "id", node_id);
	jval_set_str(body, "query", edited_query);
	jval_set(body, "variables", variables);
	class = github_call(gh, http, &call, &answer, err);
	if (class)
		return class;
	at = json_object_get(jval_at(answer.json, "data.node"), "lastEditedAt");
	*out = !json_is_null(at);
	return ERR_OK;
}

struct reaction_search {
	struct github_identity self;
	bool found;
};

/* The name of a bot account cannot be taken by a person: "[" is not allowed in a login. */
static bool find_reaction(void *arg, const json_t *list)
{
	struct reaction_search *search = arg;
	const struct github_identity *self = &search->self;
	size_t count = json_array_size(list);

	for (size_t i = 0; i < count && !search->found; i++) {
		const json_t *user = json_object_get(json_array_get(list, i), "user");

		search->found = self->is_app ? str_eq(jval_str(user, "type", NULL), "Bot") &&
						       str_eq_nocase(jval_str(user, "login", NULL),
								     self->login)
					     : jval_int(user, "id", 0) == self->user_id;
	}
	return !search->found;
}

enum err_class github_comment_has_our_reaction(struct github *gh, struct http *http,
					       const struct github_target *repo, int64_t comment_id,
					       bool *out, struct err *err)
{
	struct reaction_search search = {.found = false};
	enum err_class class = github_identity_load(gh, http, &search.self, err);

	*out = false;
	if (class)
		return class;
	class = read_pages(gh, http, repo,
			   github_repo_url(gh, repo,
					   "/issues/comments/%" PRId64 "/reactions?per_page=100",
					   comment_id),
			   find_reaction, &search, err);
	*out = search.found;
	return class;
}
