/* watch.c - see watch.h. The order of the verdicts is that of what a person wants to read first: a
 * container that was killed explains the request that failed, so it comes before it.
 *
 * Restarts are compared with the fewest that were ever seen, not with the last number: when a pod
 * goes away its restarts go with it, and those of the others count from there. */
#include "lib/core/watch.h"

#include <inttypes.h>

enum { BAD_ROW_MAX = 2, UNREADY_ROW_MAX = 2, RATE_OF = 6, RATE_PART = 3 };

/* One in three of at least six: it fails now and then, never twice in a row. */
static bool fails_often(const struct watch_tally *tally)
{
	return tally->asked >= RATE_OF && tally->failed * RATE_PART >= tally->asked;
}

static void count_restarts(struct watch_tally *tally, int64_t now)
{
	if (now < 0)
		return;
	if (tally->restarts < 0 || now < tally->restarts)
		tally->restarts = now;
	tally->restarted = now - tally->restarts;
}

enum watch_verdict watch_judge(struct watch_tally *tally, const struct watch_look *look)
{
	tally->looks++;
	count_restarts(tally, look->restarts);
	tally->unready_row = look->ready ? 0 : tally->unready_row + 1;
	if (look->asked) {
		tally->asked++;
		tally->failed += !look->good;
		tally->bad_row = look->good ? 0 : tally->bad_row + 1;
	}
	if (look->asked && look->took_ms > tally->slowest_ms)
		tally->slowest_ms = look->took_ms;
	if (tally->restarted > 0)
		return WATCH_RESTARTED;
	if (tally->bad_row >= BAD_ROW_MAX || fails_often(tally))
		return WATCH_BAD_SAMPLE;
	if (tally->unready_row >= UNREADY_ROW_MAX)
		return WATCH_NOT_READY;
	return tally->bad_row || tally->unready_row ? WATCH_DOUBT : WATCH_GOOD;
}

bool watch_gives_up(enum watch_verdict verdict)
{
	return verdict != WATCH_GOOD && verdict != WATCH_DOUBT;
}

void watch_tell_samples(struct buf *out, const struct watch_tally *tally)
{
	if (tally->failed)
		buf_printf(out, "%" PRId64 " of %" PRId64 " sample requests failed", tally->failed,
			   tally->asked);
	else if (tally->asked == 1)
		buf_puts(out, "1 sample request was answered well");
	else if (tally->asked)
		buf_printf(out, "%" PRId64 " sample requests were answered well", tally->asked);
}

void watch_tell(struct buf *out, enum watch_verdict verdict, const struct watch_tally *tally,
		int percent, const char *said)
{
	if (verdict == WATCH_BAD_SAMPLE)
		watch_tell_samples(out, tally);
	else if (verdict == WATCH_NOT_READY)
		buf_puts(out, "the new model was not ready any more");
	else
		buf_puts(out, "a container of the new model was started anew");
	buf_printf(out, " at %d %%", percent);
	if (*said)
		buf_printf(out, ": %s", said);
}
