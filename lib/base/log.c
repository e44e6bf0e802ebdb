/* log.c - see log.h. */
#include "lib/base/log.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"

enum { VALUE_MAX = 200, LINE_MAX_BYTES = 8192 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static atomic_int lowest = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	atomic_store(&lowest, (int)level);
}

bool log_level_from_name(enum log_level *out, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
		if (str_eq(level_names[i], name)) {
			*out = (enum log_level)i;
			return true;
		}
	return false;
}

static bool is_plain(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
			return false;
	}
	return len > 0;
}

static void put_value(struct buf *line, const char *text)
{
	size_t full = strlen(text), len = full > VALUE_MAX ? str_utf8_cut(text, VALUE_MAX) : full;

	if (is_plain(text, len) && len == full) {
		buf_add(line, text, len);
		return;
	}
	buf_putc(line, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			buf_printf(line, "\\%c", c);
		else if (c == '\n')
			buf_puts(line, "\\n");
		else if (c < ' ' || c == 0x7f)
			buf_printf(line, "\\x%02x", c);
		else if (c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0)
			/* U+0080 to U+009F are controls too: some terminals take U+009B as ESC [.
			 */
			buf_printf(line, "\\xc2\\x%02x", (unsigned char)text[++i]);
		else
			buf_putc(line, (char)c);
	}
	buf_puts(line, len < full ? "...\"" : "\"");
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
	       size_t count)
{
	AUTO_BUF struct buf line = buf_make(LINE_MAX_BYTES);
	char now[21];
	ssize_t written;

	if ((int)level < atomic_load(&lowest))
		return;
	clock_rfc3339(now, clock_now_ms());
	buf_printf(&line, "time=%s level=%s event=%s", now, level_names[level], event);
	for (size_t i = 0; i < count; i++) {
		buf_printf(&line, " %s=", fields[i].key);
		if (fields[i].text)
			put_value(&line, fields[i].text);
		else
			buf_printf(&line, "%" PRId64, fields[i].number);
	}
	line.max = LINE_MAX_BYTES + 1;
	buf_putc(&line, '\n');
	written = write(STDERR_FILENO, line.data, line.len);
	(void)written; /* there is nowhere left to report it */
}
