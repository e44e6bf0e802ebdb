/* sign.c - see sign.h. OpenSSL 3 looks an algorithm up by name on each use of the old one-call
 * functions; digest and MAC are fetched once here, because a signature is checked for every
 * webhook. Secrets are wiped before their memory goes back. */
#include "lib/base/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum { SECRET_MAX = 64 * 1024, RSA_BITS_MIN = 2048 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static EVP_MAC_CTX *hmac_template; /* only ever copied, so threads may share it */

static void fetch_algorithms(void)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 6),
			       OSSL_PARAM_END};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	must(sha256 && hmac);
	hmac_template = EVP_MAC_CTX_new(hmac);
	must(hmac_template && EVP_MAC_CTX_set_params(hmac_template, params));
	EVP_MAC_free(hmac);
}

void sign_hmac_sha256(unsigned char out[SIGN_SHA256_LEN], const void *key, size_t key_len,
		      const void *data, size_t len)
{
	EVP_MAC_CTX *ctx;
	size_t out_len = 0;

	pthread_once(&once, fetch_algorithms);
	ctx = EVP_MAC_CTX_dup(hmac_template);
	must(ctx);
	/* A NULL key would mean "the key set before"; an empty one still needs an address. */
	must(EVP_MAC_init(ctx, key_len ? key : (const void *)"", key_len, NULL));
	must(EVP_MAC_update(ctx, data, len));
	must(EVP_MAC_final(ctx, out, &out_len, SIGN_SHA256_LEN) && out_len == SIGN_SHA256_LEN);
	EVP_MAC_CTX_free(ctx);
}

bool sign_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void sign_sha256(unsigned char out[SIGN_SHA256_LEN], const void *data, size_t len)
{
	pthread_once(&once, fetch_algorithms);
	must(EVP_Digest(data, len, out, NULL, sha256, NULL));
}

void sign_sha256_hex(char out[2 * SIGN_SHA256_LEN + 1], const void *data, size_t len)
{
	unsigned char digest[SIGN_SHA256_LEN];

	sign_sha256(digest, data, len);
	str_hex(out, digest, sizeof digest);
}

void sign_git_blob_hex(char out[2 * SIGN_SHA256_LEN + 1], size_t digits, const void *data,
		       size_t len)
{
	unsigned char digest[SIGN_SHA256_LEN];
	unsigned int digest_len = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char head[32];
	int head_len = snprintf(head, sizeof head, "blob %zu", len) + 1; /* with the NUL */

	must(digits == 40 || digits == 64);
	must(ctx && EVP_DigestInit_ex(ctx, digits == 40 ? EVP_sha1() : EVP_sha256(), NULL));
	must(EVP_DigestUpdate(ctx, head, (size_t)head_len) && EVP_DigestUpdate(ctx, data, len));
	must(EVP_DigestFinal_ex(ctx, digest, &digest_len) && digest_len == digits / 2);
	EVP_MD_CTX_free(ctx);
	str_hex(out, digest, digest_len);
}

void sign_random(void *out, size_t len)
{
	unsigned char *at = out;

	while (len) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		must(n > 0);
		at += n;
		len -= (size_t)n;
	}
}

struct sign_key {
	EVP_PKEY *pkey;
};

/* A PEM that went through an environment variable often has its line ends as two characters. */
static char *mend_line_ends(const char *pem, size_t len, size_t *out_len)
{
	char *text = mem_new(len + 1, 1);
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		if (pem[i] == '\\' && i + 1 < len && pem[i + 1] == 'n') {
			text[at++] = '\n';
			i++;
		} else {
			text[at++] = pem[i];
		}
	}
	*out_len = at;
	return text;
}

static int refuse_passphrase(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	*(bool *)arg = true;
	return -1;
}

static enum err_class check_key(EVP_PKEY *pkey, bool is_encrypted, const char *text,
				struct err *err)
{
	if (is_encrypted)
		return err_set(err, ERR_CONFIG,
			       "the private key is encrypted; store it without a passphrase");
	if (!pkey && strstr(text, "PUBLIC KEY"))
		return err_set(err, ERR_CONFIG,
			       "the file holds a public key; the private key is needed");
	if (!pkey)
		return err_set(err, ERR_CONFIG,
			       "the private key is not readable as PEM (\"-----BEGIN RSA PRIVATE "
			       "KEY-----\" or \"-----BEGIN PRIVATE KEY-----\")");
	if (!EVP_PKEY_is_a(pkey, "RSA"))
		return err_set(err, ERR_CONFIG, "the private key is not an RSA key");
	if (EVP_PKEY_get_bits(pkey) < RSA_BITS_MIN)
		return err_set(err, ERR_CONFIG,
			       "the private key has %d bits; at least %d are needed",
			       EVP_PKEY_get_bits(pkey), RSA_BITS_MIN);
	return ERR_OK;
}

enum err_class sign_key_load(struct sign_key **out, const char *pem, size_t len, struct err *err)
{
	bool is_encrypted = false;
	enum err_class class;
	EVP_PKEY *pkey;
	size_t text_len;
	char *text;
	BIO *bio;

	*out = NULL;
	if (len > SECRET_MAX)
		return err_set(err, ERR_CONFIG, "the private key is larger than %d KiB",
			       SECRET_MAX / 1024);
	text = mend_line_ends(pem, len, &text_len);
	bio = BIO_new_mem_buf(text, (int)text_len);
	must(bio);
	pkey = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &is_encrypted);
	BIO_free(bio);
	ERR_clear_error();
	class = check_key(pkey, is_encrypted, text, err);
	OPENSSL_cleanse(text, text_len);
	mem_free(text);
	if (class) {
		EVP_PKEY_free(pkey);
		return class;
	}
	*out = mem_new(1, sizeof **out);
	(*out)->pkey = pkey;
	return ERR_OK;
}

void sign_key_free(struct sign_key *take_key)
{
	if (!take_key)
		return;
	EVP_PKEY_free(take_key->pkey);
	mem_free(take_key);
}

enum err_class sign_jwt_rs256(char **out, struct sign_key *key, const char *claims_json,
			      struct err *err)
{
	static const char header[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\"}";
	AUTO_FREE char *head = sign_base64url(header, sizeof header - 1);
	AUTO_FREE char *claims = sign_base64url(claims_json, strlen(claims_json));
	AUTO_FREE char *input = str_printf("%s.%s", head, claims);
	size_t sig_len = (size_t)EVP_PKEY_get_size(key->pkey);
	AUTO_FREE unsigned char *sig = mem_new(sig_len, 1);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok;

	*out = NULL;
	must(ctx);
	pthread_once(&once, fetch_algorithms);
	ok = EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key->pkey, NULL) == 1 &&
	     EVP_DigestSign(ctx, sig, &sig_len, (const unsigned char *)input, strlen(input)) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	if (!ok)
		return err_set(err, ERR_CONFIG, "the private key cannot sign (RS256)");
	{
		AUTO_FREE char *tail = sign_base64url(sig, sig_len);

		*out = str_printf("%s.%s", input, tail);
	}
	return ERR_OK;
}

/* Reads up to SECRET_MAX + 1 bytes, so that the caller sees when there were more. */
static ssize_t read_all(int fd, char *out, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, out + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (!n)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

static enum err_class check_secret_file(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_set(err, ERR_CONFIG, "%s cannot be read: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_CONFIG, "%s is not a regular file", path);
	if (st.st_mode & S_IROTH)
		return err_set(err, ERR_CONFIG,
			       "%s can be read by everybody; run: chmod o-r '%s' (in a pod: set "
			       "securityContext.fsGroup, and defaultMode 0440 for its Secrets)",
			       path, path);
	return ERR_OK;
}

static enum err_class check_secret_text(char *text, size_t len, const char *path, struct err *err)
{
	if (len > SECRET_MAX)
		return err_set(err, ERR_CONFIG, "%s is larger than %d KiB", path,
			       SECRET_MAX / 1024);
	if (memchr(text, '\0', len))
		return err_set(err, ERR_CONFIG, "%s holds a NUL byte", path);
	if (len && text[len - 1] == '\n')
		text[--len] = '\0';
	if (len && text[len - 1] == '\r')
		text[--len] = '\0';
	if (strspn(text, " \t\r\n\v\f") == len)
		return err_set(err, ERR_CONFIG, "%s is empty", path);
	return ERR_OK;
}

enum err_class sign_secret_read(char **out, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	enum err_class class = check_secret_file(fd, path, err);
	char *text;
	ssize_t len;

	*out = NULL;
	if (class) {
		if (fd >= 0)
			close(fd);
		return class;
	}
	text = mem_new(SECRET_MAX + 2, 1);
	len = read_all(fd, text, SECRET_MAX + 1);
	close(fd);
	if (len < 0)
		class = err_set(err, ERR_CONFIG, "%s cannot be read: %s", path, strerror(errno));
	else
		class = check_secret_text(text, (size_t)len, path, err);
	if (!class)
		*out = str_dup(text);
	OPENSSL_cleanse(text, SECRET_MAX + 2);
	mem_free(text);
	return class;
}

void sign_secret_free(char *take_secret)
{
	if (!take_secret)
		return;
	OPENSSL_cleanse(take_secret, strlen(take_secret));
	mem_free(take_secret);
}

bool sign_stamp_changed(struct sign_stamp *stamp, const char *path)
{
	struct sign_stamp now;
	struct stat st;
	bool changed;

	if (!path || stat(path, &st))
		return false;
	now = (struct sign_stamp){st.st_ctim.tv_sec, st.st_ctim.tv_nsec, st.st_size,
				  (int64_t)st.st_ino};
	changed = now.sec != stamp->sec || now.nsec != stamp->nsec || now.size != stamp->size ||
		  now.inode != stamp->inode;
	*stamp = now;
	return changed;
}

char *sign_base64url(const void *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *in = data;
	char *out = mem_new(len / 3 * 4 + 5, 1);
	unsigned bits = 0, have = 0;
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | in[i];
		have += 8;
		while (have >= 6) {
			have -= 6;
			out[at++] = digits[bits >> have & 63];
		}
	}
	if (have)
		out[at++] = digits[bits << (6 - have) & 63];
	return out;
}

/* A stream is OpenSSL's context itself: nothing of ours needs to be kept beside it. */
static EVP_MAC_CTX *context_of(struct sign_hmac_stream *stream)
{
	return (EVP_MAC_CTX *)stream;
}

struct sign_hmac_stream *sign_hmac_stream_new(const void *key, size_t key_len)
{
	EVP_MAC_CTX *ctx;

	pthread_once(&once, fetch_algorithms);
	ctx = EVP_MAC_CTX_dup(hmac_template);
	must(ctx && EVP_MAC_init(ctx, key_len ? key : (const void *)"", key_len, NULL));
	return (struct sign_hmac_stream *)ctx;
}

void sign_hmac_stream_start(struct sign_hmac_stream *stream)
{
	must(EVP_MAC_init(context_of(stream), NULL, 0, NULL)); /* the key stays */
}

void sign_hmac_stream_add(struct sign_hmac_stream *stream, const void *data, size_t len)
{
	must(EVP_MAC_update(context_of(stream), data, len));
}

void sign_hmac_stream_end(struct sign_hmac_stream *stream, unsigned char out[SIGN_SHA256_LEN])
{
	size_t out_len = 0;

	must(EVP_MAC_final(context_of(stream), out, &out_len, SIGN_SHA256_LEN) &&
	     out_len == SIGN_SHA256_LEN);
}

void sign_hmac_stream_free(struct sign_hmac_stream *take_stream)
{
	EVP_MAC_CTX_free(context_of(take_stream));
}
