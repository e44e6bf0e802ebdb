/* rollout_steps.h - the rows of steps of which the commands that roll a model out are made. A row
 * is used by several commands; what differs between them stands in their own files. Pure. */
#ifndef KF_COMMANDS_ROLLOUT_STEPS_H
#define KF_COMMANDS_ROLLOUT_STEPS_H

#include "lib/commands/common_fork.h"
#include "lib/commands/rollout.h"

#define ROLLOUT_STEP(name_, sentence_, decide_)                                                    \
	{                                                                                          \
		.name = name_, .sentence = sentence_, .handles_errors = true, .decide = decide_    \
	}
/* Something has been changed: cancelling and deadlines are the step's own business. */
#define ROLLOUT_ACT(name_, sentence_, decide_)                                                     \
	{                                                                                          \
		.name = name_, .sentence = sentence_, .handles_errors = true,                      \
		.handles_cancel = true, .decide = decide_                                          \
	}
/* Traffic may be moved or a model be loaded: it never ends but by its own word. */
#define ROLLOUT_TRAFFIC(name_, sentence_, decide_)                                                 \
	{                                                                                          \
		.name = name_, .sentence = sentence_, .handles_errors = true,                      \
		.handles_cancel = true, .must_finish = true, .decide = decide_                     \
	}
/* The job goes on without what this brings. */
#define ROLLOUT_EXTRA(name_, sentence_, decide_)                                                   \
	{                                                                                          \
		.name = name_, .sentence = sentence_, .handles_errors = true,                      \
		.handles_cancel = true, .is_optional = true, .decide = decide_                     \
	}

/* What every rollout does until it is known whether it may go on. */
#define ROLLOUT_PREPARE                                                                            \
	STEP_AUTHORIZE, STEP_PIN_PROVEN, ROLLOUT_STEP("ask", "asking GitHub", rollout_ask),        \
		ROLLOUT_STEP("checkout", "checking the commit out", rollout_checkout),             \
		ROLLOUT_STEP("settings", "reading config_files/config.yaml", rollout_settings),    \
		ROLLOUT_STEP("find_run", "looking for the run", rollout_find_run),                 \
		ROLLOUT_STEP("model", "looking for the model", rollout_model),                     \
		STEP_FORK("fork_service"),                                                         \
		ROLLOUT_STEP("service", "making the InferenceService", rollout_service),           \
		ROLLOUT_STEP("approvals", "asking who approved it", rollout_approvals),            \
		ROLLOUT_STEP("gates", "checking the gates", rollout_gates)

/* The rollout itself, and after its end the steps that lead back. */
#define ROLLOUT_GO                                                                                 \
	ROLLOUT_STEP("wait_approvals", "waiting for approvals", rollout_wait_approvals),           \
		ROLLOUT_STEP("turn", "waiting for the environment", rollout_turn), STEP_CONFIRM,   \
		ROLLOUT_STEP("again", "checking the gates once more", rollout_again),              \
		STEP_FORK("fork_deploy"),                                                          \
		ROLLOUT_STEP("begin", "writing down what serves now", rollout_begin),              \
		ROLLOUT_ACT("announce", "telling GitHub", rollout_announce), ROLLOUT_LOAD,         \
		ROLLOUT_SHIFT, ROLLOUT_FINISH, ROLLOUT_BACK

/* A model beside what serves, at 0 %. */
#define ROLLOUT_LOAD                                                                               \
	ROLLOUT_EXTRA("close", "closing what is gone", rollout_close),                             \
		ROLLOUT_ACT("try", "trying it without effect", rollout_try),                       \
		ROLLOUT_TRAFFIC("recheck", "looking at the model's files again", rollout_recheck), \
		ROLLOUT_TRAFFIC("stage", "loading the new model", rollout_stage)

/* From there up: shift leads back to watch until the last percentage is reached. */
#define ROLLOUT_SHIFT                                                                              \
	ROLLOUT_EXTRA("sample", "asking the new model", rollout_sample),                           \
		ROLLOUT_TRAFFIC("recheck_loaded", "looking at the model's files again",            \
				rollout_recheck),                                                  \
		ROLLOUT_TRAFFIC("watch", "watching the new model", rollout_watch),                 \
		ROLLOUT_TRAFFIC("shift", "moving the traffic", rollout_shift),                     \
		ROLLOUT_TRAFFIC("recheck_served", "looking at the model's files again",            \
				rollout_recheck)

/* It serves. */
#define ROLLOUT_FINISH                                                                             \
	ROLLOUT_ACT("record", "writing down what serves now", rollout_record),                     \
		ROLLOUT_EXTRA("label", "moving the label", rollout_label),                         \
		ROLLOUT_EXTRA("tell", "telling GitHub", rollout_tell),                             \
		ROLLOUT_ACT("merge", "merging", rollout_merge),                                    \
		ROLLOUT_ACT("enqueue", "putting it into the merge queue", rollout_enqueue),        \
		ROLLOUT_ACT("queue", "waiting for the merge queue", rollout_queue),                \
		ROLLOUT_EXTRA("branch", "deleting the branch", rollout_branch)

/* The steps that lead back from any failure. */
#define ROLLOUT_BACK                                                                               \
	ROLLOUT_EXTRA("causes", "asking why", rollout_causes),                                     \
		ROLLOUT_TRAFFIC("restore", "putting the traffic back", rollout_restore),           \
		ROLLOUT_ACT("undo", "writing down that it failed", rollout_undo),                  \
		ROLLOUT_EXTRA("tell_failure", "telling GitHub", rollout_tell_failure)

#endif
