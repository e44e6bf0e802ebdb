/* fuzz_markdown.c - any bytes made harmless in every form that comments use, read back by libcmark.
 * Input: a byte for the limit, then the text. */
#include <stdint.h>

#include "lib/base/mem.h"
#include "tests/unit/core/markdown_sound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const secrets[] = {"hunter22", "hunter22-long"};
	const char *bytes = (const char *)data + 1;
	char *text;
	size_t max;

	if (!size)
		return 0;
	markdown_redact_also(secrets, ARRAY_LEN(secrets));
	max = (size_t)*data * 8;
	text = str_dup_len(bytes, --size);
	clean_must_be_sound(bytes, size);
	fence_must_be_sound(bytes, size, max);
	code_must_be_sound(text, max);
	plain_must_be_sound(text, max);
	if (max > 400)
		finish_must_be_sound(bytes, size, max);
	mem_free(text);
	return 0;
}
