/* kube.h - the Kubernetes API (1.22 and newer), one API server with one identity per `struct kube`.
 *
 * Shared by threads (locked inside); each brings its own `struct http`, made with `allow_http` when
 * a server on this machine speaks plain HTTP. Credentials are the pod's service account, or what a
 * kubeconfig file says. They are read again every minute and after a 401, so rotated tokens,
 * authorities and whole files are picked up; while a new state cannot be read, the old one serves.
 *
 * Every call is one request, except where it says otherwise (a 401 is tried once more with fresh
 * credentials). Objects are JSON values; an answer of more than 8 MiB or nested deeper than 200 is
 * refused. Classes: NOT_FOUND, CONFLICT, DENIED, USER (the API refuses what it was sent: its
 * words), CONFIG (401, TLS, kubeconfig, an API that is not installed), THROTTLED, TRANSIENT;
 * in_doubt after a mutation whose outcome is unknown. err->code is one of the KUBE_* below or
 * "kube.config", "kube.exec" and others listed in docs/troubleshooting.md. Sources: Kubernetes API
 * reference 1.34 (API concepts, kubeconfig v1, client.authentication.k8s.io/v1). */
#ifndef KF_SERVICES_KUBE_H
#define KF_SERVICES_KUBE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/http.h"

/* Codes that callers tell apart. */
#define KUBE_OBJECT_MISSING    "kube.object_missing"	/* NOT_FOUND */
#define KUBE_NAMESPACE_MISSING "kube.namespace_missing" /* NOT_FOUND; also while it is deleted */
#define KUBE_API_MISSING       "kube.api_missing"	/* CONFIG: the kind is not installed */
#define KUBE_ALREADY_EXISTS    "kube.already_exists"	/* CONFLICT */
#define KUBE_STALE	       "kube.stale"	     /* CONFLICT: another resourceVersion or uid */
#define KUBE_APPLY_CONFLICT    "kube.apply_conflict" /* CONFLICT: fields of another manager */
#define KUBE_LOG_NOT_YET       "kube.log_not_yet"    /* NOT_FOUND: the container has not started */

#define KUBE_FIELD_MANAGER "kfops"

struct kube;

struct kube_options {
	const char *kubeconfig;	 /* file; NULL: the service account of the pod we run in */
	const char *context;	 /* of the file; NULL: its current-context */
	const char *account_dir; /* NULL: /var/run/secrets/kubernetes.io/serviceaccount */
};
/* Reads the credentials once (runs no plugin, asks no server). CONFIG with file, line and column.
 */
enum err_class kube_new(struct kube **out, const struct kube_options *options,
			struct err *err) MUST_CHECK;
void kube_free(struct kube *take_kube);

/* Namespace of the context or of the pod, "" when there is none; the caller frees. */
char *kube_namespace(struct kube *kube) MUST_CHECK;

/* Which thing. Group "" is the core group. A namespace or name that is not a valid one is refused
 * (USER) before anything is sent, so no path can be made of it. */
struct kube_ref {
	const char *group;   /* "serving.kserve.io" */
	const char *version; /* "v1beta1" */
	const char *plural;  /* "inferenceservices" */
	const char *ns;	     /* NULL: not in a namespace */
	const char *name;    /* NULL for a whole collection */
};

/* The object as it is now (never from a cache). The caller drops *out, here and below. */
enum err_class kube_get(struct kube *kube, struct http *http, const struct kube_ref *ref,
			json_t **out, struct err *err) MUST_CHECK;

struct kube_list_options {
	const char *label_selector; /* NULL: all */
	const char *field_selector; /* NULL: all */
	size_t items_max;	    /* 0: 500 */
};
/* An array of the objects; requests follow each other page by page until items_max is reached.
 * `complete` (may be NULL) says whether these are all. A list that grew too old between two pages
 * is begun anew once. */
enum err_class kube_list(struct kube *kube, struct http *http, const struct kube_ref *ref,
			 const struct kube_list_options *options, json_t **out, bool *complete,
			 struct err *err) MUST_CHECK;

enum kube_write {
	KUBE_WRITE = 0,
	KUBE_FORCE = 1,	  /* apply: take over fields of other managers */
	KUBE_DRY_RUN = 2, /* checked by the server and its webhooks, not stored; never in doubt */
};

/* Each answers with the object as stored (`out` may be NULL); unknown fields are an error. */
enum err_class kube_create(struct kube *kube, struct http *http, const struct kube_ref *ref,
			   const json_t *object, enum kube_write flags, json_t **out,
			   struct err *err) MUST_CHECK;

/* Server-side apply as KUBE_FIELD_MANAGER. `object` is the full intent with apiVersion, kind and
 * metadata.name; what was applied before and is left out now is removed. Makes the object when it
 * is absent. */
enum err_class kube_apply(struct kube *kube, struct http *http, const struct kube_ref *ref,
			  const json_t *object, enum kube_write flags, json_t **out,
			  struct err *err) MUST_CHECK;

/* JSON merge patch (RFC 7396). With metadata.resourceVersion in it, KUBE_STALE when the object
 * changed since. */
enum err_class kube_merge(struct kube *kube, struct http *http, const struct kube_ref *ref,
			  const json_t *patch, enum kube_write flags, json_t **out,
			  struct err *err) MUST_CHECK;

/* Deletes this very object: KUBE_STALE when the one that is there has another uid. What depends on
 * it goes in the background. */
enum err_class kube_delete(struct kube *kube, struct http *http, const struct kube_ref *ref,
			   const char *uid, struct err *err) MUST_CHECK;

struct kube_log_options {
	const char *container; /* NULL: the only one */
	int lines_max;	       /* 0: 200 */
	bool previous;	       /* of the container before its restart */
};
/* The last lines of a container's log, as many whole ones as fit into `out`. */
enum err_class kube_pod_log(struct kube *kube, struct http *http, const char *ns, const char *pod,
			    const struct kube_log_options *options, struct buf *out,
			    struct err *err) MUST_CHECK;

/* "v1.34.1". */
enum err_class kube_version(struct kube *kube, struct http *http, char out[64],
			    struct err *err) MUST_CHECK;

enum kube_known { KUBE_UNKNOWN, KUBE_NO, KUBE_YES };
struct kube_kserve {
	bool is_there;		/* the API serving.kserve.io/v1beta1 has inferenceservices */
	enum kube_known canary; /* their schema has spec.canary (KServe 0.20 and newer) */
};
/* What KServe can do here. Asks discovery and the published schema, which every identity may read
 * (role system:discovery); where the server publishes none, the definition itself, which most may
 * not: then `canary` stays unknown. One to four requests; for the start of a deployment. The large
 * one is made again only when the server says that the schema has changed. */
enum err_class kube_probe_kserve(struct kube *kube, struct http *http, struct kube_kserve *out,
				 struct err *err) MUST_CHECK;

struct kube_right {
	const char *verb, *group, *resource; /* "patch", "serving.kserve.io", "inferenceservices" */
	const char *subresource;	     /* NULL; "log" */
	const char *ns;			     /* NULL: in the whole cluster */
};
/* May we? Asks the server itself (SelfSubjectAccessReview), which needs no right. */
enum err_class kube_may(struct kube *kube, struct http *http, const struct kube_right *right,
			bool *out, struct err *err) MUST_CHECK;

#endif
