/* repo.c - the store: mirrors, their locks, one checkout from request to folder, pruning.
 *
 * A mirror is a bare repository at DIR/<host>/<repository id>.git, so two servers or a renamed
 * repository cannot mix. It is a cache: when libgit2 finds it damaged, or it has gathered too many
 * packs (1.5 cannot repack), it is thrown away and fetched again. Throwing away is a rename
 * followed by removal, so a crash leaves a `.gone-` folder that pruning finds, never half a mirror.
 * Nothing is synced to the disk: what a power cut tears is found by its hash and fetched again.
 * libgit2 is loaded by the first checkout, because its certificates cost memory and start-up time
 * that an idle daemon need not pay, and it is cut off from every configuration file of the machine:
 * an `insteadOf` or a credential helper there must not act on what the bot fetches. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/services/repo_impl.h"

enum {
	FETCH_TIMEOUT_MS = 10 * 60 * 1000,
	PACKS_MAX = 200,
	URL_MAX = 2048,
	REF_MAX = 512,
	OBJECT_CACHE_BYTES = 4 * 1024 * 1024,
	WINDOW_BYTES = 32 * 1024 * 1024,
	PACK_OBJECTS_MAX = 20 * 1000 * 1000,
};
static const int64_t mebibyte = 1024 * 1024;
static const char used_mark[] = "kfops-used"; /* its time says when the mirror was used last */

/* A mirror some thread works on; others wait for it to leave the list. */
struct busy {
	struct busy *next;
	const char *path;
};

struct repo_store {
	char *dir;
	struct repo_limits limits;
	char *ca_file;
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct busy *busy;
	atomic_bool abort;
};

/* --- libgit2 --- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load_libgit2(void)
{
	static const git_config_level_t levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA,
						    GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
						    GIT_CONFIG_LEVEL_GLOBAL};

	must(git_libgit2_init() > 0);
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		must(git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "") == 0);
	must(git_libgit2_opts(GIT_OPT_SET_USER_AGENT, "kfops") == 0);
	must(git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)OBJECT_CACHE_BYTES) == 0);
	must(git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)WINDOW_BYTES) == 0);
	must(git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)(512 * mebibyte)) == 0);
	must(git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECTS, (size_t)PACK_OBJECTS_MAX) == 0);
	must(git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECT_SIZE, (size_t)(512 * mebibyte)) == 0);
	must(git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1) == 0);
	repo_stream_register();
}

/* libgit2 has one set of certificates per process and swaps it without a lock, so it is given ours
 * before the first handshake and never again. */
static enum err_class load_certificates(const struct repo_store *store, struct err *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool loaded;
	int code = 0;

	if (!store->ca_file)
		return ERR_OK;
	pthread_mutex_lock(&lock);
	if (!loaded)
		code = git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, store->ca_file, NULL);
	loaded |= code == 0;
	pthread_mutex_unlock(&lock);
	if (code < 0)
		return err_code(err, ERR_CONFIG, "repo.tls",
				"the certificate file %s cannot be used", store->ca_file);
	return ERR_OK;
}

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
	store->limits = (struct repo_limits){
		.file_bytes_max = limit_or(limits->file_bytes_max, 100 * mebibyte),
		.tree_bytes_max = limit_or(limits->tree_bytes_max, 1024 * mebibyte),
		.files_max = limit_or(limits->files_max, 50000),
		.fetch_bytes_max = limit_or(limits->fetch_bytes_max, 2048 * mebibyte),
		.fetch_timeout_ms =
			limits->fetch_timeout_ms > 0 ? limits->fetch_timeout_ms : FETCH_TIMEOUT_MS,
		.allow_http = limits->allow_http,
		.ca_file = store->ca_file,
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
	mem_free(take_store->dir);
	mem_free(take_store);
}

void repo_store_abort(struct repo_store *store)
{
	atomic_store(&store->abort, true);
}

static bool is_busy(const struct repo_store *store, const char *path)
{
	for (const struct busy *at = store->busy; at; at = at->next)
		if (str_eq(at->path, path))
			return true;
	return false;
}

/* Waits for the mirror and takes it; with `wait` false says no instead of waiting. */
static bool take_mirror(struct repo_store *store, struct busy *mine, bool wait)
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

static void leave_mirror(struct repo_store *store, const struct busy *mine)
{
	struct busy **at = &store->busy;

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

static enum err_class check_request(const struct repo_request *request, git_oid *sha,
				    struct err *err)
{
	int valid = 0;

	if (request->repo_id <= 0)
		return err_set(err, ERR_BUG, "a checkout without a repository id");
	if (!str_starts(request->ref, "refs/") || strlen(request->ref) > REF_MAX ||
	    git_reference_name_is_valid(&valid, request->ref) < 0 || !valid)
		return err_code(err, ERR_USER, "repo.bad_ref", "the name of the ref is not valid");
	if (!str_is_object_name(request->sha) || strlen(request->sha) != GIT_OID_HEXSZ ||
	    git_oid_fromstr(sha, request->sha) < 0)
		return err_code(err, ERR_USER, "repo.bad_sha",
				"a commit is named by its 40 hexadecimal digits here");
	return ERR_OK;
}

/* --- mirrors --- */

static char *mirror_path(const struct repo_store *store, const struct repo_address *address,
			 int64_t repo_id)
{
	bool is_default = str_eq(address->port, address->is_tls ? "443" : "80");

	return str_printf("%s/%s%s%s/%lld.git", store->dir, address->host, is_default ? "" : ":",
			  is_default ? "" : address->port, (long long)repo_id);
}

static void discard_mirror(const struct repo_store *store, const char *path)
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

static enum err_class init_mirror(git_repository **out, const char *path, struct err *err)
{
	git_repository_init_options options;

	must(git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION) == 0);
	options.flags =
		GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_MKPATH;
	options.mode = 0700;
	if (git_repository_init_ext(out, path, &options) < 0)
		return repo_mirror_error(err, "making it");
	return ERR_OK;
}

/* Lets the mirror keep a reflog of every ref, which a bare repository does not do by itself. */
static enum err_class keep_reflogs(git_repository *mirror, struct err *err)
{
	static const char key[] = "core.logallrefupdates", always[] = "always";
	git_config *config = NULL;
	git_buf value = {0};
	int code = git_repository_config(&config, mirror);

	if (!code &&
	    (git_config_get_string_buf(&value, config, key) < 0 || !str_eq(value.ptr, always)))
		code = git_config_set_string(config, key, always);
	git_buf_dispose(&value);
	git_config_free(config);
	return code < 0 ? repo_mirror_error(err, "its configuration") : ERR_OK;
}

/* Removes packs that an interrupted fetch left half written, and counts the whole ones. */
static int tidy_packs(const char *path)
{
	char *folder = str_printf("%s/objects/pack", path);
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int packs = 0;

	while (dir && (entry = readdir(dir))) {
		if (str_starts(entry->d_name, "pack_git2_"))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
		packs += str_ends(entry->d_name, ".pack");
	}
	if (dir)
		closedir(dir);
	mem_free(folder);
	return packs;
}

static void mark_used(const char *path)
{
	char *mark = str_printf("%s/%s", path, used_mark);
	int fd = open(mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0) {
		(void)futimens(fd, NULL);
		close(fd);
	}
	mem_free(mark);
}

static enum err_class open_mirror(struct repo_store *store, const char *path, git_repository **out,
				  struct err *err)
{
	enum err_class class = ERR_OK;

	*out = NULL;
	if (tidy_packs(path) > PACKS_MAX) {
		log_info("mirror_renewed", LOG_S("path", path), LOG_S("why", "too many packs"));
		discard_mirror(store, path);
	}
	if (git_repository_open_bare(out, path) < 0) {
		if (access(path, F_OK) == 0)
			discard_mirror(store, path); /* half made when a process was killed */
		class = init_mirror(out, path, err);
	}
	if (!class)
		class = keep_reflogs(*out, err);
	if (!class)
		mark_used(path);
	return class;
}

/* --- a checkout --- */

static bool proxy_is_set(void)
{
	static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY",
					    "HTTP_PROXY", "all_proxy",	 "ALL_PROXY"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!str_is_empty(getenv(names[i])))
			return true;
	return false;
}

static enum err_class fetch_once(struct repo_store *store, git_repository *mirror,
				 const struct repo_request *request,
				 const struct repo_address *address, struct err *err)
{
	struct repo_net net = {
		.address = *address,
		.token = request->token,
		.abort = &store->abort,
		.deadline_mono_ms = clock_mono_ms() + store->limits.fetch_timeout_ms,
		.bytes_left = store->limits.fetch_bytes_max,
		.any_host = proxy_is_set(),
	};
	int64_t started_ms = clock_mono_ms();
	enum err_class class = repo_fetch_ref(mirror, request, &net, err);

	log_debug("repo_fetch", LOG_S("host", address->host), LOG_I("repo_id", request->repo_id),
		  LOG_S("ref", request->ref), LOG_S("outcome", err_class_name(class)),
		  LOG_I("bytes", store->limits.fetch_bytes_max - net.bytes_left),
		  LOG_I("ms", clock_mono_ms() - started_ms));
	return class;
}

/* Makes sure that the mirror holds the commit and that the ref contains it. */
static enum err_class bring_commit(struct repo_store *store, git_repository *mirror,
				   const struct repo_request *request,
				   const struct repo_address *address, const git_oid *sha,
				   struct repo_tree *out, struct err *err)
{
	bool contained;
	enum err_class class;

	class = repo_ref_contains(&contained, mirror, request->ref, sha, err);
	if (class || contained)
		return class;
	class = fetch_once(store, mirror, request, address, err);
	if (class)
		return class;
	out->fetched = true;
	class = repo_ref_contains(&contained, mirror, request->ref, sha, err);
	if (!class && !contained)
		class = err_code(err, ERR_CONFLICT, "repo.sha_not_in_ref",
				 "the commit %.12s is not part of %s (any more)", request->sha,
				 request->ref);
	return class;
}

/* Makes the folder, or finds it empty. */
static enum err_class make_folder(const char *path, struct err *err)
{
	struct dirent *entry;
	bool empty = true;
	DIR *dir;

	if (mkdir(path, 0700) == 0)
		return ERR_OK;
	if (errno != EEXIST)
		return err_set(err, ERR_TRANSIENT, "the checkout folder cannot be made: %s",
			       strerror(errno));
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		empty &= str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..");
	if (!dir || !empty || fchmod(dirfd(dir), 0700) < 0) {
		if (dir)
			closedir(dir);
		return err_set(err, ERR_BUG, "the checkout folder is not empty");
	}
	closedir(dir);
	return ERR_OK;
}

static enum err_class checkout_once(struct repo_store *store, const struct repo_request *request,
				    const struct repo_address *address, const char *path,
				    struct repo_tree *out, struct err *err)
{
	git_repository *mirror = NULL;
	enum err_class class;
	git_oid sha;

	*out = (struct repo_tree){0};
	class = check_request(request, &sha, err);
	if (!class)
		class = open_mirror(store, path, &mirror, err);
	if (!class)
		class = bring_commit(store, mirror, request, address, &sha, out, err);
	if (!class)
		class = make_folder(request->dest, err);
	if (!class) {
		class = repo_tree_write(mirror, &sha, request->dest, &store->limits, out, err);
		if (class)
			repo_remove_tree(request->dest);
	}
	git_repository_free(mirror);
	return class;
}

enum err_class repo_checkout(struct repo_store *store, const struct repo_request *request,
			     struct repo_tree *out, struct err *err)
{
	struct repo_address address;
	struct busy mine = {0};
	enum err_class class;
	AUTO_FREE char *path = NULL;

	*out = (struct repo_tree){0};
	class = repo_address_parse(&address, request->url, store->limits.allow_http, err);
	if (class)
		return class;
	pthread_once(&once, load_libgit2);
	class = load_certificates(store, err);
	if (class)
		return class;
	path = mirror_path(store, &address, request->repo_id);
	mine.path = path;
	take_mirror(store, &mine, true);
	class = checkout_once(store, request, &address, path, out, err);
	if (class == ERR_CORRUPT) {
		log_warn("mirror_damaged", LOG_S("path", path), LOG_S("message", err->msg));
		discard_mirror(store, path);
		class = checkout_once(store, request, &address, path, out, err);
		if (class == ERR_CORRUPT) /* and so not by what we had stored */
			class = err_set(err, ERR_TRANSIENT,
					"%s sends a repository that does not hold together",
					address.host);
	}
	leave_mirror(store, &mine);
	return class;
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
		struct busy mine = {.path = path};

		if (str_ends(entry->d_name, ".git") && take_mirror(store, &mine, false)) {
			if (is_unused(path, unused_ms)) {
				log_info("mirror_pruned", LOG_S("path", path));
				discard_mirror(store, path);
			}
			leave_mirror(store, &mine);
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
