/* Text from outside made harmless: tables of what becomes of what, and properties read back by
 * libcmark. */
#include "lib/core/markdown.h"

#include <time.h>

#include "tests/unit/cases.h"
#include "tests/unit/core/markdown_sound.h"

#define ZW  "\xe2\x80\x8b"
#define BAD "\xef\xbf\xbd"

struct text_case {
	const char *name, *in, *want;
};

static const struct text_case cleans[] = {
	{"empty", "", ""},
	{"plain", "hello\tworld\n", "hello\tworld\n"},
	{"UTF-8", "caf\xc3\xa9 \xf0\x9f\x9a\x80", "caf\xc3\xa9 \xf0\x9f\x9a\x80"},
	{"bad byte",
	 "a\xff"
	 "b",
	 "a" BAD "b"},
	{"overlong", "\xc0\xaf", BAD BAD},
	{"surrogate", "\xed\xa0\x80", BAD BAD BAD},
	{"cut sequence", "a\xe2\x98", "a" BAD BAD},
	{"controls",
	 "a\x01\x08\x0b\x0c\x7f"
	 "b\xc2\x85",
	 "ab"},
	{"CRLF", "a\r\nb\r\n", "a\nb\n"},
	{"progress bar", "10%\r50%\r100%\ndone", "100%\ndone"},
	{"progress bar at the end", "10%\r50%\r", "50%"},
	{"progress bar and CRLF", "10%\r50%\r\r\nx", "50%\nx"},
	{"progress bar with erasing", "10%\r\x1b[K50%\n", "50%\n"},
	{"colours", "\x1b[1;31mred\x1b[0m", "red"},
	{"256 colours", "\x1b[38;5;196mred\x1b[m", "red"},
	{"colours with colons", "\x1b[38:2::1:2:3mred", "red"},
	{"title by BEL", "\x1b]0;title\x07text", "text"},
	{"title by ST", "\x1b]0;title\x1b\\text", "text"},
	{"link of a terminal", "\x1b]8;;https://x.org\x1b\\here\x1b]8;;\x1b\\", "here"},
	{"device string", "\x1bPq#0\x1b\\text", "text"},
	{"unclosed title ends with the line", "\x1b]0;title\ntext", "\ntext"},
	{"cut colour", "a\x1b[31", "a"},
	{"colour with a newline inside", "a\x1b[3\n1m", "a\n1m"},
	{"two-byte escape",
	 "\x1b(Ba\x1b=b\x1b"
	 "Mc",
	 "abc"},
	{"escape alone", "a\x1b", "a"},
	{"C1 sequence",
	 "\xc2\x9b"
	 "31mred",
	 "red"},
	{"C1 string",
	 "\xc2\x9d"
	 "0;t\xc2\x9ctext",
	 "text"},
	{"attack: bidi override",
	 "a\xe2\x80\xae"
	 "b",
	 "aU+202Eb"},
	{"attack: bidi isolates", "\xe2\x81\xa6x\xe2\x81\xa9", "U+2066xU+2069"},
	{"attack: zero width",
	 "a\xe2\x80\x8b\xef\xbb\xbf"
	 "b",
	 "aU+200BU+FEFFb"},
	{"attack: tag characters", "\xf3\xa0\x81\x81", "U+E0041"},
	{"line separator",
	 "a\xe2\x80\xa8"
	 "b",
	 "aU+2028b"},
	{"soft hyphen",
	 "a\xc2\xad"
	 "b",
	 "aU+00ADb"},
};

static void run_cleans(const struct text_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		AUTO_BUF struct buf out = buf_make(10000);

		print_message("%s\n", cases[i].name);
		markdown_clean(&out, cases[i].in, strlen(cases[i].in));
		assert_string_equal(buf_text(&out), cases[i].want);
		clean_must_be_sound(cases[i].in, strlen(cases[i].in));
	}
}

static void test_clean(void **state)
{
	AUTO_BUF struct buf out = buf_make(100);

	(void)state;
	run_cleans(cleans, ARRAY_LEN(cleans));
	markdown_clean(&out, "a\0b", 3);
	assert_string_equal(buf_text(&out), "ab");
}

#define R   "[redacted]"
#define A20 "abcdefghij0123456789"

static const struct text_case secrets[] = {
	{"personal token", "token ghp_" A20 A20 ".", "token " R},
	{"short token", "ghs_x y", R " y"},
	{"stateless token", "ghs_123_eyJhbGciOi.eyJpc3Mi.sig-nature_x end", R " end"},
	{"all letters in use", "gho_a ghu_a ghr_a", R " " R " " R},
	{"letter not in use yet", "ghz_" A20 A20, R},
	{"a word that only looks so", "gha_runner_set, highs_and_lows",
	 "gha_runner_set, highs_and_lows"},
	{"token behind an escaped newline", "x\\nghp_" A20 A20, "x\\n" R},
	{"token in a URL", "https://x-access-token:ghs_abc@github.com/a/b",
	 "https://" R "@github.com/a/b"},
	{"fine-grained token", "github_pat_11AAA_bbb.", R "."},
	{"token with a colour in it", "ghp_abc\x1b[0mdef", R},
	{"Authorization", "Authorization: Bearer abc.def\nnext", "Authorization: " R "\nnext"},
	{"Authorization in lower case", "authorization: token x y z", "authorization: " R},
	{"Proxy-Authorization",
	 "Proxy-Authorization: Basic QWxhZGRpbg==", "Proxy-Authorization: " R},
	{"Authorization in JSON", "{\"Authorization\": \"Bearer x\", \"a\": 1}",
	 "{\"Authorization\": \"" R "\", \"a\": 1}"},
	{"Authorization in Python", "{'Authorization': 'Bearer x', 'a': 1}",
	 "{'Authorization': '" R "', 'a': 1}"},
	{"Authorization in escaped JSON", "{\\\"Authorization\\\": \\\"x\\\", 1}",
	 "{\\\"Authorization\\\": \\\"" R "\", 1}"},
	{"Authorization with quotes inside", "Authorization: Digest username=\"a\", response=\"b\"",
	 "Authorization: " R},
	{"Authorization without a value", "Authorization:\nnext", "Authorization:\nnext"},
	{"the word alone", "authorization failed", "authorization failed"},
	{"bearer", "curl -H 'X: bearer abcdefgh12345'", "curl -H 'X: bearer " R "'"},
	{"bearer of good news", "bearer of it", "bearer of it"},
	{"JWT", "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVm end", "t=" R " end"},
	{"JWT without a signature", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0. end", R " end"},
	{"not a JWT", "eyJustice.com", "eyJustice.com"},
	{"PEM", "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\nb",
	 "a\n" R "\nb"},
	{"PEM on one line", "-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\\n",
	 R "\\n"},
	{"PEM without an end", "-----BEGIN PRIVATE KEY-----\nMIIE\nAAAA\nand so on\n",
	 R "\nand so on\n"},
	{"two PEMs",
	 "-----BEGIN A-----\nx\n-----END A-----\nmid\n-----BEGIN B-----\ny\n-----END B-----",
	 R "\nmid\n" R},
	{"AWS key id", "AKIAIOSFODNN7EXAMPLE ASIAIOSFODNN7EXAMPLE", R " " R},
	{"AWS secret", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG, x",
	 "aws_secret_access_key = " R ", x"},
	{"not an AWS key id", "AKIAlowercase", "AKIAlowercase"},
	{"pre-signed URL",
	 "GET https://h/b/k?X-Amz-Credential=AK%2F20130524%2Fx&X-Amz-Date=1&X-Amz-Signature=0a1b "
	 "x",
	 "GET https://h/b/k?X-Amz-Credential=" R "&X-Amz-Date=1&X-Amz-Signature=" R " x"},
	{"pre-signed URL with a session token", "(h?X-Amz-Security-Token=a%2Fb%3D&x=1)",
	 "(h?X-Amz-Security-Token=" R "&x=1)"},
	{"pre-signed URL in a URL", "u=h%3Fx-amz-signature%3D0a1b&y",
	 "u=h%3Fx-amz-signature%3D" R "&y"},
	{"session token as a header", "x-amz-security-token: FwoGZXIvYXdzEB==\nnext",
	 "x-amz-security-token: " R "\nnext"},
	{"signature in JSON", "{\"X-Amz-Signature\": \"0a1b\", \"a\": 1}",
	 "{\"X-Amz-Signature\": \"" R "\", \"a\": 1}"},
	{"names of signed parameters alone", "X-Amz-Signature is missing, X-Amz-Credential too",
	 "X-Amz-Signature is missing, X-Amz-Credential too"},
	{"password in a URL", "postgres://user:pw@db/x", "postgres://" R "@db/x"},
	{"user in a URL stays", "ssh://git@github.com/a", "ssh://git@github.com/a"},
	{"configured", "the hunter22 is out", "the " R " is out"},
	{"configured, longest first", "hunter22-long!", R "!"},
	{"configured, too short", "abc", "abc"},
	{"already redacted", "x " R " y", "x " R " y"},
};

static const char *const own_secrets[] = {"hunter22", "hunter22-long", "abc", NULL, ""};

static void test_redaction(void **state)
{
	(void)state;
	markdown_redact_also(own_secrets, ARRAY_LEN(own_secrets));
	run_cleans(secrets, ARRAY_LEN(secrets));
}

static const struct {
	const char *name, *in;
	size_t max;
	const char *want;
} fences[] = {
	{"plain", "a\nb", 100, "```text\na\nb\n```\n"},
	{"empty", "", 100, "```text\n```\n"},
	{"newlines at the end", "a\n\n\n", 100, "```text\na\n```\n"},
	{"attack 57: fence inside", "```\n/deploy\n```", 100,
	 "````text\n```\n/deploy\n```\n````\n"},
	{"backticks in a line", "a ````` b", 100, "``````text\na ````` b\n``````\n"},
	{"tildes", "~~~\n/deploy", 100, "```text\n~~~\n/deploy\n```\n"},
	{"no room for a note", "0123456789", 4, "```text\n6789\n```\n"},
	{"no room, in a character", "a\xc3\xa9\xc3\xa9", 3, "```text\n\xc3\xa9\n```\n"},
	{"no room at all", "abc", 0, "```text\n```\n"},
};

static void test_fence(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fences); i++) {
		AUTO_BUF struct buf out = buf_make(10000);

		print_message("%s\n", fences[i].name);
		markdown_fence(&out, "text", fences[i].in, strlen(fences[i].in), fences[i].max);
		assert_string_equal(buf_text(&out), fences[i].want);
		fence_must_be_sound(fences[i].in, strlen(fences[i].in), fences[i].max);
	}
}

static void test_fence_starts_a_line(void **state)
{
	AUTO_BUF struct buf out = buf_make(1000);

	(void)state;
	buf_puts(&out, "text");
	markdown_fence(&out, NULL, "a", 1, 10);
	assert_string_equal(buf_text(&out), "text\n```\na\n```\n");
}

static void test_fence_leaves_out(void **state)
{
	AUTO_BUF struct buf log = buf_make(100000), out = buf_make(100000);
	AUTO_BUF struct buf line = buf_make(100000);

	(void)state;
	for (int i = 1; i <= 2000; i++)
		buf_printf(&log, "line %04d\n", i);
	markdown_fence(&out, "text", log.data, log.len, 1000);
	assert_non_null(strstr(out.data, "```text\nline 0001\nline 0002\n"));
	assert_non_null(strstr(out.data, "\nline 2000\n```\n"));
	assert_non_null(strstr(out.data, "\n... 1,9"));
	assert_non_null(strstr(out.data, " lines left out ...\nline "));
	assert_in_range(out.len, 900, 1020);
	fence_must_be_sound(log.data, log.len, 1000);

	for (int i = 0; i < 3000; i++)
		buf_puts(&line, "\xe2\x98\x83");
	buf_clear(&out);
	markdown_fence(&out, "text", line.data, line.len, 1000);
	assert_non_null(strstr(out.data, " bytes left out ...\n"));
	fence_must_be_sound(line.data, line.len, 1000);
}

static const struct text_case codes[] = {
	{"plain", "v1", "`v1`"},
	{"empty", "", "` `"},
	{"blanks", "  ", "` `"},
	{"newline and tab", "a\nb\tc", "`a b c`"},
	{"backtick inside", "a`b", "``a`b``"},
	{"backtick first", "`a", "`` `a ``"},
	{"backticks only", "```", "```` ``` ````"},
	{"pipe", "a|b", "`a\\|b`"},
	{"backslash and pipe", "a\\|b", "`a\\ \\|b`"},
	{"attack 55: mention", "@org/everyone fixes #1", "`@org/everyone fixes #1`"},
	{"attack: bidi", "a\xe2\x80\xae", "`aU+202E`"},
	{"cut", "0123456789abcdefghijk", "`0123456789abcdefg\xe2\x80\xa6`"},
	{"cut in a character", "0123456789abcdef\xc3\xa9\xc3\xa9\xc3\xa9",
	 "`0123456789abcdef\xe2\x80\xa6`"},
	{"secret", "ghp_abc", "`" R "`"},
};

static void test_code(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		AUTO_BUF struct buf out = buf_make(1000);

		print_message("%s\n", codes[i].name);
		markdown_code(&out, codes[i].in, 20);
		assert_string_equal(buf_text(&out), str_eq(codes[i].name, "attack 55: mention")
							    ? "`@org/everyone fix\xe2\x80\xa6`"
							    : codes[i].want);
		code_must_be_sound(codes[i].in, 20);
	}
}

/* Outside of tables GitHub shows a backslash before a pipe, and who copies the line pastes it. */
static void test_line(void **state)
{
	static const struct text_case lines[] = {
		{"plain", "/build", "`/build`"},
		{"pipe", "/run --param a=b|c", "`/run --param a=b|c`"},
		{"backslash and pipe", "a\\|b", "`a\\|b`"},
		{"backtick and pipe", "a`|b", "``a`|b``"},
		{"cut", "0123456789abcdefghijk", "`0123456789abcdefg\xe2\x80\xa6`"},
		{"secret", "ghp_abc", "`" R "`"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		AUTO_BUF struct buf out = buf_make(1000);

		print_message("%s\n", lines[i].name);
		markdown_line(&out, lines[i].in, 20);
		assert_string_equal(buf_text(&out), lines[i].want);
	}
}

static const struct text_case plains[] = {
	{"plain", "Hello, world.", "Hello, world."},
	{"empty", "", ""},
	{"lines", "a\n b\n", "a  b"},
	{"attack 55: mention", "by @org/everyone", "by @" ZW "org/everyone"},
	{"attack 55: reference", "fixes #1", "fixes \\#" ZW "1"},
	{"attack 55: reference elsewhere", "owner/repo#2", "owner/repo\\#" ZW "2"},
	{"attack 55: reference by letters", "GH-12 gh-12", "GH-" ZW "12 gh-" ZW "12"},
	{"attack 55: commit", "at 5f93507.", "at 5f9350" ZW "7."},
	{"attack 55: long commit", "5f935077074e3b5b3a3b",
	 "5f9350" ZW "77074e" ZW "3b5b3a" ZW "3b"},
	{"attack 55: mention by entity", "&#64;org &commat;org",
	 "\\&\\#" ZW "64;org \\&commat;org"},
	{"attack 55: address", "https://x.org/y", "https:" ZW "//x.org/y"},
	{"attack 55: address without a scheme", "www.x.org", "www." ZW "x.org"},
	{"attack 55: link", "[a](b)", "\\[a\\](b)"},
	{"attack 55: image", "![a](b)", "\\!\\[a\\](b)"},
	{"attack 55: HTML", "<img src=x>", "\\<img src=x\\>"},
	{"attack 55: emoji", ":rocket: :100:", "\\:" ZW "rocket: :" ZW "100:"},
	{"a time", "10:02:03", "10:02:03"},
	{"formatting", "*a* _b_ `c` ~d~ $e$", "\\*a\\* \\_b\\_ \\`c\\` \\~d\\~ \\$e\\$"},
	{"backslash", "a\\b\\", "a\\\\b\\\\"},
	{"pipe", "a|b\\|c", "a\\|b\\\\\\|c"},
	{"heading", "# a", "\\#" ZW " a"},
	{"list", "- a", "\\- a"},
	{"numbered list", "1. a", "1\\. a"},
	{"numbered list with a bracket", "12) a", "12\\) a"},
	{"quote", "> a", "\\> a"},
	{"indented", "      a", "a"},
	{"rule", "---", "\\---"},
	{"attack 26: command", "/deploy production", "\\/deploy production"},
};

static void test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(plains); i++) {
		AUTO_BUF struct buf out = buf_make(1000);

		print_message("%s\n", plains[i].name);
		markdown_text(&out, plains[i].in, 100);
		assert_string_equal(buf_text(&out), plains[i].want);
		plain_must_be_sound(plains[i].in, 100);
	}
}

static void test_null_text(void **state)
{
	AUTO_BUF struct buf out = buf_make(100);

	(void)state;
	markdown_text(&out, NULL, 10);
	assert_int_equal(out.len, 0);
	markdown_code(&out, NULL, 10);
	assert_string_equal(buf_text(&out), "` `");
}

static const char note[] = "\n*(The rest is left out: a comment cannot be longer.)*\n";

static struct buf finished(const char *start, const char *piece, size_t max)
{
	struct buf body = buf_make(100000);

	buf_puts(&body, start);
	while (body.len < 90000)
		buf_puts(&body, piece);
	markdown_finish(&body, max);
	assert_true(body.len <= max);
	assert_true(str_ends(body.data, note));
	assert_true(text_is_clean(body.data, body.len, 0));
	return body;
}

static void test_finish(void **state)
{
	static const struct {
		const char *name, *start, *piece, *end;
	} cases[] = {
		{"text", "", "line\n", "line\n"},
		{"one long line", "", "word ", "\n"},
		{"one long line of wide characters", "", "\xf0\x9f\x9a\x80", "\n"},
		{"fence", "```text\n", "line\n", "line\n```\n"},
		{"long fence", "``````\n```\n", "line\n", "line\n``````\n"},
		{"fence of tildes", "~~~~\n```\n", "line\n", "line\n~~~~\n"},
		{"fence with one long line", "```\n", "x", "x\n```\n"},
		{"closed fence", "```\na\n```\n", "line\n", "line\n"},
		{"details", "<details><summary>x</summary>\n\n", "line\n", "line\n\n</details>\n"},
		{"two details", "<details>\n<details>\n", "line\n",
		 "line\n\n</details>\n\n</details>\n"},
		{"closed details", "<details>\n</details>\n", "line\n", "line\n"},
		{"details in a fence are text", "```\n<details>\n", "line\n", "line\n```\n"},
		{"fence in details", "<details>\n\n```\n", "line\n", "line\n```\n\n</details>\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF struct buf body = finished(cases[i].start, cases[i].piece, 5000);

		print_message("%s\n", cases[i].name);
		body.len -= sizeof note - 1;
		body.data[body.len] = '\0';
		assert_true(str_ends(body.data, cases[i].end));
		assert_true(body.len > 4800);
	}
}

static void test_finish_leaves_alone(void **state)
{
	AUTO_BUF struct buf body = buf_make(100), lost = buf_make(100);

	(void)state;
	buf_puts(&body, "```\nopen");
	markdown_finish(&body, 8);
	assert_string_equal(body.data, "```\nopen");
	buf_puts(&lost, "```\n");
	for (int i = 0; i < 50; i++)
		buf_puts(&lost, "line\n");
	markdown_finish(&lost, 65000); /* the buffer itself was too small */
	assert_true(str_starts(lost.data, "```\nline\n"));
	assert_true(str_ends(lost.data, "line\n```\n\n*(The rest is left out: a comment cannot be "
					"longer.)*\n"));
}

/* Made to cost much: half secrets, half escapes. */
static void test_floods(void **state)
{
	static const char *const pieces[] = {
		"eyJ",
		"eyJa.",
		"ghp_",
		"Authorization:",
		"authorization ",
		"-----BEGIN ",
		"://",
		"://a",
		"\x1b]",
		"\x1b[1",
		"\r",
		"`",
		"Bearer ",
		"AKIA",
		"[redacted",
		"\xe2\x80\xae",
		"\xff",
		"<details>\n",
		"-----BEGIN A-----\nAAAA\n",
		"aws_secret_access_key",
		"@#:&|",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		AUTO_BUF struct buf text = buf_make(300000), out = buf_make(4000000);
		clock_t start = clock();
		double seconds;

		while (!text.truncated)
			buf_puts(&text, pieces[i]);
		markdown_clean(&out, text.data, text.len);
		buf_clear(&out);
		markdown_fence(&out, "text", text.data, text.len, 60000);
		buf_clear(&out);
		markdown_text(&out, text.data, 60000);
		markdown_finish(&out, 5000);
		seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
		print_message("%zu: %.0f ms\n", i, seconds * 1000);
		assert_true(seconds < 5);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_clean),
	cmocka_unit_test(test_redaction),
	cmocka_unit_test(test_fence),
	cmocka_unit_test(test_fence_starts_a_line),
	cmocka_unit_test(test_fence_leaves_out),
	cmocka_unit_test(test_code),
	cmocka_unit_test(test_line),
	cmocka_unit_test(test_text),
	cmocka_unit_test(test_null_text),
	cmocka_unit_test(test_finish),
	cmocka_unit_test(test_finish_leaves_alone),
	cmocka_unit_test(test_floods),
};

CASES_MAIN(tests, NULL, NULL)
