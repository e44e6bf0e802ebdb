/* thresholds.c - see thresholds.h. Each metric of the policy is judged alone, by the questions in
 * `judge_one` in their order; the first that is not answered well is what is said of it. */
#include "lib/core/thresholds.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/pipeline.h"

enum { SHOWN_MAX = 60, PLACES_MAX = 120 };

static const double same_within = 1e-9; /* of the larger value */

/* --- keeping --- */

json_t *thresholds_keep(const struct policy *policy)
{
	json_t *list = json_array();

	for (size_t i = 0; i < policy->metric_count; i++) {
		const struct policy_metric *metric = &policy->metrics[i];
		json_t *one = json_object();

		jval_set_str(one, "name", metric->name);
		if (metric->has_min)
			jval_set(one, "min", json_real(metric->min));
		if (metric->has_max)
			jval_set(one, "max", json_real(metric->max));
		if (metric->has_max_drop) {
			jval_set(one, "max_drop", json_real(metric->max_drop));
			jval_set_str(one, "against", metric->against);
		}
		json_array_append_new(list, one);
	}
	return list;
}

json_t *thresholds_against(const json_t *thresholds)
{
	json_t *list = json_array();
	const json_t *each, *there;
	size_t i, k;

	json_array_foreach(thresholds, i, each)
	{
		const char *name = jval_str(each, "against", NULL);
		bool known = !name;

		json_array_foreach(list, k, there) known |= str_eq(json_string_value(there), name);
		if (!known)
			json_array_append_new(list, json_string(name));
	}
	return list;
}

/* --- values --- */

/* "accuracy", "train/accuracy" or "train/metrics/accuracy". */
static bool is_named(const json_t *value, const char *wanted)
{
	const char *name = jval_str(value, "name", ""), *task = jval_str(value, "task", "");
	const char *output = jval_str(value, "output", "");
	size_t wanted_len = strlen(wanted), name_len = strlen(name), task_len;
	AUTO_FREE char *first = NULL, *middle = NULL;

	if (str_eq(name, wanted))
		return true;
	if (!name_len || wanted_len < name_len + 2 ||
	    !str_eq(wanted + wanted_len - name_len, name) ||
	    wanted[wanted_len - name_len - 1] != '/')
		return false;
	wanted_len -= name_len + 1;
	task_len = strcspn(wanted, "/");
	task_len = task_len < wanted_len ? task_len : wanted_len;
	first = str_dup_len(wanted, task_len);
	if (!pipeline_same_name(first, task))
		return false;
	if (task_len == wanted_len)
		return true;
	middle = str_dup_len(wanted + task_len + 1, wanted_len - task_len - 1);
	return pipeline_same_name(middle, output);
}

struct found {
	const json_t *first;
	size_t count;
	char places[PLACES_MAX]; /* "train/metrics, evaluate/metrics" */
};

static void add_place(struct found *found, const json_t *value)
{
	size_t len = strlen(found->places);

	(void)snprintf(found->places + len, sizeof found->places - len, "%s%.40s/%.40s",
		       len ? ", " : "", jval_str(value, "task", "?"),
		       jval_str(value, "output", "?"));
	found->places[str_utf8_cut(found->places, strlen(found->places))] = '\0';
}

static struct found find(const json_t *values, const char *name)
{
	struct found found = {0};
	const json_t *each;
	size_t i;

	json_array_foreach(values, i, each)
	{
		if (!is_named(each, name))
			continue;
		if (!found.count++)
			found.first = each;
		add_place(&found, each);
	}
	return found;
}

static bool take_number(double *out, const struct found *found)
{
	const json_t *value = json_object_get(found->first, "value");

	*out = json_number_value(value);
	return json_is_number(value) && isfinite(*out);
}

/* --- one metric --- */

struct judged {
	enum threshold_result result;
	char text[GATE_SENTENCE_MAX];
};

static void put(struct judged *out, enum threshold_result result, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void put(struct judged *out, enum threshold_result result, const char *fmt, ...)
{
	va_list ap;

	out->result = result;
	va_start(ap, fmt);
	(void)vsnprintf(out->text, sizeof out->text, fmt, ap);
	va_end(ap);
	out->text[str_utf8_cut(out->text, strlen(out->text))] = '\0';
}

static bool is_more(double a, double b)
{
	double scale = fmax(fmax(fabs(a), fabs(b)), 1e-300);

	return a - b > same_within * scale;
}

/* A drop is a difference of two values, so its own size says nothing of how exact it is. */
static bool drops_too_far(double base, double value, double max_drop)
{
	double scale = fmax(fmax(fabs(base), fabs(value)), max_drop);

	return base - value - max_drop > same_within * scale;
}

/* Against what serves; true when nothing is said against it. `more` gets what a good value is shown
 * with. */
static bool holds_against(struct judged *out, const json_t *one, double value, const json_t *live,
			  char more[SHOWN_MAX])
{
	const char *name = jval_str(one, "name", ""), *against = jval_str(one, "against", "");
	const json_t *there = json_object_get(live, against);
	double max_drop = json_number_value(json_object_get(one, "max_drop")), base = 0;
	struct found found;

	if (json_is_null(there)) {
		(void)snprintf(more, SHOWN_MAX, "nothing is in %.24s yet", against);
		return true;
	}
	found = find(json_object_get(there, "metrics"), name);
	if (found.count != 1 || !take_number(&base, &found)) {
		put(out, THRESHOLD_UNRECORDED,
		    "%.100s is %.6g, but %s of what serves in %.60s, so a drop cannot be compared",
		    name, value, found.count > 1 ? "was recorded more than once" : "is not known",
		    against);
		return false;
	}
	if (drops_too_far(base, value, max_drop)) {
		put(out, THRESHOLD_MISSED,
		    "%.100s %.6g is %.6g below the %.6g of %.60s, and %.6g is allowed", name, value,
		    base - value, base, against, max_drop);
		return false;
	}
	(void)snprintf(more, SHOWN_MAX, "%.24s %.6g, %+.3g", against, base, value - base);
	return true;
}

static bool is_value(struct judged *out, const char *name, const struct found *found, double *value)
{
	AUTO_FREE char *shown = NULL;

	if (!found->count) {
		put(out, THRESHOLD_MISSING, "%.100s was not recorded by the run", name);
	} else if (found->count > 1) {
		put(out, THRESHOLD_SEVERAL,
		    "%.100s was recorded %zu times (%s): the policy must name one, like "
		    "%.40s/%.100s",
		    name, found->count, found->places, jval_str(found->first, "task", "task"),
		    jval_str(found->first, "name", "?"));
	} else if (!take_number(value, found)) {
		shown = jval_show(json_object_get(found->first, "value"));
		put(out, THRESHOLD_NO_NUMBER, "%.100s is no number: %.40s", name, shown);
	} else {
		return true;
	}
	return false;
}

static void judge_one(struct judged *out, const json_t *one, const json_t *values,
		      const json_t *live)
{
	const char *name = jval_str(one, "name", "");
	const json_t *min = json_object_get(one, "min"), *max = json_object_get(one, "max");
	struct found found = find(values, name);
	char more[3][SHOWN_MAX] = {"", "", ""};
	double value = 0;

	if (!is_value(out, name, &found, &value))
		return;
	if (min && is_more(json_number_value(min), value)) {
		put(out, THRESHOLD_MISSED, "%.100s %.6g is %.6g below its min of %.6g", name, value,
		    json_number_value(min) - value, json_number_value(min));
		return;
	}
	if (max && is_more(value, json_number_value(max))) {
		put(out, THRESHOLD_MISSED, "%.100s %.6g is %.6g above its max of %.6g", name, value,
		    value - json_number_value(max), json_number_value(max));
		return;
	}
	if (min)
		(void)snprintf(more[0], SHOWN_MAX, "min %.6g", json_number_value(min));
	if (max)
		(void)snprintf(more[1], SHOWN_MAX, "max %.6g", json_number_value(max));
	if (json_object_get(one, "max_drop") && !holds_against(out, one, value, live, more[2]))
		return;
	put(out, THRESHOLD_MET, "%.100s %.6g (%s%s%s%s%s)", name, value, more[0],
	    *more[0] && *more[1] ? ", " : "", more[1],
	    (*more[0] || *more[1]) && *more[2] ? ", " : "", more[2]);
}

/* --- all --- */

static const char *code_of(enum threshold_result result)
{
	switch (result) {
	case THRESHOLD_MET:
		return "";
	case THRESHOLD_MISSED:
		return "deploy.metrics";
	case THRESHOLD_MISSING:
		return "deploy.metric_missing";
	case THRESHOLD_NO_NUMBER:
		return "deploy.metric_no_number";
	case THRESHOLD_SEVERAL:
		return "deploy.which_metric";
	case THRESHOLD_UNRECORDED:
		return "deploy.metric_unrecorded";
	}
	return "deploy.metrics";
}

struct telling {
	struct buf text;
	size_t left_out;
};

/* A metric is told whole or not at all. */
static void tell(struct telling *telling, const char *text)
{
	enum { ROOM = 24 }; /* for how many were left out */

	if (telling->text.len + strlen(text) + ROOM >= GATE_SENTENCE_MAX && telling->text.len)
		telling->left_out++;
	else
		buf_printf(&telling->text, "%s%s", telling->text.len ? "; " : "", text);
}

void thresholds_judge(struct thresholds *out, const json_t *thresholds, const json_t *values,
		      const json_t *live)
{
	struct telling telling = {.text = buf_make(GATE_SENTENCE_MAX)};
	struct judged judged;
	const json_t *one;
	size_t i;

	*out = (struct thresholds){.met = FACT_YES, .code = ""};
	if (!json_is_array(thresholds) || !json_is_array(values)) {
		out->met = FACT_UNKNOWN;
		return;
	}
	for (int met = 0; met < 2; met++)
		json_array_foreach(thresholds, i, one)
		{
			judge_one(&judged, one, values, live);
			if ((judged.result == THRESHOLD_MET) != (met == 1))
				continue;
			if (!met && out->met == FACT_YES) {
				out->met = FACT_NO;
				out->code = code_of(judged.result);
			}
			tell(&telling, judged.text);
		}
	(void)snprintf(out->said, sizeof out->said, "%s", buf_text(&telling.text));
	if (telling.left_out)
		(void)snprintf(out->said + strlen(out->said), sizeof out->said - strlen(out->said),
			       "; and %zu more", telling.left_out);
	buf_dispose(&telling.text);
}
