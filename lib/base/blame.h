/* blame.h - which job a crash of the process belongs to.
 *
 * Each thread says which job it works on. A handler of the signals by which a process ends through
 * a fault of its own (SEGV, BUS, FPE, ILL, ABRT) writes that job into a file that is open already,
 * then lets the signal take its course. The next process reads the file. An end from outside
 * (SIGKILL, the kernel short of memory, loss of power) leaves no note: nobody is blamed. It does
 * not know what a job is, nor what follows from blame. */
#ifndef KF_BASE_BLAME_H
#define KF_BASE_BLAME_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

struct blame {
	int64_t process; /* number that the process gave itself */
	int64_t job;	 /* 0: the thread worked on none */
	int64_t signal;
};

/* The note that an earlier process left; false when there is none, or it is not whole. */
bool blame_read(const char *path, struct blame *out);

/* Empties the file and watches from now on; once, before other threads are started. CONFIG: the
 * file cannot be written. */
enum err_class blame_watch(const char *path, int64_t process, struct err *err) MUST_CHECK;

/* The job the calling thread works on from now on; 0: none. */
void blame_job(int64_t job);

/* Gives the calling thread a stack for the handler, without which an overflow of its own leaves no
 * note; taken back at its end. */
void blame_thread_begin(void);
void blame_thread_end(void);

#endif
