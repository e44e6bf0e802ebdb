/* policy_commands.h - a small table of commands of every kind, for tests of the pure core, which
 * knows none. */
#ifndef KF_TESTS_POLICY_COMMANDS_H
#define KF_TESTS_POLICY_COMMANDS_H

#include "lib/core/command.h"

static const char *const build_run_parts[] = {"build", "run", NULL};
static const struct command some_commands[] = {
	{.name = "help", .right = RIGHT_ANYONE, .scope = SCOPE_ALWAYS},
	{.name = "status", .right = RIGHT_READ, .scope = SCOPE_ALWAYS},
	{.name = "logs", .right = RIGHT_WRITE},
	{.name = "build", .right = RIGHT_WRITE, .uses = USE_BUILD},
	{.name = "run", .right = RIGHT_WRITE, .uses = USE_RUN},
	{.name = "build_run",
	 .right = RIGHT_WRITE,
	 .uses = USE_BUILD | USE_RUN,
	 .parts = build_run_parts},
	{.name = "deploy",
	 .right = RIGHT_MAINTAIN,
	 .uses = USE_DEPLOY,
	 .scope = SCOPE_ENVIRONMENT,
	 .rule = "deploy"},
	{.name = "staging_deploy",
	 .right = RIGHT_MAINTAIN,
	 .uses = USE_DEPLOY,
	 .scope = SCOPE_ENVIRONMENT,
	 .rule = "deploy",
	 .environment = "staging"},
	{.name = "rollback",
	 .right = RIGHT_MAINTAIN,
	 .scope = SCOPE_ENVIRONMENT,
	 .rule = "rollback"},
	{.name = "ok-to-run",
	 .alias = "ok-to-test",
	 .right = RIGHT_MAINTAIN,
	 .right_is_least = true},
	{.name = "lock", .right = RIGHT_MAINTAIN, .scope = SCOPE_ENVIRONMENT, .rule = "lock"},
};
enum { SOME_COMMANDS = sizeof some_commands / sizeof some_commands[0] };

/* The table, made on first use. */
static inline const struct command_table *some_table(void)
{
	static const struct command *items[SOME_COMMANDS];
	static const struct command_table table = {items, SOME_COMMANDS};

	for (int i = 0; i < SOME_COMMANDS; i++)
		items[i] = &some_commands[i];
	return &table;
}

#endif
