/* test_settings.c - config_files/config.yaml: what is taken, and every fault with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/settings.h"
#include "lib/base/jval.h"
#include "tests/unit/samples.h"

#define REPOSITORY "repository: {owner: ann, name: iris}\n"
#define PIPELINE                                                                                   \
	"pipeline:\n  name: P\n  namespace: team\n  experiment_name: E\n  pipeline_path: p/a.py\n"
#define GOOD REPOSITORY PIPELINE
enum { LINE_OF_NAMESPACE = 4 };

static enum err_class parse(const char *text, json_t **out, struct buf *report, int *line,
			    struct err *err)
{
	return settings_parse(out, text, strlen(text), "ann/iris", report, line, err);
}

static void test_smallest(void **state)
{
	AUTO_BUF struct buf report = buf_make(10000);
	struct err err = {0};
	json_t *settings;
	int line;

	(void)state;
	assert_int_equal(parse(GOOD, &settings, &report, &line, &err), ERR_OK);
	assert_int_equal(report.len, 0);
	assert_string_equal(jval_str(settings, "repository.owner", ""), "ann");
	assert_string_equal(jval_str(settings, "pipeline.namespace", ""), "team");
	assert_string_equal(jval_str(settings, "pipeline.description", "?"), "");
	assert_string_equal(jval_str(settings, "pipeline.pipeline_execution_mode", ""),
			    "V2_ENGINE");
	assert_null(jval_str(settings, "pipeline.pipeline_function_name", NULL));
	assert_null(jval_at(settings, "pipeline.pipeline_args"));
	assert_null(jval_at(settings, "deployment"));
	assert_null(jval_at(settings, "image_builder"));
	json_decref(settings);
}

/* Everything that Kfops' documentation shows, except the execution mode that is gone. */
static const char everything[] =
	REPOSITORY PIPELINE "  description: D\n"
			    "  pipeline_function_name: my_func\n"
			    "  pipeline_execution_mode: V2_ENGINE\n"
			    "  pipeline_args:\n"
			    "    n: 3\n"
			    "    rate: 0.5\n"
			    "    text: 'x'\n"
			    "    list: [1, a]\n"
			    "    nothing:\n"
			    "deployment:\n"
			    "  inference_service_name: iris\n"
			    "  inference_service_function_path: config_files/deployment.py\n"
			    "  pre_deployment_test_sample_input_path: t/input.json\n"
			    "  delete_branch: true\n"
			    "  production: \n"
			    "    namespace: prod\n"
			    "  staging:\n"
			    "    namespace: staging\n"
			    "    sticky_lock: true\n"
			    "image_builder:\n"
			    "  container_registry_uri: 12345.dkr.ecr.eu-west-1.amazonaws.com\n"
			    "  insecure: true\n"
			    "  images:\n"
			    "    - name: my_image_name\n"
			    "      dockerfile_folder_path: containers/my_image_name\n"
			    "      other_folders_path:\n"
			    "        - containers/lib\n"
			    "    - name: other\n"
			    "      dockerfile_folder_path: .\n"
			    "  minio:\n"
			    "    context_files_bucket_name: bucket\n"
			    "    credentials:\n"
			    "      endpoint: minio.example\n"
			    "      access_key: key\n"
			    "      secret_key: secret\n";

static void test_everything(void **state)
{
	static const char *const want = "{\"n\": 3, \"rate\": 0.5, \"text\": \"x\", \"list\": [1, "
					"\"a\"], \"nothing\": null}";
	AUTO_BUF struct buf report = buf_make(10000);
	json_t *settings, *args = json_loads(want, 0, NULL), *images;
	struct err err = {0};
	char *text;
	int line;

	(void)state;
	if (parse(everything, &settings, &report, &line, &err))
		fail_msg("%s", buf_text(&report));
	assert_true(json_equal(jval_at(settings, "pipeline.pipeline_args"), args));
	assert_string_equal(jval_str(settings, "deployment.production.namespace", ""), "prod");
	assert_true(jval_bool(settings, "deployment.delete_branch", false));
	assert_true(jval_bool(settings, "deployment.staging.sticky_lock", false));
	assert_false(jval_bool(settings, "deployment.production.sticky_lock", true));
	assert_true(jval_bool(settings, "image_builder.insecure", false));
	images = jval_at(settings, "image_builder.images");
	assert_int_equal(json_array_size(images), 2);
	assert_int_equal(json_array_size(jval_at(json_array_get(images, 0), "other_folders_path")),
			 1);
	text = jval_dump(settings);
	assert_null(strstr(text, "secret"));
	assert_null(strstr(text, "minio.example"));
	mem_free(text);
	json_decref(args);
	json_decref(settings);
}

#define TEN "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, "

static const struct {
	const char *name, *text;
	int line;	       /* of the first fault */
	const char *report[6]; /* lines without the file's name, or the start of one before "..." */
} bad[] = {
	{"nothing", "", 1, {"1:1: repository is missing", "1:1: pipeline is missing"}},
	{"a list", "- a\n", 1, {"1:1: the file must be a map", "1:1: repository is missing"}},
	{"two documents", GOOD "---\na: 1\n", 8, {"8:1: a second document begins here"}},
	{"broken YAML",
	 REPOSITORY "pipeline:\n  name: 'x\n",
	 4,
	 {"4:1: found unexpected end of stream"}},
	{"doubled key",
	 GOOD "  name: Q\n",
	 7,
	 {"7:3: the key \"name\" is here twice, first in line 3"}},
	{"alias", "repository: &r {owner: ann, name: iris}\n", 1, {"1:13: anchors"}},
	{"unknown keys, near and far",
	 GOOD "  namespaces: x\n  zzzzzzzzz: 1\ndeploymnt: {}\n",
	 7,
	 {"7:3: unknown key \"namespaces\"; did you mean \"namespace\"?",
	  "8:3: unknown key \"zzzzzzzzz\"; pipeline has name, description, namespace",
	  "9:1: unknown key \"deploymnt\"; did you mean \"deployment\"?"}},
	{"unknown section",
	 GOOD "somethingelse: {}\n",
	 7,
	 {"7:1: unknown key \"somethingelse\"; the file has repository, pipeline, deployment, "
	  "image_builder"}},
	{"missing keys",
	 REPOSITORY "pipeline:\n  name: P\n",
	 2,
	 {"2:1: pipeline.namespace is missing", "2:1: pipeline.experiment_name is missing",
	  "2:1: pipeline.pipeline_path is missing"}},
	{"empty values",
	 REPOSITORY "pipeline:\n  name:\n  namespace: ''\n  experiment_name: E\n"
		    "  pipeline_path: a.py\n",
	 3,
	 {"3:3: pipeline.name is missing", "4:14: pipeline.namespace is empty"}},
	{"wrong kinds",
	 "repository: x\npipeline:\n  name: [P]\n  namespace: {a: b}\n  experiment_name: true\n"
	 "  pipeline_path: a.py\n  pipeline_args: [1]\n",
	 1,
	 {"1:1: repository must be a map", "3:9: pipeline.name must be a single value, not a list",
	  "4:14: pipeline.namespace must be a single value, not a map",
	  "5:20: pipeline.experiment_name must be text: put it in quotes",
	  "7:18: pipeline.pipeline_args must be a map"}},
	{"V2_COMPATIBLE",
	 GOOD "  pipeline_execution_mode: V2_COMPATIBLE\n",
	 7,
	 {"7:28: pipeline.pipeline_execution_mode must be changed: Kubeflow Pipelines dropped "
	  "V2_COMPATIBLE in 2021"}},
	{"unknown mode",
	 GOOD "  pipeline_execution_mode: V3\n",
	 7,
	 {"7:28: pipeline.pipeline_execution_mode must be V2_ENGINE or V1_LEGACY"}},
	{"legacy from Python",
	 GOOD "  pipeline_execution_mode: V1_LEGACY\n",
	 6,
	 {"6:1: pipeline.pipeline_path must be a compiled Argo file"}},
	{"function of a compiled file",
	 REPOSITORY "pipeline:\n  name: P\n  namespace: team\n  experiment_name: E\n"
		    "  pipeline_path: a.yaml\n  pipeline_function_name: f\n",
	 7,
	 {"7:1: pipeline.pipeline_function_name has no meaning"}},
	{"namespace",
	 REPOSITORY "pipeline:\n  name: P\n  namespace: Team_A\n  experiment_name: E\n"
		    "  pipeline_path: a.py\n",
	 4,
	 {"4:14: pipeline.namespace must be a name of at most 63 lower-case letters"}},
	{"deployment without production",
	 GOOD "deployment:\n  inference_service_name: a\n",
	 7,
	 {"7:1: deployment.inference_service_function_path is missing",
	  "7:1: deployment.production is missing"}},
	{"more samples and fields than are asked for",
	 GOOD "deployment:\n  inference_service_name: a\n"
	      "  inference_service_function_path: s.yaml\n"
	      "  production: {namespace: p}\n"
	      "  sample:\n    more_paths: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
	      "    fields: [" TEN TEN TEN "31, 32, 33]\n",
	 12,
	 {"12:1: deployment.sample.more_paths must have at most 8 entries",
	  "13:1: deployment.sample.fields must have at most 32 entries"}},
	{"empty deployment", GOOD "deployment:\n", 0, {NULL}},
	{"images are a map",
	 GOOD "image_builder:\n  container_registry_uri: r\n  images: {}\n",
	 9,
	 {"9:11: image_builder.images must be a list"}},
	{"no images",
	 GOOD "image_builder:\n  container_registry_uri: r\n  images: []\n",
	 9,
	 {"9:11: image_builder.images must have at least 1 entry"}},
	{"image faults",
	 GOOD "image_builder:\n  container_registry_uri: https://r\n  insecure: 'yes'\n  images:\n"
	      "  - name: Up\n  - x\n  - {name: a, dockerfile_folder_path: ../b}\n",
	 8,
	 {"8:27: image_builder.container_registry_uri must be a registry",
	  "9:13: image_builder.insecure must be true or false, without quotes",
	  "11:5: image_builder.images[0].dockerfile_folder_path is missing",
	  "11:11: image_builder.images[0].name must be an image name",
	  "12:5: image_builder.images[1] must be a map",
	  "13:39: image_builder.images[2].dockerfile_folder_path must be a path relative"}},
	{"two images of one name",
	 GOOD
	 "image_builder:\n  container_registry_uri: r\n  images:\n"
	 "  - {name: a, dockerfile_folder_path: b}\n  - {name: a, dockerfile_folder_path: c}\n",
	 11,
	 {"11:1: image_builder.images[1].name: there is another image \"a\""}},
	{"long name",
	 REPOSITORY "pipeline:\n  name: "
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
		    "  namespace: team\n  experiment_name: E\n  pipeline_path: a.py\n",
	 3,
	 {"3:9: pipeline.name must be between 1 and 128 bytes long"}},
};

static void check_report(const char *name, const struct buf *report, const char *const lines[6])
{
	const char *at = buf_text(report);

	for (size_t k = 0; k < 6 && lines[k]; k++) {
		char *start = str_printf("config_files/config.yaml:%s", lines[k]);
		const char *end = strchr(at, '\n');

		if (!str_starts(at, start) || !end)
			fail_msg("%s: line %zu is not \"%s\" in\n%s", name, k + 1, start,
				 buf_text(report));
		at = end + 1;
		mem_free(start);
	}
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF struct buf report = buf_make(100000);
		struct err err = {0};
		json_t *settings;
		int line = 0;
		enum err_class class = parse(bad[i].text, &settings, &report, &line, &err);

		if (!bad[i].line) {
			if (class)
				fail_msg("%s: %s", bad[i].name, err.msg);
			json_decref(settings);
			continue;
		}
		if (class != ERR_USER || strcmp(err.code, "settings.invalid"))
			fail_msg("%s: not refused", bad[i].name);
		assert_null(settings);
		check_report(bad[i].name, &report, bad[i].report);
		if (line != bad[i].line)
			fail_msg("%s: line %d", bad[i].name, line);
	}
}

static const struct {
	const char *path;
	bool good;
} paths[] = {
	{"a.py", true},	      {"a/b.py", true},		 {"./a.py", true},
	{"a b/c.py", true},   {"..a/b.yaml", true},	 {"a.json", true},
	{"a.yml", true},      {"../a.py", false},	 {"a/../../b.py", false},
	{"/a.py", false},     {"~/a.py", false},	 {"a\\\\b.py", false},
	{".git/x.py", false}, {"a/.GIT/x.py", false},	 {"a.txt", false},
	{"a/..", false},      {".gitignore/a.py", true},
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		AUTO_BUF struct buf report = buf_make(10000);
		char *text =
			str_printf(REPOSITORY "pipeline:\n  name: P\n  namespace: team\n"
					      "  experiment_name: E\n  pipeline_path: \"%s\"\n",
				   paths[i].path);
		struct err err = {0};
		json_t *settings;
		int line;

		if (!parse(text, &settings, &report, &line, &err) != paths[i].good)
			fail_msg("%s: %s", paths[i].path, err.msg);
		json_decref(settings);
		mem_free(text);
	}
}

static void test_other_repository(void **state)
{
	AUTO_BUF struct buf report = buf_make(10000);
	struct err err = {0};
	json_t *settings;
	int line = 0;

	(void)state;
	assert_int_equal(
		settings_parse(&settings, GOOD, strlen(GOOD), "Ann/IRIS", &report, &line, &err),
		ERR_OK);
	json_decref(settings);
	assert_int_equal(line, LINE_OF_NAMESPACE);
	assert_int_equal(
		settings_parse(&settings, GOOD, strlen(GOOD), "bob/iris", &report, &line, &err),
		ERR_USER);
	assert_null(settings);
	assert_string_equal(err.code, "settings.other_repository");
	assert_int_equal(line, 1);
	assert_non_null(strstr(buf_text(&report), "belongs to ann/iris, not to bob/iris"));
}

static void test_many_faults(void **state)
{
	AUTO_BUF struct buf text = buf_make(100000), report = buf_make(100000);
	struct err err = {0};
	json_t *settings;
	int line;

	(void)state;
	buf_puts(&text, GOOD);
	for (int i = 0; i < 150; i++)
		buf_printf(&text, "unknown%d: 1\n", i);
	assert_int_equal(parse(text.data, &settings, &report, &line, &err), ERR_USER);
	assert_non_null(strstr(buf_text(&report), "config.yaml: and 50 more faults\n"));
}

static void test_example(void **state)
{
	AUTO_BUF struct buf report = buf_make(10000);
	struct err err = {0};
	json_t *settings;
	size_t len = 0;
	int line;
	char *text = sample_read(false, "../../config/examples/config.yaml", &len);

	(void)state;
	assert_non_null(text);
	if (settings_parse(&settings, text, len, "example-org/iris", &report, &line, &err))
		fail_msg("%s", buf_text(&report));
	json_decref(settings);
	mem_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_other_repository),
		cmocka_unit_test(test_many_faults),
		cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
