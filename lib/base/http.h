/* http.h - HTTP out: one blocking request with every bound set. The only file that knows libcurl.
 *
 * One `struct http` per thread (it keeps connections alive); not locked. Redirects are never
 * followed here: the caller sees 3xx and decides. TLS is always verified, except to this machine
 * itself on demand. Only https, and http when the client was made with `allow_http`. Proxy settings
 * come from the usual environment variables.
 * Nothing of a request or an answer is logged except method, host, path, status and time. */
#ifndef KF_BASE_HTTP_H
#define KF_BASE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum { HTTP_HEADERS_MAX = 24 };

struct http;

struct http_options {
	const char *user_agent;
	const char *ca_file;	/* NULL: the system's */
	const char *ca_dir;	/* without ca_file: of hashed certificates; NULL: the system's */
	bool allow_http;	/* plain http, for in-cluster addresses and loopback */
	int connect_timeout_ms; /* 0: 5000 */
};

/* Process-wide set-up, once before any thread. */
void http_global_init(void);
struct http *http_new(const struct http_options *options) MUST_CHECK;
void http_free(struct http *take_http);

struct http_header {
	const char *name;
	const char *value;
};

/* A file sent as multipart/form-data, one part. */
struct http_upload {
	const char *field;    /* "uploadfile" */
	const char *filename; /* "pipeline.yaml" */
	const char *content_type;
	const char *data;
	size_t len;
};

/* Who is whom on a TLS connection, where it is not as the client was made. All PEM, in memory. */
struct http_tls {
	const char *ca;	  /* who may vouch for the server, instead of all others; NULL: as usual */
	const char *cert; /* our own certificate; NULL: none */
	const char *key;
	bool unverified; /* anybody may answer; implies HTTP_REACH_LOOPBACK */
};

/* Which addresses may be connected to. Looked at when the name is resolved and again before a kept
 * connection is used, so a name that changes its mind gains nothing. Anything but HTTP_REACH_ANY
 * goes without a proxy, which would resolve the name by itself. */
enum http_reach {
	HTTP_REACH_ANY,
	HTTP_REACH_SERVICE,  /* none that address_is_off_limits (address.h) */
	HTTP_REACH_LOOPBACK, /* this machine only */
};

struct http_request {
	const char *method; /* "GET" */
	const char *url;
	struct http_header headers[HTTP_HEADERS_MAX]; /* up to the first without a name */
	const char *body;			      /* NULL: none */
	size_t body_len;
	const struct http_upload *upload; /* instead of body */
	int timeout_ms;			  /* whole request; 0: 30000 */
	size_t response_max; /* bytes after decoding; 0: 8 MiB. More is an error, not a cut */
	bool keeps_end;	     /* but then it is the end that is kept, half of response_max or more */
	const struct http_tls *tls; /* NULL: as the client was made */
	const char *connect_to;	    /* "HOST:PORT" to speak to in place of the URL's; NULL: that */
	enum http_reach reach;
};

struct http_response {
	int status;
	struct buf body;
	struct buf headers; /* "name: value\n", names lower case, of the final answer */
	int64_t took_ms;
};

/* Sends the request. Any HTTP status is ERR_OK here; errors are those of the transport:
 * TRANSIENT (name, connect, reset, time-out, cut or oversized answer), CONFIG (TLS verification,
 * bad URL or scheme, an address that is not within reach). err->in_doubt says that the far side may
 * have acted: the request was sent in full and its method is neither GET nor HEAD, which act on
 * nothing (RFC 9110, 9.2.1). A request of another method is never sent a second time by itself. The
 * caller disposes of *out in every case.
 */
enum err_class http_do(struct http *http, const struct http_request *request,
		       struct http_response *out, struct err *err) MUST_CHECK;
void http_response_dispose(struct http_response *response);
#define AUTO_RESPONSE __attribute__((cleanup(http_response_dispose)))

/* Value of a header of the answer (name in lower case), copied to `out`; "" when absent. */
const char *http_response_header(const struct http_response *response, const char *name, char *out,
				 size_t size);

/* When the answer's Retry-After allows the next call (wall clock), at most `max_ms` from now; 0
 * when it does not say. */
int64_t http_retry_at_ms(const struct http_response *response, int64_t max_ms);

/* Appends `text` percent-encoded (RFC 3986 unreserved characters stay). */
void http_escape(struct buf *out, const char *text);

/* Makes a request under way in any thread fail soon; for shutdown. */
void http_abort_all(void);

#endif
