/* render.c - the comment of a job. See render.h; check runs and statuses are in render_check.c.
 *
 * One table of rows (the job's parts), then what matters at that moment: links and the next
 * commands when it went well, the cause and what to do when it did not; pictures and long lists are
 * folded. */
#include "lib/core/render.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/markdown.h"

enum {
	LATE_MS = 120000,
	GRAPH_MAX = 30000,
	LOG_MAX = 12000,
	CELL_MAX = 300,
	PARAMETERS_MAX = 100,
	SENTENCE_MAX = 2000,
	LINE_MAX = 4096,
};

void render_marker(const struct job *job, const char *slot, struct buf *out)
{
	buf_printf(out, "<!-- kf:v1 job=%s slot=%s -->", job->uid, slot);
}

static const char *state_sign(const struct job *job)
{
	switch (job->state) {
	case JOB_DONE:
		return "✅";
	case JOB_FAILED:
	case JOB_DEAD:
		return "❌";
	case JOB_CANCELLED:
	case JOB_SUPERSEDED:
	case JOB_EXPIRED:
		return "🚫";
	default:
		return "";
	}
}

static void put_headline(const struct render_view *view, struct buf *out)
{
	const struct job *job = view->job;
	const char *sign = state_sign(job),
		   *environment = jval_str(job->data, "rollout.environment", NULL);

	buf_printf(out, "%s%s**/%s**", sign, *sign ? " " : "", job->command);
	if (environment)
		buf_printf(out, " · `%s`", environment);
	if (job->head_sha[0])
		buf_printf(out, " · commit `%.7s`", job->head_sha);
	buf_printf(out, " · asked by @%s · job %" PRId64 "\n", job->actor, job->id);
}

static const char *part_sign(const char *state)
{
	if (str_eq(state, "done"))
		return "✅";
	if (str_eq(state, "failed"))
		return "❌";
	if (str_eq(state, "cancelled"))
		return "🚫";
	return "▶️";
}

static void put_parts(const struct render_view *view, struct buf *out)
{
	json_t *parts = json_object_get(view->job->data, "parts"), *part;
	size_t i;

	if (!json_array_size(parts))
		return;
	buf_puts(out, "\n| | step | state | took |\n|---|---|---|---|\n");
	json_array_foreach(parts, i, part)
	{
		int64_t from = jval_int(part, "started_at_ms", view->now_ms);
		int64_t to = jval_int(part, "ended_at_ms", view->now_ms);
		const char *link = str_eq(jval_str(part, "name", ""), "run")
					   ? jval_str(view->job->data, "run.link", "")
					   : "";
		char took[32];

		str_duration(took, to - from);
		buf_printf(out, "| %s | ", part_sign(jval_str(part, "state", "")));
		if (*link)
			buf_printf(out, "[%s](%s)", jval_str(part, "name", "?"), link);
		else
			buf_puts(out, jval_str(part, "name", "?"));
		buf_printf(out, " | %s | %s |\n", jval_str(part, "text", ""), took);
	}
}

/* It came too late to be run: only what it said is of use. */
static bool is_late(const struct job *job)
{
	return str_eq(job->code, "comment.late");
}

/* Why it is not certain that this commit was meant. */
static void put_commit_note(const struct job *job, struct buf *out)
{
	static const struct {
		const char *doubt, *says;
	} notes[] = {
		{"same_second", "A push came in the very second of your comment"},
		{"unheard", "I had not heard of a push to this pull request before"},
	};
	const char *moved = jval_str(job->data, "pin.moved_from", NULL);
	const char *doubt = jval_str(job->data, "pin.doubt", "unheard");
	const char *says = "The head moved around your comment";

	if (moved) {
		buf_printf(
			out,
			"\n> [!NOTE]\n> The head moved from `%.7s` to `%.7s` around your comment; "
			"this is about `%.7s`.\n",
			moved, job->head_sha, job->head_sha);
		return;
	}
	if (!str_eq(jval_str(job->data, "pin.source", ""), "api"))
		return;
	for (size_t i = 0; i < ARRAY_LEN(notes); i++)
		if (str_eq(doubt, notes[i].doubt))
			says = notes[i].says;
	buf_printf(out,
		   "\n> [!NOTE]\n> %s; the commit is the head that GitHub named when I asked.\n",
		   says);
}

void render_policy_note(const struct job *job, struct buf *out)
{
	const char *here = jval_str(job->data, "pull.policy_here", NULL);
	const char *source = jval_str(job->data, "policy.source", "");
	const char *sha = jval_str(job->data, "policy.sha", "");
	size_t own_len = strlen(job->repo);
	bool is_own = str_starts(source, job->repo) && source[own_len] == '/';

	if (!here || str_eq(here, is_own ? sha : ""))
		return;
	buf_puts(out, *here ? "\n> [!NOTE]\n> This pull request has another `.github/kfops.yaml`. "
			    : "\n> [!NOTE]\n> This pull request has no `.github/kfops.yaml`: it "
			      "takes it away, or is from before there was one. ");
	if (!*source) {
		buf_puts(out, "What holds until it is merged is the default branch, which has "
			      "none: the defaults.\n");
		return;
	}
	buf_puts(out, "What holds until it is merged is ");
	markdown_code(out, source, SENTENCE_MAX);
	buf_printf(out,
		   *sha ? " of the default branch, blob `%.12s`.\n" : " of the default branch%s.\n",
		   sha);
}

/* What a person must know about which commit and when, beside the headline. */
static void put_notes(const struct render_view *view, struct buf *out)
{
	const struct job *job = view->job;
	const char *model = jval_str(job->data, "model.note", NULL);

	if (job->created_at_ms - job->comment_at_ms > LATE_MS && !is_late(job)) {
		char said[6], heard[6];

		clock_hhmm(said, job->comment_at_ms);
		clock_hhmm(heard, job->created_at_ms);
		buf_printf(out, "\n> [!NOTE]\n> Your comment of %s reached me at %s (UTC).\n", said,
			   heard);
	}
	put_commit_note(job, out);
	render_policy_note(job, out);
	if (model) {
		buf_puts(out, "\n> [!NOTE]\n> ");
		markdown_text(out, model, CELL_MAX);
		buf_puts(out, "\n");
	}
}

/* Plain text whose outer blanks belong to the sentence around it; `text` is cut at `len` or before.
 */
static void put_plain(char *text, size_t len, struct buf *out)
{
	size_t from = len && text[0] == ' ' ? 1 : 0;
	bool blank_after = len > 1 && text[len - 1] == ' ';

	if (blank_after)
		text[len - 1] = '\0';
	buf_puts(out, from ? " " : "");
	markdown_text(out, text + from, SENTENCE_MAX);
	buf_puts(out, blank_after ? " " : "");
}

/* A sentence for people: what stands between backticks becomes code, the rest plain text, so the
 * command to paste can be copied and nothing from outside is active. */
static void put_sentence(const char *text, struct buf *out)
{
	while (*text) {
		const char *open = strchr(text, '`'), *close = open ? strchr(open + 1, '`') : NULL;
		size_t plain = close ? (size_t)(open - text) : strlen(text);
		AUTO_FREE char *before = str_dup_len(text, plain), *code = NULL;

		put_plain(before, plain, out);
		if (!close)
			return;
		code = str_dup_len(open + 1, (size_t)(close - open - 1));
		markdown_line(out, code, SENTENCE_MAX);
		text = close + 1;
	}
}

/* Messages go on where another sentence left off, in small letters; here one begins, unless with a
 * name. */
void render_sentence(const char *text, struct buf *out)
{
	AUTO_FREE char *sentence = str_dup(text);
	size_t word = strspn(text, "abcdefghijklmnopqrstuvwxyz'");

	if (word && (text[word] == ' ' || !text[word]))
		sentence[0] = (char)(sentence[0] - 'a' + 'A');
	put_sentence(sentence, out);
}

/* While something outside does not answer: what, and since when. */
static void put_trouble(const struct render_view *view, struct buf *out)
{
	const json_t *trouble = json_object_get(view->job->data, "trouble");
	char since[6];

	if (!trouble || job_state_is_final(view->job->state))
		return;
	clock_hhmm(since, jval_int(trouble, "since_ms", view->now_ms));
	buf_puts(out, "\n> [!WARNING]\n> ");
	render_sentence(jval_str(trouble, "message", ""), out);
	buf_printf(out, " — since %s UTC; I keep trying.\n", since);
}

static void put_parameters(const struct render_view *view, struct buf *out)
{
	json_t *parameters = jval_at(view->job->data, "compile.parameters"), *value;
	const char *name;
	int shown = 0;

	if (!json_object_size(parameters))
		return;
	buf_puts(out,
		 "\n<details><summary>Parameters</summary>\n\n| parameter | value |\n|---|---|\n");
	json_object_foreach(parameters, name, value)
	{
		AUTO_FREE char *text = jval_dump(value);

		if (shown++ == PARAMETERS_MAX)
			break;
		buf_puts(out, "| ");
		markdown_code(out, name, CELL_MAX);
		buf_puts(out, " | ");
		markdown_code(out, text, CELL_MAX);
		buf_puts(out, " |\n");
	}
	if (json_object_size(parameters) > PARAMETERS_MAX)
		buf_printf(out, "\n%zu parameters in all; the first %d are shown.\n",
			   json_object_size(parameters), PARAMETERS_MAX);
	buf_puts(out, "\n</details>\n");
}

static void put_graph(const struct render_view *view, struct buf *out)
{
	json_t *states = jval_at(view->job->data, "run.tasks");
	AUTO_BUF struct buf graph = buf_make(GRAPH_MAX + 1), text = buf_make(GRAPH_MAX / 2);

	if (!view->pipeline)
		return;
	pipeline_draw_mermaid(view->pipeline, states, &graph);
	pipeline_draw_text(view->pipeline, states, &text);
	buf_puts(out, "\n<details><summary>Graph</summary>\n\n");
	if (graph.len <= GRAPH_MAX)
		buf_printf(out, "```mermaid\n%s%s```\n\n", buf_text(&graph),
			   str_ends(buf_text(&graph), "\n") ? "" : "\n");
	buf_puts(out, "<details><summary>As text</summary>\n\n");
	markdown_fence(out, "text", buf_text(&text), text.len, GRAPH_MAX / 2);
	buf_puts(out, "\n</details>\n\n</details>\n");
}

static void put_cause(const json_t *cause, struct buf *out)
{
	buf_puts(out, "- ");
	markdown_line(out, jval_str(cause, "task", "?"), CELL_MAX);
	buf_puts(out, ": ");
	markdown_text(out, jval_str(cause, "message", "no message"), CELL_MAX);
	buf_putc(out, '\n');
}

static void put_failure(const struct render_view *view, struct buf *out)
{
	const struct job *job = view->job;
	json_t *failure = json_object_get(job->data, "failure"), *cause;
	json_t *causes = json_object_get(failure, "causes");
	const char *log = jval_str(failure, "log", ""),
		   *path = jval_str(failure, "annotation.path", NULL);
	size_t i;

	buf_puts(out, "\n");
	render_sentence(job->message ? job->message : "It did not work.", out);
	if (job->code)
		buf_printf(out, " (`%s`)", job->code);
	buf_puts(out, "\n");
	if (path) {
		buf_puts(out, "\nPlace: ");
		markdown_code(out, path, CELL_MAX);
		buf_printf(out, " line %" PRId64 "\n", jval_int(failure, "annotation.line", 1));
	}
	if (json_array_size(causes) > 1) {
		buf_puts(out, "\n");
		json_array_foreach(causes, i, cause) if (i < 10) put_cause(cause, out);
	}
	if (*log) {
		buf_puts(out, "\n<details><summary>Log</summary>\n\n");
		markdown_fence(out, "text", log, strlen(log), LOG_MAX);
		buf_puts(out, "\n</details>\n");
	}
}

/* What a run has left, to be deployed; a rollout shows it with its place. */
static void put_model(const struct render_view *view, struct buf *out)
{
	const char *uri = jval_str(view->job->data, "model.uri", NULL);

	if (!uri || json_object_get(view->job->data, "rollout"))
		return;
	buf_puts(out, "\nModel ");
	markdown_code(out, uri, CELL_MAX);
	buf_puts(out, "\n");
}

static void put_links(const struct render_view *view, struct buf *out)
{
	const char *run = jval_str(view->job->data, "run.link", "");
	const char *version = jval_str(view->job->data, "version.link", "");
	const char *id = jval_str(view->job->data, "run.id", "");

	if (json_object_get(view->job->data, "rollout") ||
	    (!*id && !*jval_str(view->job->data, "version.name", "")))
		return;
	buf_puts(out, "\n");
	if (*id && *run)
		buf_printf(out, "Run [`%s`](%s)", id, run);
	else if (*id)
		buf_printf(out, "Run `%s`", id);
	if (*id && *jval_str(view->job->data, "version.name", ""))
		buf_puts(out, " · ");
	if (*version)
		buf_printf(out, "version [`%s`](%s)", jval_str(view->job->data, "version.name", ""),
			   version);
	else if (*jval_str(view->job->data, "version.name", ""))
		buf_printf(out, "version `%s`", jval_str(view->job->data, "version.name", ""));
	buf_puts(out, "\n");
}

/* What helps after a failure, by the beginning of its code; the first that fits counts. Nothing
 * fits where others have to act first: then the same commit can be tried again. */
static const struct {
	const char *code;
	bool fix, retry; /* a push; the same commit again */
} helps[] = {
	{"settings.", true, false},
	{"pipeline.", true, false},
	{"compile.failed", true, false},
	{"compile.invalid", true, false},
	{"compile.legacy_source", true, false},
	{"compile.not_found", true, false},
	{"compile.output", true, false},
	{"compile.timeout", true, true},
	{"compile.memory", true, true},
	{"compile.killed", true, true},
	{"repo.bad_path", true, false},
	{"repo.no_file", true, false},
	{"repo.too_", true, false},
	{"repo.sha_not_in_ref", false, false},
	{"denied.namespace", true, true},
	{"kfp.denied", true, true},
	{"kfp.invalid", true, false},
	{"run.failed", true, true},
	{"", false, true},
};

static void put_help(const struct job *job, struct buf *out)
{
	size_t i = 0;

	while (!str_starts(job->code ? job->code : "", helps[i].code))
		i++;
	if (helps[i].fix)
		buf_printf(out, "\nnext: push a fix and `/%s` again · ", job->command);
	else if (!helps[i].retry)
		buf_printf(out, "\nnext: `/%s` again, for the new head · ", job->command);
	else
		buf_puts(out, "\nnext: ");
	if (helps[i].retry)
		buf_printf(out, "`/retry %" PRId64 "` %s · ", job->id,
			   helps[i].fix ? "for the same commit" : "tries the same again");
	buf_printf(out, "`/logs %" PRId64 "`\n", job->id);
}

static void put_next(const struct render_view *view, struct buf *out)
{
	const struct job *job = view->job;

	if (!job_state_is_final(job->state)) {
		buf_printf(out, "\nnext: `/cancel %" PRId64 "`\n", job->id);
		return;
	}
	if (json_object_get(job->data, "rollout"))
		render_rollout_next(job, out);
	else if (job->state == JOB_DONE && jval_str(job->data, "model.uri", NULL))
		buf_puts(out, "\nnext: `/plan` shows what `/deploy` would do with its model · "
			      "`/run --param NAME=VALUE` runs it again with other parameters\n");
	else if (job->state == JOB_DONE && str_eq(job->command, "build"))
		buf_puts(out, "\nnext: `/run` runs this version\n");
	else if (job->state == JOB_DONE)
		buf_printf(
			out,
			"\nnext: `/run --param NAME=VALUE` runs it again with other parameters · "
			"`/logs %" PRId64 "`\n",
			job->id);
	else if (is_late(job)) {
		buf_puts(out, "\nnext, if you still want it: ");
		markdown_line(out, job->line, LINE_MAX);
		buf_putc(out, '\n');
	} else if (job->state == JOB_SUPERSEDED || str_ends(job->code ? job->code : "", "_version"))
		return; /* the sentence says what to do */
	else if (str_eq(job->code, "run.unknown_parameter") ||
		 str_eq(job->code, "run.missing_parameter") ||
		 str_starts(job->code ? job->code : "", "run.parameter_"))
		buf_printf(out,
			   "\nnext: `/%s --param NAME=VALUE`, or mend `pipeline_args` in "
			   "`config_files/config.yaml`\n",
			   job->command);
	else if (str_eq(job->code, "run.timeout"))
		buf_printf(out,
			   "\nnext: `/%s --timeout T` with a longer time (`/retry` has the same "
			   "one) · `/logs %" PRId64 "`\n",
			   job->command, job->id);
	else if (job->head_sha[0])
		put_help(job, out);
}

void render_comment(const struct render_view *view, struct buf *out)
{
	AUTO_BUF struct buf body = buf_make(4 * MARKDOWN_BODY_MAX);
	const struct job *job = view->job;
	const char *answer = jval_str(job->data, "answer", NULL);
	bool failed = job_state_is_final(job->state) && job->state != JOB_DONE;

	render_marker(job, view->slot, &body);
	buf_puts(&body, "\n");
	if (answer) {
		buf_puts(&body, answer);
	} else {
		put_headline(view, &body);
		put_notes(view, &body);
		put_parts(view, &body);
		put_trouble(view, &body);
		if (failed)
			put_failure(view, &body);
		put_links(view, &body);
		put_model(view, &body);
		render_rollout(job, &body);
		put_graph(view, &body);
		put_parameters(view, &body);
		put_next(view, &body);
	}
	markdown_finish(&body, MARKDOWN_BODY_MAX);
	buf_add(out, buf_text(&body), body.len);
}

const char *render_reaction(const struct job *job)
{
	if (job->state == JOB_DONE)
		return "rocket";
	return job->state == JOB_FAILED || job->state == JOB_DEAD ? "-1" : "confused";
}
