/* commands.h - the table of all commands: what /help lists, what the parser knows, what the worker
 * runs.
 *
 * Adding one: a file that exports one constant, and a line in commands.def. Pure; any thread. */
#ifndef KF_COMMANDS_COMMANDS_H
#define KF_COMMANDS_COMMANDS_H

#include "lib/core/command.h"

extern const struct command_table commands;

#define COMMAND(name) extern const struct command command_##name;
#include "lib/commands/commands.def"
#undef COMMAND

#endif
