/* wishes.h - what a job wants GitHub to show after a change of its state.
 *
 * Decides which slots get a new wish: the status comment, the final comment when it took long, the
 * checks. (Reactions belong to comments, and are wished for by the store.) Pure but for the view it
 * is handed. */
#ifndef KF_BOT_WISHES_H
#define KF_BOT_WISHES_H

#include "bot/world.h"
#include "lib/core/pipeline.h"
#include "lib/store/outbox.h"

enum { WISHES_MAX = 8 };

struct wishes {
	struct outbox_wish items[WISHES_MAX];
	size_t count;
};

struct wishes_view {
	const struct world *world;
	const struct pipeline *pipeline; /* NULL: none (yet) */
	int64_t now_ms;
	bool told_before; /* the person heard not long ago that they may not */
};

/* Fills the wishes for the job as it is now, and notes in job->data what was shown, so that an
 * unchanged job makes none. */
void wishes_make(struct wishes *out, const struct wishes_view *view, struct job *job);
void wishes_dispose(struct wishes *wishes);

#endif
