/* The policy file: every key that is read, every fault with its place. */
#include "lib/core/policy.h"

#include "lib/base/str.h"
#include "tests/unit/cases.h"
#include "tests/unit/core/policy_commands.h"

static const char whole[] = "commands:\n"
			    "  build:  { permission: write }\n"
			    "  run:    { permission: write, teams: [ml-eng], quota: 5/day }\n"
			    "  build-run: { users: [Ann, bob_corp], roles: [Release manager] }\n"
			    "forks:    { build: ok-to-run, run: never, deploy: never }\n"
			    "environments:\n"
			    "  staging:    { deploy: { permission: write }, merge: false }\n"
			    "  production:\n"
			    "    deploy: { teams: [ml-leads] }\n"
			    "    rollback: { teams: [on-call] }\n"
			    "    lock: { permission: write }\n"
			    "    approvers: { teams: [ml-leads] }\n"
			    "    approvals: 1\n"
			    "    require: [checks, up_to_date]\n"
			    "    after: staging\n"
			    "    canary: [10, 50]\n"
			    "    hold: 15m\n"
			    "    merge: squash\n"
			    "    freeze: [\"Fri 16:00-Mon 08:00\"]\n"
			    "    namespace: ml-prod\n"
			    "metrics:  { accuracy: { min: 0.91, max_drop: 0.005, against: "
			    "production }, loss: { max: 1 } }\n";

static struct policy *read_text(const char *text)
{
	return policy_read(text, strlen(text), ".github/kfops.yaml", some_table());
}

static void print_faults(const struct policy *policy)
{
	struct buf text = buf_make(4096);

	policy_report(policy, "policy", &text);
	print_message("%s", buf_text(&text));
	buf_dispose(&text);
}

static void test_commands(void **state)
{
	AUTO_POLICY struct policy *policy = read_text(whole);
	const struct policy_command_rule *rules = policy->commands;

	(void)state;
	print_faults(policy);
	assert_int_equal(policy->fault_count, 0);
	assert_int_equal(policy->command_count, 3);
	assert_string_equal(rules[1].command->name, "run");
	assert_int_equal(rules[1].rule.line, 3);
	assert_int_equal(rules[1].rule.permission, RIGHT_WRITE);
	assert_string_equal(rules[1].rule.teams[0], "ml-eng");
	assert_int_equal(rules[1].rule.quota.count, 5);
	assert_int_equal(rules[1].rule.quota.period_ms, 86400000);
	assert_string_equal(rules[2].command->name, "build_run");
	assert_int_equal(rules[2].rule.permission, RIGHT_READ);
	assert_string_equal(rules[2].rule.users[1].login, "bob_corp");
	assert_string_equal(rules[2].rule.roles[0], "Release manager");
	assert_int_equal(policy->forks[POLICY_FORK_BUILD], POLICY_FORK_OK_TO_RUN);
	assert_int_equal(policy->forks[POLICY_FORK_RUN], POLICY_FORK_NEVER);
}

static void test_environments(void **state)
{
	AUTO_POLICY struct policy *policy = read_text(whole);
	const struct policy_environment *staging = policy_environment(policy, "staging");
	const struct policy_environment *production = policy_environment(policy, "production");

	(void)state;
	assert_non_null(staging);
	assert_int_equal(staging->merge, POLICY_MERGE_NO);
	assert_int_equal(staging->hold_ms, -1);
	assert_false(staging->require_set);
	assert_non_null(production);
	assert_string_equal(production->deploy.teams[0], "ml-leads");
	assert_string_equal(production->rollback.teams[0], "on-call");
	assert_int_equal(production->lock.permission, RIGHT_WRITE);
	assert_int_equal(production->approvers.permission, RIGHT_WRITE);
	assert_int_equal(production->approvals, 1);
	assert_true(production->require_checks && production->require_up_to_date);
	assert_string_equal(production->after, "staging");
	assert_int_equal(production->step_count, 3);
	assert_int_equal(production->steps[2], 100);
	assert_int_equal(production->hold_ms, 900000);
	assert_int_equal(production->merge, POLICY_MERGE_SQUASH);
	assert_int_equal(production->freeze[0].from, 4 * 1440 + 960);
	assert_int_equal(production->freeze[0].to, 480);
	assert_string_equal(production->namespace, "ml-prod");
	assert_int_equal(policy->metric_count, 2);
	assert_true(policy->metrics[0].has_min && policy->metrics[0].has_max_drop);
	assert_string_equal(policy->metrics[0].against, "production");
	assert_null(policy->metrics[1].against);
}

static const struct {
	const char *name, *text, *report; /* the first fault; "": none */
} texts[] = {
	{"nothing", "", ""},
	{"only comments", "# nobody\n", ""},
	{"empty sections", "commands:\nforks: ~\nenvironments: null\nmetrics: {}\n", ""},
	{"a command without anything", "commands: { build: }\n", ""},
	{"not YAML", "commands: [\n", "2:1: did not find expected node content"},
	{"a list", "- a\n",
	 "1:1: the file must be a map of commands, forks, environments and metrics"},
	{"two documents", "commands:\n---\nforks:\n",
	 "3:1: a second document begins here; the file must be a single one"},
	{"a doubled key", "forks: { build: never }\nforks: { build: ok-to-run }\n",
	 "2:1: the key \"forks\""},
	{"an alias", "forks: &a { build: never }\ncommands: *a\n", "1:8: "},
	{"a key nearly known", "enviroments:\n",
	 "1:1: unknown key \"enviroments\"; did you mean \"environments\"?"},
	{"a key unlike any", "who:\n",
	 "1:1: unknown key \"who\"; the file has commands, forks, environments, metrics"},
	{"a command nearly known", "commands:\n  biuld: { permission: write }\n",
	 "2:3: unknown command \"biuld\"; did you mean \"build\"?"},
	{"a command unlike any", "commands: { frobnicate: {} }\n",
	 "1:13: unknown command \"frobnicate\"; commands has logs, build, run, build_run"},
	{"deploy among the commands", "commands: { deploy: { permission: read } }\n",
	 "1:13: who may give /deploy is said for each environment: environments.production.deploy"},
	{"staging_deploy among the commands", "commands: { staging-deploy: {} }\n",
	 "1:13: who may give /staging_deploy is said for each environment: "
	 "environments.staging.deploy"},
	{"help among the commands", "commands: { help: {} }\n",
	 "1:13: /help cannot be taken away; remove this"},
	{"the same command in two spellings", "commands: { build_run: {}, build-run: {} }\n",
	 "1:28: commands.build_run stands there twice"},
	{"a level nearly known", "commands: { build: { permission: writer } }\n",
	 "1:34: unknown permission \"writer\"; did you mean \"write\"?"},
	{"a level unlike any", "commands: { build: { permission: everybody } }\n",
	 "1:34: unknown permission \"everybody\"; commands.build.permission has read, triage, "
	 "write, maintain, admin"},
	{"the level anyone", "commands: { build: { permission: anyone } }\n",
	 "1:34: unknown permission \"anyone\""},
	{"a level as a list", "commands: { build: { permission: [write] } }\n",
	 "1:34: commands.build.permission must be read, triage, write, maintain or admin"},
	{"a rule as a word", "commands: { build: write }\n",
	 "1:20: commands.build must be a map, like { permission: write } or { teams: [ml-leads] }"},
	{"commands as a list", "commands: [build]\n", "1:11: commands must be a map"},
	{"a team as a word", "commands: { run: { teams: ml } }\n",
	 "1:27: commands.run.teams must be a list, like [ml-leads]"},
	{"a team with its organisation", "commands: { run: { teams: [acme/ml] } }\n",
	 "1:28: commands.run.teams[0] must be the short name of a team, as in its address, without "
	 "organisation: ml-leads"},
	{"a team by its title", "commands: { run: { teams: [ML leads] } }\n",
	 "1:28: commands.run.teams[0] must be the short name"},
	{"a team twice", "commands: { run: { teams: [ml, ml] } }\n",
	 "1:32: commands.run.teams[1]: \"ml\" stands there twice"},
	{"no teams", "commands: { run: { teams: [] } }\n",
	 "1:27: commands.run.teams is empty; leave the key out, or nobody is meant"},
	{"eleven teams", "commands: { run: { teams: [a, b, c, d, e, f, g, h, i, j, k] } }\n",
	 "1:27: commands.run.teams has more than 10 entries"},
	{"a user with @", "commands: { run: { users: [\"@ann\"] } }\n",
	 "1:28: commands.run.users[0] must be the login of a person, without @"},
	{"a user in two cases", "commands: { run: { users: [ann, Ann] } }\n",
	 "1:33: commands.run.users[1]: \"Ann\" stands there twice"},
	{"a user that is null", "commands: { run: { users: [null] } }\n",
	 "1:28: commands.run.users[0] must be text"},
	{"a role that is a level", "commands: { run: { roles: [Admin] } }\n",
	 "1:28: commands.run.roles[0] must be the name of a custom role; for the others there is "
	 "`permission`"},
	{"a quota without period", "commands: { run: { quota: 5 } }\n",
	 "1:27: commands.run.quota must be a number of times like 5/day, of hour, day or week"},
	{"a quota of nothing", "commands: { run: { quota: 0/day } }\n",
	 "1:27: commands.run.quota must be"},
	{"a quota of a year", "commands: { run: { quota: 5/year } }\n",
	 "1:27: commands.run.quota must be"},
	{"a quota of an environment", "environments: { staging: { deploy: { quota: 5/day } } }\n",
	 "1:38: unknown key \"quota\"; environments.staging.deploy has permission, teams, users, "
	 "roles"},
	{"forks as they like", "forks: { run: always }\n",
	 "1:15: forks.run must be never or ok-to-run"},
	{"forks of another command", "forks: { plan: never }\n",
	 "1:10: unknown key \"plan\"; forks has build, run, deploy"},
	{"an environment with a blank", "environments: { \"a b\": {} }\n",
	 "1:17: \"a b\" cannot be an environment: letters, digits, - _ and ."},
	{"an environment in capitals",
	 "environments:\n  Production: { approvals: 2 }\n  STAGING: {}\n",
	 "2:3: there is no environment \"Production\"; did you mean \"production\"?"},
	{"an environment with a slip", "environments:\n  prodution: { approvals: 2 }\n",
	 "2:3: there is no environment \"prodution\"; did you mean \"production\"?"},
	{"an environment cut short", "environments:\n  prod: { approvals: 2 }\n",
	 "2:3: there is no environment \"prod\"; did you mean \"production\"?"},
	{"the other one cut short", "environments:\n  Stage: { approvals: 2 }\n",
	 "2:3: there is no environment \"Stage\"; did you mean \"staging\"?"},
	{"environments of other names",
	 "environments: { testing: {}, qa: {}, production-eu: {}, staging: {}, production: {} }\n",
	 ""},
	{"approvals below nothing", "environments: { staging: { approvals: -1 } }\n",
	 "1:39: environments.staging.approvals must be a whole number from 0 to 20"},
	{"approvals in quotes", "environments: { staging: { approvals: \"1\" } }\n",
	 "1:39: environments.staging.approvals must be a whole number from 0 to 20"},
	{"approvers who may not push",
	 "environments: { staging: { approvers: { permission: read } } }\n",
	 "1:39: environments.staging.approvers.permission must be write, maintain or admin"},
	{"a requirement nearly known", "environments: { staging: { require: [check] } }\n",
	 "1:38: unknown requirement \"check\"; did you mean \"checks\"?"},
	{"after nowhere", "environments:\n  production: { after: qa }\n",
	 "2:1: environments.production.after: there is no environment \"qa\""},
	{"after staging, which is not named", "environments: { production: { after: staging } }\n",
	 ""},
	{"after itself", "environments:\n  qa: { after: qa }\n",
	 "2:1: environments.qa comes after itself"},
	{"after each other", "environments:\n  a: { after: b }\n  b: { after: a }\n",
	 "2:1: environments.a comes after itself"},
	{"after a circle that it is not in",
	 "environments:\n  a: { after: b }\n  b: { after: b }\n",
	 "3:1: environments.b comes after itself"},
	{"steps that fall", "environments: { staging: { canary: [50, 10] } }\n",
	 "1:41: environments.staging.canary must grow from step to step"},
	{"a step past all", "environments: { staging: { canary: [200] } }\n",
	 "1:37: environments.staging.canary must be a whole number from 1 to 100"},
	{"a hold without unit", "environments: { staging: { hold: 15 } }\n",
	 "1:34: environments.staging.hold must be a duration with its unit, like 15m, at most 7d"},
	{"a merge nobody knows", "environments: { staging: { merge: ff } }\n",
	 "1:35: environments.staging.merge must be true, false, merge, squash or rebase"},
	{"a freeze without end", "environments: { staging: { freeze: [Fri 16:00] } }\n",
	 "1:37: environments.staging.freeze must be a time of the week in UTC, like \"Fri "
	 "16:00-Mon 08:00\""},
	{"a freeze at 24:00", "environments: { staging: { freeze: [\"Fri 24:00-Mon 08:00\"] } }\n",
	 "1:37: "},
	{"a freeze at 10:60", "environments: { staging: { freeze: [\"Fri 10:60-Mon 08:00\"] } }\n",
	 "1:37: "},
	{"a freeze of no length",
	 "environments: { staging: { freeze: [\"Fri 16:00-Fri 16:00\"] } }\n", "1:37: "},
	{"a freeze of another language",
	 "environments: { staging: { freeze: [\"Fre 16:00-Mon 08:00\"] } }\n", "1:37: "},
	{"a namespace in capitals", "environments: { staging: { namespace: ML } }\n",
	 "1:39: environments.staging.namespace must be the name of a namespace"},
	{"one namespace twice", "environments:\n  a: { namespace: ml }\n  b: { namespace: ml }\n",
	 "3:1: environments.a and environments.b have the same namespace"},
	{"a metric without threshold", "metrics:\n  accuracy: {}\n",
	 "2:3: metrics.accuracy has none of min, max and max_drop"},
	{"a metric in words", "metrics: { accuracy: { min: high } }\n",
	 "1:29: metrics.accuracy.min must be a number"},
	{"a metric that is infinite", "metrics: { accuracy: { min: .inf } }\n",
	 "1:29: metrics.accuracy.min must be a number"},
	{"a metric that nothing meets", "metrics:\n  accuracy: { min: 2, max: 1 }\n",
	 "2:3: metrics.accuracy: min is above max"},
	{"a drop that rises", "metrics: { accuracy: { max_drop: -1 } }\n",
	 "1:34: metrics.accuracy.max_drop must not be below 0"},
	{"against nothing", "metrics: { a: { max_drop: 1, against: moon } }\n",
	 "1:1: metrics.a.against: there is no environment \"moon\""},
	{"against without a drop", "metrics:\n  a: { min: 1, against: staging }\n",
	 "2:3: metrics.a.against has no meaning without max_drop"},
};

static void test_texts(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO_POLICY struct policy *policy = read_text(texts[i].text);
		AUTO_BUF struct buf report = buf_make(8192);
		AUTO_FREE char *want = str_printf("p:%s", texts[i].report);
		bool good;

		policy_report(policy, "p", &report);
		good = *texts[i].report ? str_starts(buf_text(&report), want) : !report.len;
		if (!good)
			print_message("%s:\n%sbut wanted\n%s\n", texts[i].name, buf_text(&report),
				      want);
		bad += !good;
	}
	assert_int_equal(bad, 0);
}

static void test_too_large(void **state)
{
	AUTO_FREE char *text = mem_new(POLICY_TEXT_MAX + 2, 1);
	struct policy *policy;

	(void)state;
	memset(text, '#', POLICY_TEXT_MAX);
	policy = read_text(text);
	assert_int_equal(policy->fault_count, 0);
	policy_free(policy);
	text[POLICY_TEXT_MAX] = '#';
	policy = read_text(text);
	assert_int_equal(policy->fault_count, 1);
	assert_string_equal(policy->faults[0].text, "the file is larger than 64 KiB");
	policy_free(policy);
}

static void test_many_faults(void **state)
{
	AUTO_BUF struct buf text = buf_make(8192), report = buf_make(65536);
	AUTO_POLICY struct policy *policy = NULL;

	(void)state;
	for (int i = 0; i < 30; i++)
		buf_printf(&text, "odd%d: 1\n", i);
	policy = read_text(buf_text(&text));
	assert_int_equal(policy->fault_count, 30);
	policy_report(policy, "p", &report);
	assert_non_null(strstr(buf_text(&report), "p:20:1: "));
	assert_null(strstr(buf_text(&report), "p:21:1: "));
	assert_non_null(strstr(buf_text(&report), "p: and 10 more faults\n"));
}

static void test_users_by_id(void **state)
{
	AUTO_POLICY struct policy *policy =
		read_text("commands: { run: { users: [Ann, bob] } }\n"
			  "environments: { staging: { deploy: { users: [ann], teams: [ml] } } }\n");
	json_t *logins = policy_logins(policy), *teams = policy_team_slugs(policy);

	(void)state;
	assert_int_equal(json_array_size(logins), 2);
	assert_string_equal(json_string_value(json_array_get(logins, 0)), "Ann");
	assert_int_equal(json_array_size(teams), 1);
	policy_set_user(policy, "ANN", 7);
	assert_int_equal(policy->commands[0].rule.users[0].id, 7);
	assert_int_equal(policy->commands[0].rule.users[1].id, 0);
	assert_int_equal(policy->environments[0].deploy.users[0].id, 7);
	policy_set_user(policy, "ann", -3);
	assert_int_equal(policy->environments[0].deploy.users[0].id, 0);
	json_decref(logins);
	json_decref(teams);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_commands),    cmocka_unit_test(test_environments),
	cmocka_unit_test(test_texts),	    cmocka_unit_test(test_too_large),
	cmocka_unit_test(test_many_faults), cmocka_unit_test(test_users_by_id),
};
CASES_MAIN(tests, NULL, NULL)
