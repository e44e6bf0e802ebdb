/* yaml.h - YAML as a tree that remembers where everything stood. The only file that knows libyaml.
 *
 * Used for configuration (line and column in every message) and for compiled pipelines (as JSON).
 * Bounds: 32 MiB of text, depth 100, 500,000 nodes. No aliases or anchors, no tags beyond the core
 * schema, no doubled keys, no keys that are not plain text: each is refused with its place. Scalars
 * are resolved by YAML 1.1's core rules as PyYAML writes them (null, true/false, integers, floats;
 * anything quoted is text; "yes", "no", "on", "off", dates and "1e5" stay text). Any thread. */
#ifndef KF_BASE_YAML_H
#define KF_BASE_YAML_H

#include <jansson.h>
#include <stddef.h>

#include "lib/base/err.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	int line, column;	  /* from 1 */
	char *text;		  /* scalar: its value as written; NULL otherwise */
	bool quoted;		  /* scalar in quotes or a block: always text */
	struct yaml_node **items; /* list: members; map: values */
	struct yaml_node **keys;  /* map: scalars, same order */
	size_t count;
};

/* Parses every document of the text. USER with "line L, column C: ..." on the first fault. */
enum err_class yaml_parse(struct yaml_node ***out_docs, size_t *out_count, const char *text,
			  size_t len, struct err *err) MUST_CHECK;
/* The sentence of such a fault without its place, which goes into line and column. */
const char *yaml_fault_place(const struct err *err, int *line, int *column);
/* Not "yaml_free": libyaml exports a function of that name and would call ours. */
void yaml_docs_free(struct yaml_node **take_docs, size_t count);

/* Member of a map, NULL when absent or not a map. Borrowed. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* The same as a JSON value; the caller drops it. */
json_t *yaml_to_json(const struct yaml_node *node) MUST_CHECK;

/* A JSON value as block YAML; the caller frees. For pipelines that are changed before upload. */
char *yaml_dump(const json_t *value) MUST_CHECK;

#endif
