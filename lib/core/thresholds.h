/* thresholds.h - are the metrics of a run good enough: the `metrics` of the policy against what the
 * run recorded, and against what was recorded of the model that serves.
 *
 * A value counts only if it is one: a metric that is missing, recorded twice or no number meets no
 * threshold, and what cannot be compared is not taken for equal. A difference below a billionth of
 * the values is none, so that 0.92 - 0.915 is not more than 0.005. Pure; any thread. */
#ifndef KF_CORE_THRESHOLDS_H
#define KF_CORE_THRESHOLDS_H

#include <jansson.h>

#include "lib/core/gates.h"
#include "lib/core/policy.h"

/* As a job keeps them: [{"name","min","max","max_drop","against"}], absent what is not set. */
json_t *thresholds_keep(const struct policy *policy) MUST_CHECK;
/* The environments that they compare with, each once: an array of names. */
json_t *thresholds_against(const json_t *thresholds) MUST_CHECK;

enum threshold_result {
	THRESHOLD_MET,
	THRESHOLD_MISSED,
	THRESHOLD_MISSING,    /* the run recorded no such metric */
	THRESHOLD_NO_NUMBER,  /* a text, a boolean, NaN, an infinity */
	THRESHOLD_SEVERAL,    /* which one is meant? */
	THRESHOLD_UNRECORDED, /* something serves there, and its value is not known */
};

struct thresholds {
	enum fact met;		      /* UNKNOWN: the metrics of the run were not read */
	const char *code;	      /* "deploy.metrics"; "" unless NO; static */
	char said[GATE_SENTENCE_MAX]; /* each value with its thresholds, what fails first; plain */
};

/* `values`: what the run recorded, as mlmd_outputs has it, [{"task","output","name","value"}];
 * NULL: not read. `live`: {environment: {"metrics": the same} | null where nothing of ours serves};
 * an environment that is absent, or without metrics, has no value. A name of the policy means the
 * metric of that name, or "task/name", or "task/output/name". */
void thresholds_judge(struct thresholds *out, const json_t *thresholds, const json_t *values,
		      const json_t *live);

#endif
