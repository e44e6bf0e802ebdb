/* config.h - the operator's file: /etc/kfops/kfops.yaml.
 *
 * Every option is a line in config/options.def: path, type, default, bounds, help. Unknown and
 * doubled keys, wrong types and values out of bounds are errors with line, column and the nearest
 * known key; all of them are reported, not just the first. Files that hold secrets are named, never
 * their content. docs/configuration.md is generated from the same table. Loading is not locked; the
 * result is constant afterwards. */
#ifndef KF_CONFIG_CONFIG_H
#define KF_CONFIG_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct config;

/* Reads and checks a file. On CONFIG, `report` has one line per fault: "FILE:LINE:COLUMN: ...". */
enum err_class config_load(struct config **out, const char *path, struct buf *report,
			   struct err *err) MUST_CHECK;
enum err_class config_parse(struct config **out, const char *name, const char *text, size_t len,
			    struct buf *report, struct err *err) MUST_CHECK;
void config_free(struct config *take_config);

/* Values by the path of options.def ("github.api_url"); asking for one that is not there is our
 * bug. */
const char *config_text(const struct config *config, const char *path); /* NULL: not set */
int64_t config_int(const struct config *config, const char *path);
bool config_bool(const struct config *config, const char *path);
int64_t config_ms(const struct config *config, const char *path);    /* durations */
int64_t config_bytes(const struct config *config, const char *path); /* sizes: "64MiB" */

/* `clusters`: a list of {name, kfp_url, kfp_ui_url, ...}, see options.def section CLUSTER. */
size_t config_cluster_count(const struct config *config);
const char *config_cluster_text(const struct config *config, size_t i, const char *key);
bool config_cluster_bool(const struct config *config, size_t i, const char *key);

/* `repositories`: a list of {match: "owner/name" or "owner/" followed by a star, cluster,
 * namespaces}. The first that matches counts; -1: the repository is not allowed here. */
int config_cluster_of_repo(const struct config *config, const char *repo);

/* The ceiling over the namespaces in a repository's own settings. */
enum config_namespace {
	CONFIG_NAMESPACE_LISTED,
	CONFIG_NAMESPACE_OUTSIDE, /* the repository's entry has a list without it */
	CONFIG_NAMESPACE_NO_LIST, /* the entry has no list: the cluster's kind decides */
};
enum config_namespace config_namespace_of_repo(const struct config *config, const char *repo,
					       const char *name);
/* How many approvals the operator asks for at least, before a commit goes to production. */
int64_t config_approvals_of_repo(const struct config *config, const char *repo);
/* Appends the list of the repository's entry for people: "`a`, `b`", at most 8 of them; nothing
 * when it is empty. */
void config_namespaces_tell(const struct config *config, const char *repo, struct buf *out);
/* The `match` of the first entry that uses this cluster and has no list of namespaces; NULL: none.
 */
const char *config_entry_without_namespaces(const struct config *config, size_t cluster);
/* Does one of them allow all repositories of an owner? */
bool config_has_star(const struct config *config);
/* The i-th of them that names one repository, "owner/name"; NULL: there are no more. */
const char *config_named_repo(const struct config *config, size_t i);

/* `ceilings` as policy_ceilings_read takes it; NULL: none. Borrowed. */
const json_t *config_ceilings(const struct config *config);

/* The line of a value of the file, "ceilings[0].commands"; 1 when it is not there. */
int config_line(const struct config *config, const char *path);

/* Appends the effective values, one "path: value  # default | FILE:LINE" line each. */
void config_print(const struct config *config, struct buf *out);

/* Appends docs/configuration.md's tables. */
void config_document(struct buf *out);

#endif
