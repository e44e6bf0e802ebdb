/* xml.c - see xml.h.
 *
 * expat reads, this file keeps the path and the text of each open element. The document is handed
 * over in one piece, because older versions of expat look at a long token again from its start with
 * every piece that comes. A document type is refused before anything of it is read, and with it
 * every way in which a short document becomes a long one. */
#include "lib/base/xml.h"

#include <expat.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"

enum {
	XML_BYTES_MAX = 16 * 1024 * 1024,
	XML_DEPTH_MAX = 32,
	XML_ELEMENTS_MAX = 100000,
	XML_TEXT_MAX = 64 * 1024,
	XML_PATH_MAX = 4096,
};

struct reader {
	XML_Parser parser;
	xml_seen *seen;
	void *arg;
	struct buf path;
	struct buf text; /* of all open elements, one after the other */
	struct {
		size_t path_len, text_start;
		bool has_children;
	} open[XML_DEPTH_MAX];
	int depth;
	size_t elements;
	const char *refusal; /* NULL: none */
};

static void refuse(struct reader *reader, const char *why)
{
	if (!reader->refusal)
		reader->refusal = why;
	(void)XML_StopParser(reader->parser, XML_FALSE);
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *reader = arg;

	(void)attributes;
	if (reader->refusal)
		return;
	if (reader->depth == XML_DEPTH_MAX) {
		refuse(reader, "elements are nested too deep");
		return;
	}
	if (++reader->elements > XML_ELEMENTS_MAX) {
		refuse(reader, "there are too many elements");
		return;
	}
	if (reader->depth)
		reader->open[reader->depth - 1].has_children = true;
	reader->open[reader->depth].path_len = reader->path.len;
	reader->open[reader->depth].text_start = reader->text.len;
	reader->open[reader->depth].has_children = false;
	reader->depth++;
	if (reader->depth > 1)
		buf_putc(&reader->path, '/');
	buf_puts(&reader->path, name);
	if (reader->path.truncated)
		refuse(reader, "the names of elements are too long");
}

/* Takes the end of a buffer off again. */
static void cut(struct buf *buf, size_t len)
{
	buf->len = len;
	if (buf->data)
		buf->data[len] = '\0';
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
	struct reader *reader = arg;
	const char *text;
	size_t start;

	(void)name;
	if (reader->refusal)
		return;
	reader->depth--;
	start = reader->open[reader->depth].text_start;
	text = buf_text(&reader->text) + start;
	if (reader->open[reader->depth].has_children && !text[strspn(text, " \t\r\n")])
		text = "";
	reader->seen(reader->arg, buf_text(&reader->path), text);
	cut(&reader->text, start);
	cut(&reader->path, reader->open[reader->depth].path_len);
}

static bool is_blank(const char *text, int len)
{
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	return !len;
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int len)
{
	struct reader *reader = arg;

	if (reader->refusal)
		return;
	if (reader->depth && reader->open[reader->depth - 1].has_children && is_blank(text, len))
		return; /* the layout of a long list must not add up */
	buf_add(&reader->text, text, (size_t)len);
	if (reader->text.truncated)
		refuse(reader, "an element holds too much text");
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
			       const XML_Char *public_id, int has_internal_subset)
{
	(void)name, (void)system_id, (void)public_id, (void)has_internal_subset;
	refuse(arg, "a document type declaration is not allowed");
}

static enum err_class fault_of(const struct reader *reader, struct err *err)
{
	const char *why = reader->refusal ? reader->refusal
					  : XML_ErrorString(XML_GetErrorCode(reader->parser));

	return err_set(err, ERR_USER, "line %lu, column %lu: %s",
		       (unsigned long)XML_GetCurrentLineNumber(reader->parser),
		       (unsigned long)XML_GetCurrentColumnNumber(reader->parser) + 1,
		       why ? why : "not readable as XML");
}

enum err_class xml_read(const char *text, size_t len, xml_seen *seen, void *arg, struct err *err)
{
	struct reader reader = {.seen = seen,
				.arg = arg,
				.path = buf_make(XML_PATH_MAX),
				.text = buf_make(XML_TEXT_MAX)};
	enum err_class class = ERR_OK;

	if (len > XML_BYTES_MAX)
		return err_set(err, ERR_USER, "line 1, column 1: longer than %d MiB",
			       XML_BYTES_MAX / 1024 / 1024);
	reader.parser = XML_ParserCreate(NULL);
	must(reader.parser);
	XML_SetUserData(reader.parser, &reader);
	XML_SetElementHandler(reader.parser, on_start, on_end);
	XML_SetCharacterDataHandler(reader.parser, on_text);
	XML_SetStartDoctypeDeclHandler(reader.parser, on_doctype);
	if (XML_Parse(reader.parser, len ? text : "", (int)len, XML_TRUE) != XML_STATUS_OK ||
	    reader.refusal)
		class = fault_of(&reader, err);
	XML_ParserFree(reader.parser);
	buf_dispose(&reader.path);
	buf_dispose(&reader.text);
	return class;
}
