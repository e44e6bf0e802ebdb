/* policy_keys.h - how the files that read a policy walk its YAML: by tables of keys.
 *
 * Whatever is not in a map's table is a fault with the nearest key. Private to policy_read.c and
 * policy_environments.c. */
#ifndef KF_CORE_POLICY_KEYS_H
#define KF_CORE_POLICY_KEYS_H

#include "lib/base/yaml.h"
#include "lib/core/policy_impl.h"

#define KEYS_LOWER  "abcdefghijklmnopqrstuvwxyz"
#define KEYS_UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define KEYS_DIGITS "0123456789"

enum {
	KEYS_WORD_MAX = 60,  /* bytes of a foreign word in a message */
	KEYS_COUNT_MAX = 64, /* of one table */
	KEYS_PATH_MAX = 200,
	KEYS_NAME_MAX = 100,
};

struct keys_reading {
	struct policy *policy;
	const struct command_table *table;
};

/* Where a value stands, in the file and in people's words; borrowed. */
struct keys_place {
	const struct yaml_node *node;
	const char *path; /* "environments.production.deploy" */
};

typedef void keys_fn(struct keys_reading *reading, struct keys_place at, void *into);

struct key {
	const char *name;
	keys_fn *read;
};

#define KEYS_FAULT(reading, at, ...)                                                               \
	policy_fault((reading)->policy, (at)->line, (at)->column, __VA_ARGS__)

bool keys_is_null(const struct yaml_node *node);
bool keys_is_all(const char *text, const char *allowed);

/* A foreign word, cut so that a message can bear it. */
const char *keys_word(char out[KEYS_WORD_MAX + 1], const char *text);

/* "unknown key ..." with the nearest of `known`, or all of them. */
void keys_unknown(struct keys_reading *reading, const struct yaml_node *at, const char *what,
		  const char *const *known, size_t count, const char *where);

/* True when there is a map to read; nothing at all is an empty one and no fault. */
bool keys_is_map(struct keys_reading *reading, struct keys_place at, const char *like);
void keys_read(struct keys_reading *reading, struct keys_place at, const struct key *keys,
	       size_t count, void *into);

/* True when there is a list of at most `max` entries. */
bool keys_is_list(struct keys_reading *reading, struct keys_place at, size_t max, const char *like);

/* The text of a scalar that is meant as text; NULL after a fault. */
const char *keys_text(struct keys_reading *reading, struct keys_place at, const char *must_be);

/* A whole number without quotes. */
bool keys_number(struct keys_reading *reading, struct keys_place at, int64_t min, int64_t max,
		 int64_t *out);

/* --- policy_read.c, for policy_environments.c --- */

/* `fallback`: the permission of a rule that names neither level nor people; `least`: of one that
 * only names people. Without quota. */
void policy_read_who(struct keys_reading *reading, struct keys_place at, enum right fallback,
		     enum right least, struct policy_rule *rule);

/* --- policy_environments.c --- */

keys_fn policy_read_environments, policy_read_metrics;
/* What no single key can say. */
void policy_check_together(struct policy *policy);

#endif
