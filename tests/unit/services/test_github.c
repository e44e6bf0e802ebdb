/* The client against a scripted GitHub on loopback: credentials, redirects, limits, and every call.
 * The App's key is made here; what it signs is verified with its public half. */
#include <fcntl.h>
#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/services/github_impl.h"
#include "tests/unit/cases.h"
#include "tests/unit/scripted_server.h"

#define JSON_TYPE	     "Content-Type: application/json; charset=utf-8\r\n"
#define JSON(status_, body_) .status = (status_), .headers = JSON_TYPE, .body = (body_)
#define TOKEN_A                                                                                    \
	"ghs_12345_eyJhbGciOi.eyJpc3Mi-"                                                           \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"                             \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_end"
#define TOKEN_B	      "ghs_second"
#define MINTED(token) JSON(201, "{\"token\":\"" token "\",\"expires_at\":\"2099-01-01T00:00:00Z\"}")
#define MINT	      "POST /app/installations/5/access_tokens "
#define PULL	      "GET /repos/o/r/pulls/7 "
#define PULL_BODY                                                                                  \
	"{\"state\":\"open\",\"draft\":true,\"head\":{\"sha\":"                                    \
	"\"0123456789abcdef0123456789abcdef01234567\",\"ref\":\"topic\",\"repo\":null},"           \
	"\"base\":{\"ref\":\"main\",\"repo\":{\"id\":77}},\"html_url\":\"https://g/o/r/pull/7\"}"
#define APP_BODY                                                                                   \
	"{\"id\":99,\"slug\":\"kfops\",\"permissions\":{\"metadata\":\"read\",\"issues\":"         \
	"\"write\","                                                                               \
	"\"pull_requests\":\"write\",\"contents\":\"write\",\"checks\":\"write\"}}"

static const struct github_target repo = {.installation_id = 5, .repo_id = 77, .repo = "o/r"};

static EVP_PKEY *rsa;
static char dir[64], key_file[80], token_file[80];

/* A client and its scripted far side. */
struct world {
	struct scripted_server *server;
	struct github *gh;
	struct http *http;
};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	chmod(path, 0600);
}

static struct world start(const struct scripted_answer *script, size_t count, bool is_app)
{
	struct http_options http = {.user_agent = "kfops/test", .allow_http = true};
	struct world world = {.server = scripted_start(script, count), .http = http_new(&http)};
	struct github_options options = {
		.api_url = world.server->url,
		.api_version = "2022-11-28",
		.app_id = is_app ? "Iv1.app" : NULL,
		.private_key_file = is_app ? key_file : NULL,
		.token_file = is_app ? NULL : token_file,
		.write_gap_ms = 1,
	};
	struct err err = {0};

	if (!is_app)
		write_file(token_file, "ghp_personal\n");
	if (github_new(&world.gh, &options, &err))
		fail_msg("%s", err.msg);
	world.gh->fresh_wait_ms = 1;
	return world;
}

/* Every answer of the script was used, and nothing else was asked. */
static void stop(struct world *world)
{
	(void)scripted_count(world->server);
	assert_int_equal(world->server->unexpected, 0);
	for (size_t i = 0; i < world->server->answer_count; i++)
		if (!world->server->used[i] && !world->server->answers[i].always)
			fail_msg("nobody asked \"%s\"", world->server->answers[i].expect);
	github_free(world->gh);
	http_free(world->http);
	scripted_stop(world->server);
}

#define START(script, is_app) start(script, ARRAY_LEN(script), is_app)

static const char *authorization(const struct world *world, int request)
{
	assert_true(request < scripted_count(world->server));
	return scripted_header(&world->server->requests[request], "authorization");
}

/* --- credentials --- */

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

static enum err_class pull(struct world *world, struct err *err)
{
	struct github_pull pull;

	return github_pull(world->gh, world->http, &repo, 7, &pull, err);
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
	assert_int_equal(github_delivery_payload(world.gh, world.http, 1, &payload, NULL), ERR_OK);
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
	 "github.token_refused",
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

/* --- comments --- */

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

/* --- everything else --- */

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

static void test_identity_lists_what_is_missing(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = "GET /app ",
		 JSON(200, "{\"id\":99,\"slug\":\"kfops\",\"permissions\":{\"metadata\":"
			   "\"read\",\"issues\":\"read\",\"contents\":\"admin\"}}")},
		{.expect = "GET /app ", JSON(200, APP_BODY)},
	};
	struct world world = START(script, true);
	struct github_identity self;
	struct err err = {0};

	(void)state;
	assert_int_equal(github_identity(world.gh, world.http, &self, &err), ERR_DENIED);
	assert_non_null(strstr(err.msg, "issues: write, pull_requests: write, checks: write;"));
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
	assert_int_equal(github_deliveries(world.gh, world.http, note_delivery, &all, NULL),
			 ERR_OK);
	assert_int_equal(all.count, 3);
	assert_int_equal(all.last.id, 3);
	assert_false(all.last.ok);
	assert_int_equal(github_deliveries(world.gh, world.http, note_delivery, &one, NULL),
			 ERR_OK);
	assert_int_equal(one.count, 1);
	assert_true(one.last.ok);
	assert_int_equal(one.last.id, 12345678901234);
	assert_string_equal(one.last.guid, "g1");
	assert_string_equal(one.last.event, "issue_comment");
	assert_int_equal(one.last.delivered_at_ms, 1795262400000);
	assert_int_equal(github_delivery_payload(world.gh, world.http, 2, &payload, &err),
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

static int set_up(void **state)
{
	FILE *file;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	http_global_init();
	rsa = EVP_RSA_gen(2048);
	strncpy(dir, "/tmp/kfops-github-XXXXXX", sizeof dir - 1);
	if (!rsa || !mkdtemp(dir))
		return -1;
	snprintf(key_file, sizeof key_file, "%s/key.pem", dir);
	snprintf(token_file, sizeof token_file, "%s/token", dir);
	write_file(key_file, "");
	file = fopen(key_file, "w");
	PEM_write_PrivateKey(file, rsa, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(key_file);
	unlink(token_file);
	rmdir(dir);
	EVP_PKEY_free(rsa);
	return 0;
}

static const struct CMUnitTest github_tests[] = {
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
	cmocka_unit_test(test_redirects),
	cmocka_unit_test(test_names_stay_in_their_segment),
	cmocka_unit_test(test_a_broken_connection_after_a_write),
	cmocka_unit_test(test_an_answer_over_the_cap),
	cmocka_unit_test(test_odd_pull_requests),
	cmocka_unit_test(test_nothing_goes_out_while_waiting),
	cmocka_unit_test(test_writes_are_paced),
	cmocka_unit_test(test_only_our_own_comments_are_found),
	cmocka_unit_test(test_in_token_mode_the_user_id_counts),
	cmocka_unit_test(test_pages_are_followed_on_our_host_only),
	cmocka_unit_test(test_paging_ends),
	cmocka_unit_test(test_minimize),
	cmocka_unit_test(test_permission),
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
