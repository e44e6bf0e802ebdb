/* github_missed.h - what GitHub wanted to tell us and could not: its log of deliveries, and
 * comments as they stand.
 *
 * The log belongs to the App, or to a webhook of a repository (then reading it takes administration
 * of the repository and the scope admin:repo_hook). GitHub keeps it for three days. Reads only. Any
 * thread with an http of its own. Sources: "Webhook deliveries for a GitHub App", "Repository
 * webhooks", "Issue comments", "Repositories for
 * the authenticated user" of GitHub's REST API. */
#ifndef KF_SERVICES_GITHUB_MISSED_H
#define KF_SERVICES_GITHUB_MISSED_H

#include <jansson.h>

#include "lib/services/github.h"

/* Every repository that the token's user was given something in and that is not archived (token
 * mode only), until `each` returns false or the list ends. The target is borrowed for the call. */
enum err_class github_repositories(struct github *gh, struct http *http,
				   bool (*each)(void *arg, const struct github_target *repo),
				   void *arg, struct err *err) MUST_CHECK;

/* A webhook of a repository. */
struct github_hook {
	struct github_target repo;
	int64_t id;
};

/* The active one whose address ends with `path`. NOT_FOUND: none, or we may not look (GitHub often
 * does not say which); DENIED: we may not look. */
enum err_class github_hook_find(struct github *gh, struct http *http,
				const struct github_target *repo, const char *path, int64_t *out_id,
				struct err *err) MUST_CHECK;

struct github_delivery {
	int64_t id;
	char guid[64];
	char event[64];
	int64_t delivered_at_ms;
	int status_code;
	bool ok;
};
/* Newest first, until `each` returns false or the list ends. `hook` NULL: the App's own (App mode
 * only). */
enum err_class github_deliveries(struct github *gh, struct http *http,
				 const struct github_hook *hook,
				 bool (*each)(void *arg, const struct github_delivery *delivery),
				 void *arg, struct err *err) MUST_CHECK;
/* The whole delivery: its payload as JSON text (the caller frees). */
enum err_class github_delivery_payload(struct github *gh, struct http *http,
				       const struct github_hook *hook, int64_t id, char **out,
				       struct err *err) MUST_CHECK;

/* Comments of all issues and pull requests of a repository that were made or changed since, oldest
 * change first, until `each` returns false or the list ends. The JSON is borrowed for the call. */
enum err_class github_comments_since(struct github *gh, struct http *http,
				     const struct github_target *repo, int64_t since_ms,
				     bool (*each)(void *arg, const json_t *comment), void *arg,
				     struct err *err) MUST_CHECK;

/* Was a comment ever changed? Asked by GraphQL: the times of REST have whole seconds, in which
 * somebody may put other words into another's mouth. NOT_FOUND: it is gone. */
enum err_class github_comment_was_edited(struct github *gh, struct http *http,
					 const struct github_target *repo, const char *node_id,
					 bool *out, struct err *err) MUST_CHECK;

/* Has a comment a reaction of ours? NOT_FOUND: it is gone. */
enum err_class github_comment_has_our_reaction(struct github *gh, struct http *http,
					       const struct github_target *repo, int64_t comment_id,
					       bool *out, struct err *err) MUST_CHECK;

#endif
