/* kube_pods.h - why do these pods not serve: one sentence out of a list of Pod objects.
 *
 * What is most telling comes first: a container that was killed for memory before one that crashed
 * before an image that cannot be pulled before a node that cannot be found before what is merely
 * under way; of several pods the one that says most. Pods that are being deleted do not count.
 * Reads Kubernetes' core/v1 Pod (status of 1.22 to 1.34) and takes any JSON for one. Pure; any
 * thread. */
#ifndef KF_CORE_KUBE_PODS_H
#define KF_CORE_KUBE_PODS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum kube_pods_state {
	KUBE_PODS_NONE,	    /* no pod at all */
	KUBE_PODS_READY,    /* every pod is ready, or has done its work */
	KUBE_PODS_STARTING, /* under way, nothing wrong so far */
	KUBE_PODS_STUCK,    /* something is wrong; Kubernetes keeps trying */
	KUBE_PODS_FAILED,   /* a pod ended and is not restarted */
};

struct kube_pods {
	enum kube_pods_state state;
	size_t count, ready; /* pods that count, and ready ones among them */
	char reason[64];     /* Kubernetes' own word, "OOMKilled"; "" when it has none */
	char pod[254];	     /* "" when no single pod is meant */
	char container[64];  /* whose log may say more; "" */
	char sentence[512];  /* one line; may hold words from outside, as valid UTF-8 */
};

/* `pods` is an array of Pod objects, or one. */
void kube_pods_explain(struct kube_pods *out, const json_t *pods);

struct kube_restarts {
	int64_t count;	    /* of all containers that serve, not of those that prepare */
	char sentence[512]; /* how one of them ended last; "" when nobody says */
};

/* Were containers started anew, also of pods that are ready by now? */
void kube_pods_restarts(struct kube_restarts *out, const json_t *pods);

#endif
