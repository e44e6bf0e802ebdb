/* kfp_kit.h - a client and a scripted server that plays Kubeflow Pipelines, for the tests of kfp.
 */
#ifndef KF_TESTS_KFP_KIT_H
#define KF_TESTS_KFP_KIT_H

#include "lib/base/http.h"
#include "lib/base/jval.h"
#include "lib/services/kfp.h"
#include "tests/unit/cases.h"
#include "tests/unit/scripted_server.h"

/* Scripts name only what an answer differs in from the next; the rest is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct kit {
	struct scripted_server *server;
	struct http *http;
	struct kfp *kfp;
	struct err err;
};

static struct kit kit_start_with(const struct scripted_answer *script, size_t count,
				 const char *token_file)
{
	static const struct http_options plain = {.user_agent = "kfops/test", .allow_http = true};
	struct kit kit = {.server = scripted_start(script, count), .http = http_new(&plain)};
	struct kfp_options options = {.url = kit.server->url, .token_file = token_file};

	assert_int_equal(kfp_new(&kit.kfp, &options, &kit.err), ERR_OK);
	return kit;
}

#define KIT_START(script) kit_start_with(script, ARRAY_LEN(script), NULL)

/* Ends the server; every request must have been in the script, and `requests` of them made. */
static void kit_stop(struct kit *kit, int requests)
{
	http_free(kit->http);
	kfp_free(kit->kfp);
	assert_int_equal(kit->server->unexpected, 0);
	assert_int_equal(kit->server->request_count, requests);
	scripted_stop(kit->server);
}

/* The request line of the n-th request; valid until the next call. */
static inline const char *kit_line(const struct kit *kit, int n)
{
	static char line[65536];
	const char *text = kit->server->requests[n].text;

	snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\r"), text);
	return line;
}

#endif
