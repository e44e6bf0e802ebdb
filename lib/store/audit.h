/* audit.h - the record of decisions and changes, as it is stored: read, and verified.
 *
 * Rows are written by the store itself, in the transaction that makes what they tell of; nobody can
 * change or delete one without making the chain break (see lib/core/audit.h), and the table's own
 * triggers refuse it. It is never pruned. What the reporter posts (comments, reactions, checks) is
 * not in it: the outbox is its record, and nothing follows from it. Any connection; errors as
 * queue.h, and CONFIG "store.older" for a file that this program has not yet opened for writing. */
#ifndef KF_STORE_AUDIT_H
#define KF_STORE_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/core/audit.h"
#include "lib/store/db.h"

/* A place in the chain, as it can be kept elsewhere: "1234:<64 hex digits>" when written down. */
struct audit_mark {
	int64_t no; /* 0: there is no row */
	char digest[2 * AUDIT_DIGEST_LEN + 1];
};
bool audit_mark_read(struct audit_mark *out, const char *text);

/* The newest row. */
enum err_class audit_head(struct db *db, struct audit_mark *out, struct err *err) MUST_CHECK;

struct audit_filter {
	const char *repo; /* owner/name at the time, in any case, or its number; NULL: all */
	int64_t job_id;	  /* 0: all */
	int64_t since_ms; /* 0: from the first on */
};

/* Calls for each row that the filter lets through, the oldest first, until `each` says false; its
 * texts are gone after the call. */
enum err_class audit_find(struct db *db, const struct audit_filter *filter,
			  bool (*each)(void *arg, const struct audit_row *row), void *arg,
			  struct err *err) MUST_CHECK;

struct audit_verdict {
	int64_t rows;		/* that were found sound, from the first on */
	int64_t broken_at;	/* number of the first that does not fit; 0: none */
	char why[160];		/* what does not fit */
	struct audit_mark head; /* of the last sound row */
};

/* Goes through the whole chain. `kept` (NULL: none) is a mark that was kept elsewhere: a chain
 * without that very row was cut or written anew. A broken chain is an answer, not an error. */
enum err_class audit_verify(struct db *db, const struct audit_mark *kept, struct audit_verdict *out,
			    struct err *err) MUST_CHECK;

#endif
