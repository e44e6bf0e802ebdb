/* HTTP out over TLS, with the openssl program as the far side: whom we believe, whom we do not. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/http.h"
#include "tests/unit/cases.h"
#include "tests/unit/scripted_server.h"

static const struct http_options plain_options = {.user_agent = "kfops/test", .allow_http = true};

static pid_t run_openssl(const char *const *argv, int *out_fd)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(open("/dev/null", O_RDWR), STDERR_FILENO);
		execvp("openssl", (char *const *)argv);
		_exit(127);
	}
	close(fds[1]);
	*out_fd = fds[0];
	return pid;
}

/* s_server prints "ACCEPT 127.0.0.1:PORT" when it is ready. */
static int port_of(int fd)
{
	char text[1024] = "";
	size_t len = 0;
	int port = 0;

	while (len < sizeof text - 1) {
		const char *line = strstr(text, "ACCEPT ");
		ssize_t n;

		if (line && strchr(line, '\n'))
			return sscanf(line, "ACCEPT 127.0.0.1:%d", &port) == 1 ? port : 0;
		n = read(fd, text + len, sizeof text - 1 - len);
		if (n <= 0)
			return 0;
		len += (size_t)n;
		text[len] = '\0';
	}
	return 0;
}

static void expect_tls_with(const struct http_options *options, int port, const char *host,
			    enum err_class want, const char *says)
{
	struct http *http = http_new(options);
	AUTO_RESPONSE struct http_response response;
	AUTO_FREE char *url = str_printf("https://%s:%d/", host, port);
	struct http_request request = {.method = "GET", .url = url, .timeout_ms = 5000};
	struct err err = {0};

	assert_int_equal(http_do(http, &request, &response, &err), want);
	if (says && !strstr(err.msg, says))
		fail_msg("\"%s\"", err.msg);
	http_free(http);
}

static void expect_tls(int port, const char *host, const char *ca_file, enum err_class want,
		       const char *says)
{
	struct http_options options = {.ca_file = ca_file};

	expect_tls_with(&options, port, host, want, says);
}

/* A folder of hashed certificates vouches like a file; a name that only looks hashed does not. */
static void expect_tls_by_folder(int port, const char *above, const char *cert)
{
	AUTO_FREE char *dir = str_printf("%s/hashed", above), *copy = str_printf("%s/c.pem", dir);
	const char *rehash[] = {"openssl", "rehash", dir, NULL};
	struct http_options options = {.ca_dir = dir};
	struct dirent *entry;
	int fd, status;
	pid_t pid;
	DIR *list;

	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(link(cert, copy), 0);
	expect_tls_with(&options, port, "127.0.0.1", ERR_CONFIG, "certificate");
	pid = run_openssl(rehash, &fd);
	waitpid(pid, &status, 0);
	close(fd);
	assert_int_equal(status, 0);
	expect_tls_with(&options, port, "127.0.0.1", ERR_OK, NULL);
	expect_tls_with(&options, port, "localhost", ERR_CONFIG, "localhost");
	list = opendir(dir);
	while ((entry = readdir(list)))
		if (entry->d_name[0] != '.')
			assert_int_equal(unlinkat(dirfd(list), entry->d_name, 0), 0);
	assert_int_equal(symlinkat("/dev/null", dirfd(list), "0123abcd.0"), 0);
	expect_tls_with(&options, port, "127.0.0.1", ERR_CONFIG, "certificate");
	assert_int_equal(unlinkat(dirfd(list), "0123abcd.0", 0), 0);
	closedir(list);
	assert_int_equal(rmdir(dir), 0);
}

static char *read_text(const char *path)
{
	AUTO_BUF struct buf text = buf_make(1 << 16);
	FILE *file = fopen(path, "re");
	char chunk[4096];

	assert_non_null(file);
	for (size_t got; (got = fread(chunk, 1, sizeof chunk, file)) > 0;)
		buf_add(&text, chunk, got);
	fclose(file);
	return buf_take(&text);
}

static enum err_class ask_with(struct http *http, int port, const char *host,
			       const struct http_tls *tls)
{
	AUTO_RESPONSE struct http_response response;
	AUTO_FREE char *url = str_printf("https://%s:%d/", host, port);
	AUTO_FREE char *there = str_printf("127.0.0.1:%d", port);
	struct http_request request = {.method = "GET", .url = url, .timeout_ms = 5000, .tls = tls};

	if (str_eq(host, "kubernetes.default"))
		request.connect_to = there;
	return http_do(http, &request, &response, NULL);
}

/* What one request trusts says nothing about the next, on the same client. */
static void expect_tls_in_memory(int port, const char *cert_file)
{
	static const char other[] =
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	AUTO_FREE char *ca = read_text(cert_file);
	struct http_tls trusting = {.ca = ca}, wrong = {.ca = other}, open = {.unverified = true};
	struct http *http = http_new(&(struct http_options){.user_agent = "kfops/test"});

	assert_int_equal(ask_with(http, port, "127.0.0.1", &trusting), ERR_OK);
	assert_int_equal(ask_with(http, port, "127.0.0.1", NULL), ERR_CONFIG);
	assert_int_equal(ask_with(http, port, "127.0.0.1", &wrong), ERR_CONFIG);
	assert_int_equal(ask_with(http, port, "localhost", &trusting), ERR_CONFIG);
	assert_int_equal(ask_with(http, port, "kubernetes.default", &trusting), ERR_OK);
	assert_int_equal(ask_with(http, port, "localhost", &open), ERR_OK);
	assert_int_equal(ask_with(http, port, "localhost", &trusting), ERR_CONFIG);
	http_free(http);
}

/* The far side wants to see a certificate of ours. */
static void expect_client_certificate(const char *cert_file, const char *key_file)
{
	const char *serve[] = {"openssl", "s_server",
			       "-accept", "127.0.0.1:0",
			       "-cert",	  cert_file,
			       "-key",	  key_file,
			       "-www",	  "-Verify",
			       "1",	  "-CAfile",
			       cert_file, "-verify_return_error",
			       NULL};
	AUTO_FREE char *cert = read_text(cert_file), *key = read_text(key_file);
	struct http_tls with = {.ca = cert, .cert = cert, .key = key}, without = {.ca = cert};
	struct http_tls broken = {.ca = cert, .cert = cert, .key = cert};
	struct http *http = http_new(&(struct http_options){.user_agent = "kfops/test"});
	int fd, port, status;
	pid_t pid = run_openssl(serve, &fd);

	port = port_of(fd);
	assert_true(port > 0);
	assert_int_equal(ask_with(http, port, "127.0.0.1", &with), ERR_OK);
	assert_true(ask_with(http, port, "127.0.0.1", &without) != ERR_OK);
	assert_int_equal(ask_with(http, port, "127.0.0.1", &broken), ERR_CONFIG);
	http_free(http);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(fd);
}

static void test_tls_is_verified(void **state)
{
	char dir[] = "/tmp/kfops-tls-XXXXXX", cert[64], key[64];
	const char *make[] = {"openssl",  "req",
			      "-x509",	  "-newkey",
			      "rsa:2048", "-nodes",
			      "-days",	  "2",
			      "-subj",	  "/CN=kfops test",
			      "-addext",  "subjectAltName=IP:127.0.0.1,DNS:kubernetes.default",
			      "-keyout",  key,
			      "-out",	  cert,
			      NULL};
	const char *serve[] = {"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
			       cert,	  "-key",     key,	 "-www",	NULL};
	int fd, status, port;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(cert, sizeof cert, "%s/cert.pem", dir);
	snprintf(key, sizeof key, "%s/key.pem", dir);
	pid = run_openssl(make, &fd);
	waitpid(pid, &status, 0);
	close(fd);
	if (status) {
		rmdir(dir);
		print_message("skipped: no openssl program\n");
		return;
	}
	pid = run_openssl(serve, &fd);
	port = port_of(fd);
	assert_true(port > 0);
	expect_tls(port, "127.0.0.1", cert, ERR_OK, NULL);
	expect_tls(port, "127.0.0.1", NULL, ERR_CONFIG, "certificate");
	expect_tls(port, "localhost", cert, ERR_CONFIG, "localhost");
	expect_tls(port, "127.0.0.1", "/nonexistent.pem", ERR_CONFIG, NULL);
	expect_tls_by_folder(port, dir, cert);
	expect_tls_in_memory(port, cert);
	expect_client_certificate(cert, key);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(fd);
	unlink(cert);
	unlink(key);
	rmdir(dir);
}

static void test_plain_text_on_a_tls_address(void **state)
{
	static const struct scripted_answer script[] = {{.expect = "GET", .status = 200}};
	struct scripted_server *server = scripted_start(script, ARRAY_LEN(script));
	struct http *http = http_new(&plain_options);
	AUTO_FREE char *url = str_printf("https://127.0.0.1:%d/", server->port);
	struct http_request request = {.method = "GET", .url = url, .timeout_ms = 1000};
	AUTO_RESPONSE struct http_response response;
	struct err err = {0};

	(void)state;
	assert_true(http_do(http, &request, &response, &err) != ERR_OK);
	assert_false(err.in_doubt);
	http_free(http);
	scripted_stop(server);
}

static int global_init(void **state)
{
	(void)state;
	http_global_init();
	return 0;
}

static const struct CMUnitTest tls_tests[] = {
	cmocka_unit_test(test_tls_is_verified),
	cmocka_unit_test(test_plain_text_on_a_tls_address),
};

CASES_MAIN(tls_tests, global_init, NULL)
