/* kube_config.c - a kubeconfig's text: addresses, names of files, what is written out in it.
 *
 * Members that we have no use for are passed over, as clients must; those that change where we
 * connect or who we are, and that we do not support, are refused with their place, because ignoring
 * them would act with other rights than were meant. Only one file: the lists of KUBECONFIG are for
 * people, not for a server's configuration. */
#include <string.h>

#include "lib/base/address.h"
#include "lib/base/str.h"
#include "lib/base/yaml.h"
#include "lib/services/kube_impl.h"

enum { NAMES_MAX = 256 };

/* --- reading the text --- */

struct reading {
	const char *path;
	struct err *err;
};

#define FAULT(reading, node, ...) fault(reading, node, str_printf(__VA_ARGS__))

static enum err_class fault(const struct reading *reading, const struct yaml_node *node,
			    char *take_message)
{
	enum err_class class =
		err_code(reading->err, ERR_CONFIG, "kube.config", "%s: line %d, column %d: %s",
			 reading->path, node->line, node->column, take_message);

	mem_free(take_message);
	return class;
}

static bool is_null(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && !node->quoted &&
	       (!*node->text || str_eq(node->text, "null") || str_eq(node->text, "~"));
}

/* The member, NULL when absent or null. */
static const struct yaml_node *member(const struct yaml_node *map, const char *key)
{
	const struct yaml_node *node = yaml_get(map, key);

	return node && !is_null(node) ? node : NULL;
}

/* Text of a member, NULL when absent or empty; borrowed. */
static enum err_class text_at(const struct reading *reading, const struct yaml_node *map,
			      const char *key, const char **out)
{
	const struct yaml_node *node = member(map, key);

	*out = NULL;
	if (node && node->kind != YAML_SCALAR)
		return FAULT(reading, node, "%s must be text", key);
	if (node && *node->text)
		*out = node->text;
	return ERR_OK;
}

static enum err_class flag_at(const struct reading *reading, const struct yaml_node *map,
			      const char *key, bool *out)
{
	const struct yaml_node *node = member(map, key);

	*out = node && node->kind == YAML_SCALAR && !node->quoted && str_eq(node->text, "true");
	if (node && !*out &&
	    (node->kind != YAML_SCALAR || node->quoted || !str_eq(node->text, "false")))
		return FAULT(reading, node, "%s must be true or false", key);
	return ERR_OK;
}

/* A copy of a member's text. */
static enum err_class copy_at(const struct reading *reading, const struct yaml_node *map,
			      const char *key, char **out)
{
	const char *text;
	enum err_class class = text_at(reading, map, key, &text);

	*out = str_dup(text);
	return class;
}

/* A copy of a member that names a file; relative to the folder of the kubeconfig. */
static enum err_class file_at(const struct reading *reading, const struct yaml_node *map,
			      const char *key, char **out)
{
	const char *slash = strrchr(reading->path, '/'), *text;
	enum err_class class = text_at(reading, map, key, &text);

	if (!text || *text == '/' || !slash)
		*out = str_dup(text);
	else
		*out = str_printf("%.*s/%s", (int)(slash - reading->path), reading->path, text);
	return class;
}

static bool is_pem(const char *text, size_t len)
{
	return strlen(text) == len && strstr(text, "-----BEGIN ");
}

/* A copy of a member that holds PEM in base64. */
static enum err_class data_at(const struct reading *reading, const struct yaml_node *map,
			      const char *key, char **out)
{
	const struct yaml_node *node = member(map, key);
	const char *text;
	enum err_class class = text_at(reading, map, key, &text);
	size_t len = 0;

	*out = NULL;
	if (class || !text || !node)
		return class;
	*out = str_unbase64(text, &len);
	if (!*out)
		return FAULT(reading, node, "%s is not base64", key);
	if (is_pem(*out, len))
		return ERR_OK;
	explicit_bzero(*out, len);
	mem_free(*out);
	*out = NULL;
	return FAULT(reading, node, "%s is not a PEM text in base64", key);
}

/* The `inner` map of the entry of that name in a list of {name, <inner>}. */
static enum err_class named(const struct reading *reading, const struct yaml_node *root,
			    const char *inner, const struct yaml_node *name,
			    const struct yaml_node **out)
{
	AUTO_FREE char *list_key = str_printf("%ss", inner);
	const struct yaml_node *list = member(root, list_key);
	const char *names[NAMES_MAX], *text, *near;
	size_t count = 0;

	*out = NULL;
	for (size_t i = 0; list && list->kind == YAML_LIST && i < list->count; i++) {
		enum err_class class = text_at(reading, list->items[i], "name", &text);

		if (class)
			return class;
		if (str_eq(text, name->text) && *out)
			return FAULT(reading, list->items[i], "there are two %s named %.60s",
				     list_key, text);
		if (str_eq(text, name->text)) {
			*out = member(list->items[i], inner);
			if (!*out || (*out)->kind != YAML_MAP)
				return FAULT(reading, list->items[i], "%.60s has no %s", text,
					     inner);
		}
		if (text && count < NAMES_MAX)
			names[count++] = text;
	}
	if (*out)
		return ERR_OK;
	near = str_nearest(name->text, names, count, 3);
	return FAULT(reading, name, "there is no %s named %.60s%s%.60s%s", inner, name->text,
		     near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

/* Refuses members that would change what we do and that we do not know how to follow. */
static enum err_class refuse(const struct reading *reading, const struct yaml_node *map,
			     const char *const (*keys)[2], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct yaml_node *node = member(map, keys[i][0]);

		if (node && !(node->kind == YAML_SCALAR && !*node->text))
			return FAULT(reading, node, "%s: %s", keys[i][0], keys[i][1]);
	}
	return ERR_OK;
}

/* --- cluster --- */

static bool is_server_name(const char *name)
{
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") ==
	       strlen(name);
}

static enum err_class read_server(const struct reading *reading, const struct yaml_node *cluster,
				  struct kube_access *out)
{
	const struct yaml_node *node = member(cluster, "server");
	struct kube_server server;
	enum err_class class = copy_at(reading, cluster, "server", &out->server);

	if (!class)
		class = copy_at(reading, cluster, "tls-server-name", &out->server_name);
	if (!class)
		class = flag_at(reading, cluster, "insecure-skip-tls-verify", &out->unverified);
	if (class)
		return class;
	if (!out->server)
		return FAULT(reading, cluster, "the cluster has no server");
	if (!kube_server_parse(&server, out->server))
		return FAULT(reading, node, "server must be https://HOST[:PORT][/PATH]");
	if (!server.tls && !address_name_is_loopback(server.host))
		return FAULT(
			reading, node,
			"server uses plain http, which would show the credentials to everybody "
			"on the way; it is allowed only to this machine itself");
	if (out->unverified && !address_name_is_loopback(server.host))
		return FAULT(reading, member(cluster, "insecure-skip-tls-verify"),
			     "insecure-skip-tls-verify would let anybody on the way answer as the "
			     "cluster; give certificate-authority or certificate-authority-data");
	if (out->server_name && (!server.tls || !is_server_name(out->server_name)))
		return FAULT(reading, member(cluster, "tls-server-name"),
			     "tls-server-name must be the name of an https server");
	kube_server_use(out, &server);
	return ERR_OK;
}

static enum err_class read_cluster(const struct reading *reading, const struct yaml_node *cluster,
				   struct kube_access *out)
{
	static const char *const refused[][2] = {
		{"proxy-url", "is not supported; set HTTPS_PROXY in the environment of kfopsd"},
	};
	enum err_class class = refuse(reading, cluster, refused, ARRAY_LEN(refused));

	if (!class)
		class = read_server(reading, cluster, out);
	if (!class)
		class = data_at(reading, cluster, "certificate-authority-data", &out->ca);
	if (!class && !out->ca)
		class = file_at(reading, cluster, "certificate-authority", &out->ca_file);
	return class;
}

/* --- user --- */

static enum err_class read_args(const struct reading *reading, const struct yaml_node *exec,
				struct kube_exec *out)
{
	const struct yaml_node *args = member(exec, "args"), *env = member(exec, "env");
	const char *name, *value;

	if ((args && (args->kind != YAML_LIST || args->count > KUBE_EXEC_ARGS_MAX)) ||
	    (env && (env->kind != YAML_LIST || env->count > KUBE_EXEC_ENV_MAX)))
		return FAULT(reading, exec, "args and env must be lists of at most %d members",
			     KUBE_EXEC_ARGS_MAX);
	for (size_t i = 0; args && i < args->count; i++) {
		if (args->items[i]->kind != YAML_SCALAR)
			return FAULT(reading, args->items[i], "args must be texts");
		out->args[i] = str_dup(args->items[i]->text);
	}
	for (size_t i = 0; env && i < env->count; i++) {
		enum err_class class = text_at(reading, env->items[i], "name", &name);

		if (!class)
			class = text_at(reading, env->items[i], "value", &value);
		if (class)
			return class;
		if (!name || strchr(name, '='))
			return FAULT(reading, env->items[i],
				     "env must be a list of name and value");
		out->env[i] = str_printf("%s=%s", name, value ? value : "");
	}
	return ERR_OK;
}

static enum err_class read_exec(const struct reading *reading, const struct yaml_node *node,
				struct kube_exec *out)
{
	const char *command, *mode;
	enum err_class class = text_at(reading, node, "command", &command);

	if (!class)
		class = text_at(reading, node, "interactiveMode", &mode);
	if (!class)
		class = copy_at(reading, node, "apiVersion", &out->api_version);
	if (!class)
		class = copy_at(reading, node, "installHint", &out->install_hint);
	if (!class)
		class = flag_at(reading, node, "provideClusterInfo", &out->wants_cluster);
	if (!class)
		class = read_args(reading, node, out);
	if (class)
		return class;
	if (!command)
		return FAULT(reading, node, "exec has no command");
	if (!str_eq(out->api_version, "client.authentication.k8s.io/v1") &&
	    !str_eq(out->api_version, "client.authentication.k8s.io/v1beta1"))
		return FAULT(reading, node,
			     "exec.apiVersion must be client.authentication.k8s.io/v1 or v1beta1");
	if (str_eq(mode, "Always"))
		return FAULT(reading, node,
			     "exec.interactiveMode is Always, but nobody sits at this terminal");
	if (strchr(command, '/'))
		return file_at(reading, node, "command", &out->command);
	out->command = str_dup(command);
	return ERR_OK;
}

static enum err_class read_certificate(const struct reading *reading, const struct yaml_node *user,
				       struct kube_access *out)
{
	enum err_class class = data_at(reading, user, "client-certificate-data", &out->cert);

	if (!class && !out->cert)
		class = file_at(reading, user, "client-certificate", &out->cert_file);
	if (!class)
		class = data_at(reading, user, "client-key-data", &out->key);
	if (!class && !out->key)
		class = file_at(reading, user, "client-key", &out->key_file);
	if (!class && !(out->cert || out->cert_file) != !(out->key || out->key_file))
		class = FAULT(reading, user,
			      "client-certificate and client-key are needed together");
	return class;
}

static enum err_class read_user(const struct reading *reading, const struct yaml_node *user,
				struct kube_access *out)
{
	static const char other_identity[] =
		"acting as somebody else is not supported; make a user for kfops";
	static const char no_password[] =
		"Kubernetes has no passwords since 1.19; use a token or a certificate";
	static const char *const refused[][2] = {
		{"auth-provider", "was removed from Kubernetes 1.26; use an exec plugin (for "
				  "Google's cloud gke-gcloud-auth-plugin, for OpenID kubelogin)"},
		{"username", no_password},
		{"password", no_password},
		{"as", other_identity},
		{"as-uid", other_identity},
		{"as-groups", other_identity},
		{"as-user-extra", other_identity},
	};
	const struct yaml_node *exec = member(user, "exec");
	enum err_class class = refuse(reading, user, refused, ARRAY_LEN(refused));

	if (!class)
		class = file_at(reading, user, "tokenFile", &out->token_file);
	if (!class && !out->token_file)
		class = copy_at(reading, user, "token", &out->token);
	if (!class)
		class = read_certificate(reading, user, out);
	if (!class && exec) {
		out->exec = mem_new(1, sizeof *out->exec);
		class = read_exec(reading, exec, out->exec);
	}
	out->holds_secret = out->token || out->key || (out->exec && out->exec->env[0]);
	return class;
}

/* --- the file --- */

static enum err_class read_context(const struct reading *reading, const struct yaml_node *root,
				   const char *wanted, struct kube_access *out)
{
	const struct yaml_node *name = member(root, "current-context"), *context, *entry, *part;
	struct yaml_node given = {.kind = YAML_SCALAR, .line = root->line, .column = root->column};
	union {
		const char *in;
		char *out;
	} text = {.in = wanted};
	enum err_class class;

	given.text = text.out;
	if (wanted)
		name = &given;
	if (!name || name->kind != YAML_SCALAR)
		return FAULT(reading, root, "there is no current-context; name a context");
	class = named(reading, root, "context", name, &context);
	if (class || !context)
		return class;
	part = member(context, "cluster");
	if (!part || part->kind != YAML_SCALAR)
		return FAULT(reading, context, "the context names no cluster");
	class = named(reading, root, "cluster", part, &entry);
	if (!class)
		class = read_cluster(reading, entry, out);
	if (!class)
		class = copy_at(reading, context, "namespace", &out->ns);
	part = member(context, "user");
	if (!class && (!part || part->kind != YAML_SCALAR))
		class = FAULT(reading, context, "the context names no user");
	if (!class)
		class = named(reading, root, "user", part, &entry);
	return class ? class : read_user(reading, entry, out);
}

enum err_class kube_config_parse(struct kube_access *out, const char *text, size_t len,
				 const char *path, const char *context, struct err *err)
{
	struct reading reading = {path, err};
	struct yaml_node **docs = NULL;
	size_t count = 0;
	enum err_class class;
	struct err what;

	*out = (struct kube_access){0};
	if (yaml_parse(&docs, &count, text, len, &what))
		return err_code(err, ERR_CONFIG, "kube.config", "%s: %s", path, what.msg);
	if (count != 1 || docs[0]->kind != YAML_MAP)
		class = err_code(err, ERR_CONFIG, "kube.config",
				 "%s: line 1, column 1: this is not one kubeconfig", path);
	else
		class = read_context(&reading, docs[0], str_is_empty(context) ? NULL : context,
				     out);
	yaml_docs_free(docs, count);
	if (!out->ns)
		out->ns = str_dup("");
	return class;
}
