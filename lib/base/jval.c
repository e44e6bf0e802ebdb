/* jval.c - see jval.h. Depth is counted in one pass over the text before jansson sees it, because
 * its own limit is fixed at 2048 when it is compiled. jansson quotes the text near a fault in its
 * message; that part is left out, since an answer that is cut short may hold a token there. */
#include "lib/base/jval.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum { TEXT_MAX = 64 * 1024 * 1024, DEPTH_MAX = 200 };

void jval_drop(json_t **value)
{
	json_decref(*value);
	*value = NULL;
}

static bool is_too_deep(const char *text, size_t len)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return false;
}

enum err_class jval_parse(json_t **out, const char *text, size_t len, struct err *err)
{
	json_error_t fault;
	char *near;

	*out = NULL;
	if (len && memchr(text, 0, len)) /* jansson passes over one that follows a number */
		return err_set(err, ERR_USER, "the JSON text has a NUL byte at offset %zu",
			       (size_t)((const char *)memchr(text, 0, len) - text));
	if (len > TEXT_MAX)
		return err_set(err, ERR_USER, "the JSON text is larger than %d MiB",
			       TEXT_MAX / 1024 / 1024);
	if (is_too_deep(text, len))
		return err_set(err, ERR_USER, "the JSON text is nested deeper than %d levels",
			       DEPTH_MAX);
	*out = json_loadb(text ? text : "", len, JSON_ALLOW_NUL | JSON_DECODE_ANY, &fault);
	if (*out)
		return ERR_OK;
	near = strstr(fault.text, " near '");
	if (near)
		*near = '\0';
	return err_set(err, ERR_USER, "line %d, column %d: %s", fault.line, fault.column,
		       fault.text);
}

static char *dump(const json_t *value, size_t more_flags)
{
	char *text =
		json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY | more_flags);

	must(text);
	return text;
}

char *jval_dump(const json_t *value)
{
	return dump(value, 0);
}

/* 15 digits: as many as every decimal number keeps on its way through a double. */
char *jval_show(const json_t *value)
{
	return dump(value, JSON_REAL_PRECISION(15));
}

json_t *jval_at(const json_t *value, const char *path)
{
	json_t *found = NULL;

	for (;;) {
		size_t len = strcspn(path, ".");

		found = json_object_getn(value, path, len);
		if (!found || json_is_null(found))
			return NULL;
		if (!path[len])
			return found;
		path += len + 1;
		value = found;
	}
}

const char *jval_str(const json_t *value, const char *path, const char *fallback)
{
	const json_t *found = jval_at(value, path);

	return json_is_string(found) ? json_string_value(found) : fallback;
}

int64_t jval_int(const json_t *value, const char *path, int64_t fallback)
{
	const json_t *found = jval_at(value, path);

	return json_is_integer(found) ? json_integer_value(found) : fallback;
}

bool jval_bool(const json_t *value, const char *path, bool fallback)
{
	const json_t *found = jval_at(value, path);

	return json_is_boolean(found) ? json_is_true(found) : fallback;
}

void jval_set(json_t *object, const char *key, json_t *take_value)
{
	must(take_value && json_object_set_new(object, key, take_value) == 0);
}

void jval_set_str(json_t *object, const char *key, const char *text)
{
	char *clean;

	if (!text) {
		jval_set(object, key, json_null());
		return;
	}
	clean = jval_clean_utf8(text, strlen(text));
	jval_set(object, key, json_string_nocheck(clean));
	mem_free(clean);
}

void jval_set_int(json_t *object, const char *key, int64_t number)
{
	jval_set(object, key, json_integer(number));
}

void jval_set_bool(json_t *object, const char *key, bool flag)
{
	jval_set(object, key, json_boolean(flag));
}

/* Length of the valid UTF-8 sequence at the start of `s`, 0 when there is none (Unicode, table
 * 3-7). */
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t need;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	need = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (len < need)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return need;
}

char *jval_clean_utf8(const char *bytes, size_t len)
{
	AUTO_BUF struct buf out = buf_make(3 * len + 1); /* one bad byte becomes three */

	for (size_t i = 0; i < len;) {
		size_t n = utf8_sequence((const unsigned char *)bytes + i, len - i);

		if (!n)
			buf_puts(&out, "\xef\xbf\xbd");
		else if (bytes[i])
			buf_add(&out, bytes + i, n);
		i += n ? n : 1;
	}
	return buf_take(&out);
}
