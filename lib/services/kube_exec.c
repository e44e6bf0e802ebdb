/* kube_exec.c - credential plugins (client.authentication.k8s.io): a program of the operator's
 * choice prints a token or a certificate.
 *
 * Started without a shell, in a process group of its own, with our environment (plugins find their
 * own credentials there), nothing on stdin and no descriptor but the two pipes. It is done when its
 * process ends, even if something it left behind holds the pipes; whatever is left of the group is
 * killed then, or when time or size run out. What it says on stderr goes to the log, cut, and never
 * into a message for people, because nobody knows what a plugin prints there. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/services/kube_impl.h"

enum {
	TIMEOUT_MS = 30 * 1000,
	ANSWER_MAX = 256 * 1024,
	COMPLAINT_MAX = 4 * 1024,
	EARLY_MS = 5 * 60 * 1000,
	HINT_MAX = 300,
};

extern char **environ;

void kube_credential_dispose(struct kube_credential *credential)
{
	sign_secret_free(credential->token);
	mem_free(credential->cert);
	sign_secret_free(credential->key);
	*credential = (struct kube_credential){0};
}

/* --- its answer --- */

static bool is_token(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

static const char *text_of(const json_t *status, const char *key)
{
	const char *text = jval_str(status, key, NULL);

	return str_is_empty(text) ? NULL : text;
}

/* What is wrong with the answer, NULL when nothing is. */
static const char *fault_of(const json_t *answer, const char *api_version)
{
	const json_t *status = jval_at(answer, "status");
	const char *token = text_of(status, "token");
	const char *cert = text_of(status, "clientCertificateData");
	const char *key = text_of(status, "clientKeyData");

	if (!str_eq(jval_str(answer, "kind", ""), "ExecCredential"))
		return "its kind is not ExecCredential";
	if (!str_eq(jval_str(answer, "apiVersion", ""), api_version))
		return "its apiVersion is not the one in the kubeconfig";
	if (!token && !cert)
		return "it has neither a token nor a certificate";
	if (!cert != !key)
		return "clientCertificateData and clientKeyData are needed together";
	if (token && !is_token(token))
		return "its token holds blanks or control characters";
	return NULL;
}

static void fill(struct kube_credential *out, const json_t *status)
{
	const char *expires = text_of(status, "expirationTimestamp");
	int64_t now_ms = clock_now_ms(), life_ms;

	out->token = str_dup(text_of(status, "token"));
	out->cert = str_dup(text_of(status, "clientCertificateData"));
	out->key = str_dup(text_of(status, "clientKeyData"));
	out->expires_at_ms = out->renew_at_ms = INT64_MAX;
	if (!expires || !clock_parse(&out->expires_at_ms, expires))
		return;
	life_ms = out->expires_at_ms > now_ms ? out->expires_at_ms - now_ms : 0;
	out->renew_at_ms = out->expires_at_ms - (life_ms / 5 < EARLY_MS ? life_ms / 5 : EARLY_MS);
}

enum err_class kube_exec_parse(struct kube_credential *out, const char *api_version,
			       const char *text, size_t len, struct err *err)
{
	AUTO_JSON json_t *answer = NULL;
	const char *fault;
	struct err what;

	*out = (struct kube_credential){0};
	if (jval_parse(&answer, text, len, &what))
		return err_code(err, ERR_CONFIG, "kube.exec",
				"the credential plugin does not print JSON: %s", what.msg);
	fault = fault_of(answer, api_version);
	if (fault)
		return err_code(err, ERR_CONFIG, "kube.exec",
				"the answer of the credential plugin cannot be used: %s", fault);
	fill(out, jval_at(answer, "status"));
	return ERR_OK;
}

/* --- the process --- */

struct run {
	pid_t pid;
	int pidfd, out_fd, err_fd; /* -1 when closed */
	struct buf answer, complaint;
	bool is_late, is_too_large;
	int status;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static bool sets(const char *entry, const char *name, size_t name_len)
{
	return !strncmp(entry, name, name_len) && entry[name_len] == '=';
}

static bool is_set_by(char *const *entries, const char *entry)
{
	for (size_t i = 0; entries[i]; i++)
		if (sets(entry, entries[i], strcspn(entries[i], "=")))
			return true;
	return false;
}

/* Our environment with what the plugin is given on top. The array is the caller's, its texts are
 * borrowed. */
static char **environment(const struct kube_exec *exec, char *info)
{
	size_t count = 0, at = 0;
	char **out;

	while (environ[count])
		count++;
	out = mem_new(count + KUBE_EXEC_ENV_MAX + 2, sizeof *out);
	out[at++] = info;
	for (size_t i = 0; exec->env[i]; i++)
		if (!sets(exec->env[i], "KUBERNETES_EXEC_INFO", 20))
			out[at++] = exec->env[i];
	for (size_t i = 0; i < count; i++)
		if (!is_set_by(exec->env, environ[i]) &&
		    !sets(environ[i], "KUBERNETES_EXEC_INFO", 20))
			out[at++] = environ[i];
	return out;
}

/* errno of the start, 0 when it runs. */
static int spawn(struct run *run, const struct kube_exec *exec, int out_fd, int err_fd)
{
	AUTO_FREE char *info =
		str_printf("KUBERNETES_EXEC_INFO=%s", exec->info ? exec->info : "{}");
	AUTO_FREE char **env = environment(exec, info);
	char *argv[KUBE_EXEC_ARGS_MAX + 2] = {exec->command};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, pipe;
	int code;

	for (size_t i = 0; exec->args[i]; i++)
		argv[i + 1] = exec->args[i];
	sigemptyset(&none);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	must(!posix_spawn_file_actions_init(&actions) && !posix_spawnattr_init(&attr));
	must(!posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) &&
	     !posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO) &&
	     !posix_spawn_file_actions_adddup2(&actions, err_fd, STDERR_FILENO) &&
	     !posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1) &&
	     !posix_spawnattr_setsigmask(&attr, &none) &&
	     !posix_spawnattr_setsigdefault(&attr, &pipe) && !posix_spawnattr_setpgroup(&attr, 0) &&
	     !posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						      POSIX_SPAWN_SETPGROUP));
	code = posix_spawnp(&run->pid, exec->command, &actions, &attr, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return code;
}

static int start(struct run *run, const struct kube_exec *exec)
{
	int out[2] = {-1, -1}, err[2] = {-1, -1}, code = 0;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		code = errno;
	run->out_fd = out[0];
	run->err_fd = err[0];
	if (!code && (fcntl(out[0], F_SETFL, O_NONBLOCK) || fcntl(err[0], F_SETFL, O_NONBLOCK)))
		code = errno;
	if (!code)
		code = spawn(run, exec, out[1], err[1]);
	close_fd(&out[1]);
	close_fd(&err[1]);
	if (!code && (run->pidfd = pidfd_open(run->pid, 0)) < 0)
		code = errno;
	return code;
}

/* Reads what is there; closes at the end. */
static void drain(int *fd, struct buf *into)
{
	char chunk[4096];
	ssize_t got = 1;

	while (*fd >= 0 && !into->truncated && got > 0) {
		got = read(*fd, chunk, sizeof chunk);
		if (got > 0)
			buf_add(into, chunk, (size_t)got);
		else if (!got || (errno != EAGAIN && errno != EINTR))
			close_fd(fd);
	}
	explicit_bzero(chunk, sizeof chunk);
}

/* Until the process ends, or time or size run out. */
static void follow(struct run *run, int timeout_ms)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms;

	for (bool ended = false; !ended && !run->is_late && !run->is_too_large;) {
		int64_t left_ms = until_ms - clock_mono_ms();
		struct pollfd fds[] = {{.fd = run->pidfd, .events = POLLIN},
				       {.fd = run->out_fd, .events = POLLIN},
				       {.fd = run->err_fd, .events = POLLIN}};

		if (left_ms <= 0)
			run->is_late = true;
		else if (poll(fds, ARRAY_LEN(fds), (int)left_ms) > 0)
			ended = fds[0].revents != 0;
		drain(&run->out_fd, &run->answer);
		drain(&run->err_fd, &run->complaint);
		run->is_too_large = run->answer.truncated;
		if (run->complaint.truncated)
			close_fd(&run->err_fd);
	}
}

static void finish(struct run *run)
{
	close_fd(&run->pidfd);
	close_fd(&run->out_fd);
	close_fd(&run->err_fd);
	if (run->pid <= 0)
		return;
	/* Before it is waited for, so that its number cannot belong to another group yet. */
	kill(-run->pid, SIGKILL);
	while (waitpid(run->pid, &run->status, 0) < 0 && errno == EINTR)
		;
}

static enum err_class judge(const struct run *run, const struct kube_exec *exec, struct err *err)
{
	if (run->is_late)
		return err_code(err, ERR_TRANSIENT, "kube.exec",
				"the credential plugin %.200s did not end in time", exec->command);
	if (run->is_too_large)
		return err_code(err, ERR_CONFIG, "kube.exec",
				"the credential plugin %.200s prints more than %d bytes",
				exec->command, ANSWER_MAX);
	if (WIFEXITED(run->status) && WEXITSTATUS(run->status) == 0)
		return ERR_OK;
	log_warn("kube_plugin_failed", LOG_S("command", exec->command),
		 LOG_S("said", buf_text(&run->complaint)));
	if (WIFSIGNALED(run->status))
		return err_code(err, ERR_TRANSIENT, "kube.exec",
				"the credential plugin %.200s was ended by signal %d",
				exec->command, WTERMSIG(run->status));
	return err_code(err, ERR_TRANSIENT, "kube.exec",
			"the credential plugin %.200s failed with exit code %d; what it said is in "
			"the log of kfopsd",
			exec->command, WEXITSTATUS(run->status));
}

static enum err_class not_started(const struct kube_exec *exec, int code, struct err *err)
{
	char hint[HINT_MAX] = "";

	str_copy(hint, sizeof hint, exec->install_hint);
	for (char *at = hint; *at; at++)
		if ((unsigned char)*at < 0x20)
			*at = ' ';
	return err_code(err, ERR_CONFIG, "kube.exec",
			"the credential plugin %.200s cannot be started: %s%s%s", exec->command,
			strerror(code), *hint ? ". " : "", hint);
}

enum err_class kube_exec_run(struct kube_credential *out, const struct kube_exec *exec,
			     struct err *err)
{
	struct run run = {
		.pidfd = -1, .answer = buf_make(ANSWER_MAX), .complaint = buf_make(COMPLAINT_MAX)};
	int code = start(&run, exec);
	enum err_class class;

	*out = (struct kube_credential){0};
	if (!code)
		follow(&run, exec->timeout_ms ? exec->timeout_ms : TIMEOUT_MS);
	finish(&run);
	class = code ? not_started(exec, code, err) : judge(&run, exec, err);
	if (!class)
		class = kube_exec_parse(out, exec->api_version, buf_text(&run.answer),
					run.answer.len, err);
	if (run.answer.data)
		explicit_bzero(run.answer.data, run.answer.len);
	buf_dispose(&run.answer);
	buf_dispose(&run.complaint);
	return class;
}
