/* config.c - /config: the policy that is in force here, from which file, what the operator's
 * ceilings make stricter, and what is wrong with this pull request's own configuration. */
#include <inttypes.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/commands/rights.h"
#include "lib/core/markdown.h"
#include "lib/core/render.h"

enum { ANSWER_MAX = 60000, REPORT_MAX = 8000 };

static void put_cut(void *arg, const char *sentence)
{
	buf_puts(arg, "- ");
	markdown_text(arg, sentence, POLICY_SENTENCE_MAX);
	buf_puts(arg, "\n");
}

static void put_source(struct buf *out, const json_t *facts)
{
	const char *text = jval_str(facts, "policy.text", NULL);

	if (!text) {
		buf_puts(out, "No policy file: the defaults are in force, and deploying needs "
			      "maintain permission.\n");
		return;
	}
	buf_puts(out, "The policy in force is ");
	markdown_code(out, jval_str(facts, "policy.source", ""), REPORT_MAX);
	buf_printf(out, " of the default branch, blob `%.12s`.\n\n",
		   jval_str(facts, "policy.sha", ""));
	markdown_fence(out, "yaml", text, strlen(text), REPORT_MAX);
}

/* What the operator asks for beside the ceilings. */
static void put_approvals(struct buf *out, const struct rights *rights, const json_t *facts)
{
	int64_t operators = jval_int(facts, "operator_approvals", 0);
	struct policy_terms terms;

	policy_terms(&terms, rights->policy, &rights->ceilings, &command_deploy, "production");
	if (operators > terms.approvals)
		buf_printf(out,
			   "- `repositories[].approvals`: environments.production asks for %d "
			   "approvals; the operator asks for %" PRId64 "\n",
			   terms.approvals, operators);
}

/* Logins that nobody has, teams that nobody can see: rules that let nobody in. */
static void put_nobodies(struct buf *out, const json_t *facts)
{
	const char *name;
	json_t *value;

	json_object_foreach(jval_at(facts, "users"), name, value) if (!json_integer_value(value))
	{
		buf_puts(out, "- nobody had the login ");
		markdown_code(out, name, REPORT_MAX);
		buf_puts(out, " when the file was first used; take it out and put it in again to "
			      "have it looked for once more\n");
	}
	json_object_foreach(jval_at(facts, "all_teams"), name, value) if (json_is_false(value))
	{
		buf_puts(out, "- there is no team ");
		markdown_code(out, name, REPORT_MAX);
		buf_puts(out, ", or the bot may not see it\n");
	}
}

static void put_forks(struct buf *out, const struct rights *rights)
{
	static const char *const names[] = {"build", "run", "deploy"};

	buf_puts(out, "\nPull requests of forks: ");
	for (int use = 0; use < POLICY_FORK_USES; use++)
		buf_printf(out, "%s%s `%s`", use ? ", " : "", names[use],
			   policy_fork_name(policy_forks(rights->policy, &rights->ceilings,
							 (enum policy_fork_use)use)));
	buf_puts(out, ". `ok-to-run` asks for a maintainer's `/ok-to-run SHA`, anew for every "
		      "commit.\n");
}

static void decide_policy(const struct job *job, const struct effect_result *last, int64_t now_ms,
			  struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX), cuts = buf_make(REPORT_MAX);
	AUTO_RIGHTS struct rights rights = {0};
	json_t *args;

	(void)now_ms;
	if (!last) {
		args = json_object();
		jval_set_bool(args, "fresh", true);
		jval_set_bool(args, "whole", true);
		common_ask(out, EFFECT_PERMISSION, args);
		return;
	}
	rights_read(&rights, last->data, job->repo);
	put_source(&text, last->data);
	put_nobodies(&cuts, last->data);
	put_forks(&text, &rights);
	policy_cuts(rights.policy, &rights.ceilings, &commands, put_cut, &cuts);
	put_approvals(&cuts, &rights, last->data);
	if (cuts.len)
		buf_printf(&text, "\nWhat is not as the file says:\n\n%s", buf_text(&cuts));
	else
		buf_puts(&text, "\nNothing of it is made stricter by the operator.\n");
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_next(job, out);
}

/* The pull request's own file; the policy in it does not count before it is merged. */
static void decide_settings(const struct job *job, const struct effect_result *last, int64_t now_ms,
			    struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	const char *log;

	(void)now_ms;
	if (!last) {
		common_ask(out, EFFECT_SETTINGS, NULL);
		return;
	}
	log = jval_str(last->data, "log", NULL);
	buf_puts(&text, jval_str(job->data, "answer", ""));
	buf_printf(&text,
		   "\n`config_files/config.yaml` of this pull request at `%.7s`: ", job->head_sha);
	if (!last->err.class) {
		buf_puts(&text, "no faults.\n");
	} else {
		markdown_text(&text, last->err.msg, REPORT_MAX);
		buf_puts(&text, "\n");
	}
	if (last->err.class && log) {
		buf_puts(&text, "\n");
		markdown_fence(&text, "text", log, strlen(log), REPORT_MAX);
	}
	render_policy_note(job, &text);
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "answered");
}

static const struct command_flag flags[] = {{NULL, FLAG_BOOL, NULL, NULL}};
static const char *const examples[] = {"/config", NULL};
static const struct step steps[] = {
	STEP_AUTHORIZE,
	STEP_PIN,
	{.name = "policy", .sentence = "reading the policy", .decide = decide_policy},
	STEP_CHECKOUT,
	{.name = "settings",
	 .sentence = "reading config_files/config.yaml",
	 .handles_errors = true,
	 .decide = decide_settings},
	STEP_LAST,
};

const struct command command_config = {
	.name = "config",
	.summary = "Show the policy in force, and what is wrong with the configuration here.",
	.examples = examples,
	.flags = flags,
	.right = RIGHT_WRITE,
	.read_only = true,
	.steps = steps,
};
