/* fuzz_model_files.c - any address in the first line, then a line "size etag key" for each object
 * of a listing, through every runtime. A refusal has a code and a sentence on one line; the digest
 * does not depend on the order. */
#include <stdint.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/core/model_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OBJECTS_MAX = 64 };

static char *next_line(char **at)
{
	char *line = *at, *end = line + strcspn(line, "\n");

	*at = *end ? end + 1 : end;
	*end = '\0';
	return line;
}

/* True when the line names an object under the prefix. */
static bool read_object(struct s3_object *out, char *line, const char *prefix)
{
	char *etag = strchr(line, ' '), *key = etag ? strchr(etag + 1, ' ') : NULL;

	if (!key)
		return false;
	*etag++ = '\0';
	*key++ = '\0';
	*out = (struct s3_object){.key = key, .etag = etag};
	return str_to_int64(&out->size, line) && out->size >= 0 && str_starts(key, prefix);
}

static void check(const struct model_listing *listing, const char *runtime, const char *format)
{
	struct err err = {0};
	enum err_class class = model_files_check(listing, runtime, format, &err);

	if (class)
		must(class == ERR_USER && *err.code && *err.msg && !strchr(err.msg, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const runtimes[] = {"sklearnserver", "xgbserver", "lgbserver",
					       "pmmlserver",	"paddle",    "tensorflow-serving",
					       "triton",	"mlserver"};
	static const char *const formats[] = {"sklearn", "paddle", "onnx", NULL};
	AUTO_FREE char *text = str_dup_len((const char *)data, size);
	struct s3_object objects[OBJECTS_MAX], reversed[OBJECTS_MAX];
	char *at = text, one[MODEL_DIGEST_LEN], two[MODEL_DIGEST_LEN];
	struct s3_uri where;
	struct err err = {0};
	size_t count = 0;

	if (s3_uri_parse(&where, next_line(&at), &err)) {
		must(str_eq(err.code, "s3.uri") && *err.msg);
		return 0;
	}
	while (*at && count < OBJECTS_MAX)
		count += read_object(&objects[count], next_line(&at), where.key);
	for (size_t i = 0; i < count; i++)
		reversed[i] = objects[count - 1 - i];
	{
		struct model_listing forth = {&where, objects, count, true};
		struct model_listing back = {&where, reversed, count, true};

		for (size_t i = 0; i < ARRAY_LEN(runtimes); i++)
			check(&forth, runtimes[i], NULL);
		for (size_t i = 0; i < ARRAY_LEN(formats); i++)
			check(&forth, NULL, formats[i]);
		model_files_digest(one, &forth);
		model_files_digest(two, &back);
		forth.complete = false;
		check(&forth, NULL, NULL);
	}
	for (size_t i = 1; i < count; i++)
		for (size_t k = 0; k < i; k++)
			if (str_eq(objects[i].key, objects[k].key))
				return 0; /* no listing has one key twice */
	must(str_eq(one, two));
	return 0;
}
