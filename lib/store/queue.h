/* queue.h - deliveries, jobs and their steps: every function is one operation of a transaction.
 *
 * Functions that write are called by the writer thread only, inside its transaction (see
 * bot/writer.h); those that read take any connection. Times are milliseconds UTC. Errors: TRANSIENT
 * when the database cannot write now, CORRUPT when it never will, CONFLICT when the row is not in
 * the expected state. */
#ifndef KF_STORE_QUEUE_H
#define KF_STORE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/core/command.h"
#include "lib/core/event.h"
#include "lib/core/job.h"
#include "lib/store/db.h"
#include "lib/store/outbox.h"

/* --- receiving --- */

enum queue_outcome { QUEUE_STORED, QUEUE_DUPLICATE, QUEUE_NOTED };

struct queue_delivery {
	unsigned char guid[16];
	const struct event *event;
	int source; /* 0 webhook, 1 deliveries API, 2 comment sweep */
	int64_t received_at_ms;
};

/* What one delivery wants: jobs for its calls (or one refusal). */
struct queue_intake {
	const struct queue_delivery *delivery;
	const struct command_calls *calls; /* NULL: none */
	const char *refusal; /* Markdown answer for a comment that did not parse; NULL: none */
	const char *refusal_code;
	int64_t deadline_ms; /* from now, of the new jobs */
	bool refuse_late;    /* comment older than the limit: jobs end EXPIRED with a comment */
	/* to know what a closed pull request stops; NULL: nothing that has started */
	const struct command_table *commands;
};

/* Stores a delivery, its jobs and their first outbox rows: "eyes:<comment id>"; or for a refusal
 * "end:<comment id>" and "refusal:<comment id>", whose body starts with its marker line. A known
 * GUID, or comment and command number, changes nothing: QUEUE_DUPLICATE. Commands that change
 * something go one after the other on a pull request, in order of (comment id, command number): the
 * others in line are BLOCKED; read-only ones never wait. A queued job of the same command that has
 * not started is superseded by a newer comment of the same person. pull_request events record the
 * head; "closed" ends what has not started, and without a merge marks what deploys and has started
 * to be cancelled, with the code "pull.closed". check_run re-runs repeat the job of that uid. The
 * rest is QUEUE_NOTED.
 *
 * The store never ends a job itself: superseded, too late, stopped with its group, cancelled or
 * overtaken by its deadline before it started, it becomes READY with end_state, end_code and
 * end_message, out of its line, for the worker to end where people see it. */
enum err_class queue_receive(struct db *db, const struct queue_intake *intake,
			     enum queue_outcome *out, struct err *err) MUST_CHECK;

/* --- working --- */

/* Leases a job that is due, fills *out: one of the repository with the fewest jobs in hand, of
 * those the next in turn, and there the one that has been due longest. A repository with
 * `in_hand_max` jobs in hand (0: any number) is passed over. NOT_FOUND when there is none, then
 * *next_due_ms is the time of the next one (INT64_MAX: none, as far as time alone brings one). The
 * caller disposes of the job. `crashes` counts the processes that crashed over it since its last
 * committed result. A job over which two have crashed is claimed only while no other is leased, and
 * no other while it is: NOT_FOUND, though *next_due_ms has passed. */
enum err_class queue_claim(struct db *db, int64_t now_ms, int64_t in_hand_max, struct job *out,
			   int64_t *next_due_ms, struct err *err) MUST_CHECK;

/* Commits the intent to run an effect for the job's present step. */
enum err_class queue_step_intent(struct db *db, const struct job *job, const struct effect *effect,
				 int64_t now_ms, struct err *err) MUST_CHECK;

/* The intent of the job's present step that has no result yet: it may have happened. NOT_FOUND:
 * none. The caller drops out->args. */
enum err_class queue_step_open(struct db *db, const struct job *job, struct effect *out,
			       struct err *err) MUST_CHECK;

/* Stores what a step brought: the result of its effect (NULL: none ran), the job's new fields
 * (state, step, tries, data, wait, due, code, message, head_sha ... as in `job`) and the outbox
 * rows, all at once. CONFLICT when this incarnation does not hold the lease, BUG when the move is
 * not in job_moves. RUNNING keeps the lease. A failed effect whose error is in doubt stays open. A
 * cancel that came meanwhile is kept, and makes a job that would wait READY. Waits end at the
 * job's deadline at the latest, unless that has passed. When the job has ended other than as DONE,
 * its group's later jobs are stopped unless the comment said --keep-going; the next in line of the
 * pull request becomes READY. */
struct queue_result {
	const struct job *job;
	const struct effect *effect;	    /* what ran, NULL */
	const char *step;		    /* that asked for it; NULL: the job's present one */
	const struct effect_result *result; /* NULL */
	const struct outbox_wish *wishes;
	size_t wish_count;
	int64_t now_ms;
	bool *cancelled; /* set when a cancel came that `job` does not know of; NULL */
	/* for the audit, in which the result of an effect outside and the end of the job are
	 * written, too */
	const char *authorized; /* the rule by which the job may go on; NULL: nothing was asked */
	bool is_member;		/* the person may change something here */
	bool refused;		/* it ends because of what somebody may or may not do here */
};
enum err_class queue_step_result(struct db *db, const struct queue_result *result,
				 struct err *err) MUST_CHECK;

/* Gives the lease of a job back whose result could not be stored: READY again at due_at_ms, with
 * one more crash, so that one whose every try ends like this is given up. Nothing happens
 * when this incarnation does not hold the lease. */
enum err_class queue_give_back(struct db *db, int64_t job_id, int64_t due_at_ms,
			       struct err *err) MUST_CHECK;

/* --- commands about jobs --- */

/* What a /cancel stops. Whoever asked for a job (by their numeric id) may stop it, others by what
 * `stops` says (see lib/core/stops.h) of its command, which is looked up in `table`. */
struct queue_stop {
	const struct job *asking; /* the /cancel: its pull request and its person */
	int64_t job_id;		  /* 0: all unfinished others that they may stop */
	const json_t *stops;	  /* NULL: their own only */
	const struct command_table *table;
	bool is_again; /* it may have been done already: what it has ended is told once more */
};

/* Marks jobs to be cancelled. Those that have not started get their end at once, others are made
 * READY with `cancel` set. Returns what becomes of them: [{"id","command","was":"parked","now":
 * "cancelling"}], and of those that are not theirs to stop [{"id","command","was","actor","right":
 * "deploy production","left": true}]. NOT_FOUND / CONFLICT when the named one is not there, or
 * theirs to stop and final. The caller drops *out. */
enum err_class queue_cancel(struct db *db, const struct queue_stop *stop, int64_t now_ms,
			    json_t **out, struct err *err) MUST_CHECK;

/* A new job with the same command, arguments and SHA as a finished, unsuccessful one (job_id 0: the
 * newest such one of the pull request). `as` is the /retry job, whose comment it belongs to; it
 * gets one such job, however often it asks. {"id","uid","command","line","sha","retry_of"};
 * the new job's data holds "retry_of" too. NOT_FOUND, CONFLICT (unfinished, or it succeeded). */
enum err_class queue_retry(struct db *db, int64_t job_id, const struct job *as, int64_t now_ms,
			   json_t **out, struct err *err) MUST_CHECK;

/* --- looking (any connection) --- */

/* Jobs of a repository (0: of all; pr 0: of all), unfinished first, then newest, at most 500:
 * [{"id","uid","repo","pr","command","state","step","actor","sha","created_at_ms","started_at_ms",
 * "finished_at_ms","position","run_id","code","message"}]; position counts those before a BLOCKED
 * one. Without a pull request only the newest 100,000 jobs are looked at for finished ones. */
enum err_class queue_list(struct db *db, int64_t repo_id, int64_t pr, int64_t limit, json_t **out,
			  struct err *err) MUST_CHECK;
enum err_class queue_load(struct db *db, int64_t job_id, struct job *out,
			  struct err *err) MUST_CHECK;

/* Is the job of this uid there and not ended? */
enum err_class queue_is_open(struct db *db, const char *uid, bool *out, struct err *err) MUST_CHECK;

/* Effects of a job's steps with times and results: [{"step": its name, "name": of the effect,
 * "phase": "open" | "done" | "failed", "started_at_ms","ended_at_ms","tries","error","result"}]. A
 * result of more than 16 KiB is kept as
 * {"left_out_bytes"}. */
enum err_class queue_steps(struct db *db, int64_t job_id, json_t **out, struct err *err) MUST_CHECK;

/* Jobs by state, overdue jobs, waiting outbox rows and the age of the oldest: for metrics. */
struct queue_counts {
	int64_t by_state[16];
	int64_t overdue;
	int64_t outbox_waiting;
	int64_t outbox_age_ms;
};
enum err_class queue_count(struct db *db, int64_t now_ms, struct queue_counts *out,
			   struct err *err) MUST_CHECK;

/* Did the job's person lack the permission for something else on its pull request since then? */
enum err_class queue_was_denied(struct db *db, const struct job *job, int64_t since_ms, bool *out,
				struct err *err) MUST_CHECK;

/* The heads that pull_request events have told of, newest first, at most 64:
 * [{"sha","at_ms": GitHub's time,"action"}]. The caller drops *out. */
enum err_class queue_heads(struct db *db, int64_t repo_id, int64_t pr, json_t **out,
			   struct err *err) MUST_CHECK;

/* The repository with the next higher id of which there are jobs, as the newest of them knows it.
 * NOT_FOUND: no more. */
struct queue_repo {
	int64_t id, installation_id;
	char name[EVENT_TEXT_MAX];
};
enum err_class queue_repo_next(struct db *db, int64_t after_id, struct queue_repo *out,
			       struct err *err) MUST_CHECK;

/* Has a comment led to anything: a job, or a refusal? */
enum err_class queue_knows_comment(struct db *db, int64_t repo_id, int64_t pr, int64_t comment_id,
				   bool *out, struct err *err) MUST_CHECK;

/* Deletes deliveries and final jobs that are older than this, in a bite of about `limit` rows; for
 * idle times. *more says that another call now is worth its while. */
enum err_class queue_prune(struct db *db, int64_t now_ms, int64_t deliveries_ms, int64_t jobs_ms,
			   int64_t limit, bool *more, struct err *err) MUST_CHECK;

#endif
