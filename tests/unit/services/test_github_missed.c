/* test_github_missed.c - hooks, comments and reactions as GitHub lists them, and as it might. */
#include "tests/unit/services/github_world.h"

static const struct scripted_answer hooks[] = {
	{.expect = "GET /repos/o/r/hooks?per_page=100 ",
	 JSON(200,
	      "[{\"id\":1,\"active\":true,\"config\":{\"url\":\"https://else.example/ci\"}},"
	      "{\"id\":2,\"active\":false,\"config\":{\"url\":\"https://b.example/webhook\"}},"
	      "{\"id\":3,\"active\":true},{\"id\":\"odd\"},"
	      "{\"id\":4,\"active\":true,\"config\":{\"url\":\"https://b.example/webhook?x=/ci\"}}"
	      "]"),
	 .always = true},
};

static void test_hook_find(void **state)
{
	struct world world = START(hooks, false);
	struct err err = {0};
	int64_t id;

	(void)state;
	assert_int_equal(github_hook_find(world.gh, world.http, &repo, "/webhook", &id, &err),
			 ERR_OK);
	assert_int_equal(id, 4);
	assert_int_equal(github_hook_find(world.gh, world.http, &repo, "/nowhere", &id, &err),
			 ERR_NOT_FOUND);
	assert_int_equal(id, 0);
	stop(&world);
}

static void test_hook_deliveries(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "GET /repos/o/r/hooks/4/deliveries/9 ",
		 JSON(200, "{\"request\":{\"payload\":{\"action\":\"created\"}}}")},
	};
	struct world world = START(script, false);
	struct github_hook hook = {.repo = repo, .id = 4};
	struct err err = {0};
	char *payload;

	(void)state;
	assert_int_equal(github_delivery_payload(world.gh, world.http, &hook, 9, &payload, &err),
			 ERR_OK);
	assert_string_equal(payload, "{\"action\":\"created\"}");
	mem_free(payload);
	assert_int_equal(github_delivery_payload(world.gh, world.http, NULL, 9, &payload, &err),
			 ERR_BUG); /* the App's list in token mode */
	stop(&world);
}

static bool count_comment(void *arg, const json_t *comment)
{
	int *count = arg;

	(void)comment;
	return ++*count < 3;
}

static void test_comments_since(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "GET /repos/o/r/issues/comments?since=2026-11-21T12:00:00Z&sort=updated&"
			   "direction=asc&per_page=30 ",
		 .status = 200,
		 .headers = JSON_TYPE "Link: </next>; rel=\"next\"\r\n",
		 .body = "[{\"id\":1},{\"id\":2}]"},
		{.expect = "GET /next ", JSON(200, "[{\"id\":3},{\"id\":4}]")},
	};
	struct world world = START(script, false);
	struct err err = {0};
	int count = 0;

	(void)state;
	assert_int_equal(github_comments_since(world.gh, world.http, &repo, 1795262400000,
					       count_comment, &count, &err),
			 ERR_OK);
	assert_int_equal(count, 3);
	stop(&world);
}

/* What is not clearly as it was written counts as changed. */
static void test_was_edited(void **state)
{
	static const struct {
		const char *name, *body;
		bool edited;
	} cases[] = {
		{"never", "{\"data\":{\"node\":{\"lastEditedAt\":null}}}", false},
		{"once", "{\"data\":{\"node\":{\"lastEditedAt\":\"2026-11-21T12:00:00Z\"}}}", true},
		{"another kind of thing", "{\"data\":{\"node\":{}}}", true},
		{"gone", "{\"data\":{\"node\":null}}", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scripted_answer script[] = {
			{.expect = "POST /graphql ", .status = 200, .headers = JSON_TYPE}};
		struct err err = {0};
		struct world world;
		bool edited;

		script[0].body = cases[i].body;
		world = START(script, false);
		print_message("  %s\n", cases[i].name);
		assert_int_equal(github_comment_was_edited(world.gh, world.http, &repo, "IC_1",
							   &edited, &err),
				 ERR_OK);
		assert_int_equal(edited, cases[i].edited);
		stop(&world);
	}
}

static void test_our_reaction(void **state)
{
	static const struct {
		const char *name, *body;
		bool ours;
	} cases[] = {
		{"none", "[]", false},
		{"somebody else's", "[{\"user\":{\"id\":8,\"login\":\"ann\",\"type\":\"User\"}}]",
		 false},
		{"of a user that is gone", "[{\"user\":null}]", false},
		{"ours",
		 "[{\"user\":null},{\"user\":{\"id\":7,\"login\":\"bot\",\"type\":\"User\"}}]",
		 true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scripted_answer script[] = {
			{.expect = "GET /user ",
			 JSON(200, "{\"id\":7,\"login\":\"bot\",\"type\":\"User\"}")},
			{.expect = "GET /repos/o/r/issues/comments/5/reactions?per_page=100 ",
			 .status = 200,
			 .headers = JSON_TYPE},
		};
		struct err err = {0};
		struct world world;
		bool ours;

		script[1].body = cases[i].body;
		world = START(script, false);
		print_message("  %s\n", cases[i].name);
		assert_int_equal(github_comment_has_our_reaction(world.gh, world.http, &repo, 5,
								 &ours, &err),
				 ERR_OK);
		assert_int_equal(ours, cases[i].ours);
		stop(&world);
	}
}

static const struct CMUnitTest github_missed_tests[] = {
	cmocka_unit_test(test_hook_find),      cmocka_unit_test(test_hook_deliveries),
	cmocka_unit_test(test_comments_since), cmocka_unit_test(test_was_edited),
	cmocka_unit_test(test_our_reaction),
};

CASES_MAIN(github_missed_tests, set_up, tear_down)
