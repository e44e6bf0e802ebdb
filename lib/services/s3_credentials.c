/* s3_credentials.c - what signs a request: key files, or a session that a role lends.
 *
 * The session is fetched from STS with the token that Kubernetes writes for the service account
 * (AssumeRoleWithWebIdentity; the request itself needs no signature). One thread fetches, outside
 * the lock; others wait, or use the old session while it is valid. A renewal that fails is no
 * trouble before the old session ends. Times are compared by the server's clock, of which the
 * difference to ours is kept here. */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/base/xml.h"
#include "lib/services/s3_impl.h"

enum {
	WORD_MAX = 8 * 1024,
	STS_TIMEOUT_MS = 10 * 1000,
	STS_ANSWER_MAX = 256 * 1024,
	STS_BODY_MAX = 256 * 1024, /* the token's file has at most 64 KiB, encoded three times it */
	RENEW_EARLY_MS = 5 * 60 * 1000,
	RENEW_AGAIN_MS = 30 * 1000,
	LIFETIME_UNKNOWN_MS = 15 * 60 * 1000, /* the shortest that STS gives */
	LIFETIME_MAX_MS = 12 * 3600 * 1000,
};

void s3_credentials_dispose(struct s3_credentials *credentials)
{
	sign_secret_free(credentials->access_key);
	sign_secret_free(credentials->secret_key);
	sign_secret_free(credentials->session_token);
	*credentials = (struct s3_credentials){0};
}

static struct s3_credentials copy_of(const struct s3_credentials *from)
{
	return (struct s3_credentials){.access_key = str_dup(from->access_key),
				       .secret_key = str_dup(from->secret_key),
				       .session_token = str_dup(from->session_token)};
}

int64_t s3_now_ms(struct s3 *s3)
{
	int64_t now_ms;

	pthread_mutex_lock(&s3->lock);
	now_ms = clock_now_ms() + s3->clock_offset_ms;
	pthread_mutex_unlock(&s3->lock);
	return now_ms;
}

/* --- key files --- */

static enum err_class read_keys(struct s3 *s3, struct s3_credentials *out, struct err *err)
{
	enum err_class class = secret_get(s3->access_key, &out->access_key, err);

	if (!class)
		class = secret_get(s3->secret_key, &out->secret_key, err);
	if (!class)
		class = secret_get(s3->session_token, &out->session_token, err);
	return class;
}

/* --- web identity --- */

static void take_member(void *arg, const char *path, const char *text)
{
	struct s3_session *session = arg;
	struct s3_credentials *credentials = &session->credentials;
	char **member = str_ends(path, "/Credentials/AccessKeyId")	 ? &credentials->access_key
			: str_ends(path, "/Credentials/SecretAccessKey") ? &credentials->secret_key
			: str_ends(path, "/Credentials/SessionToken") ? &credentials->session_token
								      : NULL;

	if (member) {
		sign_secret_free(*member);
		*member = str_dup(text);
	}
	if (str_ends(path, "/Credentials/Expiration") && !clock_parse(&session->ends_ms, text))
		session->ends_ms = 0;
}

bool s3_session_parse(struct s3_session *out, const char *text, size_t len, int64_t now_ms)
{
	struct err ignored;

	*out = (struct s3_session){0};
	if (xml_read(text, len, take_member, out, &ignored) ||
	    str_is_empty(out->credentials.access_key) ||
	    str_is_empty(out->credentials.secret_key) ||
	    str_is_empty(out->credentials.session_token)) {
		s3_credentials_dispose(&out->credentials);
		return false;
	}
	if (!out->ends_ms)
		out->ends_ms = now_ms + LIFETIME_UNKNOWN_MS;
	if (out->ends_ms > now_ms + LIFETIME_MAX_MS)
		out->ends_ms = now_ms + LIFETIME_MAX_MS;
	return true;
}

static enum err_class identity_error(struct s3 *s3, const struct http_response *response,
				     struct err *err)
{
	static const struct {
		const char *code, *sentence;
	} known[] = {
		{"AccessDenied", "the role does not trust this service account"},
		{"ExpiredTokenException", "the identity token has expired"},
		{"InvalidIdentityToken", "the identity token is not accepted"},
		{"IDPRejectedClaim", "the identity token is refused by who issued it"},
		{"ValidationError", "the role's name is not one"},
	};
	struct s3_fault fault;
	enum err_class class;

	s3_fault_parse(&fault, response->status, buf_text(&response->body), response->body.len);
	class = response->status >= 500 || str_eq(fault.code, "IDPCommunicationError")
			? ERR_TRANSIENT
		: response->status == 429 || str_starts(fault.code, "Throttling") ? ERR_THROTTLED
										  : ERR_CONFIG;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(fault.code, known[i].code))
			return err_code(err, class, "s3.identity",
					"the role %.200s cannot be taken on: %s", s3->role_arn,
					known[i].sentence);
	return err_code(err, class, "s3.identity",
			"the role %.200s cannot be taken on: STS answers %d %s", s3->role_arn,
			response->status, *fault.code ? fault.code : "without a reason");
}

static char *sts_body(const struct s3 *s3, const char *token)
{
	AUTO_BUF struct buf body = buf_make(STS_BODY_MAX);

	buf_puts(&body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
			"&DurationSeconds=3600&RoleSessionName=kfops&RoleArn=");
	http_escape(&body, s3->role_arn);
	buf_puts(&body, "&WebIdentityToken=");
	http_escape(&body, token);
	return buf_take(&body);
}

static enum err_class fetch_session(struct s3 *s3, struct http *http, struct s3_session *out,
				    struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	char *token = NULL, *body;
	struct http_request request = {
		.method = "POST",
		.url = s3->sts_url,
		.headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
		.timeout_ms = STS_TIMEOUT_MS,
		.response_max = STS_ANSWER_MAX,
	};
	enum err_class class = secret_get(s3->identity, &token, err);

	if (class)
		return class;
	body = sts_body(s3, token);
	sign_secret_free(token);
	request.body = body;
	request.body_len = strlen(body);
	class = http_do(http, &request, &response, err);
	sign_secret_free(body);
	if (class) {
		if (err)
			err->in_doubt = false; /* a session more does no harm */
		err_wrap(err, "STS");
		return class;
	}
	if (response.status != 200)
		return identity_error(s3, &response, err);
	if (!s3_session_parse(out, buf_text(&response.body), response.body.len, s3_now_ms(s3)))
		class = err_code(err, ERR_TRANSIENT, "s3.identity",
				 "STS answers without credentials for the role %.200s",
				 s3->role_arn);
	if (response.body.len)
		explicit_bzero(response.body.data, response.body.len);
	return class;
}

/* With the lock held, which is given up meanwhile. */
static void renew(struct s3 *s3, struct http *http)
{
	struct s3_session fresh = {0};
	struct err err = {0};

	s3->is_renewing = true;
	pthread_mutex_unlock(&s3->lock);
	if (!fetch_session(s3, http, &fresh, &err))
		err = (struct err){0};
	pthread_mutex_lock(&s3->lock);
	s3->is_renewing = false;
	s3->renewal = err;
	if (!err.class) {
		s3_credentials_dispose(&s3->session.credentials);
		s3->session = fresh;
	} else if (s3->session.ends_ms > clock_now_ms() + s3->clock_offset_ms) {
		s3->renew_not_before_ms = clock_mono_ms() + RENEW_AGAIN_MS;
		log_info("s3_session_kept", LOG_S("message", err.msg));
	}
	pthread_cond_broadcast(&s3->renewed);
}

static enum err_class session_get(struct s3 *s3, struct http *http, struct s3_credentials *out,
				  struct err *err)
{
	enum err_class class = ERR_OK;
	int64_t left_ms;

	pthread_mutex_lock(&s3->lock);
	left_ms = s3->session.ends_ms - clock_now_ms() - s3->clock_offset_ms;
	if (s3->is_renewing && left_ms <= 0) {
		while (s3->is_renewing)
			pthread_cond_wait(&s3->renewed, &s3->lock);
	} else if (!s3->is_renewing &&
		   (left_ms <= 0 ||
		    (left_ms < RENEW_EARLY_MS && clock_mono_ms() >= s3->renew_not_before_ms))) {
		renew(s3, http);
	}
	if (s3->session.ends_ms > clock_now_ms() + s3->clock_offset_ms) {
		*out = copy_of(&s3->session.credentials);
	} else {
		class = s3->renewal.class ? s3->renewal.class
					  : err_set(&s3->renewal, ERR_TRANSIENT,
						    "the session for the role %.200s has just "
						    "ended",
						    s3->role_arn);
		if (err)
			*err = s3->renewal;
	}
	pthread_mutex_unlock(&s3->lock);
	return class;
}

/* --- for calls --- */

/* What is not one printable word cannot stand in a header, and is not what a server gave out. */
static enum err_class check_word(const char *text, const char *what, struct err *err)
{
	size_t len = strlen(text);

	if (len > WORD_MAX)
		return err_code(err, ERR_CONFIG, "s3.keys", "the %s is longer than %d bytes", what,
				WORD_MAX);
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return err_code(err, ERR_CONFIG, "s3.keys",
					"the %s holds blanks or other characters that no key has",
					what);
	return ERR_OK;
}

enum err_class s3_credentials_get(struct s3 *s3, struct http *http, struct s3_credentials *out,
				  struct err *err)
{
	enum err_class class;

	*out = (struct s3_credentials){0};
	class = s3->role_arn ? session_get(s3, http, out, err) : read_keys(s3, out, err);
	if (!class)
		class = check_word(out->access_key, "access key", err);
	if (!class)
		class = check_word(out->secret_key, "secret key", err);
	if (!class)
		class = check_word(out->session_token, "session token", err);
	return class;
}

enum err_class s3_credentials_check(struct s3 *s3, struct http *http, struct err *err)
{
	AUTO_CREDENTIALS struct s3_credentials credentials = {0};

	return s3_credentials_get(s3, http, &credentials, err);
}

bool s3_credentials_renew(struct s3 *s3, const struct s3_credentials *refused)
{
	AUTO_CREDENTIALS struct s3_credentials now = {0};
	struct err ignored;

	if (s3->role_arn) {
		pthread_mutex_lock(&s3->lock);
		if (str_eq(s3->session.credentials.session_token, refused->session_token))
			s3->session.ends_ms = 0;
		pthread_mutex_unlock(&s3->lock);
		return true;
	}
	return !read_keys(s3, &now, &ignored) &&
	       (!str_eq(now.access_key, refused->access_key) ||
		!str_eq(now.secret_key, refused->secret_key) ||
		!str_eq(now.session_token, refused->session_token));
}
