/* repo_program.c - a checkout by a process of its own: what kfops-checkout does.
 *
 * It ends with its parent, leaves no core file (the token is in its memory), and trusts the
 * request, because only the parent can send one. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"
#include "lib/services/repo.h"

enum { REQUEST_MAX = 64 * 1024, EXIT_OS = 71, EXIT_USAGE = 64 };

static bool read_all(int fd, struct buf *out)
{
	char bytes[4096];
	ssize_t got;

	while ((got = read(fd, bytes, sizeof bytes)) != 0) {
		if (got < 0 && errno != EINTR)
			return false;
		if (got > 0)
			buf_add(out, bytes, (size_t)got);
	}
	return !out->truncated;
}

static struct repo_limits limits_of(const json_t *json)
{
	return (struct repo_limits){
		.file_bytes_max = jval_int(json, "file_bytes_max", 0),
		.tree_bytes_max = jval_int(json, "tree_bytes_max", 0),
		.files_max = jval_int(json, "files_max", 0),
		.fetch_bytes_max = jval_int(json, "fetch_bytes_max", 0),
		.fetch_timeout_ms = (int)jval_int(json, "fetch_timeout_ms", 0),
		.allow_http = jval_bool(json, "allow_http", false),
		.ca_file = jval_str(json, "ca_file", NULL),
	};
}

static enum err_class checkout(const json_t *json, struct repo_tree *out, struct err *err)
{
	struct repo_limits limits = limits_of(jval_at(json, "limits"));
	struct repo_request request = {
		.repo_id = jval_int(json, "repo_id", 0),
		.url = jval_str(json, "url", ""),
		.token = jval_str(json, "token", NULL),
		.ref = jval_str(json, "ref", ""),
		.sha = jval_str(json, "sha", ""),
		.dest = jval_str(json, "dest", ""),
	};
	struct repo_store *store;
	enum err_class class = repo_store_open(&store, jval_str(json, "dir", ""), &limits, err);

	if (class)
		return class;
	class = repo_checkout(store, &request, out, err);
	repo_store_close(store);
	return class;
}

static bool answer(int fd, enum err_class class, const struct repo_tree *tree,
		   const struct err *err)
{
	AUTO_JSON json_t *json = json_object();
	AUTO_FREE char *text = NULL;
	size_t done = 0, len;

	jval_set_int(json, "class", class);
	jval_set_int(json, "files", tree->files);
	jval_set_int(json, "bytes", tree->bytes);
	jval_set_bool(json, "fetched", tree->fetched);
	if (class) {
		jval_set_str(json, "code", err->code);
		jval_set_str(json, "message", err->msg);
		jval_set_bool(json, "in_doubt", err->in_doubt);
	}
	text = jval_dump(json);
	len = strlen(text);
	while (done < len) {
		ssize_t sent = send(fd, text + done, len - done, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return false;
		done += sent > 0 ? (size_t)sent : 0;
	}
	return true;
}

int repo_program_main(int fd)
{
	AUTO_BUF struct buf text = buf_make(REQUEST_MAX);
	AUTO_JSON json_t *json = NULL;
	struct repo_tree tree = {0};
	struct err err = {0};
	enum err_class class;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	if (!read_all(fd, &text) || jval_parse(&json, buf_text(&text), text.len, &err))
		return EXIT_USAGE;
	if (getppid() != (pid_t)jval_int(json, "parent", 0))
		return EXIT_OS; /* it ended before we asked to end with it */
	class = checkout(json, &tree, &err);
	return answer(fd, class, &tree, &err) ? 0 : EXIT_OS;
}
