/* checkout.h - a folder of files as a checkout, and compile options from the environment; for the
 * tests of compile. Python with kfp is KFOPS_PYTHON, else the first python3 on PATH. */
#ifndef KF_TESTS_CHECKOUT_H
#define KF_TESTS_CHECKOUT_H

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/services/compile.h"
#include "lib/services/repo.h"

struct checkout_file {
	const char *path, *text; /* path NULL: the end */
};
enum { CHECKOUT_FILES = 4 };

struct checkout {
	char dir[64];
};

static inline void checkout_write(const struct checkout *checkout, const char *path,
				  const char *text)
{
	char full[PATH_MAX];
	snprintf(full, sizeof(full), "%s/%s", checkout->dir, path);
	for (char *slash = strchr(full + strlen(checkout->dir) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static inline void checkout_make(struct checkout *checkout, const struct checkout_file *files)
{
	snprintf(checkout->dir, sizeof(checkout->dir), "/tmp/kfops-checkout-XXXXXX");
	must(mkdtemp(checkout->dir));
	for (size_t i = 0; files && i < CHECKOUT_FILES && files[i].path; i++)
		checkout_write(checkout, files[i].path, files[i].text);
}

static inline void checkout_remove(const struct checkout *checkout)
{
	repo_remove_tree(checkout->dir);
}

static inline const char *checkout_python(void)
{
	static char found[PATH_MAX];
	const char *named = getenv("KFOPS_PYTHON");
	if (named && *named)
		return named;
	const char *path = getenv("PATH");
	while (path && *path) {
		size_t len = strcspn(path, ":");
		snprintf(found, sizeof(found), "%.*s/python3", (int)len, path);
		if (access(found, X_OK) == 0)
			return found;
		path += len + (path[len] == ':');
	}
	return "/usr/bin/python3";
}

static inline struct compile_options checkout_options(void)
{
	static char package[PATH_MAX];
	const char *root = getenv("KFOPS_SOURCE_DIR");
	char full[PATH_MAX - 32];
	snprintf(package, sizeof(package), "%s/deploy/compiler",
		 realpath(root ? root : ".", full) ? full : ".");
	return (struct compile_options){
		.mode = COMPILE_SANDBOX, .python = checkout_python(), .package_dir = package};
}

/* False, with a line that says so, when the sandbox or kfp is not here. */
static inline bool checkout_can_compile(void)
{
	struct compile_options options = checkout_options();
	struct err err = {.class = ERR_OK};
	if (compile_check(&options, &err) == ERR_OK)
		return true;
	printf("skipped: %s\n", err.msg);
	return false;
}

#endif
