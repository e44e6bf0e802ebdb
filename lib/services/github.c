/* github.c - the handle, who we are, and the questions about repositories and pull requests. See
 * github.h; the other files of the module are mapped in github_impl.h. Values that decide something
 * (a SHA, an id) are checked for their form here, so that a strange answer is an error and not a
 * value. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/services/github_impl.h"

enum {
	WRITES_PER_MINUTE = 60,
	WRITES_PER_HOUR = 450,
	WRITE_GAP_MS = 1000,
	FRESH_WAIT_MS = 1000,
	API_URL_MAX = 512,
};

static enum err_class check_options(const struct github_options *options, struct err *err)
{
	if (str_is_empty(options->api_url) || strlen(options->api_url) > API_URL_MAX ||
	    (!str_starts(options->api_url, "https://") && !str_starts(options->api_url, "http://")))
		return err_set(err, ERR_CONFIG,
			       "GitHub's API address has to begin with https://, as in "
			       "https://api.github.com or https://HOST/api/v3");
	if (options->app_id && options->token_file)
		return err_set(err, ERR_CONFIG,
			       "both an App id and a token file are given; one of them decides who "
			       "the bot is");
	if (!options->app_id && !options->token_file)
		return err_set(err, ERR_CONFIG, "neither an App id nor a token file is given");
	if (options->app_id && str_is_empty(options->app_id))
		return err_set(err, ERR_CONFIG, "the App id is empty");
	if (options->app_id && !options->private_key_file)
		return err_set(err, ERR_CONFIG, "an App id is given, but no private key file");
	return ERR_OK;
}

/* Without slashes at the end. */
static char *trimmed(const char *url)
{
	size_t len = strlen(url);

	while (len && url[len - 1] == '/')
		len--;
	return str_dup_len(url, len);
}

/* GitHub.com has GraphQL beside REST, an Enterprise Server beside "v3". */
static char *graphql_of(const char *api_url)
{
	if (str_ends(api_url, "/api/v3"))
		return str_printf("%.*s/graphql", (int)(strlen(api_url) - 3), api_url);
	return str_printf("%s/graphql", api_url);
}

enum err_class github_new(struct github **out, const struct github_options *options,
			  struct err *err)
{
	enum err_class class = check_options(options, err);
	struct github *gh;

	*out = NULL;
	if (class)
		return class;
	gh = mem_new(1, sizeof *gh);
	pthread_mutex_init(&gh->lock, NULL);
	pthread_cond_init(&gh->minted, NULL);
	gh->api_url = trimmed(options->api_url);
	gh->graphql_url = str_is_empty(options->graphql_url) ? graphql_of(gh->api_url)
							     : trimmed(options->graphql_url);
	gh->api_version =
		str_dup(str_is_empty(options->api_version) ? "2022-11-28" : options->api_version);
	gh->deploys = options->deploys;
	gh->limits = (struct github_limits){
		.writes_per_minute = options->writes_per_minute > 0 ? options->writes_per_minute
								    : WRITES_PER_MINUTE,
		.writes_per_hour =
			options->writes_per_hour > 0 ? options->writes_per_hour : WRITES_PER_HOUR,
		.write_gap_ms = options->write_gap_ms > 0 ? options->write_gap_ms : WRITE_GAP_MS,
	};
	gh->fresh_wait_ms = FRESH_WAIT_MS;
	gh->app_id = str_dup(options->app_id);
	gh->secret_file = str_dup(gh->app_id ? options->private_key_file : options->token_file);
	sign_stamp_changed(&gh->secret_stamp, gh->secret_file);
	class = gh->app_id ? github_key_load(gh, err)
			   : sign_secret_read(&gh->token, gh->secret_file, err);
	if (class) {
		github_free(gh);
		return class;
	}
	*out = gh;
	return ERR_OK;
}

void github_free(struct github *take_github)
{
	struct github *gh = take_github;

	if (!gh)
		return;
	for (struct github_token *at = gh->tokens, *next; at; at = next) {
		next = at->next;
		sign_secret_free(at->text);
		mem_free(at);
	}
	for (struct github_installation *at = gh->installations, *next; at; at = next) {
		next = at->next;
		mem_free(at->repo);
		mem_free(at);
	}
	for (struct github_pace *at = gh->paces, *next; at; at = next) {
		next = at->next;
		github_pace_dispose(at);
		mem_free(at);
	}
	sign_key_free(gh->key);
	sign_secret_free(gh->token);
	mem_free(gh->secret_file);
	mem_free(gh->app_id);
	mem_free(gh->api_url);
	mem_free(gh->graphql_url);
	mem_free(gh->api_version);
	pthread_cond_destroy(&gh->minted);
	pthread_mutex_destroy(&gh->lock);
	mem_free(gh);
}

static enum err_class odd_answer(struct err *err, const char *what)
{
	return err_code(err, ERR_TRANSIENT, "github.odd", "GitHub's answer lacks %s", what);
}

/* --- who we are --- */

static int level_of(const char *name)
{
	static const char *const levels[] = {"read", "write", "admin"};

	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (str_eq(levels[i], name))
			return (int)i + 1;
	return 0;
}

/* What the App must be granted; ERR_DENIED lists what is missing. */
static enum err_class check_permissions(const json_t *granted, bool deploys, struct err *err)
{
	static const struct {
		const char *name, *level;
		bool to_deploy;
	} needed[] = {
		{"metadata", "read", false},	   {"issues", "write", false},
		{"pull_requests", "write", false}, {"contents", "read", false},
		{"checks", "write", false},	   {"contents", "write", true},
		{"deployments", "write", true},	   {"statuses", "read", true},
	};
	AUTO_BUF struct buf missing = buf_make(400);

	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (needed[i].to_deploy <= deploys &&
		    level_of(jval_str(granted, needed[i].name, "")) < level_of(needed[i].level))
			buf_printf(&missing, "%s%s: %s", missing.len ? ", " : "", needed[i].name,
				   needed[i].level);
	if (!missing.len)
		return ERR_OK;
	return err_code(err, ERR_DENIED, "github.app_permissions",
			"the GitHub App lacks permissions: %s; grant them in the App's settings",
			buf_text(&missing));
}

static enum err_class read_identity(struct github *gh, const json_t *json,
				    struct github_identity *out, struct err *err)
{
	const char *name = jval_str(json, gh->app_id ? "slug" : "login", NULL);
	int64_t id = jval_int(json, "id", 0);

	*out = (struct github_identity){.is_app = gh->app_id != NULL};
	if (!name || !id)
		return odd_answer(err, "id or name of the bot");
	if (gh->app_id) {
		out->app_id = id;
		snprintf(out->login, sizeof out->login, "%.100s[bot]", name);
	} else {
		out->user_id = id;
		str_copy(out->login, sizeof out->login, name);
	}
	return ERR_OK;
}

/* Asks when it is not known, or when `again` and permissions were missing the last time. */
static enum err_class ask_identity(struct github *gh, struct http *http, bool again,
				   struct github_identity *out, struct err *err)
{
	AUTO_FREE char *url = str_printf("%s%s", gh->api_url, gh->app_id ? "/app" : "/user");
	struct github_call call = {.method = "GET", .url = url};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class;
	bool known, complete;

	pthread_mutex_lock(&gh->lock);
	known = gh->identity_known;
	complete = gh->identity_complete;
	*out = gh->identity;
	pthread_mutex_unlock(&gh->lock);
	if (known && (complete || !again))
		return ERR_OK;
	class = github_call_own(gh, http, &call, &answer, err);
	if (class) {
		err_wrap(err, "cannot ask GitHub who the bot is");
		return class;
	}
	class = read_identity(gh, answer.json, out, err);
	if (class)
		return class;
	class = gh->app_id
			? check_permissions(jval_at(answer.json, "permissions"), gh->deploys, err)
			: ERR_OK;
	pthread_mutex_lock(&gh->lock);
	gh->identity = *out;
	gh->identity_known = true;
	gh->identity_complete = !class;
	pthread_mutex_unlock(&gh->lock);
	return again ? class : ERR_OK;
}

enum err_class github_identity(struct github *gh, struct http *http, struct github_identity *out,
			       struct err *err)
{
	return ask_identity(gh, http, true, out, err);
}

enum err_class github_identity_load(struct github *gh, struct http *http,
				    struct github_identity *out, struct err *err)
{
	return ask_identity(gh, http, false, out, err);
}

/* --- people and pull requests --- */

enum err_class github_permission(struct github *gh, struct http *http,
				 const struct github_target *to, const char *login,
				 struct github_permission *out, struct err *err)
{
	AUTO_FREE char *name = github_segment(login);
	AUTO_FREE char *url = github_repo_url(gh, to, "/collaborators/%.600s/permission", name);
	struct github_call call = {.method = "GET", .url = url, .to = to};
	AUTO_ANSWER struct github_answer answer = {0};
	const json_t *rights;
	enum err_class class;

	*out = (struct github_permission){0};
	class = github_call(gh, http, &call, &answer, err);
	if (class)
		return class;
	/* Without a user nobody can be compared by id, so nothing is granted. */
	out->user_id = jval_int(answer.json, "user.id", 0);
	str_copy(out->role, sizeof out->role,
		 jval_str(answer.json, "role_name", jval_str(answer.json, "permission", "")));
	rights = out->user_id ? jval_at(answer.json, "user.permissions") : NULL;
	out->pull = jval_bool(rights, "pull", false);
	out->triage = jval_bool(rights, "triage", false);
	out->push = jval_bool(rights, "push", false);
	out->maintain = jval_bool(rights, "maintain", false);
	out->admin = jval_bool(rights, "admin", false);
	return ERR_OK;
}

static enum err_class read_pull(const json_t *json, struct github_pull *out, struct err *err)
{
	const char *sha = jval_str(json, "head.sha", NULL);
	bool fits;

	if (!str_is_object_name(sha) || !jval_str(json, "state", NULL))
		return odd_answer(err, "state or head of the pull request");
	out->open = str_eq(jval_str(json, "state", NULL), "open");
	out->merged = jval_bool(json, "merged", false);
	out->draft = jval_bool(json, "draft", false);
	out->locked = jval_bool(json, "locked", false);
	out->head_repo_id = jval_int(json, "head.repo.id", 0);
	out->base_repo_id = jval_int(json, "base.repo.id", 0);
	out->author_id = jval_int(json, "user.id", 0);
	out->is_public = !jval_bool(json, "base.repo.private", true);
	fits = str_copy(out->head_sha, sizeof out->head_sha, sha) &&
	       str_copy(out->base_sha, sizeof out->base_sha, jval_str(json, "base.sha", "")) &&
	       str_copy(out->node_id, sizeof out->node_id, jval_str(json, "node_id", "")) &&
	       str_copy(out->head_ref, sizeof out->head_ref, jval_str(json, "head.ref", "")) &&
	       str_copy(out->base_ref, sizeof out->base_ref, jval_str(json, "base.ref", "")) &&
	       str_copy(out->html_url, sizeof out->html_url, jval_str(json, "html_url", ""));
	if (!fits)
		return err_code(err, ERR_USER, "github.name_too_long",
				"a branch name of the pull request is longer than %zu bytes",
				sizeof out->head_ref - 1);
	if (!out->base_repo_id || !*out->base_ref)
		return odd_answer(err, "base of the pull request");
	return ERR_OK;
}

enum err_class github_pull(struct github *gh, struct http *http, const struct github_target *to,
			   int64_t number, struct github_pull *out, struct err *err)
{
	AUTO_FREE char *url = github_repo_url(gh, to, "/pulls/%" PRId64, number);
	struct github_call call = {.method = "GET", .url = url, .to = to};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class;

	*out = (struct github_pull){0};
	class = github_call(gh, http, &call, &answer, err);
	return class ? class : read_pull(answer.json, out, err);
}

enum err_class github_git_token(struct github *gh, struct http *http,
				const struct github_target *to, char **out, struct err *err)
{
	struct github_credential credential;
	enum err_class class =
		github_credential_for(gh, http, to, GITHUB_SCOPE_GIT, &credential, err);

	*out = class ? NULL : credential.text;
	return class;
}

/* --- for whoever plans writes --- */

/* A time of the monotonic clock as wall clock; 0 for what is past. */
static int64_t to_wall(int64_t mono_ms)
{
	int64_t wait_ms = mono_ms - clock_mono_ms();

	return wait_ms > 0 ? clock_now_ms() + wait_ms : 0;
}

static int64_t pace_key(const struct github *gh, int64_t installation_id)
{
	return gh->app_id ? installation_id : 0;
}

int64_t github_paused_until_ms(struct github *gh, int64_t installation_id)
{
	const struct github_pace *pace;
	int64_t until_ms;

	pthread_mutex_lock(&gh->lock);
	pace = github_pace_of(gh, pace_key(gh, installation_id));
	until_ms = pace->paused_until_ms[GITHUB_CORE];
	pthread_mutex_unlock(&gh->lock);
	return to_wall(until_ms);
}

int64_t github_next_write_ms(struct github *gh, int64_t installation_id)
{
	int64_t due_ms, wall_ms;

	pthread_mutex_lock(&gh->lock);
	due_ms = github_pace_due_ms(github_pace_of(gh, pace_key(gh, installation_id)), &gh->limits,
				    GITHUB_WRITE, GITHUB_CORE, clock_mono_ms());
	pthread_mutex_unlock(&gh->lock);
	wall_ms = to_wall(due_ms);
	return wall_ms ? wall_ms : clock_now_ms();
}
