/* A checkout by the program kfops-checkout: the same answers as in this process, and what happens
 * when the program is not there, breaks down, or hangs. */
#include <pthread.h>
#include <unistd.h>

#include "tests/unit/services/repo_kit.h"

/* The program as it was built with this test, one folder above. */
static void use_program(struct world *world)
{
	static char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof path - 32);

	assert_true(len > 0);
	path[len] = '\0';
	*strrchr(path, '/') = '\0';
	str_copy(strrchr(path, '/') + 1, 32, "kfops-checkout");
	world->limits.program = path;
	world_reopen(world);
}

/* A script in its place. */
static void use_script(struct world *world, const char *text)
{
	static char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/program", world->dir);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0700);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	world->limits.program = path;
	world_reopen(world);
}

static enum err_class apart(struct world *world, const char *sha)
{
	struct repo_request request = {
		.repo_id = 5, .url = world->url, .ref = PULL, .sha = sha, .dest = world->dest};

	repo_remove_tree(world->dest);
	world->err = (struct err){0};
	return repo_checkout_apart(world->store, &request, &world->tree, &world->err);
}

static void test_it_checks_out(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);

	(void)state;
	use_program(world);
	assert_int_equal(apart(world, sha), ERR_OK);
	assert_true(world->tree.fetched);
	assert_int_equal(world->tree.files, 1);
	assert_int_equal(world->tree.bytes, 2);
	assert_file(world, "a.txt", "a\n", 0644);
	assert_int_equal(apart(world, sha), ERR_OK);
	assert_false(world->tree.fetched);
	assert_file(world, "a.txt", "a\n", 0644);
	world_stop(world);
}

static void test_its_refusals_come_back(void **state)
{
	struct world *world = world_start();

	(void)state;
	PUSH_ONE(world, NULL);
	use_program(world);
	assert_refused(world, apart(world, "0123456789012345678901234567890123456789"),
		       ERR_CONFLICT, "repo.sha_not_in_ref");
	assert_non_null(strstr(world->err.msg, "012345678901"));
	assert_refused(world, apart(world, "HEAD"), ERR_USER, "repo.bad_sha");
	mem_free(world->url);
	world->url = str_dup("https://user@127.0.0.1/o.git");
	assert_refused(world, apart(world, "HEAD"), ERR_CONFIG, "repo.bad_url");
	world_stop(world);
}

static void test_a_program_that_breaks_down(void **state)
{
	static const struct {
		const char *script, *says;
		enum err_class class;
		const char *code;
	} cases[] = {
		{"#!/bin/sh\nexit 3\n", "exit code 3", ERR_TRANSIENT, "repo.ended"},
		{"#!/bin/sh\nkill -SEGV $$\n", "signal 11", ERR_TRANSIENT, "repo.ended"},
		{"#!/bin/sh\ncat >/dev/null\n", "exit code 0", ERR_TRANSIENT, "repo.ended"},
		{"#!/bin/sh\ncat >/dev/null\necho '{\"class\":' >&0\n", "exit code 0",
		 ERR_TRANSIENT, "repo.ended"},
		{"#!/bin/sh\ncat >/dev/null\necho '{\"class\":9999}' >&0\n", "", ERR_BUG, ""},
		{"#!/nonexistent/program\n", "cannot be started", ERR_CONFIG, "repo.program"},
	};
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		use_script(world, cases[i].script);
		assert_refused(world, apart(world, sha), cases[i].class, cases[i].code);
		if (!strstr(world->err.msg, cases[i].says))
			fail_msg("case %zu: %s", i, world->err.msg);
	}
	world->limits.program = NULL;
	world_reopen(world);
	assert_refused(world, apart(world, sha), ERR_CONFIG, "repo.program");
	world_stop(world);
}

static void test_what_it_left_is_removed(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);
	AUTO_FREE char *script = str_printf("#!/bin/sh\nmkdir '%s'\ntouch '%s/x'\nexit 1\n",
					    world->dest, world->dest);

	(void)state;
	use_script(world, script);
	assert_refused(world, apart(world, sha), ERR_TRANSIENT, "repo.ended");
	world_stop(world);
}

static void *abort_soon(void *arg)
{
	usleep(100000);
	repo_store_abort(arg);
	return NULL;
}

static void test_one_that_hangs_is_ended_when_the_daemon_stops(void **state)
{
	struct world *world = world_start();
	const char *sha = PUSH_ONE(world, NULL);
	int64_t began_ms = clock_mono_ms();
	pthread_t thread;

	(void)state;
	use_script(world, "#!/bin/sh\nexec sleep 60\n");
	assert_int_equal(pthread_create(&thread, NULL, abort_soon, world->store), 0);
	assert_refused(world, apart(world, sha), ERR_TRANSIENT, "");
	assert_non_null(strstr(world->err.msg, "kfops stops"));
	assert_true(clock_mono_ms() - began_ms < 20000);
	pthread_join(thread, NULL);
	world_stop(world);
}

static void test_it_is_found_beside_the_daemon(void **state)
{
	char *path = NULL;
	struct err err = {0};

	(void)state;
	/* This test is in a folder of its own, where the program is not. */
	assert_int_equal(repo_program_find(&path, &err), ERR_CONFIG);
	assert_string_equal(err.code, "repo.program");
	assert_null(path);
}

static const struct CMUnitTest repo_apart_tests[] = {
	cmocka_unit_test(test_it_checks_out),
	cmocka_unit_test(test_its_refusals_come_back),
	cmocka_unit_test(test_a_program_that_breaks_down),
	cmocka_unit_test(test_what_it_left_is_removed),
	cmocka_unit_test(test_one_that_hangs_is_ended_when_the_daemon_stops),
	cmocka_unit_test(test_it_is_found_beside_the_daemon),
};

CASES_MAIN(repo_apart_tests, NULL, NULL)
