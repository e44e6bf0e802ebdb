/* fuzz_s3_answers.c - any bytes as an answer of an object store or of STS. The first byte chooses
 * the parser, so one corpus serves all; the second is the status of a refusal, and the number of
 * 'a's in the prefix of a list. */
#include <stdint.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/services/s3_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_refusal(const char *text, size_t len, unsigned char kind)
{
	static const int statuses[] = {301, 304, 307, 400, 401, 403, 404, 405,
				       409, 412, 416, 429, 500, 501, 502, 503};
	struct s3_subject subject = {.doing = "read",
				     .bucket = "models",
				     .key = kind & 16 ? "m" : "",
				     .host = "h",
				     .region = "us-east-1",
				     .is_head = kind & 32,
				     .is_signed = kind & 64,
				     .mutates = kind & 128};
	struct s3_fault fault;
	struct err err = {0};

	s3_fault_parse(&fault, statuses[kind & 15], text, len);
	must(s3_error(&err, &fault, &subject) == err.class && err.class != ERR_OK);
	must(str_starts(err.msg, "h cannot read s3://models/") && !strchr(err.msg, '\n'));
	must(!strcasestr(err.msg, "aws4") && !strcasestr(err.msg, "x-amz-"));
}

static void fuzz_page(const char *text, size_t len, unsigned char prefix_len)
{
	static const char many[] = "aaaaaaaaaaaaaaaa";
	const char *prefix = many + (prefix_len & 15);
	struct s3_list_request request = {.prefix = prefix};
	struct s3_listing listing = {0};
	struct s3_page page = {&listing, &request};
	struct err err = {0};
	enum err_class class = s3_page_parse(&page, text, len, &err);

	must(class == err.class);
	must(!class || *err.msg);
	for (size_t i = 0; !class && i < listing.count; i++) {
		const struct s3_object *object = &listing.objects[i];

		must(str_starts(object->key, prefix) && *object->key && object->size >= 0);
		must(object->etag && strlen(object->key) <= S3_KEY_MAX);
	}
	for (size_t i = 0; !class && i < listing.folder_count; i++)
		must(str_starts(listing.folders[i], prefix));
	must(class || listing.complete == !listing.continuation);
	must(!listing.continuation || *listing.continuation);
	s3_listing_dispose(&listing);
}

static void fuzz_session(const char *text, size_t len)
{
	enum { NOW_MS = 1000000 };
	struct s3_session session;

	if (s3_session_parse(&session, text, len, NOW_MS)) {
		must(*session.credentials.access_key && *session.credentials.secret_key);
		must(*session.credentials.session_token);
		must(session.ends_ms <= NOW_MS + 12 * 3600 * 1000);
	} else {
		must(!session.credentials.access_key && !session.credentials.secret_key);
	}
	s3_credentials_dispose(&session.credentials);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 2;

	if (size < 2)
		return 0;
	switch (data[0] % 3) {
	case 0:
		fuzz_refusal(text, size - 2, data[1]);
		break;
	case 1:
		fuzz_page(text, size - 2, data[1]);
		break;
	default:
		fuzz_session(text, size - 2);
		break;
	}
	return 0;
}
