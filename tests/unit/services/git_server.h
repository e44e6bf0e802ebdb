/* git_server.h - a git server for tests: smart HTTP on loopback through `git http-backend`, and the
 * many ways in which a far side can misbehave. One thread per connection. */
#ifndef KF_TESTS_GIT_SERVER_H
#define KF_TESTS_GIT_SERVER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum git_manner {
	GIT_PLAIN,
	GIT_STATUS,	    /* answers `status` */
	GIT_REDIRECT,	    /* 302 to `location` plus the path */
	GIT_SILENT,	    /* never answers */
	GIT_SILENT_ON_PACK, /* lists its refs, then never answers */
	GIT_ENDLESS,	    /* lists refs without an end */
	GIT_CUT,	    /* closes in the middle of the pack */
	GIT_NOISE,	    /* 200 with a page */
	GIT_OTHER_PACK,	    /* lists the refs of one repository, sends the pack of `other` */
};

enum { GIT_REQUESTS_MAX = 128 };

struct git_server {
	int listener, stop_pipe[2], port;
	char url[64];
	const char *root;	   /* folder of the repositories */
	const char *authorization; /* value demanded, or NULL */
	_Atomic enum git_manner manner;
	int status;
	const char *location, *other;
	pthread_t thread, workers[GIT_REQUESTS_MAX];
	pthread_mutex_t lock;
	int connections;
	atomic_int request_count;
	char *requests[GIT_REQUESTS_MAX]; /* request line and headers */
};

struct git_connection {
	struct git_server *server;
	int fd;
};

/* False when the test ends first. */
static bool git_server_wait(const struct git_server *server, int fd)
{
	struct pollfd fds[2] = {{.fd = server->stop_pipe[0], .events = POLLIN},
				{.fd = fd, .events = POLLIN}};

	return poll(fds, fd < 0 ? 1 : 2, -1) > 0 && !fds[0].revents;
}

static bool git_send(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		data += sent;
		len -= (size_t)sent;
	}
	return true;
}

static void git_header(const char *request, const char *name, char *out, size_t size)
{
	const char *at = strcasestr(request, name);

	out[0] = '\0';
	if (at) {
		at += strlen(name);
		at += strspn(at, ": ");
		snprintf(out, size, "%.*s", (int)strcspn(at, "\r"), at);
	}
}

/* Runs the CGI program; its whole output into `out`. */
static void git_backend(const struct git_server *server, const char *root, const char *request,
			const struct buf *body, struct buf *out)
{
	char method[8], target[512], type[128], length[32], *query;
	int in[2], back[2], status;
	char chunk[16384];
	pid_t child;
	ssize_t got;

	(void)server;
	must(sscanf(request, "%7s %511s", method, target) == 2);
	git_header(request, "\r\ncontent-type", type, sizeof type);
	snprintf(length, sizeof length, "%zu", body->len);
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	must(!pipe2(in, O_CLOEXEC) && !pipe2(back, O_CLOEXEC));
	child = fork();
	must(child >= 0);
	if (!child) {
		dup2(in[0], 0);
		dup2(back[1], 1);
		setenv("GIT_PROJECT_ROOT", root, 1);
		setenv("GIT_HTTP_EXPORT_ALL", "1", 1);
		setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
		setenv("HOME", root, 1);
		setenv("REQUEST_METHOD", method, 1);
		setenv("PATH_INFO", target, 1);
		setenv("QUERY_STRING", query ? query : "", 1);
		setenv("CONTENT_TYPE", type, 1);
		setenv("CONTENT_LENGTH", length, 1);
		execlp("git", "git", "http-backend", (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(back[1]);
	if (body->len)
		must(write(in[1], body->data, body->len) == (ssize_t)body->len);
	close(in[1]);
	while ((got = read(back[0], chunk, sizeof chunk)) > 0)
		buf_add(out, chunk, (size_t)got);
	close(back[0]);
	waitpid(child, &status, 0);
}

/* CGI output as an HTTP answer. */
static void git_answer(struct git_server *server, int fd, const char *request,
		       const struct buf *body, bool cut)
{
	const char *root = server->manner == GIT_OTHER_PACK && str_starts(request, "POST ")
				   ? server->other
				   : server->root;
	AUTO_BUF struct buf out = buf_make(64u << 20), head = buf_make(4096);
	char status[64];
	const char *end;
	size_t len;

	git_backend(server, root, request, body, &out);
	end = strstr(buf_text(&out), "\r\n\r\n");
	must(end);
	end += 4;
	git_header(out.data, "Status", status, sizeof status);
	len = out.len - (size_t)(end - out.data);
	buf_printf(&head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n",
		   str_starts(out.data, "Status") ? status : "200 OK", len);
	if (git_send(fd, head.data, head.len) && git_send(fd, out.data, (size_t)(end - out.data)))
		git_send(fd, end, cut ? len / 2 : len);
}

static void git_endless(int fd)
{
	static const char line[] =
		"00400123456789012345678901234567890123456789 refs/heads/endless\n";
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: "
				   "application/x-git-upload-pack-advertisement\r\n\r\n"
				   "001e# service=git-upload-pack\n0000";
	bool more = git_send(fd, head, sizeof head - 1);

	while (more)
		more = git_send(fd, line, sizeof line - 1);
}

/* One answer; false when the connection ends with it. */
static bool git_respond(struct git_server *server, int fd, const char *request,
			const struct buf *body)
{
	AUTO_BUF struct buf out = buf_make(4096);
	enum git_manner manner = server->manner;
	bool is_pack = str_starts(request, "POST ");
	char got[512];

	git_header(request, "\r\nauthorization", got, sizeof got);
	if (server->authorization && !str_eq(got, server->authorization)) {
		buf_puts(&out, "HTTP/1.1 401 no\r\nWWW-Authenticate: Basic realm=\"git\"\r\n"
			       "Content-Length: 0\r\n\r\n");
		return git_send(fd, out.data, out.len);
	}
	switch (manner) {
	case GIT_STATUS:
		buf_printf(&out, "HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n", server->status);
		return git_send(fd, out.data, out.len);
	case GIT_REDIRECT:
		buf_printf(&out, "HTTP/1.1 302 x\r\nLocation: %s%.*s\r\nContent-Length: 0\r\n\r\n",
			   server->location, (int)strcspn(strchr(request, '/'), " "),
			   strchr(request, '/'));
		return git_send(fd, out.data, out.len);
	case GIT_NOISE:
		buf_puts(&out, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n"
			       "\r\nhello");
		return git_send(fd, out.data, out.len);
	case GIT_ENDLESS:
		git_endless(fd);
		return false;
	case GIT_SILENT:
	case GIT_SILENT_ON_PACK:
		if (is_pack || manner == GIT_SILENT)
			return git_server_wait(server, -1);
		/* fall through */
	case GIT_PLAIN:
	case GIT_CUT:
	case GIT_OTHER_PACK:
	default:
		git_answer(server, fd, request, body, manner == GIT_CUT && is_pack);
		return manner != GIT_CUT;
	}
}

/* Reads one request; NULL at the end. The caller frees. */
static char *git_read(const struct git_server *server, int fd, struct buf *body)
{
	AUTO_BUF struct buf in = buf_make(16u << 20);
	char chunk[16384], length[32];
	int64_t want = 0;

	for (;;) {
		const char *end = strstr(buf_text(&in), "\r\n\r\n");
		ssize_t got;

		if (end) {
			size_t head = (size_t)(end + 4 - in.data);
			char *request = str_dup_len(in.data, head);

			git_header(request, "\r\ncontent-length", length, sizeof length);
			(void)str_to_int64(&want, length);
			if (in.len - head >= (size_t)want) {
				buf_clear(body);
				buf_add(body, in.data + head, (size_t)want);
				return request;
			}
			mem_free(request);
		}
		if (!git_server_wait(server, fd))
			return NULL;
		got = recv(fd, chunk, sizeof chunk, 0);
		if (got <= 0)
			return NULL;
		buf_add(&in, chunk, (size_t)got);
	}
}

static void *git_serve(void *arg)
{
	struct git_connection *connection = arg;
	struct git_server *server = connection->server;
	AUTO_BUF struct buf body = buf_make(16u << 20);
	bool more = true;
	char *request;

	while (more && (request = git_read(server, connection->fd, &body))) {
		pthread_mutex_lock(&server->lock);
		must(server->request_count < GIT_REQUESTS_MAX);
		server->requests[server->request_count++] = request;
		pthread_mutex_unlock(&server->lock);
		more = git_respond(server, connection->fd, request, &body);
	}
	close(connection->fd);
	mem_free(connection);
	return NULL;
}

static void *git_accept(void *arg)
{
	struct git_server *server = arg;

	while (git_server_wait(server, server->listener)) {
		struct git_connection *connection;
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		must(server->connections < GIT_REQUESTS_MAX);
		connection = mem_new(1, sizeof *connection);
		*connection = (struct git_connection){server, fd};
		must(!pthread_create(&server->workers[server->connections], NULL, git_serve,
				     connection));
		server->connections++;
	}
	return NULL;
}

static struct git_server *git_server_start(const char *root)
{
	struct git_server *server = mem_new(1, sizeof *server);
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;

	server->root = root;
	pthread_mutex_init(&server->lock, NULL);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(server->listener >= 0 && !pipe2(server->stop_pipe, O_CLOEXEC));
	must(!bind(server->listener, (struct sockaddr *)&address, sizeof address));
	must(!listen(server->listener, 64));
	must(!getsockname(server->listener, (struct sockaddr *)&address, &len));
	server->port = ntohs(address.sin_port);
	snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", server->port);
	must(!pthread_create(&server->thread, NULL, git_accept, server));
	return server;
}

static void git_server_stop(struct git_server *server)
{
	must(write(server->stop_pipe[1], "x", 1) == 1);
	pthread_join(server->thread, NULL);
	for (int i = 0; i < server->connections; i++)
		pthread_join(server->workers[i], NULL);
	close(server->listener);
	close(server->stop_pipe[0]);
	close(server->stop_pipe[1]);
	for (int i = 0; i < server->request_count; i++)
		mem_free(server->requests[i]);
	pthread_mutex_destroy(&server->lock);
	mem_free(server);
}

#endif
