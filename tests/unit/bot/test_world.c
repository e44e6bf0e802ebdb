/* Nothing outside is changed by a process that does not know whether its database is still its own.
 */
#include "tests/unit/cases.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bot/world.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/store/db.h"
#include "tests/unit/bot/scratch.h"

static struct scratch scratch;

struct scene {
	struct world world;
	struct db *db;
};

static void open_scene(struct scene *scene)
{
	struct err err;

	*scene = (struct scene){0};
	log_set_level(LOG_LEVEL_ERROR + 1);
	pthread_mutex_init(&scene->world.mutex, NULL);
	pthread_cond_init(&scene->world.work, NULL);
	assert_int_equal(db_open(&scene->db, scratch.db, 1000, &err), ERR_OK);
	assert_int_equal(writer_start(&scene->world.writer, scene->db, 16, &err), ERR_OK);
	writer_on_commit(scene->world.writer, world_committed, &scene->world);
}

static void close_scene(struct scene *scene)
{
	writer_stop(scene->world.writer);
	db_close(scene->db);
	pthread_cond_destroy(&scene->world.work);
	pthread_mutex_destroy(&scene->world.mutex);
}

/* A caller of the writer goes on before the hook of its batch has run. */
static void await_commit_after(const struct scene *scene, int64_t boot_ms)
{
	while (atomic_load(&scene->world.committed_boot_ms) <= boot_ms)
		poll(NULL, 0, 1);
}

static bool is_confirmed(const struct scene *scene)
{
	char text[32];
	struct err err;

	return db_meta_get(scene->db, "confirmed_at", text, sizeof text, &err) == ERR_OK;
}

static void a_fresh_commit_costs_nothing(void **state)
{
	struct scene scene;
	struct err err;

	(void)state;
	open_scene(&scene);
	atomic_store(&scene.world.committed_boot_ms, clock_boot_ms() - 25000);
	assert_int_equal(world_may_act(&scene.world, &err), ERR_OK);
	assert_false(is_confirmed(&scene));
	close_scene(&scene);
}

/* As after a SIGSTOP of a minute: a write has to succeed, and counts for those that come next. */
static void an_old_commit_has_to_be_confirmed(void **state)
{
	struct scene scene;
	struct err err;

	(void)state;
	open_scene(&scene);
	atomic_store(&scene.world.committed_boot_ms, clock_boot_ms() - 60000);
	assert_int_equal(world_may_act(&scene.world, &err), ERR_OK);
	assert_true(is_confirmed(&scene));
	await_commit_after(&scene, clock_boot_ms() - 25000);
	close_scene(&scene);
}

static enum err_class run_take_over(struct db *db, void *arg, struct err *err)
{
	(void)arg;
	return db_meta_set(db, "incarnation", "99", err);
}

/* The file was another process's meanwhile: the writer ends the process, so the child that asks
 * leaves with 75 and never acts. */
static void a_file_that_was_taken_over(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		struct scene scene;
		struct err err;

		open_scene(&scene);
		if (writer_call(scene.world.writer, run_take_over, NULL, &err))
			_exit(1);
		await_commit_after(&scene, 0);
		atomic_store(&scene.world.committed_boot_ms, clock_boot_ms() - 60000);
		if (world_may_act(&scene.world, &err) == ERR_OK)
			_exit(2);
		for (;;)
			pause();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 75);
}

static const struct CMUnitTest world_tests[] = {
	cmocka_unit_test(a_fresh_commit_costs_nothing),
	cmocka_unit_test(an_old_commit_has_to_be_confirmed),
	cmocka_unit_test(a_file_that_was_taken_over),
};

static int set_up(void **state)
{
	(void)state;
	scratch_make(&scratch);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	scratch_drop(&scratch);
	return 0;
}

CASES_MAIN(world_tests, set_up, tear_down)
