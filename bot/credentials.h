/* credentials.h - whether GitHub, Kubeflow and object stores take our credentials, as they answer.
 *
 * While one refuses them the operator is told once, and work waits; what waits is tried again when
 * a file that holds a credential has been replaced. Any thread may note; one thread looks. */
#ifndef KF_BOT_CREDENTIALS_H
#define KF_BOT_CREDENTIALS_H

#include <stdbool.h>

#include "bot/world.h"
#include "lib/base/sign.h"

/* Where a call went: GitHub, or a cluster or its object store by its index. */
enum {
	CREDENTIALS_GITHUB = 0,
	CREDENTIALS_CLUSTER = 1,
	CREDENTIALS_STORE = CREDENTIALS_CLUSTER + WORLD_CLUSTERS_MAX,
	CREDENTIALS_MAX = CREDENTIALS_STORE + WORLD_CLUSTERS_MAX,
};

/* Takes the outcome of a call into account: CONFIG is a refusal, an answer of any other kind says
 * that they were taken, trouble on the way says nothing. */
void credentials_note(const struct world *world, size_t who, const struct err *err);

/* The same for the effect of a job, which tells itself where it went. */
void credentials_note_effect(const struct world *world, const struct job *job,
			     enum effect_kind kind, const struct err *err);

/* The same for a call to the object store of a job's cluster. */
void credentials_note_store(const struct world *world, const struct job *job,
			    const struct err *err);

/* For /readyz. */
bool credentials_are_refused_by_github(void);

enum { CREDENTIALS_FILES = 5 }; /* of a cluster */

/* One look at the files. True: somebody refuses us, and a file was replaced since the look before.
 */
struct credentials_watch {
	struct sign_stamp stamps[2 + CREDENTIALS_FILES * WORLD_CLUSTERS_MAX];
};
bool credentials_look(struct credentials_watch *watch, const struct world *world);

#endif
