/* plan.c - /plan: what /deploy would do here: every gate with its verdict, what would change in the
 * InferenceService, the traffic steps. Nothing is changed. */
#include <inttypes.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/rollout_steps.h"
#include "lib/core/markdown.h"
#include "lib/core/render.h"

enum { ANSWER_MAX = 40000, DIFF_MAX = 8000 };

static void put_traffic(const struct job *job, const json_t *seen, struct buf *out)
{
	json_t *percents = jval_at(job->data, "rollout.percents"), *each;
	int64_t hold_ms = jval_int(job->data, "rollout.hold_ms", 0);
	json_int_t last = 100;
	char hold[32];
	size_t i;

	buf_puts(out, "| traffic | 0 %");
	json_array_foreach(percents, i, each)
		buf_printf(out, " → %" JSON_INTEGER_FORMAT " %%", last = json_integer_value(each));
	if (hold_ms && json_array_size(percents) > 1) {
		str_duration(hold, hold_ms);
		buf_printf(out, ", each held for %s", hold);
	}
	if (last < 100)
		buf_printf(out, ", and left open there: `/promote %s` goes on",
			   rollout_environment(job));
	if (seen && !jval_at(seen, "live"))
		buf_puts(out,
			 rollout_tries_first(job)
				 ? "; nothing serves there yet, so the first model is tried in "
				   "a second service, and gets all of it when it has answered"
				 : "; nothing serves there yet, so the first model gets all of "
				   "it when it is ready, untried");
	buf_puts(out, " |\n");
}

/* What changes in the service; the lines go to `diff`. */
static void put_service(const struct job *job, const json_t *seen, struct buf *diff,
			struct buf *out)
{
	const json_t *wanted = jval_at(job->data, "service.wanted"), *live = jval_at(seen, "live");

	buf_printf(out, "| service | `%s` in `%s`: ", jval_str(job->data, "rollout.service", "?"),
		   jval_str(job->data, "rollout.namespace", "?"));
	if (!wanted)
		buf_puts(out, "not known without a model");
	else if (!live)
		buf_puts(out, "will be made");
	else if (!isvc_diff(diff, wanted, live))
		buf_puts(out, "nothing changes");
	else
		buf_puts(out, "changes as shown below");
	buf_puts(out, " |\n");
}

static void put_changes(const struct job *job, const json_t *seen, struct buf *out)
{
	AUTO_BUF struct buf diff = buf_make(DIFF_MAX), rows = buf_make(ANSWER_MAX);

	if (jval_str(job->data, "model.uri", NULL)) {
		buf_puts(&rows, "| deploys | ");
		render_rollout_model(job, &rows);
		buf_puts(&rows, " |\n| files | ");
		markdown_code(&rows, jval_str(job->data, "model.uri", ""), DIFF_MAX);
		buf_puts(&rows, " |\n");
	}
	if (seen)
		put_service(job, seen, &diff, &rows);
	put_traffic(job, seen, &rows);
	render_rows(&rows, out);
	if (diff.len) {
		buf_puts(out, "\n");
		markdown_fence(out, "text", buf_text(&diff), diff.len, DIFF_MAX);
	}
}

/* /deploy would ask the same before its first change: is the service one that may be changed, or is
 * a deployment open there? What refuses is kept; that the cluster cannot be asked tells the next
 * look, too. */
static void decide_open(const struct job *job, const struct effect_result *last, int64_t now_ms,
			struct update *out)
{
	json_t *wanted = jval_at(job->data, "service.wanted"), *args, *refusal;

	(void)now_ms;
	if (!last && wanted) {
		args = json_object();
		jval_set(args, "wanted", json_deep_copy(wanted));
		jval_set_str(args, "namespace", jval_str(job->data, "rollout.namespace", ""));
		jval_set_str(args, "environment", rollout_environment(job));
		jval_set_bool(args, "try_first", rollout_tries_first(job));
		common_ask(out, EFFECT_SERVICE_BEFORE, args);
		return;
	}
	if (last && last->err.class == ERR_USER) {
		refusal = common_data(job, out, "refusal");
		jval_set_str(refusal, "code", last->err.code);
		jval_set_str(refusal, "message", last->err.msg);
	}
	common_next(job, out);
}

/* What no gate asks, because it is read from the service, goes before what the gates say. */
static void put_verdict(const struct job *job, struct buf *out)
{
	const char *message = jval_str(job->data, "refusal.message", NULL);

	if (!message) {
		render_verdict(json_object_get(job->data, "gates"), out);
		return;
	}
	buf_puts(out, "**It would be refused:** ");
	render_sentence(message, out);
	buf_printf(out, " (`%s`)\n", jval_str(job->data, "refusal.code", ""));
}

static void decide_answer(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	const json_t *gates = json_object_get(job->data, "gates");

	(void)now_ms;
	if (!last) {
		rollout_ask_look(job, out);
		return;
	}
	buf_printf(&text, "What `/deploy %s` would do now with `%.7s`: ", rollout_environment(job),
		   job->head_sha);
	put_verdict(job, &text);
	put_changes(job, last->err.class ? NULL : last->data, &text);
	if (last->err.class) {
		buf_puts(&text, "\nThe cluster could not be asked: ");
		markdown_text(&text, last->err.msg, DIFF_MAX);
		buf_puts(&text, "\n");
	}
	render_policy_note(job, &text);
	buf_puts(&text, "\n");
	render_gates(gates, &text);
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "answered");
}

static const struct command_flag flags[] = {
	{"run-id", FLAG_NAME, "R", "the run whose model would be deployed"},
	{"sha", FLAG_SHA, "SHA", "the commit you mean; it must be the head of the pull request"},
	{"steps", FLAG_TEXT, "10,50,100", "percents of the traffic on the way up"},
	{"hold", FLAG_DURATION, "15m", "how long each of them would be held"},
	{"no-merge", FLAG_BOOL, NULL, "as if the pull request were to be left open"},
	{"merge-method", FLAG_NAME, "merge|squash|rebase", "how it would be merged"},
	{"force", FLAG_TEXT, "REASON", "as if this reason were given"},
	{NULL, FLAG_BOOL, NULL, NULL},
};

static const char *const examples[] = {"/plan", "/plan staging", NULL};

static const struct step steps[] = {
	ROLLOUT_PREPARE,
	ROLLOUT_EXTRA("open", "asking whether the service may be changed", decide_open),
	ROLLOUT_STEP("answer", "comparing with what serves now", decide_answer),
	STEP_LAST,
};

const struct command command_plan = {
	.name = "plan",
	.summary = "Show what /deploy would do: every gate, the changes, the traffic steps.",
	.examples = examples,
	.flags = flags,
	.arg_name = "ENV",
	.arg_type = FLAG_NAME,
	.right = RIGHT_WRITE,
	.uses = USE_BUILD,
	.as = "deploy",
	.read_only = true,
	.steps = steps,
};
