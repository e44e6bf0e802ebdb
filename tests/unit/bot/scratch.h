/* scratch.h - a folder of its own for each test, gone afterwards. */
#ifndef KF_TESTS_UNIT_BOT_SCRATCH_H
#define KF_TESTS_UNIT_BOT_SCRATCH_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/str.h"

struct scratch {
	char dir[256];
	char db[300];
};

static inline void scratch_make(struct scratch *scratch)
{
	const char *base = getenv("TMPDIR");

	snprintf(scratch->dir, sizeof scratch->dir, "%s/kfops-test-XXXXXX", base ? base : "/tmp");
	must(mkdtemp(scratch->dir));
	snprintf(scratch->db, sizeof scratch->db, "%s/kfops.db", scratch->dir);
}

static inline void scratch_drop(struct scratch *scratch)
{
	DIR *dir = opendir(scratch->dir);
	struct dirent *entry;
	char path[600];

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof path, "%s/%s", scratch->dir, entry->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(scratch->dir);
}

#endif
