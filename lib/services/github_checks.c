/* github_checks.c - check runs (Apps only) and commit statuses.
 *
 * A request takes 50 annotations; the rest follows in further PATCHes, which GitHub appends. Those
 * are decoration: when one of them fails the run itself is there, so the call has succeeded.
 * Waiting for their turn happens here and is bounded, because the caller must not repeat the
 * creation. */
#include <inttypes.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/services/github_impl.h"

enum { ANNOTATIONS_AT_ONCE = 50, BATCHES_MAX = 4, BATCH_WAIT_MAX_MS = 5000, FIND_PAGES_MAX = 20 };

static enum err_class refuse_token_mode(const struct github *gh, struct err *err)
{
	return gh->app_id ? ERR_OK
			  : err_set(err, ERR_BUG, "check runs can be written by a GitHub App only");
}

/* Part `batch` of the annotations, with what GitHub demands beside them; NULL when there is none.
 */
static json_t *batch_of(const json_t *body, size_t batch)
{
	const json_t *all = jval_at(body, "output.annotations");
	size_t from = batch * ANNOTATIONS_AT_ONCE, count = json_array_size(all);
	json_t *output, *part;

	if (from >= count)
		return NULL;
	part = json_array();
	for (size_t i = from; i < count && i < from + ANNOTATIONS_AT_ONCE; i++)
		must(!json_array_append(part, json_array_get(all, i)));
	output = json_object();
	jval_set_str(output, "title", jval_str(body, "output.title", ""));
	jval_set_str(output, "summary", jval_str(body, "output.summary", ""));
	jval_set(output, "annotations", part);
	return output;
}

/* The body with the first batch only; a new reference. */
static json_t *first_request(const json_t *body)
{
	json_t *copy = json_deep_copy(body), *output;

	must(copy);
	if (json_array_size(jval_at(body, "output.annotations")) > ANNOTATIONS_AT_ONCE) {
		AUTO_JSON json_t *batch = batch_of(body, 0);

		output = jval_at(copy, "output");
		jval_set(output, "annotations", json_incref(jval_at(batch, "annotations")));
	}
	return copy;
}

static enum err_class patch(struct github *gh, struct http *http, const struct github_target *to,
			    int64_t id, const json_t *body, struct err *err)
{
	AUTO_FREE char *url = github_repo_url(gh, to, "/check-runs/%" PRId64, id);
	struct github_call call = {
		.method = "PATCH", .url = url, .body = body, .kind = GITHUB_WRITE, .to = to};
	AUTO_ANSWER struct github_answer answer = {0};

	return github_call(gh, http, &call, &answer, err);
}

static void send_rest(struct github *gh, struct http *http, const struct github_target *to,
		      int64_t id, const json_t *body)
{
	for (size_t batch = 1; batch < BATCHES_MAX; batch++) {
		json_t *output = batch_of(body, batch);
		AUTO_JSON json_t *request = NULL;
		struct err err = {0};
		enum err_class class;
		int64_t wait_ms;

		if (!output)
			return;
		request = json_object();
		jval_set(request, "output", output);
		class = patch(gh, http, to, id, request, &err);
		wait_ms = err.retry_at_ms - clock_now_ms();
		if (class == ERR_THROTTLED && wait_ms <= BATCH_WAIT_MAX_MS) {
			github_sleep_ms(wait_ms + 1);
			class = patch(gh, http, to, id, request, &err);
		}
		if (class) {
			log_info("github_annotations_lost", LOG_S("repo", to->repo),
				 LOG_S("message", err.msg));
			return;
		}
	}
}

enum err_class github_check_create(struct github *gh, struct http *http,
				   const struct github_target *to, const json_t *body,
				   int64_t *out_id, struct err *err)
{
	AUTO_FREE char *url = github_repo_url(gh, to, "/check-runs");
	AUTO_JSON json_t *first = gh->app_id ? first_request(body) : NULL;
	struct github_call call = {
		.method = "POST", .url = url, .body = first, .kind = GITHUB_WRITE, .to = to};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = refuse_token_mode(gh, err);

	*out_id = 0;
	if (!class)
		class = github_call(gh, http, &call, &answer, err);
	if (class)
		return class;
	*out_id = jval_int(answer.json, "id", 0);
	if (!*out_id) {
		err_code(err, ERR_TRANSIENT, "github.odd",
			 "GitHub's answer lacks the check run's id");
		if (err)
			err->in_doubt = true;
		return ERR_TRANSIENT;
	}
	send_rest(gh, http, to, *out_id, body);
	return ERR_OK;
}

enum err_class github_check_update(struct github *gh, struct http *http,
				   const struct github_target *to, int64_t id, const json_t *body,
				   struct err *err)
{
	enum err_class class = refuse_token_mode(gh, err);
	AUTO_JSON json_t *first = NULL;

	if (class)
		return class;
	first = first_request(body);
	json_object_del(first, "head_sha"); /* cannot change, and is not taken here */
	class = patch(gh, http, to, id, first, err);
	if (!class)
		send_rest(gh, http, to, id, body);
	return class;
}

/* The newest of our runs on this page that carries the external id; 0 when there is none. */
static int64_t newest_of(const json_t *json, const char *external_id, int64_t app_id,
			 int64_t newest)
{
	const json_t *runs = jval_at(json, "check_runs");
	size_t count = json_array_size(runs);

	for (size_t i = 0; i < count; i++) {
		const json_t *run = json_array_get(runs, i);
		int64_t id = jval_int(run, "id", 0);

		if (id > newest && str_eq(jval_str(run, "external_id", NULL), external_id) &&
		    jval_int(run, "app.id", 0) == app_id)
			newest = id;
	}
	return newest;
}

enum err_class github_check_find(struct github *gh, struct http *http,
				 const struct github_target *to, const char *sha, const char *name,
				 const char *external_id, int64_t *out_id, struct err *err)
{
	AUTO_FREE char *ref = github_segment(sha), *query = github_segment(name), *url = NULL;
	struct github_identity self;
	enum err_class class = refuse_token_mode(gh, err);
	int64_t newest = 0;

	*out_id = 0;
	if (!class)
		class = github_identity_load(gh, http, &self, err);
	if (class)
		return class;
	url = github_repo_url(
		gh, to,
		"/commits/%.200s/check-runs?check_name=%.900s&filter=all&app_id=%" PRId64
		"&per_page=100",
		ref, query, self.app_id);
	for (int page = 0; url && page < FIND_PAGES_MAX; page++) {
		struct github_call call = {
			.method = "GET", .url = url, .to = to, .response_max = 32 * 1024 * 1024};
		AUTO_ANSWER struct github_answer answer = {0};
		char *next;

		class = github_call(gh, http, &call, &answer, err);
		if (class)
			return class;
		newest = newest_of(answer.json, external_id, self.app_id, newest);
		next = answer.next ? github_same_origin(gh->api_url, answer.next) : NULL;
		mem_free(url);
		url = next;
	}
	*out_id = newest;
	if (newest)
		return ERR_OK;
	return err_code(err, ERR_NOT_FOUND, "github.none", "there is no such check run of the bot");
}

enum err_class github_status_create(struct github *gh, struct http *http,
				    const struct github_target *to, const char *sha,
				    const json_t *body, struct err *err)
{
	AUTO_FREE char *ref = github_segment(sha);
	AUTO_FREE char *url = github_repo_url(gh, to, "/statuses/%.200s", ref);
	struct github_call call = {
		.method = "POST", .url = url, .body = body, .kind = GITHUB_WRITE, .to = to};
	AUTO_ANSWER struct github_answer answer = {0};

	return github_call(gh, http, &call, &answer, err);
}
