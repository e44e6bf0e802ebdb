/* kube_pods.c - see kube_pods.h. Every container and every pod makes at most one finding with a
 * weight; the heaviest is told. A container that waits to be restarted tells of its last end, not
 * of the waiting: "CrashLoopBackOff" is what Kubernetes does about the cause. Of a message that
 * came out of a container the last line is taken, since there stands the exception. */
#include "lib/core/kube_pods.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"

enum { PODS_MAX = 1000, CONTAINERS_MAX = 64, WORDS_MAX = 300, RESTARTS_MAX = 1000000 };

/* From the least telling to the most. */
enum weight {
	NOTHING,
	PENDING,
	NOT_READY,
	CREATING,
	INITIALISING,
	POD_FAILED,
	UNSCHEDULABLE,
	CRASH_LOOP,
	NOT_STARTED,
	EXITED,
	EVICTED,
	OUT_OF_MEMORY,
};

struct finding {
	enum weight weight;
	enum kube_pods_state state;
	struct kube_pods told; /* reason, pod, container, sentence */
};

/* --- words --- */

/* Valid UTF-8 with blanks in place of control characters; the caller frees. */
static char *visible(const char *text)
{
	char *clean = jval_clean_utf8(text, strlen(text));

	for (char *at = clean; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = ' ';
	return clean;
}

/* One line of what the cluster says, cut; from its last line when that is where the news is.
 */
static void one_line(char out[WORDS_MAX], const char *text, bool from_last_line)
{
	size_t len = strlen(text), start = 0;
	AUTO_FREE char *line = NULL, *clean = NULL;

	while (len && strchr(" \t\r\n.", text[len - 1]))
		len--;
	for (size_t i = 0; from_last_line && i < len; i++)
		if (text[i] == '\n')
			start = i + 1;
	line = str_dup_len(text + start, len - start);
	clean = visible(line);
	str_copy(out, WORDS_MAX, clean);
}

/* ": words", or nothing. */
static void add_words(struct buf *sentence, const char *text, bool from_last_line)
{
	char words[WORDS_MAX];

	one_line(words, text, from_last_line);
	if (*words)
		buf_printf(sentence, ": %s", words);
}

/* Keeps the finding when it says more than the one before. */
static void propose(struct finding *best, enum weight weight, enum kube_pods_state state,
		    const char *reason, const struct buf *sentence)
{
	char *clean;

	if (weight <= best->weight)
		return;
	clean = visible(buf_text(sentence));
	best->weight = weight;
	best->state = state;
	str_copy(best->told.sentence, sizeof best->told.sentence, clean);
	mem_free(clean);
	str_copy(best->told.reason, sizeof best->told.reason, reason);
	best->told.container[0] = '\0';
}

/* --- containers --- */

struct container {
	const json_t *status;
	const char *name, *pod;
	bool is_init;
};

static void add_name(struct buf *sentence, const struct container *container)
{
	buf_printf(sentence, "the %scontainer %.63s of pod %.253s",
		   container->is_init ? "init " : "", container->name, container->pod);
}

static void add_restarts(struct buf *sentence, const struct container *container)
{
	int64_t count = jval_int(container->status, "restartCount", 0);

	if (count > 0)
		buf_printf(sentence, " (%lld restart%s)", (long long)count, count == 1 ? "" : "s");
}

/* Tells how a container ended; nothing when it ended well. */
static void on_end(struct finding *best, const struct container *container, const json_t *ended,
		   enum kube_pods_state state)
{
	AUTO_BUF struct buf sentence = buf_make(sizeof best->told.sentence - 1);
	const char *reason = jval_str(ended, "reason", "");
	int64_t code = jval_int(ended, "exitCode", 0), signal = jval_int(ended, "signal", 0);
	enum weight weight = EXITED;

	if (!ended || (!code && !signal))
		return;
	add_name(&sentence, container);
	if (str_eq(reason, "OOMKilled")) {
		weight = OUT_OF_MEMORY;
		buf_puts(&sentence, " was killed because it used more memory than its limit "
				    "(OOMKilled)");
	} else if (signal) {
		buf_printf(&sentence, " was ended by signal %lld", (long long)signal);
	} else {
		buf_printf(&sentence, " ended with exit code %lld", (long long)code);
	}
	add_restarts(&sentence, container);
	add_words(&sentence, jval_str(ended, "message", ""), true);
	propose(best, weight, state, *reason ? reason : "Error", &sentence);
}

static bool is_quiet(const char *reason)
{
	return !*reason || str_eq(reason, "ContainerCreating") || str_eq(reason, "PodInitializing");
}

static bool is_about_image(const char *reason)
{
	return strstr(reason, "Image") !=
	       NULL; /* ImagePullBackOff, ErrImagePull, InvalidImageName */
}

static void on_waiting(struct finding *best, const struct container *container,
		       const json_t *waiting)
{
	AUTO_BUF struct buf sentence = buf_make(sizeof best->told.sentence - 1);
	const char *reason = jval_str(waiting, "reason", "");

	if (is_about_image(reason))
		buf_puts(&sentence, "the image of ");
	add_name(&sentence, container);
	if (is_quiet(reason)) {
		buf_puts(&sentence, " is being made");
		propose(best, CREATING, KUBE_PODS_STARTING, reason, &sentence);
		return;
	}
	if (str_eq(reason, "CrashLoopBackOff")) {
		buf_puts(&sentence, " ends again and again");
		add_restarts(&sentence, container);
	} else if (is_about_image(reason)) {
		buf_printf(&sentence, " cannot be pulled (%.63s)", reason);
	} else {
		buf_printf(&sentence, " cannot start (%.63s)", reason);
	}
	add_words(&sentence, jval_str(waiting, "message", ""), false);
	propose(best, str_eq(reason, "CrashLoopBackOff") ? CRASH_LOOP : NOT_STARTED,
		KUBE_PODS_STUCK, reason, &sentence);
}

static void on_running(struct finding *best, const struct container *container)
{
	AUTO_BUF struct buf sentence = buf_make(sizeof best->told.sentence - 1);

	add_name(&sentence, container);
	buf_puts(&sentence, container->is_init ? " is at work" : " runs, but is not ready yet");
	propose(best, container->is_init ? INITIALISING : NOT_READY, KUBE_PODS_STARTING, "",
		&sentence);
}

static void look_at_container(struct finding *best, const struct container *container,
			      bool pod_ended)
{
	const json_t *status = container->status;
	const json_t *waiting = jval_at(status, "state.waiting");
	const json_t *ended = jval_at(status, "state.terminated");
	enum weight before = best->weight;

	/* An init container is "ready" when it has done its work. */
	if (!container->is_init && jval_bool(status, "ready", false))
		return;
	if (ended)
		on_end(best, container, ended, pod_ended ? KUBE_PODS_FAILED : KUBE_PODS_STUCK);
	else
		on_end(best, container, jval_at(status, "lastState.terminated"), KUBE_PODS_STUCK);
	if (waiting)
		on_waiting(best, container, waiting);
	else if (!ended && jval_at(status, "state.running"))
		on_running(best, container);
	if (best->weight != before)
		str_copy(best->told.container, sizeof best->told.container, container->name);
}

static void look_at_containers(struct finding *best, const json_t *pod, const char *name,
			       bool is_init)
{
	const json_t *list =
		jval_at(pod, is_init ? "status.initContainerStatuses" : "status.containerStatuses");
	const char *phase = jval_str(pod, "status.phase", "");
	bool pod_ended = str_eq(phase, "Failed");

	for (size_t i = 0; i < json_array_size(list) && i < CONTAINERS_MAX; i++) {
		const json_t *status = json_array_get(list, i);
		struct container container = {status, jval_str(status, "name", "?"), name, is_init};

		look_at_container(best, &container, pod_ended);
	}
}

/* --- pods --- */

static const json_t *condition(const json_t *pod, const char *type)
{
	const json_t *list = jval_at(pod, "status.conditions");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (str_eq(jval_str(json_array_get(list, i), "type", ""), type))
			return json_array_get(list, i);
	return NULL;
}

static bool is_ready(const json_t *pod)
{
	return str_eq(jval_str(pod, "status.phase", ""), "Succeeded") ||
	       (str_eq(jval_str(pod, "status.phase", ""), "Running") &&
		str_eq(jval_str(condition(pod, "Ready"), "status", ""), "True"));
}

/* What the pod itself says, beside its containers. */
static void look_at_status(struct finding *best, const json_t *pod, const char *name)
{
	AUTO_BUF struct buf sentence = buf_make(sizeof best->told.sentence - 1);
	const char *phase = jval_str(pod, "status.phase", ""), *message, *reason;
	const json_t *scheduled = condition(pod, "PodScheduled");

	reason = jval_str(pod, "status.reason", "");
	message = jval_str(pod, "status.message", "");
	buf_printf(&sentence, "pod %.253s ", name);
	if (str_eq(phase, "Failed")) {
		bool is_evicted = str_eq(reason, "Evicted");

		buf_puts(&sentence, is_evicted ? "was evicted from its node" : "failed");
		if (*reason && !is_evicted)
			buf_printf(&sentence, " (%.63s)", reason);
		add_words(&sentence, message, false);
		propose(best, is_evicted ? EVICTED : POD_FAILED, KUBE_PODS_FAILED,
			*reason ? reason : "Failed", &sentence);
	} else if (str_eq(jval_str(scheduled, "status", ""), "False")) {
		buf_puts(&sentence, "finds no node");
		add_words(&sentence, jval_str(scheduled, "message", ""), false);
		propose(best, UNSCHEDULABLE, KUBE_PODS_STUCK,
			jval_str(scheduled, "reason", "Unschedulable"), &sentence);
	} else {
		buf_puts(&sentence, str_eq(phase, "Unknown") ? "is on a node that does not answer"
							     : "is being started");
		propose(best, PENDING, KUBE_PODS_STARTING, reason, &sentence);
	}
}

static void look_at_pod(struct kube_pods *out, struct finding *best, const json_t *pod)
{
	AUTO_FREE char *clean = NULL;
	const char *name = jval_str(pod, "metadata.name", "?");
	enum weight before = best->weight;

	if (jval_at(pod, "metadata.deletionTimestamp"))
		return;
	out->count++;
	if (is_ready(pod)) {
		out->ready++;
		return;
	}
	clean = jval_clean_utf8(name, strlen(name));
	look_at_containers(best, pod, clean, true);
	look_at_containers(best, pod, clean, false);
	look_at_status(best, pod, clean);
	if (best->weight != before)
		str_copy(best->told.pod, sizeof best->told.pod, clean);
}

void kube_pods_explain(struct kube_pods *out, const json_t *pods)
{
	struct finding best = {.weight = NOTHING};

	*out = (struct kube_pods){.state = KUBE_PODS_NONE};
	if (json_is_object(pods))
		look_at_pod(out, &best, pods);
	for (size_t i = 0; i < json_array_size(pods) && i < PODS_MAX; i++)
		look_at_pod(out, &best, json_array_get(pods, i));
	best.told.count = out->count;
	best.told.ready = out->ready;
	*out = best.told;
	if (best.weight != NOTHING) {
		out->state = best.state;
	} else if (out->count) {
		out->state = KUBE_PODS_READY;
		snprintf(out->sentence, sizeof out->sentence, "%zu of %zu pods are ready",
			 out->ready, out->count);
	} else {
		str_copy(out->sentence, sizeof out->sentence, "there is no pod");
	}
}

/* --- restarts --- */

void kube_pods_restarts(struct kube_restarts *out, const json_t *pods)
{
	struct finding best = {.weight = NOTHING};

	*out = (struct kube_restarts){0};
	for (size_t i = 0; i < json_array_size(pods) && i < PODS_MAX; i++) {
		const json_t *pod = json_array_get(pods, i);
		const json_t *list = jval_at(pod, "status.containerStatuses");
		const char *name = jval_str(pod, "metadata.name", "?");
		AUTO_FREE char *clean = jval_clean_utf8(name, strlen(name));

		if (jval_at(pod, "metadata.deletionTimestamp"))
			continue;
		for (size_t k = 0; k < json_array_size(list) && k < CONTAINERS_MAX; k++) {
			const json_t *status = json_array_get(list, k);
			int64_t count = jval_int(status, "restartCount", 0);
			struct container container = {status, jval_str(status, "name", "?"), clean,
						      false};

			if (count <= 0 || count > RESTARTS_MAX)
				continue;
			out->count += count;
			on_end(&best, &container, jval_at(status, "lastState.terminated"),
			       KUBE_PODS_STUCK);
		}
	}
	str_copy(out->sentence, sizeof out->sentence, best.told.sentence);
}
