/* stops.h - which jobs of others somebody may stop, as one small map that a job can keep.
 *
 * {"build": true, "deploy production": false, "deploy *": true}: a command, with an environment
 * where it is for one. "*" are the environments that the map does not name; what else is not there
 * is not allowed. Made by rights_stops, read by the store. Pure; any thread. */
#ifndef KF_CORE_STOPS_H
#define KF_CORE_STOPS_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/core/command.h"

#define STOPS_OTHERS "*" /* no environment has this name */

/* "deploy production", of a command for an environment; else "build" (`environment` is NULL). */
void stops_key(struct buf *out, const struct command *command, const char *environment);

/* May a job of this command with these arguments be stopped, by the map? `command` NULL: there is
 * no such command any more, and nobody may. */
bool stops_allow(const json_t *map, const struct command *command, const json_t *args) MUST_CHECK;

#endif
