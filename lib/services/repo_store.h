/* repo_store.h - the store of mirrors, as the files of the module repo share it. Nobody else
 * includes this. It knows nothing of libgit2: the daemon has these parts, and the program
 * kfops-checkout the others. */
#ifndef KF_SERVICES_REPO_STORE_H
#define KF_SERVICES_REPO_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/services/repo.h"

enum { REPO_HOST_MAX = 256, REPO_PORT_MAX = 8 };

/* Where a URL leads. */
struct repo_address {
	char host[REPO_HOST_MAX]; /* lower case, without brackets */
	char port[REPO_PORT_MAX];
	bool is_tls;
};

/* CONFIG "repo.bad_url" for anything but http(s) without user, query and fragment, and for plain
 * http that is neither to loopback nor allowed. */
enum err_class repo_address_parse(struct repo_address *out, const char *url, bool allow_http,
				  struct err *err) MUST_CHECK;

/* A mirror some thread works on; others wait for it to leave the list. */
struct repo_busy {
	struct repo_busy *next;
	const char *path;
};

struct repo_store {
	char *dir;
	struct repo_limits limits;
	char *ca_file, *program;
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct repo_busy *busy;
	atomic_bool abort;
};

/* Folder of the mirror; the caller frees. */
char *repo_mirror_path(const struct repo_store *store, const struct repo_address *address,
		       int64_t repo_id) MUST_CHECK;

/* Waits for the mirror `mine->path` and takes it; with `wait` false says no instead of waiting. */
bool repo_mirror_take(struct repo_store *store, struct repo_busy *mine, bool wait);
void repo_mirror_leave(struct repo_store *store, const struct repo_busy *mine);

/* Throws a mirror away that the caller has taken. */
void repo_mirror_discard(const struct repo_store *store, const char *path);

/* Notes that it was used now, for pruning. */
void repo_mirror_used(const char *path);

#endif
