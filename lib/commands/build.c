/* build.c - /build: the pipeline at this commit, compiled and uploaded as a version. */
#include "lib/commands/commands.h"
#include "lib/commands/common_fork.h"

static const struct command_flag flags[] = {
	{"sha", FLAG_SHA, "SHA", "the commit to build; it must be the head of the pull request"},
	{"no-cache", FLAG_BOOL, NULL, "compile with caching switched off in every task"},
	{NULL, FLAG_BOOL, NULL, NULL},
};

static const char *const examples[] = {"/build", "/build --sha 9f8e7d6", NULL};

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
	STEP_LAST,
};

const struct command command_build = {
	.name = "build",
	.summary = "Compile the pipeline at this commit and upload it as a version.",
	.examples = examples,
	.flags = flags,
	.right = RIGHT_WRITE,
	.uses = USE_BUILD,
	.steps = steps,
};
