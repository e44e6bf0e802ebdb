/* Ceilings over commands that are none stop the start, with the place. */
#include "bot/ceilings.h"

#include "lib/base/str.h"
#include "tests/unit/cases.h"

#define GOOD                                                                                       \
	"server: {webhook_secret_file: /s}\n"                                                      \
	"github: {token_file: /t}\n"                                                               \
	"clusters: [{name: main, kfp_url: \"http://ml-pipeline.kubeflow.svc:8888/\"}]\n"           \
	"repositories: [{match: ann/iris}]\n"

static const struct {
	const char *name, *text, *report; /* "": good */
} files[] = {
	{"none", GOOD, ""},
	{"commands that there are",
	 GOOD "ceilings: [{commands: [deploy, build-run, staging_deploy], permission: admin}]\n",
	 ""},
	{"a slip", GOOD "ceilings:\n- permission: admin\n  commands: [build, deplyo]\n",
	 "k.yaml:7:1: ceilings[0].commands: there is no command \"deplyo\"; did you mean "
	 "\"deploy\"?\n"},
	{"nothing like it", GOOD "ceilings: [{commands: [frobnicate], permission: admin}]\n",
	 "k.yaml:5:1: ceilings[0].commands: there is no command \"frobnicate\"\n"},
	{"what is always allowed", GOOD "ceilings: [{commands: [help], permission: admin}]\n",
	 "k.yaml:5:1: ceilings[0].commands: /help is always allowed\n"},
	{"commands that go to the environments",
	 GOOD "ceilings: [{commands: [deploy, staging_deploy, lock], environments: [staging], "
	      "permission: admin}]\n",
	 ""},
	{"a command that goes to no environment",
	 GOOD "ceilings: [{commands: [deploy, run], environments: [production], "
	      "teams_required: true}]\n",
	 "k.yaml:5:1: ceilings[0].commands: /run does not go to these environments\n"},
	{"a command that goes to another environment",
	 GOOD "ceilings: [{commands: [staging_deploy], environments: [production], "
	      "permission: admin}]\n",
	 "k.yaml:5:1: ceilings[0].commands: /staging_deploy does not go to these environments\n"},
	{"approvals that nothing asks for",
	 GOOD "ceilings: [{commands: [run, rollback], approvals: 2}]\n",
	 "k.yaml:5:1: ceilings[0].commands: approvals are asked for by deploy only\n"},
	{"approvals that deployments ask for",
	 GOOD "ceilings: [{commands: [run, promote], approvals: 2}, {approvals: 1}]\n", ""},
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		AUTO_BUF struct buf report = buf_make(10000);
		struct config *config = NULL;
		struct err err = {0};

		print_message("%s\n", files[i].name);
		assert_int_equal(config_parse(&config, "k.yaml", files[i].text,
					      strlen(files[i].text), &report, &err),
				 ERR_OK);
		assert_int_equal(ceilings_check(config, "k.yaml", &report), !*files[i].report);
		assert_string_equal(buf_text(&report), files[i].report);
		config_free(config);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_names),
};
CASES_MAIN(tests, NULL, NULL)
