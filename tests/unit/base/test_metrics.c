/* Counters, gauges and histograms, and their text. */
#include <pthread.h>

#include "lib/base/metrics.h"
#include "tests/unit/cases.h"

static bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at++)
		if ((at == text || at[-1] == '\n') && at[len] == '\n')
			return true;
	return false;
}

static void expect_lines(const char *const *lines, size_t count)
{
	AUTO_BUF struct buf out = buf_make(1 << 20);

	metrics_write(&out);
	for (size_t i = 0; i < count; i++)
		if (!has_line(buf_text(&out), lines[i]))
			fail_msg("no line \"%s\"", lines[i]);
}

static void test_counters_and_gauges(void **state)
{
	static const char *const before[] = {
		"# TYPE kfops_commit_operations_total counter",
		"# HELP kfops_commit_operations_total Operations committed.",
		"kfops_commit_operations_total 0",
		"kfops_ready 0",
	};
	static const char *const after[] = {
		"kfops_commit_operations_total 7",
		"kfops_jobs{state=\"ready\"} 2",
		"kfops_jobs{state=\"a\\\"b\\\\c\\nd\"} -1",
		"kfops_deliveries_total{outcome=\"stored\"} 1",
		"kfops_ready 1",
	};

	(void)state;
	expect_lines(before, ARRAY_LEN(before));
	metrics_add(METRIC_WRITER_BATCH, NULL, 3);
	metrics_add(METRIC_WRITER_BATCH, NULL, 4);
	metrics_set(METRIC_JOBS, "ready", 5);
	metrics_set(METRIC_JOBS, "ready", 2);
	metrics_add(METRIC_JOBS, "a\"b\\c\nd", -1);
	metrics_add(METRIC_DELIVERIES, "stored", 1);
	metrics_set(METRIC_READY, NULL, 1);
	expect_lines(after, ARRAY_LEN(after));
	assert_int_equal(metrics_get(METRIC_WRITER_BATCH, NULL), 7);
	assert_int_equal(metrics_get(METRIC_JOBS, "ready"), 2);
	assert_int_equal(metrics_get(METRIC_JOBS, "never"), 0);
}

static void test_histogram(void **state)
{
	static const char *const lines[] = {
		"# TYPE kfops_call_seconds histogram",
		"kfops_call_seconds_bucket{service=\"github\",le=\"0.001\"} 2",
		"kfops_call_seconds_bucket{service=\"github\",le=\"0.05\"} 3",
		"kfops_call_seconds_bucket{service=\"github\",le=\"1\"} 3",
		"kfops_call_seconds_bucket{service=\"github\",le=\"3600\"} 4",
		"kfops_call_seconds_bucket{service=\"github\",le=\"+Inf\"} 5",
		"kfops_call_seconds_sum{service=\"github\"} 10799.022",
		"kfops_call_seconds_count{service=\"github\"} 5",
		"kfops_commit_seconds_bucket{le=\"0.005\"} 1",
		"kfops_commit_seconds_sum 0.005",
	};

	(void)state;
	metrics_observe_ms(METRIC_CALL_SECONDS, "github", -3);
	metrics_observe_ms(METRIC_CALL_SECONDS, "github", 1);
	metrics_observe_ms(METRIC_CALL_SECONDS, "github", 21);
	metrics_observe_ms(METRIC_CALL_SECONDS, "github", 3600000);
	metrics_observe_ms(METRIC_CALL_SECONDS, "github", 7199000);
	metrics_observe_ms(METRIC_WRITER_SECONDS, NULL, 5);
	expect_lines(lines, ARRAY_LEN(lines));
}

static void test_calls_by_class_of_status(void **state)
{
	static const int statuses[] = {0, 99, 200, 299, 404, 599, 600, -1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		metrics_call("far", statuses[i], 1);
	assert_int_equal(metrics_get(METRIC_CALLS, "far_error"), 4);
	assert_int_equal(metrics_get(METRIC_CALLS, "far_2xx"), 2);
	assert_int_equal(metrics_get(METRIC_CALLS, "far_4xx"), 1);
	assert_int_equal(metrics_get(METRIC_CALLS, "far_5xx"), 1);
}

static void *count(void *arg)
{
	char label[32];

	(void)arg;
	for (int i = 0; i < 2000; i++) {
		snprintf(label, sizeof label, "step%d", i % 10);
		metrics_add(METRIC_COMMANDS, label, 1);
		metrics_observe_ms(METRIC_STEP_SECONDS, label, i);
	}
	return NULL;
}

static void test_threads_share_slots(void **state)
{
	pthread_t threads[4];
	char label[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, count, NULL);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 10; i++) {
		snprintf(label, sizeof label, "step%d", i);
		assert_int_equal(metrics_get(METRIC_COMMANDS, label), 800);
	}
}

static void test_labels_are_bounded(void **state)
{
	AUTO_BUF struct buf out = buf_make(1 << 20);
	int64_t lines = 0;
	char label[32];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(label, sizeof label, "flood%d", i);
		metrics_add(METRIC_CALLS, label, 1);
	}
	metrics_write(&out);
	for (const char *at = buf_text(&out); (at = strstr(at, "\nkfops_calls_total{")); at++)
		lines++;
	assert_int_equal(lines, 96);
	assert_int_equal(metrics_get(METRIC_CALLS, "other"), 1000 - 91); /* 5 slots are taken */
	assert_int_equal(metrics_get(METRIC_CALLS, "flood0"), 1);
}

static void test_every_line_is_well_formed(void **state)
{
	AUTO_BUF struct buf out = buf_make(1 << 20);
	char *next;

	(void)state;
	metrics_write(&out);
	assert_int_equal(out.data[out.len - 1], '\n');
	for (char *line = out.data; *line; line = next) {
		const char *space;
		char *end;

		next = strchr(line, '\n');
		*next++ = '\0';
		assert_memory_equal(line[0] == '#' ? line + 2 + 5 : line, "kfops_", 6);
		if (line[0] == '#')
			continue;
		space = strrchr(line, ' ');
		(void)strtod(space + 1, &end);
		assert_int_equal(*end, '\0');
	}
}

static const struct CMUnitTest metrics_tests[] = {
	cmocka_unit_test(test_counters_and_gauges),
	cmocka_unit_test(test_histogram),
	cmocka_unit_test(test_calls_by_class_of_status),
	cmocka_unit_test(test_threads_share_slots),
	cmocka_unit_test(test_labels_are_bounded),
	cmocka_unit_test(test_every_line_is_well_formed),
};

CASES_MAIN(metrics_tests, NULL, NULL)
