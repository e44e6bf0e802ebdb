/* disk.c - see disk.h. Full means: fewer free bytes than a fixed minimum or than a share of the
 * disk, or hardly any inodes left. Room again means twice that. The figures are those an
 * unprivileged process gets (f_bavail), because that is what SQLite will run into. The ballast is
 * allocated, not written, so making it costs nothing; where the file system cannot allocate ahead
 * there is none. */
#include "bot/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/str.h"

enum { LOOK_EVERY_MS = 1000 };

struct disk {
	char *dir, *ballast;
	int64_t free_min_bytes, free_min_percent, ballast_bytes;
	int64_t looked_at_ms; /* monotonic */
	bool full, has_ballast;
};

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return str_dup(".");
	return slash == path ? str_dup("/") : str_dup_len(path, (size_t)(slash - path));
}

/* One that an earlier process made counts as well: on a full disk it is all there is to free. */
static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

static char *ballast_of(const char *db_path)
{
	return str_printf("%s.ballast", db_path);
}

bool disk_free_ballast(const char *db_path)
{
	AUTO_FREE char *ballast = ballast_of(db_path);

	return is_there(ballast) && unlink(ballast) == 0;
}

/* Free bytes, and whether there are `times` as many bytes and inodes as there must be. */
static bool has_times(const struct disk *disk, int64_t times, int64_t *out_free)
{
	struct statvfs fs;
	int64_t unit, bytes_min = disk->free_min_bytes, share, inodes_min;

	*out_free = 0;
	if (statvfs(disk->dir, &fs) != 0)
		return false;
	unit = (int64_t)fs.f_frsize;
	*out_free = (int64_t)fs.f_bavail * unit;
	if (disk->free_min_percent >= 0) {
		share = (int64_t)fs.f_blocks / 100 * disk->free_min_percent * unit;
		share = smaller(share, DISK_PERCENT_CAP);
		if (share > bytes_min)
			bytes_min = share;
		/* Some file systems have no fixed number of inodes and say 0. */
		inodes_min = smaller((int64_t)fs.f_files / 100 * disk->free_min_percent,
				     DISK_INODES_CAP);
		if (fs.f_files > 0 && (int64_t)fs.f_favail < times * inodes_min)
			return false;
	}
	return *out_free >= times * bytes_min;
}

static void make_ballast(struct disk *disk)
{
	int64_t unused;
	int fd;

	if (disk->has_ballast || disk->ballast_bytes <= 0 || !has_times(disk, 2, &unused))
		return;
	fd = open(disk->ballast, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	disk->has_ballast = fallocate(fd, 0, 0, (off_t)disk->ballast_bytes) == 0;
	close(fd);
	if (!disk->has_ballast)
		unlink(disk->ballast);
}

enum err_class disk_open(struct disk **out, const struct disk_limits *limits, struct err *err)
{
	struct disk *disk = mem_new(1, sizeof *disk);
	struct statvfs fs;

	disk->dir = directory_of(limits->path);
	disk->ballast = ballast_of(limits->path);
	disk->free_min_bytes = limits->free_min_bytes ? limits->free_min_bytes : INT64_C(256) << 20;
	disk->free_min_percent = limits->free_min_percent ? limits->free_min_percent : 5;
	disk->ballast_bytes = limits->ballast_bytes ? limits->ballast_bytes : INT64_C(32) << 20;
	disk->looked_at_ms = INT64_MIN / 2;
	if (statvfs(disk->dir, &fs) != 0) {
		err_set(err, ERR_CONFIG, "cannot look at the file system of %s: %s", disk->dir,
			strerror(errno));
		disk_close(disk);
		return ERR_CONFIG;
	}
	disk->has_ballast = disk->ballast_bytes > 0 && is_there(disk->ballast);
	make_ballast(disk);
	*out = disk;
	return ERR_OK;
}

void disk_close(struct disk *take_disk)
{
	if (!take_disk)
		return;
	mem_free(take_disk->dir);
	mem_free(take_disk->ballast);
	mem_free(take_disk);
}

static void set_full(struct disk *disk, bool full, int64_t free_bytes)
{
	if (disk->full == full)
		return;
	disk->full = full;
	if (full)
		log_error("disk.full", LOG_S("dir", disk->dir), LOG_I("free_bytes", free_bytes),
			  LOG_S("effect", "commands are refused until there is room"));
	else
		log_info("disk.room", LOG_S("dir", disk->dir), LOG_I("free_bytes", free_bytes));
}

bool disk_has_room(struct disk *disk, int64_t mono_ms)
{
	int64_t free_bytes = 0;
	bool has_room;

	if (mono_ms - disk->looked_at_ms < LOOK_EVERY_MS)
		return !disk->full;
	disk->looked_at_ms = mono_ms;
	has_room = has_times(disk, disk->full ? 2 : 1, &free_bytes);
	set_full(disk, !has_room, free_bytes);
	if (!disk->full)
		make_ballast(disk);
	return !disk->full;
}

void disk_is_full(struct disk *disk, int64_t mono_ms)
{
	int64_t free_bytes = 0;

	if (disk->has_ballast) {
		unlink(disk->ballast);
		disk->has_ballast = false;
	}
	(void)has_times(disk, 1, &free_bytes);
	disk->looked_at_ms = mono_ms;
	set_full(disk, true, free_bytes);
}
