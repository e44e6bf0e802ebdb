/* turns_impl.h - whose turn it is, for the files of lib/store: repositories at the workers, and
 * installations with their repositories in the outbox. See queue_turn.c and outbox_next.c. */
#ifndef KF_STORE_TURNS_IMPL_H
#define KF_STORE_TURNS_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/store/db.h"

/* Who was served last, by urgency: which installation, and in each which repository. */
struct outbox_turns {
	int64_t installation_id[3];
	bool final_first; /* an answer at once was sent last */
	struct outbox_place {
		int64_t installation_id, repo_id[3];
	} * places;
	size_t place_count;
};

/* The repository whose turn it is to have a job claimed; NOT_FOUND, quietly: none, then
 * *next_due_ms as of queue_claim. */
enum err_class store_turn(struct db *db, int64_t now_ms, int64_t in_hand_max, int64_t *repo_id,
			  int64_t *next_due_ms, struct err *err) MUST_CHECK;

#endif
