/* policy_sound.h - what must hold of every decision, whatever the policy says. Written against the
 * description of ceilings, not against policy_decide.c; used by the unit test and the fuzz target.
 */
#ifndef KF_TESTS_POLICY_SOUND_H
#define KF_TESTS_POLICY_SOUND_H

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/core/policy_decide.h"

static inline bool sound_has(const struct policy_person *person, enum right right)
{
	const bool has[] = {true,	  person->pull,	    person->triage,
			    person->push, person->maintain, person->admin};

	return (size_t)right < sizeof has / sizeof has[0] && has[right];
}

static inline bool sound_named(char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(names[i], name))
			return true;
	return false;
}

/* The ceiling is about the command: by its name, its rule's, or that of a part. */
static inline bool sound_applies(const struct policy_ceiling *ceiling,
				 const struct policy_question *question)
{
	const struct command *command = question->command;
	bool named = !ceiling->command_count ||
		     sound_named(ceiling->commands, ceiling->command_count, command->name) ||
		     sound_named(ceiling->commands, ceiling->command_count, command->rule);

	for (const char *const *part = command->parts; part && *part; part++)
		named |= sound_named(ceiling->commands, ceiling->command_count, *part);
	return named && command->scope != SCOPE_ALWAYS &&
	       (!ceiling->environment_count ||
		(command->scope == SCOPE_ENVIRONMENT &&
		 sound_named(ceiling->environments, ceiling->environment_count,
			     question->environment)));
}

/* Nobody comes past a ceiling, and nobody who is not who they say. */
static inline void policy_sound(const struct policy *policy, const struct policy_ceilings *ceilings,
				const struct policy_question *question,
				const struct policy_decision *decision)
{
	bool passed =
		decision->verdict == POLICY_ALLOW || decision->verdict == POLICY_NEEDS_APPROVAL;
	bool always = question->command->scope == SCOPE_ALWAYS;
	bool fork = question->origin == POLICY_ORIGIN_FORK ||
		    question->origin == POLICY_ORIGIN_FORK_BUILD ||
		    question->origin == POLICY_ORIGIN_FORK_OK ||
		    question->origin == POLICY_ORIGIN_UNKNOWN;

	must((decision->verdict == POLICY_ALLOW) == str_eq(decision->code, ""));
	must(passed || decision->sentence[0]);
	must(str_utf8_cut(decision->sentence, strlen(decision->sentence)) ==
	     strlen(decision->sentence));
	if (!passed)
		return;
	must(question->command->right == RIGHT_ANYONE ||
	     (question->person && question->actor_id > 0 &&
	      question->person->user_id == question->actor_id));
	must(always || !policy->fault_count);
	must(!question->command->right_is_least ||
	     sound_has(question->person, question->command->right));
	must(decision->verdict != POLICY_ALLOW || question->origin != POLICY_ORIGIN_FORK ||
	     !question->command->uses); /* not without a maintainer's word */
	for (size_t i = 0; i < ceilings->count && !always; i++) {
		const struct policy_ceiling *ceiling = &ceilings->items[i];

		must(!(ceiling->forks == POLICY_FORK_NEVER && fork && question->command->uses));
		if (!sound_applies(ceiling, question))
			continue;
		must(sound_has(question->person, ceiling->permission));
		if (str_eq(question->command->rule, "deploy"))
			must(decision->approvals >= ceiling->approvals);
		if (decision->verdict == POLICY_ALLOW)
			must(decision->approvals <= question->approvals);
	}
}

#endif
