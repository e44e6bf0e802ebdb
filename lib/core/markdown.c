/* markdown.c - see markdown.h.
 *
 * Two stages that everything goes through: clean_lines makes the bytes harmless to read (github.md
 * of the reference has the list: UTF-8, controls, ANSI, bidi), then redact.c takes out secrets; in
 * this order, because a colour code in the middle of a token must not hide it. The forms for
 * comments (fence, inline code, plain text) are built from the result, so nothing that is cut or
 * escaped later can bring back what was removed. Runs of backticks are shortened at RUN_MAX, which
 * bounds fences. */
#include "lib/core/markdown.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/core/redact.h"
#include "lib/core/utf8.h"

enum { RUN_MAX = 64, NOTE_MAX = 64, HEX_MIN = 7, LONG_LINE = 1000 };

static const char zero_width_space[] = "\xe2\x80\x8b";
static const char ellipsis[] = "\xe2\x80\xa6";

void markdown_redact_also(const char *const *secrets, size_t count)
{
	redact_set(secrets, count);
}

static bool is_between(const char *p, const char *end, unsigned char low, unsigned char high)
{
	return p < end && (unsigned char)*p >= low && (unsigned char)*p <= high;
}

/* Behind the introducer of a control sequence: parameters, intermediates, one final byte. */
static const char *skip_csi(const char *p, const char *end)
{
	while (is_between(p, end, 0x30, 0x3f))
		p++;
	while (is_between(p, end, 0x20, 0x2f))
		p++;
	return is_between(p, end, 0x40, 0x7e) ? p + 1 : p;
}

/* Behind the introducer of a control string: to BEL or ST, at most to the end of the line. */
static const char *skip_control_string(const char *p, const char *end)
{
	for (; p < end; p++) {
		if (*p == '\a')
			return p + 1;
		if (*p == '\x1b')
			return end - p > 1 && p[1] == '\\' ? p + 2 : p;
		if (end - p > 1 && !memcmp(p, "\xc2\x9c", 2))
			return p + 2;
	}
	return end;
}

/* Behind an ESC byte (ECMA-48). */
static const char *skip_escape(const char *p, const char *end)
{
	if (p < end && *p == '[')
		return skip_csi(p + 1, end);
	if (p < end && *p && strchr("]PX^_", *p))
		return skip_control_string(p + 1, end);
	while (is_between(p, end, 0x20, 0x2f))
		p++;
	return is_between(p, end, 0x30, 0x7e) ? p + 1 : p;
}

/* One thing that is not plain ASCII, at p; returns the place behind it. */
static const char *clean_odd(struct buf *out, const char *p, const char *end)
{
	uint32_t code;
	size_t len = utf8_decode(&code, p, end);

	if (!len) {
		buf_puts(out, "\xef\xbf\xbd");
		return p + 1;
	}
	if (code == 0x1b)
		return skip_escape(p + 1, end);
	if (code == 0x9b)
		return skip_csi(p + len, end);
	if (code == 0x90 || code == 0x98 || (code >= 0x9d && code <= 0x9f))
		return skip_control_string(p + len, end);
	if (utf8_is_hidden(code))
		buf_printf(out, "U+%04X", (unsigned)code);
	else if (!utf8_is_control(code))
		buf_add(out, p, len);
	return p + len;
}

static void clean_line(struct buf *out, const char *p, const char *end)
{
	while (p < end) {
		const char *from = p;

		while (p < end && ((*p >= 0x20 && *p < 0x7f) || *p == '\t'))
			p++;
		buf_add(out, from, (size_t)(p - from));
		if (p < end)
			p = clean_odd(out, p, end);
	}
}

/* Everything but redaction. A lone CR takes the pen back to the margin, so only what was written
 * after the last one is kept; CRs at the end of a line belong to the line end. */
static void clean_lines(struct buf *out, const char *bytes, size_t len)
{
	const char *p = bytes, *end = bytes + len;

	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline, *cr;

		if (!stop)
			stop = end;
		while (stop > p && stop[-1] == '\r')
			stop--;
		cr = memrchr(p, '\r', (size_t)(stop - p));
		clean_line(out, cr ? cr + 1 : p, stop);
		if (!newline)
			break;
		buf_putc(out, '\n');
		p = newline + 1;
	}
}

/* Drops a sequence that the end of the buffer has cut. */
static void trim_partial(struct buf *buf)
{
	size_t back = 1;
	uint32_t code;

	while (back < 4 && back < buf->len &&
	       ((unsigned char)buf->data[buf->len - back] & 0xc0) == 0x80)
		back++;
	if (back > buf->len)
		return;
	if (utf8_decode(&code, buf->data + buf->len - back, buf->data + buf->len) == back)
		return;
	buf->len -= back;
	buf->data[buf->len] = '\0';
}

void markdown_clean(struct buf *out, const char *bytes, size_t len)
{
	/* At worst every byte is a bad one, which takes three. */
	AUTO_BUF struct buf plain = buf_make(3 * len + 16);

	clean_lines(&plain, bytes, len);
	redact_add(out, buf_text(&plain), plain.len);
	if (out->truncated)
		trim_partial(out);
}

static struct buf cleaned(const char *bytes, size_t len)
{
	struct buf plain = buf_make(12 * len + 64);

	markdown_clean(&plain, bytes, len);
	return plain;
}

/* Copies text with runs of backticks no longer than RUN_MAX; returns the longest run. */
static size_t add_ticks_bounded(struct buf *out, const char *text, size_t len)
{
	size_t run = 0, longest = 0;

	for (size_t i = 0; i < len; i++) {
		run = text[i] == '`' ? run + 1 : 0;
		if (run > RUN_MAX)
			continue;
		if (run > longest)
			longest = run;
		buf_putc(out, text[i]);
	}
	return longest;
}

static void add_repeated(struct buf *out, char c, size_t count)
{
	while (count--)
		buf_putc(out, c);
}

/* 1234567 as "1,234,567". */
static void add_number(struct buf *out, size_t number)
{
	char *digits = str_printf("%zu", number);
	size_t len = strlen(digits);

	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf_putc(out, ',');
		buf_putc(out, digits[i]);
	}
	mem_free(digits);
}

static size_t count_lines(const char *text, size_t len)
{
	size_t lines = 0;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

/* The first third and the rest from the end, whole lines where they are not too long. */
static void add_head_and_tail(struct buf *out, const char *text, size_t len, size_t max)
{
	size_t budget = max > 2 * NOTE_MAX ? max - NOTE_MAX : 0, head, tail, lines;
	const char *newline;

	if (!budget) {
		for (tail = max; tail && ((unsigned char)text[len - tail] & 0xc0) == 0x80;)
			tail--;
		buf_add(out, text + len - tail, tail);
		return;
	}
	head = str_utf8_cut(text, budget / 3);
	newline = memrchr(text, '\n', head);
	if (newline)
		head = (size_t)(newline - text) + 1;
	tail = budget - budget / 3;
	newline = memchr(text + len - tail, '\n', tail);
	if (newline && newline + 1 < text + len && (size_t)(text + len - newline) > tail / 4)
		tail = (size_t)(text + len - newline) - 1;
	while (tail && ((unsigned char)text[len - tail] & 0xc0) == 0x80)
		tail--;
	lines = count_lines(text + head, len - head - tail);
	buf_add(out, text, head);
	buf_puts(out, head && text[head - 1] != '\n' ? "\n... " : "... ");
	add_number(out, lines > 1 ? lines : len - head - tail);
	buf_puts(out, lines > 1 ? " lines left out ...\n" : " bytes left out ...\n");
	buf_add(out, text + len - tail, tail);
}

void markdown_fence(struct buf *out, const char *info, const char *bytes, size_t len, size_t max)
{
	AUTO_BUF struct buf plain = cleaned(bytes, len);
	AUTO_BUF struct buf cut = buf_make(plain.len + NOTE_MAX);
	AUTO_BUF struct buf body = buf_make(plain.len + NOTE_MAX);
	size_t fence;

	while (plain.len && plain.data[plain.len - 1] == '\n')
		plain.len--;
	if (plain.len > max)
		add_head_and_tail(&cut, plain.data, plain.len, max);
	else
		buf_add(&cut, buf_text(&plain), plain.len);
	fence = add_ticks_bounded(&body, buf_text(&cut), cut.len) + 1;
	if (fence < 3)
		fence = 3;
	if (out->len && out->data[out->len - 1] != '\n')
		buf_putc(out, '\n');
	add_repeated(out, '`', fence);
	for (; info && *info; info++)
		if ((*info >= 'a' && *info <= 'z') || (*info >= '0' && *info <= '9') ||
		    *info == '-')
			buf_putc(out, *info);
	buf_putc(out, '\n');
	buf_add(out, buf_text(&body), body.len);
	if (body.len)
		buf_putc(out, '\n');
	add_repeated(out, '`', fence);
	buf_putc(out, '\n');
}

/* Cleaned text on one line of at most `max` bytes, without blanks around; the caller disposes of
 * it. */
static struct buf one_line(const char *text, size_t max)
{
	struct buf plain = cleaned(text ? text : "", text ? strlen(text) : 0);
	size_t room = max > sizeof ellipsis - 1 ? max - (sizeof ellipsis - 1) : 0, blanks = 0;

	for (size_t i = 0; i < plain.len; i++)
		if (plain.data[i] == '\n' || plain.data[i] == '\t')
			plain.data[i] = ' ';
	while (plain.len && plain.data[plain.len - 1] == ' ')
		plain.data[--plain.len] = '\0';
	while (blanks < plain.len && plain.data[blanks] == ' ')
		blanks++;
	plain.len -= blanks;
	if (blanks)
		memmove(plain.data, plain.data + blanks, plain.len + 1);
	if (plain.len > max) {
		plain.len = str_utf8_cut(plain.data, room);
		plain.data[plain.len] = '\0';
		buf_puts(&plain, ellipsis);
	}
	return plain;
}

/* In a table a pipe ends the cell unless a backslash stands before it; whether two backslashes
 * count as one is answered differently by GitHub's versions, so a blank keeps them apart. */
static void add_code_text(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '|' && i && text[i - 1] == '\\')
			buf_putc(out, ' ');
		if (text[i] == '|')
			buf_putc(out, '\\');
		buf_putc(out, text[i]);
	}
}

static void add_code(struct buf *out, const char *text, size_t max, bool in_table)
{
	AUTO_BUF struct buf plain = one_line(text, max);
	AUTO_BUF struct buf body = buf_make(plain.len);
	size_t ticks = add_ticks_bounded(&body, buf_text(&plain), plain.len) + 1;
	bool pad = !body.len || *body.data == '`' || body.data[body.len - 1] == '`';

	add_repeated(out, '`', ticks);
	if (pad)
		buf_putc(out, ' ');
	if (in_table)
		add_code_text(out, buf_text(&body), body.len);
	else
		buf_add(out, buf_text(&body), body.len);
	if (pad && body.len)
		buf_putc(out, ' ');
	add_repeated(out, '`', ticks);
}

void markdown_code(struct buf *out, const char *text, size_t max)
{
	add_code(out, text, max, true);
}

void markdown_line(struct buf *out, const char *text, size_t max)
{
	add_code(out, text, max, false);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Length of a run of hex digits that GitHub could take for a commit. */
static size_t commit_len(const char *text, size_t at)
{
	size_t len = 0;

	if (!at || !is_word(text[at - 1]))
		len = strspn(text + at, "0123456789abcdefABCDEF");
	return len >= HEX_MIN ? len : 0;
}

/* Does GitHub make something of this byte together with the next ones? Then a zero-width space goes
 * between. */
static bool needs_break(const char *text, size_t at)
{
	char next = text[at + 1], before = at ? text[at - 1] : ' ';

	switch (text[at]) {
	case '@':
	case '#':
		return true;
	case ':': /* :emoji:, scheme: */
		return next && next != ' ' && !(is_digit(before) && is_digit(next));
	case '-': /* GH-12 */
		return at >= 2 && !strncasecmp(text + at - 2, "gh", 2) && is_digit(next);
	case '.': /* www. */
		return at >= 3 && !strncasecmp(text + at - 3, "www", 3);
	default:
		return false;
	}
}

/* `digits` is the length of the run of digits at the front of the text: a list could start there.
 */
static bool needs_backslash(const char *text, size_t at, size_t digits)
{
	if (strchr("\\`*_[]<>&|~$#!", text[at]))
		return true;
	return (at == 0 && strchr("-+=/:", text[at])) ||
	       (at && at == digits && strchr(".)", text[at]));
}

void markdown_text(struct buf *out, const char *text, size_t max)
{
	AUTO_BUF struct buf plain = one_line(text, max);
	const char *p = buf_text(&plain);
	size_t digits = strspn(p, "0123456789"), commit = 0, taken = 0;

	for (size_t i = 0; i < plain.len; i++) {
		if (needs_backslash(p, i, digits))
			buf_putc(out, '\\');
		buf_putc(out, p[i]);
		if (!commit) {
			commit = commit_len(p, i);
			taken = 0;
		}
		if ((commit && --commit && ++taken % (HEX_MIN - 1) == 0) || needs_break(p, i))
			buf_puts(out, zero_width_space);
	}
}

/* What is open at a place in a comment. */
struct open_blocks {
	char fence; /* '`', '~' or 0 */
	size_t fence_len;
	size_t details;
};

static void follow_details(struct open_blocks *open, const char *line, size_t len)
{
	for (; len; line++, len--) {
		if (len >= 8 && !memcmp(line, "<details", 8))
			open->details++;
		if (len >= 10 && !memcmp(line, "</details>", 10) && open->details)
			open->details--;
	}
}

/* Takes one line of the comment into account. */
static void follow_line(struct open_blocks *open, const char *line, size_t len)
{
	size_t indent = 0, run = 0;
	char c;

	while (indent < len && indent < 3 && line[indent] == ' ')
		indent++;
	c = indent < len ? line[indent] : '\0';
	while (indent + run < len && line[indent + run] == c)
		run++;
	if (open->fence) {
		if (c == open->fence && run >= open->fence_len && indent + run == len)
			open->fence = 0;
		return;
	}
	if ((c == '`' || c == '~') && run >= 3 &&
	    !(c == '`' && memchr(line + indent + run, '`', len - indent - run))) {
		open->fence = c;
		open->fence_len = run;
		return;
	}
	if (c == '<')
		follow_details(open, line + indent, len - indent);
}

static const char cut_note[] = "\n*(The rest is left out: a comment cannot be longer.)*\n";

static size_t closing_len(const struct open_blocks *open)
{
	return (open->fence ? open->fence_len + 2 : 0) + open->details * strlen("\n</details>\n") +
	       sizeof cut_note;
}

static void add_closing(struct buf *body, const struct open_blocks *open)
{
	if (body->len && body->data[body->len - 1] != '\n')
		buf_putc(body, '\n');
	if (open->fence) {
		add_repeated(body, open->fence, open->fence_len);
		buf_putc(body, '\n');
	}
	for (size_t i = 0; i < open->details; i++)
		buf_puts(body, "\n</details>\n");
	buf_puts(body, cut_note);
}

/* The last place at which the comment can be cut so that it and what closes it fit; *open is the
 * state there. Between lines, or inside a long one. */
static size_t find_cut(const struct buf *body, size_t max, struct open_blocks *open)
{
	struct open_blocks now = {0};
	size_t cut = 0, at = 0;

	*open = now;
	while (at < body->len) {
		const char *newline = memchr(body->data + at, '\n', body->len - at);
		size_t end = newline ? (size_t)(newline - body->data) : body->len;
		size_t room = closing_len(&now);

		room = max > room ? max - room : 0;
		if (at <= room) {
			cut = at;
			*open = now;
			if (end > room && end - at > LONG_LINE)
				cut = str_utf8_cut(body->data, room);
		}
		if (at > max)
			break;
		follow_line(&now, body->data + at, end - at);
		at = end + 1;
	}
	return cut;
}

void markdown_finish(struct buf *body, size_t max)
{
	struct open_blocks open;
	size_t cut;

	if (body->len <= max && !body->truncated)
		return;
	if (body->max < max)
		max = body->max;
	cut = find_cut(body, max, &open);
	body->len = cut;
	if (body->data)
		body->data[cut] = '\0';
	add_closing(body, &open);
}
