/* receive_intake.c - from an authentic payload to one operation on the store. Decides by the bytes
 * and the configuration alone: what is irrelevant here is irrelevant for ever, so it may be
 * answered without a write. A refusal (a line that does not parse, a closed pull request) is stored
 * like a command, because its answer must reach the person just as surely. */
#include "bot/receive_impl.h"

#include <string.h>

#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/core/render.h"

bool intake_guid(unsigned char out[16], const char *text)
{
	static const unsigned char groups[] = {4, 2, 2, 2, 6}; /* bytes */
	char hex[33];
	size_t at = 0, digits = 0;

	if (!text || strlen(text) != 36)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		memcpy(hex + digits, text + at, 2U * groups[i]);
		digits += 2U * groups[i];
		at += 2U * groups[i];
		if (at < 36 && text[at++] != '-')
			return false;
	}
	hex[32] = '\0';
	return str_unhex(out, hex, 16);
}

/* Our own voice: an answer of ours must never be heard as a command. Until GitHub has said who we
 * are, a comment that begins as all of ours do is taken for one; anybody may write that, and is
 * only not heard. */
static bool is_own(const struct receive *receive, const struct event *event)
{
	int64_t app_id = atomic_load_explicit(&receive->own_app_id, memory_order_relaxed);
	int64_t user_id = atomic_load_explicit(&receive->own_user_id, memory_order_relaxed);

	if (!app_id && !user_id && str_starts(event->comment_body, RENDER_MARKER))
		return true;
	return (app_id && event->via_app_id == app_id) || (user_id && event->sender_id == user_id);
}

/* All lines of the comment, or none: with the reason code that stands first in the answer. */
static void refuse(struct intake *intake, const char *code, const char *sentence)
{
	intake->refusal = str_printf("`%s` — %s", code, sentence);
	str_copy(intake->refusal_code, sizeof intake->refusal_code, code);
}

/* One command that needs an open pull request refuses the comment: all lines run or none does. */
static void refuse_closed(struct intake *intake)
{
	for (size_t i = 0; i < intake->calls.count; i++) {
		const struct command *command = intake->calls.items[i].command;

		if (!command->on_closed) {
			AUTO_FREE char *sentence = str_printf(
				"The pull request is %s; `/%s` needs an open one. "
				"%s and comment `/%s` again.",
				intake->event.merged ? "merged" : "closed", command->name,
				intake->event.merged ? "Open a new one" : "Reopen it",
				command->name);

			refuse(intake, "pull.closed", sentence);
			return;
		}
	}
}

/* Finds the commands of a comment; false when there are none. */
static bool read_commands(struct intake *intake, const struct receive *receive)
{
	const struct event *event = &intake->event;
	struct err err;
	enum err_class class;

	if (!comment_may_have_command(event->comment_body, event->comment_body_len))
		return false;
	comment_find(&intake->lines, event->comment_body, event->comment_body_len);
	if (intake->lines.count == 0)
		return false;
	err.code[0] = err.msg[0] = '\0';
	class = command_parse_all(&intake->calls, receive->options.commands, &intake->lines, &err);
	if (class == ERR_NOT_FOUND)
		return false;
	if (class != ERR_OK)
		refuse(intake, err.code, err.msg);
	else if (event->closed)
		refuse_closed(intake);
	return true;
}

/* The button on a check belongs to the App that made it. The delivery is not taken as long as
 * nobody knows whether that is us. */
static enum intake_verdict judge_rerun(const struct receive *receive, const struct event *event)
{
	int64_t app_id = atomic_load_explicit(&receive->own_app_id, memory_order_relaxed);
	int64_t user_id = atomic_load_explicit(&receive->own_user_id, memory_order_relaxed);

	if (!app_id && !user_id)
		return INTAKE_LATER;
	return event->app_id && event->app_id == app_id ? INTAKE_STORE : INTAKE_IRRELEVANT;
}

static enum intake_verdict judge(struct intake *intake, const struct receive *receive)
{
	const struct event *event = &intake->event;

	switch (event->kind) {
	case EVENT_COMMENT:
		return !is_own(receive, event) && read_commands(intake, receive)
			       ? INTAKE_STORE
			       : INTAKE_IRRELEVANT;
	case EVENT_CHECK_RERUN:
		return judge_rerun(receive, event);
	case EVENT_PULL_REQUEST:
	case EVENT_INSTALLATION:
		return INTAKE_STORE;
	case EVENT_IRRELEVANT:
	case EVENT_PING:
	case EVENT_PUSH:
		break;
	}
	return INTAKE_IRRELEVANT;
}

static bool is_allowed(const struct receive *receive, const struct event *event)
{
	const struct receive_options *options = &receive->options;

	return !*event->repo || !options->repo_is_allowed ||
	       options->repo_is_allowed(options->arg, event->repo);
}

enum err_class intake_read(struct intake *intake, const struct receive *receive, const char *event,
			   const char *body, size_t len, enum intake_verdict *out, struct err *err)
{
	int64_t now_ms = intake->delivery.received_at_ms;
	enum err_class class;

	*out = INTAKE_IRRELEVANT;
	if (!event_is_read(event))
		return ERR_OK;
	class = event_read(&intake->event, event, body, len, err);
	if (class != ERR_OK)
		return class;
	if (intake->event.kind == EVENT_PUSH && receive->options.default_branch_moved)
		receive->options.default_branch_moved(receive->options.arg, intake->event.repo);
	if (intake->event.kind == EVENT_PING)
		*out = INTAKE_PONG;
	else if (is_allowed(receive, &intake->event))
		*out = judge(intake, receive);
	intake->delivery.event = &intake->event;
	intake->wish = (struct queue_intake){
		.delivery = &intake->delivery,
		.calls = intake->calls.count && !intake->refusal ? &intake->calls : NULL,
		.refusal = intake->refusal,
		.refusal_code = intake->refusal_code,
		.deadline_ms = receive->options.job_deadline_ms,
		.commands = receive->options.commands,
		.refuse_late =
			intake->event.kind == EVENT_COMMENT &&
			receive->options.comment_age_max_ms > 0 &&
			now_ms - intake->event.comment_at_ms > receive->options.comment_age_max_ms,
	};
	return ERR_OK;
}

void intake_dispose(struct intake *intake)
{
	event_dispose(&intake->event);
	comment_lines_dispose(&intake->lines);
	command_calls_dispose(&intake->calls);
	mem_free(intake->refusal);
	memset(intake, 0, sizeof *intake);
}

enum err_class intake_run(struct db *db, void *arg, struct err *err)
{
	struct intake *intake = arg;

	return queue_receive(db, &intake->wish, &intake->outcome, err);
}

void intake_count(const struct intake *intake, enum err_class class)
{
	if (class != ERR_OK) {
		metrics_add(METRIC_DELIVERIES, "failed", 1);
		return;
	}
	if (intake->outcome == QUEUE_DUPLICATE) {
		metrics_add(METRIC_DELIVERIES, "duplicate", 1);
		return;
	}
	metrics_add(METRIC_DELIVERIES, "stored", 1);
	if (intake->outcome == QUEUE_STORED && intake->wish.calls)
		for (size_t i = 0; i < intake->calls.count; i++)
			metrics_add(METRIC_COMMANDS, intake->calls.items[i].command->name, 1);
}
