/* budget.h - how many progress edits an installation may have, so that final states always get
 * through.
 *
 * GitHub allows about 500 comments, edits and checks an hour. What is kept back for answers and
 * final states is not spent on progress: a bucket that holds a few edits for the start of a command
 * and refills evenly over the hour, shared by all live jobs of the installation. Pure: time is
 * handed in. */
#ifndef KF_CORE_BUDGET_H
#define KF_CORE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum { BUDGET_RESERVE_PER_HOUR = 100, BUDGET_BURST = 20 };

struct budget {
	int64_t installation_id;
	int64_t full_at_ms; /* when the bucket will be full again; in the past: it is */
};

/* Milliseconds that one progress edit costs at this many writes an hour. */
int64_t budget_cost_ms(int64_t writes_per_hour);

/* When the next progress edit may go out; at most `now_ms` when it may now. */
int64_t budget_due_ms(const struct budget *budget, int64_t writes_per_hour, int64_t now_ms);

/* Takes one edit out of the bucket. */
void budget_spend(struct budget *budget, int64_t writes_per_hour, int64_t now_ms);

#endif
