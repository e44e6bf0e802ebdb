/* store_impl.h - what the files of lib/store share; nobody else includes it (except their tests).
 *
 * Every SQL text is a row of statements.def and is prepared once per connection, at its first use.
 * Values are bound by typed initialisers, so a wrong width cannot slip through a variable argument
 * list. Text is bound without a copy: it must live until the statement is reset. */
#ifndef KF_STORE_IMPL_H
#define KF_STORE_IMPL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/core/audit.h"
#include "lib/core/command.h"
#include "lib/core/job.h"
#include "lib/store/db.h"
#include "lib/store/outbox.h"
#include "lib/store/turns_impl.h"

/* In the order in which store_job_read takes them. */
#define JOB_COLUMNS                                                                                \
	"id, uid, installation_id, repo_id, repo, pr, comment_id, cmd_no, actor_id, actor, "       \
	"command, line, args, data, head_sha, state, step, tries, crashes, cancel, "               \
	"cancelled_by, wait_kind, wait_ref, due_at, deadline_at, comment_at, created_at, "         \
	"started_at, finished_at, code, message, end_state, end_code, end_message, stranger"

/* Jobs that keep or wait for the turn of their pull request. */
#define JOB_IN_LINE                                                                                \
	"repo_id = ?1 AND pr = ?2 AND end_state = 0 AND read_only = 0 AND finished_at IS NULL"

/* Jobs `j` that a quota counts. */
#define JOB_IS_COUNTED                                                                             \
	"j.created_at > ?3 AND j.command IN (SELECT value FROM json_each(?4)) AND j.id < ?5 "      \
	"AND coalesce(j.code, '') NOT GLOB 'denied.*' "                                            \
	"AND coalesce(j.code, '') NOT GLOB 'policy.*' "                                            \
	"AND coalesce(j.code, '') NOT GLOB 'fork.*'"

/* In the order in which deployments.c takes them. */
#define DEPLOYMENT_COLUMNS                                                                         \
	"id, environment, state, job_id, uid, pr, head_sha, run_id, actor_id, actor, fence, "      \
	"namespace, service, storage_uri, model_digest, percent, template, before, plan, "         \
	"revision, remote_id, started_at, ended_at"

/* In the order in which audit.c takes them. */
#define AUDIT_COLUMNS                                                                              \
	"no, at, actor_id, actor, command, decision, code, sha, repo_id, repo, pr, job_id, "       \
	"effect, before, after, previous, digest"

enum stmt {
#define STMT(symbol, text) STMT_##symbol,
#include "lib/store/statements.def"
#undef STMT
	STMT_COUNT
};

enum {
	STORE_CACHE_KIB = 2048, /* of the writer */
	STORE_READER_CACHE_KIB = 512,
	STORE_CRASHES_MAX = 6,	      /* then the store ends a job that even its ending kills */
	STORE_RESULT_MAX = 16 * 1024, /* bytes of a step's result that are kept for people */
	STORE_REFUSALS_MAX = 10, /* permanent errors after which a wish is given up; in the index */
};

struct db {
	sqlite3 *sql;
	char *path;
	bool writer;
	bool was_clean;
	bool in_batch;
	int lock_fd;
	int wal_pages;	       /* not folded in yet */
	bool wal_grown;	       /* since the log was last emptied */
	enum err_class broken; /* ERR_CORRUPT once the disk failed us; never cleared */
	int64_t incarnation;
	int64_t next_job_id;
	int64_t committed_mono_ms;
	int64_t claim_turn;	      /* repository that had a job claimed last */
	struct outbox_turns turns;    /* of a reader of the outbox */
	unsigned char prune_guid[16]; /* where walking the deliveries stopped */
	struct audit_row *told;	      /* rows of the open transaction, to be logged after it */
	size_t told_count, told_cap, told_mark;
	sqlite3_stmt *stmts[STMT_COUNT];
};

struct bind {
	enum { BIND_INT, BIND_TEXT, BIND_BLOB, BIND_NULL } type;
	int64_t number;
	const void *bytes;
	size_t len;
};
#define B_INT(value_) ((struct bind){.type = BIND_INT, .number = (int64_t)(value_)})
/* NULL and, for B_TEXT_OR_NULL, "" become null. */
#define B_TEXT(text_)	     ((struct bind){.type = BIND_TEXT, .bytes = (const char *)(text_)})
#define B_BLOB(bytes_, len_) ((struct bind){.type = BIND_BLOB, .bytes = (bytes_), .len = (len_)})
#define B_NULL		     ((struct bind){.type = BIND_NULL})
struct bind B_TEXT_OR_NULL(const char *text);
struct bind B_INT_OR_NULL(int64_t number);
#define STORE_BINDS_(...) ((const struct bind[]){__VA_ARGS__})
#define STORE_BINDS(...)                                                                           \
	STORE_BINDS_(__VA_ARGS__), sizeof STORE_BINDS_(__VA_ARGS__) / sizeof(struct bind)

/* Runs a statement that answers no rows. */
enum err_class store_run(struct db *db, enum stmt id, const struct bind *binds, size_t count,
			 struct err *err) MUST_CHECK;
#define store_plain(db, id, err)     store_run(db, id, NULL, 0, err)
#define store_exec(db, id, err, ...) store_run(db, id, STORE_BINDS(__VA_ARGS__), err)
int64_t store_changes(const struct db *db);

/* First row of a statement; NOT_FOUND (quietly) when there is none. *row is reset by store_row_end
 * or, when NOT_FOUND or an error came out, already. */
enum err_class store_first(struct db *db, sqlite3_stmt **row, enum stmt id,
			   const struct bind *binds, size_t count, struct err *err) MUST_CHECK;
#define store_query(db, row, id, err, ...) store_first(db, row, id, STORE_BINDS(__VA_ARGS__), err)
enum err_class store_next(struct db *db, sqlite3_stmt **row, struct err *err) MUST_CHECK;
void store_row_end(sqlite3_stmt **row);
#define AUTO_ROW __attribute__((cleanup(store_row_end)))

/* One number, or the fallback when there is no row. */
enum err_class store_number(struct db *db, int64_t *out, int64_t fallback, enum stmt id,
			    const struct bind *binds, size_t count, struct err *err) MUST_CHECK;

/* Columns: text copied for the caller, NULL for null. */
char *store_text(sqlite3_stmt *row, int column) MUST_CHECK;
json_t *store_json(sqlite3_stmt *row, int column) MUST_CHECK;
void store_job_read(struct job *out, sqlite3_stmt *row);

/* Class and sentence of the connection's last error. */
enum err_class store_fail(struct db *db, struct err *err, const char *doing);
enum err_class store_script(struct db *db, const char *sql, struct err *err) MUST_CHECK;

/* Opening with a list of migrations; db_open has the program's own. */
struct migration {
	int64_t version;
	const char *name;
	const char *sql;
};
extern const struct migration store_migrations[];
extern const size_t store_migration_count;
enum err_class store_open(struct db **out, const char *path, int64_t now_ms,
			  const struct migration *list, size_t count, struct err *err) MUST_CHECK;
enum err_class store_migrate(struct db *db, const struct migration *list, size_t count,
			     struct err *err) MUST_CHECK;

/* The file beside the database in which a crash is noted; the caller frees. */
char *store_note_path(const struct db *db) MUST_CHECK;

/* Finds orphans, counts the incarnation up; inside its own transaction. */
enum err_class store_recover(struct db *db, int64_t now_ms, struct err *err) MUST_CHECK;

/* A job repeated under a comment: row and uid of the new one. */
struct store_repeat {
	int64_t origin_id;
	int64_t by_id; /* the job of the /retry; 0: a button */
	int64_t comment_id;
	int64_t actor_id;
	const char *actor;
	int64_t comment_at_ms;
	int64_t deadline_at_ms;
};
enum err_class store_repeat(struct db *db, const struct store_repeat *repeat, int64_t now_ms,
			    int64_t *out_id, struct err *err) MUST_CHECK;

/* A pull request was closed unmerged: what deploys, was asked for before and has started is marked
 * as by /cancel of whoever closed it. */
struct queue_delivery;
enum err_class store_cancel_closed(struct db *db, const struct queue_delivery *delivery,
				   const struct command_table *commands,
				   struct err *err) MUST_CHECK;

/* A fresh job id with its uid, and the id inside a uid (0: not one of ours). */
int64_t store_uid_make(struct db *db, char uid[27], int64_t now_ms);
int64_t store_uid_job(const char *uid);

/* outbox_put for a want that is text already. */
struct outbox_text {
	const char *slot;
	enum slot_kind kind;
	int urgency;
	const char *want;
	int64_t not_before_ms;
};
struct outbox_home {
	int64_t job_id, installation_id, repo_id, pr;
	const char *repo;
};
enum err_class store_wish(struct db *db, const struct outbox_home *home,
			  const struct outbox_text *wish, int64_t now_ms,
			  struct err *err) MUST_CHECK;

/* Wishes the final reaction of a comment, if a job that has just ended was the last of it. */
enum err_class store_comment_end(struct db *db, const struct outbox_home *home, int64_t comment_id,
				 int64_t now_ms, struct err *err) MUST_CHECK;

#endif
