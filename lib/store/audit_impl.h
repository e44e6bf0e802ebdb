/* audit_impl.h - how the files of lib/store write into the audit: rows of the open transaction.
 *
 * The writer's connection only. A row is logged when its transaction is committed, and forgotten
 * with it. */
#ifndef KF_STORE_AUDIT_IMPL_H
#define KF_STORE_AUDIT_IMPL_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/core/audit.h"
#include "lib/store/db.h"

/* What the job's row has in common with all others of it; the caller fills in the rest. */
struct audit_row store_audit_of(const struct job *job, int64_t now_ms);
/* Adds a row at the end: number, digests and cleaned texts are made here. */
enum err_class store_audit(struct db *db, const struct audit_row *row, struct err *err) MUST_CHECK;
/* One of our own tables was changed for a job: `effect` is "store....". */
enum err_class store_audit_change(struct db *db, const struct job *job, const char *effect,
				  const char *before, const char *after, int64_t now_ms,
				  struct err *err) MUST_CHECK;
/* A log line for each row, now that they are committed; or none, back to the mark or to nothing. */
void store_audit_tell(struct db *db);
void store_audit_mark(struct db *db);
void store_audit_back(struct db *db);
void store_audit_forget(struct db *db);

#endif
