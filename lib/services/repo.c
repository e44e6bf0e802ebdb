/* repo.c - one checkout with libgit2, from request to folder.
 *
 * A mirror is a cache: when libgit2 finds it damaged, or it has gathered too many packs (1.5 cannot
 * repack), it is thrown away and fetched again. Nothing is synced to the disk: what a power cut
 * tears is found by its hash and fetched again. libgit2 is cut off from every configuration file of
 * the machine: an `insteadOf` or a credential helper there must not act on what the bot fetches. */
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
	PACKS_MAX = 200,
	REF_MAX = 512,
	OBJECT_CACHE_BYTES = 4 * 1024 * 1024,
	WINDOW_BYTES = 32 * 1024 * 1024,
	PACK_OBJECTS_MAX = 20 * 1000 * 1000,
};
static const int64_t mebibyte = 1024 * 1024;

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

static enum err_class open_mirror(struct repo_store *store, const char *path, git_repository **out,
				  struct err *err)
{
	enum err_class class = ERR_OK;

	*out = NULL;
	if (tidy_packs(path) > PACKS_MAX) {
		log_info("mirror_renewed", LOG_S("path", path), LOG_S("why", "too many packs"));
		repo_mirror_discard(store, path);
	}
	if (git_repository_open_bare(out, path) < 0) {
		if (access(path, F_OK) == 0)
			repo_mirror_discard(store, path); /* half made when a process was killed */
		class = init_mirror(out, path, err);
	}
	if (!class)
		class = keep_reflogs(*out, err);
	if (!class)
		repo_mirror_used(path);
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
	struct repo_busy mine = {0};
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
	path = repo_mirror_path(store, &address, request->repo_id);
	mine.path = path;
	repo_mirror_take(store, &mine, true);
	class = checkout_once(store, request, &address, path, out, err);
	if (class == ERR_CORRUPT) {
		log_warn("mirror_damaged", LOG_S("path", path), LOG_S("message", err->msg));
		repo_mirror_discard(store, path);
		class = checkout_once(store, request, &address, path, out, err);
		if (class == ERR_CORRUPT) /* and so not by what we had stored */
			class = err_set(err, ERR_TRANSIENT,
					"%s sends a repository that does not hold together",
					address.host);
	}
	repo_mirror_leave(store, &mine);
	return class;
}
