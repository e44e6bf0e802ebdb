/* common.c - see common.h: the answers of a step, and the rows that people see. */
#include "lib/commands/common.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"

void common_ask(struct update *out, enum effect_kind kind, json_t *take_args)
{
	out->kind = UPDATE_EFFECT;
	out->effect = (struct effect){.kind = kind, .args = take_args};
}

void common_jump(const struct job *job, struct update *out, const char *step)
{
	const struct command *command = command_by_name(&commands, job->command);

	must(command && job_step(command->steps, step));
	out->kind = UPDATE_NEXT;
	out->step = step;
}

bool common_is_fork(const struct job *job, const struct update *out)
{
	bool was = jval_bool(job->data, "pull.fork", false);

	return out && out->data ? jval_bool(out->data, "pull.fork", was) : was;
}

/* The step after the present one; NULL: none follows. */
static const char *following(const struct job *job, const struct update *out)
{
	const struct command *command = command_by_name(&commands, job->command);
	const struct step *step;

	must(command);
	step = job_step(command->steps, job->step);
	must(step);
	step++;
	while (step->name && step->only_forks && !common_is_fork(job, out))
		step++;
	return step->name;
}

bool common_is_last(const struct job *job)
{
	return !following(job, NULL);
}

void common_next(const struct job *job, struct update *out)
{
	out->kind = UPDATE_NEXT;
	out->step = following(job, out);
	must(out->step);
}

void common_wait(struct update *out, enum wait_kind kind, const char *ref, int64_t due_at_ms)
{
	out->kind = UPDATE_WAIT;
	out->wait_kind = kind;
	out->wait_ref = str_dup(ref);
	out->due_at_ms = due_at_ms;
}

static void end(struct update *out, enum job_state state, const char *code, const char *fmt,
		va_list ap) __attribute__((format(printf, 4, 0)));
static void end(struct update *out, enum job_state state, const char *code, const char *fmt,
		va_list ap)
{
	char text[ERR_MSG_MAX];

	vsnprintf(text, sizeof text, fmt, ap);
	text[str_utf8_cut(text, strlen(text))] = '\0';
	out->kind = UPDATE_END;
	out->state = state;
	out->code = str_dup(code);
	out->message = str_dup(text);
}

void common_end(struct update *out, enum job_state state, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	end(out, state, code, fmt, ap);
	va_end(ap);
}

void common_refuse(struct update *out, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	end(out, JOB_FAILED, code, fmt, ap);
	va_end(ap);
	out->refused = true;
}

void common_fail(struct update *out, const struct err *err)
{
	common_end(out, JOB_FAILED, err->code[0] ? err->code : err_class_name(err->class), "%s",
		   err->msg);
	out->refused = err->class == ERR_DENIED;
}

json_t *common_data(const struct job *job, struct update *out, const char *name)
{
	json_t *mine, *old;

	if (!out->data)
		out->data = json_object();
	mine = json_object_get(out->data, name);
	if (mine)
		return mine;
	old = json_object_get(job->data, name);
	mine = old ? json_deep_copy(old) : json_object();
	jval_set(out->data, name, mine);
	return mine;
}

static json_t *parts_of(const struct job *job, struct update *out)
{
	json_t *old = json_object_get(job->data, "parts"), *mine;

	if (!out->data)
		out->data = json_object();
	mine = json_object_get(out->data, "parts");
	if (mine)
		return mine;
	mine = json_is_array(old) ? json_deep_copy(old) : json_array();
	jval_set(out->data, "parts", mine);
	return mine;
}

void common_part(const struct job *job, struct update *out, const char *name, enum part_state state,
		 int64_t now_ms, const char *text)
{
	static const char *const names[] = {"running", "done", "failed", "cancelled"};
	json_t *parts = parts_of(job, out), *part = NULL, *each;
	size_t i;

	json_array_foreach(parts, i, each) if (str_eq(jval_str(each, "name", ""), name)) part =
		each;
	if (!part) {
		part = json_object();
		jval_set_str(part, "name", name);
		jval_set_int(part, "started_at_ms", now_ms);
		json_array_append_new(parts, part);
	}
	jval_set_str(part, "state", names[state]);
	if (text)
		jval_set_str(part, "text", text);
	if (state != PART_RUNNING)
		jval_set_int(part, "ended_at_ms", now_ms);
}
