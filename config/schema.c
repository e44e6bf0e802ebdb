/* schema.c - see schema.h.
 *
 * The table is flat: a field belongs to the section that its path names. Sections of the file wait
 * in a list until they are looked at, so nothing recurses. Why not libcyaml's schemas: see
 * docs/decisions/0001-yaml-tree-instead-of-libcyaml.md. */
#include "config/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"

enum {
	TEXT_MAX = 1024 * 1024,
	NEAR_MAX = 3,  /* edits to the nearest key */
	WORD_MAX = 60, /* bytes of a foreign word in a message */
	KEYS_MAX = 64, /* of one section */
	FAULT_MAX = 600,
};

/* --- faults --- */

void schema_fault(struct schema_faults *faults, int line, int column, const char *fmt, ...)
{
	char text[FAULT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	text[str_utf8_cut(text, strlen(text))] = '\0';
	if (faults->count++ >= SCHEMA_FAULTS_MAX)
		return;
	faults->items = mem_grow(faults->items, faults->count * sizeof *faults->items);
	faults->items[faults->count - 1] =
		(struct schema_fault){line, column, faults->count, str_dup(text)};
}

static size_t kept(const struct schema_faults *faults)
{
	return faults->count < SCHEMA_FAULTS_MAX ? faults->count : SCHEMA_FAULTS_MAX;
}

void schema_faults_dispose(struct schema_faults *faults)
{
	for (size_t i = 0; i < kept(faults); i++)
		mem_free(faults->items[i].text);
	mem_free(faults->items);
	*faults = (struct schema_faults){0};
}

static int by_place(const void *a, const void *b)
{
	const struct schema_fault *left = a, *right = b;

	if (left->line != right->line)
		return left->line < right->line ? -1 : 1;
	if (left->column != right->column)
		return left->column < right->column ? -1 : 1;
	return left->order < right->order ? -1 : 1;
}

int schema_report(struct schema_faults *faults, const char *name, struct buf *out)
{
	size_t count = kept(faults);

	if (!count)
		return 0;
	qsort(faults->items, count, sizeof *faults->items, by_place);
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s:%d:%d: %s\n", name, faults->items[i].line,
			   faults->items[i].column, faults->items[i].text);
	if (faults->count > count)
		buf_printf(out, "%s: and %zu more faults\n", name, faults->count - count);
	return faults->items[0].line;
}

/* --- the table --- */

/* The last part of a path when `path` is directly below `section` ("" is the top), else NULL. */
static const char *key_below(const char *path, const char *section)
{
	size_t len = strlen(section);

	if (len) {
		if (strncmp(path, section, len) != 0 || path[len] != '.')
			return NULL;
		path += len + 1;
	}
	return strchr(path, '.') ? NULL : path;
}

static const struct schema_field *field_below(const struct schema *schema, const char *section,
					      const char *key)
{
	for (size_t i = 0; i < schema->count; i++) {
		const char *known = key_below(schema->fields[i].path, section);

		if (known && str_eq(known, key))
			return &schema->fields[i];
	}
	return NULL;
}

const struct schema_field *schema_find(const struct schema *schema, const char *path)
{
	char plain[SCHEMA_PATH_MAX];
	size_t len = 0;

	for (; *path && len < sizeof plain - 1; path++) {
		plain[len++] = *path;
		if (*path == '[')
			path += strspn(path + 1, "0123456789");
	}
	plain[len] = '\0';
	for (size_t i = 0; i < schema->count; i++)
		if (str_eq(schema->fields[i].path, plain))
			return &schema->fields[i];
	return NULL;
}

/* --- reading --- */

struct section {
	const struct yaml_node *node;  /* map; NULL: not in the file */
	int line, column;	       /* where to complain about what is missing */
	json_t *into;		       /* borrowed from the result */
	char path[SCHEMA_PATH_MAX];    /* as people see it: "clusters[0]" */
	char pattern[SCHEMA_PATH_MAX]; /* as the table has it: "clusters[]" */
};

struct reading {
	const struct schema *schema;
	struct schema_faults *faults;
	json_t *lines;
	struct section *sections;
	size_t count, done;
};

static void set_path(char out[SCHEMA_PATH_MAX], char *take_path)
{
	must(str_copy(out, SCHEMA_PATH_MAX, take_path)); /* the table's paths are short */
	mem_free(take_path);
}

static void join(char out[SCHEMA_PATH_MAX], const char *section, const char *key)
{
	set_path(out, str_printf("%s%s%s", section, *section ? "." : "", key));
}

static bool is_null(const struct yaml_node *node)
{
	json_t *value;
	bool null;

	if (node->kind != YAML_SCALAR)
		return false;
	value = yaml_to_json(node);
	null = json_is_null(value);
	json_decref(value);
	return null;
}

static void add_section(struct reading *reading, struct section section)
{
	size_t count = reading->count++;

	if (!(count & (count - 1)))
		reading->sections = mem_grow(reading->sections,
					     (count ? 2 * count : 1) * sizeof *reading->sections);
	reading->sections[count] = section;
}

static void fault_unknown(struct reading *reading, const struct section *section,
			  const struct yaml_node *key)
{
	const char *words[KEYS_MAX], *near;
	AUTO_BUF struct buf list = buf_make(400);
	size_t count = 0;
	int word = (int)str_utf8_cut(key->text, strnlen(key->text, WORD_MAX));

	for (size_t i = 0; i < reading->schema->count && count < KEYS_MAX; i++) {
		const char *known = key_below(reading->schema->fields[i].path, section->pattern);

		if (!known)
			continue;
		buf_printf(&list, "%s%s", count ? ", " : "", known);
		words[count++] = known;
	}
	near = str_nearest(key->text, words, count, NEAR_MAX);
	if (near)
		schema_fault(reading->faults, key->line, key->column,
			     "unknown key \"%.*s\"; did you mean \"%s\"?", word, key->text, near);
	else
		schema_fault(reading->faults, key->line, key->column,
			     "unknown key \"%.*s\"; %s%s has %s", word, key->text,
			     *section->path ? "" : "the file", section->path, buf_text(&list));
}

/* A scalar's text, or NULL after a fault: numbers may stand where text is wanted, since "1.10" is
 * one. */
static const char *scalar_text(struct reading *reading, const struct schema_field *field,
			       const char *path, const struct yaml_node *node)
{
	bool wants_text = field->type != SCHEMA_INT && field->type != SCHEMA_BOOL;
	json_t *value = node->kind == YAML_SCALAR ? yaml_to_json(node) : NULL;
	bool is_bool = json_is_boolean(value), is_null_value = json_is_null(value);

	json_decref(value);
	if (!value)
		schema_fault(reading->faults, node->line, node->column,
			     "%s must be a single value, not a %s", path,
			     node->kind == YAML_LIST ? "list" : "map");
	else if (wants_text && (is_bool || is_null_value))
		schema_fault(reading->faults, node->line, node->column,
			     "%s must be text: put it in quotes", path);
	else if (!wants_text && node->quoted)
		schema_fault(reading->faults, node->line, node->column,
			     "%s must be %s, without quotes", path,
			     field->type == SCHEMA_INT ? "a whole number" : "true or false");
	else
		return node->text;
	return NULL;
}

static json_t *read_scalar(struct reading *reading, const struct schema_field *field,
			   const char *path, const struct yaml_node *node)
{
	const char *text = scalar_text(reading, field, path, node);
	AUTO_FREE char *why = NULL;
	json_t *value;

	if (!text)
		return NULL;
	value = schema_value(field, text, &why);
	if (!value)
		schema_fault(reading->faults, node->line, node->column, "%s %s", path, why);
	return value;
}

static json_t *read_texts(struct reading *reading, const struct schema_field *field,
			  const char *path, const struct yaml_node *node)
{
	json_t *list;

	if (node->kind != YAML_LIST) {
		schema_fault(reading->faults, node->line, node->column, "%s must be a list", path);
		return NULL;
	}
	list = json_array();
	for (size_t i = 0; i < node->count; i++) {
		char item[SCHEMA_PATH_MAX];
		json_t *value;

		set_path(item, str_printf("%s[%zu]", path, i));
		value = read_scalar(reading, field, item, node->items[i]);
		if (value)
			json_array_append_new(list, value);
	}
	return list;
}

static json_t *read_section(struct reading *reading, const struct schema_field *field,
			    const char *path, const struct yaml_node *node, int line, int column)
{
	struct section section = {
		.node = node, .line = line, .column = column, .into = json_object()};

	if (node && is_null(node)) {
		section.node = NULL;
	} else if (node && node->kind != YAML_MAP) {
		schema_fault(reading->faults, line, column, "%s must be a map", path);
		return section.into;
	}
	str_copy(section.path, sizeof section.path, path);
	str_copy(section.pattern, sizeof section.pattern, field->path);
	add_section(reading, section);
	return section.into;
}

static void fault_list_size(struct reading *reading, const struct schema_field *field,
			    const char *path, const struct yaml_node *node)
{
	if ((int64_t)node->count < field->min)
		schema_fault(reading->faults, node->line, node->column,
			     "%s must have at least %d entr%s", path, (int)field->min,
			     field->min == 1 ? "y" : "ies");
	else if (field->max && (int64_t)node->count > field->max)
		schema_fault(reading->faults, node->line, node->column,
			     "%s must have at most %d entries", path, (int)field->max);
}

static json_t *read_list(struct reading *reading, const struct schema_field *field,
			 const char *path, const struct yaml_node *node)
{
	json_t *list = json_array();

	if (node->kind != YAML_LIST) {
		schema_fault(reading->faults, node->line, node->column, "%s must be a list", path);
		return list;
	}
	fault_list_size(reading, field, path, node);
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_node *item = node->items[i];
		struct section section = {.node = item,
					  .line = item->line,
					  .column = item->column,
					  .into = json_object()};

		json_array_append_new(list, section.into);
		set_path(section.path, str_printf("%s[%zu]", path, i));
		set_path(section.pattern, str_printf("%s[]", field->path));
		if (item->kind == YAML_MAP)
			add_section(reading, section);
		else
			schema_fault(reading->faults, item->line, item->column, "%s must be a map",
				     section.path);
	}
	return list;
}

static void read_field(struct reading *reading, const struct section *section,
		       const struct schema_field *field, const struct yaml_node *key,
		       const struct yaml_node *node)
{
	json_t *value;
	char path[SCHEMA_PATH_MAX];

	join(path, section->path, key->text);
	switch (field->type) {
	case SCHEMA_SECTION:
		value = read_section(reading, field, path, node, key->line, key->column);
		break;
	case SCHEMA_LIST:
		value = read_list(reading, field, path, node);
		break;
	case SCHEMA_TEXTS:
		value = read_texts(reading, field, path, node);
		break;
	case SCHEMA_FREE:
		value = node->kind == YAML_MAP ? yaml_to_json(node) : NULL;
		if (!value)
			schema_fault(reading->faults, node->line, node->column, "%s must be a map",
				     path);
		break;
	default:
		value = read_scalar(reading, field, path, node);
	}
	if (reading->lines)
		json_object_set_new(reading->lines, path, json_integer(key->line));
	if (value && field->type != SCHEMA_DROPPED)
		json_object_set(section->into, key->text, value);
	json_decref(value);
}

/* A field that is not in the file: required, a section with defaults of its own, or a default. */
static void fill_in(struct reading *reading, const struct section *section,
		    const struct schema_field *field, const char *key, const struct yaml_node *at)
{
	char path[SCHEMA_PATH_MAX];
	AUTO_FREE char *why = NULL;
	json_t *value = NULL;

	join(path, section->path, key);
	if (field->need == SCHEMA_REQUIRED) {
		schema_fault(reading->faults, at ? at->line : section->line,
			     at ? at->column : section->column, "%s is missing", path);
	} else if (field->type == SCHEMA_SECTION && field->need == SCHEMA_ALWAYS) {
		value = read_section(reading, field, path, NULL, section->line, section->column);
	} else if (field->fallback) {
		value = schema_value(field, field->fallback, &why);
		must(value);
	}
	if (value)
		json_object_set_new(section->into, key, value);
}

static const struct yaml_node *key_of(const struct yaml_node *map, const char *key, size_t *at)
{
	for (size_t i = 0; map && i < map->count; i++)
		if (str_eq(map->keys[i]->text, key)) {
			*at = i;
			return map->keys[i];
		}
	return NULL;
}

static void read_fields_of(struct reading *reading, const struct section *section)
{
	const struct schema *schema = reading->schema;

	for (size_t i = 0; section->node && i < section->node->count; i++)
		if (!field_below(schema, section->pattern, section->node->keys[i]->text))
			fault_unknown(reading, section, section->node->keys[i]);
	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];
		const char *key = key_below(field->path, section->pattern);
		const struct yaml_node *at;
		size_t index = 0;

		if (!key)
			continue;
		at = key_of(section->node, key, &index);
		if (at && !is_null(section->node->items[index]))
			read_field(reading, section, field, at, section->node->items[index]);
		else
			fill_in(reading, section, field, key, at);
	}
}

static json_t *read_tree(const struct schema *schema, const struct yaml_node *root, json_t *lines,
			 struct schema_faults *faults)
{
	struct reading reading = {.schema = schema, .faults = faults, .lines = lines};
	json_t *result = json_object();

	if (root && is_null(root))
		root = NULL;
	if (root && root->kind != YAML_MAP) {
		schema_fault(faults, root->line, root->column,
			     "the file must be a map of sections");
		root = NULL;
	}
	add_section(&reading,
		    (struct section){.node = root, .line = 1, .column = 1, .into = result});
	while (reading.done < reading.count) {
		struct section section = reading.sections[reading.done++];

		read_fields_of(&reading, &section);
	}
	mem_free(reading.sections);
	return result;
}

static void fault_from_yaml(struct schema_faults *faults, const struct err *err)
{
	int line, column;
	const char *why = yaml_fault_place(err, &line, &column);

	schema_fault(faults, line, column, "%s", why);
}

json_t *schema_read(const struct schema *schema, const char *text, size_t len, json_t *lines,
		    struct schema_faults *faults)
{
	struct yaml_node **docs;
	struct err err = {0};
	json_t *result;
	size_t count;

	if (len > TEXT_MAX) {
		schema_fault(faults, 1, 1, "the file is larger than %d MiB", TEXT_MAX >> 20);
		return json_object();
	}
	if (yaml_parse(&docs, &count, text, len, &err)) {
		fault_from_yaml(faults, &err);
		return json_object();
	}
	if (count > 1)
		schema_fault(faults, docs[1]->line, docs[1]->column,
			     "a second document begins here; the file must be a single one");
	result = read_tree(schema, count ? docs[0] : NULL, lines, faults);
	yaml_docs_free(docs, count);
	return result;
}
