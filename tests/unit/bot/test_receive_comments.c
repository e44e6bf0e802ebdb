/* test_receive_comments.c - what is done with a webhook that is believed: comments, refusals,
 * doubles, what comes before we know who we are, and every published payload. */
#include "tests/unit/cases.h"

#include "lib/store/outbox.h"
#include "tests/unit/bot/hook.h"
#include "tests/unit/samples.h"

static struct reply reply;

static void test_comments(void **state)
{
	static const struct {
		const char *name;
		struct comment_spec spec;
		int64_t jobs;
		const char *outcome;
	} cases[] = {
		{"a command", {.text = "/build"}, 1, "stored"},
		{"two commands", {.text = "/build\\n/run"}, 2, "stored"},
		{"no command", {.text = "looks good"}, 0, "irrelevant"},
		{"nobody's command", {.text = "/assign @ann"}, 0, "irrelevant"},
		{"a marker of ours, typed by a person",
		 {.text = "<!-- kf:v1 job=1 slot=status -->\\nhello"},
		 0,
		 "irrelevant"},
		{"edited comment", {.text = "/build", .action = "edited"}, 0, "irrelevant"},
		{"own echo: our App", {.text = "/build", .app_id = HOOK_APP}, 0, "irrelevant"},
		{"own echo: our user", {.text = "/build", .user_id = HOOK_BOT}, 0, "irrelevant"},
		{"a person through another App", {.text = "/build", .app_id = 5}, 1, "stored"},
		{"a bot", {.text = "/build", .user_type = "Bot"}, 0, "irrelevant"},
		{"foreign repo", {.text = "/build", .repo = "evil/iris"}, 0, "irrelevant"},
		{"a line that does not parse", {.text = "/build --nonsense"}, 0, "stored"},
		{"closed pull request", {.text = "/build", .state = "closed"}, 0, "stored"},
		{"closed pull request, harmless command",
		 {.text = "/help", .state = "closed"},
		 1,
		 "stored"},
		{"old replay", {.text = "/build", .age_ms = INT64_C(30) * 86400000}, 1, "stored"},
		{"\\u0000 after the command", {.text = "/build\\u0000 --x"}, 0, "stored"},
		{"\\u0000 before the command", {.text = "\\u0000/build"}, 0, "irrelevant"},
		{"lone surrogate", {.text = "/build\\ud800"}, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t jobs = bot_job_count();
		int64_t before = cases[i].outcome ? deliveries(cases[i].outcome) : 0;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(comment_send(&cases[i].spec, NULL), 202);
		assert_int_equal(bot_job_count() - jobs, cases[i].jobs);
		if (cases[i].outcome)
			assert_int_equal(deliveries(cases[i].outcome), before + 1);
	}
}

/* The newest wish of a kind in the outbox, as text; the caller frees. */
static char *wished(const char *member)
{
	struct outbox_row row;
	struct db *reader;
	int64_t next;
	struct err err;
	char *text = NULL;

	for (int i = 0; i < 4 && !text; i++) {
		assert_int_equal(db_open_reader(&reader, bot.scratch.db, &err), ERR_OK);
		if (outbox_next(reader, clock_now_ms() + 1000, NULL, 0, &row, &next, &err) !=
		    ERR_OK) {
			db_close(reader);
			break;
		}
		text = str_dup(json_string_value(json_object_get(row.want, member)));
		db_close(reader);
		writer_stop(bot.writer);
		assert_int_equal(outbox_sent(bot.db, row.id, row.version, 1, NULL, &err), ERR_OK);
		assert_int_equal(writer_start(&bot.writer, bot.db, 1024, &err), ERR_OK);
		outbox_row_dispose(&row);
	}
	return text;
}

static void test_refusals_are_answered(void **state)
{
	static const struct {
		const char *name;
		struct comment_spec spec;
		const char *says, *also;
	} cases[] = {
		{"closed", {.text = "/build", .state = "closed"}, "`pull.closed`", "Reopen it"},
		{"unknown flag",
		 {.text = "/build --nonsense"},
		 "`command.unknown_flag`",
		 "nonsense"},
		{"nearly a command", {.text = "/biuld"}, "`command.unknown`", "/build"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct receive_options options = hook_options();
		char *text;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(comment_send(&cases[i].spec, NULL), 202);
		receive_stop(bot.receive);
		bot.receive = NULL;
		text = wished("body");
		assert_non_null(text);
		assert_non_null(strstr(text, cases[i].says));
		assert_non_null(strstr(text, cases[i].also));
		mem_free(text);
		bot_reopen(&options, 1024);
	}
	assert_int_equal(bot_job_count(), 0);
}

static void test_identity_learnt_later(void **state)
{
	(void)state;
	assert_int_equal(
		comment_send(&(struct comment_spec){.text = "/build", .user_id = 77}, NULL), 202);
	assert_int_equal(bot_job_count(), 1);
	receive_set_identity(bot.receive, 0, 77);
	assert_int_equal(
		comment_send(&(struct comment_spec){.text = "/build", .user_id = 77}, NULL), 202);
	assert_int_equal(bot_job_count(), 1);
}

static int rerun_send(int64_t app_id)
{
	char *body = str_printf(
		"{\"action\":\"rerequested\",\"check_run\":{\"id\":5,\"external_id\":"
		"\"01J00000000000000000000000\",\"head_sha\":"
		"\"9f8e7d6c5b4a39281706f5e4d3c2b1a098765432\",\"app\":{\"id\":%lld}},"
		"\"repository\":{\"id\":%d,\"full_name\":\"octo/iris\",\"default_branch\":"
		"\"main\"},\"sender\":{\"login\":\"ann\",\"id\":%d,\"type\":\"User\"},"
		"\"installation\":{\"id\":99}}",
		(long long)app_id, HOOK_REPO, HOOK_ANN);
	int status = hook_send(&(struct hook){.event = "check_run", .body = body}, &reply);

	mem_free(body);
	return status;
}

/* Whose button was pressed cannot be told yet: GitHub keeps the delivery. */
static void test_rerun_before_identity(void **state)
{
	int64_t stored = deliveries("stored");

	(void)state;
	receive_set_identity(bot.receive, 0, 0);
	assert_int_equal(rerun_send(HOOK_APP), 503);
	assert_int_equal(deliveries("stored"), stored);
	receive_set_identity(bot.receive, HOOK_APP, HOOK_BOT);
	assert_int_equal(rerun_send(HOOK_APP), 202);
	assert_int_equal(deliveries("stored"), stored + 1);
	assert_int_equal(rerun_send(HOOK_APP + 1), 202);
	assert_int_equal(deliveries("stored"), stored + 1);
}

/* In token mode we are a user like others, and which one GitHub says only later. */
static void test_own_comments_before_identity(void **state)
{
	static const struct {
		const char *name, *text;
		bool heard;
	} cases[] = {
		{"our answer", "<!-- kf:v1 job=01J00000000000000000000000 slot=status -->\\n/build",
		 false},
		{"our refusal", "<!-- kf:v1 refusal=5 -->\\n\\n/build", false},
		{"a quotation of it", "> <!-- kf:v1 refusal=5 -->\\n\\n/build", true},
		{"a person", "/build", true},
	};

	(void)state;
	receive_set_identity(bot.receive, 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t before = bot_job_count();

		print_message("  %s\n", cases[i].name);
		assert_int_equal(comment_send(&(struct comment_spec){.text = cases[i].text}, NULL),
				 202);
		assert_int_equal(bot_job_count() - before, cases[i].heard);
	}
}

static void test_doubles(void **state)
{
	struct comment_spec spec = {.text = "/build", .id = 555, .pr = 7};
	char guid[37];
	int64_t duplicates = deliveries("duplicate");

	(void)state;
	hook_guid(guid);
	print_message("  replay same GUID\n");
	assert_int_equal(comment_send(&spec, guid), 202);
	assert_int_equal(comment_send(&spec, guid), 202);
	assert_int_equal(bot_job_count(), 1);
	print_message("  same comment through two hooks\n");
	assert_int_equal(comment_send(&spec, NULL), 202);
	assert_int_equal(bot_job_count(), 1);
	print_message("  same GUID, other comment\n");
	assert_int_equal(comment_send(&(struct comment_spec){.text = "/run"}, guid), 202);
	assert_int_equal(bot_job_count(), 1);
	assert_int_equal(deliveries("duplicate"), duplicates + 3);
}

static void test_recovered_deliveries(void **state)
{
	char *body = comment_payload(&(struct comment_spec){.text = "/build", .id = 9, .pr = 9});
	static const struct {
		const char *name, *event, *guid, *body;
		enum err_class class;
	} cases[] = {
		{"a command", "issue_comment", "72d3162e-cc78-11e3-81ab-4c9367dc0958", NULL,
		 ERR_OK},
		{"again", "issue_comment", "72d3162e-cc78-11e3-81ab-4c9367dc0958", NULL, ERR_OK},
		{"not used", "watch", "72d3162e-cc78-11e3-81ab-4c9367dc0959", "{}", ERR_OK},
		{"no GUID", "issue_comment", "nonsense", NULL, ERR_USER},
		{"no JSON", "issue_comment", "72d3162e-cc78-11e3-81ab-4c9367dc0957", "{", ERR_USER},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *text = cases[i].body ? cases[i].body : body;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(receive_payload(bot.receive, cases[i].event, cases[i].guid, text,
						 strlen(text), 1, &err),
				 cases[i].class);
	}
	assert_int_equal(bot_job_count(), 1);
	/* And through the hook after all. */
	assert_int_equal(hook_send(&(struct hook){.body = body}, &reply), 202);
	assert_int_equal(bot_job_count(), 1);
	mem_free(body);
}

/* All payloads that GitHub publishes: none is answered with an error. */
static void send_sample(const char *name, void *arg)
{
	const char *folder = arg;
	char *path = str_printf("%s/%s", folder, name);
	char *event = str_dup_len(name, strcspn(name, "."));
	size_t len = 0;
	char *body = sample_read(true, path, &len);
	int status = 0;

	if (!str_eq(name, "index.json"))
		status = hook_send(&(struct hook){.body = body, .body_len = len, .event = event},
				   &reply);
	if (status != 0 && status != 202 && status != 200)
		fail_msg("%s was answered %d", name, status);
	mem_free(body);
	mem_free(event);
	mem_free(path);
}

static void test_all_published_payloads(void **state)
{
	static char plain[] = "github/payloads", synthetic[] = "github/payloads/synthetic";

	(void)state;
	if (sample_each(true, plain, ".json", send_sample, plain) == 0) {
		print_message("skipped: no shared samples\n");
		skip();
	}
	assert_true(sample_each(true, synthetic, ".json", send_sample, synthetic) > 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, bot_setup, bot_teardown)
static const struct CMUnitTest comment_cases[] = {
	CASE(test_comments),
	CASE(test_refusals_are_answered),
	CASE(test_identity_learnt_later),
	CASE(test_rerun_before_identity),
	CASE(test_own_comments_before_identity),
	CASE(test_doubles),
	CASE(test_recovered_deliveries),
	CASE(test_all_published_payloads),
};

CASES_MAIN(comment_cases, NULL, NULL)
