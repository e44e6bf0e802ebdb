/* fuzz_settings.c - any bytes as YAML and as config_files/config.yaml; what is read must survive a
 * dump and a second reading. */
#include <stdint.h>
#include <string.h>

#include "config/settings.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
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

static void check_yaml(const char *text, size_t size)
{
	struct yaml_node **docs;
	struct err err = {0};
	size_t count;

	if (yaml_parse(&docs, &count, text, size, &err)) {
		must(err.class == ERR_USER && !strncmp(err.msg, "line ", 5));
		return;
	}
	for (size_t i = 0; i < count; i++)
		check_round_trip(docs[i]);
	yaml_docs_free(docs, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf report = buf_make(1 << 20);
	struct err err = {0};
	json_t *settings = NULL;
	int line = 0;

	check_yaml((const char *)data, size);
	if (settings_parse(&settings, (const char *)data, size, "ann/iris", &report, &line, &err)) {
		must(err.class == ERR_USER && str_starts(err.code, "settings.") && !settings);
		must(line > 0 && str_starts(buf_text(&report), "config_files/config.yaml:"));
	} else {
		must(json_is_object(settings) && !report.len);
	}
	json_decref(settings);
	buf_dispose(&report);
	return 0;
}
