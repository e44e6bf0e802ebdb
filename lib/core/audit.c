/* audit.c - see audit.h. What a row says of an effect is a table of members, not the whole of what
 * was sent: an InferenceService may carry other people's secrets in its environment variables, and
 * a row is for ever. */
#include "lib/core/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/core/markdown.h"

enum { FORM_MAX = 64 << 10, ABOUT_MAX = 8, CLEAN_MAX = 4 * AUDIT_TEXT_MAX };

/* --- the chain --- */

static void put(struct buf *form, const char *name, const char *value)
{
	const char *text = value ? value : "";

	buf_printf(form, "%s %zu %s\n", name, strlen(text), text);
}

static void put_number(struct buf *form, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, value);
	put(form, name, text);
}

void audit_digest(unsigned char out[AUDIT_DIGEST_LEN], const struct audit_row *row)
{
	AUTO_BUF struct buf form = buf_make(FORM_MAX);
	char previous[2 * AUDIT_DIGEST_LEN + 1];

	str_hex(previous, row->previous, AUDIT_DIGEST_LEN);
	buf_puts(&form, "kfops-audit 1\n");
	put(&form, "previous", previous);
	put_number(&form, "no", row->no);
	put_number(&form, "at", row->at_ms);
	put_number(&form, "actor_id", row->actor_id);
	put(&form, "actor", row->actor);
	put(&form, "command", row->command);
	put(&form, "decision", row->decision);
	put(&form, "code", row->code);
	put(&form, "sha", row->sha);
	put_number(&form, "repo_id", row->repo_id);
	put(&form, "repo", row->repo);
	put_number(&form, "pr", row->pr);
	put_number(&form, "job_id", row->job_id);
	put(&form, "effect", row->effect);
	put(&form, "before", row->before);
	put(&form, "after", row->after);
	sign_sha256(out, form.data, form.len);
}

/* --- texts --- */

void audit_text(char out[AUDIT_TEXT_MAX + 1], const char *text)
{
	AUTO_BUF struct buf clean = buf_make(CLEAN_MAX);

	if (text)
		markdown_clean(&clean, text, strlen(text));
	str_copy(out, AUDIT_TEXT_MAX + 1, buf_text(&clean));
}

/* --- effects --- */

/* Paths into the effect's arguments, or with '@' into the job's data; into the result for
 * `brought`. */
static const struct about {
	enum effect_kind kind;
	const char *before[ABOUT_MAX], *after[ABOUT_MAX], *brought[ABOUT_MAX];
} table[] = {
	{EFFECT_PIPELINE_ENSURE, {NULL}, {"namespace", "name"}, {"pipeline_id"}},
	{EFFECT_VERSION_UPLOAD,
	 {NULL},
	 {"pipeline_id", "name", "sha256"},
	 {"version_id", "adopted"}},
	{EFFECT_EXPERIMENT, {NULL}, {"namespace", "name"}, {"experiment_id"}},
	{EFFECT_RUN_CREATE, {NULL}, {"namespace", "version_id", "display_name"}, {"run_id"}},
	{EFFECT_RUN_TERMINATE, {"run_id"}, {"namespace"}, {"terminated"}},
	{EFFECT_SERVICE_SEND,
	 {"@service.served.sha", "@service.served.pr", "@rollout.undoes"},
	 {"verb", "namespace", "name", "body.spec.predictor.model.storageUri",
	  "body.spec.predictor.canaryTrafficPercent", "body.spec.canary[0].trafficPercent"},
	 {"generation"}},
	{EFFECT_DEPLOYMENT_CREATE,
	 {NULL},
	 {"environment", "sha", "run_id", "model_digest"},
	 {"id"}},
	{EFFECT_DEPLOYMENT_STATUS, {NULL}, {"id", "environment", "state"}, {NULL}},
	{EFFECT_LABEL_MOVE, {NULL}, {"label", "pr"}, {NULL}},
	{EFFECT_MERGE, {"sha"}, {"method"}, {"merged_sha"}},
	{EFFECT_ENQUEUE, {NULL}, {"sha", "method"}, {"state"}},
	{EFFECT_DEQUEUE, {"sha"}, {NULL}, {NULL}},
	{EFFECT_BRANCH_DELETE, {"branch", "sha"}, {NULL}, {"why"}},
};

bool audit_covers(enum effect_kind kind)
{
	return effect_mutates(kind) && !str_starts(effect_name(kind), "store.");
}

bool audit_knows(enum effect_kind kind)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].kind == kind)
			return true;
	return false;
}

/* At a path in which "[0]." may lead through the first member of a list. */
static const json_t *value_at(const json_t *from, const char *path)
{
	const char *list = strstr(path, "[0].");
	AUTO_FREE char *head = list ? str_dup_len(path, (size_t)(list - path)) : NULL;

	if (!list)
		return jval_at(from, path);
	return jval_at(json_array_get(jval_at(from, head), 0), list + 4);
}

static void put_member(struct buf *out, const json_t *from, const char *path)
{
	const char *dot = strrchr(path, '.'), *name = dot ? dot + 1 : path;
	const json_t *value = value_at(from, path);

	if (!json_is_string(value) && !json_is_integer(value) && !json_is_boolean(value))
		return;
	if (json_is_string(value) && !*json_string_value(value))
		return;
	buf_printf(out, "%s%s=", out->len ? " " : "", name);
	if (json_is_string(value))
		buf_puts(out, json_string_value(value));
	else if (json_is_integer(value))
		buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		buf_puts(out, json_is_true(value) ? "true" : "false");
}

static void put_members(struct buf *out, const char *const paths[ABOUT_MAX], const json_t *from,
			const struct job *job)
{
	for (size_t i = 0; i < ABOUT_MAX && paths[i]; i++) {
		bool is_of_job = paths[i][0] == '@';

		put_member(out, is_of_job ? job->data : from, paths[i] + is_of_job);
	}
}

void audit_describe(char before[AUDIT_TEXT_MAX + 1], char after[AUDIT_TEXT_MAX + 1],
		    const struct job *job, const struct effect *effect, const json_t *result)
{
	AUTO_BUF struct buf was = buf_make(CLEAN_MAX), is = buf_make(CLEAN_MAX);

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].kind != effect->kind)
			continue;
		put_members(&was, table[i].before, effect->args, job);
		put_members(&is, table[i].after, effect->args, job);
		if (result)
			put_members(&is, table[i].brought, result, job);
	}
	audit_text(before, buf_text(&was));
	audit_text(after, buf_text(&is));
}
