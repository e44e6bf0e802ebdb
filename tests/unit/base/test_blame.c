/* Who a crash is noted for: played in child processes, which end as a daemon would. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/blame.h"
#include "lib/base/mem.h"
#include "tests/unit/cases.h"

enum { PROCESS = 17, JOB = 4711 };

static char path[] = "/tmp/kfops-blame-XXXXXX";

static void crash_by_memory(void)
{
	volatile uintptr_t nowhere = 64;

	*(volatile int *)nowhere = 0;
}

static void crash_by_must(void)
{
	volatile bool holds = false;

	must(holds);
}

static void crash_by_bus(void)
{
	raise(SIGBUS);
}

static void crash_by_fpe(void)
{
	raise(SIGFPE);
}

static void crash_by_ill(void)
{
	raise(SIGILL);
}

static void killed(void)
{
	kill(getpid(), SIGKILL);
}

static void exits(void)
{
	_exit(75);
}

/* Somebody else's signal, as `kill -SEGV` sends it. */
static void signalled_from_outside(void)
{
	pid_t victim = getpid(), pid = fork();

	if (!pid)
		_exit(kill(victim, SIGSEGV));
	for (;;)
		pause();
}

/* A child of the daemon that crashes before it is another program. */
static void crash_of_a_child(void)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		crash_by_memory();
	waitpid(pid, &status, 0);
	_exit(75);
}

static void *other_thread(void *arg)
{
	(void)arg;
	crash_by_memory();
	return NULL;
}

/* The job is that of the thread which crashes; this one works on none. */
static void crash_elsewhere(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, other_thread, NULL);
	pthread_join(thread, NULL);
}

__attribute__((noinline)) static int dig(volatile char *above)
{
	volatile char here[4096];

	here[0] = above ? *above : 'x';
	return here[0] ? dig(here) + here[0] : 0;
}

static void overflow(void)
{
	dig(NULL);
}

static const struct {
	const char *name;
	void (*end)(void);
	int64_t signal, job;
} ends[] = {
	{"a wrong address", crash_by_memory, SIGSEGV, JOB},
	{"an assumption that is broken", crash_by_must, SIGABRT, JOB},
	{"a bus error", crash_by_bus, SIGBUS, JOB},
	{"a division", crash_by_fpe, SIGFPE, JOB},
	{"a wrong instruction", crash_by_ill, SIGILL, JOB},
	{"an overflow of the stack", overflow, SIGSEGV, JOB},
	{"a thread without a job", crash_elsewhere, SIGSEGV, 0},
	{"kill -9", killed, 0, 0},
	{"an exit", exits, 0, 0},
	{"a signal from outside", signalled_from_outside, 0, 0},
	{"a crash of a child", crash_of_a_child, 0, 0},
};

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

static void play(void **state)
{
	size_t i = (size_t)(uintptr_t)*state;
	struct blame note = {.job = -1};
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		struct err err;

		for (size_t s = 0; s < ARRAY_LEN(signals); s++)
			signal(signals[s], SIG_DFL); /* cmocka would go on in the child */
		if (blame_watch(path, PROCESS, &err))
			_exit(0);
		blame_thread_begin();
		blame_job(1);
		blame_job(JOB);
		ends[i].end();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(blame_read(path, &note), ends[i].signal != 0);
	assert_int_equal(note.signal, ends[i].signal);
	assert_int_equal(note.job, ends[i].job);
	assert_int_equal(note.process, ends[i].signal ? PROCESS : 0);
}

static void nothing_to_read(void **state)
{
	struct blame note = {.job = -1};
	struct err err;

	(void)state;
	assert_false(blame_read("/nonexistent/note", &note));
	assert_int_equal(note.job, 0);
	assert_int_equal(blame_watch("/nonexistent/note", PROCESS, &err), ERR_CONFIG);
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[ARRAY_LEN(ends) + 1];
	int fd = mkstemp(path), failed;

	must(fd >= 0);
	close(fd);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		tests[i] = (struct CMUnitTest){.name = ends[i].name,
					       .test_func = play,
					       .initial_state = (void *)(uintptr_t)i};
	tests[ARRAY_LEN(ends)] = (struct CMUnitTest)cmocka_unit_test(nothing_to_read);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	failed = cmocka_run_group_tests_name("blame", tests, NULL, NULL);
	unlink(path);
	return failed;
}
