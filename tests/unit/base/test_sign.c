/* Digests, signatures, key and secret files. Keys are made by the test; what sign.c signs is
 * verified here with the public half through OpenSSL directly. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "tests/unit/cases.h"

/* RFC 4231, and GitHub's own example ("Validating webhook deliveries"). */
static const struct {
	const char *name, *key, *data, *want;
} macs[] = {
	{"rfc 4231 case 2", "Jefe", "what do ya want for nothing?",
	 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	{"github", "It's a Secret to Everybody", "Hello, World!",
	 "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
	{"empty key and data", "", "",
	 "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
};

static void test_hmac(void **state)
{
	unsigned char mac[SIGN_SHA256_LEN], want[SIGN_SHA256_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(macs); i++) {
		print_message("%s\n", macs[i].name);
		assert_true(str_unhex(want, macs[i].want, sizeof want));
		for (int again = 0; again < 2; again++) {
			sign_hmac_sha256(mac, macs[i].key, strlen(macs[i].key), macs[i].data,
					 strlen(macs[i].data));
			assert_true(sign_equal(mac, want, sizeof mac));
		}
		mac[31] ^= 1;
		assert_false(sign_equal(mac, want, sizeof mac));
	}
}

static void test_hmac_with_a_long_key(void **state)
{
	unsigned char key[131], mac[SIGN_SHA256_LEN], want[SIGN_SHA256_LEN];
	static const char data[] = "Test Using Larger Than Block-Size Key - Hash Key First";

	(void)state;
	memset(key, 0xaa, sizeof key);
	sign_hmac_sha256(mac, key, sizeof key, data, sizeof data - 1);
	assert_true(str_unhex(
		want, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", 32));
	assert_memory_equal(mac, want, sizeof mac);
}

/* As `git hash-object` names them. */
static void test_git_blob(void **state)
{
	char hex[65];

	(void)state;
	sign_git_blob_hex(hex, 40, "", 0);
	assert_string_equal(hex, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
	sign_git_blob_hex(hex, 40, "test content\n", 13);
	assert_string_equal(hex, "d670460b4b4aece5915caf5c68d12f560a9fe3e4");
	sign_git_blob_hex(hex, 64, "", 0);
	assert_string_equal(hex,
			    "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813");
}

static void test_sha256(void **state)
{
	char hex[65];

	(void)state;
	sign_sha256_hex(hex, "abc", 3);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sign_sha256_hex(hex, "", 0);
	assert_string_equal(hex,
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_random(void **state)
{
	unsigned char a[64] = {0}, b[64] = {0};

	(void)state;
	sign_random(a, sizeof a);
	sign_random(b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
}

static const struct {
	const char *data, *want;
} encoded[] = {
	{"", ""},	    {"f", "Zg"},	  {"fo", "Zm8"},	  {"foo", "Zm9v"},
	{"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xbf", "-_-_"},
};

static void test_base64url(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(encoded); i++) {
		AUTO_FREE char *text = sign_base64url(encoded[i].data, strlen(encoded[i].data));

		assert_string_equal(text, encoded[i].want);
	}
}

/* --- keys --- */

static EVP_PKEY *rsa;

static int make_key(void **state)
{
	(void)state;
	rsa = EVP_RSA_gen(2048);
	return rsa ? 0 : -1;
}

static int drop_key(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	return 0;
}

enum form { PKCS8, PKCS1, ENCRYPTED, PUBLIC };

static char *pem_of(EVP_PKEY *key, enum form form)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;
	int ok = 0;

	if (form == PKCS8)
		ok = PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	else if (form == PKCS1)
		ok = PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL);
	else if (form == ENCRYPTED)
		ok = PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(),
					      (const unsigned char *)"pw", 2, NULL, NULL);
	else
		ok = PEM_write_bio_PUBKEY(bio, key);
	assert_int_equal(ok, 1);
	len = BIO_get_mem_data(bio, &data);
	text = str_dup_len(data, (size_t)len);
	BIO_free(bio);
	return text;
}

/* Decodes base64url into `out`; the length. */
static size_t decode(unsigned char *out, const char *text, size_t len)
{
	AUTO_BUF struct buf padded = buf_make(4096);
	int n;

	for (size_t i = 0; i < len; i++)
		buf_putc(&padded, text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]);
	while (padded.len % 4)
		buf_putc(&padded, '=');
	n = EVP_DecodeBlock(out, (const unsigned char *)padded.data, (int)padded.len);
	assert_true(n >= 0);
	return (size_t)n - (4 - len % 4) % 4;
}

static void check_jwt(const char *jwt, const char *claims)
{
	const char *first = strchr(jwt, '.'), *second = first ? strchr(first + 1, '.') : NULL;
	unsigned char part[4096];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len;

	assert_non_null(second);
	assert_null(strpbrk(jwt, "+/=\n"));
	len = decode(part, jwt, (size_t)(first - jwt));
	assert_int_equal(len, 27);
	assert_memory_equal(part, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", 27);
	len = decode(part, first + 1, (size_t)(second - first - 1));
	assert_int_equal(len, strlen(claims));
	assert_memory_equal(part, claims, len);
	len = decode(part, second + 1, strlen(second + 1));
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, rsa), 1);
	assert_int_equal(EVP_DigestVerify(ctx, part, len, (const unsigned char *)jwt,
					  (size_t)(second - jwt)),
			 1);
	EVP_MD_CTX_free(ctx);
}

static void test_jwt_is_verified_by_the_public_key(void **state)
{
	static const char claims[] = "{\"iat\":1,\"exp\":601,\"iss\":\"Iv1.abc\"}";

	(void)state;
	for (int form = PKCS8; form <= PKCS1; form++)
		for (int escaped = 0; escaped < 2; escaped++) {
			AUTO_FREE char *pem = pem_of(rsa, (enum form)form);
			AUTO_BUF struct buf text = buf_make(10000);
			AUTO_FREE char *jwt = NULL;
			struct sign_key *key;

			for (const char *c = pem; *c; c++)
				if (escaped && *c == '\n')
					buf_puts(&text, "\\n");
				else
					buf_putc(&text, *c);
			assert_int_equal(sign_key_load(&key, text.data, text.len, NULL), ERR_OK);
			assert_int_equal(sign_jwt_rs256(&jwt, key, claims, NULL), ERR_OK);
			check_jwt(jwt, claims);
			sign_key_free(key);
		}
}

static void expect_refused(const char *pem, const char *why)
{
	struct sign_key *key;
	struct err err;

	assert_int_equal(sign_key_load(&key, pem, strlen(pem), &err), ERR_CONFIG);
	assert_null(key);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
	assert_null(strstr(err.msg, "MII"));
}

static void test_other_keys_are_refused(void **state)
{
	AUTO_FREE char *encrypted = pem_of(rsa, ENCRYPTED), *public = pem_of(rsa, PUBLIC);
	EVP_PKEY *ec = EVP_EC_gen("P-256"), *small = EVP_RSA_gen(1024);
	AUTO_FREE char *ec_pem = pem_of(ec, PKCS8), *small_pem = pem_of(small, PKCS8);
	AUTO_FREE char *half = str_dup_len(encrypted, strlen(encrypted) / 2);

	(void)state;
	expect_refused(encrypted, "encrypted");
	expect_refused(public, "public key");
	expect_refused(ec_pem, "not an RSA key");
	expect_refused(small_pem, "1024 bits");
	expect_refused(half, "not readable");
	expect_refused("", "not readable");
	expect_refused("Bearer of bad news", "not readable");
	EVP_PKEY_free(ec);
	EVP_PKEY_free(small);
	sign_key_free(NULL);
}

/* --- secret files --- */

static const struct {
	const char *name, *content;
	size_t len;
	mode_t mode;
	const char *want; /* NULL: refused */
	const char *why;
} secrets[] = {
	{"plain", "s3cret", 6, 0600, "s3cret", NULL},
	{"one newline goes", "s3cret\n\n", 8, 0640, "s3cret\n", NULL},
	{"windows line end", "s3cret\r\n", 8, 0400, "s3cret", NULL},
	{"inner space stays", " a b ", 5, 0600, " a b ", NULL},
	{"empty", "", 0, 0600, NULL, "is empty"},
	{"only white space", " \n\t\n", 4, 0600, NULL, "is empty"},
	{"nul byte", "a\0b", 3, 0600, NULL, "NUL"},
	{"readable by everybody", "s3cret", 6, 0644, NULL, "chmod o-r"},
};

static void write_file(const char *path, const char *content, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void expect_no_secret(const char *path, const char *why)
{
	struct err err;
	char *out;

	assert_int_equal(sign_secret_read(&out, path, &err), ERR_CONFIG);
	assert_null(out);
	assert_non_null(strstr(err.msg, path));
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
	assert_null(strstr(err.msg, "s3cret"));
}

static void test_secret_files(void **state)
{
	char dir[] = "/tmp/kfops-test-XXXXXX", path[64];
	AUTO_FREE char *big = mem_new(70000, 1);

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/secret", dir);
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		char *out = NULL;

		print_message("%s\n", secrets[i].name);
		write_file(path, secrets[i].content, secrets[i].len, secrets[i].mode);
		if (secrets[i].want) {
			assert_int_equal(sign_secret_read(&out, path, NULL), ERR_OK);
			assert_string_equal(out, secrets[i].want);
			sign_secret_free(out);
		} else {
			expect_no_secret(path, secrets[i].why);
		}
		unlink(path);
	}
	memset(big, 'x', 70000);
	write_file(path, big, 65536, 0600);
	{
		char *out = NULL;

		assert_int_equal(sign_secret_read(&out, path, NULL), ERR_OK);
		assert_int_equal(strlen(out), 65536);
		sign_secret_free(out);
	}
	write_file(path, big, 65537, 0600);
	expect_no_secret(path, "64 KiB");
	unlink(path);
	expect_no_secret(path, "No such file");
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_no_secret(path, "not a regular file");
	unlink(path);
	expect_no_secret(dir, "not a regular file");
	rmdir(dir);
}

/* A file that was refused for its mode is another one when that was mended, as was asked for. */
static void test_a_stamp_tells_each_change(void **state)
{
	char dir[] = "/tmp/kfops-test-XXXXXX", path[64];
	struct sign_stamp stamp = {0};

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/secret", dir);
	assert_false(sign_stamp_changed(&stamp, NULL));
	assert_false(sign_stamp_changed(&stamp, path));
	write_file(path, "old", 3, 0644);
	assert_true(sign_stamp_changed(&stamp, path));
	assert_false(sign_stamp_changed(&stamp, path));
	usleep(20000); /* the kernel's clock for files ticks */
	assert_int_equal(chmod(path, 0600), 0);
	assert_true(sign_stamp_changed(&stamp, path));
	usleep(20000);
	unlink(path);
	assert_false(sign_stamp_changed(&stamp, path));
	write_file(path, "new", 3, 0600);
	assert_true(sign_stamp_changed(&stamp, path));
	unlink(path);
	rmdir(dir);
}

static const struct CMUnitTest sign_tests[] = {
	cmocka_unit_test(test_hmac),
	cmocka_unit_test(test_hmac_with_a_long_key),
	cmocka_unit_test(test_sha256),
	cmocka_unit_test(test_git_blob),
	cmocka_unit_test(test_random),
	cmocka_unit_test(test_base64url),
	cmocka_unit_test(test_jwt_is_verified_by_the_public_key),
	cmocka_unit_test(test_other_keys_are_refused),
	cmocka_unit_test(test_secret_files),
	cmocka_unit_test(test_a_stamp_tells_each_change),
};

CASES_MAIN(sign_tests, make_key, drop_key)
