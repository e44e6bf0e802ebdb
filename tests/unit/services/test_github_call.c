/* One call to GitHub: redirects, broken answers, limits; against a scripted far side. */
#include "lib/base/metrics.h"

#include "tests/unit/services/github_world.h"

/* --- where a call may lead --- */

static void test_redirects(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = "POST /repos/o/r/issues/7/comments ",
		 .status = 307,
		 .headers = "Location: /repositories/77/issues/7/comments\r\n"},
		{.expect = "POST /repositories/77/issues/7/comments ",
		 JSON(201, "{\"id\":31,\"node_id\":\"IC_x\"}")},
		{.expect = "PATCH /repos/o/r/issues/comments/31 ",
		 .status = 301,
		 .headers = "Location: https://evil.example/collect\r\n"},
		{.expect = PULL,
		 .status = 302,
		 .headers = "Location: /repos/o/r/pulls/7\r\n",
		 .always = true},
	};
	struct world world = START(script, true);
	struct github_comment made;
	struct err err = {0};

	(void)state;
	assert_int_equal(
		github_comment_create(world.gh, world.http, &repo, 7, "hello", &made, NULL),
		ERR_OK);
	assert_int_equal(made.id, 31);
	assert_string_equal(made.node_id, "IC_x");
	assert_string_equal(world.server->requests[2].body, "{\"body\":\"hello\"}");
	assert_string_equal(authorization(&world, 2), "Bearer " TOKEN_A);
	assert_int_equal(github_comment_update(world.gh, world.http, &repo, 31, "x", &err),
			 ERR_CONFIG);
	assert_string_equal(err.code, "github.redirect");
	assert_int_equal(pull(&world, &err), ERR_TRANSIENT);
	assert_int_equal(scripted_count(world.server), 4 + 4); /* the call and three hops */
	stop(&world);
}

static void test_names_stay_in_their_segment(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = "GET /repos/o/r/collaborators/..%2F..%2Fuser%3Fx%23/permission ",
		 JSON(404, "{\"message\":\"Not Found\"}")},
		{.expect = "GET /repos/o/r/collaborators/%2E%2E/permission ",
		 JSON(404, "{\"message\":\"Not Found\"}")},
		{.expect = "GET /repos/o/..%2Fr%20r/pulls/7 ", JSON(404, "{}")},
	};
	struct github_target odd = {5, 77, "o/../r r"};
	struct github_permission permission;
	struct world world = START(script, true);
	struct github_pull got;

	(void)state;
	assert_int_equal(
		github_permission(world.gh, world.http, &repo, "../../user?x#", &permission, NULL),
		ERR_NOT_FOUND);
	assert_int_equal(github_permission(world.gh, world.http, &repo, "..", &permission, NULL),
			 ERR_NOT_FOUND);
	assert_int_equal(github_pull(world.gh, world.http, &odd, 7, &got, NULL), ERR_NOT_FOUND);
	stop(&world);
}

/* --- answers that are not answers --- */

static void test_a_broken_connection_after_a_write(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = "POST /repos/o/r/issues/7/comments", .fault = SCRIPTED_RESET},
		{.expect = "POST /repos/o/r/issues/7/comments", JSON(201, "{\"id\":3")},
		{.expect = "POST /repos/o/r/issues/7/comments", JSON(201, "{}")},
		{.expect = "POST /repos/o/r/issues/7/comments",
		 JSON(502, "{\"message\":\"Server Error\"}")},
		{.expect = "POST /repos/o/r/issues/7/comments", JSON(422, "{\"message\":\"x\"}")},
		{.expect = PULL, .fault = SCRIPTED_RESET},
		{.expect = PULL,
		 .fault = SCRIPTED_RESET}, /* a read may be started again by libcurl */
	};
	struct world world = START(script, true);
	struct github_comment made;

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct err err = {0};
		enum err_class class =
			github_comment_create(world.gh, world.http, &repo, 7, "x", &made, &err);

		assert_int_equal(class, i < 4 ? ERR_TRANSIENT : ERR_USER);
		assert_int_equal(err.in_doubt, i < 4);
		assert_int_equal(made.id, 0);
	}
	{
		struct err err = {0};

		assert_int_equal(pull(&world, &err), ERR_TRANSIENT);
		assert_false(err.in_doubt);
	}
	stop(&world);
}

static void test_an_answer_over_the_cap(void **state)
{
	size_t len = 9 * 1024 * 1024;
	char *body = mem_new(len + 1, 1);
	struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = PULL, JSON(200, body)},
	};
	struct world world;
	struct err err = {0};

	(void)state;
	memset(body, ' ', len);
	world = START(script, true);
	assert_int_equal(pull(&world, &err), ERR_TRANSIENT);
	assert_non_null(strstr(err.msg, "larger than 8388608 bytes"));
	stop(&world);
	mem_free(body);
}

static const struct {
	const char *name, *body;
	enum err_class want;
} pulls[] = {
	{"half of it", "{\"state\":\"op", ERR_TRANSIENT},
	{"an array", "[]", ERR_TRANSIENT},
	{"nothing in it", "{}", ERR_TRANSIENT},
	{"a short sha", "{\"state\":\"open\",\"head\":{\"sha\":\"0123\"}}", ERR_TRANSIENT},
	{"no base",
	 "{\"state\":\"open\",\"head\":{\"sha\":\"0123456789abcdef0123456789abcdef01234567\"}}",
	 ERR_TRANSIENT},
	{"nested too deeply",
	 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
	 "[[["
	 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
	 "[[["
	 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	 ERR_TRANSIENT},
};

static void test_odd_pull_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pulls); i++) {
		struct scripted_answer script[] = {
			{.expect = MINT, MINTED(TOKEN_A)},
			{.expect = PULL, JSON(200, pulls[i].body)},
		};
		struct world world = START(script, true);
		struct err err = {0};

		print_message("%s\n", pulls[i].name);
		assert_int_equal(pull(&world, &err), pulls[i].want);
		stop(&world);
	}
}

/* --- limits --- */

static void test_nothing_goes_out_while_waiting(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = PULL,
		 .status = 403,
		 .headers = JSON_TYPE "Retry-After: 120\r\n",
		 .body = "{\"message\":\"You have exceeded a secondary rate limit.\"}"},
		{.expect = "POST /app/installations/6/", MINTED(TOKEN_B)},
		{.expect = PULL, JSON(200, PULL_BODY)},
	};
	struct github_target elsewhere = {6, 88, "o/r"};
	struct world world = START(script, true);
	struct github_pull got;
	int64_t id, now_ms = clock_now_ms(), waits;
	struct err err = {0};

	(void)state;
	waits = metrics_get(METRIC_RATE_WAITS, "retry_after");
	assert_int_equal(github_paused_until_ms(world.gh, 5), 0);
	assert_int_equal(pull(&world, &err), ERR_THROTTLED);
	assert_string_equal(err.code, "github.wait");
	assert_true(err.retry_at_ms >= now_ms + 119000 && err.retry_at_ms <= now_ms + 125000);
	assert_false(err.in_doubt);
	assert_int_equal(metrics_get(METRIC_RATE_WAITS, "retry_after"), waits + 1);
	err = (struct err){0};
	assert_int_equal(github_reaction_add(world.gh, world.http, &repo, 1, "eyes", &id, &err),
			 ERR_THROTTLED);
	assert_true(err.retry_at_ms >= now_ms + 119000);
	world.gh->tokens->text[0] = 'x'; /* no call would get through with it */
	assert_int_equal(pull(&world, &err), ERR_THROTTLED);
	assert_true(github_paused_until_ms(world.gh, 5) >= now_ms + 119000);
	assert_true(github_next_write_ms(world.gh, 5) >= now_ms + 119000);
	assert_int_equal(scripted_count(world.server), 2);
	/* Another installation has a budget of its own. */
	assert_int_equal(github_pull(world.gh, world.http, &elsewhere, 7, &got, NULL), ERR_OK);
	assert_int_equal(github_paused_until_ms(world.gh, 6), 0);
	stop(&world);
}

static void test_writes_are_paced(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "POST /repos/o/r/issues/comments/1/reactions ",
		 JSON(201, "{\"id\":11}")},
		{.expect = "POST /repos/o/r/issues/comments/1/reactions ",
		 JSON(200, "{\"id\":11}")},
		{.expect = PULL, JSON(200, PULL_BODY)},
	};
	struct world world = START(script, false);
	int64_t id, now_ms;
	struct err err = {0};

	(void)state;
	world.gh->limits.write_gap_ms = 40; /* short enough to be slept off */
	assert_int_equal(github_reaction_add(world.gh, world.http, &repo, 1, "eyes", &id, NULL),
			 ERR_OK);
	assert_int_equal(github_reaction_add(world.gh, world.http, &repo, 1, "eyes", &id, NULL),
			 ERR_OK);
	assert_int_equal(id, 11);
	assert_true(world.server->requests[1].at_ms - world.server->requests[0].at_ms >= 38);
	world.gh->limits.write_gap_ms = 60000;
	now_ms = clock_now_ms();
	assert_int_equal(github_reaction_add(world.gh, world.http, &repo, 1, "eyes", &id, &err),
			 ERR_THROTTLED);
	assert_true(err.retry_at_ms > now_ms + 59000 && err.retry_at_ms <= now_ms + 61000);
	assert_true(llabs(github_next_write_ms(world.gh, 0) - err.retry_at_ms) < 100);
	assert_int_equal(github_paused_until_ms(world.gh, 0), 0);
	assert_int_equal(pull(&world, NULL), ERR_OK); /* reading is not writing */
	stop(&world);
}

static const struct CMUnitTest github_call_tests[] = {
	cmocka_unit_test(test_redirects),
	cmocka_unit_test(test_names_stay_in_their_segment),
	cmocka_unit_test(test_a_broken_connection_after_a_write),
	cmocka_unit_test(test_an_answer_over_the_cap),
	cmocka_unit_test(test_odd_pull_requests),
	cmocka_unit_test(test_nothing_goes_out_while_waiting),
	cmocka_unit_test(test_writes_are_paced),
};

CASES_MAIN(github_call_tests, set_up, tear_down)
