/* fuzz_sample.c - any JSON as a sample request, as a model's answer, as a schema, and as pods. The
 * first byte chooses; where two texts are needed they are parted by a NUL byte. */
#include <stdint.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/kube_pods.h"
#include "lib/core/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_line(const char *text)
{
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return false;
	return str_utf8_cut(text, strlen(text)) == strlen(text);
}

static json_t *parse(const char *text)
{
	json_t *value = NULL;
	struct err ignored;

	return jval_parse(&value, text, strlen(text), &ignored) ? NULL : value;
}

static void fuzz_exchange(const char *request, const char *answer)
{
	AUTO_JSON json_t *sent = parse(request), *got = parse(answer);
	struct sample_wanted wanted = {0};
	struct sample_answer came = {200, got, 1};
	struct sample_verdict verdict;
	struct sample sample;
	struct err err = {0};

	if (sample_recognise(&sample, sent, &err)) {
		must(str_eq(err.code, "sample.form") && *err.msg);
		return;
	}
	sample_judge(&verdict, &sample, &wanted, &came);
	must(verdict.is_good == !*verdict.code && *verdict.sentence && is_line(verdict.sentence));
	must(!verdict.is_good || got);
	came.status = 500;
	sample_judge(&verdict, &sample, &wanted, &came);
	must(!verdict.is_good && is_line(verdict.sentence));
}

static void fuzz_schema(const char *schema_text, const char *value_text)
{
	AUTO_JSON json_t *schema = parse(schema_text), *value = parse(value_text);
	AUTO_BUF struct buf fault = buf_make(500);
	struct err err = {0};

	if (sample_schema_lint(schema, &err))
		must(str_eq(err.code, "sample.schema") && *err.msg);
	else if (value)
		must(sample_schema_fits(schema, value, &fault) == !fault.len);
}

static void fuzz_pods(const char *text)
{
	AUTO_JSON json_t *pods = parse(text);
	struct kube_restarts restarts;
	struct kube_pods seen;

	kube_pods_explain(&seen, pods);
	kube_pods_restarts(&restarts, pods);
	must(*seen.sentence && is_line(seen.sentence) && seen.ready <= seen.count);
	must((seen.state == KUBE_PODS_NONE) == !seen.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = NULL;
	const char *second;

	if (!size)
		return 0;
	text = str_dup_len((const char *)data + 1, size - 1);
	second = strlen(text) < size - 1 ? text + strlen(text) + 1 : "";
	if (data[0] % 3 == 0)
		fuzz_exchange(text, second);
	else if (data[0] % 3 == 1)
		fuzz_schema(text, second);
	else
		fuzz_pods(text);
	return 0;
}
