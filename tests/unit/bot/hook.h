/* hook.h - GitHub's side of a webhook for tests: payloads, signatures, raw sockets, and a receiver
 * with a real store behind it. Include once per test program. */
#ifndef KF_TESTS_UNIT_BOT_HOOK_H
#define KF_TESTS_UNIT_BOT_HOOK_H

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "bot/receive.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/sign.h"
#include "lib/commands/commands.h"
#include "lib/store/queue.h"
#include "tests/unit/bot/scratch.h"

enum { HOOK_REPO = 1296269, HOOK_ANN = 1001, HOOK_APP = 4711, HOOK_BOT = 2002, REPLY_MAX = 16384 };

#define HOOK_SECRET	"It's a Secret to Everybody"
#define HOOK_OLD_SECRET "yesterday's secret"

/* --- the bot under test --- */

static struct {
	struct scratch scratch;
	struct db *db;
	struct writer *writer;
	struct receive *receive;
	int port;
} bot;

static bool hook_is_allowed(void *arg, const char *repo)
{
	(void)arg;
	return str_eq(repo, "octo/iris");
}

static int hook_page(void *arg, const char *path, struct buf *body, const char **type)
{
	(void)arg;
	if (!str_eq(path, "/healthz"))
		return 0;
	*type = "text/plain; charset=utf-8";
	buf_puts(body, "ok\n");
	return 200;
}

static struct receive_options hook_options(void)
{
	return (struct receive_options){
		.listen = "127.0.0.1:0",
		.path = "/webhook",
		.secrets = {HOOK_SECRET, HOOK_OLD_SECRET},
		.commands = &commands,
		.own_app_id = HOOK_APP,
		.own_user_id = HOOK_BOT,
		.job_deadline_ms = 3600000,
		.comment_age_max_ms = INT64_C(6) * 3600000,
		.repo_is_allowed = hook_is_allowed,
		.page = hook_page,
	};
}

static void bot_open(const struct receive_options *options, size_t queue_max)
{
	struct err err;

	if (db_open(&bot.db, bot.scratch.db, clock_now_ms(), &err) != ERR_OK ||
	    writer_start(&bot.writer, bot.db, queue_max, &err) != ERR_OK ||
	    receive_open(&bot.receive, options, bot.writer, &err) != ERR_OK ||
	    receive_start(bot.receive, &err) != ERR_OK)
		fail_msg("%s", err.msg);
	bot.port = receive_port(bot.receive);
}

static void bot_close(void)
{
	receive_stop(bot.receive);
	bot.receive = NULL;
	writer_stop(bot.writer);
	bot.writer = NULL;
	db_close(bot.db);
	bot.db = NULL;
}

static inline void bot_reopen(const struct receive_options *options, size_t queue_max)
{
	bot_close();
	bot_open(options, queue_max);
}

static int bot_setup(void **state)
{
	struct receive_options options = hook_options();
	struct rlimit files = {.rlim_cur = 4096, .rlim_max = 4096};

	(void)state;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	log_set_level(LOG_LEVEL_ERROR);
	scratch_make(&bot.scratch);
	bot_open(&options, 1024);
	return 0;
}

static int bot_teardown(void **state)
{
	(void)state;
	bot_close();
	scratch_drop(&bot.scratch);
	return 0;
}

/* All jobs of the store, in whatever state. */
static inline int64_t bot_job_count(void)
{
	struct queue_counts counts;
	struct db *reader;
	struct err err;
	int64_t all = 0;

	if (db_open_reader(&reader, bot.scratch.db, &err) != ERR_OK ||
	    queue_count(reader, clock_now_ms(), &counts, &err) != ERR_OK)
		fail_msg("%s", err.msg);
	db_close(reader);
	for (size_t i = 0; i < ARRAY_LEN(counts.by_state); i++)
		all += counts.by_state[i];
	return all;
}

static inline int64_t deliveries(const char *outcome)
{
	return metrics_get(METRIC_DELIVERIES, outcome);
}

/* --- a writer that stands still --- */

static struct {
	struct writer_op op;
	sem_t entered, open, done;
} gate;

static enum err_class run_gate(struct db *db, void *arg, struct err *err)
{
	(void)db;
	(void)arg;
	(void)err;
	sem_post(&gate.entered);
	sem_wait(&gate.open);
	return ERR_OK;
}

static void done_gate(void *arg, enum err_class class, const struct err *err)
{
	(void)arg;
	(void)class;
	(void)err;
	sem_post(&gate.done);
}

/* Returns when the writer is inside a transaction and stays there. */
static inline void gate_close(void)
{
	sem_init(&gate.done, 0, 0);
	sem_init(&gate.entered, 0, 0);
	sem_init(&gate.open, 0, 0);
	gate.op = (struct writer_op){.run = run_gate, .done = done_gate};
	assert_int_equal(writer_submit(bot.writer, &gate.op, NULL), ERR_OK);
	sem_wait(&gate.entered);
}

static inline void gate_open(void)
{
	sem_post(&gate.open);
	sem_wait(&gate.done);
}

/* --- payloads --- */

static atomic_int hook_serial = 1000;

static inline int hook_next(void)
{
	return atomic_fetch_add(&hook_serial, 1);
}

/* What a comment's payload says; zero fields take a usual value. */
struct comment_spec {
	const char *text;   /* JSON text without the quotes */
	const char *action; /* "created" */
	const char *state;  /* "open" */
	const char *repo;   /* "octo/iris" */
	int64_t id, pr;	    /* 0: new ones */
	int64_t age_ms;
	int64_t user_id;
	int64_t app_id; /* performed_via_github_app */
	const char *user_type;
};

static char *comment_payload(const struct comment_spec *spec)
{
	int serial = hook_next();
	char at[21], app[64] = "null";

	clock_rfc3339(at, clock_now_ms() - spec->age_ms);
	if (spec->app_id)
		snprintf(app, sizeof app, "{\"id\":%lld,\"slug\":\"x\"}", (long long)spec->app_id);
	return str_printf(
		"{\"action\":\"%s\",\"issue\":{\"number\":%lld,\"state\":\"%s\",\"pull_request\":"
		"{\"url\":\"u\",\"merged_at\":null}},\"comment\":{\"id\":%lld,\"body\":\"%s\","
		"\"created_at\":\"%s\",\"user\":{\"login\":\"ann\",\"id\":%lld,\"type\":\"%s\"},"
		"\"performed_via_github_app\":%s},\"repository\":{\"id\":%d,\"full_name\":\"%s\","
		"\"default_branch\":\"main\"},\"sender\":{\"login\":\"ann\",\"id\":%lld,\"type\":"
		"\"%s\"},\"installation\":{\"id\":99}}",
		spec->action ? spec->action : "created", (long long)(spec->pr ? spec->pr : serial),
		spec->state ? spec->state : "open", (long long)(spec->id ? spec->id : serial),
		spec->text ? spec->text : "/build", at,
		(long long)(spec->user_id ? spec->user_id : HOOK_ANN),
		spec->user_type ? spec->user_type : "User", app, HOOK_REPO,
		spec->repo ? spec->repo : "octo/iris",
		(long long)(spec->user_id ? spec->user_id : HOOK_ANN),
		spec->user_type ? spec->user_type : "User");
}

static void hook_guid(char out[37])
{
	snprintf(out, 37, "%08x-0000-4000-8000-%012x", (unsigned)hook_next(), (unsigned)getpid());
}

static void hook_sign(char out[72], const char *secret, const void *body, size_t len)
{
	unsigned char digest[SIGN_SHA256_LEN];

	sign_hmac_sha256(digest, secret, strlen(secret), body, len);
	memcpy(out, "sha256=", 7);
	str_hex(out + 7, digest, sizeof digest);
}

/* One webhook; NULL fields take what GitHub would send, "" leaves the header out. */
struct hook {
	const char *event, *guid, *secret, *signature, *type, *length;
	const char *add; /* more header lines, each with its CRLF */
	const char *body;
	size_t body_len; /* 0: strlen */
};

static void put_header(struct buf *out, const char *name, const char *value, const char *usual)
{
	if (!value)
		value = usual;
	if (*value)
		buf_printf(out, "%s: %s\r\n", name, value);
}

/* Appends a whole request. */
static void hook_write(struct buf *out, const struct hook *hook)
{
	size_t len = hook->body_len ? hook->body_len : strlen(hook->body);
	char guid[37], signature[72], length[32];

	hook_guid(guid);
	hook_sign(signature, hook->secret ? hook->secret : HOOK_SECRET, hook->body, len);
	snprintf(length, sizeof length, "%zu", len);
	buf_puts(out, "POST /webhook HTTP/1.1\r\nHost: bot.example\r\n"
		      "User-Agent: GitHub-Hookshot/044aadd\r\n");
	put_header(out, "X-GitHub-Event", hook->event, "issue_comment");
	put_header(out, "X-GitHub-Delivery", hook->guid, guid);
	put_header(out, "X-Hub-Signature-256", hook->signature, signature);
	put_header(out, "Content-Type", hook->type, "application/json");
	put_header(out, "Content-Length", hook->length, length);
	buf_printf(out, "%s\r\n", hook->add ? hook->add : "");
	buf_add(out, hook->body, len);
}

/* --- sockets --- */

static int wire_open(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)bot.port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

/* False when the far side has closed before all was sent. */
static bool wire_send(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		at += sent;
		len -= (size_t)sent;
	}
	return true;
}

struct reply {
	int status; /* 0: closed or silent */
	size_t len;
	char text[REPLY_MAX]; /* head and body */
};

static bool reply_is_whole(struct reply *reply)
{
	const char *end = strstr(reply->text, "\r\n\r\n");
	const char *length = strcasestr(reply->text, "\r\nContent-Length:");
	long long want = 0;

	if (!end || sscanf(reply->text, "HTTP/1.%*c %d", &reply->status) != 1)
		return false;
	if (reply->status == 100) { /* an interim answer */
		reply->len -= (size_t)(end + 4 - reply->text);
		memmove(reply->text, end + 4, reply->len + 1);
		reply->status = 0;
		return reply_is_whole(reply);
	}
	if (length && length < end)
		(void)sscanf(length + 17, "%lld", &want);
	return reply->len >= (size_t)(end + 4 - reply->text) + (size_t)want;
}

/* Reads one answer. */
static int wire_read(int fd, struct reply *reply, int timeout_ms)
{
	int64_t end_ms = clock_mono_ms() + timeout_ms;

	memset(reply, 0, offsetof(struct reply, text) + 1);
	while (!reply_is_whole(reply)) {
		struct pollfd poller = {.fd = fd, .events = POLLIN};
		int left_ms = (int)(end_ms - clock_mono_ms());
		ssize_t got;

		reply->status = 0;
		if (left_ms <= 0 || poll(&poller, 1, left_ms) <= 0)
			return 0;
		got = recv(fd, reply->text + reply->len, REPLY_MAX - 1 - reply->len, 0);
		if (got <= 0)
			return 0;
		reply->len += (size_t)got;
		reply->text[reply->len] = '\0';
	}
	return reply->status;
}

/* True when the far side closes within the time. */
static inline bool wire_is_closed(int fd, int timeout_ms)
{
	int64_t end_ms = clock_mono_ms() + timeout_ms;
	char unused[4096];

	for (;;) {
		struct pollfd poller = {.fd = fd, .events = POLLIN};
		int left_ms = (int)(end_ms - clock_mono_ms());

		if (poll(&poller, 1, left_ms > 0 ? left_ms : 0) <= 0)
			return false;
		if (recv(fd, unused, sizeof unused, 0) <= 0)
			return true;
	}
}

/* Sends bytes on a connection of their own; the answer's status. */
static inline int wire_ask(const void *bytes, size_t len, struct reply *reply)
{
	int fd = wire_open(), status;

	(void)wire_send(fd, bytes, len);
	status = wire_read(fd, reply, 12000);
	close(fd);
	return status;
}

static inline int hook_send(const struct hook *hook, struct reply *reply)
{
	struct buf bytes = buf_make(64 << 20);
	int status;

	hook_write(&bytes, hook);
	status = wire_ask(bytes.data, bytes.len, reply);
	buf_dispose(&bytes);
	return status;
}

static inline int comment_send(const struct comment_spec *spec, const char *guid)
{
	static struct reply reply;
	char *body = comment_payload(spec);
	int status = hook_send(&(struct hook){.body = body, .guid = guid}, &reply);

	mem_free(body);
	return status;
}

#endif
