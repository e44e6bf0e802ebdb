/* queue_end.c - see store_impl.h. The reaction that takes the place of the eyes.
 *
 * It belongs to a comment, not to a job: it comes when nothing of the comment is under way any
 * more, and is that of the worst end. So it is decided here, in the transaction that ends a job,
 * where no two ends can miss each other. What an earlier failure stopped does not count, and
 * neither does a job that was started again under the same comment. Each reaction has a slot of its
 * own, because a comment whose job was started again and succeeds must lose the old one. */
#include <inttypes.h>
#include <stdio.h>

#include "lib/core/render.h"
#include "lib/store/store_impl.h"

static enum err_class wish(struct db *db, const struct outbox_home *home, int64_t comment_id,
			   const char *slot, const char *content, int64_t now_ms, struct err *err)
{
	char want[96];
	struct outbox_text text = {
		.slot = slot, .kind = SLOT_REACTION, .urgency = OUTBOX_FINAL, .want = want};

	snprintf(want, sizeof want, "{\"comment_id\":%" PRId64 ",\"content\":\"%s\"}", comment_id,
		 content);
	return store_wish(db, home, &text, now_ms, err);
}

static enum err_class wish_or_withdraw(struct db *db, const struct outbox_home *home,
				       int64_t comment_id, const char *content, bool wanted,
				       int64_t now_ms, struct err *err)
{
	int64_t known = 0;
	enum err_class class = ERR_OK;
	char slot[64];

	snprintf(slot, sizeof slot, "end:%" PRId64 ":%s", comment_id, content);
	if (!wanted)
		class = store_number(db, &known, 0, STMT_OUTBOX_SLOT, STORE_BINDS(B_TEXT(slot)),
				     err);
	if (class != ERR_OK || (!wanted && !known))
		return class;
	return wish(db, home, comment_id, slot, wanted ? content : "", now_ms, err);
}

enum err_class store_comment_end(struct db *db, const struct outbox_home *home, int64_t comment_id,
				 int64_t now_ms, struct err *err)
{
	static const enum job_state from_best[] = {JOB_DONE, JOB_CANCELLED, JOB_FAILED};
	int64_t worst;
	char slot[64];
	enum err_class class = store_number(
		db, &worst, -1, STMT_COMMENT_WORST,
		STORE_BINDS(B_INT(home->repo_id), B_INT(home->pr), B_INT(comment_id)), err);

	if (worst < 0 || worst >= (int64_t)ARRAY_LEN(from_best))
		return class; /* something is under way yet */
	for (size_t i = 0; class == ERR_OK && i < ARRAY_LEN(from_best); i++) {
		const struct job like = {.state = from_best[i]};

		class = wish_or_withdraw(db, home, comment_id, render_reaction(&like),
					 (int64_t)i == worst, now_ms, err);
	}
	snprintf(slot, sizeof slot, "eyes:%" PRId64, comment_id);
	return class == ERR_OK ? wish(db, home, comment_id, slot, "", now_ms, err) : class;
}
