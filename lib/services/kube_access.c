/* kube_access.c - who are we, where is the server: what was configured, with the files it names.
 *
 * A pod finds both in its environment and in a folder that the kubelet keeps fresh; anybody else in
 * a kubeconfig, whose text kube_config.c reads. Files with a credential must not be readable by
 * everybody, except in a pod, whose files nobody else sees. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/jval.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"
#include "lib/services/kube_impl.h"

enum { SERVER_MAX = 2048 };

static const char account_dir[] = "/var/run/secrets/kubernetes.io/serviceaccount";

void kube_exec_free(struct kube_exec *take_exec)
{
	if (!take_exec)
		return;
	for (size_t i = 0; take_exec->args[i]; i++)
		mem_free(take_exec->args[i]);
	for (size_t i = 0; take_exec->env[i]; i++)
		sign_secret_free(take_exec->env[i]);
	mem_free(take_exec->command);
	mem_free(take_exec->api_version);
	mem_free(take_exec->info);
	mem_free(take_exec->install_hint);
	mem_free(take_exec);
}

void kube_access_dispose(struct kube_access *access)
{
	mem_free(access->server);
	mem_free(access->server_name);
	mem_free(access->url);
	mem_free(access->connect_to);
	mem_free(access->host_header);
	mem_free(access->ns);
	mem_free(access->ca);
	mem_free(access->cert);
	sign_secret_free(access->key);
	sign_secret_free(access->token);
	mem_free(access->ca_file);
	mem_free(access->cert_file);
	mem_free(access->key_file);
	mem_free(access->token_file);
	kube_exec_free(access->exec);
	*access = (struct kube_access){0};
}

/* --- address --- */

static bool is_visible(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7f)
			return false;
	return true;
}

/* ":6443", or nothing. */
static bool parse_port(int *out, const char *text, size_t len)
{
	AUTO_FREE char *tail = str_dup_len(text, len);
	int64_t port;

	if (!len)
		return true;
	if (*tail != ':' || !str_to_int64(&port, tail + 1) || port < 1 || port > 65535)
		return false;
	*out = (int)port;
	return true;
}

/* Length of the host at the start of HOST[:PORT]; 0 when there is none. */
static size_t host_len_of(const char *authority, size_t len)
{
	size_t host_len = strcspn(authority, *authority == '[' ? "]/" : ":/");

	if (*authority == '[')
		host_len = authority[host_len] == ']' ? host_len + 1 : 0;
	return host_len <= len ? host_len : 0;
}

bool kube_server_parse(struct kube_server *out, const char *text)
{
	size_t host_len, len;

	*out = (struct kube_server){.tls = str_starts(text, "https://")};
	if (strlen(text) > SERVER_MAX || !is_visible(text) || strpbrk(text, "@?#\"\\") ||
	    (!out->tls && !str_starts(text, "http://")))
		return false;
	out->authority = strstr(text, "://") + 3;
	len = strcspn(out->authority, "/");
	out->authority_len = (int)len;
	out->path = out->authority + len;
	out->path_len = (int)strlen(out->path);
	while (out->path_len && out->path[out->path_len - 1] == '/')
		out->path_len--;
	host_len = host_len_of(out->authority, len);
	if (!host_len || host_len >= sizeof out->host)
		return false;
	memcpy(out->host, out->authority, host_len);
	out->port = out->tls ? 443 : 80;
	return parse_port(&out->port, out->authority + host_len, len - host_len);
}

void kube_server_use(struct kube_access *access, const struct kube_server *server)
{
	if (access->server_name) {
		access->url = str_printf("https://%s:%d%.*s", access->server_name, server->port,
					 server->path_len, server->path);
		access->connect_to = str_printf("%s:%d", server->host, server->port);
		access->host_header = str_dup_len(server->authority, (size_t)server->authority_len);
	} else {
		access->url = str_printf("%s://%.*s%.*s", server->tls ? "https" : "http",
					 server->authority_len, server->authority, server->path_len,
					 server->path);
	}
	if (!server->tls || access->unverified)
		access->reach = HTTP_REACH_LOOPBACK;
}

/* --- files --- */

static enum err_class check_mode(const struct stat *info, const char *path, struct err *err)
{
	if (info->st_mode & S_IROTH)
		return err_code(err, ERR_CONFIG, "kube.config",
				"%s holds a credential and can be read by everybody; run: chmod "
				"o-r '%s' (in a pod: set securityContext.fsGroup)",
				path, path);
	return ERR_OK;
}

static enum err_class check_file(int fd, const char *path, bool is_secret, struct err *err)
{
	struct stat info;

	if (fd < 0 || fstat(fd, &info) < 0)
		return err_code(err, ERR_CONFIG, "kube.config", "%s cannot be read: %s", path,
				strerror(errno));
	if (!S_ISREG(info.st_mode))
		return err_code(err, ERR_CONFIG, "kube.config", "%s is not a regular file", path);
	return is_secret ? check_mode(&info, path, err) : ERR_OK;
}

/* A whole text file of at most KUBE_FILE_MAX bytes; sign_secret_free ends it. */
static enum err_class read_file(char **out, const char *path, bool is_secret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	enum err_class class = check_file(fd, path, is_secret, err);
	char *text = class ? NULL : mem_new(KUBE_FILE_MAX + 2, 1);
	size_t len = 0;
	ssize_t got = 1;

	*out = NULL;
	while (!class && got && len <= KUBE_FILE_MAX) {
		got = read(fd, text + len, KUBE_FILE_MAX + 1 - len);
		if (got < 0 && errno != EINTR)
			class = err_code(err, ERR_CONFIG, "kube.config", "%s cannot be read: %s",
					 path, strerror(errno));
		len += got > 0 ? (size_t)got : 0;
	}
	if (fd >= 0)
		close(fd);
	if (!class && (len > KUBE_FILE_MAX || strlen(text) != len))
		class = err_code(err, ERR_CONFIG, "kube.config",
				 "%s is larger than %d bytes or not a text", path, KUBE_FILE_MAX);
	if (!class && strspn(text, " \t\r\n") == len)
		class = err_code(err, ERR_CONFIG, "kube.config", "%s is empty", path);
	if (!class)
		*out = str_dup_len(text, len);
	if (text)
		explicit_bzero(text, len);
	mem_free(text);
	return class;
}

/* A file named in the configuration, when there is one. */
static enum err_class fill(char **out, const char *path, bool is_secret, struct err *err)
{
	return path ? read_file(out, path, is_secret, err) : ERR_OK;
}

static enum err_class read_files(struct kube_access *access, bool is_own_pod, struct err *err)
{
	/* The token of a pod may be readable by all of the pod, which is only us. */
	enum err_class class = fill(&access->token, access->token_file, !is_own_pod, err);

	if (!class)
		class = fill(&access->ca, access->ca_file, false, err);
	if (!class)
		class = fill(&access->cert, access->cert_file, false, err);
	if (!class)
		class = fill(&access->key, access->key_file, true, err);
	if (!class && access->token) {
		size_t len = strlen(access->token);

		while (len && strchr("\r\n", access->token[len - 1]))
			access->token[--len] = '\0';
		if (!is_visible(access->token))
			class = err_code(
				err, ERR_CONFIG, "kube.config",
				"the token for Kubernetes holds blanks or control characters");
	}
	return class;
}

/* --- what a plugin is told --- */

static char *base64(const char *text)
{
	AUTO_FREE char *url = sign_base64url(text, strlen(text));
	size_t len = strlen(url);

	for (size_t i = 0; i < len; i++)
		url[i] = (char)(url[i] == '-' ? '+' : url[i] == '_' ? '/' : url[i]);
	return str_printf("%s%.*s", url, (int)((4 - len % 4) % 4), "==");
}

static void tell(struct kube_exec *exec, const struct kube_access *access)
{
	AUTO_JSON json_t *info = json_object();
	json_t *spec = json_object(), *cluster = json_object();

	jval_set_str(info, "apiVersion", exec->api_version);
	jval_set_str(info, "kind", "ExecCredential");
	jval_set_bool(spec, "interactive", false);
	jval_set_str(cluster, "server", access->server);
	if (access->server_name)
		jval_set_str(cluster, "tls-server-name", access->server_name);
	if (access->unverified)
		jval_set_bool(cluster, "insecure-skip-tls-verify", true);
	if (access->ca) {
		AUTO_FREE char *data = base64(access->ca);

		jval_set_str(cluster, "certificate-authority-data", data);
	}
	if (exec->wants_cluster)
		jval_set(spec, "cluster", json_incref(cluster));
	json_decref(cluster);
	jval_set(info, "spec", spec);
	exec->info = jval_dump(info);
}

/* --- both kinds --- */

static enum err_class read_kubeconfig(struct kube_access *out, const struct kube_options *options,
				      struct err *err)
{
	char *text = NULL;
	struct stat info;
	enum err_class class = read_file(&text, options->kubeconfig, false, err);

	if (!class)
		class = kube_config_parse(out, text, strlen(text), options->kubeconfig,
					  options->context, err);
	sign_secret_free(text);
	if (!class && out->holds_secret && stat(options->kubeconfig, &info) == 0)
		class = check_mode(&info, options->kubeconfig, err);
	if (!class)
		class = read_files(out, false, err);
	if (!class && out->exec)
		tell(out->exec, out);
	return class;
}

static enum err_class read_account(struct kube_access *out, const char *dir, struct err *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	AUTO_FREE char *ns_file = str_printf("%s/namespace", dir);
	struct kube_server server;
	struct err ignored;
	enum err_class class;

	if (str_is_empty(host) || str_is_empty(port))
		return err_code(err, ERR_CONFIG, "kube.config",
				"kfopsd does not run in a pod (KUBERNETES_SERVICE_HOST is not "
				"set); name a kubeconfig file");
	out->server =
		str_printf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
	if (!kube_server_parse(&server, out->server))
		return err_code(
			err, ERR_CONFIG, "kube.config",
			"KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no address");
	kube_server_use(out, &server);
	out->token_file = str_printf("%s/token", dir);
	out->ca_file = str_printf("%s/ca.crt", dir);
	class = read_files(out, true, err);
	if (!class && read_file(&out->ns, ns_file, false, &ignored))
		out->ns = str_dup("");
	if (out->ns)
		out->ns[strcspn(out->ns, "\r\n")] = '\0';
	return class;
}

enum err_class kube_access_read(struct kube_access *out, const struct kube_options *options,
				struct err *err)
{
	*out = (struct kube_access){0};
	if (options->kubeconfig)
		return read_kubeconfig(out, options, err);
	return read_account(out, options->account_dir ? options->account_dir : account_dir, err);
}
