/* What a person reads of an object store's refusals, and whose matter each is. */
#include "lib/services/s3_impl.h"
#include "tests/unit/services/s3_kit.h"

static const struct {
	const char *name;
	int status;
	const char *headers, *body;
	bool is_head;
	enum err_class class;
	const char *code, *words;
} cases[] = {
	{"no bucket", 404, NULL, FAULT("NoSuchBucket", ""), false, ERR_NOT_FOUND, "s3.no_bucket",
	 "there is no such bucket"},
	{"no object", 404, NULL, FAULT("NoSuchKey", ""), false, ERR_NOT_FOUND, "s3.no_object",
	 "cannot read s3://models/m: there is no such object"},
	{"not there, to HEAD", 404, NULL, "", true, ERR_NOT_FOUND, "s3.no_object",
	 "cannot look at s3://models/m: there is no such object"},
	{"not allowed", 403, NULL, FAULT("AccessDenied", ""), false, ERR_DENIED, "s3.denied",
	 "the bucket's owner does not allow it to the keys of this server"},
	{"not allowed, to HEAD", 403, NULL, "", true, ERR_DENIED, "s3.denied",
	 "or what is not there may not be asked for"},
	{"expired, to HEAD", 400, NULL, "", true, ERR_CONFIG, "s3.keys",
	 "as when a session token has expired"},
	{"wrong secret", 403, NULL, FAULT("SignatureDoesNotMatch", ""), false, ERR_CONFIG,
	 "s3.keys", "the secret key does not belong to the access key"},
	{"unknown key", 403, NULL, FAULT("InvalidAccessKeyId", ""), false, ERR_CONFIG, "s3.keys",
	 "it does not know the access key"},
	{"session over", 400, NULL, FAULT("ExpiredToken", ""), false, ERR_CONFIG, "s3.keys",
	 "the session token has expired"},
	{"slow down", 503, "Retry-After: 7\r\n", FAULT("SlowDown", ""), false, ERR_THROTTLED, "",
	 "it asks to send less"},
	{"not ready", 503, NULL, FAULT("XMinioServerNotInitialized", ""), false, ERR_TRANSIENT, "",
	 "it is still starting"},
	{"broken inside", 500, NULL, FAULT("InternalError", ""), false, ERR_TRANSIENT, "",
	 "it failed inside"},
	{"too slow for it", 400, NULL, FAULT("RequestTimeout", ""), false, ERR_TRANSIENT, "",
	 "did not get the request in time"},
	{"in an archive", 403, NULL, FAULT("InvalidObjectState", ""), false, ERR_USER, "s3.refused",
	 "restore it first"},
	{"wrong region", 400, NULL,
	 FAULT("AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>"), false, ERR_CONFIG,
	 "s3.wrong_region",
	 "the bucket is in region eu-central-1, but the configuration of this object store says "
	 "us-east-1; set its region to eu-central-1"},
	{"wrong region, sent elsewhere", 301, "x-amz-bucket-region: eu-north-1\r\n",
	 FAULT("PermanentRedirect", "<Endpoint>models.s3.amazonaws.com</Endpoint>"), false,
	 ERR_CONFIG, "s3.wrong_region", "set its region to eu-north-1"},
	{"wrong region, to HEAD", 301, "x-amz-bucket-region: eu-north-1\r\n", "", true, ERR_CONFIG,
	 "s3.wrong_region", "set its region to eu-north-1"},
	{"elsewhere, region unknown", 307, "Location: https://evil.example/\r\n", "", false,
	 ERR_CONFIG, "s3.wrong_region", "it sends elsewhere"},
	{"a code not known here", 400, NULL, FAULT("MalformedThing", ""), false, ERR_USER,
	 "s3.refused", "it answers 400 MalformedThing: Words of the server"},
	{"a web page", 403, NULL, "<html><body>Forbidden</body></html>", false, ERR_DENIED,
	 "s3.denied", "does not allow it"},
	{"not an object store", 405, NULL, "no", false, ERR_CONFIG, "s3.not_there",
	 "what answers there is not an object store"},
	{"attack: a document type", 404, NULL,
	 "<!DOCTYPE x [<!ENTITY a \"NoSuchKey\">]><Error><Code>NoSuchKey</Code></Error>", false,
	 ERR_TRANSIENT, "", "no such path"},
	{"attack: a region that writes", 400, NULL,
	 FAULT("AuthorizationHeaderMalformed", "<Region>x `@ann`</Region>"), false, ERR_CONFIG,
	 "s3.wrong_region", "it sends elsewhere"},
	{"attack: a signature as a code", 400, NULL,
	 FAULT("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", ""), false,
	 ERR_CONFIG, "s3.not_there", "not an object store"},
	{"attack: a code that writes", 400, NULL,
	 "<Error><Code>x y&#10;z</Code><Message>m</Message></Error>", false, ERR_CONFIG,
	 "s3.not_there", "not an object store"},
};

static void test_cases(void **state)
{
	struct s3_uri uri = kit_uri("s3://models/m");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scripted_answer script[] = {
			{"", cases[i].status, cases[i].headers, cases[i].body}};
		struct kit kit = KIT_START(script);
		struct s3_get_request get = {.from = &uri, .max = 10};
		struct s3_content content = {0};
		struct s3_object object = {0};
		enum err_class class = cases[i].is_head
					       ? s3_head(kit.s3, kit.http, &uri, &object, &kit.err)
					       : s3_get(kit.s3, kit.http, &get, &content, &kit.err);

		print_message("  %s\n", cases[i].name);
		if (!strstr(kit.err.msg, cases[i].words))
			fail_msg("%s", kit.err.msg);
		assert_int_equal(class, cases[i].class);
		assert_string_equal(kit.err.code, cases[i].code);
		assert_null(strchr(kit.err.msg, '\n'));
		assert_int_equal(kit.err.retry_at_ms > 0,
				 cases[i].headers && strstr(cases[i].headers, "Retry"));
		s3_content_dispose(&content);
		s3_object_dispose(&object);
		kit_stop(&kit, 1);
	}
}

/* What a server might repeat of what was sent. */
static void test_what_was_signed_is_never_told(void **state)
{
	static const char *const words[] = {
		"Credential=" ACCESS_KEY "/20130524/us-east-1/s3/aws4_request is bad",
		"AWS4-HMAC-SHA256 20130524T000000Z",
		"got f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
		"X-Amz-Security-Token=FwoGZXIvYXdzEB is bad",
		"the secret is " SECRET_KEY,
		"no: " SECRET_KEY,
		ACCESS_KEY " is not known",
	};
	struct s3_subject subject = {.doing = "read",
				     .bucket = "models",
				     .key = "m",
				     .host = "host",
				     .region = "us-east-1",
				     .is_signed = true};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		AUTO_FREE char *body = str_printf(
			"<Error><Code>Odd</Code><Message>%s</Message></Error>", words[i]);
		struct s3_fault fault;
		struct err err = {0};

		print_message("  %s\n", words[i]);
		s3_fault_parse(&fault, 400, body, strlen(body));
		assert_int_equal(s3_error(&err, &fault, &subject), ERR_USER);
		assert_non_null(strstr(err.msg, "it answers 400 Odd"));
		assert_null(strstr(err.msg, ACCESS_KEY));
		assert_null(strstr(err.msg, SECRET_KEY));
		assert_null(strstr(err.msg, "f0e8bdb8"));
		assert_null(strstr(err.msg, "FwoGZX"));
		assert_null(strstr(err.msg, "AWS4"));
	}
}

static const struct CMUnitTest s3_errors[] = {
	cmocka_unit_test(test_cases),
	cmocka_unit_test(test_what_was_signed_is_never_told),
};

CASES_MAIN(s3_errors, NULL, NULL)
