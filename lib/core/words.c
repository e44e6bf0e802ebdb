/* words.c - see words.h. What looks like something else is refused with a hint, never repaired: the
 * only repair is the dash, because a flag cannot start with a long one anyway. */
#include "lib/core/words.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/core/utf8.h"

struct splitter {
	const char *p, *end;
	struct buf word;
	bool begun, quoted;
	struct words *out;
	struct err *err;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_typographic_quote(uint32_t code)
{
	return (code >= 0x2018 && code <= 0x201f) || code == 0xab || code == 0xbb ||
	       code == 0x2039 || code == 0x203a || code == 0xff02 || code == 0xff07;
}

static bool is_long_dash(uint32_t code)
{
	return (code >= 0x2010 && code <= 0x2015) || code == 0x2212 || code == 0xfe58 ||
	       code == 0xff0d;
}

static bool is_odd_space(uint32_t code)
{
	return code == 0xa0 || (code >= 0x2000 && code <= 0x200a) || code == 0x202f ||
	       code == 0x205f || code == 0x3000 || code == 0x1680;
}

/* Every character of the line, whether quoted or not. */
static enum err_class check_characters(const char *line, struct err *err)
{
	const char *end = line + strlen(line);

	for (const char *p = line; p < end;) {
		uint32_t code;
		size_t len = utf8_decode(&code, p, end);

		if (!len || code == UTF8_REPLACEMENT)
			return err_code(err, ERR_USER, "command.value",
					"The line has bytes that are not text (UTF-8).");
		if ((utf8_is_control(code) && code != '\t') || utf8_is_hidden(code))
			return err_code(err, ERR_USER, "command.value",
					"The line has a character that cannot be seen, U+%04X. "
					"Please type the line anew.",
					(unsigned)code);
		p += len;
	}
	return ERR_OK;
}

static void end_word(struct splitter *s)
{
	struct words *out = s->out;

	if (!s->begun)
		return;
	out->items = mem_grow(out->items, (out->count + 1) * sizeof *out->items);
	out->items[out->count].quoted = s->quoted;
	out->items[out->count++].text = buf_take(&s->word);
	s->begun = s->quoted = false;
}

/* From the opening quote to behind the closing one. */
static enum err_class read_quoted(struct splitter *s)
{
	char quote = *s->p++;

	if (!s->begun)
		s->quoted = true;
	s->begun = true;
	for (; s->p < s->end && *s->p != quote; s->p++) {
		if (quote == '"' && *s->p == '\\' && (s->p[1] == '"' || s->p[1] == '\\'))
			s->p++;
		buf_putc(&s->word, *s->p);
	}
	if (s->p == s->end)
		return err_code(s->err, ERR_USER, "command.quote",
				"A quote (%c) is opened and not closed.", quote);
	s->p++;
	return ERR_OK;
}

/* At the start of a word: "—param" and "–-param" are "--param". */
static bool take_long_dash(struct splitter *s)
{
	uint32_t code;
	size_t len = utf8_decode(&code, s->p, s->end);

	if (s->begun || !len || !is_long_dash(code))
		return false;
	s->begun = true;
	buf_puts(&s->word, "--");
	do {
		s->p += len;
		len = s->p < s->end ? utf8_decode(&code, s->p, s->end) : 0;
	} while (len && (is_long_dash(code) || code == '-'));
	return true;
}

static enum err_class read_plain(struct splitter *s)
{
	uint32_t code = 0;
	size_t len = utf8_decode(&code, s->p, s->end);

	if (is_typographic_quote(code))
		return err_code(
			s->err, ERR_USER, "command.quote",
			"The line has typographic quotes. Please use straight ones (' or \") "
			"around values with spaces.");
	if (is_odd_space(code))
		return err_code(s->err, ERR_USER, "command.value",
				"The line has a space of a special kind, U+%04X, where a plain one "
				"should be. Please type the line anew.",
				(unsigned)code);
	s->begun = true;
	buf_add(&s->word, s->p, len);
	s->p += len;
	return ERR_OK;
}

enum err_class words_split(struct words *out, const char *line, struct err *err)
{
	struct splitter s = {.p = line, .end = line + strlen(line), .out = out, .err = err};
	enum err_class class = check_characters(line, err);

	*out = (struct words){0};
	s.word = buf_make(strlen(line) + 2);
	while (!class && s.p < s.end) {
		if (is_blank(*s.p)) {
			end_word(&s);
			s.p++;
		} else if (*s.p == '\'' || *s.p == '"') {
			class = read_quoted(&s);
		} else if (!take_long_dash(&s)) {
			class = read_plain(&s);
		}
	}
	if (class)
		words_dispose(out);
	else
		end_word(&s);
	buf_dispose(&s.word);
	return class;
}

void words_dispose(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		mem_free(words->items[i].text);
	mem_free(words->items);
	*words = (struct words){0};
}
