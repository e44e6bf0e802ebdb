/* effects.h - carries out what a step asks for. */
#ifndef KF_BOT_EFFECTS_H
#define KF_BOT_EFFECTS_H

#include "bot/world.h"
#include "lib/core/job.h"
#include "lib/core/pipeline.h"

/* Adds what must be chosen before the intent is committed and is not for the pure core to choose:
 * the run id. */
void effects_prepare(struct effect *effect);

/* Runs one effect for a job; `in_doubt`: an earlier try may have acted, look first. Fills out->err
 * and out->data; the caller drops the data. Blocks for as long as the time-outs of the service
 * allow. */
void effects_run(struct hands *hands, const struct job *job, const struct effect *effect,
		 bool in_doubt, struct effect_result *out);

/* The compiled pipeline of a job, as kept in its work folder; NULL when there is none. */
struct pipeline *effects_pipeline(const struct world *world, const struct job *job) MUST_CHECK;

/* Removes the job's work folder. */
void effects_clean(const struct world *world, const struct job *job);

#endif
