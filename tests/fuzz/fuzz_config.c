/* fuzz_config.c - any bytes as the operator's file; what is taken is printed and looked up. */
#include <stdint.h>

#include "config/config.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf report = buf_make(1 << 20), shown = buf_make(1 << 20);
	struct config *config = NULL;
	struct err err = {0};

	if (config_parse(&config, "k", (const char *)data, size, &report, &err)) {
		must(err.class == ERR_CONFIG && !config && str_starts(buf_text(&report), "k:"));
	} else {
		must(config_text(config, "server.webhook_secret_file"));
		must(config_text(config, "github.web_url"));
		must(config_cluster_count(config) > 0);
		must(config_cluster_of_repo(config, "ann/iris") <
		     (int)config_cluster_count(config));
		config_print(config, &shown);
		must(shown.len);
	}
	config_free(config);
	buf_dispose(&report);
	buf_dispose(&shown);
	return 0;
}
