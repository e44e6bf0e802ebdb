/* What GitHub says before a merge, in every combination that matters; the merge with its refusals
 * and lost answers. */
#include "tests/unit/services/github_world.h"

#include "lib/services/github_merge.h"
#include "tests/unit/samples.h"

#define SHA	  "0123456789abcdef0123456789abcdef01234567"
#define MERGED	  "fedcba9876543210fedcba9876543210fedcba98"
#define RULES	  "GET /repos/o/r/rules/branches/main?"
#define BRANCH	  "GET /repos/o/r/branches/main "
#define RUNS	  "GET /repos/o/r/commits/" SHA "/check-runs?"
#define STATUSES  "GET /repos/o/r/commits/" SHA "/status?"
#define COMPARE	  "GET /repos/o/r/compare/main..." SHA "?"
#define MERGE	  "PUT /repos/o/r/pulls/7/merge "
#define GET_PULL  "GET /repos/o/r/pulls/7 "
#define INSTALLED "GET /app/installations/5 "

#define STATE "POST /graphql "
#define SETTINGS_SHOWN                                                                             \
	"\"mergeCommitAllowed\":true,\"squashMergeAllowed\":true,\"rebaseMergeAllowed\":true,"
/* Data of the question: settings of the repository, and members of the pull request. */
#define STATE_OF(settings, more)                                                                   \
	"{\"data\":{\"repository\":{\"id\":\"R_1\"," settings                                      \
	"\"defaultBranchRef\":{\"name\":\"main\"},\"pullRequest\":{\"id\":\"PR_7\",\"state\":"     \
	"\"OPEN\",\"isDraft\":false,\"merged\":false,\"isCrossRepository\":false,"                 \
	"\"headRefName\":\"five\",\"headRefOid\":\"" SHA                                           \
	"\",\"baseRefName\":\"main\",\"author\":{\"login\":\"bob\",\"databaseId\":8}" more "}}}"
#define NO_RULES                                                                                   \
	"\"mergeQueueEntry\":null,\"isMergeQueueEnabled\":false,\"reviewDecision\":null,"          \
	"\"baseRef\":{\"refUpdateRule\":null},\"reviewThreads\":{\"totalCount\":0,\"nodes\":[]}"
#define MERGEABLE	 ",\"mergeable\":\"MERGEABLE\",\"mergeStateStatus\":\"CLEAN\","
#define GOOD_STATE	 STATE_OF(SETTINGS_SHOWN, MERGEABLE NO_RULES) "}"
#define PULL_STATE(more) STATE_OF(SETTINGS_SHOWN, more) "}"
#define UNREAD(field)                                                                              \
	",\"errors\":[{\"type\":\"FORBIDDEN\",\"path\":[\"repository\",\"pullRequest\",\"" field   \
	"\"],\"message\":\"Resource not accessible by integration\"}]}"
#define GOOD_PULL                                                                                  \
	"{\"state\":\"open\",\"draft\":false,\"merged\":false,\"user\":{\"login\":\"bob\",\"id\":" \
	"8},\"head\":{\"sha\":\"" SHA "\"},\"base\":{\"ref\":\"main\"}}"
#define CLASSIC(more)                                                                              \
	"{\"name\":\"main\",\"protection\":{\"required_status_checks\":{\"enforcement_level\":"    \
	"\"non_admins\"," more "}}}"
#define RULE_CHECK(more)                                                                           \
	"[{\"type\":\"required_status_checks\",\"parameters\":{\"required_status_checks\":[{"      \
	"\"context\":\"ci\"" more "}]}}]"
#define RUN_OF(name, app, conclusion)                                                              \
	"{\"name\":\"" name "\",\"status\":\"completed\",\"conclusion\":\"" conclusion             \
	"\",\"app\":{\"id\":" app "}}"
#define NO_FILES "{\"behind_by\":0,\"files\":[]}"

/* The parts of a set of answers that differ; NULL is what a plain repository says. */
struct facts_case {
	const char *name;
	const char *state, *rules, *branch, *runs, *statuses, *compare;
	int rules_status, branch_status, compare_status;
	const char *want[6]; /* "path=value"; "path" alone: absent */
};

static const struct facts_case facts_cases[] = {
	{.name = "a plain repository",
	 .want = {"open=true", "mergeable=true", "behind_by=0", "methods=merge, squash, rebase",
		  "merge_queue=false"}},
	{.name = "a plain repository, the rest",
	 .want = {"author=bob", "author_id=8", "head_sha=" SHA, "default_branch=main",
		  "touches_workflows=false", "checks.passed=true"}},
	{.name = "mergeable is being worked out",
	 .state = PULL_STATE(
		 ",\"mergeable\":\"UNKNOWN\",\"mergeStateStatus\":\"UNKNOWN\"," NO_RULES),
	 .want = {"mergeable", "mergeable_why", "mergeable_state=unknown"}},
	{.name = "it conflicts",
	 .state = PULL_STATE(
		 ",\"mergeable\":\"CONFLICTING\",\"mergeStateStatus\":\"DIRTY\"," NO_RULES),
	 .want = {"mergeable=false", "mergeable_why=it conflicts with its base branch"}},
	{.name = "no rights to read rules: complete is not claimed",
	 .rules = "{\"message\":\"Not Found\"}",
	 .rules_status = 404,
	 .want = {"merge_queue=false", "rules_unknown=true", "checks.complete=false"}},
	{.name = "rules are denied",
	 .rules = "{\"message\":\"Upgrade to GitHub Pro\"}",
	 .rules_status = 403,
	 .want = {"merge_queue=false", "rules_unknown=true", "checks.complete=false"}},
	{.name = "the branch cannot be read",
	 .branch = "{\"message\":\"Not Found\"}",
	 .branch_status = 404,
	 .want = {"merge_queue=false", "rules_unknown=true", "checks.complete=false"}},
	{.name = "a classic context that a status passed",
	 .branch = CLASSIC("\"contexts\":[\"ci\"],\"checks\":[]"),
	 .runs = "{\"check_runs\":[]}",
	 .statuses = "{\"statuses\":[{\"context\":\"ci\",\"state\":\"success\"}]}",
	 .want = {"checks.complete=true", "checks.passed=true", "checks.names="}},
	{.name = "classic protection that is off",
	 .branch = "{\"protection\":{\"required_status_checks\":{\"enforcement_level\":\"off\","
		   "\"contexts\":[\"ci\"]}}}",
	 .want = {"checks.complete=true", "checks.passed=true"}},
	{.name = "a required check that nobody has reported is waited for",
	 .branch = CLASSIC("\"contexts\":[\"ci\"]"),
	 .runs = "{\"check_runs\":[]}",
	 .statuses = "{\"statuses\":[]}",
	 .want = {"checks.passed=false", "checks.pending=true", "checks.names=ci"}},
	{.name = "a check that goes on",
	 .rules = RULE_CHECK(""),
	 .runs = "{\"check_runs\":[{\"name\":\"ci\",\"status\":\"in_progress\",\"app\":{\"id\":1}}]"
		 "}",
	 .statuses = "{\"statuses\":[]}",
	 .want = {"checks.passed=false", "checks.pending=true"}},
	{.name = "one failed, one goes on: failed",
	 .branch = CLASSIC("\"contexts\":[\"ci\",\"lint\"]"),
	 .runs = "{\"check_runs\":[" RUN_OF("lint", "1", "failure") "]}",
	 .statuses = "{\"statuses\":[{\"context\":\"ci\",\"state\":\"pending\"}]}",
	 .want = {"checks.passed=false", "checks.pending=false", "checks.names=ci, lint"}},
	{.name = "neutral and skipped count as passed",
	 .branch = CLASSIC("\"contexts\":[\"ci\",\"lint\"]"),
	 .runs = "{\"check_runs\":[" RUN_OF("ci", "1", "neutral") "," RUN_OF("lint", "1",
									     "skipped") "]}",
	 .statuses = "{\"statuses\":[]}",
	 .want = {"checks.passed=true"}},
	{.name = "a check bound to an App is not passed by another",
	 .rules = RULE_CHECK(",\"integration_id\":15368"),
	 .runs = "{\"check_runs\":[" RUN_OF("ci", "99", "success") "]}",
	 .statuses = "{\"statuses\":[{\"context\":\"ci\",\"state\":\"success\"}]}",
	 .want = {"checks.passed=false", "checks.pending=true", "checks.names=ci"}},
	{.name = "a check bound to an App is passed by it",
	 .branch = CLASSIC(
		 "\"contexts\":[\"ci\"],\"checks\":[{\"context\":\"ci\",\"app_id\":15368}]"),
	 .runs = "{\"check_runs\":[" RUN_OF("ci", "99", "failure") "," RUN_OF("ci", "15368",
									      "success") "]}",
	 .statuses = "{\"statuses\":[]}",
	 .want = {"checks.passed=true"}},
	{.name = "bound by a rule, free in the classic protection: bound",
	 .rules = RULE_CHECK(",\"integration_id\":15368"),
	 .branch = CLASSIC("\"contexts\":[\"ci\"]"),
	 .runs = "{\"check_runs\":[" RUN_OF("ci", "99", "success") "]}",
	 .statuses = "{\"statuses\":[]}",
	 .want = {"checks.passed=false"}},
	{.name = "a check of any App: app_id -1",
	 .branch = CLASSIC("\"checks\":[{\"context\":\"ci\",\"app_id\":-1}]"),
	 .runs = "{\"check_runs\":[" RUN_OF("ci", "99", "success") "]}",
	 .statuses = "{\"statuses\":[]}",
	 .want = {"checks.passed=true"}},
	{.name = "of two by one name the worst counts",
	 .branch = CLASSIC("\"contexts\":[\"ci\"]"),
	 .runs = "{\"check_runs\":[" RUN_OF("ci", "1", "success") "," RUN_OF("ci", "2",
									     "failure") "]}",
	 .statuses = "{\"statuses\":[{\"context\":\"ci\",\"state\":\"success\"}]}",
	 .want = {"checks.passed=false", "checks.pending=false"}},
	{.name = "a status that failed beside a check that passed",
	 .branch = CLASSIC("\"contexts\":[\"ci\"]"),
	 .runs = "{\"check_runs\":[" RUN_OF("ci", "1", "success") "]}",
	 .statuses = "{\"statuses\":[{\"context\":\"ci\",\"state\":\"error\"}]}",
	 .want = {"checks.passed=false"}},
	{.name = "a merge queue",
	 .rules = "[{\"type\":\"merge_queue\",\"parameters\":{\"merge_method\":\"SQUASH\"}}]",
	 .want = {"merge_queue=true"}},
	{.name = "a merge queue of the classic protection",
	 .state = PULL_STATE(MERGEABLE "\"isMergeQueueEnabled\":true,\"mergeQueueEntry\":null"),
	 .want = {"merge_queue=true", "queue.in=false"}},
	{.name = "it stands in the queue already",
	 .state = PULL_STATE(MERGEABLE "\"isMergeQueueEnabled\":true,\"mergeQueueEntry\":{"
				       "\"state\":\"AWAITING_CHECKS\",\"position\":3}"),
	 .want = {"queue.in=true", "queue.state=awaiting_checks", "queue.position=3"}},
	{.name = "it was thrown out of the queue",
	 .state = PULL_STATE(MERGEABLE
			     "\"mergeQueueEntry\":null,\"timelineItems\":{\"nodes\":[{\"reason\":"
			     "\"CI_FAILURE\",\"createdAt\":\"2026-11-28T10:00:00Z\"}]}"),
	 .want = {"queue.in=false", "queue.reason=ci_failure",
		  "queue.removed_at=2026-11-28T10:00:00Z"}},
	{.name = "its base was changed",
	 .state = PULL_STATE(MERGEABLE "\"baseChanges\":{\"nodes\":[{\"createdAt\":"
				       "\"2026-11-28T10:00:00Z\"}]}"),
	 .want = {"base_changed_at_ms=1795860000000"}},
	{.name = "its base was never changed",
	 .state = PULL_STATE(MERGEABLE "\"baseChanges\":{\"nodes\":[]}"),
	 .want = {"base_changed_at_ms=0"}},
	{.name = "its base was changed at no time that can be read",
	 .state = PULL_STATE(MERGEABLE "\"baseChanges\":{\"nodes\":[{\"createdAt\":\"then\"}]}"),
	 .want = {"base_changed_at_ms"}},
	{.name = "whether its base was changed may not be read",
	 .state = PULL_STATE(MERGEABLE "\"baseChanges\":null"),
	 .want = {"base_changed_at_ms"}},
	{.name = "whether there is a queue may not be read",
	 .state = STATE_OF(SETTINGS_SHOWN, MERGEABLE "\"isMergeQueueEnabled\":null")
		 UNREAD("isMergeQueueEnabled"),
	 .want = {"merge_queue", "mergeable=true"}},
	{.name = "no rule asks for a review",
	 .want = {"review=none", "threads_open=0", "conversations_required", "reviews_required"}},
	{.name = "a review is missing",
	 .state = PULL_STATE(",\"mergeStateStatus\":\"BLOCKED\",\"reviewDecision\":"
			     "\"REVIEW_REQUIRED\""),
	 .want = {"review=review_required", "mergeable_state=blocked"}},
	{.name = "reviews may not be read: that none is asked for is not claimed",
	 .state = STATE_OF(SETTINGS_SHOWN, MERGEABLE "\"reviewDecision\":null")
		 UNREAD("reviewDecision"),
	 .want = {"review", "mergeable_state=clean"}},
	{.name = "an error without a place: nothing that is null is known",
	 .state = STATE_OF(SETTINGS_SHOWN,
			   MERGEABLE NO_RULES) ",\"errors\":[{\"message\":\"odd\"}]}",
	 .want = {"review", "merge_queue", "rules_unknown=true", "queue"}},
	{.name = "a ruleset asks for reviews and resolved conversations",
	 .rules = "[{\"type\":\"pull_request\",\"parameters\":{"
		  "\"required_approving_review_count\":1,"
		  "\"required_review_thread_resolution\":true}}]",
	 .want = {"reviews_required=true", "conversations_required=true"}},
	{.name = "conversations, of which two are open",
	 .state = PULL_STATE(MERGEABLE
			     "\"baseRef\":{\"refUpdateRule\":{\"requiresConversationResolution\":"
			     "true,\"requiresSignatures\":true,\"viewerCanPush\":false}},"
			     "\"reviewThreads\":{\"totalCount\":3,\"nodes\":[{\"isResolved\":true},"
			     "{\"isResolved\":false},{\"isResolved\":false}]}"),
	 .want = {"conversations_required=true", "threads_open=2", "may_push=false",
		  "other_rules=required_signatures"}},
	{.name = "more conversations than are shown",
	 .state = PULL_STATE(MERGEABLE "\"reviewThreads\":{\"totalCount\":101,\"nodes\":[{"
				       "\"isResolved\":true}]}"),
	 .want = {"threads_open"}},
	{.name = "classic rules may not be read",
	 .state = STATE_OF(SETTINGS_SHOWN, MERGEABLE "\"baseRef\":{\"refUpdateRule\":null}")
		 UNREAD("refUpdateRule"),
	 .want = {"rules_unknown=true", "checks.complete=false"}},
	{.name = "deployments that rules ask for, and those that were made of this commit",
	 .state = PULL_STATE(
		 MERGEABLE "\"commits\":{\"nodes\":[{\"commit\":{\"oid\":\"" SHA
			   "\",\"deployments\":{\"nodes\":[{\"environment\":\"staging\",\"state\":"
			   "\"INACTIVE\"},{\"environment\":\"qa\",\"state\":\"FAILURE\"}]}}}]}"),
	 .rules = "[{\"type\":\"required_deployments\",\"parameters\":{"
		  "\"required_deployment_environments\":[\"staging\",\"qa\"]}}]",
	 .want = {"deployments_required=[\"staging\",\"qa\"]", "deployed=[\"staging\"]"}},
	{.name = "deployments of another commit do not count",
	 .state = PULL_STATE(MERGEABLE "\"commits\":{\"nodes\":[{\"commit\":{\"oid\":\"1111\","
				       "\"deployments\":{\"nodes\":[]}}}]}"),
	 .want = {"deployed"}},
	{.name = "rules of other kinds are named",
	 .rules = "[{\"type\":\"required_signatures\"},{\"type\":\"deletion\"},{\"type\":"
		  "\"code_scanning\"},{\"type\":\"required_signatures\"}]",
	 .want = {"other_rules=required_signatures, code_scanning"}},
	{.name = "a linear history forbids merge commits",
	 .rules = "[{\"type\":\"required_linear_history\"}]",
	 .want = {"methods=squash, rebase"}},
	{.name = "a rule that leaves one method",
	 .rules = "[{\"type\":\"pull_request\",\"parameters\":{\"allowed_merge_methods\":["
		  "\"squash\"]}}]",
	 .want = {"methods=squash"}},
	{.name = "a method that the settings have off",
	 .state = STATE_OF("\"mergeCommitAllowed\":false,\"squashMergeAllowed\":true,"
			   "\"rebaseMergeAllowed\":false,",
			   MERGEABLE NO_RULES) "}",
	 .want = {"methods=squash"}},
	{.name = "settings that are not shown",
	 .state = STATE_OF("", MERGEABLE NO_RULES) "}",
	 .want = {"methods", "default_branch=main"}},
	{.name = "behind its base",
	 .compare = "{\"behind_by\":3,\"files\":[]}",
	 .want = {"behind_by=3"}},
	{.name = "workflows are touched",
	 .compare = "{\"behind_by\":0,\"files\":[{\"filename\":\".github/workflows/ci.yml\"}]}",
	 .want = {"touches_workflows=true", "may_workflows"}},
	{.name = "a workflow is moved away",
	 .compare = "{\"behind_by\":0,\"files\":[{\"filename\":\"ci.yml\",\"previous_filename\":"
		    "\".github/workflows/ci.yml\"}]}",
	 .want = {"touches_workflows=true"}},
	{.name = "a folder with a name like it is none",
	 .compare = "{\"behind_by\":0,\"files\":[{\"filename\":\"x/.github/workflows/a\"}]}",
	 .want = {"touches_workflows=false"}},
	{.name = "no difference can be had",
	 .compare = "{\"message\":\"Not Found\"}",
	 .compare_status = 404,
	 .want = {"behind_by", "touches_workflows"}},
};

static void assert_fact(const char *name, const json_t *facts, const char *want)
{
	size_t len = strcspn(want, "=");
	AUTO_FREE char *path = str_dup_len(want, len);
	json_t *value = jval_at(facts, path);
	AUTO_FREE char *text = value && !json_is_string(value) ? jval_dump(value) : NULL;

	if (!want[len] && value)
		fail_msg("%s: %s is there", name, path);
	if (want[len] && !value)
		fail_msg("%s: %s is missing", name, path);
	if (want[len] && !str_eq(text ? text : json_string_value(value), want + len + 1))
		fail_msg("%s: %s is %s", name, path, text ? text : json_string_value(value));
}

#define OR(value, other) ((value) ? (value) : (other))

static void test_facts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(facts_cases); i++) {
		const struct facts_case *one = &facts_cases[i];
		struct scripted_answer script[] = {
			{.expect = STATE, JSON(200, OR(one->state, GOOD_STATE))},
			{.expect = RULES, JSON(OR(one->rules_status, 200), OR(one->rules, "[]"))},
			{.expect = BRANCH,
			 JSON(OR(one->branch_status, 200), OR(one->branch, "{}"))},
			{.expect = COMPARE,
			 JSON(OR(one->compare_status, 200), OR(one->compare, NO_FILES))},
			{.expect = RUNS, JSON(200, one->runs)},
			{.expect = STATUSES, JSON(200, one->statuses)},
		};
		struct world world = start(script, ARRAY_LEN(script) - (one->runs ? 0 : 2), false);
		struct github_merge_question question = {7, SHA, "merge", NULL};
		AUTO_JSON json_t *facts = NULL;
		struct err err = {0};

		if (github_merge_facts(world.gh, world.http, &repo, &question, &facts, &err))
			fail_msg("%s: %s", one->name, err.msg);
		for (size_t k = 0; k < ARRAY_LEN(one->want) && one->want[k]; k++)
			assert_fact(one->name, facts, one->want[k]);
		stop(&world);
	}
}

/* What GitHub cannot answer now is an error and not a fact. */
static void test_facts_that_cannot_be_had_now(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = STATE, JSON(200, GOOD_STATE)},
		{.expect = RULES, JSON(502, "{}"), .always = true},
	};
	struct world world = START(script, false);
	struct github_merge_question question = {7, SHA, "merge", NULL};
	json_t *facts = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(github_merge_facts(world.gh, world.http, &repo, &question, &facts, &err),
			 ERR_TRANSIENT);
	assert_null(facts);
	stop(&world);
}

static void test_lists_are_read_to_the_end(void **state)
{
	static char rules[200], runs[200];
	struct scripted_answer script[] = {
		{.expect = STATE, JSON(200, GOOD_STATE)},
		{.expect = RULES, .status = 200, .headers = rules, .body = "[]"},
		{.expect = "GET /rules?page=2", JSON(200, RULE_CHECK(""))},
		{.expect = BRANCH, JSON(200, "{}")},
		{.expect = RUNS, .status = 200, .headers = runs, .body = "{\"check_runs\":[]}"},
		{.expect = "GET /runs?page=2",
		 JSON(200, "{\"check_runs\":[" RUN_OF("ci", "1", "failure") "]}")},
		{.expect = STATUSES, JSON(200, "{\"statuses\":[]}")},
		{.expect = COMPARE, JSON(200, NO_FILES)},
	};
	struct world world = START(script, false);
	struct github_merge_question question = {7, SHA, "merge", NULL};
	AUTO_JSON json_t *facts = NULL;

	(void)state;
	snprintf(rules, sizeof rules, JSON_TYPE "Link: <%s/rules?page=2>; rel=\"next\"\r\n",
		 world.server->url);
	snprintf(runs, sizeof runs, JSON_TYPE "Link: <%s/runs?page=2>; rel=\"next\"\r\n",
		 world.server->url);
	assert_int_equal(github_merge_facts(world.gh, world.http, &repo, &question, &facts, NULL),
			 ERR_OK);
	assert_fact("pages", facts, "checks.complete=true");
	assert_fact("pages", facts, "checks.passed=false");
	assert_fact("pages", facts, "checks.names=ci");
	stop(&world);
}

/* GitHub cuts the list of files at 300: whether workflows are among the others is not known, unless
 * one was seen. */
static void test_files_that_were_cut(void **state)
{
	static const struct {
		const char *first, *want;
	} cases[] = {{"a", "touches_workflows"},
		     {".github/workflows/a.yml", "touches_workflows=true"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF struct buf files = buf_make(1 << 16);
		struct scripted_answer script[] = {
			{.expect = STATE, JSON(200, GOOD_STATE)},
			{.expect = RULES, JSON(200, "[]")},
			{.expect = BRANCH, JSON(200, "{}")},
			{.expect = COMPARE, JSON(200, NULL)},
		};
		struct github_merge_question question = {7, SHA, "merge", NULL};
		AUTO_JSON json_t *facts = NULL;
		struct world world;

		buf_printf(&files, "{\"behind_by\":0,\"files\":[{\"filename\":\"%s\"}",
			   cases[i].first);
		for (int k = 1; k < 300; k++)
			buf_printf(&files, ",{\"filename\":\"f%d\"}", k);
		buf_puts(&files, "]}");
		script[3].body = buf_text(&files);
		world = START(script, false);
		assert_int_equal(
			github_merge_facts(world.gh, world.http, &repo, &question, &facts, NULL),
			ERR_OK);
		assert_fact(cases[i].first, facts, cases[i].want);
		stop(&world);
	}
}

#define BASE	"1111111111111111111111111111111111111111"
#define AT_BASE GOOD_BUT_AT(BASE)
#define GOOD_BUT_AT(sha)                                                                           \
	PULL_STATE(MERGEABLE "\"mergeQueueEntry\":null,\"isMergeQueueEnabled\":false,"             \
			     "\"reviewDecision\":null,\"baseRef\":{\"target\":{\"oid\":\"" sha     \
			     "\"},\"refUpdateRule\":null}")
#define EXACT "GET /repos/o/r/compare/" BASE "..." SHA "?"

/* What two commits differ in is asked once; once the base has moved, again. */
static void test_the_difference_is_asked_once(void **state)
{
	static const struct {
		const char *name, *known;
		bool asks;
		const char *want[3];
	} known[] = {
		{"nothing known", "{}", true, {"behind_by=3", "touches_workflows=false"}},
		{"the same two",
		 "{\"compared\":\"" BASE "..." SHA "\",\"behind_by\":0,\"touches_workflows\":true}",
		 false,
		 {"behind_by=0", "touches_workflows=true", "compared=" BASE "..." SHA}},
		{"the same two, of which too little was told",
		 "{\"compared\":\"" BASE "..." SHA "\"}",
		 false,
		 {"behind_by", "touches_workflows"}},
		{"another base",
		 "{\"compared\":\"2222222222222222222222222222222222222222..." SHA
		 "\",\"behind_by\":0,\"touches_workflows\":true}",
		 true,
		 {"behind_by=3", "touches_workflows=false", "compared=" BASE "..." SHA}},
		{"another head",
		 "{\"compared\":\"" BASE "..." BASE "\",\"behind_by\":0}",
		 true,
		 {"behind_by=3"}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct scripted_answer script[] = {
			{.expect = STATE, JSON(200, AT_BASE)},
			{.expect = RULES, JSON(200, "[]")},
			{.expect = BRANCH, JSON(200, "{}")},
			{.expect = EXACT, JSON(200, "{\"behind_by\":3,\"files\":[]}")},
		};
		struct world world = start(script, ARRAY_LEN(script) - !known[i].asks, false);
		AUTO_JSON json_t *facts = NULL, *before = json_loads(known[i].known, 0, NULL);
		struct github_merge_question question = {7, SHA, "merge", before};

		assert_int_equal(
			github_merge_facts(world.gh, world.http, &repo, &question, &facts, NULL),
			ERR_OK);
		for (size_t k = 0; k < ARRAY_LEN(known[i].want) && known[i].want[k]; k++)
			assert_fact(known[i].name, facts, known[i].want[k]);
		stop(&world);
	}
}

/* A classic token's answers tell its scopes; what is not told stays unknown. */
static void test_may_the_token_merge_workflows(void **state)
{
	static const char *const told[][2] = {
		{JSON_TYPE, "may_workflows"},
		{JSON_TYPE "X-OAuth-Scopes: \r\n", "may_workflows"},
		{JSON_TYPE "X-OAuth-Scopes: repo, read:org\r\n", "may_workflows=false"},
		{JSON_TYPE "X-OAuth-Scopes: repo, workflow\r\n", "may_workflows=true"},
		{JSON_TYPE "x-oauth-scopes: workflow,repo\r\n", "may_workflows=true"},
		{JSON_TYPE "X-OAuth-Scopes: repo, workflows, workflow:read\r\n",
		 "may_workflows=false"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		struct scripted_answer script[] = {
			{.expect = STATE, JSON(200, GOOD_STATE)},
			{.expect = RULES, JSON(200, "[]")},
			{.expect = BRANCH, JSON(200, "{}")},
			{.expect = COMPARE,
			 .status = 200,
			 .headers = told[i][0],
			 .body = "{\"files\":[{\"filename\":\".github/workflows/x.yml\"}]}"},
		};
		struct world world = START(script, false);
		struct github_merge_question question = {7, SHA, "merge", NULL};
		AUTO_JSON json_t *facts = NULL;

		assert_int_equal(
			github_merge_facts(world.gh, world.http, &repo, &question, &facts, NULL),
			ERR_OK);
		assert_fact(told[i][0], facts, told[i][1]);
		stop(&world);
	}
}

/* An App learns from its installation whether it may merge changed workflows. */
static void test_may_the_app_merge_workflows(void **state)
{
	static const char *const rights[][2] = {
		{"{\"permissions\":{\"contents\":\"write\"}}", "may_workflows=false"},
		{"{\"permissions\":{\"workflows\":\"write\"}}", "may_workflows=true"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rights); i++) {
		struct scripted_answer script[] = {
			{.expect = MINT, MINTED(TOKEN_B)},
			{.expect = STATE, JSON(200, GOOD_STATE)},
			{.expect = RULES, JSON(200, "[]")},
			{.expect = BRANCH, JSON(200, "{}")},
			{.expect = COMPARE,
			 JSON(200, "{\"files\":[{\"filename\":\".github/workflows/x.yml\"}]}")},
			{.expect = INSTALLED, JSON(200, rights[i][0])},
		};
		struct world world = START(script, true);
		struct github_merge_question question = {7, SHA, "merge", NULL};
		AUTO_JSON json_t *facts = NULL;

		assert_int_equal(
			github_merge_facts(world.gh, world.http, &repo, &question, &facts, NULL),
			ERR_OK);
		assert_fact(rights[i][0], facts, rights[i][1]);
		stop(&world);
	}
}

/* --- the merge --- */

#define MERGED_PULL(sha)                                                                           \
	"{\"state\":\"closed\",\"merged\":true,\"head\":{\"sha\":\"" sha                           \
	"\"},\"merge_commit_sha\":\"" MERGED "\"}"

static enum err_class merge(struct world *world, bool in_doubt, char *merged, struct err *err)
{
	struct github_merge_question question = {7, SHA, "squash", NULL};

	return github_merge(world->gh, world->http, &repo, &question, in_doubt, merged, err);
}

static void test_a_merge_names_the_commit_and_the_method(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MERGE, JSON(200, "{\"sha\":\"" MERGED "\",\"merged\":true}")},
	};
	struct world world = START(script, false);
	char merged[65] = "";

	(void)state;
	assert_int_equal(merge(&world, false, merged, NULL), ERR_OK);
	assert_string_equal(merged, MERGED);
	(void)scripted_count(world.server);
	assert_non_null(strstr(world.server->requests[0].body, "\"sha\":\"" SHA "\""));
	assert_non_null(strstr(world.server->requests[0].body, "\"merge_method\":\"squash\""));
	stop(&world);
}

static const struct {
	int status;
	const char *message;
	enum err_class class;
	const char *code;
} refusals[] = {
	{405, "Pull Request is not mergeable", ERR_USER, "merge.refused"},
	{405, "Base branch was modified. Review and try the merge again.", ERR_TRANSIENT,
	 "merge.base_moved"},
	{405, "Changes must be made through the merge queue", ERR_USER, "merge.refused"},
	{409, "Head branch was modified. Review and try the merge again.", ERR_CONFLICT,
	 "merge.moved"},
	{403, "Resource not accessible by integration", ERR_USER, "merge.refused"},
	{404, "Not Found", ERR_USER, "merge.refused"},
	{422, "Validation Failed", ERR_USER, "merge.refused"},
};

static void test_refusals_of_a_merge(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		AUTO_FREE char *body = str_printf("{\"message\":\"%s\"}", refusals[i].message);
		struct scripted_answer script[] = {
			{.expect = MERGE, JSON(refusals[i].status, body)},
			{.expect = GET_PULL, JSON(200, "{\"state\":\"open\",\"merged\":false}")}};
		bool is_looked_at = refusals[i].class == ERR_USER;
		struct world world = start(script, is_looked_at ? 2 : 1, false);
		char merged[65] = "";
		struct err err = {0};

		assert_int_equal(merge(&world, false, merged, &err), refusals[i].class);
		assert_string_equal(err.code, refusals[i].code);
		if (err.class == ERR_USER)
			assert_non_null(strstr(err.msg, refusals[i].message));
		assert_string_equal(merged, "");
		stop(&world);
	}
}

static const struct {
	const char *name;
	int status;
	const char *pull; /* what it is after the refusal */
	enum err_class class;
	const char *code;
} meanwhile[] = {
	{"merged by hand", 200, MERGED_PULL(SHA), ERR_OK, ""},
	{"merged by hand at another head", 200, MERGED_PULL("abc"), ERR_USER, "merge.closed"},
	{"closed by hand", 200, "{\"state\":\"closed\",\"merged\":false}", ERR_USER,
	 "merge.closed"},
	{"it cannot be looked at", 404, "{}", ERR_USER, "merge.refused"},
	{"GitHub does not answer", 502, "{}", ERR_TRANSIENT, NULL},
};

/* A refusal has the same words when a person was faster. */
static void test_what_became_of_it_before_the_merge(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(meanwhile); i++) {
		struct scripted_answer script[] = {
			{.expect = MERGE,
			 JSON(405, "{\"message\":\"Pull Request is not mergeable\"}")},
			{.expect = GET_PULL, JSON(meanwhile[i].status, meanwhile[i].pull)}};
		struct world world = START(script, false);
		char merged[65] = "";
		struct err err = {0};

		assert_int_equal(merge(&world, false, merged, &err), meanwhile[i].class);
		if (meanwhile[i].code && err.class)
			assert_string_equal(err.code, meanwhile[i].code);
		assert_string_equal(merged, meanwhile[i].class ? "" : MERGED);
		stop(&world);
	}
}

/* The published samples of refused merges: only the one of a moved head is one, and only that of a
 * moved base is tried again. */
static void test_samples_of_refused_merges(void **state)
{
	AUTO_JSON json_t *samples = NULL;
	AUTO_FREE char *text = NULL;
	const json_t *each;
	size_t len, i, count = 0;

	(void)state;
	text = sample_read(true, "github/errors.sample.json", &len);
	if (!text)
		skip();
	assert_int_equal(jval_parse(&samples, text, len, NULL), ERR_OK);
	json_array_foreach(json_object_get(samples, "samples"), i, each)
	{
		const char *name = jval_str(each, "name", "");
		AUTO_FREE char *body = jval_dump(json_object_get(each, "body"));
		struct scripted_answer script[] = {
			{.expect = MERGE, JSON((int)jval_int(each, "status", 0), body)},
			{.expect = GET_PULL, JSON(200, GOOD_PULL)}};
		enum err_class want = str_eq(name, "merge-head-modified")   ? ERR_CONFLICT
				      : str_eq(name, "merge-base-modified") ? ERR_TRANSIENT
									    : ERR_USER;
		struct world world;
		char merged[65];

		if (!str_eq(jval_str(each, "applies_to", ""), "PUT .../merge"))
			continue;
		world = start(script, want == ERR_USER ? 2 : 1, false);
		print_message("%s\n", name);
		assert_int_equal(merge(&world, false, merged, NULL), want);
		stop(&world);
		count++;
	}
	assert_true(count > 5);
}

/* The answer was lost; the pull request tells. */
static void test_a_merge_in_doubt(void **state)
{
	static const struct {
		const char *name, *pull;
		int status;
		bool sends;
		enum err_class class;
	} cases[] = {
		{"merged at our commit", MERGED_PULL(SHA), 200, false, ERR_OK},
		{"merged at another commit", MERGED_PULL("1111"), 200, true, ERR_USER},
		{"not merged", GOOD_PULL, 200, true, ERR_USER},
		{"GitHub does not say", "{}", 502, false, ERR_TRANSIENT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scripted_answer script[] = {
			{.expect = GET_PULL, JSON(cases[i].status, cases[i].pull), .always = true},
			{.expect = MERGE,
			 JSON(405, "{\"message\":\"Pull Request is not mergeable\"}")},
		};
		struct world world = start(script, cases[i].sends ? 2 : 1, false);
		char merged[65] = "";

		print_message("%s\n", cases[i].name);
		assert_int_equal(merge(&world, true, merged, NULL), cases[i].class);
		assert_string_equal(merged, cases[i].class ? "" : MERGED);
		stop(&world);
	}
}

static void test_a_lost_answer_is_in_doubt(void **state)
{
	static const struct scripted_answer script[] = {
		{.expect = MERGE, .fault = SCRIPTED_RESET},
		{.expect = GET_PULL, JSON(200, MERGED_PULL(SHA))},
	};
	struct world world = START(script, false);
	char merged[65] = "";
	struct err err = {0};

	(void)state;
	assert_int_equal(merge(&world, false, merged, &err), ERR_TRANSIENT);
	assert_true(err.in_doubt);
	assert_int_equal(merge(&world, true, merged, &err), ERR_OK);
	assert_string_equal(merged, MERGED);
	stop(&world);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_facts_that_cannot_be_had_now),
		cmocka_unit_test(test_lists_are_read_to_the_end),
		cmocka_unit_test(test_files_that_were_cut),
		cmocka_unit_test(test_the_difference_is_asked_once),
		cmocka_unit_test(test_may_the_token_merge_workflows),
		cmocka_unit_test(test_may_the_app_merge_workflows),
		cmocka_unit_test(test_a_merge_names_the_commit_and_the_method),
		cmocka_unit_test(test_refusals_of_a_merge),
		cmocka_unit_test(test_what_became_of_it_before_the_merge),
		cmocka_unit_test(test_samples_of_refused_merges),
		cmocka_unit_test(test_a_merge_in_doubt),
		cmocka_unit_test(test_a_lost_answer_is_in_doubt),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("github_merge", tests, set_up, tear_down);
}
