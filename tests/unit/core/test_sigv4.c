/* Signature Version 4: the examples that AWS publishes, the shared vectors, and what must hold of
 * encoding and order. */
#include "lib/core/sigv4.h"

#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "tests/unit/cases.h"
#include "tests/unit/samples.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define AWS_HOST   "examplebucket.s3.amazonaws.com"
#define AWS_SCOPE  "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"

static const struct sigv4_key aws_key = {"AKIAIOSFODNN7EXAMPLE",
					 "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL};
enum { AWS_NOW_S = 1369353600 }; /* 2013-05-24 00:00:00 */

static struct sigv4_request aws_request(const char *path)
{
	return (struct sigv4_request){.method = "GET",
				      .host = AWS_HOST,
				      .path = path,
				      .payload_hash = EMPTY_HASH,
				      .region = "us-east-1",
				      .service = "s3",
				      .now_ms = AWS_NOW_S * 1000LL};
}

static void assert_authorized(const struct sigv4_request *request, const struct sigv4_key *key,
			      const char *names, const char *signature)
{
	AUTO_BUF struct buf out = buf_make(8192), want = buf_make(8192);

	buf_printf(&want, "AWS4-HMAC-SHA256 Credential=" AWS_SCOPE ",SignedHeaders=%s,Signature=%s",
		   names, signature);
	sigv4_authorize(&out, request, key);
	assert_string_equal(buf_text(&out), buf_text(&want));
}

static void test_published_header_examples(void **state)
{
	static const struct sigv4_pair range = {"Range", "bytes=0-9"};
	static const struct sigv4_pair stored[] = {
		{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
		{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
	};
	static const struct sigv4_pair lifecycle = {"lifecycle", ""};
	static const struct sigv4_pair list[] = {{"prefix", "J"}, {"max-keys", "2"}};
	struct sigv4_request request = aws_request("/test.txt");

	(void)state;
	request.headers = &range;
	request.header_count = 1;
	assert_authorized(&request, &aws_key, "host;range;x-amz-content-sha256;x-amz-date",
			  "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");

	request = aws_request("/test$file.text");
	request.method = "PUT";
	request.headers = stored;
	request.header_count = 2;
	request.payload_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
	assert_authorized(&request, &aws_key,
			  "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
			  "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");

	request = aws_request("/");
	request.query = &lifecycle;
	request.query_count = 1;
	assert_authorized(&request, &aws_key, "host;x-amz-content-sha256;x-amz-date",
			  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	request.query = list;
	request.query_count = 2;
	assert_authorized(&request, &aws_key, "host;x-amz-content-sha256;x-amz-date",
			  "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void test_published_url_example(void **state)
{
	struct sigv4_request request = aws_request("/test.txt");
	AUTO_BUF struct buf out = buf_make(8192);

	(void)state;
	sigv4_presign(&out, &request, &aws_key, 86400);
	assert_string_equal(
		buf_text(&out),
		"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
		"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
		"&X-Amz-Signature="
		"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void test_the_session_token_is_signed(void **state)
{
	const struct sigv4_key temporary = {aws_key.access_key, aws_key.secret_key, "a/token+=="};
	struct sigv4_request request = aws_request("/test.txt");
	AUTO_BUF struct buf header = buf_make(8192), url = buf_make(8192);

	(void)state;
	sigv4_authorize(&header, &request, &temporary);
	assert_non_null(
		strstr(buf_text(&header),
		       "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"));
	assert_null(strstr(buf_text(&header), "a/token"));
	sigv4_presign(&url, &request, &temporary, 60);
	assert_non_null(strstr(buf_text(&url), "&X-Amz-Security-Token=a%2Ftoken%2B%3D%3D&"));
}

static void test_targets(void **state)
{
	static const struct sigv4_pair query[] = {
		{"prefix", "a b+c/d"}, {"list-type", "2"}, {"prefix", "a"}, {"x", ""}};
	static const struct {
		const char *name, *path;
		size_t query;
		const char *want;
	} cases[] = {
		{"nothing to encode", "/b/model.joblib", 0, "/b/model.joblib"},
		{"blanks and signs", "/b/a b+c%20$&'", 0, "/b/a%20b%2Bc%2520%24%26%27"},
		{"UTF-8", "/b/\xc5\xbc", 0, "/b/%C5%BC"},
		{"slashes and dots stay", "/b//a/../.~_-", 0, "/b//a/../.~_-"},
		{"attack: a query in a key", "/b/k?acl#x", 0, "/b/k%3Facl%23x"},
		{"attack: line breaks in a key", "/b/k\r\nHost: x", 0, "/b/k%0D%0AHost%3A%20x"},
		{"parameters in order", "/b", 4, "/b?list-type=2&prefix=a&prefix=a%20b%2Bc%2Fd&x="},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sigv4_request request = aws_request(cases[i].path);
		AUTO_BUF struct buf out = buf_make(8192);

		print_message("  %s\n", cases[i].name);
		request.query = query;
		request.query_count = cases[i].query;
		sigv4_target(&out, &request);
		assert_string_equal(buf_text(&out), cases[i].want);
	}
}

static void test_blanks_in_headers_do_not_matter(void **state)
{
	static const struct sigv4_pair tidy = {"x-a", "b c"}, untidy = {"X-A", " \tb \t c  "};
	struct sigv4_request request = aws_request("/");
	AUTO_BUF struct buf one = buf_make(8192), two = buf_make(8192);

	(void)state;
	request.header_count = 1;
	request.headers = &tidy;
	sigv4_authorize(&one, &request, &aws_key);
	request.headers = &untidy;
	sigv4_authorize(&two, &request, &aws_key);
	assert_string_equal(buf_text(&one), buf_text(&two));
}

static void test_long_texts_are_signed_whole(void **state)
{
	AUTO_FREE char *path = mem_new(1, 40002), *other = NULL;
	struct sigv4_request request = aws_request(NULL);
	AUTO_BUF struct buf one = buf_make(8192), two = buf_make(8192);

	(void)state;
	memset(path, '+', 40001);
	path[0] = '/';
	other = str_dup(path);
	other[40000] = '-';
	request.path = path;
	sigv4_authorize(&one, &request, &aws_key);
	request.path = other;
	sigv4_authorize(&two, &request, &aws_key);
	assert_string_not_equal(buf_text(&one), buf_text(&two));
}

/* --- the shared vectors --- */

/* "20130524T000000Z" as milliseconds. */
static int64_t time_of(const char *date)
{
	AUTO_FREE char *text = str_printf("%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", date, date + 4,
					  date + 6, date + 9, date + 11, date + 13);
	int64_t ms = 0;

	assert_true(clock_parse(&ms, text));
	return ms;
}

/* Headers of a vector beside those that the signer adds itself. */
static size_t headers_of(struct sigv4_pair *out, const json_t *vector)
{
	static const char *const own[] = {"host", "x-amz-content-sha256", "x-amz-date"};
	const char *name;
	size_t count = 0;
	json_t *value;

	json_object_foreach(json_object_get(vector, "headers"), name, value)
	{
		bool is_own = false;

		for (size_t i = 0; i < ARRAY_LEN(own); i++)
			is_own |= str_eq(name, own[i]);
		if (!is_own)
			out[count++] = (struct sigv4_pair){name, json_string_value(value)};
	}
	return count;
}

/* Parameters of a vector beside those that the signer adds itself. */
static size_t parameters_of(struct sigv4_pair *out, const json_t *vector)
{
	size_t count = 0, i;
	json_t *pair;

	json_array_foreach(json_object_get(vector, "query"), i, pair)
	{
		const char *name = json_string_value(json_array_get(pair, 0));

		if (!str_starts(name, "X-Amz-"))
			out[count++] = (struct sigv4_pair){
				name, json_string_value(json_array_get(pair, 1))};
	}
	return count;
}

static int expiry_of(const json_t *vector)
{
	int64_t seconds = 0;
	size_t i;
	json_t *pair;

	json_array_foreach(
		json_object_get(vector, "query"), i,
		pair) if (str_eq(json_string_value(json_array_get(pair, 0)), "X-Amz-Expires"))
		assert_true(str_to_int64(&seconds, json_string_value(json_array_get(pair, 1))));
	return (int)seconds;
}

static void check_vector(const json_t *vector, const struct sigv4_key *key)
{
	struct sigv4_pair headers[SIGV4_PAIRS_MAX], query[SIGV4_PAIRS_MAX];
	const char *url = jval_str(vector, "url", NULL);
	struct sigv4_request request = {
		.method = jval_str(vector, "method", ""),
		.host = jval_str(vector, "host", ""),
		.path = jval_str(vector, "path", ""),
		.headers = headers,
		.header_count = headers_of(headers, vector),
		.query = query,
		.query_count = parameters_of(query, vector),
		.payload_hash = jval_str(vector, "payload_hash", ""),
		.region = jval_str(vector, "region", ""),
		.service = "s3",
		.now_ms = time_of(jval_str(vector, "amz_date", "")),
	};
	AUTO_BUF struct buf out = buf_make(8192);

	print_message("  %s\n", jval_str(vector, "name", ""));
	if (url) {
		buf_printf(&out, "%.*s%s", (int)(strstr(url, "://") + 3 - url), url, request.host);
		sigv4_presign(&out, &request, key, expiry_of(vector));
		assert_string_equal(buf_text(&out), url);
	} else {
		sigv4_authorize(&out, &request, key);
		assert_string_equal(buf_text(&out), jval_str(vector, "authorization", ""));
	}
}

static void test_shared_vectors(void **state)
{
	size_t len = 0, i;
	AUTO_FREE char *text = sample_read(true, "samples/s3/sigv4_vectors.json", &len);
	AUTO_JSON json_t *file = NULL;
	struct sigv4_key key = {0};
	struct err err;
	json_t *vector;

	(void)state;
	if (!text) {
		print_message("skipped: no shared samples\n");
		return;
	}
	assert_int_equal(jval_parse(&file, text, len, &err), ERR_OK);
	key.access_key = jval_str(file, "access_key", "");
	key.secret_key = jval_str(file, "secret_key", "");
	assert_true(json_array_size(json_object_get(file, "vectors")) > 0);
	json_array_foreach(json_object_get(file, "vectors"), i, vector) check_vector(vector, &key);
}

static const struct CMUnitTest sigv4[] = {
	cmocka_unit_test(test_published_header_examples),
	cmocka_unit_test(test_published_url_example),
	cmocka_unit_test(test_the_session_token_is_signed),
	cmocka_unit_test(test_targets),
	cmocka_unit_test(test_blanks_in_headers_do_not_matter),
	cmocka_unit_test(test_long_texts_are_signed_whole),
	cmocka_unit_test(test_shared_vectors),
};

CASES_MAIN(sigv4, NULL, NULL)
