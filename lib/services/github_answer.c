/* github_answer.c - what an answer of GitHub means: class, reason code and a sentence for people.
 *
 * Pure. One table maps a status and, where the status alone does not tell, a short lower-case part
 * of the message; texts drift, so the status is looked at first and every status has a row without
 * a text. A body is parsed only when its type is JSON. Rate limits are recognised before
 * (github_pace.c). */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "lib/base/str.h"
#include "lib/services/github_impl.h"

enum { HEADER_MAX = 8192, URL_MAX = 8192, SECRET_MIN = 4, SECRET_PART_MIN = 12 };

static const struct {
	int low, high;	  /* statuses */
	const char *part; /* of the message, lower case; NULL: any */
	enum err_class class;
	const char *code;
	const char *sentence;
} statuses[] = {
	{400, 400, "api version", ERR_CONFIG, "github.api_version",
	 "GitHub does not know the configured API version"},
	{400, 400, NULL, ERR_BUG, "github.bad_request", "GitHub did not understand the request"},
	{401, 401, NULL, ERR_CONFIG, "github.token_refused", "GitHub refused the token"},
	{403, 403, "suspended", ERR_DENIED, "github.suspended",
	 "An owner has suspended the App's installation"},
	{403, 403, "issue is locked", ERR_DENIED, "github.locked", "The conversation is locked"},
	{403, 403, "archived", ERR_DENIED, "github.archived", "The repository is archived"},
	{403, 403, "user-agent", ERR_BUG, "github.no_user_agent", "GitHub refused the request"},
	{403, 403, NULL, ERR_DENIED, "github.denied", "GitHub denied this to the bot"},
	{404, 404, "integration not found", ERR_CONFIG, "github.unknown_app",
	 "GitHub does not know the configured App on this host"},
	{404, 404, NULL, ERR_NOT_FOUND, "github.not_found", "GitHub did not find it"},
	{405, 405, NULL, ERR_CONFLICT, "github.not_now", "GitHub does not allow this now"},
	{408, 408, NULL, ERR_TRANSIENT, "github.fault", "GitHub had to wait too long"},
	{409, 409, NULL, ERR_CONFLICT, "github.conflict", "GitHub reports a conflict"},
	{410, 410, NULL, ERR_NOT_FOUND, "github.gone", "It was deleted on GitHub"},
	{422, 422, "no commit found", ERR_USER, "github.no_commit",
	 "The commit is not in this repository"},
	{422, 422, NULL, ERR_USER, "github.invalid", "GitHub refused the content"},
	{451, 451, NULL, ERR_DENIED, "github.blocked", "GitHub blocks this for legal reasons"},
	{500, 599, NULL, ERR_TRANSIENT, "github.fault", "GitHub has a fault"},
	{300, 399, NULL, ERR_TRANSIENT, "github.redirect", "GitHub redirected once too often"},
	{400, 499, NULL, ERR_BUG, "github.bad_request", "GitHub refused the request"},
	{0, 999, NULL, ERR_TRANSIENT, "github.odd", "GitHub gave an unexpected answer"},
};

/* errors[].type of GraphQL, which answers 200 for all of them. */
static const struct {
	const char *type, *part;
	enum err_class class;
	const char *code, *sentence;
} graphql_errors[] = {
	{"NOT_FOUND", NULL, ERR_NOT_FOUND, "github.not_found", "GitHub did not find it"},
	{"FORBIDDEN", NULL, ERR_DENIED, "github.denied", "GitHub denied this to the bot"},
	{"INSUFFICIENT_SCOPES", NULL, ERR_DENIED, "github.denied", "The token lacks a scope"},
	{"UNPROCESSABLE", NULL, ERR_USER, "github.invalid", "GitHub refused the content"},
	{NULL, "something went wrong", ERR_TRANSIENT, "github.fault", "GitHub has a fault"},
	{NULL, NULL, ERR_BUG, "github.graphql", "GitHub refused the query"},
};

void github_answer_dispose(struct github_answer *answer)
{
	json_decref(answer->json);
	mem_free(answer->next);
	mem_free(answer->etag);
	mem_free(answer->scopes);
	*answer = (struct github_answer){0};
}

static bool is_json(const struct http_response *response)
{
	char type[128];

	http_response_header(response, "content-type", type, sizeof type);
	return strcasestr(type, "json") != NULL;
}

/* Appends foreign text as one line without control characters. */
static void put_line(struct buf *out, const char *text)
{
	AUTO_FREE char *clean = jval_clean_utf8(text, strlen(text));
	bool space = false;

	for (const unsigned char *c = (unsigned char *)clean; *c; c++) {
		if (*c <= ' ' || *c == 0x7f) {
			space = out->len > 0;
			continue;
		}
		if (space)
			buf_putc(out, ' ');
		space = false;
		buf_putc(out, (char)*c);
	}
}

/* "; field: what" for each of errors[], which are objects or texts. */
static void put_details(struct buf *out, const json_t *errors)
{
	size_t count = json_array_size(errors);

	for (size_t i = 0; i < count && i < 5; i++) {
		const json_t *error = json_array_get(errors, i);
		const char *field = jval_str(error, "field", NULL);
		const char *what = json_is_string(error) ? json_string_value(error)
							 : jval_str(error, "message",
								    jval_str(error, "code", NULL));

		if (!what)
			continue;
		buf_puts(out, "; ");
		if (field) {
			put_line(out, field);
			buf_puts(out, ": ");
		}
		put_line(out, what);
	}
}

static json_t *parse_body(const struct http_response *response)
{
	json_t *json = NULL;

	if (is_json(response) &&
	    jval_parse(&json, buf_text(&response->body), response->body.len, NULL))
		json = NULL;
	return json;
}

const char *github_answer_message(const struct http_response *response, char *out)
{
	AUTO_JSON json_t *json = parse_body(response);
	AUTO_BUF struct buf text = buf_make((size_t)4 * GITHUB_MESSAGE_MAX);
	const json_t *errors = jval_at(json, "errors");
	const char *message = jval_str(json, "message", NULL);
	bool is_graphql = !message && json_is_array(errors);

	if (is_graphql)
		message = jval_str(json_array_get(errors, 0), "message", NULL);
	if (!json && !is_json(response) && strcasestr(buf_text(&response->body), "user-agent"))
		message = "the User-Agent header is missing";
	if (message)
		put_line(&text, message);
	if (!is_graphql)
		put_details(&text, errors);
	str_copy(out, GITHUB_MESSAGE_MAX, buf_text(&text));
	return out;
}

bool github_is_clock_fault(const char *message)
{
	static const char *const parts[] = {
		"'expiration time' claim ('exp') is too far in the future",
		"'expiration time' claim ('exp') must be a numeric value",
		"'issued at' claim ('iat') must be an integer",
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (strcasestr(message, parts[i]))
			return true;
	return false;
}

/* Should an answer ever repeat our credential, it stays out of the message, also when it was cut:
 * what agrees with its first bytes goes, as far as it agrees. */
static void strike_out(char *text, const char *secret)
{
	if (str_is_empty(secret) || strlen(secret) < SECRET_MIN)
		return;
	for (char *at = text; *at; at++) {
		size_t same = 0;

		while (secret[same] && at[same] == secret[same])
			same++;
		if (secret[same])
			same = same < SECRET_PART_MIN ? 0 : str_utf8_cut(at, same);
		if (!same)
			continue;
		memmove(at + 3, at + same, strlen(at + same) + 1);
		memcpy(at, "***", 3);
		at += 2;
	}
}

/* Appends a header of the answer as one line of text, with words before it, when there is one. */
static void put_header(struct buf *out, const struct http_response *response, const char *name,
		       const char *before)
{
	char value[200];

	if (!*http_response_header(response, name, value, sizeof value))
		return;
	buf_puts(out, before);
	put_line(out, value);
}

static enum err_class refuse(const struct http_response *response, enum github_kind kind,
			     enum err_class class, const char *code, const char *sentence,
			     const char *secret, struct err *err)
{
	AUTO_BUF struct buf text = buf_make((size_t)4 * ERR_MSG_MAX);
	char message[GITHUB_MESSAGE_MAX], sso[16];

	github_answer_message(response, message);
	buf_printf(&text, "%s%s%s", sentence, *message ? ": " : "", message);
	if (response->status == 403) {
		put_header(&text, response, "x-accepted-github-permissions", "; needed: ");
		if (*http_response_header(response, "x-github-sso", sso, sizeof sso))
			buf_puts(&text, "; the token has to be authorised for single sign-on");
	}
	buf_printf(&text, " (HTTP %d", response->status);
	put_header(&text, response, "x-github-request-id", ", request id ");
	buf_putc(&text, ')');
	err_code(err, class, code, "%s", buf_text(&text));
	if (err) {
		strike_out(err->msg, secret);
		err->in_doubt =
			class == ERR_TRANSIENT && kind != GITHUB_READ && kind != GITHUB_MINT;
	}
	return class;
}

static enum err_class refuse_status(const struct http_response *response, enum github_kind kind,
				    const char *secret, struct err *err)
{
	char message[GITHUB_MESSAGE_MAX];

	github_answer_message(response, message);
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (response->status >= statuses[i].low && response->status <= statuses[i].high &&
		    (!statuses[i].part || strcasestr(message, statuses[i].part)))
			return refuse(response, kind, statuses[i].class, statuses[i].code,
				      statuses[i].sentence, secret, err);
	return err_set(err, ERR_BUG, "GitHub answered HTTP %d", response->status);
}

static enum err_class refuse_graphql(const struct http_response *response, enum github_kind kind,
				     const json_t *error, const char *secret, struct err *err)
{
	const char *type = jval_str(error, "type", ""), *message = jval_str(error, "message", "");
	size_t i = 0;

	while (i < ARRAY_LEN(graphql_errors) - 1 &&
	       !(graphql_errors[i].type ? str_eq(type, graphql_errors[i].type)
					: strcasestr(message, graphql_errors[i].part) != NULL))
		i++;
	return refuse(response, kind, graphql_errors[i].class, graphql_errors[i].code,
		      graphql_errors[i].sentence, secret, err);
}

enum err_class github_answer_read(struct github_answer *out, const struct http_response *response,
				  enum github_kind kind, enum github_resource resource,
				  const char *secret, struct err *err)
{
	char link[HEADER_MAX];
	const json_t *errors;

	*out = (struct github_answer){.status = response->status};
	if (response->status < 200 || response->status > 299)
		return refuse_status(response, kind, secret, err);
	if (response->status == 204)
		return ERR_OK;
	out->json = parse_body(response);
	if (!out->json)
		return refuse(response, kind, ERR_TRANSIENT, "github.not_json",
			      is_json(response) ? "GitHub's answer is not readable as JSON"
						: "GitHub's answer is not JSON",
			      secret, err);
	errors = resource == GITHUB_GRAPHQL ? jval_at(out->json, "errors") : NULL;
	if (json_array_size(errors))
		return refuse_graphql(response, kind, json_array_get(errors, 0), secret, err);
	out->next = github_link_next(http_response_header(response, "link", link, sizeof link));
	if (*http_response_header(response, "etag", link, sizeof link))
		out->etag = str_dup(link);
	if (*http_response_header(response, "x-oauth-scopes", link, sizeof link))
		out->scopes = str_dup(link);
	return ERR_OK;
}

/* True when the parameters after ">" hold rel="next", quoted or not, also among other words. */
static bool is_next(const char *params, size_t len)
{
	AUTO_FREE char *text = str_dup_len(params, len);

	for (char *at = text; (at = strcasestr(at, "rel=")); at++) {
		const char *words = at + 4;
		size_t n = *words == '"' ? strcspn(++words, "\"") : strcspn(words, "; \t");

		for (size_t i = 0; i < n;) {
			size_t word = strcspn(words + i, " \t\"");

			if (i + word > n)
				word = n - i;
			if (word == 4 && !strncasecmp(words + i, "next", 4))
				return true;
			i += word + 1;
		}
	}
	return false;
}

char *github_link_next(const char *link)
{
	const char *open, *close, *end;

	while ((open = strchr(link, '<')) && (close = strchr(open, '>'))) {
		end = strchr(close, '<');
		if (!end)
			end = close + strlen(close);
		if (is_next(close, (size_t)(end - close)) && close - open < URL_MAX)
			return str_dup_len(open + 1, (size_t)(close - open - 1));
		link = close;
	}
	return NULL;
}

char *github_same_origin(const char *asked, const char *location)
{
	const char *host = strstr(asked, "://");
	size_t origin;

	if (!host || str_is_empty(location) || strlen(location) >= URL_MAX)
		return NULL;
	host += 3;
	origin = (size_t)(host - asked) + strcspn(host, "/?#");
	if (strpbrk(location, " \t\r\n\\"))
		return NULL;
	if (location[0] == '/' && location[1] != '/')
		return str_printf("%.*s%s", (int)origin, asked, location);
	/* The character after the host has to end it: "api.github.com.evil" and "...@evil" do not.
	 */
	if (strncasecmp(location, asked, origin) || (location[origin] && location[origin] != '/'))
		return NULL;
	return str_dup(location);
}
