/* comment.h - where in a comment commands stand.
 *
 * A command is a line of a paragraph that starts with `/word` after at most three spaces. Block quotes,
 * code (fenced, also unclosed; indented), HTML blocks and comments, and everything after the mark of an
 * e-mail reply are not looked at: libcmark finds the blocks, so the rules are CommonMark's. Pure; any
 * thread. */
#ifndef KF_CORE_COMMENT_H
#define KF_CORE_COMMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

enum { COMMENT_COMMANDS_MAX = 10, COMMENT_LINE_MAX = 4096 };

struct comment_line {
	char *text;      /* from the slash to the end of the line, trailing blanks cut; owned */
	int line;        /* in the comment, from 1 */
};

struct comment_lines {
	struct comment_line *items;  /* owned */
	size_t count;                /* at most COMMENT_COMMANDS_MAX + 1: one more says "too many" */
};

/* Cheap look: can there be a command at all? False saves the Markdown parser. */
bool comment_may_have_command(const char *body, size_t len);

/* Finds the lines, in order. Lines longer than COMMENT_LINE_MAX are cut to one byte more, which the
 * command parser refuses. */
void comment_find(struct comment_lines *out, const char *body, size_t len);
void comment_lines_dispose(struct comment_lines *lines);

#endif
