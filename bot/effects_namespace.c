/* effects_namespace.c - the operator's ceiling over the namespaces that a repository names: where
 * its pipelines run, and where its models are served.
 *
 * The namespace comes from the pull request, and the bot's token may reach more of them than the
 * repository should. Every effect that makes something there asks first, because the operator's
 * file may have changed with a restart in between; the step that reads the settings asks too, so
 * that a refusal comes before the work, with its place. Where the operator gave no list, Kubeflow
 * is asked what it is: a single-user installation has one namespace and takes no notice of the
 * name. */
#include "bot/effects_impl.h"

enum { TELL_MAX = 700 };

/* `what` begins the sentence: "pipeline.namespace is". */
static enum err_class refuse_outside(const struct effect_call *call, const char *what,
				     const char *name, struct err *err)
{
	AUTO_BUF struct buf list = buf_make(TELL_MAX);

	config_namespaces_tell(call->hands->world->config, call->job->repo, &list);
	return err_code(
		err, ERR_DENIED, "denied.namespace",
		"%s `%.63s`, but %s may use %s%s. Name one of those, or ask the operator to "
		"add it to `repositories[].namespaces`",
		what, name, call->job->repo, list.len ? "only " : "none", buf_text(&list));
}

/* Without a list only a server that knows no namespaces is safe. */
static enum err_class ask_server(const struct effect_call *call, size_t at, const char *name,
				 struct err *err)
{
	struct world *world = call->hands->world;
	struct kfp_capabilities seen;

	if (kfp_probe(world->clusters[at], hands_kfp_http(call->hands, at), &seen, err))
		return err_wrap(err, "cannot ask Kubeflow about its namespaces");
	if (!seen.multi_user)
		return ERR_OK;
	return err_code(err, ERR_DENIED, "denied.namespace",
			"pipeline.namespace is `%.63s`, but this Kubeflow is multi-user and %s is "
			"given no namespace on this server. Ask the operator to add it to "
			"`repositories[].namespaces`",
			name, call->job->repo);
}

enum err_class effect_namespace_allowed(const struct effect_call *call, const char *name,
					struct err *err)
{
	size_t cluster;

	if (world_cluster_of(call->hands->world, call->job->repo, &cluster, err))
		return err->class;
	switch (config_namespace_of_repo(call->hands->world->config, call->job->repo, name)) {
	case CONFIG_NAMESPACE_LISTED:
		return ERR_OK;
	case CONFIG_NAMESPACE_NO_LIST:
		return ask_server(call, cluster, name, err);
	case CONFIG_NAMESPACE_OUTSIDE:
		break;
	}
	return refuse_outside(call, "pipeline.namespace is", name, err);
}

/* Kubernetes has many namespaces whatever Kubeflow has, so without a list none is allowed. What was
 * begun may be finished and taken back, though the operator's file has changed since: it was
 * allowed when it was tried. */
enum err_class effect_serving_allowed(const struct effect_call *call, struct err *err)
{
	const char *name = jval_str(call->args, "namespace", "");

	if (jval_bool(call->job->data, "rollout.touched", false) ||
	    config_namespace_of_repo(call->hands->world->config, call->job->repo, name) ==
		    CONFIG_NAMESPACE_LISTED)
		return ERR_OK;
	return refuse_outside(call, "the model would be served in", name, err);
}
