/* serving.h - the sample request to a model server: one POST, answered or not.
 *
 * Addresses come from cluster objects and the operator's file, never from a repository; all the
 * same none that is link-local, a cloud's metadata service or no host is spoken to, by name or by
 * number, and no proxy is used (the address is looked at where the connection is made, so a name
 * that changes its mind gains nothing). Redirects are refused. Nothing is tried twice here: right
 * after readiness routes converge late, so the caller repeats TRANSIENT errors and answers of 503
 * for a while. Any thread, each with its own `struct http` (made with `allow_http` for plain http).
 */
#ifndef KF_SERVICES_SERVING_H
#define KF_SERVICES_SERVING_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/http.h"

enum {
	SERVING_BODY_MAX = 1024 * 1024,
	SERVING_ANSWER_MAX = 8 * 1024 * 1024,
	SERVING_SHOWN_MAX = 2048,
};

struct serving_request {
	const char *url;	/* http(s)://HOST[:PORT]/v1/models/iris:predict */
	const char *connect_to; /* "HOST:PORT" of an ingress that serves the URL's host; NULL */
	const char *host;	/* what the Host header says when it is not the URL's host; NULL */
	const char *token_file; /* bearer token, read anew each time; NULL: none */
	const char *ca;	  /* PEM of who may vouch for the server; NULL: as the client was made */
	const char *body; /* JSON, at most SERVING_BODY_MAX */
	size_t body_len;
	int timeout_ms; /* 0: 30000 */
};

struct serving_answer {
	int status;
	int64_t took_ms;
	char *shown;  /* the first SERVING_SHOWN_MAX bytes as valid UTF-8, "" when empty */
	json_t *json; /* NULL: it is not JSON, or deeper than 200 levels */
};
void serving_answer_dispose(struct serving_answer *answer);

/* Every status but a redirect is ERR_OK. CONFIG "serving.address" (no http(s) address, or one that
 * is not spoken to), "serving.redirect", and for a token file that cannot be read or TLS; USER
 * "serving.too_large" when body or answer are larger than allowed; TRANSIENT "serving.down" for
 * everything on the way (never in_doubt: asking a model changes nothing). The caller disposes of
 * *out in every case. */
enum err_class serving_ask(struct http *http, const struct serving_request *request,
			   struct serving_answer *out, struct err *err) MUST_CHECK;

#endif
