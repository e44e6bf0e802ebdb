/* github_reviews.c - see github_reviews.h. Co-authors stand in a commit's message with nothing but
 * an address; REST does not say whose it is, GraphQL does: so that one question goes there. */
#include "lib/services/github_reviews.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/services/github_impl.h"

enum { REVIEW_PAGES_MAX = 10 };

static const char people_query[] =
	"query($owner: String!, $name: String!, $oid: GitObjectID!) "
	"{ repository(owner: $owner, name: $name) { object(oid: $oid) { ... on Commit "
	"{ authors(first: 100) { totalCount nodes { name email user { databaseId login } } } "
	"committer { name email user { databaseId login } } } } } }";

/* GitHub says NONE of a private member of the organisation, too, so this is no right: it tells whom
 * to ask about first. */
static bool is_known_here(const json_t *review)
{
	static const char *const known[] = {"OWNER", "MEMBER", "COLLABORATOR"};
	const char *association = jval_str(review, "author_association", "");

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(association, known[i]))
			return true;
	return false;
}

static void add_review(json_t *list, const json_t *review)
{
	json_t *mine = json_object();
	int64_t at_ms = 0;

	jval_set_str(mine, "state", jval_str(review, "state", ""));
	jval_set_int(mine, "id", jval_int(review, "user.id", 0));
	jval_set_str(mine, "login", jval_str(review, "user.login", ""));
	jval_set_bool(mine, "bot", !str_eq(jval_str(review, "user.type", "User"), "User"));
	if (is_known_here(review))
		jval_set_bool(mine, "known", true);
	if (jval_str(review, "commit_id", NULL))
		jval_set_str(mine, "sha", jval_str(review, "commit_id", ""));
	(void)clock_parse(&at_ms, jval_str(review, "submitted_at", ""));
	jval_set_int(mine, "at_ms", at_ms);
	json_array_append_new(list, mine);
}

enum err_class github_reviews(struct github *gh, struct http *http, const struct github_target *to,
			      int64_t pr, json_t **out, bool *complete, struct err *err)
{
	char *url = github_repo_url(gh, to, "/pulls/%" PRId64 "/reviews?per_page=100", pr);
	AUTO_JSON json_t *list = json_array();
	enum err_class class = ERR_OK;
	bool is_list = true;
	const json_t *each;
	size_t i;

	for (int page = 0; url && page < REVIEW_PAGES_MAX && !class; page++) {
		struct github_call call = {.method = "GET", .url = url, .to = to};
		AUTO_ANSWER struct github_answer answer = {0};

		class = github_call(gh, http, &call, &answer, err);
		mem_free(url);
		url = NULL;
		if (class)
			break;
		is_list = is_list && json_is_array(answer.json);
		json_array_foreach(answer.json, i, each) add_review(list, each);
		url = answer.next ? github_same_origin(gh->api_url, answer.next) : NULL;
	}
	*complete = is_list && !url;
	mem_free(url);
	if (class)
		return err_wrap(err, "cannot read the reviews");
	*out = take(list);
	return ERR_OK;
}

/* A person stands once, with the role that was found first: authors go before the committer. */
static void add_person(json_t *list, const json_t *actor, const char *role)
{
	json_t *mine, *each;
	int64_t id = jval_int(actor, "user.databaseId", 0);
	AUTO_FREE char *address = str_printf("%.80s <%.100s>", jval_str(actor, "name", ""),
					     jval_str(actor, "email", ""));
	const char *name = id ? jval_str(actor, "user.login", address) : address;
	size_t i;

	json_array_foreach(list, i, each) if (jval_int(each, "id", 0) == id &&
					      str_eq(jval_str(each, "name", ""), name)) return;
	mine = json_object();
	jval_set_int(mine, "id", id);
	jval_set_str(mine, "name", name);
	jval_set_str(mine, "role", role);
	json_array_append_new(list, mine);
}

static json_t *people_body(const struct github_target *to, const char *sha)
{
	json_t *body = json_object(), *variables = json_object();
	const char *slash = strchr(to->repo, '/');
	AUTO_FREE char *owner = str_dup_len(to->repo, slash ? (size_t)(slash - to->repo) : 0);

	jval_set_str(variables, "owner", owner);
	jval_set_str(variables, "name", slash ? slash + 1 : "");
	jval_set_str(variables, "oid", sha);
	jval_set_str(body, "query", people_query);
	jval_set(body, "variables", variables);
	return body;
}

enum err_class github_commit_people(struct github *gh, struct http *http,
				    const struct github_target *to, const char *sha, json_t **out,
				    bool *complete, struct err *err)
{
	AUTO_JSON json_t *body = people_body(to, sha), *list = json_array();
	struct github_call call = {.method = "POST",
				   .url = gh->graphql_url,
				   .body = body,
				   .resource = GITHUB_GRAPHQL,
				   .to = to};
	AUTO_ANSWER struct github_answer answer = {0};
	const json_t *commit, *authors, *each;
	size_t i;

	if (github_call(gh, http, &call, &answer, err))
		return err_wrap(err, "cannot ask who wrote the commit");
	commit = jval_at(answer.json, "data.repository.object");
	authors = jval_at(commit, "authors.nodes");
	if (!commit)
		return err_code(err, ERR_NOT_FOUND, "github.no_commit",
				"GitHub does not know the commit %.12s", sha);
	json_array_foreach(authors, i, each) add_person(list, each, i ? "co-author" : "author");
	if (jval_at(commit, "committer"))
		add_person(list, jval_at(commit, "committer"), "committer");
	*complete = json_array_size(authors) > 0 && jval_at(commit, "committer") &&
		    jval_int(commit, "authors.totalCount", -1) == (int64_t)json_array_size(authors);
	*out = take(list);
	return ERR_OK;
}
