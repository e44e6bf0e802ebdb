/* config_impl.h - what config.c, config_checks.c and config_print.c share. */
#ifndef KF_CONFIG_CONFIG_IMPL_H
#define KF_CONFIG_CONFIG_IMPL_H

#include <jansson.h>

#include "config/config.h"
#include "config/schema.h"

struct config {
	char *name;	 /* of the file, for people */
	json_t *values;	 /* tree, defaults filled in */
	json_t *lines;	 /* path to line, of what was in the file */
	json_t *derived; /* path to the path it follows from */
};

extern const struct schema config_schema;

/* What no single option can say: the one credential, names that belong together, plain http. Fills
 * in what follows from other options. */
void config_check_together(struct config *config, struct schema_faults *faults);

/* Reads every file that is named, and says what is wrong with it. Keeps nothing of them. */
void config_check_files(const struct config *config, struct schema_faults *faults);

/* The value at "clusters[2].name"; NULL when not set. Borrowed. */
json_t *config_at(const struct config *config, const char *path);

#endif
