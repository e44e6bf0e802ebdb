/* github_call.c - one call to GitHub: may it go out, with which credential, where does it lead,
 * what is to be learned from the answer.
 *
 * A call that has to wait is not sent at all; the caller gets the time. Redirects (a renamed
 * repository) are followed here with the same method and body, on the same host only, so a
 * credential never leaves it. Apart from a refused credential nothing is repeated here: the worker
 * knows better when. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/services/github_impl.h"

enum {
	HOPS_MAX = 3,
	SHORT_WAIT_MS = 50, /* is slept off in the call */
	PAUSE_MIN_MS = 100, /* between two tries of a step */
	RESPONSE_MAX = 8 * 1024 * 1024,
	URL_MAX = 8192,
	PACES_MAX = 4096,
	EXPIRY_WARN_MS = 7 * 86400000,
	DAY_MS = 86400000,
};

void github_sleep_ms(int64_t ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	if (ms > 0)
		nanosleep(&ts, NULL);
}

char *github_segment(const char *text)
{
	AUTO_BUF struct buf out = buf_make(URL_MAX);

	if (str_eq(text, "."))
		return str_dup("%2E");
	if (str_eq(text, ".."))
		return str_dup("%2E%2E");
	http_escape(&out, text);
	return buf_take(&out);
}

char *github_repo_url(const struct github *gh, const struct github_target *to, const char *fmt, ...)
{
	const char *slash = strchr(to->repo, '/');
	AUTO_FREE char *owner = NULL, *name = NULL;
	AUTO_FREE char *raw_owner = NULL;
	char tail[2048];
	va_list ap;
	int len;

	raw_owner = str_dup_len(to->repo, slash ? (size_t)(slash - to->repo) : strlen(to->repo));
	owner = github_segment(raw_owner);
	name = github_segment(slash ? slash + 1 : "");
	va_start(ap, fmt);
	len = vsnprintf(tail, sizeof tail, fmt, ap);
	va_end(ap);
	must(len >= 0 && (size_t)len < sizeof tail);
	return str_printf("%s/repos/%s/%s%s", gh->api_url, owner, name, tail);
}

struct github_pace *github_pace_of(struct github *gh, int64_t key)
{
	struct github_pace **at = &gh->paces, *pace;
	size_t count = 0;

	for (; *at; at = &(*at)->next, count++)
		if ((*at)->key == key) {
			/* To the front, so the list ends with what was not used for longest. */
			pace = *at;
			*at = pace->next;
			pace->next = gh->paces;
			return gh->paces = pace;
		}
	if (count >= PACES_MAX) {
		for (at = &gh->paces; (*at)->next; at = &(*at)->next)
			;
		pace = *at;
		if (!pace->in_flight) {
			*at = NULL;
			github_pace_dispose(pace);
			mem_free(pace);
		}
	}
	pace = mem_new(1, sizeof *pace);
	pace->key = key;
	pace->next = gh->paces;
	return gh->paces = pace;
}

static enum err_class throttled(int64_t wait_ms, const char *why, struct err *err)
{
	int64_t until_ms = clock_now_ms() + wait_ms;
	char when[21];

	clock_rfc3339(when, until_ms);
	err_code(err, ERR_THROTTLED, "github.wait", "%s until %s", why, when);
	if (err)
		err->retry_at_ms = until_ms;
	return ERR_THROTTLED;
}

/* Books the request with its credential's pace, or says from when on it may go out. A short wait,
 * as for another write to end, is slept off here. */
static enum err_class admit(struct github *gh, int64_t key, enum github_kind kind,
			    enum github_resource resource, struct err *err)
{
	for (int64_t slept_ms = 0;;) {
		struct github_pace *pace;
		int64_t now_ms = clock_mono_ms(), wait_ms;
		bool is_paused;

		pthread_mutex_lock(&gh->lock);
		pace = github_pace_of(gh, key);
		wait_ms = github_pace_due_ms(pace, &gh->limits, kind, resource, now_ms) - now_ms;
		is_paused = pace->paused_until_ms[resource] >= now_ms + wait_ms;
		if (wait_ms <= 0)
			github_pace_begin(pace, &gh->limits, kind, now_ms);
		pthread_mutex_unlock(&gh->lock);
		if (wait_ms <= 0)
			return ERR_OK;
		if (slept_ms + wait_ms > SHORT_WAIT_MS)
			return throttled(wait_ms > PAUSE_MIN_MS ? wait_ms : PAUSE_MIN_MS,
					 is_paused
						 ? "GitHub asked us to wait"
						 : "Calls to GitHub are paced; the next may go out",
					 err);
		github_sleep_ms(wait_ms);
		slept_ms += wait_ms;
	}
}

/* Ends the booking and remembers what the answer says about limits; how long the credential pauses.
 */
static enum github_wait settle(struct github *gh, int64_t key, const struct github_call *call,
			       enum github_kind booked, const struct http_response *response,
			       int64_t *pause_ms)
{
	int64_t now_ms = clock_mono_ms();
	enum github_wait wait = GITHUB_WAIT_NONE;
	struct github_facts facts;
	struct github_pace *pace;

	if (response)
		github_facts_read(&facts, response, call->resource, clock_now_ms());
	pthread_mutex_lock(&gh->lock);
	pace = github_pace_of(gh, key);
	github_pace_end(pace, booked, now_ms);
	if (response)
		wait = github_pace_learn(pace, &facts, now_ms);
	*pause_ms = pace->paused_until_ms[call->resource] - now_ms;
	pthread_mutex_unlock(&gh->lock);
	if (wait)
		metrics_add(METRIC_RATE_WAITS, github_wait_name(wait), 1);
	return wait;
}

/* Path and query of a URL, for the log. */
static const char *path_of(const char *url)
{
	const char *host = strstr(url, "://");

	return host ? host + 3 + strcspn(host + 3, "/") : url;
}

static void record(const struct github_call *call, const char *url, enum err_class class,
		   const struct http_response *response)
{
	char id[80];

	metrics_call("github", class ? 0 : response->status, response->took_ms);
	log_debug("github_call", LOG_S("method", call->method), LOG_S("path", path_of(url)),
		  LOG_I("status", class ? 0 : response->status),
		  LOG_I("took_ms", response->took_ms),
		  LOG_S("request_id",
			http_response_header(response, "x-github-request-id", id, sizeof id)));
}

/* A personal token tells when it ends; the operator hears of it a week before, once a day. */
static void watch_expiry(struct github *gh, const struct http_response *response)
{
	int64_t now_ms = clock_now_ms(), ends_ms;
	char value[64];
	bool warn;

	if (gh->app_id ||
	    strlen(http_response_header(response, "github-authentication-token-expiration", value,
					sizeof value)) < 19)
		return;
	str_copy(value + 19, 2, "Z"); /* "2026-12-01 10:00:00 UTC" */
	if (!clock_parse(&ends_ms, value) || ends_ms - now_ms > EXPIRY_WARN_MS)
		return;
	pthread_mutex_lock(&gh->lock);
	warn = now_ms - gh->expiry_warned_ms > DAY_MS;
	if (warn)
		gh->expiry_warned_ms = now_ms;
	pthread_mutex_unlock(&gh->lock);
	if (warn)
		log_warn("github_token_expires", LOG_S("at", value));
}

static void set_headers(const struct github *gh, const struct github_call *call,
			const char *authorization, struct http_request *request)
{
	struct http_header headers[] = {
		{"Authorization", authorization},
		{"Accept", "application/vnd.github+json"},
		{"X-GitHub-Api-Version", gh->api_version},
		{request->body	       ? "Content-Type"
		 : call->if_none_match ? "If-None-Match"
				       : NULL,
		 request->body ? "application/json" : call->if_none_match},
	};

	memcpy(request->headers, headers, sizeof headers);
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 307 || status == 308;
}

/* Where a redirect leads, when we may go there: the same host. */
static enum err_class next_hop(char **url, const struct http_response *response, struct err *err)
{
	char location[URL_MAX];
	char *next = github_same_origin(
		*url, http_response_header(response, "location", location, sizeof location));

	if (!next)
		return err_code(
			err, ERR_CONFIG, "github.redirect",
			"GitHub redirected to another host (HTTP %d); check the API address",
			response->status);
	mem_free(*url);
	*url = next;
	return ERR_OK;
}

/* Sends and follows; transport errors and refused redirects come out, any status else is ERR_OK. */
static enum err_class exchange(struct github *gh, struct http *http, const struct github_call *call,
			       const struct github_credential *credential,
			       struct http_response *response, struct err *err)
{
	AUTO_FREE char *body = call->body ? jval_dump(call->body) : NULL;
	AUTO_FREE char *url = str_dup(call->url);
	char *authorization = str_printf("Bearer %s", credential->text);
	struct http_request request = {
		.method = call->method,
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.response_max = call->response_max ? call->response_max : RESPONSE_MAX,
	};
	enum err_class class;

	set_headers(gh, call, authorization, &request);
	for (int hop = 0;; hop++) {
		request.url = url;
		class = http_do(http, &request, response, err);
		record(call, url, class, response);
		if (class || !is_redirect(response->status) || hop == HOPS_MAX)
			break;
		class = next_hop(&url, response, err);
		if (class)
			break;
		http_response_dispose(response);
	}
	sign_secret_free(authorization);
	return class;
}

/* One request with one credential, booked and settled. `is_repeat`: the first was refused with 401,
 * so it created nothing and costs the write budget nothing. */
static enum err_class send_once(struct github *gh, struct http *http,
				const struct github_call *call,
				const struct github_credential *credential, bool is_repeat,
				struct http_response *response, struct err *err)
{
	enum github_kind booked = is_repeat ? GITHUB_READ : call->kind;
	bool is_write = call->kind == GITHUB_WRITE || call->kind == GITHUB_NOTIFY;
	enum err_class class = admit(gh, credential->key, booked, call->resource, err);
	int64_t pause_ms;

	*response = (struct http_response){0};
	if (class)
		return class;
	if (is_write)
		CRASH_POINT("github.before_write");
	class = exchange(gh, http, call, credential, response, err);
	if (is_write)
		CRASH_POINT("github.after_write");
	if (settle(gh, credential->key, call, booked, class ? NULL : response, &pause_ms))
		return throttled(pause_ms, "GitHub's rate limit is reached; wait", err);
	if (!class)
		watch_expiry(gh, response);
	else if (err && (call->kind == GITHUB_READ || call->kind == GITHUB_MINT))
		err->in_doubt = false;
	return class;
}

/* "As when you asked last" is an answer only to who asked so. */
static enum err_class read_answer(const struct github_call *call,
				  const struct http_response *response,
				  const struct github_credential *credential,
				  struct github_answer *out, struct err *err)
{
	if (response->status == 304 && call->if_none_match) {
		*out = (struct github_answer){.status = 304};
		return ERR_OK;
	}
	return github_answer_read(out, response, call->kind, call->resource, credential->text, err);
}

enum err_class github_call_own(struct github *gh, struct http *http, const struct github_call *call,
			       struct github_answer *out, struct err *err)
{
	struct github_mending mending = {0};
	bool repeat = false;
	enum err_class class;

	*out = (struct github_answer){0};
	do {
		AUTO_RESPONSE struct http_response response = {0};
		struct github_credential credential;

		class = github_credential_own(gh, &credential, err);
		if (class)
			return class;
		class = send_once(gh, http, call, &credential, repeat, &response, err);
		repeat = !class && response.status == 401 &&
			 github_credential_mend(gh, &credential, &response, &mending);
		if (!class && !repeat)
			class = read_answer(call, &response, &credential, out, err);
		github_credential_dispose(&credential);
	} while (repeat);
	/* what is refused here is the App itself, not the token of one installation */
	if (gh->app_id && class == ERR_CONFIG && err && str_eq(err->code, "github.token_refused"))
		str_copy(err->code, sizeof err->code, "github.key_refused");
	return class;
}

/* Says so when the installation has to wait, before a token is minted for nothing. */
static enum err_class check_pause(struct github *gh, struct http *http,
				  const struct github_call *call, struct github_target *resolved,
				  struct err *err)
{
	enum err_class class =
		github_installation_id(gh, http, call->to, &resolved->installation_id, err);
	int64_t now_ms = clock_mono_ms(), wait_ms;

	if (class)
		return class;
	pthread_mutex_lock(&gh->lock);
	wait_ms = github_pace_of(gh, resolved->installation_id)->paused_until_ms[call->resource] -
		  now_ms;
	pthread_mutex_unlock(&gh->lock);
	return wait_ms > 0 ? throttled(wait_ms, "GitHub asked us to wait", err) : ERR_OK;
}

enum err_class github_call(struct github *gh, struct http *http, const struct github_call *call,
			   struct github_answer *out, struct err *err)
{
	struct github_mending mending = {0};
	struct github_target resolved;
	bool repeat = false;
	enum err_class class;

	if (!gh->app_id || !call->to)
		return github_call_own(gh, http, call, out, err);
	*out = (struct github_answer){0};
	resolved = *call->to;
	class = check_pause(gh, http, call, &resolved, err);
	if (class)
		return class;
	do {
		AUTO_RESPONSE struct http_response response = {0};
		struct github_credential credential;

		class = github_credential_for(gh, http, &resolved, call->scope, &credential, err);
		if (class)
			return class;
		class = send_once(gh, http, call, &credential, repeat, &response, err);
		repeat = !class && response.status == 401 &&
			 github_credential_mend(gh, &credential, &response, &mending);
		if (!class && !repeat)
			class = read_answer(call, &response, &credential, out, err);
		github_credential_dispose(&credential);
	} while (repeat);
	return class;
}
