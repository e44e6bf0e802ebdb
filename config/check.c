/* check.c - see check.h. Written out by hand: the C library's regular expressions recurse over
 * their input and say nothing about what is wrong. */
#include "config/check.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/core/policy_decide.h"
#include "lib/core/s3_uri.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool is_all(const char *text, const char *allowed)
{
	return *text && !text[strspn(text, allowed)];
}

static bool is_port(const char *text)
{
	int64_t port;

	return strlen(text) <= 5 && is_all(text, DIGITS) && str_to_int64(&port, text) && port > 0 &&
	       port <= 65535;
}

/* Splits "host:port" and "[v6]:port"; the port may be absent. */
static bool split_host(const char *text, size_t len, char host[256], char port[8])
{
	const char *end = text + len, *colon;
	size_t host_len;

	*port = '\0';
	if (*text == '[') {
		const char *close = memchr(text, ']', len);

		if (!close || (close + 1 < end && close[1] != ':'))
			return false;
		text++;
		host_len = (size_t)(close - text);
		colon = close + 1 < end ? close + 1 : NULL;
	} else {
		colon = memchr(text, ':', len);
		host_len = colon ? (size_t)(colon - text) : len;
	}
	if (!host_len || host_len > 255)
		return false;
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	if (!colon)
		return true;
	if (end - colon - 1 > 5 || end - colon - 1 < 1)
		return false;
	memcpy(port, colon + 1, (size_t)(end - colon - 1));
	port[end - colon - 1] = '\0';
	return is_port(port);
}

/* Four decimal numbers up to 255. */
static bool is_ipv4(const char *text)
{
	int parts = 0;

	while (parts < 4) {
		size_t digits = strspn(text, DIGITS);
		int value = 0;

		if (!digits || digits > 3)
			return false;
		for (size_t i = 0; i < digits; i++)
			value = value * 10 + (text[i] - '0');
		if (value > 255)
			return false;
		text += digits;
		parts++;
		if (*text != '.')
			break;
		text++;
	}
	return parts == 4 && !*text;
}

static bool is_ipv6(const char *text)
{
	return strchr(text, ':') && is_all(text, DIGITS "abcdefABCDEF:.");
}

static bool is_host_name(const char *text)
{
	return is_all(text, LOWER UPPER DIGITS ".-_") && isalnum((unsigned char)*text) &&
	       !strstr(text, "..");
}

/* What can be listened on without asking anybody: a name cannot, and "010.0.0.1" is 8.0.0.1 to some
 * and 10.0.0.1 to others. */
static bool is_address(const char *host)
{
	struct in6_addr ignored;

	return inet_pton(AF_INET, host, &ignored) == 1 || inet_pton(AF_INET6, host, &ignored) == 1;
}

const char *check_listen(const char *text)
{
	char host[256], port[8];

	if (!split_host(text, strlen(text), host, port) || !*port || !is_address(host))
		return "an address and a port, like 127.0.0.1:8080 or [::1]:8080";
	return NULL;
}

const char *check_webhook_path(const char *text)
{
	static const char *const taken[] = {"/healthz", "/readyz", "/metrics"};

	if (*text != '/' || !text[1] || !is_all(text, LOWER UPPER DIGITS "/._-"))
		return "a path like /webhook";
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (str_eq(text, taken[i]))
			return "another path: /healthz, /readyz and /metrics are taken";
	return NULL;
}

/* Where the host begins, and how long host and port are; NULL when it is neither http nor https. */
static const char *url_host(const char *url, size_t *len)
{
	const char *host = str_starts(url, "https://")	? url + 8
			   : str_starts(url, "http://") ? url + 7
							: NULL;

	if (host)
		*len = strcspn(host, "/?#");
	return host;
}

const char *check_url(const char *text)
{
	char host[256], port[8];
	size_t len;
	const char *at = url_host(text, &len);

	if (!at)
		return "an address that starts with https:// or http://";
	if (memchr(at, '@', len))
		return "an address without a user or password";
	if (strpbrk(at, "?# \\"))
		return "an address without query, fragment, blanks or backslashes";
	if (!split_host(at, len, host, port) ||
	    !(is_ipv4(host) || is_ipv6(host) || is_host_name(host)))
		return "an address with a valid host";
	return NULL;
}

bool check_url_is_safe(const char *url)
{
	char host[256], port[8];
	size_t len;
	const char *at = url_host(url, &len);

	if (str_starts(url, "https://"))
		return true;
	if (!at || !split_host(at, len, host, port))
		return false;
	if (is_ipv4(host))
		return str_starts(host, "127.");
	if (str_eq(host, "::1") || str_ends(host, ".svc") || str_ends(host, ".svc.cluster.local"))
		return true;
	/* a number without dots is an address in disguise */
	return !strpbrk(host, ".:") && !is_all(host, DIGITS) && strncasecmp(host, "0x", 2) != 0;
}

const char *check_log_level(const char *text)
{
	enum log_level level;

	return log_level_from_name(&level, text) ? NULL : "debug, info, warn or error";
}

const char *check_compile_mode(const char *text)
{
	if (str_eq(text, "sandbox") || str_eq(text, "precompiled"))
		return NULL;
	return "sandbox or precompiled";
}

const char *check_absolute(const char *text)
{
	return *text == '/' ? NULL : "an absolute path";
}

const char *check_date(const char *text)
{
	if (strlen(text) == 10 && strspn(text, DIGITS) == 4 && text[4] == '-' &&
	    strspn(text + 5, DIGITS) == 2 && text[7] == '-' && is_all(text + 8, DIGITS))
		return NULL;
	return "a version date, like 2022-11-28";
}

const char *check_cluster_name(const char *text)
{
	return is_all(text, LOWER DIGITS "-_") ? NULL : "lower-case letters, digits, - and _";
}

const char *check_model_store(const char *text)
{
	struct err ignored;
	struct s3_uri uri;

	if (str_starts(text, "s3://") && !s3_uri_parse(&uri, text, &ignored) &&
	    (!*uri.key || is_all(uri.key, LOWER UPPER DIGITS "/-_.")))
		return NULL;
	return "an address like s3://models or s3://models/team-a";
}

const char *check_secret_name(const char *text)
{
	if (!*text || (is_all(text, LOWER DIGITS "-.") && *text != '-' && *text != '.'))
		return NULL;
	return "the name of a Kubernetes Secret, or \"\" for none";
}

const char *check_region(const char *text)
{
	return is_all(text, LOWER UPPER DIGITS "-_") ? NULL : "a word such as eu-central-1";
}

const char *check_role_arn(const char *text)
{
	if (str_starts(text, "arn:") && strstr(text, ":role/") && !str_ends(text, "/") &&
	    is_all(text, LOWER UPPER DIGITS ":/+=,.@_-"))
		return NULL;
	return "the ARN of a role, like arn:aws:iam::123456789012:role/kfops";
}

const char *check_owner(const char *text)
{
	return is_all(text, LOWER UPPER DIGITS "-_") ? NULL : "the name of a user or organisation";
}

const char *check_repo_name(const char *text)
{
	if (!is_all(text, LOWER UPPER DIGITS "-_.") || str_eq(text, ".") || str_eq(text, ".."))
		return "the name of a repository, without its owner";
	return NULL;
}

const char *check_match(const char *text)
{
	const char *slash = strchr(text, '/');
	AUTO_FREE char *owner = slash ? str_dup_len(text, (size_t)(slash - text)) : NULL;

	if (slash && !check_owner(owner) && (str_eq(slash + 1, "*") || !check_repo_name(slash + 1)))
		return NULL;
	return "owner/name, or owner/* for all repositories of an owner";
}

const char *check_label(const char *text)
{
	size_t len = strlen(text);

	if (!is_all(text, LOWER DIGITS "-") || *text == '-' || text[len - 1] == '-' || len > 63)
		return "a name of at most 63 lower-case letters, digits and - (not at an end)";
	return NULL;
}

const char *check_repo_path(const char *text)
{
	static const char outside[] = "a path relative to the repository, without .. in it";
	const char *part = text;

	if (*text == '/' || *text == '\\' || *text == '~')
		return outside;
	while (part) {
		size_t len = strcspn(part, "/");

		if (len == 2 && !strncmp(part, "..", 2))
			return outside;
		if (len == 4 && !strncasecmp(part, ".git", 4))
			return "a path outside .git";
		part = part[len] ? part + len + 1 : NULL;
	}
	return strchr(text, '\\') ? "a path with forward slashes" : NULL;
}

const char *check_pipeline_path(const char *text)
{
	static const char *const endings[] = {".py", ".yaml", ".yml", ".json"};

	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (str_ends(text, endings[i]))
			return check_repo_path(text);
	return "a Python file (.py) or a compiled pipeline (.yaml, .yml, .json)";
}

const char *check_identifier(const char *text)
{
	if (is_all(text, LOWER UPPER DIGITS "_") && !isdigit((unsigned char)*text))
		return NULL;
	return "the name of a Python function";
}

const char *check_mode(const char *text)
{
	if (str_eq(text, "V2_ENGINE") || str_eq(text, "V1_LEGACY"))
		return NULL;
	if (str_eq(text, "V2_COMPATIBLE"))
		return "changed: Kubeflow Pipelines dropped V2_COMPATIBLE in 2021. Write the "
		       "pipeline for "
		       "the kfp 2 SDK and remove this line, or keep the old pipeline as a compiled "
		       "Argo "
		       "file: V1_LEGACY, with pipeline_path naming that .yaml";
	return "V2_ENGINE or V1_LEGACY (or absent: V2_ENGINE)";
}

const char *check_merge_method(const char *text)
{
	bool known = str_eq(text, "merge") || str_eq(text, "squash") || str_eq(text, "rebase");

	return known ? NULL : "merge, squash or rebase";
}

const char *check_command(const char *text)
{
	return is_all(text, LOWER "-_") ? NULL : "the name of a command, without its slash";
}

const char *check_environment(const char *text)
{
	const char *meant = policy_environment_meant(text);

	if (meant)
		return str_eq(meant, "staging")
			       ? "the name of an environment: perhaps staging is meant"
			       : "the name of an environment: perhaps production is meant";
	return is_all(text, LOWER UPPER DIGITS "-_.") ? NULL : "the name of an environment";
}

const char *check_permission(const char *text)
{
	enum right right;

	return policy_right_parse(&right, text) ? NULL : "read, triage, write, maintain or admin";
}

const char *check_quota(const char *text)
{
	struct policy_quota quota;

	return policy_quota_parse(&quota, text)
		       ? NULL
		       : "a number of times like 20/day, of hour, day or week";
}

const char *check_forks(const char *text)
{
	enum policy_fork fork;

	return policy_fork_parse(&fork, text) ? NULL : "never or ok-to-run";
}

const char *check_registry(const char *text)
{
	if (is_all(text, LOWER UPPER DIGITS ".-_/:") && isalnum((unsigned char)*text) &&
	    !strstr(text, "//"))
		return NULL;
	return "a registry, like registry.example/team, without https://";
}

const char *check_image(const char *text)
{
	if (is_all(text, LOWER DIGITS "._-/") && isalnum((unsigned char)*text) &&
	    !strstr(text, "//") && !str_ends(text, "/"))
		return NULL;
	return "an image name of lower-case letters, digits and ._-/";
}
