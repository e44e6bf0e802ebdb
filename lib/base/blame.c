/* blame.c - see blame.h.
 *
 * The handler uses nothing but write(), thread-local and atomic values, which are safe in a signal
 * handler. What was installed before (nothing, or a sanitizer) is put back and gets the signal
 * after it: an instruction that faulted is executed again when the handler returns, a signal that
 * was raised is raised again. Only the first crash is noted; a second one in mid-crash says nothing
 * new. A signal that another process sent is no fault of ours, and neither is the end of a child
 * that has not become another program yet. The note needs no fsync: the page
 * cache outlives the process, and with the power everything else is gone too. */
#include "lib/base/blame.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"

enum { STACK_BYTES = 32 << 10 };

static const int watched[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
static struct sigaction before[ARRAY_LEN(watched)];
static atomic_flag is_noted = ATOMIC_FLAG_INIT;
static int note_fd = -1;
static pid_t this_pid;
static int64_t this_process; /* constant once signals are watched, like note_fd */
static _Thread_local volatile int64_t this_job;
static _Thread_local void *this_stack;

static bool is_from_outside(const siginfo_t *info)
{
	return (info->si_code == SI_USER || info->si_code == SI_QUEUE) && info->si_pid != getpid();
}

static void on_crash(int signal, siginfo_t *info, void *context)
{
	struct blame note = {this_process, this_job, signal};

	(void)context;
	if (getpid() == this_pid && !is_from_outside(info) &&
	    !atomic_flag_test_and_set(&is_noted)) {
		ssize_t written = write(note_fd, &note, sizeof note);

		(void)written; /* without a note nobody is blamed */
	}
	for (size_t i = 0; i < ARRAY_LEN(watched); i++)
		if (watched[i] == signal)
			sigaction(signal, &before[i], NULL);
	if (info->si_code <= 0)
		raise(signal);
}

bool blame_read(const char *path, struct blame *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got = fd < 0 ? -1 : read(fd, out, sizeof *out);

	if (fd >= 0)
		close(fd);
	if (got == (ssize_t)sizeof *out)
		return true;
	*out = (struct blame){0};
	return false;
}

enum err_class blame_watch(const char *path, int64_t process, struct err *err)
{
	struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	must(note_fd < 0);
	note_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (note_fd < 0)
		return err_set(err, ERR_CONFIG, "cannot write %s: %s", path, strerror(errno));
	this_process = process;
	this_pid = getpid();
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(watched); i++)
		sigaction(watched[i], &action, &before[i]);
	return ERR_OK;
}

void blame_job(int64_t job)
{
	this_job = job;
}

/* A sanitizer has given the thread a stack already, which it takes back itself. */
void blame_thread_begin(void)
{
	stack_t now;

	if (sigaltstack(NULL, &now) || !(now.ss_flags & SS_DISABLE))
		return;
	this_stack = mem_new(1, STACK_BYTES);
	now = (stack_t){.ss_sp = this_stack, .ss_size = STACK_BYTES};
	sigaltstack(&now, NULL);
}

void blame_thread_end(void)
{
	stack_t none = {.ss_flags = SS_DISABLE};

	if (!this_stack)
		return;
	sigaltstack(&none, NULL);
	mem_free(this_stack);
	this_stack = NULL;
}
