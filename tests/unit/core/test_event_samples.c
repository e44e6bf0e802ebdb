/* Webhook payloads that are deep, cut or damaged, and every sample payload with seeded damage to
 * it; jansson is the second opinion on what JSON is. */
#include "lib/core/event.h"

#include <jansson.h>

#include "tests/unit/cases.h"
#include "tests/unit/core/event_sound.h"
#include "tests/unit/core/event_texts.h"
#include "tests/unit/samples.h"

static char *nested(size_t depth, bool object)
{
	const char *open = object ? "{\"a\":" : "[";
	size_t step = strlen(open);
	char *text = mem_new(2 * depth * step + 32, 1), *to = text;

	memcpy(to, "{\"a\":", 5);
	to += 5;
	for (size_t i = 1; i < depth; i++, to += step)
		memcpy(to, open, step);
	*to++ = '1';
	for (size_t i = 1; i < depth; i++)
		*to++ = object ? '}' : ']';
	*to = '}';
	return text;
}

static void test_depth(void **state)
{
	static const struct {
		const char *name;
		size_t depth;
		bool object, good;
	} cases[] = {
		{"64 arrays", 64, false, true},
		{"64 objects", 64, true, true},
		{"65 arrays", 65, false, false},
		{"65 objects", 65, true, false},
		{"attack 8: 100,000 arrays", 100000, false, false},
		{"attack 8: 100,000 objects", 100000, true, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *text = nested(cases[i].depth, cases[i].object);
		struct event e;

		print_message("%s\n", cases[i].name);
		assert_int_equal(read_text(&e, "ping", text) == ERR_OK, cases[i].good);
		event_dispose(&e);
		mem_free(text);
	}
}

/* Attack 8: ten megabytes of escapes. */
static void test_many_escapes(void **state)
{
	enum { COUNT = 1700000 };
	char *text = mem_new((size_t)COUNT * 6 + 32, 1), *to = text;
	struct event e;

	(void)state;
	memcpy(to, "{\"a\":\"", 6);
	to += 6;
	for (int i = 0; i < COUNT; i++, to += 6)
		memcpy(to, "\\ud83d", 6);
	memcpy(to, "\"}", 2);
	assert_int_equal(read_text(&e, "ping", text), ERR_OK);
	event_dispose(&e);
	mem_free(text);
}

/* Every prefix of a payload is refused, read without one byte past its end. */
static void test_cut_everywhere(void **state)
{
	size_t len = strlen(comment_event);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		char *text = mem_new(i ? i : 1, 1); /* exactly as long, for the address sanitizer */
		struct event e;
		struct err err = {0};

		memcpy(text, comment_event, i);
		assert_int_equal(event_read(&e, "issue_comment", text, i, &err), ERR_USER);
		event_dispose(&e);
		mem_free(text);
	}
}

/* Attack 14: the header and the body of different events. */
static void test_mixed_up(void **state)
{
	static const struct {
		const char *event, *body;
		enum event_kind kind;
	} cases[] = {
		{"pull_request", comment_event, EVENT_IRRELEVANT},
		{"check_run", comment_event, EVENT_IRRELEVANT},
		{"issue_comment", pull_request_event, EVENT_IRRELEVANT},
		{"ping", comment_event, EVENT_PING},
		{"unheard_of", comment_event, EVENT_IRRELEVANT},
		{"unheard_of", "not even JSON", EVENT_IRRELEVANT},
		{"", comment_event, EVENT_IRRELEVANT},
		{"Issue_Comment", comment_event, EVENT_IRRELEVANT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct event e;

		print_message("attack 14: %s\n", cases[i].event);
		assert_int_equal(read_text(&e, cases[i].event, cases[i].body), ERR_OK);
		assert_int_equal(e.kind, cases[i].kind);
		event_dispose(&e);
	}
}

static void test_names_of_repositories(void **state)
{
	static const char *const good[] = {"lab/iris", "a/b", "Lab-2/iris.py", "lab/.github",
					   "_/_"};
	static const char *const bad[] = {"",	       "/",	     "lab",	    "lab/",
					  "/iris",     "lab/.",	     "lab/..",	    "../iris",
					  ".lab/iris", "lab/iris/x", "lab//x",	    "lab/ir is",
					  "lab/a\nb",  "lab/a?b",    "l\303\244b/x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(event_is_repo(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(event_is_repo(bad[i]));
}

static void test_is_read(void **state)
{
	(void)state;
	assert_true(event_is_read("issue_comment"));
	assert_true(event_is_read("installation_repositories"));
	assert_true(event_is_read("push"));
	assert_false(event_is_read("workflow_run"));
	assert_false(event_is_read(""));
	assert_true(event_is_hint("push"));
	assert_false(event_is_hint("issue_comment"));
	assert_false(event_is_hint("workflow_run"));
}

/* The sample payloads whose outcome is not "irrelevant"; of the others the reason, where it
 * matters. */
static const struct {
	const char *file;
	enum event_kind kind;
	const char *why;
} samples[] = {
	{"issue_comment.created.json", EVENT_IRRELEVANT, "not a pull request"},
	{"issue_comment.edited.json", EVENT_IRRELEVANT, "edited"},
	{"synthetic/issue_comment.created.pr.json", EVENT_COMMENT, NULL},
	{"synthetic/issue_comment.created.pr.user-via-app.json", EVENT_COMMENT, NULL},
	{"synthetic/issue_comment.created.pr.merged.json", EVENT_COMMENT, NULL},
	{"synthetic/issue_comment.created.pr.closed.json", EVENT_COMMENT, NULL},
	{"synthetic/issue_comment.created.pr.locked.json", EVENT_COMMENT, NULL},
	{"synthetic/issue_comment.created.pr.draft.json", EVENT_COMMENT, NULL},
	{"synthetic/issue_comment.created.pr.no-association.json", EVENT_COMMENT, NULL},
	{"synthetic/issue_comment.created.pr.odd-body.json", EVENT_COMMENT, NULL},
	{"synthetic/issue_comment.created.pr.own-bot.json", EVENT_IRRELEVANT, "bot"},
	{"synthetic/issue_comment.created.pr.ghost.json", EVENT_IRRELEVANT, "the author is gone"},
	{"synthetic/issue_comment.edited.pr.json", EVENT_IRRELEVANT, "edited"},
	{"synthetic/issue_comment.deleted.pr.json", EVENT_IRRELEVANT, "deleted"},
	{"pull_request.opened.json", EVENT_PULL_REQUEST, NULL},
	{"pull_request.opened.with-null-body.json", EVENT_PULL_REQUEST, NULL},
	{"pull_request.synchronize.json", EVENT_PULL_REQUEST, NULL},
	{"pull_request.closed.json", EVENT_PULL_REQUEST, NULL},
	{"pull_request.reopened.json", EVENT_PULL_REQUEST, NULL},
	{"synthetic/pull_request.opened.json", EVENT_PULL_REQUEST, NULL},
	{"synthetic/pull_request.opened.fork.json", EVENT_PULL_REQUEST, NULL},
	{"synthetic/pull_request.opened.draft.json", EVENT_PULL_REQUEST, NULL},
	{"synthetic/pull_request.synchronize.head-repo-null.json", EVENT_PULL_REQUEST, NULL},
	{"synthetic/pull_request.synchronize.json", EVENT_PULL_REQUEST, NULL},
	{"synthetic/pull_request.closed.merged.json", EVENT_PULL_REQUEST, NULL},
	{"synthetic/pull_request.edited.json", EVENT_PULL_REQUEST, NULL},
	{"check_run.rerequested.json", EVENT_IRRELEVANT, "not a check run of ours"},
	{"installation.created.json", EVENT_INSTALLATION, NULL},
	{"installation.deleted.json", EVENT_INSTALLATION, NULL},
	{"installation.suspend.json", EVENT_INSTALLATION, NULL},
	{"installation.unsuspend.json", EVENT_INSTALLATION, NULL},
	{"installation.new_permissions_accepted.json", EVENT_INSTALLATION, NULL},
	{"installation_repositories.added.json", EVENT_INSTALLATION, NULL},
	{"installation_repositories.removed.json", EVENT_INSTALLATION, NULL},
	{"synthetic/installation.suspend.json", EVENT_INSTALLATION, NULL},
	{"synthetic/installation.unsuspend.json", EVENT_INSTALLATION, NULL},
	{"push.with-installation.json", EVENT_IRRELEVANT, "not the default branch"},
	{"push.with-new-branch.json", EVENT_PUSH, NULL},
	{"synthetic/push.json", EVENT_PUSH, NULL},
	{"ping.default.json", EVENT_PING, NULL},
	{"ping.with-app_id.json", EVENT_PING, NULL},
};

static void check_sample(const char *file, const struct event *e)
{
	for (size_t i = 0; i < ARRAY_LEN(samples); i++)
		if (str_eq(samples[i].file, file)) {
			assert_int_equal(e->kind, samples[i].kind);
			if (samples[i].why)
				assert_string_equal(e->why_irrelevant, samples[i].why);
			return;
		}
	assert_int_equal(e->kind, EVENT_IRRELEVANT);
}

/* Small and the same everywhere. */
static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* One to four changes: a flipped bit, another byte of JSON, a cut, a piece twice. Returns the
 * length. */
static size_t damage(char *text, size_t len, uint32_t *seed)
{
	static const char bytes[] = "{}[]\",:\\u0-9e.\n\x80\xff"
				    "tfn";

	for (uint32_t n = next_random(seed) % 4 + 1; n && len > 64; n--) {
		size_t at = next_random(seed) % len, count = next_random(seed) % 32;

		switch (next_random(seed) % 5) {
		case 0:
			text[at] = (char)(text[at] ^ (1 << next_random(seed) % 8));
			break;
		case 1:
			text[at] = bytes[next_random(seed) % (sizeof bytes - 1)];
			break;
		case 2:
			len = at;
			break;
		case 3: /* a piece is taken out */
			count = count < len - at ? count : len - at;
			memmove(text + at, text + at + count, len - at - count);
			len -= count;
			break;
		default: /* a piece is copied over another */
			if (at + count < len && len > count)
				memmove(text + next_random(seed) % (len - count), text + at, count);
			break;
		}
	}
	return len;
}

/* What jansson says about a text, and whether its verdict can differ from ours for a known reason:
 * it refuses lone surrogates and numbers that do not fit, and it lets through doubled members and
 * depth. */
static bool agrees_with_jansson(const char *text, size_t len, enum err_class class,
				const struct err *err)
{
	json_error_t why;
	json_t *root = json_loadb(text, len, JSON_ALLOW_NUL, &why);
	bool good = json_is_object(root);

	json_decref(root);
	if (class == ERR_OK || str_eq(err->code, "event.field"))
		return good || strstr(why.text, "surrogate") || strstr(why.text, "too big") ||
		       strstr(why.text, "overflow") || strstr(why.text, "Unicode") ||
		       strstr(why.text, "too small");
	return !good || strstr(err->msg, "doubled") || strstr(err->msg, "nesting");
}

static void read_damaged(const char *event, const char *text, size_t len, uint32_t seed)
{
	for (int round = 0; round < 40; round++) {
		char *copy = mem_new(len, 1), *exact;
		struct err err = {0};
		struct event e;
		enum err_class class;
		size_t left;

		memcpy(copy, text, len);
		left = damage(copy, len, &seed);
		exact = mem_new(left ? left : 1, 1);
		memcpy(exact, copy, left);
		class = event_read(&e, event, exact, left, &err);
		assert_true(class == ERR_OK || class == ERR_USER);
		assert_true(agrees_with_jansson(exact, left, class, &err));
		if (class == ERR_OK)
			event_must_be_sound(&e);
		event_dispose(&e);
		mem_free(copy);
		mem_free(exact);
	}
}

static void test_samples(void **state)
{
	size_t len = 0, index;
	char *list = sample_read(true, "github/payloads/index.json", &len);
	json_t *root, *entry;

	(void)state;
	if (!list) {
		print_message("skipped: no shared samples\n");
		skip();
	}
	root = json_loadb(list, len, 0, NULL);
	assert_true(json_array_size(root) >= ARRAY_LEN(samples));
	json_array_foreach(root, index, entry)
	{
		const char *file = json_string_value(json_object_get(entry, "file"));
		const char *event = json_string_value(json_object_get(entry, "event"));
		char *name = str_printf("github/payloads/%s", file);
		char *text = sample_read(true, name, &len);
		struct err err = {0};
		struct event e;

		print_message("%s\n", file);
		assert_non_null(text);
		assert_int_equal(event_read(&e, event, text, len, &err), ERR_OK);
		check_sample(file, &e);
		event_must_be_sound(&e);
		event_dispose(&e);
		if (event_is_read(event))
			read_damaged(event, text, len, (uint32_t)index * 7919 + 1);
		mem_free(text);
		mem_free(name);
	}
	json_decref(root);
	mem_free(list);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_depth),
	cmocka_unit_test(test_many_escapes),
	cmocka_unit_test(test_cut_everywhere),
	cmocka_unit_test(test_mixed_up),
	cmocka_unit_test(test_is_read),
	cmocka_unit_test(test_samples),
	cmocka_unit_test(test_names_of_repositories),
};

CASES_MAIN(tests, NULL, NULL)
