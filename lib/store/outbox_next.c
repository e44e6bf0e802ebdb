/* outbox_next.c - see outbox.h. Whose wish is sent next.
 *
 * Installations take turns, because each has an allowance of its own, and inside one its
 * repositories do; both are gone through in a circle from the one after the last that was served,
 * one index probe each, so that no list of waiting rows is ever made. Answers at once and final
 * states take turns too: if the eyes always went first, two hundred commands of one repository
 * would keep the result of another's back until all of them have been seen. Progress comes when
 * neither waits. A turn counts once something was tried, not when it is looked for: what was put
 * off before it was sent, because GitHub wants its writes apart, is the next all the same. */
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/store/outbox.h"
#include "lib/store/store_impl.h"

enum {
	CIRCLE_MAX = 100000
}; /* installations, or repositories of one: more are not looked through */

/* What is being looked for, and when there is none, the time of the next. */
struct search {
	int64_t now_ms;
	const int64_t *paused;
	size_t paused_count;
	int64_t next_due_ms;
};

static bool is_paused(const struct search *search, int64_t installation)
{
	for (size_t i = 0; i < search->paused_count; i++)
		if (search->paused[i] == installation)
			return true;
	return false;
}

static void read_row(struct outbox_row *out, sqlite3_stmt *row)
{
	*out = (struct outbox_row){0};
	out->id = sqlite3_column_int64(row, 0);
	str_copy(out->slot, sizeof out->slot, (const char *)sqlite3_column_text(row, 1));
	out->kind = (enum slot_kind)sqlite3_column_int(row, 2);
	out->urgency = sqlite3_column_int(row, 3);
	out->job_id = sqlite3_column_int64(row, 4);
	out->installation_id = sqlite3_column_int64(row, 5);
	out->repo_id = sqlite3_column_int64(row, 6);
	out->pr = sqlite3_column_int64(row, 7);
	out->repo = store_text(row, 8);
	out->job_uid = store_text(row, 9);
	out->want = store_json(row, 10);
	out->version = sqlite3_column_int64(row, 11);
	out->remote_id = sqlite3_column_int64(row, 12);
	out->remote_node_id = store_text(row, 13);
	out->maybe_sent = sqlite3_column_int(row, 14) != 0;
	out->tries = sqlite3_column_int64(row, 15);
	out->wished_at_ms = sqlite3_column_int64(row, 16);
}

/* --- whose turn was last --- */

static struct outbox_place *place_of(const struct db *db, int64_t installation)
{
	for (size_t i = 0; i < db->turns.place_count; i++)
		if (db->turns.places[i].installation_id == installation)
			return &db->turns.places[i];
	return NULL;
}

void outbox_served(struct db *db, const struct outbox_row *row)
{
	struct outbox_turns *turns = &db->turns;
	struct outbox_place *place = place_of(db, row->installation_id);

	if (!place) {
		turns->places =
			mem_grow(turns->places, (turns->place_count + 1) * sizeof *turns->places);
		place = &turns->places[turns->place_count++];
		*place = (struct outbox_place){.installation_id = row->installation_id};
	}
	place->repo_id[row->urgency] = row->repo_id;
	turns->installation_id[row->urgency] = row->installation_id;
	if (row->urgency < OUTBOX_PROGRESS)
		turns->final_first = row->urgency == OUTBOX_NOW;
}

/* --- the circles --- */

/* A circle of ids: from the one after `start` to the end, then from the first to `start`. */
struct circle {
	int64_t start, at;
	bool wrapped;
};

/* True when the circle goes on: with `found` (INT64_MIN: there is none above `at`), or from the
 * beginning. */
static bool turn_on(struct circle *circle, int64_t found)
{
	bool is_end = found == INT64_MIN || (circle->wrapped && found > circle->start);

	if (is_end && circle->wrapped)
		return false;
	circle->wrapped |= is_end;
	circle->at = is_end ? INT64_MIN : found;
	return true;
}

static enum err_class row_of(struct db *db, int urgency, int64_t installation, int64_t repo_id,
			     struct outbox_row *out, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_OUTBOX_FIRST, err, B_INT(urgency),
					   B_INT(installation), B_INT(repo_id));

	if (class == ERR_OK)
		read_row(out, row);
	return class;
}

/* The repository after `after` that has something waiting, and since when it may be sent. */
static enum err_class next_repo(struct db *db, int urgency, int64_t installation, int64_t after,
				int64_t *repo_id, int64_t *due_ms, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_OUTBOX_REPO, err, B_INT(urgency),
					   B_INT(installation), B_INT(after));

	*repo_id = INT64_MIN;
	if (class == ERR_NOT_FOUND)
		return ERR_OK;
	if (class != ERR_OK)
		return class;
	*repo_id = sqlite3_column_int64(row, 0);
	*due_ms = sqlite3_column_int64(row, 1);
	return ERR_OK;
}

/* Once around the repositories of an installation. */
static enum err_class next_in(struct db *db, int urgency, int64_t installation,
			      struct search *search, struct outbox_row *out, struct err *err)
{
	const struct outbox_place *place = place_of(db, installation);
	int64_t start = place ? place->repo_id[urgency] : 0;
	struct circle circle = {.start = start, .at = start};

	for (int i = 0; i < CIRCLE_MAX; i++) {
		int64_t repo_id, due_ms = 0;
		enum err_class class =
			next_repo(db, urgency, installation, circle.at, &repo_id, &due_ms, err);

		if (class != ERR_OK)
			return class;
		if (!turn_on(&circle, repo_id))
			break;
		if (circle.at == INT64_MIN)
			continue;
		if (due_ms <= search->now_ms)
			return row_of(db, urgency, installation, repo_id, out, err);
		if (due_ms < search->next_due_ms)
			search->next_due_ms = due_ms;
	}
	return ERR_NOT_FOUND;
}

/* Once around the installations with waiting rows of this urgency. */
static enum err_class next_of(struct db *db, int urgency, struct search *search,
			      struct outbox_row *out, struct err *err)
{
	int64_t start = db->turns.installation_id[urgency];
	struct circle circle = {.start = start, .at = start};

	for (int i = 0; i < CIRCLE_MAX; i++) {
		int64_t found;
		enum err_class class =
			store_number(db, &found, INT64_MIN, STMT_OUTBOX_INSTALLATION,
				     STORE_BINDS(B_INT(urgency), B_INT(circle.at)), err);

		if (class != ERR_OK)
			return class;
		if (!turn_on(&circle, found))
			break;
		if (circle.at == INT64_MIN || is_paused(search, found))
			continue;
		class = next_in(db, urgency, found, search, out, err);
		if (class != ERR_NOT_FOUND)
			return class;
	}
	return ERR_NOT_FOUND;
}

enum err_class outbox_next(struct db *db, int64_t now_ms, const int64_t *paused,
			   size_t paused_count, struct outbox_row *out, int64_t *next_due_ms,
			   struct err *err)
{
	struct search search = {now_ms, paused, paused_count, INT64_MAX};
	int first = db->turns.final_first ? OUTBOX_FINAL : OUTBOX_NOW;
	const int order[] = {first, OUTBOX_NOW + OUTBOX_FINAL - first, OUTBOX_PROGRESS};
	enum err_class class = ERR_NOT_FOUND;

	for (size_t i = 0; class == ERR_NOT_FOUND && i < ARRAY_LEN(order); i++)
		class = next_of(db, order[i], &search, out, err);
	*next_due_ms = search.next_due_ms;
	return class == ERR_NOT_FOUND ? err_set(err, class, "nothing is to be sent") : class;
}
