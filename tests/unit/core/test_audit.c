/* test_audit.c - rows of the audit: their chain, and what they say of an effect. */
#include "tests/unit/cases.h"

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/audit.h"

static struct audit_row sample(void)
{
	return (struct audit_row){
		.no = 2,
		.at_ms = 1795881600000,
		.actor_id = 5,
		.actor = "ann",
		.command = "deploy",
		.decision = AUDIT_DONE,
		.code = "",
		.sha = "9f8e7d6c5b4a39281706f5e4d3c2b1a098765432",
		.repo_id = 77,
		.repo = "acme/iris",
		.pr = 7,
		.job_id = 42,
		.effect = "github.merge",
		.before = "sha=9f8e7d6",
		.after = "method=merge",
	};
}

/* Made with `printf ... | sha256sum` from the form as docs/operations.md describes it. */
static void test_known_digest(void **state)
{
	struct audit_row row = sample();
	unsigned char digest[AUDIT_DIGEST_LEN];
	char hex[2 * AUDIT_DIGEST_LEN + 1];

	(void)state;
	audit_digest(digest, &row);
	str_hex(hex, digest, sizeof digest);
	assert_string_equal(hex,
			    "63b42f28e0aaa531dec6778d2026eaf713b49280cdef0b49a7840d8e21ad4ae8");
}

static void test_every_field_counts(void **state)
{
	struct audit_row base = sample();
	struct audit_row others[16];
	unsigned char first[AUDIT_DIGEST_LEN], digest[AUDIT_DIGEST_LEN];
	size_t count = 0;

	(void)state;
#define OTHER(field_, value_)                                                                      \
	others[count] = base;                                                                      \
	others[count++].field_ = (value_)
	OTHER(no, 3);
	OTHER(at_ms, 1795881600001);
	OTHER(actor_id, 6);
	OTHER(actor, "bob");
	OTHER(command, "rollback");
	OTHER(decision, AUDIT_FAILED);
	OTHER(code, "x.y");
	OTHER(sha, "");
	OTHER(repo_id, 78);
	OTHER(repo, "acme/other");
	OTHER(pr, 8);
	OTHER(job_id, 43);
	OTHER(effect, "github.label");
	OTHER(before, "sha=9f8e7d6\nafter 12 method=merge"); /* a field cannot pose as the next */
	OTHER(after, NULL);
	OTHER(previous[31], 1);
#undef OTHER
	audit_digest(first, &base);
	for (size_t i = 0; i < count; i++) {
		audit_digest(digest, &others[i]);
		if (memcmp(first, digest, sizeof first) == 0)
			fail_msg("field %zu does not count", i);
	}
	base.code = NULL; /* nothing is the same as empty */
	audit_digest(digest, &base);
	assert_memory_equal(first, digest, sizeof first);
}

static const struct {
	const char *name;
	enum effect_kind kind;
	const char *args, *result; /* NULL: only intended */
	const char *before, *after;
} effects[] = {
	{"a run to be made", EFFECT_RUN_CREATE,
	 "{\"namespace\":\"team-a\",\"version_id\":\"v1\",\"run_id\":\"r1\",\"parameters\":{\"a\":"
	 "1}}",
	 NULL, "", "namespace=team-a version_id=v1"},
	{"a run that was made", EFFECT_RUN_CREATE, "{\"namespace\":\"team-a\"}",
	 "{\"run_id\":\"r1\",\"link\":\"https://kf/r1\"}", "", "namespace=team-a run_id=r1"},
	{"traffic in Knative mode", EFFECT_SERVICE_SEND,
	 "{\"verb\":\"patch\",\"namespace\":\"ml\",\"name\":\"iris\",\"body\":{\"spec\":{"
	 "\"predictor\":"
	 "{\"canaryTrafficPercent\":10,\"model\":{\"env\":[{\"name\":\"KEY\",\"value\":\"hidden\"}]"
	 "}}}}}",
	 NULL, "sha=abc pr=6", "verb=patch namespace=ml name=iris canaryTrafficPercent=10"},
	{"traffic in Standard mode", EFFECT_SERVICE_SEND,
	 "{\"verb\":\"patch\",\"name\":\"iris\",\"body\":{\"spec\":{\"canary\":[{"
	 "\"trafficPercent\":50}]}}}",
	 "{\"generation\":4}", "sha=abc pr=6",
	 "verb=patch name=iris trafficPercent=50 generation=4"},
	{"a merge", EFFECT_MERGE, "{\"sha\":\"abc\",\"method\":\"squash\"}",
	 "{\"merged_sha\":\"def\"}", "sha=abc", "method=squash merged_sha=def"},
	{"a secret in a name", EFFECT_LABEL_MOVE,
	 "{\"label\":\"ghp_0123456789abcdefghijABCDEFGHIJ012345\",\"pr\":7}", NULL, "",
	 "label=[redacted] pr=7"},
	{"no arguments", EFFECT_MERGE, NULL, NULL, "", ""},
	{"an effect that the table does not know", EFFECT_PULL, "{\"sha\":\"abc\"}", NULL, "", ""},
};

static void test_what_effects_say(void **state)
{
	AUTO_JSON json_t *data =
		json_pack("{s:{s:{s:s,s:i}}}", "service", "served", "sha", "abc", "pr", 6);
	struct job job = {.data = data};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(effects); i++) {
		AUTO_JSON json_t *args =
			effects[i].args ? json_loads(effects[i].args, 0, NULL) : NULL;
		AUTO_JSON json_t *result =
			effects[i].result ? json_loads(effects[i].result, 0, NULL) : NULL;
		struct effect effect = {.kind = effects[i].kind, .args = args};
		char before[AUDIT_TEXT_MAX + 1], after[AUDIT_TEXT_MAX + 1];

		audit_describe(before, after, &job, &effect, result);
		if (!str_eq(before, effects[i].before) || !str_eq(after, effects[i].after))
			fail_msg("%s: \"%s\" -> \"%s\"", effects[i].name, before, after);
	}
}

/* Whoever adds an effect that changes something outside says what the audit tells of it. */
static void test_every_outside_change_is_told(void **state)
{
	(void)state;
	for (int kind = EFFECT_NONE + 1; kind < EFFECT_COUNT; kind++) {
		assert_int_equal(
			audit_covers((enum effect_kind)kind),
			effect_mutates((enum effect_kind)kind) &&
				!str_starts(effect_name((enum effect_kind)kind), "store."));
		if (audit_covers((enum effect_kind)kind) && !audit_knows((enum effect_kind)kind))
			fail_msg("audit.c has no row for %s", effect_name((enum effect_kind)kind));
	}
}

static const struct {
	const char *name, *text, *want;
} texts[] = {
	{"plain", "canary watch", "canary watch"},
	{"nothing", NULL, ""},
	{"a token", "use ghs_16C7e42F292c6912E7710c838347Ae178B4a now", "use [redacted] now"},
	{"a bearer", "Authorization: Bearer abcdefgh12345678", "Authorization: [redacted]"},
	{"a terminal's order", "a\x1b[31mred", "ared"},
	{"bytes that are not UTF-8", "a\xff", "a\xef\xbf\xbd"},
};

static void test_texts(void **state)
{
	char long_text[3 * AUDIT_TEXT_MAX], out[AUDIT_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		audit_text(out, texts[i].text);
		if (!str_eq(out, texts[i].want))
			fail_msg("%s: \"%s\"", texts[i].name, out);
	}
	memset(long_text, 'x', sizeof long_text);
	long_text[sizeof long_text - 1] = '\0';
	audit_text(out, long_text);
	assert_int_equal(strlen(out), AUDIT_TEXT_MAX);
}

static const struct CMUnitTest group[] = {
	cmocka_unit_test(test_known_digest),
	cmocka_unit_test(test_every_field_counts),
	cmocka_unit_test(test_what_effects_say),
	cmocka_unit_test(test_every_outside_change_is_told),
	cmocka_unit_test(test_texts),
};

CASES_MAIN(group, NULL, NULL)
