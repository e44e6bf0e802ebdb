/* github_policy.h - what GitHub knows for a policy: the file itself, who is in a team, who has a
 * login.
 *
 * Same handle, credentials, pacing and errors as github.h. Source: GitHub's OpenAPI description,
 * version 2022-11-28. */
#ifndef KF_SERVICES_GITHUB_POLICY_H
#define KF_SERVICES_GITHUB_POLICY_H

#include "lib/services/github.h"

enum github_file_state {
	GITHUB_FILE_NONE,      /* no such file, or no such repository for us */
	GITHUB_FILE_FOUND,     /* text and sha are new */
	GITHUB_FILE_UNCHANGED, /* as when `etag` was told */
	GITHUB_FILE_ODD,       /* not a file, or larger than `max`; `why` says it */
};

struct github_file {
	enum github_file_state state;
	char *text; /* FOUND: owned, with a NUL after it */
	size_t len;
	char sha[65];	/* of the blob */
	char etag[128]; /* "" when GitHub did not tell one */
	char why[100];
};

struct github_file_question {
	const char *path;
	const char *ref;  /* a commit; NULL: the default branch, as it is now */
	const char *etag; /* of an earlier answer: the same content costs nothing then; NULL */
	size_t max;	  /* bytes */
};

/* A file of `to`. */
enum err_class github_file(struct github *gh, struct http *http, const struct github_target *to,
			   const struct github_file_question *question, struct github_file *out,
			   struct err *err) MUST_CHECK;
void github_file_dispose(struct github_file *file);

enum github_member {
	GITHUB_MEMBER_UNKNOWN, /* no such team, or we may not see it */
	GITHUB_MEMBER_NO,
	GITHUB_MEMBER_YES, /* active, also by a child team */
};

/* Is the login in the team of the owner of `to`? GitHub answers "not found" for both a team that is
 * not there and a person who is not in it, so then the team itself is asked for. */
enum err_class github_team_member(struct github *gh, struct http *http,
				  const struct github_target *to, const char *slug,
				  const char *login, enum github_member *out,
				  struct err *err) MUST_CHECK;

/* The numeric id of a login; 0: nobody has it. */
enum err_class github_user_id(struct github *gh, struct http *http, const struct github_target *to,
			      const char *login, int64_t *out, struct err *err) MUST_CHECK;

#endif
