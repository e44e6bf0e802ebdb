/* test_github_reviews.c - what people said of a pull request, and who wrote a commit. */
#include "tests/unit/services/github_world.h"

#include "lib/services/github_reviews.h"

#define SHA	"0123456789abcdef0123456789abcdef01234567"
#define REVIEWS "GET /repos/o/r/pulls/7/reviews?"
#define GRAPHQL "POST /graphql "

static const struct reviews_case {
	const char *name;
	struct scripted_answer answers[3];
	size_t count;
	enum err_class want;
	const char *list; /* as JSON, without times */
	bool complete;
} reviews_cases[] = {
	{"none",
	 {{.expect = REVIEWS, .status = 200, .headers = JSON_TYPE, .body = "[]"}},
	 1,
	 ERR_OK,
	 "[]",
	 true},
	{"of a person, of a bot, of an account that is gone",
	 {{.expect = REVIEWS,
	   .status = 200,
	   .headers = JSON_TYPE,
	   .body = "[{\"state\":\"APPROVED\",\"user\":{\"id\":8,\"login\":\"bob\",\"type\":"
		   "\"User\"},\"author_association\":\"MEMBER\","
		   "\"commit_id\":\"" SHA "\",\"submitted_at\":\"1970-01-01T00:00:00Z\"},"
		   "{\"state\":\"APPROVED\",\"user\":{\"id\":9,\"login\":\"x[bot]\",\"type\":"
		   "\"Bot\"},\"author_association\":\"CONTRIBUTOR\","
		   "\"commit_id\":\"" SHA "\"},"
		   "{\"state\":\"DISMISSED\",\"user\":null,\"commit_id\":null}]"}},
	 1,
	 ERR_OK,
	 "[{\"at_ms\":0,\"bot\":false,\"id\":8,\"known\":true,\"login\":\"bob\",\"sha\":\"" SHA
	 "\",\"state\":\"APPROVED\"},{\"at_ms\":0,\"bot\":true,\"id\":9,\"login\":\"x[bot]\","
	 "\"sha\":\"" SHA
	 "\",\"state\":\"APPROVED\"},{\"at_ms\":0,\"bot\":false,\"id\":0,\"login\":"
	 "\"\",\"state\":\"DISMISSED\"}]",
	 true},
	{"an answer that is not a list",
	 {{.expect = REVIEWS,
	   .status = 200,
	   .headers = JSON_TYPE,
	   .body = "{\"message\":\"odd\"}"}},
	 1,
	 ERR_OK,
	 "[]",
	 false},
	{"denied",
	 {{.expect = REVIEWS, .status = 403, .headers = JSON_TYPE, .body = "{\"message\":\"no\"}"}},
	 1,
	 ERR_DENIED,
	 NULL,
	 false},
};

static void test_reviews(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reviews_cases); i++) {
		const struct reviews_case *it = &reviews_cases[i];
		struct world world = start(it->answers, it->count, false);
		AUTO_JSON json_t *list = NULL;
		bool complete = false;
		struct err err = {0};
		enum err_class class =
			github_reviews(world.gh, world.http, &repo, 7, &list, &complete, &err);

		if (class != it->want || (class == ERR_OK && complete != it->complete))
			fail_msg("%s: %d %s", it->name, class, err.msg);
		if (class == ERR_OK) {
			AUTO_FREE char *text = jval_dump(list);

			assert_string_equal(text, it->list);
		}
		stop(&world);
	}
}

#define PEOPLE(total, authors, committer)                                                          \
	"{\"data\":{\"repository\":{\"object\":{\"authors\":{\"totalCount\":" total                \
	",\"nodes\":[" authors "]},\"committer\":" committer "}}}}"
#define BOB "{\"name\":\"Bob\",\"email\":\"b@x\",\"user\":{\"databaseId\":8,\"login\":\"bob\"}}"
#define CAT "{\"name\":\"Cat\",\"email\":\"c@x\",\"user\":null}"
#define WEB                                                                                        \
	"{\"name\":\"GitHub\",\"email\":\"noreply@x\",\"user\":{\"databaseId\":1,\"login\":\"web-" \
	"flow\"}}"

static const struct people_case {
	const char *name, *body;
	int status;
	enum err_class want;
	const char *list;
	bool complete;
} people_cases[] = {
	{"one person", PEOPLE("1", BOB, BOB), 200, ERR_OK,
	 "[{\"id\":8,\"name\":\"bob\",\"role\":\"author\"}]", true},
	{"a co-author without an account, committed in the browser", PEOPLE("2", BOB "," CAT, WEB),
	 200, ERR_OK,
	 "[{\"id\":8,\"name\":\"bob\",\"role\":\"author\"},{\"id\":0,\"name\":\"Cat "
	 "<c@x>\",\"role\":"
	 "\"co-author\"},{\"id\":1,\"name\":\"web-flow\",\"role\":\"committer\"}]",
	 true},
	{"more authors than are named", PEOPLE("101", BOB, BOB), 200, ERR_OK,
	 "[{\"id\":8,\"name\":\"bob\",\"role\":\"author\"}]", false},
	{"no committer", PEOPLE("1", BOB, "null"), 200, ERR_OK,
	 "[{\"id\":8,\"name\":\"bob\",\"role\":\"author\"}]", false},
	{"no authors", PEOPLE("0", "", BOB), 200, ERR_OK,
	 "[{\"id\":8,\"name\":\"bob\",\"role\":\"committer\"}]", false},
	{"a commit that GitHub does not know", "{\"data\":{\"repository\":{\"object\":null}}}", 200,
	 ERR_NOT_FOUND, NULL, false},
	{"a fault that is answered 200",
	 "{\"data\":{\"repository\":null},\"errors\":[{\"type\":\"FORBIDDEN\",\"message\":\"no\"}]"
	 "}",
	 200, ERR_DENIED, NULL, false},
};

static void test_people(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(people_cases); i++) {
		const struct people_case *it = &people_cases[i];
		struct scripted_answer answer = {.expect = GRAPHQL,
						 .status = it->status,
						 .headers = JSON_TYPE,
						 .body = it->body};
		struct world world = start(&answer, 1, false);
		AUTO_JSON json_t *list = NULL;
		bool complete = false;
		struct err err = {0};
		enum err_class class = github_commit_people(world.gh, world.http, &repo, SHA, &list,
							    &complete, &err);

		if (class != it->want || (class == ERR_OK && complete != it->complete))
			fail_msg("%s: %d %s", it->name, class, err.msg);
		if (class == ERR_OK) {
			AUTO_FREE char *text = jval_dump(list);

			assert_string_equal(text, it->list);
		}
		stop(&world);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reviews),
		cmocka_unit_test(test_people),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
