/* fork_world.h - the histories of pin_world.h on a pull request from a fork: maintainers allow some
 * of the commits, pushes go on, reads are behind, events get lost; and what must hold of a job that
 * goes on with a commit. Used by test_pin and fuzz_pin; include once per program. */
#ifndef KF_TESTS_FORK_WORLD_H
#define KF_TESTS_FORK_WORLD_H

#include "lib/core/forks.h"
#include "tests/unit/core/pin_world.h"

enum said { SAID_NOTHING, SAID_BUILD, SAID_ALL, SAID_LAPSED, SAID_COUNT };

/* The second of the newest event that tells of another commit than this; 0: none does. */
static inline int64_t world_told_of_others_ms(const struct pin_world *w, const char *sha)
{
	int64_t at_ms = 0;

	for (size_t i = 0; i < w->event_count; i++)
		if (!str_eq(w->events[i].sha, sha) && w->events[i].at_ms > at_ms)
			at_ms = w->events[i].at_ms;
	return at_ms;
}

static inline int64_t world_told_of_ms(const struct pin_world *w, const char *sha)
{
	int64_t at_ms = 0;

	for (size_t i = 0; i < w->event_count; i++)
		if (str_eq(w->events[i].sha, sha) && w->events[i].at_ms > at_ms)
			at_ms = w->events[i].at_ms;
	return at_ms;
}

/* One history, one job with some commit of it. True when the job goes on. */
static inline bool fork_world_play(struct pin_world *w)
{
	static const struct command build = {.name = "build", .uses = USE_BUILD},
				    run = {.name = "run", .uses = USE_RUN};
	static const struct fork_ok words[SAID_COUNT] = {
		[SAID_BUILD] = {.given = true, .build_only = true},
		[SAID_ALL] = {.given = true},
		[SAID_LAPSED] = {.given = true, .lapsed = true}};
	enum said said[SHAS_MAX];
	char sha[PIN_SHA_SIZE], named[PIN_SHA_SIZE];
	struct fork_facts facts = {.repo_id = 1, .base_repo_id = 1, .head_repo_id = 2};
	struct fork_answer answer;
	int64_t back_ms;
	bool goes, allowed, is_head, builds;
	int mine, seen;

	world_live(w);
	world_shuffle(w);
	for (int i = 0; i < SHAS_MAX; i++)
		said[i] = (enum said)pick(&w->chance, SAID_COUNT);
	mine = w->heads[pick(&w->chance, (unsigned)w->count)].sha;
	back_ms = pick(&w->chance, 4) ? 0 : 1 + 700 * (int64_t)pick(&w->chance, 6);
	seen = world_head_at(w, w->now_ms - back_ms);
	world_sha(sha, mine);
	world_sha(named, seen < 0 ? w->heads[0].sha : seen);
	builds = pick(&w->chance, 2);
	for (int use = 0; use < POLICY_FORK_USES; use++)
		facts.says[use] = POLICY_FORK_OK_TO_RUN;
	facts.command = builds ? &build : &run;
	facts.sha = sha;
	facts.head = named;
	facts.needs_head = true;
	facts.may_wait = pick(&w->chance, 2);
	facts.ok = words[said[mine]];
	fork_hear(&facts, w->events, w->event_count);
	fork_judge(&answer, &facts);
	goes = answer.verdict == FORK_GO;
	allowed = said[mine] == SAID_ALL || (said[mine] == SAID_BUILD && builds);
	is_head = world_head_at(w, w->now_ms) == mine;
	must(!goes || allowed);		   /* what nobody has read goes nowhere */
	must(!goes || str_eq(named, sha)); /* nor what GitHub names no head */
	must(!goes || world_told_of_others_ms(w, sha) <= world_told_of_ms(w, sha) ||
	     !w->event_count);
	/* a push of which the event came, or which GitHub shows, always ends it */
	if (!is_head && !w->lost && world_told_of_others_ms(w, sha) > world_told_of_ms(w, sha))
		must(!goes);
	/* and what was allowed, is the head and known to be it, is never refused */
	if (is_head && allowed && !w->lost && str_eq(named, sha))
		must(goes);
	return goes;
}

#endif
