/* outbox.h - what GitHub must come to show: one row a slot, holding the newest wish for it.
 *
 * A wish replaces an unsent older one of its slot, so ten progress updates while GitHub is slow
 * become one call. Writing functions run on the writer, in the transaction of the state that caused
 * them. */
#ifndef KF_STORE_OUTBOX_H
#define KF_STORE_OUTBOX_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/store/db.h"

enum slot_kind {
	SLOT_REACTION = 1,	/* want {"comment_id","content"}; "": none any more */
	SLOT_COMMENT = 2,	/* want {"body", "marker"} */
	SLOT_CHECK_RUN = 3,	/* want as POST /check-runs, external_id = job uid */
	SLOT_COMMIT_STATUS = 4, /* want {"sha","state","context","description","target_url"} */
	SLOT_MINIMIZE = 5,	/* want {"slot": slot of the comment to fold away} */
};

/* urgency: smaller goes first */
enum { OUTBOX_NOW = 0, OUTBOX_FINAL = 1, OUTBOX_PROGRESS = 2 };

struct outbox_wish {
	char slot[96]; /* "status:<uid>", "eyes:<comment id>", "check:<uid>:run" */
	enum slot_kind kind;
	int urgency;
	json_t *want;	       /* owned by whoever made the wish */
	int64_t not_before_ms; /* pacing of progress; 0: at once */
};
void outbox_wish_dispose(struct outbox_wish *wish);

struct outbox_row {
	int64_t id;
	char slot[96];
	enum slot_kind kind;
	int urgency;
	int64_t job_id, installation_id, repo_id, pr;
	char *repo;
	char *job_uid;
	json_t *want;
	int64_t version;
	int64_t remote_id;    /* 0: not created yet, as far as we know */
	char *remote_node_id; /* NULL */
	bool maybe_sent;      /* a create is in doubt: search before creating */
	int64_t tries;
	int64_t wished_at_ms;
};
void outbox_row_dispose(struct outbox_row *row);

/* Puts a wish (inside queue_receive and queue_step_result). */
enum err_class outbox_put(struct db *db, int64_t job_id, int64_t installation_id, int64_t repo_id,
			  int64_t pr, const char *repo, const struct outbox_wish *wish,
			  int64_t now_ms, struct err *err) MUST_CHECK;

/* The next row to send: due, unsent, of installations that are not in `paused`. Installations take
 * turns, and the repositories of one; answers at once take turns with final states, and both come
 * before progress; inside a repository the oldest goes first. NOT_FOUND: none, then *next_due_ms.
 * Reader: it must be the same connection each time. */
enum err_class outbox_next(struct db *db, int64_t now_ms, const int64_t *paused,
			   size_t paused_count, struct outbox_row *out, int64_t *next_due_ms,
			   struct err *err) MUST_CHECK;

/* The row was tried, so it is others' turn. Not called when it was put off before it was sent. */
void outbox_served(struct db *db, const struct outbox_row *row);

/* Before a create: from now on it may have happened. */
enum err_class outbox_mark(struct db *db, int64_t id, struct err *err) MUST_CHECK;

/* The create that was marked was not sent after all (the caller was told to wait before sending).
 */
enum err_class outbox_unmark(struct db *db, int64_t id, struct err *err) MUST_CHECK;

/* What the row had created was deleted on GitHub: it is due as if nothing had been sent yet. */
enum err_class outbox_forget(struct db *db, int64_t id, struct err *err) MUST_CHECK;

/* The version was sent; remote ids when known. A newer wish stays due. */
enum err_class outbox_sent(struct db *db, int64_t id, int64_t version, int64_t remote_id,
			   const char *remote_node_id, struct err *err) MUST_CHECK;

/* Not now: again at due_ms. `permanent` counts towards ten, after which the row is given up. */
enum err_class outbox_retry(struct db *db, int64_t id, int64_t due_ms, bool permanent,
			    const char *error, struct err *err) MUST_CHECK;

/* Remote id of another slot (for minimise); NOT_FOUND until it has been sent. Reader. */
enum err_class outbox_remote(struct db *db, const char *slot, int64_t *remote_id,
			     char **remote_node_id, struct err *err) MUST_CHECK;

#endif
