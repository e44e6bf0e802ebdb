/* config_print.c - the effective values, and the tables of the documentation, from the same table.
 */
#include <string.h>

#include "config/config_impl.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"

static const char *origin(const struct config *config, const char *path, char **take)
{
	json_t *line = json_object_get(config->lines, path);
	const char *from = json_string_value(json_object_get(config->derived, path));

	*take = NULL;
	if (line)
		*take = str_printf("%s:%d", config->name, (int)json_integer_value(line));
	else if (from)
		*take = str_printf("from %s", from);
	return *take ? *take : "default";
}

static void print_option(const struct config *config, const struct schema_field *field,
			 const char *path, struct buf *out)
{
	json_t *value = config_at(config, path);
	AUTO_FREE char *where = NULL;
	AUTO_FREE char *text = NULL;

	if (!value) {
		buf_printf(out, "%s:  # not set\n", path);
		return;
	}
	text = schema_show(field, value);
	buf_printf(out, "%s: %s  # %s\n", path, text, origin(config, path, &where));
}

/* The fields of a list are printed entry by entry. */
static void print_list(const struct config *config, const char *list, struct buf *out)
{
	size_t count = json_array_size(jval_at(config->values, list)), len = strlen(list);

	for (size_t k = 0; k < count; k++)
		for (size_t i = 0; i < config_schema.count; i++) {
			const struct schema_field *field = &config_schema.fields[i];
			AUTO_FREE char *path = NULL;

			if (strncmp(field->path, list, len) != 0 ||
			    strncmp(field->path + len, "[]", 2) != 0)
				continue;
			path = str_printf("%s[%zu]%s", list, k, field->path + len + 2);
			print_option(config, field, path, out);
		}
}

void config_print(const struct config *config, struct buf *out)
{
	for (size_t i = 0; i < config_schema.count; i++) {
		const struct schema_field *field = &config_schema.fields[i];

		if (field->type == SCHEMA_LIST)
			print_list(config, field->path, out);
		else if (field->type != SCHEMA_SECTION && !strchr(field->path, '['))
			print_option(config, field, field->path, out);
	}
}

static const char *type_name(const struct schema_field *field)
{
	switch (field->type) {
	case SCHEMA_INT:
		return "number";
	case SCHEMA_BOOL:
		return "true or false";
	case SCHEMA_DURATION:
		return "duration";
	case SCHEMA_SIZE:
		return "size";
	case SCHEMA_FILE:
		return "file";
	case SCHEMA_SECRET:
		return "secret file";
	case SCHEMA_URL:
		return "address";
	case SCHEMA_TEXTS:
		return "list of texts";
	default:
		return "text";
	}
}

static void put_bounds(const struct schema_field *field, struct buf *out)
{
	json_t *min = json_integer(field->min), *max = json_integer(field->max);
	AUTO_FREE char *low = schema_show(field, min);
	AUTO_FREE char *high = schema_show(field, max);

	if (field->type == SCHEMA_INT || field->type == SCHEMA_DURATION ||
	    field->type == SCHEMA_SIZE)
		buf_printf(out, ", %s to %s", low, high);
	json_decref(min);
	json_decref(max);
}

static void document_option(const struct schema_field *field, struct buf *out)
{
	buf_printf(out, "| `%s` | %s", field->path, type_name(field));
	put_bounds(field, out);
	if (field->need == SCHEMA_REQUIRED)
		buf_puts(out, " | required");
	else if (field->fallback)
		buf_printf(out, " | `%s`", field->fallback);
	else
		buf_puts(out, " | not set");
	buf_printf(out, " | %s |\n", field->help);
}

void config_document(struct buf *out)
{
	static const char head[] = "| option | what it takes | default | |\n|---|---|---|---|\n";
	bool in_table = false;

	for (size_t i = 0; i < config_schema.count; i++) {
		const struct schema_field *field = &config_schema.fields[i];
		bool is_section = field->type == SCHEMA_SECTION || field->type == SCHEMA_LIST;
		bool is_top = !is_section && !strchr(field->path, '.');

		if (is_section)
			buf_printf(out, "%s### `%s`\n\n%s%s%s\n\n", i ? "\n" : "", field->path,
				   field->help, field->type == SCHEMA_LIST ? " A list" : "",
				   field->type != SCHEMA_LIST	    ? ""
				   : field->need == SCHEMA_REQUIRED ? "; at least one entry."
								    : ".");
		else if (is_top)
			buf_printf(out, "\n### `%s`\n\n", field->path);
		if (is_section || is_top || !in_table)
			buf_puts(out, head);
		in_table = true;
		if (!is_section)
			document_option(field, out);
	}
}
