/* fuzz_mlmd.c - any bytes as ML Metadata's answer: frames, then each kind of message. */
#include <stdint.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/core/mlmd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const unsigned char *message, size_t len)
{
	AUTO_JSON json_t *artifacts = json_array();
	AUTO_JSON json_t *executions = json_array();
	AUTO_JSON json_t *events = json_array();
	AUTO_JSON json_t *types = json_object();
	AUTO_JSON json_t *outputs = NULL;
	char page[MLMD_TOKEN_MAX];
	const json_t *model;
	struct err err;
	int64_t id = -1;

	(void)!mlmd_read_artifacts(artifacts, page, message, len, &err);
	must(strlen(page) < MLMD_TOKEN_MAX);
	(void)!mlmd_read_executions(executions, page, message, len, &err);
	(void)!mlmd_read_events(events, message, len, &err);
	(void)!mlmd_read_types(types, message, len, &err);
	if (mlmd_read_context(&id, message, len, &err))
		must(id == 0 && err.msg[0]);
	else
		must(id > 0);
	outputs = mlmd_outputs(artifacts, executions, events, types);
	if (model_choose(&model, json_object_get(outputs, "models"), NULL, NULL, &err))
		must(!model && err.class == ERR_USER && err.code[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const headers[2] = {"0", "%41%"};
	const unsigned char *message;
	struct err err;
	size_t len;

	read_all(data, size);
	if (mlmd_unframe(&message, &len, data, size, headers, &err))
		must(!message && !len);
	else
		read_all(message, len);
	return 0;
}
