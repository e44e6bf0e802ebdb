/* status.c - /status: what serves in which environment, who is at work there, who has locked it and
 * who stands in line; then the jobs of this repository: running, in line and recent ones. Commands
 * that only answer are left out; they would push out what is looked for. */
#include <inttypes.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/core/markdown.h"

enum {
	ANSWER_MAX = 40000,
	LOOKED_AT = 200,
	SHOWN = 20,
	EARLIER = 5, /* of each environment */
	NAMES_MAX = 60,
	REASON_MAX = 200
};

/* The queue's states in people's words; what is done now when it is under way. */
static void put_state(struct buf *out, const json_t *row)
{
	static const struct {
		const char *state, *words;
	} names[] = {
		{"ready", "about to start"}, {"running", "running"}, {"parked", "running"},
		{"backoff", "trying again"}, {"blocked", "in line"},
	};
	const struct command *command = command_by_name(&commands, jval_str(row, "command", ""));
	const char *state = jval_str(row, "state", "?"), *words = state;
	const struct step *step =
		command ? job_step(command->steps, jval_str(row, "step", "")) : NULL;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(names[i].state, state))
			words = names[i].words;
	if (jval_int(row, "position", 0) > 0)
		buf_printf(out, "number %" PRId64 " ", jval_int(row, "position", 0));
	buf_puts(out, words);
	if (step && !jval_int(row, "finished_at_ms", 0) && !str_eq(state, "blocked"))
		buf_printf(out, ": %s", step->sentence);
	if (*jval_str(row, "code", ""))
		buf_printf(out, " (`%s`)", jval_str(row, "code", ""));
}

static void put_job(struct buf *out, const json_t *row, int64_t now_ms)
{
	int64_t from = jval_int(row, "created_at_ms", now_ms);
	int64_t to = jval_int(row, "finished_at_ms", 0);
	char took[32];

	str_duration(took, (to ? to : now_ms) - from);
	buf_printf(out, "| %" PRId64 " | #%" PRId64 " | `/%s` | ", jval_int(row, "id", 0),
		   jval_int(row, "pr", 0), jval_str(row, "command", "?"));
	put_state(out, row);
	buf_puts(out, " | ");
	if (*jval_str(row, "sha", ""))
		buf_printf(out, "`%.7s`", jval_str(row, "sha", ""));
	buf_puts(out, " | ");
	markdown_text(out, jval_str(row, "actor", ""), 60);
	buf_printf(out, " | %s |\n", took);
}

static bool is_shown(const json_t *row)
{
	const struct command *command = command_by_name(&commands, jval_str(row, "command", ""));

	return !command || !command->read_only;
}

/* --- environments --- */

static const json_t *named(const json_t *list, const char *environment)
{
	const json_t *each;
	size_t i;

	json_array_foreach(list, i, each) if (str_eq(jval_str(each, "environment", NULL),
						     environment)) return each;
	return NULL;
}

static void put_live(struct buf *out, const json_t *live, int64_t percent, int64_t now_ms)
{
	char since[32];

	if (!live) {
		buf_puts(out, "| nothing that was deployed here | | |");
		return;
	}
	buf_printf(out, "%" PRId64 " | ", jval_int(live, "id", 0));
	str_duration(since, now_ms - jval_int(live, "ended_at_ms", now_ms));
	buf_printf(out, "`%.7s` of #%" PRId64 ", run ", jval_str(live, "sha", ""),
		   jval_int(live, "pr", 0));
	markdown_code(out, jval_str(live, "run_id", "?"), NAMES_MAX);
	buf_printf(out, " | %" PRId64 " %% | ", percent);
	markdown_text(out, jval_str(live, "actor", ""), NAMES_MAX);
	buf_printf(out, ", %s ago |", since);
}

static void put_lock(struct buf *out, const json_t *line)
{
	char since[6], until[21];

	clock_hhmm(since, jval_int(line, "locked_at_ms", 0));
	buf_puts(out, "locked by ");
	markdown_text(out, jval_str(line, "person", ""), NAMES_MAX);
	buf_printf(out, " since %s UTC on #%" PRId64, since, jval_int(line, "person_pr", 0));
	if (jval_int(line, "until_ms", 0)) {
		clock_rfc3339(until, jval_int(line, "until_ms", 0));
		buf_printf(out, " until %s", until);
	}
	if (*jval_str(line, "reason", "")) {
		buf_puts(out, ": ");
		markdown_code(out, jval_str(line, "reason", ""), REASON_MAX);
	}
}

static void put_kept(struct buf *out, const json_t *line)
{
	char since[21];

	clock_rfc3339(since, jval_int(line, "kept_at_ms", 0));
	buf_printf(out, "stays with #%" PRId64 " of ", jval_int(line, "kept_pr", 0));
	markdown_text(out, jval_str(line, "keeper", ""), NAMES_MAX);
	buf_printf(out, " since %s until that is merged or closed", since);
}

/* Who is at work, whose lock is in the way, who waits. */
static void put_line(struct buf *out, const json_t *line)
{
	json_t *waiting = line ? json_object_get(line, "waiting") : NULL, *job;
	size_t i, from = out->len;

	if (jval_int(line, "job", 0))
		buf_printf(out, "job %" PRId64 " of #%" PRId64 " is at work",
			   jval_int(line, "job", 0), jval_int(line, "pr", 0));
	if (jval_str(line, "person", NULL)) {
		buf_puts(out, out->len > from ? " · " : "");
		put_lock(out, line);
	}
	if (jval_int(line, "kept_pr", 0)) {
		buf_puts(out, out->len > from ? " · " : "");
		put_kept(out, line);
	}
	if (json_array_size(waiting))
		buf_puts(out, out->len > from ? " · in line: job" : "in line: job");
	json_array_foreach(waiting, i, job) if (i < SHOWN)
		buf_printf(out, "%s %" JSON_INTEGER_FORMAT, i ? "," : "", json_integer_value(job));
	if (out->len == from)
		buf_puts(out, "free");
}

static void put_environment(struct buf *out, const char *name, const json_t *live, int64_t percent,
			    const json_t *line, int64_t now_ms)
{
	buf_puts(out, "| ");
	markdown_text(out, name, NAMES_MAX);
	buf_puts(out, " | ");
	put_live(out, live, percent, now_ms);
	buf_puts(out, " ");
	put_line(out, line);
	buf_puts(out, " |\n");
}

static bool is_open(const json_t *deployment)
{
	return str_eq(jval_str(deployment, "state", ""), "open");
}

/* The share of a live one is what an open one of its environment has left. */
static int64_t percent_of(const json_t *deployment, const json_t *live)
{
	const json_t *each;
	size_t i;

	if (is_open(deployment))
		return jval_int(deployment, "percent", 0);
	json_array_foreach(live, i,
			   each) if (is_open(each) &&
				     str_eq(jval_str(each, "environment", ""),
					    jval_str(deployment, "environment", "?"))) return 100 -
		jval_int(each, "percent", 0);
	return jval_int(deployment, "percent", 100);
}

/* The numbers for /rollback --to. */
static void put_earlier(struct buf *out, const json_t *live, const json_t *earlier)
{
	const json_t *each, *row;
	size_t i, k;

	json_array_foreach(live, i, each)
	{
		const char *name = jval_str(each, "environment", "?");
		int shown = 0;

		if (is_open(each))
			continue;
		json_array_foreach(earlier, k, row)
		{
			if (!str_eq(jval_str(row, "environment", NULL), name) || shown == EARLIER)
				continue;
			if (!shown++) {
				buf_puts(out, "Earlier in ");
				markdown_text(out, name, NAMES_MAX);
			}
			buf_printf(out, "%s %" PRId64 " (`%.7s` of #%" PRId64 ")",
				   shown > 1 ? "," : ":", jval_int(row, "id", 0),
				   jval_str(row, "sha", ""), jval_int(row, "pr", 0));
		}
		if (shown)
			buf_printf(out, ". `/rollback %s --to NUMBER` brings one back.\n\n", name);
	}
}

static void put_environments(struct buf *out, const json_t *found, int64_t now_ms)
{
	const json_t *live = json_object_get(found, "live"), *lines, *each;
	size_t i;

	lines = json_object_get(found, "lines");
	if (!json_array_size(live) && !json_array_size(lines))
		return;
	buf_puts(out, "| environment | deployment | serves | traffic | deployed by | now |\n"
		      "|---|---|---|---|---|---|\n");
	json_array_foreach(live, i, each)
	{
		const char *name = jval_str(each, "environment", "?");

		put_environment(out, name, each, percent_of(each, live), named(lines, name),
				now_ms);
	}
	json_array_foreach(lines, i, each)
	{
		const char *name = jval_str(each, "environment", "?");

		if (!named(live, name))
			put_environment(out, name, NULL, 0, each, now_ms);
	}
	buf_puts(out, "\n");
	put_earlier(out, live, json_object_get(found, "earlier"));
}

static void decide_environments(const struct job *job, const struct effect_result *last,
				int64_t now_ms, struct update *out)
{
	(void)now_ms;
	if (!last) {
		common_ask(out, EFFECT_ENVIRONMENTS_LIST, NULL);
		return;
	}
	out->data = json_object();
	jval_set(out->data, "environments", json_incref(last->data));
	common_next(job, out);
}

/* --- forks --- */

/* The newest word on a commit of this pull request, if it is one of a fork. */
static void put_fork(struct buf *out, const json_t *ok)
{
	char at[21];

	if (!ok)
		return;
	clock_rfc3339(at, jval_int(ok, "given_at_ms", 0));
	buf_printf(out, "On %s ", at);
	markdown_text(out, jval_str(ok, "person", "?"), NAMES_MAX);
	buf_printf(
		out,
		" allowed `%.12s` of this fork to be built%s. It holds while that is the head.\n\n",
		jval_str(ok, "sha", ""),
		jval_bool(ok, "build_only", true)
			? " only"
			: ", and run or deployed as far as the policy lets forks");
}

/* --- jobs --- */

static void decide_answer(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	json_t *args, *rows, *row;
	char clock[6];
	int shown = 0;
	size_t i;

	if (!last) {
		args = json_object();
		jval_set_int(args, "limit", LOOKED_AT);
		common_ask(out, EFFECT_JOBS_LIST, args);
		return;
	}
	rows = last->data ? json_object_get(last->data, "jobs") : NULL;
	clock_hhmm(clock, now_ms);
	put_environments(&text, json_object_get(job->data, "environments"), now_ms);
	put_fork(&text, json_object_get(last->data, "fork_ok"));
	json_array_foreach(rows, i, row)
	{
		if (!is_shown(row) || shown == SHOWN)
			continue;
		if (!shown++)
			buf_puts(&text,
				 "| job | pull request | command | state | commit | asked by | "
				 "since, took |\n"
				 "|---|---|---|---|---|---|---|\n");
		put_job(&text, row, now_ms);
	}
	if (!shown)
		buf_puts(&text, "No jobs yet in this repository. `/build_run` starts one.\n");
	buf_printf(&text, "\nAs of %s UTC.\n", clock);
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "answered");
}

static const struct command_flag flags[] = {{NULL, FLAG_BOOL, NULL, NULL}};
static const char *const examples[] = {"/status", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	{.name = "environments",
	 .sentence = "listing the environments",
	 .decide = decide_environments},
	{.name = "answer", .sentence = "listing the jobs", .decide = decide_answer},
	STEP_LAST,
};

const struct command command_status = {
	.name = "status",
	.summary = "Show what serves where, and the jobs: running, waiting and recent ones.",
	.examples = examples,
	.flags = flags,
	.right = RIGHT_READ,
	.scope = SCOPE_ALWAYS,
	.read_only = true,
	.on_closed = true,
	.steps = steps,
};
