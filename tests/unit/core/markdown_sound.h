/* markdown_sound.h - what must hold of text made harmless, whatever it was before: libcmark reads
 * the result and says what people would see. Used by the unit test and the fuzz target. */
#ifndef KF_TESTS_UNIT_CORE_MARKDOWN_SOUND_H
#define KF_TESTS_UNIT_CORE_MARKDOWN_SOUND_H

#include <cmark.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/core/markdown.h"
#include "lib/core/utf8.h"

/* Valid UTF-8 without controls (but tab and newline) and without hidden characters (but `except`).
 */
static inline bool text_is_clean(const char *text, size_t len, uint32_t except)
{
	for (const char *p = text, *end = text + len; p < end;) {
		uint32_t code;
		size_t step = utf8_decode(&code, p, end);

		if (!step || (utf8_is_control(code) && code != '\t' && code != '\n') ||
		    (utf8_is_hidden(code) && code != except))
			return false;
		p += step;
	}
	return true;
}

static inline void clean_must_be_sound(const char *bytes, size_t len)
{
	AUTO_BUF struct buf once = buf_make(12 * len + 64), twice = buf_make(12 * len + 64);
	AUTO_BUF struct buf cut = buf_make(len / 2);

	markdown_clean(&once, bytes, len);
	must(!once.truncated && text_is_clean(buf_text(&once), once.len, 0));
	markdown_clean(&twice, buf_text(&once), once.len);
	must(once.len == twice.len && !memcmp(buf_text(&once), buf_text(&twice), once.len));
	markdown_clean(&cut, bytes, len);
	must(text_is_clean(buf_text(&cut), cut.len, 0));
	must(!memcmp(buf_text(&once), buf_text(&cut), cut.len));
}

/* The only child of the document, of this type. */
static inline cmark_node *only_child(cmark_node *parent, cmark_node_type type)
{
	cmark_node *child = cmark_node_first_child(parent);

	must(child && cmark_node_get_type(child) == type && !cmark_node_next(child));
	return child;
}

/* A fence holds all of its text and ends where it should. */
static inline void fence_must_be_sound(const char *bytes, size_t len, size_t max)
{
	static const char before[] = "before\n", after[] = "after\n";
	AUTO_BUF struct buf out = buf_make(24 * len + 1024);
	cmark_node *document, *node;

	buf_puts(&out, before);
	markdown_fence(&out, "text`~<", bytes, len, max);
	buf_puts(&out, after);
	must(!out.truncated && text_is_clean(out.data, out.len, 0));
	document = cmark_parse_document(out.data, out.len, CMARK_OPT_DEFAULT);
	node = cmark_node_first_child(document);
	must(cmark_node_get_type(node) == CMARK_NODE_PARAGRAPH);
	node = cmark_node_next(node);
	must(cmark_node_get_type(node) == CMARK_NODE_CODE_BLOCK);
	must(!strcmp(cmark_node_get_fence_info(node), "text"));
	must(strlen(cmark_node_get_literal(node)) <= max + 1);
	node = cmark_node_next(node);
	must(node && cmark_node_get_type(node) == CMARK_NODE_PARAGRAPH && !cmark_node_next(node));
	node = cmark_node_first_child(node);
	must(!strcmp(cmark_node_get_literal(node), "after"));
	cmark_node_free(document);
}

/* No pipe that would end a table's cell, by either reading of two backslashes before one. */
static inline bool fits_a_cell(const char *text)
{
	for (const char *p = text; (p = strchr(p, '|')) != NULL; p++) {
		size_t slashes = 0;

		while (p - slashes > text && p[-1 - (ptrdiff_t)slashes] == '\\')
			slashes++;
		if (slashes % 2 == 0)
			return false;
	}
	return !strchr(text, '\n');
}

/* Inline code is one span of code, wherever it stands in a line. */
static inline void code_must_be_sound(const char *text, size_t max)
{
	AUTO_BUF struct buf out = buf_make(24 * strlen(text) + 1024);
	cmark_node *document;

	markdown_code(&out, text, max);
	must(text_is_clean(buf_text(&out), out.len, 0) && fits_a_cell(buf_text(&out)));
	document = cmark_parse_document(out.data, out.len, CMARK_OPT_DEFAULT);
	only_child(only_child(document, CMARK_NODE_PARAGRAPH), CMARK_NODE_CODE);
	cmark_node_free(document);
}

/* Plain text is a paragraph of nothing but text. */
static inline void plain_must_be_sound(const char *text, size_t max)
{
	AUTO_BUF struct buf out = buf_make(24 * strlen(text) + 1024);
	cmark_node *document, *node;

	markdown_text(&out, text, max);
	must(text_is_clean(buf_text(&out), out.len, 0x200b) && fits_a_cell(buf_text(&out)));
	if (!out.len)
		return;
	document = cmark_parse_document(out.data, out.len, CMARK_OPT_DEFAULT);
	node = cmark_node_first_child(only_child(document, CMARK_NODE_PARAGRAPH));
	for (; node; node = cmark_node_next(node)) {
		must(cmark_node_get_type(node) == CMARK_NODE_TEXT);
		must(cmark_node_get_literal(node)[0] != '/' || cmark_node_previous(node) ||
		     out.data[0] == '\\');
	}
	cmark_node_free(document);
	for (const char *p = out.data; (p = strpbrk(p, "@#")) != NULL; p++)
		must(str_starts(p + 1, "\xe2\x80\x8b"));
}

/* A comment of ours that is cut fits, and what says so is not inside anything of it. */
static inline void finish_must_be_sound(const char *bytes, size_t len, size_t max)
{
	AUTO_BUF struct buf out = buf_make(24 * len + 4096);
	cmark_node *document, *node;
	size_t before;

	buf_puts(&out, "**/run** `x`\n\n<details><summary>log</summary>\n\n");
	markdown_fence(&out, "text", bytes, len, len);
	before = out.len;
	markdown_finish(&out, max);
	must(out.len <= (before > max ? max : before));
	must(text_is_clean(out.data, out.len, 0));
	if (before <= max)
		return;
	document = cmark_parse_document(out.data, out.len, CMARK_OPT_DEFAULT);
	node = cmark_node_last_child(document);
	must(cmark_node_get_type(node) == CMARK_NODE_PARAGRAPH);
	must(cmark_node_get_type(cmark_node_first_child(node)) == CMARK_NODE_EMPH);
	cmark_node_free(document);
	must(strstr(out.data, "</details>"));
}

#endif
