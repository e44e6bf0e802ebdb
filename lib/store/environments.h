/* environments.h - who may act on an environment: one job at a time, first come first served.
 *
 * A job takes its turn, or stands in line until the holder has ended; that the holder's job ends is
 * all it takes to free the environment, so a lock cannot outlive it. Whoever waits parks with
 * WAIT_TURN and the reference made here, and is woken when something changes before it. A person
 * may lock an environment for others, with a reason and a time. Where the repository wants it, an
 * environment stays with the pull request that deployed there until that is merged or closed.
 * Writing functions run on the writer, in its transaction. Errors as queue.h. */
#ifndef KF_STORE_ENVIRONMENTS_H
#define KF_STORE_ENVIRONMENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/core/job.h"
#include "lib/store/db.h"

/* wait_ref of jobs in the line of an environment. */
void environment_ref(char out[96], int64_t repo_id, const char *environment);

/* Puts the job at the end of the line, unless it stands there, and gives it the environment when
 * nobody is before it and no other person has locked it; jobs that a lock keeps out are not before
 * those of the person who has it. Asked again, it answers as things are now:
 * {"held","fence","position" (from 1; 0: held), "job","pr","actor","since_ms" (of the holder),
 * "person","person_pr","reason","locked_at_ms","until_ms" (of a lock that is in the way),
 * "kept_pr","keeper","kept_at_ms" (of another pull request that has it)}. */
enum err_class environment_take(struct db *db, const struct job *job, const char *environment,
				int64_t now_ms, json_t **out, struct err *err) MUST_CHECK;

/* Locks it for everybody but the actor of `job`, until then (0: until unlocked), for a reason
 * (NULL: none was given), and wakes the line, whose places and times have changed. A job under way
 * goes on. Its own lock is renewed. CONFLICT "lock.held"
 * when somebody else's is in force. */
enum err_class environment_lock(struct db *db, const struct job *job, const char *environment,
				const char *reason, int64_t until_ms, int64_t now_ms,
				struct err *err) MUST_CHECK;

/* Keeps it for the job's pull request until that is merged or closed, or somebody unlocks it. */
enum err_class environment_keep(struct db *db, const struct job *job, const char *environment,
				int64_t now_ms, struct err *err) MUST_CHECK;

/* The pull request was merged or closed at that time: what has been kept for it since before then
 * is free, and the lines wake. */
enum err_class environment_free(struct db *db, int64_t repo_id, int64_t pr, int64_t at_ms,
				int64_t now_ms, struct err *err) MUST_CHECK;

/* Takes a person's lock away, and a pull request's, and wakes the line: *out as of environment_take
 * before that. What is the actor's own goes; what is somebody else's only if `any` is true. When
 * nothing goes: NOT_FOUND "lock.none", or DENIED "lock.not_yours". */
enum err_class environment_unlock(struct db *db, const struct job *job, const char *environment,
				  bool any, int64_t now_ms, json_t **out,
				  struct err *err) MUST_CHECK;

/* All environments of a repository that are held or locked, or have a line:
 * [{"environment", ... as above, "waiting": [job ids]}]. Any connection. */
enum err_class environment_list(struct db *db, int64_t repo_id, int64_t now_ms, json_t **out,
				struct err *err) MUST_CHECK;

#endif
