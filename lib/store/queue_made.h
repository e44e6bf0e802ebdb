/* queue_made.h - what jobs have made at Kubeflow, as later jobs ask for it. A part of queue.h with
 * the same rules; readers. */
#ifndef KF_STORE_QUEUE_MADE_H
#define KF_STORE_QUEUE_MADE_H

#include "lib/store/queue.h"

/* What a job of the pull request uploaded to Kubeflow as the version of this id: the commit, the
 * SHA-256 of the file and the digest of what Kubeflow made of it. NOT_FOUND: none did, as far as
 * jobs are kept. */
struct queue_upload {
	char head_sha[65];
	char sha256[65];
	char content[65];
};
enum err_class queue_find_upload(struct db *db, int64_t repo_id, int64_t pr, const char *version_id,
				 struct queue_upload *out, struct err *err) MUST_CHECK;

/* The name of the version that a job of the pull request built of this commit last; the caller
 * frees. NOT_FOUND as above. */
enum err_class queue_newest_upload(struct db *db, int64_t repo_id, int64_t pr, const char *sha,
				   char **out_name, struct err *err) MUST_CHECK;

/* A run that we made: the one of that id in this repository, else (run_id NULL) the newest that
 * succeeded at `sha` on the pull request. {"id","link","pr","sha","state","job","stores" of its
 * pipeline if there are any,"metrics" if they were recorded,"digest" of its model as the run left
 * it, or else as it was deployed first}; NOT_FOUND. */
enum err_class queue_find_run(struct db *db, int64_t repo_id, int64_t pr, const char *sha,
			      const char *run_id, json_t **out, struct err *err) MUST_CHECK;

#endif
