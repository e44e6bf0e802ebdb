/* policy.h - the repository's policy file: who may do what, and what holds in an environment.
 *
 * Read from the text of `.github/kfops.yaml` of the default branch, never from a pull request;
 * docs/permissions.md has the format. Every fault of a file is kept with line and column, and a
 * file with a fault denies everything but what is always allowed. Whether somebody may do something
 * is decided in policy_decide.h. Pure; any thread. */
#ifndef KF_CORE_POLICY_H
#define KF_CORE_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/core/command.h"

enum {
	POLICY_TEXT_MAX = 64 << 10, /* bytes of the file */
	POLICY_TEAMS_MAX = 10,	    /* of one rule: each may cost a call */
	POLICY_USERS_MAX = 50,	    /* of one rule */
	POLICY_ROLES_MAX = 20,
	POLICY_ENVIRONMENTS_MAX = 20,
	POLICY_METRICS_MAX = 50,
	POLICY_WINDOWS_MAX = 20,
	POLICY_STEPS_MAX = 20,
	POLICY_APPROVALS_MAX = 20,
	POLICY_FAULTS_MAX = 20, /* that are kept */
};

/* --- what a policy says --- */

struct policy_user {
	char *login;
	int64_t id; /* 0: not resolved, matches nobody */
};

struct policy_quota {
	int64_t count; /* 0: none is set */
	int64_t period_ms;
};

/* `permission` and, when any is listed, one of teams, users or roles. */
struct policy_rule {
	bool set; /* it stands in the file */
	int line; /* 0: not in a file */
	enum right permission;
	char **teams; /* slugs */
	size_t team_count;
	struct policy_user *users;
	size_t user_count;
	char **roles; /* names of custom repository roles */
	size_t role_count;
	struct policy_quota quota;	      /* of one person */
	struct policy_quota quota_repository; /* of all together */
};

enum policy_fork { POLICY_FORK_UNSET, POLICY_FORK_OK_TO_RUN, POLICY_FORK_NEVER }; /* stricter up */
enum policy_fork_use { POLICY_FORK_BUILD, POLICY_FORK_RUN, POLICY_FORK_DEPLOY, POLICY_FORK_USES };

/* Minutes of the week in UTC, Monday 00:00 is 0; an end before the start goes over Sunday. */
struct policy_window {
	int from, to;
};

enum policy_merge {
	POLICY_MERGE_UNSET, /* production merges, the others do not; the method is not said */
	POLICY_MERGE_NO,
	POLICY_MERGE_YES, /* `merge: true` */
	POLICY_MERGE_MERGE,
	POLICY_MERGE_SQUASH,
	POLICY_MERGE_REBASE,
};

struct policy_environment {
	char *name;
	int line;
	struct policy_rule deploy;    /* also staging_deploy and what is as deploy */
	struct policy_rule rollback;  /* unset: as deploy */
	struct policy_rule lock;      /* unset: as deploy; also unlock */
	struct policy_rule approvers; /* whose approvals count; unset: write permission */
	int approvals;
	bool require_set, require_checks, require_up_to_date; /* unset: both */
	char *after;					      /* NULL: nothing before it */
	int steps[POLICY_STEPS_MAX]; /* percents on the way up, growing, the last is 100 */
	size_t step_count;	     /* 0: not said */
	int64_t hold_ms;	     /* of each step; -1: not said */
	enum policy_merge merge;
	struct policy_window freeze[POLICY_WINDOWS_MAX];
	size_t freeze_count;
	char *namespace; /* the only one that is this environment; NULL: not said */
};

struct policy_metric {
	char *name;
	int line;
	bool has_min, has_max, has_max_drop;
	double min, max, max_drop;
	char *against; /* environment; NULL unless max_drop */
};

struct policy_fault {
	int line, column;
	char *text;
};

struct policy_command_rule {
	const struct command *command;
	struct policy_rule rule;
};

struct policy {
	bool from_file; /* false: the defaults, because there is no file */
	char *source;	/* for people: "acme/model/.github/kfops.yaml"; "" without a file */
	struct policy_command_rule *commands;
	size_t command_count;
	enum policy_fork forks[POLICY_FORK_USES];
	struct policy_environment *environments;
	size_t environment_count;
	struct policy_metric *metrics;
	size_t metric_count;
	struct policy_fault *faults; /* in the order of the file */
	size_t fault_count;	     /* all; kept are POLICY_FAULTS_MAX */
};

/* Reads a file; never fails: what is wrong with it is in `faults`, and then it denies. The table
 * tells which commands there are. */
struct policy *policy_read(const char *text, size_t len, const char *source,
			   const struct command_table *table) MUST_CHECK;
/* What holds without a file. */
struct policy *policy_default(void) MUST_CHECK;
/* A file that is there and could not be used: one fault. */
struct policy *policy_unusable(const char *source, const char *why) MUST_CHECK;
void policy_free(struct policy *take_policy);
void policy_free_ptr(struct policy **policy);
#define AUTO_POLICY __attribute__((cleanup(policy_free_ptr)))

/* "NAME:LINE:COLUMN: text" for each fault. */
void policy_report(const struct policy *policy, const char *name, struct buf *out);

/* Gives every user of this login (in any case) the id. */
void policy_set_user(struct policy *policy, const char *login, int64_t id);
/* All logins of the file, each once, an array of text; the caller drops it. */
json_t *policy_logins(const struct policy *policy) MUST_CHECK;
/* All teams of the file, in the same way. */
json_t *policy_team_slugs(const struct policy *policy) MUST_CHECK;

/* An environment of the file; NULL when it is not there. */
const struct policy_environment *policy_environment(const struct policy *policy, const char *name);

/* "production" for "Production", "prodution" or "prod": what nobody means as a name of its own.
 * NULL for production and staging themselves, and for names that are not like them. */
const char *policy_environment_meant(const char *name);

/* True when `now_ms` is in one of the windows; *until_ms is when it is in none again (0: never). */
bool policy_in_windows(const struct policy_window *windows, size_t count, int64_t now_ms,
		       int64_t *until_ms);
/* "Mon 08:00 UTC". out: 16 bytes. */
void policy_moment(char out[16], int64_t ms);

/* True while a freeze is on; *until_ms is when it ends (0: never, the week is full). */
bool policy_is_frozen(const struct policy *policy, const char *environment, int64_t now_ms,
		      int64_t *until_ms);

#endif
