/* command.c - see command.h.
 *
 * A line is first looked at for its word alone: what is nobody's must stay unanswered, however odd
 * the rest of the line is. Then words.c cuts it, and each word is a flag, the value of one, the one
 * argument, or, after "--", a parameter. Values are checked by type here, by meaning in the
 * command's first step. Everything wrong is one sentence with the nearest right word and the usage;
 * text of the person goes into it as inline code only. */
#include "lib/core/command.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/core/comment.h"
#include "lib/core/markdown.h"
#include "lib/core/words.h"

enum {
	WORD_MAX = 64,
	NEAR = 2,
	NAMES_MAX = 64,
	TEXT_VALUE_MAX = 500,
	NAME_VALUE_MAX = 255,
	PARAM_NAME_MAX = 128,
	PARAMS_MAX = 50,
	SHOWN_MAX = 80,
	USAGE_SHOWN_MAX = 480,
};

static const char help_name[] = "help", keep_going_name[] = "keep-going";

struct parse {
	const struct command_table *table;
	const struct command *command;
	struct words words;
	size_t at; /* next word */
	json_t *args;
	bool keep_going;
	struct err *err;
};

const char *right_name(enum right right)
{
	static const char *const names[] = {"anyone", "read",	  "triage",
					    "write",  "maintain", "admin"};

	return (size_t)right < ARRAY_LEN(names) ? names[right] : "unknown";
}

const struct command *command_by_name(const struct command_table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++)
		if (name && str_eq(table->items[i]->name, name))
			return table->items[i];
	return NULL;
}

static void add_flag_usage(struct buf *out, const struct command_flag *flag)
{
	buf_printf(out, " [--%s", flag->name);
	if (flag->type != FLAG_BOOL)
		buf_printf(out, " %s", flag->value_name ? flag->value_name : "VALUE");
	buf_puts(out, flag->type == FLAG_PARAM ? "]..." : "]");
}

char *command_usage(const struct command *command)
{
	struct buf out = buf_make(4096);

	buf_printf(&out, "/%s", command->name);
	if (command->arg_name)
		buf_printf(&out, command->arg_required ? " %s" : " [%s]", command->arg_name);
	for (const struct command_flag *flag = command->flags; flag && flag->name; flag++)
		add_flag_usage(&out, flag);
	return buf_take(&out);
}

/* Text of the person as inline code. */
static char *shown(const char *text)
{
	struct buf out = buf_make((size_t)4 * SHOWN_MAX);

	markdown_line(&out, text, SHOWN_MAX);
	return buf_take(&out);
}

/* Ends the reading of a line: code, sentence, usage of the command. */
static enum err_class refuse(struct parse *p, const char *code, const char *sentence)
{
	AUTO_FREE char *usage = command_usage(p->command);
	AUTO_BUF struct buf shown_usage = buf_make((size_t)2 * USAGE_SHOWN_MAX);

	markdown_line(&shown_usage, usage, USAGE_SHOWN_MAX);
	return err_code(p->err, ERR_USER, code, "%s Usage: %s", sentence, buf_text(&shown_usage));
}

/* The same with a word of the person inside the sentence. */
static enum err_class refuse_word(struct parse *p, const char *code, const char *before,
				  const char *word, const char *after)
{
	AUTO_FREE char *quoted = shown(word);
	AUTO_FREE char *sentence = str_printf("%s%s%s", before, quoted, after);

	return refuse(p, code, sentence);
}

/* Lower case and '_' for '-': how words are compared. False when it cannot be one of ours. */
static bool fold_word(char out[WORD_MAX + 1], const char *word, size_t len)
{
	if (!len || len > WORD_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = word[i];

		out[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c == '-' ? '_' : c);
	}
	out[len] = '\0';
	return true;
}

bool command_word_is(const char *word, const char *name)
{
	char one[WORD_MAX + 1], other[WORD_MAX + 1];

	if (!word || !name)
		return false;
	word += *word == '/';
	return fold_word(one, word, strlen(word)) && fold_word(other, name, strlen(name)) &&
	       str_eq(one, other);
}

const struct command *command_by_word(const struct command_table *table, const char *word)
{
	for (size_t i = 0; i < table->count; i++)
		if (command_word_is(word, table->items[i]->name) ||
		    command_word_is(word, table->items[i]->alias))
			return table->items[i];
	return NULL;
}

const char *command_nearest(const struct command_table *table, const char *word)
{
	const char *names[NAMES_MAX], *near;
	char folded[NAMES_MAX][WORD_MAX + 1], own[WORD_MAX + 1];
	const char *words[NAMES_MAX];
	size_t count = 0, at = 0;

	if (!fold_word(own, word, strlen(word)))
		return NULL;
	for (size_t i = 0; i < table->count && count < NAMES_MAX - 1; i++) {
		names[count++] = table->items[i]->name;
		if (table->items[i]->alias)
			names[count++] = table->items[i]->alias;
	}
	for (size_t i = 0; i < count; i++)
		words[i] = fold_word(folded[i], names[i], strlen(names[i])) ? folded[i] : "";
	near = str_nearest(own, words, count, NEAR);
	while (near && words[at] != near)
		at++;
	return near ? names[at] : NULL;
}

static size_t word_len(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
}

/* Printable, and not a path: only such a word can be a slip of the fingers. */
static bool is_plain(const char *token)
{
	const char *p = token;

	while (*p > ' ' && *p < 0x7f && *p != '/')
		p++;
	return p > token && !*p;
}

static enum err_class unknown_command(const char *word, const char *near, struct err *err)
{
	AUTO_FREE char *quoted = str_printf("/%s", word), *code = shown(quoted);

	if (near)
		return err_code(err, ERR_USER, "command.unknown",
				"Unknown command %s. Did you mean `/%s`? `/help` lists all.", code,
				near);
	return err_code(err, ERR_USER, "command.unknown", "Unknown command %s. `/help` lists all.",
			code);
}

/* Finds the command that the text (behind the slash) begins with. `named` is the /kfops form, in
 * which a word that is nobody's is an error. */
static enum err_class find_by_text(const struct command **out, const struct command_table *table,
				   const char *text, bool named, struct err *err)
{
	char folded[WORD_MAX + 1], token[WORD_MAX + 1];
	size_t len = word_len(text), token_len = strcspn(text, " \t");
	const char *near;

	*out = fold_word(folded, text, len) ? command_by_word(table, folded) : NULL;
	if (*out && (len == token_len || (unsigned char)text[len] < 0x20 ||
		     (unsigned char)text[len] >= 0x7f))
		return ERR_OK; /* an odd byte behind the word is refused with the rest of the line
				*/
	*out = NULL;
	if (!fold_word(token, text, token_len))
		token[0] = '\0';
	near = is_plain(token) ? command_nearest(table, token) : NULL;
	if (near || named) {
		AUTO_FREE char *word = str_dup_len(text, token_len);

		return unknown_command(word, near, err);
	}
	return err_set(err, ERR_NOT_FOUND, "not a command of ours");
}

/* Finds the command of a line and where the rest begins. */
static enum err_class find_command_of_line(const struct command **out, const char **rest,
					   const struct command_table *table, const char *line,
					   struct err *err)
{
	static const char prefix[] = "/kfops";
	size_t len = sizeof prefix - 1;
	bool named = !strncasecmp(line, prefix, len) && (!line[len] || strchr(" \t", line[len]));
	enum err_class class;

	if (*line != '/')
		return err_set(err, ERR_NOT_FOUND, "not a command line");
	*rest = line + 1;
	if (named)
		*rest = line + len + strspn(line + len, " \t");
	if (named && !**rest)
		return err_code(err, ERR_USER, "command.unknown",
				"`/kfops` is followed by a command. `/help` lists all.");
	if (named && **rest == '/')
		++*rest;
	class = find_by_text(out, table, *rest, named, err);
	*rest += word_len(*rest);
	return class;
}

static bool has_only(const char *text, const char *extra)
{
	for (; *text; text++)
		if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
		      (*text >= '0' && *text <= '9') || strchr(extra, *text)))
			return false;
	return true;
}

static json_t *read_text(const char *text)
{
	return *text && strlen(text) <= TEXT_VALUE_MAX ? json_string(text) : NULL;
}

static json_t *read_name(const char *text)
{
	if (!*text || strlen(text) > NAME_VALUE_MAX || *text == '-' || !has_only(text, "-_./"))
		return NULL;
	return json_string(text);
}

static json_t *read_int(const char *text)
{
	int64_t value;

	return str_to_int64(&value, text) && value > 0 ? json_integer(value) : NULL;
}

static json_t *read_duration(const char *text)
{
	int64_t ms;

	return str_to_duration_ms(&ms, text) && ms > 0 ? json_integer(ms) : NULL;
}

static json_t *read_sha(const char *text)
{
	char folded[WORD_MAX + 1];
	size_t len = strlen(text);

	if (len < 7 || !fold_word(folded, text, len) || !str_is_hex(folded, 0))
		return NULL;
	return json_string(folded);
}

static const struct {
	json_t *(*read)(const char *text);
	const char *wanted;
} value_types[] = {
	[FLAG_BOOL] = {NULL, ""},
	[FLAG_TEXT] = {read_text, "text of at most 500 bytes"},
	[FLAG_NAME] = {read_name, "a name of letters, digits, `-`, `_`, `.` and `/`"},
	[FLAG_INT] = {read_int, "a whole number, 1 or more"},
	[FLAG_DURATION] = {read_duration, "a time such as `90s`, `15m` or `6h`"},
	[FLAG_SHA] = {read_sha, "a commit of 7 to 64 hex digits"},
	[FLAG_PARAM] = {NULL, ""},
};

/* Checks a value of what is called `label` and stores it under `key`. */
static enum err_class store_value(struct parse *p, const char *key, const char *label,
				  enum flag_type type, const char *text)
{
	json_t *value = value_types[type].read ? value_types[type].read(text) : NULL;

	if (!value) {
		AUTO_FREE char *quoted = shown(text);
		AUTO_FREE char *sentence = *text ? str_printf("`%s` takes %s, not %s.", label,
							      value_types[type].wanted, quoted)
						 : str_printf("`%s` is empty; it takes %s.", label,
							      value_types[type].wanted);

		return refuse(p, "command.value", sentence);
	}
	must(json_object_set_new(p->args, key, value) == 0);
	return ERR_OK;
}

/* "k=v" into the object of parameters. */
static enum err_class store_param(struct parse *p, const struct command_flag *flag,
				  const char *text)
{
	json_t *params = json_object_get(p->args, flag->name);
	const char *equals = strchr(text, '=');
	AUTO_FREE char *name = NULL;

	if (!params) {
		params = json_object();
		must(params && json_object_set_new(p->args, flag->name, params) == 0);
	}
	if (!equals)
		return refuse_word(p, "command.value",
				   "A parameter has the form `name=value`, not ", text, ".");
	name = str_dup_len(text, (size_t)(equals - text));
	if (!*name || strlen(name) > PARAM_NAME_MAX || *name == '-' || !has_only(name, "-_."))
		return refuse_word(p, "command.value", "", name,
				   " is not the name of a parameter.");
	if (json_object_get(params, name))
		return refuse_word(p, "command.doubled_flag", "The parameter ", name,
				   " is given twice.");
	if (json_object_size(params) == PARAMS_MAX)
		return refuse(p, "command.value", "There are more than 50 parameters.");
	must(json_object_set_new(params, name, json_string(equals + 1)) == 0);
	return ERR_OK;
}

static const struct command_flag *find_flag(const struct command *command, const char *folded)
{
	char name[WORD_MAX + 1];

	for (const struct command_flag *flag = command->flags; flag && flag->name; flag++)
		if (fold_word(name, flag->name, strlen(flag->name)) && str_eq(name, folded))
			return flag;
	return NULL;
}

static const struct command_flag *find_param_flag(const struct command *command)
{
	for (const struct command_flag *flag = command->flags; flag && flag->name; flag++)
		if (flag->type == FLAG_PARAM)
			return flag;
	return NULL;
}

static enum err_class unknown_flag(struct parse *p, const char *name)
{
	const char *names[NAMES_MAX], *near;
	size_t count = 0;
	AUTO_FREE char *written = str_printf("--%s", name), *code = shown(written);
	AUTO_FREE char *sentence = NULL;

	for (const struct command_flag *f = p->command->flags; f && f->name; f++)
		if (count < NAMES_MAX - 2)
			names[count++] = f->name;
	names[count++] = keep_going_name;
	names[count++] = help_name;
	near = str_nearest(name, names, count, NEAR);
	sentence = near ? str_printf("`/%s` has no flag %s. Did you mean `--%s`?", p->command->name,
				     code, near)
			: str_printf("`/%s` has no flag %s.", p->command->name, code);
	return refuse(p, "command.unknown_flag", sentence);
}

static bool is_flag(const struct word *word)
{
	return !word->quoted && str_starts(word->text, "--");
}

/* The value of a flag: behind its '=', or the next word unless that is a flag. */
static const char *take_value(struct parse *p, const char *equals)
{
	if (equals)
		return equals + 1;
	if (p->at < p->words.count && !is_flag(&p->words.items[p->at]))
		return p->words.items[p->at++].text;
	return NULL;
}

static enum err_class read_bool(struct parse *p, const char *name, bool has_value)
{
	AUTO_FREE char *label = str_printf("--%s", name);

	if (has_value)
		return refuse_word(p, "command.value", "", label, " takes no value.");
	if (str_eq(name, keep_going_name) ? p->keep_going : json_object_get(p->args, name) != NULL)
		return refuse_word(p, "command.doubled_flag", "", label, " is given twice.");
	if (str_eq(name, keep_going_name))
		p->keep_going = true;
	else
		must(json_object_set_new(p->args, name, json_true()) == 0);
	return ERR_OK;
}

static enum err_class read_flag(struct parse *p, const char *text)
{
	const char *equals = strchr(text, '='), *value;
	size_t len = equals ? (size_t)(equals - text) : strlen(text);
	AUTO_FREE char *name = str_dup_len(text, len), *label = NULL;
	char folded[WORD_MAX + 1];
	const struct command_flag *flag;

	if (!fold_word(folded, text, len))
		return unknown_flag(p, name);
	if (str_eq(folded, "keep_going"))
		return read_bool(p, keep_going_name, equals != NULL);
	flag = find_flag(p->command, folded);
	if (!flag)
		return unknown_flag(p, name);
	if (flag->type == FLAG_BOOL)
		return read_bool(p, flag->name, equals != NULL);
	label = str_printf("--%s", flag->name);
	if (flag->type != FLAG_PARAM && json_object_get(p->args, flag->name))
		return refuse_word(p, "command.doubled_flag", "", label, " is given twice.");
	value = take_value(p, equals);
	if (!value)
		return refuse_word(p, "command.missing", "", label, " needs a value.");
	return flag->type == FLAG_PARAM ? store_param(p, flag, value)
					: store_value(p, flag->name, label, flag->type, value);
}

static enum err_class read_argument(struct parse *p, const struct word *word)
{
	const struct command *c = p->command;

	if (!word->quoted && *word->text == '-' && word->text[1])
		return refuse_word(p, "command.unknown_flag", "Flags start with two dashes; ",
				   word->text, " does not.");
	if (strchr(word->text, '=') && find_param_flag(c))
		return refuse_word(p, "command.value", "", word->text,
				   " looks like a parameter; write `--param` before it, or `--` "
				   "before all of them.");
	if (!c->arg_name)
		return refuse_word(p, "command.missing", "This command takes no argument; ",
				   word->text, " is one.");
	if (json_object_get(p->args, "arg"))
		return refuse_word(p, "command.missing", "This command takes one argument; ",
				   word->text, " is one too many.");
	return store_value(p, "arg", c->arg_name, c->arg_type, word->text);
}

/* Everything behind "--". */
static enum err_class read_tail(struct parse *p)
{
	const struct command_flag *flag = find_param_flag(p->command);
	enum err_class class = ERR_OK;

	if (!flag && p->at < p->words.count)
		return refuse(p, "command.missing", "This command takes no parameters after `--`.");
	while (!class && p->at < p->words.count)
		class = store_param(p, flag, p->words.items[p->at++].text);
	return class;
}

static enum err_class read_words(struct parse *p)
{
	enum err_class class = ERR_OK;

	while (!class && p->at < p->words.count) {
		const struct word *word = &p->words.items[p->at++];

		if (!word->quoted && str_eq(word->text, "--"))
			class = read_tail(p);
		else if (is_flag(word))
			class = read_flag(p, word->text + 2);
		else
			class = read_argument(p, word);
	}
	if (!class && p->command->arg_required && !json_object_get(p->args, "arg"))
		return refuse_word(p, "command.missing", "", p->command->arg_name, " is missing.");
	return class;
}

/* "--help" among the flags turns the line into /help of this command, if there is such a command.
 */
static bool turn_into_help(struct parse *p)
{
	const struct command *help = command_by_name(p->table, help_name);

	if (!help || !help->arg_name)
		return false;
	for (size_t i = p->at; i < p->words.count; i++) {
		const struct word *word = &p->words.items[i];

		if (!word->quoted && str_eq(word->text, "--"))
			return false;
		if (!word->quoted && str_eq_nocase(word->text, "--help")) {
			must(json_object_set_new(p->args, "arg", json_string(p->command->name)) ==
			     0);
			p->command = help;
			return true;
		}
	}
	return false;
}

/* One line; `keep_going` is set when the line has that flag. */
static enum err_class parse_line(struct command_call *out, bool *keep_going,
				 const struct command_table *table, const char *line,
				 struct err *err)
{
	struct parse p = {.table = table, .err = err};
	const char *rest = line;
	enum err_class class = find_command_of_line(&p.command, &rest, table, line, err);

	*out = (struct command_call){0};
	if (class)
		return class;
	must(p.command);
	if (strlen(line) > COMMENT_LINE_MAX)
		return err_code(err, ERR_USER, "command.too_long",
				"The line `/%s ...` is longer than 4,096 bytes.", p.command->name);
	class = words_split(&p.words, rest, err);
	if (class)
		return class;
	if (*rest && *rest != ' ' && *rest != '\t') {
		words_dispose(&p.words);
		return refuse(&p, "command.value", "The command is not followed by a space.");
	}
	p.args = json_object();
	must(p.args);
	if (!turn_into_help(&p))
		class = read_words(&p);
	words_dispose(&p.words);
	if (class) {
		json_decref(p.args);
		return class;
	}
	*keep_going |= p.keep_going;
	*out = (struct command_call){p.command, p.args, str_dup(line)};
	return ERR_OK;
}

enum err_class command_parse(struct command_call *out, const struct command_table *table,
			     const char *line, struct err *err)
{
	bool keep_going = false;

	return parse_line(out, &keep_going, table, line, err);
}

void command_call_dispose(struct command_call *call)
{
	json_decref(call->args);
	mem_free(call->line);
	*call = (struct command_call){0};
}

/* One line of a comment; a line that is nobody's adds nothing. */
static enum err_class add_call(struct command_calls *out, const struct command_table *table,
			       const struct comment_line *line, struct err *err)
{
	struct command_call call;
	enum err_class class = parse_line(&call, &out->keep_going, table, line->text, err);

	if (class == ERR_NOT_FOUND)
		return ERR_OK;
	if (class)
		return class;
	out->items[out->count++] = call;
	for (size_t i = 0; i + 1 < out->count; i++)
		if (out->items[i].command == call.command)
			return err_code(
				err, ERR_USER, "command.repeated",
				"`/%s` is in this comment twice; give each its own comment.",
				call.command->name);
	return ERR_OK;
}

enum err_class command_parse_all(struct command_calls *out, const struct command_table *table,
				 const struct comment_lines *lines, struct err *err)
{
	enum err_class class = ERR_OK;
	size_t i = 0;

	*out = (struct command_calls){0};
	out->items = mem_new(lines->count, sizeof *out->items);
	while (!class && i < lines->count)
		class = add_call(out, table, &lines->items[i++], err);
	if (class && lines->count > 1)
		err_wrap(err, "Line %d, so no command of this comment was run",
			 lines->items[i - 1].line);
	else if (!class && !out->count)
		class = err_set(err, ERR_NOT_FOUND, "no command of ours");
	else if (!class && lines->count > COMMENT_COMMANDS_MAX)
		class = err_code(err, ERR_USER, "command.too_many",
				 "There are more than %d command lines in this comment. None was "
				 "run.",
				 COMMENT_COMMANDS_MAX);
	if (class)
		command_calls_dispose(out);
	return class;
}

void command_calls_dispose(struct command_calls *calls)
{
	for (size_t i = 0; i < calls->count; i++)
		command_call_dispose(&calls->items[i]);
	mem_free(calls->items);
	*calls = (struct command_calls){0};
}
