/* db.h - the SQLite file: opening, migrating, transactions, and what an error of it means.
 *
 * One process per file (flock on <file>.lock). Exactly one connection writes and checkpoints: the
 * writer's, made by db_open. Others are db_open_reader. A handle belongs to one thread at a time.
 * Settings and their reasons: docs/decisions/. No SQL outside lib/store. */
#ifndef KF_STORE_DB_H
#define KF_STORE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

struct db;

/* Opens or creates the file, takes the lock, migrates (after a copy to <file>.v<N>.bak), counts the
 * incarnation up, makes every leased job READY again. Unless the last process stopped on purpose,
 * the job that it noted as the one it crashed over gets one more in `crashes`, of which the worker
 * allows three; any other that was under way gets one more in `deaths`, which delays it from the
 * third on and never ends it. Both start again with its next committed result. CONFIG: held by
 * another process (with its pid), network file system, not writable, newer than this program or not
 * ours. CORRUPT: damaged. */
enum err_class db_open(struct db **out, const char *path, int64_t now_ms,
		       struct err *err) MUST_CHECK;
enum err_class db_open_reader(struct db **out, const char *path, struct err *err) MUST_CHECK;
/* For a reader without a writer beside it: has the file the tables of this program? CONFIG
 * "store.older", "store.newer". */
enum err_class db_is_current(struct db *db, struct err *err) MUST_CHECK;
void db_close(struct db *take_db);

/* From now on a crash of this process is noted beside the file with the job of its thread (see
 * blame_job), for the next db_open. Once in a process. */
enum err_class db_watch_crashes(struct db *db, struct err *err) MUST_CHECK;

int64_t db_incarnation(const struct db *db);

/* False when the last process did not end with db_close: then db_check is worth its time, on a
 * reader. */
bool db_was_clean(const struct db *db);

/* One transaction of many operations. db_commit: on failure nothing of the batch counts; TRANSIENT
 * = disk full or busy (rolled back, go on), CORRUPT = I/O error or damage (leave the process). */
enum err_class db_begin(struct db *db, struct err *err) MUST_CHECK;
enum err_class db_commit(struct db *db, struct err *err) MUST_CHECK;
void db_rollback(struct db *db);

/* Each operation of a batch runs between these, so that one that fails is undone alone. */
enum err_class db_savepoint(struct db *db, struct err *err) MUST_CHECK;
enum err_class db_release(struct db *db, bool keep, struct err *err) MUST_CHECK;

/* Called by the writer when it has nothing to do, and after each commit with `idle` false. */
void db_checkpoint(struct db *db, bool idle);

/* PRAGMA quick_check; CORRUPT with its first lines. */
enum err_class db_check(struct db *db, struct err *err) MUST_CHECK;

/* Writes that this process is here (a meta value). CORRUPT when another one has had the file since:
 * then nothing that this one knows holds any more. */
enum err_class db_confirm(struct db *db, int64_t now_ms, struct err *err) MUST_CHECK;

/* meta table: small named values. */
enum err_class db_meta_get(struct db *db, const char *key, char *out, size_t size,
			   struct err *err) MUST_CHECK;
enum err_class db_meta_set(struct db *db, const char *key, const char *value,
			   struct err *err) MUST_CHECK;

/* Deletes the values whose key starts with `prefix` and whose number after '@' is below `before`.
 */
enum err_class db_meta_forget(struct db *db, const char *prefix, int64_t before,
			      struct err *err) MUST_CHECK;

#endif
