/* test_watch.c - when a model is given up while its share of the traffic is held. A hold is written
 * as its looks, a letter each: g good, b the sample answered badly, r no longer ready, x not ready
 * and bad, s the repository has no sample, c a container was started anew, u the pods could not be
 * asked, p a pod went away with its restart. */
#include "lib/core/watch.h"
#include "tests/unit/cases.h"

#include "lib/base/str.h"

static const struct {
	const char *name, *looks;
	enum watch_verdict want; /* of the last look; those before it give nothing up */
	const char *told;
} cases[] = {
	{"one good look", "g", WATCH_GOOD, NULL},
	{"a long good hold", "ggggggg", WATCH_GOOD, NULL},
	{"one blip", "gggb", WATCH_DOUBT, NULL},
	{"one blip, then well", "gggbg", WATCH_GOOD, NULL},
	{"the first answer is bad", "b", WATCH_DOUBT, NULL},
	{"twice in a row", "gggggbb", WATCH_BAD_SAMPLE,
	 "2 of 7 sample requests failed at 10 %: why"},
	{"from the first on", "bb", WATCH_BAD_SAMPLE, "2 of 2 sample requests failed at 10 %: why"},
	{"two blips apart", "gggbgggggbg", WATCH_GOOD, NULL},
	{"now and then, at first too few to tell", "bgbg", WATCH_GOOD, NULL},
	{"every third", "gbggbg", WATCH_BAD_SAMPLE, "2 of 6 sample requests failed at 10 %: why"},
	{"every second of few", "gbgbgb", WATCH_BAD_SAMPLE, NULL},
	{"every fourth or fifth", "gbggggbg", WATCH_GOOD, NULL},
	{"not ready once", "gr", WATCH_DOUBT, NULL},
	{"not ready once, then well", "grg", WATCH_GOOD, NULL},
	{"not ready at two looks", "grr", WATCH_NOT_READY,
	 "the new model was not ready any more at 10 %: why"},
	{"not ready, then a bad answer", "grb", WATCH_DOUBT, NULL},
	{"both at once", "gxx", WATCH_BAD_SAMPLE, NULL},
	{"started anew", "gc", WATCH_RESTARTED,
	 "a container of the new model was started anew at 10 %: why"},
	{"started anew, seen later", "guuc", WATCH_RESTARTED, NULL},
	{"started anew before anybody looked", "c", WATCH_RESTARTED, NULL},
	{"a pod that had been started anew went away", "gpgg", WATCH_GOOD, NULL},
	{"another was started anew after that", "gpc", WATCH_RESTARTED, NULL},
	{"pods that cannot be asked", "uuuu", WATCH_GOOD, NULL},
	{"no sample", "ssss", WATCH_GOOD, NULL},
	{"no sample, and started anew", "ssc", WATCH_RESTARTED, NULL},
};

enum { BEFORE = 1 }; /* restarts while it was loaded */

static struct watch_look look_of(char kind, int64_t *restarts)
{
	*restarts += (kind == 'c') - (kind == 'p');
	return (struct watch_look){
		.ready = kind != 'r' && kind != 'x',
		.asked = kind != 's',
		.good = kind != 'b' && kind != 'x',
		.took_ms = kind == 'x' ? -1 : 80,
		.restarts = kind == 'u' ? -1 : *restarts,
	};
}

static void judges(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct watch_tally tally = {.restarts = BEFORE};
		AUTO_BUF struct buf told = buf_make(200);
		enum watch_verdict verdict = WATCH_GOOD;
		int64_t restarts = BEFORE;

		for (const char *at = cases[i].looks; *at; at++) {
			struct watch_look look = look_of(*at, &restarts);

			if (watch_gives_up(verdict))
				fail_msg("%s: given up before look %td", cases[i].name,
					 at - cases[i].looks + 1);
			verdict = watch_judge(&tally, &look);
		}
		if (verdict != cases[i].want)
			fail_msg("%s: %d", cases[i].name, (int)verdict);
		assert_int_equal(tally.looks, strlen(cases[i].looks));
		if (cases[i].told && watch_gives_up(verdict)) {
			watch_tell(&told, verdict, &tally, 10, "why");
			assert_string_equal(buf_text(&told), cases[i].told);
		}
	}
}

static void tells_what_was_asked(void **state)
{
	static const struct {
		struct watch_tally tally;
		const char *want;
	} told[] = {
		{{.asked = 0}, ""},
		{{.asked = 1}, "1 sample request was answered well"},
		{{.asked = 7}, "7 sample requests were answered well"},
		{{.asked = 7, .failed = 1}, "1 of 7 sample requests failed"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		AUTO_BUF struct buf text = buf_make(100);

		watch_tell_samples(&text, &told[i].tally);
		assert_string_equal(buf_text(&text), told[i].want);
	}
}

/* Where the pods could never be asked before, the first number is the one to compare with. */
static void the_first_number_is_known_late(void **state)
{
	struct watch_tally tally = {.restarts = -1};
	struct watch_look look = {.ready = true, .restarts = -1};

	(void)state;
	assert_int_equal(watch_judge(&tally, &look), WATCH_GOOD);
	look.restarts = 3;
	assert_int_equal(watch_judge(&tally, &look), WATCH_GOOD);
	look.restarts = 4;
	assert_int_equal(watch_judge(&tally, &look), WATCH_RESTARTED);
	assert_int_equal(tally.restarted, 1);
}

static void keeps_the_slowest(void **state)
{
	struct watch_tally tally = {.restarts = -1};
	struct watch_look look = {.ready = true, .asked = true, .good = true, .restarts = -1};

	(void)state;
	look.took_ms = 900;
	assert_int_equal(watch_judge(&tally, &look), WATCH_GOOD);
	look.took_ms = 40;
	assert_int_equal(watch_judge(&tally, &look), WATCH_GOOD);
	assert_int_equal(tally.slowest_ms, 900);
}

static const struct CMUnitTest watch[] = {
	cmocka_unit_test(judges),
	cmocka_unit_test(tells_what_was_asked),
	cmocka_unit_test(the_first_number_is_known_late),
	cmocka_unit_test(keeps_the_slowest),
};

CASES_MAIN(watch, NULL, NULL)
