/* The module s3 against a real server, which tests/services/test_s3.py starts and names in the
 * environment; skipped where it is not. The server has an empty bucket "models". */
#include "lib/services/s3.h"

#include <unistd.h>

#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/core/model_files.h"
#include "tests/unit/cases.h"

static struct http *http;
static struct s3 *s3;
static struct err err;

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

static struct s3 *client(const char *access_file, const char *secret_file)
{
	struct s3_options options = {.url = setting("KFOPS_S3_URL"),
				     .access_key_file = setting(access_file),
				     .secret_key_file = setting(secret_file)};
	struct s3 *made;

	if (s3_new(&made, &options, &err))
		fail_msg("%s", err.msg);
	return made;
}

static int set_up(void **state)
{
	static const struct http_options plain = {.user_agent = "kfops/test", .allow_http = true};

	(void)state;
	http = http_new(&plain);
	s3 = client("KFOPS_S3_ACCESS_KEY_FILE", "KFOPS_S3_SECRET_KEY_FILE");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	s3_free(s3);
	http_free(http);
	return 0;
}

static struct s3_uri uri_of(const char *key)
{
	struct s3_uri uri = {.bucket = "models"};

	assert_true(str_copy(uri.key, sizeof uri.key, key));
	return uri;
}

static void must_be_ok(enum err_class class)
{
	if (class)
		fail_msg("%s: %s", err_class_name(class), err.msg);
}

static void put(const char *key, const char *text)
{
	struct s3_uri to = uri_of(key);
	struct s3_put_request request = {.to = &to, .data = text, .len = strlen(text)};

	must_be_ok(s3_put(s3, http, &request, NULL, &err));
}

static void remove_object(const char *key)
{
	struct s3_uri uri = uri_of(key);

	must_be_ok(s3_delete(s3, http, &uri, &err));
}

static void list(const char *prefix, const char *delimiter, size_t max, struct s3_listing *out)
{
	struct s3_list_request request = {
		.bucket = "models", .prefix = prefix, .delimiter = delimiter, .max = max};

	must_be_ok(s3_list(s3, http, &request, out, &err));
}

/* --- what is asked of a server that checks nothing, and of one that checks signatures --- */

/* Names that signing, URL form and XML each could get wrong. */
static const char *const odd_keys[] = {
	"odd/a b+c%20d",	"odd/a&b<c>\"d'",     "odd/\xc5\xbc\xc3\xb3\xc5\x82w",
	"odd//empty//segments", "odd/~._-!*()@:,;=$", "odd/%2F%41",
};

static void check_odd_keys(void)
{
	struct s3_listing listing;

	for (size_t i = 0; i < ARRAY_LEN(odd_keys); i++) {
		struct s3_uri uri = uri_of(odd_keys[i]);
		struct s3_get_request get = {.from = &uri, .max = 2000};
		struct s3_content content;
		struct s3_object object;

		print_message("  %s\n", odd_keys[i]);
		put(odd_keys[i], odd_keys[i]);
		must_be_ok(s3_head(s3, http, &uri, &object, &err));
		assert_int_equal(object.size, strlen(odd_keys[i]));
		must_be_ok(s3_get(s3, http, &get, &content, &err));
		assert_string_equal(content.data, odd_keys[i]);
		assert_string_equal(content.etag, object.etag);
		s3_content_dispose(&content);
		s3_object_dispose(&object);
	}
	list("odd/", NULL, 100, &listing);
	assert_true(listing.complete);
	assert_int_equal(listing.count, ARRAY_LEN(odd_keys));
	for (size_t i = 0; i < ARRAY_LEN(odd_keys); i++) {
		bool found = false;

		for (size_t k = 0; k < listing.count; k++)
			found |= str_eq(listing.objects[k].key, odd_keys[i]);
		assert_true(found);
		remove_object(odd_keys[i]);
	}
	s3_listing_dispose(&listing);
}

static void open_odd_keys(void **state)
{
	(void)state;
	check_odd_keys();
}

static void signed_odd_keys(void **state)
{
	(void)state;
	check_odd_keys();
}

/* --- the server that checks nothing --- */

static void open_buckets(void **state)
{
	(void)state;
	must_be_ok(s3_bucket_check(s3, http, "models", &err));
	assert_int_equal(s3_bucket_check(s3, http, "nobodys", &err), ERR_NOT_FOUND);
	assert_string_equal(err.code, "s3.no_bucket");
}

static void open_pages(void **state)
{
	struct s3_list_request rest = {.bucket = "models", .prefix = "many/", .max = 100};
	struct s3_listing listing;
	char *continuation;

	(void)state;
	for (int i = 0; i < 25; i++) {
		AUTO_FREE char *key = str_printf("many/%02d/%s", i, i % 2 ? "x" : "y");

		put(key, "1");
	}
	list("many/", "/", 100, &listing);
	assert_int_equal(listing.folder_count, 25);
	assert_string_equal(listing.folders[24], "many/24/");
	s3_listing_dispose(&listing);
	list("many/", NULL, 10, &listing);
	assert_false(listing.complete);
	assert_int_equal(listing.count, 10);
	continuation = take(listing.continuation);
	s3_listing_dispose(&listing);
	rest.continuation = continuation;
	must_be_ok(s3_list(s3, http, &rest, &listing, &err));
	assert_true(listing.complete);
	assert_int_equal(listing.count, 15);
	assert_string_equal(listing.objects[0].key, "many/10/y");
	s3_listing_dispose(&listing);
	mem_free(continuation);
}

static void open_parts_and_conditions(void **state)
{
	struct s3_uri uri = uri_of("metrics.json"), none = uri_of("none");
	struct s3_put_request again = {.to = &uri, .data = "x", .len = 1, .if_absent = true};
	struct s3_get_request part = {.from = &uri, .first = 2, .len = 3, .max = 3};
	struct s3_get_request behind = {.from = &uri, .first = 99, .len = 3, .max = 3};
	struct s3_get_request small = {.from = &uri, .max = 9};
	struct s3_get_request other = {.from = &uri, .max = 99, .etag = "0123"};
	struct s3_get_request missing = {.from = &none, .max = 9};
	struct s3_content content;

	(void)state;
	put("metrics.json", "0123456789");
	must_be_ok(s3_get(s3, http, &part, &content, &err));
	assert_string_equal(content.data, "234");
	s3_content_dispose(&content);
	must_be_ok(s3_get(s3, http, &behind, &content, &err));
	assert_int_equal(content.len, 0);
	s3_content_dispose(&content);
	assert_int_equal(s3_get(s3, http, &small, &content, &err), ERR_USER);
	assert_int_equal(s3_get(s3, http, &other, &content, &err), ERR_CONFLICT);
	assert_int_equal(s3_get(s3, http, &missing, &content, &err), ERR_NOT_FOUND);
	assert_string_equal(err.code, "s3.no_object");
	assert_int_equal(s3_put(s3, http, &again, NULL, &err), ERR_CONFLICT);
	assert_string_equal(err.code, "s3.exists");
	remove_object("metrics.json");
	remove_object("metrics.json");
	must_be_ok(s3_put(s3, http, &again, NULL, &err));
}

static void open_signed_urls(void **state)
{
	struct s3_uri uri = uri_of("context/a b.tar.gz");
	struct s3_presign_request to = {.method = "PUT", .uri = &uri, .expires_s = 600};
	struct s3_presign_request from = {.method = "GET", .uri = &uri, .expires_s = 600};
	struct http_response answer;
	char *url;

	(void)state;
	must_be_ok(s3_presign(s3, http, &to, &url, &err));
	must_be_ok(http_do(http,
			   &(struct http_request){.method = "PUT",
						  .url = url,
						  .headers = {{"Content-Type", "application/gzip"}},
						  .body = "packed",
						  .body_len = 6},
			   &answer, &err));
	assert_int_equal(answer.status, 200);
	http_response_dispose(&answer);
	sign_secret_free(url);
	must_be_ok(s3_presign(s3, http, &from, &url, &err));
	must_be_ok(
		http_do(http, &(struct http_request){.method = "GET", .url = url}, &answer, &err));
	assert_string_equal(buf_text(&answer.body), "packed");
	http_response_dispose(&answer);
	sign_secret_free(url);
}

static void open_role(void **state)
{
	struct s3_options options = {.url = setting("KFOPS_S3_URL"),
				     .role_arn = setting("KFOPS_S3_ROLE"),
				     .identity_token_file = setting("KFOPS_S3_TOKEN_FILE"),
				     .sts_url = setting("KFOPS_S3_URL")};
	struct s3 *role;

	(void)state;
	must_be_ok(s3_new(&role, &options, &err));
	must_be_ok(s3_bucket_check(role, http, "models", &err));
	s3_free(role);
}

static void open_model(void **state)
{
	struct s3_uri where = uri_of("runs/7/model/");
	char tested[MODEL_DIGEST_LEN], deployed[MODEL_DIGEST_LEN];
	struct s3_listing listing;

	(void)state;
	put("runs/7/model/model.joblib", "weights");
	for (int round = 0; round < 2; round++) {
		struct model_listing model = {.where = &where};

		list(where.key, NULL, 100, &listing);
		model.objects = listing.objects;
		model.count = listing.count;
		model.complete = listing.complete;
		must_be_ok(model_files_check(&model, NULL, "sklearn", &err));
		model_files_digest(round ? deployed : tested, &model);
		s3_listing_dispose(&listing);
		put("runs/7/model/model.joblib", "other weights");
	}
	assert_string_not_equal(tested, deployed);
}

/* --- the server that checks signatures --- */

static void signed_wrong_secret(void **state)
{
	struct s3 *wrong = client("KFOPS_S3_ACCESS_KEY_FILE", "KFOPS_S3_OTHER_FILE");
	struct s3_list_request request = {.bucket = "models", .prefix = "", .max = 1};
	struct s3_listing listing;

	(void)state;
	assert_int_equal(s3_list(wrong, http, &request, &listing, &err), ERR_CONFIG);
	assert_string_equal(err.code, "s3.keys");
	assert_non_null(strstr(err.msg, "the secret key does not belong to the access key"));
	s3_listing_dispose(&listing);
	s3_free(wrong);
}

static void signed_unknown_key(void **state)
{
	struct s3 *wrong = client("KFOPS_S3_OTHER_FILE", "KFOPS_S3_OTHER_FILE");
	struct s3_list_request request = {.bucket = "models", .prefix = "", .max = 1};
	struct s3_listing listing;

	(void)state;
	assert_int_equal(s3_list(wrong, http, &request, &listing, &err), ERR_CONFIG);
	assert_non_null(strstr(err.msg, "it does not know the access key"));
	s3_listing_dispose(&listing);
	s3_free(wrong);
}

static const struct CMUnitTest live[] = {
	cmocka_unit_test(open_buckets),	       cmocka_unit_test(open_odd_keys),
	cmocka_unit_test(open_pages),	       cmocka_unit_test(open_parts_and_conditions),
	cmocka_unit_test(open_signed_urls),    cmocka_unit_test(open_role),
	cmocka_unit_test(open_model),	       cmocka_unit_test(signed_odd_keys),
	cmocka_unit_test(signed_wrong_secret), cmocka_unit_test(signed_unknown_key),
};

int main(int argc, char **argv)
{
	if (!getenv("KFOPS_S3_URL"))
		return 77;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(live, set_up, tear_down);
}
