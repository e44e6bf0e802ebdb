/* test_approvers.c - whom the rule `approvers` of a policy means. */
#include "tests/unit/cases.h"

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/approvers.h"
#include "tests/unit/core/policy_commands.h"

enum { ME = 7, ANOTHER = 8 };

/* The person has number 7 and the teams that are given: "+ml" is in it, "-ml" is not, "?ml" nobody
 * can tell. */
static const struct {
	const char *name, *rule; /* "": the file has none */
	const char *teams, *role;
	const char *level; /* write */
	enum approver want;
	const char *team;
} cases[] = {
	{"no rule is write permission", "", "", NULL, "write", APPROVER_YES, NULL},
	{"no rule, a reader", "", "", NULL, "read", APPROVER_NO, NULL},
	{"in the team", "{ teams: [ml] }", "+ml", NULL, "write", APPROVER_YES, NULL},
	{"in the team, but may not push", "{ teams: [ml] }", "+ml", NULL, "read", APPROVER_NO,
	 NULL}, /* attack 33 */
	{"not in the team", "{ teams: [ml] }", "-ml", NULL, "admin", APPROVER_NO, NULL},
	{"the team is to be asked for", "{ teams: [ml] }", "", NULL, "write", APPROVER_ASK, "ml"},
	{"the second is to be asked for", "{ teams: [ml, infra] }", "-ml", NULL, "write",
	 APPROVER_ASK, "infra"},
	{"the second is enough", "{ teams: [ml, infra] }", "?ml +infra", NULL, "write",
	 APPROVER_YES, NULL},
	{"what is asked for goes before what is not known", "{ teams: [ml, infra] }", "?ml", NULL,
	 "write", APPROVER_ASK, "infra"},
	{"one is not known", "{ teams: [ml, infra] }", "?ml -infra", NULL, "write",
	 APPROVER_UNKNOWN, "ml"},
	{"a listed user asks for no team", "{ teams: [ml], users: [me] }", "", NULL, "write",
	 APPROVER_YES, NULL},
	{"the login of another number", "{ users: [other] }", "", NULL, "write", APPROVER_NO,
	 NULL}, /* attack 25 */
	{"a login that nobody had", "{ users: [nobody] }", "", NULL, "write", APPROVER_NO, NULL},
	{"a role", "{ roles: [Release manager] }", "", "Release manager", "write", APPROVER_YES,
	 NULL},
	{"another role", "{ roles: [Release manager] }", "", "write", "write", APPROVER_NO, NULL},
	{"no role at all", "{ roles: [Release manager] }", "", NULL, "write", APPROVER_NO, NULL},
	{"a level, too low", "{ permission: maintain }", "", NULL, "write", APPROVER_NO, NULL},
	{"a level", "{ permission: maintain }", "", NULL, "maintain", APPROVER_YES, NULL},
	{"a level and a team", "{ permission: maintain, teams: [ml] }", "+ml", NULL, "write",
	 APPROVER_NO, NULL},
};

static json_t *rule_of(const char *rule)
{
	AUTO_FREE char *text =
		*rule ? str_printf("environments: { production: { approvers: %s } }\n", rule)
		      : str_dup("{}\n");
	AUTO_POLICY struct policy *policy = policy_read(text, strlen(text), "p", some_table());
	const struct policy_environment *production = policy_environment(policy, "production");
	struct policy_rule none = {0};

	assert_int_equal(policy->fault_count, 0);
	policy_set_user(policy, "me", ME);
	policy_set_user(policy, "other", ANOTHER);
	return approvers_keep(production ? &production->approvers : &none);
}

static struct policy_person person_of(size_t i, struct policy_team *teams, char names[4][16])
{
	struct policy_person person = {.user_id = ME, .role = cases[i].role, .teams = teams};
	const char *at = cases[i].teams;
	enum right level;

	assert_true(policy_right_parse(&level, cases[i].level));
	person.pull = true;
	person.push = level >= RIGHT_WRITE;
	person.maintain = level >= RIGHT_MAINTAIN;
	person.admin = level >= RIGHT_ADMIN;
	while (*at) {
		size_t len = strcspn(at + 1, " ");

		str_copy(names[person.team_count], len + 1, at + 1);
		teams[person.team_count] = (struct policy_team){
			names[person.team_count], *at == '+'   ? POLICY_MEMBER_YES
						  : *at == '-' ? POLICY_MEMBER_NO
							       : POLICY_MEMBER_UNKNOWN};
		person.team_count++;
		at += 1 + len + (at[1 + len] == ' ');
	}
	return person;
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_JSON json_t *rule = rule_of(cases[i].rule);
		struct policy_team teams[4];
		char names[4][16];
		struct policy_person person = person_of(i, teams, names);
		const char *team;
		enum approver got = approvers_judge(rule, &person, &team);

		if (got != cases[i].want || !!team != !!cases[i].team ||
		    (team && !str_eq(team, cases[i].team)))
			fail_msg("%s: %d, %s", cases[i].name, got, team ? team : "(none)");
	}
}

/* What is not known, or not a rule, is nobody. */
static void test_nothing_counts_by_itself(void **state)
{
	AUTO_JSON json_t *odd = json_pack("{s:[s]}", "teams", "ml");
	struct policy_person nobody = {.push = true};
	struct policy_person me = {.user_id = ME, .push = true};
	const char *team;

	(void)state;
	assert_int_equal(approvers_judge(NULL, NULL, &team), APPROVER_NO);
	assert_int_equal(approvers_judge(NULL, &nobody, &team), APPROVER_NO);
	assert_int_equal(approvers_judge(odd, &me, &team), APPROVER_NO);
}

static void test_telling(void **state)
{
	static const char *const said[][2] = {
		{"", ""},
		{"{ teams: [ml-leads], users: [me], roles: [Release manager] }",
		 "one of `@acme/ml-leads`, `@me`, role `Release manager`"},
		{"{ permission: maintain }", "somebody with maintain permission"},
		{"{ users: [a, b, c, d, e, f, g, h, i, j, k, l] }",
		 "one of `@a`, `@b`, `@c`, `@d`, `@e`, `@f`, `@g`, `@h`, `@i`, `@j` and 2 more"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		AUTO_JSON json_t *rule = rule_of(said[i][0]);
		AUTO_BUF struct buf text = buf_make(400);

		approvers_say(rule, "acme/model", "`", &text);
		assert_string_equal(buf_text(&text), said[i][1]);
	}
}

static const struct CMUnitTest group[] = {
	cmocka_unit_test(test_cases),
	cmocka_unit_test(test_nothing_counts_by_itself),
	cmocka_unit_test(test_telling),
};

CASES_MAIN(group, NULL, NULL)
