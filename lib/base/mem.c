/* mem.c - see mem.h. Aborting on exhaustion instead of passing an error up keeps every caller free
 * of a path that no test would ever walk. */
#include "lib/base/mem.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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

static bool has_text_relocations(const struct dl_phdr_info *info)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		const ElfW(Dyn) *entry = (const void *)(info->dlpi_addr + segment->p_vaddr);

		for (; segment->p_type == PT_DYNAMIC && entry->d_tag != DT_NULL; entry++)
			if (entry->d_tag == DT_TEXTREL)
				return true;
	}
	return false;
}

/* Only segments that are never written: what DONTNEED drops comes back from the file, and a page
 * with relocations in it would come back without them. */
static int unmap_clean(struct dl_phdr_info *info, size_t size, void *page_size)
{
	uintptr_t page = *(const uintptr_t *)page_size;

	(void)size;
	if (has_text_relocations(info))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t from = (info->dlpi_addr + segment->p_vaddr) & ~(page - 1);
		uintptr_t to = info->dlpi_addr + segment->p_vaddr + segment->p_memsz;

		if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
			(void)madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

void mem_settle(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	malloc_trim(0);
	dl_iterate_phdr(unmap_clean, &page);
}
