/* watch.h - is a new model still good while its share of the traffic is held?
 *
 * Each look at it is judged together with those before it in the same hold. A single bad look is a
 * blip: it is looked at again, sooner. The model is given up when its sample was answered badly
 * twice in a row, or every third time of at least six; when it was not ready at two looks in a row;
 * when a container was started anew. Pure; any thread. */
#ifndef KF_CORE_WATCH_H
#define KF_CORE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct watch_look {
	bool ready;
	bool asked;	  /* its sample, which is not done when the repository has none */
	bool good;	  /* the answer was as wanted */
	int64_t took_ms;  /* the answer; -1: there was none */
	int64_t restarts; /* of its containers so far; -1: not known */
};

/* What the looks of one hold came to. Zeroed at the begin of a hold but for `restarts`. */
struct watch_tally {
	int64_t looks;
	int64_t asked, failed; /* sample requests */
	int64_t bad_row;       /* of them failed, up to the last */
	int64_t unready_row;   /* looks at which it was not ready, up to the last */
	int64_t slowest_ms;    /* of the answers */
	int64_t restarts;      /* the fewest ever seen; -1: not known */
	int64_t restarted;     /* that came to those */
};

enum watch_verdict {
	WATCH_GOOD,
	WATCH_DOUBT, /* look again soon */
	WATCH_BAD_SAMPLE,
	WATCH_NOT_READY,
	WATCH_RESTARTED,
};

/* Adds the look to the tally, and judges. */
enum watch_verdict watch_judge(struct watch_tally *tally, const struct watch_look *look);
bool watch_gives_up(enum watch_verdict verdict);

/* "2 of 7 sample requests failed"; "7 sample requests were answered well"; "" when none was
 * asked. */
void watch_tell_samples(struct buf *out, const struct watch_tally *tally);

/* Why it is given up, one sentence without a stop: "2 of 7 sample requests failed at 10 %: it
 * answers 500". `said`: what the sample, the service or the pod says; may be "". */
void watch_tell(struct buf *out, enum watch_verdict verdict, const struct watch_tally *tally,
		int percent, const char *said);

#endif
