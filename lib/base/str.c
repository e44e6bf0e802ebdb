/* str.c - see str.h. */
#include "lib/base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *str_dup(const char *text)
{
	return text ? str_dup_len(text, strlen(text)) : NULL;
}

char *str_dup_len(const char *text, size_t len)
{
	char *copy = mem_new(len + 1, 1);

	memcpy(copy, text, len);
	return copy;
}

char *str_printf(const char *fmt, ...)
{
	va_list ap, again;
	char *text;
	int need;

	va_start(ap, fmt);
	va_copy(again, ap);
	need = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	must(need >= 0);
	text = mem_new((size_t)need + 1, 1);
	vsnprintf(text, (size_t)need + 1, fmt, again);
	va_end(again);
	return text;
}

bool str_copy(char *out, size_t size, const char *text)
{
	size_t len = text ? strlen(text) : 0;
	bool fits = len < size;

	if (!fits)
		len = str_utf8_cut(text, size - 1);
	if (len)
		memcpy(out, text, len);
	out[len] = '\0';
	return fits;
}

bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool str_eq_nocase(const char *a, const char *b)
{
	return a == b || (a && b && !strcasecmp(a, b));
}

bool str_starts(const char *text, const char *prefix)
{
	return text && !strncmp(text, prefix, strlen(prefix));
}

bool str_ends(const char *text, const char *suffix)
{
	size_t len = text ? strlen(text) : 0, tail = strlen(suffix);

	return len >= tail && !strcmp(text + len - tail, suffix);
}

bool str_is_empty(const char *text)
{
	return !text || !*text;
}

bool str_is_hex(const char *text, size_t len)
{
	size_t n = text ? strspn(text, "0123456789abcdef") : 0;

	return n && !text[n] && (!len || n == len);
}

bool str_is_object_name(const char *text)
{
	return str_is_hex(text, 40) || str_is_hex(text, 64);
}

void str_hex(char *out, const unsigned char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool str_unhex(unsigned char *out, const char *hex, size_t out_len)
{
	for (size_t i = 0; i < out_len; i++) {
		int high = hex_value(hex[2 * i]), low;

		if (high < 0)
			return false;
		low = hex_value(hex[2 * i + 1]);
		if (low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

char *str_unbase64(const char *text, size_t *out_len)
{
	char *out = mem_new(strlen(text) / 4 * 3 + 4, 1);
	size_t at = 0, digits = 0, padding = 0;
	unsigned bits = 0;

	for (; *text; text++) {
		int value = base64_value(*text);

		if (strchr(" \t\r\n", *text))
			continue;
		if (*text == '=')
			padding++;
		if (padding ? *text != '=' : value < 0)
			break;
		if (padding)
			continue;
		bits = bits << 6 | (unsigned)value;
		if (++digits % 4 != 1)
			out[at++] = (char)(bits >> (6 - 2 * ((digits - 1) % 4)));
	}
	if (*text || padding > 2 || (digits + padding) % 4) {
		explicit_bzero(out, at);
		mem_free(out);
		return NULL;
	}
	out[at] = '\0';
	*out_len = at;
	return out;
}

bool str_to_int64(int64_t *out, const char *text)
{
	char *end;
	long long value;

	if (str_is_empty(text) || (!isdigit((unsigned char)*text) && *text != '-'))
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end)
		return false;
	*out = value;
	return true;
}

static int64_t unit_ms(const char **text)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (str_starts(*text, units[i].name)) {
			*text += strlen(units[i].name);
			return units[i].ms;
		}
	return 0;
}

bool str_to_duration_ms(int64_t *out_ms, const char *text)
{
	int64_t sum = 0;

	if (str_is_empty(text))
		return false;
	while (*text) {
		int64_t value = 0, unit;
		int digits = 0;

		while (isdigit((unsigned char)*text) && digits++ < 9)
			value = value * 10 + (*text++ - '0');
		unit = digits ? unit_ms(&text) : 0;
		if (!unit)
			return false;
		sum += value * unit;
		if (sum > 100LL * 365 * 86400000)
			return false;
	}
	*out_ms = sum;
	return true;
}

void str_duration(char out[32], int64_t ms)
{
	int64_t s = ms < 0 ? 0 : ms / 1000;

	if (ms < 10000)
		snprintf(out, 32, "%lld.%lld s", (long long)s,
			 ms < 0 ? 0LL : (long long)(ms % 1000 / 100));
	else if (s < 120)
		snprintf(out, 32, "%lld s", (long long)s);
	else if (s < 3600)
		snprintf(out, 32, "%lld min", (long long)(s / 60));
	else if (s < 86400)
		snprintf(out, 32, "%lld h %02lld min", (long long)(s / 3600),
			 (long long)(s / 60 % 60));
	else
		snprintf(out, 32, "%lld d %lld h", (long long)(s / 86400),
			 (long long)(s / 3600 % 24));
}

static int min3(int a, int b, int c)
{
	int m = a < b ? a : b;

	return m < c ? m : c;
}

int str_distance(const char *a, const char *b, int max)
{
	enum { WORD_MAX = 64 };
	int before[WORD_MAX + 1], last[WORD_MAX + 1], now[WORD_MAX + 1];
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return max + 1;
	memset(before, 0, sizeof before);
	for (size_t j = 0; j <= b_len; j++)
		last[j] = (int)j;
	for (size_t i = 1; i <= a_len; i++) {
		now[0] = (int)i;
		for (size_t j = 1; j <= b_len; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1,
				      last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		memcpy(before, last, sizeof last);
		memcpy(last, now, sizeof now);
	}
	return last[b_len] > max ? max + 1 : last[b_len];
}

const char *str_nearest(const char *text, const char *const *words, size_t count, int max)
{
	const char *best = NULL;
	int best_distance = max + 1;

	for (size_t i = 0; i < count; i++) {
		int distance = str_distance(text, words[i], max);

		if (distance < best_distance) {
			best_distance = distance;
			best = words[i];
		}
	}
	return best;
}

size_t str_utf8_cut(const char *text, size_t len)
{
	size_t back = 0;

	while (back < len && back < 4 && ((unsigned char)text[len - back] & 0xc0) == 0x80)
		back++;
	return len - back;
}

void str_ulid(char out[27], int64_t now_ms, const unsigned char random[10])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	unsigned char raw[16];
	unsigned bits = 0, have = 2; /* 128 bits are written as 26 * 5: two zero bits come first */
	size_t at = 0;

	for (int i = 0; i < 6; i++)
		raw[i] = (unsigned char)(now_ms >> (8 * (5 - i)));
	memcpy(raw + 6, random, 10);
	for (int i = 0; i < 16; i++) {
		bits = bits << 8 | raw[i];
		have += 8;
		while (have >= 5) {
			have -= 5;
			out[at++] = digits[bits >> have & 31];
		}
	}
	out[at] = '\0';
}

void str_uuid(char out[37], const unsigned char random[16])
{
	unsigned char raw[16];
	char hex[33];

	memcpy(raw, random, 16);
	raw[6] = (unsigned char)((raw[6] & 0x0f) | 0x40);
	raw[8] = (unsigned char)((raw[8] & 0x3f) | 0x80);
	str_hex(hex, raw, 16);
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}
