/* sandbox.c - the child process: started, listened to, ended.
 *
 * Three pipes end in the child: nothing on stdin, stdout and stderr together as the log, descriptor
 * 3 for the result. The calling thread polls the two until both are closed and the child is gone,
 * or until the time-out, or until more comes than allowed; then the whole group is killed. Killing
 * bubblewrap is enough for the rest: its inner half is the first process of the namespace and dies
 * with it, and with the first process the kernel ends all others, whatever signals they ignore.
 *
 * Of the log only the end is kept, because that is where a traceback is. The memory of all its
 * processes together is limited by a cgroup where we were given one, and looked at in any case; the
 * child asks to be chosen first when memory of the machine runs out. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/services/sandbox_impl.h"

enum {
	LOG_KEPT = 64 * 1024,
	LOG_MAX = 2 * LOG_KEPT,
	LOG_FLOOD = 256 * 1024 * 1024, /* printed in all */
	TICK_MS = 20,
	LOOK_MS = 50,	 /* between two looks at the memory */
	GRACE_MS = 3000, /* for the kernel to take the rest down */
	READ_MAX = 64 * 1024,
};

struct child {
	pid_t pid;
	int log_fd, result_fd; /* -1 when closed */
	struct buf log;
	int64_t log_total;
	int64_t looked_ms; /* when its memory was looked at last */
	struct sandbox_group group;
	bool gone;
	int status;
};

void sandbox_outcome_dispose(struct sandbox_outcome *outcome)
{
	buf_dispose(&outcome->result);
	mem_free(outcome->log);
	outcome->log = NULL;
}

/* --- starting --- */

struct start {
	const struct sandbox_args *args;
	int log_fd, result_fd;
	int userns_fd, filter_fd, group_fd;
};

/* In the child, between fork and exec: system calls only. */
_Noreturn static void become(const struct start *start)
{
	setpgid(0, 0);
	if (start->group_fd >= 0) /* without its group it is still looked at */
		(void)!write(start->group_fd, "0", 1);
	int score = open("/proc/self/oom_score_adj", O_WRONLY);
	if (score >= 0)
		(void)!write(score, "1000", 4);
	int null = open("/dev/null", O_RDONLY);
	dup2(null, 0);
	dup2(start->log_fd, 1);
	dup2(start->log_fd, 2);
	dup2(start->result_fd, SANDBOX_RESULT_FD);
	syscall(SYS_close_range, SANDBOX_RESULT_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	if (start->userns_fd >= 0)
		fcntl(start->userns_fd, F_SETFD, 0);
	if (start->filter_fd >= 0)
		fcntl(start->filter_fd, F_SETFD, 0);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	char *empty[] = {NULL};
	union {
		const char *const *in;
		char *const *out;
	} argv = {.in = start->args->argv};
	execve(argv.out[0], argv.out, empty);
	_exit(127);
}

/* bubblewrap's path: as given, or the first one on PATH. The caller frees. */
static char *find_bwrap(const char *given)
{
	if (given)
		return access(given, X_OK) == 0 ? str_dup(given) : NULL;
	const char *path = getenv("PATH");
	if (str_is_empty(path))
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path) {
		size_t len = strcspn(path, ":");
		char *candidate = str_printf("%.*s/bwrap", (int)len, path);
		if (candidate[0] == '/' && access(candidate, X_OK) == 0)
			return candidate;
		mem_free(candidate);
		path += len + (path[len] == ':');
	}
	return NULL;
}

/* A descriptor above those that the child gets: dup2 must not close one that is still needed. */
static int lift(int fd)
{
	if (fd < 0 || fd > SANDBOX_RESULT_FD)
		return fd;
	int high = fcntl(fd, F_DUPFD_CLOEXEC, SANDBOX_RESULT_FD + 1);
	close(fd);
	return high;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static enum err_class start(struct child *child, const struct sandbox_args *args, int userns_fd,
			    int filter_fd, struct err *err)
{
	int log[2] = {-1, -1}, result[2] = {-1, -1};
	if (pipe2(log, O_CLOEXEC) == 0 && pipe2(result, O_CLOEXEC) == 0) {
		child->log_fd = log[0];
		child->result_fd = result[0];
		struct start how = {args,      lift(log[1]), lift(result[1]),
				    userns_fd, filter_fd,    child->group.procs};
		child->pid = fork();
		if (child->pid == 0)
			become(&how);
		close_fd(&how.log_fd);
		close_fd(&how.result_fd);
	}
	if (child->pid > 0) {
		fcntl(child->log_fd, F_SETFL, O_NONBLOCK);
		fcntl(child->result_fd, F_SETFL, O_NONBLOCK);
		return ERR_OK;
	}
	int code = errno;
	close_fd(&log[0]);
	close_fd(&result[0]);
	return err_code(err, ERR_CONFIG, "sandbox.start", "The sandbox cannot be started: %s.",
			strerror(code));
}

/* --- listening --- */

/* The log keeps its end: when full, the older half goes. */
static void keep_log(struct child *child, const char *bytes, size_t len)
{
	child->log_total += (int64_t)len;
	if (child->log.len + len > LOG_MAX) {
		size_t drop = child->log.len > LOG_KEPT ? child->log.len - LOG_KEPT : 0;
		memmove(child->log.data, child->log.data + drop, child->log.len - drop);
		child->log.len -= drop;
	}
	buf_add(&child->log, bytes, len);
}

/* One read; closes the descriptor at its end. False when nothing came. */
static bool read_some(struct child *child, int *fd, struct buf *result)
{
	char bytes[READ_MAX / 2];
	ssize_t len = read(*fd, bytes, sizeof(bytes));
	if (len < 0)
		return false;
	if (len == 0)
		close_fd(fd);
	else if (result)
		buf_add(result, bytes, (size_t)len);
	else
		keep_log(child, bytes, (size_t)len);
	return true;
}

static void poll_once(struct child *child, struct sandbox_outcome *out, int wait_ms)
{
	struct pollfd fds[2] = {{child->log_fd, POLLIN, 0}, {child->result_fd, POLLIN, 0}};
	if (poll(fds, 2, wait_ms) > 0) {
		if (fds[0].revents)
			read_some(child, &child->log_fd, NULL);
		if (fds[1].revents)
			read_some(child, &child->result_fd, &out->result);
	}
	if (!child->gone && waitpid(child->pid, &child->status, WNOHANG) == child->pid)
		child->gone = true;
}

static bool is_flooding(const struct child *child, const struct sandbox_outcome *out)
{
	return out->result.truncated || child->log_total > LOG_FLOOD;
}

/* More than one process can have is only reached by several. */
static bool is_starved(struct child *child, const struct sandbox_request *request, int64_t now_ms)
{
	if (now_ms - child->looked_ms < LOOK_MS)
		return false;
	child->looked_ms = now_ms;
	return sandbox_memory_is_over(child->pid, request->memory_bytes_max);
}

static void listen_to(struct child *child, const struct sandbox_request *request,
		      struct sandbox_outcome *out)
{
	int64_t end = clock_mono_ms() + request->timeout_ms;
	while (!child->gone) {
		int64_t now_ms = clock_mono_ms(), left = end - now_ms;
		out->timed_out = left <= 0;
		out->flooded = is_flooding(child, out);
		out->starved = is_starved(child, request, now_ms);
		if (out->timed_out || out->flooded || out->starved)
			return;
		poll_once(child, out, left < TICK_MS ? (int)left : TICK_MS);
	}
}

/* Ends what is left and reads what is still in the pipes, for a short while at most. Both pipes at
 * their end means that no process of the sandbox is left. */
static void finish(struct child *child, struct sandbox_outcome *out)
{
	sandbox_group_kill(&child->group);
	kill(-child->pid, SIGKILL);
	kill(child->pid, SIGKILL);
	int64_t end = clock_mono_ms() + GRACE_MS;
	bool open = true;
	while ((open || !child->gone) && clock_mono_ms() < end) {
		poll_once(child, out, child->gone ? TICK_MS : 1);
		open = child->log_fd >= 0 || child->result_fd >= 0;
	}
	while (!child->gone)
		child->gone =
			waitpid(child->pid, &child->status, 0) == child->pid || errno != EINTR;
	close_fd(&child->log_fd);
	close_fd(&child->result_fd);
}

/* bubblewrap tells a signal of the program as 128 + its number. */
static void read_status(const struct child *child, struct sandbox_outcome *out)
{
	int code = WIFEXITED(child->status) ? WEXITSTATUS(child->status) : -1;
	if (code > 128 && code < 128 + 65) {
		out->signal = code - 128;
		code = -1;
	} else if (WIFSIGNALED(child->status)) {
		out->signal = WTERMSIG(child->status);
	}
	out->exit_code = code;
}

enum err_class sandbox_run(const struct sandbox_request *request, struct sandbox_outcome *out,
			   struct err *err)
{
	*out = (struct sandbox_outcome){.result = buf_make((size_t)request->result_bytes_max)};
	AUTO_FREE char *bwrap = find_bwrap(request->bwrap);
	if (!bwrap)
		return err_code(err, ERR_CONFIG, "sandbox.missing",
				"bubblewrap (bwrap) is not installed.");
	int64_t started = clock_mono_ms();
	int userns_fd = lift(sandbox_userns_open());
	int filter_fd = lift(sandbox_filter_open());
	if (geteuid() == 0 && request->source_dir)
		sandbox_make_readable(request->source_dir);
	struct sandbox_args args;
	sandbox_args_build(&args, request, bwrap, userns_fd, filter_fd);
	struct child child = {.pid = -1, .log_fd = -1, .result_fd = -1, .log = buf_make(LOG_MAX)};
	sandbox_group_open(&child.group, request);
	enum err_class class = start(&child, &args, userns_fd, filter_fd, err);
	if (class == ERR_OK) {
		listen_to(&child, request, out);
		finish(&child, out);
		read_status(&child, out);
		out->starved = out->starved || sandbox_group_is_starved(&child.group);
		out->log = str_dup(buf_text(&child.log));
	}
	sandbox_group_close(&child.group);
	out->took_ms = clock_mono_ms() - started;
	close_fd(&userns_fd);
	close_fd(&filter_fd);
	sandbox_args_dispose(&args);
	buf_dispose(&child.log);
	return class;
}
