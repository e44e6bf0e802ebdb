/* secret.h - a secret in a file that is read again when the file changes.
 *
 * For credentials that somebody else renews: Kubernetes swaps a projected token by a symbolic link,
 * an operator replaces a file. The file is looked at before each use and read when inode, size or
 * time differ. What sign_secret_read refuses is refused here. Locked inside; any thread. */
#ifndef KF_BASE_SECRET_H
#define KF_BASE_SECRET_H

#include "lib/base/err.h"

struct secret;

/* Reads nothing yet. NULL for a NULL or empty path. */
struct secret *secret_new(const char *path) MUST_CHECK;
/* One that never changes, from elsewhere than a file. NULL for a NULL or empty text. */
struct secret *secret_of(const char *text) MUST_CHECK;
void secret_free(struct secret *take_secret); /* takes NULL */

/* A copy of the secret as the file has it now ("" of a NULL secret); the caller ends with
 * sign_secret_free. CONFIG as sign_secret_read. */
enum err_class secret_get(struct secret *secret, char **out, struct err *err) MUST_CHECK;

#endif
