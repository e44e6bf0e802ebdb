/* test_pipeline_draw.c - the graph as Mermaid and as a list: shapes, states, hostile names, limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "tests/unit/core/pipeline_sample.h"

enum { MERMAID_MAX = 50000, EDGES_MAX = 500 };

static struct pipeline *from_text(const char *text, size_t len)
{
	struct pipeline *pipeline = NULL;
	struct err err = {0};

	if (pipeline_from_text(&pipeline, text, len, &err))
		fail_msg("%s", err.msg);
	return pipeline;
}

static void test_shapes_and_states(void **state)
{
	static const char want[] =
		"flowchart TD\n"
		"  subgraph n1[\"exit-handler-1\"]\n"
		"    n2[[\"for each item, at most 2 at a time\"]]\n"
		"    subgraph n3[\"for-loop-1\"]\n"
		"      n4[\"check\"]\n"
		"    end\n"
		"    n5([\"load\"])\n"
		"    n6[\"train\"]\n"
		"    n7{\"train-accuracy #62;= 0.9 #38;#38; #34;a#34; == 'b'\"}\n"
		"    subgraph n8[\"condition-1\"]\n"
		"      n9[\"publish\"]\n"
		"    end\n"
		"    n6 --> n7\n"
		"    n7 --> n8\n"
		"    n2 --> n3\n"
		"    n3 --> n6\n"
		"    n5 --> n6\n"
		"  end\n"
		"  n10[\"notify\"]\n"
		"  n1 -.-> n10\n"
		"  classDef succeeded fill:#dafbe1,stroke:#1a7f37,color:#1f2328\n"
		"  class n5 succeeded\n"
		"  classDef failed fill:#ffebe9,stroke:#cf222e,color:#1f2328\n"
		"  class n4 failed\n"
		"  classDef running fill:#ddf4ff,stroke:#0969da,color:#1f2328\n"
		"  class n6 running\n"
		"  classDef pending fill:#fff8c5,stroke:#9a6700,color:#1f2328\n"
		"  class n10 pending\n"
		"  classDef skipped fill:#f6f8fa,stroke:#8c959f,color:#57606a\n"
		"  class n9 skipped\n"
		"  classDef always stroke-dasharray:5 5\n"
		"  class n10 always\n";
	struct pipeline *pipeline = pipeline_from_file(false, "pipeline/churn.yaml");
	json_t *states =
		json_pack("{s: s, s: s, s: s, s: s, s: s}", "load", "SUCCEEDED", "train", "RUNNING",
			  "check", "Failed", "notify", "PENDING", "publish", "SKIPPED");
	AUTO_BUF struct buf out = buf_make(60000);

	(void)state;
	pipeline_draw_mermaid(pipeline, states, &out);
	assert_string_equal(buf_text(&out), want);
	json_decref(states);
	pipeline_free(pipeline);
}

static void test_list(void **state)
{
	static const char want[] =
		"- exit-handler-1\n"
		"  - for-loop-1 (for each item, at most 2 at a time)\n"
		"    - check\n"
		"  - load: SUCCEEDED (importer)\n"
		"  - train: RUNNING (after for-loop-1, load)\n"
		"  - condition-1 (if train-accuracy >= 0.9 && \"a\" == 'b'; after train)\n"
		"    - publish\n"
		"- notify (runs whatever happened before; after exit-handler-1)\n";
	struct pipeline *pipeline = pipeline_from_file(false, "pipeline/churn.yaml");
	json_t *states = json_pack("{s: s, s: s}", "load", "SUCCEEDED", "train", "RUNNING");
	AUTO_BUF struct buf out = buf_make(60000);

	(void)state;
	pipeline_draw_text(pipeline, states, &out);
	assert_string_equal(buf_text(&out), want);
	json_decref(states);
	pipeline_free(pipeline);
}

static void test_without_states(void **state)
{
	struct pipeline *pipeline = pipeline_from_file(false, "pipeline/churn-argo.yaml");
	json_t *odd = json_pack("{s: i, s: s}", "load", 1, "train", "NO_SUCH_STATE");
	AUTO_BUF struct buf one = buf_make(60000), two = buf_make(60000);

	(void)state;
	pipeline_draw_mermaid(pipeline, NULL, &one);
	pipeline_draw_mermaid(pipeline, odd, &two);
	assert_string_equal(buf_text(&one), buf_text(&two));
	assert_null(strstr(buf_text(&one), "class n1 "));
	json_decref(odd);
	pipeline_free(pipeline);
}

#define IR_HEAD                                                                                    \
	"pipelineInfo: {name: x}\ncomponents: {c: {executorLabel: e}, d: {dag: {tasks: {"          \
	"inner: {componentRef: {name: c}}}}}}\n"                                                   \
	"deploymentSpec: {executors: {e: {container: {image: i}}}}\nroot:\n  dag:\n    tasks:\n"

static const struct {
	const char *name;  /* as written in YAML, in double quotes */
	const char *label; /* in the diagram */
	const char *line;  /* in the list */
} labels[] = {
	{"end", "end", "end"},
	{"a\\\"]; b", "a#34;#93;#59; b", "a\"]; b"},
	{"a#b;c", "a#35;b#59;c", "a#b;c"},
	{"<b>&amp;", "#60;b#62;#38;amp#59;", "<b>&amp;"},
	{"%%{init: {}}%%", "#37;#37;#123;init#58; #123;#125;#125;#37;#37;", "%%{init: {}}%%"},
	{"```x", "#96;#96;#96;x", "'''x"},
	{"- x", "#45; x", "- x"},
	{"a\\nb\\tc", "a b c", "a b c"},
	{"@ann #12", "#64;ann #35;12", "@ann #12"},
	{"a direction LR", "a direction#32;LR", "a direction LR"},
	{"a\\u202eb\\u200bc\\u0007d", "abcd", "abcd"},
	{"\\u00e4\\u20ac\\U0001F680", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x9a\x80",
	 "\xc3\xa4\xe2\x82\xac\xf0\x9f\x9a\x80"},
};

static void test_hostile_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		AUTO_BUF struct buf diagram = buf_make(60000), list = buf_make(60000);
		char *text = str_printf(IR_HEAD "      \"%s\": {componentRef: {name: c}}\n",
					labels[i].name);
		char *node = str_printf("flowchart TD\n  n1[\"%s\"]\n", labels[i].label);
		char *line = str_printf("- %s\n", labels[i].line);
		struct pipeline *pipeline = from_text(text, strlen(text));

		pipeline_draw_mermaid(pipeline, NULL, &diagram);
		pipeline_draw_text(pipeline, NULL, &list);
		assert_string_equal(buf_text(&diagram), node);
		assert_string_equal(buf_text(&list), line);
		pipeline_free(pipeline);
		mem_free(text);
		mem_free(node);
		mem_free(line);
	}
}

static void test_hostile_everywhere(void **state)
{
	static const char text[] =
		IR_HEAD "      \"x\\\"y\": {componentRef: {name: d}, triggerPolicy: {condition: "
			"\"1 \\\"] -->\"}}\n"
			"      z: {componentRef: {name: c}, triggerPolicy: {condition: "
			"'inputs.parameter_values["
			"''pipelinechannel--a''] == inputs.parameter_values[''b'}, "
			"parameterIterator: {}}\n";
	static const char want[] =
		"flowchart TD\n"
		"  n1{\"1 #34;#93; --#62;\"}\n"
		"  subgraph n2[\"x#34;y\"]\n"
		"    n3[\"inner\"]\n"
		"  end\n"
		"  n4{\"z if a == inputs.parameter_values#91;'b, for each item\"}\n"
		"  n1 --> n2\n";
	struct pipeline *pipeline = from_text(text, strlen(text));
	AUTO_BUF struct buf out = buf_make(60000);

	(void)state;
	pipeline_draw_mermaid(pipeline, NULL, &out);
	assert_string_equal(buf_text(&out), want);
	pipeline_free(pipeline);
}

/* --- limits --- */

static size_t count_of(const struct buf *text, const char *part)
{
	size_t count = 0;

	for (const char *at = buf_text(text); (at = strstr(at, part)); at += strlen(part))
		count++;
	return count;
}

static void assert_within_limits(const struct buf *out)
{
	assert_in_range(out->len, 10, MERMAID_MAX);
	assert_in_range(count_of(out, " --> ") + count_of(out, " -.-> "), 0, EDGES_MAX);
	assert_int_equal(count_of(out, "subgraph "), count_of(out, "  end\n"));
	assert_int_equal(out->data[out->len - 1], '\n');
}

/* Tasks that all wait for the first one. */
static struct pipeline *star(int tasks)
{
	AUTO_BUF struct buf text = buf_make(1 << 20);

	buf_puts(&text, IR_HEAD "      t0: {componentRef: {name: c}}\n");
	for (int i = 1; i < tasks; i++)
		buf_printf(&text, "      t%d: {componentRef: {name: c}, dependentTasks: [t0]}\n",
			   i);
	return from_text(text.data, text.len);
}

static void test_edges(void **state)
{
	static const struct {
		int tasks;
		size_t edges;
		const char *note;
	} cases[] = {
		{501, 500, NULL},
		{502, 500,
		 "note[\"too large to draw; left out: 0 of the tasks, 1 of the arrows\"]"},
		{1999, 500, "of the arrows"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pipeline *pipeline = star(cases[i].tasks);
		AUTO_BUF struct buf out = buf_make(100000);

		pipeline_draw_mermaid(pipeline, NULL, &out);
		assert_within_limits(&out);
		assert_int_equal(count_of(&out, " --> "), cases[i].edges);
		if (cases[i].note)
			assert_non_null(strstr(out.data, cases[i].note));
		else
			assert_null(strstr(out.data, "note"));
		pipeline_free(pipeline);
	}
}

/* Each level uses the next one twice: opened fully there would be 131,070 tasks. */
static struct pipeline *doubling(void)
{
	AUTO_BUF struct buf text = buf_make(1 << 20);

	buf_puts(&text, "pipelineInfo: {name: x}\ncomponents:\n  c16: {executorLabel: e}\n");
	for (int i = 0; i < 16; i++)
		buf_printf(
			&text,
			"  c%d: {dag: {tasks: {a: {componentRef: {name: c%d}}, b: {componentRef: "
			"{name: c%d}, dependentTasks: [a]}}}}\n",
			i, i + 1, i + 1);
	buf_puts(&text, "deploymentSpec: {executors: {e: {container: {image: i}}}}\n"
			"root: {dag: {tasks: {t: {componentRef: {name: c0}}}}}\n");
	return from_text(text.data, text.len);
}

static void test_deepest_are_closed(void **state)
{
	struct pipeline *pipeline = doubling();
	AUTO_BUF struct buf out = buf_make(100000), list = buf_make(1 << 20);

	(void)state;
	pipeline_draw_mermaid(pipeline, NULL, &out);
	assert_within_limits(&out);
	assert_null(strstr(out.data, "note"));
	assert_non_null(strstr(out.data, "[\"a (2 tasks)\"]"));
	assert_in_range(count_of(&out, "subgraph "), 100, 500);
	pipeline_draw_text(pipeline, NULL, &list);
	assert_int_equal(count_of(&list, "\n"), 1001);
	assert_true(str_ends(list.data, "... the rest is left out\n"));
	pipeline_free(pipeline);
}

static void test_small_room(void **state)
{
	static const size_t rooms[] = {0, 1, 100, 700, 1000, 2000, 10000};
	struct pipeline *pipeline = star(300);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		AUTO_BUF struct buf out = buf_make(rooms[i] + 6);

		buf_puts(&out, "before");
		pipeline_draw_mermaid(pipeline, NULL, &out);
		assert_false(out.truncated);
		if (rooms[i] >= 1000)
			assert_true(str_starts(out.data, "beforeflowchart TD\n"));
		else if (rooms[i] < 100)
			assert_string_equal(out.data, "before");
	}
	pipeline_free(pipeline);
}

/* Every task has every class, long labels and a condition. */
static void test_all_at_once(void **state)
{
	AUTO_BUF struct buf text = buf_make(4 << 20), out = buf_make(100000),
			    list = buf_make(1 << 20);
	json_t *states = json_object();
	struct pipeline *pipeline;

	(void)state;
	buf_puts(&text, IR_HEAD);
	for (int i = 0; i < 1999; i++) {
		char *name = str_printf("%d-\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"", i);

		buf_printf(&text,
			   "      '%s':\n        componentRef: {name: c}\n        triggerPolicy: "
			   "{condition: '##################', strategy: ALL}\n",
			   name);
		json_object_set_new(states, name, json_string(i % 2 ? "RUNNING" : "FAILED"));
		mem_free(name);
	}
	pipeline = from_text(text.data, text.len);
	pipeline_draw_mermaid(pipeline, states, &out);
	assert_within_limits(&out);
	assert_non_null(strstr(out.data, "note[\"too large to draw; left out: 1"));
	pipeline_draw_text(pipeline, states, &list);
	assert_int_equal(count_of(&list, "\n"), 1001);
	json_decref(states);
	pipeline_free(pipeline);
}

static void draw_sample(const char *name, void *arg)
{
	char *file = str_printf("%s/%s", (const char *)arg, name);
	struct pipeline *pipeline = pipeline_from_file(true, file);
	AUTO_BUF struct buf out = buf_make(100000), list = buf_make(100000);

	pipeline_draw_mermaid(pipeline, NULL, &out);
	assert_within_limits(&out);
	assert_null(strstr(out.data, "note["));
	pipeline_draw_text(pipeline, NULL, &list);
	assert_true(str_starts(list.data, "- "));
	pipeline_free(pipeline);
	mem_free(file);
}

static void test_samples(void **state)
{
	static char ir[] = "samples/kfp-ir", argo[] = "samples/argo-v1",
		    made[] = "samples/argo-from-v2";
	size_t count = sample_each(true, ir, ".yaml", draw_sample, ir) +
		       sample_each(true, argo, ".yaml", draw_sample, argo) +
		       sample_each(true, made, ".yaml", draw_sample, made);

	(void)state;
	if (!count) {
		print_message("skipped: no shared samples\n");
		skip();
	}
	assert_int_equal(count, 44);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes_and_states),  cmocka_unit_test(test_list),
		cmocka_unit_test(test_without_states),	   cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_hostile_everywhere), cmocka_unit_test(test_edges),
		cmocka_unit_test(test_deepest_are_closed), cmocka_unit_test(test_small_room),
		cmocka_unit_test(test_all_at_once),	   cmocka_unit_test(test_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
