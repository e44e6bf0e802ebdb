/* XML element by element: what is told, and what is refused. */
#include "lib/base/xml.h"

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "tests/unit/cases.h"

static void note(void *arg, const char *path, const char *text)
{
	buf_printf(arg, "%s=%s;", path, text);
}

static const struct {
	const char *name, *in, *want; /* want NULL: refused, with `fault` in the message */
	const char *fault;
} cases[] = {
	{"one element", "<a/>", "a=;", NULL},
	{"text", "<a>x</a>", "a=x;", NULL},
	{"nested, inside first", "<a><b>x</b><c>y</c></a>", "a/b=x;a/c=y;a=;", NULL},
	{"layout is no text", "<a>\n  <b>x</b>\n  <b>y</b>\n</a>", "a/b=x;a/b=y;a=;", NULL},
	{"blanks of a leaf stay", "<a> x </a>", "a= x ;", NULL},
	{"blanks alone in a leaf stay", "<a> </a>", "a= ;", NULL},
	{"text on both sides", "<a>1<b>2</b>3</a>", "a/b=2;a=13;", NULL},
	{"entities", "<a>&lt;&amp;&#34;&#x17c;&quot;</a>", "a=<&\"\xc5\xbc\";", NULL},
	{"CDATA", "<a><![CDATA[<b>&amp;]]></a>", "a=<b>&amp;;", NULL},
	{"declaration, comment, instruction, attributes",
	 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c --><a x='1' xmlns='u'><?p i?>t</a>\n",
	 "a=t;", NULL},
	{"another encoding", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe9</a>",
	 "a=\xc3\xa9;", NULL},
	{"prefixes stay", "<s:a xmlns:s='u'><s:b/></s:a>", "s:a/s:b=;s:a=;", NULL},
	{"empty", "", NULL, "no element found"},
	{"not XML", "upstream timed out", NULL, "line 1, column 1"},
	{"cut off", "<a><b>x</b>", NULL, "no element found"},
	{"wrong end", "<a>\n<b></a>", NULL, "line 2"},
	{"two roots", "<a/><b/>", NULL, "junk after document element"},
	{"bad UTF-8", "<a>\xff</a>", NULL, "invalid token"},
	{"unknown entity", "<a>&x;</a>", NULL, "undefined entity"},
	{"control character", "<a>&#0;</a>", NULL, "line 1"},
	{"attack: document type", "<!DOCTYPE a><a/>", NULL, "document type"},
	{"attack: entities in entities",
	 "<!DOCTYPE a [<!ENTITY x \"yy\"><!ENTITY y \"&x;&x;\">]><a>&y;</a>", NULL,
	 "document type"},
	{"attack: a file", "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
	 NULL, "document type"},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF struct buf out = buf_make(10000);
		struct err err = {0};
		enum err_class class = xml_read(cases[i].in, strlen(cases[i].in), note, &out, &err);

		print_message("  %s\n", cases[i].name);
		assert_int_equal(class, cases[i].want ? ERR_OK : ERR_USER);
		if (cases[i].want)
			assert_string_equal(buf_text(&out), cases[i].want);
		else
			assert_non_null(strstr(err.msg, cases[i].fault));
	}
}

static void count(void *arg, const char *path, const char *text)
{
	(void)path, (void)text;
	++*(size_t *)arg;
}

/* `times` of one text, then of another. */
static char *repeated(const char *first, const char *second, size_t times)
{
	AUTO_BUF struct buf out = buf_make(32 * 1024 * 1024);

	for (size_t i = 0; i < times; i++)
		buf_puts(&out, first);
	for (size_t i = 0; i < times; i++)
		buf_puts(&out, second);
	return buf_take(&out);
}

static void assert_bound(char *take_text, enum err_class want, const char *fault)
{
	struct err err = {0};
	size_t seen = 0;

	assert_int_equal(xml_read(take_text, strlen(take_text), count, &seen, &err), want);
	if (want)
		assert_non_null(strstr(err.msg, fault));
	mem_free(take_text);
}

static void test_bounds(void **state)
{
	AUTO_FREE char *elements = repeated("<b/>", "", 99999),
		       *more = repeated("<b/>", "", 100000);
	AUTO_FREE char *text = repeated("x", "", 64 * 1024), *name = repeated("n", "", 5000);

	(void)state;
	assert_bound(repeated("<a>", "</a>", 32), ERR_OK, NULL);
	assert_bound(repeated("<a>", "</a>", 33), ERR_USER, "nested too deep");
	assert_bound(str_printf("<a>%s</a>", elements), ERR_OK, NULL);
	assert_bound(str_printf("<a>%s</a>", more), ERR_USER, "too many elements");
	assert_bound(str_printf("<a>%s</a>", text), ERR_OK, NULL);
	assert_bound(str_printf("<a>%sx</a>", text), ERR_USER, "too much text");
	assert_bound(str_printf("<%s/>", name), ERR_USER, "names of elements are too long");
	assert_bound(repeated(" ", "<a/>", 4 * 1024 * 1024), ERR_USER, "longer than 16 MiB");
}

static void test_the_layout_of_a_long_list_does_not_count(void **state)
{
	AUTO_FREE char *rows = repeated("\n        <b/>", "", 20000);

	(void)state;
	assert_bound(str_printf("<a>%s</a>", rows), ERR_OK, NULL);
}

static const struct CMUnitTest xml[] = {
	cmocka_unit_test(test_cases),
	cmocka_unit_test(test_bounds),
	cmocka_unit_test(test_the_layout_of_a_long_list_does_not_count),
};

CASES_MAIN(xml, NULL, NULL)
