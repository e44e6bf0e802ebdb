/* github_merge.h - GitHub's side of a deployment: may the pull request be merged, its label, the
 * deployment object, and the merge itself.
 *
 * Same handle, credentials, pacing and errors as github.h. Source: GitHub's OpenAPI description,
 * version 2022-11-28, and the traps noted beside each call. */
#ifndef KF_SERVICES_GITHUB_MERGE_H
#define KF_SERVICES_GITHUB_MERGE_H

#include "lib/services/github.h"

/* What there is to know before a merge, in four reads, and three more where checks are required or
 * workflows are touched; one less when both commits are those of the `known` facts. A member that
 * could not be learned is absent, never a guess: what github_pull_state of github_impl.h brings,
 * and
 * {"behind_by","checks": {"complete","passed","pending","names"} of the required ones at `sha`,
 *  "methods": "merge, squash","reviews_required","deployments_required": [names],
 *  "touches_workflows","may_workflows","compared": between which commits}. "rules_unknown" is true
 * where rules could not be read. The caller drops *out. */
struct github_merge_question {
	int64_t pr;
	const char *sha;
	const char *method;  /* of the merge: "merge", "squash", "rebase" */
	const json_t *known; /* facts of an earlier question; NULL */
};
enum err_class github_merge_facts(struct github *gh, struct http *http,
				  const struct github_target *to,
				  const struct github_merge_question *question, json_t **out,
				  struct err *err) MUST_CHECK;

/* Merges exactly `sha`. In doubt, the pull request is looked at first: merged at that head counts
 * as done, and no merge is sent while that cannot be read. CONFLICT "merge.moved" when the head is
 * another; TRANSIENT "merge.base_moved" when the base changed during the merge; USER
 * "merge.refused" with GitHub's words when it cannot be merged, "merge.closed" when somebody has
 * closed it; that somebody has merged it at that head counts as done. *merged_sha (65 bytes) is the
 * commit of the merge. */
enum err_class github_merge(struct github *gh, struct http *http, const struct github_target *to,
			    const struct github_merge_question *question, bool in_doubt,
			    char *merged_sha, struct err *err) MUST_CHECK;

/* Makes a deployment: `body` has ref (the commit), environment, description and payload; what
 * keeps GitHub from merging the base into the branch by itself is added. In doubt, one with the
 * payload's "job" is looked for first. */
enum err_class github_deployment_create(struct github *gh, struct http *http,
					const struct github_target *to, const json_t *body,
					bool in_doubt, int64_t *out_id, struct err *err) MUST_CHECK;

/* `body` as POST .../statuses takes it; the newest of a deployment counts. In doubt, the newest is
 * looked at first. */
enum err_class github_deployment_status(struct github *gh, struct http *http,
					const struct github_target *to, int64_t id,
					const json_t *body, bool in_doubt,
					struct err *err) MUST_CHECK;

/* Makes the label be on this pull request and on no other: added here first (made when the
 * repository does not have it), then taken from the others, open or closed. May be repeated. */
enum err_class github_label_move(struct github *gh, struct http *http,
				 const struct github_target *to, int64_t pr, const char *label,
				 struct err *err) MUST_CHECK;

#endif
