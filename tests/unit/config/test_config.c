/* test_config.c - the operator's file: values, defaults, faults with their place, files that are
 * named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/check.h"
#include "config/config.h"
#include "tests/unit/samples.h"

#define SERVER	     "server: {webhook_secret_file: /s}\n"
#define GITHUB	     "github: {token_file: /t}\n"
#define CLUSTERS     "clusters: [{name: main, kfp_url: \"http://ml-pipeline.kubeflow.svc:8888/\"}]\n"
#define REPOSITORIES "repositories: [{match: ann/iris}]\n"
#define GOOD	     SERVER GITHUB CLUSTERS REPOSITORIES

static struct config *parsed(const char *text)
{
	AUTO_BUF struct buf report = buf_make(100000);
	struct config *config;
	struct err err = {0};

	if (config_parse(&config, "k.yaml", text, strlen(text), &report, &err))
		fail_msg("%s", buf_text(&report));
	assert_int_equal(report.len, 0);
	return config;
}

static void test_defaults(void **state)
{
	struct config *config = parsed(GOOD);

	(void)state;
	assert_string_equal(config_text(config, "server.listen"), "127.0.0.1:8080");
	assert_string_equal(config_text(config, "server.webhook_path"), "/webhook");
	assert_string_equal(config_text(config, "server.webhook_secret_file"), "/s");
	assert_null(config_text(config, "server.webhook_secret_previous_file"));
	assert_int_equal(config_int(config, "server.connections_max"), 1024);
	assert_false(config_bool(config, "server.allow_insecure_http"));
	assert_string_equal(config_text(config, "state_dir"), "/var/lib/kfops");
	assert_string_equal(config_text(config, "github.api_url"), "https://api.github.com");
	assert_string_equal(config_text(config, "github.graphql_url"),
			    "https://api.github.com/graphql");
	assert_string_equal(config_text(config, "github.web_url"), "https://github.com");
	assert_string_equal(config_text(config, "github.api_version"), "2022-11-28");
	assert_null(config_text(config, "github.app_id"));
	assert_int_equal(config_ms(config, "github.write_gap"), 1000);
	assert_string_equal(config_text(config, "compile.mode"), "sandbox");
	assert_null(config_text(config, "compile.bwrap"));
	assert_int_equal(config_bytes(config, "compile.memory"), 2LL << 30);
	assert_int_equal(config_bytes(config, "compile.output"), 32LL << 20);
	assert_int_equal(config_ms(config, "limits.job_deadline"), 10LL * 86400000);
	assert_int_equal(config_ms(config, "poll.run_first"), 5000);
	assert_int_equal(config_ms(config, "retention.jobs"), 180LL * 86400000);
	assert_string_equal(config_text(config, "log.level"), "info");
	assert_int_equal(config_cluster_count(config), 1);
	assert_string_equal(config_cluster_text(config, 0, "kfp_url"),
			    "http://ml-pipeline.kubeflow.svc:8888");
	assert_null(config_cluster_text(config, 0, "kfp_token_file"));
	assert_false(config_cluster_bool(config, 0, "kfp_dashboard"));
	config_free(config);
}

static void test_values(void **state)
{
	struct config *config = parsed(
		"server: {webhook_secret_file: /s, listen: \"[::1]:9000\", connections_max: 10}\n"
		"github: {app_id: 12345, private_key_file: /k, api_url: "
		"\"https://ghe.example/api/v3/\", "
		"write_gap: 500ms}\n" CLUSTERS REPOSITORIES
		"compile: {memory: 512MiB, timeout: 1m30s, output: 65536}\n"
		"limits:\nreport:\n  notify_after: 0s\n");

	(void)state;
	assert_string_equal(config_text(config, "server.listen"), "[::1]:9000");
	assert_int_equal(config_int(config, "server.connections_max"), 10);
	assert_string_equal(config_text(config, "github.app_id"), "12345");
	assert_string_equal(config_text(config, "github.api_url"), "https://ghe.example/api/v3");
	assert_string_equal(config_text(config, "github.graphql_url"),
			    "https://ghe.example/api/graphql");
	assert_string_equal(config_text(config, "github.web_url"), "https://ghe.example");
	assert_int_equal(config_ms(config, "github.write_gap"), 500);
	assert_int_equal(config_bytes(config, "compile.memory"), 512LL << 20);
	assert_int_equal(config_bytes(config, "compile.output"), 65536);
	assert_int_equal(config_ms(config, "compile.timeout"), 90000);
	assert_int_equal(config_ms(config, "report.notify_after"), 0);
	assert_int_equal(config_int(config, "limits.workers"), 4);
	config_free(config);
}

static void test_repositories(void **state)
{
	static const struct {
		const char *repo;
		int cluster;
	} cases[] = {
		{"ann/iris", 1},  {"Ann/IRIS", 1}, {"ann/other", 0}, {"ANN/x", 0},
		{"bob/iris", -1}, {"bob/only", 1}, {"ann", -1},	     {"ann/", -1},
		{"annie/x", -1},  {"ann/x/y", -1}, {"", -1},	     {"x/ann/iris", -1},
	};
	struct config *config = parsed(
		SERVER GITHUB "clusters:\n"
			      "  - {name: a, kfp_url: https://a.example}\n"
			      "  - {name: b, kfp_url: https://b.example, kfp_dashboard: true}\n"
			      "repositories:\n"
			      "  - {match: ann/iris, cluster: b}\n"
			      "  - {match: ann/*, cluster: a}\n"
			      "  - {match: bob/only, cluster: b}\n");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (config_cluster_of_repo(config, cases[i].repo) != cases[i].cluster)
			fail_msg("%s: %d", cases[i].repo,
				 config_cluster_of_repo(config, cases[i].repo));
	assert_true(config_cluster_bool(config, 1, "kfp_dashboard"));
	config_free(config);
	config = parsed(GOOD);
	assert_int_equal(config_cluster_of_repo(config, "ann/iris"), 0);
	config_free(config);
}

static void test_namespaces(void **state)
{
	static const struct {
		const char *repo, *name;
		enum config_namespace answer;
	} cases[] = {
		{"ann/iris", "team-a", CONFIG_NAMESPACE_LISTED},
		{"Ann/Iris", "team-b", CONFIG_NAMESPACE_LISTED},
		{"ann/iris", "team-c", CONFIG_NAMESPACE_OUTSIDE},
		{"ann/iris", "team", CONFIG_NAMESPACE_OUTSIDE},
		{"ann/iris", "TEAM-A", CONFIG_NAMESPACE_OUTSIDE},
		{"ann/iris", "", CONFIG_NAMESPACE_OUTSIDE},
		{"ann/none", "team-a", CONFIG_NAMESPACE_OUTSIDE},
		{"ann/other", "team-a", CONFIG_NAMESPACE_NO_LIST},
		{"bob/iris", "team-a", CONFIG_NAMESPACE_OUTSIDE},
	};
	AUTO_BUF struct buf out = buf_make(1000);
	struct config *config = parsed(SERVER GITHUB CLUSTERS
				       "repositories:\n"
				       "  - {match: ann/iris, namespaces: [team-a, team-b]}\n"
				       "  - {match: ann/none, namespaces: []}\n"
				       "  - match: ann/*\n");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (config_namespace_of_repo(config, cases[i].repo, cases[i].name) !=
		    cases[i].answer)
			fail_msg("%s %s", cases[i].repo, cases[i].name);
	config_namespaces_tell(config, "ann/iris", &out);
	config_namespaces_tell(config, "ann/none", &out);
	config_namespaces_tell(config, "bob/iris", &out);
	assert_string_equal(buf_text(&out), "`team-a`, `team-b`");
	assert_string_equal(config_entry_without_namespaces(config, 0), "ann/*");
	assert_null(config_entry_without_namespaces(config, 1));
	config_free(config);
}

static void test_many_namespaces_are_told_in_part(void **state)
{
	AUTO_BUF struct buf text = buf_make(10000), out = buf_make(1000);
	struct config *config;

	(void)state;
	buf_puts(&text,
		 SERVER GITHUB CLUSTERS "repositories:\n  - match: ann/iris\n    namespaces:\n");
	for (int i = 0; i < 12; i++)
		buf_printf(&text, "      - team-%d\n", i);
	config = parsed(buf_text(&text));
	config_namespaces_tell(config, "ann/iris", &out);
	assert_non_null(strstr(buf_text(&out), "`team-7` and 4 more"));
	config_free(config);
}

static const struct {
	const char *name, *text;
	const char *says[6]; /* each line of the report in order, from its place on */
} bad[] = {
	{"nothing",
	 "",
	 {"1:1: server is missing", "1:1: github is missing", "1:1: clusters is missing",
	  "1:1: repositories is missing"}},
	{"no secret",
	 "server: {}\n" GITHUB CLUSTERS REPOSITORIES,
	 {"1:1: server.webhook_secret_file is missing"}},
	{"empty secret name",
	 "server: {webhook_secret_file: ''}\n" GITHUB CLUSTERS REPOSITORIES,
	 {"1:31: server.webhook_secret_file is empty"}},
	{"wrong namespaces",
	 SERVER GITHUB CLUSTERS "repositories:\n"
				"  - {match: ann/a, namespaces: team-a}\n"
				"  - {match: ann/b, namespaces: [Team_A, '']}\n"
				"  - {match: ann/d, namespace: [team-a]}\n",
	 {"5:32: repositories[0].namespaces must be a list",
	  "6:33: repositories[1].namespaces[0] must be a name",
	  "6:41: repositories[1].namespaces[1] is empty",
	  "7:20: unknown key \"namespace\"; did you mean \"namespaces\"?"}},
	{"near keys",
	 GOOD "limit: {}\ncompile: {mod: sandbox, tiemout: 1m}\n",
	 {"5:1: unknown key \"limit\"; did you mean \"limits\"?",
	  "6:11: unknown key \"mod\"; did you mean \"mode\"?",
	  "6:25: unknown key \"tiemout\"; did you mean \"timeout\"?"}},
	{"doubled",
	 GOOD "log: {level: info}\nlog: {level: warn}\n",
	 {"6:1: the key \"log\" is here twice, first in line 5"}},
	{"types",
	 GOOD
	 "limits:\n  workers: many\n  queue: \"17\"\n  job_deadline: 10\n  checkout_bytes: 1GB\n"
	 "  checkout_files: 1.5\n",
	 {"6:12: limits.workers must be a whole number",
	  "7:10: limits.queue must be a whole number, without quotes",
	  "8:17: limits.job_deadline must be a duration with its unit",
	  "9:19: limits.checkout_bytes must be a size",
	  "10:19: limits.checkout_files must be a whole number"}},
	{"bounds",
	 GOOD "limits: {workers: 0, queue: 100001}\ncompile: {memory: 1MiB, timeout: 2h}\n"
	      "retention: {deliveries: 7d, jobs: 7d}\n",
	 {"5:19: limits.workers must be between 1 and 64",
	  "5:29: limits.queue must be between 1 and 100000",
	  "6:19: compile.memory must be between 16MiB and 1TiB",
	  "6:34: compile.timeout must be between 100ms and 1h",
	  "7:25: retention.deliveries must be between 8d and 365d",
	  "7:35: retention.jobs must be between 8d and 3650d"}},
	{"words",
	 GOOD "log: {level: loud}\ncompile: {mode: job, python: python3}\n",
	 {"5:14: log.level must be debug, info, warn or error",
	  "6:17: compile.mode must be sandbox or precompiled",
	  "6:30: compile.python must be an absolute path"}},
	{"no credential",
	 SERVER "github: {}\n" CLUSTERS REPOSITORIES,
	 {"2:1: github needs app_id and private_key_file (App), or token_file (user)"}},
	{"no gap between writes, which GitHub's client would take for the usual one",
	 SERVER "github: {token_file: /t, write_gap: 0s}\n" CLUSTERS REPOSITORIES,
	 {"2:37: github.write_gap must be between 1ms and 1m"}},
	{"two credentials",
	 SERVER
	 "github:\n  app_id: 1\n  private_key_file: /k\n  token_file: /t\n" CLUSTERS REPOSITORIES,
	 {"5:1: github has both an App"}},
	{"App without a key",
	 SERVER "github: {app_id: 1}\n" CLUSTERS REPOSITORIES,
	 {"2:1: github.app_id needs github.private_key_file"}},
	{"key without an App",
	 SERVER "github: {private_key_file: /k}\n" CLUSTERS REPOSITORIES,
	 {"2:1: github.private_key_file needs github.app_id"}},
	{"plain http",
	 SERVER "github: {token_file: /t, api_url: \"http://ghe.example/api/v3\"}\n"
		"clusters: [{name: a, kfp_url: \"http://10.0.0.1:8888\"}]\n" REPOSITORIES,
	 {"2:1: github.api_url is plain http to another machine",
	  "2:1: github.graphql_url is plain http", "2:1: github.web_url is plain http",
	  "3:1: clusters[0].kfp_url is plain http"}},
	{"strange addresses",
	 SERVER GITHUB "clusters: [{name: a, kfp_url: \"ftp://x\", kfp_ui_url: "
		       "\"https://u:p@x\"}]\n" REPOSITORIES,
	 {"3:31: clusters[0].kfp_url must be an address that starts with https:// or http://",
	  "3:54: clusters[0].kfp_ui_url must be an address without a user or password"}},
	{"no web address",
	 SERVER
	 "github: {token_file: /t, api_url: \"https://proxy.example/gh\"}\n" CLUSTERS REPOSITORIES,
	 {"2:1: github.web_url is missing: it does not follow from this api_url"}},
	{"no clusters",
	 SERVER GITHUB "clusters: []\n" REPOSITORIES,
	 {"3:11: clusters must have at least 1 entry"}},
	{"cluster twice",
	 SERVER GITHUB
	 "clusters:\n- {name: a, kfp_url: https://a}\n- {name: a, kfp_url: https://b}\n"
	 "repositories:\n- {match: a/b, cluster: a}\n",
	 {"5:1: clusters[1].name: there is another cluster \"a\""}},
	{"keys of the object store that are not complete",
	 SERVER GITHUB "clusters:\n- name: a\n  kfp_url: https://a\n  s3_access_key_file: /a\n"
		       "- name: b\n  kfp_url: https://b\n  s3_secret_key_file: /b\n"
		       "- name: c\n  kfp_url: https://c\n  s3_session_token_file: /c\n"
		       "repositories:\n- {match: a/b, cluster: a}\n",
	 {"6:1: clusters[0].s3_access_key_file needs s3_secret_key_file beside it",
	  "9:1: clusters[1].s3_secret_key_file needs s3_access_key_file beside it",
	  "12:1: clusters[2].s3_session_token_file needs s3_access_key_file beside it"}},
	{"a role without a token, a token without a role",
	 SERVER GITHUB "clusters:\n- name: a\n  kfp_url: https://a\n"
		       "  s3_role_arn: arn:aws:iam::123456789012:role/kfops\n"
		       "- name: b\n  kfp_url: https://b\n  s3_identity_token_file: /b\n"
		       "  s3_sts_url: https://sts\n"
		       "repositories:\n- {match: a/b, cluster: a}\n",
	 {"6:1: clusters[0].s3_role_arn needs s3_identity_token_file beside it",
	  "9:1: clusters[1].s3_identity_token_file needs s3_role_arn beside it",
	  "10:1: clusters[1].s3_sts_url has no meaning without s3_role_arn"}},
	{"two kinds of credentials",
	 SERVER GITHUB "clusters:\n- name: a\n  kfp_url: https://a\n"
		       "  s3_role_arn: arn:aws:iam::123456789012:role/kfops\n"
		       "  s3_identity_token_file: /i\n  s3_access_key_file: /a\n"
		       "  s3_secret_key_file: /s\n  s3_environment: true\n" REPOSITORIES,
	 {"6:1: clusters[0].s3_role_arn excludes s3_access_key_file, which stands beside it",
	  "10:1: clusters[0].s3_environment excludes s3_access_key_file",
	  "10:1: clusters[0].s3_environment excludes s3_role_arn"}},
	{"a role that is none, a region that is none",
	 SERVER GITHUB
	 "clusters: [{name: a, kfp_url: \"https://a\", s3_role_arn: arn:aws:iam::1:user/kfops, "
	 "s3_identity_token_file: /i, s3_region: \"eu central\"}]\n" REPOSITORIES,
	 {"3:57: clusters[0].s3_role_arn must be the ARN of a role",
	  "3:123: clusters[0].s3_region must be a word such as eu-central-1"}},
	{"a place for models that is none",
	 SERVER GITHUB "clusters:\n- name: a\n  kfp_url: https://a\n  model_store: s3://Models\n"
		       "  model_store_secret: My_Secret\n"
		       "- {name: b, kfp_url: https://b, model_store: \"gs://models\"}\n"
		       "- {name: c, kfp_url: https://c, model_store: \"s3://models/../x\"}\n"
		       "- {name: d, kfp_url: https://d, model_store: \"s3://models/team-a\"}\n"
		       "repositories:\n- {match: a/b, cluster: a}\n",
	 {"6:16: clusters[0].model_store must be an address like s3://models",
	  "7:23: clusters[0].model_store_secret must be the name of a Kubernetes Secret",
	  "8:46: clusters[1].model_store must be an address like s3://models",
	  "9:46: clusters[2].model_store must be an address like s3://models",
	  "10:1: clusters[3].model_store needs s3_url beside it"}},
	{"a context of nothing, a second address of nothing",
	 SERVER GITHUB "clusters:\n- {name: a, kfp_url: https://a, kube_context: prod}\n"
		       "- {name: b, kfp_url: https://b, model_store_url: https://s}\n"
		       "repositories:\n- {match: a/b, cluster: a}\n",
	 {"4:1: clusters[0].kube_context needs kubeconfig beside it",
	  "5:1: clusters[1].model_store_url needs model_store beside it"}},
	{"serving without what finds models",
	 SERVER GITHUB "clusters:\n- {name: a, kfp_url: https://a, serving: true}\n" REPOSITORIES,
	 {"4:1: clusters[0].serving needs s3_url beside it",
	  "4:1: clusters[0].serving needs mlmd_url beside it"}},
	{"unknown cluster",
	 SERVER GITHUB CLUSTERS "repositories:\n- {match: a/b, cluster: z}\n",
	 {"5:1: repositories[0].cluster: there is no cluster \"z\""}},
	{"cluster left out",
	 SERVER GITHUB
	 "clusters:\n- {name: a, kfp_url: https://a}\n- {name: b, kfp_url: https://b}\n"
	 "repositories:\n- match: a/b\n",
	 {"7:1: repositories[0].cluster is missing: there is more than one cluster"}},
	{"patterns",
	 SERVER GITHUB CLUSTERS
	 "repositories:\n- match: \"*/*\"\n- match: ann\n- match: a/b/c\n- match: a/*b\n",
	 {"5:10: repositories[0].match must be owner/name", "6:10: repositories[1].match",
	  "7:10: repositories[2].match", "8:10: repositories[3].match"}},
	{"webhook path",
	 "server: {webhook_secret_file: /s, webhook_path: /metrics}\n" GITHUB CLUSTERS REPOSITORIES,
	 {"1:49: server.webhook_path must be another path"}},
	{"listen",
	 "server: {webhook_secret_file: /s, listen: \"8080\"}\n" GITHUB CLUSTERS REPOSITORIES,
	 {"1:43: server.listen must be an address and a port"}},
	{"repositories that another entry has before",
	 SERVER GITHUB CLUSTERS
	 "repositories:\n- {match: Acme/*}\n- {match: acme/model, approvals: 2}\n"
	 "- {match: ann/iris}\n- {match: ann/Iris}\n- {match: ann/*}\n- {match: ann/*}\n",
	 {"6:1: repositories[1].match is never reached: repositories[0] has it before",
	  "8:1: repositories[3].match is never reached: repositories[2] has it before",
	  "10:1: repositories[5].match is never reached: repositories[4] has it before"}},
	{"ceilings that are none",
	 GOOD
	 "ceilings:\n- match: ann/*\n- {permission: chief}\n- {quota: 5/day, environments: [a]}\n"
	 "- {forks: always}\n- {commands: [\"/run\"], approvals: 30}\n- {team_required: true}\n",
	 {"5:1: ceilings[0] sets none of permission, teams_required, approvals, quota, "
	  "quota_repository and forks",
	  "7:16: ceilings[1].permission must be read, triage, write, maintain or admin",
	  "8:1: ceilings[2].quota counts commands, wherever they go: remove environments",
	  "9:11: ceilings[3].forks must be never or ok-to-run",
	  "10:15: ceilings[4].commands[0] must be the name of a command, without its slash",
	  "10:35: ceilings[4].approvals must be between 0 and 20"}},
	{"ceilings over repositories that are not here",
	 GOOD "ceilings:\n- {match: anm/*, forks: never}\n- {match: ann/iriss, forks: never}\n"
	      "- {match: ANN/*, forks: never}\n- {match: Ann/Iris, forks: never}\n"
	      "- {match: a/*, forks: never}\n",
	 {"6:1: ceilings[0].match fits no entry of repositories",
	  "7:1: ceilings[1].match fits no entry of repositories",
	  "10:1: ceilings[4].match fits no entry of repositories"}},
	{"ceilings that would not hold",
	 GOOD "ceilings:\n- {environments: [qa, Production], approvals: 1}\n"
	      "- {environments: [stage], approvals: 1}\n"
	      "- {commands: [run], forks: never}\n"
	      "- {environments: [production], forks: never}\n",
	 {"6:23: ceilings[0].environments[1] must be the name of an environment: perhaps "
	  "production is meant",
	  "7:19: ceilings[1].environments[0] must be the name of an environment: perhaps staging "
	  "is meant",
	  "8:1: ceilings[2].forks is about building, running and deploying alike: remove commands",
	  "9:1: ceilings[3].forks is about building, running and deploying alike: remove "
	  "environments"}},
	{"alias",
	 "server: &s {webhook_secret_file: /s}\ngithub: *s\n",
	 {"1:9: anchors", "1:1: server is missing"}},
};

static void check_report(const char *name, const char *at, const char *const says[6])
{
	const char *all = at;

	for (size_t k = 0; k < 6 && says[k]; k++) {
		char *start = str_printf("k.yaml:%s", says[k]);
		const char *line = strstr(at, start);

		if (!line || (line != all && line[-1] != '\n'))
			fail_msg("%s: no line \"%s\" in\n%s", name, start, all);
		at = line + strlen(start);
		mem_free(start);
	}
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF struct buf report = buf_make(100000);
		struct config *config;
		struct err err = {0};

		if (config_parse(&config, "k.yaml", bad[i].text, strlen(bad[i].text), &report,
				 &err) != ERR_CONFIG)
			fail_msg("%s: not refused", bad[i].name);
		assert_null(config);
		assert_string_equal(err.code, "config.invalid");
		if (!str_eq(bad[i].name, "alias"))
			check_report(bad[i].name, buf_text(&report), bad[i].says);
		else
			assert_non_null(strstr(buf_text(&report), "k.yaml:1:9: anchors"));
	}
}

static void test_insecure_http_is_allowed(void **state)
{
	struct config *config =
		parsed("server: {webhook_secret_file: /s, allow_insecure_http: true}\n"
		       "github: {token_file: /t, api_url: \"http://github-standin:1/api/v3\"}\n"
		       "clusters: [{name: a, kfp_url: \"http://10.0.0.1:8888\"}]\n" REPOSITORIES);

	(void)state;
	assert_string_equal(config_cluster_text(config, 0, "kfp_url"), "http://10.0.0.1:8888");
	config_free(config);
}

static const struct {
	const char *url;
	bool valid, safe;
} urls[] = {
	{"https://api.github.com", true, true},
	{"https://10.0.0.1:8443/a/b", true, true},
	{"http://127.0.0.1:1/", true, true},
	{"http://127.1.2.3", true, true},
	{"http://localhost:9", true, true},
	{"http://[::1]:80/x", true, true},
	{"http://ml-pipeline:8888", true, true},
	{"http://ml-pipeline.kubeflow.svc", true, true},
	{"http://ml-pipeline.kubeflow.svc.cluster.local:8888", true, true},
	{"http://ml-pipeline.kubeflow", true, false},
	{"http://example.com", true, false},
	{"http://127.0.0.1.example.com", true, false},
	{"http://10.0.0.1", true, false},
	{"http://169.254.169.254/latest", true, false},
	{"http://2130706433", true, false},
	{"http://0x7f000001", true, false},
	{"http://[::ffff:10.0.0.1]", true, false},
	{"http://evil.svc.example.com", true, false},
	{"http://127.0.0.1@example.com", false, false},
	{"http://user:pw@localhost", false, false},
	{"http://127.0.0.1#x", false, false},
	{"http://a?b", false, false},
	{"http://a b", false, false},
	{"http://", false, false},
	{"http://:80", false, false},
	{"http://a:0", false, false},
	{"http://a:65536", false, false},
	{"http://a:1x", false, false},
	{"http://[::1", false, false},
	{"http://[::1]x", false, false},
	{"http://a..b", false, false},
	{"http://-a", false, false},
	{"ftp://a", false, false},
	{"file:///etc/passwd", false, false},
	{"HTTP://a", false, false},
	{"//a", false, false},
	{"", false, false},
};

static void test_urls(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		if (!check_url(urls[i].url) != urls[i].valid)
			fail_msg("%s: %s", urls[i].url, check_url(urls[i].url));
		if (urls[i].valid && check_url_is_safe(urls[i].url) != urls[i].safe)
			fail_msg("%s is %ssafe", urls[i].url, urls[i].safe ? "not " : "");
	}
}

static void test_listen(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{"127.0.0.1:8080", true}, {"0.0.0.0:1", true},	   {"[::]:8080", true},
		{"localhost:80", false},  {"127.0.0.1", false},	   {"::1:80", false},
		{"[1:2]:80", false},	  {"[::1%lo]:80", false},  {"010.0.0.1:80", false},
		{"[::1]", false},	  {":8080", false},	   {"a.example:80", false},
		{"1.2.3.4.5:80", false},  {"1.2.3:80", false},	   {"256.0.0.1:80", false},
		{"127.0.0.1:0", false},	  {"127.0.0.1:+1", false}, {"", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (!check_listen(cases[i].text) != cases[i].good)
			fail_msg("%s", cases[i].text);
}

/* --- files --- */

static char folder[] = "/tmp/kfops-test-config-XXXXXX";

static char *put_file(const char *name, const char *text, mode_t mode)
{
	char *path = str_printf("%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static enum err_class load_with(const char *secret, const char *token, const char *ca,
				struct buf *report)
{
	char *text = str_printf("server:\n  webhook_secret_file: %s\ngithub:\n  token_file: %s\n"
				"  ca_file: %s\n" CLUSTERS REPOSITORIES,
				secret, token, ca);
	char *path = put_file("kfops.yaml", text, 0644);
	struct config *config = NULL;
	struct err err = {0};
	enum err_class class = config_load(&config, path, report, &err);

	assert_int_equal(!config, class != ERR_OK);
	config_free(config);
	mem_free(path);
	mem_free(text);
	return class;
}

static void test_files(void **state)
{
	AUTO_BUF struct buf report = buf_make(100000);
	AUTO_FREE char *good = put_file("good", "s3cr3t-value\n", 0600);
	AUTO_FREE char *ca = put_file("ca", "x", 0644);
	AUTO_FREE char *open_to_all = put_file("open", "s3cr3t-value\n", 0644);
	AUTO_FREE char *empty = put_file("empty", "", 0600);
	AUTO_FREE char *blank = put_file("blank", "  \n", 0600);

	(void)state;
	if (load_with(good, good, ca, &report))
		fail_msg("%s", buf_text(&report));
	assert_int_equal(load_with(open_to_all, empty, folder, &report), ERR_CONFIG);
	assert_non_null(strstr(buf_text(&report), "kfops.yaml:2:1: server.webhook_secret_file: "));
	assert_non_null(strstr(buf_text(&report), "kfops.yaml:4:1: github.token_file: "));
	assert_non_null(strstr(buf_text(&report), "kfops.yaml:5:1: github.ca_file: "));
	assert_null(strstr(buf_text(&report), "s3cr3t"));
	buf_clear(&report);
	assert_int_equal(load_with(blank, "/nonexistent/token", empty, &report), ERR_CONFIG);
	assert_non_null(strstr(buf_text(&report), ":2:1: server.webhook_secret_file: "));
	assert_non_null(strstr(buf_text(&report), "/nonexistent/token"));
	assert_non_null(strstr(buf_text(&report), "ca_file: "));
}

static void test_key_file(void **state)
{
	AUTO_BUF struct buf report = buf_make(100000);
	AUTO_FREE char *secret = put_file("secret", "abc", 0600);
	AUTO_FREE char *key = put_file("key.pem", "not a key", 0600);
	AUTO_FREE char *text =
		str_printf("server: {webhook_secret_file: %s}\n"
			   "github: {app_id: 1, private_key_file: %s}\n" CLUSTERS REPOSITORIES,
			   secret, key);
	AUTO_FREE char *path = put_file("kfops.yaml", text, 0600);
	struct config *config;
	struct err err = {0};

	(void)state;
	assert_int_equal(config_load(&config, path, &report, &err), ERR_CONFIG);
	assert_non_null(strstr(buf_text(&report), "kfops.yaml:2:1: github.private_key_file: "));
}

static void test_unreadable(void **state)
{
	AUTO_BUF struct buf report = buf_make(100000);
	struct config *config;
	struct err err = {0};

	(void)state;
	assert_int_equal(config_load(&config, "/nonexistent/kfops.yaml", &report, &err),
			 ERR_CONFIG);
	assert_string_equal(err.code, "config.unreadable");
	assert_non_null(
		strstr(buf_text(&report), "/nonexistent/kfops.yaml:1:1: cannot be read: No such"));
	assert_int_equal(config_load(&config, folder, &report, &err), ERR_CONFIG);
	assert_int_equal(config_load(&config, "/dev/zero", &report, &err), ERR_CONFIG);
}

/* --- printing --- */

static void test_print(void **state)
{
	struct config *config =
		parsed("server:\n  webhook_secret_file: /s\n  listen: 127.0.0.1:1\n" GITHUB CLUSTERS
		       "repositories: [{match: ann/iris, namespaces: [a, b]}, {match: ann/*}]\n");
	AUTO_BUF struct buf out = buf_make(100000);
	static const char *const lines[] = {
		"\nserver.webhook_secret_file: /s  # k.yaml:2\n",
		"\nserver.webhook_secret_previous_file:  # not set\n",
		"\nserver.connections_max: 1024  # default\n",
		"\nstate_dir: /var/lib/kfops  # default\n",
		"\ngithub.web_url: https://github.com  # from github.api_url\n",
		"\nlimits.job_deadline: 10d  # default\n",
		"\npoll.run_doubt: 150s  # default\n",
		"\ncompile.memory: 2GiB  # default\n",
		"\nreport.notify_after: 5m  # default\n",
		"\nclusters[0].name: main  # k.yaml:5\n",
		"\nclusters[0].kfp_dashboard: false  # default\n",
		"\nrepositories[0].match: ann/iris  # k.yaml:6\n",
		"\nrepositories[0].namespaces: [a, b]  # k.yaml:6\n",
		"\nrepositories[1].namespaces:  # not set\n",
	};

	(void)state;
	config_print(config, &out);
	assert_true(str_starts(buf_text(&out), "server.listen: 127.0.0.1:1  # k.yaml:3\n"));
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (!strstr(buf_text(&out), lines[i]))
			fail_msg("no line %s in\n%s", lines[i] + 1, buf_text(&out));
	config_free(config);
}

static void test_document(void **state)
{
	AUTO_BUF struct buf out = buf_make(100000);
	static const char *const parts[] = {
		"### `server`\n\nWhere webhooks come in.\n\n| option |",
		"| `server.listen` | text | `127.0.0.1:8080` |",
		"| `server.webhook_secret_file` | secret file | required |",
		"| `limits.workers` | number, 1 to 64 | `4` |",
		"| `compile.timeout` | duration, 100ms to 1h | `2m` |",
		"| `compile.output` | size, 1KiB to 32MiB | `32MiB` |",
		"| `clusters[].kfp_url` | address | required |",
		"\n\n### `state_dir`\n\n",
	};

	(void)state;
	config_document(&out);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (!strstr(buf_text(&out), parts[i]))
			fail_msg("no %s in\n%s", parts[i], buf_text(&out));
	assert_null(strstr(buf_text(&out), "\n\n\n"));
}

static void test_example(void **state)
{
	size_t len;
	char *text = sample_read(false, "../../config/examples/kfops.yaml", &len);
	struct config *config;

	(void)state;
	assert_non_null(text);
	config = parsed(text);
	assert_int_equal(config_cluster_of_repo(config, "example-org/other"), 0);
	config_free(config);
	mem_free(text);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = {"good",  "ca",     "open",	  "empty",
					    "blank", "secret", "key.pem", "kfops.yaml"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *path = str_printf("%s/%s", folder, names[i]);

		unlink(path);
		mem_free(path);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_repositories),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_many_namespaces_are_told_in_part),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_insecure_http_is_allowed),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_key_file),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
