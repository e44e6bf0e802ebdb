/* effects_approvals.c - who approved a job's commit: what people said at GitHub and here, who wrote
 * the commit, and what those people may do. Whether it is enough is for lib/core/approvals.h. */
#include "bot/effects_impl.h"
#include "lib/base/clock.h"
#include "lib/core/approvers.h"
#include "lib/services/github_policy.h"
#include "lib/services/github_reviews.h"
#include "lib/store/approvals.h"
#include "lib/store/queue.h"

enum { PEOPLE_MAX = 20 }; /* whose rights are asked for; more than that is not known */

/* --- facts --- */

/* In the order of time; each list is already. */
static json_t *merge_acts(const json_t *reviews, const json_t *commands)
{
	json_t *all = json_array();
	size_t i = 0, k = 0;

	while (i < json_array_size(reviews) || k < json_array_size(commands)) {
		json_t *review = json_array_get(reviews, i), *command = json_array_get(commands, k);
		bool first = review && (!command || jval_int(review, "at_ms", 0) <=
							    jval_int(command, "at_ms", 0));

		json_array_append(all, first ? review : command);
		i += first;
		k += !first;
	}
	return all;
}

/* Only a word that might count is worth a question. */
static bool is_to_be_asked(const json_t *act, const char *sha)
{
	const char *state = jval_str(act, "state", "");

	if (jval_bool(act, "bot", false) || !jval_int(act, "id", 0))
		return false;
	return str_eq(state, "CHANGES_REQUESTED") ||
	       (str_eq(state, "APPROVED") && str_eq(jval_str(act, "sha", ""), sha));
}

/* `team`: on which it depends, and GitHub does not show it. Then it does not count, and is said. */
static void set_may(json_t *acts, int64_t id, bool pushes, bool may, const char *team)
{
	json_t *act;
	size_t i;

	json_array_foreach(acts, i, act)
	{
		if (jval_int(act, "id", 0) != id)
			continue;
		jval_set_bool(act, "push", pushes);
		jval_set_bool(act, "may", may);
		if (team)
			jval_set_str(act, "team", team);
	}
}

/* By the rule that the job keeps, asking for teams only as far as it depends on them. */
static enum err_class ask_teams(struct effect_call *call, const json_t *rule, const char *login,
				struct policy_person *person, enum approver *out, const char **team,
				struct err *err)
{
	struct policy_team teams[POLICY_TEAMS_MAX];
	struct github_target to = effect_target(call);
	enum github_member member;

	person->teams = teams;
	while ((*out = approvers_judge(rule, person, team)) == APPROVER_ASK) {
		if (person->team_count == POLICY_TEAMS_MAX) {
			*out = APPROVER_UNKNOWN;
			break;
		}
		if (github_team_member(call->hands->world->github, call->hands->github_http, &to,
				       *team, login, &member, err))
			return err_wrap(err, "could not learn whether %.60s is in the team %s",
					login, *team);
		teams[person->team_count++] = (struct policy_team){
			*team, member == GITHUB_MEMBER_YES  ? POLICY_MEMBER_YES
			       : member == GITHUB_MEMBER_NO ? POLICY_MEMBER_NO
							    : POLICY_MEMBER_UNKNOWN};
	}
	person->teams = NULL;
	return ERR_OK;
}

/* Somebody whom GitHub does not know here has no right: an answer. An account that only bears the
 * name has none either. */
static enum err_class ask_person(struct effect_call *call, const json_t *rule, const json_t *act,
				 json_t *acts, struct err *err)
{
	const char *login = jval_str(act, "login", ""), *team = NULL;
	struct github_target to = effect_target(call);
	struct github_permission seen = {0};
	int64_t id = jval_int(act, "id", 0);
	enum err_class class = github_permission(call->hands->world->github,
						 call->hands->github_http, &to, login, &seen, err);
	struct policy_person person = {.user_id = class ? 0 : seen.user_id,
				       .pull = seen.pull,
				       .triage = seen.triage,
				       .push = seen.push,
				       .maintain = seen.maintain,
				       .admin = seen.admin,
				       .role = seen.role};
	enum approver verdict = APPROVER_NO;

	if (class && class != ERR_NOT_FOUND)
		return err_wrap(err, "could not verify what %.60s may do", login);
	if (person.user_id == id && ask_teams(call, rule, login, &person, &verdict, &team, err))
		return err->class;
	set_may(acts, id, person.user_id == id && person.push, verdict == APPROVER_YES,
		verdict == APPROVER_UNKNOWN ? team : NULL);
	return ERR_OK;
}

/* Those first whom GitHub shows as belonging here: on a public repository everybody can review, and
 * must not use up the questions. */
static enum err_class ask_people(struct effect_call *call, json_t *acts, const struct job *about,
				 struct err *err)
{
	const json_t *rule = jval_at(about->data, "policy.approvers");
	size_t count = json_array_size(acts);
	int asked = 0;

	for (size_t i = 0; i < 2 * count && asked < PEOPLE_MAX; i++) {
		json_t *act = json_array_get(acts, i % count);

		if (jval_at(act, "may") || !is_to_be_asked(act, about->head_sha) ||
		    jval_bool(act, "known", false) != (i < count))
			continue;
		asked++;
		if (ask_person(call, rule, act, acts, err))
			return err->class;
	}
	return ERR_OK;
}

static enum err_class keep_acts(struct effect_call *call, const struct job *about, struct err *err)
{
	struct github_target to = effect_target(call);
	AUTO_JSON json_t *reviews = NULL, *commands = NULL;
	json_t *acts, *command;
	bool complete = false;
	size_t i;

	if (github_reviews(call->hands->world->github, call->hands->github_http, &to, about->pr,
			   &reviews, &complete, err) ||
	    approval_list(call->hands->reader, about->id, &commands, err))
		return err->class;
	json_array_foreach(commands, i, command) jval_set_bool(command, "known", true);
	acts = merge_acts(reviews, commands);
	jval_set(call->data, "acts", acts);
	jval_set_bool(call->data, "complete", complete);
	return ask_people(call, acts, about, err);
}

static enum err_class keep_authors(struct effect_call *call, const struct job *about,
				   struct err *err)
{
	struct github_target to = effect_target(call);
	json_t *authors = NULL;
	bool complete = false;
	enum err_class class =
		github_commit_people(call->hands->world->github, call->hands->github_http, &to,
				     about->head_sha, &authors, &complete, err);

	if (class && class != ERR_NOT_FOUND)
		return class;
	if (!class)
		jval_set(call->data, "authors", authors);
	jval_set_bool(call->data, "authors_known",
		      !class && complete && jval_int(call->data, "pull_author_id", 0) > 0);
	return ERR_OK;
}

static enum err_class keep_pull(struct effect_call *call, const struct job *about, struct err *err)
{
	struct github_target to = effect_target(call);
	struct github_pull pull;

	if (github_pull(call->hands->world->github, call->hands->github_http, &to, about->pr, &pull,
			err))
		return err_wrap(err, "cannot read the pull request");
	jval_set_bool(call->data, "open", pull.open);
	jval_set_str(call->data, "head_sha", pull.head_sha);
	return ERR_OK;
}

/* Nothing is asked where no approvals are. */
static enum err_class gather(struct effect_call *call, const struct job *about, struct err *err)
{
	const char *environment = jval_str(about->data, "rollout.environment", "");
	const json_t *approvers = jval_at(about->data, "policy.approvers");
	json_t *base = jval_at(call->args, "base_changed_at_ms");
	int64_t need = effect_approvals_needed(call, about);

	if (!base) /* of another job: as it has heard */
		base = jval_at(about->data, "facts.base_changed_at_ms");
	jval_set_int(call->data, "need", need);
	jval_set_bool(call->data, "reviews", true);
	jval_set_str(call->data, "sha", about->head_sha);
	jval_set_str(call->data, "environment", environment);
	if (approvers)
		jval_set(call->data, "approvers", json_deep_copy(approvers));
	if (json_is_integer(base))
		jval_set(call->data, "base_changed_at_ms", json_incref(base));
	jval_set_int(call->data, "requester_id", about->actor_id);
	jval_set_int(call->data, "pull_author_id", jval_int(about->data, "facts.author_id", 0));
	if (!need)
		return ERR_OK;
	if (keep_pull(call, about, err) || keep_acts(call, about, err) ||
	    keep_authors(call, about, err))
		return err->class;
	return ERR_OK;
}

enum err_class effect_approvals(struct effect_call *call, struct err *err)
{
	int64_t id = jval_int(call->args, "job", 0);
	struct job about = {0};
	enum err_class class;

	if (!id)
		return gather(call, call->job, err);
	class = queue_load(call->hands->reader, id, &about, err);
	if (class)
		return class;
	class = gather(call, &about, err);
	job_dispose(&about);
	return class;
}

/* --- /approve --- */

/* By GitHub's clock, as reviews are: that of this machine may be another. */
static int64_t said_at_ms(const struct job *job)
{
	return job->comment_at_ms > 0 ? job->comment_at_ms : clock_now_ms();
}

struct approve_op {
	const struct effect_call *call;
	json_t *found;
};

static enum err_class run_approve(struct db *db, void *arg, struct err *err)
{
	struct approve_op *op = arg;

	return approval_add(db, op->call->job, jval_int(op->call->args, "job", 0),
			    said_at_ms(op->call->job), clock_now_ms(), &op->found, err);
}

enum err_class effect_approve(struct effect_call *call, struct err *err)
{
	struct approve_op op = {.call = call};

	if (writer_call(call->hands->world->writer, run_approve, &op, err))
		return err->class;
	json_object_update(call->data, op.found);
	json_decref(op.found);
	return ERR_OK;
}
