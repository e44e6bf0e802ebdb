/* credentials.h - whether GitHub and Kubeflow take our credentials, as their answers say.
 *
 * While one refuses them the operator is told once, and work waits; what waits is tried again when
 * a file that holds a credential has been replaced. Any thread may note; one thread looks. */
#ifndef KF_BOT_CREDENTIALS_H
#define KF_BOT_CREDENTIALS_H

#include <stdbool.h>

#include "bot/world.h"
#include "lib/base/sign.h"

/* Where a call went: GitHub, or a cluster by its index. */
enum { CREDENTIALS_GITHUB = 0, CREDENTIALS_CLUSTER = 1 };

/* Takes the outcome of a call into account: CONFIG is a refusal, an answer of any other kind says
 * that they were taken, trouble on the way says nothing. */
void credentials_note(const struct world *world, size_t who, const struct err *err);

/* The same for the effect of a job, which tells itself where it went. */
void credentials_note_effect(const struct world *world, const struct job *job,
			     enum effect_kind kind, const struct err *err);

/* For /readyz. */
bool credentials_are_refused_by_github(void);

/* One look at the files. True: somebody refuses us, and a file was replaced since the look before.
 */
struct credentials_watch {
	struct sign_stamp stamps[2 + WORLD_CLUSTERS_MAX];
};
bool credentials_look(struct credentials_watch *watch, const struct world *world);

#endif
