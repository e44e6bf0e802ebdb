/* utf8.c - see utf8.h. The ranges of the second byte are checked by comparing the decoded value
 * with the smallest one of its length, which is the same thing and needs no table. */
#include "lib/core/utf8.h"

#include "lib/base/mem.h"

size_t utf8_decode(uint32_t *out, const char *at, const char *end)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char)*at;
	size_t len = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	uint32_t code;

	if (!len || first > 0xf4 || (size_t)(end - at) < len)
		return 0;
	code = len == 1 ? first : first & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		unsigned char next = (unsigned char)at[i];

		if ((next & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (next & 0x3f);
	}
	if (code < smallest[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*out = code;
	return len;
}

size_t utf8_encode(char out[4], uint32_t code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

bool utf8_is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

bool utf8_is_hidden(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x00ad, 0x00ad}, /* soft hyphen */
		{0x034f, 0x034f}, /* combining grapheme joiner */
		{0x061c, 0x061c}, /* Arabic letter mark */
		{0x115f, 0x1160}, /* Hangul fillers */
		{0x17b4, 0x17b5}, /* Khmer inherent vowels */
		{0x180e, 0x180e}, /* Mongolian vowel separator */
		{0x200b, 0x200f}, /* zero-width characters, left-to-right and right-to-left marks */
		{0x2028, 0x202e}, /* separators, embeddings, overrides */
		{0x2060,
		 0x206f}, /* word joiner, invisible operators, isolates, deprecated controls */
		{0x3164, 0x3164},   /* Hangul filler */
		{0xfeff, 0xfeff},   /* byte order mark */
		{0xffa0, 0xffa0},   /* half-width Hangul filler */
		{0xfff9, 0xfffb},   /* interlinear annotation */
		{0xe0000, 0xe0fff}, /* tags and variation selectors of plane 14 */
	};

	if (code < ranges[0].first)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}
