/* sigv4.h - AWS Signature Version 4 as pure functions: a signed header, or a pre-signed URL.
 *
 * For S3 and what speaks its protocol: the path is encoded once and its dot segments are left
 * alone. Nothing is sent here and the time is handed in. What is signed must be sent exactly so:
 * the path and query that sigv4_target writes, a Host header equal to `host`, the header
 * x-amz-content-sha256 equal to `payload_hash`, x-amz-date as sigv4_date writes it,
 * x-amz-security-token where there is a session token, and every header of `headers`. Texts hold no
 * line breaks and no NUL bytes. Source: "Authenticating Requests (AWS Signature Version 4)" of the
 * Amazon S3 API reference. Any thread. */
#ifndef KF_CORE_SIGV4_H
#define KF_CORE_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

enum {
	SIGV4_DATE_LEN = 17, /* with the NUL */
	SIGV4_EXPIRES_MIN_S = 1,
	SIGV4_EXPIRES_MAX_S = 604800,
	SIGV4_PAIRS_MAX = 16, /* headers, and parameters, that a request may name */
};

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

struct sigv4_key {
	const char *access_key;
	const char *secret_key;
	const char *session_token; /* NULL: none */
};

struct sigv4_pair {
	const char *name;
	const char *value; /* "" for a parameter without one */
};

struct sigv4_request {
	const char *method;		/* "GET" */
	const char *host;		/* with its port unless that is the scheme's own */
	const char *path;		/* "/bucket/a key", not encoded */
	const struct sigv4_pair *query; /* not encoded, in any order */
	size_t query_count;
	const struct sigv4_pair *headers; /* to be signed beside the four named above */
	size_t header_count;
	const char *payload_hash; /* hex SHA-256 of the body, or SIGV4_UNSIGNED_PAYLOAD */
	const char *region;
	const char *service; /* "s3" */
	int64_t now_ms;
};

/* "20130524T000000Z". */
void sigv4_date(char out[SIGV4_DATE_LEN], int64_t now_ms);

/* Appends the path and query as they have to be sent: "/bucket/a%20key?list-type=2&prefix=". */
void sigv4_target(struct buf *out, const struct sigv4_request *request);

/* Appends the value of the Authorization header. */
void sigv4_authorize(struct buf *out, const struct sigv4_request *request,
		     const struct sigv4_key *key);

/* Appends path and query of a pre-signed URL, valid for expires_s seconds (1 to 604800) from
 * now_ms. Of the headers only host is signed; the body is not. The result is a credential. */
void sigv4_presign(struct buf *out, const struct sigv4_request *request,
		   const struct sigv4_key *key, int expires_s);

#endif
