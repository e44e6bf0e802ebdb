/* effects_sample.c - effect that asks the staged model for its sample: where it answers, the
 * request, the judgement. */
#include <stdlib.h>
#include <string.h>

#include "bot/effects_impl.h"
#include "lib/core/isvc.h"
#include "lib/core/sample.h"
#include "lib/services/serving.h"

enum { URL_MAX = 2048, ROUTES_CONVERGE = 503 };

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

static enum err_class ask(struct effect_call *call, const json_t *address,
			  const struct sample *sample, struct serving_answer *answer,
			  struct err *err)
{
	const json_t *body = jval_at(call->job->data, "service.sample");
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

static void keep(struct effect_call *call, const struct sample *sample,
		 const struct serving_answer *answer, const char *by)
{
	struct sample_answer seen = {answer->status, answer->json, answer->took_ms};
	struct sample_wanted wanted = {0};
	struct sample_verdict verdict;

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

enum err_class effect_sample(struct effect_call *call, struct err *err)
{
	struct serving_answer answer = {0};
	AUTO_JSON json_t *addresses = NULL;
	const json_t *address;
	struct sample sample;
	enum err_class class;

	if (sample_recognise(&sample, jval_at(call->job->data, "service.sample"), err) ||
	    find_address(call, &addresses, err))
		return err->class;
	address = json_array_get(addresses, 0);
	class = ask(call, address, &sample, &answer, err);
	if (!class)
		keep(call, &sample, &answer, jval_str(address, "by", ""));
	serving_answer_dispose(&answer);
	return class;
}
