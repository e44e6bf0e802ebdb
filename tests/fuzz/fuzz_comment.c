/* fuzz_comment.c - any bytes as a comment; what is found must stand there, in order, at the start
 * of its line. */
#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/core/comment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Start of line `wanted` (from 1); CR, LF and CRLF end lines. */
static const char *line_at(const char *body, const char *end, int wanted)
{
	const char *p = body;

	for (int line = 1; line < wanted && p < end; line++) {
		while (p < end && *p != '\n' && *p != '\r')
			p++;
		if (p < end && *p++ == '\r' && p < end && *p == '\n')
			p++;
	}
	return p;
}

static void line_must_be_sound(const struct comment_line *line, const char *body, const char *end)
{
	const char *p = line_at(body, end, line->line);
	size_t len = strlen(line->text);

	if (line->line == 1 && end - p >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
		p += 3;
	for (int i = 0; i < 3 && p < end && *p == ' '; i++)
		p++;
	must(line->text[0] == '/' && len >= 2 && len <= COMMENT_LINE_MAX + 1);
	must((size_t)(end - p) >= len);
	for (size_t i = 0; i < len; i++)
		must(p[i] == line->text[i] || (!p[i] && line->text[i] == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *body = (const char *)data;
	struct comment_lines lines;

	comment_find(&lines, body, size);
	must(lines.count <= COMMENT_COMMANDS_MAX + 1);
	must(!lines.count || comment_may_have_command(body, size));
	for (size_t i = 0; i < lines.count; i++) {
		must(!i || lines.items[i].line > lines.items[i - 1].line);
		line_must_be_sound(&lines.items[i], body, body + size);
	}
	comment_lines_dispose(&lines);
	return 0;
}
