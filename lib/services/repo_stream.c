/* repo_stream.c - the sockets below libgit2: time-out, byte count, abort.
 *
 * libgit2 1.5 reads from its sockets without any time-out, and its callbacks only run while data
 * moves, so a far side that falls silent would hold a worker for ever. libgit2 lets a program bring
 * its own sockets, also below TLS; these wait in poll(2) in short slices and give up at the fetch's
 * deadline, when the daemon stops, or when more bytes have come than the fetch may have. A socket
 * is opened to the host and port of the request's URL only (or to anything when the environment
 * names a proxy), so a redirect cannot lead the bot elsewhere. Host names are resolved by the
 * system's resolver, whose own time-outs apply. A fetch runs on one thread, so its bounds are found
 * through a thread-local pointer. */
#include <errno.h>
#include <fcntl.h>
#include <git2/sys/stream.h>
#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/services/repo_impl.h"

enum { SLICE_MS = 200 };

struct stream {
	git_stream parent; /* first: libgit2 sees only this */
	struct repo_net *net;
	int fd;
	char *host, *port;
};

static _Thread_local struct repo_net *current;

void repo_stream_use(struct repo_net *net)
{
	current = net;
}

static int fail(const char *what)
{
	git_error_set_str(GIT_ERROR_NET, what);
	return -1;
}

static bool stop(bool *reason, const char *what)
{
	*reason = true;
	fail(what);
	return false;
}

/* Waits until the socket is ready; false after setting the reason. */
static bool wait_for(const struct stream *stream, short events)
{
	struct pollfd item = {.fd = stream->fd, .events = events};
	struct repo_net *net = stream->net;

	for (;;) {
		int64_t left = net->deadline_mono_ms - clock_mono_ms();
		int ready;

		if (atomic_load(net->abort))
			return stop(&net->aborted, "kfops stops");
		if (left <= 0)
			return stop(&net->timed_out, "time-out");
		ready = poll(&item, 1, left < SLICE_MS ? (int)left : SLICE_MS);
		if (ready > 0)
			return true;
		if (ready < 0 && errno != EINTR) {
			fail(strerror(errno));
			return false;
		}
	}
}

static bool connect_one(struct stream *stream, const struct addrinfo *address)
{
	socklen_t size = sizeof(int);
	int fault = 0;

	stream->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (stream->fd < 0)
		return false;
	if (connect(stream->fd, address->ai_addr, address->ai_addrlen) == 0)
		return true;
	if (errno == EINPROGRESS && wait_for(stream, POLLOUT) &&
	    getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &fault, &size) == 0 && fault == 0)
		return true;
	if (fault)
		errno = fault;
	close(stream->fd);
	stream->fd = -1;
	return false;
}

static int stream_connect(git_stream *parent)
{
	struct stream *stream = (struct stream *)(void *)parent;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
	struct addrinfo *list = NULL;
	int code = getaddrinfo(stream->host, stream->port, &hints, &list), fault = ECONNREFUSED;

	if (code)
		return fail(gai_strerror(code));
	for (struct addrinfo *at = list; at; at = at->ai_next) {
		if (connect_one(stream, at)) {
			freeaddrinfo(list);
			return 0;
		}
		fault = errno;
		if (stream->net->timed_out || stream->net->aborted)
			break;
	}
	freeaddrinfo(list);
	return fail(strerror(fault));
}

static ssize_t stream_read(git_stream *parent, void *data, size_t len)
{
	struct stream *stream = (struct stream *)(void *)parent;
	struct repo_net *net = stream->net;
	ssize_t got;

	do {
		if (!wait_for(stream, POLLIN))
			return -1;
		got = recv(stream->fd, data, len, 0);
	} while (got < 0 && (errno == EAGAIN || errno == EINTR));
	if (got < 0)
		return fail(strerror(errno));
	net->bytes_left -= got;
	if (net->bytes_left < 0) {
		stop(&net->too_large, "too many bytes");
		return -1;
	}
	return got;
}

static ssize_t stream_write(git_stream *parent, const char *data, size_t len, int flags)
{
	struct stream *stream = (struct stream *)(void *)parent;
	ssize_t sent;

	(void)flags;
	do {
		if (!wait_for(stream, POLLOUT))
			return -1;
		sent = send(stream->fd, data, len, MSG_NOSIGNAL);
	} while (sent < 0 && (errno == EAGAIN || errno == EINTR));
	return sent < 0 ? fail(strerror(errno)) : sent;
}

static int stream_close(git_stream *parent)
{
	struct stream *stream = (struct stream *)(void *)parent;

	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
	return 0;
}

static void stream_free(git_stream *parent)
{
	struct stream *stream = (struct stream *)(void *)parent;

	(void)stream_close(parent);
	mem_free(stream->host);
	mem_free(stream->port);
	mem_free(stream);
}

static int stream_init(git_stream **out, const char *host, const char *port)
{
	struct stream *stream;

	*out = NULL;
	if (!current)
		return fail("no fetch is under way");
	if (!current->any_host &&
	    !(str_eq_nocase(host, current->address.host) && str_eq(port, current->address.port))) {
		current->wrong_host = true;
		return fail("the far side redirects to another host");
	}
	stream = mem_new(1, sizeof *stream);
	stream->parent.version = GIT_STREAM_VERSION;
	stream->parent.connect = stream_connect;
	stream->parent.read = stream_read;
	stream->parent.write = stream_write;
	stream->parent.close = stream_close;
	stream->parent.free = stream_free;
	stream->net = current;
	stream->fd = -1;
	stream->host = str_dup(host);
	stream->port = str_dup(port);
	*out = &stream->parent;
	return 0;
}

void repo_stream_register(void)
{
	git_stream_registration registration = {.version = GIT_STREAM_VERSION, .init = stream_init};

	must(git_stream_register(GIT_STREAM_STANDARD, &registration) == 0);
}
