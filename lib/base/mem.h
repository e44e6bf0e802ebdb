/* mem.h - memory that is there or the process is not.
 *
 * Every allocation of the program goes through here. Running out of memory is answered by one line
 * on stderr and abort(): the queue on disk makes that safe, and every input is capped long before
 * it could ask for much. Also the closed set of cleanup macros. Any thread may call these. */
#ifndef KF_BASE_MEM_H
#define KF_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))

/* Ends the process with file and line when one of our own assumptions is broken. Never for input.
 */
#define must(cond) ((cond) ? (void)0 : mem_die(__FILE__, __LINE__, #cond))
_Noreturn void mem_die(const char *file, int line, const char *what);

/* Zeroed memory for count * size bytes; never NULL. The caller frees with mem_free. */
void *mem_new(size_t count, size_t size) MUST_CHECK;

/* As realloc, never NULL for size > 0. */
void *mem_grow(void *take_old, size_t size) MUST_CHECK;

void mem_free(void *take_ptr);

/* Frees what a `char *`, `struct x *` variable points to; for AUTO_FREE. */
void mem_free_ptr(void *ptr_to_ptr);
#define AUTO_FREE __attribute__((cleanup(mem_free_ptr)))

/* Called once when starting up is over: gives back what only the start needed. That is free memory,
 * and the pages of the program and its libraries that nobody has written to; those that are needed
 * again are mapped again from the page cache, sixteen at a time. Most of a library's pages are
 * there for its constructor alone. */
void mem_settle(void);

/* Hands a local out of the reach of its cleanup macro: `return take(s);`. */
#define take(ptr)                                                                                  \
	__extension__({                                                                            \
		__typeof__(ptr) taken_ = (ptr);                                                    \
		(ptr) = NULL;                                                                      \
		taken_;                                                                            \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
