/* effects_store.c - effects on our own jobs, for the commands that talk about them. */
#include "bot/effects_impl.h"
#include "lib/base/clock.h"
#include "lib/commands/commands.h"
#include "lib/store/forks.h"
#include "lib/store/queue.h"

enum { LIST_MAX = 50 };

enum err_class effect_jobs_list(struct effect_call *call, struct err *err)
{
	json_t *rows = NULL, *ok = NULL;
	enum err_class class;

	if (queue_list(call->hands->reader, call->job->repo_id, 0,
		       jval_int(call->args, "limit", LIST_MAX), &rows, err))
		return err->class;
	jval_set(call->data, "jobs", rows);
	class = fork_ok_get(call->hands->reader, call->job->repo_id, call->job->pr, NULL, &ok, err);
	if (class == ERR_OK)
		jval_set(call->data, "fork_ok", ok);
	return class == ERR_NOT_FOUND ? ERR_OK : class;
}

/* The job a person named, which must belong to this repository. */
static enum err_class named_job(const struct effect_call *call, int64_t *out, struct err *err)
{
	const char *text = jval_str(call->args, "job", "0");

	*out = jval_int(call->args, "job", -1);
	if (*out >= 0)
		return ERR_OK;
	if (!str_to_int64(out, text) || *out < 0)
		return err_code(err, ERR_USER, "job.unknown",
				"`%.40s` is not the number of a job; `/status` lists them", text);
	return ERR_OK;
}

struct cancel_op {
	struct queue_stop stop;
	json_t *rows;
};

static enum err_class run_cancel(struct db *db, void *arg, struct err *err)
{
	struct cancel_op *op = arg;

	return queue_cancel(db, &op->stop, clock_now_ms(), &op->rows, err);
}

/* The job has ended since it was cancelled, perhaps by us: its state is the answer. */
static enum err_class tell_ended(struct effect_call *call, int64_t id, struct err *err)
{
	struct job job = {0};
	json_t *row = json_object(), *rows = json_array();

	json_array_append_new(rows, row);
	jval_set(call->data, "jobs", rows);
	if (queue_load(call->hands->reader, id, &job, err))
		return err->class;
	jval_set_int(row, "id", id);
	jval_set_str(row, "command", job.command);
	jval_set_str(row, "was", "under way");
	jval_set_str(row, "now", job_state_name(job.state));
	job_dispose(&job);
	return err->class = ERR_OK;
}

enum err_class effect_job_cancel(struct effect_call *call, struct err *err)
{
	struct cancel_op op = {.stop = {.asking = call->job,
					.stops = jval_at(call->args, "stops"),
					.table = &commands,
					.is_again = call->in_doubt}};
	enum err_class class = named_job(call, &op.stop.job_id, err);

	if (class)
		return class;
	class = writer_call(call->hands->world->writer, run_cancel, &op, err);
	if (class == ERR_CONFLICT && call->in_doubt)
		return tell_ended(call, op.stop.job_id, err);
	if (class)
		return class;
	jval_set(call->data, "jobs", op.rows);
	return ERR_OK;
}

struct retry_op {
	const struct effect_call *call;
	int64_t job_id;
	json_t *made;
};

static enum err_class run_retry(struct db *db, void *arg, struct err *err)
{
	struct retry_op *op = arg;

	return queue_retry(db, op->job_id, op->call->job, clock_now_ms(), &op->made, err);
}

enum err_class effect_job_retry(struct effect_call *call, struct err *err)
{
	struct retry_op op = {.call = call};

	if (named_job(call, &op.job_id, err))
		return err->class;
	if (writer_call(call->hands->world->writer, run_retry, &op, err))
		return err->class;
	json_object_update(call->data, op.made);
	json_decref(op.made);
	return ERR_OK;
}

enum err_class effect_job_logs(struct effect_call *call, struct err *err)
{
	struct job job = {0};
	json_t *steps = NULL;
	int64_t id;

	if (named_job(call, &id, err))
		return err->class;
	if (queue_load(call->hands->reader, id, &job, err) || job.repo_id != call->job->repo_id) {
		job_dispose(&job);
		return err_code(err, ERR_USER, "job.unknown",
				"there is no job %lld in this repository; `/status` lists them",
				(long long)id);
	}
	jval_set_str(call->data, "command", job.command);
	jval_set_str(call->data, "state", job_state_name(job.state));
	jval_set_str(call->data, "log",
		     jval_str(job.data, "failure.log", jval_str(job.data, "compile.log", "")));
	job_dispose(&job);
	if (queue_steps(call->hands->reader, id, &steps, err))
		return err->class;
	jval_set(call->data, "steps", steps);
	return ERR_OK;
}
