/* queue_turn.c - see queue.h. Whose job is next.
 *
 * Repositories take turns: the one with the fewest jobs in hand, and of those the next in a circle
 * after the one that was served last, which is the one that has waited longest as long as all of
 * them want something. Inside a repository the job goes first that has been due longest. By due
 * time alone, as it was, a repository with a thousand commands had all workers until they were
 * done. A list of repositories with numbers of their own was rejected: it would be written with
 * each claim. The circle is walked by one index probe each, and ends at the first repository that
 * has a due job and nothing in hand; so at most those are passed that have something in hand, or
 * only jobs for later. */
#include "lib/store/queue_wake.h"
#include "lib/store/store_impl.h"

/* Of one repository: when its first job is due, and how many are in hand. */
struct asking {
	int64_t repo_id, due_ms, in_hand;
};

struct walk {
	int64_t now_ms, in_hand_max;
	struct asking best; /* repo_id of the one whose turn it is; in_hand -1: none yet */
	int64_t next_due_ms;
};

static enum err_class next_after(struct db *db, int64_t repo_id, struct asking *out,
				 struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_TURN_NEXT, err, B_INT(repo_id));

	if (class != ERR_OK)
		return class;
	out->repo_id = sqlite3_column_int64(row, 0);
	out->due_ms = sqlite3_column_int64(row, 1);
	out->in_hand = sqlite3_column_int64(row, 2);
	return ERR_OK;
}

/* True when nobody further on can come before it. */
static bool weigh(struct walk *walk, const struct asking *one)
{
	if (walk->in_hand_max && one->in_hand >= walk->in_hand_max)
		return false;
	if (one->due_ms > walk->now_ms) {
		if (one->due_ms < walk->next_due_ms)
			walk->next_due_ms = one->due_ms;
		return false;
	}
	if (walk->best.in_hand < 0 || one->in_hand < walk->best.in_hand)
		walk->best = *one;
	return one->in_hand == 0;
}

/* Repositories with ids above `from`, up to `to`. */
static enum err_class go(struct db *db, struct walk *walk, int64_t from, int64_t to, bool *found,
			 struct err *err)
{
	struct asking at = {.repo_id = from};
	enum err_class class = ERR_OK;

	while (!*found && class == ERR_OK) {
		class = next_after(db, at.repo_id, &at, err);
		if (class == ERR_OK && at.repo_id > to)
			break;
		if (class == ERR_OK)
			*found = weigh(walk, &at);
	}
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

enum err_class store_turn(struct db *db, int64_t now_ms, int64_t in_hand_max, int64_t *repo_id,
			  int64_t *next_due_ms, struct err *err)
{
	struct walk walk = {.now_ms = now_ms,
			    .in_hand_max = in_hand_max,
			    .best = {.in_hand = -1},
			    .next_due_ms = INT64_MAX};
	bool found = false;
	enum err_class class = go(db, &walk, db->claim_turn, INT64_MAX, &found, err);

	if (class == ERR_OK && !found)
		class = go(db, &walk, INT64_MIN, db->claim_turn, &found, err);
	if (class != ERR_OK)
		return class;
	*next_due_ms = walk.next_due_ms;
	*repo_id = walk.best.repo_id;
	return walk.best.in_hand < 0 ? ERR_NOT_FOUND : ERR_OK;
}

enum err_class queue_claim_due(struct db *db, int64_t now_ms, int64_t in_hand_max, int64_t *due_ms,
			       struct err *err)
{
	int64_t repo_id;
	enum err_class class = store_turn(db, now_ms, in_hand_max, &repo_id, due_ms, err);

	if (class == ERR_OK)
		*due_ms = now_ms;
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}
