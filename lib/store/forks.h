/* forks.h - which commits of pull requests from forks maintainers have allowed to be used.
 *
 * Writing functions run on the writer, in its transaction. Errors as queue.h. */
#ifndef KF_STORE_FORKS_H
#define KF_STORE_FORKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/core/job.h"
#include "lib/store/db.h"

/* The person of `as` allows the commit that it has, on its pull request, to be built, or whatever
 * the policy lets forks do. Once a command: repeated, it changes nothing. */
enum err_class fork_ok_add(struct db *db, const struct job *as, bool build_only, int64_t now_ms,
			   struct err *err) MUST_CHECK;

/* The newest word on a commit, on this pull request; on any of its commits without one (NULL):
 * {"sha","person","person_id","build_only","given_at_ms"}. NOT_FOUND, quietly. Any connection. */
enum err_class fork_ok_get(struct db *db, int64_t repo_id, int64_t pr, const char *sha,
			   json_t **out, struct err *err) MUST_CHECK;

/* At most three of the heads this pull request has been heard to have that begin so: an array of
 * whole names. Any connection. */
enum err_class fork_heads_alike(struct db *db, int64_t repo_id, int64_t pr, const char *begin,
				json_t **out, struct err *err) MUST_CHECK;

#endif
