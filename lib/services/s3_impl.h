/* s3_impl.h - what the files of the module s3 share. Nobody else includes this, except the tests
 * and fuzz targets of its parsers.
 *
 * s3.c              an endpoint: address, styles
 * s3_credentials.c  key files, web identity, the clock
 * s3_call.c         one call: signing, sending, what can be mended, counting
 * s3_error.c        error answers as classes and sentences
 * s3_list.c         listings
 * s3_objects.c      everything else that s3.h offers */
#ifndef KF_SERVICES_S3_IMPL_H
#define KF_SERVICES_S3_IMPL_H

#include <pthread.h>

#include "lib/base/secret.h"
#include "lib/core/sigv4.h"
#include "lib/services/s3.h"

enum {
	S3_ERROR_BODY_MAX = 64 * 1024,
	S3_TEXT_MAX = 300,
	S3_CALL_PAIRS_MAX = 6,
	S3_CLOCK_TOLERANCE_MS = 10 * 60 * 1000, /* servers allow 15 min */
};

/* --- credentials --- */

/* Copies of what signs one request; texts are never NULL, "" stands for none. */
struct s3_credentials {
	char *access_key, *secret_key, *session_token;
};
void s3_credentials_dispose(struct s3_credentials *credentials);
#define AUTO_CREDENTIALS __attribute__((cleanup(s3_credentials_dispose)))

/* What a role lends for a while. */
struct s3_session {
	struct s3_credentials credentials;
	int64_t ends_ms; /* by the server's clock */
};

struct s3 {
	char *scheme; /* "http" */
	char *host;   /* with its port unless that is the scheme's own */
	char *region;
	bool path_style;
	struct secret *access_key, *secret_key, *session_token;
	char *role_arn; /* NULL: no web identity */
	struct secret *identity;
	char *sts_url;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t renewed;
	int64_t clock_offset_ms; /* the server's clock less ours */
	struct s3_session session;
	bool is_renewing;
	int64_t renew_not_before_ms; /* monotonic; after a failure while the session is valid */
	struct err renewal;	     /* how the last renewal ended */
};

/* Now, by the server's clock. */
int64_t s3_now_ms(struct s3 *s3);

/* What signs the next request. With a web identity: the session, renewed five minutes before its
 * end by one thread while others wait or use the old one; only then is `http` used. */
enum err_class s3_credentials_get(struct s3 *s3, struct http *http, struct s3_credentials *out,
				  struct err *err) MUST_CHECK;

/* After these were refused: true when the next s3_credentials_get will give others. */
bool s3_credentials_renew(struct s3 *s3, const struct s3_credentials *refused);

/* Reads the answer of STS; false when it holds no session. */
bool s3_session_parse(struct s3_session *out, const char *text, size_t len, int64_t now_ms);

/* --- errors --- */

/* The members of an error answer, "" when absent. */
struct s3_fault {
	int status;
	char code[64];
	char message[S3_TEXT_MAX]; /* of one line, clean */
	char region[64];	   /* the one the server names */
};
void s3_fault_parse(struct s3_fault *out, int status, const char *text, size_t len);

/* What was tried, for sentences. */
struct s3_subject {
	const char *doing; /* "list", "read", "write", "delete", "sign" */
	const char *bucket;
	const char *key; /* "" for the bucket */
	const char *host;
	const char *region;
	bool is_head; /* the answer has no words */
	bool is_signed;
	bool mutates;
};
enum err_class s3_error(struct err *err, const struct s3_fault *fault,
			const struct s3_subject *subject);

bool s3_fault_is_clock(const struct s3_fault *fault);
bool s3_fault_is_keys(const struct s3_fault *fault);

/* --- one call --- */

struct s3_call {
	const char *method;
	const char *doing;
	const char *bucket;
	const char *key; /* "" for the bucket */
	struct sigv4_pair query[S3_CALL_PAIRS_MAX];
	size_t query_count;
	struct sigv4_pair headers[S3_CALL_PAIRS_MAX];
	size_t header_count;
	const char *body; /* NULL: none */
	size_t body_len;
	size_t response_max; /* 0: that of http.h */
	int timeout_ms;	     /* 0: that of http.h */
	bool mutates;
};

/* Host of the request and path to be signed, by the style that fits the bucket; the caller frees
 * both. */
void s3_place(const struct s3 *s3, const char *bucket, const char *key, char **out_host,
	      char **out_path);

/* Any answer but 2xx is an error. The caller disposes of *out in every case. */
enum err_class s3_send(struct s3 *s3, struct http *http, const struct s3_call *call,
		       struct http_response *out, struct err *err) MUST_CHECK;

/* An ETag header's or element's value without quotes; the caller frees. */
char *s3_etag(const char *text) MUST_CHECK;

/* --- lists --- */

struct s3_page {
	struct s3_listing *listing; /* what is added to */
	const struct s3_list_request *request;
};

/* Adds one page to the listing; its continuation is the page's. TRANSIENT when it is no page,
 * CONFIG when it lists what was not asked for. */
enum err_class s3_page_parse(struct s3_page *page, const char *text, size_t len,
			     struct err *err) MUST_CHECK;

#endif
