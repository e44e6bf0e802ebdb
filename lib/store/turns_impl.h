/* turns_impl.h - whose turn it is, for the files of lib/store: jobs at their pull request and their
 * environment, repositories at the workers, and installations with their repositories in the
 * outbox. See queue_work.c, environments.c, queue_turn.c and outbox_next.c. */
#ifndef KF_STORE_TURNS_IMPL_H
#define KF_STORE_TURNS_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/base/err.h"
#include "lib/core/job.h"
#include "lib/store/db.h"

/* Who was served last, by urgency: which installation, and in each which repository. */
struct outbox_turns {
	int64_t installation_id[3];
	bool final_first; /* an answer at once was sent last */
	struct outbox_place {
		int64_t installation_id, repo_id[3];
	} * places;
	size_t place_count;
};

/* The repository whose turn it is to have a job claimed; NOT_FOUND, quietly: none, then
 * *next_due_ms as of queue_claim. */
enum err_class store_turn(struct db *db, int64_t now_ms, int64_t in_hand_max, int64_t *repo_id,
			  int64_t *next_due_ms, struct err *err) MUST_CHECK;

/* Gives the turn of a pull request to the first job in line, unless a job that has started holds
 * it. */
enum err_class store_arrange(struct db *db, int64_t repo_id, int64_t pr, int64_t now_ms,
			     struct err *err) MUST_CHECK;

/* What follows from the end of a job, whoever ended it: the reaction, the commands after it in its
 * comment, the turns of its pull request and of its environment. */
struct store_group {
	bool keep_going, read_only, is_repeat;
};
enum err_class store_after_end(struct db *db, const struct job *job,
			       const struct store_group *group, int64_t now_ms,
			       struct err *err) MUST_CHECK;

/* A job that has ended leaves the line of its environment, and those behind it look again. */
enum err_class store_leave_line(struct db *db, int64_t job_id, int64_t now_ms,
				struct err *err) MUST_CHECK;
/* A job has parked in the line because of what it was told a moment ago. When that is no longer
 * true, nobody would wake it: the line is woken once more. */
enum err_class store_stay_in_line(struct db *db, const struct job *job, const char *environment,
				  const json_t *told, int64_t now_ms, struct err *err) MUST_CHECK;

#endif
