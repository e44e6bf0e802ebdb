/* repo.h - one bare mirror per repository, and the tree of one commit written out to a folder.
 *
 * libgit2 over HTTP(S); the token goes through the credential callback only, and only to the host
 * and port of the URL. No hooks, filters, attributes or submodules are honoured, and Git LFS files
 * stay pointers; symbolic links that leave the folder, special names (.git in any spelling, "..",
 * names with a slash) and too many or too large files are refused. The only module (repo*.c) that
 * knows libgit2. Any thread; one mirror is used by one thread at a time (locked inside). A program
 * that calls repo_checkout or repo_program_main is linked with libgit2; the daemon does not. */
#ifndef KF_SERVICES_REPO_H
#define KF_SERVICES_REPO_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

struct repo_store;

struct repo_limits {
	int64_t file_bytes_max;	 /* one file; 0: 100 MiB */
	int64_t tree_bytes_max;	 /* all files; 0: 1 GiB */
	int64_t files_max;	 /* 0: 50,000 */
	int64_t fetch_bytes_max; /* received in one fetch; 0: 2 GiB */
	int fetch_timeout_ms;	 /* 0: 10 min */
	bool allow_http;	 /* plain http beyond loopback; for servers inside a cluster */
	const char *ca_file;	 /* PEM, instead of the system's, for the whole process */
	const char *program;	 /* kfops-checkout, for repo_checkout_apart */
};

/* `dir` holds the mirrors, one folder per host and repository id; made when absent. `limits` may be
 * NULL. CONFIG when the folder cannot be used. No network, and libgit2 is loaded by the first
 * checkout. */
enum err_class repo_store_open(struct repo_store **out, const char *dir,
			       const struct repo_limits *limits, struct err *err) MUST_CHECK;
void repo_store_close(struct repo_store *take_store);

/* Makes fetches under way in any thread, and those that follow, fail soon; for shutdown. */
void repo_store_abort(struct repo_store *store);

struct repo_request {
	int64_t repo_id;
	const char *url;   /* "https://github.com/o/r.git", without credentials */
	const char *token; /* NULL: none */
	const char *ref;   /* "refs/pull/7/head" */
	const char *sha;   /* must be reachable from ref, and is what is written out */
	const char *dest;  /* folder, made 0700; must not exist or be empty */
};
struct repo_tree {
	int64_t files, bytes;
	bool fetched; /* false: the mirror had the commit already */
};

/* Fetches when the mirror cannot show that the SHA belongs to the ref, checks that it does, writes
 * the tree. A SHA belongs to a ref when it is reachable from where the ref points now, or from
 * where this mirror has once seen it point: after a force-push the replaced commits stay usable if
 * they had been fetched before, and are refused if not. GitHub's refs/pull/N/head can lag a push by
 * seconds. Codes: "repo.sha_not_in_ref" (CONFLICT), "repo.too_large", "repo.too_many_files",
 * "repo.bad_path", "repo.bad_object" (USER), "repo.ref_missing" and "repo.missing" (NOT_FOUND),
 * "repo.bad_url", "repo.tls" (CONFIG); DENIED and TRANSIENT from the transport. Half-written
 * folders are removed. */
enum err_class repo_checkout(struct repo_store *store, const struct repo_request *request,
			     struct repo_tree *out, struct err *err) MUST_CHECK;

/* The same by a short-lived process of its own, as the daemon does it: libgit2, the libraries that
 * come with it and what they read from the network have neither the daemon's memory nor its
 * secrets; the token goes through a socket. CONFIG "repo.program" when it cannot be started,
 * TRANSIENT when it ends without an answer. */
enum err_class repo_checkout_apart(struct repo_store *store, const struct repo_request *request,
				   struct repo_tree *out, struct err *err) MUST_CHECK;

/* Where kfops-checkout is: beside this program, or in ../libexec/kfops. CONFIG "repo.program" when
 * in neither. The caller frees. */
enum err_class repo_program_find(char **out, struct err *err) MUST_CHECK;

/* What kfops-checkout does: reads a request from the descriptor, does it, writes the answer. The
 * exit code. */
int repo_program_main(int fd);

/* Removes a folder and everything below, without following links and whatever its depth. */
void repo_remove_tree(const char *dir);

/* Deletes mirrors unused for longer than that, and what an interrupted removal left behind. */
void repo_store_prune(struct repo_store *store, int64_t unused_ms);

/* Reads a regular file below `root` without following symbolic links out of it; at most `max`
 * bytes. NOT_FOUND, USER "repo.bad_path" and "repo.too_large". The caller frees; a NUL follows the
 * bytes. */
enum err_class repo_read_file(const char *root, const char *path, size_t max, char **out,
			      size_t *out_len, struct err *err) MUST_CHECK;

#endif
