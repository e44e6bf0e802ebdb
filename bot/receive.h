/* receive.h - HTTP in: GitHub's webhooks, and the health pages.
 *
 * libmicrohttpd driven by our own epoll loop in one thread (its internal loop stalls on batches of
 * exactly 128 events). Order: method and path, size, headers, HMAC over the raw bytes, and only
 * then JSON. 202 only after the commit, 503 when it failed or the queue is full. Own deadline of 9
 * s per request, a connection limit per address. */
#ifndef KF_BOT_RECEIVE_H
#define KF_BOT_RECEIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "bot/writer.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/core/command.h"

struct receive;

struct receive_options {
	const char *listen;	/* "127.0.0.1:8080", "[::1]:8080" */
	const char *path;	/* "/webhook" */
	const char *secrets[2]; /* [1] may be NULL; [0] must not be empty */
	const struct command_table *commands;
	int64_t own_app_id, own_user_id; /* 0: unknown yet; see receive_set_identity */
	int64_t job_deadline_ms;
	int64_t comment_age_max_ms;	 /* older: refused as late */
	int connections_max;		 /* 0: 1024 */
	int connections_per_address_max; /* 0: 512 */
	bool (*repo_is_allowed)(void *arg, const char *repo);
	/* A push to the default branch was heard of; called often, on the thread that receives, and
	 * may be NULL. Nothing is stored of it. */
	void (*default_branch_moved)(void *arg, const char *repo);
	/* GET pages other than the webhook: fills body and type, returns the status; 0: 404. */
	int (*page)(void *arg, const char *path, struct buf *body, const char **content_type);
	void *arg;
};

/* Binds and listens; CONFIG with the reason. The thread starts with receive_start. */
enum err_class receive_open(struct receive **out, const struct receive_options *options,
			    struct writer *writer, struct err *err) MUST_CHECK;
enum err_class receive_start(struct receive *receive, struct err *err) MUST_CHECK;
int receive_port(const struct receive *receive); /* as bound; for port 0 */

/* Who we are, once GitHub has said so: own comments and check runs are ignored from then on. */
void receive_set_identity(struct receive *receive, int64_t app_id, int64_t user_id);

/* Takes in one payload as if it had come signed (from the deliveries API): same path, same outcome.
 * TRANSIENT where a webhook would be answered 503. */
enum err_class receive_payload(struct receive *receive, const char *event, const char *guid,
			       const char *body, size_t len, int source,
			       struct err *err) MUST_CHECK;

/* Stops accepting, answers what is in hand (at most 2 s), ends the thread. */
void receive_stop(struct receive *take_receive);

#endif
