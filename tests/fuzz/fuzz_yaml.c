/* fuzz_yaml.c - any bytes through yaml_parse; what is read must survive a dump and a second
 * reading. */
#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct yaml_node *node)
{
	json_t *value = yaml_to_json(node), *again;
	char *text = yaml_dump(value);
	struct yaml_node **docs;
	struct err err = {0};
	size_t count;

	must(!yaml_parse(&docs, &count, text, strlen(text), &err));
	must(count == 1);
	again = yaml_to_json(docs[0]);
	must(json_equal(value, again));
	json_decref(value);
	json_decref(again);
	yaml_docs_free(docs, count);
	mem_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct yaml_node **docs;
	struct err err = {0};
	size_t count;

	if (yaml_parse(&docs, &count, (const char *)data, size, &err)) {
		must(err.class == ERR_USER && !strncmp(err.msg, "line ", 5));
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		check_round_trip(docs[i]);
	yaml_docs_free(docs, count);
	return 0;
}
