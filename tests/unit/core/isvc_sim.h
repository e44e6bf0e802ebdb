/* isvc_sim.h - a small KServe for the tests of the planner: objects, and controllers that work in
 * passes, so that a test can look between any two of them.
 *
 * Knative mode follows reconcilers/knative/ksvc_reconciler.go (traffic from canaryTrafficPercent
 * and latestRolledoutRevision) and inference_service_status.go (PropagateStatus: what is rolled
 * out, and the way back by a split over one revision), one pass for KServe and one for Knative.
 * Standard mode has a rolling update that takes two passes, and spec.canary. Include once per test
 * program. */
#ifndef KF_TESTS_ISVC_SIM_H
#define KF_TESTS_ISVC_SIM_H

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc.h"
#include "tests/unit/cases.h"

enum { SIM_REVISIONS_MAX = 32 };

struct sim_revision {
	char *template;
	char *uri;
};

struct sim_service {
	json_t *object; /* NULL: absent */
	/* Knative */
	struct sim_revision revisions[SIM_REVISIONS_MAX];
	int created, ready; /* numbers, 0: none */
	int spec_percent;   /* the Knative Service as KServe wrote it last */
	int spec_fixed;
	char *wanted_template; /* NULL: not written yet */
	int latest_percent;    /* the route as Knative made it */
	int fixed;	       /* revision that gets the rest, 0: none */
	/* Standard */
	char *stable, *canary; /* what runs or is started */
	int stable_age, canary_age, generation;
	char *stable_uri; /* that answers */
};

struct sim {
	bool knative;
	const char *broken_uri; /* a model that never loads */
	struct sim_service live, second;
	int uids, versions, sent;
};

/* --- small things --- */

static inline json_t *sim_metadata(const json_t *object)
{
	return json_object_get(object, "metadata");
}

static void sim_touch(struct sim *sim, json_t *object)
{
	char text[24];

	snprintf(text, sizeof text, "%d", ++sim->versions);
	jval_set_str(sim_metadata(object), "resourceVersion", text);
}

static void sim_merge(json_t *into, const json_t *patch)
{
	const json_t *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)patch, key, value)
	{
		json_t *old = json_object_get(into, key);

		if (json_is_null(value)) {
			json_object_del(into, key);
		} else if (json_is_object(value)) {
			if (!json_is_object(old))
				jval_set(into, key, json_object());
			sim_merge(json_object_get(into, key), value);
		} else {
			jval_set(into, key, json_deep_copy(value));
		}
	}
}

static void sim_forget(struct sim_service *service)
{
	json_decref(service->object);
	for (int i = 0; i < SIM_REVISIONS_MAX; i++) {
		mem_free(service->revisions[i].template);
		mem_free(service->revisions[i].uri);
	}
	mem_free(service->wanted_template);
	mem_free(service->stable);
	mem_free(service->canary);
	mem_free(service->stable_uri);
	*service = (struct sim_service){0};
}

/* --- the API server --- */

static struct sim_service *sim_named(struct sim *sim, const char *name)
{
	return str_ends(name, "-canary") ? &sim->second : &sim->live;
}

/* What the webhook does. */
static void sim_defaults(struct sim *sim, json_t *object)
{
	json_t *model = jval_at(object, "spec.predictor.model");

	if (model && !json_object_get(model, "runtime"))
		jval_set_str(model, "runtime", "kserve-sklearnserver");
	if (model && !json_object_get(model, "protocolVersion"))
		jval_set_str(model, "protocolVersion", "v1");
	if (model)
		jval_set_str(model, "name", "");
	(void)sim;
}

static void sim_create(struct sim *sim, struct sim_service *service, const json_t *body)
{
	json_t *status = json_object();
	char uid[24];

	assert_null(service->object);
	assert_null(jval_at(body, "metadata.resourceVersion"));
	sim_forget(service);
	service->object = json_deep_copy(body);
	snprintf(uid, sizeof uid, "uid-%d", ++sim->uids);
	jval_set_str(sim_metadata(service->object), "uid", uid);
	jval_set_int(sim_metadata(service->object), "generation", 1);
	jval_set_str(status, "deploymentMode", sim->knative ? "Knative" : "Standard");
	jval_set(service->object, "status", status);
	sim_defaults(sim, service->object);
	sim_touch(sim, service->object);
}

static bool sim_patch(struct sim *sim, struct sim_service *service, const json_t *body)
{
	const char *version = jval_str(body, "metadata.resourceVersion", NULL);
	AUTO_JSON json_t *old = NULL;

	assert_non_null(version);
	if (!service->object ||
	    !str_eq(version, jval_str(service->object, "metadata.resourceVersion", "")))
		return false;
	old = json_deep_copy(json_object_get(service->object, "spec"));
	sim_merge(service->object, body);
	sim_defaults(sim, service->object);
	if (!json_equal(old, json_object_get(service->object, "spec")))
		jval_set_int(sim_metadata(service->object), "generation",
			     jval_int(service->object, "metadata.generation", 0) + 1);
	sim_touch(sim, service->object);
	return true;
}

/* For tests/lint/test_kserve_objects.py: each object as it is after a request, a line each. */
static void sim_write(const json_t *object)
{
	const char *path = getenv("KFOPS_WRITE_OBJECTS");
	FILE *file = path && object ? fopen(path, "a") : NULL;
	AUTO_FREE char *text = file ? jval_dump(object) : NULL;

	if (!file)
		return;
	fprintf(file, "%s\n", text);
	fclose(file);
}

static void sim_send(struct sim *sim, const struct isvc_request *request)
{
	struct sim_service *service = sim_named(sim, request->name);

	sim->sent++;
	if (request->verb == ISVC_CREATE)
		sim_create(sim, service, request->body);
	else if (request->verb == ISVC_PATCH)
		(void)sim_patch(sim, service, request->body);
	else if (service->object && str_eq(jval_str(request->body, "preconditions.uid", ""),
					   jval_str(service->object, "metadata.uid", "")))
		sim_forget(service);
	sim_write(service->object);
}

/* --- conditions --- */

static void sim_condition(json_t *list, const char *type, const char *state, const char *reason,
			  int at)
{
	json_t *condition = json_object();
	char when[32];

	snprintf(when, sizeof when, "2026-08-22T10:%02d:00Z", at % 60);
	jval_set_str(condition, "type", type);
	jval_set_str(condition, "status", state);
	jval_set_str(condition, "lastTransitionTime", when);
	if (*reason) {
		jval_set_str(condition, "reason", "RevisionFailed");
		jval_set_str(condition, "message", reason);
	}
	json_array_append_new(list, condition);
}

static void sim_model_status(json_t *status, const char *move, const char *target,
			     const char *failure)
{
	json_t *model = json_object(), *states = json_object(), *info;

	jval_set_str(model, "transitionStatus", move);
	jval_set_str(states, "activeModelState", "Loaded");
	jval_set_str(states, "targetModelState", target);
	jval_set(model, "states", states);
	if (*failure) {
		info = json_object();
		jval_set_str(info, "reason", "ModelLoadFailed");
		jval_set_str(info, "message", failure);
		jval_set(model, "lastFailureInfo", info);
	}
	jval_set(status, "modelStatus", model);
}

static void sim_conditions(json_t *status, const char *state, const char *failure, int at)
{
	json_t *list = json_array();

	sim_condition(list, "LatestDeploymentReady", state, failure, at);
	sim_condition(list, "PredictorReady", state, failure, at);
	sim_condition(list, "Ready", state, failure, at);
	jval_set(status, "conditions", list);
}

/* --- Knative mode --- */

static char *sim_template(const json_t *object)
{
	AUTO_JSON json_t *parts = json_object();
	json_t *predictor = json_deep_copy(jval_at(object, "spec.predictor"));

	json_object_del(predictor, "canaryTrafficPercent");
	jval_set(parts, "predictor", predictor);
	if (jval_at(object, "metadata.annotations"))
		jval_set(parts, "annotations",
			 json_incref(jval_at(object, "metadata.annotations")));
	return jval_dump(parts);
}

static const char *sim_name(const struct sim_service *service, int number, char out[100])
{
	snprintf(out, 100, "%s-predictor-%05d", jval_str(service->object, "metadata.name", ""),
		 number);
	return number ? out : "";
}

static int sim_number(const char *revision)
{
	const char *dash = strrchr(revision, '-');

	return dash ? atoi(dash + 1) : 0;
}

static json_t *sim_component(json_t *object)
{
	json_t *status = json_object_get(object, "status");

	if (!json_object_get(status, "components"))
		jval_set(status, "components", json_object());
	if (!jval_at(status, "components.predictor"))
		jval_set(jval_at(status, "components"), "predictor", json_object());
	return jval_at(status, "components.predictor");
}

/* The Knative Service as KServe writes it, from the status that KServe knows now. */
static void sim_write_ksvc(struct sim_service *service)
{
	const json_t *component = sim_component(service->object);
	int percent = (int)jval_int(service->object, "spec.predictor.canaryTrafficPercent", -1);
	const char *rolledout = jval_str(component, "latestRolledoutRevision", "");

	mem_free(service->wanted_template);
	service->wanted_template = sim_template(service->object);
	service->spec_percent = *rolledout && percent >= 0 ? percent : 100;
	service->spec_fixed = service->spec_percent < 100 ? sim_number(rolledout) : 0;
}

static json_t *sim_target(const struct sim_service *service, int number, int percent, bool latest)
{
	json_t *target = json_object();
	char name[100], url[200];

	jval_set_str(target, "revisionName", sim_name(service, number, name));
	jval_set_int(target, "percent", percent);
	jval_set_bool(target, "latestRevision", latest);
	jval_set_str(target, "tag", latest ? "latest" : "prev");
	snprintf(url, sizeof url, "http://%s-%s-predictor.ml-prod.example.com",
		 latest ? "latest" : "prev", jval_str(service->object, "metadata.name", ""));
	jval_set_str(target, "url", url);
	return target;
}

static json_t *sim_traffic(const struct sim_service *service)
{
	json_t *traffic = json_array();

	if (!service->ready)
		return traffic;
	json_array_append_new(traffic,
			      sim_target(service, service->ready, service->latest_percent, true));
	if (service->fixed)
		json_array_append_new(traffic, sim_target(service, service->fixed,
							  100 - service->latest_percent, false));
	return traffic;
}

/* PropagateStatus of inference_service_status.go. */
static void sim_rolledout(json_t *component, const struct sim_service *service)
{
	const char *rolledout = jval_str(component, "latestRolledoutRevision", "");
	const char *previous = jval_str(component, "previousRolledoutRevision", "");
	AUTO_FREE char *before = str_dup(rolledout);
	char latest[100];
	int share = service->latest_percent;

	if (!service->ready)
		return;
	sim_name(service, service->ready, latest);
	if (service->fixed == service->ready)
		share = 100;
	if (!str_eq(rolledout, latest)) {
		if (service->latest_percent == 100) {
			if (*before)
				jval_set_str(component, "previousRolledoutRevision", before);
			jval_set_str(component, "latestRolledoutRevision", latest);
		}
	} else if (service->ready == service->created && service->latest_percent < 100 &&
		   share == 100 && *previous) {
		AUTO_FREE char *copy = str_dup(previous);

		jval_set_str(component, "latestRolledoutRevision", copy);
	}
}

static void sim_status(struct sim *sim, struct sim_service *service)
{
	json_t *status = json_object_get(service->object, "status");
	json_t *component = sim_component(service->object);
	const char *uri = service->created ? service->revisions[service->created].uri : "";
	bool failed = sim->broken_uri && str_eq(uri, sim->broken_uri);
	char name[100], failure[200];

	jval_set(component, "traffic", sim_traffic(service));
	jval_set_str(component, "latestCreatedRevision", sim_name(service, service->created, name));
	jval_set_str(component, "latestReadyRevision", sim_name(service, service->ready, name));
	sim_rolledout(component, service);
	snprintf(failure, sizeof failure, "Revision \"%s\" failed with message: no model.",
		 sim_name(service, service->created, name));
	if (failed) {
		sim_conditions(status, "False", failure, service->created);
		sim_model_status(status, "BlockedByFailedLoad", "FailedToLoad", "No model found");
	} else if (service->ready != service->created) {
		sim_conditions(status, "Unknown", "", service->created);
		sim_model_status(status, "InProgress", "Loading", "");
	} else {
		sim_conditions(status, "True", "", service->created);
		sim_model_status(status, "UpToDate", "Loaded", "");
	}
	sim_touch(sim, service->object);
}

static void sim_knative_kserve(struct sim *sim, struct sim_service *service)
{
	sim_write_ksvc(service);
	if (service->created)
		sim_status(sim, service);
}

/* Knative: a revision for a new template, ready in the pass after. The route follows only when the
 * configuration has its revision, else a split could point twice at the old one. */
static void sim_knative_knative(struct sim *sim, struct sim_service *service)
{
	struct sim_revision *last = &service->revisions[service->created];

	if (!service->wanted_template)
		return;
	if (!service->created || !str_eq(last->template, service->wanted_template)) {
		last = &service->revisions[++service->created];
		assert_true(service->created < SIM_REVISIONS_MAX);
		last->template = str_dup(service->wanted_template);
		last->uri =
			str_dup(jval_str(service->object, "spec.predictor.model.storageUri", ""));
	} else if (!sim->broken_uri || !str_eq(last->uri, sim->broken_uri)) {
		service->ready = service->created;
	}
	service->latest_percent = service->spec_percent;
	service->fixed = service->spec_fixed;
}

/* --- Standard mode --- */

static void sim_canary_status(struct sim_service *service, const json_t *entry, bool failed)
{
	json_t *status = json_object_get(service->object, "status");
	json_t *list = json_array(), *item = json_object();

	jval_set_str(item, "name", jval_str(entry, "predictor.name", ""));
	jval_set_bool(item, "ready", !failed && service->canary_age > 1);
	jval_set_int(item, "trafficPercent", jval_int(entry, "trafficPercent", 0));
	sim_model_status(item,
			 failed			   ? "BlockedByFailedLoad"
			 : service->canary_age > 1 ? "UpToDate"
						   : "InProgress",
			 failed ? "FailedToLoad" : "Loaded", failed ? "No model found" : "");
	json_array_append_new(list, item);
	jval_set(status, "canaryStatuses", list);
}

static void sim_standard_canary(struct sim *sim, struct sim_service *service)
{
	json_t *entry = json_array_get(jval_at(service->object, "spec.canary"), 0);
	json_t *predictor = jval_at(entry, "predictor");
	AUTO_FREE char *now = predictor ? jval_dump(predictor) : NULL;
	const char *uri = jval_str(predictor, "model.storageUri", "");

	if (!entry) {
		json_object_del(json_object_get(service->object, "status"), "canaryStatuses");
		mem_free(service->canary);
		service->canary = NULL;
		return;
	}
	if (!str_eq(now, service->canary)) {
		mem_free(service->canary);
		service->canary = take(now);
		service->canary_age = 0;
	}
	service->canary_age++;
	sim_canary_status(service, entry, sim->broken_uri && str_eq(uri, sim->broken_uri));
}

static void sim_standard(struct sim *sim, struct sim_service *service)
{
	json_t *status = json_object_get(service->object, "status");
	AUTO_FREE char *now = sim_template(service->object);
	const char *uri = jval_str(service->object, "spec.predictor.model.storageUri", "");
	bool failed = sim->broken_uri && str_eq(uri, sim->broken_uri);

	if (!str_eq(now, service->stable)) {
		mem_free(service->stable);
		service->stable = take(now);
		service->stable_age = 0;
		service->generation++;
	}
	if (++service->stable_age > 1 && !failed) {
		mem_free(service->stable_uri);
		service->stable_uri = str_dup(uri);
	}
	sim_component(service->object);
	jval_set_int(status, "observedGeneration", service->generation);
	sim_conditions(status,
		       failed			 ? "False"
		       : service->stable_age > 1 ? "True"
						 : "Unknown",
		       failed ? "no model" : "",
		       2 * service->generation + (service->stable_age > 1));
	sim_model_status(status,
			 failed			   ? "BlockedByFailedLoad"
			 : service->stable_age > 1 ? "UpToDate"
						   : "InProgress",
			 failed ? "FailedToLoad" : "Loaded", failed ? "No model found" : "");
	sim_standard_canary(sim, service);
	sim_touch(sim, service->object);
}

/* --- what a test does --- */

/* One pass of one controller over both services. */
static void sim_pass(struct sim *sim, int number)
{
	struct sim_service *services[] = {&sim->live, &sim->second};

	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		if (!services[i]->object)
			continue;
		if (!sim->knative)
			sim_standard(sim, services[i]);
		else if (number % 2)
			sim_knative_knative(sim, services[i]);
		else
			sim_knative_kserve(sim, services[i]);
	}
}

static void sim_settle(struct sim *sim)
{
	for (int i = 0; i < 12; i++)
		sim_pass(sim, i);
}

/* Percent of requests to the name that this model answers; -1: nothing answers. */
static int sim_serves(const struct sim *sim, const char *uri)
{
	const struct sim_service *live = &sim->live;
	int share = 0;

	if (!live->object)
		return -1;
	if (!sim->knative) {
		const json_t *entry = json_array_get(jval_at(live->object, "spec.canary"), 0);
		int percent = live->canary_age > 1 ? (int)jval_int(entry, "trafficPercent", 0) : 0;

		share += str_eq(jval_str(entry, "predictor.model.storageUri", ""), uri) ? percent
											: 0;
		share += str_eq(live->stable_uri, uri) ? 100 - percent : 0;
		return live->stable_uri ? share : -1;
	}
	if (!live->ready)
		return -1;
	share += str_eq(live->revisions[live->ready].uri, uri) ? live->latest_percent : 0;
	if (live->fixed)
		share += str_eq(live->revisions[live->fixed].uri, uri) ? 100 - live->latest_percent
								       : 0;
	return share;
}

static void sim_end(struct sim *sim)
{
	sim_forget(&sim->live);
	sim_forget(&sim->second);
}

#endif
