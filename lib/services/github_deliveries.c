/* github_deliveries.c - what GitHub wanted to tell us and could not (App mode): the list of
 * deliveries and the payload of one. The payload comes over our own authenticated connection, so it
 * needs no signature. GitHub keeps failed deliveries for three days, an Enterprise Server for
 * seven. */
#include <inttypes.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/services/github_impl.h"

enum { PAGES_MAX = 300, PAYLOAD_MAX = 4 * 1024 * 1024 };

static enum err_class refuse_token_mode(const struct github *gh, struct err *err)
{
	return gh->app_id ? ERR_OK
			  : err_set(err, ERR_BUG, "the list of deliveries belongs to a GitHub App");
}

/* False when the caller has seen enough. */
static bool tell_each(const json_t *list, bool (*each)(void *, const struct github_delivery *),
		      void *arg)
{
	size_t count = json_array_size(list);

	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(list, i);
		struct github_delivery delivery = {
			.id = jval_int(item, "id", 0),
			.status_code = (int)jval_int(item, "status_code", 0),
		};

		delivery.ok = delivery.status_code >= 200 && delivery.status_code <= 299;
		if (!delivery.id ||
		    !str_copy(delivery.guid, sizeof delivery.guid, jval_str(item, "guid", "")) ||
		    !str_copy(delivery.event, sizeof delivery.event, jval_str(item, "event", "")) ||
		    !clock_parse(&delivery.delivered_at_ms, jval_str(item, "delivered_at", NULL)))
			continue; /* an item we cannot read must not hide the others */
		if (!each(arg, &delivery))
			return false;
	}
	return true;
}

enum err_class github_deliveries(struct github *gh, struct http *http,
				 bool (*each)(void *arg, const struct github_delivery *delivery),
				 void *arg, struct err *err)
{
	AUTO_FREE char *url = str_printf("%s/app/hook/deliveries?per_page=100", gh->api_url);
	enum err_class class = refuse_token_mode(gh, err);

	for (int page = 0; !class && url && page < PAGES_MAX; page++) {
		struct github_call call = {.method = "GET", .url = url};
		AUTO_ANSWER struct github_answer answer = {0};
		char *next = NULL;

		class = github_call_own(gh, http, &call, &answer, err);
		if (!class && tell_each(answer.json, each, arg) && answer.next)
			next = github_same_origin(gh->api_url, answer.next);
		mem_free(url);
		url = next;
	}
	return class;
}

enum err_class github_delivery_payload(struct github *gh, struct http *http, int64_t id, char **out,
				       struct err *err)
{
	AUTO_FREE char *url = str_printf("%s/app/hook/deliveries/%" PRId64, gh->api_url, id);
	struct github_call call = {.method = "GET", .url = url, .response_max = PAYLOAD_MAX};
	AUTO_ANSWER struct github_answer answer = {0};
	enum err_class class = refuse_token_mode(gh, err);
	const json_t *payload;

	*out = NULL;
	if (!class)
		class = github_call_own(gh, http, &call, &answer, err);
	if (class)
		return class;
	payload = jval_at(answer.json, "request.payload");
	if (!json_is_object(payload))
		return err_code(err, ERR_NOT_FOUND, "github.no_payload",
				"GitHub keeps no payload of this delivery any more");
	*out = jval_dump(payload);
	return ERR_OK;
}
