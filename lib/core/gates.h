/* gates.h - may this commit be deployed now: one pure function over facts that others gathered.
 *
 * Every fact is unknown until somebody sets it, and an unknown fact denies: zeroed memory passes
 * nothing. The gates are asked in the order of gates.def; /plan shows all verdicts, /deploy acts on
 * the first that does not pass. Pure; any thread. */
#ifndef KF_CORE_GATES_H
#define KF_CORE_GATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gate {
#define GATE(symbol, name, asks, forced) GATE_##symbol,
#include "lib/core/gates.def"
#undef GATE
	GATE_COUNT
};
const char *gate_name(enum gate gate); /* "up_to_date" */
const char *gate_asks(enum gate gate); /* "has the branch all of its base" */

enum fact {
	FACT_UNKNOWN, /* could not be verified: denies */
	FACT_NO,
	FACT_YES,
	FACT_UNUSED, /* the policy does not ask for it: skipped */
};

enum { GATE_SENTENCE_MAX = 400, GATE_LINE_MAX = 200 };

enum gate_lock { LOCK_UNKNOWN, LOCK_FREE, LOCK_OURS, LOCK_HELD };

/* Texts are borrowed; NULL where there is nothing to say. "YES passes" unless said otherwise. */
struct gate_facts {
	/* the question */
	const char *environment; /* "production" */
	const char *command;	 /* as typed, "/deploy production": for the line to paste */
	const char *sha;	 /* pinned commit, whole */
	const char *pull_author;
	int64_t pull;
	bool merges;		  /* false: --no-merge or policy; gates of the merge are skipped */
	const char *force_reason; /* --force "reason"; NULL: not forced */
	enum fact may_force;	  /* the person has the maintain permission */

	enum fact allowed;	 /* policy: the person may deploy here */
	const char *allowed_why; /* the policy's sentence when not */

	enum fact pull_open, pull_draft, pull_merged,
		pull_conflicts; /* NO passes but for open;
					   conflicts unknown: waits */

	enum fact base_right;
	const char *base, *base_wanted;

	enum fact sha_provable; /* the head at the comment's time is known or was typed */
	enum fact sha_is_head;
	const char *head;	/* of the pull request now */
	const char *sha_before; /* the head before it, where it moved around the comment; NULL */

	enum fact run_found, run_succeeded, run_ours, run_of_pull, run_of_sha;
	const char *run_id, *run_state, *run_sha;

	enum fact model_found, model_fits,
		model_same;		   /* there; runtime's kind; digest as recorded */
	const char *model_uri, *model_why; /* why: one sentence for the first NO */
	bool model_unclear;		   /* not found because there are several */

	enum fact metrics;
	const char *metrics_code;	      /* of the first that is not good enough; static */
	char metrics_said[GATE_SENTENCE_MAX]; /* each with its thresholds; "": not known */

	enum fact approvals;
	int approvals_have, approvals_need;
	const char *approvals_unknown; /* what is not known; NULL */
	char approvals_by[160];	       /* whose count, "one of @acme/ml-leads"; "": no rule */
	const char *changes_by;	       /* login */
	bool approvals_wait;	       /* the job can wait for those that are missing */
	int64_t approvals_job;	       /* for /approve; 0: none */
	enum fact changes_requested;   /* NO passes; asked only when approvals is used */

	enum fact reviews;    /* that rules of the base branch require; UNUSED: none */
	bool reviews_refused; /* NO because a reviewer asked for changes */

	enum fact checks_complete; /* every page was read */
	enum fact checks_passed;   /* NO: failed or missing; see checks_pending */
	bool checks_pending;	   /* some are still going on and none has failed */
	const char *checks_names;  /* those that did not pass, "build, lint" */

	enum fact up_to_date;
	int64_t behind_by;

	enum fact mergeable;	   /* UNKNOWN: GitHub is still working it out, ask again */
	const char *mergeable_why; /* "it conflicts with main" */

	enum fact conversations; /* resolved, where a rule asks for it */
	int64_t threads_open;
	enum fact deployed_before;	/* to the environments that rules name, this one left out */
	const char *deployment_missing; /* the first of them, "staging" */
	bool deploys_what_is_missing;	/* rules name this environment, too */
	enum fact behind_rule;		/* NO passes; a rule wants the branch up to date */
	enum fact blocked;		/* NO passes: GitHub says that rules hold the merge up */
	bool blocked_surely;		/* it has said so for a while */
	const char *other_rules;	/* that may be the cause, "required_signatures" */

	enum fact method_allowed;
	const char *method, *methods; /* "squash", "merge, rebase" */

	enum fact queue_required;   /* both answers pass */
	enum fact in_queue_already; /* NO passes */

	enum fact workflows_touched; /* NO passes */
	enum fact workflows_allowed; /* asked when touched */

	enum fact previous_has_sha;
	const char *previous; /* "staging" */

	enum fact held; /* NO passes */
	const char *held_by, *held_reason;

	enum fact frozen;      /* NO passes */
	char frozen_until[16]; /* "Mon 08:00 UTC"; "": not known */

	enum gate_lock lock;
	const char *lock_holder, *lock_since, *lock_reason; /* login, "09:12 UTC" */
	int64_t lock_pull;				    /* 0: none */
	int64_t lock_job;				    /* our job, for /cancel; 0: none */
	int lock_place;					    /* in the line, from 1; 0: not in it */

	enum fact allowed_again, sha_is_head_again; /* UNUSED both: /plan, not asked yet */
};

/* From GATE_WAITS on it does not go through. */
enum gate_result {
	GATE_PASSED,
	GATE_SKIPPED, /* not asked for */
	GATE_FORCED,  /* it would refuse, but for --force */
	GATE_WAITS,   /* ask again later */
	GATE_FAILED,
	GATE_UNVERIFIED, /* denies as well: a fact could not be learned */
};
const char *gate_result_name(enum gate_result result); /* "passed" */

struct gate_verdict {
	enum gate gate;
	enum gate_result result;
	const char *code;		  /* "deploy.no_run"; "" when passed; static */
	char sentence[GATE_SENTENCE_MAX]; /* Markdown-free; foreign text in it is cut, not escaped
					   */
	char line[GATE_LINE_MAX];	  /* to paste next; "" for none */
};

struct gate_report {
	struct gate_verdict items[GATE_COUNT];
	enum gate first; /* that neither passed nor was skipped; GATE_COUNT: all passed */
	bool forced;	 /* --force skipped something: for the audit log */
};

void gates_ask(struct gate_report *out, const struct gate_facts *facts);

#endif
