/* Which commit a comment means: a table of what was heard and what GitHub says, typed names, and
 * random histories whose seed is printed. Times are seconds, commits are letters. */
#include "tests/unit/core/fork_world.h"

#include "tests/unit/cases.h"

#include <time.h>

struct heard {
	char sha;
	int at;
	bool opened;
};
#define NONE                                                                                       \
	{                                                                                          \
		{                                                                                  \
			0, 0, false                                                                \
		}                                                                                  \
	}
#define HEAD(sha_, at_)                                                                            \
	{                                                                                          \
		sha_, at_, false                                                                   \
	}
#define OPENED(sha_, at_)                                                                          \
	{                                                                                          \
		sha_, at_, true                                                                    \
	}

struct pin_case {
	const char *name;
	struct heard heads[6];
	int comment;
	char head;
	bool asked; /* GitHub was asked for the pushes */
	int opened, pushed, forced;
	char forced_to;
	bool must_prove, may_wait;
	enum pin_verdict verdict;
	enum pin_source source;
	enum pin_doubt doubt;
	char sha, moved_from;
};

#define PROVEN(by, sha_)   .source = by, .sha = sha_
#define DOUBTED(why, sha_) .source = PIN_API, .doubt = why, .sha = sha_
#define ASKS		   .verdict = PIN_ASK_PUSHES
#define WAITS(why)	   .verdict = PIN_WAIT, .source = PIN_API, .doubt = why

static const struct pin_case cases[] = {
	/* what was heard agrees with GitHub */
	{.name = "pushed before the comment",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'a',
	 PROVEN(PIN_RECORDED, 'a')},
	{.name = "opened and pushed",
	 .heads = {OPENED('a', 10), HEAD('b', 15)},
	 .comment = 20,
	 .head = 'b',
	 PROVEN(PIN_RECORDED, 'b')},
	{.name = "heard in another order",
	 .heads = {HEAD('b', 15), OPENED('a', 10)},
	 .comment = 20,
	 .head = 'b',
	 PROVEN(PIN_RECORDED, 'b')},
	{.name = "heard twice",
	 .heads = {HEAD('b', 15), HEAD('b', 15)},
	 .comment = 20,
	 .head = 'b',
	 PROVEN(PIN_RECORDED, 'b')},
	{.name = "closed and opened again",
	 .heads = {HEAD('a', 10), HEAD('a', 15)},
	 .comment = 20,
	 .head = 'a',
	 PROVEN(PIN_RECORDED, 'a')},
	{.name = "opened in the second of the comment",
	 .heads = {OPENED('a', 20)},
	 .comment = 20,
	 .head = 'a',
	 PROVEN(PIN_RECORDED, 'a')},
	{.name = "several within one second: the last is the head",
	 .heads = {HEAD('b', 15), HEAD('a', 15)},
	 .comment = 20,
	 .head = 'a',
	 PROVEN(PIN_RECORDED, 'a')},
	{.name = "back to an older commit",
	 .heads = {HEAD('a', 10), HEAD('b', 12), HEAD('a', 15)},
	 .comment = 20,
	 .head = 'a',
	 PROVEN(PIN_RECORDED, 'a')},
	{.name = "a whole year before",
	 .heads = {HEAD('a', 10)},
	 .comment = 31536000,
	 .head = 'a',
	 PROVEN(PIN_RECORDED, 'a')},

	/* not certain: GitHub's head goes on, and it is said why */
	{.name = "never heard of: GitHub is asked",
	 .heads = NONE,
	 .comment = 20,
	 .head = 'a',
	 ASKS},
	{.name = "never heard of",
	 .heads = NONE,
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 DOUBTED(PIN_UNHEARD, 'a')},
	{.name = "a push in the second of the comment",
	 .heads = {HEAD('a', 10), HEAD('b', 20)},
	 .comment = 20,
	 .head = 'b',
	 .asked = true,
	 DOUBTED(PIN_SAME_SECOND, 'b'),
	 .moved_from = 'a'},
	{.name = "opened and pushed in the second of the comment",
	 .heads = {OPENED('a', 20), HEAD('b', 20)},
	 .comment = 20,
	 .head = 'b',
	 .asked = true,
	 DOUBTED(PIN_SAME_SECOND, 'b')},
	{.name = "a push after the comment",
	 .heads = {HEAD('a', 10), HEAD('b', 21)},
	 .comment = 20,
	 .head = 'b',
	 .asked = true,
	 DOUBTED(PIN_MOVED, 'b'),
	 .moved_from = 'a'},
	{.name = "away and back, after the comment",
	 .heads = {HEAD('a', 10), HEAD('b', 25), HEAD('a', 30)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 DOUBTED(PIN_MOVED, 'a')},
	{.name = "only what came after the comment was heard",
	 .heads = {HEAD('b', 25)},
	 .comment = 20,
	 .head = 'b',
	 .asked = true,
	 DOUBTED(PIN_MOVED, 'b')},
	{.name = "a head that was not heard of",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'b',
	 .asked = true,
	 DOUBTED(PIN_MISSED, 'b'),
	 .moved_from = 'a'},
	{.name = "opened in the comment's second, after another head",
	 .heads = {HEAD('b', 10), OPENED('a', 20)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 DOUBTED(PIN_SAME_SECOND, 'a'),
	 .moved_from = 'b'},

	/* reads that are behind */
	{.name = "behind: what was heard of is newer",
	 .heads = {HEAD('a', 10), HEAD('b', 15)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 PROVEN(PIN_RECORDED, 'b')},
	{.name = "behind: GitHub is asked first",
	 .heads = {HEAD('a', 10), HEAD('b', 15)},
	 .comment = 20,
	 .head = 'a',
	 ASKS},
	{.name = "behind, and it must be proven: it is waited for",
	 .heads = {HEAD('a', 10), HEAD('b', 15)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 .must_prove = true,
	 .may_wait = true,
	 WAITS(PIN_MISSED),
	 .sha = 'b'},
	{.name = "behind for good",
	 .heads = {HEAD('a', 10), HEAD('b', 15)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 .must_prove = true,
	 DOUBTED(PIN_MISSED, 'b')},
	{.name = "not behind: a force push led back",
	 .heads = {HEAD('a', 10), HEAD('b', 15)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 .forced = 17,
	 .forced_to = 'a',
	 PROVEN(PIN_PUSHES, 'a')},
	{.name = "a force push led back after the comment",
	 .heads = {HEAD('a', 10), HEAD('b', 15)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 .forced = 22,
	 .forced_to = 'a',
	 DOUBTED(PIN_MISSED, 'a'),
	 .moved_from = 'b'},
	{.name = "behind a push after the comment",
	 .heads = {HEAD('a', 10), HEAD('b', 25)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 DOUBTED(PIN_MOVED, 'b'),
	 .moved_from = 'a'},

	/* an event was missed: what GitHub has written down */
	{.name = "missed, forced before the comment",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'b',
	 .asked = true,
	 .forced = 15,
	 .forced_to = 'b',
	 PROVEN(PIN_PUSHES, 'b')},
	{.name = "missed, forced in the comment's second",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'b',
	 .asked = true,
	 .forced = 20,
	 .forced_to = 'b',
	 DOUBTED(PIN_MISSED, 'b'),
	 .moved_from = 'a'},
	{.name = "missed, forced to a commit that is gone",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'b',
	 .asked = true,
	 .forced = 15,
	 DOUBTED(PIN_MISSED, 'b'),
	 .moved_from = 'a'},
	{.name = "missed, came to the branch before the comment",
	 .heads = {HEAD('a', 10)},
	 .comment = 200,
	 .head = 'b',
	 .asked = true,
	 .opened = 5,
	 .pushed = 199,
	 PROVEN(PIN_PUSHES, 'b')},
	{.name = "missed, came to the branch in the comment's second",
	 .heads = {HEAD('a', 10)},
	 .comment = 200,
	 .head = 'b',
	 .asked = true,
	 .opened = 5,
	 .pushed = 200,
	 DOUBTED(PIN_MISSED, 'b'),
	 .moved_from = 'a'},
	{.name = "on the branch before the pull request was opened",
	 .heads = NONE,
	 .comment = 200,
	 .head = 'b',
	 .asked = true,
	 .opened = 105,
	 .pushed = 103,
	 DOUBTED(PIN_UNHEARD, 'b')},
	{.name = "perhaps on the branch before it was opened",
	 .heads = NONE,
	 .comment = 200,
	 .head = 'b',
	 .asked = true,
	 .opened = 105,
	 .pushed = 165,
	 DOUBTED(PIN_UNHEARD, 'b')},
	{.name = "on the branch before another head",
	 .heads = {HEAD('a', 10)},
	 .comment = 200,
	 .head = 'b',
	 .asked = true,
	 .opened = 5,
	 .pushed = 7,
	 DOUBTED(PIN_MISSED, 'b'),
	 .moved_from = 'a'},
	{.name = "perhaps on the branch before another head",
	 .heads = {HEAD('a', 110)},
	 .comment = 200,
	 .head = 'b',
	 .asked = true,
	 .opened = 5,
	 .pushed = 165,
	 DOUBTED(PIN_MISSED, 'b'),
	 .moved_from = 'a'},
	{.name = "came to the branch, and was forced away since",
	 .heads = {HEAD('a', 10)},
	 .comment = 200,
	 .head = 'b',
	 .asked = true,
	 .opened = 5,
	 .pushed = 112,
	 .forced = 114,
	 .forced_to = 'c',
	 DOUBTED(PIN_MISSED, 'b'),
	 .moved_from = 'a'},
	{.name = "before the installation, pushed since",
	 .heads = NONE,
	 .comment = 200,
	 .head = 'b',
	 .asked = true,
	 .opened = 5,
	 .pushed = 195,
	 PROVEN(PIN_PUSHES, 'b')},
	{.name = "missed, and it must be proven: it is waited for",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'b',
	 .asked = true,
	 .must_prove = true,
	 .may_wait = true,
	 WAITS(PIN_MISSED),
	 .sha = 'b',
	 .moved_from = 'a'},
	{.name = "never heard of, and it must be proven",
	 .heads = NONE,
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 .must_prove = true,
	 .may_wait = true,
	 WAITS(PIN_UNHEARD),
	 .sha = 'a'},
	{.name = "nothing that comes tells more of a push after",
	 .heads = {HEAD('a', 10), HEAD('b', 25)},
	 .comment = 20,
	 .head = 'b',
	 .asked = true,
	 .must_prove = true,
	 .may_wait = true,
	 DOUBTED(PIN_MOVED, 'b'),
	 .moved_from = 'a'},

	/* it must be proven: away and back, both missed */
	{.name = "it must be proven: GitHub is asked",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'a',
	 .must_prove = true,
	 ASKS},
	{.name = "it must be proven, and is",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 .opened = 1,
	 .must_prove = true,
	 PROVEN(PIN_RECORDED, 'a')},
	{.name = "the head came by a force push",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 .opened = 1,
	 .must_prove = true,
	 .forced = 10,
	 .forced_to = 'a',
	 PROVEN(PIN_RECORDED, 'a')},
	{.name = "away and back before the comment",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 .opened = 1,
	 .must_prove = true,
	 .forced = 15,
	 .forced_to = 'a',
	 PROVEN(PIN_RECORDED, 'a')},
	{.name = "away, and back after the comment",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 .opened = 1,
	 .must_prove = true,
	 .may_wait = true,
	 .forced = 25,
	 .forced_to = 'a',
	 DOUBTED(PIN_FORCED, 'a')},
	{.name = "a force push that GitHub's head does not show yet",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 .opened = 1,
	 .must_prove = true,
	 .forced = 15,
	 .forced_to = 'b',
	 DOUBTED(PIN_FORCED, 'a')},
	{.name = "opened, away and back within the second",
	 .heads = {OPENED('a', 20)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 .opened = 1,
	 .must_prove = true,
	 .forced = 20,
	 .forced_to = 'a',
	 DOUBTED(PIN_FORCED, 'a')},
	{.name = "GitHub does not say whether there was one",
	 .heads = {HEAD('a', 10)},
	 .comment = 20,
	 .head = 'a',
	 .asked = true,
	 .must_prove = true,
	 DOUBTED(PIN_FORCED, 'a')},
};

static void name_sha(char out[PIN_SHA_SIZE], char letter)
{
	memset(out, letter, 40);
	out[letter ? 40 : 0] = '\0';
}

static size_t fill_heads(struct pin_head *out, const struct heard *heads, int64_t shift_ms)
{
	size_t count = 0;

	for (; count < 6 && heads[count].sha; count++) {
		out[count] = (struct pin_head){.at_ms = 1000 * (int64_t)heads[count].at + shift_ms,
					       .opened = heads[count].opened};
		name_sha(out[count].sha, heads[count].sha);
	}
	return count;
}

static void check_sha(const char *name, const char *what, const char *sha, char want)
{
	if (sha ? sha[0] != want : want != '\0')
		fail_msg("%s: %s is %.1s, not %c", name, what, sha ? sha : "-", want ? want : '-');
}

/* GitHub's clock may be anywhere: only differences of its own times count. */
static void check_case(const struct pin_case *c, int64_t shift_ms)
{
	char head[PIN_SHA_SIZE];
	struct pin_head heads[6];
	struct pin_pushes pushes = {.opened_at_ms = c->opened ? 1000 * c->opened + shift_ms : 0,
				    .pushed_at_ms = c->pushed ? 1000 * c->pushed + shift_ms : 0,
				    .forced_at_ms = c->forced ? 1000 * c->forced + shift_ms : 0};
	struct pin_question q = {.comment_at_ms = 1000 * (int64_t)c->comment + shift_ms,
				 .head = head,
				 .heads = heads,
				 .pushes = c->asked ? &pushes : NULL,
				 .must_prove = c->must_prove,
				 .may_wait = c->may_wait};
	struct pin_answer answer;

	name_sha(head, c->head);
	name_sha(pushes.forced_to, c->forced_to);
	q.head_count = fill_heads(heads, c->heads, shift_ms);
	pin_choose(&answer, &q);
	if (answer.verdict != c->verdict)
		fail_msg("%s: verdict %d, not %d", c->name, answer.verdict, c->verdict);
	if (answer.verdict == PIN_ASK_PUSHES)
		return;
	if (answer.source != c->source || answer.doubt != c->doubt)
		fail_msg("%s: by %s, doubt %s", c->name, pin_source_name(answer.source),
			 pin_doubt_name(answer.doubt));
	check_sha(c->name, "the commit", answer.sha, c->sha);
	check_sha(c->name, "the one before", answer.moved_from, c->moved_from);
}

static void test_cases(void **state)
{
	static const int64_t shifts[] = {1700000000000, 1700000300000, 1699999700000,
					 1700000000999};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t j = 0; j < ARRAY_LEN(shifts); j++)
			check_case(&cases[i], shifts[j]);
}

/* --- typed --- */

#define A40  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A40B "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"
#define C40  "cccccccccccccccccccccccccccccccccccccccc"
#define C64  C40 "cccccccccccccccccccccccc"

static const struct {
	const char *name, *text, *commits[4];
	bool cut, is_inside;
	enum pin_typed_verdict want;
	const char *sha;
} typed[] = {
	{.name = "seven digits",
	 .text = "aaaaaaa",
	 .commits = {A40},
	 .want = PIN_TYPED_FOUND,
	 .sha = A40},
	{.name = "the whole name",
	 .text = A40,
	 .commits = {A40},
	 .want = PIN_TYPED_FOUND,
	 .sha = A40},
	{.name = "six digits", .text = "aaaaaa", .commits = {A40}, .want = PIN_TYPED_NOT_THERE},
	{.name = "two begin with it",
	 .text = "aaaaaaa",
	 .commits = {A40, A40B},
	 .want = PIN_TYPED_AMBIGUOUS},
	{.name = "the same one twice",
	 .text = "aaaaaaa",
	 .commits = {A40, A40},
	 .want = PIN_TYPED_FOUND,
	 .sha = A40},
	{.name = "one digit decides",
	 .text = A40B,
	 .commits = {A40, A40B},
	 .want = PIN_TYPED_FOUND,
	 .sha = A40B},
	{.name = "nobody has it",
	 .text = "ddddddd",
	 .commits = {A40, C40},
	 .want = PIN_TYPED_NOT_THERE},
	{.name = "no commits", .text = A40, .commits = {NULL}, .want = PIN_TYPED_NOT_THERE},
	{.name = "the list was cut",
	 .text = "aaaaaaa",
	 .commits = {A40},
	 .cut = true,
	 .want = PIN_TYPED_TOO_SHORT},
	{.name = "cut, and ambiguous",
	 .text = "aaaaaaa",
	 .commits = {A40, A40B},
	 .cut = true,
	 .want = PIN_TYPED_AMBIGUOUS},
	{.name = "cut, whole and listed",
	 .text = A40,
	 .commits = {A40},
	 .cut = true,
	 .want = PIN_TYPED_FOUND,
	 .sha = A40},
	{.name = "cut, whole and inside",
	 .text = C40,
	 .commits = {A40},
	 .cut = true,
	 .is_inside = true,
	 .want = PIN_TYPED_FOUND,
	 .sha = C40},
	{.name = "cut, whole and not inside",
	 .text = C40,
	 .commits = {A40},
	 .cut = true,
	 .want = PIN_TYPED_NOT_THERE},
	{.name = "inside counts only where the list was cut",
	 .text = C40,
	 .commits = {A40},
	 .is_inside = true,
	 .want = PIN_TYPED_NOT_THERE},
	{.name = "of a repository with SHA-256",
	 .text = C64,
	 .commits = {C64},
	 .want = PIN_TYPED_FOUND,
	 .sha = C64},
	{.name = "forty digits of sixty-four",
	 .text = C40,
	 .commits = {C64},
	 .want = PIN_TYPED_FOUND,
	 .sha = C64},
};

static void test_typed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(typed); i++) {
		struct pin_typed question = {.text = typed[i].text,
					     .head = A40,
					     .commits = typed[i].commits,
					     .cut = typed[i].cut,
					     .is_inside = typed[i].is_inside};
		const char *sha = NULL;

		while (question.commit_count < 4 && typed[i].commits[question.commit_count])
			question.commit_count++;
		print_message("%s\n", typed[i].name);
		assert_int_equal(pin_find_typed(&question, &sha), typed[i].want);
		if (typed[i].sha)
			assert_string_equal(sha, typed[i].sha);
		else
			assert_null(sha);
	}
}

/* --- random histories --- */

enum { HISTORIES = 200000 };

static uint64_t first_seed(void)
{
	const char *given = getenv("KFOPS_SEED");

	return given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 1000003;
}

/* must() in the world ends the program; the seed printed before plays that history again. */
static void test_random_histories(void **state)
{
	uint64_t seed = first_seed();
	int proven[2] = {0};

	(void)state;
	print_message("KFOPS_SEED=%llu\n", (unsigned long long)seed);
	for (int i = 0; i < HISTORIES; i++)
		for (int must_prove = 0; must_prove < 2; must_prove++) {
			struct pin_world world = {
				.chance = {.next = chance_of_seed, .state = seed + (uint64_t)i}};

			proven[must_prove] += world_play(&world, must_prove);
		}
	print_message("proven: %d, and %d where it must be\n", proven[0], proven[1]);
	assert_in_range(proven[0], HISTORIES / 10, HISTORIES);
	assert_in_range(proven[1], HISTORIES / 10, HISTORIES);
}

/* The same on pull requests from forks. */
static void test_random_histories_of_forks(void **state)
{
	uint64_t seed = first_seed();
	int gone_on = 0;

	(void)state;
	print_message("KFOPS_SEED=%llu\n", (unsigned long long)seed);
	for (int i = 0; i < HISTORIES; i++) {
		struct pin_world world = {
			.chance = {.next = chance_of_seed, .state = seed + (uint64_t)i}};

		gone_on += fork_world_play(&world);
	}
	print_message("gone on with: %d\n", gone_on);
	assert_in_range(gone_on, HISTORIES / 50, HISTORIES);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_cases),
	cmocka_unit_test(test_typed),
	cmocka_unit_test(test_random_histories),
	cmocka_unit_test(test_random_histories_of_forks),
};

CASES_MAIN(tests, NULL, NULL)
