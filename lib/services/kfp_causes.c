/* kfp_causes.c - why a run failed.
 *
 * v2beta1 has no text for a failed task in any release. The same server's v1beta1 answer carries
 * the whole Argo workflow, and in it the nodes: the failed pods with Argo's message are the causes.
 * A pod that failed and was retried with success is none. A driver that failed (bad input, no
 * rights) counts for its task. The log comes from v1alpha1, which always begins with 200 and wants
 * the pod's name, while the manifest has only node ids: from Argo 3.4 on a pod is called
 * WORKFLOW-TEMPLATE-HASH, before it was the node's id, so both are tried. A log that is missing is
 * no error. Of a workflow that grew past 1 MB Argo keeps the nodes packed (base64 of gzip). */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/gzip.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/services/kfp_impl.h"

enum {
	CAUSES_MAX = 20,
	NODES_MAX = 20000,
	MESSAGE_MAX = 2000,
	TASK_MAX = 256,
	POD_MAX = 254,
	UNPACKED_MAX = 32 * 1024 * 1024,
	LOG_KEEP = 64 * 1024,
	LOG_FETCH_MAX = 4 * LOG_KEEP, /* of a longer one the end is kept */
	LOG_TIMEOUT_MS = 20 * 1000,
};

static bool is_failed(const json_t *node)
{
	const char *phase = jval_str(node, "phase", "");

	return str_eq(phase, "Failed") || str_eq(phase, "Error");
}

static bool is_pod(const json_t *node)
{
	return str_eq(jval_str(node, "type", ""), "Pod");
}

/* "train(0)" and "train(0:a)" are attempts of or turns around "train". */
static void strip_turn(char *name)
{
	size_t len = strlen(name);
	char *open = len && name[len - 1] == ')' ? strrchr(name, '(') : NULL;

	if (open && open > name)
		*open = '\0';
}

/* The task a node belongs to: "WF.root.TASK.executor", "WF.root.TASK-driver", else what is shown.
 */
static void task_of(char out[TASK_MAX], const json_t *node)
{
	const char *name = jval_str(node, "name", ""), *last;
	char path[1024];
	char *dot;

	str_copy(path, sizeof path, name);
	strip_turn(path);
	if (str_ends(path, ".executor")) {
		path[strlen(path) - strlen(".executor")] = '\0';
		strip_turn(path);
		dot = strrchr(path, '.');
		last = dot ? dot + 1 : path;
	} else {
		last = jval_str(node, "displayName", name);
	}
	str_copy(out, TASK_MAX, last);
	strip_turn(out);
	if (str_ends(out, "-driver") && strlen(out) > strlen("-driver"))
		out[strlen(out) - strlen("-driver")] = '\0';
}

/* Where Argo from 3.4 on puts the pod: the template's name before the hash; "" when not derivable.
 */
static void pod_name_v2(char out[POD_MAX], const char *workflow, const json_t *node)
{
	const char *id = jval_str(node, "id", ""), *hash = strrchr(id, '-');
	const char *template = jval_str(node, "templateName", "");
	AUTO_FREE char *full = NULL;

	out[0] = '\0';
	if (!*workflow || !*template || !hash || str_eq(id, workflow))
		return;
	full = str_printf("%s-%s", workflow, template);
	if (strlen(full) > 253 - 10 - 1) /* Argo leaves room for the hash */
		full[253 - 10 - 1] = '\0';
	if (strlen(full) + strlen(hash) < POD_MAX) {
		memcpy(out, full, strlen(full));
		memcpy(out + strlen(full), hash, strlen(hash) + 1);
	}
}

static void pods_of(const json_t *workflow, const json_t *node, char pod[POD_MAX], char *other,
		    size_t size)
{
	const json_t *annotations = jval_at(workflow, "metadata.annotations");
	const json_t *format =
		json_object_get(annotations, "workflows.argoproj.io/pod-name-format");
	char v2[POD_MAX];

	pod_name_v2(v2, jval_str(workflow, "metadata.name", ""), node);
	str_copy(pod, POD_MAX, jval_str(node, "id", ""));
	str_copy(other, size, v2);
	if (*v2 && json_is_string(format) && str_eq(json_string_value(format), "v2")) {
		str_copy(other, size, pod);
		str_copy(pod, POD_MAX, v2);
	}
}

static json_t *make_cause(const char *task, const char *message, const char *pod)
{
	json_t *cause = json_object();
	char cut[MESSAGE_MAX];

	str_copy(cut, sizeof cut, message);
	jval_set_str(cause, "task", task);
	jval_set_str(cause, "message", cut);
	jval_set_str(cause, "pod", pod);
	return cause;
}

/* Tasks of which some pod succeeded: their failed pods were attempts. */
static json_t *tasks_done(const json_t *nodes)
{
	json_t *done = json_object();
	char task[TASK_MAX];
	const char *key;
	json_t *node;

	json_object_foreach((json_t *)(uintptr_t)nodes, key, node)
	{
		bool is_retry = str_eq(jval_str(node, "type", ""), "Retry");

		if ((is_pod(node) || is_retry) && !is_failed(node) &&
		    str_eq(jval_str(node, "phase", ""), "Succeeded") &&
		    !str_ends(jval_str(node, "displayName", ""), "-driver")) {
			task_of(task, node);
			jval_set_bool(done, task, true);
		}
	}
	return done;
}

static bool is_cause(const json_t *node, const json_t *done, bool pods_only)
{
	char task[TASK_MAX];

	if (!is_failed(node) || (pods_only && !is_pod(node)))
		return false;
	if (!pods_only && (!*jval_str(node, "message", "") ||
			   str_starts(jval_str(node, "message", ""), "child '")))
		return false;
	task_of(task, node);
	return !json_object_get(done, task);
}

/* True when the node ended before the other one; a node without a time comes last. */
static bool ended_before(const json_t *node, const json_t *other)
{
	const char *a = jval_str(node, "finishedAt", "9"), *b = jval_str(other, "finishedAt", "9");
	int order = strcmp(a, b); /* RFC 3339 in UTC sorts as text */

	return order ? order < 0 : strcmp(jval_str(node, "id", ""), jval_str(other, "id", "")) < 0;
}

/* Puts the node into the list sorted by end; one per task, the last attempt. */
static void insert_cause(const json_t **list, size_t *count, const json_t *node)
{
	char task[TASK_MAX], other[TASK_MAX];
	size_t at = 0;

	task_of(task, node);
	for (size_t i = 0; i < *count; i++) {
		task_of(other, list[i]);
		if (!str_eq(task, other))
			continue;
		if (ended_before(node, list[i]))
			return;
		memmove(list + i, list + i + 1, (*count - i - 1) * sizeof *list);
		(*count)--;
		break;
	}
	while (at < *count && ended_before(list[at], node))
		at++;
	if (at == CAUSES_MAX)
		return;
	if (*count == CAUSES_MAX)
		(*count)--;
	memmove(list + at + 1, list + at, (*count - at) * sizeof *list);
	list[at] = node;
	(*count)++;
}

static size_t find_causes(const json_t *nodes, bool pods_only, const json_t *list[CAUSES_MAX])
{
	AUTO_JSON json_t *done = tasks_done(nodes);
	size_t count = 0, looked = 0;
	const char *key;
	json_t *node;

	json_object_foreach((json_t *)(uintptr_t)nodes, key, node)
	{
		if (++looked > NODES_MAX)
			break;
		if (is_cause(node, done, pods_only))
			insert_cause(list, &count, node);
	}
	return count;
}

/* What Argo packed into status.compressedNodes; NULL when there is nothing that can be read. */
static json_t *packed_nodes(const json_t *workflow)
{
	const char *text = jval_str(workflow, "status.compressedNodes", NULL);
	AUTO_BUF struct buf json = buf_make(UNPACKED_MAX);
	AUTO_FREE char *packed = NULL;
	json_t *nodes = NULL;
	struct err ignored;
	size_t len;

	packed = text ? str_unbase64(text, &len) : NULL;
	if (!packed || gzip_unpack(&json, packed, len, &ignored) ||
	    jval_parse(&nodes, buf_text(&json), json.len, &ignored))
		return NULL;
	return nodes;
}

static json_t *causes_of_workflow(const json_t *workflow, char *other_pod, size_t size)
{
	const json_t *nodes = jval_at(workflow, "status.nodes"), *list[CAUSES_MAX];
	AUTO_JSON json_t *packed = nodes ? NULL : packed_nodes(workflow);
	const char *message = jval_str(workflow, "status.message", "");
	json_t *causes = json_array();
	size_t count;

	nodes = nodes ? nodes : packed;
	count = find_causes(nodes, true, list);
	if (!count)
		count = find_causes(nodes, false, list);
	for (size_t i = 0; i < count; i++) {
		char task[TASK_MAX], pod[POD_MAX] = "", other[POD_MAX] = "";

		task_of(task, list[i]);
		if (is_pod(list[i]))
			pods_of(workflow, list[i], pod, other, sizeof other);
		if (!i)
			str_copy(other_pod, size, other);
		json_array_append_new(causes,
				      make_cause(task, jval_str(list[i], "message", ""), pod));
	}
	if (!count && *message)
		json_array_append_new(causes, make_cause("", message, ""));
	return causes;
}

json_t *kfp_causes_parse(const json_t *answer, char *other_pod, size_t size)
{
	const char *text = jval_str(answer, "pipeline_runtime.workflow_manifest", "");
	const char *run_error = jval_str(answer, "run.error", "");
	AUTO_JSON json_t *workflow = NULL;
	json_t *causes;
	struct err ignored;

	other_pod[0] = '\0';
	if (jval_parse(&workflow, text, strlen(text), &ignored))
		workflow = NULL;
	causes = causes_of_workflow(workflow, other_pod, size);
	if (!json_array_size(causes) && *run_error)
		json_array_append_new(causes, make_cause("", run_error, ""));
	return causes;
}

/* --- the log --- */

void kfp_log_tail(struct buf *out, const char *log, size_t len, size_t max)
{
	size_t start = len > max ? len - max : 0;

	while (start && start < len && log[start - 1] != '\n')
		start++;
	if (start == len && len > max) /* one endless line: its end */
		start = len - max;
	buf_add(out, log + start, len - start);
}

static bool fetch_log(struct kfp *kfp, struct http *http, const char *run_id, const char *pod,
		      json_t *cause)
{
	AUTO_BUF struct buf path = buf_make(KFP_PATH_MAX), tail = buf_make(LOG_KEEP);
	AUTO_RESPONSE struct http_response response = {0};
	struct kfp_call call = {.method = "GET",
				.response_max = LOG_FETCH_MAX,
				.keeps_end = true,
				.timeout_ms = LOG_TIMEOUT_MS};
	AUTO_FREE char *clean = NULL;
	struct err ignored;

	if (!*pod)
		return false;
	kfp_path(&path, "/apis/v1alpha1/runs/", run_id, "/nodes/");
	kfp_path(&path, "", pod, "/log");
	call.path = buf_text(&path);
	if (kfp_send(kfp, http, &call, &response, &ignored) || !response.body.len)
		return false;
	/* An error after the 200 has begun comes as the gateway's or the upload handlers' object.
	 */
	if (str_starts(buf_text(&response.body), "{\"error") ||
	    str_starts(buf_text(&response.body), "{\"code\":"))
		return false;
	kfp_log_tail(&tail, response.body.data, response.body.len, LOG_KEEP);
	clean = jval_clean_utf8(buf_text(&tail), tail.len);
	jval_set_str(cause, "log", clean);
	return true;
}

enum err_class kfp_run_causes(struct kfp *kfp, struct http *http, const char *run_id, json_t **out,
			      struct err *err)
{
	AUTO_BUF struct buf path = buf_make(KFP_PATH_MAX);
	AUTO_JSON json_t *answer = NULL;
	struct kfp_call call = {.method = "GET"};
	char other_pod[POD_MAX] = "";
	enum err_class class;
	json_t *first;

	*out = NULL;
	kfp_path(&path, "/apis/v1beta1/runs/", run_id, "");
	call.path = buf_text(&path);
	class = kfp_send_json(kfp, http, &call, &answer, err);
	if (class)
		return class;
	*out = kfp_causes_parse(answer, other_pod, sizeof other_pod);
	first = json_array_get(*out, 0);
	if (first && !fetch_log(kfp, http, run_id, jval_str(first, "pod", ""), first) &&
	    fetch_log(kfp, http, run_id, other_pod, first))
		jval_set_str(first, "pod", other_pod);
	return ERR_OK;
}
