/* fuzz_signature.c - any header over any body: only the one right header is let in.
 * Input: the header up to the first newline, then the body. */
#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/core/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const secrets[] = {"", "benchsecret", NULL, "older"};
	const char *text = (const char *)data, *newline = size ? memchr(text, '\n', size) : NULL;
	size_t header_len = newline ? (size_t)(newline - text) : size;
	const char *body = newline ? newline + 1 : "";
	size_t body_len = newline ? size - header_len - 1 : 0;
	char *header = str_dup_len(text, header_len);
	bool expected = false;

	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		char right[7 + 2 * SIGN_SHA256_LEN + 1] = "sha256=";
		unsigned char digest[SIGN_SHA256_LEN];

		if (str_is_empty(secrets[i]))
			continue;
		sign_hmac_sha256(digest, secrets[i], strlen(secrets[i]), body, body_len);
		str_hex(right + 7, digest, sizeof digest);
		must(signature_is_valid(right, body, body_len, secrets, ARRAY_LEN(secrets)));
		expected |= str_eq(header, right);
	}
	must(signature_is_valid(header, body, body_len, secrets, ARRAY_LEN(secrets)) == expected);
	mem_free(header);
	return 0;
}
