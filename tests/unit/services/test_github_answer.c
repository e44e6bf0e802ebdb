/* What answers of GitHub mean: the table of classes, also against the collected error answers. */
#include "lib/base/str.h"
#include "lib/services/github_impl.h"
#include "tests/unit/cases.h"
#include "tests/unit/samples.h"

/* --- the collected answers, by name --- */

static const struct {
	const char *name;
	enum err_class want;
	enum github_wait wait;
	const char *code;
} samples[] = {
	{"bad-credentials", ERR_CONFIG, GITHUB_WAIT_NONE, "github.token_refused"},
	{"requires-authentication", ERR_CONFIG, GITHUB_WAIT_NONE, "github.token_refused"},
	{"jwt-exp-too-far", ERR_CONFIG, GITHUB_WAIT_NONE, "github.token_refused"},
	{"jwt-exp-not-numeric", ERR_CONFIG, GITHUB_WAIT_NONE, "github.token_refused"},
	{"jwt-iat-future", ERR_CONFIG, GITHUB_WAIT_NONE, "github.token_refused"},
	{"jwt-undecodable", ERR_CONFIG, GITHUB_WAIT_NONE, "github.token_refused"},
	{"integration-not-found", ERR_CONFIG, GITHUB_WAIT_NONE, "github.unknown_app"},
	{"installation-suspended", ERR_DENIED, GITHUB_WAIT_NONE, "github.suspended"},
	{"not-accessible-by-integration", ERR_DENIED, GITHUB_WAIT_NONE, "github.denied"},
	{"not-accessible-by-pat", ERR_DENIED, GITHUB_WAIT_NONE, "github.denied"},
	{"primary-limit-installation", ERR_DENIED, GITHUB_WAIT_PRIMARY, NULL},
	{"secondary-limit", ERR_DENIED, GITHUB_WAIT_RETRY_AFTER, NULL},
	{"secondary-limit-no-header", ERR_DENIED, GITHUB_WAIT_SECONDARY, NULL},
	{"secondary-limit-content", ERR_DENIED, GITHUB_WAIT_RETRY_AFTER, NULL},
	{"secondary-limit-429", ERR_BUG, GITHUB_WAIT_RETRY_AFTER, NULL},
	{"no-user-agent", ERR_BUG, GITHUB_WAIT_NONE, "github.no_user_agent"},
	{"locked", ERR_DENIED, GITHUB_WAIT_NONE, "github.locked"},
	{"not-found", ERR_NOT_FOUND, GITHUB_WAIT_NONE, "github.not_found"},
	{"moved", ERR_TRANSIENT, GITHUB_WAIT_NONE, "github.redirect"},
	{"temporary-redirect", ERR_TRANSIENT, GITHUB_WAIT_NONE, "github.redirect"},
	{"gone", ERR_NOT_FOUND, GITHUB_WAIT_NONE, "github.gone"},
	{"bad-json", ERR_BUG, GITHUB_WAIT_NONE, "github.bad_request"},
	{"not-an-object", ERR_BUG, GITHUB_WAIT_NONE, "github.bad_request"},
	{"bad-api-version", ERR_CONFIG, GITHUB_WAIT_NONE, "github.api_version"},
	{"invalid-request", ERR_USER, GITHUB_WAIT_NONE, "github.invalid"},
	{"comment-too-long", ERR_USER, GITHUB_WAIT_NONE, "github.invalid"},
	{"label-exists", ERR_USER, GITHUB_WAIT_NONE, "github.invalid"},
	{"label-missing", ERR_NOT_FOUND, GITHUB_WAIT_NONE, "github.not_found"},
	{"no-commit-for-sha", ERR_USER, GITHUB_WAIT_NONE, "github.no_commit"},
	{"merge-not-mergeable", ERR_CONFLICT, GITHUB_WAIT_NONE, "github.not_now"},
	{"merge-base-modified", ERR_CONFLICT, GITHUB_WAIT_NONE, "github.not_now"},
	{"merge-not-authorised", ERR_CONFLICT, GITHUB_WAIT_NONE, "github.not_now"},
	{"merge-method-forbidden", ERR_CONFLICT, GITHUB_WAIT_NONE, "github.not_now"},
	{"merge-reviews", ERR_CONFLICT, GITHUB_WAIT_NONE, "github.not_now"},
	{"merge-check-expected", ERR_CONFLICT, GITHUB_WAIT_NONE, "github.not_now"},
	{"merge-rules", ERR_CONFLICT, GITHUB_WAIT_NONE, "github.not_now"},
	{"merge-queue-required", ERR_CONFLICT, GITHUB_WAIT_NONE, "github.not_now"},
	{"merge-head-modified", ERR_CONFLICT, GITHUB_WAIT_NONE, "github.conflict"},
	{"merge-async-queue-params", ERR_USER, GITHUB_WAIT_NONE, "github.invalid"},
	{"update-branch-sha", ERR_USER, GITHUB_WAIT_NONE, "github.invalid"},
	{"update-branch-conflict", ERR_USER, GITHUB_WAIT_NONE, "github.invalid"},
	{"deployment-auto-merged", ERR_OK, GITHUB_WAIT_NONE, NULL},
	{"deployment-checks-failed", ERR_CONFLICT, GITHUB_WAIT_NONE, "github.conflict"},
	{"deployment-merge-conflict", ERR_CONFLICT, GITHUB_WAIT_NONE, "github.conflict"},
	{"reference-exists", ERR_USER, GITHUB_WAIT_NONE, "github.invalid"},
	{"timeout-502", ERR_TRANSIENT, GITHUB_WAIT_NONE, "github.fault"},
	{"unicorn", ERR_TRANSIENT, GITHUB_WAIT_NONE, "github.fault"},
	{"service-unavailable", ERR_TRANSIENT, GITHUB_WAIT_NONE, "github.fault"},
	{"gateway-timeout", ERR_TRANSIENT, GITHUB_WAIT_NONE, "github.fault"},
	{"graphql-rate-limited", ERR_BUG, GITHUB_WAIT_PRIMARY, NULL},
	{"graphql-not-found", ERR_NOT_FOUND, GITHUB_WAIT_NONE, "github.not_found"},
	{"graphql-forbidden", ERR_DENIED, GITHUB_WAIT_NONE, "github.denied"},
	{"graphql-internal", ERR_TRANSIENT, GITHUB_WAIT_NONE, "github.fault"},
};

static void answer_of_sample(struct http_response *out, json_t *sample)
{
	json_t *body = jval_at(sample, "body"), *value;
	const char *key;

	*out = (struct http_response){.status = (int)jval_int(sample, "status", 0),
				      .body = buf_make(1 << 20),
				      .headers = buf_make(1 << 16)};
	json_object_foreach(jval_at(sample, "headers"), key, value)
		buf_printf(&out->headers, "%s: %s\n", key, json_string_value(value));
	if (json_is_string(body)) {
		buf_puts(&out->body, json_string_value(body));
	} else if (body) {
		AUTO_FREE char *text = jval_dump(body);

		buf_puts(&out->body, text);
	}
}

static void check_sample(json_t *sample)
{
	const char *name = jval_str(sample, "name", "");
	enum github_resource resource = str_starts(name, "graphql") ? GITHUB_GRAPHQL : GITHUB_CORE;
	AUTO_RESPONSE struct http_response response = {0};
	AUTO_ANSWER struct github_answer answer = {0};
	struct github_facts facts;
	struct err err = {0};
	size_t i = 0;

	print_message("%s\n", name);
	while (i < ARRAY_LEN(samples) && !str_eq(samples[i].name, name))
		i++;
	if (i == ARRAY_LEN(samples))
		fail_msg("nothing is expected of \"%s\"", name);
	answer_of_sample(&response, sample);
	github_facts_read(&facts, &response, resource, 1700000000000);
	assert_int_equal(github_wait_of(&facts), samples[i].wait);
	assert_int_equal(github_answer_read(&answer, &response, GITHUB_WRITE, resource, NULL, &err),
			 samples[i].want);
	if (samples[i].code)
		assert_string_equal(err.code, samples[i].code);
	assert_int_equal(err.in_doubt, samples[i].want == ERR_TRANSIENT);
	assert_null(strchr(err.msg, '\n'));
	assert_int_equal(github_is_clock_fault(err.msg),
			 str_starts(name, "jwt-") && !str_eq(name, "jwt-undecodable"));
}

static void test_collected_answers(void **state)
{
	AUTO_FREE char *text = NULL;
	AUTO_JSON json_t *all = NULL;
	json_t *sample;
	size_t len, i;

	(void)state;
	text = sample_read(true, "github/errors.sample.json", &len);
	if (!text) {
		print_message("skipped: no shared samples\n");
		skip();
	}
	assert_int_equal(jval_parse(&all, text, len, NULL), ERR_OK);
	assert_int_equal(json_array_size(jval_at(all, "samples")), ARRAY_LEN(samples));
	json_array_foreach(jval_at(all, "samples"), i, sample) check_sample(sample);
}

/* --- our own cases --- */

/* A message is cut, and a token may be longer than that: its beginning must not stay. */
static void test_long_secret_is_struck_out(void **state)
{
	AUTO_RESPONSE struct http_response response = {
		.status = 401, .body = buf_make(4000), .headers = buf_make(4000)};
	AUTO_ANSWER struct github_answer answer = {0};
	char secret[521], message[GITHUB_MESSAGE_MAX];
	struct err err = {0};

	(void)state;
	memset(secret, 'x', sizeof secret - 1);
	memcpy(secret, "ghs_0123456789", 14);
	secret[sizeof secret - 1] = '\0';
	buf_puts(&response.headers, "content-type: application/json\n");
	buf_printf(&response.body, "{\"message\":\"no %s\"}", secret);
	assert_int_equal(strlen(github_answer_message(&response, message)), sizeof message - 1);
	assert_int_equal(
		github_answer_read(&answer, &response, GITHUB_READ, GITHUB_CORE, secret, &err),
		ERR_CONFIG);
	assert_string_equal(err.msg, "GitHub refused the token: no *** (HTTP 401)");
}

static const struct {
	const char *name;
	int status;
	const char *headers, *body;
	enum github_kind kind;
	enum err_class want;
	bool in_doubt;
	const char *says;
} answers[] = {
	{"a sentence with the request id", 401,
	 "content-type: application/json\nx-github-request-id: AB:12\n",
	 "{\"message\":\"Bad credentials\"}", GITHUB_READ, ERR_CONFIG, false,
	 "GitHub refused the token: Bad credentials (HTTP 401, request id AB:12)"},
	{"the permission that is missing", 403,
	 "content-type: application/json\nx-accepted-github-permissions: checks=write\n",
	 "{\"message\":\"Resource not accessible by integration\"}", GITHUB_WRITE, ERR_DENIED,
	 false,
	 "GitHub denied this to the bot: Resource not accessible by integration; needed: "
	 "checks=write "
	 "(HTTP 403)"},
	{"details of a validation", 422, "content-type: application/json\n",
	 "{\"message\":\"Validation Failed\",\"errors\":[{\"field\":\"data\",\"message\":\"Body is "
	 "too "
	 "long\"},\"second\",{\"code\":\"missing\"},7]}",
	 GITHUB_WRITE, ERR_USER, false,
	 "GitHub refused the content: Validation Failed; data: Body is too long; second; missing "
	 "(HTTP 422)"},
	{"HTML is not read", 502, "content-type: text/html\n", "{\"message\":\"fooled\"}",
	 GITHUB_WRITE, ERR_TRANSIENT, true, "GitHub has a fault (HTTP 502)"},
	{"a fault while reading is not in doubt", 502, "", "", GITHUB_READ, ERR_TRANSIENT, false,
	 NULL},
	{"a fault while minting is not in doubt", 502, "", "", GITHUB_MINT, ERR_TRANSIENT, false,
	 NULL},
	{"half a JSON after a write", 201, "content-type: application/json\n", "{\"id\": 5, \"bo",
	 GITHUB_WRITE, ERR_TRANSIENT, true, "GitHub's answer is not readable as JSON (HTTP 201)"},
	{"a login page instead of JSON", 200, "content-type: text/html\n", "<html>", GITHUB_READ,
	 ERR_TRANSIENT, false, "GitHub's answer is not JSON (HTTP 200)"},
	{"our secret comes back", 401, "content-type: application/json\n",
	 "{\"message\":\"no ghs_abc.DEF and ghs_abc.DEF\"}", GITHUB_READ, ERR_CONFIG, false,
	 "GitHub refused the token: no *** and *** (HTTP 401)"},
	{"our secret comes back in a header", 403,
	 "content-type: application/json\nx-github-request-id: ghs_abc.DEF\n"
	 "x-accepted-github-permissions: ghs_abc.DEF\n",
	 "{}", GITHUB_READ, ERR_DENIED, false,
	 "GitHub denied this to the bot; needed: *** (HTTP 403, request id ***)"},
	{"a header that is not UTF-8", 404, "x-github-request-id: a\xff\tb\n", "", GITHUB_READ,
	 ERR_NOT_FOUND, false, "GitHub did not find it (HTTP 404, request id a\xef\xbf\xbd b)"},
	{"control characters", 404, "content-type: application/json\n",
	 "{\"message\":\"a\\n\\u001b[31m  b\\u0000c\"}", GITHUB_READ, ERR_NOT_FOUND, false,
	 "GitHub did not find it: a [31m b (HTTP 404)"},
	{"no content", 204, "", "", GITHUB_WRITE, ERR_OK, false, NULL},
	{"teapot", 418, "", "", GITHUB_READ, ERR_BUG, false, NULL},
	{"not modified", 304, "", "", GITHUB_READ, ERR_TRANSIENT, false, NULL},
	{"below all", 100, "", "", GITHUB_READ, ERR_TRANSIENT, false, NULL},
	{"legal", 451, "", "", GITHUB_READ, ERR_DENIED, false, NULL},
	{"json that is an array of errors", 422, "content-type: application/json\n",
	 "{\"errors\":[\"x\"]}", GITHUB_WRITE, ERR_USER, false, NULL},
	{"single sign-on", 403,
	 "content-type: application/json\nx-github-sso: required; url=https://x\n",
	 "{\"message\":\"Resource protected by organization SAML enforcement.\"}", GITHUB_READ,
	 ERR_DENIED, false, NULL},
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		AUTO_RESPONSE struct http_response response = {.status = answers[i].status,
							       .body = buf_make(4000),
							       .headers = buf_make(4000)};
		AUTO_ANSWER struct github_answer answer = {0};
		struct err err = {0};

		print_message("%s\n", answers[i].name);
		buf_puts(&response.headers, answers[i].headers);
		buf_puts(&response.body, answers[i].body);
		assert_int_equal(github_answer_read(&answer, &response, answers[i].kind,
						    GITHUB_CORE, "ghs_abc.DEF", &err),
				 answers[i].want);
		assert_int_equal(err.in_doubt, answers[i].in_doubt);
		if (answers[i].says)
			assert_string_equal(err.msg, answers[i].says);
		assert_null(strstr(err.msg, "ghs_abc"));
	}
}

/* Codes that none of the collected answers has. */
static void test_other_codes(void **state)
{
	static const struct {
		int status;
		const char *body, *code;
	} cases[] = {
		{403, "{\"message\":\"Repository was archived so is read-only.\"}",
		 "github.archived"},
		{451, "{}", "github.blocked"},
		{201, "half of a JS", "github.not_json"},
		{100, "{}", "github.odd"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_RESPONSE struct http_response response = {.status = cases[i].status,
							       .body = buf_make(4000),
							       .headers = buf_make(4000)};
		AUTO_ANSWER struct github_answer answer = {0};
		struct err err = {0};

		buf_puts(&response.headers, "content-type: application/json\n");
		buf_puts(&response.body, cases[i].body);
		assert_int_not_equal(github_answer_read(&answer, &response, GITHUB_WRITE,
							GITHUB_CORE, "ghs_abc.DEF", &err),
				     ERR_OK);
		assert_string_equal(err.code, cases[i].code);
	}
}

static void test_a_long_message_is_cut(void **state)
{
	AUTO_RESPONSE struct http_response response = {
		.status = 422, .body = buf_make(100000), .headers = buf_make(1000)};
	AUTO_ANSWER struct github_answer answer = {0};
	struct err err;

	(void)state;
	buf_puts(&response.headers, "content-type: application/json\n");
	buf_puts(&response.body, "{\"message\":\"");
	for (int i = 0; i < 5000; i++)
		buf_puts(&response.body, "\xe2\x82\xac");
	buf_puts(&response.body, "\"}");
	assert_int_equal(
		github_answer_read(&answer, &response, GITHUB_WRITE, GITHUB_CORE, "t", &err),
		ERR_USER);
	assert_true(strlen(err.msg) < 500);
	assert_true(str_ends(err.msg, "\xe2\x82\xac (HTTP 422)"));
}

static const struct {
	const char *name, *link, *want;
} links[] = {
	{"none", "", NULL},
	{"first page",
	 "<https://api.github.com/repositories/1/issues/7/comments?page=2>; rel=\"next\", "
	 "<https://api.github.com/repositories/1/issues/7/comments?page=5>; rel=\"last\"",
	 "https://api.github.com/repositories/1/issues/7/comments?page=2"},
	{"next is not first",
	 "<https://h/?page=1>; rel=\"prev\", <https://h/?page=3>; rel=\"next\"",
	 "https://h/?page=3"},
	{"last page", "<https://h/?page=1>; rel=\"prev\", <https://h/?page=1>; rel=\"first\"",
	 NULL},
	{"commas in the address", "<https://h/?a=1,2&b=<3>; rel=\"next\"", "https://h/?a=1,2&b=<3"},
	{"two relations", "<https://h/2>; rel=\"last next\"", "https://h/2"},
	{"bare word", "<https://h/2>; rel=next", "https://h/2"},
	{"other parameters", "<https://h/2>; title=\"x\"; rel=\"next\"", "https://h/2"},
	{"a word that only begins so", "<https://h/2>; rel=\"nextish\"", NULL},
	{"never closed", "<https://h/2; rel=\"next\"", NULL},
	{"rubbish", ">>><<<", NULL},
};

static void test_links(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		AUTO_FREE char *next = github_link_next(links[i].link);

		print_message("%s\n", links[i].name);
		if (links[i].want)
			assert_string_equal(next ? next : "(none)", links[i].want);
		else
			assert_null(next);
	}
}

static const struct {
	const char *name, *asked, *location, *want;
} origins[] = {
	{"same host", "https://api.github.com/repos/o/r", "https://api.github.com/repositories/1",
	 "https://api.github.com/repositories/1"},
	{"case of the host", "https://api.github.com/x", "https://API.GitHub.com/y",
	 "https://API.GitHub.com/y"},
	{"a path", "https://h:8443/x?y", "/repositories/1?z", "https://h:8443/repositories/1?z"},
	{"another host", "https://api.github.com/x", "https://evil.example/x", NULL},
	{"longer host", "https://api.github.com/x", "https://api.github.com.evil.example/x", NULL},
	{"user part", "https://api.github.com/x", "https://api.github.com@evil.example/x", NULL},
	{"port", "https://api.github.com/x", "https://api.github.com:444/x", NULL},
	{"plain http", "https://api.github.com/x", "http://api.github.com/x", NULL},
	{"no scheme", "https://api.github.com/x", "//evil.example/x", NULL},
	{"backslash", "https://api.github.com/x", "/\\evil.example/x", NULL},
	{"relative", "https://api.github.com/x", "y", NULL},
	{"empty", "https://api.github.com/x", "", NULL},
	{"line break", "https://api.github.com/x", "/x\ny", NULL},
};

static void test_origins(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
		AUTO_FREE char *url = github_same_origin(origins[i].asked, origins[i].location);

		print_message("%s\n", origins[i].name);
		if (origins[i].want)
			assert_string_equal(url ? url : "(none)", origins[i].want);
		else
			assert_null(url);
	}
}

static const struct CMUnitTest github_answer_tests[] = {
	cmocka_unit_test(test_collected_answers),
	cmocka_unit_test(test_answers),
	cmocka_unit_test(test_other_codes),
	cmocka_unit_test(test_long_secret_is_struck_out),
	cmocka_unit_test(test_a_long_message_is_cut),
	cmocka_unit_test(test_links),
	cmocka_unit_test(test_origins),
};

CASES_MAIN(github_answer_tests, NULL, NULL)
