/* sign.h - digests, signatures, random bytes and key files. The only file that knows OpenSSL.
 * Any thread. */
#ifndef KF_BASE_SIGN_H
#define KF_BASE_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum { SIGN_SHA256_LEN = 32 };

/* HMAC-SHA256 over the parts in order, so a body need not be copied. */
void sign_hmac_sha256(unsigned char out[SIGN_SHA256_LEN], const void *key, size_t key_len,
		      const void *data, size_t len);

/* Compares in constant time. */
bool sign_equal(const void *a, const void *b, size_t len);

void sign_sha256(unsigned char out[SIGN_SHA256_LEN], const void *data, size_t len);
void sign_sha256_hex(char out[2 * SIGN_SHA256_LEN + 1], const void *data, size_t len);
/* The name that git gives a file of this content: 40 digits (SHA-1), or 64. It tells files apart
 * that come from git, and proves nothing. */
void sign_git_blob_hex(char out[2 * SIGN_SHA256_LEN + 1], size_t digits, const void *data,
		       size_t len);

/* Cryptographic random bytes; aborts when the system has none. */
void sign_random(void *out, size_t len);

/* An RSA private key for RS256 (PKCS#1 or PKCS#8 PEM; "\n" written as two characters is mended). */
struct sign_key;
enum err_class sign_key_load(struct sign_key **out, const char *pem, size_t len,
			     struct err *err) MUST_CHECK;
void sign_key_free(struct sign_key *take_key);

/* A JWT (RFC 7519) of one claims object, signed RS256; the caller frees *out. */
enum err_class sign_jwt_rs256(char **out, struct sign_key *key, const char *claims_json,
			      struct err *err) MUST_CHECK;

/* Reads a secret file of at most 64 KiB, strips one trailing newline; CONFIG when missing, empty,
 * a directory, or readable by others than owner and group. The caller ends with sign_secret_free.
 */
enum err_class sign_secret_read(char **out, const char *path, struct err *err) MUST_CHECK;
void sign_secret_free(char *take_secret); /* wipes it first */

/* Tells whether a file is another one than at the look before; begins all zero. A file that is not
 * there, or a path that is NULL, is none: whoever replaces it may be between two steps. */
struct sign_stamp {
	int64_t sec, nsec, size, inode;
};
bool sign_stamp_changed(struct sign_stamp *stamp, const char *path);

/* base64url without padding (RFC 4648 section 5); the caller frees. */
char *sign_base64url(const void *data, size_t len) MUST_CHECK;

/* HMAC-SHA256 over bytes as they come. `_new` takes the key and starts a message, `_end` gives its
 * digest; before another message (also after one that was given up) comes `_start`, which is much
 * cheaper than a new stream. `_free` takes NULL. One thread at a time. */
struct sign_hmac_stream;
struct sign_hmac_stream *sign_hmac_stream_new(const void *key, size_t key_len) MUST_CHECK;
void sign_hmac_stream_start(struct sign_hmac_stream *stream);
void sign_hmac_stream_add(struct sign_hmac_stream *stream, const void *data, size_t len);
void sign_hmac_stream_end(struct sign_hmac_stream *stream, unsigned char out[SIGN_SHA256_LEN]);
void sign_hmac_stream_free(struct sign_hmac_stream *take_stream);

#endif
