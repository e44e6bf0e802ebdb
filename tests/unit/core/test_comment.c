/* Where commands stand in a comment: one table of comments, and comments made to hurt. */
#include "lib/core/comment.h"

#include <time.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "tests/unit/cases.h"

static const struct {
	const char *name, *body;
	const char *want; /* "line:text" of each, joined by " | " */
} comments[] = {
	{"empty", "", ""},
	{"one line", "/build", "1:/build"},
	{"trailing blanks", "/build \t ", "1:/build"},
	{"with text before", "please\n\n/build_run --sha abc\nthanks\n", "3:/build_run --sha abc"},
	{"in the same paragraph", "please\n/build\nthanks", "2:/build"},
	{"several", "/build\n/run a\n\n/status", "1:/build | 2:/run a | 4:/status"},
	{"line ends of the web editor", "hi\r\n\r\n/build\r\n/run\r\n", "3:/build | 4:/run"},
	{"line ends of old", "hi\r\r/build\r/run", "3:/build | 4:/run"},
	{"three spaces", "   /build", "1:/build"},
	{"four spaces are code", "    /build", ""},
	{"four spaces go on a paragraph, but are not the margin", "text\n    /build", ""},
	{"a tab is code", "\t/build", ""},
	{"not at the start of the line", "see /build", ""},
	{"byte order mark", "\xef\xbb\xbf/build", "1:/build"},
	{"zero-width space before", "\xe2\x80\x8b/build", ""},
	{"no-break space before", "\xc2\xa0/build", ""},
	{"full-width slash",
	 "\xef\xbc\x8f"
	 "build",
	 ""},
	{"slash alone", "/", ""},
	{"two slashes", "//build", ""},
	{"a comment of C", "/* build */", ""},
	{"slash and digit", "/1", ""},
	{"a path", "/usr/bin/env", ""},
	{"a path in an argument", "/run --name a/b", "1:/run --name a/b"},
	{"a path is the first word only", "/usr x/y", "1:/usr x/y"},
	{"upper case", "/BUILD", "1:/BUILD"},
	{"markup in the arguments", "/run --param x='*a* `b` [c](d) <e> &amp;'",
	 "1:/run --param x='*a* `b` [c](d) <e> &amp;'"},

	{"attack 57: quote", "> /build", ""},
	{"attack 57: quote over two lines", "> text\n> /build", ""},
	{"attack 57: joined to a quote", "> text\n/build", ""},
	{"after a quote and a blank line", "> text\n\n/build", "3:/build"},
	{"attack 57: quote in a quote", "> > /build", ""},
	{"attack 57: fence of backticks", "```\n/build\n```", ""},
	{"attack 57: fence with a language", "```sh\n/build\n```\n/run", "4:/run"},
	{"attack 57: fence of tildes", "~~~\n/build\n~~~", ""},
	{"attack 57: unclosed fence", "```\n/build\n\n/run", ""},
	{"attack 57: unclosed fence of tildes", "text\n~~~~\n/build\n~~~\n/run", ""},
	{"attack 57: shorter fence does not close", "````\n```\n/build\n````\n/run", "5:/run"},
	{"long fences",
	 "`````````````````````````````````````````````\n/build\n"
	 "`````````````````````````````````````````````\n/run",
	 "4:/run"},
	{"attack 57: indented code", "text\n\n    /build\n", ""},
	{"attack 57: inline code", "`/build`", ""},
	{"attack 57: inline code over lines", "run `foo\n/build\nbar` now", ""},
	{"a lone backtick hides nothing", "it`s\n/build", "2:/build"},
	{"attack 57: HTML comment", "<!-- /build -->", ""},
	{"attack 57: HTML comment over lines", "<!--\n/build\n-->", ""},
	{"attack 57: HTML comment over paragraphs", "<!--\n\n/build\n\n-->\n/run", "6:/run"},
	{"attack 57: unclosed HTML comment", "<!--\n\n/build", ""},
	{"attack 57: HTML comment inside a line", "text <!-- a\n/build\n--> text", ""},
	{"attack 57: processing instruction", "text <? a\n/build\n?> text", ""},
	{"attack 57: CDATA", "text <![CDATA[\n/build\n]]> text", ""},
	{"attack 57: attribute of a tag", "text <a title='\n/build\n'>x</a>", ""},
	{"attack 57: block of HTML", "<div>\n/build\n</div>", ""},
	{"attack 57: pre", "<pre>\n\n/build\n\n</pre>", ""},
	{"attack 57: details without a blank line", "<details>\n/build\n</details>", ""},
	{"attack 57: details with blank lines", "<details>\n\n/build\n\n</details>", "3:/build"},
	{"attack 57: list item", "- /build", ""},
	{"attack 57: second line of a list item", "- text\n  /build", ""},
	{"attack 57: numbered instructions", "1. comment\n   /deploy production\n2. wait", ""},
	{"after a list item at the margin", "- text\n/build", "2:/build"},
	{"attack 57: link text", "[text\n/build\n](https://x.org)", "2:/build"},
	{"attack 57: title of a link definition", "[a]: /url '\n/build\n'\n\n/run", "5:/run"},
	{"attack 57: link definition before a command", "[a]: b\n[c]: d\n/build", "3:/build"},
	{"attack 57: target of a link definition", "[a]:\n/build\n", ""},
	{"attack 57: image text", "![x\n/build\n](y)", "2:/build"},
	{"in bold over lines", "**a\n/build\nb**", "2:/build"},
	{"heading", "# /build", ""},
	{"underlined", "/build\n---\ntext", "1:/build"},
	{"under a heading", "# a\n/build", "2:/build"},
	{"between rules", "---\n/build\n***\n/run\n___", "2:/build | 4:/run"},
	{"a long rule ends a quote",
	 "> a\n------------------------------------------------------------\n/build", "3:/build"},
	{"in a table", "| a |\n|---|\n| /build |", ""},
	{"token of ours typed by a person",
	 "\x01"
	 "0;x\n```\n/build\n```",
	 ""},

	{"mail: reply", "/build\n\nOn Mon, 5 Jan 2026 at 10:02, Ann <ann@example.org> wrote:\n/run",
	 "1:/build"},
	{"mail: reply over two lines",
	 "/build\n\nOn Mon, 5 Jan 2026 at 10:02, Ann Somebody <\nann@example.org> wrote:\n\n/run",
	 "1:/build"},
	{"mail: reply in German", "/build\nAm 05.01.26 um 10:02 schrieb Ann:\n\n/run", "1:/build"},
	{"mail: reply in French",
	 "/build\nLe 5 janv. 2026 Ann a \xc3\xa9"
	 "crit :\n\n/run",
	 "1:/build"},
	{"mail: not a reply", "On Monday Ann wrote:\n/build", "2:/build"},
	{"mail: not a reply either", "On 5 nodes it works\n/build", "2:/build"},
	{"mail: original message", "/build\n\n-----Original Message-----\n/run", "1:/build"},
	{"mail: forwarded", "---------- Forwarded message ---------\n/run", ""},
	{"mail: header block", "/build\n\nFrom: Ann\nSent: Monday\nTo: Kim\n\n/run", "1:/build"},
	{"mail: header block in bold", "/build\n\n**From:** Ann\n**Sent:** Monday\n\n/run",
	 "1:/build"},
	{"mail: from without the rest", "From: the docs\n/build", "2:/build"},
	{"mail: signature", "/build\n-- \nAnn\n/run", "1:/build"},
	{"mail: two dashes are no signature", "/build\n--\n/run", "1:/build | 3:/run"},
	{"mail: underscores", "/build\n________________________________\n/run", "1:/build"},
	{"mail: short rule", "/build\n____\n/run", "1:/build | 3:/run"},
	{"mail: GitHub's footer",
	 "/build\n\n\xe2\x80\x94\nReply to this email directly, view it\n/run", "1:/build"},
	{"mail: mark in a fence", "```\n-- \n```\n/build", "4:/build"},
	{"mail: mark in a quote is the quote's", "> On 5 Jan Ann wrote:\n\n/build", "3:/build"},
};

static char *joined(const char *body, size_t len)
{
	struct buf out = buf_make(1 << 20);
	struct comment_lines lines;

	comment_find(&lines, body, len);
	assert_true(!lines.count || comment_may_have_command(body, len));
	for (size_t i = 0; i < lines.count; i++)
		buf_printf(&out, "%s%d:%s", i ? " | " : "", lines.items[i].line,
			   lines.items[i].text);
	comment_lines_dispose(&lines);
	return buf_take(&out);
}

static void test_comments(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof comments / sizeof comments[0]; i++) {
		char *got = joined(comments[i].body, strlen(comments[i].body));

		print_message("%s\n", comments[i].name);
		assert_string_equal(got, comments[i].want);
		mem_free(got);
	}
}

/* Attack 16: a NUL byte neither ends the comment nor disappears. */
static void test_nul(void **state)
{
	static const struct {
		const char *name, *body;
		size_t len;
		const char *want;
	} cases[] = {
		{"before", "\0/build", 7, ""},
		{"line before", "a\0b\n/build", 10, "2:/build"},
		{"behind the word", "/build\0 --x", 11, "1:/build\x01 --x"},
		{"inside the word", "/bu\0ild", 7, "1:/bu\x01ild"},
		{"at the end", "/build\0", 7, "1:/build\x01"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *got = joined(cases[i].body, cases[i].len);

		print_message("attack 16: NUL %s\n", cases[i].name);
		assert_string_equal(got, cases[i].want);
		mem_free(got);
	}
}

/* Bad UTF-8 around a command is nobody's harm. */
static void test_bad_utf8(void **state)
{
	char *got = joined("\xff\xfe\n/build \xc3\n\xe2\x80", 14);

	(void)state;
	assert_string_equal(got, "2:/build \xc3");
	mem_free(got);
}

static void test_long_lines(void **state)
{
	char *body = mem_new(70000, 1);
	struct comment_lines lines;

	(void)state;
	memset(body, 'x', 65000);
	memcpy(body, "/run ", 5);
	comment_find(&lines, body, 65000);
	assert_int_equal(lines.count, 1);
	assert_int_equal(strlen(lines.items[0].text), COMMENT_LINE_MAX + 1);
	comment_lines_dispose(&lines);
	comment_find(&lines, body, COMMENT_LINE_MAX);
	assert_int_equal(strlen(lines.items[0].text), COMMENT_LINE_MAX);
	comment_lines_dispose(&lines);
	mem_free(body);
}

struct flood {
	const char *name, *start, *piece;
	size_t want;
};

static const struct flood floods[] = {
	{"attack 59: 10,000 lines", "", "/build\n", 11},
	{"attack 59: paragraphs", "", "/build\n\n", 11},
	{"quotes in one line", "/a\n", ">", 1},
	{"quotes in lines", "/a\n\n", ">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>\n", 1},
	{"brackets", "/a\n", "[", 1},
	{"brackets in lines", "/a\n", "[\n", 1},
	{"links", "/a\n", "[a](", 1},
	{"images", "/a\n", "![a", 1},
	{"link definitions", "/a\n\n", "[a]: b\n", 1},
	{"lists in one line", "/a\n", "- ", 1},
	{"numbered lists in one line", "/a\n", "1. ", 1},
	{"lists, then blank lines", "/a\n- - - - - - - - - - - - - - - -\n", "\n", 1},
	{"backticks", "/a\n", "`a``b", 1},
	{"open HTML comments", "/a\n", "a<!--", 1},
	{"open declarations", "/a\n", "a<!A ", 1},
	{"open instructions", "/a\n", "a<?\n", 1},
	{"open CDATA", "/a\n", "a<![CDATA[", 1},
	{"open CDATA that looks like links", "/a\n", "a<![a](", 1},
	{"open CDATA and brackets", "/a\n", "<![]", 1},
	{"open tags", "/a\n", "<a b=\"c ", 1},
	{"angle brackets", "/a\n", "<", 1},
	{"stars", "/a\n", "*a **b", 1},
	{"stars in lines", "/a\n", "*a_**_\n", 1},
	{"entities", "/a\n", "&", 1},
	{"backslashes", "/a\n", "\\", 1},
	{"marks of mails that are none", "/a\n", "On \n", 1},
	{"headers that are none", "/a\n", "From:\n", 1},
	{"headings", "/a\n", "#\n", 1},
	{"blank lines", "/a\n", "\n", 1},
	{"carriage returns", "/a\n", "\r", 1},
	{"bad bytes", "/a\n", "\xff", 1},
};

static char *flood_body(const struct flood *flood, size_t len)
{
	char *body = mem_new(len + 1, 1);
	size_t at = strlen(flood->start), piece = strlen(flood->piece);

	memcpy(body, flood->start, at);
	for (; at + piece <= len; at += piece)
		memcpy(body + at, flood->piece, piece);
	memset(body + at, 'x', len - at);
	return body;
}

/* Comments made to cost much: each takes a bounded time at the largest size there is. */
static void test_floods(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
		char *body = flood_body(&floods[i], 300000);
		struct comment_lines lines;
		clock_t start = clock();
		double seconds;

		comment_find(&lines, body, 300000);
		seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
		print_message("%s: %.0f ms\n", floods[i].name, seconds * 1000);
		assert_int_equal(lines.count, floods[i].want);
		assert_true(seconds < 5); /* with sanitizers; without, a fiftieth */
		comment_lines_dispose(&lines);
		mem_free(body);
	}
}

static void test_cheap_look(void **state)
{
	(void)state;
	assert_false(comment_may_have_command("", 0));
	assert_false(comment_may_have_command("hello\nsee a/b\n", 14));
	assert_true(comment_may_have_command("hello\n/build", 12));
	assert_false(comment_may_have_command("hello\n/build", 7));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_comments), cmocka_unit_test(test_nul),
	cmocka_unit_test(test_bad_utf8), cmocka_unit_test(test_long_lines),
	cmocka_unit_test(test_floods),	 cmocka_unit_test(test_cheap_look),
};

CASES_MAIN(tests, NULL, NULL)
