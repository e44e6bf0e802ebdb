/* Webhook payloads: what is kept of each, what is left alone, what is refused. */
#include "lib/core/event.h"

#include <jansson.h>

#include "tests/unit/cases.h"
#include "tests/unit/core/event_sound.h"
#include "tests/unit/core/event_texts.h"

static void test_comment(void **state)
{
	struct event e;

	(void)state;
	assert_int_equal(read_text(&e, "issue_comment", comment_event), ERR_OK);
	assert_int_equal(e.kind, EVENT_COMMENT);
	assert_string_equal(e.action, "created");
	assert_string_equal(e.repo, "octo-ml/kf-demo");
	assert_string_equal(e.default_branch, "main");
	assert_string_equal(e.sender, "octo-dev");
	assert_string_equal(e.comment_body, "/build");
	assert_int_equal(e.comment_body_len, 6);
	assert_int_equal(e.repo_id, 562528861);
	assert_int_equal(e.installation_id, 32739733);
	assert_int_equal(e.sender_id, 1000001);
	assert_int_equal(e.pr, 5);
	assert_int_equal(e.comment_id, 1420770715);
	assert_true(e.comment_at_ms == 1675776222000);
	assert_int_equal(e.via_app_id, 0);
	assert_false(e.closed);
	assert_false(e.merged);
	event_dispose(&e);
}

static void test_pull_request(void **state)
{
	struct event e;

	(void)state;
	assert_int_equal(read_text(&e, "pull_request", pull_request_event), ERR_OK);
	assert_int_equal(e.kind, EVENT_PULL_REQUEST);
	assert_int_equal(e.pr, 7);
	assert_string_equal(e.head_sha, "5f935077074e3b5b3a3b3a3b3a3b3a3b3a3b3a3b");
	assert_string_equal(e.base_ref, "main");
	assert_int_equal(e.head_repo_id, 11);
	assert_int_equal(e.installation_id, 0);
	assert_true(e.updated_at_ms == 1767323045000);
	assert_null(e.comment_body);
	event_dispose(&e);
}

static void test_check_run(void **state)
{
	struct event e;

	(void)state;
	assert_int_equal(read_text(&e, "check_run", check_event), ERR_OK);
	assert_int_equal(e.kind, EVENT_CHECK_RERUN);
	assert_int_equal(e.check_run_id, 9);
	assert_int_equal(e.app_id, 424242);
	assert_string_equal(e.external_id, "01JD/run");
	event_dispose(&e);
}

/* One member of a base payload replaced (or removed: NULL), and what comes of it. */
struct edit {
	const char *name;
	const char *path;
	const char *json;
	enum err_class class;
	const char *why; /* of an irrelevant event, NULL for a relevant one */
};

static const struct edit comment_edits[] = {
	{"unchanged", "action", "\"created\"", ERR_OK, NULL},
	{"attack 27: edited", "action", "\"edited\"", ERR_OK, "edited"},
	{"deleted", "action", "\"deleted\"", ERR_OK, "deleted"},
	{"pinned", "action", "\"pinned\"", ERR_OK, "action not used"},
	{"action with an escape is the same action", "action", "\"\\u0063reated\"", ERR_OK, NULL},
	{"action of NUL", "action", "\"created\\u0000\"", ERR_OK, "action not used"},
	{"action of 10,000 bytes", "action", "@10000", ERR_OK, "action not used"},
	{"action missing", "action", NULL, ERR_USER, NULL},
	{"action a number", "action", "1", ERR_USER, NULL},
	{"attack 28: plain issue", "issue.pull_request", NULL, ERR_OK, "not a pull request"},
	{"attack 28: plain issue, null", "issue.pull_request", "null", ERR_OK,
	 "not a pull request"},
	{"pull request a text", "issue.pull_request", "\"x\"", ERR_USER, NULL},
	{"attack 15: no issue", "issue", NULL, ERR_USER, NULL},
	{"attack 15: issue null", "issue", "null", ERR_USER, NULL},
	{"attack 15: issue.user null", "issue.user", "null", ERR_OK, NULL},
	{"attack 15: no number", "issue.number", NULL, ERR_USER, NULL},
	{"attack 15: number zero", "issue.number", "0", ERR_USER, NULL},
	{"attack 15: number negative", "issue.number", "-5", ERR_USER, NULL},
	{"no state", "issue.state", NULL, ERR_USER, NULL},
	{"state odd", "issue.state", "\"ajar\"", ERR_USER, NULL},
	{"attack 26: bot as sender", "sender.type", "\"Bot\"", ERR_OK, "bot"},
	{"attack 26: bot as author", "comment.user.type", "\"Bot\"", ERR_OK, "bot"},
	{"mannequin", "comment.user.type", "\"Mannequin\"", ERR_OK, "not a person"},
	{"organisation", "comment.user.type", "\"Organization\"", ERR_OK, "not a person"},
	{"type missing", "comment.user.type", NULL, ERR_USER, NULL},
	{"attack 36: look-alike of a bot is a person", "comment.user.login", "\"kfops-bot\"",
	 ERR_OK, NULL},
	{"attack 15: ghost", "comment.user", "null", ERR_OK, "the author is gone"},
	{"attack 15: no user", "comment.user", NULL, ERR_USER, NULL},
	{"attack 27: sender is another", "sender.id", "1000002", ERR_OK,
	 "sender is not the author"},
	{"attack 15: sender id as text", "sender.id", "\"1000001\"", ERR_USER, NULL},
	{"attack 15: sender missing", "sender", NULL, ERR_USER, NULL},
	{"attack 15: author id as text", "comment.user.id", "\"1000001\"", ERR_USER, NULL},
	{"attack 15: author id as fraction", "comment.user.id", "1000001.0", ERR_USER, NULL},
	{"attack 15: author id with exponent", "comment.user.id", "1e6", ERR_USER, NULL},
	{"attack 15: comment id 2^63", "comment.id", "#9223372036854775808", ERR_USER, NULL},
	{"attack 15: comment id 2^63-1", "comment.id", "9223372036854775807", ERR_OK, NULL},
	{"attack 15: comment id of 400 digits", "comment.id", "#400", ERR_USER, NULL},
	{"attack 15: comment id -2^63", "comment.id", "-9223372036854775808", ERR_USER, NULL},
	{"attack 15: no comment", "comment", NULL, ERR_USER, NULL},
	{"attack 15: comment an array", "comment", "[]", ERR_USER, NULL},
	{"body null is empty", "comment.body", "null", ERR_OK, NULL},
	{"body missing", "comment.body", NULL, ERR_USER, NULL},
	{"body an object", "comment.body", "{}", ERR_USER, NULL},
	{"body of 262,144 bytes", "comment.body", "@262144", ERR_OK, NULL},
	{"body past the cap", "comment.body", "@300001", ERR_USER, NULL},
	{"time as seconds", "comment.created_at", "1675776222", ERR_OK, NULL},
	{"time with an offset", "comment.created_at", "\"2023-02-07T14:23:42.000+01:00\"", ERR_OK,
	 NULL},
	{"time missing", "comment.created_at", NULL, ERR_USER, NULL},
	{"time odd", "comment.created_at", "\"yesterday\"", ERR_USER, NULL},
	{"time impossible", "comment.created_at", "\"2023-13-07T13:23:42Z\"", ERR_USER, NULL},
	{"person through an App", "comment.performed_via_github_app", "{\"id\":77}", ERR_OK, NULL},
	{"App without id", "comment.performed_via_github_app", "{}", ERR_USER, NULL},
	{"App missing", "comment.performed_via_github_app", NULL, ERR_OK, NULL},
	{"attack 15: no repository", "repository", NULL, ERR_USER, NULL},
	{"attack 15: repository null", "repository", "null", ERR_USER, NULL},
	{"repository id as text", "repository.id", "\"562528861\"", ERR_USER, NULL},
	{"name without a slash", "repository.full_name", "\"kf-demo\"", ERR_USER, NULL},
	{"name with two slashes", "repository.full_name", "\"a/b/c\"", ERR_USER, NULL},
	{"name that climbs", "repository.full_name", "\"a/..\"", ERR_USER, NULL},
	{"name that climbs at once", "repository.full_name", "\"../b\"", ERR_USER, NULL},
	{"name with a query", "repository.full_name", "\"a/b?x=1\"", ERR_USER, NULL},
	{"name with a NUL", "repository.full_name", "\"a/b\\u0000c\"", ERR_USER, NULL},
	{"attack 49: shell in the name", "repository.full_name", "\"a/b;curl\"", ERR_USER, NULL},
	{"attack 49: shell in the login", "sender.login", "\"a$(id)\"", ERR_USER, NULL},
	{"name too long", "repository.full_name", "@300", ERR_USER, NULL},
	{"login empty", "sender.login", "\"\"", ERR_USER, NULL},
	{"login of 300 bytes", "sender.login", "@300", ERR_USER, NULL},
	{"branch missing", "repository.default_branch", NULL, ERR_OK, NULL},
	{"branch with a blank", "repository.default_branch", "\"a b\"", ERR_USER, NULL},
	{"installation missing", "installation", NULL, ERR_OK, NULL},
	{"installation null", "installation", "null", ERR_OK, NULL},
	{"installation id as text", "installation.id", "\"1\"", ERR_USER, NULL},
	{"installation without id", "installation", "{}", ERR_USER, NULL},
	{"what we do not read may be anything", "issue.labels", "[[{}],null,1e999,-0.0]", ERR_OK,
	 NULL},
	{"attack 21: association is not even read", "comment.author_association", "{}", ERR_OK,
	 NULL},
};

static const struct edit pull_request_edits[] = {
	{"unchanged", "number", "7", ERR_OK, NULL},
	{"opened", "action", "\"opened\"", ERR_OK, NULL},
	{"reopened", "action", "\"reopened\"", ERR_OK, NULL},
	{"closed", "action", "\"closed\"", ERR_OK, NULL},
	{"labeled", "action", "\"labeled\"", ERR_OK, "action not used"},
	{"edited without changes", "action", "\"edited\"", ERR_OK, "edited, but not its base"},
	{"attack 14: action of a comment", "action", "\"created\"", ERR_OK, "action not used"},
	{"attack 15: fork is gone", "pull_request.head.repo", "null", ERR_OK, NULL},
	{"head repo without id", "pull_request.head.repo", "{}", ERR_USER, NULL},
	{"head missing", "pull_request.head", NULL, ERR_USER, NULL},
	{"attack 41: short SHA", "pull_request.head.sha", "\"5f93507\"", ERR_USER, NULL},
	{"attack 41: branch for a SHA", "pull_request.head.sha", "\"main\"", ERR_USER, NULL},
	{"SHA-256 repository", "pull_request.head.sha",
	 "\"5f935077074e3b5b3a3b3a3b3a3b3a3b3a3b3a3b5f935077074e3b5b3a3b3a3b\"", ERR_OK, NULL},
	{"upper-case SHA", "pull_request.head.sha", "\"5F935077074E3B5B3A3B3A3B3A3B3A3B3A3B3A3B\"",
	 ERR_USER, NULL},
	{"attack 49: shell in the branch", "pull_request.base.ref",
	 "\"main\\\";curl${IFS}x|sh;\\\"\"", ERR_OK, NULL},
	{"branch of controls", "pull_request.base.ref", "\"a\\nb\"", ERR_USER, NULL},
	{"branch of 255 bytes", "pull_request.base.ref", "@255", ERR_OK, NULL},
	{"branch of 256 bytes", "pull_request.base.ref", "@256", ERR_USER, NULL},
	{"time null", "pull_request.updated_at", "null", ERR_USER, NULL},
	{"time as seconds", "pull_request.updated_at", "1767323045", ERR_OK, NULL},
	{"merged null", "pull_request.merged", "null", ERR_OK, NULL},
	{"state missing", "pull_request.state", NULL, ERR_USER, NULL},
	{"number as text", "number", "\"7\"", ERR_USER, NULL},
};

static const struct edit check_edits[] = {
	{"unchanged", "check_run.id", "9", ERR_OK, NULL},
	{"completed", "action", "\"completed\"", ERR_OK, "action not used"},
	{"button", "action", "\"requested_action\"", ERR_OK, "action not used"},
	{"bot", "sender.type", "\"Bot\"", ERR_OK, "bot"},
	{"no external id", "check_run.external_id", "\"\"", ERR_OK, "not a check run of ours"},
	{"external id null", "check_run.external_id", "null", ERR_OK, "not a check run of ours"},
	{"external id of another App", "check_run.external_id", "@100", ERR_OK,
	 "not a check run of ours"},
	{"no app", "check_run.app", "null", ERR_USER, NULL},
	{"no SHA", "check_run.head_sha", NULL, ERR_USER, NULL},
};

/* The JSON of an edit: "@N" is a text of N letters, "#DIGITS" a number that jansson cannot hold and
 * that goes in as text; "#400" is one of 400 digits. */
static json_t *edit_value(const char *json, char *raw, size_t size)
{
	char *text;
	json_t *value;
	int64_t count;

	if (*json == '@' && str_to_int64(&count, json + 1)) {
		text = mem_new((size_t)count + 1, 1);
		memset(text, 'a', (size_t)count);
		value = json_string(text);
		mem_free(text);
		return value;
	}
	if (*json == '#' || strstr(json, "1e999")) {
		if (str_eq(json, "#400"))
			memset(raw, '7', 400);
		else
			str_copy(raw, size, json + (*json == '#'));
		return json_string("@raw@");
	}
	return json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static char *edited(const char *base, const struct edit *edit)
{
	json_t *root = json_loads(base, 0, NULL), *at = root;
	char raw[512] = "", key[64], *text;
	const char *path = edit->path, *dot;

	for (; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
		snprintf(key, sizeof key, "%.*s", (int)(dot - path), path);
		at = json_object_get(at, key);
		assert_non_null(at);
	}
	if (edit->json)
		json_object_set_new(at, path, edit_value(edit->json, raw, sizeof raw));
	else
		json_object_del(at, path);
	text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (*raw) {
		char *mark = strstr(text, "\"@raw@\""), *whole;

		*mark = '\0';
		whole = str_printf("%s%s%s", text, raw, mark + 7);
		free(text);
		return whole;
	}
	path = text;
	text = str_dup(path);
	free((void *)(uintptr_t)path);
	return text;
}

static void run_edits(const char *name, const char *base, const struct edit *edits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *text = edited(base, &edits[i]);
		struct event e;

		print_message("%s: %s\n", name, edits[i].name);
		assert_int_equal(read_text(&e, name, text), edits[i].class);
		if (edits[i].class == ERR_OK) {
			assert_int_equal(e.kind == EVENT_IRRELEVANT, edits[i].why != NULL);
			if (edits[i].why)
				assert_string_equal(e.why_irrelevant, edits[i].why);
			event_must_be_sound(&e);
		} else {
			static const struct event zero;

			assert_memory_equal(&e, &zero, sizeof e);
		}
		event_dispose(&e);
		mem_free(text);
	}
}

static void test_comment_edits(void **state)
{
	(void)state;
	run_edits("issue_comment", comment_event, comment_edits, ARRAY_LEN(comment_edits));
}

static void test_pull_request_edits(void **state)
{
	(void)state;
	run_edits("pull_request", pull_request_event, pull_request_edits,
		  ARRAY_LEN(pull_request_edits));
}

static void test_check_edits(void **state)
{
	(void)state;
	run_edits("check_run", check_event, check_edits, ARRAY_LEN(check_edits));
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-12-31T23:59:59Z", 31535999000},
		{"1972-02-29T00:00:00Z", 68169600000},
		{"2000-02-29T12:00:00Z", 951825600000},
		{"2000-03-01T00:00:00Z", 951868800000},
		{"2024-02-29T23:59:59Z", 1709251199000},
		{"2024-03-01T00:00:00Z", 1709251200000},
		{"2025-03-01T00:00:00Z", 1740787200000},
		{"2026-12-31T23:59:59Z", 1798761599000},
		{"2100-03-01T00:00:00Z", 4107542400000},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *json = str_printf("\"%s\"", cases[i].text);
		const struct edit edit = {"", "comment.created_at", json, 0, NULL};
		char *text = edited(comment_event, &edit);
		struct event e;

		print_message("%s\n", cases[i].text);
		assert_int_equal(read_text(&e, "issue_comment", text), ERR_OK);
		assert_true(e.comment_at_ms == cases[i].ms);
		event_dispose(&e);
		mem_free(text);
		mem_free(json);
	}
}

static void test_states(void **state)
{
	static const struct {
		const char *name, *state, *merged_at;
		bool closed, merged;
	} cases[] = {
		{"open", "\"open\"", "null", false, false},
		{"attack 28: closed", "\"closed\"", "null", true, false},
		{"attack 28: merged", "\"closed\"", "\"2023-02-07T13:20:00Z\"", true, true},
		{"open with a merge time is open", "\"open\"", "\"2023-02-07T13:20:00Z\"", false,
		 false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct edit set_state = {"", "issue.state", cases[i].state, 0, NULL};
		const struct edit set_merged = {"", "issue.pull_request.merged_at",
						cases[i].merged_at, 0, NULL};
		char *first = edited(comment_event, &set_state), *text = edited(first, &set_merged);
		struct event e;

		print_message("%s\n", cases[i].name);
		assert_int_equal(read_text(&e, "issue_comment", text), ERR_OK);
		assert_int_equal(e.kind, EVENT_COMMENT);
		assert_int_equal(e.closed, cases[i].closed);
		assert_int_equal(e.merged, cases[i].merged);
		event_dispose(&e);
		mem_free(first);
		mem_free(text);
	}
}

static const struct {
	const char *name, *body; /* inside the quotes */
	const char *want;
	size_t len;
} bodies[] = {
	{"plain", "/build", "/build", 6},
	{"escapes", "a\\\"\\\\\\/\\b\\f\\n\\r\\tb", "a\"\\/\b\f\n\r\tb", 10},
	{"two-byte escape", "caf\\u00e9", "caf\xc3\xa9", 5},
	{"three-byte escape", "\\u2603", "\xe2\x98\x83", 3},
	{"surrogate pair", "\\ud83d\\ude80!", "\xf0\x9f\x9a\x80!", 5},
	{"surrogate pair in upper case", "\\uD83D\\uDE80", "\xf0\x9f\x9a\x80", 4},
	{"attack 16: lone high surrogate", "a\\ud83db",
	 "a\xef\xbf\xbd"
	 "b",
	 5},
	{"attack 16: lone low surrogate", "a\\ude80b",
	 "a\xef\xbf\xbd"
	 "b",
	 5},
	{"attack 16: two high surrogates", "\\ud83d\\ud83d\\ude80", "\xef\xbf\xbd\xf0\x9f\x9a\x80",
	 7},
	{"attack 16: high surrogate at the end", "\\ud83d", "\xef\xbf\xbd", 3},
	{"attack 16: high surrogate and another escape", "\\ud83d\\n", "\xef\xbf\xbd\n", 4},
	{"attack 16: NUL before", "\\u0000/deploy", "\0/deploy", 8},
	{"attack 16: NUL behind", "/deploy\\u0000x", "/deploy\0x", 9},
	{"raw UTF-8", "\xf0\x9f\x9a\x80\xc3\xa9", "\xf0\x9f\x9a\x80\xc3\xa9", 6},
	{"highest character", "\\udbff\\udfff", "\xf4\x8f\xbf\xbf", 4},
	{"delete is no control of JSON", "\x7f", "\x7f", 1},
};

static void test_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		const char *mark = strstr(comment_event, "/build");
		char *text = str_printf("%.*s%s%s", (int)(mark - comment_event), comment_event,
					bodies[i].body, mark + 6);
		struct event e;

		print_message("%s\n", bodies[i].name);
		assert_int_equal(read_text(&e, "issue_comment", text), ERR_OK);
		assert_int_equal(e.comment_body_len, bodies[i].len);
		assert_memory_equal(e.comment_body, bodies[i].want, bodies[i].len + 1);
		event_dispose(&e);
		mem_free(text);
	}
}

/* Texts for the ping event, of which nothing is needed: well-formed or not is all there is. */
static const struct {
	const char *name, *text;
	bool good;
} texts[] = {
	{"object", "{}", true},
	{"blanks around", " \t\r\n{ \"a\" : [ 1 , 2 ] } \n", true},
	{"numbers", "{\"a\":[0,-0,1.5,1e5,1E-5,-1.25e+10,123456789012345678901234567890]}", true},
	{"words", "{\"a\":[true,false,null]}", true},
	{"empty key", "{\"\":1}", true},
	{"doubled member that we do not read", "{\"a\":1,\"a\":2}", true},
	{"doubled member below one we do not read", "{\"x\":{\"action\":1,\"action\":2}}", true},
	{"empty", "", false},
	{"blank", "  ", false},
	{"not an object: array", "[]", false},
	{"not an object: text", "\"x\"", false},
	{"not an object: null", "null", false},
	{"something behind", "{} x", false},
	{"two objects", "{}{}", false},
	{"unclosed", "{", false},
	{"unclosed array", "{\"a\":[1", false},
	{"crossed brackets", "{\"a\":[1}}", false},
	{"crossed brackets of objects", "{\"a\":{]}", false},
	{"comma at the end", "{\"a\":1,}", false},
	{"comma at the end of an array", "{\"a\":[1,]}", false},
	{"comma at the start", "{,\"a\":1}", false},
	{"comma missing", "{\"a\":1 \"b\":2}", false},
	{"comma missing in an array", "{\"a\":[1 2]}", false},
	{"colon missing", "{\"a\" 1}", false},
	{"value missing", "{\"a\":}", false},
	{"key without quotes", "{a:1}", false},
	{"key a number", "{1:1}", false},
	{"single quotes", "{'a':1}", false},
	{"comment", "{/**/}", false},
	{"byte order mark", "\xef\xbb\xbf{}", false},
	{"leading zero", "{\"a\":01}", false},
	{"plus", "{\"a\":+1}", false},
	{"point alone", "{\"a\":1.}", false},
	{"point first", "{\"a\":.5}", false},
	{"exponent alone", "{\"a\":1e}", false},
	{"exponent with sign alone", "{\"a\":1e+}", false},
	{"minus alone", "{\"a\":-}", false},
	{"infinity", "{\"a\":Infinity}", false},
	{"not a number", "{\"a\":NaN}", false},
	{"hex", "{\"a\":0x10}", false},
	{"cut word", "{\"a\":tru}", false},
	{"longer word", "{\"a\":nulls}", false},
	{"wrong word", "{\"a\":falsy}", false},
	{"newline in a text", "{\"a\":\"\n\"}", false},
	{"tab in a text", "{\"a\":\"\t\"}", false},
	{"unclosed text", "{\"a\":\"x}", false},
	{"text ends in a backslash", "{\"a\":\"x\\", false},
	{"bad escape", "{\"a\":\"\\x\"}", false},
	{"escape of hex too short", "{\"a\":\"\\u12\"}", false},
	{"escape of hex not hex", "{\"a\":\"\\u12g4\"}", false},
	{"escape at the very end", "{\"a\":\"\\u12", false},
	{"attack 16: bare continuation byte", "{\"a\":\"\x80\"}", false},
	{"attack 16: overlong", "{\"a\":\"\xc0\xaf\"}", false},
	{"attack 16: overlong of three", "{\"a\":\"\xe0\x80\xaf\"}", false},
	{"attack 16: encoded surrogate", "{\"a\":\"\xed\xa0\x80\"}", false},
	{"attack 16: past the end of Unicode", "{\"a\":\"\xf4\x90\x80\x80\"}", false},
	{"attack 16: cut sequence", "{\"a\":\"\xe2\x98\"}", false},
	{"attack 16: bad byte in a key", "{\"\xff\":1}", false},
	{"bad byte outside a text", "{\"a\":\xff}", false},
	{"doubled member that we read", "{\"action\":\"a\",\"action\":\"b\"}", false},
	{"doubled member, one with an escape", "{\"action\":\"a\",\"\\u0061ction\":\"b\"}", false},
	{"doubled object", "{\"sender\":{\"id\":1},\"sender\":{\"id\":2}}", false},
	{"doubled member below", "{\"sender\":{\"id\":1,\"id\":1}}", false},
};

static void test_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct event e;

		print_message("%s\n", texts[i].name);
		assert_int_equal(read_text(&e, "ping", texts[i].text) == ERR_OK, texts[i].good);
		event_dispose(&e);
	}
}

/* Whatever is odd about one is no error: nothing depends on it. */
static void test_pushes(void **state)
{
#define PUSH(ref, repository) "{\"ref\":" ref ",\"repository\":" repository ",\"commits\":[{}]}"
#define IRIS		      "{\"id\":9,\"full_name\":\"lab/iris\",\"default_branch\":\"main\"}"
	static const struct {
		const char *body;
		enum event_kind kind;
	} cases[] = {
		{PUSH("\"refs/heads/main\"", IRIS), EVENT_PUSH},
		{PUSH("\"refs/heads/five\"", IRIS), EVENT_IRRELEVANT},
		{PUSH("\"refs/heads/main2\"", IRIS), EVENT_IRRELEVANT},
		{PUSH("\"refs/heads/MAIN\"", IRIS), EVENT_IRRELEVANT},
		{PUSH("\"refs/tags/main\"", IRIS), EVENT_IRRELEVANT},
		{PUSH("\"main\"", IRIS), EVENT_IRRELEVANT},
		{PUSH("\"\"", IRIS), EVENT_IRRELEVANT},
		{PUSH("7", IRIS), EVENT_IRRELEVANT},
		{PUSH("\"refs/heads/main\\u0000x\"", IRIS), EVENT_IRRELEVANT},
		{PUSH("\"refs/heads/main\"", "null"), EVENT_IRRELEVANT},
		{PUSH("\"refs/heads/main\"", "{\"id\":9,\"full_name\":\"lab/iris\"}"),
		 EVENT_IRRELEVANT},
		{PUSH("\"refs/heads/main\"",
		      "{\"id\":9,\"full_name\":\"../iris\",\"default_branch\":\"main\"}"),
		 EVENT_IRRELEVANT},
		{"{}", EVENT_IRRELEVANT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct event e;

		assert_int_equal(read_text(&e, "push", cases[i].body), ERR_OK);
		if (e.kind != cases[i].kind || !e.why_irrelevant != (e.kind == EVENT_PUSH))
			fail_msg("%s: %d", cases[i].body, e.kind);
		event_dispose(&e);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_comment),
	cmocka_unit_test(test_pull_request),
	cmocka_unit_test(test_check_run),
	cmocka_unit_test(test_comment_edits),
	cmocka_unit_test(test_pull_request_edits),
	cmocka_unit_test(test_check_edits),
	cmocka_unit_test(test_times),
	cmocka_unit_test(test_states),
	cmocka_unit_test(test_bodies),
	cmocka_unit_test(test_texts),
	cmocka_unit_test(test_pushes),
};

CASES_MAIN(tests, NULL, NULL)
