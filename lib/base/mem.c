/* mem.c - see mem.h. Aborting on exhaustion instead of passing an error up keeps every caller free
 * of a path that no test would ever walk. */
#include "lib/base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void mem_die(const char *file, int line, const char *what)
{
	fprintf(stderr, "level=error event=bug where=%s:%d what=\"%s\"\n", file, line, what);
	abort();
}

void *mem_new(size_t count, size_t size)
{
	void *ptr = calloc(count ? count : 1, size ? size : 1);

	if (!ptr)
		mem_die(__FILE__, __LINE__, "out of memory");
	return ptr;
}

void *mem_grow(void *take_old, size_t size)
{
	void *ptr = realloc(take_old, size ? size : 1);

	if (!ptr)
		mem_die(__FILE__, __LINE__, "out of memory");
	return ptr;
}

void mem_free(void *take_ptr)
{
	free(take_ptr);
}

void mem_free_ptr(void *ptr_to_ptr)
{
	void **ptr = ptr_to_ptr;

	free(*ptr);
	*ptr = NULL;
}
