/* policies.h - what the store remembers for policies: who a login was, what is on hold, how often
 * somebody gave a command. Writing functions run on the writer, in its transaction. Errors as
 * queue.h. */
#ifndef KF_STORE_POLICIES_H
#define KF_STORE_POLICIES_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/core/job.h"
#include "lib/store/db.h"

/* {login in lower case: numeric id; 0: nobody had it}. Any connection. */
enum err_class policies_users(struct db *db, int64_t repo_id, json_t **out,
			      struct err *err) MUST_CHECK;

/* Makes `users` (as above) the logins of a repository's policy: those that are kept already stay as
 * they are, new ones are added, the others are forgotten. */
enum err_class policies_keep_users(struct db *db, int64_t repo_id, const json_t *users,
				   int64_t now_ms, struct err *err) MUST_CHECK;

/* How many jobs the actor of `job` has given in its repository since then, of these commands (an
 * array of names), without this one and without those that were refused by the policy. Any
 * connection. */
enum err_class policies_count(struct db *db, const struct job *job, const json_t *commands,
			      int64_t since_ms, int64_t *out, struct err *err) MUST_CHECK;

/* Holds the pull request of `job`, for a reason (NULL: none was given); a hold that is there keeps
 * its beginning. */
enum err_class policies_hold(struct db *db, const struct job *job, const char *reason,
			     int64_t now_ms, struct err *err) MUST_CHECK;

/* Ends it: *out as of policies_hold_get before that. NOT_FOUND "hold.none". */
enum err_class policies_unhold(struct db *db, const struct job *job, json_t **out,
			       struct err *err) MUST_CHECK;

/* {"person","person_id","reason","held_at_ms"}; NOT_FOUND, quietly. Any connection. */
enum err_class policies_hold_get(struct db *db, int64_t repo_id, int64_t pr, json_t **out,
				 struct err *err) MUST_CHECK;

#endif
