/* metrics.h - counters, gauges and histograms in Prometheus' text form (version 0.0.4).
 *
 * The list is lib/base/metrics.def; each has at most one label, whose values are few and never come
 * from outside (no repository names, no logins). Any thread, no locks on the hot path. */
#ifndef KF_BASE_METRICS_H
#define KF_BASE_METRICS_H

#include <stdint.h>

#include "lib/base/buf.h"

enum metric {
#define METRIC(symbol, type, name, label, help) METRIC_##symbol,
#include "lib/base/metrics.def"
#undef METRIC
	METRIC_COUNT
};

/* Adds to a counter or gauge; `label` is NULL for a metric without one. */
void metrics_add(enum metric metric, const char *label, int64_t by);

/* Sets a gauge. */
void metrics_set(enum metric metric, const char *label, int64_t value);

/* Puts a duration into a histogram (buckets from 1 ms to 1 h; exported in seconds). */
void metrics_observe_ms(enum metric metric, const char *label, int64_t ms);

/* Counts a call to the far side `side` ("github") by the class of its status, "github_2xx"; a
 * status outside of 100 to 599 is a call without an answer, "github_error". */
void metrics_call(const char *side, int status, int64_t took_ms);

/* Present value of a counter or gauge; for tests and the status page. */
int64_t metrics_get(enum metric metric, const char *label);

/* Appends the whole exposition text. */
void metrics_write(struct buf *out);

#endif
