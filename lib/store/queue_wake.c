/* queue_wake.c - see queue_wake.h. Parked jobs become ready: reported, due, or looked through in
 * batches. Waking is an update that asks for the state it changes, so reports may come twice, late
 * or early. */
#include "lib/store/queue_wake.h"
#include "lib/base/str.h"
#include "lib/store/store_impl.h"

enum {
	PARKED_BATCH_MAX = 200,
	DUE_AHEAD_MAX_MS = 2 * 3600 * 1000, /* no back-off is longer */
};

enum err_class queue_wake(struct db *db, enum wait_kind kind, const char *const *refs, size_t count,
			  int64_t now_ms, int64_t *woken, struct err *err)
{
	*woken = 0;
	for (size_t i = 0; i < count; i++) {
		enum err_class class = store_exec(db, STMT_WAKE_REF, err, B_TEXT(refs[i]),
						  B_INT(kind), B_INT(now_ms));

		if (class != ERR_OK)
			return class;
		*woken += store_changes(db);
	}
	return ERR_OK;
}

/* A job that waited for its turn until its deadline is in the same index, and ends expired. */
enum err_class queue_wake_due(struct db *db, int64_t now_ms, int64_t limit, int64_t *woken,
			      struct err *err)
{
	enum err_class class =
		store_exec(db, STMT_WAKE_DUE, err, B_INT(now_ms), B_INT(limit),
			   B_TEXT("Its deadline passed while it waited for an earlier job."));

	*woken = class == ERR_OK ? store_changes(db) : 0;
	return class;
}

/* In bites: what one statement changes is kept in memory until it ends. */
enum err_class queue_bring_back(struct db *db, int64_t now_ms, int64_t *moved, struct err *err)
{
	static const enum stmt all[] = {STMT_DUE_TOO_FAR, STMT_PARKED_TOO_FAR, STMT_WISHES_TOO_FAR};
	enum err_class class = ERR_OK;

	*moved = 0;
	for (size_t i = 0; class == ERR_OK && i < ARRAY_LEN(all); i++)
		do {
			class = store_exec(db, all[i], err, B_INT(now_ms), B_INT(DUE_AHEAD_MAX_MS));
			*moved += class == ERR_OK ? store_changes(db) : 0;
		} while (class == ERR_OK && store_changes(db));
	return class;
}

enum err_class queue_retry_now(struct db *db, int64_t now_ms, int64_t *moved, struct err *err)
{
	enum err_class class = store_exec(db, STMT_RETRY_JOBS_NOW, err, B_INT(now_ms));

	*moved = class == ERR_OK ? store_changes(db) : 0;
	if (class == ERR_OK)
		class = store_exec(db, STMT_RETRY_WISHES_NOW, err, B_INT(now_ms));
	*moved += class == ERR_OK ? store_changes(db) : 0;
	return class;
}

enum err_class queue_parked_due(struct db *db, int64_t *due_ms, struct err *err)
{
	return store_number(db, due_ms, INT64_MAX, STMT_WAITING_NEXT, NULL, 0, err);
}

struct parked {
	int64_t id;
	char *repo;
	char *wait_ref;
	char *ns;
};

/* The batch is copied first: a callback may take its time, and an open read keeps the log from
 * being folded in. */
enum err_class queue_parked(struct db *db, enum wait_kind kind, int64_t after_job_id, size_t limit,
			    bool (*each)(void *arg, const struct queue_ref *ref), void *arg,
			    struct err *err)
{
	struct parked found[PARKED_BATCH_MAX];
	size_t count = 0, max = limit < PARKED_BATCH_MAX ? limit : PARKED_BATCH_MAX;
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_PARKED, err, B_INT(kind),
					   B_INT(after_job_id), B_INT(max));
	bool go_on = true;

	while (class == ERR_OK && count < max) {
		found[count].id = sqlite3_column_int64(row, 0);
		found[count].repo = store_text(row, 1);
		found[count].wait_ref = store_text(row, 2);
		found[count++].ns = store_text(row, 3);
		class = store_next(db, &row, err);
	}
	store_row_end(&row);
	for (size_t i = 0; i < count; i++) {
		struct queue_ref ref = {found[i].id, found[i].repo, found[i].wait_ref, found[i].ns};

		if (go_on && (class == ERR_OK || class == ERR_NOT_FOUND))
			go_on = each(arg, &ref);
		mem_free(found[i].repo);
		mem_free(found[i].wait_ref);
		mem_free(found[i].ns);
	}
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}
