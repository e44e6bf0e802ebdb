/* policy_environments.c - what a policy file says of environments and metrics. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/core/policy_keys.h"

enum { HOLD_MAX_MS = 7 * 24 * 3600000, NAMESPACE_MAX = 63 };

/* --- rules --- */

static void read_who(struct keys_reading *reading, struct keys_place at, void *into)
{
	policy_read_who(reading, at, RIGHT_MAINTAIN, RIGHT_READ, into);
}

/* Somebody who may not push does not approve, whatever team it is. */
static void read_approvers(struct keys_reading *reading, struct keys_place at, void *into)
{
	struct policy_environment *environment = into;

	policy_read_who(reading, at, RIGHT_WRITE, RIGHT_WRITE, &environment->approvers);
	if (environment->approvers.set && environment->approvers.permission < RIGHT_WRITE)
		KEYS_FAULT(
			reading, at.node,
			"%s.permission must be write, maintain or admin: others' approvals do not "
			"count",
			at.path);
}

static void read_deploy(struct keys_reading *reading, struct keys_place at, void *into)
{
	read_who(reading, at, &((struct policy_environment *)into)->deploy);
}

static void read_rollback(struct keys_reading *reading, struct keys_place at, void *into)
{
	read_who(reading, at, &((struct policy_environment *)into)->rollback);
}

static void read_lock(struct keys_reading *reading, struct keys_place at, void *into)
{
	read_who(reading, at, &((struct policy_environment *)into)->lock);
}

/* --- environments --- */

static void read_approvals(struct keys_reading *reading, struct keys_place at, void *into)
{
	int64_t number;

	if (keys_number(reading, at, 0, POLICY_APPROVALS_MAX, &number))
		((struct policy_environment *)into)->approvals = (int)number;
}

static void read_require(struct keys_reading *reading, struct keys_place at, void *into)
{
	static const char *const known[] = {"checks", "up_to_date"};
	struct policy_environment *environment = into;

	if (!keys_is_list(reading, at, ARRAY_LEN(known), "[checks, up_to_date]"))
		return;
	environment->require_set = true;
	for (size_t i = 0; i < at.node->count; i++) {
		const char *text =
			keys_text(reading, (struct keys_place){at.node->items[i], at.path},
				  "a list of checks and up_to_date");

		if (str_eq(text, known[0]))
			environment->require_checks = true;
		else if (str_eq(text, known[1]))
			environment->require_up_to_date = true;
		else if (text)
			keys_unknown(reading, at.node->items[i], "requirement", known,
				     ARRAY_LEN(known), at.path);
	}
}

static void read_after(struct keys_reading *reading, struct keys_place at, void *into)
{
	const char *text = keys_text(reading, at, "the name of an environment");

	if (text)
		((struct policy_environment *)into)->after = str_dup(text); /* checked later */
}

static void read_canary(struct keys_reading *reading, struct keys_place at, void *into)
{
	struct policy_environment *environment = into;
	int64_t before = 0, percent;

	if (!keys_is_list(reading, at, POLICY_STEPS_MAX - 1, "[10, 50, 100]"))
		return;
	for (size_t i = 0; i < at.node->count; i++) {
		if (!keys_number(reading, (struct keys_place){at.node->items[i], at.path}, 1, 100,
				 &percent))
			return;
		if (percent <= before) {
			KEYS_FAULT(reading, at.node->items[i], "%s must grow from step to step",
				   at.path);
			return;
		}
		environment->steps[environment->step_count++] = (int)(before = percent);
	}
	if (before < 100)
		environment->steps[environment->step_count++] = 100;
}

static void read_hold(struct keys_reading *reading, struct keys_place at, void *into)
{
	static const char like[] = "a duration with its unit, like 15m, at most 7d";
	const char *text = keys_text(reading, at, like);
	int64_t ms;

	if (!text)
		return;
	if (str_to_duration_ms(&ms, text) && ms >= 0 && ms <= HOLD_MAX_MS)
		((struct policy_environment *)into)->hold_ms = ms;
	else
		KEYS_FAULT(reading, at.node, "%s must be %s", at.path, like);
}

static void read_merge(struct keys_reading *reading, struct keys_place at, void *into)
{
	static const struct {
		const char *name;
		enum policy_merge merge;
	} known[] = {
		{"false", POLICY_MERGE_NO},	 {"true", POLICY_MERGE_YES},
		{"merge", POLICY_MERGE_MERGE},	 {"squash", POLICY_MERGE_SQUASH},
		{"rebase", POLICY_MERGE_REBASE},
	};
	const char *text = at.node->kind == YAML_SCALAR ? at.node->text : "";

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(text, known[i].name)) {
			((struct policy_environment *)into)->merge = known[i].merge;
			return;
		}
	KEYS_FAULT(reading, at.node, "%s must be true, false, merge, squash or rebase", at.path);
}

static void read_freeze(struct keys_reading *reading, struct keys_place at, void *into)
{
	static const char like[] = "a time of the week in UTC, like \"Fri 16:00-Mon 08:00\"";
	struct policy_environment *environment = into;

	if (!keys_is_list(reading, at, POLICY_WINDOWS_MAX, "[\"Fri 16:00-Mon 08:00\"]"))
		return;
	for (size_t i = 0; i < at.node->count; i++) {
		const struct yaml_node *node = at.node->items[i];
		const char *text = keys_text(reading, (struct keys_place){node, at.path}, like);

		if (text &&
		    policy_window_parse(&environment->freeze[environment->freeze_count], text))
			environment->freeze_count++;
		else if (text)
			KEYS_FAULT(reading, node, "%s must be %s", at.path, like);
	}
}

static void read_namespace(struct keys_reading *reading, struct keys_place at, void *into)
{
	const char *text = keys_text(reading, at, "the name of a namespace");

	if (!text)
		return;
	if (strlen(text) <= NAMESPACE_MAX && keys_is_all(text, KEYS_LOWER KEYS_DIGITS "-") &&
	    *text != '-' && !str_ends(text, "-"))
		((struct policy_environment *)into)->namespace = str_dup(text);
	else
		KEYS_FAULT(reading, at.node, "%s must be the name of a namespace", at.path);
}

static bool is_environment_name(const char *text)
{
	return strlen(text) <= NAMESPACE_MAX &&
	       keys_is_all(text, KEYS_LOWER KEYS_UPPER KEYS_DIGITS "-_.");
}

static void read_environment(struct keys_reading *reading, const struct yaml_node *key,
			     const struct yaml_node *node)
{
	static const struct key keys[] = {
		{"deploy", read_deploy},       {"rollback", read_rollback},
		{"lock", read_lock},	       {"approvers", read_approvers},
		{"approvals", read_approvals}, {"require", read_require},
		{"after", read_after},	       {"canary", read_canary},
		{"hold", read_hold},	       {"merge", read_merge},
		{"freeze", read_freeze},       {"namespace", read_namespace},
	};
	struct policy *policy = reading->policy;
	struct policy_environment *environment;
	char path[KEYS_PATH_MAX], cut[KEYS_WORD_MAX + 1];

	if (!is_environment_name(key->text)) {
		KEYS_FAULT(reading, key,
			   "\"%s\" cannot be an environment: letters, digits, - _ and .",
			   keys_word(cut, key->text));
		return;
	}
	if (policy_environment_meant(key->text)) {
		KEYS_FAULT(reading, key, "there is no environment \"%s\"; did you mean \"%s\"?",
			   keys_word(cut, key->text), policy_environment_meant(key->text));
		return;
	}
	policy->environments = mem_grow(policy->environments, (policy->environment_count + 1) *
								      sizeof *policy->environments);
	environment = &policy->environments[policy->environment_count++];
	*environment = (struct policy_environment){
		.name = str_dup(key->text), .line = key->line, .hold_ms = -1};
	(void)snprintf(path, sizeof path, "environments.%s", key->text);
	if (keys_is_map(reading, (struct keys_place){node, path},
			"{ deploy: { permission: write } }"))
		keys_read(reading, (struct keys_place){node, path}, keys, ARRAY_LEN(keys),
			  environment);
}

void policy_read_environments(struct keys_reading *reading, struct keys_place at, void *into)
{
	(void)into;
	if (!keys_is_map(reading, at, ""))
		return;
	if (at.node->count > POLICY_ENVIRONMENTS_MAX) {
		KEYS_FAULT(reading, at.node, "environments has more than %d entries",
			   POLICY_ENVIRONMENTS_MAX);
		return;
	}
	for (size_t i = 0; i < at.node->count; i++)
		read_environment(reading, at.node->keys[i], at.node->items[i]);
}

/* --- metrics --- */

static bool read_real(struct keys_reading *reading, struct keys_place at, double *out)
{
	json_t *value = at.node->kind == YAML_SCALAR ? yaml_to_json(at.node) : NULL;
	bool good = json_is_number(value);

	if (good)
		*out = json_number_value(value);
	good = good && isfinite(*out);
	if (!good)
		KEYS_FAULT(reading, at.node, "%s must be a number", at.path);
	json_decref(value);
	return good;
}

static void read_min(struct keys_reading *reading, struct keys_place at, void *into)
{
	struct policy_metric *metric = into;

	metric->has_min = read_real(reading, at, &metric->min);
}

static void read_max(struct keys_reading *reading, struct keys_place at, void *into)
{
	struct policy_metric *metric = into;

	metric->has_max = read_real(reading, at, &metric->max);
}

static void read_max_drop(struct keys_reading *reading, struct keys_place at, void *into)
{
	struct policy_metric *metric = into;

	metric->has_max_drop = read_real(reading, at, &metric->max_drop);
	if (metric->has_max_drop && metric->max_drop < 0)
		KEYS_FAULT(reading, at.node, "%s must not be below 0", at.path);
}

static void read_against(struct keys_reading *reading, struct keys_place at, void *into)
{
	const char *text = keys_text(reading, at, "the name of an environment");

	if (text)
		((struct policy_metric *)into)->against = str_dup(text);
}

static void check_metric(struct keys_reading *reading, const struct yaml_node *at,
			 const struct yaml_node *node, struct policy_metric *metric)
{
	char cut[KEYS_WORD_MAX + 1];
	const char *name = keys_word(cut, metric->name);

	if (!yaml_get(node, "min") && !yaml_get(node, "max") && !yaml_get(node, "max_drop"))
		KEYS_FAULT(reading, at, "metrics.%s has none of min, max and max_drop", name);
	if (metric->has_min && metric->has_max && metric->min > metric->max)
		KEYS_FAULT(reading, at, "metrics.%s: min is above max", name);
	if (metric->against && !yaml_get(node, "max_drop"))
		KEYS_FAULT(reading, at, "metrics.%s.against has no meaning without max_drop", name);
	if (metric->has_max_drop && !metric->against)
		metric->against = str_dup("production");
}

static void read_metric(struct keys_reading *reading, const struct yaml_node *key,
			const struct yaml_node *node)
{
	static const struct key keys[] = {{"min", read_min},
					  {"max", read_max},
					  {"max_drop", read_max_drop},
					  {"against", read_against}};
	struct policy *policy = reading->policy;
	struct policy_metric *metric;
	char path[KEYS_PATH_MAX], cut[KEYS_WORD_MAX + 1];

	if (strlen(key->text) > KEYS_NAME_MAX ||
	    !keys_is_all(key->text, KEYS_LOWER KEYS_UPPER KEYS_DIGITS "-_./ @")) {
		KEYS_FAULT(reading, key,
			   "\"%s\" cannot be a metric's name: letters, digits, - _ . / @",
			   keys_word(cut, key->text));
		return;
	}
	policy->metrics =
		mem_grow(policy->metrics, (policy->metric_count + 1) * sizeof *policy->metrics);
	metric = &policy->metrics[policy->metric_count++];
	*metric = (struct policy_metric){.name = str_dup(key->text), .line = key->line};
	(void)snprintf(path, sizeof path, "metrics.%s", key->text);
	if (keys_is_map(reading, (struct keys_place){node, path}, "{ min: 0.9 }"))
		keys_read(reading, (struct keys_place){node, path}, keys, ARRAY_LEN(keys), metric);
	check_metric(reading, key, node, metric);
}

void policy_read_metrics(struct keys_reading *reading, struct keys_place at, void *into)
{
	(void)into;
	if (!keys_is_map(reading, at, ""))
		return;
	if (at.node->count > POLICY_METRICS_MAX) {
		KEYS_FAULT(reading, at.node, "metrics has more than %d entries",
			   POLICY_METRICS_MAX);
		return;
	}
	for (size_t i = 0; i < at.node->count; i++)
		read_metric(reading, at.node->keys[i], at.node->items[i]);
}

/* --- together --- */

/* Staging and production exist without being named. */
static bool is_known_environment(const struct policy *policy, const char *name)
{
	return policy_environment(policy, name) || str_eq(name, "staging") ||
	       str_eq(name, "production");
}

/* True when one comes to `name` again by going back from it. */
static bool comes_after_itself(const struct policy *policy, const char *name)
{
	const struct policy_environment *at = policy_environment(policy, name);

	for (size_t i = 0; at && at->after && i <= policy->environment_count; i++) {
		if (str_eq(at->after, name))
			return true;
		at = policy_environment(policy, at->after);
	}
	return false;
}

static void check_namespaces(struct policy *policy, const struct policy_environment *one)
{
	for (const struct policy_environment *other = policy->environments; other < one; other++)
		if (one->namespace && str_eq(other->namespace, one->namespace))
			policy_fault(policy, one->line, 1,
				     "environments.%s and environments.%s have the same namespace",
				     other->name, one->name);
}

void policy_check_together(struct policy *policy)
{
	char cut[KEYS_WORD_MAX + 1];

	for (size_t i = 0; i < policy->environment_count; i++) {
		const struct policy_environment *one = &policy->environments[i];

		if (one->after && !is_known_environment(policy, one->after))
			policy_fault(policy, one->line, 1,
				     "environments.%s.after: there is no environment \"%s\"",
				     one->name, keys_word(cut, one->after));
		if (comes_after_itself(policy, one->name))
			policy_fault(policy, one->line, 1, "environments.%s comes after itself",
				     one->name);
		check_namespaces(policy, one);
	}
	for (size_t i = 0; i < policy->metric_count; i++) {
		const struct policy_metric *metric = &policy->metrics[i];

		if (metric->against && !is_known_environment(policy, metric->against))
			policy_fault(policy, metric->line, 1,
				     "metrics.%s.against: there is no environment \"%s\"",
				     metric->name, keys_word(cut, metric->against));
	}
}
