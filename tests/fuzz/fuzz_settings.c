/* fuzz_settings.c - any bytes as config_files/config.yaml. */
#include <stdint.h>
#include <string.h>

#include "config/settings.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf report = buf_make(1 << 20);
	struct err err = {0};
	json_t *settings = NULL;
	int line = 0;

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
