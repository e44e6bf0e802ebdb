/* github_pace.c - when something may be sent to GitHub: rate limits and pacing of one credential.
 *
 * Pure: time comes in as milliseconds of a clock that never jumps. GitHub's limits cannot be asked
 * for, only run into, and running on after a refusal can get an App banned; so a refusal sets a
 * pause in which nothing goes out for that credential, and writes are spaced below the documented
 * 80 a minute and 500 an hour before they are refused. A ring holds the times of the last writes:
 * the n-th newest tells in one look whether n fit into a window. The primary budgets of REST and
 * GraphQL are separate; every other refusal stops both. Source: "Rate limits for the REST API" and
 * "Best practices". */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/services/github_impl.h"

enum {
	IN_FLIGHT_MAX = 10,
	BUSY_RETRY_MS = 5, /* a request takes some milliseconds at least */
	NOTIFY_GAPS = 3,   /* gaps between two writes that send mail */
	MINUTE_MS = 60000,
	HOUR_MS = 3600000,
	SECONDARY_MS = 60000, /* without a time from GitHub; doubled each time */
	STRIKES_MAX = 6,
	RESET_SLACK_MS = 1000,
	PAUSE_MAX_MS = 2 * HOUR_MS,
};

static bool is_write(enum github_kind kind)
{
	return kind == GITHUB_WRITE || kind == GITHUB_NOTIFY;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Time of the n-th newest write (1: the newest); false when there were fewer. */
static bool nth_write(const struct github_pace *pace, int n, int64_t *out)
{
	if (n < 1 || n > pace->count)
		return false;
	*out = pace->writes[(pace->newest - (n - 1) + pace->ring) % pace->ring];
	return true;
}

int64_t github_pace_due_ms(const struct github_pace *pace, const struct github_limits *limits,
			   enum github_kind kind, enum github_resource resource, int64_t now_ms)
{
	int64_t due = pace->paused_until_ms[resource], at;

	if (pace->in_flight >= IN_FLIGHT_MAX)
		due = later(due, now_ms + BUSY_RETRY_MS);
	if (!is_write(kind))
		return due;
	if (pace->writing)
		due = later(due, now_ms + BUSY_RETRY_MS);
	if (nth_write(pace, 1, &at))
		due = later(due, at + limits->write_gap_ms);
	if (kind == GITHUB_NOTIFY && pace->has_notified)
		due = later(due,
			    pace->last_notify_ms + (int64_t)NOTIFY_GAPS * limits->write_gap_ms);
	if (nth_write(pace, limits->writes_per_minute, &at))
		due = later(due, at + MINUTE_MS);
	if (nth_write(pace, limits->writes_per_hour, &at))
		due = later(due, at + HOUR_MS);
	return due;
}

void github_pace_begin(struct github_pace *pace, const struct github_limits *limits,
		       enum github_kind kind, int64_t now_ms)
{
	pace->in_flight++;
	if (!is_write(kind))
		return;
	pace->writing = true;
	if (!pace->writes) {
		pace->ring = limits->writes_per_hour > limits->writes_per_minute
				     ? limits->writes_per_hour
				     : limits->writes_per_minute;
		pace->writes = mem_new((size_t)pace->ring, sizeof *pace->writes);
		pace->newest = pace->ring - 1;
	}
	pace->newest = (pace->newest + 1) % pace->ring;
	pace->writes[pace->newest] = now_ms;
	if (pace->count < pace->ring)
		pace->count++;
	if (kind == GITHUB_NOTIFY) {
		pace->last_notify_ms = now_ms;
		pace->has_notified = true;
	}
}

void github_pace_end(struct github_pace *pace, enum github_kind kind, int64_t now_ms)
{
	must(pace->in_flight > 0);
	pace->in_flight--;
	if (!is_write(kind))
		return;
	pace->writing = false;
	pace->writes[pace->newest] = now_ms;
	if (kind == GITHUB_NOTIFY)
		pace->last_notify_ms = now_ms;
}

void github_pace_dispose(struct github_pace *pace)
{
	mem_free(pace->writes);
	pace->writes = NULL;
}

void github_facts_read(struct github_facts *out, const struct http_response *response,
		       enum github_resource resource, int64_t now_wall_ms)
{
	char value[128], message[GITHUB_MESSAGE_MAX];
	int64_t number, at_ms;

	*out = (struct github_facts){.status = response->status,
				     .resource = resource,
				     .retry_after_ms = -1,
				     .remaining = -1,
				     .reset_in_ms = -1};
	/* GitHub's own clock decides how long "until" is. */
	if (clock_parse(&at_ms, http_response_header(response, "date", value, sizeof value)))
		now_wall_ms = at_ms;
	http_response_header(response, "retry-after", value, sizeof value);
	if (str_to_int64(&number, value) && number >= 0 && number < INT32_MAX)
		out->retry_after_ms = number * 1000;
	else if (*value && clock_parse(&at_ms, value))
		out->retry_after_ms = at_ms > now_wall_ms ? at_ms - now_wall_ms : 0;
	http_response_header(response, "x-ratelimit-remaining", value, sizeof value);
	if (str_to_int64(&number, value))
		out->remaining = number;
	http_response_header(response, "x-ratelimit-reset", value, sizeof value);
	if (clock_parse(&at_ms, value))
		out->reset_in_ms = at_ms > now_wall_ms ? at_ms - now_wall_ms : 0;
	if (response->status >= 400)
		out->says_secondary = strcasestr(github_answer_message(response, message),
						 "secondary rate") != NULL;
	else if (resource == GITHUB_GRAPHQL)
		out->says_limited = strstr(buf_text(&response->body), "\"RATE_LIMITED\"") != NULL;
}

enum github_wait github_wait_of(const struct github_facts *facts)
{
	if (facts->status != 403 && facts->status != 429 && !facts->says_limited)
		return GITHUB_WAIT_NONE;
	if (facts->retry_after_ms >= 0)
		return GITHUB_WAIT_RETRY_AFTER;
	if (facts->remaining == 0)
		return GITHUB_WAIT_PRIMARY;
	if (facts->says_secondary || facts->says_limited || facts->status == 429)
		return GITHUB_WAIT_SECONDARY;
	return GITHUB_WAIT_NONE;
}

const char *github_wait_name(enum github_wait wait)
{
	static const char *const names[] = {"", "retry_after", "primary", "secondary"};

	return names[wait];
}

static void pause_for(struct github_pace *pace, int resource, int64_t ms, int64_t now_ms)
{
	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	pace->paused_until_ms[resource] = later(pace->paused_until_ms[resource], now_ms + ms);
}

static void pause_all(struct github_pace *pace, int64_t ms, int64_t now_ms)
{
	for (int i = 0; i < GITHUB_RESOURCES; i++)
		pause_for(pace, i, ms, now_ms);
}

enum github_wait github_pace_learn(struct github_pace *pace, const struct github_facts *facts,
				   int64_t now_ms)
{
	int64_t reset_ms =
		(facts->reset_in_ms < 0 ? MINUTE_MS : facts->reset_in_ms) + RESET_SLACK_MS;
	enum github_wait wait = github_wait_of(facts);

	switch (wait) {
	case GITHUB_WAIT_RETRY_AFTER:
		pause_all(pace, later(facts->retry_after_ms, RESET_SLACK_MS), now_ms);
		break;
	case GITHUB_WAIT_PRIMARY:
		pause_for(pace, (int)facts->resource, reset_ms, now_ms);
		break;
	case GITHUB_WAIT_SECONDARY:
		pause_all(pace, (int64_t)SECONDARY_MS << pace->strikes, now_ms);
		if (pace->strikes < STRIKES_MAX)
			pace->strikes++;
		break;
	case GITHUB_WAIT_NONE:
		if (facts->status < 400)
			pace->strikes = 0;
		/* An overloaded GitHub says for how long; a spent budget is not tried once more. */
		if (facts->status >= 500 && facts->retry_after_ms > 0)
			pause_all(pace, facts->retry_after_ms, now_ms);
		else if (facts->status < 400 && facts->remaining == 0 && facts->reset_in_ms >= 0)
			pause_for(pace, (int)facts->resource, reset_ms, now_ms);
		break;
	}
	return wait;
}
