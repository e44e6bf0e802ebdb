/* pin.h - which commit a comment means: one pure function over what is known of the pull request.
 *
 * A comment's event names no commit, and a commit's own dates are whatever its author wrote. What
 * can be trusted are GitHub's own times: those of the events that were recorded here, of the last
 * force push, and of the moment when a commit came to the branch. They have whole seconds and are
 * compared only with each other, never with our clock, so it does not matter how far that is off.
 * A commit is proven when it was the head before the second of the comment began, and nothing that
 * is known stands between the two. A read of GitHub may be behind for some seconds; whoever changes
 * something on the strength of a proof reads the head once more before (gates.h). Pure; any thread.
 */
#ifndef KF_CORE_PIN_H
#define KF_CORE_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIN_SHA_SIZE = 65 };

/* A head as an event reported it. Events come late, twice, in any order, or not at all. */
struct pin_head {
	char sha[PIN_SHA_SIZE];
	int64_t at_ms; /* GitHub's time of the event */
	bool opened;   /* the pull request's first */
};

/* What GitHub has written down of pushes; zeroed: it was asked and knows nothing. */
struct pin_pushes {
	int64_t opened_at_ms;	      /* of the pull request; 0: GitHub did not say anything */
	int64_t pushed_at_ms;	      /* its present head had come to its branch; 0: not known */
	char forced_to[PIN_SHA_SIZE]; /* by the last force push; "": there was none, or it is gone
				       */
	int64_t forced_at_ms;	      /* 0: there was none */
};

struct pin_question {
	int64_t comment_at_ms; /* GitHub's time */
	const char *head;      /* as GitHub names it now, perhaps some seconds behind */
	const struct pin_head *heads;
	size_t head_count;
	const struct pin_pushes *pushes; /* NULL: not asked yet */
	bool must_prove; /* what is not proven will be refused: it is worth asking and waiting */
	bool may_wait;	 /* what is late may still come */
};

enum pin_verdict {
	PIN_CHOSEN,
	PIN_ASK_PUSHES, /* ask GitHub for the pushes, then again */
	PIN_WAIT,	/* for an event, or for GitHub's reads to catch up, then ask again */
};

enum pin_source {
	PIN_RECORDED, /* proven by the events */
	PIN_PUSHES,   /* proven by what GitHub has written down */
	PIN_API,      /* not proven: the newest head there is */
};

enum pin_doubt {
	PIN_CERTAIN,
	PIN_UNHEARD,	 /* no event of this pull request came before the comment */
	PIN_SAME_SECOND, /* a push in the second of the comment */
	PIN_MOVED,	 /* a push after the comment */
	PIN_MISSED,	 /* GitHub names a head of which no event came */
	PIN_FORCED,	 /* a force push since, of which no event came */
};

struct pin_answer {
	enum pin_verdict verdict;
	enum pin_source source;
	enum pin_doubt doubt;
	const char *sha;	/* borrowed from the question */
	const char *moved_from; /* the head before, where it is known and another; NULL */
};

void pin_choose(struct pin_answer *out, const struct pin_question *question);

const char *pin_source_name(enum pin_source source); /* "recorded" */
const char *pin_doubt_name(enum pin_doubt doubt);    /* "same_second"; "" for none */

/* --- a commit that somebody typed --- */

enum { PIN_TYPED_MIN = 7 };

struct pin_typed {
	const char *text;	    /* lower-case hex digits, at least PIN_TYPED_MIN */
	const char *head;	    /* as GitHub names it now */
	const char *const *commits; /* of the pull request, those that begin with the text */
	size_t commit_count;
	bool cut;	/* the list of commits was cut, so others may begin with it too */
	bool is_inside; /* a whole name: reached from the head, and not from the base branch */
};

enum pin_typed_verdict {
	PIN_TYPED_FOUND,
	PIN_TYPED_AMBIGUOUS, /* several commits begin with it */
	PIN_TYPED_TOO_SHORT, /* the list was cut, so it must be the whole name */
	PIN_TYPED_NOT_THERE, /* not a commit of this pull request */
};

/* *sha is borrowed from the question; set only when found. */
enum pin_typed_verdict pin_find_typed(const struct pin_typed *typed, const char **sha);

#endif
