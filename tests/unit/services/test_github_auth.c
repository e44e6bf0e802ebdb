/* Credentials for GitHub, against a scripted far side. What the App signs is verified here with the
 * public half of its key. */
#include "tests/unit/services/github_world.h"

static size_t decode(unsigned char *out, const char *text, size_t len)
{
	AUTO_BUF struct buf padded = buf_make(4096);
	int n;

	for (size_t i = 0; i < len; i++)
		buf_putc(&padded, text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]);
	while (padded.len % 4)
		buf_putc(&padded, '=');
	n = EVP_DecodeBlock(out, (const unsigned char *)padded.data, (int)padded.len);
	assert_true(n >= 0);
	return (size_t)n - (4 - len % 4) % 4;
}

/* Claims of the JWT in an Authorization header whose signature is good. */
static json_t *claims_of(const char *header)
{
	const char *jwt = header + strlen("Bearer "), *first = strchr(jwt, '.');
	const char *second = first ? strchr(first + 1, '.') : NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char part[4096];
	json_t *claims;
	size_t len;

	assert_true(str_starts(header, "Bearer "));
	assert_non_null(second);
	len = decode(part, second + 1, strlen(second + 1));
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, rsa), 1);
	assert_int_equal(EVP_DigestVerify(ctx, part, len, (const unsigned char *)jwt,
					  (size_t)(second - jwt)),
			 1);
	EVP_MD_CTX_free(ctx);
	len = decode(part, first + 1, (size_t)(second - first - 1));
	assert_int_equal(jval_parse(&claims, (const char *)part, len, NULL), ERR_OK);
	return claims;
}

static void check_claims(const struct world *world, int request, int64_t now_s)
{
	AUTO_JSON json_t *claims = claims_of(authorization(world, request));
	int64_t iat = jval_int(claims, "iat", 0);

	assert_true(iat >= now_s - 65 && iat <= now_s - 55);
	assert_int_equal(jval_int(claims, "exp", 0) - iat, 600);
	assert_string_equal(jval_str(claims, "iss", ""), "Iv1.app");
}

static void test_a_token_is_minted_once(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = PULL, JSON(200, PULL_BODY), .always = true},
	};
	struct world world = START(script, true);
	const struct scripted_request *seen = world.server->requests;
	struct github_pull got;

	(void)state;
	assert_int_equal(github_pull(world.gh, world.http, &repo, 7, &got, NULL), ERR_OK);
	assert_int_equal(pull(&world, NULL), ERR_OK);
	assert_int_equal(scripted_count(world.server), 3);
	check_claims(&world, 0, clock_now_ms() / 1000);
	assert_string_equal(seen[0].body, "{\"repository_ids\":[77]}");
	for (int i = 1; i < 3; i++) {
		assert_string_equal(authorization(&world, i), "Bearer " TOKEN_A);
		assert_string_equal(scripted_header(&seen[i], "user-agent"), "kfops/test");
		assert_string_equal(scripted_header(&seen[i], "accept"),
				    "application/vnd.github+json");
		assert_string_equal(scripted_header(&seen[i], "x-github-api-version"),
				    "2022-11-28");
	}
	assert_true(got.open && got.draft && !got.merged && !got.locked);
	assert_string_equal(got.head_sha, "0123456789abcdef0123456789abcdef01234567");
	assert_string_equal(got.head_ref, "topic");
	assert_string_equal(got.base_ref, "main");
	assert_int_equal(got.head_repo_id, 0);
	assert_int_equal(got.base_repo_id, 77);
	assert_int_equal(got.author_id, 9);
	stop(&world);
}

static void *pull_in_thread(void *arg)
{
	struct world mine = *(struct world *)arg;
	struct http_options http = {.user_agent = "kfops/test", .allow_http = true};
	static struct err err[8];
	enum err_class class;

	mine.http = http_new(&http);
	class = pull(&mine, &err[0]);
	http_free(mine.http);
	return class ? arg : NULL;
}

static void run_threads(struct world *world, bool want_ok)
{
	pthread_t threads[6];
	void *failed;

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, pull_in_thread, world);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		pthread_join(threads[i], &failed);
		assert_int_equal(failed == NULL, want_ok);
	}
}

static void test_threads_wait_for_one_mint(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A), .delay_ms = 200},
		{.expect = PULL, JSON(200, PULL_BODY), .always = true},
	};
	struct world world = START(script, true);

	(void)state;
	run_threads(&world, true);
	assert_int_equal(scripted_count(world.server), 7);
	stop(&world);
}

static void test_tokens_are_kept_apart(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = MINT, MINTED("ghs_other_repo")},
		{.expect = MINT, MINTED("ghs_git")},
		{.expect = "POST /app/installations/6/", MINTED("ghs_other_installation")},
		{.expect = PULL, JSON(200, PULL_BODY), .always = true},
	};
	struct github_target other = {5, 78, "o/r"}, elsewhere = {6, 77, "o/r"};
	struct world world = START(script, true);
	struct github_pull got;
	char *token;

	(void)state;
	assert_int_equal(pull(&world, NULL), ERR_OK);
	assert_int_equal(github_pull(world.gh, world.http, &other, 7, &got, NULL), ERR_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(github_git_token(world.gh, world.http, &repo, &token, NULL),
				 ERR_OK);
		assert_string_equal(token, "ghs_git");
		sign_secret_free(token);
	}
	assert_int_equal(github_pull(world.gh, world.http, &elsewhere, 7, &got, NULL), ERR_OK);
	assert_string_equal(authorization(&world, 3), "Bearer ghs_other_repo");
	assert_string_equal(world.server->requests[4].body,
			    "{\"permissions\":{\"contents\":\"read\"},\"repository_ids\":[77]}");
	assert_string_equal(authorization(&world, 6), "Bearer ghs_other_installation");
	stop(&world);
}

static void test_a_fresh_token_that_is_not_known_yet(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = PULL, JSON(401, "{\"message\":\"Bad credentials\"}")},
		{.expect = PULL, JSON(401, "{\"message\":\"Bad credentials\"}")},
		{.expect = PULL, JSON(200, PULL_BODY)},
	};
	struct world world = START(script, true);

	(void)state;
	assert_int_equal(pull(&world, NULL), ERR_OK);
	for (int i = 1; i < 4; i++)
		assert_string_equal(authorization(&world, i), "Bearer " TOKEN_A);
	stop(&world);
}

static void make_old(struct github *gh)
{
	for (struct github_token *at = gh->tokens; at; at = at->next)
		at->minted_ms -= 60000;
}

static void test_an_old_token_is_replaced_once(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = PULL, JSON(200, PULL_BODY)},
		{.expect = PULL, JSON(401, "{\"message\":\"Bad credentials\"}")},
		{.expect = MINT, MINTED(TOKEN_B)},
		{.expect = PULL, JSON(200, PULL_BODY)},
	};
	struct world world = START(script, true);

	(void)state;
	assert_int_equal(pull(&world, NULL), ERR_OK);
	make_old(world.gh);
	assert_int_equal(pull(&world, NULL), ERR_OK);
	assert_string_equal(authorization(&world, 4), "Bearer " TOKEN_B);
	stop(&world);
}

static void test_a_token_that_stays_refused(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A), .always = true},
		{.expect = PULL, JSON(401, "{\"message\":\"Bad credentials\"}"), .always = true},
	};
	struct world world = START(script, true);
	struct err err = {0};

	(void)state;
	assert_int_equal(pull(&world, &err), ERR_CONFIG);
	assert_true(str_starts(err.msg, "GitHub refused the token: Bad credentials"));
	assert_int_equal(scripted_count(world.server), 1 + 4);
	make_old(world.gh);
	assert_int_equal(pull(&world, &err), ERR_CONFIG);
	assert_int_equal(scripted_count(world.server), 5 + 1 + 1 + 4);
	stop(&world);
}

static void test_the_clock_is_corrected(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT,
		 .status = 401,
		 .headers = JSON_TYPE "Date: Sun, 06 Nov 2044 08:49:37 GMT\r\n",
		 .body = "{\"message\":\"'Issued at' claim ('iat') must be an Integer representing "
			 "the "
			 "time that the assertion was issued\"}"},
		{.expect = MINT,
		 JSON(201, "{\"token\":\"" TOKEN_A "\",\"expires_at\":\"2044-11-06T09:49:37Z\"}")},
		{.expect = PULL, JSON(200, PULL_BODY)},
		{.expect = "GET /app/hook/deliveries/1 ",
		 JSON(200, "{\"request\":{\"payload\":{\"zen\":\"x\"}}}")},
	};
	struct world world = START(script, true);
	AUTO_FREE char *payload = NULL;
	int64_t lifetime_ms;

	(void)state;
	assert_int_equal(pull(&world, NULL), ERR_OK);
	assert_int_equal(github_delivery_payload(world.gh, world.http, NULL, 1, &payload, NULL),
			 ERR_OK);
	assert_string_equal(payload, "{\"zen\":\"x\"}");
	check_claims(&world, 0, clock_now_ms() / 1000);
	check_claims(&world, 1, 2362034977);
	check_claims(&world, 3, 2362034977);
	/* The token's end is by GitHub's clock too. */
	lifetime_ms = world.gh->tokens->expires_ms - clock_mono_ms();
	assert_true(lifetime_ms > 3500000 && lifetime_ms <= 3600000);
	stop(&world);
}

static void test_a_clock_that_stays_wrong(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT,
		 .status = 401,
		 .always = true,
		 .headers = JSON_TYPE "Date: Sun, 06 Nov 2044 08:49:37 GMT\r\n",
		 .body = "{\"message\":\"'Expiration time' claim ('exp') is too far in the "
			 "future\"}"},
	};
	struct world world = START(script, true);
	struct err err = {0};

	(void)state;
	assert_int_equal(pull(&world, &err), ERR_CONFIG);
	assert_int_equal(scripted_count(world.server), 2);
	stop(&world);
}

static void test_a_token_near_its_end(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = PULL, JSON(200, PULL_BODY), .always = true},
		{.expect = MINT, .fault = SCRIPTED_RESET},
		{.expect = MINT, MINTED(TOKEN_B)},
	};
	struct world world = START(script, true);

	(void)state;
	assert_int_equal(pull(&world, NULL), ERR_OK);
	world.gh->tokens->renew_at_ms = clock_mono_ms() - 1;
	/* The renewal fails, the old token is still good. */
	assert_int_equal(pull(&world, NULL), ERR_OK);
	assert_string_equal(authorization(&world, 3), "Bearer " TOKEN_A);
	assert_int_equal(pull(&world, NULL), ERR_OK);
	assert_string_equal(authorization(&world, 5), "Bearer " TOKEN_B);
	stop(&world);
}

static const struct {
	const char *name;
	struct scripted_answer answer;
	enum err_class want;
	const char *code, *says;
} mint_faults[] = {
	{"suspended",
	 {JSON(403, "{\"message\":\"This installation has been suspended\"}")},
	 ERR_DENIED,
	 "github.suspended",
	 "suspended"},
	{"deleted",
	 {JSON(404, "{\"message\":\"Not Found\"}")},
	 ERR_DENIED,
	 "github.not_installed",
	 "not installed on o/r"},
	{"key of another App",
	 {JSON(404, "{\"message\":\"Integration not found\"}")},
	 ERR_CONFIG,
	 "github.unknown_app",
	 "configured App"},
	{"wrong key",
	 {JSON(401, "{\"message\":\"A JSON web token could not be decoded\"}")},
	 ERR_CONFIG,
	 "github.key_refused",
	 "could not be decoded"},
	{"grants less",
	 {JSON(422, "{\"message\":\"The permissions requested are not granted\"}")},
	 ERR_DENIED,
	 NULL,
	 "grants less"},
	{"fault", {JSON(502, "{}")}, ERR_TRANSIENT, "github.fault", NULL},
	{"reset", {.fault = SCRIPTED_RESET}, ERR_TRANSIENT, NULL, NULL},
	{"no token in it", {JSON(201, "{}")}, ERR_TRANSIENT, NULL, "no token"},
	{"half of it", {JSON(201, "{\"token\":\"ghs_SECRET")}, ERR_TRANSIENT, NULL, NULL},
};

static void test_minting_fails(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(mint_faults); i++) {
		struct scripted_answer script[1] = {mint_faults[i].answer};
		struct github_comment comment;
		struct world world;
		struct err err = {0};

		print_message("%s\n", mint_faults[i].name);
		script[0].expect = MINT;
		world = START(script, true);
		assert_int_equal(
			github_comment_create(world.gh, world.http, &repo, 7, "x", &comment, &err),
			mint_faults[i].want);
		assert_int_equal(err.class, mint_faults[i].want);
		assert_false(err.in_doubt); /* the comment itself was never sent */
		if (mint_faults[i].code)
			assert_string_equal(err.code, mint_faults[i].code);
		if (mint_faults[i].says && !strstr(err.msg, mint_faults[i].says))
			fail_msg("\"%s\"", err.msg);
		assert_null(strstr(err.msg, "SECRET"));
		stop(&world);
	}
}

static void test_threads_share_a_failed_mint(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MINT,
		 JSON(403, "{\"message\":\"This installation has been suspended\"}"),
		 .delay_ms = 300,
		 .always = true},
	};
	struct world world = START(script, true);

	(void)state;
	run_threads(&world, false);
	assert_true(scripted_count(world.server) <= 2);
	stop(&world);
}

static void test_the_installation_is_looked_up(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "GET /repos/o/r/installation ", JSON(200, "{\"id\":5}")},
		{.expect = "GET /repos/o/none/installation ",
		 JSON(404, "{\"message\":\"Not Found\"}")},
		{.expect = MINT, MINTED(TOKEN_A)},
		{.expect = PULL, JSON(200, PULL_BODY), .always = true},
	};
	struct github_target unknown = {0, 77, "o/r"}, nowhere = {0, 78, "o/none"};
	struct world world = START(script, true);
	struct github_pull got;
	struct err err = {0};

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(github_pull(world.gh, world.http, &unknown, 7, &got, NULL),
				 ERR_OK);
	assert_int_equal(github_pull(world.gh, world.http, &nowhere, 7, &got, &err), ERR_DENIED);
	assert_string_equal(err.code, "github.not_installed");
	check_claims(&world, 0, clock_now_ms() / 1000);
	stop(&world);
}

static void test_token_mode_reads_the_file_again(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = PULL, JSON(200, PULL_BODY)},
		{.expect = PULL, JSON(200, PULL_BODY)},
		{.expect = PULL, JSON(200, PULL_BODY)},
		{.expect = PULL, JSON(401, "{\"message\":\"Bad credentials\"}")},
	};
	struct github_target anywhere = {0, 77, "o/r"};
	struct world world = START(script, false);
	struct github_pull got;
	struct err err = {0};
	char *token;
	int64_t id;

	(void)state;
	assert_int_equal(github_pull(world.gh, world.http, &anywhere, 7, &got, NULL), ERR_OK);
	assert_string_equal(authorization(&world, 0), "Bearer ghp_personal");
	write_file(token_file, "github_pat_new");
	assert_int_equal(pull(&world, NULL), ERR_OK);
	assert_string_equal(authorization(&world, 1), "Bearer github_pat_new");
	unlink(token_file); /* between two steps of whoever replaces it */
	assert_int_equal(pull(&world, NULL), ERR_OK);
	assert_string_equal(authorization(&world, 2), "Bearer github_pat_new");
	assert_int_equal(github_git_token(world.gh, world.http, &repo, &token, NULL), ERR_OK);
	assert_string_equal(token, "github_pat_new");
	sign_secret_free(token);
	assert_int_equal(pull(&world, &err), ERR_CONFIG);
	assert_int_equal(github_check_create(world.gh, world.http, &repo, NULL, &id, &err),
			 ERR_BUG);
	stop(&world);
}

static const struct CMUnitTest github_auth_tests[] = {
	cmocka_unit_test(test_a_token_is_minted_once),
	cmocka_unit_test(test_threads_wait_for_one_mint),
	cmocka_unit_test(test_tokens_are_kept_apart),
	cmocka_unit_test(test_a_fresh_token_that_is_not_known_yet),
	cmocka_unit_test(test_an_old_token_is_replaced_once),
	cmocka_unit_test(test_a_token_that_stays_refused),
	cmocka_unit_test(test_the_clock_is_corrected),
	cmocka_unit_test(test_a_clock_that_stays_wrong),
	cmocka_unit_test(test_a_token_near_its_end),
	cmocka_unit_test(test_minting_fails),
	cmocka_unit_test(test_threads_share_a_failed_mint),
	cmocka_unit_test(test_the_installation_is_looked_up),
	cmocka_unit_test(test_token_mode_reads_the_file_again),
};

CASES_MAIN(github_auth_tests, set_up, tear_down)
