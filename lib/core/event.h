/* event.h - one webhook payload, reduced to the few fields that kfops uses.
 *
 * A bounded, validating single pass over the JSON text (no DOM): depth at most 64, numbers within
 * int64, UTF-8 checked, duplicate members refused where we read them. GitHub breaks its own schema
 * (integer times, null where an object was), so anything we do not need may have any shape.
 * Sources: GitHub's "Webhook events and payloads". Pure; any thread. */
#ifndef KF_CORE_EVENT_H
#define KF_CORE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum event_kind {
	EVENT_IRRELEVANT,   /* authentic, but nothing we act on */
	EVENT_COMMENT,	    /* issue_comment.created on an open pull request by a person */
	EVENT_PULL_REQUEST, /* opened, synchronize, reopened, closed, edited(base) */
	EVENT_PING,
	EVENT_INSTALLATION, /* installation.*, installation_repositories.* */
	EVENT_CHECK_RERUN,  /* check_run.rerequested */
	EVENT_PUSH,	    /* push to the default branch: what is remembered of it is old */
};

enum { EVENT_TEXT_MAX = 256, EVENT_BODY_MAX = 300000 };

struct event {
	enum event_kind kind;
	const char *why_irrelevant; /* static text: "edited", "bot", "not a pull request", ... */
	char action[32];
	int64_t repo_id;
	char repo[EVENT_TEXT_MAX]; /* full name, owner/name */
	char default_branch[EVENT_TEXT_MAX];
	bool is_public;		 /* anybody may comment */
	int64_t installation_id; /* 0: repository or organisation hook */
	int64_t sender_id;
	char sender[EVENT_TEXT_MAX]; /* login */

	int64_t pr; /* number */
	int64_t comment_id;
	int64_t comment_at_ms; /* created_at */
	int64_t via_app_id;    /* performed_via_github_app.id, 0: none */
	char *comment_body;    /* owned; UTF-8, may be ""; only for EVENT_COMMENT */
	size_t comment_body_len;

	char head_sha[65]; /* PULL_REQUEST, CHECK_RERUN */
	char base_ref[EVENT_TEXT_MAX];
	int64_t head_repo_id; /* 0: the fork is gone */
	int64_t updated_at_ms;
	bool closed, merged;

	int64_t check_run_id;
	int64_t app_id;	      /* of the check run */
	char external_id[64]; /* uid of our job */
};

/* Reads the payload of event `name` (the X-GitHub-Event header). USER when it is not well-formed
 * JSON or a field that we need has an impossible value; the event is then all zero. Whoever calls
 * ends with event_dispose in every case. */
enum err_class event_read(struct event *out, const char *name, const char *body, size_t len,
			  struct err *err) MUST_CHECK;
void event_dispose(struct event *event);

/* True for "owner/name" in the characters that GitHub has for both. */
bool event_is_repo(const char *name);

/* True when the event name is one whose body is looked at; others need no more than the header. */
bool event_is_read(const char *name);
/* True when it only makes something happen sooner: a lost one does no harm. */
bool event_is_hint(const char *name);

#endif
