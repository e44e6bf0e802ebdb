/* common_model.c - the last step of a run that succeeded: which model it has left, what its files
 * are, and which metrics were recorded. A deployment compares the files with what lies there then,
 * so that nobody can put others in their place in between, and takes the metrics from here.
 *
 * The run has succeeded whatever comes of this. Without a record a deployment takes the model as it
 * finds it, so it is said when there is none. */
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/common.h"

static void ask(const struct job *job, struct update *out)
{
	json_t *args = json_object();

	jval_set_str(args, "run_id", jval_str(job->data, "run.id", ""));
	jval_set_str(args, "metrics", "try");
	jval_set(args, "model", json_deep_copy(jval_at(job->data, "settings.model")));
	if (jval_at(job->data, "compile.stores"))
		jval_set(args, "stores", json_deep_copy(jval_at(job->data, "compile.stores")));
	common_ask(out, EFFECT_MODEL, args);
}

/* Why there is no record; NULL: there is one, or nobody wants one. */
static const char *why_not(const struct effect_result *last)
{
	if (last->err.class)
		return str_eq(last->err.code, "deploy.not_served") ? NULL : last->err.msg;
	if (!jval_bool(last->data, "found", false))
		return jval_str(last->data, "why", "nothing lies at its address");
	return *jval_str(last->data, "digest", "") ? NULL : "it has too many files";
}

static void keep(const struct job *job, const struct effect_result *last, struct update *out)
{
	static const char *const kept[] = {"uri", "digest"};
	json_t *model = common_data(job, out, "model");
	const char *why = why_not(last);

	if (why) {
		AUTO_FREE char *note =
			str_printf("The model of this run was not recorded: %s", why);

		jval_set_str(model, "note", note);
	}
	if (json_is_array(jval_at(last->data, "metrics")))
		jval_set(model, "metrics", json_incref(jval_at(last->data, "metrics")));
	for (size_t i = 0; !why && !last->err.class && i < ARRAY_LEN(kept); i++)
		jval_set_str(model, kept[i], jval_str(last->data, kept[i], ""));
}

void common_keep_model(const struct job *job, const struct effect_result *last, int64_t now_ms,
		       struct update *out)
{
	(void)now_ms;
	if (!last && jval_at(job->data, "settings.model")) {
		ask(job, out);
		return;
	}
	if (last)
		keep(job, last, out);
	common_end(out, JOB_DONE, NULL, "the run succeeded");
}
