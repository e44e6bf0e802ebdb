/* isvc_diff.c - two InferenceServices compared: the merge patch between them, and lines for people.
 *
 * A merge patch and not server-side apply: a patch cannot make an object that somebody has deleted,
 * and it changes nothing that it does not name. KServe's webhook fills in members (the runtime it
 * chose, resources, empty maps) and writes quantities its own way (0.1 as 100m); neither counts as
 * a difference, or every look would see one. Labels and annotations that are only in the live
 * object belong to others and stay; they are compared by their wanted members alone. Walks with an
 * explicit stack of pairs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/isvc_impl.h"

enum { LINES_MAX = 40, PATH_BYTES = 300 };

/* --- values --- */

static bool is_empty(const json_t *value)
{
	return json_is_null(value) || str_eq(json_string_value(value), "") ||
	       (json_is_object(value) && !json_object_size(value)) ||
	       (json_is_array(value) && !json_array_size(value));
}

/* "100m", "2Gi", "0.5", "1e3" as a number. Kubernetes: apimachinery pkg/api/resource. */
static bool quantity(double *out, const json_t *value)
{
	static const struct {
		const char *suffix;
		double factor;
	} suffixes[] = {
		{"", 1},
		{"m", 1e-3},
		{"k", 1e3},
		{"M", 1e6},
		{"G", 1e9},
		{"T", 1e12},
		{"Ki", 1024},
		{"Mi", 1048576},
		{"Gi", 1073741824},
		{"Ti", 1099511627776},
	};
	const char *text = json_string_value(value);
	char *end;

	if (json_is_number(value)) {
		*out = json_number_value(value);
		return true;
	}
	if (!text || !strchr("0123456789.", text[0]) || !text[0])
		return false;
	*out = strtod(text, &end);
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (str_eq(end, suffixes[i].suffix)) {
			*out *= suffixes[i].factor;
			return true;
		}
	return false;
}

static bool same_number(double a, double b)
{
	return fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

static bool same_scalar(const json_t *wanted, const json_t *live, bool is_amount)
{
	double a, b;

	if (json_is_number(wanted) && json_is_number(live))
		return same_number(json_number_value(wanted), json_number_value(live));
	if (is_amount && quantity(&a, wanted) && quantity(&b, live))
		return same_number(a, b);
	return json_equal(wanted, live);
}

/* Members that servers put in where `owner` lacks them. */
static bool is_filled_in(const char *owner, const char *key, const json_t *value)
{
	static const struct {
		const char *owner, *key; /* owner NULL: members of a list */
	} known[] = {
		{"model", "runtime"},
		{"model", "protocolVersion"},
		{"model", "resources"},
		{"model", "name"},
		{"predictor", "canaryTrafficPercent"},
		{"transformer", "canaryTrafficPercent"},
		{"explainer", "canaryTrafficPercent"},
		{NULL, "name"},
		{NULL, "resources"},
		{NULL, "protocol"},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(known[i].owner, owner) && str_eq(known[i].key, key))
			return true;
	return is_empty(value);
}

static bool is_amount_key(const char *key)
{
	return str_eq(key, "requests") || str_eq(key, "limits") || str_eq(key, "sizeLimit");
}

/* --- lists, compared as a whole --- */

struct pair {
	const json_t *wanted, *live;
	bool is_amount;
};

struct pairs {
	struct pair *items;
	size_t count, room;
};

static void push(struct pairs *pairs, struct pair pair)
{
	if (pairs->count == pairs->room) {
		pairs->room = pairs->room ? 2 * pairs->room : 16;
		pairs->items = mem_grow(pairs->items, pairs->room * sizeof *pairs->items);
	}
	pairs->items[pairs->count++] = pair;
}

static bool push_members(struct pairs *pairs, const struct pair *pair)
{
	const json_t *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)pair->wanted, key, value)
	{
		const json_t *other = json_object_get(pair->live, key);

		if (!other && !is_empty(value))
			return false;
		if (other)
			push(pairs,
			     (struct pair){value, other, pair->is_amount || is_amount_key(key)});
	}
	json_object_foreach((json_t *)(uintptr_t)pair->live, key,
			    value) if (!json_object_get(pair->wanted, key) &&
				       !is_filled_in(NULL, key, value)) return false;
	return true;
}

static bool push_pair(struct pairs *pairs, const struct pair *pair)
{
	const json_t *value;
	size_t at;

	if (json_is_object(pair->wanted) && json_is_object(pair->live))
		return push_members(pairs, pair);
	if (!json_is_array(pair->wanted) || !json_is_array(pair->live))
		return same_scalar(pair->wanted, pair->live, pair->is_amount);
	if (json_array_size(pair->wanted) != json_array_size(pair->live))
		return false;
	json_array_foreach(pair->wanted, at, value)
		push(pairs, (struct pair){value, json_array_get(pair->live, at), pair->is_amount});
	return true;
}

static bool same_value(const json_t *wanted, const json_t *live, bool is_amount)
{
	struct pairs pairs = {0};
	bool same = true;

	push(&pairs, (struct pair){wanted, live, is_amount});
	while (same && pairs.count) {
		struct pair top = pairs.items[--pairs.count];

		same = push_pair(&pairs, &top);
	}
	mem_free(pairs.items);
	return same;
}

/* --- the patch --- */

struct level {
	const json_t *wanted, *live;
	json_t *patch;	 /* borrowed from the level above */
	const char *key; /* of this level in its owner */
	bool is_amount;
	bool is_metadata; /* labels, annotations: what is only in the live object stays */
};

struct levels {
	struct level *items;
	size_t count, room;
};

static void descend(struct levels *levels, struct level level)
{
	if (levels->count == levels->room) {
		levels->room = levels->room ? 2 * levels->room : 16;
		levels->items = mem_grow(levels->items, levels->room * sizeof *levels->items);
	}
	levels->items[levels->count++] = level;
}

/* Compares the members of one level; objects become levels of their own. */
static void compare_level(struct levels *levels, const struct level *level)
{
	const json_t *value, *other;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)level->wanted, key, value)
	{
		bool is_amount = level->is_amount || is_amount_key(key);

		other = json_object_get(level->live, key);
		if (json_is_object(value) && json_is_object(other)) {
			json_t *patch = json_object();

			jval_set(level->patch, key, patch);
			descend(levels, (struct level){value, other, patch, key, is_amount,
						       str_eq(level->key, "metadata")});
		} else if (other ? !same_value(value, other, is_amount) : !is_empty(value)) {
			jval_set(level->patch, key, json_deep_copy(value));
		}
	}
	json_object_foreach((json_t *)(uintptr_t)level->live, key,
			    value) if (!level->is_metadata &&
				       !json_object_get(level->wanted, key) &&
				       !is_filled_in(level->key, key, value))
		jval_set(level->patch, key, json_null());
}

/* Takes out the levels without a difference, from the deepest up. */
static void prune(const struct levels *levels)
{
	for (size_t i = levels->count; i-- > 0;) {
		json_t *patch = levels->items[i].patch, *value;
		const char *key;
		void *next;

		json_object_foreach_safe(patch, next, key, value) if (json_is_object(value) &&
								      !json_object_size(value))
			must(json_object_del(patch, key) == 0);
	}
}

/* The parts of an object that are ours to compare. */
static json_t *view_of(const json_t *object)
{
	static const char *const parts[] = {"labels", "annotations"};
	json_t *view = json_object(), *metadata = json_object();
	json_t *spec = jval_at(object, "spec");

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		json_t *part = jval_at(jval_at(object, "metadata"), parts[i]);

		jval_set(metadata, parts[i], part ? json_incref(part) : json_object());
	}
	jval_set(view, "metadata", metadata);
	jval_set(view, "spec", spec ? json_incref(spec) : json_object());
	return view;
}

json_t *isvc_patch(const json_t *live, const json_t *wanted)
{
	AUTO_JSON json_t *have = view_of(live);
	AUTO_JSON json_t *want = view_of(wanted);
	json_t *root = json_object();
	struct levels levels = {0};

	descend(&levels, (struct level){want, have, root, "", false, false});
	for (size_t i = 0; i < levels.count; i++) {
		struct level level = levels.items[i];

		compare_level(&levels, &level);
	}
	prune(&levels);
	mem_free(levels.items);
	return root;
}

/* A promoted canary keeps the name and the marks that it was tried under (isvc_standard.c). */
static json_t *without_marks(const json_t *live)
{
	json_t *out = json_deep_copy(live), *predictor = jval_at(out, "spec.predictor");
	json_t *annotations = json_object_get(predictor, "annotations"), *value;
	const char *key;
	void *next;

	if (str_starts(jval_str(predictor, "name", ""), ISVC_CANARY))
		must(json_object_del(predictor, "name") == 0);
	json_object_foreach_safe(annotations, next, key, value) if (str_starts(key, ISVC_MARK))
		must(json_object_del(annotations, key) == 0);
	return out;
}

bool isvc_is_same(const json_t *live, const json_t *wanted)
{
	AUTO_JSON json_t *plain = without_marks(live);
	AUTO_JSON json_t *patch = isvc_patch(plain, wanted);
	json_t *annotations = jval_at(patch, "metadata.annotations"), *value;
	const char *key;
	void *next;

	json_object_foreach_safe(annotations, next, key, value) if (str_starts(key, ISVC_MARK) ||
								    str_eq(key, ISVC_TAG_ROUTING))
		must(json_object_del(annotations, key) == 0);
	return !json_object_get(patch, "spec") && !json_object_size(annotations) &&
	       !jval_at(patch, "metadata.labels");
}

/* --- lines for people --- */

struct place {
	const json_t *patch, *live;
	char path[PATH_BYTES];
};

struct places {
	struct place *items;
	size_t count, room;
};

static void add_place(struct places *places, const json_t *patch, const json_t *live,
		      const char *path)
{
	struct place *place;

	if (places->count == places->room) {
		places->room = places->room ? 2 * places->room : 16;
		places->items = mem_grow(places->items, places->room * sizeof *places->items);
	}
	place = &places->items[places->count++];
	place->patch = patch;
	place->live = live;
	str_copy(place->path, sizeof place->path, path);
}

static void add_plain(struct buf *line, const char *text)
{
	size_t len = strlen(text);
	size_t cut = len > ISVC_SHOWN_MAX ? str_utf8_cut(text, ISVC_SHOWN_MAX) : len;

	for (size_t i = 0; i < cut; i++)
		buf_putc(line, (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' '
			       : text[i] == '`'					? '\''
										: text[i]);
	if (cut < len)
		buf_puts(line, "...");
}

/* Values of environment variables may be secrets, and lists of containers hold them. */
static bool is_hidden(const char *path, const json_t *value)
{
	AUTO_FREE char *text = json_is_array(value) ? jval_dump(value) : NULL;

	return strstr(path, ".env") || (text && strstr(text, "\"env\""));
}

static void add_value(struct buf *line, const char *path, const json_t *value)
{
	AUTO_FREE char *text = NULL;

	if (!value || json_is_null(value)) {
		buf_puts(line, "(none)");
	} else if (is_hidden(path, value)) {
		buf_puts(line, "(not shown)");
	} else if (json_is_string(value)) {
		add_plain(line, json_string_value(value));
	} else {
		text = jval_dump(value);
		add_plain(line, text);
	}
}

static void add_line(struct buf *out, const char *path, const json_t *patch, const json_t *live)
{
	AUTO_BUF struct buf line = buf_make(4 * ISVC_SHOWN_MAX + PATH_BYTES);

	add_plain(&line, path);
	buf_puts(&line, ": ");
	add_value(&line, path, live);
	buf_puts(&line, " -> ");
	add_value(&line, path, patch);
	buf_putc(&line, '\n');
	buf_puts(out, buf_text(&line));
}

/* One level of the patch: lines for values, places for what lies deeper. */
static size_t show_level(struct buf *out, struct places *places, const struct place *place,
			 size_t shown)
{
	const json_t *value;
	const char *key;
	size_t found = 0;

	json_object_foreach((json_t *)(uintptr_t)place->patch, key, value)
	{
		const json_t *live = json_object_get(place->live, key);
		AUTO_FREE char *whole =
			str_printf("%s%s%s", place->path, *place->path ? "." : "", key);
		char path[PATH_BYTES];

		if (str_starts(key, ISVC_MARK))
			continue;
		str_copy(path, sizeof path, whole);
		if (json_is_object(value)) {
			add_place(places, value, live, path);
			continue;
		}
		if (shown + found++ < LINES_MAX)
			add_line(out, path, value, live);
	}
	return found;
}

size_t isvc_diff(struct buf *out, const json_t *wanted, const json_t *live)
{
	AUTO_JSON json_t *plain = without_marks(live);
	AUTO_JSON json_t *patch = isvc_patch(plain, wanted);
	struct places places = {0};
	size_t found = 0;

	add_place(&places, jval_at(patch, "metadata"), jval_at(live, "metadata"), "");
	add_place(&places, jval_at(patch, "spec"), jval_at(live, "spec"), "");
	for (size_t i = 0; i < places.count; i++) {
		struct place place = places.items[i];

		found += show_level(out, &places, &place, found);
	}
	if (found > LINES_MAX)
		buf_printf(out, "and %zu more\n", found - LINES_MAX);
	mem_free(places.items);
	return found;
}
