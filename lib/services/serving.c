/* serving.c - see serving.h. The address is checked twice: as text, so that the refusal names what
 * is wrong with it, and by lib/base/http where the connection is made, which is what counts. */
#include "lib/services/serving.h"

#include <string.h>

#include "lib/base/address.h"
#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"

enum { URL_MAX = 4096, HOST_MAX = 256, REDIRECT_SHOWN = 200 };

void serving_answer_dispose(struct serving_answer *answer)
{
	mem_free(answer->shown);
	answer->shown = NULL;
	jval_drop(&answer->json);
}

/* --- addresses --- */

static bool is_visible(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

/* The host of HOST[:PORT][/...], without brackets; false when there is none. */
static bool host_of(char out[HOST_MAX], const char *authority)
{
	bool has_brackets = *authority == '[';
	const char *start = authority + has_brackets;
	size_t len = strcspn(start, has_brackets ? "]/?#" : ":/?#");

	if (!len || len >= HOST_MAX || (has_brackets && start[len] != ']'))
		return false;
	memcpy(out, start, len);
	out[len] = '\0';
	return true;
}

static enum err_class check_host(const char *authority, struct err *err)
{
	struct sockaddr_storage address;
	char host[HOST_MAX];

	if (!host_of(host, authority))
		return err_code(err, ERR_CONFIG, "serving.address",
				"the address of the model server has no host");
	if (address_name_is_metadata(host) ||
	    (address_parse(&address, host) &&
	     address_is_off_limits((const struct sockaddr *)&address)))
		return err_code(err, ERR_CONFIG, "serving.address",
				"%.255s is no model server: kfops does not speak to link-local "
				"addresses and metadata services",
				host);
	return ERR_OK;
}

static enum err_class check_request(const struct serving_request *request, struct err *err)
{
	const char *url = request->url, *authority = strstr(url, "://");
	enum err_class class;

	if (request->body_len > SERVING_BODY_MAX)
		return err_code(err, ERR_USER, "serving.too_large",
				"the sample request is larger than %d bytes", SERVING_BODY_MAX);
	if ((!str_starts(url, "http://") && !str_starts(url, "https://")) ||
	    strlen(url) > URL_MAX || !is_visible(url) || strpbrk(url, "@\\#"))
		return err_code(
			err, ERR_CONFIG, "serving.address",
			"the address of the model server must be http(s)://HOST[:PORT]/PATH");
	class = check_host(authority + 3, err);
	if (class || !request->connect_to)
		return class;
	if (!is_visible(request->connect_to) || strpbrk(request->connect_to, "@/\\#?"))
		return err_code(err, ERR_CONFIG, "serving.address",
				"the address of the ingress must be HOST:PORT");
	return check_host(request->connect_to, err);
}

/* --- the answer --- */

static void count(const struct http_response *response, enum err_class class)
{

	metrics_call("serving", class ? 0 : response->status, response->took_ms);
	log_debug("serving_call", LOG_I("status", response->status),
		  LOG_I("ms", response->took_ms));
}

static enum err_class transport_error(const struct http_response *response, const struct err *fault,
				      struct err *err)
{
	if (response->body.truncated)
		return err_code(err, ERR_USER, "serving.too_large",
				"the model server answers with more than %d bytes",
				SERVING_ANSWER_MAX);
	if (str_eq(fault->code, "http.out_of_reach"))
		return err_code(err, ERR_CONFIG, "serving.address", "%s", fault->msg);
	return err_code(err, fault->class,
			fault->class == ERR_TRANSIENT ? "serving.down" : "serving.tls",
			"the model server does not answer: %s", fault->msg);
}

static enum err_class read_answer(struct serving_answer *out, const struct http_response *response,
				  struct err *err)
{
	char place[REDIRECT_SHOWN];
	size_t len = response->body.len;
	struct err ignored;

	out->status = response->status;
	out->took_ms = response->took_ms;
	if (len > SERVING_SHOWN_MAX)
		len = str_utf8_cut(buf_text(&response->body), SERVING_SHOWN_MAX);
	out->shown = jval_clean_utf8(buf_text(&response->body), len);
	if (response->status >= 300 && response->status < 400) {
		http_response_header(response, "location", place, sizeof place);
		place[strcspn(place, "?#")] = '\0';
		return err_code(
			err, ERR_CONFIG, "serving.redirect",
			"the model server redirects (%d%s%s), as gateways do to their login "
			"page; is a token needed, or https?",
			response->status, *place ? ", to " : "", place);
	}
	if (jval_parse(&out->json, buf_text(&response->body), response->body.len, &ignored))
		out->json = NULL;
	return ERR_OK;
}

/* --- the call --- */

enum err_class serving_ask(struct http *http, const struct serving_request *request,
			   struct serving_answer *out, struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	struct http_tls tls = {.ca = request->ca};
	struct http_request post = {
		.method = "POST",
		.url = request->url,
		.headers = {{"Accept", "application/json"}, {"Content-Type", "application/json"}},
		.body = request->body,
		.body_len = request->body_len,
		.timeout_ms = request->timeout_ms,
		.response_max = SERVING_ANSWER_MAX,
		.tls = &tls,
		.connect_to = request->connect_to,
		.reach = HTTP_REACH_SERVICE,
	};
	char *token = NULL, *bearer = NULL;
	enum err_class class;
	size_t headers = 2;
	struct err fault;

	*out = (struct serving_answer){.shown = str_dup("")};
	class = check_request(request, err);
	if (!class && request->token_file)
		class = sign_secret_read(&token, request->token_file, err);
	if (class)
		return class;
	if (request->host)
		post.headers[headers++] = (struct http_header){"Host", request->host};
	if (token) {
		bearer = str_printf("Bearer %s", token);
		post.headers[headers++] = (struct http_header){"Authorization", bearer};
	}
	class = http_do(http, &post, &response, &fault);
	sign_secret_free(bearer);
	sign_secret_free(token);
	count(&response, class);
	out->took_ms = response.took_ms;
	if (class)
		return transport_error(&response, &fault, err);
	mem_free(take(out->shown));
	return read_answer(out, &response, err);
}
