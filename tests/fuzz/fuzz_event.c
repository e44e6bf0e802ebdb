/* fuzz_event.c - any bytes as the payload of each event that is read; what is read must be sound,
 * and what is refused must leave nothing behind. Input: a letter for the event's name, then the
 * payload. */
#include <stdint.h>
#include <string.h>

#include "tests/unit/core/event_sound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"issue_comment", "pull_request",
					    "check_run",     "installation",
					    "ping",	     "installation_repositories"};
	static const struct event zero;
	struct event e;
	struct err err = {0};
	enum err_class class;

	if (!size)
		return 0;
	class = event_read(&e, names[(size_t)(*data - 'a') % ARRAY_LEN(names)],
			   (const char *)data + 1, size - 1, &err);
	if (class) {
		must(class == ERR_USER && *err.code && *err.msg);
		must(!memcmp(&e, &zero, sizeof e));
	} else {
		event_must_be_sound(&e);
	}
	event_dispose(&e);
	return 0;
}
