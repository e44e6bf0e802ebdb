/* metrics.c - see metrics.h. Each metric owns a fixed row of slots. A label takes the first free
 * slot by compare-and-swap and keeps it for the life of the process, so adding is a short scan and
 * one atomic addition; when a row is full, further labels are counted together as "other". A
 * histogram's buckets are allocated when its slot is first used. Reading is not a snapshot: sums
 * may be a little ahead of counts, which Prometheus allows for. */
#include "lib/base/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "lib/base/str.h"

enum type { COUNTER, GAUGE, HISTOGRAM };
enum { SLOTS = 96, LABEL_MAX = 32 };

static const int64_t bounds_ms[] = {
	1,    2,    5,	   10,	  20,	 50,	 100,	 200,	 500,	  1000,
	2000, 5000, 10000, 30000, 60000, 120000, 300000, 600000, 1800000, 3600000,
};
enum { BOUNDS = ARRAY_LEN(bounds_ms) };

struct histogram {
	atomic_int_fast64_t buckets[BOUNDS + 1]; /* not cumulative; the last is what is above */
	atomic_int_fast64_t sum_ms;
};

struct slot {
	_Atomic(char *) label; /* NULL: free */
	atomic_int_fast64_t value;
	_Atomic(struct histogram *) histogram;
};

static const struct {
	enum type type;
	const char *name, *label, *help;
} defs[METRIC_COUNT] = {
#define METRIC(symbol, type_, name_, label_, help_)                                                \
	[METRIC_##symbol] = {type_, name_, label_, help_},
#include "lib/base/metrics.def"
#undef METRIC
};

static struct slot slots[METRIC_COUNT][SLOTS];

/* True when the slot carries the label, taking it if it was free. */
static bool claim(struct slot *slot, const char *label)
{
	char *have = atomic_load_explicit(&slot->label, memory_order_acquire), *mine;

	if (!have) {
		mine = str_dup(label);
		if (atomic_compare_exchange_strong(&slot->label, &have, mine))
			return true;
		mem_free(mine);
	}
	return str_eq(have, label);
}

static struct slot *slot_of(enum metric metric, const char *label)
{
	struct slot *row = slots[metric];

	if (!label || !*defs[metric].label)
		label = "";
	for (int i = 0; i < SLOTS - 1; i++)
		if (claim(&row[i], label))
			return &row[i];
	(void)claim(&row[SLOTS - 1], "other");
	return &row[SLOTS - 1];
}

void metrics_add(enum metric metric, const char *label, int64_t by)
{
	must(defs[metric].type != HISTOGRAM);
	atomic_fetch_add_explicit(&slot_of(metric, label)->value, by, memory_order_relaxed);
}

void metrics_set(enum metric metric, const char *label, int64_t value)
{
	must(defs[metric].type == GAUGE);
	atomic_store_explicit(&slot_of(metric, label)->value, value, memory_order_relaxed);
}

static struct histogram *histogram_of(struct slot *slot)
{
	struct histogram *have = atomic_load_explicit(&slot->histogram, memory_order_acquire);
	struct histogram *mine;

	if (have)
		return have;
	mine = mem_new(1, sizeof *mine);
	if (atomic_compare_exchange_strong(&slot->histogram, &have, mine))
		return mine;
	mem_free(mine);
	return have;
}

void metrics_observe_ms(enum metric metric, const char *label, int64_t ms)
{
	struct histogram *histogram;
	int i = 0;

	must(defs[metric].type == HISTOGRAM);
	histogram = histogram_of(slot_of(metric, label));
	if (ms < 0)
		ms = 0;
	while (i < BOUNDS && ms > bounds_ms[i])
		i++;
	atomic_fetch_add_explicit(&histogram->buckets[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->sum_ms, ms, memory_order_relaxed);
}

void metrics_call(const char *side, int status, int64_t took_ms)
{
	char label[LABEL_MAX];

	if (status >= 100 && status < 600)
		snprintf(label, sizeof label, "%.20s_%dxx", side, status / 100);
	else
		snprintf(label, sizeof label, "%.20s_error", side);
	metrics_add(METRIC_CALLS, label, 1);
	metrics_observe_ms(METRIC_CALL_SECONDS, side, took_ms);
}

int64_t metrics_get(enum metric metric, const char *label)
{
	if (!label || !*defs[metric].label)
		label = "";
	for (int i = 0; i < SLOTS; i++) {
		struct slot *slot = &slots[metric][i];
		const char *have = atomic_load_explicit(&slot->label, memory_order_acquire);

		if (!have)
			break;
		if (str_eq(have, label))
			return atomic_load_explicit(&slot->value, memory_order_relaxed);
	}
	return 0;
}

/* {label="value"} with the escapes of the exposition format; `le` is appended when there is one. */
static void put_labels(struct buf *out, const char *name, const char *value, const char *le)
{
	bool has_label = *name && value;

	if (!has_label && !le)
		return;
	buf_putc(out, '{');
	if (has_label) {
		buf_printf(out, "%s=\"", name);
		for (; *value; value++) {
			if (*value == '"' || *value == '\\')
				buf_printf(out, "\\%c", *value);
			else if (*value == '\n')
				buf_puts(out, "\\n");
			else
				buf_putc(out, *value);
		}
		buf_putc(out, '"');
	}
	if (le)
		buf_printf(out, "%sle=\"%s\"", has_label ? "," : "", le);
	buf_putc(out, '}');
}

/* Milliseconds as seconds without trailing zeros: "0.005", "1", "3600". out: 32 bytes. */
static void put_seconds(char out[32], int64_t ms)
{
	AUTO_BUF struct buf text = buf_make(31);

	buf_printf(&text, "%" PRId64, ms / 1000);
	if (ms % 1000) {
		buf_printf(&text, ".%03d", (int)(ms % 1000));
		while (text.data[text.len - 1] == '0')
			text.data[--text.len] = '\0';
	}
	str_copy(out, 32, buf_text(&text));
}

static void put_histogram(struct buf *out, enum metric metric, const char *label,
			  const struct histogram *histogram)
{
	const char *name = defs[metric].name, *key = defs[metric].label;
	int64_t count = 0;
	char text[32];

	for (int i = 0; i <= BOUNDS; i++) {
		count += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
		if (i < BOUNDS)
			put_seconds(text, bounds_ms[i]);
		buf_printf(out, "%s_bucket", name);
		put_labels(out, key, label, i < BOUNDS ? text : "+Inf");
		buf_printf(out, " %" PRId64 "\n", count);
	}
	put_seconds(text, atomic_load_explicit(&histogram->sum_ms, memory_order_relaxed));
	buf_printf(out, "%s_sum", name);
	put_labels(out, key, label, NULL);
	buf_printf(out, " %s\n%s_count", text, name);
	put_labels(out, key, label, NULL);
	buf_printf(out, " %" PRId64 "\n", count);
}

static void put_metric(struct buf *out, enum metric metric)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};
	bool any = false;

	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", defs[metric].name, defs[metric].help,
		   defs[metric].name, types[defs[metric].type]);
	for (int i = 0; i < SLOTS; i++) {
		struct slot *slot = &slots[metric][i];
		const char *label = atomic_load_explicit(&slot->label, memory_order_acquire);
		const struct histogram *histogram;

		if (!label)
			continue;
		any = true;
		if (defs[metric].type == HISTOGRAM) {
			histogram = atomic_load_explicit(&slot->histogram, memory_order_acquire);
			if (histogram)
				put_histogram(out, metric, label, histogram);
			continue;
		}
		buf_puts(out, defs[metric].name);
		put_labels(out, defs[metric].label, label, NULL);
		buf_printf(out, " %" PRId64 "\n",
			   (int64_t)atomic_load_explicit(&slot->value, memory_order_relaxed));
	}
	/* A counter without a label exists from the start, so that its first increase is seen. */
	if (!any && !*defs[metric].label && defs[metric].type != HISTOGRAM)
		buf_printf(out, "%s 0\n", defs[metric].name);
}

void metrics_write(struct buf *out)
{
	for (int i = 0; i < METRIC_COUNT; i++)
		put_metric(out, (enum metric)i);
}
