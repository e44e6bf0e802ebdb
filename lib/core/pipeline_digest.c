/* pipeline_digest.c - a digest of what a pipeline says, not of how it is written down.
 *
 * Kubeflow keeps an uploaded pipeline as documents of its own and gives it back as JSON: comments
 * and the order of keys are gone, and 3.0 has become 3. So the documents are compared as compact
 * JSON with sorted keys in which every number is written as the double that it is for Kubeflow.
 * Nothing else is smoothed over: text that looks like a number stays text, an absent member is not
 * an empty one. Empty documents do not count, and the order of documents does not either. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/core/pipeline.h"

enum { DOCUMENTS_MAX = 2, TEXT_MAX = 64 << 20 };

/* The end of a text in quotes that begins at `at`. */
static const char *end_of_text(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

/* Copies compact JSON; its numbers become doubles in their shortest exact form. */
static void put_canonical(struct buf *out, const char *json)
{
	static const char number[] = "+-.0123456789eE";

	while (*json) {
		const char *end = json + 1;

		if (*json == '"') {
			end = end_of_text(json);
		} else if (*json == '-' || (*json >= '0' && *json <= '9')) {
			end = json + strspn(json, number);
			buf_printf(out, "%.17g", strtod(json, NULL));
			json = end;
			continue;
		}
		buf_add(out, json, (size_t)(end - json));
		json = end;
	}
}

static void digest_one(char out[PIPELINE_DIGEST_SIZE], const json_t *document)
{
	AUTO_BUF struct buf text = buf_make(TEXT_MAX);
	AUTO_FREE char *json = jval_dump(document);

	put_canonical(&text, json);
	sign_sha256_hex(out, buf_text(&text), text.len);
	if (text.truncated) /* equal to nothing, not even to itself */
		out[0] = '\0';
}

bool pipeline_digest(char out[PIPELINE_DIGEST_SIZE], const json_t *const *documents, size_t count)
{
	char digests[DOCUMENTS_MAX][PIPELINE_DIGEST_SIZE], both[2 * PIPELINE_DIGEST_SIZE];
	size_t kept = 0;

	out[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (!json_is_object(documents[i]) || !json_object_size(documents[i]))
			continue;
		if (kept == DOCUMENTS_MAX)
			return false;
		digest_one(digests[kept], documents[i]);
		if (!*digests[kept++])
			return false;
	}
	if (!kept)
		return false;
	if (kept == 1) {
		str_copy(out, PIPELINE_DIGEST_SIZE, digests[0]);
		return true;
	}
	bool in_order = strcmp(digests[0], digests[1]) <= 0;
	snprintf(both, sizeof both, "%s %s", digests[!in_order], digests[in_order]);
	sign_sha256_hex(out, both, strlen(both));
	return true;
}
