/* policy_keys.c - see policy_keys.h. */
#include "lib/core/policy_keys.h"

#include <string.h>

#include "lib/base/str.h"

enum { NEAR_MAX = 2, LIST_MAX = 400 };

bool keys_is_null(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && !node->quoted &&
	       (!*node->text || str_eq(node->text, "~") || str_eq_nocase(node->text, "null"));
}

bool keys_is_all(const char *text, const char *allowed)
{
	return *text && !text[strspn(text, allowed)];
}

const char *keys_word(char out[KEYS_WORD_MAX + 1], const char *text)
{
	(void)str_copy(out, KEYS_WORD_MAX + 1, text);
	return out;
}

void keys_unknown(struct keys_reading *reading, const struct yaml_node *at, const char *what,
		  const char *const *known, size_t count, const char *where)
{
	const char *near = str_nearest(at->text, known, count, NEAR_MAX);
	AUTO_BUF struct buf list = buf_make(LIST_MAX);
	char cut[KEYS_WORD_MAX + 1];

	if (near) {
		KEYS_FAULT(reading, at, "unknown %s \"%s\"; did you mean \"%s\"?", what,
			   keys_word(cut, at->text), near);
		return;
	}
	for (size_t i = 0; i < count; i++)
		buf_printf(&list, "%s%s", i ? ", " : "", known[i]);
	KEYS_FAULT(reading, at, "unknown %s \"%s\"; %s has %s", what, keys_word(cut, at->text),
		   where, buf_text(&list));
}

/* True when there is a map to read; nothing at all is an empty one. */
bool keys_is_map(struct keys_reading *reading, struct keys_place at, const char *like)
{
	if (keys_is_null(at.node))
		return false;
	if (at.node->kind == YAML_MAP)
		return true;
	KEYS_FAULT(reading, at.node, "%s must be a map%s%s", at.path, *like ? ", like " : "", like);
	return false;
}

void keys_read(struct keys_reading *reading, struct keys_place at, const struct key *keys,
	       size_t count, void *into)
{
	const char *names[KEYS_COUNT_MAX];

	must(count <= KEYS_COUNT_MAX);
	for (size_t i = 0; i < count; i++)
		names[i] = keys[i].name;
	for (size_t i = 0; i < at.node->count; i++) {
		const struct yaml_node *key = at.node->keys[i];
		size_t k = 0;

		while (k < count && !str_eq(names[k], key->text))
			k++;
		if (k < count) {
			AUTO_FREE char *path =
				str_printf("%s%s%s", at.path, *at.path ? "." : "", key->text);

			keys[k].read(reading, (struct keys_place){at.node->items[i], path}, into);
		} else {
			keys_unknown(reading, key, "key", names, count,
				     *at.path ? at.path : "the file");
		}
	}
}

/* The text of a scalar that is meant as text; NULL after a fault. */
const char *keys_text(struct keys_reading *reading, struct keys_place at, const char *must_be)
{
	if (at.node->kind == YAML_SCALAR && !keys_is_null(at.node) && *at.node->text)
		return at.node->text;
	KEYS_FAULT(reading, at.node, "%s must be %s", at.path, must_be);
	return NULL;
}

/* A whole number without quotes. */
bool keys_number(struct keys_reading *reading, struct keys_place at, int64_t min, int64_t max,
		 int64_t *out)
{
	bool good = at.node->kind == YAML_SCALAR && !at.node->quoted &&
		    str_to_int64(out, at.node->text) && *out >= min && *out <= max;

	if (!good)
		KEYS_FAULT(reading, at.node, "%s must be a whole number from %d to %d", at.path,
			   (int)min, (int)max);
	return good;
}

/* True when there is a list of at most `max` entries, with at least one. */
bool keys_is_list(struct keys_reading *reading, struct keys_place at, size_t max, const char *like)
{
	if (at.node->kind != YAML_LIST)
		KEYS_FAULT(reading, at.node, "%s must be a list, like %s", at.path, like);
	else if (at.node->count > max)
		KEYS_FAULT(reading, at.node, "%s has more than %zu entries", at.path, max);
	else
		return true;
	return false;
}
