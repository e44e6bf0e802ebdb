/* wishes.c - see wishes.h.
 *
 * Progress is shown in one comment that is edited, at most once per edit interval; the final state
 * jumps the queue. A job that took longer than `notify_after` posts its end as a new comment,
 * because edits notify nobody, and has the progress comment folded away. */
#include "bot/wishes.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/core/markdown.h"
#include "lib/core/render.h"

static struct outbox_wish *add(struct wishes *out, enum slot_kind kind, int urgency,
			       const char *slot)
{
	struct outbox_wish *wish = &out->items[out->count++];

	must(out->count <= WISHES_MAX);
	*wish = (struct outbox_wish){.kind = kind, .urgency = urgency, .want = json_object()};
	snprintf(wish->slot, sizeof wish->slot, "%s", slot);
	return wish;
}

static void wish_comment(struct wishes *out, const struct render_view *view, int urgency,
			 int64_t not_before_ms)
{
	AUTO_BUF struct buf body = buf_make(MARKDOWN_BODY_MAX + 1), marker = buf_make(200);
	AUTO_FREE char *slot = str_printf("%s:%s", view->slot, view->job->uid);
	struct outbox_wish *wish = add(out, SLOT_COMMENT, urgency, slot);

	render_marker(view->job, view->slot, &marker);
	render_comment(view, &body);
	jval_set_str(wish->want, "marker", buf_text(&marker));
	jval_set_str(wish->want, "body", buf_text(&body));
	wish->not_before_ms = not_before_ms;
}

static void wish_checks(struct wishes *out, const struct world *world,
			const struct render_view *view, int urgency, int64_t not_before_ms)
{
	const char *names[RENDER_CHECKS_MAX];
	int count = render_checks(view->job, names);

	for (int i = 0; i < count; i++) {
		AUTO_FREE char *slot = str_printf("check:%s:%s", view->job->uid, names[i]);
		struct outbox_wish *wish = add(
			out, world->app_mode ? SLOT_CHECK_RUN : SLOT_COMMIT_STATUS, urgency, slot);

		json_decref(wish->want);
		wish->want = world->app_mode ? render_check_run(view, names[i])
					     : render_commit_status(view, names[i]);
		if (!world->app_mode)
			jval_set_str(wish->want, "sha", view->job->head_sha);
		wish->not_before_ms = not_before_ms;
	}
}

static void wish_minimize(struct wishes *out, const struct job *job)
{
	AUTO_FREE char *slot = str_printf("fold:%s", job->uid);
	AUTO_FREE char *folded = str_printf("status:%s", job->uid);
	struct outbox_wish *wish = add(out, SLOT_MINIMIZE, OUTBOX_PROGRESS, slot);

	jval_set_str(wish->want, "slot", folded);
}

static char *dump(const json_t *value)
{
	return value ? jval_dump(value) : str_dup("");
}

/* What is shown, without the times that always change. */
static void digest_of(const struct job *job, char out[17])
{
	AUTO_FREE char *parts = dump(json_object_get(job->data, "parts"));
	AUTO_FREE char *tasks = dump(jval_at(job->data, "run.tasks"));
	AUTO_FREE char *trouble = dump(json_object_get(job->data, "trouble"));
	AUTO_FREE char *all = str_printf("%d|%s|%s|%s|%s", (int)job->state / 10, job->head_sha,
					 parts, tasks, trouble);
	char hex[2 * SIGN_SHA256_LEN + 1];

	sign_sha256_hex(hex, all, strlen(all));
	str_copy(out, 17, hex);
}

static void wish_final(struct wishes *out, const struct wishes_view *about,
		       struct render_view *view, bool shown_before)
{
	const struct world *world = about->world;
	const struct job *job = view->job;
	bool late =
		shown_before && job->finished_at_ms - job->created_at_ms > world->notify_after_ms;

	view->slot = late ? "final" : "status";
	wish_comment(out, view, OUTBOX_FINAL, 0);
	if (late)
		wish_minimize(out, job);
	if (!view->command || !view->command->read_only)
		wish_checks(out, world, view, OUTBOX_FINAL, 0);
}

void wishes_make(struct wishes *out, const struct wishes_view *about, struct job *job)
{
	const struct world *world = about->world;
	int64_t now_ms = about->now_ms;
	struct render_view view = {.job = job,
				   .command = command_by_name(&commands, job->command),
				   .pipeline = about->pipeline,
				   .slot = "status",
				   .now_ms = now_ms};
	int64_t shown_at = jval_int(job->data, "shown.at_ms", 0), not_before = 0;
	char digest[17];
	json_t *shown;

	*out = (struct wishes){0};
	if (job_state_is_final(job->state)) {
		if (about->told_before && !shown_at)
			return; /* the reaction says it */
		wish_final(out, about, &view, shown_at != 0);
		return;
	}
	must(view.command);
	if (view.command->read_only || !json_array_size(json_object_get(job->data, "parts")))
		return;
	digest_of(job, digest);
	if (str_eq(jval_str(job->data, "shown.digest", ""), digest))
		return;
	if (shown_at) /* in the future: by a clock that was wrong */
		not_before = (shown_at <= now_ms + world->edit_interval_ms ? shown_at : now_ms) +
			     world->edit_interval_ms;
	wish_comment(out, &view, OUTBOX_PROGRESS, not_before);
	wish_checks(out, world, &view, OUTBOX_PROGRESS, not_before);
	shown = json_object();
	jval_set_str(shown, "digest", digest);
	jval_set_int(shown, "at_ms", not_before > now_ms ? not_before : now_ms);
	jval_set(job->data, "shown", shown);
}

void wishes_dispose(struct wishes *wishes)
{
	for (size_t i = 0; i < wishes->count; i++)
		outbox_wish_dispose(&wishes->items[i]);
	wishes->count = 0;
}
