/* Runs: create and its doubts, looking, lists over pages, sweeping, terminating; and every sample
 * of the server's answers through its parser. */
#include "lib/services/kfp_impl.h"
#include "tests/unit/samples.h"
#include "tests/unit/services/kfp_kit.h"

#define RUNS   "GET /apis/v2beta1/runs?"
#define ONE    "GET /apis/v2beta1/runs/r1 "
#define CREATE "POST /apis/v2beta1/runs "
#define GONE   "{\"code\":5,\"message\":\"x\",\"details\":[{\"message\":\"Run r1 not found\"}]}"

/* --- create --- */

static const struct {
	const char *name;
	struct scripted_answer answer;
	enum err_class class;
	bool in_doubt;
	const char *id, *says;
} creations[] = {
	{"created",
	 {CREATE, 200, NULL, "{\"run_id\":\"r1\",\"state\":\"PENDING\"}"},
	 ERR_OK,
	 false,
	 "r1",
	 NULL},
	{"a server that makes its own ids",
	 {CREATE, 200, NULL, "{\"run_id\":\"other\"}"},
	 ERR_OK,
	 false,
	 "other",
	 NULL},
	{"refused",
	 {CREATE, 400, NULL,
	  "{\"code\":3,\"message\":\"chain\",\"details\":[{\"message\":\"parameter "
	  "neighbors is "
	  "not optional\"}]}"},
	 ERR_USER,
	 false,
	 NULL,
	 "answers 400: parameter neighbors is not optional"},
	{"no rights", {CREATE, 403, NULL, "{\"code\":7}"}, ERR_DENIED, false, NULL, NULL},
	{"taken", {CREATE, 409, NULL, "{\"code\":6}"}, ERR_CONFLICT, false, NULL, NULL},
	{"not stored?",
	 {CREATE, 500, NULL, "{\"code\":13,\"message\":\"Failed to store run\"}"},
	 ERR_TRANSIENT,
	 true,
	 NULL,
	 "Failed to store run"},
	{"proxy gave up", {CREATE, 504, NULL, ""}, ERR_TRANSIENT, true, NULL, NULL},
	{"reset after the request",
	 {CREATE, 200, NULL, "{}", 0, SCRIPTED_RESET},
	 ERR_TRANSIENT,
	 true,
	 NULL,
	 NULL},
	{"answer cut",
	 {CREATE, 200, NULL, "{\"run_id\":\"r1\"}", 0, SCRIPTED_CUT},
	 ERR_TRANSIENT,
	 true,
	 NULL,
	 NULL},
	{"garbage", {CREATE, 200, NULL, "<html>"}, ERR_TRANSIENT, true, NULL, NULL},
	{"no id", {CREATE, 200, NULL, "{}"}, ERR_TRANSIENT, true, NULL, "without a run_id"},
	{"asked to wait", {CREATE, 429, NULL, ""}, ERR_THROTTLED, false, NULL, NULL},
};

static void test_create(void **state)
{
	AUTO_JSON json_t *parameters = json_pack("{s:i, s:b}", "neighbors", 3, "scaler", 1);
	const struct kfp_run_request request = {.run_id = "r1",
						.display_name = "iris PR#7",
						.description = "repo=o/r pr=7",
						.experiment_id = "e1",
						.pipeline_id = "p1",
						.version_id = "v1",
						.service_account = "default-editor",
						.parameters = parameters};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(creations); i++) {
		struct kit kit = kit_start_with(&creations[i].answer, 1, NULL);
		char *id;

		print_message("  %s\n", creations[i].name);
		assert_int_equal(kfp_run_create(kit.kfp, kit.http, &request, &id, &kit.err),
				 creations[i].class);
		if (creations[i].id)
			assert_string_equal(id, creations[i].id);
		else
			assert_null(id);
		if (creations[i].class)
			assert_int_equal(kit.err.in_doubt, creations[i].in_doubt);
		if (creations[i].says)
			assert_non_null(strstr(kit.err.msg, creations[i].says));
		assert_string_equal(
			kit.server->requests[0].body,
			"{\"description\":\"repo=o/r pr=7\",\"display_name\":\"iris PR#7\","
			"\"experiment_id\":\"e1\",\"pipeline_version_reference\":{\"pipeline_id\":"
			"\"p1\",\"pipeline_version_id\":\"v1\"},\"run_id\":\"r1\","
			"\"runtime_config\":{\"parameters\":{\"neighbors\":3,\"scaler\":true}},"
			"\"service_account\":\"default-editor\"}");
		mem_free(id);
		kit_stop(&kit, 1);
	}
}

static void test_create_without_a_server_is_not_in_doubt(void **state)
{
	static const struct scripted_answer script[] = {{CREATE, 200, NULL, "{}"}};
	struct kit kit = KIT_START(script);
	struct kfp_options options = {.url = "http://127.0.0.1:1"};
	const struct kfp_run_request request = {.run_id = "r1"};
	struct kfp *nobody;
	char *id;

	(void)state;
	assert_int_equal(kfp_new(&nobody, &options, &kit.err), ERR_OK);
	assert_int_equal(kfp_run_create(nobody, kit.http, &request, &id, &kit.err), ERR_TRANSIENT);
	assert_false(kit.err.in_doubt);
	kfp_free(nobody);
	kit_stop(&kit, 0);
}

/* --- look and terminate --- */

static void test_get(void **state)
{
	static const struct {
		const char *name;
		struct scripted_answer answer;
		enum err_class class;
	} cases[] = {
		{"there", {ONE, 200, NULL, "{\"run_id\":\"r1\",\"state\":\"RUNNING\"}"}, ERR_OK},
		{"not there", {ONE, 404, NULL, GONE}, ERR_NOT_FOUND},
		{"a proxy without a route", {ONE, 404, NULL, ""}, ERR_TRANSIENT},
		{"another run",
		 {ONE, 200, NULL, "{\"run_id\":\"r2\",\"state\":\"FAILED\"}"},
		 ERR_TRANSIENT},
		{"nothing", {ONE, 200, NULL, "{}"}, ERR_TRANSIENT},
		{"cut", {ONE, 200, NULL, "{\"run_id\":\"r1\"}", 0, SCRIPTED_CUT}, ERR_TRANSIENT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kit kit = kit_start_with(&cases[i].answer, 1, NULL);
		struct kfp_run run;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(kfp_run_get(kit.kfp, kit.http, "r1", &run, &kit.err),
				 cases[i].class);
		kfp_run_dispose(&run);
		kit_stop(&kit, 1);
	}
}

static void test_terminate(void **state)
{
#define STOP "POST /apis/v2beta1/runs/r1:terminate "
	static const struct {
		const char *name;
		struct scripted_answer answers[2];
		int requests;
		enum err_class class;
	} cases[] = {
		{"stopped", {{STOP, 200, NULL, "{}"}}, 1, ERR_OK},
		{"has ended",
		 {{STOP, 400, NULL, "{\"code\":9}"},
		  {ONE, 200, NULL, "{\"run_id\":\"r1\",\"state\":\"SUCCEEDED\"}"}},
		 2,
		 ERR_CONFLICT},
		{"has ended, wrapped",
		 {{STOP, 500, NULL, "{\"code\":13}"},
		  {ONE, 200, NULL, "{\"run_id\":\"r1\",\"state\":\"FAILED\"}"}},
		 2,
		 ERR_CONFLICT},
		{"still runs",
		 {{STOP, 500, NULL, "{\"code\":13}"},
		  {ONE, 200, NULL, "{\"run_id\":\"r1\",\"state\":\"RUNNING\"}"}},
		 2,
		 ERR_TRANSIENT},
		{"is being stopped already, by somebody else or by a try before",
		 {{STOP, 400, NULL, "{\"code\":3}"},
		  {ONE, 200, NULL, "{\"run_id\":\"r1\",\"state\":\"CANCELING\"}"}},
		 2,
		 ERR_OK},
		{"is gone", {{STOP, 404, NULL, GONE}}, 1, ERR_NOT_FOUND},
		{"no rights", {{STOP, 403, NULL, "{\"code\":7}"}}, 1, ERR_DENIED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kit kit = kit_start_with(cases[i].answers, (size_t)cases[i].requests, NULL);

		print_message("  %s\n", cases[i].name);
		assert_int_equal(kfp_run_terminate(kit.kfp, kit.http, "r1", &kit.err),
				 cases[i].class);
		kit_stop(&kit, cases[i].requests);
	}
}

/* --- lists --- */

static void free_ids(char **ids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		mem_free(ids[i]);
	mem_free(ids);
}

static void test_finished_reads_all_pages(void **state)
{
	static const struct scripted_answer script[] = {
		{RUNS, 200, NULL,
		 "{\"runs\":[{\"run_id\":\"a\",\"state\":\"SUCCEEDED\",\"pipeline_spec\":{\"runs\":"
		 "[{\"run_id\":\"no\"}],\"state\":\"x\"}},{\"state\":\"FAILED\",\"run_id\":\"b\"}],"
		 "\"total_size\":3,\"next_page_token\":\"t+1/=\"}"},
		{RUNS, 200, NULL,
		 "{\"next_page_token\":\"\",\"runs\":[{\"run_id\":\"c\",\"state\":\"CANCELED\"},"
		 "{\"run_id\":\"d\",\"state\":\"RUNNING\"},{\"state\":\"FAILED\"}]}"},
	};
	struct kit kit = KIT_START(script);
	size_t count;
	char **ids;

	(void)state;
	assert_int_equal(kfp_runs_finished(kit.kfp, kit.http, "ml team", 1795255323000, &ids,
					   &count, &kit.err),
			 ERR_OK);
	assert_int_equal(count, 3);
	assert_string_equal(ids[0], "a");
	assert_string_equal(ids[1], "b");
	assert_string_equal(ids[2], "c");
	free_ids(ids, count);
#define QUERY                                                                                      \
	"GET /apis/v2beta1/runs?namespace=ml%20team&sort_by=finished_at%20asc&filter=%7B%22"       \
	"predicates%22%3A%5B%7B%22key%22%3A%22state%22%2C%22operation%22%3A%22IN%22%2C%22"         \
	"string_values%22%3A%7B%22values%22%3A%5B%22SUCCEEDED%22%2C%22FAILED%22%2C%22"             \
	"CANCELED%22%2C%22SKIPPED%22%5D%7D%7D%2C%7B%22key%22%3A%22finished_at%22%2C%22"            \
	"operation%22%3A%22GREATER_THAN%22%2C%22timestamp_value%22%3A%222026-11-21T10%3A02%3A03Z"  \
	"%22%7D%5D%7D&page_size=200"
	assert_string_equal(kit_line(&kit, 0), QUERY " HTTP/1.1");
	assert_string_equal(kit_line(&kit, 1), QUERY "&page_token=t%2B1%2F%3D HTTP/1.1");
	kit_stop(&kit, 2);
}

static void test_finished_gives_all_or_an_error(void **state)
{
	static const struct {
		const char *name;
		struct scripted_answer answers[2];
		int requests;
		enum err_class class;
	} cases[] = {
		{"none", {{RUNS, 200, NULL, "{}"}}, 1, ERR_OK},
		{"second page fails",
		 {{RUNS, 200, NULL,
		   "{\"runs\":[{\"run_id\":\"a\",\"state\":\"FAILED\"}],\"next_page_token\":"
		   "\"t\"}"},
		  {RUNS, 503, NULL, ""}},
		 2,
		 ERR_TRANSIENT},
		{"garbled",
		 {{RUNS, 200, NULL, "{\"runs\":[{\"run_id\":\"a\",\"state\":\"FAILED\"}"}},
		 1,
		 ERR_TRANSIENT},
		{"not a list", {{RUNS, 200, NULL, "<html>"}}, 1, ERR_TRANSIENT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kit kit = kit_start_with(cases[i].answers, (size_t)cases[i].requests, NULL);
		size_t count = 9;
		char **ids;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(
			kfp_runs_finished(kit.kfp, kit.http, "", 0, &ids, &count, &kit.err),
			cases[i].class);
		assert_int_equal(count, 0);
		assert_null(ids);
		kit_stop(&kit, cases[i].requests);
	}
}

static void test_large_page_is_read_in_smaller_ones(void **state)
{
	size_t len = KFP_ANSWER_MAX + 100;
	char *huge = mem_new(len + 1, 1);
	struct scripted_answer script[] = {
		{RUNS, 200, NULL, huge, len},
		{RUNS, 200, NULL,
		 "{\"runs\":[{\"run_id\":\"a\",\"state\":\"FAILED\"}],\"next_page_token\":\"t\"}"},
		{RUNS, 200, NULL, "{\"runs\":[{\"run_id\":\"b\",\"state\":\"FAILED\"}]}"},
	};
	struct kit kit = KIT_START(script);
	size_t count;
	char **ids;

	(void)state;
	memset(huge, ' ', len);
	assert_int_equal(kfp_runs_finished(kit.kfp, kit.http, "", 0, &ids, &count, &kit.err),
			 ERR_OK);
	assert_int_equal(count, 2);
	free_ids(ids, count);
	assert_non_null(strstr(kit_line(&kit, 0), "page_size=200"));
	assert_non_null(strstr(kit_line(&kit, 1), "page_size=50"));
	assert_non_null(strstr(kit_line(&kit, 2), "page_size=50&page_token=t"));
	kit_stop(&kit, 3);
	mem_free(huge);
}

static void test_sweep(void **state)
{
	static const char *const ids[] = {"a", "b", "c", "d"};
	static const struct scripted_answer script[] = {
		{RUNS, 200, NULL,
		 "{\"runs\":[{\"run_id\":\"b\",\"state\":\"RUNNING\"},{\"run_id\":\"c\",\"state\":"
		 "\"FAILED\"}],\"next_page_token\":\"t\"}"},
		{RUNS, 200, NULL, "{\"runs\":[{\"run_id\":\"d\",\"state\":\"PENDING\"}]}"},
	};
	struct kit kit = KIT_START(script);
	size_t count;
	char **ended;

	(void)state;
	assert_int_equal(kfp_runs_ended(kit.kfp, kit.http, "ns", ids, 4, &ended, &count, &kit.err),
			 ERR_OK);
	assert_int_equal(count, 2);
	assert_string_equal(ended[0], "a"); /* gone */
	assert_string_equal(ended[1], "c"); /* final */
	free_ids(ended, count);
	assert_non_null(strstr(kit_line(&kit, 0),
			       "%22key%22%3A%22run_id%22%2C%22operation%22%3A%22IN%22%2C%22string_"
			       "values%22%3A%7B%22values%22%3A%5B%22a%22%2C%22b%22%2C%22c%22%2C%22d"
			       "%22%5D"));
	kit_stop(&kit, 2);
}

static void test_sweep_of_200_fits_and_is_halved_when_not(void **state)
{
	static const struct scripted_answer script[] = {
		{RUNS, 414, NULL, ""},
		{RUNS, 200, NULL, "{}"},
		{RUNS, 200, NULL, "{}"},
		{RUNS, 200, NULL, "{\"code\":1"},
	};
	static char names[200][37];
	const char *ids[200];
	struct kit kit = KIT_START(script);
	size_t count;
	char **ended;

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof names[i], "9e68aca5-3afa-4028-8777-%012d", i);
		ids[i] = names[i];
	}
	assert_int_equal(kfp_runs_ended(kit.kfp, kit.http, "", ids, 200, &ended, &count, &kit.err),
			 ERR_OK);
	assert_int_equal(count, 200);
	assert_string_equal(ended[199], ids[199]);
	free_ids(ended, count);
	assert_true(strlen(kit_line(&kit, 0)) < 12000);
	/* An answer that is no list is not "all gone". */
	assert_int_equal(kfp_runs_ended(kit.kfp, kit.http, "", ids, 1, &ended, &count, &kit.err),
			 ERR_TRANSIENT);
	assert_int_equal(count, 0);
	kit_stop(&kit, 4);
}

static void count_run(void *arg, const char *run_id, const char *state)
{
	(void)run_id, (void)state;
	++*(int *)arg;
}

static void test_list_grammar(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int runs;
		const char *token;
	} cases[] = {
		{"{}", true, 0, ""},
		{" \n{ } ", true, 0, ""},
		{"{\"runs\":[]}", true, 0, ""},
		{"{\"runs\":[{},{}],\"next_page_token\":\"a\\u003db\"}", true, 2, "a=b"},
		{"{\"runs\":{\"a\":{}}}", true, 0, ""},
		{"{\"runs\":[[{}]]}", true, 0, ""},
		{"{\"x\":[{\"runs\":[{}]}],\"next_page_token\":7}", true, 0, ""},
		{"{\"a\":\"\\\"}\"}", true, 0, ""},
		{"", false, 0, ""},
		{"[]", false, 0, ""},
		{"7", false, 0, ""},
		{"{", false, 0, ""},
		{"{}{}", false, 0, ""},
		{"{]", false, 0, ""},
		{"{\"a\"}", false, 0, ""},
		{"{\"a\":}", false, 0, ""},
		{"{\"a\":1,}", false, 0, ""},
		{"{\"a\" 1}", false, 0, ""},
		{"{\"a\":[1,]}", false, 0, ""},
		{"{\"a\":[1 2]}", false, 0, ""},
		{"{,}", false, 0, ""},
		{"{\"a\":\"", false, 0, ""},
		{"{\"a\":\"\\", false, 0, ""},
		{"{\"a\":\"\n\"}", false, 0, ""},
	};
	char *deep = mem_new(1000, 1), token[KFP_TOKEN_MAX];
	int runs = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("  %s\n", cases[i].text);
		runs = 0;
		assert_int_equal(kfp_list_scan(cases[i].text, strlen(cases[i].text), count_run,
					       &runs, token),
				 cases[i].ok);
		if (cases[i].ok) {
			assert_int_equal(runs, cases[i].runs);
			assert_string_equal(token, cases[i].token);
		}
	}
	memset(deep, '[', 500);
	memcpy(deep, "{\"a\":", 5);
	assert_false(kfp_list_scan(deep, 500, count_run, &runs, token));
	mem_free(deep);
}

/* --- parsing --- */

static json_t *parse_text(const char *text)
{
	struct err err;
	json_t *value;

	assert_int_equal(jval_parse(&value, text, strlen(text), &err), ERR_OK);
	return value;
}

static void test_run_parse(void **state)
{
	static const struct {
		const char *name, *text, *tasks, *error;
		enum run_state run_state;
		bool was_canceling;
		int64_t finished_at_ms;
	} cases[] = {
		{"unfinished", "{\"state\":\"RUNNING\",\"finished_at\":\"1970-01-01T00:00:00Z\"}",
		 "{}", NULL, RUN_RUNNING, false, 0},
		{"ended by a person",
		 "{\"state\":\"FAILED\",\"finished_at\":\"2026-11-21T10:02:03.5Z\",\"state_"
		 "history\":"
		 "[{\"state\":\"CANCELING\"},{\"state\":\"FAILED\"}]}",
		 "{}", NULL, RUN_FAILED, true, 1795255323500},
		{"error of the run",
		 "{\"state\":\"FAILED\",\"error\":{\"code\":1,\"message\":\"no\"}}", "{}", "no",
		 RUN_FAILED, false, 0},
		{"error that is none",
		 "{\"state\":\"SUCCEEDED\",\"error\":{\"code\":0,\"message\":\"fine\"}}", "{}",
		 NULL, RUN_SUCCEEDED, false, 0},
		{"tasks",
		 "{\"state\":\"NEW_IN_3_0\",\"run_details\":{\"task_details\":["
		 "{\"display_name\":\"iris-x7k2p\",\"state\":\"RUNNING\",\"child_tasks\":"
		 "[{\"pod_name\":\"iris-x7k2p-1044\"}]},"
		 "{\"display_name\":\"root\",\"state\":\"RUNNING\"},"
		 "{\"display_name\":\"root-driver\",\"state\":\"SUCCEEDED\"},"
		 "{\"display_name\":\"train-driver\",\"state\":\"SUCCEEDED\"},"
		 "{\"display_name\":\"train\",\"state\":\"RUNNING\"},"
		 "{\"display_name\":\"executor\",\"state\":\"RUNNING\"},"
		 "{\"display_name\":\"turn\",\"state\":\"SUCCEEDED\"},"
		 "{\"display_name\":\"turn\",\"state\":\"FAILED\"},"
		 "{\"display_name\":\"turn\",\"state\":\"RUNNING\"},"
		 "{\"display_name\":\"deploy\",\"state\":\"RUNTIME_STATE_UNSPECIFIED\"}]}}",
		 "{\"deploy\":\"SKIPPED\",\"train\":\"RUNNING\",\"turn\":\"FAILED\"}", NULL,
		 RUN_UNKNOWN, false, 0},
		{"tasks of other shapes",
		 "{\"state\":7,\"run_details\":{\"task_details\":[1,null,{\"display_name\":[]}]},"
		 "\"state_history\":{}}",
		 "{}", NULL, RUN_UNKNOWN, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_JSON json_t *value = parse_text(cases[i].text);
		AUTO_FREE char *tasks = NULL;
		struct kfp_run run;

		print_message("  %s\n", cases[i].name);
		kfp_run_parse(&run, value);
		tasks = jval_dump(run.tasks);
		assert_string_equal(tasks, cases[i].tasks);
		assert_int_equal(run.state, cases[i].run_state);
		assert_int_equal(run.was_canceling, cases[i].was_canceling);
		assert_int_equal(run.finished_at_ms, cases[i].finished_at_ms);
		assert_true(str_eq(run.error, cases[i].error));
		kfp_run_dispose(&run);
	}
}

/* --- the shared samples --- */

#define SAMPLES "samples/kfp-api/"

static void test_samples_of_runs(void **state)
{
	static const struct {
		const char *file;
		enum run_state run_state;
		bool was_canceling, finished;
		const char *tasks, *error;
	} cases[] = {
		{"constructed/run_succeeded.json", RUN_SUCCEEDED, false, true,
		 "{\"train-model\":\"SUCCEEDED\"}", NULL},
		{"constructed/run_succeeded_with_mlflow_plugin_2.17.json", RUN_SUCCEEDED, false,
		 true, "{\"train-model\":\"SUCCEEDED\"}", NULL},
		{"constructed/run_failed.json", RUN_FAILED, false, true,
		 "{\"train-model\":\"FAILED\"}", NULL},
		{"constructed/run_running.json", RUN_RUNNING, false, false,
		 "{\"create-dataset\":\"RUNNING\"}", NULL},
		{"constructed/run_terminated_by_user.json", RUN_FAILED, true, true, "{}", NULL},
		{"constructed/run_create_response.json", RUN_PENDING, false, false, "{}", NULL},
		{"golden/run_completed.json", RUN_SUCCEEDED, false, true, "{}", NULL},
		{"golden/run_completed_with_spec.json", RUN_SUCCEEDED, false, true, "{}", NULL},
		{"golden/run_failed.json", RUN_FAILED, false, true, "{}", "This was a Failed Run."},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FREE char *name = str_printf(SAMPLES "%s", cases[i].file), *text = NULL,
			       *tasks = NULL;
		AUTO_JSON json_t *value = NULL;
		struct kfp_run run;
		size_t len;

		text = sample_read(true, name, &len);
		if (!text) {
			print_message("skipped: %s is not there\n", name);
			mem_free(name); /* skip() jumps past the clean-up */
			skip();
		}
		print_message("  %s\n", cases[i].file);
		value = parse_text(text);
		kfp_run_parse(&run, value);
		assert_int_equal(run.state, cases[i].run_state);
		assert_int_equal(run.was_canceling, cases[i].was_canceling);
		assert_int_equal(run.finished_at_ms > 0, cases[i].finished);
		assert_true(run.created_at_ms > 0);
		tasks = jval_dump(run.tasks);
		assert_string_equal(tasks, cases[i].tasks);
		assert_true(str_eq(run.error, cases[i].error));
		kfp_run_dispose(&run);
	}
}

/* Every sample through every parser: none may fall over, and each error gives its class. */
static void try_sample(const char *name, void *arg)
{
	static const char *const folders[] = {"constructed", "golden"};
	AUTO_FREE char *path = str_printf(SAMPLES "%s/%s", folders[*(int *)arg], name),
		       *text = NULL;
	AUTO_JSON json_t *value = NULL, *causes = NULL;
	struct kfp_version version;
	char token[KFP_TOKEN_MAX], pod[256];
	struct kfp_run run;
	struct err err;
	int64_t status = 0;
	int runs = 0;
	size_t len;

	text = sample_read(true, path, &len);
	value = parse_text(text);
	kfp_run_parse(&run, value);
	kfp_run_dispose(&run);
	kfp_version_parse(&version, value);
	kfp_version_dispose(&version);
	causes = kfp_causes_parse(value, pod, sizeof pod);
	assert_true(kfp_list_scan(text, len, count_run, &runs, token));
	assert_int_equal(runs, json_array_size(json_object_get(value, "runs")));
	assert_string_equal(token, jval_str(value, "next_page_token", ""));
	if (sscanf(name, "error_%ld", &status) == 1) {
		enum err_class class = kfp_error(&err, (int)status, text, len, 0, false);

		assert_true(class == ERR_USER || class == ERR_CONFIG || class == ERR_DENIED ||
			    class == ERR_NOT_FOUND || class == ERR_CONFLICT);
		assert_null(strstr(err.msg, "does not say why"));
	}
}

static void test_all_samples(void **state)
{
	(void)state;
	for (int folder = 0; folder < 2; folder++)
		if (!sample_each(true, folder ? SAMPLES "golden" : SAMPLES "constructed", ".json",
				 try_sample, &folder))
			print_message("skipped: no samples\n");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_create),
	cmocka_unit_test(test_create_without_a_server_is_not_in_doubt),
	cmocka_unit_test(test_get),
	cmocka_unit_test(test_terminate),
	cmocka_unit_test(test_finished_reads_all_pages),
	cmocka_unit_test(test_finished_gives_all_or_an_error),
	cmocka_unit_test(test_large_page_is_read_in_smaller_ones),
	cmocka_unit_test(test_sweep),
	cmocka_unit_test(test_sweep_of_200_fits_and_is_halved_when_not),
	cmocka_unit_test(test_list_grammar),
	cmocka_unit_test(test_run_parse),
	cmocka_unit_test(test_samples_of_runs),
	cmocka_unit_test(test_all_samples),
};

CASES_MAIN(tests, NULL, NULL)
