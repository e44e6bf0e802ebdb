/* crash.h - places at which a test ends the process as kill -9 would.
 *
 * One before and one after every commit and every call to a far side. In builds without
 * KFOPS_FAULTS the macro is nothing. With it: KFOPS_CRASH_AT=n in the environment ends the process
 * with exit code 137 at the n-th point passed, counted over all threads; KFOPS_CRASH_AT=name:n at
 * the n-th of this name, which several threads cannot shift; KFOPS_CRASH_LOG=FILE appends "n name"
 * for each point passed, so a test can list them. KFOPS_CRASH_WITH=signal: the end is a crash by
 * this signal instead; 11 by really writing where nothing may be written. Any thread. */
#ifndef KF_BASE_CRASH_H
#define KF_BASE_CRASH_H

#if KFOPS_FAULTS
void crash_point(const char *name);
#define CRASH_POINT(name) crash_point(name)
#else
#define CRASH_POINT(name) ((void)0)
#endif

/* Reads the environment; once before any thread. Does nothing without KFOPS_FAULTS. */
void crash_init(void);

#endif
