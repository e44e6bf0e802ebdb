/* event_sound.h - what must hold of every event that was read, whatever the bytes were. Used by the
 * unit test and the fuzz target. */
#ifndef KF_TESTS_UNIT_CORE_EVENT_SOUND_H
#define KF_TESTS_UNIT_CORE_EVENT_SOUND_H

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/core/event.h"
#include "lib/core/utf8.h"

static inline bool text_is_sound(const char *text, size_t len)
{
	for (const char *p = text, *end = text + len; p < end;) {
		uint32_t code;
		size_t step = utf8_decode(&code, p, end);

		if (!step)
			return false;
		p += step;
	}
	return true;
}

#define FIELD_IS_SOUND(field)                                                                      \
	(memchr((field), '\0', sizeof(field)) && text_is_sound((field), strlen(field)))

static inline void event_must_be_sound(const struct event *e)
{
	must(e->kind <= EVENT_PUSH);
	must((e->kind == EVENT_IRRELEVANT) == (e->why_irrelevant != NULL));
	must(FIELD_IS_SOUND(e->action) && FIELD_IS_SOUND(e->repo) && FIELD_IS_SOUND(e->sender));
	must(FIELD_IS_SOUND(e->default_branch) && FIELD_IS_SOUND(e->head_sha));
	must(FIELD_IS_SOUND(e->base_ref) && FIELD_IS_SOUND(e->external_id));
	must((e->kind == EVENT_COMMENT) == (e->comment_body != NULL));
	if (e->kind == EVENT_COMMENT) {
		must(e->comment_body_len <= EVENT_BODY_MAX);
		must(text_is_sound(e->comment_body, e->comment_body_len));
		must(e->comment_body[e->comment_body_len] == '\0');
		must(e->comment_id > 0 && e->pr > 0 && e->via_app_id >= 0);
	}
	if (e->kind == EVENT_PULL_REQUEST) {
		must(e->pr > 0 && e->head_repo_id >= 0 && str_is_object_name(e->head_sha));
		must(*e->base_ref);
	}
	if (e->kind == EVENT_COMMENT || e->kind == EVENT_PULL_REQUEST ||
	    e->kind == EVENT_CHECK_RERUN) {
		must(e->repo_id > 0 && e->sender_id > 0 && *e->sender && strchr(e->repo, '/'));
		must(!e->merged || e->closed);
	}
	if (e->kind == EVENT_CHECK_RERUN)
		must(e->check_run_id > 0 && e->app_id > 0 && *e->external_id);
	if (e->kind == EVENT_PUSH)
		must(e->repo_id > 0 && strchr(e->repo, '/') && *e->default_branch);
	if (e->kind == EVENT_INSTALLATION)
		must(e->installation_id > 0);
}

#endif
