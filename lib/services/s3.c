/* s3.c - an endpoint: its address, and where a bucket lies under it.
 *
 * The address is reduced to scheme and host in the form in which libcurl will write the Host header
 * (no port that is the scheme's own), because that text is signed. Buckets stand in the path where
 * that was asked for, where the host is an IP address, and where the bucket's name has dots, which
 * no certificate of the host covers. */
#include "lib/services/s3.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/services/s3_impl.h"

enum { URL_MAX = 2048, REGION_MAX = 60 };

/* --- options --- */

static bool has_only(const char *text, const char *also)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	for (; *text; text++)
		if (!strchr(plain, *text) && !strchr(also, *text))
			return false;
	return true;
}

/* Takes "http://host:80/" apart; false when it is not an address without path, query and user. */
static bool split_url(const char *url, char **out_scheme, char **out_host)
{
	bool is_tls = str_starts(url, "https://");
	const char *host = url + (is_tls ? 8 : 7), *own_port = is_tls ? ":443" : ":80";
	size_t len;

	if (!is_tls && !str_starts(url, "http://"))
		return false;
	len = strcspn(host, "/");
	if (!len || (host[len] && host[len + 1]) || strlen(url) > URL_MAX)
		return false;
	*out_scheme = str_dup(is_tls ? "https" : "http");
	*out_host = str_dup_len(host, len);
	if (!has_only(*out_host, "-._:[]"))
		return false;
	if (str_ends(*out_host, own_port))
		(*out_host)[len - strlen(own_port)] = '\0';
	for (char *at = *out_host; *at; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at + 32);
	return **out_host != '\0';
}

static bool has_one(const char *file, const char *text)
{
	return !str_is_empty(file) || !str_is_empty(text);
}

static enum err_class check_options(const struct s3_options *options, struct err *err)
{
	bool has_keys = has_one(options->access_key_file, options->access_key);
	bool has_role = !str_is_empty(options->role_arn);

	if (has_keys != has_one(options->secret_key_file, options->secret_key))
		return err_set(err, ERR_CONFIG,
			       "access key and secret key of the object store go together");
	if (has_role != !str_is_empty(options->identity_token_file))
		return err_set(err, ERR_CONFIG,
			       "role and identity token of the object store go together");
	if (has_keys && has_role)
		return err_set(err, ERR_CONFIG,
			       "the object store is given both keys and a role; only one of them "
			       "can be used");
	if (has_one(options->session_token_file, options->session_token) && !has_keys)
		return err_set(err, ERR_CONFIG,
			       "a session token of the object store needs its keys");
	if (options->region &&
	    (strlen(options->region) > REGION_MAX || !has_only(options->region, "-_")))
		return err_set(err, ERR_CONFIG,
			       "the region of the object store is a word such as eu-central-1");
	return ERR_OK;
}

/* Are the files that are named there, readable and sensible? */
static enum err_class check_files(struct s3 *s3, struct err *err)
{
	AUTO_CREDENTIALS struct s3_credentials credentials = {0};
	enum err_class class;
	char *token;

	if (!s3->role_arn)
		return s3_credentials_get(s3, NULL, &credentials, err);
	class = secret_get(s3->identity, &token, err);
	sign_secret_free(token);
	return class;
}

static struct secret *secret_from(const char *file, const char *text)
{
	return str_is_empty(file) ? secret_of(text) : secret_new(file);
}

static char *sts_url_of(const struct s3_options *options, const char *region)
{
	if (str_is_empty(options->sts_url))
		return str_printf("https://sts.%s.amazonaws.com/", region);
	return str_printf("%s%s", options->sts_url, str_ends(options->sts_url, "/") ? "" : "/");
}

enum err_class s3_new(struct s3 **out, const struct s3_options *options, struct err *err)
{
	AUTO_FREE char *scheme = NULL, *host = NULL;
	enum err_class class = check_options(options, err);
	struct s3 *s3;

	*out = NULL;
	if (class)
		return class;
	if (str_is_empty(options->url) || !split_url(options->url, &scheme, &host))
		return err_set(err, ERR_CONFIG,
			       "the address of the object store must be http(s)://HOST[:PORT]");
	if (!str_is_empty(options->sts_url) && !str_starts(options->sts_url, "https://") &&
	    !str_starts(options->sts_url, "http://"))
		return err_set(err, ERR_CONFIG, "the address of STS must be http(s)://HOST[:PORT]");
	s3 = mem_new(1, sizeof *s3);
	s3->scheme = take(scheme);
	s3->host = take(host);
	s3->region = str_dup(str_is_empty(options->region) ? "us-east-1" : options->region);
	s3->path_style = options->path_style;
	s3->access_key = secret_from(options->access_key_file, options->access_key);
	s3->secret_key = secret_from(options->secret_key_file, options->secret_key);
	s3->session_token = secret_from(options->session_token_file, options->session_token);
	s3->role_arn = str_is_empty(options->role_arn) ? NULL : str_dup(options->role_arn);
	s3->identity = secret_new(options->identity_token_file);
	s3->sts_url = sts_url_of(options, s3->region);
	must(!pthread_mutex_init(&s3->lock, NULL) && !pthread_cond_init(&s3->renewed, NULL));
	class = check_files(s3, err);
	if (class)
		s3_free(s3);
	else
		*out = s3;
	return class;
}

void s3_free(struct s3 *take_s3)
{
	if (!take_s3)
		return;
	pthread_cond_destroy(&take_s3->renewed);
	pthread_mutex_destroy(&take_s3->lock);
	s3_credentials_dispose(&take_s3->session.credentials);
	secret_free(take_s3->access_key);
	secret_free(take_s3->secret_key);
	secret_free(take_s3->session_token);
	secret_free(take_s3->identity);
	mem_free(take_s3->sts_url);
	mem_free(take_s3->role_arn);
	mem_free(take_s3->region);
	mem_free(take_s3->host);
	mem_free(take_s3->scheme);
	mem_free(take_s3);
}

/* --- places --- */

/* Hosts that have no names under them. */
static bool is_ip(const char *host)
{
	AUTO_FREE char *name = str_dup_len(host, strcspn(host, ":"));
	struct in_addr ignored;

	return host[0] == '[' || inet_pton(AF_INET, name, &ignored) == 1;
}

void s3_place(const struct s3 *s3, const char *bucket, const char *key, char **out_host,
	      char **out_path)
{
	if (s3->path_style || strchr(bucket, '.') || is_ip(s3->host)) {
		*out_host = str_dup(s3->host);
		*out_path = str_printf("/%s%s%s", bucket, *key ? "/" : "", key);
	} else {
		*out_host = str_printf("%s.%s", bucket, s3->host);
		*out_path = str_printf("/%s", key);
	}
}
