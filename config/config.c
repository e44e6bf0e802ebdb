/* config.c - see config.h. The values stay a JSON tree: it is read at start-up and by the page of
 * effective values, where a look-up by path costs nothing that matters. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/check.h"
#include "config/config_impl.h"
#include "lib/base/jval.h"
#include "lib/base/str.h"

enum { FILE_MAX = 1024 * 1024, TOLD_MAX = 8 };

static const struct schema_field fields[] = {
#define SECTION(path, type, need, min, max, help)                                                  \
	{path, SCHEMA_##type, SCHEMA_##need, NULL, min, max, NULL, help},
#define OPTION(path, type, need, fallback, min, max, check, help)                                  \
	{path, SCHEMA_##type, SCHEMA_##need, fallback, min, max, check, help},
#include "config/options.def"
#undef SECTION
#undef OPTION
};

const struct schema config_schema = {fields, ARRAY_LEN(fields)};

static struct config *config_new(const char *name)
{
	struct config *config = mem_new(1, sizeof *config);

	config->name = str_dup(name);
	config->lines = json_object();
	config->derived = json_object();
	return config;
}

void config_free(struct config *take_config)
{
	if (!take_config)
		return;
	json_decref(take_config->values);
	json_decref(take_config->lines);
	json_decref(take_config->derived);
	mem_free(take_config->name);
	mem_free(take_config);
}

static enum err_class build(struct config **out, const char *name, const char *text, size_t len,
			    bool with_files, struct buf *report, struct err *err)
{
	struct config *config = config_new(name);
	struct schema_faults faults = {0};
	enum err_class class = ERR_OK;

	*out = NULL;
	config->values = schema_read(&config_schema, text, len, config->lines, &faults);
	config_check_together(config, &faults);
	if (with_files)
		config_check_files(config, &faults);
	schema_report(&faults, name, report);
	if (faults.count)
		class = err_code(err, ERR_CONFIG, "config.invalid",
				 "%s has %zu fault%s; line %d: %s", name, faults.count,
				 faults.count == 1 ? "" : "s", faults.items[0].line,
				 faults.items[0].text);
	schema_faults_dispose(&faults);
	if (class)
		config_free(config);
	else
		*out = config;
	return class;
}

enum err_class config_parse(struct config **out, const char *name, const char *text, size_t len,
			    struct buf *report, struct err *err)
{
	return build(out, name, text, len, false, report, err);
}

/* The whole of a small file; NULL with errno. */
static char *read_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = mem_new(FILE_MAX + 2, 1);
	struct stat info;
	ssize_t got = -1;

	*len = 0;
	if (fd >= 0 && !fstat(fd, &info)) {
		got = 0;
		if (!S_ISREG(info.st_mode)) {
			errno = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
			got = -1;
		}
	}
	while (got >= 0 && *len <= FILE_MAX) {
		got = read(fd, text + *len, FILE_MAX + 1 - *len);
		if (got <= 0)
			break;
		*len += (size_t)got;
	}
	if (got < 0) {
		mem_free(text);
		text = NULL;
	}
	if (fd >= 0) {
		int saved = errno;

		close(fd);
		errno = saved;
	}
	return text;
}

enum err_class config_load(struct config **out, const char *path, struct buf *report,
			   struct err *err)
{
	enum err_class class;
	size_t len;
	char *text = read_file(path, &len);

	*out = NULL;
	if (!text) {
		buf_printf(report, "%s:1:1: cannot be read: %s\n", path, strerror(errno));
		return err_code(err, ERR_CONFIG, "config.unreadable", "%s cannot be read: %s", path,
				strerror(errno));
	}
	class = build(out, path, text, len, true, report, err);
	mem_free(text);
	return class;
}

/* --- values --- */

/* jval_at knows no lists, and a path of the table has at most one. */
json_t *config_at(const struct config *config, const char *path)
{
	const char *bracket = strchr(path, '['), *close;
	AUTO_FREE char *list = NULL;
	AUTO_FREE char *number = NULL;
	int64_t index;

	if (!bracket)
		return jval_at(config->values, path);
	close = strchr(bracket, ']');
	must(close && close[1] == '.');
	list = str_dup_len(path, (size_t)(bracket - path));
	number = str_dup_len(bracket + 1, (size_t)(close - bracket - 1));
	must(str_to_int64(&index, number) && index >= 0);
	return jval_at(json_array_get(jval_at(config->values, list), (size_t)index), close + 2);
}

static json_t *value_of(const struct config *config, const char *path, enum schema_type type)
{
	const struct schema_field *field = schema_find(&config_schema, path);

	must(field && field->type == type);
	return config_at(config, path);
}

const char *config_text(const struct config *config, const char *path)
{
	const struct schema_field *field = schema_find(&config_schema, path);

	must(field && (field->type == SCHEMA_TEXT || field->type == SCHEMA_URL ||
		       field->type == SCHEMA_FILE || field->type == SCHEMA_SECRET));
	return json_string_value(config_at(config, path));
}

int64_t config_int(const struct config *config, const char *path)
{
	return json_integer_value(value_of(config, path, SCHEMA_INT));
}

bool config_bool(const struct config *config, const char *path)
{
	return json_is_true(value_of(config, path, SCHEMA_BOOL));
}

int64_t config_ms(const struct config *config, const char *path)
{
	return json_integer_value(value_of(config, path, SCHEMA_DURATION));
}

int64_t config_bytes(const struct config *config, const char *path)
{
	return json_integer_value(value_of(config, path, SCHEMA_SIZE));
}

/* --- lists --- */

size_t config_cluster_count(const struct config *config)
{
	return json_array_size(jval_at(config->values, "clusters"));
}

const char *config_cluster_text(const struct config *config, size_t i, const char *key)
{
	AUTO_FREE char *path = str_printf("clusters[%zu].%s", i, key);

	return config_text(config, path);
}

bool config_cluster_bool(const struct config *config, size_t i, const char *key)
{
	AUTO_FREE char *path = str_printf("clusters[%zu].%s", i, key);

	return config_bool(config, path);
}

static bool matches(const char *pattern, const char *repo)
{
	size_t owner = strlen(pattern) - 1;

	if (!str_ends(pattern, "/*"))
		return str_eq_nocase(pattern, repo);
	return !strncasecmp(pattern, repo, owner) && repo[owner] && !strchr(repo + owner, '/');
}

bool config_has_star(const struct config *config)
{
	json_t *each;
	size_t at;

	json_array_foreach(jval_at(config->values, "repositories"), at, each)
	{
		if (str_ends(jval_str(each, "match", ""), "/*"))
			return true;
	}
	return false;
}

const char *config_named_repo(const struct config *config, size_t i)
{
	json_t *each;
	size_t at;

	json_array_foreach(jval_at(config->values, "repositories"), at, each)
	{
		const char *pattern = jval_str(each, "match", "");

		if (!str_ends(pattern, "/*") && i-- == 0)
			return pattern;
	}
	return NULL;
}

/* The first entry that matches; NULL: the repository is not allowed here. Borrowed. */
static const json_t *entry_of_repo(const struct config *config, const char *repo)
{
	json_t *each;
	size_t i;

	json_array_foreach(jval_at(config->values, "repositories"), i, each)
	{
		if (matches(jval_str(each, "match", ""), repo))
			return each;
	}
	return NULL;
}

static int cluster_of_entry(const struct config *config, const json_t *entry)
{
	const char *wanted = jval_str(entry, "cluster", NULL);

	if (!wanted)
		return 0;
	for (size_t k = 0; k < config_cluster_count(config); k++)
		if (str_eq(config_cluster_text(config, k, "name"), wanted))
			return (int)k;
	return -1;
}

int config_cluster_of_repo(const struct config *config, const char *repo)
{
	const json_t *entry = entry_of_repo(config, repo);

	return entry ? cluster_of_entry(config, entry) : -1;
}

int64_t config_approvals_of_repo(const struct config *config, const char *repo)
{
	return jval_int(entry_of_repo(config, repo), "approvals", 0);
}

/* --- namespaces --- */

enum config_namespace config_namespace_of_repo(const struct config *config, const char *repo,
					       const char *name)
{
	const json_t *entry = entry_of_repo(config, repo);
	const json_t *list = json_object_get(entry, "namespaces");
	json_t *each;
	size_t i;

	if (entry && !list)
		return CONFIG_NAMESPACE_NO_LIST;
	json_array_foreach(list, i, each)
	{
		if (str_eq(json_string_value(each), name))
			return CONFIG_NAMESPACE_LISTED;
	}
	return CONFIG_NAMESPACE_OUTSIDE;
}

void config_namespaces_tell(const struct config *config, const char *repo, struct buf *out)
{
	const json_t *list = json_object_get(entry_of_repo(config, repo), "namespaces");
	json_t *each;
	size_t i;

	json_array_foreach(list, i, each)
	{
		if (i == TOLD_MAX) {
			buf_printf(out, " and %zu more", json_array_size(list) - i);
			break;
		}
		buf_printf(out, "%s`%s`", i ? ", " : "", json_string_value(each));
	}
}

const char *config_entry_without_namespaces(const struct config *config, size_t cluster)
{
	json_t *each;
	size_t i;

	json_array_foreach(jval_at(config->values, "repositories"), i, each)
	{
		if (!json_object_get(each, "namespaces") &&
		    cluster_of_entry(config, each) == (int)cluster)
			return jval_str(each, "match", "");
	}
	return NULL;
}

const json_t *config_ceilings(const struct config *config)
{
	return jval_at(config->values, "ceilings");
}

int config_line(const struct config *config, const char *path)
{
	const json_t *line = json_object_get(config->lines, path);

	return json_is_integer(line) ? (int)json_integer_value(line) : 1;
}
