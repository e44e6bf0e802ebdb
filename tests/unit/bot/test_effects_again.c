/* test_effects_again.c - effects on our own records that are run once more: the process ended
 * between their commit and that of their result. They answer as if it had not. */
#include "bot/effects.h"

#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/store/db.h"
#include "lib/store/store_impl.h"
#include "tests/unit/bot/scratch.h"
#include "tests/unit/cases.h"

enum { WRITER_MAX = 16 };

static struct scratch scratch;

/* It was cancelled before it started, and has been told so. */
static const char a_job[] =
	"INSERT INTO jobs (id, uid, installation_id, repo_id, pr, comment_id, cmd_no, state, "
	"read_only, keep_going, due_at, deadline_at, comment_at, created_at, finished_at, "
	"actor_id, "
	"repo, actor, command, line, args, code, message) VALUES (42, "
	"'01J00000000000000000000000', 0, 1, 7, 70, 0, 12, "
	"0, "
	"0, 1, 1, 1, 1, 2, 11, 'lab/iris', 'ann', 'build', '/build', '{}', 'job.cancelled', "
	"'Cancelled by ann before it started.')";

struct scene {
	struct world world;
	struct hands hands;
	struct db *db;
	struct job job;
};

static void open_scene(struct scene *scene)
{
	static const struct job ann = {.id = 4,
				       .repo_id = 1,
				       .repo = (char *)(uintptr_t) "lab/iris",
				       .pr = 7,
				       .actor_id = 11,
				       .actor = (char *)(uintptr_t) "ann",
				       .command = (char *)(uintptr_t) "lock"};
	struct err err;

	*scene = (struct scene){.job = ann};
	log_set_level(LOG_LEVEL_ERROR + 1);
	scene->hands.world = &scene->world;
	pthread_mutex_init(&scene->world.mutex, NULL);
	pthread_cond_init(&scene->world.work, NULL);
	assert_int_equal(db_open(&scene->db, scratch.db, 1000, &err), ERR_OK);
	if (store_script(scene->db, a_job, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(writer_start(&scene->world.writer, scene->db, WRITER_MAX, &err), ERR_OK);
	assert_int_equal(db_open_reader(&scene->hands.reader, scratch.db, &err), ERR_OK);
}

static void close_scene(struct scene *scene)
{
	db_close(scene->hands.reader);
	writer_stop(scene->world.writer);
	db_close(scene->db);
	pthread_cond_destroy(&scene->world.work);
	pthread_mutex_destroy(&scene->world.mutex);
}

/* The code of its error; "" when it worked. */
static const char *run(struct scene *scene, enum effect_kind kind, const char *args, bool in_doubt)
{
	static struct effect_result result;
	struct effect effect = {.kind = kind};
	struct err err;

	assert_int_equal(jval_parse(&effect.args, args, strlen(args), &err), ERR_OK);
	effects_run(&scene->hands, &scene->job, &effect, in_doubt, &result);
	json_decref(effect.args);
	json_decref(result.data);
	return result.err.class ? result.err.code : "";
}

static const struct {
	const char *name;
	enum effect_kind first, kind;
	const char *args, *code; /* when it is said by somebody anew */
} cases[] = {
	{"unlock", EFFECT_ENVIRONMENT_LOCK, EFFECT_ENVIRONMENT_UNLOCK,
	 "{\"environment\":\"production\"}", "lock.none"},
	{"unhold", EFFECT_HOLD, EFFECT_UNHOLD, "{}", "hold.none"},
};

static void test_what_is_done_already(void **state)
{
	struct scene scene;

	(void)state;
	open_scene(&scene);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].name);
		assert_string_equal(run(&scene, cases[i].first, cases[i].args, false), "");
		assert_string_equal(run(&scene, cases[i].kind, cases[i].args, false), "");
		assert_string_equal(run(&scene, cases[i].kind, cases[i].args, true), "");
		assert_string_equal(run(&scene, cases[i].kind, cases[i].args, false),
				    cases[i].code);
	}
	close_scene(&scene);
}

static void test_a_cancelled_job_that_has_ended(void **state)
{
	struct scene scene;

	(void)state;
	open_scene(&scene);
	assert_string_equal(run(&scene, EFFECT_JOB_CANCEL, "{\"job\":\"42\"}", true), "");
	assert_string_equal(run(&scene, EFFECT_JOB_CANCEL, "{\"job\":\"42\"}", false), "job.ended");
	assert_string_equal(run(&scene, EFFECT_JOB_CANCEL, "{\"job\":\"43\"}", true),
			    "job.unknown");
	close_scene(&scene);
}

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

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_what_is_done_already, set_up, tear_down),
	cmocka_unit_test_setup_teardown(test_a_cancelled_job_that_has_ended, set_up, tear_down),
};
CASES_MAIN(tests, NULL, NULL)
