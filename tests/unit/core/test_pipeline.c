/* test_pipeline.c - what is read from compiled pipelines of both formats, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "tests/unit/core/pipeline_sample.h"

static const char *const type_names[] = {
	[PARAM_NUMBER_DOUBLE] = "NUMBER_DOUBLE",
	[PARAM_NUMBER_INTEGER] = "NUMBER_INTEGER",
	[PARAM_STRING] = "STRING",
	[PARAM_BOOLEAN] = "BOOLEAN",
	[PARAM_LIST] = "LIST",
	[PARAM_STRUCT] = "STRUCT",
	[PARAM_TASK_FINAL_STATUS] = "TASK_FINAL_STATUS",
	[PARAM_TASK_CONFIG] = "TASK_CONFIG",
};

static const char *const kind_names[] = {
	[TASK_CONTAINER] = "container",
	[TASK_IMPORTER] = "importer",
	[TASK_DAG] = "dag",
	[TASK_OTHER] = "other",
};

/* --- a pipeline in the oracle's words --- */

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *texts(char **items, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(items[i]));
	return list;
}

/* The oracle sorts by component and then by artifact, which is another order than that of the
 * joined names. */
static json_t *name_set(char **items, size_t count)
{
	json_t *set = json_object();

	for (size_t i = 0; i < count; i++)
		json_object_set_new(set, items[i], json_true());
	return set;
}

static json_t *param_words(const struct pipeline_param *param)
{
	json_t *words = json_pack("{s: s, s: s, s: b, s: b}", "name", param->name, "type",
				  type_names[param->type], "optional", param->optional, "required",
				  param->required);

	if (param->default_value)
		json_object_set(words, "default", param->default_value);
	return words;
}

static json_t *task_words(const struct pipeline_task *task)
{
	json_t *words =
		json_pack("{s: s, s: s, s: s, s: o, s: b}", "task", task->name, "component",
			  task->component, "kind", kind_names[task->kind], "depends_on",
			  texts(task->depends_on, task->depends_count), "cache", task->cache);

	if (task->condition)
		json_object_set_new(words, "condition", json_string(task->condition));
	if (task->trigger_strategy)
		json_object_set_new(words, "trigger_strategy", json_string(task->trigger_strategy));
	if (task->iterates)
		json_object_set_new(words, "iterator", json_true());
	if (task->parallelism)
		json_object_set_new(words, "parallelism", json_integer(task->parallelism));
	if (task->retry_max)
		json_object_set_new(words, "retry", json_integer(task->retry_max));
	return words;
}

static json_t *pipeline_words(const struct pipeline *pipeline)
{
	json_t *params = json_array(), *dags = json_object();

	for (size_t i = 0; i < pipeline->param_count; i++)
		json_array_append_new(params, param_words(&pipeline->params[i]));
	for (size_t i = 0; i < pipeline->dag_count; i++) {
		json_t *tasks = json_array();

		for (size_t k = 0; k < pipeline->dags[i].task_count; k++)
			json_array_append_new(tasks, task_words(&pipeline->dags[i].tasks[k]));
		json_object_set_new(dags, pipeline->dags[i].component, tasks);
	}
	return json_pack(
		"{s: o, s: o, s: o, s: i, s: o, s: o, s: o, s: o, s: o}", "pipeline_name",
		text_or_null(pipeline->name), "display_name", text_or_null(pipeline->display_name),
		"sdk", text_or_null(pipeline->sdk_version), "documents",
		pipeline->has_platform_spec ? 2 : 1, "parameters", params, "images",
		texts(pipeline->images, pipeline->image_count), "secrets",
		texts(pipeline->secrets, pipeline->secret_count), "model_outputs",
		name_set(pipeline->model_outputs, pipeline->model_output_count), "dags", dags);
}

/* The oracle says more in three places than a pipeline keeps; its words are brought to ours. */
static json_t *oracle_words(const json_t *expected)
{
	json_t *words = json_deep_copy(expected), *outputs = json_object(), *each, *dag;
	const char *name;
	size_t i;

	json_array_foreach(json_object_get(words, "model_outputs"), i, each)
	{
		char *output =
			str_printf("%s.%s", json_string_value(json_object_get(each, "component")),
				   json_string_value(json_object_get(each, "output")));

		json_object_set_new(outputs, output, json_true());
		mem_free(output);
	}
	json_object_set_new(words, "model_outputs", outputs);
	json_object_del(words, "input_artifacts");
	json_object_foreach(json_object_get(words, "dags"), name, dag)
	{
		json_array_foreach(dag, i, each)
		{
			json_t *retry = json_object_get(each, "retry");

			json_object_del(each, "display_name");
			if (json_object_get(each, "iterator"))
				json_object_set_new(each, "iterator", json_true());
			if (retry)
				json_object_set_new(
					each, "retry",
					json_integer((json_int_t)json_number_value(
						json_object_get(retry, "maxRetryCount"))));
		}
	}
	return words;
}

static void check_against_oracle(const char *name, const json_t *expected)
{
	char *file = str_printf("samples/kfp-ir/%s.yaml", name);
	struct pipeline *pipeline = pipeline_from_file(true, file);
	json_t *got = pipeline_words(pipeline), *want = oracle_words(expected);

	if (!json_equal(got, want)) {
		char *got_text = json_dumps(got, JSON_SORT_KEYS);
		char *want_text = json_dumps(want, JSON_SORT_KEYS);

		fail_msg("%s\n got %s\nwant %s", name, got_text, want_text);
	}
	json_decref(got);
	json_decref(want);
	pipeline_free(pipeline);
	mem_free(file);
}

static void test_oracle(void **state)
{
	size_t len, count = 0;
	char *text = sample_read(true, "samples/kfp-ir/expected.json", &len);
	json_t *expected, *each;
	const char *name;

	(void)state;
	if (!text) {
		print_message("skipped: no shared samples\n");
		skip();
	}
	expected = json_loadb(text, len, 0, NULL);
	json_object_foreach(expected, name, each)
	{
		check_against_oracle(name, each);
		count++;
	}
	assert_int_equal(count, 36);
	json_decref(expected);
	mem_free(text);
}

static void check_invalid(const char *name, void *arg)
{
	char *file = str_printf("samples/kfp-ir-invalid/%s", name);
	struct pipeline *pipeline;
	struct err err = {0};
	size_t len;
	char *text = sample_read(true, file, &len);

	(void)arg;
	assert_int_equal(pipeline_from_text(&pipeline, text, len, &err), ERR_USER);
	assert_string_equal(err.code, "pipeline.invalid");
	assert_null(pipeline);
	mem_free(text);
	mem_free(file);
}

static void test_invalid_samples(void **state)
{
	size_t count = sample_each(true, "samples/kfp-ir-invalid", ".yaml", check_invalid, NULL);

	(void)state;
	if (!count) {
		print_message("skipped: no shared samples\n");
		skip();
	}
	assert_int_equal(count, 3);
}

static const struct {
	const char *file, *name, *params, *images, *dags;
} argo_samples[] = {
	{"arguments-parameters", "arguments-parameters", "param1=hello param2!",
	 "docker/whalesay:latest", "root: whalesay"},
	{"basic", "Save Most Frequent", "message! outputpath!",
	 "google/cloud-sdk python:3.5-jessie",
	 "root: exit-handler-1/dag exiting(exit-handler-1)* exit-handler-1: get-frequent "
	 "save(get-frequent)"},
	{"coin", "pipeline flip coin", "", "alpine:3.6 python:alpine3.6",
	 "root: condition-1(flip)?/dag condition-3(condition-1,flip)?/dag flip condition-1: "
	 "condition-2(flip-again)?/dag flip-again condition-2: print1 condition-3: print2"},
	{"default_value", "Default Value", "url=gs://ml-pipeline/shakespeare1.txt",
	 "google/cloud-sdk library/bash", "root: download echo(download)"},
	{"loop_over_lightweight_output", "Loop over lightweight output", "", "busybox",
	 "root: for-loop-1(produce-list)#/dag produce-list for-loop-1: consume-data"},
	{"withparam_output", "my-pipeline", "", "library/bash:4.4.23 python:alpine3.6",
	 "root: for-loop-1(my-out-cop0)#/dag my-out-cop0 my-out-cop2(my-out-cop0) for-loop-1: "
	 "my-in-cop1"},
};

static void put_task(struct buf *out, const struct pipeline_task *task)
{
	buf_printf(out, "%s%s", out->len ? " " : "", task->name);
	for (size_t i = 0; i < task->depends_count; i++)
		buf_printf(out, "%c%s", i ? ',' : '(', task->depends_on[i]);
	buf_puts(out, task->depends_count ? ")" : "");
	buf_puts(out, task->condition ? "?" : "");
	buf_puts(out, task->iterates ? "#" : "");
	buf_puts(out, task->trigger_strategy ? "*" : "");
	buf_puts(out, task->kind == TASK_DAG ? "/dag" : task->kind == TASK_OTHER ? "/other" : "");
}

static char *dag_line(const struct pipeline *pipeline)
{
	struct buf out = buf_make(10000);

	for (size_t i = 0; i < pipeline->dag_count; i++) {
		buf_printf(&out, "%s%s:", i ? " " : "", pipeline->dags[i].component);
		for (size_t k = 0; k < pipeline->dags[i].task_count; k++)
			put_task(&out, &pipeline->dags[i].tasks[k]);
	}
	return buf_take(&out);
}

static char *param_line(const struct pipeline *pipeline)
{
	struct buf out = buf_make(10000);

	for (size_t i = 0; i < pipeline->param_count; i++) {
		const struct pipeline_param *param = &pipeline->params[i];

		buf_printf(&out, "%s%s%s", i ? " " : "", param->name, param->required ? "!" : "");
		if (json_is_string(param->default_value))
			buf_printf(&out, "=%s", json_string_value(param->default_value));
	}
	return buf_take(&out);
}

static char *image_line(const struct pipeline *pipeline)
{
	struct buf out = buf_make(10000);

	for (size_t i = 0; i < pipeline->image_count; i++)
		buf_printf(&out, "%s%s", i ? " " : "", pipeline->images[i]);
	return buf_take(&out);
}

static void assert_take_text(char *take_got, const char *want)
{
	assert_string_equal(take_got, want);
	mem_free(take_got);
}

static void test_argo_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(argo_samples); i++) {
		char *file = str_printf("samples/argo-v1/%s.yaml", argo_samples[i].file);
		struct pipeline *pipeline = pipeline_from_file(true, file);

		mem_free(file);
		if (!pipeline) {
			print_message("skipped: no shared samples\n");
			skip();
		}
		assert_int_equal(pipeline->format, PIPELINE_ARGO);
		assert_string_equal(pipeline->name, argo_samples[i].name);
		assert_take_text(param_line(pipeline), argo_samples[i].params);
		assert_take_text(image_line(pipeline), argo_samples[i].images);
		assert_take_text(dag_line(pipeline), argo_samples[i].dags);
		pipeline_free(pipeline);
	}
}

/* --- our own documents --- */

static void test_own_ir(void **state)
{
	struct pipeline *pipeline = pipeline_from_file(false, "pipeline/churn.yaml");
	const struct pipeline_task *train;

	(void)state;
	assert_non_null(pipeline);
	assert_int_equal(pipeline->format, PIPELINE_IR);
	assert_string_equal(pipeline->name, "churn");
	assert_string_equal(pipeline->display_name, "Churn");
	assert_string_equal(pipeline->sdk_version, "kfp-2.17.0");
	assert_true(pipeline->has_platform_spec);
	assert_take_text(param_line(pipeline),
			 "epochs fast folds kind=tree label! options rate! status");
	assert_take_text(image_line(pipeline), "registry.example/check:1 registry.example/notify:1 "
					       "registry.example/train:2");
	assert_take_text(
		dag_line(pipeline),
		"root: exit-handler-1/dag notify(exit-handler-1)* comp-condition-1: publish "
		"comp-exit-handler-1: condition-1(train)?/dag for-loop-1#/dag load "
		"train(for-loop-1,load) comp-for-loop-1: check");
	assert_int_equal(pipeline->secret_count, 4);
	assert_string_equal(pipeline->secrets[0], "<dynamic>");
	assert_string_equal(pipeline->secrets[1], "registry");
	assert_string_equal(pipeline->secrets[2], "store");
	assert_string_equal(pipeline->secrets[3], "warehouse");
	assert_int_equal(pipeline->model_output_count, 1);
	assert_string_equal(pipeline->model_outputs[0], "comp-train.model");
	assert_string_equal(pipeline->params[3].description, "which model");
	assert_int_equal(json_array_size(pipeline->params[3].literals), 2);
	train = &pipeline->dags[2].tasks[3];
	assert_int_equal(train->retry_max, 3);
	assert_true(train->cache);
	assert_string_equal(train->image, "registry.example/train:2");
	assert_int_equal(pipeline->dags[2].tasks[1].parallelism, 2);
	assert_ptr_equal(pipeline->dags[2].tasks[1].dag, &pipeline->dags[3]);
	assert_int_equal(pipeline->dags[2].tasks[2].kind, TASK_IMPORTER);
	assert_string_equal(pipeline->dags[2].tasks[0].condition,
			    "inputs.parameter_values['pipelinechannel--train-accuracy'] >= 0.9 && "
			    "\"a\" == 'b'");
	pipeline_free(pipeline);
}

static void test_own_argo(void **state)
{
	struct pipeline *pipeline = pipeline_from_file(false, "pipeline/churn-argo.yaml");

	(void)state;
	assert_non_null(pipeline);
	assert_string_equal(pipeline->name, "Churn");
	assert_string_equal(pipeline->description, "Old style.");
	assert_string_equal(pipeline->sdk_version, "1.8.22");
	assert_take_text(param_line(pipeline), "epochs=10 fast=true label! path!");
	assert_int_equal(pipeline->params[0].type, PARAM_NUMBER_INTEGER);
	assert_int_equal(pipeline->params[1].type, PARAM_BOOLEAN);
	assert_int_equal(pipeline->params[3].type, PARAM_STRING);
	assert_take_text(
		image_line(pipeline),
		"registry.example/check:1 registry.example/load:1 registry.example/notify:1 "
		"registry.example/proxy:1 registry.example/train:2");
	assert_take_text(dag_line(pipeline),
			 "root: condition-1(train)?/dag for-loop-1(load)#/dag load "
			 "notify(condition-1,for-loop-1,load,train)* train(for-loop-1,load) "
			 "condition-1: again/other publish tell(again,publish) for-loop-1: check");
	assert_int_equal(pipeline->secret_count, 3);
	assert_string_equal(pipeline->secrets[2], "warehouse");
	assert_int_equal(pipeline->dags[0].tasks[4].retry_max, 3);
	assert_true(pipeline->dags[0].tasks[4].cache);
	assert_int_equal(pipeline->dags[0].tasks[1].parallelism, 2);
	pipeline_free(pipeline);
}

#define IR_HEAD "pipelineInfo: {name: x}\nschemaVersion: 2.1.0\n"
#define IR_TAIL                                                                                    \
	"components: {c: {executorLabel: e}}\n"                                                    \
	"deploymentSpec: {executors: {e: {container: {image: i}}}}\n"
#define ROOT(tasks) IR_HEAD IR_TAIL "root: {dag: {tasks: {" tasks "}}}\n"
#define TASK	    "componentRef: {name: c}"
#define ARGO(spec)                                                                                 \
	"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: w}\nspec: {" spec "}"  \
	"\n"

static const struct {
	const char *name, *yaml, *says;
} invalid[] = {
	{"nothing", "", "empty"},
	{"null", "~\n", "empty"},
	{"a list", "[1]\n", "empty"},
	{"only a platform document", "platforms: {}\n", "pipelineInfo is missing"},
	{"two platform documents", "platforms: {}\n---\nplatforms: {}\n", "two documents"},
	{"two pipelines", ROOT("") "---\n" ROOT(""), "two documents"},
	{"an empty second document", ROOT("") "---\n", "empty"},
	{"misspelt member", "pipelineinfo: {}\nroot: {}\n", "did you mean pipelineInfo"},
	{"unknown member", ROOT("") "somethingElse: 1\n", "somethingElse is not a member"},
	{"no name", "pipelineInfo: {}\nroot: {dag: {}}\n", "no name"},
	{"empty name", "pipelineInfo: {name: ''}\nroot: {dag: {}}\n", "no name"},
	{"name is a number", "pipelineInfo: {name: 3}\nroot: {dag: {}}\n", "no name"},
	{"info is text", "pipelineInfo: x\nroot: {dag: {}}\n", "is text instead of a map"},
	{"no root", IR_HEAD IR_TAIL, "no tasks"},
	{"root is a list", IR_HEAD "root: []\n", "a list instead of a map"},
	{"tasks are a list", IR_HEAD "root: {dag: {tasks: []}}\n", "tasks of root"},
	{"task is text", ROOT("a: b"), "not a map"},
	{"no component", ROOT("a: {}"), "names no component"},
	{"unknown component", ROOT("a: {componentRef: {name: z}}"),
	 "component z, which is not there"},
	{"component without executor",
	 IR_HEAD "components: {c: {}}\nroot: {dag: {tasks: {a: {" TASK "}}}}\n",
	 "neither a dag nor"},
	{"unknown dependency", ROOT("a: {" TASK ", dependentTasks: [z]}"), "waits for z"},
	{"dependency is a number", ROOT("a: {" TASK ", dependentTasks: [1]}"), "not text"},
	{"waits for itself", ROOT("a: {" TASK ", dependentTasks: [a]}"), "wait for each other"},
	{"wait for each other",
	 ROOT("a: {" TASK ", dependentTasks: [b]}, b: {" TASK ", dependentTasks: [a]}"),
	 "tasks of root wait for each other"},
	{"contains itself",
	 IR_HEAD "components: {c: {dag: {tasks: {t: {" TASK "}}}}}\n"
		 "root: {dag: {tasks: {a: {" TASK "}}}}\n",
	 "contains itself"},
	{"contains itself in two steps",
	 IR_HEAD "components: {c: {dag: {tasks: {t: {componentRef: {name: d}}}}}, "
		 "d: {dag: {tasks: {t: {" TASK "}}}}}\nroot: {dag: {tasks: {a: {" TASK "}}}}\n",
	 "contains itself"},
	{"a component called root", IR_HEAD "components: {root: {dag: {}}}\nroot: {dag: {}}\n",
	 "may not be called root"},
	{"unknown type",
	 IR_HEAD "root: {dag: {}, inputDefinitions: {parameters: {p: {parameterType: X}}}}\n",
	 "unknown type X"},
	{"no type", IR_HEAD "root: {dag: {}, inputDefinitions: {parameters: {p: {}}}}\n",
	 "unknown type (none)"},
	{"literals are text",
	 IR_HEAD "root: {dag: {}, inputDefinitions: {parameters: {p: {parameterType: STRING, "
		 "literals: x}}}}\n",
	 "literals of p"},
	{"argo without spec",
	 "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: w}\n", "entrypoint"},
	{"argo without a name",
	 "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {entrypoint: a}\n", "no name"},
	{"argo entrypoint", ARGO("entrypoint: a, templates: [{name: b}]"), "entrypoint"},
	{"argo template twice", ARGO("entrypoint: a, templates: [{name: a}, {name: a}]"),
	 "a is there twice"},
	{"argo template without name", ARGO("entrypoint: a, templates: [{}]"), "template 1"},
	{"argo unknown template",
	 ARGO("entrypoint: a, templates: [{name: a, dag: {tasks: [{name: t, template: z}]}}]"),
	 "template z, which is not there"},
	{"argo unknown dependency",
	 ARGO("entrypoint: a, templates: [{name: a, dag: {tasks: [{name: t, template: a, "
	      "depends: z}]}}]"),
	 "waits for z"},
	{"argo task twice",
	 ARGO("entrypoint: a, templates: [{name: b, container: {}}, {name: a, dag: {tasks: [{name: "
	      "t, template: b}, {name: t, template: b}]}}]"),
	 "t is there twice"},
	{"argo parameter twice",
	 ARGO("entrypoint: a, arguments: {parameters: [{name: p}, {name: p}]}, templates: [{name: "
	      "a, container: {}}]"),
	 "p is there twice"},
	{"argo with a platform document",
	 ARGO("entrypoint: a, templates: [{name: a}]") "---\nplatforms: {}\n", "single document"},
};

static void test_invalid(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(invalid); i++) {
		struct pipeline *pipeline;
		struct err err = {0};

		if (pipeline_from_text(&pipeline, invalid[i].yaml, strlen(invalid[i].yaml), &err) !=
		    ERR_USER)
			fail_msg("%s: not refused (%s)", invalid[i].name, err.msg);
		assert_null(pipeline);
		if (strcmp(err.code, "pipeline.invalid") || !strstr(err.msg, invalid[i].says))
			fail_msg("%s: \"%s\" (%s)", invalid[i].name, err.msg, err.code);
	}
}

static void assert_text_invalid(struct buf *text, const char *says)
{
	struct pipeline *pipeline;
	struct err err = {0};

	assert_int_equal(pipeline_from_text(&pipeline, text->data, text->len, &err), ERR_USER);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" instead of \"%s\"", err.msg, says);
	buf_clear(text);
}

static void put_nested(struct buf *text, int depth)
{
	buf_puts(text, IR_HEAD "components:\n  c: {executorLabel: e}\n");
	for (int i = 1; i <= depth; i++)
		buf_printf(text, "  d%d: {dag: {tasks: {t: {componentRef: {name: %s%.0d}}}}}\n", i,
			   i < depth ? "d" : "c", i < depth ? i + 1 : 0);
	buf_puts(text, "deploymentSpec: {executors: {e: {container: {image: i}}}}\n"
		       "root: {dag: {tasks: {t: {componentRef: {name: d1}}}}}\n");
}

static void test_bounds(void **state)
{
	AUTO_BUF struct buf text = buf_make(8 << 20);
	struct pipeline *pipeline;
	struct err err = {0};

	(void)state;
	put_nested(&text, 16);
	if (pipeline_from_text(&pipeline, text.data, text.len, &err))
		fail_msg("%s", err.msg);
	pipeline_free(pipeline);
	buf_clear(&text);
	put_nested(&text, 17);
	assert_text_invalid(&text, "nested more than 16 deep");
	buf_puts(&text, IR_HEAD IR_TAIL "root:\n  dag:\n    tasks:\n");
	for (int i = 0; i < 2001; i++)
		buf_printf(&text, "      t%d: {" TASK "}\n", i);
	assert_text_invalid(&text, "more than 2000 tasks");
	buf_puts(&text, IR_HEAD IR_TAIL "root:\n  dag: {}\n  inputDefinitions:\n    parameters:\n");
	for (int i = 0; i < 201; i++)
		buf_printf(&text, "      p%d: {parameterType: STRING}\n", i);
	assert_text_invalid(&text, "more than 200 parameters");
	buf_puts(&text, IR_HEAD IR_TAIL "root:\n  dag:\n    tasks:\n");
	for (int i = 0; i < 300; i++) {
		buf_printf(&text, "      t%d:\n        " TASK "\n        dependentTasks: [", i);
		for (int k = 0; k < i; k++)
			buf_printf(&text, "%st%d", k ? ", " : "", k);
		buf_puts(&text, "]\n");
	}
	assert_text_invalid(&text, "more than 20000 dependencies");
}

/* The pair as the server answers it, in one document. */
static void test_server_form(void **state)
{
	static const char text[] =
		"{\"pipeline_spec\": {\"pipelineInfo\": {\"name\": \"x\"}, "
		"\"root\": {\"dag\": {}}}, \"platform_spec\": {\"platforms\": {}}}";
	struct pipeline *pipeline;
	struct err err = {0};

	(void)state;
	assert_int_equal(pipeline_from_text(&pipeline, text, strlen(text), &err), ERR_OK);
	assert_true(pipeline->has_platform_spec);
	assert_int_equal(pipeline->dags[0].task_count, 0);
	pipeline_free(pipeline);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oracle),	     cmocka_unit_test(test_invalid_samples),
		cmocka_unit_test(test_argo_samples), cmocka_unit_test(test_own_ir),
		cmocka_unit_test(test_own_argo),     cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_bounds),	     cmocka_unit_test(test_server_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
