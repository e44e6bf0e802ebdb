/* Whose jobs a person may stop: the map that is made of policy, ceilings and person. */
#include "lib/commands/rights.h"

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "tests/unit/cases.h"

enum { ME = 7 };

#define READS	  "\"user_id\":7,\"pull\":true"
#define WRITES	  READS ",\"triage\":true,\"push\":true"
#define MAINTAINS WRITES ",\"maintain\":true"
#define POLICY(t) ",\"policy\":{\"text\":\"" t "\"}"
#define NO_POLICY ",\"policy\":{\"none\":true}"
#define LEADS                                                                                      \
	POLICY("environments: { production: { deploy: { teams: [leads] }, approvals: 2, "          \
	       "freeze: [\\\"Mon 00:00-Sun 23:59\\\"] } }")

/* What of these is true. */
static const char *const looked_at[] = {
	"help",
	"status",
	"cancel",
	"logs",
	"build",
	"run",
	"build_run",
	"deploy staging",
	"deploy production",
	"deploy lab",
	"deploy *",
	"staging_deploy staging",
	"rollback production",
	"lock lab",
	"lock *",
};

static const struct {
	const char *name, *facts, *want;
} cases[] = {
	{"nothing is known of them", "", ""},
	{"a reader, without a policy", READS NO_POLICY, ""},
	{"a writer, without a policy", WRITES NO_POLICY,
	 "help, status, cancel, logs, build, run, build_run"},
	{"a maintainer, without a policy", MAINTAINS NO_POLICY,
	 "help, status, cancel, logs, build, run, build_run, deploy staging, deploy production, "
	 "deploy *, staging_deploy staging, rollback production, lock *"},
	{"somebody else has the name now", "\"user_id\":8,\"push\":true" NO_POLICY, ""},
	{"the policy could not be had", MAINTAINS, "help, status"},
	{"a policy with a fault", MAINTAINS POLICY("commands: { build: { permision: read } }"),
	 "help, status"},
	{"readers run, and stop what others run",
	 READS POLICY("commands: { run: { permission: read } }"), "run"},
	{"readers build and run: both in one, too",
	 READS POLICY("commands: { run: { permission: read }, build: { permission: read } }"),
	 "build, run, build_run"},
	{"a quota that is used up is none",
	 WRITES ",\"uses\":{\"run\":9}" POLICY("commands: { run: { quota: 1/day } }"),
	 "help, status, cancel, logs, build, run, build_run"},
	{"one that was not counted neither",
	 WRITES POLICY("commands: { run: { quota: 1/day, quota_repository: 1/day } }"),
	 "help, status, cancel, logs, build, run, build_run"},
	{"missing approvals and a freeze are no refusal; staging needs its own word",
	 READS ",\"teams\":{\"leads\":true}" LEADS, "deploy production, rollback production"},
	{"a maintainer who is not in the team", MAINTAINS ",\"teams\":{\"leads\":false}" LEADS,
	 "help, status, cancel, logs, build, run, build_run, deploy staging, deploy *, "
	 "staging_deploy staging, lock *"},
	{"whether they are in it is not known", MAINTAINS LEADS,
	 "help, status, cancel, logs, build, run, build_run, deploy staging, deploy *, "
	 "staging_deploy staging, lock *"},
	{"an environment of the policy has a line of its own",
	 WRITES POLICY("environments: { lab: { lock: { permission: write } } }"),
	 "help, status, cancel, logs, build, run, build_run, lock lab"},
	{"an environment of the operator, too",
	 MAINTAINS
	 ",\"ceilings\":[{\"environments\":[\"lab\"],\"permission\":\"admin\"}]" NO_POLICY,
	 "help, status, cancel, logs, build, run, build_run, deploy staging, deploy production, "
	 "deploy *, staging_deploy staging, rollback production, lock *"},
	{"a ceiling over all is over what is under way",
	 WRITES ",\"ceilings\":[{\"permission\":\"maintain\"}]" NO_POLICY, "help, status"},
	{"a quota of the operator is left aside",
	 WRITES ",\"ceilings\":[{\"commands\":[\"run\"],\"quota\":\"1/week\"}]" NO_POLICY,
	 "help, status, cancel, logs, build, run, build_run"},
};

static void test_cases(void **state)
{
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *text = str_printf("{%s}", cases[i].facts);
		AUTO_JSON json_t *facts = NULL;
		AUTO_JSON json_t *map = NULL;
		AUTO_RIGHTS struct rights rights = {0};
		AUTO_BUF struct buf said = buf_make(1000);

		print_message("%s\n", cases[i].name);
		assert_int_equal(jval_parse(&facts, text, strlen(text), &err), ERR_OK);
		rights_read(&rights, facts, "lab/iris");
		map = rights_stops(&rights, ME);
		for (size_t k = 0; k < ARRAY_LEN(looked_at); k++)
			if (json_is_true(json_object_get(map, looked_at[k])))
				buf_printf(&said, "%s%s", said.len ? ", " : "", looked_at[k]);
		assert_string_equal(buf_text(&said), cases[i].want);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_cases),
};
CASES_MAIN(tests, NULL, NULL)
