/* github_merge.c - see github_merge.h. The reads before a merge, and the merge.
 *
 * Required checks are learned twice: from the rules of the branch (rulesets) and from the branch
 * itself, which shows the classic protection's checks without the Administration permission. A
 * required check that names an App counts only when that App made it. Lists that were cut are not
 * complete, and say so. */
#include "lib/services/github_merge.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/services/github_impl.h"

enum { PAGES_MAX = 10, NAMES_MAX = 300, BIG_ANSWER = 32 * 1024 * 1024 };

struct asking {
	struct github *gh;
	struct http *http;
	const struct github_target *to;
	const struct github_merge_question *question;
	json_t *out;
	json_t *required; /* {"name": app id or 0} */
	json_t *scopes;	  /* of a classic token, as its last answer told them; NULL: not told */
	struct err *err;
};

static enum err_class get(struct asking *ask, const char *url, struct github_answer *answer)
{
	struct github_call call = {
		.method = "GET", .url = url, .to = ask->to, .response_max = BIG_ANSWER};
	enum err_class class = github_call(ask->gh, ask->http, &call, answer, ask->err);

	if (!class) {
		jval_drop(&ask->scopes);
		ask->scopes = answer->scopes ? json_string(answer->scopes) : NULL;
	}
	return class;
}

/* A read that may be refused: what it would have said stays unknown. */
static bool is_only_unknown(enum err_class class)
{
	return class == ERR_NOT_FOUND || class == ERR_DENIED || class == ERR_USER;
}

/* --- the pull request --- */

static enum err_class ask_pull(struct asking *ask)
{
	return github_pull_state(ask->gh, ask->http, ask->to, ask->question->pr, ask->out,
				 ask->err);
}

/* --- rules --- */

static void require_check(struct asking *ask, const char *name, int64_t app_id)
{
	/* required in two places: the App that one of them names stays */
	if (name && *name && (app_id || !json_object_get(ask->required, name)))
		jval_set_int(ask->required, name, app_id);
}

/* Keeps of "merge, squash, rebase" what is in the list. */
static void cut_methods(json_t *methods, const json_t *allowed)
{
	for (size_t i = json_array_size(methods); i-- > 0;) {
		const char *name = json_string_value(json_array_get(methods, i));
		const json_t *each;
		bool found = false;
		size_t at;

		json_array_foreach(allowed, at, each) found |=
			str_eq(json_string_value(each), name);
		if (!found)
			json_array_remove(methods, i);
	}
}

/* Rules that neither concern a merge nor are asked about by name; all others are named to people
 * when GitHub blocks the merge without saying why. */
static bool is_understood(const char *type)
{
	static const char *const types[] = {"creation",
					    "deletion",
					    "non_fast_forward",
					    "pull_request",
					    "required_status_checks",
					    "merge_queue",
					    "required_linear_history",
					    "required_deployments"};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_eq(types[i], type))
			return true;
	return false;
}

static void note_other_rule(struct asking *ask, const char *type)
{
	AUTO_BUF struct buf names = buf_make(NAMES_MAX);
	const char *before = jval_str(ask->out, "other_rules", "");

	if (is_understood(type) || strstr(before, type) ||
	    strlen(before) + strlen(type) + 3 > NAMES_MAX)
		return;
	buf_printf(&names, "%s%s%s", before, *before ? ", " : "", type);
	jval_set_str(ask->out, "other_rules", buf_text(&names));
}

/* What a rule wants beside checks: reviews, resolved conversations, deployments. */
static void read_wishes(struct asking *ask, const char *type, const json_t *rule)
{
	json_t *wanted = jval_at(rule, "parameters.required_deployment_environments");
	json_t *environments = json_object_get(ask->out, "deployments_required");

	note_other_rule(ask, type);
	if (str_eq(type, "pull_request") &&
	    jval_bool(rule, "parameters.required_review_thread_resolution", false))
		jval_set_bool(ask->out, "conversations_required", true);
	if (str_eq(type, "pull_request") &&
	    jval_int(rule, "parameters.required_approving_review_count", 0) > 0)
		jval_set_bool(ask->out, "reviews_required", true);
	if (!str_eq(type, "required_deployments"))
		return;
	if (!environments)
		jval_set(ask->out, "deployments_required", environments = json_array());
	if (json_is_array(wanted))
		json_array_extend(environments, wanted);
}

static void read_rule(struct asking *ask, const json_t *rule, json_t *methods)
{
	const char *type = jval_str(rule, "type", "");
	const json_t *list = jval_at(rule, "parameters.required_status_checks"), *check;
	const json_t *allowed = jval_at(rule, "parameters.allowed_merge_methods");
	AUTO_JSON json_t *linear = json_pack("[s,s]", "squash", "rebase");
	size_t i;

	read_wishes(ask, type, rule);
	if (str_eq(type, "merge_queue"))
		jval_set_bool(ask->out, "merge_queue", true);
	if (str_eq(type, "required_linear_history"))
		cut_methods(methods, linear);
	if (str_eq(type, "required_status_checks"))
		json_array_foreach(list, i, check)
			require_check(ask, jval_str(check, "context", NULL),
				      jval_int(check, "integration_id", 0));
	if (str_eq(type, "pull_request") && json_is_array(allowed))
		cut_methods(methods, allowed);
}

static enum err_class ask_rules(struct asking *ask, json_t *methods)
{
	AUTO_FREE char *branch = github_segment(jval_str(ask->out, "base_ref", ""));
	char *url =
		github_repo_url(ask->gh, ask->to, "/rules/branches/%.1000s?per_page=100", branch);
	enum err_class class = ERR_OK;
	const json_t *rule;
	size_t i;

	for (int page = 0; url && page < PAGES_MAX && !class; page++) {
		AUTO_ANSWER struct github_answer answer = {0};

		class = get(ask, url, &answer);
		mem_free(url);
		url = NULL;
		if (class)
			break;
		json_array_foreach(answer.json, i, rule) read_rule(ask, rule, methods);
		url = answer.next ? github_same_origin(ask->gh->api_url, answer.next) : NULL;
	}
	mem_free(url);
	if (is_only_unknown(class)) {
		jval_set_bool(ask->out, "rules_unknown", true);
		return ERR_OK;
	}
	return class;
}

/* Classic protection, as the branch shows it to whoever may read contents. */
static enum err_class ask_branch(struct asking *ask)
{
	AUTO_FREE char *branch = github_segment(jval_str(ask->out, "base_ref", ""));
	AUTO_FREE char *url = github_repo_url(ask->gh, ask->to, "/branches/%.1000s", branch);
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = get(ask, url, &answer);
	const json_t *wanted, *each;
	size_t i;

	if (is_only_unknown(class)) {
		jval_set_bool(ask->out, "rules_unknown", true);
		return ERR_OK;
	}
	if (class)
		return class;
	wanted = jval_at(answer.json, "protection.required_status_checks");
	if (str_eq(jval_str(wanted, "enforcement_level", "off"), "off"))
		return ERR_OK;
	json_array_foreach(jval_at(wanted, "contexts"), i, each)
		require_check(ask, json_string_value(each), 0);
	json_array_foreach(jval_at(wanted, "checks"), i, each)
		require_check(ask, jval_str(each, "context", NULL),
			      jval_int(each, "app_id", 0) > 0 ? jval_int(each, "app_id", 0) : 0);
	return ERR_OK;
}

/* Ways to merge that the settings allow, cut by the rules. */
static enum err_class ask_methods(struct asking *ask)
{
	json_t *settings = json_object_get(ask->out, "settings_methods");
	AUTO_JSON json_t *methods = settings ? json_incref(settings) : json_array();
	AUTO_BUF struct buf names = buf_make(NAMES_MAX);
	enum err_class class = ask_rules(ask, methods);

	json_object_del(ask->out, "settings_methods");
	if (class || !settings)
		return class;
	for (size_t i = 0; i < json_array_size(methods); i++)
		buf_printf(&names, "%s%s", i ? ", " : "",
			   json_string_value(json_array_get(methods, i)));
	jval_set_str(ask->out, "methods", buf_text(&names));
	return ERR_OK;
}

/* --- checks at the commit --- */

/* {"name": "passed" | "pending" | "failed"}; of several by one name the worst counts. */
static void note_check(struct asking *ask, json_t *seen, const char *name, int64_t app_id,
		       const char *verdict)
{
	const json_t *wanted = name ? json_object_get(ask->required, name) : NULL;
	const char *before = json_string_value(name ? json_object_get(seen, name) : NULL);

	if (!wanted || (json_integer_value(wanted) && json_integer_value(wanted) != app_id))
		return;
	if (!before || str_eq(before, "passed") || str_eq(verdict, "failed"))
		jval_set_str(seen, name, verdict);
}

static const char *run_verdict(const json_t *run)
{
	const char *conclusion = jval_str(run, "conclusion", "");

	if (!str_eq(jval_str(run, "status", ""), "completed"))
		return "pending";
	return str_eq(conclusion, "success") || str_eq(conclusion, "neutral") ||
			       str_eq(conclusion, "skipped")
		       ? "passed"
		       : "failed";
}

static const char *status_verdict(const json_t *status)
{
	const char *state = jval_str(status, "state", "");

	return str_eq(state, "success")	  ? "passed"
	       : str_eq(state, "pending") ? "pending"
					  : "failed";
}

static void read_checks(struct asking *ask, const json_t *answer, json_t *seen)
{
	const json_t *each;
	size_t i;

	json_array_foreach(jval_at(answer, "check_runs"), i, each)
		note_check(ask, seen, jval_str(each, "name", NULL), jval_int(each, "app.id", 0),
			   run_verdict(each));
	json_array_foreach(jval_at(answer, "statuses"), i, each)
		note_check(ask, seen, jval_str(each, "context", NULL), 0, status_verdict(each));
}

static enum err_class ask_list(struct asking *ask, const char *what, json_t *seen, bool *complete)
{
	char *url = github_repo_url(ask->gh, ask->to, "/commits/%s/%s?per_page=100",
				    ask->question->sha, what);
	enum err_class class = ERR_OK;

	for (int page = 0; url && page < PAGES_MAX && !class; page++) {
		AUTO_ANSWER struct github_answer answer = {0};

		class = get(ask, url, &answer);
		mem_free(url);
		url = NULL;
		if (class)
			break;
		read_checks(ask, answer.json, seen);
		url = answer.next ? github_same_origin(ask->gh->api_url, answer.next) : NULL;
	}
	*complete = *complete && !url && !class;
	mem_free(url);
	return is_only_unknown(class) ? ERR_OK : class;
}

static void judge_checks(struct asking *ask, const json_t *seen, bool complete)
{
	AUTO_BUF struct buf names = buf_make(NAMES_MAX);
	json_t *checks = json_object(), *wanted;
	bool failed = false, pending = false;
	const char *name;

	json_object_foreach(ask->required, name, wanted)
	{
		const char *verdict = json_string_value(json_object_get(seen, name));

		if (str_eq(verdict, "passed"))
			continue;
		pending |= !verdict || str_eq(verdict, "pending");
		failed |= str_eq(verdict, "failed");
		if (names.len + strlen(name) + 3 < NAMES_MAX)
			buf_printf(&names, "%s%s", names.len ? ", " : "", name);
	}
	jval_set_bool(checks, "complete", complete);
	jval_set_bool(checks, "passed", !failed && !pending);
	jval_set_bool(checks, "pending", pending && !failed);
	jval_set_str(checks, "names", buf_text(&names));
	jval_set(ask->out, "checks", checks);
}

static enum err_class ask_checks(struct asking *ask)
{
	bool complete = !jval_bool(ask->out, "rules_unknown", false);
	AUTO_JSON json_t *seen = json_object();
	enum err_class class = ERR_OK;

	if (json_object_size(ask->required)) {
		class = ask_list(ask, "check-runs", seen, &complete);
		if (!class)
			class = ask_list(ask, "status", seen, &complete);
	}
	if (!class)
		judge_checks(ask, seen, complete);
	return class;
}

/* --- what would be merged --- */

static void read_difference(struct asking *ask, const json_t *answer)
{
	const json_t *files = jval_at(answer, "files"), *file;
	bool touches = false;
	size_t i;

	if (json_is_integer(jval_at(answer, "behind_by")))
		jval_set_int(ask->out, "behind_by", jval_int(answer, "behind_by", 0));
	json_array_foreach(files, i, file) touches |=
		str_starts(jval_str(file, "filename", ""), ".github/workflows/") ||
		str_starts(jval_str(file, "previous_filename", ""), ".github/workflows/");
	if (json_is_array(files) && (touches || json_array_size(files) < 300))
		jval_set_bool(ask->out, "touches_workflows", touches);
}

/* The same two commits differ in the same way: what was learned of them is not asked again. */
static bool is_known(struct asking *ask, const char *compared)
{
	static const char *const told[] = {"behind_by", "touches_workflows"};
	const json_t *known = ask->question->known;

	if (!str_eq(jval_str(known, "compared", ""), compared))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		if (jval_at(known, told[i]))
			jval_set(ask->out, told[i], json_incref(jval_at(known, told[i])));
	return true;
}

static enum err_class ask_difference(struct asking *ask)
{
	const char *base_sha = jval_str(ask->out, "base_sha", NULL);
	bool is_exact = str_is_object_name(base_sha);
	AUTO_FREE char *base =
		github_segment(is_exact ? base_sha : jval_str(ask->out, "base_ref", ""));
	AUTO_FREE char *compared = str_printf("%.1000s...%s", base, ask->question->sha);
	AUTO_FREE char *url = github_repo_url(ask->gh, ask->to, "/compare/%s?per_page=1", compared);
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = ERR_OK;

	if (!is_exact || !is_known(ask, compared)) {
		class = get(ask, url, &answer);
		if (class)
			return is_only_unknown(class) ? ERR_OK : class;
		read_difference(ask, answer.json);
	}
	if (is_exact)
		jval_set_str(ask->out, "compared", compared);
	return ERR_OK;
}

/* "repo, workflow": is this one of them? */
static bool has_scope(const char *scopes, const char *wanted)
{
	size_t len;

	for (const char *at = scopes; *at; at += len + strspn(at + len, ", ")) {
		len = strcspn(at, ", ");
		if (len == strlen(wanted) && !strncmp(at, wanted, len))
			return true;
		if (!len)
			len = strspn(at, ", ");
	}
	return false;
}

/* Needed only when workflows are touched: has the App been granted them? Of a token GitHub tells
 * the scopes if it is a classic one; of a fine-grained one, nothing. */
static enum err_class ask_workflows(struct asking *ask)
{
	struct github_call call = {.method = "GET"};
	AUTO_ANSWER struct github_answer answer = {0};
	AUTO_FREE char *url = NULL;
	enum err_class class;
	bool may;

	if (!jval_bool(ask->out, "touches_workflows", false))
		return ERR_OK;
	if (!ask->gh->app_id) {
		if (ask->scopes)
			jval_set_bool(ask->out, "may_workflows",
				      has_scope(json_string_value(ask->scopes), "workflow"));
		return ERR_OK;
	}
	url = str_printf("%s/app/installations/%" PRId64, ask->gh->api_url,
			 ask->to->installation_id);
	call.url = url;
	class = github_call_own(ask->gh, ask->http, &call, &answer, ask->err);
	if (class)
		return is_only_unknown(class) ? ERR_OK : class;
	may = str_eq(jval_str(answer.json, "permissions.workflows", ""), "write");
	jval_set_bool(ask->out, "may_workflows", may);
	if (may) /* granted perhaps a minute ago, and a token is as it was made */
		github_tokens_renew(ask->gh, ask->to);
	return ERR_OK;
}

enum err_class github_merge_facts(struct github *gh, struct http *http,
				  const struct github_target *to,
				  const struct github_merge_question *question, json_t **out,
				  struct err *err)
{
	static enum err_class (*const questions[])(struct asking *) = {
		ask_pull, ask_methods, ask_branch, ask_checks, ask_difference, ask_workflows,
	};
	AUTO_JSON json_t *found = json_object(), *required = json_object();
	struct asking ask = {gh, http, to, question, found, required, NULL, err};
	enum err_class class = ERR_OK;

	for (size_t i = 0; i < ARRAY_LEN(questions) && !class; i++)
		class = questions[i](&ask);
	jval_drop(&ask.scopes);
	if (class)
		return err_wrap(err, "cannot ask GitHub about the merge");
	*out = take(found);
	return ERR_OK;
}

/* --- the merge --- */

static enum err_class read_pull(struct asking *ask, struct github_answer *out)
{
	AUTO_FREE char *url =
		github_repo_url(ask->gh, ask->to, "/pulls/%" PRId64, ask->question->pr);
	enum err_class class = get(ask, url, out);

	jval_drop(&ask->scopes);
	return class;
}

static bool is_merged(const struct asking *ask, const json_t *pull, char *merged_sha)
{
	if (!jval_bool(pull, "merged", false) ||
	    !str_eq(jval_str(pull, "head.sha", ""), ask->question->sha))
		return false;
	str_copy(merged_sha, 65, jval_str(pull, "merge_commit_sha", ""));
	return true;
}

/* False as well when GitHub does not say; then ask->err is set. */
static bool was_merged(struct asking *ask, char *merged_sha)
{
	AUTO_ANSWER struct github_answer answer = {0};

	return !read_pull(ask, &answer) && is_merged(ask, answer.json, merged_sha);
}

/* What GitHub's refusals of a merge mean for the person. 405 has many reasons, and one of them is
 * worth another try; only 409 is a head that moved. */
static enum err_class refusal(enum err_class class, struct err *err)
{
	bool is_not_now = str_eq(err->code, "github.not_now");

	if (is_not_now && strstr(err->msg, "Base branch was modified")) {
		str_copy(err->code, sizeof err->code, "merge.base_moved");
		return err->class = ERR_TRANSIENT;
	}
	if (class == ERR_CONFLICT && !is_not_now)
		return err_code(err, ERR_CONFLICT, "merge.moved",
				"the head of the pull request is another commit now");
	if (is_not_now || class == ERR_DENIED || class == ERR_USER || class == ERR_NOT_FOUND) {
		str_copy(err->code, sizeof err->code, "merge.refused");
		return err->class = ERR_USER;
	}
	return class;
}

/* A refusal does not say that a person has merged it by hand, or closed it: the pull request does.
 * `err` holds GitHub's words. */
static enum err_class look_after(struct asking *ask, char *merged_sha, struct err *err)
{
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = read_pull(ask, &answer);

	if (class && err_is_retried(class)) {
		*err = *ask->err;
		return class;
	}
	if (class)
		return err->class;
	if (is_merged(ask, answer.json, merged_sha))
		return err->class = ERR_OK;
	if (str_eq(jval_str(answer.json, "state", ""), "closed"))
		return err_code(err, ERR_USER, "merge.closed", "the pull request is closed");
	return err->class;
}

enum err_class github_merge(struct github *gh, struct http *http, const struct github_target *to,
			    const struct github_merge_question *question, bool in_doubt,
			    char *merged_sha, struct err *err)
{
	AUTO_FREE char *url = github_repo_url(gh, to, "/pulls/%" PRId64 "/merge", question->pr);
	AUTO_JSON json_t *body = json_object();
	struct github_call call = {
		.method = "PUT", .url = url, .body = body, .kind = GITHUB_WRITE, .to = to};
	struct err unread = {0}, unwanted = {0};
	struct asking ask = {
		.gh = gh, .http = http, .to = to, .question = question, .err = &unread};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class;

	err = err ? err : &unwanted;
	if (in_doubt && was_merged(&ask, merged_sha))
		return err->class = ERR_OK;
	if (unread.class) {
		*err = unread;
		return unread.class;
	}
	jval_set_str(body, "sha", question->sha);
	jval_set_str(body, "merge_method", question->method);
	class = github_call(gh, http, &call, &answer, err);
	if (class) {
		class = refusal(class, err);
		return class == ERR_USER ? look_after(&ask, merged_sha, err) : class;
	}
	str_copy(merged_sha, 65, jval_str(answer.json, "sha", ""));
	return ERR_OK;
}
