/* policies.h - the policy files of repositories, as they are on the default branch.
 *
 * Kept in memory with GitHub's ETag: a file that has not changed costs a call without content, and
 * none at all within ten seconds in which no push was heard of. A step that is about to change
 * something asks GitHub in any case. A repository without a file uses that of its owner's
 * repository `.github`. Any thread. */
#ifndef KF_BOT_POLICIES_H
#define KF_BOT_POLICIES_H

#include "bot/world.h"

#define POLICIES_PATH ".github/kfops.yaml"

struct policies;
struct policies *policies_new(void) MUST_CHECK;
void policies_free(struct policies *take_policies);

/* Somebody pushed to the default branch of `repo`: what is kept of it is asked for again before it
 * is used. A repository of which nothing is kept costs nothing. */
void policies_moved(struct policies *policies, const char *repo);

/* Facts of rights.h about the policy of a job's repository: {"text","source","sha"}, {"none"} or
 * {"source","why"}; the caller drops it. `fresh`: as it is now. Errors are those of GitHub. */
enum err_class policies_get(struct hands *hands, const struct job *job, bool fresh, json_t **out,
			    struct err *err) MUST_CHECK;

#endif
