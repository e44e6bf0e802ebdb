/* queue_wake.h - jobs and wishes that wait: when the next is due, looked through, and made due.
 *
 * A part of queue.h with the same rules: what writes runs on the writer, inside its transaction.
 * Waking asks for the state that it changes, so a report may come twice, late or early. */
#ifndef KF_STORE_QUEUE_WAKE_H
#define KF_STORE_QUEUE_WAKE_H

#include "lib/store/queue.h"

/* When queue_claim would find a job (now_ms: now); INT64_MAX: not before something is stored.
 * Reader; a microsecond for each repository that has jobs only for later. */
enum err_class queue_claim_due(struct db *db, int64_t now_ms, int64_t in_hand_max, int64_t *due_ms,
			       struct err *err) MUST_CHECK;

/* When the next parked job is to be looked at; INT64_MAX: none. Reader. */
enum err_class queue_parked_due(struct db *db, int64_t *due_ms, struct err *err) MUST_CHECK;

/* Makes parked jobs that wait for these references READY; counts them. */
enum err_class queue_wake(struct db *db, enum wait_kind kind, const char *const *refs, size_t count,
			  int64_t now_ms, int64_t *woken, struct err *err) MUST_CHECK;

/* Next batch of parked jobs with a due time up to now_ms becomes READY (at most `limit`). BLOCKED
 * jobs whose deadline has passed do so too, with EXPIRED as their wanted end. */
enum err_class queue_wake_due(struct db *db, int64_t now_ms, int64_t limit, int64_t *woken,
			      struct err *err) MUST_CHECK;

/* What is due further ahead than anything waits (two hours) is due now: the clock was wrong when it
 * was written. Done at start, and when the clock has gone back. `moved` counts. */
enum err_class queue_bring_back(struct db *db, int64_t now_ms, int64_t *moved,
				struct err *err) MUST_CHECK;

/* What failed and waits to be tried again, jobs and wishes alike, is due now: a reason to fail is
 * gone. At most 500 of each; `moved` counts them, so until it is 0 there are more. */
enum err_class queue_retry_now(struct db *db, int64_t now_ms, int64_t *moved,
			       struct err *err) MUST_CHECK;

/* Parked references of a kind after `after_job_id`, in batches of at most 200, for sweeps. Each ref
 * is {job id, repo, wait_ref, namespace}; the callback returns false to stop. Reader. */
struct queue_ref {
	int64_t job_id;
	const char *repo;
	const char *wait_ref;
	const char *ns; /* Kubeflow namespace, "" for single-user servers */
};
enum err_class queue_parked(struct db *db, enum wait_kind kind, int64_t after_job_id, size_t limit,
			    bool (*each)(void *arg, const struct queue_ref *ref), void *arg,
			    struct err *err) MUST_CHECK;

#endif
