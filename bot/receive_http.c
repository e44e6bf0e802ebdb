/* receive_http.c - what libmicrohttpd calls back, and the checks in their order: path and method,
 * shape of the headers, size, content type, form of the signature; then the body, kept or only
 * hashed; then the signature over the raw bytes; and only then JSON.
 *
 * libmicrohttpd 0.9.75 takes some things that a proxy in front may read differently: a bare line
 * feed, a folded header, a NUL inside a value, two lengths. It does not tell, but it cuts the lines
 * where they lie, with a zero for CR and for LF. So in a clean request each name begins exactly two
 * bytes after the value before it, and the head ends four bytes after the last; anything else is
 * refused (versions from 1.0 on refuse by themselves and lay things out in their own way, so there
 * the layout is not looked at). */
#include "bot/receive_impl.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/core/signature.h"

enum { WAKE_EVERY = 16, PAGE_MAX = 4 << 20, BODY_START = 16 << 10, REFUSED_EVERY_MS = 60000 };

#define FIELD(name_)                                                                               \
	{                                                                                          \
		.name = (name_), .len = sizeof(name_) - 1                                          \
	}
static const struct {
	const char *name;
	size_t len;
} fields[HEAD_COUNT] = {
	[HEAD_EVENT] = FIELD("X-GitHub-Event"),
	[HEAD_GUID] = FIELD("X-GitHub-Delivery"),
	[HEAD_SIGNATURE] = FIELD("X-Hub-Signature-256"),
	[HEAD_TYPE] = FIELD("Content-Type"),
	[HEAD_LENGTH] = FIELD("Content-Length"),
	[HEAD_TRANSFER] = FIELD("Transfer-Encoding"),
	[HEAD_ENCODING] = FIELD("Content-Encoding"),
};

static const struct {
	unsigned status;
	const char *extra, *value, *text;
} answers[ANSWER_COUNT] = {
#define ANSWER(symbol, status_, extra_, value_, text_)                                             \
	[ANSWER_##symbol] = {status_, extra_, value_, text_},
#include "bot/receive_answers.def"
#undef ANSWER
};

/* --- answers --- */

static bool add_common_headers(struct MHD_Response *response, const char *type)
{
	return MHD_add_response_header(response, "Content-Type", type) == MHD_YES &&
	       MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES &&
	       MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES;
}

bool http_make_answers(struct receive *receive)
{
	char text[128];

	for (int i = ANSWER_NONE + 1; i < ANSWER_COUNT; i++) {
		struct MHD_Response *response;

		must(str_copy(text, sizeof text, answers[i].text));
		response =
			MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
		receive->answers[i] = response;
		if (!response || !add_common_headers(response, "text/plain") ||
		    (answers[i].extra && MHD_add_response_header(response, answers[i].extra,
								 answers[i].value) != MHD_YES))
			return false;
	}
	return true;
}

void http_free_answers(struct receive *receive)
{
	for (int i = 0; i < ANSWER_COUNT; i++)
		if (receive->answers[i])
			MHD_destroy_response(receive->answers[i]);
}

/* One line a minute at most: whoever may send us anything must not fill the log. */
static void note_refusal(struct receive *receive)
{
	receive->refused++;
	if (receive->refused_since_ms &&
	    receive->now_ms - receive->refused_since_ms < REFUSED_EVERY_MS)
		return;
	log_warn("receive.unauthorized", LOG_I("requests", receive->refused),
		 LOG_S("hint", "the secret of the hook is not the one configured here"));
	receive->refused_since_ms = receive->now_ms;
	receive->refused = 0;
}

static void count_answer(struct receive *receive, enum answer answer)
{
	switch (answer) {
	case ANSWER_ACCEPTED: /* counted as stored or duplicate */
		break;
	case ANSWER_IGNORED:
	case ANSWER_PONG:
		metrics_add(METRIC_DELIVERIES, "irrelevant", 1);
		break;
	case ANSWER_BUSY:
		metrics_add(METRIC_DELIVERIES, "busy", 1);
		break;
	case ANSWER_UNAUTHORIZED:
		note_refusal(receive);
		metrics_add(METRIC_DELIVERIES, "refused", 1);
		break;
	default:
		metrics_add(METRIC_DELIVERIES, "refused", 1);
		break;
	}
}

static enum MHD_Result send_answer(struct request *request)
{
	struct client *client = request->client;

	client_wait(request->receive, client, WAIT_REQUEST);
	return MHD_queue_response(client->connection, answers[request->answer].status,
				  request->receive->answers[request->answer]);
}

/* libmicrohttpd takes no answer in the middle of a body, so this one is written past it. What still
 * comes is thrown away for a moment: closing at once would make the kernel reset the connection,
 * and the sender would never see why. */
static void answer_in_body(struct request *request)
{
	struct client *client = request->client;
	char text[256];
	int len = snprintf(text, sizeof text,
			   "HTTP/1.1 %u Content Too Large\r\nConnection: close\r\n"
			   "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
			   answers[request->answer].status, strlen(answers[request->answer].text),
			   answers[request->answer].text);

	if (send(client->fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) == len)
		shutdown(client->fd, SHUT_WR);
	count_answer(request->receive, request->answer);
	client_wait(request->receive, client, WAIT_CLOSE);
}

/* --- headers --- */

struct head_reader {
	struct request *request;
	const char *end; /* of the value before; NULL: the layout is not looked at */
	bool is_malformed;
	bool is_doubled_signature;
};

/* No controls, blanks or bytes from DEL on. */
static bool is_name(const char *text, size_t len)
{
	unsigned bad = len == 0;

	for (size_t i = 0; i < len; i++)
		bad |= ((unsigned char)text[i] <= ' ') | ((unsigned char)text[i] >= 0x7f);
	return !bad;
}

/* Of the three bytes that a value must not have (RFC 9110 section 5.5) a line feed would have ended
 * it and a NUL shows in the layout; a bare CR is left. */
static bool is_value(const char *text, size_t len)
{
	return !memchr(text, '\r', len);
}

static enum MHD_Result read_field(void *arg, enum MHD_ValueKind kind, const char *key,
				  size_t key_len, const char *value, size_t value_len)
{
	struct head_reader *reader = arg;
	const char **head = reader->request->head;

	(void)kind;
	if (!value || !is_name(key, key_len) || !is_value(value, value_len) ||
	    (reader->end && key != reader->end + 2)) {
		reader->is_malformed = true;
		return MHD_NO;
	}
	if (reader->end)
		reader->end = value + value_len;
	for (int i = 0; i < HEAD_COUNT; i++) {
		if (key_len != fields[i].len || strncasecmp(key, fields[i].name, key_len) != 0)
			continue;
		if (head[i] && i == HEAD_SIGNATURE)
			reader->is_doubled_signature = true;
		else if (head[i])
			reader->is_malformed = true;
		head[i] = value;
		break;
	}
	return MHD_YES;
}

static bool is_json_type(const char *type)
{
	static const char json[] = "application/json";
	size_t len = sizeof json - 1;

	if (!type || strncasecmp(type, json, len) != 0)
		return false;
	return type[len] == '\0' || type[len] == ';' || type[len] == ' ';
}

static bool is_signature_form(const char *signature)
{
	return signature && str_starts(signature, "sha256=") &&
	       str_is_hex(signature + strlen("sha256="), 2 * SIGN_SHA256_LEN);
}

static bool is_event_name(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	if (len == 0 || len > 100)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_", name[i]))
			return false;
	return true;
}

/* Declared length; -1: chunked. Past int64 counts as the most that there is. */
static int64_t declared_length(const struct request *request)
{
	int64_t len;

	if (request->head[HEAD_TRANSFER])
		return -1;
	if (!request->head[HEAD_LENGTH])
		return 0;
	return str_to_int64(&len, request->head[HEAD_LENGTH]) && len >= 0 ? len : INT64_MAX;
}

/* The first secret is hashed while the body comes in, when the bytes are still in the cache. */
static void start_streams(struct request *request)
{
	const char *secret = request->receive->secrets[0];

	if (request->streams[0])
		sign_hmac_stream_start(request->streams[0]);
	else
		request->streams[0] = sign_hmac_stream_new(secret, strlen(secret));
}

static enum answer judge_webhook(struct request *request, const char *method,
				 bool is_doubled_signature)
{
	const char *const *head = request->head;

	if (!str_eq(method, MHD_HTTP_METHOD_POST))
		return ANSWER_POST_ONLY;
	if (declared_length(request) > RECEIVE_BODY_MAX)
		return ANSWER_TOO_LARGE;
	if (!is_json_type(head[HEAD_TYPE]) || head[HEAD_ENCODING])
		return ANSWER_NOT_JSON;
	if (is_doubled_signature || !is_signature_form(head[HEAD_SIGNATURE]))
		return ANSWER_UNAUTHORIZED;
	if (!is_event_name(head[HEAD_EVENT]) ||
	    !intake_guid(request->intake.delivery.guid, head[HEAD_GUID]))
		return ANSWER_BAD_HEADERS;
	start_streams(request);
	request->keep_max = event_is_read(head[HEAD_EVENT]) ? RECEIVE_KEEP_MAX : RECEIVE_KEEP_OTHER;
	return ANSWER_NONE;
}

/* Did the last line and the empty one behind it end in CR LF each? The size of the head tells. */
static bool ends_clean(const struct head_reader *reader, const char *method)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		reader->request->client->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return !reader->end || (info && (ptrdiff_t)info->header_size == reader->end + 4 - method);
}

/* All that can be said before the body is. */
static enum MHD_Result begin(struct client *client, struct receive *receive, const char *url,
			     const char *method, const char *version)
{
	struct request *request = request_new(receive, client);
	struct head_reader reader = {.request = request};
	const char *const *head = request->head;
	int64_t length;

	client->request = request;
	request->is_webhook = str_eq(url, receive->path);
	if (receive->checks_layout)
		reader.end = version + strlen(version);
	MHD_get_connection_values_n(client->connection, MHD_HEADER_KIND, read_field, &reader);
	if (reader.is_malformed || !ends_clean(&reader, method) ||
	    (head[HEAD_TRANSFER] &&
	     (head[HEAD_LENGTH] || strcasecmp(head[HEAD_TRANSFER], "chunked") != 0)))
		request->answer = ANSWER_BAD_REQUEST;
	else if (request->is_webhook)
		request->answer = judge_webhook(request, method, reader.is_doubled_signature);
	else if (declared_length(request) > RECEIVE_DRAIN_MAX)
		request->answer = ANSWER_TOO_LARGE;
	if (request->answer == ANSWER_NONE)
		return MHD_YES;
	length = declared_length(request);
	if (length >= 0 && length <= RECEIVE_DRAIN_MAX && request->answer != ANSWER_BAD_REQUEST)
		return MHD_YES; /* read to its end first, then answered */
	count_answer(receive, request->answer);
	return send_answer(request);
}

/* --- body --- */

static void keep(struct request *request, const char *data, size_t len)
{
	size_t need = request->body_kept + len, cap = request->body_cap;

	if (need > cap) {
		cap = cap ? cap : BODY_START;
		while (cap < need)
			cap *= 2;
		request->body = mem_grow(request->body, cap);
		request->body_cap = cap;
	}
	memcpy(request->body + request->body_kept, data, len);
	request->body_kept = need;
}

/* The second secret's stream begins when the body turns out to be too long to be kept. */
static void hash_second(struct request *request, const char *data, size_t len)
{
	const char *secret = request->receive->secrets[1];

	if (!secret)
		return;
	if (!request->streams[1]) {
		request->streams[1] = sign_hmac_stream_new(secret, strlen(secret));
		sign_hmac_stream_add(request->streams[1], request->body, request->body_kept);
	}
	sign_hmac_stream_add(request->streams[1], data, len);
}

static void take_body(struct request *request, const char *data, size_t len)
{
	request->body_len += len;
	if (request->client->wait == WAIT_CLOSE)
		return;
	if (request->body_len > RECEIVE_BODY_MAX ||
	    (!request->is_webhook && request->body_len > RECEIVE_DRAIN_MAX)) {
		request->answer = ANSWER_TOO_LARGE;
		answer_in_body(request);
		return;
	}
	if (request->answer != ANSWER_NONE || !request->is_webhook)
		return;
	sign_hmac_stream_add(request->streams[0], data, len);
	if (!request->is_cut && request->body_kept + len <= request->keep_max) {
		keep(request, data, len);
		return;
	}
	request->is_cut = true;
	hash_second(request, data, len);
}

static bool is_digest(struct sign_hmac_stream *stream, const unsigned char *given)
{
	unsigned char digest[SIGN_SHA256_LEN];

	sign_hmac_stream_end(stream, digest);
	return sign_equal(given, digest, sizeof digest);
}

static bool is_authentic(struct request *request)
{
	const char *header = request->head[HEAD_SIGNATURE];
	const char *second = request->receive->secrets[1];
	unsigned char given[SIGN_SHA256_LEN];

	if (!str_unhex(given, header + strlen("sha256="), sizeof given))
		return false;
	if (is_digest(request->streams[0], given))
		return true;
	if (request->streams[1])
		return is_digest(request->streams[1], given);
	return second && signature_is_valid(header, request->body ? request->body : "",
					    request->body_kept, &second, 1);
}

/* --- the whole request --- */

static enum err_class writer_run(struct db *db, void *arg, struct err *err)
{
	struct request *request = arg;

	return intake_run(db, &request->intake, err);
}

static void writer_done(void *arg, enum err_class class, const struct err *err)
{
	struct request *request = arg;

	(void)err;
	request->class = class;
	request_returned(request);
}

static enum answer submit(struct request *request)
{
	struct receive *receive = request->receive;
	struct err err;

	if (!writer_is_healthy(receive->writer) || receive->is_leaving)
		return ANSWER_BUSY;
	request->op.run = writer_run;
	request->op.done = writer_done;
	request->op.arg = request;
	request->op.may_repeat = true;
	CRASH_POINT("receive.before_queue");
	request->at_writer = true;
	if (writer_submit_quietly(receive->writer, &request->op, &err) == ERR_OK) {
		if (++receive->unheard >= WAKE_EVERY)
			receive_wake_writer(receive);
		return ANSWER_NONE;
	}
	request->at_writer = false;
	return ANSWER_BUSY;
}

/* NONE: it is to be stored. */
static enum answer judge_body(struct request *request)
{
	enum intake_verdict verdict;
	const char *event = request->head[HEAD_EVENT];
	struct err err;

	if (!is_authentic(request))
		return ANSWER_UNAUTHORIZED;
	if (request->is_cut)
		return event_is_read(event) && !event_is_hint(event) ? ANSWER_TOO_LARGE_TO_READ
								     : ANSWER_IGNORED;
	request->intake.delivery.received_at_ms = clock_now_ms();
	if (intake_read(&request->intake, request->receive, event,
			request->body ? request->body : "", request->body_kept, &verdict,
			&err) != ERR_OK) {
		log_debug("receive.bad_body", LOG_S("delivery", request->head[HEAD_GUID]),
			  LOG_S("cause", err.msg));
		return ANSWER_BAD_BODY;
	}
	if (verdict == INTAKE_PONG)
		return ANSWER_PONG;
	if (verdict == INTAKE_LATER)
		return ANSWER_BUSY;
	return verdict == INTAKE_IRRELEVANT ? ANSWER_IGNORED : ANSWER_NONE;
}

static enum MHD_Result send_page(struct request *request, int status, struct buf *body,
				 const char *type)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;

	if (response && add_common_headers(response, type ? type : "text/plain")) {
		client_wait(request->receive, request->client, WAIT_REQUEST);
		result =
			MHD_queue_response(request->client->connection, (unsigned)status, response);
	}
	if (response)
		MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_page(struct request *request, const char *url, const char *method)
{
	const struct receive_options *options = &request->receive->options;
	AUTO_BUF struct buf body = buf_make(PAGE_MAX);
	const char *type = NULL;
	int status = options->page ? options->page(options->arg, url, &body, &type) : 0;
	bool is_read = str_eq(method, MHD_HTTP_METHOD_GET) || str_eq(method, MHD_HTTP_METHOD_HEAD);

	if (status && is_read)
		return send_page(request, status, &body, type);
	request->answer = status ? ANSWER_GET_ONLY : ANSWER_NOT_FOUND;
	return send_answer(request);
}

static enum MHD_Result finish(struct request *request, const char *url, const char *method)
{
	struct client *client = request->client;

	if (client->wait == WAIT_CLOSE)
		return MHD_NO;
	if (request->answer == ANSWER_NONE) {
		must(!request->at_writer);
		if (!request->is_webhook)
			return answer_page(request, url, method);
		request->answer = judge_body(request);
		if (request->answer == ANSWER_NONE)
			request->answer = submit(request);
		if (request->answer == ANSWER_NONE) {
			MHD_suspend_connection(client->connection);
			client_wait(request->receive, client, WAIT_COMMIT);
			return MHD_YES;
		}
	}
	if (request->is_webhook && request->class == ERR_OK)
		count_answer(request->receive, request->answer);
	return send_answer(request);
}

/* The writer has answered, or will not in time: the connection goes on, and libmicrohttpd
 * calls `handle` once more. */
void http_answer_returned(struct receive *receive, struct request *request)
{
	bool failed = request->at_writer || request->class != ERR_OK;

	request->answer = failed ? ANSWER_BUSY : ANSWER_ACCEPTED;
	client_wait(receive, request->client, WAIT_REQUEST);
	MHD_resume_connection(request->client->connection);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **context)
{
	struct client *client = *context;

	(void)connection;
	if (!client->request)
		return begin(client, arg, url, method, version);
	if (*size > 0) {
		take_body(client->request, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return finish(client->request, url, method);
}

/* --- connections --- */

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	must(info && info->socket_context);
	return info->socket_context;
}

/* The request line is there: from now on the request's time runs. For the first request of
 * a connection it has run since the connection was made. */
static void *on_request_line(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct client *client = client_of(connection);

	(void)uri;
	if (client->wait == WAIT_CALL)
		client_wait(arg, client, WAIT_REQUEST);
	return client;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode why)
{
	struct receive *receive = arg;
	struct client *client = *context;
	struct request *request = client ? client->request : NULL;

	(void)connection;
	(void)why;
	*context = NULL;
	if (!client)
		return;
	if (request) {
		if (request->is_webhook)
			CRASH_POINT("receive.answered");
		client->request = NULL;
		request->client = NULL;
		if (request->at_writer)
			receive->orphans++;
		else
			request_free(request);
	}
	if (client->wait != WAIT_CLOSE)
		client_wait(receive, client, WAIT_CALL);
	if (receive->is_leaving)
		client_cut(receive, client);
}

/* When nearly all places are taken, those who do nothing make room, then the slowest. */
static void make_room(struct receive *receive)
{
	size_t count = 0;
	struct client *oldest = receive->waits[WAIT_REQUEST].first;

	for (int i = 0; i < WAIT_KINDS; i++)
		count += receive->waits[i].count;
	if (count < (size_t)receive->options.connections_max / 8 * 7)
		return;
	if (receive->waits[WAIT_CALL].first)
		client_cut(receive, receive->waits[WAIT_CALL].first);
	else if (oldest && receive->now_ms - oldest->since_ms > 1000)
		client_cut(receive, oldest);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct receive *receive = arg;
	struct client *client = *context;
	const union MHD_ConnectionInfo *info;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		make_room(receive);
		client = mem_new(1, sizeof *client);
		client->connection = connection;
		client->fd = info->connect_fd;
		client->wait = WAIT_KINDS;
		*context = client;
		client_wait(receive, client, WAIT_REQUEST);
	} else if (client) {
		client_wait(receive, client, WAIT_KINDS);
		mem_free(client);
		*context = NULL;
	}
}

__attribute__((format(printf, 2, 0))) static void on_log(void *arg, const char *fmt, va_list args)
{
	struct receive *receive = arg;
	char text[200];

	vsnprintf(text, sizeof text, fmt, args);
	text[strcspn(text, "\r\n")] = '\0';
	if (strstr(text, "resource limit") &&
	    receive->now_ms - receive->limit_said_ms > REFUSED_EVERY_MS) {
		receive->limit_said_ms = receive->now_ms;
		log_warn("receive.limit", LOG_S("cause", text));
	} else {
		log_debug("receive.http", LOG_S("cause", text));
	}
}

struct MHD_Daemon *http_start(struct receive *receive)
{
	const struct receive_options *options = &receive->options;
	/* The socket is bound by us, so only its family matters here. */
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

	receive->checks_layout = str_starts(MHD_get_version(), "0.9.");
	return MHD_start_daemon(
		flags, 0, NULL, NULL, handle, receive, MHD_OPTION_EXTERNAL_LOGGER, on_log, receive,
		MHD_OPTION_LISTEN_SOCKET, receive->listen_fd, MHD_OPTION_URI_LOG_CALLBACK,
		on_request_line, receive, MHD_OPTION_NOTIFY_COMPLETED, on_completed, receive,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, receive, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)options->connections_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned)options->connections_per_address_max, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)RECEIVE_HEADER_MEMORY,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}
