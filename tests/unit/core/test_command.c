/* Lines into calls: the grammar, every refusal with its code, suggestions, and whole comments. */
#include "lib/core/command.h"

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/comment.h"
#include "tests/unit/cases.h"

static const struct command_flag no_flags[] = {{NULL, FLAG_BOOL, NULL, NULL}};

static const struct command_flag run_flags[] = {
	{"param", FLAG_PARAM, "K=V", "a parameter"},
	{"experiment", FLAG_NAME, "E", "the experiment"},
	{"sha", FLAG_SHA, "S", "the commit"},
	{"no-cache", FLAG_BOOL, NULL, "compute all anew"},
	{"timeout", FLAG_DURATION, "D", "give up then"},
	{"name", FLAG_TEXT, "N", "name of the run"},
	{NULL, FLAG_BOOL, NULL, NULL},
};

static const struct command_flag deploy_flags[] = {
	{"run-id", FLAG_NAME, "R", "the run"},
	{"force", FLAG_TEXT, "REASON", "why"},
	{"canary", FLAG_INT, "PERCENT", "share"},
	{NULL, FLAG_BOOL, NULL, NULL},
};

static const struct command help = {
	.name = "help", .flags = no_flags, .arg_name = "COMMAND", .arg_type = FLAG_NAME};
static const struct command status = {.name = "status", .flags = no_flags};
static const struct command run = {
	.name = "run", .flags = run_flags, .arg_name = "VERSION", .arg_type = FLAG_NAME};
static const struct command build_run = {.name = "build_run", .flags = run_flags};
static const struct command build = {.name = "build", .flags = no_flags};
static const struct command staging_deploy = {.name = "staging_deploy", .flags = deploy_flags};
static const struct command logs = {.name = "logs",
				    .flags = no_flags,
				    .arg_name = "JOB",
				    .arg_type = FLAG_INT,
				    .arg_required = true};
static const struct command deploy = {
	.name = "deploy", .flags = deploy_flags, .arg_name = "ENV", .arg_type = FLAG_NAME};

static const struct command_flag ok_flags[] = {
	{"build-only", FLAG_BOOL, NULL, "nothing more"},
	{NULL, FLAG_BOOL, NULL, NULL},
};
static const struct command ok_to_run = {.name = "ok-to-run",
					 .alias = "ok-to-test",
					 .flags = ok_flags,
					 .arg_name = "SHA",
					 .arg_type = FLAG_SHA,
					 .arg_required = true};

static const struct command *const items[] = {&help,	       &status, &run,	 &build_run, &build,
					      &staging_deploy, &logs,	&deploy, &ok_to_run};
static const struct command_table table = {items, ARRAY_LEN(items)};

static const struct {
	const char *name, *line;
	const char *command;
	const char *args; /* sorted compact JSON */
} good[] = {
	{"word alone", "/build", "build", "{}"},
	{"case of the word", "/BuILd", "build", "{}"},
	{"dash for underscore", "/build-run", "build_run", "{}"},
	{"underscore", "/build_run", "build_run", "{}"},
	{"dash in staging", "/staging-deploy", "staging_deploy", "{}"},
	{"blanks behind", "/build \t ", "build", "{}"},
	{"argument", "/run pr-7-9f8e7d6", "run", "{\"arg\":\"pr-7-9f8e7d6\"}"},
	{"argument of number", "/logs 42", "logs", "{\"arg\":42}"},
	{"argument of a commit", "/ok-to-run 9f8e7d6", "ok-to-run", "{\"arg\":\"9f8e7d6\"}"},
	{"another word for it", "/Ok-To-Test 9F8E7D6A1B2C --build_only", "ok-to-run",
	 "{\"arg\":\"9f8e7d6a1b2c\",\"build-only\":true}"},
	{"tab between", "/run\tv1", "run", "{\"arg\":\"v1\"}"},
	{"flag with =", "/run --sha=9f8e7d6", "run", "{\"sha\":\"9f8e7d6\"}"},
	{"flag with a blank", "/run --sha 9f8e7d6", "run", "{\"sha\":\"9f8e7d6\"}"},
	{"SHA in upper case", "/run --sha 9F8E7D6", "run", "{\"sha\":\"9f8e7d6\"}"},
	{"underscore in a flag", "/run --no_cache", "run", "{\"no-cache\":true}"},
	{"flag before the argument", "/run --no-cache v1", "run",
	 "{\"arg\":\"v1\",\"no-cache\":true}"},
	{"Kfops: run id with =", "/deploy --run-id=ab-12", "deploy", "{\"run-id\":\"ab-12\"}"},
	{"Kfops: run id with a blank", "/deploy --run-id ab-12", "deploy",
	 "{\"run-id\":\"ab-12\"}"},
	{"duration", "/run --timeout 1h30m", "run", "{\"timeout\":5400000}"},
	{"double quotes", "/run --name \"a b\"", "run", "{\"name\":\"a b\"}"},
	{"single quotes", "/run --name='a b'", "run", "{\"name\":\"a b\"}"},
	{"quotes in the middle", "/run --name=a' b 'c", "run", "{\"name\":\"a b c\"}"},
	{"escapes in double quotes", "/run --name \"a\\\"b\\\\c\\d\"", "run",
	 "{\"name\":\"a\\\"b\\\\c\\\\d\"}"},
	{"no escapes in single quotes", "/run --name 'a\\'", "run", "{\"name\":\"a\\\\\"}"},
	{"no escapes outside quotes", "/run --name a\\b", "run", "{\"name\":\"a\\\\b\"}"},
	{"quoted flag is an argument's text", "/run --name '--sha'", "run", "{\"name\":\"--sha\"}"},
	{"parameters", "/run --param a=1 --param=b=2", "run",
	 "{\"param\":{\"a\":\"1\",\"b\":\"2\"}}"},
	{"parameters behind --", "/run v1 -- a=1 b='x y'", "run",
	 "{\"arg\":\"v1\",\"param\":{\"a\":\"1\",\"b\":\"x y\"}}"},
	{"both forms of parameters", "/run --param a=1 -- b=2", "run",
	 "{\"param\":{\"a\":\"1\",\"b\":\"2\"}}"},
	{"nothing behind --", "/run --", "run", "{}"},
	{"nothing behind -- where no parameters are taken", "/build --", "build", "{}"},
	{"parameter with = in its value", "/run --param a=b=c", "run",
	 "{\"param\":{\"a\":\"b=c\"}}"},
	{"empty value of a parameter", "/run --param a=", "run", "{\"param\":{\"a\":\"\"}}"},
	{"negative value of a parameter", "/run --param a=-1", "run", "{\"param\":{\"a\":\"-1\"}}"},
	{"text behind -- that looks like a flag", "/run -- a=--sha", "run",
	 "{\"param\":{\"a\":\"--sha\"}}"},
	{"em dash of a phone", "/run \xe2\x80\x94sha 9f8e7d6", "run", "{\"sha\":\"9f8e7d6\"}"},
	{"en dash of a phone", "/run \xe2\x80\x93sha=9f8e7d6", "run", "{\"sha\":\"9f8e7d6\"}"},
	{"two en dashes", "/run \xe2\x80\x93\xe2\x80\x93no-cache", "run", "{\"no-cache\":true}"},
	{"en dash and a dash", "/run \xe2\x80\x93-no-cache", "run", "{\"no-cache\":true}"},
	{"em dash before parameters", "/run \xe2\x80\x94 a=1", "run", "{\"param\":{\"a\":\"1\"}}"},
	{"em dash inside a value stays",
	 "/run --name a\xe2\x80\x94"
	 "b",
	 "run",
	 "{\"name\":\"a\xe2\x80\x94"
	 "b\"}"},
	{"keep going is no argument", "/build --keep-going", "build", "{}"},
	{"help on a line", "/run --help", "help", "{\"arg\":\"run\"}"},
	{"help wins over faults", "/run --nonsense --help", "help", "{\"arg\":\"run\"}"},
	{"help on dashes", "/build-run --help", "help", "{\"arg\":\"build_run\"}"},
	{"form against clashes", "/kfops build", "build", "{}"},
	{"form against clashes, with flags", "/KFOPS  run v1 --no-cache", "run",
	 "{\"arg\":\"v1\",\"no-cache\":true}"},
	{"form against clashes, two slashes", "/kfops /build", "build", "{}"},
	{"typographic quotes inside straight ones", "/run --name 'don\xe2\x80\x99t'", "run",
	 "{\"name\":\"don\xe2\x80\x99t\"}"},
	{"no-break space inside quotes",
	 "/run --name 'a\xc2\xa0"
	 "b'",
	 "run",
	 "{\"name\":\"a\xc2\xa0"
	 "b\"}"},
	{"attack 48: command substitution", "/run --param x='$(id)'", "run",
	 "{\"param\":{\"x\":\"$(id)\"}}"},
	{"attack 48: backticks", "/run --param x=`id`", "run", "{\"param\":{\"x\":\"`id`\"}}"},
	{"attack 48: semicolon and pipe", "/run --param x=a;b|c", "run",
	 "{\"param\":{\"x\":\"a;b|c\"}}"},
	{"attack 48: closing quote", "/run --param x=\"';id;'\"", "run",
	 "{\"param\":{\"x\":\"';id;'\"}}"},
	{"attack 50: option in a parameter", "/run --param x=--upload-pack=y", "run",
	 "{\"param\":{\"x\":\"--upload-pack=y\"}}"},
	{"attack 51: variable", "/run --param t=$GITHUB_TOKEN", "run",
	 "{\"param\":{\"t\":\"$GITHUB_TOKEN\"}}"},
	{"attack 51: home and glob", "/run --param t=~root/*", "run",
	 "{\"param\":{\"t\":\"~root/*\"}}"},
	{"attack 56: SQL", "/run --name \"'); DROP TABLE jobs;--\"", "run",
	 "{\"name\":\"'); DROP TABLE jobs;--\"}"},
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct command_call call;
		struct err err = {0};
		char *args;

		print_message("%s\n", good[i].name);
		assert_int_equal(command_parse(&call, &table, good[i].line, &err), ERR_OK);
		assert_string_equal(call.command->name, good[i].command);
		assert_string_equal(call.line, good[i].line);
		args = jval_dump(call.args);
		assert_string_equal(args, good[i].args);
		mem_free(args);
		command_call_dispose(&call);
	}
}

static const struct {
	const char *name, *line;
	const char *code;
	const char *says; /* part of the message */
} bad[] = {
	{"near a word", "/biuld", "command.unknown",
	 "Unknown command `/biuld`. Did you mean `/build`? `/help` lists all."},
	{"near a word by case", "/Biuld --sha x", "command.unknown", "`/build`"},
	{"near with a dash", "/build-rum", "command.unknown", "`/build_run`"},
	{"punctuation behind the word", "/build.", "command.unknown", "`/build`"},
	{"two edits", "/depploi", "command.unknown", "`/deploy`"},
	{"far, but named", "/kfops frobnicate", "command.unknown",
	 "Unknown command `/frobnicate`. `/help` lists all."},
	{"near, and named", "/kfops biuld", "command.unknown", "Did you mean `/build`?"},
	{"name alone", "/kfops", "command.unknown", "followed by a command"},
	{"name and a path", "/kfops a/b", "command.unknown", "`/a/b`"},
	{"markup in an unknown word", "/kfops <b>@all`x`", "command.unknown", "`` /<b>@all`x` ``"},

	{"near another word for it", "/ok-to-tset 9f8e7d6", "command.unknown",
	 "Unknown command `/ok-to-tset`. Did you mean `/ok-to-test`? `/help` lists all."},
	{"a branch is no commit", "/ok-to-run main", "command.value",
	 "`SHA` takes a commit of 7 to 64 hex digits, not `main`. Usage: `/ok-to-run SHA "
	 "[--build-only]`"},
	{"six digits are too few", "/ok-to-run 9f8e7d", "command.value",
	 "`SHA` takes a commit of 7 to 64 hex digits, not `9f8e7d`. Usage: `/ok-to-run SHA "
	 "[--build-only]`"},
	{"a commit and something behind it", "/ok-to-run 9f8e7d6~1", "command.value",
	 "`SHA` takes a commit of 7 to 64 hex digits, not `9f8e7d6~1`. Usage: `/ok-to-run SHA "
	 "[--build-only]`"},
	{"which commit is not left open", "/ok-to-test", "command.missing",
	 "`SHA` is missing. Usage: `/ok-to-run SHA [--build-only]`"},
	{"two commits", "/ok-to-run 9f8e7d6 a1b2c3d", "command.missing",
	 "This command takes one argument; `a1b2c3d` is one too many. Usage: `/ok-to-run SHA "
	 "[--build-only]`"},
	{"unknown flag", "/run --frobnicate", "command.unknown_flag",
	 "`/run` has no flag `--frobnicate`. Usage: `/run [VERSION] [--param K=V]... [--experiment "
	 "E]"},
	{"near a flag", "/run --no-cach", "command.unknown_flag", "Did you mean `--no-cache`?"},
	{"near a flag with a value", "/run --experimnt=x", "command.unknown_flag",
	 "`--experiment`"},
	{"flag of another command", "/build --sha 9f8e7d6", "command.unknown_flag", "`/build`"},
	{"one dash", "/run -sha", "command.unknown_flag", "two dashes"},
	{"flag of a name too long",
	 "/run --aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	 "command.unknown_flag", "no flag"},
	{"three dashes", "/run ---sha", "command.unknown_flag", "`---sha`"},
	{"bare equals", "/run --=x", "command.unknown_flag", "`--`"},

	{"attack 58: doubled flag", "/run --sha 9f8e7d6 --sha 9f8e7d6", "command.doubled_flag",
	 "`--sha` is given twice."},
	{"attack 58: doubled with another dash", "/run --no-cache --no_cache",
	 "command.doubled_flag", "`--no-cache`"},
	{"attack 58: doubled keep-going", "/run --keep-going --keep-going", "command.doubled_flag",
	 "`--keep-going`"},
	{"attack 58: doubled parameter", "/run --param a=1 -- a=2", "command.doubled_flag",
	 "`a` is given twice"},

	{"attack 58: flag without a value", "/run --sha", "command.missing",
	 "`--sha` needs a value."},
	{"attack 58: flag before a flag", "/run --sha --no-cache", "command.missing",
	 "`--sha` needs a value."},
	{"attack 58: empty value", "/run --sha=", "command.value", "`--sha` is empty"},
	{"attack 58: empty quotes", "/run --name ''", "command.value", "`--name` is empty"},
	{"attack 58: negative number", "/deploy --canary -1", "command.value",
	 "1 or more, not `-1`"},
	{"a number that nothing has", "/deploy --canary 0", "command.value",
	 "takes a whole number, 1 or more, not `0`"},
	{"attack 58: number with exponent", "/deploy --canary 1e9", "command.value", "not `1e9`"},
	{"attack 58: number too large", "/deploy --canary 9223372036854775808", "command.value",
	 "whole number"},
	{"attack 41: short SHA", "/run --sha 9f8e7d", "command.value", "7 to 64 hex digits"},
	{"attack 41: long SHA",
	 "/run --sha 9f8e7d69f8e7d69f8e7d69f8e7d69f8e7d69f8e7d69f8e7d69f8e7d69f8e7d6aa",
	 "command.value", "7 to 64 hex digits"},
	{"attack 41: branch for a SHA", "/run --sha main-branch", "command.value", "`main-branch`"},
	{"value for a switch", "/run --no-cache=true", "command.value", "takes no value"},
	{"duration without a unit", "/run --timeout 15", "command.value", "`15m`"},
	{"duration of nothing", "/run --timeout 0s", "command.value", "`0s`"},
	{"attack 50: name with a dash", "/run --experiment=-oProxyCommand", "command.value",
	 "`-oProxyCommand`"},
	{"name with a blank", "/run --experiment 'a b'", "command.value", "`a b`"},
	{"name with a colon", "/run --experiment a:b", "command.value", "`a:b`"},
	{"argument where there is none", "/build now", "command.missing", "takes no argument"},
	{"argument too many", "/run v1 v2", "command.missing", "`v2` is one too many"},
	{"argument a parameter", "/run lr=0.1", "command.value", "looks like a parameter"},
	{"argument with =", "/deploy a=b", "command.value", "`a=b`"},
	{"argument of letters for a number", "/logs abc", "command.value", "`JOB` takes a whole"},
	{"parameter without =", "/run --param lr", "command.value", "`name=value`, not `lr`"},
	{"parameter without a name", "/run --param =1", "command.value", "name of a parameter"},
	{"parameter with an odd name", "/run -- 'a b=1'", "command.value", "`a b`"},
	{"parameters where there are none", "/build -- a=1", "command.missing", "after `--`"},
	{"argument missing", "/logs", "command.missing", "`JOB` is missing. Usage: `/logs JOB`"},

	{"attack 58: unclosed double quote", "/run --name \"a b", "command.quote", "(\")"},
	{"attack 58: unclosed single quote", "/run --name 'a b", "command.quote", "(')"},
	{"escape before the end", "/run --name \"a\\\"", "command.quote", "(\")"},
	{"curly quotes of a phone",
	 "/run --name \xe2\x80\x9c"
	 "a b\xe2\x80\x9d",
	 "command.quote", "typographic"},
	{"curly apostrophe", "/run --name don\xe2\x80\x99t", "command.quote", "typographic"},

	{"bidi override",
	 "/run --name a\xe2\x80\xae"
	 "b",
	 "command.value", "U+202E"},
	{"bidi override in quotes",
	 "/run --name 'a\xe2\x80\xae"
	 "b'",
	 "command.value", "U+202E"},
	{"bidi isolate",
	 "/run --name a\xe2\x81\xa6"
	 "b",
	 "command.value", "U+2066"},
	{"zero-width space",
	 "/run v\xe2\x80\x8b"
	 "1",
	 "command.value", "U+200B"},
	{"zero-width behind the word", "/run\xe2\x80\x8b", "command.value", "U+200B"},
	{"no-break space", "/run\xc2\xa0v1", "command.value", "U+00A0"},
	{"attack 16: where a NUL was", "/run\x01", "command.value", "U+0001"},
	{"attack 16: where a NUL was, in a value",
	 "/run --name a\x01"
	 "b",
	 "command.value", "U+0001"},
	{"attack 16: replaced surrogate", "/run --name a\xef\xbf\xbd", "command.value", "UTF-8"},
	{"attack 16: bad UTF-8", "/run --name a\xff", "command.value", "UTF-8"},
	{"escape of a terminal", "/run --name \x1b[31m", "command.value", "U+001B"},
	{"C1 control",
	 "/run --name \xc2\x9b"
	 "31m",
	 "command.value", "U+009B"},
	{"vertical tab", "/run\vx", "command.value", "U+000B"},
	{"letter of another script behind the word", "/run\xc3\xa9", "command.value",
	 "not followed by a space"},
	{"em dash behind the word", "/run\xe2\x80\x94sha", "command.value",
	 "not followed by a space"},
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct command_call call;
		struct err err = {0};

		print_message("%s\n", bad[i].name);
		assert_int_equal(command_parse(&call, &table, bad[i].line, &err), ERR_USER);
		if (!str_eq(err.code, bad[i].code) || !strstr(err.msg, bad[i].says))
			fail_msg("%s: %s", err.code, err.msg);
		assert_null(call.args);
		assert_null(call.line);
	}
}

/* Words of others are left alone. */
static void test_not_ours(void **state)
{
	static const char *const lines[] = {
		"/frobnicate",
		"/assign @ann",
		"/lgtm",
		"/cc",
		"/usr/bin/env",
		"/build/x",
		"/runs/7",
		"/",
		"//",
		"build",
		"",
		" /build",
		"/1",
		"/\xc3\xa9",
		"/bu\xe2\x80\x8bild",
		"/b\x01uild",
		"/kfopsbuild x",
		"/de/ploy",
		"/approve-all",
		"/completely-other_word",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct command_call call;
		struct err err = {0};

		print_message("'%s'\n", lines[i]);
		assert_int_equal(command_parse(&call, &table, lines[i], &err), ERR_NOT_FOUND);
	}
}

static void test_limits(void **state)
{
	char *line = mem_new(COMMENT_LINE_MAX + 64, 1);
	struct command_call call;
	struct err err = {0};
	struct buf many = buf_make(COMMENT_LINE_MAX);

	(void)state;
	memset(line, 'x', COMMENT_LINE_MAX + 1);
	memcpy(line, "/run -- a=", 10);
	assert_int_equal(command_parse(&call, &table, line, &err), ERR_USER);
	assert_string_equal(err.code, "command.too_long");
	line[COMMENT_LINE_MAX] = '\0';
	assert_int_equal(command_parse(&call, &table, line, &err), ERR_OK);
	command_call_dispose(&call);

	memcpy(line, "/run --name ", 12);
	line[12 + 501] = '\0';
	assert_int_equal(command_parse(&call, &table, line, &err), ERR_USER);
	assert_string_equal(err.code, "command.value");
	line[12 + 500] = '\0';
	assert_int_equal(command_parse(&call, &table, line, &err), ERR_OK);
	command_call_dispose(&call);

	buf_puts(&many, "/run --");
	for (int i = 0; i < 50; i++)
		buf_printf(&many, " p%d=%d", i, i);
	assert_int_equal(command_parse(&call, &table, buf_text(&many), &err), ERR_OK);
	assert_int_equal(json_object_size(json_object_get(call.args, "param")), 50);
	command_call_dispose(&call);
	buf_puts(&many, " p50=50");
	assert_int_equal(command_parse(&call, &table, buf_text(&many), &err), ERR_USER);
	assert_non_null(strstr(err.msg, "more than 50"));
	buf_dispose(&many);
	mem_free(line);
}

/* What a person wrote can be shown in the answer without harm, at any length. */
static void test_messages_are_inert(void **state)
{
	static const char *const words[] = {"@org/team", "<img src=x>", "`` ` ``",
					    "a|b|c",	 "![x](y)",	"fixes #1",
					    "[a](b)",	 "</details>",	"&#64;org"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		char *line = str_printf("/build '%s%0*d'", words[i], 2000, 0);
		struct command_call call;
		struct err err = {0};
		size_t len = strspn(err.msg, "");

		print_message("%s\n", words[i]);
		assert_int_equal(command_parse(&call, &table, line, &err), ERR_USER);
		len = strlen(err.msg);
		assert_true(len < 700);
		assert_int_equal(err.msg[len - 1], '`');
		assert_non_null(strstr(err.msg, "; `"));
		mem_free(line);
	}
}

static void test_usage(void **state)
{
	static const struct {
		const struct command *command;
		const char *want;
	} cases[] = {
		{&build, "/build"},
		{&logs, "/logs JOB"},
		{&help, "/help [COMMAND]"},
		{&run, "/run [VERSION] [--param K=V]... [--experiment E] [--sha S] [--no-cache] "
		       "[--timeout D] [--name N]"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *usage = command_usage(cases[i].command);

		assert_string_equal(usage, cases[i].want);
		mem_free(usage);
	}
	assert_ptr_equal(command_by_name(&table, "run"), &run);
	assert_null(command_by_name(&table, "RUN"));
	assert_string_equal(right_name(RIGHT_WRITE), "write");
}

static const struct {
	const char *name, *body;
	enum err_class class;
	const char *code;
	const char *says; /* of a good comment: its commands */
	bool keep_going;
} comments[] = {
	{"one", "/build", ERR_OK, "", "build", false},
	{"group", "text\n/build\n/run v1\n/status", ERR_OK, "", "build run status", false},
	{"keep going on any line", "/build\n/run --keep-going", ERR_OK, "", "build run", true},
	{"words of others between", "/lgtm\n/build\n/assign @ann", ERR_OK, "", "build", false},
	{"nobody's", "/lgtm\n/frobnicate", ERR_NOT_FOUND, "", "", false},
	{"no line at all", "hello", ERR_NOT_FOUND, "", "", false},
	{"all or none", "/build\n\n/run --sha x", ERR_USER, "command.value",
	 "Line 3, so no command of this comment was run: `--sha` takes", false},
	{"single line has no number", "/run --sha x", ERR_USER, "command.value", "`--sha` takes",
	 false},
	{"near word stops the rest", "/build\n/rum", ERR_USER, "command.unknown", "Line 2", false},
	{"twice the same", "/build\n/build", ERR_USER, "command.repeated", "`/build`", false},
	{"twice the same in two ways", "/build_run\n/BUILD-RUN --no-cache", ERR_USER,
	 "command.repeated", "`/build_run`", false},
	{"attack 59: eleven lines",
	 "/build\n/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm", ERR_USER,
	 "command.too_many", "more than 10", false},
	{"eleven lines of others",
	 "/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm\n/lgtm",
	 ERR_NOT_FOUND, "", "", false},
};

static void check_calls(const struct command_calls *calls, const char *want)
{
	struct buf names = buf_make(1000);

	for (size_t i = 0; i < calls->count; i++)
		buf_printf(&names, "%s%s", i ? " " : "", calls->items[i].command->name);
	assert_string_equal(buf_text(&names), want);
	buf_dispose(&names);
}

static void test_comments(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(comments); i++) {
		struct comment_lines lines;
		struct command_calls calls;
		struct err err = {0};

		print_message("%s\n", comments[i].name);
		comment_find(&lines, comments[i].body, strlen(comments[i].body));
		assert_int_equal(command_parse_all(&calls, &table, &lines, &err),
				 comments[i].class);
		if (comments[i].class == ERR_OK) {
			check_calls(&calls, comments[i].says);
			assert_int_equal(calls.keep_going, comments[i].keep_going);
		} else {
			assert_int_equal(calls.count, 0);
			assert_string_equal(err.code, comments[i].code);
			assert_non_null(strstr(err.msg, comments[i].says));
		}
		command_calls_dispose(&calls);
		comment_lines_dispose(&lines);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_good),
	cmocka_unit_test(test_bad),
	cmocka_unit_test(test_not_ours),
	cmocka_unit_test(test_limits),
	cmocka_unit_test(test_messages_are_inert),
	cmocka_unit_test(test_usage),
	cmocka_unit_test(test_comments),
};

CASES_MAIN(tests, NULL, NULL)
