/* staging_deploy.c - /staging_deploy: Kfops' word for /deploy staging. */
#include "lib/commands/commands.h"
#include "lib/commands/rollout_steps.h"

static const struct command_flag flags[] = {
	{"run-id", FLAG_NAME, "R",
	 "the run whose model is deployed; the newest one is the default"},
	{"sha", FLAG_SHA, "SHA", "the commit you mean; it must be the head of the pull request"},
	{"steps", FLAG_TEXT, "10,50,100", "percents of the traffic on the way up"},
	{"hold", FLAG_DURATION, "15m", "how long each of them is held"},
	{"no-merge", FLAG_BOOL, NULL, "leave the pull request open where the policy merges it"},
	{"merge-method", FLAG_NAME, "merge|squash|rebase", "how it is merged"},
	{"force", FLAG_TEXT, "REASON", "go on though the branch is behind its base"},
	{"wait-lock", FLAG_DURATION, "2h", "how long to wait in line for the environment"},
	{NULL, FLAG_BOOL, NULL, NULL},
};

static const char *const examples[] = {"/staging_deploy", NULL};

static const struct step steps[] = {ROLLOUT_PREPARE, ROLLOUT_GO, STEP_LAST};

const struct command command_staging_deploy = {
	.name = "staging_deploy",
	.summary = "Put the model of this commit into staging and try it there.",
	.examples = examples,
	.flags = flags,
	.right = RIGHT_MAINTAIN,
	.uses = USE_DEPLOY,
	.scope = SCOPE_ENVIRONMENT,
	.rule = "deploy",
	.environment = "staging",
	.steps = steps,
};
