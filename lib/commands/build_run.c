/* build_run.c - /build_run: build this commit, then run what was built. */
#include "lib/commands/commands.h"
#include "lib/commands/common_fork.h"

static const struct command_flag flags[] = {
	{"sha", FLAG_SHA, "SHA", "the commit to build; it must be the head of the pull request"},
	{"param", FLAG_PARAM, "K=V", "a pipeline parameter; may be repeated"},
	{"experiment", FLAG_TEXT, "E", "the experiment the run belongs to"},
	{"no-cache", FLAG_BOOL, NULL, "compile with caching switched off in every task"},
	{"timeout", FLAG_DURATION, "T", "stop the run when it takes longer, for example 6h"},
	{"name", FLAG_TEXT, "NAME", "the name of the run in Kubeflow"},
	{NULL, FLAG_BOOL, NULL, NULL},
};

static const char *const examples[] = {"/build_run", "/build_run --param neighbors=5 --no-cache",
				       NULL};

static const char *const parts[] = {"build", "run", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	STEP_PIN,
	STEP_CHECKOUT,
	STEP_SETTINGS,
	STEP_FORK("fork_compile"),
	STEP_COMPILE,
	STEP_CONFIRM,
	STEP_FORK("fork_upload"),
	STEP_PIPELINE,
	STEP_UPLOAD,
	STEP_EXPERIMENT,
	STEP_FORK("fork_run"),
	STEP_CREATE_RUN,
	STEP_FOLLOW,
	STEP_CAUSES,
	STEP_KEEP_MODEL,
	STEP_LAST,
};

const struct command command_build_run = {
	.name = "build_run",
	.summary = "Compile the pipeline at this commit, upload it, run it and report.",
	.examples = examples,
	.flags = flags,
	.right = RIGHT_WRITE,
	.uses = USE_BUILD | USE_RUN,
	.parts = parts,
	.steps = steps,
};
