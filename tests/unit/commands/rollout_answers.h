/* rollout_answers.h - what the far sides answer in traces of rollouts, and rows of answers that
 * take a rollout some way. */
#ifndef KF_TESTS_ROLLOUT_ANSWERS_H
#define KF_TESTS_ROLLOUT_ANSWERS_H

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
	"true,\"pending\":false,\"names\":\"\"},\"methods\":\"merge, "                             \
	"squash\",\"merge_queue\":false,\"queue\":{\"in\":false},\"touches_workflows\":false,"     \
	"\"review\":\"none\",\"threads_open\":0,\"deployed\":[],\"is_fork\":false,\"head_ref\":"   \
	"\"five\",\"repository_id\":\"R_1\",\"approvals_needed\":0,\"held\":false" changed "}"
#define MERGE_FACTS(changed)                                                                       \
	{                                                                                          \
		.effect = "github.merge_facts", .data = FACTS_BUT(changed)                         \
	}
#define GOOD_FACTS MERGE_FACTS("")
#define CHECKS_GO_ON                                                                               \
	MERGE_FACTS(",\"checks\":{\"complete\":true,\"passed\":false,\"pending\":true,\"names\":"  \
		    "\"build\"}")
#define FOUR(answer) answer, answer, answer, answer
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
#define STAGING_MERGES                                                                             \
	{                                                                                          \
		.effect = "github.permission", .data = "{\"user_id\":7,\"pull\":true,\"push\":"    \
						       "true,\"maintain\":true,\"policy\":{"       \
						       "\"source\":\"p\",\"text\":"                \
						       "\"environments: { staging: { merge: "      \
						       "true } }\"}}"                              \
	}
/* Of a repository that merges in this one way. */
#define ONLY_SQUASH MERGE_FACTS(",\"methods\":\"squash\"")
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

#endif
