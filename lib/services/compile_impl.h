/* compile_impl.h - what the files of compile share. */
#ifndef KF_SERVICES_COMPILE_IMPL_H
#define KF_SERVICES_COMPILE_IMPL_H

#include "lib/services/compile.h"
#include "lib/services/sandbox.h"

enum { COMPILE_BINDS_MAX = 8 };

/* The folders that an interpreter needs beside /usr: a virtual environment, the installation under
 * it. Text is owned by `paths`. */
struct compile_binds {
	struct sandbox_bind binds[COMPILE_BINDS_MAX];
	char *paths[COMPILE_BINDS_MAX];
	size_t count;
};
enum err_class compile_binds_find(struct compile_binds *out, const char *python,
				  struct err *err) MUST_CHECK;
void compile_binds_add(struct compile_binds *binds, const char *from, const char *to);
void compile_binds_dispose(struct compile_binds *binds);

/* What the compiler was allowed, for the sentences about it. */
struct compile_bounds {
	int timeout_ms;
	int64_t memory_bytes_max;
};

/* Turns what came out of the sandbox into yaml, or into an error with its place. */
enum err_class compile_result_read(struct compile_result *out,
				   const struct sandbox_outcome *outcome,
				   const struct compile_request *request,
				   const struct compile_bounds *bounds, struct err *err) MUST_CHECK;

/* Parses out->yaml into out->documents and sees that it is a pipeline. */
enum err_class compile_documents_read(struct compile_result *out, const char *path,
				      bool argo_allowed, struct err *err) MUST_CHECK;

#endif
