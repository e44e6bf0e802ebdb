/* deployments.h - what was put into which environment, by whom, from which commit and run.
 *
 * A row is made before the first change and ends as live, failed or rolled back; the one that was
 * live before becomes replaced, and is what a rollback brings back. Writing functions run on the
 * writer, in its transaction. Errors as queue.h. */
#ifndef KF_STORE_DEPLOYMENTS_H
#define KF_STORE_DEPLOYMENTS_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/core/job.h"
#include "lib/store/db.h"

enum deployment_state {
	DEPLOYMENT_ACTING = 1,
	DEPLOYMENT_LIVE = 2,
	DEPLOYMENT_FAILED = 3,
	DEPLOYMENT_REPLACED = 4, /* was live until another took its place */
	DEPLOYMENT_ROLLED_BACK = 5,
};
const char *deployment_state_name(enum deployment_state state);

/* Begins one for a job, or finds the one that it has begun. `facts`: {"environment","run_id",
 * "namespace","service","storage_uri","model_digest","fence","template","before"}. */
enum err_class deployment_begin(struct db *db, const struct job *job, const json_t *facts,
				int64_t now_ms, int64_t *out_id, struct err *err) MUST_CHECK;

/* Notes what is known by now: {"percent","revision","remote_id"}, each optional. */
enum err_class deployment_note(struct db *db, int64_t job_id, const json_t *facts,
			       struct err *err) MUST_CHECK;

/* Ends the job's deployment. LIVE makes the one that was live REPLACED; with `returned_to` (a
 * deployment's id, else 0) that one is live again, and what was live is ROLLED_BACK. Repeating it
 * changes nothing. */
enum err_class deployment_end(struct db *db, int64_t job_id, enum deployment_state state,
			      int64_t returned_to, int64_t now_ms, struct err *err) MUST_CHECK;

/* {"id","environment","state","job","uid","pr","sha","run_id","actor","fence","namespace","service",
 * "storage_uri","model_digest","percent","template","before","revision","remote_id","started_at_ms",
 * "ended_at_ms"}; NOT_FOUND. Any connection. */
enum err_class deployment_live(struct db *db, int64_t repo_id, const char *environment,
			       json_t **out, struct err *err) MUST_CHECK;
/* The newest one that was live before the one that is. */
enum err_class deployment_before(struct db *db, int64_t repo_id, const char *environment,
				 json_t **out, struct err *err) MUST_CHECK;
/* By its id, of this repository and environment. */
enum err_class deployment_get(struct db *db, int64_t repo_id, const char *environment, int64_t id,
			      json_t **out, struct err *err) MUST_CHECK;

/* The live ones of all environments of a repository, as an array. */
enum err_class deployment_list_live(struct db *db, int64_t repo_id, json_t **out,
				    struct err *err) MUST_CHECK;

#endif
