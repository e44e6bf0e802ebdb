/* approvals.c - see approvals.h. People are gathered first, each with the last act that says
 * something; then each of them is judged alone. Quadratic in the acts of one pull request, which
 * are bounded. */
#include "lib/core/approvals.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"

/* --- reading --- */

static enum approval_kind kind_of(const char *state)
{
	static const struct {
		const char *state;
		enum approval_kind kind;
	} known[] = {
		{"APPROVED", APPROVAL_APPROVED},
		{"CHANGES_REQUESTED", APPROVAL_CHANGES},
		{"DISMISSED", APPROVAL_DISMISSED},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(known[i].state, state))
			return known[i].kind;
	return APPROVAL_COMMENT;
}

static enum fact fact_at(const json_t *from, const char *key)
{
	const json_t *value = json_object_get(from, key);

	if (!json_is_boolean(value))
		return FACT_UNKNOWN;
	return json_is_true(value) ? FACT_YES : FACT_NO;
}

void approvals_read(struct approval_facts *out, struct approvals_room *room, const json_t *data)
{
	const json_t *acts = json_object_get(data, "acts");
	const json_t *authors = json_object_get(data, "authors"), *each;
	size_t i;

	*out = (struct approval_facts){.acts = room->acts, .authors = room->authors};
	json_array_foreach(authors, i, each)
	{
		if (i == APPROVALS_AUTHORS_MAX)
			break;
		room->authors[out->author_count++] = (struct approval_author){
			.user_id = jval_int(each, "id", 0),
			.name = jval_str(each, "name", ""),
			.role = jval_str(each, "role", "author"),
		};
	}
	json_array_foreach(acts, i, each)
	{
		if (i == APPROVALS_ACTS_MAX)
			break;
		room->acts[out->act_count++] = (struct approval_act){
			.kind = kind_of(jval_str(each, "state", "")),
			.is_command = jval_bool(each, "command", false),
			.is_bot = jval_bool(each, "bot", false),
			.user_id = jval_int(each, "id", 0),
			.login = jval_str(each, "login", ""),
			.sha = jval_str(each, "sha", ""),
			.may = fact_at(each, "may"),
			.pushes = fact_at(each, "push"),
			.team = jval_str(each, "team", ""),
			.at_ms = jval_int(each, "at_ms", 0),
		};
	}
	out->authors_known = jval_bool(data, "authors_known", false) &&
			     json_array_size(authors) == out->author_count;
	out->base_known = json_is_integer(json_object_get(data, "base_changed_at_ms"));
	out->base_changed_at_ms = jval_int(data, "base_changed_at_ms", 0);
	out->acts_complete =
		jval_bool(data, "complete", false) && json_array_size(acts) == out->act_count;
}

/* --- judging --- */

static bool says_something(const struct approval_act *act)
{
	return act->kind != APPROVAL_COMMENT;
}

/* Is this the person's last word? Accounts that are gone have no number, and no word either. */
static bool is_last_word(const struct approval_facts *facts, size_t at)
{
	const struct approval_act *act = &facts->acts[at];

	if (!says_something(act))
		return false;
	for (size_t i = at + 1; i < facts->act_count; i++)
		if (facts->acts[i].user_id == act->user_id && says_something(&facts->acts[i]))
			return false;
	return true;
}

static const struct approval_author *author_of(const struct approval_facts *facts, int64_t user_id)
{
	for (size_t i = 0; i < facts->author_count; i++)
		if (facts->authors[i].user_id == user_id)
			return &facts->authors[i];
	return NULL;
}

static void why(struct approval_voice *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void why(struct approval_voice *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out->why, sizeof out->why, fmt, ap);
	va_end(ap);
}

/* Why somebody may not approve, whatever was said; "" when nothing is against it. */
static void object_to_person(struct approval_voice *out, const struct approval_facts *facts,
			     const struct approval_act *act)
{
	const struct approval_author *author = author_of(facts, act->user_id);

	if (act->is_bot)
		why(out, "is not a person");
	else if (act->user_id <= 0)
		why(out, "is an account that is gone");
	else if (act->user_id == facts->requester_id)
		why(out, "asked for it");
	else if (act->user_id == facts->pull_author_id)
		why(out, "opened the pull request");
	else if (author)
		why(out, "is %.40s of the commit", author->role);
	else if (*act->team)
		why(out, "is perhaps in the team `%.100s`, which GitHub does not show", act->team);
	else if (act->may == FACT_NO)
		why(out, act->pushes == FACT_YES ? "is not one of the approvers"
						 : "may not approve here");
}

static void object_to_act(struct approval_voice *out, const struct approval_facts *facts,
			  const struct approval_act *act)
{
	if (act->kind == APPROVAL_CHANGES)
		why(out, "asks for changes");
	else if (act->kind == APPROVAL_DISMISSED)
		why(out, "was dismissed");
	else if (facts->base_changed_at_ms && act->at_ms <= facts->base_changed_at_ms)
		why(out, "approved before the base branch was changed");
	else if (!act->is_command && !facts->reviews_count)
		why(out, "approved by a review, which does not count here");
	else if (!str_eq(act->sha, facts->sha))
		why(out, "approved %s%s%.7s%s", *act->sha ? "another" : "no",
		    *act->sha ? " commit, `" : " commit", act->sha, *act->sha ? "`" : "");
}

/* The sentence when nobody can count yet; "" when all is known about the commit itself. */
static void find_unknown(struct approvals *out, const struct approval_facts *facts)
{
	if (!facts->authors_known) {
		snprintf(out->unknown, sizeof out->unknown, "who wrote the commit");
		return;
	}
	for (size_t i = 0; i < facts->author_count; i++)
		if (facts->authors[i].user_id <= 0) {
			snprintf(out->unknown, sizeof out->unknown,
				 "which account the %.20s %.80s of the commit is",
				 facts->authors[i].role, facts->authors[i].name);
			return;
		}
	if (!facts->acts_complete)
		snprintf(out->unknown, sizeof out->unknown, "all reviews of the pull request");
	else if (!facts->base_known)
		snprintf(out->unknown, sizeof out->unknown, "whether the base branch was changed");
}

/* A request for changes stands until it is taken back, of whatever commit it was said; only from
 * those with write permission, or anybody could stop a deployment. The policy's approvers are fewer
 * who may say yes, not fewer who may say no. */
static void note_changes(struct approvals *out, const struct approval_act *act)
{
	if (act->kind != APPROVAL_CHANGES || act->is_bot || act->user_id <= 0 ||
	    act->pushes == FACT_NO || out->changes_requested == FACT_YES)
		return;
	out->changes_requested = act->pushes == FACT_YES ? FACT_YES : FACT_UNKNOWN;
	out->changes_by = act->login;
}

void approvals_judge(struct approvals *out, const struct approval_facts *facts)
{
	int doubtful = 0;

	*out = (struct approvals){.need = facts->need, .changes_requested = FACT_NO};
	find_unknown(out, facts);
	for (size_t i = 0; i < facts->act_count; i++) {
		const struct approval_act *act = &facts->acts[i];
		struct approval_voice voice = {.user_id = act->user_id, .login = act->login};

		if (!is_last_word(facts, i))
			continue;
		object_to_person(&voice, facts, act);
		note_changes(out, act);
		if (!*voice.why)
			object_to_act(&voice, facts, act);
		if (!*voice.why && *out->unknown)
			why(&voice, "cannot count before it is known %.120s", out->unknown);
		else if (!*voice.why && act->may != FACT_YES) {
			why(&voice, "may perhaps not approve here: GitHub did not say");
			doubtful++;
		}
		voice.counts = !*voice.why;
		out->have += voice.counts;
		if (out->voice_count < APPROVALS_VOICES_MAX)
			out->voices[out->voice_count++] = voice;
	}
	if (*out->unknown)
		out->enough = FACT_UNKNOWN;
	else if (out->have >= out->need)
		out->enough = FACT_YES;
	else
		out->enough = out->have + doubtful >= out->need ? FACT_UNKNOWN : FACT_NO;
	if (!facts->acts_complete && out->changes_requested == FACT_NO)
		out->changes_requested = FACT_UNKNOWN;
}
