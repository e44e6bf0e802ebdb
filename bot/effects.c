/* effects.c - one table from the kind of effect to the service call, and the job's work folder.
 *
 * The effects_*.c files are the only ones that include services. Each function does at most one
 * thing that changes the outside; what may be sent twice and what must be looked for first is said
 * beside it. */
#include "bot/effects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bot/credentials.h"
#include "bot/effects_impl.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/sign.h"

enum { FILE_MAX = 64 << 20 };

static effect_fn *const table[EFFECT_COUNT] = {
	[EFFECT_PERMISSION] = effect_permission,
	[EFFECT_REFUSAL] = effect_refusal,
	[EFFECT_PULL] = effect_pull,
	[EFFECT_CHECKOUT] = effect_checkout,
	[EFFECT_SETTINGS] = effect_settings,
	[EFFECT_COMPILE] = effect_compile,
	[EFFECT_PIPELINE_ENSURE] = effect_pipeline_ensure,
	[EFFECT_VERSION_UPLOAD] = effect_version_upload,
	[EFFECT_VERSION_FIND] = effect_version_find,
	[EFFECT_EXPERIMENT] = effect_experiment,
	[EFFECT_RUN_CREATE] = effect_run_create,
	[EFFECT_RUN_GET] = effect_run_get,
	[EFFECT_RUN_TERMINATE] = effect_run_terminate,
	[EFFECT_RUN_CAUSES] = effect_run_causes,
	[EFFECT_JOBS_LIST] = effect_jobs_list,
	[EFFECT_ENVIRONMENTS_LIST] = effect_environments_list,
	[EFFECT_JOB_CANCEL] = effect_job_cancel,
	[EFFECT_JOB_RETRY] = effect_job_retry,
	[EFFECT_JOB_LOGS] = effect_job_logs,
	[EFFECT_MERGE_FACTS] = effect_merge_facts,
	[EFFECT_APPROVALS] = effect_approvals,
	[EFFECT_APPROVE] = effect_approve,
	[EFFECT_RUN_FIND] = effect_run_find,
	[EFFECT_MODEL] = effect_model,
	[EFFECT_MODEL_LOOK] = effect_model_look,
	[EFFECT_SERVICE_MAKE] = effect_service_make,
	[EFFECT_SERVICE_LOOK] = effect_service_look,
	[EFFECT_SERVICE_BEFORE] = effect_service_before,
	[EFFECT_SERVICE_TRY] = effect_service_try,
	[EFFECT_SERVICE_SEND] = effect_service_send,
	[EFFECT_SERVICE_CAUSES] = effect_service_causes,
	[EFFECT_SAMPLE] = effect_sample,
	[EFFECT_WATCH] = effect_watch,
	[EFFECT_TURN_TAKE] = effect_turn_take,
	[EFFECT_DEPLOYMENT_BEGIN] = effect_deployment_begin,
	[EFFECT_DEPLOYMENT_END] = effect_deployment_end,
	[EFFECT_DEPLOYMENT_CREATE] = effect_deployment_create,
	[EFFECT_DEPLOYMENT_STATUS] = effect_deployment_status,
	[EFFECT_LABEL_MOVE] = effect_label_move,
	[EFFECT_MERGE] = effect_merge,
	[EFFECT_ENQUEUE] = effect_enqueue,
	[EFFECT_DEQUEUE] = effect_dequeue,
	[EFFECT_QUEUE_LOOK] = effect_queue_look,
	[EFFECT_BRANCH_DELETE] = effect_branch_delete,
	[EFFECT_HOLDER_LOOK] = effect_holder_look,
	[EFFECT_HOLDER_FREE] = effect_holder_free,
	[EFFECT_ENVIRONMENT_LOCK] = effect_environment_lock,
	[EFFECT_ENVIRONMENT_UNLOCK] = effect_environment_unlock,
	[EFFECT_DEPLOYMENTS_FIND] = effect_deployments_find,
	[EFFECT_HOLD] = effect_hold,
	[EFFECT_UNHOLD] = effect_unhold,
	[EFFECT_OK_TO_RUN] = effect_ok_to_run,
};

void effects_prepare(struct effect *effect)
{
	unsigned char random[16];
	char id[37];

	if (effect->kind != EFFECT_RUN_CREATE || jval_str(effect->args, "run_id", NULL))
		return;
	sign_random(random, sizeof random);
	str_uuid(id, random);
	jval_set_str(effect->args, "run_id", id);
}

void effects_run(struct hands *hands, const struct job *job, const struct effect *effect,
		 bool in_doubt, struct effect_result *out)
{
	struct effect_call call = {
		.hands = hands, .job = job, .args = effect->args, .in_doubt = in_doubt};
	int64_t began = clock_mono_ms();
	enum err_class class;

	*out = (struct effect_result){0};
	must(effect->kind > EFFECT_NONE && effect->kind < EFFECT_COUNT && table[effect->kind]);
	call.data = json_object();
	class = table[effect->kind](&call, &out->err);
	if (!class)
		out->err = (struct err){0}; /* what was tried on the way does not matter */
	out->err.class = class;
	out->data = call.data;
	out->took_ms = clock_mono_ms() - began;
	credentials_note_effect(hands->world, job, effect->kind, &out->err);
	log_debug("effect", LOG_I("job", job->id), LOG_S("effect", effect_name(effect->kind)),
		  LOG_S("class", err_class_name(out->err.class)), LOG_I("took_ms", out->took_ms),
		  LOG_S("message", out->err.class ? out->err.msg : ""));
}

struct github_target effect_target(const struct effect_call *call)
{
	return (struct github_target){
		.installation_id = call->job->installation_id,
		.repo_id = call->job->repo_id,
		.repo = call->job->repo,
	};
}

char *effect_path(const struct world *world, const struct job *job, const char *name)
{
	return str_printf("%s/%s%s%s", world->work_dir, job->uid, *name ? "/" : "", name);
}

enum err_class effect_write_file(const struct world *world, const struct job *job, const char *name,
				 const char *data, size_t len, struct err *err)
{
	AUTO_FREE char *dir = effect_path(world, job, ""), *path = effect_path(world, job, name);
	AUTO_FREE char *draft = str_printf("%s.part", path);
	size_t done = 0;
	bool ok;
	int fd;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_set(err, ERR_TRANSIENT, "cannot make the work folder: %s",
			       strerror(errno));
	fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(err, ERR_TRANSIENT, "cannot write %s: %s", name, strerror(errno));
	while (done < len) {
		ssize_t n = write(fd, data + done, len - done);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	ok = done == len && fsync(fd) == 0;
	ok = close(fd) == 0 && ok && rename(draft, path) == 0;
	return ok ? ERR_OK
		  : err_set(err, ERR_TRANSIENT, "cannot write %s: %s", name, strerror(errno));
}

enum err_class effect_read_file(const struct world *world, const struct job *job, const char *name,
				char **out, size_t *out_len, struct err *err)
{
	AUTO_FREE char *dir = effect_path(world, job, "");

	return repo_read_file(dir, name, FILE_MAX, out, out_len, err);
}

struct pipeline *effects_pipeline(const struct world *world, const struct job *job)
{
	AUTO_FREE char *text = NULL;
	AUTO_JSON json_t *documents = NULL;
	const json_t *list[2];
	struct pipeline *pipeline = NULL;
	struct err err;
	size_t len, count;

	if (effect_read_file(world, job, "pipeline.json", &text, &len, &err) ||
	    jval_parse(&documents, text, len, &err))
		return NULL;
	count = json_array_size(documents) < 2 ? json_array_size(documents) : 2;
	for (size_t i = 0; i < count; i++)
		list[i] = json_array_get(documents, i);
	return pipeline_read(&pipeline, list, count, &err) ? NULL : pipeline;
}

void effects_clean(const struct world *world, const struct job *job)
{
	AUTO_FREE char *dir = effect_path(world, job, "");

	repo_remove_tree(dir);
}
