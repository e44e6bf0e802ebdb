/* fuzz_command.c - any bytes as a comment through the search for commands and their parser: what is
 * found stands there, in order, at the start of its line; every value that is let through is of its
 * type, every refusal can be shown. */
#include <stdint.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/core/command.h"
#include "lib/core/comment.h"
#include "tests/unit/core/event_sound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct command_flag flags[] = {
	{"param", FLAG_PARAM, "K=V", ""},    {"experiment", FLAG_NAME, "E", ""},
	{"sha", FLAG_SHA, "S", ""},	     {"no-cache", FLAG_BOOL, NULL, ""},
	{"timeout", FLAG_DURATION, "D", ""}, {"name", FLAG_TEXT, "N", ""},
	{"tail", FLAG_INT, "N", ""},	     {NULL, FLAG_BOOL, NULL, NULL},
};
static const struct command_flag no_flags[] = {{NULL, FLAG_BOOL, NULL, NULL}};
static const struct command run = {
	.name = "build_run", .flags = flags, .arg_name = "VERSION", .arg_type = FLAG_NAME};
static const struct command help = {
	.name = "help", .flags = no_flags, .arg_name = "COMMAND", .arg_type = FLAG_NAME};
static const struct command logs = {.name = "logs",
				    .flags = no_flags,
				    .arg_name = "JOB",
				    .arg_type = FLAG_INT,
				    .arg_required = true};
static const struct command *const items[] = {&run, &help, &logs};
static const struct command_table table = {items, ARRAY_LEN(items)};

static void text_must_be_visible(const char *text)
{
	for (const char *p = text, *end = text + strlen(text); p < end;) {
		uint32_t code;
		size_t step = utf8_decode(&code, p, end);

		must(step && code != UTF8_REPLACEMENT && !utf8_is_hidden(code));
		must(!utf8_is_control(code) || code == '\t');
		p += step;
	}
}

/* A message may have U+FFFD where the comment had bytes that are not text. */
static void message_must_be_shown(const char *text)
{
	for (const char *p = text, *end = text + strlen(text); p < end;) {
		uint32_t code;
		size_t step = utf8_decode(&code, p, end);

		must(step && !utf8_is_hidden(code) && !utf8_is_control(code));
		p += step;
	}
}

static void value_must_be_sound(const char *key, json_t *value)
{
	const char *name;
	json_t *param;

	if (json_is_string(value))
		text_must_be_visible(json_string_value(value));
	if (json_is_integer(value))
		must(json_integer_value(value) >= 0);
	if (str_eq(key, "sha"))
		must(str_is_hex(json_string_value(value), 0) && json_string_length(value) >= 7);
	if (str_eq(key, "experiment"))
		must(*json_string_value(value) && *json_string_value(value) != '-');
	json_object_foreach(value, name, param)
	{
		text_must_be_visible(name);
		text_must_be_visible(json_string_value(param));
	}
	must(json_object_size(value) <= 50);
}

/* Start of line `wanted` (from 1); CR, LF and CRLF end lines. */
static const char *line_at(const char *body, const char *end, int wanted)
{
	const char *p = body;

	for (int line = 1; line < wanted && p < end; line++) {
		while (p < end && *p != '\n' && *p != '\r')
			p++;
		if (p < end && *p++ == '\r' && p < end && *p == '\n')
			p++;
	}
	return p;
}

static void line_must_be_sound(const struct comment_line *line, const char *body, const char *end)
{
	const char *p = line_at(body, end, line->line);
	size_t len = strlen(line->text);

	if (line->line == 1 && end - p >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
		p += 3;
	for (int i = 0; i < 3 && p < end && *p == ' '; i++)
		p++;
	must(line->text[0] == '/' && len >= 2 && len <= COMMENT_LINE_MAX + 1);
	must((size_t)(end - p) >= len);
	for (size_t i = 0; i < len; i++)
		must(p[i] == line->text[i] || (!p[i] && line->text[i] == 1));
}

static void lines_must_be_sound(const struct comment_lines *lines, const char *body, size_t size)
{
	must(lines->count <= COMMENT_COMMANDS_MAX + 1);
	must(!lines->count || comment_may_have_command(body, size));
	for (size_t i = 0; i < lines->count; i++) {
		must(!i || lines->items[i].line > lines->items[i - 1].line);
		line_must_be_sound(&lines->items[i], body, body + size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct comment_lines lines;
	struct command_calls calls;
	struct err err = {0};
	enum err_class class;

	comment_find(&lines, (const char *)data, size);
	lines_must_be_sound(&lines, (const char *)data, size);
	class = command_parse_all(&calls, &table, &lines, &err);
	must(class == ERR_OK || class == ERR_USER || class == ERR_NOT_FOUND);
	must((class == ERR_OK) == (calls.count > 0));
	if (class == ERR_USER) {
		must(*err.code && strlen(err.msg) < ERR_MSG_MAX - 1);
		must(text_is_sound(err.msg, strlen(err.msg)));
		message_must_be_shown(err.msg);
	}
	for (size_t i = 0; i < calls.count; i++) {
		const char *key;
		json_t *value;

		must(*calls.items[i].line == '/');
		must(calls.items[i].command != &logs ||
		     json_object_get(calls.items[i].args, "arg"));
		json_object_foreach(calls.items[i].args, key, value)
			value_must_be_sound(key, value);
	}
	command_calls_dispose(&calls);
	comment_lines_dispose(&lines);
	return 0;
}
