/* help.c - /help: the commands, or one of them with its flags and examples. */
#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/commands/commands.h"
#include "lib/commands/common.h"

enum { ANSWER_MAX = 20000 };

static void list_commands(struct buf *out)
{
	buf_puts(out, "| command | what it does | needs |\n|---|---|---|\n");
	for (size_t i = 0; i < commands.count; i++)
		buf_printf(out, "| `/%s` | %s | %s |\n", commands.items[i]->name,
			   commands.items[i]->summary, right_name(commands.items[i]->right));
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
	for (const struct command_flag *flag = command->flags; flag && flag->name; flag++)
		buf_printf(out, "| `--%s%s%s` | %s |\n", flag->name, flag->value_name ? " " : "",
			   flag->value_name ? flag->value_name : "", flag->help);
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

	(void)last;
	(void)now_ms;
	if (name && !command)
		buf_puts(&text, "There is no such command. These are the ones I know:\n\n");
	if (command)
		explain_command(&text, command);
	else
		list_commands(&text);
	out->data = json_object();
	jval_set_str(out->data, "answer", buf_text(&text));
	common_end(out, JOB_DONE, NULL, "answered");
}

static const struct command_flag flags[] = {{NULL, FLAG_BOOL, NULL, NULL}};
static const char *const examples[] = {"/help", "/help build_run", NULL};
static const struct step steps[] = {
	{.name = "answer", .sentence = "writing the help", .decide = decide_help},
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
