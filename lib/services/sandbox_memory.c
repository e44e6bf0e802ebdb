/* sandbox_memory.c - how much memory the processes of a sandbox use together.
 *
 * The kernel limits the address space of each process, not of all; a program can fork until their
 * sum is many times the limit. Where the sandbox has a cgroup the kernel limits the sum as well;
 * everywhere this looks at it now and then. The processes are the descendants of bubblewrap: inside
 * their own process namespace orphans go to its first process, so none gets out of the family,
 * whatever session or group it joins.
 *
 * Resident memory is read first because it is cheap; it counts a page once for each process that
 * shares it, so only when that sum is over the limit the proportional share is read, which takes
 * the kernel a walk through page tables. What no process has mapped (socket buffers, pipes) is not
 * seen here; files in memory without a name and System V segments are refused by the filter. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/services/sandbox_impl.h"

enum { PROCESSES_SEEN_MAX = 65536, FAMILY_MAX = 8192, STAT_MAX = 1024, ROLLUP_MAX = 4096 };

struct seen {
	pid_t pid, parent;
	int64_t resident_bytes;
	bool is_family;
};

/* A small file of /proc as text; false, with errno, when the process is gone or shows nothing. */
static bool read_small(pid_t pid, const char *name, char *out, size_t size)
{
	char path[64];
	ssize_t len;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, out, size - 1);
	int code = len ? errno : ESRCH;
	close(fd);
	errno = code;
	out[len > 0 ? len : 0] = '\0';
	return len > 0;
}

bool sandbox_stat_parse(const char *text, pid_t *parent, int64_t *resident_pages)
{
	/* the name in brackets may hold anything, brackets too */
	const char *at = strrchr(text, ')');
	int ppid = 0;
	long long pages = 0;

	if (!at || sscanf(at + 1,
			  " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			  "%*d %*u %*u %lld",
			  &ppid, &pages) != 2)
		return false;
	*parent = (pid_t)ppid;
	*resident_pages = pages > 0 ? pages : 0;
	return true;
}

/* Everything in /proc; the caller frees *out. */
static size_t list_processes(struct seen **out)
{
	const int64_t page = sysconf(_SC_PAGESIZE);
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	struct seen *list = NULL;
	size_t count = 0;
	char text[STAT_MAX];

	while (proc && count < PROCESSES_SEEN_MAX && (entry = readdir(proc)) != NULL) {
		struct seen one = {.pid = 0};
		int64_t pid, pages;

		if (!isdigit((unsigned char)entry->d_name[0]) || !str_to_int64(&pid, entry->d_name))
			continue;
		one.pid = (pid_t)pid;
		if (!read_small(one.pid, "stat", text, sizeof text) ||
		    !sandbox_stat_parse(text, &one.parent, &pages))
			continue;
		one.resident_bytes = pages * page;
		if (!(count & (count - 1)))
			list = mem_grow(list, (count ? 2 * count : 64) * sizeof *list);
		list[count++] = one;
	}
	if (proc)
		closedir(proc);
	*out = list;
	return count;
}

/* Marks the descendants of `root`: rounds over the list until nothing is added. A child may stand
 * before its parent, but ids grow, so there are hardly ever more than two rounds. */
static void mark_family(struct seen *list, size_t count, pid_t root)
{
	pid_t family[FAMILY_MAX];
	size_t known = 0, before;

	family[known++] = root;
	do {
		before = known;
		for (size_t i = 0; i < count && known < FAMILY_MAX; i++)
			for (size_t k = 0; k < known && !list[i].is_family; k++)
				if (list[i].parent == family[k]) {
					list[i].is_family = true;
					family[known++] = list[i].pid;
				}
	} while (known > before);
}

/* The proportional share of one process. One that is about to end has no memory any more; one that
 * hides it counts with everything that is resident. */
static int64_t share_of(const struct seen *one)
{
	char text[ROLLUP_MAX];
	const char *at;

	if (!read_small(one->pid, "smaps_rollup", text, sizeof text))
		return errno == EACCES || errno == EPERM ? one->resident_bytes : 0;
	at = strstr(text, "\nPss:");
	return at ? 1024 * (int64_t)strtoll(at + 5, NULL, 10) : one->resident_bytes;
}

bool sandbox_memory_is_over(pid_t root, int64_t limit_bytes)
{
	struct seen *list = NULL;
	size_t count = list_processes(&list);
	int64_t resident = 0, share = 0;

	mark_family(list, count, root);
	for (size_t i = 0; i < count; i++)
		resident += list[i].is_family ? list[i].resident_bytes : 0;
	for (size_t i = 0; resident > limit_bytes && i < count; i++)
		share += list[i].is_family ? share_of(&list[i]) : 0;
	mem_free(list);
	return share > limit_bytes;
}
