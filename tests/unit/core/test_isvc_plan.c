/* The planner against a small KServe: every way, every start, a crash between any two moves, a look
 * between any two passes of the controllers, and other people's hands in the middle. Always: the
 * wanted traffic in the end, and never a request to a model that was not tested. */
#include "tests/unit/core/isvc_sim.h"

static const char old_uri[] = "s3://models/run-1/";
static const char mid_uri[] = "s3://models/run-2/";
static const char new_uri[] = "s3://models/run-3/";
static const char job[] = "01JBBBBBBBBBBBBBBBBBBBBBBB";

/* --- a job, as a command would drive it --- */

struct drive {
	struct sim *sim;
	json_t *wanted, *before;
	const char *job, *uri;
	int passes;    /* of the controllers between two looks; 0: one after every second look */
	int crash_at;  /* the n-th move is lost: its note is not kept, its phase is asked again */
	bool send_too; /* ... but the request went out */
	int moves;
	bool is_tested;
	char code[ERR_CODE_MAX], why[600];
};

static json_t *template_of(const char *minimum)
{
	return json_pack("{s:s,s:s,s:{s:{s:i,s:{s:{s:s},s:{s:{s:s}}}}}}", "apiVersion",
			 "serving.kserve.io/v1beta1", "kind", "InferenceService", "spec",
			 "predictor", "minReplicas", 1, "model", "modelFormat", "name", "sklearn",
			 "resources", "requests", "cpu", minimum);
}

static json_t *wanted_of(const char *uri, const char *by, bool standard)
{
	AUTO_JSON json_t *template = template_of("100m");
	const json_t *documents[] = {template};
	struct isvc_wish wish = {"iris", "ml-prod", uri, {by, "7", "run", "sha", "o/r"}};
	json_t *wanted = NULL, *annotations;
	struct err err = {0};

	assert_int_equal(isvc_build(&wanted, documents, 1, &wish, &err), ERR_OK);
	annotations = jval_at(wanted, "metadata.annotations");
	if (standard)
		jval_set_str(annotations, "serving.kserve.io/deploymentMode", "Standard");
	return wanted;
}

static struct drive drive_make(struct sim *sim, const char *uri, const char *by)
{
	return (struct drive){.sim = sim,
			      .wanted = wanted_of(uri, by, !sim->knative),
			      .job = by,
			      .uri = uri,
			      .passes = 1};
}

static void drive_end(struct drive *drive)
{
	jval_drop(&drive->wanted);
	jval_drop(&drive->before);
}

static enum err_class drive_begin(struct drive *drive, const struct isvc_rules *rules)
{
	struct err err = {0};
	enum err_class class = isvc_before(&drive->before, drive->sim->live.object,
					   drive->sim->second.object, drive->wanted, rules, &err);

	str_copy(drive->code, sizeof drive->code, err.code);
	return class;
}

/* The model must not answer anybody before it was tested, unless nothing did before. */
static void check_untested(const struct drive *drive)
{
	bool first = str_eq(jval_str(drive->before, "way", ""), "first");

	if (!drive->is_tested && !first && !str_eq(jval_str(drive->before, "way", ""), "none"))
		assert_true(sim_serves(drive->sim, drive->uri) <= 0);
}

static enum isvc_move_kind drive_phase(struct drive *drive, enum isvc_phase phase, int percent)
{
	static int pass;

	for (int looks = 0; looks < 200; looks++) {
		struct isvc_goal goal = {drive->wanted, drive->before, drive->job, phase, percent};
		struct isvc_look look = {drive->sim->live.object, drive->sim->second.object};
		struct isvc_move move;
		bool lost = ++drive->moves == drive->crash_at;
		enum isvc_move_kind kind;

		isvc_plan(&goal, &look, &move);
		kind = move.kind;
		assert_true(move.why[0]);
		str_copy(drive->code, sizeof drive->code, move.code);
		str_copy(drive->why, sizeof drive->why, move.why);
		if (!lost || (drive->send_too && kind == ISVC_SEND))
			isvc_note(drive->before, move.note);
		/* What was tested goes only when it is in place, or when nobody is served. */
		if (kind == ISVC_SEND && phase == ISVC_SHIFT && move.request.verb == ISVC_DELETE &&
		    drive->sim->live.object)
			assert_int_equal(sim_serves(drive->sim, drive->uri), 100);
		if (kind == ISVC_SEND && (!lost || drive->send_too))
			sim_send(drive->sim, &move.request);
		isvc_move_dispose(&move);
		for (int i = 0; i < (drive->passes ? drive->passes : looks % 2); i++) {
			sim_pass(drive->sim, pass++);
			check_untested(drive);
		}
		if (!lost && (kind == ISVC_DONE || kind == ISVC_FAILED))
			return kind;
	}
	fail_msg("no end in phase %d: %s", phase, drive->why);
	return ISVC_WAIT;
}

static void drive_all(struct drive *drive)
{
	static const int steps[] = {10, 50, 100};

	assert_int_equal(drive_phase(drive, ISVC_STAGE, 0), ISVC_DONE);
	drive->is_tested = true;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		assert_int_equal(drive_phase(drive, ISVC_SHIFT, steps[i]), ISVC_DONE);
		if (str_eq(jval_str(drive->before, "way", ""), "knative"))
			assert_int_equal(sim_serves(drive->sim, drive->uri), steps[i]);
	}
	assert_int_equal(drive_phase(drive, ISVC_CHECK, 100), ISVC_DONE);
	assert_int_equal(sim_serves(drive->sim, drive->uri), 100);
	sim_settle(drive->sim);
	assert_int_equal(sim_serves(drive->sim, drive->uri), 100);
	assert_null(drive->sim->second.object);
}

/* --- starts --- */

static const struct isvc_rules plain = {.other_over = true};
static const struct isvc_rules with_canary = {.crd_has_canary = true, .other_over = true};
static const struct isvc_rules test_first = {.test_first = true, .other_over = true};

static void deploy(struct sim *sim, const char *uri)
{
	AUTO_FREE char *by = str_printf("01JA%022d", sim->sent);
	struct drive drive = drive_make(sim, uri, by);

	assert_int_equal(drive_begin(&drive, &plain), ERR_OK);
	drive_all(&drive);
	drive_end(&drive);
}

static void start_nothing(struct sim *sim)
{
	(void)sim;
}

static void start_one(struct sim *sim)
{
	deploy(sim, old_uri);
}

static void start_two(struct sim *sim)
{
	deploy(sim, mid_uri);
	deploy(sim, old_uri);
}

/* Promoted, then taken back: the spec is not what is live. */
static void start_rolled_back(struct sim *sim)
{
	struct drive drive = drive_make(sim, mid_uri, "01JCCCCCCCCCCCCCCCCCCCCCCC");

	deploy(sim, old_uri);
	assert_int_equal(drive_begin(&drive, &plain), ERR_OK);
	drive_all(&drive);
	assert_int_equal(drive_phase(&drive, ISVC_RESTORE, 0), ISVC_DONE);
	assert_int_equal(sim_serves(sim, old_uri), 100);
	drive_end(&drive);
}

/* A canary that never started was left at 0 %. */
static void start_failed(struct sim *sim)
{
	struct drive drive = drive_make(sim, mid_uri, "01JCCCCCCCCCCCCCCCCCCCCCCC");

	deploy(sim, old_uri);
	sim->broken_uri = mid_uri;
	assert_int_equal(drive_begin(&drive, &plain), ERR_OK);
	assert_int_equal(drive_phase(&drive, ISVC_STAGE, 0), ISVC_FAILED);
	assert_string_equal(drive.code, "deploy.model_failed");
	assert_int_equal(drive_phase(&drive, ISVC_RESTORE, 0), ISVC_DONE);
	assert_int_equal(sim_serves(sim, old_uri), 100);
	drive_end(&drive);
}

static const struct {
	const char *name;
	bool knative;
	const struct isvc_rules *rules;
	void (*start)(struct sim *sim);
	const char *way;
	const char *old; /* what serves before; NULL: nothing */
} worlds[] = {
	{"Knative, nothing", true, &plain, start_nothing, "first", NULL},
	{"Knative, nothing, tried first", true, &test_first, start_nothing, "second", NULL},
	{"Knative, one model", true, &plain, start_one, "knative", old_uri},
	{"Knative, two models", true, &plain, start_two, "knative", old_uri},
	{"Knative, after a roll-back", true, &plain, start_rolled_back, "knative", old_uri},
	{"Knative, after a failure", true, &plain, start_failed, "knative", old_uri},
	{"Standard, nothing", false, &plain, start_nothing, "first", NULL},
	{"Standard, nothing, tried first", false, &test_first, start_nothing, "second", NULL},
	{"Standard, one model", false, &plain, start_one, "second", old_uri},
	{"Standard, after a roll-back", false, &plain, start_rolled_back, "second", old_uri},
	{"Standard, after a failure", false, &plain, start_failed, "second", old_uri},
	{"Standard, spec.canary", false, &with_canary, start_one, "standard_canary", old_uri},
	{"Standard, spec.canary, two", false, &with_canary, start_two, "standard_canary", old_uri},
};

static void begin(struct sim *sim, struct drive *drive, size_t world)
{
	*sim = (struct sim){.knative = worlds[world].knative};
	sim_forget(&sim->live);
	sim_forget(&sim->second);
	worlds[world].start(sim);
	*drive = drive_make(sim, new_uri, job);
	assert_int_equal(drive_begin(drive, worlds[world].rules), ERR_OK);
	assert_string_equal(jval_str(drive->before, "way", ""), worlds[world].way);
}

static void end(struct sim *sim, struct drive *drive)
{
	drive_end(drive);
	sim_end(sim);
}

static void test_whole_rollouts(void **state)
{
	(void)state;
	for (size_t world = 0; world < ARRAY_LEN(worlds); world++)
		for (int passes = 0; passes < 5; passes++) {
			struct drive drive;
			struct sim sim;

			print_message("%s, %d passes\n", worlds[world].name, passes);
			begin(&sim, &drive, world);
			drive.passes = passes;
			drive_all(&drive);
			end(&sim, &drive);
		}
}

/* The n-th move is lost, with and without its request, for every n until none is left. */
static void test_crash_at_every_move(void **state)
{
	(void)state;
	for (size_t world = 0; world < ARRAY_LEN(worlds); world++)
		for (int at = 1, more = 1; more; at++)
			for (int send_too = 0; send_too < 2; send_too++) {
				struct drive drive;
				struct sim sim;

				begin(&sim, &drive, world);
				drive.crash_at = at;
				drive.send_too = send_too;
				drive_all(&drive);
				more = drive.moves >= at;
				end(&sim, &drive);
			}
}

/* --- going back from anywhere --- */

static void check_restored(struct drive *drive, const char *old)
{
	assert_int_equal(drive_phase(drive, ISVC_RESTORE, 0), ISVC_DONE);
	if (!old)
		assert_null(drive->sim->live.object);
	sim_settle(drive->sim);
	if (old)
		assert_int_equal(sim_serves(drive->sim, old), 100);
	assert_null(drive->sim->second.object);
}

/* Plays n moves of a rollout, then goes back; false when the rollout ended before. */
static bool play(struct drive *drive, int moves)
{
	static const struct {
		enum isvc_phase phase;
		int percent;
	} script[] = {{ISVC_STAGE, 0}, {ISVC_SHIFT, 10}, {ISVC_SHIFT, 50}, {ISVC_SHIFT, 100}};
	static int pass;

	for (size_t step = 0; step < ARRAY_LEN(script);) {
		struct isvc_goal goal = {drive->wanted, drive->before, drive->job,
					 script[step].phase, script[step].percent};
		struct isvc_look look = {drive->sim->live.object, drive->sim->second.object};
		struct isvc_move move;

		if (!moves--)
			return true;
		isvc_plan(&goal, &look, &move);
		isvc_note(drive->before, move.note);
		if (move.kind == ISVC_SEND)
			sim_send(drive->sim, &move.request);
		assert_int_not_equal(move.kind, ISVC_FAILED);
		step += move.kind == ISVC_DONE;
		isvc_move_dispose(&move);
		sim_pass(drive->sim, pass++);
	}
	return false;
}

static void test_back_from_anywhere(void **state)
{
	(void)state;
	for (size_t world = 0; world < ARRAY_LEN(worlds); world++)
		for (int moves = 0, more = 1; more; moves++) {
			struct drive drive;
			struct sim sim;

			begin(&sim, &drive, world);
			more = play(&drive, moves);
			drive.is_tested = true;
			check_restored(&drive, worlds[world].old);
			end(&sim, &drive);
		}
}

/* Back, with the n-th move of going back lost. */
static void test_back_with_crashes(void **state)
{
	(void)state;
	for (size_t world = 0; world < ARRAY_LEN(worlds); world++)
		for (int at = 1, more = 1; more; at++)
			for (int moves = 4; moves < 40; moves += 7) {
				struct drive drive;
				struct sim sim;

				begin(&sim, &drive, world);
				(void)play(&drive, moves);
				drive.is_tested = true;
				drive.crash_at = at;
				drive.send_too = moves % 2;
				check_restored(&drive, worlds[world].old);
				more = drive.moves >= at;
				end(&sim, &drive);
			}
}

/* After going back, the next model can be deployed. */
static void test_again_after_back(void **state)
{
	(void)state;
	for (size_t world = 0; world < ARRAY_LEN(worlds); world++) {
		struct drive drive, next;
		struct sim sim;

		begin(&sim, &drive, world);
		drive_all(&drive);
		check_restored(&drive, worlds[world].old);
		next = drive_make(&sim, "s3://models/run-4/", "01JDDDDDDDDDDDDDDDDDDDDDDD");
		assert_int_equal(drive_begin(&next, worlds[world].rules), ERR_OK);
		drive_all(&next);
		drive_end(&next);
		end(&sim, &drive);
	}
}

/* --- the trap, and nothing to do --- */

static void test_live_model_is_left_alone(void **state)
{
	(void)state;
	for (int knative = 0; knative < 2; knative++) {
		struct sim sim = {.knative = knative};
		struct drive drive;
		int sent;

		sim_forget(&sim.live);
		sim_forget(&sim.second);
		start_two(&sim);
		drive = drive_make(&sim, old_uri, job);
		assert_int_equal(drive_begin(&drive, &with_canary), ERR_OK);
		assert_string_equal(jval_str(drive.before, "way", ""), "none");
		sent = sim.sent;
		drive_all(&drive);
		assert_int_equal(drive_phase(&drive, ISVC_RESTORE, 0), ISVC_DONE);
		assert_int_equal(sim.sent, sent);
		end(&sim, &drive);
	}
}

/* Nothing is invented where what served before is not known. */
static void test_before_is_not_known(void **state)
{
	struct sim sim = {.knative = false};
	struct drive drive;

	(void)state;
	sim_forget(&sim.live);
	sim_forget(&sim.second);
	start_two(&sim);
	drive = drive_make(&sim, new_uri, job);
	assert_int_equal(drive_begin(&drive, &with_canary), ERR_OK);
	drive_all(&drive);
	json_object_del(drive.before, "spec");
	assert_int_equal(drive_phase(&drive, ISVC_RESTORE, 0), ISVC_FAILED);
	assert_string_equal(drive.code, "deploy.cannot_restore");
	assert_int_equal(sim_serves(&sim, new_uri), 100);
	end(&sim, &drive);
}

/* The model that was rolled back is deployed again: not "live already", though its spec is there.
 */
static void test_rolled_back_model_again(void **state)
{
	struct sim sim = {.knative = true};
	struct drive drive;

	(void)state;
	sim_forget(&sim.live);
	sim_forget(&sim.second);
	start_rolled_back(&sim);
	drive = drive_make(&sim, mid_uri, job);
	assert_int_equal(drive_begin(&drive, &plain), ERR_OK);
	assert_string_equal(jval_str(drive.before, "way", ""), "knative");
	drive_all(&drive);
	end(&sim, &drive);
}

/* --- other people's hands --- */

static void put(struct sim *sim, const char *json)
{
	struct err err;
	json_t *patch;

	assert_int_equal(jval_parse(&patch, json, strlen(json), &err), ERR_OK);
	if (!json_object_get(patch, "metadata"))
		jval_set(patch, "metadata", json_object());
	jval_set_str(json_object_get(patch, "metadata"), "resourceVersion",
		     jval_str(sim->live.object, "metadata.resourceVersion", ""));
	assert_true(sim_patch(sim, &sim->live, patch));
	json_decref(patch);
	sim_settle(sim);
}

static void hand_deletes(struct sim *sim)
{
	sim_forget(&sim->live);
}

static void hand_makes_another(struct sim *sim)
{
	AUTO_JSON json_t *copy = json_deep_copy(sim->live.object);

	sim_forget(&sim->live);
	json_object_del(json_object_get(copy, "metadata"), "resourceVersion");
	sim_create(sim, &sim->live, copy);
	sim_settle(sim);
}

static void hand_changes_model(struct sim *sim)
{
	put(sim, "{\"spec\":{\"predictor\":{\"model\":{\"storageUri\":\"s3://x/\"}}}}");
}

static void hand_changes_spec(struct sim *sim)
{
	put(sim, "{\"spec\":{\"predictor\":{\"minReplicas\":3}}}");
}

static void hand_annotates(struct sim *sim)
{
	put(sim, "{\"metadata\":{\"annotations\":{\"note\":\"mine\"}}}");
}

static void hand_moves_traffic(struct sim *sim)
{
	put(sim, "{\"spec\":{\"predictor\":{\"canaryTrafficPercent\":70}}}");
}

static void hand_stops(struct sim *sim)
{
	put(sim, "{\"metadata\":{\"annotations\":{\"serving.kserve.io/stop\":\"true\"}}}");
}

static void hand_newer_job(struct sim *sim)
{
	put(sim, "{\"metadata\":{\"annotations\":{\"kfops.dev/job\":\"01JEEE\","
		 "\"kfops.dev/fence\":\"8\"}}}");
}

static void hand_marks_deletion(struct sim *sim)
{
	put(sim, "{\"metadata\":{\"deletionTimestamp\":\"2026-08-22T10:00:00Z\"}}");
}

static const struct {
	const char *name;
	void (*hand)(struct sim *sim);
	const char *code; /* in STAGE before anything was sent, and in SHIFT */
	bool at_start;	  /* seen before anything is sent, too */
} hands[] = {
	{"deleted", hand_deletes, "deploy.deleted", true},
	{"deleted and made again", hand_makes_another, "deploy.deleted", true},
	{"another model", hand_changes_model, "deploy.changed", true},
	{"another spec", hand_changes_spec, "deploy.changed", true},
	{"an annotation, so another revision", hand_annotates, "deploy.changed", false},
	{"other traffic", hand_moves_traffic, "deploy.changed", true},
	{"stopped", hand_stops, "deploy.stopped", true},
	{"a newer job", hand_newer_job, "deploy.changed", true},
	{"being deleted", hand_marks_deletion, "deploy.deleted", true},
};

static void begin_one(struct sim *sim, struct drive *drive)
{
	*sim = (struct sim){.knative = true};
	sim_forget(&sim->live);
	sim_forget(&sim->second);
	start_one(sim);
	*drive = drive_make(sim, new_uri, job);
	assert_int_equal(drive_begin(drive, &plain), ERR_OK);
}

static void test_hands_before_the_first_request(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hands); i++) {
		struct drive drive;
		struct sim sim;

		if (!hands[i].at_start)
			continue;
		print_message("%s\n", hands[i].name);
		begin_one(&sim, &drive);
		drive.is_tested = true;
		hands[i].hand(&sim);
		assert_int_equal(drive_phase(&drive, ISVC_STAGE, 0), ISVC_FAILED);
		assert_string_equal(drive.code, hands[i].code);
		end(&sim, &drive);
	}
}

static void test_hands_after_the_test(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hands); i++) {
		struct drive drive;
		struct sim sim;

		print_message("%s\n", hands[i].name);
		begin_one(&sim, &drive);
		assert_int_equal(drive_phase(&drive, ISVC_STAGE, 0), ISVC_DONE);
		drive.is_tested = true;
		hands[i].hand(&sim);
		assert_int_equal(drive_phase(&drive, ISVC_SHIFT, 10), ISVC_FAILED);
		assert_string_equal(drive.code, hands[i].code);
		if (hands[i].hand == hand_newer_job)
			assert_non_null(strstr(drive.why, "A newer job (01JEEE)"));
		end(&sim, &drive);
	}
}

static void test_second_service_is_guarded(void **state)
{
	struct sim sim = {.knative = false};
	struct drive drive;

	(void)state;
	sim_forget(&sim.live);
	sim_forget(&sim.second);
	start_one(&sim);
	drive = drive_make(&sim, new_uri, job);
	assert_int_equal(drive_begin(&drive, &plain), ERR_OK);
	assert_int_equal(drive_phase(&drive, ISVC_STAGE, 0), ISVC_DONE);
	assert_string_equal(
		json_string_value(json_object_get(jval_at(sim.second.object, "metadata.labels"),
						  "networking.kserve.io/visibility")),
		"cluster-local");
	drive.is_tested = true;
	sim_forget(&sim.second);
	assert_int_equal(drive_phase(&drive, ISVC_SHIFT, 100), ISVC_FAILED);
	assert_string_equal(drive.code, "deploy.changed");
	assert_int_equal(drive_phase(&drive, ISVC_RESTORE, 0), ISVC_DONE);
	assert_int_equal(sim_serves(&sim, old_uri), 100);
	end(&sim, &drive);
}

/* --- models that do not start --- */

static void test_failures_are_told(void **state)
{
	(void)state;
	for (size_t world = 0; world < ARRAY_LEN(worlds); world++) {
		struct drive drive;
		struct sim sim;

		print_message("%s\n", worlds[world].name);
		begin(&sim, &drive, world);
		sim.broken_uri = new_uri;
		assert_int_equal(drive_phase(&drive, ISVC_STAGE, 0), ISVC_FAILED);
		assert_string_equal(drive.code, "deploy.model_failed");
		check_restored(&drive, worlds[world].old);
		end(&sim, &drive);
	}
}

/* --- canaries that are open --- */

static void test_open_canaries(void **state)
{
	static const struct isvc_rules going_on = {.other_over = false};
	struct drive drive, next;
	struct sim sim;

	(void)state;
	begin_one(&sim, &drive);
	assert_int_equal(drive_phase(&drive, ISVC_STAGE, 0), ISVC_DONE);
	drive.is_tested = true;
	next = drive_make(&sim, mid_uri, "01JFFFFFFFFFFFFFFFFFFFFFFF");
	assert_int_equal(drive_begin(&next, &going_on), ERR_USER);
	assert_string_equal(next.code, "deploy.canary_open");
	assert_int_equal(drive_phase(&drive, ISVC_SHIFT, 10), ISVC_DONE);
	assert_int_equal(drive_begin(&next, &plain), ERR_USER); /* it has traffic */
	assert_string_equal(next.code, "deploy.canary_open");
	assert_int_equal(drive_phase(&drive, ISVC_RESTORE, 0), ISVC_DONE);
	assert_int_equal(drive_begin(&next, &plain), ERR_OK);
	drive_all(&next);
	drive_end(&next);
	end(&sim, &drive);
}

/* What was left open shows every change by somebody else, however small, at the next look; and goes
 * on to its end where there was none. */
static void test_left_open_in_each_way(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(worlds); i++) {
		struct drive drive;
		struct sim sim;

		if (!worlds[i].old)
			continue;
		for (int changed = 0; changed < 2; changed++) {
			print_message("%s, %s\n", worlds[i].name,
				      changed ? "changed" : "as it was");
			begin(&sim, &drive, i);
			assert_int_equal(drive_phase(&drive, ISVC_STAGE, 0), ISVC_DONE);
			drive.is_tested = true;
			assert_int_equal(drive_phase(&drive, ISVC_SHIFT, 10), ISVC_DONE);
			assert_int_equal(drive_phase(&drive, ISVC_CHECK, 10), ISVC_DONE);
			if (changed)
				hand_changes_spec(&sim);
			assert_int_equal(drive_phase(&drive, ISVC_CHECK, 10),
					 changed ? ISVC_FAILED : ISVC_DONE);
			if (changed) {
				assert_string_equal(drive.code, "deploy.changed");
			} else {
				assert_int_equal(drive_phase(&drive, ISVC_SHIFT, 100), ISVC_DONE);
				assert_int_equal(sim_serves(&sim, new_uri), 100);
			}
			end(&sim, &drive);
		}
	}
}

/* A job whose memory is lost takes its own canary over. */
static void test_own_canary_is_taken_over(void **state)
{
	static const struct isvc_rules strict = {.other_over = false};
	struct drive drive;
	struct sim sim;

	(void)state;
	begin_one(&sim, &drive);
	assert_int_equal(drive_phase(&drive, ISVC_STAGE, 0), ISVC_DONE);
	jval_drop(&drive.before);
	assert_int_equal(drive_begin(&drive, &strict), ERR_OK);
	drive_all(&drive);
	end(&sim, &drive);
}

/* The old model cannot be reached by KServe's own way back: its spec is sent again. */
static void test_back_two_deep(void **state)
{
	struct drive drive;
	struct sim sim;

	(void)state;
	begin_one(&sim, &drive);
	drive_all(&drive);
	jval_set_str(jval_at(sim.live.object, "status.components.predictor"),
		     "previousRolledoutRevision", "iris-predictor-00009");
	assert_int_equal(drive_phase(&drive, ISVC_RESTORE, 0), ISVC_DONE);
	sim_settle(&sim);
	assert_int_equal(sim_serves(&sim, old_uri), 100);
	assert_int_equal(sim.live.created, 3);
	end(&sim, &drive);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_whole_rollouts),
	cmocka_unit_test(test_crash_at_every_move),
	cmocka_unit_test(test_back_from_anywhere),
	cmocka_unit_test(test_back_with_crashes),
	cmocka_unit_test(test_again_after_back),
	cmocka_unit_test(test_live_model_is_left_alone),
	cmocka_unit_test(test_before_is_not_known),
	cmocka_unit_test(test_rolled_back_model_again),
	cmocka_unit_test(test_hands_before_the_first_request),
	cmocka_unit_test(test_hands_after_the_test),
	cmocka_unit_test(test_second_service_is_guarded),
	cmocka_unit_test(test_failures_are_told),
	cmocka_unit_test(test_open_canaries),
	cmocka_unit_test(test_left_open_in_each_way),
	cmocka_unit_test(test_own_canary_is_taken_over),
	cmocka_unit_test(test_back_two_deep),
};

CASES_MAIN(tests, NULL, NULL)
