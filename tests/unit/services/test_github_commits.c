/* Pushes and commits of a pull request: what is taken from GitHub's answers, and what is never
 * asked. */
#include "tests/unit/services/github_world.h"

#include "lib/services/github_commits.h"

#define HEAD_SHA "0123456789abcdef0123456789abcdef01234567"
#define BASE_SHA "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define OLD_SHA	 "0123456ddddddddddddddddddddddddddddddddd"

static const struct github_pull asked = {
	.head_sha = HEAD_SHA, .base_sha = BASE_SHA, .node_id = "PR_1"};

/* --- pushes --- */

#define NODE(text)   "{\"data\":{\"node\":" text "}}"
#define SEEN(suites) SEEN_OF(HEAD_SHA, "false", suites, "")
#define SEEN_OF(head, crosses, suites, forced)                                                     \
	NODE("{\"createdAt\":\"1970-01-01T00:01:40Z\",\"headRefOid\":\"" head                      \
	     "\",\"headRefName\":"                                                                 \
	     "\"topic\",\"isCrossRepository\":" crosses ",\"commits\":{\"nodes\":[{\"commit\":{"   \
	     "\"oid\":\"" head "\",\"checkSuites\":{\"nodes\":[" suites                            \
	     "]}}}]},\"timelineItems\":{"                                                          \
	     "\"nodes\":[" forced "]}}")
#define SUITE(at, branch) "{\"createdAt\":\"1970-01-01T00:0" at "Z\",\"branch\":" branch "}"
#define TOPIC		  "{\"name\":\"topic\"}"
#define FORCED(after)	  "{\"createdAt\":\"1970-01-01T00:04:00Z\",\"afterCommit\":" after "}"

static const struct {
	const char *name, *body;
	enum err_class class;
	int64_t pushed_at_ms, forced_at_ms;
	const char *forced_to;
} pushes[] = {
	{.name = "no suite, no force push", .body = SEEN("")},
	{.name = "a suite of the branch",
	 .body = SEEN(SUITE("3:00", TOPIC)),
	 .pushed_at_ms = 180000},
	{.name = "the earliest of several",
	 .body = SEEN(SUITE("3:00", TOPIC) "," SUITE("2:30", TOPIC) "," SUITE("5:00", TOPIC)),
	 .pushed_at_ms = 150000},
	{.name = "a suite of another branch", .body = SEEN(SUITE("3:00", "{\"name\":\"other\"}"))},
	{.name = "a suite of no branch", .body = SEEN(SUITE("3:00", "null"))},
	{.name = "of another head than the one that is asked about",
	 .body = SEEN_OF(OLD_SHA, "false", SUITE("3:00", TOPIC), "")},
	{.name = "of a fork, whose branch is another",
	 .body = SEEN_OF(HEAD_SHA, "true", SUITE("3:00", TOPIC), "")},
	{.name = "a force push",
	 .body = SEEN_OF(HEAD_SHA, "false", "", FORCED("{\"oid\":\"" HEAD_SHA "\"}")),
	 .forced_at_ms = 240000,
	 .forced_to = HEAD_SHA},
	{.name = "a force push to a commit that is gone",
	 .body = SEEN_OF(HEAD_SHA, "false", "", FORCED("null")),
	 .forced_at_ms = 240000},
	{.name = "a force push without a time",
	 .body = SEEN_OF(HEAD_SHA, "false", "", "{\"afterCommit\":null}"),
	 .class = ERR_NOT_FOUND},
	{.name = "something else", .body = NODE("{}"), .class = ERR_NOT_FOUND},
	{.name = "gone", .body = NODE("null"), .class = ERR_NOT_FOUND},
	{.name = "not for us",
	 .body = "{\"errors\":[{\"type\":\"FORBIDDEN\",\"message\":\"Resource not accessible by "
		 "integration\"}]}",
	 .class = ERR_DENIED},
};

static void test_pushes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pushes); i++) {
		struct scripted_answer script[] = {{.expect = "POST /graphql ", JSON(200, NULL)}};
		struct pin_pushes seen;
		struct err err = {0};
		struct world world;

		script[0].body = pushes[i].body;
		world = START(script, false);
		print_message("  %s\n", pushes[i].name);
		assert_int_equal(github_pushes(world.gh, world.http, &repo, &asked, &seen, &err),
				 pushes[i].class);
		assert_int_equal(seen.opened_at_ms, pushes[i].class ? 0 : 100000);
		assert_int_equal(seen.pushed_at_ms, pushes[i].pushed_at_ms);
		assert_int_equal(seen.forced_at_ms, pushes[i].forced_at_ms);
		assert_string_equal(seen.forced_to, pushes[i].forced_to ? pushes[i].forced_to : "");
		stop(&world);
	}
}

/* --- commits --- */

#define LIST	"GET /repos/o/r/pulls/7/commits?per_page=100 "
#define COMPARE "GET /repos/o/r/compare/"
#define COUNTS	"?per_page=1&page=2 "

static struct scripted_answer page(const char *expect, size_t count, const char *last, bool more)
{
	static char bodies[4][16000];
	static int next;
	char *body = bodies[next++ % 4], *at = body;

	at += sprintf(at, "[");
	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "%s{\"sha\":\"%040zx\"}", i ? "," : "",
			      0xabcdef0000 + (size_t)next * 1000 + i);
	sprintf(at, "%s{\"sha\":\"%s\"}]", count ? "," : "", last);
	return (struct scripted_answer){
		.expect = expect,
		.status = 200,
		.headers = more ? JSON_TYPE "Link: </more>; rel=\"next\"\r\n" : JSON_TYPE,
		.body = body};
}

static json_t *find(struct world *world, const char *text)
{
	struct github_commit_search search = {7, &asked, text};
	json_t *found = NULL;
	struct err err = {0};

	assert_int_equal(github_commits_find(world->gh, world->http, &repo, &search, &found, &err),
			 ERR_OK);
	return found;
}

static void test_those_that_begin_with_it(void **state)
{
	struct scripted_answer script[] = {page(LIST, 5, HEAD_SHA, false)};
	struct world world = START(script, false);
	AUTO_JSON json_t *found = find(&world, "0123456");

	(void)state;
	assert_int_equal(json_array_size(jval_at(found, "commits")), 1);
	assert_string_equal(json_string_value(json_array_get(jval_at(found, "commits"), 0)),
			    HEAD_SHA);
	assert_false(jval_bool(found, "cut", true));
	assert_null(jval_at(found, "is_inside"));
	stop(&world);
}

/* 250 commits on three pages, and what the two comparisons say of a whole name. */
static void test_cut_lists(void **state)
{
	static const struct {
		const char *name, *text, *past_head, *past_base;
		int status;
		bool inside;
	} cases[] = {
		{"a short name is not asked about", "0123456", NULL, NULL, 200, false},
		{"reached from the head only", OLD_SHA, "{\"ahead_by\":0}", "{\"ahead_by\":3}", 200,
		 true},
		{"of the base as well", OLD_SHA, "{\"ahead_by\":0}", "{\"ahead_by\":0}", 200,
		 false},
		{"not reached from the head", OLD_SHA, "{\"ahead_by\":1}", NULL, 200, false},
		{"no common history", OLD_SHA, "{\"message\":\"Not Found\"}", NULL, 404, false},
		{"no answer to the question", OLD_SHA, "{}", NULL, 200, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scripted_answer script[5] = {page(LIST, 99, BASE_SHA, true),
						    page("GET /more ", 99, BASE_SHA, true),
						    page("GET /more ", 49, BASE_SHA, true)};
		struct world world;
		size_t count = 3;
		AUTO_JSON json_t *found = NULL;

		if (cases[i].past_head)
			script[count++] = (struct scripted_answer){
				.expect = COMPARE HEAD_SHA "..." OLD_SHA COUNTS,
				JSON(cases[i].status, cases[i].past_head)};
		if (cases[i].past_base)
			script[count++] = (struct scripted_answer){.expect = COMPARE BASE_SHA
								   "..." OLD_SHA COUNTS,
								   JSON(200, cases[i].past_base)};
		print_message("  %s\n", cases[i].name);
		world = start(script, count, false);
		found = find(&world, cases[i].text);
		assert_true(jval_bool(found, "cut", false));
		assert_int_equal(json_array_size(jval_at(found, "commits")), 0);
		assert_int_equal(jval_bool(found, "is_inside", false), cases[i].inside);
		stop(&world);
	}
}

static const struct CMUnitTest github_commits_tests[] = {
	cmocka_unit_test(test_pushes),
	cmocka_unit_test(test_those_that_begin_with_it),
	cmocka_unit_test(test_cut_lists),
};

CASES_MAIN(github_commits_tests, set_up, tear_down)
