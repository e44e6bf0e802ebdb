/* Who may: all combinations of policy, command, environment, level, team and fork against a table
 * of what each rule asks for; attacks; and that no policy comes past the ceilings. */
#include "lib/core/policy_decide.h"

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "tests/unit/cases.h"
#include "tests/unit/core/policy_commands.h"
#include "tests/unit/core/policy_sound.h"
#include "tests/unit/core/policy_texts.h"

enum { ME = 1000001, DAY_MS = 86400000 };

/* --- levels --- */

static const struct {
	const char *name;
	struct policy_person person;
	enum right has;
} levels[] = {
	{"stranger", {.user_id = ME}, RIGHT_ANYONE},
	{"reader", {.user_id = ME, .pull = true}, RIGHT_READ},
	{"triager", {.user_id = ME, .pull = true, .triage = true}, RIGHT_TRIAGE},
	{"writer", {.user_id = ME, .pull = true, .triage = true, .push = true}, RIGHT_WRITE},
	{"maintainer",
	 {.user_id = ME, .pull = true, .triage = true, .push = true, .maintain = true},
	 RIGHT_MAINTAIN},
	{"admin",
	 {.user_id = ME,
	  .pull = true,
	  .triage = true,
	  .push = true,
	  .maintain = true,
	  .admin = true},
	 RIGHT_ADMIN},
};

/* --- all combinations --- */

static const char *const policies[] = {
	NULL,
	"commands:\n"
	"  build: { permission: triage }\n"
	"  run: { permission: write, teams: [ml] }\n"
	"  ok-to-run: { teams: [ml] }\n"
	"forks: { build: ok-to-run, run: never, deploy: ok-to-run }\n"
	"environments:\n"
	"  staging: { deploy: { permission: write } }\n"
	"  production: { deploy: { teams: [ml] }, rollback: { permission: write }, approvals: 1 "
	"}\n",
	"commands: { build_run: { permission: admin }, logs: { teams: [ml] }, "
	"ok_to_run: { permission: read } }\n"
	"environments: { production: { lock: { permission: read } } }\n",
	"commands: { run: { permision: write } }\n",
};

/* What a policy asks for a command: the permission, the team, what a fork needs. */
static const struct {
	int policy;
	const char *command, *environment;
	enum right right;
	bool team;
	enum policy_fork fork;
	int approvals;
} asked[] = {
	/* no file: the defaults of the documentation */
	{0, "build", NULL, RIGHT_WRITE, false, POLICY_FORK_OK_TO_RUN, 0},
	{0, "run", NULL, RIGHT_WRITE, false, POLICY_FORK_NEVER, 0},
	{0, "build_run", NULL, RIGHT_WRITE, false, POLICY_FORK_NEVER, 0},
	{0, "logs", NULL, RIGHT_WRITE, false, POLICY_FORK_UNSET, 0},
	{0, "deploy", "production", RIGHT_MAINTAIN, false, POLICY_FORK_NEVER, 0},
	{0, "deploy", "staging", RIGHT_MAINTAIN, false, POLICY_FORK_NEVER, 0},
	{0, "staging_deploy", "staging", RIGHT_MAINTAIN, false, POLICY_FORK_NEVER, 0},
	{0, "rollback", "production", RIGHT_MAINTAIN, false, POLICY_FORK_UNSET, 0},
	{0, "lock", "staging", RIGHT_MAINTAIN, false, POLICY_FORK_UNSET, 0},
	{0, "ok-to-run", NULL, RIGHT_MAINTAIN, false, POLICY_FORK_UNSET, 0},
	/* a file with everything */
	{1, "ok-to-run", NULL, RIGHT_MAINTAIN, true, POLICY_FORK_UNSET, 0},
	{1, "build", NULL, RIGHT_TRIAGE, false, POLICY_FORK_OK_TO_RUN, 0},
	{1, "run", NULL, RIGHT_WRITE, true, POLICY_FORK_NEVER, 0},
	{1, "build_run", NULL, RIGHT_WRITE, true, POLICY_FORK_NEVER, 0},
	{1, "logs", NULL, RIGHT_WRITE, false, POLICY_FORK_UNSET, 0},
	{1, "deploy", "production", RIGHT_READ, true, POLICY_FORK_OK_TO_RUN, 1},
	{1, "deploy", "staging", RIGHT_WRITE, false, POLICY_FORK_OK_TO_RUN, 0},
	{1, "staging_deploy", "staging", RIGHT_WRITE, false, POLICY_FORK_OK_TO_RUN, 0},
	{1, "deploy", "elsewhere", RIGHT_MAINTAIN, false, POLICY_FORK_OK_TO_RUN, 0},
	{1, "rollback", "production", RIGHT_WRITE, false, POLICY_FORK_UNSET, 0},
	{1, "rollback", "staging", RIGHT_WRITE, false, POLICY_FORK_UNSET, 0},
	{1, "lock", "production", RIGHT_READ, true, POLICY_FORK_UNSET, 0},
	/* a word of its own for build_run; lock without deploy */
	{2, "build_run", NULL, RIGHT_ADMIN, false, POLICY_FORK_NEVER, 0},
	{2, "build", NULL, RIGHT_WRITE, false, POLICY_FORK_OK_TO_RUN, 0},
	{2, "logs", NULL, RIGHT_READ, true, POLICY_FORK_UNSET, 0},
	{2, "ok-to-run", NULL, RIGHT_MAINTAIN, false, POLICY_FORK_UNSET, 0}, /* never less */
	{2, "lock", "production", RIGHT_READ, false, POLICY_FORK_UNSET, 0},
	{2, "deploy", "production", RIGHT_MAINTAIN, false, POLICY_FORK_NEVER, 0},
};

static enum policy_verdict expected(size_t row, enum right has, enum policy_membership member,
				    enum policy_origin origin, int approvals)
{
	bool fork = origin >= POLICY_ORIGIN_FORK;
	bool builds = str_eq(asked[row].command, "build");

	if (has < asked[row].right)
		return POLICY_DENY;
	if (asked[row].team && member != POLICY_MEMBER_YES)
		return member == POLICY_MEMBER_NO ? POLICY_DENY : POLICY_UNKNOWN;
	if (asked[row].fork && origin == POLICY_ORIGIN_UNKNOWN)
		return POLICY_UNKNOWN;
	if (asked[row].fork == POLICY_FORK_NEVER && fork)
		return POLICY_DENY;
	if (asked[row].fork &&
	    (origin == POLICY_ORIGIN_FORK || (origin == POLICY_ORIGIN_FORK_BUILD && !builds)))
		return POLICY_NEEDS_APPROVAL;
	return asked[row].approvals > approvals ? POLICY_NEEDS_APPROVAL : POLICY_ALLOW;
}

static void check(const struct policy *policy, size_t row, size_t level,
		  enum policy_membership member, enum policy_origin origin)
{
	struct policy_team team = {"ml", member};
	struct policy_person person = levels[level].person;
	struct policy_question question = {
		.command = command_by_name(some_table(), asked[row].command),
		.table = some_table(),
		.environment = asked[row].environment,
		.actor_id = ME,
		.person = &person,
		.origin = origin,
	};
	struct policy_decision decision;

	person.teams = &team;
	person.team_count = 1;
	for (question.approvals = 0; question.approvals < 2; question.approvals++) {
		enum policy_verdict want =
			expected(row, levels[level].has, member, origin, question.approvals);

		policy_decide(&decision, policy, &no_ceilings, &question);
		policy_sound(policy, &no_ceilings, &question, &decision);
		if (decision.verdict != want)
			print_message("policy %d, /%s %s, %s, member %d, origin %d: %s (%s)\n",
				      asked[row].policy, asked[row].command, asked[row].environment,
				      levels[level].name, member, origin,
				      policy_verdict_name(decision.verdict), decision.rule);
		assert_int_equal(decision.verdict, want);
		assert_true(decision.rule[0]);
	}
}

static void test_all_combinations(void **state)
{
	(void)state;
	for (size_t row = 0; row < ARRAY_LEN(asked); row++) {
		AUTO_POLICY struct policy *policy = read_text(policies[asked[row].policy]);

		assert_int_equal(policy->fault_count, 0);
		for (size_t level = 0; level < ARRAY_LEN(levels); level++)
			for (int member = 0; member <= POLICY_MEMBER_YES; member++)
				for (int origin = 0; origin <= POLICY_ORIGIN_FORK_OK; origin++)
					check(policy, row, level, (enum policy_membership)member,
					      (enum policy_origin)origin);
	}
}

/* A file with a fault: all commands, all people. */
static void test_faulty_policy(void **state)
{
	AUTO_POLICY struct policy *policy = read_text(policies[3]);
	struct policy_decision decision;

	(void)state;
	assert_int_equal(policy->fault_count, 1);
	for (size_t i = 0; i < SOME_COMMANDS; i++)
		for (size_t level = 0; level < ARRAY_LEN(levels); level++) {
			struct policy_question question = {.command = &some_commands[i],
							   .table = some_table(),
							   .environment = "production",
							   .actor_id = ME,
							   .person = &levels[level].person,
							   .origin = POLICY_ORIGIN_BRANCH};
			bool always = some_commands[i].scope == SCOPE_ALWAYS;
			bool told = levels[level].has >= RIGHT_MAINTAIN;

			policy_decide(&decision, policy, &no_ceilings, &question);
			policy_sound(policy, &no_ceilings, &question, &decision);
			if (always) {
				assert_int_equal(decision.verdict == POLICY_ALLOW,
						 levels[level].has >= some_commands[i].right);
				continue;
			}
			assert_int_equal(decision.verdict, POLICY_DENY);
			assert_string_equal(decision.code, "policy.invalid");
			assert_int_equal(strstr(decision.sentence, "permision") != NULL, told);
			assert_int_equal(strstr(decision.sentence, "line 1, column 20") != NULL,
					 told);
		}
}

/* --- single answers, with code and sentence --- */

static const struct {
	const char *name, *policy, *ceilings, *command, *environment;
	struct policy_person person;
	const char *verdict, *code, *sentence, *rule;
	struct policy_use use;
} answers[] = {
	{"attack 25: the login is another account's now",
	 NULL,
	 "[]",
	 "build",
	 NULL,
	 {.user_id = ME + 1, .push = true},
	 "deny",
	 "denied.identity",
	 "has this name now",
	 "the person",
	 {0}},
	{"an answer without an id",
	 NULL,
	 "[]",
	 "build",
	 NULL,
	 {.push = true},
	 "unknown",
	 "denied.unverified",
	 "could not be verified",
	 "the person",
	 {0}},
	{"an answer with a negative id",
	 NULL,
	 "[]",
	 "build",
	 NULL,
	 {.user_id = -ME, .push = true},
	 "unknown",
	 "denied.unverified",
	 "could not be verified",
	 "the person",
	 {0}},
	{"admin without push in the answer",
	 NULL,
	 "[]",
	 "build",
	 NULL,
	 {.user_id = ME, .admin = true},
	 "deny",
	 "denied.permission",
	 "This needs write permission on this repository, which its maintainers can give.",
	 "default of /build",
	 {0}},
	{"a permission of the file",
	 "commands:\n  build: { permission: admin }\n",
	 "[]",
	 "build",
	 NULL,
	 {.user_id = ME, .push = true},
	 "deny",
	 "denied.permission",
	 "admin permission",
	 "commands.build, line 2",
	 {0}},
	{"attack 24: a team that nobody knows",
	 "commands: { run: { teams: [gone] } }\n",
	 "[]",
	 "run",
	 NULL,
	 {.user_id = ME, .pull = true, .admin = true},
	 "unknown",
	 "denied.team_unknown",
	 "`gone`",
	 "commands.run, line 1",
	 {0}},
	{"a user, by id",
	 "commands: { run: { users: [ann] } }\n",
	 "[]",
	 "run",
	 NULL,
	 {.user_id = ME, .pull = true},
	 "allow",
	 "",
	 "",
	 "commands.run, line 1",
	 {0}},
	{"a user who has another id",
	 "commands: { run: { users: [bob] } }\n",
	 "[]",
	 "run",
	 NULL,
	 {.user_id = ME, .pull = true, .push = true},
	 "deny",
	 "denied.team",
	 "The policy allows this to others (commands.run, line 1): user `bob`.",
	 "commands.run, line 1",
	 {0}},
	{"a user whose login was never resolved",
	 "commands: { run: { users: [zoe] } }\n",
	 "[]",
	 "run",
	 NULL,
	 {.user_id = ME, .pull = true},
	 "deny",
	 "denied.team",
	 "user `zoe`",
	 "commands.run, line 1",
	 {0}},
	{"a custom role",
	 "commands: { run: { roles: [Release manager] } }\n",
	 "[]",
	 "run",
	 NULL,
	 {.user_id = ME, .pull = true, .role = "Release manager"},
	 "allow",
	 "",
	 "",
	 "commands.run, line 1",
	 {0}},
	{"another custom role",
	 "commands: { run: { roles: [Release manager] } }\n",
	 "[]",
	 "run",
	 NULL,
	 {.user_id = ME, .pull = true, .role = "release manager"},
	 "deny",
	 "denied.team",
	 "role `Release manager`",
	 "commands.run, line 1",
	 {0}},
	{"listed, but without the permission",
	 "commands: { run: { permission: write, users: [ann] } }\n",
	 "[]",
	 "run",
	 NULL,
	 {.user_id = ME, .pull = true},
	 "deny",
	 "denied.permission",
	 "write permission",
	 "commands.run, line 1",
	 {0}},
	{"a ceiling over a policy that gives all",
	 "commands: { run: { permission: read } }\n",
	 "[{\"commands\": [\"run\"], \"permission\": \"maintain\"}]",
	 "run",
	 NULL,
	 {.user_id = ME, .pull = true, .push = true},
	 "deny",
	 "denied.ceiling",
	 "maintain permission here",
	 "ceilings[0] of the operator",
	 {0}},
	{"a ceiling whose command is written as a person would",
	 "commands: { run: { permission: read } }\n",
	 "[{\"commands\": [\"/Run\"], \"permission\": \"admin\"}]",
	 "run",
	 NULL,
	 {.user_id = ME, .pull = true, .push = true, .maintain = true},
	 "deny",
	 "denied.ceiling",
	 "admin permission",
	 "ceilings[0] of the operator",
	 {0}},
	{"a ceiling by the other word of a command",
	 "commands: { run: { permission: read } }\n",
	 "[{\"commands\": [\"ok_to_test\"], \"permission\": \"admin\"}]",
	 "ok-to-run",
	 NULL,
	 {.user_id = ME, .pull = true, .push = true, .maintain = true},
	 "deny",
	 "denied.ceiling",
	 "admin permission",
	 "ceilings[0] of the operator",
	 {0}},
	{"a ceiling with dashes",
	 "commands: { run: { permission: read } }\n",
	 "[{\"commands\": [\"Staging-Deploy\"], \"permission\": \"admin\"}]",
	 "staging_deploy",
	 "staging",
	 {.user_id = ME, .pull = true, .push = true, .maintain = true},
	 "deny",
	 "denied.ceiling",
	 "admin permission",
	 "ceilings[0] of the operator",
	 {0}},
	{"a ceiling over the same by its other word",
	 "environments: { staging: { deploy: { permission: read } } }\n",
	 "[{\"commands\": [\"staging_deploy\"], \"permission\": \"admin\"}]",
	 "deploy",
	 "staging",
	 {.user_id = ME, .pull = true, .push = true, .maintain = true},
	 "deny",
	 "denied.ceiling",
	 "admin permission",
	 "ceilings[0] of the operator",
	 {0}},
	{"a ceiling over what goes elsewhere by that word",
	 "environments: { production: { deploy: { permission: read } } }\n",
	 "[{\"commands\": [\"staging_deploy\"], \"permission\": \"admin\"}]",
	 "deploy",
	 "production",
	 {.user_id = ME, .pull = true},
	 "allow",
	 "",
	 "",
	 "environments.production.deploy, line 1",
	 {0}},
	{"a ceiling over a part of the command",
	 "commands: { build_run: { permission: read } }\n",
	 "[{\"commands\": [\"run\"], \"permission\": \"maintain\"}]",
	 "build_run",
	 NULL,
	 {.user_id = ME, .pull = true, .push = true},
	 "deny",
	 "denied.ceiling",
	 "maintain permission here",
	 "ceilings[0] of the operator",
	 {0}},
	{"a ceiling of another repository",
	 "commands: { run: { permission: read } }\n",
	 "[{\"match\": \"acme/other\", \"permission\": \"maintain\"}]",
	 "run",
	 NULL,
	 {.user_id = ME, .pull = true},
	 "allow",
	 "",
	 "",
	 "commands.run, line 1",
	 {0}},
	{"a ceiling of the owner, in another case",
	 "commands: { run: { permission: read } }\n",
	 "[{}, {\"match\": \"ACME/*\", \"permission\": \"maintain\"}]",
	 "run",
	 NULL,
	 {.user_id = ME, .pull = true},
	 "deny",
	 "denied.ceiling",
	 "maintain",
	 "ceilings[1] of the operator",
	 {0}},
	{"a ceiling that cannot be read is the strictest",
	 "commands: { run: { permission: read } }\n",
	 "[{\"permission\": \"chief\"}]",
	 "run",
	 NULL,
	 {.user_id = ME, .pull = true, .maintain = true},
	 "deny",
	 "denied.ceiling",
	 "admin permission",
	 "ceilings[0] of the operator",
	 {0}},
	{"teams required, none named",
	 "environments: { production: { deploy: { permission: read } } }\n",
	 "[{\"environments\": [\"production\"], \"teams_required\": true}]",
	 "deploy",
	 "production",
	 {.user_id = ME, .pull = true, .admin = true},
	 "deny",
	 "denied.ceiling",
	 "name teams, users or roles",
	 "ceilings[0] of the operator",
	 {0}},
	{"teams required elsewhere",
	 "environments: { staging: { deploy: { permission: read } } }\n",
	 "[{\"environments\": [\"production\"], \"teams_required\": true}]",
	 "staging_deploy",
	 "staging",
	 {.user_id = ME, .pull = true},
	 "allow",
	 "",
	 "",
	 "environments.staging.deploy, line 1",
	 {0}},
	{"approvals of the operator",
	 "environments: { production: { deploy: { permission: read } } }\n",
	 "[{\"approvals\": 2}]",
	 "deploy",
	 "production",
	 {.user_id = ME, .pull = true},
	 "needs approval",
	 "denied.approvals",
	 "This needs 2 approvals of this very commit; there are 0.",
	 "environments.production.approvals",
	 {0}},
	{"a quota that is not used up",
	 "commands: { run: { quota: 2/day } }\n",
	 "[]",
	 "run",
	 NULL,
	 {.user_id = ME, .push = true},
	 "allow",
	 "",
	 "",
	 "commands.run, line 1",
	 {"run", 1}},
	{"a quota that is used up",
	 "commands: { run: { quota: 2/day } }\n",
	 "[]",
	 "run",
	 NULL,
	 {.user_id = ME, .push = true},
	 "deny",
	 "denied.quota",
	 "You did this 2 times in the last day, and 2 are allowed (commands.run, line 1).",
	 "commands.run, line 1",
	 {"run", 2}},
	{"a quota that nobody counted",
	 "commands: { run: { quota: 2/day } }\n",
	 "[]",
	 "run",
	 NULL,
	 {.user_id = ME, .push = true},
	 "unknown",
	 "denied.unverified",
	 "could not be counted",
	 "commands.run, line 1",
	 {0}},
	{"a quota of a part",
	 "commands: { run: { quota: 2/day } }\n",
	 "[]",
	 "build_run",
	 NULL,
	 {.user_id = ME, .push = true},
	 "deny",
	 "denied.quota",
	 "2 times in the last day",
	 "commands.run, line 1",
	 {"run", 2}},
	{"a quota of the operator over a looser one",
	 "commands: { run: { quota: 100/day } }\n",
	 "[{\"quota\": \"1/week\"}]",
	 "run",
	 NULL,
	 {.user_id = ME, .push = true},
	 "unknown",
	 "denied.unverified",
	 "could not be counted",
	 "ceilings[0]",
	 {"run", 2}},
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		AUTO_POLICY struct policy *policy = read_text(answers[i].policy);
		struct policy_ceilings ceilings;
		struct policy_decision decision;
		struct policy_question question = {
			.command = command_by_name(some_table(), answers[i].command),
			.table = some_table(),
			.environment = answers[i].environment,
			.actor_id = ME,
			.person = &answers[i].person,
			.origin = POLICY_ORIGIN_BRANCH,
			.uses = &answers[i].use,
			.use_count = answers[i].use.key ? 1 : 0,
		};

		read_ceilings(&ceilings, answers[i].ceilings, "acme/model");
		policy_set_user(policy, "ann", ME);
		policy_set_user(policy, "bob", ME + 5);
		policy_decide(&decision, policy, &ceilings, &question);
		policy_sound(policy, &ceilings, &question, &decision);
		print_message("%s: %s %s %s\n", answers[i].name,
			      policy_verdict_name(decision.verdict), decision.code,
			      decision.sentence);
		assert_string_equal(policy_verdict_name(decision.verdict), answers[i].verdict);
		assert_string_equal(decision.code, answers[i].code);
		assert_non_null(strstr(decision.sentence, answers[i].sentence));
		assert_string_equal(decision.rule, answers[i].rule);
		policy_ceilings_dispose(&ceilings);
	}
}

static const struct {
	const char *command;
	enum policy_origin origin;
	const char *code, *sentence;
} forked[] = {
	{"build", POLICY_ORIGIN_FORK, "fork.not_approved",
	 "A maintainer who has read this very commit"},
	{"build", POLICY_ORIGIN_UNKNOWN, "denied.unverified",
	 "comes from a fork could not be learned"},
	{"build", POLICY_ORIGIN_FORK_OK, "", ""},
	{"build", POLICY_ORIGIN_FORK_BUILD, "", ""},
	{"run", POLICY_ORIGIN_FORK_OK, "fork.never", "`/run` is never for forks here"},
	{"deploy", POLICY_ORIGIN_FORK_OK, "fork.never", "`/deploy` is never for forks here"},
	{"logs", POLICY_ORIGIN_FORK, "", ""},
};

static void test_forks(void **state)
{
	AUTO_POLICY struct policy *policy = policy_default();
	struct policy_decision decision;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forked); i++) {
		struct policy_question question = {
			.command = command_by_name(some_table(), forked[i].command),
			.table = some_table(),
			.environment = "production",
			.actor_id = ME,
			.person = &levels[RIGHT_ADMIN].person,
			.origin = forked[i].origin,
		};

		policy_decide(&decision, policy, &no_ceilings, &question);
		policy_sound(policy, &no_ceilings, &question, &decision);
		assert_string_equal(decision.code, forked[i].code);
		assert_non_null(strstr(decision.sentence, forked[i].sentence));
	}
}

/* --- no policy comes past the ceilings --- */

static uint32_t seed;

static size_t any(size_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static const char *one_of(const char *const *words, size_t count)
{
	return words[any(count)];
}

static const char *const rules[] = {
	"{ permission: read }",
	"{ permission: write }",
	"{ permission: maintain }",
	"{ teams: [ml] }",
	"{ users: [ann] }",
	"{ roles: [boss] }",
	"{ permission: triage, teams: [ml, on-call] }",
	"{}",
};

static char *random_policy(void)
{
	static const char *const names[] = {"build", "run", "build_run", "logs", "ok-to-run"};
	static const char *const places[] = {"staging", "production"};
	struct buf text = buf_make(4096);

	buf_puts(&text, "commands:\n");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (any(2))
			buf_printf(&text, "  %s: %s\n", names[i], one_of(rules, ARRAY_LEN(rules)));
	if (any(2))
		buf_puts(&text, "forks: { build: ok-to-run, run: ok-to-run, deploy: ok-to-run }\n");
	buf_puts(&text, "environments:\n");
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		buf_printf(&text, "  %s:\n    deploy: %s\n", places[i],
			   one_of(rules, ARRAY_LEN(rules)));
		if (any(2))
			buf_printf(&text, "    rollback: %s\n", one_of(rules, ARRAY_LEN(rules)));
		if (any(2))
			buf_printf(&text, "    approvals: %zu\n", any(3));
	}
	return buf_take(&text);
}

static char *random_ceilings(void)
{
	static const char *const entries[] = {
		"{\"permission\": \"write\"}",
		"{\"commands\": [\"run\"], \"permission\": \"maintain\"}",
		"{\"commands\": [\"deploy\", \"build-run\"], \"permission\": \"admin\"}",
		"{\"environments\": [\"production\"], \"teams_required\": true, \"approvals\": 2}",
		"{\"environments\": [\"staging\"], \"permission\": \"write\", \"approvals\": 1}",
		"{\"forks\": \"never\"}",
		"{\"forks\": \"ok-to-run\"}",
		"{\"quota\": \"3/day\"}",
	};
	struct buf text = buf_make(4096);
	size_t count = any(4);

	buf_putc(&text, '[');
	for (size_t i = 0; i < count; i++)
		buf_printf(&text, "%s%s", i ? "," : "", one_of(entries, ARRAY_LEN(entries)));
	buf_putc(&text, ']');
	return buf_take(&text);
}

/* All persons, commands and places for one policy under one set of ceilings. */
static size_t ask_all(const struct policy *policy, const struct policy_ceilings *ceilings)
{
	static const char *const places[] = {"staging", "production", "elsewhere"};
	struct policy_team teams[] = {{"ml", (enum policy_membership)any(3)},
				      {"on-call", (enum policy_membership)any(3)}};
	struct policy_use uses[] = {{"ceilings[0]", (int64_t)any(6)}, {"run", 1}};
	struct policy_decision decision;
	size_t passed = 0;

	for (size_t i = 0; i < SOME_COMMANDS; i++)
		for (size_t level = 0; level < ARRAY_LEN(levels); level++) {
			struct policy_person person = levels[level].person;
			struct policy_question question = {
				.command = &some_commands[i],
				.table = some_table(),
				.actor_id = any(10) ? ME : ME + 1,
				.person = any(20) ? &person : NULL,
				.origin = (enum policy_origin)any(5),
				.approvals = (int)any(3),
				.uses = uses,
				.use_count = any(3),
			};

			person.teams = teams;
			person.team_count = any(3);
			person.role = any(2) ? "boss" : NULL;
			if (some_commands[i].scope == SCOPE_ENVIRONMENT)
				question.environment = some_commands[i].environment
							       ? some_commands[i].environment
							       : one_of(places, 3);
			policy_decide(&decision, policy, ceilings, &question);
			policy_sound(policy, ceilings, &question, &decision);
			passed += decision.verdict == POLICY_ALLOW;
		}
	return passed;
}

static void test_nobody_past_the_ceilings(void **state)
{
	size_t passed = 0;

	(void)state;
	for (seed = 1; seed < 2000; seed++) {
		uint32_t round = seed;
		AUTO_FREE char *text = random_policy(), *list = random_ceilings();
		AUTO_POLICY struct policy *policy = read_text(text);
		struct policy_ceilings ceilings;

		assert_int_equal(policy->fault_count, 0);
		policy_set_user(policy, "ann", any(2) ? ME : 5);
		read_ceilings(&ceilings, list, "acme/model");
		passed += ask_all(policy, &ceilings);
		policy_ceilings_dispose(&ceilings);
		seed = round;
	}
	print_message("%zu decisions let somebody pass\n", passed);
	assert_true(passed > 10000); /* it is not that everything is refused */
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_all_combinations),
	cmocka_unit_test(test_faulty_policy),
	cmocka_unit_test(test_answers),
	cmocka_unit_test(test_forks),
	cmocka_unit_test(test_nobody_past_the_ceilings),
};
CASES_MAIN(tests, NULL, NULL)
