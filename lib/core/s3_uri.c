/* s3_uri.c - see s3_uri.h. The rules are stricter than S3's own where a second reader of the same
 * address (KServe, a gateway, a person) would see another object than we do. */
#include "lib/core/s3_uri.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

static const char code[] = "s3.uri";

/* --- names --- */

static bool is_small_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_bucket(const char *bucket)
{
	size_t len = strlen(bucket);

	if (len < 3 || len > S3_BUCKET_MAX || !is_small_alnum(bucket[0]) ||
	    !is_small_alnum(bucket[len - 1]) || strstr(bucket, ".."))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_small_alnum(bucket[i]) && bucket[i] != '-' && bucket[i] != '.')
			return false;
	return true;
}

/* Is one of the parts between slashes "." or ".."? */
static bool has_dot_segment(const char *key)
{
	while (*key) {
		size_t len = strcspn(key, "/");

		if ((len == 1 && key[0] == '.') || (len == 2 && key[0] == '.' && key[1] == '.'))
			return true;
		key += len + (key[len] == '/');
	}
	return false;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

enum err_class s3_uri_check(const char *bucket, const char *key, struct err *err)
{
	if (!is_bucket(bucket))
		return err_code(err, ERR_USER, code,
				"\"%.80s\" is not the name of a bucket: 3 to %d of a-z, 0-9, '-' "
				"and '.'",
				bucket, S3_BUCKET_MAX);
	if (strlen(key) > S3_KEY_MAX)
		return err_code(err, ERR_USER, code, "the key in bucket %s is longer than %d bytes",
				bucket, S3_KEY_MAX);
	if (has_control(key))
		return err_code(err, ERR_USER, code, "the key in bucket %s has control characters",
				bucket);
	if (strpbrk(key, "?#"))
		return err_code(err, ERR_USER, code,
				"the key \"%.200s\" holds '?' or '#', where KServe would cut it",
				key);
	if (has_dot_segment(key))
		return err_code(err, ERR_USER, code,
				"the key \"%.200s\" has a part that is \".\" or \"..\"", key);
	return ERR_OK;
}

/* --- addresses --- */

static const struct {
	const char *scheme, *what;
} others[] = {
	{"gs", "Google Cloud Storage"},
	{"hdfs", "Hadoop's file system"},
	{"webhdfs", "Hadoop's file system"},
	{"http", "a web address"},
	{"https", "a web address"},
	{"file", "a file of one machine"},
	{"pvc", "a volume of the cluster"},
	{"hf", "the Hugging Face hub"},
	{"modelscope", "the ModelScope hub"},
	{"oci", "a container image"},
	{"mlflow-artifacts", "MLflow's own store"},
};

/* The text before "://" when that is a scheme; its length, else 0. */
static size_t scheme_len(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "+-.");

	return len <= 32 && str_starts(text + len, "://") ? len : 0;
}

static enum err_class refuse_scheme(const char *text, size_t len, struct err *err)
{
	AUTO_FREE char *scheme = str_dup_len(text, len);

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (str_eq_nocase(scheme, others[i].scheme))
			return err_code(err, ERR_USER, code,
					"%s:// is %s; an address in an object store is needed, "
					"s3://BUCKET/KEY",
					scheme, others[i].what);
	return err_code(err, ERR_USER, code,
			"%s:// is not known here; write the address as s3://BUCKET/KEY", scheme);
}

enum err_class s3_uri_parse(struct s3_uri *out, const char *text, struct err *err)
{
	size_t len = scheme_len(text), bucket_len;
	AUTO_FREE char *bucket = NULL;
	enum err_class class;
	const char *rest, *key;

	*out = (struct s3_uri){0};
	if (!len)
		return err_code(err, ERR_USER, code,
				"\"%.80s\" is not an address of the form s3://BUCKET/KEY", text);
	if (!str_starts(text, "s3://") && !str_starts(text, "minio://"))
		return refuse_scheme(text, len, err);
	rest = text + len + 3;
	bucket_len = strcspn(rest, "/");
	bucket = str_dup_len(rest, bucket_len);
	key = rest[bucket_len] ? rest + bucket_len + 1 : "";
	class = s3_uri_check(bucket, key, err);
	if (class)
		return class;
	str_copy(out->bucket, sizeof out->bucket, bucket);
	(void)snprintf(out->key, sizeof out->key, "%s", key); /* as it is, valid UTF-8 or not */
	return ERR_OK;
}

void s3_uri_print(struct buf *out, const struct s3_uri *uri)
{
	buf_printf(out, "s3://%s/%s", uri->bucket, uri->key);
}
