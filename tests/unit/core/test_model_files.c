/* Is it a model that the runtime can load, and is it still the one that was tested? */
#include "lib/core/model_files.h"

#include "lib/base/str.h"
#include "tests/unit/cases.h"

enum { OBJECTS_MAX = 16 };

/* A listing from a text: keys with ';' between them; "key:0" is empty, others have 7 bytes. */
struct sample {
	char *text;
	struct s3_uri where;
	struct s3_object objects[OBJECTS_MAX];
	struct model_listing listing;
};

static void sample_fill(struct sample *sample, const char *address, const char *keys)
{
	static char etag[] = "e1";
	struct err err;
	char *at;

	*sample = (struct sample){.text = str_dup(keys)};
	assert_int_equal(s3_uri_parse(&sample->where, address, &err), ERR_OK);
	sample->listing = (struct model_listing){
		.where = &sample->where, .objects = sample->objects, .complete = true};
	for (at = sample->text; *at;) {
		struct s3_object *object = &sample->objects[sample->listing.count++];
		size_t len = strcspn(at, ";");
		char *end = at + len;

		*object = (struct s3_object){.key = at, .size = 7, .etag = etag};
		at = *end ? end + 1 : end;
		*end = '\0';
		if (len > 2 && str_eq(end - 2, ":0")) {
			end[-2] = '\0';
			object->size = 0;
		}
	}
}

#define SKLEARN "kserve-sklearnserver"

static const struct {
	const char *name, *runtime, *format, *address, *keys;
	const char *code; /* NULL: fine */
	const char *words;
} cases[] = {
	{"one file", SKLEARN, NULL, "s3://models/m/", "m/model.joblib", NULL, NULL},
	{"by its format", NULL, "sklearn", "s3://models/m/", "m/model.pkl", NULL, NULL},
	{"beside others", SKLEARN, NULL, "s3://models/m/", "m/model.pickle;m/README;m/a/b.pkl",
	 NULL, NULL},
	{"folder without a slash", SKLEARN, NULL, "s3://models/m", "m/model.joblib", NULL, NULL},
	{"one object by name", SKLEARN, NULL, "s3://models/m/model.joblib", "m/model.joblib", NULL,
	 NULL},
	{"a whole bucket", SKLEARN, NULL, "s3://models", "model.joblib", NULL, NULL},
	{"markers of folders do not count", SKLEARN, NULL, "s3://models/m/",
	 "m/:0;m/x.joblib:0;m/model.joblib", NULL, NULL},
	{"Kubeflow's file without an ending", SKLEARN, NULL, "s3://models/r/model", "r/model",
	 "model.files",
	 "sklearnserver needs exactly one .joblib, .pkl or .pickle file in the top level of the "
	 "model's folder; found `model`; write the model as a folder with `model.joblib` in it"},
	{"two", SKLEARN, NULL, "s3://models/m/", "m/a.pkl;m/b.joblib", "model.files",
	 "found `a.pkl`, `b.joblib`; leave only one there"},
	{"too deep", SKLEARN, NULL, "s3://models/m/", "m/sub/model.joblib", "model.files",
	 "found `sub/model.joblib`; write the model as a folder with `model.joblib` in it"},
	{"another format", SKLEARN, NULL, "s3://models/m/", "m/model.onnx", "model.files",
	 "found `model.onnx`"},
	{"upper case is another ending", SKLEARN, NULL, "s3://models/m/", "m/MODEL.JOBLIB",
	 "model.files", "found `MODEL.JOBLIB`"},
	{"many", SKLEARN, NULL, "s3://models/m/", "m/a;m/b;m/c;m/d;m/e;m/f", "model.files",
	 "found `a`, `b`, `c`, `d` and 2 more"},
	{"nothing", SKLEARN, NULL, "s3://models/m/", "", "model.missing",
	 "there is no file under s3://models/m/"},
	{"nothing but empty ones", SKLEARN, NULL, "s3://models/m/", "m/:0;m/a.joblib:0",
	 "model.missing", "there is no file"},
	{"neighbours", SKLEARN, NULL, "s3://models/m", "m/model.joblib;m2/model.joblib",
	 "model.slash",
	 "s3://models/m has no / at its end, so KServe would also take `m2/model.joblib`; write "
	 "s3://models/m/"},
	{"neighbours of an object", SKLEARN, NULL, "s3://models/m.pkl", "m.pkl;m.pkl.bak",
	 "model.slash", "would also take `m.pkl.bak`"},
	{"XGBoost", "kserve-xgbserver", NULL, "s3://models/m/", "m/model.ubj", NULL, NULL},
	{"XGBoost, its settings are JSON too", NULL, "xgboost", "s3://models/m/",
	 "m/model.bst;m/params.json", "model.files", "found `model.bst`, `params.json`"},
	{"LightGBM", NULL, "lightgbm", "s3://models/m/", "m/model.txt", "model.files",
	 "lgbserver needs exactly one .bst file"},
	{"PMML", NULL, "pmml", "s3://models/m/", "m/model.pmml", NULL, NULL},
	{"Paddle", NULL, "paddle", "s3://models/m/", "m/a.pdmodel;m/a.pdiparams", NULL, NULL},
	{"Paddle without parameters", NULL, "paddle", "s3://models/m/", "m/a.pdmodel",
	 "model.files", "one .pdmodel and one .pdiparams file"},
	{"Paddle, parameters twice", NULL, "paddle", "s3://models/m/",
	 "m/a.pdmodel;m/a.pdiparams;m/b.pdiparams", "model.files", "leave only one there"},
	{"TensorFlow", NULL, "tensorflow", "s3://models/m/", "m/1/saved_model.pb", NULL, NULL},
	{"TensorFlow without a version", NULL, "tensorflow", "s3://models/m/", "m/saved_model.pb",
	 "model.files", "write the model as a folder with `1/saved_model.pb` in it"},
	{"TensorFlow, not a number", NULL, "tensorflow", "s3://models/m/", "m/v1/saved_model.pb",
	 "model.files", "folders of versions with numbers"},
	{"Triton", "kserve-tritonserver", NULL, "s3://models/m/",
	 "m/iris/config.pbtxt;m/iris/1/model.onnx", NULL, NULL},
	{"Triton, one level short", NULL, "triton", "s3://models/m/",
	 "m/config.pbtxt;m/1/model.onnx", "model.files", "a model repository"},
	{"MLServer with settings", "kserve-mlserver", "sklearn", "s3://models/m/",
	 "m/a/model-settings.json;m/a/x", NULL, NULL},
	{"MLServer with a known file", "kserve-mlserver", NULL, "s3://models/m/", "m/model.joblib",
	 NULL, NULL},
	{"MLServer with nothing known", "kserve-mlserver", NULL, "s3://models/m/", "m/model",
	 "model.files", "model-settings.json or a model file that it knows"},
	{"a runtime of their own", "our-server", "sklearn", "s3://models/m/", "m/model", NULL,
	 NULL},
	{"a format not known here", NULL, "onnx", "s3://models/m/", "m/model", NULL, NULL},
	{"no runtime, no format", NULL, NULL, "s3://models/m/", "m/model", NULL, NULL},
	{"attack: a name that writes", SKLEARN, NULL, "s3://models/m/",
	 "m/`@ann`\n/deploy <img src=x>", "model.files", "found `__ann__/deploy _img src=x_`"},
};

static void test_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		struct sample sample;
		enum err_class class;

		print_message("  %s\n", cases[i].name);
		sample_fill(&sample, cases[i].address, cases[i].keys);
		class = model_files_check(&sample.listing, cases[i].runtime, cases[i].format, &err);
		if (class && !(cases[i].words && strstr(err.msg, cases[i].words)))
			fail_msg("%s", err.msg);
		assert_int_equal(class, cases[i].code ? ERR_USER : ERR_OK);
		assert_string_equal(err.code, cases[i].code ? cases[i].code : "");
		mem_free(sample.text);
	}
}

/* Sizes as a store tells them: nothing is copied here, so none is too large. */
static void test_large_files(void **state)
{
	struct s3_object objects[] = {
		{.key = (char *)"m/model-00001.safetensors",
		 .size = 6LL << 30,
		 .etag = (char *)"a"},
		{.key = (char *)"m/model-00002.safetensors",
		 .size = 7LL << 30,
		 .etag = (char *)"b"},
		{.key = (char *)"m/x", .size = INT64_MAX, .etag = (char *)"c"}};
	struct s3_uri uri = {.bucket = "models", .key = "m/"};
	struct model_listing listing = {&uri, objects, 2, true};
	char before[MODEL_DIGEST_LEN], after[MODEL_DIGEST_LEN];
	struct err err = {0};

	(void)state;
	assert_int_equal(model_files_bytes(&listing), 13LL << 30);
	assert_int_equal(model_files_check(&listing, NULL, "huggingface", &err), ERR_OK);
	model_files_digest(before, &listing);
	objects[0].size++;
	model_files_digest(after, &listing);
	assert_string_not_equal(before, after);
	listing.count = 3;
	assert_true(model_files_bytes(&listing) == INT64_MAX);
}

static void test_an_incomplete_listing_is_refused(void **state)
{
	struct sample sample;
	struct err err;

	(void)state;
	sample_fill(&sample, "s3://models/m/", "m/model.joblib");
	sample.listing.complete = false;
	assert_int_equal(model_files_check(&sample.listing, SKLEARN, NULL, &err), ERR_USER);
	assert_string_equal(err.code, "model.too_many");
	assert_non_null(strstr(err.msg, "more than 1 objects under s3://models/m/"));
	mem_free(sample.text);
}

/* --- the digest --- */

static void digest_of(char out[MODEL_DIGEST_LEN], const char *keys)
{
	struct sample sample;

	sample_fill(&sample, "s3://models/m/", keys);
	model_files_digest(out, &sample.listing);
	mem_free(sample.text);
}

static void test_digest(void **state)
{
	static const struct {
		const char *name, *a, *b;
		bool same;
	} pairs[] = {
		{"order does not matter", "m/a;m/b;m/c", "m/c;m/a;m/b", true},
		{"markers and empty objects do not matter", "m/a", "m/:0;m/a;m/b:0", true},
		{"another name", "m/a", "m/b", false},
		{"one more", "m/a", "m/a;m/b", false},
		{"attack: a key that looks like two lines", "m/a 7 e1\n3:m/b", "m/a;m/b", false},
	};
	char a[MODEL_DIGEST_LEN], b[MODEL_DIGEST_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		print_message("  %s\n", pairs[i].name);
		digest_of(a, pairs[i].a);
		digest_of(b, pairs[i].b);
		assert_int_equal(str_eq(a, b), pairs[i].same);
	}
}

static void test_digest_of_size_and_content(void **state)
{
	static char other_etag[] = "e2";
	char first[MODEL_DIGEST_LEN], other[MODEL_DIGEST_LEN];
	struct sample sample;

	(void)state;
	sample_fill(&sample, "s3://models/m/", "m/a");
	model_files_digest(first, &sample.listing);
	/* printf '3:m/a 7 e1\n' | sha256sum: the form must not change, it is stored. */
	assert_string_equal(first,
			    "85f7accca7a405d4f1c65589ca99cf4d66a30896008675b3425a724aa5225f54");
	sample.objects[0].size = 8;
	model_files_digest(other, &sample.listing);
	assert_string_not_equal(first, other);
	sample.objects[0].size = 7;
	sample.objects[0].etag = other_etag;
	model_files_digest(other, &sample.listing);
	assert_string_not_equal(first, other);
	mem_free(sample.text);
}

static const struct CMUnitTest model_files[] = {
	cmocka_unit_test(test_check),
	cmocka_unit_test(test_large_files),
	cmocka_unit_test(test_an_incomplete_listing_is_refused),
	cmocka_unit_test(test_digest),
	cmocka_unit_test(test_digest_of_size_and_content),
};

CASES_MAIN(model_files, NULL, NULL)
