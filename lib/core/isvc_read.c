/* isvc_read.c - an InferenceService of the cluster, read.
 *
 * Every KServe writes a different part of the status, so nothing is required: what is absent reads
 * as "" or unknown. Two things must not be believed at once: status.observedGeneration belongs to
 * the Knative Service or Deployment behind the object, and conditions and modelStatus speak of the
 * old revision until KServe has worked on the change. isvc_failure and isvc_stamp give text that
 * differs once it has. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc_impl.h"

enum { CAUSE_MAX = 600, MESSAGE_MAX = 300, CONDITIONS_MAX = 50 };

const char *isvc_annotation(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(jval_at(object, "metadata.annotations"), key));
}

void isvc_marks_read(struct isvc_marks *out, const json_t *annotations)
{
	const struct {
		const char *key, **value;
	} all[] = {
		{ISVC_MARK "job", &out->job},	{ISVC_MARK "fence", &out->fence},
		{ISVC_MARK "run", &out->run},	{ISVC_MARK "sha", &out->sha},
		{ISVC_MARK "repo", &out->repo},
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const char *value = json_string_value(json_object_get(annotations, all[i].key));

		if (value)
			*all[i].value = value;
	}
}

static const json_t *condition_of(const json_t *object, const char *type)
{
	const json_t *conditions = jval_at(object, "status.conditions"), *condition;
	size_t at;

	json_array_foreach(conditions, at, condition) if (at < CONDITIONS_MAX &&
							  str_eq(jval_str(condition, "type", NULL),
								 type)) return condition;
	return NULL;
}

static enum isvc_ready ready_of(const json_t *object)
{
	const char *status = jval_str(condition_of(object, "Ready"), "status", "Unknown");

	if (str_eq(status, "True"))
		return ISVC_READY;
	return str_eq(status, "False") ? ISVC_NOT_READY : ISVC_UNKNOWN;
}

static enum isvc_load load_of(const json_t *model_status)
{
	const char *move = jval_str(model_status, "transitionStatus", "");
	const char *target = jval_str(model_status, "states.targetModelState",
				      jval_str(model_status, "states.activeModelState", "Loaded"));

	if (!model_status)
		return ISVC_LOAD_NONE;
	if (str_eq(move, "BlockedByFailedLoad") || str_eq(move, "InvalidSpec"))
		return ISVC_LOAD_FAILED;
	if (str_eq(move, "UpToDate") && (str_eq(target, "Loaded") || str_eq(target, "Standby")))
		return ISVC_LOAD_DONE;
	return ISVC_LOAD_GOING_ON;
}

static void read_revisions(struct isvc_state *out, const json_t *component)
{
	out->created = jval_str(component, "latestCreatedRevision", "");
	out->ready_revision = jval_str(component, "latestReadyRevision", "");
	out->rolledout = jval_str(component, "latestRolledoutRevision", "");
	out->previous = jval_str(component, "previousRolledoutRevision", "");
	out->traffic = jval_at(component, "traffic");
	out->percent = -1;
}

static void read_spec(struct isvc_state *out, const json_t *object)
{
	const json_t *predictor = jval_at(object, "spec.predictor");

	out->storage_uri = isvc_storage_uri(predictor);
	out->percent = (int)jval_int(predictor, "canaryTrafficPercent", -1);
	out->canary = json_array_get(jval_at(object, "spec.canary"), 0);
	isvc_marks_read(&out->marks, jval_at(object, "metadata.annotations"));
	isvc_marks_read(&out->marks, jval_at(predictor, "annotations"));
}

void isvc_read(struct isvc_state *out, const json_t *object)
{
	*out = (struct isvc_state){
		.name = jval_str(object, "metadata.name", ""),
		.ns = jval_str(object, "metadata.namespace", ""),
		.uid = jval_str(object, "metadata.uid", ""),
		.resource_version = jval_str(object, "metadata.resourceVersion", ""),
		.mode = jval_str(object, "status.deploymentMode", ""),
		.generation = jval_int(object, "metadata.generation", 0),
		.deleting = jval_at(object, "metadata.deletionTimestamp") != NULL,
		.stopped = str_eq(isvc_annotation(object, ISVC_STOP), "true"),
		.canary_status = json_array_get(jval_at(object, "status.canaryStatuses"), 0),
		.observed_generation = jval_int(object, "status.observedGeneration", -1),
		.ready = ready_of(object),
		.load = load_of(jval_at(object, "status.modelStatus")),
		.url = jval_str(object, "status.url", ""),
		.address = jval_str(object, "status.address.url", ""),
	};
	if (!*out->mode && isvc_annotation(object, ISVC_MODE))
		out->mode = isvc_annotation(object, ISVC_MODE);
	read_revisions(out, jval_at(object, "status.components.predictor"));
	read_spec(out, object);
}

bool isvc_is_knative(const struct isvc_state *state)
{
	return str_eq(state->mode, "Knative") || str_eq(state->mode, "Serverless") ||
	       (!*state->mode && *state->created);
}

int isvc_share(const struct isvc_state *state, const char *revision)
{
	const json_t *target;
	int64_t share = 0;
	size_t at;

	json_array_foreach(state->traffic, at, target)
	{
		int64_t percent = jval_int(target, "percent", 0);

		if (str_eq(jval_str(target, "revisionName", ""), revision) && percent >= 0 &&
		    percent <= 100)
			share += percent;
	}
	return share > 100 ? 100 : (int)share;
}

/* --- causes --- */

/* One line, cut. */
static void add_words(struct buf *out, const char *text)
{
	size_t len = strlen(text), cut = len > MESSAGE_MAX ? str_utf8_cut(text, MESSAGE_MAX) : len;

	for (size_t i = 0; i < cut; i++)
		buf_putc(out, (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i]);
	if (cut < len)
		buf_puts(out, " ...");
}

static void add_cause(struct buf *out, const char *head, const char *text)
{
	if (str_is_empty(text) || out->len >= CAUSE_MAX || strstr(buf_text(out), text))
		return;
	if (out->len)
		buf_puts(out, "; ");
	if (*head) {
		add_words(out, head);
		buf_puts(out, ": ");
	}
	add_words(out, text);
}

static void add_load_failure(struct buf *out, const json_t *model_status)
{
	add_cause(out, jval_str(model_status, "lastFailureInfo.reason", ""),
		  jval_str(model_status, "lastFailureInfo.message", ""));
}

static void add_conditions(struct buf *out, const json_t *object)
{
	const json_t *conditions = jval_at(object, "status.conditions"), *condition;
	size_t at;

	json_array_foreach(conditions, at, condition)
	{
		const char *type = jval_str(condition, "type", "");
		const char *reason = jval_str(condition, "reason", "");

		if (at >= CONDITIONS_MAX || str_eq(type, "Stopped") ||
		    str_eq(jval_str(condition, "status", ""), "True"))
			continue;
		add_cause(out, type, jval_str(condition, "message", reason));
	}
}

void isvc_cause(struct buf *out, const json_t *object)
{
	AUTO_BUF struct buf text = buf_make(CAUSE_MAX);
	const json_t *canaries = jval_at(object, "status.canaryStatuses");

	if (load_of(jval_at(object, "status.modelStatus")) == ISVC_LOAD_FAILED)
		add_load_failure(&text, jval_at(object, "status.modelStatus"));
	add_load_failure(&text, jval_at(json_array_get(canaries, 0), "modelStatus"));
	add_conditions(&text, object);
	buf_add(out, buf_text(&text), str_utf8_cut(buf_text(&text), text.len));
}

/* --- what has failed for good --- */

static bool is_final(const json_t *condition)
{
	const char *reason = jval_str(condition, "reason", "");

	return str_eq(jval_str(condition, "status", ""), "False") &&
	       (str_eq(reason, "RevisionFailed") || str_eq(reason, "ProgressDeadlineExceeded"));
}

/* True when the words name a revision of the same service that is not the one asked about. */
static bool speaks_of_another(const char *words, const char *revision)
{
	const char *dash = strrchr(revision, '-');
	AUTO_FREE char *stem = dash ? str_dup_len(revision, (size_t)(dash - revision) + 1) : NULL;

	return stem && strstr(words, stem) && !strstr(words, revision);
}

void isvc_failure(struct buf *out, const json_t *object, const char *revision)
{
	static const char *const types[] = {"LatestDeploymentReady", "PredictorReady",
					    "PredictorConfigurationReady"};
	const json_t *model_status = jval_at(object, "status.modelStatus");
	const char *of = jval_str(model_status, "lastFailureInfo.modelRevisionName", "");

	if (load_of(model_status) == ISVC_LOAD_FAILED &&
	    (!*revision || !*of || str_eq(of, revision)))
		buf_printf(out, "%s %s;", jval_str(model_status, "lastFailureInfo.time", ""),
			   jval_str(model_status, "lastFailureInfo.message", "load"));
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const json_t *condition = condition_of(object, types[i]);
		const char *words = jval_str(condition, "message", "");

		if (is_final(condition) && !speaks_of_another(words, revision))
			buf_printf(out, "%s %s;", jval_str(condition, "lastTransitionTime", ""),
				   words);
	}
}

void isvc_stamp(struct buf *out, const json_t *object)
{
	static const char *const types[] = {"Ready", "PredictorReady"};

	buf_printf(out, "%lld", (long long)jval_int(object, "status.observedGeneration", -1));
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const json_t *condition = condition_of(object, types[i]);

		buf_printf(out, " %s %s", jval_str(condition, "status", ""),
			   jval_str(condition, "lastTransitionTime", ""));
	}
	buf_printf(out, " %s", jval_str(object, "status.modelStatus.transitionStatus", ""));
}
