/* Addresses in an object store: what they name, and what is refused with which words. */
#include "lib/core/s3_uri.h"

#include "lib/base/str.h"
#include "tests/unit/cases.h"

#define B63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *name, *in;
	const char *bucket, *key; /* bucket NULL: refused, with `key` in the sentence */
} cases[] = {
	{"a folder", "s3://trained-models/run-7/", "trained-models", "run-7/"},
	{"Kubeflow's own scheme", "minio://mlpipeline/v2/artifacts/iris/model", "mlpipeline",
	 "v2/artifacts/iris/model"},
	{"a bucket", "s3://models", "models", ""},
	{"a bucket with a slash", "s3://models/", "models", ""},
	{"dots in the bucket", "s3://my.models/a", "my.models", "a"},
	{"blanks, plus, UTF-8", "s3://models/a b+\xc5\xbc/100%25", "models", "a b+\xc5\xbc/100%25"},
	{"an empty segment", "s3://models//a//b", "models", "/a//b"},
	{"dots that are names", "s3://models/.a/..b/c..", "models", ".a/..b/c.."},
	{"longest bucket", "s3://" B63 "/a", B63, "a"},
	{"Google", "gs://models/a", NULL, "gs:// is Google Cloud Storage"},
	{"a web address", "https://host/model.joblib", NULL, "https:// is a web address"},
	{"upper case is another word for KServe", "S3://models/a", NULL,
	 "S3:// is not known here; write the address as s3://BUCKET/KEY"},
	{"a volume", "pvc://claim/model", NULL, "pvc:// is a volume of the cluster"},
	{"the Hugging Face hub", "hf://org/model", NULL, "hf:// is the Hugging Face hub"},
	{"MLflow", "mlflow-artifacts:/1/a", NULL, "is not an address of the form s3://"},
	{"MLflow with a host", "mlflow-artifacts://h/1", NULL, "is MLflow's own store"},
	{"unknown", "mem://models/a", NULL, "mem:// is not known here"},
	{"no scheme", "models/a", NULL, "is not an address of the form s3://BUCKET/KEY"},
	{"empty", "", NULL, "is not an address"},
	{"no bucket", "s3:///a", NULL, "\"\" is not the name of a bucket"},
	{"short bucket", "s3://ab/a", NULL, "\"ab\" is not the name of a bucket"},
	{"long bucket", "s3://" B63 "a/a", NULL, "aaa\" is not the name of a bucket"},
	{"capital letters", "s3://Models/a", NULL, "not the name of a bucket"},
	{"dots in a row", "s3://a..b/a", NULL, "not the name of a bucket"},
	{"attack: another host", "s3://h@evil.com/a", NULL, "not the name of a bucket"},
	{"attack: a port", "s3://evil:80/a", NULL, "not the name of a bucket"},
	{"attack: a query as a bucket", "s3://abc?x=y/a", NULL, "not the name of a bucket"},
	{"attack: out of the folder", "s3://models/a/../../other/b", NULL,
	 "has a part that is \".\" or \"..\""},
	{"attack: out at the end", "s3://models/a/..", NULL, "has a part that is"},
	{"attack: a query", "s3://models/a?endpoint=http://evil", NULL, "holds '?' or '#'"},
	{"attack: a fragment", "s3://models/a#b", NULL, "holds '?' or '#'"},
	{"attack: a header", "s3://models/a\r\nHost: evil", NULL, "has control characters"},
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct s3_uri uri;
		struct err err = {0};
		enum err_class class = s3_uri_parse(&uri, cases[i].in, &err);

		print_message("  %s\n", cases[i].name);
		assert_int_equal(class, cases[i].bucket ? ERR_OK : ERR_USER);
		assert_string_equal(uri.bucket, cases[i].bucket ? cases[i].bucket : "");
		assert_string_equal(uri.key, cases[i].bucket ? cases[i].key : "");
		if (class) {
			assert_string_equal(err.code, "s3.uri");
			if (!strstr(err.msg, cases[i].key))
				fail_msg("%s", err.msg);
		}
	}
}

static void test_longest_key(void **state)
{
	AUTO_FREE char *key = mem_new(1, 1026), *text = NULL, *longer = NULL;
	struct s3_uri uri;
	struct err err;

	(void)state;
	memset(key, 'k', 1025);
	longer = str_printf("s3://models/%s", key);
	key[1024] = '\0';
	text = str_printf("s3://models/%s", key);
	assert_int_equal(s3_uri_parse(&uri, text, &err), ERR_OK);
	assert_string_equal(uri.key, key);
	assert_int_equal(s3_uri_parse(&uri, longer, &err), ERR_USER);
	assert_non_null(strstr(err.msg, "longer than 1024 bytes"));
}

static void test_print(void **state)
{
	AUTO_BUF struct buf out = buf_make(100);
	struct s3_uri uri;
	struct err err;

	(void)state;
	assert_int_equal(s3_uri_parse(&uri, "minio://models/a/b", &err), ERR_OK);
	s3_uri_print(&out, &uri);
	assert_string_equal(buf_text(&out), "s3://models/a/b");
}

static const struct CMUnitTest s3_uri[] = {
	cmocka_unit_test(test_parse),
	cmocka_unit_test(test_longest_key),
	cmocka_unit_test(test_print),
};

CASES_MAIN(s3_uri, NULL, NULL)
