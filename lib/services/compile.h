/* compile.h - a checkout becomes a compiled pipeline; the only place where their code runs.
 *
 * `precompiled`: pipeline_path names a file that is taken as it is. `sandbox`: deploy/compiler/
 * runs under bubblewrap in a child: no network, empty environment, read-only checkout, private /tmp
 * and /proc, own user, limits on memory, processes, CPU and output, the whole group killed at the
 * time-out. What comes back is read as data. Blocks the calling thread for at most timeout_ms. */
#ifndef KF_SERVICES_COMPILE_H
#define KF_SERVICES_COMPILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum compile_mode { COMPILE_PRECOMPILED, COMPILE_SANDBOX };

struct compile_options {
	enum compile_mode mode;
	const char *python;	 /* interpreter with kfp, absolute; its prefix is bound read-only */
	const char *package_dir; /* folder that holds the Python package `kfops` */
	const char *bwrap;	 /* NULL: found on PATH */
	int timeout_ms;		 /* 0: 120000 */
	const char *cgroup;	 /* from sandbox_group_prepare; NULL: none */
	int64_t memory_bytes_max; /* of each process, and of all together; 0: 2 GiB */
	int64_t output_bytes_max; /* 0: 32 MiB */
	int processes_max;	  /* 0: 64 */
};

/* Instead of a pipeline: the InferenceService that a Python file defines. */
struct compile_service {
	const char *name, *ns, *storage_uri;
};

struct compile_request {
	const char *source_dir;		       /* the checkout */
	const char *pipeline_path;	       /* relative, "my_pipeline/pipeline.py" or ".yaml" */
	const char *function_name;	       /* NULL: the only pipeline of the file */
	const struct compile_service *service; /* NULL: a pipeline */
	const char *const *env; /* beside the sandbox's own: name, value, ..., NULL; NULL: none */
};

struct compile_annotation {
	char *path; /* in their repository */
	int line;
	char *message;
};
struct compile_result {
	char *yaml; /* what is uploaded */
	size_t yaml_len;
	json_t *documents;		 /* array: the parsed documents */
	char *log;			 /* what the compile printed, cut; not cleaned */
	struct compile_annotation error; /* set when it failed with a place */
	int64_t took_ms;
};
void compile_result_dispose(struct compile_result *result);

/* USER with codes "compile.failed" (their exception), "compile.not_found", "compile.timeout",
 * "compile.memory", "compile.output", "compile.killed", "compile.invalid"; CONFIG when the sandbox
 * itself cannot start. *out is filled as far as known in every case. */
enum err_class compile_run(const struct compile_options *options,
			   const struct compile_request *request, struct compile_result *out,
			   struct err *err) MUST_CHECK;

/* Starts the sandbox on nothing and says whether it works here; for --check-config and start-up. */
enum err_class compile_check(const struct compile_options *options, struct err *err) MUST_CHECK;

#endif
