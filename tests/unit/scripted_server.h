/* scripted_server.h - an HTTP server for tests: loopback, raw sockets, answers from a table.
 *
 * Each request takes the first unused answer whose `expect` begins the request line ("GET /app"; an
 * answer with `always` is not used up). A request nobody expected is answered 599 and counted.
 * Every request is kept, with headers and body, for the test to look at. One thread per connection,
 * so a client that opens two at once shows. Include once per test program. */
#ifndef KF_TESTS_SCRIPTED_SERVER_H
#define KF_TESTS_SCRIPTED_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"

enum scripted_fault {
	SCRIPTED_NONE,
	SCRIPTED_RESET,	 /* read the request, then reset the connection */
	SCRIPTED_CUT,	 /* promise the whole body, send half of it, close */
	SCRIPTED_SILENT, /* never answer */
	SCRIPTED_CLOSE,	 /* answer, then close although keep-alive was promised */
	SCRIPTED_RAW,	 /* `body` is the whole answer, byte for byte */
};

struct scripted_answer {
	const char *expect;
	int status;
	const char *headers; /* "name: value\r\n..." or NULL */
	const char *body;    /* NULL: "" */
	size_t body_len;     /* 0: strlen */
	enum scripted_fault fault;
	int delay_ms;
	bool always;
};

enum { SCRIPTED_REQUESTS_MAX = 64, SCRIPTED_CONNECTIONS_MAX = 64 };

struct scripted_request {
	char *text; /* request line and headers */
	char *body;
	size_t body_len;
	int64_t at_ms; /* monotonic */
	int connection;
};

struct scripted_server {
	int listener, stop_pipe[2], port;
	char url[64];
	pthread_t thread, workers[SCRIPTED_CONNECTIONS_MAX];
	int connections;
	pthread_mutex_t lock;
	const struct scripted_answer *answers;
	size_t answer_count;
	bool used[SCRIPTED_REQUESTS_MAX];
	struct scripted_request requests[SCRIPTED_REQUESTS_MAX];
	int request_count, unexpected;
};

struct scripted_connection {
	struct scripted_server *server;
	int fd, number;
};

/* False when the test stops the server first. */
static bool scripted_wait(struct scripted_server *server, int fd, int timeout_ms)
{
	struct pollfd fds[2] = {{.fd = server->stop_pipe[0], .events = POLLIN},
				{.fd = fd, .events = POLLIN}};

	if (poll(fds, fd < 0 ? 1 : 2, timeout_ms) < 0)
		return false;
	return !fds[0].revents;
}

static const struct scripted_answer *scripted_take(struct scripted_server *server,
						   const struct scripted_request *request)
{
	static const struct scripted_answer nobody = {.status = 599, .body = "not in the script"};
	const struct scripted_answer *found = NULL;

	pthread_mutex_lock(&server->lock);
	for (size_t i = 0; i < server->answer_count && !found; i++)
		if (!server->used[i] && str_starts(request->text, server->answers[i].expect)) {
			found = &server->answers[i];
			server->used[i] = !found->always;
		}
	if (!found)
		server->unexpected++;
	if (server->request_count < SCRIPTED_REQUESTS_MAX)
		server->requests[server->request_count++] = *request;
	pthread_mutex_unlock(&server->lock);
	return found ? found : &nobody;
}

static void scripted_send(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

/* Sends one answer; false when the connection ends with it. */
static bool scripted_answer(struct scripted_connection *connection,
			    const struct scripted_answer *answer, bool is_head)
{
	size_t len = answer->body_len ? answer->body_len : strlen(answer->body ? answer->body : "");
	AUTO_BUF struct buf head = buf_make(1 << 16);

	if (answer->delay_ms && !scripted_wait(connection->server, -1, answer->delay_ms))
		return false;
	if (answer->fault == SCRIPTED_SILENT)
		return scripted_wait(connection->server, -1, -1);
	if (answer->fault == SCRIPTED_RESET) {
		struct linger now = {.l_onoff = 1, .l_linger = 0};

		setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		return false;
	}
	if (answer->fault == SCRIPTED_RAW) {
		scripted_send(connection->fd, answer->body, len);
		return false;
	}
	buf_printf(&head, "HTTP/1.1 %d x\r\nContent-Length: %zu\r\n%s\r\n", answer->status, len,
		   answer->headers ? answer->headers : "");
	scripted_send(connection->fd, head.data, head.len);
	if (!is_head && len)
		scripted_send(connection->fd, answer->body,
			      answer->fault == SCRIPTED_CUT ? len / 2 : len);
	return answer->fault == SCRIPTED_NONE;
}

/* Value of a header of a request, or "" (borrowed until the next call of this thread). */
static const char *scripted_header(const struct scripted_request *request, const char *name)
{
	static _Thread_local char value[8192];
	size_t name_len = strlen(name);

	for (const char *line = request->text; (line = strstr(line, "\r\n")); line += 2)
		if (!strncasecmp(line + 2, name, name_len) && line[2 + name_len] == ':') {
			const char *start = line + 2 + name_len + 1;

			start += strspn(start, " ");
			snprintf(value, sizeof value, "%.*s", (int)strcspn(start, "\r"), start);
			return value;
		}
	return "";
}

/* Bytes of the body that begins at `body`: its length as announced, or (size_t)-1 while more of a
 * chunked one has to come. */
static size_t scripted_body_len(const struct scripted_request *request, const char *body)
{
	int64_t len = 0;

	if (str_eq_nocase(scripted_header(request, "transfer-encoding"), "chunked")) {
		const char *end = strstr(body, "0\r\n\r\n");

		return end ? (size_t)(end + 5 - body) : (size_t)-1;
	}
	(void)str_to_int64(&len, scripted_header(request, "content-length"));
	return (size_t)len;
}

/* Reads one request; false at the end of the connection. */
static bool scripted_read(struct scripted_connection *connection, struct buf *in,
			  struct scripted_request *out)
{
	char chunk[16384];

	for (;;) {
		const char *end = strstr(buf_text(in), "\r\n\r\n");
		ssize_t n;

		if (end) {
			size_t head_len = (size_t)(end + 4 - in->data), body_len;

			out->text = str_dup_len(in->data, head_len);
			body_len = scripted_body_len(out, in->data + head_len);
			if (body_len <= in->len - head_len) {
				out->body = str_dup_len(in->data + head_len, body_len);
				out->body_len = body_len;
				out->at_ms = clock_mono_ms();
				out->connection = connection->number;
				buf_clear(in);
				return true;
			}
			mem_free(out->text);
			out->text = NULL;
		}
		if (!scripted_wait(connection->server, connection->fd, -1))
			return false;
		n = recv(connection->fd, chunk, sizeof chunk, 0);
		if (n <= 0)
			return false;
		buf_add(in, chunk, (size_t)n);
	}
}

static void *scripted_serve(void *arg)
{
	struct scripted_connection *connection = arg;
	AUTO_BUF struct buf in = buf_make(1 << 24);
	struct scripted_request request = {0};

	while (scripted_read(connection, &in, &request)) {
		const struct scripted_answer *answer = scripted_take(connection->server, &request);

		if (!scripted_answer(connection, answer, str_starts(request.text, "HEAD ")))
			break;
		request = (struct scripted_request){0};
	}
	close(connection->fd);
	mem_free(connection);
	return NULL;
}

static void *scripted_accept(void *arg)
{
	struct scripted_server *server = arg;

	while (scripted_wait(server, server->listener, -1)) {
		struct scripted_connection *connection;
		int fd = accept(server->listener, NULL, NULL);

		if (fd < 0)
			continue;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		must(server->connections < SCRIPTED_CONNECTIONS_MAX);
		connection = mem_new(1, sizeof *connection);
		*connection = (struct scripted_connection){server, fd, server->connections};
		must(!pthread_create(&server->workers[server->connections], NULL, scripted_serve,
				     connection));
		server->connections++;
	}
	return NULL;
}

/* Requests that came so far; what is read of the server after this call is seen as it was then. */
static inline int scripted_count(struct scripted_server *server)
{
	int count;

	pthread_mutex_lock(&server->lock);
	count = server->request_count;
	pthread_mutex_unlock(&server->lock);
	return count;
}

/* Starts with this script; scripted_stop ends it. */
static struct scripted_server *scripted_start(const struct scripted_answer *answers, size_t count)
{
	struct scripted_server *server = mem_new(1, sizeof *server);
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;

	must(count <= SCRIPTED_REQUESTS_MAX);
	server->answers = answers;
	server->answer_count = count;
	pthread_mutex_init(&server->lock, NULL);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(server->listener >= 0 && !pipe(server->stop_pipe));
	must(!bind(server->listener, (struct sockaddr *)&address, sizeof address));
	must(!listen(server->listener, 64));
	must(!getsockname(server->listener, (struct sockaddr *)&address, &len));
	server->port = ntohs(address.sin_port);
	snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", server->port);
	must(!pthread_create(&server->thread, NULL, scripted_accept, server));
	return server;
}

static void scripted_stop(struct scripted_server *server)
{
	must(write(server->stop_pipe[1], "x", 1) == 1);
	pthread_join(server->thread, NULL);
	for (int i = 0; i < server->connections; i++)
		pthread_join(server->workers[i], NULL);
	close(server->listener);
	close(server->stop_pipe[0]);
	close(server->stop_pipe[1]);
	for (int i = 0; i < server->request_count; i++) {
		mem_free(server->requests[i].text);
		mem_free(server->requests[i].body);
	}
	pthread_mutex_destroy(&server->lock);
	mem_free(server);
}

#endif
