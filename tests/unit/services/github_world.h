/* github_world.h - a GitHub client and its scripted far side on loopback, for the tests of the
 * module's files. The App's key is made for each program. */
#ifndef KF_TESTS_GITHUB_WORLD_H
#define KF_TESTS_GITHUB_WORLD_H

#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/services/github_impl.h"
#include "lib/services/github_missed.h"
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
	"\"base\":{\"ref\":\"main\",\"repo\":{\"id\":77}},\"user\":{\"id\":9},"                    \
	"\"html_url\":\"https://g/o/r/pull/7\"}"
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

static inline void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	chmod(path, 0600);
}

static inline struct world start(const struct scripted_answer *script, size_t count, bool is_app)
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
static inline void stop(struct world *world)
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

static inline const char *authorization(const struct world *world, int request)
{
	assert_true(request < scripted_count(world->server));
	return scripted_header(&world->server->requests[request], "authorization");
}

static inline enum err_class pull(struct world *world, struct err *err)
{
	struct github_pull pull;

	return github_pull(world->gh, world->http, &repo, 7, &pull, err);
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
	(void)state;
	unlink(key_file);
	unlink(token_file);
	rmdir(dir);
	EVP_PKEY_free(rsa);
	return 0;
}

#endif
