/* db.c - see db.h. Opening is recovery: nothing depends on how the last process stopped.
 *
 * One file lock, held for life, makes "leased by an older incarnation" the same as "orphaned", so
 * no lease needs a clock. One connection writes and checkpoints, which Debian 12's SQLite 3.40.1
 * needs (its WAL-reset bug takes two) and which keeps checkpoints out of the way of commits. They
 * run when the writer has been quiet for a second; a longer log is folded in as soon as nothing
 * waits, because a checkpoint costs two fsyncs and under a steady trickle the next request is
 * always a moment away; a log of 64 MiB is folded in regardless. It is not folded in at start, so a
 * start after kill -9 costs reading it once. */
#include "lib/store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/base/blame.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/store/audit_impl.h"
#include "lib/store/store_impl.h"
#include "lib/store/vfs_fault.h"

enum {
	BUSY_TIMEOUT_MS = 5000,
	WAL_PAGES_IDLE = 1000,	/* folded in when nothing was committed for a while */
	WAL_PAGES_PAUSE = 4000, /* 16 MiB: folded in when nothing waits at the moment */
	WAL_PAGES_MAX = 16000,	/* 64 MiB: folded in regardless */
	QUIET_AFTER_MS = 1000,
	TRUNCATE_AFTER_MS = 60000,
};

static void on_sqlite_log(void *arg, int code, const char *message)
{
	(void)arg;
	switch (code & 0xff) {
	case SQLITE_SCHEMA:
		break;
	case SQLITE_NOTICE:
		log_info("store.sqlite", LOG_I("code", code), LOG_S("message", message));
		break;
	default:
		log_warn("store.sqlite", LOG_I("code", code), LOG_S("message", message));
	}
}

/* Process-wide settings count only before SQLite's first use; refusals do no harm. */
static void sqlite_setup(void)
{
	sqlite3_config(SQLITE_CONFIG_LOG, on_sqlite_log, NULL);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	/* Pages one by one as they are needed, not twenty for each connection beforehand. */
	sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
}

static pthread_once_t setup_once = PTHREAD_ONCE_INIT;

/* WAL needs shared memory and honest locks, which network file systems do not give. */
static enum err_class refuse_network(const char *dir, struct err *err)
{
	static const struct {
		int64_t magic;
		const char *name;
	} refused[] = {
		{NFS_SUPER_MAGIC, "NFS"},   {SMB_SUPER_MAGIC, "SMB"}, {0xff534d42, "CIFS"},
		{0xfe534d42, "SMB2"},	    {0x65735546, "FUSE"},     {AFS_SUPER_MAGIC, "AFS"},
		{CODA_SUPER_MAGIC, "Coda"},
	};
	struct statfs fs;

	if (statfs(dir, &fs) != 0)
		return err_code(err, ERR_CONFIG, "store.path", "cannot look at %s: %s", dir,
				strerror(errno));
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (((int64_t)fs.f_type & 0xffffffff) == refused[i].magic)
			return err_code(err, ERR_CONFIG, "store.network",
					"%s is on %s; the database needs a local file system", dir,
					refused[i].name);
	return ERR_OK;
}

static void folder_of(char *out, size_t size, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		str_copy(out, size, ".");
	else if (slash == path)
		str_copy(out, size, "/");
	else {
		str_copy(out, size, path);
		if ((size_t)(slash - path) < size)
			out[slash - path] = '\0';
	}
}

static void holder_of(int fd, char out[32])
{
	ssize_t got = pread(fd, out, 31, 0);

	out[got > 0 ? got : 0] = '\0';
	out[strspn(out, "0123456789")] = '\0';
	if (!out[0])
		str_copy(out, 32, "unknown");
}

static enum err_class lock_file(struct db *db, struct err *err)
{
	char *path AUTO_FREE = str_printf("%s.lock", db->path);
	char pid[32];

	db->lock_fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (db->lock_fd < 0)
		return err_code(err, ERR_CONFIG, "store.path", "cannot write %s: %s", path,
				strerror(errno));
	if (flock(db->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		holder_of(db->lock_fd, pid);
		return err_code(err, ERR_CONFIG, "store.locked",
				"the database %s is in use by process %s", db->path, pid);
	}
	snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	if (ftruncate(db->lock_fd, 0) != 0 ||
	    pwrite(db->lock_fd, pid, strlen(pid), 0) != (ssize_t)strlen(pid))
		return err_code(err, ERR_CONFIG, "store.path", "cannot write %s: %s", path,
				strerror(errno));
	return ERR_OK;
}

static int on_wal(void *arg, sqlite3 *sql, const char *name, int pages)
{
	struct db *db = arg;

	(void)sql;
	(void)name;
	db->wal_pages = pages;
	return SQLITE_OK;
}

static enum err_class connect(struct db *db, int flags, struct err *err)
{
	const char *vfs = vfs_fault_name();
	int code = sqlite3_open_v2(db->path, &db->sql, flags | SQLITE_OPEN_NOMUTEX, vfs);

	must(db->sql);
	if (code != SQLITE_OK)
		return err_code(err, ERR_CONFIG, "store.path",
				"cannot open the database %s: %s (%s)", db->path,
				sqlite3_errmsg(db->sql), strerror(sqlite3_system_errno(db->sql)));
	sqlite3_extended_result_codes(db->sql, 1);
	sqlite3_busy_timeout(db->sql, BUSY_TIMEOUT_MS);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return ERR_OK;
}

/* journal_mode answers with the mode that holds, instead of an error. */
static enum err_class wal_mode(struct db *db, struct err *err)
{
	sqlite3_stmt *stmt;
	bool wal = false;

	if (sqlite3_prepare_v2(db->sql, "PRAGMA journal_mode = WAL", -1, &stmt, NULL) != SQLITE_OK)
		return store_fail(db, err, "journal_mode");
	if (sqlite3_step(stmt) == SQLITE_ROW)
		wal = str_eq((const char *)sqlite3_column_text(stmt, 0), "wal");
	if (sqlite3_finalize(stmt) != SQLITE_OK)
		return store_fail(db, err, "journal_mode");
	return wal ? ERR_OK
		   : err_code(err, ERR_CONFIG, "store.wal",
			      "%s cannot keep a write-ahead log on this file system", db->path);
}

static enum err_class settings(struct db *db, struct err *err)
{
	char text[512];

	snprintf(text, sizeof text,
		 "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA mmap_size = 0; "
		 "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON; "
		 "PRAGMA journal_size_limit = 67108864; PRAGMA cell_size_check = ON; "
		 "PRAGMA cache_size = -%d; %s",
		 db->writer ? STORE_CACHE_KIB : STORE_READER_CACHE_KIB,
		 db->writer ? "" : "PRAGMA query_only = ON;");
	return store_script(db, text, err);
}

static enum err_class open_writer(struct db *db, int64_t now_ms, const struct migration *list,
				  size_t count, struct err *err)
{
	char dir[4096];
	enum err_class class;

	folder_of(dir, sizeof dir, db->path);
	if ((class = refuse_network(dir, err)) != ERR_OK ||
	    (class = lock_file(db, err)) != ERR_OK ||
	    (class = connect(db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err)) != ERR_OK)
		return class;
	/* Both count only for a file that is still empty. */
	class = store_script(db, "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;", err);
	if (class != ERR_OK || (class = settings(db, err)) != ERR_OK ||
	    (class = store_migrate(db, list, count, err)) != ERR_OK ||
	    (class = wal_mode(db, err)) != ERR_OK)
		return class;
	sqlite3_wal_hook(db->sql, on_wal, db);
	return store_recover(db, now_ms, err);
}

enum err_class store_open(struct db **out, const char *path, int64_t now_ms,
			  const struct migration *list, size_t count, struct err *err)
{
	struct db *db = mem_new(1, sizeof *db);
	enum err_class class;

	pthread_once(&setup_once, sqlite_setup);
	vfs_fault_init();
	db->path = str_dup(path);
	db->writer = true;
	db->lock_fd = -1;
	class = open_writer(db, now_ms, list, count, err);
	if (class != ERR_OK) {
		db->broken = ERR_CORRUPT; /* so that closing leaves the file as it is */
		db_close(db);
		return class;
	}
	*out = db;
	return ERR_OK;
}

enum err_class db_open(struct db **out, const char *path, int64_t now_ms, struct err *err)
{
	return store_open(out, path, now_ms, store_migrations, store_migration_count, err);
}

enum err_class db_open_reader(struct db **out, const char *path, struct err *err)
{
	struct db *db = mem_new(1, sizeof *db);
	enum err_class class;

	pthread_once(&setup_once, sqlite_setup);
	db->path = str_dup(path);
	db->lock_fd = -1;
	class = connect(db, SQLITE_OPEN_READONLY, err);
	if (class == ERR_OK)
		class = settings(db, err);
	if (class != ERR_OK) {
		db_close(db);
		return class;
	}
	*out = db;
	return ERR_OK;
}

/* A clean stop folds the log in and says so, so that the next start need not check the file. */
static void stop_cleanly(struct db *db)
{
	struct err err;

	if (db_begin(db, &err) != ERR_OK)
		return;
	if (db_meta_set(db, "stopped", "clean", &err) != ERR_OK) {
		db_rollback(db);
		return;
	}
	if (db_commit(db, &err) == ERR_OK)
		sqlite3_wal_checkpoint_v2(db->sql, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

void db_close(struct db *take_db)
{
	if (!take_db)
		return;
	if (take_db->in_batch)
		db_rollback(take_db);
	if (take_db->writer && take_db->broken == ERR_OK)
		stop_cleanly(take_db);
	for (size_t i = 0; i < STMT_COUNT; i++)
		sqlite3_finalize(take_db->stmts[i]);
	mem_free(take_db->turns.places);
	if (take_db->sql)
		must(sqlite3_close(take_db->sql) == SQLITE_OK);
	if (take_db->lock_fd >= 0)
		close(take_db->lock_fd);
	store_audit_forget(take_db);
	mem_free(take_db->told);
	mem_free(take_db->path);
	mem_free(take_db);
}

char *store_note_path(const struct db *db)
{
	return str_printf("%s.crash", db->path);
}

enum err_class db_watch_crashes(struct db *db, struct err *err)
{
	char *path AUTO_FREE = store_note_path(db);

	return blame_watch(path, db->incarnation, err);
}

int64_t db_incarnation(const struct db *db)
{
	return db->incarnation;
}

bool db_was_clean(const struct db *db)
{
	return db->was_clean;
}

static enum err_class refuse_broken(struct err *err)
{
	return err_code(err, ERR_CORRUPT, "store.broken",
			"an earlier error of the disk makes this connection unusable");
}

enum err_class db_begin(struct db *db, struct err *err)
{
	enum err_class class;

	if (db->broken)
		return refuse_broken(err);
	class = store_plain(db, STMT_BEGIN, err);
	db->in_batch = class == ERR_OK;
	store_audit_forget(db);
	return class;
}

void db_rollback(struct db *db)
{
	struct err err;

	db->in_batch = false;
	store_audit_forget(db);
	if (!sqlite3_get_autocommit(db->sql) && store_plain(db, STMT_ROLLBACK, &err) != ERR_OK)
		db->broken = ERR_CORRUPT;
}

enum err_class db_commit(struct db *db, struct err *err)
{
	enum err_class class;

	if (db->broken) {
		db_rollback(db);
		return refuse_broken(err);
	}
	if (sqlite3_get_autocommit(db->sql)) { /* SQLite has undone the batch by itself */
		db->in_batch = false;
		store_audit_forget(db);
		return err_code(err, ERR_TRANSIENT, "store.undone",
				"the database undid the batch; nothing of it is stored");
	}
	class = store_plain(db, STMT_COMMIT, err);
	if (class != ERR_OK) {
		db_rollback(db);
		return class == ERR_TRANSIENT ? class : (db->broken = ERR_CORRUPT);
	}
	db->in_batch = false;
	db->wal_grown = true;
	db->committed_mono_ms = clock_mono_ms();
	store_audit_tell(db);
	return ERR_OK;
}

enum err_class db_savepoint(struct db *db, struct err *err)
{
	if (db->broken)
		return refuse_broken(err);
	if (sqlite3_get_autocommit(db->sql))
		return err_code(err, ERR_TRANSIENT, "store.undone", "the database undid the batch");
	store_audit_mark(db);
	return store_plain(db, STMT_SAVEPOINT, err);
}

enum err_class db_release(struct db *db, bool keep, struct err *err)
{
	enum err_class class = ERR_OK;

	if (sqlite3_get_autocommit(db->sql))
		return err_code(err, ERR_TRANSIENT, "store.undone", "the database undid the batch");
	if (!keep) {
		store_audit_back(db);
		class = store_plain(db, STMT_ROLLBACK_TO, err);
	}
	return class == ERR_OK ? store_plain(db, STMT_RELEASE, err) : class;
}

static void checkpoint(struct db *db, int mode)
{
	int code = sqlite3_wal_checkpoint_v2(db->sql, NULL, mode, NULL, NULL);
	const char *problem = sqlite3_errmsg(db->sql);

	if ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CORRUPT)
		db->broken = ERR_CORRUPT;
	if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY)
		log_warn("store.checkpoint", LOG_I("code", code), LOG_S("problem", problem));
	if (code == SQLITE_OK) {
		db->wal_pages = 0; /* or what readers still need; the next commit says */
		db->wal_grown = db->wal_grown && mode != SQLITE_CHECKPOINT_TRUNCATE;
	}
}

void db_checkpoint(struct db *db, bool idle)
{
	int64_t quiet_ms = idle ? clock_mono_ms() - db->committed_mono_ms : 0;
	int limit = !idle			? WAL_PAGES_MAX
		    : quiet_ms < QUIET_AFTER_MS ? WAL_PAGES_PAUSE
						: WAL_PAGES_IDLE;

	if (db->broken)
		return;
	if (db->wal_pages > limit)
		checkpoint(db, SQLITE_CHECKPOINT_PASSIVE);
	else if (db->wal_grown && quiet_ms > TRUNCATE_AFTER_MS) {
		checkpoint(db, SQLITE_CHECKPOINT_TRUNCATE);
		sqlite3_db_release_memory(db->sql);
	}
}

enum err_class db_check(struct db *db, struct err *err)
{
	struct buf found AUTO_BUF = buf_make(600);
	sqlite3_stmt *stmt;
	int code;

	if (sqlite3_prepare_v2(db->sql, "PRAGMA quick_check(5)", -1, &stmt, NULL) != SQLITE_OK)
		return store_fail(db, err, "quick_check");
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (found.len)
			buf_puts(&found, "; ");
		buf_puts(&found, (const char *)sqlite3_column_text(stmt, 0));
	}
	if (sqlite3_finalize(stmt) != SQLITE_OK || code != SQLITE_DONE)
		return store_fail(db, err, "quick_check");
	if (str_eq(buf_text(&found), "ok"))
		return ERR_OK;
	return err_code(err, ERR_CORRUPT, "store.damaged", "the database %s is damaged: %s",
			db->path, buf_text(&found));
}

enum err_class db_confirm(struct db *db, int64_t now_ms, struct err *err)
{
	char text[32];
	int64_t owner;
	enum err_class class = db_meta_get(db, "incarnation", text, sizeof text, err);

	if (class != ERR_OK)
		return class;
	if (!str_to_int64(&owner, text) || owner != db->incarnation)
		return err_code(err, ERR_CORRUPT, "store.broken",
				"process %.20s has had the database %s since", text, db->path);
	snprintf(text, sizeof text, "%" PRId64, now_ms);
	return db_meta_set(db, "confirmed_at", text, err);
}

enum err_class db_meta_get(struct db *db, const char *key, char *out, size_t size, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_META_GET, err, B_TEXT(key));

	if (class == ERR_NOT_FOUND)
		return err_set(err, class, "the database has no value named %s", key);
	if (class == ERR_OK)
		str_copy(out, size, (const char *)sqlite3_column_text(row, 0));
	return class;
}

enum err_class db_meta_set(struct db *db, const char *key, const char *value, struct err *err)
{
	return store_exec(db, STMT_META_SET, err, B_TEXT(key), B_TEXT(value));
}

enum err_class db_meta_forget(struct db *db, const char *prefix, int64_t before, struct err *err)
{
	return store_exec(db, STMT_META_FORGET, err, B_TEXT(prefix), B_INT(before));
}
