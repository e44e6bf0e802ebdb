/* signature.h - the X-Hub-Signature-256 header: form and comparison (GitHub: "Validating webhook
 * deliveries"). Pure; any thread. */
#ifndef KF_CORE_SIGNATURE_H
#define KF_CORE_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>

/* True when `header` is "sha256=" and 64 lower-case hex digits that are the HMAC-SHA256 of the raw
 * body under one of the secrets (NULL or "" entries are skipped). Constant time in the digits. */
bool signature_is_valid(const char *header, const void *body, size_t len,
			const char *const *secrets, size_t secret_count);

#endif
