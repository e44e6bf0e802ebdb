/* db_start.c - what happens to a file before the first operation: migrations and recovery.
 *
 * Migrations go forward only, each in one transaction with the new user_version, so a kill leaves
 * the old schema or the new one. Before an existing file is changed its copy is made by VACUUM INTO
 * beside it, under a temporary name until it is whole. Recovery is one transaction over small
 * partial indexes: its cost depends on what was under way, not on how much is stored. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/blame.h"
#include "lib/base/crash.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/store/audit_impl.h"
#include "lib/store/queue.h"
#include "lib/store/queue_wake.h"
#include "lib/store/store_impl.h"
#include "lib/store/turns_impl.h"
#include "store_migrations.inc"

enum { APPLICATION_ID = 0x4b464f50 }; /* "KFOP" */

const size_t store_migration_count = ARRAY_LEN(store_migrations);

static enum err_class pragma_number(struct db *db, const char *sql, int64_t *out, struct err *err)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(db->sql, sql, -1, &stmt, NULL) != SQLITE_OK)
		return store_fail(db, err, sql);
	*out = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	return sqlite3_finalize(stmt) == SQLITE_OK ? ERR_OK : store_fail(db, err, sql);
}

static enum err_class refuse_newer(const struct db *db, int64_t version, int64_t newest,
				   struct err *err)
{
	return err_code(err, ERR_CONFIG, "store.newer",
			"the database %s has version %" PRId64 ", this program knows %" PRId64
			"; start the newer program",
			db->path, version, newest);
}

enum err_class db_is_current(struct db *db, struct err *err)
{
	int64_t version, newest = store_migrations[store_migration_count - 1].version;
	enum err_class class = pragma_number(db, "PRAGMA user_version", &version, err);

	if (class != ERR_OK || version == newest)
		return class;
	if (version > newest)
		return refuse_newer(db, version, newest, err);
	return err_code(err, ERR_CONFIG, "store.older",
			"the database %s is of an older kfopsd; start the new one on it once",
			db->path);
}

static enum err_class backup(struct db *db, int64_t version, struct err *err)
{
	char *path AUTO_FREE = str_printf("%s.v%" PRId64 ".bak", db->path, version);
	char *part AUTO_FREE = str_printf("%s.part", path);
	sqlite3_stmt *stmt;
	int code;

	unlink(part);
	if (sqlite3_prepare_v2(db->sql, "VACUUM INTO ?1", -1, &stmt, NULL) != SQLITE_OK)
		return store_fail(db, err, "backup");
	sqlite3_bind_text(stmt, 1, part, -1, SQLITE_STATIC);
	code = sqlite3_step(stmt);
	if (sqlite3_finalize(stmt) != SQLITE_OK || code != SQLITE_DONE)
		return store_fail(db, err, "backup before the migration");
	if (rename(part, path) != 0)
		return err_code(err, ERR_CONFIG, "store.path", "cannot write %s", path);
	log_info("store.backup", LOG_S("path", path), LOG_I("version", version));
	return ERR_OK;
}

static enum err_class migrate_one(struct db *db, const struct migration *step, struct err *err)
{
	char version[96];
	enum err_class class;

	snprintf(version, sizeof version,
		 "PRAGMA user_version = %" PRId64 "; PRAGMA application_id = %d", step->version,
		 (int)APPLICATION_ID);
	CRASH_POINT("store.migrate.before");
	if ((class = store_script(db, "BEGIN IMMEDIATE", err)) != ERR_OK)
		return class;
	if ((class = store_script(db, step->sql, err)) != ERR_OK ||
	    (class = store_script(db, version, err)) != ERR_OK ||
	    (class = store_script(db, "COMMIT", err)) != ERR_OK) {
		if (!sqlite3_get_autocommit(db->sql))
			sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
		err_wrap(err, "migration %s", step->name);
		return class;
	}
	CRASH_POINT("store.migrate.after");
	log_info("store.migrated", LOG_S("name", step->name));
	return ERR_OK;
}

enum err_class store_migrate(struct db *db, const struct migration *list, size_t count,
			     struct err *err)
{
	int64_t version, application, newest = list[count - 1].version, tables;
	enum err_class class;

	if ((class = pragma_number(db, "PRAGMA user_version", &version, err)) != ERR_OK ||
	    (class = pragma_number(db, "PRAGMA application_id", &application, err)) != ERR_OK ||
	    (class = pragma_number(db, "SELECT count(*) FROM sqlite_schema", &tables, err)) !=
		    ERR_OK)
		return class;
	if (version > newest)
		return refuse_newer(db, version, newest, err);
	if (application != APPLICATION_ID && (application || tables))
		return err_code(err, ERR_CONFIG, "store.foreign", "%s is not a database of kfops",
				db->path);
	if (version > 0 && version < newest && (class = backup(db, version, err)) != ERR_OK)
		return class;
	for (size_t i = 0; i < count; i++)
		if (list[i].version > version && (class = migrate_one(db, &list[i], err)) != ERR_OK)
			return class;
	return ERR_OK;
}

static enum err_class audit_burial(struct db *db, const struct job *job, int64_t now_ms,
				   struct err *err)
{
	struct audit_row row = store_audit_of(job, now_ms);

	row.decision = job_state_name(job->state);
	row.code = job->code;
	return store_audit(db, &row, err);
}

/* The last resort for a job that kills the process even while it is being ended: its people get
 * plain words from here, because the worker that would write better ones does not survive it. */
static enum err_class tell_burial(struct db *db, const struct job *job, int64_t now_ms,
				  struct err *err)
{
	struct outbox_home home = {job->id, job->installation_id, job->repo_id, job->pr, job->repo};
	char *slot AUTO_FREE = str_printf("final:%s", job->uid);
	char *marker AUTO_FREE = str_printf("<!-- kf:v1 final=%s -->", job->uid);
	char *body AUTO_FREE = str_printf("%s\nJob %" PRId64 ": %s", marker, job->id, job->message);
	json_t *want AUTO_JSON = json_object();
	char *text AUTO_FREE = NULL;
	struct outbox_text wish = {.slot = slot, .kind = SLOT_COMMENT, .urgency = OUTBOX_FINAL};

	log_error("store.job_buried", LOG_I("job", job->id), LOG_S("repo", job->repo),
		  LOG_I("pr", job->pr));
	jval_set_str(want, "body", body);
	jval_set_str(want, "marker", marker);
	wish.want = text = jval_dump(want);
	return store_wish(db, &home, &wish, now_ms, err);
}

static enum err_class bury(struct db *db, sqlite3_stmt *row, int64_t now_ms, struct err *err)
{
	struct store_group group = {.keep_going = sqlite3_column_int(row, 1) != 0,
				    .read_only = sqlite3_column_int(row, 2) != 0,
				    .is_repeat = sqlite3_column_type(row, 3) != SQLITE_NULL};
	struct job job;
	enum err_class class = queue_load(db, sqlite3_column_int64(row, 0), &job, err);

	if (class != ERR_OK)
		return class;
	class = audit_burial(db, &job, now_ms, err);
	if (class == ERR_OK)
		class = tell_burial(db, &job, now_ms, err);
	if (class == ERR_OK)
		class = store_after_end(db, &job, &group, now_ms, err);
	job_dispose(&job);
	return class;
}

static enum err_class bury_hopeless(struct db *db, int64_t now_ms, struct err *err)
{
	static const char message[] =
		"it stopped kfops again and again and was given up; the operator's log says more.";
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_ORPHANS_HOPELESS, err, B_INT(now_ms),
					   B_TEXT(message), B_INT(STORE_CRASHES_MAX));

	while (class == ERR_OK) {
		class = bury(db, row, now_ms, err);
		if (class == ERR_OK)
			class = store_next(db, &row, err);
	}
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

/* Who is to blame that the last process ended other than on purpose. */
static enum err_class count_crash(struct db *db, struct err *err)
{
	char *path AUTO_FREE = store_note_path(db);
	struct blame note;

	if (db->was_clean)
		return ERR_OK;
	if (!blame_read(path, &note) || note.process != db->incarnation - 1)
		note = (struct blame){0};
	if (note.signal)
		log_error("store.crashed", LOG_I("signal", note.signal), LOG_I("job", note.job));
	return store_exec(db, STMT_ORPHANS_COUNT, err, B_INT(note.job));
}

static enum err_class free_orphans(struct db *db, int64_t now_ms, struct err *err)
{
	enum err_class class = count_crash(db, err);
	int64_t orphans;

	if (class != ERR_OK || (class = bury_hopeless(db, now_ms, err)) != ERR_OK)
		return class;
	class = store_exec(db, STMT_ORPHANS_FREE, err, B_INT(now_ms));
	orphans = store_changes(db);
	if (class != ERR_OK)
		return class;
	if (orphans)
		log_info("store.orphans", LOG_I("jobs", orphans));
	metrics_add(METRIC_CRASHES, NULL, orphans);
	return queue_bring_back(db, now_ms, &orphans, err);
}

static enum err_class count_up(struct db *db, struct err *err)
{
	char text[32] = "";
	enum err_class class = db_meta_get(db, "incarnation", text, sizeof text, err);
	int64_t last = 0;

	if (class != ERR_OK && class != ERR_NOT_FOUND)
		return class;
	if (class == ERR_OK && !str_to_int64(&last, text))
		return err_code(err, ERR_CORRUPT, "store.damaged", "meta.incarnation is \"%s\"",
				text);
	class = db_meta_get(db, "stopped", text, sizeof text, err);
	if (class != ERR_OK && class != ERR_NOT_FOUND)
		return class;
	db->was_clean = class == ERR_NOT_FOUND ? last == 0 : str_eq(text, "clean");
	db->incarnation = last + 1;
	snprintf(text, sizeof text, "%" PRId64, db->incarnation);
	class = db_meta_set(db, "incarnation", text, err);
	return class == ERR_OK ? db_meta_set(db, "stopped", "no", err) : class;
}

enum err_class store_recover(struct db *db, int64_t now_ms, struct err *err)
{
	enum err_class class = db_begin(db, err);
	int64_t last_id;

	if (class != ERR_OK)
		return class;
	if ((class = count_up(db, err)) != ERR_OK ||
	    (class = free_orphans(db, now_ms, err)) != ERR_OK ||
	    (class = store_exec(db, STMT_TURNS_WAKE, err, B_INT(now_ms), B_INT(WAIT_TURN))) !=
		    ERR_OK ||
	    (class = store_number(db, &last_id, 0, STMT_JOB_LAST_ID, NULL, 0, err)) != ERR_OK) {
		db_rollback(db);
		return class;
	}
	db->next_job_id = last_id + 1;
	CRASH_POINT("store.recover.before");
	class = db_commit(db, err);
	CRASH_POINT("store.recover.after");
	return class;
}
