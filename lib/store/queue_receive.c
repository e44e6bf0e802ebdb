/* queue_receive.c - see queue.h. What one delivery changes, in as few statements as it takes.
 *
 * The usual case, one command on an idle pull request, is four: the delivery, a look at the line,
 * the job, the eyes. Only when somebody is in line already do superseding and arranging cost more.
 * Two keys stop doubles: the GUID, and the comment with the number of the command, because the GUID
 * is not covered by the signature and two hooks send two of them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/store/audit_impl.h"
#include "lib/store/environments.h"
#include "lib/store/queue.h"
#include "lib/store/store_impl.h"
#include "lib/store/strangers_impl.h"
#include "lib/store/turns_impl.h"

enum {
	HEADS_KEPT_MS_DAYS = 30,
	CLOCKS_APART_MS = 60000, /* GitHub's clock and ours; its times have whole seconds */
};

static const int64_t day_ms = 24 * 3600 * (int64_t)1000;

/* The id stands in the first five of the ten random bytes of the ULID. */
int64_t store_uid_make(struct db *db, char uid[27], int64_t now_ms)
{
	unsigned char bytes[10];
	int64_t id = db->next_job_id++;

	sign_random(bytes, sizeof bytes);
	for (int i = 0; i < 5; i++)
		bytes[i] = (unsigned char)(id >> (8 * (4 - i)));
	str_ulid(uid, now_ms, bytes);
	return id;
}

/* Crockford's base 32: ten characters of time, then sixteen of bytes; the id is the first eight of
 * these. */
int64_t store_uid_job(const char *uid)
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	int64_t id = 0;

	if (strlen(uid) != 26)
		return 0;
	for (int i = 10; i < 18; i++) {
		const char *found = strchr(digits, uid[i]);

		if (!found)
			return 0;
		id = id << 5 | (found - digits);
	}
	return id;
}

static const char *event_word(enum event_kind kind)
{
	switch (kind) {
	case EVENT_COMMENT:
		return "comment";
	case EVENT_PULL_REQUEST:
		return "pull_request";
	case EVENT_PING:
		return "ping";
	case EVENT_PUSH:
		return "push";
	case EVENT_INSTALLATION:
		return "installation";
	case EVENT_CHECK_RERUN:
		return "check_rerun";
	case EVENT_IRRELEVANT:
		break;
	}
	return "irrelevant";
}

static enum err_class add_delivery(struct db *db, const struct queue_delivery *delivery,
				   bool *is_new, struct err *err)
{
	const struct event *event = delivery->event;
	enum err_class class = store_exec(
		db, STMT_DELIVERY_ADD, err, B_BLOB(delivery->guid, sizeof delivery->guid),
		B_TEXT(event_word(event->kind)), B_TEXT(event->action), B_INT(delivery->source),
		B_INT(event->installation_id), B_INT(event->repo_id), B_INT(event->pr),
		B_INT(event->comment_id), B_INT(event->sender_id), B_INT(delivery->received_at_ms));

	*is_new = store_changes(db) > 0;
	return class;
}

/* --- commands of a comment --- */

/* A job to be, with what decides where it stands. */
struct newcomer {
	const struct command_call *call;
	int64_t cmd_no;
	enum job_state state;
	enum job_state end_state;
	const char *end_code;
	const char *end_message;
	int64_t id;
	const struct store_manners *manners;
};

/* A stranger to whom nothing is said any more keeps nobody waiting. */
static bool stands_in_line(const struct newcomer *job)
{
	return !job->call->command->read_only && job->manners->stranger != STRANGER_QUIET;
}

static enum err_class add_job(struct db *db, const struct queue_intake *intake,
			      struct newcomer *job, bool *is_new, struct err *err)
{
	const struct event *event = intake->delivery->event;
	const struct command_call *call = job->call;
	int64_t now_ms = intake->delivery->received_at_ms, deadline = now_ms + intake->deadline_ms;
	char *args AUTO_FREE = json_object_size(call->args) ? jval_dump(call->args) : NULL;
	char uid[27];
	enum err_class class;

	job->id = store_uid_make(db, uid, now_ms);
	class = store_exec(db, STMT_JOB_ADD, err, B_INT(job->id), B_TEXT(uid),
			   B_INT(event->installation_id), B_INT(event->repo_id), B_INT(event->pr),
			   B_INT(event->comment_id), B_INT(job->cmd_no), B_INT(job->state),
			   B_INT(!stands_in_line(job)), B_INT(intake->calls->keep_going),
			   B_INT(job->state == JOB_BLOCKED ? deadline : job->manners->due_ms),
			   B_INT(deadline), B_INT(event->comment_at_ms), B_INT(now_ms),
			   B_INT(event->sender_id), B_TEXT(event->repo), B_TEXT(event->sender),
			   B_TEXT(call->command->name), B_TEXT(call->line),
			   B_TEXT(args ? args : "{}"), B_INT(job->end_state), B_TEXT(job->end_code),
			   B_TEXT(job->end_message), B_INT(job->manners->stranger));
	*is_new = store_changes(db) > 0;
	if (!*is_new)
		db->next_job_id--;
	return class;
}

/* An older comment that comes late finds that its command was given again since, by the same
 * person: what others may do here is not known yet, so nobody takes somebody else's place. */
static enum err_class meet_newer(struct db *db, const struct event *event, struct newcomer *job,
				 char message[128], struct err *err)
{
	int64_t newer;
	enum err_class class = store_number(
		db, &newer, 0, STMT_LINE_NEWER,
		STORE_BINDS(B_INT(event->repo_id), B_INT(event->pr), B_INT(event->comment_id),
			    B_TEXT(job->call->command->name), B_INT(event->sender_id)),
		err);

	if (class != ERR_OK || !newer)
		return class;
	snprintf(message, 128,
		 "A newer command, job %" PRId64 ", took its place before it started.", newer);
	job->state = JOB_READY;
	job->end_state = JOB_SUPERSEDED;
	job->end_code = "job.superseded";
	job->end_message = message;
	return ERR_OK;
}

static enum err_class supersede_older(struct db *db, const struct queue_delivery *delivery,
				      const struct newcomer *job, struct err *err)
{
	const struct event *event = delivery->event;
	char message[128];

	snprintf(message, sizeof message,
		 "A newer command, job %" PRId64 ", took its place before it started.", job->id);
	return store_exec(db, STMT_LINE_SUPERSEDE, err, B_INT(event->repo_id), B_INT(event->pr),
			  B_INT(event->comment_id), B_TEXT(job->call->command->name),
			  B_INT(delivery->received_at_ms), B_TEXT(message),
			  B_INT(event->sender_id));
}

static void refuse_late(struct newcomer *job, const struct queue_delivery *delivery,
			char message[128])
{
	char said[21], heard[21];

	clock_rfc3339(said, delivery->event->comment_at_ms);
	clock_rfc3339(heard, delivery->received_at_ms);
	snprintf(message, 128, "The comment of %s arrived at %s, too late to act on it unasked.",
		 said, heard);
	job->state = JOB_READY;
	job->end_state = JOB_EXPIRED;
	job->end_code = "comment.late";
	job->end_message = message;
}

/* `line_busy` is true when somebody is in line before this comment, `first` until a job of this
 * comment has taken its place in it. */
static enum err_class receive_call(struct db *db, const struct queue_intake *intake, bool line_busy,
				   bool *first, struct newcomer *job, bool *is_new, struct err *err)
{
	bool in_line = stands_in_line(job);
	char message[128];
	enum err_class class;

	if (intake->refuse_late)
		refuse_late(job, intake->delivery, message);
	else if (in_line && (line_busy || !*first))
		job->state = JOB_BLOCKED;
	if (job->state == JOB_BLOCKED && line_busy &&
	    (class = meet_newer(db, intake->delivery->event, job, message, err)) != ERR_OK)
		return class;
	if ((class = add_job(db, intake, job, is_new, err)) != ERR_OK || !*is_new)
		return class;
	if (in_line)
		*first = false;
	if (line_busy && job->state == JOB_BLOCKED)
		return supersede_older(db, intake->delivery, job, err);
	return ERR_OK;
}

static bool any_in_line(const struct command_calls *calls)
{
	for (size_t i = 0; i < calls->count; i++)
		if (!calls->items[i].command->read_only)
			return true;
	return false;
}

static enum err_class wish_reaction(struct db *db, const struct queue_intake *intake,
				    const char *slot_word, const char *content, int64_t job_id,
				    struct err *err)
{
	const struct event *event = intake->delivery->event;
	struct outbox_home home = {.job_id = job_id,
				   .installation_id = event->installation_id,
				   .repo_id = event->repo_id,
				   .pr = event->pr,
				   .repo = event->repo};
	char slot[64], want[96];
	struct outbox_text wish = {
		.slot = slot, .kind = SLOT_REACTION, .urgency = OUTBOX_NOW, .want = want};

	snprintf(slot, sizeof slot, "%s:%" PRId64, slot_word, event->comment_id);
	snprintf(want, sizeof want, "{\"comment_id\":%" PRId64 ",\"content\":\"%s\"}",
		 event->comment_id, content);
	return store_wish(db, &home, &wish, intake->delivery->received_at_ms, err);
}

static enum err_class receive_calls(struct db *db, const struct queue_intake *intake,
				    enum queue_outcome *out, struct err *err)
{
	const struct event *event = intake->delivery->event;
	const struct command_calls *calls = intake->calls;
	int64_t busy = 0, first_id = 0, now_ms = intake->delivery->received_at_ms;
	bool first = true, is_new = false;
	struct store_manners manners;
	enum err_class class = store_meet(db, event, now_ms, &manners, err);

	if (class != ERR_OK || manners.is_dropped)
		return class;
	if (any_in_line(calls) && !intake->refuse_late)
		class = store_number(db, &busy, 0, STMT_LINE_ANY,
				     STORE_BINDS(B_INT(event->repo_id), B_INT(event->pr)), err);
	for (size_t i = 0; class == ERR_OK && i < calls->count; i++) {
		struct newcomer job = {
			.call = &calls->items[i], .cmd_no = (int64_t)i, .manners = &manners};

		class = receive_call(db, intake, busy != 0, &first, &job, &is_new, err);
		if (class == ERR_OK && !is_new) {
			*out = QUEUE_DUPLICATE;
			return ERR_OK;
		}
		if (!i)
			first_id = job.id;
	}
	if (class == ERR_OK && busy)
		class = store_arrange(db, event->repo_id, event->pr, now_ms, err);
	if (class == ERR_OK && manners.stranger == STRANGER_QUIET)
		class = store_put_off_stranger(db, event, manners.due_ms, err);
	else if (class == ERR_OK)
		class = wish_reaction(db, intake, "eyes", "eyes", first_id, err);
	*out = QUEUE_STORED;
	return class;
}

static enum err_class audit_refusal(struct db *db, const struct queue_intake *intake,
				    struct err *err)
{
	const struct event *event = intake->delivery->event;
	struct audit_row row = {
		.at_ms = intake->delivery->received_at_ms,
		.actor_id = event->sender_id,
		.actor = event->sender,
		.decision = AUDIT_REFUSED,
		.code = intake->refusal_code,
		.repo_id = event->repo_id,
		.repo = event->repo,
		.pr = event->pr,
	};

	return store_audit(db, &row, err);
}

static enum err_class receive_refusal(struct db *db, const struct queue_intake *intake,
				      enum queue_outcome *out, struct err *err)
{
	const struct event *event = intake->delivery->event;
	struct outbox_home home = {.installation_id = event->installation_id,
				   .repo_id = event->repo_id,
				   .pr = event->pr,
				   .repo = event->repo};
	char slot[64], marker[64];
	struct outbox_text wish = {.slot = slot, .kind = SLOT_COMMENT, .urgency = OUTBOX_NOW};
	struct buf body AUTO_BUF = buf_make(EVENT_BODY_MAX);
	json_t *want AUTO_JSON = json_object();
	char *text AUTO_FREE = NULL;
	int64_t known;
	struct store_manners manners;
	enum err_class class =
		store_meet(db, event, intake->delivery->received_at_ms, &manners, err);

	if (class != ERR_OK || manners.stranger == STRANGER_QUIET)
		return class;
	snprintf(slot, sizeof slot, "refusal:%" PRId64, event->comment_id);
	class = store_number(db, &known, 0, STMT_OUTBOX_SLOT, STORE_BINDS(B_TEXT(slot)), err);
	*out = known ? QUEUE_DUPLICATE : QUEUE_STORED;
	if (class != ERR_OK || known)
		return class;
	if ((class = audit_refusal(db, intake, err)) != ERR_OK)
		return class;
	if (manners.stranger &&
	    (class = store_answered(db, event->repo_id, event->pr, event->sender_id,
				    intake->delivery->received_at_ms, err)) != ERR_OK)
		return class;
	snprintf(marker, sizeof marker, "<!-- kf:v1 refusal=%" PRId64 " -->", event->comment_id);
	buf_printf(&body, "%s\n%s", marker, intake->refusal);
	jval_set_str(want, "body", buf_text(&body));
	jval_set_str(want, "marker", marker);
	wish.want = text = jval_dump(want);
	class = wish_reaction(db, intake, "end", "confused", 0, err);
	if (class != ERR_OK)
		return class;
	return store_wish(db, &home, &wish, intake->delivery->received_at_ms, err);
}

/* --- pull requests --- */

static enum err_class record_head(struct db *db, const struct queue_delivery *delivery,
				  struct err *err)
{
	const struct event *event = delivery->event;
	enum err_class class;

	if (!str_is_object_name(event->head_sha) ||
	    (!str_eq(event->action, "opened") && !str_eq(event->action, "synchronize") &&
	     !str_eq(event->action, "reopened")))
		return ERR_OK;
	class = store_exec(db, STMT_HEAD_ADD, err, B_INT(event->repo_id), B_INT(event->pr),
			   B_INT(event->updated_at_ms), B_TEXT(event->head_sha),
			   B_TEXT(event->action), B_INT(delivery->received_at_ms));
	if (class != ERR_OK)
		return class;
	return store_exec(db, STMT_HEAD_FORGET, err, B_INT(event->repo_id), B_INT(event->pr),
			  B_INT(event->updated_at_ms - HEADS_KEPT_MS_DAYS * day_ms));
}

/* Who waits for the end of the pull request: a job whose commit is in the merge queue, and those in
 * line for an environment that was kept for it. */
static enum err_class tell_closed(struct db *db, const struct queue_delivery *delivery,
				  struct err *err)
{
	const struct event *event = delivery->event;
	char ref[64];
	enum err_class class;

	snprintf(ref, sizeof ref, "pull:%" PRId64 ":%" PRId64, event->repo_id, event->pr);
	class = store_exec(db, STMT_WAKE_REF, err, B_TEXT(ref), B_INT(WAIT_PULL),
			   B_INT(delivery->received_at_ms));
	if (class != ERR_OK)
		return class;
	return environment_free(db, event->repo_id, event->pr,
				event->updated_at_ms + CLOCKS_APART_MS, delivery->received_at_ms,
				err);
}

static enum err_class receive_pull(struct db *db, const struct queue_intake *intake,
				   struct err *err)
{
	const struct queue_delivery *delivery = intake->delivery;
	const struct event *event = delivery->event;
	enum err_class class = record_head(db, delivery, err);

	if (class != ERR_OK || !str_eq(event->action, "closed"))
		return class;
	class = store_exec(db, STMT_LINE_CLOSE, err, B_INT(event->repo_id), B_INT(event->pr),
			   B_INT(event->updated_at_ms), B_INT(delivery->received_at_ms),
			   B_TEXT(event->merged
					  ? "The pull request was merged before it started."
					  : "The pull request was closed before it started."));
	if (class == ERR_OK && !event->merged)
		class = store_cancel_closed(db, delivery, intake->commands, err);
	if (class == ERR_OK)
		class = tell_closed(db, delivery, err);
	if (class != ERR_OK)
		return class;
	return store_arrange(db, event->repo_id, event->pr, delivery->received_at_ms, err);
}

/* --- the re-run button of a check run --- */

/* As /retry, of which it is the other way. */
static enum err_class audit_rerun(struct db *db, const struct event *event, const struct job *job,
				  int64_t made_id, int64_t now_ms, struct err *err)
{
	struct audit_row row = store_audit_of(job, now_ms);
	char before[40], after[40];

	snprintf(before, sizeof before, "job=%" PRId64, job->id);
	snprintf(after, sizeof after, "job=%" PRId64, made_id);
	row.actor_id = event->sender_id;
	row.actor = event->sender;
	row.job_id = made_id;
	row.decision = AUDIT_DONE;
	row.effect = effect_name(EFFECT_JOB_RETRY);
	row.before = before;
	row.after = after;
	return store_audit(db, &row, err);
}

static enum err_class receive_rerun(struct db *db, const struct queue_intake *intake,
				    enum queue_outcome *out, struct err *err)
{
	const struct event *event = intake->delivery->event;
	int64_t now_ms = intake->delivery->received_at_ms, other,
		id = store_uid_job(event->external_id);
	struct store_repeat repeat = {.origin_id = id,
				      .actor_id = event->sender_id,
				      .actor = event->sender,
				      .comment_at_ms = now_ms,
				      .deadline_at_ms = now_ms + intake->deadline_ms};
	struct job job;
	enum err_class class;

	*out = QUEUE_NOTED;
	class = queue_load(db, id, &job, err);
	if (class != ERR_OK)
		return class == ERR_NOT_FOUND ? ERR_OK : class;
	repeat.comment_id = job.comment_id;
	class = store_number(db, &other, 0, STMT_RERUN_UNDER_WAY,
			     STORE_BINDS(B_INT(job.repo_id), B_INT(job.pr), B_INT(job.comment_id),
					 B_TEXT(job.command)),
			     err);
	if (class == ERR_OK && !other && job_state_is_final(job.state) &&
	    job.repo_id == event->repo_id && str_eq(job.uid, event->external_id)) {
		*out = QUEUE_STORED;
		class = store_repeat(db, &repeat, now_ms, &id, err);
		if (class == ERR_OK)
			class = audit_rerun(db, event, &job, id, now_ms, err);
	}
	job_dispose(&job);
	return class;
}

enum err_class queue_receive(struct db *db, const struct queue_intake *intake,
			     enum queue_outcome *out, struct err *err)
{
	const struct event *event = intake->delivery->event;
	bool is_new;
	enum err_class class = add_delivery(db, intake->delivery, &is_new, err);

	if (class != ERR_OK)
		return class;
	*out = QUEUE_DUPLICATE;
	if (!is_new)
		return ERR_OK;
	*out = QUEUE_NOTED;
	switch (event->kind) {
	case EVENT_COMMENT:
		if (intake->refusal)
			return receive_refusal(db, intake, out, err);
		return intake->calls && intake->calls->count ? receive_calls(db, intake, out, err)
							     : ERR_OK;
	case EVENT_PULL_REQUEST:
		return receive_pull(db, intake, err);
	case EVENT_CHECK_RERUN:
		return receive_rerun(db, intake, out, err);
	case EVENT_PING:
	case EVENT_PUSH:
	case EVENT_INSTALLATION:
	case EVENT_IRRELEVANT:
		break;
	}
	return ERR_OK;
}
