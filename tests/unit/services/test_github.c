/* People, pull requests, check runs, deliveries, and what the operator may get wrong. */
#include <fcntl.h>

#include "tests/unit/services/github_world.h"

static const struct {
	const char *name, *body;
	int64_t user_id;
	bool push, admin;
} permissions[] = {
	{"writer",
	 "{\"permission\":\"write\",\"role_name\":\"deployer\",\"user\":{\"id\":5,\"permissions\":{"
	 "\"pull\":true,\"triage\":true,\"push\":true,\"maintain\":false,\"admin\":false}}}",
	 5, true, false},
	{"nobody", "{\"permission\":\"admin\",\"user\":null}", 0, false, false},
	{"no rights listed", "{\"permission\":\"admin\",\"user\":{\"id\":5}}", 5, false, false},
	{"rights without an id", "{\"user\":{\"permissions\":{\"push\":true,\"admin\":true}}}", 0,
	 false, false},
	{"words for rights", "{\"user\":{\"id\":5,\"permissions\":{\"push\":\"true\"}}}", 5, false,
	 false},
};

static void test_permission(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(permissions); i++) {
		struct scripted_answer script[] = {
			{.expect = "GET /repos/o/r/collaborators/ann/permission ",
			 JSON(200, permissions[i].body)},
		};
		struct world world = START(script, false);
		struct github_permission got;

		print_message("%s\n", permissions[i].name);
		assert_int_equal(github_permission(world.gh, world.http, &repo, "ann", &got, NULL),
				 ERR_OK);
		assert_int_equal(got.user_id, permissions[i].user_id);
		assert_int_equal(got.push, permissions[i].push);
		assert_int_equal(got.admin, permissions[i].admin);
		stop(&world);
	}
}

static void test_a_branch_name_without_end(void **state)
{
	AUTO_FREE char *name = mem_new(1, 300), *body = NULL;

	(void)state;
	memset(name, 'x', 299);
	body = str_printf(
		"{\"number\":7,\"state\":\"open\",\"head\":{\"ref\":\"%s\",\"sha\":\"%040d\","
		"\"repo\":{\"id\":1}},\"base\":{\"ref\":\"main\",\"repo\":{\"id\":1}}}",
		name, 1);
	{
		struct scripted_answer script[] = {
			{.expect = "GET /repos/o/r/pulls/7 ", JSON(200, body)}};
		struct world world = START(script, false);
		struct github_pull got;
		struct err err = {0};

		assert_int_equal(github_pull(world.gh, world.http, &repo, 7, &got, &err), ERR_USER);
		assert_string_equal(err.code, "github.name_too_long");
		stop(&world);
	}
}

static void test_identity_lists_what_is_missing(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "GET /app ",
		 JSON(200, "{\"id\":99,\"slug\":\"kfops\",\"permissions\":{\"metadata\":"
			   "\"read\",\"issues\":\"read\",\"contents\":\"admin\"}}")},
		{.expect = "GET /app ",
		 JSON(200, "{\"id\":99,\"slug\":\"kfops\",\"permissions\":{\"metadata\":"
			   "\"read\",\"issues\":\"write\",\"contents\":\"read\",\"checks\":"
			   "\"write\",\"pull_requests\":\"write\"}}")},
		{.expect = "GET /app ", JSON(200, APP_BODY)},
	};
	struct world world = START(script, true);
	struct github_identity self;
	struct err err = {0};

	(void)state;
	assert_int_equal(github_identity(world.gh, world.http, &self, &err), ERR_DENIED);
	assert_string_equal(err.code, "github.app_permissions");
	assert_non_null(strstr(err.msg, "issues: write, pull_requests: write, checks: write;"));
	world.gh->deploys = true;
	assert_int_equal(github_identity(world.gh, world.http, &self, &err), ERR_DENIED);
	assert_non_null(strstr(err.msg, ": contents: write, deployments: write, statuses: read;"));
	world.gh->deploys = false;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(github_identity(world.gh, world.http, &self, &err), ERR_OK);
		assert_true(self.is_app);
		assert_int_equal(self.app_id, 99);
		assert_string_equal(self.login, "kfops[bot]");
	}
	stop(&world);
}

static json_t *check_body(int annotations)
{
	json_t *body = json_object(), *output = json_object(), *list = json_array();

	for (int i = 0; i < annotations; i++)
		json_array_append_new(list, json_integer(i));
	jval_set_str(body, "name", "kfops");
	jval_set_str(body, "head_sha", "abc");
	jval_set_str(output, "title", "t");
	jval_set_str(output, "summary", "s");
	jval_set(output, "annotations", list);
	jval_set(body, "output", output);
	return body;
}

static void check_annotations(const struct scripted_request *request, int first, int count)
{
	AUTO_JSON json_t *sent = NULL;
	const json_t *list;

	assert_int_equal(jval_parse(&sent, request->body, request->body_len, NULL), ERR_OK);
	list = jval_at(sent, "output.annotations");
	assert_int_equal(json_array_size(list), count);
	assert_int_equal(json_integer_value(json_array_get(list, 0)), first);
	assert_string_equal(jval_str(sent, "output.title", ""), "t");
	assert_string_equal(jval_str(sent, "output.summary", ""), "s");
}

static void test_annotations_go_in_parts(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = "POST /repos/o/r/check-runs ", JSON(201, "{\"id\":40}")},
		{.expect = "PATCH /repos/o/r/check-runs/40 ", JSON(200, "{\"id\":40}")},
		{.expect = "PATCH /repos/o/r/check-runs/40 ",
		 JSON(500, "{}")}, /* decoration may fail */
		{.expect = "PATCH /repos/o/r/check-runs/40 ", JSON(200, "{\"id\":40}")},
	};
	struct world world = START(script, true);
	AUTO_JSON json_t *many = check_body(120), *few = check_body(3);
	int64_t id;

	(void)state;
	assert_int_equal(github_check_create(world.gh, world.http, &repo, many, &id, NULL), ERR_OK);
	assert_int_equal(id, 40);
	check_annotations(&world.server->requests[1], 0, 50);
	check_annotations(&world.server->requests[2], 50, 50);
	check_annotations(&world.server->requests[3], 100, 20);
	assert_int_equal(json_array_size(jval_at(many, "output.annotations")), 120);
	assert_int_equal(github_check_update(world.gh, world.http, &repo, 40, few, NULL), ERR_OK);
	check_annotations(&world.server->requests[4], 0, 3);
	assert_null(strstr(world.server->requests[4].body, "head_sha"));
	stop(&world);
}

static void test_check_find(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "GET /app ", JSON(200, APP_BODY)},
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = "GET "
			   "/repos/o/r/commits/abc/"
			   "check-runs?check_name=kfops%20%2F%20run&filter=all&"
			   "app_id=99&",
		 JSON(200, "{\"check_runs\":[{\"id\":1,\"external_id\":\"J1\",\"app\":{\"id\":99}},"
			   "{\"id\":3,\"external_id\":\"J1\",\"app\":{\"id\":99}},"
			   "{\"id\":4,\"external_id\":\"J1\",\"app\":{\"id\":98}},"
			   "{\"id\":5,\"external_id\":\"J2\",\"app\":{\"id\":99}},"
			   "{\"id\":2,\"external_id\":\"J1\",\"app\":{\"id\":99}}]}"),
		 .always = true},
	};
	struct world world = START(script, true);
	int64_t id;

	(void)state;
	assert_int_equal(github_check_find(world.gh, world.http, &repo, "abc", "kfops / run", "J1",
					   &id, NULL),
			 ERR_OK);
	assert_int_equal(id, 3);
	assert_int_equal(github_check_find(world.gh, world.http, &repo, "abc", "kfops / run", "J3",
					   &id, NULL),
			 ERR_NOT_FOUND);
	stop(&world);
}

static void test_small_writes(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "DELETE /repos/o/r/issues/comments/1/reactions/2 ", .status = 204},
		{.expect = "DELETE /repos/o/r/issues/comments/1/reactions/2 ",
		 JSON(404, "{\"message\":\"Not Found\"}")},
		{.expect = "POST /repos/o/r/statuses/abc ", JSON(201, "{\"id\":1}")},
		{.expect = "PATCH /repos/o/r/issues/comments/9 ",
		 JSON(404, "{\"message\":\"Not Found\"}")},
		{.expect = "POST /repos/o/r/issues/7/comments ",
		 JSON(403, "{\"message\":\"Unable to create comment because issue is locked.\"}")},
	};
	struct world world = START(script, false);
	AUTO_JSON json_t *status = json_object();
	struct github_comment made;
	struct err err = {0};

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(github_reaction_remove(world.gh, world.http, &repo, 1, 2, NULL),
				 ERR_OK);
	jval_set_str(status, "state", "success");
	assert_int_equal(github_status_create(world.gh, world.http, &repo, "abc", status, NULL),
			 ERR_OK);
	assert_int_equal(github_comment_update(world.gh, world.http, &repo, 9, "x\xff", &err),
			 ERR_NOT_FOUND);
	assert_int_equal(github_comment_create(world.gh, world.http, &repo, 7, "x", &made, &err),
			 ERR_DENIED);
	assert_string_equal(err.code, "github.locked");
	assert_string_equal(world.server->requests[3].body, "{\"body\":\"x\xef\xbf\xbd\"}");
	stop(&world);
}

struct seen_deliveries {
	int count, stop_after;
	struct github_delivery last;
};

static bool note_delivery(void *arg, const struct github_delivery *delivery)
{
	struct seen_deliveries *seen = arg;

	seen->last = *delivery;
	return ++seen->count != seen->stop_after;
}

static void test_deliveries(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "GET /app/hook/deliveries?per_page=100 ",
		 .status = 200,
		 .always = true,
		 .headers = JSON_TYPE
		 "Link: </app/hook/deliveries?per_page=100&cursor=v1_2>; rel=\"next\"\r\n",
		 .body = "[{\"id\":12345678901234,\"guid\":\"g1\",\"event\":\"issue_comment\","
			 "\"delivered_at\":"
			 "\"2026-11-21T12:00:00Z\",\"status_code\":202,\"status\":\"OK\"},{\"id\":"
			 "\"odd\"},"
			 "{\"id\":2,\"guid\":\"g2\",\"event\":\"push\",\"delivered_at\":"
			 "\"2026-11-21T11:00:00Z\",\"status_code\":503}]"},
		{.expect = "GET /app/hook/deliveries?per_page=100&cursor=v1_2 ",
		 JSON(200, "[{\"id\":3,\"guid\":\"g3\",\"event\":\"ping\",\"delivered_at\":"
			   "\"2026-11-21T10:00:00Z\",\"status_code\":0}]")},
		{.expect = "GET /app/hook/deliveries/2 ",
		 JSON(200, "{\"request\":{\"payload\":null}}")},
	};
	struct world world = START(script, true);
	struct seen_deliveries all = {0}, one = {.stop_after = 1};
	struct err err = {0};
	char *payload;

	(void)state;
	assert_int_equal(github_deliveries(world.gh, world.http, NULL, note_delivery, &all, NULL),
			 ERR_OK);
	assert_int_equal(all.count, 3);
	assert_int_equal(all.last.id, 3);
	assert_false(all.last.ok);
	assert_int_equal(github_deliveries(world.gh, world.http, NULL, note_delivery, &one, NULL),
			 ERR_OK);
	assert_int_equal(one.count, 1);
	assert_true(one.last.ok);
	assert_int_equal(one.last.id, 12345678901234);
	assert_string_equal(one.last.guid, "g1");
	assert_string_equal(one.last.event, "issue_comment");
	assert_int_equal(one.last.delivered_at_ms, 1795262400000);
	assert_int_equal(github_delivery_payload(world.gh, world.http, NULL, 2, &payload, &err),
			 ERR_NOT_FOUND);
	assert_null(payload);
	stop(&world);
}

/* --- what the operator may get wrong --- */

static const struct {
	const char *name;
	struct github_options options;
	const char *says;
} refused[] = {
	{"no address", {.app_id = "1", .private_key_file = key_file}, "begin with https://"},
	{"bare host",
	 {.api_url = "api.github.com", .app_id = "1", .private_key_file = key_file},
	 "begin with https://"},
	{"no credential", {.api_url = "https://h"}, "neither an App id nor a token file"},
	{"two credentials",
	 {.api_url = "https://h", .app_id = "1", .token_file = token_file},
	 "both an App id and a token file"},
	{"no key file", {.api_url = "https://h", .app_id = "1"}, "no private key file"},
	{"empty id",
	 {.api_url = "https://h", .app_id = "", .private_key_file = key_file},
	 "is empty"},
	{"missing key",
	 {.api_url = "https://h", .app_id = "1", .private_key_file = "/nonexistent"},
	 "/nonexistent cannot be read"},
	{"not a key",
	 {.api_url = "https://h", .app_id = "1", .private_key_file = token_file},
	 "not readable as PEM"},
	{"missing token",
	 {.api_url = "https://h", .token_file = "/nonexistent"},
	 "/nonexistent cannot be read"},
};

static void test_options(void **state)
{
	(void)state;
	write_file(token_file, "ghp_SECRET");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct github *gh;
		struct err err = {0};

		print_message("%s\n", refused[i].name);
		assert_int_equal(github_new(&gh, &refused[i].options, &err), ERR_CONFIG);
		assert_null(gh);
		if (!strstr(err.msg, refused[i].says))
			fail_msg("\"%s\"", err.msg);
		assert_null(strstr(err.msg, "SECRET"));
	}
}

static void test_addresses(void **state)
{
	static const struct {
		const char *api_url, *graphql_url, *want_api, *want_graphql;
	} cases[] = {
		{"https://api.github.com", NULL, "https://api.github.com",
		 "https://api.github.com/graphql"},
		{"https://api.sub.ghe.com/", "", "https://api.sub.ghe.com",
		 "https://api.sub.ghe.com/graphql"},
		{"https://host/api/v3/", NULL, "https://host/api/v3", "https://host/api/graphql"},
		{"https://host/api/v3", "https://host/g/", "https://host/api/v3", "https://host/g"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct github_options options = {.api_url = cases[i].api_url,
						 .graphql_url = cases[i].graphql_url,
						 .app_id = "1",
						 .private_key_file = key_file};
		struct github *gh;

		assert_int_equal(github_new(&gh, &options, NULL), ERR_OK);
		assert_string_equal(gh->api_url, cases[i].want_api);
		assert_string_equal(gh->graphql_url, cases[i].want_graphql);
		github_free(gh);
	}
}

/* --- the log --- */

static void test_the_log_holds_no_secret(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = PULL,
		 .status = 200,
		 .body = PULL_BODY,
		 .headers = JSON_TYPE "X-GitHub-Request-Id: AB12:34\r\n"},
	};
	struct world world = START(script, true);
	static char text[20000];
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	dup2(fds[1], STDERR_FILENO);
	log_set_level(LOG_LEVEL_DEBUG);
	assert_int_equal(pull(&world, NULL), ERR_OK);
	log_set_level(LOG_LEVEL_ERROR);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(fds[0], text, sizeof text - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	close(fds[1]);
	assert_non_null(
		strstr(text, "event=github_call method=GET path=/repos/o/r/pulls/7 status=200"));
	assert_non_null(strstr(text, "request_id=AB12:34"));
	assert_null(strstr(text, "ghs_"));
	assert_null(strstr(text, "eyJ"));
	stop(&world);
}

static const struct CMUnitTest github_tests[] = {
	cmocka_unit_test(test_permission),
	cmocka_unit_test(test_a_branch_name_without_end),
	cmocka_unit_test(test_identity_lists_what_is_missing),
	cmocka_unit_test(test_annotations_go_in_parts),
	cmocka_unit_test(test_check_find),
	cmocka_unit_test(test_small_writes),
	cmocka_unit_test(test_deliveries),
	cmocka_unit_test(test_options),
	cmocka_unit_test(test_addresses),
	cmocka_unit_test(test_the_log_holds_no_secret),
};

CASES_MAIN(github_tests, set_up, tear_down)
