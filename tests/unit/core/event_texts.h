/* event_texts.h - one payload of each kind that is read, for the tests of events. */
#ifndef KF_TESTS_UNIT_CORE_EVENT_TEXTS_H
#define KF_TESTS_UNIT_CORE_EVENT_TEXTS_H

#include <string.h>

#include "lib/core/event.h"
#include "tests/unit/cases.h"

static const char comment_event[] =
	"{\"action\":\"created\",\"issue\":{\"number\":5,\"state\":\"open\","
	"\"pull_request\":{\"merged_at\":null}},"
	"\"comment\":{\"id\":1420770715,\"user\":{\"login\":\"octo-dev\",\"id\":1000001,"
	"\"type\":\"User\"},\"created_at\":\"2023-02-07T13:23:42Z\",\"body\":\"/build\","
	"\"performed_via_github_app\":null},"
	"\"repository\":{\"id\":562528861,\"full_name\":\"octo-ml/kf-demo\","
	"\"default_branch\":\"main\"},"
	"\"sender\":{\"login\":\"octo-dev\",\"id\":1000001,\"type\":\"User\"},"
	"\"installation\":{\"id\":32739733}}";

static const char pull_request_event[] =
	"{\"action\":\"synchronize\",\"number\":7,\"pull_request\":{\"state\":\"open\","
	"\"merged\":false,\"updated_at\":\"2026-01-02T03:04:05Z\","
	"\"head\":{\"sha\":\"5f935077074e3b5b3a3b3a3b3a3b3a3b3a3b3a3b\",\"repo\":{\"id\":11}},"
	"\"base\":{\"ref\":\"main\"}},"
	"\"repository\":{\"id\":11,\"full_name\":\"a/b\",\"default_branch\":\"main\"},"
	"\"sender\":{\"login\":\"ann\",\"id\":3,\"type\":\"User\"}}";

static const char check_event[] =
	"{\"action\":\"rerequested\",\"check_run\":{\"id\":9,\"external_id\":\"01JD/run\","
	"\"head_sha\":\"5f935077074e3b5b3a3b3a3b3a3b3a3b3a3b3a3b\",\"app\":{\"id\":424242}},"
	"\"repository\":{\"id\":11,\"full_name\":\"a/b\",\"default_branch\":\"main\"},"
	"\"sender\":{\"login\":\"ann\",\"id\":3,\"type\":\"User\"}}";

static inline enum err_class read_text(struct event *out, const char *name, const char *text)
{
	struct err err = {0};
	enum err_class class = event_read(out, name, text, strlen(text), &err);

	assert_int_equal(class == ERR_OK, !*err.msg);
	return class;
}

#endif
