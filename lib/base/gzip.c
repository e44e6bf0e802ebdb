/* gzip.c - see gzip.h. zlib's inflate in pieces of 16 KiB, so a bomb ends at the buffer's maximum
 * and not in memory. A second member after the first is refused: Go's writer, which Argo uses,
 * makes one. */
#include "lib/base/gzip.h"

#include <limits.h>
#define ZLIB_CONST /* its input is not ours to change */
#include <zlib.h>

enum { PIECE = 16 * 1024, GZIP_ONLY = 16 + MAX_WBITS };

static enum err_class inflate_into(struct buf *out, z_stream *stream, struct err *err)
{
	unsigned char piece[PIECE];
	int status;

	do {
		stream->next_out = piece;
		stream->avail_out = sizeof piece;
		status = inflate(stream, Z_NO_FLUSH);
		must(status != Z_STREAM_ERROR);
		if (status == Z_MEM_ERROR)
			mem_die(__FILE__, __LINE__, "inflate had no memory");
		if (status != Z_OK && status != Z_STREAM_END)
			return err_set(err, ERR_USER, "the gzip data is %s",
				       status == Z_BUF_ERROR ? "cut short" : "damaged");
		buf_add(out, piece, sizeof piece - stream->avail_out);
		if (out->truncated)
			return err_set(err, ERR_USER,
				       "the gzip data unpacks to more than %zu bytes", out->max);
	} while (status != Z_STREAM_END);
	if (stream->avail_in)
		return err_set(err, ERR_USER, "there is something after the gzip data");
	return ERR_OK;
}

enum err_class gzip_unpack(struct buf *out, const void *data, size_t len, struct err *err)
{
	z_stream stream = {0};
	enum err_class class;

	if (len > UINT_MAX)
		return err_set(err, ERR_USER, "the gzip data is larger than 4 GiB");
	stream.next_in = data;
	stream.avail_in = (uInt)len;
	must(inflateInit2(&stream, GZIP_ONLY) == Z_OK);
	class = inflate_into(out, &stream, err);
	inflateEnd(&stream);
	return class;
}
