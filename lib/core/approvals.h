/* approvals.h - have enough people approved this commit: who counts, and why each other one does
 * not.
 *
 * What people said comes as acts in the order of time: reviews at GitHub, and /approve. Of each
 * person the last act that says something holds. It counts only for the commit it was said of, and
 * never from whoever asked for the job, opened the pull request, or wrote, committed or
 * co-authored the commit. Whatever is not known denies: a commit whose author has no account on
 * GitHub has no approvals, because nobody can tell that an approver is somebody else. Persons are
 * told apart by GitHub's number. Pure; any thread. */
#ifndef KF_CORE_APPROVALS_H
#define KF_CORE_APPROVALS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/gates.h"

enum {
	APPROVALS_ACTS_MAX = 1000, /* of a pull request; more are not complete */
	APPROVALS_AUTHORS_MAX = 100,
	APPROVALS_VOICES_MAX = 50, /* people whose word is told; all are counted */
	APPROVALS_WHY_MAX = 160,
};

enum approval_kind {
	APPROVAL_COMMENT, /* says nothing: also a review that is not submitted yet */
	APPROVAL_APPROVED,
	APPROVAL_CHANGES,   /* changes are requested */
	APPROVAL_DISMISSED, /* somebody took it back */
};

struct approval_act {
	enum approval_kind kind;
	bool is_command; /* /approve of this job; else a review */
	bool is_bot;
	int64_t user_id;
	const char *login;
	const char *sha;  /* of what it was said */
	enum fact may;	  /* approve here, by the policy and GitHub's answer about the person */
	int64_t at_ms;	  /* by GitHub's clock */
	enum fact pushes; /* the person has write permission: may say no */
	const char *team; /* on which it depends, and nobody could tell; "": none */
};

struct approval_author {
	int64_t user_id;  /* 0: no account is known */
	const char *name; /* login, or the name and address in the commit */
	const char *role; /* "author", "committer", "co-author" */
};

struct approval_facts {
	const char *sha;
	int need;
	bool reviews_count; /* reviews at GitHub do, not only /approve */
	int64_t requester_id, pull_author_id;
	const struct approval_author *authors;
	size_t author_count;
	bool authors_known; /* all of them are there */
	const struct approval_act *acts;
	size_t act_count;
	bool acts_complete;
	bool base_known;	    /* the next is known */
	int64_t base_changed_at_ms; /* what was said before is of another pull request; 0: never */
};

struct approval_voice {
	int64_t user_id;
	const char *login; /* borrowed from the facts */
	bool counts;
	char why[APPROVALS_WHY_MAX]; /* why it does not; "" when it does */
};

struct approvals {
	int have, need;
	enum fact enough;		 /* as far as approvals go */
	enum fact changes_requested;	 /* by somebody whose word counts, and not taken back */
	const char *changes_by;		 /* borrowed; NULL */
	char unknown[APPROVALS_WHY_MAX]; /* what is not known, if that is in the way; "" */
	size_t voice_count;
	struct approval_voice voices[APPROVALS_VOICES_MAX];
};

void approvals_judge(struct approvals *out, const struct approval_facts *facts);

/* Facts as effect github.approvals brings them: {"authors": [{"id","name","role"}],
 * "authors_known", "acts": [{"state" (GitHub's word), "command", "bot", "id", "login", "sha",
 * "may" and "push" (absent: not known), "team", "at_ms"}], "complete", "base_changed_at_ms"
 * (absent: not known)}. What they point into is borrowed
 * from `data` and kept in *room; sha, need, reviews_count and the two ids are the caller's to set.
 */
struct approvals_room {
	struct approval_act acts[APPROVALS_ACTS_MAX];
	struct approval_author authors[APPROVALS_AUTHORS_MAX];
};
void approvals_read(struct approval_facts *out, struct approvals_room *room, const json_t *data);

#endif
