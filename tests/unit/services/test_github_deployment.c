/* GitHub's deployments with their states, and the label that moves. */
#include "tests/unit/services/github_world.h"

#include "lib/services/github_merge.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"

/* --- deployments --- */

#define DEPLOYMENTS "POST /repos/o/r/deployments "
#define LIST_OF	    "GET /repos/o/r/deployments?sha=" SHA "&environment=production&"

static enum err_class deploy(struct world *world, bool in_doubt, int64_t *id, struct err *err)
{
	AUTO_JSON json_t *body = json_pack("{s:s,s:s,s:{s:s}}", "ref", SHA, "environment",
					   "production", "payload", "job", "01JOB");

	return github_deployment_create(world->gh, world->http, &repo, body, in_doubt, id, err);
}

static void test_a_deployment_merges_nothing_by_itself(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = DEPLOYMENTS, JSON(201, "{\"id\":41}")},
	};
	struct world world = START(script, false);
	AUTO_JSON json_t *sent = NULL;
	int64_t id = 0;

	(void)state;
	assert_int_equal(deploy(&world, false, &id, NULL), ERR_OK);
	assert_int_equal(id, 41);
	(void)scripted_count(world.server);
	assert_int_equal(jval_parse(&sent, world.server->requests[0].body,
				    world.server->requests[0].body_len, NULL),
			 ERR_OK);
	assert_true(json_is_false(jval_at(sent, "auto_merge")));
	assert_true(json_is_array(jval_at(sent, "required_contexts")));
	assert_int_equal(json_array_size(jval_at(sent, "required_contexts")), 0);
	assert_string_equal(jval_str(sent, "ref", ""), SHA);
	assert_string_equal(jval_str(sent, "payload.job", ""), "01JOB");
	stop(&world);
}

static void test_a_deployment_in_doubt(void **state)
{
	static const struct {
		const char *name, *list;
		int64_t want;
		bool makes;
	} cases[] = {
		{"found by its job",
		 "[{\"id\":40,\"payload\":{\"job\":\"01OTHER\"}},{\"id\":42,\"payload\":{\"job\":"
		 "\"01JOB\"}}]",
		 42, false},
		{"one of another job", "[{\"id\":40,\"payload\":{\"job\":\"01OTHER\"}}]", 41, true},
		{"payloads of others", "[{\"id\":40,\"payload\":\"\"},{\"id\":39}]", 41, true},
		{"none", "[]", 41, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scripted_answer script[] = {
			{.expect = LIST_OF, JSON(200, cases[i].list)},
			{.expect = DEPLOYMENTS, JSON(201, "{\"id\":41}")},
		};
		struct world world = start(script, cases[i].makes ? 2 : 1, false);
		int64_t id = 0;

		print_message("%s\n", cases[i].name);
		assert_int_equal(deploy(&world, true, &id, NULL), ERR_OK);
		assert_int_equal(id, cases[i].want);
		stop(&world);
	}
}

static void test_a_deployment_that_was_not_made(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum err_class class;
		bool in_doubt;
	} cases[] = {
		{202, "{\"message\":\"Auto-merged master into topic\"}", ERR_TRANSIENT, true},
		{409, "{\"message\":\"Conflict merging master into topic\"}", ERR_CONFLICT, false},
		{422, "{\"message\":\"No commit found for SHA: 0\"}", ERR_USER, false},
		{403, "{\"message\":\"Resource not accessible by integration\"}", ERR_DENIED,
		 false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scripted_answer script[] = {
			{.expect = DEPLOYMENTS, JSON(cases[i].status, cases[i].body)}};
		struct world world = START(script, false);
		struct err err = {0};
		int64_t id;

		assert_int_equal(deploy(&world, false, &id, &err), cases[i].class);
		assert_int_equal(err.in_doubt, cases[i].in_doubt);
		stop(&world);
	}
}

static void test_a_status_of_a_deployment(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "POST /repos/o/r/deployments/41/statuses ", JSON(201, "{\"id\":1}")},
	};
	struct world world = START(script, false);
	AUTO_JSON json_t *body = json_pack("{s:s}", "state", "success");

	(void)state;
	assert_int_equal(
		github_deployment_status(world.gh, world.http, &repo, 41, body, false, NULL),
		ERR_OK);
	stop(&world);
}

static void test_a_status_in_doubt(void **state)
{
	static const struct {
		const char *name, *list;
		bool makes;
	} cases[] = {
		{"it is there", "[{\"state\":\"in_progress\",\"description\":\"50 %\"}]", false},
		{"an older share", "[{\"state\":\"in_progress\",\"description\":\"10 %\"}]", true},
		{"another state", "[{\"state\":\"success\",\"description\":\"50 %\"}]", true},
		{"none", "[]", true},
	};
	AUTO_JSON json_t *body =
		json_pack("{s:s,s:s}", "state", "in_progress", "description", "50 %");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scripted_answer script[] = {
			{.expect = "GET /repos/o/r/deployments/41/statuses?per_page=1 ",
			 JSON(200, cases[i].list)},
			{.expect = "POST /repos/o/r/deployments/41/statuses ",
			 JSON(201, "{\"id\":1}")},
		};
		struct world world = start(script, cases[i].makes ? 2 : 1, false);

		print_message("%s\n", cases[i].name);
		assert_int_equal(
			github_deployment_status(world.gh, world.http, &repo, 41, body, true, NULL),
			ERR_OK);
		stop(&world);
	}
}

/* --- the label --- */

#define ADD	"POST /repos/o/r/issues/7/labels "
#define WEARERS "GET /repos/o/r/issues?labels=Deployed-to-production&state=all&"
#define TAKE(n) "DELETE /repos/o/r/issues/" n "/labels/Deployed-to-production "

static enum err_class move_label(struct world *world, struct err *err)
{
	return github_label_move(world->gh, world->http, &repo, 7, "Deployed-to-production", err);
}

/* Put here, then taken from every other pull request, also a closed one; an issue keeps its own,
 * and one that has lost it meanwhile is no fault. */
static void test_the_label_moves(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = WEARERS,
		 JSON(200, "[{\"number\":5,\"pull_request\":{}},{\"number\":4},"
			   "{\"number\":3,\"pull_request\":{}}]")},
		{.expect = ADD, JSON(200, "[]")},
		{.expect = TAKE("5"), JSON(200, "[]")},
		{.expect = TAKE("3"), JSON(404, "{\"message\":\"Label does not exist\"}")},
	};
	struct world world = START(script, false);

	(void)state;
	assert_int_equal(move_label(&world, NULL), ERR_OK);
	(void)scripted_count(world.server);
	assert_true(str_starts(world.server->requests[1].text, ADD));
	stop(&world);
}

/* A repeated move: what has been done is not sent again, so the rest comes to its turn. */
static void test_a_label_that_is_there(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = WEARERS,
		 JSON(200,
		      "[{\"number\":7,\"pull_request\":{}},{\"number\":5,\"pull_request\":{}}]")},
		{.expect = TAKE("5"), JSON(200, "[]")},
	};
	struct world world = START(script, false);

	(void)state;
	assert_int_equal(move_label(&world, NULL), ERR_OK);
	stop(&world);
}

static void test_a_label_that_cannot_be_put(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = WEARERS, JSON(200, "[]")},
		{.expect = ADD, JSON(403, "{\"message\":\"Resource not accessible\"}")},
	};
	struct world world = START(script, false);
	struct err err = {0};

	(void)state;
	assert_int_equal(move_label(&world, &err), ERR_DENIED);
	stop(&world);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_deployment_merges_nothing_by_itself),
		cmocka_unit_test(test_a_deployment_in_doubt),
		cmocka_unit_test(test_a_deployment_that_was_not_made),
		cmocka_unit_test(test_a_status_of_a_deployment),
		cmocka_unit_test(test_a_status_in_doubt),
		cmocka_unit_test(test_the_label_moves),
		cmocka_unit_test(test_a_label_that_is_there),
		cmocka_unit_test(test_a_label_that_cannot_be_put),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("github_deployment", tests, set_up, tear_down);
}
