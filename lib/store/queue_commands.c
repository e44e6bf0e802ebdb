/* queue_commands.c - see queue.h. What /cancel, /retry and a closed pull request do to other jobs.
 *
 * Who asked for a job is who its row names: of a repeated one that is whoever gave the /retry or
 * pressed the button, not who asked for the first.
 *
 * A job that has not started is given its end here and told by the worker; one that has started is
 * only marked, because what it began outside has to be stopped by its own steps. Both functions may
 * run twice for one command (a crash between their commit and the result's): the second time finds
 * what the first did and answers the same. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/policy_decide.h"
#include "lib/core/stops.h"
#include "lib/store/audit_impl.h"
#include "lib/store/queue.h"
#include "lib/store/store_impl.h"
#include "lib/store/turns_impl.h"

enum { CANCEL_MAX = 500 };

struct target {
	int64_t id;
	char command[64], actor[64];
	enum job_state state, end_state;
	bool started, is_theirs; /* to stop */
	char right[128];	 /* that others need */
};

/* The right that this job's command asks for, and whether that, or their number, is theirs. */
static void read_right(struct target *out, const struct queue_stop *stop, int64_t actor_id,
		       const char *args_text)
{
	const struct command *command = command_by_name(stop->table, out->command);
	json_t *args AUTO_JSON = NULL;
	struct buf right AUTO_BUF = buf_make(sizeof out->right - 1);
	struct err err;

	out->is_theirs = actor_id > 0 && actor_id == stop->asking->actor_id;
	if (!command || !args_text || jval_parse(&args, args_text, strlen(args_text), &err)) {
		str_copy(out->right, sizeof out->right, out->command);
		return;
	}
	stops_key(&right, command, policy_environment_of(command, args));
	str_copy(out->right, sizeof out->right, buf_text(&right));
	if (stops_allow(stop->stops, command, args))
		out->is_theirs = true;
}

/* What is there whoever asks. */
static void read_job(struct target *out, sqlite3_stmt *row)
{
	out->id = sqlite3_column_int64(row, 0);
	str_copy(out->command, sizeof out->command, (const char *)sqlite3_column_text(row, 1));
	out->state = (enum job_state)sqlite3_column_int(row, 2);
	out->started = sqlite3_column_int(row, 3) != 0;
	out->end_state = (enum job_state)sqlite3_column_int(row, 4);
}

static void read_target(struct target *out, const struct queue_stop *stop, sqlite3_stmt *row)
{
	read_job(out, row);
	str_copy(out->actor, sizeof out->actor, (const char *)sqlite3_column_text(row, 6));
	read_right(out, stop, sqlite3_column_int64(row, 5),
		   (const char *)sqlite3_column_text(row, 7));
}

static json_t *say(json_t *out, const struct target *job, const char *now)
{
	json_t *line = json_object();

	jval_set_int(line, "id", job->id);
	jval_set_str(line, "command", job->command);
	jval_set_str(line, "was", job_state_name(job->state));
	if (now)
		jval_set_str(line, "now", now);
	json_array_append_new(out, line);
	return line;
}

static void say_left(json_t *out, const struct target *job)
{
	json_t *line = say(out, job, NULL);

	jval_set_str(line, "actor", job->actor);
	jval_set_str(line, "right", job->right);
	jval_set_bool(line, "left", true);
}

static enum err_class cancel_one(struct db *db, const struct target *job, const char *by,
				 int64_t now_ms, json_t *out, struct err *err)
{
	char message[192];
	enum err_class class;

	if (!job->is_theirs) {
		say_left(out, job);
		return ERR_OK;
	}
	if (job->end_state == JOB_READY && job->started) {
		class = store_exec(db, STMT_CANCEL_STARTED, err, B_INT(job->id), B_TEXT(by),
				   B_INT(now_ms), B_NULL);
		say(out, job, "cancelling");
		return class;
	}
	say(out, job, job_state_name(job->end_state ? job->end_state : JOB_CANCELLED));
	if (job->end_state != JOB_READY)
		return ERR_OK; /* on its way out already */
	snprintf(message, sizeof message, "Cancelled by %.100s before it started.", by);
	return store_exec(db, STMT_CANCEL_QUEUED, err, B_INT(job->id), B_TEXT(by), B_INT(now_ms),
			  B_TEXT(message));
}

static enum err_class find_one(struct db *db, const struct queue_stop *stop, struct target *out,
			       struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_CANCEL_ONE, err, B_INT(stop->job_id),
					   B_INT(stop->asking->repo_id), B_INT(stop->asking->pr));

	if (class == ERR_NOT_FOUND)
		return err_code(err, class, "job.unknown",
				"there is no job %" PRId64
				" on this pull request; `/status` lists them",
				stop->job_id);
	if (class != ERR_OK)
		return class;
	read_target(out, stop, row);
	if (job_state_is_final(out->state) && out->is_theirs)
		return err_code(err, ERR_CONFLICT, "job.ended",
				"job %" PRId64 " has already ended: %s", out->id,
				job_state_name(out->state));
	return ERR_OK;
}

static enum err_class find_all(struct db *db, const struct queue_stop *stop, struct target *out,
			       size_t *count, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class =
		store_query(db, &row, STMT_CANCEL_ALL, err, B_INT(stop->asking->repo_id),
			    B_INT(stop->asking->pr), B_INT(stop->asking->id),
			    B_TEXT(stop->is_again ? stop->asking->actor : NULL));

	*count = 0;
	while (class == ERR_OK && *count < CANCEL_MAX) {
		read_target(&out[(*count)++], stop, row);
		class = store_next(db, &row, err);
	}
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

/* `asked`: who, where and when. */
static enum err_class audit_cancels(struct db *db, const struct audit_row *asked,
				    const json_t *said, struct err *err)
{
	enum err_class class = ERR_OK;
	const json_t *each;
	size_t i;

	json_array_foreach(said, i, each)
	{
		struct audit_row row = *asked;
		char before[96], after[48];

		if (jval_bool(each, "left", false))
			continue;
		snprintf(before, sizeof before, "command=%s state=%s",
			 jval_str(each, "command", ""), jval_str(each, "was", ""));
		snprintf(after, sizeof after, "state=%s", jval_str(each, "now", ""));
		row.decision = AUDIT_DONE;
		row.effect = effect_name(EFFECT_JOB_CANCEL);
		row.job_id = jval_int(each, "id", 0);
		row.before = before;
		row.after = after;
		if (class == ERR_OK)
			class = store_audit(db, &row, err);
	}
	return class;
}

enum err_class queue_cancel(struct db *db, const struct queue_stop *stop, int64_t now_ms,
			    json_t **out, struct err *err)
{
	const struct job *asking = stop->asking;
	const struct audit_row asked = store_audit_of(asking, now_ms);
	struct target *jobs AUTO_FREE = mem_new(stop->job_id ? 1 : CANCEL_MAX, sizeof *jobs);
	json_t *said AUTO_JSON = json_array();
	size_t count = 1;
	enum err_class class = stop->job_id ? find_one(db, stop, &jobs[0], err)
					    : find_all(db, stop, jobs, &count, err);

	for (size_t i = 0; class == ERR_OK && i < count; i++)
		class = cancel_one(db, &jobs[i], asking->actor, now_ms, said, err);
	if (class == ERR_OK)
		class = audit_cancels(db, &asked, said, err);
	if (class == ERR_OK)
		class = store_arrange(db, asking->repo_id, asking->pr, now_ms, err);
	if (class == ERR_OK)
		*out = take(said);
	return class;
}

static bool deploys(const struct command_table *commands, const char *name)
{
	const struct command *command = commands ? command_by_name(commands, name) : NULL;

	return command && command->uses & USE_DEPLOY;
}

static enum err_class find_closed(struct db *db, const struct event *event, struct target *out,
				  size_t *count, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_CANCEL_CLOSED, err, B_INT(event->repo_id),
					   B_INT(event->pr), B_INT(event->updated_at_ms));

	*count = 0;
	while (class == ERR_OK && *count < CANCEL_MAX) {
		read_job(&out[(*count)++], row);
		class = store_next(db, &row, err);
	}
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

enum err_class store_cancel_closed(struct db *db, const struct queue_delivery *delivery,
				   const struct command_table *commands, struct err *err)
{
	const struct event *event = delivery->event;
	struct target *jobs AUTO_FREE = mem_new(CANCEL_MAX, sizeof *jobs);
	json_t *said AUTO_JSON = json_array();
	struct audit_row asked = {.actor_id = event->sender_id,
				  .actor = event->sender,
				  .code = "pull.closed",
				  .repo_id = event->repo_id,
				  .repo = event->repo,
				  .pr = event->pr,
				  .at_ms = delivery->received_at_ms};
	size_t count;
	enum err_class class = find_closed(db, event, jobs, &count, err);

	for (size_t i = 0; class == ERR_OK && i < count; i++) {
		if (!deploys(commands, jobs[i].command))
			continue;
		class = store_exec(db, STMT_CANCEL_STARTED, err, B_INT(jobs[i].id),
				   B_TEXT_OR_NULL(event->sender), B_INT(delivery->received_at_ms),
				   B_TEXT(asked.code));
		say(said, &jobs[i], "cancelling");
	}
	return class == ERR_OK ? audit_cancels(db, &asked, said, err) : class;
}

/* A job with the command, arguments and commit of another, at the end of the comment's own. */
enum err_class store_repeat(struct db *db, const struct store_repeat *repeat, int64_t now_ms,
			    int64_t *out_id, struct err *err)
{
	char uid[27], data[96];
	struct job job;
	enum err_class class;

	*out_id = store_uid_make(db, uid, now_ms);
	snprintf(data, sizeof data, "{\"retry_of\":%" PRId64 ",\"retry_by\":%" PRId64 "}",
		 repeat->origin_id, repeat->by_id);
	class = store_exec(db, STMT_REPEAT, err, B_INT(repeat->origin_id), B_INT(*out_id),
			   B_TEXT(uid), B_INT(repeat->comment_id), B_INT(now_ms),
			   B_INT(repeat->deadline_at_ms), B_INT(repeat->comment_at_ms),
			   B_INT(repeat->actor_id), B_TEXT(repeat->actor), B_TEXT(data));
	if (class != ERR_OK || (class = queue_load(db, *out_id, &job, err)) != ERR_OK)
		return class;
	class = store_arrange(db, job.repo_id, job.pr, now_ms, err);
	job_dispose(&job);
	return class;
}

/* Which job is meant; fills *origin. Without a number it is the newest that failed, but not what
 * somebody else was refused: the word of who may would do it for them. */
static enum err_class find_origin(struct db *db, int64_t job_id, const struct job *as,
				  struct job *origin, struct err *err)
{
	enum err_class class = ERR_OK;

	if (!job_id)
		class = store_number(db, &job_id, 0, STMT_RETRY_NEWEST,
				     STORE_BINDS(B_INT(as->repo_id), B_INT(as->pr),
						 B_TEXT(as->command), B_INT(as->actor_id)),
				     err);
	if (class != ERR_OK)
		return class;
	if (!job_id)
		return err_code(err, ERR_NOT_FOUND, "job.none",
				"no job of this pull request has failed");
	class = queue_load(db, job_id, origin, err);
	if (class == ERR_OK && (origin->repo_id != as->repo_id || origin->pr != as->pr)) {
		job_dispose(origin);
		class = ERR_NOT_FOUND;
	}
	if (class == ERR_NOT_FOUND)
		err_code(err, class, "job.unknown",
			 "there is no job %" PRId64 " on this pull request; `/status` lists them",
			 job_id);
	return class;
}

static enum err_class may_repeat(const struct job *origin, struct err *err)
{
	if (!job_state_is_final(origin->state))
		return err_code(err, ERR_CONFLICT, "job.unfinished",
				"job %" PRId64 " has not ended yet: %s", origin->id,
				job_state_name(origin->state));
	if (origin->state == JOB_DONE)
		return err_code(err, ERR_CONFLICT, "job.succeeded",
				"job %" PRId64 " succeeded; there is nothing to retry", origin->id);
	return ERR_OK;
}

static enum err_class describe(struct db *db, int64_t id, json_t **out, struct err *err)
{
	struct job job;
	enum err_class class = queue_load(db, id, &job, err);

	if (class != ERR_OK)
		return class;
	*out = json_object();
	jval_set_int(*out, "id", job.id);
	jval_set_str(*out, "uid", job.uid);
	jval_set_str(*out, "command", job.command);
	jval_set_str(*out, "line", job.line);
	jval_set_str(*out, "sha", job.head_sha);
	jval_set_int(*out, "retry_of", jval_int(job.data, "retry_of", 0));
	job_dispose(&job);
	return ERR_OK;
}

enum err_class queue_retry(struct db *db, int64_t job_id, const struct job *as, int64_t now_ms,
			   json_t **out, struct err *err)
{
	struct store_repeat repeat = {.by_id = as->id,
				      .comment_id = as->comment_id,
				      .actor_id = as->actor_id,
				      .actor = as->actor,
				      .comment_at_ms = as->comment_at_ms};
	char before[40], after[40];
	struct job origin;
	int64_t id;
	enum err_class class = store_number(db, &id, 0, STMT_RETRY_MADE,
					    STORE_BINDS(B_INT(as->repo_id), B_INT(as->pr),
							B_INT(as->comment_id), B_INT(as->id)),
					    err);

	if (class != ERR_OK)
		return class;
	if (id)
		return describe(db, id, out, err);
	if ((class = find_origin(db, job_id, as, &origin, err)) != ERR_OK)
		return class;
	repeat.origin_id = origin.id;
	repeat.deadline_at_ms = now_ms + (origin.deadline_at_ms - origin.created_at_ms);
	if ((class = may_repeat(&origin, err)) == ERR_OK)
		class = store_repeat(db, &repeat, now_ms, &id, err);
	if (class == ERR_OK) {
		snprintf(before, sizeof before, "job=%" PRId64, origin.id);
		snprintf(after, sizeof after, "job=%" PRId64, id);
		class = store_audit_change(db, as, effect_name(EFFECT_JOB_RETRY), before, after,
					   now_ms, err);
	}
	job_dispose(&origin);
	return class == ERR_OK ? describe(db, id, out, err) : class;
}
