/* strangers.c - see strangers_impl.h. On a public repository anybody may comment, and GitHub says
 * "read" of everybody: only that somebody has once been allowed to change something tells people
 * from strangers. A stranger gets one answer per pull request and hour. What follows within it is
 * looked at in silence, one permission check every few seconds, and out of the line of the pull
 * request, so that it keeps nobody waiting; when that has piled up it is not even stored. On
 * private repositories there are no strangers, and nothing is asked here. */
#include "lib/store/strangers.h"

#include "lib/store/store_impl.h"
#include "lib/store/strangers_impl.h"

enum { HOUR_MS = 3600000, GAP_MS = 5000, AHEAD_MAX_MS = 600000 };

static enum err_class is_known(struct db *db, int64_t repo_id, int64_t actor_id, bool *out,
			       struct err *err)
{
	int64_t found;
	enum err_class class = store_number(db, &found, 0, STMT_PEOPLE_KNOWN,
					    STORE_BINDS(B_INT(repo_id), B_INT(actor_id)), err);

	*out = found != 0;
	return class;
}

static bool is_recent(int64_t answered_ms, int64_t now_ms)
{
	return now_ms - answered_ms < HOUR_MS;
}

enum err_class strangers_look(struct db *db, int64_t repo_id, int64_t pr, int64_t actor_id,
			      int64_t now_ms, struct strangers_seen *out, struct err *err)
{
	int64_t answered_ms = 0, coming = 0;
	enum err_class class = is_known(db, repo_id, actor_id, &out->is_known, err);

	if (class == ERR_OK)
		class = store_number(db, &answered_ms, now_ms - HOUR_MS, STMT_ANSWER_GET,
				     STORE_BINDS(B_INT(repo_id), B_INT(pr), B_INT(actor_id)), err);
	if (class == ERR_OK && !is_recent(answered_ms, now_ms))
		class = store_number(db, &coming, 0, STMT_ANSWER_COMING,
				     STORE_BINDS(B_INT(repo_id), B_INT(pr), B_INT(actor_id)), err);
	out->was_answered = class == ERR_OK && (coming || is_recent(answered_ms, now_ms));
	return class;
}

enum err_class store_meet(struct db *db, const struct event *event, int64_t now_ms,
			  struct store_manners *out, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	bool known = true;
	enum err_class class = ERR_OK;

	*out = (struct store_manners){.due_ms = now_ms};
	if (event->is_public)
		class = is_known(db, event->repo_id, event->sender_id, &known, err);
	if (class != ERR_OK || known)
		return class;
	out->stranger = STRANGER_FIRST;
	class = store_query(db, &row, STMT_ANSWER_GET, err, B_INT(event->repo_id), B_INT(event->pr),
			    B_INT(event->sender_id));
	if (class != ERR_OK)
		return class == ERR_NOT_FOUND ? ERR_OK : class;
	if (!is_recent(sqlite3_column_int64(row, 0), now_ms))
		return ERR_OK;
	out->stranger = STRANGER_QUIET;
	out->due_ms = sqlite3_column_int64(row, 1);
	if (out->due_ms < now_ms)
		out->due_ms = now_ms;
	out->due_ms += GAP_MS;
	out->is_dropped = out->due_ms > now_ms + AHEAD_MAX_MS;
	return ERR_OK;
}

enum err_class store_put_off_stranger(struct db *db, const struct event *event, int64_t due_ms,
				      struct err *err)
{
	return store_exec(db, STMT_ANSWER_NEXT, err, B_INT(event->repo_id), B_INT(event->pr),
			  B_INT(event->sender_id), B_INT(due_ms));
}

enum err_class store_answered(struct db *db, int64_t repo_id, int64_t pr, int64_t actor_id,
			      int64_t now_ms, struct err *err)
{
	return store_exec(db, STMT_ANSWER_SET, err, B_INT(repo_id), B_INT(pr), B_INT(actor_id),
			  B_INT(now_ms));
}

/* Several that come at once are all the first when they come. */
enum err_class store_was_answered(struct db *db, const struct job *job, int64_t now_ms, bool *out,
				  struct err *err)
{
	int64_t answered_ms = 0;
	bool known = true;
	enum err_class class = ERR_OK;

	*out = false;
	if (job->is_stranger && !job->is_quiet)
		class = is_known(db, job->repo_id, job->actor_id, &known, err);
	if (class != ERR_OK || known)
		return class;
	class = store_number(db, &answered_ms, now_ms - HOUR_MS, STMT_ANSWER_GET,
			     STORE_BINDS(B_INT(job->repo_id), B_INT(job->pr), B_INT(job->actor_id)),
			     err);
	*out = class == ERR_OK && is_recent(answered_ms, now_ms);
	return class;
}

enum err_class store_allowed(struct db *db, const struct job *job, int64_t now_ms, struct err *err)
{
	return store_exec(db, STMT_PEOPLE_ADD, err, B_INT(job->repo_id), B_INT(job->actor_id),
			  B_INT(now_ms));
}
