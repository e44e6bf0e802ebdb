/* fuzz_xml.c - any bytes as XML. Paths and texts keep their bounds, the root is told last, and what
 * was refused says where. */
#include <stdint.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/base/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
	size_t elements;
	char *last;
};

static void check(void *arg, const char *path, const char *text)
{
	struct told *told = arg;

	told->elements++;
	must(*path && strlen(path) <= 4096 && strlen(text) <= 64 * 1024);
	must(str_utf8_cut(text, strlen(text)) == strlen(text));
	mem_free(told->last);
	told->last = str_dup(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	struct told told = {0};
	enum err_class class = xml_read((const char *)data, size, check, &told, &err);

	if (class)
		must(class == ERR_USER && str_starts(err.msg, "line "));
	else
		must(told.elements && !strchr(told.last, '/')); /* the root is told last */
	must(told.elements <= 100000);
	mem_free(told.last);
	return 0;
}
