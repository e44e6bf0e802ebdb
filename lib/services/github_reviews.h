/* github_reviews.h - who said what about a pull request, and who wrote a commit.
 *
 * Same handle, credentials, pacing and errors as github.h. Sources: GitHub's OpenAPI description,
 * version 2022-11-28, and its GraphQL schema. */
#ifndef KF_SERVICES_GITHUB_REVIEWS_H
#define KF_SERVICES_GITHUB_REVIEWS_H

#include "lib/services/github.h"

/* All reviews of a pull request, the oldest first: [{"state": GitHub's word, "id", "login" of the
 * person (0 and "" when the account is gone), "bot", "sha" (absent: of no commit), "at_ms",
 * "known": true when GitHub shows that they belong here, which is no right}]. The caller drops
 * *out. *complete is false when there are more than were read. */
enum err_class github_reviews(struct github *gh, struct http *http, const struct github_target *to,
			      int64_t pr, json_t **out, bool *complete, struct err *err) MUST_CHECK;

/* Author, co-authors and committer of a commit, as GitHub finds their accounts by their addresses:
 * [{"id" (0: no account has the address), "name": login, or name and address, "role"}]. The caller
 * drops *out. *complete is false when GitHub did not name all. NOT_FOUND "github.no_commit". */
enum err_class github_commit_people(struct github *gh, struct http *http,
				    const struct github_target *to, const char *sha, json_t **out,
				    bool *complete, struct err *err) MUST_CHECK;

#endif
