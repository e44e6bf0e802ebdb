/* Crash points end the process at the place asked for, and nowhere else. */
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/crash.h"
#include "lib/base/mem.h"
#include "tests/unit/cases.h"

#if KFOPS_FAULTS

/* Passes five points in a child process; its exit code. */
static int run_child(const char *at, const char *log)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		if (at)
			setenv("KFOPS_CRASH_AT", at, 1);
		else
			unsetenv("KFOPS_CRASH_AT");
		setenv("KFOPS_CRASH_LOG", log, 1);
		crash_init();
		CRASH_POINT("store.before_commit");
		CRASH_POINT("store.after_commit");
		CRASH_POINT("github.before_write");
		CRASH_POINT("github.after_write");
		CRASH_POINT("last");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static const struct {
	const char *name, *at;
	int want;
	const char *log;
} runs[] = {
	{"no crash asked for", NULL, 0,
	 "1 store.before_commit\n2 store.after_commit\n3 github.before_write\n"
	 "4 github.after_write\n5 last\n"},
	{"the first", "1", 137, "1 store.before_commit\n"},
	{"the third", "3", 137,
	 "1 store.before_commit\n2 store.after_commit\n3 github.before_write\n"},
	{"past the end", "6", 0,
	 "1 store.before_commit\n2 store.after_commit\n3 github.before_write\n"
	 "4 github.after_write\n5 last\n"},
	{"nonsense", "third", 0,
	 "1 store.before_commit\n2 store.after_commit\n3 github.before_write\n"
	 "4 github.after_write\n5 last\n"},
	{"the first of a name", "github.before_write:1", 137,
	 "1 store.before_commit\n2 store.after_commit\n3 github.before_write\n"},
	{"the second of a name that comes once", "github.before_write:2", 0,
	 "1 store.before_commit\n2 store.after_commit\n3 github.before_write\n"
	 "4 github.after_write\n5 last\n"},
	{"a name that is the beginning of one", "github:1", 0,
	 "1 store.before_commit\n2 store.after_commit\n3 github.before_write\n"
	 "4 github.after_write\n5 last\n"},
};

static void test_points(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		char path[] = "/tmp/kfops-crash-XXXXXX", text[4096];
		int fd = mkstemp(path);
		ssize_t n;

		print_message("%s\n", runs[i].name);
		assert_true(fd >= 0);
		assert_int_equal(run_child(runs[i].at, path), runs[i].want);
		n = read(fd, text, sizeof text - 1);
		text[n > 0 ? n : 0] = '\0';
		assert_string_equal(text, runs[i].log);
		close(fd);
		unlink(path);
	}
}

#else

static void test_points(void **state)
{
	(void)state;
	crash_init();
	CRASH_POINT("nothing happens");
}

#endif

static const struct CMUnitTest crash_tests[] = {
	cmocka_unit_test(test_points),
};

CASES_MAIN(crash_tests, NULL, NULL)
