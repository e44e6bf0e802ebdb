/* mlmd.c - the calls to ML Metadata: context, then artifacts and executions, then events.
 *
 * All calls read, so an unclear answer is simply tried again by the job. A hostile or broken server
 * is bounded by pages, bytes and items. Everything between us and the store (Envoy, a gateway, a
 * login page) may answer by itself: only 200 with gRPC-Web inside counts as an answer of the store.
 * Artifact types are asked for only when an artifact comes without its type's name, as from servers
 * before 1.0. */
#include "lib/services/mlmd.h"

#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/core/mlmd.h"

enum {
	PAGES_MAX = 400,	      /* of one list */
	BYTES_MAX = 64 * 1024 * 1024, /* of all answers about one run */
	TIMEOUT_MS = 30 * 1000,
	REQUEST_MAX = 64 * 1024,
	URL_MAX = 2048,
};

struct mlmd {
	char *url;	  /* without a slash at the end */
	char *token_file; /* NULL: none */
};

/* One question about one run. */
struct look {
	struct mlmd *mlmd;
	struct http *http;
	char *bearer; /* "" when there is no token */
	size_t bytes; /* read so far */
};

static bool is_url(const char *url)
{
	size_t len = strlen(url);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)url[i] <= 0x20 || url[i] == 0x7f)
			return false;
	return len <= URL_MAX && !strpbrk(url, "?#@") &&
	       ((str_starts(url, "http://") && url[7]) || (str_starts(url, "https://") && url[8]));
}

enum err_class mlmd_new(struct mlmd **out, const struct mlmd_options *options, struct err *err)
{
	size_t len;

	*out = NULL;
	if (str_is_empty(options->url) || !is_url(options->url))
		return err_set(err, ERR_CONFIG,
			       "the address of ML Metadata must be http(s)://HOST[/PATH]");
	for (len = strlen(options->url); len && options->url[len - 1] == '/';)
		len--;
	*out = mem_new(1, sizeof **out);
	(*out)->url = str_dup_len(options->url, len);
	(*out)->token_file =
		str_is_empty(options->token_file) ? NULL : str_dup(options->token_file);
	return ERR_OK;
}

void mlmd_free(struct mlmd *take_mlmd)
{
	if (!take_mlmd)
		return;
	mem_free(take_mlmd->url);
	mem_free(take_mlmd->token_file);
	mem_free(take_mlmd);
}

/* --- one call --- */

static enum err_class bad_status(int status, struct err *err)
{
	if (status == 401)
		return err_set(err, ERR_CONFIG, "ML Metadata answers 401: the token is refused");
	if (status == 403)
		return err_set(err, ERR_DENIED,
			       "ML Metadata answers 403: this may not be read with the token");
	if (status == 429)
		return err_set(err, ERR_THROTTLED, "ML Metadata answers 429: it asks to wait");
	if (status < 500)
		return err_set(err, ERR_CONFIG,
			       "ML Metadata answers %d: the address is not that of its gRPC-Web "
			       "proxy",
			       status);
	return err_set(err, ERR_TRANSIENT, "ML Metadata answers %d", status);
}

static enum err_class send(struct look *look, const char *method, const struct buf *frame,
			   struct http_response *out, struct err *err)
{
	AUTO_FREE char *url =
		str_printf("%s/ml_metadata.MetadataStoreService/%s", look->mlmd->url, method);
	struct http_request request = {
		.method = "POST",
		.url = url,
		.headers = {{"Content-Type", "application/grpc-web+proto"},
			    {"Accept", "application/grpc-web+proto"},
			    {"X-Grpc-Web", "1"}},
		.body = frame->data,
		.body_len = frame->len,
		.timeout_ms = TIMEOUT_MS,
		.response_max = MLMD_MESSAGE_MAX + 16 * 1024,
	};
	enum err_class class;

	if (*look->bearer)
		request.headers[3] = (struct http_header){"Authorization", look->bearer};
	class = http_do(look->http, &request, out, err);
	metrics_call("mlmd", class ? 0 : out->status, out->took_ms);
	log_debug("mlmd_call", LOG_S("method", method), LOG_I("status", out->status),
		  LOG_I("ms", out->took_ms));
	if (class) {
		if (err)
			err->in_doubt = false; /* it only reads */
		err_wrap(err, "ML Metadata");
		return class;
	}
	look->bytes += out->body.len;
	if (look->bytes > BYTES_MAX)
		return err_set(err, ERR_USER,
			       "the run has more than %d MiB of entries in ML Metadata",
			       BYTES_MAX / 1024 / 1024);
	return out->status == 200 ? ERR_OK : bad_status(out->status, err);
}

/* The message of the answer, borrowed from *response, which the caller disposes of. */
static enum err_class ask(struct look *look, const char *method, const struct buf *frame,
			  struct http_response *response, const unsigned char **message,
			  size_t *len, struct err *err)
{
	char status[64], words[1024];
	const char *headers[2] = {status, words};
	enum err_class class;

	*response = (struct http_response){.body = buf_make(0), .headers = buf_make(0)};
	class = send(look, method, frame, response, err);
	if (class)
		return class;
	http_response_header(response, "grpc-status", status, sizeof status);
	http_response_header(response, "grpc-message", words, sizeof words);
	return mlmd_unframe(message, len, response->body.data, response->body.len, headers, err);
}

/* --- the questions --- */

static enum err_class find_context(struct look *look, const char *run_id, int64_t *out,
				   struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	AUTO_BUF struct buf frame = buf_make(REQUEST_MAX);
	const unsigned char *message;
	enum err_class class;
	size_t len;

	mlmd_ask_context(&frame, run_id);
	class = ask(look, "GetContextByTypeAndName", &frame, &response, &message, &len, err);
	return class ? class : mlmd_read_context(out, message, len, err);
}

typedef enum err_class page_reader(json_t *into, char page[MLMD_TOKEN_MAX],
				   const unsigned char *message, size_t len, struct err *err);

static enum err_class all_pages(struct look *look, const char *method, int64_t context,
				page_reader *reader, json_t *into, struct err *err)
{
	char page[MLMD_TOKEN_MAX] = "", before[MLMD_TOKEN_MAX] = "";

	for (int i = 0; i < PAGES_MAX; i++) {
		AUTO_RESPONSE struct http_response response = {0};
		AUTO_BUF struct buf frame = buf_make(REQUEST_MAX);
		const unsigned char *message;
		enum err_class class;
		size_t len;

		mlmd_ask_page(&frame, context, page);
		class = ask(look, method, &frame, &response, &message, &len, err);
		if (!class)
			class = reader(into, page, message, len, err);
		if (class || !*page)
			return class;
		if (str_eq(page, before))
			return err_set(err, ERR_TRANSIENT,
				       "ML Metadata gives the same page again and again");
		str_copy(before, sizeof before, page);
	}
	return err_set(err, ERR_USER, "ML Metadata has more than %d pages about the run",
		       PAGES_MAX);
}

static enum err_class some_events(struct look *look, const int64_t *ids, size_t count, json_t *into,
				  struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	AUTO_BUF struct buf frame = buf_make(REQUEST_MAX);
	const unsigned char *message;
	enum err_class class;
	size_t len;

	mlmd_ask_events(&frame, ids, count);
	class = ask(look, "GetEventsByExecutionIDs", &frame, &response, &message, &len, err);
	return class ? class : mlmd_read_events(into, message, len, err);
}

static enum err_class all_events(struct look *look, const json_t *executions, json_t *into,
				 struct err *err)
{
	int64_t ids[MLMD_IDS_MAX];
	size_t at, count = 0, total = json_array_size(executions);
	const json_t *execution;
	enum err_class class = ERR_OK;

	json_array_foreach(executions, at, execution)
	{
		ids[count++] = jval_int(execution, "id", 0);
		if (count < MLMD_IDS_MAX && at + 1 < total)
			continue;
		class = some_events(look, ids, count, into, err);
		if (class)
			return class;
		count = 0;
	}
	return class;
}

static bool lack_types(const json_t *artifacts)
{
	const json_t *artifact;
	size_t at;

	json_array_foreach(artifacts, at,
			   artifact) if (!*jval_str(artifact, "type", "")) return true;
	return false;
}

static enum err_class all_types(struct look *look, json_t *into, struct err *err)
{
	AUTO_RESPONSE struct http_response response = {0};
	AUTO_BUF struct buf frame = buf_make(REQUEST_MAX);
	const unsigned char *message;
	enum err_class class;
	size_t len;

	mlmd_ask_types(&frame);
	class = ask(look, "GetArtifactTypes", &frame, &response, &message, &len, err);
	return class ? class : mlmd_read_types(into, message, len, err);
}

static enum err_class gather(struct look *look, const char *run_id, json_t **out, struct err *err)
{
	AUTO_JSON json_t *artifacts = json_array();
	AUTO_JSON json_t *executions = json_array();
	AUTO_JSON json_t *events = json_array();
	AUTO_JSON json_t *types = json_object();
	enum err_class class;
	int64_t context;

	class = find_context(look, run_id, &context, err);
	if (!class)
		class = all_pages(look, "GetArtifactsByContext", context, mlmd_read_artifacts,
				  artifacts, err);
	if (!class)
		class = all_pages(look, "GetExecutionsByContext", context, mlmd_read_executions,
				  executions, err);
	if (!class)
		class = all_events(look, executions, events, err);
	if (!class && lack_types(artifacts))
		class = all_types(look, types, err);
	if (!class)
		*out = mlmd_outputs(artifacts, executions, events, types);
	return class;
}

enum err_class mlmd_run_outputs(struct mlmd *mlmd, struct http *http, const char *run_id,
				json_t **out, struct err *err)
{
	struct look look = {.mlmd = mlmd, .http = http};
	enum err_class class = ERR_OK;
	char *token = NULL;

	*out = NULL;
	if (mlmd->token_file)
		class = sign_secret_read(&token, mlmd->token_file, err);
	if (class)
		return class;
	look.bearer = token ? str_printf("Bearer %s", token) : str_dup("");
	class = gather(&look, run_id, out, err);
	sign_secret_free(look.bearer);
	sign_secret_free(token);
	return class;
}
