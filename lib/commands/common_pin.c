/* common_pin.c - see common.h: which commit a job works on. From what GitHub and the recorded
 * events say to the question that pin.h answers, and from its answer to what the job does next.
 *
 * GitHub is asked for the pushes only where the events do not settle it, or where the commit must
 * be proven. Then what is late is waited for, a little longer each time, before the head that
 * GitHub names is taken and said not to be proven. */
#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/core/pin.h"

enum { COMMITS_MAX = 250, WAITS_MAX = 4 };

/* --- what is known --- */

size_t common_heads(const json_t *pull, struct pin_head heads[COMMON_HEADS_MAX])
{
	const json_t *list = json_object_get(pull, "heads"), *each;
	size_t count = 0;
	size_t i;

	json_array_foreach(list, i, each)
	{
		struct pin_head *head = &heads[count];

		if (count == COMMON_HEADS_MAX ||
		    !str_copy(head->sha, sizeof head->sha, jval_str(each, "sha", "")))
			continue;
		head->at_ms = jval_int(each, "at_ms", 0);
		head->opened = str_eq(jval_str(each, "action", ""), "opened");
		count++;
	}
	return count;
}

static void read_pushes(const json_t *from, struct pin_pushes *pushes)
{
	*pushes = (struct pin_pushes){.opened_at_ms = jval_int(from, "opened_at_ms", 0),
				      .pushed_at_ms = jval_int(from, "pushed_at_ms", 0),
				      .forced_at_ms = jval_int(from, "forced_at_ms", 0)};
	str_copy(pushes->forced_to, sizeof pushes->forced_to, jval_str(from, "forced_to", ""));
}

/* --- what comes of it --- */

/* What a person typed of a commit: behind --sha, or as the argument of a command that takes one. */
static const char *typed_of(const struct job *job)
{
	const struct command *command = command_by_name(&commands, job->command);
	bool is_argument = command && command->arg_name && command->arg_type == FLAG_SHA;

	return jval_str(job->args, is_argument ? "arg" : "sha", NULL);
}

static void ask_pull(const struct job *job, bool pushes, struct update *out)
{
	const char *typed = typed_of(job);
	json_t *args = json_object();

	if (typed)
		jval_set_str(args, "typed", typed);
	if (pushes)
		jval_set_bool(args, "pushes", true);
	common_ask(out, EFFECT_PULL, args);
}

void common_pin_ask(const struct job *job, struct update *out)
{
	const json_t *pin = common_data(job, out, "pin");

	ask_pull(job, jval_bool(pin, "proves", false) || jval_bool(pin, "asked", false), out);
}

static bool may_wait(const json_t *pin)
{
	return jval_int(pin, "waits", 0) < WAITS_MAX;
}

static void wait_for_news(const struct job *job, int64_t now_ms, struct update *out)
{
	json_t *pin = common_data(job, out, "pin");
	int64_t waits = jval_int(pin, "waits", 0);

	jval_set_int(pin, "waits", waits + 1);
	common_wait(out, WAIT_NONE, NULL, now_ms + (job->rules->look_service_ms << waits));
}

static bool take_commit(const struct job *job, const char *source, const char *sha,
			struct update *out)
{
	jval_set_str(common_data(job, out, "pin"), "source", source);
	str_copy(out->head_sha, sizeof out->head_sha, sha);
	return true;
}

/* The line to paste, which names the commit wholly. */
static char *line_with(const struct job *job, const char *sha)
{
	const char *arg = jval_str(job->args, "arg", "");

	if (!jval_str(job->args, "sha", NULL) && typed_of(job))
		return str_printf("/%s %.12s", job->command, sha);
	return str_printf("/%s%s%.100s --sha %s", job->command, *arg ? " " : "", arg, sha);
}

/* --- typed --- */

static void refuse_typed(const struct job *job, enum pin_typed_verdict verdict, const char *head,
			 struct update *out)
{
	const char *typed = typed_of(job);
	AUTO_FREE char *line = line_with(job, head);

	if (verdict == PIN_TYPED_AMBIGUOUS)
		common_refuse(
			out, "pin.ambiguous",
			"several commits of this pull request begin with `%s`: give more digits "
			"of the one that you mean. The head is `%s`",
			typed, head);
	else if (verdict == PIN_TYPED_TOO_SHORT)
		common_refuse(
			out, "pin.too_short",
			"this pull request has more commits than GitHub lists, so `%s` may be "
			"the beginning of several: give all digits. To go on with the head: `%s`",
			typed, line);
	else
		common_refuse(
			out, "pin.not_this_pull",
			"`%s` is not a commit of this pull request, whose head is `%.12s`. To go "
			"on with the head: `%s`",
			typed, head, line);
}

/* A push that was heard of, but which the list does not have yet. */
static bool is_expected(const json_t *pull, const char *typed)
{
	const json_t *newest = json_array_get(json_object_get(pull, "heads"), 0);
	const char *sha = jval_str(newest, "sha", "");

	return str_starts(sha, typed) && !str_eq(sha, jval_str(pull, "head_sha", ""));
}

static bool choose_typed(const struct job *job, const json_t *pull, int64_t now_ms,
			 struct update *out)
{
	const char *commits[COMMITS_MAX], *sha = NULL, *head = jval_str(pull, "head_sha", "");
	const json_t *list = jval_at(pull, "typed.commits");
	struct pin_typed typed = {.text = typed_of(job),
				  .commits = commits,
				  .cut = jval_bool(pull, "typed.cut", false),
				  .is_inside = jval_bool(pull, "typed.is_inside", false)};
	enum pin_typed_verdict verdict;

	for (size_t i = 0; i < json_array_size(list) && i < COMMITS_MAX; i++)
		commits[typed.commit_count++] = json_string_value(json_array_get(list, i));
	verdict = pin_find_typed(&typed, &sha);
	if (verdict == PIN_TYPED_FOUND)
		return take_commit(job, "given", sha, out);
	if (verdict == PIN_TYPED_NOT_THERE && is_expected(pull, typed.text) &&
	    may_wait(common_data(job, out, "pin")))
		wait_for_news(job, now_ms, out);
	else
		refuse_typed(job, verdict, head, out);
	return false;
}

/* --- meant --- */

/* A repeated job keeps its commit; where it must be proven, it must be what the repeating comment
 * meant, too. */
static bool take_meant(const struct job *job, const struct pin_answer *answer, struct update *out)
{
	bool is_proven = answer->source != PIN_API;
	json_t *pin = common_data(job, out, "pin");

	if (job->head_sha[0] && is_proven && str_eq(answer->sha, job->head_sha))
		return take_commit(job, "kept", job->head_sha, out);
	if (job->head_sha[0])
		return take_commit(job, pin_source_name(PIN_API), job->head_sha, out);
	if (answer->moved_from)
		jval_set_str(pin, "moved_from", answer->moved_from);
	if (!is_proven)
		jval_set_str(pin, "doubt", pin_doubt_name(answer->doubt));
	return take_commit(job, pin_source_name(answer->source), answer->sha, out);
}

static bool choose_meant(const struct job *job, const json_t *pull, int64_t now_ms,
			 struct update *out)
{
	struct pin_head heads[COMMON_HEADS_MAX];
	struct pin_pushes pushes;
	json_t *pin = common_data(job, out, "pin");
	bool proves = jval_bool(pin, "proves", false);
	struct pin_question question = {.comment_at_ms = job->comment_at_ms,
					.head = jval_str(pull, "head_sha", ""),
					.heads = heads,
					.must_prove = proves,
					.may_wait = may_wait(pin)};
	struct pin_answer answer;

	question.head_count = common_heads(pull, heads);
	read_pushes(json_object_get(pull, "pushes"), &pushes);
	if (proves || jval_bool(pin, "asked", false))
		question.pushes = &pushes;
	pin_choose(&answer, &question);
	switch (answer.verdict) {
	case PIN_CHOSEN:
		return take_meant(job, &answer, out);
	case PIN_ASK_PUSHES:
		jval_set_bool(pin, "asked", true);
		ask_pull(job, true, out);
		return false;
	case PIN_WAIT:
		wait_for_news(job, now_ms, out);
		return false;
	}
	return false;
}

bool common_pin_choose(const struct job *job, const json_t *pull, int64_t now_ms,
		       struct update *out)
{
	bool proves = jval_bool(common_data(job, out, "pin"), "proves", false);

	if (job->head_sha[0] && !proves)
		return take_commit(job, "kept", job->head_sha, out);
	if (typed_of(job))
		return choose_typed(job, pull, now_ms, out);
	return choose_meant(job, pull, now_ms, out);
}
