/* pin_world.h - random histories of a pull request, as GitHub really lives them: pushes and force
 * pushes at any millisecond, events of them that are lost, late, doubled and in any order, reads
 * that are behind; and what must hold of the commit that is chosen. Time is a number that the
 * history moves, at both ends. Used by test_pin and fuzz_pin; include once per program. */
#ifndef KF_TESTS_PIN_WORLD_H
#define KF_TESTS_PIN_WORLD_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/core/pin.h"

enum { PUSHES_MAX = 12, SHAS_MAX = 8, EVENTS_MAX = 3 * PUSHES_MAX };

/* Where chance comes from: bytes of a fuzzer, or a generator. */
struct chance {
	unsigned (*next)(struct chance *chance); /* 0 to 255 */
	const unsigned char *bytes;
	size_t len;
	uint64_t state;
};

static inline unsigned chance_of_bytes(struct chance *chance)
{
	if (!chance->len)
		return 0;
	chance->len--;
	return *chance->bytes++;
}

/* splitmix64 */
static inline unsigned chance_of_seed(struct chance *chance)
{
	uint64_t z = chance->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (unsigned)((z ^ (z >> 31)) & 255);
}

static inline unsigned pick(struct chance *chance, unsigned below)
{
	return chance->next(chance) % below;
}

struct happened {
	int64_t t_ms; /* the true time */
	int sha;
	bool forced;
};

struct pin_world {
	struct chance chance;
	int64_t now_ms, comment_ms, opened_ms;
	struct happened heads[PUSHES_MAX];
	int count;
	int64_t branch_ms[SHAS_MAX]; /* when GitHub wrote down that it came to the branch; 0: not */
	bool used[SHAS_MAX];
	struct pin_head events[EVENTS_MAX], late[EVENTS_MAX];
	size_t event_count, late_count;
	bool lost; /* an event that is not here when it is first decided */
};

static inline void world_sha(char out[PIN_SHA_SIZE], int sha)
{
	snprintf(out, PIN_SHA_SIZE, "%040d", sha + 1);
}

static inline int world_head_at(const struct pin_world *w, int64_t t_ms)
{
	int sha = -1;

	for (int i = 0; i < w->count && w->heads[i].t_ms <= t_ms; i++)
		sha = w->heads[i].sha;
	return sha;
}

/* What was told of the head before was told before this push. */
static inline void world_cap(struct pin_world *w)
{
	int64_t second_ms = w->now_ms / 1000 * 1000;

	for (size_t i = 0; i < w->event_count; i++)
		if (w->events[i].at_ms > second_ms)
			w->events[i].at_ms = second_ms;
	for (size_t i = 0; i < w->late_count; i++)
		if (w->late[i].at_ms > second_ms)
			w->late[i].at_ms = second_ms;
}

/* GitHub's time of an event is that of the last change when it is told, in whole seconds: a comment
 * after the push makes it later than the push. */
static inline void world_tell(struct pin_world *w, int sha, bool opened)
{
	static const int64_t lifts[] = {0, 0, 0, 0, 0, 400, 1500, 2500};
	struct pin_head head = {.opened = opened};
	unsigned fate = pick(&w->chance, 8);

	head.at_ms = (w->now_ms + lifts[pick(&w->chance, 8)]) / 1000 * 1000;
	world_sha(head.sha, sha);
	if (fate < 2) {
		w->lost = true;
		if (fate == 1)
			w->late[w->late_count++] = head;
		return;
	}
	w->events[w->event_count++] = head;
	if (fate == 2)
		w->events[w->event_count++] = head;
}

static inline void world_move(struct pin_world *w, int sha, bool forced)
{
	if (w->count == PUSHES_MAX || (w->count && world_head_at(w, w->now_ms) == sha))
		return;
	world_cap(w);
	w->heads[w->count++] = (struct happened){w->now_ms, sha, forced};
	w->used[sha] = true;
	if (!w->branch_ms[sha] && pick(&w->chance, 4)) /* its checks begin, soon after */
		w->branch_ms[sha] = (w->now_ms + 1000 * pick(&w->chance, 3)) / 1000 * 1000;
	world_tell(w, sha, w->count == 1);
}

/* A push goes on from the head; back to what was there leads only a force push. */
static inline void world_push(struct pin_world *w)
{
	unsigned sha = pick(&w->chance, SHAS_MAX);
	bool forced = w->used[sha] || pick(&w->chance, 3) == 0;

	world_move(w, (int)sha, forced);
}

static inline void world_pass(struct pin_world *w)
{
	static const int64_t gaps[] = {1, 90, 300, 700, 1000, 1400, 5000, 90000};

	w->now_ms += gaps[pick(&w->chance, 8)];
}

static inline void world_live(struct pin_world *w)
{
	int steps = (int)pick(&w->chance, 10) + 1, comment = (int)pick(&w->chance, (unsigned)steps);

	w->now_ms = 1700000000123;
	for (int i = 0; i < 2; i++) { /* on the branch before the pull request is opened */
		unsigned sha = pick(&w->chance, SHAS_MAX);

		if (pick(&w->chance, 2))
			w->branch_ms[sha] = (w->now_ms + 1000 * pick(&w->chance, 3)) / 1000 * 1000;
		world_pass(w);
	}
	w->opened_ms = w->now_ms;
	world_move(w, (int)pick(&w->chance, SHAS_MAX), false);
	for (int i = 0; i < steps; i++) {
		world_pass(w);
		if (i == comment)
			w->comment_ms = w->now_ms;
		else
			world_push(w);
	}
	world_pass(w);
}

static inline void world_shuffle(struct pin_world *w)
{
	for (size_t i = w->event_count; i > 1; i--) {
		size_t j = pick(&w->chance, (unsigned)i);
		struct pin_head head = w->events[i - 1];

		w->events[i - 1] = w->events[j];
		w->events[j] = head;
	}
}

static inline void world_pushes(const struct pin_world *w, struct pin_pushes *out)
{
	int head = world_head_at(w, w->now_ms);

	*out = (struct pin_pushes){.opened_at_ms = w->opened_ms / 1000 * 1000,
				   .pushed_at_ms = w->branch_ms[head]};
	for (int i = 0; i < w->count; i++)
		if (w->heads[i].forced) {
			world_sha(out->forced_to, w->heads[i].sha);
			out->forced_at_ms = w->heads[i].t_ms / 1000 * 1000;
		}
}

/* What the worker does: asks, waits, asks again. */
static inline void world_decide(struct pin_world *w, bool must_prove, char named[PIN_SHA_SIZE],
				struct pin_answer *out)
{
	bool behind = pick(&w->chance, 4) == 0, refuses = pick(&w->chance, 4) == 0;
	int64_t back_ms = behind ? 1 + 700 * (int64_t)pick(&w->chance, 6) : 0;
	int at = world_head_at(w, w->now_ms - back_ms);
	struct pin_pushes pushes;
	struct pin_question q = {.comment_at_ms = w->comment_ms / 1000 * 1000,
				 .head = named,
				 .heads = w->events,
				 .head_count = w->event_count,
				 .must_prove = must_prove,
				 .may_wait = true};

	world_sha(named, at < 0 ? w->heads[0].sha : at);
	world_pushes(w, &pushes);
	if (at != world_head_at(w, w->now_ms))
		pushes.pushed_at_ms = 0; /* the two reads do not speak of the same head */
	if (refuses)
		pushes = (struct pin_pushes){0};
	for (int i = 0; i < 4; i++) {
		pin_choose(out, &q);
		if (out->verdict == PIN_CHOSEN)
			return;
		if (out->verdict == PIN_ASK_PUSHES) {
			must(!q.pushes);
			q.pushes = &pushes;
			continue;
		}
		q.may_wait = false;
		while (w->late_count)
			w->events[w->event_count++] = w->late[--w->late_count];
		q.head_count = w->event_count;
	}
	mem_die(__FILE__, __LINE__, "it ends after one wait");
}

/* For whoever looks into a failure. */
static inline void world_say(const struct pin_world *w, const struct pin_answer *answer)
{
	for (int i = 0; i < w->count; i++)
		fprintf(stderr, "  %" PRId64 " head %d%s\n", w->heads[i].t_ms, w->heads[i].sha,
			w->heads[i].forced ? " forced" : "");
	for (size_t i = 0; i < w->event_count; i++)
		fprintf(stderr, "  event %s at %" PRId64 "\n", w->events[i].sha + 36,
			w->events[i].at_ms);
	fprintf(stderr, "  comment %" PRId64 ", now %" PRId64 ": %s by %s\n", w->comment_ms,
		w->now_ms, answer->sha + 36, pin_source_name(answer->source));
}

/* One history and its decision. True when a commit was proven; must() when it was another than the
 * head at the time of the comment. Who must prove it reads the head once more before it acts, and
 * that read is not behind. */
static inline bool world_play(struct pin_world *w, bool must_prove)
{
	char named[PIN_SHA_SIZE], then[PIN_SHA_SIZE], now[PIN_SHA_SIZE];
	struct pin_answer answer;
	bool right, acts;

	world_live(w);
	world_shuffle(w);
	world_sha(then, world_head_at(w, w->comment_ms));
	world_sha(now, world_head_at(w, w->now_ms));
	world_decide(w, must_prove, named, &answer);
	right = str_eq(answer.sha, then);
	acts = must_prove ? str_eq(answer.sha, now) : !w->lost && str_eq(named, now);
	if (answer.source != PIN_API && acts && !right) {
		world_say(w, &answer);
		mem_die(__FILE__, __LINE__,
			"a commit was proven that was not the head when the comment was written");
	}
	must((answer.source == PIN_API) == (answer.doubt != PIN_CERTAIN));
	return answer.source != PIN_API;
}

#endif
