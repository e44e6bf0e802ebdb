/* deployments.h - what was put into which environment, by whom, from which commit and run.
 *
 * A row is made before the first change and ends as live, failed or rolled back, or is left open
 * with a share of the traffic until it is promoted or taken out; the one that was live before
 * becomes replaced, and is what a rollback brings back. The job of a rollback has a row too, which
 * never has traffic. Writing functions run on the writer, in its transaction. Errors as queue.h. */
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
	DEPLOYMENT_REPLACED = 4,    /* was live until another took its place */
	DEPLOYMENT_ROLLED_BACK = 5, /* was live or open until it was taken back; or the job of that
				     */
	DEPLOYMENT_OPEN = 6,	    /* has the share of the traffic that was asked for, not all */
};
const char *deployment_state_name(enum deployment_state state);

/* Begins one for a job, or finds the one that it has begun. `facts`: {"environment","run_id",
 * "namespace","service","storage_uri","model_digest","fence","template","before","plan",
 * and for the audit "was": address of the model that serves so far, "reason": a person's}. */
enum err_class deployment_begin(struct db *db, const struct job *job, const json_t *facts,
				int64_t now_ms, int64_t *out_id, struct err *err) MUST_CHECK;

/* Notes what is known by now: {"percent","revision","remote_id","before"}, each optional. */
enum err_class deployment_note(struct db *db, int64_t job_id, const json_t *facts,
			       struct err *err) MUST_CHECK;

/* The same model is deployed once more, of another commit: the live deployment of the job of this
 * id is that of job `by` from now on. `facts`: {"run_id","plan"}. */
enum err_class deployment_take_over(struct db *db, const struct job *by, int64_t job_id,
				    const json_t *facts, int64_t now_ms,
				    struct err *err) MUST_CHECK;

/* Ends the deployment of the job of this id, by the word of job `by`, or leaves it OPEN. LIVE makes
 * the one that was live REPLACED, and one that is still open, though its canary has gone,
 * ROLLED_BACK. ROLLED_BACK goes back to `returned_to` (a deployment's id; 0: to
 * nothing of ours): that one is live again, what came after it is rolled back, and what it is newer
 * than is replaced. Repeating it changes nothing. */
enum err_class deployment_end(struct db *db, const struct job *by, int64_t job_id,
			      enum deployment_state state, int64_t returned_to, int64_t now_ms,
			      struct err *err) MUST_CHECK;

/* {"id","environment","state","job","uid","pr","sha","run_id","actor","fence","namespace","service",
 * "storage_uri","model_digest","percent","template","before","plan","revision","remote_id",
 * "started_at_ms","ended_at_ms"}; NOT_FOUND. Any connection. */
enum err_class deployment_live(struct db *db, int64_t repo_id, const char *environment,
			       json_t **out, struct err *err) MUST_CHECK;
/* The one that was left open. */
enum err_class deployment_open(struct db *db, int64_t repo_id, const char *environment,
			       json_t **out, struct err *err) MUST_CHECK;
/* The newest one that was live before deployment `live` took its place. */
enum err_class deployment_before(struct db *db, int64_t repo_id, const char *environment,
				 int64_t live, json_t **out, struct err *err) MUST_CHECK;
/* By its id, of this repository and any environment. */
enum err_class deployment_get(struct db *db, int64_t repo_id, int64_t id, json_t **out,
			      struct err *err) MUST_CHECK;
/* The state of the one whose job has this uid, the mark on the objects; 0: there is none. */
enum err_class deployment_marked(struct db *db, int64_t repo_id, const char *environment,
				 const char *uid, int64_t *out, struct err *err) MUST_CHECK;

/* The live and the open ones of all environments of a repository, as an array. */
enum err_class deployment_list_live(struct db *db, int64_t repo_id, json_t **out,
				    struct err *err) MUST_CHECK;
/* Those that had all traffic once and have it no more, newest first, as an array. */
enum err_class deployment_list_earlier(struct db *db, int64_t repo_id, json_t **out,
				       struct err *err) MUST_CHECK;

#endif
