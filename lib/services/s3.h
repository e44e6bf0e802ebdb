/* s3.h - an object store that speaks S3 (AWS, MinIO, SeaweedFS, Ceph): one endpoint per `struct
 * s3`.
 *
 * Shared by threads (locked inside); each brings its own `struct http`. Everything that is sent is
 * signed (version 4) unless there are no credentials; bodies are signed too. Errors, with a code
 * and a sentence for people: NOT_FOUND (s3.no_bucket, s3.no_object), DENIED (s3.denied), CONFLICT
 * (s3.exists, s3.changed), USER (s3.uri, s3.too_large, s3.refused), CONFIG (s3.keys, s3.clock,
 * s3.wrong_region, s3.not_there, s3.identity, TLS), THROTTLED, TRANSIENT; in_doubt after a change
 * whose answer is unknown. No message holds a key, a token or a signature. A wrong clock of this
 * machine is made up for, as told by the server's. Source: Amazon S3 API reference; AWS STS API
 * reference. */
#ifndef KF_SERVICES_S3_H
#define KF_SERVICES_S3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/http.h"
#include "lib/core/s3_uri.h"

struct s3;

/* Credentials are key files, or keys as text, or a web identity, or none of them (requests are not
 * signed then). Files are read again when they change. The address is that of the server, without a
 * path: "http://seaweedfs.kubeflow:9000", "https://s3.eu-north-1.amazonaws.com". */
struct s3_options {
	const char *url;
	const char *region; /* NULL: "us-east-1" */
	bool path_style;    /* URL/BUCKET/KEY; else BUCKET.HOST/KEY where the bucket has no dots */
	const char *access_key_file, *secret_key_file;
	const char *session_token_file;			     /* NULL: none */
	const char *access_key, *secret_key, *session_token; /* instead of files */
	const char *role_arn, *identity_token_file;
	const char *sts_url; /* NULL: https://sts.REGION.amazonaws.com */
};

/* CONFIG: a bad address, or credentials that are incomplete or not readable. Asks no server. */
enum err_class s3_new(struct s3 **out, const struct s3_options *options,
		      struct err *err) MUST_CHECK;
void s3_free(struct s3 *take_s3); /* takes NULL */

/* Are there credentials now? Asks a server only for the session of a web identity. The errors are
 * those of any call. */
enum err_class s3_credentials_check(struct s3 *s3, struct http *http, struct err *err) MUST_CHECK;

/* HEAD of the bucket: is it there and may we look into it? KServe asks the same first. */
enum err_class s3_bucket_check(struct s3 *s3, struct http *http, const char *bucket,
			       struct err *err) MUST_CHECK;

struct s3_list_request {
	const char *bucket;
	const char *prefix;	  /* "" for all */
	const char *delimiter;	  /* NULL: none; "/": what lies deeper is told as folders */
	const char *continuation; /* NULL: from the start */
	size_t max; /* objects and folders together; more pages are fetched as needed */
};

struct s3_listing {
	struct s3_object *objects; /* in the server's order, which is that of the keys */
	size_t count;
	char **folders; /* whole prefixes, with the delimiter at the end */
	size_t folder_count;
	bool complete;	    /* there is nothing after these */
	char *continuation; /* where to go on; NULL when complete or when that place is unknown */
};

/* A key that does not begin with the prefix is an error: it was not asked for. The caller disposes
 * of *out in every case. */
enum err_class s3_list(struct s3 *s3, struct http *http, const struct s3_list_request *request,
		       struct s3_listing *out, struct err *err) MUST_CHECK;
void s3_listing_dispose(struct s3_listing *listing);

/* Size, ETag and time of one object. An answer to HEAD has no words, so a missing bucket is told as
 * a missing object. The caller disposes of *out in every case. */
enum err_class s3_head(struct s3 *s3, struct http *http, const struct s3_uri *from,
		       struct s3_object *out, struct err *err) MUST_CHECK;
void s3_object_dispose(struct s3_object *object);

struct s3_get_request {
	const struct s3_uri *from;
	int64_t first;	  /* from this byte on */
	int64_t len;	  /* so many bytes; 0: to the end */
	size_t max;	  /* more than this is USER s3.too_large, not a cut */
	const char *etag; /* CONFLICT s3.changed when the object has another; NULL: any */
};

struct s3_content {
	char *data; /* len bytes and a NUL */
	size_t len; /* less than asked when the object ends before; 0 behind its end */
	char *etag;
};

/* The bytes as they are stored, except that those stored with "Content-Encoding: gzip" come
 * unpacked. The caller disposes of *out in every case. */
enum err_class s3_get(struct s3 *s3, struct http *http, const struct s3_get_request *request,
		      struct s3_content *out, struct err *err) MUST_CHECK;
void s3_content_dispose(struct s3_content *content);

struct s3_put_request {
	const struct s3_uri *to;
	const char *data;
	size_t len;
	const char *content_type; /* NULL: application/octet-stream */
	bool if_absent;		  /* CONFLICT s3.exists when there is such an object */
};

/* One request, so either the whole object is there or nothing; safe to repeat. *out_etag belongs to
 * the caller; out_etag may be NULL. A server without conditions on writes (MinIO before 2024)
 * replaces the object though if_absent says otherwise. */
enum err_class s3_put(struct s3 *s3, struct http *http, const struct s3_put_request *request,
		      char **out_etag, struct err *err) MUST_CHECK;

/* Fine also when there is no such object. */
enum err_class s3_delete(struct s3 *s3, struct http *http, const struct s3_uri *uri,
			 struct err *err) MUST_CHECK;

struct s3_presign_request {
	const char *method; /* "GET" or "PUT" */
	const struct s3_uri *uri;
	int expires_s; /* 1 to 604800, else CONFIG; with a web identity it ends with the session, at
			  most 1 h */
};

/* A URL that needs no credentials. It is one: keep it out of logs and comments. Asks a server only
 * for a session of a web identity. CONFIG s3.keys without credentials. The caller ends with
 * sign_secret_free. */
enum err_class s3_presign(struct s3 *s3, struct http *http,
			  const struct s3_presign_request *request, char **out,
			  struct err *err) MUST_CHECK;

#endif
