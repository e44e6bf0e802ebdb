/* ok_to_run.c - /ok-to-run: a maintainer has read this commit of a fork, and it may be built, or
 * whatever else the policy lets forks do. It is said of one commit, the head, and never by who
 * opened the pull request.
 *
 * A name of a few digits is the beginning of many commits that could be made: it must be that of
 * one only, among all that this pull request has and has ever been heard to have. */
#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common_fork.h"
#include "lib/core/markdown.h"

enum { ANSWER_MAX = 4000, NAME_MAX_BYTES = 60 };

/* --- which commit --- */

/* True when there is something to allow here, by this person. */
static bool may_be_allowed(const struct job *job, const json_t *pull,
			   const struct fork_facts *facts, struct update *out)
{
	int64_t author_id = jval_int(pull, "author_id", 0);

	if (!jval_bool(pull, "open", false))
		common_refuse(out, "pull.closed",
			      "the pull request is not open, so nothing of it "
			      "is run");
	else if (!fork_is_one(facts))
		common_refuse(out, "fork.not_a_fork",
			      "this pull request comes from this repository, not from a fork: "
			      "whoever may give a command may give it here");
	else if (facts->base_repo_id != job->repo_id || author_id <= 0)
		common_refuse(out, "denied.unverified",
			      "whose pull request this is could not be learned, so nothing was "
			      "allowed");
	else if (author_id == job->actor_id)
		common_refuse(out, "fork.own_pull",
			      "you opened this pull request, so another maintainer has to read the "
			      "commit and allow it");
	else if (facts->says[POLICY_FORK_BUILD] == POLICY_FORK_NEVER)
		common_refuse(
			out, "fork.never",
			"by `forks` in the policy file, or by the operator's word, nothing of "
			"a fork is built or run here, so there is nothing to allow");
	else
		return true;
	return false;
}

static bool is_the_only_one(const struct job *job, const json_t *pull, const char *sha,
			    struct update *out)
{
	const json_t *heads = jval_at(pull, "typed.heads"), *each;
	size_t i;

	json_array_foreach(heads, i, each)
	{
		if (str_eq(json_string_value(each), sha))
			continue;
		common_refuse(out, "pin.ambiguous",
			      "this pull request has had two commits that begin with `%.40s`: "
			      "compare all digits of the one that you have read with `%s` before "
			      "you allow that",
			      jval_str(job->args, "arg", ""), sha);
		return false;
	}
	return true;
}

/* The head, by all that is known of it. */
static bool is_head(const struct job *job, const struct fork_facts *facts, int64_t now_ms,
		    struct update *out)
{
	struct fork_facts asked = *facts;
	struct fork_answer answer;

	asked.command = command_by_name(&commands, "build");
	asked.ok = (struct fork_ok){.given = true};
	fork_judge(&answer, &asked);
	if (answer.verdict == FORK_WAIT)
		common_fork_wait(job, now_ms, out);
	else if (answer.verdict == FORK_REFUSED)
		common_refuse(out, "fork.not_head",
			      "`%.12s` is not the head of this pull request any more, that is "
			      "`%.12s`. Having read that, say: `/ok-to-run %.12s`",
			      facts->sha, answer.now, answer.now);
	return answer.verdict == FORK_GO;
}

static void keep_pull(const struct job *job, const json_t *pull, struct update *out)
{
	json_t *kept = common_data(job, out, "pull");

	jval_set_bool(kept, "fork", true);
	jval_set_str(kept, "html_url", jval_str(pull, "html_url", ""));
}

static void decide_commit(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	const json_t *pull = last ? last->data : NULL;
	struct fork_facts facts;

	if (!last) {
		common_pin_ask(job, out);
		return;
	}
	common_fork_facts(job, pull, "", &facts);
	if (!may_be_allowed(job, pull, &facts, out) || !common_pin_choose(job, pull, now_ms, out))
		return;
	common_fork_facts(job, pull, out->head_sha, &facts);
	if (!is_the_only_one(job, pull, out->head_sha, out) || !is_head(job, &facts, now_ms, out))
		return;
	keep_pull(job, pull, out);
	common_next(job, out);
}

/* --- writing it down --- */

static bool lets(const struct job *job, const char *word)
{
	return str_eq(jval_str(json_object_get(job->data, "policy"), word, ""),
		      policy_fork_name(POLICY_FORK_OK_TO_RUN));
}

static void put_answer(const struct job *job, struct buf *out)
{
	bool build_only = jval_bool(job->args, "build-only", false);
	bool runs = !build_only && lets(job, "fork_run"),
	     deploys = runs && lets(job, "fork_deploy");

	buf_puts(out, "@");
	markdown_text(out, job->actor, NAME_MAX_BYTES);
	buf_printf(out, " allows [`%.12s`](%s/commits/%s) of this fork to be built%s%s",
		   job->head_sha, jval_str(job->data, "pull.html_url", ""), job->head_sha,
		   deploys ? ", run and deployed"
		   : runs  ? " and run"
			   : " only",
		   deploys ? ": `/build`, `/run`, `/build_run`, `/deploy`.\n"
		   : runs  ? ": `/build`, `/run`, `/build_run`.\n"
			   : ": `/build`.\n");
	if (!build_only && !runs)
		buf_puts(out, "\nBy the policy nothing of a fork is run here.\n");
	else if (!build_only && !deploys)
		buf_puts(out, "\nBy the policy nothing of a fork is deployed here.\n");
	buf_puts(out, "\nWho may give these commands is as everywhere. A push makes a new word "
		      "necessary.\n");
}

static void decide_allow(const struct job *job, const struct effect_result *last, int64_t now_ms,
			 struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	json_t *args;

	(void)now_ms;
	if (!last) {
		args = json_object();
		jval_set_bool(args, "build_only", jval_bool(job->args, "build-only", false));
		common_ask(out, EFFECT_OK_TO_RUN, args);
		return;
	}
	put_answer(job, &text);
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "allowed");
}

static const struct command_flag flags[] = {
	{"build-only", FLAG_BOOL, NULL, "it may be compiled and uploaded, and nothing more"},
	{NULL, FLAG_BOOL, NULL, NULL},
};
static const char *const examples[] = {"/ok-to-run 9f8e7d6a1b2c",
				       "/ok-to-run 9f8e7d6a1b2c --build-only", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	{.name = "commit", .sentence = "looking at the commit", .decide = decide_commit},
	{.name = "allow", .sentence = "writing it down", .decide = decide_allow},
	STEP_LAST,
};

const struct command command_ok_to_run = {
	.name = "ok-to-run",
	.alias = "ok-to-test",
	.summary = "Let this commit of a fork be built, and run where the policy lets forks run.",
	.examples = examples,
	.flags = flags,
	.arg_name = "SHA",
	.arg_type = FLAG_SHA,
	.arg_required = true,
	.right = RIGHT_MAINTAIN,
	.right_is_least = true,
	.read_only = true,
	.steps = steps,
};
