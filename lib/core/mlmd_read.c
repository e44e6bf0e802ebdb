/* mlmd_read.c - messages of ML Metadata into JSON.
 *
 * Field numbers are those of metadata_store.proto and metadata_store_service.proto. Only what leads
 * from a run to its models and metrics is kept; everything else is skipped, whatever it is. A
 * message that breaks off is TRANSIENT: nothing of a run is decided from half a list. */
#include <math.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/mlmd_impl.h"

enum { TEXT_MAX = 8192, PROPERTIES_MAX = 500 };

static enum err_class broken(struct err *err)
{
	return err_set(err, ERR_TRANSIENT, "ML Metadata answers with a message that breaks off");
}

static void set_text(json_t *object, const char *key, const struct wire_field *field)
{
	size_t len = field->len < TEXT_MAX ? field->len : TEXT_MAX;
	AUTO_FREE char *clean = NULL;

	if (field->type != 2)
		return;
	clean = jval_clean_utf8((const char *)field->bytes, len);
	jval_set_str(object, key, clean);
}

static void set_int(json_t *object, const char *key, const struct wire_field *field)
{
	if (field->type == 0)
		jval_set_int(object, key, (int64_t)field->value);
}

/* --- values --- */

static double as_double(uint64_t bits)
{
	double number;

	memcpy(&number, &bits, sizeof number);
	return number;
}

/* JSON has no word for what is no number; a text says that there was something. */
static void set_real(json_t *object, const char *key, double number)
{
	if (isfinite(number))
		jval_set(object, key, json_real(number));
	else
		jval_set_str(object, key, isnan(number) ? "NaN" : "infinite");
}

/* Value: 1 int64, 2 double, 3 string, 6 bool; structures are not needed. */
static void read_value(json_t *object, const char *key, const struct wire_field *of)
{
	struct wire wire = wire_open(of->bytes, of->len);
	struct wire_field field;

	while (wire_next(&wire, &field)) {
		if (field.number == 1)
			set_int(object, key, &field);
		else if (field.number == 2 && field.type == 1)
			set_real(object, key, as_double(field.value));
		else if (field.number == 3)
			set_text(object, key, &field);
		else if (field.number == 6 && field.type == 0)
			jval_set_bool(object, key, field.value != 0);
	}
}

/* An entry of map<string, Value>: 1 key, 2 value. */
static void read_property(json_t *into, const struct wire_field *entry)
{
	struct wire wire = wire_open(entry->bytes, entry->len);
	struct wire_field field, value = {0};
	AUTO_FREE char *key = NULL;

	while (wire_next(&wire, &field)) {
		if (field.number == 1 && field.type == 2 && field.len <= TEXT_MAX) {
			mem_free(key);
			key = jval_clean_utf8((const char *)field.bytes, field.len);
		} else if (field.number == 2 && field.type == 2) {
			value = field;
		}
	}
	if (key && *key && value.bytes && json_object_size(into) < PROPERTIES_MAX)
		read_value(into, key, &value);
}

/* --- items --- */

static void artifact_field(json_t *item, const struct wire_field *field)
{
	switch (field->number) {
	case 1:
		set_int(item, "id", field);
		break;
	case 2:
		set_int(item, "type_id", field);
		break;
	case 3:
		set_text(item, "uri", field);
		break;
	case 5:
		if (field->type == 2)
			read_property(json_object_get(item, "custom"), field);
		break;
	case 7:
		set_text(item, "name", field);
		break;
	case 8:
		set_text(item, "type", field);
		break;
	default:
		break;
	}
}

static void execution_field(json_t *item, const struct wire_field *field)
{
	switch (field->number) {
	case 1:
		set_int(item, "id", field);
		break;
	case 3:
		set_int(item, "state", field);
		break;
	case 5:
		if (field->type == 2)
			read_property(json_object_get(item, "custom"), field);
		break;
	case 6:
		set_text(item, "name", field);
		break;
	case 7:
		set_text(item, "type", field);
		break;
	default:
		break;
	}
}

/* Event.Path: 1 steps{1 index, 2 key}; the first step's key is the output's name. */
static void read_path(json_t *item, const struct wire_field *path)
{
	struct wire steps = wire_open(path->bytes, path->len);
	struct wire_field step, field;

	while (!jval_at(item, "key") && wire_next(&steps, &step)) {
		struct wire inside = wire_open(step.bytes, step.len);

		if (step.number != 1 || step.type != 2)
			continue;
		while (wire_next(&inside, &field))
			if (field.number == 2)
				set_text(item, "key", &field);
	}
}

static void event_field(json_t *item, const struct wire_field *field)
{
	switch (field->number) {
	case 1:
		set_int(item, "artifact_id", field);
		break;
	case 2:
		set_int(item, "execution_id", field);
		break;
	case 3:
		if (field->type == 2)
			read_path(item, field);
		break;
	case 4:
		set_int(item, "type", field);
		break;
	default:
		break;
	}
}

typedef void field_reader(json_t *item, const struct wire_field *field);

static bool read_item(json_t *into, const struct wire_field *of, field_reader *reader)
{
	struct wire wire = wire_open(of->bytes, of->len);
	struct wire_field field;
	json_t *item = json_object();

	jval_set(item, "custom", json_object());
	while (wire_next(&wire, &field))
		reader(item, &field);
	must(json_array_append_new(into, item) == 0);
	return !wire.broken;
}

/* An answer of the form {1: items, 2: next page}. */
static enum err_class read_list(json_t *into, char *page, const struct wire *message,
				field_reader *reader, struct err *err)
{
	struct wire wire = *message;
	struct wire_field field;

	if (page)
		*page = '\0';
	while (wire_next(&wire, &field)) {
		if (field.number == 1 && field.type == 2) {
			if (json_array_size(into) >= MLMD_ITEMS_MAX)
				return err_set(err, ERR_USER,
					       "the run has more than %d entries in ML Metadata",
					       MLMD_ITEMS_MAX);
			if (!read_item(into, &field, reader))
				return broken(err);
		} else if (page && field.number == 2 && field.type == 2) {
			if (field.len >= MLMD_TOKEN_MAX || memchr(field.bytes, '\0', field.len))
				return broken(err);
			memcpy(page, field.bytes, field.len);
			page[field.len] = '\0';
		}
	}
	return wire.broken ? broken(err) : ERR_OK;
}

enum err_class mlmd_read_artifacts(json_t *into, char page[MLMD_TOKEN_MAX],
				   const unsigned char *message, size_t len, struct err *err)
{
	struct wire wire = wire_open(message, len);

	return read_list(into, page, &wire, artifact_field, err);
}

enum err_class mlmd_read_executions(json_t *into, char page[MLMD_TOKEN_MAX],
				    const unsigned char *message, size_t len, struct err *err)
{
	struct wire wire = wire_open(message, len);

	return read_list(into, page, &wire, execution_field, err);
}

enum err_class mlmd_read_events(json_t *into, const unsigned char *message, size_t len,
				struct err *err)
{
	struct wire wire = wire_open(message, len);

	return read_list(into, NULL, &wire, event_field, err);
}

static void type_field(json_t *item, const struct wire_field *field)
{
	if (field->number == 1)
		set_int(item, "id", field);
	else if (field->number == 2)
		set_text(item, "name", field);
}

enum err_class mlmd_read_types(json_t *into, const unsigned char *message, size_t len,
			       struct err *err)
{
	AUTO_JSON json_t *list = json_array();
	struct wire wire = wire_open(message, len);
	enum err_class class = read_list(list, NULL, &wire, type_field, err);
	const json_t *item;
	char id[24];
	size_t at;

	json_array_foreach(list, at, item)
	{
		(void)snprintf(id, sizeof id, "%lld", (long long)jval_int(item, "id", 0));
		jval_set_str(into, id, jval_str(item, "name", ""));
	}
	return class;
}

static void context_field(json_t *item, const struct wire_field *field)
{
	if (field->number == 1)
		set_int(item, "id", field);
}

enum err_class mlmd_read_context(int64_t *out_id, const unsigned char *message, size_t len,
				 struct err *err)
{
	AUTO_JSON json_t *list = json_array();
	struct wire wire = wire_open(message, len);
	enum err_class class = read_list(list, NULL, &wire, context_field, err);

	*out_id = class ? 0 : jval_int(json_array_get(list, 0), "id", 0);
	if (class || *out_id > 0)
		return class;
	*out_id = 0;
	return err_set(err, ERR_NOT_FOUND, "ML Metadata does not know the run (yet)");
}
