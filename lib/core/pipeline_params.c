/* pipeline_params.c - what a person or a configuration gives, against what the pipeline takes.
 *
 * All faults are gathered into one message before anything is refused. Text is what a comment
 * gives, so it is converted to the parameter's type; values that come from YAML or JSON must have
 * it already, with one exception: 3.0 is a whole number, because that is how IR writes them. Argo
 * takes only text, so there the checked value is written as text again. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/pipeline_impl.h"

enum {
	MESSAGE_MAX = 900, /* leaves room for context in struct err */
	NEAR_MAX = 3,	   /* edits to the nearest name */
	VALUE_SHOWN_MAX = 60,
};

static const double whole_max = 9007199254740992.0; /* 2^53: the server keeps numbers as doubles */

struct faults {
	struct buf text;
	const char *code; /* of the first */
	size_t count, left_out;
};

static void add_fault(struct faults *faults, const char *code, char *take_text)
{
	if (!faults->count++)
		faults->code = code;
	if (faults->text.len + strlen(take_text) + 2 > MESSAGE_MAX && faults->count > 1)
		faults->left_out++;
	else
		buf_printf(&faults->text, "%s%s", faults->text.len ? "; " : "", take_text);
	mem_free(take_text);
}

/* [-+]digits[.digits][e[-+]digits]: no hexadecimal, infinity or blanks, which strtod would take. */
static bool text_to_double(double *out, const char *text)
{
	const char *at = text + (*text == '-' || *text == '+');
	size_t digits = strspn(at, "0123456789"), more = 0;

	at += digits;
	if (*at == '.') {
		more = strspn(at + 1, "0123456789");
		at += 1 + more;
	}
	if (!digits && !more)
		return false;
	if (*at == 'e' || *at == 'E') {
		at += at[1] == '-' || at[1] == '+' ? 2 : 1;
		if (!isdigit((unsigned char)*at))
			return false;
		at += strspn(at, "0123456789");
	}
	*out = strtod(text, NULL);
	return !*at && isfinite(*out);
}

static json_t *whole_number(double value)
{
	if (fabs(value) >= whole_max || floor(value) < value)
		return NULL;
	return json_integer((json_int_t)value);
}

static json_t *to_number(const json_t *given, bool whole)
{
	const char *text = json_string_value(given);
	double value;

	if (text ? !text_to_double(&value, text) : !json_is_number(given))
		return NULL;
	if (!text)
		value = json_number_value(given);
	return whole ? whole_number(value) : json_real(value);
}

/* The words of YAML 1.1, which PyYAML reads in the settings of repositories set up for Kfops. */
static json_t *to_boolean(const json_t *given)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = {{"true", true}, {"false", false}, {"yes", true},
		     {"no", false},  {"on", true},     {"off", false}};
	const char *text = json_string_value(given);

	if (!text)
		return json_is_boolean(given) ? json_boolean(json_is_true(given)) : NULL;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eq_nocase(text, words[i].text))
			return json_boolean(words[i].value);
	return NULL;
}

static json_t *to_container(const json_t *given, json_type type)
{
	const char *text = json_string_value(given);
	json_t *value = NULL;
	struct err ignored;

	if (!text)
		return json_typeof(given) == type ? json_deep_copy(given) : NULL;
	if (jval_parse(&value, text, json_string_length(given), &ignored))
		return NULL;
	if (json_typeof(value) != type)
		jval_drop(&value);
	return value;
}

/* The value in the parameter's type; NULL when it cannot be that. */
static json_t *convert(const json_t *given, enum param_type type)
{
	switch (type) {
	case PARAM_NUMBER_DOUBLE:
	case PARAM_NUMBER_INTEGER:
		return to_number(given, type == PARAM_NUMBER_INTEGER);
	case PARAM_STRING:
		return json_is_string(given) ? json_copy((json_t *)(uintptr_t)given) : NULL;
	case PARAM_BOOLEAN:
		return to_boolean(given);
	case PARAM_LIST:
		return to_container(given, JSON_ARRAY);
	case PARAM_STRUCT:
		return to_container(given, JSON_OBJECT);
	case PARAM_TASK_FINAL_STATUS:
	case PARAM_TASK_CONFIG:
		break;
	}
	return NULL;
}

static const char *type_sentence(enum param_type type)
{
	switch (type) {
	case PARAM_NUMBER_DOUBLE:
		return "must be a number (NUMBER_DOUBLE)";
	case PARAM_NUMBER_INTEGER:
		return "must be a whole number (NUMBER_INTEGER)";
	case PARAM_STRING:
		return "must be text (STRING): put it in quotes";
	case PARAM_BOOLEAN:
		return "must be true or false (BOOLEAN)";
	case PARAM_LIST:
		return "must be a JSON list (LIST), like [1, 2]";
	case PARAM_STRUCT:
		return "must be a JSON object (STRUCT), like {\"a\": 1}";
	case PARAM_TASK_FINAL_STATUS:
	case PARAM_TASK_CONFIG:
		break;
	}
	return "is filled in by Kubeflow and cannot be given";
}

static bool same_value(const json_t *a, const json_t *b)
{
	double left, right;

	if (!json_is_number(a) || !json_is_number(b))
		return json_equal(a, b);
	left = json_number_value(a);
	right = json_number_value(b);
	return !(left < right) && !(left > right);
}

static bool is_allowed(const struct pipeline_param *param, const json_t *value)
{
	json_t *each;
	size_t i;

	json_array_foreach(param->literals, i, each)
	{
		if (same_value(each, value))
			return true;
	}
	return !param->literals;
}

/* What was given, short enough for a message. */
static char *shown_value(const json_t *value)
{
	AUTO_FREE char *text = jval_dump(value);
	size_t len = strlen(text);

	if (len <= VALUE_SHOWN_MAX)
		return take(text);
	return str_printf("%.*s...", (int)str_utf8_cut(text, VALUE_SHOWN_MAX), text);
}

static void fault_literal(struct faults *faults, const struct pipeline_param *param,
			  const json_t *value)
{
	AUTO_FREE char *given = shown_value(value), *allowed = jval_dump(param->literals);
	size_t len = strlen(allowed), cut = len < 200 ? len : str_utf8_cut(allowed, 200);

	add_fault(faults, "run.parameter_literal",
		  str_printf("`%.*s` may not be %s; allowed is one of %.*s%s",
			     PIPELINE_SHOWN(param->name), given, (int)cut, allowed,
			     cut < len ? "..." : ""));
}

static void fault_unknown(struct faults *faults, const struct pipeline *pipeline, const char *name)
{
	const char *words[PIPELINE_PARAMS_MAX], *near;
	AUTO_BUF struct buf hint = buf_make(400);

	for (size_t i = 0; i < pipeline->param_count; i++)
		words[i] = pipeline->params[i].name;
	near = str_nearest(name, words, pipeline->param_count, NEAR_MAX);
	if (near) {
		buf_printf(&hint, "did you mean `%.*s`?", PIPELINE_SHOWN(near));
	} else if (!pipeline->param_count) {
		buf_puts(&hint, "the pipeline takes none");
	} else {
		buf_puts(&hint, "the pipeline has ");
		for (size_t i = 0; i < pipeline->param_count && hint.len < 250; i++)
			buf_printf(&hint, "%s`%.*s`", i ? ", " : "", PIPELINE_SHOWN(words[i]));
	}
	add_fault(faults, "run.unknown_parameter",
		  str_printf("there is no parameter `%.*s` (%s)", PIPELINE_SHOWN(name),
			     buf_text(&hint)));
}

/* Argo's parameters are text: what was given as text stays as it was written. */
static json_t *as_text(const json_t *given, const json_t *value)
{
	AUTO_FREE char *text = NULL;

	if (json_is_string(given))
		return json_copy((json_t *)(uintptr_t)given);
	text = jval_dump(value);
	return json_string(text);
}

static void take_param(const struct pipeline *pipeline, const struct pipeline_param *param,
		       const json_t *given, json_t *out, struct faults *faults)
{
	bool is_argo = pipeline->format == PIPELINE_ARGO;
	AUTO_JSON json_t *value = is_argo && param->type == PARAM_STRING
					  ? json_deep_copy(given)
					  : convert(given, param->type);

	if (!value) {
		AUTO_FREE char *shown = shown_value(given);

		add_fault(faults, "run.parameter_type",
			  str_printf("`%.*s` %s, not %s", PIPELINE_SHOWN(param->name),
				     type_sentence(param->type), shown));
	} else if (!is_allowed(param, value)) {
		fault_literal(faults, param, value);
	} else {
		json_object_set_new(out, param->name,
				    is_argo ? as_text(given, value) : take(value));
	}
}

enum err_class pipeline_check_params(const struct pipeline *pipeline, const json_t *given,
				     json_t **out, struct err *err)
{
	struct faults faults = {.text = buf_make(4 * MESSAGE_MAX)};
	AUTO_JSON json_t *taken = json_object();
	const char *name;
	json_t *value;

	*out = NULL;
	json_object_foreach((json_t *)(uintptr_t)given, name, value)
	{
		const struct pipeline_param *param = pipeline_param_find(pipeline, name);

		if (!param)
			fault_unknown(&faults, pipeline, name);
		else if (!json_is_null(value)) /* "x:" in YAML: not given */
			take_param(pipeline, param, value, taken, &faults);
	}
	for (size_t i = 0; i < pipeline->param_count; i++) {
		const struct pipeline_param *param = &pipeline->params[i];
		json_t *it = json_object_get(given, param->name);

		if (param->required && (!it || json_is_null(it)) &&
		    param->type != PARAM_TASK_FINAL_STATUS && param->type != PARAM_TASK_CONFIG)
			add_fault(&faults, "run.missing_parameter",
				  str_printf("the parameter `%.*s` is required",
					     PIPELINE_SHOWN(param->name)));
	}
	if (faults.left_out)
		buf_printf(&faults.text, "; and %zu more", faults.left_out);
	if (faults.count)
		err_code(err, ERR_USER, faults.code, "%s", buf_text(&faults.text));
	else
		*out = take(taken);
	buf_dispose(&faults.text);
	return faults.count ? ERR_USER : ERR_OK;
}
