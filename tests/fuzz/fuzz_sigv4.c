/* fuzz_sigv4.c - any path, parameter, header and token, one a line, through the signer. What it
 * writes must be a URL that a server reads back to the same path, and must not hold the secret. */
#include <stdint.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/core/sigv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = str_dup_len((const char *)data, size);
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
			return 0;
		must(!strstr(buf_text(&header), secret) && !strstr(buf_text(&url), secret));
	}
	return 0;
}
