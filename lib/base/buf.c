/* buf.c - see buf.h. */
#include "lib/base/buf.h"

#include <stdio.h>
#include <string.h>

struct buf buf_make(size_t max)
{
	return (struct buf){.max = max};
}

void buf_dispose(struct buf *buf)
{
	mem_free(buf->data);
	*buf = (struct buf){0};
}

/* Makes room for `len` more bytes and the NUL; the capacity doubles so that appending stays linear.
 */
static void reserve(struct buf *buf, size_t len)
{
	size_t need = buf->len + len + 1, cap = buf->cap ? buf->cap : 64;

	if (need <= buf->cap)
		return;
	while (cap < need)
		cap *= 2;
	buf->data = mem_grow(buf->data, cap);
	buf->cap = cap;
}

void buf_add(struct buf *buf, const void *bytes, size_t len)
{
	if (len > buf->max - buf->len) {
		len = buf->max - buf->len;
		buf->truncated = true;
	}
	if (!len)
		return;
	reserve(buf, len);
	memcpy(buf->data + buf->len, bytes, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_puts(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_putc(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list ap, again;
	int need;

	va_start(ap, fmt);
	va_copy(again, ap);
	need = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	must(need >= 0);
	if ((size_t)need <= buf->max - buf->len) {
		reserve(buf, (size_t)need);
		vsnprintf(buf->data + buf->len, (size_t)need + 1, fmt, again);
		buf->len += (size_t)need;
	} else {
		char *text = mem_new((size_t)need + 1, 1);

		vsnprintf(text, (size_t)need + 1, fmt, again);
		buf_add(buf, text, (size_t)need);
		mem_free(text);
	}
	va_end(again);
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->truncated = false;
	if (buf->data)
		buf->data[0] = '\0';
}

const char *buf_text(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

char *buf_take(struct buf *buf)
{
	char *text = buf->data ? buf->data : mem_new(1, 1);

	*buf = (struct buf){.max = buf->max};
	return text;
}
