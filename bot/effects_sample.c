/* effects_sample.c - effect that asks the staged model for its sample: where it answers, the
 * request, the judgement.
 *
 * A model has several addresses, and which of them lead to it depends on the cluster: a tag needs a
 * programmed route, a revision's own service a running pod, a headless Service the container's
 * port, a mesh its policies. So they are asked in order up to the first at which the model server
 * itself answers; what it says there counts, good or bad, for all of them lead to the same model. A
 * gateway's word (no route, no right, nobody home) is not the model's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bot/effects_impl.h"
#include "lib/base/log.h"
#include "lib/core/isvc.h"
#include "lib/core/sample.h"
#include "lib/services/serving.h"

enum { URL_MAX = 2048, TRIED_MAX = 600, HOST_SHOWN = 120 };

static enum err_class find_address(struct effect_call *call, const struct isvc_look *look,
				   json_t **out, struct err *err)
{
	const json_t *service = json_object_get(call->job->data, "service");
	struct isvc_goal goal = {
		.wanted = json_object_get(service, "wanted"),
		.before = json_object_get(service, "before"),
		.job = call->job->uid,
		.phase = ISVC_STAGE,
	};

	return isvc_addresses(out, &goal, look, effect_cluster_text(call, "serving_url"), err);
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
		.timeout_ms = sample_timeout_ms(
			jval_int(call->job->data, "rollout.expect.max_latency", 0)),
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
static void read_wanted(const struct job *job, const char *fields[SAMPLE_FIELDS_MAX],
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
	json_array_foreach(jval_at(expect, "fields"), i,
			   each) if (out->field_count < SAMPLE_FIELDS_MAX)
		fields[out->field_count++] = json_string_value(each);
}

/* --- what came back --- */

/* Nobody is there (yet): routes converge late. */
static bool is_early(const struct serving_answer *answer)
{
	return answer->status == 502 || answer->status == 503 || answer->status == 504 ||
	       (answer->status == 404 && !answer->json);
}

/* The word of somebody on the way, not of the model server. */
static bool is_of_a_gateway(const struct serving_answer *answer)
{
	return is_early(answer) || answer->status == 401 || answer->status == 403;
}

/* "latest-iris-predictor.ml-prod.svc.cluster.local": by what the address is known. */
static void host_of(char out[HOST_SHOWN + 1], const json_t *address)
{
	const char *url = jval_str(address, "url", ""), *host = strstr(url, "://");
	size_t len;

	host = jval_str(address, "host", host ? host + 3 : url);
	len = strcspn(host, "/");
	snprintf(out, HOST_SHOWN + 1, "%.*s", (int)len, host);
}

struct asking {
	struct effect_call *call;
	const json_t *addresses;
	size_t at;	   /* the address that is asked; the one that has answered */
	size_t sample;	   /* which of them */
	struct buf *tried; /* "tag latest-...: 404", one for each that did not lead to the model */
	struct err first;  /* how the first that did not answer failed */
};

static void keep(const struct asking *asking, const struct sample *sample,
		 const struct serving_answer *answer)
{
	const json_t *address = json_array_get(asking->addresses, asking->at);
	struct sample_answer seen = {answer->status, answer->json, answer->took_ms};
	json_t *data = asking->call->data;
	const char *fields[SAMPLE_FIELDS_MAX];
	struct sample_verdict verdict;
	struct sample_wanted wanted;
	char host[HOST_SHOWN + 1];

	host_of(host, address);
	read_wanted(asking->call->job, fields, &wanted);
	sample_judge(&verdict, sample, &wanted, &seen);
	json_object_clear(data); /* what the look brought was for the address only */
	jval_set_int(data, "asked", (int64_t)asking->sample);
	jval_set_int(data, "status", answer->status);
	jval_set_int(data, "took_ms", answer->took_ms);
	jval_set_str(data, "body", answer->shown);
	jval_set_str(data, "by", jval_str(address, "by", ""));
	jval_set_str(data, "host", host);
	jval_set_bool(data, "good", verdict.is_good);
	jval_set_bool(data, "again", is_early(answer));
	jval_set_str(data, "verdict", verdict.sentence);
}

/* This address has not led to the model: on to the next. */
static void note_tried(struct asking *asking, const struct serving_answer *answer,
		       const struct err *err)
{
	const json_t *address = json_array_get(asking->addresses, asking->at);
	char host[HOST_SHOWN + 1];

	host_of(host, address);
	buf_printf(asking->tried, "%s%s %s: ", asking->tried->len ? "; " : "",
		   jval_str(address, "by", ""), host);
	if (err->class)
		buf_puts(asking->tried, err->msg);
	else
		buf_printf(asking->tried, "%d", answer->status);
	if (err->class && !asking->first.class)
		asking->first = *err;
}

static void log_asked(const struct asking *asking, const struct serving_answer *answer,
		      const struct err *err)
{
	const json_t *address = json_array_get(asking->addresses, asking->at);
	char host[HOST_SHOWN + 1];

	host_of(host, address);
	log_info("sample_asked", LOG_I("job", asking->call->job->id),
		 LOG_S("by", jval_str(address, "by", "")), LOG_S("host", host),
		 LOG_I("status", answer->status), LOG_I("ms", answer->took_ms),
		 LOG_S("message", err->class ? err->msg : ""));
}

/* True when the model server has answered there; or a gateway, whose word is kept for the case that
 * nobody says more. */
static bool ask_there(struct asking *asking, const struct sample *sample, const json_t *body,
		      bool *kept)
{
	const json_t *address = json_array_get(asking->addresses, asking->at);
	struct serving_answer answer = {0};
	struct err err = {0};
	bool is_model;

	if (!ask(asking->call, address, body, sample, &answer, &err))
		err = (struct err){0};
	log_asked(asking, &answer, &err);
	is_model = !err.class && !is_of_a_gateway(&answer);
	if (!err.class && (is_model || !*kept)) {
		keep(asking, sample, &answer);
		*kept = true;
	}
	if (!is_model)
		note_tried(asking, &answer, &err);
	serving_answer_dispose(&answer);
	return is_model;
}

/* One sample, at the addresses from the present one on. */
static enum err_class ask_all(struct asking *asking, const json_t *body, struct err *err)
{
	size_t count = json_array_size(asking->addresses);
	struct sample sample;
	bool kept = false;

	if (sample_recognise(&sample, body, err))
		return err->class;
	for (; asking->at < count; asking->at++)
		if (ask_there(asking, &sample, body, &kept)) {
			if (asking->tried->len)
				jval_set_str(asking->call->data, "tried", buf_text(asking->tried));
			return ERR_OK;
		}
	if (kept) {
		jval_set_str(asking->call->data, "tried", buf_text(asking->tried));
		return ERR_OK;
	}
	*err = asking->first;
	if (count > 1)
		snprintf(err->msg, sizeof err->msg, "no address leads to the new model (%s)",
			 buf_text(asking->tried));
	return err->class;
}

/* Takes the objects out of what a look has brought, for the addresses in their status. The caller
 * drops both. */
static enum err_class look_first(struct effect_call *call, json_t **live, json_t **second,
				 struct err *err)
{
	if (effect_service_look(call, err))
		return err->class;
	*live = json_incref(json_object_get(call->data, "live"));
	*second = json_incref(json_object_get(call->data, "second"));
	return ERR_OK;
}

/* One after the other, up to the first that is not answered well; the last answer is shown. */
enum err_class effect_sample(struct effect_call *call, struct err *err)
{
	const json_t *samples = jval_at(call->job->data, "service.samples"), *body;
	AUTO_JSON json_t *addresses = NULL, *live = NULL, *second = NULL;
	AUTO_BUF struct buf tried = buf_make(TRIED_MAX);
	struct asking asking = {.call = call, .tried = &tried};
	enum err_class class = look_first(call, &live, &second, err);

	if (!class)
		class = find_address(call, &(struct isvc_look){live, second}, &addresses, err);
	asking.addresses = addresses;
	json_array_foreach(samples, asking.sample, body)
	{
		if (class || (asking.sample && !jval_bool(call->data, "good", false)))
			break;
		class = ask_all(&asking, body, err);
	}
	return class;
}

enum err_class effect_sample_once(struct effect_call *call, const struct isvc_look *look,
				  size_t which, struct err *err)
{
	const json_t *body = json_array_get(jval_at(call->job->data, "service.samples"), which);
	AUTO_BUF struct buf tried = buf_make(TRIED_MAX);
	AUTO_JSON json_t *addresses = NULL;
	struct asking asking = {.call = call, .sample = which, .tried = &tried};

	if (find_address(call, look, &addresses, err))
		return err->class;
	asking.addresses = addresses;
	return ask_all(&asking, body, err);
}
