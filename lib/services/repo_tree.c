/* repo_tree.c - a commit's tree written to a folder.
 *
 * Not git_checkout_tree: that honours attributes, filters and configuration, and has no bounds.
 * Here every entry is looked at by its raw name and written with openat(2) below a descriptor of
 * its folder, O_EXCL and O_NOFOLLOW, so neither a doubled name nor a link can lead a write
 * elsewhere. The walk keeps an explicit stack (depth at most REPO_TREE_DEPTH_MAX) and counts
 * folders as files, because a few hundred bytes of trees that name each other ten times per level
 * describe a billion folders. Sizes are asked from the object header before a blob is loaded. Links
 * are checked after everything has been written, when it is known what they lead to; nothing reads
 * the folder before that. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/services/repo_impl.h"

enum { TREE_OBJECT_MAX = 16 * 1024 * 1024, PATH_BYTES_MAX = 3500 };

struct level {
	git_tree *tree;
	size_t next;	 /* entry to look at */
	size_t path_len; /* of the writer's path when this folder is on top */
	int fd;
};

struct writer {
	git_repository *mirror;
	git_odb *odb;
	const struct repo_limits *limits;
	struct repo_tree *out;
	struct err *err;
	struct level levels[REPO_TREE_DEPTH_MAX];
	int depth; /* levels in use */
	char path[PATH_BYTES_MAX + 256 + 2];
	int64_t entries; /* files, links and folders */
	char **links;
	size_t link_count, link_cap;
};

static enum err_class bad_path(struct writer *writer, const char *why)
{
	char shown[160];

	return err_code(writer->err, ERR_USER, "repo.bad_path",
			"the commit holds \"%s\", which cannot be written out: %s",
			repo_path_show(shown, sizeof shown, writer->path), why);
}

static enum err_class disk_error(struct writer *writer)
{
	char shown[160];
	int code = errno;

	if (code == EEXIST || code == ENOTDIR || code == ELOOP)
		return bad_path(writer, "the name is there twice");
	if (code == ENAMETOOLONG || code == EINVAL || code == EILSEQ)
		return bad_path(writer, strerror(code));
	return err_set(writer->err, ERR_TRANSIENT, "\"%s\" cannot be written to the checkout: %s",
		       repo_path_show(shown, sizeof shown, writer->path), strerror(code));
}

/* Looks an object up whose header says that it is of this type and not larger than `max`. */
static enum err_class check_header(struct writer *writer, const git_oid *oid, git_object_t want,
				   size_t max, size_t *out_size)
{
	char shown[160];
	git_object_t type;

	if (git_odb_read_header(out_size, &type, writer->odb, oid) < 0)
		return repo_mirror_error(writer->err, "an object of the commit");
	repo_path_show(shown, sizeof shown, writer->path);
	if (type != want)
		return err_code(
			writer->err, ERR_USER, "repo.bad_object",
			"the commit's object at \"%s\" is of another kind than its tree says",
			shown);
	if (*out_size > max)
		return err_code(writer->err, ERR_USER, "repo.too_large",
				"\"%s\" has %zu bytes, more than the %zu allowed", shown, *out_size,
				max);
	return ERR_OK;
}

/* --- folders --- */

static enum err_class push_level(struct writer *writer, const git_oid *oid, int take_fd)
{
	struct level *level = &writer->levels[writer->depth];
	enum err_class class;
	size_t size;

	class = check_header(writer, oid, GIT_OBJECT_TREE, TREE_OBJECT_MAX, &size);
	if (class) {
		close(take_fd);
		return class;
	}
	if (git_tree_lookup(&level->tree, writer->mirror, oid) < 0) {
		char shown[160];

		close(take_fd);
		return err_code(writer->err, ERR_USER, "repo.bad_object",
				"the commit's tree at \"%s\" is damaged",
				repo_path_show(shown, sizeof shown, writer->path));
	}
	level->fd = take_fd;
	level->next = 0;
	level->path_len = strlen(writer->path);
	writer->depth++;
	return ERR_OK;
}

static void pop_level(struct writer *writer)
{
	struct level *level = &writer->levels[--writer->depth];

	git_tree_free(level->tree);
	close(level->fd);
}

static enum err_class write_folder(struct writer *writer, int dir_fd, const char *name,
				   const git_oid *oid)
{
	int fd;

	if (writer->depth == REPO_TREE_DEPTH_MAX)
		return bad_path(writer, "the folders are nested too deeply");
	if (mkdirat(dir_fd, name, 0755) < 0)
		return disk_error(writer);
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return disk_error(writer);
	return push_level(writer, oid, fd);
}

/* --- files and links --- */

static enum err_class write_bytes(struct writer *writer, int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t written = write(fd, data, len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return disk_error(writer);
		data += written;
		len -= (size_t)written;
	}
	return ERR_OK;
}

static enum err_class create_file(struct writer *writer, int dir_fd, const char *name, mode_t mode,
				  git_odb_object *object)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	enum err_class class;

	if (fd < 0)
		return disk_error(writer);
	class = write_bytes(writer, fd, git_odb_object_data(object), git_odb_object_size(object));
	if (!class && fchmod(fd, mode) < 0)
		class = disk_error(writer);
	if (close(fd) < 0 && !class)
		class = disk_error(writer);
	return class;
}

static enum err_class create_link(struct writer *writer, int dir_fd, const char *name,
				  git_odb_object *object)
{
	size_t len = git_odb_object_size(object);
	char *target;
	int code;

	if (!len || len >= PATH_MAX || memchr(git_odb_object_data(object), '\0', len))
		return bad_path(writer, "the target of the symbolic link is no path");
	target = str_dup_len(git_odb_object_data(object), len);
	code = symlinkat(target, dir_fd, name);
	mem_free(target);
	if (code < 0)
		return disk_error(writer);
	if (writer->link_count == writer->link_cap) {
		writer->link_cap = writer->link_cap ? 2 * writer->link_cap : 16;
		writer->links = mem_grow(writer->links, writer->link_cap * sizeof *writer->links);
	}
	writer->links[writer->link_count++] = str_dup(writer->path);
	return ERR_OK;
}

static enum err_class write_blob(struct writer *writer, int dir_fd, const char *name,
				 git_filemode_t mode, const git_oid *oid)
{
	git_odb_object *object = NULL;
	enum err_class class;
	size_t size;

	class = check_header(writer, oid, GIT_OBJECT_BLOB, (size_t)writer->limits->file_bytes_max,
			     &size);
	if (class)
		return class;
	writer->out->bytes += (int64_t)size;
	if (writer->out->bytes > writer->limits->tree_bytes_max)
		return err_code(writer->err, ERR_USER, "repo.too_large",
				"the files of the commit have more than the %lld bytes allowed",
				(long long)writer->limits->tree_bytes_max);
	if (git_odb_read(&object, writer->odb, oid) < 0)
		return repo_mirror_error(writer->err, "a file of the commit");
	if (mode == GIT_FILEMODE_LINK)
		class = create_link(writer, dir_fd, name, object);
	else
		class = create_file(writer, dir_fd, name,
				    mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644, object);
	git_odb_object_free(object);
	writer->out->files += !class;
	return class;
}

/* --- the walk --- */

static enum err_class write_entry(struct writer *writer, const git_tree_entry *entry)
{
	struct level *top = &writer->levels[writer->depth - 1];
	const char *name = git_tree_entry_name(entry);
	git_filemode_t mode = git_tree_entry_filemode(entry);
	size_t at = top->path_len;

	writer->path[at] = '\0';
	if (at + strlen(name) + 2 > sizeof writer->path || at > PATH_BYTES_MAX)
		return bad_path(writer, "a path below it is too long");
	if (at)
		writer->path[at++] = '/';
	memcpy(writer->path + at, name, strlen(name) + 1);
	if (++writer->entries > writer->limits->files_max)
		return err_code(writer->err, ERR_USER, "repo.too_many_files",
				"the commit holds more than the %lld files and folders allowed",
				(long long)writer->limits->files_max);
	if (!repo_name_is_safe(name))
		return bad_path(writer, "a file must not have this name");
	switch (mode) {
	case GIT_FILEMODE_TREE:
		return write_folder(writer, top->fd, name, git_tree_entry_id(entry));
	case GIT_FILEMODE_COMMIT: /* a submodule: an empty folder, as git leaves it */
		return mkdirat(top->fd, name, 0755) < 0 ? disk_error(writer) : ERR_OK;
	case GIT_FILEMODE_BLOB:
	case GIT_FILEMODE_BLOB_EXECUTABLE:
	case GIT_FILEMODE_LINK:
		return write_blob(writer, top->fd, name, mode, git_tree_entry_id(entry));
	case GIT_FILEMODE_UNREADABLE:
	default:
		return bad_path(writer, "its mode is unknown");
	}
}

static enum err_class check_links(struct writer *writer, int root_fd)
{
	char real[PATH_MAX];

	for (size_t i = 0; i < writer->link_count; i++) {
		str_copy(writer->path, sizeof writer->path, writer->links[i]);
		if (repo_path_resolve(root_fd, writer->links[i], real) == REPO_LEADS_OUTSIDE)
			return bad_path(writer, "the symbolic link leads out of the repository");
	}
	return ERR_OK;
}

static enum err_class walk(struct writer *writer)
{
	enum err_class class = ERR_OK;

	while (!class && writer->depth) {
		struct level *top = &writer->levels[writer->depth - 1];

		if (top->next == git_tree_entrycount(top->tree))
			pop_level(writer);
		else
			class = write_entry(writer, git_tree_entry_byindex(top->tree, top->next++));
	}
	while (writer->depth)
		pop_level(writer);
	return class;
}

static enum err_class find_tree(struct writer *writer, const git_oid *commit, git_oid *out)
{
	git_commit *found = NULL;

	if (git_commit_lookup(&found, writer->mirror, commit) < 0)
		return repo_mirror_error(writer->err, "the commit");
	git_oid_cpy(out, git_commit_tree_id(found));
	git_commit_free(found);
	return ERR_OK;
}

static enum err_class write_root(struct writer *writer, const git_oid *commit, const char *dest)
{
	int root_fd = open(dest, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fd;
	enum err_class class;
	git_oid tree;

	if (root_fd < 0)
		return disk_error(writer);
	class = find_tree(writer, commit, &tree);
	if (!class) {
		fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
		must(fd >= 0);
		class = push_level(writer, &tree, fd);
	}
	if (!class)
		class = walk(writer);
	if (!class)
		class = check_links(writer, root_fd);
	close(root_fd);
	return class;
}

enum err_class repo_tree_write(git_repository *mirror, const git_oid *commit, const char *dest,
			       const struct repo_limits *limits, struct repo_tree *out,
			       struct err *err)
{
	struct writer *writer = mem_new(1, sizeof *writer);
	enum err_class class;

	writer->mirror = mirror;
	writer->limits = limits;
	writer->out = out;
	writer->err = err;
	if (git_repository_odb(&writer->odb, mirror) < 0)
		class = repo_mirror_error(err, "the mirror's objects");
	else
		class = write_root(writer, commit, dest);
	git_odb_free(writer->odb);
	for (size_t i = 0; i < writer->link_count; i++)
		mem_free(writer->links[i]);
	mem_free(writer->links);
	mem_free(writer);
	return class;
}
