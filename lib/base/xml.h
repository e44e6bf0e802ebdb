/* xml.h - XML answers of services, element by element. The only file that knows expat.
 *
 * No tree is built: the caller is told of each element when it ends. Bounds: 16 MiB of text, depth
 * 32, 100,000 elements, 64 KiB of text in the elements open at a time. A document type declaration
 * is refused, so there are no entities but XML's own five and numeric ones. Attributes, comments
 * and processing instructions are passed over; names are as written, with their prefix. Any thread.
 */
#ifndef KF_BASE_XML_H
#define KF_BASE_XML_H

#include <stddef.h>

#include "lib/base/err.h"

/* Called at the end of each element. `path` has the names from the root on with '/' between them
 * ("Error/Code"); `text` is the element's own text as UTF-8 without that of elements inside it, ""
 * when it is nothing but blanks between such elements. Both are borrowed for the call. */
typedef void xml_seen(void *arg, const char *path, const char *text);

/* Reads one whole document. USER with "line L, column C: ..." on the first fault; what came before
 * the fault has been told by then. */
enum err_class xml_read(const char *text, size_t len, xml_seen *seen, void *arg,
			struct err *err) MUST_CHECK;

#endif
