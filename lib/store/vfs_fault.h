/* vfs_fault.h - a disk that fails when told to; for tests of the store.
 *
 * A layer between SQLite and its usual VFS. The environment variable KFOPS_VFS_FAULT, or a test,
 * gives "op:n:kind[:persistent]": the n-th `op` (write sync truncate open read) fails as `kind`:
 * ioerr (an I/O error), full (no space), short (half of it written, then no space), lie (reported
 * done, not done). With "persistent" all later ones of that op fail too. Only in builds with
 * KFOPS_FAULTS; otherwise the functions do nothing. Set up before the first database is opened;
 * counting is safe from any thread. */
#ifndef KF_STORE_VFS_FAULT_H
#define KF_STORE_VFS_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* Reads the environment, once; called by db_open. */
void vfs_fault_init(void);

/* The VFS to open with: NULL is the usual one. */
const char *vfs_fault_name(void);

/* From a test: arms (false: not understood), or with NULL disarms. The layer stays in place from
 * the first call on, for databases opened later. Counting starts at one again. */
bool vfs_fault_arm(const char *spec);

/* How often a fault has been played since it was armed. */
int64_t vfs_fault_fired(void);

/* Power cuts: from now on remembers what each write covered until the file is synced ... */
void vfs_fault_power_watch(bool on);

/* ... and takes back a part of the unsynced writes, chosen by the seed. The connections must have
 * been abandoned. Returns how many were lost. */
int64_t vfs_fault_power_cut(uint64_t seed);

#endif
