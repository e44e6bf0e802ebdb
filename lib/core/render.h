/* render.h - what people see of a job: the comment, the check run, the commit status, the reaction.
 *
 * Everything is made from the job's record alone, so a restart or a lost update changes nothing of
 * what is shown in the end. Text from outside goes through markdown.h. Layout: docs/commands.md.
 * Pure; any thread. */
#ifndef KF_CORE_RENDER_H
#define KF_CORE_RENDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/core/job.h"
#include "lib/core/pipeline.h"

struct render_view {
	const struct job *job;
	const struct command *command;
	const struct pipeline *pipeline; /* NULL when there is none (yet) */
	const char *slot;		 /* "status" or "final": goes into the marker */
	int64_t now_ms;
};

/* With which every comment of ours begins. */
#define RENDER_MARKER "<!-- kf:v1 "

/* The hidden first line by which our comment is found again: "<!-- kf:v1 job=ULID slot=status -->".
 */
void render_marker(const struct job *job, const char *slot, struct buf *out);

/* The whole comment, at most MARKDOWN_BODY_MAX bytes. */
void render_comment(const struct render_view *view, struct buf *out);

/* A table of the verdicts of gates: [{"gate","result","sentence","line"}]. */
void render_gates(const json_t *gates, struct buf *out);
/* What they come to, in one sentence: for a plan. */
void render_verdict(const json_t *gates, struct buf *out);
/* A table of two columns from its rows, "| name | text |" and a newline each; the first, which says
 * what matters most, becomes its head. */
void render_rows(const struct buf *rows, struct buf *out);
/* "the model of `9f8e7d6` · its run · made by `train`", of the job's own model. */
void render_rollout_model(const struct job *job, struct buf *out);

/* A sentence for people: what stands between backticks becomes code, the rest plain text. */
void render_sentence(const char *text, struct buf *out);

/* That the pull request has another policy file than the one by which it is judged; nothing where
 * that is not so, or not known. */
void render_policy_note(const struct job *job, struct buf *out);

/* What a comment shows of a rollout, and what may be said next; for render_comment. */
void render_rollout(const struct job *job, struct buf *out);
void render_rollout_next(const struct job *job, struct buf *out);

/* "rocket" done, "-1" failed or refused, "confused" cancelled and the like. */
const char *render_reaction(const struct job *job);

enum { RENDER_CHECKS_MAX = 2 };

/* Which checks the job has begun ("build", "run", "deploy"); returns how many. That of deploying is
 * shown with its environment. */
int render_checks(const struct job *job, const char *names[RENDER_CHECKS_MAX]);

/* Body of POST or PATCH /check-runs for a check; the caller drops it. */
json_t *render_check_run(const struct render_view *view, const char *check) MUST_CHECK;

/* Body of POST /statuses/{sha} for a check; the caller drops it. */
json_t *render_commit_status(const struct render_view *view, const char *check) MUST_CHECK;

#endif
