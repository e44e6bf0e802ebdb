/* config_checks.c - faults that only show when options are seen together, or with the files they
 * name. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/check.h"
#include "config/config_impl.h"
#include "lib/base/jval.h"
#include "lib/base/sign.h"
#include "lib/base/str.h"

/* Complains where the option stands, else where its section does, else at the top. */
#define FAULT_AT(config, faults, path, ...)                                                        \
	schema_fault((faults), place((config), (path)), 1, __VA_ARGS__)

static int place(const struct config *config, const char *path)
{
	AUTO_FREE char *section = str_dup_len(path, strcspn(path, "."));
	json_t *line = json_object_get(config->lines, path);

	if (!line)
		line = json_object_get(config->lines, section);
	return line ? (int)json_integer_value(line) : 1;
}

static void check_credential(const struct config *config, struct schema_faults *faults)
{
	bool app = config_at(config, "github.app_id"),
	     token = config_at(config, "github.token_file");
	bool key = config_at(config, "github.private_key_file");

	if (!config_at(config, "github"))
		return; /* said already */
	if (token && (app || key))
		FAULT_AT(config, faults, "github.token_file",
			 "github has both an App (app_id, private_key_file) and a token_file; "
			 "remove one");
	else if (!token && !app && !key)
		FAULT_AT(config, faults, "github.app_id",
			 "github needs app_id and private_key_file (App), or token_file (user)");
	else if (app && !key)
		FAULT_AT(config, faults, "github.app_id",
			 "github.app_id needs github.private_key_file beside it");
	else if (key && !app)
		FAULT_AT(config, faults, "github.private_key_file",
			 "github.private_key_file needs github.app_id beside it");
}

/* Calls `each` with the path of every option of this type, those of list entries too. */
static void each_option(const struct config *config, enum schema_type type,
			void (*each)(const struct config *config, const char *path,
				     const char *value, struct schema_faults *faults),
			struct schema_faults *faults)
{
	for (size_t i = 0; i < config_schema.count; i++) {
		const char *pattern = config_schema.fields[i].path, *bracket = strchr(pattern, '[');
		AUTO_FREE char *list =
			bracket ? str_dup_len(pattern, (size_t)(bracket - pattern)) : NULL;
		size_t count = list ? json_array_size(jval_at(config->values, list)) : 1;

		if (config_schema.fields[i].type != type)
			continue;
		for (size_t k = 0; k < count; k++) {
			AUTO_FREE char *path = list ? str_printf("%s[%zu]%s", list, k, bracket + 2)
						    : str_dup(pattern);
			const char *value = json_string_value(config_at(config, path));

			if (value)
				each(config, path, value, faults);
		}
	}
}

static void check_plain_http(const struct config *config, const char *path, const char *value,
			     struct schema_faults *faults)
{
	if (!check_url_is_safe(value))
		FAULT_AT(config, faults, path,
			 "%s is plain http to another machine: tokens would travel in clear. Use "
			 "https, or set server.allow_insecure_http for a test",
			 path);
}

/* All that the later pattern matches, the earlier one does. */
static bool is_covered(const char *later, const char *earlier)
{
	size_t owner = strlen(earlier) - 1; /* with its slash, of "owner/\*" */

	return str_eq_nocase(later, earlier) ||
	       (str_ends(earlier, "/*") && !strncasecmp(later, earlier, owner));
}

/* The first entry that matches counts, so what another one asks for must not be lost. */
static void check_reached(const struct config *config, struct schema_faults *faults)
{
	const json_t *repositories = jval_at(config->values, "repositories");

	for (size_t i = 0; i < json_array_size(repositories); i++) {
		const char *match = jval_str(json_array_get(repositories, i), "match", "");
		AUTO_FREE char *path = str_printf("repositories[%zu].match", i);
		size_t k = 0;

		while (k < i &&
		       !is_covered(match, jval_str(json_array_get(repositories, k), "match", "/")))
			k++;
		if (k < i)
			FAULT_AT(config, faults, path,
				 "%s is never reached: repositories[%zu] has it before", path, k);
	}
}

/* Names are there once; what refers to them finds them. */
static void check_names(const struct config *config, struct schema_faults *faults)
{
	json_t *clusters = jval_at(config->values, "clusters");
	json_t *repositories = jval_at(config->values, "repositories"), *each;
	AUTO_JSON json_t *seen = json_object();
	size_t i;

	json_array_foreach(clusters, i, each)
	{
		const char *name = jval_str(each, "name", NULL);
		AUTO_FREE char *path = str_printf("clusters[%zu].name", i);

		if (name && json_object_get(seen, name))
			FAULT_AT(config, faults, path, "%s: there is another cluster \"%s\"", path,
				 name);
		else if (name)
			json_object_set_new(seen, name, json_true());
	}
	json_array_foreach(repositories, i, each)
	{
		const char *cluster = jval_str(each, "cluster", NULL);
		AUTO_FREE char *path = str_printf("repositories[%zu].cluster", i);
		AUTO_FREE char *match = str_printf("repositories[%zu].match", i);

		if (cluster && !json_object_get(seen, cluster))
			FAULT_AT(config, faults, path, "%s: there is no cluster \"%s\"", path,
				 cluster);
		else if (!cluster && json_array_size(clusters) > 1)
			FAULT_AT(config, faults, match,
				 "%s is missing: there is more than one cluster", path);
	}
}

/* --- options of a cluster that belong together, or not --- */

static const struct {
	const char *key, *other;
	bool needed; /* `key` needs the other one; else they exclude each other */
} cluster_rules[] = {
	{"s3_access_key_file", "s3_secret_key_file", true},
	{"s3_secret_key_file", "s3_access_key_file", true},
	{"s3_session_token_file", "s3_access_key_file", true},
	{"s3_role_arn", "s3_identity_token_file", true},
	{"s3_identity_token_file", "s3_role_arn", true},
	{"s3_role_arn", "s3_access_key_file", false},
	{"s3_environment", "s3_access_key_file", false},
	{"s3_environment", "s3_role_arn", false},
	{"model_store", "s3_url", true},
	{"model_store_url", "model_store", true},
	{"kube_context", "kubeconfig", true},
	{"serving", "s3_url", true},
	{"serving", "mlmd_url", true},
};

/* Set, and not to false. */
static bool is_given(const struct config *config, size_t cluster, const char *key)
{
	AUTO_FREE char *path = str_printf("clusters[%zu].%s", cluster, key);
	const json_t *value = config_at(config, path);

	return value && !json_is_false(value);
}

static void check_cluster(const struct config *config, size_t at, struct schema_faults *faults)
{
	AUTO_FREE char *sts = str_printf("clusters[%zu].s3_sts_url", at);

	for (size_t i = 0; i < ARRAY_LEN(cluster_rules); i++) {
		const char *key = cluster_rules[i].key, *other = cluster_rules[i].other;
		AUTO_FREE char *path = str_printf("clusters[%zu].%s", at, key);
		bool needed = cluster_rules[i].needed;

		if (!is_given(config, at, key) || is_given(config, at, other) == needed)
			continue;
		if (needed)
			FAULT_AT(config, faults, path, "%s needs %s beside it", path, other);
		else
			FAULT_AT(config, faults, path,
				 "%s excludes %s, which stands beside it; remove one", path, other);
	}
	if (is_given(config, at, "s3_sts_url") && !is_given(config, at, "s3_role_arn") &&
	    !is_given(config, at, "s3_environment"))
		FAULT_AT(config, faults, sts, "%s has no meaning without s3_role_arn", sts);
}

static void derive(struct config *config, const char *path, const char *key, char *take_value)
{
	json_t *github = json_object_get(config->values, "github");

	if (json_is_object(github) && !json_object_get(github, key) && take_value) {
		json_object_set_new(github, key, json_string(take_value));
		json_object_set_new(config->derived, path, json_string("github.api_url"));
	}
	mem_free(take_value);
}

/* GitHub.com, Enterprise Server (HOST/api/v3) and Enterprise Cloud with data residency
 * (api.NAME.ghe.com) have fixed neighbours. */
static void derive_addresses(struct config *config)
{
	static const char public[] = "https://api.github.com", v3[] = "/api/v3";
	static const char residency[] = "https://api.";
	const char *api = jval_str(config->values, "github.api_url", NULL);

	if (!api)
		return;
	if (str_ends(api, v3)) {
		int host = (int)(strlen(api) - strlen(v3));

		derive(config, "github.graphql_url", "graphql_url",
		       str_printf("%.*s/api/graphql", host, api));
		derive(config, "github.web_url", "web_url", str_printf("%.*s", host, api));
	} else {
		derive(config, "github.graphql_url", "graphql_url", str_printf("%s/graphql", api));
		if (str_eq(api, public))
			derive(config, "github.web_url", "web_url", str_dup("https://github.com"));
		else if (str_starts(api, residency) && str_ends(api, ".ghe.com"))
			derive(config, "github.web_url", "web_url",
			       str_printf("https://%s", api + strlen(residency)));
	}
}

/* A key of a ceiling stands in the file, whatever its value. */
static bool has_key(const struct config *config, size_t i, const char *key)
{
	AUTO_FREE char *path = str_printf("ceilings[%zu].%s", i, key);

	return json_object_get(config->lines, path) != NULL;
}

static void check_counts(const struct config *config, struct schema_faults *faults, size_t i,
			 const char *key)
{
	AUTO_FREE char *path = str_printf("ceilings[%zu].%s", i, key);

	if (has_key(config, i, key) && has_key(config, i, "environments"))
		FAULT_AT(config, faults, path,
			 "%s counts commands, wherever they go: remove environments", path);
}

static void check_forks_alone(const struct config *config, struct schema_faults *faults, size_t i)
{
	static const char *const others[] = {"commands", "environments"};
	AUTO_FREE char *path = str_printf("ceilings[%zu].forks", i);

	for (size_t k = 0; k < ARRAY_LEN(others); k++)
		if (has_key(config, i, "forks") && has_key(config, i, others[k]))
			FAULT_AT(config, faults, path,
				 "%s is about building, running and deploying alike: remove %s",
				 path, others[k]);
}

/* Over repositories that may not use this server it would hold nothing. */
static void check_match_fits(const struct config *config, struct schema_faults *faults, size_t i)
{
	AUTO_FREE char *path = str_printf("ceilings[%zu].match", i);
	const char *match =
		jval_str(json_array_get(jval_at(config->values, "ceilings"), i), "match", NULL);
	const json_t *each;
	size_t k;

	json_array_foreach(jval_at(config->values, "repositories"), k, each)
	{
		const char *entry = jval_str(each, "match", "/");

		if (!match || is_covered(match, entry) || is_covered(entry, match))
			return;
	}
	if (match)
		FAULT_AT(config, faults, path, "%s fits no entry of repositories", path);
}

/* A ceiling that sets nothing is a slip, and one about two things at once is not what it seems. */
static void check_ceilings(const struct config *config, struct schema_faults *faults)
{
	static const char *const sets[] = {"permission", "teams_required",   "approvals",
					   "quota",	 "quota_repository", "forks"};
	size_t count = json_array_size(jval_at(config->values, "ceilings"));

	for (size_t i = 0; i < count; i++) {
		bool sets_any = false;

		for (size_t k = 0; k < ARRAY_LEN(sets); k++)
			sets_any |= has_key(config, i, sets[k]);
		if (!sets_any)
			FAULT_AT(config, faults, "ceilings",
				 "ceilings[%zu] sets none of permission, teams_required, "
				 "approvals, quota, quota_repository and forks",
				 i);
		check_counts(config, faults, i, "quota");
		check_counts(config, faults, i, "quota_repository");
		check_forks_alone(config, faults, i);
		check_match_fits(config, faults, i);
	}
}

void config_check_together(struct config *config, struct schema_faults *faults)
{
	bool insecure = jval_bool(config->values, "server.allow_insecure_http", false);

	check_credential(config, faults);
	derive_addresses(config);
	if (config_at(config, "github.api_url") && !config_at(config, "github.web_url"))
		FAULT_AT(config, faults, "github.api_url",
			 "github.web_url is missing: it does not follow from this api_url");
	if (!insecure)
		each_option(config, SCHEMA_URL, check_plain_http, faults);
	check_names(config, faults);
	check_reached(config, faults);
	for (size_t i = 0; i < json_array_size(jval_at(config->values, "clusters")); i++)
		check_cluster(config, i, faults);
	check_ceilings(config, faults);
}

static void check_secret(const struct config *config, const char *path, const char *value,
			 struct schema_faults *faults)
{
	char *secret = NULL;
	struct err err = {0};

	if (sign_secret_read(&secret, value, &err)) {
		FAULT_AT(config, faults, path, "%s: %s", path, err.msg);
	} else if (str_eq(path, "github.private_key_file")) {
		struct sign_key *key = NULL;

		if (sign_key_load(&key, secret, strlen(secret), &err))
			FAULT_AT(config, faults, path, "%s: %s", path, err.msg);
		else
			sign_key_free(key);
	}
	sign_secret_free(secret);
}

static void check_file(const struct config *config, const char *path, const char *value,
		       struct schema_faults *faults)
{
	int fd = open(value, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat info;

	if (fd < 0 || fstat(fd, &info))
		FAULT_AT(config, faults, path, "%s: %s cannot be read: %s", path, value,
			 strerror(errno));
	else if (!S_ISREG(info.st_mode) || !info.st_size)
		FAULT_AT(config, faults, path, "%s: %s is %s", path, value,
			 S_ISREG(info.st_mode) ? "empty" : "not a file");
	if (fd >= 0)
		close(fd);
}

void config_check_files(const struct config *config, struct schema_faults *faults)
{
	each_option(config, SCHEMA_SECRET, check_secret, faults);
	each_option(config, SCHEMA_FILE, check_file, faults);
}
