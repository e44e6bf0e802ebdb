/* kube_answer.c - answers that are not 2xx: class, stable code, one sentence.
 *
 * Three speak: the API server (a Status object with a reason), admission webhooks through it, and
 * proxies before it (text or HTML). A table goes from status and reason to class and code; what
 * needs more than the server's words (who owns a field, which right is missing) has a function. A
 * 404 counts as "not there" only when the API server says so, because a proxy without a route
 * answers 404 as well and an object that is taken for absent would be made anew. */
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/services/kube_impl.h"

enum { WORDS_MAX = 600, PLAIN_MAX = 200, SHOWN_CAUSES = 5, WORD_MAX = 254 };

struct answer {
	const struct kube_call *call;
	int status;
	const json_t *body; /* the Status object; NULL when it is none */
	const char *message, *reason;
	char words[WORDS_MAX]; /* what was said, on one line; "" when nothing fit to show */
};

/* --- words --- */

static void one_line(char out[WORDS_MAX], const char *text, size_t len)
{
	char *clean = jval_clean_utf8(text, len);
	size_t n;

	for (char *at = clean; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = ' ';
	str_copy(out, WORDS_MAX, clean);
	for (n = strlen(out); n && (out[n - 1] == ' ' || out[n - 1] == '.'); n--)
		out[n - 1] = '\0';
	mem_free(clean);
}

static void read_answer(struct answer *out, const json_t *parsed, const char *body, size_t len)
{
	bool is_status = json_is_object(parsed) && str_eq(jval_str(parsed, "kind", ""), "Status");

	out->body = is_status ? parsed : NULL;
	out->message = jval_str(out->body, "message", "");
	out->reason = jval_str(out->body, "reason", "");
	if (is_status)
		one_line(out->words, out->message, strlen(out->message));
	else if (len && body[0] != '<' && body[0] != '{')
		one_line(out->words, body, len < PLAIN_MAX ? len : PLAIN_MAX);
}

/* The word between `before` and the next quote, "" when there is none. */
static void quoted(char out[WORD_MAX], const char *text, const char *before)
{
	const char *start = strstr(text, before);
	size_t len;

	out[0] = '\0';
	if (!start)
		return;
	start += strlen(before);
	len = strcspn(start, "\"");
	if (!start[len] || len >= WORD_MAX)
		return;
	memcpy(out, start, len);
	out[len] = '\0';
}

/* "inferenceservices.serving.kserve.io". */
static void name_kind(struct buf *out, const char *plural, const char *group)
{
	buf_puts(out, plural);
	if (!str_is_empty(group))
		buf_printf(out, ".%s", group);
}

/* "inferenceservices.serving.kserve.io "iris" in the namespace "ml"". */
static void name_thing(struct buf *out, const struct kube_call *call)
{
	if (!call->ref) {
		buf_printf(out, "%.*s", (int)strcspn(call->path, "?"), call->path);
		return;
	}
	name_kind(out, call->ref->plural, call->ref->group);
	if (call->ref->name)
		buf_printf(out, " \"%s\"", call->ref->name);
	if (call->ref->ns)
		buf_printf(out, " in the namespace \"%s\"", call->ref->ns);
}

/* --- sentences --- */

static void say_words(struct buf *out, const struct answer *answer)
{
	buf_printf(out, "Kubernetes answers %d", answer->status);
	if (*answer->words)
		buf_printf(out, ": %s", answer->words);
}

/* The server names the right that is missing better than we: an apply may lack "create". */
static void say_forbidden(struct buf *out, const struct answer *answer)
{
	const struct kube_ref *ref = answer->call->ref;
	char user[WORD_MAX], plural[WORD_MAX], group[WORD_MAX], ns[WORD_MAX], verb[32] = "";
	const char *cannot = strstr(answer->message, "\" cannot ");

	quoted(user, answer->message, "User \"");
	quoted(plural, answer->message, " resource \"");
	quoted(group, answer->message, " in API group \"");
	quoted(ns, answer->message, " in the namespace \"");
	if (cannot && strcspn(cannot + 9, " ") < sizeof verb) {
		memcpy(verb, cannot + 9, strcspn(cannot + 9, " "));
		verb[strcspn(cannot + 9, " ")] = '\0';
	}
	if (!*plural && ref) {
		str_copy(plural, sizeof plural, ref->plural);
		str_copy(group, sizeof group, ref->group);
	}
	if (!*ns && ref)
		str_copy(ns, sizeof ns, ref->ns);
	buf_printf(out, "Kubernetes does not let %s%.200s%s %s ", *user ? "\"" : "",
		   *user ? user : "kfops", *user ? "\"" : "", *verb ? verb : answer->call->verb);
	if (*plural)
		name_kind(out, plural, group);
	else
		name_thing(out, answer->call);
	if (*ns)
		buf_printf(out, " in the namespace \"%.64s\"", ns);
	buf_puts(out,
		 "; grant that verb in a Role there (kfops-deployer.yaml has all that are needed)");
}

/* Who owns which fields: "conflict with "MANAGER" using ...". */
static void say_apply_conflict(struct buf *out, const struct answer *answer)
{
	const json_t *causes = jval_at(answer->body, "details.causes");
	size_t count = json_array_size(causes);

	buf_puts(out, "other managers own fields of ");
	name_thing(out, answer->call);
	for (size_t i = 0; i < count && i < SHOWN_CAUSES; i++) {
		const json_t *cause = json_array_get(causes, i);
		char manager[WORD_MAX];

		quoted(manager, jval_str(cause, "message", ""), "conflict with \"");
		buf_printf(out, "%s %.200s belongs to \"%.100s\"", i ? ";" : ":",
			   jval_str(cause, "field", "a field"), *manager ? manager : "unknown");
	}
	if (count > SHOWN_CAUSES)
		buf_printf(out, "; and %zu more", count - SHOWN_CAUSES);
}

static void say_invalid(struct buf *out, const struct answer *answer)
{
	const json_t *causes = jval_at(answer->body, "details.causes");
	size_t count = json_array_size(causes);

	if (!count) {
		say_words(out, answer);
		return;
	}
	buf_puts(out, "Kubernetes does not take ");
	name_thing(out, answer->call);
	for (size_t i = 0; i < count && i < SHOWN_CAUSES; i++) {
		const json_t *cause = json_array_get(causes, i);

		buf_printf(out, "%s %.120s: %.160s", i ? ";" : ":",
			   jval_str(cause, "field", "(the whole)"),
			   jval_str(cause, "message", "not allowed"));
	}
	if (count > SHOWN_CAUSES)
		buf_printf(out, "; and %zu more", count - SHOWN_CAUSES);
}

static void say_no_namespace(struct buf *out, const struct answer *answer)
{
	const struct kube_ref *ref = answer->call->ref;

	buf_printf(out, "the namespace \"%s\" %s", ref && ref->ns ? ref->ns : "",
		   answer->status == 404 ? "does not exist" : "is being deleted");
}

static void say_no_object(struct buf *out, const struct answer *answer)
{
	buf_puts(out, "there is no ");
	name_thing(out, answer->call);
}

static void say_no_api(struct buf *out, const struct answer *answer)
{
	const struct kube_ref *ref = answer->call->ref;

	buf_puts(out, "the cluster does not know ");
	if (ref)
		buf_printf(out, "%s of %s%s%s: is what brings it installed?", ref->plural,
			   ref->group, *ref->group ? "/" : "", ref->version);
	else
		name_thing(out, answer->call);
}

static void say_stale(struct buf *out, const struct answer *answer)
{
	name_thing(out, answer->call);
	buf_puts(out, " was changed or replaced by somebody else meanwhile");
}

static void say_refused(struct buf *out, const struct answer *answer)
{
	buf_printf(out, "an admission rule of the cluster refuses it: %s", answer->words);
}

static void say_unauthorized(struct buf *out, const struct answer *answer)
{
	(void)answer;
	buf_puts(out, "Kubernetes does not accept the credentials of kfops (401)");
}

static void say_proxy(struct buf *out, const struct answer *answer)
{
	buf_printf(out, "something before Kubernetes answers %d", answer->status);
	if (*answer->words)
		buf_printf(out, ": %s", answer->words);
	else if (answer->status >= 300 && answer->status < 400)
		buf_puts(out, ", as login pages do: is this the API server's address?");
}

/* --- what it is --- */

static bool has_cause(const struct answer *answer, const char *reason)
{
	const json_t *causes = jval_at(answer->body, "details.causes");

	for (size_t i = 0; i < json_array_size(causes); i++)
		if (str_eq(jval_str(json_array_get(causes, i), "reason", ""), reason))
			return true;
	return false;
}

static bool is_terminating(const struct answer *answer)
{
	return has_cause(answer, "NamespaceTerminating") ||
	       strstr(answer->message, "because it is being terminated");
}

static bool is_from_webhook(const struct answer *answer)
{
	return strstr(answer->message, "denied the request") ||
	       (strstr(answer->message, "ValidatingAdmissionPolicy") &&
		strstr(answer->message, "denied request"));
}

static bool is_over_quota(const struct answer *answer)
{
	return strstr(answer->message, "exceeded quota") != NULL;
}

static bool is_apply_conflict(const struct answer *answer)
{
	return has_cause(answer, "FieldManagerConflict");
}

static bool is_exists(const struct answer *answer)
{
	return str_eq(answer->reason, "AlreadyExists");
}

/* Two requests counted against one quota at the same time; nobody's fault. */
static bool is_quota_race(const struct answer *answer)
{
	return str_eq(jval_str(answer->body, "details.kind", ""), "resourcequotas");
}

static bool is_about_namespace(const struct answer *answer)
{
	return str_eq(jval_str(answer->body, "details.kind", ""), "namespaces") &&
	       !(answer->call->ref && str_eq(answer->call->ref->plural, "namespaces"));
}

static bool is_about_object(const struct answer *answer)
{
	return answer->call->ref && answer->call->ref->name &&
	       str_eq(jval_str(answer->body, "details.name", ""), answer->call->ref->name);
}

/* "404 page not found" is how the server answers for a group that it does not have. */
static bool is_about_api(const struct answer *answer)
{
	return answer->body ? !*jval_str(answer->body, "details.name", "")
			    : str_starts(answer->words, "404 page not found");
}

static bool is_unknown_field(const struct answer *answer)
{
	return strstr(answer->message, "unknown field") ||
	       strstr(answer->message, "decoding error");
}

static bool is_webhook_down(const struct answer *answer)
{
	return strstr(answer->message, "failed calling webhook") != NULL;
}

static bool is_not_status(const struct answer *answer)
{
	return !answer->body;
}

struct row {
	int from, to;				      /* status */
	bool (*applies)(const struct answer *answer); /* NULL: always */
	enum err_class class;
	const char *code;
	void (*say)(struct buf *out, const struct answer *answer);
};

/* The first row that applies counts. */
static const struct row rows[] = {
	{300, 399, NULL, ERR_CONFIG, "kube.proxy", say_proxy},
	{401, 401, NULL, ERR_CONFIG, "kube.unauthorized", say_unauthorized},
	{429, 429, NULL, ERR_THROTTLED, "kube.throttled", say_words},
	{404, 404, is_about_api, ERR_CONFIG, KUBE_API_MISSING, say_no_api},
	{404, 404, is_not_status, ERR_TRANSIENT, "kube.proxy", say_proxy},
	{404, 404, is_about_namespace, ERR_NOT_FOUND, KUBE_NAMESPACE_MISSING, say_no_namespace},
	{404, 404, is_about_object, ERR_NOT_FOUND, KUBE_OBJECT_MISSING, say_no_object},
	{404, 404, NULL, ERR_NOT_FOUND, "kube.not_found", say_words},
	{500, 599, is_webhook_down, ERR_TRANSIENT, "kube.webhook_down", say_words},
	{500, 599, is_not_status, ERR_TRANSIENT, "kube.proxy", say_proxy},
	{500, 599, NULL, ERR_TRANSIENT, "kube.failed", say_words},
	{408, 408, NULL, ERR_TRANSIENT, "kube.failed", say_words},
	{413, 413, NULL, ERR_USER, "kube.too_large", say_words},
	{403, 403, is_not_status, ERR_DENIED, "kube.proxy", say_proxy},
	{400, 499, is_not_status, ERR_CONFIG, "kube.proxy", say_proxy},
	{403, 403, is_terminating, ERR_NOT_FOUND, KUBE_NAMESPACE_MISSING, say_no_namespace},
	{400, 499, is_from_webhook, ERR_USER, "kube.refused", say_refused},
	{403, 403, is_over_quota, ERR_DENIED, "kube.quota", say_words},
	{403, 403, NULL, ERR_DENIED, "kube.forbidden", say_forbidden},
	{409, 409, is_exists, ERR_CONFLICT, KUBE_ALREADY_EXISTS, say_words},
	{409, 409, is_apply_conflict, ERR_CONFLICT, KUBE_APPLY_CONFLICT, say_apply_conflict},
	{409, 409, is_quota_race, ERR_TRANSIENT, "kube.failed", say_words},
	{409, 409, NULL, ERR_CONFLICT, KUBE_STALE, say_stale},
	{410, 410, NULL, ERR_TRANSIENT, "kube.expired", say_words},
	{422, 422, NULL, ERR_USER, "kube.invalid", say_invalid},
	{400, 400, is_unknown_field, ERR_USER, "kube.unknown_field", say_words},
	{400, 400, NULL, ERR_USER, "kube.bad_request", say_words},
	{0, 999, NULL, ERR_CONFIG, "kube.odd", say_words},
};

/* The last row takes every answer. */
static const struct row *row_of(const struct answer *answer)
{
	const struct row *row = rows;

	while (answer->status < row->from || answer->status > row->to ||
	       (row->applies && !row->applies(answer)))
		row++;
	return row;
}

enum err_class kube_error(struct err *err, const struct kube_call *call, int status,
			  const char *body, size_t len, int64_t retry_at_ms)
{
	struct answer answer = {.call = call, .status = status};
	AUTO_BUF struct buf sentence = buf_make(ERR_MSG_MAX);
	AUTO_JSON json_t *parsed = NULL;
	const struct row *row;
	struct err ignored;
	char *clean;

	if (jval_parse(&parsed, body, len, &ignored))
		parsed = NULL;
	read_answer(&answer, parsed, body, len);
	row = row_of(&answer);
	row->say(&sentence, &answer);
	clean = jval_clean_utf8(buf_text(&sentence), sentence.len);
	for (char *at = clean; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = ' ';
	err_code(err, row->class, row->code, "%s", clean);
	mem_free(clean);
	if (!err)
		return row->class;
	if (row->class == ERR_THROTTLED)
		err->retry_at_ms = retry_at_ms;
	/* A 5xx may follow an object that was stored, or come from a proxy that gave up waiting. */
	err->in_doubt = call->mutates && (status >= 500 || status == 408);
	return row->class;
}
