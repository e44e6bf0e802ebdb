/* ceilings.h - do the operator's ceilings name commands that there are?
 *
 * The configuration knows no commands, so this is asked beside it: a ceiling over a command that is
 * misspelt would be none. Pure; any thread. */
#ifndef KF_BOT_CEILINGS_H
#define KF_BOT_CEILINGS_H

#include <stdbool.h>

#include "config/config.h"

/* Appends "FILE:LINE:1: ..." for each name that is no command's; true when all are. */
bool ceilings_check(const struct config *config, const char *file, struct buf *report);

#endif
