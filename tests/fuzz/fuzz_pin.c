/* fuzz_pin.c - any history of pushes and of their events: no commit is proven that was not the head
 * when the comment was written, nothing of a fork goes on that was not allowed, and a typed commit
 * is one that was listed. */
#include <stdint.h>
#include <string.h>

#include "tests/unit/core/fork_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void find_typed(const uint8_t *data, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char names[4][PIN_SHA_SIZE] = {0}, text[PIN_SHA_SIZE] = {0};
	const char *commits[4] = {names[0], names[1], names[2], names[3]}, *sha = NULL;
	struct pin_typed typed = {.text = text, .head = names[0], .commits = commits};
	size_t len = size > 1 ? data[1] % 41 : 0;

	typed.cut = size && data[0] & 1;
	typed.is_inside = size && data[0] & 2;
	typed.commit_count = size ? (data[0] >> 2) % 5 : 0;
	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < 40;
		     j++) /* alike but for the end: prefixes that are shared */
			names[i][j] = digits[j < 38 || !size ? 0 : data[(i + j) % size] & 15];
	memcpy(text, names[size ? data[size - 1] % 4 : 0], len);
	if (pin_find_typed(&typed, &sha) != PIN_TYPED_FOUND) {
		must(!sha);
		return;
	}
	must(len >= PIN_TYPED_MIN && str_starts(sha, text) && str_is_object_name(sha));
	for (size_t i = 0; i < typed.commit_count; i++)
		must(!str_starts(commits[i], text) || str_eq(commits[i], sha));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int must_prove = 0; must_prove < 2; must_prove++) {
		struct pin_world world = {
			.chance = {.next = chance_of_bytes, .bytes = data, .len = size}};

		(void)world_play(&world, must_prove);
	}
	{
		struct pin_world world = {
			.chance = {.next = chance_of_bytes, .bytes = data, .len = size}};

		(void)fork_world_play(&world);
	}
	find_typed(data, size);
	return 0;
}
