/* policy.c - see policy.h: the object, its faults, and what is looked up in it. The file itself is
 * read in policy_read.c. */
#include "lib/core/policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/core/policy_impl.h"

enum { FAULT_MAX = 600, WEEK_MINUTES = 7 * 24 * 60, MINUTE_MS = 60000, ENVIRONMENT_NEAR = 2 };

/* --- making and freeing --- */

struct policy *policy_default(void)
{
	struct policy *policy = mem_new(1, sizeof *policy);

	policy->source = str_dup("");
	return policy;
}

struct policy *policy_unusable(const char *source, const char *why)
{
	struct policy *policy = policy_default();

	mem_free(policy->source);
	policy->source = str_dup(source);
	policy->from_file = true;
	policy_fault(policy, 1, 1, "%s", why);
	return policy;
}

static void free_names(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		mem_free(names[i]);
	mem_free(names);
}

static void dispose_rule(struct policy_rule *rule)
{
	free_names(rule->teams, rule->team_count);
	free_names(rule->roles, rule->role_count);
	for (size_t i = 0; i < rule->user_count; i++)
		mem_free(rule->users[i].login);
	mem_free(rule->users);
}

static void dispose_environment(struct policy_environment *environment)
{
	dispose_rule(&environment->deploy);
	dispose_rule(&environment->rollback);
	dispose_rule(&environment->lock);
	dispose_rule(&environment->approvers);
	mem_free(environment->name);
	mem_free(environment->after);
	mem_free(environment->namespace);
}

void policy_free(struct policy *take_policy)
{
	if (!take_policy)
		return;
	for (size_t i = 0; i < take_policy->command_count; i++)
		dispose_rule(&take_policy->commands[i].rule);
	for (size_t i = 0; i < take_policy->environment_count; i++)
		dispose_environment(&take_policy->environments[i]);
	for (size_t i = 0; i < take_policy->metric_count; i++) {
		mem_free(take_policy->metrics[i].name);
		mem_free(take_policy->metrics[i].against);
	}
	for (size_t i = 0; i < take_policy->fault_count && i < POLICY_FAULTS_MAX; i++)
		mem_free(take_policy->faults[i].text);
	mem_free(take_policy->commands);
	mem_free(take_policy->environments);
	mem_free(take_policy->metrics);
	mem_free(take_policy->faults);
	mem_free(take_policy->source);
	mem_free(take_policy);
}

void policy_free_ptr(struct policy **policy)
{
	policy_free(*policy);
}

/* --- faults --- */

void policy_fault(struct policy *policy, int line, int column, const char *fmt, ...)
{
	char text[FAULT_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	text[str_utf8_cut(text, strlen(text))] = '\0';
	if (policy->fault_count++ >= POLICY_FAULTS_MAX)
		return;
	policy->faults = mem_grow(policy->faults, policy->fault_count * sizeof *policy->faults);
	policy->faults[policy->fault_count - 1] =
		(struct policy_fault){line, column, str_dup(text)};
}

void policy_report(const struct policy *policy, const char *name, struct buf *out)
{
	size_t kept =
		policy->fault_count < POLICY_FAULTS_MAX ? policy->fault_count : POLICY_FAULTS_MAX;

	for (size_t i = 0; i < kept; i++)
		buf_printf(out, "%s:%d:%d: %s\n", name, policy->faults[i].line,
			   policy->faults[i].column, policy->faults[i].text);
	if (policy->fault_count > kept)
		buf_printf(out, "%s: and %zu more faults\n", name, policy->fault_count - kept);
}

/* --- every rule --- */

/* Calls `each` with every rule of the file. */
static void each_rule(const struct policy *policy,
		      void (*each)(void *arg, const struct policy_rule *rule), void *arg)
{
	for (size_t i = 0; i < policy->command_count; i++)
		each(arg, &policy->commands[i].rule);
	for (size_t i = 0; i < policy->environment_count; i++) {
		const struct policy_environment *environment = &policy->environments[i];

		each(arg, &environment->deploy);
		each(arg, &environment->rollback);
		each(arg, &environment->lock);
		each(arg, &environment->approvers);
	}
}

struct naming {
	const char *login;
	int64_t id;
};

static void name_users(void *arg, const struct policy_rule *rule)
{
	const struct naming *naming = arg;

	for (size_t i = 0; i < rule->user_count; i++)
		if (str_eq_nocase(rule->users[i].login, naming->login))
			rule->users[i].id = naming->id > 0 ? naming->id : 0;
}

void policy_set_user(struct policy *policy, const char *login, int64_t id)
{
	struct naming naming = {login, id};

	each_rule(policy, name_users, &naming);
}

static bool has_text(const json_t *list, const char *text)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i,
			   item) if (str_eq_nocase(json_string_value(item), text)) return true;
	return false;
}

static void add_logins(void *arg, const struct policy_rule *rule)
{
	json_t *list = arg;

	for (size_t i = 0; i < rule->user_count; i++)
		if (!has_text(list, rule->users[i].login))
			json_array_append_new(list, json_string(rule->users[i].login));
}

json_t *policy_logins(const struct policy *policy)
{
	json_t *list = json_array();

	each_rule(policy, add_logins, list);
	return list;
}

static void add_teams(void *arg, const struct policy_rule *rule)
{
	json_t *list = arg;

	for (size_t i = 0; i < rule->team_count; i++)
		if (!has_text(list, rule->teams[i]))
			json_array_append_new(list, json_string(rule->teams[i]));
}

json_t *policy_team_slugs(const struct policy *policy)
{
	json_t *list = json_array();

	each_rule(policy, add_teams, list);
	return list;
}

/* --- looking up --- */

const struct policy_environment *policy_environment(const struct policy *policy, const char *name)
{
	for (size_t i = 0; name && i < policy->environment_count; i++)
		if (str_eq(policy->environments[i].name, name))
			return &policy->environments[i];
	return NULL;
}

const char *policy_environment_meant(const char *name)
{
	static const char *const known[] = {"production", "staging", "prod", "stage"};
	AUTO_FREE char *folded = str_dup(name);
	const char *near;

	for (char *at = folded; *at; at++)
		*at = (char)(*at >= 'A' && *at <= 'Z' ? *at + ('a' - 'A') : *at);
	for (size_t i = 2; i < ARRAY_LEN(known); i++)
		if (str_eq(folded, known[i]))
			return known[i - 2];
	near = str_nearest(folded, known, 2, ENVIRONMENT_NEAR);
	return str_eq(near, name) ? NULL : near;
}

const struct policy_rule *policy_own_rule(const struct policy *policy,
					  const struct command *command)
{
	for (size_t i = 0; i < policy->command_count; i++)
		if (policy->commands[i].command == command && policy->commands[i].rule.set)
			return &policy->commands[i].rule;
	return NULL;
}

/* --- freezes --- */

/* Minutes since Monday 00:00 UTC; 1970-01-01 was a Thursday. */
static int minute_of_week(int64_t ms)
{
	int64_t minutes = ms / MINUTE_MS - (ms % MINUTE_MS < 0);

	return (int)(((minutes + 3 * 24 * 60) % WEEK_MINUTES + WEEK_MINUTES) % WEEK_MINUTES);
}

/* Minutes from `at` to the end of the window; 0: it is not in it. */
static int left_of(const struct policy_window *window, int at)
{
	int length = (window->to - window->from + WEEK_MINUTES) % WEEK_MINUTES;
	int since = (at - window->from + WEEK_MINUTES) % WEEK_MINUTES;

	return since < length ? length - since : 0;
}

bool policy_in_windows(const struct policy_window *windows, size_t count, int64_t now_ms,
		       int64_t *until_ms)
{
	int start = minute_of_week(now_ms), ahead = 0;
	bool longer = true;

	*until_ms = 0;
	while (longer && ahead < WEEK_MINUTES) { /* a window may end inside another */
		longer = false;
		for (size_t i = 0; i < count; i++) {
			int left = left_of(&windows[i], (start + ahead) % WEEK_MINUTES);

			ahead += left;
			longer |= left > 0;
		}
	}
	if (ahead && ahead < WEEK_MINUTES)
		*until_ms = (now_ms / MINUTE_MS + ahead) * MINUTE_MS;
	return ahead > 0;
}

void policy_moment(char out[16], int64_t ms)
{
	static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	int minute = minute_of_week(ms);

	(void)snprintf(out, 16, "%s %02d:%02d UTC", days[minute / (24 * 60)], minute / 60 % 24,
		       minute % 60);
}

bool policy_is_frozen(const struct policy *policy, const char *environment, int64_t now_ms,
		      int64_t *until_ms)
{
	const struct policy_environment *terms = policy_environment(policy, environment);

	*until_ms = 0;
	return terms && policy_in_windows(terms->freeze, terms->freeze_count, now_ms, until_ms);
}
