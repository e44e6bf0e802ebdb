/* repo_path.c - names and links: what may be written, where a link leads, removing, reading.
 *
 * A link is judged by walking it as the kernel would, one component at a time from a descriptor of
 * the root, because a lexical look at "../" is wrong as soon as links point at links. The kernel's
 * own openat2(RESOLVE_BENEATH) would do the same, but container run-times that filter system calls
 * refuse it, and a check that vanishes there is no check. The folders walked belong to us and
 * nobody else writes to them, so there is no race between the look and the use.
 *
 * Removing uses neither recursion nor a stack: a folder that is not empty has its subfolders moved
 * up to the root, so the depth is at most two whatever a hostile program has built. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/str.h"
#include "lib/services/repo_impl.h"

enum { LINKS_MAX = 40, NAME_BYTES_MAX = 255, TODO_MAX = 2 * PATH_MAX };

/* --- names --- */

/* Bytes at `text` that HFS+ leaves out when it compares names (zero-width and bidi marks), else 0.
 */
static size_t hfs_ignored(const unsigned char *text)
{
	if (text[0] == 0xef && text[1] == 0xbb && text[2] == 0xbf)
		return 3; /* U+FEFF */
	if (text[0] != 0xe2)
		return 0;
	if (text[1] == 0x80 &&
	    ((text[2] >= 0x8c && text[2] <= 0x8f) || (text[2] >= 0xaa && text[2] <= 0xae)))
		return 3; /* U+200C to U+200F, U+202A to U+202E */
	if (text[1] == 0x81 && text[2] >= 0xaa && text[2] <= 0xaf)
		return 3; /* U+206A to U+206F */
	return 0;
}

/* ".git", ".GIT", "git~1", ".git.", ".git ", ".git::$INDEX_ALLOCATION", ".g<U+200C>it", ".git\x".
 */
static bool is_dot_git(const char *name)
{
	const unsigned char *at = (const unsigned char *)name;
	char plain[8];
	size_t len = 0;

	while (*at && *at != ':' && *at != '\\') {
		size_t skip = hfs_ignored(at);

		if (skip) {
			at += skip;
			continue;
		}
		if (len + 1 < sizeof plain)
			plain[len++] = (char)*at;
		else if (*at != '.' && *at != ' ')
			return false;
		at++;
	}
	while (len && (plain[len - 1] == '.' || plain[len - 1] == ' '))
		len--;
	plain[len] = '\0';
	return str_eq_nocase(plain, ".git") ||
	       (len == 5 && plain[4] >= '0' && plain[4] <= '9' && plain[3] == '~' &&
		(plain[0] | 32) == 'g' && (plain[1] | 32) == 'i' && (plain[2] | 32) == 't');
}

bool repo_name_is_safe(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= NAME_BYTES_MAX && !str_eq(name, ".") && !str_eq(name, "..") &&
	       !strchr(name, '/') && !is_dot_git(name);
}

const char *repo_path_show(char *out, size_t size, const char *path)
{
	bool all = str_copy(out, size, path);

	for (char *at = out; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f || (unsigned char)*at >= 0x80)
			*at = '?';
	if (!all && size > 4)
		memcpy(out + size - 4, "...", 4);
	return out;
}

/* --- links --- */

/* One walk: what is behind us (no links in it) and what is still to go. */
struct walk {
	int root_fd;
	int links;
	char *done; /* PATH_MAX */
	char todo[TODO_MAX];
};

/* Cuts the first component off `todo`; false when nothing is left. */
static bool next_component(char *todo, char name[PATH_MAX])
{
	size_t skip = strspn(todo, "/"), len = strcspn(todo + skip, "/");

	if (!len || len >= PATH_MAX)
		return false;
	memcpy(name, todo + skip, len);
	name[len] = '\0';
	memmove(todo, todo + skip + len, strlen(todo + skip + len) + 1);
	return true;
}

static void drop_last(char *path)
{
	char *slash = strrchr(path, '/');

	*(slash ? slash : path) = '\0';
}

/* Appends one component and follows it when it is a link. */
static enum repo_leads step_down(struct walk *walk, const char *name)
{
	size_t len = strlen(walk->done);
	char target[PATH_MAX], rest[TODO_MAX];
	ssize_t got;

	if (len + strlen(name) + 2 > PATH_MAX)
		return REPO_LEADS_OUTSIDE;
	snprintf(walk->done + len, PATH_MAX - len, "%s%s", len ? "/" : "", name);
	got = readlinkat(walk->root_fd, walk->done, target, sizeof target - 1);
	if (got < 0)
		return REPO_LEADS_INSIDE; /* a file, a folder, or nothing (yet) */
	target[got] = '\0';
	drop_last(walk->done);
	if (++walk->links > LINKS_MAX)
		return REPO_LEADS_ROUND;
	if (target[0] == '/' || (size_t)got + strlen(walk->todo) + 2 > sizeof rest)
		return REPO_LEADS_OUTSIDE;
	memcpy(rest, walk->todo, strlen(walk->todo) + 1);
	memcpy(walk->todo, target, (size_t)got);
	walk->todo[got] = '/';
	memcpy(walk->todo + got + 1, rest, strlen(rest) + 1);
	return REPO_LEADS_INSIDE;
}

enum repo_leads repo_path_resolve(int root_fd, const char *path, char out[PATH_MAX])
{
	struct walk walk = {.root_fd = root_fd, .done = out};
	enum repo_leads leads = REPO_LEADS_INSIDE;
	char name[PATH_MAX];

	out[0] = '\0';
	if (path[0] == '/' || strlen(path) >= sizeof walk.todo)
		return REPO_LEADS_OUTSIDE;
	memcpy(walk.todo, path, strlen(path) + 1);
	while (leads == REPO_LEADS_INSIDE && next_component(walk.todo, name)) {
		if (str_eq(name, "."))
			continue;
		if (!str_eq(name, ".."))
			leads = step_down(&walk, name);
		else if (!*out)
			return REPO_LEADS_OUTSIDE;
		else
			drop_last(out);
	}
	return leads;
}

/* --- reading --- */

static bool has_parent_step(const char *path)
{
	for (const char *at = path; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (str_starts(at, "..") && (at[2] == '\0' || at[2] == '/'))
			return true;
	}
	return false;
}

/* Opens what the path leads to, if that is inside. */
static enum err_class open_inside(int *out_fd, int root_fd, const char *path, struct err *err)
{
	char real[PATH_MAX], shown[128];

	repo_path_show(shown, sizeof shown, path);
	if (!*path || *path == '/' || has_parent_step(path))
		return err_code(err, ERR_USER, "repo.bad_path",
				"\"%s\" is not a path inside the repository", shown);
	if (repo_path_resolve(root_fd, path, real) != REPO_LEADS_INSIDE)
		return err_code(err, ERR_USER, "repo.bad_path",
				"\"%s\" is a symbolic link that leads out of the repository",
				shown);
	*out_fd =
		openat(root_fd, *real ? real : ".", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*out_fd >= 0)
		return ERR_OK;
	if (errno == ENOENT || errno == ENOTDIR)
		return err_code(err, ERR_NOT_FOUND, "repo.no_file",
				"the repository has no file \"%s\"", shown);
	return err_code(err, ERR_USER, "repo.bad_path", "\"%s\" cannot be read: %s", shown,
			strerror(errno));
}

static enum err_class read_all(int fd, const char *path, size_t max, char **out, size_t *out_len,
			       struct err *err)
{
	AUTO_BUF struct buf text = buf_make(max + 1);
	char shown[128], chunk[16384];
	struct stat info;
	ssize_t got;

	repo_path_show(shown, sizeof shown, path);
	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
		return err_code(err, ERR_USER, "repo.bad_path", "\"%s\" is not a regular file",
				shown);
	while ((got = read(fd, chunk, sizeof chunk)) > 0 && text.len <= max)
		buf_add(&text, chunk, (size_t)got);
	if (got < 0)
		return err_set(err, ERR_TRANSIENT, "\"%s\" cannot be read: %s", shown,
			       strerror(errno));
	if (text.len > max)
		return err_code(err, ERR_USER, "repo.too_large",
				"\"%s\" has more than the %zu bytes allowed here", shown, max);
	*out_len = text.len;
	*out = buf_take(&text);
	return ERR_OK;
}

enum err_class repo_read_file(const char *root, const char *path, size_t max, char **out,
			      size_t *out_len, struct err *err)
{
	int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	enum err_class class;

	*out = NULL;
	*out_len = 0;
	if (root_fd < 0)
		return err_set(err, ERR_NOT_FOUND, "the checkout folder is gone: %s",
			       strerror(errno));
	class = open_inside(&fd, root_fd, path, err);
	if (!class)
		class = read_all(fd, path, max, out, out_len, err);
	if (fd >= 0)
		close(fd);
	close(root_fd);
	return class;
}

/* --- removing --- */

/* Removes a file, a link or an empty folder. */
static bool remove_one(int dir_fd, const struct dirent *entry)
{
	return (entry->d_type != DT_DIR && unlinkat(dir_fd, entry->d_name, 0) == 0) ||
	       unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR) == 0;
}

static bool is_dots(const char *name)
{
	return str_eq(name, ".") || str_eq(name, "..");
}

/* Moves a folder up to the root under a new name. */
static bool move_up(int dir_fd, const char *name, int root_fd, unsigned long *serial)
{
	char moved[48];
	struct stat info;

	/* A folder that may not be written cannot be moved. */
	if (fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode))
		(void)!fchmodat(dir_fd, name, 0700, 0);
	snprintf(moved, sizeof moved, ".kfops-remove-%lu", ++*serial);
	return renameat(dir_fd, name, root_fd, moved) == 0;
}

/* Empties the folder `name` of the root by unlinking files and moving its subfolders to the root.
 */
static bool flatten(int root_fd, const char *name, unsigned long *serial)
{
	int fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	bool changed = false;
	DIR *dir;

	if (fd < 0 && errno == EACCES && fchmodat(root_fd, name, 0700, 0) == 0)
		fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)fchmod(fd, 0700);
	dir = fdopendir(fd);
	must(dir);
	while ((entry = readdir(dir)))
		if (!is_dots(entry->d_name))
			changed |= remove_one(fd, entry) ||
				   move_up(fd, entry->d_name, root_fd, serial);
	closedir(dir);
	return unlinkat(root_fd, name, AT_REMOVEDIR) == 0 || changed;
}

/* One pass over the root; true when anything changed, so another pass makes sense. */
static bool remove_pass(int root_fd, unsigned long *serial)
{
	int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	bool changed = false;
	DIR *dir;

	if (fd < 0)
		return false;
	dir = fdopendir(fd);
	must(dir);
	while ((entry = readdir(dir)))
		if (!is_dots(entry->d_name))
			changed |= remove_one(root_fd, entry) ||
				   flatten(root_fd, entry->d_name, serial);
	closedir(dir);
	return changed;
}

void repo_remove_tree(const char *dir)
{
	unsigned long serial = 0;
	struct stat info;
	int root_fd;

	if (lstat(dir, &info) == 0 && S_ISDIR(info.st_mode))
		(void)chmod(dir, 0700);
	root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root_fd >= 0) {
		while (remove_pass(root_fd, &serial))
			;
		close(root_fd);
	}
	(void)rmdir(dir);
}
