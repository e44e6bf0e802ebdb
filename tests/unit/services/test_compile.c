/* test_compile.c - compile.h: pipelines compiled for real, taken as they are, and told what is
 * wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>

#include "lib/base/jval.h"
#include "tests/unit/services/checkout.h"

#define COMPONENT                                                                                  \
	"from kfp import dsl\n"                                                                    \
	"@dsl.component\n"                                                                         \
	"def hello(name: str) -> str:\n"                                                           \
	"    return 'hello ' + name\n"
#define PIPELINE(name)                                                                             \
	"@dsl.pipeline(name='" name "')\n"                                                         \
	"def " name "(who: str = 'you'):\n"                                                        \
	"    hello(name=who)\n"

struct test_case {
	const char *name;
	struct checkout_file files[CHECKOUT_FILES];
	const char *path, *function;
	enum err_class class;
	const char *code;	/* of the error; NULL: none */
	const char *words;	/* in the message; for a pipeline: its name */
	const char *error_path; /* NULL: no place */
	int line;
};

static const struct test_case sandboxed[] = {
	{"a pipeline",
	 {{"my_pipeline/pipeline.py", "import words\n" COMPONENT PIPELINE("greet")},
	  {"my_pipeline/words.py", ""}},
	 "my_pipeline/pipeline.py",
	 NULL,
	 ERR_OK,
	 NULL,
	 "greet",
	 NULL,
	 0},
	{"one of two pipelines",
	 {{"p.py", COMPONENT PIPELINE("greet") PIPELINE("other")}},
	 "p.py",
	 "other",
	 ERR_OK,
	 NULL,
	 "other",
	 NULL,
	 0},
	{"a compiled file in sandbox mode",
	 {{"p.yaml", "pipelineInfo: {name: p}\nroot: {dag: {}}\n"}},
	 "p.yaml",
	 NULL,
	 ERR_OK,
	 NULL,
	 "p",
	 NULL,
	 0},
	{"bad syntax",
	 {{"p.py", "x = 1\nif x\n"}},
	 "p.py",
	 NULL,
	 ERR_USER,
	 "compile.failed",
	 "SyntaxError: expected ':' (p.py, line 2)",
	 "p.py",
	 2},
	{"exception in an imported module of theirs",
	 {{"my_pipeline/p.py", "import m\nm.f()\n"},
	  {"my_pipeline/m.py", "def f():\n    return {}['neighbors']\n"}},
	 "my_pipeline/p.py",
	 NULL,
	 ERR_USER,
	 "compile.failed",
	 "KeyError: 'neighbors'",
	 "my_pipeline/m.py",
	 2},
	{"missing package",
	 {{"p.py", "\nimport nonesuch\n"}},
	 "p.py",
	 NULL,
	 ERR_USER,
	 "compile.failed",
	 "No module named 'nonesuch'",
	 "p.py",
	 2},
	{"no pipeline in the file",
	 {{"p.py", "x = 1\n"}},
	 "p.py",
	 NULL,
	 ERR_USER,
	 "compile.failed",
	 "p.py defines no pipeline",
	 "p.py",
	 1},
	{"two pipelines",
	 {{"p.py", COMPONENT PIPELINE("greet") PIPELINE("other")}},
	 "p.py",
	 NULL,
	 ERR_USER,
	 "compile.failed",
	 "greet, other",
	 "p.py",
	 1},
	{"no such function",
	 {{"p.py", COMPONENT PIPELINE("greet")}},
	 "p.py",
	 "--out=x",
	 ERR_USER,
	 "compile.failed",
	 "has no pipeline --out=x",
	 "p.py",
	 1},
	{"a path that begins with the folder itself, as people write it",
	 {{"a/p.py", "x = 1\n"}},
	 "./a//p.py",
	 NULL,
	 ERR_USER,
	 "compile.failed",
	 "a/p.py defines no pipeline",
	 "a/p.py",
	 1},
	{"missing file",
	 {{"p.py", ""}},
	 "q.py",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "no file q.py",
	 NULL,
	 0},
	{"a folder",
	 {{"a.py/b", ""}},
	 "a.py",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "a.py",
	 NULL,
	 0},
	{"no Python file",
	 {{"p.sh", "true"}},
	 "p.sh",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "not a Python file",
	 NULL,
	 0},
	{"path upwards",
	 {{"p.py", ""}},
	 "../p.py",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "not a path inside",
	 NULL,
	 0},
	{"path upwards in the middle",
	 {{"a/p.py", ""}},
	 "a/../a/p.py",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "not a path inside",
	 NULL,
	 0},
	{"absolute path",
	 {{"p.py", ""}},
	 "/etc/passwd",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "not a path inside",
	 NULL,
	 0},
	{"path that looks like an option",
	 {{"--check", ""}},
	 "--check",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "not a Python file",
	 NULL,
	 0},
	{"link out of the repository",
	 {{"@etc.py", "/etc/passwd"}},
	 "etc.py",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "leaves the repository",
	 NULL,
	 0},
};

static const struct test_case taken[] = {
	{"IR as YAML",
	 {{"p.yaml", "# PIPELINE\npipelineInfo:\n  name: p\nroot:\n  dag: {}\n"}},
	 "p.yaml",
	 NULL,
	 ERR_OK,
	 NULL,
	 "p",
	 NULL,
	 0},
	{"IR as JSON",
	 {{"a/p.json", "{\"pipelineInfo\": {\"name\": \"p\"}, \"root\": {\"dag\": {}}}"}},
	 "a/p.json",
	 NULL,
	 ERR_OK,
	 NULL,
	 "p",
	 NULL,
	 0},
	{"Argo Workflow",
	 {{"p.yml", "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {entrypoint: a}\n"}},
	 "p.yml",
	 NULL,
	 ERR_OK,
	 NULL,
	 NULL,
	 NULL,
	 0},
	{"a path that begins with the folder itself",
	 {{"a/p.yaml", "pipelineInfo: {name: p}\nroot: {dag: {}}\n"}},
	 "./a/./p.yaml",
	 NULL,
	 ERR_OK,
	 NULL,
	 "p",
	 NULL,
	 0},
	{"nothing but the folder itself",
	 {{"p.yaml", ""}},
	 "./",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "not a path inside",
	 NULL,
	 0},
	{"not YAML",
	 {{"p.yaml", "a: 1\nb: [\n"}},
	 "p.yaml",
	 NULL,
	 ERR_USER,
	 "compile.invalid",
	 "p.yaml is no valid pipeline",
	 "p.yaml",
	 3},
	{"no pipeline",
	 {{"p.yaml", "apiVersion: v1\nkind: Secret\n"}},
	 "p.yaml",
	 NULL,
	 ERR_USER,
	 "compile.invalid",
	 "no compiled pipeline and no Argo",
	 NULL,
	 0},
	{"empty file",
	 {{"p.yaml", ""}},
	 "p.yaml",
	 NULL,
	 ERR_USER,
	 "compile.invalid",
	 "p.yaml",
	 NULL,
	 0},
	{"Python file",
	 {{"p.py", "x = 1"}},
	 "p.py",
	 NULL,
	 ERR_USER,
	 "compile.failed",
	 "runs no pipeline code",
	 NULL,
	 0},
	{"missing file",
	 {{"p.yaml", ""}},
	 "q.yaml",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "no file q.yaml",
	 NULL,
	 0},
	{"absolute path",
	 {{"p.yaml", ""}},
	 "/etc/x.yaml",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "not a path inside",
	 NULL,
	 0},
	{"path upwards",
	 {{"p.yaml", ""}},
	 "../p.yaml",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "not a path inside",
	 NULL,
	 0},
	{"link out of the repository",
	 {{"@etc.yaml", "/etc/passwd"}},
	 "etc.yaml",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "",
	 NULL,
	 0},
	{"link to a folder outside",
	 {{"@out", "/etc"}},
	 "out/passwd.yaml",
	 NULL,
	 ERR_USER,
	 "compile.not_found",
	 "",
	 NULL,
	 0},
};

/* A file whose name starts with @ is a symbolic link to its text. */
static void prepare(struct checkout *checkout, const struct test_case *test)
{
	checkout_make(checkout, NULL);
	for (size_t i = 0; i < CHECKOUT_FILES && test->files[i].path; i++) {
		const struct checkout_file *file = &test->files[i];
		char link[128];
		if (file->path[0] != '@') {
			checkout_write(checkout, file->path, file->text);
			continue;
		}
		snprintf(link, sizeof(link), "%s/%s", checkout->dir, file->path + 1);
		assert_int_equal(symlink(file->text, link), 0);
	}
}

static void judge(const struct test_case *test, enum err_class class, const struct err *err,
		  const struct compile_result *result)
{
	if (class != test->class || !str_eq(err->code, test->code ? test->code : ""))
		fail_msg("%s: %s %s: %s\n%s", test->name, err_class_name(class), err->code,
			 err->msg, result->log ? result->log : "");
	if (class == ERR_OK) {
		const json_t *first = json_array_get(result->documents, 0);
		if (test->words)
			assert_string_equal(jval_str(first, "pipelineInfo.name", ""), test->words);
		assert_int_equal(strlen(result->yaml), result->yaml_len);
		assert_null(result->error.path);
		return;
	}
	if (!strstr(err->msg, test->words))
		fail_msg("%s: %s", test->name, err->msg);
	assert_null(result->documents);
	if (!str_eq(result->error.path, test->error_path) || result->error.line != test->line)
		fail_msg("%s: %s:%d", test->name, result->error.path ? result->error.path : "-",
			 result->error.line);
}

static void run_case(const struct test_case *test, enum compile_mode mode)
{
	struct checkout checkout;
	struct compile_options options = checkout_options();
	struct compile_result result;
	struct err err = {.class = ERR_OK};
	options.mode = mode;
	prepare(&checkout, test);
	struct compile_request request = {.source_dir = checkout.dir,
					  .pipeline_path = test->path,
					  .function_name = test->function};
	enum err_class class = compile_run(&options, &request, &result, &err);
	judge(test, class, &err, &result);
	compile_result_dispose(&result);
	checkout_remove(&checkout);
}

static void test_sandbox(void **state)
{
	(void)state;
	if (!checkout_can_compile())
		skip();
	for (size_t i = 0; i < ARRAY_LEN(sandboxed); i++)
		run_case(&sandboxed[i], COMPILE_SANDBOX);
}

static void test_precompiled(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		run_case(&taken[i], COMPILE_PRECOMPILED);
}

/* A traceback is in the log, and the compiler's own files are not in it. */
static void test_log_has_the_traceback(void **state)
{
	(void)state;
	if (!checkout_can_compile())
		skip();
	struct checkout checkout;
	struct compile_options options = checkout_options();
	struct compile_result result;
	struct err err;
	checkout_make(&checkout, (const struct checkout_file[]){
					 {"p.py", "print('before')\n1 / 0\n"}, {NULL, NULL}});
	struct compile_request request = {.source_dir = checkout.dir, .pipeline_path = "p.py"};
	assert_int_equal(compile_run(&options, &request, &result, &err), ERR_USER);
	assert_non_null(strstr(result.log, "before"));
	assert_non_null(strstr(result.log, "ZeroDivisionError"));
	assert_null(strstr(result.log, "kfops"));
	compile_result_dispose(&result);
	checkout_remove(&checkout);
}

static const struct {
	const char *name;
	struct compile_options change; /* members that are set replace the usual ones */
	const char *code;
} setups[] = {
	{"no interpreter", {.python = "/nonexistent/bin/python"}, "compile.python"},
	{"relative interpreter", {.python = "python3"}, "compile.python"},
	{"no package", {.package_dir = "/nonexistent"}, "compile.package"},
	{"no bubblewrap", {.bwrap = "/nonexistent/bwrap"}, "sandbox.missing"},
	{"bubblewrap that is none", {.bwrap = "/bin/false"}, "compile.sandbox"},
};

static void test_broken_setup_is_the_operators_matter(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(setups); i++) {
		struct compile_options options = checkout_options();
		struct err err = {.class = ERR_OK};
		if (setups[i].change.python)
			options.python = setups[i].change.python;
		if (setups[i].change.package_dir)
			options.package_dir = setups[i].change.package_dir;
		options.bwrap = setups[i].change.bwrap;
		enum err_class class = compile_check(&options, &err);
		if (class != ERR_CONFIG || !str_eq(err.code, setups[i].code))
			fail_msg("%s: %s %s", setups[i].name, err.code, err.msg);
	}
}

static void test_an_interpreter_without_kfp_is_the_operators_matter(void **state)
{
	(void)state;
	if (!checkout_can_compile() || access("/usr/bin/python3", X_OK) != 0)
		skip();
	struct checkout checkout;
	struct compile_options options = checkout_options();
	struct compile_result result;
	struct err err;
	options.python = "/usr/bin/python3";
	checkout_make(&checkout, (const struct checkout_file[]){{"p.py", ""}, {NULL, NULL}});
	struct compile_request request = {.source_dir = checkout.dir, .pipeline_path = "p.py"};
	assert_int_equal(compile_run(&options, &request, &result, &err), ERR_CONFIG);
	assert_string_equal(err.code, "compile.no_kfp");
	compile_result_dispose(&result);
	checkout_remove(&checkout);
}

static void take_folder(const char *folder)
{
	char dir[PATH_MAX];
	const char *shared = getenv("KFOPS_SHARED");
	const char *root = getenv("KFOPS_SOURCE_DIR");
	if (shared)
		snprintf(dir, sizeof(dir), "%s/samples/%s", shared, folder);
	else
		snprintf(dir, sizeof(dir), "%s/../shared/samples/%s", root ? root : ".", folder);
	DIR *list = opendir(dir);
	if (!list) {
		printf("skipped: no %s\n", dir);
		return;
	}
	struct compile_options options = {.mode = COMPILE_PRECOMPILED};
	struct dirent *entry;
	int count = 0;
	while ((entry = readdir(list)) != NULL) {
		struct compile_result result;
		struct err err = {.class = ERR_OK};
		struct compile_request request = {.source_dir = dir,
						  .pipeline_path = entry->d_name};
		if (!str_ends(entry->d_name, ".yaml"))
			continue;
		if (compile_run(&options, &request, &result, &err) != ERR_OK)
			fail_msg("%s: %s", entry->d_name, err.msg);
		assert_true(json_array_size(result.documents) >= 1);
		compile_result_dispose(&result);
		count++;
	}
	closedir(list);
	printf("%s: %d files\n", folder, count);
}

static void test_samples_are_taken(void **state)
{
	(void)state;
	take_folder("kfp-ir");
	take_folder("argo-v1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sandbox),
		cmocka_unit_test(test_precompiled),
		cmocka_unit_test(test_log_has_the_traceback),
		cmocka_unit_test(test_broken_setup_is_the_operators_matter),
		cmocka_unit_test(test_an_interpreter_without_kfp_is_the_operators_matter),
		cmocka_unit_test(test_samples_are_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
