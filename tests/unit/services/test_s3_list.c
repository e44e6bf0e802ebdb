/* Listings: the shared samples, names in URL form, pages, and lists that are none. */
#include "lib/services/s3_impl.h"
#include "tests/unit/samples.h"
#include "tests/unit/services/s3_kit.h"

#define LIST(inside) "<ListBucketResult>" inside "</ListBucketResult>"
#define OBJECT(key)  "<Contents><Key>" key "</Key><Size>7</Size><ETag>\"e1\"</ETag></Contents>"
#define FOLDER(name) "<CommonPrefixes><Prefix>" name "</Prefix></CommonPrefixes>"
#define MORE(token)                                                                                \
	"<IsTruncated>true</IsTruncated><NextContinuationToken>" token "</NextContinuationToken>"
#define URL_FORM "<EncodingType>url</EncodingType>"

/* "a:7:e1 b/ +more" */
static char *text_of(const struct s3_listing *listing)
{
	AUTO_BUF struct buf out = buf_make(8192);

	for (size_t i = 0; i < listing->count; i++)
		buf_printf(&out, "%s:%d:%s ", listing->objects[i].key,
			   (int)listing->objects[i].size, listing->objects[i].etag);
	for (size_t i = 0; i < listing->folder_count; i++)
		buf_printf(&out, "%s ", listing->folders[i]);
	if (!listing->complete)
		buf_printf(&out, "+%s", listing->continuation ? listing->continuation : "");
	return buf_take(&out);
}

static const struct {
	const char *name, *prefix, *in;
	enum err_class class;
	const char *want; /* the listing, or words of the message */
} pages[] = {
	{"empty", "", LIST(""), ERR_OK, ""},
	{"objects and folders", "a", LIST(OBJECT("a1") OBJECT("a2") FOLDER("a/")), ERR_OK,
	 "a1:7:e1 a2:7:e1 a/ "},
	{"more", "", LIST(OBJECT("a") MORE("t/1=")), ERR_OK, "a:7:e1 +t/1="},
	{"URL form", "", LIST(URL_FORM OBJECT("a+b%2Bc%2F%C5%BC%26") FOLDER("x%20y%2F")), ERR_OK,
	 "a b+c/\xc5\xbc&:7:e1 x y/ "},
	{"URL form is said at the end", "", LIST(OBJECT("a%2Bb") URL_FORM), ERR_OK, "a+b:7:e1 "},
	{"no URL form", "", LIST(OBJECT("a+b%2B &amp; c")), ERR_OK, "a+b%2B & c:7:e1 "},
	{"a broken name", "", LIST(URL_FORM OBJECT("a%2")), ERR_TRANSIENT, "cannot be read"},
	{"attack: a NUL in a name", "", LIST(URL_FORM OBJECT("a%00b")), ERR_TRANSIENT,
	 "cannot be read"},
	{"attack: another folder's", "mine/", LIST(OBJECT("yours/m.joblib")), ERR_CONFIG,
	 "names that were not asked for"},
	{"attack: another folder", "mine/", LIST(FOLDER("yours/")), ERR_CONFIG,
	 "names that were not asked for"},
	{"no size", "", LIST("<Contents><Key>a</Key><Size>big</Size></Contents>"), ERR_TRANSIENT,
	 "without name or size"},
	{"no name", "", LIST("<Contents><Size>1</Size></Contents>"), ERR_TRANSIENT,
	 "without name or size"},
	{"no place to go on", "", LIST("<IsTruncated>true</IsTruncated>"), ERR_TRANSIENT,
	 "without a place to go on"},
	{"another document", "", "<html><body/></html>", ERR_CONFIG, "no listing"},
	{"cut off", "", "<ListBucketResult>" OBJECT("a"), ERR_TRANSIENT,
	 "the listing of the object store cannot be read: line 1"},
	{"attack: a document type", "", "<!DOCTYPE x>" LIST(OBJECT("a")), ERR_TRANSIENT,
	 "document type"},
};

static void test_pages(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		struct s3_list_request request = {.prefix = pages[i].prefix};
		struct s3_listing listing = {0};
		struct s3_page page = {&listing, &request};
		AUTO_FREE char *text = NULL;
		struct err err = {0};

		print_message("  %s\n", pages[i].name);
		assert_int_equal(s3_page_parse(&page, pages[i].in, strlen(pages[i].in), &err),
				 pages[i].class);
		text = text_of(&listing);
		if (pages[i].class)
			assert_non_null(strstr(err.msg, pages[i].want));
		else
			assert_string_equal(text, pages[i].want);
		s3_listing_dispose(&listing);
	}
}

static void test_samples(void **state)
{
	static const struct {
		const char *file, *prefix, *want;
	} samples[] = {
		{"list_objects_v2.xml", "v2/artifacts/iris/",
		 "v2/artifacts/iris/9e68/train-model/0c3d/model/"
		 ":0:d41d8cd98f00b204e9800998ecf8427e "
		 "v2/artifacts/iris/9e68/train-model/0c3d/model/"
		 "model.joblib:10433:9b2cf535f27731c974343645a3985328 "
		 "v2/artifacts/iris/9e68/train-model/0c3d/model/"
		 "a & b <1>.txt:1:0cc175b9c0f1b6a831c399e269772661 "},
		{"list_objects_v2_empty.xml", "no-such-run/", ""},
		{"list_objects_v2_truncated_delimiter.xml", "v2/artifacts/",
		 "v2/artifacts/churn/ v2/artifacts/iris/ +djIvYXJ0aWZhY3RzL2lyaXMv"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		AUTO_FREE char *name = str_printf("samples/s3/%s", samples[i].file);
		struct s3_list_request request = {.prefix = samples[i].prefix};
		struct s3_listing listing = {0};
		struct s3_page page = {&listing, &request};
		AUTO_FREE char *text = NULL, *in = NULL;
		struct err err = {0};
		size_t len = 0;

		in = sample_read(true, name, &len);
		if (!in) {
			print_message("skipped: no shared samples\n");
			return;
		}
		assert_int_equal(s3_page_parse(&page, in, len, &err), ERR_OK);
		text = text_of(&listing);
		assert_string_equal(text, samples[i].want);
		s3_listing_dispose(&listing);
	}
}

static void check_list(const struct scripted_answer *script, size_t count, size_t max,
		       const char *want)
{
	struct kit kit = kit_start(script, count);
	struct s3_list_request request = {
		.bucket = "models", .prefix = "a b/", .delimiter = "/", .max = max};
	struct s3_listing listing;
	AUTO_FREE char *text = NULL;

	assert_int_equal(s3_list(kit.s3, kit.http, &request, &listing, &kit.err), ERR_OK);
	text = text_of(&listing);
	assert_string_equal(text, want);
	s3_listing_dispose(&listing);
	kit_stop(&kit, (int)count);
}

#define FIRST_PAGE(max)                                                                            \
	"GET /models?delimiter=%2F&encoding-type=url&list-type=2&max-keys=" max "&prefix=a%20b%"   \
	"2F "
#define NEXT_PAGE(token, max)                                                                      \
	"GET /models?continuation-token=" token                                                    \
	"&delimiter=%2F&encoding-type=url&list-type=2&max-keys=" max "&prefix=a%20b%2F "

static void test_all_pages_are_read(void **state)
{
	static const struct scripted_answer two[] = {
		{FIRST_PAGE("1000"), 200, .body = LIST(OBJECT("a b/1") MORE("t+1"))},
		{NEXT_PAGE("t%2B1", "1000"), 200, .body = LIST(OBJECT("a b/2"))}};
	static const struct scripted_answer enough[] = {
		{FIRST_PAGE("2"), 200, .body = LIST(OBJECT("a b/1") MORE("t1"))},
		{NEXT_PAGE("t1", "1"), 200, .body = LIST(FOLDER("a b/c/") MORE("t2"))}};
	static const struct scripted_answer all_at_once[] = {
		{FIRST_PAGE("1"), 200, .body = LIST(OBJECT("a b/1") OBJECT("a b/2") MORE("t1"))}};

	(void)state;
	check_list(two, ARRAY_LEN(two), 5000, "a b/1:7:e1 a b/2:7:e1 ");
	check_list(enough, ARRAY_LEN(enough), 2, "a b/1:7:e1 a b/c/ +t2");
	check_list(all_at_once, ARRAY_LEN(all_at_once), 1, "a b/1:7:e1 +");
}

static void test_a_list_goes_on_where_another_ended(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET /models?continuation-token=t2&encoding-type=url&list-type=2&max-keys=9 ", 200,
		 .body = LIST(OBJECT("z"))}};
	struct kit kit = KIT_START(script);
	struct s3_list_request request = {
		.bucket = "models", .prefix = "", .continuation = "t2", .max = 9};
	struct s3_listing listing;

	(void)state;
	assert_int_equal(s3_list(kit.s3, kit.http, &request, &listing, &kit.err), ERR_OK);
	assert_true(listing.complete && listing.count == 1);
	s3_listing_dispose(&listing);
	kit_stop(&kit, 1);
}

static void test_a_list_that_fails_in_the_middle(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET", 200, .body = LIST(OBJECT("a") MORE("t1"))},
		{"GET", 503, .body = FAULT("SlowDown", "")}};
	struct kit kit = KIT_START(script);
	struct s3_list_request request = {.bucket = "models", .prefix = "", .max = 9};
	struct s3_listing listing;

	(void)state;
	assert_int_equal(s3_list(kit.s3, kit.http, &request, &listing, &kit.err), ERR_THROTTLED);
	assert_non_null(strstr(kit.err.msg, "cannot list s3://models/: it asks to send less"));
	assert_false(listing.complete);
	s3_listing_dispose(&listing);
	kit_stop(&kit, 2);
}

static const struct CMUnitTest s3_list_tests[] = {
	cmocka_unit_test(test_pages),
	cmocka_unit_test(test_samples),
	cmocka_unit_test(test_all_pages_are_read),
	cmocka_unit_test(test_a_list_goes_on_where_another_ended),
	cmocka_unit_test(test_a_list_that_fails_in_the_middle),
};

CASES_MAIN(s3_list_tests, NULL, NULL)
