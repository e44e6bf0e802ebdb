/* sample.c - see sample.h. Recognising a request and judging its answer; the schema is in
 * sample_schema.c.
 *
 * The two protocols share the word "inputs". A list under it is v2 and must have v2's members,
 * because TensorFlow's list of bare tensors would otherwise be sent to the wrong path; a map under
 * it is v1 by columns, whose answers TensorFlow Serving calls "outputs". */
#include "lib/core/sample.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/http.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"

enum { WORDS_MAX = 240, TIMEOUT_MS = 30000, LATE_MS = 5000, LATENCY_MAX_MS = 3600000 };

/* --- the request --- */

static bool is_datatype(const char *name)
{
	static const char *const known[] = {"BOOL", "UINT8", "UINT16", "UINT32", "UINT64",
					    "INT8", "INT16", "INT32",  "INT64",	 "FP16",
					    "FP32", "FP64",  "BF16",   "BYTES"};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(name, known[i]))
			return true;
	return false;
}

static bool is_shape(const json_t *shape)
{
	for (size_t i = 0; i < json_array_size(shape); i++)
		if (!json_is_integer(json_array_get(shape, i)) ||
		    json_integer_value(json_array_get(shape, i)) < 0)
			return false;
	return json_is_array(shape);
}

/* What is wrong with a tensor of v2, NULL when nothing is. */
static const char *tensor_fault(const json_t *tensor)
{
	if (!json_is_object(tensor))
		return "is not a map";
	if (str_is_empty(jval_str(tensor, "name", NULL)))
		return "has no name";
	if (!is_shape(jval_at(tensor, "shape")))
		return "has no shape (a list of numbers)";
	if (!is_datatype(jval_str(tensor, "datatype", "")))
		return "has no known datatype (FP32, INT64, BYTES, ...)";
	if (!json_array_size(jval_at(tensor, "data")))
		return "has no data";
	return NULL;
}

static enum err_class check_tensors(const json_t *inputs, struct err *err)
{
	for (size_t i = 0; i < json_array_size(inputs); i++) {
		const char *fault = tensor_fault(json_array_get(inputs, i));

		if (fault)
			return err_code(err, ERR_USER, "sample.form",
					"inputs[%zu] of the sample request %s; a list of inputs is "
					"the v2 protocol (name, shape, datatype, data)",
					i, fault);
	}
	return ERR_OK;
}

enum err_class sample_recognise(struct sample *out, const json_t *body, struct err *err)
{
	const json_t *instances = json_object_get(body, "instances");
	const json_t *inputs = json_object_get(body, "inputs");

	*out = (struct sample){SAMPLE_V1, 0};
	if (instances && inputs)
		return err_code(err, ERR_USER, "sample.form",
				"the sample request has both instances and inputs");
	if (instances && !json_array_size(instances))
		return err_code(err, ERR_USER, "sample.form",
				"instances of the sample request must be a list that is not empty");
	if (instances) {
		out->instances = json_array_size(instances);
		return ERR_OK;
	}
	if (json_object_size(inputs))
		return ERR_OK;
	if (!json_array_size(inputs))
		return err_code(
			err, ERR_USER, "sample.form",
			"the sample request is neither of the v1 protocol ({\"instances\": "
			"[...]}) nor of v2 ({\"inputs\": [{name, shape, datatype, data}]})");
	out->protocol = SAMPLE_V2;
	return check_tensors(inputs, err);
}

void sample_request_path(struct buf *out, const struct sample *sample, const char *model)
{
	bool is_v1 = sample->protocol == SAMPLE_V1;

	buf_puts(out, is_v1 ? "/v1/models/" : "/v2/models/");
	http_escape(out, model);
	buf_puts(out, is_v1 ? ":predict" : "/infer");
}

/* --- the answer --- */

static void say(struct sample_verdict *out, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct sample_verdict *out, const char *code, const char *fmt, ...)
{
	AUTO_FREE char *clean = NULL;
	char raw[sizeof out->sentence];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	clean = jval_clean_utf8(raw, str_utf8_cut(raw, strlen(raw)));
	for (char *at = clean; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = ' ';
	out->is_good = !*code;
	str_copy(out->code, sizeof out->code, code);
	str_copy(out->sentence, sizeof out->sentence, clean);
}

static bool is_success(int status)
{
	return status >= 200 && status < 300;
}

/* Model servers say {"error": "..."}; FastAPI {"detail": "..."}. */
static const char *words_of(const json_t *body)
{
	static const char *const members[] = {"error", "detail", "message", "error.message"};

	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (!str_is_empty(jval_str(body, members[i], NULL)))
			return jval_str(body, members[i], NULL);
	return NULL;
}

static bool judge_status(struct sample_verdict *out, int wanted, const struct sample_answer *answer)
{
	const char *words = words_of(answer->body);

	if (wanted ? answer->status == wanted : is_success(answer->status))
		return true;
	if (wanted)
		say(out, "sample.status", "the model server answers %d instead of %d%s%.*s",
		    answer->status, wanted, words ? ": " : "", WORDS_MAX, words ? words : "");
	else
		say(out, "sample.status", "the model server answers %d%s%.*s", answer->status,
		    words ? ": " : "", WORDS_MAX, words ? words : "");
	return false;
}

static bool judge_v1(struct sample_verdict *out, const struct sample *sample, const json_t *body)
{
	const json_t *predictions = jval_at(body, "predictions");
	size_t count = json_array_size(predictions);

	if (!predictions && !sample->instances)
		predictions = jval_at(body, "outputs");
	if (!predictions)
		say(out, "sample.predictions", "the answer has no predictions");
	else if (!json_array_size(predictions) && !json_object_size(predictions))
		say(out, "sample.predictions", "the predictions are empty or no list");
	else if (sample->instances && json_is_array(predictions) && count != sample->instances)
		say(out, "sample.predictions", "there are %zu predictions for %zu instances", count,
		    sample->instances);
	else
		return true;
	return false;
}

static bool judge_v2(struct sample_verdict *out, const json_t *body)
{
	const json_t *outputs = jval_at(body, "outputs");

	if (!json_array_size(outputs)) {
		say(out, "sample.predictions", "the answer has no outputs");
		return false;
	}
	for (size_t i = 0; i < json_array_size(outputs); i++) {
		const json_t *output = json_array_get(outputs, i);

		if (str_is_empty(jval_str(output, "name", NULL)) ||
		    !json_array_size(jval_at(output, "data"))) {
			say(out, "sample.predictions", "outputs[%zu] has no name or no data", i);
			return false;
		}
	}
	return true;
}

static bool judge_wishes(struct sample_verdict *out, const struct sample_wanted *wanted,
			 const struct sample_answer *answer)
{
	AUTO_BUF struct buf fault = buf_make(WORDS_MAX);

	for (size_t i = 0; i < wanted->field_count; i++)
		if (!jval_at(answer->body, wanted->fields[i])) {
			say(out, "sample.field", "the answer has no %.100s", wanted->fields[i]);
			return false;
		}
	if (wanted->schema && !sample_schema_fits(wanted->schema, answer->body, &fault)) {
		say(out, "sample.answer", "the answer does not fit its schema: %s",
		    buf_text(&fault));
		return false;
	}
	if (wanted->latency_max_ms && answer->took_ms > wanted->latency_max_ms) {
		say(out, "sample.latency", "the answer took %lld ms; at most %lld ms are allowed",
		    (long long)answer->took_ms, (long long)wanted->latency_max_ms);
		return false;
	}
	return true;
}

int sample_timeout_ms(int64_t latency_max_ms)
{
	int64_t wait_ms = latency_max_ms > LATENCY_MAX_MS ? LATENCY_MAX_MS : latency_max_ms;

	return wait_ms + LATE_MS > TIMEOUT_MS ? (int)wait_ms + LATE_MS : TIMEOUT_MS;
}

void sample_judge(struct sample_verdict *out, const struct sample *sample,
		  const struct sample_wanted *wanted, const struct sample_answer *answer)
{
	if (!judge_status(out, wanted->status, answer))
		return;
	if (!answer->body) {
		say(out, "sample.json",
		    "the model server answers %d with something that is not JSON", answer->status);
		return;
	}
	if (is_success(answer->status) &&
	    !(sample->protocol == SAMPLE_V1 ? judge_v1(out, sample, answer->body)
					    : judge_v2(out, answer->body)))
		return;
	if (judge_wishes(out, wanted, answer))
		say(out, "", "the model server answers %d in %lld ms", answer->status,
		    (long long)answer->took_ms);
}
