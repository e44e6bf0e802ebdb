/* effects_service.c - effects on InferenceServices: looking, what is remembered before a rollout,
 * trying and making one request, and why it does not become ready.
 *
 * What is to be sent was decided by the planner; here it is only carried out. Every request is
 * guarded by the object's resourceVersion or uid, so one that is repeated in doubt finds that it
 * has been done (the version has moved) and the next look tells. */
#include <stdio.h>

#include "bot/effects_impl.h"
#include "lib/base/log.h"
#include "lib/core/isvc.h"
#include "lib/core/kube_pods.h"
#include "lib/services/kube.h"
#include "lib/store/deployments.h"
#include "lib/store/queue.h"

enum { LOG_BYTES_MAX = 16 * 1024, LOG_LINES = 40, PODS_MAX = 100 };

static struct kube_ref service_ref(const struct effect_call *call, const char *name)
{
	return (struct kube_ref){
		.group = "serving.kserve.io",
		.version = "v1beta1",
		.plural = "inferenceservices",
		.ns = jval_str(call->args, "namespace", ""),
		.name = name,
	};
}

/* NULL when it is not there. */
static enum err_class get_service(struct effect_call *call, struct kube *kube, const char *name,
				  json_t **out, struct err *err)
{
	struct kube_ref ref = service_ref(call, name);
	enum err_class class = kube_get(kube, hands_cluster_http(call->hands), &ref, out, err);

	if (class == ERR_NOT_FOUND && str_eq(err->code, KUBE_OBJECT_MISSING)) {
		*out = NULL;
		return err->class = ERR_OK;
	}
	return class;
}

static enum err_class get_objects(struct effect_call *call, const char *name, bool with_second,
				  json_t **live, json_t **second, struct err *err)
{
	AUTO_FREE char *other = isvc_second_name(name);
	struct kube *kube;

	*live = *second = NULL;
	if (effect_serving_allowed(call, err))
		return err->class;
	if (effect_kube(call, &kube, err) || get_service(call, kube, name, live, err))
		return err_wrap(err, "cannot look at the service");
	if (with_second && get_service(call, kube, other, second, err))
		return err_wrap(err, "cannot look at the service");
	return ERR_OK;
}

/* The second object belongs to one of the ways alone. While a model is loading this is asked again
 * and again, so the others do not ask for it, unless they say so. */
static enum err_class get_own(struct effect_call *call, json_t **live, json_t **second,
			      struct err *err)
{
	const char *way = jval_str(call->job->data, "service.before.way", NULL);

	return get_objects(call, jval_str(call->args, "service", ""),
			   !way || str_eq(way, isvc_way_name(ISVC_WAY_SECOND)) ||
				   jval_bool(call->args, "second", false),
			   live, second, err);
}

enum err_class effect_service_look(struct effect_call *call, struct err *err)
{
	json_t *live, *second;

	if (get_own(call, &live, &second, err))
		return err->class;
	jval_set_bool(call->data, "seen", true);
	if (live)
		jval_set(call->data, "live", live);
	if (second)
		jval_set(call->data, "second", second);
	return ERR_OK;
}

/* Has the job that left its mark there ended, and did it not leave its deployment open, or is that
 * one gone? Then what it left at 0 % may be replaced. */
static enum err_class is_over(struct effect_call *call, const json_t *object, bool *out,
			      struct err *err)
{
	const char *gone = jval_str(call->data, "gone.uid", "");
	struct isvc_state state;
	int64_t deployed = 0;
	bool open = false;

	*out = true;
	if (!object)
		return ERR_OK;
	isvc_read(&state, object);
	if (!state.marks.job || str_eq(state.marks.job, call->job->uid) ||
	    str_eq(state.marks.job, gone))
		return ERR_OK;
	if (queue_is_open(call->hands->reader, state.marks.job, &open, err) ||
	    deployment_marked(call->hands->reader, call->job->repo_id,
			      jval_str(call->args, "environment", ""), state.marks.job, &deployed,
			      err))
		return err->class;
	*out = !open && deployed != DEPLOYMENT_OPEN;
	return ERR_OK;
}

static json_t *with_fence(const struct effect_call *call)
{
	json_t *wanted = json_deep_copy(json_object_get(call->args, "wanted"));
	json_t *marks = jval_at(json_object_get(wanted, "metadata"), "annotations");
	AUTO_FREE char *fence = str_printf("%lld", (long long)jval_int(call->args, "fence", 0));

	if (marks)
		jval_set_str(marks, "kfops.dev/fence", fence);
	return wanted;
}

/* Which model serves by our own records: the marks of an object are those of the last model that
 * was put there, and a rollout that was taken back leaves its own. */
static enum err_class keep_served(struct effect_call *call, struct err *err)
{
	json_t *live = NULL, *served;
	enum err_class class = deployment_live(call->hands->reader, call->job->repo_id,
					       jval_str(call->args, "environment", ""), &live, err);

	if (class == ERR_NOT_FOUND)
		return err->class = ERR_OK;
	if (class)
		return class;
	served = json_object();
	jval_set_str(served, "sha", jval_str(live, "sha", ""));
	jval_set_int(served, "pr", jval_int(live, "pr", 0));
	jval_set_int(served, "id", jval_int(live, "id", 0));
	jval_set_int(served, "job", jval_int(live, "job", 0));
	jval_set_int(served, "remote_id", jval_int(live, "remote_id", 0));
	jval_set_str(served, "storage_uri", jval_str(live, "storage_uri", ""));
	jval_set(call->data, "served", served);
	json_decref(live);
	return ERR_OK;
}

/* The deployment that was left open, by our record; NULL: there is none. The caller drops it. */
static enum err_class find_open(struct effect_call *call, json_t **out, struct err *err)
{
	enum err_class class = deployment_open(call->hands->reader, call->job->repo_id,
					       jval_str(call->args, "environment", ""), out, err);

	return class == ERR_NOT_FOUND ? (err->class = ERR_OK) : class;
}

/* "gone": what is to be closed of a deployment that was open on a service which somebody deleted.
 */
static void keep_gone(struct effect_call *call, const json_t *open, const json_t *live)
{
	static const char *const numbers[] = {"id", "job", "remote_id"};
	static const char *const texts[] = {"way", "uid"};
	const json_t *was = json_object_get(open, "before");
	json_t *gone, *before;

	if (!open || !isvc_is_gone(was, live))
		return;
	gone = json_object();
	before = json_object();
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		jval_set_int(gone, numbers[i], jval_int(open, numbers[i], 0));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		jval_set_str(before, texts[i], jval_str(was, texts[i], ""));
	jval_set_bool(before, "existed", true);
	jval_set_str(gone, "uid", jval_str(open, "uid", ""));
	jval_set(gone, "before", before);
	jval_set(call->data, "gone", gone);
}

/* What is open is told by our record, which knows more than the object does. */
static void tell_open(const struct effect_call *call, const json_t *open, struct err *err)
{
	const char *environment = jval_str(call->args, "environment", "");
	int64_t percent = jval_int(open, "percent", 0);
	char share[32] = "waits without traffic";

	if (!open || !str_eq(err->code, "deploy.canary_open"))
		return;
	if (percent)
		snprintf(share, sizeof share, "has %d %% of the traffic", (int)percent);
	err_code(
		err, ERR_USER, "deploy.canary_open",
		"deployment %lld is open in %.60s: the model of `%.7s` of pull request %lld, which "
		"%.60s deployed, %s. `/promote %.60s` there gives it all, `/rollback %.60s` takes "
		"it out",
		(long long)jval_int(open, "id", 0), environment, jval_str(open, "sha", "?"),
		(long long)jval_int(open, "pr", 0), jval_str(open, "actor", "?"), share,
		environment, environment);
}

enum err_class effect_service_before(struct effect_call *call, struct err *err)
{
	const json_t *template = json_object_get(call->args, "wanted");
	AUTO_JSON json_t *live = NULL, *second = NULL, *open = NULL;
	json_t *wanted = NULL, *before = NULL;
	struct isvc_rules rules = {0};
	bool live_over, second_over;
	struct kube_kserve kserve;
	struct kube *kube;

	if (get_objects(call, jval_str(template, "metadata.name", ""), true, &live, &second, err) ||
	    find_open(call, &open, err) || effect_kube(call, &kube, err) ||
	    kube_probe_kserve(kube, hands_cluster_http(call->hands), &kserve, err))
		return err->class;
	keep_gone(call, open, live);
	if (is_over(call, live, &live_over, err) || is_over(call, second, &second_over, err) ||
	    keep_served(call, err))
		return err->class;
	rules.crd_has_canary = kserve.canary == KUBE_YES;
	rules.other_over = live_over && second_over;
	rules.test_first = jval_bool(call->args, "try_first", false);
	rules.second_public = effect_cluster_text(call, "serving_url") != NULL;
	wanted = with_fence(call);
	if (isvc_before(&before, live, second, wanted, &rules, err)) {
		json_decref(wanted);
		tell_open(call, open, err);
		return err->class;
	}
	jval_set(call->data, "wanted", wanted);
	jval_set(call->data, "before", before);
	return ERR_OK;
}

/* The object as it was accepted is kept in *out; nothing for what was only tried or deleted. */
static enum err_class send(struct effect_call *call, enum kube_write flags, json_t **out,
			   struct err *err)
{
	const char *verb = jval_str(call->args, "verb", "");
	const json_t *body = json_object_get(call->args, "body");
	struct kube_ref ref = service_ref(call, jval_str(call->args, "name", ""));
	struct http *http = hands_cluster_http(call->hands);
	struct kube *kube;

	if (effect_serving_allowed(call, err) || effect_kube(call, &kube, err))
		return err->class;
	if (str_eq(verb, "create"))
		return kube_create(kube, http, &ref, body, flags, out, err);
	if (str_eq(verb, "patch"))
		return kube_merge(kube, http, &ref, body, flags, out, err);
	must(str_eq(verb, "delete"));
	if (flags & KUBE_DRY_RUN)
		return ERR_OK;
	return kube_delete(kube, http, &ref, jval_str(body, "preconditions.uid", ""), err);
}

enum err_class effect_service_try(struct effect_call *call, struct err *err)
{
	AUTO_JSON json_t *object = NULL;

	return send(call, KUBE_DRY_RUN, &object, err);
}

enum err_class effect_service_send(struct effect_call *call, struct err *err)
{
	AUTO_JSON json_t *object = NULL;
	enum err_class class = send(call, KUBE_WRITE, &object, err);

	if (!class && object) {
		jval_set_str(call->data, "name", jval_str(object, "metadata.name", ""));
		jval_set_int(call->data, "generation", jval_int(object, "metadata.generation", 0));
	}
	return class;
}

/* --- why it does not become ready --- */

static void put_log(struct effect_call *call, struct kube *kube, const struct kube_pods *why)
{
	AUTO_BUF struct buf log = buf_make(LOG_BYTES_MAX);
	struct kube_log_options options = {.container = why->container,
					   .lines_max = LOG_LINES,
					   .previous = str_eq(why->reason, "CrashLoopBackOff")};
	struct err err = {0};

	if (!*why->pod || !*why->container ||
	    kube_pod_log(kube, hands_cluster_http(call->hands),
			 jval_str(call->args, "namespace", ""), why->pod, &options, &log, &err))
		return; /* the sentence has to do */
	jval_set_str(call->data, "log", buf_text(&log));
}

enum err_class effect_pods(struct effect_call *call, const struct isvc_look *look, json_t **out,
			   struct err *err)
{
	const struct isvc_goal goal = {
		.wanted = jval_at(call->job->data, "service.wanted"),
		.before = jval_at(call->job->data, "service.before"),
		.job = jval_str(call->job->data, "rollout.mark", call->job->uid),
	};
	AUTO_FREE char *selector = isvc_pod_selector(&goal, look);
	struct kube_ref ref = {.group = "",
			       .version = "v1",
			       .plural = "pods",
			       .ns = jval_str(call->args, "namespace", "")};
	struct kube_list_options options = {.items_max = PODS_MAX, .label_selector = selector};
	struct kube *kube;

	if (effect_kube(call, &kube, err))
		return err->class;
	return kube_list(kube, hands_cluster_http(call->hands), &ref, &options, out, NULL, err);
}

enum err_class effect_service_causes(struct effect_call *call, struct err *err)
{
	AUTO_JSON json_t *live = NULL, *second = NULL, *pods = NULL;
	struct kube_pods why;
	struct kube *kube;

	if (get_own(call, &live, &second, err) ||
	    effect_pods(call, &(struct isvc_look){live, second}, &pods, err) ||
	    effect_kube(call, &kube, err))
		return err->class;
	kube_pods_explain(&why, pods);
	if (why.state != KUBE_PODS_STUCK && why.state != KUBE_PODS_FAILED)
		return ERR_OK;
	jval_set_str(call->data, "cause", why.sentence);
	put_log(call, kube, &why);
	return ERR_OK;
}
