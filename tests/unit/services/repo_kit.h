/* repo_kit.h - repositories made object by object, so that they can hold what git itself would
 * refuse to write, a server for them, and a store that fetches from it. */
#ifndef KF_TESTS_REPO_KIT_H
#define KF_TESTS_REPO_KIT_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <git2.h>
#include <git2/sys/repository.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/services/repo_impl.h"
#include "tests/unit/cases.h"
#include "tests/unit/services/git_server.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct world {
	char dir[64];
	char *repos, *mirrors, *dest, *url;
	git_repository *origin;
	struct git_server *server;
	struct repo_store *store;
	struct repo_limits limits;
	struct repo_tree tree;
	struct err err;
};

/* A tree entry: `data` makes a blob, else `oid` is taken. */
struct entry {
	const char *mode, *name, *data;
	const char *oid;
};

static void world_reopen(struct world *world)
{
	repo_store_close(world->store);
	assert_int_equal(
		repo_store_open(&world->store, world->mirrors, &world->limits, &world->err),
		ERR_OK);
}

static struct world *world_start(void)
{
	struct world *world = mem_new(1, sizeof *world);
	const char *base = getenv("TMPDIR");
	AUTO_FREE char *path = NULL;

	git_libgit2_init();
	snprintf(world->dir, sizeof world->dir, "%.40s/kfops-repo-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(world->dir));
	world->repos = str_printf("%s/repos", world->dir);
	world->mirrors = str_printf("%s/mirrors", world->dir);
	world->dest = str_printf("%s/checkout", world->dir);
	assert_int_equal(mkdir(world->repos, 0700), 0);
	path = str_printf("%s/o.git", world->repos);
	assert_int_equal(git_repository_init(&world->origin, path, true), 0);
	world->server = git_server_start(world->repos);
	world->url = str_printf("%s/o.git", world->server->url);
	world_reopen(world);
	return world;
}

static void world_stop(struct world *world)
{
	repo_store_close(world->store);
	git_server_stop(world->server);
	git_repository_free(world->origin);
	repo_remove_tree(world->dir);
	assert_int_equal(access(world->dir, F_OK), -1);
	mem_free(world->repos);
	mem_free(world->mirrors);
	mem_free(world->dest);
	mem_free(world->url);
	mem_free(world);
}

/* --- objects; names are static buffers in turn --- */

static const char *put_object(git_repository *repo, git_object_t type, const void *data, size_t len)
{
	static char names[64][GIT_OID_HEXSZ + 1];
	static int turn;
	char *name = names[turn++ % 64];
	git_odb *odb;
	git_oid oid;

	assert_int_equal(git_repository_odb(&odb, repo), 0);
	assert_int_equal(git_odb_write(&oid, odb, data, len, type), 0);
	git_odb_free(odb);
	git_oid_tostr(name, GIT_OID_HEXSZ + 1, &oid);
	return name;
}

static const char *put_tree(git_repository *repo, const struct entry *entries, size_t count)
{
	AUTO_BUF struct buf raw = buf_make(1 << 20);

	for (size_t i = 0; i < count && entries[i].name; i++) {
		const struct entry *entry = &entries[i];
		git_oid oid;

		assert_int_equal(
			git_oid_fromstr(&oid, entry->data
						      ? put_object(repo, GIT_OBJECT_BLOB,
								   entry->data, strlen(entry->data))
						      : entry->oid),
			0);
		buf_printf(&raw, "%s %s", entry->mode, entry->name);
		buf_putc(&raw, '\0');
		buf_add(&raw, oid.id, GIT_OID_RAWSZ);
	}
	return put_object(repo, GIT_OBJECT_TREE, buf_text(&raw), raw.len);
}

static const char *put_commit(git_repository *repo, const char *tree, const char *parent)
{
	static int serial;
	AUTO_BUF struct buf raw = buf_make(4096);

	serial++;
	buf_printf(&raw, "tree %s\n", tree);
	if (parent)
		buf_printf(&raw, "parent %s\n", parent);
	buf_printf(&raw, "author a <a@b> %d +0000\ncommitter a <a@b> %d +0000\n\nmsg\n",
		   1700000000 + serial, 1700000000 + serial);
	return put_object(repo, GIT_OBJECT_COMMIT, raw.data, raw.len);
}

static void put_ref(git_repository *repo, const char *name, const char *sha)
{
	git_reference *ref;
	git_oid oid;

	assert_int_equal(git_oid_fromstr(&oid, sha), 0);
	assert_int_equal(git_reference_create(&ref, repo, name, &oid, true, NULL), 0);
	git_reference_free(ref);
}

#define PULL "refs/pull/7/head"

/* A commit of these entries, at the head of pull request 7. */
static inline const char *push(struct world *world, const struct entry *entries, size_t count,
			       const char *parent)
{
	const char *sha =
		put_commit(world->origin, put_tree(world->origin, entries, count), parent);

	put_ref(world->origin, PULL, sha);
	return sha;
}

static const struct entry one_file[] = {{"100644", "a.txt", "a\n"}};
#define PUSH_ONE(world, parent) push(world, one_file, 1, parent)

/* --- checking out --- */

static enum err_class checkout_ref(struct world *world, const char *ref, const char *sha,
				   const char *token)
{
	struct repo_request request = {.repo_id = 5,
				       .url = world->url,
				       .token = token,
				       .ref = ref,
				       .sha = sha,
				       .dest = world->dest};

	repo_remove_tree(world->dest);
	world->err = (struct err){0};
	return repo_checkout(world->store, &request, &world->tree, &world->err);
}

static inline enum err_class checkout(struct world *world, const char *sha)
{
	return checkout_ref(world, PULL, sha, NULL);
}

/* Refused with this class and code, and nothing is left behind. */
static inline void assert_refused(struct world *world, enum err_class class, enum err_class want,
				  const char *code)
{
	if (class != want || !str_eq(world->err.code, code))
		print_message("class %s, code %s: %s\n", err_class_name(class), world->err.code,
			      world->err.msg);
	assert_int_equal(class, want);
	assert_string_equal(world->err.code, code);
	assert_int_equal(world->err.class, want);
	assert_int_equal(access(world->dest, F_OK), -1);
}

static inline void assert_file(const struct world *world, const char *path, const char *content,
			       mode_t mode)
{
	AUTO_FREE char *full = str_printf("%s/%s", world->dest, path);
	struct stat info;
	char text[4096];
	int fd = open(full, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t got;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &info), 0);
	assert_int_equal(info.st_mode & 07777, mode);
	got = read(fd, text, sizeof text);
	close(fd);
	assert_int_equal(got, (ssize_t)strlen(content));
	assert_memory_equal(text, content, (size_t)got);
}

#endif
