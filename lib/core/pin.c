/* pin.c - see pin.h.
 *
 * What the events say is read in three parts: those before the second of the comment, of which the
 * newest second counts; those in it, of which nobody can say whether they came before the comment;
 * and those after it. Where several heads were pushed within one second, their order is not known,
 * and the one that GitHub names now was the last. The order in which GitHub lists commits and
 * comments together is not used: it may follow dates that are in the commits. */
#include "lib/core/pin.h"

#include <string.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

enum { PUSH_LAG_S = 60 };

/* Whole seconds, as GitHub's times have them. */
static int64_t second_of(int64_t ms)
{
	return ms / 1000;
}

struct seen {
	int64_t at;	  /* second of the newest heads before the comment; -1: there are none */
	const char *last; /* one of them */
	bool single;	  /* there is only this one */
	bool has_head;	  /* what GitHub names is among them */
	bool in_second;	  /* heads in the second of the comment */
	bool after;	  /* heads after it */
	const struct pin_head *newest;
	bool knows_head; /* what GitHub names now is among all of them */
};

static void see_before(struct seen *seen, const struct pin_head *head, const char *named)
{
	int64_t at = second_of(head->at_ms);

	if (at < seen->at)
		return;
	if (at > seen->at) {
		seen->at = at;
		seen->last = head->sha;
		seen->single = true;
		seen->has_head = false;
	}
	seen->single = seen->single && str_eq(seen->last, head->sha);
	seen->has_head = seen->has_head || str_eq(head->sha, named);
}

/* The comment was written after the pull request was opened, also in the same second. */
static bool is_opening(const struct pin_question *q, const struct pin_head *head)
{
	int64_t second = second_of(q->comment_at_ms);

	if (!head->opened || second_of(head->at_ms) != second)
		return false;
	for (size_t i = 0; i < q->head_count; i++)
		if (second_of(q->heads[i].at_ms) <= second && &q->heads[i] != head &&
		    !str_eq(q->heads[i].sha, head->sha))
			return false;
	return true;
}

static void look_at(struct seen *seen, const struct pin_question *q)
{
	int64_t second = second_of(q->comment_at_ms);

	*seen = (struct seen){.at = -1};
	for (size_t i = 0; i < q->head_count; i++) {
		const struct pin_head *head = &q->heads[i];
		int64_t at = second_of(head->at_ms);

		if (at < second || is_opening(q, head))
			see_before(seen, head, q->head);
		else if (at == second)
			seen->in_second = true;
		else
			seen->after = true;
		if (!seen->newest || head->at_ms > seen->newest->at_ms ||
		    (head->at_ms == seen->newest->at_ms && str_eq(head->sha, q->head)))
			seen->newest = head;
		seen->knows_head = seen->knows_head || str_eq(head->sha, q->head);
	}
}

/* No other head was reported later than that. */
static bool holds_since(const struct pin_question *q, int64_t at)
{
	for (size_t i = 0; i < q->head_count; i++)
		if (second_of(q->heads[i].at_ms) > at && !str_eq(q->heads[i].sha, q->head))
			return false;
	return true;
}

/* Did the last force push lead to what GitHub names now, before the comment? */
static bool was_forced_before(const struct pin_question *q)
{
	const struct pin_pushes *pushes = q->pushes;

	return pushes->forced_at_ms && str_eq(pushes->forced_to, q->head) &&
	       second_of(pushes->forced_at_ms) < second_of(q->comment_at_ms);
}

/* What GitHub has written down itself. A commit that came to the branch while the pull request was
 * there can have left it again only by a force push. What tells of its coming is made a little
 * later than that, so it came at some time within the minute before. */
static bool is_proven_by_pushes(const struct pin_question *q)
{
	const struct pin_pushes *pushes = q->pushes;
	int64_t pushed = second_of(pushes->pushed_at_ms), came = pushed - PUSH_LAG_S;

	if (was_forced_before(q))
		return holds_since(q, second_of(pushes->forced_at_ms));
	return pushes->opened_at_ms && pushes->pushed_at_ms &&
	       came > second_of(pushes->opened_at_ms) && pushed < second_of(q->comment_at_ms) &&
	       came > second_of(pushes->forced_at_ms) && holds_since(q, came);
}

/* Events may be lost in pairs: away from the head and back to it, which takes a force push. */
static bool may_have_been_away(const struct pin_question *q, const struct seen *seen)
{
	int64_t forced = second_of(q->pushes->forced_at_ms);

	if (!q->pushes->opened_at_ms)
		return true;
	return (forced > seen->at || forced >= second_of(q->comment_at_ms)) &&
	       !was_forced_before(q);
}

/* A read that is behind shows a head of before; the same shows after a force push back to it. */
static bool is_behind(const struct pin_question *q, const struct seen *seen)
{
	bool came_back = q->pushes && q->pushes->forced_at_ms &&
			 str_eq(q->pushes->forced_to, q->head) && seen->newest &&
			 second_of(q->pushes->forced_at_ms) >= second_of(seen->newest->at_ms);

	return seen->newest && seen->knows_head && !str_eq(seen->newest->sha, q->head) &&
	       !came_back;
}

static enum pin_doubt doubt_of(const struct pin_question *q, const struct seen *seen)
{
	if (seen->in_second)
		return PIN_SAME_SECOND;
	if (seen->after)
		return PIN_MOVED;
	if (seen->at < 0)
		return PIN_UNHEARD;
	if (!seen->knows_head)
		return PIN_MISSED;
	return str_eq(seen->newest->sha, q->head) ? PIN_FORCED : PIN_MISSED;
}

static bool is_agreed(const struct seen *seen)
{
	return seen->has_head && !seen->in_second && !seen->after;
}

static void choose(struct pin_answer *out, enum pin_source source, const char *sha)
{
	out->verdict = PIN_CHOSEN;
	out->source = source;
	out->sha = sha;
}

/* Not proven. Nothing will come that tells more of a push in the comment's second, or after it. */
static void choose_unproven(struct pin_answer *out, const struct pin_question *q,
			    const struct seen *seen, bool behind)
{
	const char *before = seen->single ? seen->last : NULL;

	out->doubt = doubt_of(q, seen);
	choose(out, PIN_API, behind ? seen->newest->sha : q->head);
	out->moved_from = before && !str_eq(before, out->sha) ? before : NULL;
	if (q->may_wait && q->must_prove && !seen->in_second && !seen->after &&
	    out->doubt != PIN_FORCED)
		out->verdict = PIN_WAIT;
}

void pin_choose(struct pin_answer *out, const struct pin_question *q)
{
	struct seen seen;
	bool behind;

	*out = (struct pin_answer){0};
	look_at(&seen, q);
	if (is_agreed(&seen) && !q->must_prove) {
		choose(out, PIN_RECORDED, q->head);
		return;
	}
	if (!q->pushes) {
		out->verdict = PIN_ASK_PUSHES;
		return;
	}
	behind = is_behind(q, &seen);
	if (is_agreed(&seen) && !may_have_been_away(q, &seen))
		choose(out, PIN_RECORDED, q->head);
	else if (!behind && is_proven_by_pushes(q))
		choose(out, PIN_PUSHES, q->head);
	else if (behind && !q->must_prove && seen.single && !seen.in_second && !seen.after)
		choose(out, PIN_RECORDED, seen.last); /* what was heard of is newer */
	else
		choose_unproven(out, q, &seen, behind);
}

const char *pin_source_name(enum pin_source source)
{
	static const char *const names[] = {"recorded", "pushes", "api"};

	must(source <= PIN_API);
	return names[source];
}

const char *pin_doubt_name(enum pin_doubt doubt)
{
	static const char *const names[] = {"",	     "unheard", "same_second",
					    "moved", "missed",	"forced"};

	must(doubt <= PIN_FORCED);
	return names[doubt];
}

/* --- a commit that somebody typed --- */

enum pin_typed_verdict pin_find_typed(const struct pin_typed *typed, const char **sha)
{
	const char *found = NULL;

	if (strlen(typed->text) < PIN_TYPED_MIN)
		return PIN_TYPED_NOT_THERE;
	for (size_t i = 0; i < typed->commit_count; i++) {
		if (!str_starts(typed->commits[i], typed->text))
			continue;
		if (found && !str_eq(found, typed->commits[i]))
			return PIN_TYPED_AMBIGUOUS;
		found = typed->commits[i];
	}
	if (str_is_object_name(typed->text)) {
		if (!found && typed->cut && typed->is_inside)
			found = typed->text;
		if (!found)
			return PIN_TYPED_NOT_THERE;
	} else if (typed->cut) {
		return PIN_TYPED_TOO_SHORT;
	}
	if (!found)
		return PIN_TYPED_NOT_THERE;
	*sha = found;
	return PIN_TYPED_FOUND;
}
