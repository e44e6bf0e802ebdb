/* test_render.c - what people see, compared with files: tests/golden/<name>.json is a job's record,
 * <name>.md the comment, <name>.check.json its check runs and statuses. KFOPS_GOLDEN_WRITE=1
 * rewrites the expected files; look at the difference before you commit it. */
#include "tests/unit/cases.h"

#include <glob.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/markdown.h"
#include "lib/core/render.h"

static const int64_t now_ms = 1767225600000; /* 2026-01-01T00:00:00Z */

static char *golden_path(const char *name)
{
	const char *root = getenv("KFOPS_SOURCE_DIR");

	return str_printf("%s/tests/golden/%s", root ? root : ".", name);
}

static char *read_all(const char *path)
{
	char *text = mem_new(1 << 20, 1);
	FILE *file = fopen(path, "r");
	size_t n = 0;

	if (file) {
		n = fread(text, 1, (1 << 20) - 1, file);
		fclose(file);
	}
	text[n] = '\0';
	return text;
}

static void compare(const char *path, const char *got)
{
	AUTO_FREE char *want = NULL;

	if (getenv("KFOPS_GOLDEN_WRITE")) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(got, file);
		fclose(file);
		return;
	}
	want = read_all(path);
	assert_string_equal(got, want);
}

static struct job job_of(json_t *record)
{
	struct job job = {
		.id = jval_int(record, "id", 42),
		.repo = str_dup("octo-org/iris"),
		.pr = 7,
		.comment_id = 9,
		.actor = str_dup(jval_str(record, "actor", "ann")),
		.command = str_dup(jval_str(record, "command", "build_run")),
		.line = str_dup(jval_str(record, "line", "/build_run")),
		.args = json_object(),
		.data = json_incref(json_object_get(record, "data")),
		.created_at_ms = now_ms - jval_int(record, "age_ms", 60000),
		.finished_at_ms = now_ms,
		.code = str_dup(jval_str(record, "code", NULL)),
		.message = str_dup(jval_str(record, "message", NULL)),
	};

	job.comment_at_ms = job.created_at_ms - jval_int(record, "late_ms", 0);
	str_copy(job.uid, sizeof job.uid, "01J0000000000000000000000A");
	str_copy(job.head_sha, sizeof job.head_sha, jval_str(record, "sha", ""));
	for (int state = 0; state < 16; state++)
		if (str_eq(job_state_name((enum job_state)state), jval_str(record, "state", "")))
			job.state = (enum job_state)state;
	return job;
}

static void golden(void **state)
{
	const char *json_path = *state;
	AUTO_FREE char *text = read_all(json_path),
		       *base = str_dup_len(json_path, strlen(json_path) - 5);
	AUTO_FREE char *md = str_printf("%s.md", base), *checks = str_printf("%s.check.json", base);
	AUTO_JSON json_t *record = NULL;
	AUTO_BUF struct buf body = buf_make(MARKDOWN_BODY_MAX + 1);
	struct command command = {.name = "build_run"};
	struct pipeline *pipeline = NULL;
	const char *names[RENDER_CHECKS_MAX];
	const json_t *document;
	struct err err;
	int count;

	assert_int_equal(jval_parse(&record, text, strlen(text), &err), ERR_OK);
	document = json_object_get(record, "pipeline");
	if (document)
		assert_int_equal(pipeline_read(&pipeline, &document, 1, &err), ERR_OK);
	struct job job = job_of(record);
	struct render_view view = {&job, &command, pipeline, "status", now_ms};

	render_comment(&view, &body);
	assert_true(body.len <= MARKDOWN_BODY_MAX);
	compare(md, buf_text(&body));
	count = render_checks(&job, names);
	AUTO_JSON json_t *all = json_object();

	for (int i = 0; i < count; i++) {
		json_t *both = json_object();

		jval_set(both, "check_run", render_check_run(&view, names[i]));
		json_object_del(jval_at(both, "check_run.output"),
				"summary"); /* the comment again */
		jval_set(both, "status", render_commit_status(&view, names[i]));
		jval_set(all, names[i], both);
	}
	AUTO_FREE char *dump = json_dumps(all, JSON_INDENT(1) | JSON_SORT_KEYS);
	AUTO_FREE char *line = str_printf("%s\n", dump);

	compare(checks, line);
	job_dispose(&job);
	if (pipeline)
		pipeline_free(pipeline);
}

int main(int argc, char **argv)
{
	AUTO_FREE char *pattern = golden_path("*.json");
	struct CMUnitTest tests[100];
	size_t count = 0;
	glob_t found;
	int failed;

	if (glob(pattern, 0, NULL, &found))
		return 1;
	for (size_t i = 0; i < found.gl_pathc && count < ARRAY_LEN(tests); i++)
		if (!str_ends(found.gl_pathv[i], ".check.json"))
			tests[count++] =
				(struct CMUnitTest){.name = strrchr(found.gl_pathv[i], '/') + 1,
						    .test_func = golden,
						    .initial_state = found.gl_pathv[i]};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	failed = _cmocka_run_group_tests("render", tests, count, NULL, NULL);
	globfree(&found);
	return failed;
}
