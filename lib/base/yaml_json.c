/* yaml_json.c - the second half of yaml.h: nodes to JSON values, JSON values to block YAML.
 *
 * Plain scalars resolve as PyYAML does, because that is what writes compiled pipelines: a float
 * needs a dot and a signed exponent ("1e5" is text), integers may be decimal, octal (017),
 * hexadecimal or binary, with underscores. What PyYAML would quote when it is text is left as text
 * here: yes, no, on, off, times of day, dates. JSON has no infinity, so .inf and .nan stay text
 * too. Both directions walk with an explicit stack. What is dumped is read back as the same value
 * by yaml_parse and by PyYAML: text is plain only if it is harmless for every YAML reader, else in
 * double quotes. */
#include "lib/base/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

enum {
	DEPTH_MAX = 100,
	NUMBER_MAX = 400,     /* characters of a number; longer ones are text */
	SIMPLE_KEY_MAX = 900, /* YAML wants the long form past 1,024 */
	DUMP_MAX = 512 * 1024 * 1024,
};

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(text, words[i]))
			return true;
	return false;
}

/* [-+]?([0-9][0-9_]*)\.[0-9_]*([eE][-+][0-9]+)? or the same without digits before the dot. */
static bool is_float(const char *text)
{
	const char *at = text + (*text == '-' || *text == '+');
	const char *dot = at + strspn(at, "0123456789_");

	if (*dot != '.' || *at == '_')
		return false;
	if (dot == at && !isdigit((unsigned char)dot[1]))
		return false;
	at = dot + 1 + strspn(dot + 1, "0123456789_");
	if (*at == 'e' || *at == 'E') {
		if (at[1] != '-' && at[1] != '+')
			return false;
		if (!isdigit((unsigned char)at[2]))
			return false;
		at += 2 + strspn(at + 2, "0123456789");
	}
	return !*at;
}

/* The base of an integer in YAML 1.1's forms and where its digits start; 0: not an integer. */
static int int_base(const char *text, const char **digits)
{
	static const struct {
		const char *prefix, *allowed;
		int base;
	} forms[] = {
		{"0x", "0123456789abcdefABCDEF_", 16}, {"0b", "01_", 2}, {"0", "01234567_", 8}};
	const char *at = text + (*text == '-' || *text == '+');

	if (!isdigit((unsigned char)*at))
		return 0;
	*digits = at;
	if (*at != '0' || !at[1])
		return at[strspn(at, "0123456789_")] ? 0 : 10;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const char *rest = at + strlen(forms[i].prefix);

		if (str_starts(at, forms[i].prefix) && rest[strspn(rest, "_")] &&
		    !rest[strspn(rest, forms[i].allowed)]) {
			*digits = rest;
			return forms[i].base;
		}
	}
	return 0;
}

static json_t *real_json(const char *digits, bool negative)
{
	double value = strtod(digits, NULL);

	return isfinite(value) ? json_real(negative ? -value : value) : NULL;
}

/* The number that a plain scalar stands for; NULL when it is none (or too large for JSON). */
static json_t *number_json(const char *text)
{
	bool negative = *text == '-';
	const char *from;
	char clean[NUMBER_MAX + 1];
	size_t len = 0;
	int base = int_base(text, &from);
	long long value;

	if (strlen(text) > NUMBER_MAX)
		return NULL;
	if (!base && !is_float(text))
		return NULL;
	if (!base)
		from = text + (*text == '-' || *text == '+');
	for (; *from; from++)
		if (*from != '_')
			clean[len++] = *from;
	clean[len] = '\0';
	if (!base)
		return real_json(clean, negative);
	errno = 0;
	value = strtoll(clean, NULL, base);
	if (errno)
		return base == 10 ? real_json(clean, negative) : NULL;
	return json_integer(negative ? -value : value);
}

static json_t *scalar_json(const struct yaml_node *node)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
	static const char *const yes[] = {"true", "True", "TRUE"};
	static const char *const no[] = {"false", "False", "FALSE"};
	json_t *value = NULL;

	if (!node->quoted) {
		if (is_one_of(node->text, nulls, ARRAY_LEN(nulls)))
			return json_null();
		if (is_one_of(node->text, yes, ARRAY_LEN(yes)))
			return json_true();
		if (is_one_of(node->text, no, ARRAY_LEN(no)))
			return json_false();
		value = number_json(node->text);
	}
	if (!value)
		value = json_string(node->text);
	must(value);
	return value;
}

static json_t *shallow_json(const struct yaml_node *node)
{
	if (node->kind == YAML_SCALAR)
		return scalar_json(node);
	return node->kind == YAML_LIST ? json_array() : json_object();
}

json_t *yaml_to_json(const struct yaml_node *node)
{
	struct {
		const struct yaml_node *node;
		json_t *json;
		size_t next;
	} open[DEPTH_MAX + 1];
	json_t *root = shallow_json(node);
	size_t depth = 0;

	open[depth++] = (__typeof__(open[0])){node, root, 0};
	while (depth) {
		const struct yaml_node *parent = open[depth - 1].node, *child;
		json_t *into = open[depth - 1].json, *value;
		size_t i = open[depth - 1].next++;

		if (i == parent->count) {
			depth--;
			continue;
		}
		child = parent->items[i];
		value = shallow_json(child);
		if (parent->kind == YAML_LIST)
			must(!json_array_append_new(into, value));
		else
			must(!json_object_set_new(into, parent->keys[i]->text, value));
		if (child->kind == YAML_SCALAR)
			continue;
		must(depth < ARRAY_LEN(open));
		open[depth++] = (__typeof__(open[0])){child, value, 0};
	}
	return root;
}

/* --- JSON to YAML --- */

/* Letters, digits and a few signs only, starting with a letter, and not a word that some reader of
 * YAML takes for something else. */
static bool is_harmless(const char *text, size_t len)
{
	static const char *const words[] = {"null", "true", "false", "yes", "no",
					    "on",   "off",  "y",     "n"};
	static const char signs[] = "_./-";

	if (!len || !(isalpha((unsigned char)*text) || *text == '_' || *text == '/'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && (!text[i] || !strchr(signs, text[i])))
			return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strlen(words[i]) == len && !strncasecmp(text, words[i], len))
			return false;
	return true;
}

/* Length of a UTF-8 sequence that no reader takes for a line break or an unprintable character; 0
 * when it has to be written as an escape, whose code point is then in *code. The text is valid
 * UTF-8. */
static size_t printable(const char *text, unsigned *code)
{
	const unsigned char *s = (const unsigned char *)text;

	*code = s[0];
	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (s[0] < 0xe0) {
		*code = (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
		return *code < 0xa0 ? 0 : 2;
	}
	if (s[0] < 0xf0) {
		*code = (s[0] & 0xfu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
		return *code == 0x2028 || *code == 0x2029 || *code == 0xfeff || *code >= 0xfffe ? 0
												: 3;
	}
	return 4;
}

static size_t escaped_len(unsigned code)
{
	return code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
}

static void put_quoted(struct buf *out, const char *text, size_t len)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < len;) {
		unsigned code;
		size_t plain = printable(text + i, &code);

		if (text[i] == '"' || text[i] == '\\')
			buf_putc(out, '\\');
		if (plain) {
			buf_add(out, text + i, plain);
			i += plain;
			continue;
		}
		if (code == '\n')
			buf_puts(out, "\\n");
		else if (code == '\t')
			buf_puts(out, "\\t");
		else if (code < 0x100)
			buf_printf(out, "\\x%02X", code);
		else
			buf_printf(out, "\\u%04X", code);
		i += escaped_len(code);
	}
	buf_putc(out, '"');
}

static void put_text(struct buf *out, const char *text, size_t len)
{
	if (is_harmless(text, len))
		buf_add(out, text, len);
	else
		put_quoted(out, text, len);
}

/* The shortest digits that read back as the same number, in the form that PyYAML takes for a float.
 */
static void put_real(struct buf *out, double value)
{
	char digits[40], *exponent;

	for (int precision = 15; precision <= 17; precision++) {
		snprintf(digits, sizeof digits, "%.*g", precision, value);
		if (!(strtod(digits, NULL) < value) && !(strtod(digits, NULL) > value))
			break;
	}
	exponent = strchr(digits, 'e');
	if (strchr(digits, '.'))
		buf_puts(out, digits);
	else if (exponent)
		buf_printf(out, "%.*s.0%s", (int)(exponent - digits), digits, exponent);
	else
		buf_printf(out, "%s.0", digits);
}

static bool is_block(const json_t *value)
{
	return json_object_size(value) || json_array_size(value);
}

static void put_leaf(struct buf *out, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		put_text(out, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		buf_printf(out, "%lld", (long long)json_integer_value(value));
		break;
	case JSON_REAL:
		put_real(out, json_real_value(value));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		buf_puts(out, json_is_true(value) ? "true" : "false");
		break;
	case JSON_NULL:
		buf_puts(out, "null");
		break;
	case JSON_OBJECT:
		buf_puts(out, "{}");
		break;
	case JSON_ARRAY:
		buf_puts(out, "[]");
		break;
	}
}

struct open_block {
	json_t *value;
	void *member; /* object: iterator of the next member */
	size_t next;  /* array */
	size_t indent;
	bool on_line; /* its first member goes on the line that the parent began */
};

static void put_indent(struct buf *out, struct open_block *block)
{
	for (size_t i = 0; !block->on_line && i < block->indent; i++)
		buf_putc(out, ' ');
	block->on_line = false;
}

/* Writes "key:" or "-" of the next member and returns its value; NULL at the end. */
static json_t *put_next(struct buf *out, struct open_block *block)
{
	json_t *value;
	const char *key;
	size_t start;

	if (json_is_array(block->value)) {
		if (block->next == json_array_size(block->value))
			return NULL;
		put_indent(out, block);
		buf_putc(out, '-');
		return json_array_get(block->value, block->next++);
	}
	if (!block->member)
		return NULL;
	key = json_object_iter_key(block->member);
	value = json_object_iter_value(block->member);
	put_indent(out, block);
	start = out->len;
	if (strlen(key) > SIMPLE_KEY_MAX / 4) /* an escape is at most four times as long */
		buf_puts(out, "? ");
	put_text(out, key, strlen(key));
	if (out->data[start] == '?') {
		buf_putc(out, '\n');
		put_indent(out, block);
	}
	buf_putc(out, ':');
	block->member = json_object_iter_next(block->value, block->member);
	return value;
}

static struct open_block block_of(json_t *value, const struct open_block *parent)
{
	bool in_list = parent && json_is_array(parent->value);

	return (struct open_block){.value = value,
				   .member = json_is_object(value) ? json_object_iter(value) : NULL,
				   .indent = parent ? parent->indent + 2 : 0,
				   .on_line = in_list};
}

char *yaml_dump(const json_t *value)
{
	AUTO_BUF struct buf out = buf_make(DUMP_MAX);
	AUTO_FREE struct open_block *open = NULL;
	size_t depth = 0, cap = 0;
	/* jansson's iterators want it without const; nothing is changed */
	json_t *next = (json_t *)(uintptr_t)value;

	while (next || depth) {
		if (next && is_block(next)) {
			if (depth == cap)
				open = mem_grow(open, (cap = cap ? 2 * cap : 16) * sizeof *open);
			open[depth] = block_of(next, depth ? &open[depth - 1] : NULL);
			if (depth)
				buf_putc(&out, open[depth].on_line ? ' ' : '\n');
			depth++;
		} else if (next) {
			if (depth)
				buf_putc(&out, ' ');
			put_leaf(&out, next);
			buf_putc(&out, '\n');
		}
		next = depth ? put_next(&out, &open[depth - 1]) : NULL;
		if (!next && depth)
			depth--;
		else if (!depth)
			break;
	}
	must(!out.truncated);
	return buf_take(&out);
}
