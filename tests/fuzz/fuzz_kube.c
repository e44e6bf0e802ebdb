/* fuzz_kube.c - any bytes through what reads Kubernetes' answers, kubeconfig files and the output
 * of credential plugins. The first byte chooses the reader, the second the status of an answer. */
#include <stdint.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/services/kube_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char api[] = "client.authentication.k8s.io/v1";

static void fuzz_error(const char *text, size_t len, int status)
{
	static const struct kube_ref iris = {"serving.kserve.io", "v1beta1", "inferenceservices",
					     "ml", "iris"};
	struct kube_call call = {.verb = "patch", .method = "PATCH", .path = "/x", .ref = &iris};
	struct err err = {0};

	call.mutates = status % 2;
	if (status % 3 == 0)
		call.ref = NULL;
	must(kube_error(&err, &call, status, text, len, 0) == err.class);
	must(err.class != ERR_OK && *err.msg && str_starts(err.code, "kube."));
	must(!strpbrk(err.msg, "\r\n\x1b"));
	must(!err.in_doubt || call.mutates);
}

static bool is_visible(const char *text)
{
	for (; text && *text; text++)
		if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

static void fuzz_config(const char *text, size_t len)
{
	struct kube_access access;
	struct err err = {0};

	if (kube_config_parse(&access, text, len, "/e/config", NULL, &err)) {
		must(err.class == ERR_CONFIG && str_eq(err.code, "kube.config"));
		must(str_starts(err.msg, "/e/config: "));
	} else {
		must(str_starts(access.url, "https://") || access.reach == HTTP_REACH_LOOPBACK);
		must(!access.unverified || access.reach == HTTP_REACH_LOOPBACK);
		must(is_visible(access.url) && is_visible(access.connect_to));
		must(is_visible(access.host_header) && !strchr(access.url, '@'));
		must(!access.exec || access.exec->command);
	}
	kube_access_dispose(&access);
}

static void fuzz_plugin(const char *text, size_t len)
{
	struct kube_credential credential;

	if (!kube_exec_parse(&credential, api, text, len, NULL)) {
		must(credential.token || (credential.cert && credential.key));
		must(is_visible(credential.token));
		must(credential.renew_at_ms <= credential.expires_at_ms);
	}
	kube_credential_dispose(&credential);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = NULL;

	if (size < 2)
		return 0;
	text = str_dup_len((const char *)data + 2, size - 2);
	switch (data[0] % 3) {
	case 0:
		fuzz_error(text, size - 2, 300 + data[1]);
		break;
	case 1:
		fuzz_config(text, size - 2);
		break;
	default:
		fuzz_plugin(text, size - 2);
		break;
	}
	return 0;
}
