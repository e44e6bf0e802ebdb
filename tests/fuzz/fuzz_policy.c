/* fuzz_policy.c - any bytes as a policy file, then every command asked for by every kind of person.
 * The first byte chooses people, places and ceilings; the rest is the file. */
#include <stdint.h>

#include "lib/base/jval.h"
#include "lib/commands/commands.h"
#include "tests/unit/core/policy_sound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_ceilings(struct policy_ceilings *out, unsigned choice)
{
	static const char *const lists[] = {
		"[]",
		"[{\"permission\": \"write\"}, {\"forks\": \"never\"}]",
		"[{\"environments\": [\"production\"], \"teams_required\": true}]",
		"[{\"quota\": \"3/day\", \"quota_repository\": \"9/day\"}]",
	};
	const char *text = lists[choice % ARRAY_LEN(lists)];
	json_t *list = NULL;
	struct err err;

	must(!jval_parse(&list, text, strlen(text), &err));
	policy_ceilings_read(out, list, "acme/model");
	json_decref(list);
}

static void check_file(const struct policy *policy)
{
	struct buf report = buf_make(1 << 20);
	int line = 0;

	policy_report(policy, "p", &report);
	must((policy->fault_count == 0) == (report.len == 0));
	must(str_utf8_cut(buf_text(&report), report.len) == report.len);
	for (size_t i = 0; i < policy->fault_count && i < POLICY_FAULTS_MAX; i++) {
		must(policy->faults[i].line >= line && policy->faults[i].column > 0);
		line = policy->faults[i].line;
	}
	buf_dispose(&report);
}

static void ask(const struct policy *policy, const struct policy_ceilings *ceilings,
		const struct command *command, unsigned choice)
{
	static const struct policy_team teams[] = {{"ml-leads", POLICY_MEMBER_YES},
						   {"ml-eng", POLICY_MEMBER_NO}};
	static const struct policy_use uses[] = {{"run", 2}, {"ceilings[0]", 3}};
	const struct policy_person person = {.user_id = choice & 1 ? 7 : 8,
					     .pull = true,
					     .push = choice & 2,
					     .maintain = choice & 4,
					     .role = "Release manager",
					     .teams = teams,
					     .team_count = choice & 8 ? 2 : 0};
	const struct policy_question question = {
		.command = command,
		.table = &commands,
		.environment = policy_environment_of(command, NULL),
		.actor_id = 7,
		.person = choice & 16 ? &person : NULL,
		.origin = (enum policy_origin)(choice % 6),
		.uses = uses,
		.use_count = choice & 32 ? 2 : 0,
	};
	struct policy_decision decision;

	policy_decide(&decision, policy, ceilings, &question);
	policy_sound(policy, ceilings, &question, &decision);
	json_decref(policy_needs(policy, ceilings, &question));
}

static void count(void *arg, const char *sentence)
{
	must(*sentence);
	++*(size_t *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned choice = size ? data[0] : 0;
	struct policy *policy;
	struct policy_ceilings ceilings;
	size_t cuts = 0;
	int64_t until;

	if (!size)
		return 0;
	policy = policy_read((const char *)data + 1, size - 1, ".github/kfops.yaml", &commands);
	read_ceilings(&ceilings, choice >> 6);
	check_file(policy);
	policy_set_user(policy, "ann", 7);
	for (size_t i = 0; i < commands.count; i++)
		ask(policy, &ceilings, commands.items[i], choice);
	if (policy_is_frozen(policy, "production", (int64_t)choice * 3600000, &until))
		must(!until || until > (int64_t)choice * 3600000);
	policy_cuts(policy, &ceilings, &commands, count, &cuts);
	json_decref(policy_logins(policy));
	policy_ceilings_dispose(&ceilings);
	policy_free(policy);
	return 0;
}
