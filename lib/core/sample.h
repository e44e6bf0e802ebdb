/* sample.h - the sample request: which protocol it speaks, where it goes, and whether what came
 * back will do.
 *
 * The repository keeps a request as JSON; before traffic moves to a new model, the model has to
 * answer it. Known are KServe's two protocols: v1 ({"instances": [...]}, or {"inputs": {...}} by
 * columns) and v2, the Open Inference Protocol ({"inputs": [{name, shape, datatype, data}]}).
 * Pure; any thread. */
#ifndef KF_CORE_SAMPLE_H
#define KF_CORE_SAMPLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum {
	SAMPLE_MORE_MAX = 8,	/* further requests of a repository, beside the first */
	SAMPLE_FIELDS_MAX = 32, /* members that its answer must have */
};

enum sample_protocol { SAMPLE_V1, SAMPLE_V2 };

struct sample {
	enum sample_protocol protocol;
	size_t instances; /* v1 with a list of instances: how many; else 0 */
};

/* USER "sample.form" with what is missing and where. */
enum err_class sample_recognise(struct sample *out, const json_t *body, struct err *err) MUST_CHECK;

/* "/v1/models/MODEL:predict" or "/v2/models/MODEL/infer", the model's name encoded. */
void sample_request_path(struct buf *out, const struct sample *sample, const char *model);

/* What the repository asks of the answer, beside what the protocol says. Zero: nothing. */
struct sample_wanted {
	int status;		   /* 0: any 2xx */
	const char *const *fields; /* members that must be there, as dotted paths ("metadata.id") */
	size_t field_count;
	int64_t latency_max_ms;
	const json_t *schema; /* passed sample_schema_lint; NULL: none */
};

/* How long an answer is waited for: longer than it may take, so that one which is late is told by
 * its time. Milliseconds. */
int sample_timeout_ms(int64_t latency_max_ms);

struct sample_answer {
	int status;
	const json_t *body; /* NULL: it was not JSON */
	int64_t took_ms;
};

struct sample_verdict {
	bool is_good;
	char code[32];	    /* "sample.status"; "" when good */
	char sentence[512]; /* one line, may hold words of the model server */
};

/* Judges in this order: status, JSON, predictions (present, not empty, one for each instance),
 * fields, schema, latency; the first fault counts. An answer with another status than 2xx that was
 * asked for need not hold predictions. */
void sample_judge(struct sample_verdict *out, const struct sample *sample,
		  const struct sample_wanted *wanted, const struct sample_answer *answer);

/* The part of JSON Schema that is understood: type (one name or several), required, properties,
 * items (one schema), minItems, maxItems, enum, minimum, maximum; at most 32 levels. Anything else
 * is refused (USER "sample.schema" with its place), because a rule that is not checked is worse
 * than none. */
enum err_class sample_schema_lint(const json_t *schema, struct err *err) MUST_CHECK;

/* True when the value fits the schema; else `fault` says where and why ("predictions[0]: ..."). */
bool sample_schema_fits(const json_t *schema, const json_t *value, struct buf *fault);

#endif
