/* s3_kit.h - a client, key files and a scripted server that plays an object store, for the tests of
 * s3. */
#ifndef KF_TESTS_S3_KIT_H
#define KF_TESTS_S3_KIT_H

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/http.h"
#include "lib/services/s3.h"
#include "tests/unit/cases.h"
#include "tests/unit/scripted_server.h"

/* Scripts name only what an answer differs in from the next; the rest is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define ACCESS_KEY "AKIAIOSFODNN7EXAMPLE"
#define SECRET_KEY "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

#define FAULT(code, more)                                                                          \
	"<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>Words of the server."         \
	"</Message>" more "</Error>"

struct kit {
	char folder[40];
	char *access_file, *secret_file, *token_file;
	struct scripted_server *server;
	struct http *http;
	struct s3 *s3;
	struct err err;
};

static inline void kit_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* A server and files; kit.s3 is made by the caller. */
static struct kit kit_prepare(const struct scripted_answer *script, size_t count)
{
	static const struct http_options plain = {.user_agent = "kfops/test", .allow_http = true};
	struct kit kit = {.folder = "/tmp/kfops-s3-XXXXXX",
			  .server = scripted_start(script, count),
			  .http = http_new(&plain)};

	assert_non_null(mkdtemp(kit.folder));
	kit.access_file = str_printf("%s/access", kit.folder);
	kit.secret_file = str_printf("%s/secret", kit.folder);
	kit.token_file = str_printf("%s/token", kit.folder);
	kit_write(kit.access_file, ACCESS_KEY "\n");
	kit_write(kit.secret_file, SECRET_KEY "\n");
	kit_write(kit.token_file, "identity.token.text");
	return kit;
}

static inline struct kit kit_start(const struct scripted_answer *script, size_t count)
{
	struct kit kit = kit_prepare(script, count);
	struct s3_options options = {.url = kit.server->url,
				     .access_key_file = kit.access_file,
				     .secret_key_file = kit.secret_file};

	assert_int_equal(s3_new(&kit.s3, &options, &kit.err), ERR_OK);
	return kit;
}
#define KIT_START(script) kit_start(script, ARRAY_LEN(script))

/* Ends the server; every request must have been in the script, and `requests` of them made. */
static void kit_stop(struct kit *kit, int requests)
{
	http_free(kit->http);
	s3_free(kit->s3);
	assert_int_equal(scripted_count(kit->server), requests);
	assert_int_equal(kit->server->unexpected, 0);
	scripted_stop(kit->server);
	unlink(kit->access_file);
	unlink(kit->secret_file);
	unlink(kit->token_file);
	assert_int_equal(rmdir(kit->folder), 0);
	mem_free(kit->access_file);
	mem_free(kit->secret_file);
	mem_free(kit->token_file);
}

static inline struct s3_uri kit_uri(const char *text)
{
	struct s3_uri uri;
	struct err err;

	assert_int_equal(s3_uri_parse(&uri, text, &err), ERR_OK);
	return uri;
}

/* The request line of the n-th request; valid until the next call. */
static inline const char *kit_line(const struct kit *kit, int n)
{
	static char line[65536];
	const char *text = kit->server->requests[n].text;

	snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\r"), text);
	return line;
}

static inline const char *kit_header(const struct kit *kit, int n, const char *name)
{
	return scripted_header(&kit->server->requests[n], name);
}

#endif
