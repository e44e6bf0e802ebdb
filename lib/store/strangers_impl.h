/* strangers_impl.h - how the files of lib/store treat people whom nobody here knows: see
 * strangers.c. The writer's connection only, inside its transaction. */
#ifndef KF_STORE_STRANGERS_IMPL_H
#define KF_STORE_STRANGERS_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/core/event.h"
#include "lib/core/job.h"
#include "lib/store/db.h"

enum { STRANGER_NONE = 0, STRANGER_FIRST = 1, STRANGER_QUIET = 2 }; /* column `stranger` of jobs */

/* What a comment of somebody may cost. */
struct store_manners {
	int stranger;	 /* STRANGER_... */
	int64_t due_ms;	 /* when a job of theirs is looked at */
	bool is_dropped; /* there are too many of theirs already */
};
enum err_class store_meet(struct db *db, const struct event *event, int64_t now_ms,
			  struct store_manners *out, struct err *err) MUST_CHECK;
/* The next one of theirs comes after this one. */
enum err_class store_put_off_stranger(struct db *db, const struct event *event, int64_t due_ms,
				      struct err *err) MUST_CHECK;
/* A stranger was answered; for an hour that was it. */
enum err_class store_answered(struct db *db, int64_t repo_id, int64_t pr, int64_t actor_id,
			      int64_t now_ms, struct err *err) MUST_CHECK;
/* Has another of their comments had the answer of the hour while this job was in hand? */
enum err_class store_was_answered(struct db *db, const struct job *job, int64_t now_ms, bool *out,
				  struct err *err) MUST_CHECK;
/* Somebody was allowed to change something: no stranger any more. */
enum err_class store_allowed(struct db *db, const struct job *job, int64_t now_ms,
			     struct err *err) MUST_CHECK;

#endif
