/* scan.c - see scan.h.
 *
 * A loop with an explicit stack, one byte of lookahead and no recursion. Nearly all bytes of a
 * webhook are inside strings that nobody wants, so the one hot place is plain_run: it passes over
 * 16 bytes at a time while they are neither a quote, a backslash, a control character nor the start
 * of a multi-byte sequence; one signed comparison covers the last two. Finding the structure of the
 * whole text first with wide bit masks would be faster still on long texts, but not on the short
 * strings that payloads are made of, and it is hard to read. */
#include "lib/core/scan.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "lib/core/utf8.h"

enum { KEY_RAW_MAX = 160 };

struct level {
	const struct scan_want *members; /* NULL: nothing below here is wanted */
	char close;
};

struct scanner {
	const char *p, *end;
	struct scan_value *values;
	const char *why;
	size_t depth;
	struct level levels[SCAN_DEPTH_MAX];
};

static bool fail(struct scanner *s, const char *why)
{
	s->why = why;
	return false;
}

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline void skip_blanks(struct scanner *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
		s->p++;
}

#ifdef __SSE2__
/* Bit i is set when byte i is a quote, a backslash, a control character or not ASCII. */
static inline unsigned odd_bytes(const char *p)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
	__m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
	__m128i below = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), below));
}
#endif

/* First byte that is not plain text of a string, or `end`. */
static inline const char *plain_run(const char *p, const char *end)
{
#ifdef __SSE2__
	while (end - p >= 32) {
		unsigned mask = odd_bytes(p);

		if (mask)
			return p + __builtin_ctz(mask);
		mask = odd_bytes(p + 16);
		if (mask)
			return p + 16 + __builtin_ctz(mask);
		p += 32;
	}
#endif
	while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20 &&
	       (unsigned char)*p < 0x80)
		p++;
	return p;
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Value of the four hex digits of a \u escape, or -1. */
static int32_t hex4(const char *p, const char *end)
{
	int32_t code = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_value(p[i]);

		if (digit < 0)
			return -1;
		code = code << 4 | digit;
	}
	return code;
}

/* Passes over an escape or a multi-byte sequence inside a string; NULL after a fault. */
static const char *skip_odd(struct scanner *s, const char *p, bool *escaped)
{
	uint32_t code;
	size_t len;

	s->p = p;
	if (*p == '\\') {
		*escaped = true;
		if (s->end - p < 2)
			s->why = "the text ends inside a string";
		else if (p[1] == 'u' && hex4(p + 2, s->end) < 0)
			s->why = "a bad \\u escape";
		else if (!p[1] || !strchr("\"\\/bfnrtu", p[1]))
			s->why = "a bad escape";
		return s->why ? NULL : p + (p[1] == 'u' ? 6 : 2);
	}
	len = utf8_decode(&code, p, s->end);
	if ((unsigned char)*p < 0x20)
		s->why = "a control character inside a string";
	else if (!len)
		s->why = "bytes that are not UTF-8";
	return s->why ? NULL : p + len;
}

/* A string whose opening quote is at p; p is then behind the closing one. */
static inline bool read_string(struct scanner *s, struct scan_value *out)
{
	const char *from = s->p + 1, *p = plain_run(from, s->end);
	bool escaped = false;

	while (p == s->end || *p != '"') {
		if (p == s->end) {
			s->p = p;
			return fail(s, "the text ends inside a string");
		}
		p = skip_odd(s, p, &escaped);
		if (!p)
			return false;
		p = plain_run(p, s->end);
	}
	s->p = p + 1;
	*out = (struct scan_value){from, (size_t)(p - from), SCAN_STRING, escaped};
	return true;
}

static bool skip_digits(struct scanner *s)
{
	const char *from = s->p;

	while (s->p < s->end && is_digit(*s->p))
		s->p++;
	return s->p > from;
}

static bool read_number(struct scanner *s, struct scan_value *out)
{
	bool zero;

	out->at = s->p;
	if (*s->p == '-')
		s->p++;
	zero = s->p < s->end && *s->p == '0';
	if (zero)
		s->p++;
	else if (!skip_digits(s))
		return fail(s, "something that is not a value");
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (!skip_digits(s))
			return fail(s, "a bad number");
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (!skip_digits(s))
			return fail(s, "a bad number");
	}
	out->len = (size_t)(s->p - out->at);
	out->type = SCAN_NUMBER;
	return true;
}

static inline bool read_word(struct scanner *s, struct scan_value *out)
{
	static const struct {
		char word[8];
		size_t len;
		enum scan_type type;
	} words[] = {{"null", 4, SCAN_NULL}, {"false", 5, SCAN_FALSE}, {"true", 4, SCAN_TRUE}};
	size_t i = *s->p == 'n' ? 0 : *s->p == 'f' ? 1 : 2;

	if ((size_t)(s->end - s->p) < words[i].len || memcmp(s->p, words[i].word, 4) != 0 ||
	    (i == 1 && s->p[4] != 'e'))
		return fail(s, "something that is not a value");
	*out = (struct scan_value){s->p, words[i].len, words[i].type, false};
	s->p += words[i].len;
	return true;
}

/* The wanted member of this name; a key with escapes is compared by what it stands for. */
static const struct scan_want *find_want(const struct scan_want *wants,
					 const struct scan_value *key)
{
	char plain[KEY_RAW_MAX];
	const char *text = key->at;
	size_t len = key->len;

	if (key->escaped) {
		if (len > sizeof plain)
			return NULL;
		len = scan_unescape(plain, key);
		text = plain;
	}
	for (; wants->key; wants++)
		if (wants->key_len == len && *wants->key == *text && !memcmp(wants->key, text, len))
			return wants;
	return NULL;
}

/* The key and the colon of a member; `want` is what the table says about it. */
static inline bool read_key(struct scanner *s, const struct scan_want **want)
{
	const struct scan_want *members = s->levels[s->depth - 1].members;
	struct scan_value key;

	skip_blanks(s);
	if (s->p == s->end || *s->p != '"')
		return fail(s, "a member without a name");
	if (!read_string(s, &key))
		return false;
	skip_blanks(s);
	if (s->p == s->end || *s->p != ':')
		return fail(s, "a member without a colon");
	s->p++;
	*want = members ? find_want(members, &key) : NULL;
	if (*want && s->values[(*want)->slot].type != SCAN_ABSENT)
		return fail(s, "a doubled member");
	return true;
}

static bool open_level(struct scanner *s, const struct scan_want *want, struct scan_value *out)
{
	bool object = *s->p == '{';

	if (s->depth == SCAN_DEPTH_MAX)
		return fail(s, "more nesting than any event has");
	s->levels[s->depth].members = object && want ? want->members : NULL;
	s->levels[s->depth++].close = object ? '}' : ']';
	*out = (struct scan_value){s->p++, 0, object ? SCAN_OBJECT : SCAN_ARRAY, false};
	return true;
}

/* Reads a scalar, or the opening of a container: `opened`. */
static inline bool read_value(struct scanner *s, const struct scan_want *want, bool *opened)
{
	struct scan_value value;
	bool ok;

	skip_blanks(s);
	*opened = false;
	if (s->p == s->end)
		return fail(s, "the text ends where a value should be");
	if (*s->p == '"') {
		ok = read_string(s, &value);
	} else if (*s->p == '{' || *s->p == '[') {
		ok = open_level(s, want, &value);
		*opened = ok;
	} else if (*s->p == '-' || is_digit(*s->p)) {
		ok = read_number(s, &value);
	} else {
		ok = read_word(s, &value);
	}
	if (ok && want)
		s->values[want->slot] = value;
	return ok;
}

/* After a value: closes what ends here. True with `more` when another value follows. */
static inline bool read_separator(struct scanner *s, bool opened, bool *more)
{
	*more = true;
	while (s->depth) {
		skip_blanks(s);
		if (s->p == s->end)
			return fail(s, "the text ends inside an object or array");
		if (*s->p == s->levels[s->depth - 1].close) {
			s->p++;
			s->depth--;
			opened = false;
			continue;
		}
		if (opened)
			return true;
		if (*s->p++ == ',')
			return true;
		s->p--;
		return fail(s, "a missing comma or bracket");
	}
	*more = false;
	return true;
}

static bool read_all(struct scanner *s, const struct scan_want *root)
{
	const struct scan_want *want = root;
	bool opened, more;

	for (;;) {
		if (!read_value(s, want, &opened) || !read_separator(s, opened, &more))
			return false;
		if (!more)
			break;
		want = NULL;
		if (s->levels[s->depth - 1].close == '}' && !read_key(s, &want))
			return false;
	}
	skip_blanks(s);
	return s->p == s->end || fail(s, "something after the end");
}

const char *scan_json(const char *text, size_t len, const struct scan_want *wants,
		      struct scan_value *values, size_t *offset)
{
	const struct scan_want root = {"", 0, 0, wants};
	struct scanner s;

	s.p = text;
	s.end = text + len;
	s.values = values;
	s.why = NULL;
	s.depth = 0;
	if (!read_all(&s, &root))
		*offset = (size_t)(s.p - text);
	return s.why;
}

/* One \u escape or pair at `p` (behind the backslash and the u); returns the bytes read after the
 * u. */
static size_t unescape_unicode(uint32_t *code, const char *p, const char *end)
{
	int32_t high = hex4(p, end), low;

	*code = high < 0 ? UTF8_REPLACEMENT : (uint32_t)high;
	if (*code < 0xd800 || *code > 0xdfff)
		return 4;
	low = *code < 0xdc00 && end - p >= 10 && p[4] == '\\' && p[5] == 'u' ? hex4(p + 6, end)
									     : -1;
	if (low < 0xdc00 || low > 0xdfff) {
		*code = UTF8_REPLACEMENT;
		return 4;
	}
	*code = 0x10000 + ((*code - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
	return 10;
}

size_t scan_unescape(char *out, const struct scan_value *value)
{
	static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *p = value->at, *end = value->at + value->len;
	char *to = out;

	while (p < end) {
		const char *slash = memchr(p, '\\', (size_t)(end - p)), *name;
		size_t plain = (size_t)((slash ? slash : end) - p);
		uint32_t code;

		memcpy(to, p, plain);
		to += plain;
		if (!slash || end - slash < 2)
			break;
		p = slash + 2;
		name = strchr(names, slash[1]);
		if (slash[1] == 'u') {
			p += unescape_unicode(&code, p, end);
			to += utf8_encode(to, code);
		} else if (name) {
			*to++ = meanings[name - names];
		}
	}
	return (size_t)(to - out);
}

bool scan_int64(int64_t *out, const struct scan_value *value)
{
	const char *p = value->at, *end;
	int64_t number = 0;
	bool negative;

	if (value->type != SCAN_NUMBER)
		return false;
	negative = *p == '-';
	end = p + value->len;
	for (p += negative; p < end; p++)
		if (!is_digit(*p) || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_sub_overflow(number, *p - '0', &number))
			return false;
	if (!negative && __builtin_mul_overflow(number, -1, &number))
		return false;
	*out = number;
	return true;
}
