/* vfs_fault.c - see vfs_fault.h. A thin layer in SQLite's own manner: a copy of the usual VFS whose
 * files carry the real file behind them and hand every call on, after counting those that can fail.
 *
 * A power cut is played backwards: each write first notes what its sectors held; a sync of the file
 * forgets the notes; at the cut every noted sector gets its old content back or not, by the toss of
 * a seeded coin. So each sector ends as one of the versions it has had since the last sync, which
 * is all that a disk without a lying cache may leave behind. */
#include "lib/store/vfs_fault.h"

#include <stddef.h>

#if KFOPS_FAULTS

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

enum op { OP_WRITE, OP_SYNC, OP_TRUNCATE, OP_OPEN, OP_READ, OP_COUNT };
enum kind { KIND_NONE, KIND_IOERR, KIND_FULL, KIND_SHORT, KIND_LIE };

enum { SECTOR = 512, NOTES_MAX = 1 << 20 };

struct fault_file {
	sqlite3_file base;
	sqlite3_file *real; /* in the same block of memory, behind this struct */
};

/* What a sector held before an unsynced write; a file that was shorter holds zeros there. */
struct note {
	sqlite3_file *real;
	sqlite3_int64 offset;
	unsigned char old[SECTOR];
};

static struct {
	pthread_mutex_t lock;
	bool registered;
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	enum op op;
	enum kind kind;
	bool persistent;
	int64_t at; /* plays at this call of the op, from 1; 0: never */
	int64_t seen;
	int64_t fired;
	bool watching;
	struct note *notes;
	size_t note_count, note_cap;
} fault = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Counts a call; KIND_NONE: go on. */
static enum kind strike(enum op op)
{
	enum kind kind = KIND_NONE;

	pthread_mutex_lock(&fault.lock);
	if (fault.at && fault.op == op) {
		fault.seen++;
		if (fault.seen == fault.at || (fault.persistent && fault.seen > fault.at)) {
			kind = fault.kind;
			fault.fired++;
		}
	}
	pthread_mutex_unlock(&fault.lock);
	return kind;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct fault_file *)file)->real;
}

static void note_add(sqlite3_file *real, sqlite3_int64 offset)
{
	struct note *note;

	must(fault.note_count < NOTES_MAX);
	if (fault.note_count == fault.note_cap) {
		fault.note_cap = fault.note_cap ? 2 * fault.note_cap : 256;
		fault.notes = mem_grow(fault.notes, fault.note_cap * sizeof *fault.notes);
	}
	note = &fault.notes[fault.note_count++];
	note->real = real;
	note->offset = offset;
	memset(note->old, 0, SECTOR);
	real->pMethods->xRead(real, note->old, SECTOR, offset); /* a short read leaves zeros */
}

static void notes_take(sqlite3_file *real, sqlite3_int64 offset, sqlite3_int64 len)
{
	pthread_mutex_lock(&fault.lock);
	for (sqlite3_int64 at = offset / SECTOR * SECTOR; fault.watching && at < offset + len;
	     at += SECTOR)
		note_add(real, at);
	pthread_mutex_unlock(&fault.lock);
}

static void notes_forget(const sqlite3_file *real)
{
	size_t kept = 0;

	pthread_mutex_lock(&fault.lock);
	for (size_t i = 0; i < fault.note_count; i++)
		if (fault.notes[i].real != real)
			fault.notes[kept++] = fault.notes[i];
	fault.note_count = kept;
	pthread_mutex_unlock(&fault.lock);
}

static int file_close(sqlite3_file *file)
{
	notes_forget(real_of(file));
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset)
{
	if (strike(OP_READ) != KIND_NONE)
		return SQLITE_IOERR_READ;
	return real_of(file)->pMethods->xRead(real_of(file), bytes, len, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
	sqlite3_file *real = real_of(file);

	notes_take(real, offset, len);
	switch (strike(OP_WRITE)) {
	case KIND_IOERR:
		return SQLITE_IOERR_WRITE;
	case KIND_FULL:
		return SQLITE_FULL;
	case KIND_SHORT:
		real->pMethods->xWrite(real, bytes, len / 2, offset);
		return SQLITE_FULL;
	case KIND_LIE:
		return SQLITE_OK;
	case KIND_NONE:
		break;
	}
	return real->pMethods->xWrite(real, bytes, len, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	sqlite3_file *real = real_of(file);
	sqlite3_int64 before = size;

	if (real->pMethods->xFileSize(real, &before) == SQLITE_OK && before > size)
		notes_take(real, size, before - size);
	switch (strike(OP_TRUNCATE)) {
	case KIND_NONE:
		return real->pMethods->xTruncate(real, size);
	case KIND_LIE:
		return SQLITE_OK;
	default:
		return SQLITE_IOERR_TRUNCATE;
	}
}

static int file_sync(sqlite3_file *file, int flags)
{
	int code;

	switch (strike(OP_SYNC)) {
	case KIND_NONE:
		code = real_of(file)->pMethods->xSync(real_of(file), flags);
		if (code == SQLITE_OK)
			notes_forget(real_of(file));
		return code;
	case KIND_LIE:
		return SQLITE_OK;
	case KIND_FULL:
		return SQLITE_FULL;
	default:
		return SQLITE_IOERR_FSYNC;
	}
}

static int file_size(sqlite3_file *file, sqlite3_int64 *out)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), out);
}

static int file_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_reserved(sqlite3_file *file, int *out)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_sector(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_device(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
	return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int remove)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_device,
	.xShmMap = file_shm_map,
	.xShmLock = file_shm_lock,
	.xShmBarrier = file_shm_barrier,
	.xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
		    int *out_flags)
{
	struct fault_file *opened = (struct fault_file *)file;
	int code;

	(void)vfs;
	opened->base.pMethods = NULL;
	opened->real = (sqlite3_file *)(opened + 1);
	if (strike(OP_OPEN) != KIND_NONE)
		return SQLITE_CANTOPEN;
	code = fault.real->xOpen(fault.real, name, opened->real, flags, out_flags);
	if (opened->real->pMethods)
		opened->base.pMethods = &methods;
	return code;
}

static void put_in_place(void)
{
	if (fault.registered)
		return;
	must(sqlite3_initialize() == SQLITE_OK);
	fault.real = sqlite3_vfs_find(NULL);
	must(fault.real);
	fault.vfs = *fault.real;
	fault.vfs.pNext = NULL;
	fault.vfs.zName = "kfops-fault";
	fault.vfs.szOsFile = (int)sizeof(struct fault_file) + fault.real->szOsFile;
	fault.vfs.xOpen = vfs_open;
	must(sqlite3_vfs_register(&fault.vfs, 0) == SQLITE_OK);
	fault.registered = true;
}

static int word_index(const char *word, size_t len, const char *const *words, int count)
{
	for (int i = 0; i < count; i++)
		if (strlen(words[i]) == len && !strncmp(words[i], word, len))
			return i;
	return -1;
}

bool vfs_fault_arm(const char *spec)
{
	static const char *const ops[] = {"write", "sync", "truncate", "open", "read"};
	static const char *const kinds[] = {"", "ioerr", "full", "short", "lie"};
	char number[24] = "";
	const char *first, *second, *third;
	int64_t at = 0;
	int op, kind;

	put_in_place();
	fault.at = fault.seen = fault.fired = 0;
	if (!spec)
		return true;
	first = strchr(spec, ':');
	second = first ? strchr(first + 1, ':') : NULL;
	if (!second || (size_t)(second - first) > sizeof number)
		return false;
	third = strchr(second + 1, ':');
	memcpy(number, first + 1, (size_t)(second - first) - 1);
	op = word_index(spec, (size_t)(first - spec), ops, OP_COUNT);
	kind = word_index(second + 1, third ? (size_t)(third - second) - 1 : strlen(second + 1),
			  kinds, (int)ARRAY_LEN(kinds));
	if (op < 0 || kind < 1 || !str_to_int64(&at, number) || at < 1 ||
	    (third && !str_eq(third, ":persistent")))
		return false;
	fault.op = (enum op)op;
	fault.kind = (enum kind)kind;
	fault.persistent = third != NULL;
	fault.at = at;
	return true;
}

void vfs_fault_init(void)
{
	static bool read;
	const char *spec = getenv("KFOPS_VFS_FAULT");

	if (read || !spec)
		return;
	read = true;
	if (!vfs_fault_arm(spec)) {
		fprintf(stderr, "KFOPS_VFS_FAULT is not op:n:kind[:persistent]: %s\n", spec);
		abort();
	}
}

const char *vfs_fault_name(void)
{
	return fault.registered ? fault.vfs.zName : NULL;
}

int64_t vfs_fault_fired(void)
{
	return fault.fired;
}

void vfs_fault_power_watch(bool on)
{
	put_in_place();
	fault.watching = on;
	fault.note_count = 0;
}

/* SplitMix64: one well mixed number for each step of the state. */
static uint64_t toss(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

int64_t vfs_fault_power_cut(uint64_t seed)
{
	int64_t lost = 0;

	fault.watching = false;
	for (size_t i = fault.note_count; i-- > 0;) {
		struct note *note = &fault.notes[i];

		if (toss(&seed) & 1)
			continue;
		note->real->pMethods->xWrite(note->real, note->old, SECTOR, note->offset);
		lost++;
	}
	fault.note_count = 0;
	return lost;
}

#else

void vfs_fault_init(void)
{
}

const char *vfs_fault_name(void)
{
	return NULL;
}

bool vfs_fault_arm(const char *spec)
{
	return !spec;
}

int64_t vfs_fault_fired(void)
{
	return 0;
}

void vfs_fault_power_watch(bool on)
{
	(void)on;
}

int64_t vfs_fault_power_cut(uint64_t seed)
{
	(void)seed;
	return 0;
}

#endif
