/* isvc_before.c - which way a rollout goes, and what it must remember of the time before it.
 *
 * The way is chosen once, from what the cluster says of the object as it is (its mode cannot change
 * after creation), and stays the same whatever happens later. A second canary on top of one that
 * carries traffic would take that traffic away from its model, so it is refused here, before
 * anything is touched; what a job that has ended left at 0 % may be replaced. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc_impl.h"

static const struct {
	enum isvc_way way;
	const char *name, *why;
} ways[] = {
	{ISVC_WAY_NONE, "none", "This model is live already, nothing is to be done."},
	{ISVC_WAY_FIRST, "first",
	 "Nothing serves under this name yet, so the first version gets all traffic as soon as it "
	 "is "
	 "ready."},
	{ISVC_WAY_KNATIVE, "knative",
	 "The new model is tried at 0 % beside the old one, then traffic is moved step by step."},
	{ISVC_WAY_STANDARD_CANARY, "standard_canary",
	 "The new model is tried at 0 % as a canary of the service, then takes its place."},
	{ISVC_WAY_SECOND, "second",
	 "The new model is tried in a second service, then takes its place in one step: here "
	 "KServe "
	 "cannot split traffic, or nothing serves yet."},
};

const char *isvc_way_name(enum isvc_way way)
{
	return ways[way].name;
}

bool isvc_way_splits(enum isvc_way way)
{
	return way == ISVC_WAY_KNATIVE || way == ISVC_WAY_STANDARD_CANARY;
}

/* --- which way --- */

/* All traffic is on what the spec says. */
static bool spec_is_live(const struct isvc_state *state)
{
	if (!isvc_is_knative(state))
		return !state->canary;
	return *state->rolledout && str_eq(state->rolledout, state->created) &&
	       str_eq(state->ready_revision, state->created) &&
	       isvc_share(state, state->created) == 100 &&
	       (state->percent < 0 || state->percent == 100 || !*state->previous);
}

static bool is_standard(const char *mode)
{
	return str_eq(mode, "Standard") || str_eq(mode, "RawDeployment");
}

static bool same_part(const json_t *live, const json_t *wanted, const char *path)
{
	const json_t *a = jval_at(live, path), *b = jval_at(wanted, path);

	return a && b ? json_equal(a, b) : !a && !b;
}

/* True when the metadata of the wanted object would change that of the live one: with spec.canary
 * that would restart the pods which serve. */
static bool changes_metadata(const json_t *live, const json_t *wanted)
{
	AUTO_JSON json_t *stripped = json_deep_copy(live);

	jval_set(stripped, "spec", json_deep_copy(jval_at(wanted, "spec")));
	return !isvc_is_same(stripped, wanted);
}

static bool takes_spec_canary(const json_t *live, const struct isvc_state *state,
			      const json_t *wanted)
{
	return is_standard(state->mode) && isvc_annotation(live, ISVC_MODE) &&
	       jval_at(wanted, "spec.predictor.model") &&
	       !str_eq(state->storage_uri, isvc_storage_uri(jval_at(wanted, "spec.predictor"))) &&
	       jval_int(live, "spec.predictor.minReplicas", 1) > 0 &&
	       !changes_metadata(live, wanted);
}

/* A first version gets all traffic from KServe, whatever the object says, so it is tried under
 * another name, if there is room for that. */
static enum isvc_way choose_first(const json_t *wanted, const struct isvc_rules *rules)
{
	bool fits = isvc_second_fits(jval_str(wanted, "metadata.name", ""));

	return rules->test_first && fits ? ISVC_WAY_SECOND : ISVC_WAY_FIRST;
}

static enum isvc_way choose(const json_t *live, const json_t *wanted,
			    const struct isvc_rules *rules)
{
	struct isvc_state state;

	if (!live)
		return choose_first(wanted, rules);
	isvc_read(&state, live);
	if (isvc_is_same(live, wanted) && spec_is_live(&state) && state.ready == ISVC_READY)
		return ISVC_WAY_NONE;
	if (isvc_is_knative(&state) && !*state.rolledout)
		return choose_first(wanted, rules);
	/* A chain of components can only be tried whole. */
	if (jval_at(wanted, "spec.transformer") || jval_at(live, "spec.transformer") ||
	    !same_part(live, wanted, "spec.explainer"))
		return ISVC_WAY_SECOND;
	if (isvc_is_knative(&state))
		return ISVC_WAY_KNATIVE;
	/* The predictor of a canary is reached from inside the cluster only. */
	return rules->crd_has_canary && !rules->second_public &&
			       takes_spec_canary(live, &state, wanted)
		       ? ISVC_WAY_STANDARD_CANARY
		       : ISVC_WAY_SECOND;
}

enum isvc_way isvc_way(const json_t *live, const json_t *wanted, const struct isvc_rules *rules,
		       const char **why)
{
	enum isvc_way way = choose(live, wanted, rules);

	*why = ways[way].why;
	return way;
}

/* --- canaries that are open --- */

/* Of a deployment that is open the caller knows more and says so in place of this. A job that is
 * gone without having put things back, or one elsewhere, is out of reach of our commands. */
static enum err_class refuse_open(const char *service, const char *job, const char *what,
				  struct err *err)
{
	if (job)
		return err_code(
			err, ERR_USER, "deploy.canary_open",
			"%.63s %s, made by job %.40s, of which no deployment is open here: when "
			"that job has ended, bring it to its end or take it out by hand.",
			service, what, job);
	return err_code(
		err, ERR_USER, "deploy.canary_open",
		"%.63s %s that kfops did not make: bring it to its end or take it out first.",
		service, what);
}

/* May be replaced: it is this job's own, or an ended job left it. */
static bool is_left(const char *job, const char *ours, const struct isvc_rules *rules)
{
	return job && (str_eq(job, ours) || rules->other_over);
}

static enum err_class check_knative(const json_t *live, const struct isvc_state *state,
				    const char *ours, const struct isvc_rules *rules,
				    struct err *err)
{
	AUTO_BUF struct buf failure = buf_make(2048);
	bool failed;

	if (!*state->rolledout)
		return ERR_OK;
	if (state->percent > 0 && state->percent < 100)
		return refuse_open(state->name, state->marks.job, "has a canary with traffic", err);
	if (state->percent == 0 && str_eq(state->rolledout, state->created) && *state->previous)
		return err_code(err, ERR_USER, "deploy.canary_open",
				"%.63s is being rolled back at the moment: try again in a minute.",
				state->name);
	if (str_eq(state->rolledout, state->created) || is_left(state->marks.job, ours, rules))
		return ERR_OK;
	if (state->percent == 0)
		return refuse_open(state->name, state->marks.job, "has a canary at 0 %", err);
	isvc_failure(&failure, live, state->created);
	failed = failure.len > 0;
	return failed ? ERR_OK
		      : refuse_open(state->name, state->marks.job, "is rolling out a version", err);
}

static enum err_class check_standard(const struct isvc_state *state, const char *ours,
				     const struct isvc_rules *rules, struct err *err)
{
	struct isvc_marks marks = {0};

	if (!state->canary)
		return ERR_OK;
	isvc_marks_read(&marks, jval_at(state->canary, "predictor.annotations"));
	if (jval_int(state->canary, "trafficPercent", 0) > 0)
		return refuse_open(state->name, marks.job, "has a canary with traffic", err);
	return is_left(marks.job, ours, rules)
		       ? ERR_OK
		       : refuse_open(state->name, marks.job, "has a canary at 0 %", err);
}

static enum err_class check_second(const json_t *second, const char *ours,
				   const struct isvc_rules *rules, struct err *err)
{
	struct isvc_state state;

	if (!second)
		return ERR_OK;
	isvc_read(&state, second);
	if (is_left(state.marks.job, ours, rules))
		return ERR_OK;
	if (state.marks.job)
		return refuse_open(state.name, state.marks.job, "is there, a service", err);
	return err_code(err, ERR_USER, "deploy.canary_open",
			"%.63s is there, a service that kfops did not make, and a new model is "
			"tried under that name: give it another one, or delete it "
			"(`kubectl delete inferenceservice %.63s -n %.63s`).",
			state.name, state.name, state.ns);
}

static enum err_class check_live(const json_t *live, const json_t *wanted, enum isvc_way way,
				 const struct isvc_rules *rules, struct err *err)
{
	const char *ours = isvc_annotation(wanted, ISVC_MARK "job");
	enum err_class class;
	struct isvc_state state;

	isvc_read(&state, live);
	if (state.deleting)
		return err_code(err, ERR_USER, "deploy.deleting", "%.63s is being deleted.",
				state.name);
	if (state.stopped)
		return err_code(err, ERR_USER, "deploy.stopped",
				"%.63s has been stopped (annotation %s): take the annotation out "
				"first.",
				state.name, ISVC_STOP);
	class = isvc_is_knative(&state) ? check_knative(live, &state, ours, rules, err)
					: check_standard(&state, ours, rules, err);
	if (class || way != ISVC_WAY_SECOND || spec_is_live(&state))
		return class;
	if (!isvc_is_knative(&state) || !*state.rolledout)
		return ERR_OK;
	return err_code(err, ERR_USER, "deploy.canary_open",
			"%.63s runs an older model than its spec says, and this deployment changes "
			"more than the predictor, which could not be undone from there: deploy a "
			"model alone first.",
			state.name);
}

/* --- what to remember --- */

/* For each label or annotation that the rollout writes: what is there now, or null. */
static json_t *old_values(const json_t *live, const json_t *wanted, const char *part)
{
	const json_t *theirs = jval_at(jval_at(live, "metadata"), part), *value;
	json_t *out = json_object();
	const char *key;

	json_object_foreach(jval_at(jval_at(wanted, "metadata"), part), key, value)
	{
		json_t *old = json_object_get(theirs, key);

		jval_set(out, key, old ? json_incref(old) : json_null());
	}
	return out;
}

static void remember_spec(json_t *out, const json_t *live, const json_t *wanted,
			  const struct isvc_state *state)
{
	json_t *spec = json_deep_copy(jval_at(live, "spec"));

	if (!spec)
		return;
	if (spec_is_live(state) || !isvc_is_knative(state)) {
		(void)json_object_del(spec, "canary");
		(void)json_object_del(json_object_get(spec, "predictor"), "canaryTrafficPercent");
		jval_set(out, "spec", spec);
	} else {
		json_decref(spec);
	}
	jval_set(out, "annotations", old_values(live, wanted, "annotations"));
	jval_set(out, "labels", old_values(live, wanted, "labels"));
}

static void remember_live(json_t *out, const json_t *live, const json_t *wanted)
{
	AUTO_BUF struct buf failure = buf_make(4096), stamp = buf_make(1024);
	struct isvc_marks canary = {0};
	struct isvc_state state;
	bool ours;

	isvc_read(&state, live);
	/* Begun by this very job, which has lost its memory: what came before is what serves. */
	ours = str_eq(state.marks.job, isvc_annotation(wanted, ISVC_MARK "job"));
	isvc_marks_read(&canary, jval_at(state.canary, "predictor.annotations"));
	if (!ours)
		isvc_failure(&failure, live, state.created);
	isvc_stamp(&stamp, live);
	jval_set_str(out, "uid", state.uid);
	jval_set_int(out, "generation", state.generation);
	jval_set_str(out, "job", state.marks.job ? state.marks.job : "");
	jval_set_str(out, "run", state.marks.run ? state.marks.run : "");
	jval_set_str(out, "sha", state.marks.sha ? state.marks.sha : "");
	jval_set_str(out, "storage_uri", state.storage_uri);
	jval_set_str(out, "created", ours ? state.rolledout : state.created);
	jval_set_str(out, "rolledout", state.rolledout);
	jval_set_str(out, "canary_job", canary.job ? canary.job : "");
	jval_set_str(out, "failure", buf_text(&failure));
	jval_set_str(out, "stamp", buf_text(&stamp));
	remember_spec(out, live, wanted, &state);
}

enum err_class isvc_before(json_t **out, const json_t *live, const json_t *second,
			   const json_t *wanted, const struct isvc_rules *rules, struct err *err)
{
	enum isvc_way way = choose(live, wanted, rules);
	enum err_class class = live ? check_live(live, wanted, way, rules, err) : ERR_OK;

	*out = NULL;
	if (!class && way == ISVC_WAY_SECOND)
		class = check_second(second, isvc_annotation(wanted, ISVC_MARK "job"), rules, err);
	if (class)
		return class;
	*out = json_object();
	jval_set_str(*out, "way", isvc_way_name(way));
	jval_set_bool(*out, "existed", live != NULL);
	jval_set_bool(*out, "second_public", rules->second_public);
	if (way == ISVC_WAY_SECOND && second)
		jval_set_str(*out, "second_uid", jval_str(second, "metadata.uid", ""));
	if (live)
		remember_live(*out, live, wanted);
	return ERR_OK;
}

bool isvc_is_gone(const json_t *before, const json_t *live)
{
	return jval_bool(before, "existed", false) &&
	       !str_eq(jval_str(before, "uid", ""), jval_str(live, "metadata.uid", "-"));
}
