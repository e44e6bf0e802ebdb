/* redact.h - secrets out of text. Private to lib/core (markdown.c).
 *
 * Known by their form: GitHub tokens of any length, values of Authorization headers, bearer tokens,
 * JWTs, PEM blocks, AWS keys, signatures of pre-signed URLs, passwords in URLs. Known by their
 * value: the strings given to redact_set. Doing it twice gives the same as doing it once. Linear in
 * the text. */
#ifndef KF_CORE_REDACT_H
#define KF_CORE_REDACT_H

#include <stddef.h>

#include "lib/base/buf.h"

#define REDACT_MARK "[redacted]"

/* Appends the text with REDACT_MARK in place of each secret. */
void redact_add(struct buf *out, const char *text, size_t len);

/* See markdown_redact_also. */
void redact_set(const char *const *secrets, size_t count);

#endif
