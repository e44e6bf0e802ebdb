/* kfp.c - a server: address, token, probe, links.
 *
 * The state of a server is small: where it is and the file of its token. The probe asks v2beta1
 * first; a server that answers only under v1beta1 is a 1.x server, which makes run ids of its own
 * and could not be used safely. */
#include "lib/services/kfp.h"

#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/services/kfp_impl.h"

enum { PROBE_TIMEOUT_MS = 10 * 1000, PROBE_ANSWER_MAX = 64 * 1024, URL_MAX = 2048 };

static const char gateway_path[] = "/pipeline";

static char *without_slash(const char *url, size_t len)
{
	while (len && url[len - 1] == '/')
		len--;
	return str_dup_len(url, len);
}

/* A gateway serves the UI beside the API: https://HOST/pipeline. */
static char *derive_ui(const struct kfp_options *options)
{
	char *url = without_slash(options->url, strlen(options->url));
	size_t len = strlen(url);

	if (!str_ends(url, gateway_path)) {
		mem_free(url);
		return str_dup("");
	}
	if (options->dashboard)
		url[len - strlen(gateway_path)] = '\0';
	return url;
}

static bool is_url(const char *url)
{
	size_t len = strlen(url);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)url[i] <= 0x20 || url[i] == 0x7f)
			return false;
	return len <= URL_MAX && !strpbrk(url, "?#") &&
	       ((str_starts(url, "http://") && url[7]) || (str_starts(url, "https://") && url[8]));
}

enum err_class kfp_new(struct kfp **out, const struct kfp_options *options, struct err *err)
{
	char *token = NULL;
	enum err_class class;
	struct kfp *kfp;

	*out = NULL;
	if (str_is_empty(options->url) || !is_url(options->url))
		return err_set(err, ERR_CONFIG,
			       "the address of Kubeflow Pipelines must be http(s)://HOST[/PATH]");
	if (!str_is_empty(options->ui_url) && !is_url(options->ui_url))
		return err_set(err, ERR_CONFIG,
			       "the address of Kubeflow's pages must be http(s)://HOST[/PATH]");
	kfp = mem_new(1, sizeof *kfp);
	kfp->url = without_slash(options->url, strlen(options->url));
	kfp->ui_url = str_is_empty(options->ui_url)
			      ? derive_ui(options)
			      : without_slash(options->ui_url, strlen(options->ui_url));
	kfp->dashboard = options->dashboard;
	kfp->token = secret_new(options->token_file);
	class = kfp_token(kfp, &token, err);
	sign_secret_free(token);
	if (class)
		kfp_free(kfp);
	else
		*out = kfp;
	return class;
}

void kfp_free(struct kfp *take_kfp)
{
	if (!take_kfp)
		return;
	secret_free(take_kfp->token);
	mem_free(take_kfp->ui_url);
	mem_free(take_kfp->url);
	mem_free(take_kfp);
}

/* --- token --- */

enum err_class kfp_token(struct kfp *kfp, char **out, struct err *err)
{
	enum err_class class = secret_get(kfp->token, out, err);

	if (class)
		err_wrap(err, "the token file for Kubeflow Pipelines");
	return class;
}

/* --- probe --- */

static enum err_class ask_health(struct kfp *kfp, struct http *http, const char *path,
				 struct http_response *out, struct err *err)
{
	struct kfp_call call = {.method = "GET",
				.path = path,
				.response_max = PROBE_ANSWER_MAX,
				.timeout_ms = PROBE_TIMEOUT_MS};

	return kfp_send(kfp, http, &call, out, err);
}

/* A 404 under v2beta1: is there an older server, or none at all? */
static enum err_class refuse_old(struct kfp *kfp, struct http *http, struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	AUTO_JSON json_t *health = NULL;
	struct err ignored;

	if (ask_health(kfp, http, "/apis/v1beta1/healthz", &response, &ignored) ||
	    jval_parse(&health, buf_text(&response.body), response.body.len, &ignored))
		return err_code(err, ERR_CONFIG, "kfp.not_there",
				"there is no Kubeflow Pipelines API at %s", kfp->url);
	return err_code(err, ERR_CONFIG, "kfp.too_old",
			"the server at %s is Kubeflow Pipelines %.40s, which has only the v1beta1 "
			"API; version 2.0 or newer is needed (API v2beta1)",
			kfp->url, jval_str(health, "tag_name", "1.x"));
}

enum err_class kfp_probe(struct kfp *kfp, struct http *http, struct kfp_capabilities *out,
			 struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	AUTO_JSON json_t *health = NULL;
	enum err_class class;
	struct err ignored;

	*out = (struct kfp_capabilities){.version = "unknown"};
	class = ask_health(kfp, http, "/apis/v2beta1/healthz", &response, err);
	if (class && response.status == 404)
		return refuse_old(kfp, http, err);
	if (class)
		return class;
	if (jval_parse(&health, buf_text(&response.body), response.body.len, &ignored) ||
	    !json_is_object(health))
		return err_code(err, ERR_CONFIG, "kfp.not_there",
				"what answers at %s is not Kubeflow Pipelines (a login page?)",
				kfp->url);
	str_copy(out->version, sizeof out->version, jval_str(health, "tag_name", "unknown"));
	out->multi_user = jval_bool(health, "multi_user", false);
	return ERR_OK;
}

/* --- links --- */

static void link_start(const struct kfp *kfp, const char *ns, struct buf *out)
{
	buf_puts(out, kfp->ui_url);
	if (kfp->dashboard) {
		buf_puts(out, "/_/pipeline/?ns=");
		http_escape(out, ns);
		buf_putc(out, '#');
	} else {
		buf_puts(out, "/#");
	}
}

void kfp_link_run(const struct kfp *kfp, const char *ns, const char *run_id, struct buf *out)
{
	if (!*kfp->ui_url)
		return;
	link_start(kfp, ns ? ns : "", out);
	buf_puts(out, "/runs/details/");
	http_escape(out, run_id);
}

void kfp_link_version(const struct kfp *kfp, const char *ns, const char *pipeline_id,
		      const char *version_id, struct buf *out)
{
	if (!*kfp->ui_url)
		return;
	link_start(kfp, ns ? ns : "", out);
	buf_puts(out, "/pipelines/details/");
	http_escape(out, pipeline_id);
	if (!str_is_empty(version_id)) {
		buf_puts(out, "/version/");
		http_escape(out, version_id);
	}
}
