/* The service mlmd against a scripted server: the whole look at a run, pages, a token, and every
 * answer that is not the store's. */
#include "lib/services/mlmd.h"

#include <sys/stat.h>

#include "lib/base/jval.h"
#include "lib/core/mlmd_impl.h"
#include "tests/unit/cases.h"
#include "tests/unit/scripted_server.h"

/* Scripts name only what an answer differs in from the next; the rest is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define CALL(method) "POST /ml_metadata.MetadataStoreService/" method

static const char context[] = "POST /ml_metadata.MetadataStoreService/GetContextByTypeAndName";

/* A message with trailers that say 0. */
static char framed[8][2048];
static size_t framed_len[8];

static void frame(int n, const struct buf *message)
{
	static const char trailers[] = "grpc-status:0\r\n";
	char *at = framed[n];

	memcpy(at, (const char[]){0, 0, 0, (char)(message->len >> 8), (char)message->len}, 5);
	if (message->len)
		memcpy(at + 5, message->data, message->len);
	at += 5 + message->len;
	memcpy(at, (const char[]){(char)0x80, 0, 0, 0, sizeof trailers - 1}, 5);
	memcpy(at + 5, trailers, sizeof trailers - 1);
	framed_len[n] = 5 + message->len + 5 + sizeof trailers - 1;
}

static void add_item(struct buf *message, const struct buf *item)
{
	wire_put_bytes(message, 1, item->data, item->len);
}

static void frame_context(int n)
{
	AUTO_BUF struct buf message = buf_make(1000), item = buf_make(100);

	wire_put_varint(&item, 1, 7);
	add_item(&message, &item);
	frame(n, &message);
}

static void frame_artifact(int n, int id, const char *uri, const char *type, const char *page)
{
	AUTO_BUF struct buf message = buf_make(1000), item = buf_make(500);

	wire_put_varint(&item, 1, (uint64_t)id);
	wire_put_varint(&item, 2, 16);
	wire_put_bytes(&item, 3, uri, strlen(uri));
	wire_put_bytes(&item, 8, type, strlen(type));
	add_item(&message, &item);
	if (*page)
		wire_put_bytes(&message, 2, page, strlen(page));
	frame(n, &message);
}

static void frame_nothing(int n)
{
	AUTO_BUF struct buf message = buf_make(0);

	frame(n, &message);
}

static void frame_type(int n)
{
	AUTO_BUF struct buf message = buf_make(1000), item = buf_make(100);

	wire_put_varint(&item, 1, 16);
	wire_put_bytes(&item, 2, "system.Model", 12);
	add_item(&message, &item);
	frame(n, &message);
}

struct kit {
	struct scripted_server *server;
	struct http *http;
	struct mlmd *mlmd;
	json_t *out;
	struct err err;
};

static enum err_class look(struct kit *kit, const struct scripted_answer *script, size_t count,
			   const char *token_file)
{
	static const struct http_options plain = {.user_agent = "kfops/test", .allow_http = true};
	struct mlmd_options options = {.token_file = token_file};

	*kit = (struct kit){.server = scripted_start(script, count), .http = http_new(&plain)};
	options.url = kit->server->url;
	assert_int_equal(mlmd_new(&kit->mlmd, &options, &kit->err), ERR_OK);
	return mlmd_run_outputs(kit->mlmd, kit->http, "9e68aca5", &kit->out, &kit->err);
}

static void end(struct kit *kit, int requests)
{
	jval_drop(&kit->out);
	mlmd_free(kit->mlmd);
	http_free(kit->http);
	assert_int_equal(kit->server->unexpected, 0);
	assert_int_equal(kit->server->request_count, requests);
	scripted_stop(kit->server);
}

static void test_pages_and_types(void **state)
{
	struct scripted_answer script[] = {
		{CALL("GetContextByTypeAndName"), 200, NULL, framed[0]},
		{CALL("GetArtifactsByContext"), 200, NULL, framed[1]},
		{CALL("GetArtifactsByContext"), 200, NULL, framed[2]},
		{CALL("GetExecutionsByContext"), 200, NULL, framed[3]},
		{CALL("GetArtifactTypes"), 200, NULL, framed[4]},
	};
	const json_t *models;
	struct kit kit;

	(void)state;
	frame_context(0);
	frame_artifact(1, 1, "minio://b/one", "system.Model", "more");
	frame_artifact(2, 2, "s3://b/two", "", "");
	frame_nothing(3);
	frame_type(4);
	for (size_t i = 0; i < ARRAY_LEN(script); i++)
		script[i].body_len = framed_len[i];
	assert_int_equal(look(&kit, script, ARRAY_LEN(script), NULL), ERR_OK);
	models = json_object_get(kit.out, "models");
	assert_int_equal(json_array_size(models), 2);
	assert_string_equal(jval_str(json_array_get(models, 0), "uri", ""), "minio://b/one");
	assert_string_equal(jval_str(json_array_get(models, 1), "uri", ""), "s3://b/two");
	assert_non_null(strcasestr(kit.server->requests[0].text,
				   "content-type: application/grpc-web+proto"));
	assert_non_null(strcasestr(kit.server->requests[0].text, "x-grpc-web: 1"));
	assert_null(strcasestr(kit.server->requests[0].text, "authorization"));
	assert_int_equal(kit.server->requests[2].body_len, 5 + 2 + 2 + 2 + 6);
	end(&kit, 5);
}

static const struct {
	const char *name;
	struct scripted_answer answer;
	enum err_class class;
} faults[] = {
	{"unknown run", {context, 200, "grpc-status: 5\r\n", ""}, ERR_NOT_FOUND},
	{"no proxy there", {context, 404, NULL, "404 page not found"}, ERR_CONFIG},
	{"login page", {context, 302, "location: /dex\r\n", ""}, ERR_CONFIG},
	{"login page with 200", {context, 200, NULL, "<html>"}, ERR_TRANSIENT},
	{"token refused", {context, 401, NULL, ""}, ERR_CONFIG},
	{"not allowed", {context, 403, NULL, "RBAC: access denied"}, ERR_DENIED},
	{"asks to wait", {context, 429, NULL, ""}, ERR_THROTTLED},
	{"store down", {context, 503, NULL, "no healthy upstream"}, ERR_TRANSIENT},
	{"store down, as gRPC", {context, 200, "grpc-status: 14\r\n", ""}, ERR_TRANSIENT},
	{"cut", {context, 200, NULL, "0123456789", 0, SCRIPTED_CUT}, ERR_TRANSIENT},
	{"reset", {context, 200, NULL, "", 0, SCRIPTED_RESET}, ERR_TRANSIENT},
};

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct kit kit;

		print_message("%s\n", faults[i].name);
		assert_int_equal(look(&kit, &faults[i].answer, 1, NULL), faults[i].class);
		assert_null(kit.out);
		assert_true(kit.err.msg[0]);
		assert_false(kit.err.in_doubt);
		end(&kit, 1);
	}
}

/* A server that always gives the same page is left. */
static void test_pages_without_end(void **state)
{
	struct scripted_answer script[] = {
		{CALL("GetContextByTypeAndName"), 200, NULL, framed[0]},
		{CALL("GetArtifactsByContext"), 200, NULL, framed[1], 0, SCRIPTED_NONE, 0, true},
	};
	struct kit kit;

	(void)state;
	frame_context(0);
	frame_artifact(1, 1, "s3://b/one", "system.Model", "more");
	script[0].body_len = framed_len[0];
	script[1].body_len = framed_len[1];
	assert_int_equal(look(&kit, script, ARRAY_LEN(script), NULL), ERR_TRANSIENT);
	assert_non_null(strstr(kit.err.msg, "same page"));
	end(&kit, 3);
}

static void test_token(void **state)
{
	static const struct scripted_answer script[] = {
		{context, 200, "grpc-status: 5\r\n", ""},
	};
	char path[] = "/tmp/kfops-mlmd-XXXXXX";
	int fd = mkstemp(path);
	struct kit kit;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "s3cret\n", 7), 7);
	close(fd);
	assert_int_equal(look(&kit, script, 1, path), ERR_NOT_FOUND);
	assert_non_null(strcasestr(kit.server->requests[0].text, "authorization: bearer s3cret"));
	assert_null(strstr(kit.err.msg, "s3cret"));
	end(&kit, 1);
	unlink(path);
}

static void test_addresses(void **state)
{
	static const char *const bad[] = {"",		"ftp://x",	   "http://",
					  "http://a b", "http://u:p@host", "http://x?y"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct mlmd_options options = {.url = bad[i]};
		struct mlmd *mlmd;
		struct err err;

		assert_int_equal(mlmd_new(&mlmd, &options, &err), ERR_CONFIG);
		assert_null(mlmd);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_pages_and_types),	  cmocka_unit_test(test_faults),
	cmocka_unit_test(test_pages_without_end), cmocka_unit_test(test_token),
	cmocka_unit_test(test_addresses),
};

static int start(void **state)
{
	(void)state;
	http_global_init();
	return 0;
}

CASES_MAIN(tests, start, NULL)
