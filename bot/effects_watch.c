/* effects_watch.c - effect that looks at a new model whose share of the traffic is held: the
 * service, the restarts of its pods, and one of its samples.
 *
 * What the model does badly is an answer, not an error, so that it can be counted. Kubernetes that
 * does not answer says nothing about the model: that is an error, and the look is made again. Pods
 * that may not be listed are not known. */
#include "bot/effects_impl.h"
#include "lib/base/log.h"
#include "lib/core/kube_pods.h"

/* {"restarts","restarted": how one of them came}, or nothing. */
static void add_restarts(struct effect_call *call, const struct isvc_look *look)
{
	AUTO_JSON json_t *pods = NULL;
	struct kube_restarts restarts;
	struct err err = {0};

	if (effect_pods(call, look, &pods, &err)) {
		log_debug("watch_without_pods", LOG_I("job", call->job->id),
			  LOG_S("message", err.msg));
		return;
	}
	kube_pods_restarts(&restarts, pods);
	jval_set_int(call->data, "restarts", restarts.count);
	jval_set_str(call->data, "restarted", restarts.sentence);
}

/* "sample": as effect serving.sample answers; with "good" false and a "verdict" as well when nobody
 * answered. */
static void add_sample(struct effect_call *call, const struct isvc_look *look)
{
	struct effect_call own = *call;
	struct err err = {0};

	own.data = json_object();
	if (effect_sample_once(&own, look, (size_t)jval_int(call->args, "sample", 0), &err)) {
		json_object_clear(own.data);
		jval_set_bool(own.data, "good", false);
		jval_set_str(own.data, "verdict", err.msg);
	}
	jval_set(call->data, "sample", own.data);
}

enum err_class effect_watch(struct effect_call *call, struct err *err)
{
	struct isvc_look look;

	if (effect_service_look(call, err))
		return err->class;
	look = (struct isvc_look){.live = json_object_get(call->data, "live"),
				  .second = json_object_get(call->data, "second")};
	add_restarts(call, &look);
	if (jval_at(call->args, "sample"))
		add_sample(call, &look);
	return ERR_OK;
}
