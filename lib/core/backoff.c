/* backoff.c - see backoff.h. The random bits are scaled by a 128-bit product: a remainder would
 * favour the short waits. */
#include "lib/core/backoff.h"

int64_t backoff_ms(int tries, int64_t base_ms, int64_t cap_ms, uint64_t random)
{
	int64_t ceiling = base_ms;

	if (base_ms <= 0 || cap_ms <= 0)
		return 0;
	for (int i = 0; i < tries && ceiling < cap_ms; i++)
		if (__builtin_mul_overflow(ceiling, 2, &ceiling))
			ceiling = cap_ms;
	if (ceiling > cap_ms)
		ceiling = cap_ms;
	return (int64_t)(((__extension__(unsigned __int128) random) * ((uint64_t)ceiling + 1)) >>
			 64);
}
