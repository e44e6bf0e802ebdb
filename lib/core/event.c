/* event.c - see event.h.
 *
 * Each event name that is read has a table of the members that matter; scan.c finds them in one
 * pass, and a function per event judges them. What makes an event irrelevant is looked at before
 * what makes it faulty, so a payload that we would not act on anyway is never an error, however odd
 * it is. Names that end up in URLs and answers are checked against the characters GitHub gives
 * them, and no text with a NUL byte gets into a fixed field: it would be cut there. An unpaired
 * surrogate in a comment becomes U+FFFD rather than an error, because a 400 would lose the comment
 * without a word to its author; the command parser refuses that character in arguments. */
#include "lib/core/event.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/core/scan.h"

/* Slots of all tables. */
enum {
	TOP,
	ACTION,
	NUMBER,
	COMMENT,
	COMMENT_ID,
	COMMENT_BODY,
	COMMENT_AT,
	AUTHOR,
	AUTHOR_ID,
	AUTHOR_LOGIN,
	AUTHOR_TYPE,
	VIA_APP,
	VIA_APP_ID,
	ISSUE,
	ISSUE_NUMBER,
	ISSUE_STATE,
	ISSUE_PR,
	ISSUE_MERGED_AT,
	REPO,
	REPO_ID,
	REPO_NAME,
	REPO_BRANCH,
	REPO_PRIVATE,
	SENDER,
	SENDER_ID,
	SENDER_LOGIN,
	SENDER_TYPE,
	INSTALLATION,
	INSTALLATION_ID,
	PR,
	PR_STATE,
	PR_MERGED,
	PR_UPDATED_AT,
	PR_HEAD,
	PR_HEAD_SHA,
	PR_HEAD_REPO,
	PR_HEAD_REPO_ID,
	PR_BASE,
	PR_BASE_REF,
	CHANGES,
	CHANGES_BASE,
	CHECK,
	CHECK_ID,
	CHECK_SHA,
	CHECK_EXTERNAL_ID,
	CHECK_APP,
	CHECK_APP_ID,
	PUSH_REF,
	SLOT_COUNT
};

#define WANTS static const struct scan_want

WANTS repo_wants[] = {SCAN_WANT("id", REPO_ID, NULL), SCAN_WANT("full_name", REPO_NAME, NULL),
		      SCAN_WANT("default_branch", REPO_BRANCH, NULL),
		      SCAN_WANT("private", REPO_PRIVATE, NULL), SCAN_END};
WANTS sender_wants[] = {SCAN_WANT("id", SENDER_ID, NULL), SCAN_WANT("login", SENDER_LOGIN, NULL),
			SCAN_WANT("type", SENDER_TYPE, NULL), SCAN_END};
WANTS installation_wants[] = {SCAN_WANT("id", INSTALLATION_ID, NULL), SCAN_END};

#define COMMON_WANTS                                                                               \
	SCAN_WANT("action", ACTION, NULL), SCAN_WANT("repository", REPO, repo_wants),              \
		SCAN_WANT("sender", SENDER, sender_wants),                                         \
		SCAN_WANT("installation", INSTALLATION, installation_wants)

WANTS author_wants[] = {SCAN_WANT("id", AUTHOR_ID, NULL), SCAN_WANT("login", AUTHOR_LOGIN, NULL),
			SCAN_WANT("type", AUTHOR_TYPE, NULL), SCAN_END};
WANTS via_app_wants[] = {SCAN_WANT("id", VIA_APP_ID, NULL), SCAN_END};
WANTS comment_wants[] = {SCAN_WANT("id", COMMENT_ID, NULL),
			 SCAN_WANT("body", COMMENT_BODY, NULL),
			 SCAN_WANT("created_at", COMMENT_AT, NULL),
			 SCAN_WANT("user", AUTHOR, author_wants),
			 SCAN_WANT("performed_via_github_app", VIA_APP, via_app_wants),
			 SCAN_END};
WANTS issue_pr_wants[] = {SCAN_WANT("merged_at", ISSUE_MERGED_AT, NULL), SCAN_END};
WANTS issue_wants[] = {SCAN_WANT("number", ISSUE_NUMBER, NULL),
		       SCAN_WANT("state", ISSUE_STATE, NULL),
		       SCAN_WANT("pull_request", ISSUE_PR, issue_pr_wants), SCAN_END};
WANTS comment_event_wants[] = {COMMON_WANTS, SCAN_WANT("comment", COMMENT, comment_wants),
			       SCAN_WANT("issue", ISSUE, issue_wants), SCAN_END};

WANTS head_repo_wants[] = {SCAN_WANT("id", PR_HEAD_REPO_ID, NULL), SCAN_END};
WANTS head_wants[] = {SCAN_WANT("sha", PR_HEAD_SHA, NULL),
		      SCAN_WANT("repo", PR_HEAD_REPO, head_repo_wants), SCAN_END};
WANTS base_wants[] = {SCAN_WANT("ref", PR_BASE_REF, NULL), SCAN_END};
WANTS pr_wants[] = {
	SCAN_WANT("state", PR_STATE, NULL),	      SCAN_WANT("merged", PR_MERGED, NULL),
	SCAN_WANT("updated_at", PR_UPDATED_AT, NULL), SCAN_WANT("head", PR_HEAD, head_wants),
	SCAN_WANT("base", PR_BASE, base_wants),	      SCAN_END};
WANTS changes_wants[] = {SCAN_WANT("base", CHANGES_BASE, NULL), SCAN_END};
WANTS pr_event_wants[] = {COMMON_WANTS, SCAN_WANT("number", NUMBER, NULL),
			  SCAN_WANT("pull_request", PR, pr_wants),
			  SCAN_WANT("changes", CHANGES, changes_wants), SCAN_END};

WANTS check_app_wants[] = {SCAN_WANT("id", CHECK_APP_ID, NULL), SCAN_END};
WANTS check_wants[] = {SCAN_WANT("id", CHECK_ID, NULL), SCAN_WANT("head_sha", CHECK_SHA, NULL),
		       SCAN_WANT("external_id", CHECK_EXTERNAL_ID, NULL),
		       SCAN_WANT("app", CHECK_APP, check_app_wants), SCAN_END};
WANTS check_event_wants[] = {COMMON_WANTS, SCAN_WANT("check_run", CHECK, check_wants), SCAN_END};

WANTS push_event_wants[] = {COMMON_WANTS, SCAN_WANT("ref", PUSH_REF, NULL), SCAN_END};

WANTS common_event_wants[] = {COMMON_WANTS, SCAN_END};

struct reading {
	struct scan_value values[SLOT_COUNT];
	struct event *out;
	struct err *err;
};

static enum err_class bad(struct reading *r, const char *what)
{
	return err_code(r->err, ERR_USER, "event.field", "The event's %s.", what);
}

static bool is_absent(const struct reading *r, int slot)
{
	return r->values[slot].type <= SCAN_NULL;
}

/* The recorded string equals a plain word. */
static bool is_word(const struct reading *r, int slot, const char *word)
{
	const struct scan_value *value = &r->values[slot];

	return value->type == SCAN_STRING && !value->escaped && value->len == strlen(word) &&
	       !memcmp(value->at, word, value->len);
}

/* Copies a string of at most size - 1 bytes without NUL bytes; "" and false when it is anything
 * else. */
static bool copy_text(const struct reading *r, int slot, char *out, size_t size)
{
	const struct scan_value *value = &r->values[slot];
	size_t len;

	out[0] = '\0';
	if (value->type != SCAN_STRING || value->len >= size)
		return false;
	len = scan_unescape(out, value);
	out[len] = '\0';
	if (memchr(out, '\0', len)) {
		out[0] = '\0';
		return false;
	}
	return true;
}

static bool is_name(const char *text, const char *extra)
{
	for (const char *p = text; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		      (*p >= '0' && *p <= '9') || strchr(extra, *p)))
			return false;
	return *text != '\0';
}

/* Text of characters from one set, at least one. */
static bool copy_name(const struct reading *r, int slot, char *out, size_t size, const char *extra)
{
	return copy_text(r, slot, out, size) && is_name(out, extra);
}

/* The name of a branch; git allows neither blanks nor controls in it. */
static bool copy_branch(const struct reading *r, int slot, char *out, size_t size)
{
	if (!copy_text(r, slot, out, size) || !*out)
		return false;
	for (const char *p = out; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return false;
	return true;
}

static bool read_id(const struct reading *r, int slot, int64_t *out)
{
	return scan_int64(out, &r->values[slot]) && *out > 0;
}

/* An id that may be missing (0 then), but not be something else than an id. */
static bool read_optional_id(const struct reading *r, int object, int slot, int64_t *out)
{
	*out = 0;
	return is_absent(r, object) || read_id(r, slot, out);
}

static int two_digits(const char *p)
{
	return (p[0] - '0') * 10 + p[1] - '0';
}

static bool is_plain_time(const char *text, size_t len)
{
	static const char shape[] = "0000-00-00T00:00:00Z";

	if (len != sizeof shape - 1)
		return false;
	for (size_t i = 0; i < len; i++)
		if (shape[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
			return false;
	return true;
}

/* "2023-02-07T12:54:40Z" without sscanf, which alone would cost a tenth of the whole reading. */
static bool read_plain_time(int64_t *out_ms, const char *text, size_t len)
{
	static const int days_before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int year, month, day, seconds;
	int64_t days;

	if (!is_plain_time(text, len))
		return false;
	year = two_digits(text) * 100 + two_digits(text + 2);
	month = two_digits(text + 5);
	day = two_digits(text + 8);
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 ||
	    two_digits(text + 11) > 23 || two_digits(text + 14) > 59)
		return false;
	days = (year - 1970) * 365 + (year - 1969) / 4 - (year - 1901) / 100 + (year - 1601) / 400;
	if (month > 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		days++;
	days += days_before[month - 1] + day - 1;
	seconds = (two_digits(text + 11) * 60 + two_digits(text + 14)) * 60 + two_digits(text + 17);
	*out_ms = (days * 86400 + seconds) * 1000;
	return true;
}

/* A time in any of GitHub's three forms. */
static bool read_time(const struct reading *r, int slot, int64_t *out_ms)
{
	const struct scan_value *value = &r->values[slot];
	char text[64];

	if ((value->type != SCAN_STRING && value->type != SCAN_NUMBER) || value->len >= sizeof text)
		return false;
	if (read_plain_time(out_ms, value->at, value->len))
		return true;
	memcpy(text, value->at, value->len);
	text[value->len] = '\0';
	return clock_parse(out_ms, text);
}

bool event_is_repo(const char *name)
{
	const char *slash = strchr(name, '/');

	return is_name(name, "-_./") && slash && slash > name && slash[1] &&
	       !strchr(slash + 1, '/') && name[0] != '.' && !str_eq(slash + 1, ".") &&
	       !str_eq(slash + 1, "..");
}

static enum err_class read_repo(struct reading *r)
{
	struct event *e = r->out;

	if (!read_id(r, REPO_ID, &e->repo_id))
		return bad(r, "repository.id is missing or not an id");
	if (!copy_text(r, REPO_NAME, e->repo, sizeof e->repo) || !event_is_repo(e->repo))
		return bad(r, "repository.full_name is missing or not owner/name");
	e->is_public = r->values[REPO_PRIVATE].type == SCAN_FALSE;
	if (!copy_branch(r, REPO_BRANCH, e->default_branch, sizeof e->default_branch) &&
	    !is_absent(r, REPO_BRANCH))
		return bad(r, "repository.default_branch is not the name of a branch");
	if (!read_optional_id(r, INSTALLATION, INSTALLATION_ID, &e->installation_id))
		return bad(r, "installation.id is not an id");
	return ERR_OK;
}

static enum err_class read_sender(struct reading *r)
{
	struct event *e = r->out;

	if (!read_id(r, SENDER_ID, &e->sender_id))
		return bad(r, "sender.id is missing or not an id");
	if (!copy_name(r, SENDER_LOGIN, e->sender, sizeof e->sender, "-_.[]"))
		return bad(r, "sender.login is missing or not a login");
	return ERR_OK;
}

/* Ends the reading of an event that we do not act on. Repository and sender are kept for the log if
 * they are what they should be. */
static enum err_class irrelevant(struct reading *r, const char *why)
{
	struct event *e = r->out;
	struct err ignored, *err = r->err;

	r->err = &ignored;
	if (read_repo(r))
		e->repo[0] = e->default_branch[0] = '\0';
	if (read_sender(r))
		e->sender[0] = '\0';
	r->err = err;
	e->kind = EVENT_IRRELEVANT;
	e->why_irrelevant = why;
	return ERR_OK;
}

/* The comment's text; kept with its length, since it may hold NUL bytes. */
static enum err_class read_comment_body(struct reading *r)
{
	const struct scan_value *value = &r->values[COMMENT_BODY];
	struct event *e = r->out;

	if (value->type != SCAN_STRING && value->type != SCAN_NULL)
		return bad(r, "comment.body is missing or not text");
	e->comment_body = mem_new(value->len + 1, 1);
	e->comment_body_len =
		value->type == SCAN_STRING ? scan_unescape(e->comment_body, value) : 0;
	e->comment_body[e->comment_body_len] = '\0';
	if (e->comment_body_len > EVENT_BODY_MAX)
		return bad(r, "comment.body is longer than a comment can be");
	return ERR_OK;
}

/* What makes a created comment none of our business; NULL when nothing does. */
static const char *comment_is_irrelevant(struct reading *r)
{
	int64_t author, sender;

	if (!is_word(r, ACTION, "created"))
		return is_word(r, ACTION, "edited")    ? "edited"
		       : is_word(r, ACTION, "deleted") ? "deleted"
						       : "action not used";
	if (r->values[ISSUE].type == SCAN_OBJECT && is_absent(r, ISSUE_PR))
		return "not a pull request";
	if (is_word(r, SENDER_TYPE, "Bot") || is_word(r, AUTHOR_TYPE, "Bot"))
		return "bot";
	if (r->values[AUTHOR].type == SCAN_NULL)
		return "the author is gone";
	if (r->values[AUTHOR_TYPE].type == SCAN_STRING && !is_word(r, AUTHOR_TYPE, "User"))
		return "not a person";
	if (read_id(r, AUTHOR_ID, &author) && read_id(r, SENDER_ID, &sender) && author != sender)
		return "sender is not the author";
	return NULL;
}

static enum err_class read_comment(struct reading *r)
{
	const char *why = comment_is_irrelevant(r);
	struct event *e = r->out;
	enum err_class class;

	if (why)
		return irrelevant(r, why);
	e->kind = EVENT_COMMENT;
	if (!is_word(r, AUTHOR_TYPE, "User") || r->values[ISSUE_PR].type != SCAN_OBJECT)
		return bad(r, "comment.user or issue.pull_request is missing");
	if (!read_id(r, AUTHOR_ID, &(int64_t){0}))
		return bad(r, "comment.user.id is missing or not an id");
	if (!read_id(r, COMMENT_ID, &e->comment_id) || !read_id(r, ISSUE_NUMBER, &e->pr))
		return bad(r, "comment.id or issue.number is missing or not an id");
	if (!read_time(r, COMMENT_AT, &e->comment_at_ms))
		return bad(r, "comment.created_at is missing or not a time");
	if (!read_optional_id(r, VIA_APP, VIA_APP_ID, &e->via_app_id))
		return bad(r, "comment.performed_via_github_app.id is not an id");
	if (!is_word(r, ISSUE_STATE, "open") && !is_word(r, ISSUE_STATE, "closed"))
		return bad(r, "issue.state is neither open nor closed");
	e->closed = is_word(r, ISSUE_STATE, "closed");
	e->merged = e->closed && !is_absent(r, ISSUE_MERGED_AT);
	class = read_repo(r);
	if (!class)
		class = read_sender(r);
	return class ? class : read_comment_body(r);
}

static bool pr_action_is_used(const struct reading *r)
{
	static const char *const used[] = {"opened", "synchronize", "reopened", "closed", "edited"};

	for (size_t i = 0; i < ARRAY_LEN(used); i++)
		if (is_word(r, ACTION, used[i]))
			return true;
	return false;
}

static enum err_class read_pull_request(struct reading *r)
{
	struct event *e = r->out;
	enum err_class class;

	if (!pr_action_is_used(r))
		return irrelevant(r, "action not used");
	if (is_word(r, ACTION, "edited") && is_absent(r, CHANGES_BASE))
		return irrelevant(r, "edited, but not its base");
	e->kind = EVENT_PULL_REQUEST;
	if (!read_id(r, NUMBER, &e->pr))
		return bad(r, "number is missing or not an id");
	if (!copy_text(r, PR_HEAD_SHA, e->head_sha, sizeof e->head_sha) ||
	    !str_is_object_name(e->head_sha))
		return bad(r, "pull_request.head.sha is missing or not an object name");
	if (!copy_branch(r, PR_BASE_REF, e->base_ref, sizeof e->base_ref))
		return bad(r, "pull_request.base.ref is missing or not the name of a branch");
	if (!read_optional_id(r, PR_HEAD_REPO, PR_HEAD_REPO_ID, &e->head_repo_id))
		return bad(r, "pull_request.head.repo.id is not an id");
	if (!read_time(r, PR_UPDATED_AT, &e->updated_at_ms))
		return bad(r, "pull_request.updated_at is missing or not a time");
	if (!is_word(r, PR_STATE, "open") && !is_word(r, PR_STATE, "closed"))
		return bad(r, "pull_request.state is neither open nor closed");
	e->closed = is_word(r, PR_STATE, "closed");
	e->merged = e->closed && r->values[PR_MERGED].type == SCAN_TRUE;
	class = read_repo(r);
	return class ? class : read_sender(r);
}

static enum err_class read_check_run(struct reading *r)
{
	struct event *e = r->out;
	enum err_class class;

	if (!is_word(r, ACTION, "rerequested"))
		return irrelevant(r, "action not used");
	if (is_word(r, SENDER_TYPE, "Bot"))
		return irrelevant(r, "bot");
	if (!copy_name(r, CHECK_EXTERNAL_ID, e->external_id, sizeof e->external_id, "-_./:"))
		return irrelevant(r, "not a check run of ours");
	e->kind = EVENT_CHECK_RERUN;
	if (!read_id(r, CHECK_ID, &e->check_run_id))
		return bad(r, "check_run.id is missing or not an id");
	if (!read_id(r, CHECK_APP_ID, &e->app_id))
		return bad(r, "check_run.app.id is missing or not an id");
	if (!copy_text(r, CHECK_SHA, e->head_sha, sizeof e->head_sha) ||
	    !str_is_object_name(e->head_sha))
		return bad(r, "check_run.head_sha is missing or not an object name");
	class = read_repo(r);
	return class ? class : read_sender(r);
}

static enum err_class read_installation(struct reading *r)
{
	struct event *e = r->out;

	e->kind = EVENT_INSTALLATION;
	if (!*e->action)
		return bad(r, "action is missing");
	if (!read_id(r, INSTALLATION_ID, &e->installation_id))
		return bad(r, "installation.id is missing or not an id");
	return read_sender(r);
}

/* Nothing depends on it, so whatever is odd about one is no error. */
static enum err_class read_push(struct reading *r)
{
	static const char heads[] = "refs/heads/";
	char ref[sizeof heads + EVENT_TEXT_MAX];
	struct event *e = r->out;
	enum err_class class = irrelevant(r, "not the default branch");

	if (!*e->repo || !*e->default_branch || !copy_text(r, PUSH_REF, ref, sizeof ref) ||
	    !str_starts(ref, heads) || !str_eq(ref + strlen(heads), e->default_branch))
		return class;
	e->kind = EVENT_PUSH;
	e->why_irrelevant = NULL;
	return ERR_OK;
}

static enum err_class read_ping(struct reading *r)
{
	r->out->kind = EVENT_PING;
	return ERR_OK;
}

static const struct reader {
	const char *name;
	const struct scan_want *wants;
	enum err_class (*read)(struct reading *r);
} readers[] = {
	{"issue_comment", comment_event_wants, read_comment},
	{"pull_request", pr_event_wants, read_pull_request},
	{"ping", common_event_wants, read_ping},
	{"installation", common_event_wants, read_installation},
	{"installation_repositories", common_event_wants, read_installation},
	{"check_run", check_event_wants, read_check_run},
	{"push", push_event_wants, read_push},
};

static const struct reader *find_reader(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(readers); i++)
		if (str_eq(readers[i].name, name))
			return &readers[i];
	return NULL;
}

bool event_is_read(const char *name)
{
	return find_reader(name) != NULL;
}

bool event_is_hint(const char *name)
{
	const struct reader *reader = find_reader(name);

	return reader && reader->read == read_push;
}

static enum err_class read_event(struct reading *r, const struct reader *reader, const char *body,
				 size_t len)
{
	size_t offset = 0;
	const char *why = scan_json(body, len, reader->wants, r->values, &offset);

	if (why)
		return err_code(r->err, ERR_USER, "event.json",
				"The event is not well-formed JSON: %s at byte %zu.", why, offset);
	if (r->values[TOP].type != SCAN_OBJECT)
		return err_code(r->err, ERR_USER, "event.json", "The event is not a JSON object.");
	if (!copy_text(r, ACTION, r->out->action, sizeof r->out->action) &&
	    reader->read != read_ping && reader->read != read_push &&
	    r->values[ACTION].type != SCAN_STRING)
		return bad(r, "action is missing or not text");
	return reader->read(r);
}

enum err_class event_read(struct event *out, const char *name, const char *body, size_t len,
			  struct err *err)
{
	const struct reader *reader = find_reader(name);
	struct reading r = {.out = out, .err = err};
	enum err_class class;

	*out = (struct event){.kind = EVENT_IRRELEVANT};
	if (!reader) {
		out->why_irrelevant = "event not used";
		return ERR_OK;
	}
	class = read_event(&r, reader, body, len);
	if (class)
		event_dispose(out);
	return class;
}

void event_dispose(struct event *event)
{
	mem_free(event->comment_body);
	*event = (struct event){0};
}
