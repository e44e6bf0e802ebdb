/* kube.c - a server: credentials kept fresh, one call with its second try after a 401.
 *
 * Each call copies what it needs under the lock and sends without it. Credentials are read anew a
 * minute after they were, without looking at times of files: kubelets, plugins and people replace
 * them in too many ways. Whoever finds them stale reads them with the lock held; the others wait
 * for what it brings. A state that cannot be read (a file half written) does not replace the one
 * that is there. A 401 acted on nothing, so the same request may follow once with what is new. */
#include "lib/services/kube.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/services/kube_impl.h"

enum { RETRY_MAX_MS = 60 * 60 * 1000, LOGGED_PATH_MAX = 256 };

/* --- credentials --- */

/* With the lock held, here and below. */
static enum err_class reread(struct kube *kube, struct err *err)
{
	struct kube_options options = {kube->kubeconfig, kube->context, kube->account_dir};
	bool is_first = !kube->access.url;
	struct kube_access fresh;
	struct err fault;
	enum err_class class = kube_access_read(&fresh, &options, &fault);

	kube->read_at_ms = clock_mono_ms();
	if (!class) {
		kube_access_dispose(&kube->access);
		kube->access = fresh;
		return ERR_OK;
	}
	kube_access_dispose(&fresh);
	if (is_first) {
		if (err)
			*err = fault;
		return class;
	}
	log_warn("kube_credentials_kept", LOG_S("why", fault.msg));
	return ERR_OK;
}

/* Everything that tells one plugin from another. */
static char *name_plugin(const struct kube_exec *exec)
{
	AUTO_BUF struct buf name = buf_make(1 << 22);

	buf_printf(&name, "%s\n%s\n", exec->command, exec->info);
	for (size_t i = 0; exec->args[i]; i++)
		buf_printf(&name, "%s\n", exec->args[i]);
	for (size_t i = 0; exec->env[i]; i++)
		buf_printf(&name, "%s\n", exec->env[i]);
	return buf_take(&name);
}

static enum err_class ask_plugin(struct kube *kube, bool is_refused, struct err *err)
{
	char *name = name_plugin(kube->access.exec);
	bool is_same = str_eq(name, kube->plugin_of);
	int64_t now_ms = clock_now_ms();
	struct kube_credential fresh;
	enum err_class class;
	struct err fault;

	if (is_same && !is_refused && now_ms < kube->plugin.renew_at_ms) {
		sign_secret_free(name);
		return ERR_OK;
	}
	class = kube_exec_run(&fresh, kube->access.exec, &fault);
	if (class && is_same && now_ms < kube->plugin.expires_at_ms) {
		kube_credential_dispose(&fresh);
		sign_secret_free(name);
		log_warn("kube_credentials_kept", LOG_S("why", fault.msg));
		return ERR_OK;
	}
	sign_secret_free(kube->plugin_of);
	kube_credential_dispose(&kube->plugin);
	kube->plugin = fresh;
	kube->plugin_of = class ? NULL : take(name);
	sign_secret_free(name);
	if (class && err)
		*err = fault;
	return class;
}

/* What one request needs, as a copy. */
static void copy(struct kube_access *out, const struct kube *kube)
{
	const struct kube_access *in = &kube->access;
	const struct kube_credential *plugin = &kube->plugin;
	bool has_plugin = in->exec;

	*out = (struct kube_access){
		.url = str_dup(in->url),
		.connect_to = str_dup(in->connect_to),
		.host_header = str_dup(in->host_header),
		.ca = str_dup(in->ca),
		.token = str_dup(has_plugin && plugin->token ? plugin->token : in->token),
		.cert = str_dup(has_plugin && plugin->cert ? plugin->cert : in->cert),
		.key = str_dup(has_plugin && plugin->key ? plugin->key : in->key),
		.unverified = in->unverified,
		.reach = in->reach,
	};
}

/* Access that is fresh, or as fresh as can be after the server refused the last one. */
static enum err_class current(struct kube *kube, bool is_refused, struct kube_access *out,
			      struct err *err)
{
	enum err_class class = ERR_OK;

	*out = (struct kube_access){0};
	pthread_mutex_lock(&kube->lock);
	if (is_refused || clock_mono_ms() - kube->read_at_ms >= KUBE_FRESH_MS)
		class = reread(kube, err);
	if (!class && kube->access.exec)
		class = ask_plugin(kube, is_refused, err);
	if (!class)
		copy(out, kube);
	pthread_mutex_unlock(&kube->lock);
	return class;
}

enum err_class kube_new(struct kube **out, const struct kube_options *options, struct err *err)
{
	struct kube *kube = mem_new(1, sizeof *kube);
	enum err_class class;

	*out = NULL;
	kube->kubeconfig = str_dup(options->kubeconfig);
	kube->context = str_dup(options->context);
	kube->account_dir = str_dup(options->account_dir);
	must(pthread_mutex_init(&kube->lock, NULL) == 0);
	class = reread(kube, err);
	if (class)
		kube_free(kube);
	else
		*out = kube;
	return class;
}

void kube_free(struct kube *take_kube)
{
	if (!take_kube)
		return;
	pthread_mutex_destroy(&take_kube->lock);
	kube_access_dispose(&take_kube->access);
	kube_credential_dispose(&take_kube->plugin);
	sign_secret_free(take_kube->plugin_of);
	mem_free(take_kube->kubeconfig);
	mem_free(take_kube->context);
	mem_free(take_kube->account_dir);
	mem_free(take_kube);
}

char *kube_namespace(struct kube *kube)
{
	char *ns;

	pthread_mutex_lock(&kube->lock);
	ns = str_dup(kube->access.ns);
	pthread_mutex_unlock(&kube->lock);
	return ns;
}

/* --- one call --- */

static void count_call(const struct kube_call *call, const struct http_response *response,
		       enum err_class class)
{
	char path[LOGGED_PATH_MAX];

	str_copy(path, sizeof path, call->path);
	path[strcspn(path, "?")] = '\0';
	metrics_call("kube", class ? 0 : response->status, response->took_ms);
	log_debug("kube_call", LOG_S("method", call->method), LOG_S("path", path),
		  LOG_I("status", response->status), LOG_I("ms", response->took_ms));
}

static enum err_class send_as(struct http *http, const struct kube_access *access,
			      const struct kube_call *call, struct http_response *out,
			      struct err *err)
{
	AUTO_FREE char *url = str_printf("%s%s", access->url, call->path);
	AUTO_FREE char *body = call->body ? jval_dump(call->body) : NULL;
	char *bearer = access->token ? str_printf("Bearer %s", access->token) : NULL;
	struct http_tls tls = {access->ca, access->cert, access->key, access->unverified};
	struct http_request request = {
		.method = call->method,
		.url = url,
		.headers = {{"Accept", "application/json"}},
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.timeout_ms = call->timeout_ms,
		.response_max = KUBE_ANSWER_MAX,
		.tls = &tls,
		.connect_to = access->connect_to,
		.reach = access->reach,
	};
	enum err_class class;
	size_t headers = 1;

	if (body)
		request.headers[headers++] =
			(struct http_header){"Content-Type", call->content_type};
	if (bearer)
		request.headers[headers++] = (struct http_header){"Authorization", bearer};
	if (access->host_header)
		request.headers[headers++] = (struct http_header){"Host", access->host_header};
	if (call->mutates)
		CRASH_POINT("kube.before_write");
	class = http_do(http, &request, out, err);
	if (call->mutates)
		CRASH_POINT("kube.after_write");
	count_call(call, out, class);
	sign_secret_free(bearer);
	if (class && err)
		err->in_doubt = err->in_doubt && call->mutates;
	return class ? err_wrap(err, "Kubernetes") : ERR_OK;
}

/* Sends with new credentials when there are any. */
static enum err_class send_again(struct kube *kube, struct http *http,
				 const struct kube_access *refused, const struct kube_call *call,
				 struct http_response *out, struct err *err)
{
	struct kube_access access;
	enum err_class class = current(kube, true, &access, err);

	if (!class && !(str_eq(access.token, refused->token) && str_eq(access.key, refused->key))) {
		http_response_dispose(out);
		class = send_as(http, &access, call, out, err);
	}
	kube_access_dispose(&access);
	return class;
}

enum err_class kube_send(struct kube *kube, struct http *http, const struct kube_call *call,
			 struct http_response *out, struct err *err)
{
	struct kube_access access;
	enum err_class class = current(kube, false, &access, err);

	*out = (struct http_response){.body = buf_make(0), .headers = buf_make(0)};
	if (!class)
		class = send_as(http, &access, call, out, err);
	if (!class && out->status == 401)
		class = send_again(kube, http, &access, call, out, err);
	kube_access_dispose(&access);
	if (class || (out->status >= 200 && out->status < 300))
		return class;
	return kube_error(err, call, out->status, buf_text(&out->body), out->body.len,
			  http_retry_at_ms(out, RETRY_MAX_MS));
}

enum err_class kube_send_json(struct kube *kube, struct http *http, const struct kube_call *call,
			      json_t **out, struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	AUTO_JSON json_t *answer = NULL;
	enum err_class class = kube_send(kube, http, call, &response, err);
	struct err fault;

	if (out)
		*out = NULL;
	if (class)
		return class;
	if (jval_parse(&answer, buf_text(&response.body), response.body.len, &fault) ||
	    !json_is_object(answer)) {
		class = err_code(err, ERR_TRANSIENT, "kube.proxy",
				 "what answers in place of Kubernetes says %d with something that "
				 "is not a JSON object",
				 response.status);
		if (err)
			err->in_doubt = call->mutates;
		return class;
	}
	if (out)
		*out = take(answer);
	return ERR_OK;
}
