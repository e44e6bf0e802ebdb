/* github_policy.c - see github_policy.h. */
#include "lib/services/github_policy.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/services/github_impl.h"

enum { ANSWER_FACTOR = 2, ANSWER_MORE = 64 << 10 }; /* base64 with its line ends, and the rest */

/* --- the file --- */

static void odd(struct github_file *out, const char *why)
{
	out->state = GITHUB_FILE_ODD;
	(void)str_copy(out->why, sizeof out->why, why);
}

static enum err_class read_file(const struct github_answer *answer, size_t max,
				struct github_file *out, struct err *err)
{
	const json_t *json = answer->json;
	const char *sha = jval_str(json, "sha", "");

	(void)str_copy(out->etag, sizeof out->etag, answer->etag ? answer->etag : "");
	if (json_is_array(json)) {
		odd(out, "it is a folder");
		return ERR_OK;
	}
	if (!str_eq(jval_str(json, "type", ""), "file")) {
		odd(out, "it is not a file but a link");
		return ERR_OK;
	}
	if (jval_int(json, "size", 0) > (int64_t)max) {
		odd(out, "it is too large");
		return ERR_OK;
	}
	if (str_eq(jval_str(json, "encoding", ""), "base64"))
		out->text = str_unbase64(jval_str(json, "content", ""), &out->len);
	if (!out->text || !str_is_object_name(sha))
		return err_code(err, ERR_TRANSIENT, "github.odd",
				"GitHub's answer lacks the content of a file");
	(void)str_copy(out->sha, sizeof out->sha, sha);
	out->state = GITHUB_FILE_FOUND;
	return ERR_OK;
}

enum err_class github_file(struct github *gh, struct http *http, const struct github_target *to,
			   const struct github_file_question *question, struct github_file *out,
			   struct err *err)
{
	AUTO_FREE char *segment = github_segment(question->path);
	AUTO_FREE char *url =
		github_repo_url(gh, to, "/contents/%.600s%s%.64s", segment,
				question->ref ? "?ref=" : "", question->ref ? question->ref : "");
	struct github_call call = {
		.method = "GET",
		.url = url,
		.to = to,
		/* without an id the token is good for all repositories: then it may only read */
		.scope = to->repo_id ? GITHUB_SCOPE_ALL : GITHUB_SCOPE_GIT,
		.if_none_match = question->etag,
		.response_max = ANSWER_FACTOR * question->max + ANSWER_MORE,
	};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class;

	*out = (struct github_file){0};
	class = github_call(gh, http, &call, &answer, err);
	if (class == ERR_NOT_FOUND) {
		out->state = GITHUB_FILE_NONE;
		return ERR_OK;
	}
	if (class)
		return class;
	if (answer.status == 304) {
		out->state = GITHUB_FILE_UNCHANGED;
		return ERR_OK;
	}
	return read_file(&answer, question->max, out, err);
}

void github_file_dispose(struct github_file *file)
{
	mem_free(file->text);
	file->text = NULL;
}

/* --- teams and logins --- */

static enum err_class get(struct github *gh, struct http *http, const struct github_target *to,
			  char *take_url, struct github_answer *answer, struct err *err)
{
	struct github_call call = {.method = "GET", .url = take_url, .to = to};
	enum err_class class = github_call(gh, http, &call, answer, err);

	mem_free(take_url);
	return class;
}

enum err_class github_team_member(struct github *gh, struct http *http,
				  const struct github_target *to, const char *slug,
				  const char *login, enum github_member *out, struct err *err)
{
	AUTO_FREE char *owner = str_dup_len(to->repo, strcspn(to->repo, "/"));
	AUTO_FREE char *org = github_segment(owner), *team = github_segment(slug);
	AUTO_FREE char *person = github_segment(login);
	AUTO_ANSWER struct github_answer answer = {0};
	AUTO_ANSWER struct github_answer about = {0};
	enum err_class class;

	*out = GITHUB_MEMBER_UNKNOWN;
	class = get(
		gh, http, to,
		str_printf("%s/orgs/%s/teams/%s/memberships/%s", gh->api_url, org, team, person),
		&answer, err);
	if (!class) {
		*out = str_eq(jval_str(answer.json, "state", ""), "active") ? GITHUB_MEMBER_YES
									    : GITHUB_MEMBER_NO;
		return ERR_OK;
	}
	if (class == ERR_NOT_FOUND)
		class = get(gh, http, to, str_printf("%s/orgs/%s/teams/%s", gh->api_url, org, team),
			    &about, err);
	if (!class)
		*out = GITHUB_MEMBER_NO;
	/* a team that we may not see is one that nobody can be shown to be in */
	return class == ERR_NOT_FOUND || class == ERR_DENIED ? ERR_OK : class;
}

enum err_class github_user_id(struct github *gh, struct http *http, const struct github_target *to,
			      const char *login, int64_t *out, struct err *err)
{
	AUTO_FREE char *name = github_segment(login);
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class =
		get(gh, http, to, str_printf("%s/users/%s", gh->api_url, name), &answer, err);

	*out = 0;
	if (class == ERR_NOT_FOUND)
		return ERR_OK;
	if (class)
		return class;
	*out = jval_int(answer.json, "id", 0);
	return *out > 0 ? ERR_OK
			: err_code(err, ERR_TRANSIENT, "github.odd",
				   "GitHub's answer lacks the id of a person");
}
