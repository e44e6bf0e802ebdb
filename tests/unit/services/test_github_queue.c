/* The merge queue: what stands in it already, what a refusal means, what is done twice; and the
 * branch that is left, which goes only when nothing can be lost with it. */
#include "tests/unit/services/github_world.h"

#include "lib/services/github_queue.h"

#define SHA	"0123456789abcdef0123456789abcdef01234567"
#define OTHER	"1111111111111111111111111111111111111111"
#define GRAPHQL "POST /graphql "
#define BRANCH	"GET /repos/o/r/branches/five "
#define RULES	"GET /repos/o/r/rules/branches/five?"
#define LOOK(state, merged, sha, entry)                                                            \
	JSON(200, "{\"data\":{\"repository\":{\"id\":\"R_1\",\"pullRequest\":{\"id\":\"PR_7\","    \
		  "\"state\":\"" state "\",\"merged\":" merged ",\"headRefOid\":\"" sha            \
		  "\",\"mergeCommit\":{\"oid\":\"" OTHER "\"},\"mergeQueueEntry\":" entry "}}}}")
#define ENTRY  "{\"state\":\"QUEUED\",\"position\":2}"
#define OPEN   LOOK("OPEN", "false", SHA, "null")
#define IN     LOOK("OPEN", "false", SHA, ENTRY)
#define MERGED LOOK("MERGED", "true", SHA, "null")
#define CLOSED LOOK("CLOSED", "false", SHA, "null")
#define MOVED  LOOK("OPEN", "false", OTHER, "null")
#define TAKEN                                                                                      \
	JSON(200, "{\"data\":{\"enqueuePullRequest\":{\"mergeQueueEntry\":{\"id\":\"MQE_1\","      \
		  "\"position\":2,\"state\":\"QUEUED\"}}}}")
#define REFUSED                                                                                    \
	JSON(200, "{\"data\":{\"enqueuePullRequest\":null},\"errors\":[{\"type\":"                 \
		  "\"UNPROCESSABLE\",\"path\":[\"enqueuePullRequest\"],\"message\":\"not today\"}" \
		  "]}")
#define DONE_ JSON(200, "{\"data\":{}}")

static const struct {
	const char *name;
	struct scripted_answer script[4];
	size_t count;
	enum err_class class;
	const char *code;
} enqueues[] = {
	{"it is taken", {{.expect = GRAPHQL, OPEN}, {.expect = GRAPHQL, TAKEN}}, 2, ERR_OK, ""},
	{"it stands there already", {{.expect = GRAPHQL, IN}}, 1, ERR_OK, ""},
	{"it is merged already", {{.expect = GRAPHQL, MERGED}}, 1, ERR_OK, ""},
	{"the head is another", {{.expect = GRAPHQL, MOVED}}, 1, ERR_CONFLICT, "merge.moved"},
	{"it is closed", {{.expect = GRAPHQL, CLOSED}}, 1, ERR_USER, "merge.closed"},
	{"it is refused",
	 {{.expect = GRAPHQL, OPEN}, {.expect = GRAPHQL, REFUSED}, {.expect = GRAPHQL, OPEN}},
	 3,
	 ERR_USER,
	 "merge.refused"},
	{"the head moves while it is asked",
	 {{.expect = GRAPHQL, OPEN}, {.expect = GRAPHQL, REFUSED}, {.expect = GRAPHQL, MOVED}},
	 3,
	 ERR_CONFLICT,
	 "merge.moved"},
	{"it is closed while it is asked",
	 {{.expect = GRAPHQL, OPEN}, {.expect = GRAPHQL, REFUSED}, {.expect = GRAPHQL, CLOSED}},
	 3,
	 ERR_USER,
	 "merge.closed"},
	{"somebody else was faster",
	 {{.expect = GRAPHQL, OPEN}, {.expect = GRAPHQL, REFUSED}, {.expect = GRAPHQL, IN}},
	 3,
	 ERR_OK,
	 ""},
	{"GitHub has a fault",
	 {{.expect = GRAPHQL, OPEN}, {.expect = GRAPHQL, JSON(502, "{}")}},
	 2,
	 ERR_TRANSIENT,
	 NULL},
	{"there is no such pull request",
	 {{.expect = GRAPHQL,
	   JSON(200, "{\"data\":{\"repository\":null},\"errors\":[{\"type\":\"NOT_FOUND\","
		     "\"path\":[\"repository\"],\"message\":\"none\"}]}")}},
	 1,
	 ERR_NOT_FOUND,
	 NULL},
};

static void test_enqueue(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(enqueues); i++) {
		struct world world = start(enqueues[i].script, enqueues[i].count, false);
		struct github_merge_question question = {7, SHA, "merge", NULL};
		AUTO_JSON json_t *seen = NULL;
		struct err err = {0};

		print_message("%s\n", enqueues[i].name);
		assert_int_equal(
			github_enqueue(world.gh, world.http, &repo, &question, &seen, &err),
			enqueues[i].class);
		assert_int_equal(seen != NULL, enqueues[i].class == ERR_OK);
		if (enqueues[i].class && enqueues[i].code)
			assert_string_equal(err.code, enqueues[i].code);
		if (str_eq(err.code, "merge.refused"))
			assert_non_null(strstr(err.msg, "not today"));
		stop(&world);
	}
}

/* The commit that was deployed is the one that is named. */
static void test_enqueue_names_the_commit(void **state)
{
	static const struct scripted_answer script[] = {{.expect = GRAPHQL, OPEN},
							{.expect = GRAPHQL, TAKEN}};
	struct world world = START(script, false);
	struct github_merge_question question = {7, SHA, "merge", NULL};
	AUTO_JSON json_t *seen = NULL;

	(void)state;
	assert_int_equal(github_enqueue(world.gh, world.http, &repo, &question, &seen, NULL),
			 ERR_OK);
	assert_int_equal(jval_int(seen, "queue.position", 0), 2);
	(void)scripted_count(world.server);
	assert_non_null(strstr(world.server->requests[1].body, "\"id\":\"PR_7\""));
	assert_non_null(strstr(world.server->requests[1].body, "\"oid\":\"" SHA "\""));
	stop(&world);
}

static void test_dequeue(void **state)
{
	static const struct {
		const char *name;
		struct scripted_answer script[2];
		size_t count;
		enum err_class class;
	} cases[] = {
		{"it stands there",
		 {{.expect = GRAPHQL, IN}, {.expect = GRAPHQL, DONE_}},
		 2,
		 ERR_OK},
		{"it does not stand there", {{.expect = GRAPHQL, OPEN}}, 1, ERR_OK},
		{"it is refused",
		 {{.expect = GRAPHQL, IN}, {.expect = GRAPHQL, REFUSED}},
		 2,
		 ERR_USER},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world world = start(cases[i].script, cases[i].count, false);

		print_message("%s\n", cases[i].name);
		assert_int_equal(github_dequeue(world.gh, world.http, &repo, 7, NULL),
				 cases[i].class);
		stop(&world);
	}
}

#define BRANCH_AT(sha, protected_)                                                                 \
	JSON(200,                                                                                  \
	     "{\"name\":\"five\",\"commit\":{\"sha\":\"" sha "\"},\"protected\":" protected_ "}")

static const struct {
	const char *name;
	struct scripted_answer script[3];
	size_t count;
	enum err_class class;
	const char *why; /* "": it is gone */
} deletions[] = {
	{"it is deleted",
	 {{.expect = BRANCH, BRANCH_AT(SHA, "false")},
	  {.expect = RULES, JSON(200, "[]")},
	  {.expect = GRAPHQL, DONE_}},
	 3,
	 ERR_OK,
	 ""},
	{"it is gone already",
	 {{.expect = BRANCH, JSON(404, "{\"message\":\"Branch not found\"}")}},
	 1,
	 ERR_OK,
	 ""},
	{"somebody has pushed",
	 {{.expect = BRANCH, BRANCH_AT(OTHER, "false")}},
	 1,
	 ERR_OK,
	 "somebody has pushed to it"},
	{"classic protection",
	 {{.expect = BRANCH, BRANCH_AT(SHA, "true")}},
	 1,
	 ERR_OK,
	 "it is protected"},
	{"a ruleset",
	 {{.expect = BRANCH, BRANCH_AT(SHA, "false")},
	  {.expect = RULES, JSON(200, "[{\"type\":\"deletion\"}]")}},
	 2,
	 ERR_OK,
	 "it is protected"},
	{"rules that cannot be read",
	 {{.expect = BRANCH, BRANCH_AT(SHA, "false")},
	  {.expect = RULES, JSON(403, "{\"message\":\"Upgrade to GitHub Pro\"}")}},
	 2,
	 ERR_OK,
	 "it is protected"},
	{"somebody pushes between the look and the deletion",
	 {{.expect = BRANCH, BRANCH_AT(SHA, "false")},
	  {.expect = RULES, JSON(200, "[]")},
	  {.expect = GRAPHQL, REFUSED}},
	 3,
	 ERR_OK,
	 "not today"},
	{"GitHub has a fault", {{.expect = BRANCH, JSON(502, "{}")}}, 1, ERR_TRANSIENT, NULL},
};

static void test_branch(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(deletions); i++) {
		struct world world = start(deletions[i].script, deletions[i].count, false);
		struct github_branch branch = {"R_1", "five", SHA};
		char why[ERR_MSG_MAX];

		print_message("%s\n", deletions[i].name);
		assert_int_equal(
			github_branch_delete(world.gh, world.http, &repo, &branch, why, NULL),
			deletions[i].class);
		if (deletions[i].why && *deletions[i].why)
			assert_non_null(strstr(why, deletions[i].why));
		else
			assert_string_equal(why, "");
		stop(&world);
	}
}

/* GitHub compares once more: the order names where the branch has to be. */
static void test_branch_is_compared_by_github(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = BRANCH, BRANCH_AT(SHA, "false")},
		{.expect = RULES, JSON(200, "[]")},
		{.expect = GRAPHQL, DONE_},
	};
	struct world world = START(script, false);
	struct github_branch branch = {"R_1", "five", SHA};
	char why[ERR_MSG_MAX];

	(void)state;
	assert_int_equal(github_branch_delete(world.gh, world.http, &repo, &branch, why, NULL),
			 ERR_OK);
	(void)scripted_count(world.server);
	assert_non_null(strstr(world.server->requests[2].body, "\"before\":\"" SHA "\""));
	assert_non_null(strstr(world.server->requests[2].body,
			       "\"after\":\"0000000000000000000000000000000000000000\""));
	assert_non_null(strstr(world.server->requests[2].body, "\"name\":\"refs/heads/five\""));
	stop(&world);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enqueue),
		cmocka_unit_test(test_enqueue_names_the_commit),
		cmocka_unit_test(test_dequeue),
		cmocka_unit_test(test_branch),
		cmocka_unit_test(test_branch_is_compared_by_github),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("github_queue", tests, set_up, tear_down);
}
