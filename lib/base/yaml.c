/* yaml.c - see yaml.h. libyaml's events become our own nodes.
 *
 * Events instead of libyaml's document tree: that one resolves aliases before anybody can refuse
 * them and has no bound on depth or size. The tree is built with an explicit stack of open
 * containers; a node hangs on its parent from the moment it exists, so whatever is there when a
 * fault stops the reading is freed like a finished tree. Doubled keys are found when a map ends, by
 * sorting (a map of half a million keys stays cheap). Directives are counted before libyaml sees
 * the text, because it compares each %TAG with all earlier ones. */
#include "lib/base/yaml.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

enum {
	TEXT_MAX = 32 * 1024 * 1024,
	DEPTH_MAX = 100,
	NODES_MAX = 500000,
	DIRECTIVES_MAX = 16,
	SHOWN_MAX = 64, /* bytes of a foreign word in a message */
};

struct reader {
	yaml_parser_t parser;
	const char *text;
	size_t len;
	struct yaml_node *open[DEPTH_MAX]; /* containers not yet ended */
	size_t depth;
	bool want_value; /* the innermost map has a key without its value */
	struct yaml_node **docs;
	size_t doc_count, node_count;
	struct err *err;
};

#define FAULT(reader, mark, ...) fault(reader, (mark).line, (mark).column, str_printf(__VA_ARGS__))

static enum err_class fault(struct reader *reader, size_t line, size_t column, char *take_message)
{
	enum err_class class = err_set(reader->err, ERR_USER, "line %zu, column %zu: %s", line + 1,
				       column + 1, take_message);

	mem_free(take_message);
	return class;
}

/* A word of the input, cut to what a message can bear. */
static const char *shown(char out[SHOWN_MAX + 4], const char *text)
{
	char cut[SHOWN_MAX + 1];

	if (str_copy(cut, sizeof cut, text))
		str_copy(out, SHOWN_MAX + 4, cut);
	else {
		char *longer = str_printf("%s...", cut);

		str_copy(out, SHOWN_MAX + 4, longer);
		mem_free(longer);
	}
	return out;
}

/* Room for one more in an array that doubles: it is full whenever its count is a power of two. */
static void *grown(void *take_array, size_t count)
{
	if (count & (count - 1))
		return take_array;
	return mem_grow(take_array, (count ? 2 * count : 1) * sizeof(void *));
}

static struct yaml_node *node_new(enum yaml_kind kind, yaml_mark_t mark)
{
	struct yaml_node *node = mem_new(1, sizeof *node);

	node->kind = kind;
	node->line = (int)mark.line + 1;
	node->column = (int)mark.column + 1;
	return node;
}

/* Hangs a node where the events say it belongs: a document, a member, a key or its value. */
static enum err_class attach(struct reader *reader, struct yaml_node *take_node, yaml_mark_t mark)
{
	struct yaml_node *parent = reader->depth ? reader->open[reader->depth - 1] : NULL;

	if (!parent) {
		reader->docs = grown(reader->docs, reader->doc_count);
		reader->docs[reader->doc_count++] = take_node;
	} else if (reader->want_value) {
		parent->items[parent->count - 1] = take_node;
		reader->want_value = false;
	} else if (parent->kind == YAML_LIST) {
		parent->items = grown(parent->items, parent->count);
		parent->items[parent->count++] = take_node;
	} else {
		parent->keys = grown(parent->keys, parent->count);
		parent->items = grown(parent->items, parent->count);
		parent->keys[parent->count] = take_node;
		parent->items[parent->count++] = NULL;
		reader->want_value = true;
		if (take_node->kind != YAML_SCALAR || (!take_node->quoted && !*take_node->text))
			return FAULT(reader, mark, "a key must be plain text");
		if (!take_node->quoted && str_eq(take_node->text, "<<"))
			return FAULT(reader, mark, "merge keys (<<) are not supported");
	}
	if (++reader->node_count > NODES_MAX)
		return FAULT(reader, mark, "more than %d values", NODES_MAX);
	return ERR_OK;
}

/* What a tag of the core schema says about a scalar; anything else is refused. */
static enum err_class apply_tag(struct reader *reader, struct yaml_node *node, const char *tag,
				const yaml_event_t *event)
{
	static const char *const resolved[] = {YAML_NULL_TAG, YAML_BOOL_TAG, YAML_INT_TAG,
					       YAML_FLOAT_TAG};
	char word[SHOWN_MAX + 4];

	if (str_eq(tag, "!") || str_eq(tag, YAML_STR_TAG)) {
		node->quoted = true;
		return ERR_OK;
	}
	for (size_t i = 0; i < ARRAY_LEN(resolved); i++) {
		static const json_type kinds[][2] = {{JSON_NULL, JSON_NULL},
						     {JSON_TRUE, JSON_FALSE},
						     {JSON_INTEGER, JSON_INTEGER},
						     {JSON_REAL, JSON_REAL}};
		json_t *value;
		json_type is;

		if (!str_eq(tag, resolved[i]))
			continue;
		node->quoted = false;
		value = yaml_to_json(node);
		is = json_typeof(value);
		json_decref(value);
		if (is == kinds[i][0] || is == kinds[i][1])
			return ERR_OK;
		return FAULT(reader, event->start_mark, "\"%s\" is not what its tag says",
			     shown(word, node->text));
	}
	return FAULT(reader, event->start_mark, "the tag %s is not supported", shown(word, tag));
}

static enum err_class on_scalar(struct reader *reader, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	size_t len = event->data.scalar.length;
	struct yaml_node *node;
	enum err_class class;

	if (event->data.scalar.anchor)
		return FAULT(reader, event->start_mark, "anchors (&name) are not supported");
	if (memchr(value, '\0', len))
		return FAULT(reader, event->start_mark, "text with a NUL character");
	node = node_new(YAML_SCALAR, event->start_mark);
	node->text = str_dup_len(value, len);
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	class = attach(reader, node, event->start_mark);
	if (!class && tag)
		class = apply_tag(reader, node, tag, event);
	return class;
}

static enum err_class on_start(struct reader *reader, const yaml_event_t *event)
{
	bool is_map = event->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *anchor =
		is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	const char *tag = (const char *)(is_map ? event->data.mapping_start.tag
						: event->data.sequence_start.tag);
	struct yaml_node *node;
	char word[SHOWN_MAX + 4];
	enum err_class class;

	if (anchor)
		return FAULT(reader, event->start_mark, "anchors (&name) are not supported");
	if (tag && !str_eq(tag, "!") && !str_eq(tag, is_map ? YAML_MAP_TAG : YAML_SEQ_TAG))
		return FAULT(reader, event->start_mark, "the tag %s is not supported",
			     shown(word, tag));
	if (reader->depth == DEPTH_MAX)
		return FAULT(reader, event->start_mark, "nested more than %d deep", DEPTH_MAX);
	node = node_new(is_map ? YAML_MAP : YAML_LIST, event->start_mark);
	class = attach(reader, node, event->start_mark);
	reader->open[reader->depth++] = node;
	return class;
}

struct seen_key {
	const char *text;
	size_t index;
};

static int by_text_then_index(const void *a, const void *b)
{
	const struct seen_key *left = a, *right = b;
	int order = strcmp(left->text, right->text);

	return order ? order : left->index < right->index ? -1 : 1;
}

/* The first key of the map that has been there before, or NULL; *first is where it was before. */
static const struct yaml_node *doubled_key(const struct yaml_node *map,
					   const struct yaml_node **first)
{
	struct seen_key *seen = mem_new(map->count, sizeof *seen);
	size_t found = SIZE_MAX;

	for (size_t i = 0; i < map->count; i++)
		seen[i] = (struct seen_key){map->keys[i]->text, i};
	qsort(seen, map->count, sizeof *seen, by_text_then_index);
	for (size_t i = 1; i < map->count; i++)
		if (!strcmp(seen[i].text, seen[i - 1].text) && seen[i].index < found) {
			found = seen[i].index;
			*first = map->keys[seen[i - 1].index];
		}
	mem_free(seen);
	return found == SIZE_MAX ? NULL : map->keys[found];
}

static enum err_class on_end(struct reader *reader)
{
	const struct yaml_node *node = reader->open[--reader->depth], *again, *first = NULL;
	char word[SHOWN_MAX + 4];

	if (node->kind != YAML_MAP || node->count < 2)
		return ERR_OK;
	again = doubled_key(node, &first);
	if (!again)
		return ERR_OK;
	return fault(reader, (size_t)again->line - 1, (size_t)again->column - 1,
		     str_printf("the key \"%s\" is here twice, first in line %d",
				shown(word, again->text), first->line));
}

static enum err_class on_event(struct reader *reader, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(reader, event);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return on_start(reader, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_end(reader);
	case YAML_ALIAS_EVENT:
		return FAULT(reader, event->start_mark, "aliases (*name) are not supported");
	default:
		return ERR_OK;
	}
}

/* libyaml gives a byte offset for bytes that are not text; people need a line and a column. */
static enum err_class fault_at_offset(struct reader *reader, size_t offset, const char *problem)
{
	size_t line = 0, column = 0;

	for (size_t i = 0; i < offset && i < reader->len; i++) {
		unsigned char c = (unsigned char)reader->text[i];

		if (c == '\n') {
			line++;
			column = 0;
		} else if ((c & 0xc0) != 0x80) {
			column++;
		}
	}
	return fault(reader, line, column, str_dup(problem));
}

static enum err_class parser_fault(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	const char *problem = parser->problem ? parser->problem : "not YAML";

	must(parser->error != YAML_MEMORY_ERROR);
	if (parser->error == YAML_READER_ERROR)
		return fault_at_offset(reader, parser->problem_offset, problem);
	if (parser->problem_mark.index < reader->len &&
	    str_starts(problem, "found character that cannot start"))
		problem = "found a character that cannot be here (a tab cannot indent)";
	if (parser->context && parser->context_mark.line < parser->problem_mark.line)
		return FAULT(reader, parser->problem_mark, "%s, %s that starts in line %zu",
			     problem, parser->context, parser->context_mark.line + 1);
	return FAULT(reader, parser->problem_mark, "%s", problem);
}

static enum err_class read_events(struct reader *reader)
{
	enum err_class class = ERR_OK;
	bool ended = false;

	while (!class && !ended) {
		yaml_event_t event;

		if (!yaml_parser_parse(&reader->parser, &event))
			return parser_fault(reader);
		ended = event.type == YAML_STREAM_END_EVENT;
		class = on_event(reader, &event);
		yaml_event_delete(&event);
	}
	return class;
}

static enum err_class check_bounds(const char *text, size_t len, struct err *err)
{
	size_t line = 0, directives = 0;

	if (len > TEXT_MAX)
		return err_set(err, ERR_USER, "line 1, column 1: more than %d MiB of YAML",
			       TEXT_MAX / (1024 * 1024));
	for (const char *at = text, *end = text + len; at && at < end; line++) {
		if (*at == '%' && ++directives > DIRECTIVES_MAX)
			return err_set(err, ERR_USER,
				       "line %zu, column 1: more than %d lines that begin with %%",
				       line + 1, DIRECTIVES_MAX);
		at = memchr(at, '\n', (size_t)(end - at));
		if (at)
			at++;
	}
	return ERR_OK;
}

enum err_class yaml_parse(struct yaml_node ***out_docs, size_t *out_count, const char *text,
			  size_t len, struct err *err)
{
	struct reader *reader;
	enum err_class class;

	*out_docs = NULL;
	*out_count = 0;
	class = check_bounds(text, len, err);
	if (class)
		return class;
	reader = mem_new(1, sizeof *reader);
	reader->text = text;
	reader->len = len;
	reader->err = err;
	must(yaml_parser_initialize(&reader->parser));
	yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, len);
	class = read_events(reader);
	yaml_parser_delete(&reader->parser);
	if (class) {
		yaml_docs_free(reader->docs, reader->doc_count);
	} else {
		*out_docs = reader->docs;
		*out_count = reader->doc_count;
	}
	mem_free(reader);
	return class;
}

static void node_free(struct yaml_node *take_node)
{
	mem_free(take_node->text);
	mem_free(take_node->items);
	mem_free(take_node->keys);
	mem_free(take_node);
}

/* Frees a tree from its leaves: `count` shrinks as members go. A tree cut off by a fault may have a
 * key without a value, or (the one fault that is found late) a container as a key. */
static void tree_free(struct yaml_node *take_root)
{
	struct yaml_node *open[DEPTH_MAX + 2];
	size_t depth = 0;

	open[depth++] = take_root;
	while (depth) {
		struct yaml_node *node = open[depth - 1], *child = NULL;

		if (node->count && node->items[node->count - 1]) {
			child = node->items[node->count - 1];
			node->items[node->count - 1] = NULL;
		} else if (node->count) {
			node->count--;
			child = node->keys ? node->keys[node->count] : NULL;
		} else {
			node_free(node);
			depth--;
		}
		must(depth < ARRAY_LEN(open));
		if (child)
			open[depth++] = child;
	}
}

const char *yaml_fault_place(const struct err *err, int *line, int *column)
{
	int used = 0;

	*line = *column = 1;
	if (sscanf(err->msg, "line %9d, column %9d: %n", line, column, &used) != 2)
		used = 0;
	return err->msg + used;
}

void yaml_docs_free(struct yaml_node **take_docs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		tree_free(take_docs[i]);
	mem_free(take_docs);
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (!map || map->kind != YAML_MAP)
		return NULL;
	for (size_t i = 0; i < map->count; i++)
		if (!strcmp(map->keys[i]->text, key))
			return map->items[i];
	return NULL;
}
