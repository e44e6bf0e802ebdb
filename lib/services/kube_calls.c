/* kube_calls.c - the verbs: paths, queries, and what each answer is turned into.
 *
 * All writes ask for strict checking of fields, because a field that the server does not know is
 * otherwise dropped with nothing but a warning, and a model would be deployed without it. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/services/kube_impl.h"

enum {
	PAGE_SIZE = 200,
	PAGES_MAX = 50,
	ITEMS_MAX = 500,
	PATH_MAX_LEN = 16 * 1024,
	NAME_MAX_LEN = 253,
	LABEL_MAX_LEN = 63,
	LOG_LINES = 200,
	LOG_BYTES = 1024 * 1024,
};

/* --- paths --- */

/* A DNS name as Kubernetes means it (RFC 1123): labels of [a-z0-9-], joined by dots. */
static bool is_name(const char *text, size_t max, bool with_dots)
{
	size_t len = text ? strlen(text) : 0;

	if (!len || len > max ||
	    strspn(text, with_dots ? "abcdefghijklmnopqrstuvwxyz0123456789-."
				   : "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool is_start = !i || text[i - 1] == '.';
		bool is_end = i + 1 == len || text[i + 1] == '.';

		if (text[i] == '.' ? is_start : text[i] == '-' && (is_start || is_end))
			return false;
	}
	return text[len - 1] != '.';
}

enum err_class kube_path(struct buf *out, const struct kube_ref *ref, const char *after,
			 struct err *err)
{
	must(is_name(ref->version, LABEL_MAX_LEN, false) &&
	     is_name(ref->plural, NAME_MAX_LEN, true));
	must(!*ref->group || is_name(ref->group, NAME_MAX_LEN, true));
	if (ref->ns && !is_name(ref->ns, LABEL_MAX_LEN, false))
		return err_code(err, ERR_USER, "kube.name",
				"\"%.80s\" cannot be a namespace: only a-z, 0-9 and - are allowed, "
				"at most 63 of them, with a letter or digit at both ends",
				ref->ns);
	if (ref->name && !is_name(ref->name, NAME_MAX_LEN, true))
		return err_code(err, ERR_USER, "kube.name",
				"\"%.80s\" cannot be a name in Kubernetes: only a-z, 0-9, - and . "
				"are allowed, with a letter or digit at both ends",
				ref->name);
	if (*ref->group)
		buf_printf(out, "/apis/%s/%s", ref->group, ref->version);
	else
		buf_printf(out, "/api/%s", ref->version);
	if (ref->ns)
		buf_printf(out, "/namespaces/%s", ref->ns);
	buf_printf(out, "/%s", ref->plural);
	if (ref->name)
		buf_printf(out, "/%s", ref->name);
	buf_puts(out, after);
	return ERR_OK;
}

void kube_query(struct buf *path, const char *key, const char *value)
{
	if (str_is_empty(value))
		return;
	buf_putc(path, strchr(buf_text(path), '?') ? '&' : '?');
	buf_puts(path, key);
	buf_putc(path, '=');
	http_escape(path, value);
}

/* --- reading --- */

enum err_class kube_get(struct kube *kube, struct http *http, const struct kube_ref *ref,
			json_t **out, struct err *err)
{
	AUTO_BUF struct buf path = buf_make(PATH_MAX_LEN);
	struct kube_call call = {.verb = "get", .method = "GET", .ref = ref};
	enum err_class class = kube_path(&path, ref, "", err);

	*out = NULL;
	if (class)
		return class;
	call.path = buf_text(&path);
	return kube_send_json(kube, http, &call, out, err);
}

/* One walk over the pages of a list. */
struct walk {
	struct kube *kube;
	struct http *http;
	const struct kube_ref *ref;
	const struct kube_list_options *options;
	size_t items_max;
	json_t *items;	 /* so far */
	char *next_page; /* NULL: at the start; "": at the end */
};

static enum err_class ask_page(struct walk *walk, json_t **out, struct err *err)
{
	AUTO_BUF struct buf path = buf_make(PATH_MAX_LEN);
	struct kube_call call = {.verb = "list", .method = "GET", .ref = walk->ref};
	size_t left = walk->items_max - json_array_size(walk->items);
	enum err_class class = kube_path(&path, walk->ref, "", err);

	*out = NULL;
	if (class)
		return class;
	kube_query(&path, "labelSelector", walk->options->label_selector);
	kube_query(&path, "fieldSelector", walk->options->field_selector);
	buf_printf(&path, "%climit=%zu", strchr(buf_text(&path), '?') ? '&' : '?',
		   left < PAGE_SIZE ? left : (size_t)PAGE_SIZE);
	kube_query(&path, "continue", walk->next_page);
	if (path.truncated)
		return err_code(err, ERR_TRANSIENT, "kube.failed",
				"Kubernetes continues a list with a word that is too long");
	call.path = buf_text(&path);
	return kube_send_json(walk->kube, walk->http, &call, out, err);
}

static enum err_class take_page(struct walk *walk, struct err *err)
{
	AUTO_JSON json_t *page = NULL;
	enum err_class class = ask_page(walk, &page, err);
	const json_t *items;

	if (class)
		return class;
	items = jval_at(page, "items");
	if (items && !json_is_array(items))
		return err_code(err, ERR_TRANSIENT, "kube.failed",
				"Kubernetes answers a list without items");
	for (size_t i = 0; i < json_array_size(items); i++)
		if (json_array_size(walk->items) < walk->items_max)
			must(json_array_append(walk->items, json_array_get(items, i)) == 0);
	mem_free(walk->next_page);
	walk->next_page = str_dup(jval_str(page, "metadata.continue", ""));
	return ERR_OK;
}

static bool wants_more(const struct walk *walk)
{
	return (!walk->next_page || *walk->next_page) &&
	       json_array_size(walk->items) < walk->items_max;
}

enum err_class kube_list(struct kube *kube, struct http *http, const struct kube_ref *ref,
			 const struct kube_list_options *options, json_t **out, bool *complete,
			 struct err *err)
{
	static const struct kube_list_options all = {0};
	struct walk walk = {kube, http, ref, options ? options : &all, .items = json_array()};
	enum err_class class = ERR_OK;
	bool is_again = false;
	struct err fault;

	walk.items_max = walk.options->items_max ? walk.options->items_max : ITEMS_MAX;
	for (int pages = 0; !class && pages < PAGES_MAX && wants_more(&walk); pages++) {
		class = take_page(&walk, &fault);
		if (class && !is_again && walk.next_page && str_eq(fault.code, "kube.expired")) {
			is_again = true;
			mem_free(take(walk.next_page));
			json_array_clear(walk.items);
			class = ERR_OK;
		}
	}
	if (complete)
		*complete = !class && walk.next_page && !*walk.next_page;
	mem_free(walk.next_page);
	*out = class ? NULL : walk.items;
	if (class)
		json_decref(walk.items);
	if (class && err)
		*err = fault;
	return class;
}

/* --- writing --- */

/* Adds the query of a write; `is_apply` decides whether force has a meaning. */
static void add_flags(struct buf *path, enum kube_write flags, bool is_apply)
{
	kube_query(path, "fieldManager", KUBE_FIELD_MANAGER);
	kube_query(path, "fieldValidation", "Strict");
	if (is_apply && flags & KUBE_FORCE)
		kube_query(path, "force", "true");
	if (flags & KUBE_DRY_RUN)
		kube_query(path, "dryRun", "All");
}

struct write {
	const char *verb, *method, *content_type;
	const struct kube_ref *ref;
	const json_t *body;
	enum kube_write flags;
};

static enum err_class send_write(struct kube *kube, struct http *http, const struct write *write,
				 json_t **out, struct err *err)
{
	AUTO_BUF struct buf path = buf_make(PATH_MAX_LEN);
	struct kube_call call = {
		.verb = write->verb,
		.method = write->method,
		.ref = write->ref,
		.content_type = write->content_type,
		.body = write->body,
		.mutates = !(write->flags & KUBE_DRY_RUN),
	};
	enum err_class class = kube_path(&path, write->ref, "", err);

	if (out)
		*out = NULL;
	if (class)
		return class;
	add_flags(&path, write->flags, str_eq(write->content_type, "application/apply-patch+yaml"));
	call.path = buf_text(&path);
	return kube_send_json(kube, http, &call, out, err);
}

enum err_class kube_create(struct kube *kube, struct http *http, const struct kube_ref *ref,
			   const json_t *object, enum kube_write flags, json_t **out,
			   struct err *err)
{
	struct kube_ref collection = *ref;
	struct write write = {"create", "POST", "application/json", &collection, object, flags};

	collection.name = NULL;
	return send_write(kube, http, &write, out, err);
}

enum err_class kube_apply(struct kube *kube, struct http *http, const struct kube_ref *ref,
			  const json_t *object, enum kube_write flags, json_t **out,
			  struct err *err)
{
	/* JSON is YAML. */
	struct write write = {"patch", "PATCH", "application/apply-patch+yaml", ref, object, flags};

	return send_write(kube, http, &write, out, err);
}

enum err_class kube_merge(struct kube *kube, struct http *http, const struct kube_ref *ref,
			  const json_t *patch, enum kube_write flags, json_t **out, struct err *err)
{
	struct write write = {"patch", "PATCH", "application/merge-patch+json", ref, patch, flags};

	return send_write(kube, http, &write, out, err);
}

enum err_class kube_delete(struct kube *kube, struct http *http, const struct kube_ref *ref,
			   const char *uid, struct err *err)
{
	AUTO_BUF struct buf path = buf_make(PATH_MAX_LEN);
	AUTO_JSON json_t *body = json_object();
	json_t *preconditions = json_object();
	struct kube_call call = {.verb = "delete",
				 .method = "DELETE",
				 .ref = ref,
				 .content_type = "application/json",
				 .body = body,
				 .mutates = true};
	enum err_class class = kube_path(&path, ref, "", err);

	jval_set_str(preconditions, "uid", uid);
	jval_set_str(body, "apiVersion", "v1");
	jval_set_str(body, "kind", "DeleteOptions");
	jval_set_str(body, "propagationPolicy", "Background");
	jval_set(body, "preconditions", preconditions);
	if (class)
		return class;
	must(ref->name);
	call.path = buf_text(&path);
	return kube_send_json(kube, http, &call, NULL, err);
}

/* --- logs --- */

/* The last whole lines that fit. A single line that is longer is cut at its front. */
static void add_tail(struct buf *out, const char *log, size_t len)
{
	size_t room = out->max - out->len;
	const char *start = log, *line;

	if (len > room) {
		start = log + (len - room);
		line = memchr(start, '\n', room);
		if (start[-1] != '\n' && line && line + 1 < log + len)
			start = line + 1;
	}
	buf_add(out, start, len - (size_t)(start - log));
}

static bool is_not_yet(const char *msg)
{
	static const char *const signs[] = {"is waiting to start", "ContainerCreating",
					    "PodInitializing", "previous terminated container"};

	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (strstr(msg, signs[i]))
			return true;
	return false;
}

enum err_class kube_pod_log(struct kube *kube, struct http *http, const char *ns, const char *pod,
			    const struct kube_log_options *options, struct buf *out,
			    struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	AUTO_BUF struct buf path = buf_make(PATH_MAX_LEN);
	struct kube_ref ref = {"", "v1", "pods", ns, pod};
	struct kube_call call = {.verb = "get", .method = "GET", .ref = &ref};
	enum err_class class = kube_path(&path, &ref, "/log", err);
	struct err fault;

	if (class)
		return class;
	must(ns && pod);
	kube_query(&path, "container", options->container);
	/* limitBytes cuts the end off, so it is only a bound against endless lines. */
	buf_printf(&path, "%ctailLines=%d&limitBytes=%d", strchr(buf_text(&path), '?') ? '&' : '?',
		   options->lines_max ? options->lines_max : LOG_LINES, LOG_BYTES);
	if (options->previous)
		kube_query(&path, "previous", "true");
	call.path = buf_text(&path);
	class = kube_send(kube, http, &call, &response, &fault);
	if (!class)
		add_tail(out, buf_text(&response.body), response.body.len);
	else if (response.status == 400 && is_not_yet(fault.msg))
		return err_code(err, ERR_NOT_FOUND, KUBE_LOG_NOT_YET,
				"the container has no log yet: %s", fault.msg);
	else if (err)
		*err = fault;
	return class;
}
