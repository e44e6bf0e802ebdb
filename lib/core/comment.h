/* comment.h - where in a comment commands stand.
 *
 * A command is a line that starts with `/word` after at most three spaces, in text that people see
 * as text: a paragraph (or a heading made by underlining one). Block quotes and what Markdown joins
 * to them, code (fenced, also unclosed; indented; inline over several lines), HTML blocks and
 * comments, and everything after the mark of an e-mail reply are not looked at; of a list item only
 * lines at the left margin. libcmark finds the blocks, so the rules are CommonMark's. Pure; any
 * thread. */
#ifndef KF_CORE_COMMENT_H
#define KF_CORE_COMMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

enum { COMMENT_COMMANDS_MAX = 10, COMMENT_LINE_MAX = 4096 };

struct comment_line {
	char *text; /* from the slash to the end of the line, trailing blanks cut; owned */
	int line;   /* in the comment, from 1 */
};

struct comment_lines {
	struct comment_line *items; /* owned */
	size_t count;		    /* at most COMMENT_COMMANDS_MAX + 1: one more says "too many" */
};

/* Cheap look: can there be a command at all? False saves the Markdown parser. */
bool comment_may_have_command(const char *body, size_t len);

/* Finds the lines, in order, in at most the first 300,000 bytes and in linear time. Lines longer
 * than COMMENT_LINE_MAX are cut to one byte more, and a NUL byte becomes U+0001: the command parser
 * refuses both. A first word with a second slash is a path, not a command. */
void comment_find(struct comment_lines *out, const char *body, size_t len);
void comment_lines_dispose(struct comment_lines *lines);

#endif
