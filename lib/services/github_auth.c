/* github_auth.c - credentials for GitHub: the App's JWT, installation tokens, or a token from a
 * file.
 *
 * Installation tokens are cached in memory only, per (installation, repository, scope), renewed
 * five minutes before they end, and minted by one thread while others wait for its result. A token
 * that is still valid is used on when its renewal fails. They may have any length. The JWT is
 * signed anew each time, by a clock corrected by GitHub's own when GitHub complains. GitHub's
 * replicas may not know a token for some seconds after it was minted, so a 401 on a fresh one is
 * waited out. Source: "Authenticating as a GitHub App installation"; the waits are those of
 * octokit's auth-app. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/services/github_impl.h"

enum {
	JWT_BACK_S = 60,
	JWT_AHEAD_S = 540,
	RENEW_EARLY_MS = 5 * 60000,
	FRESH_MS = 5000,
	FRESH_WAITS_MAX = 3,
	LIFETIME_UNKNOWN_MS = 55 * 60000,
	LIFETIME_MAX_MS = 24 * 3600000,
	INSTALLATION_KNOWN_MS = 3600000,
	TOKENS_MAX = 512,
	INSTALLATIONS_MAX = 1024,
};

void github_credential_dispose(struct github_credential *credential)
{
	sign_secret_free(credential->text);
	credential->text = NULL;
}

enum err_class github_key_load(struct github *gh, struct err *err)
{
	struct sign_key *fresh = NULL;
	char *pem = NULL;
	enum err_class class = sign_secret_read(&pem, gh->secret_file, err);

	if (class)
		return class;
	class = sign_key_load(&fresh, pem, strlen(pem), err);
	sign_secret_free(pem);
	if (class) {
		err_wrap(err, "%s", gh->secret_file);
		return class;
	}
	sign_key_free(gh->key);
	gh->key = fresh;
	return ERR_OK;
}

/* Under the lock: the key may be replaced. */
static enum err_class make_jwt(struct github *gh, char **out, struct err *err)
{
	AUTO_JSON json_t *claims = json_object();
	AUTO_FREE char *text = NULL;
	int64_t now_s;

	now_s = (clock_now_ms() + gh->clock_offset_ms) / 1000;
	jval_set_int(claims, "iat", now_s - JWT_BACK_S);
	jval_set_int(claims, "exp", now_s + JWT_AHEAD_S);
	jval_set_str(claims, "iss", gh->app_id);
	text = jval_dump(claims);
	return sign_jwt_rs256(out, gh->key, text, err);
}

/* Reads the token file again when it changed. While it cannot be read the old token stays in use;
 * an operator who replaces it may be between two steps. True when the token is another one now. */
static bool reload_token(struct github *gh)
{
	bool changed = false;
	struct err err = {0};
	char *text = NULL;

	if (!sign_stamp_changed(&gh->secret_stamp, gh->secret_file))
		return false;
	if (sign_secret_read(&text, gh->secret_file, &err)) {
		log_warn("github_token_unreadable", LOG_S("message", err.msg));
	} else {
		changed = !str_eq(text, gh->token);
		sign_secret_free(gh->token);
		gh->token = text;
	}
	return changed;
}

/* The same for the App's key. */
static void reload_key(struct github *gh)
{
	struct err err = {0};

	if (sign_stamp_changed(&gh->secret_stamp, gh->secret_file) && github_key_load(gh, &err))
		log_warn("github_key_unreadable", LOG_S("message", err.msg));
}

enum err_class github_credential_own(struct github *gh, struct github_credential *out,
				     struct err *err)
{
	enum err_class class = ERR_OK;

	*out = (struct github_credential){.minted_ms = clock_mono_ms(),
					  .is_jwt = gh->app_id != NULL};
	pthread_mutex_lock(&gh->lock);
	if (gh->app_id) {
		reload_key(gh);
		class = make_jwt(gh, &out->text, err);
	} else {
		reload_token(gh);
		out->text = str_dup(gh->token);
	}
	pthread_mutex_unlock(&gh->lock);
	return class;
}

/* --- which installation --- */

static int64_t known_installation(struct github *gh, const char *repo)
{
	int64_t now_ms = clock_mono_ms(), id = 0;

	pthread_mutex_lock(&gh->lock);
	for (struct github_installation *at = gh->installations; at && !id; at = at->next)
		if (str_eq_nocase(at->repo, repo) && at->known_until_ms > now_ms)
			id = at->id;
	pthread_mutex_unlock(&gh->lock);
	return id;
}

/* Keeps id for an hour; 0 forgets. */
static void remember_installation(struct github *gh, const char *repo, int64_t id)
{
	struct github_installation **at, *found;
	size_t count = 0;

	pthread_mutex_lock(&gh->lock);
	for (at = &gh->installations; *at && !str_eq_nocase((*at)->repo, repo); at = &(*at)->next)
		if (++count == INSTALLATIONS_MAX)
			break; /* this one makes room */
	found = *at;
	if (found)
		*at = found->next;
	else
		found = mem_new(1, sizeof *found);
	mem_free(found->repo);
	*found = (struct github_installation){
		.repo = str_dup(repo),
		.id = id,
		.known_until_ms = id ? clock_mono_ms() + INSTALLATION_KNOWN_MS : 0,
		.next = gh->installations,
	};
	gh->installations = found;
	pthread_mutex_unlock(&gh->lock);
}

static enum err_class not_installed(const struct github_target *to, struct err *err)
{
	return err_code(err, ERR_DENIED, "github.not_installed",
			"the GitHub App is not installed on %.200s", to->repo);
}

enum err_class github_installation_id(struct github *gh, struct http *http,
				      const struct github_target *to, int64_t *out, struct err *err)
{
	AUTO_FREE char *url = github_repo_url(gh, to, "/installation");
	struct github_call call = {.method = "GET", .url = url};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class;

	*out = to->installation_id ? to->installation_id : known_installation(gh, to->repo);
	if (*out)
		return ERR_OK;
	class = github_call_own(gh, http, &call, &answer, err);
	if (class == ERR_NOT_FOUND)
		return not_installed(to, err);
	if (class) {
		err_wrap(err, "cannot find the App's installation on %.200s", to->repo);
		return class;
	}
	*out = jval_int(answer.json, "id", 0);
	if (!*out)
		return err_set(err, ERR_TRANSIENT,
			       "GitHub's answer names no installation for %.200s", to->repo);
	remember_installation(gh, to->repo, *out);
	return ERR_OK;
}

/* --- installation tokens --- */

/* What one mint brought. */
struct minted {
	char *text;
	int64_t lifetime_ms;
};

static json_t *mint_body(int64_t repo_id, enum github_scope scope)
{
	json_t *body = json_object();

	if (repo_id) {
		json_t *ids = json_array();

		must(!json_array_append_new(ids, json_integer(repo_id)));
		jval_set(body, "repository_ids", ids);
	}
	if (scope == GITHUB_SCOPE_GIT) {
		json_t *permissions = json_object();

		jval_set_str(permissions, "contents", "read");
		jval_set(body, "permissions", permissions);
	}
	return body;
}

static int64_t lifetime_of(struct github *gh, const json_t *json)
{
	int64_t ends_ms, now_ms, lifetime_ms;

	pthread_mutex_lock(&gh->lock);
	now_ms = clock_now_ms() + gh->clock_offset_ms;
	pthread_mutex_unlock(&gh->lock);
	if (!clock_parse(&ends_ms, jval_str(json, "expires_at", "")))
		return LIFETIME_UNKNOWN_MS;
	lifetime_ms = ends_ms - now_ms;
	return lifetime_ms < 0 ? 0 : lifetime_ms > LIFETIME_MAX_MS ? LIFETIME_MAX_MS : lifetime_ms;
}

static enum err_class mint(struct github *gh, struct http *http, const struct github_target *to,
			   enum github_scope scope, struct minted *out, struct err *err)
{
	AUTO_FREE char *url = str_printf("%s/app/installations/%" PRId64 "/access_tokens",
					 gh->api_url, to->installation_id);
	AUTO_JSON json_t *body = mint_body(to->repo_id, scope);
	struct github_call call = {.method = "POST", .url = url, .body = body, .kind = GITHUB_MINT};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = github_call_own(gh, http, &call, &answer, err);
	const char *token;

	if (class == ERR_NOT_FOUND) {
		remember_installation(gh, to->repo, 0);
		return not_installed(to, err);
	}
	if (class == ERR_USER) {
		err_wrap(err, "the App's installation grants less than the bot needs for %.200s",
			 to->repo);
		if (err)
			err->class = ERR_DENIED;
		return ERR_DENIED;
	}
	if (class) {
		err_wrap(err, "cannot get a token for %.200s", to->repo);
		return class;
	}
	token = jval_str(answer.json, "token", NULL);
	if (str_is_empty(token))
		return err_set(err, ERR_TRANSIENT, "GitHub's answer holds no token for %.200s",
			       to->repo);
	out->text = str_dup(token);
	out->lifetime_ms = lifetime_of(gh, answer.json);
	return ERR_OK;
}

static void free_token(struct github_token *token)
{
	sign_secret_free(token->text);
	mem_free(token);
}

/* Makes room when the cache is full: the unused token that ends first goes. */
static void evict_token(struct github *gh)
{
	struct github_token **worst = NULL, *gone;
	size_t count = 0;

	for (struct github_token **at = &gh->tokens; *at; at = &(*at)->next, count++)
		if (!(*at)->minting && !(*at)->waiting &&
		    (!worst || (*at)->expires_ms < (*worst)->expires_ms))
			worst = at;
	if (count < TOKENS_MAX || !worst)
		return;
	gone = *worst;
	*worst = gone->next;
	free_token(gone);
}

static struct github_token *entry_of(struct github *gh, const struct github_target *to,
				     enum github_scope scope)
{
	struct github_token *entry;

	for (entry = gh->tokens; entry; entry = entry->next)
		if (entry->installation_id == to->installation_id &&
		    entry->repo_id == to->repo_id && entry->scope == scope)
			return entry;
	evict_token(gh);
	entry = mem_new(1, sizeof *entry);
	entry->installation_id = to->installation_id;
	entry->repo_id = to->repo_id;
	entry->scope = scope;
	entry->next = gh->tokens;
	return gh->tokens = entry;
}

/* Mints outside the lock, which is held before and after. */
static void renew(struct github *gh, struct http *http, const struct github_target *to,
		  struct github_token *entry)
{
	struct minted minted = {0};
	struct err err = {0};
	enum err_class class;
	int64_t now_ms;

	entry->minting = true;
	pthread_mutex_unlock(&gh->lock);
	class = mint(gh, http, to, entry->scope, &minted, &err);
	/* The caller's own request was not sent, whatever became of this one. */
	err.in_doubt = false;
	pthread_mutex_lock(&gh->lock);
	now_ms = clock_mono_ms();
	entry->minting = false;
	if (!class) {
		sign_secret_free(entry->text);
		entry->text = minted.text;
		entry->minted_ms = now_ms;
		entry->expires_ms = now_ms + minted.lifetime_ms;
		entry->renew_at_ms = entry->expires_ms - RENEW_EARLY_MS;
	} else if (entry->text && now_ms < entry->expires_ms) {
		log_info("github_token_kept", LOG_S("message", err.msg));
		class = ERR_OK;
	}
	entry->last = class;
	entry->last_err = err;
	pthread_cond_broadcast(&gh->minted);
}

enum err_class github_credential_for(struct github *gh, struct http *http,
				     const struct github_target *to, enum github_scope scope,
				     struct github_credential *out, struct err *err)
{
	struct github_target resolved = *to;
	struct github_token *entry;
	enum err_class class;

	if (!gh->app_id)
		return github_credential_own(gh, out, err);
	*out = (struct github_credential){0};
	class = github_installation_id(gh, http, to, &resolved.installation_id, err);
	if (class)
		return class;
	pthread_mutex_lock(&gh->lock);
	entry = entry_of(gh, &resolved, scope);
	if (entry->minting) {
		entry->waiting++;
		while (entry->minting)
			pthread_cond_wait(&gh->minted, &gh->lock);
		entry->waiting--;
		class = entry->last;
	} else if (!entry->text || clock_mono_ms() >= entry->renew_at_ms) {
		renew(gh, http, &resolved, entry);
		class = entry->last;
	}
	if (class && err)
		*err = entry->last_err;
	if (!class && !entry->text) /* dropped by a third thread meanwhile */
		class = err_set(err, ERR_TRANSIENT, "the token for %.200s was just given up",
				to->repo);
	if (!class) {
		out->key = out->installation_id = resolved.installation_id;
		out->text = str_dup(entry->text);
		out->minted_ms = entry->minted_ms;
	}
	pthread_mutex_unlock(&gh->lock);
	return class;
}

/* --- after a 401 --- */

static bool set_clock(struct github *gh, const struct http_response *response,
		      struct github_mending *mending)
{
	char message[GITHUB_MESSAGE_MAX], date[64];
	int64_t theirs_ms, offset_ms;

	if (mending->clock_set ||
	    !github_is_clock_fault(github_answer_message(response, message)) ||
	    !clock_parse(&theirs_ms, http_response_header(response, "date", date, sizeof date)))
		return false;
	mending->clock_set = true;
	offset_ms = theirs_ms - clock_now_ms();
	pthread_mutex_lock(&gh->lock);
	gh->clock_offset_ms = offset_ms;
	pthread_mutex_unlock(&gh->lock);
	log_warn("github_clock_differs", LOG_I("offset_ms", offset_ms));
	return true;
}

static void drop_token(struct github *gh, const char *text, int64_t fresh_ms)
{
	pthread_mutex_lock(&gh->lock);
	for (struct github_token *at = gh->tokens; at; at = at->next)
		if (!at->minting && str_eq(at->text, text) &&
		    clock_mono_ms() - at->minted_ms >= fresh_ms) {
			sign_secret_free(at->text);
			at->text = NULL;
		}
	pthread_mutex_unlock(&gh->lock);
}

bool github_credential_mend(struct github *gh, const struct github_credential *credential,
			    const struct http_response *response, struct github_mending *mending)
{
	if (credential->is_jwt)
		return set_clock(gh, response, mending);
	if (!gh->app_id) {
		bool changed = false;

		pthread_mutex_lock(&gh->lock);
		if (!mending->reloaded)
			changed = reload_token(gh) || !str_eq(gh->token, credential->text);
		mending->reloaded = true;
		pthread_mutex_unlock(&gh->lock);
		return changed;
	}
	if (clock_mono_ms() - credential->minted_ms < FRESH_MS) {
		if (mending->waits == FRESH_WAITS_MAX)
			return false;
		github_sleep_ms((int64_t)gh->fresh_wait_ms * ++mending->waits);
		return true;
	}
	if (mending->dropped || mending->waits)
		return false;
	mending->dropped = true;
	drop_token(gh, credential->text, 0);
	return true;
}

void github_tokens_renew(struct github *gh, const struct github_target *to)
{
	pthread_mutex_lock(&gh->lock);
	for (struct github_token *at = gh->tokens; at; at = at->next)
		if (!at->minting && at->installation_id == to->installation_id) {
			sign_secret_free(at->text);
			at->text = NULL;
		}
	pthread_mutex_unlock(&gh->lock);
}

void github_git_token_refused(struct github *gh, const char *token)
{
	if (gh->app_id)
		drop_token(gh, token, FRESH_MS);
}
