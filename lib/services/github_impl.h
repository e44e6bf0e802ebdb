/* github_impl.h - what the files of the github module share; nobody else includes it.
 *
 * github_pace.c decides when something may be sent and github_answer.c what an answer means: both
 * are pure, with time handed in as milliseconds of the monotonic clock. github_auth.c owns
 * credentials, github_call.c carries one call out, and the other files are the operations. The lock
 * of `struct github` is never held over a request. */
#ifndef KF_SERVICES_GITHUB_IMPL_H
#define KF_SERVICES_GITHUB_IMPL_H

#include <pthread.h>

#include "lib/base/jval.h"
#include "lib/base/sign.h"
#include "lib/services/github.h"
#include "lib/services/github_pace.h"

/* --- github_answer.c: what an answer means --- */

struct github_answer {
	int status;
	json_t *json;	   /* NULL: 204, or nothing that is JSON */
	char *next, *etag; /* URL of Link rel="next"; ETag with its quotes; NULL: none */
	char *scopes;	   /* of a classic token, "repo, workflow"; NULL: not told */
};
void github_answer_dispose(struct github_answer *answer);
#define AUTO_ANSWER __attribute__((cleanup(github_answer_dispose)))

/* Class, code and sentence of an answer; ERR_OK fills *out. `secret` is kept out of the message. */
enum err_class github_answer_read(struct github_answer *out, const struct http_response *response,
				  enum github_kind kind, enum github_resource resource,
				  const char *secret, struct err *err) MUST_CHECK;

/* "message" of an answer as one line, "" when it has none. out: GITHUB_MESSAGE_MAX bytes. */
enum { GITHUB_MESSAGE_MAX = 400 };
const char *github_answer_message(const struct http_response *response, char *out);

/* URL of the part with rel="next" of a Link header (RFC 8288), NULL when there is none. */
char *github_link_next(const char *link) MUST_CHECK;

/* Resolves `location` against the URL that was asked; NULL when it leaves its scheme, host or port.
 */
char *github_same_origin(const char *asked, const char *location) MUST_CHECK;

/* True for the three answers by which GitHub says that our clock is off. */
bool github_is_clock_fault(const char *message);

/* --- the handle --- */

enum github_scope {
	GITHUB_SCOPE_ALL, /* whatever the installation grants */
	GITHUB_SCOPE_GIT, /* contents: read */
};

struct github_token {
	struct github_token *next;
	int64_t installation_id, repo_id;
	enum github_scope scope;
	char *text; /* NULL: not minted yet */
	int64_t minted_ms, renew_at_ms, expires_ms;
	bool minting;
	int waiting;	     /* threads that wait for the mint under way */
	enum err_class last; /* how the last mint ended */
	struct err last_err;
};

struct github_installation {
	struct github_installation *next;
	char *repo;
	int64_t id, known_until_ms;
};

struct github {
	char *api_url, *graphql_url, *api_version;
	struct github_limits limits;
	int fresh_wait_ms; /* first wait after a 401 on a new token */

	bool deploys;
	char *app_id;	   /* NULL: token mode */
	char *secret_file; /* the App's key, or the token */

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t minted;
	int64_t clock_offset_ms; /* GitHub's clock minus ours */
	struct sign_key *key;	 /* App mode */
	char *token;		 /* token mode */
	struct sign_stamp secret_stamp;
	int64_t expiry_warned_ms;
	struct github_token *tokens;
	struct github_installation *installations;
	struct github_pace *paces;
	struct github_identity identity;
	bool identity_known, identity_complete;
};

/* --- github_auth.c --- */

struct github_credential {
	int64_t key; /* of its pace */
	int64_t installation_id;
	char *text;
	int64_t minted_ms;
	bool is_jwt;
};
void github_credential_dispose(struct github_credential *credential);

/* Reads the App's key; the one before stays when that fails. */
enum err_class github_key_load(struct github *gh, struct err *err) MUST_CHECK;

/* The App's own (a new JWT), or the token of token mode. */
enum err_class github_credential_own(struct github *gh, struct github_credential *out,
				     struct err *err) MUST_CHECK;

/* An installation token for the target, from the cache or minted; token mode: the token. */
enum err_class github_credential_for(struct github *gh, struct http *http,
				     const struct github_target *to, enum github_scope scope,
				     struct github_credential *out, struct err *err) MUST_CHECK;

/* Installation of the target; asks once an hour per repository when it is not named. */
enum err_class github_installation_id(struct github *gh, struct http *http,
				      const struct github_target *to, int64_t *out,
				      struct err *err) MUST_CHECK;

/* How often one call tried to mend its credential. */
struct github_mending {
	bool clock_set, dropped, reloaded;
	int waits;
};

/* Makes the next calls for an installation use a new token, with what has been granted since. */
void github_tokens_renew(struct github *gh, const struct github_target *to);

/* After a 401: waits, corrects the clock, drops or re-reads what was refused. True: repeat the
 * call. */
bool github_credential_mend(struct github *gh, const struct github_credential *credential,
			    const struct http_response *response, struct github_mending *mending);

/* --- github_call.c --- */

struct github_call {
	const char *method;
	const char *url;
	const json_t *body; /* NULL: none */
	enum github_kind kind;
	enum github_resource resource;
	const struct github_target *to; /* NULL: as ourselves */
	size_t response_max;		/* 0: 8 MiB */
	enum github_scope scope;	/* of the token, when it is an installation's */
	const char *if_none_match;	/* an ETag: the answer may be 304, without JSON; NULL */
};

/* One call with the App's own credential or the token of token mode. */
enum err_class github_call_own(struct github *gh, struct http *http, const struct github_call *call,
			       struct github_answer *out, struct err *err) MUST_CHECK;

/* One call on behalf of call->to. */
enum err_class github_call(struct github *gh, struct http *http, const struct github_call *call,
			   struct github_answer *out, struct err *err) MUST_CHECK;

/* "https://api.github.com/repos/o/r" and what `fmt` adds; its arguments are escaped already. */
char *github_repo_url(const struct github *gh, const struct github_target *to, const char *fmt,
		      ...) MUST_CHECK __attribute__((format(printf, 3, 4)));

/* One path segment, escaped, so that it can neither end nor climb; the caller frees. */
char *github_segment(const char *text) MUST_CHECK;

/* One question or order to GraphQL. When a part of it was refused, *answer has the rest and the
 * class is that of the refusal. */
struct github_query {
	const char *text;  /* one of the constants that the stand-in knows, too */
	json_t *variables; /* consumed */
	enum github_kind kind;
};
enum err_class github_graphql(struct github *gh, struct http *http, const struct github_target *to,
			      const struct github_query *take_query, struct github_answer *answer,
			      struct err *err) MUST_CHECK;

/* --- github_state.c --- */

/* Puts into `out` what one question tells of a pull request; what could not be learned is absent:
 * {"pull_id","repository_id","open","draft","merged","merged_sha","author","author_id","is_fork",
 *  "head_sha","head_ref","base_ref","base_sha","default_branch","settings_methods": [names],
 *  "mergeable" (absent while GitHub works it out), "mergeable_why","mergeable_state",
 *  "review": "none" | "approved" | "review_required" | "changes_requested","threads_open",
 *  "conversations_required","other_rules","may_push","rules_unknown","deployed": [environments],
 *  "merge_queue","queue": {"in","state","position","removed_at","reason"},"base_changed_at_ms"} */
enum err_class github_pull_state(struct github *gh, struct http *http,
				 const struct github_target *to, int64_t pr, json_t *out,
				 struct err *err) MUST_CHECK;

/* Sleeps; a signal may end it early. */
void github_sleep_ms(int64_t ms);

/* The pace of a credential, made when it is new. The lock is held. */
struct github_pace *github_pace_of(struct github *gh, int64_t key);

/* Identity from memory or GitHub, also when permissions are missing. */
enum err_class github_identity_load(struct github *gh, struct http *http,
				    struct github_identity *out, struct err *err) MUST_CHECK;

#endif
