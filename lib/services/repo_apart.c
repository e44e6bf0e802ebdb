/* repo_apart.c - a checkout by a process of its own: the daemon's side.
 *
 * kfops-checkout gets the request as JSON over a socket pair, answers with JSON and ends. So the
 * daemon is not linked with libgit2: what that and its libraries keep (caches, certificates, pages
 * of code: two megabytes and more) is gone after each checkout, a far side that breaks it breaks
 * that one process, and the process holds no secret but a token that may read one repository. The
 * price is starting a program, some ten milliseconds a checkout. The mirror stays locked in this
 * process meanwhile. A process that gives no answer in time, or is not wanted any more, is
 * killed; what it left half written is removed here or by the next checkout. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/services/repo_store.h"

enum {
	ANSWER_MAX = 64 * 1024,
	SLICE_MS = 200,
	WRITING_MS = 5 * 60 * 1000, /* beyond the fetch: for the tree */
};

struct child {
	pid_t pid;
	int fd;
};

/* --- what goes over the socket --- */

static json_t *limits_to_json(const struct repo_limits *limits)
{
	json_t *json = json_object();

	jval_set_int(json, "file_bytes_max", limits->file_bytes_max);
	jval_set_int(json, "tree_bytes_max", limits->tree_bytes_max);
	jval_set_int(json, "files_max", limits->files_max);
	jval_set_int(json, "fetch_bytes_max", limits->fetch_bytes_max);
	jval_set_int(json, "fetch_timeout_ms", limits->fetch_timeout_ms);
	jval_set_bool(json, "allow_http", limits->allow_http);
	jval_set_str(json, "ca_file", limits->ca_file);
	return json;
}

static char *request_to_text(const struct repo_store *store, const struct repo_request *request)
{
	AUTO_JSON json_t *json = json_object();

	jval_set_str(json, "dir", store->dir);
	jval_set(json, "limits", limits_to_json(&store->limits));
	jval_set_int(json, "parent", getpid());
	jval_set_int(json, "repo_id", request->repo_id);
	jval_set_str(json, "url", request->url);
	jval_set_str(json, "token", request->token);
	jval_set_str(json, "ref", request->ref);
	jval_set_str(json, "sha", request->sha);
	jval_set_str(json, "dest", request->dest);
	return jval_dump(json);
}

static enum err_class read_answer(const json_t *json, struct repo_tree *out, struct err *err)
{
	enum err_class class = (enum err_class)jval_int(json, "class", ERR_BUG);

	*out = (struct repo_tree){.files = jval_int(json, "files", 0),
				  .bytes = jval_int(json, "bytes", 0),
				  .fetched = jval_bool(json, "fetched", false)};
	if (!class)
		return ERR_OK;
	if (class < 0 || class >= ERR_CLASS_COUNT)
		class = ERR_BUG;
	err_code(err, class, jval_str(json, "code", ""), "%s", jval_str(json, "message", ""));
	if (err)
		err->in_doubt = jval_bool(json, "in_doubt", false);
	return class;
}

/* --- the process --- */

static enum err_class start(struct child *out, const char *program, struct err *err)
{
	char *argv[] = {(char[]){"kfops-checkout"}, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int ends[2], code;
	sigset_t none, pipe;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return err_set(err, ERR_TRANSIENT, "no socket for a checkout: %s", strerror(errno));
	sigemptyset(&none);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	must(!posix_spawn_file_actions_init(&actions) && !posix_spawnattr_init(&attr));
	must(!posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO) &&
	     !posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1) &&
	     !posix_spawnattr_setsigmask(&attr, &none) &&
	     !posix_spawnattr_setsigdefault(&attr, &pipe) &&
	     !posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
	code = program ? posix_spawn(&out->pid, program, &actions, &attr, argv, environ) : ENOENT;
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	close(ends[1]);
	out->fd = ends[0];
	if (!code)
		return ERR_OK;
	close(ends[0]);
	return err_code(err, code == EAGAIN || code == ENOMEM ? ERR_TRANSIENT : ERR_CONFIG,
			"repo.program", "%s cannot be started: %s",
			program ? program : "kfops-checkout", strerror(code));
}

static bool send_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		text += sent;
		len -= (size_t)sent;
	}
	return true;
}

/* Reads until the other side closes; false when it was told to stop, or took too long. */
static bool receive_all(const struct repo_store *store, int fd, struct buf *out)
{
	int64_t end_ms = clock_mono_ms() + store->limits.fetch_timeout_ms + WRITING_MS;
	char bytes[4096];
	ssize_t got = 1;

	while (got && !out->truncated) {
		struct pollfd item = {.fd = fd, .events = POLLIN};

		if (atomic_load(&store->abort) || clock_mono_ms() > end_ms)
			return false;
		if (poll(&item, 1, SLICE_MS) <= 0)
			continue;
		got = recv(fd, bytes, sizeof bytes, 0);
		if (got < 0)
			return errno == ECONNRESET;
		buf_add(out, bytes, (size_t)got);
	}
	return !out->truncated;
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		must(errno == EINTR);
	return status;
}

static enum err_class no_answer(const struct repo_store *store, int status, struct err *err)
{
	if (atomic_load(&store->abort))
		return err_set(err, ERR_TRANSIENT,
			       "the checkout was broken off because kfops stops");
	if (WIFSIGNALED(status))
		return err_code(err, ERR_TRANSIENT, "repo.ended",
				"the checkout was ended by signal %d", WTERMSIG(status));
	return err_code(err, ERR_TRANSIENT, "repo.ended",
			"the checkout ended without an answer (exit code %d)", WEXITSTATUS(status));
}

static enum err_class run(struct repo_store *store, const struct repo_request *request,
			  struct repo_tree *out, struct err *err)
{
	AUTO_FREE char *text = request_to_text(store, request);
	AUTO_BUF struct buf answer = buf_make(ANSWER_MAX);
	AUTO_JSON json_t *json = NULL;
	enum err_class class;
	struct child child;
	struct err ignored;
	bool whole;
	int status;

	class = start(&child, store->program, err);
	if (class) {
		explicit_bzero(text, strlen(text));
		return class;
	}
	whole = send_all(child.fd, text, strlen(text)) && !shutdown(child.fd, SHUT_WR) &&
		receive_all(store, child.fd, &answer);
	explicit_bzero(text, strlen(text));
	if (!whole)
		kill(child.pid, SIGKILL);
	close(child.fd);
	status = wait_for(child.pid);
	if (!whole || status || jval_parse(&json, buf_text(&answer), answer.len, &ignored)) {
		repo_remove_tree(request->dest);
		return no_answer(store, status, err);
	}
	return read_answer(json, out, err);
}

enum err_class repo_checkout_apart(struct repo_store *store, const struct repo_request *request,
				   struct repo_tree *out, struct err *err)
{
	struct repo_address address;
	struct repo_busy mine = {0};
	AUTO_FREE char *path = NULL;
	enum err_class class;

	*out = (struct repo_tree){0};
	class = repo_address_parse(&address, request->url, store->limits.allow_http, err);
	if (class)
		return class;
	path = repo_mirror_path(store, &address, request->repo_id);
	mine.path = path;
	repo_mirror_take(store, &mine, true);
	class = run(store, request, out, err);
	repo_mirror_leave(store, &mine);
	return class;
}

enum err_class repo_program_find(char **out, struct err *err)
{
	static const char *const places[] = {"kfops-checkout", "../libexec/kfops/kfops-checkout"};
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	*out = NULL;
	self[len > 0 ? len : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		slash[1] = '\0';
	for (size_t i = 0; slash && i < ARRAY_LEN(places); i++) {
		char *path = str_printf("%s%s", self, places[i]);

		if (access(path, X_OK) == 0) {
			*out = path;
			return ERR_OK;
		}
		mem_free(path);
	}
	return err_code(err, ERR_CONFIG, "repo.program",
			"the program kfops-checkout is not installed beside kfopsd");
}
