/* rollout_prepare.c - see rollout.h. What has to be known before the gates can be asked: the
 * settings at the commit, a run of it that we made, its model, and the object to have. Nothing
 * outside is changed by any of these steps. A missing run or model is not an end here: it is a fact
 * that a gate refuses, so that /plan shows it beside the others. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/rollout.h"
#include "lib/core/markdown.h"

enum { TIMEOUT_MS = 600000, MODEL_TEXT_MAX = 200 };

static void fail_part(const struct job *job, const char *part, const struct effect_result *last,
		      int64_t now_ms, struct update *out)
{
	json_t *annotation = last->data ? json_object_get(last->data, "annotation") : NULL;
	json_t *failure = common_data(job, out, "failure");
	const char *log = jval_str(last->data, "log", NULL);

	jval_set_str(failure, "part", part);
	if (annotation)
		jval_set(failure, "annotation", json_incref(annotation));
	if (log)
		jval_set_str(failure, "log", log);
	common_part(job, out, part, PART_FAILED, now_ms, "failed");
	common_fail(out, &last->err);
}

void rollout_checkout(const struct job *job, const struct effect_result *last, int64_t now_ms,
		      struct update *out)
{
	if (!last) {
		common_ask(out, EFFECT_CHECKOUT, NULL);
	} else if (last->err.class) {
		fail_part(job, "gates", last, now_ms, out);
	} else {
		common_keep_policy_here(job, last, out);
		common_part(job, out, "gates", PART_RUNNING, now_ms, "checked out");
		common_next(job, out);
	}
}

/* --- settings --- */

/* Percents of the traffic on the way up. */
static bool read_steps(const char *text, json_t *percents)
{
	int64_t before = 0;

	while (text && *text) {
		size_t len = strcspn(text, ",");
		AUTO_FREE char *word = str_dup_len(text, len);
		int64_t percent;

		if (!str_to_int64(&percent, word) || percent <= before || percent > 100)
			return false;
		json_array_append_new(percents, json_integer(before = percent));
		text += len + (text[len] == ',');
	}
	return true;
}

/* What a person says is how far it goes, so steps that end below 100 leave it open there; what the
 * settings say is a way, which always ends at 100. */
static bool read_way(const struct job *job, const json_t *deployment, json_t *percents)
{
	const char *said = jval_str(job->args, "steps", NULL);
	size_t count;

	if (!read_steps(said ? said : jval_str(deployment, "canary_steps", ""), percents))
		return false;
	count = json_array_size(percents);
	if (!count || (!said && json_integer_value(json_array_get(percents, count - 1)) < 100))
		json_array_append_new(percents, json_integer(100));
	return true;
}

/* Steps of the policy are not the command's to change. */
static bool keep_steps(const struct job *job, const json_t *deployment, json_t *rollout)
{
	const json_t *wanted = jval_at(job->data, "policy.steps");
	json_t *percents = json_array();

	jval_set(rollout, "percents", percents);
	if (json_array_size(wanted)) {
		json_array_extend(percents, (json_t *)(uintptr_t)wanted);
		return !jval_str(job->args, "steps", NULL);
	}
	return read_way(job, deployment, percents);
}

/* What the command says goes before what the settings say; the policy goes before both. */
static bool keep_plan(const struct job *job, const json_t *deployment, json_t *rollout)
{
	int64_t hold_ms = jval_int(job->args, "hold", jval_int(deployment, "canary_hold", 0));
	int64_t least_ms = jval_int(job->data, "policy.hold_ms", 0);
	const char *method = jval_str(job->args, "merge-method",
				      jval_str(job->data, "policy.method",
					       jval_str(deployment, "merge_method", "merge")));
	AUTO_FREE char *sticky = str_printf("%s.sticky_lock", rollout_environment(job));
	bool merges = jval_bool(job->data, "policy.merges", false);

	jval_set_int(rollout, "hold_ms", hold_ms > least_ms ? hold_ms : least_ms);
	jval_set_int(rollout, "timeout_ms", jval_int(deployment, "timeout", TIMEOUT_MS));
	jval_set_bool(rollout, "try_first", jval_bool(deployment, "try_first", true));
	jval_set_bool(rollout, "merges", merges && !jval_bool(job->args, "no-merge", false));
	jval_set_str(rollout, "method", method);
	jval_set_bool(rollout, "delete_branch", jval_bool(deployment, "delete_branch", false));
	jval_set_bool(rollout, "sticks", jval_bool(deployment, sticky, false));
	return keep_steps(job, deployment, rollout);
}

/* A namespace that the policy gives to an environment is that one's alone, and it has no other.
 * Otherwise a pull request could put its model into production by calling that staging. */
static bool is_its_namespace(const struct job *job, const char *ns, int64_t now_ms,
			     struct update *out)
{
	const json_t *owners = jval_at(job->data, "policy.namespaces");
	const char *owner = json_string_value(json_object_get(owners, ns)), *name, *wanted = NULL;
	const char *environment = rollout_environment(job);
	json_t *each;

	json_object_foreach((json_t *)(uintptr_t)owners, name,
			    each) if (str_eq(json_string_value(each), environment)) wanted = name;
	if ((!owner && !wanted) || str_eq(owner, environment))
		return true;
	common_part(job, out, "gates", PART_FAILED, now_ms, "failed");
	common_end(out, JOB_FAILED, "deploy.namespace",
		   "config_files/config.yaml at `%.7s` puts %s into the namespace `%s`, but by the "
		   "policy %s%s%s%s. Correct `deployment.%s.namespace`",
		   job->head_sha, environment, ns, owner ? "that is " : "it belongs into `",
		   owner ? owner : wanted, owner ? "" : "`", "", environment);
	return false;
}

static void refuse_environment(const struct job *job, int64_t now_ms, struct update *out)
{
	const char *name = rollout_environment(job);

	common_part(job, out, "gates", PART_FAILED, now_ms, "failed");
	if (str_eq(name, "staging") || str_eq(name, "production"))
		common_end(out, JOB_FAILED, "deploy.no_environment",
			   "config_files/config.yaml at `%.7s` has no namespace for the "
			   "environment `%s`. Add `deployment.%s.namespace`",
			   job->head_sha, name, name);
	else
		common_end(out, JOB_FAILED, "deploy.no_environment",
			   "there is no environment `%.100s`: models are deployed to `staging` and "
			   "to `production`",
			   name);
}

static void refuse_steps(const struct job *job, struct update *out)
{
	if (json_array_size(jval_at(job->data, "policy.steps")))
		common_end(out, JOB_FAILED, "deploy.steps",
			   "the policy sets the traffic steps of %s; leave `--steps` out",
			   rollout_environment(job));
	else
		common_end(out, JOB_FAILED, "deploy.steps",
			   "the traffic steps must be growing whole numbers from 1 to 100, like "
			   "`--steps 10,50,100`");
}

/* Who asks for a hold means that the new model is watched before it has all traffic. A rollout that
 * cannot be over before the deadline would be taken back there, days later. True when the update is
 * filled. */
static bool is_held_in_vain(const struct job *job, const json_t *rollout, int64_t now_ms,
			    struct update *out)
{
	size_t count = json_array_size(json_object_get(rollout, "percents"));
	int64_t held_ms = count ? (int64_t)(count - 1) * jval_int(rollout, "hold_ms", 0) : 0;
	char held[32], left[32];

	str_duration(held, held_ms);
	str_duration(left, job->deadline_at_ms - now_ms);
	if (count < 2 && jval_int(job->args, "hold", 0))
		common_end(out, JOB_FAILED, "deploy.steps",
			   "there is no step before the last one that could be held: give `--hold` "
			   "with steps, like `--steps 10,100`");
	else if (held_ms >= job->deadline_at_ms - now_ms)
		common_end(out, JOB_FAILED, "deploy.steps",
			   "the traffic steps are held for %s in all, but this command has %s left "
			   "(`limits.job_deadline` of the operator's file): a shorter `--hold`, or "
			   "leave it open with `--steps` and go on with `/promote`",
			   held, left);
	else
		return false;
	return true;
}

void rollout_settings(const struct job *job, const struct effect_result *last, int64_t now_ms,
		      struct update *out)
{
	AUTO_FREE char *ns_key = str_printf("deployment.%s.namespace", rollout_environment(job));
	const char *ns;
	json_t *rollout, *mine;

	if (!last) {
		common_ask(out, EFFECT_SETTINGS, NULL);
		return;
	}
	if (last->err.class) {
		fail_part(job, "gates", last, now_ms, out);
		return;
	}
	ns = jval_str(last->data, ns_key, NULL);
	if (!ns) {
		refuse_environment(job, now_ms, out);
		return;
	}
	if (!is_its_namespace(job, ns, now_ms, out))
		return;
	mine = common_data(job, out, "settings");
	jval_set_str(mine, "namespace", jval_str(last->data, "pipeline.namespace", ""));
	rollout = common_data(job, out, "rollout");
	jval_set_str(rollout, "namespace", ns);
	jval_set_str(rollout, "service",
		     jval_str(last->data, "deployment.inference_service_name", ""));
	jval_set_str(rollout, "path",
		     jval_str(last->data, "deployment.inference_service_function_path", ""));
	jval_set_str(rollout, "sample_path",
		     jval_str(last->data, "deployment.pre_deployment_test_sample_input_path", ""));
	if (jval_at(last->data, "deployment.sample"))
		jval_set(rollout, "expect", json_incref(jval_at(last->data, "deployment.sample")));
	if (jval_at(last->data, "deployment.model"))
		jval_set(rollout, "model", json_incref(jval_at(last->data, "deployment.model")));
	if (!keep_plan(job, jval_at(last->data, "deployment"), rollout))
		refuse_steps(job, out);
	else if (!is_held_in_vain(job, rollout, now_ms, out))
		common_next(job, out);
}

/* --- the run --- */

void rollout_find_run(const struct job *job, const struct effect_result *last, int64_t now_ms,
		      struct update *out)
{
	json_t *args, *run;

	(void)now_ms;
	if (!last) {
		args = json_object();
		jval_set_str(args, "sha", job->head_sha);
		if (jval_str(job->args, "run-id", NULL))
			jval_set_str(args, "run_id", jval_str(job->args, "run-id", ""));
		common_ask(out, EFFECT_RUN_FIND, args);
		return;
	}
	if (last->err.class && last->err.class != ERR_NOT_FOUND) {
		common_fail(out, &last->err);
		return;
	}
	run = common_data(job, out, "run");
	if (!last->err.class)
		json_object_update(run, last->data);
	common_next(job, out);
}

/* --- its model --- */

static json_t *model_args(const struct job *job)
{
	json_t *args = json_object(), *wanted = jval_at(job->data, "rollout.model");

	jval_set_str(args, "run_id", jval_str(job->data, "run.id", ""));
	jval_set_str(args, "path", jval_str(job->data, "rollout.path", ""));
	if (wanted)
		jval_set(args, "model", json_deep_copy(wanted));
	if (json_array_size(jval_at(job->data, "policy.metrics")) &&
	    !jval_at(job->data, "run.metrics"))
		jval_set_str(args, "metrics", "need");
	if (jval_at(job->data, "run.stores"))
		jval_set(args, "stores", json_deep_copy(jval_at(job->data, "run.stores")));
	return args;
}

/* The files must be those that were there when the run had ended. A run without a record is taken
 * as it is; where there is one, but nothing to compare it with, it is not known. */
static void keep_sameness(const struct job *job, json_t *model)
{
	const char *then = jval_str(job->data, "run.digest", ""),
		   *now = jval_str(model, "digest", "");

	if (!*then || *now)
		jval_set_bool(model, "same", !*then || str_eq(then, now));
}

/* A question or a refusal about the model is a fact; that nobody answers is not. */
static bool is_about_model(const struct effect_result *last)
{
	return last->err.class == ERR_USER || last->err.class == ERR_NOT_FOUND;
}

void rollout_model(const struct job *job, const struct effect_result *last, int64_t now_ms,
		   struct update *out)
{
	json_t *model;

	if (!jval_str(job->data, "run.id", NULL)) {
		common_next(job, out); /* there is none: the gate of the run says so */
		return;
	}
	if (!last) {
		common_ask(out, EFFECT_MODEL, model_args(job));
		common_part(job, out, "gates", PART_RUNNING, now_ms, "looking for the model");
		return;
	}
	model = common_data(job, out, "model");
	if (last->err.class && !is_about_model(last)) {
		fail_part(job, "gates", last, now_ms, out);
		return;
	}
	if (last->data)
		json_object_update(model, last->data);
	if (jval_at(job->data, "run.metrics")) /* as they were when it ended */
		jval_set(model, "metrics", json_deep_copy(jval_at(job->data, "run.metrics")));
	keep_sameness(job, model);
	if (last->err.class) {
		jval_set_bool(model, "found", false);
		jval_set_str(model, "why", last->err.msg);
		jval_set_str(model, "code", last->err.code);
	}
	common_next(job, out);
}

/* Which of the looks is due: the last one only where the model is loaded once more to serve. */
static bool is_rechecked(const struct job *job)
{
	const char *way = jval_str(job->data, "service.before.way", "");

	if (!*jval_str(job->data, "model.digest", "") ||
	    rollout_is_live_already(json_object_get(job->data, "service")))
		return false;
	return !str_eq(job->step, "recheck_served") || str_eq(way, isvc_way_name(ISVC_WAY_SECOND));
}

static bool is_out_of_time(const struct job *job, int64_t now_ms)
{
	return now_ms - jval_int(job->data, "rollout.since_ms", now_ms) >=
	       jval_int(job->data, "rollout.timeout_ms", TIMEOUT_MS);
}

/* The gates looked at the files, perhaps days ago, and KServe fetches what lies there when a pod
 * starts. So they are looked at again right before a model is loaded and right after: if they are
 * the same then, these are what was loaded. */
void rollout_recheck(const struct job *job, const struct effect_result *last, int64_t now_ms,
		     struct update *out)
{
	json_t *args;

	if (rollout_is_stopped(job, now_ms, out))
		return;
	if (!is_rechecked(job)) {
		common_next(job, out);
	} else if (!last && job->tries && is_out_of_time(job, now_ms)) {
		rollout_fail(job, out, JOB_FAILED, "deploy.model_unread",
			     "the model's files could not be looked at once more in time");
	} else if (!last) {
		args = json_object();
		jval_set_str(args, "uri", jval_str(job->data, "model.uri", ""));
		common_ask(out, EFFECT_MODEL_LOOK, args);
	} else if (last->err.class) {
		rollout_fail(job, out, JOB_FAILED,
			     last->err.code[0] ? last->err.code : "deploy.model_unread", "%s",
			     last->err.msg);
	} else if (!str_eq(jval_str(last->data, "digest", ""),
			   jval_str(job->data, "model.digest", ""))) {
		rollout_fail(job, out, JOB_FAILED, "deploy.model_changed",
			     "the model's files were changed while it was being deployed: they are "
			     "not those that were looked at before");
	} else {
		common_next(job, out);
	}
}

/* --- the object to have --- */

static json_t *service_args(const struct job *job)
{
	static const char *const copied[] = {"namespace", "service", "path", "sample_path"};
	const json_t *expect = jval_at(job->data, "rollout.expect");
	json_t *args = json_object();

	for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
		AUTO_FREE char *key = str_printf("rollout.%s", copied[i]);

		jval_set_str(args, copied[i], jval_str(job->data, key, ""));
	}
	if (expect)
		jval_set(args, "expect", json_deep_copy(expect));
	jval_set_str(args, "storage_uri", jval_str(job->data, "model.uri", ""));
	jval_set_str(args, "run_id", jval_str(job->data, "run.id", ""));
	return args;
}

void rollout_service(const struct job *job, const struct effect_result *last, int64_t now_ms,
		     struct update *out)
{
	json_t *service;

	if (!jval_str(job->data, "model.uri", NULL)) {
		common_next(job, out); /* no model, no object */
		return;
	}
	if (!last) {
		common_ask(out, EFFECT_SERVICE_MAKE, service_args(job));
		common_part(job, out, "gates", PART_RUNNING, now_ms, "making the service");
		return;
	}
	if (last->err.class) {
		fail_part(job, "gates", last, now_ms, out);
		return;
	}
	service = common_data(job, out, "service");
	json_object_update(service, last->data);
	json_object_del(service, "fits");
	json_object_update(common_data(job, out, "model"), jval_at(last->data, "fits"));
	common_next(job, out);
}
