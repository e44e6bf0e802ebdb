/* Comments: only our own are found; pages are followed on our host only and end. */
#include "tests/unit/services/github_world.h"

#define COMMENT(id_, user_, via_, body_, at_)                                                      \
	"{\"id\":" id_ ",\"node_id\":\"IC_" id_ "\",\"user\":" user_                               \
	",\"performed_via_github_app\":" via_ ",\"body\":\"" body_ "\",\"created_at\":\"" at_      \
	"\"}"
#define BOT	  "{\"login\":\"kfops[bot]\",\"id\":501,\"type\":\"Bot\"}"
#define OTHER_BOT "{\"login\":\"other[bot]\",\"id\":502,\"type\":\"Bot\"}"
#define LOOKALIKE "{\"login\":\"kfops-bot\",\"id\":503,\"type\":\"User\"}"
#define PERSON	  "{\"login\":\"ann\",\"id\":504,\"type\":\"User\"}"
#define NOON	  "2026-11-21T12:00:00Z"

static const struct {
	const char *name, *list;
	int64_t want; /* 0: none */
} found_in[] = {
	{"ours", "[" COMMENT("1", BOT, "{\"id\":99}", "<!-- m -->x", NOON) "]", 1},
	{"ours on a server that does not name the App",
	 "[" COMMENT("1", BOT, "null", "<!-- m -->x", NOON) "]", 1},
	{"a person copies the marker", "[" COMMENT("1", PERSON, "null", "<!-- m -->x", NOON) "]",
	 0},
	{"a person with a name like ours",
	 "[" COMMENT("1", LOOKALIKE, "null", "<!-- m -->", NOON) "]", 0},
	{"a person through our App",
	 "[" COMMENT("1", PERSON, "{\"id\":99}", "<!-- m -->", NOON) "]", 0},
	{"another App", "[" COMMENT("1", OTHER_BOT, "{\"id\":98}", "<!-- m -->", NOON) "]", 0},
	{"another bot, no App named", "[" COMMENT("1", OTHER_BOT, "null", "<!-- m -->", NOON) "]",
	 0},
	{"our name but another App", "[" COMMENT("1", BOT, "{\"id\":98}", "<!-- m -->", NOON) "]",
	 0},
	{"a deleted user", "[" COMMENT("1", "null", "null", "<!-- m -->", NOON) "]", 0},
	{"marker not at the start", "[" COMMENT("1", BOT, "null", "> <!-- m -->", NOON) "]", 0},
	{"another marker", "[" COMMENT("1", BOT, "null", "<!-- m2 -->", NOON) "]", 0},
	{"older than asked",
	 "[" COMMENT("1", BOT, "null", "<!-- m -->", "2026-11-21T11:59:58Z") "]", 0},
	{"as old as asked", "[" COMMENT("1", BOT, "null", "<!-- m -->", "2026-11-21T11:59:59Z") "]",
	 1},
	{"the first of two, behind others",
	 "[" COMMENT("1", PERSON, "null", "<!-- m -->",
		     NOON) "," COMMENT("2", BOT, "null", "<!-- m -->",
				       NOON) "," COMMENT("3", BOT, "null", "<!-- m -->", NOON) "]",
	 2},
	{"none at all", "[]", 0},
	{"not a list", "{}", 0},
};

static const int64_t since_ms = 1795262399500; /* 2026-11-21T11:59:59.5Z */

static void test_only_our_own_comments_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(found_in); i++) {
		struct scripted_answer script[] = {
			{.expect = "GET /app ", JSON(200, APP_BODY)},
			{.expect = MINT, MINTED(TOKEN_A)},
			{.expect = "GET "
				   "/repos/o/r/issues/7/"
				   "comments?since=2026-11-21T11:59:59Z&per_page=",
			 JSON(200, found_in[i].list)},
		};
		struct world world = START(script, true);
		struct github_comment got;
		struct err err = {0};

		print_message("%s\n", found_in[i].name);
		assert_int_equal(github_comment_find(world.gh, world.http, &repo, 7, "<!-- m -->",
						     since_ms, &got, &err),
				 found_in[i].want ? ERR_OK : ERR_NOT_FOUND);
		assert_int_equal(got.id, found_in[i].want);
		stop(&world);
	}
}

static void test_in_token_mode_the_user_id_counts(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "GET /user ", JSON(200, "{\"id\":600,\"login\":\"robot\"}")},
		{.expect = "GET /repos/o/r/issues/7/comments",
		 JSON(200, "[" COMMENT("1", "{\"login\":\"robot\",\"id\":601}", "null", "m",
				       NOON) "," COMMENT("2", "{\"login\":\"renamed\",\"id\":600}",
							 "null", "m", NOON) "]")},
	};
	struct world world = START(script, false);
	struct github_identity self;
	struct github_comment got;

	(void)state;
	assert_int_equal(github_identity(world.gh, world.http, &self, NULL), ERR_OK);
	assert_false(self.is_app);
	assert_int_equal(self.user_id, 600);
	assert_string_equal(self.login, "robot");
	assert_int_equal(
		github_comment_find(world.gh, world.http, &repo, 7, "m", since_ms, &got, NULL),
		ERR_OK);
	assert_int_equal(got.id, 2);
	stop(&world);
}

static void test_pages_are_followed_on_our_host_only(void **state)
{
	static char second[200], third[200];
	struct scripted_answer script[] = {
		{.expect = "GET /user ", JSON(200, "{\"id\":600,\"login\":\"robot\"}")},
		{.expect = "GET /repos/o/r/issues/7/comments",
		 .status = 200,
		 .body = "[]",
		 .headers = second},
		{.expect = "GET /repositories/77/issues/7/comments?page=2",
		 .status = 200,
		 .body = "[]",
		 .headers = third},
	};
	struct world world = START(script, false);
	struct github_comment got;

	(void)state;
	snprintf(second, sizeof second,
		 JSON_TYPE "Link: <%s/repositories/77/issues/7/comments?page=2>; rel=\"next\"\r\n",
		 world.server->url);
	snprintf(third, sizeof third,
		 JSON_TYPE "Link: <https://evil.example/?page=3>; rel=\"next\"\r\n");
	assert_int_equal(
		github_comment_find(world.gh, world.http, &repo, 7, "m", since_ms, &got, NULL),
		ERR_NOT_FOUND);
	assert_string_equal(authorization(&world, 2), "Bearer ghp_personal");
	stop(&world);
}

static void test_paging_ends(void **state)
{
	static char more[200];
	struct scripted_answer script[] = {
		{.expect = "GET /user ", JSON(200, "{\"id\":600,\"login\":\"robot\"}")},
		{.expect = "GET /repos/o/r/issues/7/comments",
		 .status = 200,
		 .body = "[]",
		 .headers = more,
		 .always = true},
	};
	struct world world = START(script, false);
	struct github_comment got;

	(void)state;
	snprintf(more, sizeof more,
		 JSON_TYPE "Link: </repos/o/r/issues/7/comments?page=2>; rel=next\r\n");
	assert_int_equal(
		github_comment_find(world.gh, world.http, &repo, 7, "m", since_ms, &got, NULL),
		ERR_NOT_FOUND);
	assert_int_equal(scripted_count(world.server), 61);
	stop(&world);
}

static const struct {
	const char *name, *body;
	enum err_class want;
	bool in_doubt;
} minimized[] = {
	{"done", "{\"data\":{\"minimizeComment\":{\"minimizedComment\":{\"isMinimized\":true}}}}",
	 ERR_OK, false},
	{"gone",
	 "{\"data\":null,\"errors\":[{\"type\":\"NOT_FOUND\",\"message\":\"Could not resolve\"}]}",
	 ERR_NOT_FOUND, false},
	{"forbidden", "{\"errors\":[{\"type\":\"FORBIDDEN\",\"message\":\"x\"}]}", ERR_DENIED,
	 false},
	{"server fault",
	 "{\"data\":null,\"errors\":[{\"message\":\"Something went wrong while executing\"}]}",
	 ERR_TRANSIENT, true},
	{"limit", "{\"errors\":[{\"type\":\"RATE_LIMITED\",\"message\":\"x\"}]}", ERR_THROTTLED,
	 false},
	{"our query is wrong", "{\"errors\":[{\"message\":\"Field 'x' doesn't exist\"}]}", ERR_BUG,
	 false},
};

static void test_minimize(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(minimized); i++) {
		struct scripted_answer script[] = {
			{.expect = MINT, MINTED(TOKEN_A)},
			{.expect = "POST /graphql ", JSON(200, minimized[i].body)},
		};
		struct world world = START(script, true);
		AUTO_JSON json_t *sent = NULL;
		struct err err = {0};

		print_message("%s\n", minimized[i].name);
		assert_int_equal(
			github_comment_minimize(world.gh, world.http, &repo, "IC_\"x", &err),
			minimized[i].want);
		assert_int_equal(err.in_doubt, minimized[i].in_doubt);
		assert_int_equal(jval_parse(&sent, world.server->requests[1].body,
					    world.server->requests[1].body_len, NULL),
				 ERR_OK);
		assert_string_equal(jval_str(sent, "variables.id", ""), "IC_\"x");
		stop(&world);
	}
}

static const struct CMUnitTest github_comments_tests[] = {
	cmocka_unit_test(test_only_our_own_comments_are_found),
	cmocka_unit_test(test_in_token_mode_the_user_id_counts),
	cmocka_unit_test(test_pages_are_followed_on_our_host_only),
	cmocka_unit_test(test_paging_ends),
	cmocka_unit_test(test_minimize),
};

CASES_MAIN(github_comments_tests, set_up, tear_down)
