/* github.h - GitHub's REST API as kfops uses it: App or token mode, GitHub.com or own server.
 *
 * Credentials, rate limits and pacing live in `struct github`, which all threads share (locked
 * inside); each thread brings its own `struct http`. Every call sends User-Agent, Accept and the
 * API version, follows 3xx itself on the same host only, and caps the answer. Errors: THROTTLED
 * with retry_at_ms while the credential has to wait (then nothing is sent), NOT_FOUND, DENIED, USER
 * (422), CONFLICT, CONFIG (key or token refused), TRANSIENT; in_doubt as http.h. Never logs a
 * token. Source: GitHub's OpenAPI description, version 2022-11-28. */
#ifndef KF_SERVICES_GITHUB_H
#define KF_SERVICES_GITHUB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/http.h"

struct github;

struct github_options {
	const char *api_url;	      /* "https://api.github.com", "https://HOST/api/v3" */
	const char *graphql_url;      /* NULL: derived */
	const char *api_version;      /* "2022-11-28" */
	const char *app_id;	      /* App id or client id; NULL: token mode */
	const char *private_key_file; /* re-read when it changes */
	const char *token_file;	      /* token mode; re-read when it changes */
	int writes_per_minute;	      /* content-creating calls; 0: 60 */
	int writes_per_hour;	      /* 0: 450 */
	int write_gap_ms;	      /* between writes of one credential; 0: 1000 */
	bool deploys; /* merging and deployments need further permissions of the App */
};

/* Reads the key or token. CONFIG with what is wrong. No network. */
enum err_class github_new(struct github **out, const struct github_options *options,
			  struct err *err) MUST_CHECK;
void github_free(struct github *take_github);

struct github_identity {
	bool is_app;
	int64_t app_id;	 /* App mode */
	int64_t user_id; /* token mode: of the user; App mode: 0 */
	char login[128]; /* "slug[bot]" or the user's login */
};

/* Asks GitHub who we are (GET /app or GET /user), once; later calls answer from memory. DENIED
 * lists missing App permissions. */
enum err_class github_identity(struct github *gh, struct http *http, struct github_identity *out,
			       struct err *err) MUST_CHECK;

/* Which repository, and through which installation (0: looked up, or token mode). */
struct github_target {
	int64_t installation_id;
	int64_t repo_id;
	const char *repo; /* owner/name */
};

struct github_permission {
	int64_t user_id; /* as GitHub has it; compare with the webhook's */
	bool pull, triage, push, maintain, admin;
	char role[64];
};
enum err_class github_permission(struct github *gh, struct http *http,
				 const struct github_target *to, const char *login,
				 struct github_permission *out, struct err *err) MUST_CHECK;

struct github_pull {
	bool open, merged, draft, locked;
	bool is_public; /* the repository that it is for */
	char head_sha[65];
	char base_sha[65];
	char head_ref[256];
	char base_ref[256];
	int64_t head_repo_id; /* 0: the fork is gone */
	int64_t base_repo_id;
	int64_t author_id; /* who opened it; 0: not said */
	char html_url[512];
	char node_id[128]; /* for GraphQL; "": not said */
};
enum err_class github_pull(struct github *gh, struct http *http, const struct github_target *to,
			   int64_t number, struct github_pull *out, struct err *err) MUST_CHECK;

/* A token for git over HTTPS ("x-access-token" is the user), scoped to the repository, contents:
 * read. The caller ends with sign_secret_free. */
enum err_class github_git_token(struct github *gh, struct http *http,
				const struct github_target *to, char **out,
				struct err *err) MUST_CHECK;

/* Git was refused with it. It may have been withdrawn, so the next one asked for is minted anew; or
 * it is so fresh that not all of GitHub knows it yet, and is kept. */
void github_git_token_refused(struct github *gh, const char *token);

/* --- writes; each is paced: THROTTLED says when --- */

/* 200 and 201 alike. NOT_FOUND: the comment is gone. */
enum err_class github_reaction_add(struct github *gh, struct http *http,
				   const struct github_target *to, int64_t comment_id,
				   const char *content, int64_t *out_id,
				   struct err *err) MUST_CHECK;
enum err_class github_reaction_remove(struct github *gh, struct http *http,
				      const struct github_target *to, int64_t comment_id,
				      int64_t reaction_id, struct err *err) MUST_CHECK;

struct github_comment {
	int64_t id;
	char node_id[128];
};
enum err_class github_comment_create(struct github *gh, struct http *http,
				     const struct github_target *to, int64_t pr, const char *body,
				     struct github_comment *out, struct err *err) MUST_CHECK;
enum err_class github_comment_update(struct github *gh, struct http *http,
				     const struct github_target *to, int64_t comment_id,
				     const char *body, struct err *err) MUST_CHECK;

/* Our own comment of the pull request, created since then, whose body starts with `marker`.
 * Comments of anybody else do not count, whatever they say. NOT_FOUND: none. */
enum err_class github_comment_find(struct github *gh, struct http *http,
				   const struct github_target *to, int64_t pr, const char *marker,
				   int64_t since_ms, struct github_comment *out,
				   struct err *err) MUST_CHECK;

/* Folds a comment away as outdated (GraphQL minimizeComment). */
enum err_class github_comment_minimize(struct github *gh, struct http *http,
				       const struct github_target *to, const char *node_id,
				       struct err *err) MUST_CHECK;

/* App mode only. `body` as POST /check-runs takes it; annotations past 50 go in further calls. */
enum err_class github_check_create(struct github *gh, struct http *http,
				   const struct github_target *to, const json_t *body,
				   int64_t *out_id, struct err *err) MUST_CHECK;
enum err_class github_check_update(struct github *gh, struct http *http,
				   const struct github_target *to, int64_t id, const json_t *body,
				   struct err *err) MUST_CHECK;
/* Our run with this name and external id on the SHA. NOT_FOUND: none. */
enum err_class github_check_find(struct github *gh, struct http *http,
				 const struct github_target *to, const char *sha, const char *name,
				 const char *external_id, int64_t *out_id,
				 struct err *err) MUST_CHECK;

enum err_class github_status_create(struct github *gh, struct http *http,
				    const struct github_target *to, const char *sha,
				    const json_t *body, struct err *err) MUST_CHECK;

/* Until when nothing may be sent for the installation (0: not paused); for the outbox. */
int64_t github_paused_until_ms(struct github *gh, int64_t installation_id);

/* Earliest time at which the pacing admits another write of the installation. */
int64_t github_next_write_ms(struct github *gh, int64_t installation_id);

#endif
