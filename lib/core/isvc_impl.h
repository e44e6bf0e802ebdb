/* isvc_impl.h - what the files of the module isvc share. Nobody else includes this.
 *
 * isvc.c          the wanted object
 * isvc_refuse.c   what a repository must not set
 * isvc_read.c     an object of the cluster, read
 * isvc_diff.c     two objects compared: merge patches, lines for people
 * isvc_before.c   which way, and what to remember
 * isvc_moves.c    what planners share: guards, readiness, requests
 * isvc_plan.c     the planner: which way, first versions, nothing to do
 * isvc_knative.c  its moves with canaryTrafficPercent
 * isvc_standard.c with spec.canary
 * isvc_second.c   with a second service
 * isvc_address.c  where the staged model answers, and its pods */
#ifndef KF_CORE_ISVC_IMPL_H
#define KF_CORE_ISVC_IMPL_H

#include "lib/core/isvc.h"

#define ISVC_MARK	 "kfops.dev/"
#define ISVC_TAG_ROUTING "serving.kserve.io/enable-tag-routing"
#define ISVC_MODE	 "serving.kserve.io/deploymentMode"
#define ISVC_CANARY	 "kf-" /* predictors in spec.canary are named so */
#define ISVC_STOP	 "serving.kserve.io/stop"

enum {
	ISVC_NAME_MAX = 63,
	/* of a service that is tried as a second one: KServe makes "<name>-canary-predictor" of it
	 */
	ISVC_SECOND_MAX = ISVC_NAME_MAX - 17,
	ISVC_SHOWN_MAX = 120,
};

/* A JSON object that must have a member, made when absent; borrowed. */
json_t *isvc_member(json_t *object, const char *key);

/* Refuses what a repository must not set anywhere in `document`. */
enum err_class isvc_refuse(const json_t *document, const char *ns, struct err *err) MUST_CHECK;

/* The merge patch (RFC 7396) that makes `live` what `wanted` says; an empty object when nothing
 * differs. What servers fill in by themselves is no difference. */
json_t *isvc_patch(const json_t *live, const json_t *wanted) MUST_CHECK;

/* True when only marks differ: the template and the model are the same. */
bool isvc_is_same(const json_t *live, const json_t *wanted);

/* A member with dots and slashes in its name. Borrowed; NULL when absent. */
const char *isvc_annotation(const json_t *object, const char *key);

void isvc_marks_read(struct isvc_marks *out, const json_t *annotations);

/* Words that tell one failure from another: "" when nothing has failed for good. */
void isvc_failure(struct buf *out, const json_t *object, const char *revision);

/* Text that changes when KServe has worked on an object: for modes without revisions. */
void isvc_stamp(struct buf *out, const json_t *object);

bool isvc_is_knative(const struct isvc_state *state);
const char *isvc_storage_uri(const json_t *component);

/* --- planning --- */

struct plan {
	const struct isvc_goal *goal;
	const struct isvc_look *look;
	struct isvc_state live, second; /* zeroed when absent */
	struct isvc_move *out;
};

void plan_done(struct plan *plan, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void plan_wait(struct plan *plan, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void plan_fail(struct plan *plan, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void plan_send(struct plan *plan, enum isvc_verb verb, const char *name, json_t *take_body,
	       const char *why);

const char *plan_before(const struct plan *plan, const char *key); /* "" when absent */
int64_t plan_before_int(const struct plan *plan, const char *key);
bool plan_existed(const struct plan *plan);
void plan_note(struct plan *plan, const char *key, const char *text);
void plan_note_int(struct plan *plan, const char *key, int64_t number);

/* The mark of the live object is that of this rollout. */
bool plan_is_ours(const struct plan *plan);

/* True when the live object is there and is the one we know; else the move is filled. */
bool plan_guard(struct plan *plan);
/* True when nobody has changed the live object since `before`; else the move is filled. */
bool plan_untouched(struct plan *plan);
/* True when nobody but us has changed it since our change; `arrived`: the change that this phase
 * asks for is visible, so that in SHIFT it may be ours, not yet noted. Else the move is filled. */
bool plan_still_ours(struct plan *plan, const char *storage_uri, bool arrived);

/* True when the object serves from what was made after revision `before` ("" for a new object);
 * else the move is filled: WAIT, or FAILED. `stamp` is the older one without revisions, "" for
 * none. */
bool plan_is_ready(struct plan *plan, const struct isvc_state *state, const json_t *object,
		   const char *before, const char *stamp);

/* Patch of metadata and spec of the live object, guarded by its resourceVersion. The caller owns
 * it. */
json_t *plan_patch(const struct plan *plan) MUST_CHECK;
void plan_set_percent(json_t *patch, int percent); /* -1: takes it out */
/* Sends the wanted object over the live one. */
void plan_send_wanted(struct plan *plan, int percent, const char *why);
/* Sends what was there before, or FAILED when it is not known. */
void plan_send_before(struct plan *plan);
void plan_delete(struct plan *plan, const struct isvc_state *state, const char *why);

/* Makes the canary's predictor the stable one. */
void plan_send_promotion(struct plan *plan);

void plan_knative(struct plan *plan);
void plan_standard(struct plan *plan);
void plan_second(struct plan *plan);

/* Name of the predictor that a job's canary has in Standard mode. */
void plan_predictor_name(char out[16], const char *job);

#endif
