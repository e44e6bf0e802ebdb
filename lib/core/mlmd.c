/* mlmd.c - gRPC-Web frames, protobuf's wire format, and the requests.
 *
 * Protobuf's encoding is four kinds of field behind a number (protobuf.dev, "Encoding"); reading it
 * by hand is smaller than a library and has every bound in sight. A frame is a flag byte, four
 * bytes of length and the content; trailers are a frame of text (flag 0x80). A failed call may have
 * no frame at all and its status among the HTTP headers. */
#include "lib/core/mlmd.h"

#include <ctype.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/core/mlmd_impl.h"

enum {
	FRAME_HEAD = 5,
	FLAG_TRAILERS = 0x80,
	FLAG_COMPRESSED = 0x01,
	TRAILERS_MAX = 8192,
	WORDS_MAX = 400,
	REQUEST_MAX = 64 * 1024,
};

/* --- the wire format --- */

struct wire wire_open(const unsigned char *bytes, size_t len)
{
	return (struct wire){.at = bytes, .end = bytes ? bytes + len : NULL};
}

static bool varint(struct wire *wire, uint64_t *out)
{
	*out = 0;
	for (int shift = 0; shift < 70 && wire->at < wire->end; shift += 7) {
		unsigned char byte = *wire->at++;

		if (shift == 63 && byte > 1)
			return false;
		*out |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static bool fixed(struct wire *wire, size_t len, uint64_t *out)
{
	if ((size_t)(wire->end - wire->at) < len)
		return false;
	*out = 0;
	for (size_t i = 0; i < len; i++)
		*out |= (uint64_t)wire->at[i] << (8 * i);
	wire->at += len;
	return true;
}

static bool length_delimited(struct wire *wire, struct wire_field *out)
{
	if (!varint(wire, &out->value) || out->value > (uint64_t)(wire->end - wire->at))
		return false;
	out->bytes = wire->at;
	out->len = (size_t)out->value;
	wire->at += out->len;
	return true;
}

static bool content(struct wire *wire, struct wire_field *out)
{
	switch (out->type) {
	case 0:
		return varint(wire, &out->value);
	case 1:
		return fixed(wire, 8, &out->value);
	case 2:
		return length_delimited(wire, out);
	case 5:
		return fixed(wire, 4, &out->value);
	default: /* groups ended with proto2 */
		return false;
	}
}

bool wire_next(struct wire *wire, struct wire_field *out)
{
	uint64_t key;

	*out = (struct wire_field){0};
	if (wire->broken || wire->at == wire->end)
		return false;
	if (varint(wire, &key) && key >> 3 && key >> 3 <= 0x1fffffff) {
		out->number = (uint32_t)(key >> 3);
		out->type = (int)(key & 7);
		if (content(wire, out))
			return true;
	}
	wire->broken = true;
	return false;
}

static void put_varint(struct buf *out, uint64_t value)
{
	while (value >= 0x80) {
		buf_putc(out, (char)(unsigned char)(value | 0x80));
		value >>= 7;
	}
	buf_putc(out, (char)(unsigned char)value);
}

void wire_put_varint(struct buf *out, uint32_t number, uint64_t value)
{
	put_varint(out, (uint64_t)number << 3);
	put_varint(out, value);
}

void wire_put_bytes(struct buf *out, uint32_t number, const void *bytes, size_t len)
{
	put_varint(out, (uint64_t)number << 3 | 2);
	put_varint(out, len);
	buf_add(out, bytes, len);
}

/* --- requests --- */

static void put_frame(struct buf *out, const struct buf *message)
{
	buf_putc(out, 0);
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_putc(out, (char)(unsigned char)(message->len >> shift));
	if (message->len)
		buf_add(out, message->data, message->len);
}

void mlmd_ask_context(struct buf *out, const char *run_id)
{
	static const char type[] = "system.PipelineRun";
	AUTO_BUF struct buf message = buf_make(REQUEST_MAX);

	wire_put_bytes(&message, 1, type, strlen(type));
	wire_put_bytes(&message, 2, run_id, strlen(run_id));
	put_frame(out, &message);
}

void mlmd_ask_page(struct buf *out, int64_t context_id, const char *page)
{
	AUTO_BUF struct buf message = buf_make(REQUEST_MAX), options = buf_make(REQUEST_MAX);

	wire_put_varint(&options, 1, MLMD_PAGE_SIZE);
	if (*page)
		wire_put_bytes(&options, 3, page, strlen(page));
	wire_put_varint(&message, 1, (uint64_t)context_id);
	wire_put_bytes(&message, 2, options.data, options.len);
	put_frame(out, &message);
}

void mlmd_ask_events(struct buf *out, const int64_t *execution_ids, size_t count)
{
	AUTO_BUF struct buf message = buf_make(REQUEST_MAX);

	must(count <= MLMD_IDS_MAX);
	for (size_t i = 0; i < count; i++)
		wire_put_varint(&message, 1, (uint64_t)execution_ids[i]);
	put_frame(out, &message);
}

void mlmd_ask_types(struct buf *out)
{
	AUTO_BUF struct buf message = buf_make(0);

	put_frame(out, &message);
}

/* --- frames of an answer --- */

struct status {
	int64_t code; /* -1: not said */
	char words[WORDS_MAX];
};

static int hex_value(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* grpc-message is percent-encoded; what comes out is one line of text for people. */
static void decode_words(char out[WORDS_MAX], const char *text, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < len && at < WORDS_MAX - 1; i++) {
		int c = (unsigned char)text[i];

		if (c == '%' && i + 2 < len && hex_value(text[i + 1]) >= 0 &&
		    hex_value(text[i + 2]) >= 0) {
			c = 16 * hex_value(text[i + 1]) + hex_value(text[i + 2]);
			i += 2;
		}
		out[at++] = (char)(c < 0x20 || c == 0x7f ? ' ' : c);
	}
	out[str_utf8_cut(out, at)] = '\0';
}

static void take_line(struct status *status, const char *line, size_t len)
{
	static const char code[] = "grpc-status:", words[] = "grpc-message:";
	char number[16];

	if (len > strlen(code) && !strncasecmp(line, code, strlen(code))) {
		line += strlen(code);
		len -= strlen(code);
		while (len && *line == ' ')
			line++, len--;
		if (len >= sizeof number)
			return;
		memcpy(number, line, len);
		number[len] = '\0';
		if (!str_to_int64(&status->code, number))
			status->code = -1;
	} else if (len > strlen(words) && !strncasecmp(line, words, strlen(words))) {
		line += strlen(words);
		len -= strlen(words);
		while (len && *line == ' ')
			line++, len--;
		decode_words(status->words, line, len);
	}
}

static void read_trailers(struct status *status, const unsigned char *bytes, size_t len)
{
	const char *text = (const char *)bytes;

	while (len) {
		const char *newline = memchr(text, '\n', len);
		size_t whole = newline ? (size_t)(newline - text) + 1 : len;
		size_t line = newline ? whole - 1 : whole;

		if (line && text[line - 1] == '\r')
			line--;
		take_line(status, text, line);
		text += whole;
		len -= whole;
	}
}

static enum err_class status_class(int64_t code)
{
	switch (code) {
	case 3:	 /* INVALID_ARGUMENT */
	case 9:	 /* FAILED_PRECONDITION */
	case 11: /* OUT_OF_RANGE */
		return ERR_USER;
	case 5: /* NOT_FOUND */
		return ERR_NOT_FOUND;
	case 7: /* PERMISSION_DENIED */
		return ERR_DENIED;
	case 8: /* RESOURCE_EXHAUSTED */
		return ERR_THROTTLED;
	case 12: /* UNIMPLEMENTED */
	case 16: /* UNAUTHENTICATED */
		return ERR_CONFIG;
	default:
		return ERR_TRANSIENT;
	}
}

/* Reads all frames; false when they are cut or of a kind that was not asked for. */
static bool read_frames(struct status *status, const unsigned char **message, size_t *len,
			const unsigned char *at, size_t left)
{
	bool has_message = false;

	while (left) {
		size_t size;

		if (left < FRAME_HEAD)
			return false;
		size = (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4];
		if (size > left - FRAME_HEAD || at[0] & FLAG_COMPRESSED)
			return false;
		if (at[0] & FLAG_TRAILERS) {
			if (size > TRAILERS_MAX)
				return false;
			read_trailers(status, at + FRAME_HEAD, size);
		} else {
			if (has_message || size > MLMD_MESSAGE_MAX)
				return false;
			has_message = true;
			*message = size ? at + FRAME_HEAD : NULL;
			*len = size;
		}
		at += FRAME_HEAD + size;
		left -= FRAME_HEAD + size;
	}
	return true;
}

enum err_class mlmd_unframe(const unsigned char **message, size_t *len, const void *body,
			    size_t body_len, const char *const headers[2], struct err *err)
{
	struct status status = {.code = -1};
	bool whole;

	*message = NULL;
	*len = 0;
	if (!str_to_int64(&status.code, headers[0]))
		status.code = -1;
	decode_words(status.words, headers[1], strlen(headers[1]));
	whole = read_frames(&status, message, len, body, body_len);
	if (whole && !status.code)
		return ERR_OK;
	*message = NULL;
	*len = 0;
	if (!whole)
		return err_set(err, ERR_TRANSIENT,
			       "ML Metadata answers with something that is not gRPC-Web, or cut");
	if (status.code < 0)
		return err_set(err, ERR_TRANSIENT, "ML Metadata answers without a status");
	return err_set(err, status_class(status.code), "ML Metadata answers %lld: %s",
		       (long long)status.code,
		       *status.words ? status.words : "it does not say why");
}
