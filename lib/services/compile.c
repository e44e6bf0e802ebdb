/* compile.c - the two ways from a checkout to a compiled pipeline.
 *
 * A path that ends in .yaml, .yml or .json is taken as it is, in either mode. A path that ends in
 * .py is compiled, but only in sandbox mode: this process never runs a byte of the repository.
 * Names are checked here by their letters and again by those who open them: repo_read_file walks
 * the path from a descriptor of the checkout, and the compiler inside sees nothing but the checkout
 * anyway. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/services/compile_impl.h"
#include "lib/services/repo.h"

enum {
	TIMEOUT_MS = 120000,
	CHECK_TIMEOUT_MS = 60000,
	PROCESSES_MAX = 64,
	RESULT_EXTRA = 512 * 1024,
	ENV_MAX = 40, /* names and values */
	PATH_BYTES_MAX = 1024,
};
static const int64_t memory_bytes_default = 2LL << 30;
static const int64_t output_bytes_default = 32LL << 20;
static const int64_t files_bytes_least = 64LL << 20;

void compile_result_dispose(struct compile_result *result)
{
	mem_free(result->yaml);
	mem_free(result->log);
	mem_free(result->error.path);
	mem_free(result->error.message);
	json_decref(result->documents);
	*result = (struct compile_result){.yaml = NULL};
}

/* A relative path inside the checkout, by its letters, as git writes it: "./a//b" is "a/b". NULL
 * when it is none; the caller frees. */
static char *plain_path(const char *path)
{
	AUTO_BUF struct buf out = buf_make(PATH_BYTES_MAX);
	if (str_is_empty(path) || path[0] == '/')
		return NULL;
	while (path) {
		size_t len = strcspn(path, "/");
		if (len == 2 && path[0] == '.' && path[1] == '.')
			return NULL;
		if (len && !(len == 1 && path[0] == '.')) {
			buf_puts(&out, out.len ? "/" : "");
			buf_add(&out, path, len);
		}
		path = path[len] ? path + len + 1 : NULL;
	}
	return out.len && !out.truncated ? buf_take(&out) : NULL;
}

static bool is_compiled(const char *path)
{
	return str_ends(path, ".yaml") || str_ends(path, ".yml") || str_ends(path, ".json");
}

/* --- precompiled --- */

static enum err_class take_compiled(const struct compile_options *options,
				    const struct compile_request *request,
				    struct compile_result *out, struct err *err)
{
	int64_t most =
		options->output_bytes_max > 0 ? options->output_bytes_max : output_bytes_default;
	struct err cause = {.class = ERR_OK};
	enum err_class class = repo_read_file(request->source_dir, request->pipeline_path,
					      (size_t)most, &out->yaml, &out->yaml_len, &cause);
	if (class == ERR_OK)
		return compile_documents_read(out, request->pipeline_path, true, err);
	if (class == ERR_NOT_FOUND)
		return err_code(err, ERR_USER, "compile.not_found",
				"There is no file %s at this commit; pipeline_path in "
				"config_files/config.yaml names it.",
				request->pipeline_path);
	if (class == ERR_USER)
		return err_code(err, ERR_USER,
				str_eq(cause.code, "repo.too_large") ? "compile.output"
								     : "compile.not_found",
				"%s", cause.msg);
	if (err)
		*err = cause;
	return class;
}

/* --- sandbox --- */

static struct compile_bounds bounds_of(const struct compile_options *options, int timeout_ms)
{
	return (struct compile_bounds){
		.timeout_ms = timeout_ms,
		.memory_bytes_max = options->memory_bytes_max > 0 ? options->memory_bytes_max
								  : memory_bytes_default,
	};
}

/* Adds the caller's pairs to those that are there. */
static void add_env(const char *env[ENV_MAX + 1], const char *const *more)
{
	size_t count = 0;

	while (env[count])
		count++;
	for (size_t i = 0; more && more[i] && count < ENV_MAX; i++)
		env[count++] = more[i];
}

/* Runs kfops.compile with these arguments; `source_dir` and `more_env` may be NULL. */
static enum err_class run_compiler(const struct compile_options *options, const char *source_dir,
				   const char *const *arguments, const char *const *more_env,
				   const struct compile_bounds *bounds,
				   struct sandbox_outcome *outcome, struct err *err)
{
	*outcome = (struct sandbox_outcome){.log = NULL};
	struct compile_binds binds;
	if (compile_binds_find(&binds, options->python, err) != ERR_OK)
		return ERR_CONFIG;
	AUTO_FREE char *package = str_printf("%s/kfops/compile.py", options->package_dir);
	if (!options->package_dir || access(package, R_OK) != 0) {
		compile_binds_dispose(&binds);
		return err_code(err, ERR_CONFIG, "compile.package",
				"There is no Python package kfops in %s.",
				options->package_dir ? options->package_dir : "(none)");
	}
	compile_binds_add(&binds, options->package_dir, "/kfops");
	const char *argv[24] = {options->python, "-s",	 "-B",	     "-m", "kfops.compile",
				"--out",	 "/out", "--stream", "3"};
	size_t count = 9;
	for (size_t i = 0; arguments[i] && count < ARRAY_LEN(argv) - 1; i++)
		argv[count++] = arguments[i];
	const char *env[ENV_MAX + 1] = {
		"PATH",
		"/usr/bin:/bin",
		"HOME",
		"/tmp",
		"TMPDIR",
		"/tmp",
		"USER",
		"nobody",
		"LANG",
		"C.UTF-8",
		"PYTHONPATH",
		"/kfops",
		"PYTHONUTF8",
		"1",
		"OPENBLAS_NUM_THREADS",
		"1",
		"OMP_NUM_THREADS",
		"1",
		"MALLOC_ARENA_MAX",
		"2",
	};
	add_env(env, more_env);
	int64_t output =
		options->output_bytes_max > 0 ? options->output_bytes_max : output_bytes_default;
	int64_t files = 2 * output;
	struct sandbox_request request = {
		.bwrap = options->bwrap,
		.binds = binds.binds,
		.binds_count = binds.count,
		.argv = argv,
		.env = env,
		.source_dir = source_dir,
		.timeout_ms = bounds->timeout_ms,
		.cgroup = options->cgroup,
		.memory_bytes_max = bounds->memory_bytes_max,
		.result_bytes_max = output + RESULT_EXTRA,
		.files_bytes_max = files > files_bytes_least ? files : files_bytes_least,
		.processes_max =
			options->processes_max > 0 ? options->processes_max : PROCESSES_MAX,
	};
	enum err_class class = sandbox_run(&request, outcome, err);
	compile_binds_dispose(&binds);
	return class;
}

/* "--service={...}", NULL for a pipeline. */
static char *service_argument(const struct compile_service *service)
{
	AUTO_JSON json_t *wish = NULL;
	AUTO_FREE char *text = NULL;

	if (!service)
		return NULL;
	wish = json_object();
	jval_set_str(wish, "name", service->name);
	jval_set_str(wish, "namespace", service->ns);
	jval_set_str(wish, "storage_uri", service->storage_uri);
	text = jval_dump(wish);
	return str_printf("--service=%s", text);
}

static enum err_class compile_python(const struct compile_options *options,
				     const struct compile_request *request,
				     struct compile_result *out, struct err *err)
{
	AUTO_FREE char *path = str_printf("--path=%s", request->pipeline_path);
	AUTO_FREE char *function =
		str_printf("--function=%s", request->function_name ? request->function_name : "");
	AUTO_FREE char *service = service_argument(request->service);
	const char *const arguments[] = {"--source=/source", path,
					 service				? service
					 : str_is_empty(request->function_name) ? NULL
										: function,
					 NULL};
	struct compile_bounds bounds =
		bounds_of(options, options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS);
	struct sandbox_outcome outcome;
	enum err_class class = run_compiler(options, request->source_dir, arguments, request->env,
					    &bounds, &outcome, err);
	if (class == ERR_OK)
		class = compile_result_read(out, &outcome, request, &bounds, err);
	out->log = take(outcome.log);
	sandbox_outcome_dispose(&outcome);
	return class;
}

enum err_class compile_run(const struct compile_options *options,
			   const struct compile_request *request, struct compile_result *out,
			   struct err *err)
{
	*out = (struct compile_result){.yaml = NULL};
	int64_t started = clock_mono_ms();
	AUTO_FREE char *path = plain_path(request->pipeline_path);
	struct compile_request plain = *request;
	enum err_class class;
	plain.pipeline_path = path;
	if (!path)
		class = err_code(err, ERR_USER, "compile.not_found",
				 "pipeline_path \"%s\" is not a path inside the repository.",
				 request->pipeline_path ? request->pipeline_path : "");
	else if (is_compiled(path))
		class = take_compiled(options, &plain, out, err);
	else if (options->mode == COMPILE_SANDBOX)
		class = compile_python(options, &plain, out, err);
	else
		class = err_code(
			err, ERR_USER, "compile.failed",
			"This server runs no pipeline code, and %s is not compiled: commit "
			"the compiled pipeline (kfp dsl compile) and let pipeline_path name "
			"the .yaml file.",
			path);
	out->took_ms = clock_mono_ms() - started;
	return class;
}

enum err_class compile_check(const struct compile_options *options, struct err *err)
{
	if (options->mode != COMPILE_SANDBOX)
		return ERR_OK;
	static const char *const arguments[] = {"--check", NULL};
	static const struct compile_request nothing = {.pipeline_path = "(nothing)"};
	struct compile_bounds bounds = bounds_of(options, CHECK_TIMEOUT_MS);
	struct sandbox_outcome outcome;
	enum err_class class = run_compiler(options, NULL, arguments, NULL, &bounds, &outcome, err);
	if (class == ERR_OK && !str_eq(buf_text(&outcome.result), "kfops 1\nend\n")) {
		struct compile_result result = {.yaml = NULL};
		struct err cause = {.class = ERR_OK};
		class = compile_result_read(&result, &outcome, &nothing, &bounds, &cause);
		class = err_code(err, ERR_CONFIG,
				 class == ERR_CONFIG ? cause.code : "compile.sandbox", "%s",
				 cause.msg);
		compile_result_dispose(&result);
	}
	sandbox_outcome_dispose(&outcome);
	return class;
}
