/* rollout_record.c - see rollout.h. Between a rollout under way and the record of a deployment:
 * what is written down so that the rollout can be taken up again when its job is long gone, and how
 * a command that does so gets it back. */
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/rollout.h"

enum { TIMEOUT_MS = 600000 };

/* Where a topic of the job's data lies in the plan. */
static const struct {
	const char *topic, *key;
} kept[] = {
	{"rollout", "merges"}, {"rollout", "method"},	 {"rollout", "timeout_ms"},
	{"rollout", "expect"}, {"service", "samples"},	 {"service", "schema"},
	{"run", "link"},       {"model", "task"},	 {"pull", "fork"},
	{"model", "metrics"},  {"rollout", "try_first"}, {"rollout", "delete_branch"},
};

static bool is_way(const struct job *job, enum isvc_way way)
{
	return str_eq(jval_str(job->data, "service.before.way", ""), isvc_way_name(way));
}

int rollout_real_percent(const struct job *job, int percent)
{
	if (is_way(job, ISVC_WAY_FIRST) || is_way(job, ISVC_WAY_NONE) ||
	    !jval_bool(job->data, "service.before.existed", true))
		return 100; /* there is nothing to share the traffic with */
	return is_way(job, ISVC_WAY_SECOND) && percent < 100 ? 0 : percent;
}

int rollout_left_open(const struct job *job)
{
	const json_t *percents = jval_at(job->data, "rollout.percents");
	size_t count = json_array_size(percents);
	int last = count ? (int)json_integer_value(json_array_get(percents, count - 1)) : 100;
	int real = rollout_real_percent(job, last);

	return real < 100 ? real : -1;
}

json_t *rollout_record_plan(const struct job *job)
{
	json_t *plan = json_object();

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		json_t *value = jval_at(json_object_get(job->data, kept[i].topic), kept[i].key);

		if (value)
			jval_set(plan, kept[i].key, json_deep_copy(value));
	}
	return plan;
}

static void take_objects(const json_t *deployment, json_t *service)
{
	jval_set(service, "wanted", json_deep_copy(json_object_get(deployment, "template")));
	jval_set(service, "before", json_deep_copy(json_object_get(deployment, "before")));
}

void rollout_take_up(const struct job *job, const json_t *deployment, struct update *out)
{
	const json_t *plan = json_object_get(deployment, "plan");
	json_t *rollout = common_data(job, out, "rollout"), *run = common_data(job, out, "run"),
	       *model = common_data(job, out, "model"), *percents = json_array();

	jval_set_int(rollout, "timeout_ms", TIMEOUT_MS);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const json_t *value = json_object_get(plan, kept[i].key);

		if (value)
			jval_set(common_data(job, out, kept[i].topic), kept[i].key,
				 json_deep_copy(value));
	}
	json_array_append_new(percents, json_integer(100));
	jval_set(rollout, "percents", percents);
	jval_set_str(rollout, "namespace", jval_str(deployment, "namespace", ""));
	jval_set_str(rollout, "service", jval_str(deployment, "service", ""));
	jval_set_str(rollout, "digest", jval_str(deployment, "model_digest", ""));
	jval_set_int(rollout, "deployment", jval_int(deployment, "id", 0));
	jval_set_str(run, "id", jval_str(deployment, "run_id", ""));
	jval_set_str(run, "sha", jval_str(deployment, "sha", ""));
	jval_set_int(run, "pr", jval_int(deployment, "pr", 0));
	jval_set_str(run, "state", "SUCCEEDED"); /* or it would not have been deployed */
	jval_set_str(model, "uri", jval_str(deployment, "storage_uri", ""));
	take_objects(deployment, common_data(job, out, "service"));
	str_copy(out->head_sha, sizeof out->head_sha, jval_str(deployment, "sha", ""));
}

/* A revision that starts anew loads its files anew: they must be those that were deployed. */
void rollout_same_model(const struct job *job, const struct effect_result *last, int64_t now_ms,
			struct update *out)
{
	const char *uri = jval_str(job->data, "model.uri", ""),
		   *then = jval_str(job->data, "rollout.digest", ""), *now;
	json_t *args, *model;

	(void)now_ms;
	if (!last) {
		args = json_object();
		jval_set_str(args, "uri", uri);
		common_ask(out, EFFECT_MODEL, args);
		return;
	}
	if (last->err.class) {
		common_fail(out, &last->err);
		return;
	}
	now = jval_str(last->data, "digest", "");
	if (!jval_bool(last->data, "found", false)) {
		common_end(out, JOB_FAILED, "deploy.no_model",
			   "the files of the model at %.200s are gone, so nothing was changed",
			   uri);
	} else if (*then && !str_eq(then, now)) {
		common_end(out, JOB_FAILED, "deploy.model_changed",
			   "the files at %.200s are not those that were deployed: somebody changed "
			   "them, so nothing was changed here",
			   uri);
	} else {
		model = common_data(job, out, "model");
		json_object_update(model, last->data);
		jval_set_bool(model, "fits", true);
		jval_set_bool(model, "same", true);
		common_next(job, out);
	}
}
