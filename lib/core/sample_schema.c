/* sample_schema.c - a part of JSON Schema (2020-12), checked strictly.
 *
 * Both walks keep their place in an array of frames instead of calling themselves. Each step goes
 * one level down in the schema, so 32 frames are enough for any value, and a value is looked at
 * once for each place of the schema that describes it. */
#include <stdio.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/sample.h"

enum { LEVELS_MAX = 32, PATH_MAX_LEN = 200, KEY_SHOWN = 60 };

/* A schema under way, and in the second walk the value it describes. */
struct frame {
	json_t *schema, *value;
	void *member;	  /* of properties, next to look at */
	size_t item;	  /* of an array, next to look at */
	const char *key;  /* how we came here: by this member ... */
	size_t key_index; /* ... or by this item, when key is NULL */
	bool is_entered, is_items_done;
};

/* jansson's iterators ask for a value that may change; nothing here changes one. */
static json_t *changeable(const json_t *value)
{
	union {
		const json_t *in;
		json_t *out;
	} both = {.in = value};

	return both.out;
}

/* "predictions[0].label"; `top` at the top. */
static void add_path(struct buf *out, const struct frame *frames, size_t depth, const char *top)
{
	if (depth < 2)
		buf_puts(out, top);
	for (size_t i = 1; i < depth; i++) {
		if (frames[i].key)
			buf_printf(out, "%s%.*s", out->len ? "." : "", KEY_SHOWN, frames[i].key);
		else
			buf_printf(out, "[%zu]", frames[i].key_index);
	}
}

/* --- is the schema one that we understand? --- */

static bool is_type_name(const json_t *name)
{
	static const char *const known[] = {"null",   "boolean", "integer", "number",
					    "string", "array",	 "object"};

	for (size_t i = 0; json_is_string(name) && i < ARRAY_LEN(known); i++)
		if (str_eq(json_string_value(name), known[i]))
			return true;
	return false;
}

static const char *type_fault(const json_t *value)
{
	for (size_t i = 0; i < json_array_size(value); i++)
		if (!is_type_name(json_array_get(value, i)))
			return "names a type that does not exist";
	if (json_is_string(value) && !is_type_name(value))
		return "names a type that does not exist";
	return json_is_string(value) || json_array_size(value)
		       ? NULL
		       : "must be a name or a list of names";
}

static const char *required_fault(const json_t *value)
{
	for (size_t i = 0; i < json_array_size(value); i++)
		if (!json_is_string(json_array_get(value, i)))
			return "must be a list of names";
	return json_is_array(value) ? NULL : "must be a list of names";
}

static const char *properties_fault(const json_t *value)
{
	return json_is_object(value) ? NULL : "must be a map of schemas";
}

static const char *items_fault(const json_t *value)
{
	return json_is_object(value) ? NULL : "must be one schema";
}

static const char *count_fault(const json_t *value)
{
	return json_is_integer(value) && json_integer_value(value) >= 0 ? NULL
									: "must be a number from 0";
}

static const char *enum_fault(const json_t *value)
{
	return json_array_size(value) ? NULL : "must be a list that is not empty";
}

static const char *bound_fault(const json_t *value)
{
	return json_is_number(value) ? NULL : "must be a number";
}

static const struct {
	const char *name;
	const char *(*fault)(const json_t *value);
} keywords[] = {
	{"type", type_fault},	{"required", required_fault}, {"properties", properties_fault},
	{"items", items_fault}, {"minItems", count_fault},    {"maxItems", count_fault},
	{"enum", enum_fault},	{"minimum", bound_fault},     {"maximum", bound_fault},
};

static enum err_class refuse(struct err *err, const struct frame *frames, size_t depth,
			     const char *key, const char *why)
{
	AUTO_BUF struct buf path = buf_make(PATH_MAX_LEN);

	add_path(&path, frames, depth, "the top");
	return err_code(err, ERR_USER, "sample.schema", "the schema at %s: %s%.*s%s%s",
			buf_text(&path), key ? "\"" : "", KEY_SHOWN, key ? key : "",
			key ? "\" " : "", why);
}

/* The keywords of one schema. */
static enum err_class lint_one(const struct frame *frames, size_t depth, struct err *err)
{
	json_t *schema = frames[depth - 1].schema, *value;
	const char *key, *fault;

	if (!json_is_object(schema))
		return refuse(err, frames, depth, NULL, "it must be a map");
	json_object_foreach(schema, key, value)
	{
		size_t i = 0;

		while (i < ARRAY_LEN(keywords) && !str_eq(key, keywords[i].name))
			i++;
		if (i == ARRAY_LEN(keywords))
			return refuse(err, frames, depth, key,
				      "is not understood (type, required, properties, items, "
				      "minItems, maxItems, enum, minimum and maximum are)");
		fault = keywords[i].fault(value);
		if (fault)
			return refuse(err, frames, depth, key, fault);
	}
	return ERR_OK;
}

/* The next schema inside of this one; false when there is none left. */
static bool next_schema(struct frame *at, struct frame *out)
{
	json_t *properties = json_object_get(at->schema, "properties");
	json_t *items = json_object_get(at->schema, "items");

	if (at->member) {
		*out = (struct frame){.schema = json_object_iter_value(at->member),
				      .key = json_object_iter_key(at->member)};
		at->member = json_object_iter_next(properties, at->member);
		return true;
	}
	if (!items || at->is_items_done)
		return false;
	at->is_items_done = true;
	*out = (struct frame){.schema = items};
	return true;
}

enum err_class sample_schema_lint(const json_t *schema, struct err *err)
{
	struct frame frames[LEVELS_MAX] = {{.schema = changeable(schema)}}, next;

	for (size_t depth = 1; depth;) {
		struct frame *at = &frames[depth - 1];

		if (!at->is_entered) {
			enum err_class class = lint_one(frames, depth, err);

			if (class)
				return class;
			at->is_entered = true;
			at->member = json_object_iter(json_object_get(at->schema, "properties"));
		}
		if (!next_schema(at, &next))
			depth--;
		else if (depth == LEVELS_MAX)
			return refuse(err, frames, depth, NULL, "it has more than 32 levels");
		else
			frames[depth++] = next;
	}
	return ERR_OK;
}

/* --- does a value fit? --- */

static const char *type_of(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "object",   [JSON_ARRAY] = "array", [JSON_STRING] = "string",
		[JSON_INTEGER] = "integer", [JSON_REAL] = "number", [JSON_TRUE] = "boolean",
		[JSON_FALSE] = "boolean",   [JSON_NULL] = "null",
	};

	return names[json_typeof(value)];
}

static bool is_whole(double number)
{
	return number >= -9.2e18 && number <= 9.2e18 && number == (double)(int64_t)number;
}

static bool is_of_type(const json_t *value, const char *type)
{
	if (str_eq(type, "number"))
		return json_is_number(value);
	if (str_eq(type, "integer") && json_is_real(value))
		return is_whole(json_real_value(value));
	return str_eq(type, type_of(value));
}

static bool fits_type(const json_t *value, const json_t *type)
{
	if (json_is_string(type))
		return is_of_type(value, json_string_value(type));
	for (size_t i = 0; i < json_array_size(type); i++)
		if (is_of_type(value, json_string_value(json_array_get(type, i))))
			return true;
	return !type;
}

static bool is_same(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b))
		return !(json_number_value(a) < json_number_value(b)) &&
		       !(json_number_value(a) > json_number_value(b));
	return json_equal(a, b);
}

static bool is_listed(const json_t *value, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (is_same(value, json_array_get(list, i)))
			return true;
	return !list;
}

/* The first name in `required` that the object does not have. */
static const char *missing(const json_t *value, const json_t *required)
{
	for (size_t i = 0; json_is_object(value) && i < json_array_size(required); i++) {
		const char *name = json_string_value(json_array_get(required, i));

		if (!json_object_get(value, name))
			return name;
	}
	return NULL;
}

static bool fits_count(const struct frame *at, struct buf *why)
{
	int64_t count = (int64_t)json_array_size(at->value);
	int64_t min = jval_int(at->schema, "minItems", 0);
	int64_t max = jval_int(at->schema, "maxItems", INT64_MAX);

	if (!json_is_array(at->value) || (count >= min && count <= max))
		return true;
	buf_printf(why, "%lld items, but %s %lld are wanted", (long long)count,
		   count < min ? "at least" : "at most", (long long)(count < min ? min : max));
	return false;
}

static bool fits_bounds(const struct frame *at, struct buf *why)
{
	const json_t *min = jval_at(at->schema, "minimum"), *max = jval_at(at->schema, "maximum");
	double number = json_number_value(at->value);

	if (!json_is_number(at->value))
		return true;
	if (min && number < json_number_value(min))
		buf_printf(why, "%g is below %g", number, json_number_value(min));
	else if (max && number > json_number_value(max))
		buf_printf(why, "%g is above %g", number, json_number_value(max));
	else
		return true;
	return false;
}

/* The value against its own schema, not against those inside. */
static bool fits_one(const struct frame *at, struct buf *why)
{
	const char *name = missing(at->value, json_object_get(at->schema, "required"));

	if (!fits_type(at->value, json_object_get(at->schema, "type")))
		buf_printf(why, "it is of type %s", type_of(at->value));
	else if (!is_listed(at->value, json_object_get(at->schema, "enum")))
		buf_puts(why, "it is none of the values in enum");
	else if (name)
		buf_printf(why, "there is no \"%.*s\"", KEY_SHOWN, name);
	else
		return fits_count(at, why) && fits_bounds(at, why);
	return false;
}

/* The next value inside of this one that a schema describes; false when there is none left. */
static bool next_value(struct frame *at, struct frame *out)
{
	json_t *properties = json_object_get(at->schema, "properties");
	json_t *items = json_object_get(at->schema, "items");

	while (at->member) {
		const char *key = json_object_iter_key(at->member);
		json_t *schema = json_object_iter_value(at->member);
		json_t *value = json_object_get(at->value, key);

		at->member = json_object_iter_next(properties, at->member);
		*out = (struct frame){.schema = schema, .value = value, .key = key};
		if (value)
			return true;
	}
	if (!items || at->item >= json_array_size(at->value))
		return false;
	*out = (struct frame){.schema = items,
			      .value = json_array_get(at->value, at->item),
			      .key_index = at->item};
	at->item++;
	return true;
}

bool sample_schema_fits(const json_t *schema, const json_t *value, struct buf *fault)
{
	struct frame frames[LEVELS_MAX] = {
		{.schema = changeable(schema), .value = changeable(value)}};
	AUTO_BUF struct buf why = buf_make(PATH_MAX_LEN);
	struct frame next;

	for (size_t depth = 1; depth;) {
		struct frame *at = &frames[depth - 1];

		if (!at->is_entered) {
			if (!fits_one(at, &why)) {
				add_path(fault, frames, depth, "the answer");
				buf_printf(fault, ": %s", buf_text(&why));
				return false;
			}
			at->is_entered = true;
			at->member = json_object_iter(json_object_get(at->schema, "properties"));
		}
		if (next_value(at, &next)) {
			must(depth < LEVELS_MAX); /* sample_schema_lint saw to it */
			frames[depth++] = next;
		} else {
			depth--;
		}
	}
	return true;
}
