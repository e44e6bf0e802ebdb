/* pipeline_sample.h - YAML text or a sample file as a pipeline, for the tests of pipeline*.c. */
#ifndef KF_TESTS_UNIT_CORE_PIPELINE_SAMPLE_H
#define KF_TESTS_UNIT_CORE_PIPELINE_SAMPLE_H

#include "lib/base/yaml.h"
#include "lib/core/pipeline.h"
#include "tests/unit/samples.h"

/* As the compile step does it: every document as JSON, at most eight. */
static inline enum err_class pipeline_from_text(struct pipeline **out, const char *text, size_t len,
						struct err *err)
{
	struct yaml_node **docs;
	json_t *values[8];
	size_t count;
	enum err_class class = yaml_parse(&docs, &count, text, len, err);

	*out = NULL;
	if (class)
		return class;
	must(count <= ARRAY_LEN(values));
	for (size_t i = 0; i < count; i++)
		values[i] = yaml_to_json(docs[i]);
	yaml_docs_free(docs, count);
	class = pipeline_read(out, (const json_t *const *)values, count, err);
	for (size_t i = 0; i < count; i++)
		json_decref(values[i]);
	return class;
}

/* NULL when the file is not there; ends the test when it is not a pipeline. */
static inline struct pipeline *pipeline_from_file(bool shared, const char *name)
{
	struct pipeline *pipeline = NULL;
	struct err err = {0};
	size_t len;
	char *text = sample_read(shared, name, &len);

	if (text && pipeline_from_text(&pipeline, text, len, &err))
		fail_msg("%s: %s", name, err.msg);
	mem_free(text);
	return pipeline;
}

#endif
