/* queue_read.c - see queue.h. Looking at jobs, counting them, and forgetting old ones.
 *
 * Rows are copied out before anything else is asked, because a reader that stands in the middle of
 * a statement keeps the log from being folded in. Nothing here walks a whole table: counts come
 * from partial indexes and from the table of ended jobs, pruning takes a bounded bite each time. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/store/queue.h"
#include "lib/store/queue_made.h"
#include "lib/store/store_impl.h"

enum { LIST_MAX = 500, WALK_DELIVERIES = 2000 };

static const int64_t day_ms = 24 * 3600 * (int64_t)1000;

enum err_class queue_load(struct db *db, int64_t job_id, struct job *out, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_JOB_GET, err, B_INT(job_id));

	if (class == ERR_NOT_FOUND)
		return err_code(err, class, "job.unknown", "there is no job %" PRId64, job_id);
	if (class == ERR_OK)
		store_job_read(out, row);
	return class;
}

static json_t *describe(const struct job *job, int64_t position)
{
	json_t *out = json_object();

	jval_set_int(out, "id", job->id);
	jval_set_str(out, "uid", job->uid);
	jval_set_str(out, "repo", job->repo);
	jval_set_int(out, "pr", job->pr);
	jval_set_str(out, "command", job->command);
	jval_set_str(out, "state", job_state_name(job->state));
	jval_set_str(out, "step", job->step);
	jval_set_str(out, "actor", job->actor);
	jval_set_str(out, "sha", job->head_sha);
	jval_set_int(out, "created_at_ms", job->created_at_ms);
	jval_set_int(out, "started_at_ms", job->started_at_ms);
	jval_set_int(out, "finished_at_ms", job->finished_at_ms);
	jval_set_int(out, "position", position);
	jval_set_str(out, "run_id", jval_str(job->data, "run.id", NULL));
	jval_set_str(out, "code", job->code ? job->code : job->end_code);
	jval_set_str(out, "message", job->message ? job->message : job->end_message);
	return out;
}

/* Appends up to `limit` jobs of a statement that takes (repo, pr, limit). */
static enum err_class list_some(struct db *db, enum stmt id, int64_t repo_id, int64_t pr,
				int64_t limit, json_t *out, struct err *err)
{
	struct job *jobs AUTO_FREE = mem_new((size_t)limit, sizeof *jobs);
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class =
		store_query(db, &row, id, err, B_INT(repo_id), B_INT(pr), B_INT(limit));
	int64_t count = 0;

	while (class == ERR_OK && count < limit) {
		store_job_read(&jobs[count++], row);
		class = store_next(db, &row, err);
	}
	store_row_end(&row);
	for (int64_t i = 0; i < count; i++) {
		int64_t position = 0;

		if (jobs[i].state == JOB_BLOCKED && (class == ERR_OK || class == ERR_NOT_FOUND))
			class = store_number(db, &position, 0, STMT_POSITION,
					     STORE_BINDS(B_INT(jobs[i].repo_id), B_INT(jobs[i].pr),
							 B_INT(jobs[i].comment_id),
							 B_INT(jobs[i].cmd_no), B_INT(jobs[i].id)),
					     err);
		json_array_append_new(out, describe(&jobs[i], position));
		job_dispose(&jobs[i]);
	}
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

enum err_class queue_list(struct db *db, int64_t repo_id, int64_t pr, int64_t limit, json_t **out,
			  struct err *err)
{
	json_t *list AUTO_JSON = json_array();
	enum stmt open = pr	   ? STMT_LIST_OPEN_PR
			 : repo_id ? STMT_LIST_OPEN_REPO
				   : STMT_LIST_OPEN_ALL;
	enum stmt final = pr ? STMT_LIST_FINAL_PR : STMT_LIST_FINAL_REPO;
	enum err_class class;

	limit = limit < 1 ? 1 : limit > LIST_MAX ? LIST_MAX : limit;
	class = list_some(db, open, repo_id, pr, limit, list, err);
	limit -= (int64_t)json_array_size(list);
	if (class == ERR_OK && limit > 0)
		class = list_some(db, final, repo_id, pr, limit, list, err);
	if (class == ERR_OK)
		*out = take(list);
	return class;
}

enum err_class queue_steps(struct db *db, int64_t job_id, json_t **out, struct err *err)
{
	static const char *const phases[] = {"", "open", "done", "failed"};
	json_t *list AUTO_JSON = json_array();
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_STEPS, err, B_INT(job_id));

	while (class == ERR_OK) {
		json_t *step = json_object(), *result = store_json(row, 6);

		jval_set_str(step, "step", (const char *)sqlite3_column_text(row, 0));
		jval_set_str(step, "name", (const char *)sqlite3_column_text(row, 1));
		jval_set_str(step, "phase", phases[sqlite3_column_int(row, 2)]);
		jval_set_int(step, "tries", sqlite3_column_int64(row, 3));
		jval_set_int(step, "started_at_ms", sqlite3_column_int64(row, 4));
		jval_set_int(step, "ended_at_ms", sqlite3_column_int64(row, 5));
		jval_set(step, "result", result ? result : json_null());
		jval_set_str(step, "error", (const char *)sqlite3_column_text(row, 7));
		json_array_append_new(list, step);
		class = store_next(db, &row, err);
	}
	if (class != ERR_NOT_FOUND)
		return class;
	*out = take(list);
	return ERR_OK;
}

static enum err_class count_states(struct db *db, enum stmt id, struct queue_counts *out,
				   struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_first(db, &row, id, NULL, 0, err);

	while (class == ERR_OK) {
		int state = sqlite3_column_int(row, 0);

		if (state >= 0 && (size_t)state < ARRAY_LEN(out->by_state))
			out->by_state[state] = sqlite3_column_int64(row, 1);
		class = store_next(db, &row, err);
	}
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

enum err_class queue_count(struct db *db, int64_t now_ms, struct queue_counts *out, struct err *err)
{
	static const enum stmt counts[] = {STMT_COUNT_DUE, STMT_COUNT_WAITING, STMT_COUNT_LEASED,
					   STMT_COUNT_ENDED};
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = ERR_OK;

	*out = (struct queue_counts){0};
	for (size_t i = 0; class == ERR_OK && i < ARRAY_LEN(counts); i++)
		class = count_states(db, counts[i], out, err);
	if (class == ERR_OK)
		class = store_number(db, &out->overdue, 0, STMT_OVERDUE, STORE_BINDS(B_INT(now_ms)),
				     err);
	if (class == ERR_OK)
		class = store_first(db, &row, STMT_OUTBOX_COUNT, NULL, 0, err);
	if (class != ERR_OK)
		return class;
	out->outbox_waiting = sqlite3_column_int64(row, 0);
	if (out->outbox_waiting)
		out->outbox_age_ms = now_ms - sqlite3_column_int64(row, 1);
	return ERR_OK;
}

enum err_class queue_was_denied(struct db *db, const struct job *job, int64_t since_ms, bool *out,
				struct err *err)
{
	int64_t found;
	enum err_class class =
		store_number(db, &found, 0, STMT_DENIED_SINCE,
			     STORE_BINDS(B_INT(job->repo_id), B_INT(job->pr), B_INT(job->actor_id),
					 B_INT(job->id), B_INT(since_ms)),
			     err);

	*out = found != 0;
	return class;
}

enum err_class queue_heads(struct db *db, int64_t repo_id, int64_t pr, json_t **out,
			   struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	AUTO_JSON json_t *list = json_array();
	enum err_class class =
		store_query(db, &row, STMT_HEADS_GET, err, B_INT(repo_id), B_INT(pr));

	while (class == ERR_OK) {
		json_t *head = json_object();

		jval_set_str(head, "sha", (const char *)sqlite3_column_text(row, 0));
		jval_set_int(head, "at_ms", sqlite3_column_int64(row, 1));
		jval_set_str(head, "action", (const char *)sqlite3_column_text(row, 2));
		json_array_append_new(list, head);
		class = store_next(db, &row, err);
	}
	if (class != ERR_NOT_FOUND)
		return class;
	err->class = ERR_OK;
	*out = take(list);
	return ERR_OK;
}

enum err_class queue_find_upload(struct db *db, int64_t repo_id, int64_t pr, const char *version_id,
				 struct queue_upload *out, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_UPLOAD_GET, err, B_INT(repo_id),
					   B_INT(pr), B_TEXT(version_id));

	*out = (struct queue_upload){.head_sha = ""};
	if (class == ERR_NOT_FOUND)
		return err_set(err, class, "no job of this pull request uploaded this version");
	if (class != ERR_OK)
		return class;
	str_copy(out->head_sha, sizeof out->head_sha, (const char *)sqlite3_column_text(row, 0));
	str_copy(out->sha256, sizeof out->sha256, (const char *)sqlite3_column_text(row, 1));
	str_copy(out->content, sizeof out->content, (const char *)sqlite3_column_text(row, 2));
	return ERR_OK;
}

enum err_class queue_newest_upload(struct db *db, int64_t repo_id, int64_t pr, const char *sha,
				   char **out_name, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_UPLOAD_NEWEST, err, B_INT(repo_id),
					   B_INT(pr), B_TEXT(sha));

	*out_name = NULL;
	if (class == ERR_OK)
		*out_name = store_text(row, 0);
	if (class == ERR_NOT_FOUND || (class == ERR_OK && !*out_name))
		return err_set(err, ERR_NOT_FOUND, "no job of this pull request built this commit");
	return class;
}

enum err_class queue_repo_next(struct db *db, int64_t after_id, struct queue_repo *out,
			       struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_REPO_NEXT, err, B_INT(after_id));

	*out = (struct queue_repo){0};
	if (class != ERR_OK)
		return class == ERR_NOT_FOUND ? err_set(err, class, "no more repositories") : class;
	out->id = sqlite3_column_int64(row, 0);
	str_copy(out->name, sizeof out->name, (const char *)sqlite3_column_text(row, 1));
	out->installation_id = sqlite3_column_int64(row, 2);
	return ERR_OK;
}

enum err_class queue_knows_comment(struct db *db, int64_t repo_id, int64_t pr, int64_t comment_id,
				   bool *out, struct err *err)
{
	char slot[64];
	int64_t known;
	enum err_class class =
		store_number(db, &known, 0, STMT_COMMENT_KNOWN,
			     STORE_BINDS(B_INT(repo_id), B_INT(pr), B_INT(comment_id)), err);

	snprintf(slot, sizeof slot, "refusal:%" PRId64, comment_id);
	if (class == ERR_OK && !known)
		class = store_number(db, &known, 0, STMT_OUTBOX_SLOT, STORE_BINDS(B_TEXT(slot)),
				     err);
	*out = known != 0;
	return class;
}

/* The ledger has no index by age: it is walked in the order of its GUIDs, a bite a call, round and
 * round. */
static enum err_class prune_deliveries(struct db *db, int64_t before_ms, int64_t *deleted,
				       struct err *err)
{
	unsigned char end[16];
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_PRUNE_DELIVERIES_END, err,
					   B_BLOB(db->prune_guid, 16), B_INT(WALK_DELIVERIES));
	bool last = class == ERR_NOT_FOUND;

	if (class != ERR_OK && !last)
		return class;
	memset(end, 0xff, sizeof end);
	if (!last && sqlite3_column_bytes(row, 0) == 16)
		memcpy(end, sqlite3_column_blob(row, 0), sizeof end);
	store_row_end(&row);
	class = store_exec(db, STMT_PRUNE_DELIVERIES, err, B_BLOB(db->prune_guid, 16),
			   B_BLOB(end, 16), B_INT(before_ms));
	*deleted += class == ERR_OK ? store_changes(db) : 0;
	if (last)
		memset(end, 0, sizeof end);
	memcpy(db->prune_guid, end, sizeof end);
	return class;
}

static enum err_class prune_jobs(struct db *db, int64_t before_ms, int64_t dead_before_ms,
				 int64_t limit, int64_t *deleted, struct err *err)
{
	int64_t gone[16] = {0};
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_PRUNE_JOBS, err, B_INT(before_ms),
					   B_INT(dead_before_ms), B_INT(limit));

	while (class == ERR_OK) {
		gone[sqlite3_column_int(row, 0) & 15]++;
		class = store_next(db, &row, err);
	}
	if (class != ERR_NOT_FOUND)
		return class;
	for (int i = JOB_DONE; i < 16; i++) {
		class = gone[i] ? store_exec(db, STMT_ENDED_ADD, err, B_INT(i), B_INT(-gone[i]))
				: ERR_OK;
		if (class != ERR_OK)
			return class;
		*deleted += gone[i];
	}
	return ERR_OK;
}

/* The ledger is walked in bites of a fixed size: one of which hardly anything was old is enough. */
enum err_class queue_prune(struct db *db, int64_t now_ms, int64_t deliveries_ms, int64_t jobs_ms,
			   int64_t limit, bool *more, struct err *err)
{
	int64_t jobs_before = now_ms - jobs_ms, deliveries = 0, jobs = 0, wishes = 0;
	enum err_class class = prune_deliveries(db, now_ms - deliveries_ms, &deliveries, err);

	*more = false;
	if (class == ERR_OK)
		class = prune_jobs(db, jobs_before, jobs_before - jobs_ms, limit, &jobs, err);
	if (class == ERR_OK)
		class = store_exec(db, STMT_PRUNE_ANSWERS, err, B_INT(now_ms - day_ms));
	if (class == ERR_OK)
		class = store_exec(db, STMT_PRUNE_OUTBOX, err, B_INT(jobs_before), B_INT(limit));
	if (class != ERR_OK)
		return class;
	wishes = store_changes(db);
	*more = deliveries >= limit || jobs >= limit || wishes >= limit;
	return deliveries + jobs + wishes > 0 ? store_plain(db, STMT_VACUUM_SOME, err) : ERR_OK;
}

enum err_class queue_is_open(struct db *db, const char *uid, bool *out, struct err *err)
{
	struct job job;
	enum err_class class = queue_load(db, store_uid_job(uid), &job, err);

	*out = class == ERR_OK && str_eq(job.uid, uid) && !job_state_is_final(job.state);
	if (class == ERR_OK)
		job_dispose(&job);
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

/* The model's files as they were when the run was deployed for the first time, to wherever. */
static enum err_class keep_digest(struct db *db, int64_t repo_id, json_t *run, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_RUN_DIGEST, err, B_INT(repo_id),
					   B_TEXT(jval_str(run, "id", "")));

	if (class == ERR_OK)
		jval_set_str(run, "digest", (const char *)sqlite3_column_text(row, 0));
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

enum err_class queue_find_run(struct db *db, int64_t repo_id, int64_t pr, const char *sha,
			      const char *run_id, json_t **out, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	json_t *data AUTO_JSON = NULL;
	enum err_class class =
		run_id ? store_query(db, &row, STMT_RUN_BY_ID, err, B_INT(repo_id), B_TEXT(run_id))
		       : store_query(db, &row, STMT_RUN_OF_SHA, err, B_INT(repo_id), B_INT(pr),
				     B_TEXT(sha));

	if (class == ERR_NOT_FOUND)
		return err_set(err, class, "no such run was made here");
	if (class != ERR_OK)
		return class;
	data = store_json(row, 4);
	*out = json_object();
	jval_set_str(*out, "id", jval_str(data, "run.id", ""));
	jval_set_str(*out, "link", jval_str(data, "run.link", ""));
	jval_set_str(*out, "state",
		     sqlite3_column_int(row, 3) == JOB_DONE ? "SUCCEEDED"
							    : jval_str(data, "run.state", "?"));
	jval_set_int(*out, "job", sqlite3_column_int64(row, 0));
	jval_set_int(*out, "pr", sqlite3_column_int64(row, 1));
	jval_set_str(*out, "sha", (const char *)sqlite3_column_text(row, 2));
	if (jval_at(data, "compile.stores"))
		jval_set(*out, "stores", json_incref(jval_at(data, "compile.stores")));
	if (jval_at(data, "model.metrics"))
		jval_set(*out, "metrics", json_incref(jval_at(data, "model.metrics")));
	if (*jval_str(data, "model.digest", ""))
		jval_set_str(*out, "digest", jval_str(data, "model.digest", ""));
	else
		class = keep_digest(db, repo_id, *out, err);
	if (class != ERR_OK)
		jval_drop(out);
	return class;
}
