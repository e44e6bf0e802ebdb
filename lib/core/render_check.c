/* render_check.c - check runs (App mode) and commit statuses (token mode) of a job. See render.h.
 *
 * A job shows one check for building and one for running, or one for deploying that names its
 * environment, each made of the parts that belong to it; a check exists from the first of its parts
 * on and is completed at the latest when the job ends. That of deploying goes on until then,
 * because between two parts, and after one that failed, there is more to come. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/markdown.h"
#include "lib/core/render.h"

enum { SUMMARY_MAX = 60000, TITLE_MAX = 200, DESCRIPTION_MAX = 140, MESSAGE_MAX = 4000 };

static const struct {
	const char *part, *check;
} owners[] = {{"compile", "build"},  {"upload", "build"}, {"version", "run"},  {"run", "run"},
	      {"gates", "deploy"},   {"turn", "deploy"},  {"model", "deploy"}, {"sample", "deploy"},
	      {"traffic", "deploy"}, {"merge", "deploy"}};

static const char *check_of(const json_t *part)
{
	for (size_t i = 0; i < ARRAY_LEN(owners); i++)
		if (str_eq(jval_str(part, "name", ""), owners[i].part))
			return owners[i].check;
	return "";
}

/* A version that was named may be of another commit; until it is found nobody knows on which commit
 * the check belongs. */
static bool is_looked_for(const struct job *job, const json_t *part)
{
	return str_eq(jval_str(part, "name", ""), "version") &&
	       str_eq(jval_str(part, "state", ""), "running") && !job_state_is_final(job->state);
}

int render_checks(const struct job *job, const char *names[RENDER_CHECKS_MAX])
{
	json_t *parts = json_object_get(job->data, "parts"), *part;
	int count = 0;
	size_t i;

	if (!job->head_sha[0])
		return 0; /* nothing to put them on yet */
	json_array_foreach(parts, i, part)
	{
		const char *check = check_of(part);
		bool known = !*check || is_looked_for(job, part);

		for (int k = 0; k < count; k++)
			known = known || str_eq(names[k], check);
		if (!known && count < RENDER_CHECKS_MAX)
			names[count++] = check;
	}
	return count;
}

/* "kfops/deploy-production"; the caller frees. */
static char *name_of(const struct job *job, const char *check)
{
	const char *environment = jval_str(job->data, "rollout.environment", NULL);

	if (str_eq(check, "deploy") && environment)
		return str_printf("kfops/deploy-%s", environment);
	return str_printf("kfops/%s", check);
}

/* Where it can be seen: the run in Kubeflow, the service; "" when it is not known. */
static const char *link_of(const struct job *job, const char *check)
{
	if (str_eq(check, "run"))
		return jval_str(job->data, "run.link", "");
	return str_eq(check, "deploy") ? jval_str(job->data, "service.link", "") : "";
}

struct check_view {
	const json_t *first, *last; /* its parts */
	bool deploys, running, failed, cancelled;
	int64_t started_at_ms, ended_at_ms;
};

static void look(const struct render_view *view, const char *check, struct check_view *out)
{
	json_t *parts = json_object_get(view->job->data, "parts"), *part;
	bool job_over = job_state_is_final(view->job->state);
	size_t i;

	*out = (struct check_view){.deploys = str_eq(check, "deploy")};
	json_array_foreach(parts, i, part)
	{
		const char *state = jval_str(part, "state", "");

		if (!str_eq(check_of(part), check))
			continue;
		if (!out->first)
			out->started_at_ms = jval_int(part, "started_at_ms", view->now_ms);
		out->first = out->first ? out->first : part;
		out->last = part;
		out->running = out->running || str_eq(state, "running");
		out->failed = out->failed || str_eq(state, "failed");
		out->cancelled = out->cancelled || str_eq(state, "cancelled");
		out->ended_at_ms = jval_int(part, "ended_at_ms", view->now_ms);
	}
	/* build goes on with its upload: until that is there, the check is not over */
	if (str_eq(check, "build") && !job_over && out->last == out->first && !out->failed)
		out->running = true;
	if (out->deploys && !job_over)
		out->running = true;
	if (job_over && out->running) {
		out->running = false;
		out->failed = out->failed || view->job->state == JOB_FAILED ||
			      view->job->state == JOB_DEAD;
		out->cancelled = out->cancelled || !out->failed;
		out->ended_at_ms = view->now_ms;
	}
}

static const char *conclusion_of(const struct render_view *view, const struct check_view *check)
{
	if (str_eq(view->job->code, "run.timeout") && check->failed)
		return "timed_out";
	if (check->failed)
		return "failure";
	return check->cancelled ? "cancelled" : "success";
}

/* One plain line about where the check stands. */
static void describe(const struct render_view *view, const struct check_view *check,
		     struct buf *out)
{
	if (check->running)
		buf_printf(out, "%s: %s", jval_str(check->last, "name", ""),
			   jval_str(check->last, "text", ""));
	else if (check->failed && view->job->message)
		markdown_clean(out, view->job->message, strlen(view->job->message));
	else if (check->cancelled)
		buf_puts(out, view->job->message ? view->job->message : "stopped");
	else if (check->deploys && view->job->message)
		buf_puts(out, view->job->message);
	else
		buf_puts(out, jval_str(check->last, "text", "done"));
	for (size_t i = 0; i < out->len; i++)
		if (out->data[i] == '\n' || out->data[i] == '`')
			out->data[i] = out->data[i] == '\n' ? ' ' : '\'';
}

static void put_annotation(const struct render_view *view, const struct check_view *check,
			   json_t *output)
{
	json_t *place = jval_at(view->job->data, "failure.annotation"), *list, *item;
	AUTO_BUF struct buf message = buf_make(MESSAGE_MAX);
	const char *text;

	if (!place || !check->failed || !jval_str(place, "path", NULL))
		return;
	text = jval_str(place, "message", view->job->message ? view->job->message : "failed");
	markdown_clean(&message, text, strlen(text));
	item = json_object();
	jval_set_str(item, "path", jval_str(place, "path", ""));
	jval_set_int(item, "start_line", jval_int(place, "line", 1));
	jval_set_int(item, "end_line", jval_int(place, "line", 1));
	jval_set_str(item, "annotation_level", "failure");
	jval_set_str(item, "message", buf_text(&message));
	jval_set_str(item, "title", view->job->code ? view->job->code : "failed");
	list = json_array();
	json_array_append_new(list, item);
	jval_set(output, "annotations", list);
}

static json_t *output_of(const struct render_view *view, const struct check_view *check)
{
	AUTO_BUF struct buf line = buf_make(MESSAGE_MAX), summary = buf_make(4 * MARKDOWN_BODY_MAX);
	AUTO_BUF struct buf text = buf_make(MARKDOWN_BODY_MAX);
	const char *log = jval_str(view->job->data, "failure.log", "");
	json_t *output = json_object();
	char title[TITLE_MAX + 1];

	describe(view, check, &line);
	str_copy(title, sizeof title, buf_text(&line));
	render_comment(view, &summary);
	markdown_finish(&summary, SUMMARY_MAX);
	jval_set_str(output, "title", *title ? title : "waiting");
	jval_set_str(output, "summary", buf_text(&summary));
	if (*log && check->failed) {
		markdown_fence(&text, "text", log, strlen(log), SUMMARY_MAX);
		jval_set_str(output, "text", buf_text(&text));
	}
	put_annotation(view, check, output);
	return output;
}

json_t *render_check_run(const struct render_view *view, const char *check)
{
	AUTO_FREE char *name = name_of(view->job, check);
	json_t *body = json_object();
	struct check_view seen;
	char at[21];

	look(view, check, &seen);
	jval_set_str(body, "name", name);
	jval_set_str(body, "head_sha", view->job->head_sha);
	jval_set_str(body, "external_id", view->job->uid);
	clock_rfc3339(at, seen.started_at_ms);
	jval_set_str(body, "started_at", at);
	jval_set_str(body, "status", seen.running ? "in_progress" : "completed");
	if (!seen.running) {
		clock_rfc3339(at, seen.ended_at_ms);
		jval_set_str(body, "completed_at", at);
		jval_set_str(body, "conclusion", conclusion_of(view, &seen));
	}
	if (*link_of(view->job, check))
		jval_set_str(body, "details_url", link_of(view->job, check));
	jval_set(body, "output", output_of(view, &seen));
	return body;
}

json_t *render_commit_status(const struct render_view *view, const char *check)
{
	AUTO_FREE char *context = name_of(view->job, check);
	const char *link = link_of(view->job, check);
	AUTO_BUF struct buf text = buf_make(MESSAGE_MAX);
	json_t *body = json_object();
	struct check_view seen;
	char description[DESCRIPTION_MAX + 1];

	look(view, check, &seen);
	describe(view, &seen, &text);
	str_copy(description, sizeof description, buf_text(&text));
	jval_set_str(body, "state",
		     seen.running     ? "pending"
		     : seen.failed    ? "failure"
		     : seen.cancelled ? "error"
				      : "success");
	jval_set_str(body, "context", context);
	jval_set_str(body, "description", description);
	if (*link)
		jval_set_str(body, "target_url", link);
	return body;
}
