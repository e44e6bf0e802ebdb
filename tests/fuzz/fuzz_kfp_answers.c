/* fuzz_kfp_answers.c - any bytes through every parser of Kubeflow Pipelines' answers. The first
 * byte chooses the parser, so one corpus serves all. The list scanner is compared with jansson:
 * what jansson takes for a list, it must read to the same ids. */
#include <stdint.h>
#include <string.h>

#include "lib/base/gzip.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/services/kfp_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_error(const char *text, size_t len, int status)
{
	struct err err = {0};

	must(kfp_error(&err, status, text, len, 0, true) == err.class);
	must(err.class != ERR_OK && strlen(err.msg) > 0);
}

static void fuzz_run(const json_t *answer)
{
	struct kfp_version version;
	struct kfp_run run;

	kfp_run_parse(&run, answer);
	must(json_is_object(run.tasks) && run.finished_at_ms >= 0);
	kfp_run_dispose(&run);
	kfp_version_parse(&version, answer);
	must(version.id && version.name && version.description);
	kfp_version_dispose(&version);
}

static void check_causes(const json_t *answer)
{
	AUTO_JSON json_t *causes = NULL;
	char pod[256];

	causes = kfp_causes_parse(answer, pod, sizeof pod);
	must(json_is_array(causes) && json_array_size(causes) <= 20);
}

/* The bytes as a manifest inside an answer, as the server nests it. */
static void fuzz_causes(const char *text, size_t len)
{
	AUTO_JSON json_t *answer = json_object();
	AUTO_FREE char *clean = jval_clean_utf8(text, len);
	json_t *runtime = json_object();

	jval_set_str(runtime, "workflow_manifest", clean);
	jval_set(answer, "pipeline_runtime", runtime);
	check_causes(answer);
}

/* Walks jansson's list beside the scanner's. */
struct walk {
	const json_t *runs;
	size_t next;
};

static void compare_run(void *arg, const char *run_id, const char *state)
{
	struct walk *walk = arg;
	const json_t *run;
	const char *id;

	(void)state;
	if (!walk->runs)
		return;
	do
		run = json_array_get(walk->runs, walk->next++);
	while (run && !json_is_object(run));
	must(run);
	id = jval_str(run, "run_id", "");
	if (strlen(id) < 100 && json_string_length(json_object_get(run, "run_id")) == strlen(id))
		must(str_eq(id, run_id));
}

static void fuzz_list(const char *text, size_t len)
{
	/* A doubled or escaped key means something else to the two, and jansson passes over some
	 * NUL bytes. */
	bool is_plain = !memchr(text, '\\', len) && !memchr(text, 0, len);
	AUTO_JSON json_t *parsed = NULL;
	static char token[KFP_TOKEN_MAX];
	struct walk walk = {0};
	struct err ignored;
	bool ok;

	if (is_plain && !jval_parse(&parsed, text, len, &ignored)) {
		json_decref(parsed);
		parsed = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	}
	if (json_is_object(parsed) && json_is_array(json_object_get(parsed, "runs")))
		walk.runs = json_object_get(parsed, "runs");
	ok = kfp_list_scan(text, len, compare_run, &walk, token);
	must(ok || !json_is_object(parsed));
}

static void fuzz_log(const char *text, size_t len)
{
	AUTO_BUF struct buf out = buf_make(64);

	kfp_log_tail(&out, text, len, 64);
	must(!out.truncated && out.len <= len && (!len || out.len));
}

static void fuzz_packed(const char *bytes, size_t len)
{
	AUTO_BUF struct buf out = buf_make(1 << 20);
	struct err err;

	must(!gzip_unpack(&out, bytes, len, &err) || err.class == ERR_USER);
	must(out.len <= 1 << 20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_JSON json_t *answer = NULL;
	AUTO_FREE char *text = NULL;
	struct err ignored;
	size_t len;

	if (!size)
		return 0;
	len = size - 1;
	text = str_dup_len((const char *)data + 1, len);
	switch (data[0] % 6) {
	case 0:
		fuzz_error(text, len, 300 + data[0]);
		break;
	case 1:
		if (!jval_parse(&answer, text, len, &ignored)) {
			fuzz_run(answer);
			check_causes(answer);
		}
		break;
	case 2:
		fuzz_causes(text, len);
		break;
	case 3:
		fuzz_list(text, len);
		break;
	case 4:
		fuzz_log(text, len);
		break;
	default:
		fuzz_packed(text, len);
		break;
	}
	return 0;
}
