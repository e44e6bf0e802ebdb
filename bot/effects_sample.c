/* effects_sample.c - effect that asks the staged model for its sample: where it answers, the
 * request, the judgement. */
#include <stdlib.h>
#include <string.h>

#include "bot/effects_impl.h"
#include "lib/core/isvc.h"
#include "lib/core/sample.h"
#include "lib/services/serving.h"

enum { URL_MAX = 2048, ROUTES_CONVERGE = 503, FIELDS_MAX = 32 };

/* The objects as they are now, for the addresses in their status. */
static enum err_class find_address(struct effect_call *call, json_t **out, struct err *err)
{
	const json_t *service = json_object_get(call->job->data, "service");
	struct isvc_goal goal = {
		.wanted = json_object_get(service, "wanted"),
		.before = json_object_get(service, "before"),
		.job = call->job->uid,
		.phase = ISVC_STAGE,
	};
	struct isvc_look look;

	if (effect_service_look(call, err))
		return err->class;
	look = (struct isvc_look){.live = json_object_get(call->data, "live"),
				  .second = json_object_get(call->data, "second")};
	return isvc_addresses(out, &goal, &look, effect_cluster_text(call, "serving_url"), err);
}

static enum err_class ask(struct effect_call *call, const json_t *address, const json_t *body,
			  const struct sample *sample, struct serving_answer *answer,
			  struct err *err)
{
	AUTO_BUF struct buf url = buf_make(URL_MAX);
	AUTO_FREE char *text = jval_dump(body);
	struct serving_request request = {
		.host = jval_str(address, "host", NULL),
		.token_file = effect_cluster_text(call, "serving_token_file"),
		.body = text,
		.body_len = strlen(text),
	};

#if KFOPS_FAULTS
	if (!request.host) /* tests stand outside and have no cluster's names */
		request.connect_to = getenv("KFOPS_CLUSTER_LOCAL");
#endif
	buf_puts(&url, jval_str(address, "url", ""));
	sample_request_path(&url, sample, jval_str(address, "model", ""));
	request.url = buf_text(&url);
	return serving_ask(hands_cluster_http(call->hands), &request, answer, err);
}

/* What the repository asks of an answer; borrowed from the job. */
static void read_wanted(const struct job *job, const char *fields[FIELDS_MAX],
			struct sample_wanted *out)
{
	const json_t *expect = jval_at(job->data, "rollout.expect"), *each;
	size_t i;

	*out = (struct sample_wanted){
		.status = (int)jval_int(expect, "status", 0),
		.fields = fields,
		.latency_max_ms = jval_int(expect, "max_latency", 0),
		.schema = jval_at(job->data, "service.schema"),
	};
	json_array_foreach(jval_at(expect, "fields"), i, each) if (out->field_count < FIELDS_MAX)
		fields[out->field_count++] = json_string_value(each);
}

static void keep(struct effect_call *call, const struct sample *sample,
		 const struct serving_answer *answer, const char *by)
{
	struct sample_answer seen = {answer->status, answer->json, answer->took_ms};
	struct sample_verdict verdict;
	const char *fields[FIELDS_MAX];
	struct sample_wanted wanted;

	read_wanted(call->job, fields, &wanted);
	sample_judge(&verdict, sample, &wanted, &seen);
	json_object_clear(call->data); /* what the look brought was for the address only */
	jval_set_int(call->data, "status", answer->status);
	jval_set_int(call->data, "took_ms", answer->took_ms);
	jval_set_str(call->data, "body", answer->shown);
	jval_set_str(call->data, "by", by);
	jval_set_bool(call->data, "good", verdict.is_good);
	jval_set_bool(call->data, "again", answer->status == ROUTES_CONVERGE);
	jval_set_str(call->data, "verdict", verdict.sentence);
}

static enum err_class try_one(struct effect_call *call, const json_t *address, const json_t *body,
			      struct err *err)
{
	struct serving_answer answer = {0};
	struct sample sample;
	enum err_class class;

	if (sample_recognise(&sample, body, err))
		return err->class;
	class = ask(call, address, body, &sample, &answer, err);
	if (!class)
		keep(call, &sample, &answer, jval_str(address, "by", ""));
	serving_answer_dispose(&answer);
	return class;
}

/* One after the other, up to the first that is not answered well; the last answer is shown. */
enum err_class effect_sample(struct effect_call *call, struct err *err)
{
	const json_t *samples = jval_at(call->job->data, "service.samples"), *body;
	AUTO_JSON json_t *addresses = NULL;
	enum err_class class = find_address(call, &addresses, err);
	size_t i;

	json_array_foreach(samples, i, body)
	{
		if (class || (i && !jval_bool(call->data, "good", false)))
			break;
		jval_set(call->data, "asked", json_integer((json_int_t)i));
		class = try_one(call, json_array_get(addresses, 0), body, err);
	}
	return class;
}
