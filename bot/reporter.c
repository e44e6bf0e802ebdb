/* reporter.c - see reporter.h.
 *
 * One thread, one call at a time, as GitHub asks of writers. A create is marked in the store before
 * it is sent; when its answer is lost (a crash, a reset) our own marker is searched for before
 * creating again, after a pause in which GitHub's lists catch up. An installation that has to wait
 * is left out of the search for work, so the others go on. Ten final refusals give a row up: the
 * job's state stays in /status and the log. */
#include "bot/reporter.h"

#include <string.h>

#include "bot/credentials.h"
#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/core/backoff.h"
#include "lib/core/budget.h"
#include "lib/store/outbox.h"

enum {
	PAUSES_MAX = 64,
	PAUSE_MAX_MS = 2 * 3600000, /* GitHub asks for an hour at most; more is a wrong clock's */
	NAP_MS = 5000,
	SEARCH_BACK_MS = 24 * 3600000, /* ours may be ahead of GitHub's clock */
	ROUNDING_MS = 1000,
};

struct reporter {
	struct hands hands;
	pthread_t thread;
	int64_t started_at_ms;
	struct pause {
		int64_t installation_id, until_ms;
	} pauses[PAUSES_MAX];
	size_t pause_count;
	struct budget budgets[PAUSES_MAX]; /* progress edits of each installation */
	size_t budget_count;
};

/* What sending one row came to. */
struct outcome {
	int64_t remote_id;
	char node_id[128];
	bool wait_for_list; /* in doubt, and too early to search */
	bool half_way;	    /* the remote id is known now; the row is to be sent again */
	bool is_gone;	    /* somebody deleted it; the row is to be sent again, as a new one */
};

/* --- operations for the writer --- */

struct row_op {
	const struct outbox_row *row;
	const struct outcome *outcome;
	int64_t due_ms;
	bool permanent;
	const char *error;
};

static enum err_class run_mark(struct db *db, void *arg, struct err *err)
{
	struct row_op *op = arg;

	return outbox_mark(db, op->row->id, err);
}

static enum err_class run_unmark(struct db *db, void *arg, struct err *err)
{
	struct row_op *op = arg;

	return outbox_unmark(db, op->row->id, err);
}

static enum err_class run_forget(struct db *db, void *arg, struct err *err)
{
	struct row_op *op = arg;

	return outbox_forget(db, op->row->id, err);
}

static enum err_class run_sent(struct db *db, void *arg, struct err *err)
{
	struct row_op *op = arg;

	return outbox_sent(db, op->row->id, op->row->version - op->outcome->half_way,
			   op->outcome->remote_id,
			   op->outcome->node_id[0] ? op->outcome->node_id : NULL, err);
}

static enum err_class run_retry(struct db *db, void *arg, struct err *err)
{
	struct row_op *op = arg;

	return outbox_retry(db, op->row->id, op->due_ms, op->permanent, op->error, err);
}

/* Stores what came of a row. While that does not work, nothing more is sent: the same row would go
 * out again and again. */
static void store(struct reporter *rep,
		  enum err_class (*run)(struct db *db, void *arg, struct err *err),
		  struct row_op *op)
{
	struct err err = {0};

	if (!writer_call(rep->hands.world->writer, run, op, &err))
		return;
	log_warn("report_unstored", LOG_S("slot", op->row->slot), LOG_S("message", err.msg));
	world_nap(rep->hands.world, NAP_MS);
}

/* --- sending one row, by kind --- */

static struct github_target target_of(const struct outbox_row *row)
{
	return (struct github_target){.installation_id = row->installation_id,
				      .repo_id = row->repo_id,
				      .repo = row->repo};
}

static enum err_class mark(struct reporter *rep, const struct outbox_row *row, struct err *err)
{
	struct row_op op = {.row = row};

	if (writer_call(rep->hands.world->writer, run_mark, &op, err))
		return err->class = ERR_TRANSIENT; /* our disk's trouble, not GitHub's refusal */
	return ERR_OK;
}

/* May a try of which nothing is known have put something there? */
static bool may_be_there(const struct reporter *rep, const struct outbox_row *row)
{
	return row->tries > 0 || row->wished_at_ms < rep->started_at_ms;
}

/* A reaction that is wanted is added (a second time changes nothing), one that is not any more is
 * taken away; one that may be there without our knowing its id is added once more, which tells the
 * id. On a comment that was deleted there is nothing to do. */
static enum err_class send_reaction(struct reporter *rep, const struct outbox_row *row,
				    struct outcome *out, struct err *err)
{
	const char *content = jval_str(row->want, "content", ""),
		   *was = jval_str(row->want, "was", "");
	int64_t comment_id = jval_int(row->want, "comment_id", 0);
	struct github *github = rep->hands.world->github;
	struct github_target to = target_of(row);
	enum err_class class = ERR_OK;

	if (*content)
		class = github_reaction_add(github, rep->hands.github_http, &to, comment_id,
					    content, &out->remote_id, err);
	else if (row->remote_id)
		class = github_reaction_remove(github, rep->hands.github_http, &to, comment_id,
					       row->remote_id, err);
	else if (*was && may_be_there(rep, row)) {
		class = github_reaction_add(github, rep->hands.github_http, &to, comment_id, was,
					    &out->remote_id, err);
		out->half_way = !class && out->remote_id;
	}
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

static enum err_class create_comment(struct reporter *rep, const struct outbox_row *row,
				     struct outcome *out, struct err *err)
{
	struct world *world = rep->hands.world;
	struct github_target to = target_of(row);
	struct github_comment made = {0};

	if (row->maybe_sent) {
		enum err_class class;

		if (clock_now_ms() - rep->started_at_ms < world->list_lag_ms) {
			out->wait_for_list = true;
			return ERR_OK;
		}
		class = github_comment_find(world->github, rep->hands.github_http, &to, row->pr,
					    jval_str(row->want, "marker", ""),
					    row->wished_at_ms - SEARCH_BACK_MS, &made, err);
		if (!class) {
			out->remote_id = made.id;
			str_copy(out->node_id, sizeof out->node_id, made.node_id);
			return github_comment_update(world->github, rep->hands.github_http, &to,
						     made.id, jval_str(row->want, "body", ""), err);
		}
		if (class != ERR_NOT_FOUND)
			return class;
	} else if (mark(rep, row, err)) {
		return err->class;
	}
	if (github_comment_create(world->github, rep->hands.github_http, &to, row->pr,
				  jval_str(row->want, "body", ""), &made, err))
		return err->class;
	out->remote_id = made.id;
	str_copy(out->node_id, sizeof out->node_id, made.node_id);
	return ERR_OK;
}

/* Of a comment that somebody deleted, progress is not worth a new one. An end is, but at its next
 * turn: the edit that failed was a write, and GitHub wants its writes apart. */
static enum err_class send_comment(struct reporter *rep, const struct outbox_row *row,
				   struct outcome *out, struct err *err)
{
	struct github_target to = target_of(row);
	enum err_class class;

	if (!row->remote_id)
		return create_comment(rep, row, out, err);
	out->remote_id = row->remote_id;
	class = github_comment_update(rep->hands.world->github, rep->hands.github_http, &to,
				      row->remote_id, jval_str(row->want, "body", ""), err);
	if (class != ERR_NOT_FOUND)
		return class;
	out->is_gone = row->urgency <= OUTBOX_FINAL;
	return err->class = ERR_OK;
}

static enum err_class send_check_run(struct reporter *rep, const struct outbox_row *row,
				     struct outcome *out, struct err *err)
{
	struct world *world = rep->hands.world;
	struct github_target to = target_of(row);
	const char *sha = jval_str(row->want, "head_sha", ""),
		   *name = jval_str(row->want, "name", "");
	enum err_class class;

	out->remote_id = row->remote_id;
	if (!row->remote_id && row->maybe_sent) {
		if (clock_now_ms() - rep->started_at_ms < world->list_lag_ms) {
			out->wait_for_list = true;
			return ERR_OK;
		}
		class = github_check_find(world->github, rep->hands.github_http, &to, sha, name,
					  row->job_uid ? row->job_uid : "", &out->remote_id, err);
		if (class && class != ERR_NOT_FOUND)
			return class;
	}
	if (out->remote_id) {
		AUTO_JSON json_t *patch = json_deep_copy(row->want);

		json_object_del(patch, "head_sha");
		return github_check_update(world->github, rep->hands.github_http, &to,
					   out->remote_id, patch, err);
	}
	if (!row->maybe_sent && mark(rep, row, err))
		return err->class;
	return github_check_create(world->github, rep->hands.github_http, &to, row->want,
				   &out->remote_id, err);
}

static enum err_class send_status(struct reporter *rep, const struct outbox_row *row,
				  struct outcome *out, struct err *err)
{
	struct github_target to = target_of(row);
	AUTO_JSON json_t *body = json_deep_copy(row->want);

	json_object_del(body, "sha");
	out->remote_id =
		1; /* statuses have no identity of their own: the latest of a context wins */
	return github_status_create(rep->hands.world->github, rep->hands.github_http, &to,
				    jval_str(row->want, "sha", ""), body, err);
}

static enum err_class send_minimize(struct reporter *rep, const struct outbox_row *row,
				    struct outcome *out, struct err *err)
{
	struct github_target to = target_of(row);
	AUTO_FREE char *node_id = NULL;
	enum err_class class;
	int64_t id;

	class = outbox_remote(rep->hands.reader, jval_str(row->want, "slot", ""), &id, &node_id,
			      err);
	if (class == ERR_NOT_FOUND || (!class && !node_id))
		return err->class = ERR_OK; /* it was never posted: nothing to fold */
	if (class)
		return class;
	out->remote_id = id;
	class = github_comment_minimize(rep->hands.world->github, rep->hands.github_http, &to,
					node_id, err);
	return class == ERR_NOT_FOUND ? ERR_OK : class; /* somebody deleted it */
}

typedef enum err_class send_fn(struct reporter *, const struct outbox_row *, struct outcome *,
			       struct err *);

static enum err_class send_row(struct reporter *rep, const struct outbox_row *row,
			       struct outcome *out, struct err *err)
{
	static send_fn *const table[] = {
		[SLOT_REACTION] = send_reaction,   [SLOT_COMMENT] = send_comment,
		[SLOT_CHECK_RUN] = send_check_run, [SLOT_COMMIT_STATUS] = send_status,
		[SLOT_MINIMIZE] = send_minimize,
	};

	must((size_t)row->kind < ARRAY_LEN(table) && table[row->kind]);
	return table[row->kind](rep, row, out, err);
}

/* --- what comes of it --- */

static void pause_installation(struct reporter *rep, int64_t installation_id, int64_t until_ms)
{
	size_t i = 0;

	while (i < rep->pause_count && rep->pauses[i].installation_id != installation_id)
		i++;
	if (i == PAUSES_MAX)
		return; /* it is asked again and told to wait again */
	if (i == rep->pause_count)
		rep->pause_count++;
	rep->pauses[i] = (struct pause){installation_id, until_ms};
}

static void drop_old_pauses(struct reporter *rep, int64_t now_ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < rep->pause_count; i++)
		if (rep->pauses[i].until_ms > now_ms &&
		    rep->pauses[i].until_ms <= now_ms + PAUSE_MAX_MS)
			rep->pauses[kept++] = rep->pauses[i];
	rep->pause_count = kept;
}

static void put_off(struct reporter *rep, const struct outbox_row *row, const struct err *seen)
{
	int64_t now_ms = clock_now_ms();
	struct row_op op = {.row = row, .error = seen->msg};
	uint64_t random;

	sign_random(&random, sizeof random);
	if (seen->class == ERR_THROTTLED) {
		op.due_ms = seen->retry_at_ms > now_ms ? seen->retry_at_ms : now_ms + ROUNDING_MS;
		pause_installation(rep, row->installation_id, op.due_ms);
		/* nothing was sent, so the mark of this try says nothing; the row stays due */
		if (!row->maybe_sent && !row->remote_id)
			store(rep, run_unmark, &op);
		return;
	}
	op.permanent = !err_is_retried(seen->class) && seen->class != ERR_CONFIG;
	op.due_ms = now_ms + (seen->in_doubt ? rep->hands.world->list_lag_ms : 0) +
		    backoff_ms((int)row->tries, 1000, 300000, random);
	if (op.permanent)
		log_warn("report_refused", LOG_I("job", row->job_id), LOG_S("repo", row->repo),
			 LOG_I("pr", row->pr), LOG_S("slot", row->slot),
			 LOG_S("message", seen->msg));
	else
		log_info("report_retry", LOG_I("job", row->job_id), LOG_S("slot", row->slot),
			 LOG_I("tries", row->tries), LOG_S("message", seen->msg));
	store(rep, run_retry, &op);
}

static struct budget *budget_of(struct reporter *rep, int64_t installation_id)
{
	size_t i = 0;

	while (i < rep->budget_count && rep->budgets[i].installation_id != installation_id)
		i++;
	if (i == PAUSES_MAX)
		i = 0; /* more installations than places: some share one */
	else if (i == rep->budget_count)
		rep->budgets[rep->budget_count++] =
			(struct budget){.installation_id = installation_id};
	return &rep->budgets[i];
}

/* The most urgent row that may go out now. Progress goes within the installation's budget: when
 * that is spent, nothing more urgent waits there (it would have come first), so the installation is
 * passed over. */
static bool pick(struct reporter *rep, int64_t now_ms, struct outbox_row *row, int64_t *until_ms)
{
	int64_t per_hour = config_int(rep->hands.world->config, "github.writes_per_hour");
	int64_t passed[2 * PAUSES_MAX], next_ms = INT64_MAX, due_ms;
	size_t count = 0;
	struct err err;

	for (; count < rep->pause_count; count++) {
		passed[count] = rep->pauses[count].installation_id;
		if (rep->pauses[count].until_ms < *until_ms)
			*until_ms = rep->pauses[count].until_ms;
	}
	while (!outbox_next(rep->hands.reader, now_ms, passed, count, row, &next_ms, &err)) {
		struct budget *budget = budget_of(rep, row->installation_id);

		due_ms = row->urgency < OUTBOX_PROGRESS ? now_ms
							: budget_due_ms(budget, per_hour, now_ms);
		if (due_ms <= now_ms)
			return true;
		*until_ms = due_ms < *until_ms ? due_ms : *until_ms;
		passed[count++] = row->installation_id;
		outbox_row_dispose(row);
		if (count == ARRAY_LEN(passed))
			return false;
	}
	*until_ms = next_ms < *until_ms ? next_ms : *until_ms;
	outbox_row_dispose(row);
	return false;
}

/* Sends the most urgent row. False when there is none; *until_ms says when to look again. */
static bool report_one(struct reporter *rep, int64_t *until_ms)
{
	int64_t now_ms = clock_now_ms();
	struct outbox_row row = {0};
	struct outcome outcome = {0};
	struct row_op op = {.row = &row, .outcome = &outcome};
	struct err err = {0};
	enum err_class class;

	drop_old_pauses(rep, now_ms);
	if (!pick(rep, now_ms, &row, until_ms))
		return false;
	if (world_may_act(rep->hands.world, &err)) {
		outbox_row_dispose(&row);
		return false;
	}
	CRASH_POINT("reporter.before_send");
	class = send_row(rep, &row, &outcome, &err);
	CRASH_POINT("reporter.after_send");
	if (class != ERR_THROTTLED)
		outbox_served(rep->hands.reader, &row);
	err.class = class;
	credentials_note(rep->hands.world, CREDENTIALS_GITHUB, &err);
	if (!class && row.urgency == OUTBOX_PROGRESS)
		budget_spend(budget_of(rep, row.installation_id),
			     config_int(rep->hands.world->config, "github.writes_per_hour"),
			     now_ms);
	if (class) {
		put_off(rep, &row, &err);
	} else if (outcome.wait_for_list) {
		op.due_ms = rep->started_at_ms + rep->hands.world->list_lag_ms;
		op.error = "in doubt";
		store(rep, run_retry, &op);
	} else {
		store(rep, outcome.is_gone ? run_forget : run_sent, &op);
	}
	outbox_row_dispose(&row);
	return true;
}

static void *reporter_main(void *arg)
{
	struct reporter *rep = arg;
	struct world *world = rep->hands.world;
	uint64_t seen = 0;

	while (!atomic_load(&world->stopping)) {
		int64_t until_ms = clock_now_ms() + NAP_MS;

		if (!report_one(rep, &until_ms))
			seen = world_wait(world, seen, until_ms);
	}
	return NULL;
}

enum err_class reporter_start(struct reporter **out, struct world *world, struct err *err)
{
	struct reporter *rep = mem_new(1, sizeof *rep);

	*out = rep;
	rep->started_at_ms = clock_now_ms();
	if (hands_open(&rep->hands, world, err))
		return err->class;
	if (pthread_create(&rep->thread, NULL, reporter_main, rep))
		return err_code(err, ERR_CONFIG, "start.os", "cannot start the reporter thread");
	return ERR_OK;
}

void reporter_stop(struct reporter *take_reporter, int64_t deadline_ms)
{
	world_join(take_reporter->thread, deadline_ms);
	hands_close(&take_reporter->hands);
	mem_free(take_reporter);
}
