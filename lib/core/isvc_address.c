/* isvc_address.c - where the staged model answers, before it has any traffic, and its pods.
 *
 * Inside the cluster the addresses are made from names, not taken from the status, so nobody who
 * can write a status can send the sample elsewhere. Through an ingress only the Host header comes
 * from the status; where the request goes is the operator's address. All that may lead there are
 * told, best first, because only a try shows which ones do. Knative: the tag's host goes
 * through the activator and so wakes a revision that sleeps; <revision>-private reaches only
 * running pods. Standard: an admin may have made the Services headless, then only the container's
 * port answers. */
#include <ctype.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc_impl.h"

enum { HOST_MAX = 253 };

struct places {
	const struct isvc_goal *goal;
	const struct isvc_look *look;
	struct isvc_state live, second;
	const char *ingress;
	json_t *out;
};

static void add(struct places *places, const char *by, const char *model, const char *host,
		char *take_url)
{
	json_t *place = json_object();

	jval_set_str(place, "by", by);
	jval_set_str(place, "model", model);
	jval_set_str(place, "url", take_url);
	if (host)
		jval_set_str(place, "host", host);
	must(json_array_append_new(places->out, place) == 0);
	mem_free(take_url);
}

/* Through the ingress to what `url` names; nothing when that is not a plain address. */
static void add_outside(struct places *places, const char *by, const char *model, const char *url)
{
	const char *host = strstr(url, "://"), *path;
	AUTO_FREE char *name = NULL;
	size_t len, slash;

	if (!host)
		return;
	host += 3;
	len = strcspn(host, "/?#");
	name = str_dup_len(host, len);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr(".-:", name[i]))
			return;
	path = host + len;
	for (size_t i = 0; path[i]; i++)
		if (!isalnum((unsigned char)path[i]) && !strchr("/.-_", path[i]))
			return;
	slash = strlen(path);
	while (slash && path[slash - 1] == '/')
		slash--;
	if (len && len <= HOST_MAX && slash <= HOST_MAX && !strstr(path, ".."))
		add(places, by, model, name,
		    str_printf("%s%.*s", places->ingress, (int)slash, path));
}

/* "iris-predictor" of "iris-predictor-00002". */
static char *service_of(const char *revision)
{
	const char *dash = strrchr(revision, '-');

	return str_dup_len(revision, dash ? (size_t)(dash - revision) : strlen(revision));
}

static void knative(struct places *places)
{
	const char *tested = jval_str(places->goal->before, "tested", "");
	AUTO_FREE char *service = service_of(tested);
	const char *ns = places->live.ns, *name = places->live.name;
	const json_t *target;
	size_t at;

	json_array_foreach(places->live.traffic, at, target)
	{
		const char *tag = jval_str(target, "tag", "");

		if (!str_eq(jval_str(target, "revisionName", ""), tested) || !*tag)
			continue;
		if (places->ingress)
			add_outside(places, "tag", name, jval_str(target, "url", ""));
		else
			add(places, "tag", name, NULL,
			    str_printf("http://%s-%s.%s.svc.cluster.local", tag, service, ns));
	}
	if (!places->ingress && *tested)
		add(places, "revision", name, NULL,
		    str_printf("http://%s-private.%s.svc.cluster.local", tested, ns));
}

/* A whole service: its front component. */
static void whole_service(struct places *places, const struct isvc_state *state,
			  const json_t *object, const char *by)
{
	bool chain = jval_at(object, "spec.transformer") != NULL;
	bool headless = !isvc_is_knative(state);
	const char *own = chain ? "" : jval_str(object, "spec.predictor.name", "");

	if (places->ingress) {
		add_outside(places, by, state->name, state->url);
		if (!chain)
			add_outside(places, "predictor", state->name,
				    jval_str(object, "status.components.predictor.url", ""));
		return;
	}
	for (int port = 0; port <= (headless ? 1 : 0); port++)
		add(places, by, state->name, NULL,
		    str_printf("http://%s-%s%s%s.%s.svc.cluster.local%s", state->name, own,
			       *own ? "-" : "", chain ? "transformer" : "predictor", state->ns,
			       port ? ":8080" : ""));
}

static void standard_canary(struct places *places)
{
	const char *tested = jval_str(places->goal->before, "tested", "");

	if (places->ingress || !*tested)
		return;
	for (int port = 0; port <= 1; port++)
		add(places, "canary", places->live.name, NULL,
		    str_printf("http://%s-%s-predictor.%s.svc.cluster.local%s", places->live.name,
			       tested, places->live.ns, port ? ":8080" : ""));
}

enum err_class isvc_addresses(json_t **out, const struct isvc_goal *goal,
			      const struct isvc_look *look, const char *ingress, struct err *err)
{
	const char *way = jval_str(goal->before, "way", "");
	struct places places = {.goal = goal, .look = look, .ingress = ingress};

	places.out = json_array();
	isvc_read(&places.live, look->live);
	isvc_read(&places.second, look->second);
	if (str_eq(way, isvc_way_name(ISVC_WAY_KNATIVE)))
		knative(&places);
	else if (str_eq(way, isvc_way_name(ISVC_WAY_STANDARD_CANARY)))
		standard_canary(&places);
	else if (str_eq(way, isvc_way_name(ISVC_WAY_SECOND)) && look->second)
		whole_service(&places, &places.second, look->second, "canary");
	else if (look->live)
		whole_service(&places, &places.live, look->live, "service");
	*out = places.out;
	if (json_array_size(*out))
		return ERR_OK;
	jval_drop(out);
	return err_code(err, ERR_CONFIG, "deploy.unreachable",
			ingress ? "Through the ingress there is no address for a model at 0 %% of "
				  "the traffic here, so it cannot be tried."
				: "The service has no address for the new model.");
}

/* --- its pods --- */

/* Of the second service when it is ours, else with Knative of the newest revision, for failed ones
 * of earlier rollouts may still be there; of a canary by the name of its Deployment. */
char *isvc_pod_selector(const struct isvc_goal *goal, const struct isvc_look *look)
{
	struct isvc_marks canary = {0};
	struct isvc_state state, other;
	char predictor[16];

	isvc_read(&state, look->live);
	isvc_read(&other, look->second);
	isvc_marks_read(&canary, jval_at(state.canary, "predictor.annotations"));
	if (look->second && str_eq(other.marks.job, goal->job))
		state = other;
	else if (state.canary && str_eq(canary.job, goal->job)) {
		plan_predictor_name(predictor, goal->job);
		return str_printf("app=isvc.%s-%s-predictor", state.name, predictor);
	}
	return *state.created
		       ? str_printf("serving.knative.dev/revision=%s", state.created)
		       : str_printf("serving.kserve.io/inferenceservice=%s",
				    *state.name ? state.name
						: jval_str(goal->wanted, "metadata.name", ""));
}
