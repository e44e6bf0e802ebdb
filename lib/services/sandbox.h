/* sandbox.h - runs one program of somebody else's under bubblewrap and brings back what it says.
 *
 * The program sees: the folders bound for it, read-only; /tmp and /out, two small file systems in
 * memory; its own /proc and a minimal /dev; no network, no environment but the one given, no other
 * process. It is nobody, without capabilities, under limits of memory (of each process, and of all
 * together), CPU, processes and file size and a filter of system calls. Everything that it started
 * dies with it or at the time-out. Knows nothing of pipelines. Starts bubblewrap by fork and exec,
 * never through a shell; the calling thread waits. Any thread, several at once. */
#ifndef KF_SERVICES_SANDBOX_H
#define KF_SERVICES_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum { SANDBOX_RESULT_FD = 3 }; /* where the program writes its result */

struct sandbox_bind {
	const char *from; /* on this machine */
	const char *to;	  /* inside */
};

struct sandbox_request {
	const char *bwrap;		  /* NULL: found on PATH */
	const struct sandbox_bind *binds; /* read-only folders */
	size_t binds_count;
	const char *const *argv; /* the program and its arguments, then NULL */
	const char *const *env;	 /* "NAME", "value", ..., then NULL */
	const char *source_dir;	 /* bound at /source; NULL: none */
	int timeout_ms;
	const char *cgroup;	  /* in which each sandbox gets its own; NULL: none */
	int64_t memory_bytes_max; /* address space of one process, and memory of all together */
	int64_t result_bytes_max; /* what the result pipe may bring */
	int64_t files_bytes_max;  /* in /tmp and in /out, each */
	int processes_max;	  /* threads count */
};

struct sandbox_outcome {
	struct buf result; /* what came through SANDBOX_RESULT_FD */
	char *log;	   /* the last part of stdout and stderr */
	int exit_code;	   /* -1 when a signal ended it */
	int signal;	   /* 0 when it ended by itself */
	bool timed_out;	   /* killed at the time-out */
	bool flooded;	   /* killed because it wrote too much */
	bool starved;	   /* killed because all its processes together used too much memory */
	int64_t took_ms;
};
void sandbox_outcome_dispose(struct sandbox_outcome *outcome);

/* CONFIG "sandbox.missing" without bubblewrap, "sandbox.start" when it cannot be started. Whatever
 * the program did is no error here but part of *out. */
enum err_class sandbox_run(const struct sandbox_request *request, struct sandbox_outcome *out,
			   struct err *err) MUST_CHECK;

/* The cgroup below which sandboxes can get groups of their own, so that the kernel limits their
 * memory; the caller frees. With `change` it is made ready: this process moves into a leaf of it,
 * once, before sandboxes are started. NULL, with the reason in *why (constant text): none is
 * delegated to us, and their memory is looked at instead. */
char *sandbox_group_prepare(bool change, const char **why) MUST_CHECK;

#endif
