/* rollout_approvals.c - see rollout.h. Approvals of exactly the commit that the job has: asked for
 * before the gates, waited for after them, and asked for once more with the environment in hand.
 *
 * While it waits, /approve wakes the job; reviews are looked for, seldom and seldomer. */
#include <inttypes.h>
#include <stdio.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/rollout.h"
#include "lib/core/approvals.h"
#include "lib/core/approvers.h"
#include "lib/core/markdown.h"

enum {
	TEXT_MAX = 2000,
	NAME_MAX_BYTES = 60,
	TOLD_MAX = 5,	  /* of those who do not count */
	LOOKS_FIRST = 10, /* times the first look of a service */
	LOOK_MAX_MS = 300000,
	END_BEFORE_MS = 1000, /* of the deadline, to say what was missing */
};

/* --- what is kept --- */

static json_t *voices_of(const struct approvals *found)
{
	json_t *list = json_array();

	for (size_t i = 0; i < found->voice_count; i++) {
		json_t *row = json_object();

		jval_set_int(row, "id", found->voices[i].user_id);
		jval_set_str(row, "login", found->voices[i].login);
		jval_set_bool(row, "counts", found->voices[i].counts);
		jval_set_str(row, "why", found->voices[i].why);
		json_array_append_new(list, row);
	}
	return list;
}

static void set_fact(json_t *topic, const char *key, enum fact fact)
{
	if (fact == FACT_YES || fact == FACT_NO)
		jval_set_bool(topic, key, fact == FACT_YES);
	else
		json_object_del(topic, key);
}

void rollout_judge_approvals(json_t *topic, const json_t *data)
{
	AUTO_FREE struct approvals_room *room = mem_new(1, sizeof *room);
	const char *head = jval_str(data, "head_sha", NULL), *sha = jval_str(data, "sha", "");
	struct approval_facts facts;
	struct approvals found;

	approvals_read(&facts, room, data);
	facts.sha = sha;
	facts.need = (int)jval_int(data, "need", 0);
	facts.reviews_count = jval_bool(data, "reviews", false);
	facts.requester_id = jval_int(data, "requester_id", 0);
	facts.pull_author_id = jval_int(data, "pull_author_id", 0);
	approvals_judge(&found, &facts);
	jval_set_int(topic, "need", found.need);
	jval_set_int(topic, "have", found.have);
	set_fact(topic, "enough", found.enough);
	set_fact(topic, "changes_requested", found.changes_requested);
	jval_set_str(topic, "changes_by", found.changes_by);
	jval_set_str(topic, "unknown", found.unknown);
	jval_set_str(topic, "moved_to", head && !str_eq(head, sha) ? head : "");
	jval_set_bool(topic, "closed", !jval_bool(data, "open", true));
	jval_set(topic, "voices", voices_of(&found));
}

void rollout_keep_approvals(const struct job *job, const struct effect_result *last,
			    struct update *out)
{
	rollout_judge_approvals(common_data(job, out, "approvals"), last->data);
}

/* The operator's number is for production, the policy's for its environment; one that is not known
 * is asked for. */
bool rollout_needs_approvals(const struct job *job, struct update *out)
{
	const json_t *facts = common_data(job, out, "facts");

	if (str_eq(job->command, "promote")) { /* given for what it goes on with */
		jval_set_int(common_data(job, out, "approvals"), "need", 0);
		return false;
	}
	if (!jval_at(facts, "approvals_needed"))
		return true;
	if ((str_eq(rollout_environment(job), "production") ||
	     jval_int(job->data, "policy.approvals", 0) > 0) &&
	    jval_int(facts, "approvals_needed", 0) > 0)
		return true;
	jval_set_int(common_data(job, out, "approvals"), "need", 0);
	return false;
}

void rollout_ask_approvals(const struct job *job, struct update *out)
{
	const json_t *base = jval_at(common_data(job, out, "facts"), "base_changed_at_ms");
	json_t *args = json_object();

	if (base)
		jval_set(args, "base_changed_at_ms", json_deep_copy(base));
	common_ask(out, EFFECT_APPROVALS, args);
}

void rollout_tell_approvals(const json_t *topic, struct buf *out)
{
	const json_t *voices = json_object_get(topic, "voices"), *each;
	int told = 0;
	size_t i;

	buf_printf(out, "%" PRId64 " of %" PRId64, jval_int(topic, "have", 0),
		   jval_int(topic, "need", 0));
	json_array_foreach(voices, i, each)
	{
		if (jval_bool(each, "counts", false) || told == TOLD_MAX)
			continue;
		buf_puts(out, told++ ? "; " : "; does not count: ");
		markdown_text(out, jval_str(each, "login", ""), NAME_MAX_BYTES);
		buf_printf(out, " %s", jval_str(each, "why", ""));
	}
	if (*jval_str(topic, "unknown", "")) {
		buf_puts(out, "; not known: ");
		markdown_text(out, jval_str(topic, "unknown", ""), APPROVALS_WHY_MAX);
	}
}

/* --- before the gates --- */

void rollout_approvals(const struct job *job, const struct effect_result *last, int64_t now_ms,
		       struct update *out)
{
	(void)now_ms;
	if (!last) {
		if (rollout_needs_approvals(job, out))
			rollout_ask_approvals(job, out);
		else
			common_next(job, out);
		return;
	}
	if (last->err.class) {
		common_fail(out, &last->err);
		return;
	}
	rollout_keep_approvals(job, last, out);
	common_next(job, out);
}

/* --- after them --- */

static int64_t next_look(const struct job *job, int64_t since, int64_t now_ms, int64_t until)
{
	int64_t step = (now_ms - since) / 4, first = LOOKS_FIRST * job->rules->look_service_ms;

	if (step < first)
		step = first;
	if (step > LOOK_MAX_MS)
		step = LOOK_MAX_MS;
	return now_ms + step < until ? now_ms + step : until;
}

/* Whose approval would help, and by which words. */
static void put_wanted(const struct job *job, struct buf *text)
{
	const json_t *rule = jval_at(job->data, "policy.approvers");

	if (!rule) {
		buf_printf(text, "; `/approve %" PRId64 "`", job->id);
		return;
	}
	buf_puts(text, "; needs approval by ");
	approvers_say(rule, job->repo, "`", text);
	buf_printf(text, "; `/approve %" PRId64 "` by them starts it", job->id);
}

static void show(const struct job *job, const json_t *topic, enum part_state state, int64_t now_ms,
		 struct update *out)
{
	AUTO_BUF struct buf text = buf_make(TEXT_MAX);

	rollout_tell_approvals(topic, &text);
	if (state == PART_RUNNING)
		put_wanted(job, &text);
	common_part(job, out, "approvals", state, now_ms, buf_text(&text));
}

static void wait_on(const struct job *job, const json_t *topic, int64_t now_ms, struct update *out)
{
	json_t *rollout = common_data(job, out, "rollout");
	int64_t since = jval_int(rollout, "approvals_since_ms", now_ms);
	int64_t until = job->deadline_at_ms - END_BEFORE_MS;
	char ref[48];

	jval_set_int(rollout, "approvals_since_ms", since);
	if (now_ms >= until) {
		show(job, topic, PART_FAILED, now_ms, out);
		common_end(out, JOB_EXPIRED, "deploy.approvals_expired",
			   "commit `%.7s` had %" PRId64 " of %" PRId64
			   " approvals when the time was over; nothing was changed. To ask again: "
			   "`%s`",
			   job->head_sha, jval_int(topic, "have", 0), jval_int(topic, "need", 0),
			   job->line);
		return;
	}
	show(job, topic, PART_RUNNING, now_ms, out);
	snprintf(ref, sizeof ref, "approvals:%" PRId64, job->id);
	common_wait(out, WAIT_APPROVAL, ref, next_look(job, since, now_ms, until));
}

/* True when waiting is over because of what somebody did at GitHub. */
static bool is_overtaken(const struct job *job, const json_t *topic, int64_t now_ms,
			 struct update *out)
{
	const char *head = jval_str(topic, "moved_to", "");
	AUTO_FREE char *line = rollout_line(job);

	if (jval_bool(topic, "closed", false)) {
		common_refuse(out, "pull.closed",
			      "the pull request was closed while this waited for approvals");
	} else if (*head) {
		common_refuse(
			out, "deploy.head_moved",
			"Somebody pushed `%.7s` while this waited for approvals, which are of "
			"`%.7s`. Look at it, then: `%s --sha %.7s`",
			head, job->head_sha, line, head);
	} else if (jval_bool(topic, "changes_requested", false)) {
		common_refuse(out, "deploy.changes_requested",
			      "@%.60s asked for changes. Settle that first.",
			      jval_str(topic, "changes_by", "somebody"));
	} else {
		return false;
	}
	show(job, topic, PART_FAILED, now_ms, out);
	return true;
}

void rollout_wait_approvals(const struct job *job, const struct effect_result *last, int64_t now_ms,
			    struct update *out)
{
	const json_t *topic = json_object_get(job->data, "approvals");

	if (jval_int(topic, "need", 0) <= 0) {
		common_next(job, out);
		return;
	}
	if (last && last->err.class) {
		common_fail(out, &last->err);
		return;
	}
	if (last) {
		rollout_keep_approvals(job, last, out);
		topic = common_data(job, out, "approvals");
	} else if (jval_at(job->data, "rollout.approvals_since_ms")) {
		rollout_ask_approvals(job, out); /* it has waited */
		return;
	}
	if (is_overtaken(job, topic, now_ms, out))
		return;
	if (!jval_bool(topic, "enough", false) || !jval_at(topic, "changes_requested")) {
		wait_on(job, topic, now_ms, out);
		return;
	}
	show(job, topic, PART_DONE, now_ms, out);
	common_next(job, out);
}
