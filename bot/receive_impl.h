/* receive_impl.h - what the files of the receiving side share; nobody else includes it.
 *
 * receive.c has the thread, its loop and its timers; receive_http.c what libmicrohttpd calls back;
 * receive_intake.c makes a stored operation out of a payload. Everything here belongs to the
 * receiving thread, except where it says otherwise. */
#ifndef KF_BOT_RECEIVE_IMPL_H
#define KF_BOT_RECEIVE_IMPL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "bot/receive.h"
#include "lib/base/sign.h"
#include "lib/core/comment.h"
#include "lib/core/event.h"
#include "lib/store/queue.h"

enum {
	RECEIVE_BODY_MAX = 25 << 20,   /* GitHub's own limit */
	RECEIVE_KEEP_MAX = 1 << 20,    /* of an event that is read */
	RECEIVE_KEEP_OTHER = 64 << 10, /* of other events; past it the body is only hashed */
	RECEIVE_DRAIN_MAX = 1 << 20, /* of a refused request, so that its sender sees the answer */
	RECEIVE_HEADER_MEMORY = 16 << 10,
	RECEIVE_REQUEST_MS = 9000,
	RECEIVE_IDLE_MS = 30000,
	RECEIVE_LINGER_MS = 1000,
	RECEIVE_STOP_MS = 2000,
};

/* --- receive_intake.c: one payload --- */

enum intake_verdict {
	INTAKE_IRRELEVANT,
	INTAKE_PONG,
	INTAKE_STORE,
	INTAKE_LATER /* nobody can tell yet: GitHub keeps it until it is asked for */
};

struct intake {
	struct event event;
	struct comment_lines lines;
	struct command_calls calls;
	char *refusal;
	char refusal_code[ERR_CODE_MAX];
	struct queue_delivery delivery;
	struct queue_intake wish;
	enum queue_outcome outcome; /* after intake_run */
};

/* Reads a payload and decides what becomes of it; delivery's guid, source and time are set before.
 * USER when it is not what its event should be. Ends with intake_dispose in every case. Any thread.
 */
enum err_class intake_read(struct intake *intake, const struct receive *receive, const char *event,
			   const char *body, size_t len, enum intake_verdict *out,
			   struct err *err) MUST_CHECK;
void intake_dispose(struct intake *intake);

/* For writer_op.run; `arg` is the intake. */
enum err_class intake_run(struct db *db, void *arg, struct err *err) MUST_CHECK;

/* Counts a delivery that was stored, or failed to be. Any thread. */
void intake_count(const struct intake *intake, enum err_class class);

/* "72d3162e-cc78-11e3-81ab-4c9367dc0958" to sixteen bytes. */
bool intake_guid(unsigned char out[16], const char *text);

/* --- requests and connections --- */

/* Every answer that does not depend on the request is made once, at the start. */
enum answer {
	ANSWER_NONE,
#define ANSWER(symbol, status, extra, value, text) ANSWER_##symbol,
#include "bot/receive_answers.def"
#undef ANSWER
	ANSWER_COUNT
};

enum head_field {
	HEAD_EVENT,
	HEAD_GUID,
	HEAD_SIGNATURE,
	HEAD_TYPE,
	HEAD_LENGTH,
	HEAD_TRANSFER,
	HEAD_ENCODING,
	HEAD_COUNT
};

/* One webhook while it is in hand. Pooled; the body's memory stays with it. */
struct request {
	struct writer_op op;
	struct intake intake;
	struct receive *receive;
	struct client *client; /* NULL: the connection ended while the writer had the operation */
	struct request *next;  /* in the pool, or in the stack of those that came back */
	const char *head[HEAD_COUNT]; /* in the connection's memory, for the life of the request */
	char *body;
	size_t body_cap, body_kept;
	uint64_t body_len; /* as received */
	size_t keep_max;
	struct sign_hmac_stream *streams[2]; /* [0] is kept with the request, [1] is rare */
	enum answer answer;
	enum err_class class; /* what the writer said */
	bool is_webhook;
	bool is_cut; /* the body is longer than keep_max: only hashed from there */
	bool at_writer;
};

/* What a connection is waiting for; each kind but the first has a fixed time limit. */
enum wait {
	WAIT_COMMIT,  /* suspended */
	WAIT_REQUEST, /* the rest of a request, or for its answer to be taken */
	WAIT_CALL,    /* idle between requests */
	WAIT_CLOSE,   /* answered out of turn, lingers */
	WAIT_KINDS
};

struct client {
	struct MHD_Connection *connection;
	struct request *request; /* NULL between requests */
	int fd;
	enum wait wait;
	int64_t since_ms; /* monotonic */
	struct client *prev, *next;
};

struct client_list {
	struct client *first, *last; /* oldest first */
	size_t count;
};

struct receive {
	struct receive_options options;
	char *path;
	char *secrets[2];
	struct writer *writer;
	_Atomic int64_t own_app_id, own_user_id;

	struct MHD_Daemon *http;
	struct MHD_Response *answers[ANSWER_COUNT];
	int listen_fd, epoll_fd, wake_fd, port;
	pthread_t thread;
	bool is_running;
	atomic_bool stopping;
	bool is_leaving; /* the thread has seen `stopping` */
	bool checks_layout;
	int unheard; /* requests handed to the writer since it was last woken */

	int64_t now_ms; /* monotonic, of this turn of the loop */
	struct client_list waits[WAIT_KINDS];
	struct request *pool;
	size_t pool_count;
	size_t orphans;			   /* requests at the writer whose connection is gone */
	int64_t refused_since_ms, refused; /* for one log line a minute */
	int64_t limit_said_ms;

	_Atomic(struct request *) returned; /* pushed by the writer's thread, taken by ours */
};

/* receive.c */
struct request *request_new(struct receive *receive, struct client *client);
void request_free(struct request *request);
void client_wait(struct receive *receive, struct client *client, enum wait wait);
void client_cut(struct receive *receive, struct client *client);
void request_returned(struct request *request); /* the writer's thread */
void receive_wake_writer(struct receive *receive);

/* receive_http.c */
struct MHD_Daemon *http_start(struct receive *receive);
bool http_make_answers(struct receive *receive);
void http_free_answers(struct receive *receive);
void http_answer_returned(struct receive *receive, struct request *request);

#endif
