/* ML Metadata: requests byte for byte as protoc writes them, answers of the samples, and every way
 * in which bytes can be wrong. */
#include "lib/core/mlmd.h"

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/mlmd_impl.h"
#include "tests/unit/cases.h"
#include "tests/unit/samples.h"

static const char run[] = "9e68aca5-3afa-4028-8777-f697d858053f";
static const char *const no_headers[2] = {"", ""};

static struct buf unhex(const char *hex)
{
	struct buf out = buf_make(1 << 20);
	size_t len = strlen(hex) / 2;
	unsigned char *bytes = mem_new(len + 1, 1);

	assert_true(str_unhex(bytes, hex, len));
	buf_add(&out, bytes, len);
	mem_free(bytes);
	return out;
}

static json_t *samples(void)
{
	size_t len;
	AUTO_FREE char *text = sample_read(true, "samples/mlmd/mlmd_grpc_web_samples.json", &len);
	json_t *all = NULL;
	struct err err;

	if (!text)
		print_message("skipped: no shared samples\n");
	else
		assert_int_equal(jval_parse(&all, text, len, &err), ERR_OK);
	return all;
}

/* The n-th sample call's answer, unframed; the buffer keeps the bytes. */
static struct buf answer(const json_t *all, size_t n, const unsigned char **message, size_t *len)
{
	const json_t *call = json_array_get(json_object_get(all, "calls"), n);
	struct buf body = unhex(jval_str(call, "response_body_hex", ""));
	struct err err;

	assert_int_equal(mlmd_unframe(message, len, body.data, body.len, no_headers, &err), ERR_OK);
	return body;
}

static void check_request(const json_t *all, size_t n, const struct buf *frame)
{
	const json_t *call = json_array_get(json_object_get(all, "calls"), n);
	AUTO_BUF struct buf want = unhex(jval_str(call, "request_frame_hex", ""));

	assert_int_equal(frame->len, want.len);
	assert_memory_equal(frame->data, want.data, want.len);
}

static void test_requests(void **state)
{
	AUTO_JSON json_t *all = samples();
	AUTO_BUF struct buf frame = buf_make(1000);

	(void)state;
	if (!all)
		return;
	mlmd_ask_context(&frame, run);
	check_request(all, 0, &frame);
	buf_clear(&frame);
	mlmd_ask_page(&frame, 7, "");
	check_request(all, 2, &frame);
	check_request(all, 3, &frame);
	buf_clear(&frame);
	mlmd_ask_events(&frame, (const int64_t[]){33, 32}, 2);
	check_request(all, 4, &frame);
	buf_clear(&frame);
	mlmd_ask_types(&frame);
	check_request(all, 5, &frame);
}

static void test_page_token_is_sent(void **state)
{
	AUTO_BUF struct buf frame = buf_make(1000);

	(void)state;
	mlmd_ask_page(&frame, 300, "next");
	assert_int_equal(frame.len, 5 + 3 + 2 + 2 + 6);
	assert_memory_equal(frame.data + 5, "\x08\xac\x02\x12\x08\x08\x64\x1a\x04next", 13);
}

static void test_run_of_the_samples(void **state)
{
	AUTO_JSON json_t *all = samples();
	AUTO_JSON json_t *artifacts = json_array();
	AUTO_JSON json_t *executions = json_array();
	AUTO_JSON json_t *events = json_array();
	AUTO_JSON json_t *outputs = NULL;
	char page[MLMD_TOKEN_MAX];
	const unsigned char *message;
	const json_t *model, *metric;
	struct buf body;
	struct err err;
	int64_t id;
	size_t len;

	(void)state;
	if (!all)
		return;
	body = answer(all, 0, &message, &len);
	assert_int_equal(mlmd_read_context(&id, message, len, &err), ERR_OK);
	assert_int_equal(id, 7);
	buf_dispose(&body);
	body = answer(all, 1, &message, &len);
	assert_int_equal(mlmd_read_context(&id, message, len, &err), ERR_NOT_FOUND);
	buf_dispose(&body);
	body = answer(all, 2, &message, &len);
	assert_int_equal(mlmd_read_artifacts(artifacts, page, message, len, &err), ERR_OK);
	assert_string_equal(page, "");
	buf_dispose(&body);
	body = answer(all, 3, &message, &len);
	assert_int_equal(mlmd_read_executions(executions, page, message, len, &err), ERR_OK);
	buf_dispose(&body);
	body = answer(all, 4, &message, &len);
	assert_int_equal(mlmd_read_events(events, message, len, &err), ERR_OK);
	buf_dispose(&body);
	outputs = mlmd_outputs(artifacts, executions, events, NULL);
	model = json_array_get(json_object_get(outputs, "models"), 0);
	assert_int_equal(json_array_size(json_object_get(outputs, "models")), 1);
	assert_true(str_starts(jval_str(model, "uri", ""), "minio://mlpipeline/v2/artifacts/"));
	assert_string_equal(jval_str(model, "task", ""), "train-model");
	assert_string_equal(jval_str(model, "output", ""), "model");
	assert_string_equal(jval_str(model, "framework", ""), "scikit-learn");
	assert_false(jval_bool(model, "cached", true));
	metric = json_array_get(json_object_get(outputs, "metrics"), 0);
	assert_int_equal(json_array_size(json_object_get(outputs, "metrics")), 2);
	assert_string_equal(jval_str(metric, "name", ""), "accuracy");
	assert_string_equal(jval_str(metric, "task", ""), "train-model");
	assert_true(json_real_value(jval_at(metric, "value")) == 0.9736842105263158);
}

static void test_types_of_older_servers(void **state)
{
	AUTO_JSON json_t *all = samples();
	AUTO_JSON json_t *types = json_object();
	AUTO_JSON json_t *outputs = NULL;
	AUTO_JSON json_t *artifacts =
		json_pack("[{s:i,s:i,s:s}]", "id", 22, "type_id", 16, "uri", "s3://b/m");
	const unsigned char *message;
	struct buf body;
	struct err err;
	size_t len;

	(void)state;
	if (!all)
		return;
	body = answer(all, 5, &message, &len);
	assert_int_equal(mlmd_read_types(types, message, len, &err), ERR_OK);
	buf_dispose(&body);
	assert_string_equal(jval_str(types, "15", ""), "system.Metrics");
	outputs = mlmd_outputs(artifacts, NULL, NULL, types);
	assert_int_equal(json_array_size(json_object_get(outputs, "models")), 1);
}

/* --- frames --- */

static const struct {
	const char *name, *hex, *status, *words;
	enum err_class class;
	const char *says;
} frames[] = {
	{"trailers say not found",
	 "8000000020677270632d7374617475733a350d0a677270632d6d6573736167653a4e6f0d0a", "", "",
	 ERR_NOT_FOUND, "No"},
	{"status as a header, no body", "", "7", "not%20yours%0A", ERR_DENIED, "not yours "},
	{"nothing at all", "", "", "", ERR_TRANSIENT, "without a status"},
	{"message without trailers", "0000000000", "", "", ERR_TRANSIENT, "without a status"},
	{"message, status as a header", "0000000000", "0", "", ERR_OK, NULL},
	{"head cut", "000000", "0", "", ERR_TRANSIENT, "cut"},
	{"content cut", "00000000ff00", "0", "", ERR_TRANSIENT, "cut"},
	{"length of 4 GiB", "00ffffffff00", "0", "", ERR_TRANSIENT, "cut"},
	{"compressed", "010000000100", "0", "", ERR_TRANSIENT, "cut"},
	{"two messages", "00000000000000000000", "0", "", ERR_TRANSIENT, "cut"},
	{"message, then a frame that is cut", "0000000001410000", "0", "", ERR_TRANSIENT, "cut"},
	{"a login page", "3c68746d6c3e", "", "", ERR_TRANSIENT, "cut"},
	{"unauthenticated", "", "16", "", ERR_CONFIG, "does not say why"},
	{"unavailable", "", "14", "no healthy upstream", ERR_TRANSIENT, "no healthy upstream"},
	{"exhausted", "", "8", "", ERR_THROTTLED, "8"},
	{"invalid", "", "3", "", ERR_USER, "3"},
	{"status that is no number", "", "0x0", "", ERR_TRANSIENT, "without a status"},
};

static void test_frames(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		AUTO_BUF struct buf body = unhex(frames[i].hex);
		const char *headers[2] = {frames[i].status, frames[i].words};
		const unsigned char *message;
		struct err err = {0};
		size_t len;

		print_message("%s\n", frames[i].name);
		assert_int_equal(mlmd_unframe(&message, &len, body.data, body.len, headers, &err),
				 frames[i].class);
		assert_int_equal(len, 0);
		assert_null(message);
		if (frames[i].says)
			assert_non_null(strstr(err.msg, frames[i].says));
	}
}

/* --- messages that are none --- */

static const struct {
	const char *name, *hex;
	enum err_class class;
	size_t items;
} messages[] = {
	{"empty", "", ERR_OK, 0},
	{"one artifact", "0a020815", ERR_OK, 1},
	{"unknown fields of every type", "0a0208157801810101020304050607088a010161950101020304",
	 ERR_OK, 1},
	{"id negative", "0a0b08ffffffffffffffffff01", ERR_OK, 1},
	{"varint without an end", "0a0c08ffffffffffffffffffffff", ERR_TRANSIENT, 1},
	{"varint too large", "0a0b08ffffffffffffffffff02", ERR_TRANSIENT, 1},
	{"length past the end", "0a7f08", ERR_TRANSIENT, 0},
	{"length of 2^64", "0affffffffffffffffff01", ERR_TRANSIENT, 0},
	{"field number 0", "0000", ERR_TRANSIENT, 0},
	{"a group", "0b0c", ERR_TRANSIENT, 0},
	{"64 bits cut", "09010203", ERR_TRANSIENT, 0},
	{"items as numbers", "0801", ERR_OK, 0},
	{"uri that is no UTF-8", "0a041a02ff41", ERR_OK, 1},
	{"property without a value", "0a052a030a0161", ERR_OK, 1},
	{"page token with NUL", "12020041", ERR_TRANSIENT, 0},
};

static void test_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		AUTO_BUF struct buf bytes = unhex(messages[i].hex);
		AUTO_JSON json_t *items = json_array();
		char page[MLMD_TOKEN_MAX];
		struct err err = {0};

		print_message("%s\n", messages[i].name);
		assert_int_equal(mlmd_read_artifacts(items, page, (const unsigned char *)bytes.data,
						     bytes.len, &err),
				 messages[i].class);
		assert_int_equal(json_array_size(items), messages[i].items);
	}
}

/* It is there, and it is no number: no threshold is met by it. */
static void test_nan_is_no_number(void **state)
{
	AUTO_BUF struct buf whole = buf_make(200), item = buf_make(200), entry = buf_make(100),
			    value = buf_make(20);
	AUTO_JSON json_t *items = json_array();
	AUTO_JSON json_t *outputs = NULL;
	char page[MLMD_TOKEN_MAX];
	struct err err;

	(void)state;
	buf_add(&value, "\x11\0\0\0\0\0\0\xf8\x7f", 9);
	wire_put_bytes(&entry, 1, "loss", 4);
	wire_put_bytes(&entry, 2, value.data, value.len);
	wire_put_bytes(&item, 8, "system.Metrics", 14);
	wire_put_bytes(&item, 5, entry.data, entry.len);
	wire_put_bytes(&whole, 1, item.data, item.len);
	assert_int_equal(mlmd_read_artifacts(items, page, (const unsigned char *)whole.data,
					     whole.len, &err),
			 ERR_OK);
	outputs = mlmd_outputs(items, NULL, NULL, NULL);
	assert_string_equal(
		jval_str(json_array_get(json_object_get(outputs, "metrics"), 0), "value", ""),
		"NaN");
}

static void test_too_many_items(void **state)
{
	AUTO_BUF struct buf whole = buf_make(1 << 20);
	AUTO_JSON json_t *items = json_array();
	char page[MLMD_TOKEN_MAX];
	struct err err = {0};

	(void)state;
	for (int i = 0; i <= MLMD_ITEMS_MAX; i++)
		wire_put_bytes(&whole, 1, "", 0);
	assert_int_equal(mlmd_read_artifacts(items, page, (const unsigned char *)whole.data,
					     whole.len, &err),
			 ERR_USER);
	assert_int_equal(json_array_size(items), MLMD_ITEMS_MAX);
}

/* A cached task's model lies in another run's folder, and a sub-DAG repeats its tasks' outputs. */
static void test_cached_and_nested(void **state)
{
	AUTO_JSON json_t *artifacts = json_pack("[{s:i,s:s,s:s}]", "id", 1, "type", "system.Model",
						"uri", "s3://b/other-run/model");
	AUTO_JSON json_t *executions = json_pack(
		"[{s:i,s:s,s:i,s:{s:s}},{s:i,s:s,s:i,s:{s:s}}]", "id", 8, "type",
		"system.DAGExecution", "state", 3, "custom", "display_name", "loop", "id", 9,
		"type", "system.ContainerExecution", "state", 5, "custom", "task_name", "train");
	AUTO_JSON json_t *events =
		json_pack("[{s:i,s:i,s:i,s:s},{s:i,s:i,s:i,s:s},{s:i,s:i,s:i,s:s}]", "artifact_id",
			  1, "execution_id", 8, "type", 4, "key", "out", "artifact_id", 1,
			  "execution_id", 9, "type", 4, "key", "model", "artifact_id", 1,
			  "execution_id", 9, "type", 3, "key", "in");
	AUTO_JSON json_t *outputs = mlmd_outputs(artifacts, executions, events, NULL);
	const json_t *model = json_array_get(json_object_get(outputs, "models"), 0);

	(void)state;
	assert_string_equal(jval_str(model, "task", ""), "train");
	assert_string_equal(jval_str(model, "output", ""), "model");
	assert_true(jval_bool(model, "cached", false));
}

/* --- which model --- */

static const struct {
	const char *name, *models, *task, *output; /* models: "task/output ..." */
	int chosen;				   /* index, or -1 */
	const char *code, *says;
} choices[] = {
	{"the only one", "train/model", NULL, NULL, 0, NULL, NULL},
	{"none", "", NULL, NULL, -1, "deploy.no_model", "Output[Model]"},
	{"materialized first", "train/model materialize-model/materialized_model", NULL, NULL, 1,
	 NULL, NULL},
	{"materialized by task", "train/model materialize-model/model", NULL, NULL, 1, NULL, NULL},
	{"several ask", "train/model tune/model", NULL, NULL, -1, "deploy.which_model",
	 "train/model, tune/model"},
	{"configured task", "train/model tune/model", "tune", NULL, 1, NULL, NULL},
	{"dashes are underscores", "train-it/model tune/model", "train_it", NULL, 0, NULL, NULL},
	{"configured output", "train/best train/last", NULL, "last", 1, NULL, NULL},
	{"configured goes before materialized", "train/model materialize-model/m", "train", NULL, 0,
	 NULL, NULL},
	{"configured and not there", "train/model", "tune", NULL, -1, "deploy.no_model",
	 "train/model"},
	{"configured and still several", "train/a train/b", "train", NULL, -1, "deploy.which_model",
	 "train/a, train/b"},
	{"two materialized", "materialize-model/m materialize-model-2/m", NULL, NULL, -1,
	 "deploy.which_model", "materialize-model-2"},
};

static json_t *models_of(const char *text)
{
	json_t *models = json_array();

	while (*text) {
		size_t len = strcspn(text, " "), slash = strcspn(text, "/");
		AUTO_FREE char *task = str_dup_len(text, slash);
		AUTO_FREE char *output = str_dup_len(text + slash + 1, len - slash - 1);

		json_array_append_new(models,
				      json_pack("{s:s,s:s}", "task", task, "output", output));
		text += len + (text[len] == ' ');
	}
	return models;
}

static void test_choices(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
		AUTO_JSON json_t *models = models_of(choices[i].models);
		const json_t *chosen;
		struct err err = {0};
		enum err_class class =
			model_choose(&chosen, models, choices[i].task, choices[i].output, &err);

		print_message("%s\n", choices[i].name);
		if (choices[i].chosen >= 0) {
			assert_int_equal(class, ERR_OK);
			assert_ptr_equal(chosen, json_array_get(models, (size_t)choices[i].chosen));
			continue;
		}
		assert_int_equal(class, ERR_USER);
		assert_null(chosen);
		assert_string_equal(err.code, choices[i].code);
		assert_non_null(strstr(err.msg, choices[i].says));
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_requests),
	cmocka_unit_test(test_page_token_is_sent),
	cmocka_unit_test(test_run_of_the_samples),
	cmocka_unit_test(test_types_of_older_servers),
	cmocka_unit_test(test_frames),
	cmocka_unit_test(test_messages),
	cmocka_unit_test(test_nan_is_no_number),
	cmocka_unit_test(test_too_many_items),
	cmocka_unit_test(test_cached_and_nested),
	cmocka_unit_test(test_choices),
};

CASES_MAIN(tests, NULL, NULL)
