/* test_approvals.c - whose approval counts. Numbers are those of docs/faults.md and of attacks:
 * self-approval, weak approvers, older commits, dismissed and changed reviews. */
#include "tests/unit/cases.h"

#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/core/approvals.h"

#define SHA "9f8e7d6c5b4a39281706f5e4d3c2b1a098765432"
#define OLD "1111111111111111111111111111111111111111"

enum { ANN = 1, BEN = 2, CAT = 3, DAN = 4, EVE = 5 }; /* ann opened it and wrote the commit */

/* "ben approves; cat changes old; dan command": who, what, of which commit, with which right. */
static const struct {
	const char *name;
	const char *acts;
	int need;
	const char *authors; /* "": ann */
	bool only_commands, unknown_authors, cut, unknown_base;
	int64_t base_changed_at_ms; /* acts are at 1000, 2000, ... */
	int64_t requester_id;	    /* 0: dan */
	int have;
	enum fact enough, changes;
	const char *why; /* of the first who does not count, or what is unknown */
} cases[] = {
	{.name = "nobody", .acts = "", .need = 1, .enough = FACT_NO, .changes = FACT_NO},
	{.name = "none is needed", .acts = "", .need = 0, .enough = FACT_YES, .changes = FACT_NO},
	{.name = "one of one",
	 .acts = "ben approves",
	 .need = 1,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_NO},
	{.name = "one of two",
	 .acts = "ben approves",
	 .need = 2,
	 .have = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO},
	{.name = "two of two, one by a command",
	 .acts = "ben approves; cat command",
	 .need = 2,
	 .have = 2,
	 .enough = FACT_YES,
	 .changes = FACT_NO},
	{.name = "one person twice is one",
	 .acts = "ben approves; ben command",
	 .need = 2,
	 .have = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO},
	{.name = "a comment after it changes nothing",
	 .acts = "ben approves; ben comments",
	 .need = 1,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_NO},
	{.name = "who opened the pull request",
	 .acts = "ann command",
	 .need = 1,
	 .authors = "cat",
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "opened the pull request"},
	{.name = "who wrote the commit",
	 .acts = "cat approves",
	 .need = 1,
	 .authors = "cat",
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "is author of the commit"},
	{.name = "who committed it",
	 .acts = "cat command",
	 .need = 1,
	 .authors = "ann cat",
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "is committer of the commit"},
	{.name = "who is a co-author",
	 .acts = "eve approves",
	 .need = 1,
	 .authors = "ann ann eve",
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "is co-author of the commit"},
	{.name = "who asked for it",
	 .acts = "ben command",
	 .need = 1,
	 .requester_id = BEN,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "asked for it"},
	{.name = "who may only read",
	 .acts = "ben approves weak",
	 .need = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "may not approve here"},
	{.name = "whose right GitHub did not tell",
	 .acts = "ben approves unsure",
	 .need = 1,
	 .enough = FACT_UNKNOWN,
	 .changes = FACT_NO,
	 .why = "GitHub did not say"},
	{.name = "a right that is not needed may stay unknown",
	 .acts = "ben approves unsure; cat approves",
	 .need = 1,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_NO,
	 .why = "GitHub did not say"},
	{.name = "whom the policy does not name",
	 .acts = "ben approves other; cat approves",
	 .need = 2,
	 .have = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "is not one of the approvers"},
	{.name = "who may not say yes may say no",
	 .acts = "ben changes other; cat approves",
	 .need = 1,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_YES,
	 .why = "is not one of the approvers"},
	{.name = "a reader says no",
	 .acts = "ben changes weak; cat approves",
	 .need = 1,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_NO,
	 .why = "may not approve here"},
	{.name = "a team that GitHub does not show",
	 .acts = "ben approves hidden",
	 .need = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "is perhaps in the team `ml-leads`, which GitHub does not show"},
	{.name = "an older commit",
	 .acts = "ben approves old",
	 .need = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "approved another commit, `1111111`"},
	{.name = "an older commit, then this one",
	 .acts = "ben approves old; ben approves",
	 .need = 1,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_NO},
	{.name = "this commit, then an older one",
	 .acts = "ben approves; ben approves old",
	 .need = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "approved another commit"},
	{.name = "a review without a commit",
	 .acts = "ben approves none",
	 .need = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "approved no commit"},
	{.name = "dismissed",
	 .acts = "ben dismissed",
	 .need = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "was dismissed"},
	{.name = "an approval before a dismissed one does not come back",
	 .acts = "ben approves; ben dismissed",
	 .need = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "was dismissed"},
	{.name = "dismissed, then approved again",
	 .acts = "ben dismissed; ben command",
	 .need = 1,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_NO},
	{.name = "changes requested after it",
	 .acts = "ben approves; ben changes",
	 .need = 1,
	 .enough = FACT_NO,
	 .changes = FACT_YES,
	 .why = "asks for changes"},
	{.name = "changes requested by another",
	 .acts = "ben approves; cat changes",
	 .need = 1,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_YES,
	 .why = "asks for changes"},
	{.name = "changes requested of an older commit stand",
	 .acts = "cat changes old; ben approves",
	 .need = 1,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_YES},
	{.name = "changes requested, then approved",
	 .acts = "ben changes; ben approves",
	 .need = 1,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_NO},
	{.name = "a stranger cannot stop it",
	 .acts = "ben approves; eve changes weak",
	 .need = 1,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_NO,
	 .why = "may not approve here"},
	{.name = "who may stop it is not known",
	 .acts = "ben approves; eve changes unsure",
	 .need = 1,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_UNKNOWN},
	{.name = "a bot",
	 .acts = "bot approves",
	 .need = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "is not a person"},
	{.name = "accounts that are gone",
	 .acts = "ghost approves; ghost approves",
	 .need = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "is an account that is gone"},
	{.name = "reviews where only commands count",
	 .acts = "ben approves; cat command",
	 .need = 2,
	 .only_commands = true,
	 .have = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "by a review, which does not count"},
	{.name = "a request for changes counts even there",
	 .acts = "ben command; cat changes",
	 .need = 1,
	 .only_commands = true,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_YES},
	{.name = "nobody knows who wrote it",
	 .acts = "ben approves",
	 .need = 1,
	 .unknown_authors = true,
	 .enough = FACT_UNKNOWN,
	 .changes = FACT_NO,
	 .why = "who wrote the commit"},
	{.name = "an author without an account",
	 .acts = "ben approves",
	 .need = 1,
	 .authors = "ann ann ghost",
	 .enough = FACT_UNKNOWN,
	 .changes = FACT_NO,
	 .why = "which account the co-author ghost of the commit is"},
	{.name = "before the base was changed",
	 .acts = "ben approves; cat command",
	 .need = 2,
	 .base_changed_at_ms = 1500,
	 .have = 1,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "approved before the base branch was changed"},
	{.name = "in the second in which it was changed",
	 .acts = "ben command",
	 .need = 1,
	 .base_changed_at_ms = 1000,
	 .enough = FACT_NO,
	 .changes = FACT_NO,
	 .why = "approved before the base branch was changed"},
	{.name = "approved once more, for the new base",
	 .acts = "ben approves; ben approves",
	 .need = 1,
	 .base_changed_at_ms = 1500,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_NO},
	{.name = "changes that were asked for before it was changed",
	 .acts = "ben changes; cat approves",
	 .need = 1,
	 .base_changed_at_ms = 1500,
	 .have = 1,
	 .enough = FACT_YES,
	 .changes = FACT_YES},
	{.name = "nobody can tell whether it was changed",
	 .acts = "ben approves",
	 .need = 1,
	 .unknown_base = true,
	 .enough = FACT_UNKNOWN,
	 .changes = FACT_NO,
	 .why = "whether the base branch was changed"},
	{.name = "more reviews than were read",
	 .acts = "ben approves",
	 .need = 1,
	 .cut = true,
	 .enough = FACT_UNKNOWN,
	 .changes = FACT_UNKNOWN,
	 .why = "all reviews"},
};

static int64_t number_of(const char *name)
{
	static const char *const names[] = {"ghost", "ann", "ben", "cat", "dan", "eve", "bot"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(names[i], name))
			return (int64_t)i;
	fail_msg("who is %s?", name);
	return 0;
}

static const char *state_of(const char *word)
{
	static const char *const words[][2] = {{"approves", "APPROVED"},
					       {"command", "APPROVED"},
					       {"changes", "CHANGES_REQUESTED"},
					       {"dismissed", "DISMISSED"},
					       {"comments", "COMMENTED"}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eq(words[i][0], word))
			return words[i][1];
	fail_msg("what is %s?", word);
	return "";
}

static json_t *act_of(char *text)
{
	char who[16] = "", what[16] = "", how[16] = "";
	json_t *act = json_object();

	sscanf(text, " %15s %15s %15s", who, what, how);
	jval_set_int(act, "id", number_of(who));
	jval_set_str(act, "login", who);
	jval_set_str(act, "state", state_of(what));
	jval_set_bool(act, "command", str_eq(what, "command"));
	jval_set_bool(act, "bot", str_eq(who, "bot"));
	if (!str_eq(how, "none"))
		jval_set_str(act, "sha", str_eq(how, "old") ? OLD : SHA);
	if (str_eq(how, "hidden"))
		jval_set_str(act, "team", "ml-leads");
	if (!str_eq(how, "unsure")) {
		jval_set_bool(act, "push", !str_eq(how, "weak"));
		jval_set_bool(act, "may",
			      !str_eq(how, "weak") && !str_eq(how, "other") &&
				      !str_eq(how, "hidden"));
	}
	return act;
}

static json_t *data_of(size_t i)
{
	static const char *const roles[] = {"author", "committer", "co-author"};
	json_t *data = json_object(), *acts = json_array(), *authors = json_array();
	char text[256], *save = NULL;
	size_t at = 0;

	str_copy(text, sizeof text, cases[i].acts);
	for (char *act = strtok_r(text, ";", &save); act; act = strtok_r(NULL, ";", &save)) {
		json_t *one = act_of(act);

		jval_set_int(one, "at_ms", 1000 * (int64_t)(json_array_size(acts) + 1));
		json_array_append_new(acts, one);
	}
	str_copy(text, sizeof text, cases[i].authors ? cases[i].authors : "ann");
	for (char *who = strtok_r(text, " ", &save); who; who = strtok_r(NULL, " ", &save)) {
		json_t *author = json_object();

		jval_set_int(author, "id", number_of(who));
		jval_set_str(author, "name", who);
		jval_set_str(author, "role", roles[at++]);
		json_array_append_new(authors, author);
	}
	jval_set(data, "acts", acts);
	jval_set(data, "authors", authors);
	jval_set_bool(data, "authors_known", !cases[i].unknown_authors);
	jval_set_bool(data, "complete", !cases[i].cut);
	if (!cases[i].unknown_base)
		jval_set_int(data, "base_changed_at_ms", cases[i].base_changed_at_ms);
	return data;
}

static void judge_case(size_t i)
{
	AUTO_JSON json_t *data = data_of(i);
	AUTO_FREE struct approvals_room *room = mem_new(1, sizeof *room);
	struct approval_facts facts;
	struct approvals found;
	const char *why = "";

	approvals_read(&facts, room, data);
	facts.sha = SHA;
	facts.need = cases[i].need;
	facts.reviews_count = !cases[i].only_commands;
	facts.requester_id = cases[i].requester_id ? cases[i].requester_id : DAN;
	facts.pull_author_id = ANN;
	approvals_judge(&found, &facts);
	for (size_t at = found.voice_count; at-- > 0;)
		if (!found.voices[at].counts)
			why = found.voices[at].why;
	if (found.have != cases[i].have || found.need != cases[i].need ||
	    found.enough != cases[i].enough || found.changes_requested != cases[i].changes ||
	    (cases[i].why && !strstr(why, cases[i].why)))
		fail_msg("%s: %d of %d, enough %d, changes %d, \"%s\"", cases[i].name, found.have,
			 found.need, found.enough, found.changes_requested, why);
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		judge_case(i);
}

/* Nothing handed in passes nothing. */
static void test_zeroed_facts_deny(void **state)
{
	struct approval_facts facts = {.need = 1};
	struct approvals found;

	(void)state;
	approvals_judge(&found, &facts);
	assert_int_equal(found.enough, FACT_UNKNOWN);
	assert_int_equal(found.changes_requested, FACT_UNKNOWN);
	approvals_read(&facts, &(struct approvals_room){0}, NULL);
	assert_false(facts.authors_known || facts.acts_complete);
}

/* More acts and people than are kept: what is told is cut, what counts is not, and what was not
 * read is not complete. */
static void test_many(void **state)
{
	AUTO_FREE struct approvals_room *room = mem_new(1, sizeof *room);
	AUTO_JSON json_t *data = json_object();
	json_t *acts = json_array(), *authors = json_array();
	struct approval_facts facts;
	struct approvals found;

	(void)state;
	json_array_append_new(authors,
			      json_pack("{s:i,s:s,s:s}", "id", 1, "name", "ann", "role", "author"));
	jval_set(data, "acts", acts);
	jval_set(data, "authors", authors);
	jval_set_bool(data, "authors_known", true);
	jval_set_bool(data, "complete", true);
	jval_set_int(data, "base_changed_at_ms", 0);
	for (int i = 0; i < APPROVALS_ACTS_MAX; i++)
		json_array_append_new(acts,
				      json_pack("{s:s,s:i,s:s,s:s,s:b}", "state", "APPROVED", "id",
						100 + i, "login", "x", "sha", SHA, "may", 1));
	approvals_read(&facts, room, data);
	facts.sha = SHA;
	facts.reviews_count = true;
	facts.need = APPROVALS_ACTS_MAX;
	approvals_judge(&found, &facts);
	assert_int_equal(found.have, APPROVALS_ACTS_MAX);
	assert_int_equal(found.voice_count, APPROVALS_VOICES_MAX);
	assert_int_equal(found.enough, FACT_YES);
	json_array_append_new(acts, json_object());
	approvals_read(&facts, room, data);
	assert_false(facts.acts_complete);
}

static const struct CMUnitTest group[] = {
	cmocka_unit_test(test_cases),
	cmocka_unit_test(test_zeroed_facts_deny),
	cmocka_unit_test(test_many),
};

CASES_MAIN(group, NULL, NULL)
