/* strangers.h - what is remembered of people on a public repository, for who asks GitHub about
 * their comments: nothing more is asked for somebody to whom nothing will be said. The rules
 * themselves are applied where a comment is stored, see queue.h. Any connection. */
#ifndef KF_STORE_STRANGERS_H
#define KF_STORE_STRANGERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/store/db.h"

struct strangers_seen {
	bool is_known;	   /* was allowed to change something in the repository once */
	bool was_answered; /* as a stranger, on this pull request, within the hour, or will be */
};
enum err_class strangers_look(struct db *db, int64_t repo_id, int64_t pr, int64_t actor_id,
			      int64_t now_ms, struct strangers_seen *out,
			      struct err *err) MUST_CHECK;

#endif
