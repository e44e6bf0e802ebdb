/* render_rollout.c - see render.h. What a comment shows of a rollout: the gates, the sample's
 * answer, the place of the model. Everything from outside is fenced or made plain. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/markdown.h"
#include "lib/core/render.h"

enum { SENTENCE_MAX = 400, ANSWER_MAX = 2048, NAME_MAX_SHOWN = 300, ROWS_MAX = 8000 };

static const char *sign_of(const char *result)
{
	static const struct {
		const char *result, *sign;
	} signs[] = {{"passed", "✅"},
		     {"skipped", "➖"},
		     {"forced", "⚠️"},
		     {"waits", "⏳"},
		     {"failed", "❌"}};

	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (str_eq(signs[i].result, result))
			return signs[i].sign;
	return "❔";
}

/* "up_to_date" as people write it. */
static void put_gate_name(const json_t *row, struct buf *out)
{
	for (const char *c = jval_str(row, "gate", "?"); *c; c++)
		buf_putc(out, *c == '_' ? ' ' : *c);
}

static bool is_skipped(const json_t *row)
{
	return str_eq(jval_str(row, "result", ""), "skipped");
}

static bool is_refusal(const json_t *row)
{
	const char *result = jval_str(row, "result", "");

	return !str_eq(result, "passed") && !str_eq(result, "skipped") && !str_eq(result, "forced");
}

static const json_t *first_refusal(const json_t *gates)
{
	const json_t *row;
	size_t i;

	json_array_foreach(gates, i, row) if (is_refusal(row)) return row;
	return NULL;
}

/* With the command that helps, to copy. */
static void put_sentence(const json_t *row, struct buf *out)
{
	const char *line = jval_str(row, "line", "");

	markdown_text(out, jval_str(row, "sentence", ""), SENTENCE_MAX);
	if (!*line)
		return;
	buf_puts(out, " ");
	markdown_code(out, line, SENTENCE_MAX);
}

static void put_row(const json_t *row, struct buf *out)
{
	buf_printf(out, "| %s | ", sign_of(jval_str(row, "result", "")));
	put_gate_name(row, out);
	buf_puts(out, " | ");
	put_sentence(row, out);
	buf_puts(out, " |\n");
}

/* What is not asked for here is named in one line: half of a table of blanks helps nobody. */
static void put_skipped(const json_t *gates, struct buf *out)
{
	const char *before = "\nNot asked for here: ";
	const json_t *row;
	size_t i;

	json_array_foreach(gates, i, row)
	{
		if (!is_skipped(row))
			continue;
		buf_puts(out, before);
		put_gate_name(row, out);
		before = ", ";
	}
	if (str_eq(before, ", "))
		buf_puts(out, ".\n");
}

void render_gates(const json_t *gates, struct buf *out)
{
	const json_t *row;
	size_t i;

	buf_puts(out, "| | gate | |\n|---|---|---|\n");
	json_array_foreach(gates, i, row) if (!is_skipped(row)) put_row(row, out);
	put_skipped(gates, out);
}

void render_verdict(const json_t *gates, struct buf *out)
{
	const json_t *first = first_refusal(gates);

	if (!first) {
		buf_puts(out, "**No gate refuses it.**\n");
		return;
	}
	buf_puts(out, str_eq(jval_str(first, "result", ""), "waits") ? "**It would wait:** "
								     : "**It would be refused:** ");
	put_sentence(first, out);
	buf_puts(out, "\n");
}

/* The first refusal answers; what comes after it was not asked any more. */
static void put_gates(const json_t *gates, struct buf *out)
{
	const json_t *first = first_refusal(gates), *row;
	size_t i;

	if (!json_array_size(gates))
		return;
	buf_printf(out, "\n<details><summary>Gates: %s</summary>\n\n",
		   first ? "one refuses" : "all passed");
	if (!first) {
		render_gates(gates, out);
	} else {
		buf_puts(out, "| | gate | |\n|---|---|---|\n");
		json_array_foreach(gates, i, row)
		{
			if (!is_skipped(row))
				put_row(row, out);
			if (row == first)
				break;
		}
	}
	buf_puts(out, "\n</details>\n");
}

/* The sentence of a good end; that of a bad one is shown with its code. */
static void put_result(const struct job *job, struct buf *out)
{
	buf_puts(out, "\n");
	render_sentence(job->message, out);
	buf_puts(out, ".\n");
}

/* --- which model serves --- */

static void put_model_of(const char *sha, int64_t pr, struct buf *out)
{
	buf_printf(out, "the model of `%.7s`", sha);
	if (pr)
		buf_printf(out, " (pull request %" PRId64 ")", pr);
}

/* "the model of `9f8e7d6` (pull request 7)" by our records, else what the object says of itself. */
static void put_before(const struct job *job, struct buf *out)
{
	const json_t *before = jval_at(job->data, "service.before"),
		     *served = jval_at(job->data, "service.served");
	const char *sha = jval_str(before, "sha", ""), *uri = jval_str(before, "storage_uri", "");

	if (!jval_bool(before, "existed", false)) {
		buf_puts(out, "nothing");
	} else if (served) {
		put_model_of(jval_str(served, "sha", "?"), jval_int(served, "pr", 0), out);
	} else if (*sha) {
		put_model_of(sha, 0, out);
	} else {
		buf_puts(out, "a model that was not deployed from here: ");
		markdown_code(out, *uri ? uri : "?", NAME_MAX_SHOWN);
	}
}

void render_rollout_model(const struct job *job, struct buf *out)
{
	const char *run = jval_str(job->data, "run.id", ""),
		   *link = jval_str(job->data, "run.link", ""),
		   *task = jval_str(job->data, "model.task", "");

	buf_printf(out, "the model of `%.7s`", job->head_sha);
	if (*run && *link)
		buf_printf(out, " · [its run](%s)", link);
	else if (*run)
		buf_printf(out, " · run `%s`", run);
	if (*task) {
		buf_puts(out, " · made by ");
		markdown_code(out, task, NAME_MAX_SHOWN);
	}
}

static void put_done(const struct job *job, struct buf *out)
{
	buf_puts(out, "| serves&nbsp;now | ");
	render_rollout_model(job, out);
	buf_puts(out, " |\n| before | ");
	put_before(job, out);
	buf_puts(out, " |\n");
}

/* The new model has a share, or waits beside what serves. */
static void put_open(const struct job *job, int64_t open, struct buf *out)
{
	buf_printf(out, "| %" PRId64 " %% | ", open);
	render_rollout_model(job, out);
	buf_printf(out, " |\n| %" PRId64 " %% | ", 100 - open);
	put_before(job, out);
	buf_puts(out, " |\n");
}

/* The share that it had before this command, and what KServe reports now. */
static void put_share(const struct job *job, struct buf *out)
{
	int64_t open = jval_int(job->data, "rollout.open", 100);

	if (jval_at(job->data, "rollout.was"))
		buf_printf(out, "| traffic | %" PRId64 " %% → %" PRId64 " %% |\n",
			   jval_int(job->data, "rollout.was", 0), open);
}

static void put_number(const struct job *job, struct buf *out)
{
	int64_t number = jval_int(job->data, "rollout.deployment", 0);

	if (number && !jval_bool(job->data, "rollout.undoes_open", false))
		buf_printf(out, "| deployment | %" PRId64 " |\n", number);
}

static void put_rolled_back(const struct job *job, struct buf *out)
{
	const char *sha = jval_str(job->data, "rollout.returns_to_sha", ""),
		   *reason = jval_str(job->data, "rollout.reason", NULL);
	bool open = jval_bool(job->data, "rollout.undoes_open", false);

	buf_puts(out, "| serves&nbsp;now | ");
	if (*sha)
		put_model_of(sha, jval_int(job->data, "rollout.returns_to_pr", 0), out);
	else
		buf_puts(out, "what served before");
	buf_printf(out, " |\n| %s | the model of pull request %" PRId64 " |\n",
		   open ? "taken&nbsp;out" : "before", jval_int(job->data, "rollout.undoes_pr", 0));
	if (!reason)
		return;
	buf_puts(out, "| why | ");
	markdown_text(out, reason, SENTENCE_MAX);
	buf_puts(out, " |\n");
}

static void put_taken_back(const struct job *job, struct buf *out)
{
	buf_puts(out, "| tried | ");
	render_rollout_model(job, out);
	buf_puts(out, " |\n| serves&nbsp;now | ");
	if (jval_bool(job->data, "failed.restored", false)) {
		put_before(job, out);
		buf_puts(out, ", as before |\n");
	} else {
		buf_puts(out, "look at the service: it could not be put back |\n");
	}
}

void render_rows(const struct buf *rows, struct buf *out)
{
	const char *text = buf_text(rows), *rest = strchr(text, '\n');

	if (!rest)
		return;
	buf_puts(out, "\n");
	buf_add(out, text, (size_t)(rest + 1 - text));
	buf_puts(out, "|---|---|\n");
	buf_puts(out, rest + 1);
}

static void put_service_rows(const struct job *job, struct buf *out)
{
	const char *uri = jval_str(job->data, "model.uri", NULL);

	buf_puts(out, "| service | ");
	markdown_code(out, jval_str(job->data, "rollout.service", "?"), NAME_MAX_SHOWN);
	buf_puts(out, " in ");
	markdown_code(out, jval_str(job->data, "rollout.namespace", "?"), NAME_MAX_SHOWN);
	buf_puts(out, " |\n");
	if (!uri)
		return;
	buf_puts(out, "| files | ");
	markdown_code(out, uri, NAME_MAX_SHOWN);
	buf_puts(out, " |\n");
}

/* What everybody asks first: which model gets the traffic now. */
static void put_place(const struct job *job, struct buf *out)
{
	AUTO_BUF struct buf rows = buf_make(ROWS_MAX);
	bool ended = job_state_is_final(job->state),
	     touched = jval_bool(job->data, "rollout.touched", false);
	int64_t open = jval_int(job->data, "rollout.open", -1);

	if (jval_bool(job->data, "rollout.live", false))
		put_done(job, &rows);
	else if (open >= 0)
		put_open(job, open, &rows);
	else if (str_eq(job->command, "rollback") && job->state == JOB_DONE)
		put_rolled_back(job, &rows);
	else if (ended && touched)
		put_taken_back(job, &rows);
	if (job->state == JOB_DONE || jval_bool(job->data, "rollout.live", false)) {
		put_share(job, &rows);
		put_number(job, &rows);
	}
	put_service_rows(job, &rows);
	render_rows(&rows, out);
	if (ended && !touched && job->state != JOB_DONE && !str_eq(job->command, "rollback"))
		buf_puts(out, "\nNothing was changed.\n");
}

static void put_sample(const struct job *job, struct buf *out)
{
	const char *body = jval_str(job->data, "sample.body", NULL);
	const json_t *asked = json_array_get(jval_at(job->data, "service.samples"),
					     (size_t)jval_int(job->data, "sample.asked", 0));
	AUTO_FREE char *shown = asked ? jval_show(asked) : NULL;

	if (!body)
		return;
	buf_printf(out, "\n<details><summary>Sample: status %" PRId64 "</summary>\n",
		   jval_int(job->data, "sample.status", 0));
	if (*jval_str(job->data, "sample.host", "")) {
		buf_printf(out, "\nBy its %s: ", jval_str(job->data, "sample.by", "address"));
		markdown_code(out, jval_str(job->data, "sample.host", ""), NAME_MAX_SHOWN);
		buf_puts(out, "\n");
	}
	if (*jval_str(job->data, "sample.tried", "")) {
		buf_puts(out, "\nTried without an answer of the model: ");
		markdown_text(out, jval_str(job->data, "sample.tried", ""), SENTENCE_MAX);
		buf_puts(out, "\n");
	}
	if (shown) {
		buf_puts(out, "\nAsked:\n\n");
		markdown_fence(out, "json", shown, strlen(shown), ANSWER_MAX);
	}
	buf_puts(out, "\nAnswered:\n\n");
	markdown_fence(out, "json", body, strlen(body), ANSWER_MAX);
	buf_puts(out, "\n</details>\n");
}

/* One hold of the traffic: how often the new model was looked at, and what was found. */
static void put_hold(const json_t *hold, struct buf *out)
{
	int64_t asked = jval_int(hold, "asked", 0), failed = jval_int(hold, "failed", 0),
		slowest_ms = jval_int(hold, "slowest_ms", 0),
		restarted = jval_int(hold, "restarted", 0);
	const char *said = jval_str(hold, "said", "");

	buf_printf(out, "| %" PRId64 " %% | %" PRId64 " | ", jval_int(hold, "percent", 0),
		   jval_int(hold, "looks", 0));
	if (asked)
		buf_printf(out, "%" PRId64 " of %" PRId64 " answered well", asked - failed, asked);
	else
		buf_puts(out, "none");
	if (slowest_ms)
		buf_printf(out, ", in at most %" PRId64 " ms", slowest_ms);
	buf_printf(out, " | %s", restarted ? "❌" : failed || *said ? "⚠️" : "✅");
	if (restarted && !*said)
		buf_printf(out, " restarts: %" PRId64, restarted);
	if (*said) {
		buf_puts(out, " ");
		markdown_text(out, said, SENTENCE_MAX);
	}
	buf_puts(out, " |\n");
}

static void put_holds(const struct job *job, struct buf *out)
{
	const json_t *holds = jval_at(job->data, "rollout.holds"), *hold;
	int64_t looks = 0;
	size_t i;

	json_array_foreach(holds, i, hold) looks += jval_int(hold, "looks", 0);
	if (!looks)
		return;
	buf_printf(out,
		   "\n<details><summary>Looked at %" PRId64
		   " time%s while its traffic was held</summary>\n\n| at | looks | sample requests "
		   "| |\n|---|---|---|---|\n",
		   looks, looks == 1 ? "" : "s");
	json_array_foreach(holds, i, hold) put_hold(hold, out);
	buf_puts(out, "\n</details>\n");
}

static void put_notes(const struct job *job, struct buf *out)
{
	json_t *notes = jval_at(job->data, "rollout.notes"), *note;
	size_t i;

	json_array_foreach(notes, i, note)
	{
		buf_puts(out, "\n> [!NOTE]\n> ");
		markdown_text(out, json_string_value(note), SENTENCE_MAX);
		buf_puts(out, "\n");
	}
}

void render_rollout(const struct job *job, struct buf *out)
{
	if (!json_object_get(job->data, "rollout"))
		return;
	if (job->state == JOB_DONE && job->message)
		put_result(job, out);
	put_notes(job, out);
	if (jval_str(job->data, "rollout.service", NULL))
		put_place(job, out);
	put_sample(job, out);
	put_holds(job, out);
	put_gates(json_object_get(job->data, "gates"), out);
}

/* --- what may be said next --- */

/* The command that deploys to the same environment: `/deploy` alone is for production. */
static void put_again(const struct job *job, const char *environment, struct buf *out)
{
	if (str_eq(job->command, "staging_deploy"))
		buf_puts(out, "`/staging_deploy`");
	else if (str_eq(environment, "production"))
		buf_puts(out, "`/deploy`");
	else
		buf_printf(out, "`/deploy %s`", environment);
}

static void put_next_of_failure(const struct job *job, const char *environment, struct buf *out)
{
	if (jval_bool(job->data, "rollout.live", false) || str_eq(job->command, "rollback")) {
		buf_puts(out, "\nnext: `/status`");
	} else if (jval_int(job->data, "rollout.of", 0) &&
		   !jval_bool(job->data, "rollout.touched", false)) {
		buf_printf(out, "\nnext: `/status` · `/rollback %s` takes out what is open",
			   environment);
	} else if (job->state == JOB_CANCELLED) { /* nothing is wrong with it */
		buf_printf(out, "\nnext: %s",
			   str_eq(job->code, "pull.closed") ? "reopen the pull request, then "
							    : "");
		put_again(job, environment, out);
		buf_puts(out, " again");
	} else if (jval_bool(job->data, "rollout.touched", false)) {
		buf_puts(out, "\nnext: push a fix and `/build_run`, then ");
		put_again(job, environment, out);
		buf_puts(out, " again");
	} else {
		buf_printf(out, "\nnext: `/plan %s` shows every gate", environment);
	}
	buf_printf(out, " · `/logs %" PRId64 "`\n", job->id);
}

void render_rollout_next(const struct job *job, struct buf *out)
{
	const char *environment = jval_str(job->data, "rollout.environment", "");
	int64_t open = jval_int(job->data, "rollout.open", -1);
	bool back = !str_eq(job->command, "rollback") &&
		    jval_bool(job->data, "service.before.existed", false);

	if (job->state != JOB_DONE) {
		put_next_of_failure(job, environment, out);
		return;
	}
	buf_puts(out, "\nnext: ");
	if (open >= 0) {
		buf_printf(out,
			   "`/promote %s` gives it all traffic · `/rollback %s` takes it out · "
			   "`/logs %" PRId64 "`\n",
			   environment, environment, job->id);
		return;
	}
	if (str_eq(environment, "staging") && !str_eq(job->command, "rollback") &&
	    !jval_bool(job->data, "rollout.merges", false))
		buf_puts(out, "`/deploy` puts it into production and merges · ");
	if (back)
		buf_printf(out, "`/rollback %s` brings the model before back · ", environment);
	buf_printf(out, "`/logs %" PRId64 "`\n", job->id);
}
