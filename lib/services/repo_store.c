/* repo_store.c - the store: mirrors, their locks, addresses, pruning; without libgit2.
 *
 * A mirror is a bare repository at DIR/<host>/<repository id>.git, so two servers or a renamed
 * repository cannot mix. Throwing one away is a rename followed by removal, so a crash leaves a
 * `.gone-` folder that pruning finds, never half a mirror. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/services/repo_store.h"

enum { FETCH_TIMEOUT_MS = 10 * 60 * 1000, URL_MAX = 2048 };
static const int64_t mebibyte = 1024 * 1024;
static const char used_mark[] = "kfops-used"; /* its time says when the mirror was used last */

/* --- the store --- */

static int64_t limit_or(int64_t limit, int64_t fallback)
{
	return limit > 0 ? limit : fallback;
}

enum err_class repo_store_open(struct repo_store **out, const char *dir,
			       const struct repo_limits *limits, struct err *err)
{
	static const struct repo_limits none;
	struct repo_store *store;

	*out = NULL;
	limits = limits ? limits : &none;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set(err, ERR_CONFIG, "the mirror folder %s cannot be made: %s", dir,
			       strerror(errno));
	if (access(dir, R_OK | W_OK | X_OK) < 0)
		return err_set(err, ERR_CONFIG, "the mirror folder %s cannot be used: %s", dir,
			       strerror(errno));
	if (limits->ca_file && access(limits->ca_file, R_OK) < 0)
		return err_set(err, ERR_CONFIG, "the certificate file %s cannot be read: %s",
			       limits->ca_file, strerror(errno));
	store = mem_new(1, sizeof *store);
	store->dir = str_dup(dir);
	store->ca_file = str_dup(limits->ca_file);
	store->program = str_dup(limits->program);
	store->limits = (struct repo_limits){
		.file_bytes_max = limit_or(limits->file_bytes_max, 100 * mebibyte),
		.tree_bytes_max = limit_or(limits->tree_bytes_max, 1024 * mebibyte),
		.files_max = limit_or(limits->files_max, 50000),
		.fetch_bytes_max = limit_or(limits->fetch_bytes_max, 2048 * mebibyte),
		.fetch_timeout_ms =
			limits->fetch_timeout_ms > 0 ? limits->fetch_timeout_ms : FETCH_TIMEOUT_MS,
		.allow_http = limits->allow_http,
		.ca_file = store->ca_file,
		.program = store->program,
	};
	must(pthread_mutex_init(&store->lock, NULL) == 0);
	must(pthread_cond_init(&store->freed, NULL) == 0);
	*out = store;
	return ERR_OK;
}

void repo_store_close(struct repo_store *take_store)
{
	if (!take_store)
		return;
	must(!take_store->busy);
	pthread_cond_destroy(&take_store->freed);
	pthread_mutex_destroy(&take_store->lock);
	mem_free(take_store->ca_file);
	mem_free(take_store->program);
	mem_free(take_store->dir);
	mem_free(take_store);
}

void repo_store_abort(struct repo_store *store)
{
	atomic_store(&store->abort, true);
}

static bool is_busy(const struct repo_store *store, const char *path)
{
	for (const struct repo_busy *at = store->busy; at; at = at->next)
		if (str_eq(at->path, path))
			return true;
	return false;
}

/* Waits for the mirror and takes it; with `wait` false says no instead of waiting. */
bool repo_mirror_take(struct repo_store *store, struct repo_busy *mine, bool wait)
{
	bool taken;

	pthread_mutex_lock(&store->lock);
	while (wait && is_busy(store, mine->path))
		pthread_cond_wait(&store->freed, &store->lock);
	taken = !is_busy(store, mine->path);
	if (taken) {
		mine->next = store->busy;
		store->busy = mine;
	}
	pthread_mutex_unlock(&store->lock);
	return taken;
}

void repo_mirror_leave(struct repo_store *store, const struct repo_busy *mine)
{
	struct repo_busy **at = &store->busy;

	pthread_mutex_lock(&store->lock);
	while (*at != mine)
		at = &(*at)->next;
	*at = mine->next;
	pthread_cond_broadcast(&store->freed);
	pthread_mutex_unlock(&store->lock);
}

/* --- addresses --- */

static bool is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (str_eq(host, "localhost"))
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool is_plain_url(const char *url)
{
	size_t len = strlen(url);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)url[i] <= 0x20 || (unsigned char)url[i] >= 0x7f)
			return false;
	return len <= URL_MAX && !strpbrk(url, "?#@\\");
}

/* Lower case, and nothing but what a host name or an address is made of. */
static bool clean_host(char *host, bool is_v6)
{
	static const char signs[] = "-._", signs_v6[] = ".:";

	for (char *at = host; *at; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at + 32);
		if (!(*at >= 'a' && *at <= 'z') && !(*at >= '0' && *at <= '9') &&
		    !strchr(is_v6 ? signs_v6 : signs, *at))
			return false;
	}
	return *host && *host != '.' && *host != '-';
}

/* ":8443", or nothing for the scheme's own. */
static bool take_port(struct repo_address *out, const char *text, size_t len)
{
	int64_t number;

	if (!len)
		return str_copy(out->port, sizeof out->port, out->is_tls ? "443" : "80");
	if (text[0] != ':' || len < 2 || len > sizeof out->port)
		return false;
	memcpy(out->port, text + 1, len - 1);
	out->port[len - 1] = '\0';
	return out->port[0] > '0' && str_to_int64(&number, out->port) && number < 65536;
}

/* Splits "HOST[:PORT]" or "[V6][:PORT]"; false when it is neither. */
static bool split_authority(struct repo_address *out, const char *text, size_t len)
{
	bool is_v6 = len && text[0] == '[';
	const char *host = text + is_v6, *limit = text + len;
	const char *end = memchr(host, is_v6 ? ']' : ':', (size_t)(limit - host));
	size_t host_len = (size_t)((end ? end : limit) - host);

	if ((is_v6 && !end) || host_len >= sizeof out->host)
		return false;
	memcpy(out->host, host, host_len);
	out->host[host_len] = '\0';
	end = end ? end + is_v6 : limit;
	return clean_host(out->host, is_v6) && take_port(out, end, (size_t)(limit - end));
}

enum err_class repo_address_parse(struct repo_address *out, const char *url, bool allow_http,
				  struct err *err)
{
	const char *authority;

	*out = (struct repo_address){.is_tls = str_starts(url, "https://")};
	if (!is_plain_url(url) || (!out->is_tls && !str_starts(url, "http://")))
		return err_code(
			err, ERR_CONFIG, "repo.bad_url",
			"the repository's address must be http(s)://HOST/PATH without user, "
			"query and fragment");
	authority = url + (out->is_tls ? 8 : 7);
	if (!split_authority(out, authority, strcspn(authority, "/")))
		return err_code(err, ERR_CONFIG, "repo.bad_url",
				"the repository's address has no usable host");
	if (!out->is_tls && !allow_http && !is_loopback(out->host))
		return err_code(err, ERR_CONFIG, "repo.bad_url",
				"plain http to %s is not allowed here", out->host);
	return ERR_OK;
}

/* --- mirrors --- */

char *repo_mirror_path(const struct repo_store *store, const struct repo_address *address,
		       int64_t repo_id)
{
	bool is_default = str_eq(address->port, address->is_tls ? "443" : "80");

	return str_printf("%s/%s%s%s/%lld.git", store->dir, address->host, is_default ? "" : ":",
			  is_default ? "" : address->port, (long long)repo_id);
}

void repo_mirror_discard(const struct repo_store *store, const char *path)
{
	unsigned char random[8];
	char hex[2 * sizeof random + 1];
	char *gone;

	sign_random(random, sizeof random);
	str_hex(hex, random, sizeof random);
	gone = str_printf("%s/.gone-%s", store->dir, hex);
	repo_remove_tree(rename(path, gone) == 0 ? gone : path);
	mem_free(gone);
}

void repo_mirror_used(const char *path)
{
	char *mark = str_printf("%s/%s", path, used_mark);
	int fd = open(mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0) {
		(void)futimens(fd, NULL);
		close(fd);
	}
	mem_free(mark);
}

/* --- pruning --- */

static bool is_unused(const char *path, int64_t unused_ms)
{
	char *mark = str_printf("%s/%s", path, used_mark);
	struct stat info;
	bool unused = stat(mark, &info) < 0
			      ? stat(path, &info) == 0
			      : true; /* a mirror without the mark goes by its folder's age */

	mem_free(mark);
	return unused && clock_now_ms() - (int64_t)info.st_mtim.tv_sec * 1000 >= unused_ms;
}

static void prune_host(struct repo_store *store, const char *host, int64_t unused_ms)
{
	char *folder = str_printf("%s/%s", store->dir, host);
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char *path = str_printf("%s/%s", folder, entry->d_name);
		struct repo_busy mine = {.path = path};

		if (str_ends(entry->d_name, ".git") && repo_mirror_take(store, &mine, false)) {
			if (is_unused(path, unused_ms)) {
				log_info("mirror_pruned", LOG_S("path", path));
				repo_mirror_discard(store, path);
			}
			repo_mirror_leave(store, &mine);
		}
		mem_free(path);
	}
	if (dir)
		closedir(dir);
	(void)rmdir(folder); /* succeeds when it was the last mirror of the host */
	mem_free(folder);
}

void repo_store_prune(struct repo_store *store, int64_t unused_ms)
{
	DIR *dir = opendir(store->dir);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (str_starts(entry->d_name, ".gone-")) {
			char *path = str_printf("%s/%s", store->dir, entry->d_name);

			repo_remove_tree(path);
			mem_free(path);
		} else if (entry->d_name[0] != '.') {
			prune_host(store, entry->d_name, unused_ms);
		}
	}
	if (dir)
		closedir(dir);
}
