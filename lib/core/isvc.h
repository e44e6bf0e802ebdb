/* isvc.h - InferenceServices of KServe: what is wanted, what is there, and the next move between.
 *
 * JSON in, JSON out; never talks to anybody. A rollout is: isvc_build (the wanted object), isvc_way
 * and isvc_before (once, before anything is touched), then isvc_plan after every look until it says
 * DONE or FAILED, phase by phase: STAGE (new model at 0 %), SHIFT to p % (as often as there are
 * steps), CHECK, and RESTORE (all traffic back to what served before). The planner reads everything
 * it needs from the objects and from `before`, so asking again after a crash costs nothing.
 * Follows KServe 0.8 to 0.20 (reconcilers/knative, rawdeployment; spec.canary since 0.20).
 * Pure; any thread. */
#ifndef KF_CORE_ISVC_H
#define KF_CORE_ISVC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* --- the wanted object --- */

/* Written into annotations kfops.dev/..., in the same request as the model and never again, because
 * KServe copies annotations into the pods: a changed mark is a new revision. */
struct isvc_marks {
	const char *job;   /* uid of the job */
	const char *fence; /* decimal number that grows with every holder of the environment's lock;
			      NULL: none */
	const char *run;
	const char *sha;
	const char *repo; /* owner/name */
};

struct isvc_wish {
	const char *name, *ns;
	const char *storage_uri; /* a scheme that KServe knows; minio:// must be s3:// already */
	struct isvc_marks marks;
};

/* The object to have: the repository's document with name, namespace, model address and marks put
 * in, `predictor.sklearn` and the like rewritten to `predictor.model`, traffic left out.
 * `documents` are what the repository has, parsed. USER with "deploy.template" and a sentence for
 * whatever a repository must not set. The caller drops *out. */
enum err_class isvc_build(json_t **out, const json_t *const *documents, size_t count,
			  const struct isvc_wish *wish, struct err *err) MUST_CHECK;

/* A copy of an object that was wanted before, as wanted by the job of this uid. Caller drops it. */
json_t *isvc_again(const json_t *wanted, const char *job) MUST_CHECK;

/* --- an object of the cluster, read --- */

enum isvc_ready { ISVC_UNKNOWN, ISVC_NOT_READY, ISVC_READY };
enum isvc_load { ISVC_LOAD_NONE, ISVC_LOAD_GOING_ON, ISVC_LOAD_DONE, ISVC_LOAD_FAILED };

/* Texts are borrowed from the object and "" when absent. */
struct isvc_state {
	const char *name, *ns, *uid, *resource_version,
		*mode; /* mode: "Knative", "Standard", ... */
	int64_t generation;
	bool deleting; /* deletionTimestamp */
	bool stopped;  /* serving.kserve.io/stop */
	const char *storage_uri;
	struct isvc_marks marks; /* NULL where absent */
	int percent;		 /* canaryTrafficPercent, -1 when absent */
	const char *created, *ready_revision, *rolledout, *previous; /* revisions, Knative only */
	const json_t *traffic;					     /* array or NULL */
	const json_t *canary;					     /* spec.canary[0] or NULL */
	const json_t *canary_status;				     /* canaryStatuses[0] or NULL */
	int64_t observed_generation; /* of what stands behind it, not of the object; -1: absent */
	enum isvc_ready ready;	     /* condition Ready */
	enum isvc_load load;	     /* modelStatus */
	const char *url, *address;   /* outside, inside */
};
void isvc_read(struct isvc_state *out, const json_t *object);

/* Percent of the traffic that a revision gets by status (a revision may be listed twice). */
int isvc_share(const struct isvc_state *state, const char *revision);

/* Why it is not ready, for people: lastFailureInfo, else the conditions that are not True; at most
 * 600 bytes. "" when nothing is said. */
void isvc_cause(struct buf *out, const json_t *object);

/* --- which way --- */

enum isvc_way {
	ISVC_WAY_NONE,		  /* the wanted model is live already: nothing to do */
	ISVC_WAY_FIRST,		  /* nothing serves yet: straight to 100 %, untried */
	ISVC_WAY_KNATIVE,	  /* canaryTrafficPercent */
	ISVC_WAY_STANDARD_CANARY, /* spec.canary */
	ISVC_WAY_SECOND, /* a second service <name>-canary is tested, then the real one is changed,
			    or made when nothing serves yet */
};
const char *isvc_way_name(enum isvc_way way); /* "knative" */
/* True when steps between 0 and 100 % are possible. */
bool isvc_way_splits(enum isvc_way way);

struct isvc_rules {
	bool crd_has_canary; /* the InferenceService CRD has spec.canary */
	bool test_first;     /* a first version is tried in a second service, if its name fits */
	bool second_public;  /* the second service is reached through the ingress from outside */
	bool other_over;     /* the jobs in the marks have ended: what they left at 0 % may go */
};
/* `live` NULL: absent. *why (static) is one sentence for people. */
enum isvc_way isvc_way(const json_t *live, const json_t *wanted, const struct isvc_rules *rules,
		       const char **why);

/* What a rollout must remember of the time before it: store it with the job before the first move,
 * and with the deployment for /rollback. "way" is its member for isvc_way_name. USER with
 * "deploy.canary_open" when a canary of somebody else is open, "deploy.stopped", "deploy.deleting"
 * when the service cannot be changed. The caller drops *out. */
enum err_class isvc_before(json_t **out, const json_t *live, const json_t *second,
			   const json_t *wanted, const struct isvc_rules *rules,
			   struct err *err) MUST_CHECK;

/* True when the service that was there then is not there any more, or another has its name. */
bool isvc_is_gone(const json_t *before, const json_t *live);

/* --- the planner --- */

enum isvc_phase { ISVC_STAGE, ISVC_SHIFT, ISVC_CHECK, ISVC_RESTORE };
enum isvc_move_kind {
	ISVC_DONE,
	ISVC_WAIT, /* look again; the caller has the deadline and shows isvc_cause when it passes */
	ISVC_SEND,
	ISVC_FAILED, /* nothing more to do in this phase; the caller goes on with RESTORE */
};
enum isvc_verb {
	ISVC_CREATE, /* POST; 409: look again */
	ISVC_PATCH,  /* merge patch with resourceVersion; 409: look again; 404: look again */
	ISVC_DELETE, /* DeleteOptions with the uid as precondition; 404, 409: look again */
};

struct isvc_request {
	enum isvc_verb verb;
	char name[64];
	json_t *body; /* owned */
};

struct isvc_move {
	enum isvc_move_kind kind;
	struct isvc_request request; /* SEND; the first of STAGE is also what a dry run sends */
	char code[ERR_CODE_MAX];     /* FAILED: "deploy.changed", "deploy.model_failed", ... */
	char why[600];		     /* what is waited for, sent, found or wrong: a sentence */
	json_t *note; /* members to put into `before` (isvc_note), committed before the request is
			 sent; NULL: none */
};
void isvc_move_dispose(struct isvc_move *move);

struct isvc_goal {
	const json_t *wanted; /* NULL is allowed in RESTORE */
	const json_t *before;
	const char *job; /* uid in the marks of the rollout this is about; for /promote and
			    /rollback that of the deployment which they are about */
	enum isvc_phase phase;
	int percent; /* SHIFT, CHECK: 0 to 100 */
};
struct isvc_look { /* as they are now; NULL: absent */
	const json_t *live, *second;
};
/* *out is filled in every case; the caller disposes of it. RESTORE after a first version deletes
 * the service that the rollout made, because there was none before. */
void isvc_plan(const struct isvc_goal *goal, const struct isvc_look *look, struct isvc_move *out);

/* The request that will give the new model all traffic, planned from the object as it is now: to be
 * tried without effect before anything is staged. False, with no request, when the first move holds
 * all that can be refused. The caller disposes of *out. */
bool isvc_plan_last(const struct isvc_goal *goal, const struct isvc_look *look,
		    struct isvc_move *out);

/* Puts a move's note into `before`. */
void isvc_note(json_t *before, const json_t *note);

/* "<name>-canary"; the caller frees. Not every name leaves room for that in a host name. */
char *isvc_second_name(const char *name) MUST_CHECK;
bool isvc_second_fits(const char *name);

/* --- the sample request --- */

/* Where the staged model answers, best first: [{"url","host"?,"model","by"}]. `url` has scheme,
 * host and port, and the path before /v1 where a gateway tells services apart by it; `host` is what
 * the request must carry when it goes through an ingress; `model` is the name in its path; `by`:
 * "tag", "revision", "canary", "service", "predictor". All lead to the same model, if they lead
 * anywhere. `ingress` is the operator's "http(s)://HOST[:PORT]" or NULL inside the cluster. CONFIG
 * with "deploy.unreachable" when an ingress cannot lead there. Call it after STAGE is DONE. The
 * caller drops *out. */
enum err_class isvc_addresses(json_t **out, const struct isvc_goal *goal,
			      const struct isvc_look *look, const char *ingress,
			      struct err *err) MUST_CHECK;
/* The label selector of the new model's pods, as well as they can be told; the caller frees. */
char *isvc_pod_selector(const struct isvc_goal *goal, const struct isvc_look *look) MUST_CHECK;
/* "v1" or "v2": the protocol of the wanted predictor; static. */
const char *isvc_protocol(const json_t *wanted);

/* --- for /plan --- */

/* What would change, a line each: "predictor.model.storageUri: s3://a -> s3://b"; at most 40 lines
 * and what `out` holds. Values of environment variables are not shown. Plain text for a fence: no
 * control characters, no backtick. Returns the number of differences. */
size_t isvc_diff(struct buf *out, const json_t *wanted, const json_t *live);

#endif
