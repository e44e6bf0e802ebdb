/* effects_cluster.c - which services belong to a job: those of the cluster that serves its
 * repository. */
#include "bot/effects_impl.h"

/* NULL, with the error, when models are not deployed from there. */
static const struct world_serving *serving_of(const struct effect_call *call, struct err *err)
{
	const struct world *world = call->hands->world;
	size_t at;

	if (world_cluster_of(world, call->job->repo, &at, err))
		return NULL;
	if (world->serving[at].kube)
		return &world->serving[at];
	(void)err_code(err, ERR_USER, "deploy.not_served",
		       "models are not deployed from this repository: the operator's file does "
		       "not switch serving on for its cluster");
	return NULL;
}

enum err_class effect_kube(const struct effect_call *call, struct kube **out, struct err *err)
{
	const struct world_serving *serving = serving_of(call, err);

	if (!serving)
		return err->class;
	*out = serving->kube;
	return ERR_OK;
}

enum err_class effect_s3(const struct effect_call *call, struct s3 **out, struct err *err)
{
	const struct world_serving *serving = serving_of(call, err);

	if (!serving)
		return err->class;
	*out = serving->s3;
	return ERR_OK;
}

enum err_class effect_mlmd(const struct effect_call *call, struct mlmd **out, struct err *err)
{
	const struct world_serving *serving = serving_of(call, err);

	if (!serving)
		return err->class;
	*out = serving->mlmd;
	return ERR_OK;
}

const char *effect_cluster_text(const struct effect_call *call, const char *key)
{
	const struct world *world = call->hands->world;
	struct err err;
	size_t at;

	if (world_cluster_of(world, call->job->repo, &at, &err))
		return NULL;
	return config_cluster_text(world->config, at, key);
}
