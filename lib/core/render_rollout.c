/* render_rollout.c - see render.h. What a comment shows of a rollout: the gates, the sample's
 * answer, the place of the model. Everything from outside is fenced or made plain. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/markdown.h"
#include "lib/core/render.h"

enum { SENTENCE_MAX = 400, ANSWER_MAX = 2048, NAME_MAX_SHOWN = 300 };

static const char *sign_of(const char *result)
{
	static const struct {
		const char *result, *sign;
	} signs[] = {{"passed", "✅"}, {"skipped", "➖"}, {"waits", "⏳"}, {"failed", "❌"}};

	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (str_eq(signs[i].result, result))
			return signs[i].sign;
	return "❔";
}

void render_gates(const json_t *gates, struct buf *out)
{
	const json_t *row;
	size_t i;

	buf_puts(out, "| | gate | |\n|---|---|---|\n");
	json_array_foreach(gates, i, row)
	{
		buf_printf(out, "| %s | %s | ", sign_of(jval_str(row, "result", "")),
			   jval_str(row, "gate", "?"));
		markdown_text(out, jval_str(row, "sentence", ""), SENTENCE_MAX);
		if (*jval_str(row, "line", "")) {
			buf_puts(out, " ");
			markdown_code(out, jval_str(row, "line", ""), SENTENCE_MAX);
		}
		buf_puts(out, " |\n");
	}
}

/* The sentence of a good end; that of a bad one is shown with its code. */
static void put_result(const struct job *job, struct buf *out)
{
	buf_puts(out, "\n");
	render_sentence(job->message, out);
	buf_puts(out, ".\n");
}

static void put_place(const struct job *job, struct buf *out)
{
	const char *service = jval_str(job->data, "rollout.service", NULL);
	const char *uri = jval_str(job->data, "model.uri", NULL);

	if (!service)
		return;
	buf_puts(out, "\nService ");
	markdown_code(out, service, NAME_MAX_SHOWN);
	buf_puts(out, " in ");
	markdown_code(out, jval_str(job->data, "rollout.namespace", "?"), NAME_MAX_SHOWN);
	if (uri) {
		buf_puts(out, " · model ");
		markdown_code(out, uri, NAME_MAX_SHOWN);
	}
	buf_puts(out, "\n");
}

static void put_sample(const struct job *job, struct buf *out)
{
	const char *body = jval_str(job->data, "sample.body", NULL);

	if (!body)
		return;
	buf_printf(out, "\n<details><summary>Sample: status %" PRId64 "</summary>\n\n",
		   jval_int(job->data, "sample.status", 0));
	markdown_fence(out, "json", body, strlen(body), ANSWER_MAX);
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
	json_t *gates = json_object_get(job->data, "gates");

	if (job->state == JOB_DONE && json_object_get(job->data, "rollout") && job->message)
		put_result(job, out);
	put_notes(job, out);
	put_place(job, out);
	put_sample(job, out);
	if (!json_array_size(gates))
		return;
	buf_puts(out, "\n<details><summary>Gates</summary>\n\n");
	render_gates(gates, out);
	buf_puts(out, "\n</details>\n");
}

void render_rollout_next(const struct job *job, struct buf *out)
{
	const char *environment = jval_str(job->data, "rollout.environment", "production");
	bool live = jval_bool(job->data, "rollout.live", false);

	if (str_eq(job->command, "rollback"))
		buf_printf(out, "\nnext: `/status` · `/logs %" PRId64 "`\n", job->id);
	else if (!live)
		buf_printf(out, "\nnext: `/plan %s` shows every gate · `/logs %" PRId64 "`\n",
			   environment, job->id);
	else if (job->state != JOB_DONE) /* its sentence says what to do */
		buf_printf(out, "\nnext: `/logs %" PRId64 "`\n", job->id);
	else if (str_eq(environment, "production"))
		buf_puts(out, "\nnext: `/rollback production` brings the model before back\n");
	else
		buf_puts(out, "\nnext: `/deploy` puts it into production and merges\n");
}
