/* test_disk.c - thresholds, hysteresis and ballast, on the real file system with limits chosen
 * around what is free on it. */
#include "tests/unit/cases.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "bot/disk.h"
#include "lib/base/log.h"
#include "tests/unit/bot/scratch.h"

static struct scratch scratch;

static int64_t free_bytes(void)
{
	struct statvfs fs;

	assert_int_equal(statvfs(scratch.dir, &fs), 0);
	return (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
}

static bool has_ballast(int64_t *size)
{
	char path[400];
	struct stat st;

	snprintf(path, sizeof path, "%s.ballast", scratch.db);
	if (stat(path, &st) != 0)
		return false;
	*size = (int64_t)st.st_size;
	return true;
}

static int setup(void **state)
{
	(void)state;
	scratch_make(&scratch);
	log_set_level(LOG_LEVEL_ERROR + 1); /* full disks are what is made here */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	scratch_drop(&scratch);
	return 0;
}

static void test_room_by_free_bytes(void **state)
{
	static const struct {
		const char *name;
		int64_t share; /* of what is free, in percent */
		bool room;
	} cases[] = {
		{"far below what is free", 10, true},
		{"far above what is free", 1000, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct disk_limits limits = {.path = scratch.db,
					     .free_min_bytes = free_bytes() / 100 * cases[i].share,
					     .free_min_percent = -1,
					     .ballast_bytes = -1};
		struct disk *disk;
		struct err err;

		print_message("  %s\n", cases[i].name);
		assert_int_equal(disk_open(&disk, &limits, &err), ERR_OK);
		assert_int_equal(disk_has_room(disk, 0), cases[i].room);
		disk_close(disk);
	}
}

static void test_full_is_left_only_with_twice_the_minimum(void **state)
{
	struct disk_limits limits = {.path = scratch.db,
				     .free_min_bytes = free_bytes() / 100 * 70,
				     .free_min_percent = -1,
				     .ballast_bytes = -1};
	struct disk *disk;
	struct err err;

	(void)state;
	assert_int_equal(disk_open(&disk, &limits, &err), ERR_OK);
	assert_true(disk_has_room(disk, 1000)); /* 100 is more than 70 */
	disk_is_full(disk, 2000);
	assert_false(disk_has_room(disk, 2500)); /* not looked at again so soon */
	assert_false(disk_has_room(disk, 5000)); /* 100 is less than 140 */
	disk_close(disk);

	limits.free_min_bytes = free_bytes() / 100 * 20;
	assert_int_equal(disk_open(&disk, &limits, &err), ERR_OK);
	disk_is_full(disk, 2000);
	assert_false(disk_has_room(disk, 2999));
	assert_true(disk_has_room(disk, 3000)); /* 100 is more than 40 */
	disk_close(disk);
}

static void test_ballast_goes_when_full_and_comes_back(void **state)
{
	struct disk_limits limits = {.path = scratch.db,
				     .free_min_bytes = 4096,
				     .free_min_percent = -1,
				     .ballast_bytes = 1 << 20};
	struct disk *disk;
	struct err err;
	int64_t size = 0;

	(void)state;
	assert_int_equal(disk_open(&disk, &limits, &err), ERR_OK);
	if (!has_ballast(&size)) {
		print_message("skipped: this file system does not allocate ahead\n");
		disk_close(disk);
		skip();
	}
	assert_int_equal(size, 1 << 20);
	disk_is_full(disk, 1000);
	assert_false(has_ballast(&size));
	assert_true(disk_has_room(disk, 9000));
	assert_true(has_ballast(&size));
	disk_close(disk);
}

/* The process before left it, and there is no room to make another. */
static void test_ballast_of_an_earlier_process_goes_too(void **state)
{
	struct disk_limits limits = {.path = scratch.db,
				     .free_min_bytes = 4096,
				     .free_min_percent = -1,
				     .ballast_bytes = 1 << 20};
	struct disk *disk;
	struct err err;
	int64_t size = 0;

	(void)state;
	assert_int_equal(disk_open(&disk, &limits, &err), ERR_OK);
	disk_close(disk);
	if (!has_ballast(&size)) {
		print_message("skipped: this file system does not allocate ahead\n");
		skip();
	}
	limits.free_min_bytes = free_bytes() / 100 * 70;
	assert_int_equal(disk_open(&disk, &limits, &err), ERR_OK);
	disk_is_full(disk, 1000);
	assert_false(has_ballast(&size));
	disk_close(disk);
}

static void test_folder_that_is_not_there(void **state)
{
	struct disk_limits limits = {.path = "/nonexistent/kfops.db"};
	struct disk *disk;
	struct err err;

	(void)state;
	assert_int_equal(disk_open(&disk, &limits, &err), ERR_CONFIG);
	assert_non_null(strstr(err.msg, "/nonexistent"));
}

static const struct CMUnitTest disk_cases[] = {
	cmocka_unit_test_setup_teardown(test_room_by_free_bytes, setup, teardown),
	cmocka_unit_test_setup_teardown(test_full_is_left_only_with_twice_the_minimum, setup,
					teardown),
	cmocka_unit_test_setup_teardown(test_ballast_goes_when_full_and_comes_back, setup,
					teardown),
	cmocka_unit_test_setup_teardown(test_ballast_of_an_earlier_process_goes_too, setup,
					teardown),
	cmocka_unit_test(test_folder_that_is_not_there),
};

CASES_MAIN(disk_cases, NULL, NULL)
