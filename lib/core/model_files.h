/* model_files.h - is what lies under a model's address a model that its runtime can load?
 *
 * KServe's runtimes look into the top level of the folder and refuse what they do not know, minutes
 * later and in a pod's log; a listing tells the same before anything is deployed. What a runtime
 * might accept is accepted here: only what it is known to refuse is refused. Also the digest by
 * which a model is known to be the one that was tested. Pure; any thread. Source: KServe
 * python/storage and the loaders of its model servers. */
#ifndef KF_CORE_MODEL_FILES_H
#define KF_CORE_MODEL_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/core/s3_uri.h"

enum { MODEL_DIGEST_LEN = 65 }; /* with the NUL */

struct model_listing {
	const struct s3_uri *where;	 /* the model's address */
	const struct s3_object *objects; /* whose keys begin with where->key, in any order */
	size_t count;
	bool complete; /* false: there are more than these */
};

/* USER with a sentence that says how to mend it: model.missing (nothing but empty objects),
 * model.too_many (the listing is not complete), model.slash (KServe would take neighbours whose
 * names begin alike), model.files (not what the runtime loads). `runtime` is the ServingRuntime's
 * name ("kserve-sklearnserver"); NULL: the one that KServe chooses for `format` ("sklearn", may be
 * NULL). Of a runtime that is not known here only the first three are asked. */
enum err_class model_files_check(const struct model_listing *listing, const char *runtime,
				 const char *format, struct err *err) MUST_CHECK;

/* Of all its objects together, as the store tells their sizes; INT64_MAX is the most. */
int64_t model_files_bytes(const struct model_listing *listing);

/* SHA-256, in hex, over a line of key, size and ETag for each object that KServe would download, in
 * order of the keys. Only a complete listing has one. */
void model_files_digest(char out[MODEL_DIGEST_LEN], const struct model_listing *listing);

#endif
