/* db_sql.c - statements: preparing, binding, stepping, and what SQLite's codes mean to us.
 *
 * Three answers to an error. The disk is full or somebody else holds the lock: TRANSIENT, the batch
 * is undone and may be tried again. I/O error or damage: CORRUPT, and the connection stays broken,
 * because after a failed fsync the kernel may have dropped the pages and report the next one as
 * fine; only reading again from disk, in a new process, tells the truth. Anything else is our
 * mistake: BUG. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/store/store_impl.h"
#include "lib/store/strangers_impl.h"

static const char *const texts[STMT_COUNT] = {
#define STMT(symbol, text) [STMT_##symbol] = text,
#include "lib/store/statements.def"
#undef STMT
};

struct bind B_TEXT_OR_NULL(const char *text) {
	return str_is_empty(text) ? B_NULL : B_TEXT(text);
}

struct bind
B_INT_OR_NULL(int64_t number) {
	return number ? B_INT(number) : B_NULL;
}

static enum err_class
class_of(int code, const char **out_name)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		*out_name = "store.full";
		return ERR_TRANSIENT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_INTERRUPT:
	case SQLITE_PROTOCOL:
		*out_name = "store.busy";
		return ERR_TRANSIENT;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
		*out_name = "store.io";
		return ERR_CORRUPT;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		*out_name = "store.damaged";
		return ERR_CORRUPT;
	default:
		*out_name = "store.bug";
		return ERR_BUG;
	}
}

enum err_class store_fail(struct db *db, struct err *err, const char *doing)
{
	int code = sqlite3_extended_errcode(db->sql);
	const char *name;
	enum err_class class = class_of(code, &name);

	must((code & 0xff) != SQLITE_NOMEM);
	if (class == ERR_CORRUPT && db->writer)
		db->broken = ERR_CORRUPT;
	return err_code(err, class, name, "database: %.120s: %s (code %d)", doing,
			sqlite3_errmsg(db->sql), code);
}

enum err_class store_script(struct db *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db->sql, sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_fail(db, err, sql);
	return ERR_OK;
}

static int bind_one(sqlite3_stmt *stmt, int at, const struct bind *bind)
{
	switch (bind->type) {
	case BIND_INT:
		return sqlite3_bind_int64(stmt, at, bind->number);
	case BIND_TEXT:
		return sqlite3_bind_text(stmt, at, bind->bytes, -1, SQLITE_STATIC);
	case BIND_BLOB:
		return sqlite3_bind_blob64(stmt, at, bind->bytes, bind->len, SQLITE_STATIC);
	case BIND_NULL:
		break;
	}
	return sqlite3_bind_null(stmt, at);
}

/* The statement, prepared and bound; NULL when SQLite refuses. */
static sqlite3_stmt *ready(struct db *db, enum stmt id, const struct bind *binds, size_t count)
{
	sqlite3_stmt *stmt = db->stmts[id];

	if (!stmt && sqlite3_prepare_v3(db->sql, texts[id], -1, SQLITE_PREPARE_PERSISTENT,
					&db->stmts[id], NULL) != SQLITE_OK)
		return NULL;
	stmt = db->stmts[id];
	for (size_t i = 0; i < count; i++)
		if (bind_one(stmt, (int)i + 1, &binds[i]) != SQLITE_OK)
			return NULL;
	return stmt;
}

enum err_class store_run(struct db *db, enum stmt id, const struct bind *binds, size_t count,
			 struct err *err)
{
	sqlite3_stmt *stmt = ready(db, id, binds, count);
	enum err_class class = ERR_OK;
	int code;

	if (!stmt)
		return store_fail(db, err, texts[id]);
	do
		code = sqlite3_step(stmt);
	while (code == SQLITE_ROW);
	if (code != SQLITE_DONE)
		class = store_fail(db, err, texts[id]);
	sqlite3_reset(stmt);
	return class;
}

int64_t store_changes(const struct db *db)
{
	return sqlite3_changes64(db->sql);
}

void store_row_end(sqlite3_stmt **row)
{
	if (*row)
		sqlite3_reset(*row);
	*row = NULL;
}

enum err_class store_next(struct db *db, sqlite3_stmt **row, struct err *err)
{
	enum err_class class = ERR_OK;
	int code = sqlite3_step(*row);

	if (code == SQLITE_ROW)
		return ERR_OK;
	class = code == SQLITE_DONE ? ERR_NOT_FOUND : store_fail(db, err, sqlite3_sql(*row));
	store_row_end(row);
	return class;
}

enum err_class store_first(struct db *db, sqlite3_stmt **row, enum stmt id,
			   const struct bind *binds, size_t count, struct err *err)
{
	*row = ready(db, id, binds, count);
	if (!*row)
		return store_fail(db, err, texts[id]);
	return store_next(db, row, err);
}

enum err_class store_number(struct db *db, int64_t *out, int64_t fallback, enum stmt id,
			    const struct bind *binds, size_t count, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_first(db, &row, id, binds, count, err);

	*out = fallback;
	if (class == ERR_NOT_FOUND)
		return ERR_OK;
	if (class == ERR_OK && sqlite3_column_type(row, 0) != SQLITE_NULL)
		*out = sqlite3_column_int64(row, 0);
	return class;
}

char *store_text(sqlite3_stmt *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	return str_dup((const char *)text);
}

json_t *store_json(sqlite3_stmt *row, int column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	json_t *value = NULL;

	if (!text)
		return NULL;
	if (jval_parse(&value, text, (size_t)sqlite3_column_bytes(row, column), NULL) != ERR_OK)
		return NULL;
	return value;
}

static void copy_text(char *out, size_t size, sqlite3_stmt *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	str_copy(out, size, text ? (const char *)text : "");
}

/* An object that cannot be read back is an empty one: the steps find out again what they need. */
static json_t *object_at(sqlite3_stmt *row, int column)
{
	json_t *value = store_json(row, column);

	if (json_is_object(value))
		return value;
	json_decref(value);
	return json_object();
}

void store_job_read(struct job *out, sqlite3_stmt *row)
{
	int at = 0;

	*out = (struct job){0};
	out->id = sqlite3_column_int64(row, at++);
	copy_text(out->uid, sizeof out->uid, row, at++);
	out->installation_id = sqlite3_column_int64(row, at++);
	out->repo_id = sqlite3_column_int64(row, at++);
	out->repo = store_text(row, at++);
	out->pr = sqlite3_column_int64(row, at++);
	out->comment_id = sqlite3_column_int64(row, at++);
	out->cmd_no = sqlite3_column_int64(row, at++);
	out->actor_id = sqlite3_column_int64(row, at++);
	out->actor = store_text(row, at++);
	out->command = store_text(row, at++);
	out->line = store_text(row, at++);
	out->args = object_at(row, at++);
	out->data = object_at(row, at++);
	copy_text(out->head_sha, sizeof out->head_sha, row, at++);
	out->state = (enum job_state)sqlite3_column_int(row, at++);
	copy_text(out->step, sizeof out->step, row, at++);
	out->tries = sqlite3_column_int64(row, at++);
	out->crashes = sqlite3_column_int64(row, at++);
	out->cancel = sqlite3_column_int(row, at++) != 0;
	out->cancelled_by = store_text(row, at++);
	out->wait_kind = (enum wait_kind)sqlite3_column_int(row, at++);
	out->wait_ref = store_text(row, at++);
	out->due_at_ms = sqlite3_column_int64(row, at++);
	out->deadline_at_ms = sqlite3_column_int64(row, at++);
	out->comment_at_ms = sqlite3_column_int64(row, at++);
	out->created_at_ms = sqlite3_column_int64(row, at++);
	out->started_at_ms = sqlite3_column_int64(row, at++);
	out->finished_at_ms = sqlite3_column_int64(row, at++);
	out->code = store_text(row, at++);
	out->message = store_text(row, at++);
	out->end_state = (enum job_state)sqlite3_column_int(row, at++);
	out->end_code = store_text(row, at++);
	out->end_message = store_text(row, at++);
	out->is_stranger = sqlite3_column_int(row, at) != STRANGER_NONE;
	out->is_quiet = sqlite3_column_int(row, at) == STRANGER_QUIET;
}
