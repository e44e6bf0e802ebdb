/* test_commit.c - the step that chooses the commit, through the pure core with a fake clock: what
 * it asks, how long it waits for what is late, and what it takes or refuses in the end. */
#include "tests/unit/commands/trace_kit.h"

#define OLD    "a1b2c3d4e5f60718293a4b5c6d7e8f9019f8e7d6"
#define OLD_2  "a1b2c3d4e5f60718293a4b5c6d7e8f90aaaaaaaa"
#define NEW    "9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901"
#define EARLY  "600000"
#define SECOND "1000000"
#define LATE   "1001000"

#define HEARD(sha_, at)	      "{\"sha\":\"" sha_ "\",\"at_ms\":" at ",\"action\":\"synchronize\"}"
#define HEADS(list)	      ",\"heads\":[" list "]"
#define PUSHES(more)	      ",\"pushes\":{\"opened_at_ms\":100000" more "}"
#define FORCED(at)	      PUSHES(",\"forced_to\":\"" NEW "\",\"forced_at_ms\":" at)
#define TYPED(list, more)     ",\"typed\":{\"commits\":[" list "]" more "}"
#define CUT		      ",\"cut\":true"
#define ASKS		      "pin asks github.pull\n"
#define WAITS(ms)	      "pin waits " ms " ms for -\n"
#define TAKES(sha_, by)	      "commit " sha_ " by " by "\n"
#define KEPT		      .start = 1 /* the job repeats another, which had the new commit */
#define TYPES(command_, text) .command = command_, .args = "{\"sha\":\"" text "\"}"
#define GIVEN(command_)	      .command = command_, .args = "{}"

static const struct trace_case cases[] = {
	{.name = "heard of before the comment",
	 GIVEN("build"),
	 .answers = {PULL(HEADS(HEARD(NEW, EARLY)))},
	 .want = ASKS TAKES(NEW, "recorded")},
	{.name = "never heard of: GitHub is asked, and it is said",
	 GIVEN("run"),
	 .answers = {PULL(""), PULL(PUSHES(""))},
	 .want = ASKS ASKS TAKES(NEW, "api: unheard")},
	{.name = "a push in the second of the comment",
	 GIVEN("build"),
	 .answers = {PULL(HEADS(HEARD(NEW, SECOND) "," HEARD(OLD, EARLY))),
		     PULL(HEADS(HEARD(NEW, SECOND) "," HEARD(OLD, EARLY)) PUSHES(""))},
	 .want = ASKS ASKS TAKES(NEW, "api: same_second from " OLD)},
	{.name = "a push after the comment",
	 GIVEN("build_run"),
	 .answers = {PULL(HEADS(HEARD(NEW, LATE) "," HEARD(OLD, EARLY))),
		     PULL(HEADS(HEARD(NEW, LATE) "," HEARD(OLD, EARLY)) PUSHES(""))},
	 .want = ASKS ASKS TAKES(NEW, "api: moved from " OLD)},
	{.name = "a push that was missed, and that GitHub wrote down before the comment",
	 GIVEN("build"),
	 .answers = {PULL(HEADS(HEARD(OLD, EARLY))),
		     PULL(HEADS(HEARD(OLD, EARLY)) FORCED("700000"))},
	 .want = ASKS ASKS TAKES(NEW, "pushes")},
	{.name = "GitHub's reads are behind: what was heard of counts",
	 GIVEN("build"),
	 .answers = {PULL(HEADS(HEARD(OLD, "700000") "," HEARD(NEW, EARLY))),
		     PULL(HEADS(HEARD(OLD, "700000") "," HEARD(NEW, EARLY)) PUSHES(""))},
	 .want = ASKS ASKS TAKES(OLD, "recorded")},
	{.name = "a repeated job keeps its commit",
	 GIVEN("build"),
	 KEPT,
	 .answers = {PULL(HEADS(HEARD(OLD, EARLY)))},
	 .want = ASKS TAKES(NEW, "kept")},

	{.name = "deploying what was heard of",
	 GIVEN("deploy"),
	 .answers = {PULL(HEADS(HEARD(NEW, EARLY)) PUSHES(""))},
	 .want = ASKS TAKES(NEW, "recorded")},
	{.name = "deploying what was never heard of: waited for, not proven",
	 GIVEN("deploy"),
	 .answers = {PULL(PUSHES("")), PULL(PUSHES("")), PULL(PUSHES("")), PULL(PUSHES("")),
		     PULL(PUSHES(""))},
	 .want = ASKS WAITS("2000") ASKS WAITS("4000") ASKS WAITS("8000") ASKS WAITS("16000")
		 ASKS TAKES(NEW, "api: unheard")},
	{.name = "deploying: the event comes late",
	 GIVEN("staging_deploy"),
	 .answers = {PULL(HEADS(HEARD(OLD, EARLY)) PUSHES("")),
		     PULL(HEADS(HEARD(NEW, "700000") "," HEARD(OLD, EARLY)) PUSHES(""))},
	 .want = ASKS WAITS("2000") ASKS TAKES(NEW, "recorded")},
	{.name = "deploying: GitHub's reads catch up",
	 GIVEN("plan"),
	 .answers = {PULL(HEADS(HEARD(OLD, "700000") "," HEARD(NEW, EARLY)) PUSHES("")),
		     {.effect = "github.pull",
		      .data = "{\"open\":true,\"head_sha\":\"" OLD "\",\"head_repo_id\":1,"
			      "\"base_repo_id\":1" HEADS(HEARD(OLD, "700000") "," HEARD(NEW, EARLY))
				      PUSHES("") "}"}},
	 .want = ASKS WAITS("2000") ASKS TAKES(OLD, "recorded")},
	{.name = "deploying: away and back since, both missed",
	 GIVEN("deploy"),
	 .answers = {PULL(HEADS(HEARD(NEW, EARLY)) FORCED(LATE))},
	 .want = ASKS TAKES(NEW, "api: forced")},
	{.name = "deploying: GitHub does not say anything of pushes",
	 GIVEN("deploy"),
	 .answers = {PULL(HEADS(HEARD(NEW, EARLY)) ",\"pushes\":{}")},
	 .want = ASKS TAKES(NEW, "api: forced")},
	{.name = "a repeated deployment whose commit is still the one that is meant",
	 GIVEN("deploy"),
	 KEPT,
	 .answers = {PULL(HEADS(HEARD(NEW, EARLY)) PUSHES(""))},
	 .want = ASKS TAKES(NEW, "kept")},
	{.name = "a repeated deployment whose commit was not proven, and is not now",
	 GIVEN("deploy"),
	 KEPT,
	 .answers = {PULL(HEADS(HEARD(NEW, SECOND) "," HEARD(OLD, EARLY)) PUSHES(""))},
	 .want = ASKS TAKES(NEW, "api")},

	{.name = "seven digits of the head",
	 TYPES("build", "9f8e7d6"),
	 .answers = {PULL(TYPED("\"" NEW "\"", ""))},
	 .want = ASKS TAKES(NEW, "given")},
	{.name = "an older commit of the pull request",
	 TYPES("build", "a1b2c3d"),
	 .answers = {PULL(TYPED("\"" OLD "\"", ""))},
	 .want = ASKS TAKES(OLD, "given")},
	{.name = "typed for a deployment: nothing else is asked",
	 TYPES("deploy", NEW),
	 .answers = {PULL(TYPED("\"" NEW "\"", "") PUSHES(""))},
	 .want = ASKS TAKES(NEW, "given")},
	{.name = "two commits begin with it",
	 TYPES("build", "a1b2c3d"),
	 .answers = {PULL(TYPED("\"" OLD "\",\"" OLD_2 "\"", ""))},
	 .want = ASKS "end failed pin.ambiguous\n"},
	{.name = "no commit of the pull request",
	 TYPES("build", "1234567"),
	 .answers = {PULL(TYPED("", ""))},
	 .want = ASKS "end failed pin.not_this_pull\n"},
	{.name = "too many commits for a short name",
	 TYPES("build", "9f8e7d6"),
	 .answers = {PULL(TYPED("\"" NEW "\"", CUT))},
	 .want = ASKS "end failed pin.too_short\n"},
	{.name = "too many commits, but a whole name inside",
	 TYPES("build", OLD),
	 .answers = {PULL(TYPED("", CUT ",\"is_inside\":true"))},
	 .want = ASKS TAKES(OLD, "given")},
	{.name = "a whole name of another repository",
	 TYPES("build", OLD),
	 .answers = {PULL(TYPED("", CUT ",\"is_inside\":false"))},
	 .want = ASKS "end failed pin.not_this_pull\n"},
	{.name = "a push that was heard of, and is not listed yet",
	 TYPES("build", "a1b2c3d"),
	 .answers = {PULL(HEADS(HEARD(OLD, LATE)) TYPED("", "")),
		     PULL(HEADS(HEARD(OLD, LATE)) TYPED("\"" OLD "\"", ""))},
	 .want = ASKS WAITS("2000") ASKS TAKES(OLD, "given")},
};

static void tell_commit(struct player *player)
{
	const json_t *pin = json_object_get(player->job.data, "pin");
	const char *doubt = jval_str(pin, "doubt", ""), *from = jval_str(pin, "moved_from", "");

	buf_printf(&player->said, "commit %s by %s%s%s%s%s\n", player->job.head_sha,
		   jval_str(pin, "source", "?"), *doubt ? ": " : "", doubt, *from ? " from " : "",
		   from);
}

static void play(void **state)
{
	const struct trace_case *script = *state;
	bool goes_on = true;
	struct player player;

	player_start(&player, script);
	str_copy(player.job.step, sizeof player.job.step, "pin");
	if (script->start)
		str_copy(player.job.head_sha, sizeof player.job.head_sha, NEW);
	for (int i = 0; goes_on && i < STEPS_MAX && !strcmp(player.job.step, "pin"); i++)
		goes_on = play_step(&player);
	if (goes_on)
		tell_commit(&player);
	assert_string_equal(buf_text(&player.said), script->want);
	player_end(&player);
}

int main(int argc, char **argv)
{
	return play_cases("commit", cases, ARRAY_LEN(cases), play, argc, argv);
}
