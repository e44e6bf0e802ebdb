/* test_sign_stream.c - the HMAC of bytes as they come equals that of the whole, also in a stream
 * that was used before or given up in the middle. */
#include "tests/unit/cases.h"

#include "lib/base/sign.h"

static void test_pieces_equal_the_whole(void **state)
{
	static const struct {
		const char *name, *key;
		size_t len, piece;
	} cases[] = {
		{"byte by byte", "secret", 300, 1},
		{"blocks", "secret", 4096, 64},
		{"odd pieces", "It's a Secret to Everybody", 100000, 4097},
		{"at once", "s", 1000, 1000},
		{"nothing", "secret", 0, 1},
		{"empty key", "", 100, 7},
	};
	static char data[100000];
	unsigned char whole[SIGN_SHA256_LEN], pieces[SIGN_SHA256_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (char)(i * 31 + i / 7);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t key_len = strlen(cases[i].key);
		struct sign_hmac_stream *stream = sign_hmac_stream_new(cases[i].key, key_len);

		print_message("  %s\n", cases[i].name);
		sign_hmac_sha256(whole, cases[i].key, key_len, data, cases[i].len);
		for (int round = 0; round < 3; round++) {
			if (round > 0)
				sign_hmac_stream_start(stream);
			for (size_t at = 0; at < cases[i].len; at += cases[i].piece) {
				size_t left = cases[i].len - at;

				sign_hmac_stream_add(stream, data + at,
						     left < cases[i].piece ? left : cases[i].piece);
			}
			sign_hmac_stream_end(stream, pieces);
			assert_memory_equal(pieces, whole, sizeof whole);
			/* One that is given up leaves nothing behind. */
			sign_hmac_stream_start(stream);
			sign_hmac_stream_add(stream, "garbage", 7);
		}
		sign_hmac_stream_free(stream);
	}
	sign_hmac_stream_free(NULL);
}

static const struct CMUnitTest sign_stream_cases[] = {
	cmocka_unit_test(test_pieces_equal_the_whole),
};

CASES_MAIN(sign_stream_cases, NULL, NULL)
