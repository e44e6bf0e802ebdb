/* sandbox_impl.h - what the files of the sandbox share: arguments, user namespace, system-call
 * filter, cgroup, memory. */
#ifndef KF_SERVICES_SANDBOX_IMPL_H
#define KF_SERVICES_SANDBOX_IMPL_H

#include <sys/types.h>

#include "lib/services/sandbox.h"

enum { SANDBOX_NOBODY = 65534, SANDBOX_ARGS_MAX = 256 };

/* The command line of bubblewrap. Text in it that had to be made is owned by `made`. */
struct sandbox_args {
	const char *argv[SANDBOX_ARGS_MAX + 1];
	size_t count;
	char *made[SANDBOX_ARGS_MAX];
	size_t made_count;
};
void sandbox_args_build(struct sandbox_args *args, const struct sandbox_request *request,
			const char *bwrap, int userns_fd, int filter_fd);
void sandbox_args_dispose(struct sandbox_args *args);

/* As root: a user namespace with just two users, root and nobody, so that the program can be made
 * nobody for the kernel too. A descriptor, or -1 where that is not allowed. */
int sandbox_userns_open(void);

/* A descriptor from which bubblewrap reads the compiled filter; -1 on machines without one. */
int sandbox_filter_open(void);

/* Lets others read a folder, so that nobody can; never follows links. */
void sandbox_make_readable(const char *dir);

/* --- memory --- */

/* The cgroup of one sandbox. Both are -1 when there is none; all functions take that. */
struct sandbox_group {
	int dir, procs; /* to `procs` the child writes "0" to join */
	char *path;
};
void sandbox_group_open(struct sandbox_group *out, const struct sandbox_request *request);
void sandbox_group_kill(const struct sandbox_group *group);
/* The kernel ended it because its memory was used up. */
bool sandbox_group_is_starved(const struct sandbox_group *group);
void sandbox_group_close(struct sandbox_group *group);

/* Our group below /sys/fs/cgroup by the text of /proc/self/cgroup; NULL: none, or outside what we
 * can see. The caller frees. */
char *sandbox_group_path(const char *proc_self_cgroup) MUST_CHECK;

/* Do the descendants of a process use more memory together? */
bool sandbox_memory_is_over(pid_t root, int64_t limit_bytes);

/* Parent and resident pages from the text of /proc/PID/stat (proc(5)). */
bool sandbox_stat_parse(const char *text, pid_t *parent, int64_t *resident_pages) MUST_CHECK;

#endif
