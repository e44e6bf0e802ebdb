/* kube_kit.h - a folder with a kubeconfig, a client, and a scripted server that plays Kubernetes.
 */
#ifndef KF_TESTS_KUBE_KIT_H
#define KF_TESTS_KUBE_KIT_H

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/jval.h"
#include "lib/services/kube_impl.h"
#include "tests/unit/cases.h"
#include "tests/unit/samples.h"
#include "tests/unit/scripted_server.h"

/* Scripts name only what an answer differs in from the next; the rest is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define ISVC_PATH "/apis/serving.kserve.io/v1beta1/namespaces/ml/inferenceservices"

static const struct kube_ref iris __attribute__((unused)) = {"serving.kserve.io", "v1beta1",
							     "inferenceservices", "ml", "iris"};
static const struct kube_ref all_services
	__attribute__((unused)) = {"serving.kserve.io", "v1beta1", "inferenceservices", "ml", NULL};

static inline char *kit_dir(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = str_printf("%s/kfops-kube-XXXXXX", tmp ? tmp : "/tmp");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static inline int kit_remove_one(const char *path, const struct stat *info, int kind,
				 struct FTW *walk)
{
	(void)info, (void)kind, (void)walk;
	return remove(path);
}

static inline void kit_remove_dir(char *take_dir)
{
	assert_int_equal(nftw(take_dir, kit_remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	mem_free(take_dir);
}

/* Replaces the file at once, as a careful writer does. */
static inline void kit_write(const char *dir, const char *name, const char *text, mode_t mode)
{
	char *path = str_printf("%s/%s", dir, name), *fresh = str_printf("%s.new", path);
	int fd = open(fresh, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	assert_int_equal(rename(fresh, path), 0);
	mem_free(path);
	mem_free(fresh);
}

struct kit {
	struct scripted_server *server;
	struct http *http;
	struct kube *kube;
	char *dir, *config;
	struct err err;
};

/* `user` is the YAML of the user, on one line. */
static inline void kit_configure(const struct kit *kit, const char *user)
{
	char *text = str_printf("apiVersion: v1\nkind: Config\ncurrent-context: c\n"
				"clusters:\n- {name: k, cluster: {server: \"%s\"}}\n"
				"contexts:\n- {name: c, context: {cluster: k, user: u, "
				"namespace: ml}}\n"
				"users:\n- {name: u, user: %s}\n",
				kit->server->url, user);

	kit_write(kit->dir, "config", text, 0600);
	mem_free(text);
}

static inline struct kit kit_start_with(const struct scripted_answer *script, size_t count,
					const char *user)
{
	static const struct http_options plain = {.user_agent = "kfops/test", .allow_http = true};
	struct kit kit = {.server = scripted_start(script, count), .http = http_new(&plain)};
	struct kube_options options = {0};

	kit.dir = kit_dir();
	kit.config = str_printf("%s/config", kit.dir);
	kit_configure(&kit, user);
	options.kubeconfig = kit.config;
	assert_int_equal(kube_new(&kit.kube, &options, &kit.err), ERR_OK);
	return kit;
}

#define KIT_START(script) kit_start_with(script, ARRAY_LEN(script), "{token: t0p}")

/* Ends the server; every request must have been in the script, and `requests` of them made. */
static inline void kit_stop(struct kit *kit, int requests)
{
	http_free(kit->http);
	kube_free(kit->kube);
	assert_int_equal(kit->server->unexpected, 0);
	assert_int_equal(kit->server->request_count, requests);
	scripted_stop(kit->server);
	mem_free(kit->config);
	kit_remove_dir(kit->dir);
}

/* The request line of the n-th request; valid until the next call. */
static inline const char *kit_line(const struct kit *kit, int n)
{
	static char line[65536];
	const char *text = kit->server->requests[n].text;

	snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\r"), text);
	return line;
}

static inline void expect_says(const struct err *err, const char *says)
{
	if (says && !strstr(err->msg, says))
		fail_msg("\"%s\" does not say \"%s\"", err->msg, says);
}

#endif
