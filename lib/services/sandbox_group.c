/* sandbox_group.c - a cgroup (version 2) of its own for each sandbox.
 *
 * With one the kernel keeps the sum of all processes, files in memory and socket buffers below the
 * limit, and ends the whole sandbox when it cannot. It needs a part of the tree that was handed to
 * us: systemd's Delegate=, or a container with a writable /sys/fs/cgroup. A group that gives its
 * children controllers may hold no process itself, so the daemon moves into a leaf first. Each
 * sandbox is started inside its group: the child writes itself into it between fork and exec.
 * Whatever does not work here is no failure: limits of each process and the look at their sum
 * (sandbox_memory.c) hold in any case. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/services/sandbox_impl.h"

enum { SMALL_FILE = 4096, EXTRA_PROCESSES = 8, REMOVE_TRIES = 100, REMOVE_WAIT_NS = 10000000 };

static const char mount_point[] = "/sys/fs/cgroup", leaf[] = "kfopsd", prefix[] = "compile-";

/* --- small files --- */

static bool write_at(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	bool ok = fd >= 0 && write(fd, text, len) == (ssize_t)len;
	int code = errno;

	if (fd >= 0)
		close(fd);
	errno = code;
	return ok;
}

static bool write_number_at(int dir, const char *name, int64_t number)
{
	AUTO_FREE char *text = str_printf("%lld", (long long)number);

	return write_at(dir, name, text);
}

static bool read_at(int dir, const char *name, char out[SMALL_FILE])
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, out, SMALL_FILE - 1) : -1;

	if (fd >= 0)
		close(fd);
	out[len > 0 ? len : 0] = '\0';
	return len >= 0;
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)) != NULL; at += len)
		if ((at == text || strchr(" \n", at[-1])) && strchr(" \n", at[len]))
			return true;
	return false;
}

/* --- finding and preparing our part of the tree --- */

char *sandbox_group_path(const char *proc_self_cgroup)
{
	static const char unified[] = "0::/";
	const char *at = proc_self_cgroup;

	while (at && !str_starts(at, unified)) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return NULL;
	at += sizeof unified - 1;
	AUTO_FREE char *below = str_dup_len(at, strcspn(at, "\n"));
	if (str_starts(below, "../") || str_eq(below, "..")) /* outside our cgroup namespace */
		return NULL;
	return *below ? str_printf("%s/%s", mount_point, below) : str_dup(mount_point);
}

/* Opens our group; -1 with the reason. */
static int open_own(char **out_path, const char **why)
{
	char text[SMALL_FILE];
	struct statfs info;
	int dir;

	*out_path = NULL;
	if (statfs(mount_point, &info) || info.f_type != CGROUP2_SUPER_MAGIC) {
		*why = "there is no cgroup version 2 at /sys/fs/cgroup";
		return -1;
	}
	*out_path = read_at(AT_FDCWD, "/proc/self/cgroup", text) ? sandbox_group_path(text) : NULL;
	dir = *out_path ? open(*out_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	*why = "our cgroup is not to be seen";
	if (dir < 0)
		return -1;
	*why = "our cgroup is not delegated with the controllers memory and pids";
	if (read_at(dir, "cgroup.controllers", text) && has_word(text, "memory") &&
	    has_word(text, "pids") && !faccessat(dir, "cgroup.subtree_control", W_OK, 0) &&
	    !faccessat(dir, "cgroup.procs", W_OK, 0) && !faccessat(dir, ".", W_OK, 0))
		return dir;
	close(dir);
	return -1;
}

/* Groups of a daemon that was killed; their processes have died with it. */
static void remove_old(int dir)
{
	DIR *list = fdopendir(dup(dir));
	struct dirent *entry;

	while (list && (entry = readdir(list)) != NULL)
		if (str_starts(entry->d_name, prefix))
			unlinkat(dir, entry->d_name, AT_REMOVEDIR);
	if (list)
		closedir(list);
}

static bool hand_down(int dir, const char **why)
{
	AUTO_FREE char *procs = str_printf("%s/cgroup.procs", leaf);

	*why = "our cgroup cannot be divided";
	if (mkdirat(dir, leaf, 0755) && errno != EEXIST)
		return false;
	if (!write_number_at(dir, procs, getpid()))
		return false;
	remove_old(dir);
	if (write_at(dir, "cgroup.subtree_control", "+memory +pids"))
		return true;
	*why = "our cgroup holds other processes, or its controllers cannot be handed on";
	if (write_number_at(dir, "cgroup.procs", getpid()))
		unlinkat(dir, leaf, AT_REMOVEDIR);
	return false;
}

char *sandbox_group_prepare(bool change, const char **why)
{
	AUTO_FREE char *path = NULL;
	int dir = open_own(&path, why);
	bool ok = dir >= 0 && (!change || hand_down(dir, why));

	if (dir >= 0)
		close(dir);
	return ok ? take(path) : NULL;
}

/* --- one sandbox --- */

static bool set_limits(int dir, const struct sandbox_request *request)
{
	/* without swap accounting there is no such file, and nothing to limit */
	bool swap = write_at(dir, "memory.swap.max", "0") || errno == ENOENT;

	return swap && write_number_at(dir, "memory.max", request->memory_bytes_max) &&
	       write_at(dir, "memory.oom.group", "1") &&
	       write_number_at(dir, "pids.max", request->processes_max + EXTRA_PROCESSES);
}

void sandbox_group_open(struct sandbox_group *out, const struct sandbox_request *request)
{
	static atomic_uint next;

	*out = (struct sandbox_group){.dir = -1, .procs = -1};
	if (!request->cgroup)
		return;
	out->path = str_printf("%s/%s%d-%u", request->cgroup, prefix, (int)getpid(),
			       atomic_fetch_add(&next, 1));
	if (!mkdir(out->path, 0755))
		out->dir = open(out->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->dir >= 0 && set_limits(out->dir, request))
		out->procs = openat(out->dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (out->procs < 0)
		sandbox_group_close(out);
}

void sandbox_group_kill(const struct sandbox_group *group)
{
	if (group->dir >= 0)
		(void)!write_at(group->dir, "cgroup.kill", "1");
}

bool sandbox_group_is_starved(const struct sandbox_group *group)
{
	char text[SMALL_FILE];
	const char *at = group->dir >= 0 && read_at(group->dir, "memory.events", text)
				 ? strstr(text, "oom_kill ")
				 : NULL;

	return at && strtol(at + strlen("oom_kill "), NULL, 10) > 0;
}

void sandbox_group_close(struct sandbox_group *group)
{

	if (group->procs >= 0)
		close(group->procs);
	if (group->dir >= 0)
		close(group->dir);
	/* the kernel needs a moment to take the last process off */
	for (int i = 0; group->path && i < REMOVE_TRIES; i++) {
		if (!rmdir(group->path) || errno != EBUSY)
			break;
		nanosleep(&(struct timespec){.tv_nsec = REMOVE_WAIT_NS}, NULL);
	}
	mem_free(group->path);
	*group = (struct sandbox_group){.dir = -1, .procs = -1};
}
