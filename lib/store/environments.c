/* environments.c - see environments.h.
 *
 * The holder is the row's job as long as that job has not ended: ending it is what frees the
 * environment, in whatever way it ends, so nothing has to be released and nothing can be forgotten.
 * The line is a table of its own; the holder stands in it, too, until its job ends. Changes wake
 * everybody in the line, and each looks again: lines are short, and each shows its place. */
#include "lib/store/environments.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/store/audit_impl.h"
#include "lib/store/store_impl.h"
#include "lib/store/turns_impl.h"

enum { LINE_MAX = 200, LIST_MAX = 100 };

/* How things are: who holds it, and a person's lock that is in force. */
struct turn {
	int64_t fence, job_id, pr, taken_at_ms;
	char *actor;
	int64_t person_id, person_pr, locked_at_ms, until_ms;
	char *person, *reason;
	int64_t kept_pr, keeper_id, kept_at_ms; /* for a pull request, by whom */
	char *keeper;
};

static void turn_dispose(struct turn *turn)
{
	mem_free(turn->actor);
	mem_free(turn->person);
	mem_free(turn->reason);
	mem_free(turn->keeper);
}
#define AUTO_TURN __attribute__((cleanup(turn_dispose)))

void environment_ref(char out[96], int64_t repo_id, const char *environment)
{
	snprintf(out, 96, "env:%" PRId64 ":%s", repo_id, environment);
}

static enum err_class look(struct db *db, int64_t repo_id, const char *environment, int64_t now_ms,
			   struct turn *out, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class =
		store_query(db, &row, STMT_TURN_GET, err, B_INT(repo_id), B_TEXT(environment));

	if (class == ERR_NOT_FOUND)
		return ERR_OK;
	if (class != ERR_OK)
		return class;
	out->fence = sqlite3_column_int64(row, 0);
	out->job_id = sqlite3_column_int64(row, 1);
	out->pr = sqlite3_column_int64(row, 2);
	out->actor = store_text(row, 3);
	out->taken_at_ms = sqlite3_column_int64(row, 4);
	out->until_ms = sqlite3_column_int64(row, 10);
	out->kept_pr = sqlite3_column_int64(row, 11);
	out->keeper_id = sqlite3_column_int64(row, 12);
	out->keeper = store_text(row, 13);
	out->kept_at_ms = sqlite3_column_int64(row, 14);
	if (out->until_ms && out->until_ms <= now_ms)
		return ERR_OK; /* that person's lock has run out */
	out->person_id = sqlite3_column_int64(row, 5);
	out->person = store_text(row, 6);
	out->person_pr = sqlite3_column_int64(row, 7);
	out->reason = store_text(row, 8);
	out->locked_at_ms = sqlite3_column_int64(row, 9);
	return ERR_OK;
}

static void tell_kept(const struct turn *turn, json_t *out)
{
	jval_set_int(out, "kept_pr", turn->kept_pr);
	jval_set_str(out, "keeper", turn->keeper);
	jval_set_int(out, "kept_at_ms", turn->kept_at_ms);
}

static void tell(const struct turn *turn, bool in_the_way, json_t *out)
{
	if (turn->job_id) {
		jval_set_int(out, "job", turn->job_id);
		jval_set_int(out, "pr", turn->pr);
		jval_set_str(out, "actor", turn->actor);
		jval_set_int(out, "since_ms", turn->taken_at_ms);
	}
	if (!in_the_way)
		return;
	jval_set_str(out, "person", turn->person);
	jval_set_int(out, "person_pr", turn->person_pr);
	if (turn->reason)
		jval_set_str(out, "reason", turn->reason);
	jval_set_int(out, "locked_at_ms", turn->locked_at_ms);
	jval_set_int(out, "until_ms", turn->until_ms);
}

static bool is_locked_out(const struct turn *turn, const struct job *job)
{
	return turn->person_id && turn->person_id != job->actor_id;
}

/* Another pull request has it. */
static bool is_kept_out(const struct turn *turn, const struct job *job)
{
	return turn->kept_pr && turn->kept_pr != job->pr;
}

/* Who may go in where a lock keeps others out passes those: they could only wait for each other. */
static enum err_class stand_in_line(struct db *db, const struct job *job, const char *environment,
				    const struct turn *turn, int64_t now_ms, int64_t *ahead,
				    struct err *err)
{
	bool is_out = is_locked_out(turn, job) || is_kept_out(turn, job);
	enum err_class class = store_exec(db, STMT_TURN_STAND, err, B_INT(job->repo_id),
					  B_TEXT(environment), B_INT(job->id), B_INT(now_ms));

	if (class != ERR_OK)
		return class;
	return store_number(db, ahead, 0, STMT_TURN_AHEAD,
			    STORE_BINDS(B_INT(job->repo_id), B_TEXT(environment), B_INT(job->id),
					B_INT(turn->job_id), B_INT(is_out ? 0 : turn->person_id),
					B_INT(is_out ? 0 : turn->kept_pr)),
			    err);
}

/* What is answered to a job in the line, as things are; `ahead` and `turn` are for the caller. */
static json_t *answer(const struct turn *turn, const struct job *job, int64_t ahead)
{
	bool held = turn->job_id == job->id;
	json_t *out = json_object();

	jval_set_bool(out, "held", held);
	jval_set_int(out, "fence", turn->fence);
	jval_set_int(out, "position", held ? 0 : ahead + !turn->job_id);
	if (!held)
		tell(turn, is_locked_out(turn, job), out);
	if (!held && is_kept_out(turn, job))
		tell_kept(turn, out);
	return out;
}

enum err_class environment_take(struct db *db, const struct job *job, const char *environment,
				int64_t now_ms, json_t **out, struct err *err)
{
	struct turn turn AUTO_TURN = {0};
	char after[128];
	int64_t ahead = 0;
	enum err_class class = look(db, job->repo_id, environment, now_ms, &turn, err);

	if (class == ERR_OK)
		class = stand_in_line(db, job, environment, &turn, now_ms, &ahead, err);
	if (class != ERR_OK)
		return class;
	if (!turn.job_id && !ahead && !is_locked_out(&turn, job) && !is_kept_out(&turn, job)) {
		class = store_exec(db, STMT_TURN_TAKE, err, B_INT(job->repo_id),
				   B_TEXT(environment), B_INT(job->id), B_INT(now_ms));
		if (class != ERR_OK)
			return class;
		turn.job_id = job->id;
		turn.fence++;
		snprintf(after, sizeof after, "environment=%s fence=%" PRId64, environment,
			 turn.fence);
		class = store_audit_change(db, job, "store.turn", "", after, now_ms, err);
		if (class != ERR_OK)
			return class;
	}
	*out = answer(&turn, job, ahead);
	return ERR_OK;
}

/* A person's lock, in the words of the audit. */
static void describe_lock(char out[AUDIT_TEXT_MAX + 1], const char *environment, const char *person,
			  const char *reason, int64_t until_ms)
{
	char until[21] = "";

	if (until_ms)
		clock_rfc3339(until, until_ms);
	snprintf(out, AUDIT_TEXT_MAX + 1, "environment=%s person=%s%s%s%s%s", environment, person,
		 *until ? " until=" : "", until,
		 str_is_empty(reason) ? "" : " reason=", reason ? reason : "");
}

static enum err_class wake_line(struct db *db, int64_t repo_id, const char *environment,
				int64_t now_ms, struct err *err)
{
	char ref[96];

	environment_ref(ref, repo_id, environment);
	return store_exec(db, STMT_WAKE_REF, err, B_TEXT(ref), B_INT(WAIT_TURN), B_INT(now_ms));
}

enum err_class environment_lock(struct db *db, const struct job *job, const char *environment,
				const char *reason, int64_t until_ms, int64_t now_ms,
				struct err *err)
{
	struct turn turn AUTO_TURN = {0};
	char before[AUDIT_TEXT_MAX + 1] = "", after[AUDIT_TEXT_MAX + 1];
	enum err_class class = look(db, job->repo_id, environment, now_ms, &turn, err);

	if (class != ERR_OK)
		return class;
	if (turn.person_id && turn.person_id != job->actor_id)
		return err_code(err, ERR_CONFLICT, "lock.held",
				"%s is locked by @%s on pull request %" PRId64 "%s%s", environment,
				turn.person, turn.person_pr, turn.reason ? ": " : "",
				turn.reason ? turn.reason : "");
	if (turn.person_id)
		describe_lock(before, environment, turn.person, turn.reason, turn.until_ms);
	describe_lock(after, environment, job->actor, reason, until_ms);
	class = store_exec(db, STMT_ENVIRONMENT_LOCK, err, B_INT(job->repo_id), B_TEXT(environment),
			   B_INT(job->actor_id), B_TEXT(job->actor), B_INT(job->pr), B_TEXT(reason),
			   B_INT(now_ms), B_INT_OR_NULL(until_ms));
	if (class == ERR_OK)
		class = store_audit_change(db, job, "store.lock", before, after, now_ms, err);
	return class == ERR_OK ? wake_line(db, job->repo_id, environment, now_ms, err) : class;
}

enum err_class environment_keep(struct db *db, const struct job *job, const char *environment,
				int64_t now_ms, struct err *err)
{
	char after[AUDIT_TEXT_MAX + 1];
	enum err_class class =
		store_exec(db, STMT_ENVIRONMENT_KEEP, err, B_INT(job->repo_id), B_TEXT(environment),
			   B_INT(job->pr), B_INT(job->actor_id), B_TEXT(job->actor), B_INT(now_ms));

	snprintf(after, sizeof after, "environment=%s kept_for=%" PRId64, environment, job->pr);
	return class == ERR_OK ? store_audit_change(db, job, "store.keep", "", after, now_ms, err)
			       : class;
}

/* Nobody asked for it: the pull request was closed. */
static enum err_class audit_free(struct db *db, int64_t repo_id, int64_t pr,
				 const char *environment, int64_t now_ms, struct err *err)
{
	char before[AUDIT_TEXT_MAX + 1];
	struct audit_row row = {.at_ms = now_ms,
				.decision = AUDIT_DONE,
				.effect = "store.holder_free",
				.repo_id = repo_id,
				.pr = pr,
				.before = before};

	snprintf(before, sizeof before, "environment=%s kept_for=%" PRId64, environment, pr);
	return store_audit(db, &row, err);
}

enum err_class environment_free(struct db *db, int64_t repo_id, int64_t pr, int64_t at_ms,
				int64_t now_ms, struct err *err)
{
	json_t *names AUTO_JSON = json_array(), *name;
	enum err_class class;
	size_t i;

	{
		sqlite3_stmt *row AUTO_ROW = NULL;

		class = store_query(db, &row, STMT_ENVIRONMENTS_FREE, err, B_INT(repo_id),
				    B_INT(pr), B_INT(at_ms));
		while (class == ERR_OK) {
			json_array_append_new(
				names, json_string((const char *)sqlite3_column_text(row, 0)));
			class = store_next(db, &row, err);
		}
	}
	if (class != ERR_NOT_FOUND)
		return class;
	class = ERR_OK;
	json_array_foreach(names, i, name)
	{
		if (class == ERR_OK)
			class = audit_free(db, repo_id, pr, json_string_value(name), now_ms, err);
		if (class == ERR_OK)
			class = wake_line(db, repo_id, json_string_value(name), now_ms, err);
	}
	return class;
}

static enum err_class refuse_unlock(const struct turn *turn, const char *environment,
				    struct err *err)
{
	if (turn->person_id)
		return err_code(err, ERR_DENIED, "lock.not_yours",
				"%s was locked by @%s on pull request %" PRId64
				"; they, or a maintainer with `/unlock %s --force`, can unlock it",
				environment, turn->person, turn->person_pr, environment);
	if (turn->kept_pr)
		return err_code(err, ERR_DENIED, "lock.not_yours",
				"%s stays with pull request %" PRId64 ", from which @%s deployed; "
				"they, or a maintainer with `/unlock %s --force`, can unlock it",
				environment, turn->kept_pr, turn->keeper, environment);
	return err_code(err, ERR_NOT_FOUND, "lock.none", "nobody has locked %s", environment);
}

enum err_class environment_unlock(struct db *db, const struct job *job, const char *environment,
				  bool any, int64_t now_ms, json_t **out, struct err *err)
{
	struct turn turn AUTO_TURN = {0};
	char before[AUDIT_TEXT_MAX + 1];
	json_t *was AUTO_JSON = json_object();
	enum err_class class = look(db, job->repo_id, environment, now_ms, &turn, err);
	bool person, kept;

	if (class != ERR_OK)
		return class;
	person = turn.person_id && (any || turn.person_id == job->actor_id);
	kept = turn.kept_pr && (any || turn.keeper_id == job->actor_id);
	if (!person && !kept)
		return refuse_unlock(&turn, environment, err);
	if (person)
		describe_lock(before, environment, turn.person, turn.reason, turn.until_ms);
	else
		snprintf(before, sizeof before, "environment=%s kept_for=%" PRId64, environment,
			 turn.kept_pr);
	turn.job_id = 0; /* a job at work goes on, and is not what is told of */
	tell(&turn, person, was);
	if (kept)
		tell_kept(&turn, was);
	if (person)
		class = store_exec(db, STMT_ENVIRONMENT_UNLOCK, err, B_INT(job->repo_id),
				   B_TEXT(environment));
	if (class == ERR_OK && kept)
		class = store_exec(db, STMT_ENVIRONMENT_LET_GO, err, B_INT(job->repo_id),
				   B_TEXT(environment));
	if (class == ERR_OK)
		class = store_audit_change(db, job, "store.unlock", before, "", now_ms, err);
	if (class == ERR_OK)
		class = wake_line(db, job->repo_id, environment, now_ms, err);
	if (class == ERR_OK)
		*out = take(was);
	return class;
}

enum err_class store_leave_line(struct db *db, int64_t job_id, int64_t now_ms, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_TURN_LEAVE, err, B_INT(job_id));
	char *environment AUTO_FREE = NULL;
	int64_t repo_id;

	if (class != ERR_OK)
		return class == ERR_NOT_FOUND ? ERR_OK : class;
	repo_id = sqlite3_column_int64(row, 0);
	environment = store_text(row, 1);
	class = store_next(db, &row, err);
	if (class != ERR_NOT_FOUND)
		return class;
	return wake_line(db, repo_id, environment, now_ms, err);
}

static bool is_told_so(const json_t *now, const json_t *told)
{
	static const char *const keys[] = {"position", "job", "person", "until_ms", "kept_pr"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const json_t *is = json_object_get(now, keys[i]),
			     *was = json_object_get(told, keys[i]);

		if (is != was && !(is && was && json_equal(is, was)))
			return false;
	}
	return true;
}

enum err_class store_stay_in_line(struct db *db, const struct job *job, const char *environment,
				  const json_t *told, int64_t now_ms, struct err *err)
{
	struct turn turn AUTO_TURN = {0};
	json_t *now AUTO_JSON = NULL;
	int64_t ahead = 0;
	enum err_class class = look(db, job->repo_id, environment, now_ms, &turn, err);

	if (class == ERR_OK)
		class = stand_in_line(db, job, environment, &turn, now_ms, &ahead, err);
	if (class != ERR_OK)
		return class;
	now = answer(&turn, job, ahead);
	if (is_told_so(now, told))
		return ERR_OK;
	return wake_line(db, job->repo_id, environment, now_ms, err);
}

/* --- for /status --- */

static enum err_class line_of(struct db *db, int64_t repo_id, const char *environment,
			      int64_t holder, json_t *waiting, struct err *err)
{
	sqlite3_stmt *row AUTO_ROW = NULL;
	enum err_class class = store_query(db, &row, STMT_TURN_LINE, err, B_INT(repo_id),
					   B_TEXT(environment), B_INT(LINE_MAX));

	while (class == ERR_OK) {
		if (sqlite3_column_int64(row, 0) != holder)
			json_array_append_new(waiting, json_integer(sqlite3_column_int64(row, 0)));
		class = store_next(db, &row, err);
	}
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

static enum err_class describe(struct db *db, int64_t repo_id, const char *environment,
			       int64_t now_ms, json_t *list, struct err *err)
{
	struct turn turn AUTO_TURN = {0};
	json_t *item AUTO_JSON = json_object();
	json_t *waiting = json_array();
	enum err_class class = look(db, repo_id, environment, now_ms, &turn, err);

	jval_set_str(item, "environment", environment);
	jval_set(item, "waiting", waiting);
	if (class == ERR_OK)
		class = line_of(db, repo_id, environment, turn.job_id, waiting, err);
	if (class != ERR_OK)
		return class;
	tell(&turn, turn.person_id != 0, item);
	if (turn.kept_pr)
		tell_kept(&turn, item);
	if (turn.job_id || turn.person_id || turn.kept_pr || json_array_size(waiting))
		json_array_append_new(list, take(item));
	return ERR_OK;
}

enum err_class environment_list(struct db *db, int64_t repo_id, int64_t now_ms, json_t **out,
				struct err *err)
{
	json_t *names AUTO_JSON = json_array(), *list AUTO_JSON = json_array(), *name;
	enum err_class class;
	size_t i;

	{
		sqlite3_stmt *row AUTO_ROW = NULL;

		class = store_query(db, &row, STMT_TURN_LIST, err, B_INT(repo_id), B_INT(LIST_MAX));
		while (class == ERR_OK) {
			json_array_append_new(
				names, json_string((const char *)sqlite3_column_text(row, 0)));
			class = store_next(db, &row, err);
		}
	}
	if (class != ERR_NOT_FOUND)
		return class;
	class = ERR_OK;
	json_array_foreach(names, i, name) if (class == ERR_OK) class =
		describe(db, repo_id, json_string_value(name), now_ms, list, err);
	if (class == ERR_OK)
		*out = take(list);
	return class;
}
