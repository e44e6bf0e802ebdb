/* clock.h - the time: wall clock for what is stored and shown, monotonic for waiting.
 *
 * The pure core never calls this; it is handed the time. Any thread. */
#ifndef KF_BASE_CLOCK_H
#define KF_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since 1970-01-01 UTC. */
int64_t clock_now_ms(void);

/* Milliseconds of a clock that never jumps; only differences mean anything. */
int64_t clock_mono_ms(void);

/* The same, but it goes on while the machine sleeps. */
int64_t clock_boot_ms(void);

/* "2026-11-21T10:02:03Z". out: 21 bytes. */
void clock_rfc3339(char out[21], int64_t ms);

/* "10:02" (UTC). out: 6 bytes. */
void clock_hhmm(char out[6], int64_t ms);

/* RFC 3339 with 'Z' or an offset and optional fraction, or an HTTP date, or integer seconds:
 * the three forms in which GitHub writes times, and HTTP's own. False when it is none of them. */
bool clock_parse(int64_t *out_ms, const char *text);

#endif
