/* budget.c - see budget.h. One number is the whole bucket: the time at which it will be full again.
 * Each edit moves it by its cost; an edit may go out while it lies less than a burst ahead. */
#include "lib/core/budget.h"

enum { HOUR_MS = 3600000 };

int64_t budget_cost_ms(int64_t writes_per_hour)
{
	int64_t edits = writes_per_hour - BUDGET_RESERVE_PER_HOUR;

	/* a server with a very small allowance still shows some progress */
	return HOUR_MS / (edits > 10 ? edits : 10);
}

/* Never further ahead than an empty bucket takes to fill, unless the clock was put back. */
static int64_t full_at_ms(const struct budget *budget, int64_t writes_per_hour, int64_t now_ms)
{
	int64_t latest_ms = now_ms + BUDGET_BURST * budget_cost_ms(writes_per_hour);

	return budget->full_at_ms < latest_ms ? budget->full_at_ms : latest_ms;
}

int64_t budget_due_ms(const struct budget *budget, int64_t writes_per_hour, int64_t now_ms)
{
	int64_t due_ms = full_at_ms(budget, writes_per_hour, now_ms) -
			 (BUDGET_BURST - 1) * budget_cost_ms(writes_per_hour);

	return due_ms > now_ms ? due_ms : now_ms;
}

void budget_spend(struct budget *budget, int64_t writes_per_hour, int64_t now_ms)
{
	budget->full_at_ms = full_at_ms(budget, writes_per_hour, now_ms);
	if (budget->full_at_ms < now_ms)
		budget->full_at_ms = now_ms;
	budget->full_at_ms += budget_cost_ms(writes_per_hour);
}
