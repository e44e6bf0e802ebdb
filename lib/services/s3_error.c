/* s3_error.c - error answers as classes and sentences.
 *
 * A server answers with a small XML document; the table says for each of its codes whose matter it
 * is and what a person should read. The server's own words are shown only for codes that are not in
 * the table, and never when they look as if they repeated what was signed. A 404 counts as "not
 * there" only when the store itself says so (or could not, to HEAD): a gateway without a route
 * answers 404 as well, and a model that is taken for absent would be built again. */
#include <string.h>

#include "lib/base/str.h"
#include "lib/base/xml.h"
#include "lib/core/markdown.h"
#include "lib/services/s3_impl.h"

enum { WORD_RUN_MAX = 40 };

struct row {
	const char *code; /* the server's */
	enum err_class class;
	const char *reason; /* ours; NULL: none */
	const char *sentence;
};

static const struct row rows[] = {
	{"NoSuchBucket", ERR_NOT_FOUND, "s3.no_bucket", "there is no such bucket"},
	{"NoSuchKey", ERR_NOT_FOUND, "s3.no_object", "there is no such object"},
	{"AccessDenied", ERR_DENIED, "s3.denied",
	 "the bucket's owner does not allow it to the keys of this server"},
	{"AllAccessDisabled", ERR_DENIED, "s3.denied", "the bucket's owner has closed it"},
	{"SignatureDoesNotMatch", ERR_CONFIG, "s3.keys",
	 "the secret key does not belong to the access key"},
	{"InvalidAccessKeyId", ERR_CONFIG, "s3.keys", "it does not know the access key"},
	{"InvalidTokenId", ERR_CONFIG, "s3.keys", "it does not know the access key"},
	{"ExpiredToken", ERR_CONFIG, "s3.keys", "the session token has expired"},
	{"InvalidToken", ERR_CONFIG, "s3.keys", "the session token is not accepted"},
	{"RequestTimeTooSkewed", ERR_CONFIG, "s3.clock",
	 "the clocks of this machine and of the object store are too far apart; set them"},
	{"RequestExpired", ERR_CONFIG, "s3.clock",
	 "the clocks of this machine and of the object store are too far apart; set them"},
	{"PreconditionFailed", ERR_CONFLICT, "s3.changed", "it has changed meanwhile"},
	{"InvalidObjectState", ERR_USER, "s3.refused", "it is in an archive; restore it first"},
	{"EntityTooLarge", ERR_USER, "s3.refused", "it is larger than the object store takes"},
	{"KeyTooLongError", ERR_USER, "s3.refused", "the name is longer than it takes"},
	{"InvalidBucketName", ERR_USER, "s3.refused", "the bucket's name is not valid there"},
	{"NotImplemented", ERR_CONFIG, "s3.refused", "it does not offer this"},
	{"SlowDown", ERR_THROTTLED, NULL, "it asks to send less"},
	{"SlowDownRead", ERR_THROTTLED, NULL, "it asks to send less"},
	{"SlowDownWrite", ERR_THROTTLED, NULL, "it asks to send less"},
	{"RequestLimitExceeded", ERR_THROTTLED, NULL, "it asks to send less"},
	{"TooManyRequests", ERR_THROTTLED, NULL, "it asks to send less"},
	{"InternalError", ERR_TRANSIENT, NULL, "it failed inside"},
	{"ServiceUnavailable", ERR_TRANSIENT, NULL, "it is not available"},
	{"XMinioServerNotInitialized", ERR_TRANSIENT, NULL, "it is still starting"},
	{"RequestTimeout", ERR_TRANSIENT, NULL, "it did not get the request in time"},
	{"OperationAborted", ERR_TRANSIENT, NULL, "another change is under way"},
	{"ConditionalRequestConflict", ERR_TRANSIENT, NULL, "another change is under way"},
};

/* --- reading --- */

/* Could it repeat a key, a token, a signature or a whole signed text? */
static bool looks_signed(const char *text)
{
	size_t run = 0;

	for (const char *at = text; *at; at++) {
		bool is_base64 = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
				 (*at >= '0' && *at <= '9') || strchr("+/=", *at);

		run = is_base64 ? run + 1 : 0;
		if (run >= WORD_RUN_MAX)
			return true;
	}
	return strcasestr(text, "aws4") || strcasestr(text, "x-amz-") ||
	       strcasestr(text, "token=") || strcasestr(text, "secret");
}

/* A code or a region is one plain word, else it is not taken. */
static bool is_word(const char *text)
{
	if (looks_signed(text))
		return false;
	for (; *text; text++)
		if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
		      (*text >= '0' && *text <= '9') || strchr("-._", *text)))
			return false;
	return true;
}

static void take_message(char out[S3_TEXT_MAX], const char *text)
{
	AUTO_BUF struct buf clean = buf_make(4 * S3_TEXT_MAX);

	out[0] = '\0';
	if (looks_signed(text))
		return;
	markdown_clean(&clean, text, strnlen(text, 2 * S3_TEXT_MAX));
	for (size_t i = 0; i < clean.len; i++)
		if (clean.data[i] == '\n' || clean.data[i] == '\t')
			clean.data[i] = ' ';
	str_copy(out, S3_TEXT_MAX, buf_text(&clean));
	for (size_t n = strlen(out); n && (out[n - 1] == ' ' || out[n - 1] == '.'); n--)
		out[n - 1] = '\0';
}

static void take_member(void *arg, const char *path, const char *text)
{
	struct s3_fault *fault = arg;

	if ((str_eq(path, "Error/Code") || str_ends(path, "/Error/Code")) && is_word(text))
		str_copy(fault->code, sizeof fault->code, text);
	else if (str_eq(path, "Error/Message"))
		take_message(fault->message, text);
	else if (str_eq(path, "Error/Region") && is_word(text))
		str_copy(fault->region, sizeof fault->region, text);
}

void s3_fault_parse(struct s3_fault *out, int status, const char *text, size_t len)
{
	struct err ignored;

	*out = (struct s3_fault){.status = status};
	if (len && xml_read(text, len, take_member, out, &ignored))
		*out = (struct s3_fault){.status = status}; /* a page of a gateway */
}

bool s3_fault_is_clock(const struct s3_fault *fault)
{
	return str_eq(fault->code, "RequestTimeTooSkewed") || str_eq(fault->code, "RequestExpired");
}

bool s3_fault_is_keys(const struct s3_fault *fault)
{
	static const char *const codes[] = {"InvalidAccessKeyId", "InvalidTokenId",
					    "SignatureDoesNotMatch", "ExpiredToken",
					    "InvalidToken"};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (str_eq(fault->code, codes[i]))
			return true;
	return false;
}

/* --- telling --- */

/* "cannot read s3://b/k from HOST" */
static void begin(char *out, size_t size, const struct s3_subject *subject)
{
	AUTO_FREE char *text = str_printf("%s cannot %s s3://%.63s/%.200s", subject->host,
					  subject->doing, subject->bucket, subject->key);

	str_copy(out, size, text);
}

static enum err_class wrong_region(struct err *err, const struct s3_fault *fault,
				   const struct s3_subject *subject, const char *start)
{
	if (!*fault->region || str_eq(fault->region, subject->region))
		return err_code(err, ERR_CONFIG, "s3.wrong_region",
				"%s: it sends elsewhere; the address of the object store or its "
				"region (%s) is not the one of this bucket",
				start, subject->region);
	return err_code(err, ERR_CONFIG, "s3.wrong_region",
			"%s: the bucket is in region %s, but the configuration of this object "
			"store says %s; set its region to %s",
			start, fault->region, subject->region, fault->region);
}

static bool is_of_region(const struct s3_fault *fault, const struct s3_subject *subject)
{
	static const char *const codes[] = {"AuthorizationHeaderMalformed", "PermanentRedirect",
					    "TemporaryRedirect",
					    "IllegalLocationConstraintException"};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (str_eq(fault->code, codes[i]))
			return true;
	return (fault->status >= 300 && fault->status < 400) ||
	       (*fault->region && fault->status == 400 && !str_eq(fault->region, subject->region));
}

/* What an answer without a known code means. */
static struct row by_status(const struct s3_fault *fault, const struct s3_subject *subject)
{
	bool is_bucket = !*subject->key;

	switch (fault->status) {
	case 400:
		if (subject->is_head)
			return (struct row){"", ERR_CONFIG, "s3.keys",
					    "it does not accept the request, as when a session "
					    "token has expired"};
		break;
	case 304:
	case 412:
		return (struct row){"", ERR_CONFLICT, "s3.changed", "it has changed meanwhile"};
	case 401:
	case 403:
		if (!subject->is_signed)
			return (struct row){"", ERR_DENIED, "s3.denied",
					    "it wants keys, and none are configured"};
		return (struct row){"", ERR_DENIED, "s3.denied",
				    "the bucket's owner does not allow it to the keys of this "
				    "server, or what is not there may not be asked for"};
	case 404:
		if (!subject->is_head)
			return (struct row){"", ERR_TRANSIENT, NULL,
					    "its address has no such path at the moment"};
		if (is_bucket)
			return (struct row){"", ERR_NOT_FOUND, "s3.no_bucket",
					    "there is no such bucket"};
		return (struct row){"", ERR_NOT_FOUND, "s3.no_object", "there is no such object"};
	case 408:
		return (struct row){"", ERR_TRANSIENT, NULL, "it did not get the request in time"};
	case 429:
	case 503:
		return (struct row){"", ERR_THROTTLED, NULL, "it asks to send less"};
	case 501:
		return (struct row){"", ERR_CONFIG, "s3.refused", "it does not offer this"};
	default:
		break;
	}
	if (fault->status >= 500)
		return (struct row){"", ERR_TRANSIENT, NULL, "it failed inside"};
	if (*fault->code)
		return (struct row){"", ERR_USER, "s3.refused", NULL};
	return (struct row){"", ERR_CONFIG, "s3.not_there",
			    "what answers there is not an object store"};
}

static struct row row_of(const struct s3_fault *fault, const struct s3_subject *subject)
{
	struct row row = by_status(fault, subject);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_eq(fault->code, rows[i].code))
			row = rows[i];
	if (row.class == ERR_CONFLICT && subject->mutates) {
		row.reason = "s3.exists";
		row.sentence = "there is such an object already";
	}
	return row;
}

enum err_class s3_error(struct err *err, const struct s3_fault *fault,
			const struct s3_subject *subject)
{
	struct row row = row_of(fault, subject);
	char start[ERR_MSG_MAX / 2];

	begin(start, sizeof start, subject);
	if (is_of_region(fault, subject) && row.class != ERR_CONFLICT)
		return wrong_region(err, fault, subject, start);
	if (row.sentence)
		err_code(err, row.class, row.reason ? row.reason : "", "%s: %s", start,
			 row.sentence);
	else
		err_code(err, row.class, row.reason ? row.reason : "", "%s: it answers %d %s%s%s",
			 start, fault->status, fault->code, *fault->message ? ": " : "",
			 fault->message);
	if (err)
		err->in_doubt =
			subject->mutates && row.class == ERR_TRANSIENT && fault->status >= 500;
	return row.class;
}
