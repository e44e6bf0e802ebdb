/* TLS of a fetch: verified, whoever asks. A server with a certificate of its own making is refused
 * until its certificate is the one that is trusted, and then only under the name in it. */
#include "tests/unit/services/repo_kit.h"

struct tls_server {
	pid_t child;
	int port;
	char *key, *cert;
	FILE *out; /* kept open: it writes there */
};

static pid_t spawn(const char *const argv[], int *out_fd)
{
	int back[2];
	pid_t child;

	must(!pipe2(back, O_CLOEXEC));
	child = fork();
	must(child >= 0);
	if (!child) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(back[1], 1);
		dup2(null, 2);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(back[1]);
	*out_fd = back[0];
	return child;
}

static bool make_certificate(const struct tls_server *server)
{
	const char *argv[] = {"openssl",       "req",	    "-x509",
			      "-newkey",       "rsa:2048",  "-nodes",
			      "-days",	       "2",	    "-subj",
			      "/CN=localhost", "-addext",   "subjectAltName=DNS:localhost",
			      "-keyout",       server->key, "-out",
			      server->cert,    NULL};
	int fd, status;
	pid_t child = spawn(argv, &fd);

	close(fd);
	waitpid(child, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool tls_start(struct tls_server *server, const struct world *world)
{
	const char *argv[] = {"openssl", "s_server", "-accept", "127.0.0.1:0", "-www",
			      "-key",	 NULL,	     "-cert",	NULL,	       NULL};
	char line[256];
	int fd;

	server->key = str_printf("%s/key.pem", world->dir);
	server->cert = str_printf("%s/cert.pem", world->dir);
	argv[6] = server->key;
	argv[8] = server->cert;
	if (!make_certificate(server))
		return false;
	server->child = spawn(argv, &fd);
	server->out = fdopen(fd, "r");
	must(server->out);
	while (!server->port && fgets(line, sizeof line, server->out))
		(void)sscanf(line, "ACCEPT 127.0.0.1:%d", &server->port);
	return server->port > 0;
}

static void test_certificates(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);
	struct tls_server server = {0};
	char *wrong_name;

	(void)state;
	if (!tls_start(&server, world)) {
		print_message("skipped: no openssl program\n");
		skip();
	}
	mem_free(world->url);
	world->url = str_printf("https://localhost:%d/o.git", server.port);
	wrong_name = str_printf("https://127.0.0.1:%d/o.git", server.port);

	assert_refused(world, checkout_ref(world, PULL, sha, "good-token"), ERR_CONFIG, "repo.tls");
	assert_null(strstr(world->err.msg, "good-token"));

	/* Trusted now: the handshake works, and what answers is not git. */
	world->limits.ca_file = server.cert;
	world_reopen(world);
	assert_int_equal(checkout(world, sha), ERR_TRANSIENT);
	assert_null(strstr(world->err.msg, "certificate"));

	mem_free(world->url);
	world->url = wrong_name;
	assert_refused(world, checkout(world, sha), ERR_CONFIG, "repo.tls");

	kill(server.child, SIGKILL);
	waitpid(server.child, NULL, 0);
	fclose(server.out);
	mem_free(server.key);
	mem_free(server.cert);
	world_stop(world);
}

static void test_plain_answer_to_tls(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);

	(void)state;
	world->server->manner = GIT_NOISE;
	mem_free(world->url);
	world->url = str_printf("https://127.0.0.1:%d/o.git", world->server->port);
	world->limits.fetch_timeout_ms = 2000;
	world_reopen(world);
	assert_int_equal(checkout(world, sha), ERR_TRANSIENT);
	world_stop(world);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_certificates),
	cmocka_unit_test(test_plain_answer_to_tls),
};

CASES_MAIN(tests, NULL, NULL)
