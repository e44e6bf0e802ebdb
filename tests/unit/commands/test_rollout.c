/* test_rollout.c - whole rollouts through the pure core: a fake clock, GitHub and the store from a
 * script, and a small KServe that really takes what is sent. What happened is compared with
 * tests/golden/rollouts/<name of the case>.txt, whose last line is what serves in the end.
 * KFOPS_GOLDEN_WRITE=1 rewrites the files; read the difference before you commit it. */
#include "tests/unit/commands/trace_kit.h"

#include "lib/commands/rollout.h"
#include "tests/unit/core/isvc_sim.h"

static const char old_uri[] = "s3://models/run-1/", new_uri[] = "s3://models/run-2/";

enum {
	NOTHING_SERVES,
	OLD_SERVES,
	OLD_SERVES_STANDARD,
	NEW_IS_BROKEN, /* KServe says that it cannot be loaded */
	NEW_IS_SLOW,   /* KServe says nothing */
	NEW_SERVES,    /* by a deployment that a rollback can undo */
	NEW_SERVES_OLD_IS_GONE,
	NEW_IS_OPEN,	  /* with 10 % of the traffic */
	NEW_WAITS,	  /* open, too, in a second service */
	FIRST_IS_OPEN,	  /* over a service that was not deployed by us */
	BACK_AT_OLD,	  /* NEW_SERVES, and a rollback of it; before that there was another */
	SOMEBODYS_SERVES, /* NEW_SERVES, and then somebody's mark */
	TURNS_UNREADY,	  /* OLD_SERVES, and the new one is not ready when it is held */
	CHANGED_WHILE_HELD,
	WAITED_IS_GONE /* NEW_WAITS, and somebody deleted the service */
};

static const char deployed_by[] = "01JBBBBBBBBBBBBBBBBBBBBBBB";

static struct sim sim;
static int passes;

#define SHA_TEXT "9f8e7d6a1b2c3d4e5f60718293a4b5c6d7e8f901"
#define MAINTAINER                                                                                 \
	{                                                                                          \
		.effect = "github.permission",                                                     \
		.data = "{\"user_id\":7,\"pull\":true,\"push\":true,\"maintain\":true}"            \
	}
#define FACTS_BUT(changed)                                                                         \
	"{\"open\":true,\"draft\":false,\"merged\":false,\"author\":\"bob\",\"head_sha\":"         \
	"\"" SHA_TEXT "\",\"base_ref\":\"main\",\"default_branch\":\"main\",\"mergeable\":true,"   \
	"\"mergeable_state\":\"clean\",\"behind_by\":0,\"checks\":{\"complete\":true,\"passed\":"  \
	"true,\"pending\":false,\"names\":\"\"},\"method_allowed\":true,\"methods\":\"merge, "     \
	"squash\",\"merge_queue\":false,\"queue\":{\"in\":false},\"touches_workflows\":false,"     \
	"\"review\":\"none\",\"threads_open\":0,\"deployed\":[],\"is_fork\":false,\"head_ref\":"   \
	"\"five\",\"repository_id\":\"R_1\",\"approvals_needed\":0,\"held\":false" changed "}"
#define MERGE_FACTS(changed)                                                                       \
	{                                                                                          \
		.effect = "github.merge_facts", .data = FACTS_BUT(changed)                         \
	}
#define GOOD_FACTS MERGE_FACTS("")
#define DEPLOYMENT_SETTINGS(more)                                                                  \
	{                                                                                          \
		.effect = "repo.settings",                                                         \
		.data = "{\"pipeline\":{\"namespace\":\"ml\"},\"deployment\":{"                    \
			"\"inference_service_name\":\"iris\","                                     \
			"\"inference_service_function_path\":\"serve.yaml\","                      \
			"\"pre_deployment_test_sample_input_path\":\"sample.json\","               \
			"\"staging\":{\"namespace\":\"ml-stage\"},\"production\":{"                \
			"\"namespace\":\"ml-prod\"}" more "}}"                                     \
	}
#define RUN_FOUND(more)                                                                            \
	{                                                                                          \
		.effect = "store.find_run",                                                        \
		.data = "{\"id\":\"r2\",\"state\":\"SUCCEEDED\",\"pr\":7,\"sha\":\"" SHA_TEXT      \
			"\"" more "}"                                                              \
	}
#define MODEL_FOUND                                                                                \
	{                                                                                          \
		.effect = "model.find",                                                            \
		.data = "{\"uri\":\"s3://models/run-2/\",\"digest\":\"d2\",\"found\":true}"        \
	}
#define FROM_SIM(name_)                                                                            \
	{                                                                                          \
		.effect = name_                                                                    \
	}
#define ACCURACY(value)                                                                            \
	"{\"task\":\"t\",\"output\":\"m\",\"name\":\"accuracy\",\"value\":" value "}"
#define MEASURED(value)                                                                            \
	{                                                                                          \
		.effect = "model.find",                                                            \
		.data = "{\"uri\":\"s3://models/run-2/\",\"digest\":\"d2\",\"found\":true,"        \
			"\"metrics\":[" ACCURACY(value) "]}"                                       \
	}
#define SERVES_WITH(value)                                                                         \
	MERGE_FACTS(",\"live\":{\"production\":{\"metrics\":[" ACCURACY(value) "]}}")
#define WITH_METRICS                                                                               \
	{                                                                                          \
		.effect = "github.permission", .data = "{\"user_id\":7,\"pull\":true,\"push\":"    \
						       "true,\"maintain\":true,\"policy\":{"       \
						       "\"source\":\"p\",\"text\":\"metrics: { "   \
						       "accuracy: { min: 0.9, max_drop: 0.01 "     \
						       "} }\"}}"                                   \
	}
#define HELD                                                                                       \
	{                                                                                          \
		.effect = "store.turn", .data = "{\"held\":true,\"fence\":3}"                      \
	}
#define BEGUN                                                                                      \
	{                                                                                          \
		.effect = "store.deployment", .data = "{\"deployment\":1}"                         \
	}
#define ANNOUNCED                                                                                  \
	{                                                                                          \
		.effect = "github.deployment", .data = "{\"id\":9}"                                \
	}
#define SAMPLE_GOOD                                                                                \
	{                                                                                          \
		.effect = "serving.sample",                                                        \
		.data = "{\"status\":200,\"took_ms\":80,\"good\":true,\"body\":\"[1]\"}"           \
	}
#define DONE(effect_)                                                                              \
	{                                                                                          \
		.effect = effect_, .data = "{}"                                                    \
	}
#define SAMPLE_503                                                                                 \
	{                                                                                          \
		.effect = "serving.sample", .data = "{\"status\":503,\"good\":false,\"again\":"    \
						    "true,\"verdict\":\"it answered 503\"}"        \
	}
/* The service without the sample that the cluster's answer has. */
#define NO_SAMPLE                                                                                  \
	{                                                                                          \
		.effect = "repo.service", .code = "no sample"                                      \
	}
/* A look at the held model: KServe's part is that of the small one. */
#define WATCHED(data_)                                                                             \
	{                                                                                          \
		.effect = "serving.watch", .data = data_                                           \
	}
#define WATCHED_GOOD WATCHED("{\"restarts\":1,\"sample\":{\"good\":true,\"took_ms\":70}}")
#define WATCHED_BAD                                                                                \
	WATCHED("{\"restarts\":1,\"sample\":{\"good\":false,\"took_ms\":9,\"verdict\":\"it "       \
		"answers "                                                                         \
		"500\"}}")
#define HELD_DEPLOY                                                                                \
	.command = "deploy", .args = "{\"steps\":\"10,100\",\"hold\":900000,\"no-merge\":true}"
#define IN_LINE                                                                                    \
	{                                                                                          \
		.effect = "store.turn",                                                            \
		.data = "{\"held\":false,\"position\":2,\"job\":41,\"pr\":5}"                      \
	}
#define QUEUED(entry)                                                                              \
	{                                                                                          \
		.effect = "github.queue", .data = "{\"open\":true,\"merged\":false,\"head_sha\":"  \
						  "\"" SHA_TEXT "\",\"queue\":{" entry "}}"        \
	}
#define LOOKED(seen)                                                                               \
	{                                                                                          \
		.effect = "github.queue", .data = "{" seen "}"                                     \
	}
#define ENQUEUED                                                                                   \
	{                                                                                          \
		.effect = "github.enqueue", .data = "{\"queue\":{\"in\":true,\"position\":1}}"     \
	}
#define TAKES_TURN(data_)                                                                          \
	{                                                                                          \
		.effect = "store.turn", .data = data_                                              \
	}
#define KEPT_FOR_5                                                                                 \
	TAKES_TURN("{\"held\":false,\"position\":1,\"kept_pr\":5,\"keeper\":\"kim\","              \
		   "\"kept_at_ms\":1000000}")
#define HOLDER(open_)                                                                              \
	{                                                                                          \
		.effect = "github.holder", .data = "{\"holder\":5,\"open\":" open_ "}"             \
	}
#define QUEUE_FACTS MERGE_FACTS(",\"merge_queue\":true")
#define TO_QUEUE                                                                                   \
	MAINTAINER, PINNED, QUEUE_FACTS, SETTLED, RUN_FOUND(""), MODEL_FOUND,                      \
		FROM_SIM("repo.service"), HELD, MAINTAINER, QUEUE_FACTS, STARTED, SAMPLE_GOOD,     \
		SERVES
/* What people said, of which two are needed; bob (3) opened it and wrote the commit. */
#define SAID_BUT(acts, changed)                                                                    \
	{                                                                                          \
		.effect = "github.approvals",                                                      \
		.data = "{\"need\":2,\"reviews\":true,\"sha\":\"" SHA_TEXT                         \
			"\",\"environment\":\"production\",\"requester_id\":7,"                    \
			"\"pull_author_id\":3,\"open\":true,\"head_sha\":\"" SHA_TEXT              \
			"\",\"authors\":[{\"id\":3,\"name\":\"bob\",\"role\":\"author\"}],"        \
			"\"authors_known\":true,\"complete\":true,\"base_changed_at_ms\":0,"       \
			"\"acts\":[" acts "]" changed "}"                                          \
	}
#define SAID(acts) SAID_BUT(acts, "")
#define ACT(id, login, state, commit)                                                              \
	"{\"id\":" id ",\"login\":\"" login "\",\"state\":\"" state "\",\"sha\":\"" commit         \
	"\",\"may\":true,\"push\":true}"
#define KIM	   ACT("11", "kim", "APPROVED", SHA_TEXT)
#define LEE	   ACT("12", "lee", "APPROVED", SHA_TEXT)
#define LEE_BEFORE ACT("12", "lee", "APPROVED", "1111111a1b2c3d4e5f60718293a4b5c6d7e8f901")
#define TWO_NEEDED MERGE_FACTS(",\"approvals_needed\":2")
#define TO_APPROVALS                                                                               \
	MAINTAINER, PINNED, TWO_NEEDED, SETTLED, RUN_FOUND(""), MODEL_FOUND,                       \
		FROM_SIM("repo.service")
#define SETTLED	    CHECKED_OUT, DEPLOYMENT_SETTINGS("")
#define TO_SETTINGS MAINTAINER, PINNED, GOOD_FACTS, SETTLED
#define TO_MODEL    TO_SETTINGS, RUN_FOUND(""), MODEL_FOUND
#define PREPARED    TO_MODEL, FROM_SIM("repo.service")
#define STARTED	    FROM_SIM("kserve.before"), BEGUN, ANNOUNCED
#define OURS	    HELD, MAINTAINER, GOOD_FACTS, STARTED
#define SERVES	    DONE("store.deployed"), DONE("github.label"), DONE("github.deployment_status")
#define TOOK_BACK   DONE("kserve.causes"), DONE("store.deployed"), DONE("github.deployment_status")

#define OPEN_FOUND MAINTAINER, HELD, MAINTAINER, FROM_SIM("store.deployments")
#define PROMOTABLE OPEN_FOUND, MODEL_FOUND, GOOD_FACTS
#define BACK_FOUND OPEN_FOUND
#define SERVES_AGAIN                                                                               \
	DONE("store.deployed"), DONE("github.label"), DONE("github.deployment_status"),            \
		DONE("github.deployment_status")
#define OLD_MODEL                                                                                  \
	{                                                                                          \
		.effect = "model.find", .data = "{\"digest\":\"d1\",\"found\":true}"               \
	}
#define NAMED(found)                                                                               \
	MAINTAINER, HELD, MAINTAINER,                                                              \
	{                                                                                          \
		.effect = "store.deployments", .data = "{" found "}"                               \
	}

static const struct trace_case cases[] = {
	/* --- good ends --- */
	{.name = "deploy from comment to merge",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, SERVES, DONE("github.merge")}},
	{.name = "staging_deploy, the first model there is",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = NOTHING_SERVES,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, SERVES}},
	{.name = "the first model there is, and nobody wants it tried",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = NOTHING_SERVES,
	 .answers = {MAINTAINER, PINNED, GOOD_FACTS, CHECKED_OUT,
		     DEPLOYMENT_SETTINGS(",\"try_first\":false"), RUN_FOUND(""), MODEL_FOUND,
		     FROM_SIM("repo.service"), OURS, SAMPLE_GOOD, SERVES}},
	{.name = "the first model there is fails its sample",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = NOTHING_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     {.effect = "serving.sample",
		      .data = "{\"status\":500,\"good\":false,\"verdict\":\"it answers 500\"}"},
		     TOOK_BACK}},
	{.name = "a second service where traffic cannot be split",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = OLD_SERVES_STANDARD,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, SERVES}},
	{.name = "steps that are held longer than a step may take",
	 .command = "deploy",
	 .args = "{\"steps\":\"10,50,100\",\"hold\":900000,\"no-merge\":true}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, SERVES}},
	{.name = "held, with one blip",
	 HELD_DEPLOY,
	 .start = OLD_SERVES,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, WATCHED("{\"restarts\":1}"), WATCHED_GOOD,
		     WATCHED_BAD, WATCHED_GOOD, SERVES}},
	{.name = "held, with a blip at its very end",
	 HELD_DEPLOY,
	 .start = OLD_SERVES,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, WATCHED("{\"restarts\":1}"), WATCHED_GOOD,
		     WATCHED_GOOD, WATCHED_GOOD, WATCHED_BAD, WATCHED_GOOD, SERVES}},
	{.name = "held, and the sample is answered badly twice in a row",
	 HELD_DEPLOY,
	 .start = OLD_SERVES,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, WATCHED("{\"restarts\":1}"), WATCHED_GOOD,
		     WATCHED_BAD, WATCHED_BAD, TOOK_BACK}},
	{.name = "held, and a container is started anew",
	 HELD_DEPLOY,
	 .start = OLD_SERVES,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, WATCHED("{\"restarts\":1}"), WATCHED_GOOD,
		     WATCHED("{\"restarts\":2,\"restarted\":\"the container ran out of "
			     "memory\",\"sample\":{\"good\":true}}"),
		     TOOK_BACK}},
	{.name = "held, and no longer ready",
	 HELD_DEPLOY,
	 .start = TURNS_UNREADY,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, WATCHED("{}"), TOOK_BACK}},
	{.name = "held, and somebody changes the traffic",
	 HELD_DEPLOY,
	 .start = CHANGED_WHILE_HELD,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, WATCHED("{}"), TOOK_BACK}},
	{.name = "held, and the cluster may not be looked at any more",
	 HELD_DEPLOY,
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     SAMPLE_GOOD,
		     WATCHED("{}"),
		     {.effect = "serving.watch",
		      .class = ERR_DENIED,
		      .code = "kube.forbidden",
		      .message = "get inferenceservices"},
		     TOOK_BACK}},
	{.name = "held in a second service that turns bad",
	 HELD_DEPLOY,
	 .start = OLD_SERVES_STANDARD,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, WATCHED("{\"restarts\":1}"), WATCHED_BAD,
		     WATCHED_BAD, TOOK_BACK}},
	{.name = "a repository without a sample",
	 .command = "deploy",
	 .args = "{\"no-merge\":true}",
	 .start = OLD_SERVES,
	 .answers = {TO_MODEL, NO_SAMPLE, OURS, SERVES}},

	/* --- gates --- */
	{.name = "refused early: the pull request is a draft",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {MAINTAINER, PINNED, MERGE_FACTS(",\"draft\":true")}},
	{.name = "refused early: a writer may not deploy",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {ALLOWED, {.effect = "github.refusal", .data = "{\"asked\":true}"}}},
	{.name = "refused early: the head was never heard of",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {MAINTAINER, PULL(""), PULL(""), PULL(""), PULL(""), PULL(""), GOOD_FACTS}},
	{.name = "refused late: no run of this commit",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {TO_SETTINGS,
		     {.effect = "store.find_run", .class = ERR_NOT_FOUND, .message = "none"}}},
	{.name = "refused late: the run is of another commit",
	 .command = "deploy",
	 .args = "{\"run-id\":\"r2\"}",
	 .answers = {TO_SETTINGS, RUN_FOUND(",\"sha\":\"0000000\""), MODEL_FOUND,
		     FROM_SIM("repo.service")}},
	{.name = "refused late: the model lies no more where the run left it",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {TO_SETTINGS,
		     RUN_FOUND(""),
		     {.effect = "model.find",
		      .data = "{\"uri\":\"s3://models/run-2/\",\"digest\":\"e3\",\"found\":false,"
			      "\"why\":\"nothing lies at its address any more\"}"},
		     FROM_SIM("repo.service")}},
	{.name = "refused late: the model's files were changed",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {TO_SETTINGS, RUN_FOUND(",\"digest\":\"d1\""), MODEL_FOUND,
		     FROM_SIM("repo.service")}},
	{.name = "refused late: the model's files cannot be compared",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {TO_SETTINGS,
		     RUN_FOUND(",\"digest\":\"d1\""),
		     {.effect = "model.find",
		      .data = "{\"uri\":\"s3://models/run-2/\",\"digest\":\"\",\"found\":true}"},
		     FROM_SIM("repo.service")}},
	{.name = "the model's files are those of the run",
	 .command = "deploy",
	 .args = "{\"no-merge\":true}",
	 .start = OLD_SERVES,
	 .answers = {TO_SETTINGS, RUN_FOUND(",\"digest\":\"d2\""), MODEL_FOUND,
		     FROM_SIM("repo.service"), OURS, SAMPLE_GOOD, SERVES}},
	{.name = "refused late: a required check failed",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {MAINTAINER, PINNED,
		     MERGE_FACTS(",\"checks\":{\"complete\":true,\"passed\":false,\"pending\":"
				 "false,\"names\":\"lint\"}"),
		     SETTLED, RUN_FOUND(""), MODEL_FOUND, FROM_SIM("repo.service")}},
	{.name = "a branch that is behind goes on when forced",
	 .command = "deploy",
	 .args = "{\"force\":\"hotfix\"}",
	 .start = OLD_SERVES,
	 .answers = {MAINTAINER, PINNED, MERGE_FACTS(",\"behind_by\":2"), SETTLED, RUN_FOUND(""),
		     MODEL_FOUND, FROM_SIM("repo.service"), HELD, MAINTAINER,
		     MERGE_FACTS(",\"behind_by\":2"), STARTED, SAMPLE_GOOD, SERVES,
		     DONE("github.merge")}},
	{.name = "GitHub is still working out whether it can be merged",
	 .command = "deploy",
	 .args = "{\"no-merge\":false}",
	 .start = OLD_SERVES,
	 .answers = {MAINTAINER, PINNED, MERGE_FACTS(",\"mergeable\":null"), SETTLED, RUN_FOUND(""),
		     MODEL_FOUND, FROM_SIM("repo.service"), MERGE_FACTS(",\"mergeable\":null"),
		     GOOD_FACTS, OURS, SAMPLE_GOOD, SERVES, DONE("github.merge")}},
	{.name = "an environment without a namespace",
	 .command = "deploy",
	 .args = "{\"arg\":\"moon\"}",
	 .answers = {MAINTAINER, PINNED, GOOD_FACTS, CHECKED_OUT, DEPLOYMENT_SETTINGS("")}},
	{.name = "steps that shrink",
	 .command = "deploy",
	 .args = "{\"steps\":\"50,10\"}",
	 .answers = {MAINTAINER, PINNED, GOOD_FACTS, CHECKED_OUT, DEPLOYMENT_SETTINGS("")}},
	{.name = "the service of the repository is not usable",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {TO_MODEL,
		     {.effect = "repo.service",
		      .class = ERR_USER,
		      .code = "deploy.template",
		      .message = "serve.yaml: it must not set a namespace"}}},

	/* --- approvals --- */
	{.name = "two approvals are waited for",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {TO_APPROVALS, SAID(""), SAID(LEE_BEFORE "," KIM), SAID(KIM "," LEE), HELD,
		     MAINTAINER, TWO_NEEDED, SAID(KIM "," LEE), STARTED, SAMPLE_GOOD, SERVES,
		     DONE("github.merge")}},
	{.name = "approved already",
	 .command = "deploy",
	 .args = "{\"no-merge\":true}",
	 .start = OLD_SERVES,
	 .answers = {TO_APPROVALS, SAID(KIM "," LEE), HELD, MAINTAINER, TWO_NEEDED,
		     SAID(KIM "," LEE), STARTED, SAMPLE_GOOD, SERVES}},
	{.name = "changes are requested while it waits for approvals",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {TO_APPROVALS, SAID(KIM),
		     SAID(KIM "," ACT("12", "lee", "CHANGES_REQUESTED", SHA_TEXT))}},
	{.name = "a push while it waits for approvals",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {TO_APPROVALS, SAID(KIM),
		     SAID_BUT(KIM "," LEE,
			      ",\"head_sha\":\"1111111a1b2c3d4e5f60718293a4b5c6d7e8f901\"")}},
	{.name = "closed while it waits for approvals",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {TO_APPROVALS, SAID(KIM), SAID_BUT(KIM, ",\"open\":false")}},
	{.name = "an approval is taken back in line",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {TO_APPROVALS, SAID(KIM "," LEE), IN_LINE, HELD, MAINTAINER, TWO_NEEDED,
		     SAID(KIM "," ACT("12", "lee", "DISMISSED", SHA_TEXT))}},
	{.name = "approvals that do not come",
	 .command = "deploy",
	 .args = "{}",
	 .deadline_ms = 3600000,
	 .answers = {TO_APPROVALS,
		     SAID(KIM),
		     {.effect = "github.approvals",
		      .advance_ms = 3600000,
		      .data = "{\"need\":2,\"reviews\":true,\"sha\":\"" SHA_TEXT
			      "\",\"complete\":true,\"authors_known\":true,\"acts\":[],"
			      "\"base_changed_at_ms\":0}"}}},
	{.name = "a check that failed is told before approvals are waited for",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {MAINTAINER, PINNED,
		     MERGE_FACTS(",\"approvals_needed\":2,\"checks\":{\"complete\":true,"
				 "\"passed\":false,\"pending\":false,\"names\":\"lint\"}"),
		     SETTLED, RUN_FOUND(""), MODEL_FOUND, FROM_SIM("repo.service"), SAID("")}},
	{.name = "an author whom GitHub does not know",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {TO_APPROVALS, SAID_BUT(KIM "," LEE, ",\"authors\":[{\"id\":0,\"name\":\"Bob "
							 "<bob@laptop>\",\"role\":\"author\"}]")}},
	{.name = "staging asks for no approvals",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {TO_APPROVALS, HELD, MAINTAINER, TWO_NEEDED, STARTED, SAMPLE_GOOD, SERVES}},

	/* --- metrics --- */
	{.name = "a metric as good as that of what serves",
	 .command = "deploy",
	 .args = "{\"no-merge\":true}",
	 .start = OLD_SERVES,
	 .answers = {WITH_METRICS, PINNED, SERVES_WITH("0.93"), SETTLED, RUN_FOUND(""),
		     MEASURED("0.929"), FROM_SIM("repo.service"), HELD, WITH_METRICS,
		     SERVES_WITH("0.93"), STARTED, SAMPLE_GOOD, SERVES}},
	{.name = "a metric that the run recorded at its end is not asked for again",
	 .command = "deploy",
	 .args = "{\"no-merge\":true}",
	 .start = OLD_SERVES,
	 .answers = {WITH_METRICS, PINNED, SERVES_WITH("0.93"), SETTLED,
		     RUN_FOUND(",\"metrics\":[" ACCURACY("0.8") "]"), MEASURED("0.929"),
		     FROM_SIM("repo.service")}},
	{.name = "what serves got better while it stood in line",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {WITH_METRICS, PINNED, SERVES_WITH("0.93"), SETTLED, RUN_FOUND(""),
		     MEASURED("0.929"), FROM_SIM("repo.service"), IN_LINE, HELD, WITH_METRICS,
		     SERVES_WITH("0.98")}},

	/* --- standing in line --- */
	{.name = "in line behind a job, then behind a person's lock",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .deadline_ms = 3600000,
	 .answers = {PREPARED,
		     IN_LINE,
		     {.effect = "store.turn",
		      .data = "{\"held\":false,\"position\":1,\"person\":\"kim\",\"person_pr\":12,"
			      "\"reason\":\"canary `watch`\",\"locked_at_ms\":1000000,"
			      "\"until_ms\":1900000}"},
		     OURS,
		     SAMPLE_GOOD,
		     SERVES}},
	{.name = "refused after standing in line: a push came meanwhile",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED, IN_LINE, HELD, MAINTAINER,
		     MERGE_FACTS(",\"head_sha\":\"1111111a1b2c3d4e5f60718293a4b5c6d7e8f901\"")}},
	{.name = "refused after standing in line: the right is gone",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED, IN_LINE, HELD, ALLOWED}},
	{.name = "in line for longer than --wait-lock",
	 .command = "staging_deploy",
	 .args = "{\"wait-lock\":60000}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     IN_LINE,
		     {.effect = "store.turn",
		      .data = "{\"held\":false,\"position\":1,\"job\":41,\"pr\":5}",
		      .advance_ms = 60000}}},
	{.name = "cancelled in line",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     {.effect = "store.turn",
		      .data = "{\"held\":false,\"position\":2,\"job\":41,\"pr\":5}",
		      .cancel_by = "ann"}}},
	{.name = "the deadline passes in line",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .deadline_ms = 60000,
	 .answers = {PREPARED,
		     {.effect = "store.turn",
		      .data = "{\"held\":false,\"position\":2,\"job\":41,\"pr\":5}",
		      .advance_ms = 60000}}},

	/* --- taken back --- */
	{.name = "GitHub refuses the deployment",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     HELD,
		     MAINTAINER,
		     GOOD_FACTS,
		     FROM_SIM("kserve.before"),
		     BEGUN,
		     {.effect = "github.deployment",
		      .class = ERR_DENIED,
		      .message = "Resource not accessible by integration"},
		     DONE("store.deployed")}},
	{.name = "the cluster refuses it when it is tried",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     {.effect = "kserve.dry_run",
		      .class = ERR_USER,
		      .message = "admission webhook denied the request"},
		     DONE("store.deployed"),
		     DONE("github.deployment_status")}},
	{.name = "somebody changes the service while it is tried",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     {.effect = "kserve.dry_run", .class = ERR_CONFLICT, .message = "changed"},
		     FROM_SIM("kserve.dry_run"),
		     SAMPLE_GOOD,
		     SERVES}},
	{.name = "other files in the model's place right before it is loaded",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     {.effect = "model.look", .data = "{\"digest\":\"e9\"}"},
		     DONE("store.deployed"),
		     DONE("github.deployment_status")}},
	{.name = "other files in the model's place while it was loaded",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     {.effect = "model.look", .data = "{\"digest\":\"d2\"}"},
		     SAMPLE_GOOD,
		     {.effect = "model.look", .data = "{\"digest\":\"\"}"},
		     TOOK_BACK}},
	{.name = "other files in the model's place when the real service loads it",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES_STANDARD,
	 .answers = {PREPARED,
		     OURS,
		     {.effect = "model.look", .data = "{\"digest\":\"d2\"}"},
		     SAMPLE_GOOD,
		     {.effect = "model.look", .data = "{\"digest\":\"d2\"}"},
		     {.effect = "model.look", .data = "{\"digest\":\"e9\"}"},
		     TOOK_BACK}},
	{.name = "a model that must not be looked at any more",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     {.effect = "model.look", .class = ERR_DENIED, .message = "Access Denied"},
		     DONE("store.deployed"),
		     DONE("github.deployment_status")}},
	{.name = "a model that cannot be loaded",
	 .command = "deploy",
	 .args = "{}",
	 .start = NEW_IS_BROKEN,
	 .answers =
		 {PREPARED,
		  OURS,
		  {.effect = "kserve.causes",
		   .data = "{\"cause\":\"the pod was killed: out of memory\",\"log\":\"Killed\"}"},
		  DONE("store.deployed"),
		  DONE("github.deployment_status")}},
	{.name = "a model that is never ready",
	 .command = "deploy",
	 .args = "{}",
	 .start = NEW_IS_SLOW,
	 .answers = {PREPARED,
		     OURS,
		     {.effect = "kserve.causes",
		      .data = "{\"cause\":\"no node has room for the pod\"}"},
		     DONE("store.deployed"),
		     DONE("github.deployment_status")}},
	{.name = "a model that is never ready, and pods that cannot be asked",
	 .command = "deploy",
	 .args = "{}",
	 .start = NEW_IS_SLOW,
	 .answers = {PREPARED,
		     OURS,
		     {.effect = "kserve.causes", .class = ERR_TRANSIENT, .message = "no answer"},
		     DONE("store.deployed"),
		     {.effect = "github.deployment_status",
		      .class = ERR_TRANSIENT,
		      .message = "no answer"}}},
	{.name = "the sample is refused",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     {.effect = "serving.sample",
		      .data = "{\"status\":400,\"took_ms\":9,\"good\":false,\"body\":\"{}\","
			      "\"verdict\":\"it answered 400\"}"},
		     TOOK_BACK}},
	{.name = "the sample gets 503, then an answer",
	 .command = "deploy",
	 .args = "{\"no-merge\":true}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED, OURS, SAMPLE_503, SAMPLE_503, SAMPLE_GOOD, SERVES}},
	{.name = "the sample gets 503 for too long",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     SAMPLE_503,
		     {.effect = "serving.sample",
		      .data = "{\"status\":503,\"again\":true,\"good\":false,\"verdict\":\"it "
			      "answered 503\"}",
		      .advance_ms = 60000},
		     TOOK_BACK}},
	{.name = "nobody answers the sample",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     {.effect = "serving.sample",
		      .class = ERR_TRANSIENT,
		      .code = "serving.down",
		      .message = "cannot connect"},
		     {.effect = "serving.sample",
		      .class = ERR_TRANSIENT,
		      .code = "serving.down",
		      .message = "cannot connect",
		      .advance_ms = 60000},
		     TOOK_BACK}},
	{.name = "cancelled while it loads",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     {.effect = "kserve.send", .cancel_by = "ann"},
		     DONE("store.deployed"),
		     DONE("github.deployment_status")}},
	{.name = "cancelled between two steps of the traffic",
	 .command = "deploy",
	 .args = "{\"steps\":\"10,50,100\",\"hold\":900000}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     SAMPLE_GOOD,
		     FROM_SIM("kserve.send"),
		     {.effect = "kserve.send", .cancel_by = "ann"},
		     DONE("store.deployed"),
		     DONE("github.deployment_status")}},
	{.name = "the deadline passes while a step is held",
	 .command = "deploy",
	 .args = "{\"steps\":\"10,50,100\",\"hold\":900000}",
	 .start = OLD_SERVES,
	 .deadline_ms = 600000,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, TOOK_BACK}},
	{.name = "somebody deletes the service in the middle",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     SAMPLE_GOOD,
		     {.effect = "kserve.look", .data = "{\"seen\":true}"},
		     {.effect = "kserve.causes", .data = "{}"},
		     {.effect = "kserve.look", .data = "{\"seen\":true}"},
		     DONE("store.deployed"),
		     DONE("github.deployment_status")}},

	/* --- the records, and the merge --- */
	{.name = "a label and a status that GitHub refuses are noted",
	 .command = "deploy",
	 .args = "{\"no-merge\":true}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     SAMPLE_GOOD,
		     DONE("store.deployed"),
		     {.effect = "github.label", .class = ERR_DENIED, .message = "not allowed"},
		     {.effect = "github.deployment_status",
		      .class = ERR_TRANSIENT,
		      .message = "no answer"}}},
	{.name = "the head moved before the merge",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     SAMPLE_GOOD,
		     SERVES,
		     {.effect = "github.merge",
		      .class = ERR_CONFLICT,
		      .code = "merge.moved",
		      .message = "the head is another"}}},
	{.name = "GitHub refuses the merge",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     OURS,
		     SAMPLE_GOOD,
		     SERVES,
		     {.effect = "github.merge",
		      .class = ERR_USER,
		      .message = "Pull Request is not mergeable"}}},

	/* --- the merge queue --- */
	{.name = "through the merge queue",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {TO_QUEUE, ENQUEUED,
		     QUEUED("\"in\":true,\"position\":2,\"state\":\"awaiting_checks\""),
		     QUEUED("\"in\":true,\"position\":1,\"state\":\"mergeable\""),
		     LOOKED("\"open\":false,\"merged\":true,\"head_sha\":\"" SHA_TEXT
			    "\",\"queue\":{\"in\":false}")}},
	{.name = "thrown out of the merge queue",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {TO_QUEUE, ENQUEUED, QUEUED("\"in\":false"),
		     QUEUED("\"in\":true,\"position\":1,\"state\":\"locked\""),
		     QUEUED("\"in\":false,\"removed_at\":\"2026-11-28T10:00:00Z\",\"reason\":"
			    "\"ci_failure\""),
		     QUEUED("\"in\":false,\"removed_at\":\"2026-11-28T10:00:00Z\",\"reason\":"
			    "\"ci_failure\""),
		     QUEUED("\"in\":false,\"removed_at\":\"2026-11-28T10:00:00Z\",\"reason\":"
			    "\"ci_failure\"")}},
	{.name = "the head moves while it is in the merge queue",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {TO_QUEUE, ENQUEUED,
		     LOOKED("\"open\":true,\"merged\":false,\"head_sha\":\"1111\",\"queue\":{"
			    "\"in\":false}")}},
	{.name = "closed while it is in the merge queue",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {TO_QUEUE, ENQUEUED,
		     LOOKED("\"open\":false,\"merged\":false,\"head_sha\":\"" SHA_TEXT
			    "\",\"queue\":{\"in\":false}")}},
	{.name = "the merge queue does not take it",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {TO_QUEUE,
		     {.effect = "github.enqueue",
		      .class = ERR_USER,
		      .code = "merge.refused",
		      .message = "Pull request Required workflow \"x\" is not satisfied"}}},
	{.name = "closed before it gets into the merge queue",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {TO_QUEUE,
		     {.effect = "github.enqueue",
		      .class = ERR_USER,
		      .code = "merge.closed",
		      .message = "the pull request is closed"}}},
	{.name = "in the merge queue for too long",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {TO_QUEUE,
		     ENQUEUED,
		     QUEUED("\"in\":true,\"position\":1,\"state\":\"queued\""),
		     {.effect = "github.queue",
		      .data = "{\"open\":true,\"head_sha\":\"" SHA_TEXT
			      "\",\"queue\":{\"in\":true}}",
		      .advance_ms = 6 * 3600 * 1000}}},
	{.name = "cancelled in the merge queue",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {TO_QUEUE,
		     ENQUEUED,
		     {.effect = "github.queue",
		      .data = "{\"open\":true,\"head_sha\":\"" SHA_TEXT
			      "\",\"queue\":{\"in\":true,\"position\":1}}",
		      .cancel_by = "ann"},
		     DONE("github.dequeue"),
		     QUEUED("\"in\":false")}},
	{.name = "cancelled in the merge queue, and merged all the same",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {TO_QUEUE,
		     ENQUEUED,
		     {.effect = "github.queue",
		      .data = "{\"open\":true,\"head_sha\":\"" SHA_TEXT
			      "\",\"queue\":{\"in\":true,\"position\":1}}",
		      .cancel_by = "ann"},
		     {.effect = "github.dequeue",
		      .class = ERR_USER,
		      .message = "Pull request is not in the merge queue"},
		     LOOKED("\"open\":false,\"merged\":true,\"head_sha\":\"" SHA_TEXT "\"")}},

	/* --- rules of the branch --- */
	{.name = "refused late: a review is required",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {MAINTAINER, PINNED,
		     MERGE_FACTS(",\"review\":\"review_required\",\"mergeable_state\":"
				 "\"blocked\""),
		     SETTLED, RUN_FOUND(""), MODEL_FOUND, FROM_SIM("repo.service")}},
	{.name = "refused late: GitHub blocks it and does not say why",
	 .command = "deploy",
	 .args = "{}",
	 .answers = {MAINTAINER, PINNED,
		     MERGE_FACTS(",\"mergeable_state\":\"blocked\",\"other_rules\":"
				 "\"required_signatures\""),
		     SETTLED, RUN_FOUND(""), MODEL_FOUND, FROM_SIM("repo.service"),
		     MERGE_FACTS(",\"mergeable_state\":\"blocked\""),
		     MERGE_FACTS(",\"mergeable_state\":\"blocked\"")}},
	{.name = "the rules wait for this deployment",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {MAINTAINER, PINNED,
		     MERGE_FACTS(",\"mergeable_state\":\"blocked\",\"deployments_required\":["
				 "\"production\"]"),
		     SETTLED, RUN_FOUND(""), MODEL_FOUND, FROM_SIM("repo.service"), HELD,
		     MAINTAINER,
		     MERGE_FACTS(",\"mergeable_state\":\"blocked\",\"deployments_required\":["
				 "\"production\"]"),
		     STARTED, SAMPLE_GOOD, SERVES, DONE("github.merge")}},
	{.name = "a branch that must be up to date is not forced",
	 .command = "deploy",
	 .args = "{\"force\":\"hotfix\"}",
	 .answers = {MAINTAINER, PINNED,
		     MERGE_FACTS(",\"behind_by\":2,\"mergeable_state\":\"behind\""), SETTLED,
		     RUN_FOUND(""), MODEL_FOUND, FROM_SIM("repo.service")}},
	{.name = "the base moves while it stands in line",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED, IN_LINE, HELD, MAINTAINER, MERGE_FACTS(",\"behind_by\":1")}},

	/* --- the branch that is left --- */
	{.name = "the branch is deleted after the merge",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {MAINTAINER, PINNED, GOOD_FACTS, CHECKED_OUT,
		     DEPLOYMENT_SETTINGS(",\"delete_branch\":true"), RUN_FOUND(""), MODEL_FOUND,
		     FROM_SIM("repo.service"), OURS, SAMPLE_GOOD, SERVES, DONE("github.merge"),
		     DONE("github.branch")}},
	{.name = "somebody pushed to the branch after the merge",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {MAINTAINER,
		     PINNED,
		     GOOD_FACTS,
		     CHECKED_OUT,
		     DEPLOYMENT_SETTINGS(",\"delete_branch\":true"),
		     RUN_FOUND(""),
		     MODEL_FOUND,
		     FROM_SIM("repo.service"),
		     OURS,
		     SAMPLE_GOOD,
		     SERVES,
		     DONE("github.merge"),
		     {.effect = "github.branch",
		      .data = "{\"why\":\"somebody has pushed to it\"}"}}},
	{.name = "the default branch is not deleted",
	 .command = "deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {MAINTAINER, PINNED, MERGE_FACTS(",\"head_ref\":\"main\""), CHECKED_OUT,
		     DEPLOYMENT_SETTINGS(",\"delete_branch\":true"), RUN_FOUND(""), MODEL_FOUND,
		     FROM_SIM("repo.service"), HELD, MAINTAINER,
		     MERGE_FACTS(",\"head_ref\":\"main\""), STARTED, SAMPLE_GOOD, SERVES,
		     DONE("github.merge")}},

	/* --- an environment that stays with a pull request --- */
	{.name = "in line for what stays with another pull request",
	 .command = "staging_deploy",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED, KEPT_FOR_5, HOLDER("true"), KEPT_FOR_5, HOLDER("false"),
		     DONE("store.holder_free"), OURS, SAMPLE_GOOD, SERVES}},
	{.name = "unlock of what stayed with a pull request",
	 .command = "unlock",
	 .args = "{\"arg\":\"staging\"}",
	 .answers = {MAINTAINER,
		     {.effect = "store.unlock",
		      .data = "{\"was\":{\"kept_pr\":5,\"keeper\":\"kim\",\"kept_at_ms\":"
			      "1000000}}"}}},
	{.name = "status of what stays with a pull request",
	 .command = "status",
	 .args = "{}",
	 .answers = {ALLOWED,
		     {.effect = "store.environments",
		      .data = "{\"live\":[],\"lines\":[{\"environment\":\"staging\",\"waiting\":"
			      "[44],\"kept_pr\":5,\"keeper\":\"kim\",\"kept_at_ms\":500000}]}"},
		     {.effect = "store.jobs", .data = "{\"jobs\":[]}"}}},

	/* --- plan --- */
	{.name = "plan where all is well",
	 .command = "plan",
	 .args = "{\"steps\":\"10,50,100\",\"hold\":900000}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED}},
	{.name = "plan where a deployment is open",
	 .command = "plan",
	 .args = "{}",
	 .start = NEW_IS_OPEN,
	 .answers = {PREPARED}},
	{.name = "plan of a draft without a run",
	 .command = "plan",
	 .args = "{}",
	 .start = OLD_SERVES,
	 .answers = {MAINTAINER,
		     PINNED,
		     MERGE_FACTS(",\"draft\":true,\"mergeable\":null"),
		     SETTLED,
		     {.effect = "store.find_run", .class = ERR_NOT_FOUND, .message = "none"}}},
	{.name = "plan of a cluster that does not answer",
	 .command = "plan",
	 .args = "{\"arg\":\"staging\"}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED,
		     {.effect = "kserve.look", .class = ERR_DENIED, .message = "forbidden"}}},

	/* --- left open, and promoted --- */
	{.name = "steps that end below 100 leave it open",
	 .command = "deploy",
	 .args = "{\"steps\":\"10\"}",
	 .start = OLD_SERVES,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, DONE("store.deployed"),
		     DONE("github.deployment_status")}},
	{.name = "steps that end below 100 where traffic cannot be split",
	 .command = "deploy",
	 .args = "{\"steps\":\"10\"}",
	 .start = OLD_SERVES_STANDARD,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, DONE("store.deployed"),
		     DONE("github.deployment_status")}},
	{.name = "the first model there is gets all traffic whatever the steps",
	 .command = "deploy",
	 .args = "{\"steps\":\"10\"}",
	 .start = NOTHING_SERVES,
	 .answers = {PREPARED, OURS, SAMPLE_GOOD, SERVES, DONE("github.merge")}},
	{.name = "promote to the end, with the merge",
	 .command = "promote",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_IS_OPEN,
	 .answers = {PROMOTABLE, SAMPLE_GOOD, SERVES, DONE("github.merge")}},
	{.name = "promote to half",
	 .command = "promote",
	 .args = "{\"arg\":\"production\",\"to\":50}",
	 .start = NEW_IS_OPEN,
	 .answers = {PROMOTABLE, SAMPLE_GOOD, DONE("store.deployed"),
		     DONE("github.deployment_status")}},
	{.name = "promote what waits in a second service",
	 .command = "promote",
	 .args = "{\"arg\":\"production\",\"no-merge\":true}",
	 .start = NEW_WAITS,
	 .answers = {PROMOTABLE, SAMPLE_GOOD, SERVES}},
	{.name = "promote to half what waits in a second service",
	 .command = "promote",
	 .args = "{\"arg\":\"production\",\"to\":50}",
	 .start = NEW_WAITS,
	 .answers = {OPEN_FOUND}},
	{.name = "promote to no more than it has",
	 .command = "promote",
	 .args = "{\"arg\":\"production\",\"to\":10}",
	 .start = NEW_IS_OPEN,
	 .answers = {OPEN_FOUND}},
	{.name = "promote to more than there is",
	 .command = "promote",
	 .args = "{\"arg\":\"production\",\"to\":200}",
	 .start = NEW_IS_OPEN,
	 .answers = {OPEN_FOUND}},
	{.name = "promote with nothing open",
	 .command = "promote",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_SERVES,
	 .answers = {OPEN_FOUND}},
	{.name = "promote what another pull request left open",
	 .command = "promote",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_IS_OPEN,
	 .answers = {MAINTAINER,
		     HELD,
		     MAINTAINER,
		     {.effect = "store.deployments",
		      .data = "{\"open\":{\"pr\":12,\"sha\":\"2222222\",\"percent\":10}}"}}},
	{.name = "promote after a push: the merge would take more than was tried",
	 .command = "promote",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_IS_OPEN,
	 .answers = {OPEN_FOUND, MODEL_FOUND,
		     MERGE_FACTS(",\"head_sha\":\"1111111a1b2c3d4e5f60718293a4b5c6d7e8f901\"")}},
	{.name = "promote what was merged by hand",
	 .command = "promote",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_IS_OPEN,
	 .answers = {OPEN_FOUND, MODEL_FOUND,
		     MERGE_FACTS(",\"open\":false,\"merged\":true,\"mergeable\":null"), SAMPLE_GOOD,
		     SERVES}},
	{.name = "promote when a required check fails by now",
	 .command = "promote",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_IS_OPEN,
	 .answers = {OPEN_FOUND, MODEL_FOUND,
		     MERGE_FACTS(",\"checks\":{\"complete\":true,\"passed\":false,\"pending\":"
				 "false,\"names\":\"lint\"}")}},
	{.name = "promote when the model's files were changed",
	 .command = "promote",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_IS_OPEN,
	 .answers = {OPEN_FOUND,
		     {.effect = "model.find", .data = "{\"digest\":\"e3\",\"found\":true}"}}},
	{.name = "promote when the service was deleted",
	 .command = "promote",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_IS_OPEN,
	 .answers = {OPEN_FOUND,
		     MODEL_FOUND,
		     GOOD_FACTS,
		     {.effect = "kserve.look", .data = "{\"seen\":true}"},
		     DONE("kserve.causes"),
		     {.effect = "kserve.look", .data = "{\"seen\":true}"},
		     DONE("store.deployed"),
		     DONE("github.deployment_status")}},
	{.name = "promote what waited on a service that was deleted",
	 .command = "promote",
	 .args = "{\"arg\":\"production\"}",
	 .start = WAITED_IS_GONE,
	 .answers = {PROMOTABLE, TOOK_BACK}},
	{.name = "rollback of what waited on a service that was deleted",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\"}",
	 .start = WAITED_IS_GONE,
	 .answers = {BACK_FOUND, TOOK_BACK}},
	{.name = "deploy where what waited lost its service",
	 .command = "deploy",
	 .args = "{\"no-merge\":true}",
	 .start = WAITED_IS_GONE,
	 .answers = {PREPARED, OURS, DONE("store.deployed"), DONE("github.deployment_status"),
		     SAMPLE_GOOD, SERVES}},
	{.name = "deploy where GitHub does not close what is gone",
	 .command = "deploy",
	 .args = "{\"no-merge\":true}",
	 .start = WAITED_IS_GONE,
	 .answers = {PREPARED,
		     OURS,
		     DONE("store.deployed"),
		     {.effect = "github.deployment_status",
		      .class = ERR_DENIED,
		      .message = "not allowed"},
		     {.effect = "kserve.send", .class = ERR_DENIED, .message = "delete"},
		     SAMPLE_GOOD,
		     SERVES}},
	{.name = "promote whose sample is refused",
	 .command = "promote",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_IS_OPEN,
	 .answers = {PROMOTABLE,
		     {.effect = "serving.sample",
		      .data = "{\"status\":400,\"took_ms\":9,\"good\":false,\"body\":\"{}\","
			      "\"verdict\":\"it answered 400\"}"},
		     TOOK_BACK}},
	{.name = "promote that is cancelled before anything was changed",
	 .command = "promote",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_IS_OPEN,
	 .answers = {PROMOTABLE,
		     {.effect = "serving.sample",
		      .data = "{\"status\":200,\"took_ms\":80,\"good\":true,\"body\":\"[1]\"}",
		      .cancel_by = "ann"}}},
	{.name = "promote that is cancelled on its way",
	 .command = "promote",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_IS_OPEN,
	 .answers = {PROMOTABLE,
		     SAMPLE_GOOD,
		     {.effect = "kserve.send", .cancel_by = "ann"},
		     DONE("store.deployed"),
		     DONE("github.deployment_status")}},

	/* --- rollback --- */
	{.name = "rollback",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_SERVES,
	 .answers = {BACK_FOUND, BEGUN, SERVES_AGAIN}},
	{.name = "rollback of what was left open",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_IS_OPEN,
	 .answers = {BACK_FOUND, BEGUN, DONE("store.deployed"), DONE("github.deployment_status")}},
	{.name = "rollback of what waits in a second service",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_WAITS,
	 .answers = {BACK_FOUND, BEGUN, DONE("store.deployed"), DONE("github.deployment_status")}},
	{.name = "rollback of what was left open over a service of others",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\"}",
	 .start = FIRST_IS_OPEN,
	 .answers = {BACK_FOUND, BEGUN, DONE("store.deployed"), DONE("github.deployment_status")}},
	{.name = "rollback after a rollback: the model before is rolled out anew",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\"}",
	 .start = BACK_AT_OLD,
	 .answers = {BACK_FOUND, MODEL_FOUND, FROM_SIM("kserve.before"), BEGUN, SAMPLE_GOOD,
		     SERVES_AGAIN}},
	{.name = "rollback to a deployment by its number",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\",\"to\":1}",
	 .start = NEW_SERVES,
	 .answers = {BACK_FOUND, OLD_MODEL, FROM_SIM("kserve.before"), BEGUN, SAMPLE_GOOD,
		     SERVES_AGAIN}},
	{.name = "rollback to a deployment whose sample is refused by now",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\",\"to\":1}",
	 .start = NEW_SERVES,
	 .answers = {BACK_FOUND,
		     OLD_MODEL,
		     FROM_SIM("kserve.before"),
		     BEGUN,
		     {.effect = "serving.sample",
		      .data = "{\"status\":400,\"took_ms\":9,\"good\":false,\"body\":\"{}\","
			      "\"verdict\":\"it answered 400\"}"},
		     DONE("kserve.causes"),
		     DONE("store.deployed")}},
	{.name = "rollback to a deployment whose files are gone",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\",\"to\":1}",
	 .start = NEW_SERVES,
	 .answers = {BACK_FOUND, {.effect = "model.find", .data = "{\"found\":false}"}}},
	{.name = "rollback to a number that nobody made",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\",\"to\":9}",
	 .answers = {NAMED("\"live\":{\"id\":2}")}},
	{.name = "rollback to a number while something is open",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\",\"to\":1}",
	 .start = NEW_IS_OPEN,
	 .answers = {BACK_FOUND, OLD_MODEL, FROM_SIM("kserve.before")}},
	{.name = "rollback to a number of another environment",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\",\"to\":9}",
	 .answers = {NAMED("\"named\":{\"id\":9,\"environment\":\"staging\"}")}},
	{.name = "rollback to the one that serves",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\",\"to\":9}",
	 .answers = {NAMED(
		 "\"named\":{\"id\":9,\"environment\":\"production\",\"state\":\"live\"}")}},
	{.name = "rollback to one that failed",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\",\"to\":9}",
	 .answers = {NAMED(
		 "\"named\":{\"id\":9,\"environment\":\"production\",\"state\":\"failed\"}")}},
	{.name = "rollback of what somebody else changed",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\"}",
	 .start = SOMEBODYS_SERVES,
	 .answers = {BACK_FOUND}},
	{.name = "rollback with nothing to go back to",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_SERVES,
	 .answers = {NAMED("\"live\":{\"id\":2}")}},
	{.name = "rollback that is never ready",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_SERVES_OLD_IS_GONE,
	 .answers = {BACK_FOUND, BEGUN, DONE("store.deployed")}},
	{.name = "rollback that the cluster refuses",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_SERVES,
	 .answers = {BACK_FOUND,
		     BEGUN,
		     {.effect = "kserve.send", .class = ERR_DENIED, .message = "forbidden"},
		     DONE("store.deployed")}},
	{.name = "rollback whose label and status are refused",
	 .command = "rollback",
	 .args = "{\"arg\":\"production\"}",
	 .start = NEW_SERVES,
	 .answers = {BACK_FOUND,
		     BEGUN,
		     DONE("store.deployed"),
		     {.effect = "github.label", .class = ERR_DENIED, .message = "not allowed"},
		     {.effect = "github.deployment_status",
		      .class = ERR_DENIED,
		      .message = "not allowed"},
		     {.effect = "github.deployment_status",
		      .class = ERR_DENIED,
		      .message = "not allowed"}}},

	/* --- status --- */
	{.name = "status of two environments",
	 .command = "status",
	 .args = "{}",
	 .answers =
		 {ALLOWED,
		  {.effect = "store.environments",
		   .data = "{\"earlier\":[{\"id\":3,\"environment\":\"production\",\"sha\":"
			   "\"2222222a\",\"pr\":4},"
			   "{\"id\":1,\"environment\":\"production\",\"sha\":\"1111111a\",\"pr\":2}"
			   "],"
			   "\"live\":[{\"id\":5,\"state\":\"live\",\"environment\":\"production\","
			   "\"sha\":\"" SHA_TEXT
			   "\",\"pr\":7,\"run_id\":\"r2\",\"actor\":\"ann\",\"percent\":100,"
			   "\"ended_at_ms\":400000}],\"lines\":[{\"environment\":\"production\","
			   "\"waiting\":[44,45],\"job\":41,\"pr\":5,\"actor\":\"bob\",\"person\":"
			   "\"kim\",\"person_pr\":12,\"reason\":\"canary | `watch` @all\","
			   "\"locked_at_ms\":500000,\"until_ms\":4600000},{\"environment\":"
			   "\"staging\",\"waiting\":[],\"job\":46,\"pr\":8}]}"},
		  {.effect = "store.jobs",
		   .data = "{\"jobs\":[{\"id\":41,\"pr\":5,\"command\":\"deploy\",\"state\":"
			   "\"parked\",\"step\":\"stage\",\"sha\":\"1111111a\",\"actor\":\"bob\","
			   "\"created_at_ms\":900000}]}"}}},
	{.name = "status where nothing was ever deployed",
	 .command = "status",
	 .args = "{}",
	 .answers = {ALLOWED,
		     {.effect = "store.environments", .data = "{\"live\":[],\"lines\":[]}"},
		     {.effect = "store.jobs", .data = "{\"jobs\":[]}"}}},
	{.name = "status of an environment that nobody is at",
	 .command = "status",
	 .args = "{}",
	 .answers = {ALLOWED,
		     {.effect = "store.environments",
		      .data = "{\"live\":[{\"id\":4,\"state\":\"open\",\"percent\":25,"
			      "\"environment\":\"staging\",\"sha\":\"" SHA_TEXT
			      "\",\"pr\":7,\"run_id\":\"r2\",\"actor\":\"ann\",\"percent\":100,"
			      "\"ended_at_ms\":400000}],\"lines\":[]}"},
		     {.effect = "store.jobs", .data = "{\"jobs\":[]}"}}},

	/* --- locks --- */
	{.name = "lock for a time",
	 .command = "lock",
	 .args = "{\"arg\":\"production\",\"reason\":\"watch\",\"for\":3600000}",
	 .answers = {MAINTAINER, {.effect = "store.lock", .data = "{\"until_ms\":4600000}"}}},
	{.name = "lock until unlocked",
	 .command = "lock",
	 .args = "{\"arg\":\"production\"}",
	 .answers = {MAINTAINER, DONE("store.lock")}},
	{.name = "unlock",
	 .command = "unlock",
	 .args = "{\"arg\":\"production\",\"force\":true}",
	 .answers = {MAINTAINER,
		     {.effect = "store.unlock",
		      .data = "{\"was\":{\"person\":\"kim\",\"person_pr\":12,\"locked_at_ms\":"
			      "1000000,\"reason\":\"`x` @all\"}}"}}},
};

/* --- the far side --- */

static json_t *object_of(const char *uri, const char *by)
{
	AUTO_JSON json_t *template =
		json_pack("{s:s,s:s,s:{s:{s:i,s:{s:{s:s}}}}}", "apiVersion",
			  "serving.kserve.io/v1beta1", "kind", "InferenceService", "spec",
			  "predictor", "minReplicas", 1, "model", "modelFormat", "name", "sklearn");
	const json_t *documents[] = {template};
	struct isvc_wish wish = {"iris", "ml-prod", uri, {by, NULL, "run", "sha", "o/r"}};
	json_t *object = NULL;
	struct err err = {0};

	assert_int_equal(isvc_build(&object, documents, 1, &wish, &err), ERR_OK);
	if (!sim.knative)
		jval_set_str(jval_at(object, "metadata.annotations"),
			     "serving.kserve.io/deploymentMode", "Standard");
	return object;
}

/* The deployment that a rollback undoes or a promotion brings further, made by the planner itself.
 */
static struct {
	json_t *wanted, *before;
} undone;

static json_t *before_of(const json_t *args, struct err *err)
{
	const json_t *wanted = json_object_get(args, "wanted");
	struct isvc_rules rules = {.other_over = true,
				   .test_first = jval_bool(args, "try_first", false)};
	json_t *data = json_object(), *before = NULL;

	if (isvc_before(&before, sim.live.object, sim.second.object, wanted, &rules, err))
		return data;
	jval_set(data, "before", before);
	jval_set(data, "wanted", json_deep_copy(wanted));
	if (undone.before && isvc_is_gone(undone.before, sim.live.object))
		jval_set(data, "gone",
			 json_pack("{s:i,s:i,s:i,s:s,s:O}", "id", 2, "job", 33, "remote_id", 9,
				   "uid", deployed_by, "before", undone.before));
	return data;
}

static json_t *look(void)
{
	json_t *data = json_object();

	jval_set_bool(data, "seen", true);
	if (sim.live.object)
		jval_set(data, "live", json_deep_copy(sim.live.object));
	if (sim.second.object)
		jval_set(data, "second", json_deep_copy(sim.second.object));
	return data;
}

/* What a look at a held model brings; what the script says of pods and sample goes before. */
static json_t *watched(const struct player *player, const struct effect *effect)
{
	json_t *data = look(), *ready;
	int start = player->script->start;
	size_t i;

	if (start == CHANGED_WHILE_HELD && jval_at(effect->args, "sample"))
		jval_set_int(jval_at(data, "live.spec.predictor"), "canaryTrafficPercent", 40);
	json_array_foreach(jval_at(data, "live.status.conditions"), i,
			   ready) if (start == TURNS_UNREADY && jval_at(effect->args, "sample"))
		jval_set_str(ready, "status", "False");
	jval_set_int(data, "restarts", 0);
	if (jval_at(effect->args, "sample"))
		jval_set(data, "sample", json_pack("{s:b,s:i}", "good", 1, "took_ms", 80));
	return data;
}

static void take_move(const json_t *args)
{
	static const char *const verbs[] = {"create", "patch", "delete"};
	struct isvc_request request = {.body = json_object_get(args, "body")};

	str_copy(request.name, sizeof request.name, jval_str(args, "name", ""));
	while (!str_eq(verbs[request.verb], jval_str(args, "verb", "")))
		request.verb++;
	sim_send(&sim, &request);
}

static const char first_deployed_by[] = "01JAAAAAAAAAAAAAAAAAAAAAAA";

static bool is_open_at(int start)
{
	return start == NEW_IS_OPEN || start == NEW_WAITS || start == FIRST_IS_OPEN ||
	       start == WAITED_IS_GONE;
}

static json_t *new_deployment(int start)
{
	return json_pack(
		"{s:i,s:s,s:i,s:s,s:i,s:s,s:i,s:s,s:s,s:s,s:s,s:s,s:i,s:O,s:O,s:{s:b,s:s,s:"
		"[{s:[i]}]}}",
		"id", 2, "uid", deployed_by, "pr", 7, "sha", sha, "remote_id", 9, "state",
		is_open_at(start) ? "open" : "live", "job", 33, "run_id", "r2", "namespace",
		"ml-prod", "service", "iris", "storage_uri", new_uri, "model_digest", "d2",
		"percent",
		start == NEW_WAITS || start == WAITED_IS_GONE ? 0
		: is_open_at(start)			      ? 10
							      : 100,
		"before", undone.before, "template", undone.wanted, "plan", "merges", 1, "method",
		"squash", "samples", "instances", 1);
}

static json_t *old_deployment(const char *state)
{
	return json_pack(
		"{s:i,s:s,s:i,s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:s,s:i,s:o,s:{},s:{s:[{s:[i]}]}}", "id",
		1, "uid", first_deployed_by, "pr", 5, "sha",
		"1111111a1b2c3d4e5f60718293a4b5c6d7e8f901", "environment", "production", "state",
		state, "remote_id", 8, "namespace", "ml-prod", "service", "iris", "storage_uri",
		old_uri, "model_digest", "d1", "percent", 100, "template",
		object_of(old_uri, first_deployed_by), "before", "plan", "samples", "instances", 1);
}

/* A rollback from the new one to the old one has been; the one before is of the same model as the
 * new one, so that the two traffics are told apart. */
static json_t *found_after_a_rollback(void)
{
	json_t *older = new_deployment(NEW_SERVES);

	jval_set_int(older, "id", 0);
	jval_set_str(older, "state", "replaced");
	jval_set_str(older, "uid", "01J99999999999999999999999");
	return json_pack("{s:o,s:o,s:i}", "live", old_deployment("live"), "before", older, "marked",
			 5);
}

static json_t *deployments_found(const struct effect *effect, int start)
{
	json_t *found = json_object();
	bool named = jval_int(effect->args, "to", 0) != 0;

	if (start == BACK_AT_OLD) {
		json_decref(found);
		return found_after_a_rollback();
	}
	jval_set(found, is_open_at(start) ? "open" : "live", new_deployment(start));
	if (start == NEW_IS_OPEN || start == NEW_WAITS || start == WAITED_IS_GONE)
		jval_set(found, "live", old_deployment("live"));
	if (start != FIRST_IS_OPEN)
		jval_set(found, named ? "named" : "before", old_deployment("replaced"));
	jval_set_int(found, "marked", 0);
	return found;
}

static json_t *service_made(const struct player *player)
{
	const struct answer *script = &player->script->answers[player->next_answer - 1];
	json_t *made = json_pack("{s:o,s:{s:b}}", "wanted", object_of(new_uri, player->job.uid),
				 "fits", "fits", 1);

	if (!str_eq(script->code, "no sample"))
		jval_set(made, "samples", json_pack("[{s:[i]}]", "instances", 1));
	return made;
}

static bool cluster_answers(struct player *player, const struct effect *effect)
{
	AUTO_JSON json_t *scripted = player->result.data; /* of a look at a held model */
	json_t *data = NULL;

	if (effect->kind == EFFECT_SERVICE_MAKE)
		data = service_made(player);
	else if (effect->kind == EFFECT_SERVICE_BEFORE)
		data = before_of(effect->args, &player->result.err);
	else if (effect->kind == EFFECT_SERVICE_LOOK)
		data = look();
	else if (effect->kind == EFFECT_WATCH)
		data = watched(player, effect);
	else if (effect->kind == EFFECT_MODEL_LOOK)
		data = json_pack("{s:s}", "digest",
				 str_eq(jval_str(effect->args, "uri", ""), old_uri) ? "d1" : "d2");
	else if (effect->kind == EFFECT_SERVICE_TRY)
		data = json_object();
	else if (effect->kind == EFFECT_DEPLOYMENTS_FIND)
		data = deployments_found(effect, player->script->start);
	if (effect->kind == EFFECT_SERVICE_SEND) {
		take_move(effect->args);
		data = json_object();
	}
	if (scripted)
		json_object_update(data, scripted);
	player->result.data = data;
	return data != NULL;
}

static bool is_stuck(const struct player *player)
{
	return player->script->start == NEW_SERVES_OLD_IS_GONE ||
	       (player->script->start == NEW_IS_SLOW &&
		!json_object_get(player->job.data, "failed"));
}

/* The controllers are faster than the next look, but not at once. */
static void controllers_work(struct player *player)
{
	for (int i = 0; i < 3 && !is_stuck(player); i++)
		sim_pass(&sim, passes++);
}

static void drive(enum isvc_phase phase, int percent)
{
	struct isvc_goal goal = {undone.wanted, undone.before, deployed_by, phase, percent};
	struct isvc_move move = {.kind = ISVC_WAIT};

	for (int looks = 0; looks < 50 && move.kind != ISVC_DONE; looks++) {
		struct isvc_look seen = {sim.live.object, sim.second.object};

		isvc_move_dispose(&move);
		isvc_plan(&goal, &seen, &move);
		isvc_note(undone.before, move.note);
		if (move.kind == ISVC_SEND)
			sim_send(&sim, &move.request);
		sim_settle(&sim);
	}
	assert_int_equal(move.kind, ISVC_DONE);
	isvc_move_dispose(&move);
}

static void deploy_new(int percent)
{
	struct isvc_rules rules = {.other_over = true};
	struct err err = {0};

	undone.wanted = object_of(new_uri, deployed_by);
	assert_int_equal(
		isvc_before(&undone.before, sim.live.object, NULL, undone.wanted, &rules, &err),
		ERR_OK);
	drive(ISVC_STAGE, 0);
	drive(ISVC_SHIFT, percent);
	drive(ISVC_CHECK, percent);
}

static void cluster_start(int start)
{
	sim = (struct sim){.knative = start != OLD_SERVES_STANDARD && start != NEW_WAITS &&
				      start != WAITED_IS_GONE};
	passes = 0;
	if (start == NEW_IS_BROKEN)
		sim.broken_uri = new_uri;
	if (start != NOTHING_SERVES) {
		AUTO_JSON json_t *old = object_of(old_uri, first_deployed_by);

		sim_create(&sim, &sim.live, old);
	}
	sim_settle(&sim);
	if ((start >= NEW_SERVES && start <= SOMEBODYS_SERVES) || start == WAITED_IS_GONE)
		deploy_new(is_open_at(start) ? 10 : 100);
	if (start == BACK_AT_OLD)
		drive(ISVC_RESTORE, 0);
	if (start == WAITED_IS_GONE)
		jval_drop(&sim.live.object);
	if (start == SOMEBODYS_SERVES)
		jval_set_str(jval_at(sim.live.object, "metadata.annotations"), "kfops.dev/job",
			     "somebody");
}

static void cluster_end(void)
{
	jval_drop(&undone.wanted);
	jval_drop(&undone.before);
	sim_end(&sim);
}

/* --- playing --- */

/* "tests/golden/rollouts/deploy_from_comment_to_merge.txt" */
static char *golden_path(const char *name)
{
	const char *root = getenv("KFOPS_SOURCE_DIR");
	AUTO_FREE char *file = str_dup(name);

	for (char *c = file; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789", *c | 32))
			*c = '_';
	return str_printf("%s/tests/golden/rollouts/%s.txt", root ? root : ".", file);
}

static void compare(const char *name, const char *got)
{
	AUTO_FREE char *path = golden_path(name);
	FILE *file = fopen(path, getenv("KFOPS_GOLDEN_WRITE") ? "w" : "r");
	char want[1 << 15];
	size_t len;

	assert_non_null(file);
	if (getenv("KFOPS_GOLDEN_WRITE")) {
		fputs(got, file);
		fclose(file);
		return;
	}
	len = fread(want, 1, sizeof want - 1, file);
	want[len] = '\0';
	fclose(file);
	assert_string_equal(got, want);
}

static void tell_notes(struct player *player)
{
	json_t *notes = jval_at(player->job.data, "rollout.notes"), *note;
	size_t i;

	json_array_foreach(notes, i, note)
		buf_printf(&player->said, "noted: %s\n", json_string_value(note));
	if (jval_str(player->job.data, "failure.log", NULL))
		buf_printf(&player->said, "log: %s\n",
			   jval_str(player->job.data, "failure.log", ""));
	if (jval_str(player->job.data, "answer", NULL))
		buf_printf(&player->said, "--\n%s--\n", jval_str(player->job.data, "answer", ""));
}

static void play(void **state)
{
	const struct trace_case *script = *state;
	struct player player;

	player_start(&player, script);
	player.far_side = cluster_answers;
	player.time_passes = controllers_work;
	cluster_start(script->start);
	player_play(&player);
	if (!is_stuck(&player))
		sim_settle(&sim);
	tell_notes(&player);
	if (sim.live.object)
		buf_printf(&player.said, "serves: old %d %%, new %d %%\n",
			   sim_serves(&sim, old_uri), sim_serves(&sim, new_uri));
	compare(script->name, buf_text(&player.said));
	if (script->answers[player.next_answer].effect)
		fail_msg("nobody asked for %s", script->answers[player.next_answer].effect);
	cluster_end();
	player_end(&player);
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[ARRAY_LEN(cases)];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		tests[i] = (struct CMUnitTest){.name = cases[i].name,
					       .test_func = play,
					       .initial_state = (void *)(uintptr_t)&cases[i]};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("rollout", tests, NULL, NULL);
}
