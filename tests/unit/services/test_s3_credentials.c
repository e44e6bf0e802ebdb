/* What signs a request: key files that change, a clock that is off, a role that lends a session. */
#include "lib/services/s3_impl.h"
#include "tests/unit/services/s3_kit.h"

#define SESSION(number, ends)                                                                      \
	"<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"  \
	"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAEXAMPLE" number            \
	"</AccessKeyId><SecretAccessKey>secret" number "</SecretAccessKey>"                        \
	"<SessionToken>token" number "</SessionToken><Expiration>" ends "</Expiration>"            \
	"</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
#define FAR  "2099-01-01T00:00:00Z"
#define PAST "2001-01-01T00:00:00Z"

#define STS  "POST / "
#define HEAD "HEAD /models "

static struct kit start_role(const struct scripted_answer *script, size_t count)
{
	struct kit kit = kit_prepare(script, count);
	struct s3_options options = {.url = kit.server->url,
				     .role_arn = "arn:aws:iam::1:role/kfops",
				     .identity_token_file = kit.token_file,
				     .sts_url = kit.server->url};

	assert_int_equal(s3_new(&kit.s3, &options, &kit.err), ERR_OK);
	return kit;
}

static enum err_class ask(struct kit *kit)
{
	return s3_bucket_check(kit->s3, kit->http, "models", &kit->err);
}

/* --- key files --- */

static void test_replaced_keys_are_used(void **state)
{
	static const struct scripted_answer script[] = {{HEAD, 200}, {HEAD, 200}};
	struct kit kit = KIT_START(script);

	(void)state;
	assert_int_equal(ask(&kit), ERR_OK);
	kit_write(kit.access_file, "AKIAOTHER");
	assert_int_equal(ask(&kit), ERR_OK);
	assert_non_null(strstr(kit_header(&kit, 0, "Authorization"), "=" ACCESS_KEY "/"));
	assert_non_null(strstr(kit_header(&kit, 1, "Authorization"), "=AKIAOTHER/"));
	kit_stop(&kit, 2);
}

static void test_a_session_token_is_sent(void **state)
{
	static const struct scripted_answer script[] = {{HEAD, 200}};
	struct kit kit = kit_prepare(script, 1);
	struct s3_options options = {.url = kit.server->url,
				     .access_key_file = kit.access_file,
				     .secret_key_file = kit.secret_file,
				     .session_token_file = kit.token_file};

	(void)state;
	assert_int_equal(s3_new(&kit.s3, &options, &kit.err), ERR_OK);
	assert_int_equal(ask(&kit), ERR_OK);
	assert_string_equal(kit_header(&kit, 0, "x-amz-security-token"), "identity.token.text");
	assert_non_null(
		strstr(kit_header(&kit, 0, "Authorization"), "x-amz-date;x-amz-security-token,"));
	kit_stop(&kit, 1);
}

static void test_refused_keys_that_stay_are_told_once(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET", 403, .body = FAULT("InvalidAccessKeyId", "")}};
	struct kit kit = KIT_START(script);
	struct s3_uri uri = kit_uri("s3://models/m");
	struct s3_get_request get = {.from = &uri, .max = 10};
	struct s3_content content;

	(void)state;
	assert_int_equal(s3_get(kit.s3, kit.http, &get, &content, &kit.err), ERR_CONFIG);
	assert_string_equal(kit.err.code, "s3.keys");
	s3_content_dispose(&content);
	kit_stop(&kit, 1);
}

static void test_files_that_are_no_keys(void **state)
{
	static const struct {
		const char *name, *text, *fault;
	} cases[] = {
		{"both keys in one file", "AKIA secret", "holds blanks"},
		{"attack: a header more", "AKIA\r\nX-Evil: 1", "holds blanks"},
		{"empty", "\n", "is empty"},
	};
	struct kit kit = kit_start(NULL, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("  %s\n", cases[i].name);
		kit_write(kit.access_file, cases[i].text);
		assert_int_equal(ask(&kit), ERR_CONFIG);
		assert_non_null(strstr(kit.err.msg, cases[i].fault));
	}
	kit_write(kit.access_file, ACCESS_KEY);
	assert_int_equal(chmod(kit.secret_file, 0644), 0);
	assert_int_equal(ask(&kit), ERR_CONFIG);
	assert_non_null(strstr(kit.err.msg, "can be read by everybody"));
	kit_stop(&kit, 0);
}

/* --- the clock --- */

#define DATE_2040 "Date: Sun, 01 Jan 2040 00:00:00 GMT\r\n"

static void test_the_clock_follows_the_server(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET", 403, DATE_2040, FAULT("RequestTimeTooSkewed", "")},
		{"GET", 200, DATE_2040},
		{HEAD, 200, DATE_2040},
	};
	struct kit kit = KIT_START(script);
	struct s3_uri uri = kit_uri("s3://models/m");
	struct s3_get_request get = {.from = &uri, .max = 10};
	struct s3_content content;

	(void)state;
	assert_int_equal(s3_get(kit.s3, kit.http, &get, &content, &kit.err), ERR_OK);
	assert_true(str_starts(kit_header(&kit, 1, "x-amz-date"), "20400101T0000"));
	assert_int_equal(ask(&kit), ERR_OK);
	assert_true(str_starts(kit_header(&kit, 2, "x-amz-date"), "20400101T0000"));
	s3_content_dispose(&content);
	kit_stop(&kit, 3);
}

static void test_an_answer_without_words_tells_of_the_clock_by_its_date(void **state)
{
	static const struct scripted_answer script[] = {
		{HEAD, 403, DATE_2040}, {HEAD, 200, DATE_2040}, {HEAD, 403, DATE_2040}};
	struct kit kit = KIT_START(script);

	(void)state;
	assert_int_equal(ask(&kit), ERR_OK);
	assert_int_equal(ask(&kit), ERR_DENIED); /* the clock is right now */
	kit_stop(&kit, 3);
}

static void test_a_clock_that_cannot_be_mended_is_told(void **state)
{
	static const struct scripted_answer script[] = {
		{"GET", 403, DATE_2040, FAULT("RequestTimeTooSkewed", "")},
		{"GET", 403, DATE_2040, FAULT("RequestTimeTooSkewed", "")},
	};
	struct kit kit = KIT_START(script);
	struct s3_uri uri = kit_uri("s3://models/m");
	struct s3_get_request get = {.from = &uri, .max = 10};
	struct s3_content content;

	(void)state;
	assert_int_equal(s3_get(kit.s3, kit.http, &get, &content, &kit.err), ERR_CONFIG);
	assert_string_equal(kit.err.code, "s3.clock");
	s3_content_dispose(&content);
	kit_stop(&kit, 2);
}

/* --- a role --- */

static void test_a_role_lends_a_session(void **state)
{
	static const struct scripted_answer script[] = {
		{STS, 200, .body = SESSION("1", FAR)}, {HEAD, 200}, {HEAD, 200}};
	struct kit kit = start_role(script, ARRAY_LEN(script));

	(void)state;
	assert_int_equal(ask(&kit), ERR_OK);
	assert_int_equal(ask(&kit), ERR_OK);
	assert_string_equal(kit.server->requests[0].body,
			    "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
			    "&DurationSeconds=3600&RoleSessionName=kfops"
			    "&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fkfops"
			    "&WebIdentityToken=identity.token.text");
	assert_string_equal(kit_header(&kit, 0, "Authorization"), "");
	assert_non_null(strstr(kit_header(&kit, 1, "Authorization"), "=ASIAEXAMPLE1/"));
	assert_string_equal(kit_header(&kit, 2, "x-amz-security-token"), "token1");
	kit_stop(&kit, 3);
}

static void test_a_session_is_renewed(void **state)
{
	static const struct scripted_answer script[] = {{STS, 200, .body = SESSION("1", PAST)},
							{STS, 200, .body = SESSION("2", FAR)},
							{HEAD, 200}};
	struct kit kit = start_role(script, ARRAY_LEN(script));

	(void)state;
	assert_int_equal(ask(&kit), ERR_TRANSIENT); /* it had ended when it came */
	assert_non_null(strstr(kit.err.msg, "has just ended"));
	kit_write(kit.token_file, "newer.identity");
	assert_int_equal(ask(&kit), ERR_OK);
	assert_true(str_ends(kit.server->requests[1].body, "=newer.identity"));
	assert_string_equal(kit_header(&kit, 2, "x-amz-security-token"), "token2");
	kit_stop(&kit, 3);
}

static void test_a_session_that_is_near_its_end_is_used_on_when_sts_is_down(void **state)
{
	char ends[21];
	AUTO_FREE char *session = NULL;
	struct scripted_answer script[] = {
		{STS, 200}, {HEAD, 200}, {STS, 503}, {HEAD, 200}, {HEAD, 200}};
	struct kit kit;

	(void)state;
	clock_rfc3339(ends, clock_now_ms() + 200 * 1000);
	session = str_printf(SESSION("1", "%s"), ends);
	script[0].body = session;
	kit = start_role(script, ARRAY_LEN(script));
	for (int i = 0; i < 3; i++) /* the third does not ask STS again so soon */
		assert_int_equal(ask(&kit), ERR_OK);
	kit_stop(&kit, 5);
}

static void test_a_session_that_was_ended_early_is_replaced(void **state)
{
	static const struct scripted_answer script[] = {
		{STS, 200, .body = SESSION("1", FAR)},
		{"GET", 400, .body = FAULT("ExpiredToken", "")},
		{STS, 200, .body = SESSION("2", FAR)},
		{"GET", 200, .body = "x"}};
	struct kit kit = start_role(script, ARRAY_LEN(script));
	struct s3_uri uri = kit_uri("s3://models/m");
	struct s3_get_request get = {.from = &uri, .max = 10};
	struct s3_content content;

	(void)state;
	assert_int_equal(s3_get(kit.s3, kit.http, &get, &content, &kit.err), ERR_OK);
	assert_string_equal(kit_header(&kit, 3, "x-amz-security-token"), "token2");
	s3_content_dispose(&content);
	kit_stop(&kit, 4);
}

#define STS_FAULT(code)                                                                            \
	"<ErrorResponse><Error><Type>Sender</Type><Code>" code                                     \
	"</Code><Message>identity.token.text</Message></Error></ErrorResponse>"

static void test_a_role_that_is_refused(void **state)
{
	static const struct {
		const char *name;
		struct scripted_answer answer;
		enum err_class class;
		const char *words;
	} cases[] = {
		{"not trusted",
		 {STS, 403, .body = STS_FAULT("AccessDenied")},
		 ERR_CONFIG,
		 "does not trust this service account"},
		{"token over",
		 {STS, 400, .body = STS_FAULT("ExpiredTokenException")},
		 ERR_CONFIG,
		 "the identity token has expired"},
		{"issuer down",
		 {STS, 400, .body = STS_FAULT("IDPCommunicationError")},
		 ERR_TRANSIENT,
		 "STS answers 400 IDPCommunicationError"},
		{"too many",
		 {STS, 400, .body = STS_FAULT("Throttling")},
		 ERR_THROTTLED,
		 "STS answers 400 Throttling"},
		{"STS down",
		 {STS, 503, .body = "gateway"},
		 ERR_TRANSIENT,
		 "STS answers 503 without a reason"},
		{"STS resets", {STS, 0, .fault = SCRIPTED_RESET}, ERR_TRANSIENT, "STS: "},
		{"a page",
		 {STS, 200, .body = "<html/>"},
		 ERR_TRANSIENT,
		 "answers without credentials"},
		{"nothing", {STS, 200}, ERR_TRANSIENT, "answers without credentials"},
		{"attack: a document type",
		 {STS, 200, .body = "<!DOCTYPE x>" SESSION("1", FAR)},
		 ERR_TRANSIENT,
		 "answers without credentials"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kit kit = start_role(&cases[i].answer, 1);

		print_message("  %s\n", cases[i].name);
		assert_int_equal(ask(&kit), cases[i].class);
		assert_non_null(strstr(kit.err.msg, cases[i].words));
		assert_null(strstr(kit.err.msg, "identity.token.text"));
		assert_false(kit.err.in_doubt);
		kit_stop(&kit, 1);
	}
}

struct asker {
	struct kit *kit;
	struct http *http;
	enum err_class class;
};

static void *ask_in_thread(void *arg)
{
	struct asker *asker = arg;
	struct err err;

	asker->class = s3_bucket_check(asker->kit->s3, asker->http, "models", &err);
	return NULL;
}

static void test_one_thread_fetches_the_session_for_all(void **state)
{
	static const struct scripted_answer script[] = {
		{STS, 200, .body = SESSION("1", FAR), .delay_ms = 50}, {HEAD, 200, .always = true}};
	static const struct http_options plain = {.user_agent = "kfops/test", .allow_http = true};
	struct kit kit = start_role(script, ARRAY_LEN(script));
	struct asker askers[4];
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		askers[i] = (struct asker){&kit, http_new(&plain), ERR_BUG};
		assert_int_equal(pthread_create(&threads[i], NULL, ask_in_thread, &askers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(askers[i].class, ERR_OK);
		http_free(askers[i].http);
	}
	kit_stop(&kit, 5);
}

static const struct CMUnitTest s3_credentials[] = {
	cmocka_unit_test(test_replaced_keys_are_used),
	cmocka_unit_test(test_a_session_token_is_sent),
	cmocka_unit_test(test_refused_keys_that_stay_are_told_once),
	cmocka_unit_test(test_files_that_are_no_keys),
	cmocka_unit_test(test_the_clock_follows_the_server),
	cmocka_unit_test(test_an_answer_without_words_tells_of_the_clock_by_its_date),
	cmocka_unit_test(test_a_clock_that_cannot_be_mended_is_told),
	cmocka_unit_test(test_a_role_lends_a_session),
	cmocka_unit_test(test_a_session_is_renewed),
	cmocka_unit_test(test_a_session_that_is_near_its_end_is_used_on_when_sts_is_down),
	cmocka_unit_test(test_a_session_that_was_ended_early_is_replaced),
	cmocka_unit_test(test_a_role_that_is_refused),
	cmocka_unit_test(test_one_thread_fetches_the_session_for_all),
};

CASES_MAIN(s3_credentials, NULL, NULL)
