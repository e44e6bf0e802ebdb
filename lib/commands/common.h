/* common.h - the words in which steps answer, and the steps that several commands share.
 *
 * What steps keep in job->data, one object a topic:
 *   pull       {"head_ref","base_ref","html_url","fork": it comes from one,"policy_here": git's
 *               name of the policy file at the commit, "" for none, "odd" for no file}
 *   fork       {"waits": for GitHub and its events to name one head}
 *   pin        {"source": "recorded" | "pushes" | "api" | "given" | "kept", "doubt": why it is not
 *               proven, see pin.h,"moved_from": sha,"proves","tries"}
 *   policy     {"source","sha","rule": that allowed it,"write","maintain": the person has that
 *               permission,"fork_build","fork_run","fork_deploy"}; of what deploys also
 *               {"approvals","approvers": see approvers.h,"checks","up_to_date","merges",
 *               "metrics": see thresholds.h,"after","method","hold_ms","steps","freeze",
 *               "namespaces": {of which environment}}, of /plan {"allowed","why"}, of /cancel
 *               {"stops": see stops.h}; or {"source","sha","refusal": {"code","sentence","member"}}
 *               of what is refused
 *   settings   {"namespace","experiment","pipeline","description","path","function","args","mode",
 *               "model": which one is deployed if a run has several; absent: none is}
 *   compile    {"sha256","content": digest of the documents,"platform","bytes","name","tasks",
 *               "parameters","names_version": version_id among them follows the version's name,
 *               "images","variant": to be uploaded without caching,"stores": tasks that store the
 *               run's model by themselves, as pipeline_stores tells them; absent: none}
 *   version    {"pipeline_id","id","name","base": name of the version that is run without
 *               caching,"adopted","try","content": digest of what Kubeflow made
 *               of the upload; only uploads have it}
 *   experiment {"id"}
 *   run        {"id","name","parameters","created_at_ms","state","tasks","terminating",
 *               "terminated_at_ms","looked_at_ms","absent_at_ms","id_try"}
 *   model      {"uri","digest"} of what a run that succeeded has left, or {"note"}: why that is not
 *               known; "metrics": that were recorded, as mlmd_outputs has them
 *   parts      [{"name","state","text","started_at_ms","ended_at_ms"}]: the rows people see
 *   failure    {"part","causes","log","annotation":{"path","line","message"}}
 *   answer     Markdown of a command that only answers
 * Pure; any thread. */
#ifndef KF_COMMANDS_COMMON_H
#define KF_COMMANDS_COMMON_H

#include "lib/base/buf.h"
#include "lib/core/job.h"
#include "lib/core/pin.h"

/* --- ways to end a decide --- */
void common_ask(struct update *out, enum effect_kind kind, json_t *take_args);
void common_next(const struct job *job, struct update *out);
/* On to the step of this name, which the command has. */
void common_jump(const struct job *job, struct update *out, const char *step);
/* True when no step follows the present one. */
bool common_is_last(const struct job *job);
void common_wait(struct update *out, enum wait_kind kind, const char *ref, int64_t due_at_ms);
void common_end(struct update *out, enum job_state state, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Ends FAILED because of what somebody may or may not do here, which the audit calls refused. */
void common_refuse(struct update *out, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Ends FAILED with the effect's error. */
void common_fail(struct update *out, const struct err *err);

/* --- data --- */
/* The object `name` of the update's data, begun as a copy of the job's; borrowed. */
json_t *common_data(const struct job *job, struct update *out, const char *name);

enum part_state { PART_RUNNING, PART_DONE, PART_FAILED, PART_CANCELLED };
/* Opens or changes a row that people see; `text` is Markdown made by us, NULL keeps the old. */
void common_part(const struct job *job, struct update *out, const char *name, enum part_state state,
		 int64_t now_ms, const char *text);

/* Parameters of the run: what the person typed over what the repository's settings give; the caller
 * drops it. */
json_t *common_given_parameters(const struct job *job);

/* Does the job's pull request come from a fork, by what is kept or about to be (`out` may be NULL)?
 */
bool common_is_fork(const struct job *job, const struct update *out);

/* --- the parts of pinning; the pull request's state is judged in between --- */
void common_pin_ask(const struct job *job, struct update *out);
/* True when the commit is chosen; else the update says what else is to be done. */
bool common_pin_choose(const struct job *job, const json_t *pull, int64_t now_ms,
		       struct update *out) MUST_CHECK;
/* The heads that events told of, from the answer of EFFECT_PULL; how many. */
enum { COMMON_HEADS_MAX = 64 };
size_t common_heads(const json_t *pull, struct pin_head heads[COMMON_HEADS_MAX]);

/* True, and the update filled, for a stranger who had an answer within the hour and asks for what
 * only tells, and no policy takes away: they get none, and GitHub is not asked for them. */
bool common_is_too_often(const struct job *job, struct update *out) MUST_CHECK;

/* --- shared steps --- */
/* Who has the environment, of what effect github.refusal brings; nothing where nobody has. */
void common_say_lock(const json_t *facts, const char *environment, struct buf *out);
/* Keeps which policy file a checkout has, for render_policy_note. */
void common_keep_policy_here(const struct job *job, const struct effect_result *last,
			     struct update *out);

#define STEP_DECIDE(name)                                                                          \
	void name(const struct job *job, const struct effect_result *last, int64_t now_ms,         \
		  struct update *out)
STEP_DECIDE(common_authorize);
STEP_DECIDE(common_pin);
STEP_DECIDE(common_pin_proven);
STEP_DECIDE(common_checkout);
STEP_DECIDE(common_settings);
STEP_DECIDE(common_compile);
STEP_DECIDE(common_confirm);
STEP_DECIDE(common_pipeline);
STEP_DECIDE(common_upload);
STEP_DECIDE(common_variant);
STEP_DECIDE(common_find_version);
STEP_DECIDE(common_experiment);
STEP_DECIDE(common_create_run);
STEP_DECIDE(common_follow);
STEP_DECIDE(common_causes);
STEP_DECIDE(common_keep_model);

#define STEP_AUTHORIZE                                                                             \
	{                                                                                          \
		.name = "authorize", .sentence = "asking who may", .decide = common_authorize      \
	}
#define STEP_PIN                                                                                   \
	{                                                                                          \
		.name = "pin", .sentence = "choosing the commit", .decide = common_pin             \
	}
/* The same where a commit that is not proven to be the one meant is going to be refused. */
#define STEP_PIN_PROVEN                                                                            \
	{                                                                                          \
		.name = "pin", .sentence = "choosing the commit", .decide = common_pin_proven      \
	}
#define STEP_CHECKOUT                                                                              \
	{                                                                                          \
		.name = "checkout", .sentence = "checking the commit out",                         \
		.decide = common_checkout                                                          \
	}
#define STEP_SETTINGS                                                                              \
	{                                                                                          \
		.name = "settings", .sentence = "reading config_files/config.yaml",                \
		.handles_errors = true, .decide = common_settings                                  \
	}
#define STEP_COMPILE                                                                               \
	{                                                                                          \
		.name = "compile", .sentence = "compiling the pipeline", .handles_errors = true,   \
		.decide = common_compile                                                           \
	}
#define STEP_CONFIRM                                                                               \
	{                                                                                          \
		.name = "confirm", .sentence = "asking again who may", .decide = common_confirm    \
	}
#define STEP_PIPELINE                                                                              \
	{                                                                                          \
		.name = "pipeline", .sentence = "finding the pipeline in Kubeflow",                \
		.decide = common_pipeline                                                          \
	}
#define STEP_UPLOAD                                                                                \
	{                                                                                          \
		.name = "upload", .sentence = "uploading the version", .handles_errors = true,     \
		.decide = common_upload                                                            \
	}
#define STEP_VARIANT                                                                               \
	{                                                                                          \
		.name = "variant", .sentence = "uploading it without caching",                     \
		.handles_errors = true, .decide = common_variant                                   \
	}
#define STEP_FIND_VERSION                                                                          \
	{                                                                                          \
		.name = "version", .sentence = "looking for the version", .handles_errors = true,  \
		.decide = common_find_version                                                      \
	}
#define STEP_EXPERIMENT                                                                            \
	{                                                                                          \
		.name = "experiment", .sentence = "finding the experiment",                        \
		.decide = common_experiment                                                        \
	}
#define STEP_CREATE_RUN                                                                            \
	{                                                                                          \
		.name = "create_run", .sentence = "creating the run", .handles_errors = true,      \
		.handles_cancel = true, .hears_the_end = true, .decide = common_create_run         \
	}
#define STEP_FOLLOW                                                                                \
	{                                                                                          \
		.name = "follow", .sentence = "following the run", .handles_errors = true,         \
		.handles_cancel = true, .hears_the_end = true, .decide = common_follow             \
	}
#define STEP_CAUSES                                                                                \
	{                                                                                          \
		.name = "causes", .sentence = "asking why the run failed", .handles_errors = true, \
		.handles_cancel = true, .is_only_asking = true, .decide = common_causes            \
	}
/* After a run that succeeded, which no failure of this step changes. */
#define STEP_KEEP_MODEL                                                                            \
	{                                                                                          \
		.name = "keep_model", .sentence = "noting the model of the run",                   \
		.handles_errors = true, .handles_cancel = true, .is_optional = true,               \
		.decide = common_keep_model                                                        \
	}
#define STEP_LAST                                                                                  \
	{                                                                                          \
		.name = NULL                                                                       \
	}

#endif
