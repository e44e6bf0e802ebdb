/* Who may: the full table of rights against persons, and everything that is missing or does not
 * fit. */
#include "lib/core/policy_decide.h"

#include "tests/unit/cases.h"

enum { ME = 1000001, ROWS = RIGHT_ADMIN + 1 };

/* A letter per right that is allowed: a(nyone) r(ead) t(riage) w(rite) m(aintain) A(dmin). */
static const struct {
	const char *name;
	struct policy_person person;
	const char *allowed;
} persons[] = {
	{"stranger", {.user_id = ME}, "a"},
	{"reader", {.user_id = ME, .pull = true}, "ar"},
	{"triager", {.user_id = ME, .pull = true, .triage = true}, "art"},
	{"writer", {.user_id = ME, .pull = true, .triage = true, .push = true}, "artw"},
	{"maintainer",
	 {.user_id = ME, .pull = true, .triage = true, .push = true, .maintain = true},
	 "artwm"},
	{"admin", {ME, true, true, true, true, true}, "artwmA"},
	{"admin without push in the answer", {.user_id = ME, .admin = true}, "aA"},
	{"push without pull in the answer", {.user_id = ME, .push = true}, "aw"},
	{"attack 25: login taken by another account", {ME + 1, true, true, true, true, true}, "a"},
	{"answer without an id", {0, true, true, true, true, true}, "a"},
	{"answer with a negative id", {-ME, true, true, true, true, true}, "a"},
};

static void test_table(void **state)
{
	static const char letters[] = "artwmA";

	(void)state;
	for (size_t i = 0; i < sizeof persons / sizeof persons[0]; i++)
		for (int right = 0; right < ROWS; right++) {
			bool want = strchr(persons[i].allowed, letters[right]) != NULL;
			const char *why = "unset";

			print_message("%s: %s\n", persons[i].name, right_name(right));
			assert_int_equal(policy_allows(right, &persons[i].person, ME, &why), want);
			assert_int_equal(why == NULL, want);
		}
}

static void test_nothing_known(void **state)
{
	static const struct policy_person admin = {0, true, true, true, true, true};
	const char *why;

	(void)state;
	for (int right = RIGHT_READ; right < ROWS; right++) {
		assert_false(policy_allows(right, NULL, ME, &why));
		assert_non_null(strstr(why, "could not be verified"));
		assert_false(policy_allows(right, &admin, 0, &why));
		assert_false(policy_allows(right, &admin, -1, &why));
	}
	assert_true(policy_allows(RIGHT_ANYONE, NULL, 0, &why));
}

static void test_says_why(void **state)
{
	static const struct policy_person reader = {.user_id = ME, .pull = true};
	const char *why;

	(void)state;
	assert_false(policy_allows(RIGHT_WRITE, &reader, ME, &why));
	assert_string_equal(
		why,
		"This needs write permission on this repository, which its maintainers can give.");
	assert_false(policy_allows(RIGHT_READ, &reader, ME + 1, &why));
	assert_non_null(strstr(why, "account"));
}

static void test_unknown_right(void **state)
{
	static const struct policy_person admin = {ME, true, true, true, true, true};
	const char *why;

	(void)state;
	assert_false(policy_allows((enum right)99, &admin, ME, &why));
	assert_non_null(why);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_table),
	cmocka_unit_test(test_nothing_known),
	cmocka_unit_test(test_says_why),
	cmocka_unit_test(test_unknown_right),
};

CASES_MAIN(tests, NULL, NULL)
