/* signature.c - see signature.h. The header's form is checked first, in time that depends only on
 * what the sender wrote; then every secret is tried, also after one has matched, so that the time
 * tells nothing about which one is in use. */
#include "lib/core/signature.h"

#include <string.h>

#include "lib/base/sign.h"
#include "lib/base/str.h"

bool signature_is_valid(const char *header, const void *body, size_t len,
			const char *const *secrets, size_t secret_count)
{
	static const char prefix[] = "sha256=";
	unsigned char given[SIGN_SHA256_LEN], wanted[SIGN_SHA256_LEN];
	bool valid = false;

	if (!str_starts(header, prefix) ||
	    !str_is_hex(header + sizeof prefix - 1, (size_t)2 * SIGN_SHA256_LEN) ||
	    !str_unhex(given, header + sizeof prefix - 1, SIGN_SHA256_LEN))
		return false;
	for (size_t i = 0; i < secret_count; i++) {
		if (str_is_empty(secrets[i]))
			continue;
		sign_hmac_sha256(wanted, secrets[i], strlen(secrets[i]), body, len);
		valid |= sign_equal(given, wanted, SIGN_SHA256_LEN);
	}
	return valid;
}
