/* github_commits.h - which commits a pull request has, and what GitHub has written down of how they
 * came there.
 *
 * Same handle, credentials and errors as github.h. Reads only. Sources: GitHub's OpenAPI
 * description, version 2022-11-28 ("List commits on a pull request", "Compare two commits"), and
 * its GraphQL schema. */
#ifndef KF_SERVICES_GITHUB_COMMITS_H
#define KF_SERVICES_GITHUB_COMMITS_H

#include "lib/core/pin.h"
#include "lib/services/github.h"

/* When the pull request was opened, its last force push, and when its present head came to its
 * branch; that is known by the check suites that GitHub begins for every push, and not known when
 * the head is another than `pull` has by now. Times of GitHub's own; dates in commits are not
 * looked at. NOT_FOUND: the pull request is gone. */
enum err_class github_pushes(struct github *gh, struct http *http, const struct github_target *to,
			     const struct github_pull *pull, struct pin_pushes *out,
			     struct err *err) MUST_CHECK;

/* The commits of the pull request that begin with `text` (lower-case hex digits):
 * {"commits": [sha], "cut": GitHub lists no more than it did, "is_inside": only when it was cut and
 * `text` is a whole name, true for one that is reached from the head and not from the base}. No
 * name of a branch is ever looked up. The caller drops *out. */
struct github_commit_search {
	int64_t pr;
	const struct github_pull *pull;
	const char *text;
};
enum err_class github_commits_find(struct github *gh, struct http *http,
				   const struct github_target *to,
				   const struct github_commit_search *search, json_t **out,
				   struct err *err) MUST_CHECK;

#endif
