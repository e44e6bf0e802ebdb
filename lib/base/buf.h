/* buf.h - bytes that grow up to a maximum named at birth.
 *
 * Appending past the maximum keeps what fits and sets `truncated`; nothing is ever written beyond
 * it, so input from outside cannot choose how much memory is used. `data` is always followed by a
 * NUL byte that `len` does not count. Not locked: one thread at a time. */
#ifndef KF_BASE_BUF_H
#define KF_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/mem.h"

struct buf {
	char *data; /* NULL until the first byte */
	size_t len;
	size_t cap;
	size_t max;	/* bytes, without the NUL */
	bool truncated; /* something did not fit */
};

/* A buffer that will hold at most `max` bytes. Allocates nothing yet. */
struct buf buf_make(size_t max);
void buf_dispose(struct buf *buf);
#define AUTO_BUF __attribute__((cleanup(buf_dispose)))

void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *buf);

/* The content as text, "" when empty; borrowed until the next change. */
const char *buf_text(const struct buf *buf);

/* Hands the content out as a NUL-terminated string; the caller frees it. The buffer is empty then.
 */
char *buf_take(struct buf *buf) MUST_CHECK;

#endif
