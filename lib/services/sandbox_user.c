/* sandbox_user.c - who the program in the sandbox is.
 *
 * An ordinary user's sandbox has a user namespace in which the program is nobody; for the kernel it
 * is still that user. A daemon that runs as root can do better: a namespace that knows root, who
 * makes the mounts, and nobody, who the program becomes. Then limits on processes count (the kernel
 * exempts root from them), and files of root are closed to it. bubblewrap itself can only map one
 * user, so the namespace is made here: a child unshares, the parent writes the maps and keeps a
 * descriptor of the namespace, the child goes. Where that is refused (a container without user
 * namespaces), bubblewrap is started as root without one and the program still becomes nobody. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/services/sandbox_impl.h"

static bool write_map(pid_t pid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	static const char map[] = "0 0 1\n65534 65534 1\n";
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool ok = write(fd, map, sizeof(map) - 1) == (ssize_t)sizeof(map) - 1;
	close(fd);
	return ok;
}

/* In the child: only calls that are safe after a fork of a process with threads. */
_Noreturn static void hold_namespace(int ready, int leave)
{
	char byte = 0;
	if (unshare(CLONE_NEWUSER) != 0)
		_exit(1);
	if (write(ready, &byte, 1) != 1)
		_exit(1);
	while (read(leave, &byte, 1) > 0)
		continue;
	_exit(0);
}

static int namespace_of(pid_t pid)
{
	if (!write_map(pid, "uid_map") || !write_map(pid, "gid_map"))
		return -1;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int sandbox_userns_open(void)
{
	int ready[2], leave[2];
	if (geteuid() != 0 || pipe2(ready, O_CLOEXEC) != 0)
		return -1;
	if (pipe2(leave, O_CLOEXEC) != 0) {
		close(ready[0]);
		close(ready[1]);
		return -1;
	}
	int fd = -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(leave[1]);
		hold_namespace(ready[1], leave[0]);
	}
	close(ready[1]);
	close(leave[0]);
	char byte;
	if (pid > 0 && read(ready[0], &byte, 1) == 1)
		fd = namespace_of(pid);
	close(ready[0]);
	close(leave[1]);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	return fd;
}

void sandbox_make_readable(const char *dir)
{
	char *const roots[] = {str_dup(dir), NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *entry;
	while (walk && (entry = fts_read(walk)) != NULL) {
		mode_t need = entry->fts_info == FTS_D ? 0555 : entry->fts_info == FTS_F ? 0444 : 0;
		mode_t mode = entry->fts_statp->st_mode & 07777;
		if (need && (mode & need) != need)
			(void)!chmod(entry->fts_accpath, mode | need);
	}
	if (walk)
		fts_close(walk);
	mem_free(roots[0]);
}
