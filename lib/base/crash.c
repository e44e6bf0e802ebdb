/* crash.c - see crash.h. Unless a signal is asked for, the process leaves through _exit(137)
 * without flushing or unlocking anything, which is what kill -9 leaves behind, except that the
 * place is exact and repeatable. */
#include "lib/base/crash.h"

#if KFOPS_FAULTS

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { CRASH_EXIT_CODE = 137, LINE_BYTES = 128, NAME_BYTES = 64 };

static atomic_long passed, passed_of_name;
static int64_t crash_at;	    /* 0: never; set before any thread, like what follows */
static char crash_name[NAME_BYTES]; /* "": every point counts */
static int log_fd = -1;
static int64_t crash_signal; /* 0: _exit */

static void read_place(const char *at)
{
	const char *colon = at ? strrchr(at, ':') : NULL, *number = colon ? colon + 1 : at;

	crash_name[0] = '\0';
	if (!at || !str_to_int64(&crash_at, number) || crash_at < 0 ||
	    (colon && colon - at >= NAME_BYTES))
		crash_at = 0;
	else if (colon)
		str_copy(crash_name, (size_t)(colon - at) + 1, at);
}

void crash_init(void)
{
	const char *log = getenv("KFOPS_CRASH_LOG");
	const char *with = getenv("KFOPS_CRASH_WITH");

	read_place(getenv("KFOPS_CRASH_AT"));
	if (!with || !str_to_int64(&crash_signal, with) || crash_signal < 0 || crash_signal > 31)
		crash_signal = 0;
	if (log_fd >= 0)
		close(log_fd);
	log_fd =
		str_is_empty(log) ? -1 : open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	atomic_store(&passed, 0);
	atomic_store(&passed_of_name, 0);
}

static void end_here(void)
{
	volatile uintptr_t nowhere = 64;

	if (crash_signal == SIGSEGV)
		*(volatile int *)nowhere = 0;
	if (crash_signal)
		raise((int)crash_signal);
	_exit(CRASH_EXIT_CODE);
}

void crash_point(const char *name)
{
	long n;

	if (!crash_at && log_fd < 0)
		return;
	n = atomic_fetch_add(&passed, 1) + 1;
	if (log_fd >= 0) {
		char line[LINE_BYTES];
		int len = snprintf(line, sizeof line, "%ld %s\n", n, name);
		ssize_t written;

		if (len >= (int)sizeof line)
			len = (int)sizeof line - 1;
		written = write(log_fd, line, (size_t)len);
		(void)written; /* a test that finds no list fails by itself */
	}
	if (crash_name[0])
		n = str_eq(name, crash_name) ? atomic_fetch_add(&passed_of_name, 1) + 1 : 0;
	if (crash_at && n == crash_at)
		end_here();
}

#else

void crash_init(void)
{
}

#endif
