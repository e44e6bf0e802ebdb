/* fuzz_isvc.c - any YAML as a repository's InferenceService and as what a cluster answers: built or
 * refused with a code, then planned in every phase. */
#include <stdint.h>
#include <string.h>

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/base/yaml.h"
#include "lib/core/isvc.h"

enum { DOCS_MAX = 3, DIFF_MAX = 4000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_move(const struct isvc_move *move)
{
	const json_t *body = move->request.body;

	must(move->why[0]);
	must((move->kind == ISVC_FAILED) == (move->code[0] != '\0'));
	must((move->kind == ISVC_SEND) == (body != NULL));
	if (move->kind != ISVC_SEND)
		return;
	if (move->request.verb == ISVC_PATCH)
		must(jval_at(body, "metadata.resourceVersion"));
	else if (move->request.verb == ISVC_CREATE)
		must(str_eq(jval_str(body, "metadata.namespace", ""), "ml-prod"));
	else
		must(jval_at(body, "preconditions.uid"));
}

static void plan_all(const json_t *wanted, json_t *before, const struct isvc_look *look)
{
	for (enum isvc_phase phase = ISVC_STAGE; phase <= ISVC_RESTORE; phase++)
		for (int round = 0; round < 3; round++) {
			struct isvc_goal goal = {wanted, before, "job-9", phase, 50 * round};
			json_t *places = NULL;
			struct isvc_move move;
			struct err err;

			isvc_plan(&goal, look, &move);
			check_move(&move);
			isvc_note(before, move.note);
			isvc_move_dispose(&move);
			if (!isvc_addresses(&places, &goal, look, round ? "https://in" : NULL,
					    &err))
				must(json_array_size(places));
			jval_drop(&places);
			mem_free(isvc_pod_selector(&goal, look));
		}
}

static void roll_out(const json_t *wanted, const json_t *live, const json_t *second)
{
	struct isvc_rules rules = {.crd_has_canary = true, .other_over = true};
	struct isvc_look look = {live, second};
	AUTO_BUF struct buf diff = buf_make(DIFF_MAX);
	json_t *before = NULL;
	struct err err = {0};

	(void)isvc_diff(&diff, wanted, live);
	must(!diff.data || !strchr(diff.data, '`'));
	isvc_cause(&diff, live);
	if (isvc_before(&before, live, second, wanted, &rules, &err)) {
		must(err.code[0] && !before);
		return;
	}
	plan_all(wanted, before, &look);
	jval_drop(&before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct isvc_wish wish = {"iris", "ml-prod", "s3://b/k/", {"job-9", "3", "r", "s", "o/r"}};
	json_t *values[DOCS_MAX] = {0}, *wanted = NULL;
	struct yaml_node **docs;
	struct err err = {0};
	size_t count;

	if (yaml_parse(&docs, &count, (const char *)data, size, &err))
		return 0;
	for (size_t i = 0; i < count && i < DOCS_MAX; i++)
		values[i] = yaml_to_json(docs[i]);
	yaml_docs_free(docs, count);
	if (isvc_build(&wanted, (const json_t *const *)values, values[0] ? 1 : 0, &wish, &err))
		must(err.class == ERR_USER && err.code[0] && err.msg[0] && !wanted);
	else
		roll_out(wanted, values[1], values[2]);
	jval_drop(&wanted);
	for (size_t i = 0; i < DOCS_MAX; i++)
		jval_drop(&values[i]);
	return 0;
}
