/* github_state.c - see github_impl.h. One question to GraphQL about a pull request: what it is, may
 * it be merged, which reviews, conversations and deployments there are, where it stands in the
 * merge queue.
 *
 * REST needs four calls for half of it and does not know the other half. An answer may have gaps,
 * for a field that the credential may not read is null and named in "errors": such a field is left
 * out of what is learned, so that "not allowed to know" is never taken for "there is none". */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/services/github_impl.h"

static const char question[] =
	"query($owner: String!, $name: String!, $number: Int!) { "
	"repository(owner: $owner, name: $name) { id mergeCommitAllowed squashMergeAllowed "
	"rebaseMergeAllowed defaultBranchRef { name } pullRequest(number: $number) { "
	"id state isDraft merged isCrossRepository headRefName headRefOid baseRefName "
	"author { login ... on User { databaseId } } mergeCommit { oid } mergeable "
	"mergeStateStatus reviewDecision isMergeQueueEnabled mergeQueueEntry { state position } "
	"baseRef { target { oid } refUpdateRule { requiresConversationResolution "
	"requiresSignatures viewerCanPush } } reviewThreads(first: 100) { totalCount nodes { "
	"isResolved } } "
	"commits(last: 1) { nodes { commit { oid deployments(last: 50) { nodes { environment "
	"state } } } } } timelineItems(last: 1, itemTypes: [REMOVED_FROM_MERGE_QUEUE_EVENT]) { "
	"nodes { ... on RemovedFromMergeQueueEvent { reason createdAt } } } "
	"baseChanges: timelineItems(last: 1, itemTypes: [BASE_REF_CHANGED_EVENT, "
	"AUTOMATIC_BASE_CHANGE_SUCCEEDED_EVENT]) { nodes { ... on BaseRefChangedEvent { createdAt "
	"} "
	"... on AutomaticBaseChangeSucceededEvent { createdAt } } } } } }";

/* True when GitHub did not say what the field is. */
static bool is_unread(const json_t *answer, const char *field)
{
	const json_t *error, *place;
	size_t i, k;

	json_array_foreach(json_object_get(answer, "errors"), i, error)
	{
		const json_t *path = json_object_get(error, "path");

		if (!json_array_size(path))
			return true;
		json_array_foreach(path, k,
				   place) if (str_eq(json_string_value(place), field)) return true;
	}
	return false;
}

static void set_lower(json_t *out, const char *key, const char *word)
{
	AUTO_FREE char *lower = str_dup(word);

	for (char *c = lower; c && *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c | 32);
	if (lower)
		jval_set_str(out, key, lower);
}

static void copy_bool(json_t *out, const char *key, const json_t *from, const char *path)
{
	const json_t *value = jval_at(from, path);

	if (json_is_boolean(value))
		jval_set_bool(out, key, json_is_true(value));
}

static void keep_pull(json_t *out, const json_t *pull)
{
	static const struct {
		const char *ours, *theirs;
	} texts[] = {{"pull_id", "id"},
		     {"author", "author.login"},
		     {"head_sha", "headRefOid"},
		     {"head_ref", "headRefName"},
		     {"base_ref", "baseRefName"},
		     {"base_sha", "baseRef.target.oid"},
		     {"merged_sha", "mergeCommit.oid"}};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (jval_str(pull, texts[i].theirs, NULL))
			jval_set_str(out, texts[i].ours, jval_str(pull, texts[i].theirs, ""));
	jval_set_int(out, "author_id", jval_int(pull, "author.databaseId", 0));
	jval_set_bool(out, "open", str_eq(jval_str(pull, "state", ""), "OPEN"));
	jval_set_bool(out, "draft", jval_bool(pull, "isDraft", false));
	jval_set_bool(out, "merged", jval_bool(pull, "merged", false));
	copy_bool(out, "is_fork", pull, "isCrossRepository");
}

static void keep_mergeable(json_t *out, const json_t *pull)
{
	const char *mergeable = jval_str(pull, "mergeable", "");

	set_lower(out, "mergeable_state", jval_str(pull, "mergeStateStatus", NULL));
	if (str_eq(mergeable, "MERGEABLE"))
		jval_set_bool(out, "mergeable", true);
	if (!str_eq(mergeable, "CONFLICTING"))
		return;
	jval_set_bool(out, "mergeable", false);
	jval_set_str(out, "mergeable_why", "it conflicts with its base branch");
}

/* "review": "none" when no rule asks for one. */
static void keep_reviews(json_t *out, const json_t *answer, const json_t *pull)
{
	const json_t *threads = jval_at(pull, "reviewThreads.nodes"), *each;
	int64_t total = jval_int(pull, "reviewThreads.totalCount", -1), open = 0;
	const char *decision = jval_str(pull, "reviewDecision", NULL);
	size_t i;

	if (decision || !is_unread(answer, "reviewDecision"))
		set_lower(out, "review", decision ? decision : "none");
	json_array_foreach(threads, i, each) open += !jval_bool(each, "isResolved", false);
	if (total >= 0 && (open || (int64_t)json_array_size(threads) >= total))
		jval_set_int(out, "threads_open", open);
}

/* Classic protection, as far as it is shown to whoever may read the branch. */
static void keep_classic(json_t *out, const json_t *answer, const json_t *pull)
{
	const json_t *rule = jval_at(pull, "baseRef.refUpdateRule");

	if (is_unread(answer, "refUpdateRule") || !jval_at(pull, "baseRef")) {
		jval_set_bool(out, "rules_unknown", true);
		return;
	}
	if (jval_bool(rule, "requiresConversationResolution", false))
		jval_set_bool(out, "conversations_required", true);
	if (jval_bool(rule, "requiresSignatures", false))
		jval_set_str(out, "other_rules", "required_signatures");
	copy_bool(out, "may_push", rule, "viewerCanPush");
}

/* Environments to which the head was deployed well; those that another commit has taken over since
 * are inactive and count, too. */
static void keep_deployed(json_t *out, const json_t *pull)
{
	const json_t *commit = jval_at(json_array_get(jval_at(pull, "commits.nodes"), 0), "commit");
	const json_t *list = jval_at(commit, "deployments.nodes"), *each;
	json_t *names;
	size_t i;

	if (!json_is_array(list) ||
	    !str_eq(jval_str(commit, "oid", ""), jval_str(pull, "headRefOid", "-")))
		return;
	names = json_array();
	json_array_foreach(list, i, each)
	{
		const char *state = jval_str(each, "state", "");

		if (str_eq(state, "ACTIVE") || str_eq(state, "SUCCESS") ||
		    str_eq(state, "INACTIVE"))
			json_array_append_new(names,
					      json_string(jval_str(each, "environment", "")));
	}
	jval_set(out, "deployed", names);
}

static void keep_queue(json_t *out, const json_t *answer, const json_t *pull)
{
	const json_t *entry = jval_at(pull, "mergeQueueEntry"),
		     *removed = json_array_get(jval_at(pull, "timelineItems.nodes"), 0);
	json_t *queue;

	if (!is_unread(answer, "isMergeQueueEnabled"))
		copy_bool(out, "merge_queue", pull, "isMergeQueueEnabled");
	if (json_is_object(entry) || !is_unread(answer, "mergeQueueEntry")) {
		queue = json_object();
		jval_set_bool(queue, "in", json_is_object(entry));
		set_lower(queue, "state", jval_str(entry, "state", NULL));
		jval_set_int(queue, "position", jval_int(entry, "position", 0));
		if (jval_str(removed, "createdAt", NULL)) {
			jval_set_str(queue, "removed_at", jval_str(removed, "createdAt", ""));
			set_lower(queue, "reason", jval_str(removed, "reason", ""));
		}
		jval_set(out, "queue", queue);
	}
}

/* When it was last pointed at another base, by GitHub's clock; 0: never. */
static void keep_base_change(json_t *out, const json_t *pull)
{
	const json_t *nodes = jval_at(pull, "baseChanges.nodes");
	int64_t at_ms = 0;

	if (!json_is_array(nodes))
		return;
	if (!json_array_size(nodes) ||
	    clock_parse(&at_ms, jval_str(json_array_get(nodes, 0), "createdAt", "")))
		jval_set_int(out, "base_changed_at_ms", at_ms);
}

static void keep_repository(json_t *out, const json_t *repository)
{
	static const struct {
		const char *name, *key;
	} methods[] = {{"merge", "mergeCommitAllowed"},
		       {"squash", "squashMergeAllowed"},
		       {"rebase", "rebaseMergeAllowed"}};
	json_t *names = json_array();

	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (jval_bool(repository, methods[i].key, false))
			json_array_append_new(names, json_string(methods[i].name));
	if (json_is_boolean(jval_at(repository, methods[0].key)))
		jval_set(out, "settings_methods", names);
	else
		json_decref(names);
	jval_set_str(out, "repository_id", jval_str(repository, "id", ""));
	jval_set_str(out, "default_branch", jval_str(repository, "defaultBranchRef.name", ""));
}

static json_t *variables_of(const struct github_target *to, int64_t pr)
{
	const char *slash = strchr(to->repo, '/');
	AUTO_FREE char *owner =
		str_dup_len(to->repo, slash ? (size_t)(slash - to->repo) : strlen(to->repo));
	json_t *variables = json_object();

	jval_set_str(variables, "owner", owner);
	jval_set_str(variables, "name", slash ? slash + 1 : "");
	jval_set_int(variables, "number", pr);
	return variables;
}

enum err_class github_graphql(struct github *gh, struct http *http, const struct github_target *to,
			      const struct github_query *take_query, struct github_answer *answer,
			      struct err *err)
{
	AUTO_JSON json_t *body = json_object();
	struct github_call call = {
		.method = "POST",
		.url = gh->graphql_url,
		.body = body,
		.kind = take_query->kind,
		.resource = GITHUB_GRAPHQL,
		.to = to,
	};

	jval_set_str(body, "query", take_query->text);
	jval_set(body, "variables", take_query->variables);
	return github_call(gh, http, &call, answer, err);
}

enum err_class github_pull_state(struct github *gh, struct http *http,
				 const struct github_target *to, int64_t pr, json_t *out,
				 struct err *err)
{
	struct github_query query = {question, variables_of(to, pr), GITHUB_READ};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = github_graphql(gh, http, to, &query, &answer, err);
	const json_t *repository = jval_at(answer.json, "data.repository"),
		     *pull = jval_at(repository, "pullRequest");

	bool is_there = str_is_object_name(jval_str(pull, "headRefOid", ""));

	if (class && (err_is_retried(class) || !is_there))
		return class;
	if (!is_there)
		return err_code(err, ERR_TRANSIENT, "github.odd",
				"GitHub's answer lacks the pull request");
	keep_repository(out, repository);
	keep_pull(out, pull);
	keep_mergeable(out, pull);
	keep_reviews(out, answer.json, pull);
	keep_classic(out, answer.json, pull);
	keep_deployed(out, pull);
	keep_queue(out, answer.json, pull);
	keep_base_change(out, pull);
	if (err)
		*err = (struct err){0};
	return ERR_OK;
}
