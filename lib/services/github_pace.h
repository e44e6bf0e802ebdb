/* github_pace.h - rate limits and pacing of one credential, and what an answer says about them.
 *
 * Pure: time is handed in as milliseconds of the monotonic clock; github_call.c locks around it.
 * Sources: GitHub's "Rate limits for the REST API" and "Best practices for using the REST API". */
#ifndef KF_SERVICES_GITHUB_PACE_H
#define KF_SERVICES_GITHUB_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/http.h"

enum github_kind {
	GITHUB_READ,
	GITHUB_WRITE,
	GITHUB_NOTIFY, /* a write that sends people a mail: a new comment */
	GITHUB_MINT,   /* asks for a token: POST, but creates no content */
};

enum github_resource { GITHUB_CORE, GITHUB_GRAPHQL, GITHUB_RESOURCES };

struct github_limits {
	int writes_per_minute, writes_per_hour, write_gap_ms;
};

struct github_pace {
	struct github_pace *next;
	int64_t key; /* installation id; 0: the App itself, or the token */
	int64_t paused_until_ms[GITHUB_RESOURCES];
	int strikes; /* secondary limits in a row without a time from GitHub */
	int in_flight;
	bool writing;
	int64_t last_notify_ms;
	bool has_notified;
	int64_t *writes; /* ring of the times of the last writes, newest at `newest` */
	int ring, count, newest;
};

/* Earliest time at which such a request may go out; at most `now_ms` when it may now. */
int64_t github_pace_due_ms(const struct github_pace *pace, const struct github_limits *limits,
			   enum github_kind kind, enum github_resource resource, int64_t now_ms);

/* Counts a request that goes out now, and its end; the gap to the next write begins at the end, so
 * that two cannot arrive closer than that when the first was slow. */
void github_pace_begin(struct github_pace *pace, const struct github_limits *limits,
		       enum github_kind kind, int64_t now_ms);
void github_pace_end(struct github_pace *pace, enum github_kind kind, int64_t now_ms);
void github_pace_dispose(struct github_pace *pace);

/* What an answer says about limits; -1 where it says nothing. */
struct github_facts {
	int status;
	enum github_resource resource;
	int64_t retry_after_ms;
	int64_t remaining;
	int64_t reset_in_ms;
	bool says_secondary;
	bool says_limited; /* a GraphQL answer 200 with errors[].type RATE_LIMITED */
};

enum github_wait {
	GITHUB_WAIT_NONE,
	GITHUB_WAIT_RETRY_AFTER,
	GITHUB_WAIT_PRIMARY,
	GITHUB_WAIT_SECONDARY,
};

/* Reads the facts off an answer; `now_wall_ms` counts when it carries no Date. */
void github_facts_read(struct github_facts *out, const struct http_response *response,
		       enum github_resource resource, int64_t now_wall_ms);

/* Whether this answer is a refusal because of a limit, in the order that GitHub documents. */
enum github_wait github_wait_of(const struct github_facts *facts);
const char *github_wait_name(enum github_wait wait);

/* Sets the pauses that follow from an answer; returns what github_wait_of says. */
enum github_wait github_pace_learn(struct github_pace *pace, const struct github_facts *facts,
				   int64_t now_ms);

#endif
