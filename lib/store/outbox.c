/* outbox.c - see outbox.h. One row a slot: the newest wish, how much of it GitHub has, when to try.
 * A wish that equals the stored one changes nothing. outbox_next.c finds the next row. */
#include "lib/store/outbox.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/store/store_impl.h"

enum { ERROR_KEPT = 500 };

void outbox_wish_dispose(struct outbox_wish *wish)
{
	json_decref(wish->want);
	*wish = (struct outbox_wish){0};
}

void outbox_row_dispose(struct outbox_row *row)
{
	mem_free(row->repo);
	mem_free(row->job_uid);
	json_decref(row->want);
	mem_free(row->remote_node_id);
	*row = (struct outbox_row){0};
}

enum err_class store_wish(struct db *db, const struct outbox_home *home,
			  const struct outbox_text *wish, int64_t now_ms, struct err *err)
{
	int64_t due = wish->not_before_ms > now_ms ? wish->not_before_ms : now_ms;

	return store_exec(db, STMT_OUTBOX_PUT, err, B_TEXT(wish->slot), B_INT(wish->kind),
			  B_INT(wish->urgency), B_INT(home->job_id), B_INT(home->installation_id),
			  B_INT(home->repo_id), B_INT(home->pr), B_INT(due), B_INT(now_ms),
			  B_TEXT(home->repo), B_TEXT(wish->want));
}

enum err_class outbox_put(struct db *db, int64_t job_id, int64_t installation_id, int64_t repo_id,
			  int64_t pr, const char *repo, const struct outbox_wish *wish,
			  int64_t now_ms, struct err *err)
{
	struct outbox_home home = {job_id, installation_id, repo_id, pr, repo};
	char *want AUTO_FREE = jval_dump(wish->want);
	struct outbox_text text = {.slot = wish->slot,
				   .kind = wish->kind,
				   .urgency = wish->urgency,
				   .want = want,
				   .not_before_ms = wish->not_before_ms};

	return store_wish(db, &home, &text, now_ms, err);
}

enum err_class outbox_mark(struct db *db, int64_t id, struct err *err)
{
	return store_exec(db, STMT_OUTBOX_MARK, err, B_INT(id));
}

enum err_class outbox_unmark(struct db *db, int64_t id, struct err *err)
{
	return store_exec(db, STMT_OUTBOX_UNMARK, err, B_INT(id));
}

enum err_class outbox_forget(struct db *db, int64_t id, struct err *err)
{
	return store_exec(db, STMT_OUTBOX_FORGET, err, B_INT(id));
}

enum err_class outbox_sent(struct db *db, int64_t id, int64_t version, int64_t remote_id,
			   const char *remote_node_id, struct err *err)
{
	return store_exec(db, STMT_OUTBOX_SENT, err, B_INT(id), B_INT(version),
			  B_INT_OR_NULL(remote_id), B_TEXT_OR_NULL(remote_node_id));
}

enum err_class outbox_retry(struct db *db, int64_t id, int64_t due_ms, bool permanent,
			    const char *error, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	char kept[ERROR_KEPT];
	enum err_class class;

	str_copy(kept, sizeof kept, error ? error : "");
	class = store_query(db, &row, STMT_OUTBOX_RETRY, err, B_INT(id), B_INT(due_ms),
			    B_INT(permanent ? 1 : 0), B_TEXT(kept));
	if (class == ERR_NOT_FOUND)
		return err_set(err, class, "the outbox has no row %" PRId64, id);
	if (class != ERR_OK)
		return class;
	if (sqlite3_column_int64(row, 0) == STORE_REFUSALS_MAX)
		log_error("outbox.given_up",
			  LOG_S("slot", (const char *)sqlite3_column_text(row, 1)),
			  LOG_S("error", kept));
	class = store_next(db, &row, err);
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

enum err_class outbox_remote(struct db *db, const char *slot, int64_t *remote_id,
			     char **remote_node_id, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_OUTBOX_REMOTE, err, B_TEXT(slot));

	if (class == ERR_NOT_FOUND ||
	    (class == ERR_OK && sqlite3_column_type(row, 0) == SQLITE_NULL))
		return err_set(err, ERR_NOT_FOUND, "slot %s has not been sent yet", slot);
	if (class != ERR_OK)
		return class;
	*remote_id = sqlite3_column_int64(row, 0);
	*remote_node_id = store_text(row, 1);
	return ERR_OK;
}
