/* rollback.h - the steps of /rollback that find out where it leads, apart from those that go there.
 *
 * In job->data, beside rollout.h: rollout {"undoes" (uid),"undoes_pr","undoes_remote_id",
 * "undoes_open": bool, "reason",
 * "returns_to","returns_to_pr","returns_to_sha","returns_to_remote_id", "back": bool, the way that
 * the last rollout recorded leads there}. Pure; any thread. */
#ifndef KF_COMMANDS_ROLLBACK_H
#define KF_COMMANDS_ROLLBACK_H

#include "lib/commands/rollout.h"

STEP_DECIDE(rollback_target);
STEP_DECIDE(rollback_way);

#endif
