/* repo_impl.h - what the files of the module repo share. Nobody else includes this.
 *
 * repo_store.c  the store: mirrors, their locks, addresses, pruning
 * repo_apart.c  a checkout by the program kfops-checkout; and what that program does
 * repo.c        one checkout from request to folder
 * repo_fetch.c  one fetch over HTTP(S): credentials, bounds, errors of libgit2 as ours
 * repo_stream.c the sockets below libgit2: time-out, byte count, abort
 * repo_tree.c   a commit's tree written to a folder
 * repo_path.c   names and links: what may be written, where a link leads, removing, reading */
#ifndef KF_SERVICES_REPO_IMPL_H
#define KF_SERVICES_REPO_IMPL_H

#include <git2.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/services/repo_store.h"

enum { REPO_TREE_DEPTH_MAX = 64 };

/* One fetch under way: its bounds, and why it was broken off. */
struct repo_net {
	struct repo_address address;
	const char *token;	  /* NULL: none */
	const atomic_bool *abort; /* of the store */
	int64_t deadline_mono_ms;
	int64_t bytes_left;
	int token_uses;
	bool any_host; /* a proxy stands between */
	bool timed_out, aborted, too_large, wrong_host, denied;
};

/* Registers our sockets with libgit2; once. */
void repo_stream_register(void);

/* The fetch of the calling thread, for the sockets opened by it; NULL: none. */
void repo_stream_use(struct repo_net *net);

/* Brings `ref` of the mirror to where it is on the far side and records that in the reflog. */
enum err_class repo_fetch_ref(git_repository *mirror, const struct repo_request *request,
			      struct repo_net *net, struct err *err) MUST_CHECK;

/* True when sha is reachable from a tip of the ref that this mirror has seen, newest first. */
enum err_class repo_ref_contains(bool *out, git_repository *mirror, const char *ref,
				 const git_oid *sha, struct err *err) MUST_CHECK;

/* The last error of libgit2 as a sentence about the mirror: CORRUPT, or TRANSIENT for a full disk.
 */
enum err_class repo_mirror_error(struct err *err, const char *what);

/* Writes the tree of the commit into the empty folder `dest`. CORRUPT when the mirror lacks
 * objects. */
enum err_class repo_tree_write(git_repository *mirror, const git_oid *commit, const char *dest,
			       const struct repo_limits *limits, struct repo_tree *out,
			       struct err *err) MUST_CHECK;

/* A name that may be created: not empty, ".", "..", with a slash, too long, or ".git" in any
 * spelling that some file system takes for it. */
bool repo_name_is_safe(const char *name);

/* Where `path` (relative to the folder) leads with all links followed. */
enum repo_leads { REPO_LEADS_INSIDE, REPO_LEADS_OUTSIDE, REPO_LEADS_ROUND };
enum repo_leads repo_path_resolve(int root_fd, const char *path, char out[PATH_MAX]);

/* A path from outside for a message: control characters and cut-off made visible. */
const char *repo_path_show(char *out, size_t size, const char *path);

#endif
