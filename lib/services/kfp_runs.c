/* kfp_runs.c - runs: create, look, lists, terminate.
 *
 * The server stores a run under the id that the client sends, but makes the workflow before the
 * row, so a second POST of one id would start a second workflow. Here is one POST and never a
 * repeat; every answer that does not rule out that the run exists carries in_doubt, and the caller
 * looks first.
 *
 * Following 100,000 runs costs two kinds of lists: what has finished since then, and which of these
 * 200 have ended. Both read pages as they come and keep nothing but ids. A page that is too large
 * for the bound is asked for again in smaller pieces. */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/services/kfp_impl.h"

enum {
	PAGES_MAX = 2000,
	LIST_TIMEOUT_MS = 60 * 1000,
	TASKS_MAX = 2000,
	IDS_PER_CALL_MIN = 10,
};

/* --- states --- */

static const char *const state_names[] = {
	[RUN_UNKNOWN] = "UNKNOWN", [RUN_PENDING] = "PENDING",	  [RUN_RUNNING] = "RUNNING",
	[RUN_PAUSED] = "PAUSED",   [RUN_CANCELING] = "CANCELING", [RUN_SUCCEEDED] = "SUCCEEDED",
	[RUN_SKIPPED] = "SKIPPED", [RUN_FAILED] = "FAILED",	  [RUN_CANCELED] = "CANCELED",
};

bool run_state_is_final(enum run_state state)
{
	return state == RUN_SUCCEEDED || state == RUN_SKIPPED || state == RUN_FAILED ||
	       state == RUN_CANCELED;
}

const char *run_state_name(enum run_state state)
{
	return (size_t)state < ARRAY_LEN(state_names) ? state_names[state] : "UNKNOWN";
}

enum run_state kfp_state_parse(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(state_names); i++)
		if (str_eq(state_names[i], text))
			return (enum run_state)i;
	return RUN_UNKNOWN;
}

/* --- one run --- */

void kfp_run_dispose(struct kfp_run *run)
{
	mem_free(run->error);
	json_decref(run->tasks);
	*run = (struct kfp_run){0};
}

/* A time of the server; 1970 stands for "not yet". */
static int64_t time_at(const json_t *answer, const char *key)
{
	const char *text = jval_str(answer, key, NULL);
	int64_t ms;

	return text && clock_parse(&ms, text) && ms > 0 ? ms : 0;
}

/* Which of two states of a task that appears more than once (loops, retries) says more. */
static int weight(enum run_state state)
{
	static const enum run_state order[] = {RUN_UNKNOWN,   RUN_SKIPPED,  RUN_SUCCEEDED,
					       RUN_PENDING,   RUN_PAUSED,   RUN_RUNNING,
					       RUN_CANCELING, RUN_CANCELED, RUN_FAILED};

	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (order[i] == state)
			return (int)i;
	return 0;
}

/* Length of the workflow's own name, which every node id starts with: "NAME-1234". */
static size_t workflow_len(const char *node_id)
{
	const char *dash = strrchr(node_id, '-');
	bool is_number = dash && dash[1] && strspn(dash + 1, "0123456789") == strlen(dash + 1);

	return is_number ? (size_t)(dash - node_id) : 0;
}

static bool has_driver(const json_t *details, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < json_array_size(details); i++) {
		const char *other = jval_str(json_array_get(details, i), "display_name", "");

		if (!strncmp(other, name, len) && str_eq(other + len, "-driver"))
			return true;
	}
	return false;
}

/* The workflow as a whole is listed like a task. It is known by its children's ids, or, when those
 * are missing, as the first to start, without a driver, named with five random characters. */
static const char *workflow_name(const json_t *details, char *out, size_t size)
{
	const json_t *first = NULL;

	out[0] = '\0';
	for (size_t i = 0; i < json_array_size(details); i++) {
		const json_t *task = json_array_get(details, i);
		const json_t *child = json_array_get(json_object_get(task, "child_tasks"), 0);
		const char *id = jval_str(child, "pod_name", "");
		size_t len = workflow_len(id);

		if (len && len < size) {
			memcpy(out, id, len);
			out[len] = '\0';
			return out;
		}
		if (!first || time_at(task, "create_time") < time_at(first, "create_time"))
			first = task;
	}
	if (first) {
		const char *name = jval_str(first, "display_name", "");
		size_t len = strlen(name);

		if (len > 6 && name[len - 6] == '-' && !has_driver(details, name))
			str_copy(out, size, name);
	}
	return out;
}

static void add_task(json_t *tasks, const json_t *task, const char *workflow)
{
	const char *name = jval_str(task, "display_name", "");
	enum run_state state = kfp_state_parse(jval_str(task, "state", ""));
	const json_t *known;

	if (!*name || str_ends(name, "-driver") || str_eq(name, "root") ||
	    str_eq(name, "executor") || str_eq(name, workflow))
		return;
	if (state == RUN_UNKNOWN) /* Argo's "omitted": its turn never comes */
		state = RUN_SKIPPED;
	known = json_object_get(tasks, name);
	if (!known || weight(state) > weight(kfp_state_parse(json_string_value(known))))
		jval_set_str(tasks, name, run_state_name(state));
}

static json_t *parse_tasks(const json_t *answer)
{
	const json_t *details = jval_at(answer, "run_details.task_details");
	size_t count = json_array_size(details);
	json_t *tasks = json_object();
	char workflow[256];

	if (count > TASKS_MAX)
		count = TASKS_MAX;
	workflow_name(details, workflow, sizeof workflow);
	for (size_t i = 0; i < count; i++)
		add_task(tasks, json_array_get(details, i), workflow);
	return tasks;
}

void kfp_run_parse(struct kfp_run *out, const json_t *answer)
{
	const json_t *history = json_object_get(answer, "state_history");
	const char *message = jval_str(answer, "error.message", "");

	*out = (struct kfp_run){
		.state = kfp_state_parse(jval_str(answer, "state", "")),
		.created_at_ms = time_at(answer, "created_at"),
		.finished_at_ms = time_at(answer, "finished_at"),
		.tasks = parse_tasks(answer),
	};
	for (size_t i = 0; i < json_array_size(history); i++)
		out->was_canceling |=
			str_eq(jval_str(json_array_get(history, i), "state", ""), "CANCELING");
	if (*message && jval_int(answer, "error.code", 0))
		out->error = str_dup(message);
}

enum err_class kfp_run_get(struct kfp *kfp, struct http *http, const char *run_id,
			   struct kfp_run *out, struct err *err)
{
	AUTO_BUF struct buf path = buf_make(KFP_PATH_MAX);
	AUTO_JSON json_t *answer = NULL;
	struct kfp_call call = {.method = "GET"};
	enum err_class class;

	*out = (struct kfp_run){0};
	kfp_path(&path, "/apis/v2beta1/runs/", run_id, "");
	call.path = buf_text(&path);
	class = kfp_send_json(kfp, http, &call, &answer, err);
	if (class)
		return class;
	/* 200 with something else than this run must not pass for it. */
	if (!str_eq(jval_str(answer, "run_id", ""), run_id))
		return err_set(err, ERR_TRANSIENT,
			       "Kubeflow Pipelines answers with something else than the run");
	kfp_run_parse(out, answer);
	return ERR_OK;
}

static json_t *create_body(const struct kfp_run_request *request)
{
	json_t *body = json_object(), *version = json_object(), *config = json_object();

	jval_set_str(body, "run_id", request->run_id);
	jval_set_str(body, "display_name", request->display_name);
	if (!str_is_empty(request->description))
		jval_set_str(body, "description", request->description);
	jval_set_str(body, "experiment_id", request->experiment_id);
	jval_set_str(version, "pipeline_id", request->pipeline_id);
	jval_set_str(version, "pipeline_version_id", request->version_id);
	jval_set(body, "pipeline_version_reference", version);
	jval_set(config, "parameters",
		 request->parameters ? json_deep_copy(request->parameters) : json_object());
	jval_set(body, "runtime_config", config);
	if (!str_is_empty(request->service_account))
		jval_set_str(body, "service_account", request->service_account);
	return body;
}

enum err_class kfp_run_create(struct kfp *kfp, struct http *http,
			      const struct kfp_run_request *request, char **out_run_id,
			      struct err *err)
{
	AUTO_JSON json_t *body = create_body(request), *answer = NULL;
	struct kfp_call call = {.method = "POST",
				.path = "/apis/v2beta1/runs",
				.body = body,
				.timeout_ms = LIST_TIMEOUT_MS,
				.mutates = true};
	enum err_class class;
	const char *id;

	*out_run_id = NULL;
	class = kfp_send_json(kfp, http, &call, &answer, err);
	if (class)
		return class;
	id = jval_str(answer, "run_id", "");
	if (*id) {
		*out_run_id = str_dup(id);
		return ERR_OK;
	}
	class = err_set(err, ERR_TRANSIENT, "Kubeflow Pipelines answers without a run_id");
	if (err)
		err->in_doubt = true;
	return class;
}

enum err_class kfp_run_terminate(struct kfp *kfp, struct http *http, const char *run_id,
				 struct err *err)
{
	AUTO_BUF struct buf path = buf_make(KFP_PATH_MAX);
	AUTO_RESPONSE struct http_response response = {0};
	struct kfp_call call = {.method = "POST", .mutates = true};
	struct kfp_run run = {0};
	enum err_class class;
	struct err ignored;

	kfp_path(&path, "/apis/v2beta1/runs/", run_id, ":terminate");
	call.path = buf_text(&path);
	class = kfp_send(kfp, http, &call, &response, err);
	/* "Cannot be terminated in its state" comes as 400 or wrapped as 500. A run that is being
	 * stopped (by somebody else, or by a try whose answer got lost) is what was asked for. */
	if ((class == ERR_USER || (class == ERR_TRANSIENT && response.status == 500)) &&
	    kfp_run_get(kfp, http, run_id, &run, &ignored) == ERR_OK) {
		if (run.state == RUN_CANCELING)
			class = ERR_OK;
		else if (run_state_is_final(run.state))
			class = err_set(err, ERR_CONFLICT, "the run has ended already: %s",
					run_state_name(run.state));
	}
	kfp_run_dispose(&run);
	return class;
}

/* --- lists --- */

/* One list over all its pages. */
struct listing {
	const char *query; /* "/apis/v2beta1/runs?..." without page_size and page_token */
	kfp_run_seen *seen;
	void *arg;
	char token[KFP_TOKEN_MAX];
	int status; /* of the last answer */
};

static enum err_class read_page(struct kfp *kfp, struct http *http, struct listing *listing,
				const char *page_size, bool *too_large, struct err *err)
{
	AUTO_BUF struct buf path = buf_make(KFP_PATH_MAX + 3 * KFP_TOKEN_MAX);
	AUTO_RESPONSE struct http_response response = {0};
	struct kfp_call call = {.method = "GET", .timeout_ms = LIST_TIMEOUT_MS};
	enum err_class class;

	buf_puts(&path, listing->query);
	kfp_query(&path, "page_size", page_size);
	kfp_query(&path, "page_token", listing->token);
	call.path = buf_text(&path);
	class = kfp_send(kfp, http, &call, &response, err);
	listing->status = response.status;
	*too_large = class && response.body.truncated;
	if (!class && !kfp_list_scan(buf_text(&response.body), response.body.len, listing->seen,
				     listing->arg, listing->token))
		class = err_set(err, ERR_TRANSIENT,
				"Kubeflow Pipelines answers with something that is not a list");
	return class;
}

static enum err_class read_list(struct kfp *kfp, struct http *http, struct listing *listing,
				struct err *err)
{
	static const char *const sizes[] = {"200", "50", "10", "1"};
	size_t size = 0;

	listing->token[0] = '\0';
	for (int page = 0; page < PAGES_MAX; page++) {
		bool too_large = false;
		enum err_class class = read_page(kfp, http, listing, sizes[size], &too_large, err);

		if (too_large && size + 1 < ARRAY_LEN(sizes))
			size++;
		else if (class || !*listing->token)
			return class;
	}
	return err_set(err, ERR_TRANSIENT, "Kubeflow Pipelines answers with a list without an end");
}

static void start_query(struct buf *query, const char *ns)
{
	buf_puts(query, "/apis/v2beta1/runs");
	kfp_query(query, "namespace", ns);
	kfp_query(query, "sort_by", "finished_at asc");
}

/* Ids gathered from a list. */
struct ids {
	char **items;
	size_t count, cap;
};

static void add_id(struct ids *ids, const char *id)
{
	if (ids->count == ids->cap) {
		ids->cap = ids->cap ? 2 * ids->cap : 16;
		ids->items = mem_grow(ids->items, ids->cap * sizeof *ids->items);
	}
	ids->items[ids->count++] = str_dup(id);
}

static void free_ids(struct ids *ids)
{
	for (size_t i = 0; i < ids->count; i++)
		mem_free(ids->items[i]);
	mem_free(ids->items);
	*ids = (struct ids){0};
}

static void seen_finished(void *arg, const char *run_id, const char *state)
{
	if (*run_id && run_state_is_final(kfp_state_parse(state)))
		add_id(arg, run_id);
}

enum err_class kfp_runs_finished(struct kfp *kfp, struct http *http, const char *ns,
				 int64_t since_ms, char ***out_ids, size_t *out_count,
				 struct err *err)
{
	static const char *const final_states[] = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"};
	AUTO_BUF struct buf query = buf_make(KFP_PATH_MAX);
	json_t *predicates = json_array(), *states = json_array();
	struct ids ids = {0};
	struct listing *listing = mem_new(1, sizeof *listing);
	enum err_class class;

	for (size_t i = 0; i < ARRAY_LEN(final_states); i++)
		json_array_append_new(states, json_string(final_states[i]));
	kfp_predicate_in(predicates, "state", states);
	kfp_predicate_time(predicates, "GREATER_THAN", "finished_at", since_ms);
	start_query(&query, ns);
	kfp_filter(&query, predicates);
	listing->query = buf_text(&query);
	listing->seen = seen_finished;
	listing->arg = &ids;
	class = read_list(kfp, http, listing, err);
	mem_free(listing);
	if (class)
		free_ids(&ids);
	*out_ids = ids.items;
	*out_count = ids.count;
	return class;
}

/* Which of the ids asked for were seen still running. */
struct sweep {
	const char *const *ids;
	size_t count;
	bool running[KFP_PAGE_SIZE];
};

static void seen_any(void *arg, const char *run_id, const char *state)
{
	struct sweep *sweep = arg;

	if (run_state_is_final(kfp_state_parse(state)))
		return;
	for (size_t i = 0; i < sweep->count; i++)
		if (str_eq(sweep->ids[i], run_id))
			sweep->running[i] = true;
}

static enum err_class sweep_some(struct kfp *kfp, struct http *http, const char *ns,
				 struct sweep *sweep, int *status, struct err *err)
{
	AUTO_BUF struct buf query = buf_make(KFP_PATH_MAX);
	json_t *predicates = json_array(), *values = json_array();
	struct listing *listing = mem_new(1, sizeof *listing);
	enum err_class class;

	for (size_t i = 0; i < sweep->count; i++)
		json_array_append_new(values, json_string(sweep->ids[i]));
	kfp_predicate_in(predicates, "run_id", values);
	start_query(&query, ns);
	kfp_filter(&query, predicates);
	listing->query = buf_text(&query);
	listing->seen = seen_any;
	listing->arg = sweep;
	class = read_list(kfp, http, listing, err);
	*status = listing->status;
	mem_free(listing);
	return class;
}

enum err_class kfp_runs_ended(struct kfp *kfp, struct http *http, const char *ns,
			      const char *const *ids, size_t count, char ***out_ids,
			      size_t *out_count, struct err *err)
{
	struct ids ended = {0};
	enum err_class class = ERR_OK;
	size_t step = KFP_PAGE_SIZE;

	must(count <= KFP_PAGE_SIZE);
	for (size_t at = 0; !class && at < count;) {
		struct sweep sweep = {.ids = ids + at,
				      .count = count - at < step ? count - at : step};
		int status = 0;

		class = sweep_some(kfp, http, ns, &sweep, &status, err);
		/* Something between us and the server takes no line of 9 kB. */
		if ((status == 414 || status == 431) && step > IDS_PER_CALL_MIN) {
			step /= 2;
			class = ERR_OK;
			continue;
		}
		for (size_t i = 0; !class && i < sweep.count; i++)
			if (!sweep.running[i])
				add_id(&ended, sweep.ids[i]);
		at += sweep.count;
	}
	if (class)
		free_ids(&ended);
	*out_ids = ended.items;
	*out_count = ended.count;
	return class;
}
