/* test_docs.c - the examples in the documentation are read by what reads people's comments and
 * files: command lines by the command parser, blocks of config_files/config.yaml by the settings.
 */
#include "config/settings.h"
#include "lib/base/jval.h"
#include "lib/base/metrics.h"
#include "lib/commands/commands.h"
#include "lib/core/job.h"
#include "tests/unit/cases.h"
#include "tests/unit/samples.h"

static const char *const pages[] = {"README.md",	  "docs/getting-started.md",
				    "docs/commands.md",	  "docs/configuration.md",
				    "docs/operations.md", "docs/troubleshooting.md",
				    "docs/deploying.md",  "docs/serving.md"};

static char *read_page(const char *name)
{
	AUTO_FREE char *path = str_printf("../../%s", name);
	size_t len;
	char *text = sample_read(false, path, &len);

	if (!text)
		fail_msg("%s is not there", name);
	return text;
}

/* Cuts the next line off *at; NULL at the end. The caller frees. */
static char *next_line(const char **at)
{
	size_t len = strcspn(*at, "\n");
	char *line = **at ? str_dup_len(*at, len) : NULL;

	*at += len + ((*at)[len] == '\n');
	return line;
}

/* Calls `each` with every fenced block of the language; returns how many there were. */
static size_t each_block(const char *page, const char *language,
			 void (*each)(const char *page, const char *block))
{
	AUTO_FREE char *text = read_page(page), *fence = str_printf("```%s", language);
	const char *at = text;
	size_t count = 0;

	for (char *line; (line = next_line(&at)); mem_free(line)) {
		AUTO_BUF struct buf block = buf_make(1 << 16);

		if (!str_eq(line, fence))
			continue;
		for (char *inner; (inner = next_line(&at)); mem_free(inner)) {
			if (str_starts(inner, "```")) {
				mem_free(inner);
				break;
			}
			buf_printf(&block, "%s\n", inner);
		}
		each(page, buf_text(&block));
		count++;
	}
	return count;
}

/* --- command lines --- */

static size_t lines_read;

/* `where` is a page or a command. A word that is not ours is a path or a placeholder, and a command
 * without its argument is only named. */
static void must_parse(const char *where, const char *line)
{
	struct command_call call;
	struct err err = {0};
	enum err_class class = command_parse(&call, &commands, line, &err);

	if (class == ERR_NOT_FOUND || (str_eq(err.code, "command.missing") && !strchr(line, ' ')))
		return;
	if (class)
		fail_msg("%s: `%s` is refused: %s: %s", where, line, err.code, err.msg);
	command_call_dispose(&call);
	lines_read++;
}

static void parse_lines(const char *page, const char *block)
{
	const char *at = block;

	for (char *line; (line = next_line(&at)); mem_free(line))
		if (*line == '/')
			must_parse(page, line);
}

static void test_lines_in_blocks(void **state)
{
	(void)state;
	lines_read = 0;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		each_block(pages[i], "text", parse_lines);
	assert_true(lines_read >= 3);
}

/* A form with brackets, a placeholder in capitals or a name in angle brackets is no command yet. */
static bool is_form(const char *span)
{
	size_t capitals = 0;

	if (strpbrk(span, "[]<>|") || strstr(span, "\xe2\x80\xa6"))
		return true;
	for (const char *c = span; *c; c++) {
		capitals = *c >= 'A' && *c <= 'Z' ? capitals + 1 : 0;
		if (capitals && !(c[1] >= 'a' && c[1] <= 'z') &&
		    (capitals > 1 || c == span || c[-1] == ' ' || c[-1] == '='))
			return true;
	}
	return false;
}

/* Commands in the running text: `/run --param neighbors=5`. The one that shows a slip is left out.
 */
static void test_lines_in_sentences(void **state)
{
	(void)state;
	lines_read = 0;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		AUTO_FREE char *text = read_page(pages[i]);

		for (char *at = text; (at = strstr(at, "`/")); at++) {
			AUTO_FREE char *span = str_dup_len(at + 1, strcspn(at + 1, "`\n"));

			if (!is_form(span) && !str_eq(span, "/biuld"))
				must_parse(pages[i], span);
		}
	}
	assert_true(lines_read >= 10);
}

static void test_examples_of_help(void **state)
{
	(void)state;
	for (size_t i = 0; i < commands.count; i++) {
		const struct command *command = commands.items[i];

		lines_read = 0;
		for (const char *const *example = command->examples; example && *example; example++)
			must_parse(command->name, *example);
		if (!lines_read)
			fail_msg("/%s has no example", command->name);
	}
}

/* --- config_files/config.yaml --- */

static size_t settings_read;

static void parse_settings(const char *page, const char *block)
{
	AUTO_BUF struct buf report = buf_make(10000);
	AUTO_JSON json_t *settings = NULL;
	struct err err = {0};
	int line;

	if (!str_starts(block, "repository:") && !str_starts(block, "pipeline:"))
		return; /* the operator's file: tests/lint/test_docs.py */
	if (settings_parse(&settings, block, strlen(block), "octo-org/iris", &report, &line, &err))
		fail_msg("%s: %s: %s\n%s", page, err.code, err.msg, buf_text(&report));
	settings_read++;
}

static void test_settings(void **state)
{
	(void)state;
	settings_read = 0;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		each_block(pages[i], "yaml", parse_settings);
	assert_true(settings_read >= 1);
}

/* --- docs/operations.md --- */

/* A metric has room for so many labels; what comes later is counted as "other". */
static void test_each_step_has_its_own_duration(void **state)
{
	AUTO_BUF struct buf out = buf_make(1 << 20);

	(void)state;
	for (size_t i = 0; i < commands.count; i++)
		for (const struct step *step = commands.items[i]->steps; step && step->name; step++)
			metrics_observe_ms(METRIC_STEP_SECONDS, step->name, 1);
	metrics_write(&out);
	assert_non_null(strstr(buf_text(&out), "kfops_step_seconds_count{step=\"merge\"}"));
	assert_null(strstr(buf_text(&out), "{step=\"other\""));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_lines_in_blocks),
	cmocka_unit_test(test_lines_in_sentences),
	cmocka_unit_test(test_examples_of_help),
	cmocka_unit_test(test_settings),
	cmocka_unit_test(test_each_step_has_its_own_duration),
};

CASES_MAIN(tests, NULL, NULL)
