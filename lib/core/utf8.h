/* utf8.h - reading UTF-8 one code point at a time, and knowing which ones people cannot see.
 *
 * Strict (RFC 3629): no overlong forms, no surrogates, nothing past U+10FFFF. Pure; any thread. */
#ifndef KF_CORE_UTF8_H
#define KF_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UTF8_REPLACEMENT = 0xfffd };

/* Bytes of the well-formed sequence at `at`, 1 to 4, and its code point; 0 when it is not one. */
size_t utf8_decode(uint32_t *out, const char *at, const char *end);

/* Writes a code point (at most U+10FFFF, not a surrogate) and returns its bytes, 1 to 4. */
size_t utf8_encode(char out[4], uint32_t code);

/* C0 and C1 controls and DEL; tab and newline are controls too. */
bool utf8_is_control(uint32_t code);

/* Bidirectional controls, zero-width and other characters without a look of their own, line and
 * paragraph separators: what makes text read differently from what it is. */
bool utf8_is_hidden(uint32_t code);

#endif
