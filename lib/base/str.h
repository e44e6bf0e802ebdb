/* str.h - text helpers without opinions: copying, comparing, hex, ids, nearest words.
 *
 * Pure functions; what needs random bytes or the time is handed them. Results that are allocated
 * belong to the caller (mem_free). Any thread. */
#ifndef KF_BASE_STR_H
#define KF_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

char *str_dup(const char *text) MUST_CHECK; /* NULL gives NULL */
char *str_dup_len(const char *text, size_t len) MUST_CHECK;
char *str_printf(const char *fmt, ...) MUST_CHECK __attribute__((format(printf, 1, 2)));

/* Copies at most size - 1 bytes and ends with NUL; cuts on a UTF-8 boundary. True if all fit. */
bool str_copy(char *out, size_t size, const char *text);

bool str_eq(const char *a, const char *b);	  /* NULL equals only NULL */
bool str_eq_nocase(const char *a, const char *b); /* ASCII */
bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);
bool str_is_empty(const char *text); /* NULL or "" */

/* True when `text` is exactly `len` (or at least one, for len 0) lower-case hex digits. */
bool str_is_hex(const char *text, size_t len);

/* Git object name: 40 or 64 lower-case hex digits. */
bool str_is_object_name(const char *text);

void str_hex(char *out, const unsigned char *bytes, size_t len);     /* out: 2 * len + 1 */
bool str_unhex(unsigned char *out, const char *hex, size_t out_len); /* both cases accepted */

/* Bytes of standard base64 (RFC 4648 section 4, padded; white space between is passed over), with a
 * NUL after them; the caller frees. NULL when it is anything else. */
char *str_unbase64(const char *text, size_t *out_len) MUST_CHECK;

/* Signed decimal of the whole text; false for anything else or overflow. */
bool str_to_int64(int64_t *out, const char *text);

/* "90s", "15m", "6h", "2d", "1h30m" to milliseconds; a bare number is refused. */
bool str_to_duration_ms(int64_t *out_ms, const char *text);

/* Milliseconds as people say it: "0.9 s", "12 s", "18 min", "3 h 05 min", "9 d 2 h". out: 32 bytes.
 */
void str_duration(char out[32], int64_t ms);

/* Edit distance with adjacent swaps counted as one (optimal string alignment), at most `max` + 1.
 */
int str_distance(const char *a, const char *b, int max);

/* The word of `words` nearest to `text` within distance `max`, or NULL. */
const char *str_nearest(const char *text, const char *const *words, size_t count, int max);

/* Largest length <= len at which cutting does not split a UTF-8 sequence. */
size_t str_utf8_cut(const char *text, size_t len);

/* Crockford ULID of a wall-clock time and ten random bytes. out: 26 characters and NUL. */
void str_ulid(char out[27], int64_t now_ms, const unsigned char random[10]);

/* Version-4 UUID of sixteen random bytes. out: 36 characters and NUL. */
void str_uuid(char out[37], const unsigned char random[16]);

#endif
