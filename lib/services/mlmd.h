/* mlmd.h - the metadata store of Kubeflow Pipelines: what a run brought forth.
 *
 * gRPC-Web over HTTP/1.1 to metadata-envoy-service or through the gateway. One server per `struct
 * mlmd`, shared by threads; each brings its own `struct http`. Only reads. Errors: NOT_FOUND (no
 * such run there), DENIED, CONFIG (address, token, TLS), THROTTLED, TRANSIENT, USER (more than its
 * bounds). The token file is read again for every list of outputs. */
#ifndef KF_SERVICES_MLMD_H
#define KF_SERVICES_MLMD_H

#include <jansson.h>

#include "lib/base/err.h"
#include "lib/base/http.h"

struct mlmd;

struct mlmd_options {
	const char *url; /* "http://metadata-envoy-service.kubeflow:9090", "https://GATEWAY" */
	const char *token_file; /* NULL: no authentication */
};
enum err_class mlmd_new(struct mlmd **out, const struct mlmd_options *options,
			struct err *err) MUST_CHECK;
void mlmd_free(struct mlmd *take_mlmd);

/* {"models":[{"uri","task","output","name","framework","cached"}],"metrics":[{"task","output",
 * "name","value"}]}. Addresses are as stored (minio:// stays). NOT_FOUND also for a run that is too
 * young. The caller drops *out. */
enum err_class mlmd_run_outputs(struct mlmd *mlmd, struct http *http, const char *run_id,
				json_t **out, struct err *err) MUST_CHECK;

#endif
