/* secret.c - see secret.h. The file is looked at before it is read: when it changes in between, the
 * next look sees another time and reads once more. */
#include "lib/base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/sign.h"
#include "lib/base/str.h"

struct stamp {
	struct timespec changed;
	off_t size;
	ino_t inode;
	dev_t device;
};

struct secret {
	char *path;	      /* NULL: the text never changes */
	pthread_mutex_t lock; /* guards what follows */
	char *text;	      /* NULL: not read yet */
	struct stamp stamp;
};

struct secret *secret_new(const char *path)
{
	struct secret *secret;

	if (str_is_empty(path))
		return NULL;
	secret = mem_new(1, sizeof *secret);
	secret->path = str_dup(path);
	must(pthread_mutex_init(&secret->lock, NULL) == 0);
	return secret;
}

struct secret *secret_of(const char *text)
{
	struct secret *secret;

	if (str_is_empty(text))
		return NULL;
	secret = mem_new(1, sizeof *secret);
	secret->text = str_dup(text);
	must(pthread_mutex_init(&secret->lock, NULL) == 0);
	return secret;
}

void secret_free(struct secret *take_secret)
{
	if (!take_secret)
		return;
	pthread_mutex_destroy(&take_secret->lock);
	sign_secret_free(take_secret->text);
	mem_free(take_secret->path);
	mem_free(take_secret);
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
	       a->size == b->size && a->inode == b->inode && a->device == b->device;
}

/* With the lock held. */
static enum err_class refresh(struct secret *secret, struct err *err)
{
	enum err_class class;
	struct stamp now;
	struct stat info;
	char *fresh;

	if (!secret->path)
		return ERR_OK;
	if (stat(secret->path, &info) < 0)
		return err_set(err, ERR_CONFIG, "%s cannot be read: %s", secret->path,
			       strerror(errno));
	now = (struct stamp){info.st_ctim, info.st_size, info.st_ino, info.st_dev};
	if (secret->text && same_stamp(&now, &secret->stamp))
		return ERR_OK;
	class = sign_secret_read(&fresh, secret->path, err);
	if (class)
		return class;
	sign_secret_free(secret->text);
	secret->text = fresh;
	secret->stamp = now;
	return ERR_OK;
}

enum err_class secret_get(struct secret *secret, char **out, struct err *err)
{
	enum err_class class;

	*out = NULL;
	if (!secret) {
		*out = str_dup("");
		return ERR_OK;
	}
	pthread_mutex_lock(&secret->lock);
	class = refresh(secret, err);
	if (!class)
		*out = str_dup(secret->text);
	pthread_mutex_unlock(&secret->lock);
	return class;
}
