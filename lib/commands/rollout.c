/* rollout.c - see rollout.h: the ways that its steps share. */
#include "lib/commands/rollout.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"

enum { LOOK_MAX_MS = 15000 };

const char *rollout_environment(const struct job *job)
{
	if (str_eq(job->command, "staging_deploy"))
		return "staging";
	return jval_str(job->args, "arg", "production");
}

char *rollout_line(const struct job *job)
{
	const char *command = str_eq(job->command, "plan") ? "deploy" : job->command;

	if (str_eq(job->command, "staging_deploy") || !jval_str(job->args, "arg", NULL))
		return str_printf("/%s", command);
	return str_printf("/%s %s", command, jval_str(job->args, "arg", ""));
}

void rollout_fail(const struct job *job, struct update *out, enum job_state state, const char *code,
		  const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	json_t *failed;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	text[str_utf8_cut(text, strlen(text))] = '\0';
	failed = common_data(job, out, "failed");
	jval_set_int(failed, "state", state);
	jval_set_str(failed, "code", code);
	jval_set_str(failed, "message", text);
	common_jump(job, out, "causes");
}

void rollout_note(const struct job *job, const char *what, const struct effect_result *last,
		  struct update *out)
{
	json_t *rollout = common_data(job, out, "rollout"), *notes;
	AUTO_FREE char *text = str_printf("%s: %s", what, last->err.msg);

	notes = json_object_get(rollout, "notes");
	if (!notes) {
		notes = json_array();
		jval_set(rollout, "notes", notes);
	}
	json_array_append_new(notes, json_string(text));
}

bool rollout_is_stopped(const struct job *job, int64_t now_ms, struct update *out)
{
	if (job->cancel) {
		AUTO_FREE char *words = job_stop_words(job, "stopped");

		rollout_fail(job, out, JOB_CANCELLED, job_stop_code(job), "%s", words);
		return true;
	}
	if (now_ms < job->deadline_at_ms)
		return false;
	rollout_fail(job, out, JOB_EXPIRED, "job.deadline",
		     "its deadline passed before it was done");
	return true;
}

bool rollout_is_late(const struct job *job, int64_t now_ms)
{
	return now_ms - jval_int(job->data, "rollout.since_ms", now_ms) >=
	       jval_int(job->data, "rollout.timeout_ms", 600000);
}

int64_t rollout_next_look(const struct job *job, int64_t now_ms)
{
	int64_t first = job->rules->look_service_ms;
	int64_t step = (now_ms - jval_int(job->data, "rollout.since_ms", now_ms)) / 10;

	if (step < first)
		step = first;
	return now_ms + (step < LOOK_MAX_MS ? step : LOOK_MAX_MS);
}

bool rollout_tries_first(const struct job *job)
{
	return json_array_size(jval_at(job->data, "service.samples")) &&
	       jval_bool(job->data, "rollout.try_first", true) &&
	       isvc_second_fits(jval_str(job->data, "rollout.service", ""));
}

bool rollout_is_live_already(const json_t *service)
{
	return str_eq(jval_str(service, "before.way", ""), isvc_way_name(ISVC_WAY_NONE));
}

bool rollout_is_recorded(const struct job *job, const json_t *service)
{
	return rollout_is_live_already(service) && jval_int(service, "served.job", 0) &&
	       str_eq(jval_str(service, "served.storage_uri", ""),
		      jval_str(job->data, "model.uri", ""));
}

json_t *rollout_service_args(const struct job *job)
{
	json_t *args = json_object();

	jval_set_str(args, "namespace", jval_str(job->data, "rollout.namespace", ""));
	jval_set_str(args, "service", jval_str(job->data, "rollout.service", ""));
	return args;
}

void rollout_ask_look(const struct job *job, struct update *out)
{
	common_ask(out, EFFECT_SERVICE_LOOK, rollout_service_args(job));
}

void rollout_ask_move(const struct job *job, const struct isvc_request *request, bool dry_run,
		      struct update *out)
{
	static const char *const verbs[] = {"create", "patch", "delete"};
	json_t *args = json_object();

	jval_set_str(args, "namespace", jval_str(job->data, "rollout.namespace", ""));
	jval_set_str(args, "verb", verbs[request->verb]);
	jval_set_str(args, "name", request->name);
	jval_set(args, "body", json_incref(request->body));
	common_ask(out, dry_run ? EFFECT_SERVICE_TRY : EFFECT_SERVICE_SEND, args);
}

void rollout_goal(const struct job *job, const struct update *out, enum isvc_phase phase,
		  int percent, struct isvc_goal *goal)
{
	const json_t *service = out->data ? json_object_get(out->data, "service") : NULL;

	if (!service)
		service = json_object_get(job->data, "service");
	*goal = (struct isvc_goal){
		.wanted = json_object_get(service, "wanted"),
		.before = json_object_get(service, "before"),
		.job = jval_str(job->data, "rollout.mark", job->uid),
		.phase = phase,
		.percent = percent,
	};
}

void rollout_plan(const struct job *job, const struct effect_result *last, enum isvc_phase phase,
		  int percent, struct update *out, struct isvc_move *move)
{
	struct isvc_look look = {.live = jval_at(last->data, "live"),
				 .second = jval_at(last->data, "second")};
	const char *link = jval_str(look.live, "status.url", "");
	struct isvc_goal goal;
	json_t *service;

	if (str_starts(link, "http"))
		jval_set_str(common_data(job, out, "service"), "link", link);
	rollout_goal(job, out, phase, percent, &goal);
	isvc_plan(&goal, &look, move);
	if (!move->note)
		return;
	service = common_data(job, out, "service");
	isvc_note(json_object_get(service, "before"), move->note);
}
