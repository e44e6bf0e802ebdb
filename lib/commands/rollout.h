/* rollout.h - the steps by which a tested model gets into an environment, and out of it again; how
 * they follow each other is in rollout_steps.h.
 *
 * What they keep in job->data, beside what common.h lists:
 *   rollout
 * {"environment","namespace","service","path","sample_path","expect","percents","hold_ms",
 *             "timeout_ms","merges","method","delete_branch","sticks","fence","place","since_ms",
 *             "at","hold_until_ms","tries","blocked_seen","tried":bool,"live":bool,"touched":bool,
 *             "removed_before","absent","leaves","left":bool,"branch_deleted":bool,
 *             "deployment": number of its record,"open": percent at which it is left,"watch":
 *             {"at","due_ms","asked_ms","sample": the next, numbers},"holds": [{"percent"...}]}
 *             Of a deployment that is taken up again (/promote, /rollback), moreover:
 *             {"of": the job whose deployment it is,"mark": the uid in its objects,"was": its
 *             percent,"digest": of its model's files}
 *   facts    as effect github.merge_facts brings it
 *   run      {"id","link","sha","pr","state","job","metrics"} of the model
 *   model    {"uri","digest","files","bytes","task","output","cached","found","fits","why","code"}
 *            and the "metrics" of its run
 *   service
 * {"wanted","before","served":{"sha","pr","id","job","remote_id","storage_uri"},"samples","schema",
 *             "link","gone": {"id","job","uid","remote_id","before"}}
 *   sample   {"status","took_ms","body","verdict","asked_ms": when}
 *   approvals {"need","have","enough","changes_requested","changes_by","unknown","moved_to",
 *            "closed","voices": [{"id","login","counts","why"}]}; absent: not known
 *   gates    [{"gate","result","code","sentence","line"}]
 *   failed   {"state","code","message"}: why a rollout is being taken back
 * Steps before `begin` change nothing outside. From `stage` on, whatever goes wrong leads to
 * `causes` and `restore`: all traffic back to what served before, read back, then the end.
 * Pure; any thread. */
#ifndef KF_COMMANDS_ROLLOUT_H
#define KF_COMMANDS_ROLLOUT_H

#include "lib/base/buf.h"
#include "lib/commands/common.h"
#include "lib/core/gates.h"
#include "lib/core/isvc.h"

/* --- ways that the steps share --- */

/* "production": the argument of the command, or what its name says. */
const char *rollout_environment(const struct job *job);
/* "/deploy production", for lines to paste; that of the command which /plan is about. The caller
 * frees. */
char *rollout_line(const struct job *job) MUST_CHECK;

/* Gives the rollout up: on to the steps that take it back, or the end when nothing was touched. */
void rollout_fail(const struct job *job, struct update *out, enum job_state state, const char *code,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The facts as far as job and update know them; texts are borrowed from their data. */
void rollout_facts(const struct job *job, const struct update *out, int64_t now_ms,
		   struct gate_facts *facts);
/* Stores the verdicts for people. */
void rollout_keep_verdicts(const struct job *job, struct update *out,
			   const struct gate_report *report);
/* Asks for approvals, judges them into the topic, tells them: "1 of 2; does not count: ...". */
bool rollout_needs_approvals(const struct job *job, struct update *out);
void rollout_ask_approvals(const struct job *job, struct update *out);
void rollout_judge_approvals(json_t *topic, const json_t *data);
void rollout_keep_approvals(const struct job *job, const struct effect_result *last,
			    struct update *out);
void rollout_tell_approvals(const json_t *topic, struct buf *out);
/* Notes for people that something which only decorates was refused; the job goes on. */
void rollout_note(const struct job *job, const char *what, const struct effect_result *last,
		  struct update *out);
/* True when a person asked to stop or the time is over; then the update is filled. */
bool rollout_is_stopped(const struct job *job, int64_t now_ms, struct update *out);
/* {"namespace","service"}: what is asked of the service is asked with these. */
json_t *rollout_service_args(const struct job *job) MUST_CHECK;
void rollout_ask_look(const struct job *job, struct update *out);
/* True when the present phase has had its time. */
bool rollout_is_late(const struct job *job, int64_t now_ms);
/* When to look again: growing with the time since the phase began. */
int64_t rollout_next_look(const struct job *job, int64_t now_ms);

/* True when a first model is tried before it serves: there is a sample, the name leaves room for a
 * second service, nobody wants otherwise. */
bool rollout_tries_first(const struct job *job);

/* True when nothing is to be sent, because the object serves this very model. */
bool rollout_is_live_already(const json_t *service);
/* True when our record of what serves says the same: there is nothing to be written down anew. */
bool rollout_is_recorded(const struct job *job, const json_t *service);
/* The percent at which the rollout is to be left; -1: it goes on to all traffic. */
int rollout_left_open(const struct job *job);
/* The percent that the new model has when KServe has taken this one of the steps. */
int rollout_real_percent(const struct job *job, int percent);

/* What a record keeps, beside the objects, so that its rollout can be taken up again later. */
json_t *rollout_record_plan(const struct job *job) MUST_CHECK;
/* The other way: the data of steps from the record of a deployment, of which these objects are to
 * be had. */
void rollout_take_up(const struct job *job, const json_t *deployment, struct update *out);

/* What the planner is to reach; borrowed from the data of job and update. */
void rollout_goal(const struct job *job, const struct update *out, enum isvc_phase phase,
		  int percent, struct isvc_goal *goal);
/* Plans the next move from a look, with its note kept; the caller disposes of the move. */
void rollout_plan(const struct job *job, const struct effect_result *last, enum isvc_phase phase,
		  int percent, struct update *out, struct isvc_move *move);
/* Asks for a move to be made, or tried without effect. */
void rollout_ask_move(const struct job *job, const struct isvc_request *request, bool dry_run,
		      struct update *out);

/* --- steps --- */
STEP_DECIDE(rollout_ask);
STEP_DECIDE(rollout_checkout);
STEP_DECIDE(rollout_settings);
STEP_DECIDE(rollout_find_run);
STEP_DECIDE(rollout_model);
STEP_DECIDE(rollout_service);
STEP_DECIDE(rollout_approvals);
STEP_DECIDE(rollout_gates);
STEP_DECIDE(rollout_wait_approvals);
STEP_DECIDE(rollout_turn);
STEP_DECIDE(rollout_again);
STEP_DECIDE(rollout_begin);
STEP_DECIDE(rollout_announce);
STEP_DECIDE(rollout_close);
STEP_DECIDE(rollout_try);
STEP_DECIDE(rollout_recheck);
STEP_DECIDE(rollout_stage);
STEP_DECIDE(rollout_sample);
STEP_DECIDE(rollout_watch);
STEP_DECIDE(rollout_shift);
STEP_DECIDE(rollout_record);
STEP_DECIDE(rollout_label);
STEP_DECIDE(rollout_tell);
STEP_DECIDE(rollout_merge);
STEP_DECIDE(rollout_same_model);
STEP_DECIDE(rollout_enqueue);
STEP_DECIDE(rollout_queue);
STEP_DECIDE(rollout_branch);
STEP_DECIDE(rollout_causes);
STEP_DECIDE(rollout_restore);
STEP_DECIDE(rollout_undo);
STEP_DECIDE(rollout_tell_failure);

#endif
