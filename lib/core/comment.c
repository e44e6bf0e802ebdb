/* comment.c - see comment.h.
 *
 * libcmark is not given the comment itself but a copy in which everything is masked that cannot
 * change what we want to know. Lines that may be commands, or marks of an e-mail reply, get a token
 * in front (an SOH byte and a number, which the masked text cannot contain). A token that comes
 * back as text is a line that people see as text; one in code, in an HTML comment or in the title
 * of a link does not come back as text at all. So nothing depends on source positions, which
 * libcmark 0.30 gets wrong after link definitions.
 *
 * Masking also keeps libcmark linear: only the first LEAD_MAX bytes of structure of a line are
 * kept, so containers cannot nest deeply (its cost is depth times lines), and one of several blank
 * lines; emphasis and links, which cannot hide a line, are gone; constructs that make it search to
 * the end of the text each time (`<!`, `<?`) are masked too after the first HTML_OPENERS_MAX inside
 * lines. */
#include "lib/core/comment.h"

#include <cmark.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum {
	TEXT_MAX = 300000,
	LEAD_MAX = 32,
	HTML_OPENERS_MAX = 64,
	MARK_LINE_MAX = 500, /* lines of e-mail marks are short */
	MARK_LINES = 4,	     /* the longest mark: From, Sent, To, Subject */
	TOKEN = 1,
};

struct span {
	const char *at;
	size_t len;
};

struct candidate {
	struct span text; /* len 0: the mark of an e-mail reply */
	int line;
	bool at_margin; /* no spaces before it */
};

struct finder {
	const char *p, *end;
	struct candidate *items;
	size_t count, room;
	struct buf copy;
	int html_openers;
	bool after_blank; /* the last line copied was blank */
};

/* The line at p without its end; p is then at the next line. CR, LF and CRLF end lines, as in
 * CommonMark. */
static struct span next_line(const char **p, const char *end)
{
	struct span line = {*p, 0};

	while (*p < end && **p != '\n' && **p != '\r')
		(*p)++;
	line.len = (size_t)(*p - line.at);
	if (*p < end && *(*p)++ == '\r' && *p < end && **p == '\n')
		(*p)++;
	return line;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Cuts at most three spaces off the front. */
static struct span unindent(struct span line)
{
	for (int i = 0; i < 3 && line.len && *line.at == ' '; i++) {
		line.at++;
		line.len--;
	}
	return line;
}

static struct span rtrim(struct span line)
{
	while (line.len && is_blank(line.at[line.len - 1]))
		line.len--;
	return line;
}

/* "/word", not "/a/path". */
static bool is_command(struct span text)
{
	if (text.len < 2 || *text.at != '/' || !is_letter(text.at[1]))
		return false;
	for (size_t i = 2; i < text.len && !is_blank(text.at[i]); i++)
		if (text.at[i] == '/')
			return false;
	return true;
}

static const char *skip_bom(const char *body, size_t len)
{
	return len >= 3 && !memcmp(body, "\xef\xbb\xbf", 3) ? body + 3 : body;
}

bool comment_may_have_command(const char *body, size_t len)
{
	const char *p = skip_bom(body, len), *end = body + (len < TEXT_MAX ? len : TEXT_MAX);

	while (p < end)
		if (is_command(unindent(next_line(&p, end))))
			return true;
	return false;
}

static bool starts_nocase(struct span text, const char *prefix)
{
	size_t len = strlen(prefix);

	return text.len >= len && !strncasecmp(text.at, prefix, len);
}

static bool contains_nocase(struct span text, const char *word)
{
	for (; text.len; text.at++, text.len--)
		if (starts_nocase(text, word))
			return true;
	return false;
}

/* "On Mon, 5 Jan 2026 at 10:02, Ann <ann@example.org> wrote:", also over two or three lines. */
static bool is_attribution(struct span text, const char *next, const char *end)
{
	static const struct {
		const char *start, *verb;
	} forms[] = {
		{"On ", "wrote"},
		{"Am ", "schrieb"},
		{"Le ", "a \xc3\xa9"
			"crit"},
		{"El ", "escribi\xc3\xb3"},
		{"Il ", "ha scritto"},
		{"Op ", "schreef"},
		{"Em ", "escreveu"},
		{"W dniu ", "napisa"},
		{"Den ", "skrev"},
	};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct span part = text;
		bool has_digit = false, has_verb = false;

		if (!starts_nocase(text, forms[i].start))
			continue;
		for (int lines = 0; lines < 3 && part.len && part.len <= MARK_LINE_MAX; lines++) {
			for (size_t k = 0; k < part.len; k++)
				has_digit |= is_digit(part.at[k]);
			has_verb |= contains_nocase(part, forms[i].verb);
			if (has_digit && has_verb && part.at[part.len - 1] == ':')
				return true;
			part = next < end ? rtrim(next_line(&next, end)) : (struct span){0};
		}
	}
	return false;
}

/* Outlook's "From: ..." with "Sent:" or "Date:" within the next lines; asterisks are bold print. */
static bool is_header_block(struct span text, const char *next, const char *end)
{
	if (!starts_nocase(text, "From:") && !starts_nocase(text, "*From:") &&
	    !starts_nocase(text, "**From:") && !starts_nocase(text, "Von:"))
		return false;
	for (int lines = 1; lines < MARK_LINES && next < end; lines++) {
		struct span part = next_line(&next, end);

		while (part.len && *part.at == '*') {
			part.at++;
			part.len--;
		}
		if (starts_nocase(part, "Sent:") || starts_nocase(part, "Date:") ||
		    starts_nocase(part, "Gesendet:"))
			return true;
	}
	return false;
}

/* "-----Original Message-----", "---------- Forwarded message ---------". */
static bool is_divider(struct span text)
{
	static const char *const words[] = {"Original Message", "Forwarded message",
					    "Urspr\xc3\xbcngliche Nachricht", "Message d'origine",
					    "Mensaje original"};
	size_t dashes = 0;

	while (text.len && (*text.at == '-' || *text.at == ' ')) {
		dashes += *text.at == '-';
		text.at++;
		text.len--;
	}
	for (size_t i = 0; dashes >= 2 && i < ARRAY_LEN(words); i++)
		if (starts_nocase(text, words[i]))
			return true;
	return false;
}

static bool is_underscores(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] != '_')
			return false;
	return text.len >= 30;
}

/* Does an e-mail reply's tail start here? `next` is where the line after it begins. */
static bool is_mail_mark(struct span line, const char *next, const char *end)
{
	struct span text = rtrim(line);

	if (line.len > MARK_LINE_MAX || !line.len)
		return false;
	return (line.len == 3 && !memcmp(line.at, "-- ", 3)) ||
	       starts_nocase(text, "Reply to this email directly") ||
	       starts_nocase(text, "You are receiving this because ") || is_underscores(text) ||
	       is_divider(text) || is_header_block(text, next, end) ||
	       is_attribution(text, next, end);
}

static void add_candidate(struct finder *f, struct candidate item)
{
	if (f->count == f->room) {
		f->room = f->room ? 2 * f->room : 16;
		f->items = mem_grow(f->items, f->room * sizeof *f->items);
	}
	buf_printf(&f->copy, "%c%zu;", TOKEN, f->count);
	f->items[f->count++] = item;
}

/* The byte stays in the copy when it can start, end or hide a block or a span of inline code or
 * HTML. */
static char mask(char c, const char *line, const char *at)
{
	bool cdata = c == '[' && ((at - line >= 2 && !memcmp(at - 2, "<!", 2)) ||
				  (at - line >= 8 && !memcmp(at - 8, "<![CDATA", 8)));

	if ((unsigned char)c < 0x20 && c != '\t')
		return 'x';
	if ((unsigned char)c >= 0x7f || c == '*' || c == '_' || c == '&' || c == '~')
		return 'x';
	return c == '[' && !cdata ? '(' : c;
}

/* How many bytes at the front of the line may be structure: indentation, quote and list marks,
 * fences, rules. */
static size_t lead_len(struct span line)
{
	size_t len = 0;

	while (len < line.len && line.at[len] && strchr(" \t>*+-_=#~`0123456789.)", line.at[len]))
		len++;
	return len;
}

/* Keeps the structure as it is. Of a long one only the start; an x shows where it was not the whole
 * line, since a rule or a fence is one and must stay one. */
static size_t copy_lead(struct finder *f, struct span line)
{
	size_t len = lead_len(line);

	buf_add(&f->copy, line.at, len < LEAD_MAX ? len : LEAD_MAX);
	if (len > LEAD_MAX && len < line.len)
		buf_putc(&f->copy, 'x');
	return len;
}

/* Of several blank lines one is enough. */
static bool is_spare(struct finder *f, struct span line)
{
	bool after_blank = f->after_blank;

	f->after_blank = !rtrim(line).len;
	return after_blank && f->after_blank;
}

static void copy_masked(struct finder *f, struct span line)
{
	struct span text = unindent(line);
	size_t at, start = (size_t)(text.at - line.at);

	if (is_spare(f, line))
		return;
	at = copy_lead(f, line);
	if (at == start && text.len && *text.at == '[') /* perhaps the definition of a link */
		buf_putc(&f->copy, line.at[at++]);
	for (; at < line.len; at++) {
		const char *p = line.at + at;
		bool opener = *p == '<' && at > start && at + 1 < line.len &&
			      (p[1] == '!' || p[1] == '?');

		if (opener && f->html_openers++ >= HTML_OPENERS_MAX)
			buf_putc(&f->copy, 'x');
		else
			buf_putc(&f->copy, mask(*p, line.at, p));
	}
	buf_putc(&f->copy, '\n');
}

/* Makes the masked copy and the list of its candidates. */
static void prepare(struct finder *f)
{
	for (int number = 1; f->p < f->end; number++) {
		struct span line = next_line(&f->p, f->end), text = unindent(line);
		struct candidate item = {.line = number, .at_margin = text.at == line.at};

		if (is_command(text))
			item.text = rtrim(text);
		if (!item.text.len && !is_mail_mark(text, f->p, f->end)) {
			copy_masked(f, line);
			continue;
		}
		buf_add(&f->copy, line.at, (size_t)(text.at - line.at));
		add_candidate(f, item);
		copy_masked(f, text);
	}
}

static void add_line(struct comment_lines *out, const struct candidate *item)
{
	size_t len = item->text.len;
	char *text;

	if (len > COMMENT_LINE_MAX)
		len = COMMENT_LINE_MAX + 1;
	text = str_dup_len(item->text.at, len);
	for (size_t i = 0; i < len; i++)
		if (!text[i])
			text[i] = TOKEN;
	out->items[out->count].text = text;
	out->items[out->count++].line = item->line;
}

/* The candidate whose token starts this text, or NULL. */
static const struct candidate *token_of(const struct finder *f, const char *literal)
{
	size_t number = 0;

	if (!literal || *literal != TOKEN)
		return NULL;
	for (literal++; is_digit(*literal); literal++)
		number = number * 10 + (size_t)(*literal - '0');
	return number < f->count ? &f->items[number] : NULL;
}

/* Walks the blocks in order; stops at the mark of an e-mail reply or when there are enough lines.
 */
static void collect(struct comment_lines *out, const struct finder *f, cmark_node *document)
{
	cmark_iter *iter = cmark_iter_new(document);
	size_t quotes = 0, items = 0;
	cmark_event_type event;

	while ((event = cmark_iter_next(iter)) != CMARK_EVENT_DONE &&
	       out->count <= COMMENT_COMMANDS_MAX) {
		cmark_node *node = cmark_iter_get_node(iter);
		cmark_node_type type = cmark_node_get_type(node);
		size_t step = event == CMARK_EVENT_ENTER ? 1 : (size_t)-1;
		const struct candidate *item;

		if (type == CMARK_NODE_BLOCK_QUOTE)
			quotes += step;
		if (type == CMARK_NODE_ITEM)
			items += step;
		if (type != CMARK_NODE_TEXT)
			continue;
		item = token_of(f, cmark_node_get_literal(node));
		if (item && !item->text.len)
			break;
		if (item && !quotes && (!items || item->at_margin))
			add_line(out, item);
	}
	cmark_iter_free(iter);
}

void comment_find(struct comment_lines *out, const char *body, size_t len)
{
	struct finder f = {.end = body + (len < TEXT_MAX ? len : TEXT_MAX)};
	cmark_node *document;

	*out = (struct comment_lines){0};
	if (!comment_may_have_command(body, len))
		return;
	f.p = skip_bom(body, len);
	f.copy = buf_make((size_t)8 * TEXT_MAX);
	prepare(&f);
	document = cmark_parse_document(buf_text(&f.copy), f.copy.len, CMARK_OPT_DEFAULT);
	out->items = mem_new(COMMENT_COMMANDS_MAX + 1, sizeof *out->items);
	collect(out, &f, document);
	cmark_node_free(document);
	buf_dispose(&f.copy);
	mem_free(f.items);
}

void comment_lines_dispose(struct comment_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		mem_free(lines->items[i].text);
	mem_free(lines->items);
	*lines = (struct comment_lines){0};
}
