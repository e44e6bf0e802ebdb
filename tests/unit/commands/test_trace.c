/* test_trace.c - whole jobs through the pure core with a fake clock and scripted answers; what
 * happens is narrated line by line and compared as text. No network, no database, no threads. */
#include "tests/unit/commands/trace_kit.h"

#define COMPILED                                                                                   \
	{                                                                                          \
		.effect = "compile",                                                               \
		.data = "{\"name\":\"iris\",\"tasks\":3,\"sha256\":\"ab\",\"parameters\":{\"k\":"  \
			"3}}",                                                                     \
		.advance_ms = 12000                                                                \
	}
#define CREATED                                                                                    \
	{                                                                                          \
		.effect = "kfp.create_run", .data = "{\"run_id\":\"r1\"}"                          \
	}
#define RUN(state, ms)                                                                             \
	{                                                                                          \
		.effect = "kfp.run", .data = state, .advance_ms = ms                               \
	}
#define ABSENT(id)                                                                                 \
	{.effect = "kfp.create_run", .data = "{\"run_id\":\"" id "\",\"absent\":true}"},           \
		RUN("{\"run_id\":\"" id "\",\"absent\":true}", 200000)
#define TO_COMPILE ALLOWED, PINNED, CHECKED_OUT, SETTINGS
#define TO_CREATE  TO_COMPILE, COMPILED, ALLOWED, PIPELINE, UPLOADED, EXPERIMENT
#define SUCCEEDED                                                                                  \
	"{\"state\":\"SUCCEEDED\",\"final\":true,\"tasks\":{\"a\":\"SUCCEEDED\",\"b\":"            \
	"\"SUCCEEDED\"}}"
#define RUNNING "{\"state\":\"RUNNING\",\"tasks\":{\"a\":\"SUCCEEDED\",\"b\":\"RUNNING\"}}"

/* A run of a repository whose models are deployed, until it has succeeded. */
#define TO_RECORD                                                                                  \
	ALLOWED, PINNED, CHECKED_OUT,                                                              \
		{.effect = "repo.settings",                                                        \
		 .data = "{\"pipeline\":{\"name\":\"iris\",\"namespace\":\"ml\"},"                 \
			 "\"deployment\":{\"inference_service_name\":\"iris\"}}"},                 \
		{.effect = "kfp.find_version",                                                     \
		 .data = "{\"sha\":\"9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901\",\"version\":{"     \
			 "\"id\":\"v1\",\"name\":\"pr-7\"},\"compile\":{\"name\":\"iris\"}}"},     \
		ALLOWED, EXPERIMENT, CREATED, RUN(SUCCEEDED, 1000)
#define KEPT_MODEL                                                                                 \
	"authorize asks github.permission\npin asks github.pull\ncheckout asks repo.checkout\n"    \
	"settings asks repo.settings\nversion asks kfp.find_version\nversion part done: "          \
	"`pr-7`\nconfirm asks github.permission\nexperiment asks kfp.experiment\n"                 \
	"create_run asks kfp.create_run\nfollow asks kfp.run\nrun part done: 2 of 2 tasks\n"       \
	"keep_model asks model.find\nend done: the run succeeded\n"

#define WRITTEN_DOWN                                                                               \
	{                                                                                          \
		.effect = "store.approve", .data = "{\"job\":12}"                                  \
	}
#define COUNTED(by, opened_by)                                                                     \
	{                                                                                          \
		.effect = "github.approvals",                                                      \
		.data = "{\"need\":1,\"sha\":\"9f8e7d6\",\"environment\":\"production\","          \
			"\"pull_author_id\":" opened_by                                            \
			",\"authors_known\":true,\"complete\":true,\"base_changed_at_ms\":0,"      \
			"\"acts\":[{\"id\":" by                                                    \
			",\"login\":\"ann\",\"command\":true,\"state\":\"APPROVED\",\"sha\":"      \
			"\"9f8e7d6\",\"may\":true,\"push\":true}]}"                                \
	}

/* A commit's own policy file, asked for when whoever may push is refused. */
#define LOOKED_AT_FILE                                                                             \
	{                                                                                          \
		.effect = "github.refusal", .data = "{\"asked\":true,\"policy_here\":\"odd\"}"     \
	}

#define READER                                                                                     \
	{                                                                                          \
		.effect = "github.permission",                                                     \
		.data = "{\"user_id\":7,\"pull\":true,\"policy\":{\"none\":true}}"                 \
	}
#define LEFT_JOB                                                                                   \
	"{\"id\":3,\"command\":\"deploy\",\"actor\":\"ben\",\"was\":\"running\","                  \
	"\"right\":\"deploy production\",\"left\":true}"

static const struct trace_case cases[] = {
	{.name = "build_run from comment to success",
	 .command = "build_run",
	 .args = "{}",
	 .answers = {TO_CREATE, CREATED, RUN(RUNNING, 5000), RUN(SUCCEEDED, 5000)},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\nfollow asks kfp.run\n"
		 "run part running: 1 of 3 tasks · `b` running\nfollow waits 5000 ms for r1\n"
		 "follow asks kfp.run\nrun part done: 2 of 3 tasks\nend done: the run succeeded\n"},
	{.name = "build stops after the upload",
	 .command = "build",
	 .args = "{}",
	 .answers = {TO_COMPILE, COMPILED, ALLOWED, PIPELINE, UPLOADED},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\n"
		 "end done: version pr-7-9f8e7d6a1b2c is in Kubeflow\n"},
	{.name = "a reader may not build",
	 .command = "build",
	 .args = "{}",
	 .answers = {{.effect = "github.permission", .data = "{\"user_id\":7,\"pull\":true}"}},
	 .want = "authorize asks github.permission\nend failed denied.permission\n"},
	{.name = "the same login with another id is somebody else",
	 .command = "build",
	 .args = "{}",
	 .answers = {{.effect = "github.permission",
		      .data = "{\"user_id\":8,\"pull\":true,\"push\":true}"}},
	 .want = "authorize asks github.permission\nend failed denied.identity\n"},
	{.name = "the policy lets a team run",
	 .command = "build",
	 .args = "{}",
	 .answers = {{.effect = "github.permission",
		      .data = "{\"user_id\":7,\"pull\":true,\"push\":true,\"policy\":{\"text\":"
			      "\"commands: {build: {teams: [ml]}}\"},\"teams\":{\"ml\":false}}"},
		     LOOKED_AT_FILE},
	 .want = "authorize asks github.permission\nauthorize asks github.refusal\nend failed "
		 "denied.team\n"},
	{.name = "a policy that could not be used allows nothing",
	 .command = "build",
	 .args = "{}",
	 .answers = {{.effect = "github.permission",
		      .data = "{\"user_id\":7,\"pull\":true,\"push\":true,\"policy\":{}}"},
		     LOOKED_AT_FILE},
	 .want = "authorize asks github.permission\nauthorize asks github.refusal\nend failed "
		 "policy.invalid\n"},
	{.name = "the policy changed while it compiled",
	 .command = "build",
	 .args = "{}",
	 .answers = {TO_COMPILE,
		     COMPILED,
		     {.effect = "github.permission",
		      .data = "{\"user_id\":7,\"pull\":true,\"push\":true,\"policy\":{\"text\":"
			      "\"commands: {build: {permission: admin}}\"}}"}},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\nend failed denied.permission\n"},
	{.name = "rights lost while it compiled",
	 .command = "build",
	 .args = "{}",
	 .answers = {TO_COMPILE,
		     COMPILED,
		     {.effect = "github.permission", .data = "{\"user_id\":7}"}},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\nend failed denied.permission\n"},
	{.name = "a pull request that was closed meanwhile",
	 .command = "build",
	 .args = "{}",
	 .answers = {ALLOWED,
		     {.effect = "github.pull", .data = "{\"open\":false,\"merged\":true}"}},
	 .want = "authorize asks github.permission\npin asks github.pull\nend failed "
		 "pull.closed\n"},
	{.name = "a pull request without a head commit",
	 .command = "build",
	 .args = "{}",
	 .answers = {ALLOWED,
		     {.effect = "github.pull",
		      .data = "{\"open\":true,\"head_repo_id\":1,\"base_repo_id\":1}"}},
	 .want = "authorize asks github.permission\npin asks github.pull\nend failed "
		 "pin.unknown\n"},
	{.name = "a sha that is not the head is refused",
	 .command = "build",
	 .args = "{\"sha\":\"abcdef1\"}",
	 .answers = {ALLOWED, PINNED},
	 .want = "authorize asks github.permission\npin asks github.pull\nend failed "
		 "pin.not_this_pull\n"},
	{.name = "their exception ends the job with its place",
	 .command = "build_run",
	 .args = "{}",
	 .answers = {TO_COMPILE,
		     {.effect = "compile",
		      .class = ERR_USER,
		      .code = "compile.failed",
		      .message = "NameError: x",
		      .data = "{\"annotation\":{\"path\":\"p.py\",\"line\":3}}"}},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part failed: failed\n"
		 "end failed compile.failed\n"},
	{.name = "a version name taken by other content gets a number",
	 .command = "build",
	 .args = "{}",
	 .answers = {TO_COMPILE,
		     COMPILED,
		     ALLOWED,
		     PIPELINE,
		     {.effect = "kfp.upload_version", .class = ERR_CONFLICT, .message = "taken"},
		     UPLOADED},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload asks kfp.upload_version named pr-7-9f8e7d6a1b2c-2\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\n"
		 "end done: version pr-7-9f8e7d6a1b2c is in Kubeflow\n"},
	{.name = "a run that is not found is waited for, then sent under a new id",
	 .command = "run",
	 .args = "{}",
	 .answers = {TO_COMPILE,
		     {.effect = "kfp.find_version",
		      .data = "{\"sha\":\"9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901\",\"version\":{"
			      "\"id\":"
			      "\"v1\",\"name\":\"pr-7\"},\"compile\":{\"name\":\"iris\"}}"},
		     ALLOWED,
		     EXPERIMENT,
		     {.effect = "kfp.create_run", .data = "{\"run_id\":\"r1\",\"absent\":true}"},
		     RUN("{\"run_id\":\"r1\",\"absent\":true}", 200000),
		     CREATED,
		     RUN(SUCCEEDED, 1000)},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\nversion asks kfp.find_version\nversion part done: "
		 "`pr-7`\n"
		 "confirm asks github.permission\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\ncreate_run waits 15001 ms for -\ncreate_run asks "
		 "kfp.run\n"
		 "create_run asks kfp.create_run\nfollow asks kfp.run\nrun part done: 2 of 2 "
		 "tasks\n"
		 "end done: the run succeeded\n"},
	{.name = "a run without caching is one of a version of its own",
	 .command = "run",
	 .args = "{\"no-cache\":true}",
	 .answers = {TO_COMPILE,
		     {.effect = "kfp.find_version",
		      .data = "{\"sha\":\"9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901\",\"version\":{"
			      "\"id\":\"v1\",\"pipeline_id\":\"p1\",\"name\":\"pr-7\"},"
			      "\"compile\":{\"name\":\"iris\",\"variant\":true}}"},
		     ALLOWED,
		     {.effect = "kfp.upload_version", .class = ERR_CONFLICT, .message = "taken"},
		     {.effect = "kfp.upload_version",
		      .data = "{\"version_id\":\"v2\",\"version_name\":\"pr-7-nocache-2\"}"},
		     EXPERIMENT,
		     CREATED,
		     RUN(SUCCEEDED, 1000)},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\nversion asks kfp.find_version\nversion part done: "
		 "`pr-7`\n"
		 "confirm asks github.permission\nvariant asks kfp.upload_version\n"
		 "variant asks kfp.upload_version named pr-7-nocache-2\n"
		 "version part done: version `pr-7-nocache-2`\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\nfollow asks kfp.run\nrun part done: 2 of 2 "
		 "tasks\n"
		 "end done: the run succeeded\n"},
	{.name = "a version without caching needs no other for a run without it",
	 .command = "run",
	 .args = "{\"no-cache\":true}",
	 .answers = {TO_COMPILE,
		     {.effect = "kfp.find_version",
		      .data = "{\"sha\":\"9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901\",\"version\":{"
			      "\"id\":\"v1\",\"name\":\"pr-7-2\"},\"compile\":{\"name\":\"iris\","
			      "\"variant\":false}}"},
		     ALLOWED,
		     EXPERIMENT,
		     CREATED,
		     RUN(SUCCEEDED, 1000)},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\nversion asks kfp.find_version\nversion part done: "
		 "`pr-7-2`\n"
		 "confirm asks github.permission\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\nfollow asks kfp.run\nrun part done: 2 of 2 "
		 "tasks\n"
		 "end done: the run succeeded\n"},
	{.name = "a run that is taken three times and never there",
	 .command = "run",
	 .args = "{}",
	 .answers = {TO_COMPILE,
		     {.effect = "kfp.find_version",
		      .data = "{\"sha\":\"9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901\",\"version\":{"
			      "\"id\":"
			      "\"v1\",\"name\":\"pr-7\"},\"compile\":{\"name\":\"iris\"}}"},
		     ALLOWED,
		     EXPERIMENT,
		     ABSENT("r1"),
		     ABSENT("r2"),
		     ABSENT("r3")},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\nversion asks kfp.find_version\nversion part done: "
		 "`pr-7`\n"
		 "confirm asks github.permission\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\ncreate_run waits 15001 ms for -\ncreate_run asks "
		 "kfp.run\n"
		 "create_run asks kfp.create_run\ncreate_run waits 15001 ms for -\ncreate_run asks "
		 "kfp.run\n"
		 "create_run asks kfp.create_run\ncreate_run waits 15001 ms for -\ncreate_run asks "
		 "kfp.run\n"
		 "run part failed: not created\nend failed run.not_created\n"},
	{.name = "cancelled while the run goes on: terminated, then cancelled",
	 .command = "build_run",
	 .args = "{}",
	 .answers = {TO_CREATE,
		     CREATED,
		     RUN(RUNNING, 5000),
		     {.effect = "kfp.run", .data = RUNNING, .cancel_by = "ann"},
		     {.effect = "kfp.terminate", .data = "{\"terminated\":true}"},
		     RUN("{\"state\":\"FAILED\",\"final\":true,\"was_canceling\":true}", 5000)},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\nfollow asks kfp.run\n"
		 "run part running: 1 of 3 tasks · `b` running\nfollow waits 5000 ms for r1\n"
		 "follow asks kfp.run\nfollow asks kfp.terminate\nfollow waits 5000 ms for r1\n"
		 "follow asks kfp.run\nrun part cancelled: stopped\nend cancelled job.cancelled\n"},
	{.name = "a run over its --timeout is stopped and says so",
	 .command = "build_run",
	 .args = "{\"timeout\":60000}",
	 .answers = {TO_CREATE,
		     CREATED,
		     RUN(RUNNING, 61000),
		     {.effect = "kfp.terminate", .data = "{\"terminated\":true}"},
		     RUN("{\"state\":\"FAILED\",\"final\":true,\"was_canceling\":true}", 5000)},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\nfollow asks kfp.run\nfollow asks kfp.terminate\n"
		 "follow waits 5000 ms for r1\nfollow asks kfp.run\n"
		 "run part failed: stopped: out of time\nend failed run.timeout\n"},
	{.name = "a run that does not stop is not waited for without end",
	 .command = "build_run",
	 .args = "{}",
	 .answers = {TO_CREATE,
		     CREATED,
		     {.effect = "kfp.run", .data = RUNNING, .cancel_by = "ann"},
		     {.effect = "kfp.terminate", .data = "{\"terminated\":true}"},
		     RUN(RUNNING, 5000),
		     RUN(RUNNING, 3600000)},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\nfollow asks kfp.run\nfollow asks kfp.terminate\n"
		 "follow waits 5000 ms for r1\nfollow asks kfp.run\nfollow waits 5000 ms for r1\n"
		 "follow asks kfp.run\nrun part failed: does not stop\nend failed "
		 "run.not_stopped\n"},
	{.name = "nothing answers when the deadline passes: the run is told to stop, and the end "
		 "says that it may go on",
	 .command = "build_run",
	 .args = "{}",
	 .deadline_ms = 60000,
	 .answers = {TO_CREATE,
		     CREATED,
		     {.effect = "kfp.run",
		      .class = ERR_TRANSIENT,
		      .message = "no answer",
		      .advance_ms = 61000},
		     {.effect = "kfp.terminate", .class = ERR_TRANSIENT, .message = "no answer"}},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\nfollow asks kfp.run\nfollow asks kfp.terminate\n"
		 "run part failed: may go on\nend failed run.not_stopped\n"},
	{.name = "the request to stop gets through, and then nothing answers",
	 .command = "build_run",
	 .args = "{}",
	 .deadline_ms = 60000,
	 .answers = {TO_CREATE,
		     CREATED,
		     {.effect = "kfp.run",
		      .class = ERR_TRANSIENT,
		      .message = "no answer",
		      .advance_ms = 61000},
		     {.effect = "kfp.terminate", .data = "{\"terminated\":true}"},
		     {.effect = "kfp.run",
		      .class = ERR_TRANSIENT,
		      .message = "no answer",
		      .advance_ms = 5000}},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\nfollow asks kfp.run\nfollow asks kfp.terminate\n"
		 "follow waits 5000 ms for r1\nfollow asks kfp.run\n"
		 "run part failed: told to stop\nend failed run.not_stopped\n"},
	{.name = "nobody knows whether the run is there when the deadline passes",
	 .command = "build_run",
	 .args = "{}",
	 .deadline_ms = 60000,
	 .answers = {TO_CREATE,
		     {.effect = "kfp.create_run",
		      .data = "{\"run_id\":\"r1\"}",
		      .class = ERR_TRANSIENT,
		      .message = "no answer",
		      .advance_ms = 61000}},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\n"
		 "run part failed: may go on\nend failed run.not_stopped\n"},
	{.name = "no run was asked for when the deadline passes",
	 .command = "build_run",
	 .args = "{}",
	 .deadline_ms = 60000,
	 .answers = {TO_CREATE,
		     {.effect = "kfp.create_run",
		      .class = ERR_TRANSIENT,
		      .message = "no answer",
		      .advance_ms = 61000}},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\n"
		 "run part failed: not created\nend failed gave_up\n"},
	{.name = "cancelled while nobody knows whether there is a run: none is sent any more",
	 .command = "run",
	 .args = "{}",
	 .answers = {TO_COMPILE,
		     {.effect = "kfp.find_version",
		      .data = "{\"sha\":\"9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901\",\"version\":{"
			      "\"id\":"
			      "\"v1\",\"name\":\"pr-7\"},\"compile\":{\"name\":\"iris\"}}"},
		     ALLOWED,
		     EXPERIMENT,
		     {.effect = "kfp.create_run", .data = "{\"run_id\":\"r1\",\"absent\":true}"},
		     {.effect = "kfp.run",
		      .data = "{\"run_id\":\"r1\",\"absent\":true}",
		      .advance_ms = 200000,
		      .cancel_by = "ann"}},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\nversion asks kfp.find_version\nversion part done: "
		 "`pr-7`\n"
		 "confirm asks github.permission\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\ncreate_run waits 15001 ms for -\ncreate_run asks "
		 "kfp.run\n"
		 "run part cancelled: stopped\nend cancelled job.cancelled\n"},
	{.name = "the name of a task is foreign text",
	 .command = "build_run",
	 .args = "{}",
	 .answers = {TO_CREATE, CREATED,
		     RUN("{\"state\":\"RUNNING\",\"tasks\":{\"x` | @lab/all `y\":\"RUNNING\"}}",
			 5000),
		     RUN(SUCCEEDED, 5000)},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\nfollow asks kfp.run\n"
		 "run part running: 0 of 3 tasks · ``x` \\| @lab/all `y`` running\n"
		 "follow waits 5000 ms for r1\n"
		 "follow asks kfp.run\nrun part done: 2 of 3 tasks\nend done: the run succeeded\n"},
	{.name = "a failed run names its task",
	 .command = "build_run",
	 .args = "{}",
	 .answers = {TO_CREATE,
		     CREATED,
		     RUN("{\"state\":\"FAILED\",\"final\":true}", 5000),
		     {.effect = "kfp.causes",
		      .data = "{\"causes\":[{\"task\":\"train\",\"message\":\"exit code 1\"}]}"}},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\nfollow asks kfp.run\ncauses asks kfp.causes\n"
		 "run part failed: failed\nend failed run.failed\n"},
	{.name = "a run that somebody deleted",
	 .command = "build_run",
	 .args = "{}",
	 .answers = {TO_CREATE, CREATED, RUN("{\"absent\":true}", 5000),
		     RUN("{\"absent\":true}", 200000)},
	 .want = "authorize asks github.permission\npin asks github.pull\ncheckout asks "
		 "repo.checkout\n"
		 "settings asks repo.settings\ncompile asks compile\ncompile part done: 3 tasks\n"
		 "confirm asks github.permission\npipeline asks kfp.pipeline\nupload asks "
		 "kfp.upload_version\n"
		 "upload part done: version `pr-7-9f8e7d6a1b2c`\nexperiment asks kfp.experiment\n"
		 "create_run asks kfp.create_run\nfollow asks kfp.run\n"
		 "follow waits 15001 ms for -\n"
		 "follow asks kfp.run\nrun part failed: gone\n"
		 "end failed run.gone\n"},
	{.name = "what a run has left is recorded",
	 .command = "run",
	 .args = "{}",
	 .answers =
		 {TO_RECORD,
		  {.effect = "model.find",
		   .data = "{\"uri\":\"s3://m/1/\",\"digest\":\"d\",\"found\":true,\"files\":2}"}},
	 .after = "{\"digest\":\"d\",\"uri\":\"s3://m/1/\"}",
	 .want = KEPT_MODEL},
	{.name = "a run without a model has succeeded, too",
	 .command = "run",
	 .args = "{}",
	 .answers = {TO_RECORD,
		     {.effect = "model.find",
		      .class = ERR_USER,
		      .code = "deploy.no_model",
		      .message = "it has none"}},
	 .after = "{\"note\":\"The model of this run was not recorded: it has none\"}",
	 .want = KEPT_MODEL},
	{.name = "records that do not answer do not fail a run",
	 .command = "run",
	 .args = "{}",
	 .answers = {TO_RECORD,
		     {.effect = "model.find", .class = ERR_TRANSIENT, .message = "no answer"}},
	 .after = "{\"note\":\"The model of this run was not recorded: no answer\"}",
	 .want = KEPT_MODEL},
	{.name = "cancelled after the run has succeeded: it has",
	 .command = "run",
	 .args = "{}",
	 .answers = {TO_RECORD,
		     {.effect = "model.find",
		      .class = ERR_TRANSIENT,
		      .message = "no answer",
		      .cancel_by = "ann"}},
	 .after = "{\"note\":\"The model of this run was not recorded: no answer\"}",
	 .want = KEPT_MODEL},
	{.name = "a model of too many files has no digest",
	 .command = "run",
	 .args = "{}",
	 .answers = {TO_RECORD,
		     {.effect = "model.find",
		      .data = "{\"uri\":\"s3://m/1/\",\"digest\":\"\",\"found\":true}"}},
	 .after = "{\"note\":\"The model of this run was not recorded: it has too many files\"}",
	 .want = KEPT_MODEL},
	{.name = "a model that is gone already",
	 .command = "run",
	 .args = "{}",
	 .answers =
		 {TO_RECORD,
		  {.effect = "model.find",
		   .data = "{\"uri\":\"s3://m/1/"
			   "\",\"digest\":\"e3\",\"found\":false,\"why\":\"nothing lies there\"}"}},
	 .after = "{\"note\":\"The model of this run was not recorded: nothing lies there\"}",
	 .want = KEPT_MODEL},
	{.name = "a cluster that serves nothing records nothing",
	 .command = "run",
	 .args = "{}",
	 .answers = {TO_RECORD,
		     {.effect = "model.find",
		      .class = ERR_USER,
		      .code = "deploy.not_served",
		      .message = "not here"}},
	 .after = "{}",
	 .want = KEPT_MODEL},
	{.name = "an approval that counts",
	 .command = "approve",
	 .args = "{\"arg\":12}",
	 .answers = {ALLOWED, WRITTEN_DOWN, COUNTED("7", "5")},
	 .want = "authorize asks github.permission\n"
		 "approve asks store.approve\n"
		 "count asks github.approvals\n"
		 "end done: approved\n"},
	{.name = "an approval by who opened the pull request",
	 .command = "approve",
	 .args = "{\"arg\":12}",
	 .answers = {ALLOWED, WRITTEN_DOWN, COUNTED("7", "7")},
	 .want = "authorize asks github.permission\n"
		 "approve asks store.approve\n"
		 "count asks github.approvals\n"
		 "end failed approve.not_counted\n"},
	{.name = "help asks what a person may",
	 .command = "help",
	 .args = "{}",
	 .answers = {ALLOWED},
	 .want = "answer asks github.permission\nend done: answered\n"},
	{.name = "help is there when nobody can be asked",
	 .command = "help",
	 .args = "{}",
	 .answers = {{.effect = "github.permission",
		      .class = ERR_TRANSIENT,
		      .code = "github.fault",
		      .message = "no answer"}},
	 .want = "answer asks github.permission\nend done: answered\n"},
	{.name = "help for one command asks nobody",
	 .command = "help",
	 .args = "{\"arg\":\"build\"}",
	 .want = "end done: answered\n"},
	{.name = "cancel of one that cannot be is not cancel of all",
	 .command = "cancel",
	 .args = "{\"arg\":\"00\"}",
	 .answers = {ALLOWED},
	 .want = "authorize asks github.permission\nend failed job.unknown\n"},
	{.name = "cancel asks about all rights, and tells what was left",
	 .command = "cancel",
	 .args = "{}",
	 .answers = {READER,
		     READER,
		     {.effect = "store.cancel", .data = "{\"jobs\":[" LEFT_JOB "]}"}},
	 .want = "authorize asks github.permission\nrights asks github.permission\n"
		 "cancel asks store.cancel\nend done: answered\n"},
	{.name = "cancel of one that is not theirs",
	 .command = "cancel",
	 .args = "{\"arg\":\"3\"}",
	 .answers = {READER,
		     READER,
		     {.effect = "store.cancel", .data = "{\"jobs\":[" LEFT_JOB "]}"}},
	 .want = "authorize asks github.permission\nrights asks github.permission\n"
		 "cancel asks store.cancel\nend failed cancel.not_yours\n"},
	{.name = "cancel of one's own needs no more than the first answer",
	 .command = "cancel",
	 .args = "{\"arg\":\"3\"}",
	 .answers = {READER,
		     {.effect = "github.permission",
		      .class = ERR_TRANSIENT,
		      .code = "github.fault",
		      .message = "no answer"},
		     {.effect = "store.cancel",
		      .data = "{\"jobs\":[{\"id\":3,\"command\":\"run\",\"was\":\"parked\","
			      "\"now\":\"cancelling\"}]}"}},
	 .want = "authorize asks github.permission\nrights asks github.permission\n"
		 "cancel asks store.cancel\nend done: answered\n"},
	{.name = "a hold and its end",
	 .command = "hold",
	 .args = "{\"reason\":\"odd\"}",
	 .answers = {ALLOWED, {.effect = "store.hold", .data = "{}"}},
	 .want = "authorize asks github.permission\nhold asks store.hold\nend done: on hold\n"},
	{.name = "config shows the policy and the faults of the settings",
	 .command = "config",
	 .args = "{}",
	 .answers = {ALLOWED,
		     PINNED,
		     ALLOWED,
		     CHECKED_OUT,
		     {.effect = "repo.settings",
		      .class = ERR_USER,
		      .code = "settings.invalid",
		      .message = "line 1: odd"}},
	 .want = "authorize asks github.permission\npin asks github.pull\npolicy asks "
		 "github.permission\ncheckout asks repo.checkout\nsettings asks "
		 "repo.settings\nend done: answered\n"},
};

/* What the job knows of the model in the end. */
static void assert_kept(const struct player *player, const char *want)
{
	json_t *model = json_object_get(player->job.data, "model");
	AUTO_FREE char *got = jval_dump(model);

	assert_string_equal(got, want);
}

static void play(void **state)
{
	const struct trace_case *script = *state;
	struct player player;

	player_start(&player, script);
	player_play(&player);
	assert_string_equal(buf_text(&player.said), script->want);
	assert_null(script->answers[player.next_answer].effect);
	if (script->after)
		assert_kept(&player, script->after);
	if (player.job.head_sha[0])
		assert_string_equal(player.job.head_sha, sha);
	player_end(&player);
}

/* /logs --step takes the names of steps, which the table shows, and of what they ask for. */
static void logs_of_one_step(void **state)
{
	static const struct {
		const char *args, *has, *has_not;
	} rows[] = {
		{"{\"arg\":3}", "| upload | kfp.upload_version | done |", "no such"},
		{"{\"arg\":3}", "| compile | compile | failed |", "nothing in"},
		{"{\"arg\":3,\"step\":\"upload\"}", "| upload | kfp.upload_version |",
		 "| compile |"},
		{"{\"arg\":3,\"step\":\"kfp.upload_version\"}", "| upload |", "| compile |"},
		{"{\"arg\":3,\"step\":\"compile\"}", "| compile | compile |", "| upload |"},
		{"{\"arg\":3,\"step\":\"run\"}", "nothing in a step `run`; `/logs 3`",
		 "| upload |"},
	};
	const struct step *answer = job_step(command_logs.steps, "answer");
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct job job = {0};
		struct effect_result last = {0};
		struct update update = {0};
		const char *text;

		assert_int_equal(jval_parse(&job.args, rows[i].args, strlen(rows[i].args), &err),
				 0);
		last.data =
			json_pack("{s:s, s:s, s:s, s:[{s:s, s:s, s:s}, {s:s, s:s, s:s}]}",
				  "command", "build", "state", "failed", "log", "x", "steps",
				  "step", "upload", "name", "kfp.upload_version", "phase", "done",
				  "step", "compile", "name", "compile", "phase", "failed");
		answer->decide(&job, &last, 0, &update);
		text = jval_str(update.data, "answer", "");
		assert_non_null(strstr(text, rows[i].has));
		assert_null(strstr(text, rows[i].has_not));
		update_dispose(&update);
		json_decref(last.data);
		job_dispose(&job);
	}
}

/* Columns of a row; a bar with a backslash is text. */
static int columns_of(const char *row, size_t len)
{
	int bars = 0;

	for (size_t i = 0; i < len; i++)
		bars += row[i] == '|' && (!i || row[i - 1] != '\\');
	return bars - 1;
}

/* /help of each command: what follows --merge-method has bars in it. */
static void help_is_a_sound_table(void **state)
{
	const struct step *answer = job_step(command_help.steps, "answer");

	(void)state;
	for (size_t i = 0; i < commands.count; i++) {
		struct job job = {.args = json_pack("{s:s}", "arg", commands.items[i]->name)};
		struct update update = {0};
		const char *row;

		answer->decide(&job, NULL, 0, &update);
		row = strstr(jval_str(update.data, "answer", ""), "\n| ");
		for (; row; row = strstr(row + 1, "\n| "))
			if (columns_of(row + 1, strcspn(row + 1, "\n")) != 2)
				fail_msg("/help %s: %.120s", commands.items[i]->name, row + 1);
		update_dispose(&update);
		job_dispose(&job);
	}
}

/* Every command's table is whole: names, sentences, an end, a help text. */
static void tables_are_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < commands.count; i++) {
		const struct command *command = commands.items[i];
		AUTO_FREE char *usage = command_usage(command);

		assert_true(str_starts(usage, "/"));
		assert_non_null(command->summary);
		assert_non_null(command->steps[0].name);
		for (const struct step *step = command->steps; step->name; step++) {
			assert_true(step->decide && step->sentence);
			assert_true(step->handles_errors ||
				    !(step->is_optional || step->is_only_asking ||
				      step->hears_the_end));
			assert_true(*step->name && strlen(step->name) < JOB_STEP_MAX);
			assert_ptr_equal(job_step(command->steps, step->name), step); /* once */
		}
		assert_ptr_equal(command_by_name(&commands, command->name), command);
	}
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[ARRAY_LEN(cases) + 3];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		tests[i] = (struct CMUnitTest){.name = cases[i].name,
					       .test_func = play,
					       .initial_state = (void *)(uintptr_t)&cases[i]};
	tests[ARRAY_LEN(cases)] =
		(struct CMUnitTest){.name = "tables are whole", .test_func = tables_are_whole};
	tests[ARRAY_LEN(cases) + 1] =
		(struct CMUnitTest){.name = "logs of one step", .test_func = logs_of_one_step};
	tests[ARRAY_LEN(cases) + 2] = (struct CMUnitTest){.name = "help is a sound table",
							  .test_func = help_is_a_sound_table};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
