/* queue_work.c - see queue.h. Claiming a job and committing what its step brought.
 *
 * The claim counts a crash before there is one, and the next committed result takes it back; so a
 * job that kills the process is counted although nobody lives to count it. What others did to the
 * row while the step ran (a cancel) is never overwritten by the worker's older copy. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/store/audit_impl.h"
#include "lib/store/queue.h"
#include "lib/store/store_impl.h"
#include "lib/store/strangers_impl.h"
#include "lib/store/turns_impl.h"

enum { PHASE_OPEN = 1, PHASE_DONE = 2, PHASE_FAILED = 3 };

enum err_class store_arrange(struct db *db, int64_t repo_id, int64_t pr, int64_t now_ms,
			     struct err *err)
{
	int64_t held, first;
	enum err_class class = store_number(db, &held, 0, STMT_LINE_HELD,
					    STORE_BINDS(B_INT(repo_id), B_INT(pr)), err);

	if (class != ERR_OK || held)
		return class;
	class = store_number(db, &first, 0, STMT_LINE_FIRST, STORE_BINDS(B_INT(repo_id), B_INT(pr)),
			     err);
	if (class != ERR_OK || !first)
		return class;
	class = store_exec(db, STMT_LINE_HOLD_BACK, err, B_INT(repo_id), B_INT(pr), B_INT(first));
	return class == ERR_OK ? store_exec(db, STMT_LINE_GO, err, B_INT(first), B_INT(now_ms))
			       : class;
}

enum err_class queue_claim(struct db *db, int64_t now_ms, int64_t in_hand_max, struct job *out,
			   int64_t *next_due_ms, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	int64_t repo_id;
	enum err_class class = store_turn(db, now_ms, in_hand_max, &repo_id, next_due_ms, err);

	if (class == ERR_OK) {
		class = store_query(db, &row, STMT_CLAIM, err, B_INT(now_ms),
				    B_INT(db->incarnation), B_INT(repo_id));
		*next_due_ms = now_ms;
	}
	if (class == ERR_NOT_FOUND)
		return err_set(err, ERR_NOT_FOUND, "no job is due");
	if (class != ERR_OK)
		return class;
	store_job_read(out, row);
	class = store_next(db, &row, err); /* an update takes effect when its statement ends */
	if (class == ERR_NOT_FOUND) {
		db->claim_turn = repo_id;
		return ERR_OK;
	}
	job_dispose(out);
	return class;
}

static enum err_class lost_lease(const struct db *db, const struct job *job, struct err *err)
{
	return err_code(err, ERR_CONFLICT, "store.lease",
			"job %" PRId64 " is not leased by incarnation %" PRId64, job->id,
			db->incarnation);
}

/* The intent to run an effect outside, or with a result what came of it. */
static enum err_class audit_effect(struct db *db, const struct queue_result *about, struct err *err)
{
	const struct effect_result *got = about->result;
	struct audit_row row = store_audit_of(about->job, about->now_ms);
	char before[AUDIT_TEXT_MAX + 1], after[AUDIT_TEXT_MAX + 1];

	audit_describe(before, after, about->job, about->effect, got ? got->data : NULL);
	row.effect = effect_name(about->effect->kind);
	row.before = before;
	row.after = after;
	row.decision = AUDIT_INTENT;
	if (got && got->err.class == ERR_OK)
		row.decision = AUDIT_DONE;
	else if (got) {
		row.decision = got->err.in_doubt ? AUDIT_UNCLEAR : AUDIT_FAILED;
		row.code = *got->err.code ? got->err.code : err_class_name(got->err.class);
		row.after = "";
	}
	return store_audit(db, &row, err);
}

/* What a result decides: an effect outside, a right, the end of the job. */
static enum err_class audit_result(struct db *db, const struct queue_result *result,
				   struct err *err)
{
	const struct job *job = result->job;
	struct audit_row row = store_audit_of(job, result->now_ms);
	enum err_class class = ERR_OK;

	if (result->effect && result->result && audit_covers(result->effect->kind))
		class = audit_effect(db, result, err);
	if (class == ERR_OK && result->is_member)
		class = store_allowed(db, job, result->now_ms, err);
	if (class == ERR_OK && result->authorized) {
		row.decision = AUDIT_AUTHORIZED;
		row.code = result->authorized;
		class = store_audit(db, &row, err);
	}
	if (class != ERR_OK || !job_state_is_final(job->state))
		return class;
	row.decision = result->refused ? AUDIT_REFUSED : job_state_name(job->state);
	row.code = job->code;
	return store_audit(db, &row, err);
}

enum err_class queue_step_intent(struct db *db, const struct job *job, const struct effect *effect,
				 int64_t now_ms, struct err *err)
{
	char *args AUTO_FREE = effect->args ? jval_dump(effect->args) : NULL;
	int64_t leased;
	enum err_class class =
		store_number(db, &leased, 0, STMT_LEASED,
			     STORE_BINDS(B_INT(job->id), B_INT(db->incarnation)), err);

	if (class != ERR_OK)
		return class;
	if (!leased)
		return lost_lease(db, job, err);
	class = store_exec(db, STMT_STEP_INTENT, err, B_INT(job->id), B_TEXT(job->step),
			   B_TEXT(effect_name(effect->kind)), B_INT(now_ms), B_TEXT(args));
	if (class != ERR_OK || !audit_covers(effect->kind))
		return class;
	return audit_effect(
		db, &(struct queue_result){.job = job, .effect = effect, .now_ms = now_ms}, err);
}

enum err_class queue_step_open(struct db *db, const struct job *job, struct effect *out,
			       struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class =
		store_query(db, &row, STMT_STEP_OPEN, err, B_INT(job->id), B_TEXT(job->step));

	if (class == ERR_NOT_FOUND)
		return err_set(err, class, "no effect of job %" PRId64 " is open", job->id);
	if (class != ERR_OK)
		return class;
	out->kind = effect_from_name((const char *)sqlite3_column_text(row, 0));
	out->args = store_json(row, 1);
	return ERR_OK;
}

/* What people may read of a result later; a big one is only measured. */
static char *result_text(const json_t *data)
{
	char *text;

	if (!data)
		return NULL;
	text = jval_dump(data);
	if (strlen(text) > STORE_RESULT_MAX) {
		char *brief = str_printf("{\"left_out_bytes\":%zu}", strlen(text));

		mem_free(text);
		return brief;
	}
	return text;
}

static enum err_class store_result(struct db *db, const struct queue_result *result,
				   struct err *err)
{
	const struct effect_result *got = result->result;
	const char *step = result->step ? result->step : result->job->step;
	char *text AUTO_FREE = got ? result_text(got->data) : NULL;
	bool failed = got && got->err.class != ERR_OK;
	int phase = !failed ? PHASE_DONE : got->err.in_doubt ? PHASE_OPEN : PHASE_FAILED;
	int64_t started = result->now_ms - (got && got->took_ms > 0 ? got->took_ms : 0);

	return store_exec(db, STMT_STEP_RESULT, err, B_INT(result->job->id), B_TEXT(step),
			  B_TEXT(effect_name(result->effect->kind)), B_INT(phase), B_INT(started),
			  B_INT(result->now_ms), B_TEXT(text),
			  B_TEXT(failed ? got->err.msg : NULL));
}

/* The row as it is now, beside the worker's copy. */
struct present {
	bool cancel;
	struct store_group group;
	int64_t deadline_at_ms;
};

static enum err_class look(struct db *db, const struct job *job, struct present *out,
			   struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class =
		store_query(db, &row, STMT_JOB_LEASED, err, B_INT(job->id), B_INT(db->incarnation));

	if (class == ERR_NOT_FOUND)
		return lost_lease(db, job, err);
	if (class != ERR_OK)
		return class;
	out->cancel = sqlite3_column_int(row, 0) != 0;
	out->group.keep_going = sqlite3_column_int(row, 1) != 0;
	out->group.read_only = sqlite3_column_int(row, 2) != 0;
	out->group.is_repeat = sqlite3_column_type(row, 3) != SQLITE_NULL;
	out->deadline_at_ms = sqlite3_column_int64(row, 4);
	return ERR_OK;
}

/* A wait ends at the deadline at the latest, so that every unfinished job has a time at which
 * somebody looks at it; a job that goes on beyond its deadline knows why. */
static int64_t due_of(const struct job *job, const struct present *now, bool stop, int64_t now_ms)
{
	int64_t due = job->due_at_ms;

	if (stop || job->state == JOB_READY)
		return due > now_ms && !stop ? due : now_ms;
	if (due > now->deadline_at_ms && now->deadline_at_ms > now_ms)
		return now->deadline_at_ms;
	return due;
}

/* Three statements for one thing, because an index is left alone only when no column of it or of
 * its condition is named. */
static enum err_class update_job(struct db *db, const struct queue_result *result,
				 const struct present *now, struct err *err)
{
	const struct job *job = result->job;
	bool waits = job->state == JOB_PARKED || job->state == JOB_BACKOFF;
	bool stop = waits && now->cancel && !job->cancel; /* the worker did not know yet */
	char *text AUTO_FREE = json_object_size(job->data) ? jval_dump(job->data) : NULL;
	const char *data = text ? text : "{}";

	if (job->state == JOB_RUNNING)
		return store_exec(db, STMT_JOB_GO_ON, err, B_INT(job->id), B_INT(db->incarnation),
				  B_TEXT(job->step), B_INT(job->tries), B_TEXT(data),
				  B_TEXT_OR_NULL(job->head_sha));
	if (job_state_is_final(job->state))
		return store_exec(db, STMT_JOB_FINISH, err, B_INT(job->id), B_INT(db->incarnation),
				  B_INT(job->state), B_TEXT(job->step), B_INT(job->tries),
				  B_TEXT(data), B_TEXT_OR_NULL(job->head_sha),
				  B_INT(result->now_ms), B_TEXT(job->code), B_TEXT(job->message));
	return store_exec(db, STMT_JOB_UPDATE, err, B_INT(job->id), B_INT(db->incarnation),
			  B_INT(job->state), B_TEXT(job->step), B_INT(job->tries), B_INT(stop),
			  B_INT(due_of(job, now, stop, result->now_ms)), B_TEXT(data),
			  B_TEXT_OR_NULL(job->head_sha), B_INT(job->wait_kind),
			  B_TEXT(job->wait_ref));
}

static enum err_class stop_group(struct db *db, const struct job *job, int64_t now_ms,
				 struct err *err)
{
	char message[160];

	snprintf(message, sizeof message,
		 "/%.40s of the same comment, job %" PRId64
		 ", ended as %s, so this was not started.",
		 job->command, job->id, job_state_name(job->state));
	return store_exec(db, STMT_GROUP_STOP, err, B_INT(job->repo_id), B_INT(job->pr),
			  B_INT(job->comment_id), B_INT(job->cmd_no), B_INT(now_ms),
			  B_TEXT(message));
}

enum err_class store_after_end(struct db *db, const struct job *job,
			       const struct store_group *group, int64_t now_ms, struct err *err)
{
	struct outbox_home home = {job->id, job->installation_id, job->repo_id, job->pr, job->repo};
	enum err_class class = store_exec(db, STMT_ENDED_ADD, err, B_INT(job->state), B_INT(1));

	if (class == ERR_OK && job->is_stranger && !job->is_quiet)
		class = store_answered(db, job->repo_id, job->pr, job->actor_id, now_ms, err);
	if (class == ERR_OK && !job->is_quiet)
		class = store_comment_end(db, &home, job->comment_id, now_ms, err);
	if (class == ERR_OK && job->state != JOB_DONE && !group->keep_going && !group->read_only &&
	    !group->is_repeat)
		class = stop_group(db, job, now_ms, err);
	if (class == ERR_OK && !group->read_only)
		class = store_arrange(db, job->repo_id, job->pr, now_ms, err);
	return class == ERR_OK ? store_leave_line(db, job->id, now_ms, err) : class;
}

/* What people are to see of it; a stranger who has been answered meanwhile sees the reaction. */
static enum err_class put_wishes(struct db *db, const struct queue_result *result, struct err *err)
{
	const struct job *job = result->job;
	bool was_answered;
	enum err_class class = store_was_answered(db, job, result->now_ms, &was_answered, err);

	for (size_t i = 0; class == ERR_OK && i < result->wish_count; i++)
		if (!was_answered || result->wishes[i].kind != SLOT_COMMENT)
			class = outbox_put(db, job->id, job->installation_id, job->repo_id, job->pr,
					   job->repo, &result->wishes[i], result->now_ms, err);
	return class;
}

enum err_class queue_step_result(struct db *db, const struct queue_result *result, struct err *err)
{
	const struct job *job = result->job;
	struct present now;
	enum err_class class;

	if (!job_may_move(JOB_RUNNING, job->state))
		return err_code(err, ERR_BUG, "store.move", "job %" PRId64 " may not become %s",
				job->id, job_state_name(job->state));
	if ((class = look(db, job, &now, err)) != ERR_OK)
		return class;
	if (result->cancelled)
		*result->cancelled = now.cancel && !job->cancel;
	if (result->effect && result->effect->kind != EFFECT_NONE &&
	    (class = store_result(db, result, err)) != ERR_OK)
		return class;
	if ((class = update_job(db, result, &now, err)) != ERR_OK ||
	    (class = audit_result(db, result, err)) != ERR_OK ||
	    (class = put_wishes(db, result, err)) != ERR_OK)
		return class;
	if (job->state == JOB_PARKED && job->wait_kind == WAIT_TURN && result->result)
		return store_stay_in_line(db, job,
					  jval_str(result->effect->args, "environment", ""),
					  result->result->data, result->now_ms, err);
	return job_state_is_final(job->state)
		       ? store_after_end(db, job, &now.group, result->now_ms, err)
		       : ERR_OK;
}

enum err_class queue_give_back(struct db *db, int64_t job_id, int64_t due_at_ms, struct err *err)
{
	return store_exec(db, STMT_JOB_GIVE_BACK, err, B_INT(job_id), B_INT(db->incarnation),
			  B_INT(due_at_ms));
}
