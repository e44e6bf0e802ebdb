/* job.h - a command under way: its record, its states, and what its steps may say.
 *
 * Pure: a step's `decide` is given the job, the result of the effect it asked for last (NULL at
 * first) and the time, and fills an update. The worker carries it out and commits it. Everything a
 * later step needs is in `data`, so a restart loses nothing. Any thread. */
#ifndef KF_CORE_JOB_H
#define KF_CORE_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/core/command.h"

enum job_state {
	JOB_READY = 0,
	JOB_RUNNING = 1, /* leased by this incarnation */
	JOB_PARKED = 2,	 /* waits for something outside */
	JOB_BACKOFF = 3, /* waits to try again */
	JOB_BLOCKED = 4, /* waits for another job */
	JOB_DONE = 10,
	JOB_FAILED = 11,
	JOB_CANCELLED = 12,
	JOB_SUPERSEDED = 13,
	JOB_DEAD = 14, /* crashed the process three times, or gave up on our own fault */
	JOB_EXPIRED = 15,
};

enum { JOB_STEP_MAX = 32 };

enum wait_kind {
	WAIT_NONE = 0,
	WAIT_RUN = 1,
	WAIT_TURN = 2,
	WAIT_PULL = 3,
	WAIT_APPROVAL = 4,
};

enum effect_kind {
	EFFECT_NONE,
#define EFFECT(symbol, name, mutates) EFFECT_##symbol,
#include "lib/core/effects.def"
#undef EFFECT
	EFFECT_COUNT
};

struct job {
	int64_t id;
	char uid[27];		 /* ULID: in run names, comment markers, external ids, log lines */
	int64_t installation_id; /* 0 in token mode */
	int64_t repo_id;
	char *repo; /* owner/name at the time of the command */
	int64_t pr;
	int64_t comment_id;
	int64_t cmd_no; /* of the comment, from 0 */
	int64_t actor_id;
	char *actor;   /* login */
	char *command; /* name */
	char *line;    /* as the person wrote it */
	json_t *args;
	json_t *data;	   /* what the steps have found out; see lib/commands/common.h */
	char head_sha[65]; /* "" until pinned */
	enum job_state state;
	char step[JOB_STEP_MAX]; /* its name; "": the first */
	int64_t tries;		 /* of the present step */
	int64_t crashes;    /* processes that crashed over it since its last committed result */
	bool cancel;	    /* somebody asked to stop it */
	char *cancelled_by; /* login, NULL */
	enum wait_kind wait_kind;
	char *wait_ref; /* run id, ... */
	int64_t due_at_ms, deadline_at_ms, comment_at_ms, created_at_ms, started_at_ms,
		finished_at_ms;
	char *code;    /* reason code of a final state, NULL */
	char *message; /* one sentence for a final state, NULL */

	/* A wanted end: the store never ends a job behind people's backs. Instead it makes it READY
	 * with these set, and the worker that claims it runs no step but ends it so, with comment
	 * and reaction. JOB_READY (0): none is wanted. */
	enum job_state end_state;
	char *end_code; /* without an end_state, why `cancel` is set; NULL: somebody said so */
	char *end_message;

	bool is_stranger; /* nobody here knows who asks, on a public repository */
	bool is_quiet;	  /* and they had their answer within the hour: nothing is said */

	const struct job_rules *rules; /* set by the worker before a step is asked; borrowed */
};

/* The operator's times that steps need; milliseconds. */
struct job_rules {
	int64_t look_first_ms;	 /* first look at a young run; later looks grow with its age */
	int64_t look_until_ms;	 /* age from which only the feed and the sweep look */
	int64_t doubt_ms;	 /* how long a run that was not found may still turn up */
	int64_t look_service_ms; /* first look at an InferenceService; later ones come slower */
	int64_t look_held_ms;	 /* between two looks at a model whose traffic is held */
};

void job_dispose(struct job *job);

/* Of a job that is to be stopped, by /cancel or because its pull request was closed: the code of
 * its end, and "stopped by ann" or "stopped because ann closed the pull request", with `word` for
 * "stopped". The caller frees the words. */
bool job_is_closed(const struct job *job);
const char *job_stop_code(const struct job *job);
char *job_stop_words(const struct job *job, const char *word) MUST_CHECK;

struct effect {
	enum effect_kind kind;
	json_t *args; /* owned; NULL for none */
};

struct effect_result {
	struct err err; /* class ERR_OK: it worked */
	json_t *data;	/* owned; NULL for none */
	int64_t took_ms;
};

enum update_kind {
	UPDATE_EFFECT, /* run `effect`, then ask this step again */
	UPDATE_NEXT,   /* go on with the step named `step` */
	UPDATE_WAIT,   /* park until due_at_ms or until wait_ref is reported */
	UPDATE_END,    /* `state`, `code`, `message` */
};

struct update {
	enum update_kind kind;
	struct effect effect;
	const char *step; /* a constant of the command's */
	enum wait_kind wait_kind;
	char *wait_ref; /* owned */
	int64_t due_at_ms;
	enum job_state state;
	char *code;	   /* owned */
	char *message;	   /* owned */
	json_t *data;	   /* owned; members replace those of job->data; NULL: nothing */
	char head_sha[65]; /* pins the job when not "" */
	/* for the audit */
	char *authorized; /* owned: the rule by which the job may go on; NULL: nothing was asked */
	bool refused;	  /* UPDATE_END: because of what somebody may or may not do here */
	bool is_member;	  /* the person may change something here: no stranger */
};

void update_dispose(struct update *update);

struct step {
	/* "compile": log key, metric label, --step of /logs. It stands in the rows of jobs under
	 * way, so that steps may be added and moved; a name that is taken away ends those that are
	 * at it.
	 */
	const char *name;
	const char *sentence; /* what people read while it runs: "compiling the pipeline" */
	bool handles_errors; /* gets final errors of its effect too; else the job fails with them */
	bool handles_cancel; /* sees job->cancel itself; else a cancelled job ends before it */
	bool is_optional;    /* an error that does not pass after a few tries is given to it, so it
				must handle errors: the job goes on without */
	bool is_only_asking; /* about what has ended: when the operator's patience is over, an error
				is given to it, so it must handle errors */
	bool hears_the_end; /* when the deadline is over, an error is given to it, so it must handle
			       errors: what it has under way outside does not end with the job */
	bool only_forks;    /* passed over where the pull request comes from no fork */
	bool must_finish;   /* goes on past the deadline, however long nothing answers: what it
			       changed has to be put back */
	void (*decide)(const struct job *job, const struct effect_result *last, int64_t now_ms,
		       struct update *out);
};

/* The step among `steps` (ended by a NULL name) that a job is at; NULL: none has this name. */
const struct step *job_step(const struct step *steps, const char *name) MUST_CHECK;

const char *effect_name(enum effect_kind kind);
bool effect_mutates(enum effect_kind kind);
enum effect_kind effect_from_name(const char *name);

const char *job_state_name(enum job_state state);
bool job_state_is_final(enum job_state state);

/* The allowed moves, one row each; drawn into docs/architecture.md and checked for dead ends. */
struct job_move {
	enum job_state from, to;
	const char *why;
};
extern const struct job_move job_moves[];
extern const size_t job_move_count;
bool job_may_move(enum job_state from, enum job_state to);

#endif
