/* schema.h - a table says what a YAML file may hold; this checks a tree against it.
 *
 * Used for the operator's file and for a repository's settings. Every fault is reported, not just
 * the first, each with line and column and, for an unknown key, the nearest known one. What comes
 * out is a JSON tree with converted values (durations in milliseconds, sizes in bytes) and defaults
 * filled in. Values of files are never shown in a message. Pure; any thread. */
#ifndef KF_CONFIG_SCHEMA_H
#define KF_CONFIG_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/yaml.h"

enum schema_type {
	SCHEMA_TEXT, /* min, max: bytes */
	SCHEMA_INT,
	SCHEMA_BOOL,
	SCHEMA_DURATION, /* "1h30m"; milliseconds */
	SCHEMA_SIZE,	 /* "64MiB"; bytes */
	SCHEMA_FILE,	 /* name of a file */
	SCHEMA_SECRET,	 /* name of a file that only we may read */
	SCHEMA_URL,	 /* http or https; slashes at the end are cut off */
	SCHEMA_TEXTS,	 /* list of texts; min, max and check are for each */
	SCHEMA_FREE,	 /* map of anything, taken as it is */
	SCHEMA_DROPPED,	 /* text that is accepted and left out of the result */
	SCHEMA_SECTION,	 /* map of the fields below it */
	SCHEMA_LIST,	 /* list of maps of the fields "path[].key"; min, max: how many */
};

enum schema_need {
	SCHEMA_OPTIONAL,
	SCHEMA_REQUIRED, /* if its section is there */
	SCHEMA_ALWAYS,	 /* section: taken as empty when absent, so its defaults are there */
};

/* NULL when the text is good, else the end of "... must be": "a DNS label". */
typedef const char *schema_check(const char *text);

struct schema_field {
	const char *path; /* "github.api_url", "clusters[].name"; sections before what is in them */
	enum schema_type type;
	enum schema_need need;
	const char *fallback; /* as it would be written in the file; NULL: none */
	int64_t min, max;     /* in the unit of the type; max 0: no upper bound */
	schema_check *check;
	const char *help; /* one sentence */
};

struct schema {
	const struct schema_field *fields;
	size_t count;
};

struct schema_fault {
	int line, column;
	size_t order; /* in which they were found: that of the table, within one place */
	char *text;
};

struct schema_faults {
	struct schema_fault *items;
	size_t count; /* all of them; kept are at most SCHEMA_FAULTS_MAX */
};
enum { SCHEMA_FAULTS_MAX = 100, SCHEMA_PATH_MAX = 200 };

void schema_fault(struct schema_faults *faults, int line, int column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void schema_faults_dispose(struct schema_faults *faults);

/* Appends "NAME:LINE:COLUMN: text" lines in the order of the file. Returns the first line number.
 */
int schema_report(struct schema_faults *faults, const char *name, struct buf *out);

/* Parses one YAML document (at most 1 MiB; nothing at all counts as an empty map) and checks it.
 * Returns the values, also when there are faults: then without what was wrong. `lines` (an object,
 * may be NULL) gets the line of every value that was in the file, by its path. The caller drops the
 * result. */
json_t *schema_read(const struct schema *schema, const char *text, size_t len, json_t *lines,
		    struct schema_faults *faults) MUST_CHECK;

/* One value of a field from its text; NULL with the end of a sentence in *why ("must be ..."). */
json_t *schema_value(const struct schema_field *field, const char *text, char **why) MUST_CHECK;

/* A value as it would be written in the file: "2m", "64MiB"; the caller frees. */
char *schema_show(const struct schema_field *field, const json_t *value) MUST_CHECK;

/* The field whose path this is, with "[3]" read as "[]"; NULL when there is none. */
const struct schema_field *schema_find(const struct schema *schema, const char *path);

#endif
