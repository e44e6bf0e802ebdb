/* commands.c - see commands.h. */
#include "lib/commands/commands.h"

static const struct command *const items[] = {
#define COMMAND(name) &command_##name,
#include "lib/commands/commands.def"
#undef COMMAND
};

const struct command_table commands = {.items = items, .count = ARRAY_LEN(items)};
