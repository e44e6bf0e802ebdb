/* fuzz_github_answers.c - any bytes as GitHub's answers to each operation of the module, through
 * the whole of it: redirects, limits, refused credentials, pages, and the parsers behind them.
 *
 * Input: a line with a letter for the operation and, behind it, "a" for App mode; then the answers
 * in their order, each a line with its status ("!": the connection breaks), headers, an empty line
 * and the body, and between two of them a line of four equals signs. The linker's --wrap puts this
 * file in the place of libcurl, of the App's signature and of sleep. */
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/core/approvals.h"
#include "lib/services/github_impl.h"
#include "lib/services/github_missed.h"
#include "lib/services/github_policy.h"
#include "lib/services/github_queue.h"
#include "lib/services/github_reviews.h"
#include "tests/unit/core/event_sound.h"

#define API	  "https://api.test"
#define OWN_TOKEN "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
#define SEPARATOR "\n====\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum err_class __wrap_http_do(struct http *http, const struct http_request *request,
			      struct http_response *out, struct err *err);
enum err_class __wrap_sign_jwt_rs256(char **out, struct sign_key *key, const char *claims_json,
				     struct err *err);
void __wrap_github_sleep_ms(int64_t ms);

/* --- the far side --- */

static struct {
	const char *at; /* next answer; NULL: GitHub is gone */
	const char *end;
	char bearer[1024]; /* of the last request */
} script;

void __wrap_github_sleep_ms(int64_t ms)
{
	must(ms >= 0 && ms <= 10000);
}

enum err_class __wrap_sign_jwt_rs256(char **out, struct sign_key *key, const char *claims_json,
				     struct err *err)
{
	AUTO_JSON json_t *claims = NULL;

	(void)key;
	must(!jval_parse(&claims, claims_json, strlen(claims_json), err));
	must(jval_int(claims, "exp", 0) - jval_int(claims, "iat", 0) == 600);
	*out = str_dup("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiI0NzExIn0.c2lnbmF0dXJl");
	return ERR_OK;
}

/* A request must be one that we may send: to this host, with our credential, in one line. */
static void check_request(const struct http_request *request)
{
	const char *authorization = NULL;

	must(!strncasecmp(request->url, API, strlen(API)));
	must(request->url[strlen(API)] == '/' || !request->url[strlen(API)]);
	must(!strpbrk(request->url, " \t\r\n\\"));
	must(request->response_max > 0);
	for (int i = 0; request->headers[i].name; i++)
		if (str_eq(request->headers[i].name, "Authorization"))
			authorization = request->headers[i].value;
	must(authorization && str_starts(authorization, "Bearer "));
	str_copy(script.bearer, sizeof script.bearer, authorization + strlen("Bearer "));
}

/* Cuts the next answer off the script; false when there is none. */
static bool next_answer(const char **text, size_t *len)
{
	const char *cut;

	if (!script.at)
		return false;
	*text = script.at;
	cut = memmem(script.at, (size_t)(script.end - script.at), SEPARATOR, strlen(SEPARATOR));
	*len = (size_t)((cut ? cut : script.end) - script.at);
	script.at = cut ? cut + strlen(SEPARATOR) : NULL;
	return true;
}

/* Appends a header as http.c keeps it: name in lower case, one blank, no blanks around. */
static void add_header(struct buf *out, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len), *value;

	if (!colon || colon == line)
		return;
	for (const char *c = line; c < colon; c++)
		buf_putc(out, (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c));
	for (value = colon + 1; value < line + len && (*value == ' ' || *value == '\t'); value++)
		;
	buf_puts(out, ": ");
	buf_add(out, value, (size_t)(line + len - value));
	buf_putc(out, '\n');
}

static void fill_response(struct http_response *out, const char *text, size_t len)
{
	const char *end = text + len, *line_end = memchr(text, '\n', len);
	AUTO_FREE char *status = NULL;
	int64_t number = 200;

	status = str_dup_len(text, (size_t)((line_end ? line_end : end) - text));
	if (str_to_int64(&number, status) && (number < 100 || number > 999))
		number = 200;
	out->status = (int)number;
	while (line_end && line_end < end) {
		const char *line = line_end + 1;

		line_end = memchr(line, '\n', (size_t)(end - line));
		if (!line_end || line_end == line) {
			if (line_end)
				buf_add(&out->body, line_end + 1, (size_t)(end - line_end - 1));
			return;
		}
		add_header(&out->headers, line, (size_t)(line_end - line));
	}
}

enum err_class __wrap_http_do(struct http *http, const struct http_request *request,
			      struct http_response *out, struct err *err)
{
	const char *text = NULL;
	size_t len = 0;

	(void)http;
	check_request(request);
	*out = (struct http_response){.body = buf_make(request->response_max),
				      .headers = buf_make(1 << 16)};
	if (!next_answer(&text, &len) || (len && *text == '!')) {
		err_set(err, ERR_TRANSIENT, "the connection broke");
		if (err)
			err->in_doubt = !str_eq(request->method, "GET");
		return ERR_TRANSIENT;
	}
	fill_response(out, text, len);
	return ERR_OK;
}

/* --- the operations, and what must hold of their results --- */

static const struct github_target target = {
	.installation_id = 0, .repo_id = 77, .repo = "octo/iris"};

static enum err_class ask_pull(struct github *gh, struct err *err)
{
	struct github_pull pull;
	enum err_class class = github_pull(gh, NULL, &target, 7, &pull, err);

	if (!class)
		must(str_is_object_name(pull.head_sha) && *pull.base_ref && pull.base_repo_id);
	return class;
}

static enum err_class ask_permission(struct github *gh, struct err *err)
{
	struct github_permission permission;
	enum err_class class = github_permission(gh, NULL, &target, "ann", &permission, err);

	/* Nobody gets a right without the id by which they are known. */
	if (class || !permission.user_id)
		must(!permission.pull && !permission.triage && !permission.push &&
		     !permission.maintain && !permission.admin);
	return class;
}

static enum err_class ask_identity(struct github *gh, struct err *err)
{
	struct github_identity identity;
	enum err_class class = github_identity(gh, NULL, &identity, err);

	if (!class)
		must(*identity.login && (identity.is_app ? identity.app_id : identity.user_id));
	return class;
}

static enum err_class find_comment(struct github *gh, struct err *err)
{
	struct github_comment comment;
	enum err_class class = github_comment_find(gh, NULL, &target, 7, "<!-- kfops:job:42 -->",
						   1700000000000, &comment, err);

	must(!class == (comment.id != 0));
	return class;
}

static enum err_class create_comment(struct github *gh, struct err *err)
{
	struct github_comment comment;
	enum err_class class = github_comment_create(gh, NULL, &target, 7, "text", &comment, err);

	must(!class == (comment.id != 0));
	return class;
}

static enum err_class find_check(struct github *gh, struct err *err)
{
	int64_t id = -1;
	enum err_class class =
		github_check_find(gh, NULL, &target, "0123456789abcdef0123456789abcdef01234567",
				  "kfops/build", "job-42", &id, err);

	must(!class == (id > 0));
	return class;
}

/* 120 annotations: three requests. */
static enum err_class create_check(struct github *gh, struct err *err)
{
	AUTO_JSON json_t *body = json_object();
	json_t *output = json_object(), *annotations = json_array();
	enum err_class class;
	int64_t id = -1;

	for (int i = 0; i < 120; i++)
		must(!json_array_append_new(annotations, json_integer(i)));
	jval_set(output, "annotations", annotations);
	jval_set(body, "output", output);
	class = github_check_create(gh, NULL, &target, body, &id, err);
	must(!class == (id != 0));
	return class;
}

static enum err_class create_status(struct github *gh, struct err *err)
{
	AUTO_JSON json_t *body = json_object();

	return github_status_create(gh, NULL, &target, "0123456789abcdef0123456789abcdef01234567",
				    body, err);
}

static bool see_delivery(void *arg, const struct github_delivery *delivery)
{
	int *count = arg;

	must(delivery->id && memchr(delivery->guid, '\0', sizeof delivery->guid));
	must(memchr(delivery->event, '\0', sizeof delivery->event));
	must(delivery->ok == (delivery->status_code / 100 == 2));
	return ++*count < 1000;
}

static enum err_class list_deliveries(struct github *gh, struct err *err)
{
	int count = 0;

	return github_deliveries(gh, NULL, NULL, see_delivery, &count, err);
}

static enum err_class get_payload(struct github *gh, struct err *err)
{
	AUTO_JSON json_t *json = NULL;
	char *payload = NULL;
	enum err_class class = github_delivery_payload(gh, NULL, NULL, 5, &payload, err);

	must(!class == (payload != NULL));
	if (payload)
		must(!jval_parse(&json, payload, strlen(payload), NULL) && json_is_object(json));
	mem_free(payload);
	return class;
}

static enum err_class find_hook(struct github *gh, struct err *err)
{
	int64_t id = -1;
	enum err_class class = github_hook_find(gh, NULL, &target, "/webhook", &id, err);

	must(!class == (id != 0));
	return class;
}

static bool see_comment(void *arg, const json_t *comment)
{
	int *count = arg;

	(void)comment;
	return ++*count < 1000;
}

static enum err_class list_comments(struct github *gh, struct err *err)
{
	int count = 0;

	return github_comments_since(gh, NULL, &target, 1700000000000, see_comment, &count, err);
}

static enum err_class ask_edited(struct github *gh, struct err *err)
{
	bool edited = false;
	enum err_class class = github_comment_was_edited(gh, NULL, &target, "IC_kw", &edited, err);

	must(!class || edited);
	return class;
}

static enum err_class find_reaction(struct github *gh, struct err *err)
{
	bool ours = true;
	enum err_class class = github_comment_has_our_reaction(gh, NULL, &target, 5, &ours, err);

	must(!class || !ours);
	return class;
}

static enum err_class get_token(struct github *gh, struct err *err)
{
	char *token = NULL;
	enum err_class class = github_git_token(gh, NULL, &target, &token, err);

	must(!class == !str_is_empty(token));
	sign_secret_free(token);
	return class;
}

static enum err_class add_reaction(struct github *gh, struct err *err)
{
	int64_t id = -1;
	enum err_class class = github_reaction_add(gh, NULL, &target, 5, "eyes", &id, err);

	must(!class == (id != 0));
	return class;
}

static enum err_class minimize(struct github *gh, struct err *err)
{
	return github_comment_minimize(gh, NULL, &target, "IC_kw", err);
}

#define HEAD "0123456789abcdef0123456789abcdef01234567"

static enum err_class ask_merge(struct github *gh, struct err *err)
{
	struct github_merge_question question = {7, HEAD, "merge", NULL};
	AUTO_JSON json_t *facts = NULL;
	enum err_class class = github_merge_facts(gh, NULL, &target, &question, &facts, err);

	must(!class == (facts != NULL));
	must(class || jval_str(facts, "head_sha", NULL));
	return class;
}

static enum err_class enqueue(struct github *gh, struct err *err)
{
	struct github_merge_question question = {7, HEAD, "merge", NULL};
	AUTO_JSON json_t *seen = NULL;
	enum err_class class = github_enqueue(gh, NULL, &target, &question, &seen, err);

	must(!class == (seen != NULL));
	return class;
}

static enum err_class delete_branch(struct github *gh, struct err *err)
{
	struct github_branch branch = {"R_1", "five", HEAD};
	char why[ERR_MSG_MAX];

	return github_branch_delete(gh, NULL, &target, &branch, why, err);
}

/* Of what is learned of a pull request, each member is of its kind or absent. */
static enum err_class ask_state(struct github *gh, struct err *err)
{
	static const char *const booleans[] = {
		"mergeable",	"merge_queue", "may_push", "is_fork", "conversations_required",
		"rules_unknown"};
	AUTO_JSON json_t *seen = json_object();
	enum err_class class = github_pull_state(gh, NULL, &target, 7, seen, err);
	const json_t *queue = json_object_get(seen, "queue");

	if (class)
		return class;
	must(str_is_object_name(jval_str(seen, "head_sha", "")));
	for (size_t i = 0; i < ARRAY_LEN(booleans); i++)
		must(!jval_at(seen, booleans[i]) || json_is_boolean(jval_at(seen, booleans[i])));
	must(!jval_at(seen, "threads_open") || json_is_integer(jval_at(seen, "threads_open")));
	must(!queue || json_is_boolean(json_object_get(queue, "in")));
	must(!jval_at(seen, "base_changed_at_ms") ||
	     json_is_integer(jval_at(seen, "base_changed_at_ms")));
	return ERR_OK;
}

static enum err_class look_at_queue(struct github *gh, struct err *err)
{
	AUTO_JSON json_t *seen = NULL;
	enum err_class class = github_queue_look(gh, NULL, &target, 7, &seen, err);

	must(!class == (seen != NULL));
	return class;
}

static enum err_class dequeue(struct github *gh, struct err *err)
{
	return github_dequeue(gh, NULL, &target, 7, err);
}

/* Whatever GitHub says, nobody counts whose right was not asked for. */
static enum err_class ask_reviews(struct github *gh, struct err *err)
{
	AUTO_FREE struct approvals_room *room = mem_new(1, sizeof *room);
	AUTO_JSON json_t *data = json_object();
	json_t *acts = NULL, *act;
	struct approval_facts facts;
	struct approvals found;
	bool complete = true;
	enum err_class class = github_reviews(gh, NULL, &target, 7, &acts, &complete, err);
	size_t i;

	must(!class == (acts != NULL));
	if (class)
		return class;
	json_array_foreach(acts, i, act)
		must(jval_str(act, "state", NULL) && jval_str(act, "login", NULL) &&
		     json_is_boolean(json_object_get(act, "bot")) &&
		     json_is_integer(json_object_get(act, "id")));
	jval_set(data, "acts", acts);
	jval_set_bool(data, "complete", complete);
	jval_set_bool(data, "authors_known", true);
	jval_set_int(data, "base_changed_at_ms", 0);
	approvals_read(&facts, room, data);
	facts.sha = HEAD;
	facts.need = 1;
	facts.reviews_count = true;
	approvals_judge(&found, &facts);
	must(!found.have && found.enough != FACT_YES);
	must(complete || found.enough == FACT_UNKNOWN);
	return ERR_OK;
}

static enum err_class ask_people(struct github *gh, struct err *err)
{
	json_t *people = NULL, *each;
	bool complete = true;
	enum err_class class =
		github_commit_people(gh, NULL, &target, HEAD, &people, &complete, err);
	size_t i;

	must(!class == (people != NULL));
	json_array_foreach(people, i, each)
		must(jval_str(each, "name", NULL) && *jval_str(each, "role", "") &&
		     json_is_integer(json_object_get(each, "id")));
	must(class || !complete || json_array_size(people));
	json_decref(people);
	return class;
}

/* A policy is whole, with the name that git has for it, or it is none. */
static enum err_class ask_file(struct github *gh, struct err *err)
{
	struct github_file_question question = {
		.path = ".github/kfops.yaml", .etag = "\"e\"", .max = 64 << 10};
	struct github_file file;
	enum err_class class = github_file(gh, NULL, &target, &question, &file, err);

	if (!class && file.state == GITHUB_FILE_FOUND)
		must(file.text && file.text[file.len] == '\0' && str_is_object_name(file.sha));
	else
		must(!file.text || class);
	must(class || file.state != GITHUB_FILE_ODD || *file.why);
	github_file_dispose(&file);
	return class;
}

static enum err_class ask_team(struct github *gh, struct err *err)
{
	enum github_member member = GITHUB_MEMBER_YES;
	enum err_class class =
		github_team_member(gh, NULL, &target, "ml-leads", "ann", &member, err);

	must(!class || member == GITHUB_MEMBER_UNKNOWN);
	return class;
}

static enum err_class ask_user(struct github *gh, struct err *err)
{
	int64_t id = -1;
	enum err_class class = github_user_id(gh, NULL, &target, "ann", &id, err);

	must(id >= 0 && (!class || id == 0 || class == ERR_TRANSIENT));
	return class;
}

static bool see_repository(void *arg, const struct github_target *repo)
{
	int *count = arg;

	must(repo->repo_id > 0 && strchr(repo->repo, '/'));
	return ++*count < 1000;
}

static enum err_class list_repositories(struct github *gh, struct err *err)
{
	int count = 0;

	return github_repositories(gh, NULL, see_repository, &count, err);
}

/* The small parsers on bytes of their own: a Link header, where a redirect leads, facts. */
static enum err_class parse_parts(struct github *gh, struct err *err)
{
	AUTO_RESPONSE struct http_response response = {.body = buf_make(1 << 16),
						       .headers = buf_make(1 << 16)};
	char message[GITHUB_MESSAGE_MAX];
	AUTO_FREE char *link = NULL, *hop = NULL;
	struct github_facts facts;
	struct github_pace pace = {0};
	const char *text = "";
	size_t len = 0;

	(void)gh;
	if (next_answer(&text, &len)) {
		AUTO_FREE char *copy = str_dup_len(text, len);

		link = github_link_next(copy);
		must(!link || strstr(copy, link));
		hop = github_same_origin(API "/a", copy);
		must(!hop || (!strncasecmp(hop, API, strlen(API)) &&
			      (hop[strlen(API)] == '/' || !hop[strlen(API)])));
	}
	if (next_answer(&text, &len))
		fill_response(&response, text, len);
	github_facts_read(&facts, &response, GITHUB_CORE, 1700000000000);
	must(facts.retry_after_ms >= -1 && facts.reset_in_ms >= -1);
	github_pace_learn(&pace, &facts, 1000);
	must(pace.paused_until_ms[GITHUB_CORE] <= 1000 + 2 * 3600000);
	must(strlen(github_answer_message(&response, message)) < sizeof message);
	return err_set(err, ERR_BUG, "nothing was asked");
}

static const struct {
	char letter;
	enum err_class (*run)(struct github *gh, struct err *err);
} operations[] = {
	{'p', ask_pull},      {'u', ask_permission}, {'i', ask_identity},
	{'f', find_comment},  {'c', create_comment}, {'k', find_check},
	{'n', create_check},  {'s', create_status},  {'d', list_deliveries},
	{'y', get_payload},   {'t', get_token},	     {'r', add_reaction},
	{'m', minimize},      {'x', parse_parts},    {'h', find_hook},
	{'l', list_comments}, {'e', ask_edited},     {'o', find_reaction},
	{'g', ask_merge},     {'q', enqueue},	     {'b', delete_branch},
	{'S', ask_state},     {'Q', look_at_queue},  {'D', dequeue},
	{'R', ask_reviews},   {'P', ask_people},     {'F', ask_file},
	{'T', ask_team},      {'U', ask_user},	     {'L', list_repositories},
};

static struct github *make_github(bool is_app)
{
	struct github *gh = mem_new(1, sizeof *gh);

	pthread_mutex_init(&gh->lock, NULL);
	pthread_cond_init(&gh->minted, NULL);
	gh->api_url = str_dup(API);
	gh->graphql_url = str_dup(API "/graphql");
	gh->api_version = str_dup("2022-11-28");
	gh->limits = (struct github_limits){.writes_per_minute = 64, .writes_per_hour = 64};
	gh->app_id = is_app ? str_dup("4711") : NULL;
	gh->secret_file = str_dup("/nonexistent/token");
	gh->token = str_dup(OWN_TOKEN);
	return gh;
}

static void check_error(const struct err *err, enum err_class class)
{
	must(err->class == class && *err->msg);
	must(text_is_sound(err->msg, strlen(err->msg)));
	must(!strpbrk(err->msg, "\r\n"));
	must(class != ERR_THROTTLED || err->retry_at_ms > 0);
	/* The credential of the last request, or the beginning of it, is in no message. */
	if (strlen(script.bearer) >= 16) {
		script.bearer[16] = '\0';
		must(!strstr(err->msg, script.bearer));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *line_end = size ? memchr(text, '\n', size) : NULL;
	enum err_class class = ERR_OK;
	struct err err = {0};
	struct github *gh;

	if (!line_end || line_end == text)
		return 0;
	log_set_level(LOG_LEVEL_ERROR);
	script.at = line_end + 1;
	script.end = text + size;
	script.bearer[0] = '\0';
	gh = make_github(text[1] == 'a');
	for (size_t i = 0; i < ARRAY_LEN(operations); i++)
		if (operations[i].letter == text[0])
			class = operations[i].run(gh, &err);
	if (class)
		check_error(&err, class);
	github_free(gh);
	return 0;
}
