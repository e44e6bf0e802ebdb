/* policy_texts.h - policies and ceilings from text, for the tests of decisions. */
#ifndef KF_TESTS_UNIT_CORE_POLICY_TEXTS_H
#define KF_TESTS_UNIT_CORE_POLICY_TEXTS_H

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/policy_decide.h"
#include "tests/unit/cases.h"
#include "tests/unit/core/policy_commands.h"

static const struct policy_ceilings no_ceilings = {0};

static inline struct policy *read_text(const char *text)
{
	return text ? policy_read(text, strlen(text), ".github/kfops.yaml", some_table())
		    : policy_default();
}

static inline void read_ceilings(struct policy_ceilings *out, const char *json, const char *repo)
{
	json_t *list = NULL;
	struct err err;

	assert_int_equal(jval_parse(&list, json, strlen(json), &err), ERR_OK);
	policy_ceilings_read(out, list, repo);
	json_decref(list);
}

#endif
