/* help.c - /help: the commands that this person may give here, or one of them with its flags and
 * examples. Asking for help needs no right; what GitHub does not say of a stranger leaves the
 * commands that anybody may give. */
#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"
#include "lib/commands/rights.h"
#include "lib/core/markdown.h"

enum { ANSWER_MAX = 20000 };

/* May they, in any environment that the policy knows? Where, when it is not all of them. */
static bool may_anywhere(const struct rights *rights, const struct job *job,
			 const struct command *command, struct buf *where)
{
	static const char *const always[] = {"staging", "production"};
	size_t named = rights->policy->environment_count, allowed = 0, asked = 0;

	for (size_t i = 0; i < ARRAY_LEN(always) + named; i++) {
		const char *name =
			i < ARRAY_LEN(always)
				? always[i]
				: rights->policy->environments[i - ARRAY_LEN(always)].name;
		AUTO_JSON json_t *args = json_pack("{s:s}", "arg", name);
		struct policy_decision decision;

		if ((command->environment && !str_eq(command->environment, name)) ||
		    (i >= ARRAY_LEN(always) &&
		     (str_eq(name, always[0]) || str_eq(name, always[1]))))
			continue;
		asked++;
		rights_decide(&decision, rights, command, args, job->actor_id, POLICY_ORIGIN_LATER);
		if (decision.verdict != POLICY_ALLOW && decision.verdict != POLICY_NEEDS_APPROVAL)
			continue;
		buf_printf(where, "%s%s", allowed++ ? ", " : "", name);
	}
	if (allowed == asked)
		buf_clear(where);
	return allowed > 0;
}

static bool may(const struct rights *rights, const struct job *job, const struct command *command,
		struct buf *where)
{
	struct policy_decision decision;

	if (command->scope == SCOPE_ENVIRONMENT)
		return may_anywhere(rights, job, command, where);
	rights_decide(&decision, rights, command, NULL, job->actor_id, POLICY_ORIGIN_LATER);
	return decision.verdict == POLICY_ALLOW;
}

static void list_commands(struct buf *out, const struct rights *rights, const struct job *job)
{
	size_t hidden = 0;

	buf_puts(out, "| command | what it does | for you |\n|---|---|---|\n");
	for (size_t i = 0; i < commands.count; i++) {
		AUTO_BUF struct buf where = buf_make(ANSWER_MAX / 20);

		if (!may(rights, job, commands.items[i], &where)) {
			hidden++;
			continue;
		}
		buf_printf(out, "| `/%s` | %s | ", commands.items[i]->name,
			   commands.items[i]->summary);
		if (where.len)
			markdown_text(out, buf_text(&where), ANSWER_MAX / 20);
		else
			buf_puts(out, "yes");
		buf_puts(out, " |\n");
	}
	if (hidden)
		buf_printf(out, "\n%zu more %s for others; a maintainer can give you the right.\n",
			   hidden, hidden == 1 ? "command is" : "commands are");
	if (rights->policy->fault_count)
		buf_puts(out, "\nThe policy file of this repository has a fault, so little is "
			      "allowed until it is mended.\n");
	buf_puts(out, "\n`/help COMMAND` shows flags and examples. Commands start a line of a new "
		      "comment; "
		      "edits are not looked at.\n");
}

static void explain_command(struct buf *out, const struct command *command)
{
	AUTO_FREE char *usage = command_usage(command);

	buf_printf(out, "`%s`\n\n%s Needs: %s.\n\n", usage, command->summary,
		   right_name(command->right));
	if (command->flags && command->flags[0].name)
		buf_puts(out, "| flag | what it does |\n|---|---|\n");
	for (const struct command_flag *flag = command->flags; flag && flag->name; flag++) {
		AUTO_FREE char *form =
			str_printf("--%s%s%s", flag->name, flag->value_name ? " " : "",
				   flag->value_name ? flag->value_name : "");

		buf_puts(out, "| ");
		markdown_code(out, form, ANSWER_MAX / 20); /* a bar would end the cell */
		buf_printf(out, " | %s |\n", flag->help);
	}
	buf_puts(out, "\n```text\n");
	for (const char *const *example = command->examples; example && *example; example++)
		buf_printf(out, "%s\n", *example);
	buf_puts(out, "```\n");
}

static void decide_help(const struct job *job, const struct effect_result *last, int64_t now_ms,
			struct update *out)
{
	AUTO_BUF struct buf text = buf_make(ANSWER_MAX);
	const char *name = jval_str(job->args, "arg", NULL);
	const struct command *command = name ? command_by_word(&commands, name) : NULL;
	AUTO_RIGHTS struct rights rights = {0};
	json_t *args;

	(void)now_ms;
	if (common_is_too_often(job, out))
		return;
	if (!last && !command) {
		args = json_object();
		jval_set_bool(args, "whole", true);
		common_ask(out, EFFECT_PERMISSION, args);
		return;
	}
	if (name && !command)
		buf_puts(&text, "There is no such command. These are the ones I know:\n\n");
	if (command)
		explain_command(&text, command);
	else {
		rights_read(&rights, last->data, job->repo);
		list_commands(&text, &rights, job);
	}
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "answered");
}

static const struct command_flag flags[] = {{NULL, FLAG_BOOL, NULL, NULL}};
static const char *const examples[] = {"/help", "/help build_run", NULL};
static const struct step steps[] = {
	{.name = "answer",
	 .sentence = "writing the help",
	 .handles_errors = true,
	 .is_optional = true,
	 .decide = decide_help},
	STEP_LAST,
};

const struct command command_help = {
	.name = "help",
	.summary = "List the commands, or explain one.",
	.examples = examples,
	.flags = flags,
	.arg_name = "COMMAND",
	.arg_type = FLAG_NAME,
	.right = RIGHT_ANYONE,
	.scope = SCOPE_ALWAYS,
	.read_only = true,
	.on_closed = true,
	.steps = steps,
};
