/* schema_value.c - the scalars of schema.h: from text, and back to text for people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/schema.h"
#include "lib/base/str.h"

enum { SHOWN_MAX = 4096 };

static const struct {
	const char *name;
	int64_t factor;
} sizes[] = {{"TiB", 1LL << 40},
	     {"GiB", 1LL << 30},
	     {"MiB", 1LL << 20},
	     {"KiB", 1LL << 10},
	     {"B", 1}},
  durations[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

/* "64MiB", "1048576B" or a bare number of bytes. */
static bool size_from_text(int64_t *out, const char *text)
{
	size_t digits = strspn(text, "0123456789");
	AUTO_FREE char *number = str_dup_len(text, digits);
	const char *unit = text + digits;

	if (!str_to_int64(out, number))
		return false;
	if (!*unit)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		if (str_eq(unit, sizes[i].name))
			return !__builtin_mul_overflow(*out, sizes[i].factor, out);
	return false;
}

static char *show_number(enum schema_type type, int64_t value)
{
	if (type == SCHEMA_INT || !value)
		return str_printf("%" PRId64 "%s", value,
				  type == SCHEMA_DURATION ? "s"
				  : type == SCHEMA_SIZE	  ? "B"
							  : "");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		int64_t factor = type == SCHEMA_SIZE ? sizes[i].factor : durations[i].factor;
		const char *name = type == SCHEMA_SIZE ? sizes[i].name : durations[i].name;

		if (value % factor == 0)
			return str_printf("%" PRId64 "%s", value / factor, name);
	}
	return NULL;
}

/* Texts as a flow list, which YAML reads back. */
static char *show_list(const json_t *list)
{
	AUTO_BUF struct buf text = buf_make(SHOWN_MAX);
	json_t *each;
	size_t i;

	json_array_foreach(list, i, each)
		buf_printf(&text, "%s%s", i ? ", " : "", json_string_value(each));
	return str_printf("[%s]", buf_text(&text));
}

char *schema_show(const struct schema_field *field, const json_t *value)
{
	if (json_is_string(value))
		return str_dup(json_string_value(value));
	if (json_is_boolean(value))
		return str_dup(json_is_true(value) ? "true" : "false");
	if (json_is_integer(value))
		return show_number(field->type, json_integer_value(value));
	return json_is_array(value) ? show_list(value) : str_dup("");
}

static const char *bounds_unit(const struct schema_field *field)
{
	return field->type == SCHEMA_TEXT || field->type == SCHEMA_TEXTS ? " bytes long" : "";
}

static char *why_bounds(const struct schema_field *field)
{
	bool counts = *bounds_unit(field);
	AUTO_FREE char *min = show_number(counts ? SCHEMA_INT : field->type, field->min);
	AUTO_FREE char *max = show_number(counts ? SCHEMA_INT : field->type, field->max);

	if (!field->max)
		return str_printf("must be at least %s%s", min, bounds_unit(field));
	return str_printf("must be between %s and %s%s", min, max, bounds_unit(field));
}

static bool is_within(const struct schema_field *field, int64_t value)
{
	return value >= field->min && (!field->max || value <= field->max);
}

static json_t *number_value(const struct schema_field *field, const char *text, char **why)
{
	int64_t value = 0;
	bool good = false;

	if (field->type == SCHEMA_INT)
		good = str_to_int64(&value, text);
	else if (field->type == SCHEMA_DURATION)
		good = str_to_duration_ms(&value, text);
	else
		good = size_from_text(&value, text);
	if (!good)
		*why = str_dup(field->type == SCHEMA_INT ? "must be a whole number"
			       : field->type == SCHEMA_DURATION
				       ? "must be a duration with its unit, like 90s, 15m, 6h or 2d"
				       : "must be a size, like 64MiB or 2GiB");
	else if (!is_within(field, value))
		*why = why_bounds(field);
	else
		return json_integer(value);
	return NULL;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static json_t *text_value(const struct schema_field *field, const char *text, char **why)
{
	const char *problem = field->check ? field->check(text) : NULL;
	size_t len = strlen(text);

	if (!len && field->min != 0)
		*why = str_dup("is empty");
	else if ((field->type == SCHEMA_TEXT || field->type == SCHEMA_TEXTS) &&
		 !is_within(field, (int64_t)len))
		*why = why_bounds(field);
	else if (has_control(text) && field->type != SCHEMA_TEXT)
		*why = str_dup("must not contain control characters");
	else if (problem)
		*why = str_printf("must be %s", problem);
	else if (field->type != SCHEMA_URL)
		return json_string(text);
	else {
		while (len && text[len - 1] == '/')
			len--;
		return json_stringn(text, len);
	}
	return NULL;
}

json_t *schema_value(const struct schema_field *field, const char *text, char **why)
{
	*why = NULL;
	switch (field->type) {
	case SCHEMA_INT:
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
		return number_value(field, text, why);
	case SCHEMA_BOOL:
		if (str_eq(text, "true") || str_eq(text, "false"))
			return json_boolean(*text == 't');
		*why = str_dup("must be true or false");
		return NULL;
	default:
		return text_value(field, text, why);
	}
}
