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

struct reaction {
	int64_t comment_id;
	const char *content;
	bool wanted;
};

/* One that is not wanted says what it was: whoever takes it away may have to find it. */
static enum err_class wish(struct db *db, const struct outbox_home *home,
			   const struct reaction *reaction, const char *slot, int64_t now_ms,
			   struct err *err)
{
	char want[128];
	struct outbox_text text = {
		.slot = slot, .kind = SLOT_REACTION, .urgency = OUTBOX_FINAL, .want = want};

	snprintf(want, sizeof want,
		 "{\"comment_id\":%" PRId64 ",\"content\":\"%s\",\"was\":\"%s\"}",
		 reaction->comment_id, reaction->wanted ? reaction->content : "",
		 reaction->wanted ? "" : reaction->content);
	return store_wish(db, home, &text, now_ms, err);
}

/* A place nobody has asked for yet has nothing to take away. */
static enum err_class settle(struct db *db, const struct outbox_home *home,
			     const struct reaction *reaction, int64_t now_ms, struct err *err)
{
	int64_t known = 0;
	enum err_class class = ERR_OK;
	char slot[64];

	snprintf(slot, sizeof slot, "%s:%" PRId64, reaction->content, reaction->comment_id);
	if (!reaction->wanted)
		class = store_number(db, &known, 0, STMT_OUTBOX_SLOT, STORE_BINDS(B_TEXT(slot)),
				     err);
	if (class != ERR_OK || (!reaction->wanted && !known))
		return class;
	return wish(db, home, reaction, slot, now_ms, err);
}

enum err_class store_comment_end(struct db *db, const struct outbox_home *home, int64_t comment_id,
				 int64_t now_ms, struct err *err)
{
	static const enum job_state from_best[] = {JOB_DONE, JOB_CANCELLED, JOB_FAILED};
	struct reaction eyes = {.comment_id = comment_id, .content = "eyes"};
	int64_t worst;
	enum err_class class = store_number(
		db, &worst, -1, STMT_COMMENT_WORST,
		STORE_BINDS(B_INT(home->repo_id), B_INT(home->pr), B_INT(comment_id)), err);

	if (worst < 0 || worst >= (int64_t)ARRAY_LEN(from_best))
		return class; /* something is under way yet */
	for (size_t i = 0; class == ERR_OK && i < ARRAY_LEN(from_best); i++) {
		const struct job like = {.state = from_best[i]};
		struct reaction end = {.comment_id = comment_id,
				       .content = render_reaction(&like),
				       .wanted = (int64_t)i == worst};

		class = settle(db, home, &end, now_ms, err);
	}
	return class == ERR_OK ? settle(db, home, &eyes, now_ms, err) : class;
}
