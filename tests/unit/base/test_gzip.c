/* Unpacking gzip: what comes out, and what is refused. */
#include "lib/base/gzip.h"

#define ZLIB_CONST
#include <zlib.h>

#include "tests/unit/cases.h"

/* Packs `len` bytes into `out`; returns how many came out. */
static size_t pack(unsigned char *out, size_t size, const void *bytes, size_t len)
{
	z_stream stream = {0};

	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, 0), Z_OK);
	stream.next_in = bytes;
	stream.avail_in = (uInt)len;
	stream.next_out = out;
	stream.avail_out = (uInt)size;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(deflateEnd(&stream), Z_OK);
	return stream.total_out;
}

static void test_comes_back(void **state)
{
	static const size_t lens[] = {0, 1, 100, 16 * 1024, 16 * 1024 + 1, 1000000};
	static unsigned char text[1000000], packed[1100000];

	(void)state;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (unsigned char)(i * i / 7);
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		AUTO_BUF struct buf out = buf_make(sizeof text);
		size_t len = pack(packed, sizeof packed, text, lens[i]);
		struct err err;

		assert_int_equal(gzip_unpack(&out, packed, len, &err), ERR_OK);
		assert_int_equal(out.len, lens[i]);
		assert_memory_equal(buf_text(&out), text, lens[i]);
	}
}

static void refuse(const void *data, size_t len, size_t max, const char *want)
{
	AUTO_BUF struct buf out = buf_make(max);
	struct err err;

	assert_int_equal(gzip_unpack(&out, data, len, &err), ERR_USER);
	if (!strstr(err.msg, want))
		fail_msg("\"%s\"", err.msg);
	assert_true(out.len <= max);
}

static void test_refused(void **state)
{
	unsigned char packed[256];
	size_t len = pack(packed, sizeof packed - 1, "some text", 9);

	(void)state;
	refuse("", 0, 100, "cut short");
	refuse("not gzip at all", 15, 100, "damaged");
	refuse("x\x9c\x03\0\0\0\0\x01", 8, 100, "damaged"); /* zlib's own frame */
	for (size_t cut = 0; cut < len; cut++)
		refuse(packed, cut, 100, "cut short");
	refuse(packed, len + 1, 100, "after the gzip data");
	packed[len - 5] ^= 1; /* the check sum */
	refuse(packed, len, 100, "damaged");
}

static void test_attack_a_bomb_ends_at_the_maximum(void **state)
{
	static unsigned char zeros[8 << 20], packed[1 << 16];
	size_t len = pack(packed, sizeof packed, zeros, sizeof zeros);

	(void)state;
	refuse(packed, len, 1 << 20, "more than 1048576 bytes");
}

static const struct CMUnitTest gzip_tests[] = {
	cmocka_unit_test(test_comes_back),
	cmocka_unit_test(test_refused),
	cmocka_unit_test(test_attack_a_bomb_ends_at_the_maximum),
};

CASES_MAIN(gzip_tests, NULL, NULL)
