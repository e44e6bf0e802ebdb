/* fuzz_s3.c - any bytes as an answer of an object store or of STS, as XML, and as what is signed
 * for them. The first byte chooses, so one corpus serves all. Of answers the second is the status
 * of a refusal, and the number of 'a's in the prefix of a list. XML: paths and texts keep their
 * bounds, the root is told last, and what was refused says where. Signed: a path, parameter, header
 * and token, one a line; a server reads the URL back to the same path, and the secret is not in it.
 */
#include <stdint.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/base/xml.h"
#include "lib/core/sigv4.h"
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

struct told {
	size_t elements;
	char *last;
};

static void hear(void *arg, const char *path, const char *text)
{
	struct told *told = arg;

	told->elements++;
	must(*path && strlen(path) <= 4096 && strlen(text) <= 64 * 1024);
	must(str_utf8_cut(text, strlen(text)) == strlen(text));
	mem_free(told->last);
	told->last = str_dup(path);
}

static void fuzz_xml(const char *text, size_t len)
{
	struct err err = {0};
	struct told told = {0};
	enum err_class class = xml_read(text, len, hear, &told, &err);

	if (class)
		must(class == ERR_USER && str_starts(err.msg, "line "));
	else
		must(told.elements && !strchr(told.last, '/')); /* the root is told last */
	must(told.elements <= 100000);
	mem_free(told.last);
}

enum { FIELDS = 6 };

static const char secret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/* Only characters that may stand in a path and query as they are. */
static void must_be_target(const char *text)
{
	for (; *text; text++)
		must((*text > ' ' && *text < 0x7f) && !strchr("\"<>\\^`{|}#", *text));
}

static void must_read_back(const char *target, const char *path)
{
	size_t at = 0;

	for (; *path; path++) {
		unsigned char byte = (unsigned char)target[at++];

		if (byte == '%') {
			must(str_unhex(&byte, target + at, 1));
			at += 2;
		}
		must(byte == (unsigned char)*path);
	}
	must(!target[at] || target[at] == '?');
}

static void fuzz_signer(const char *data, size_t size)
{
	AUTO_FREE char *text = str_dup_len(data, size);
	AUTO_BUF struct buf target = buf_make(1 << 20), header = buf_make(1 << 20),
			    url = buf_make(1 << 20);
	char *at = text, *fields[FIELDS];

	for (int i = 0; i < FIELDS; i++) {
		fields[i] = at;
		at += strcspn(at, "\n");
		if (*at)
			*at++ = '\0';
	}
	{
		const struct sigv4_key key = {"AKIAIOSFODNN7EXAMPLE", secret, fields[5]};
		const struct sigv4_pair query = {fields[1], fields[2]};
		const struct sigv4_pair extra = {fields[3], fields[4]};
		const struct sigv4_request request = {
			.method = "GET",
			.host = "h",
			.path = fields[0],
			.query = &query,
			.query_count = *fields[1] ? 1 : 0,
			.headers = &extra,
			.header_count = 1,
			.payload_hash = SIGV4_UNSIGNED_PAYLOAD,
			.region = "us-east-1",
			.service = "s3",
			.now_ms = (int64_t)size * 86400000,
		};

		sigv4_target(&target, &request);
		sigv4_authorize(&header, &request, &key);
		sigv4_presign(&url, &request, &key, 60);
		must_be_target(buf_text(&target));
		must_be_target(buf_text(&url));
		must_read_back(buf_text(&target), fields[0]);
		must_read_back(buf_text(&url), fields[0]);
		if (memmem(data, size, secret, sizeof secret - 1))
			return;
		must(!strstr(buf_text(&header), secret) && !strstr(buf_text(&url), secret));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 2;

	if (size < 2)
		return 0;
	switch ((unsigned char)(data[0] - '0') % 5) {
	case 0:
		fuzz_refusal(text, size - 2, data[1]);
		break;
	case 1:
		fuzz_page(text, size - 2, data[1]);
		break;
	case 2:
		fuzz_session(text, size - 2);
		break;
	case 3:
		fuzz_xml(text - 1, size - 1);
		break;
	default:
		fuzz_signer(text - 1, size - 1);
		break;
	}
	return 0;
}
