/* policies.h - what the store remembers for policies: who a login was, what is on hold, how often
 * somebody gave a command. Writing functions run on the writer, in its transaction. Errors as
 * queue.h. */
#ifndef KF_STORE_POLICIES_H
#define KF_STORE_POLICIES_H

#include <jansson.h>
#include <stdbool.h>
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

/* What a quota counts: jobs of these commands (an array of names) since then, of the actor of the
 * job or of everybody in its repository. */
struct policies_quota {
	const json_t *commands;
	int64_t since_ms;
	bool is_repository;
	int64_t count; /* that are allowed; from 1 */
};
struct policies_use {
	int64_t count;
	int64_t filled_at_ms; /* when the oldest of the newest `quota.count` came; 0: fewer came */
};

/* How many came before `job`, without those that were refused by the policy, and for a repository
 * without those of strangers. Any connection. */
enum err_class policies_count(struct db *db, const struct job *job,
			      const struct policies_quota *quota, struct policies_use *out,
			      struct err *err) MUST_CHECK;

/* Holds the pull request of `job`, for a reason (NULL: none was given); a hold that is there keeps
 * its beginning. */
enum err_class policies_hold(struct db *db, const struct job *job, const char *reason,
			     int64_t now_ms, struct err *err) MUST_CHECK;

/* Ends it: *out as of policies_hold_get before that. NOT_FOUND "hold.none". */
enum err_class policies_unhold(struct db *db, const struct job *job, int64_t now_ms, json_t **out,
			       struct err *err) MUST_CHECK;

/* {"person","person_id","reason","held_at_ms"}; NOT_FOUND, quietly. Any connection. */
enum err_class policies_hold_get(struct db *db, int64_t repo_id, int64_t pr, json_t **out,
				 struct err *err) MUST_CHECK;

#endif
