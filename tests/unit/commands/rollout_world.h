/* rollout_world.h - what traces of rollouts are played in: a small KServe that really takes what is
 * sent, and the deployments that it begins with. What happened is compared with
 * tests/golden/rollouts/<name of the case>.txt, whose last line is what serves in the end.
 * KFOPS_GOLDEN_WRITE=1 rewrites the files; read the difference before you commit it. Include once
 * per test program. */
#ifndef KF_TESTS_ROLLOUT_WORLD_H
#define KF_TESTS_ROLLOUT_WORLD_H

#include "tests/unit/commands/trace_kit.h"

#include "lib/commands/rollout.h"
#include "tests/unit/core/isvc_sim.h"

static const char old_uri[] = "s3://models/run-1/", new_uri[] = "s3://models/run-2/";

enum {
	NOTHING_SERVES,
	OLD_SERVES,
	OLD_SERVES_STANDARD,
	NEW_IS_BROKEN, /* KServe says that it cannot be loaded */
	NEW_IS_SLOW,   /* KServe says nothing */
	NEW_SERVES,    /* by a deployment that a rollback can undo */
	NEW_SERVES_OLD_IS_GONE,
	NEW_IS_OPEN,	  /* with 10 % of the traffic */
	NEW_WAITS,	  /* open, too, in a second service */
	FIRST_IS_OPEN,	  /* over a service that was not deployed by us */
	BACK_AT_OLD,	  /* NEW_SERVES, and a rollback of it; before that there was another */
	SOMEBODYS_SERVES, /* NEW_SERVES, and then somebody's mark */
	TURNS_UNREADY,	  /* OLD_SERVES, and the new one is not ready when it is held */
	CHANGED_WHILE_HELD,
	WAITED_IS_GONE,	   /* NEW_WAITS, and somebody deleted the service */
	NEW_SERVES_NO_MORE /* NEW_SERVES, and somebody deleted the service */
};

static const char deployed_by[] = "01JBBBBBBBBBBBBBBBBBBBBBBB";

static struct sim sim;
static int passes;

/* --- the far side --- */

static inline json_t *object_of(const char *uri, const char *by)
{
	AUTO_JSON json_t *template =
		json_pack("{s:s,s:s,s:{s:{s:i,s:{s:{s:s}}}}}", "apiVersion",
			  "serving.kserve.io/v1beta1", "kind", "InferenceService", "spec",
			  "predictor", "minReplicas", 1, "model", "modelFormat", "name", "sklearn");
	const json_t *documents[] = {template};
	struct isvc_wish wish = {"iris", "ml-prod", uri, {by, NULL, "run", "sha", "o/r"}};
	json_t *object = NULL;
	struct err err = {0};

	assert_int_equal(isvc_build(&object, documents, 1, &wish, &err), ERR_OK);
	if (!sim.knative)
		jval_set_str(jval_at(object, "metadata.annotations"),
			     "serving.kserve.io/deploymentMode", "Standard");
	return object;
}

/* The deployment that a rollback undoes or a promotion brings further, made by the planner itself.
 */
static struct {
	json_t *wanted, *before;
	bool is_open;
} undone;

/* The record of what serves, where that is of a rollout of ours. */
static inline void add_served(json_t *data, int start)
{
	bool is_new = start == NEW_SERVES;

	if (is_new || start == OLD_SERVES)
		jval_set(data, "served",
			 json_pack("{s:i,s:i,s:i,s:s,s:i,s:s}", "id", is_new ? 2 : 1, "job",
				   is_new ? 33 : 22, "pr", is_new ? 7 : 5, "sha",
				   "1111111a1b2c3d4e5f60718293a4b5c6d7e8f901", "remote_id", 8,
				   "storage_uri", is_new ? new_uri : old_uri));
}

static inline json_t *before_of(const json_t *args, int start, struct err *err)
{
	const json_t *wanted = json_object_get(args, "wanted");
	struct isvc_rules rules = {.other_over = true,
				   .test_first = jval_bool(args, "try_first", false)};
	json_t *data = json_object(), *before = NULL;

	if (isvc_before(&before, sim.live.object, sim.second.object, wanted, &rules, err))
		return data;
	jval_set(data, "before", before);
	jval_set(data, "wanted", json_deep_copy(wanted));
	add_served(data, start);
	if (undone.is_open && isvc_is_gone(undone.before, sim.live.object))
		jval_set(data, "gone",
			 json_pack("{s:i,s:i,s:i,s:s,s:O}", "id", 2, "job", 33, "remote_id", 9,
				   "uid", deployed_by, "before", undone.before));
	return data;
}

static inline json_t *look(void)
{
	json_t *data = json_object();

	jval_set_bool(data, "seen", true);
	if (sim.live.object)
		jval_set(data, "live", json_deep_copy(sim.live.object));
	if (sim.second.object)
		jval_set(data, "second", json_deep_copy(sim.second.object));
	return data;
}

/* What a look at a held model brings; what the script says of pods and sample goes before. */
static inline json_t *watched(const struct player *player, const struct effect *effect)
{
	json_t *data = look(), *ready;
	int start = player->script->start;
	size_t i;

	if (start == CHANGED_WHILE_HELD && jval_at(effect->args, "sample"))
		jval_set_int(jval_at(data, "live.spec.predictor"), "canaryTrafficPercent", 40);
	json_array_foreach(jval_at(data, "live.status.conditions"), i,
			   ready) if (start == TURNS_UNREADY && jval_at(effect->args, "sample"))
		jval_set_str(ready, "status", "False");
	jval_set_int(data, "restarts", 0);
	if (jval_at(effect->args, "sample"))
		jval_set(data, "sample", json_pack("{s:b,s:i}", "good", 1, "took_ms", 80));
	return data;
}

static inline void take_move(const json_t *args)
{
	static const char *const verbs[] = {"create", "patch", "delete"};
	struct isvc_request request = {.body = json_object_get(args, "body")};

	str_copy(request.name, sizeof request.name, jval_str(args, "name", ""));
	while (!str_eq(verbs[request.verb], jval_str(args, "verb", "")))
		request.verb++;
	sim_send(&sim, &request);
}

static const char first_deployed_by[] = "01JAAAAAAAAAAAAAAAAAAAAAAA";

static inline bool is_open_at(int start)
{
	return start == NEW_IS_OPEN || start == NEW_WAITS || start == FIRST_IS_OPEN ||
	       start == WAITED_IS_GONE;
}

static inline json_t *new_deployment(int start)
{
	return json_pack(
		"{s:i,s:s,s:i,s:s,s:i,s:s,s:i,s:s,s:s,s:s,s:s,s:s,s:i,s:O,s:O,s:{s:b,s:b,s:s,s:"
		"[{s:[i]}]}}",
		"id", 2, "uid", deployed_by, "pr", 7, "sha", sha, "remote_id", 9, "state",
		is_open_at(start) ? "open" : "live", "job", 33, "run_id", "r2", "namespace",
		"ml-prod", "service", "iris", "storage_uri", new_uri, "model_digest", "d2",
		"percent",
		start == NEW_WAITS || start == WAITED_IS_GONE ? 0
		: is_open_at(start)			      ? 10
							      : 100,
		"before", undone.before, "template", undone.wanted, "plan", "merges", 1,
		"delete_branch", 1, "method", "squash", "samples", "instances", 1);
}

static inline json_t *old_deployment(const char *state)
{
	return json_pack(
		"{s:i,s:s,s:i,s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:s,s:i,s:o,s:{},s:{s:[{s:[i]}]}}", "id",
		1, "uid", first_deployed_by, "pr", 5, "sha",
		"1111111a1b2c3d4e5f60718293a4b5c6d7e8f901", "environment", "production", "state",
		state, "remote_id", 8, "namespace", "ml-prod", "service", "iris", "storage_uri",
		old_uri, "model_digest", "d1", "percent", 100, "template",
		object_of(old_uri, first_deployed_by), "before", "plan", "samples", "instances", 1);
}

/* A rollback from the new one to the old one has been; the one before is of the same model as the
 * new one, so that the two traffics are told apart. */
static inline json_t *found_after_a_rollback(void)
{
	json_t *older = new_deployment(NEW_SERVES);

	jval_set_int(older, "id", 0);
	jval_set_str(older, "state", "replaced");
	jval_set_str(older, "uid", "01J99999999999999999999999");
	return json_pack("{s:o,s:o,s:i}", "live", old_deployment("live"), "before", older, "marked",
			 5);
}

static inline json_t *deployments_found(const struct effect *effect, int start)
{
	json_t *found = json_object();
	bool named = jval_int(effect->args, "to", 0) != 0;

	if (start == BACK_AT_OLD) {
		json_decref(found);
		return found_after_a_rollback();
	}
	jval_set(found, is_open_at(start) ? "open" : "live", new_deployment(start));
	if (start == NEW_IS_OPEN || start == NEW_WAITS || start == WAITED_IS_GONE)
		jval_set(found, "live", old_deployment("live"));
	if (start != FIRST_IS_OPEN)
		jval_set(found, named ? "named" : "before", old_deployment("replaced"));
	jval_set_int(found, "marked", 0);
	return found;
}

static inline json_t *service_made(const struct player *player)
{
	const struct answer *script = &player->script->answers[player->next_answer - 1];
	json_t *made = json_pack("{s:o,s:{s:b}}", "wanted", object_of(new_uri, player->job.uid),
				 "fits", "fits", 1);

	if (!str_eq(script->code, "no sample"))
		jval_set(made, "samples", json_pack("[{s:[i]}]", "instances", 1));
	return made;
}

static inline bool cluster_answers(struct player *player, const struct effect *effect)
{
	AUTO_JSON json_t *scripted = player->result.data; /* of a look at a held model */
	json_t *data = NULL;

	if (effect->kind == EFFECT_SERVICE_MAKE)
		data = service_made(player);
	else if (effect->kind == EFFECT_SERVICE_BEFORE)
		data = before_of(effect->args, player->script->start, &player->result.err);
	else if (effect->kind == EFFECT_SERVICE_LOOK)
		data = look();
	else if (effect->kind == EFFECT_WATCH)
		data = watched(player, effect);
	else if (effect->kind == EFFECT_MODEL_LOOK)
		data = json_pack("{s:s}", "digest",
				 str_eq(jval_str(effect->args, "uri", ""), old_uri) ? "d1" : "d2");
	else if (effect->kind == EFFECT_SERVICE_TRY)
		data = json_object();
	else if (effect->kind == EFFECT_DEPLOYMENTS_FIND)
		data = deployments_found(effect, player->script->start);
	else if (effect->kind == EFFECT_DEPLOYMENT_STATUS &&
		 str_eq(jval_str(effect->args, "state", ""), "inactive"))
		data = json_object(); /* of the one before */
	if (effect->kind == EFFECT_SERVICE_SEND) {
		take_move(effect->args);
		data = json_object();
	}
	if (scripted)
		json_object_update(data, scripted);
	player->result.data = data;
	return data != NULL;
}

static inline bool is_stuck(const struct player *player)
{
	return player->script->start == NEW_SERVES_OLD_IS_GONE ||
	       (player->script->start == NEW_IS_SLOW &&
		!json_object_get(player->job.data, "failed"));
}

/* The controllers are faster than the next look, but not at once. */
static inline void controllers_work(struct player *player)
{
	for (int i = 0; i < 3 && !is_stuck(player); i++)
		sim_pass(&sim, passes++);
}

static inline void drive(enum isvc_phase phase, int percent)
{
	struct isvc_goal goal = {undone.wanted, undone.before, deployed_by, phase, percent};
	struct isvc_move move = {.kind = ISVC_WAIT};

	for (int looks = 0; looks < 50 && move.kind != ISVC_DONE; looks++) {
		struct isvc_look seen = {sim.live.object, sim.second.object};

		isvc_move_dispose(&move);
		isvc_plan(&goal, &seen, &move);
		isvc_note(undone.before, move.note);
		if (move.kind == ISVC_SEND)
			sim_send(&sim, &move.request);
		sim_settle(&sim);
	}
	assert_int_equal(move.kind, ISVC_DONE);
	isvc_move_dispose(&move);
}

static inline void deploy_new(int percent)
{
	struct isvc_rules rules = {.other_over = true};
	struct err err = {0};

	undone.is_open = percent < 100;
	undone.wanted = object_of(new_uri, deployed_by);
	assert_int_equal(
		isvc_before(&undone.before, sim.live.object, NULL, undone.wanted, &rules, &err),
		ERR_OK);
	drive(ISVC_STAGE, 0);
	drive(ISVC_SHIFT, percent);
	drive(ISVC_CHECK, percent);
}

static inline void cluster_start(int start)
{
	sim = (struct sim){.knative = start != OLD_SERVES_STANDARD && start != NEW_WAITS &&
				      start != WAITED_IS_GONE};
	passes = 0;
	if (start == NEW_IS_BROKEN)
		sim.broken_uri = new_uri;
	if (start != NOTHING_SERVES) {
		AUTO_JSON json_t *old = object_of(old_uri, first_deployed_by);

		sim_create(&sim, &sim.live, old);
	}
	sim_settle(&sim);
	if ((start >= NEW_SERVES && start <= SOMEBODYS_SERVES) || start >= WAITED_IS_GONE)
		deploy_new(is_open_at(start) ? 10 : 100);
	if (start == BACK_AT_OLD)
		drive(ISVC_RESTORE, 0);
	if (start >= WAITED_IS_GONE)
		jval_drop(&sim.live.object);
	if (start == SOMEBODYS_SERVES)
		jval_set_str(jval_at(sim.live.object, "metadata.annotations"), "kfops.dev/job",
			     "somebody");
}

static inline void cluster_end(void)
{
	jval_drop(&undone.wanted);
	jval_drop(&undone.before);
	undone.is_open = false;
	sim_end(&sim);
}

/* --- playing --- */

/* "tests/golden/rollouts/deploy_from_comment_to_merge.txt" */
static inline char *golden_path(const char *name)
{
	const char *root = getenv("KFOPS_SOURCE_DIR");
	AUTO_FREE char *file = str_dup(name);

	for (char *c = file; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789", *c | 32))
			*c = '_';
	return str_printf("%s/tests/golden/rollouts/%s.txt", root ? root : ".", file);
}

static inline void compare(const char *name, const char *got)
{
	AUTO_FREE char *path = golden_path(name);
	FILE *file = fopen(path, getenv("KFOPS_GOLDEN_WRITE") ? "w" : "r");
	char want[1 << 15];
	size_t len;

	assert_non_null(file);
	if (getenv("KFOPS_GOLDEN_WRITE")) {
		fputs(got, file);
		fclose(file);
		return;
	}
	len = fread(want, 1, sizeof want - 1, file);
	want[len] = '\0';
	fclose(file);
	assert_string_equal(got, want);
}

static inline void tell_notes(struct player *player)
{
	json_t *notes = jval_at(player->job.data, "rollout.notes"), *note;
	size_t i;

	json_array_foreach(notes, i, note)
		buf_printf(&player->said, "noted: %s\n", json_string_value(note));
	if (jval_str(player->job.data, "failure.log", NULL))
		buf_printf(&player->said, "log: %s\n",
			   jval_str(player->job.data, "failure.log", ""));
	if (jval_str(player->job.data, "answer", NULL))
		buf_printf(&player->said, "--\n%s--\n", jval_str(player->job.data, "answer", ""));
}

/* What people are told to say is something that they can say. A word in capitals stands for a
 * value, and a command without its argument is only named. */
static inline void lines_are_commands(const char *said)
{
	for (const char *at = said; (at = strstr(at, "`/")); at++) {
		AUTO_FREE char *line = str_dup_len(at + 1, strcspn(at + 1, "`\n"));
		struct command_call call;
		struct err err = {0};

		if (strstr(line, "NUMBER") || strstr(line, "REASON") || str_eq(line, "/x"))
			continue;
		if (!command_parse(&call, &commands, line, &err))
			command_call_dispose(&call);
		else if (!str_eq(err.code, "command.missing") || strchr(line, ' '))
			fail_msg("`%s` is refused: %s", line, err.msg);
	}
}

static inline void play(void **state)
{
	const struct trace_case *script = *state;
	struct player player;

	player_start(&player, script);
	player.far_side = cluster_answers;
	player.time_passes = controllers_work;
	cluster_start(script->start);
	player_play(&player);
	if (!is_stuck(&player))
		sim_settle(&sim);
	tell_notes(&player);
	if (sim.live.object)
		buf_printf(&player.said, "serves: old %d %%, new %d %%\n",
			   sim_serves(&sim, old_uri), sim_serves(&sim, new_uri));
	lines_are_commands(buf_text(&player.said));
	compare(script->name, buf_text(&player.said));
	if (script->answers[player.next_answer].effect)
		fail_msg("nobody asked for %s", script->answers[player.next_answer].effect);
	cluster_end();
	player_end(&player);
}

#endif
