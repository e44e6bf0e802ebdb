/* sandbox_impl.h - what the files of the sandbox share: arguments, user namespace, system-call
 * filter. */
#ifndef KF_SERVICES_SANDBOX_IMPL_H
#define KF_SERVICES_SANDBOX_IMPL_H

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

#endif
