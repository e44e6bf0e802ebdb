/* test_outbox.c - one row a slot: coalescing, order, fairness, retries, giving up. */
#include "tests/unit/store/store_kit.h"

static void put(struct kit *kit, const char *slot, const char *body, int urgency, int64_t now_ms,
		int64_t not_before_ms, int64_t installation)
{
	struct outbox_wish wish = {.kind = SLOT_COMMENT,
				   .urgency = urgency,
				   .want = json_pack("{s:s}", "body", body),
				   .not_before_ms = not_before_ms};

	str_copy(wish.slot, sizeof wish.slot, slot);
	KIT_BEGIN(kit);
	assert_ok(kit, outbox_put(kit->db, 0, installation, REPO, 1, "acme/iris", &wish, now_ms,
				  &kit->err));
	KIT_COMMIT(kit);
	outbox_wish_dispose(&wish);
}

/* Slot of the next row, "" when none; *row is the caller's when `row` is given. */
static const char *next(struct kit *kit, int64_t now_ms, struct outbox_row *row)
{
	static char slot[96];
	struct outbox_row own;
	int64_t due;

	slot[0] = '\0';
	if (outbox_next(kit->db, now_ms, NULL, 0, row ? row : &own, &due, &kit->err) != ERR_OK)
		return slot;
	str_copy(slot, sizeof slot, row ? row->slot : own.slot);
	if (!row)
		outbox_row_dispose(&own);
	return slot;
}

static void sent(struct kit *kit, int64_t id, int64_t version, int64_t remote_id)
{
	KIT_BEGIN(kit);
	assert_ok(kit, outbox_sent(kit->db, id, version, remote_id, "NODE", &kit->err));
	KIT_COMMIT(kit);
}

static void retry(struct kit *kit, int64_t id, int64_t due_ms, bool permanent)
{
	KIT_BEGIN(kit);
	assert_ok(kit, outbox_retry(kit->db, id, due_ms, permanent, "no", &kit->err));
	KIT_COMMIT(kit);
}

static void test_ten_updates_are_one_call(void **state)
{
	struct outbox_row row;
	struct kit kit;
	char body[8];

	(void)state;
	kit_start(&kit);
	for (int i = 0; i < 10; i++) {
		snprintf(body, sizeof body, "%d", i);
		put(&kit, "status:1", body, OUTBOX_PROGRESS, T0 + i, 0, 0);
	}
	assert_string_equal(next(&kit, T0 + 20, &row), "status:1");
	assert_string_equal(jval_str(row.want, "body", ""), "9");
	assert_int_equal(row.version, 10);
	assert_int_equal(row.wished_at_ms, T0);
	assert_int_equal(row.remote_id, 0);
	sent(&kit, row.id, row.version, 500);
	outbox_row_dispose(&row);
	assert_string_equal(next(&kit, T0 + 20, NULL), "");
	put(&kit, "status:1", "9", OUTBOX_PROGRESS, T0 + 30, 0, 0);
	assert_string_equal(next(&kit, T0 + 40, NULL), ""); /* the same again is no news */
	put(&kit, "status:1", "10", OUTBOX_FINAL, T0 + 30, 0, 0);
	assert_string_equal(next(&kit, T0 + 40, &row), "status:1");
	assert_int_equal(row.remote_id, 500);
	assert_string_equal(row.remote_node_id, "NODE");
	assert_int_equal(row.urgency, OUTBOX_FINAL);
	assert_int_equal(row.wished_at_ms, T0 + 30);
	outbox_row_dispose(&row);
	kit_end(&kit);
}

static void test_newer_wish_while_sending(void **state)
{
	struct outbox_row row;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	put(&kit, "status:1", "a", OUTBOX_PROGRESS, T0, 0, 0);
	next(&kit, T0, &row);
	put(&kit, "status:1", "b", OUTBOX_FINAL, T0 + 1, 0, 0);
	sent(&kit, row.id, row.version, 9);
	outbox_row_dispose(&row);
	assert_string_equal(next(&kit, T0 + 1, &row), "status:1");
	assert_string_equal(jval_str(row.want, "body", ""), "b");
	assert_int_equal(row.remote_id, 9);
	outbox_row_dispose(&row);
	kit_end(&kit);
}

static void test_times(void **state)
{
	static const struct {
		const char *name;
		int64_t first_not_before, second_not_before; /* 0: at once; -1: no second wish */
		bool fail_first;			     /* tried at T0, again at T0 + 100 */
		int64_t expect_due;
	} cases[] = {
		{"at once", 0, -1, false, T0},
		{"paced", T0 + 50, -1, false, T0 + 50},
		{"news does not push the time away", T0 + 50, T0 + 80, false, T0 + 50},
		{"the end comes at once", T0 + 50, 0, false, T0 + 1},
		{"back-off stands against news", 0, 0, true, T0 + 100},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct outbox_row row;
		int64_t due = 0;
		struct kit kit;

		kit_start(&kit);
		put(&kit, "s", "a", OUTBOX_PROGRESS, T0, cases[i].first_not_before, 0);
		if (cases[i].fail_first)
			retry(&kit, 1, T0 + 100, false);
		if (cases[i].second_not_before >= 0)
			put(&kit, "s", "b", OUTBOX_FINAL, T0 + 1, cases[i].second_not_before, 0);
		if (outbox_next(kit.db, T0 - 1, NULL, 0, &row, &due, &kit.err) != ERR_NOT_FOUND ||
		    due != cases[i].expect_due)
			fail_msg("%s: due %d", cases[i].name, (int)(due - T0));
		assert_string_equal(next(&kit, due, NULL), "s");
		kit_end(&kit);
	}
}

static void test_order_and_fairness(void **state)
{
	static const char *const expect[] = {"now", "a-final", "b-final", "a1", "b1",
					     "c1",  "a2",      "b2",	  "a3"};
	struct outbox_row row;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	put(&kit, "a1", "x", OUTBOX_PROGRESS, T0, 0, 10);
	put(&kit, "a2", "x", OUTBOX_PROGRESS, T0 + 1, 0, 10);
	put(&kit, "a3", "x", OUTBOX_PROGRESS, T0 + 2, 0, 10);
	put(&kit, "b1", "x", OUTBOX_PROGRESS, T0 + 3, 0, 20);
	put(&kit, "b2", "x", OUTBOX_PROGRESS, T0 + 4, 0, 20);
	put(&kit, "c1", "x", OUTBOX_PROGRESS, T0 + 5, 0, 30);
	put(&kit, "b-final", "x", OUTBOX_FINAL, T0 + 7, 0, 20);
	put(&kit, "a-final", "x", OUTBOX_FINAL, T0 + 8, 0, 10);
	put(&kit, "now", "x", OUTBOX_NOW, T0 + 9, 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(expect); i++) {
		assert_string_equal(next(&kit, T0 + 20, &row), expect[i]);
		outbox_served(kit.db, &row);
		sent(&kit, row.id, row.version, 0);
		outbox_row_dispose(&row);
	}
	assert_string_equal(next(&kit, T0 + 20, NULL), "");
	kit_end(&kit);
}

static void test_paused(void **state)
{
	static const struct {
		int64_t paused[2];
		size_t count;
		const char *expect;
	} cases[] = {
		{{0}, 0, "a"}, {{10}, 1, "b"}, {{20}, 1, "a"}, {{10, 20}, 2, ""}, {{99}, 1, "a"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct outbox_row row = {0};
		struct kit kit;
		int64_t due;

		kit_start(&kit);
		put(&kit, "a", "x", OUTBOX_NOW, T0, 0, 10);
		put(&kit, "b", "x", OUTBOX_PROGRESS, T0, 0, 20);
		if (outbox_next(kit.db, T0, cases[i].paused, cases[i].count, &row, &due, &kit.err))
			row.slot[0] = '\0';
		assert_string_equal(row.slot, cases[i].expect);
		outbox_row_dispose(&row);
		kit_end(&kit);
	}
}

static void test_giving_up(void **state)
{
	struct queue_counts counts;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	put(&kit, "s", "x", OUTBOX_NOW, T0, 0, 0);
	for (int i = 0; i < 50; i++)
		retry(&kit, 1, T0, false); /* what may pass is tried for ever */
	assert_string_equal(next(&kit, T0, NULL), "s");
	for (int i = 0; i < 9; i++)
		retry(&kit, 1, T0, true);
	assert_string_equal(next(&kit, T0, NULL), "s");
	log_set_level(LOG_LEVEL_ERROR + 1);
	retry(&kit, 1, T0, true);
	assert_string_equal(next(&kit, T0, NULL), "");
	assert_ok(&kit, queue_count(kit.db, T0, &counts, &kit.err));
	assert_int_equal(counts.outbox_waiting, 0);
	put(&kit, "s", "y", OUTBOX_FINAL, T0, 0, 0); /* news gets one more chance */
	assert_string_equal(next(&kit, T0, NULL), "s");
	retry(&kit, 1, T0, true);
	assert_string_equal(next(&kit, T0, NULL), "");
	kit_end(&kit);
}

static void test_doubt_and_remote(void **state)
{
	struct outbox_row row;
	char *node = NULL;
	int64_t remote;
	struct kit kit;

	(void)state;
	kit_start(&kit);
	put(&kit, "s", "x", OUTBOX_NOW, T0, 0, 0);
	assert_int_equal(outbox_remote(kit.db, "s", &remote, &node, &kit.err), ERR_NOT_FOUND);
	assert_int_equal(outbox_remote(kit.db, "other", &remote, &node, &kit.err), ERR_NOT_FOUND);
	KIT_BEGIN(&kit);
	assert_ok(&kit, outbox_mark(kit.db, 1, &kit.err));
	KIT_COMMIT(&kit);
	kit_crash(&kit);
	kit_open(&kit);
	next(&kit, T0, &row);
	assert_true(row.maybe_sent);
	outbox_row_dispose(&row);
	sent(&kit, 1, 1, 77);
	assert_ok(&kit, outbox_remote(kit.db, "s", &remote, &node, &kit.err));
	assert_int_equal(remote, 77);
	assert_string_equal(node, "NODE");
	mem_free(node);
	put(&kit, "s", "y", OUTBOX_NOW, T0, 0, 0);
	next(&kit, T0, &row);
	assert_false(row.maybe_sent);
	assert_int_equal(row.remote_id, 77);
	outbox_row_dispose(&row);
	KIT_BEGIN(&kit);
	assert_ok(&kit, outbox_forget(kit.db, 1, &kit.err));
	KIT_COMMIT(&kit);
	assert_int_equal(outbox_remote(kit.db, "s", &remote, &node, &kit.err), ERR_NOT_FOUND);
	next(&kit, T0, &row); /* the same wish, to be created anew */
	assert_int_equal(row.remote_id, 0);
	assert_null(row.remote_node_id);
	assert_false(row.maybe_sent);
	outbox_row_dispose(&row);
	kit_end(&kit);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ten_updates_are_one_call),
		cmocka_unit_test(test_newer_wish_while_sending),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_order_and_fairness),
		cmocka_unit_test(test_paused),
		cmocka_unit_test(test_giving_up),
		cmocka_unit_test(test_doubt_and_remote),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
