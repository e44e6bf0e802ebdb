/* github_queue.h - GitHub's merge queue, and the branch that is left after a merge.
 *
 * A branch that demands a queue takes no merge by its name: the pull request is put into the queue
 * and GitHub merges it when the checks of its group pass, or throws it out. Nothing is reported to
 * us that a look does not tell as well. Same handle, credentials, pacing and errors as github.h.
 * Source: GitHub's GraphQL schema (enqueuePullRequest, dequeuePullRequest, updateRefs). */
#ifndef KF_SERVICES_GITHUB_QUEUE_H
#define KF_SERVICES_GITHUB_QUEUE_H

#include "lib/services/github_merge.h"

/* Where the pull request stands: "open", "merged", "merged_sha", "head_sha" and "queue" as
 * github_pull_state of github_impl.h has them. The caller drops *out. */
enum err_class github_queue_look(struct github *gh, struct http *http,
				 const struct github_target *to, int64_t pr, json_t **out,
				 struct err *err) MUST_CHECK;

/* Puts exactly `sha` into the queue of its base branch, and tells in *out where it stands then. One
 * that stands there already, or is merged at that commit, is as good. CONFLICT "merge.moved" when
 * the head is another; USER "merge.closed" when it is closed, USER "merge.refused" with GitHub's
 * words when the queue does not take it. It is looked at first, so it may be repeated. */
enum err_class github_enqueue(struct github *gh, struct http *http, const struct github_target *to,
			      const struct github_merge_question *question, json_t **out,
			      struct err *err) MUST_CHECK;

/* Takes it out of the queue; that it is not in it (any more) is fine. */
enum err_class github_dequeue(struct github *gh, struct http *http, const struct github_target *to,
			      int64_t pr, struct err *err) MUST_CHECK;

/* Deletes a branch of the repository if it is at `sha` and no rule protects it; that it is gone is
 * fine. *why (ERR_MSG_MAX bytes) says why it stays, "" when it is gone. Between look and deletion
 * GitHub compares the commit once more, so nothing that was pushed meanwhile is lost. */
struct github_branch {
	const char *repository_id; /* node id */
	const char *name, *sha;
};
enum err_class github_branch_delete(struct github *gh, struct http *http,
				    const struct github_target *to,
				    const struct github_branch *branch, char *why,
				    struct err *err) MUST_CHECK;

#endif
