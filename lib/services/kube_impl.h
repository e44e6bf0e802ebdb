/* kube_impl.h - what the files of the module kube share. Nobody else includes this, except the
 * tests and fuzz targets of its parsers.
 *
 * kube.c         a server: credentials kept fresh, one call with its second try after a 401
 * kube_access.c  who are we, where is the server: service account or kubeconfig, with their files
 * kube_config.c  the text of a kubeconfig
 * kube_exec.c    credential plugins
 * kube_calls.c   the verbs
 * kube_probe.c   what the server can do, what we may
 * kube_answer.c  answers that are not 2xx: class, code, sentence */
#ifndef KF_SERVICES_KUBE_IMPL_H
#define KF_SERVICES_KUBE_IMPL_H

#include <pthread.h>

#include "lib/services/kube.h"

enum {
	KUBE_ANSWER_MAX = 8 * 1024 * 1024,
	KUBE_FRESH_MS = 60 * 1000, /* how long credentials are believed without looking again */
	KUBE_EXEC_ARGS_MAX = 64,
	KUBE_EXEC_ENV_MAX = 64,
	KUBE_FILE_MAX = 1024 * 1024,
};

/* A credential plugin, as kubeconfig describes it. */
struct kube_exec {
	char *command; /* a path, or a name looked for on PATH */
	char *args[KUBE_EXEC_ARGS_MAX + 1];
	char *env[KUBE_EXEC_ENV_MAX + 1]; /* "NAME=VALUE" */
	char *api_version;
	bool wants_cluster; /* provideClusterInfo */
	char *info;	    /* what KUBERNETES_EXEC_INFO says: JSON */
	char *install_hint; /* NULL */
	int timeout_ms;	    /* 0: 30000 */
};

/* Who we are and where the server is. Owns its texts; secrets among them are wiped. */
struct kube_access {
	char *server;	   /* as written */
	char *server_name; /* tls-server-name; NULL */
	char *url; /* with the name its certificate must have as its host; no slash at the end */
	char *connect_to;  /* NULL, or "HOST:PORT" when the certificate's name is another */
	char *host_header; /* NULL, or what Host says then */
	char *ns;	   /* "" when there is none */
	char *ca, *cert, *key, *token;			   /* NULL: none */
	char *ca_file, *cert_file, *key_file, *token_file; /* where they are read from; NULL */
	bool holds_secret; /* the kubeconfig itself has a token or a key in it */
	bool unverified;
	enum http_reach reach;
	struct kube_exec *exec; /* NULL: none */
};
void kube_access_dispose(struct kube_access *access);

/* A server's address in its parts, borrowed from the text. */
struct kube_server {
	bool tls;
	char host[256]; /* in brackets when it is an IPv6 address */
	int port;
	const char *authority, *path;
	int authority_len, path_len;
};

/* False when it is not an http or https address that we can use. */
bool kube_server_parse(struct kube_server *out, const char *text);
/* Fills url, connect_to, host_header and reach from server_name, unverified and this. */
void kube_server_use(struct kube_access *access, const struct kube_server *server);

/* Reads everything now. The caller disposes of *out in every case. */
enum err_class kube_access_read(struct kube_access *out, const struct kube_options *options,
				struct err *err) MUST_CHECK;

/* A kubeconfig's text alone: the files it names are not read. `path` is for messages, and what is
 * relative is relative to its folder. The caller disposes of *out in every case. */
enum err_class kube_config_parse(struct kube_access *out, const char *text, size_t len,
				 const char *path, const char *context, struct err *err) MUST_CHECK;

void kube_exec_free(struct kube_exec *take_exec);

/* What a plugin answered. */
struct kube_credential {
	char *token, *cert, *key; /* NULL: none */
	int64_t expires_at_ms;	  /* wall clock; INT64_MAX: it does not say */
	int64_t renew_at_ms;	  /* five minutes before, or at four fifths of a short life */
};
void kube_credential_dispose(struct kube_credential *credential);

/* Runs the plugin: 30 s, 256 KiB. CONFIG when it cannot be run or answers wrongly, TRANSIENT when
 * it fails or takes too long. The caller disposes of *out in every case. */
enum err_class kube_exec_run(struct kube_credential *out, const struct kube_exec *exec,
			     struct err *err) MUST_CHECK;
enum err_class kube_exec_parse(struct kube_credential *out, const char *api_version,
			       const char *text, size_t len, struct err *err) MUST_CHECK;

enum { KUBE_HASH_MAX = 160 };

struct kube {
	char *kubeconfig, *context, *account_dir; /* NULL as in the options */
	pthread_mutex_t lock;			  /* guards what follows */
	struct kube_access access;
	int64_t read_at_ms; /* monotonic */
	struct kube_credential plugin;
	char *plugin_of;		 /* what was run for it; NULL: nothing yet */
	char schema_hash[KUBE_HASH_MAX]; /* of KServe's published schema; "": not known */
	enum kube_known schema_canary;	 /* what that one said */
};

/* --- one call --- */

struct kube_call {
	const char *verb; /* in the words of RBAC: "get", "patch" */
	const char *method;
	const char *path;	    /* "/api..." with its query */
	const struct kube_ref *ref; /* NULL: a path outside the API's objects */
	const char *content_type;   /* of the body */
	const json_t *body;	    /* NULL: none */
	bool mutates;
	int timeout_ms; /* 0: that of http.h */
};

/* Any answer is an error unless it is 2xx. The caller disposes of *out in every case. */
enum err_class kube_send(struct kube *kube, struct http *http, const struct kube_call *call,
			 struct http_response *out, struct err *err) MUST_CHECK;

/* The same with the answer parsed as an object (`out` may be NULL). */
enum err_class kube_send_json(struct kube *kube, struct http *http, const struct kube_call *call,
			      json_t **out, struct err *err) MUST_CHECK;

/* Class, code and sentence of an answer that is not 2xx. `retry_at_ms` is 0 when it carries none.
 */
enum err_class kube_error(struct err *err, const struct kube_call *call, int status,
			  const char *body, size_t len, int64_t retry_at_ms);

/* Path of the thing, checked; `after` ("/log") may be "". USER when a part is not a valid name. */
enum err_class kube_path(struct buf *out, const struct kube_ref *ref, const char *after,
			 struct err *err) MUST_CHECK;

/* Appends "?key=value" or "&key=value", encoded; nothing when value is empty. */
void kube_query(struct buf *path, const char *key, const char *value);

#endif
