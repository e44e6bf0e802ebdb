/* backoff.h - how long to wait before the next attempt: exponential with full jitter, so that many
 * jobs that failed together do not come back together. Pure; any thread. */
#ifndef KF_CORE_BACKOFF_H
#define KF_CORE_BACKOFF_H

#include <stdint.h>

/* Evenly spread over 0 to min(cap_ms, base_ms * 2^tries), both ends included. `tries` counts the
 * attempts that failed before this one (less than 0 is 0), `random` is any 64 random bits. */
int64_t backoff_ms(int tries, int64_t base_ms, int64_t cap_ms, uint64_t random);

#endif
