/* approvals.h - what people said by /approve of a job.
 *
 * Writing functions run on the writer, in its transaction. Errors as queue.h. */
#ifndef KF_STORE_APPROVALS_H
#define KF_STORE_APPROVALS_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/core/job.h"
#include "lib/store/db.h"

/* wait_ref of a job that waits for approvals. */
void approval_ref(char out[48], int64_t job_id);

/* The person of `as` approves the job of this id, as it is: the commit it has now. The job looks
 * again at once. Asked again, it answers the same; of several words of a person the latest said is
 * kept. {"job","sha"}. NOT_FOUND "job.unknown" when it
 * is not of this pull request; CONFLICT "job.ended", or "approve.not_waiting" when it asks for no
 * approvals. */
enum err_class approval_add(struct db *db, const struct job *as, int64_t job_id, int64_t said_at_ms,
			    int64_t now_ms, json_t **out, struct err *err) MUST_CHECK;

/* The oldest first: [{"state": "APPROVED", "command": true, "id","login","sha","at_ms"}], as
 * lib/core/approvals.h takes them. Any connection. */
enum err_class approval_list(struct db *db, int64_t job_id, json_t **out,
			     struct err *err) MUST_CHECK;

#endif
