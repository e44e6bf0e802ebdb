/* github_deploy.c - see github_merge.h. Deployment objects and the label.
 *
 * GitHub's defaults for a new deployment would merge the base into the branch and refuse while any
 * status is not green: both are switched off, because our own gates have asked. The payload carries
 * the job, by which one that was made before a crash is found again. */
#include <inttypes.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/services/github_impl.h"
#include "lib/services/github_merge.h"

enum { LIST_MAX = 100 };

static enum err_class send(struct github *gh, struct http *http, const struct github_target *to,
			   const char *method, const char *url, const json_t *body,
			   struct github_answer *answer, struct err *err)
{
	struct github_call call = {.method = method,
				   .url = url,
				   .body = body,
				   .kind = str_eq(method, "GET") ? GITHUB_READ : GITHUB_WRITE,
				   .to = to};

	return github_call(gh, http, &call, answer, err);
}

static int64_t find_deployment(struct github *gh, struct http *http, const struct github_target *to,
			       const json_t *body, struct err *err)
{
	AUTO_FREE char *environment = github_segment(jval_str(body, "environment", ""));
	AUTO_FREE char *url =
		github_repo_url(gh, to, "/deployments?sha=%s&environment=%.300s&per_page=100",
				jval_str(body, "ref", ""), environment);
	AUTO_ANSWER struct github_answer answer = {0};
	const json_t *each;
	size_t i;

	if (send(gh, http, to, "GET", url, NULL, &answer, err))
		return -1;
	json_array_foreach(
		answer.json, i,
		each) if (str_eq(jval_str(each, "payload.job", NULL),
				 jval_str(body, "payload.job", ""))) return jval_int(each, "id", 0);
	return 0;
}

enum err_class github_deployment_create(struct github *gh, struct http *http,
					const struct github_target *to, const json_t *body,
					bool in_doubt, int64_t *out_id, struct err *err)
{
	AUTO_FREE char *url = github_repo_url(gh, to, "/deployments");
	AUTO_JSON json_t *request = json_deep_copy(body);
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class;

	*out_id = in_doubt ? find_deployment(gh, http, to, body, err) : 0;
	if (*out_id < 0)
		return err->class;
	if (*out_id)
		return ERR_OK;
	jval_set_bool(request, "auto_merge", false);
	jval_set(request, "required_contexts", json_array());
	class = send(gh, http, to, "POST", url, request, &answer, err);
	if (class)
		return class;
	*out_id = jval_int(answer.json, "id", 0);
	if (*out_id)
		return ERR_OK;
	class = err_code(err, ERR_TRANSIENT, "github.odd", "GitHub's answer lacks a deployment");
	if (err)
		err->in_doubt = true;
	return class;
}

/* Is the newest status the one that is to be made? */
static enum err_class has_status(struct github *gh, struct http *http,
				 const struct github_target *to, const char *url,
				 const json_t *body, bool *out, struct err *err)
{
	static const char *const told[] = {"state", "description"};
	AUTO_FREE char *newest = str_printf("%s?per_page=1", url);
	AUTO_ANSWER struct github_answer answer = {0};
	const json_t *status;

	if (send(gh, http, to, "GET", newest, NULL, &answer, err))
		return err->class;
	status = json_array_get(answer.json, 0);
	*out = status != NULL;
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		*out = *out && str_eq(jval_str(status, told[i], ""), jval_str(body, told[i], ""));
	return ERR_OK;
}

enum err_class github_deployment_status(struct github *gh, struct http *http,
					const struct github_target *to, int64_t id,
					const json_t *body, bool in_doubt, struct err *err)
{
	AUTO_FREE char *url = github_repo_url(gh, to, "/deployments/%" PRId64 "/statuses", id);
	AUTO_ANSWER struct github_answer answer = {0};
	bool has = false;

	if (in_doubt && has_status(gh, http, to, url, body, &has, err))
		return err->class;
	if (has)
		return ERR_OK;
	return send(gh, http, to, "POST", url, body, &answer, err);
}

/* --- the label --- */

static enum err_class take_label(struct github *gh, struct http *http,
				 const struct github_target *to, int64_t number, const char *name,
				 struct err *err)
{
	AUTO_FREE char *url =
		github_repo_url(gh, to, "/issues/%" PRId64 "/labels/%.300s", number, name);
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = send(gh, http, to, "DELETE", url, NULL, &answer, err);

	return class == ERR_NOT_FOUND ? ERR_OK : class; /* it has gone meanwhile */
}

/* One list says both: is it here, and where else is it. */
static bool is_among(const json_t *wearers, int64_t pr)
{
	const json_t *each;
	size_t i;

	json_array_foreach(wearers, i, each)
	{
		if (jval_int(each, "number", 0) == pr)
			return true;
	}
	return false;
}

static enum err_class put_label(struct github *gh, struct http *http,
				const struct github_target *to, int64_t pr, const char *label,
				struct err *err)
{
	AUTO_FREE char *url = github_repo_url(gh, to, "/issues/%" PRId64 "/labels", pr);
	AUTO_JSON json_t *body = json_pack("{s:[s]}", "labels", label);
	AUTO_ANSWER struct github_answer added = {0};

	return send(gh, http, to, "POST", url, body, &added, err);
}

/* Asks before it writes: writes are paced, so the second of two finds that it must wait, and the
 * whole is repeated; a first one that was sent again each time would keep the second from ever
 * being due. */
enum err_class github_label_move(struct github *gh, struct http *http,
				 const struct github_target *to, int64_t pr, const char *label,
				 struct err *err)
{
	AUTO_FREE char *name = github_segment(label);
	AUTO_FREE char *wearers = github_repo_url(
		gh, to, "/issues?labels=%.300s&state=all&per_page=%d", name, LIST_MAX);
	AUTO_ANSWER struct github_answer listed = {0};
	enum err_class class = send(gh, http, to, "GET", wearers, NULL, &listed, err);
	const json_t *each;
	size_t i;

	if (!class && !is_among(listed.json, pr))
		class = put_label(gh, http, to, pr, label, err);
	json_array_foreach(listed.json, i, each)
	{
		int64_t number = jval_int(each, "number", 0);

		if (!class && number && number != pr && jval_at(each, "pull_request"))
			class = take_label(gh, http, to, number, name, err);
	}
	return class;
}
