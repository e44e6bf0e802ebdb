/* Kubeconfig files and service accounts: what is taken, what is refused and where. */
#include "tests/unit/services/kube_kit.h"

#define CA_DATA	 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="
#define CA	 "-----BEGIN CERTIFICATE-----\n"
#define CLUSTER	 "clusters:\n- name: k\n  cluster: {server: \"https://k8s.example.com:6443/p/\"}\n"
#define CONTEXT	 "contexts: [{name: c, context: {cluster: k, user: u}}]\ncurrent-context: c\n"
#define USER	 "users: [{name: u, user: {token: s3cret}}]\n"
#define WITH(cl) "clusters:\n- name: k\n  cluster:\n" cl CONTEXT USER
#define AS(us)	 CLUSTER CONTEXT "users:\n- name: u\n  user:\n" us
#define EXEC(ex)                                                                                   \
	AS("    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: "         \
	   "aws\n" ex)

static const struct {
	const char *name, *text, *says;
} refused[] = {
	{"not YAML", "a: [", "line 2, column 1:"},
	{"empty", "", "not one kubeconfig"},
	{"two documents", CLUSTER CONTEXT USER "---\na: 1\n", "not one kubeconfig"},
	{"a list", "- a\n", "not one kubeconfig"},
	{"no context", CLUSTER USER, "line 1, column 1: there is no current-context"},
	{"unknown context", CLUSTER CONTEXT "x: 1\n", "there is no user named u"},
	{"misspelt user", CLUSTER CONTEXT "users: [{name: v, user: {}}]\n",
	 "line 4, column 50: there is no user named u (did you mean v?)"},
	{"doubled name",
	 CLUSTER CONTEXT "users: [{name: u, user: {a: 1}}, {name: u, user: {a: 1}}]\n",
	 "two users named u"},
	{"user without content", CLUSTER CONTEXT "users: [{name: u}]\n", "u has no user"},
	{"name is a list", CLUSTER CONTEXT "users: [{name: [u]}]\n", "name must be text"},
	{"no server", WITH("    a: 1\n"), "line 4, column 5: the cluster has no server"},
	{"server without scheme", WITH("    server: k8s.example.com\n"),
	 "line 4, column 13: server must be https://"},
	{"other scheme", WITH("    server: file:///etc/passwd\n"), "must be https://"},
	{"user in server", WITH("    server: https://u:p@k8s\n"), "must be https://"},
	{"query", WITH("    server: https://k8s/?a\n"), "must be https://"},
	{"line break", WITH("    server: \"https://k8s/\\r\\nX: 1\"\n"), "must be https://"},
	{"no host", WITH("    server: https:///x\n"), "must be https://"},
	{"open bracket", WITH("    server: \"https://[::1\"\n"), "must be https://"},
	{"port", WITH("    server: https://k8s:0\n"), "must be https://"},
	{"port", WITH("    server: https://k8s:65536\n"), "must be https://"},
	{"port", WITH("    server: https://k8s:1x\n"), "must be https://"},
	{"plain http", WITH("    server: http://k8s:8080\n"),
	 "plain http, which would show the credentials"},
	{"loopback in the name only", WITH("    server: http://127.0.0.1.example.com\n"),
	 "plain http"},
	{"unverified", WITH("    server: https://k8s\n    insecure-skip-tls-verify: true\n"),
	 "line 5, column 31: insecure-skip-tls-verify would let anybody"},
	{"unverified or not", WITH("    server: https://k8s\n    insecure-skip-tls-verify: yes\n"),
	 "must be true or false"},
	{"proxy", WITH("    server: https://k8s\n    proxy-url: http://proxy:3128\n"),
	 "line 5, column 16: proxy-url: is not supported"},
	{"name of the certificate", WITH("    server: https://k8s\n    tls-server-name: \"a/b\"\n"),
	 "tls-server-name must be"},
	{"authority", WITH("    server: https://k8s\n    certificate-authority-data: \"%\"\n"),
	 "line 5, column 33: certificate-authority-data is not base64"},
	{"authority is no PEM",
	 WITH("    server: https://k8s\n    certificate-authority-data: Zm9v\n"),
	 "is not a PEM text"},
	{"authority with a NUL",
	 WITH("    server: https://k8s\n    certificate-authority-data: "
	      "LS0tLS1CRUdJTiAALS0=\n"),
	 "is not a PEM text"},
	{"auth-provider", AS("    auth-provider: {name: gcp}\n"), "gke-gcloud-auth-plugin"},
	{"password", AS("    username: a\n    password: s3cret\n"), "line 9, column 15: username"},
	{"impersonation", AS("    token: s3cret\n    as: system:admin\n"),
	 "line 10, column 9: as:"},
	{"groups", AS("    token: s3cret\n    as-groups: [system:masters]\n"), "as-groups"},
	{"certificate alone", AS("    client-certificate: a.pem\n"), "needed together"},
	{"key alone", AS("    client-key-data: " CA_DATA "\n"), "needed together"},
	{"old plugin",
	 AS("    exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: aws}\n"),
	 "exec.apiVersion must be"},
	{"plugin without command", AS("    exec: {apiVersion: client.authentication.k8s.io/v1}\n"),
	 "exec has no command"},
	{"plugin that asks", EXEC("      interactiveMode: Always\n"), "nobody sits"},
	{"plugin's arguments", EXEC("      args: {a: b}\n"), "must be lists"},
	{"plugin's argument", EXEC("      args: [[a]]\n"), "args must be texts"},
	{"plugin's environment", EXEC("      env: [{value: a}]\n"), "list of name and value"},
	{"plugin's variable", EXEC("      env: [{name: a=b, value: a}]\n"),
	 "list of name and value"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct kube_access access;
		struct err err = {0};

		print_message("  %s\n", refused[i].name);
		assert_int_equal(kube_config_parse(&access, refused[i].text,
						   strlen(refused[i].text), "/e/config", NULL,
						   &err),
				 ERR_CONFIG);
		assert_string_equal(err.code, "kube.config");
		assert_true(str_starts(err.msg, "/e/config: line "));
		expect_says(&err, refused[i].says);
		assert_null(strstr(err.msg, "s3cret"));
		kube_access_dispose(&access);
	}
}

static const struct {
	const char *name, *text;
	struct kube_access want;
} taken[] = {
	{"token",
	 CLUSTER CONTEXT USER,
	 {.url = (char *)"https://k8s.example.com:6443/p",
	  .token = (char *)"s3cret",
	  .holds_secret = true}},
	{"what we do not know",
	 "preferences: {colors: true}\nextensions: []\n" CLUSTER CONTEXT USER,
	 {.url = (char *)"https://k8s.example.com:6443/p",
	  .token = (char *)"s3cret",
	  .holds_secret = true}},
	{"null",
	 AS("    token: null\n    username: ~\n    as: \"\"\n    tokenFile: t\n"),
	 {.url = (char *)"https://k8s.example.com:6443/p", .token_file = (char *)"/e/t"}},
	{"http to this machine",
	 WITH("    server: http://127.0.0.1:8001\n"),
	 {.url = (char *)"http://127.0.0.1:8001",
	  .token = (char *)"s3cret",
	  .holds_secret = true,
	  .reach = HTTP_REACH_LOOPBACK}},
	{"unverified to this machine",
	 WITH("    server: https://[::1]:6443\n    insecure-skip-tls-verify: true\n"),
	 {.url = (char *)"https://[::1]:6443",
	  .token = (char *)"s3cret",
	  .holds_secret = true,
	  .unverified = true,
	  .reach = HTTP_REACH_LOOPBACK}},
	{"another name in the certificate",
	 WITH("    server: https://[fd00::5]/p\n    tls-server-name: kubernetes.default\n"),
	 {.url = (char *)"https://kubernetes.default:443/p",
	  .connect_to = (char *)"[fd00::5]:443",
	  .host_header = (char *)"[fd00::5]",
	  .token = (char *)"s3cret",
	  .holds_secret = true}},
	{"data before file, file before token",
	 "clusters: [{name: k, cluster: {server: \"https://k\", certificate-authority: ca.pem, "
	 "certificate-authority-data: " CA_DATA "}}]\n" CONTEXT
	 "users: [{name: u, user: {token: a, tokenFile: /run/t, client-certificate: ../c.pem, "
	 "client-key: k.pem}}]\n",
	 {.url = (char *)"https://k",
	  .ca = (char *)CA,
	  .token_file = (char *)"/run/t",
	  .cert_file = (char *)"/e/../c.pem",
	  .key_file = (char *)"/e/k.pem"}},
};

static void same(const char *a, const char *b)
{
	if (!str_eq(a, b))
		fail_msg("\"%s\" is not \"%s\"", a ? a : "(null)", b ? b : "(null)");
}

static void test_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
		const struct kube_access *want = &taken[i].want;
		struct kube_access got;
		struct err err = {0};

		print_message("  %s\n", taken[i].name);
		if (kube_config_parse(&got, taken[i].text, strlen(taken[i].text), "/e/config", NULL,
				      &err))
			fail_msg("%s", err.msg);
		same(got.url, want->url);
		same(got.connect_to, want->connect_to);
		same(got.host_header, want->host_header);
		same(got.ca, want->ca);
		same(got.token, want->token);
		same(got.ca_file, want->ca_file);
		same(got.cert_file, want->cert_file);
		same(got.key_file, want->key_file);
		same(got.token_file, want->token_file);
		same(got.ns, "");
		assert_int_equal(got.holds_secret, want->holds_secret);
		assert_int_equal(got.unverified, want->unverified);
		assert_int_equal(got.reach, want->reach);
		kube_access_dispose(&got);
	}
}

static void test_sample(void **state)
{
	size_t len = 0;
	char *text = sample_read(true, "samples/k8s/kubeconfig_variants.yaml", &len);
	struct kube_access access;
	struct err err = {0};

	(void)state;
	if (!text) {
		print_message("skipped: no shared samples\n");
		return;
	}
	assert_int_equal(kube_config_parse(&access, text, len, "/e/config", "token", &err), ERR_OK);
	same(access.url, "https://kubernetes.default:6443/prefix");
	same(access.connect_to, "k8s.example.com:6443");
	same(access.host_header, "k8s.example.com:6443");
	same(access.ca, CA);
	same(access.token_file, "/var/run/token");
	same(access.token, NULL);
	same(access.ns, "ml-team");
	kube_access_dispose(&access);
	assert_int_equal(kube_config_parse(&access, text, len, "/e/config", "certs", &err), ERR_OK);
	assert_true(access.unverified && access.reach == HTTP_REACH_LOOPBACK);
	same(access.cert_file, "/e/certs/client.crt");
	assert_true(str_starts(access.key, "-----BEGIN PRIVATE KEY-----"));
	kube_access_dispose(&access);
	assert_int_equal(kube_config_parse(&access, text, len, "/e/config", NULL, &err), ERR_OK);
	same(access.exec->command, "aws");
	same(access.exec->args[3], "prod");
	same(access.exec->args[4], NULL);
	same(access.exec->env[0], "AWS_PROFILE=mlbot");
	kube_access_dispose(&access);
	assert_int_equal(kube_config_parse(&access, text, len, "/e/config", "toke", &err),
			 ERR_CONFIG);
	expect_says(&err, "no context named toke (did you mean token?)");
	kube_access_dispose(&access);
	mem_free(text);
}

/* --- files --- */

static void expect_read(const char *dir, const char *config, mode_t mode, enum err_class want,
			const char *says)
{
	AUTO_FREE char *path = str_printf("%s/config", dir);
	struct kube_options options = {.kubeconfig = path};
	struct err err = {0};
	struct kube *kube;

	kit_write(dir, "config", config, mode);
	assert_int_equal(kube_new(&kube, &options, &err), want);
	expect_says(&err, says);
	assert_null(strstr(err.msg, "s3cret"));
	kube_free(kube);
}

static void test_files(void **state)
{
	static const char names_token[] = AS("    tokenFile: token\n");
	char *dir = kit_dir();
	AUTO_FREE char *large = mem_new(KUBE_FILE_MAX + 2, 1);

	(void)state;
	expect_read(dir, CLUSTER CONTEXT USER, 0600, ERR_OK, NULL);
	expect_read(dir, CLUSTER CONTEXT USER, 0640, ERR_OK, NULL);
	expect_read(dir, CLUSTER CONTEXT USER, 0644, ERR_CONFIG,
		    "config holds a credential and can be read by everybody; run: chmod o-r");
	expect_read(dir, names_token, 0644, ERR_CONFIG, "token cannot be read: No such file");
	kit_write(dir, "token", "s3cret\r\n", 0600);
	expect_read(dir, names_token, 0644, ERR_OK, NULL);
	kit_write(dir, "token", "s3cret", 0604);
	expect_read(dir, names_token, 0644, ERR_CONFIG, "token holds a credential");
	kit_write(dir, "token", "s3cret\nX-Evil: 1", 0600);
	expect_read(dir, names_token, 0644, ERR_CONFIG, "blanks or control characters");
	kit_write(dir, "token", "\n", 0600);
	expect_read(dir, names_token, 0644, ERR_CONFIG, "token is empty");
	expect_read(dir, AS("    tokenFile: /dev/zero\n"), 0600, ERR_CONFIG, "not a regular file");
	memset(large, 'a', KUBE_FILE_MAX + 1);
	kit_write(dir, "token", large, 0600);
	expect_read(dir, names_token, 0600, ERR_CONFIG, "larger than 1048576 bytes");
	kit_write(dir, "ca.pem", CA, 0644);
	expect_read(dir, WITH("    server: https://k\n    certificate-authority: ca.pem\n"), 0600,
		    ERR_OK, NULL);
	expect_read(dir, WITH("    server: https://k\n    certificate-authority: x.pem\n"), 0600,
		    ERR_CONFIG, "x.pem cannot be read");
	kit_remove_dir(dir);
}

static void test_service_account(void **state)
{
	char *dir = kit_dir(), *ns;
	struct kube_options options = {.account_dir = dir};
	struct err err = {0};
	struct kube *kube;

	(void)state;
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(kube_new(&kube, &options, &err), ERR_CONFIG);
	expect_says(&err, "does not run in a pod");
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_equal(kube_new(&kube, &options, &err), ERR_CONFIG);
	expect_says(&err, "token cannot be read");
	/* As the kubelet writes it: readable by everybody, which in a pod is only us. */
	kit_write(dir, "token", "s3cret", 0644);
	kit_write(dir, "ca.crt", CA, 0644);
	assert_int_equal(kube_new(&kube, &options, &err), ERR_OK);
	same(kube->access.url, "https://[fd00::1]:443");
	same(kube->access.ca, CA);
	same(kube->access.token, "s3cret");
	ns = kube_namespace(kube);
	same(ns, "");
	mem_free(ns);
	kube_free(kube);
	kit_write(dir, "namespace", "kfops\n", 0644);
	assert_int_equal(kube_new(&kube, &options, &err), ERR_OK);
	ns = kube_namespace(kube);
	same(ns, "kfops");
	mem_free(ns);
	kube_free(kube);
	setenv("KUBERNETES_SERVICE_PORT", "tcp://10.0.0.1:443", 1);
	assert_int_equal(kube_new(&kube, &options, &err), ERR_CONFIG);
	expect_says(&err, "are no address");
	unsetenv("KUBERNETES_SERVICE_HOST");
	kit_remove_dir(dir);
}

/* --- plugins --- */

#define CREDENTIAL(status)                                                                         \
	"{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\","         \
	"\"status\":" status "}"

static const struct {
	const char *name, *answer;
	enum err_class class;
	const char *says;
} answers[] = {
	{"token", CREDENTIAL("{\"token\":\"s3cret\"}"), ERR_OK, NULL},
	{"certificate", CREDENTIAL("{\"clientCertificateData\":\"a\",\"clientKeyData\":\"b\"}"),
	 ERR_OK, NULL},
	{"key is missing", CREDENTIAL("{\"clientCertificateData\":\"a\"}"), ERR_CONFIG, "together"},
	{"nothing in it", CREDENTIAL("{\"token\":\"\"}"), ERR_CONFIG, "neither"},
	{"no status",
	 "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\"}",
	 ERR_CONFIG, "neither"},
	{"another version",
	 "{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"kind\":\"ExecCredential\","
	 "\"status\":{\"token\":\"s3cret\"}}",
	 ERR_CONFIG, "apiVersion"},
	{"another kind", "{\"kind\":\"Secret\"}", ERR_CONFIG, "kind"},
	{"a header in it", CREDENTIAL("{\"token\":\"s3cret\\r\\nX: 1\"}"), ERR_CONFIG, "control"},
	{"not JSON", "s3cret", ERR_CONFIG, "does not print JSON"},
	{"a list", "[]", ERR_CONFIG, "kind"},
	{"nothing", "", ERR_CONFIG, "does not print JSON"},
};

static void test_plugin_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct kube_credential credential;
		struct err err = {0};

		print_message("  %s\n", answers[i].name);
		assert_int_equal(kube_exec_parse(&credential, "client.authentication.k8s.io/v1",
						 answers[i].answer, strlen(answers[i].answer),
						 &err),
				 answers[i].class);
		expect_says(&err, answers[i].says);
		assert_null(strstr(err.msg, "s3cret"));
		kube_credential_dispose(&credential);
	}
}

static void test_plugin_lifetimes(void **state)
{
	static const struct {
		int64_t life_ms, early_ms;
	} lives[] = {{3600 * 1000, 300 * 1000}, {600 * 1000, 120 * 1000}, {-5000, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lives); i++) {
		char when[21];
		struct kube_credential credential;
		int64_t early_ms;
		char *text;

		clock_rfc3339(when, clock_now_ms() + lives[i].life_ms);
		text = str_printf(CREDENTIAL("{\"token\":\"t\",\"expirationTimestamp\":\"%s\"}"),
				  when);
		assert_int_equal(kube_exec_parse(&credential, "client.authentication.k8s.io/v1",
						 text, strlen(text), NULL),
				 ERR_OK);
		early_ms = credential.expires_at_ms - credential.renew_at_ms;
		assert_true(early_ms <= lives[i].early_ms &&
			    early_ms >= lives[i].early_ms * 9 / 10);
		kube_credential_dispose(&credential);
		mem_free(text);
	}
}

static const struct {
	const char *name, *script;
	int timeout_ms;
	enum err_class class;
	const char *says;
} programs[] = {
	{"arguments and environment are handed on as they are",
	 "[ \"$1\" = 'a b; $(touch /x)' ] && [ \"$HOME_OF\" = here ] && [ -n \"$PATH\" ] && "
	 "[ \"$KUBERNETES_EXEC_INFO\" = '{\"k\":1}' ] && ! read line && "
	 "echo '" CREDENTIAL("{\"token\":\"t\"}") "'",
	 0, ERR_OK, NULL},
	{"it fails", "echo s3cret; echo s3cret >&2; exit 3", 0, ERR_TRANSIENT, "exit code 3"},
	{"it is killed", "kill -9 $$", 0, ERR_TRANSIENT, "ended by signal 9"},
	{"it never ends", "exec sleep 600", 200, ERR_TRANSIENT, "did not end in time"},
	{"it leaves somebody behind", "sleep 600 & echo '" CREDENTIAL("{\"token\":\"t\"}") "'", 0,
	 ERR_OK, NULL},
	{"it prints for ever", "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done", 0,
	 ERR_CONFIG, "prints more than"},
	{"it complains for ever, but ends",
	 "head -c 1000000 /dev/zero >&2; echo '" CREDENTIAL("{\"token\":\"t\"}") "'", 0, ERR_OK,
	 NULL},
};

static void test_plugin_programs(void **state)
{
	char *dir = kit_dir(), *path = str_printf("%s/plugin", dir);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		struct kube_exec exec = {
			.command = path,
			.args = {(char *)"a b; $(touch /x)"},
			.env = {(char *)"HOME_OF=here"},
			.api_version = (char *)"client.authentication.k8s.io/v1",
			.info = (char *)"{\"k\":1}",
			.timeout_ms = programs[i].timeout_ms,
		};
		AUTO_FREE char *text = str_printf("#!/bin/sh\n%s\n", programs[i].script);
		struct kube_credential credential;
		struct err err = {0};

		print_message("  %s\n", programs[i].name);
		setenv("HOME_OF", "elsewhere", 1);
		setenv("KUBERNETES_EXEC_INFO", "of somebody else", 1);
		kit_write(dir, "plugin", text, 0700);
		if (kube_exec_run(&credential, &exec, &err) != programs[i].class)
			fail_msg("%s", err.msg);
		expect_says(&err, programs[i].says);
		assert_null(strstr(err.msg, "s3cret"));
		kube_credential_dispose(&credential);
	}
	mem_free(path);
	kit_remove_dir(dir);
}

static void test_plugin_that_is_not_there(void **state)
{
	struct kube_exec exec = {.command = (char *)"no-such-plugin",
				 .install_hint = (char *)"get it\nfrom the shop"};
	struct kube_credential credential;
	struct err err = {0};

	(void)state;
	assert_int_equal(kube_exec_run(&credential, &exec, &err), ERR_CONFIG);
	expect_says(&err, "no-such-plugin cannot be started: No such file or directory. get it "
			  "from the shop");
}

/* What a plugin is told of the cluster, when it asks for it. */
static void test_plugin_is_told(void **state)
{
	static const char told[] =
		"{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\","
		"\"spec\":{\"cluster\":{\"server\":\"https://k8s.example.com:6443/p/\"},"
		"\"interactive\":false}}";
	char *dir = kit_dir(), *path = str_printf("%s/config", dir);
	struct kube_options options = {.kubeconfig = path};
	struct kube *kube;

	(void)state;
	kit_write(dir, "config", EXEC("      provideClusterInfo: true\n"), 0600);
	assert_int_equal(kube_new(&kube, &options, NULL), ERR_OK);
	assert_string_equal(kube->access.exec->info, told);
	kube_free(kube);
	mem_free(path);
	kit_remove_dir(dir);
}

static const struct CMUnitTest kube_config_tests[] = {
	cmocka_unit_test(test_refused),
	cmocka_unit_test(test_taken),
	cmocka_unit_test(test_sample),
	cmocka_unit_test(test_files),
	cmocka_unit_test(test_service_account),
	cmocka_unit_test(test_plugin_answers),
	cmocka_unit_test(test_plugin_lifetimes),
	cmocka_unit_test(test_plugin_programs),
	cmocka_unit_test(test_plugin_that_is_not_there),
	cmocka_unit_test(test_plugin_is_told),
};

CASES_MAIN(kube_config_tests, NULL, NULL)
