/* fuzz_pipeline.c - any YAML as a pipeline; what is read is drawn and asked for parameters. */
#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/yaml.h"
#include "lib/core/pipeline.h"

enum { DOCS_MAX = 4, ROOM = 60000, MERMAID_MAX = 50000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every parameter with its own default, and with a text, must be answered, never crash. */
static void check_params(const struct pipeline *pipeline)
{
	json_t *given = json_object(), *out = NULL;
	struct err err = {0};

	for (size_t i = 0; i < pipeline->param_count; i++)
		json_object_set_new(given, pipeline->params[i].name,
				    pipeline->params[i].default_value
					    ? json_incref(pipeline->params[i].default_value)
					    : json_string("[1, {\"a\": 3}]"));
	if (pipeline_check_params(pipeline, given, &out, &err))
		must(err.class == ERR_USER && err.code[0] && err.msg[0] && !out);
	json_decref(out);
	json_decref(given);
}

static void check_drawing(const struct pipeline *pipeline)
{
	json_t *states = json_object();
	struct buf diagram = buf_make(ROOM), list = buf_make(ROOM);

	for (size_t i = 0; i < pipeline->dags[0].task_count; i++)
		json_object_set_new(states, pipeline->dags[0].tasks[i].name, json_string("FAILED"));
	pipeline_draw_mermaid(pipeline, states, &diagram);
	pipeline_draw_text(pipeline, states, &list);
	must(diagram.len <= MERMAID_MAX && str_starts(diagram.data, "flowchart TD\n"));
	must(!strchr(diagram.data, '`') && !strstr(diagram.data, "%%"));
	must(!list.data || !strchr(list.data, '`'));
	buf_dispose(&diagram);
	buf_dispose(&list);
	json_decref(states);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pipeline *pipeline = NULL;
	struct yaml_node **docs;
	json_t *values[DOCS_MAX];
	struct err err = {0};
	size_t count;

	if (yaml_parse(&docs, &count, (const char *)data, size, &err))
		return 0;
	for (size_t i = 0; i < count && i < DOCS_MAX; i++)
		values[i] = yaml_to_json(docs[i]);
	yaml_docs_free(docs, count);
	if (count > DOCS_MAX)
		count = DOCS_MAX;
	if (pipeline_read(&pipeline, (const json_t *const *)values, count, &err)) {
		must(err.class == ERR_USER && str_eq(err.code, "pipeline.invalid") && !pipeline);
	} else {
		check_drawing(pipeline);
		check_params(pipeline);
	}
	pipeline_free(pipeline);
	for (size_t i = 0; i < count; i++)
		json_decref(values[i]);
	return 0;
}
