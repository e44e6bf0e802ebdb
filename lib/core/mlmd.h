/* mlmd.h - ML Metadata as gRPC-Web: frames and the few messages that lead to a run's models.
 *
 * Writes requests and reads answers without knowing how they travel (lib/services/mlmd.h does). A
 * message is read into JSON with bounds: 4 MiB a message, 20,000 items in all, texts of 8 KiB,
 * nesting of 16. Unknown fields are skipped. Follows ml_metadata/proto/metadata_store*.proto and
 * the gRPC-Web protocol (PROTOCOL-WEB.md). Pure; any thread. */
#ifndef KF_CORE_MLMD_H
#define KF_CORE_MLMD_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum {
	MLMD_MESSAGE_MAX = 4 * 1024 * 1024,
	MLMD_ITEMS_MAX = 20000, /* artifacts, executions or events of one run */
	MLMD_PAGE_SIZE = 100,	/* the server's own maximum */
	MLMD_IDS_MAX = 100,	/* executions asked about in one call */
	MLMD_TOKEN_MAX = 1024,	/* of a page */
};

/* --- requests: one whole frame each --- */
void mlmd_ask_context(struct buf *out, const char *run_id);
/* For GetArtifactsByContext and GetExecutionsByContext. `page` is "" at first. */
void mlmd_ask_page(struct buf *out, int64_t context_id, const char *page);
void mlmd_ask_events(struct buf *out, const int64_t *execution_ids, size_t count);
/* GetArtifactTypes takes an empty message. */
void mlmd_ask_types(struct buf *out);

/* --- answers --- */

/* Finds the message in the frames of a body. `status` and `words` are the headers grpc-status and
 * grpc-message ("" when absent), used when the body has no trailers. Classes by gRPC status:
 * NOT_FOUND (5), USER (3, 9, 11), DENIED (7), CONFIG (12, 16), THROTTLED (8), TRANSIENT (the rest,
 * cut bodies, no status at all). *message is borrowed from `body`, NULL with *len 0 when empty. */
enum err_class mlmd_unframe(const unsigned char **message, size_t *len, const void *body,
			    size_t body_len, const char *const headers[2],
			    struct err *err) MUST_CHECK;

/* Each adds to an array: TRANSIENT when the message is not one. The id is 0 and NOT_FOUND comes out
 * when the server knows no such context. */
enum err_class mlmd_read_context(int64_t *out_id, const unsigned char *message, size_t len,
				 struct err *err) MUST_CHECK;
/* [{"id","type_id","type","uri","name","custom":{...}}] */
enum err_class mlmd_read_artifacts(json_t *into, char page[MLMD_TOKEN_MAX],
				   const unsigned char *message, size_t len,
				   struct err *err) MUST_CHECK;
/* [{"id","type","state","name","custom":{...}}] */
enum err_class mlmd_read_executions(json_t *into, char page[MLMD_TOKEN_MAX],
				    const unsigned char *message, size_t len,
				    struct err *err) MUST_CHECK;
/* [{"artifact_id","execution_id","type","key"}] */
enum err_class mlmd_read_events(json_t *into, const unsigned char *message, size_t len,
				struct err *err) MUST_CHECK;
/* {"15": "system.Metrics", ...} */
enum err_class mlmd_read_types(json_t *into, const unsigned char *message, size_t len,
			       struct err *err) MUST_CHECK;

/* Models and metrics of a run from what was read: {"models":[{"uri","task","output","name",
 * "framework","cached"}],"metrics":[{"task","output","name","value"}]}. `types` fills in the types
 * that older servers leave out; NULL: none. The caller drops it. */
json_t *mlmd_outputs(const json_t *artifacts, const json_t *executions, const json_t *events,
		     const json_t *types) MUST_CHECK;

/* --- which model --- */

/* The model to deploy (borrowed): the configured task and output if given (either may be NULL),
 * else the one of Kfops' materialize_model, else the only one. USER with "deploy.no_model" or
 * "deploy.which_model", which lists the candidates. */
enum err_class model_choose(const json_t **out, const json_t *models, const char *task,
			    const char *output, struct err *err) MUST_CHECK;

#endif
