/* run.c - /run: a run of a version that was built before. */
#include "lib/commands/commands.h"
#include "lib/commands/common_fork.h"

static const struct command_flag flags[] = {
	{"param", FLAG_PARAM, "K=V", "a pipeline parameter; may be repeated"},
	{"experiment", FLAG_TEXT, "E", "the experiment the run belongs to"},
	{"sha", FLAG_SHA, "SHA", "the commit whose version is run"},
	{"no-cache", FLAG_BOOL, NULL,
	 "run it as a version with caching switched off in every task"},
	{"timeout", FLAG_DURATION, "T", "stop the run when it takes longer, for example 6h"},
	{"name", FLAG_TEXT, "NAME", "the name of the run in Kubeflow"},
	{NULL, FLAG_BOOL, NULL, NULL},
};

static const char *const examples[] = {"/run", "/run --param neighbors=5", "/run --no-cache",
				       "/run pr-7-9f8e7d6a1b2c --timeout 6h", NULL};

static const struct step steps[] = {
	STEP_AUTHORIZE,
	STEP_PIN,
	STEP_CHECKOUT,
	STEP_SETTINGS,
	STEP_FIND_VERSION,
	STEP_CONFIRM,
	STEP_FORK("fork_upload"),
	STEP_VARIANT,
	STEP_EXPERIMENT,
	STEP_FORK("fork_run"),
	STEP_CREATE_RUN,
	STEP_FOLLOW,
	STEP_CAUSES,
	STEP_KEEP_MODEL,
	STEP_LAST,
};

const struct command command_run = {
	.name = "run",
	.summary = "Run the version that was built of this commit (or the one you name).",
	.examples = examples,
	.flags = flags,
	.arg_name = "VERSION",
	.arg_type = FLAG_NAME,
	.right = RIGHT_WRITE,
	.uses = USE_RUN,
	.steps = steps,
};
