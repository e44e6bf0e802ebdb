/* markdown.h - text from outside, made harmless for a comment.
 *
 * Everything that we did not write ourselves goes through here before it is posted: logs,
 * parameters, branch names, error messages. Cleaned: invalid UTF-8 to U+FFFD, NUL and control
 * characters dropped, CRLF to LF, of a line with lone CRs only the last part kept, ANSI sequences
 * removed, bidi controls and zero-width characters shown as `U+202E`. Redacted: GitHub tokens of
 * any length, Authorization values, JWTs, PEM blocks, AWS key ids, what signs a pre-signed URL, and
 * configured strings. Pure; any thread. */
#ifndef KF_CORE_MARKDOWN_H
#define KF_CORE_MARKDOWN_H

#include <stddef.h>

#include "lib/base/buf.h"

enum { MARKDOWN_BODY_MAX = 65000 };

/* Cleaned and redacted text, nothing else. */
void markdown_clean(struct buf *out, const char *bytes, size_t len);

/* Cleaned, in a fence longer than any run of backticks in it, with `info` as its language; when
 * longer than `max` bytes the head and the tail are kept with "... N lines left out ..." between.
 */
void markdown_fence(struct buf *out, const char *info, const char *bytes, size_t len, size_t max);

/* Cleaned, on one line, as inline code; fit for a table cell (`|` escaped); cut at `max` bytes. */
void markdown_code(struct buf *out, const char *text, size_t max);

/* The same outside of tables, where a backslash before `|` would be shown, and pasted: for a
 * command to copy. */
void markdown_line(struct buf *out, const char *text, size_t max);

/* Cleaned, on one line, as plain text: no mention, reference, link, formatting or HTML survives;
 * fit for a table cell; cut at `max` bytes. */
void markdown_text(struct buf *out, const char *text, size_t max);

/* Cuts a whole comment at `max` bytes on a code-point boundary, closing open fences and <details>,
 * with a line that says so. */
void markdown_finish(struct buf *body, size_t max);

/* Strings to redact beside the patterns (our own secrets); borrowed for the life of the process,
 * set once before any thread. Entries shorter than 6 bytes are ignored. */
void markdown_redact_also(const char *const *secrets, size_t count);

#endif
