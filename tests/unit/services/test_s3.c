/* An object store: addresses, reading, writing, signed URLs, and what its faults become. */
#include "lib/services/s3.h"

#include "lib/base/sign.h"
#include "lib/services/s3_impl.h"
#include "tests/unit/services/s3_kit.h"

/* --- options and places --- */

static void test_options(void **state)
{
	static const struct {
		const char *name;
		struct s3_options options;
		const char *fault;
	} cases[] = {
		{"no address", {.url = NULL}, "must be http(s)://HOST[:PORT]"},
		{"no scheme", {.url = "host:9000"}, "must be http(s)://HOST[:PORT]"},
		{"a path", {.url = "http://host/s3"}, "must be http(s)://HOST[:PORT]"},
		{"a user", {.url = "http://u:p@host"}, "must be http(s)://HOST[:PORT]"},
		{"a query", {.url = "http://host?x"}, "must be http(s)://HOST[:PORT]"},
		{"half a key", {.url = "http://host", .access_key_file = "/x"}, "go together"},
		{"half an identity", {.url = "http://host", .role_arn = "arn"}, "go together"},
		{"both",
		 {.url = "http://host",
		  .access_key_file = "/x",
		  .secret_key_file = "/x",
		  .role_arn = "arn",
		  .identity_token_file = "/x"},
		 "only one of them"},
		{"a token alone",
		 {.url = "http://host", .session_token_file = "/x"},
		 "needs its keys"},
		{"no such file",
		 {.url = "http://host", .access_key_file = "/none", .secret_key_file = "/none"},
		 "/none cannot be read"},
		{"a bad region", {.url = "http://host", .region = "a/b"}, "such as eu-central-1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		struct s3 *s3;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(s3_new(&s3, &cases[i].options, &err), ERR_CONFIG);
		assert_null(s3);
		assert_non_null(strstr(err.msg, cases[i].fault));
	}
}

static void test_places(void **state)
{
	static const struct {
		const char *name, *url;
		bool path_style;
		const char *bucket, *key, *host, *path;
	} cases[] = {
		{"by host", "https://s3.eu-north-1.amazonaws.com", false, "models", "a/b",
		 "models.s3.eu-north-1.amazonaws.com", "/a/b"},
		{"by path", "http://seaweedfs.kubeflow:9000/", true, "models", "a/b",
		 "seaweedfs.kubeflow:9000", "/models/a/b"},
		{"dots in the bucket", "https://s3.amazonaws.com", false, "my.models", "a",
		 "s3.amazonaws.com", "/my.models/a"},
		{"IP address", "http://10.0.0.1:9000", false, "models", "a", "10.0.0.1:9000",
		 "/models/a"},
		{"IPv6 address", "http://[::1]:9000", false, "models", "a", "[::1]:9000",
		 "/models/a"},
		{"own port", "https://S3.Example.com:443", false, "models", "a",
		 "models.s3.example.com", "/a"},
		{"own port of http", "http://host:80", true, "models", "a", "host", "/models/a"},
		{"bucket by path", "http://host:9000", true, "models", "", "host:9000", "/models"},
		{"bucket by host", "https://host", false, "models", "", "models.host", "/"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct s3_options options = {.url = cases[i].url,
					     .path_style = cases[i].path_style};
		AUTO_FREE char *host = NULL, *path = NULL;
		struct err err = {0};
		struct s3 *s3;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(s3_new(&s3, &options, &err), ERR_OK);
		s3_place(s3, cases[i].bucket, cases[i].key, &host, &path);
		assert_string_equal(host, cases[i].host);
		assert_string_equal(path, cases[i].path);
		s3_free(s3);
	}
}

/* --- one object --- */

static void test_head(void **state)
{
	static const struct scripted_answer script[] = {
		{"HEAD /models/a%20b ", 200,
		 "ETag: \"e1\"\r\nLast-Modified: Fri, 24 May 2013 00:00:00 GMT\r\n",
		 .body = "1234567"},
		{"HEAD /models/none ", 404},
	};
	struct kit kit = KIT_START(script);
	struct s3_uri there = kit_uri("s3://models/a b"), none = kit_uri("s3://models/none");
	struct s3_object object;

	(void)state;
	assert_int_equal(s3_head(kit.s3, kit.http, &there, &object, &kit.err), ERR_OK);
	assert_string_equal(object.key, "a b");
	assert_string_equal(object.etag, "e1");
	assert_int_equal(object.size, 7);
	assert_int_equal(object.modified_at_ms, 1369353600000);
	s3_object_dispose(&object);
	assert_int_equal(s3_head(kit.s3, kit.http, &none, &object, &kit.err), ERR_NOT_FOUND);
	assert_string_equal(kit.err.code, "s3.no_object");
	assert_non_null(
		strstr(kit.err.msg, "cannot look at s3://models/none: there is no such object"));
	s3_object_dispose(&object);
	kit_stop(&kit, 2);
}

static void test_requests_are_signed(void **state)
{
	static const struct scripted_answer script[] = {
		{"PUT /models/m ", 200, "ETag: \"e9\"\r\n"}};
	struct kit kit = KIT_START(script);
	struct s3_uri to = kit_uri("s3://models/m");
	struct s3_put_request put = {.to = &to, .data = "Welcome to Amazon S3.", .len = 21};
	AUTO_FREE char *etag = NULL;

	(void)state;
	assert_int_equal(s3_put(kit.s3, kit.http, &put, &etag, &kit.err), ERR_OK);
	assert_string_equal(etag, "e9");
	assert_non_null(strstr(kit_header(&kit, 0, "Authorization"),
			       "AWS4-HMAC-SHA256 Credential=" ACCESS_KEY "/"));
	assert_non_null(strstr(kit_header(&kit, 0, "Authorization"),
			       "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date,"));
	assert_string_equal(kit_header(&kit, 0, "x-amz-content-sha256"),
			    "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
	assert_string_equal(kit_header(&kit, 0, "Content-Type"), "application/octet-stream");
	assert_string_equal(kit.server->requests[0].body, "Welcome to Amazon S3.");
	assert_null(strstr(kit.server->requests[0].text, SECRET_KEY));
	kit_stop(&kit, 1);
}

static void test_without_keys_nothing_is_signed(void **state)
{
	static const struct scripted_answer script[] = {{"HEAD /models ", 200},
							{"HEAD /models ", 403}};
	struct kit kit = kit_prepare(script, ARRAY_LEN(script));
	struct s3_options options = {.url = kit.server->url};
	struct s3_uri uri = kit_uri("s3://models/a");
	struct s3_presign_request presign = {.method = "GET", .uri = &uri, .expires_s = 60};
	char *url;

	(void)state;
	assert_int_equal(s3_new(&kit.s3, &options, &kit.err), ERR_OK);
	assert_int_equal(s3_bucket_check(kit.s3, kit.http, "models", &kit.err), ERR_OK);
	assert_string_equal(kit_header(&kit, 0, "Authorization"), "");
	assert_int_equal(s3_bucket_check(kit.s3, kit.http, "models", &kit.err), ERR_DENIED);
	assert_non_null(strstr(kit.err.msg, "it wants keys, and none are configured"));
	assert_int_equal(s3_presign(kit.s3, kit.http, &presign, &url, &kit.err), ERR_CONFIG);
	assert_string_equal(kit.err.code, "s3.keys");
	kit_stop(&kit, 2);
}

static void test_get(void **state)
{
	static const struct {
		const char *name;
		int64_t first, len;
		size_t max;
		struct scripted_answer answer;
		const char *range, *want; /* want NULL: s3.too_large */
	} cases[] = {
		{"all", 0, 0, 100, {"GET", 200, .body = "0123456789"}, "", "0123456789"},
		{"exactly as much as may be",
		 0,
		 0,
		 10,
		 {"GET", 200, .body = "0123456789"},
		 "",
		 "0123456789"},
		{"too much", 0, 0, 9, {"GET", 200, .body = "0123456789"}, "", NULL},
		{"a part", 2, 3, 100, {"GET", 206, .body = "234"}, "bytes=2-4", "234"},
		{"the end", 7, 0, 100, {"GET", 206, .body = "789"}, "bytes=7-", "789"},
		{"a server without ranges",
		 2,
		 3,
		 3,
		 {"GET", 200, .body = "0123456789"},
		 "bytes=2-4",
		 "234"},
		{"a server without ranges, behind the end",
		 99,
		 3,
		 3,
		 {"GET", 200, .body = "0123456789"},
		 "bytes=99-101",
		 ""},
		{"behind the end",
		 99,
		 3,
		 3,
		 {"GET", 416, .body = FAULT("InvalidRange", "")},
		 "bytes=99-101",
		 ""},
		{"empty", 0, 0, 0, {"GET", 200}, "", ""},
	};
	struct s3_uri from = kit_uri("s3://models/m");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kit kit = kit_start(&cases[i].answer, 1);
		struct s3_get_request get = {.from = &from,
					     .first = cases[i].first,
					     .len = cases[i].len,
					     .max = cases[i].max};
		struct s3_content content;
		enum err_class class = s3_get(kit.s3, kit.http, &get, &content, &kit.err);

		print_message("  %s\n", cases[i].name);
		assert_int_equal(class, cases[i].want ? ERR_OK : ERR_USER);
		if (cases[i].want)
			assert_string_equal(content.data, cases[i].want);
		else
			assert_string_equal(kit.err.code, "s3.too_large");
		assert_string_equal(kit_header(&kit, 0, "Range"), cases[i].range);
		assert_string_equal(kit_header(&kit, 0, "Accept-Encoding"), "identity");
		s3_content_dispose(&content);
		kit_stop(&kit, 1);
	}
}

static void test_an_object_far_larger_than_wanted_is_not_read(void **state)
{
	enum { SIZE = 1024 * 1024 };
	AUTO_FREE char *body = mem_new(1, SIZE + 1);
	struct scripted_answer answer = {"GET", 200, .body = body};
	struct s3_uri from = kit_uri("s3://models/m");
	struct s3_get_request get = {.from = &from, .max = 10};
	struct s3_content content;
	struct kit kit;

	(void)state;
	memset(body, 'x', SIZE);
	kit = kit_start(&answer, 1);
	assert_int_equal(s3_get(kit.s3, kit.http, &get, &content, &kit.err), ERR_USER);
	assert_string_equal(kit.err.code, "s3.too_large");
	s3_content_dispose(&content);
	kit_stop(&kit, 1);
}

static void test_another_part_is_not_taken(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET", 206, "Content-Range: bytes 2-4/10\r\n", "234"},
		{"GET", 206, "Content-Range: bytes 0-2/10\r\n", "012"},
		{"GET", 206, "Content-Range: lines 2-4/10\r\n", "234"}};
	struct kit kit = KIT_START(script);
	struct s3_uri from = kit_uri("s3://models/m");
	struct s3_get_request get = {.from = &from, .first = 2, .len = 3, .max = 3};
	struct s3_content content;

	(void)state;
	assert_int_equal(s3_get(kit.s3, kit.http, &get, &content, &kit.err), ERR_OK);
	s3_content_dispose(&content);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(s3_get(kit.s3, kit.http, &get, &content, &kit.err), ERR_TRANSIENT);
		assert_non_null(strstr(kit.err.msg, "another part of s3://models/m"));
		s3_content_dispose(&content);
	}
	kit_stop(&kit, 3);
}

static void test_another_version_is_not_read(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET", 412, .body = FAULT("PreconditionFailed", "")}};
	struct kit kit = KIT_START(script);
	struct s3_uri from = kit_uri("s3://models/m");
	struct s3_get_request get = {.from = &from, .max = 10, .etag = "e1"};
	struct s3_content content;

	(void)state;
	assert_int_equal(s3_get(kit.s3, kit.http, &get, &content, &kit.err), ERR_CONFLICT);
	assert_string_equal(kit.err.code, "s3.changed");
	assert_string_equal(kit_header(&kit, 0, "If-Match"), "\"e1\"");
	s3_content_dispose(&content);
	kit_stop(&kit, 1);
}

static void test_put_if_absent(void **state)
{
	static const struct scripted_answer script[] = {
		{"PUT", 412, .body = FAULT("PreconditionFailed", "")},
		{"PUT", 409, .body = FAULT("ConditionalRequestConflict", "")}};
	struct kit kit = KIT_START(script);
	struct s3_uri to = kit_uri("s3://models/m");
	struct s3_put_request put = {.to = &to, .data = "x", .len = 1, .if_absent = true};

	(void)state;
	assert_int_equal(s3_put(kit.s3, kit.http, &put, NULL, &kit.err), ERR_CONFLICT);
	assert_string_equal(kit.err.code, "s3.exists");
	assert_false(kit.err.in_doubt);
	assert_string_equal(kit_header(&kit, 0, "If-None-Match"), "*");
	assert_int_equal(s3_put(kit.s3, kit.http, &put, NULL, &kit.err), ERR_TRANSIENT);
	kit_stop(&kit, 2);
}

static void test_delete(void **state)
{
	static const struct scripted_answer script[] = {
		{"DELETE /models/m ", 204},
		{"DELETE /models/m ", 404, .body = FAULT("NoSuchKey", "")},
		{"DELETE /models/m ", 404, .body = FAULT("NoSuchBucket", "")}};
	struct kit kit = KIT_START(script);
	struct s3_uri uri = kit_uri("s3://models/m");

	(void)state;
	assert_int_equal(s3_delete(kit.s3, kit.http, &uri, &kit.err), ERR_OK);
	assert_int_equal(s3_delete(kit.s3, kit.http, &uri, &kit.err), ERR_OK);
	assert_int_equal(s3_delete(kit.s3, kit.http, &uri, &kit.err), ERR_NOT_FOUND);
	assert_string_equal(kit.err.code, "s3.no_bucket");
	kit_stop(&kit, 3);
}

static void test_presign(void **state)
{
	struct kit kit = kit_start(NULL, 0);
	struct s3_uri uri = kit_uri("s3://models/a b");
	struct s3_presign_request presign = {.method = "PUT", .uri = &uri, .expires_s = 600};
	AUTO_FREE char *start = str_printf("%s/models/a%%20b?X-Amz-Algorithm=", kit.server->url);
	char *url;

	(void)state;
	assert_int_equal(s3_presign(kit.s3, kit.http, &presign, &url, &kit.err), ERR_OK);
	assert_true(str_starts(url, start));
	assert_non_null(
		strstr(url, "&X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-Signature="));
	assert_null(strstr(url, SECRET_KEY));
	sign_secret_free(url);
	kit_stop(&kit, 0);
}

/* --- faults of the wire --- */

static void test_faults_of_the_wire(void **state)
{
	static const struct {
		const char *name;
		struct scripted_answer answer;
		bool in_doubt; /* for a PUT */
	} cases[] = {
		{"reset", {"", 0, .fault = SCRIPTED_RESET}, true},
		{"cut off", {"", 200, .body = "0123456789", .fault = SCRIPTED_CUT}, true},
		{"broken inside", {"", 500, .body = FAULT("InternalError", "")}, true},
		{"a gateway", {"", 502, .body = "<html>Bad Gateway</html>"}, true},
		{"a page where a path should be", {"", 404, .body = "no route"}, false},
	};
	struct s3_uri uri = kit_uri("s3://models/m");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scripted_answer script[] = {cases[i].answer, cases[i].answer};
		struct kit kit = KIT_START(script);
		struct s3_get_request get = {.from = &uri, .max = 100};
		struct s3_put_request put = {.to = &uri, .data = "x", .len = 1};
		struct s3_content content;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(s3_get(kit.s3, kit.http, &get, &content, &kit.err), ERR_TRANSIENT);
		assert_false(kit.err.in_doubt);
		s3_content_dispose(&content);
		assert_int_equal(s3_put(kit.s3, kit.http, &put, NULL, &kit.err), ERR_TRANSIENT);
		assert_int_equal(kit.err.in_doubt, cases[i].in_doubt);
		kit_stop(&kit, 2);
	}
}

static void test_bad_names_are_not_sent(void **state)
{
	struct kit kit = kit_start(NULL, 0);
	struct s3_uri uri = {.bucket = "models", .key = "a/../b"};
	struct s3_object object;

	(void)state;
	assert_int_equal(s3_head(kit.s3, kit.http, &uri, &object, &kit.err), ERR_USER);
	assert_int_equal(s3_bucket_check(kit.s3, kit.http, "evil/../x", &kit.err), ERR_USER);
	assert_string_equal(kit.err.code, "s3.uri");
	kit_stop(&kit, 0);
}

static void test_a_bucket_is_not_an_object(void **state)
{
	struct kit kit = kit_start(NULL, 0);
	struct s3_uri bucket = kit_uri("s3://models/");
	struct s3_get_request get = {.from = &bucket, .max = 10};
	struct s3_put_request put = {.to = &bucket, .data = "x", .len = 1};
	struct s3_presign_request presign = {.method = "PUT", .uri = &bucket, .expires_s = 60};
	struct s3_content content;
	struct s3_object object;
	char *url;

	(void)state;
	assert_int_equal(s3_head(kit.s3, kit.http, &bucket, &object, &kit.err), ERR_USER);
	assert_int_equal(s3_get(kit.s3, kit.http, &get, &content, &kit.err), ERR_USER);
	assert_int_equal(s3_put(kit.s3, kit.http, &put, NULL, &kit.err), ERR_USER);
	assert_int_equal(s3_delete(kit.s3, kit.http, &bucket, &kit.err), ERR_USER);
	assert_int_equal(s3_presign(kit.s3, kit.http, &presign, &url, &kit.err), ERR_USER);
	assert_string_equal(kit.err.msg,
			    "s3://models is a whole bucket; the address of an object is needed");
	kit_stop(&kit, 0);
}

static void test_a_signed_url_has_an_end(void **state)
{
	static const int seconds[] = {-1, 0, 604801};
	struct kit kit = kit_start(NULL, 0);
	struct s3_uri uri = kit_uri("s3://models/m");
	char *url;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(seconds); i++) {
		struct s3_presign_request presign = {
			.method = "GET", .uri = &uri, .expires_s = seconds[i]};

		assert_int_equal(s3_presign(kit.s3, kit.http, &presign, &url, &kit.err),
				 ERR_CONFIG);
		assert_null(url);
	}
	kit_stop(&kit, 0);
}

static const struct CMUnitTest s3_calls[] = {
	cmocka_unit_test(test_options),
	cmocka_unit_test(test_places),
	cmocka_unit_test(test_head),
	cmocka_unit_test(test_requests_are_signed),
	cmocka_unit_test(test_without_keys_nothing_is_signed),
	cmocka_unit_test(test_get),
	cmocka_unit_test(test_an_object_far_larger_than_wanted_is_not_read),
	cmocka_unit_test(test_another_part_is_not_taken),
	cmocka_unit_test(test_another_version_is_not_read),
	cmocka_unit_test(test_put_if_absent),
	cmocka_unit_test(test_delete),
	cmocka_unit_test(test_presign),
	cmocka_unit_test(test_faults_of_the_wire),
	cmocka_unit_test(test_bad_names_are_not_sent),
	cmocka_unit_test(test_a_bucket_is_not_an_object),
	cmocka_unit_test(test_a_signed_url_has_an_end),
};

CASES_MAIN(s3_calls, NULL, NULL)
