/* effects_environment.c - effects on our own records of environments: turns, locks, deployments.
 *
 * Each is one operation of the writer and answers the same when it is asked again, so a crash
 * between its commit and the step's result costs nothing. */
#include "bot/effects_impl.h"
#include "lib/base/clock.h"
#include "lib/store/deployments.h"
#include "lib/store/environments.h"
#include "lib/store/queue.h"
#include "lib/store/queue_made.h"

struct record_op {
	const struct effect_call *call;
	int64_t now_ms, id;
	json_t *found;
	const json_t *facts;
};

static const char *environment_of(const struct effect_call *call)
{
	return jval_str(call->args, "environment", "");
}

/* --- turns and locks --- */

static enum err_class run_take(struct db *db, void *arg, struct err *err)
{
	struct record_op *op = arg;

	return environment_take(db, op->call->job, environment_of(op->call), op->now_ms, &op->found,
				err);
}

enum err_class effect_turn_take(struct effect_call *call, struct err *err)
{
	AUTO_FREE char *source = effect_path(call->hands->world, call->job, "src");
	struct record_op op = {.call = call, .now_ms = clock_now_ms()};

	repo_remove_tree(source); /* read and committed: it may stand in line for days without it */
	if (writer_call(call->hands->world->writer, run_take, &op, err))
		return err->class;
	json_object_update(call->data, op.found);
	json_decref(op.found);
	return ERR_OK;
}

static enum err_class run_free(struct db *db, void *arg, struct err *err)
{
	struct record_op *op = arg;

	return environment_free(db, op->call->job->repo_id, jval_int(op->call->args, "pr", 0),
				INT64_MAX, op->now_ms, err);
}

/* The pull request that had it was seen closed. */
enum err_class effect_holder_free(struct effect_call *call, struct err *err)
{
	struct record_op op = {.call = call, .now_ms = clock_now_ms()};

	if (writer_call(call->hands->world->writer, run_free, &op, err))
		return err->class;
	return ERR_OK;
}

static enum err_class run_lock(struct db *db, void *arg, struct err *err)
{
	struct record_op *op = arg;
	const json_t *args = op->call->args;

	return environment_lock(db, op->call->job, environment_of(op->call),
				jval_str(args, "reason", NULL), jval_int(args, "until_ms", 0),
				op->now_ms, err);
}

enum err_class effect_environment_lock(struct effect_call *call, struct err *err)
{
	struct record_op op = {.call = call, .now_ms = clock_now_ms()};

	if (writer_call(call->hands->world->writer, run_lock, &op, err))
		return err->class;
	jval_set_int(call->data, "until_ms", jval_int(call->args, "until_ms", 0));
	return ERR_OK;
}

static enum err_class run_unlock(struct db *db, void *arg, struct err *err)
{
	struct record_op *op = arg;

	return environment_unlock(db, op->call->job, environment_of(op->call),
				  jval_bool(op->call->args, "any", false), op->now_ms, &op->found,
				  err);
}

/* In doubt, it is enough that nobody has it. */
enum err_class effect_environment_unlock(struct effect_call *call, struct err *err)
{
	struct record_op op = {.call = call, .now_ms = clock_now_ms()};
	enum err_class class = writer_call(call->hands->world->writer, run_unlock, &op, err);

	if (class == ERR_NOT_FOUND && call->in_doubt)
		return err->class = ERR_OK;
	if (class)
		return class;
	jval_set(call->data, "was", op.found);
	return ERR_OK;
}

/* --- deployments --- */

static enum err_class run_begin(struct db *db, void *arg, struct err *err)
{
	struct record_op *op = arg;

	return deployment_begin(db, op->call->job, op->facts, op->now_ms, &op->id, err);
}

/* The model that serves while this begins: by our record of what is live, else by the object, as
 * long as that serves what its spec says. An object keeps the address of a model that was taken
 * back, so its spec alone says nothing. The caller frees. */
static enum err_class model_before(struct effect_call *call, char **out, struct err *err)
{
	const json_t *object = json_object_get(call->args, "before");
	json_t *live = NULL;
	enum err_class class = deployment_live(call->hands->reader, call->job->repo_id,
					       environment_of(call), &live, err);

	if (class && class != ERR_NOT_FOUND)
		return class;
	*out = str_dup(live			 ? jval_str(live, "storage_uri", "")
		       : jval_at(object, "spec") ? jval_str(object, "storage_uri", "")
						 : "");
	json_decref(live);
	return err->class = ERR_OK;
}

enum err_class effect_deployment_begin(struct effect_call *call, struct err *err)
{
	struct record_op op = {.call = call, .now_ms = clock_now_ms()};
	AUTO_FREE char *before = NULL;
	AUTO_JSON json_t *facts = json_deep_copy(call->args);

	if (model_before(call, &before, err))
		return err->class;
	jval_set_str(facts, "was", before);
	op.facts = facts;
	if (writer_call(call->hands->world->writer, run_begin, &op, err))
		return err->class;
	jval_set_int(call->data, "deployment", op.id);
	return ERR_OK;
}

static enum deployment_state state_of(const char *name)
{
	static const enum deployment_state ends[] = {DEPLOYMENT_LIVE, DEPLOYMENT_FAILED,
						     DEPLOYMENT_ROLLED_BACK, DEPLOYMENT_OPEN};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (str_eq(deployment_state_name(ends[i]), name))
			return ends[i];
	must(false);
	return DEPLOYMENT_FAILED;
}

/* Whose deployment it is: that of the job, unless another's is promoted. */
static int64_t owner_of(const struct effect_call *call)
{
	return jval_int(call->args, "of", call->job->id);
}

static enum err_class run_end(struct db *db, void *arg, struct err *err)
{
	struct record_op *op = arg;
	const json_t *args = op->call->args;

	if (deployment_note(db, owner_of(op->call), args, err))
		return err->class;
	if (jval_bool(args, "takes_over", false) &&
	    deployment_take_over(db, op->call->job, owner_of(op->call), args, op->now_ms, err))
		return err->class;
	if (jval_bool(args, "sticks", false) &&
	    environment_keep(db, op->call->job, environment_of(op->call), op->now_ms, err))
		return err->class;
	return deployment_end(db, op->call->job, owner_of(op->call),
			      state_of(jval_str(args, "state", "")),
			      jval_int(args, "returned_to", 0), op->now_ms, err);
}

enum err_class effect_deployment_end(struct effect_call *call, struct err *err)
{
	struct record_op op = {.call = call, .now_ms = clock_now_ms()};

	if (writer_call(call->hands->world->writer, run_end, &op, err))
		return err->class;
	return ERR_OK;
}

/* --- looking --- */

enum err_class effect_run_find(struct effect_call *call, struct err *err)
{
	json_t *found = NULL;
	enum err_class class = queue_find_run(call->hands->reader, call->job->repo_id,
					      call->job->pr, jval_str(call->args, "sha", ""),
					      jval_str(call->args, "run_id", NULL), &found, err);

	if (class)
		return class;
	json_object_update(call->data, found);
	json_decref(found);
	return ERR_OK;
}

static void without_objects(json_t *rows)
{
	static const char *const large[] = {"template", "before", "plan"};
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) for (size_t k = 0; k < ARRAY_LEN(large); k++)(void)
		json_object_del(row, large[k]);
}

/* What /status shows: {"live", "earlier": of deployments.h without the objects, "lines": of
 * environments.h}. */
enum err_class effect_environments_list(struct effect_call *call, struct err *err)
{
	struct db *reader = call->hands->reader;
	int64_t repo_id = call->job->repo_id;
	json_t *live = NULL, *earlier = NULL, *lines = NULL;

	if (deployment_list_live(reader, repo_id, &live, err))
		return err->class;
	without_objects(live);
	jval_set(call->data, "live", live);
	if (deployment_list_earlier(reader, repo_id, &earlier, err))
		return err->class;
	without_objects(earlier);
	jval_set(call->data, "earlier", earlier);
	if (environment_list(reader, repo_id, clock_now_ms(), &lines, err))
		return err->class;
	jval_set(call->data, "lines", lines);
	return ERR_OK;
}

/* Keeps what was found under this name; that there is none is an answer too. */
static enum err_class keep_found(struct effect_call *call, const char *name, enum err_class class,
				 json_t *take_found, struct err *err)
{
	if (!class)
		jval_set(call->data, name, take_found);
	else if (class != ERR_NOT_FOUND)
		return class;
	return err->class = ERR_OK;
}

/* {"live", "open", "before" (of the live one), "named": the deployment `to`, "marked": the state of
 * the one with the uid `mark`}, each as far as there is one. */
enum err_class effect_deployments_find(struct effect_call *call, struct err *err)
{
	const char *environment = environment_of(call), *mark = jval_str(call->args, "mark", NULL);
	int64_t repo_id = call->job->repo_id, to = jval_int(call->args, "to", 0), marked = 0, live;
	struct db *reader = call->hands->reader;
	json_t *found = NULL;
	enum err_class class = deployment_live(reader, repo_id, environment, &found, err);

	if (keep_found(call, "live", class, found, err))
		return err->class;
	live = jval_int(call->data, "live.id", INT64_MAX);
	class = deployment_open(reader, repo_id, environment, &found, err);
	if (keep_found(call, "open", class, found, err))
		return err->class;
	class = deployment_before(reader, repo_id, environment, live, &found, err);
	if (keep_found(call, "before", class, found, err))
		return err->class;
	if (to) {
		class = deployment_get(reader, repo_id, to, &found, err);
		if (keep_found(call, "named", class, found, err))
			return err->class;
	}
	if (mark && deployment_marked(reader, repo_id, environment, mark, &marked, err))
		return err->class;
	jval_set_int(call->data, "marked", marked);
	return ERR_OK;
}
