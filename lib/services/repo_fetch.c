/* repo_fetch.c - one fetch over HTTP(S): credentials, bounds, errors of libgit2 as ours.
 *
 * Connect, list, download and moving the ref are separate steps rather than git_remote_fetch,
 * because that succeeds silently when the far side lacks the ref, and because our ref must keep a
 * reflog: it is the record of every tip that this mirror has seen, which lets a commit that was
 * force-pushed away still be built and keeps a commit that was never seen under the ref out. The
 * remote is anonymous, so no address is stored in the mirror, and the token exists only in the
 * credential callback. TLS is verified by libgit2; no certificate callback is set that could wave
 * one through. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/services/repo_impl.h"

enum { TIPS_MAX = 200 }; /* of a ref's reflog, newest first */

static const char token_user[] = "x-access-token";

/* --- errors --- */

static const char *last_message(void)
{
	const git_error *fault = git_error_last();

	return fault && fault->message ? fault->message : "unknown error";
}

static int last_class(void)
{
	const git_error *fault = git_error_last();

	return fault ? fault->klass : GIT_ERROR_NONE;
}

enum err_class repo_mirror_error(struct err *err, const char *what)
{
	char shown[300];

	repo_path_show(shown, sizeof shown, last_message());
	if (last_class() == GIT_ERROR_OS || last_class() == GIT_ERROR_FILESYSTEM)
		return err_set(err, ERR_TRANSIENT, "the mirror failed on %s: %s", what, shown);
	return err_set(err, ERR_CORRUPT, "the mirror is damaged: %s: %s", what, shown);
}

/* An HTTP status that libgit2 only tells in its message; 0: it was not that. */
static int status_of(const char *message)
{
	static const char prefix[] = "unexpected http status code: ";

	return str_starts(message, prefix) ? (int)strtol(message + sizeof prefix - 1, NULL, 10) : 0;
}

static enum err_class status_error(int status, const char *host, struct err *err)
{
	if (status == 404 || status == 410)
		return err_code(err, ERR_NOT_FOUND, "repo.missing",
				"%s has no such repository, or the token may not see it", host);
	if (status == 401 || status == 403)
		return err_code(err, ERR_DENIED, "repo.denied",
				"%s refuses to hand out the repository (HTTP %d)", host, status);
	if (status >= 400 && status < 500 && status != 408 && status != 429)
		return err_set(err, ERR_CONFIG, "%s answers HTTP %d to a fetch", host, status);
	return err_set(err, ERR_TRANSIENT, "%s answers HTTP %d to a fetch", host, status);
}

/* Hides the token should a far side or a library ever quote it. */
static void hide_token(struct err *err, const char *token)
{
	char *at;

	if (!err || str_is_empty(token))
		return;
	while ((at = strstr(err->msg, token)))
		memset(at, '*', strlen(token));
}

static enum err_class broken_off(const struct repo_net *net, const struct repo_request *request,
				 struct err *err)
{
	const char *host = net->address.host;

	if (net->denied)
		return err_code(
			err, ERR_DENIED, "repo.denied", "%s refuses %s for this repository", host,
			str_is_empty(request->token) ? "a fetch without a token" : "the token");
	if (net->too_large)
		return err_code(err, ERR_USER, "repo.too_large",
				"a fetch of this repository is larger than allowed here");
	if (net->timed_out)
		return err_code(err, ERR_TRANSIENT, "repo.timeout",
				"the fetch from %s did not end in time", host);
	if (net->aborted)
		return err_set(err, ERR_TRANSIENT,
			       "the fetch from %s was broken off because kfops stops", host);
	if (net->wrong_host)
		return err_code(err, ERR_CONFIG, "repo.redirect",
				"%s redirects the fetch to another address, which is not followed",
				host);
	return ERR_OK;
}

static enum err_class fetch_error(const struct repo_net *net, const struct repo_request *request,
				  int code, struct err *err)
{
	const char *message = last_message(), *host = net->address.host;
	enum err_class class = broken_off(net, request, err);
	int status = status_of(message);
	char shown[300];

	repo_path_show(shown, sizeof shown, message);
	if (class)
		; /* our own doing */
	else if (status)
		class = status_error(status, host, err);
	else if (code == GIT_EAUTH)
		class = err_code(err, ERR_DENIED, "repo.denied", "%s refuses the fetch: %s", host,
				 shown);
	else if (code == GIT_ECERTIFICATE)
		class = err_code(err, ERR_CONFIG, "repo.tls",
				 "the certificate of %s cannot be verified: %s", host, shown);
	else if (str_starts(message, "cannot redirect from") ||
		 str_starts(message, "malformed URL")) /* ours was looked at before */
		class = err_code(err, ERR_CONFIG, "repo.redirect",
				 "%s redirects the fetch to another address, which is not followed",
				 host);
	else if (last_class() == GIT_ERROR_ODB) /* what we have does not hold together */
		class = repo_mirror_error(err, "a fetch into it");
	else if (last_class() == GIT_ERROR_INDEXER)
		class = err_set(err, ERR_TRANSIENT, "the pack from %s cannot be stored: %s", host,
				shown);
	else
		class = err_set(err, ERR_TRANSIENT, "the fetch from %s failed: %s", host, shown);
	hide_token(err, request->token);
	return class;
}

/* --- callbacks --- */

static int give_token(git_credential **out, const char *url, const char *user, unsigned allowed,
		      void *arg)
{
	struct repo_net *net = arg;

	(void)url, (void)user;
	/* A second question means that the first answer was refused. */
	if (net->token_uses || str_is_empty(net->token) ||
	    !(allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT)) {
		net->denied = true;
		return GIT_EAUTH;
	}
	net->token_uses++;
	return git_credential_userpass_plaintext_new(out, token_user, net->token);
}

/* Called while a pack comes in and again while it is indexed, when the sockets are not read. */
static int on_progress(const git_indexer_progress *stats, void *arg)
{
	struct repo_net *net = arg;

	(void)stats;
	net->aborted |= atomic_load(net->abort);
	net->timed_out |= clock_mono_ms() > net->deadline_mono_ms;
	return net->aborted || net->timed_out ? -1 : 0;
}

static int on_sideband(const char *text, int len, void *arg)
{
	(void)text, (void)len;
	return on_progress(NULL, arg);
}

static void set_callbacks(git_remote_callbacks *callbacks, struct repo_net *net)
{
	callbacks->credentials = give_token;
	callbacks->transfer_progress = on_progress;
	callbacks->sideband_progress = on_sideband;
	callbacks->payload = net;
}

/* --- the fetch --- */

static int connect_remote(git_remote *remote, struct repo_net *net)
{
	git_remote_connect_options options;

	must(git_remote_connect_options_init(&options, GIT_REMOTE_CONNECT_OPTIONS_VERSION) == 0);
	set_callbacks(&options.callbacks, net);
	options.proxy_opts.type = GIT_PROXY_AUTO;
	options.follow_redirects = GIT_REMOTE_REDIRECT_NONE; /* beyond the host */
	return git_remote_connect_ext(remote, GIT_DIRECTION_FETCH, &options);
}

/* The ref's tip on the far side; GIT_ENOTFOUND: it has no such ref. */
static int find_tip(git_remote *remote, const char *ref, git_oid *out)
{
	const git_remote_head **heads;
	size_t count;
	int code = git_remote_ls(&heads, &count, remote);

	if (code < 0)
		return code;
	for (size_t i = 0; i < count; i++)
		if (str_eq(heads[i]->name, ref)) {
			git_oid_cpy(out, &heads[i]->oid);
			return 0;
		}
	return GIT_ENOTFOUND;
}

static int download(git_repository *mirror, git_remote *remote, const char *ref, const git_oid *tip,
		    struct repo_net *net)
{
	git_fetch_options options;
	char *spec = str_printf("+%s:%s", ref, ref);
	git_strarray specs = {.strings = &spec, .count = 1};
	git_commit *commit = NULL;
	int code = 0;

	must(git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION) == 0);
	set_callbacks(&options.callbacks, net);
	options.prune = GIT_FETCH_NO_PRUNE;
	options.update_fetchhead = 0;
	options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	options.proxy_opts.type = GIT_PROXY_AUTO;
	options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
	if (git_commit_lookup(&commit, mirror, tip) < 0)
		code = git_remote_download(remote, &specs, &options);
	git_commit_free(commit);
	mem_free(spec);
	return code;
}

static enum err_class move_ref(git_repository *mirror, const char *ref, const git_oid *tip,
			       struct err *err)
{
	git_reference *old = NULL, *made = NULL;
	git_commit *commit = NULL;
	enum err_class class = ERR_OK;

	if (git_commit_lookup(&commit, mirror, tip) < 0)
		return err_code(err, ERR_USER, "repo.bad_object",
				"%s does not point at a commit that could be fetched", ref);
	git_commit_free(commit);
	if (git_reference_lookup(&old, mirror, ref) == 0 && git_reference_target(old) &&
	    git_oid_equal(git_reference_target(old), tip)) {
		git_reference_free(old);
		return ERR_OK;
	}
	git_reference_free(old);
	if (git_reference_create(&made, mirror, ref, tip, true, "fetch") < 0)
		class = repo_mirror_error(err, "a ref");
	git_reference_free(made);
	return class;
}

static enum err_class run_fetch(git_repository *mirror, git_remote *remote,
				const struct repo_request *request, struct repo_net *net,
				struct err *err)
{
	git_oid tip;
	int code = connect_remote(remote, net);

	if (code)
		return fetch_error(net, request, code, err);
	code = find_tip(remote, request->ref, &tip);
	if (code == GIT_ENOTFOUND)
		return err_code(err, ERR_NOT_FOUND, "repo.ref_missing",
				"the repository on %s has no %s", net->address.host, request->ref);
	if (!code)
		code = download(mirror, remote, request->ref, &tip, net);
	if (code)
		return fetch_error(net, request, code, err);
	return move_ref(mirror, request->ref, &tip, err);
}

enum err_class repo_fetch_ref(git_repository *mirror, const struct repo_request *request,
			      struct repo_net *net, struct err *err)
{
	git_remote_create_options options;
	git_remote *remote = NULL;
	enum err_class class;

	must(git_remote_create_options_init(&options, GIT_REMOTE_CREATE_OPTIONS_VERSION) == 0);
	options.repository = mirror;
	/* Without looking for rewrites of the address: none may act on it, and the pattern match of
	 * libgit2 1.5 leaks 20 kB for every line of configuration that it passes over. */
	options.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
	git_error_clear();
	if (git_remote_create_with_opts(&remote, request->url, &options) < 0)
		return repo_mirror_error(err, "the remote");
	repo_stream_use(net);
	class = run_fetch(mirror, remote, request, net, err);
	git_remote_disconnect(remote);
	git_remote_free(remote);
	repo_stream_use(NULL);
	return class;
}

/* --- what a ref contains --- */

static size_t add_tip(git_oid *tips, size_t count, git_repository *mirror, const git_oid *tip)
{
	git_commit *commit = NULL;

	if (count == TIPS_MAX || git_oid_is_zero(tip))
		return count;
	for (size_t i = 0; i < count; i++)
		if (git_oid_equal(&tips[i], tip))
			return count;
	if (git_commit_lookup(&commit, mirror, tip) < 0)
		return count;
	git_commit_free(commit);
	git_oid_cpy(&tips[count], tip);
	return count + 1;
}

static size_t collect_tips(git_oid *tips, git_repository *mirror, const char *ref)
{
	git_reference *now = NULL;
	git_reflog *log = NULL;
	size_t count = 0;

	if (git_reference_lookup(&now, mirror, ref) == 0 && git_reference_target(now))
		count = add_tip(tips, count, mirror, git_reference_target(now));
	if (count && git_reflog_read(&log, mirror, ref) == 0)
		for (size_t i = 0; i < git_reflog_entrycount(log); i++)
			count = add_tip(tips, count, mirror,
					git_reflog_entry_id_new(git_reflog_entry_byindex(log, i)));
	git_reflog_free(log);
	git_reference_free(now);
	return count;
}

enum err_class repo_ref_contains(bool *out, git_repository *mirror, const char *ref,
				 const git_oid *sha, struct err *err)
{
	git_oid *tips = mem_new(TIPS_MAX, sizeof *tips);
	size_t count = collect_tips(tips, mirror, ref);
	git_commit *commit = NULL;
	int reached = 0;

	*out = false;
	if (count && git_commit_lookup(&commit, mirror, sha) == 0)
		reached = git_graph_reachable_from_any(mirror, sha, tips, count);
	git_commit_free(commit);
	mem_free(tips);
	if (reached < 0)
		return repo_mirror_error(err, "the history");
	*out = reached == 1;
	return ERR_OK;
}
