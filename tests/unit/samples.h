/* samples.h - files for tests: our own under tests/data, and the shared samples where they are
 * there.
 *
 * The shared folder is named by KFOPS_SHARED, else it lies beside the source tree. A test that
 * needs it and does not find it prints "skipped" and passes over its cases. */
#ifndef KF_TESTS_UNIT_SAMPLES_H
#define KF_TESTS_UNIT_SAMPLES_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

static inline char *sample_path(bool shared, const char *name)
{
	const char *source = getenv("KFOPS_SOURCE_DIR");
	const char *folder = getenv("KFOPS_SHARED");

	if (!source)
		source = ".";
	if (!shared)
		return str_printf("%s/tests/data/%s", source, name);
	return folder ? str_printf("%s/%s", folder, name)
		      : str_printf("%s/../shared/%s", source, name);
}

/* The whole file with a NUL after it, or NULL when it is not there. The caller frees. */
static inline char *sample_read(bool shared, const char *name, size_t *len)
{
	char *path = sample_path(shared, name), *text = NULL;
	FILE *file = fopen(path, "rb");

	if (file) {
		size_t cap = 1 << 16;

		*len = 0;
		text = mem_grow(NULL, cap + 1);
		for (size_t got; (got = fread(text + *len, 1, cap - *len, file)) > 0;) {
			*len += got;
			if (*len == cap)
				text = mem_grow(text, (cap *= 2) + 1);
		}
		text[*len] = '\0';
		fclose(file);
	}
	mem_free(path);
	return text;
}

/* Calls `each` with the name of every file of the folder that ends so; returns how many there were.
 */
static inline size_t sample_each(bool shared, const char *folder, const char *ending,
				 void (*each)(const char *name, void *arg), void *arg)
{
	char *path = sample_path(shared, folder);
	struct dirent **entries = NULL;
	int count = scandir(path, &entries, NULL, alphasort);
	size_t found = 0;

	for (int i = 0; i < count; i++) {
		if (str_ends(entries[i]->d_name, ending)) {
			each(entries[i]->d_name, arg);
			found++;
		}
		free(entries[i]);
	}
	free(entries);
	mem_free(path);
	return found;
}

#endif
