/* receive.c - see receive.h. One thread, one loop: wait on libmicrohttpd's epoll descriptor and on
 * an eventfd, take what the writer has answered, let libmicrohttpd run, cut who is too slow. The
 * eventfd is rung by the writer's thread once for all requests of a batch. The writer is woken
 * every few requests: at each one, batches would be small and fsyncs many; only at the end of a
 * turn, a turn of hundreds would leave the disk idle until the last body is read.
 *
 * Time limits are fixed by kind, so each kind is a list in which new entries go to the end: the
 * first is always the next to expire, and keeping thousands of deadlines costs nothing.
 * libmicrohttpd's own time-out counts inactivity only and is not used. A connection is cut by
 * shutting its socket down, which libmicrohttpd then sees as the far side's close.
 *
 * A request that waits for its commit belongs to the writer. If the connection ends first (only at
 * the stop can it) the request is an orphan: it is freed when the writer gives it back. */
#include "bot/receive.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bot/receive_impl.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"

enum {
	CONNECTIONS_MAX = 1024,
	PER_ADDRESS_MAX = 512,
	BACKLOG = 1024,
	POOL_MAX = 64,
	POOL_BODY_MAX = 64 << 10,
	TURN_MS = 1000,
	ORPHANS_MS = 3000,
	FLUSH_TURNS = 20,
	FLUSH_TURN_MS = 10,
};

/* --- requests --- */

struct request *request_new(struct receive *receive, struct client *client)
{
	struct request *request = receive->pool;

	if (request) {
		receive->pool = request->next;
		receive->pool_count--;
	} else {
		request = mem_new(1, sizeof *request);
		request->receive = receive;
	}
	request->client = client;
	request->next = NULL;
	memset(request->head, 0, sizeof request->head);
	request->body_kept = 0;
	request->body_len = 0;
	request->keep_max = 0;
	request->answer = ANSWER_NONE;
	request->class = ERR_OK;
	request->is_webhook = false;
	request->is_cut = false;
	request->at_writer = false;
	return request;
}

static void request_drop(struct request *request)
{
	sign_hmac_stream_free(request->streams[0]);
	mem_free(request->body);
	mem_free(request);
}

void request_free(struct request *request)
{
	struct receive *receive = request->receive;

	intake_dispose(&request->intake);
	sign_hmac_stream_free(request->streams[1]);
	request->streams[1] = NULL;
	if (receive->pool_count >= POOL_MAX) {
		request_drop(request);
		return;
	}
	if (request->body_cap > POOL_BODY_MAX) {
		mem_free(request->body);
		request->body = NULL;
		request->body_cap = 0;
	}
	request->next = receive->pool;
	receive->pool = request;
	receive->pool_count++;
}

void request_returned(struct request *request)
{
	struct receive *receive = request->receive;
	struct request *first = atomic_load_explicit(&receive->returned, memory_order_relaxed);

	do
		request->next = first;
	while (!atomic_compare_exchange_weak_explicit(&receive->returned, &first, request,
						      memory_order_acq_rel, memory_order_relaxed));
}

/* Rings once for all requests of a batch. */
static void on_answered(void *arg)
{
	struct receive *receive = arg;

	if (atomic_load_explicit(&receive->returned, memory_order_relaxed))
		(void)eventfd_write(receive->wake_fd, 1);
}

static void take_returned(struct receive *receive)
{
	struct request *stack =
		atomic_exchange_explicit(&receive->returned, NULL, memory_order_acq_rel);
	struct request *queue = NULL, *next;

	for (; stack; stack = next) {
		next = stack->next;
		stack->next = queue;
		queue = stack;
	}
	for (; queue; queue = next) {
		next = queue->next;
		queue->at_writer = false;
		intake_count(&queue->intake, queue->class);
		if (queue->client) {
			/* Unless it was answered 503 meanwhile, because we are leaving. */
			if (queue->client->wait == WAIT_COMMIT)
				http_answer_returned(receive, queue);
		} else {
			receive->orphans--;
			request_free(queue);
		}
	}
}

/* --- connections and their time limits --- */

void client_wait(struct receive *receive, struct client *client, enum wait wait)
{
	struct client_list *list;

	if (client->wait != WAIT_KINDS) {
		list = &receive->waits[client->wait];
		*(client->prev ? &client->prev->next : &list->first) = client->next;
		*(client->next ? &client->next->prev : &list->last) = client->prev;
		list->count--;
	}
	client->wait = wait;
	if (wait == WAIT_KINDS)
		return;
	list = &receive->waits[wait];
	client->since_ms = receive->now_ms;
	client->next = NULL;
	client->prev = list->last;
	*(list->last ? &list->last->next : &list->first) = client;
	list->last = client;
	list->count++;
}

void client_cut(struct receive *receive, struct client *client)
{
	shutdown(client->fd, SHUT_RDWR);
	client_wait(receive, client, WAIT_CLOSE);
}

static const int64_t limits_ms[WAIT_KINDS] = {
	[WAIT_COMMIT] = INT64_MAX,
	[WAIT_REQUEST] = RECEIVE_REQUEST_MS,
	[WAIT_CALL] = RECEIVE_IDLE_MS,
	[WAIT_CLOSE] = RECEIVE_LINGER_MS,
};

/* Cuts who is over time; says in how many milliseconds the next one will be. */
static int expire(struct receive *receive)
{
	int64_t soonest = TURN_MS, left;

	for (int i = WAIT_COMMIT + 1; i < WAIT_KINDS; i++) {
		struct client_list *list = &receive->waits[i];
		struct client *last = list->last;

		while (list->first) {
			struct client *client = list->first;

			left = client->since_ms + limits_ms[i] - receive->now_ms;
			if (left > 0) {
				soonest = left < soonest ? left : soonest;
				break;
			}
			client_cut(receive, client);
			if (client == last) /* cut ones may go to the end of this very list */
				break;
		}
	}
	return (int)soonest;
}

/* --- the thread --- */

void receive_wake_writer(struct receive *receive)
{
	receive->unheard = 0;
	writer_wake(receive->writer);
}

static void turn(struct receive *receive, int timeout_ms)
{
	struct epoll_event events[2];
	MHD_UNSIGNED_LONG_LONG http_ms;
	eventfd_t unused;
	int count;

	if (MHD_get_timeout(receive->http, &http_ms) == MHD_YES &&
	    http_ms < (MHD_UNSIGNED_LONG_LONG)timeout_ms)
		timeout_ms = (int)http_ms;
	count = timeout_ms ? epoll_wait(receive->epoll_fd, events, ARRAY_LEN(events), timeout_ms)
			   : 0;
	receive->now_ms = clock_mono_ms();
	for (int i = 0; i < count; i++)
		if (events[i].data.fd == receive->wake_fd)
			(void)eventfd_read(receive->wake_fd, &unused);
	take_returned(receive);
	MHD_run(receive->http);
	if (receive->unheard)
		receive_wake_writer(receive);
}

static void start_leaving(struct receive *receive)
{
	receive->is_leaving = true;
	MHD_quiesce_daemon(receive->http);
	close(receive->listen_fd);
	receive->listen_fd = -1;
	while (receive->waits[WAIT_CALL].first)
		client_cut(receive, receive->waits[WAIT_CALL].first);
}

static bool has_work(const struct receive *receive)
{
	return receive->waits[WAIT_COMMIT].count > 0 || receive->waits[WAIT_REQUEST].count > 0;
}

/* Answers what is in hand, then what the writer has not answered in time; closes everything; waits
 * for what the writer still holds. */
static void leave(struct receive *receive)
{
	int64_t end_ms = receive->now_ms + RECEIVE_STOP_MS;

	start_leaving(receive);
	for (int left = RECEIVE_STOP_MS; has_work(receive) && left > 0;
	     left = (int)(end_ms - receive->now_ms)) {
		int next = expire(receive);

		turn(receive, next < left ? next : left);
	}
	while (receive->waits[WAIT_COMMIT].first)
		http_answer_returned(receive, receive->waits[WAIT_COMMIT].first->request);
	for (int i = 0; i < FLUSH_TURNS && has_work(receive); i++)
		turn(receive, FLUSH_TURN_MS);
	MHD_stop_daemon(receive->http);
	receive->http = NULL;
	end_ms = clock_mono_ms() + ORPHANS_MS;
	while (receive->orphans > 0 && clock_mono_ms() < end_ms) {
		struct epoll_event event;
		eventfd_t unused;

		if (epoll_wait(receive->epoll_fd, &event, 1, FLUSH_TURN_MS) > 0)
			(void)eventfd_read(receive->wake_fd, &unused);
		take_returned(receive);
	}
}

static void *serve(void *arg)
{
	struct receive *receive = arg;

	receive->now_ms = clock_mono_ms();
	while (!atomic_load_explicit(&receive->stopping, memory_order_relaxed))
		turn(receive, expire(receive));
	leave(receive);
	return NULL;
}

/* --- opening and closing --- */

static bool is_blank(const char *text)
{
	return !text || text[strspn(text, " \t\r\n")] == '\0';
}

static enum err_class check_options(const struct receive_options *options, struct err *err)
{
	if (is_blank(options->secrets[0]))
		return err_set(err, ERR_CONFIG,
			       "the webhook secret is empty: everybody could send commands");
	if (options->secrets[1] && is_blank(options->secrets[1]))
		return err_set(err, ERR_CONFIG, "the second webhook secret is empty");
	if (!options->path || options->path[0] != '/')
		return err_set(err, ERR_CONFIG, "the webhook path must begin with a slash");
	return ERR_OK;
}

/* Splits "127.0.0.1:8080" or "[::1]:8080" and resolves it; numbers only, so nothing is asked of
 * DNS. */
static enum err_class resolve(struct addrinfo **out, const char *listen_at, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
	const char *colon = listen_at ? strrchr(listen_at, ':') : NULL;
	char host[64];
	size_t len;

	if (!colon || colon == listen_at || !colon[1])
		return err_set(err, ERR_CONFIG,
			       "listen address %s: write an address and a port, "
			       "\"127.0.0.1:8080\" or \"[::1]:8080\"",
			       listen_at ? listen_at : "(none)");
	len = (size_t)(colon - listen_at);
	if (listen_at[0] == '[' && colon[-1] == ']' && len > 2) {
		listen_at++;
		len -= 2;
	}
	if (len >= sizeof host)
		return err_set(err, ERR_CONFIG, "the listen address is too long");
	memcpy(host, listen_at, len);
	host[len] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, out) != 0)
		return err_set(err, ERR_CONFIG,
			       "listen address: %s port %s is not a numeric "
			       "address and port",
			       host, colon + 1);
	return ERR_OK;
}

static enum err_class bind_socket(struct receive *receive, const char *listen_at, struct err *err)
{
	struct addrinfo *info = NULL;
	struct sockaddr_storage bound;
	socklen_t bound_len = sizeof bound;
	char port[8];
	const int one = 1;
	enum err_class class = resolve(&info, listen_at, err);

	if (class != ERR_OK)
		return class;
	must(info);
	receive->listen_fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (receive->listen_fd < 0 ||
	    setsockopt(receive->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
	    bind(receive->listen_fd, info->ai_addr, info->ai_addrlen) != 0 ||
	    listen(receive->listen_fd, BACKLOG) != 0 ||
	    getsockname(receive->listen_fd, (struct sockaddr *)&bound, &bound_len) != 0)
		class = err_code(err, ERR_CONFIG, "start.os", "cannot listen on %s: %s", listen_at,
				 strerror(errno));
	freeaddrinfo(info);
	if (class != ERR_OK)
		return class;
	if (getnameinfo((struct sockaddr *)&bound, bound_len, NULL, 0, port, sizeof port,
			NI_NUMERICSERV) == 0)
		(void)sscanf(port, "%d", &receive->port);
	return ERR_OK;
}

static enum err_class open_loop(struct receive *receive, struct err *err)
{
	const union MHD_DaemonInfo *info;
	struct epoll_event event = {.events = EPOLLIN};

	receive->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	receive->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (receive->wake_fd < 0 || receive->epoll_fd < 0)
		return err_code(err, ERR_CONFIG, "start.os", "cannot make an event loop: %s",
				strerror(errno));
	if (!http_make_answers(receive) || !(receive->http = http_start(receive)))
		return err_code(err, ERR_CONFIG, "start.os", "cannot start the HTTP server");
	info = MHD_get_daemon_info(receive->http, MHD_DAEMON_INFO_EPOLL_FD);
	must(info);
	event.data.fd = info->epoll_fd;
	if (epoll_ctl(receive->epoll_fd, EPOLL_CTL_ADD, info->epoll_fd, &event) != 0)
		return err_code(err, ERR_CONFIG, "start.os", "cannot make an event loop: %s",
				strerror(errno));
	event.data.fd = receive->wake_fd;
	if (epoll_ctl(receive->epoll_fd, EPOLL_CTL_ADD, receive->wake_fd, &event) != 0)
		return err_code(err, ERR_CONFIG, "start.os", "cannot make an event loop: %s",
				strerror(errno));
	return ERR_OK;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void destroy(struct receive *receive)
{
	struct request *next;

	writer_on_answered(receive->writer, NULL, NULL);

	if (receive->http) {
		/* The daemon closes the socket that it listens on. */
		MHD_stop_daemon(receive->http);
		receive->listen_fd = -1;
	}
	http_free_answers(receive);
	for (struct request *request = receive->pool; request; request = next) {
		next = request->next;
		request_drop(request);
	}
	close_fd(receive->listen_fd);
	close_fd(receive->epoll_fd);
	close_fd(receive->wake_fd);
	mem_free(receive->path);
	for (size_t i = 0; i < ARRAY_LEN(receive->secrets); i++)
		sign_secret_free(receive->secrets[i]);
	mem_free(receive);
}

enum err_class receive_open(struct receive **out, const struct receive_options *options,
			    struct writer *writer, struct err *err)
{
	struct receive *receive;
	enum err_class class = check_options(options, err);

	if (class != ERR_OK)
		return class;
	receive = mem_new(1, sizeof *receive);
	receive->options = *options;
	if (receive->options.connections_max <= 0)
		receive->options.connections_max = CONNECTIONS_MAX;
	if (receive->options.connections_per_address_max <= 0)
		receive->options.connections_per_address_max = PER_ADDRESS_MAX;
	receive->path = str_dup(options->path);
	for (size_t i = 0; i < ARRAY_LEN(receive->secrets); i++)
		receive->secrets[i] = str_dup(options->secrets[i]);
	receive->writer = writer;
	atomic_init(&receive->own_app_id, options->own_app_id);
	atomic_init(&receive->own_user_id, options->own_user_id);
	receive->listen_fd = receive->epoll_fd = receive->wake_fd = -1;
	writer_on_answered(writer, on_answered, receive);
	class = bind_socket(receive, options->listen, err);
	if (class == ERR_OK)
		class = open_loop(receive, err);
	if (class != ERR_OK) {
		destroy(receive);
		return class;
	}
	*out = receive;
	return ERR_OK;
}

enum err_class receive_start(struct receive *receive, struct err *err)
{
	int rc = pthread_create(&receive->thread, NULL, serve, receive);

	if (rc != 0)
		return err_code(err, ERR_CONFIG, "start.os",
				"cannot start the receiver's thread: %s", strerror(rc));
	receive->is_running = true;
	return ERR_OK;
}

int receive_port(const struct receive *receive)
{
	return receive->port;
}

void receive_set_identity(struct receive *receive, int64_t app_id, int64_t user_id)
{
	atomic_store(&receive->own_app_id, app_id);
	atomic_store(&receive->own_user_id, user_id);
}

enum err_class receive_payload(struct receive *receive, const char *event, const char *guid,
			       const char *body, size_t len, int source, struct err *err)
{
	struct intake *intake;
	enum intake_verdict verdict = INTAKE_IRRELEVANT;
	enum err_class class;

	intake = mem_new(1, sizeof *intake);
	intake->delivery.source = source;
	intake->delivery.received_at_ms = clock_now_ms();
	if (!intake_guid(intake->delivery.guid, guid))
		class = err_set(err, ERR_USER, "the delivery's GUID is malformed");
	else if (len > RECEIVE_KEEP_MAX)
		class = err_set(err, ERR_USER, "the payload is larger than 1 MiB");
	else
		class = intake_read(intake, receive, event, body, len, &verdict, err);
	if (class == ERR_OK && verdict == INTAKE_LATER)
		class = err_set(err, ERR_TRANSIENT, "GitHub has not said yet who we are");
	if (class == ERR_OK && verdict == INTAKE_STORE && !writer_is_healthy(receive->writer))
		class = err_code(err, ERR_TRANSIENT, "store.full",
				 "no work is taken in: the database cannot be written");
	if (class == ERR_OK && verdict == INTAKE_STORE) {
		class = writer_call(receive->writer, intake_run, intake, err);
		intake_count(intake, class);
	}
	intake_dispose(intake);
	mem_free(intake);
	return class;
}

void receive_stop(struct receive *take_receive)
{
	size_t orphans;

	if (!take_receive)
		return;
	if (take_receive->is_running) {
		atomic_store(&take_receive->stopping, true);
		(void)eventfd_write(take_receive->wake_fd, 1);
		pthread_join(take_receive->thread, NULL);
	}
	orphans = take_receive->orphans;
	if (orphans > 0) {
		/* The writer hangs and will still touch these; the process is about to end anyway.
		 */
		log_warn("receive.abandoned", LOG_I("requests", orphans));
		return;
	}
	destroy(take_receive);
}
