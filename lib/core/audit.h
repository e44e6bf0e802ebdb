/* audit.h - the record of who was allowed or refused what, and of what was changed: its rows, what
 * they say of an effect, and the chain that they form.
 *
 * The digest of a row is the SHA-256 of its canonical form, which begins with the digest of the row
 * before: from a row that was changed, taken out or put in, nothing fits any more. The form is
 * written down in docs/operations.md, so that others can verify it, too. Whoever keeps the newest
 * digest elsewhere also sees when rows are missing at the end. Pure; any thread. */
#ifndef KF_CORE_AUDIT_H
#define KF_CORE_AUDIT_H

#include <stdint.h>

#include "lib/core/job.h"

enum { AUDIT_DIGEST_LEN = 32, AUDIT_TEXT_MAX = 400 };

/* Texts are borrowed; NULL counts as "". */
struct audit_row {
	int64_t no; /* 1, 2, 3, ... without gaps */
	int64_t at_ms;
	int64_t actor_id; /* GitHub's number of the person; the login may change hands */
	const char *actor;
	const char *command;
	const char *decision; /* one of audit_word, or the name of a job's final state */
	const char *code;     /* the reason, or the rule that allowed it */
	const char *sha;
	int64_t repo_id;
	const char *repo;
	int64_t pr;
	int64_t job_id;	    /* 0: none was made */
	const char *effect; /* its name; "": the row is about the job itself */
	const char *before;
	const char *after;
	unsigned char
		previous[AUDIT_DIGEST_LEN]; /* digest of the row before; zeros for the first */
	unsigned char digest[AUDIT_DIGEST_LEN];
};

#define AUDIT_AUTHORIZED "authorized"
#define AUDIT_REFUSED	 "refused"
#define AUDIT_INTENT	 "intent"  /* about to change something outside */
#define AUDIT_DONE	 "done"	   /* it is changed */
#define AUDIT_FAILED	 "failed"  /* it is not */
#define AUDIT_UNCLEAR	 "unclear" /* nobody knows yet: looked for before the next try */

/* Of everything but `digest`. */
void audit_digest(unsigned char out[AUDIT_DIGEST_LEN], const struct audit_row *row);

/* Cleaned, redacted and cut: as a text may stand in a row. */
void audit_text(char out[AUDIT_TEXT_MAX + 1], const char *text);

/* Is this effect to be in the record as intent and as result? Those on our own tables are recorded
 * by the store itself, in the transaction that makes the change. */
bool audit_covers(enum effect_kind kind);

/* Is there something to be said of this kind? */
bool audit_knows(enum effect_kind kind);

/* What an effect takes the place of, and what it puts there, as "name=value name=value". `result`
 * NULL: it is only intended. */
void audit_describe(char before[AUDIT_TEXT_MAX + 1], char after[AUDIT_TEXT_MAX + 1],
		    const struct job *job, const struct effect *effect, const json_t *result);

#endif
