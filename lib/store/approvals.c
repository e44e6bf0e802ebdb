/* approvals.c - see approvals.h. A row says who and of which commit, nothing more: rights may be
 * lost and reviews dismissed while a job waits, so nothing that was counted is kept. */
#include "lib/store/approvals.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/store/audit_impl.h"
#include "lib/store/queue.h"
#include "lib/store/store_impl.h"

enum { LIST_MAX = 500 };

void approval_ref(char out[48], int64_t job_id)
{
	snprintf(out, 48, "approvals:%" PRId64, job_id);
}

static enum err_class may_be_approved(const struct job *job, const struct job *as, struct err *err)
{
	if (job->repo_id != as->repo_id || job->pr != as->pr)
		return err_code(err, ERR_NOT_FOUND, "job.unknown",
				"there is no job %" PRId64
				" on this pull request; `/status` lists them",
				job->id);
	if (job_state_is_final(job->state) || job->end_state)
		return err_code(err, ERR_CONFLICT, "job.ended",
				"job %" PRId64 " has already ended: %s", job->id,
				job_state_name(job->end_state ? job->end_state : job->state));
	if (jval_int(job->data, "approvals.need", 0) <= 0 || !str_is_object_name(job->head_sha))
		return err_code(err, ERR_CONFLICT, "approve.not_waiting",
				"job %" PRId64 ", `/%s`, does not wait for approvals now", job->id,
				job->command);
	return ERR_OK;
}

static enum err_class add(struct db *db, const struct job *job, const struct job *as,
			  int64_t said_at_ms, int64_t now_ms, struct err *err)
{
	char ref[48], after[128];
	enum err_class class =
		store_exec(db, STMT_APPROVAL_ADD, err, B_INT(job->id), B_INT(as->actor_id),
			   B_TEXT(as->actor), B_TEXT(job->head_sha), B_INT(said_at_ms));

	if (class != ERR_OK || !store_changes(db))
		return class;
	snprintf(after, sizeof after, "job=%" PRId64 " command=%.40s sha=%s", job->id, job->command,
		 job->head_sha);
	class = store_audit_change(db, as, effect_name(EFFECT_APPROVE), "", after, now_ms, err);
	if (class != ERR_OK)
		return class;
	approval_ref(ref, job->id);
	return store_exec(db, STMT_WAKE_REF, err, B_TEXT(ref), B_INT(WAIT_APPROVAL), B_INT(now_ms));
}

/* By this very comment: then it is only the answer that is still owed. */
static enum err_class was_said(struct db *db, const struct job *job, const struct job *as,
			       int64_t said_at_ms, bool *out, struct err *err)
{
	int64_t found;
	enum err_class class = store_number(
		db, &found, 0, STMT_APPROVAL_SAID,
		STORE_BINDS(B_INT(job->id), B_INT(as->actor_id), B_INT(said_at_ms)), err);

	*out = found != 0;
	return class;
}

enum err_class approval_add(struct db *db, const struct job *as, int64_t job_id, int64_t said_at_ms,
			    int64_t now_ms, json_t **out, struct err *err)
{
	struct job job;
	bool said = false;
	enum err_class class = queue_load(db, job_id, &job, err);

	if (class == ERR_NOT_FOUND)
		return err_code(err, class, "job.unknown",
				"there is no job %" PRId64
				" on this pull request; `/status` lists them",
				job_id);
	if (class != ERR_OK)
		return class;
	class = was_said(db, &job, as, said_at_ms, &said, err);
	if (class == ERR_OK && !said)
		class = may_be_approved(&job, as, err);
	if (class == ERR_OK && !said)
		class = add(db, &job, as, said_at_ms, now_ms, err);
	if (class == ERR_OK) {
		*out = json_object();
		jval_set_int(*out, "job", job.id);
		jval_set_str(*out, "sha", job.head_sha);
	}
	job_dispose(&job);
	return class;
}

enum err_class approval_list(struct db *db, int64_t job_id, json_t **out, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	json_t *list AUTO_JSON = json_array();
	enum err_class class =
		store_query(db, &row, STMT_APPROVAL_LIST, err, B_INT(job_id), B_INT(LIST_MAX));

	while (class == ERR_OK) {
		json_t *act = json_object();

		jval_set_str(act, "state", "APPROVED");
		jval_set_bool(act, "command", true);
		jval_set_int(act, "id", sqlite3_column_int64(row, 0));
		jval_set_str(act, "login", (const char *)sqlite3_column_text(row, 1));
		jval_set_str(act, "sha", (const char *)sqlite3_column_text(row, 2));
		jval_set_int(act, "at_ms", sqlite3_column_int64(row, 3));
		json_array_append_new(list, act);
		class = store_next(db, &row, err);
	}
	if (class != ERR_NOT_FOUND)
		return class;
	*out = take(list);
	return ERR_OK;
}
