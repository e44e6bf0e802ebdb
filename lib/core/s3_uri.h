/* s3_uri.h - names in an object store: addresses, buckets, keys, and entries of a listing.
 *
 * Pure. An address is taken apart here before anything is asked of a server, and what a server or a
 * gateway could read in another way than we do is refused. Any thread. */
#ifndef KF_CORE_S3_URI_H
#define KF_CORE_S3_URI_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum { S3_BUCKET_MAX = 63, S3_KEY_MAX = 1024 }; /* bytes */

struct s3_uri {
	char bucket[S3_BUCKET_MAX + 1];
	char key[S3_KEY_MAX + 1]; /* also a prefix of keys; "" for the bucket itself */
};

/* What is stored under one key, as a listing tells it. */
struct s3_object {
	char *key;
	int64_t size;
	char *etag;		/* without quotes; "" when not told */
	int64_t modified_at_ms; /* 0 when not told */
};

/* Reads "s3://BUCKET/KEY", and "minio://BUCKET/KEY" as the same. Any other scheme, and a name that
 * s3_uri_check refuses, is USER with the code s3.uri and a sentence for a person. */
enum err_class s3_uri_parse(struct s3_uri *out, const char *text, struct err *err) MUST_CHECK;

/* Is this a bucket's name as S3 has them (3 to 63 of a-z, 0-9, '-' and '.') and a key of at most
 * 1024 bytes without control characters, '?' and '#' (KServe cuts an address there) and without the
 * segments "." and ".." (gateways fold them)? USER with the code s3.uri when not. */
enum err_class s3_uri_check(const char *bucket, const char *key, struct err *err) MUST_CHECK;

/* Appends "s3://BUCKET/KEY". */
void s3_uri_print(struct buf *out, const struct s3_uri *uri);

#endif
