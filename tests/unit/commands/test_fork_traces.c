/* test_fork_traces.c - whole jobs on pull requests from forks, as test_trace.c plays others: what
 * is asked before each thing that is done with a commit of a fork, and what a push in between ends.
 */
#include "tests/unit/commands/trace_kit.h"

#define OTHER "a1b2c3d4e5f60718293a4b5c6d7e8f9019f8e7d6"
#define MINE  "9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901"

/* Whoever asks may write; the policy lets forks do everything, if a maintainer allows it. */
#define RIGHTS(level, forks)                                                                       \
	{                                                                                          \
		.effect = "github.permission",                                                     \
		.data = "{\"user_id\":7,\"pull\":true,\"push\":true" level                         \
			",\"policy\":{\"text\":\"forks: {" forks "}\"}}"                           \
	}
#define ALL_ALLOWED "build: ok-to-run, run: ok-to-run, deploy: ok-to-run"
#define MAY	    RIGHTS("", ALL_ALLOWED)
#define MAINTAINS   RIGHTS(",\"maintain\":true", ALL_ALLOWED)

#define FORK_AT(head, heard, more)                                                                 \
	{                                                                                          \
		.effect = "github.pull",                                                           \
		.data = "{\"open\":true,\"author_id\":9,\"head_repo_id\":2,\"base_repo_id\":1,"    \
			"\"html_url\":\"https://github.com/o/r/pull/7\",\"head_sha\":\"" head      \
			"\",\"heads\":[{\"at_ms\":600000,\"sha\":\"" heard "\"}]" more "}"         \
	}
#define HEARD	 ",\"heads\":[{\"at_ms\":600000,\"sha\":\"" MINE "\"}]"
#define OK(more) ",\"ok\":{\"sha\":\"" MINE "\",\"may\":true,\"build_only\":false" more "}"
#define FORK	 FORK_AT(MINE, MINE, OK(""))
#define UNASKED	 FORK_AT(MINE, MINE, "")
#define PUSHED	 FORK_AT(OTHER, OTHER, OK(""))
#define COMPILED                                                                                   \
	{                                                                                          \
		.effect = "compile",                                                               \
		.data = "{\"name\":\"iris\",\"tasks\":3,\"sha256\":\"ab\",\"parameters\":{}}"      \
	}
#define TO_COMPILE MAY, FORK, CHECKED_OUT, SETTINGS
#define TO_UPLOAD  TO_COMPILE, FORK, COMPILED
#define TO_RUN	   TO_UPLOAD, MAY, FORK, PIPELINE, UPLOADED, EXPERIMENT

#define AT_PIN "authorize asks github.permission\npin asks github.pull\n"
#define AT_COMPILE                                                                                 \
	AT_PIN "checkout asks repo.checkout\nsettings asks repo.settings\n"                        \
	       "fork_compile asks github.pull\n"
#define AT_CONFIRM                                                                                 \
	AT_COMPILE "compile asks compile\ncompile part done: 3 tasks\nconfirm asks "               \
		   "github.permission\n"
#define AT_UPLOAD AT_CONFIRM "fork_upload asks github.pull\n"
#define DONE_UPLOAD                                                                                \
	AT_UPLOAD "pipeline asks kfp.pipeline\nupload asks kfp.upload_version\n"                   \
		  "upload part done: version `pr-7-9f8e7d6a1b2c`\n"
#define AT_RUN	  DONE_UPLOAD "experiment asks kfp.experiment\nfork_run asks github.pull\n"
#define AT_COMMIT "authorize asks github.permission\ncommit asks github.pull\n"

#define SAYS		      .command = "ok-to-run", .args = "{\"arg\":\"9f8e7d6a1b2c\"}"
#define TYPED(commits, heads) ",\"typed\":{\"commits\":[" commits "],\"heads\":[" heads "]}"
#define ONE		      TYPED("\"" MINE "\"", "\"" MINE "\"")

static const struct trace_case cases[] = {
	{.name = "nobody has read it",
	 .command = "build",
	 .args = "{}",
	 .answers = {MAY, UNASKED},
	 .want = AT_PIN "end failed fork.not_approved\n"},
	{.name = "nobody has read what is left of a fork that is gone",
	 .command = "build_run",
	 .args = "{}",
	 .answers = {MAY,
		     {.effect = "github.pull",
		      .data = "{\"open\":true,\"head_repo_id\":0,\"base_repo_id\":1,\"head_sha\":"
			      "\"" MINE "\"" HEARD "}"}},
	 .want = AT_PIN "end failed fork.not_approved\n"},
	{.name = "a base that is another repository's is no base",
	 .command = "build",
	 .args = "{}",
	 .answers = {MAY,
		     {.effect = "github.pull",
		      .data = "{\"open\":true,\"head_repo_id\":5,\"base_repo_id\":5,\"head_sha\":"
			      "\"" MINE "\"" HEARD OK("") "}"}},
	 .want = AT_PIN "end failed denied.unverified\n"},
	{.name = "a word about another commit is none",
	 .command = "build",
	 .args = "{}",
	 .answers = {MAY, FORK_AT(OTHER, OTHER, OK(""))},
	 .want = AT_PIN "end failed fork.not_approved\n"},
	{.name = "allowed: asked before it is compiled, and before it is uploaded",
	 .command = "build",
	 .args = "{}",
	 .answers = {TO_UPLOAD, MAY, FORK, PIPELINE, UPLOADED},
	 .want = DONE_UPLOAD "end done: version pr-7-9f8e7d6a1b2c is in Kubeflow\n"},
	{.name = "a push while it was checked out: nothing is compiled",
	 .command = "build",
	 .args = "{}",
	 .answers = {TO_COMPILE, PUSHED},
	 .want = AT_COMPILE "end failed fork.moved\n"},
	{.name = "a push while it was compiled: nothing is uploaded",
	 .command = "build",
	 .args = "{}",
	 .answers = {TO_UPLOAD, MAY, PUSHED},
	 .want = AT_UPLOAD "end failed fork.moved\n"},
	{.name = "a push before the run: nothing is run",
	 .command = "build_run",
	 .args = "{}",
	 .answers = {TO_RUN, PUSHED},
	 .want = AT_RUN "end failed fork.moved\n"},
	{.name = "a push of which only the event came is waited for, then believed",
	 .command = "build",
	 .args = "{}",
	 .answers = {TO_COMPILE, FORK_AT(MINE, OTHER, OK("")), PUSHED},
	 .want = AT_COMPILE "fork_compile waits 2000 ms for -\nfork_compile asks github.pull\n"
			    "end failed fork.moved\n"},
	{.name = "events that never agree with GitHub are no head",
	 .command = "build",
	 .args = "{}",
	 .answers = {TO_COMPILE, FORK_AT(MINE, OTHER, OK("")), FORK_AT(MINE, OTHER, OK("")),
		     FORK_AT(MINE, OTHER, OK("")), FORK_AT(MINE, OTHER, OK("")),
		     FORK_AT(MINE, OTHER, OK(""))},
	 .want = AT_COMPILE "fork_compile waits 2000 ms for -\nfork_compile asks github.pull\n"
			    "fork_compile waits 4000 ms for -\nfork_compile asks github.pull\n"
			    "fork_compile waits 8000 ms for -\nfork_compile asks github.pull\n"
			    "fork_compile waits 16000 ms for -\nfork_compile asks github.pull\n"
			    "end failed fork.moved\n"},
	{.name = "a version of an older commit that somebody names",
	 .command = "run",
	 .args = "{\"arg\":\"pr-7-a1b2c3d4e5f6\"}",
	 .answers = {TO_COMPILE,
		     {.effect = "kfp.find_version",
		      .data = "{\"sha\":\"" OTHER
			      "\",\"version\":{\"id\":\"v1\",\"name\":\"pr-7\"},"
			      "\"compile\":{\"name\":\"iris\"}}"},
		     MAY,
		     FORK},
	 .want = AT_PIN "checkout asks repo.checkout\nsettings asks repo.settings\nversion asks "
			"kfp.find_version\nversion part done: `pr-7`\nconfirm asks "
			"github.permission\nfork_upload asks github.pull\nend failed fork.moved\n"},
	{.name = "allowed to be built, and nothing more",
	 .command = "build_run",
	 .args = "{}",
	 .answers = {MAY,
		     FORK_AT(MINE, MINE,
			     ",\"ok\":{\"sha\":\"" MINE "\",\"may\":true,\"build_only\":true}")},
	 .want = AT_PIN "end failed fork.build_only\n"},
	{.name = "without a word of the policy nothing is run",
	 .command = "run",
	 .args = "{}",
	 .answers = {ALLOWED, FORK},
	 .want = AT_PIN "end failed fork.never\n"},
	{.name = "and nothing is deployed",
	 .command = "plan",
	 .args = "{}",
	 .answers = {RIGHTS("", "build: never, run: ok-to-run"), FORK},
	 .want = AT_PIN "end failed fork.never\n"},
	{.name = "who allowed it may not do so any more",
	 .command = "build",
	 .args = "{}",
	 .answers = {MAY,
		     FORK_AT(MINE, MINE,
			     ",\"ok\":{\"sha\":\"" MINE "\",\"may\":false,\"build_only\":false}")},
	 .want = AT_PIN "end failed fork.ok_lapsed\n"},
	{.name = "the policy forbade it while it was compiled",
	 .command = "build",
	 .args = "{}",
	 .answers = {TO_UPLOAD, RIGHTS("", "build: never"), FORK},
	 .want = AT_UPLOAD "end failed fork.never\n"},
	{.name = "closed while it was checked out",
	 .command = "build",
	 .args = "{}",
	 .answers = {TO_COMPILE,
		     {.effect = "github.pull",
		      .data = "{\"open\":false,\"head_sha\":\"" MINE "\"}"}},
	 .want = AT_COMPILE "end failed pull.closed\n"},
	{.name = "a maintainer allows the head",
	 SAYS,
	 .answers = {MAINTAINS,
		     FORK_AT(MINE, MINE, ONE),
		     {.effect = "store.ok_to_run", .data = "{}"}},
	 .want = AT_COMMIT "allow asks store.ok_to_run\nend done: allowed\n"},
	{.name = "who only may write allows nothing",
	 SAYS,
	 .answers = {MAY, {.effect = "github.refusal", .data = "{\"asked\":true}"}},
	 .want = "authorize asks github.permission\nauthorize asks github.refusal\nend failed "
		 "denied.permission\n"},
	{.name = "what does not come from a fork needs no word",
	 SAYS,
	 .answers = {MAINTAINS, PULL(ONE)},
	 .want = AT_COMMIT "end failed fork.not_a_fork\n"},
	{.name = "nobody allows what they opened",
	 SAYS,
	 .answers =
		 {MAINTAINS,
		  {.effect = "github.pull",
		   .data = "{\"open\":true,\"author_id\":7,\"head_repo_id\":2,\"base_repo_id\":1,"
			   "\"head_sha\":\"" MINE "\"" ONE "}"}},
	 .want = AT_COMMIT "end failed fork.own_pull\n"},
	{.name = "nor what nobody knows who opened",
	 SAYS,
	 .answers = {MAINTAINS,
		     {.effect = "github.pull",
		      .data = "{\"open\":true,\"head_repo_id\":2,\"base_repo_id\":1,\"head_sha\":"
			      "\"" MINE "\"" ONE "}"}},
	 .want = AT_COMMIT "end failed denied.unverified\n"},
	{.name = "where forks are never built there is nothing to allow",
	 SAYS,
	 .answers = {RIGHTS(",\"maintain\":true", "build: never, run: ok-to-run"),
		     FORK_AT(MINE, MINE, ONE)},
	 .want = AT_COMMIT "end failed fork.never\n"},
	{.name = "a commit that is not the head any more",
	 SAYS,
	 .answers = {MAINTAINS, FORK_AT(OTHER, OTHER, ONE)},
	 .want = AT_COMMIT "end failed fork.not_head\n"},
	{.name = "a commit of nobody's",
	 SAYS,
	 .answers = {MAINTAINS, FORK_AT(OTHER, OTHER, TYPED("", ""))},
	 .want = AT_COMMIT "end failed pin.not_this_pull\n"},
	{.name = "a commit that begins like the one that was read",
	 SAYS,
	 .answers = {MAINTAINS,
		     FORK_AT(MINE, MINE,
			     TYPED("\"" MINE "\"",
				   "\"9f8e7d6a1b2cffffffffffffffffffffffffffff\",\"" MINE "\""))},
	 .want = AT_COMMIT "end failed pin.ambiguous\n"},
	{.name = "the event of a push is faster than GitHub",
	 SAYS,
	 .answers = {MAINTAINS, FORK_AT(MINE, OTHER, ONE), FORK_AT(OTHER, OTHER, ONE)},
	 .want = AT_COMMIT "commit waits 2000 ms for -\ncommit asks github.pull\n"
			   "end failed fork.not_head\n"},
	{.name = "closed",
	 SAYS,
	 .answers = {MAINTAINS, {.effect = "github.pull", .data = "{\"open\":false}"}},
	 .want = AT_COMMIT "end failed pull.closed\n"},
};

static void play(void **state)
{
	const struct trace_case *script = *state;
	struct player player;

	player_start(&player, script);
	player_play(&player);
	assert_string_equal(buf_text(&player.said), script->want);
	assert_null(script->answers[player.next_answer].effect);
	player_end(&player);
}

int main(int argc, char **argv)
{
	return play_cases("fork traces", cases, ARRAY_LEN(cases), play, argc, argv);
}
