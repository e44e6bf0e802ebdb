/* disk.h - is there room to accept more work?
 *
 * Looks at the file system of the database once a second and keeps a ballast file next to it: when
 * SQLite itself finds the disk full, the ballast is deleted so that what runs can still be
 * recorded. Entering and leaving have different thresholds, so the mode does not flicker. One
 * thread at a time: the writer's. */
#ifndef KF_BOT_DISK_H
#define KF_BOT_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

struct disk_limits {
	const char *path;	  /* the database file; its directory's file system is watched */
	int64_t free_min_bytes;	  /* less is full; 0: 256 MiB */
	int64_t free_min_percent; /* less is full too, at most DISK_PERCENT_CAP; 0: 5; -1: not
				     looked at */
	int64_t ballast_bytes;	  /* size of the ballast file; 0: 32 MiB; -1: none */
};

/* A share of the disk never asks for more than this: 5 % of a large disk is no emergency. */
enum { DISK_PERCENT_CAP = 1 << 30, DISK_INODES_CAP = 10000 };

/* Frees the ballast of an earlier process, for a start that finds no room. False: there is none. */
bool disk_free_ballast(const char *db_path);

struct disk;

/* Copies the limits, makes the ballast file if there is room. CONFIG when the directory cannot be
 * looked at. */
enum err_class disk_open(struct disk **out, const struct disk_limits *limits,
			 struct err *err) MUST_CHECK;
void disk_close(struct disk *take_disk);

/* Looks again if the last look is a second old, and says whether work may be accepted. Logs when
 * that changes. */
bool disk_has_room(struct disk *disk, int64_t mono_ms);

/* SQLite said that the disk is full: frees the ballast, and there is no room until a later look
 * finds twice the minimum. */
void disk_is_full(struct disk *disk, int64_t mono_ms);

#endif
