/* The signature header: GitHub's vectors, and every way to write it wrong. */
#include "lib/core/signature.h"

#include <jansson.h>

#include "lib/base/sign.h"
#include "tests/unit/cases.h"
#include "tests/unit/samples.h"

#define BODY   "Hello, World!"
#define GOOD   "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
#define SECRET "It's a Secret to Everybody"

static const struct {
	const char *name, *header;
	const char *secrets[3];
	bool want;
} headers[] = {
	{"good", "sha256=" GOOD, {SECRET}, true},
	{"attack 1: no signature", NULL, {SECRET}, false},
	{"empty header", "", {SECRET}, false},
	{"attack 2: empty secret", "sha256=" GOOD, {""}, false},
	{"no secret at all", "sha256=" GOOD, {NULL}, false},
	{"attack 3: wrong secret", "sha256=" GOOD, {"other"}, false},
	{"attack 4: SHA-1 form", "sha1=757107ea0eb2509fc211221cce984b8a37570b6d", {SECRET}, false},
	{"attack 4: SHA-1 name, SHA-256 digits", "sha1=" GOOD, {SECRET}, false},
	{"attack 5: prefix only", "sha256=", {SECRET}, false},
	{"attack 5: no prefix", GOOD, {SECRET}, false},
	{"attack 5: short", "sha256=757107ea", {SECRET}, false},
	{"attack 5: odd",
	 "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1",
	 {SECRET},
	 false},
	{"attack 5: long", "sha256=" GOOD "00", {SECRET}, false},
	{"attack 5: not hex",
	 "sha256=g57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
	 {SECRET},
	 false},
	{"attack 5: upper case",
	 "sha256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17",
	 {SECRET},
	 false},
	{"attack 5: prefix in upper case", "SHA256=" GOOD, {SECRET}, false},
	{"attack 5: trailing space", "sha256=" GOOD " ", {SECRET}, false},
	{"attack 5: leading space", " sha256=" GOOD, {SECRET}, false},
	{"attack 5: two values in one header", "sha256=" GOOD ", sha256=" GOOD, {SECRET}, false},
	{"attack 5: first digit changed",
	 "sha256=857107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
	 {SECRET},
	 false},
	{"attack 5: last digit changed",
	 "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e16",
	 {SECRET},
	 false},
	{"attack 7: new secret first", "sha256=" GOOD, {SECRET, "old"}, true},
	{"attack 7: old secret second", "sha256=" GOOD, {"new", SECRET}, true},
	{"attack 7: after the window", "sha256=" GOOD, {"new", NULL}, false},
	{"an empty entry is skipped", "sha256=" GOOD, {"", NULL, SECRET}, true},
};

static void test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
		print_message("%s\n", headers[i].name);
		assert_int_equal(signature_is_valid(headers[i].header, BODY, strlen(BODY),
						    headers[i].secrets, 3),
				 headers[i].want);
	}
}

/* A signature made with the empty key must not open the door when the secret is empty. */
static void test_empty_key(void **state)
{
	static const char *const none[] = {"", NULL};
	unsigned char digest[SIGN_SHA256_LEN];
	char header[7 + 2 * SIGN_SHA256_LEN + 1] = "sha256=";

	(void)state;
	sign_hmac_sha256(digest, "", 0, BODY, strlen(BODY));
	str_hex(header + 7, digest, sizeof digest);
	assert_false(signature_is_valid(header, BODY, strlen(BODY), none, 2));
	assert_false(signature_is_valid(header, BODY, strlen(BODY), none, 0));
}

/* Attack 6: each byte of the body, and its length, counts. */
static void test_changed_body(void **state)
{
	static const char *const secrets[] = {SECRET};
	char body[] = BODY;

	(void)state;
	for (size_t i = 0; i < strlen(BODY); i++) {
		body[i] ^= 1;
		assert_false(signature_is_valid("sha256=" GOOD, body, strlen(BODY), secrets, 1));
		body[i] ^= 1;
	}
	assert_true(signature_is_valid("sha256=" GOOD, body, strlen(BODY), secrets, 1));
	assert_false(signature_is_valid("sha256=" GOOD, body, strlen(BODY) - 1, secrets, 1));
	assert_false(signature_is_valid("sha256=" GOOD, body, strlen(BODY) + 1, secrets, 1));
}

static void test_vectors(void **state)
{
	size_t len = 0, index;
	char *text = sample_read(true, "github/signature-vectors.json", &len);
	json_t *root, *vector;

	(void)state;
	if (!text) {
		print_message("skipped: no shared samples\n");
		skip();
	}
	root = json_loadb(text, len, 0, NULL);
	assert_true(json_array_size(json_object_get(root, "vectors")) > 0);
	json_array_foreach(json_object_get(root, "vectors"), index, vector)
	{
		const char *secret = json_string_value(json_object_get(vector, "secret"));
		const json_t *body = json_object_get(vector, "body_utf8");
		const char *header =
			json_string_value(json_object_get(vector, "x_hub_signature_256"));

		print_message("%s\n", json_string_value(json_object_get(vector, "name")));
		assert_true(signature_is_valid(header, json_string_value(body),
					       json_string_length(body), &secret, 1));
		assert_false(signature_is_valid(header, "x", 1, &secret, 1));
	}
	json_decref(root);
	mem_free(text);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_headers),
	cmocka_unit_test(test_empty_key),
	cmocka_unit_test(test_changed_body),
	cmocka_unit_test(test_vectors),
};

CASES_MAIN(tests, NULL, NULL)
